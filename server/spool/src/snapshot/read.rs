//! Finding snapshots again.

use countersign_event::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};

use super::{GitState, InRepository, Kind, Snapshot, blob_key, bound_to, bound_to_text, text_key_of_id};
use crate::content::SealedBox;
use crate::reader::Reader;
use crate::{Device, SpoolError};

/// Where a kept text is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TextRef(i64);

/// git's name of a text, as the index knows it.
pub type BlobKey = [u8; 32];

/// A snapshot without its text, which is fetched when it is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Its place in the order of what was seen.
    pub seq: i64,
    /// The absolute path or URI.
    pub path: String,
    /// Where it lies in a repository, if it does.
    pub repository: Option<InRepository>,
    /// Its text; `None` where there was no file.
    pub text: Option<TextRef>,
    /// git's name of it.
    pub blob: Option<BlobKey>,
    /// Who looked.
    pub kind: Kind,
    /// What entered with it.
    pub contribution: Option<String>,
    /// The call.
    pub call: Option<String>,
    /// The session.
    pub session: Option<String>,
    /// What git's small files said.
    pub git: Option<GitState>,
    /// Which lines an edit touched.
    pub hunks_json: Option<String>,
    /// When.
    pub time: Option<Timestamp>,
    /// Whether it has spans: an editor's, or those that were noted.
    pub has_spans: bool,
}

const OBSERVED: &str = "rowid, path, worktree, common_dir, repository_path, text, blob_key, kind, contribution, call,
     session, git, hunks, time, length(sealed) > 0";

impl Reader {
    /// Returns the latest text that an editor saved under a path, with its spans.
    pub fn latest_snapshot(&self, path: &str) -> Result<Option<Snapshot>, SpoolError> {
        latest(&self.conn, self.device()?, path).map_err(|e| self.sql(e))
    }

    /// Returns what an editor saved last with this text, by its `text_id`, whatever its path.
    pub fn snapshot_by_text(&self, text_id: &str) -> Result<Option<Snapshot>, SpoolError> {
        let device = self.device()?;
        saved(&self.conn, device, "text_key = ?", text_key_of_id(device, text_id)).map_err(|e| self.sql(e))
    }

    /// Returns how the index knows a blob. Cost: one keyed digest.
    pub fn blob_key(&self, blob: &str) -> Result<BlobKey, SpoolError> {
        Ok(blob_key(self.device()?, blob))
    }

    /// Returns everything that was seen in the work trees of a repository, in order: also what was seen below
    /// `root` before there was one.
    pub fn observed_in(&self, common_dir: &str, root: &str) -> Result<Vec<Observed>, SpoolError> {
        let root = root.trim_end_matches('/');
        // After `/` comes `0`.
        let (from, to) = (format!("{root}/"), format!("{root}0"));
        let here = "common_dir = ?1 OR (common_dir IS NULL AND path > ?2 AND path < ?3)";
        self.observed(&format!("({here}) AND kind IS NOT NULL ORDER BY rowid"), [common_dir, &from, &to])
    }

    /// Returns everything that was seen at an absolute path, in order.
    pub fn observed_at(&self, path: &str) -> Result<Vec<Observed>, SpoolError> {
        self.observed("path = ?1 AND kind IS NOT NULL ORDER BY rowid", [path])
    }

    /// Says whether a file was seen with one of these blobs at an absolute path. Cheap: it is asked often.
    pub fn was_seen(&self, path: &str, blobs: &[BlobKey]) -> Result<bool, SpoolError> {
        let read = |row: &Row<'_>| row.get::<_, bool>(0);
        let sql = "SELECT EXISTS (SELECT 1 FROM snapshots WHERE path = ? AND blob_key = ?)";
        let mut was_seen = false;
        for blob in blobs {
            let found = self.conn.prepare_cached(sql).and_then(|mut it| it.query_row((path, blob), read));
            was_seen |= found.map_err(|e| self.sql(e))?;
        }
        Ok(was_seen)
    }

    /// Returns a number that grows with every snapshot.
    pub fn last_snapshot(&self) -> Result<i64, SpoolError> {
        let read = |row: &Row<'_>| row.get(0);
        self.conn.query_row("SELECT coalesce(max(rowid), 0) FROM snapshots", [], read).map_err(|e| self.sql(e))
    }

    fn observed(&self, condition: &str, params: impl rusqlite::Params) -> Result<Vec<Observed>, SpoolError> {
        let read = || {
            self.conn
                .prepare(&format!("SELECT {OBSERVED} FROM snapshots WHERE {condition}"))?
                .query_map(params, observed)?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|e| self.sql(e))
    }

    /// Returns the bytes of a kept text. `None` where it was let go, or does not open.
    pub fn snapshot_text(&self, text: TextRef) -> Result<Option<Vec<u8>>, SpoolError> {
        text_of(&self.conn, self.device()?, text.0).map_err(|e| self.sql(e))
    }

