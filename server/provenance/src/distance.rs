//! How far two texts are apart: what was offered, what was accepted, what is left.
//!
//! Counted in word tokens without white space, and without the comma before a closing bracket and the
//! semicolon at a line's end, so that a formatter changes no figure. Shared runs of fewer than [`MIN_RUN`](tokens::MIN_RUN) tokens are chance and count as replaced; a block that
//! moved is found once. Work is bounded by size and never by a clock: the same two texts give the
//! same figures on any machine.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use countersign_event::payload::suggestion::Distance;

use crate::tokens::{self, Interner, MIN_RUN, Run};

/// Named in every distance. The version is that of the crate in `Cargo.lock`; a test holds them together.
const ALGORITHM: &str =
    "similar 3.2.1 histogram, runs >= 4, moves once, cut at unique 8, pairs <= 1000000, trailing signs aside";

/// Up to this many bytes each, the Levenshtein distance is given too.
const MAX_LEVENSHTEIN: usize = 4096;

/// A moved run has at least this many non-blank bytes: shorter ones recur by chance.
const MIN_MOVE_BYTES: usize = 30;

/// Where so many tokens are missed on both sides, blocks of at least as many are looked for once more,
/// and only runs of [`MIN_LONG_RUN`] stay where they are.
const MIN_TORN: usize = 8;
const MIN_LONG_RUN: usize = 32;

/// So many places of the earlier text are tried for one run of the later.
const MAX_MOVE_PLACES: usize = 8;

/// Measures the way from an earlier text to a later one.
///
/// Costs about half a millisecond for 20 kB. Where large texts, or such of few different tokens, have
/// nothing unique in common for long, the figure is coarser and says so (`exact`).
pub fn distance(earlier: &str, later: &str) -> Distance {
    let old = counted(earlier);
    let new = counted(later);
    let mut interner = Interner::default();
    let old_keys: Vec<u32> = old.iter().map(|token| interner.key(&earlier[token.clone()])).collect();
    let new_keys: Vec<u32> = new.iter().map(|token| interner.key(&later[token.clone()])).collect();
    // A text shorter than the shortest run is kept when all of it is.
    let min_run = MIN_RUN.min(old.len());
    let (runs, exact) = tokens::long_runs(&old_keys, &new_keys, |run| run.len >= min_run);
    let in_order: usize = runs.iter().map(|run| run.len).sum();
    let mut kept = in_order + moved_tokens(&old, &old_keys, &new_keys, &runs, MIN_RUN);
    if old.len().min(new.len()) - kept >= MIN_TORN {
        // Blocks of one style that changed places share short runs in order, which tear them apart.
        let long: Vec<Run> = runs.into_iter().filter(|run| run.len >= MIN_LONG_RUN).collect();
        let in_order: usize = long.iter().map(|run| run.len).sum();
        kept = kept.max(in_order + moved_tokens(&old, &old_keys, &new_keys, &long, MIN_TORN));
    }
    let deleted = old.len() - kept;
    Distance {
        metric: "tokens".to_owned(),
        algorithm: ALGORITHM.to_owned(),
        inserted: (new.len() - kept) as u64,
        deleted: deleted as u64,
        kept: kept as u64,
        ratio: if old.is_empty() { 1.0 } else { kept as f64 / old.len() as f64 },
        exact,
        levenshtein: levenshtein(earlier, later),
    }
}

/// Returns the tokens that count: all but those that formatters add and take.
fn counted(text: &str) -> Vec<Range<usize>> {
    let mut tokens = tokens::split(text);
    let starts: Vec<usize> = tokens.iter().skip(1).map(|token| token.start).chain([text.len()]).collect();
    let mut next = starts.into_iter();
    tokens.retain(|token| {
        let next = next.next().unwrap_or(text.len());
        match &text[token.clone()] {
            "," => !text[next..].starts_with([')', ']', '}', '>']),
            ";" => !(next == text.len() || text[token.end..next].contains(['\n', '\r'])),
            _ => true,
        }
    });
    tokens
}

/// Counts tokens that stand elsewhere in the later text, each at most once, in runs of at least `row`.
fn moved_tokens(old: &[Range<usize>], old_keys: &[u32], new_keys: &[u32], runs: &[Run], row: usize) -> usize {
    let mut old_used = vec![false; old_keys.len()];
    let mut new_used = vec![false; new_keys.len()];
    for run in runs {
        old_used[run.old..run.old + run.len].fill(true);
        new_used[run.new..run.new + run.len].fill(true);
    }
    let mut places: HashMap<&[u32], Vec<usize>> = HashMap::new();
    for (at, keys) in old_keys.windows(row).enumerate() {
        if old_used[at..at + row].iter().all(|used| !used) {
            let places = places.entry(keys).or_default();
            if places.len() < MAX_MOVE_PLACES {
                places.push(at);
            }
        }
    }
    if places.is_empty() {
        return 0;
    }

    let mut moved = 0;
    let mut at = 0;
    while at + row <= new_keys.len() {
        if new_used[at] {
            at += 1;
            continue;
        }
        let longest = places.get(&new_keys[at..at + row]).into_iter().flatten().map(|&place| {
            let fits = |&i: &usize| {
                old_keys.get(place + i) == new_keys.get(at + i)
                    && old_used.get(place + i) == Some(&false)
                    && new_used.get(at + i) == Some(&false)
            };
            ((0..).take_while(fits).count(), place)
        });
        // Of equal lengths the first place: `max_by_key` would take the last.
        let best = longest.max_by_key(|&(len, place)| (len, std::cmp::Reverse(place)));
        match best {
            Some((len, place)) if len >= row && non_blank_bytes(&old[place..place + len]) >= MIN_MOVE_BYTES => {
                old_used[place..place + len].fill(true);
                moved += len;
                at += len;
            }
            _ => at += 1,
        }
    }
    moved
}

fn non_blank_bytes(tokens: &[Range<usize>]) -> usize {
    tokens.iter().map(|token| token.len()).sum()
}

/// Counts characters; the way a line ends is no difference.
fn levenshtein(earlier: &str, later: &str) -> Option<u64> {
    if earlier.len() > MAX_LEVENSHTEIN || later.len() > MAX_LEVENSHTEIN {
        return None;
    }
    let (earlier, later) = (with_lf(earlier), with_lf(later));
    Some(rapidfuzz::distance::levenshtein::distance(earlier.chars(), later.chars()) as u64)
}

fn with_lf(text: &str) -> Cow<'_, str> {
    if text.contains("\r\n") { Cow::Owned(text.replace("\r\n", "\n")) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests;
