//! What a collector knows to be missing, why, and of which time.

#![allow(clippy::unwrap_used, reason = "a test fails where something cannot be had")]

#[allow(dead_code, reason = "shared with the benchmarks and other tests")]
mod support;

use countersign_collector::archive::Archive;
use countersign_collector::archive::sqlite::Sqlite;
use countersign_collector::gaps::{self, Gap};
use countersign_collector::ingest;
use countersign_event::Timestamp;
use countersign_event::batch::{Batch, Hole, Item};
use countersign_event::chain::Hash;
use serde_json::{Value, json};
use support::{Device, event};

const HOUR_MS: i64 = 3_600_000;
const NOON_MS: i64 = 1_767_322_800_000;

struct Collector {
    _dir: tempfile::TempDir,
    archive: Sqlite,
}

impl Collector {
    fn new() -> Collector {
        let dir = tempfile::tempdir().unwrap();
        Collector { archive: Sqlite::open(dir.path()).unwrap(), _dir: dir }
    }

    fn send(&mut self, batch: Batch, now_ms: i64) {
        let checked = ingest::check(batch).unwrap();
        self.archive.begin().unwrap();
        ingest::place(&mut self.archive, &checked, "laptop", now_ms).unwrap().unwrap();
        self.archive.commit().unwrap();
    }

    fn gaps(&mut self, now_ms: i64) -> Vec<Gap> {
        gaps::of(&mut self.archive, "device-1", now_ms).unwrap()
    }
}

fn push(device: &mut Device, event_type: &str, data: &Value) {
    let n = device.items.len() as u32 + 1;
    device.push(&event(n, event_type, &data.to_string()));
}

fn capture(verb: &str, transport: &str, session: &str) -> (String, Value) {
    let path = json!({ "tool": "t", "kind": "ide", "transport": transport, "session": session, "how": "observed" });
    (format!("capture.{verb}"), json!({ "how": "observed", "path": path, "countersign": "1", "reason": "exit" }))
}

#[test]
fn what_was_announced_and_never_came_is_missing_from_the_event_before_it_to_the_head() {
    let mut collector = Collector::new();
    let mut device = Device::new(1);
    (0..5).for_each(|i| device.accept(&format!("c{i}")));
    let mut batch = device.batch(1, 2);
    batch.head = device.head(5);
    collector.send(batch, NOON_MS);
    let gaps = collector.gaps(NOON_MS);
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!((&gaps[0].places, gaps[0].count), (&Some(("epoch-1".to_owned(), 3, 5)), Some(3)));
    let before = collector.archive.rows_of("device-1", "epoch-1", 1, 1).unwrap().remove(0).what.unwrap();
    assert_eq!(gaps[0].from, Some(before.header().unwrap().time));
    assert_eq!(gaps[0].to, Some(device.head(5).time));
    collector.send(device.batch(3, 5), NOON_MS);
    assert_eq!(collector.gaps(NOON_MS), []);
}

#[test]
fn holes_are_listed_in_runs_and_what_the_device_told_with_its_period() {
    let mut collector = Collector::new();
    let mut device = Device::new(1);
    device.accept("c1");
    for (seq, reason) in [(2, "shed"), (3, "shed"), (4, "quarantined: test"), (5, "archived already: epoch e, seq 1")] {
        device.items.push(Item::Hole(Hole { seq, sha256: Some(Hash([9; 32])), reason: reason.to_owned() }));
    }
    let (from, to) = (Timestamp::from_millis(NOON_MS), Timestamp::from_millis(NOON_MS + HOUR_MS));
    push(
        &mut device,
        "trail.gap",
        &json!({ "how": "observed", "reason": "crash", "from": from, "to": to, "by": "tap" }),
    );
    let (what, reason) = ("contents", "bound");
    push(
        &mut device,
        "trail.trimmed",
        &json!({ "how": "observed", "what": what, "count": 7, "bytes": 9, "reason": reason }),
    );
    collector.send(device.batch(1, 7), NOON_MS);
    let gaps = collector.gaps(NOON_MS);
    let told: Vec<_> = gaps.iter().map(|gap| (gap.reason.as_str(), gap.count)).collect();
    assert_eq!(
        told,
        [
            ("shed", Some(2)),
            ("quarantined: test", Some(1)),
            ("gap: crash (tap)", None),
            ("trimmed contents: bound", Some(7))
        ]
    );
    assert_eq!(gaps[0].places, Some(("epoch-1".to_owned(), 2, 3)));
    assert_eq!((gaps[2].from, gaps[2].to), (Some(from), Some(to)));
}

#[test]
fn a_device_that_was_active_and_is_not_heard_of_is_silent_until_it_is() {
    let day = 24 * HOUR_MS;
    let silent = |events: &[(String, Value)]| {
        let mut collector = Collector::new();
        let mut device = Device::new(1);
        device.accept("c1");
        for (event_type, data) in events {
            push(&mut device, event_type, data);
        }
        let all = device.items.len() as u64;
        collector.send(device.batch(1, all), NOON_MS);
        let silence = |collector: &mut Collector, now_ms| {
            collector.gaps(now_ms).into_iter().find(|gap| gap.reason.starts_with("silence"))
        };
        assert_eq!(silence(&mut collector, NOON_MS + day - 1), None, "it may be away for a while");
        assert_eq!(silence(&mut collector, NOON_MS - day), None, "our clock was put back");
        let found = silence(&mut collector, NOON_MS + day);
        if let Some(gap) = &found {
            assert_eq!(gap.from, Some(Timestamp::from_millis(NOON_MS)));
            assert_eq!(gap.to, Some(Timestamp::from_millis(NOON_MS + day)));
        }
        // An empty batch that says what was said before is a sign of life too.
        collector.send(device.batch(all + 1, all), NOON_MS + day);
        assert_eq!(silence(&mut collector, NOON_MS + day + HOUR_MS), None);
        found.is_some()
    };
    let crash = |by: &str| {
        let gap = json!({ "how": "observed", "reason": "crash", "by": by });
        ("trail.gap".to_owned(), gap)
    };
    let (started, stopped) = (
        |by: &str, session: &str| capture("started", by, session),
        |by: &str, session: &str| capture("stopped", by, session),
    );
    assert!(silent(&[started("tap", "a")]));
    assert!(silent(&[started("edits", "a"), started("edits", "b"), stopped("edits", "a")]));
    assert!(silent(&[started("edits", "a"), crash("tap")]), "another process died");
    assert!(!silent(&[]));
    assert!(!silent(&[started("tap", "a"), stopped("tap", "a")]), "it said that it stopped");
    assert!(!silent(&[started("hook", "a")]), "nobody watches between two calls of a hook");
    assert!(!silent(&[started("tap", "a"), crash("tap")]), "the device has told that it died");
}
