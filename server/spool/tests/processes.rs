//! Real processes on one spool, and one of them killed at any moment.
//!
//! The test binary runs itself: `child` does nothing unless the environment says what.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails here")]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use countersign_event::batch::Item;
use countersign_event::chain;
use countersign_event::payload::{Payload, trail};
use countersign_spool::{Class, Reader, Spool, SpoolError, Writer, append_once, verify};
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
            support::say("ready");
            std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
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
        // Appends until the parent closes our standard input.
        "write" => {
            let until = std::thread::spawn(|| std::io::stdin().read_to_end(&mut Vec::new()));
            let writer = Writer::start(state);
            let mut n = first;
            while !until.is_finished() {
                for _ in 0..20 {
                    writer.enqueue(with_class(event(n), if n.is_multiple_of(7) { Class::Full } else { Class::Normal }));
                    n += 1;
                }
                writer.flush(Duration::from_secs(60)).unwrap();
            }
            writer.close(Duration::from_secs(60)).unwrap();
            support::say(&format!("wrote {n}"));
        }
        // Appends one event, says so, and waits for its end.
        "live" => {
            let writer = Writer::start_as(state, "tap", 1 << 20);
            writer.enqueue(event(first));
            writer.flush(Duration::from_secs(60)).unwrap();
            support::say("lives");
            std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
            writer.close(Duration::from_secs(60)).unwrap();
        }
        // Appends one event and says whether it could; then waits until it can.
        "refused" => {
            assert!(append_once(state, &[event(first)], Duration::from_millis(100)).is_err());
            let writer = Writer::start(state);
            writer.enqueue(event(first + 1));
            let Err(SpoolError::Unwritten { events: 1, source: Some(why) }) = writer.flush(Duration::from_secs(1))
            else {
                panic!("nothing can be written here")
            };
            support::say(&format!("refused: {why}"));
            writer.flush(Duration::from_secs(60)).unwrap();
            writer.close(Duration::from_secs(60)).unwrap();
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
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Processes that all wait for the same moment: none begins before the last one is there.
fn at_once(job: &str, state: &Path, count: u64) -> Vec<Child> {
    let mut children: Vec<Child> = (0..count).map(|i| spawn(job, state, i * 1000)).collect();
    for child in &mut children {
        let out = child.stdout.take().unwrap();
        let mut lines = BufReader::new(out);
        let mut line = String::new();
        while !line.ends_with("ready\n") {
            assert!(lines.read_line(&mut line).unwrap() > 0, "it is there");
        }
        // What the harness still says must find somebody who listens.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    }
    for child in &mut children {
        drop(child.stdin.take());
    }
    children
}

#[test]
fn sixteen_processes_that_start_at_once_on_a_new_machine_share_one_spool_and_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for mut child in at_once("hooks", dir.path(), 16) {
        assert!(child.wait().unwrap().success());
    }
    // What waits in the inbox, if the lock was late.
    let mut spool = Spool::open(dir.path()).unwrap();
    while Reader::open(dir.path()).unwrap().status(None).unwrap().inbox > 0 {
        spool.append(&[]).unwrap();
    }
    assert_eq!(ask::<i64>(dir.path(), "SELECT count(DISTINCT id) FROM events"), 160);
    let report = verify(dir.path()).unwrap();
    assert_eq!((report.is_ok(), report.last_seq, report.epochs), (true, 160, 1), "{report:?}");
}

#[test]
fn eight_writers_and_a_replayer_lose_and_double_nothing() {
    let long = std::env::var_os("COUNTERSIGN_LONG").is_some_and(|value| value == "1");
    let enough = Duration::from_secs(if long { 60 } else { 2 });
    let dir = tempfile::tempdir().unwrap();
    let mut children: Vec<Child> = (0..8).map(|i| spawn("write", dir.path(), i * 1_000_000)).collect();
    let mut sent = std::collections::HashSet::new();
    let mut spool = Spool::open(dir.path()).unwrap();
    let mut replay = |spool: &mut Spool| {
        let Some(pending) = spool.next_batch("http://c", 500, 1 << 20).unwrap() else { return false };
        let mut hash = pending.batch.previous;
        for item in &pending.batch.events {
            let Item::Event(event) = item else { panic!("a hole") };
            hash = chain::next(hash, event.get().as_bytes());
            assert!(sent.insert(event.get().to_owned()), "handed out twice");
        }
        spool.acknowledge("http://c", &pending.batch.epoch, pending.last_seq, hash).unwrap();
        true
    };
    let started = Instant::now();
    while started.elapsed() < enough {
        replay(&mut spool);
    }
    let mut expected = 0;
    for (i, child) in children.iter_mut().enumerate() {
        drop(child.stdin.take());
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut wrote =
            lines.filter_map(|it| it.unwrap().rsplit_once("wrote ").and_then(|(_, n)| n.parse::<u64>().ok()));
        expected += wrote.next().expect("it says how far it came") - i as u64 * 1_000_000;
        assert!(child.wait().unwrap().success());
    }
    while Reader::open(dir.path()).unwrap().status(None).unwrap().inbox > 0 {
        spool.append(&[]).unwrap();
    }
    spool.barrier().unwrap();
    while replay(&mut spool) {}
    assert!(expected >= 8 * 20);
    assert_eq!(sent.len() as u64, expected);
    let report = verify(dir.path()).unwrap();
    assert_eq!((report.is_ok(), report.last_seq, report.epochs), (true, expected, 1), "{report:?}");
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

/// Starts a process that lives until its standard input closes.
fn living(state: &Path, n: u64) -> Child {
    let mut child = spawn("live", state, n);
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    lines.find(|line| line.as_ref().unwrap().contains("lives")).unwrap().unwrap();
    child
}

fn crashes(state: &Path) -> Vec<trail::Gap> {
    let gaps = Reader::open(state).unwrap().by_type("dev.countersign.trail.gap.v1", 0).unwrap();
    let read = gaps.iter().filter_map(|it| match it.bytes.payload() {
        Ok(Payload::TrailGap(gap)) if gap.reason == "crash" => Some(gap),
        _ => None,
    });
    read.collect()
}

fn now_ms() -> i64 {
    i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
}

#[test]
fn a_process_that_stopped_without_saying_so_is_told_once_with_its_name_and_period() {
    let dir = tempfile::tempdir().unwrap();
    let (mut killed, mut ends, lives) = (living(dir.path(), 1), living(dir.path(), 2), living(dir.path(), 3));
    let began = now_ms();
    killed.kill().unwrap();
    killed.wait().unwrap();
    drop(ends.stdin.take());
    assert!(ends.wait().unwrap().success());
    // A hook finds it, and so does every writer after it; the one that lives is not taken for dead.
    append_once(dir.path(), &[event(10)], Duration::from_secs(20)).unwrap();
    append_once(dir.path(), &[event(11)], Duration::from_secs(20)).unwrap();
    Writer::start(dir.path()).close(Duration::from_secs(20)).unwrap();
    let told = crashes(dir.path());
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].by.as_deref(), told[0].count), (Some("tap"), None));
    let (from, to) = (told[0].from.unwrap().as_millis(), told[0].to.unwrap().as_millis());
    assert!(from <= to && to >= began && to <= now_ms(), "{from} {to} {began}");
    assert!(from > began - 600_000, "its last sign of life is of this test");
    // A power cut leaves the files of all that were at work.
    let mut lives = lives;
    lives.kill().unwrap();
    lives.wait().unwrap();
    Writer::start(dir.path()).close(Duration::from_secs(20)).unwrap();
    assert_eq!(crashes(dir.path()).len(), 2);
    assert_eq!(std::fs::read_dir(dir.path().join("running")).unwrap().count(), 0);
    assert!(verify(dir.path()).unwrap().is_ok());
}

