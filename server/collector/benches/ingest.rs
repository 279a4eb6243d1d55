//! Durable ingest against bare inserts of the same rows: what checking, chaining and indexing cost.
//!
//! Both commit with `synchronous=FULL`, a batch a transaction.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing to say")]

#[allow(dead_code, reason = "shared with the tests")]
#[path = "../tests/support/mod.rs"]
mod support;

use countersign_collector::archive::Archive;
use countersign_collector::archive::sqlite::Sqlite;
use countersign_collector::ingest;
use countersign_event::batch::Item;
use divan::counter::ItemsCount;
use support::Device;

fn main() {
    divan::main();
}

const SIZES: [usize; 2] = [50, 500];

fn device(events: usize) -> Device {
    let mut device = Device::new(1);
    (0..events).for_each(|i| device.accept(&format!("c{i}")));
    device
}

#[divan::bench(args = SIZES, sample_count = 20)]
fn ingest(bencher: divan::Bencher<'_, '_>, events: usize) {
    let body = zstd::encode_all(&serde_json::to_vec(&device(events).batch(1, events as u64)).unwrap()[..], 1).unwrap();
    bencher
        .counter(ItemsCount::new(events))
        .with_inputs(|| {
            let dir = tempfile::tempdir().unwrap();
            let archive = Sqlite::open(dir.path()).unwrap();
            (dir, archive)
        })
        .bench_local_refs(|(_, archive)| {
            let checked = ingest::check(ingest::decode(&body, true).unwrap()).unwrap();
            archive.begin().unwrap();
            ingest::place(archive, &checked, "x", 0).unwrap().unwrap();
            archive.commit().unwrap();
        });
}

#[divan::bench(args = SIZES, sample_count = 20)]
fn bare_insert(bencher: divan::Bencher<'_, '_>, events: usize) {
    let rows: Vec<String> = device(events)
        .items
        .into_iter()
        .filter_map(|item| match item {
            Item::Event(bytes) => Some(bytes.get().to_owned()),
            Item::Hole(_) => None,
        })
        .collect();
    bencher
        .counter(ItemsCount::new(events))
        .with_inputs(|| {
            let dir = tempfile::tempdir().unwrap();
            let db = rusqlite::Connection::open(dir.path().join("bare.db")).unwrap();
            db.pragma_update(None, "journal_mode", "wal").unwrap();
            db.pragma_update(None, "synchronous", "full").unwrap();
            db.execute("create table t (id integer primary key, bytes text not null) strict", []).unwrap();
            (dir, db)
        })
        .bench_local_refs(|(_, db)| {
            let tx = db.transaction().unwrap();
            for row in &rows {
                tx.prepare_cached("insert into t (bytes) values (?1)").unwrap().execute([row]).unwrap();
            }
            tx.commit().unwrap();
        });
}
