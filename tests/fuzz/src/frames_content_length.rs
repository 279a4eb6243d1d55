//! Frames with a header: any bytes, then proper frames with any bytes behind them.

use crate::frames::{any_cut, found, messages, split_cuts};

/// Holds for any input.
pub fn check(data: &[u8]) {
    let (cuts, bytes) = split_cuts(data);
    any_cut(bytes, cuts);
    let (messages, rest) = messages(bytes);
    let framed = |message: &String| format!("Content-Length: {}\r\n\r\n{message}", message.len());
    let stream = [messages.iter().map(framed).collect::<String>().as_bytes(), rest].concat();
    found(&any_cut(&stream, cuts), &messages);
}
