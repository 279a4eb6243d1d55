//! What a repository's small files say at a moment, and where a file lies in it.
//!
//! A hook has milliseconds, so git is never run here: HEAD, a loose or packed reference, a few special
//! heads and the length of a reflog are read as files. What can't be read is not there.

use std::path::{Path, PathBuf};

use countersign_event::digest::{git_blob, hex};
use countersign_spool::{GitState, InRepository, Snapshot};
use sha2::{Digest, Sha256};

/// The largest reference file that is read; a longer one is none of git's.
const REFERENCE_BYTES_MAX: u64 = 4096;

/// Where a repository keeps its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The root of the work tree; the git directory itself where there is none.
    pub(crate) worktree: PathBuf,
    /// What belongs to this work tree alone.
    pub(crate) git_dir: PathBuf,
    /// What all work trees share.
    pub(crate) common_dir: PathBuf,
}

impl Layout {
    /// Finds the repository of a work tree's root: `.git` is a directory, or a file in a linked work tree
    /// and a submodule.
    pub(crate) fn of_root(root: &Path) -> Option<Layout> {
        let dot_git = root.join(".git");
        let git_dir = if dot_git.is_dir() {
            dot_git
        } else {
            let text = small(&dot_git)?;
            root.join(text.strip_prefix("gitdir:")?.trim())
        };
        Layout::of_git_dir(&git_dir, Some(root))
    }

    /// Takes a git directory, bare or not.
    pub(crate) fn of_git_dir(git_dir: &Path, worktree: Option<&Path>) -> Option<Layout> {
        let git_dir = git_dir.canonicalize().ok()?;
        let common_dir = match small(&git_dir.join("commondir")) {
            Some(to) => git_dir.join(to.trim()).canonicalize().ok()?,
            None => git_dir.clone(),
        };
        let worktree = worktree.and_then(|root| root.canonicalize().ok()).unwrap_or_else(|| git_dir.clone());
        Some(Layout { worktree, git_dir, common_dir })
    }

    /// Takes a directory for a bare repository, if it looks like one.
    pub(crate) fn of_bare(dir: &Path) -> Option<Layout> {
        (dir.join("HEAD").is_file() && dir.join("objects").is_dir()).then(|| Layout::of_git_dir(dir, None)).flatten()
    }

    /// Reads what the small files say now.
    pub(crate) fn state(&self) -> GitState {
        let own = |name: &str| oid(small(&self.git_dir.join(name))?.lines().next()?);
        GitState {
            head: self.resolve("HEAD"),
            merge_head: own("MERGE_HEAD"),
            cherry_pick_head: own("CHERRY_PICK_HEAD"),
            revert_head: own("REVERT_HEAD"),
            rebase_head: own("REBASE_HEAD"),
            stash: self.resolve("refs/stash"),
            reflog_len: self.git_dir.join("logs/HEAD").metadata().map_or(0, |metadata| metadata.len()),
            ..GitState::default()
        }
    }

    /// Returns the commit at which a reference stands; `None` where files do not say it.
    pub(crate) fn resolve(&self, reference: &str) -> Option<String> {
        let mut name = reference.to_owned();
        // A symbolic reference points to another at most a few times.
        for _ in 0..5 {
            let loose = small(&self.git_dir.join(&name)).or_else(|| small(&self.common_dir.join(&name)));
            match loose {
                Some(text) => match text.strip_prefix("ref:") {
                    Some(to) => name = to.trim().to_owned(),
                    None => return oid(text.trim()),
                },
                None => return self.packed(&name),
            }
        }
        None
    }

    fn packed(&self, name: &str) -> Option<String> {
        let all = std::fs::read_to_string(self.common_dir.join("packed-refs")).ok()?;
        let mut lines = all.lines().filter_map(|line| line.split_once(' '));
        lines.find(|(_, reference)| *reference == name).and_then(|(id, _)| oid(id))
    }

    /// Returns the path of a file below the root, with `/`. `None` where it lies elsewhere, or its name is
    /// not UTF-8.
    pub(crate) fn path_of(&self, file: &Path) -> Option<String> {
        let inside = file.strip_prefix(&self.worktree).ok()?;
        let parts: Option<Vec<&str>> = inside.components().map(|part| part.as_os_str().to_str()).collect();
        parts.filter(|parts| !parts.is_empty()).map(|parts| parts.join("/"))
    }
}

