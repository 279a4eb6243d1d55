//! Frames that an editor sends to our own server.

use crate::frames::{SINGLY_MAX, chunks, messages, split_cuts};
use crate::lsp::frame::{Frame, Frames};

#[derive(Debug, PartialEq)]
enum Found {
    Body(Vec<u8>),
    Garbage,
    Oversized,
}

/// Holds for any input.
pub fn check(data: &[u8]) {
    let (cuts, bytes) = split_cuts(data);
    any_cut(bytes, cuts);
    let (messages, rest) = messages(bytes);
    let framed = |message: &String| format!("Content-Length: {}\r\n\r\n{message}", message.len());
    let stream = [messages.iter().map(framed).collect::<String>().as_bytes(), rest].concat();
    let expected: Vec<Found> = messages.into_iter().map(|message| Found::Body(message.into_bytes())).collect();
    let found = any_cut(&stream, cuts);
    assert!(found.starts_with(&expected), "{found:?} begin with {expected:?}");
}

fn any_cut(bytes: &[u8], cuts: &[u8]) -> Vec<Found> {
    let whole = read(&[bytes]);
    assert_eq!(read(&chunks(bytes, cuts)), whole, "cut by {cuts:?}");
    if bytes.len() <= SINGLY_MAX {
        assert_eq!(read(&chunks(bytes, &[0])), whole, "byte by byte");
    }
    whole
}

fn read(chunks: &[&[u8]]) -> Vec<Found> {
    let mut frames = Frames::default();
    let mut found = Vec::new();
    for chunk in chunks {
        frames.buffer().extend_from_slice(chunk);
        while let Some(frame) = frames.next() {
            found.push(match frame {
                Frame::Body(body) => Found::Body(body.to_vec()),
                Frame::Garbage => Found::Garbage,
                Frame::Oversized => Found::Oversized,
            });
        }
    }
    found
}
