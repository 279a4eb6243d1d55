//! How large the spool may grow, what goes when there is no room, and in which order.
//!
//! Texts that a collector has go first, the oldest before the others; then texts that none has, those of
//! sensitive paths last; then snapshots, the oldest first; light events last, as holes in their places, and
//! again those first that a collector has. Records of what happened to the trail itself never go.
//!
//! The bound is on the database. Its WAL has a limit of its own, and `spool.reserve` takes a fixed room
//! on the disk: on a full disk that room is given up so that what is let go, and its record, can be written.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rusqlite::Connection;

use crate::append::Spool;
use crate::prepare::Prepared;
use crate::shed::{Becomes, CONTENT, Content, Gone};
use crate::{SpoolError, sys};

/// What the database may take on disk unless somebody says otherwise.
pub const MAX_BYTES_DEFAULT: u64 = 4 << 30;
/// A smaller bound would let go of texts that were kept a moment ago.
pub const MAX_BYTES_LEAST: u64 = 16 << 20;

/// What `spool.reserve` takes: a WAL of the usual size moved into the database, and the next transaction.
const RESERVE_BYTES: usize = 4 << 20;
/// How long after a reserve could not be made it is tried again.
const RESERVE_AGAIN: Duration = Duration::from_secs(60);
/// More is let go than must be, so that not every append has to; also what one transaction lets go
/// beyond what it needs, for others wait for the lock meanwhile.
const SLACK_BYTES: u64 = 4 << 20;
/// The same on a full disk, where every page that is let go takes room in the WAL first.
const SLACK_BYTES_FULL: u64 = 256 << 10;
/// Rows looked at together.
const ROWS: usize = 64;

static MAX_BYTES: AtomicU64 = AtomicU64::new(MAX_BYTES_DEFAULT);

/// Bounds every spool that this process opens from now on.
pub fn set_max_bytes(max_bytes: u64) {
    MAX_BYTES.store(max_bytes, Ordering::Relaxed);
}

/// Returns the bound of spools that this process opens.
pub(crate) fn max_bytes() -> u64 {
    MAX_BYTES.load(Ordering::Relaxed)
}

impl Spool {
    /// Bounds this spool alone. What is beyond goes with the next appends, a few MiB each.
    pub fn set_max_bytes(&mut self, max_bytes: u64) {
        self.max_bytes = max_bytes;
    }

    /// Makes what can be made of a disk that has no room: gives the reserve up and moves the WAL into the
    /// database. Returns the bound under which the database does not grow.
    pub(crate) fn stop_growing(&mut self) -> Result<u64, SpoolError> {
        let db = self.layout.db.clone();
        let sql = |e| SpoolError::sqlite(&db, e);
        spend(&self.layout.reserve);
        // Whatever can't be moved stays in the WAL and is found there.
        let _ = self.checkpoint();
        let pages: u64 = self.conn.query_row("PRAGMA page_count", [], |row| row.get(0)).map_err(sql)?;
        Ok((pages * page_bytes(&self.conn).map_err(sql)?).min(self.max_bytes))
    }

    /// Moves what is committed from the WAL into the database, as far as no reader needs it.
    pub(crate) fn checkpoint(&self) -> rusqlite::Result<()> {
        self.conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
    }
}

/// Takes the reserve's room on the disk, if it has none. Failing is no error: then there is no reserve.
pub(crate) fn keep_reserve(path: &Path) {
    let now = SystemTime::now();
    let tried = match path.metadata() {
        Ok(it) if it.len() >= RESERVE_BYTES as u64 => return,
        Ok(it) => it.modified().ok().and_then(|time| now.duration_since(time).ok()),
        Err(_) => None,
    };
    if tried.is_some_and(|since| since < RESERVE_AGAIN) {
        return;
    }
    let made = sys::private_options().write(true).create(true).truncate(true).open(path).and_then(|mut file| {
        // Some file systems keep nothing of zeros.
        let mut bytes = vec![0; RESERVE_BYTES];
        let _ = getrandom::fill(&mut bytes);
        file.write_all(&bytes).inspect_err(|_| empty(&file))
    });
    if let Err(error) = made {
        tracing::debug!(%error, "there is no room for the reserve");
    }
}

/// Gives the reserve's room back to the disk.
fn spend(path: &Path) {
    if let Ok(file) = sys::private_options().write(true).open(path) {
        empty(&file);
    }
}

fn empty(file: &File) {
    // Whatever does not work here leaves less room, which the next write says.
    let _ = file.set_len(0).and_then(|()| file.set_modified(SystemTime::now()));
}

fn page_bytes(conn: &Connection) -> rusqlite::Result<u64> {
    conn.query_row("PRAGMA page_size", [], |row| row.get(0))
}

