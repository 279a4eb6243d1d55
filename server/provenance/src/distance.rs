//! How far two texts are apart: what was offered, what was accepted, what is left.
//!
//! Counted in word tokens without white space, so that a formatter changes no figure. Shared runs of
//! fewer than [`MIN_RUN`](tokens::MIN_RUN) tokens are chance and count as replaced; a block that
//! moved is found once. Work is bounded by size and never by a clock: the same two texts give the
//! same figures on any machine.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use countersign_event::payload::suggestion::Distance;

use crate::tokens::{self, Interner, MIN_RUN, Run};

/// Named in every distance. The version is that of the crate in `Cargo.lock`; a test holds them together.
const ALGORITHM: &str = "similar 3.2.1 histogram, runs >= 4, moves once, cut at unique 8";

/// Up to this many bytes each, the Levenshtein distance is given too.
const MAX_LEVENSHTEIN: usize = 4096;

/// Texts with at most this many pairs of tokens are aligned as a whole.
const MAX_CELLS: usize = 64_000_000;

/// Larger ones are cut where this many tokens in a row are unique in both.
const ANCHOR: usize = 8;

/// The parts are aligned up to this many pairs of tokens each; larger ones count as replaced.
const MAX_PART_CELLS: usize = 4_000_000;

/// A moved run has at least this many non-blank bytes: shorter ones recur by chance.
const MIN_MOVE_BYTES: usize = 30;

/// So many places of the earlier text are tried for one run of the later.
const MAX_MOVE_PLACES: usize = 8;

/// Measures the way from an earlier text to a later one.
///
/// Costs about half a millisecond for 20 kB. Where texts of more than about 30 kB have nothing
/// unique in common for long, the figure is coarser and says so (`exact`).
pub fn distance(earlier: &str, later: &str) -> Distance {
    let old = tokens::split(earlier);
    let new = tokens::split(later);
    let mut interner = Interner::default();
    let old_keys: Vec<u32> = old.iter().map(|token| interner.key(&earlier[token.clone()])).collect();
    let new_keys: Vec<u32> = new.iter().map(|token| interner.key(&later[token.clone()])).collect();
    let (runs, exact) = runs(&old_keys, &new_keys);
    let in_order: usize = runs.iter().map(|run| run.len).sum();
    let kept = in_order + moved_tokens(&old, &old_keys, &new_keys, &runs);
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

/// Aligns the tokens in order, and says whether that was done everywhere.
fn runs(old: &[u32], new: &[u32]) -> (Vec<Run>, bool) {
    // A text shorter than the shortest run is kept when all of it is.
    let min_run = MIN_RUN.min(old.len());
    let long = |old: &[u32], new: &[u32]| tokens::long_runs(old, new, |run| run.len >= min_run);
    if old.len().saturating_mul(new.len()) <= MAX_CELLS {
        return (long(old, new), true);
    }
    let mut runs = Vec::new();
    let mut exact = true;
    let (mut o, mut n) = (0, 0);
    let end = Run { old: old.len(), new: new.len(), len: 0 };
    for anchor in anchors(old, new).into_iter().chain([end]) {
        let (gone, come) = (&old[o..anchor.old], &new[n..anchor.new]);
        if gone.len().saturating_mul(come.len()) <= MAX_PART_CELLS {
            runs.extend(long(gone, come).iter().map(|run| Run { old: run.old + o, new: run.new + n, len: run.len }));
        } else {
            exact = false;
        }
        (o, n) = anchor.end();
        runs.push(anchor);
    }
    (runs, exact)
}

/// Finds runs around tokens in a row that are unique in both texts, and both texts' equal ends.
fn anchors(old: &[u32], new: &[u32]) -> Vec<Run> {
    let hash = |window: &[u32]| {
        window
            .iter()
            .fold(0u64, |hash, key| (hash.rotate_left(5) ^ u64::from(*key)).wrapping_mul(0x517c_c1b7_2722_0a95))
    };
    // Where in the old and in the new text, `TWICE` where more than once.
    const TWICE: usize = usize::MAX;
    let mut seen: HashMap<u64, (usize, Option<usize>)> = HashMap::with_capacity(old.len());
    for (at, window) in old.windows(ANCHOR).enumerate() {
        seen.entry(hash(window)).and_modify(|entry| entry.0 = TWICE).or_insert((at, None));
    }
    for (at, window) in new.windows(ANCHOR).enumerate() {
        if let Some(entry) = seen.get_mut(&hash(window)) {
            entry.1 = Some(if entry.1.is_some() { TWICE } else { at });
        }
    }
    let mut unique: Vec<(usize, usize)> = seen
        .into_values()
        .filter_map(|(old_at, new_at)| Some((old_at, new_at?)))
        .filter(|&(o, n)| o != TWICE && n != TWICE && old[o..o + ANCHOR] == new[n..n + ANCHOR])
        .collect();
    unique.sort_unstable_by_key(|&(_, new)| new);

    let prefix = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let mut runs = Vec::new();
    if prefix >= MIN_RUN {
        runs.push(Run { old: 0, new: 0, len: prefix });
    }
    for (o, n) in tokens::longest_row(&unique) {
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
    let rest = (old[last.0..].iter().rev()).zip(new[last.1..].iter().rev());
    let suffix = rest.take_while(|(a, b)| a == b).count();
    if suffix >= MIN_RUN {
        runs.push(Run { old: old.len() - suffix, new: new.len() - suffix, len: suffix });
    }
    runs
}

/// Counts tokens that stand elsewhere in the later text, each at most once.
fn moved_tokens(old: &[Range<usize>], old_keys: &[u32], new_keys: &[u32], runs: &[Run]) -> usize {
    let mut old_used = vec![false; old_keys.len()];
    let mut new_used = vec![false; new_keys.len()];
    for run in runs {
        old_used[run.old..run.old + run.len].fill(true);
        new_used[run.new..run.new + run.len].fill(true);
    }
    let mut places: HashMap<&[u32], Vec<usize>> = HashMap::new();
    for (at, keys) in old_keys.windows(MIN_RUN).enumerate() {
        if old_used[at..at + MIN_RUN].iter().all(|used| !used) {
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
    while at + MIN_RUN <= new_keys.len() {
        let longest = places.get(&new_keys[at..at + MIN_RUN]).into_iter().flatten().map(|&place| {
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
            Some((len, place)) if len >= MIN_RUN && non_blank_bytes(&old[place..place + len]) >= MIN_MOVE_BYTES => {
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
