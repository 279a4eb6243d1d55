//! What a damaged spool still holds, brought into the new one.
//!
//! Tables are read by key, step by step around what can't be read; the damaged file itself is only
//! read. Of each epoch, what the chain proves from its first event on keeps its address and is sent
//! under it. The first event that can't be read ends the epoch, and what is readable after it follows
//! in the new epoch, byte for byte. A `trail.recovered` for each epoch that was cut says how far it
//! goes, how much was saved and how much is lost.
//!
//! All of it is one transaction: whoever is killed here leaves an empty spool, and the next one begins
//! again from the same file.

use std::collections::HashMap;
use std::path::Path;

use countersign_event::chain::{self, Hash};
use countersign_event::payload::{Payload, trail};
use countersign_event::{Event, EventBytes, How};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, Transaction, TransactionBehavior};
use uuid::Uuid;

use crate::append::insert;
use crate::content::ContentState;
use crate::epoch::{self, Epoch};
use crate::head::side_heads;
use crate::open::Layout;
use crate::prepare::Prepared;
use crate::reader::{CONTENT_COLUMNS, content_row};
use crate::shed::{self, Gone};
use crate::verify::commitments;
use crate::{Device, SpoolError, sys};

/// After so many places that can't be read the rest of a table is given up.
const FAILURES_MAX: u32 = 100_000;
/// Where a table does not even say how long it is.
const ROWID_MAX: i64 = 1 << 40;
/// What was let go by a record that is not here.
const UNTOLD: &str = "trimmed NOT NULL AND NOT EXISTS (SELECT 1 FROM events WHERE id = trimmed)";
/// Events that are inserted at once.
const CHUNK: usize = 500;

/// What went before a spool that has to begin anew.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    /// Epochs that the side file has heads of, oldest first, with the last seq that was signed.
    signed: Vec<(String, u64)>,
    reason: String,
    /// The name of the file that was set aside, where there was one.
    set_aside: Option<String>,
}

/// Looks whether a new, empty spool has lost predecessors: a file set aside, or heads that were
/// signed for events that are no longer here.
pub(crate) fn lost(layout: &Layout, broken: Option<String>, set_aside: Option<String>) -> Option<Lost> {
    let mut signed: Vec<(String, u64)> = Vec::new();
    for head in side_heads(&layout.heads).ok()?.heads {
        match signed.iter_mut().find(|(epoch, _)| *epoch == head.epoch) {
            Some((_, seq)) => *seq = (*seq).max(head.seq),
            None => signed.push((head.epoch, head.seq)),
        }
    }
    if signed.is_empty() && set_aside.is_none() {
        return None;
    }
    Some(Lost { signed, reason: broken.unwrap_or_else(|| "missing".to_owned()), set_aside })
}

/// Begins a spool anew, with what the one before still holds and a record of what it does not.
pub(crate) fn begin_anew(
    conn: &mut Connection,
    layout: &Layout,
    device: &Device,
    lost: &Lost,
) -> Result<(), SpoolError> {
    let sql = |e| SpoolError::sqlite(&layout.db, e);
    conn.execute_batch("PRAGMA synchronous = FULL").map_err(sql)?;
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql)?;
    let from = lost.set_aside.as_ref().and_then(|name| open_damaged(&layout.state.join(name)));
    let mut saving = Saving { tx: &tx, device, from, saved: Vec::new(), follow: Vec::new() };
    saving.run(lost).map_err(sql)?;
    tx.commit().map_err(sql)
}

fn open_damaged(path: &Path) -> Option<Connection> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).ok()?;
    conn.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).ok()?;
    conn.execute_batch("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;").ok()?;
    Some(conn)
}

/// Of each epoch, seq and row of what is there.
type Places = HashMap<String, Vec<(u64, i64)>>;

/// What was found of one epoch.
struct Saved {
    epoch: String,
    /// The last event that the chain proves from the first one on.
    through: u64,
    /// The last event we know there was.
    expected: u64,
    /// Events that are readable beyond `through`.
    follow: u64,
    /// Places up to `through` that were holes before.
    holes: u64,
}

