//! Where places and ranges of a text are after an edit.

use std::ops::Range;

use crate::text::Edit;

/// Moves a place; one inside what went is at its start afterwards.
pub(super) fn place(at: usize, edit: Edit) -> usize {
    if at <= edit.start {
        at
    } else if at < edit.start + edit.deleted {
        edit.start
    } else {
        at - edit.deleted + edit.inserted
    }
}

/// Keeps of ranges what an edit left of them; what came belongs to none.
pub(super) fn survivors(ranges: &mut Vec<Range<usize>>, edit: Edit) {
    let end = edit.start + edit.deleted;
    if ranges.iter().all(|range| range.end <= edit.start) {
        return;
    }
    let mut left = Vec::with_capacity(ranges.len() + 1);
    for range in ranges.drain(..) {
        let before = range.start..range.end.min(edit.start);
        let after = range.start.max(end)..range.end;
        if !before.is_empty() {
            left.push(before);
        }
        if !after.is_empty() {
            left.push(after.start - edit.deleted + edit.inserted..after.end - edit.deleted + edit.inserted);
        }
    }
    *ranges = left;
}

/// Moves a region: it takes in what came inside it or in place of a part of it, and nothing that
/// came at its ends.
pub(super) fn region(region: &mut Range<usize>, edit: Edit) {
    let end = edit.start + edit.deleted;
    let is_inside = if edit.deleted == 0 {
        region.start < edit.start && edit.start < region.end
    } else {
        region.start < end && edit.start < region.end
    };
    if is_inside {
        region.start = region.start.min(edit.start);
        region.end = region.end.max(end) - edit.deleted + edit.inserted;
    } else if end <= region.start {
        region.start = region.start - edit.deleted + edit.inserted;
        region.end = region.end - edit.deleted + edit.inserted;
    }
}

/// Returns the parts of ranges that lie in another.
pub(super) fn cut(ranges: &[Range<usize>], to: &Range<usize>) -> Vec<Range<usize>> {
    let cut = ranges.iter().map(|range| range.start.max(to.start)..range.end.min(to.end));
    cut.filter(|range| range.start < range.end).collect()
}

/// Takes a range out of others.
pub(super) fn take(ranges: &mut Vec<Range<usize>>, out: &Range<usize>) {
    let left = ranges.iter().flat_map(|range| {
        [range.start..range.end.min(out.start), range.start.max(out.end)..range.end]
            .into_iter()
            .filter(|r| r.start < r.end)
    });
    *ranges = left.collect();
}

pub(super) fn bytes(ranges: &[Range<usize>]) -> usize {
    ranges.iter().map(|range| range.len()).sum()
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "ranges are what is tested")]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_taken_out_of_others() {
        for (out, left) in [
            (0..10, vec![10..14, 20..22]),
            (12..13, vec![10..12, 13..14, 20..22]),
            (10..14, vec![20..22]),
            (13..21, vec![10..13, 21..22]),
            (12..12, vec![10..12, 12..14, 20..22]),
        ] {
            let mut ranges = vec![10..14, 20..22];
            take(&mut ranges, &out);
            assert_eq!(ranges, left, "{out:?}");
        }
    }

    #[test]
    fn ranges_follow_edits() {
        for (start, deleted, inserted, left, grown) in [
            (0, 0, 2, vec![12..16], 12..16),
            (10, 0, 2, vec![12..16], 12..16),
            (11, 0, 2, vec![10..11, 13..16], 10..16),
            (14, 0, 2, vec![10..14], 10..14),
            (11, 2, 0, vec![10..11, 11..12], 10..12),
            (8, 4, 1, vec![9..11], 8..11),
            (12, 4, 3, vec![10..12], 10..15),
            (5, 20, 0, vec![], 5..5),
            (10, 4, 1, vec![], 10..11),
            (20, 1, 0, vec![10..14], 10..14),
            (2, 8, 0, vec![2..6], 2..6),
        ] {
            let edit = Edit { start, deleted, inserted };
            let (mut ranges, mut whole) = (vec![10..14], 10..14);
            survivors(&mut ranges, edit);
            region(&mut whole, edit);
            assert_eq!((ranges, whole), (left, grown), "{edit:?}");
        }
        let edit = Edit { start: 4, deleted: 4, inserted: 1 };
        assert_eq!([3, 4, 6, 8, 9].map(|at| place(at, edit)), [3, 4, 4, 5, 6]);
    }
}
