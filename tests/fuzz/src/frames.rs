//! What holds for the tap's frames in any framing.

use crate::tap::frame::{Decoder, Frame};

/// The most bytes for which every single byte is a chunk of its own.
pub(crate) const SINGLY_MAX: usize = 2048;

/// Takes a few numbers from the front of the input: where to cut.
pub(crate) fn split_cuts(data: &[u8]) -> (&[u8], &[u8]) {
    let Some((&n, rest)) = data.split_first() else { return (&[], &[]) };
    rest.split_at(usize::from(n % 16).min(rest.len()))
}

/// Cuts bytes into chunks whose lengths follow `cuts`, again and again.
pub(crate) fn chunks<'a>(mut bytes: &'a [u8], cuts: &[u8]) -> Vec<&'a [u8]> {
    let mut lengths = cuts.iter().map(|&cut| usize::from(cut) + 1).cycle();
    let mut chunks = Vec::new();
    while !bytes.is_empty() {
        let (chunk, rest) = bytes.split_at(lengths.next().unwrap_or(bytes.len()).min(bytes.len()));
        chunks.push(chunk);
        bytes = rest;
    }
    chunks
}

pub(crate) fn decode(chunks: &[&[u8]]) -> Vec<Frame> {
    let mut decoder = Decoder::new();
    let mut frames = Vec::new();
    for chunk in chunks {
        decoder.push(chunk);
        frames.extend(std::iter::from_fn(|| decoder.next_frame()));
    }
    frames.extend(decoder.finish());
    frames
}

/// Insists that any cut gives the same frames, and that no byte is in two of them. Returns the frames.
pub(crate) fn any_cut(bytes: &[u8], cuts: &[u8]) -> Vec<Frame> {
    let whole = decode(&[bytes]);
    assert_eq!(decode(&chunks(bytes, cuts)), whole, "cut by {cuts:?}");
    if bytes.len() <= SINGLY_MAX {
        assert_eq!(decode(&chunks(bytes, &[0])), whole, "byte by byte");
    }
    let counted: usize = whole
        .iter()
        .map(|frame| match frame {
            Frame::Message(body) => {
                assert!(serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok(), "a message is JSON");
                body.len()
            }
            Frame::Malformed { bytes } => *bytes,
            Frame::Oversized { .. } => 0,
        })
        .sum();
    assert!(counted <= bytes.len(), "{counted} of {} bytes", bytes.len());
    whole
}

/// Makes messages of the input, and the rest that follows the last: `\n` stands between them.
pub(crate) fn messages(data: &[u8]) -> (Vec<String>, &[u8]) {
    let mut pieces: Vec<&[u8]> = data.split(|&b| b == b'\n').collect();
    let rest = pieces.pop().unwrap_or_default();
    let message = |piece: &&[u8]| serde_json::json!({ "text": String::from_utf8_lossy(piece) }).to_string();
    (pieces.iter().map(message).collect(), rest)
}

/// Insists that what was framed is found again, whatever comes behind it.
pub(crate) fn found(frames: &[Frame], messages: &[String]) {
    let expected: Vec<Frame> = messages.iter().map(|message| Frame::Message(message.clone().into_bytes())).collect();
    assert!(frames.starts_with(&expected), "{frames:?} begin with {expected:?}");
}
