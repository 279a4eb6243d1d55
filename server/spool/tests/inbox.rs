//! Letters: what could not wait for the spool is taken in exactly once.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails here")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_spool::{ContentState, Placed, Reader, Spool, append_once, verify};
use support::{ask, event, event_with_content};

fn letters(state: &Path) -> Vec<PathBuf> {
    fs::read_dir(state.join("inbox")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Appends while another process holds the write lock.
fn post(state: &Path, append: countersign_spool::Append) {
    let blocker = rusqlite::Connection::open(state.join("spool.db")).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(append_once(state, &[append], Duration::from_millis(5)).unwrap(), Placed::Inbox);
}

#[test]
fn a_letter_is_taken_in_before_the_next_event_with_its_text_and_then_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    spool.barrier().unwrap(); // the FULL commit that every process makes is behind it
    let append = event_with_content(1, "the canary sings");
    post(dir.path(), append.clone());
    let waiting = letters(dir.path());
    assert_eq!(waiting.len(), 1);
    assert!(!fs::read_to_string(&waiting[0]).unwrap().contains("canary"));
    assert_eq!(Reader::open(dir.path()).unwrap().status(None).unwrap().inbox, 1);

    let appended = spool.append(&[event(2)]).unwrap();
    assert_eq!((appended.inserted, appended.full), (2, true));
    let reader = Reader::open(dir.path()).unwrap();
    let stored = reader.events_after(0, 10).unwrap();
    assert_eq!([&stored[0].bytes, &stored[1].bytes], [&append.event, &event(2).event]);
    let content = reader.content(&append.contents[0].commitment.kept).unwrap();
    assert!(matches!(content, ContentState::Ok { text, .. } if text == "the canary sings"));
    assert_eq!(letters(dir.path()), [] as [PathBuf; 0]);
}

#[test]
fn a_letter_that_outlived_its_commit_is_not_taken_in_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    post(dir.path(), event(1));
    let letter = letters(dir.path()).pop().unwrap();
    let bytes = fs::read(&letter).unwrap();
    spool.append(&[]).unwrap();
    // As if the writer had been killed between the commit and the unlink.
    fs::write(&letter, bytes).unwrap();
    let appended = Spool::open(dir.path()).unwrap().append(&[]).unwrap();
    assert_eq!((appended.inserted, appended.duplicates), (0, 1));
    assert_eq!(ask::<i64>(dir.path(), "SELECT count(*) FROM events"), 1);
    assert_eq!(letters(dir.path()), [] as [PathBuf; 0]);
}

#[test]
fn many_letters_and_eight_writers_at_once_lose_and_double_nothing() {
    let dir = tempfile::tempdir().unwrap();
    drop(Spool::open(dir.path()).unwrap());
    for n in 0..100 {
        post(dir.path(), event(n));
    }
    std::thread::scope(|scope| {
        for writer in 1..=8 {
            let state = dir.path();
            scope.spawn(move || {
                let mut spool = Spool::open(state).unwrap();
                for n in 0..5 {
                    spool.append(&[event(writer * 1000 + n)]).unwrap();
                }
            });
        }
    });
    assert_eq!(ask::<i64>(dir.path(), "SELECT count(DISTINCT id) FROM events"), 140);
    assert_eq!(ask::<i64>(dir.path(), "SELECT max(seq) FROM events"), 140);
    assert_eq!(letters(dir.path()), [] as [PathBuf; 0]);
    assert!(verify(dir.path()).unwrap().is_ok());
}

#[test]
fn a_letter_that_cannot_be_read_is_kept_aside_and_becomes_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    let inbox = dir.path().join("inbox");
    for (name, bytes) in [
        ("a.letter", "half a let"),
        ("b.letter", "{\"version\":1,\"events\":[{\"event\":\"not one\"}]}"),
        ("c.letter", "{\"version\":9,\"events\":[]}"),
    ] {
        fs::write(inbox.join(name), bytes).unwrap();
    }
    fs::write(inbox.join(".half-written"), "left by a process that was killed").unwrap();
    spool.append(&[event(1)]).unwrap();
    spool.append(&[]).unwrap();
    let gaps = Reader::open(dir.path()).unwrap().by_type("dev.countersign.trail.gap.v1", 0).unwrap();
    let unreadable = gaps.iter().filter(|gap| gap.bytes.as_str().contains("\"reason\":\"unreadable\"")).count();
    assert_eq!(unreadable, 3);
    assert_eq!(fs::read_to_string(inbox.join("a.unreadable")).unwrap(), "half a let");
    assert_eq!(spool.append(&[]).unwrap().inserted, 0);
}

#[test]
fn a_hook_that_comes_first_on_a_new_machine_makes_the_spool() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("not/there/yet");
    assert!(matches!(append_once(&state, &[event(1)], Duration::from_secs(5)).unwrap(), Placed::Spool(_)));
    assert!(verify(&state).unwrap().is_ok());
}
