//! The trail: addresses, the chain, and what `verify` says after somebody changed the file.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails here")]

mod support;

use countersign_event::chain;
use countersign_event::digest::hex;
use countersign_spool::{Class, Reader, Spool, SpoolError, verify};
use support::{ask, event, event_with_content, tamper, with_class};

#[test]
fn events_get_consecutive_addresses_and_a_chain_anyone_can_recompute() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    spool.append(&[event(1), event(2)]).unwrap();
    let appended = spool.append(&[event(3)]).unwrap();
    assert_eq!((appended.last_seq, appended.inserted, appended.duplicates), (3, 1, 0));

    let stored = Reader::open(dir.path()).unwrap().events_after(0, 10).unwrap();
    let mut hash = chain::genesis(&stored[0].stream, &stored[0].epoch, &spool.device().public_key());
    for (i, it) in stored.iter().enumerate() {
        hash = chain::next(hash, it.bytes.as_bytes());
        assert_eq!((it.seq, it.hash), (i as u64 + 1, hash));
        assert_eq!(it.bytes, event(i as u64 + 1).event);
    }
    assert_eq!(appended.last_hash, hash);
}

#[test]
fn an_event_that_is_there_already_is_left_out_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    spool.append(&[event(1), event(2)]).unwrap();
    let again = spool.append(&[event(2), event(3), event(3)]).unwrap();
    assert_eq!((again.inserted, again.duplicates, again.last_seq), (1, 2, 3));
    assert!(verify(dir.path()).unwrap().is_ok());
}

#[test]
fn the_first_commit_of_a_process_is_full_and_later_ones_as_their_events_ask() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    let barrier = || Reader::open(dir.path()).unwrap().status(None).unwrap().barrier_seq;
    assert!(spool.append(&[event(1)]).unwrap().full);
    assert_eq!(barrier(), 1);
    assert!(!spool.append(&[event(2)]).unwrap().full);
    assert_eq!(barrier(), 1);
    assert!(spool.append(&[event(3), with_class(event(4), Class::Full), event(5)]).unwrap().full);
    assert_eq!(barrier(), 5);
    spool.append(&[event(6)]).unwrap();
    assert_eq!(spool.barrier().unwrap(), 6);
    assert_eq!(barrier(), 6);
}

#[test]
fn a_head_is_signed_once_for_one_event_and_stands_in_the_side_file_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    let appended = spool.append(&[event(1)]).unwrap();
    let head = spool.head().unwrap();
    assert_eq!((head.seq, head.hash), (1, appended.last_hash));
    assert!(countersign_spool::is_signed(&head));
    let mut changed = head.clone();
    changed.seq = 2;
    assert!(!countersign_spool::is_signed(&changed));
    assert_eq!(spool.head().unwrap(), head);
    let side = std::fs::read_to_string(dir.path().join("heads.jsonl")).unwrap();
    assert_eq!(side, serde_json::to_string(&head).unwrap() + "\n");
    let report = verify(dir.path()).unwrap();
    assert_eq!((report.signed_through, report.last_seq), (1, 1));
}

#[test]
fn a_head_torn_by_a_crash_does_not_spoil_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    std::fs::write(dir.path().join("heads.jsonl"), "{\"stream\":\"x").unwrap();
    spool.append(&[event(1)]).unwrap();
    spool.head().unwrap();
    let report = verify(dir.path()).unwrap();
    assert!(report.is_ok(), "{report:?}");
    assert_eq!((report.heads_unreadable, report.signed_through), (1, 1));
}

/// Builds a trail of ten events with a text at each, signed, changes it with `sql`, and returns
/// what `verify` names first.
fn after(sql: &str) -> Option<(u64, String)> {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    for n in 1..=10 {
        spool.append(&[event_with_content(n, &format!("text {n}"))]).unwrap();
        if n == 5 {
            spool.head().unwrap();
        }
    }
    spool.head().unwrap();
    drop(spool);
    tamper(dir.path(), sql);
    let report = verify(dir.path()).unwrap();
    assert_eq!(report.broken.is_none(), report.is_ok());
    report.broken.map(|broken| (broken.seq, broken.what))
}