struct Saving<'a> {
    tx: &'a Transaction<'a>,
    device: &'a Device,
    from: Option<Connection>,
    saved: Vec<Saved>,
    /// Rows of the damaged file that follow in the new epoch, in order.
    follow: Vec<i64>,
}

/// An event as the damaged file has it.
struct Found {
    hash: Hash,
    id: String,
    event_type: String,
    time: String,
    subject: Option<String>,
    bytes: String,
}

impl Saving<'_> {
    fn run(&mut self, lost: &Lost) -> rusqlite::Result<()> {
        let (places, epochs) = self.places(lost);
        let holes = self.holes();
        for (name, expected) in &epochs {
            let rows = places.get(name).map(Vec::as_slice).unwrap_or_default();
            let holes = holes.get(name);
            self.epoch(name, *expected, rows, holes)?;
        }
        self.rest()?;
        let now = epoch::begin(self.tx, self.device, "recovered")?;
        self.records(&now, lost)?;
        self.follow(&now)?;
        for gone in [self.texts()?, self.let_go()?] {
            let record = gone.record(&self.device.urn(), sys::now(), "damaged", None).expect("a record is an event");
            insert(self.tx, &now, record.as_slice(), true)?;
        }
        Ok(())
    }

    /// Returns the rows of every epoch by seq, and the epochs, oldest first, with the last seq we know of.
    fn places(&self, lost: &Lost) -> (Places, Vec<(String, u64)>) {
        let mut places = Places::new();
        let mut epochs = lost.signed.clone();
        let Some(from) = &self.from else { return (places, epochs) };
        let mut known: Vec<(String, u64)> = Vec::new();
        let listed =
            from.prepare("SELECT epoch, barrier_seq FROM epochs ORDER BY ordinal").and_then(|mut statement| {
                let mut rows = statement.query([])?;
                while let Some(row) = rows.next()? {
                    known.push((row.get(0)?, row.get(1)?));
                }
                Ok(())
            });
        drop(listed); // what came before an error is in `known`
        by_key(from, "events", "rowid, epoch, seq", |row| {
            let (Ok(rowid), Ok(epoch), Ok(seq)) = (row.get(0), row.get::<_, String>(1), row.get::<_, u64>(2)) else {
                return;
            };
            if seq > 0 {
                if !known.iter().any(|(name, _)| *name == epoch) {
                    known.push((epoch.clone(), 0));
                }
                places.entry(epoch).or_default().push((seq, rowid));
            }
        });
        // Those that only heads tell of went before.
        epochs.retain(|(name, _)| known.iter().all(|(other, _)| other != name));
        for (name, barrier) in known {
            let rows = places.entry(name.clone()).or_default();
            rows.sort_unstable();
            rows.dedup_by_key(|(seq, _)| *seq);
            let signed = lost.signed.iter().find(|(epoch, _)| *epoch == name).map_or(0, |(_, seq)| *seq);
            let seen = rows.last().map_or(0, |(seq, _)| *seq);
            epochs.push((name, barrier.max(signed).max(seen)));
        }
        (places, epochs)
    }

    fn holes(&self) -> HashMap<String, HashMap<u64, [u8; 32]>> {
        let mut holes: HashMap<String, HashMap<u64, [u8; 32]>> = HashMap::new();
        let Some(from) = &self.from else { return holes };
        let read = from.prepare("SELECT epoch, seq, sha256 FROM holes WHERE sha256 IS NOT NULL").and_then(|mut it| {
            let mut rows = it.query([])?;
            while let Some(row) = rows.next()? {
                holes.entry(row.get(0)?).or_default().insert(row.get(1)?, row.get(2)?);
            }
            Ok(())
        });
        drop(read); // what came before an error is in `holes`
        holes
    }

    fn found(&self, rowid: i64) -> Option<Found> {
        let sql = "SELECT hash, id, type, time, subject, bytes FROM events WHERE rowid = ?";
        let mut statement = self.from.as_ref()?.prepare(sql).ok()?;
        let found = statement.query_row([rowid], |row| {
            Ok(Found {
                hash: Hash(row.get(0)?),
                id: row.get(1)?,
                event_type: row.get(2)?,
                time: row.get(3)?,
                subject: row.get(4)?,
                bytes: row.get(5)?,
            })
        });
        // Whatever was damaged, a row that does not say what its bytes say is not the one that was written.
        found.ok().filter(|it| {
            EventBytes::parse(it.bytes.as_bytes()).ok().and_then(|bytes| Prepared::bare(bytes).ok()).is_some_and(
                |own| {
                    own.id == it.id
                        && own.event_type == it.event_type
                        && own.time == it.time
                        && own.subject == it.subject
                },
            )
        })
    }

    /// Brings over what the chain of an epoch proves, and notes what is readable after that.
    fn epoch(
        &mut self,
        name: &str,
        expected: u64,
        rows: &[(u64, i64)],
        holes: Option<&HashMap<u64, [u8; 32]>>,
    ) -> rusqlite::Result<()> {
        let (stream, key) = (self.device.stream(), self.device.public_key());
        let (mut hash, mut through, mut hollow) = (chain::genesis(stream, name, &key), 0, 0);
        let mut rows = rows.iter().copied().peekable();
        loop {
            let seq = through + 1;
            let event = rows.next_if(|(at, _)| *at == seq);
            let (after, found) = match event.and_then(|(_, rowid)| self.found(rowid).map(|found| (rowid, found))) {
                Some((rowid, found)) => (Some(chain::next(hash, found.bytes.as_bytes())), Some((rowid, found))),
                None => (holes.and_then(|it| it.get(&seq)).map(|digest| chain::next_digest(hash, digest)), None),
            };
            let Some(after) = after else { break };
            match found {
                Some((_, found)) if found.hash != after => break,
                Some((rowid, found)) => {
                    self.tx
                        .prepare(
                            "INSERT INTO events (rowid, stream, epoch, seq, hash, id, type, time, subject, bytes)
                             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                        )?
                        .execute((
                            rowid,
                            stream,
                            name,
                            seq,
                            after.0,
                            found.id,
                            found.event_type,
                            found.time,
                            found.subject,
                            found.bytes,
                        ))?;
                }
                None => hollow += 1,
            }
            (hash, through) = (after, seq);
        }
        let mut before: Option<(u64, Hash)> = None;
        let known = self.follow.len();
        for (seq, rowid) in rows {
            let Some(found) = self.found(rowid) else { continue };
            let altered = before
                .is_some_and(|(at, before)| at + 1 == seq && chain::next(before, found.bytes.as_bytes()) != found.hash);
            before = Some((seq, found.hash));
            if !altered {
                self.follow.push(rowid);
            }
        }
        let follow = (self.follow.len() - known) as u64;
        self.saved.push(Saved {
            epoch: name.to_owned(),
            through,
            expected: expected.max(through),
            follow,
            holes: hollow,
        });
        Ok(())
    }

    /// Brings over everything that is not the trail itself, as far as it belongs to what was saved.
    fn rest(&self) -> rusqlite::Result<()> {
        let Some(from) = &self.from else { return Ok(()) };
        let tables: Vec<String> = self
            .tx
            .prepare(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
                 AND name NOT IN ('epochs', 'events') ORDER BY name",
            )?
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for table in tables {
            let ours = columns(self.tx, &table)?;
            let theirs = columns(from, &table).unwrap_or_default();
            let both: Vec<String> = ours.into_iter().filter(|column| theirs.contains(column)).collect();
            if both.is_empty() {
                continue;
            }
            let marks = vec!["?"; both.len()].join(", ");
            let put = format!("INSERT OR IGNORE INTO {table} ({}) VALUES ({marks})", both.join(", "));
            let mut put = self.tx.prepare(&put)?;
            let mut failed = Ok(());
            by_key(from, &table, &both.join(", "), |row| {
                let values = (0..both.len()).map(|i| row.get(i)).collect::<rusqlite::Result<Vec<Value>>>();
                let (Ok(values), Ok(())) = (values, &failed) else { return };
                match put.execute(rusqlite::params_from_iter(values)) {
                    // A row that is none of ours.
                    Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) => {}
                    other => failed = other.map(|_| ()),
                }
            });
            failed?;
        }
        self.tx.execute("DELETE FROM holes WHERE sha256 IS NULL", [])?;
        for saved in &self.saved {
            // What had been let go beyond the end keeps its place: the record of it names that.
            for beyond in ["holes WHERE trimmed IS NULL", "heads WHERE 1"] {
                let sql = format!("DELETE FROM {beyond} AND epoch = ? AND seq > ?");
                self.tx.execute(&sql, (&saved.epoch, saved.through))?;
            }
        }
        Ok(())
    }

    /// Writes the epochs down, and a record for each that was cut; at least one.
    fn records(&self, now: &Epoch, lost: &Lost) -> rusqlite::Result<()> {
        // They come before the epoch that is current now.
        self.tx.execute("DELETE FROM epochs WHERE epoch = ?", [&now.epoch])?;
        let set_aside = lost.set_aside.clone().unwrap_or_default();
        for saved in &self.saved {
            let gone = saved.through == 0;
            epoch::add(
                self.tx,
                self.device,
                &saved.epoch,
                if gone { "lost" } else { "salvaged" },
                gone.then_some(&*set_aside),
            )?;
            self.tx.execute("UPDATE epochs SET barrier_seq = ? WHERE epoch = ?", (saved.through, &saved.epoch))?;
        }
        epoch::add(self.tx, self.device, &now.epoch, "recovered", None)?;
        let last = self.saved.len().saturating_sub(1);
        let told = self.saved.iter().enumerate().filter(|(i, saved)| *i == last || saved.through < saved.expected);
        let mut events: Vec<Prepared> = told
            .map(|(_, saved)| {
                let kept = saved.through - saved.holes + saved.follow;
                self.own(Payload::TrailRecovered(trail::Recovered {
                    how: How::Observed,
                    reason: lost.reason.clone(),
                    set_aside: set_aside.clone(),
                    previous_epoch: Some(saved.epoch.clone()),
                    previous_seq: Some(saved.through),
                    salvaged: kept,
                    lost: Some(saved.expected.saturating_sub(saved.through + saved.follow)),
                }))
            })
            .collect();
        if events.is_empty() {
            events.push(self.own(Payload::TrailRecovered(trail::Recovered {
                how: How::Observed,
                reason: lost.reason.clone(),
                set_aside,
                previous_epoch: None,
                previous_seq: None,
                salvaged: 0,
                lost: None,
            })));
        }
        insert(self.tx, now, &events, true).map(|_| ())
    }

    /// Appends what is readable after the places where epochs were cut.
    fn follow(&self, now: &Epoch) -> rusqlite::Result<()> {
        for rows in self.follow.chunks(CHUNK) {
            let events: Vec<Prepared> = rows
                .iter()
                .filter_map(|rowid| Prepared::bare(EventBytes::parse(self.found(*rowid)?.bytes.as_bytes()).ok()?).ok())
                .collect();
            insert(self.tx, now, &events, true)?;
        }
        Ok(())
    }

    /// Notes as gone every text that did not survive, though its event did, and every one that had been let go
    /// by a record that did not.
    fn texts(&self) -> rusqlite::Result<Gone> {
        const ALONE: &str = "event <> '' AND NOT EXISTS (SELECT 1 FROM events WHERE id = contents.event)";
        let mut let_go = self
            .tx
            .prepare(&format!("SELECT rowid, event, name, kept FROM contents WHERE trimmed NOT NULL AND {ALONE}"))?;
        for row in let_go.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?, row.get(3)?))))? {
            let (rowid, (event, name, kept)): (i64, (String, String, String)) = row?;
            shed::leave_leaf(self.tx, rowid, &event, &name, &kept)?;
        }
        self.tx.execute(&format!("DELETE FROM contents WHERE {ALONE}"), [])?;
        let mut gone = Gone::contents();
        let mut leaves = self.tx.prepare(&format!("SELECT rowid, name FROM contents WHERE event = '' AND {UNTOLD}"))?;
        for row in leaves.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))? {
            let (rowid, name): (i64, String) = row?;
            gone.leaf_again(self.tx, rowid, &name)?;
        }
        let mut told = self.tx.prepare("SELECT 1 FROM events WHERE id = ?")?;
        let mut events = self.tx.prepare("SELECT id, bytes FROM events WHERE instr(bytes, '\"kept\"') > 0")?;
        let mut rows = events.query([])?;
        let mut here = self
            .tx
            .prepare(&format!("SELECT {CONTENT_COLUMNS} FROM contents WHERE event = ? AND name = ? AND kept = ?"))?;
        while let Some(row) = rows.next()? {
            let (event, bytes): (String, String) = (row.get(0)?, row.get(1)?);
            for (name, kept) in commitments(&bytes) {
                let content = here.query_row((&event, &name, &kept), content_row).optional().ok().flatten();
                let is_told = match content.as_ref().and_then(|content| content.trimmed.as_ref()) {
                    Some(record) => told.exists([record])?,
                    None => true,
                };
                let state = content.map(|content| content.state(self.device));
                if is_told
                    && matches!(state, Some(Ok(ContentState::Ok { .. } | ContentState::Shed | ContentState::Erased)))
                {
                    continue;
                }
                gone.lost(self.tx, &event, &name, &kept)?;
            }
        }
        Ok(gone)
    }

    /// Notes again every event that had been let go by a record that did not survive.
    fn let_go(&self) -> rusqlite::Result<Gone> {
        let mut gone = Gone::events();
        let mut holes = self.tx.prepare(&format!("SELECT epoch, seq, sha256 FROM holes WHERE {UNTOLD}"))?;
        for row in holes.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))? {
            let (epoch, seq, digest): (String, u64, [u8; 32]) = row?;
            gone.event_again(self.tx, &epoch, seq, &digest)?;
        }
        Ok(gone)
    }

    fn own(&self, payload: Payload) -> Prepared {
        let (id, source, time) = (Uuid::now_v7(), self.device.urn(), sys::now());
        Prepared::own(&Event { id, source, time, subject: None, payload })
    }
}

