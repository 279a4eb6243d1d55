//! Does the trail still say what was written?
//!
//! Walks every epoch from its genesis: each event's bytes against the chain, the columns against the
//! bytes, the texts against their commitments, then every signed head, of the table and of the side
//! file, against the chain. The first broken place is named. Up to the last signed head nobody could
//! have changed anything without this noticing; after it, whoever owns the device could have
//! rewritten the end, and the report says where that begins.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use countersign_event::EventBytes;
use countersign_event::chain::{self, Hash, Head};
use countersign_event::digest::{hex, sha256};
use countersign_event::payload::{Payload, trail};
use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;

use crate::content::ContentState;
use crate::epoch::{self, Epoch};
use crate::head::{SideHeads, is_signed, side_heads};
use crate::open::{Layout, Patience, open_reader};
use crate::quarantine::AGAIN;
use crate::reader::{CONTENT_COLUMNS, content_row};
use crate::{Device, SpoolError, shed};

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The first place that does not hold. `None`: everything holds.
    pub broken: Option<Broken>,
    /// The stream.
    pub stream: String,
    /// Events checked.
    pub events: u64,
    /// Epochs checked.
    pub epochs: u64,
    /// Signed heads checked.
    pub heads: u64,
    /// Texts that open and match their commitment.
    pub contents_ok: u64,
    /// Texts let go to make room, with a record.
    pub contents_shed: u64,
    /// Texts whose keys were destroyed, with a record.
    pub contents_erased: u64,
    /// Events let go to make room, with a record; the chain goes on across their digests.
    pub events_shed: u64,
    /// Of the current epoch: the last event under a signed head. What follows it is chained, but
    /// the device's owner could have rewritten it.
    pub signed_through: u64,
    /// Of the current epoch: the last event.
    pub last_seq: u64,
    /// Earlier epochs that went with a file that was set aside, and that file. Not checked.
    pub set_aside: Vec<(String, String)>,
    /// Lines of the side file that are no heads, such as one torn by a crash.
    pub heads_unreadable: u64,
}

/// A place that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// The stream.
    pub stream: String,
    /// The epoch; empty where it is about the whole file.
    pub epoch: String,
    /// The event; 0 where it is about the whole epoch.
    pub seq: u64,
    /// What is wrong, in a sentence.
    pub what: String,
}

impl Report {
    /// Returns whether everything holds.
    pub fn is_ok(&self) -> bool {
        self.broken.is_none()
    }
}

/// Verifies the spool of a state directory. Changes nothing.
///
/// A damaged file is an answer, not an error. Cost: reads and decrypts the whole spool.
/// Errors: `Missing`, `Newer`, `Locked`, `Device`; files that can't be read.
pub fn verify(state: &Path) -> Result<Report, SpoolError> {
    let layout = Layout::new(state);
    let Some(device) = Device::read(&layout.key)? else {
        return Err(match layout.db.exists() {
            true => SpoolError::Device { path: layout.key, reason: "it is not there" },
            false => SpoolError::Missing { path: layout.db },
        });
    };
    let side = side_heads(&layout.heads)?;
    let mut walk = Walk {
        device: &device,
        report: Report::default(),
        passed: HashMap::new(),
        records: HashMap::new(),
        gone: HashMap::new(),
        ended: HashMap::new(),
    };
    walk.report.stream = device.stream().to_owned();
    walk.report.heads_unreadable = side.unreadable;
    let walked = open_reader(&layout, &Patience::default()).and_then(|conn| {
        // One state of the file, whatever is appended meanwhile.
        conn.execute_batch("BEGIN").map_err(|e| SpoolError::sqlite(&layout.db, e))?;
        Ok(walk.run(&conn, &side))
    });
    match walked {
        Ok(Ok(())) => {}
        Ok(Err(Stop::Broken(broken))) => walk.report.broken = Some(broken),
        Ok(Err(Stop::Sql(error))) => match SpoolError::sqlite(&layout.db, error) {
            error @ (SpoolError::Locked { .. } | SpoolError::DiskFull { .. }) => return Err(error),
            _ => walk.report.broken = Some(walk.broken("", 0, "the database is damaged")),
        },
        Err(SpoolError::Corrupt { .. }) => walk.report.broken = Some(walk.broken("", 0, "the database is damaged")),
        Err(error) => return Err(error),
    }
    Ok(walk.report)
}

