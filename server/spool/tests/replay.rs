//! What is handed out for a collector: everything durable, once, in order, whatever the limits.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails here")]

mod support;

use countersign_event::batch::{Batch, Item};
use countersign_event::chain::{self, Hash};
use countersign_event::content::commit;
use countersign_event::digest::unhex;
use countersign_spool::{Append, Class, Lease, Reader, Spool, SpoolError, is_signed};
use proptest::prelude::*;
use support::{event, event_with_content, tamper, with_class};

const TO: &str = "https://collector.example";

/// A collector as the contract has it: checks a batch against what it has, and answers.
#[derive(Default)]
struct Collector {
    /// Epoch, last hash, exact bytes of each event (`None` for a hole), oldest first.
    epochs: Vec<(String, Hash, Vec<Option<String>>)>,
}

impl Collector {
    fn take(&mut self, batch: &Batch) -> (u64, Hash) {
        if self.epochs.last().is_none_or(|(epoch, ..)| *epoch != batch.epoch) {
            assert_eq!(batch.first_seq, 1, "a new epoch starts at its start");
            self.epochs.push((batch.epoch.clone(), batch.previous, Vec::new()));
        }
        let (_, hash, events) = self.epochs.last_mut().unwrap();
        assert_eq!(batch.first_seq, events.len() as u64 + 1, "nothing twice, nothing left out");
        assert_eq!(batch.previous, *hash);
        for item in &batch.events {
            match item {
                Item::Event(bytes) => {
                    *hash = chain::next(*hash, bytes.get().as_bytes());
                    events.push(Some(bytes.get().to_owned()));
                }
                Item::Hole(hole) => {
                    assert_eq!(hole.seq, events.len() as u64 + 1);
                    *hash = chain::next_digest(*hash, &hole.sha256.unwrap().0);
                    events.push(None);
                }
            }
        }
        let seq = events.len() as u64;
        assert!(is_signed(&batch.head) && batch.head.epoch == batch.epoch && batch.head.seq >= seq);
        if batch.head.seq == seq {
            assert_eq!(batch.head.hash, *hash);
        }
        (seq, *hash)
    }
}

fn drain(spool: &mut Spool, collector: &mut Collector, max_events: usize, max_bytes: usize) {
    while let Some(pending) = spool.next_batch(TO, max_events, max_bytes).unwrap() {
        let batch = &pending.batch;
        let bytes: usize =
            batch.events.iter().map(|item| if let Item::Event(e) = item { e.get().len() + 1 } else { 0 }).sum();
        assert!(!batch.events.is_empty() && batch.events.len() <= max_events.max(1));
        assert!(bytes <= max_bytes || batch.events.len() == 1);
        let (acked, hash) = collector.take(batch);
        assert_eq!(acked, pending.last_seq);
        spool.acknowledge(TO, &batch.epoch, acked, hash).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn every_pending_event_is_handed_out_exactly_once_in_order_whatever_the_limits(
        groups in prop::collection::vec((1_u64..20, any::<bool>(), any::<bool>()), 1..6),
        max_events in 0_usize..12,
        max_bytes in 0_usize..4000,
        holes in prop::collection::vec(1_u64..30, 0..3),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path()).unwrap();
        let mut collector = Collector::default();
        let mut expected: Vec<Append> = Vec::new();
        for (n, full, drain_now) in groups {
            let from = expected.len() as u64;
            let class = if full { Class::Full } else { Class::Normal };
            let group: Vec<Append> = (from..from + n).map(|n| with_class(event(n), class)).collect();
            spool.append(&group).unwrap();
            expected.extend(group);
            if drain_now {
                drain(&mut spool, &mut collector, max_events, max_bytes);
            }
        }
        let epoch = Reader::open(dir.path()).unwrap().status(None).unwrap().epoch;
        let mut hollow = Vec::new();
        let known = collector.epochs.last().map_or(0, |(_, _, events)| events.len() as u64);
        for seq in holes {
            if seq > known && seq <= expected.len() as u64 && !hollow.contains(&seq) {
                spool.quarantine(&epoch, seq, "too odd").unwrap();
                hollow.push(seq);
            }
        }
        // Barriers by hand: what is NORMAL may be handed out once it is durable, not before.
        spool.barrier().unwrap();
        drain(&mut spool, &mut collector, max_events, max_bytes);
        let (_, _, events) = &collector.epochs[0];
        prop_assert_eq!(events.len(), expected.len() + hollow.len(), "each hole is a record of its own");
        for (i, append) in expected.iter().enumerate() {
            let here = events[i].as_deref();
            if hollow.contains(&(i as u64 + 1)) {
                prop_assert_eq!(here, None);
            } else {
                prop_assert_eq!(here, Some(append.event.as_str()));
            }
        }
        prop_assert_eq!(spool.backlog(TO).unwrap(), 0);
    }
}

