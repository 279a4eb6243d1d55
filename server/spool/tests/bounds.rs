//! A bound on the spool: what goes, in which order, and that nothing goes without a record.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails here")]

mod support;

use std::path::Path;

use countersign_event::batch::Item;
use countersign_event::content::KeepReason;
use countersign_event::payload::{Payload, trail};
use countersign_spool::{Append, Class, ContentState, Reader, Spool, verify};
use proptest::prelude::*;
use support::{ask, event, event_with_content, event_with_text, light, noise, tamper, with_class};

/// Far below what a setting may say; everything but the size is as it is in use.
const TINY: u64 = 512 << 10;
/// What an estimate may be wrong by.
const RESERVE: u64 = 64 << 10;

const TO: &str = "https://collector.example";

fn open(dir: &Path) -> Spool {
    let mut spool = Spool::open(dir).unwrap();
    spool.set_max_bytes(TINY);
    spool
}

/// Bytes of the database file with its whole WAL moved into it.
fn file_bytes(dir: &Path) -> u64 {
    let pages: u64 = ask::<i64>(dir, "PRAGMA page_count") as u64;
    pages * 4096
}

fn trimmed(dir: &Path) -> Vec<trail::Trimmed> {
    let stored = Reader::open(dir).unwrap().by_type("dev.countersign.trail.trimmed.v1", 0).unwrap();
    let payloads = stored.into_iter().map(|it| it.bytes.payload().unwrap());
    payloads
        .map(|payload| match payload {
            Payload::TrailTrimmed(it) => it,
            other => panic!("{other:?}"),
        })
        .collect()
}

/// The numbers of the texts that are here, as `event_with_text` numbered them, and those that are not.
fn texts(dir: &Path, of: impl IntoIterator<Item = u64>) -> (Vec<u64>, Vec<u64>) {
    let reader = Reader::open(dir).unwrap();
    of.into_iter().partition(|n| {
        let id = event(*n).event.header().unwrap().id;
        match &reader.contents_of(id).unwrap()[..] {
            [(_, ContentState::Ok { text, .. })] => text.len() > 1000,
            [(_, ContentState::Shed)] => false,
            other => panic!("{n}: {other:?}"),
        }
    })
}

/// Acknowledges everything as a collector would, texts too.
fn replay_all(spool: &mut Spool) {
    while let Some(pending) = spool.next_batch(TO, 500, 1 << 20).unwrap() {
        let head = &pending.batch.head;
        let hash = spool_hash(spool, &pending.batch.events, pending.batch.previous);
        assert!(pending.last_seq <= head.seq);
        spool.acknowledge(TO, &pending.batch.epoch, pending.last_seq, hash).unwrap();
    }
    loop {
        let contents = spool.pending_contents(TO, 100).unwrap();
        if contents.is_empty() {
            break;
        }
        for content in contents {
            spool.content_sent(TO, &content.kept).unwrap();
        }
    }
}

/// The hash that a collector computes over what it was sent.
fn spool_hash(_: &Spool, items: &[Item], previous: countersign_event::chain::Hash) -> countersign_event::chain::Hash {
    items.iter().fold(previous, |hash, item| match item {
        Item::Event(bytes) => countersign_event::chain::next(hash, bytes.get().as_bytes()),
        Item::Hole(hole) => countersign_event::chain::next_digest(hash, &hole.sha256.unwrap().0),
    })
}

#[test]
fn texts_go_before_events_the_acknowledged_first_and_those_of_sensitive_paths_last() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path());
    let text = |n: u64, reason| event_with_text(n, &noise(n, 10_000), reason);
    let mut mirror: Vec<u64> = Vec::new();
    // 1 to 10 reach a collector, of which 1 and 2 are sensitive; 11 to 20 are sensitive; then come others.
    for n in 1..=10 {
        let reason = if n <= 2 { KeepReason::Sensitive } else { KeepReason::Threshold };
        spool.append(&[text(n, reason)]).unwrap();
    }
    replay_all(&mut spool);
    for n in 11..=20 {
        spool.append(&[text(n, KeepReason::Sensitive)]).unwrap();
    }
    for n in 21..=400 {
        spool.append(&[text(n, KeepReason::Threshold)]).unwrap();
        let (_, gone) = texts(dir.path(), 1..=n);
        let new: Vec<u64> = gone.into_iter().filter(|n| !mirror.contains(n)).collect();
        mirror.extend(new);
        if mirror.len() > 40 {
            break;
        }
    }
    assert_eq!(
        mirror[..10],
        (1..=10).collect::<Vec<_>>(),
        "what a collector has goes first, the oldest before the others"
    );
    assert!(mirror[10..].windows(2).all(|pair| pair[0] < pair[1]), "{mirror:?}");
    assert_eq!(mirror[10], 21, "sensitive texts stay while there are others: {mirror:?}");
    assert!((11..=20).all(|n| !mirror.contains(&n)), "{mirror:?}");
    let report = verify(dir.path()).unwrap();
    assert!(report.is_ok(), "{report:?}");
    assert_eq!(report.contents_shed, mirror.len() as u64);
    assert_eq!(report.events_shed, 0);
    let records = trimmed(dir.path());
    assert!(records.iter().all(|it| it.what == "contents" && it.reason == "bound"), "{records:?}");
    assert_eq!(records.iter().map(|it| it.count).sum::<u64>(), mirror.len() as u64);
    assert_eq!(records.iter().map(|it| it.acknowledged.unwrap()).sum::<u64>(), 10);
    let shed = Reader::open(dir.path()).unwrap().status(None).unwrap().shed;
    assert_eq!((shed.contents, shed.contents_lost, shed.events), (mirror.len() as u64, mirror.len() as u64 - 10, 0));
}

