//! Which nodes may explain a node, the likeliest first.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::facts::{Change, Commit, Entry, Look, Moment, Seen, Source, TextId};
use super::order::{Key, Order};
use crate::carry::Tier;

/// A text whose writers are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Node {
    /// The observation with this place in the list.
    Seen(usize),
    /// A path in a commit.
    Version(Arc<str>, Arc<str>),
    /// What vanished from a path between two nodes.
    Vanished(Box<Node>, Option<Box<Node>>),
}

/// A text as it is now, in a work tree.
#[derive(Clone, Debug, Default)]
pub(super) struct Now {
    pub(super) worktree: Arc<str>,
    pub(super) path: Arc<str>,
    pub(super) moment: Moment,
    /// Paths that HEAD has or somebody saw, and that the work tree has not.
    pub(super) gone: Vec<Arc<str>>,
}

/// A commit or a work tree, and a path in it.
type Version = (Arc<str>, Arc<str>);

/// Nodes of one strength, tried together.
pub(super) type Group = Vec<(Node, Tier)>;

/// A whole file of fewer bytes may have been written twice.
const WHOLE_BYTES_MIN: usize = 40;

/// Of one group no more than this many are tried: the nearest.
pub(super) const GROUP_MAX: usize = 24;

/// The past with its indexes.
pub(super) struct Past {
    pub(super) seen: Vec<Seen>,
    pub(super) commits: HashMap<Arc<str>, Commit>,
    pub(super) order: Order,
    pub(super) by_path: HashMap<Arc<str>, Vec<usize>>,
    by_text: HashMap<TextId, Vec<usize>>,
    pub(super) by_call: HashMap<Arc<str>, Vec<usize>>,
    by_head: HashMap<Option<Arc<str>>, Vec<usize>>,
    versions: HashMap<TextId, Vec<Version>>,
    pub(super) changed: HashMap<Arc<str>, Vec<Arc<str>>>,
    authors: HashMap<Arc<str>, Vec<Arc<str>>>,
    lineage: HashMap<Arc<str>, Arc<[Arc<str>]>>,
    stashes: Vec<Arc<str>>,
    /// Paths of work trees that were seen and are not there now.
    pub(super) gone: HashSet<Version>,
}

impl Past {
    pub(super) fn new(seen: Vec<Seen>, commits: Vec<Commit>, entries: Vec<Entry>, stashes: Vec<Arc<str>>) -> Past {
        let commits: HashMap<Arc<str>, Commit> = commits.into_iter().map(|it| (Arc::clone(&it.id), it)).collect();
        let order = Order::new(&seen, &commits, entries);
        let mut past = Past {
            lineage: lineages(&commits),
            order,
            seen,
            commits,
            by_path: HashMap::new(),
            by_text: HashMap::new(),
            by_call: HashMap::new(),
            by_head: HashMap::new(),
            versions: HashMap::new(),
            changed: HashMap::new(),
            authors: HashMap::new(),
            stashes,
            gone: HashSet::new(),
        };
        for (at, it) in past.seen.iter().enumerate() {
            past.by_path.entry(Arc::clone(&it.path)).or_default().push(at);
            if let Some(text) = it.text {
                past.by_text.entry(text).or_default().push(at);
            }
            if let Some(call) = &it.call {
                past.by_call.entry(Arc::clone(call)).or_default().push(at);
            }
            past.by_head.entry(it.moment.head.clone()).or_default().push(at);
        }
        let mut in_order: Vec<&Commit> = past.commits.values().collect();
        in_order.sort_by_key(|commit| past.order.of_commit(&commit.id));
        for commit in in_order {
            past.authors.entry(Arc::clone(&commit.author)).or_default().push(Arc::clone(&commit.id));
            let mut paths: Vec<&Change> = commit.changes.iter().collect();
            paths.dedup_by(|a, b| a.path == b.path);
            for change in paths {
                past.changed.entry(Arc::clone(&change.path)).or_default().push(Arc::clone(&commit.id));
                if let Some(text) = change.new {
                    let version = (Arc::clone(&commit.id), Arc::clone(&change.path));
                    past.versions.entry(text).or_default().push(version);
                }
            }
        }
        past
    }

