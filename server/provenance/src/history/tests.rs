//! Random histories in a small model of git, in which everybody's lines are known.
//!
//! Every line is unique, so its text says who wrote it, which the resolver does not know: it sees
//! texts, observations, commits and reflogs alone.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use countersign_event::facts::How;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::attribution::Attribution;
use crate::lines::lines;
use crate::spans::{ContributionId, Origin, Spans};
use crate::text::Text;

type Lines = Vec<u32>;
type Tree = BTreeMap<&'static str, Lines>;

const PATHS: [&str; 12] =
    ["a.rs", "b.rs", "c.rs", "d.rs", "e.rs", "f.rs", "g.rs", "h.rs", "i.rs", "j.rs", "k.rs", "l.rs"];

/// One step: what, where, and how much of it.
#[derive(Clone, Copy, Debug)]
struct Step(u8, u8, u8, u8);

struct Stash {
    id: Arc<str>,
    tree: Tree,
}

#[derive(Default)]
struct Model {
    texts: Vec<Arc<str>>,
    ids: HashMap<Arc<str>, TextId>,
    trees: HashMap<Arc<str>, Tree>,
    commits: Vec<Commit>,
    entries: Vec<Entry>,
    seen: Vec<Seen>,
    saved: HashMap<i64, Attribution>,
    stashes: Vec<Arc<str>>,
    stack: Vec<Stash>,
    branches: Vec<Option<Arc<str>>>,
    on: usize,
    work: Tree,
    /// Who wrote each line. A line that is not there was written unseen.
    writers: Vec<Option<Origin>>,
    clock: i64,
    reflog: u64,
    special: Vec<Arc<str>>,
    used: BTreeSet<&'static str>,
}

impl Model {
    fn new() -> Model {
        Model { branches: vec![None; 3], clock: 1_000_000, ..Model::default() }
    }

    fn text_of(lines: &[u32]) -> String {
        // No word stands in two lines: a line that takes another's place is new as a whole.
        lines.iter().map(|n| format!("first_{n} second_{n} third_{n} fourth_{n}\n")).collect()
    }

