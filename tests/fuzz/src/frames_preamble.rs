//! A raw line before the first frame.

use crate::frames::{any_cut, found, messages, split_cuts};

/// Holds for any input.
pub fn check(data: &[u8]) {
    let (cuts, bytes) = split_cuts(data);
    let (messages, rest) = messages(bytes);
    let Some((preamble, framed)) = messages.split_first() else { return };
    let framed: String =
        framed.iter().map(|message| format!("Content-Length: {}\r\n\r\n{message}", message.len())).collect();
    let stream = [preamble.as_bytes(), b"\n", framed.as_bytes(), rest].concat();
    found(&any_cut(&stream, cuts), &messages);
}
