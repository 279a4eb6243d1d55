//! Which looks nobody needs any more, and what must be noted of the others before those go.
//!
//! A look is spent when it is old enough and every line of it is held by an attested commit, or no stash and
//! no reflog entry is left from after it. What stays and was explained by what goes is noted: its writers
//! then need no explanation.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::candidates::Node;
use super::facts::{Look, Source};
use super::order::Key;
use super::resolve::History;
use crate::attribution::Attribution;

/// So many versions of a path are searched for its lines, the newest.
const VERSIONS_MAX: usize = 1_000;

impl<S: Source> History<S> {
    /// Returns the numbers of what was seen before `before_ms` and is spent. `git_ms` is the time of the newest
    /// stash or reflog entry there is. Nothing of an agent's goes of which one side is left or was all that was
    /// seen: it is by both that its lines are its own for sure.
    pub fn spent(&mut self, before_ms: i64, git_ms: Option<i64>) -> Vec<i64> {
        let mut newest: HashMap<(Arc<str>, Arc<str>), usize> = HashMap::new();
        for (at, it) in self.past.seen.iter().enumerate() {
            newest.insert((Arc::clone(&it.worktree), Arc::clone(&it.path)), at);
        }
        let newest: HashSet<usize> = newest.into_values().collect();
        let mut held: HashMap<Arc<str>, HashSet<u64>> = HashMap::new();
        let mut goes = vec![false; self.past.seen.len()];
        // Never the last: what is seen next is to have a number of its own.
        for at in 0..goes.len().saturating_sub(1) {
            let it = &self.past.seen[at];
            let is_inferred = matches!(it.look, Look::Ai(_)) && self.past.before_of(at).is_none();
            if it.time_ms >= before_ms || is_inferred {
                continue;
            }
            // A work tree may still have what was never committed.
            let is_out_of_reach = git_ms.is_none_or(|git| git < it.time_ms) && !newest.contains(&at);
            goes[at] = is_out_of_reach || self.is_held(at, &mut held);
        }
        for at in 0..goes.len() {
            let is_edit = matches!(self.past.seen[at].look, Look::Ai(_) | Look::Human);
            if let (true, false, Some(before)) = (is_edit, goes[at], self.past.before_of(at)) {
                goes[before] = false;
            }
        }
        self.past.seen.iter().zip(&goes).filter(|(_, goes)| **goes).map(|(it, _)| it.seq).collect()
    }

    /// Returns who wrote the texts that stay and that were explained by others, where those go: of each path
    /// what comes next, and what else was seen in their calls.
    pub fn heirs(&mut self, spent: &HashSet<i64>) -> Vec<(i64, Attribution)> {
        let Some(first) = spent.iter().min().copied() else { return Vec::new() };
        let gone = self.past.seen.iter().filter(|it| spent.contains(&it.seq));
        let calls: HashSet<Arc<str>> = gone.filter_map(|it| it.call.clone()).collect();
        // Of each path, whether the last look at it stays.
        let mut stays: HashMap<(Arc<str>, Arc<str>), bool> = HashMap::new();
        let mut heirs = Vec::new();
        for at in 0..self.past.seen.len() {
            let it = &self.past.seen[at];
            let is_left = !spent.contains(&it.seq);
            let follows = stays.insert((Arc::clone(&it.worktree), Arc::clone(&it.path)), is_left) == Some(true);
            if !is_left || it.seq < first {
                continue;
            }
            let is_of_call = it.call.as_ref().is_some_and(|call| calls.contains(call));
            if follows && !is_of_call {
                continue;
            }
            if it.look != Look::Saved && !it.is_noted {
                let seq = it.seq;
                let known = self.resolve(Node::Seen(at));
                heirs.extend(known.map(|known| (seq, known.attribution.clone())));
            }
        }
        heirs
    }

    /// Returns the number of what was seen first after a commit.
    pub fn born(&self, commit: &str) -> Option<i64> {
        self.past.order.born(commit)
    }

    fn is_held(&mut self, at: usize, held: &mut HashMap<Arc<str>, HashSet<u64>>) -> bool {
        let it = &self.past.seen[at];
        let (path, text) = (Arc::clone(&it.path), it.text);
        // No text, or none that can be read: nobody can need it.
        let Some(keys) = text.map(|id| self.keys_of(id)) else { return true };
        if !held.contains_key(&path) {
            let keys = self.attested_keys(&path);
            held.insert(Arc::clone(&path), keys);
        }
        keys.is_subset(&held[&path])
    }

    /// The lines of every attested version of a path under any of its names.
    fn attested_keys(&mut self, path: &Arc<str>) -> HashSet<u64> {
        let mut keys = HashSet::new();
        for node in self.past.versions_of(path, Key::NOW).into_iter().take(VERSIONS_MAX) {
            let Some(id) = self.past.text_of(&node, &mut self.source) else { continue };
            let (Node::Version(commit, path), Some(text)) = (&node, self.source.text(id)) else { continue };
            if self.source.attested(commit, path, &text).is_some() {
                keys.extend(self.keys_of(id).iter());
            }
        }
        keys
    }
}
