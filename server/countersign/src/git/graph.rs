//! Commits since the first thing that was seen, with what each changed; and reflogs.
//!
//! A commit never changes, so what git said of it once is kept in a file and git is asked for the others
//! alone. Losing the file costs time, and of what was let go the order of what was there before what.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_event::digest::{hex, sha256};
use countersign_provenance::history::{Change, Commit, Entry, TextId};
use serde::{Deserialize, Serialize};

use super::objects::Objects;

/// So many commits are asked for at once, the newest; older ones are known by what was attested of them.
const NEW_MAX: usize = 5_000;
/// So many are kept.
const KEPT_MAX: usize = 20_000;
/// Commits of which git lacks objects; where there are more, the rest is left alone.
const BROKEN_MAX: usize = 64;
/// Another format is another number: a file of one that is not known is read anew from git.
const FORMAT: u32 = 1;

/// What git said so far, the newest first.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Graph {
    format: u32,
    /// Where everything began: what these reach is older than all that was seen.
    older: Vec<String>,
    commits: Vec<Row>,
    #[serde(skip)]
    is_changed: bool,
}

/// A commit: its name, its parents, a digest of author and date, the committer's date, what it changed, and the
/// number of what was seen first after it, where that may be gone.
#[derive(Debug, Serialize, Deserialize)]
struct Row(String, Vec<String>, String, i64, Vec<Delta>, Option<i64>);

/// A changed path: against which parent, the path there after a rename, the path, the blobs.
#[derive(Debug, Serialize, Deserialize)]
struct Delta(usize, Option<String>, String, Option<String>, Option<String>);