#[test]
fn events_become_holes_only_when_no_text_is_left_and_the_chain_holds_across_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path());
    for n in 1..=20 {
        spool.append(&[event_with_content(n, &noise(n, 8_000))]).unwrap();
    }
    let mut n = 100;
    while ask::<i64>(dir.path(), "SELECT count(*) FROM holes") == 0 {
        spool.append(&(n..n + 20).map(light).collect::<Vec<_>>()).unwrap();
        n += 20;
        assert!(n < 20_000);
    }
    spool.head().unwrap();
    let here: i64 = ask(dir.path(), "SELECT count(*) FROM contents WHERE state = 'ok'");
    assert_eq!(here, 0, "no text is left when the first event goes");
    let report = verify(dir.path()).unwrap();
    assert!(report.is_ok(), "{report:?}");
    assert!(report.events_shed > 0);
    // Everything reaches the collector: the holes in their places, with their digests.
    let mut seen = 0;
    let mut holes = 0;
    while let Some(pending) = spool.next_batch(TO, 50, 1 << 20).unwrap() {
        assert_eq!(pending.batch.first_seq, seen + 1);
        holes += pending
            .batch
            .events
            .iter()
            .filter(|item| matches!(item, Item::Hole(hole) if hole.reason == "shed"))
            .count();
        let hash = spool_hash(&spool, &pending.batch.events, pending.batch.previous);
        seen = pending.last_seq;
        spool.acknowledge(TO, &pending.batch.epoch, seen, hash).unwrap();
    }
    assert_eq!((seen, holes as u64), (report.last_seq, report.events_shed));
    let shed = Reader::open(dir.path()).unwrap().status(None).unwrap().shed;
    assert_eq!((shed.events, shed.events_lost), (report.events_shed, report.events_shed));
}

/// Appends until so many events have become holes; returns the epoch.
fn until_holes(spool: &mut Spool, dir: &Path, holes: i64) -> String {
    let mut n = 100;
    loop {
        let events: Vec<Append> = (n..n + 100).map(|n| with_class(light(n), Class::Full)).collect();
        let epoch = spool.append(&events).unwrap().epoch;
        n += 100;
        if ask::<i64>(dir, "SELECT count(*) FROM holes") >= holes {
            return epoch;
        }
        assert!(n < 20_000);
    }
}

#[test]
fn events_that_were_let_go_on_both_sides_of_a_fork_are_still_accounted_for() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path());
    let epoch = until_holes(&mut spool, dir.path(), 20);
    let holes: u64 = ask::<i64>(dir.path(), "SELECT max(seq) FROM holes") as u64;
    spool.head().unwrap();
    let before = verify(dir.path()).unwrap();
    assert!(before.is_ok() && before.events_shed == holes, "{before:?}");
    // The collector has another history from an event on that is gone from here, with the one before it.
    assert!(spool.forked(TO, &epoch, holes / 2).unwrap());
    let after = verify(dir.path()).unwrap();
    assert!(after.is_ok(), "{after:?}");
    assert_eq!((after.events_shed, after.events), (holes, before.events + 1));
    let (mut places, mut bytes) = (Vec::new(), 0);
    while let Some(pending) = spool.next_batch(TO, 50, 1 << 20).unwrap() {
        let hash = spool_hash(&spool, &pending.batch.events, pending.batch.previous);
        bytes += pending.batch.events.iter().filter(|item| matches!(item, Item::Event(_))).count() as u64;
        places.push((pending.batch.epoch == epoch, pending.last_seq));
        assert!(pending.batch.head.seq >= pending.last_seq && pending.batch.head.epoch == pending.batch.epoch);
        spool.acknowledge(TO, &pending.batch.epoch, pending.last_seq, hash).unwrap();
    }
    assert_eq!(places.iter().rfind(|(old, _)| *old), Some(&(true, holes / 2 - 1)), "{places:?}");
    assert_eq!((bytes, spool.backlog(TO).unwrap()), (after.events, 0), "every event that is here arrives");
    // A hole that is taken away beyond the end is missed, too.
    tamper(dir.path(), &format!("DELETE FROM holes WHERE epoch = '{epoch}' AND seq = {}", holes - 1));
    assert!(!verify(dir.path()).unwrap().is_ok());
}