    fn id(&mut self, lines: &[u32]) -> TextId {
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

    fn moment(&self) -> Moment {
        let stash = self.stack.last().map(|stash| Arc::clone(&stash.id));
        Moment { head: self.head(), special: self.special.clone(), stash, reflog_len: self.reflog }
    }

    fn look(&mut self, look: Look, path: &'static str, call: Option<i64>) -> i64 {
        let seq = self.seen.len() as i64 + 1;
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
        Commit { id: Arc::clone(id), parents: parents.to_vec(), author, time: self.clock / 1000, changes }
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

    fn step(&mut self, Step(what, path, at, much): Step) {
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
                let call = self.seen.len() as i64;
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

struct Stored<'a>(&'a mut Model);

impl Source for Stored<'_> {
    fn text(&mut self, id: TextId) -> Option<Arc<str>> {
        self.0.texts.get(id.0 as usize).cloned()
    }

    fn at(&mut self, commit: &str, path: &str) -> Option<TextId> {
        let lines = self.0.trees.get(commit)?.get(path)?.clone();
        Some(self.0.id(&lines))
    }

    fn saved(&mut self, seq: i64, _: &str) -> Option<Attribution> {
        self.0.saved.get(&seq).cloned()
    }

    fn attested(&mut self, _: &str, _: &str, _: &str) -> Option<Attribution> {
        None
    }

    fn is_in_git(&mut self, id: TextId) -> bool {
        let text = &self.0.texts[id.0 as usize];
        self.0.trees.values().flat_map(BTreeMap::values).any(|lines| Model::text_of(lines) == **text)
    }
}

/// What came out of a history.
#[derive(Debug, Default)]
struct Found {
    right: usize,
    /// Somebody was seen writing it, and the answer is that nobody knows; or the other way round.
    lost: usize,
    /// Another author than the one who wrote it, in words.
    wrong: Vec<String>,
}

fn compare(model: &mut Model) -> Found {
    let (seen, commits, entries, stashes) =
        (model.seen.clone(), model.commits.clone(), model.entries.clone(), model.stashes.clone());
    let (trees, work, writers, moment) =
        (model.trees.clone(), model.work.clone(), model.writers.clone(), model.moment());
    let work_ids: Vec<(&str, TextId)> = work.iter().map(|(path, lines)| (*path, model.id(lines))).collect();
    let mut history = History::new(seen, commits, entries, stashes, Stored(model));
    history.set_gone("/w", PATHS.into_iter().filter(|path| !work.contains_key(path)).map(Arc::from));
    let mut out = Found::default();
    let mut check = |place: &str, lines_of: &[u32], found: &Attribution| {
        let text = Text::new(&Model::text_of(lines_of));
        for (number, author) in lines(&text, found, 0..usize::MAX) {
            let truth = writers[lines_of[number] as usize].clone().unwrap_or(Origin::Unknown);
            if author.shares.len() == 1 && author.shares[0].0 == truth {
                out.right += 1;
            } else if truth == Origin::Unknown && author.shares[0].0 == Origin::Human(How::Reported) {
                // A line that nobody saw in a file of another name, and that somebody's word then covers.
                out.lost += 1;
            } else if author.shares.len() == 1 && author.shares[0].0 == Origin::Unknown {
                out.lost += 1;
            } else {
                out.wrong.push(format!("{place}: line {} is {truth}, found {:?}", lines_of[number], author.shares));
            }
        }
    };
    for (commit, tree) in &trees {
        for (path, lines) in tree.iter().filter(|(_, lines)| !lines.is_empty()) {
            let known = history.of_version(commit, path).expect("it has a text");
            check(&format!("{commit}:{path}"), lines, &known.attribution);
        }
    }
    for (path, id) in work_ids.into_iter().filter(|(path, _)| !work[path].is_empty()) {
        let text = Model::text_of(&work[path]).into();
        let gone = PATHS.into_iter().filter(|path| !work.contains_key(path)).map(Arc::from).collect();
        let found = history.of_text("/w", path, moment.clone(), gone, id, &text);
        check(&format!("work:{path}"), &work[path], &found);
    }
    assert_eq!(history.circles, 0, "nothing explains itself");
    out
}

fn steps(count: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = (any::<u8>(), any::<u8>(), any::<u8>(), any::<u8>()).prop_map(|(a, b, c, d)| Step(a, b, c, d));
    prop::collection::vec(step, 1..count)
}

fn played(steps: &[Step]) -> Found {
    let mut model = Model::new();
    for step in steps {
        model.step(*step);
    }
    compare(&mut model)
}

/// How many histories, each time others: `COUNTERSIGN_HISTORIES` says so, else whether it is the long run.
#[expect(clippy::disallowed_methods, reason = "the switch for long runs is the caller's, not the crate's")]
fn cases() -> u32 {
    let is_long = std::env::var_os("COUNTERSIGN_LONG").is_some_and(|value| value == "1");
    let asked = std::env::var("COUNTERSIGN_HISTORIES").ok().and_then(|count| count.parse().ok());
    asked.unwrap_or(if is_long { 3_000 } else { 150 })
}

/// Other histories each time; one that names a wrong author is shrunk and shown.
#[test]
fn no_line_is_given_to_another_author_and_few_are_lost() {
    let config = Config { cases: cases(), failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
    let (right, lost) = (Cell::new(0), Cell::new(0));
    let played = TestRunner::new(config).run(&steps(60), |steps| {
        let found = played(&steps);
        prop_assert_eq!(&found.wrong, &Vec::<String>::new());
        right.set(right.get() + found.right);
        lost.set(lost.get() + found.lost);
        Ok(())
    });
    if let Err(error) = played {
        panic!("{error}");
    }
    let (right, lost) = (right.get(), lost.get());
    println!("{right} lines right, {lost} lost, none wrong");
    assert!(right > 8_000, "{right} lines are too few to say anything");
    // Those that are lost come together, so a short run says less.
    let limit = if right > 200_000 { 1_000 } else { 100 };
    assert!(lost * limit <= right, "{lost} of {} lines are lost", right + lost);
}
