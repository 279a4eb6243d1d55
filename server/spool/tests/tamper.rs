//! Somebody changes a long trail at any place: `verify` names it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails here")]

mod support;

use std::fs;
use std::path::Path;

use countersign_event::chain::Head;
use countersign_spool::{Append, Spool, SpoolError, verify};
use support::{event, tamper};

const TO: &str = "https://collector.example";
const EVENTS: u64 = 10_000;
/// Of them, how many are under the head that left the device.
const SIGNED: u64 = 9_000;

/// Builds the trail, all of it in the database file.
fn trail(state: &Path) -> Head {
    let mut spool = Spool::open(state).unwrap();
    let mut append = |range: std::ops::Range<u64>| {
        spool.append(&range.map(event).collect::<Vec<Append>>()).unwrap();
        spool.head().unwrap()
    };
    append(0..4_000);
    let head = append(4_000..SIGNED);
    spool.append(&(SIGNED..EVENTS).map(event).collect::<Vec<_>>()).unwrap();
    spool.barrier().unwrap();
    drop(spool);
    tamper(state, "PRAGMA wal_checkpoint(TRUNCATE)");
    assert_eq!(head.seq, SIGNED);
    head
}

/// What `verify` says of a copy after something was done to it.
fn after(trail: &Path, change: impl Fn(&Path)) -> (Option<(u64, String)>, u64, u64) {
    let copy = tempfile::tempdir().unwrap();
    for name in ["spool.db", "device.key", "heads.jsonl"] {
        fs::copy(trail.join(name), copy.path().join(name)).unwrap();
    }
    change(copy.path());
    let report = verify(copy.path()).unwrap();
    (report.broken.map(|broken| (broken.seq, broken.what)), report.signed_through, report.last_seq)
}

/// Turns one bit of an event in the file itself.
fn flip(state: &Path, seq: u64, bit: usize) {
    let needle = event(seq - 1).event;
    let needle = needle.as_bytes();
    let file = state.join("spool.db");
    let mut bytes = fs::read(&file).unwrap();
    // The id alone is in an index too; the whole text is in one place.
    let at = bytes.windows(needle.len()).position(|window| window == needle).expect("the event is in one page");
    bytes[at + bit / 8 % needle.len()] ^= 1 << (bit % 8);
    fs::write(file, bytes).unwrap();
}

/// Places that are the same for the same seed.
fn places(seed: u64, count: usize) -> impl Iterator<Item = u64> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        1 + (state >> 33) % (EVENTS - 1)
    })
    .take(count)
}

#[test]
fn whatever_is_done_to_a_trail_of_ten_thousand_events_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let head = trail(dir.path());
    let trail = dir.path();
    assert_eq!(after(trail, |_| {}), (None, SIGNED, EVENTS), "untouched, it holds");

    let rounds = if std::env::var_os("COUNTERSIGN_LONG").is_some_and(|it| it == "1") { 250 } else { 3 };
    let columns = "stream, epoch, hash, type, time, subject, bytes";
    let unchained = "the event's bytes do not match the chain";
    for seq in places(7, rounds) {
        let (flipped, ..) = after(trail, |state| flip(state, seq, seq as usize * 31));
        // Bytes that are no text any more can't be read; all others are another text.
        let (place, what) = flipped.unwrap_or_else(|| panic!("a flip in event {seq} was not seen"));
        assert!(
            place == seq && [unchained, "the event can't be read"].contains(&what.as_str()),
            "{seq}: {place} {what}"
        );

        let deleted = after(trail, |state| tamper(state, &format!("DELETE FROM events WHERE seq = {seq}")));
        assert_eq!(deleted.0, Some((seq, "the event is missing".to_owned())));

        let inserted = after(trail, |state| {
            tamper(
                state,
                &format!(
                    "UPDATE events SET seq = -(seq + 1) WHERE seq > {seq}; UPDATE events SET seq = -seq WHERE seq < 0;
                     INSERT INTO events ({columns}, id, seq) SELECT {columns}, 'x', {seq} + 1 FROM events WHERE seq = {seq}"
                ),
            );
        });
        assert_eq!(inserted.0, Some((seq + 1, unchained.to_owned())));

        let other = EVENTS - seq;
        let (first, second) = (seq.min(other), seq.max(other).max(seq.min(other) + 1));
        let swapped = after(trail, |state| {
            tamper(
                state,
                &format!(
                    "UPDATE events SET seq = -1 WHERE seq = {second}; UPDATE events SET seq = {second} WHERE seq = {first};
                     UPDATE events SET seq = {first} WHERE seq = -1"
                ),
            );
        });
        assert_eq!(swapped.0, Some((first, unchained.to_owned())));
    }

    // The end cut off, and everything in the database that speaks of it.
    let cut = |state: &Path, through: u64| {
        tamper(
            state,
            &format!(
                "DELETE FROM events WHERE seq > {through}; UPDATE epochs SET barrier_seq = {through};
                 DELETE FROM heads WHERE seq > {through}"
            ),
        );
    };
    let below = after(trail, |state| cut(state, SIGNED - 1));
    assert_eq!(below.0, Some((SIGNED, "the event is missing, a signed head covers it".to_owned())));
    // Above it nothing can tell a cut from events that never were, and the report says where that begins.
    assert_eq!(after(trail, |state| cut(state, SIGNED)), (None, SIGNED, SIGNED));
    assert_eq!(after(trail, |state| cut(state, SIGNED + 500)), (None, SIGNED, SIGNED + 500));

    // Whoever owns the device can cut the side file as well; the head that left it still speaks.
    cut(trail, 4_000);
    let heads = fs::read_to_string(trail.join("heads.jsonl")).unwrap();
    fs::write(trail.join("heads.jsonl"), format!("{}\n", heads.lines().next().unwrap())).unwrap();
    assert!(verify(trail).unwrap().is_ok());
    let refused = Spool::open(trail).unwrap().set_cursor(TO, &head.epoch, head.seq, head.hash);
    assert!(matches!(refused, Err(SpoolError::Forked { seq: SIGNED, .. })), "{refused:?}");
}
