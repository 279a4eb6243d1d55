//! Putting snapshots into the spool, and letting go of the oldest.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};

use super::{Kind, Snapshot, blob_key, bound_to, bound_to_text, text_key};
use crate::append::Spool;
use crate::bounds::delete_snapshots;
use crate::content::SealedBox;
use crate::epoch;
use crate::prepare::Prepared;
use crate::shed::Gone;
use crate::{Device, SpoolError, sys};

/// Sealed bytes of all texts; at about 4 kB a changed file, years of a person's work.
pub(crate) const BYTES_MAX: u64 = 1 << 30;
/// The bound is looked at every so many rows.
const LOOK_EVERY: i64 = 128;

/// A snapshot ready to be inserted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PreparedSnapshot {
    path: String,
    worktree: Option<String>,
    common_dir: Option<String>,
    repository_path: Option<String>,
    kind: Kind,
    text_key: Option<[u8; 32]>,
    text: Option<SealedBox>,
    blob_key: Option<[u8; 32]>,
    contribution: Option<String>,
    call: Option<String>,
    session: Option<String>,
    spans: SealedBox,
    git: Option<String>,
    hunks: Option<String>,
    time: String,
}

impl PreparedSnapshot {
    /// Seals. With `conn`, a text that is kept already is not sealed again.
    pub(crate) fn new(it: &Snapshot, device: &Device, conn: Option<&Connection>) -> Result<Self, SpoolError> {
        let key = it.text.as_deref().map(|text| text_key(device, text));
        let is_kept = |key: &[u8; 32]| conn.and_then(|conn| text_row(conn, key).ok().flatten()).is_some();
        let text = match (&it.text, &key) {
            (Some(text), Some(key)) if !is_kept(key) => Some(SealedBox::seal(text, &bound_to_text(key), device)?),
            _ => None,
        };
        let spans = match &it.spans_json {
            Some(spans) => SealedBox::seal(spans.as_bytes(), &bound_to(&it.path), device)?,
            None => SealedBox { wrapped_key: Vec::new(), sealed: Vec::new() },
        };
        let place = it.repository.as_ref();
        Ok(PreparedSnapshot {
            path: it.path.clone(),
            worktree: place.map(|place| place.worktree.clone()),
            common_dir: place.map(|place| place.common_dir.clone()),
            repository_path: place.map(|place| place.path.clone()),
            kind: it.kind,
            text_key: key,
            text,
            blob_key: it.blob.as_deref().map(|blob| blob_key(device, blob)),
            contribution: it.contribution.clone(),
            call: it.call.clone(),
            session: it.session.clone(),
            spans,
            git: it.git.as_ref().and_then(|git| serde_json::to_string(git).ok()),
            hunks: it.hunks_json.clone(),
            time: it.time.to_string(),
        })
    }
}

impl PreparedSnapshot {
    /// Returns about how much room it takes at most.
    pub(crate) fn room(&self) -> u64 {
        let boxes = [self.text.as_ref(), Some(&self.spans)].into_iter().flatten();
        4096 + boxes.map(|it| it.sealed.len() as u64 + 8192).sum::<u64>()
    }
}

fn text_row(conn: &Connection, key: &[u8; 32]) -> rusqlite::Result<Option<i64>> {
    conn.prepare("SELECT rowid FROM texts WHERE text_key = ?")?.query_row([key], |row| row.get(0)).optional()
}

/// Inserts snapshots in their order.
pub(crate) fn insert(tx: &Connection, snapshots: &[PreparedSnapshot]) -> rusqlite::Result<()> {
    for it in snapshots {
        let text = match &it.text_key {
            None => None,
            Some(key) => match (text_row(tx, key)?, &it.text) {
                (Some(row), _) => Some(row),
                (None, Some(sealed)) => {
                    tx.execute(
                        "INSERT INTO texts (text_key, wrapped_key, sealed) VALUES (?, ?, ?)",
                        (key, &sealed.wrapped_key, &sealed.sealed),
                    )?;
                    Some(tx.last_insert_rowid())
                }
                // It was let go between the look and the lock.
                (None, None) => continue,
            },
        };
        tx.prepare(
            "INSERT INTO snapshots (path, repository_path, text_key, time, wrapped_key, sealed, kind, worktree,
             common_dir, text, blob_key, contribution, call, session, git, hunks)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(rusqlite::params![
            it.path,
            it.repository_path,
            it.text_key.unwrap_or_default(),
            it.time,
            it.spans.wrapped_key,
            it.spans.sealed,
            it.kind.word(),
            it.worktree,
            it.common_dir,
            text,
            it.blob_key,
            it.contribution,
            it.call,
            it.session,
            it.git,
            it.hunks,
        ])?;
    }
    Ok(())
}

impl Spool {
    /// Keeps a snapshot. An editor's that equals the latest of its path in text and spans is left out.
    pub fn put_snapshot(&mut self, snapshot: &Snapshot) -> Result<(), SpoolError> {
        let db = self.layout.db.clone();
        let sql = |e| SpoolError::sqlite(&db, e);
        if snapshot.kind == Kind::Saved {
            let latest = super::read::latest(&self.conn, &self.device, &snapshot.path).map_err(sql)?;
            let same = |it: &Snapshot| it.text == snapshot.text && it.spans_json == snapshot.spans_json;
            if latest.is_some_and(|it| same(&it) && it.git == snapshot.git) {
                return Ok(());
            }
        }
        let prepared = PreparedSnapshot::new(snapshot, &self.device, Some(&self.conn))?;
        let source = self.device.urn();
        let tx = self.begin(false)?;
        let all = [prepared];
        insert(&tx, &all).map_err(sql)?;
        let records = make_room(&tx, &db, &source, all.len(), BYTES_MAX)?;
        append(&tx, &db, &records)?;
        tx.commit().map_err(sql)
    }

