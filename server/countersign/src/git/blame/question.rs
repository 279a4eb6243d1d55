//! A question about a file's lines: what git can say is asked at once, what we know is looked up meanwhile.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use countersign_provenance::attribution::Attribution;
use countersign_provenance::spans::Origin;
use countersign_spool::Reader;

use super::commits::{Running, by_line};
use super::{Asked, Blame, BlameError, finish};
use crate::git::attested::{self, Nearest};
use crate::git::attribute::Attributor;
use crate::git::objects::{Objects, TEXT_BYTES_MAX};
use crate::git::state::{Layout, real};

/// What was asked, found.
pub(crate) struct Question<'a> {
    asked: &'a Asked,
    layout: Option<Layout>,
    /// The file, with the links of its directory resolved.
    file: PathBuf,
    /// The path in the repository.
    path: Option<String>,
    commit: Option<String>,
    objects: Option<Objects>,
    blame: Option<Running>,
    last_change: Option<Running>,
}

/// A file's bytes, or why there are none.
enum Bytes {
    Here(Vec<u8>),
    TooLarge,
    Missing,
}

impl<'a> Question<'a> {
    /// Finds the repository, the revision and the path, and starts git on them.
    pub(crate) fn ask(asked: &'a Asked) -> Result<Question<'a>, BlameError> {
        let shown = asked.file.display().to_string();
        let layout = asked.layout();
        if let (None, Some(dir)) = (&layout, &asked.git_dir) {
            return Err(BlameError::NoRepository(dir.display().to_string()));
        }
        let file = real(&asked.file);
        let path = match &layout {
            // Whoever names a repository names its path, unless the file stands in its work tree.
            Some(layout) if asked.git_dir.is_some() => layout.path_of(&file).or_else(|| asked.given()),
            Some(layout) => layout.path_of(&file),
            None => None,
        };
        let mut objects = layout.as_ref().map(|layout| Objects::of(&layout.git_dir));
        let commit = match (&asked.rev, &mut objects) {
            (Some(rev), Some(objects)) => {
                let found = objects.name(&format!("{rev}^{{commit}}"));
                Some(found.ok_or_else(|| BlameError::NoRevision(rev.clone()))?.oid)
            }
            (Some(_), None) => return Err(BlameError::NoRepository(shown)),
            (None, _) => None,
        };
        let mut question = Question { asked, layout, file, path, commit, objects, blame: None, last_change: None };
        if let (Some(layout), Some(path)) = (&question.layout, &question.path) {
            let commit = question.commit.as_deref();
            question.blame = Some(Running::blame(layout, commit, path));
            question.last_change = Some(Running::last_change(layout, commit, path));
        }
        Ok(question)
    }

    /// The repository, if the file is in one.
    pub(crate) fn layout(&self) -> Option<&Layout> {
        self.layout.as_ref()
    }

    /// Answers. Without a reader nothing was ever recorded on this device.
    pub(crate) fn answer(mut self, reader: Option<&Reader>) -> Result<Blame, BlameError> {
        let mut answer = Blame {
            path: self.path.clone().unwrap_or_else(|| self.shown()),
            rev: self.commit.clone(),
            ..Blame::default()
        };
        let mut without_lines = |why: String| {
            answer.missing.push(why);
            Ok(std::mem::take(&mut answer))
        };
        let bytes = match self.bytes()? {
            Bytes::Here(bytes) if bytes.contains(&0) => return without_lines(format!("{} is not text", self.name())),
            Bytes::Here(bytes) => bytes,
            Bytes::TooLarge => {
                let limit = TEXT_BYTES_MAX >> 20;
                let name = self.name();
                return without_lines(format!("{name} is larger than {limit} MiB: its lines are not attributed"));
            }
            Bytes::Missing => return without_lines(format!("git does not have the text of {}", self.name())),
        };
        let mut known = Sources::default();
        let (text, attribution) = match (String::from_utf8(bytes), reader) {
            (Err(error), _) => {
                answer.missing.push(format!("{} is not UTF-8: its lines are not attributed", self.name()));
                (String::from_utf8_lossy(error.as_bytes()).into_owned(), None)
            }
            (Ok(text), None) => {
                answer.missing.push("nothing has been recorded on this device".to_owned());
                (text, None)
            }
            (Ok(text), Some(reader)) => {
                let attribution = self.attribution(reader, &text, &mut known)?;
                (text, attribution)
            }
        };
        let attribution = attribution.filter(|found| found.covers(text.len()));
        let attribution = attribution.unwrap_or_else(|| Attribution::new(text.len(), Origin::Unknown));
        if let Some(broken) = known.attributor.as_mut().map(Attributor::broken).filter(|broken| *broken > 0) {
            let are = if broken == 1 { "text that was seen is" } else { "texts that were seen are" };
            answer.missing.push(format!("{broken} {are} damaged or gone: what came with them is not known"));
        }
        answer.told = self.blame.as_mut().and_then(Running::answer).unwrap_or_default();
        let commits = by_line(&answer.told);
        finish(answer, reader, self.asked, &text, &attribution, &commits, |id| known.is_inferred(id))
    }

    fn shown(&self) -> String {
        self.asked.file.display().to_string()
    }

    fn name(&self) -> String {
        self.path.clone().unwrap_or_else(|| self.shown())
    }

    fn bytes(&mut self) -> Result<Bytes, BlameError> {
        match (&self.commit, &mut self.objects, &self.path) {
            (Some(commit), Some(objects), Some(path)) => {
                let name = format!("{commit}:{path}");
                let found = match objects.name(&name) {
                    Some(found) if found.is_blob => found,
                    None if objects.oid(&name).is_some() => return Ok(Bytes::Missing),
                    _ => return Err(BlameError::NoFile(format!("{path} in {commit}"))),
                };
                if found.bytes > TEXT_BYTES_MAX {
                    return Ok(Bytes::TooLarge);
                }
                Ok(objects.blob(&found.oid).map_or(Bytes::Missing, Bytes::Here))
            }
            (Some(commit), ..) => Err(BlameError::NoFile(format!("{} in {commit}", self.shown()))),
            _ if self.layout.as_ref().is_some_and(|layout| layout.worktree == layout.git_dir) => {
                Err(BlameError::NoWorkTree)
            }
            _ => read(&self.file, &self.shown()),
        }
    }

    /// Looks for the writers: what was attested of this very text, else everything that may explain it.
    fn attribution<'r>(
        &mut self,
        reader: &'r Reader,
        text: &str,
        known: &mut Sources<'r>,
    ) -> Result<Option<Attribution>, BlameError> {
        let nearest = self.nearest(reader, text);
        if let Some(nearest) = nearest.as_ref().filter(|it| it.is_exact) {
            known.inferred.clone_from(&nearest.inferred);
            return Ok(Some(nearest.attribution.clone()));
        }
        known.attributor = match &self.layout {
            Some(layout) => Attributor::open(reader, layout)?,
            None => Some(Attributor::outside(reader, &self.file)?),
        };
        let path = self.path.clone().unwrap_or_else(|| self.file.to_string_lossy().into_owned());
        Ok(match (&mut known.attributor, &self.commit) {
            (Some(it), Some(commit)) => {
                let version = it.of_version(commit, &path).filter(|version| *version.text == *text);
                version.map(|version| version.attribution.clone())
            }
            (Some(it), None) => Some(it.of_text(&path, text)),
            // What was seen in another clone on this device was attested under the same commits.
            (None, _) => nearest.map(|it| {
                known.inferred = it.inferred;
                it.attribution
            }),
        })
    }

