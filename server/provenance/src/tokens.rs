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
    long_runs(&old_keys, &new_keys, |run| run.len >= MIN_RUN || at_an_end(run)).0
}

/// Aligns two sequences of tokens in order, forgets the runs that do not count, and lets those that
/// do grow into the room. Says too whether all of it was aligned.
pub(crate) fn long_runs(old: &[u32], new: &[u32], counts: impl Fn(&Run) -> bool) -> (Vec<Run>, bool) {
    let (mut runs, exact) = align(old, new, 8);
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
    (runs, exact)
}

/// Sequences of at most this many members together are aligned as a whole.
const MAX_WHOLE: usize = 16_000;

/// The parts of larger ones up to this many members; larger parts share nothing.
const MAX_PART: usize = 4_000;

/// So many pairs of equal tokens are looked at in all: what noise over a few signs costs grows with
/// their number.
const MAX_PAIRS: usize = 1_000_000;

/// Aligns two sequences in order, and says whether that was done everywhere. Large ones are cut
/// first, where `unique` members in a row are unique in both: without that, the time could grow
/// with the square of the length. Of single members (lines) every part is aligned, however many
/// are equal.
pub(crate) fn align(old: &[u32], new: &[u32], unique: usize) -> (Vec<Run>, bool) {
    let mut runs = Vec::new();
    let mut left = if unique == 1 { usize::MAX } else { MAX_PAIRS };
    let mut counts = Counts::new(old);
    if old.len() + new.len() <= MAX_WHOLE && counts.spend(old, new, &mut left) {
        histogram(old, new, (0, 0), &mut runs);
        return (runs, true);
    }
    let mut exact = true;
    let (mut o, mut n) = (0, 0);
    let end = Run { old: old.len(), new: new.len(), len: 0 };
    for anchor in anchors(old, new, unique).into_iter().chain([end]) {
        let (gone, come) = (&old[o..anchor.old], &new[n..anchor.new]);
        if !gone.is_empty() && !come.is_empty() {
            if gone.len() + come.len() <= MAX_PART && counts.spend(gone, come, &mut left) {
                histogram(gone, come, (o, n), &mut runs);
            } else {
                exact = false;
            }
        }
        add(&mut runs, anchor);
        (o, n) = anchor.end();
    }
    (runs, exact)
}

/// Counts the pairs of equal members of two sequences.
struct Counts {
    of: Vec<u32>,
}

impl Counts {
    fn new(old: &[u32]) -> Self {
        Counts { of: vec![0; old.iter().max().map_or(0, |key| *key as usize + 1)] }
    }

    /// Takes the pairs of two parts from what is left; says if that was enough.
    fn spend(&mut self, old: &[u32], new: &[u32], left: &mut usize) -> bool {
        if *left == usize::MAX {
            return true;
        }
        old.iter().for_each(|key| self.of[*key as usize] += 1);
        let pairs = new.iter().map(|key| self.of.get(*key as usize).map_or(0, |count| *count as usize)).sum();
        old.iter().for_each(|key| self.of[*key as usize] = 0);
        let is_enough = pairs <= *left;
        *left -= if is_enough { pairs } else { 0 };
        is_enough
    }
}

fn histogram(old: &[u32], new: &[u32], at: (usize, usize), runs: &mut Vec<Run>) {
    for op in capture_diff_slices(Algorithm::Histogram, old, new) {
        if op.tag() == DiffTag::Equal {
            let (old, new) = (op.old_range(), op.new_range());
            add(runs, Run { old: at.0 + old.start, new: at.1 + new.start, len: old.len() });
        }
    }
}

fn add(runs: &mut Vec<Run>, run: Run) {
    match runs.last_mut() {
        Some(last) if last.end() == (run.old, run.new) => last.len += run.len,
        _ if run.len > 0 => runs.push(run),
        _ => {}
    }
}