#[test]
fn nothing_above_the_last_full_barrier_is_handed_out() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    spool.append(&[event(1)]).unwrap();
    spool.append(&[event(2), event(3)]).unwrap();
    assert_eq!(Reader::open(dir.path()).unwrap().status(Some(TO)).unwrap().pending, 3);
    let pending = spool.next_batch(TO, 100, 1 << 20).unwrap().unwrap();
    assert_eq!((pending.last_seq, pending.batch.head.seq, pending.batch.backlog), (1, 1, 3));
    let mut collector = Collector::default();
    let (acked, hash) = collector.take(&pending.batch);
    spool.acknowledge(TO, &pending.batch.epoch, acked, hash).unwrap();
    assert!(spool.next_batch(TO, 100, 1 << 20).unwrap().is_none());
    assert_eq!(Reader::open(dir.path()).unwrap().status(Some(TO)).unwrap().pending, 2);
    spool.barrier().unwrap();
    assert_eq!(spool.next_batch(TO, 100, 1 << 20).unwrap().unwrap().last_seq, 3);
}

#[test]
fn a_batch_comes_again_until_it_is_acknowledged_and_each_collector_has_its_own_cursor() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    spool.append(&[event(1), event(2)]).unwrap();
    let first = spool.next_batch(TO, 1, 1 << 20).unwrap().unwrap();
    let again = spool.next_batch(TO, 1, 1 << 20).unwrap().unwrap();
    assert_eq!((first.last_seq, &first.batch.head), (again.last_seq, &again.batch.head));
    let (acked, hash) = Collector::default().take(&first.batch);
    spool.acknowledge(TO, &first.batch.epoch, acked, hash).unwrap();
    assert_eq!(spool.next_batch(&format!("{TO}/"), 1, 1 << 20).unwrap().unwrap().last_seq, 2);
    assert_eq!(spool.next_batch("https://other.example", 1, 1 << 20).unwrap().unwrap().last_seq, 1);
}

#[test]
fn an_acknowledgement_with_another_hash_or_of_the_unknown_is_a_fork_and_moves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    let appended = spool.append(&[event(1), event(2)]).unwrap();
    let (epoch, hash) = (appended.epoch.as_str(), appended.last_hash);
    for (epoch, seq, hash) in [(epoch, 2, Hash([0; 32])), (epoch, 3, hash), (epoch, 1, hash), ("other", 2, hash)] {
        assert!(matches!(spool.acknowledge(TO, epoch, seq, hash), Err(SpoolError::Forked { .. })));
        assert!(matches!(spool.set_cursor(TO, epoch, seq, hash), Err(SpoolError::Forked { .. })));
    }
    assert_eq!(spool.backlog(TO).unwrap(), 2);
    spool.acknowledge(TO, epoch, 2, hash).unwrap();
    assert_eq!(spool.backlog(TO).unwrap(), 0);
}

#[test]
fn an_older_acknowledgement_changes_nothing_but_the_collectors_own_cursor_does() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    let first = spool.append(&[event(1)]).unwrap();
    let second = spool.append(&[with_class(event(2), Class::Full)]).unwrap();
    spool.acknowledge(TO, &second.epoch, 2, second.last_hash).unwrap();
    spool.acknowledge(TO, &first.epoch, 1, first.last_hash).unwrap();
    assert_eq!(spool.backlog(TO).unwrap(), 0);
    spool.set_cursor(TO, &first.epoch, 1, first.last_hash).unwrap();
    assert_eq!(spool.next_batch(TO, 10, 1 << 20).unwrap().unwrap().batch.first_seq, 2);
}

#[test]
fn an_announcement_carries_the_head_and_the_backlog_and_no_events() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    let appended = spool.append(&[event(1), event(2)]).unwrap();
    let batch = spool.announce(TO).unwrap();
    assert_eq!((batch.first_seq, batch.events.len(), batch.backlog), (1, 0, 2));
    assert_eq!((batch.head.seq, batch.head.hash), (2, appended.last_hash));
}

#[test]
fn an_event_somebody_took_out_or_altered_ends_the_epoch_with_a_hole_and_what_follows_still_goes() {
    for sql in
        ["DELETE FROM events WHERE seq IN (2, 3)", "UPDATE events SET bytes = replace(bytes, '2', '7') WHERE seq = 2"]
    {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path()).unwrap();
        let epoch = spool.append(&[event(1), event(2), event(3), event(4)]).unwrap().epoch;
        spool.head().unwrap();
        tamper(dir.path(), sql);
        let first = spool.next_batch(TO, 10, 1 << 20).unwrap().unwrap();
        assert_eq!((first.batch.epoch.as_str(), first.last_seq), (epoch.as_str(), 1), "{sql}");
        let hash = chain::next(first.batch.previous, event(1).event.as_bytes());
        spool.acknowledge(TO, &epoch, 1, hash).unwrap();
        let second = spool.next_batch(TO, 10, 1 << 20).unwrap().unwrap();
        assert_eq!((second.batch.epoch.as_str(), second.last_seq, second.batch.events.len()), (epoch.as_str(), 2, 1));
        assert!(matches!(&second.batch.events[0], Item::Hole(hole) if hole.sha256.is_none()), "{sql}");
        // An unknown digest leaves the hash as it was.
        spool.acknowledge(TO, &epoch, 2, hash).unwrap();
        let third = spool.next_batch(TO, 10, 1 << 20).unwrap().unwrap();
        assert_ne!(third.batch.epoch, epoch);
        let texts: Vec<&str> =
            third.batch.events.iter().map(|it| if let Item::Event(e) = it { e.get() } else { "" }).collect();
        assert!(texts[0].contains("trail.recovered") && texts[0].contains("\"reason\":\"altered\""), "{}", texts[0]);
        assert_eq!(texts.last(), Some(&event(4).event.as_str()), "{sql}");
        assert_eq!(spool.append(&[event(5)]).unwrap().epoch, third.batch.epoch);
        let broken = countersign_spool::verify(dir.path()).unwrap().broken.unwrap();
        assert_eq!((broken.epoch, broken.seq), (epoch, 2), "verify still names the place");
    }
}

