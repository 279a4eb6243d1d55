//! What was asked: a file, its lines, a revision.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cli::TraceArgs;
use crate::error::Failure;
use crate::git::Repositories;

/// A place in a file that may not be here.
#[derive(Debug)]
pub(super) struct Asked {
    /// As it was asked.
    pub(super) shown: String,
    /// Absolute, links resolved where the file is here.
    pub(super) file: PathBuf,
    /// As it was given, for an archive that knows the file by its path alone.
    given: String,
    /// From 1, both ends included; none for the whole file.
    pub(super) lines: Option<RangeInclusive<u32>>,
    rev: Option<String>,
}

impl Asked {
    /// Reads `FILE`, `FILE:A` or `FILE:A-B`.
    pub(super) fn read(args: &TraceArgs) -> Result<Asked, Failure> {
        let (given, lines) = split(&args.place);
        if lines.as_ref().is_some_and(|lines| *lines.start() == 0 || lines.is_empty()) {
            return Err(Failure::usage(format!("{}: lines begin at 1, and A comes before B", args.place)));
        }
        let file = std::path::absolute(given).map_err(|error| Failure::usage(format!("{given:?}: {error}")))?;
        Ok(Asked {
            shown: args.place.clone(),
            file: file.canonicalize().unwrap_or(file),
            given: given.replace('\\', "/"),
            lines,
            rev: args.rev.clone(),
        })
    }

    /// Returns the contribution, where one was named and no file.
    pub(super) fn contribution(&self) -> Option<String> {
        let id = uuid::Uuid::try_parse(&self.shown).ok()?;
        (!self.file.exists()).then(|| id.to_string())
    }

    /// Reads the text of the file, now or in the revision. `None` where there is no such file.
    ///
    /// Errors: it is not UTF-8, or can't be read.
    pub(super) fn text(&self) -> Result<Option<String>, Failure> {
        let bytes = match &self.rev {
            None => match std::fs::read(&self.file) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(Failure::from_error(&format!("cannot read {}", self.file.display()), &error)),
            },
            Some(rev) => self.at(rev)?,
        };
        let text = String::from_utf8(bytes);
        text.map(Some).map_err(|_| Failure::could_not(format!("{} is not UTF-8 text", self.file.display())))
    }

    fn at(&self, rev: &str) -> Result<Vec<u8>, Failure> {
        let (root, path) = self
            .repository_path()
            .ok_or_else(|| Failure::usage(format!("--rev: {} is in no git repository", self.file.display())))?;
        if rev.starts_with('-') {
            return Err(Failure::usage(format!("{rev:?} is not a revision")));
        }
        let output = Command::new("git")
            .arg("-C")
            .arg(&root)
            .args(["cat-file", "blob", &format!("{rev}:{path}")])
            .env("GIT_OPTIONAL_LOCKS", "0")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| Failure::from_error("cannot run git", &error))?;
        match output.status.success() {
            true => Ok(output.stdout),
            false => Err(Failure::usage(format!("{path} is not in {rev}"))),
        }
    }

    /// The root of the repository and the file's path in it, with `/`.
    fn repository_path(&self) -> Option<(PathBuf, String)> {
        let root = crate::git::root_of(self.file.parent()?)?;
        let parts = self.file.strip_prefix(&root).ok()?.components();
        let path: Vec<_> = parts.map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
        Some((root, path.join("/")))
    }

    /// The repository's ID, where the file is in one, and its path there; else the path as given.
    pub(super) fn in_repository(&self) -> (Option<String>, String) {
        match self.repository_path() {
            Some((_, path)) => {
                let mut repositories = Repositories::default();
                (repositories.of_file(&self.file).and_then(|it| it.id.clone()), path)
            }
            None => (None, self.given.clone()),
        }
    }

    /// The file's name for its snapshots.
    pub(super) fn snapshot_path(&self) -> String {
        self.file.to_string_lossy().into_owned()
    }

    /// Says whether an event's URI is this file's.
    pub(super) fn is_uri(&self, uri: &str) -> bool {
        let file = crate::recorder::file_of_uri(uri);
        file.is_some_and(|file| file == self.file || same_file(&file, &self.file))
    }
}

fn same_file(a: &Path, b: &Path) -> bool {
    a.canonicalize().is_ok_and(|a| a == b)
}

/// Splits lines off the end; a colon that is followed by anything else belongs to the name.
pub(in crate::command) fn split(place: &str) -> (&str, Option<RangeInclusive<u32>>) {
    let Some((file, tail)) = place.rsplit_once(':') else { return (place, None) };
    let (from, to) = tail.split_once('-').unwrap_or((tail, tail));
    match (from.parse(), to.parse()) {
        (Ok(from), Ok(to)) if !file.is_empty() => (file, Some(from..=to)),
        _ => (place, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_off_the_end_and_other_colons_stay() {
        assert_eq!(split("a.rs"), ("a.rs", None));
        assert_eq!(split("a.rs:7"), ("a.rs", Some(7..=7)));
        assert_eq!(split("a.rs:7-9"), ("a.rs", Some(7..=9)));
        assert_eq!(split("C:\\a.rs"), ("C:\\a.rs", None));
        assert_eq!(split("C:\\a.rs:1-2"), ("C:\\a.rs", Some(1..=2)));
        assert_eq!(split("a:b.rs:x"), ("a:b.rs:x", None));
    }
}
