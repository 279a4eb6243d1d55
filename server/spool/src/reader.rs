//! Looking things up. A reader never writes and never keeps a writer waiting.

use std::path::Path;
use std::time::Duration;

use countersign_event::chain::Hash;
use countersign_event::content::ContentName;
use countersign_event::payload::Payload;
use countersign_event::{EventBytes, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row};
use serde::Serialize;
use uuid::Uuid;

use crate::content::{self, ContentState, SealedBox};
use crate::cursor::target;
use crate::open::{Layout, Patience, open_reader};
use crate::{Device, SpoolError, bounds, epoch, head, inbox};

/// The spool, open for reading.
pub struct Reader {
    pub(crate) conn: Connection,
    pub(crate) layout: Layout,
    device: Option<Device>,
}

/// An event with its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Where it stands in the file; grows with every append, over all epochs.
    pub rowid: i64,
    /// The stream.
    pub stream: String,
    /// The epoch.
    pub epoch: String,
    /// The place in the epoch, from 1.
    pub seq: u64,
    /// The hash after it.
    pub hash: Hash,
    /// The exact bytes.
    pub bytes: EventBytes,
}

/// How far an epoch goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The epoch.
    pub epoch: String,
    /// Its last place.
    pub last: u64,
    /// The last place that some collector has acknowledged; it may lie beyond what is left here.
    pub acknowledged: u64,
}

/// How the spool stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SpoolStatus {
    /// Events in the trail.
    pub events: u64,
    /// Events that the collector has not acknowledged; without a collector, all of them.
    pub pending: u64,
    /// Bytes of the database and its WAL on disk.
    pub bytes: u64,
    /// When the oldest pending event happened.
    pub oldest_pending: Option<Timestamp>,
    /// The stream.
    pub stream: String,
    /// The epoch that events are appended to.
    pub epoch: String,
    /// Its last event; 0 where it has none.
    pub seq: u64,
    /// The hash after that event.
    pub hash: Hash,
    /// Of it, the last event that is known to survive power loss.
    pub barrier_seq: u64,
    /// Letters in the inbox.
    pub inbox: u64,
    /// What the database may take on disk.
    pub max_bytes: u64,
    /// What was let go because there was no room.
    pub shed: Shed,
    /// The newest records of loss, at most 100, as `trail.*` events.
    #[serde(skip)]
    pub losses: Vec<Stored>,
}

/// What was let go because there was no room, by kind; each is a `trail.trimmed` event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Shed {
    /// Texts.
    pub contents: u64,
    /// Of them, those that no collector had.
    pub contents_lost: u64,
    /// Events.
    pub events: u64,
    /// Of them, those that no collector had.
    pub events_lost: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

const COLUMNS: &str = "rowid, stream, epoch, seq, hash, bytes";

impl Reader {
    /// Opens the spool of a state directory. Nothing is made, nothing is mended.
    ///
    /// Errors: `Missing` where no writer has been yet; `Newer`, `Corrupt`.
    pub fn open(state: &Path) -> Result<Reader, SpoolError> {
        Reader::open_with(state, &Patience::default())
    }

    /// Opens it and never waits longer than `lock_wait` for a lock.
    pub fn open_within(state: &Path, lock_wait: Duration) -> Result<Reader, SpoolError> {
        Reader::open_with(state, &Patience::of(lock_wait))
    }

    fn open_with(state: &Path, patience: &Patience) -> Result<Reader, SpoolError> {
        let layout = Layout::new(state);
        let conn = open_reader(&layout, patience)?;
        let device = Device::read(&layout.key)?;
        Ok(Reader { conn, layout, device })
    }

    /// Returns the state directory.
    pub fn directory(&self) -> &Path {
        &self.layout.state
    }

    pub(crate) fn sql(&self, error: rusqlite::Error) -> SpoolError {
        SpoolError::sqlite(&self.layout.db, error)
    }

    pub(crate) fn device(&self) -> Result<&Device, SpoolError> {
        let reason = "it is not there";
        self.device.as_ref().ok_or_else(|| SpoolError::Device { path: self.layout.key.clone(), reason })
    }

    /// Returns a number that changes whenever another connection has committed. Cost: a few microseconds.
    pub fn data_version(&self) -> Result<i64, SpoolError> {
        self.conn.query_row("PRAGMA data_version", [], |row| row.get(0)).map_err(|e| self.sql(e))
    }

    /// Returns the newest row, 0 where there is none.
    pub fn last_rowid(&self) -> Result<i64, SpoolError> {
        self.conn.query_row("SELECT coalesce(max(rowid), 0) FROM events", [], |row| row.get(0)).map_err(|e| self.sql(e))
    }

