//! Random actions on the spool and on a plain queue; a crash is one of the actions.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails here")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use countersign_event::batch::Item;
use countersign_event::chain::Hash;
use countersign_event::{EventBytes, Timestamp};
use countersign_spool::{Append, Class, Kind, Placed, Reader, Snapshot, Spool, SpoolError, append_once, verify};
use proptest::prelude::*;
use support::{event, with_class};
use tempfile::TempDir;

#[derive(Clone, Debug)]
enum Action {
    Append(u64, Class),
    /// The same events again, as after an error of a commit.
    Redo,
    Barrier,
    Head,
    /// The process is killed: no barrier, no head, no close, what is in the WAL stays there. With
    /// `halfway`, another one is killed in the middle of a transaction.
    Crash {
        halfway: bool,
    },
    /// A hook comes by; with `locked`, while another process holds the lock.
    Hook {
        locked: bool,
    },
    /// The replayer sends the next batch; the answer may be lost.
    Batch {
        most: usize,
        answered: bool,
    },
    /// The collector has lost a part, and says how much of what it had it still has (in percent).
    Back(u64),
    /// The collector can never take an event: the one at so many percent of the trail.
    Quarantine(u64),
    Snapshot {
        path: u8,
        text: u8,
    },
}

/// What the spool must be: a list, and where the readers of it stand.
#[derive(Default)]
struct Queue {
    events: Vec<EventBytes>,
    /// Acknowledged, in order, to be taken in before the next append.
    inbox: Vec<EventBytes>,
    /// How many survive power loss.
    barrier: u64,
    /// No commit of the process was FULL yet.
    first: bool,
    acked: u64,
    holes: BTreeSet<u64>,
    snapshots: BTreeMap<u8, u8>,
}

impl Queue {
    fn len(&self) -> u64 {
        self.events.len() as u64
    }

    fn append(&mut self, events: impl IntoIterator<Item = EventBytes>, class: Class) {
        let full = self.first || !self.inbox.is_empty() || class == Class::Full;
        self.events.append(&mut self.inbox);
        self.events.extend(events);
        if full {
            self.vouch();
        }
    }

    fn vouch(&mut self) {
        (self.barrier, self.first) = (self.len(), false);
    }
}

const TO: &str = "https://collector.example";

fn snapshot(path: u8, text: u8) -> Snapshot {
    let time = Timestamp::from_millis(1_760_000_000_000);
    let text = Some(format!("text {text}").into_bytes());
    Snapshot { spans_json: Some("[]".to_owned()), ..Snapshot::of(format!("/{path}"), Kind::Saved, text, time) }
}

/// What is on the disk at this moment, as the next process finds it.
fn left_behind(state: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    fs::create_dir(to.path().join("inbox")).unwrap();
    for inside in ["", "inbox"] {
        for file in fs::read_dir(state.join(inside)).into_iter().flatten() {
            let (from, name) = (file.as_ref().unwrap().path(), file.as_ref().unwrap().file_name());
            match name.to_str().unwrap() {
                "inbox" => {}
                // Memory that processes share is gone with the last of them.
                "spool.db-shm" => {}
                "spool.reserve" => fs::rename(from, to.path().join(name)).unwrap(),
                _ => fs::copy(from, to.path().join(inside).join(name)).map(|_| ()).unwrap(),
            }
        }
    }
    to
}

