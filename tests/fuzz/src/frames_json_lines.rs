//! One JSON value a line, bare or behind the word that one server puts before each.

use crate::frames::{any_cut, found, messages, split_cuts};

/// Holds for any input.
pub fn check(data: &[u8]) {
    let (cuts, bytes) = split_cuts(data);
    let (messages, rest) = messages(bytes);
    for (prefix, end) in [("", "\n"), ("SM-MESSAGE ", "\n")] {
        let line = |message: &String| format!("{prefix}{message}{end}");
        let stream = [messages.iter().map(line).collect::<String>().as_bytes(), rest].concat();
        found(&any_cut(&stream, cuts), &messages);
    }
    // Lines as the input has them, most of them broken.
    any_cut(&[b"{", bytes].concat(), cuts);
    any_cut(&[b"SM-MESSAGE ", bytes].concat(), cuts);
}
