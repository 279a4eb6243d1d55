//! A spool that is broken, gone, newer or out of reach: a clear error or a new start, never a panic.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails here")]

mod support;

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use countersign_event::batch::Item;
use countersign_event::chain::{self, Hash};
use countersign_event::content::KeepReason;
use countersign_spool::{Append, Class, Placed, Reader, Spool, SpoolError, Writer, append_once, verify};
use support::{ask, event, event_with_content, event_with_text, light, noise, tamper};

const TO: &str = "https://collector.example";

fn set_aside(state: &Path) -> Vec<String> {
    let names = fs::read_dir(state).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| name.starts_with("spool.db.broken-") && !name.contains("-wal") && !name.contains("-shm"))
        .collect()
}

/// Makes a trail of three signed events, all of it in the database file, and returns its epoch.
fn trail(state: &Path) -> String {
    let mut spool = Spool::open(state).unwrap();
    spool.append(&[event(1), event(2), event(3)]).unwrap();
    let epoch = spool.head().unwrap().epoch;
    drop(spool);
    // A WAL that holds every page would heal whatever is done to the database.
    tamper(state, "PRAGMA wal_checkpoint(TRUNCATE)");
    epoch
}

/// Checks that a new epoch of the same stream began with a record of the old one.
fn begins_anew(state: &Path, old_epoch: &str, reason: &str) {
    Spool::open(state).unwrap().append(&[event(4)]).unwrap();
    let stored = Reader::open(state).unwrap().events_after(0, 10).unwrap();
    assert_eq!(stored.len(), 2);
    assert_ne!(stored[0].epoch, old_epoch);
    let recovered = stored[0].bytes.as_str();
    for expected in [
        "dev.countersign.trail.recovered.v1",
        &format!("\"reason\":\"{reason}\""),
        &format!("\"previous_epoch\":\"{old_epoch}\""),
        "\"previous_seq\":0",
        "\"lost\":3",
    ] {
        assert!(recovered.contains(expected), "{expected} in {recovered}");
    }
    assert_eq!(stored[1].bytes, event(4).event);
    let report = verify(state).unwrap();
    assert!(report.is_ok(), "{report:?}");
    assert_eq!(report.set_aside.len(), 1);
}

#[test]
fn a_file_that_is_no_database_is_set_aside_unchanged_and_a_new_epoch_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let epoch = trail(dir.path());
    let garbage = "this is no database. ".repeat(500);
    fs::write(dir.path().join("spool.db"), &garbage).unwrap();
    let report = verify(dir.path()).unwrap();
    assert_eq!(report.broken.unwrap().what, "the database is damaged");
    begins_anew(dir.path(), &epoch, "not_a_database");
    let kept = set_aside(dir.path());
    assert_eq!(kept.len(), 1);
    assert_eq!(fs::read_to_string(dir.path().join(&kept[0])).unwrap(), garbage);
}

#[test]
fn a_spool_that_vanished_leaves_a_record_because_its_heads_remain() {
    let dir = tempfile::tempdir().unwrap();
    let epoch = trail(dir.path());
    fs::remove_file(dir.path().join("spool.db")).unwrap();
    begins_anew(dir.path(), &epoch, "missing");
}

#[test]
fn the_wal_of_a_broken_spool_is_kept_with_it_and_never_played_into_the_new_one() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let epoch = trail(dir.path());
    let mut spool = Spool::open(dir.path()).unwrap();
    spool.append(&[event(9)]).unwrap();
    // As the files lie when the machine stops: the last event is in the WAL alone.
    for name in ["device.key", "heads.jsonl", "spool.db-wal"] {
        fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
    }
    let wal = fs::read(copy.path().join("spool.db-wal")).unwrap();
    assert!(!wal.is_empty());
    fs::write(copy.path().join("spool.db"), "garbage".repeat(1000)).unwrap();
    begins_anew(copy.path(), &epoch, "not_a_database");
    let kept = set_aside(copy.path());
    assert_eq!(fs::read(copy.path().join(format!("{}-wal", kept[0]))).unwrap(), wal);
}

