//! A small model of git in which everybody's lines are known.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use countersign_event::facts::How;

use crate::attribution::Attribution;
use crate::history::{Change, Commit, Entry, Look, Moment, Seen, TextId};
use crate::spans::{ContributionId, Origin, Spans};

pub(super) type Lines = Vec<u32>;
pub(super) type Tree = BTreeMap<&'static str, Lines>;

pub(super) const PATHS: [&str; 12] =
    ["a.rs", "b.rs", "c.rs", "d.rs", "e.rs", "f.rs", "g.rs", "h.rs", "i.rs", "j.rs", "k.rs", "l.rs"];

/// One step: what, where, and how much of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step(pub(super) u8, pub(super) u8, pub(super) u8, pub(super) u8);

struct Stash {
    id: Arc<str>,
    tree: Tree,
}

#[derive(Default)]
pub(super) struct Model {
    pub(super) texts: Vec<Arc<str>>,
    ids: HashMap<Arc<str>, TextId>,
    pub(super) trees: HashMap<Arc<str>, Tree>,
    pub(super) commits: Vec<Commit>,
    pub(super) entries: Vec<Entry>,
    pub(super) seen: Vec<Seen>,
    pub(super) saved: HashMap<i64, Attribution>,
    pub(super) attested: HashMap<(Arc<str>, Arc<str>), Attribution>,
    pub(super) stashes: Vec<Arc<str>>,
    stack: Vec<Stash>,
    branches: Vec<Option<Arc<str>>>,
    on: usize,
    pub(super) work: Tree,
    /// Who wrote each line. A line that is not there was written unseen.
    pub(super) writers: Vec<Option<Origin>>,
    pub(super) clock: i64,
    /// How often somebody looked.
    looks: i64,
    reflog: u64,
    special: Vec<Arc<str>>,
    used: BTreeSet<&'static str>,
}

impl Model {
    pub(super) fn new() -> Model {
        Model { branches: vec![None; 3], clock: 1_000_000, ..Model::default() }
    }

    pub(super) fn text_of(lines: &[u32]) -> String {
        // No word stands in two lines: a line that takes another's place is new as a whole.
        lines.iter().map(|n| format!("first_{n} second_{n} third_{n} fourth_{n}\n")).collect()
    }

    pub(super) fn id(&mut self, lines: &[u32]) -> TextId {
        let text: Arc<str> = Model::text_of(lines).into();
        let next = TextId(self.texts.len() as u32);
        let id = *self.ids.entry(Arc::clone(&text)).or_insert(next);
        if id == next {
            self.texts.push(text);
        }
        id
    }

    fn head(&self) -> Option<Arc<str>> {
        self.branches[self.on].clone()
    }

    pub(super) fn moment(&self) -> Moment {
        let stash = self.stack.last().map(|stash| Arc::clone(&stash.id));
        Moment { head: self.head(), special: self.special.clone(), stash, reflog_len: self.reflog }
    }

    fn look(&mut self, look: Look, path: &'static str, call: Option<i64>) -> i64 {
        self.looks += 1;
        let seq = self.looks;
        let text = self.work.get(path).cloned().map(|lines| self.id(&lines));
        self.clock += 1000;
        self.seen.push(Seen {
            seq,
            look,
            worktree: "/w".into(),
            path: path.into(),
            text,
            call: call.map(|call| call.to_string().into()),
            moment: self.moment(),
            until: None,
            hunks: Vec::new(),
            time_ms: self.clock,
            is_noted: false,
        });
        seq
    }

    /// Puts new lines into a file, and takes some out.
    fn edit(&mut self, path: &'static str, at: u8, much: u8, writer: Option<Origin>) {
        let lines = self.work.entry(path).or_default();
        let place = at as usize % (lines.len() + 1);
        if much.is_multiple_of(4) && lines.len() > 4 {
            let gone = (much as usize / 4 % 3 + 1).min(lines.len() - place);
            lines.drain(place..place + gone);
        }
        let lines = self.work.get_mut(path).expect("made above");
        let place = place.min(lines.len());
        for n in 0..usize::from(much % 3) + 1 {
            lines.insert(place + n, self.writers.len() as u32);
            self.writers.push(writer.clone());
        }
    }

    /// What was written unseen since the last look becomes somebody's word.
    fn claim(&mut self, path: &'static str, writer: &Origin) {
        let known: String = self.texts.iter().map(|text| &**text).collect();
        for &line in &self.work[path] {
            let text = Model::text_of(&[line]);
            if self.writers[line as usize].is_none() && !known.contains(&text) {
                self.writers[line as usize] = Some(writer.clone());
            }
        }
    }

    fn commit(&mut self, tree: Tree, parents: Vec<Arc<str>>, author: Option<Arc<str>>, how: &str) {
        self.clock += 1000;
        let id: Arc<str> = format!("commit{:03}", self.commits.len()).into();
        let commit = self.made(&id, &tree, &parents, author);
        self.commits.push(commit);
        self.trees.insert(Arc::clone(&id), tree);
        self.moves(id, how);
    }

