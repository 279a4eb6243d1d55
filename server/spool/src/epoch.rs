//! Epochs: unbroken chains, one after another. A new one begins where a chain can't go on.

use std::path::Path;

use countersign_event::chain::{self, Hash};
use countersign_event::digest::{hex, unhex};
use countersign_event::payload::{Payload, trail};
use countersign_event::{Event, How};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use uuid::Uuid;

use crate::append::insert;
use crate::head::side_heads;
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

/// What went before a spool that had to begin anew.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    /// Epochs that the side file has heads of, oldest first, with the last seq that was signed.
    epochs: Vec<(String, u64)>,
    reason: String,
    set_aside: String,
}

/// Why the first epoch of a file begins.
pub(crate) enum Opening {
    /// The device is new.
    First,
    /// There was a spool here before.
    Recovered(Lost),
}

/// Looks whether a new, empty spool has lost predecessors: a file set aside, or heads that were
/// signed for events that are no longer here.
pub(crate) fn lost_before(layout: &Layout, broken: Option<String>, set_aside: Option<String>) -> Option<Lost> {
    let mut epochs: Vec<(String, u64)> = Vec::new();
    for head in side_heads(&layout.heads).ok()?.heads {
        match epochs.iter_mut().find(|(epoch, _)| *epoch == head.epoch) {
            Some((_, seq)) => *seq = (*seq).max(head.seq),
            None => epochs.push((head.epoch, head.seq)),
        }
    }
    if epochs.is_empty() && set_aside.is_none() {
        return None;
    }
    let reason = broken.unwrap_or_else(|| "missing".to_owned());
    Some(Lost { epochs, reason, set_aside: set_aside.unwrap_or_default() })
}

/// Begins the first epoch of a spool file, with a record of what was lost before it.
pub(crate) fn open_first(
    conn: &mut Connection,
    layout: &Layout,
    device: &Device,
    opening: Opening,
) -> Result<(), SpoolError> {
    let sql = |e| SpoolError::sqlite(&layout.db, e);
    let now = sys::now();
    conn.execute_batch("PRAGMA synchronous = FULL").map_err(sql)?;
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql)?;
    let add = |epoch: &str, reason: &str, set_aside: Option<&str>| {
        tx.execute(
            "INSERT INTO epochs (epoch, stream, public_key, opened_at, reason, set_aside) VALUES (?, ?, ?, ?, ?, ?)",
            (epoch, device.stream(), hex(&device.public_key()), now.to_string(), reason, set_aside),
        )
        .map_err(sql)
    };
    let epoch = Uuid::now_v7().to_string();
    match opening {
        Opening::First => {
            add(&epoch, "first", None)?;
        }
        Opening::Recovered(lost) => {
            for (old, _) in &lost.epochs {
                add(old, "lost", Some(&lost.set_aside))?;
            }
            add(&epoch, "recovered", None)?;
            let previous = lost.epochs.last().cloned();
            let event = Event {
                id: Uuid::now_v7(),
                source: device.urn(),
                time: now,
                subject: None,
                payload: Payload::TrailRecovered(trail::Recovered {
                    how: How::Observed,
                    reason: lost.reason,
                    set_aside: lost.set_aside,
                    previous_epoch: previous.as_ref().map(|(epoch, _)| epoch.clone()),
                    previous_seq: previous.map(|(_, seq)| seq),
                    salvaged: 0,
                    lost: None,
                }),
            };
            let opened = current(&tx).map_err(sql)?.expect("it was inserted just now");
            insert(&tx, &opened, &[Prepared::bare(event.to_bytes())?], true).map_err(sql)?;
        }
    }
    tx.commit().map_err(sql)
}
