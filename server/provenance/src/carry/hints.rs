//! A tool's own word on which lines it replaced.
//!
//! It decides what content cannot: which of two equal lines is the new one. Believed only as far as
//! the texts agree with it.

use countersign_event::payload::edit::Hunk;

use super::align::{Lines, Region};

/// Returns the replaced regions, if every line outside them is the same in both texts.
pub(super) fn regions(hunks: &[Hunk], old: &Lines<'_>, new: &Lines<'_>) -> Option<Vec<Region>> {
    if old.has_lone_cr() || new.has_lone_cr() {
        return None; // hunks count lines by LF
    }
    let mut regions: Vec<Region> = Vec::with_capacity(hunks.len());
    let (mut o, mut n) = (0, 0);
    for hunk in hunks {
        let (gone, come) = (place(hunk.old_start, hunk.old_lines)?, place(hunk.new_start, hunk.new_lines)?);
        if gone.end > old.len() || come.end > new.len() {
            return None;
        }
        same(old, o, gone.start, new, n, come.start)?;
        (o, n) = (gone.end, come.end);
        regions.push((gone, come));
    }
    same(old, o, old.len(), new, n, new.len())?;
    Some(regions)
}

fn place(start: u32, lines: u32) -> Option<std::ops::Range<usize>> {
    let start = if lines == 0 { start as usize } else { (start as usize).checked_sub(1)? };
    Some(start..start + lines as usize)
}

fn same(old: &Lines<'_>, o: usize, old_end: usize, new: &Lines<'_>, n: usize, new_end: usize) -> Option<()> {
    let len = old_end.checked_sub(o)?;
    let is_same = new_end.checked_sub(n)? == len && (0..len).all(|i| old.key(o + i) == new.key(n + i));
    is_same.then_some(())
}
