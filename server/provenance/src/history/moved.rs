//! Where lines may have come from that stood elsewhere: in another file of the same call or commit, in one
//! that was renamed, in one that is gone.

use std::collections::HashMap;
use std::sync::Arc;

use super::candidates::{GROUP_MAX, Group, Node, Now, Past};
use super::facts::{Commit, Look, Seen, Source};
use super::order::Key;
use crate::carry::Tier;

/// So many of the newest looks at other files are searched for what a new file may have come from.
const LEFT_MAX: usize = 256;

impl Past {
    /// What vanished from the other paths of a call.
    pub(super) fn vanished_in_call(&self, at: usize) -> Group {
        let it = &self.seen[at];
        let Some(call) = it.call.as_ref().and_then(|call| self.by_call.get(call)) else { return Vec::new() };
        let others = call.iter().filter(|other| {
            let other = &self.seen[**other];
            other.path != it.path && other.look != Look::Before
        });
        let vanished = others.filter_map(|other| {
            let before = self.before_of(*other)?;
            // Its own text may be seen a moment later than ours: it is looked at, not asked who wrote it.
            Some((Node::Vanished(Box::new(Node::Seen(before)), Some(Box::new(Node::Seen(*other)))), Tier::Weak))
        });
        vanished.take(GROUP_MAX).collect()
    }

    /// What other files of the work tree held that are gone since, as far as anybody knows by now: one of
    /// them may have been renamed to a name that nobody saw before.
    pub(super) fn left_behind(&self, worktree: Option<&str>, new: &Arc<str>, before: Key) -> Group {
        let mut group: Group = Vec::new();
        for all in self.by_path.iter().filter(|(path, _)| *path != new).map(|(_, all)| all) {
            let is_here = |at: &usize| worktree.is_none_or(|worktree| *self.seen[*at].worktree == *worktree);
            let here: Vec<usize> = all.iter().copied().filter(is_here).collect();
            for (place, &at) in here.iter().enumerate() {
                let was = &self.seen[at];
                if was.text.is_none() || Key::seen(was.seq) >= before {
                    continue;
                }
                let next = here.get(place + 1);
                let node = match next {
                    _ if self.is_gone(was, next.copied()) => Node::Seen(at),
                    Some(next) if self.seen[*next].text.is_none() => Node::Seen(at),
                    Some(next) => Node::Vanished(Box::new(Node::Seen(at)), Some(Box::new(Node::Seen(*next)))),
                    None => continue,
                };
                group.push((node, Tier::Weak));
            }
        }
        group.sort_by_key(|(node, _)| std::cmp::Reverse(self.key(node)));
        group.truncate(LEFT_MAX);
        group
    }

    /// Where the lines of a file may have stood before that somebody edited and that nobody saw by this name: in
    /// other files, gone or not. Nothing for a file that was known.
    pub(super) fn elsewhere(&self, at: usize) -> Vec<Node> {
        let it = &self.seen[at];
        let key = Key::seen(it.seq);
        // HEAD may have a part of it, where only that was staged.
        if self.last_seen(&it.worktree, &it.path, key).is_some() {
            return Vec::new();
        }
        let others = self.seen[..at].iter().enumerate().rev();
        let others = others.filter(|(_, other)| other.path != it.path && other.text.is_some());
        let mut nodes: Vec<Node> = others.take(LEFT_MAX).map(|(at, _)| Node::Seen(at)).collect();
        // Of what was let go only the commits know.
        let versions = self.changed.iter().filter(|(path, _)| **path != it.path);
        let versions = versions.flat_map(|(path, commits)| {
            let has = |commit: &&Arc<str>| {
                self.commits[*commit].changes.iter().any(|it| it.path == *path && it.new.is_some())
            };
            let keys = commits.iter().filter(has).map(|commit| (self.order.of_commit(commit), commit));
            let earlier: Vec<_> = keys.filter(|(of, _)| *of < key).collect();
            earlier.into_iter().map(|(of, commit)| (of, Node::Version(Arc::clone(commit), Arc::clone(path))))
        });
        let mut versions: Vec<(Key, Node)> = versions.collect();
        versions.sort_by_key(|(key, _)| std::cmp::Reverse(*key));
        nodes.extend(versions.into_iter().take(LEFT_MAX).map(|(_, node)| node));
        nodes
    }

