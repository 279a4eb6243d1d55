//! What a work tree looked like before a call that may touch anything (a shell, an MCP server), so that
//! afterwards we can say what it changed.
//!
//! In a repository git lists the files (what it ignores is not looked at) and has the text of every clean
//! one; of the others we keep it. Elsewhere the directory is walked. Both are bounded in size, and git in
//! time by what is left of the call; what was cut short says so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::text::Content;
use crate::bounded::{Deadline, GIT_INPUT_MAX, git};
use crate::worktree::{Standing, Untracked};

/// Files that are looked at; each costs about 2 µs.
const FILES_MAX: usize = 20_000;
/// Files walked where there is no repository: all their texts are kept.
const WALKED_MAX: usize = 2_000;
/// Bytes of texts that are kept.
const KEPT_BYTES_MAX: usize = 8 << 20;
/// The largest text that is kept.
const KEPT_FILE_BYTES_MAX: u64 = 1 << 20;

/// An index up to this size lists some ten thousand files; git does that in a few milliseconds.
const SMALL_INDEX_BYTES: u64 = 1 << 20;
/// The files of a work tree at one moment.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Tree {
    /// Its root.
    pub(super) root: PathBuf,
    /// Its files, by path below the root.
    pub(super) files: BTreeMap<String, Seen>,
    /// Not everything was looked at.
    pub(super) cut: bool,
}

/// One file of a tree.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Seen {
    /// Size, modification and change time, inode. `None` where there is no file.
    pub(super) stat: Option<[i64; 4]>,
    /// What git has as its text, where that is its text.
    pub(super) oid: Option<String>,
    /// Its text, where git does not have it.
    pub(super) kept: Option<Vec<u8>>,
}

impl Tree {
    /// Tells how a work tree stands to its HEAD. `None` where that would take longer than an agent should wait.
    pub(super) fn standing(root: &Path, deadline: Deadline) -> Option<Standing> {
        let size = std::fs::metadata(root.join(".git/index")).map_or(0, |metadata| metadata.len());
        if size > SMALL_INDEX_BYTES {
            return None;
        }
        Standing::of(root, Untracked::Grouped, deadline)
    }

    /// Looks at a work tree. With `keep`, texts that git does not have are read too.
    pub(super) fn scan(root: &Path, is_repository: bool, keep: bool, deadline: Deadline) -> Tree {
        let mut tree = Tree { root: root.to_owned(), ..Tree::default() };
        if is_repository {
            let args = ["ls-files", "-z", "-t", "-s", "-c", "-m", "-d", "-o", "--exclude-standard"];
            match git(root, &args, b"", deadline) {
                Some(listing) => tree.take_listing(&String::from_utf8_lossy(&listing)),
                None => tree.cut = true,
            }
        } else {
            tree.walk(&mut vec![root.to_owned()]);
        }
        let mut left = KEPT_BYTES_MAX;
        for (path, seen) in &mut tree.files {
            let file = root.join(path);
            seen.stat = stat(&file);
            let Some([size, ..]) = seen.stat else { continue };
            if !keep || seen.oid.is_some() {
                continue;
            }
            let size = u64::try_from(size).unwrap_or(u64::MAX);
            if size > KEPT_FILE_BYTES_MAX || size > left as u64 {
                tree.cut |= size <= KEPT_FILE_BYTES_MAX;
                continue;
            }
            if let Content::Bytes(bytes) = Content::read(&file) {
                left = left.saturating_sub(bytes.len());
                seen.kept = Some(bytes);
            }
        }
        tree
    }

    fn take_listing(&mut self, listing: &str) {
        for entry in listing.split_terminator('\0') {
            if self.files.len() >= FILES_MAX {
                self.cut = true;
                return;
            }
            let Some((tag, rest)) = entry.split_once(' ') else { continue };
            if tag == "?" {
                if !rest.ends_with('/') {
                    self.files.entry(rest.to_owned()).or_default();
                }
                continue;
            }
            let Some((head, path)) = rest.split_once('\t') else { continue };
            let mut head = head.split(' ');
            let (mode, oid) = (head.next().unwrap_or_default(), head.next().unwrap_or_default());
            if mode == "160000" {
                continue; // a submodule has a repository of its own
            }
            let seen = self.files.entry(path.to_owned()).or_default();
            // A modified file is listed a second time, and git does not have its text.
            seen.oid = (tag == "H").then(|| oid.to_owned());
        }
    }

