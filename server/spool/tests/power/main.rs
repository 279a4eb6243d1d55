//! The power goes: two hundred operations, cut off at every commit in every way a disk allows.
//!
//! One run is recorded below SQLite; then the files are laid out as a crash at each moment would have
//! left them, and the spool is opened again. The database, its WAL and its journal are modelled write
//! by write. The ordinary files (side file, letters, keys) are taken to be durable once their writer
//! has gone on, because it syncs them before; whether it does is not seen from here.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails here")]

mod disk;
#[path = "../support/mod.rs"]
mod support;
mod vfs;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use countersign_event::chain::{Hash, Head};
use countersign_event::{EventBytes, Timestamp};
use countersign_spool::{Append, Class, Kind, Placed, Reader, Snapshot, Spool, append_once, verify};
use disk::{Crash, Dice, Disk};
use support::{ask, event, event_with_content, with_class};
use vfs::{Recording, Step};

const TO: &str = "https://collector.example";
const OPERATIONS: usize = 200;

/// What whoever used the spool was told up to some moment.
#[derive(Clone, Debug, Default)]
struct Promise {
    /// Appended, in whatever class.
    written: u64,
    /// Appended FULL, or below a barrier.
    durable: u64,
    /// Left the device, in a batch or under an announced head.
    left: u64,
    /// Events in letters that were acknowledged.
    letters: Vec<EventBytes>,
}

/// A run, with everything needed to judge what is left of it.
struct Run {
    dir: tempfile::TempDir,
    recording: Recording,
    promises: Vec<Promise>,
    /// The trail at its end: what every crash must leave a beginning of.
    trail: Vec<(Hash, EventBytes)>,
    epoch: String,
}

fn text(dice: &mut Dice, bytes: usize) -> String {
    (0..bytes).map(|_| char::from(b'!' + dice.below(90) as u8)).collect()
}

/// Does random things to a spool, and writes down what it promised.
fn run(seed: u64) -> Run {
    let dir = tempfile::tempdir().unwrap();
    let tape = vfs::record(dir.path());
    let mut dice = Dice::new(seed);
    let mut spool = Spool::open(dir.path()).unwrap();
    let mut promises = vec![Promise::default()];
    let mut promise = Promise::default();
    let mut next = 0;
    let mut fresh = |count: usize| -> Vec<Append> {
        next += count as u64;
        (next - count as u64..next).map(event).collect()
    };
    for operation in 0..OPERATIONS {
        match dice.below(20) {
            0..7 => {
                let class = if dice.below(4) == 0 { Class::Full } else { Class::Normal };
                let events: Vec<Append> =
                    fresh(1 + dice.below(6)).into_iter().map(|it| with_class(it, class)).collect();
                let appended = spool.append(&events).unwrap();
                promise.written = appended.last_seq;
                if appended.full {
                    promise.durable = appended.last_seq;
                }
            }
            7..9 => {
                let n = 1_000_000 + operation as u64;
                let bytes = 30_000 + dice.below(60_000);
                let appended = spool.append(&[event_with_content(n, &text(&mut dice, bytes))]).unwrap();
                (promise.written, promise.durable) = (appended.last_seq, appended.last_seq);
            }
            9..11 => promise.durable = spool.barrier().unwrap(),
            11..14 => {
                if let Some(pending) = spool.next_batch(TO, 1 + dice.below(20), 1 << 20).unwrap() {
                    promise.left = promise.left.max(pending.last_seq).max(pending.batch.head.seq);
                    // The answer may be lost.
                    if dice.below(3) > 0 {
                        let hash = hash_at(dir.path(), pending.last_seq);
                        spool.acknowledge(TO, &pending.batch.epoch, pending.last_seq, hash).unwrap();
                    }
                }
            }
            14 => {
                let batch = spool.announce(TO).unwrap();
                promise.left = promise.left.max(batch.head.seq);
            }
            15 => {
                let head = spool.head().unwrap();
                (promise.durable, promise.left) = (head.seq, promise.left.max(head.seq));
            }
            16 => {
                let (path, text) = (format!("/{}", dice.below(3)), text(&mut dice, 20_000).into_bytes());
                let time = Timestamp::from_millis(1_760_000_000_000);
                let snapshot = Snapshot::of(path, Kind::Saved, Some(text), time);
                spool.put_snapshot(&snapshot).unwrap();
            }
            17 => {
                // The process ends as processes do, and another one comes.
                drop(spool);
                spool = Spool::open(dir.path()).unwrap();
            }
            18 => {
                let letter = fresh(1);
                let conn = rusqlite::Connection::open(dir.path().join("spool.db")).unwrap();
                conn.execute_batch("BEGIN IMMEDIATE").unwrap();
                let placed = append_once(dir.path(), &letter, Duration::from_millis(5)).unwrap();
                assert_eq!(placed, Placed::Inbox);
                promise.letters.push(letter[0].event.clone());
            }
            _ => {
                if promise.durable > promise.left {
                    let epoch = Reader::open(dir.path()).unwrap().status(None).unwrap().epoch;
                    spool.quarantine(&epoch, promise.durable, "too odd").unwrap();
                    let seq = ask::<i64>(dir.path(), "SELECT max(seq) FROM events") as u64;
                    (promise.written, promise.durable) = (seq, seq);
                }
            }
        }
        promises.push(promise.clone());
        vfs::tell(operation + 1);
    }
    let recording = tape.end();
    drop(spool);
    let stored = Reader::open(dir.path()).unwrap().events_after(0, usize::MAX >> 1).unwrap();
    let epoch = stored[0].epoch.clone();
    let trail = stored.into_iter().map(|it| (it.hash, it.bytes)).collect();
    Run { dir, recording, promises, trail, epoch }
}