#[test]
fn an_event_that_a_collector_has_goes_before_an_older_one_that_none_has() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path());
    spool.append(&(1..=200).map(light).collect::<Vec<_>>()).unwrap();
    replay_all(&mut spool);
    let mut n = 1000;
    while ask::<i64>(dir.path(), "SELECT count(*) FROM holes") == 0 {
        spool.append(&(n..n + 20).map(light).collect::<Vec<_>>()).unwrap();
        n += 20;
    }
    assert_eq!(ask::<i64>(dir.path(), "SELECT max(seq) <= 200 FROM holes"), 1);
    assert_eq!(trimmed(dir.path()).last().unwrap().acknowledged, Some(trimmed(dir.path()).last().unwrap().count));
}

/// Builds a spool that had to let texts and events go, changes it, and returns what `verify` says.
fn after(sql: &str) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path());
    let mut n = 0;
    while ask::<i64>(dir.path(), "SELECT count(*) FROM holes") == 0 {
        n += 1;
        spool.append(&[event_with_content(n, &noise(n, 9_000))]).unwrap();
        let plain: Vec<Append> = (0..10).map(|i| light(10_000 + n * 10 + i)).collect();
        spool.append(&plain).unwrap();
    }
    // Some of each kind that is still there.
    spool.append(&[event_with_content(9_001, &noise(1, 2_000)), light(9_002)]).unwrap();
    spool.head().unwrap();
    drop(spool);
    assert!(verify(dir.path()).unwrap().is_ok());
    tamper(dir.path(), sql);
    verify(dir.path()).unwrap().broken.map(|broken| broken.what)
}

#[test]
fn a_text_or_an_event_that_goes_without_a_record_of_its_own_is_named() {
    let hide = "UPDATE contents SET state = 'shed', wrapped_key = NULL, sealed = NULL";
    let a_record = "(SELECT id FROM events WHERE type LIKE '%trimmed%' ORDER BY rowid DESC LIMIT 1)";
    let an_event = "(SELECT max(rowid) FROM events WHERE type LIKE '%texted%')";
    let to_hole = format!(
        "INSERT INTO holes (epoch, seq, sha256, reason, hash, trimmed)
         SELECT epoch, seq, x'00', 'shed', hash, {a_record} FROM events WHERE rowid = {an_event};
         DELETE FROM contents WHERE event = (SELECT id FROM events WHERE rowid = {an_event});
         DELETE FROM events WHERE rowid = {an_event}"
    );
    let not_what = Some("what is gone is not what this record says was let go");
    let rows: &[(&str, String, Option<&str>)] = &[
        ("nothing", "SELECT 1".to_owned(), None),
        ("a text", format!("{hide} WHERE state = 'ok'"), Some("content output is gone without a record")),
        ("a text, on somebody else's record", format!("{hide}, trimmed = {a_record} WHERE state = 'ok'"), not_what),
        (
            "a text, on a record that is none",
            format!("{hide}, trimmed = 'x' WHERE state = 'ok'"),
            Some("what is gone from here has no record"),
        ),
        ("an event, with a wrong digest", to_hole, Some("the hole can't be read")),
        (
            "a hole",
            "DELETE FROM holes WHERE seq = (SELECT min(seq) FROM holes)".to_owned(),
            Some("the event is missing"),
        ),
        (
            "a hole's digest",
            "UPDATE holes SET sha256 = randomblob(32) WHERE seq = (SELECT min(seq) FROM holes)".to_owned(),
            Some("the hole's digest does not match the chain"),
        ),
        (
            "a hole's record",
            "UPDATE holes SET trimmed = 'x' WHERE seq = (SELECT min(seq) FROM holes)".to_owned(),
            not_what,
        ),
        (
            "a text, in the place of another one on a record",
            format!(
                "{hide}, trimmed = (SELECT trimmed FROM contents WHERE event = '' ORDER BY rowid LIMIT 1) WHERE state = 'ok';
                 DELETE FROM contents WHERE rowid = (SELECT min(rowid) FROM contents WHERE event = '')"
            ),
            not_what,
        ),
        ("the leaf of a text", "DELETE FROM contents WHERE event = ''".to_owned(), not_what),
        (
            "a text that is back",
            "UPDATE contents SET state = 'ok' WHERE state = 'shed' AND event <> ''".to_owned(),
            Some("content output is missing"),
        ),
    ];
    for (what, sql, says) in rows {
        let said = after(sql);
        assert_eq!(said.as_deref(), *says, "{what}");
    }
}

