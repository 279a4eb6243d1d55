//! Random editing sessions whose truth is known: people at their keys, three AI sessions, writers
//! nobody saw, formatters, moves and undo. What carry says of every line is compared with the truth.
//!
//! Every run plays other sessions. A failure prints their seed: `COUNTERSIGN_SEED=<it>` plays them
//! again. `COUNTERSIGN_LONG=1` plays thousands.

mod act;
mod play;
mod truth;
mod world;

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};

use act::{Lines, Step, steps};
use play::{Score, play};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

#[expect(clippy::disallowed_methods, reason = "how many and which sessions is the caller's choice, not the crate's")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Plays many sessions from a seed. In a long run without equal lines, a session fails, and is shrunk,
/// that calls a person's line an AI's.
fn score(lines: Lines, seed: u64, cases: u32) -> Score {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 4_000, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let total = RefCell::new(Score::default());
    let played = TestRunner::new_with_rng(config, rng).run(&steps(lines), |steps: Vec<Step>| {
        let score = play(lines, &steps)?;
        if let (Lines::Unique, true, Some(wrong)) = (lines, is_long(), &score.called_ai) {
            return Err(TestCaseError::fail(wrong.clone()));
        }
        total.borrow_mut().add(&score);
        Ok(())
    });
    if let Err(error) = played {
        panic!("COUNTERSIGN_SEED={seed} ({lines:?}): {error}");
    }
    total.into_inner()
}

fn is_long() -> bool {
    variable("COUNTERSIGN_LONG").is_some_and(|value| value == "1")
}

fn cases() -> u32 {
    if is_long() { 2_000 } else { 100 }
}

fn seed() -> u64 {
    let fresh = || RandomState::new().hash_one("session");
    variable("COUNTERSIGN_SEED").map_or_else(fresh, |seed| seed.parse().expect("a seed is a number"))
}

#[test]
fn in_sessions_without_equal_lines_nearly_every_line_is_right_and_hardly_a_persons_line_an_ais() {
    let (seed, cases) = (seed(), cases());
    let score = score(Lines::Unique, seed, cases);
    println!("COUNTERSIGN_SEED={seed}, {cases} sessions without equal lines: {score}");
    assert!(score.told.lines > 500, "{score}");
    // Of a few sessions one that goes wrong weighs more.
    let least = if is_long() { 0.999 } else { 0.995 };
    assert!(score.told.right as f64 >= least * score.told.lines as f64, "{score}");
    // Not never yet: a call that was torn apart and wrapped in the step in which others went.
    assert!(score.told.human_called_ai as f64 <= 0.001 * score.told.lines as f64, "{score}");
}

#[test]
fn in_sessions_with_equal_lines_the_others_are_nearly_all_right() {
    let (seed, cases) = (seed(), cases());
    let score = score(Lines::WithEqual, seed, cases);
    println!("COUNTERSIGN_SEED={seed}, {cases} sessions with 20 % equal lines: {score}");
    assert!(score.told.lines > 500, "{score}");
    assert!(score.told.right as f64 >= 0.98 * score.told.lines as f64, "{score}");
    // A bracket that stands often may be taken for another one, and joined to a person's line.
    assert!(score.told.human_called_ai as f64 <= 0.01 * score.told.lines as f64, "{score}");
}