    /// Files that HEAD had at a moment and that are gone since: the next commit has them no more, or the
    /// work tree has not.
    pub(super) fn left_in_head(&self, now: &Now, before: Key) -> Group {
        let Some(head) = &now.moment.head else { return Vec::new() };
        let here = self.gone.iter().filter(|(worktree, _)| *worktree == now.worktree).map(|(_, path)| path);
        let next = self
            .commits
            .values()
            .filter(|it| it.parents.first() == Some(head) && self.order.of_commit(&it.id) > before);
        let by_git = next.flat_map(|it| &it.changes).filter(|it| it.parent == 0 && it.new.is_none()).map(|it| &it.path);
        let mut paths: Vec<&Arc<str>> = here.chain(by_git).filter(|path| **path != now.path).collect();
        paths.sort();
        paths.dedup();
        paths.into_iter().take(LEFT_MAX).map(|path| (self.version(head, path), Tier::Weak)).collect()
    }

    /// Says whether a file was gone before it was seen next: a commit has it no more, or it is not there now.
    fn is_gone(&self, was: &Seen, next: Option<usize>) -> bool {
        let until = next.map_or(Key::NOW, |next| Key::seen(self.seen[next].seq));
        let by_git = self.changed.get(&was.path).into_iter().flatten().any(|commit| {
            let mut changes = self.commits[commit].changes.iter();
            let key = self.order.of_commit(commit);
            key > Key::seen(was.seq) && key < until && changes.any(|it| it.path == was.path && it.new.is_none())
        });
        by_git || (next.is_none() && self.gone.contains(&(Arc::clone(&was.worktree), Arc::clone(&was.path))))
    }

    /// What vanished from other files that were seen before a commit and that git may never have had.
    pub(super) fn vanished_unseen(
        &self,
        commit: &Commit,
        lineage: &[Arc<str>],
        dirty: &[usize],
        before: Key,
        source: &mut dyn Source,
    ) -> Group {
        let mut newest: HashMap<&Arc<str>, usize> = HashMap::new();
        for at in dirty.iter().filter(|at| Key::seen(self.seen[**at].seq) < before) {
            let it = &self.seen[*at];
            if it.text.is_some() && !lineage.contains(&it.path) {
                newest.insert(&it.path, *at);
            }
        }
        let mut newest: Vec<usize> = newest.into_values().collect();
        newest.sort_unstable_by_key(|at| std::cmp::Reverse(self.seen[*at].seq));
        let mut group: Group = Vec::new();
        for at in newest.into_iter().take(4 * GROUP_MAX) {
            let path = &self.seen[at].path;
            match source.at(&commit.id, path) {
                None => group.push((Node::Seen(at), Tier::Weak)),
                Some(_) => {
                    let after = Node::Version(Arc::clone(&commit.id), Arc::clone(path));
                    group.push((Node::Vanished(Box::new(Node::Seen(at)), Some(Box::new(after))), Tier::Weak));
                }
            }
        }
        group
    }

    /// What vanished from other paths in the same commit: from what was seen of them last, else from the
    /// parent's version.
    pub(super) fn vanished_in_commit(&self, commit: &Commit, path: &Arc<str>) -> Group {
        let mut group: Group = Vec::new();
        let others = commit.changes.iter().filter(|it| it.parent == 0 && it.path != *path && it.old.is_some());
        for other in others.take(4 * GROUP_MAX) {
            let Some(parent) = commit.parents.first() else { break };
            let after = other.new.map(|_| Box::new(Node::Version(Arc::clone(&commit.id), Arc::clone(&other.path))));
            let key = self.order.of_commit(&commit.id);
            let earlier = |at: &&usize| Key::seen(self.seen[**at].seq) < key && self.seen[**at].text.is_some();
            let seen: Vec<usize> =
                self.by_path.get(&other.from).into_iter().flatten().rev().filter(earlier).copied().collect();
            let on_parent = seen.iter().find(|at| self.seen[**at].moment.head.as_ref() == Some(parent));
            for at in on_parent.into_iter().chain(seen.first().filter(|at| Some(*at) != on_parent)) {
                group.push((Node::Vanished(Box::new(Node::Seen(*at)), after.clone()), Tier::Weak));
            }
            let was = self.version(parent, &other.from);
            group.push((Node::Vanished(Box::new(was), after), Tier::Weak));
        }
        group
    }
}