fn hash_at(state: &Path, seq: u64) -> Hash {
    let conn = rusqlite::Connection::open(state.join("spool.db")).unwrap();
    Hash(conn.query_row("SELECT hash FROM events WHERE seq = ?", [seq], |row| row.get(0)).unwrap())
}

/// What a crash cost.
#[derive(Debug, Default)]
struct Cost {
    crashes: u64,
    /// NORMAL events above the last barrier that were gone.
    lost: u64,
    most_lost: u64,
}

impl Run {
    /// Lays out a crash, opens the spool again and checks every promise.
    fn survives(&self, disk: &Disk, promise: &Promise, crash: Crash, seed: u64, thorough: bool, cost: &mut Cost) {
        let what = format!("step {} of {}, {crash:?}, seed {seed}", disk.steps, self.recording.entries.len());
        let to = tempfile::tempdir().unwrap();
        disk.lay_out(&self.recording, self.dir.path(), to.path(), crash, &mut Dice::new(seed));

        let mut spool = Spool::open(to.path()).unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let aside = std::fs::read_dir(to.path()).unwrap().flatten();
        let aside: Vec<_> = aside.filter(|it| it.file_name().to_str().unwrap().contains("broken")).collect();
        assert!(aside.is_empty(), "{what}: an honest crash was taken for damage");
        assert_eq!(ask::<String>(to.path(), "PRAGMA integrity_check"), "ok", "{what}");

        let stored = Reader::open(to.path()).unwrap().events_after(0, usize::MAX >> 1).unwrap();
        let here = stored.len() as u64;
        let must = if crash == Crash::Process { promise.written } else { promise.durable };
        assert!(here >= must, "{what}: {here} events are left of {must} promised");
        assert!(here >= promise.left, "{what}: {here} events are left, {} left the device", promise.left);
        for (stored, (hash, bytes)) in stored.iter().zip(&self.trail) {
            assert!(stored.hash == *hash && stored.bytes == *bytes, "{what}: event {} is another one", stored.seq);
            assert_eq!(stored.epoch, self.epoch, "{what}");
        }
        for line in std::fs::read_to_string(to.path().join("heads.jsonl")).unwrap_or_default().lines() {
            // A line that a crash has torn is none.
            let Ok(head) = serde_json::from_str::<Head>(line) else { continue };
            assert_eq!(stored[head.seq as usize - 1].hash, head.hash, "{what}: a signed head speaks of another trail");
        }
        let gone = promise.written.saturating_sub(here);
        cost.crashes += 1;
        cost.lost += gone;
        cost.most_lost = cost.most_lost.max(gone);

        // Life goes on: letters are taken in once, and the collector sees no fork.
        spool.append(&[with_class(event(9_999_999), Class::Full)]).unwrap();
        let after = Reader::open(to.path()).unwrap().events_after(0, usize::MAX >> 1).unwrap();
        let mut times: BTreeMap<&str, u32> = BTreeMap::new();
        for it in &after {
            *times.entry(it.bytes.as_str()).or_default() += 1;
        }
        for letter in &promise.letters {
            assert_eq!(times.get(letter.as_str()), Some(&1), "{what}: a letter is lost or doubled");
        }
        assert!(times.values().all(|&times| times == 1), "{what}: an event is doubled");
        if promise.left > 0 {
            let left = self.trail[promise.left as usize - 1].0;
            spool.set_cursor(TO, &self.epoch, promise.left, left).unwrap_or_else(|error| panic!("{what}: {error}"));
            if thorough {
                let batch = spool.next_batch(TO, 500, 1 << 20).unwrap().unwrap().batch;
                assert_eq!((batch.first_seq, batch.previous), (promise.left + 1, left), "{what}");
            }
        }
        if thorough {
            let report = verify(to.path()).unwrap();
            assert!(report.is_ok(), "{what}: {report:?}");
        }
    }

