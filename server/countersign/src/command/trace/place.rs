//! What was asked: a file, its lines, a revision.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use crate::cli::TraceArgs;
use crate::error::Failure;
use crate::git::{Repositories, blame};

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
        // A file of this very name may end like a range.
        let (given, lines) = match Path::new(&args.place).exists() {
            true => (args.place.as_str(), None),
            false => split(&args.place),
        };
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

    /// The same question, for `blame`.
    pub(super) fn for_blame(&self) -> blame::Asked {
        blame::Asked {
            file: self.file.clone(),
            given: self.given.clone().into(),
            lines: self.lines.clone(),
            rev: self.rev.clone(),
            git_dir: None,
        }
    }

    /// Says whether a revision was named.
    pub(super) fn is_revision(&self) -> bool {
        self.rev.is_some()
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