#[test]
fn a_trail_whose_end_was_cut_off_is_not_continued_as_if_nothing_were() {
    let dir = tempfile::tempdir().unwrap();
    let epoch = trail(dir.path());
    let mut open_meanwhile = Spool::open(dir.path()).unwrap();
    tamper(dir.path(), "DELETE FROM events WHERE seq = 3");
    assert!(matches!(open_meanwhile.append(&[event(9)]), Err(SpoolError::Corrupt { .. })));
    drop(open_meanwhile);
    Spool::open(dir.path()).unwrap().append(&[event(4)]).unwrap();
    // What the chain proves keeps its address; the rest is a record.
    let stored = Reader::open(dir.path()).unwrap().events_after(0, 10).unwrap();
    let places: Vec<(bool, u64)> = stored.iter().map(|it| (it.epoch == epoch, it.seq)).collect();
    assert_eq!(places, [(true, 1), (true, 2), (false, 1), (false, 2)]);
    for expected in ["trail.recovered", "\"previous_seq\":2", "\"salvaged\":2", "\"lost\":1"] {
        assert!(stored[2].bytes.as_str().contains(expected), "{expected} in {}", stored[2].bytes.as_str());
    }
    assert_eq!(set_aside(dir.path()).len(), 1);
    let report = verify(dir.path()).unwrap();
    assert!(report.is_ok(), "{report:?}");
}

/// Makes a trail of `n` events in the database file alone, some of it acknowledged, and returns its epoch.
fn long_trail(state: &Path, n: u64) -> String {
    let mut spool = Spool::open(state).unwrap();
    let events: Vec<Append> =
        (1..=n).map(|i| if i % 10 == 0 { event_with_content(i, &format!("text {i}")) } else { event(i) }).collect();
    spool.append(&events).unwrap();
    let epoch = spool.head().unwrap().epoch;
    let batch = spool.next_batch(TO, 20, 1 << 20).unwrap().unwrap();
    let acked: u64 = batch.last_seq;
    let hash = ask::<Vec<u8>>(state, &format!("SELECT hash FROM events WHERE seq = {acked}"));
    spool.acknowledge(TO, &epoch, acked, Hash(hash.try_into().unwrap())).unwrap();
    drop(spool);
    tamper(state, "PRAGMA wal_checkpoint(TRUNCATE)");
    epoch
}

/// The page of the database that holds an event.
fn page_of(state: &Path, n: u64) -> usize {
    let bytes = fs::read(state.join("spool.db")).unwrap();
    let needle = format!("\"count\":{n}}}");
    let pages = bytes.chunks(4096).enumerate();
    let mut found = pages.filter(|(_, page)| page.windows(needle.len()).any(|it| it == needle.as_bytes()));
    found.next().expect("the event is in some page").0
}

fn ruin(state: &Path, page: usize) {
    let path = state.join("spool.db");
    let mut bytes = fs::read(&path).unwrap();
    bytes[page * 4096..(page + 1) * 4096].fill(0xA5);
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_is_readable_of_a_damaged_spool_is_brought_over_and_the_rest_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let epoch = long_trail(dir.path(), 400);
    let page = page_of(dir.path(), 201);
    ruin(dir.path(), page);
    assert_eq!(verify(dir.path()).unwrap().broken.unwrap().what, "the database is damaged");
    Spool::open(dir.path()).unwrap().append(&[event(1000)]).expect("an append does not read that page");
    // The writer notices when it meets the damage; here somebody asks for all of it.
    tamper_open(dir.path());
    let mut spool = Spool::open(dir.path()).unwrap();
    spool.append(&[event(1001)]).unwrap();
    let stored = Reader::open(dir.path()).unwrap().events_after(0, 1000).unwrap();
    let recovered = stored.iter().find(|it| it.bytes.as_str().contains("trail.recovered")).expect("a record");
    let data: serde_json::Value = serde_json::from_str(recovered.bytes.header().unwrap().data).unwrap();
    let (through, salvaged, lost) =
        (data["previous_seq"].as_u64().unwrap(), data["salvaged"].as_u64().unwrap(), data["lost"].as_u64().unwrap());
    assert!((150..201).contains(&through), "{data}");
    assert!((1..50).contains(&lost), "{data}");
    // 400, one more, and the one that the barrier was made to speak of.
    assert_eq!(salvaged + lost, 402, "{data}");
    assert_eq!(data["previous_epoch"], epoch.as_str());
    let old: Vec<u64> = stored.iter().filter(|it| it.epoch == epoch).map(|it| it.seq).collect();
    assert_eq!(old, (1..=through).collect::<Vec<_>>(), "the proven part keeps its addresses");
    let ids: HashSet<&[u8]> = stored.iter().map(|it| it.bytes.as_bytes()).collect();
    assert_eq!(ids.len(), stored.len());
    let here = (1..=400).filter(|n| ids.contains(original(*n).event.as_bytes())).count() as u64;
    assert_eq!(here + 1, salvaged, "byte for byte");
    assert!(ids.contains(original(400).event.as_bytes()), "what stands behind the damage is not given up");
    let report = verify(dir.path()).unwrap();
    assert!(report.is_ok(), "{report:?}");
    // What a collector had it is not sent again under its old address, and everything else is, once.
    let mut sent: Vec<String> = Vec::new();
    while let Some(pending) = spool.next_batch(TO, 50, 1 << 20).unwrap() {
        let batch = &pending.batch;
        let mut hash = batch.previous;
        for item in &batch.events {
            let Item::Event(event) = item else { panic!("a hole") };
            hash = chain::next(hash, event.get().as_bytes());
            sent.push(event.get().to_owned());
        }
        spool.acknowledge(TO, &batch.epoch, pending.last_seq, hash).unwrap();
    }
    let distinct: HashSet<&String> = sent.iter().collect();
    assert_eq!((sent.len(), distinct.len()), (stored.len() - 20, stored.len() - 20));
}

