//! What a collector has, and what it gets next.
//!
//! Events are handed out in order, epoch by epoch, never above the last FULL barrier, under a signed
//! head. Only the collector's answer moves a cursor, and only where its hash is ours: another hash at
//! the same place is a fork. Contents follow their acknowledged events in a lane of their own.

use std::sync::Arc;

use countersign_event::How;
use countersign_event::batch::{Batch, ContentUpload, Cursor, Hole, Item};
use countersign_event::chain::{self, Hash};
use countersign_event::digest::hex;
use countersign_event::payload::{Payload, trail};
use rusqlite::{Connection, OptionalExtension};
use serde_json::value::RawValue;

use crate::append::Spool;
use crate::content::ContentState;
use crate::epoch::{self, Epoch};
use crate::head::{self, hash_at};
use crate::reader::{CONTENT_COLUMNS, content_row};
use crate::{SpoolError, sys};

/// What a hole takes of a batch's bytes, about.
const HOLE_BYTES: usize = 256;

/// A batch to send, and where it ends.
#[derive(Clone, Debug)]
pub struct PendingBatch {
    /// The batch.
    pub batch: Batch,
    /// The seq of its last item.
    pub last_seq: u64,
}

/// A content to send.
#[derive(Clone)]
pub struct PendingContent {
    /// Its commitment; the address it is put to.
    pub kept: String,
    /// The body.
    pub upload: ContentUpload,
}

impl std::fmt::Debug for PendingContent {
    /// Never prints the text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PendingContent").field("kept", &self.kept).finish_non_exhaustive()
    }
}

/// Puts a collector's URL into the one form its cursor is kept under.
pub(crate) fn target(to: &str) -> &str {
    to.trim_end_matches('/')
}

