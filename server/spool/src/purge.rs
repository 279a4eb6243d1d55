//! Destroying texts on request: contents lose their keys, snapshots are deleted, and each step is a
//! `trail.trimmed` event in the same transaction. Events stay: they are the ledger, and hold no text.

use countersign_event::Timestamp;
use countersign_event::facts::{Fact, Person};
use rusqlite::{Connection, ToSql};
use serde::Serialize;

use crate::append::{Spool, insert};
use crate::bounds::delete_snapshots;
use crate::reader::Reader;
use crate::shed::{Becomes, CONTENT, Content, Gone};
use crate::{SpoolError, epoch, inbox, sys};

/// Sealed bytes destroyed in one transaction: others wait for the lock meanwhile.
const STEP_BYTES: u64 = 16 << 20;
/// Rows looked at together.
const ROWS: usize = 256;

/// What is to go.
#[derive(Clone, Debug, Default)]
pub struct Purge {
    /// Only what is older.
    pub before: Option<Timestamp>,
    /// Only what belongs to this repository.
    pub repository: Option<PurgeRepository>,
    /// Texts of events.
    pub contents: bool,
    /// Texts of files as they were seen.
    pub snapshots: bool,
}

/// A repository, as events and as snapshots know it.
#[derive(Clone, Debug)]
pub struct PurgeRepository {
    /// Its id in events, where it has one.
    pub id: Option<String>,
    /// The root of its work tree, absolute.
    pub root: String,
}

/// What went, or would go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Purged {
    /// Texts of events.
    pub contents: u64,
    /// Bytes of them on disk.
    pub content_bytes: u64,
    /// Of them, those that no collector has.
    pub contents_unsent: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// Bytes of them on disk.
    pub snapshot_bytes: u64,
    /// Whether the WAL holds nothing of them any more. `false` while somebody reads an older state.
    pub wal_emptied: bool,
}

impl Purge {
    /// The condition on `contents` and `events`, whose parameters are [`Purge::params`].
    fn contents_where(&self) -> &'static str {
        "state = 'ok' AND (?1 IS NULL OR events.time < ?1)
         AND (?2 = 0 OR json_extract(events.bytes, '$.data.place.repository') = ?3
              OR instr(json_extract(events.bytes, '$.data.place.uri'), 'file://' || ?4 || '/') = 1)"
    }

    /// The condition on `snapshots`.
    fn snapshots_where(&self) -> &'static str {
        "(?1 IS NULL OR time < ?1)
         AND (?2 = 0 OR substr(path, 1, length(?4) + 1) = ?4 || '/'
              OR substr(path, 1, length(?4) + 8) = 'file://' || ?4 || '/')"
    }

    fn params(&self) -> (Option<String>, bool, String, String) {
        let before = self.before.map(|time| time.to_string());
        match &self.repository {
            None => (before, false, "-".to_owned(), String::new()),
            // An id that no repository has: an empty one would be everybody's who has none.
            Some(it) => {
                let root = it.root.trim_end_matches('/').to_owned();
                (before, true, it.id.clone().unwrap_or_else(|| "-".to_owned()), root)
            }
        }
    }

    fn find_contents(&self, conn: &Connection, limit: usize, after: i64) -> rusqlite::Result<Vec<Content>> {
        if !self.contents {
            return Ok(Vec::new());
        }
        let (before, by_repository, id, root) = self.params();
        let sent = "(contents.rowid <= (SELECT coalesce(max(through), 0) FROM content_cursors)
                     OR contents.rowid IN (SELECT content FROM contents_sent))";
        let params: [&dyn ToSql; 6] = [&before, &by_repository, &id, &root, &after, &(limit as i64)];
        conn.prepare(&format!(
            "SELECT {CONTENT}, {sent} FROM contents JOIN events ON events.id = contents.event
             WHERE {} AND contents.rowid > ?5 ORDER BY contents.rowid LIMIT ?6",
            self.contents_where()
        ))?
        .query_map(params, Content::from_row)?
        .collect()
    }
}