#[test]
fn verify_names_the_place_that_was_changed() {
    let columns = "stream, epoch, seq, hash, id, type, time, subject, bytes";
    // What somebody does, the SQL for it, and what `verify` says.
    type Row<'a> = (&'a str, &'a str, Option<(u64, &'a str)>);
    let rows: &[Row<'_>] = &[
        ("nothing", "SELECT 1", None),
        (
            "one byte",
            "UPDATE events SET bytes = replace(bytes, '\"count\":4', '\"count\":3') WHERE seq = 4",
            Some((4, "the event's bytes do not match the chain")),
        ),
        (
            "one space",
            "UPDATE events SET bytes = bytes || ' ' WHERE seq = 10",
            Some((10, "the event's bytes do not match the chain")),
        ),
        ("a deleted row", "DELETE FROM events WHERE seq = 6", Some((6, "the event is missing"))),
        ("the first row deleted", "DELETE FROM events WHERE seq = 1", Some((1, "the event is missing"))),
        ("the last row deleted", "DELETE FROM events WHERE seq = 10", Some((10, "the event is missing"))),
        (
            "the end deleted and the barrier moved with it",
            "DELETE FROM events WHERE seq > 7; UPDATE epochs SET barrier_seq = 7;
             DELETE FROM contents WHERE event NOT IN (SELECT id FROM events); DELETE FROM heads WHERE seq > 7",
            Some((8, "the event is missing, a signed head covers it")),
        ),
        (
            "a row inserted at the end",
            "INSERT INTO events (stream, epoch, seq, hash, id, type, time, subject, bytes)
             SELECT stream, epoch, 11, hash, 'x', type, time, subject, bytes FROM events WHERE seq = 10",
            Some((11, "the event's bytes do not match the chain")),
        ),
        (
            "a row inserted in the middle",
            "UPDATE events SET seq = -(seq + 1) WHERE seq > 4; UPDATE events SET seq = -seq WHERE seq < 0;
             INSERT INTO events (stream, epoch, seq, hash, id, type, time, subject, bytes)
             SELECT stream, epoch, 5, hash, 'x', type, time, subject, bytes FROM events WHERE seq = 4",
            Some((5, "the event's bytes do not match the chain")),
        ),
        (
            "two rows swapped",
            "UPDATE events SET seq = -3 WHERE seq = 4; UPDATE events SET seq = 4 WHERE seq = 3;
             UPDATE events SET seq = 3 WHERE seq = -3",
            Some((3, "the event's bytes do not match the chain")),
        ),
        (
            "a changed hash",
            "UPDATE events SET hash = zeroblob(32) WHERE seq = 2",
            Some((2, "the event's bytes do not match the chain")),
        ),
        (
            "a value of another kind",
            "UPDATE events SET bytes = x'00ff' WHERE seq = 2",
            Some((2, "the event can't be read")),
        ),
        (
            "a column that answers are looked up by",
            "UPDATE events SET subject = 'other' WHERE seq = 8",
            Some((8, "the event's columns differ from its bytes")),
        ),
        ("a text deleted", "DELETE FROM contents WHERE rowid = 3", Some((3, "content output is missing"))),
        (
            "a text changed",
            "UPDATE contents SET sealed = CAST(substr(sealed, 1, 40) || x'00' || substr(sealed, 42) AS BLOB) WHERE rowid = 3",
            Some((3, "content output does not match its commitment")),
        ),
        (
            "a text of another kind",
            "UPDATE contents SET sealed = 'text' WHERE rowid = 3",
            Some((3, "a content can't be read")),
        ),
        (
            "two texts swapped",
            "UPDATE contents SET sealed = (SELECT sealed FROM contents WHERE rowid = 4) WHERE rowid = 3",
            Some((3, "content output does not match its commitment")),
        ),
        (
            "a head's time changed",
            "UPDATE heads SET json = json_set(json, '$.time', '2020-01-01T00:00:00.000Z') WHERE seq = 5",
            Some((5, "the signature of a head is not this device's")),
        ),
        ("a head deleted from the table alone", "DELETE FROM heads WHERE seq = 5", None),
        (
            "another key in the epoch",
            "UPDATE epochs SET public_key = hex(zeroblob(32))",
            Some((0, "the epoch is not this device's")),
        ),
        (
            "another epoch's events",
            &format!(
                "INSERT INTO events ({columns}) SELECT stream, 'another', seq, hash, id || 'x', type, time, subject, bytes FROM events"
            ),
            Some((1, "events of an epoch that the spool does not know")),
        ),
    ];
    for (what, sql, expected) in rows {
        let found = after(sql);
        assert_eq!(found.as_ref().map(|(seq, what)| (*seq, what.as_str())), *expected, "{what}");
    }
}