#[test]
fn what_was_altered_behind_an_altered_event_does_not_travel_either_and_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    let epoch = spool.append(&(1..=5).map(event).collect::<Vec<_>>()).unwrap().epoch;
    tamper(dir.path(), "UPDATE events SET bytes = replace(bytes, '\"test\"', '\"fake\"') WHERE seq IN (1, 4)");
    let hole = spool.next_batch(TO, 10, 1 << 20).unwrap().unwrap();
    spool.acknowledge(TO, &epoch, 1, hole.batch.previous).unwrap();
    let rest = spool.next_batch(TO, 10, 1 << 20).unwrap().unwrap();
    let texts: Vec<&str> =
        rest.batch.events.iter().map(|it| if let Item::Event(e) = it { e.get() } else { "" }).collect();
    assert!(texts[0].contains("\"salvaged\":3,\"lost\":2"), "{}", texts[0]);
    let whole: Vec<Append> = [2, 3, 5].map(event).to_vec();
    assert_eq!(texts[1..], whole.iter().map(|it| it.event.as_str()).collect::<Vec<_>>());
}

#[test]
fn contents_follow_their_acknowledged_events_in_order_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    let appends: Vec<Append> = (1..=5).map(|n| event_with_content(n, &format!("text {n}"))).collect();
    spool.append(&appends).unwrap();
    assert!(spool.pending_contents(TO, 10).unwrap().is_empty(), "their events are not acknowledged");
    let mut collector = Collector::default();
    let pending = spool.next_batch(TO, 3, 1 << 20).unwrap().unwrap();
    let (acked, hash) = collector.take(&pending.batch);
    spool.acknowledge(TO, &pending.batch.epoch, acked, hash).unwrap();

    let contents = spool.pending_contents(TO, 10).unwrap();
    let texts: Vec<&str> = contents.iter().map(|it| it.upload.text.as_str()).collect();
    assert_eq!(texts, ["text 1", "text 2", "text 3"]);
    for content in &contents {
        let salt = unhex::<16>(&content.upload.salt).unwrap();
        assert_eq!(commit(&salt, content.upload.text.as_bytes()), content.kept);
    }
    // Out of order: the second answer came first.
    spool.content_sent(TO, &contents[1].kept).unwrap();
    assert_eq!(spool.pending_contents(TO, 1).unwrap()[0].upload.text, "text 1");
    spool.content_sent(TO, &contents[0].kept).unwrap();
    assert_eq!(spool.pending_contents(TO, 9).unwrap().len(), 1);
    drain(&mut spool, &mut collector, 10, 1 << 20);
    let rest = spool.pending_contents(TO, 9).unwrap();
    assert_eq!(rest.iter().map(|it| it.upload.text.as_str()).collect::<Vec<_>>(), ["text 3", "text 4", "text 5"]);
    for content in rest {
        spool.content_sent(TO, &content.kept).unwrap();
    }
    assert!(spool.pending_contents(TO, 9).unwrap().is_empty());
    spool.content_sent(TO, &contents[0].kept).unwrap();
    assert!(spool.pending_contents(TO, 9).unwrap().is_empty());
}

#[test]
fn the_text_of_an_event_that_does_not_travel_stays_and_holds_up_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path()).unwrap();
    let appends: Vec<Append> = (1..=3).map(|n| event_with_content(n, &format!("text {n}"))).collect();
    let epoch = spool.append(&appends).unwrap().epoch;
    spool.quarantine(&epoch, 2, "too odd").unwrap();
    drain(&mut spool, &mut Collector::default(), 10, 1 << 20);
    let contents = spool.pending_contents(TO, 10).unwrap();
    assert_eq!(contents.iter().map(|it| it.upload.text.as_str()).collect::<Vec<_>>(), ["text 1", "text 3"]);
    for content in contents {
        spool.content_sent(TO, &content.kept).unwrap();
    }
    assert!(spool.pending_contents(TO, 10).unwrap().is_empty());
}

#[test]
fn the_lease_is_independent_of_the_spool() {
    let dir = tempfile::tempdir().unwrap();
    let _lease = Lease::try_take(dir.path()).unwrap().unwrap();
    Spool::open(dir.path()).unwrap().append(&[event(1)]).unwrap();
}
