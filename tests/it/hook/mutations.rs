//! Hook calls that get lost, come twice or in another order, and sessions side by side: whatever comes of it,
//! nothing is told twice and no text is told that was never there.
//!
//! Each run plays some of the recordings, another part for each mutation; `COUNTERSIGN_LONG=1` plays all.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::replay::{Play, Recording, SessionFile, Stage, is_after, is_before};
use super::text;
use crate::support::{World, is_long, of_type};

const RECORDINGS: &[(&str, &str)] = &[
    ("claude-code", "claude/claude-write-edit"),
    ("claude-code", "claude/claude-bash-and-failure"),
    ("claude-code", "claude/claude-hook-deny"),
    ("claude-code", "claude/claude-mcp-tool"),
    ("claude-code", "claude/claude-two-turns-thinking"),
    ("claude-code", "claude-acp/acp-claude-accept-reject"),
    ("codex", "codex/codex-apply-patch"),
    ("codex", "codex/codex-hook-deny-and-bad-patch"),
    ("codex", "codex/codex-mcp"),
    ("gemini-cli", "gemini/gemini-write-replace"),
    ("gemini-cli", "gemini-acp/acp-gemini-nofs-always"),
    ("copilot", "copilot/copilot-create-edit"),
    ("copilot", "copilot-acp/acp-copilot-accept-reject"),
    ("opencode", "opencode/opencode-write-edit-deny"),
    ("opencode", "opencode-acp/acp-opencode-accept-reject"),
];

/// What a recording suffers.
#[derive(Clone, Copy, Debug)]
enum Mutation {
    Drop,
    Double,
    DoubleLater,
    Swap,
    DropAllAfter,
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

fn mutate(mutation: Mutation, dice: &mut Dice, hooks: &[Value], order: &mut Vec<usize>) {
    let event = |at: usize| hooks[at]["event"].as_str().unwrap_or_default();
    let of_calls: Vec<usize> = (0..hooks.len()).filter(|at| is_before(event(*at)) || is_after(event(*at))).collect();
    // Where no hook tells of calls, any other will do.
    let all: Vec<usize> = (0..hooks.len()).collect();
    let pool = if of_calls.is_empty() { &all } else { &of_calls };
    let at = pool[dice.below(pool.len())];
    match mutation {
        Mutation::Drop => order.retain(|other| *other != at),
        Mutation::Double => order.insert(at, at),
        Mutation::DoubleLater => order.insert(at + dice.below(hooks.len() - at) + 1, at),
        Mutation::Swap => {
            let same = |other: &&usize| hooks[**other]["event"] != hooks[at]["event"] && **other > at;
            if let Some(&other) = pool.iter().find(same) {
                order.swap(at, other);
            }
        }
        Mutation::DropAllAfter => order.retain(|at| !is_after(event(*at))),
    }
}

/// Every text that a file ever had, and `null` for no file.
fn states(recording: &Recording) -> BTreeMap<String, BTreeSet<String>> {
    let mut states: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, change) in recording.changes() {
        states.entry(path).or_default().extend([change["before"].to_string(), change["after"].to_string()]);
    }
    states
}

/// Nothing twice, nothing invented.
fn check(recording: &Recording, events: &[Value], what: &str) {
    let states = states(recording);
    let mut contributions = BTreeSet::new();
    for event in of_type(events, "edit.applied") {
        let path = text(&event["data"]["place"]["path"]);
        let known = states.get(&path).unwrap_or_else(|| panic!("{what}: {path} never changed"));
        let (before, after) = (&event["content"]["before"], &event["content"]["after"]);
        for side in [before, after].into_iter().filter(|side| side.is_string()) {
            assert!(known.contains(&side.to_string()), "{what}: {path} never was {side}");
        }
        assert!(before.is_null() || before != after, "{what}: {event}");
        assert!(contributions.insert(text(&event["data"]["contribution"])), "{what}: {event}");
    }
    let mut calls = BTreeSet::new();
    let called = of_type(events, "tool.called");
    for event in &called {
        let id = &event["data"]["path"]["tool_call_id"];
        assert!(!id.is_string() || calls.insert(text(id)), "{what}: {id} is told twice");
    }
    let true_calls = recording.calls().count();
    assert!(called.len() <= true_calls, "{what}: {} calls of {true_calls}", called.len());
    let prompts = recording.truth["prompts"].as_array().unwrap().len();
    assert!(of_type(events, "prompt.submitted").len() <= prompts, "{what}");
}

