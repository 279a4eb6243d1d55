//! Purged texts are gone from every file; the trail stays and says so. Copies of a spool are spools.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails here")]

mod support;

use std::path::Path;
use std::time::Duration;

use countersign_event::facts::{Absent, Fact, Person, PersonVia};
use countersign_event::payload::Payload;
use countersign_event::{How, Timestamp};
use countersign_spool::{Kind, Purge, PurgeRepository, Reader, Snapshot, Spool, append_once, verify};
use support::{ask, event_with_content, light, noise, tamper};

fn all() -> Purge {
    Purge { contents: true, snapshots: true, ..Purge::default() }
}

fn person() -> Fact<Person> {
    Fact::reported(Person { id: "p-1".to_owned(), via: Some(PersonVia::Git) })
}

fn snapshot(path: &str, text: &str) -> Snapshot {
    let time = Timestamp::from_millis(1_760_000_000_000);
    Snapshot::of(path.to_owned(), Kind::Saved, Some(text.as_bytes().to_vec()), time)
}

/// Every sealed byte string of the spool, so that it can be looked for later.
fn sealed(dir: &Path) -> Vec<Vec<u8>> {
    let conn = rusqlite::Connection::open(dir.join("spool.db")).unwrap();
    let mut found = Vec::new();
    for sql in [
        "SELECT wrapped_key, sealed FROM contents WHERE sealed IS NOT NULL",
        "SELECT wrapped_key, sealed FROM snapshots",
        "SELECT wrapped_key, sealed FROM texts",
    ] {
        let mut statement = conn.prepare(sql).unwrap();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let (key, text): (Vec<u8>, Vec<u8>) = (row.get(0).unwrap(), row.get(1).unwrap());
            // A part of a page is enough: longer texts are split over several.
            found.push(key);
            found.push(text[..200.min(text.len())].to_vec());
            found.push(text[text.len().saturating_sub(200)..].to_vec());
        }
    }
    found.retain(|bytes| !bytes.is_empty());
    found
}

/// How many of the byte strings stand in any file of the directory.
fn found_in_files(dir: &Path, what: &[Vec<u8>]) -> usize {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().chain(std::fs::read_dir(dir.join("inbox")).unwrap()) {
        let path = entry.unwrap().path();
        if path.is_file() {
            all.extend(std::fs::read(path).unwrap());
        }
    }
    what.iter().filter(|bytes| all.windows(bytes.len()).any(|window| window == bytes.as_slice())).count()
}

#[test]
fn a_purged_text_stands_in_no_file_any_more_and_the_trail_holds() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    for n in 1..=4 {
        spool.append(&[event_with_content(n, &noise(n, 3_000)), light(100 + n)]).unwrap();
        spool.put_snapshot(&snapshot(&format!("/r/{n}"), &noise(n, 2_000))).unwrap();
    }
    spool.head().unwrap();
    let bytes = sealed(dir.path());
    assert_eq!(found_in_files(dir.path(), &bytes), bytes.len(), "all of it is there before");

    let would = Reader::open(dir.path()).unwrap().would_purge(&all()).unwrap();
    assert_eq!((would.contents, would.contents_unsent, would.snapshots), (4, 4, 4));
    let purged = spool.purge(&all(), &person()).unwrap();
    assert!(purged.wal_emptied);
    assert_eq!(countersign_spool::Purged { wal_emptied: false, ..purged }, would);
    assert_eq!(found_in_files(dir.path(), &bytes), 0);

    let report = verify(dir.path()).unwrap();
    assert!(report.is_ok(), "{report:?}");
    assert_eq!((report.contents_erased, report.contents_ok, report.events), (4, 0, 10));
    let records = Reader::open(dir.path()).unwrap().by_type("dev.countersign.trail.trimmed.v1", 0).unwrap();
    for (record, what) in records.iter().zip(["contents", "snapshots"]) {
        let Payload::TrailTrimmed(it) = record.bytes.payload().unwrap() else { panic!() };
        assert_eq!((it.what.as_str(), it.count, it.reason.as_str()), (what, 4, "purge"));
        assert_eq!(it.person, Some(person()));
        assert_eq!(it.how, How::Observed);
    }
    assert_eq!(records.len(), 2);
    // Nothing is left to purge, and nothing is recorded of that.
    spool.purge(&all(), &Fact::absent(Absent::Headless)).unwrap();
    assert_eq!(Reader::open(dir.path()).unwrap().by_type("dev.countersign.trail.trimmed.v1", 0).unwrap().len(), 2);
}

#[test]
fn a_text_that_waits_in_the_inbox_is_purged_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    {
        let blocker = rusqlite::Connection::open(dir.path().join("spool.db")).unwrap();
        blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
        append_once(dir.path(), &[event_with_content(1, &noise(1, 3_000))], Duration::from_millis(5)).unwrap();
    }
    assert_eq!(std::fs::read_dir(dir.path().join("inbox")).unwrap().count(), 1);
    let purged = spool.purge(&all(), &person()).unwrap();
    assert_eq!(purged.contents, 1);
    assert_eq!(std::fs::read_dir(dir.path().join("inbox")).unwrap().count(), 0);
    assert_eq!(verify(dir.path()).unwrap().contents_erased, 1);
}

