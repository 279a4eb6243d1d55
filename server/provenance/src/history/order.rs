//! What was there before what.
//!
//! A commit is born with the first thing that was seen after it: an observation that names it or a
//! descendant, or whose reflog reaches past its entry. Parents are born no later than their children.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::facts::{Commit, Entry, Look, Moment, Seen};

/// A node's place. A commit comes before the observation it was born with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    seq: i64,
    is_seen: bool,
    rank: u64,
}

impl Key {
    /// The place of a text that is looked at now.
    pub const NOW: Key = Key { seq: i64::MAX, is_seen: true, rank: 0 };
    /// The place of what is older than everything that was seen.
    pub(super) const OLD: Key = Key { seq: i64::MIN, is_seen: false, rank: 0 };

    pub(super) fn seen(seq: i64) -> Key {
        Key { seq, is_seen: true, rank: 0 }
    }
}

/// Commits in their order, and the reflogs.
#[derive(Debug, Default)]
pub(super) struct Order {
    births: HashMap<Arc<str>, i64>,
    ranks: HashMap<Arc<str>, u64>,
    entries: HashMap<Arc<str>, Vec<Entry>>,
    /// The commit that an amended one replaced.
    pub(super) amended: HashMap<Arc<str>, Arc<str>>,
    /// Commits that a plain `git commit` made.
    pub(super) plain: HashSet<Arc<str>>,
}

impl Order {
    pub(super) fn new(seen: &[Seen], commits: &HashMap<Arc<str>, Commit>, entries: Vec<Entry>) -> Order {
        let mut order = Order { ranks: ranks(commits), ..Order::default() };
        for entry in entries {
            if entry.is_plain_commit {
                order.plain.insert(Arc::clone(&entry.new));
            }
            if let Some(old) = &entry.old
                && *old != entry.new
                && let (Some(was), Some(is)) = (commits.get(old), commits.get(&entry.new))
                && was.parents == is.parents
            {
                order.amended.insert(Arc::clone(&entry.new), Arc::clone(old));
            }
            order.entries.entry(Arc::clone(&entry.worktree)).or_default().push(entry);
        }
        for list in order.entries.values_mut() {
            list.sort_by_key(|entry| entry.end);
        }
        let mut births: Vec<(i64, Arc<str>)> = dates(seen, commits, order.entries.values().flatten());
        births.extend(commits.values().filter_map(|it| Some((it.born?, Arc::clone(&it.id)))));
        let mut began: HashMap<&Arc<str>, i64> = HashMap::new();
        for it in seen.iter().filter(|it| it.look == Look::Before) {
            if let Some(call) = &it.call {
                let time = began.entry(call).or_insert(it.time_ms);
                *time = it.time_ms.min(*time);
            }
        }
        // How far each reflog has been looked at: every entry is born once.
        let mut done: HashMap<&Arc<str>, u64> = HashMap::new();
        for it in seen {
            let moment = &it.moment;
            let mut named: Vec<Arc<str>> =
                moment.head.iter().chain(&moment.special).chain(&moment.stash).cloned().collect();
            let from = done.entry(&it.worktree).or_default();
            if moment.reflog_len > *from && order.agrees(&it.worktree, moment) {
                named.extend(order.between(&it.worktree, *from, moment.reflog_len).map(|entry| Arc::clone(&entry.new)));
                *from = moment.reflog_len;
            }
            if it.until.is_some() {
                let began = it.call.as_ref().and_then(|call| began.get(call)).copied().unwrap_or(it.time_ms);
                named.extend(order.old_news(it, began, commits));
            }
            births.extend(named.into_iter().map(|commit| (it.seq, commit)));
        }
        births.sort();
        for (seq, commit) in births {
            order.bear(commit, seq, commits);
        }
        order
    }

    /// Says whether a reflog of this length ends where HEAD stood: one that was cut since does not.
    fn agrees(&self, worktree: &Arc<str>, moment: &Moment) -> bool {
        let entries = self.entries.get(worktree).map_or(&[] as &[Entry], Vec::as_slice);
        let at = entries.partition_point(|entry| entry.end < moment.reflog_len);
        entries.get(at).is_some_and(|entry| entry.end == moment.reflog_len && Some(&entry.new) == moment.head.as_ref())
    }

    fn between(&self, worktree: &Arc<str>, from: u64, to: u64) -> impl Iterator<Item = &Entry> {
        let entries = self.entries.get(worktree).map_or(&[] as &[Entry], Vec::as_slice);
        entries.iter().filter(move |entry| entry.end > from && entry.end <= to)
    }

