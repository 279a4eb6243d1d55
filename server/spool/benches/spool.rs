//! What an event costs: on the caller's thread, and on the disk beside a bare INSERT in the same mode.

#![allow(clippy::unwrap_used, reason = "a benchmark that can't go on stops here")]

use std::cell::RefCell;
use std::time::Duration;

use countersign_event::payload::{Payload, trail};
use countersign_event::{Event, How, Timestamp};
use countersign_spool::{Append, Class, Spool, Writer, append_once};
use divan::Bencher;
use rusqlite::Connection;
use uuid::Uuid;

fn main() {
    divan::main();
}

/// An event of about 900 bytes, like a suggestion's.
fn event(class: Class) -> Append {
    let payload = Payload::TrailForked(trail::Forked {
        how: How::Observed,
        stream: "x".repeat(600),
        epoch: String::new(),
        seq: 1,
        reason: "benchmark".to_owned(),
    });
    let (id, time) = (Uuid::now_v7(), Timestamp::from_millis(1_760_000_000_000));
    let event = Event { id, source: "urn:countersign:device:x".to_owned(), time, subject: None, payload };
    Append { event: event.to_bytes(), class, contents: Vec::new(), if_told: None }
}

/// The caller's side while the writer thread works.
#[divan::bench(sample_count = 200, sample_size = 100)]
fn enqueue(bencher: Bencher<'_, '_>) {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::start(dir.path());
    bencher.with_inputs(|| event(Class::Normal)).bench_values(|append| writer.enqueue(append));
    writer.close(Duration::from_secs(60)).unwrap();
}

#[divan::bench(args = [1, 50, 1000], sample_count = 100, sample_size = 1)]
fn append_normal(bencher: Bencher<'_, '_>, events: usize) {
    append(bencher, events, Class::Normal);
}

#[divan::bench(args = [1, 50, 1000], sample_count = 100, sample_size = 1)]
fn append_full(bencher: Bencher<'_, '_>, events: usize) {
    append(bencher, events, Class::Full);
}

fn append(bencher: Bencher<'_, '_>, events: usize, class: Class) {
    let dir = tempfile::tempdir().unwrap();
    let spool = RefCell::new(Spool::open(dir.path()).unwrap());
    spool.borrow_mut().append(&[event(class)]).unwrap();
    bencher
        .counter(divan::counter::ItemsCount::new(events))
        .with_inputs(|| (0..events).map(|_| event(class)).collect::<Vec<_>>())
        .bench_local_values(|appends| spool.borrow_mut().append(&appends).unwrap());
}

#[divan::bench(args = [1, 50, 1000], sample_count = 100, sample_size = 1)]
fn bare_insert_normal(bencher: Bencher<'_, '_>, events: usize) {
    bare_insert(bencher, events, "NORMAL");
}

#[divan::bench(args = [1, 50, 1000], sample_count = 100, sample_size = 1)]
fn bare_insert_full(bencher: Bencher<'_, '_>, events: usize) {
    bare_insert(bencher, events, "FULL");
}

/// The least that SQLite itself takes: one table, no index, one statement.
fn bare_insert(bencher: Bencher<'_, '_>, events: usize, synchronous: &str) {
    let dir = tempfile::tempdir().unwrap();
    let conn = Connection::open(dir.path().join("bare.db")).unwrap();
    let _: String = conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).unwrap();
    conn.execute_batch(&format!("PRAGMA synchronous = {synchronous}; CREATE TABLE events (bytes TEXT NOT NULL)"))
        .unwrap();
    bencher
        .counter(divan::counter::ItemsCount::new(events))
        .with_inputs(|| (0..events).map(|_| event(Class::Normal)).collect::<Vec<_>>())
        .bench_local_values(|appends| {
            conn.execute_batch("BEGIN IMMEDIATE").unwrap();
            let mut insert = conn.prepare("INSERT INTO events (bytes) VALUES (?)").unwrap();
            for append in &appends {
                insert.execute([append.event.as_str()]).unwrap();
            }
            conn.execute_batch("COMMIT").unwrap();
        });
}

/// A hook's whole call, the process itself left out.
#[divan::bench(sample_count = 100, sample_size = 1)]
fn append_from_a_short_lived_process(bencher: Bencher<'_, '_>) {
    let dir = tempfile::tempdir().unwrap();
    drop(Spool::open(dir.path()).unwrap());
    bencher
        .with_inputs(|| event(Class::Full))
        .bench_values(|append| append_once(dir.path(), &[append], Duration::from_millis(50)).unwrap());
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn next_batch_of_500(bencher: Bencher<'_, '_>) {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    spool.append(&(0..5000).map(|_| event(Class::Full)).collect::<Vec<_>>()).unwrap();
    let spool = RefCell::new(spool);
    bencher.bench_local(|| spool.borrow_mut().next_batch("collector", 500, 1 << 20).unwrap().unwrap().last_seq);
}