/// Of so many recordings a short run plays one.
const SHORT: u64 = 5;

fn suffers(mutation: Mutation, seed: u64) {
    let plays = |at: usize| is_long() || (at as u64 + seed + seed / 10).is_multiple_of(SHORT);
    for (at, (client, name)) in RECORDINGS.iter().enumerate().filter(|(at, _)| plays(*at)) {
        let recording = Recording::read(name);
        let mut dice = Dice(seed + at as u64);
        let session_file = [SessionFile::AsRecorded, SessionFile::WholeFromTheStart][dice.below(2)];
        let how = Play { client, session_file, committed: dice.below(2) == 0 };
        let world = World::new();
        let mut stage = Stage::new(&recording, &how, &world, "demo")
            .in_order(|hooks, order| mutate(mutation, &mut dice, hooks, order));
        while stage.goes_on() {}
        let trouble = std::fs::read_to_string(world.home().join("state/hook.log")).unwrap_or_default();
        assert_eq!(trouble, "");
        check(&recording, &world.log(), &format!("{name} {mutation:?} {seed}"));
    }
}

#[test]
fn a_hook_call_that_is_lost() {
    (0..2).for_each(|seed| suffers(Mutation::Drop, seed));
}

#[test]
fn a_hook_call_that_comes_twice() {
    suffers(Mutation::Double, 10);
    suffers(Mutation::DoubleLater, 20);
}

#[test]
fn an_end_that_comes_before_its_beginning() {
    (30..32).for_each(|seed| suffers(Mutation::Swap, seed));
}

#[test]
fn ends_of_calls_that_are_all_lost() {
    suffers(Mutation::DropAllAfter, 40);
}

#[test]
fn two_sessions_side_by_side_do_not_mix() {
    let two_clients = [RECORDINGS[0], RECORDINGS[6]];
    let pairs = RECORDINGS.chunks(2).enumerate().filter(|(at, _)| is_long() || *at == 0).map(|(_, pair)| pair);
    for pair in pairs.chain([&two_clients[..]]) {
        let recordings: Vec<Recording> = pair.iter().map(|(_, name)| Recording::read(name)).collect();
        let how = |client| Play { client, session_file: SessionFile::AsRecorded, committed: true };
        let hows: Vec<Play<'_>> = pair.iter().map(|(client, _)| how(client)).collect();
        let world = World::new();
        let names = ["one", "two"];
        let mut stages: Vec<Stage<'_>> = recordings
            .iter()
            .zip(&hows)
            .zip(names)
            .map(|((recording, how), name)| Stage::new(recording, how, &world, name))
            .collect();
        let mut dice = Dice(pair.len() as u64);
        let mut going: Vec<usize> = (0..stages.len()).collect();
        while !going.is_empty() {
            let next = dice.below(going.len());
            if !stages[going[next]].goes_on() {
                going.remove(next);
            }
        }
        let events = world.log();
        for (at, recording) in recordings.iter().enumerate() {
            let root = format!("/{}/", names[at]);
            let session =
                |event: &&Value| event["data"]["place"]["uri"].as_str().is_some_and(|uri| uri.contains(&root));
            let own: Vec<Value> = events.iter().filter(session).cloned().collect();
            check(recording, &own, pair[at].1);
            let applied = of_type(&own, "edit.applied").len();
            assert_eq!(applied, recording.changes().len(), "{}", pair[at].1);
        }
    }
}
