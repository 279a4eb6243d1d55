//! The lines of a text with who wrote them: what `blame` prints, in whatever form.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use countersign_event::facts::How;
use countersign_provenance::attribution::Attribution;
use countersign_provenance::lines::{Author, lines};
use countersign_provenance::spans::Origin;
use countersign_provenance::text::Text;
use countersign_spool::{Reader, SpoolError};
use serde::Serialize;
use serde_json::Value;

use super::state::Layout;

pub(crate) use question::Question;

mod commits;
mod question;

/// The answer.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Blame {
    /// The path in the repository, else as it was given.
    pub(crate) path: String,
    /// The commit that was asked for; `None` for the work tree.
    pub(crate) rev: Option<String>,
    /// The lines that were asked for.
    pub(crate) lines: Vec<BlameLine>,
    /// Whether anybody saw who wrote each of them.
    pub(crate) complete: bool,
    /// What is not known, in words.
    pub(crate) missing: Vec<String>,
    /// Whether anybody is known to have written any of the file.
    #[serde(skip)]
    pub(crate) is_known: bool,
    /// What `git blame --porcelain` printed for the whole file; empty where git does not know it.
    #[serde(skip)]
    pub(crate) told: Vec<u8>,
}

/// One line.
#[derive(Debug, Serialize)]
pub(crate) struct BlameLine {
    /// From 1.
    pub(crate) line: usize,
    /// Without its line end; what is no UTF-8 is replaced.
    pub(crate) text: String,
    /// `ai`, `human`, `mixed` or `unknown`.
    pub(crate) author: &'static str,
    /// `ai`, `human` or `unknown`: whoever last changed its non-blank text.
    pub(crate) last_writer: &'static str,
    /// The part of its non-blank text that its main writer wrote.
    pub(crate) share: f64,
    /// The contributions in it, the largest first.
    pub(crate) contributions: Vec<Part>,
    /// Of the largest contribution.
    #[serde(flatten)]
    pub(crate) facts: Facts,
    /// How the author is known, as in `commit.attested`: that nobody was seen writing a line is no inference.
    pub(crate) how: How,
    /// The commit that git says it came with; `None` where it is not committed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<String>,
}

/// A contribution's part of a line.
#[derive(Debug, Serialize)]
pub(crate) struct Part {
    /// The contribution.
    pub(crate) id: String,
    /// Its part of the line's non-blank text.
    pub(crate) share: f64,
    /// How we know that it is its.
    pub(crate) how: How,
}

/// What is known of a contribution, in a word each.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Facts {
    /// The agent's or editor's session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<String>,
    /// The tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tool: Option<String>,
    /// The model that answered, else the one that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<String>,
    /// The person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) person: Option<String>,
    /// How we know that it happened.
    #[serde(skip)]
    how: Option<How>,
}

/// What was asked.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The file, absolute.
    pub(crate) file: PathBuf,
    /// As it was given: a path in the repository, where that is named.
    pub(crate) given: PathBuf,
    /// From 1, both ends included; `None` for all.
    pub(crate) lines: Option<RangeInclusive<u32>>,
    /// A revision; `None` for the work tree.
    pub(crate) rev: Option<String>,
    /// The repository, where it is not the one around the file.
    pub(crate) git_dir: Option<PathBuf>,
}

impl Asked {
    fn given(&self) -> Option<String> {
        let parts: Option<Vec<&str>> = self.given.components().map(|part| part.as_os_str().to_str()).collect();
        Some(parts.filter(|_| self.given.is_relative())?.join("/"))
    }