    fn made(&mut self, id: &Arc<str>, tree: &Tree, parents: &[Arc<str>], author: Option<Arc<str>>) -> Commit {
        let mut changes = Vec::new();
        let trees: Vec<Tree> = match parents {
            [] => vec![Tree::new()],
            _ => parents.iter().map(|parent| self.trees[parent].clone()).collect(),
        };
        for (parent, old) in trees.iter().enumerate() {
            for path in PATHS {
                if old.get(path) != tree.get(path) {
                    // A file that came as another went, with most of its lines: git calls it renamed.
                    let from = PATHS.iter().find(|from| {
                        let gone = old.get(*from).filter(|_| !tree.contains_key(*from) && !old.contains_key(path));
                        let here = tree.get(path);
                        gone.zip(here).is_some_and(|(gone, here)| {
                            let kept = here.iter().filter(|line| gone.contains(line)).count();
                            !here.is_empty() && kept * 2 > here.len().max(gone.len())
                        })
                    });
                    let from = *from.unwrap_or(&path);
                    let old = old.get(from).cloned().map(|lines| self.id(&lines));
                    let new = tree.get(path).cloned().map(|lines| self.id(&lines));
                    changes.push(Change { parent, from: from.into(), path: path.into(), old, new });
                }
            }
        }
        let author = author.unwrap_or_else(|| format!("D {id}").into());
        Commit { id: Arc::clone(id), parents: parents.to_vec(), author, time: self.clock / 1000, changes, born: None }
    }

    fn moves(&mut self, to: Arc<str>, how: &str) {
        self.reflog += 100;
        self.entries.push(Entry {
            worktree: "/w".into(),
            end: self.reflog,
            old: self.head(),
            new: Arc::clone(&to),
            is_plain_commit: how == "commit",
            is_made: !matches!(how, "checkout" | "reset"),
        });
        self.branches[self.on] = Some(to);
    }

    fn head_tree(&self) -> Tree {
        self.head().map(|head| self.trees[&head].clone()).unwrap_or_default()
    }

    /// Applies what a commit changed to a tree: lines that came, after the line they came after.
    fn applied(&self, commit: &Commit, onto: &Tree) -> Tree {
        let base = commit.parents.first().map(|parent| self.trees[parent].clone()).unwrap_or_default();
        merged(&base, onto, &self.trees[&commit.id])
    }

