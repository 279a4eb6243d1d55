//! A spool that is broken, gone, newer or out of reach: a clear error or a new start, never a panic.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails here")]

mod support;

use std::fs;
use std::path::Path;
use std::time::Duration;

use countersign_spool::{Placed, Reader, Spool, SpoolError, Writer, append_once, verify};
use support::{event, tamper};

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
        "\"previous_seq\":3",
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
    begins_anew(dir.path(), &epoch, "corrupt");
    assert_eq!(set_aside(dir.path()).len(), 1);
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
    tamper(dir.path(), "PRAGMA user_version = 99");
    assert!(matches!(Spool::open(dir.path()), Err(SpoolError::Newer { found: 99, .. })));
    assert!(matches!(Reader::open(dir.path()), Err(SpoolError::Newer { found: 99, .. })));
    assert!(matches!(verify(dir.path()), Err(SpoolError::Newer { found: 99, .. })));
    assert_eq!(append_once(dir.path(), &[event(4)], Duration::from_secs(1)).unwrap(), Placed::Inbox);
    let writer = Writer::start(dir.path());
    writer.enqueue(event(5));
    writer.flush(Duration::from_secs(20)).unwrap();
    assert_eq!(set_aside(dir.path()), [] as [String; 0]);
    // The newer version is back.
    tamper(dir.path(), "PRAGMA user_version = 2");
    assert_eq!(Spool::open(dir.path()).unwrap().append(&[]).unwrap().inserted, 2);
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
    fs::set_permissions(&state, fs::Permissions::from_mode(0o755)).unwrap();
    let mut spool = Spool::open(&state).unwrap();
    spool.append(&[event(1)]).unwrap();
    spool.head().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    for entry in fs::read_dir(&state).unwrap() {
        let path = entry.unwrap().path();
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&path), expected, "{}", path.display());
    }
}