    /// Returns at most `limit` events after a row, in the order they were appended.
    pub fn events_after(&self, rowid: i64, limit: usize) -> Result<Vec<Stored>, SpoolError> {
        self.select("rowid > ?1 ORDER BY rowid LIMIT ?2", (rowid, limit as i64))
    }

    /// Returns every event of a subject (a contribution id), in order.
    pub fn by_subject(&self, subject: &str) -> Result<Vec<Stored>, SpoolError> {
        self.select("subject = ?1 ORDER BY rowid", [subject])
    }

    /// Returns every event of a whole type name after a row, in order.
    pub fn by_type(&self, event_type: &str, after: i64) -> Result<Vec<Stored>, SpoolError> {
        self.select("type = ?1 AND rowid > ?2 ORDER BY rowid", (event_type, after))
    }

    /// Returns one event.
    pub fn by_id(&self, id: Uuid) -> Result<Option<Stored>, SpoolError> {
        Ok(self.select("id = ?1", [id.to_string()])?.pop())
    }

    fn select(&self, condition: &str, params: impl rusqlite::Params) -> Result<Vec<Stored>, SpoolError> {
        let read = || {
            self.conn
                .prepare(&format!("SELECT {COLUMNS} FROM events WHERE {condition}"))?
                .query_map(params, stored)?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|e| self.sql(e))
    }

    /// Returns a content by its commitment (`kept`).
    ///
    /// Errors: `Sealed` where it is here and does not open.
    pub fn content(&self, kept: &str) -> Result<ContentState, SpoolError> {
        let row = self
            .conn
            .query_row(&format!("SELECT {CONTENT_COLUMNS} FROM contents WHERE kept = ? LIMIT 1"), [kept], content_row)
            .optional()
            .map_err(|e| self.sql(e))?;
        row.map_or(Ok(ContentState::Missing), |row| row.state(self.device()?))
    }

    /// Returns the contents of an event, by name.
    pub fn contents_of(&self, event: Uuid) -> Result<Vec<(ContentName, ContentState)>, SpoolError> {
        let read = || {
            self.conn
                .prepare(&format!("SELECT {CONTENT_COLUMNS} FROM contents WHERE event = ? ORDER BY rowid"))?
                .query_map([event.to_string()], content_row)?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        let rows = read().map_err(|e| self.sql(e))?;
        rows.into_iter()
            .filter_map(|row| content::name_of(&row.name).map(|name| (name, row)))
            .map(|(name, row)| Ok((name, row.state(self.device()?)?)))
            .collect()
    }

    /// Returns every epoch whose events are here, oldest first.
    pub fn epochs(&self) -> Result<Vec<Span>, SpoolError> {
        let sql = |e| self.sql(e);
        let mut spans = Vec::new();
        for it in epoch::all(&self.conn).map_err(sql)? {
            if it.set_aside.is_some() {
                continue;
            }
            let last = it.last_place(&self.conn).map_err(sql)?;
            let acknowledged = "SELECT coalesce(max(acked_through), 0) FROM cursors WHERE epoch = ?";
            let acknowledged = self.conn.query_row(acknowledged, [&it.epoch], |row| row.get(0)).map_err(sql)?;
            spans.push(Span { last, acknowledged, epoch: it.epoch });
        }
        Ok(spans)
    }

    /// Returns the hash after a place of an epoch. `None` where there is no such place.
    pub fn hash_at(&self, epoch: &str, seq: u64) -> Result<Option<Hash>, SpoolError> {
        let sql = |e| self.sql(e);
        let epochs = epoch::all(&self.conn).map_err(sql)?;
        let Some(epoch) = epochs.into_iter().find(|it| it.epoch == epoch) else { return Ok(None) };
        head::hash_at(&self.conn, &epoch, seq).map_err(sql)
    }

    /// Returns how the spool stands, towards one collector where one is named.
    pub fn status(&self, to: Option<&str>) -> Result<SpoolStatus, SpoolError> {
        let sql = |e| self.sql(e);
        let current = epoch::current(&self.conn)
            .map_err(sql)?
            .ok_or_else(|| SpoolError::Missing { path: self.layout.db.clone() })?;
        let (seq, hash) = current.last(&self.conn).map_err(sql)?;
        let events = self.conn.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).map_err(sql)?;
        let (pending, oldest): (u64, Option<String>) = self
            .conn
            .query_row(
                "SELECT count(*), min(time) FROM events LEFT JOIN cursors ON cursors.target = ?
                 AND cursors.epoch = events.epoch WHERE seq > coalesce(acked_through, 0)",
                [to.map_or("", target)],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .map_err(sql)?;
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        let mut losses = self.select("type LIKE 'dev.countersign.trail.%' ORDER BY rowid DESC LIMIT 100", [])?;
        losses.reverse();
        losses.retain(|it| !is_spent(it));
        Ok(SpoolStatus {
            events,
            pending,
            bytes: size(&self.layout.db) + size(&self.layout.state.join("spool.db-wal")),
            oldest_pending: oldest.and_then(|time| time.parse().ok()),
            stream: current.stream,
            epoch: current.epoch,
            seq,
            hash,
            barrier_seq: current.barrier_seq,
            inbox: inbox::waiting(&self.layout)?.len() as u64,
            max_bytes: bounds::max_bytes(),
            shed: self.shed()?,
            losses,
        })
    }

    /// Returns how many events a collector does not have. Cost: the same after millions of them, unlike
    /// that of [`Reader::status`].
    pub fn waiting(&self, to: Option<&str>) -> Result<u64, SpoolError> {
        let sql = "SELECT coalesce(sum(max(0, last - coalesce(acked_through, 0))), 0) FROM
                   (SELECT epoch, (SELECT coalesce(max(seq), 0) FROM events WHERE events.epoch = epochs.epoch) AS last
                    FROM epochs WHERE set_aside IS NULL) AS ends
                   LEFT JOIN cursors ON cursors.target = ? AND cursors.epoch = ends.epoch";
        self.conn.query_row(sql, [to.map_or("", target)], |row| row.get(0)).map_err(|e| self.sql(e))
    }

    fn shed(&self) -> Result<Shed, SpoolError> {
        let mut shed = Shed::default();
        for stored in self.by_type("dev.countersign.trail.trimmed.v1", 0)? {
            let Ok(Payload::TrailTrimmed(it)) = stored.bytes.payload() else { continue };
            // What somebody asked for, and what others hold.
            if matches!(it.reason.as_str(), "purge" | "age") {
                continue;
            }
            let lost = it.acknowledged.map_or(0, |had| it.count.saturating_sub(had));
            match it.what.as_str() {
                "contents" => {
                    (shed.contents, shed.contents_lost) = (shed.contents + it.count, shed.contents_lost + lost)
                }
                "events" => (shed.events, shed.events_lost) = (shed.events + it.count, shed.events_lost + lost),
                "snapshots" => shed.snapshots += it.count,
                _ => continue,
            }
            shed.bytes += it.bytes;
        }
        Ok(shed)
    }
}

pub(crate) fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let text = row.get_ref(5)?.as_str()?;
    let bytes = EventBytes::parse(text.as_bytes())
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(5, rusqlite::types::Type::Text, Box::new(e)))?;
    Ok(Stored {
        rowid: row.get(0)?,
        stream: row.get(1)?,
        epoch: row.get(2)?,
        seq: row.get(3)?,
        hash: Hash(row.get(4)?),
        bytes,
    })
}

