//! Which lines a change touched.

use countersign_event::payload::edit::Hunk;

use crate::tokens::{self, Interner, Run};

/// Returns the runs of lines in which two texts differ, as a unified diff without context writes them:
/// a side without lines names the line before it. Lines end at LF. Where the texts are large and have
/// nothing unique, the runs may be longer than they need be.
pub fn hunks(before: &str, after: &str) -> Vec<Hunk> {
    let mut interner = Interner::default();
    let old: Vec<u32> = before.split_inclusive('\n').map(|line| interner.key(line)).collect();
    let new: Vec<u32> = after.split_inclusive('\n').map(|line| interner.key(line)).collect();
    let end = Run { old: old.len(), new: new.len(), len: 0 };
    let (mut o, mut n) = (0, 0);
    let mut hunks = Vec::new();
    for equal in tokens::align(&old, &new, 1).0.into_iter().chain([end]) {
        if o < equal.old || n < equal.new {
            hunks.push(Hunk {
                old_start: start(o, equal.old),
                old_lines: (equal.old - o) as u32,
                new_start: start(n, equal.new),
                new_lines: (equal.new - n) as u32,
            });
        }
        (o, n) = equal.end();
    }
    hunks
}

fn start(from: usize, to: usize) -> u32 {
    if from == to { from as u32 } else { from as u32 + 1 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(before: &str, after: &str) -> Vec<String> {
        let show =
            |hunk: Hunk| format!("-{},{} +{},{}", hunk.old_start, hunk.old_lines, hunk.new_start, hunk.new_lines);
        hunks(before, after).into_iter().map(show).collect()
    }

    #[test]
    fn a_hunk_is_written_as_a_unified_diff_without_context_writes_it() {
        assert_eq!(shown("", "a\nb\n"), ["-0,0 +1,2"]);
        assert_eq!(shown("a\nb\n", ""), ["-1,2 +0,0"]);
        assert_eq!(shown("a\nb\nc\n", "a\nx\nc\n"), ["-2,1 +2,1"]);
        assert_eq!(shown("a\nc\n", "a\nb\nc\n"), ["-1,0 +2,1"]);
        assert_eq!(shown("a\nb\nc\nd\n", "b\nc\nx\nd\n"), ["-1,1 +0,0", "-3,0 +3,1"]);
        assert_eq!(shown("a", "a\n"), ["-1,1 +1,1"]);
        assert_eq!(shown("a\n", "a\r\n"), ["-1,1 +1,1"]);
        assert_eq!(shown("a\n", "a\n"), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn the_lines_outside_all_hunks_are_equal(before in "([abc]\n){0,12}", after in "([abc]\n){0,12}") {
            let hunks = hunks(&before, &after);
            let rest = |text: &str, side: fn(&Hunk) -> (u32, u32)| -> Vec<String> {
                let touched = |line: usize| hunks.iter().map(side).any(|(start, lines)| {
                    let line = line as u32 + 1;
                    lines > 0 && line >= start && line < start + lines
                });
                text.lines().enumerate().filter(|(i, _)| !touched(*i)).map(|(_, line)| line.to_owned()).collect()
            };
            prop_assert_eq!(
                rest(&before, |hunk| (hunk.old_start, hunk.old_lines)),
                rest(&after, |hunk| (hunk.new_start, hunk.new_lines))
            );
        }
    }
}