impl Graph {
    /// Reads what is kept; nothing where that can't be read.
    pub(crate) fn read(file: &Path) -> Graph {
        let kept: Option<Graph> = std::fs::read(file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        kept.filter(|graph| graph.format == FORMAT).unwrap_or_default()
    }

    /// Keeps it, where something is new and the directory is there.
    pub(crate) fn keep(&self, file: &Path) {
        if !self.is_changed || !file.parent().is_some_and(Path::is_dir) {
            return;
        }
        if let Err(error) = self.write(file) {
            tracing::warn!(%error, "what git said of commits can't be kept: it will be asked again");
        }
    }

    /// Notes when commits were born, as long as anybody can tell.
    pub(crate) fn note_births(&mut self, file: &Path, born: impl Fn(&str) -> Option<i64>) -> std::io::Result<()> {
        self.commits.iter_mut().for_each(|row| row.5 = born(&row.0));
        self.write(file)
    }

    fn write(&self, file: &Path) -> std::io::Result<()> {
        super::settle::replace(file, &serde_json::to_vec(self).expect("it is all strings and numbers"))
    }

    /// Asks for the commits that are new: those that no `older` commit reaches, of every reference, reflog and
    /// named commit. What git can't say stays unknown.
    pub(crate) fn update(&mut self, objects: &mut Objects, named: &[&str], older: &[&str]) {
        if self.format != FORMAT {
            *self =
                Graph { format: FORMAT, older: older.iter().map(|&id| id.to_owned()).collect(), ..Graph::default() };
        }
        let mut new = self.listed(objects, named).unwrap_or_default();
        if new.is_empty() {
            return;
        }
        add_changes(objects, &mut new);
        self.is_changed = true;
        new.append(&mut self.commits);
        new.truncate(KEPT_MAX);
        self.commits = new;
    }

    fn listed(&self, objects: &mut Objects, named: &[&str]) -> Option<Vec<Row>> {
        let known: HashSet<&str> = self.commits.iter().map(|row| row.0.as_str()).collect();
        let inner: HashSet<&str> = self.commits.iter().flat_map(|row| &row.1).map(String::as_str).collect();
        let tips = known.iter().filter(|id| !inner.contains(*id)).copied();
        let done: Vec<&str> = self.older.iter().map(String::as_str).chain(tips).collect();
        let mut input = String::new();
        for (sign, ids) in [("", named), ("^", &done)] {
            for id in ids.iter().filter(|id| !(sign.is_empty() && known.contains(**id))) {
                // One that git has forgotten would be an error.
                if objects.name(id).is_some() {
                    input.push_str(&format!("{sign}{id}\n"));
                }
            }
        }
        let count = format!("--max-count={NEW_MAX}");
        let format = "--format=%H%x00%P%x00%an%x00%ae%x00%at%x00%ct";
        let args = ["log", "--topo-order", "--no-show-signature", &count, format, "-z", "--all", "--reflog", "--stdin"];
        let listing = objects.run(&args, input.as_bytes())?;
        let listing = String::from_utf8_lossy(&listing);
        let fields: Vec<&str> = listing.split('\0').collect();
        let rows = fields.chunks_exact(6).filter(|row| !known.contains(row[0])).map(|row| {
            let parents = row[1].split_whitespace().map(str::to_owned).collect();
            let author = hex(&sha256(row[2..5].join("\0").as_bytes())[..16]);
            Row(row[0].to_owned(), parents, author, row[5].parse().unwrap_or(0), Vec::new(), None)
        });
        Some(rows.collect())
    }

    /// Returns the commits; `text` numbers blobs.
    pub(crate) fn commits(&self, text: &mut dyn FnMut(&str) -> TextId) -> Vec<Commit> {
        let mut paths: HashMap<&str, Arc<str>> = HashMap::new();
        let mut path = |path| Arc::clone(paths.entry(path).or_insert_with(|| path.into()));
        let mut commits = Vec::with_capacity(self.commits.len());
        for Row(id, parents, author, time, changes, born) in &self.commits {
            let changes = changes.iter().map(|Delta(parent, from, to, old, new)| Change {
                parent: *parent,
                from: path(from.as_deref().unwrap_or(to)),
                path: path(to),
                old: old.as_deref().map(&mut *text),
                new: new.as_deref().map(&mut *text),
            });
            let changes = changes.collect();
            let parents = parents.iter().map(|parent| parent.as_str().into()).collect();
            let (id, author) = (id.as_str().into(), author.as_str().into());
            commits.push(Commit { id, parents, author, time: *time, changes, born: *born });
        }
        commits
    }
}

/// Adds what each commit changed. One of which git lacks a tree is taken out: of it nothing is known.
fn add_changes(objects: &Objects, commits: &mut Vec<Row>) {
    let mut broken: HashSet<usize> = HashSet::new();
    let mut waiting = vec![(0, commits.len())];
    while let Some((from, to)) = waiting.pop() {
        if broken.len() >= BROKEN_MAX {
            broken.extend(from..to);
        } else if changes(objects, &mut commits[from..to]).is_none() {
            match (from + to) / 2 {
                middle if middle == from => drop(broken.insert(from)),
                middle => waiting.extend([(from, middle), (middle, to)]),
            }
        }
    }
    let mut at = 0;
    commits.retain(|_| {
        at += 1;
        !broken.contains(&(at - 1))
    });
}

fn changes(objects: &Objects, commits: &mut [Row]) -> Option<()> {
    let mut input = String::new();
    let mut order = Vec::new();
    for (at, Row(id, parents, ..)) in commits.iter_mut().enumerate() {
        for (number, parent) in parents.iter().enumerate() {
            input.push_str(&format!("{id} {parent}\n"));
            order.push((at, number));
        }
        if parents.is_empty() {
            input.push_str(&format!("{id}\n"));
            order.push((at, 0));
        }
    }
    let args = ["diff-tree", "--stdin", "--always", "--root", "-r", "-M", "-z", "--raw", "--no-abbrev", "-l2000"];
    let out = objects.run(&args, input.as_bytes())?;
    let out = String::from_utf8_lossy(&out);
    let mut fields = out.split_terminator('\0');
    let mut next = order.into_iter();
    let mut current = None;
    commits.iter_mut().for_each(|row| row.4.clear());
    while let Some(field) = fields.next() {
        let Some(meta) = field.strip_prefix(':') else {
            current = next.next();
            continue;
        };
        let meta: Vec<&str> = meta.split(' ').collect();
        let [_, mode, old, new, status] = meta.as_slice() else { return None };
        let first = fields.next()?;
        let is_renamed = status.starts_with('R') || status.starts_with('C');
        let path = if is_renamed { fields.next()? } else { first };
        let (at, parent) = current?;
        let is_submodule = *mode == "160000" || meta[0] == "160000";
        let id = |oid: &str| (!oid.bytes().all(|byte| byte == b'0') && !is_submodule).then(|| oid.to_owned());
        let (old, new) = (id(old), id(new));
        let changes = &mut commits[at].4;
        if status.starts_with('R') {
            changes.push(Delta(parent, None, first.to_owned(), old.clone(), None));
        }
        let from = (first != path).then(|| first.to_owned());
        changes.push(Delta(parent, from, path.to_owned(), old, new));
    }
    Some(())
}

/// Reads HEAD's reflogs of all work trees of a repository.
pub(crate) fn reflogs(common_dir: &Path, worktrees: &HashMap<PathBuf, Arc<str>>) -> Vec<Entry> {
    let mut dirs = vec![common_dir.to_owned()];
    dirs.extend(std::fs::read_dir(common_dir.join("worktrees")).into_iter().flatten().flatten().map(|it| it.path()));
    let mut entries = Vec::new();
    for dir in dirs {
        let Some(worktree) = worktrees.get(&dir) else { continue };
        let Ok(bytes) = std::fs::read(dir.join("logs/HEAD")) else { continue };
        let mut end = 0;
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            end += line.len() as u64;
            entries.extend(entry(worktree, end, &String::from_utf8_lossy(line)));
        }
    }
    entries
}