/// Returns how much of the database is in use, what this transaction did included.
pub(crate) fn used_bytes(conn: &Connection) -> rusqlite::Result<u64> {
    let pages: u64 = conn.query_row("PRAGMA page_count", [], |row| row.get(0))?;
    let free: u64 = conn.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
    Ok((pages - free) * page_bytes(conn)?)
}

/// Returns at most how much room an event and its texts take.
pub(crate) fn room_for(event: &Prepared) -> u64 {
    const PAGE: u64 = 4096;
    let texts = event.contents.iter().map(|text| (text.boxed.sealed.len() as u64 / PAGE + 2) * PAGE);
    // A row, four index entries, and pages that are not quite full.
    let light = |event: &Prepared| event.event.as_bytes().len() as u64 * 3 / 2 + 1024;
    light(event) + texts.sum::<u64>()
}

/// Makes room inside a transaction.
pub(crate) struct Room<'a> {
    tx: &'a Connection,
    limit: u64,
    slack: u64,
    reason: &'static str,
    contents: Gone,
    events: Gone,
    snapshots: Gone,
}

impl<'a> Room<'a> {
    /// Keeps a database below its bound.
    pub(crate) fn within(tx: &'a Connection, max_bytes: u64) -> Room<'a> {
        Room::new(tx, max_bytes, SLACK_BYTES.min(max_bytes / 8), "bound")
    }

    /// Keeps a database on a full disk from growing.
    pub(crate) fn without_growing(tx: &'a Connection, bytes: u64) -> Room<'a> {
        Room::new(tx, bytes, SLACK_BYTES_FULL.min(bytes / 8), "disk_full")
    }

    fn new(tx: &'a Connection, limit: u64, slack: u64, reason: &'static str) -> Room<'a> {
        let (contents, events, snapshots) = (Gone::contents(), Gone::events(), Gone::snapshots());
        Room { tx, limit, slack, reason, contents, events, snapshots }
    }

    /// Returns how much may be inserted at once.
    pub(crate) fn piece(&self) -> u64 {
        self.slack
    }

    /// Lets go until there is room for so much, as far as there is anything to let go.
    pub(crate) fn make(&mut self, incoming: u64) -> rusqlite::Result<()> {
        let used = used_bytes(self.tx)?;
        if used + incoming <= self.limit {
            return Ok(());
        }
        // A spool far beyond a bound that was lowered comes down step by step.
        let target =
            self.limit.saturating_sub(incoming + self.slack).max(used.saturating_sub(incoming + 2 * self.slack));
        for step in [Room::acknowledged_texts, Room::texts, Room::sensitive_texts, Room::old_snapshots] {
            while used_bytes(self.tx)? > target && step(self, target)? {}
        }
        // A full disk gets room again; an event that is gone does not come back.
        if self.reason == "bound" {
            for step in [Room::acknowledged_events, Room::any_events] {
                while used_bytes(self.tx)? > target && step(self, target)? {}
            }
        }
        Ok(())
    }

    fn acknowledged_texts(&mut self, target: u64) -> rusqlite::Result<bool> {
        const HAS: &str = "(rowid <= (SELECT coalesce(max(through), 0) FROM content_cursors)
                            OR rowid IN (SELECT content FROM contents_sent))";
        let of = |sensitive: u8| {
            format!(
                "SELECT * FROM (SELECT {CONTENT}, 1 FROM contents WHERE state = 'ok' AND sensitive = {sensitive} AND {HAS}
                 ORDER BY rowid LIMIT {ROWS})"
            )
        };
        self.shed_texts(&format!("{} UNION ALL {} ORDER BY 1 LIMIT {ROWS}", of(0), of(1)), target)
    }

    fn texts(&mut self, target: u64) -> rusqlite::Result<bool> {
        self.unsent_texts(0, target)
    }

    fn sensitive_texts(&mut self, target: u64) -> rusqlite::Result<bool> {
        self.unsent_texts(1, target)
    }

    fn unsent_texts(&mut self, sensitive: u8, target: u64) -> rusqlite::Result<bool> {
        let which = format!("state = 'ok' AND sensitive = {sensitive} ORDER BY rowid LIMIT {ROWS}");
        self.shed_texts(&format!("SELECT {CONTENT}, 0 FROM contents WHERE {which}"), target)
    }

    fn shed_texts(&mut self, select: &str, target: u64) -> rusqlite::Result<bool> {
        let found: Vec<Content> =
            self.tx.prepare(select)?.query_map([], Content::from_row)?.collect::<rusqlite::Result<_>>()?;
        let most = self.beyond(target)?;
        let mut freed = 0;
        for it in &found {
            if freed >= most {
                break;
            }
            self.contents.content(self.tx, it, Becomes::Shed)?;
            freed += it.bytes;
        }
        Ok(!found.is_empty())
    }

    fn old_snapshots(&mut self, target: u64) -> rusqlite::Result<bool> {
        let before = used_bytes(self.tx)?;
        let found = delete_snapshots(self.tx, "1 ORDER BY rowid", [], &mut self.snapshots)?;
        Ok(found > 0 && before > target)
    }

    fn acknowledged_events(&mut self, target: u64) -> rusqlite::Result<bool> {
        let through: Vec<i64> = self
            .tx
            .prepare(
                "SELECT (SELECT rowid FROM events WHERE events.epoch = cursors.epoch AND seq <= acked_through
                 ORDER BY seq DESC LIMIT 1) AS last FROM cursors WHERE last IS NOT NULL",
            )?
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let Some(last) = through.into_iter().max() else { return Ok(false) };
        let acked = "EXISTS (SELECT 1 FROM cursors WHERE cursors.epoch = events.epoch AND acked_through >= seq)";
        self.shed_events(&format!("rowid <= {last} AND {acked}"), true, target)
    }

    fn any_events(&mut self, target: u64) -> rusqlite::Result<bool> {
        self.shed_events("1", false, target)
    }

    /// Never those at or above the barrier: a chain must end in an event, and batches do at the barrier.
    fn shed_events(&mut self, which: &str, acknowledged: bool, target: u64) -> rusqlite::Result<bool> {
        let found: Vec<(i64, u64)> = self
            .tx
            .prepare(&format!(
                "SELECT rowid, length(bytes) FROM events WHERE {which}
                 AND type NOT LIKE 'dev.countersign.trail.%'
                 AND seq < (SELECT barrier_seq FROM epochs WHERE epochs.epoch = events.epoch)
                 AND NOT EXISTS (SELECT 1 FROM holes WHERE holes.epoch = events.epoch AND holes.seq = events.seq)
                 AND NOT EXISTS (SELECT 1 FROM contents WHERE contents.event = events.id AND state = 'ok')
                 ORDER BY rowid LIMIT {ROWS}"
            ))?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let most = self.beyond(target)?;
        let mut freed = 0;
        for (rowid, bytes) in &found {
            if freed >= most {
                break;
            }
            self.events.event(self.tx, *rowid, acknowledged)?;
            freed += bytes;
        }
        Ok(!found.is_empty())
    }

    fn beyond(&self, target: u64) -> rusqlite::Result<u64> {
        Ok(used_bytes(self.tx)?.saturating_sub(target))
    }

    /// Makes the records of what was let go.
    pub(crate) fn records(self, source: &str) -> Result<Vec<Prepared>, SpoolError> {
        let mut records = Vec::new();
        for gone in [self.contents, self.snapshots, self.events] {
            if gone.count > 0 {
                tracing::warn!(count = gone.count, bytes = gone.bytes, "the spool has no room: something was let go");
            }
            records.extend(gone.record(source, sys::now(), self.reason, None)?);
        }
        Ok(records)
    }
}