impl Spool {
    /// Builds the next batch for a collector; `None` when it has everything that is durable.
    ///
    /// At most `max_events` items and about `max_bytes` of JSON, but at least one item. The same
    /// batch comes again until it is acknowledged.
    /// Errors: `Corrupt` where an event that should be there is not.
    pub fn next_batch(
        &mut self,
        to: &str,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Option<PendingBatch>, SpoolError> {
        self.batch_beyond(to, None, max_events, max_bytes)
    }

    /// Builds the batch that would follow once the collector has acknowledged this epoch and seq too.
    /// As [`Spool::next_batch`]; nothing is remembered.
    pub fn batch_beyond(
        &mut self,
        to: &str,
        beyond: Option<(&str, u64)>,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Option<PendingBatch>, SpoolError> {
        let db = self.layout.db.clone();
        let sql = |e| SpoolError::sqlite(&db, e);
        self.vouch()?;
        let epochs = self.epochs()?;
        let first = beyond.and_then(|(epoch, _)| epochs.iter().position(|it| it.epoch == epoch)).unwrap_or(0);
        for epoch in &epochs[first..] {
            let mut acked = acked_through(&self.conn, target(to), &epoch.epoch).map_err(sql)?;
            if let Some((_, seq)) = beyond.filter(|(name, _)| *name == epoch.epoch) {
                acked = acked.max(seq);
            }
            if acked >= epoch.barrier_seq {
                continue;
            }
            let first_seq = acked + 1;
            let corrupt = || SpoolError::Corrupt { path: db.clone(), source: rusqlite::Error::QueryReturnedNoRows };
            // One look for all of them: outside of a transaction each question takes the file's locks.
            let look = self.conn.unchecked_transaction().map_err(sql)?;
            let previous = hash_at(&look, epoch, acked).map_err(sql)?.ok_or_else(corrupt)?;
            let found = items(&look, epoch, first_seq, previous, max_events.max(1), max_bytes);
            drop(look);
            let items = match found {
                Ok(items) => items,
                // The next look finds a hole there, and what follows it in another epoch.
                Err(Unsent::Altered(seq)) => {
                    self.end_at(epoch, seq)?;
                    return self.batch_beyond(to, beyond, max_events, max_bytes);
                }
                Err(Unsent::Sql(error)) => return Err(sql(error)),
            };
            let last_seq = acked + items.len() as u64;
            if items.is_empty() {
                return Err(corrupt());
            }
            let batch = self.batch(to, epoch, first_seq, previous, items, last_seq)?;
            return Ok(Some(PendingBatch { batch, last_seq }));
        }
        Ok(None)
    }

    /// Builds an empty batch: the head of the current epoch and how much waits.
    pub fn announce(&mut self, to: &str) -> Result<Batch, SpoolError> {
        self.vouch()?;
        let epoch = epoch::current_whole(&self.conn, &self.layout.db)?;
        let acked = acked_through(&self.conn, target(to), &epoch.epoch).map_err(|e| self.sql(e))?;
        let previous = hash_at(&self.conn, &epoch, acked).map_err(|e| self.sql(e))?;
        let Some(previous) = previous else { return Err(SpoolError::Forked { epoch: epoch.epoch, seq: acked }) };
        let through = epoch.barrier_seq;
        self.batch(to, &epoch, acked + 1, previous, Vec::new(), through)
    }

    /// Makes a barrier if this process made none yet: a number in the file is worth nothing until a
    /// sync of our own, since its writer may have been killed between writing and syncing it.
    fn vouch(&mut self) -> Result<(), SpoolError> {
        if self.first { self.barrier().map(|_| ()) } else { Ok(()) }
    }

    fn batch(
        &mut self,
        to: &str,
        epoch: &Epoch,
        first_seq: u64,
        previous: Hash,
        events: Vec<Item>,
        through: u64,
    ) -> Result<Batch, SpoolError> {
        let newest = head::newest(&self.conn, epoch).map_err(|e| self.sql(e))?;
        let head = match newest.filter(|head| head.seq >= through) {
            Some(head) => head,
            None => self.sign(epoch)?,
        };
        Ok(Batch {
            stream: epoch.stream.clone(),
            epoch: epoch.epoch.clone(),
            first_seq,
            previous,
            events,
            head,
            sent_at: sys::now(),
            backlog: self.backlog(to)?,
        })
    }

    /// Returns how many events a collector does not have yet.
    pub fn backlog(&self, to: &str) -> Result<u64, SpoolError> {
        let mut backlog = 0;
        for epoch in self.epochs()? {
            let last = epoch.last_place(&self.conn).map_err(|e| self.sql(e))?;
            let acked = acked_through(&self.conn, target(to), &epoch.epoch).map_err(|e| self.sql(e))?;
            backlog += last.saturating_sub(acked);
        }
        Ok(backlog)
    }

    /// Moves a cursor forward, after an answer to a batch. An answer that says less changes nothing.
    ///
    /// Errors: `Forked` where the hash is not ours, or we have no such event; the cursor stays.
    pub fn acknowledge(
        &mut self,
        to: &str,
        epoch: &str,
        acked_through: u64,
        head_hash: Hash,
    ) -> Result<(), SpoolError> {
        self.move_cursor(to, epoch, acked_through, head_hash, "max(acked_through, excluded.acked_through)")
    }

    /// Puts a cursor where the collector says it is, forward or back.
    ///
    /// Errors: `Forked` as [`Spool::acknowledge`].
    pub fn set_cursor(&mut self, to: &str, epoch: &str, acked_through: u64, head_hash: Hash) -> Result<(), SpoolError> {
        self.move_cursor(to, epoch, acked_through, head_hash, "excluded.acked_through")
    }

    fn move_cursor(&mut self, to: &str, epoch: &str, seq: u64, hash: Hash, becomes: &str) -> Result<(), SpoolError> {
        let db = self.layout.db.clone();
        let sql = |e| SpoolError::sqlite(&db, e);
        let forked = || SpoolError::Forked { epoch: epoch.to_owned(), seq };
        let ours = self.epochs()?.into_iter().find(|it| it.epoch == epoch).ok_or_else(forked)?;
        if hash_at(&self.conn, &ours, seq).map_err(sql)? != Some(hash) {
            return Err(forked());
        }
        // Losing it to a power failure means sending again, which the collector ignores.
        let tx = self.begin(false)?;
        tx.execute(
            &format!(
                "INSERT INTO cursors (target, epoch, acked_through) VALUES (?, ?, ?)
                 ON CONFLICT DO UPDATE SET acked_through = {becomes}"
            ),
            (target(to), epoch, seq),
        )
        .map_err(sql)?;
        tx.commit().map_err(sql)
    }

    /// Puts every epoch's cursor where the collector says it stands, all of them, and forgets what it has
    /// of the texts of events that it lost: they go again. What it says beyond what we can prove stays out.
    ///
    /// Returns whether something will be sent again.
    pub fn resynchronise(&mut self, to: &str, theirs: &[Cursor]) -> Result<bool, SpoolError> {
        let db = self.layout.db.clone();
        let sql = |e| SpoolError::sqlite(&db, e);
        let epochs = self.epochs()?;
        let tx = self.begin(false)?;
        let mut again = false;
        for epoch in &epochs {
            let ours = acked_through(&tx, target(to), &epoch.epoch).map_err(sql)?;
            let cursor = theirs.iter().find(|cursor| cursor.epoch == epoch.epoch);
            let seq = cursor.map_or(0, |cursor| cursor.acked_through);
            let proven = match cursor {
                None => true,
                Some(cursor) => hash_at(&tx, epoch, seq).map_err(sql)? == Some(cursor.head_hash),
            };
            if seq >= ours || !proven {
                continue;
            }
            again = true;
            let set = "UPDATE cursors SET acked_through = ? WHERE target = ? AND epoch = ?";
            tx.execute(set, (seq, target(to), &epoch.epoch)).map_err(sql)?;
            tx.execute(
                "UPDATE content_cursors SET through = min(through, coalesce(
                     (SELECT min(contents.rowid) - 1 FROM contents JOIN events ON events.id = contents.event
                      WHERE events.epoch = ?2 AND events.seq > ?3), through)) WHERE target = ?1",
                (target(to), &epoch.epoch, seq),
            )
            .map_err(sql)?;
            tx.execute(
                "DELETE FROM contents_sent WHERE target = ?1 AND content IN
                     (SELECT contents.rowid FROM contents JOIN events ON events.id = contents.event
                      WHERE events.epoch = ?2 AND events.seq > ?3)",
                (target(to), &epoch.epoch, seq),
            )
            .map_err(sql)?;
        }
        tx.commit().map_err(sql)?;
        Ok(again)
    }

