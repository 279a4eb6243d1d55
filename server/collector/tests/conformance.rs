//! What every archive must do, whatever engine it stands on, and what ingest promises on top of it.

#![allow(clippy::unwrap_used, reason = "a test fails where something cannot be had")]

#[allow(dead_code, reason = "shared with the benchmarks and other tests")]
mod support;

use std::path::Path;

use countersign_collector::archive::sqlite::Sqlite;
use countersign_collector::archive::{Archive, Scope};
use countersign_collector::ingest::{self, Refusal};
use countersign_collector::local::Local;
use countersign_collector::verify::Report;
use countersign_event::batch::{Batch, BatchAnswer, Item};
use countersign_event::chain::Hash;
use countersign_event::digest::hex;
use ed25519_dalek::{Signer, SigningKey};
use proptest::prelude::*;
use support::{Device, event};

type Engine = fn(&Path) -> Box<dyn Archive>;

/// Each engine's archive in a directory. An engine that joins is one line here.
const ENGINES: &[Engine] = &[|dir| Box::new(Sqlite::open(dir).unwrap())];

fn on_every_engine(test: impl Fn(&mut dyn Archive, &Path)) {
    for engine in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        test(engine(dir.path()).as_mut(), dir.path());
    }
}

fn send(archive: &mut dyn Archive, batch: Batch) -> Result<BatchAnswer, Refusal> {
    let checked = ingest::check(batch)?;
    archive.begin().unwrap();
    let answer = ingest::place(archive, &checked, "laptop", 1_000).unwrap();
    archive.commit().unwrap();
    answer
}

fn stored(archive: &mut dyn Archive) -> Vec<(u64, String)> {
    let rows = archive.rows_after(&Scope::All, 0, 10_000).unwrap();
    rows.iter()
        .map(|row| (row.seq, row.what.as_ref().map_or("hole".into(), |bytes| bytes.as_str().to_owned())))
        .collect()
}

fn verified(data: &Path) -> Report {
    Local::open(data, "test").unwrap().verify().unwrap()
}

fn device(events: usize) -> Device {
    let mut device = Device::new(1);
    (0..events).for_each(|i| device.accept(&format!("c{i}")));
    device
}

fn sent(device: &Device) -> Vec<(u64, String)> {
    let text = |item: &Item| match item {
        Item::Event(bytes) => bytes.get().to_owned(),
        Item::Hole(_) => "hole".to_owned(),
    };
    (1..).zip(device.items.iter().map(text)).collect()
}

#[test]
fn a_batch_is_acknowledged_with_the_hash_that_the_archive_computed() {
    on_every_engine(|archive, _| {
        let device = device(3);
        let answer = send(archive, device.batch(1, 3)).unwrap();
        assert_eq!((answer.acked_through, answer.head_hash), (3, device.hash(3)));
        assert_eq!(stored(archive), sent(&device));
    });
}

#[test]
fn the_same_batch_twice_and_overlapping_ones_are_stored_once() {
    on_every_engine(|archive, _| {
        let device = device(9);
        for (from, to) in [(1, 4), (1, 4), (3, 6), (2, 5), (5, 9), (1, 9)] {
            send(archive, device.batch(from, to)).unwrap();
        }
        assert_eq!(stored(archive), sent(&device));
        let answer = send(archive, device.batch(2, 5)).unwrap();
        assert_eq!((answer.acked_through, answer.head_hash), (5, device.hash(5)), "no more than was sent");
    });
}

#[test]
fn a_batch_that_leaves_events_out_is_refused_with_the_place_to_go_on() {
    on_every_engine(|archive, _| {
        let device = device(5);
        send(archive, device.batch(1, 2)).unwrap();
        let Err(Refusal::Gap(cursor)) = send(archive, device.batch(4, 5)) else { panic!("expected a gap") };
        assert_eq!((cursor.acked_through, cursor.head_hash), (2, device.hash(2)));
        assert_eq!(stored(archive).len(), 2);
    });
}

#[test]
fn another_history_of_the_same_stream_is_a_fork_and_is_kept_as_evidence() {
    on_every_engine(|archive, _| {
        let device = device(4);
        send(archive, device.batch(1, 4)).unwrap();
        let mut other = device.clone();
        other.items.truncate(2);
        other.accept("something else");
        let Err(Refusal::Fork { seq, cursor, .. }) = send(archive, other.batch(1, 3)) else {
            panic!("expected a fork")
        };
        assert_eq!((seq, cursor.acked_through), (3, 4));
        send(archive, other.batch(1, 3)).unwrap_err();
        let forks = archive.forks("device-1").unwrap();
        assert_eq!(forks.len(), 1, "the same evidence is kept once");
        assert_eq!((forks[0].ours, forks[0].theirs), (Some(device.hash(3)), other.hash(3)));
        assert!(forks[0].bytes.as_ref().unwrap().contains("something else"));
        assert_eq!(stored(archive), sent(&device), "the archived history stays");
    });
}