    fn walk(&mut self, waiting: &mut Vec<PathBuf>) {
        while let Some(dir) = waiting.pop() {
            let Ok(entries) = std::fs::read_dir(&dir) else { continue };
            for entry in entries.flatten() {
                if self.files.len() >= WALKED_MAX {
                    self.cut = true;
                    return;
                }
                let Ok(kind) = entry.file_type() else { continue };
                if kind.is_dir() {
                    // A repository below has files of its own, and dependencies are nobody's work.
                    if !entry.path().join(".git").exists() && entry.file_name() != "node_modules" {
                        waiting.push(entry.path());
                    }
                } else if let Ok(path) = entry.path().strip_prefix(&self.root) {
                    self.files.insert(path.to_string_lossy().into_owned(), Seen::default());
                }
            }
        }
    }

    /// Tells whether a file is not as git's index has it, or not in it. What is staged is not looked at.
    pub(super) fn differs_from_index(&self) -> bool {
        self.files.values().any(|seen| seen.oid.is_none())
    }

    /// Returns the paths that are not what they were.
    pub(super) fn changed(&self, after: &Tree) -> Vec<String> {
        let mut changed: Vec<String> = self
            .files
            .iter()
            .filter(|(path, seen)| match after.files.get(*path) {
                Some(now) => now.stat != seen.stat,
                // An ignored file is no longer listed, and still there.
                None => stat(&self.root.join(path.as_str())) != seen.stat,
            })
            .map(|(path, _)| path.clone())
            .collect();
        let new = after.files.iter().filter(|(path, seen)| !self.files.contains_key(*path) && seen.stat.is_some());
        changed.extend(new.map(|(path, _)| path.clone()));
        changed.sort();
        changed
    }

    /// Returns what these files held when the tree was looked at.
    pub(super) fn texts(&self, paths: &[String], deadline: Deadline) -> BTreeMap<String, Content> {
        let mut texts = BTreeMap::new();
        let mut wanted: Vec<(&String, &str, i64)> = Vec::new();
        for path in paths {
            let content = match self.files.get(path) {
                None => Content::Absent,
                Some(Seen { stat: None, .. }) => Content::Absent,
                Some(Seen { kept: Some(bytes), .. }) => Content::Bytes(bytes.clone()),
                Some(Seen { oid: Some(oid), stat: Some([size, ..]), .. }) => {
                    wanted.push((path, oid, *size));
                    Content::Unread
                }
                Some(_) => Content::Unread,
            };
            texts.insert(path.clone(), content);
        }
        let line_bytes = wanted.first().map_or(1, |(_, oid, _)| oid.len() + 1);
        for part in wanted.chunks(GIT_INPUT_MAX / line_bytes) {
            let input: String = part.iter().map(|(_, oid, _)| format!("{oid}\n")).collect();
            let Some(answer) = git(&self.root, &["cat-file", "--batch"], input.as_bytes(), deadline) else { break };
            for ((path, oid, size), blob) in part.iter().zip(blobs(&answer)) {
                let content = as_on_disk(blob, *size)
                    .or_else(|| {
                        let filtered = format!("--path={path}");
                        git(&self.root, &["cat-file", "--filters", &filtered, oid], b"", deadline)
                    })
                    .map_or(Content::Unread, Content::Bytes);
                texts.insert((*path).clone(), content);
            }
        }
        texts
    }
}

/// A blob as it was on disk, if its size says how: as it is, or with CRLF.
fn as_on_disk(blob: Vec<u8>, size: i64) -> Option<Vec<u8>> {
    let size = usize::try_from(size).ok()?;
    if blob.len() == size {
        return Some(blob);
    }
    let crlf = String::from_utf8(blob).ok()?.replace('\n', "\r\n").into_bytes();
    (crlf.len() == size).then_some(crlf)
}

/// Takes the answer of `git cat-file --batch` apart: `oid type size LF bytes LF`, or `oid missing LF`.
fn blobs(answer: &[u8]) -> Vec<Vec<u8>> {
    let mut blobs = Vec::new();
    let mut rest = answer;
    while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
        let head = String::from_utf8_lossy(&rest[..end]);
        rest = &rest[end + 1..];
        let size = head.rsplit(' ').next().and_then(|size| size.parse::<usize>().ok());
        let Some((blob, after)) = size.and_then(|size| rest.split_at_checked(size)) else {
            blobs.push(Vec::new());
            continue;
        };
        blobs.push(blob.to_vec());
        rest = after.strip_prefix(b"\n").unwrap_or(after);
    }
    blobs
}