#[test]
fn a_purge_takes_only_what_is_older_and_only_of_its_repository() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    let placed = |n: u64, repository: &str| {
        let mut it = event_with_content(n, &noise(n, 500));
        let json = it
            .event
            .as_str()
            .replace("\"data\":{", &format!("\"data\":{{\"place\":{{\"repository\":\"{repository}\"}},"));
        it.event = countersign_event::EventBytes::parse(json.as_bytes()).unwrap();
        it
    };
    spool.append(&[placed(1, "a"), placed(2, "b"), placed(3, "a"), event_with_content(4, "of no repository")]).unwrap();
    for path in ["/r/a/x", "/r/ab/x", "file:///r/a/y"] {
        spool.put_snapshot(&snapshot(path, "text")).unwrap();
    }
    let of_a = PurgeRepository { id: Some("a".to_owned()), root: "/r/a/".to_owned() };
    let before = Some(Timestamp::from_millis(1_760_000_000_003));
    let older = Purge { before, repository: Some(of_a.clone()), contents: true, snapshots: false };
    assert_eq!(spool.purge(&older, &person()).unwrap().contents, 1);
    assert_eq!(ask::<i64>(dir.path(), "SELECT group_concat(rowid) = '2,3,4' FROM contents WHERE state = 'ok'"), 1);
    let purged = spool.purge(&Purge { before: None, snapshots: true, ..older }, &person()).unwrap();
    assert_eq!((purged.contents, purged.snapshots), (1, 2));
    assert_eq!(ask::<String>(dir.path(), "SELECT path FROM snapshots"), "/r/ab/x");
    let nameless = Purge { repository: Some(PurgeRepository { id: None, root: "/nowhere".to_owned() }), ..all() };
    assert_eq!(
        spool.purge(&nameless, &person()).unwrap(),
        countersign_spool::Purged { wal_emptied: true, ..Default::default() }
    );
    assert!(verify(dir.path()).unwrap().is_ok());
}

#[test]
fn a_reader_that_holds_an_older_state_keeps_the_wal_and_the_answer_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open_within(dir.path(), Duration::from_millis(50)).unwrap();
    spool.append(&[event_with_content(1, "text")]).unwrap();
    let reader = rusqlite::Connection::open(dir.path().join("spool.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM events").unwrap();
    let purged = spool.purge(&all(), &person()).unwrap();
    assert_eq!((purged.contents, purged.wal_emptied), (1, false));
    drop(reader);
    assert!(spool.purge(&all(), &person()).unwrap().wal_emptied);
}

/// Builds a spool with events, texts and a head, and something in the WAL.
fn filled(dir: &Path) -> Spool {
    let mut spool = Spool::open(dir).unwrap();
    for n in 1..=20 {
        spool.append(&[event_with_content(n, &noise(n, 2_000)), light(100 + n)]).unwrap();
    }
    spool.head().unwrap();
    spool
}

/// What a copy needs beside the database: the device's keys, the signed heads.
fn beside(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for name in ["device.key", "heads.jsonl"] {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

#[test]
fn a_copy_made_with_sqlite_or_of_the_files_at_rest_is_a_spool_that_verifies_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = filled(dir.path());
    let (vacuum, backup, files) = (dir.path().join("1"), dir.path().join("2"), dir.path().join("3"));
    // Two while the writer has it open, with a transaction every now and then.
    beside(dir.path(), &vacuum);
    let source = rusqlite::Connection::open(dir.path().join("spool.db")).unwrap();
    source.execute("VACUUM INTO ?", [vacuum.join("spool.db").to_str().unwrap()]).unwrap();
    spool.append(&[light(200)]).unwrap();
    beside(dir.path(), &backup);
    // Page by page, in one state: what the shell's `.backup` does.
    let mut target = rusqlite::Connection::open(backup.join("spool.db")).unwrap();
    let pages = rusqlite::backup::Backup::new(&source, &mut target).unwrap();
    pages.run_to_completion(100, std::time::Duration::ZERO, None).unwrap();
    drop(pages);
    drop(target);
    drop(source);
    drop(spool);
    // At rest: nobody has it open. The WAL belongs to it.
    beside(dir.path(), &files);
    assert!(dir.path().join("spool.db-wal").metadata().unwrap().len() > 0);
    for name in ["spool.db", "spool.db-wal"] {
        std::fs::copy(dir.path().join(name), files.join(name)).unwrap();
    }
    for (copy, events) in [(&vacuum, 40), (&backup, 41), (&files, 41)] {
        let mut spool = Spool::open(copy).unwrap();
        let report = verify(copy).unwrap();
        assert!(report.is_ok(), "{}: {report:?}", copy.display());
        assert_eq!((report.events, report.contents_ok, report.heads), (events, 20, 2), "{}", copy.display());
        assert_eq!(spool.append(&[light(300)]).unwrap().last_seq, events + 1);
        assert!(verify(copy).unwrap().is_ok());
    }
}

#[test]
fn an_older_copy_put_back_is_found_by_its_heads() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = filled(dir.path());
    let copy = dir.path().join("copy.db");
    let source = rusqlite::Connection::open(dir.path().join("spool.db")).unwrap();
    source.execute("VACUUM INTO ?", [copy.to_str().unwrap()]).unwrap();
    drop(source);
    spool.append(&[light(200)]).unwrap();
    spool.head().unwrap();
    drop(spool);
    for name in ["spool.db", "spool.db-wal", "spool.db-shm"] {
        let _ = std::fs::remove_file(dir.path().join(name));
    }
    std::fs::rename(copy, dir.path().join("spool.db")).unwrap();
    tamper(dir.path(), "PRAGMA journal_mode = WAL");
    let broken = verify(dir.path()).unwrap().broken.unwrap();
    assert_eq!((broken.seq, broken.what.as_str()), (41, "the event is missing, a signed head covers it"));
}