    /// Whether a crash at this moment tells more than one a step earlier. Between two commits nothing
    /// is promised, and what was not synced is forgotten or torn in the same ways.
    fn is_boundary(&self, steps: usize, crash: Crash) -> bool {
        let last = steps.checked_sub(1).map(|last| &self.recording.entries[last].step);
        let next = self.recording.entries.get(steps).map(|entry| &entry.step);
        let cut = |step: Option<&Step>| matches!(step, Some(Step::Sync(_) | Step::Delete { .. }));
        matches!(last, None | Some(Step::Told(_))) || crash == Crash::Torn && (cut(last) || cut(next))
    }
}

#[test]
fn a_crash_at_any_commit_loses_nothing_that_was_promised() {
    let long = std::env::var_os("COUNTERSIGN_LONG").is_some_and(|it| it == "1");
    let seed = std::env::var("COUNTERSIGN_SEED").map_or(1, |seed| seed.parse().unwrap());
    let run = run(seed);
    let syncs = run.recording.entries.iter().filter(|it| matches!(it.step, Step::Sync(_))).count();
    let checkpoints =
        run.recording.entries.iter().filter(|it| matches!(&it.step, Step::Sync(file) if file == "spool.db")).count();
    assert!(checkpoints > 1, "the WAL must be moved into the database at least once, not only made");
    let mut disk = Disk::default();
    let mut promise = &run.promises[0];
    let mut costs: BTreeMap<&str, Cost> = BTreeMap::new();
    for steps in 0..=run.recording.entries.len() {
        if steps > 0 {
            let step = &run.recording.entries[steps - 1].step;
            disk.step(step);
            if let Step::Told(n) = step {
                promise = &run.promises[*n];
            }
        }
        let ways = [("process", Crash::Process), ("power", Crash::Power), ("torn", Crash::Torn)];
        for (name, crash) in ways.into_iter().filter(|(_, crash)| long || run.is_boundary(steps, *crash)) {
            let seeds = if long && crash == Crash::Torn { 4 } else { 1 };
            for n in 0..seeds {
                let cost = costs.entry(name).or_default();
                let thorough = long || cost.crashes.is_multiple_of(50);
                run.survives(&disk, promise, crash, seed * 1_000_003 + steps as u64 * 17 + n, thorough, cost);
            }
        }
    }
    eprintln!(
        "{OPERATIONS} operations, {} events, {} steps, {syncs} syncs, {checkpoints} of the database: {costs:?}",
        run.trail.len(),
        run.recording.entries.len(),
    );
    assert_eq!(costs["process"].lost, 0);
    assert!(costs["power"].lost > 0, "power loss must cost something, or nothing was forgotten");
}

#[test]
fn what_leaves_the_device_after_a_process_was_killed_in_a_commit_survives_the_power_that_goes_then() {
    let run = run(2);
    let mut disk = Disk::default();
    let mut tried = 0;
    for (steps, entry) in run.recording.entries.iter().enumerate() {
        // Written, its own record of it included, and not synced: here the process is killed.
        let is_commit = matches!(&entry.step, Step::Sync(file) if file == "spool.db-wal");
        if is_commit && steps > 100 && tried < 25 {
            tried += 1;
            let (next, last) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            disk.lay_out(&run.recording, run.dir.path(), next.path(), Crash::Process, &mut Dice::new(0));
            let tape = vfs::record(next.path());
            let mut spool = Spool::open(next.path()).unwrap();
            let pending = spool.next_batch(TO, 500, 1 << 20).unwrap();
            let head = spool.announce(TO).unwrap().head;
            let recording = tape.end();
            let mut disk = disk.after_restart();
            recording.entries.iter().for_each(|entry| disk.step(&entry.step));
            disk.lay_out(&recording, next.path(), last.path(), Crash::Power, &mut Dice::new(0));
            Spool::open(last.path()).unwrap();
            let stored = Reader::open(last.path()).unwrap().events_after(0, usize::MAX >> 1).unwrap();
            let left = pending.map_or(0, |it| it.last_seq).max(head.seq);
            assert!(stored.len() as u64 >= left, "step {steps}: {} events are left, {left} left", stored.len());
            assert_eq!(stored[head.seq as usize - 1].hash, head.hash, "step {steps}");
        }
        disk.step(&entry.step);
    }
    assert_eq!(tried, 25);
}