fn original(n: u64) -> Append {
    if n.is_multiple_of(10) { event_with_content(n, &format!("text {n}")) } else { event(n) }
}

/// Has somebody find the damage, as a writer does that meets it.
fn tamper_open(state: &Path) {
    tamper(state, "UPDATE epochs SET barrier_seq = barrier_seq + 1");
}

#[test]
fn a_spool_killed_while_it_is_salvaged_begins_salvaging_again() {
    let dir = tempfile::tempdir().unwrap();
    long_trail(dir.path(), 50);
    tamper_open(dir.path());
    // As it lies when the process dies after the file was set aside and before anything was brought over.
    fs::rename(dir.path().join("spool.db"), dir.path().join("spool.db.broken-20260101T000000000Z")).unwrap();
    fs::write(dir.path().join("spool.db"), "").unwrap();
    Spool::open(dir.path()).unwrap().append(&[event(1000)]).unwrap();
    let report = verify(dir.path()).unwrap();
    assert_eq!((report.is_ok(), report.events), (true, 52), "{report:?}");
}

#[test]
fn who_has_no_time_to_mend_a_spool_leaves_its_events_in_the_inbox() {
    let dir = tempfile::tempdir().unwrap();
    long_trail(dir.path(), 50);
    tamper_open(dir.path());
    let placed = append_once(dir.path(), &[event(1000)], Duration::from_millis(100)).unwrap();
    assert_eq!((placed, set_aside(dir.path()).len()), (Placed::Inbox, 0));
    assert_eq!(Spool::open(dir.path()).unwrap().append(&[]).unwrap().inserted, 1);
    assert_eq!(set_aside(dir.path()).len(), 1);
}

#[test]
fn a_text_that_did_not_survive_is_noted_as_gone_and_its_event_stays() {
    let dir = tempfile::tempdir().unwrap();
    long_trail(dir.path(), 50);
    tamper(dir.path(), "UPDATE contents SET sealed = zeroblob(40) WHERE rowid = 3");
    tamper_open(dir.path());
    Spool::open(dir.path()).unwrap().append(&[event(1000)]).unwrap();
    let report = verify(dir.path()).unwrap();
    assert_eq!((report.is_ok(), report.contents_ok, report.contents_shed), (true, 4, 1), "{report:?}");
    let trimmed = Reader::open(dir.path()).unwrap().by_type("dev.countersign.trail.trimmed.v1", 0).unwrap();
    assert!(trimmed[0].bytes.as_str().contains("\"count\":1"), "{}", trimmed[0].bytes.as_str());
}

