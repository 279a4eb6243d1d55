//! Epochs: unbroken chains, one after another. A new one begins where a chain can't go on.

use std::path::Path;

use countersign_event::chain::{self, Hash};
use countersign_event::digest::{hex, unhex};
use countersign_event::payload::{Payload, trail};
use countersign_event::{Event, How};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use uuid::Uuid;

use crate::append::insert;
use crate::open::Layout;
use crate::prepare::Prepared;
use crate::{Device, SpoolError, sys};

/// An epoch as the table has it.
#[derive(Clone, Debug)]
pub(crate) struct Epoch {
    pub(crate) epoch: String,
    pub(crate) stream: String,
    pub(crate) public_key: [u8; 32],
    pub(crate) barrier_seq: u64,
    /// The file its events went with, where the spool of that time was set aside.
    pub(crate) set_aside: Option<String>,
}

impl Epoch {
    pub(crate) fn genesis(&self) -> Hash {
        chain::genesis(&self.stream, &self.epoch, &self.public_key)
    }

    /// Returns the last event's seq and hash; 0 and the genesis in an epoch without events.
    pub(crate) fn last(&self, conn: &Connection) -> rusqlite::Result<(u64, Hash)> {
        let last = conn
            .query_row("SELECT seq, hash FROM events WHERE epoch = ? ORDER BY seq DESC LIMIT 1", [&self.epoch], |row| {
                Ok((row.get::<_, u64>(0)?, Hash(row.get(1)?)))
            })
            .optional()?;
        Ok(last.unwrap_or_else(|| (0, self.genesis())))
    }

    /// Returns its last place: an event's, or a hole's where the epoch was ended behind one.
    pub(crate) fn last_place(&self, conn: &Connection) -> rusqlite::Result<u64> {
        Ok(self.last(conn)?.0.max(self.barrier_seq))
    }
}

/// Returns the current epoch, checked to end where it must.
///
/// Errors: `Corrupt` where there is none, or where events that survived a barrier are no longer there:
/// going on would hand out their addresses again.
pub(crate) fn current_whole(conn: &Connection, db: &Path) -> Result<Epoch, SpoolError> {
    let sql = |e| SpoolError::sqlite(db, e);
    let cut = || SpoolError::Corrupt { path: db.to_owned(), source: rusqlite::Error::QueryReturnedNoRows };
    let epoch = current(conn).map_err(sql)?.ok_or_else(cut)?;
    if epoch.last(conn).map_err(sql)?.0 < epoch.barrier_seq { Err(cut()) } else { Ok(epoch) }
}

const COLUMNS: &str = "epoch, stream, public_key, barrier_seq, set_aside";

fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Epoch> {
    let key: String = row.get(2)?;
    Ok(Epoch {
        epoch: row.get(0)?,
        stream: row.get(1)?,
        // A key that is none matches no chain and no device: verify names the first event.
        public_key: unhex(&key).unwrap_or([0; 32]),
        barrier_seq: row.get(3)?,
        set_aside: row.get(4)?,
    })
}

/// Returns the epoch that events are appended to. `None` in a spool that was never used.
pub(crate) fn current(conn: &Connection) -> rusqlite::Result<Option<Epoch>> {
    conn.query_row(
        &format!("SELECT {COLUMNS} FROM epochs WHERE set_aside IS NULL ORDER BY ordinal DESC LIMIT 1"),
        [],
        from_row,
    )
    .optional()
}

/// Returns every epoch, oldest first.
pub(crate) fn all(conn: &Connection) -> rusqlite::Result<Vec<Epoch>> {
    conn.prepare(&format!("SELECT {COLUMNS} FROM epochs ORDER BY ordinal"))?.query_map([], from_row)?.collect()
}

/// Adds an epoch after all others and returns it.
pub(crate) fn begin(tx: &Connection, device: &Device, reason: &str) -> rusqlite::Result<Epoch> {
    add(tx, device, &Uuid::now_v7().to_string(), reason, None)?;
    current(tx).map(|epoch| epoch.expect("it was inserted just now"))
}

/// Adds a row for an epoch.
pub(crate) fn add(
    tx: &Connection,
    device: &Device,
    epoch: &str,
    reason: &str,
    set_aside: Option<&str>,
) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT INTO epochs (epoch, stream, public_key, opened_at, reason, set_aside) VALUES (?, ?, ?, ?, ?, ?)",
        (epoch, device.stream(), hex(&device.public_key()), sys::now().to_string(), reason, set_aside),
    )
    .map(|_| ())
}

