//! Real processes on one spool, and one of them killed at any moment.
//!
//! The test binary runs itself: `child` does nothing unless the environment says what.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails here")]

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use countersign_spool::{Class, Reader, Spool, append_once, verify};
use support::{ask, event, with_class};

const JOB: &str = "SPOOL_TEST_JOB";
const STATE: &str = "SPOOL_TEST_STATE";
const FIRST: &str = "SPOOL_TEST_FIRST";

#[test]
fn child() {
    let Ok(job) = std::env::var(JOB) else { return };
    let state = std::env::var(STATE).unwrap();
    let state = Path::new(&state);
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    match job.as_str() {
        "hooks" => {
            for n in first..first + 10 {
                append_once(state, &[event(n)], Duration::from_millis(100)).unwrap();
            }
        }
        // Says each number once it is acknowledged, until it is killed.
        "acknowledge" => {
            let mut spool = Spool::open(state).unwrap();
            for n in first.. {
                spool.append(&[with_class(event(n), if n % 3 == 0 { Class::Full } else { Class::Normal })]).unwrap();
                support::say(&format!("acknowledged {n}"));
            }
        }
        other => panic!("no job {other}"),
    }
}

fn spawn(job: &str, state: &Path, first: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture", "--test-threads=1"])
        .env(JOB, job)
        .env(STATE, state)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn eight_short_lived_processes_on_a_new_machine_lose_and_double_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let children: Vec<Child> = (0..8).map(|i| spawn("hooks", dir.path(), i * 1000)).collect();
    for child in children {
        assert!(child.wait_with_output().unwrap().status.success());
    }
    // What waits in the inbox, if the lock was late.
    let mut spool = Spool::open(dir.path()).unwrap();
    while Reader::open(dir.path()).unwrap().status(None).unwrap().inbox > 0 {
        spool.append(&[]).unwrap();
    }
    assert_eq!(ask::<i64>(dir.path(), "SELECT count(DISTINCT id) FROM events"), 80);
    let report = verify(dir.path()).unwrap();
    assert_eq!((report.is_ok(), report.last_seq, report.epochs), (true, 80, 1), "{report:?}");
}

#[test]
fn a_process_killed_at_any_moment_leaves_everything_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..5_u64 {
        let first = round * 1_000_000;
        let mut child = spawn("acknowledge", dir.path(), first);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut numbers = lines
            .filter_map(|line| line.unwrap().rsplit_once("acknowledged ").and_then(|(_, n)| n.parse::<u64>().ok()));
        let enough = first + 20 + round * 7;
        acknowledged.extend(numbers.by_ref().take_while(|&n| n < enough));
        acknowledged.push(enough);
        child.kill().unwrap();
        // What it still said before it died counts as well.
        acknowledged.extend(numbers);
        child.wait().unwrap();
    }
    let stored = Reader::open(dir.path()).unwrap().events_after(0, 1_000_000).unwrap();
    let ids: std::collections::HashSet<_> = stored.iter().map(|it| it.bytes.clone()).collect();
    for n in &acknowledged {
        assert!(ids.contains(&event(*n).event), "{n} was acknowledged and is gone");
    }
    // At most one append of each process was in flight.
    assert!(stored.len() <= acknowledged.len() + 5);
    let report = verify(dir.path()).unwrap();
    assert_eq!((report.is_ok(), report.epochs), (true, 1), "{report:?}");
}