/// Returns an absolute path with the links of its directory resolved, as far as that exists, and its own
/// name kept: a symbolic link is a file of its own.
pub(crate) fn real(file: &Path) -> PathBuf {
    let mut dirs = file.ancestors().skip(1);
    let found = dirs.find_map(|dir| Some((dir, dir.canonicalize().ok()?)));
    match found.and_then(|(dir, real)| Some(real.join(file.strip_prefix(dir).ok()?))) {
        Some(real) => real,
        None => file.to_owned(),
    }
}

/// Returns the file that is written by whoever writes to a path: the one a symbolic link points to.
pub(crate) fn written(file: &Path) -> PathBuf {
    let target = file.is_symlink().then(|| file.canonicalize().ok().filter(|target| target.is_file()));
    target.flatten().unwrap_or_else(|| real(file))
}

/// Adds to a snapshot where its file lies in a repository, and what that says now.
pub(crate) fn placed(mut it: Snapshot, file: &Path) -> Snapshot {
    let file = real(file);
    let layout = file.parent().and_then(super::root_of).and_then(|root| Layout::of_root(&root));
    let Some(layout) = layout else { return it };
    let Some(path) = layout.path_of(&file) else { return it };
    it.repository = Some(InRepository {
        worktree: layout.worktree.to_string_lossy().into_owned(),
        common_dir: layout.common_dir.to_string_lossy().into_owned(),
        path,
    });
    let state = layout.state();
    if state.head.as_ref().is_some_and(|head| head.len() == 64) {
        it.blob = it.text.as_deref().map(git_blob_sha256);
    }
    it.git = Some(state);
    it
}

/// Returns git's name of a blob in a repository that names its objects by SHA-256.
pub(crate) fn git_blob_sha256(bytes: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("blob {}\0", bytes.len()));
    hash.update(bytes);
    hex(&hash.finalize())
}

/// Returns git's name of a blob, by the length of other names of its repository.
pub(crate) fn git_blob_like(bytes: &[u8], other: Option<&str>) -> String {
    if other.is_some_and(|other| other.len() == 64) { git_blob_sha256(bytes) } else { git_blob(bytes) }
}

fn small(path: &Path) -> Option<String> {
    let metadata = path.metadata().ok()?;
    if !metadata.is_file() || metadata.len() > REFERENCE_BYTES_MAX {
        return None;
    }
    std::fs::read_to_string(path).ok()
}

fn oid(text: &str) -> Option<String> {
    let is_oid = matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_oid && text.bytes().any(|byte| byte != b'0')).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(dir: &Path, args: &[&str]) -> String {
        let all =
            [&["-C", dir.to_str().unwrap(), "-c", "user.name=D", "-c", "user.email=d@example.org"], args].concat();
        let output = std::process::Command::new("git").args(all).output().unwrap();
        assert!(output.status.success(), "{args:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[test]
    fn the_state_is_what_git_says_loose_packed_linked_and_detached() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("r");
        std::fs::create_dir(&root).unwrap();
        git(&root, &["init", "-q", "-b", "main"]);
        let layout = Layout::of_root(&root).unwrap();
        assert_eq!(layout.state(), GitState::default());
        git(&root, &["commit", "-q", "--allow-empty", "-m", "first"]);
        let head = git(&root, &["rev-parse", "HEAD"]);
        let state = layout.state();
        assert_eq!(state.head.as_deref(), Some(head.as_str()));
        assert!(state.reflog_len > 0);
        git(&root, &["pack-refs", "--all"]);
        assert_eq!(layout.state().head.as_deref(), Some(head.as_str()));
        std::fs::write(root.join("a"), "x").unwrap();
        git(&root, &["add", "a"]);
        git(&root, &["stash", "-q"]);
        assert_eq!(layout.state().stash, Some(git(&root, &["rev-parse", "refs/stash"])));
        let linked = dir.path().join("linked");
        git(&root, &["worktree", "add", "-q", "--detach", linked.to_str().unwrap()]);
        let other = Layout::of_root(&linked).unwrap();
        assert_eq!(other.common_dir, layout.common_dir);
        assert_ne!(other.git_dir, layout.git_dir);
        assert_eq!(other.state().head.as_deref(), Some(head.as_str()));
        assert_eq!(other.path_of(&other.worktree.join("d/é")).as_deref(), Some("d/é"));
        assert_eq!(other.path_of(&layout.worktree.join("a")), None);
    }
}
