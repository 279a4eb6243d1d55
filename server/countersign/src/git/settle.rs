//! Brings attributions up to date with what git did: every commit since the first thing that was seen
//! gets its `commit.attested`.
//!
//! Reads objects, references, reflogs and stashes, never the work tree. It may be started by a hook, by an
//! editor or by a question, at any time and twice at once: one runs, the other goes on without. What it
//! writes follows from what is known, so running it again writes nothing; an answer never needs it to have
//! run, it only makes answers quick and outlast the texts they came from.

mod tidy;

use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_event::chain::Head;
use countersign_event::digest::{hex, sha256};
use countersign_event::facts::How;
use countersign_event::payload::Payload;
use countersign_event::payload::commit::{Attested, AttestedFile};
use countersign_provenance::spans::Origin;
use countersign_spool::{Append, Device, Reader, Spool, SpoolError};
use serde::{Deserialize, Serialize};

use super::attested;
use super::attribute::Attributor;
use super::state::Layout;
use crate::recorder::{Complete, Record};
use crate::shell::{Shell, now};

pub(crate) use tidy::tidy;

/// Commits of one run; the next run goes on.
const COMMITS_MAX: usize = 2_000;
/// An event is not larger than this; the files of a larger commit are told in several.
const SPANS_MAX: usize = 4_000;
/// Commits whose events are appended at once.
const GROUP: usize = 64;
/// How long the spool's lock is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// What is remembered of a repository between runs. Losing it costs time and nothing else.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Memory {
    /// What references, reflogs and observations looked like when everything was settled.
    settled: u64,
    /// Commits that need nothing more.
    done: HashSet<String>,
    /// When what nothing needs any more was looked for last, in milliseconds.
    tidied: i64,
}

impl Memory {
    fn read(file: &Path) -> Memory {
        std::fs::read(file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    /// Commits that were attested.
    pub(crate) commits: usize,
    /// Another process was at it, or there is more than one run may do.
    pub(crate) is_partial: bool,
}

/// Settles a repository.
///
/// Errors: the spool can't be read or written; nothing is lost by it.
pub(crate) fn settle(shell: &Shell, layout: &Layout) -> Result<Settled, SpoolError> {
    let state = &shell.paths.state;
    let reader = match Reader::open_within(state, LOCK_WAIT) {
        Ok(reader) => reader,
        Err(SpoolError::Missing { .. }) => return Ok(Settled::default()),
        Err(error) => return Err(error),
    };
    let place = place(state, layout);
    let memory_file = place.with_extension("json");
    let mut memory = Memory::read(&memory_file);
    let looks = looks(&reader, layout)?;
    if memory.settled == looks {
        return Ok(Settled::default());
    }
    let Some(_lock) = lock(&place) else { return Ok(Settled { commits: 0, is_partial: true }) };
    let mut spool = Spool::open_within(state, LOCK_WAIT)?;
    let mut complete = Complete::new(shell.clone(), Device::load_or_create(state)?);
    let root = (layout.worktree != layout.git_dir).then_some(layout.worktree.as_path());
    if complete.is_paused(root) || complete.policy(root).off {
        return Ok(Settled::default());
    }
    // What waits in the inbox was seen earlier than it comes in.
    spool.append(&[])?;
    let mut settled = Settled::default();
    if let Some(attributor) = Attributor::open(&reader, layout)? {
        let mut run =
            Run { reader: &reader, attributor, spool: &mut spool, complete: &mut complete, layout, head: None };
        settled = run.all(&mut memory.done)?;
    }
    if !settled.is_partial {
        memory.settled = looks;
    }
    remember(&memory_file, &memory);
    Ok(settled)
}

/// Returns a number that changes when there may be something to settle. Reads no object and starts no git.
fn looks(reader: &Reader, layout: &Layout) -> Result<u64, SpoolError> {
    let mut hash = DefaultHasher::new();
    reader.last_snapshot()?.hash(&mut hash);
    let mut files = vec![layout.common_dir.join("packed-refs"), layout.common_dir.join("reftable/tables.list")];
    let mut dirs = vec![layout.common_dir.join("refs")];
    for dir in [Some(layout.common_dir.clone())].into_iter().flatten().chain(linked(&layout.common_dir)) {
        files.extend(["HEAD", "logs/HEAD"].map(|name| dir.join(name)));
    }
    files.push(layout.common_dir.join("logs/refs/stash"));
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => dirs.push(entry.path()),
                _ => files.push(entry.path()),
            }
        }
    }
    files.sort();
    for file in files {
        let metadata = file.metadata().ok();
        let changed = metadata.as_ref().and_then(|metadata| metadata.modified().ok());
        (&file, metadata.map(|metadata| metadata.len()), changed).hash(&mut hash);
    }
    Ok(hash.finish())
}