fn entry(worktree: &Arc<str>, end: u64, line: &str) -> Option<Entry> {
    let (head, message) = line.split_once('\t').unwrap_or((line, ""));
    let mut ids = head.split(' ');
    let (old, new) = (ids.next()?, ids.next()?);
    let id = |id: &str| (!id.bytes().all(|byte| byte == b'0')).then(|| Arc::from(id));
    let moves = ["checkout:", "reset:", "clone:", "branch:", "Branch:"];
    let is_move = moves.iter().any(|word| message.starts_with(word)) || message.contains("Fast-forward");
    Some(Entry {
        worktree: Arc::clone(worktree),
        end,
        old: id(old),
        new: id(new)?,
        is_plain_commit: message.starts_with("commit:") || message.starts_with("commit (initial):"),
        is_made: !is_move && !message.contains("(start)") && !message.contains("(finish)"),
    })
}

/// Returns when the newest entry of any reflog was made, stashes included, in milliseconds. `None` where there
/// is none; now where they can't be read as files.
pub(crate) fn newest_entry(common_dir: &Path, now_ms: i64) -> Option<i64> {
    if common_dir.join("reftable").exists() {
        return Some(now_ms);
    }
    let mut dirs = vec![common_dir.join("logs")];
    let linked = std::fs::read_dir(common_dir.join("worktrees")).into_iter().flatten().flatten();
    dirs.extend(linked.map(|it| it.path().join("logs")));
    let mut newest = None;
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                dirs.push(entry.path());
            } else {
                let text = std::fs::read(entry.path()).unwrap_or_default();
                newest = newest.max(text.split(|&byte| byte == b'\n').filter_map(time_of).max());
            }
        }
    }
    newest
}

/// The time of an entry: `old new Name <mail> seconds zone`, and a message behind a tab.
fn time_of(line: &[u8]) -> Option<i64> {
    let head = line.split(|&byte| byte == b'\t').next()?;
    let seconds = head.rsplit(|&byte| byte == b' ').nth(1)?;
    std::str::from_utf8(seconds).ok()?.parse::<i64>().ok()?.checked_mul(1000)
}

/// Returns every stash there is or was, by its reflog, the oldest first.
pub(crate) fn stashes(common_dir: &Path) -> Vec<Arc<str>> {
    let text = std::fs::read(common_dir.join("logs/refs/stash")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines().filter_map(|line| line.split(' ').nth(1)).map(Arc::from).collect()
}