    /// Returns who wrote the parts of a snapshot: what an editor said, or what was noted.
    pub fn snapshot_spans(&self, seq: i64) -> Result<Option<String>, SpoolError> {
        let device = self.device()?;
        let row = self
            .conn
            .prepare("SELECT path, wrapped_key, sealed FROM snapshots WHERE rowid = ? AND kind IS NOT NULL")
            .and_then(|mut it| it.query_row([seq], |row| Ok((row.get::<_, String>(0)?, boxed(row, 1)?))).optional())
            .map_err(|e| self.sql(e))?;
        Ok(row.and_then(|(path, it)| String::from_utf8(it.open(&bound_to(&path), device)?).ok()))
    }
}

fn boxed(row: &Row<'_>, at: usize) -> rusqlite::Result<SealedBox> {
    Ok(SealedBox { wrapped_key: row.get(at)?, sealed: row.get(at + 1)? })
}

fn text_of(conn: &Connection, device: &Device, text: i64) -> rusqlite::Result<Option<Vec<u8>>> {
    let row = conn
        .prepare("SELECT text_key, wrapped_key, sealed FROM texts WHERE rowid = ?")?
        .query_row([text], |row| Ok((row.get::<_, Vec<u8>>(0)?, boxed(row, 1)?)))
        .optional()?;
    Ok(row.and_then(|(key, it)| it.open(&bound_to_text(&key), device)))
}

fn observed(row: &Row<'_>) -> rusqlite::Result<Observed> {
    let kind: Option<String> = row.get(7)?;
    let git: Option<String> = row.get(11)?;
    Ok(Observed {
        seq: row.get(0)?,
        path: row.get(1)?,
        repository: place(row, 2)?,
        text: row.get::<_, Option<i64>>(5)?.map(TextRef),
        blob: row.get(6)?,
        // A kind of a later version says no more than that somebody looked.
        kind: kind.map_or(Kind::Saved, |kind| Kind::of(&kind).unwrap_or(Kind::Before)),
        contribution: row.get(8)?,
        call: row.get(9)?,
        session: row.get(10)?,
        git: git.and_then(|git| serde_json::from_str(&git).ok()),
        hunks_json: row.get(12)?,
        time: row.get::<_, String>(13)?.parse().ok(),
        has_spans: row.get(14)?,
    })
}

fn place(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<InRepository>> {
    let (worktree, common_dir, path): (Option<String>, Option<String>, Option<String>) =
        (row.get(at)?, row.get(at + 1)?, row.get(at + 2)?);
    let all = worktree.zip(common_dir).zip(path);
    Ok(all.map(|((worktree, common_dir), path)| InRepository { worktree, common_dir, path }))
}

pub(super) fn latest(conn: &Connection, device: &Device, path: &str) -> rusqlite::Result<Option<Snapshot>> {
    saved(conn, device, "path = ?", path)
}

/// Finds the latest of an editor's snapshots. One of the first schema has text and spans in one box.
fn saved(
    conn: &Connection,
    device: &Device,
    condition: &str,
    value: impl rusqlite::ToSql,
) -> rusqlite::Result<Option<Snapshot>> {
    let found = conn
        .query_row(
            &format!(
                "SELECT {OBSERVED}, kind IS NULL, wrapped_key, sealed FROM snapshots
                 WHERE {condition} AND coalesce(kind, 'saved') = 'saved' ORDER BY rowid DESC LIMIT 1"
            ),
            [value],
            |row| Ok((observed(row)?, row.get::<_, bool>(15)?, boxed(row, 16)?)),
        )
        .optional()?;
    let Some((it, is_first_schema, sealed)) = found else { return Ok(None) };
    let plain = sealed.open(&bound_to(&it.path), device);
    let (text, spans) = match (is_first_schema, it.text) {
        (true, _) => match plain.and_then(together) {
            Some((text, spans)) => (Some(text), Some(spans)),
            None => return Ok(None),
        },
        (false, None) => (None, plain),
        (false, Some(text)) => match text_of(conn, device, text.0)? {
            Some(text) => (Some(text), plain),
            None => return Ok(None),
        },
    };
    let Some(time) = it.time else { return Ok(None) };
    Ok(Some(Snapshot {
        blob: text.as_deref().map(countersign_event::digest::git_blob),
        text,
        spans_json: spans.and_then(|spans| String::from_utf8(spans).ok()),
        path: it.path,
        repository: it.repository,
        kind: Kind::Saved,
        contribution: it.contribution,
        call: it.call,
        session: it.session,
        git: it.git,
        hunks_json: it.hunks_json,
        time,
    }))
}

fn together(plain: Vec<u8>) -> Option<(Vec<u8>, Vec<u8>)> {
    let (length, rest) = plain.split_first_chunk::<8>()?;
    let (text, spans) = rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)?;
    Some((text.to_vec(), spans.to_vec()))
}
