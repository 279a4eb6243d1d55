//! What a work tree looks like between calls, so that a call that may have changed anything can be
//! asked what it did change.
//!
//! git says which files differ from HEAD; their texts are kept in memory, those of all others are in
//! HEAD. A file that was written before the call began is not the call's.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_event::Timestamp;

use super::file::{File, Seen};
use crate::bounded::{Deadline, git};
use crate::worktree::{Standing, Untracked};

/// So long git may take for one answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// A tree with more changed files is not looked at.
const MAX_DIRTY: usize = 2_000;
/// Texts of changed files that are kept.
const MAX_BYTES: usize = 64 << 20;

/// A work tree as it was when it was last looked at.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
    head: Option<String>,
    /// The files that differ from HEAD; `None` where we came too late to see it.
    dirty: BTreeMap<String, Option<File>>,
    /// Texts in HEAD, as they would stand on the disk.
    clean: HashMap<String, File>,
}

/// A file that a call changed: its path below the root, and both sides as far as they are known.
pub(super) type Changed = (String, Option<File>, File);

/// The tree is too large or git too slow: nobody knows what the call changed.
#[derive(Debug)]
pub(super) struct CutShort;

impl Tree {
    /// Looks at a work tree for the first time, as it was at `at`.
    pub(super) fn new(root: PathBuf, at: Timestamp) -> Result<Tree, CutShort> {
        let mut tree = Tree { root, head: None, dirty: BTreeMap::new(), clean: HashMap::new() };
        tree.look(at)?;
        Ok(tree)
    }

    /// Takes the tree as it was at `at`, a moment ago. What was written since is taken from HEAD.
    pub(super) fn look(&mut self, at: Timestamp) -> Result<(), CutShort> {
        for (name, seen) in self.read()? {
            let file = if seen.is_since(at) {
                // What is not in HEAD was loose, and nobody had looked at it.
                self.in_head(&name).filter(|file| *file != File::Absent)
            } else {
                Some(seen.file)
            };
            self.dirty.insert(name, file);
        }
        Ok(())
    }

    /// Reads HEAD and the files that differ from it, and forgets what was known of them.
    fn read(&mut self) -> Result<Vec<(String, Seen)>, CutShort> {
        let Standing { head, changed: names } = self.standing()?;
        if head != self.head {
            self.clean.clear();
        }
        self.head = head;
        self.dirty.clear();
        let mut bytes = 0;
        let mut files = Vec::new();
        for name in names {
            let Some(seen) = Seen::now(&self.root.join(&name)) else { continue };
            bytes += seen.file.text().map_or(0, str::len);
            if bytes > MAX_BYTES {
                return Err(CutShort);
            }
            files.push((name, seen));
        }
        Ok(files)
    }

    /// Returns a file as it was at the last look; `None` where that is not known.
    pub(super) fn file(&mut self, name: &str) -> Option<File> {
        match self.dirty.get(name) {
            Some(file) => file.clone(),
            None => self.in_head(name),
        }
    }

    /// HEAD's commit at the last look.
    pub(super) fn base(&self) -> Option<&str> {
        self.head.as_deref()
    }

    /// Says whether a file differs from HEAD. Cost: git is asked about files that a call may have turned back.
    pub(super) fn is_dirty(&mut self) -> bool {
        let names: Vec<String> = self.dirty.keys().cloned().collect();
        names.iter().any(|name| {
            let now = self.dirty.get(name).cloned().flatten();
            now.is_none() || now != self.in_head(name)
        })
    }

    /// Notes what a call made of a file, so that it is no other call's.
    pub(super) fn note(&mut self, name: &str, file: File) {
        self.dirty.insert(name.to_owned(), Some(file));
    }

    /// Returns the files that changed since the last look and were written at `since` or later, and
    /// looks again.
    pub(super) fn changes(&mut self, since: Timestamp) -> Result<Vec<Changed>, CutShort> {
        let mut before = Tree {
            root: self.root.clone(),
            head: self.head.clone(),
            dirty: std::mem::take(&mut self.dirty),
            clean: std::mem::take(&mut self.clean),
        };
        for (name, seen) in self.read()? {
            self.dirty.insert(name, Some(seen.file));
        }
        let mut names: BTreeSet<String> = before.dirty.keys().chain(self.dirty.keys()).cloned().collect();
        if let (Some(old), Some(new)) = (&before.head, &self.head)
            && old != new
        {
            let moved = ask(&self.root, &["diff", "--name-only", "--no-renames", "-z", old, new])?;
            names.extend(split(&moved));
        }
        let mut changed = Vec::new();
        for name in names {
            let old = before.file(&name);
            let Some(new) = Seen::now(&self.root.join(&name)) else { continue };
            if old.as_ref() != Some(&new.file) && (new.file == File::Absent || new.is_since(since)) {
                changed.push((name, old, new.file));
            }
        }
        if before.head == self.head {
            self.clean = before.clean;
        }
        Ok(changed)
    }

    fn standing(&self) -> Result<Standing, CutShort> {
        if !self.root.join(".git").exists() {
            return Ok(Standing::default());
        }
        let standing = Standing::of(&self.root, Untracked::All, Deadline::after(PATIENCE)).ok_or(CutShort)?;
        if standing.changed.len() > MAX_DIRTY { Err(CutShort) } else { Ok(standing) }
    }