    /// Returns where a node stands; `None` for one that has no place of its own.
    pub(super) fn key(&self, node: &Node) -> Key {
        match node {
            Node::Seen(at) => Key::seen(self.seen[*at].seq),
            Node::Version(commit, _) => self.order.of_commit(commit),
            Node::Vanished(from, _) => self.key(from),
        }
    }

    /// Follows a path to the commit that made it what it is. `None`: one that is older than everything seen.
    pub(super) fn made(&self, commit: &Arc<str>, path: &Arc<str>) -> Option<Arc<str>> {
        let mut at = self.commits.get(commit)?;
        loop {
            let is_same = |parent: &usize| !at.changes.iter().any(|it| it.parent == *parent && it.path == *path);
            let Some(same) = (0..at.parents.len()).find(is_same) else { return Some(Arc::clone(&at.id)) };
            at = self.commits.get(&at.parents[same])?;
        }
    }

    pub(super) fn version(&self, commit: &Arc<str>, path: &Arc<str>) -> Node {
        let made = self.made(commit, path).unwrap_or_else(|| Arc::clone(commit));
        Node::Version(made, Arc::clone(path))
    }

    fn lineage(&self, path: &Arc<str>) -> Arc<[Arc<str>]> {
        self.lineage.get(path).cloned().unwrap_or_else(|| Arc::from([Arc::clone(path)]))
    }

    /// Returns what was seen of a path under any of its names before a moment, newest first.
    fn seen_of(&self, path: &Arc<str>, before: Key) -> Vec<usize> {
        let lineage = self.lineage(path);
        let all = lineage.iter().filter_map(|path| self.by_path.get(path)).flatten().copied();
        let mut all: Vec<usize> = all.filter(|at| Key::seen(self.seen[*at].seq) < before).collect();
        all.sort_by_key(|at| std::cmp::Reverse(self.seen[*at].seq));
        all.retain(|at| self.seen[*at].text.is_some());
        all
    }

    /// Returns earlier versions of a path under any of its names, newest first.
    pub(super) fn versions_of(&self, path: &Arc<str>, before: Key) -> Vec<Node> {
        let mut all: Vec<(Key, Node)> = Vec::new();
        for path in self.lineage(path).iter() {
            for commit in self.changed.get(path).into_iter().flatten() {
                let key = self.order.of_commit(commit);
                if key < before {
                    all.push((key, Node::Version(Arc::clone(commit), Arc::clone(path))));
                }
            }
        }
        all.sort_by_key(|(key, _)| std::cmp::Reverse(*key));
        all.into_iter().map(|(_, node)| node).collect()
    }

