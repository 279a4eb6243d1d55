//! What two long sequences without landmarks have in common, as far as they differ little.
//!
//! Myers' greedy search, from the start and from the end, each up to a number of differences. It is
//! for texts of few kinds of lines, where nothing is unique: beyond the bound, the middle shares
//! nothing.

/// So many differences are followed from either side. Memory grows with the square: four megabytes.
const MAX_DIFFERENCES: usize = 1_500;

/// Returns pairs of equal members in order.
pub(super) fn common(old: &[u32], new: &[u32]) -> Vec<(usize, usize)> {
    let (mut pairs, (x, y)) = search(old.len(), new.len(), |x, y| old[x] == new[y]);
    let (old_left, new_left) = (old.len() - x, new.len() - y);
    if old_left > 0 && new_left > 0 {
        let (back, _) = search(old_left, new_left, |x, y| old[old.len() - 1 - x] == new[new.len() - 1 - y]);
        pairs.extend(back.into_iter().rev().map(|(x, y)| (old.len() - 1 - x, new.len() - 1 - y)));
    }
    pairs
}

/// Follows the way that gets furthest from the start, and says where it ends.
fn search(old: usize, new: usize, equal: impl Fn(usize, usize) -> bool) -> (Vec<(usize, usize)>, (usize, usize)) {
    // Of each number of differences: how far into the old sequence it gets on each diagonal.
    let mut reach: Vec<Vec<u32>> = Vec::new();
    let mut end = (0, 0);
    for d in 0..=MAX_DIFFERENCES.min(old + new) {
        let mut here = vec![NOWHERE; d + 1];
        let mut best = None;
        for (i, furthest) in here.iter_mut().enumerate() {
            let Some(Step { mut x, .. }) = step(reach.last(), i, d, (old, new)) else { continue };
            let mut y = x + d - 2 * i;
            while x < old && y < new && equal(x, y) {
                (x, y) = (x + 1, y + 1);
            }
            *furthest = x as u32;
            if best.is_none_or(|(sum, _)| x + y > sum) {
                best = Some((x + y, (x, y)));
            }
        }
        let Some((_, place)) = best else { break };
        reach.push(here);
        end = place;
        if end == (old, new) {
            break;
        }
    }
    (way_back(&reach, end, (old, new)), end)
}

const NOWHERE: u32 = u32::MAX;

/// How a diagonal is entered.
struct Step {
    /// How far into the old sequence, before what is equal there.
    x: usize,
    /// By a deletion; otherwise by an insertion.
    deletes: bool,
}

/// Returns how diagonal `i` of `d` differences is entered: `x - y = 2 * i - d`.
fn step(before: Option<&Vec<u32>>, i: usize, d: usize, (old, new): (usize, usize)) -> Option<Step> {
    let Some(before) = before else { return Some(Step { x: 0, deletes: false }) };
    let get = |i: usize| before.get(i).filter(|x| **x != NOWHERE).map(|x| *x as usize);
    let fits = |x: &usize| *x <= old && (x + d).checked_sub(2 * i).is_some_and(|y| y <= new);
    let deleted = i.checked_sub(1).and_then(get).map(|x| x + 1).filter(fits);
    let inserted = get(i).filter(fits);
    match (deleted, inserted) {
        (Some(x), Some(other)) if x > other => Some(Step { x, deletes: true }),
        (_, Some(x)) => Some(Step { x, deletes: false }),
        (Some(x), None) => Some(Step { x, deletes: true }),
        (None, None) => None,
    }
}

fn way_back(reach: &[Vec<u32>], (mut x, mut y): (usize, usize), size: (usize, usize)) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    for d in (0..reach.len()).rev() {
        let i = (x + d - y) / 2;
        let before = d.checked_sub(1).map(|d| &reach[d]);
        let entered = step(before, i, d, size).expect("the way there was found by the same steps");
        while x > entered.x {
            (x, y) = (x - 1, y - 1);
            pairs.push((x, y));
        }
        if d > 0 && entered.deletes {
            x -= 1;
        } else if d > 0 {
            y -= 1;
        }
    }
    pairs.reverse();
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn longest(old: &[u32], new: &[u32]) -> usize {
        let mut row = vec![0; new.len() + 1];
        for a in old {
            let mut diagonal = 0;
            for (j, b) in new.iter().enumerate() {
                let up = row[j + 1];
                row[j + 1] = if a == b { diagonal + 1 } else { up.max(row[j]) };
                diagonal = up;
            }
        }
        row[new.len()]
    }

    #[test]
    fn beyond_the_bound_the_ends_are_still_found() {
        let ends = |middle: u32| -> Vec<u32> {
            (0..2_000).map(|i| i % 2).chain((0..3_000).map(|_| middle)).chain((0..2_000).map(|i| i % 3)).collect()
        };
        let (mut old, new) = (ends(7), ends(8));
        old.remove(100);
        old.remove(4_900);
        let pairs = common(&old, &new);
        assert!(pairs.len() >= 3_990, "{}", pairs.len());
        assert!(pairs.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1));
    }

    proptest! {
        #[test]
        fn it_finds_the_longest_common_subsequence(
            old in prop::collection::vec(0u32..4, 0..30), new in prop::collection::vec(0u32..4, 0..30)
        ) {
            let pairs = common(&old, &new);
            prop_assert!(pairs.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1));
            prop_assert!(pairs.iter().all(|(x, y)| old[*x] == new[*y]));
            prop_assert_eq!(pairs.len(), longest(&old, &new));
        }
    }
}