    fn in_head(&mut self, name: &str) -> Option<File> {
        if let Some(file) = self.clean.get(name) {
            return Some(file.clone());
        }
        let Some(head) = &self.head else { return Some(File::Absent) };
        let object = format!("{head}:{name}");
        // A name that is not there is no failure of git's, but no answer of its either.
        let listed = ask(&self.root, &["ls-tree", "-z", "--name-only", head, "--", name]).ok()?;
        let file = if listed.is_empty() {
            File::Absent
        } else {
            File::of(ask(&self.root, &["cat-file", "--filters", &object]).ok()?)
        };
        if self.clean.len() < MAX_DIRTY {
            self.clean.insert(name.to_owned(), file.clone());
        }
        Some(file)
    }
}

fn split(listing: &[u8]) -> impl Iterator<Item = String> {
    listing
        .split(|byte| *byte == 0)
        .filter(|part| !part.is_empty())
        .map(|part| String::from_utf8_lossy(part).into_owned())
}

fn ask(root: &Path, args: &[&str]) -> Result<Vec<u8>, CutShort> {
    git(root, args, b"", Deadline::after(PATIENCE)).ok_or(CutShort)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn run(dir: &Path, args: &[&str]) {
        let status = Command::new("git")
            .arg("-C")
            .arg(dir)
            .args(["-c", "user.name=Dev", "-c", "user.email=dev@example.org"])
            .args(args)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .status();
        assert!(status.unwrap().success());
    }

    /// A time at which everything written now is old.
    fn later() -> Timestamp {
        Timestamp::from_millis(crate::shell::now().as_millis() + 60_000)
    }

    fn text(text: &str) -> File {
        File::Text(text.to_owned())
    }

    #[test]
    fn what_changed_since_the_last_look_is_found_with_the_text_it_had() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        run(dir.path(), &["init", "-q"]);
        for (name, text) in [("clean", "1\n"), ("gone", "2\n"), ("dirty", "3\n"), ("same", "4\n")] {
            std::fs::write(path(name), text).unwrap();
        }
        run(dir.path(), &["add", "-A"]);
        run(dir.path(), &["commit", "-q", "-m", "first"]);
        std::fs::write(path("dirty"), "3 dirty\n").unwrap();
        std::fs::write(path("loose"), "5\n").unwrap();
        let mut tree = Tree::new(dir.path().to_owned(), later()).unwrap();
        assert!(tree.changes(Timestamp::from_millis(0)).unwrap().is_empty());

        std::fs::write(path("clean"), "1 changed\n").unwrap();
        std::fs::write(path("dirty"), "3 changed\n").unwrap();
        std::fs::write(path("new ü"), "6\n").unwrap();
        std::fs::write(path("loose"), b"\xff\xfe").unwrap();
        std::fs::remove_file(path("gone")).unwrap();
        let changed = tree.changes(Timestamp::from_millis(0)).unwrap();
        let blob = countersign_event::digest::git_blob(b"\xff\xfe");
        assert_eq!(
            changed,
            [
                ("clean".to_owned(), Some(text("1\n")), text("1 changed\n")),
                ("dirty".to_owned(), Some(text("3 dirty\n")), text("3 changed\n")),
                ("gone".to_owned(), Some(text("2\n")), File::Absent),
                ("loose".to_owned(), Some(text("5\n")), File::Other(blob)),
                ("new ü".to_owned(), Some(File::Absent), text("6\n")),
            ]
        );
        assert!(tree.changes(Timestamp::from_millis(0)).unwrap().is_empty());
    }

    #[test]
    fn what_was_changed_and_committed_in_one_go_is_found() {
        let dir = tempfile::tempdir().unwrap();
        run(dir.path(), &["init", "-q"]);
        std::fs::write(dir.path().join("a"), "1\n").unwrap();
        run(dir.path(), &["add", "-A"]);
        run(dir.path(), &["commit", "-q", "-m", "first"]);
        let mut tree = Tree::new(dir.path().to_owned(), later()).unwrap();
        std::fs::write(dir.path().join("a"), "2\n").unwrap();
        run(dir.path(), &["commit", "-q", "-a", "-m", "second"]);
        let changed = tree.changes(Timestamp::from_millis(0)).unwrap();
        assert_eq!(changed, [("a".to_owned(), Some(text("1\n")), text("2\n"))]);
    }

    #[test]
    fn what_was_written_before_the_call_is_not_the_calls() {
        let dir = tempfile::tempdir().unwrap();
        run(dir.path(), &["init", "-q"]);
        let mut tree = Tree::new(dir.path().to_owned(), later()).unwrap();
        std::fs::write(dir.path().join("a"), "1\n").unwrap();
        assert!(tree.changes(later()).unwrap().is_empty());
    }

    #[test]
    fn a_look_that_came_too_late_takes_from_head_what_it_can() {
        let dir = tempfile::tempdir().unwrap();
        run(dir.path(), &["init", "-q"]);
        std::fs::write(dir.path().join("a"), "1\n").unwrap();
        run(dir.path(), &["add", "-A"]);
        run(dir.path(), &["commit", "-q", "-m", "first"]);
        let at = Timestamp::from_millis(0);
        std::fs::write(dir.path().join("a"), "2\n").unwrap();
        std::fs::write(dir.path().join("b"), "b\n").unwrap();
        let mut tree = Tree::new(dir.path().to_owned(), at).unwrap();
        let changed = tree.changes(at).unwrap();
        assert_eq!(changed[0], ("a".to_owned(), Some(text("1\n")), text("2\n")));
        assert_eq!(changed[1], ("b".to_owned(), None, text("b\n")));
    }

    #[test]
    fn a_place_that_is_no_repository_has_no_answer() {
        let dir = tempfile::tempdir().unwrap();
        let mut tree = Tree::new(dir.path().to_owned(), later()).unwrap();
        assert!(tree.changes(Timestamp::from_millis(0)).unwrap().is_empty());
    }
}