    /// Returns the commits to which a call moved HEAD and that it did not make: those are older than it.
    pub(super) fn old_news(&self, it: &Seen, began_ms: i64, commits: &HashMap<Arc<str>, Commit>) -> Vec<Arc<str>> {
        let Some(until) = &it.until else { return Vec::new() };
        let entries = self.between(&it.worktree, it.moment.reflog_len, until.reflog_len);
        let mut named: Vec<Arc<str>> = entries.map(|entry| Arc::clone(&entry.new)).collect();
        named.extend(until.head.iter().chain(&until.special).cloned());
        let parents: Vec<Arc<str>> =
            named.iter().filter_map(|id| commits.get(id)).flat_map(|commit| commit.parents.iter().cloned()).collect();
        named.extend(parents);
        named.sort();
        named.dedup();
        // The committer's date has seconds; a commit of the second in which the call began is taken for its own.
        let began = began_ms.div_euclid(1000);
        named.retain(|id| commits.get(id).is_none_or(|commit| commit.time < began));
        named
    }

    fn bear(&mut self, commit: Arc<str>, seq: i64, commits: &HashMap<Arc<str>, Commit>) {
        let mut waiting = vec![commit];
        while let Some(id) = waiting.pop() {
            let Some(commit) = commits.get(&id) else { continue };
            if self.births.contains_key(&id) {
                continue;
            }
            self.births.insert(id, seq);
            waiting.extend(commit.parents.iter().cloned());
        }
    }

    /// Returns the number of what was seen first after a commit.
    pub(super) fn born(&self, id: &str) -> Option<i64> {
        self.births.get(id).copied()
    }

    /// Returns a commit's place.
    pub(super) fn of_commit(&self, id: &str) -> Key {
        match self.ranks.get(id) {
            None => Key::OLD,
            Some(rank) => Key { seq: self.births.get(id).copied().unwrap_or(i64::MAX), is_seen: false, rank: *rank },
        }
    }
}

/// A commit that was not made here may be older than the first time anything here names it: it is no
/// younger than its committer's date says. The date takes away candidates and never adds one.
fn dates<'a>(
    seen: &[Seen],
    commits: &HashMap<Arc<str>, Commit>,
    entries: impl Iterator<Item = &'a Entry>,
) -> Vec<(i64, Arc<str>)> {
    let made: HashSet<&Arc<str>> = entries.filter(|entry| entry.is_made).map(|entry| &entry.new).collect();
    let mut later: Vec<(i64, i64)> = seen.iter().map(|it| (it.time_ms.div_euclid(1000), it.seq)).collect();
    later.sort();
    // From each moment on, the least number of what was seen.
    let mut least = i64::MAX;
    for it in later.iter_mut().rev() {
        least = least.min(it.1);
        it.1 = least;
    }
    let of = |commit: &&Commit| {
        let at = later.partition_point(|(time, _)| *time <= commit.time);
        later.get(at).map(|(_, seq)| (*seq, Arc::clone(&commit.id)))
    };
    commits.values().filter(|commit| !made.contains(&commit.id)).filter_map(|commit| of(&commit)).collect()
}

/// Numbers commits so that parents come before children, and otherwise the earlier date.
fn ranks(commits: &HashMap<Arc<str>, Commit>) -> HashMap<Arc<str>, u64> {
    let mut waits: HashMap<&Arc<str>, usize> = HashMap::new();
    let mut children: HashMap<&Arc<str>, Vec<&Arc<str>>> = HashMap::new();
    let mut ready = std::collections::BTreeSet::new();
    for (id, commit) in commits {
        let mut parents: Vec<&Arc<str>> =
            commit.parents.iter().filter(|parent| commits.contains_key(*parent)).collect();
        parents.sort();
        parents.dedup();
        for parent in &parents {
            children.entry(parent).or_default().push(id);
        }
        waits.insert(id, parents.len());
        if parents.is_empty() {
            ready.insert((commit.time, id));
        }
    }
    let mut ranks = HashMap::new();
    while let Some((_, id)) = ready.pop_first() {
        ranks.insert(Arc::clone(id), ranks.len() as u64 + 1);
        for child in children.remove(id).unwrap_or_default() {
            let left = waits.get_mut(child).expect("every commit waits for its parents");
            *left -= 1;
            if *left == 0 {
                ready.insert((commits[child].time, child));
            }
        }
    }
    ranks
}