    /// Returns nodes with the very same text, the likeliest first.
    pub(super) fn same(&self, node: Option<&Node>, now: &Now, text: TextId, source: &mut dyn Source) -> Vec<Node> {
        let (key, path, heads) = match node {
            Some(Node::Version(commit, path)) => {
                let mut heads = self.commits.get(commit).map(|it| it.parents.clone()).unwrap_or_default();
                heads.extend(self.order.amended.get(commit).cloned());
                (self.order.of_commit(commit), path, heads)
            }
            Some(Node::Seen(at)) => {
                let it = &self.seen[*at];
                (Key::seen(it.seq), &it.path, it.moment.head.iter().cloned().collect())
            }
            Some(Node::Vanished(..)) => return Vec::new(),
            None => (Key::NOW, &now.path, now.moment.head.iter().cloned().collect()),
        };
        let lineage = self.lineage(path);
        let mut out = Vec::new();
        let worktree = match node {
            Some(Node::Seen(at)) => Some(&self.seen[*at].worktree),
            Some(_) => None,
            None => Some(&now.worktree),
        };
        let mut seen: Vec<usize> = self.by_text.get(&text).cloned().unwrap_or_default();
        seen.retain(|at| {
            let it = &self.seen[*at];
            // What an editor knew needs no explanation, so it may have been saved a moment after the commit.
            let late = matches!((node, &it.look), (Some(Node::Version(commit, _)), Look::Saved)
                if it.moment.head.as_ref() == Some(commit));
            (Key::seen(it.seq) < key || late) && lineage.contains(&it.path)
        });
        if seen.is_empty() && !matches!(node, Some(Node::Version(..))) {
            // A file nobody knows by this name, and that stood whole under another one.
            let is_large = source.text(text).is_some_and(|text| text.trim().len() >= WHOLE_BYTES_MIN);
            let is_new = self.last_seen(worktree.map_or("", |it| it), path, key).is_none();
            if is_large && is_new && heads.iter().all(|head| source.at(head, path).is_none()) {
                let all = self.by_text.get(&text).into_iter().flatten().copied();
                seen = all.filter(|at| Key::seen(self.seen[*at].seq) < key).collect();
            }
        }
        let near = |at: &usize| {
            let it = &self.seen[*at];
            let here = worktree.is_some_and(|worktree| it.worktree == *worktree);
            let on_head = it.moment.head.as_ref().is_some_and(|head| heads.contains(head));
            (std::cmp::Reverse(here || (worktree.is_none() && on_head)), std::cmp::Reverse(it.seq))
        };
        seen.sort_by_key(near);
        let (here, elsewhere): (Vec<usize>, Vec<usize>) = seen.into_iter().partition(|at| near(at).0.0);
        out.extend(here.into_iter().map(Node::Seen));
        if !matches!(node, Some(Node::Version(..))) {
            let head = heads.iter().filter(|head| source.at(head, path) == Some(text));
            out.extend(head.map(|head| self.version(head, path)));
        }
        out.extend(elsewhere.into_iter().map(Node::Seen));
        let mut versions: Vec<&Version> = self.versions.get(&text).into_iter().flatten().collect();
        versions.retain(|(commit, at)| self.order.of_commit(commit) < key && lineage.contains(at));
        out.extend(versions.iter().rev().map(|(commit, path)| Node::Version(Arc::clone(commit), Arc::clone(path))));
        out.retain(|it| Some(it) != node);
        out.truncate(GROUP_MAX);
        out
    }

    /// Returns what may explain a node, in groups; a later one is needed only where lines are left.
    pub(super) fn groups(&self, node: Option<&Node>, now: &Now, source: &mut dyn Source) -> Vec<Group> {
        let mut groups = match node {
            Some(Node::Version(commit, path)) => self.of_version(commit, path, source),
            Some(Node::Seen(at)) => self.of_seen(*at, source),
            Some(Node::Vanished(..)) => Vec::new(),
            None => {
                let last = self.last_seen(&now.worktree, &now.path, Key::NOW);
                let mut groups = self.of_look(Key::NOW, now, last, source);
                let gone = now.gone.iter().flat_map(|path| {
                    let head = now.moment.head.iter().map(|head| self.version(head, path));
                    let last = self.last_seen(&now.worktree, path, Key::NOW).map(Node::Seen);
                    last.into_iter().chain(head).collect::<Vec<_>>()
                });
                groups.push(gone.map(|node| (node, Tier::Stored)).collect());
                groups
            }
        };
        let key = node.map_or(Key::NOW, |node| self.key(node));
        let mut known = HashSet::new();
        for group in &mut groups {
            // What comes later may explain nothing; and nobody is asked twice.
            group.retain(|(it, _)| self.key(it) < key && known.insert(it.clone()));
        }
        groups.retain(|group| !group.is_empty());
        groups
    }

    pub(super) fn last_seen(&self, worktree: &str, path: &Arc<str>, before: Key) -> Option<usize> {
        let all = self.by_path.get(path)?;
        let is_it = |at: &&usize| {
            let it = &self.seen[**at];
            *it.worktree == *worktree && Key::seen(it.seq) < before
        };
        all.iter().rev().find(is_it).copied()
    }

    /// The observation right before an edit: of the same call and path.
    pub(super) fn before_of(&self, at: usize) -> Option<usize> {
        let it = &self.seen[at];
        let call = self.by_call.get(it.call.as_ref()?)?;
        let is_it = |other: &&usize| {
            let other = &self.seen[**other];
            other.seq < it.seq && other.look == Look::Before && other.path == it.path && other.worktree == it.worktree
        };
        call.iter().rev().find(is_it).copied()
    }

