//! Where a hook runs and what git did there, read from the files git itself reads.
//!
//! It never writes into a repository. What the files don't say is left out, or asked of git within the
//! time that is left.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use countersign_event::digest::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::bounded::{self, Deadline};
use crate::git;
use crate::git::state::Layout;

/// The end of a reflog that is looked at: its last line is all that counts.
const REFLOG_TAIL: u64 = 64 << 10;
/// Of a rebase, the commits that are named; an event is to stay small.
const REWRITTEN_MAX: usize = 1_000;

/// A repository as a hook sees it.
#[derive(Debug)]
pub(super) struct Place {
    here: PathBuf,
    layout: Layout,
}

/// Where HEAD stands, and where it stood before.
#[derive(Debug, PartialEq)]
pub(super) struct Stands {
    pub(super) reference: String,
    pub(super) before: Option<String>,
    pub(super) after: String,
}

/// What a repository is, found out once.
#[derive(Serialize, Deserialize)]
struct Known {
    id: String,
    /// The configuration that named the remote then.
    config: Option<(u64, u64)>,
}

impl Place {
    /// Finds it from the directory a hook runs in and what git says there in `GIT_DIR`.
    pub(super) fn find(here: &Path, git_dir: Option<OsString>) -> Option<Place> {
        let layout = match git_dir {
            Some(said) => Layout::of_git_dir(&here.join(said), Some(here)),
            None => Layout::of_root(&git::root_of(here)?),
        };
        let layout = layout.filter(|layout| layout.git_dir.join("HEAD").exists())?;
        Some(Place { here: here.to_owned(), layout })
    }

    /// Tells where HEAD stands. `None` before the first commit.
    pub(super) fn stands(&self, deadline: Deadline) -> Option<Stands> {
        let head = std::fs::read_to_string(self.layout.git_dir.join("HEAD")).ok()?;
        let (reference, after) = match head.trim_end().strip_prefix("ref: ") {
            // References are not files here: only git can tell.
            Some(reference) if reference.ends_with("/.invalid") => self.ask(deadline)?,
            reference => (reference.unwrap_or("HEAD").to_owned(), self.layout.resolve("HEAD")?),
        };
        let last = self.last_move().filter(|(_, new)| *new == after);
        let before = last.map(|(old, _)| old).filter(|old| old.bytes().any(|byte| byte != b'0'));
        Some(Stands { reference, before, after })
    }

    /// Tells which commits were rewritten to which, as git has it in its own files: an amended commit in
    /// the reflog, those of a rebase in a list. Empty where git has gone on and they say it no longer.
    pub(super) fn rewritten(&self, command: Option<&str>) -> Vec<(String, String)> {
        if command == Some("amend") {
            let line = self.last_line().filter(|line| line.contains("\tcommit (amend)"));
            return line.as_deref().and_then(pair).into_iter().collect();
        }
        let lists = ["rebase-merge/rewritten-list", "rebase-apply/rewritten"];
        let Some(list) = lists.iter().find_map(|list| std::fs::read_to_string(self.layout.git_dir.join(list)).ok())
        else {
            return Vec::new();
        };
        list.lines().filter_map(pair).take(REWRITTEN_MAX).collect()
    }

    /// Returns the repository's ID; empty where it could not be found out in time. Cost: two small files;
    /// the first time, or when its configuration changed, as long as git takes to find the root commit.
    pub(super) fn repository(&self, state: &Path, deadline: Deadline) -> String {
        let config = std::fs::metadata(self.layout.common_dir.join("config")).ok().map(|metadata| {
            let changed = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            (metadata.len(), changed.map_or(0, |age| u64::try_from(age.as_nanos()).unwrap_or(0)))
        });
        let dir = state.join("repositories");
        let file = dir.join(&hex(&Sha256::digest(self.layout.common_dir.as_os_str().as_encoded_bytes()))[..32]);
        let known = std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice::<Known>(&bytes).ok());
        if let Some(known) = known.filter(|known| known.config == config) {
            return known.id;
        }
        let answer = |args: &[&str]| self.git(args, deadline);
        let roots = answer(&["rev-list", "--max-parents=0", "HEAD"]);
        let remote = || answer(&["config", "--get", "remote.origin.url"]);
        let Some(id) = roots.and_then(|roots| git::identity_of(&roots, remote())) else { return String::new() };
        if let Err(error) = keep(&dir, &file, &Known { id: id.clone(), config }) {
            tracing::warn!(%error, "what repository this is could not be noted");
        }
        id
    }

    /// The last move in HEAD's reflog: from where to where.
    fn last_move(&self) -> Option<(String, String)> {
        pair(&self.last_line()?)
    }

    fn last_line(&self) -> Option<String> {
        let mut file = File::open(self.layout.git_dir.join("logs/HEAD")).ok()?;
        let length = file.metadata().ok()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(REFLOG_TAIL))).ok()?;
        let mut tail = Vec::new();
        file.take(REFLOG_TAIL).read_to_end(&mut tail).ok()?;
        let tail = String::from_utf8_lossy(&tail);
        tail.trim_end().rsplit('\n').next().map(str::to_owned)
    }

    fn ask(&self, deadline: Deadline) -> Option<(String, String)> {
        let answer = self.git(&["rev-parse", "HEAD", "--symbolic-full-name", "HEAD"], deadline)?;
        let (after, reference) = answer.split_once('\n')?;
        Some((reference.to_owned(), object(after)?))
    }

    fn git(&self, args: &[&str], deadline: Deadline) -> Option<String> {
        let out = String::from_utf8(bounded::git(&self.here, args, b"", deadline)?).ok()?;
        let out = out.trim_end();
        (!out.is_empty()).then(|| out.to_owned())
    }
}