#[test]
fn recomputing_the_whole_chain_after_a_change_is_caught_by_the_signed_head() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    spool.append(&[event(1), event(2), event(3)]).unwrap();
    let head = spool.head().unwrap();
    let key = spool.device().public_key();
    drop(spool);
    let stored = Reader::open(dir.path()).unwrap().events_after(0, 10).unwrap();
    let mut hash = chain::genesis(&head.stream, &head.epoch, &key);
    for it in &stored {
        let bytes = it.bytes.as_str().replace("\"count\":2", "\"count\":9");
        hash = chain::next(hash, bytes.as_bytes());
        let hash = hex(&hash.0);
        tamper(dir.path(), &format!("UPDATE events SET bytes = '{bytes}', hash = x'{hash}' WHERE seq = {}", it.seq));
    }
    let broken = verify(dir.path()).unwrap().broken.unwrap();
    assert_eq!((broken.seq, broken.what.as_str()), (3, "the chain differs from a signed head"));
}

#[test]
fn cutting_the_side_file_while_the_table_keeps_its_heads_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    spool.append(&[event(1)]).unwrap();
    spool.head().unwrap();
    drop(spool);
    std::fs::remove_file(dir.path().join("heads.jsonl")).unwrap();
    let broken = verify(dir.path()).unwrap().broken.unwrap();
    assert_eq!((broken.seq, broken.what.as_str()), (1, "a signed head of the spool is not in heads.jsonl"));
}

#[test]
fn eight_writers_at_once_lose_and_double_nothing() {
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for writer in 0..8_u64 {
            let state = dir.path();
            scope.spawn(move || {
                let mut spool = Spool::open(state).unwrap();
                for n in 0..25 {
                    let class = if n % 5 == 0 { Class::Full } else { Class::Normal };
                    spool.append(&[with_class(event(writer * 1000 + n), class)]).unwrap();
                }
            });
        }
    });
    assert_eq!(ask::<i64>(dir.path(), "SELECT count(*) FROM events"), 200);
    assert_eq!(ask::<i64>(dir.path(), "SELECT max(seq) FROM events"), 200);
    assert_eq!(ask::<i64>(dir.path(), "SELECT count(DISTINCT seq) FROM events"), 200);
    let report = verify(dir.path()).unwrap();
    assert!(report.is_ok(), "{report:?}");
}

#[test]
fn looking_up_by_subject_type_and_id_finds_the_same_events() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    spool.append(&(0..9).map(event).collect::<Vec<_>>()).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    let all = reader.events_after(0, 100).unwrap();
    let of_subject = reader.by_subject("subject-1").unwrap();
    assert_eq!(of_subject.iter().map(|it| it.seq).collect::<Vec<_>>(), [2, 5, 8]);
    assert_eq!(reader.by_type("dev.countersign.trail.gap.v1", all[3].rowid).unwrap(), all[4..]);
    assert_eq!(reader.by_id(event(6).event.header().unwrap().id).unwrap().unwrap(), all[6]);
    assert_eq!(reader.by_subject("nobody").unwrap(), []);
    let before = reader.data_version().unwrap();
    assert_eq!(reader.data_version().unwrap(), before);
    spool.append(&[event(9)]).unwrap();
    assert_ne!(reader.data_version().unwrap(), before);
}

#[test]
fn a_text_comes_back_by_commitment_and_by_event_and_never_lies_in_clear_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    let append = event_with_content(1, "the canary sings");
    spool.append(std::slice::from_ref(&append)).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    let by_kept = reader.content(&append.contents[0].commitment.kept).unwrap();
    let countersign_spool::ContentState::Ok { text, salt, .. } = &by_kept else { panic!("{by_kept:?}") };
    assert_eq!((text.as_str(), salt.as_slice()), ("the canary sings", &[1; 16][..]));
    let of_event = reader.contents_of(append.event.header().unwrap().id).unwrap();
    assert_eq!(of_event, [(countersign_event::content::ContentName::Output, by_kept)]);
    assert_eq!(reader.content("nothing").unwrap(), countersign_spool::ContentState::Missing);
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(6).any(|window| window == b"canary"), "{}", path.display());
        }
    }
}

#[test]
fn reading_where_no_spool_is_says_so_and_makes_none() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Reader::open(dir.path()), Err(SpoolError::Missing { .. })));
    assert!(matches!(verify(dir.path()), Err(SpoolError::Missing { .. })));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
