//! The writer: what `flush` and `close` promise, and what happens when the spool can't be had.

mod support;

use std::time::Duration;

use countersign_spool::{Class, Reader, Writer};
use support::{event, with_class};

const DEADLINE: Duration = Duration::from_secs(20);

#[test]
fn what_was_flushed_is_in_the_trail_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::start(dir.path());
    let events: Vec<_> =
        (0..500).map(|i| with_class(event(i), if i % 7 == 0 { Class::Full } else { Class::Normal })).collect();
    for append in &events {
        writer.enqueue(append.clone());
    }
    writer.flush(DEADLINE).unwrap();
    let stored = Reader::open(dir.path()).unwrap().events_after(0, 1000).unwrap();
    assert!(stored.iter().map(|it| &it.bytes).eq(events.iter().map(|it| &it.event)));
    let status = Reader::open(dir.path()).unwrap().status(None).unwrap();
    assert_eq!((status.seq, status.barrier_seq), (500, 500));
}