    pub(super) fn step(&mut self, Step(what, path, at, much): Step) {
        // A file that is there, or one of a name that nobody had before.
        let fresh: Vec<&'static str> = PATHS.into_iter().filter(|path| !self.used.contains(path)).collect();
        let mut names: Vec<&'static str> = self.work.keys().copied().collect();
        names.extend(fresh.first().filter(|_| names.len() < 3));
        let Some(&path) = names.get(path as usize % names.len().max(1)) else { return };
        if matches!(what % 18, 0..=6) {
            self.used.insert(path);
        }
        match what % 18 {
            0..=2 => {
                // An AI's call, seen from both sides.
                let call = self.looks;
                self.look(Look::Before, path, Some(call));
                let id = format!("ai{call}");
                self.edit(path, at, much, Some(Origin::Ai(ContributionId::new(&id))));
                self.look(Look::Ai(id.as_str().into()), path, Some(call));
            }
            3 | 4 => {
                self.edit(path, at, much, None);
                let human = Origin::Human(How::Reported);
                self.claim(path, &human);
                self.look(Look::Human, path, None);
            }
            5 => {
                // An editor that knows every line of the file it saves.
                self.edit(path, at, much, Some(Origin::TYPED));
                let mut origins = Spans::default();
                for &line in &self.work[path] {
                    let writer = self.writers[line as usize].clone().unwrap_or(Origin::Unknown);
                    origins.push(Model::text_of(&[line]).len(), writer);
                }
                let text = Model::text_of(&self.work[path]);
                let seq = self.look(Look::Saved, path, None);
                self.saved.insert(seq, Attribution::of_origins(&text, origins));
            }
            6 => self.edit(path, at, much, None),
            7 | 8 => self.commit(self.work.clone(), self.head().into_iter().collect(), None, "commit"),
            9 => {
                // Some lines of one file are staged.
                let mut tree = self.head_tree();
                if let Some(lines) = self.work.get(path) {
                    let old = tree.get(path).cloned().unwrap_or_default();
                    let keep = |n: &u32| old.contains(n) || n.wrapping_mul(7).wrapping_add(u32::from(much)) % 3 != 0;
                    let part: Lines = lines.iter().copied().filter(keep).collect();
                    tree.retain(|path, _| self.work.contains_key(path));
                    tree.insert(path, part);
                    self.commit(tree, self.head().into_iter().collect(), None, "commit");
                }
            }
            10 => {
                if let Some(head) = self.head() {
                    let was = self.commits.iter().find(|commit| commit.id == head).cloned().expect("HEAD is a commit");
                    self.commit(self.work.clone(), was.parents, Some(was.author), "amend");
                }
            }
            11 if self.work == self.head_tree() => {
                let to = at as usize % self.branches.len();
                let target = self.branches[to].clone().or_else(|| self.head());
                if let Some(target) = target {
                    self.on = to;
                    self.work = self.trees[&target].clone();
                    self.moves(target, "checkout");
                }
            }
            12 if self.work == self.head_tree() => {
                // A merge, or a squash of another branch.
                let other = self.branches[at as usize % self.branches.len()].clone();
                if let (Some(other), Some(head)) = (other, self.head())
                    && other != head
                {
                    let base = self.base(&head, &other);
                    let tree = merged(&base, &self.trees[&head], &self.trees[&other]);
                    self.work = tree.clone();
                    let parents = if much % 2 == 0 { vec![head, other] } else { vec![head] };
                    self.commit(tree, parents, None, if much % 2 == 0 { "merge" } else { "commit" });
                }
            }
            13 if self.work == self.head_tree() && !self.commits.is_empty() => {
                let pick = self.commits[at as usize % self.commits.len()].clone();
                let tree = self.applied(&pick, &self.work);
                self.work = tree.clone();
                self.commit(tree, self.head().into_iter().collect(), Some(pick.author), "cherry-pick");
            }
            14 => {
                // Two commits become one again, the files stay.
                let parent = self.head().and_then(|head| self.commits.iter().find(|commit| commit.id == head));
                if let Some(parent) = parent.and_then(|commit| commit.parents.first().cloned()) {
                    if much % 2 == 0 {
                        self.work = self.trees[&parent].clone();
                    }
                    self.moves(parent, "reset");
                }
            }
            15 => {
                if let (Some(head), true) = (self.head(), self.work != self.head_tree()) {
                    self.clock += 1000;
                    let id: Arc<str> = format!("stash{:03}", self.commits.len()).into();
                    let tree = self.work.clone();
                    let commit = self.made(&id, &tree, &[head], None);
                    self.commits.push(commit);
                    self.trees.insert(Arc::clone(&id), tree.clone());
                    self.stashes.push(Arc::clone(&id));
                    self.stack.push(Stash { id, tree });
                    self.work = self.head_tree();
                }
            }
            16 if self.work == self.head_tree() => {
                if let Some(stash) = self.stack.pop() {
                    let commit = self.commits.iter().find(|commit| commit.id == stash.id).expect("it was made");
                    let base = self.trees[&commit.parents[0]].clone();
                    self.work = merged(&base, &self.work, &stash.tree);
                }
            }
            17 => {
                if let Some(to) = fresh.last()
                    && let Some(lines) = self.work.remove(path)
                {
                    self.used.insert(to);
                    self.work.insert(to, lines);
                }
            }
            _ => {}
        }
    }

    /// The tree of the newest commit that both have.
    fn base(&self, a: &Arc<str>, b: &Arc<str>) -> Tree {
        let above = |from: &Arc<str>| {
            let (mut all, mut waiting) = (Vec::new(), vec![Arc::clone(from)]);
            while let Some(id) = waiting.pop() {
                if !all.contains(&id) {
                    let commit = self.commits.iter().find(|commit| commit.id == id).expect("it was made");
                    waiting.extend(commit.parents.iter().cloned());
                    all.push(id);
                }
            }
            all
        };
        let of_b = above(b);
        above(a).iter().find(|id| of_b.contains(id)).map(|id| self.trees[id].clone()).unwrap_or_default()
    }
}

/// A three-way merge that keeps what both sides did; what one side took out is out.
fn merged(base: &Tree, ours: &Tree, theirs: &Tree) -> Tree {
    let mut out = Tree::new();
    for path in PATHS {
        let (base, ours, theirs) = (base.get(path), ours.get(path), theirs.get(path));
        if ours == theirs || theirs == base {
            out.extend(ours.map(|lines| (path, lines.clone())));
            continue;
        }
        if ours == base {
            out.extend(theirs.map(|lines| (path, lines.clone())));
            continue;
        }
        let none = Lines::new();
        let (base, ours, theirs) = (base.unwrap_or(&none), ours.unwrap_or(&none), theirs.unwrap_or(&none));
        let mut lines: Lines =
            ours.iter().copied().filter(|line| !base.contains(line) || theirs.contains(line)).collect();
        for (at, line) in theirs.iter().enumerate() {
            if !base.contains(line) && !lines.contains(line) {
                let after = theirs[..at].iter().rev().find_map(|before| lines.iter().position(|it| it == before));
                lines.insert(after.map_or(0, |at| at + 1), *line);
            }
        }
        out.insert(path, lines);
    }
    out
}