/// Finds runs around members in a row that are unique in both sequences, and their equal ends.
fn anchors(old: &[u32], new: &[u32], unique: usize) -> Vec<Run> {
    // Where in the old and in the new sequence, `TWICE` where more than once.
    const TWICE: usize = usize::MAX;
    let mut seen: HashMap<u64, (usize, Option<usize>)> = HashMap::new();
    for (at, hash) in sampled(old, unique) {
        seen.entry(hash).and_modify(|entry| entry.0 = TWICE).or_insert((at, None));
    }
    for (at, hash) in sampled(new, unique) {
        if let Some(entry) = seen.get_mut(&hash) {
            entry.1 = Some(if entry.1.is_some() { TWICE } else { at });
        }
    }
    let mut pairs: Vec<(usize, usize)> = seen
        .into_values()
        .filter_map(|(old_at, new_at)| Some((old_at, new_at?)))
        .filter(|&(o, n)| o != TWICE && n != TWICE && old[o..o + unique] == new[n..n + unique])
        .collect();
    pairs.sort_unstable_by_key(|&(_, new)| new);

    let mut runs = Vec::new();
    let prefix = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    if prefix >= MIN_RUN {
        runs.push(Run { old: 0, new: 0, len: prefix });
    }
    for (o, n) in longest_row(&pairs) {
        let last = runs.last().map_or((0, 0), Run::end);
        if o < last.0 || n < last.1 {
            continue; // the run before grew over it
        }
        let room = (o - last.0).min(n - last.1);
        let back = (1..=room).take_while(|&i| old[o - i] == new[n - i]).count();
        let len = old[o..].iter().zip(&new[n..]).take_while(|(a, b)| a == b).count();
        runs.push(Run { old: o - back, new: n - back, len: len + back });
    }
    let last = runs.last().map_or((0, 0), Run::end);
    let rest = old[last.0..].iter().rev().zip(new[last.1..].iter().rev());
    let suffix = rest.take_while(|(a, b)| a == b).count();
    if suffix >= MIN_RUN {
        runs.push(Run { old: old.len() - suffix, new: new.len() - suffix, len: suffix });
    }
    runs
}

/// Returns hashes of members in a row with their places: of each single one, or of every fourth row
/// of several. Which rows those are follows from the rows alone, so that it is the same in any text.
fn sampled(keys: &[u32], row: usize) -> impl Iterator<Item = (usize, u64)> {
    let fold = |hash: u64, key: &u32| (hash.rotate_left(5) ^ u64::from(*key)).wrapping_mul(0x517c_c1b7_2722_0a95);
    let hashes = keys.windows(row).map(move |row| row.iter().fold(0u64, fold)).enumerate();
    hashes.filter(move |(_, hash)| row == 1 || hash >> 62 == 0)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_signs_are_tokens_and_white_space_is_none() {
        let text = "let größe_1\t= f(a2);\u{a0}// 😀";
        let tokens: Vec<&str> = split(text).into_iter().map(|token| &text[token]).collect();
        assert_eq!(tokens, ["let", "größe_1", "=", "f", "(", "a2", ")", ";", "/", "/", "😀"]);
    }

    #[test]
    fn large_sequences_align_like_small_ones_where_they_have_something_unique() {
        let old: Vec<u32> = (0..20_000).collect();
        let mut new = old.clone();
        new.splice(100..110, [0, 0, 0]);
        new.drain(15_000..15_005);
        for unique in [1, 8] {
            let (runs, exact) = align(&old, &new, unique);
            let shown: Vec<String> = runs.iter().map(|run| format!("{} {} {}", run.old, run.new, run.len)).collect();
            assert_eq!(shown, ["0 0 100", "110 103 14897", "15012 15000 4988"]);
            assert!(exact);
        }
    }

    #[test]
    fn large_sequences_of_few_kinds_are_left_alone_in_linear_time() {
        let old: Vec<u32> = (0..200_000).map(|i| i % 2).collect();
        let new: Vec<u32> = (0..200_000).map(|i| 2 + i % 2).chain([0, 1, 0, 1]).collect();
        let (runs, exact) = align(&old, &new, 8);
        assert_eq!(runs, [Run { old: 199_996, new: 200_000, len: 4 }]);
        assert!(!exact);
    }
}