impl Reader {
    /// Returns what a purge would destroy. Changes nothing.
    pub fn would_purge(&self, purge: &Purge) -> Result<Purged, SpoolError> {
        let sql = |e| self.sql(e);
        let mut purged = Purged::default();
        let mut after = 0;
        loop {
            let found = purge.find_contents(&self.conn, ROWS, after).map_err(sql)?;
            let Some(last) = found.last() else { break };
            after = last.rowid;
            for it in &found {
                purged.contents += 1;
                purged.content_bytes += it.bytes;
                purged.contents_unsent += u64::from(!it.acknowledged);
            }
        }
        if purge.snapshots {
            let (before, by_repository, id, root) = purge.params();
            let which = purge.snapshots_where();
            let params: [&dyn ToSql; 4] = [&before, &by_repository, &id, &root];
            (purged.snapshots, purged.snapshot_bytes) = self
                .conn
                .query_row(
                    &format!(
                        "SELECT count(*), coalesce(sum(length(sealed)), 0)
                         + coalesce((SELECT sum(length(sealed)) FROM texts WHERE rowid IN
                                     (SELECT text FROM snapshots WHERE {which})), 0)
                         FROM snapshots WHERE {which}"
                    ),
                    params,
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .map_err(sql)?;
        }
        Ok(purged)
    }
}

impl Spool {
    /// Destroys texts, a step at a time; others append in between. What waits in the inbox is taken in first.
    ///
    /// Afterwards neither database nor WAL holds a byte of them, unless `wal_emptied` says otherwise.
    /// Errors: what was destroyed before stays so, and is recorded.
    pub fn purge(&mut self, purge: &Purge, person: &Fact<Person>) -> Result<Purged, SpoolError> {
        // One append takes in a part of the letters; those that come meanwhile are somebody's next purge.
        for _ in 0..=inbox::waiting(&self.layout)?.len() {
            self.append(&[])?;
            if inbox::waiting(&self.layout)?.is_empty() {
                break;
            }
        }
        let mut purged = Purged::default();
        while self.purge_step(purge, person, &mut purged)? {}
        purged.wal_emptied = self.empty_wal();
        Ok(purged)
    }

    /// Destroys some of it in one transaction. Returns whether there may be more.
    fn purge_step(&mut self, purge: &Purge, person: &Fact<Person>, purged: &mut Purged) -> Result<bool, SpoolError> {
        let (db, source) = (self.layout.db.clone(), self.device.urn());
        let sql = |e| SpoolError::sqlite(&db, e);
        let tx = self.begin(true)?;
        let (mut contents, mut snapshots) = (Gone::contents(), Gone::snapshots());
        while contents.bytes < STEP_BYTES {
            let found = purge.find_contents(&tx, ROWS, 0).map_err(sql)?;
            for it in &found {
                contents.content(&tx, it, Becomes::Erased).map_err(sql)?;
            }
            if found.is_empty() {
                break;
            }
        }
        while purge.snapshots && contents.bytes + snapshots.bytes < STEP_BYTES {
            let (before, by_repository, id, root) = purge.params();
            let params: [&dyn ToSql; 4] = [&before, &by_repository, &id, &root];
            if delete_snapshots(&tx, purge.snapshots_where(), params, &mut snapshots).map_err(sql)? == 0 {
                break;
            }
        }
        purged.contents += contents.count;
        purged.content_bytes += contents.bytes;
        purged.contents_unsent += contents.count - contents.acknowledged.unwrap_or_default();
        purged.snapshots += snapshots.count;
        purged.snapshot_bytes += snapshots.bytes;
        let more = contents.bytes + snapshots.bytes >= STEP_BYTES;
        let mut records = Vec::new();
        for gone in [contents, snapshots] {
            records.extend(gone.record(&source, sys::now(), "purge", Some(person.clone()))?);
        }
        let epoch = epoch::current_whole(&tx, &db)?;
        insert(&tx, &epoch, &records, true).map_err(sql)?;
        tx.commit().map_err(sql)?;
        self.first = false;
        Ok(more)
    }

    /// Moves the whole WAL into the database and cuts it off. Returns whether that was possible.
    fn empty_wal(&self) -> bool {
        self.patience.renew(std::time::Duration::from_secs(5));
        let busy = self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        matches!(busy, Ok(0))
    }
}