#[test]
fn a_head_that_was_announced_and_then_contradicted_by_its_events_is_a_fork() {
    on_every_engine(|archive, _| {
        let device = device(4);
        send(archive, Batch { events: Vec::new(), head: device.head(4), ..device.batch(1, 1) }).unwrap();
        let mut other = device.clone();
        other.items.truncate(3);
        other.accept("rewritten");
        assert!(matches!(send(archive, other.batch(1, 4)), Err(Refusal::Fork { seq: 4, .. })));
        send(archive, device.batch(1, 4)).unwrap();
    });
}

#[test]
fn a_stream_belongs_to_the_key_that_brought_it_first() {
    on_every_engine(|archive, _| {
        let device = device(2);
        send(archive, device.batch(1, 1)).unwrap();
        let mut thief = device.clone();
        thief.key = SigningKey::from_bytes(&[99; 32]);
        assert!(matches!(send(archive, thief.batch(1, 2)), Err(Refusal::Fork { .. })));
        assert_eq!(archive.stream("device-1").unwrap().unwrap().public_key, *device.key.verifying_key().as_bytes());
    });
}

#[test]
fn an_empty_batch_announces_a_head_and_stores_nothing() {
    on_every_engine(|archive, _| {
        let device = device(7);
        let announced = Batch { events: Vec::new(), head: device.head(7), ..device.batch(1, 1) };
        let answer = send(archive, announced).unwrap();
        assert_eq!((answer.acked_through, answer.head_hash), (0, device.genesis()));
        let gaps = archive.gaps("device-1").unwrap();
        assert_eq!((gaps[0].from_seq, gaps[0].to_seq), (1, 7));
        send(archive, device.batch(1, 7)).unwrap();
        assert_eq!(archive.gaps("device-1").unwrap(), []);
    });
}

#[test]
fn what_an_older_epoch_announced_and_never_delivered_is_told_with_every_answer() {
    on_every_engine(|archive, _| {
        let old = device(5);
        send(archive, Batch { head: old.head(5), ..old.batch(1, 3) }).unwrap();
        let mut new = device(1);
        new.epoch = "epoch-2".to_owned();
        let answer = send(archive, new.batch(1, 1)).unwrap();
        assert_eq!(answer.gaps.len(), 1);
        assert_eq!((answer.gaps[0].epoch.as_str(), answer.gaps[0].from_seq, answer.gaps[0].to_seq), ("epoch-1", 4, 5));
    });
}

