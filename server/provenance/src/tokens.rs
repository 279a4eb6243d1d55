//! Words and signs of a text, and which of them two texts share.
//!
//! White space is no token, so that a formatter changes nothing.

use std::collections::HashMap;
use std::ops::Range;

use similar::{Algorithm, DiffTag, capture_diff_slices};

/// Shared runs of fewer tokens say nothing: any two programs share `) ;` somewhere.
pub(crate) const MIN_RUN: usize = 4;

/// Tokens that stand in both texts, one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// First token in the old text.
    pub(crate) old: usize,
    /// First token in the new text.
    pub(crate) new: usize,
    /// How many.
    pub(crate) len: usize,
}

/// Gives equal strings equal numbers.
#[derive(Default)]
pub(crate) struct Interner<'a> {
    keys: HashMap<&'a str, u32>,
}

impl<'a> Interner<'a> {
    pub(crate) fn key(&mut self, text: &'a str) -> u32 {
        let next = self.keys.len() as u32;
        *self.keys.entry(text).or_insert(next)
    }
}

/// Splits a text into words (letters, digits and `_`) and single signs, without white space.
pub(crate) fn split(text: &str) -> Vec<Range<usize>> {
    let mut tokens = Vec::with_capacity(text.len() / 4);
    let mut word = None;
    for (at, char) in text.char_indices() {
        if char.is_alphanumeric() || char == '_' {
            word.get_or_insert(at);
            continue;
        }
        if let Some(start) = word.take() {
            tokens.push(start..at);
        }
        if !char.is_whitespace() {
            tokens.push(at..at + char.len_utf8());
        }
    }
    tokens.extend(word.map(|start| start..text.len()));
    tokens
}

/// Returns the runs two texts share in the same order, those shorter than [`MIN_RUN`] left out
/// unless they stand at both texts' start or end.
pub(crate) fn runs(old: &str, old_tokens: &[Range<usize>], new: &str, new_tokens: &[Range<usize>]) -> Vec<Run> {
    let mut interner = Interner::default();
    let old_keys: Vec<u32> = old_tokens.iter().map(|token| interner.key(&old[token.clone()])).collect();
    let new_keys: Vec<u32> = new_tokens.iter().map(|token| interner.key(&new[token.clone()])).collect();
    let mut runs = align(&old_keys, &new_keys);
    runs.retain(|run| {
        let at_start = run.old == 0 && run.new == 0;
        let at_end = run.old + run.len == old_keys.len() && run.new + run.len == new_keys.len();
        run.len >= MIN_RUN || at_start || at_end
    });
    runs
}

/// Aligns two sequences, in order.
pub(crate) fn align(old: &[u32], new: &[u32]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for op in capture_diff_slices(Algorithm::Histogram, old, new) {
        if op.tag() != DiffTag::Equal {
            continue;
        }
        let (old, new) = (op.old_range(), op.new_range());
        match runs.last_mut() {
            Some(last) if last.old + last.len == old.start && last.new + last.len == new.start => {
                last.len += old.len();
            }
            _ => runs.push(Run { old: old.start, new: new.start, len: old.len() }),
        }
    }
    runs
}