/// Ends an epoch after `through` and writes down why: as the first event of a new epoch, or, where
/// another one is current already, at its end. What the epoch had beyond `through` follows there, in
/// order, byte for byte; only its addresses are new. The caller commits, FULL.
///
/// `record` is told how many events follow.
pub(crate) fn end(
    tx: &Connection,
    device: &Device,
    ended: &Epoch,
    through: u64,
    record: impl FnOnce(u64) -> Payload,
) -> rusqlite::Result<()> {
    let now = current(tx)?.filter(|now| now.epoch != ended.epoch);
    let follow = beyond(tx, ended, through)?;
    let event = Event {
        id: Uuid::now_v7(),
        source: device.urn(),
        time: sys::now(),
        subject: None,
        payload: record(follow.len() as u64),
    };
    let reason = if matches!(event.payload, Payload::TrailForked(_)) { "forked" } else { "recovered" };
    let now = match now {
        Some(now) => now,
        None => begin(tx, device, reason)?,
    };
    let placed = insert(tx, &now, &[Prepared::own(&event)], true)?;
    let (mut seq, mut hash) = (placed.last_seq, placed.last_hash);
    let mut renumber = tx.prepare("UPDATE events SET epoch = ?, seq = ?, hash = ? WHERE rowid = ?")?;
    let mut hollow = tx.prepare("UPDATE holes SET epoch = ?, seq = ? WHERE epoch = ? AND seq = ?")?;
    for place in follow {
        seq += 1;
        let bytes: Vec<u8> =
            tx.query_row("SELECT CAST(bytes AS BLOB) FROM events WHERE rowid = ?", [place.rowid], |row| row.get(0))?;
        hash = chain::next(hash, &bytes);
        renumber.execute((&now.epoch, seq, hash.0, place.rowid))?;
        hollow.execute((&now.epoch, seq, &ended.epoch, place.seq))?;
    }
    tx.execute("UPDATE epochs SET barrier_seq = ? WHERE epoch = ?", (seq, &now.epoch))?;
    tx.execute("UPDATE epochs SET barrier_seq = min(barrier_seq, ?) WHERE epoch = ?", (through, &ended.epoch))?;
    Ok(())
}

/// A place in an epoch that is about to end before it.
struct Beyond {
    rowid: i64,
    seq: u64,
}

/// Returns the events after a place that are still what was written, as far as their neighbours tell.
/// The others stay where they are, for `verify` to name.
fn beyond(tx: &Connection, epoch: &Epoch, through: u64) -> rusqlite::Result<Vec<Beyond>> {
    let mut statement = tx
        .prepare("SELECT rowid, seq, hash, CAST(bytes AS BLOB) FROM events WHERE epoch = ? AND seq > ? ORDER BY seq")?;
    let mut rows = statement.query((&epoch.epoch, through))?;
    // The hash that was stored there, even where the bytes were altered: the next event was chained to it.
    let stored = "SELECT hash FROM events WHERE epoch = ?1 AND seq = ?2
                  UNION ALL SELECT hash FROM holes WHERE epoch = ?1 AND seq = ?2 AND hash IS NOT NULL LIMIT 1";
    let stored = tx.query_row(stored, (&epoch.epoch, through), |row| row.get(0)).optional()?;
    let mut before = match stored {
        None if through == 0 => Some((0, epoch.genesis())),
        stored => stored.map(|hash| (through, Hash(hash))),
    };
    let mut whole = Vec::new();
    while let Some(row) = rows.next()? {
        let (rowid, seq) = (row.get(0)?, row.get::<_, u64>(1)?);
        let (hash, bytes): (Hash, Vec<u8>) = (Hash(row.get(2)?), row.get(3)?);
        let altered = before.is_some_and(|(at, before)| at + 1 == seq && chain::next(before, &bytes) != hash);
        if !altered {
            whole.push(Beyond { rowid, seq });
        }
        before = Some((seq, hash));
    }
    Ok(whole)
}

/// Closes the current epoch because another history of it exists, or may: `seq` is the first event
/// that differs, as far as is known.
pub(crate) fn fork(
    tx: &Connection,
    device: &Device,
    epoch: &Epoch,
    through: u64,
    seq: u64,
    how: How,
    reason: &str,
) -> rusqlite::Result<()> {
    end(tx, device, epoch, through, |_| {
        Payload::TrailForked(trail::Forked {
            how,
            stream: epoch.stream.clone(),
            epoch: epoch.epoch.clone(),
            seq,
            reason: reason.to_owned(),
        })
    })
}

/// Begins the first epoch of a spool file: of a new device, or after a spool that is gone.
pub(crate) fn open_first(conn: &mut Connection, layout: &Layout, device: &Device) -> Result<(), SpoolError> {
    let sql = |e| SpoolError::sqlite(&layout.db, e);
    conn.execute_batch("PRAGMA synchronous = FULL").map_err(sql)?;
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql)?;
    begin(&tx, device, "first").map_err(sql)?;
    tx.commit().map_err(sql)
}
