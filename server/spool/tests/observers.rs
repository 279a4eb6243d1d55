//! Several observers of one edit: whoever is first tells it, all others give evidence.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails here")]

mod support;

use std::path::Path;
use std::sync::Barrier;
use std::time::Duration;

use countersign_event::EventBytes;
use countersign_spool::{Append, Class, Placed, Reader, Spool, Writer, append_once, verify};
use support::{event, event_with_content};

const ROUNDS: u64 = 100;

/// The `n`th event as told by an observer: of the `round`th edit, with a text.
fn told(n: u64, round: u64) -> Append {
    let mut append = event_with_content(n, "what it wrote");
    let about = |bytes: &EventBytes, name: &str| {
        let mut value: serde_json::Value = serde_json::from_str(bytes.as_str()).unwrap();
        value["subject"] = format!("edit-{round}").into();
        value["type"] = name.into();
        EventBytes::parse(value.to_string().as_bytes()).unwrap()
    };
    append.if_told = Some(about(&event(n).event, "dev.countersign.test.evidenced.v1"));
    append.event = about(&append.event, "dev.countersign.test.told.v1");
    append
}

fn of(state: &Path, name: &str) -> Vec<String> {
    let stored = Reader::open(state).unwrap().by_type(&format!("dev.countersign.test.{name}.v1"), 0).unwrap();
    stored.into_iter().map(|stored| stored.bytes.header().unwrap().subject.unwrap()).collect()
}

fn is_told_once_each(state: &Path, observers: u64) {
    let mut once = of(state, "told");
    once.sort();
    let mut each: Vec<String> = (0..ROUNDS).map(|round| format!("edit-{round}")).collect();
    each.sort();
    assert_eq!(once, each);
    assert_eq!(of(state, "evidenced").len() as u64, ROUNDS * (observers - 1));
    assert!(verify(state).unwrap().is_ok());
}

#[test]
fn two_observers_at_the_same_moment_never_tell_an_edit_twice() {
    let dir = tempfile::tempdir().unwrap();
    Spool::open(dir.path()).unwrap();
    let at_once = Barrier::new(2);
    std::thread::scope(|scope| {
        for observer in 0..2 {
            let (state, at_once) = (dir.path(), &at_once);
            scope.spawn(move || {
                // One is a hook that lives for a call, the other a tap with its writer.
                let writer = (observer == 0).then(|| Writer::start(state));
                for round in 0..ROUNDS {
                    let append = told(2 * round + observer, round);
                    at_once.wait();
                    match &writer {
                        Some(writer) => writer.enqueue(append),
                        None => drop(append_once(state, &[append], Duration::from_millis(25)).unwrap()),
                    }
                }
                if let Some(writer) = writer {
                    writer.close(Duration::from_secs(30)).unwrap();
                }
            });
        }
    });
    // What could not wait is still in the inbox.
    Spool::open(dir.path()).unwrap().append(&[]).unwrap();
    while Reader::open(dir.path()).unwrap().status(None).unwrap().inbox > 0 {
        Spool::open(dir.path()).unwrap().append(&[]).unwrap();
    }
    is_told_once_each(dir.path(), 2);
}

#[test]
fn many_observers_in_one_append_are_told_apart_too() {
    let dir = tempfile::tempdir().unwrap();
    let all: Vec<Append> = (0..3 * ROUNDS).map(|n| told(n, n / 3)).collect();
    let appended = Spool::open(dir.path()).unwrap().append(&all).unwrap();
    assert_eq!((appended.inserted, appended.duplicates), (3 * ROUNDS, 0));
    is_told_once_each(dir.path(), 3);
}

#[test]
fn a_letter_that_comes_second_is_evidence_and_no_text_is_kept_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    let blocker = rusqlite::Connection::open(dir.path().join("spool.db")).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    for n in [1, 2] {
        assert_eq!(append_once(dir.path(), &[told(n, 0)], Duration::from_millis(5)).unwrap(), Placed::Inbox);
    }
    blocker.execute_batch("ROLLBACK").unwrap();
    spool.append(&[told(3, 0)]).unwrap();
    assert_eq!((of(dir.path(), "told").len(), of(dir.path(), "evidenced").len()), (1, 2));
    assert_eq!(support::ask::<i64>(dir.path(), "SELECT count(*) FROM contents"), 1);
}

#[test]
fn an_observation_that_is_appended_again_after_an_error_stays_what_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    for append in [told(1, 0), told(2, 0), told(1, 0), told(2, 0)] {
        spool.append(&[Append { class: Class::Normal, ..append }]).unwrap();
    }
    assert_eq!((of(dir.path(), "told").len(), of(dir.path(), "evidenced").len()), (1, 1));
}