/// A transaction that has written to the WAL and not committed.
fn begun(state: &Path) -> rusqlite::Connection {
    let conn = rusqlite::Connection::open(state.join("spool.db")).unwrap();
    conn.execute_batch(
        "PRAGMA cache_size = 2; BEGIN IMMEDIATE; UPDATE epochs SET barrier_seq = 4711; CREATE TABLE halfway (x);
         INSERT INTO halfway WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
         SELECT randomblob(2000) FROM n",
    )
    .unwrap();
    conn
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => (1_u64..6, prop_oneof![Just(Class::Normal), Just(Class::Full)]).prop_map(|(n, class)| Action::Append(n, class)),
        1 => Just(Action::Redo),
        1 => Just(Action::Barrier),
        1 => Just(Action::Head),
        2 => any::<bool>().prop_map(|halfway| Action::Crash { halfway }),
        2 => any::<bool>().prop_map(|locked| Action::Hook { locked }),
        4 => (1_usize..8, any::<bool>()).prop_map(|(most, answered)| Action::Batch { most, answered }),
        1 => (0_u64..100).prop_map(Action::Back),
        1 => (0_u64..100).prop_map(Action::Quarantine),
        1 => (0_u8..3, 0_u8..3).prop_map(|(path, text)| Action::Snapshot { path, text }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn the_spool_is_the_queue_of_what_was_appended(actions in prop::collection::vec(action(), 1..40)) {
        let mut dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path()).unwrap();
        let mut model = Queue { first: true, ..Queue::default() };
        let (mut n, mut last): (u64, Vec<Append>) = (0, Vec::new());
        for action in actions {
            let reader = Reader::open(dir.path()).unwrap();
            let hash_at = |seq: u64| -> Hash { reader.events_after(0, 10_000).unwrap()[seq as usize - 1].hash };
            let epoch = reader.status(None).unwrap().epoch;
            match action {
                Action::Append(count, class) => {
                    last = (n..n + count).map(|n| with_class(event(n), class)).collect();
                    n += count;
                    let appended = spool.append(&last).unwrap();
                    model.append(last.iter().map(|append| append.event.clone()), class);
                    prop_assert_eq!(appended.last_seq, model.len());
                }
                Action::Redo => {
                    let appended = spool.append(&last).unwrap();
                    prop_assert_eq!(appended.duplicates, last.len() as u64);
                    prop_assert_eq!(appended.inserted, model.inbox.len() as u64);
                    model.append([], last.first().map_or(Class::Normal, |append| append.class));
                }
                Action::Barrier => {
                    prop_assert_eq!(spool.barrier().unwrap(), model.len());
                    model.vouch();
                }
                Action::Head => {
                    prop_assert_eq!(spool.head().unwrap().seq, model.len());
                    model.vouch();
                }
                Action::Crash { halfway } => {
                    let other = halfway.then(|| begun(dir.path()));
                    let left = left_behind(dir.path());
                    // Closed in order, and where nobody looks any more.
                    drop((spool, other));
                    dir = left;
                    spool = Spool::open(dir.path()).unwrap();
                    model.first = true;
                }
                Action::Hook { locked } => {
                    let append = event(n);
                    n += 1;
                    let blocker = locked.then(|| {
                        let conn = rusqlite::Connection::open(dir.path().join("spool.db")).unwrap();
                        conn.execute_batch("BEGIN IMMEDIATE").unwrap();
                        conn
                    });
                    // Free, it is had whatever else the machine does.
                    let patience = if locked { Duration::from_millis(5) } else { Duration::from_secs(20) };
                    match append_once(dir.path(), std::slice::from_ref(&append), patience).unwrap() {
                        Placed::Inbox => {
                            prop_assert!(blocker.is_some());
                            model.inbox.push(append.event);
                        }
                        Placed::Spool(_) => {
                            prop_assert!(blocker.is_none());
                            let first = model.first;
                            model.append([append.event], Class::Full);
                            // That was another process.
                            model.first = first;
                        }
                    }
                }
                Action::Batch { most, answered } => {
                    let pending = spool.next_batch(TO, most, 1 << 20).unwrap();
                    if model.first {
                        model.vouch();
                    }
                    let through = model.barrier.min(model.acked + most as u64);
                    prop_assert_eq!(pending.as_ref().map(|it| it.last_seq), (through > model.acked).then_some(through));
                    let Some(pending) = pending else { continue };
                    prop_assert_eq!(pending.batch.first_seq, model.acked + 1);
                    prop_assert!((through..=model.barrier).contains(&pending.batch.head.seq));
                    prop_assert_eq!(pending.batch.backlog, model.len() - model.acked);
                    for (seq, item) in (model.acked + 1..).zip(&pending.batch.events) {
                        match item {
                            Item::Event(bytes) => {
                                prop_assert_eq!(bytes.get(), model.events[seq as usize - 1].as_str());
                                prop_assert!(!model.holes.contains(&seq));
                            }
                            Item::Hole(hole) => {
                                prop_assert_eq!(hole.seq, seq);
                                prop_assert!(model.holes.contains(&seq));
                            }
                        }
                    }
                    let wrong = spool.acknowledge(TO, &epoch, through, Hash([7; 32]));
                    prop_assert!(matches!(wrong, Err(SpoolError::Forked { .. })), "{:?}", wrong);
                    if answered {
                        spool.acknowledge(TO, &epoch, through, hash_at(through)).unwrap();
                        model.acked = through;
                    }
                }
                Action::Back(percent) => {
                    let seq = model.acked * percent / 100;
                    if seq > 0 {
                        spool.set_cursor(TO, &epoch, seq, hash_at(seq)).unwrap();
                        model.acked = seq;
                    }
                }
                Action::Quarantine(percent) => {
                    let seq = 1 + model.len() * percent / 100;
                    if seq <= model.len() {
                        spool.quarantine(&epoch, seq, "too odd").unwrap();
                        if model.holes.insert(seq) {
                            // The record of it, in the same transaction; what it says is its own.
                            let rows = reader.events_after(model.events.len() as i64, 10_000).unwrap();
                            let record = rows[0].bytes.clone();
                            prop_assert!(record.as_str().contains("\"reason\":\"quarantined\""));
                            model.events.push(record);
                            model.vouch();
                        }
                    }
                }
                Action::Snapshot { path, text } => {
                    spool.put_snapshot(&snapshot(path, text)).unwrap();
                    model.snapshots.insert(path, text);
                }
            }
            let reader = Reader::open(dir.path()).unwrap();
            let stored = reader.events_after(0, 10_000).unwrap();
            prop_assert!(stored.iter().map(|it| &it.bytes).eq(model.events.iter()));
            prop_assert_eq!(reader.status(None).unwrap().barrier_seq, model.barrier);
            prop_assert_eq!(spool.backlog(TO).unwrap(), model.len() - model.acked);
            for (&path, &text) in &model.snapshots {
                prop_assert_eq!(reader.latest_snapshot(&format!("/{path}")).unwrap(), Some(snapshot(path, text)));
            }
        }
        let report = verify(dir.path()).unwrap();
        prop_assert!(report.is_ok(), "{:?}", report);
    }
}
