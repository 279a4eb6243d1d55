//! A spool that an earlier version wrote is brought up to date by whoever comes first, and loses nothing.
//!
//! Each old database is made by the old version's own SQL, with what a spool of today holds put into it as
//! far as that version had a place for it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails here")]

mod support;

use std::fs;
use std::path::Path;

use countersign_event::batch::Item;
use countersign_event::chain;
use countersign_event::content::KeepReason;
use countersign_spool::{ContentState, Reader, Spool, verify};
use support::{ask, event, event_with_text, light};

const TO: &str = "https://collector.example";

/// The steps that versions before this one ended with. A step that is added here is never changed again.
const STEPS: [&str; 3] = [
    include_str!("../migrations/0001.sql"),
    include_str!("../migrations/0002.sql"),
    include_str!("../migrations/0003.sql"),
];

/// Fills a spool: events, texts, a head, a hole, and a collector that has the first two.
fn fill(state: &Path) {
    let mut spool = Spool::open(state).unwrap();
    spool.append(&[event(1), light(2), event_with_text(3, "ordinary text", KeepReason::Always)]).unwrap();
    spool.append(&[event_with_text(4, "sensitive text", KeepReason::Sensitive), light(5), light(6)]).unwrap();
    let epoch = spool.head().unwrap().epoch;
    let batch = spool.next_batch(TO, 2, 1 << 20).unwrap().unwrap().batch;
    let hash = batch.events.iter().fold(batch.previous, |hash, item| match item {
        Item::Event(event) => chain::next(hash, event.get().as_bytes()),
        Item::Hole(_) => panic!("a hole"),
    });
    spool.acknowledge(TO, &epoch, 2, hash).unwrap();
    spool.quarantine(&epoch, 5, "test").unwrap();
    spool.head().unwrap();
}

/// Puts a database of an old version in the place of a filled one.
fn age(state: &Path, version: usize) {
    let (now, then) = (state.join("spool.db"), state.join("old.db"));
    {
        let old = rusqlite::Connection::open(&then).unwrap();
        for step in &STEPS[..version] {
            old.execute_batch(step).unwrap();
        }
        old.execute("ATTACH ? AS now", [now.to_str().unwrap()]).unwrap();
        let names = |sql: &str| -> Vec<String> {
            old.prepare(sql).unwrap().query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
        };
        for table in names("SELECT name FROM main.sqlite_master WHERE type = 'table'") {
            let columns = names(&format!("SELECT name FROM pragma_table_info('{table}', 'main')")).join(", ");
            old.execute_batch(&format!("INSERT INTO main.{table} ({columns}) SELECT {columns} FROM now.{table}"))
                .unwrap();
        }
        old.pragma_update(None, "user_version", version as i64).unwrap();
        old.execute_batch("DETACH now; PRAGMA journal_mode = WAL").unwrap();
    }
    for name in ["spool.db", "spool.db-wal", "spool.db-shm"] {
        let _ = fs::remove_file(state.join(name));
    }
    fs::rename(then, now).unwrap();
}

#[test]
fn a_spool_of_every_earlier_version_goes_on_where_it_stood() {
    for version in 1..=STEPS.len() {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path());
        let before = verify(dir.path()).unwrap();
        assert!(before.is_ok() && before.contents_ok == 2, "{before:?}");
        age(dir.path(), version);
        assert_eq!(ask::<i64>(dir.path(), "PRAGMA user_version"), version as i64);
        // A command that only reads may come first.
        if version % 2 == 0 {
            assert_eq!(Reader::open(dir.path()).unwrap().status(Some(TO)).unwrap().pending, 5);
        }
        let mut spool = Spool::open(dir.path()).unwrap();
        assert_eq!(ask::<i64>(dir.path(), "PRAGMA user_version"), STEPS.len() as i64 + 1);
        assert_eq!(verify(dir.path()).unwrap(), before, "from version {version}");
        let reader = Reader::open(dir.path()).unwrap();
        let third = reader.events_after(0, 10).unwrap()[2].bytes.header().unwrap().id;
        let texts = reader.contents_of(third).unwrap();
        assert!(matches!(&texts[0].1, ContentState::Ok { text, .. } if text == "ordinary text"), "{texts:?}");
        assert_eq!(ask::<i64>(dir.path(), "SELECT sum(sensitive) FROM contents"), 1, "which text goes last is known");
        let pending = spool.next_batch(TO, 500, 1 << 20).unwrap().unwrap();
        assert_eq!((pending.batch.first_seq, pending.last_seq), (3, 7), "what the collector has is known");
        assert!(matches!(&pending.batch.events[2], Item::Hole(hole) if hole.seq == 5), "and what does not travel");
        assert_eq!(spool.append(&[light(8)]).unwrap().last_seq, 8);
        let after = verify(dir.path()).unwrap();
        assert_eq!((after.is_ok(), after.epochs, after.events), (true, 1, 8), "{after:?}");
    }
}

#[test]
fn a_migration_that_was_killed_in_the_middle_is_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    age(dir.path(), 1);
    // Each step is a transaction: between two of them the file is of the version in between.
    let conn = rusqlite::Connection::open(dir.path().join("spool.db")).unwrap();
    conn.execute_batch(STEPS[1]).unwrap();
    conn.pragma_update(None, "user_version", 2).unwrap();
    drop(conn);
    std::thread::scope(|scope| {
        for n in 0..8 {
            let state = dir.path();
            scope.spawn(move || Spool::open(state).unwrap().append(&[light(100 + n)]).unwrap());
        }
    });
    let report = verify(dir.path()).unwrap();
    assert_eq!((report.is_ok(), report.events), (true, 15), "{report:?}");
}