fn linked(common_dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(common_dir.join("worktrees"));
    entries.into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Returns where a repository's memory is kept, without an extension.
pub(super) fn place(state: &Path, layout: &Layout) -> PathBuf {
    state.join("settle").join(hex(&sha256(layout.common_dir.to_string_lossy().as_bytes())[..16]))
}

/// Takes the repository's lock; it dies with its process. `None` where another has it.
fn lock(place: &Path) -> Option<File> {
    std::fs::create_dir_all(place.parent()?).ok()?;
    let file = File::options().create(true).append(true).open(place.with_extension("lock")).ok()?;
    match file.try_lock() {
        Ok(()) => Some(file),
        Err(TryLockError::WouldBlock) => None,
        Err(TryLockError::Error(error)) => {
            tracing::warn!(%error, "settle has no lock");
            None
        }
    }
}

/// Writes a file so that nobody reads half of it.
pub(super) fn replace(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut temporary = tempfile::NamedTempFile::new_in(file.parent().expect("our files have a directory"))?;
    temporary.write_all(bytes)?;
    temporary.persist(file).map(|_| ()).map_err(Into::into)
}

fn remember(file: &Path, memory: &Memory) {
    let bytes = serde_json::to_vec(memory).expect("it is all strings and numbers");
    if let Err(error) = replace(file, &bytes) {
        tracing::warn!(%error, "what was settled can't be remembered: it will be looked at again");
    }
}

struct Run<'a> {
    reader: &'a Reader,
    attributor: Attributor<'a>,
    spool: &'a mut Spool,
    complete: &'a mut Complete,
    layout: &'a Layout,
    /// The trail's head before what is appended next.
    head: Option<Head>,
}

impl Run<'_> {
    fn all(&mut self, done: &mut HashSet<String>) -> Result<Settled, SpoolError> {
        let versions = self.attributor.history().versions();
        let open = versions.into_iter().filter(|(commit, _)| !done.contains(&**commit));
        let mut open = open.collect::<Vec<_>>();
        let is_partial = open.len() > COMMITS_MAX;
        open.truncate(COMMITS_MAX);
        let repository = self.repository();
        let mut commits = 0;
        for group in open.chunks(GROUP) {
            let mut appends = Vec::new();
            self.head = None;
            for (commit, paths) in group {
                if attested::is_there(self.reader, commit)? {
                    continue;
                }
                let files = self.files(commit, paths);
                let told = self.appends(commit, files, &repository)?;
                commits += usize::from(!told.is_empty());
                appends.extend(told);
            }
            if !appends.is_empty() {
                self.spool.append(&appends)?;
            }
            done.extend(group.iter().map(|(commit, _)| commit.to_string()));
        }
        Ok(Settled { commits, is_partial })
    }

    fn repository(&mut self) -> String {
        let root = self.layout.worktree.clone();
        let repository = self.complete.repositories().of_root(root).and_then(|repository| repository.id.clone());
        repository.unwrap_or_default()
    }

    /// Returns every changed path of a commit with its writers; nothing where nobody saw any of it.
    fn files(&mut self, commit: &str, paths: &[std::sync::Arc<str>]) -> Vec<AttestedFile> {
        let mut files = Vec::new();
        let mut is_known = false;
        let root = self.root().map(Path::to_owned);
        let policy = self.complete.policy(root.as_deref());
        for path in paths.iter().filter(|path| !policy.is_excluded(path)) {
            let Some(known) = self.attributor.of_version(commit, path) else { continue };
            is_known |= known.attribution.origins.iter().any(|(_, origin)| *origin != Origin::Unknown);
            let history = self.attributor.history();
            let blob = super::state::git_blob_like(known.text.as_bytes(), Some(commit));
            let mut is_inferred = |id: &str| history.is_inferred(id);
            files.push(attested::file(path, &blob, &known.text, &known.attribution, &mut is_inferred));
        }
        if is_known { files } else { Vec::new() }
    }

    fn appends(&mut self, commit: &str, files: Vec<AttestedFile>, repository: &str) -> Result<Vec<Append>, SpoolError> {
        if files.is_empty() {
            return Ok(Vec::new());
        }
        let head = match self.head.take() {
            Some(head) => head,
            None => self.spool.head()?,
        };
        self.head = Some(head);
        let mut parts: Vec<Vec<AttestedFile>> = Vec::new();
        let mut spans = usize::MAX;
        for file in files {
            let count = file.spans.len() + file.writers.len() + 1;
            if spans.saturating_add(count) > SPANS_MAX {
                parts.push(Vec::new());
                spans = 0;
            }
            spans += count;
            parts.last_mut().expect("one was pushed").push(file);
        }
        let parents = self.attributor.history().parents(commit);
        let payloads = parts.into_iter().map(|files| {
            Payload::CommitAttested(Attested {
                how: How::Observed,
                repository: repository.to_owned(),
                commit: commit.to_owned(),
                parents: parents.iter().map(|parent| parent.to_string()).collect(),
                files,
                head: self.head.clone(),
            })
        });
        let records = payloads.map(|payload| Record::light(now(), commit, payload)).collect::<Vec<_>>();
        let root = self.root().map(Path::to_owned);
        Ok(records.into_iter().filter_map(|record| self.complete.complete(record, root.as_deref())).collect())
    }

    /// The root of the work tree; a bare repository has none.
    fn root(&self) -> Option<&Path> {
        (self.layout.worktree != self.layout.git_dir).then_some(self.layout.worktree.as_path())
    }
}