    /// Returns whether a collector has, as far as we know, something of another epoch than the current one.
    pub fn has_older_epochs(&self, to: &str) -> Result<bool, SpoolError> {
        let sql = "SELECT count(*) FROM cursors JOIN epochs USING (epoch) WHERE target = ? AND acked_through > 0
                   AND set_aside IS NULL AND ordinal < (SELECT max(ordinal) FROM epochs)";
        self.conn.query_row(sql, [target(to)], |row| Ok(row.get::<_, i64>(0)? > 0)).map_err(|e| self.sql(e))
    }

    /// Returns whether an epoch has this hash after a place.
    pub fn has_hash(&self, epoch: &str, seq: u64, hash: Hash) -> Result<bool, SpoolError> {
        let Some(epoch) = self.epochs()?.into_iter().find(|it| it.epoch == epoch) else { return Ok(false) };
        Ok(hash_at(&self.conn, &epoch, seq).map_err(|e| self.sql(e))? == Some(hash))
    }

    /// Closes an epoch because a collector holds another history of it, from `seq` on as far as it
    /// knows, and goes on in a new one. What was not acknowledged and differs follows there; what both
    /// have in common still goes in its old place.
    ///
    /// Returns `false` where there was nothing to do: no such epoch, or one that was closed before.
    pub fn forked(&mut self, to: &str, epoch: &str, seq: u64) -> Result<bool, SpoolError> {
        let db = self.layout.db.clone();
        let sql = |e| SpoolError::sqlite(&db, e);
        let Some(forked) = self.epochs()?.into_iter().find(|it| it.epoch == epoch) else { return Ok(false) };
        let device = Arc::clone(&self.device);
        let tx = self.begin(true)?;
        let now = epoch::current_whole(&tx, &db)?;
        let last = forked.last_place(&tx).map_err(sql)?;
        let acked = acked_through(&tx, target(to), epoch).map_err(sql)?;
        let through = seq.saturating_sub(1).max(acked).min(last);
        if now.epoch != epoch && through == last {
            return Ok(false);
        }
        // A collector can't tell a copy from a backup.
        epoch::fork(&tx, &device, &forked, through, seq.min(last + 1), How::Reported, "unknown").map_err(sql)?;
        tx.commit().map_err(sql)?;
        self.first = false;
        Ok(true)
    }

