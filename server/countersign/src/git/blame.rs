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

use super::attested;
use super::attribute::{self, Attributor};
use super::objects::{Objects, TEXT_BYTES_MAX};
use super::state::Layout;

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
    /// How the author is known. Of an unknown one that is `inferred`: nothing that was seen explains the line.
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

/// Answers. Without a reader nothing was ever recorded on this device.
pub(crate) fn blame(reader: Option<&Reader>, asked: &Asked) -> Result<Blame, BlameError> {
    let shown = asked.file.display().to_string();
    let layout = asked.layout();
    if let (None, Some(dir)) = (&layout, &asked.git_dir) {
        return Err(BlameError::NoRepository(dir.display().to_string()));
    }
    let file = super::state::real(&asked.file);
    let path = match &layout {
        // Whoever names a repository names its path, unless the file stands in its work tree.
        Some(layout) if asked.git_dir.is_some() => layout.path_of(&file).or_else(|| asked.given()),
        Some(layout) => layout.path_of(&file),
        None => None,
    };
    let mut answer = Blame { path: path.clone().unwrap_or_else(|| shown.clone()), ..Blame::default() };
    let mut objects = layout.as_ref().map(|layout| Objects::of(&layout.git_dir));
    let commit = match (&asked.rev, &mut objects) {
        (Some(rev), Some(objects)) => {
            let found = objects.name(&format!("{rev}^{{commit}}"));
            Some(found.ok_or_else(|| BlameError::NoRevision(rev.clone()))?.oid)
        }
        (Some(_), None) => return Err(BlameError::NoRepository(shown)),
        (None, _) => None,
    };
    answer.rev = commit.clone();
    let bytes = match (&commit, &mut objects, &path) {
        (Some(commit), Some(objects), Some(path)) => {
            let found = objects.name(&format!("{commit}:{path}")).filter(|found| found.is_blob);
            let found = found.ok_or_else(|| BlameError::NoFile(format!("{path} in {commit}")))?;
            if found.bytes > TEXT_BYTES_MAX { Read::TooLarge } else { objects.blob(&found.oid).into() }
        }
        (Some(commit), _, None) => return Err(BlameError::NoFile(format!("{shown} in {commit}"))),
        _ if layout.as_ref().is_some_and(|layout| layout.worktree == layout.git_dir) => {
            return Err(BlameError::NoWorkTree);
        }
        _ => read(&file, &shown)?,
    };
    let bytes = match bytes {
        Read::Bytes(bytes) => bytes,
        Read::TooLarge => {
            let limit = TEXT_BYTES_MAX >> 20;
            answer.missing.push(format!("{} is larger than {limit} MiB: its lines are not attributed", answer.path));
            return Ok(answer);
        }
        Read::Missing => {
            answer.missing.push(format!("git does not have the text of {}", answer.path));
            return Ok(answer);
        }
    };
    let text = match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => text,
        Ok(_) => {
            answer.missing.push(format!("{} is not text", answer.path));
            return Ok(answer);
        }
        Err(error) if error.as_bytes().contains(&0) => {
            answer.missing.push(format!("{} is not text", answer.path));
            return Ok(answer);
        }
        Err(error) => {
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            answer.missing.push(format!("{} is not UTF-8: its lines are not attributed", answer.path));
            let attribution = Attribution::new(text.len(), Origin::Unknown);
            return finish(answer, None, asked, &text, &attribution, &HashMap::new(), |_| false);
        }
    };
    let commits =
        layout.as_ref().zip(path.as_deref()).map(|(layout, path)| Commits::ask(layout, commit.as_deref(), path));
    let Some(reader) = reader else {
        answer.missing.push("nothing has been recorded on this device".to_owned());
        let attribution = Attribution::new(text.len(), Origin::Unknown);
        let commits = commits.map(|it| it.answer(&mut answer.told)).unwrap_or_default();
        return finish(answer, None, asked, &text, &attribution, &commits, |_| false);
    };
    let nearest = match (&mut objects, &path) {
        (Some(objects), Some(path)) => attested::nearest(reader, objects, commit.as_deref(), path, &text),
        _ => None,
    };
    if let Some(it) = nearest.as_ref().filter(|it| it.is_exact) {
        let commits = commits.map(|it| it.answer(&mut answer.told)).unwrap_or_default();
        let is_inferred = |id: &str| it.inferred.contains(id);
        return finish(answer, Some(reader), asked, &text, &it.attribution, &commits, is_inferred);
    }
    let mut attributor = match &layout {
        Some(layout) => Attributor::open(reader, layout)?,
        None => None,
    };
    let attribution = match (&mut attributor, &commit, &path, &layout) {
        (Some(it), Some(commit), Some(path), _) => it.of_version(commit, path).map(|known| known.attribution.clone()),
        (Some(it), None, Some(path), Some(layout)) => Some(it.of_text(layout, path, &text)),
        (None, None, _, None) => Some(attribute::of_text(reader, &file, &text)?),
        // What was seen in another clone on this device was attested under the same commits.
        _ => nearest.map(|it| it.attribution),
    };
    let attribution = attribution.filter(|found| found.covers(text.len()));
    let attribution = attribution.unwrap_or_else(|| Attribution::new(text.len(), Origin::Unknown));
    if let Some(broken) = attributor.as_mut().map(Attributor::broken).filter(|broken| *broken > 0) {
        let are = if broken == 1 { "text that was seen is" } else { "texts that were seen are" };
        answer.missing.push(format!("{broken} {are} damaged or gone: what came with them is not known"));
    }
    let commits = commits.map(|it| it.answer(&mut answer.told)).unwrap_or_default();
    let is_inferred = |id: &str| attributor.as_mut().is_some_and(|it| it.history().is_inferred(id));
    finish(answer, Some(reader), asked, &text, &attribution, &commits, is_inferred)
}