#[test]
fn a_hole_made_of_an_event_with_its_right_digest_has_no_record_either() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path());
    spool.append(&(1..=5).map(light).collect::<Vec<_>>()).unwrap();
    let stored = Reader::open(dir.path()).unwrap().events_after(0, 10).unwrap();
    let digest = countersign_event::digest::hex(&countersign_event::digest::sha256(stored[2].bytes.as_bytes()));
    drop(spool);
    tamper(
        dir.path(),
        &format!(
            "INSERT INTO holes (epoch, seq, sha256, reason, hash, trimmed)
             SELECT epoch, seq, x'{digest}', 'shed', hash, 'x' FROM events WHERE seq = 3;
             DELETE FROM events WHERE seq = 3"
        ),
    );
    let broken = verify(dir.path()).unwrap().broken.unwrap();
    assert_eq!((broken.seq, broken.what.as_str()), (3, "what is gone from here has no record"));
}

#[test]
fn a_lower_bound_takes_effect_step_by_step_and_a_higher_one_lets_grow_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path());
    spool.set_max_bytes(4 << 20);
    for n in 1..=300 {
        spool.append(&[event_with_content(n, &noise(n, 8_000))]).unwrap();
    }
    assert!(trimmed(dir.path()).is_empty());
    spool.set_max_bytes(TINY);
    let used =
        || (ask::<i64>(dir.path(), "PRAGMA page_count") - ask::<i64>(dir.path(), "PRAGMA freelist_count")) * 4096;
    let mut n = 1000;
    let mut before = used();
    while before > TINY as i64 {
        spool.append(&[light(n)]).unwrap();
        n += 1;
        assert!(used() < before, "it comes down with every append");
        before = used();
    }
    assert!(verify(dir.path()).unwrap().is_ok());
}

fn holes_in(dir: &Path) -> i64 {
    ask(dir, "SELECT count(*) FROM holes")
}

#[derive(Clone, Debug)]
enum Action {
    Light(u64),
    Text(usize, bool),
    Replay,
    Reopen,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => (1_u64..40).prop_map(Action::Light),
        6 => (1_usize..20_000, any::<bool>()).prop_map(|(bytes, sensitive)| Action::Text(bytes, sensitive)),
        1 => Just(Action::Replay),
        1 => Just(Action::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_appended_the_file_stays_in_its_bound_and_verifies(actions in prop::collection::vec(action(), 20..60)) {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = open(dir.path());
        let mut n = 0;
        for action in actions {
            let (holes, last) = (holes_in(dir.path()), ask::<i64>(dir.path(), "SELECT coalesce(max(rowid), 0) FROM events"));
            match action {
                Action::Light(count) => {
                    let class = if count % 2 == 0 { Class::Full } else { Class::Normal };
                    spool.append(&(n..n + count).map(|n| with_class(light(n), class)).collect::<Vec<_>>()).unwrap();
                    n += count;
                }
                Action::Text(bytes, sensitive) => {
                    let reason = if sensitive { KeepReason::Sensitive } else { KeepReason::Threshold };
                    spool.append(&[event_with_text(n, &noise(n, bytes), reason)]).unwrap();
                    n += 1;
                }
                Action::Replay => replay_all(&mut spool),
                Action::Reopen => {
                    drop(spool);
                    spool = open(dir.path());
                }
            }
            prop_assert!(file_bytes(dir.path()) <= TINY + RESERVE, "{}", file_bytes(dir.path()));
            // No event goes while any text is here but those that came in the same moment.
            if holes_in(dir.path()) > holes {
                let sql = format!(
                    "SELECT count(*) FROM contents JOIN events ON events.id = contents.event
                     WHERE state = 'ok' AND events.rowid <= {last}"
                );
                prop_assert_eq!(ask::<i64>(dir.path(), &sql), 0);
            }
        }
        let report = verify(dir.path()).unwrap();
        prop_assert!(report.is_ok(), "{:?}", report);
        spool.barrier().unwrap();
        replay_all(&mut spool);
        prop_assert_eq!(spool.backlog(TO).unwrap(), 0);
    }
}