    /// Ends an epoch at an event that was altered or taken out: a hole of unknown digest stands there,
    /// and what follows goes on in a new epoch. The event itself stays as it is, for `verify` to name.
    fn end_at(&mut self, epoch: &Epoch, seq: u64) -> Result<(), SpoolError> {
        let db = self.layout.db.clone();
        let sql = |e| SpoolError::sqlite(&db, e);
        let device = Arc::clone(&self.device);
        let tx = self.begin(true)?;
        tx.execute(
            "INSERT INTO holes (epoch, seq, sha256, reason) VALUES (?1, ?2, NULL, 'unreadable')
             ON CONFLICT DO UPDATE SET sha256 = NULL, reason = 'unreadable'",
            (&epoch.epoch, seq),
        )
        .map_err(sql)?;
        let (last, _) = epoch.last(&tx).map_err(sql)?;
        epoch::end(&tx, &device, epoch, seq, |follow| {
            Payload::TrailRecovered(trail::Recovered {
                how: How::Observed,
                reason: "altered".to_owned(),
                set_aside: String::new(),
                previous_epoch: Some(epoch.epoch.clone()),
                previous_seq: Some(seq - 1),
                salvaged: follow,
                lost: Some((last.max(seq) + 1 - seq).saturating_sub(follow)),
            })
        })
        .map_err(sql)?;
        tx.commit().map_err(sql)?;
        self.first = false;
        Ok(())
    }

    /// Returns the oldest contents that a collector does not have, of events that it has.
    ///
    /// At most `limit`. A content that does not open is passed over: `verify` names it.
    pub fn pending_contents(&mut self, to: &str, limit: usize) -> Result<Vec<PendingContent>, SpoolError> {
        let db = self.layout.db.clone();
        let sql = |e| SpoolError::sqlite(&db, e);
        self.pass_finished_contents(target(to))?;
        let through = content_cursor(&self.conn, target(to)).map_err(sql)?;
        let pending = self.contents_beyond(to, through, limit, "AND events.seq <= acked_through")?;
        Ok(pending.into_iter().map(|(_, content)| content).collect())
    }

    /// Returns contents that a collector does not have, with their number in the spool, from beyond a
    /// number on; of events that it does not have yet, too.
    pub fn would_upload(&self, to: &str, beyond: i64, limit: usize) -> Result<Vec<(i64, PendingContent)>, SpoolError> {
        let through = content_cursor(&self.conn, target(to)).map_err(|e| self.sql(e))?;
        self.contents_beyond(to, through.max(beyond), limit, "")
    }