#[test]
fn an_event_that_can_never_enter_becomes_a_hole_and_stops_nobody() {
    on_every_engine(|archive, _| {
        let mut device = Device::new(1);
        device.accept("a");
        device.push("42");
        device.push(r#"{"specversion":"9.9"}"#);
        device.push("{\n}");
        device.accept("b");
        let answer = send(archive, device.batch(1, 5)).unwrap();
        assert_eq!(answer.acked_through, 5);
        assert_eq!(answer.head_hash, device.hash(5), "the chain goes on across it");
        assert_eq!(answer.verdicts.iter().map(|verdict| verdict.seq).collect::<Vec<_>>(), [2, 3, 4]);
        for seq in [2, 3, 4] {
            device.hole(seq);
        }
        assert_eq!(stored(archive), sent(&device));
        send(archive, device.batch(1, 5)).expect("the device may send its own holes in their place");
    });
}

#[test]
fn types_and_members_of_a_later_version_are_kept_byte_for_byte() {
    on_every_engine(|archive, _| {
        let mut device = Device::new(1);
        device.push(&support::event(1, "weather.changed", r#"{ "x" : 1.50e0, "deep": [[[]]] }"#));
        device.push(&support::event(2, "suggestion.accepted", r#"{"contribution":"c","how":"dreamt","place":[]}"#));
        send(archive, device.batch(1, 2)).unwrap();
        assert_eq!(stored(archive), sent(&device));
        assert_eq!(archive.rows_about(&Scope::All, "c", 9).unwrap().len(), 1);
    });
}

#[test]
fn whatever_contradicts_itself_is_refused_and_binds_nothing() {
    on_every_engine(|archive, _| {
        let device = device(3);
        let good = device.batch(1, 3);
        let altered = {
            let mut batch = good.clone();
            batch.events.swap(0, 1);
            batch
        };
        let misplaced = {
            let mut device = device.clone();
            device.hole(2);
            let mut batch = device.batch(1, 3);
            let Item::Hole(hole) = &mut batch.events[1] else { unreachable!() };
            hole.seq = 3;
            batch
        };
        let unsigned = Batch {
            head: countersign_event::chain::Head { signature: hex(&[0; 64]), ..good.head.clone() },
            ..good.clone()
        };
        let cases = [
            ("events in another order than the head says", altered),
            ("a hole that says another seq", misplaced),
            ("a signature that does not hold", unsigned),
            ("a head of another epoch", Batch { epoch: "other".to_owned(), ..good.clone() }),
            ("seq 0", Batch { first_seq: 0, ..good.clone() }),
            ("a seq beyond every engine", Batch { first_seq: u64::MAX, ..good.clone() }),
            ("a nameless stream", Batch { stream: String::new(), ..good.clone() }),
            (
                "an epoch that begins elsewhere",
                Batch { previous: Hash([5; 32]), events: Vec::new(), head: device.head(3), ..good.clone() },
            ),
        ];
        for (what, batch) in cases {
            assert!(matches!(send(archive, batch), Err(Refusal::Invalid(_))), "{what}");
        }
        assert_eq!(archive.streams().unwrap(), []);
        send(archive, good).unwrap();
    });
}

#[test]
fn nothing_may_follow_a_hole_whose_digest_nobody_knows() {
    on_every_engine(|archive, _| {
        let mut device = device(2);
        device.hole(1);
        let Item::Hole(hole) = &mut device.items[0] else { unreachable!() };
        hole.sha256 = None;
        assert!(matches!(send(archive, device.batch(1, 2)), Err(Refusal::Invalid(_))));
    });
}

#[test]
fn a_hole_of_unknown_digest_ends_its_epoch_and_whatever_was_announced_beyond_stays_a_gap() {
    on_every_engine(|archive, data| {
        let mut device = device(3);
        send(archive, Batch { events: Vec::new(), ..device.batch(1, 3) }).unwrap();
        // The device signed it when it still had it.
        let (known, signed) = (device.batch(1, 3), device.head(2));
        device.hole(2);
        let Item::Hole(hole) = &mut device.items[1] else { unreachable!() };
        hole.sha256 = None;
        let ended = Batch { events: device.items[..2].to_vec(), head: signed, ..known.clone() };
        let answer = send(archive, ended.clone()).unwrap();
        assert_eq!(answer.acked_through, 2);
        assert_eq!(send(archive, ended).unwrap(), answer, "sent again, it is the same");
        let beyond = Batch {
            first_seq: 3,
            previous: answer.head_hash,
            events: known.events[2..].to_vec(),
            head: device.head(3),
            ..known
        };
        assert_eq!(send(archive, beyond), Err(Refusal::Ended(2)));
        let gaps = archive.gaps(&device.stream).unwrap();
        assert_eq!((gaps.len(), gaps[0].from_seq, gaps[0].to_seq), (1, 3, 3));
        let report = verified(data);
        assert!(report.ok, "{report:?}");
    });
}

#[test]
fn an_event_that_comes_again_in_another_epoch_is_a_hole_that_says_where_it_is() {
    on_every_engine(|archive, data| {
        let first = device(3);
        send(archive, first.batch(1, 3)).unwrap();
        let mut again = Device { epoch: "epoch-2".to_owned(), ..device(3) };
        again.push(&event(9, "capture.resumed", "{}"));
        let answer = send(archive, again.batch(1, 4)).unwrap();
        assert_eq!((answer.acked_through, answer.verdicts.len()), (4, 0));
        let mut expected = sent(&first);
        expected.push((4, sent(&again)[3].1.clone()));
        let events: Vec<(u64, String)> = stored(archive).into_iter().filter(|(_, text)| text != "hole").collect();
        assert_eq!(events, expected, "each once");
        let row = archive.rows_of(&again.stream, "epoch-2", 0, 1).unwrap().remove(0);
        assert!(row.what.unwrap_err().reason.contains("seq 1"));
        assert!(verified(data).ok);
    });
}

#[test]
fn an_undone_job_leaves_nothing_and_the_others_stay() {
    on_every_engine(|archive, _| {
        let (a, b) = (device(1), Device { stream: "device-2".to_owned(), ..device(1) });
        archive.begin().unwrap();
        for (device, keep) in [(&a, true), (&b, false)] {
            archive.savepoint().unwrap();
            ingest::place(archive, &ingest::check(device.batch(1, 1)).unwrap(), "x", 0).unwrap().unwrap();
            if keep { archive.keep().unwrap() } else { archive.undo().unwrap() }
        }
        archive.commit().unwrap();
        assert_eq!(archive.streams().unwrap().len(), 1);
        assert_eq!(stored(archive).len(), 1);
    });
}

#[test]
fn a_developer_sees_the_streams_their_own_token_began() {
    on_every_engine(|archive, _| {
        send(archive, device(2).batch(1, 2)).unwrap();
        let own = |subject: &str| Scope::Own(subject.to_owned());
        assert_eq!(archive.rows_after(&own("laptop"), 0, 9).unwrap().len(), 2);
        assert_eq!(archive.rows_after(&own("other"), 0, 9).unwrap().len(), 0);
        assert_eq!(archive.rows_about(&own("other"), "c0", 9).unwrap().len(), 0);
        assert_eq!(
            archive.contributions_at(&own("other"), Some("root/example.org/r"), "src/a.rs", 9).unwrap(),
            [""; 0]
        );
    });
}

#[test]
fn the_engine_itself_refuses_to_change_or_remove_the_trail() {
    let dir = tempfile::tempdir().unwrap();
    send(&mut Sqlite::open(dir.path()).unwrap(), device(2).batch(1, 2)).unwrap();
    let db = rusqlite::Connection::open(dir.path().join("archive.db")).unwrap();
    for sql in [
        "update items set bytes = '{}'",
        "delete from items",
        "update streams set public_key = zeroblob(32)",
        "delete from heads",
        "update cursors set acked_through = 1",
        "delete from cursors",
    ] {
        let error = db.execute(sql, []).unwrap_err().to_string();
        assert!(error.contains("append only") || error.contains("only moves forward"), "{sql}: {error}");
    }
}

#[cfg(unix)]
#[test]
fn the_archive_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let _archive = Sqlite::open(&data).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for entry in std::fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn a_body_that_unpacks_without_end_is_refused_before_it_fills_the_memory() {
    let bomb = zstd::encode_all(std::io::repeat(b' ').take(1 << 30), 1).unwrap();
    assert!(bomb.len() < 1 << 20);
    assert!(matches!(ingest::decode(&bomb, true), Err(Refusal::TooLarge(_))));
}

use std::io::Read;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is sent again, from wherever, the archive holds the trail once and in order.
    #[test]
    fn any_resending_ends_in_the_same_archive(cuts in proptest::collection::vec((0_u64..12, 1_u64..6), 1..12)) {
        let device = device(12);
        on_every_engine(|archive, _| {
            for (from, len) in &cuts {
                // A gap is refused and changes nothing; everything else moves the cursor on.
                let _ = send(archive, device.batch(from + 1, (from + len).min(12)));
            }
            let acked = archive.cursor("device-1", "epoch-1").unwrap().map_or(0, |cursor| cursor.acked_through);
            assert_eq!(stored(archive), sent(&device)[..acked as usize]);
            send(archive, device.batch(acked.max(1), 12)).unwrap();
            assert_eq!(stored(archive), sent(&device));
        });
    }

    #[test]
    fn no_bytes_make_the_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..400), packed: bool) {
        let _ = ingest::decode(&body, packed).and_then(ingest::check);
    }

    #[test]
    fn one_changed_byte_of_a_batch_never_enters_unseen(at in 0_usize..4000, flip in 1_u8..) {
        let device = device(2);
        let mut json = serde_json::to_vec(&device.batch(1, 2)).unwrap();
        let at = at % json.len();
        json[at] ^= flip;
        if let Ok(checked) = ingest::decode(&json, false).and_then(ingest::check) {
            let dir = tempfile::tempdir().unwrap();
            let mut archive = Sqlite::open(dir.path()).unwrap();
            archive.begin().unwrap();
            let answer = ingest::place(&mut archive, &checked, "x", 0).unwrap();
            archive.commit().unwrap();
            // What is not under the signature (backlog, sent_at) may change; the trail may not.
            if let Ok(answer) = answer && answer.acked_through > 0 {
                prop_assert_eq!(stored(&mut archive), sent(&device)[..answer.acked_through as usize].to_vec());
            }
        }
    }
}

#[test]
fn the_signature_is_over_what_the_head_says() {
    let device = device(1);
    let mut batch = device.batch(1, 1);
    batch.head.seq = 9;
    assert!(ingest::check(batch.clone()).is_err());
    let signature = device.key.sign(&batch.head.signed_message());
    batch.head.signature = hex(&signature.to_bytes());
    assert!(ingest::check(batch).is_ok());
}