pub(crate) const CONTENT_COLUMNS: &str = "event, name, kept, state, wrapped_key, sealed, trimmed";

/// A content as the table has it.
pub(crate) struct ContentRow {
    pub(crate) event: String,
    pub(crate) name: String,
    pub(crate) kept: String,
    pub(crate) state: String,
    pub(crate) boxed: Option<SealedBox>,
    /// The record that says why it is gone.
    pub(crate) trimmed: Option<String>,
}

pub(crate) fn content_row(row: &Row<'_>) -> rusqlite::Result<ContentRow> {
    let (key, sealed): (Option<Vec<u8>>, Option<Vec<u8>>) = (row.get(4)?, row.get(5)?);
    Ok(ContentRow {
        event: row.get(0)?,
        name: row.get(1)?,
        kept: row.get(2)?,
        state: row.get(3)?,
        boxed: key.zip(sealed).map(|(wrapped_key, sealed)| SealedBox { wrapped_key, sealed }),
        trimmed: row.get(6)?,
    })
}

impl ContentRow {
    pub(crate) fn state(self, device: &Device) -> Result<ContentState, SpoolError> {
        match (self.state.as_str(), self.boxed) {
            ("shed", _) => Ok(ContentState::Shed),
            ("erased", _) => Ok(ContentState::Erased),
            (_, None) => Ok(ContentState::Missing),
            (_, Some(boxed)) => {
                let (salt, text) = content::open(&boxed, &self.event, &self.name, &self.kept, device)?;
                let name = content::name_of(&self.name)
                    .ok_or_else(|| SpoolError::Sealed { what: format!("content {}", self.kept) })?;
                Ok(ContentState::Ok { name, text, salt })
            }
        }
    }
}
/// Says whether an event tells of looks that nothing needed any more, which is no loss.
fn is_spent(stored: &Stored) -> bool {
    matches!(stored.bytes.payload(), Ok(Payload::TrailTrimmed(it)) if it.what == "snapshots" && it.reason == "age")
}
