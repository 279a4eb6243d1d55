//! Two histories of one stream: found, written down, never merged; and nothing of either is lost.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails here")]

mod support;

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use countersign_event::batch::Item;
use countersign_event::chain;
use countersign_spool::{Reader, Spool, SpoolError, Stored, verify};
use serde_json::Value;
use support::{event, tamper};

const TO: &str = "https://collector.example";

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn stored(state: &Path) -> Vec<Stored> {
    Reader::open(state).unwrap().events_after(0, 1000).unwrap()
}

fn forks(state: &Path) -> Vec<Value> {
    let data = |it: &Stored| serde_json::from_str(it.bytes.header().unwrap().data).unwrap();
    Reader::open(state).unwrap().by_type("dev.countersign.trail.forked.v1", 0).unwrap().iter().map(data).collect()
}

/// Hands everything out and acknowledges it; returns the exact bytes.
fn drain(spool: &mut Spool) -> Vec<String> {
    let mut sent = Vec::new();
    while let Some(pending) = spool.next_batch(TO, 3, 1 << 20).unwrap() {
        let batch = &pending.batch;
        assert!(batch.head.seq >= pending.last_seq && batch.head.epoch == batch.epoch);
        let mut hash = batch.previous;
        for item in &batch.events {
            let Item::Event(event) = item else { panic!("a hole") };
            hash = chain::next(hash, event.get().as_bytes());
            sent.push(event.get().to_owned());
        }
        spool.acknowledge(TO, &batch.epoch, pending.last_seq, hash).unwrap();
    }
    sent
}

#[test]
fn a_backup_that_was_put_back_is_found_by_its_own_heads_and_goes_on_in_a_new_epoch() {
    let (dir, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut spool = Spool::open(dir.path()).unwrap();
    let epoch = spool.append(&[event(1), event(2)]).unwrap().epoch;
    spool.head().unwrap();
    drop(spool);
    copy(dir.path(), backup.path());
    let mut spool = Spool::open(dir.path()).unwrap();
    spool.append(&[event(3), event(4)]).unwrap();
    spool.head().unwrap();
    drop(spool);
    // The database alone comes from the backup.
    for name in ["spool.db", "spool.db-wal", "spool.db-shm"] {
        let _ = fs::remove_file(dir.path().join(name));
        let _ = fs::copy(backup.path().join(name), dir.path().join(name));
    }
    for n in 5..8 {
        // Opening it again finds nothing new.
        Spool::open(dir.path()).unwrap().append(&[event(n)]).unwrap();
    }
    let forks = forks(dir.path());
    assert_eq!(forks.len(), 1, "{forks:?}");
    assert_eq!((&forks[0]["reason"], &forks[0]["how"]), (&Value::from("restored"), &Value::from("observed")));
    assert_eq!((&forks[0]["epoch"], &forks[0]["seq"]), (&Value::from(epoch.as_str()), &Value::from(3)));
    let places: Vec<(bool, u64)> = stored(dir.path()).iter().map(|it| (it.epoch == epoch, it.seq)).collect();
    assert_eq!(places, [(true, 1), (true, 2), (false, 1), (false, 2), (false, 3), (false, 4)]);
    let report = verify(dir.path()).unwrap();
    assert!(report.is_ok(), "{report:?}");
}

#[test]
fn a_home_that_was_copied_to_another_machine_begins_an_epoch_of_its_own_there() {
    let (dir, copied) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut spool = Spool::open(dir.path()).unwrap();
    let epoch = spool.append(&[event(1), event(2)]).unwrap().epoch;
    drop(spool);
    let machine = fs::read_to_string(dir.path().join("machine")).unwrap();
    assert_eq!(machine.len(), 32, "a digest, not the machine's id");
    copy(dir.path(), copied.path());
    fs::write(copied.path().join("machine"), "0".repeat(32)).unwrap();
    for n in 3..6 {
        Spool::open(copied.path()).unwrap().append(&[event(n)]).unwrap();
    }
    let forks = forks(copied.path());
    assert_eq!((forks.len(), &forks[0]["reason"], &forks[0]["seq"]), (1, &Value::from("copied"), &Value::from(3)));
    assert_eq!(stored(copied.path()).iter().filter(|it| it.epoch == epoch).count(), 2);
    assert_eq!(fs::read_to_string(copied.path().join("machine")).unwrap(), machine);
    assert!(verify(copied.path()).unwrap().is_ok());
    // The original goes on as if nothing were.
    assert_eq!(Spool::open(dir.path()).unwrap().append(&[event(9)]).unwrap().epoch, epoch);
}

#[test]
fn what_a_collector_refuses_as_a_fork_arrives_in_a_new_epoch_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    let epoch = spool.append(&(1..=9).map(event).collect::<Vec<_>>()).unwrap().epoch;
    spool.head().unwrap();
    let first = spool.next_batch(TO, 2, 1 << 20).unwrap().unwrap();
    let hash = chain::next(chain::next(first.batch.previous, event(1).event.as_bytes()), event(2).event.as_bytes());
    spool.acknowledge(TO, &epoch, 2, hash).unwrap();
    // It holds other events from the fifth on.
    assert!(spool.forked(TO, &epoch, 5).unwrap());
    spool.append(&[event(10)]).unwrap();
    spool.barrier().unwrap();
    let sent = drain(&mut spool);
    let own = |n: u64| event(n).event.as_str().to_owned();
    assert_eq!(sent[..2], [own(3), own(4)], "what both have goes in its old place");
    assert!(sent[2].contains("trail.forked") && sent[2].contains("\"seq\":5") && sent[2].contains("reported"));
    assert_eq!(sent[3..], (5..=10).map(own).collect::<Vec<_>>());
    assert_eq!(spool.backlog(TO).unwrap(), 0);
    let report = verify(dir.path()).unwrap();
    assert!(report.is_ok(), "{report:?}");
    assert!(!spool.forked("https://other.example", "no such epoch", 1).unwrap());
    // The same verdict again changes nothing.
    assert!(!spool.forked(TO, &epoch, 5).unwrap());
    assert_eq!(forks(dir.path()).len(), 1);
}

