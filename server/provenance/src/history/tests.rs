//! Random histories in a small model of git, in which everybody's lines are known.
//!
//! Every line is unique, so its text says who wrote it, which the resolver does not know: it sees
//! texts, observations, commits and reflogs alone.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use countersign_event::facts::How;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::attribution::Attribution;
use crate::lines::lines;
use crate::spans::Origin;
use crate::text::Text;

mod model;

use model::{Model, PATHS, Step};

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

    fn attested(&mut self, commit: &str, path: &str, _: &str) -> Option<Attribution> {
        self.0.attested.get(&(commit.into(), path.into())).cloned()
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

fn history(model: &mut Model) -> History<Stored<'_>> {
    let (seen, commits, entries, stashes) =
        (model.seen.clone(), model.commits.clone(), model.entries.clone(), model.stashes.clone());
    let gone: Vec<Arc<str>> = PATHS.into_iter().filter(|path| !model.work.contains_key(path)).map(Arc::from).collect();
    let mut history = History::new(seen, commits, entries, stashes, Stored(model));
    history.set_gone("/w", gone);
    history
}

/// What settle does some weeks later: commits are attested, and what was seen and is spent goes.
fn let_go(model: &mut Model) {
    let mut past = history(model);
    let mut attested = HashMap::new();
    for (commit, paths) in past.versions() {
        let known = paths.iter().filter_map(|path| Some((path, past.of_version(&commit, path)?)));
        let known: Vec<_> = known.map(|(path, known)| (Arc::clone(path), known.attribution.clone())).collect();
        if known.iter().any(|(_, known)| known.origins.iter().any(|(_, origin)| *origin != Origin::Unknown)) {
            attested.extend(known.into_iter().map(|(path, known)| ((Arc::clone(&commit), path), known)));
        }
    }
    drop(past);
    model.attested = attested;
    let (before, git) = (model.clock + 1, model.clock);
    let mut past = history(model);
    let spent: HashSet<i64> = past.spent(before, Some(git)).into_iter().collect();
    let heirs = past.heirs(&spent);
    let born: Vec<Option<i64>> = past.past.commits.keys().map(|id| past.born(id)).collect();
    let born: HashMap<Arc<str>, Option<i64>> = past.past.commits.keys().cloned().zip(born).collect();
    drop(past);
    model.seen.retain(|it| !spent.contains(&it.seq));
    for (seq, attribution) in heirs {
        model.seen.iter_mut().filter(|it| it.seq == seq).for_each(|it| it.is_noted = true);
        model.saved.insert(seq, attribution);
    }
    model.commits.iter_mut().for_each(|commit| commit.born = born[&commit.id]);
}

fn compare(model: &mut Model) -> Found {
    let (trees, work, writers, moment) =
        (model.trees.clone(), model.work.clone(), model.writers.clone(), model.moment());
    let work_ids: Vec<(&str, TextId)> = work.iter().map(|(path, lines)| (*path, model.id(lines))).collect();
    let mut history = history(model);
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
    steps.iter().for_each(|step| model.step(*step));
    compare(&mut model)
}

fn played_with_loss(steps: &[Step]) -> Found {
    let mut model = Model::new();
    for part in steps.chunks(steps.len().div_ceil(3)) {
        part.iter().for_each(|step| model.step(*step));
        let_go(&mut model);
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

/// Plays other histories each time; one that names a wrong author is shrunk and shown. Those lines that are
/// lost come together, so a short run says less of them.
fn check(cases: u32, lost_max: f64, play: impl Fn(&[Step]) -> Found) {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
    let (right, lost) = (Cell::new(0), Cell::new(0));
    let played = TestRunner::new(config).run(&steps(60), |steps| {
        let found = play(&steps);
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
    assert!(right > 50 * cases as usize, "{right} lines are too few to say anything");
    assert!(lost as f64 <= lost_max * right as f64, "{lost} of {} lines are lost", right + lost);
}

#[test]
fn no_line_is_given_to_another_author_and_few_are_lost() {
    let cases = cases();
    check(cases, if cases >= 3_000 { 0.001 } else { 0.01 }, played);
}

#[test]
fn nor_where_looks_were_let_go_that_attested_commits_hold() {
    check(cases() / 3, 0.05, played_with_loss);
}