    /// The text of a hole stays where it is: a collector takes none whose event it does not have.
    /// `which` narrows events (`events`) with the collector's cursor in their epoch (`cursors`, or nothing).
    fn contents_beyond(
        &self,
        to: &str,
        beyond: i64,
        limit: usize,
        which: &str,
    ) -> Result<Vec<(i64, PendingContent)>, SpoolError> {
        let sql = |e| self.sql(e);
        let mut statement = self
            .conn
            .prepare(&format!(
                "SELECT {CONTENT_COLUMNS}, contents.rowid FROM contents
                 WHERE rowid > ?2 AND state = 'ok'
                   AND NOT EXISTS (SELECT 1 FROM contents_sent WHERE target = ?1 AND content = contents.rowid)
                   AND EXISTS (SELECT 1 FROM events LEFT JOIN cursors ON cursors.target = ?1
                               AND cursors.epoch = events.epoch
                               LEFT JOIN holes ON holes.epoch = events.epoch AND holes.seq = events.seq
                               WHERE events.id = contents.event AND holes.seq IS NULL {which})
                 ORDER BY rowid"
            ))
            .map_err(sql)?;
        let rows = statement
            .query_map((target(to), beyond), |row| Ok((content_row(row)?, row.get::<_, i64>("rowid")?)))
            .map_err(sql)?;
        let mut pending = Vec::new();
        for row in rows {
            if pending.len() == limit {
                break;
            }
            let (row, number) = row.map_err(sql)?;
            let (kept, event) = (row.kept.clone(), row.event.clone());
            match row.state(&self.device) {
                Ok(ContentState::Ok { text, salt, .. }) => {
                    let upload = ContentUpload { salt: hex(&salt), text, event };
                    pending.push((number, PendingContent { kept, upload }));
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "a content can't be sent"),
            }
        }
        Ok(pending)
    }

    /// Notes that a collector has a content.
    pub fn content_sent(&mut self, to: &str, kept: &str) -> Result<(), SpoolError> {
        let db = self.layout.db.clone();
        let sql = |e| SpoolError::sqlite(&db, e);
        let tx = self.begin(false)?;
        tx.execute(
            "INSERT OR IGNORE INTO contents_sent (target, content) SELECT ?1, rowid FROM contents
             WHERE kept = ?2 AND rowid > coalesce((SELECT through FROM content_cursors WHERE target = ?1), 0)",
            (target(to), kept),
        )
        .map_err(sql)?;
        tx.commit().map_err(sql)
    }

    /// Moves the content cursor over everything that is finished, so that looking for the next
    /// content costs the same after a million of them.
    fn pass_finished_contents(&mut self, target: &str) -> Result<(), SpoolError> {
        let db = self.layout.db.clone();
        let sql = |e| SpoolError::sqlite(&db, e);
        let through = content_cursor(&self.conn, target).map_err(sql)?;
        let next_unfinished: Option<i64> = self
            .conn
            .query_row(
                "SELECT min(rowid) FROM contents WHERE rowid > ?2 AND state = 'ok'
                 AND NOT EXISTS (SELECT 1 FROM contents_sent WHERE target = ?1 AND content = contents.rowid)",
                (target, through),
                |row| row.get(0),
            )
            .map_err(sql)?;
        let last: i64 =
            self.conn.query_row("SELECT coalesce(max(rowid), 0) FROM contents", [], |row| row.get(0)).map_err(sql)?;
        let finished = next_unfinished.map_or(last, |next| next - 1);
        if finished <= through {
            return Ok(());
        }
        let tx = self.begin(false)?;
        tx.execute("DELETE FROM contents_sent WHERE target = ? AND content <= ?", (target, finished)).map_err(sql)?;
        tx.execute(
            "INSERT INTO content_cursors (target, through) VALUES (?, ?)
             ON CONFLICT DO UPDATE SET through = excluded.through",
            (target, finished),
        )
        .map_err(sql)?;
        tx.commit().map_err(sql)
    }