/// Why the walk ended early.
enum Stop {
    Broken(Broken),
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Stop::Sql(error)
    }
}

struct Walk<'a> {
    device: &'a Device,
    report: Report,
    /// The chain's hash after each event that a head speaks of, by epoch.
    passed: HashMap<String, Passed>,
    /// The records of what was let go, by their ids.
    records: HashMap<String, Record>,
    /// What is gone, by the record that it names.
    gone: HashMap<String, Gone>,
    /// Epochs that a record says were ended, and after which event.
    ended: HashMap<String, u64>,
}

/// A `trail.trimmed` event.
struct Record {
    epoch: String,
    seq: u64,
    count: u64,
    digest: String,
}

/// What names one record as the reason why it is gone.
struct Gone {
    /// Where the first of it stood.
    epoch: String,
    seq: u64,
    leaves: Vec<[u8; 32]>,
}

#[derive(Default)]
struct Passed {
    hashes: Vec<Hash>,
}

/// The columns of an event that repeat what its bytes say.
struct Row {
    seq: u64,
    hash: [u8; 32],
    stream: String,
    id: String,
    event_type: String,
    time: String,
    subject: Option<String>,
    bytes: String,
}

impl Walk<'_> {
    fn broken(&self, epoch: &str, seq: u64, what: impl Into<String>) -> Broken {
        Broken { stream: self.report.stream.clone(), epoch: epoch.to_owned(), seq, what: what.into() }
    }

    fn stop<T>(&self, epoch: &str, seq: u64, what: impl Into<String>) -> Result<T, Stop> {
        Err(Stop::Broken(self.broken(epoch, seq, what)))
    }

    fn run(&mut self, conn: &Connection, side: &SideHeads) -> Result<(), Stop> {
        // The whole check: an index that hides a row from answers is a change too.
        let sound: String = conn.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        let epochs = epoch::all(conn)?;
        self.ended = ended(conn)?;
        let table_heads = self.table_heads(conn)?;
        for epoch in &epochs {
            if let Some(file) = &epoch.set_aside {
                self.report.set_aside.push((epoch.epoch.clone(), file.clone()));
                self.let_go_beyond(conn, &epoch.epoch, 0)?;
                continue;
            }
            self.epoch(conn, epoch)?;
            let of_epoch = |head: &&Head| head.epoch == epoch.epoch;
            for head in table_heads.iter().filter(of_epoch) {
                self.head(epoch, head)?;
                if !side.heads.contains(head) {
                    return self.stop(&head.epoch, head.seq, "a signed head of the spool is not in heads.jsonl");
                }
            }
            for head in side.heads.iter().filter(of_epoch) {
                self.head(epoch, head)?;
            }
        }
        let known: HashSet<&str> = epochs.iter().map(|epoch| epoch.epoch.as_str()).collect();
        if let Some(head) = side.heads.iter().find(|head| !known.contains(head.epoch.as_str())) {
            return self.stop(
                &head.epoch,
                head.seq,
                "heads.jsonl has a signed head of an epoch that the spool does not have",
            );
        }
        self.strays(conn, &known)?;
        self.records(conn)?;
        self.quarantined(conn)?;
        if sound != "ok" {
            return self.stop("", 0, "the database is damaged");
        }
        Ok(())
    }

    /// Walks the chain of one epoch.
    fn epoch(&mut self, conn: &Connection, epoch: &Epoch) -> Result<(), Stop> {
        let name = &epoch.epoch;
        if epoch.stream != self.device.stream() || epoch.public_key != self.device.public_key() {
            return self.stop(name, 0, "the epoch is not this device's");
        }
        let mut statement = conn.prepare(
            "SELECT seq, hash, stream, id, type, time, subject, bytes FROM events WHERE epoch = ? ORDER BY seq",
        )?;
        let mut rows = statement.query([name])?;
        let (mut seq, mut hash) = (0, epoch.genesis());
        let mut passed = Passed { hashes: vec![hash] };
        loop {
            let row = match rows.next() {
                Ok(Some(row)) => row,
                Ok(None) => break,
                Err(error) if is_damage(&error) => return self.stop(name, seq + 1, "the event can't be read"),
                Err(error) => return Err(error.into()),
            };
            // A seq that is no number sorts after all numbers.
            let Ok(here) = row.get::<_, u64>(0) else { return self.stop(name, seq + 1, "the event can't be read") };
            while seq + 1 < here {
                hash = self.hole(conn, name, seq + 1, hash)?;
                passed.hashes.push(hash);
                seq += 1;
            }
            if here != seq + 1 {
                return self.stop(name, seq + 1, "the event is missing");
            }
            seq = here;
            // Whoever changed a value may have changed its type too.
            let Ok(row) = read(row) else { return self.stop(name, seq, "the event can't be read") };
            hash = chain::next(hash, row.bytes.as_bytes());
            if hash.0 != row.hash {
                return self.stop(name, seq, "the event's bytes do not match the chain");
            }
            if row.seq != seq || row.stream != epoch.stream || !repeats(&row) {
                return self.stop(name, seq, "the event's columns differ from its bytes");
            }
            self.contents(conn, name, &row)?;
            if row.event_type == "dev.countersign.trail.trimmed.v1" {
                self.record(name, &row);
            }
            passed.hashes.push(hash);
            self.report.events += 1;
        }
        while seq < epoch.barrier_seq {
            hash = self.hole(conn, name, seq + 1, hash)?;
            passed.hashes.push(hash);
            seq += 1;
        }
        self.let_go_beyond(conn, name, seq)?;
        self.report.epochs += 1;
        self.report.last_seq = seq;
        self.report.signed_through = 0;
        self.passed.insert(name.clone(), passed);
        Ok(())
    }

    /// Goes on across an event that was let go, or that went again from another place. Returns the chain's
    /// hash after it.
    fn hole(&mut self, conn: &Connection, epoch: &str, seq: u64, previous: Hash) -> Result<Hash, Stop> {
        let found = conn
            .query_row(
                "SELECT sha256, hash, trimmed, reason FROM holes WHERE epoch = ? AND seq = ? AND hash IS NOT NULL",
                (epoch, seq),
                |row| {
                    let (digest, hash) = (row.get::<_, [u8; 32]>(0)?, row.get::<_, [u8; 32]>(1)?);
                    Ok((digest, hash, row.get::<_, Option<String>>(2)?, row.get::<_, String>(3)?))
                },
            )
            .optional();
        let (digest, hash, record, reason) = match found {
            Ok(Some(hole)) => hole,
            Ok(None) => return self.stop(epoch, seq, "the event is missing"),
            Err(error) if is_damage(&error) => return self.stop(epoch, seq, "the hole can't be read"),
            Err(error) => return Err(error.into()),
        };
        let after = chain::next_digest(previous, &digest);
        if after.0 != hash {
            return self.stop(epoch, seq, "the hole's digest does not match the chain");
        }
        match (record, reason.strip_prefix(AGAIN)) {
            (Some(record), _) => {
                self.gone(record, epoch, seq, trail::event_leaf(epoch, seq, &digest));
                self.report.events_shed += 1;
            }
            (None, Some(id)) if is_elsewhere(conn, id, &digest)? => {}
            _ => return self.stop(epoch, seq, "the event is missing"),
        }
        Ok(after)
    }

    /// Counts what had been let go beyond the end of an epoch before it was ended: whatever else stood there has
    /// another place now, so only the records can be held against it.
    fn let_go_beyond(&mut self, conn: &Connection, epoch: &str, end: u64) -> Result<(), Stop> {
        let mut statement =
            conn.prepare("SELECT seq, sha256, trimmed FROM holes WHERE epoch = ? AND seq > ? AND trimmed IS NOT NULL")?;
        let mut rows = statement.query((epoch, end))?;
        while let Some(row) = rows.next()? {
            let (seq, digest): (u64, [u8; 32]) = (row.get(0)?, row.get(1)?);
            if !self.ended.contains_key(epoch) {
                return self.stop(epoch, seq, "a hole stands beyond the last event");
            }
            self.gone(row.get(2)?, epoch, seq, trail::event_leaf(epoch, seq, &digest));
            self.report.events_shed += 1;
        }
        Ok(())
    }

    fn gone(&mut self, record: String, epoch: &str, seq: u64, leaf: [u8; 32]) {
        let first = || Gone { epoch: epoch.to_owned(), seq, leaves: Vec::new() };
        self.gone.entry(record).or_insert_with(first).leaves.push(leaf);
    }

    /// Notes what a record says was let go. One without a digest accounts for nothing.
    fn record(&mut self, epoch: &str, row: &Row) {
        let event = EventBytes::parse(row.bytes.as_bytes());
        let Some(Payload::TrailTrimmed(it)) = event.ok().and_then(|event| event.payload().ok()) else { return };
        let Some(digest) = it.digest else { return };
        let record = Record { epoch: epoch.to_owned(), seq: row.seq, count: it.count, digest };
        self.records.insert(row.id.clone(), record);
    }

    /// Checks that what is gone is exactly what the records say.
    fn records(&mut self, conn: &Connection) -> Result<(), Stop> {
        let mut statement =
            conn.prepare("SELECT name, trimmed FROM contents WHERE event = '' AND trimmed IS NOT NULL")?;
        for row in statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))? {
            let (name, record) = row?;
            let Some(leaf) = shed::leaf_of(&name) else { return self.stop("", 0, "a content can't be read") };
            self.gone(record, "", 0, leaf);
            self.report.contents_shed += 1;
        }
        let mut gone = std::mem::take(&mut self.gone);
        for (id, record) in &self.records {
            let leaves = gone.remove(id).map(|gone| gone.leaves).unwrap_or_default();
            if leaves.len() as u64 != record.count || trail::leaves_digest(leaves) != record.digest {
                let what = "what is gone is not what this record says was let go";
                return self.stop(&record.epoch, record.seq, what);
            }
        }
        match gone.into_values().next() {
            Some(gone) => self.stop(&gone.epoch, gone.seq, "what is gone from here has no record"),
            None => Ok(()),
        }
    }

    /// Checks that an event which does not travel is the one whose digest stands for it, and has a record.
    fn quarantined(&self, conn: &Connection) -> Result<(), Stop> {
        let mut statement = conn.prepare(
            "SELECT holes.epoch, holes.seq, holes.sha256, events.bytes FROM holes
             JOIN events ON events.epoch = holes.epoch AND events.seq = holes.seq",
        )?;
        let mut told =
            conn.prepare("SELECT 1 FROM events WHERE subject = ? AND type = 'dev.countersign.trail.gap.v1'")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (epoch, seq, digest, bytes): (String, u64, Option<[u8; 32]>, String) =
                (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            if digest != Some(sha256(bytes.as_bytes())) {
                return self.stop(&epoch, seq, "the hole's digest is not the event's");
            }
            if !told.exists([format!("{epoch}/{seq}")])? {
                return self.stop(&epoch, seq, "the event does not travel and has no record");
            }
        }
        Ok(())
    }

    /// Checks that every text the event holds a commitment to is here, or known to be gone.
    fn contents(&mut self, conn: &Connection, epoch: &str, row: &Row) -> Result<(), Stop> {
        let committed = commitments(&row.bytes);
        let mut statement = conn.prepare(&format!("SELECT {CONTENT_COLUMNS} FROM contents WHERE event = ?"))?;
        let mut here = HashMap::new();
        for content in statement.query_map([&row.id], content_row)? {
            let content = match content {
                Ok(content) => content,
                Err(error) if is_damage(&error) => return self.stop(epoch, row.seq, "a content can't be read"),
                Err(error) => return Err(error.into()),
            };
            here.insert(content.name.clone(), content);
        }
        for (name, kept) in committed {
            let found = here.remove(&name).filter(|content| content.kept == kept);
            let record = found.as_ref().and_then(|content| content.trimmed.clone());
            let state = match found {
                Some(content) => content.state(self.device),
                None => Ok(ContentState::Missing),
            };
            match state {
                Ok(ContentState::Ok { .. }) => self.report.contents_ok += 1,
                Ok(state @ (ContentState::Shed | ContentState::Erased)) => {
                    let Some(record) = record else {
                        return self.stop(epoch, row.seq, format!("content {name} is gone without a record"));
                    };
                    self.gone(record, epoch, row.seq, trail::content_leaf(&row.id, &name, &kept));
                    match state {
                        ContentState::Shed => self.report.contents_shed += 1,
                        _ => self.report.contents_erased += 1,
                    }
                }
                Ok(ContentState::Missing) => {
                    return self.stop(epoch, row.seq, format!("content {name} is missing"));
                }
                Err(_) => return self.stop(epoch, row.seq, format!("content {name} does not match its commitment")),
            }
        }
        match here.into_keys().next() {
            Some(name) => self.stop(epoch, row.seq, format!("content {name} is not in the event")),
            None => Ok(()),
        }
    }

    fn table_heads(&self, conn: &Connection) -> Result<Vec<Head>, Stop> {
        let mut statement = conn.prepare("SELECT epoch, seq, json FROM heads ORDER BY rowid")?;
        let mut rows = statement.query([])?;
        let mut heads = Vec::new();
        while let Some(row) = rows.next()? {
            let (epoch, seq, json): (String, u64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            match serde_json::from_str::<Head>(&json) {
                Ok(head) if head.epoch == epoch && head.seq == seq => heads.push(head),
                _ => return self.stop(&epoch, seq, "a signed head can't be read"),
            }
        }
        Ok(heads)
    }

    fn head(&mut self, epoch: &Epoch, head: &Head) -> Result<(), Stop> {
        // The trail says itself that it goes no further; a collector or a note may still hold the rest.
        if self.ended.get(&epoch.epoch).is_some_and(|through| head.seq > *through) {
            return Ok(());
        }
        let ours = head.stream == epoch.stream && head.public_key == hex(&self.device.public_key());
        if !ours || !is_signed(head) {
            return self.stop(&head.epoch, head.seq, "the signature of a head is not this device's");
        }
        let hashes = &self.passed[&epoch.epoch].hashes;
        let hash = usize::try_from(head.seq).ok().and_then(|seq| hashes.get(seq));
        match hash {
            Some(hash) if *hash == head.hash => {}
            Some(_) => return self.stop(&head.epoch, head.seq, "the chain differs from a signed head"),
            None => {
                let first_missing = hashes.len() as u64;
                return self.stop(&head.epoch, first_missing, "the event is missing, a signed head covers it");
            }
        }
        self.report.heads += 1;
        self.report.signed_through = self.report.signed_through.max(head.seq);
        Ok(())
    }

    /// Finds rows that belong to nothing.
    fn strays(&self, conn: &Connection, known: &HashSet<&str>) -> Result<(), Stop> {
        let mut statement = conn.prepare("SELECT DISTINCT epoch FROM events")?;
        for epoch in statement.query_map([], |row| row.get::<_, String>(0))? {
            let epoch = epoch?;
            if !known.contains(epoch.as_str()) {
                return self.stop(&epoch, 1, "events of an epoch that the spool does not know");
            }
        }
        let stray: u64 = conn.query_row(
            "SELECT count(*) FROM contents WHERE NOT EXISTS (SELECT 1 FROM events WHERE id = contents.event)
             AND NOT (event = '' AND state <> 'ok' AND trimmed IS NOT NULL AND sealed IS NULL)",
            [],
            |row| row.get(0),
        )?;
        if stray > 0 { self.stop("", 0, "there are contents of events that the spool does not have") } else { Ok(()) }
    }
}