/// Builds a spool in which texts and events were let go, each kind by several records.
fn trimmed_trail(state: &Path) {
    let mut spool = Spool::open(state).unwrap();
    spool.set_max_bytes(512 << 10);
    let full = |append: Append| Append { class: Class::Full, ..append };
    for first in (1..400).step_by(20) {
        let text = |n| event_with_text(n, &noise(n, 1_500), KeepReason::Threshold);
        let both = |n| [text(n), full(event(1000 + n))];
        spool.append(&(first..first + 20).flat_map(both).collect::<Vec<_>>()).unwrap();
    }
    let mut n = 10_000;
    while ask::<i64>(state, "SELECT count(*) FROM holes") < 40 {
        spool.append(&(n..n + 10).map(|n| full(light(n))).collect::<Vec<_>>()).unwrap();
        n += 100;
    }
    spool.head().unwrap();
    drop(spool);
    tamper(state, "PRAGMA wal_checkpoint(TRUNCATE)");
}

#[test]
fn what_had_been_let_go_before_a_damage_is_accounted_for_after_it() {
    let records = "SELECT seq FROM events WHERE type LIKE '%trimmed%' AND instr(bytes, '\"what\":\"contents\"') > 0";
    let of_events = "SELECT seq FROM events WHERE type LIKE '%trimmed%' AND instr(bytes, '\"what\":\"events\"') > 0";
    let first_of = |sql: &str| format!("({sql} ORDER BY seq LIMIT 1)");
    // What somebody altered: the first event, one amid the holes, one behind them, one whose text had been let
    // go, and the records themselves.
    let places = [
        "(SELECT min(seq) FROM events)".to_owned(),
        "(SELECT min(seq) FROM events WHERE seq > 40)".to_owned(),
        "(SELECT max(seq) - 20 FROM events)".to_owned(),
        "(SELECT max(seq) FROM events WHERE type LIKE '%texted%')".to_owned(),
        first_of(records),
        first_of(of_events),
    ];
    let whole = tempfile::tempdir().unwrap();
    trimmed_trail(whole.path());
    let before = verify(whole.path()).unwrap();
    assert!(before.is_ok() && before.contents_shed > 0 && before.events_shed >= 40, "{before:?}");
    for place in places {
        let dir = tempfile::tempdir().unwrap();
        for name in ["spool.db", "device.key", "heads.jsonl", "machine"] {
            fs::copy(whole.path().join(name), dir.path().join(name)).unwrap();
        }
        tamper(dir.path(), &format!("UPDATE events SET bytes = replace(bytes, 'a', 'b') WHERE seq = {place}"));
        assert!(!verify(dir.path()).unwrap().is_ok());
        tamper_open(dir.path());
        Spool::open(dir.path()).unwrap().append(&[event(999_999)]).unwrap();
        let after = verify(dir.path()).unwrap();
        assert!(after.is_ok(), "{place}: {after:?}");
        assert_eq!(after.events_shed, before.events_shed, "{place}");
        assert!(after.contents_shed >= before.contents_shed, "{place}: {after:?}");
    }
}

#[test]
fn sixteen_processes_that_find_a_broken_spool_set_one_file_aside_and_share_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    trail(dir.path());
    fs::write(dir.path().join("spool.db"), "garbage".repeat(1000)).unwrap();
    std::thread::scope(|scope| {
        for n in 0..16 {
            let state = dir.path();
            scope.spawn(move || Spool::open(state).unwrap().append(&[event(100 + n)]).unwrap());
        }
    });
    assert_eq!(set_aside(dir.path()).len(), 1);
    let stored = Reader::open(dir.path()).unwrap().events_after(0, 100).unwrap();
    assert_eq!(stored.len(), 17);
    assert!(verify(dir.path()).unwrap().is_ok());
}

#[test]
fn sixteen_processes_that_start_on_a_new_machine_share_one_spool() {
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for n in 0..16 {
            let state = dir.path().join("state");
            scope.spawn(move || Spool::open(&state).unwrap().append(&[event(n)]).unwrap());
        }
    });
    let report = verify(&dir.path().join("state")).unwrap();
    assert_eq!((report.is_ok(), report.events, report.epochs), (true, 16, 1));
}

#[test]
fn a_writer_whose_file_was_replaced_under_it_goes_on_in_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::start(dir.path());
    writer.enqueue(event(1));
    writer.flush(Duration::from_secs(20)).unwrap();
    for suffix in ["", "-wal", "-shm"] {
        let from = dir.path().join(format!("spool.db{suffix}"));
        fs::rename(from, dir.path().join(format!("moved{suffix}"))).unwrap();
    }
    writer.enqueue(event(2));
    writer.close(Duration::from_secs(20)).unwrap();
    let stored = Reader::open(dir.path()).unwrap().events_after(0, 10).unwrap();
    assert_eq!(stored.last().unwrap().bytes, event(2).event);
}