/// Deletes some snapshots, and the texts that no other one has. Returns how many snapshots.
///
/// An edit that was the next of its path began with what is gone: nobody can tell any more what was new in it.
/// A note that can't be read stands for that.
pub(crate) fn delete_snapshots(
    tx: &Connection,
    which: &str,
    params: impl rusqlite::Params,
    gone: &mut Gone,
) -> rusqlite::Result<usize> {
    let found: Vec<(i64, Option<i64>, u64, String)> = tx
        .prepare(&format!("SELECT rowid, text, length(sealed), path FROM snapshots WHERE {which} LIMIT {ROWS}"))?
        .query_map(params, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (rowid, text, bytes, _) in &found {
        tx.prepare("DELETE FROM snapshots WHERE rowid = ?")?.execute([rowid])?;
        let mut bytes = *bytes;
        if let Some(text) = text {
            let size: Option<u64> = tx
                .prepare("SELECT sum(length(sealed)) FROM texts WHERE rowid = ?")?
                .query_row([text], |row| row.get(0))?;
            let unused = tx
                .prepare("DELETE FROM texts WHERE rowid = ?1 AND NOT EXISTS (SELECT 1 FROM snapshots WHERE text = ?1)")?
                .execute([text])?;
            bytes += if unused > 0 { size.unwrap_or_default() } else { 0 };
        }
        gone.snapshot(bytes);
    }
    let mut next = tx.prepare(
        "UPDATE snapshots SET sealed = zeroblob(1) WHERE length(sealed) = 0 AND kind IN ('ai', 'human')
         AND rowid = (SELECT min(rowid) FROM snapshots WHERE path = ? AND rowid > ?)",
    )?;
    for (rowid, .., path) in &found {
        next.execute((path, rowid))?;
    }
    Ok(found.len())
}
