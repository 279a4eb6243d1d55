//! Random editing sessions whose truth is known: people at their keys, three AI sessions, writers
//! nobody saw, formatters, moves and undo. What carry says of every line is compared with the truth.
//!
//! `COUNTERSIGN_LONG=1` plays thousands of sessions, each time others.

mod play;
mod world;

use std::cell::RefCell;

use play::{Lines, Score, Step, play, steps};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

#[expect(clippy::disallowed_methods, reason = "the switch for long runs is the caller's, not the crate's")]
fn is_long() -> bool {
    std::env::var_os("COUNTERSIGN_LONG").is_some_and(|value| value == "1")
}

/// Plays many sessions. A session fails, and is shrunk, that calls a person's line an AI's or, among
/// those that are always the same, has any wrong line, where no lines are equal.
fn score(lines: Lines) -> Score {
    let cases = if is_long() { 2_000 } else { 30 };
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
    let mut runner = if is_long() {
        TestRunner::new(config)
    } else {
        TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
    };
    let total = RefCell::new(Score::default());
    let played = runner.run(&steps(lines), |steps: Vec<Step>| {
        let score = play(lines, &steps)?;
        if let (Lines::Unique, false, Some(wrong)) = (lines, is_long(), &score.wrong) {
            return Err(TestCaseError::fail(wrong.clone()));
        }
        total.borrow_mut().add(&score);
        Ok(())
    });
    if let Err(error) = played {
        panic!("{error}");
    }
    total.into_inner()
}

#[test]
fn in_sessions_without_equal_lines_nearly_every_line_is_right_and_no_persons_line_an_ais() {
    let score = score(Lines::Unique);
    println!("without equal lines: {score}");
    assert!(score.lines > 500, "{score}");
    assert!(score.right as f64 >= 0.999 * score.lines as f64, "{score}");
    assert_eq!(score.human_called_ai, 0);
}

#[test]
fn in_sessions_with_equal_lines_the_others_are_nearly_all_right() {
    let score = score(Lines::WithEqual);
    println!("with 20 % equal lines: {score}");
    assert!(score.lines > 500, "{score}");
    assert!(score.right as f64 >= 0.99 * score.lines as f64, "{score}");
}
