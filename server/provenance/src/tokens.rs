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

impl Run {
    /// The tokens after the last, in both texts.
    pub(crate) fn end(&self) -> (usize, usize) {
        (self.old + self.len, self.new + self.len)
    }
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
    let at_an_end = |run: &Run| {
        (run.old == 0 && run.new == 0) || (run.old + run.len == old_keys.len() && run.new + run.len == new_keys.len())
    };
    long_runs(&old_keys, &new_keys, |run| run.len >= MIN_RUN || at_an_end(run))
}

/// Aligns two sequences in order, forgets the runs that do not count, and lets those that do grow
/// into the room.
pub(crate) fn long_runs(old: &[u32], new: &[u32], counts: impl Fn(&Run) -> bool) -> Vec<Run> {
    let mut runs = align(old, new);
    runs.retain(counts);
    for i in 0..runs.len() {
        let before = i.checked_sub(1).map_or((0, 0), |before| runs[before].end());
        let after = runs.get(i + 1).map_or((old.len(), new.len()), |next| (next.old, next.new));
        let run = &mut runs[i];
        while run.old > before.0 && run.new > before.1 && old[run.old - 1] == new[run.new - 1] {
            *run = Run { old: run.old - 1, new: run.new - 1, len: run.len + 1 };
        }
        while run.end().0 < after.0 && run.end().1 < after.1 && old[run.end().0] == new[run.end().1] {
            run.len += 1;
        }
    }
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
            Some(last) if last.end() == (old.start, new.start) => {
                last.len += old.len();
            }
            _ => runs.push(Run { old: old.start, new: new.start, len: old.len() }),
        }
    }
    runs
}

/// Returns the longest part of pairs, ordered by their second, in which the first grows too.
pub(crate) fn longest_row(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let mut tails: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = vec![None; pairs.len()];
    for (i, &(old, _)) in pairs.iter().enumerate() {
        let at = tails.partition_point(|&tail| pairs[tail].0 < old);
        before[i] = at.checked_sub(1).map(|at| tails[at]);
        if at == tails.len() {
            tails.push(i);
        } else {
            tails[at] = i;
        }
    }
    let mut row: Vec<(usize, usize)> =
        std::iter::successors(tails.last().copied(), |&i| before[i]).map(|i| pairs[i]).collect();
    row.reverse();
    row
}
