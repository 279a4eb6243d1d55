//! Letting go: a text loses its key, an event becomes a hole, a snapshot is deleted. Each in the
//! transaction that appends the `trail.trimmed` event which names it, so that no text and no event can
//! be missing without a record.

use countersign_event::digest::{hex, sha256, unhex};
use countersign_event::facts::{Fact, Person};
use countersign_event::payload::{Payload, trail};
use countersign_event::{Event, How, Timestamp};
use rusqlite::Connection;
use uuid::Uuid;

use crate::SpoolError;
use crate::prepare::Prepared;

/// What a text is after it was let go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Becomes {
    /// There was no room.
    Shed,
    /// Somebody asked for it.
    Erased,
}

impl Becomes {
    fn state(self) -> &'static str {
        match self {
            Becomes::Shed => "shed",
            Becomes::Erased => "erased",
        }
    }
}

/// What is let go of one kind, and will stand in one record.
#[derive(Debug)]
pub(crate) struct Gone {
    what: &'static str,
    /// The id of the record; the rows name it before it is written.
    record: String,
    pub(crate) count: u64,
    pub(crate) bytes: u64,
    /// How many of them a collector has. `None` for what never leaves the device.
    pub(crate) acknowledged: Option<u64>,
    leaves: Vec<[u8; 32]>,
}

/// A text that is here.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) rowid: i64,
    pub(crate) event: String,
    pub(crate) name: String,
    pub(crate) kept: String,
    /// Bytes of it on disk.
    pub(crate) bytes: u64,
    /// Whether a collector has it.
    pub(crate) acknowledged: bool,
}

/// The columns of [`Content::from_row`] but the last, which says whether a collector has it.
pub(crate) const CONTENT: &str = "contents.rowid, contents.event, contents.name, contents.kept, length(sealed)";

impl Content {
    pub(crate) fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Content> {
        Ok(Content {
            rowid: row.get(0)?,
            event: row.get(1)?,
            name: row.get(2)?,
            kept: row.get(3)?,
            bytes: row.get::<_, Option<u64>>(4)?.unwrap_or_default(),
            acknowledged: row.get(5)?,
        })
    }
}

impl Gone {
    pub(crate) fn contents() -> Gone {
        Gone::new("contents", Some(0))
    }

    pub(crate) fn events() -> Gone {
        Gone::new("events", Some(0))
    }

    pub(crate) fn snapshots() -> Gone {
        Gone::new("snapshots", None)
    }

    fn new(what: &'static str, acknowledged: Option<u64>) -> Gone {
        Gone { what, record: Uuid::now_v7().to_string(), count: 0, bytes: 0, acknowledged, leaves: Vec::new() }
    }

    fn add(&mut self, bytes: u64, acknowledged: bool) {
        self.count += 1;
        self.bytes += bytes;
        self.acknowledged = self.acknowledged.map(|count| count + u64::from(acknowledged));
    }