/// Whether the file is to blame: torn pages, or values of another kind than we write.
fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => matches!(failure.code, DatabaseCorrupt | NotADatabase),
        _ => true,
    }
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        seq: row.get(0)?,
        hash: row.get(1)?,
        stream: row.get(2)?,
        id: row.get(3)?,
        event_type: row.get(4)?,
        time: row.get(5)?,
        subject: row.get(6)?,
        bytes: row.get(7)?,
    })
}

/// Returns whether the event with this id and digest has another place, or was let go there.
fn is_elsewhere(conn: &Connection, id: &str, digest: &[u8; 32]) -> rusqlite::Result<bool> {
    let bytes: Option<String> =
        conn.query_row("SELECT bytes FROM events WHERE id = ?", [id], |row| row.get(0)).optional()?;
    match bytes {
        Some(bytes) => Ok(sha256(bytes.as_bytes()) == *digest),
        None => {
            let let_go = "SELECT 1 FROM holes WHERE sha256 = ? AND trimmed IS NOT NULL LIMIT 1";
            conn.query_row(let_go, [digest], |_| Ok(())).optional().map(|found| found.is_some())
        }
    }
}

/// Returns the epochs that were recovered or forked, with the last event that is theirs for certain.
/// An epoch that was ended at an altered event is not among them: that place is to be named.
fn ended(conn: &Connection) -> Result<HashMap<String, u64>, Stop> {
    let mut ended: HashMap<String, u64> = HashMap::new();
    let mut statement = conn.prepare("SELECT type, bytes FROM events WHERE type LIKE 'dev.countersign.trail.%'")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let Ok((event_type, bytes)) = row.get::<_, String>(0).and_then(|kind| Ok((kind, row.get::<_, String>(1)?)))
        else {
            continue; // the walk names it
        };
        let Ok(event) = serde_json::from_str::<serde_json::Value>(&bytes) else { continue };
        let data = &event["data"];
        let (epoch, through) = match event_type.as_str() {
            "dev.countersign.trail.forked.v1" => {
                (&data["epoch"], data["seq"].as_u64().map(|seq| seq.saturating_sub(1)))
            }
            "dev.countersign.trail.recovered.v1" if data["set_aside"] != "" => {
                (&data["previous_epoch"], data["previous_seq"].as_u64())
            }
            _ => continue,
        };
        if let (Some(epoch), Some(through)) = (epoch.as_str(), through) {
            let earliest = ended.entry(epoch.to_owned()).or_insert(through);
            *earliest = through.min(*earliest);
        }
    }
    Ok(ended)
}

/// Whether the columns say what the bytes say. Answers are looked up by columns.
fn repeats(row: &Row) -> bool {
    let Ok(event) = EventBytes::parse(row.bytes.as_bytes()) else { return false };
    event.header().is_ok_and(|header| {
        header.id.to_string() == row.id
            && header.event_type == row.event_type
            && header.time.to_string() == row.time
            && header.subject == row.subject
    })
}

/// Returns name and `kept` of every text an event says was kept, whatever its type.
pub(crate) fn commitments(bytes: &str) -> Vec<(String, String)> {
    let Ok(event) = serde_json::from_str::<serde_json::Value>(bytes) else { return Vec::new() };
    let Some(contents) = event["data"]["content"].as_object() else { return Vec::new() };
    let kept = |slot: &serde_json::Value| slot["kept"].as_str().map(str::to_owned);
    contents.iter().filter_map(|(name, slot)| Some((name.clone(), kept(slot)?))).collect()
}