fn object(text: &str) -> Option<String> {
    let is_name = matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_name.then(|| text.to_owned())
}

/// The two object names a line begins with.
fn pair(line: &str) -> Option<(String, String)> {
    let mut words = line.split_ascii_whitespace();
    Some((object(words.next()?)?, object(words.next()?)?))
}

fn keep(dir: &Path, file: &Path, known: &Known) -> std::io::Result<()> {
    use std::io::Write;
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)?;
    let mut temporary = tempfile::NamedTempFile::new_in(dir)?; // 0600
    temporary.write_all(&serde_json::to_vec(known)?)?;
    temporary.persist(file).map(|_| ()).map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const OLD: &str = "1111111111111111111111111111111111111111";
    const NEW: &str = "2222222222222222222222222222222222222222";
    const NONE: &str = "0000000000000000000000000000000000000000";

    fn place(files: &[(&str, &str)]) -> (tempfile::TempDir, Place) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(".git").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let place = Place::find(dir.path(), None).unwrap();
        (dir, place)
    }

    fn stands(files: &[(&str, &str)]) -> Option<Stands> {
        let (_dir, place) = place(files);
        place.stands(Deadline::after(Duration::ZERO))
    }

    fn at(reference: &str, before: Option<&str>) -> Option<Stands> {
        Some(Stands { reference: reference.to_owned(), before: before.map(str::to_owned), after: NEW.to_owned() })
    }

    #[test]
    fn head_says_where_it_stands_and_its_reflog_where_it_stood() {
        let log =
            format!("{NONE} {OLD} A <a@b> 1 +0000\tcommit (initial): x\n{OLD} {NEW} A <a@b> 2 +0000\tcommit: y\n");
        let branch = [("HEAD", "ref: refs/heads/a/b\n"), ("refs/heads/a/b", NEW), ("logs/HEAD", &log)];
        assert_eq!(stands(&branch), at("refs/heads/a/b", Some(OLD)));
        assert_eq!(stands(&[("HEAD", NEW), ("logs/HEAD", &log)]), at("HEAD", Some(OLD)));
    }

    #[test]
    fn a_first_commit_a_switched_off_reflog_and_one_that_is_behind_name_nothing_before() {
        let first = format!("{NONE} {NEW} A <a@b> 1 +0000\tcommit (initial): x\n");
        let behind = format!("{NONE} {OLD} A <a@b> 1 +0000\tcommit (initial): x\n");
        for log in [Some(first), None, Some(behind), Some("garbage".to_owned())] {
            let mut files = vec![("HEAD", "ref: refs/heads/main\n"), ("refs/heads/main", NEW)];
            files.extend(log.as_deref().map(|log| ("logs/HEAD", log)));
            assert_eq!(stands(&files), at("refs/heads/main", None));
        }
    }

    #[test]
    fn nothing_stands_anywhere_before_the_first_commit_or_in_a_broken_repository() {
        assert_eq!(stands(&[("HEAD", "ref: refs/heads/main\n")]), None);
        assert_eq!(stands(&[("HEAD", "\u{1}\u{2}")]), None);
        assert_eq!(stands(&[("HEAD", "ref: refs/heads/main\n"), ("refs/heads/main", "what")]), None);
    }

    #[test]
    fn rewritten_commits_are_read_from_the_reflog_and_from_a_rebase_under_way() {
        let log = format!("{OLD} {NEW} A <a@b> 2 +0000\tcommit (amend): y\n");
        let pairs = vec![(OLD.to_owned(), NEW.to_owned())];
        let (_dir, amended) = place(&[("HEAD", NEW), ("logs/HEAD", &log)]);
        assert_eq!(amended.rewritten(Some("amend")), pairs);
        let later = format!("{log}{NEW} {OLD} A <a@b> 3 +0000\tcommit: z\n");
        let (_dir, gone_on) = place(&[("HEAD", NEW), ("logs/HEAD", &later)]);
        assert_eq!(gone_on.rewritten(Some("amend")), []);
        let list = format!("{OLD} {NEW}\nnonsense\n");
        let (_dir, rebased) = place(&[("HEAD", NEW), ("rebase-merge/rewritten-list", &list)]);
        assert_eq!(rebased.rewritten(Some("rebase")), pairs);
        let (_dir, other) = place(&[("HEAD", NEW)]);
        assert_eq!(other.rewritten(None), []);
    }
}