    fn nearest(&mut self, reader: &Reader, text: &str) -> Option<Nearest> {
        let made = String::from_utf8(self.last_change.as_mut()?.answer()?).ok()?;
        let made = made.trim_end();
        if made.is_empty() {
            return None;
        }
        attested::nearest(reader, self.objects.as_mut()?, made, self.path.as_deref()?, text)
    }
}

/// Where an attribution came from, to tell how its parts are known.
#[derive(Default)]
struct Sources<'r> {
    attributor: Option<Attributor<'r>>,
    /// Contributions of which only one side was seen, as was attested.
    inferred: HashSet<String>,
}

impl Sources<'_> {
    fn is_inferred(&mut self, contribution: &str) -> bool {
        let inferred = self.attributor.as_mut().is_some_and(|it| it.history().is_inferred(contribution));
        inferred || self.inferred.contains(contribution)
    }
}

/// Reads a file of the work tree; a symbolic link's text is where it points, as git has it.
fn read(file: &Path, shown: &str) -> Result<Bytes, BlameError> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => BlameError::NoFile(shown.to_owned()),
        _ => BlameError::Read(shown.to_owned(), error),
    };
    let metadata = file.symlink_metadata().map_err(failed)?;
    if metadata.is_symlink() {
        let target = std::fs::read_link(file).map_err(failed)?;
        return Ok(Bytes::Here(target.to_string_lossy().into_owned().into_bytes()));
    }
    if !metadata.is_file() {
        return Err(BlameError::NotAFile(shown.to_owned()));
    }
    if metadata.len() > TEXT_BYTES_MAX {
        return Ok(Bytes::TooLarge);
    }
    std::fs::read(file).map(Bytes::Here).map_err(failed)
}