#[cfg(unix)]
fn stat(path: &Path) -> Option<[i64; 4]> {
    use std::os::unix::fs::MetadataExt;
    let metadata = path.symlink_metadata().ok().filter(|metadata| !metadata.is_dir())?;
    let nanos = |seconds: i64, nanos: i64| seconds.wrapping_mul(1_000_000_000).wrapping_add(nanos);
    Some([
        metadata.size().cast_signed(),
        nanos(metadata.mtime(), metadata.mtime_nsec()),
        nanos(metadata.ctime(), metadata.ctime_nsec()),
        metadata.ino().cast_signed(),
    ])
}

#[cfg(not(unix))]
fn stat(path: &Path) -> Option<[i64; 4]> {
    let metadata = path.symlink_metadata().ok().filter(|metadata| !metadata.is_dir())?;
    let changed = metadata.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some([metadata.len().cast_signed(), i64::try_from(changed.as_nanos()).unwrap_or(i64::MAX), 0, 0])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn late() -> Deadline {
        Deadline::after(Duration::from_secs(30))
    }

    fn run(dir: &Path, args: &[&str]) {
        let args = [&["-c", "user.name=Dev", "-c", "user.email=dev@example.org"], args].concat();
        assert!(git(dir, &args, b"", late()).is_some(), "{args:?}");
    }

    fn text(text: &str) -> Content {
        Content::Bytes(text.as_bytes().to_vec())
    }

    /// Makes the same changes in a directory and returns what they were found to be.
    fn check(dir: &Path, is_repository: bool) {
        let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
        let before = Tree::scan(dir, is_repository, true, late());
        write("clean", "clean changed\n");
        write("dirty", "dirty changed\n");
        write("new", "new\n");
        std::fs::rename(dir.join("moved"), dir.join("to")).unwrap();
        let after = Tree::scan(dir, is_repository, false, late());
        assert!(!before.cut && !after.cut);
        let changed = before.changed(&after);
        assert_eq!(changed, ["clean", "dirty", "moved", "new", "to"]);
        let was = before.texts(&changed, late());
        assert_eq!(was["clean"], text("clean\n"));
        assert_eq!(was["dirty"], text("dirty, not in git\n"));
        assert_eq!(was["moved"], text("moved\n"));
        assert_eq!(was["new"], Content::Absent);
        assert_eq!(was["to"], Content::Absent);
    }

    fn fill(dir: &Path) {
        for name in ["clean", "dirty", "moved", "still"] {
            std::fs::write(dir.join(name), format!("{name}\n")).unwrap();
        }
    }

    #[test]
    fn what_changed_in_a_repository_is_found_with_the_text_it_had() {
        let dir = tempfile::tempdir().unwrap();
        run(dir.path(), &["init", "-q"]);
        fill(dir.path());
        std::fs::write(dir.path().join(".gitignore"), "*.log\n").unwrap();
        std::fs::write(dir.path().join("x.log"), "ignored").unwrap();
        run(dir.path(), &["add", "."]);
        run(dir.path(), &["commit", "-qm", "first"]);
        std::fs::write(dir.path().join("dirty"), "dirty, not in git\n").unwrap();
        check(dir.path(), true);
    }

    #[test]
    fn what_changed_in_a_plain_directory_is_found_with_the_text_it_had() {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path());
        std::fs::write(dir.path().join("dirty"), "dirty, not in git\n").unwrap();
        check(dir.path(), false);
    }

    #[test]
    fn a_checkout_with_other_line_ends_has_the_text_of_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        run(dir.path(), &["init", "-q"]);
        run(dir.path(), &["config", "core.autocrlf", "true"]);
        std::fs::write(dir.path().join("a"), "one\r\ntwo\r\n").unwrap();
        run(dir.path(), &["add", "."]);
        let tree = Tree::scan(dir.path(), true, true, late());
        assert!(tree.files["a"].oid.is_some());
        assert_eq!(tree.texts(&["a".to_owned()], late())["a"], text("one\r\ntwo\r\n"));
    }

    #[test]
    fn a_tree_that_could_not_be_listed_says_so() {
        let dir = tempfile::tempdir().unwrap();
        run(dir.path(), &["init", "-q"]);
        assert!(Tree::scan(dir.path(), true, true, Deadline::after(Duration::ZERO)).cut);
    }
}