#[test]
fn a_newer_spool_is_left_alone_and_events_go_to_the_inbox() {
    let dir = tempfile::tempdir().unwrap();
    trail(dir.path());
    let version = ask::<i64>(dir.path(), "PRAGMA user_version");
    tamper(dir.path(), "PRAGMA user_version = 99");
    assert!(matches!(Spool::open(dir.path()), Err(SpoolError::Newer { found: 99, .. })));
    assert!(matches!(Reader::open(dir.path()), Err(SpoolError::Newer { found: 99, .. })));
    assert!(matches!(verify(dir.path()), Err(SpoolError::Newer { found: 99, .. })));
    assert_eq!(append_once(dir.path(), &[event(4)], Duration::from_secs(1)).unwrap(), Placed::Inbox);
    let writer = Writer::start(dir.path());
    writer.enqueue(event(5));
    writer.flush(Duration::from_secs(20)).unwrap();
    let said = writer.trouble().unwrap();
    assert!(said.contains("has schema 99, this version knows") && said.ends_with("update countersign"), "{said}");
    assert_eq!(set_aside(dir.path()), [] as [String; 0]);
    // The newer version is back.
    tamper(dir.path(), &format!("PRAGMA user_version = {version}"));
    assert_eq!(Spool::open(dir.path()).unwrap().append(&[]).unwrap().inserted, 2);
    writer.enqueue(event(6));
    writer.flush(Duration::from_secs(20)).unwrap();
    assert_eq!(writer.trouble(), None);
}

#[test]
fn a_state_directory_that_cannot_be_made_is_an_error_with_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let state = file.join("state");
    let error = Spool::open(&state).err().unwrap();
    assert!(error.to_string().contains("file"), "{error}");
    assert!(append_once(&state, &[event(1)], Duration::from_millis(10)).is_err());
    let writer = Writer::start(&state);
    writer.enqueue(event(1));
    // The thread has tried by then: it reports before it waits.
    let error = writer.flush(Duration::from_secs(2)).unwrap_err();
    assert!(matches!(error, SpoolError::Unwritten { events: 1, source: Some(_) }), "{error:?}");
}

#[test]
fn every_page_of_a_spool_damaged_in_turn_never_panics_and_never_hangs() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    {
        let mut spool = Spool::open(&state).unwrap();
        spool.append(&(0..200).map(event).collect::<Vec<_>>()).unwrap();
    }
    tamper(&state, "PRAGMA wal_checkpoint(TRUNCATE)");
    let whole = fs::read(state.join("spool.db")).unwrap();
    assert!(whole.len() > 100_000);
    for page in 0..whole.len() / 4096 {
        let mut bytes = whole.clone();
        for byte in &mut bytes[page * 4096 + 100..(page + 1) * 4096] {
            *byte = !*byte;
        }
        fs::write(state.join("spool.db"), &bytes).unwrap();
        let report = verify(&state).unwrap();
        // The damage may have hit a page that holds nothing yet; then every event must be there.
        assert!(!report.is_ok() || report.events == 200, "page {page}");
        let writer = Writer::start(&state);
        writer.enqueue(event(1000));
        writer.close(Duration::from_secs(20)).unwrap();
        for entry in fs::read_dir(&state).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() && path.file_name().unwrap() != "device.key" {
                fs::remove_file(path).unwrap();
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn directories_and_files_are_for_their_owner_alone_even_if_somebody_opened_them() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    fs::create_dir(&state).unwrap();
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let entries = || fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().path());
    set(&state, 0o755);
    Writer::start(&state).close(Duration::from_secs(20)).unwrap();
    for round in 0..2 {
        let mut spool = Spool::open(&state).unwrap();
        spool.append(&[event(round)]).unwrap();
        spool.head().unwrap();
        assert_eq!(mode(&state), 0o700);
        for path in entries() {
            let expected = if path.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode(&path), expected, "{}", path.display());
        }
        // Somebody opens what holds anything; the next process closes it.
        set(&state, 0o777);
        for name in ["spool.db", "spool.db-wal", "spool.db-shm", "heads.jsonl", "device.key"] {
            set(&state.join(name), 0o666);
        }
        set(&state.join("inbox"), 0o777);
    }
}