    /// The epochs whose events are here, oldest first.
    fn epochs(&self) -> Result<Vec<Epoch>, SpoolError> {
        let mut epochs = epoch::all(&self.conn).map_err(|e| self.sql(e))?;
        epochs.retain(|epoch| epoch.set_aside.is_none());
        Ok(epochs)
    }

    fn sql(&self, error: rusqlite::Error) -> SpoolError {
        SpoolError::sqlite(&self.layout.db, error)
    }
}

fn acked_through(conn: &Connection, target: &str, epoch: &str) -> rusqlite::Result<u64> {
    conn.query_row("SELECT acked_through FROM cursors WHERE target = ? AND epoch = ?", (target, epoch), |row| {
        row.get(0)
    })
    .optional()
    .map(Option::unwrap_or_default)
}

fn content_cursor(conn: &Connection, target: &str) -> rusqlite::Result<i64> {
    conn.query_row("SELECT through FROM content_cursors WHERE target = ?", [target], |row| row.get(0))
        .optional()
        .map(Option::unwrap_or_default)
}

/// Why items can't be handed out.
enum Unsent {
    /// The event at this place is not the one that was hashed, or there is none.
    Altered(u64),
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Unsent {
    fn from(error: rusqlite::Error) -> Self {
        Unsent::Sql(error)
    }
}

/// Reads events and holes from `first_seq` on, without gaps, up to the barrier and the limits.
///
/// Errors: `Altered` only where it is the first; what stands before it is handed out first.
fn items(
    conn: &Connection,
    epoch: &Epoch,
    first_seq: u64,
    previous: Hash,
    max_events: usize,
    max_bytes: usize,
) -> Result<Vec<Item>, Unsent> {
    let mut events = conn.prepare("SELECT hash, CAST(bytes AS BLOB) FROM events WHERE epoch = ? AND seq = ?")?;
    let mut holes = conn.prepare("SELECT sha256, reason FROM holes WHERE epoch = ? AND seq = ?")?;
    let (mut items, mut bytes, mut hash) = (Vec::new(), 0, previous);
    for seq in (first_seq..=epoch.barrier_seq).take(max_events) {
        let hole = holes
            .query_row((&epoch.epoch, seq), |row| {
                Ok(Hole { seq, sha256: row.get::<_, Option<[u8; 32]>>(0)?.map(Hash), reason: row.get(1)? })
            })
            .optional()?;
        let event = events
            .query_row((&epoch.epoch, seq), |row| Ok((Hash(row.get(0)?), row.get::<_, Vec<u8>>(1)?)))
            .optional()?;
        let (item, size, after) = match (hole, event) {
            // An unknown digest ends the epoch.
            (Some(hole), _) if hole.sha256.is_none() => (Item::Hole(hole), HOLE_BYTES, None),
            (Some(hole), event) => {
                let after = hole.sha256.map(|digest| chain::next_digest(hash, &digest.0));
                if event.is_some_and(|(stored, _)| Some(stored) != after) {
                    return first_of(items, seq);
                }
                (Item::Hole(hole), HOLE_BYTES, after)
            }
            (None, Some((stored, text))) => {
                let after = chain::next(hash, &text);
                let raw = String::from_utf8(text).ok().and_then(|text| RawValue::from_string(text).ok());
                let Some(raw) = raw.filter(|_| after == stored) else { return first_of(items, seq) };
                let size = raw.get().len() + 1;
                (Item::Event(raw), size, Some(after))
            }
            (None, None) => return first_of(items, seq),
        };
        bytes += size;
        if !items.is_empty() && bytes > max_bytes {
            break;
        }
        items.push(item);
        match after {
            Some(after) => hash = after,
            None => break,
        }
    }
    Ok(items)
}

/// What stands before an altered event still goes.
fn first_of(items: Vec<Item>, altered: u64) -> Result<Vec<Item>, Unsent> {
    if items.is_empty() { Err(Unsent::Altered(altered)) } else { Ok(items) }
}
