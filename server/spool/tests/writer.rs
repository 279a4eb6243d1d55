//! The writer: what `flush` and `close` promise, and what happens when the spool can't be had.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails here")]

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use countersign_event::Timestamp;
use countersign_event::digest::text_id;
use countersign_spool::{Class, Kind, Reader, Snapshot, Spool, SpoolError, Writer, verify};
use support::{ask, event, event_with_content, with_class};

const DEADLINE: Duration = Duration::from_secs(20);

/// Holds the write lock like a process that was stopped in the middle of a transaction.
fn hold_the_lock(state: &Path) -> rusqlite::Connection {
    let conn = rusqlite::Connection::open(state.join("spool.db")).unwrap();
    conn.execute_batch("BEGIN IMMEDIATE").unwrap();
    conn
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < until, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn what_was_flushed_is_in_the_trail_in_order_and_survives_power_loss() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::start(dir.path());
    let class = |i| if i % 7 == 0 { Class::Full } else { Class::Normal };
    let events: Vec<_> = (0..500).map(|i| with_class(event(i), class(i))).collect();
    for append in &events {
        writer.enqueue(append.clone());
    }
    writer.flush(DEADLINE).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    let stored = reader.events_after(0, 1000).unwrap();
    assert!(stored.iter().map(|it| &it.bytes).eq(events.iter().map(|it| &it.event)));
    let status = reader.status(None).unwrap();
    assert_eq!((status.seq, status.barrier_seq), (500, 500));
}

#[test]
fn a_barrier_follows_an_append_without_anybody_asking() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::start(dir.path());
    writer.enqueue(event(0));
    writer.flush(DEADLINE).unwrap();
    writer.enqueue(event(1));
    let reader = Reader::open(dir.path()).unwrap();
    wait_until("the barrier reaches the event", || reader.status(None).unwrap().barrier_seq == 2);
}

#[test]
fn closing_leaves_a_signed_head_over_everything() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::start(dir.path());
    for n in 0..10 {
        writer.enqueue(event(n));
    }
    writer.close(DEADLINE).unwrap();
    let report = verify(dir.path()).unwrap();
    assert_eq!((report.is_ok(), report.last_seq, report.signed_through), (true, 10, 10));
    // Nothing is taken in silently afterwards.
    writer.enqueue(event(11));
    assert!(matches!(writer.flush(DEADLINE), Err(SpoolError::Unwritten { events: 1, .. })));
}

#[test]
fn when_the_last_handle_goes_what_waits_is_still_written() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::start(dir.path());
    let second = writer.clone();
    for n in 0..10 {
        second.enqueue(event(n));
    }
    drop((writer, second));
    wait_until("the thread signs the head on its way out", || {
        verify(dir.path()).is_ok_and(|report| report.signed_through == 10)
    });
}

#[test]
fn what_does_not_fit_is_counted_and_becomes_one_gap() {
    let dir = tempfile::tempdir().unwrap();
    drop(Spool::open(dir.path()).unwrap());
    let lock = hold_the_lock(dir.path());
    let size = event(0).event.as_bytes().len() + 128;
    let writer = Writer::start_as(dir.path(), "test", size * 10);
    let (mut taken, before) = (0, Instant::now());
    for n in 0..1000 {
        writer.enqueue(with_class(event(n), Class::Full));
        taken += 1;
    }
    assert!(before.elapsed() < Duration::from_secs(1), "enqueue waited for the lock");
    drop(lock);
    writer.close(DEADLINE).unwrap();
    let gaps = Reader::open(dir.path()).unwrap().by_type("dev.countersign.trail.gap.v1", 0).unwrap();
    let (overflow, stored): (Vec<_>, Vec<_>) =
        gaps.iter().partition(|gap| gap.bytes.as_str().contains("\"reason\":\"overflow\""));
    let lost: u64 = overflow
        .iter()
        .map(|gap| {
            let json: serde_json::Value = serde_json::from_str(gap.bytes.as_str()).unwrap();
            json["data"]["count"].as_u64().unwrap()
        })
        .sum();
    assert!(!overflow.is_empty() && lost > 0);
    assert_eq!(stored.len() as u64 + lost, taken);
}