fn columns(conn: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    conn.prepare(&format!("SELECT name FROM pragma_table_info('{table}')"))?.query_map([], |row| row.get(0))?.collect()
}

/// Hands out every row of a table that can be read, in the order of its key. Where a range can't be
/// read it is halved until what is readable in it is found.
fn by_key(conn: &Connection, table: &str, columns: &str, mut take: impl FnMut(&Row<'_>)) {
    let sql = format!("SELECT {columns}, rowid FROM {table} NOT INDEXED WHERE rowid BETWEEN ? AND ? ORDER BY rowid");
    let Ok(mut statement) = conn.prepare(&sql) else {
        // It has no rowids; those tables are small.
        let all = conn.prepare(&format!("SELECT {columns} FROM {table}")).and_then(|mut statement| {
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                take(row);
            }
            Ok(())
        });
        drop(all); // what came before an error was taken
        return;
    };
    let last = conn
        .query_row(&format!("SELECT max(rowid) FROM {table}"), [], |row| row.get::<_, Option<i64>>(0))
        .map_or(ROWID_MAX, Option::unwrap_or_default);
    let (mut ranges, mut failures) = (vec![(1, last)], 0);
    while let Some((from, to)) = ranges.pop() {
        let mut next = from;
        let mut walk = || -> rusqlite::Result<()> {
            let mut rows = statement.query([from, to])?;
            while let Some(row) = rows.next()? {
                next = row.get::<_, i64>(row.as_ref().column_count() - 1)?.saturating_add(1).max(next);
                take(row);
            }
            next = to.saturating_add(1);
            Ok(())
        };
        if walk().is_err() && next < to {
            failures += 1;
            if failures > FAILURES_MAX {
                return;
            }
            let middle = next + (to - next) / 2;
            ranges.extend([(middle + 1, to), (next, middle)]);
        }
    }
}