#[test]
fn one_fork_after_another_in_the_middle_of_what_is_sent_moves_everything_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    let first = spool.append(&(1..=30).map(event).collect::<Vec<_>>()).unwrap().epoch;
    spool.head().unwrap();
    // Half of a batch was taken before the verdict.
    assert!(spool.forked(TO, &first, 11).unwrap());
    let second = spool.append(&[event(31)]).unwrap().epoch;
    spool.head().unwrap();
    // The epoch that everything went to is another's too, from its tenth event on: after the record and 11 to 18.
    assert!(spool.forked(TO, &second, 10).unwrap());
    let third = spool.append(&[event(32)]).unwrap().epoch;
    // And the first one differs earlier than was known: it ended long ago, so 5 to 10 follow at the end.
    assert!(spool.forked(TO, &first, 5).unwrap());
    assert_eq!(spool.append(&[event(33)]).unwrap().epoch, third, "no epoch more for what is current already");
    spool.barrier().unwrap();
    let numbers = |text: &String| (1..=33).find(|n| event(*n).event.as_str() == text);
    let sent = drain(&mut spool);
    let order: Vec<u64> = sent.iter().filter_map(numbers).collect();
    let expected: Vec<u64> = [1..=4, 11..=18, 19..=30, 31..=32, 5..=10, 33..=33].into_iter().flatten().collect();
    assert_eq!(order, expected);
    assert_eq!(sent.len(), 33 + 3, "and a record of each verdict");
    assert_eq!(forks(dir.path()).len(), 3);
    assert_eq!(spool.backlog(TO).unwrap(), 0);
    let report = verify(dir.path()).unwrap();
    assert_eq!((report.is_ok(), report.epochs, report.events), (true, 3, 36), "{report:?}");
}

#[test]
fn a_fork_moves_nothing_that_was_acknowledged_and_opens_an_epoch_even_where_nothing_is_left_to_move() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    let epoch = spool.append(&[event(1), event(2)]).unwrap().epoch;
    assert_eq!(drain(&mut spool).len(), 2);
    assert!(spool.forked(TO, &epoch, 1).unwrap());
    let places: Vec<(bool, u64)> = stored(dir.path()).iter().map(|it| (it.epoch == epoch, it.seq)).collect();
    assert_eq!(places, [(true, 1), (true, 2), (false, 1)]);
    assert_ne!(spool.append(&[event(3)]).unwrap().epoch, epoch);
}

#[test]
fn another_open_writer_goes_on_in_the_new_epoch_and_a_tampered_one_is_still_named() {
    let dir = tempfile::tempdir().unwrap();
    let (mut one, mut two) = (Spool::open(dir.path()).unwrap(), Spool::open(dir.path()).unwrap());
    let epoch = one.append(&[event(1), event(2), event(3)]).unwrap().epoch;
    two.append(&[event(4)]).unwrap();
    one.head().unwrap();
    assert!(one.forked(TO, &epoch, 2).unwrap());
    assert_ne!(two.append(&[event(5)]).unwrap().epoch, epoch);
    let ids: HashSet<Vec<u8>> = stored(dir.path()).iter().map(|it| it.bytes.as_bytes().to_vec()).collect();
    assert!((1..=5).all(|n| ids.contains(event(n).event.as_bytes())));
    assert!(verify(dir.path()).unwrap().is_ok());
    tamper(dir.path(), &format!("UPDATE events SET bytes = replace(bytes, '1', '2') WHERE epoch = '{epoch}'"));
    assert_eq!(verify(dir.path()).unwrap().broken.unwrap().seq, 1);
}

#[test]
fn a_lie_about_what_was_acknowledged_is_an_error_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    let appended = spool.append(&[event(1)]).unwrap();
    let lie = spool.acknowledge(TO, &appended.epoch, 7, appended.last_hash);
    assert!(matches!(lie, Err(SpoolError::Forked { seq: 7, .. })));
    assert_eq!((forks(dir.path()).len(), spool.backlog(TO).unwrap()), (0, 1));
}