#[test]
fn a_lock_held_for_ever_sends_events_to_the_inbox_within_the_deadline() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::start(dir.path());
    writer.enqueue(event(0));
    writer.flush(DEADLINE).unwrap();
    let lock = hold_the_lock(dir.path());
    let append = event_with_content(1, "text");
    writer.enqueue(append.clone());
    writer.flush(DEADLINE).unwrap();
    assert_eq!(Reader::open(dir.path()).unwrap().status(None).unwrap().inbox, 1);
    drop(lock);
    writer.enqueue(event(2));
    writer.close(DEADLINE).unwrap();
    let stored = Reader::open(dir.path()).unwrap().events_after(0, 10).unwrap();
    assert!(stored.iter().map(|it| &it.bytes).eq([&event(0).event, &append.event, &event(2).event]));
    assert_eq!(ask::<i64>(dir.path(), "SELECT count(*) FROM contents"), 1);
    assert!(verify(dir.path()).unwrap().is_ok());
}

#[test]
fn eight_writers_in_one_directory_lose_and_double_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let writers: Vec<Writer> = (0..8).map(|_| Writer::start(dir.path())).collect();
    for n in 0..50 {
        for (i, writer) in writers.iter().enumerate() {
            writer
                .enqueue(with_class(event(i as u64 * 1000 + n), if n % 10 == 0 { Class::Full } else { Class::Normal }));
        }
    }
    for writer in &writers {
        writer.close(DEADLINE).unwrap();
    }
    Spool::open(dir.path()).unwrap().append(&[]).unwrap();
    assert_eq!(ask::<i64>(dir.path(), "SELECT count(DISTINCT id) FROM events"), 400);
    assert_eq!(ask::<i64>(dir.path(), "SELECT max(seq) FROM events"), 400);
    // Each writer's own events stay in the order they were taken in.
    let stored = Reader::open(dir.path()).unwrap().events_after(0, 1000).unwrap();
    for i in 0..8 {
        let own = (0..50).map(|n| event(i * 1000 + n).event);
        let ids: Vec<_> = own.clone().collect();
        assert!(stored.iter().map(|it| it.bytes.clone()).filter(|bytes| ids.contains(bytes)).eq(own));
    }
    assert!(verify(dir.path()).unwrap().is_ok());
}

#[test]
fn snapshots_come_back_by_path_and_by_text_and_never_lie_in_clear_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::start(dir.path());
    let snapshot = |path: &str, text: &str, spans: &str| Snapshot {
        spans_json: Some(spans.to_owned()),
        ..Snapshot::of(
            path.to_owned(),
            Kind::Saved,
            Some(text.as_bytes().to_vec()),
            Timestamp::from_millis(1_760_000_000_000),
        )
    };
    let first = snapshot("/r/a.rs", "the canary sings", "[1]");
    let second = snapshot("/r/a.rs", "", "[]");
    let other = snapshot("/r/b.rs", &"b\n".repeat(100_000), "[2]");
    for it in [&first, &second, &second, &other] {
        writer.enqueue_snapshot(it.clone());
    }
    writer.flush(DEADLINE).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(reader.latest_snapshot("/r/a.rs").unwrap(), Some(second));
    assert_eq!(reader.latest_snapshot("/r/none.rs").unwrap(), None);
    assert_eq!(reader.snapshot_by_text(&text_id(b"the canary sings")).unwrap(), Some(first));
    assert_eq!(reader.snapshot_by_text(&text_id(other.text.as_deref().unwrap())).unwrap(), Some(other));
    assert_eq!(ask::<i64>(dir.path(), "SELECT count(*) FROM snapshots"), 3, "the same one twice is kept once");
    writer.close(DEADLINE).unwrap();
    for name in ["spool.db", "spool.db-wal"] {
        let bytes = std::fs::read(dir.path().join(name)).unwrap_or_default();
        assert!(!bytes.windows(6).any(|window| window == b"canary"), "{name}");
    }
}