    /// Lets go of snapshots by their numbers, and notes who wrote the texts of others, which they explained; in
    /// one transaction, with its record. Returns how many went.
    pub fn let_go(&mut self, gone: &[i64], noted: &[(i64, String)]) -> Result<u64, SpoolError> {
        let (db, source) = (self.layout.db.clone(), self.device.urn());
        let sql = |e| SpoolError::sqlite(&db, e);
        let mut sealed = Vec::new();
        for (seq, spans) in noted {
            let path: Option<String> = self
                .conn
                .prepare_cached("SELECT path FROM snapshots WHERE rowid = ?")
                .and_then(|mut it| it.query_row([seq], |row| row.get(0)).optional())
                .map_err(sql)?;
            if let Some(path) = path {
                sealed.push((seq, SealedBox::seal(spans.as_bytes(), &bound_to(&path), &self.device)?));
            }
        }
        let tx = self.begin(false)?;
        let mut count = Gone::snapshots();
        for (seq, boxed) in &sealed {
            tx.prepare_cached("UPDATE snapshots SET wrapped_key = ?, sealed = ? WHERE rowid = ?")
                .and_then(|mut it| it.execute((&boxed.wrapped_key, &boxed.sealed, seq)))
                .map_err(sql)?;
        }
        for seq in gone {
            delete_snapshots(&tx, "rowid = ?", [seq], &mut count).map_err(sql)?;
        }
        let went = count.count;
        let record = count.record(&source, sys::now(), "age", None)?;
        append(&tx, &db, &record.into_iter().collect::<Vec<_>>())?;
        tx.commit().map_err(sql)?;
        Ok(went)
    }
}

fn append(tx: &Connection, db: &Path, records: &[Prepared]) -> Result<(), SpoolError> {
    if records.is_empty() {
        return Ok(());
    }
    let epoch = epoch::current_whole(tx, db)?;
    crate::append::insert(tx, &epoch, records, false).map(drop).map_err(|e| SpoolError::sqlite(db, e))
}

/// Lets go of the oldest snapshots where those that were just inserted make them too many, and returns the
/// record of it. Looks now and then; else it does nothing.
pub(crate) fn make_room(
    tx: &Connection,
    db: &Path,
    source: &str,
    inserted: usize,
    bytes_max: u64,
) -> Result<Vec<Prepared>, SpoolError> {
    let sql = |e| SpoolError::sqlite(db, e);
    let last: i64 = tx.query_row("SELECT coalesce(max(rowid), 0) FROM snapshots", [], |row| row.get(0)).map_err(sql)?;
    if last / LOOK_EVERY == (last - inserted as i64) / LOOK_EVERY {
        return Ok(Vec::new());
    }
    let bytes = |tx: &Connection| -> rusqlite::Result<u64> {
        tx.query_row("SELECT coalesce(sum(length(sealed)), 0) FROM texts", [], |row| row.get(0))
    };
    let mut gone = Gone::snapshots();
    if bytes(tx).map_err(sql)? > bytes_max {
        // A tenth more than must be: room is made rarely.
        while bytes(tx).map_err(sql)? > bytes_max / 10 * 9 {
            if delete_snapshots(tx, "1 ORDER BY rowid", [], &mut gone).map_err(sql)? == 0 {
                break;
            }
        }
    }
    Ok(gone.record(source, sys::now(), "bound", None)?.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reader;
    use countersign_event::Timestamp;

    #[test]
    fn beyond_the_bound_the_oldest_go_and_the_trail_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path()).unwrap();
        let noise = |n: u64| -> Vec<u8> {
            let mut state = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
            let next = |state: &mut u64| {
                *state ^= *state << 13;
                *state ^= *state >> 7;
                *state ^= *state << 17;
                state.to_le_bytes()
            };
            (0..128).flat_map(|_| next(&mut state)).collect()
        };
        for n in 0..3 * LOOK_EVERY as u64 {
            let time = Timestamp::from_millis(n as i64);
            let it = Snapshot::of(format!("/r/{n}"), Kind::Before, Some(noise(n)), time);
            spool.put_snapshot(&it).unwrap();
        }
        let (source, db) = (spool.device.urn(), spool.layout.db.clone());
        let tx = spool.begin(false).unwrap();
        let records = make_room(&tx, &db, &source, LOOK_EVERY as usize, 200 * 1024).unwrap();
        append(&tx, &db, &records).unwrap();
        tx.commit().unwrap();
        let reader = Reader::open(dir.path()).unwrap();
        let of = |n: u64| reader.observed_at(&format!("/r/{n}")).unwrap().len();
        assert_eq!((of(0), of(255), of(256), of(383)), (0, 0, 1, 1));
        let trimmed = reader.by_type("dev.countersign.trail.trimmed.v1", 0).unwrap();
        assert_eq!(trimmed.len(), 1);
        assert!(trimmed[0].bytes.as_str().contains(r#""count":256"#), "{}", trimmed[0].bytes.as_str());
    }
}