    fn of_seen(&self, at: usize, source: &mut dyn Source) -> Vec<Group> {
        let it = &self.seen[at];
        let key = Key::seen(it.seq);
        let is_edit = matches!(it.look, Look::Ai(_) | Look::Human);
        if let (true, Some(before)) = (is_edit, self.before_of(at)) {
            let began = self.seen[before].time_ms;
            let between = self.seen_of(&it.path, key).into_iter().filter(|other| {
                let other = &self.seen[*other];
                other.worktree == it.worktree
                    && other.path == it.path
                    && other.time_ms > began
                    && other.call != it.call
                    && other.look != Look::Before
            });
            // Together: a line that came from another path whole is not made of the tokens of one that stood here.
            let mut first = vec![(Node::Seen(before), Tier::Strong)];
            first.extend(self.vanished_in_call(at));
            let mut groups = vec![first];
            groups.push(between.map(|other| (Node::Seen(other), Tier::Strong)).collect());
            if let Some(until) = &it.until {
                let old = self.order.old_news(it, began, &self.commits);
                groups.push(old.iter().map(|commit| (self.version(commit, &it.path), Tier::Strong)).collect());
                let stashes = [&it.moment.stash, &until.stash].into_iter().flatten();
                groups.push(stashes.map(|stash| (self.version(stash, &it.path), Tier::Stored)).collect());
                groups.push(self.rest_of_lineage(&it.path, key, source));
            }
            return groups;
        }
        let last = self.last_seen(&it.worktree, &it.path, key);
        let now = Now {
            worktree: Arc::clone(&it.worktree),
            path: Arc::clone(&it.path),
            moment: it.moment.clone(),
            gone: Vec::new(),
        };
        self.of_look(key, &now, last, source)
    }

    /// A look at a file that nobody was seen changing.
    fn of_look(&self, key: Key, now: &Now, last: Option<usize>, source: &mut dyn Source) -> Vec<Group> {
        let was = last.map(|at| &self.seen[at]);
        let has_moved = was.is_none_or(|was| was.moment.head != now.moment.head);
        let is_touched = was.is_none_or(|was| was.moment != now.moment || was.until.is_some());
        let head = now.moment.head.as_ref().map(|head| (self.version(head, &now.path), Tier::Strong));
        let last = last.map(|at| (Node::Seen(at), Tier::Strong));
        let (first, second) = if has_moved { (head, last) } else { (last, head) };
        let mut groups: Vec<Group> = vec![first.into_iter().collect(), second.into_iter().collect()];
        let mut special = Vec::new();
        for commit in &now.moment.special {
            special.push((self.version(commit, &now.path), Tier::Strong));
            let parent = self.commits.get(commit).and_then(|commit| commit.parents.first());
            special.extend(parent.map(|parent| (self.version(parent, &now.path), Tier::Strong)));
        }
        groups.push(special);
        let stashes = now.moment.stash.iter().chain(was.and_then(|was| was.moment.stash.as_ref()));
        groups.push(stashes.map(|stash| (self.version(stash, &now.path), Tier::Stored)).collect());
        if was.is_none() {
            groups.push(self.left_in_head(now, key));
            groups.push(self.left_behind(Some(&now.worktree), &now.path, key));
        }
        if is_touched {
            groups.push(self.stashes(&now.path, key));
            groups.push(self.rest_of_lineage(&now.path, key, source));
        }
        groups
    }

    fn stashes(&self, path: &Arc<str>, before: Key) -> Group {
        let older = self.stashes.iter().filter(|stash| self.order.of_commit(stash) < before);
        older.rev().take(GROUP_MAX).map(|stash| (self.version(stash, path), Tier::Stored)).collect()
    }

