//! Commits since the first thing that was seen, with what each changed; and reflogs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_provenance::history::{Change, Commit, Entry, TextId};

use super::objects::Objects;

/// So many of the newest commits are looked at; older ones are known by what was attested of them.
const COMMITS_MAX: usize = 5_000;

/// Loads the commits that no `older` commit reaches, of every reference, reflog and named commit.
pub(crate) fn commits(
    objects: &mut Objects,
    named: &[&str],
    older: &[&str],
    text: &mut dyn FnMut(&str) -> TextId,
) -> Option<Vec<Commit>> {
    let exists = |objects: &mut Objects, id: &&&str| objects.name(id).is_some();
    let mut input = String::new();
    for id in named.iter().filter(|id| exists(objects, id)) {
        input.push_str(&format!("{id}\n"));
    }
    for id in older.iter().filter(|id| exists(objects, id)) {
        input.push_str(&format!("^{id}\n"));
    }
    let count = format!("--max-count={COMMITS_MAX}");
    let format = "--format=%H%x00%P%x00%an%x00%ae%x00%at%x00%ct";
    let args = ["log", "--topo-order", "--no-show-signature", &count, format, "-z", "--all", "--reflog", "--stdin"];
    let listing = objects.run(&args, input.as_bytes())?;
    let listing = String::from_utf8_lossy(&listing);
    let mut commits = Vec::new();
    let fields: Vec<&str> = listing.split('\0').collect();
    for row in fields.chunks_exact(6) {
        commits.push(Commit {
            id: row[0].into(),
            parents: row[1].split_whitespace().map(Arc::from).collect(),
            author: row[2..5].join("\0").into(),
            time: row[5].parse().unwrap_or(0),
            changes: Vec::new(),
        });
    }
    add_changes(objects, &mut commits, text)?;
    Some(commits)
}

fn add_changes(objects: &Objects, commits: &mut [Commit], text: &mut dyn FnMut(&str) -> TextId) -> Option<()> {
    let mut input = String::new();
    let mut order = Vec::new();
    for (at, commit) in commits.iter().enumerate() {
        for (number, parent) in commit.parents.iter().enumerate() {
            input.push_str(&format!("{} {parent}\n", commit.id));
            order.push((at, number));
        }
        if commit.parents.is_empty() {
            input.push_str(&format!("{}\n", commit.id));
            order.push((at, 0));
        }
    }
    if order.is_empty() {
        return Some(());
    }
    let args = ["diff-tree", "--stdin", "--always", "--root", "-r", "-M", "-z", "--raw", "--no-abbrev", "-l2000"];
    let out = objects.run(&args, input.as_bytes())?;
    let out = String::from_utf8_lossy(&out);
    let mut fields = out.split_terminator('\0');
    let mut next = order.into_iter();
    let mut current = None;
    while let Some(field) = fields.next() {
        let Some(meta) = field.strip_prefix(':') else {
            current = next.next();
            continue;
        };
        let meta: Vec<&str> = meta.split(' ').collect();
        let [_, mode, old, new, status] = meta.as_slice() else { return None };
        let first: Arc<str> = fields.next()?.into();
        let is_renamed = status.starts_with('R') || status.starts_with('C');
        let path = if is_renamed { fields.next()?.into() } else { Arc::clone(&first) };
        let (at, parent) = current?;
        let is_submodule = *mode == "160000" || meta[0] == "160000";
        let mut id = |oid: &str| (!oid.bytes().all(|byte| byte == b'0') && !is_submodule).then(|| text(oid));
        let (old, new) = (id(old), id(new));
        let commit = &mut commits[at];
        if is_renamed && status.starts_with('R') {
            let (path, from) = (Arc::clone(&first), Arc::clone(&first));
            commit.changes.push(Change { parent, from, path, old, new: None });
        }
        commit.changes.push(Change { parent, from: first, path, old, new });
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

/// Returns every stash there is or was, by its reflog, the oldest first.
pub(crate) fn stashes(common_dir: &Path) -> Vec<Arc<str>> {
    let text = std::fs::read(common_dir.join("logs/refs/stash")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines().filter_map(|line| line.split(' ').nth(1)).map(Arc::from).collect()
}
