//! Putting snapshots into the spool, and letting go of the oldest.

use countersign_event::payload::{Payload, trail};
use countersign_event::{Event, How};
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Kind, Snapshot, blob_key, bound_to, bound_to_text, text_key};
use crate::append::Spool;
use crate::content::SealedBox;
use crate::epoch;
use crate::prepare::Prepared;
use crate::{Device, SpoolError, sys};

/// Sealed bytes of all texts; at about 4 kB a changed file, years of a person's work.
const BYTES_MAX: u64 = 1 << 30;
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

fn text_row(conn: &Connection, key: &[u8; 32]) -> rusqlite::Result<Option<i64>> {
    conn.prepare("SELECT rowid FROM texts WHERE text_key = ?")?.query_row([key], |row| row.get(0)).optional()
}

/// Inserts snapshots in their order. An editor's that equals the latest of its path is left out.
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
        insert(&tx, &[prepared]).map_err(sql)?;
        make_room(&tx, &db, &source, BYTES_MAX)?;
        tx.commit().map_err(sql)
    }
}

/// Lets go of the oldest snapshots beyond the bound, and records it. Now and then; else it does nothing.
fn make_room(tx: &Connection, db: &std::path::Path, source: &str, bytes_max: u64) -> Result<(), SpoolError> {
    let sql = |e| SpoolError::sqlite(db, e);
    if tx.last_insert_rowid() % LOOK_EVERY != 0 {
        return Ok(());
    }
    let bytes = |tx: &Connection| -> rusqlite::Result<u64> {
        tx.query_row("SELECT coalesce(sum(length(sealed)), 0) FROM texts", [], |row| row.get(0))
    };
    let all = bytes(tx).map_err(sql)?;
    if all <= bytes_max {
        return Ok(());
    }
    let mut count = 0;
    let mut left = all;
    // A tenth more than must be: room is made rarely.
    while left > bytes_max / 10 * 9 {
        let gone = tx
            .execute("DELETE FROM snapshots WHERE rowid IN (SELECT rowid FROM snapshots ORDER BY rowid LIMIT 256)", [])
            .map_err(sql)?;
        tx.execute("DELETE FROM texts WHERE rowid NOT IN (SELECT text FROM snapshots WHERE text IS NOT NULL)", [])
            .map_err(sql)?;
        count += gone as u64;
        left = bytes(tx).map_err(sql)?;
        if gone == 0 {
            break;
        }
    }
    let trimmed = trail::Trimmed {
        how: How::Observed,
        what: "snapshots".to_owned(),
        count,
        bytes: all - left,
        reason: "bound".to_owned(),
    };
    let (id, time) = (Uuid::now_v7(), sys::now());
    let payload = Payload::TrailTrimmed(trimmed);
    let event = Event { id, source: source.to_owned(), time, subject: None, payload };
    let mut prepared = Prepared::bare(event.to_bytes())?;
    prepared.class = crate::Class::Normal;
    let epoch = epoch::current_whole(tx, db)?;
    crate::append::insert(tx, &epoch, &[prepared], false).map_err(sql)?;
    Ok(())
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
        make_room(&tx, &db, &source, 200 * 1024).unwrap();
        tx.commit().unwrap();
        let reader = Reader::open(dir.path()).unwrap();
        let of = |n: u64| reader.observed_at(&format!("/r/{n}")).unwrap().len();
        assert_eq!((of(0), of(255), of(256), of(383)), (0, 0, 1, 1));
        let trimmed = reader.by_type("dev.countersign.trail.trimmed.v1", 0).unwrap();
        assert_eq!(trimmed.len(), 1);
        assert!(trimmed[0].bytes.as_str().contains(r#""count":256"#), "{}", trimmed[0].bytes.as_str());
    }
}