#[test]
fn a_finder_that_was_killed_before_it_forgot_tells_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut killed = living(dir.path(), 1);
    killed.kill().unwrap();
    killed.wait().unwrap();
    let running = dir.path().join("running");
    let file = std::fs::read_dir(&running).unwrap().next().unwrap().unwrap().path();
    let bytes = std::fs::read(&file).unwrap();
    append_once(dir.path(), &[event(10)], Duration::from_secs(20)).unwrap();
    // As it lies when the finder dies between its commit and the unlink.
    std::fs::write(&file, bytes).unwrap();
    append_once(dir.path(), &[event(11)], Duration::from_secs(20)).unwrap();
    assert_eq!(crashes(dir.path()).len(), 1);
    assert!(!file.exists());
}

/// Runs as somebody whom file permissions bind: the superuser may write anywhere.
#[cfg(unix)]
fn spawn_bound(job: &str, dir: &Path, state: &Path, n: u64) -> Child {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65_534;
    let exe = dir.join("test");
    std::fs::copy(std::env::current_exe().unwrap(), &exe).unwrap();
    let mut command = Command::new(&exe);
    if std::fs::metadata(dir).unwrap().uid() == 0 {
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).unwrap();
        for path in std::fs::read_dir(state).unwrap().map(|it| it.unwrap().path()).chain([state.to_owned()]) {
            chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        command.uid(NOBODY).gid(NOBODY);
    }
    command
        .args(["child", "--exact", "--nocapture", "--test-threads=1"])
        .env(JOB, job)
        .env(STATE, state)
        .env(FIRST, n.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[cfg(unix)]
#[test]
fn a_directory_that_is_read_only_is_an_error_that_says_so_and_passes_when_it_is_not() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    Spool::open(&state).unwrap().append(&[event(1)]).unwrap();
    let set = |dirs, files| {
        for path in std::fs::read_dir(&state).unwrap().map(|it| it.unwrap().path()).chain([state.clone()]) {
            let mode = if path.is_dir() { dirs } else { files };
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    set(0o500, 0o400);
    let mut child = spawn_bound("refused", dir.path(), &state, 10);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let why = lines.find_map(|line| line.unwrap().rsplit_once("refused: ").map(|(_, why)| why.to_owned()));
    let why = why.expect("it says why");
    assert!(why.contains(state.to_str().unwrap()), "{why}");
    set(0o700, 0o600);
    for line in lines {
        line.unwrap();
    }
    assert!(child.wait().unwrap().success());
    // It may have found its way into the inbox first.
    Spool::open(&state).unwrap().append(&[]).unwrap();
    assert_eq!(ask::<i64>(&state, "SELECT count(*) FROM events"), 2, "{why}");
    assert!(verify(&state).unwrap().is_ok());
}