    /// Returns the repository of the file, if it is in one.
    pub(crate) fn layout(&self) -> Option<Layout> {
        match &self.git_dir {
            Some(dir) => repository(dir),
            None => self.file.parent().and_then(super::root_of).and_then(|root| Layout::of_root(&root)),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BlameError {
    /// The file is in no repository, and a revision was asked for.
    #[error("{0}: not in a git repository")]
    NoRepository(String),
    /// There is no such revision.
    #[error("{0:?} is not a revision")]
    NoRevision(String),
    /// There is no such file.
    #[error("{0}: there is no such file")]
    NoFile(String),
    /// It is a directory, or something else without lines.
    #[error("{0} is not a file")]
    NotAFile(String),
    /// A bare repository has no work tree.
    #[error("a bare repository has no work tree: say which revision with --rev")]
    NoWorkTree,
    /// The text has not so many lines.
    #[error("{0} has no such lines")]
    NoLines(String),
    /// The file can't be read.
    #[error("cannot read {0}")]
    Read(String, #[source] std::io::Error),
    /// The spool can't be read.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// Takes `--git-dir`: a git directory, or a work tree.
fn repository(dir: &Path) -> Option<Layout> {
    let inside = dir.file_name().is_some_and(|name| name == ".git");
    let root = if inside { dir.parent()? } else { dir };
    Layout::of_root(root).or_else(|| Layout::of_bare(dir))
}

fn finish(
    mut answer: Blame,
    reader: Option<&Reader>,
    asked: &Asked,
    text: &str,
    attribution: &Attribution,
    commits: &HashMap<usize, String>,
    mut is_inferred: impl FnMut(&str) -> bool,
) -> Result<Blame, BlameError> {
    answer.is_known = attribution.origins.iter().any(|(_, origin)| *origin != Origin::Unknown);
    let rope = Text::new(text);
    let range = asked.lines.as_ref().map_or(0..usize::MAX, |lines| *lines.start() as usize - 1..*lines.end() as usize);
    let found = lines(&rope, attribution, range);
    if found.is_empty() && asked.lines.is_some() {
        return Err(BlameError::NoLines(answer.path));
    }
    let mut facts: BTreeMap<String, Facts> = BTreeMap::new();
    let mut unknown = Vec::new();
    // git ends lines at LF alone.
    let mut line_of_git = LineOfGit { text, at: 0, line: 1 };
    for (number, line) in found {
        let start = rope.line_start(number).unwrap_or(text.len());
        let end = rope.line_start(number + 1).unwrap_or(text.len());
        let mut parts = Vec::new();
        for (origin, share) in &line.shares {
            let Origin::Ai(id) = origin else { continue };
            let id = id.as_str();
            if !facts.contains_key(id) {
                facts.insert(id.to_owned(), facts_of(reader, id)?);
            }
            let how = if is_inferred(id) { How::Inferred } else { facts[id].how.unwrap_or(How::Observed) };
            parts.push(Part { id: id.to_owned(), share: *share, how });
        }
        let author = match line.author {
            Author::Human => "human",
            Author::Ai => "ai",
            Author::Mixed => "mixed",
            Author::Unknown => "unknown",
        };
        if line.author == Author::Unknown {
            unknown.push(number + 1);
        }
        let last_writer = match &line.last_writer {
            Origin::Human(_) => "human",
            Origin::Ai(_) => "ai",
            Origin::Unknown => "unknown",
        };
        let how_of = |id: &str| parts.iter().find(|part| part.id == id).map_or(How::Observed, |part| part.how);
        let hows = line.shares.iter().map(|(origin, _)| origin).chain([&line.last_writer]).map(|origin| match origin {
            Origin::Human(how) => *how,
            Origin::Unknown => How::Observed,
            Origin::Ai(id) => how_of(id.as_str()),
        });
        let how = hows.max_by_key(|how| weakness(*how)).unwrap_or(How::Observed);
        answer.lines.push(BlameLine {
            line: number + 1,
            text: text[start..end].trim_end_matches(['\n', '\r']).to_owned(),
            author,
            last_writer,
            share: line.shares.first().map_or(1.0, |(_, share)| *share),
            facts: parts.first().map(|part| facts[&part.id].clone()).unwrap_or_default(),
            contributions: parts,
            how,
            commit: commits.get(&line_of_git.of(start)).cloned(),
        });
    }
    if !unknown.is_empty() {
        answer.missing.push(format!("nobody saw who wrote {}", in_words(&unknown)));
    }
    answer.complete = answer.missing.is_empty();
    Ok(answer)
}

/// A line is known no better than its least known part.
fn weakness(how: How) -> u8 {
    match how {
        How::Observed => 0,
        How::Attested => 1,
        How::Reported => 2,
        How::Inferred => 3,
    }
}

struct LineOfGit<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl LineOfGit<'_> {
    fn of(&mut self, byte: usize) -> usize {
        self.line += self.text.as_bytes()[self.at..byte].iter().filter(|&&byte| byte == b'\n').count();
        self.at = byte;
        self.line
    }
}

/// Writes line numbers as ranges.
fn in_words(lines: &[usize]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for &line in lines {
        match ranges.last_mut() {
            Some((_, end)) if *end + 1 == line => *end = line,
            _ => ranges.push((line, line)),
        }
    }
    let most = 20;
    let mut words: Vec<String> = ranges
        .iter()
        .take(most)
        .map(|(from, to)| if from == to { format!("line {from}") } else { format!("lines {from}-{to}") })
        .collect();
    if ranges.len() > most {
        words.push(format!("and {} more places", ranges.len() - most));
    }
    words.join(", ")
}

/// Looks up what the trail says of a contribution: what was said last, and a name over none.
fn facts_of(reader: Option<&Reader>, contribution: &str) -> Result<Facts, BlameError> {
    let mut facts = Facts::default();
    let Some(reader) = reader else { return Ok(facts) };
    let mut requested = None;
    for stored in reader.by_subject(contribution)? {
        let Ok(header) = stored.bytes.header() else { continue };
        let Ok(data) = serde_json::from_str::<Value>(header.data) else { continue };
        if data["contribution"] != contribution {
            continue;
        }
        let word = |value: &Value| value.as_str().map(str::to_owned);
        facts.session = facts.session.or_else(|| word(&data["path"]["session"]));
        facts.tool = facts.tool.or_else(|| word(&data["path"]["tool"]));
        facts.model = word(&data["model"]["responded"]).or(facts.model);
        requested = requested.or_else(|| word(&data["model"]["requested"]));
        facts.person = facts.person.or_else(|| word(&data["person"]["id"]));
        if facts.how.is_none() {
            facts.how = serde_json::from_value(data["how"].clone()).ok();
        }
    }
    facts.model = facts.model.or(requested);
    Ok(facts)
}