/// Takes `--git-dir`: a git directory, or a work tree.
fn repository(dir: &Path) -> Option<Layout> {
    let inside = dir.file_name().is_some_and(|name| name == ".git");
    let root = if inside { dir.parent()? } else { dir };
    Layout::of_root(root).or_else(|| Layout::of_bare(dir))
}

enum Read {
    Bytes(Vec<u8>),
    TooLarge,
    Missing,
}

impl From<Option<Vec<u8>>> for Read {
    fn from(bytes: Option<Vec<u8>>) -> Read {
        bytes.map_or(Read::Missing, Read::Bytes)
    }
}

/// Reads a file of the work tree; a symbolic link's text is where it points, as git has it.
fn read(file: &Path, shown: &str) -> Result<Read, BlameError> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => BlameError::NoFile(shown.to_owned()),
        _ => BlameError::Read(shown.to_owned(), error),
    };
    let metadata = file.symlink_metadata().map_err(failed)?;
    if metadata.is_symlink() {
        let target = std::fs::read_link(file).map_err(failed)?;
        return Ok(Read::Bytes(target.to_string_lossy().into_owned().into_bytes()));
    }
    if !metadata.is_file() {
        return Err(BlameError::NotAFile(shown.to_owned()));
    }
    if metadata.len() > TEXT_BYTES_MAX {
        return Ok(Read::TooLarge);
    }
    std::fs::read(file).map(Read::Bytes).map_err(failed)
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
            Origin::Unknown => How::Inferred,
            Origin::Ai(id) => how_of(id.as_str()),
        });
        let how = hows.max_by_key(|how| weakness(*how)).unwrap_or(How::Inferred);
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

/// git's own word on the commit of each line, asked for while we do our part.
struct Commits(Option<std::process::Child>);

impl Commits {
    fn ask(layout: &Layout, commit: Option<&str>, path: &str) -> Commits {
        let mut command = super::objects::command(&layout.git_dir);
        if commit.is_none() {
            command.arg("--work-tree").arg(&layout.worktree).current_dir(&layout.worktree);
        }
        command.args(["blame", "--porcelain"]).args(commit).arg("--").arg(path);
        let piped = command.stdin(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        Commits(piped.stdout(std::process::Stdio::piped()).spawn().ok())
    }

    fn answer(self, told: &mut Vec<u8>) -> HashMap<usize, String> {
        let output = self.0.and_then(|child| child.wait_with_output().ok());
        let Some(output) = output.filter(|output| output.status.success()) else { return HashMap::new() };
        let mut commits = HashMap::new();
        for line in output.stdout.split(|&byte| byte == b'\n') {
            // `commit, line there, line here[, how many]`; texts begin with a tab.
            let Ok(line) = std::str::from_utf8(line) else { continue };
            let mut fields = line.split(' ');
            let (Some(id), Some(_), Some(number)) = (fields.next(), fields.next(), fields.next()) else { continue };
            let is_id = matches!(id.len(), 40 | 64) && id.bytes().all(|byte| byte.is_ascii_hexdigit());
            if let (true, Ok(number)) = (is_id && !id.bytes().all(|byte| byte == b'0'), number.parse()) {
                commits.insert(number, id.to_owned());
            }
        }
        *told = output.stdout;
        commits
    }
}
