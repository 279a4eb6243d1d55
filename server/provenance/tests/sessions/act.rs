//! What may happen in a session.

use proptest::prelude::*;

/// Which lines are written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lines {
    /// Each once.
    Unique,
    /// One in five stands there several times, many are short.
    WithEqual,
}

/// One act.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) by: By,
    pub(crate) acts: Vec<Act>,
}

/// Who does it, and who sees that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum By {
    /// A person in an editor that is watched, key by key.
    Keys,
    /// A person, said a tool afterwards.
    Reported,
    /// An AI session between two snapshots, with the lines its tool names or without.
    Ai(u8, bool),
    /// Nobody saw who.
    Nobody,
}

/// What is done. Places and words are numbers, so that failures shrink.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Insert {
        at: u16,
        seeds: Vec<(bool, u32)>,
    },
    Delete {
        at: u16,
        count: u8,
    },
    Rewrite {
        at: u16,
        seed: u32,
    },
    ChangeWord {
        at: u16,
        token: u8,
        seed: u32,
    },
    TakeOutWord {
        at: u16,
        token: u8,
    },
    AddWord {
        at: u16,
        token: u8,
        seed: u32,
    },
    Move {
        at: u16,
        count: u8,
        to: u16,
    },
    Format(u32),
    /// Back to an earlier text.
    Undo {
        back: u8,
    },
    /// Lines deleted before come back where they were.
    BringBack,
}

fn act(lines: Lines) -> impl Strategy<Value = Act> {
    let seed = 0u32..1_000_000;
    let line = move || {
        let common = match lines {
            Lines::Unique => Just(false).boxed(),
            Lines::WithEqual => prop::bool::weighted(0.25).boxed(),
        };
        (common, 0u32..1_000_000)
    };
    let place = || any::<u16>();
    prop_oneof![
        6 => (place(), prop::collection::vec(line(), 1..6)).prop_map(|(at, seeds)| Act::Insert { at, seeds }),
        2 => (place(), 1u8..5).prop_map(|(at, count)| Act::Delete { at, count }),
        1 => (place(), seed.clone()).prop_map(|(at, seed)| Act::Rewrite { at, seed }),
        3 => (place(), any::<u8>(), seed.clone()).prop_map(|(at, token, seed)| Act::ChangeWord { at, token, seed }),
        2 => (place(), any::<u8>()).prop_map(|(at, token)| Act::TakeOutWord { at, token }),
        2 => (place(), any::<u8>(), seed.clone()).prop_map(|(at, token, seed)| Act::AddWord { at, token, seed }),
        2 => (place(), 1u8..8, place()).prop_map(|(at, count, to)| Act::Move { at, count, to }),
        2 => seed.prop_map(Act::Format),
        1 => (1u8..6).prop_map(|back| Act::Undo { back }),
        1 => Just(Act::BringBack),
    ]
}

/// Makes sessions.
pub(crate) fn steps(lines: Lines) -> impl Strategy<Value = Vec<Step>> {
    let by = prop_oneof![
        4 => Just(By::Keys),
        1 => Just(By::Reported),
        4 => (0u8..3, any::<bool>()).prop_map(|(session, hunks)| By::Ai(session, hunks)),
        1 => Just(By::Nobody),
    ];
    let step = (by, prop::collection::vec(act(lines), 1..4)).prop_map(|(by, acts)| Step { by, acts });
    prop::collection::vec(step, 1..40)
}