    /// Whatever else was seen or committed under the names of a path.
    fn rest_of_lineage(&self, path: &Arc<str>, before: Key, source: &mut dyn Source) -> Group {
        let mut group: Group = Vec::new();
        for at in self.seen_of(path, before) {
            let stored = self.seen[at].text.is_some_and(|text| source.is_in_git(text));
            group.push((Node::Seen(at), if stored { Tier::Stored } else { Tier::Weak }));
        }
        group.sort_by_key(|(_, tier)| *tier == Tier::Weak);
        group.extend(self.versions_of(path, before).into_iter().map(|node| (node, Tier::Stored)));
        group
    }

    fn of_version(&self, id: &Arc<str>, path: &Arc<str>, source: &mut dyn Source) -> Vec<Group> {
        let Some(commit) = self.commits.get(id) else { return Vec::new() };
        let key = self.order.of_commit(id);
        let lineage = self.lineage(path);
        let mut on: Vec<Option<Arc<str>>> = commit.parents.iter().cloned().map(Some).collect();
        if on.is_empty() {
            on.push(None);
        }
        on.extend(self.order.amended.get(id).cloned().map(Some));
        let mut dirty: Vec<usize> = on.iter().filter_map(|head| self.by_head.get(head)).flatten().copied().collect();
        let others = self.vanished_unseen(commit, &lineage, &dirty, key, source);
        dirty.retain(|at| lineage.contains(&self.seen[*at].path) && self.seen[*at].text.is_some());
        dirty.sort_by_key(|at| std::cmp::Reverse(self.seen[*at].seq));
        dirty.dedup();
        let is_dirty = !dirty.is_empty();
        let dirty: Group = dirty.into_iter().map(|at| (Node::Seen(at), Tier::Strong)).collect();
        let mut groups: Vec<Group> = Vec::new();
        let mut dirty = dirty.into_iter();
        groups.push(dirty.next().into_iter().collect());
        groups.push(dirty.collect());
        groups.push(self.stashes(path, key));
        let parents = commit.parents.iter().enumerate().map(|(at, parent)| {
            let change = commit.changes.iter().find(|it| it.parent == at && it.path == *path);
            (self.version(parent, change.map_or(path, |it| &it.from)), Tier::Strong)
        });
        groups.push(parents.collect());
        groups.push(self.vanished_in_commit(commit, path));
        groups.push(others);
        if !(is_dirty && self.order.plain.contains(id)) {
            let twins = self.authors.get(&commit.author).into_iter().flatten().filter(|twin| *twin != id);
            groups.push(twins.rev().map(|twin| (self.version(twin, path), Tier::Strong)).collect());
        }
        groups.push(self.rest_of_lineage(path, key, source));
        groups.push(self.left_behind(None, path, key));
        groups
    }

    /// Returns the text of a node, if it has one.
    pub(super) fn text_of(&self, node: &Node, source: &mut dyn Source) -> Option<TextId> {
        match node {
            Node::Seen(at) => self.seen[*at].text,
            Node::Version(commit, path) => {
                let known = self.commits.get(commit).and_then(|it| it.changes.iter().find(|it| it.path == *path));
                match known {
                    Some(change) => change.new,
                    None => source.at(commit, path),
                }
            }
            Node::Vanished(..) => None,
        }
    }
}

/// Joins the names that renames connect.
fn lineages(commits: &HashMap<Arc<str>, Commit>) -> HashMap<Arc<str>, Arc<[Arc<str>]>> {
    let mut group_of: HashMap<Arc<str>, usize> = HashMap::new();
    let mut groups: Vec<Vec<Arc<str>>> = Vec::new();
    for change in commits.values().flat_map(|commit| &commit.changes).filter(|it| it.from != it.path) {
        let mut place = |path: &Arc<str>| {
            *group_of.entry(Arc::clone(path)).or_insert_with(|| {
                groups.push(vec![Arc::clone(path)]);
                groups.len() - 1
            })
        };
        let (a, b) = (place(&change.from), place(&change.path));
        if a != b {
            let moved = std::mem::take(&mut groups[b]);
            for path in &moved {
                group_of.insert(Arc::clone(path), a);
            }
            groups[a].extend(moved);
        }
    }
    let groups: Vec<Arc<[Arc<str>]>> = groups.into_iter().map(Arc::from).collect();
    group_of.into_iter().map(|(path, at)| (path, Arc::clone(&groups[at]))).collect()
}