    /// Destroys a text and its key.
    pub(crate) fn content(&mut self, tx: &Connection, it: &Content, becomes: Becomes) -> rusqlite::Result<()> {
        // Not an update: SQLite joins pages that have become empty only where rows are deleted.
        let (bytes, sensitive): (u64, bool) = tx
            .prepare("SELECT bytes, sensitive FROM contents WHERE rowid = ?")?
            .query_row([it.rowid], |row| Ok((row.get(0)?, row.get(1)?)))?;
        tx.prepare("DELETE FROM contents WHERE rowid = ?")?.execute([it.rowid])?;
        tx.prepare(
            "INSERT INTO contents (rowid, event, name, kept, state, bytes, sensitive, trimmed)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute((
            it.rowid,
            &it.event,
            &it.name,
            &it.kept,
            becomes.state(),
            bytes,
            sensitive,
            &self.record,
        ))?;
        self.leaves.push(trail::content_leaf(&it.event, &it.name, &it.kept));
        self.add(it.bytes, it.acknowledged);
        Ok(())
    }

    /// Notes a text as gone of which nothing could be read.
    pub(crate) fn lost(&mut self, tx: &Connection, event: &str, name: &str, kept: &str) -> rusqlite::Result<()> {
        tx.execute("DELETE FROM contents WHERE event = ? AND name = ?", (event, name))?;
        tx.execute(
            "INSERT INTO contents (event, name, kept, state, bytes, trimmed) VALUES (?, ?, ?, 'shed', 0, ?)",
            (event, name, kept, &self.record),
        )?;
        self.leaves.push(trail::content_leaf(event, name, kept));
        self.add(0, false);
        Ok(())
    }

    /// Takes over a text that had been let go, of which only its leaf is left.
    pub(crate) fn leaf_again(&mut self, tx: &Connection, rowid: i64, name: &str) -> rusqlite::Result<()> {
        tx.execute("UPDATE contents SET trimmed = ? WHERE rowid = ?", (&self.record, rowid))?;
        self.leaves.extend(leaf_of(name));
        self.add(0, false);
        Ok(())
    }

    /// Takes over an event that had been let go.
    pub(crate) fn event_again(
        &mut self,
        tx: &Connection,
        epoch: &str,
        seq: u64,
        digest: &[u8; 32],
    ) -> rusqlite::Result<()> {
        tx.execute("UPDATE holes SET trimmed = ? WHERE epoch = ? AND seq = ?", (&self.record, epoch, seq))?;
        self.leaves.push(trail::event_leaf(epoch, seq, digest));
        self.add(0, false);
        Ok(())
    }

    /// Puts a hole in the place of an event. Its texts are gone already; of them only their leaves stay.
    pub(crate) fn event(&mut self, tx: &Connection, rowid: i64, acknowledged: bool) -> rusqlite::Result<()> {
        let (epoch, seq, hash, id, bytes): (String, u64, Vec<u8>, String, Vec<u8>) = tx
            .prepare("SELECT epoch, seq, hash, id, CAST(bytes AS BLOB) FROM events WHERE rowid = ?")?
            .query_row([rowid], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))?;
        let digest = sha256(&bytes);
        tx.prepare("INSERT INTO holes (epoch, seq, sha256, reason, hash, trimmed) VALUES (?, ?, ?, 'shed', ?, ?)")?
            .execute((&epoch, seq, digest, hash, &self.record))?;
        let texts: Vec<(i64, String, String)> = tx
            .prepare("SELECT rowid, name, kept FROM contents WHERE event = ?")?
            .query_map([&id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<rusqlite::Result<_>>()?;
        for (text, name, kept) in texts {
            leave_leaf(tx, text, &id, &name, &kept)?;
        }
        tx.prepare("DELETE FROM events WHERE rowid = ?")?.execute([rowid])?;
        self.leaves.push(trail::event_leaf(&epoch, seq, &digest));
        self.add(bytes.len() as u64, acknowledged);
        Ok(())
    }

    /// Counts a snapshot that was deleted.
    pub(crate) fn snapshot(&mut self, bytes: u64) {
        self.add(bytes, false);
    }

    /// Makes the record; `None` where nothing was let go.
    pub(crate) fn record(
        self,
        source: &str,
        time: Timestamp,
        reason: &str,
        person: Option<Fact<Person>>,
    ) -> Result<Option<Prepared>, SpoolError> {
        if self.count == 0 {
            return Ok(None);
        }
        let trimmed = trail::Trimmed {
            how: How::Observed,
            what: self.what.to_owned(),
            count: self.count,
            bytes: self.bytes,
            reason: reason.to_owned(),
            digest: (!self.leaves.is_empty()).then(|| trail::leaves_digest(self.leaves)),
            acknowledged: self.acknowledged,
            person,
        };
        let id = self.record.parse().expect("it was made from a UUID");
        let event =
            Event { id, source: source.to_owned(), time, subject: None, payload: Payload::TrailTrimmed(trimmed) };
        Prepared::bare(event.to_bytes()).map(Some)
    }
}

/// Leaves of a text that was let go its leaf, for its event is gone too.
pub(crate) fn leave_leaf(tx: &Connection, rowid: i64, event: &str, name: &str, kept: &str) -> rusqlite::Result<()> {
    let leaf = hex(&trail::content_leaf(event, name, kept));
    tx.prepare("UPDATE contents SET event = '', name = ?, kept = '' WHERE rowid = ?")?
        .execute((leaf, rowid))
        .map(|_| ())
}

/// Reads the leaf that stands in the place of a text whose event is gone.
pub(crate) fn leaf_of(name: &str) -> Option<[u8; 32]> {
    unhex(name)
}
