//! How a work tree stands to its HEAD: which commit that is, and which files differ from it.
//!
//! One question to git, bounded in time; it takes no lock and changes nothing. Who watches a tree over time
//! builds on it.

use std::path::Path;

use crate::bounded::{Deadline, git};

/// Which files are listed that git does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Untracked {
    /// Each of them.
    All,
    /// A directory of nothing else is one entry: enough to know that there are any, and cheaper.
    Grouped,
}

/// A work tree beside its HEAD.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// HEAD's commit; `None` before the first.
    pub(crate) head: Option<String>,
    /// Files that differ from it or are not in it, below the root, with `/`; what git ignores is not listed.
    pub(crate) changed: Vec<String>,
}

impl Standing {
    /// Asks git. `None` where it refuses or is not done in time.
    pub(crate) fn of(root: &Path, untracked: Untracked, deadline: Deadline) -> Option<Standing> {
        let untracked = match untracked {
            Untracked::All => "--untracked-files=all",
            Untracked::Grouped => "--untracked-files=normal",
        };
        let args = ["status", "--porcelain=v2", "--branch", "-z", "--no-renames", untracked];
        Some(Standing::read(&git(root, &args, b"", deadline)?))
    }

    fn read(answer: &[u8]) -> Standing {
        let mut standing = Standing::default();
        for entry in answer.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
            let entry = String::from_utf8_lossy(entry);
            // Before the path stand as many fields as the kind of entry has.
            let fields = match entry.split_once(' ').map(|(kind, _)| kind) {
                Some("#") => {
                    let head = entry.strip_prefix("# branch.oid ").filter(|oid| *oid != "(initial)");
                    standing.head = head.map(str::to_owned).or(standing.head);
                    continue;
                }
                Some("1") => 8,
                Some("u") => 10,
                Some("?") => 1,
                _ => continue,
            };
            standing.changed.extend(entry.splitn(fields + 1, ' ').nth(fields).map(str::to_owned));
        }
        standing
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_kind_of_entry_is_read_to_its_path() {
        let answer = "# branch.oid 4b825dc642cb6eb9a060e54bf8d69288fbee4904\0# branch.head main\0\
            1 .M N... 100644 100644 100644 1111 1111 with a space.txt\0\
            1 D. N... 100644 000000 000000 1111 0000 gone\0\
            u UU N... 100644 100644 100644 100644 1 2 3 both.rs\0? new \u{fc}.txt\0";
        let standing = Standing::read(answer.as_bytes());
        assert_eq!(standing.head.as_deref(), Some("4b825dc642cb6eb9a060e54bf8d69288fbee4904"));
        assert_eq!(standing.changed, ["with a space.txt", "gone", "both.rs", "new \u{fc}.txt"]);
        assert_eq!(Standing::read(b"# branch.oid (initial)\0"), Standing::default());
    }

    #[test]
    fn a_tree_is_asked_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let late = || Deadline::after(Duration::from_secs(30));
        assert_eq!(Standing::of(dir.path(), Untracked::All, late()), None, "no repository");
        git(dir.path(), &["init", "-q"], b"", late()).unwrap();
        std::fs::create_dir(dir.path().join("new")).unwrap();
        std::fs::write(dir.path().join("new/a"), "a").unwrap();
        let changed = |untracked| Standing::of(dir.path(), untracked, late()).unwrap().changed;
        assert_eq!(changed(Untracked::All), ["new/a"]);
        assert_eq!(changed(Untracked::Grouped), ["new/"]);
        assert_eq!(Standing::of(dir.path(), Untracked::All, Deadline::after(Duration::ZERO)), None);
    }
}
