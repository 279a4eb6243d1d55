//! Texts with their spans, sealed like contents; never replayed.

use countersign_event::Timestamp;
use countersign_event::digest::{keyed, text_id};
use rusqlite::{Connection, OptionalExtension};

use crate::append::Spool;
use crate::content::SealedBox;
use crate::reader::Reader;
use crate::{Device, SpoolError};

/// A text and who wrote its parts, at a moment.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The absolute path or URI.
    pub path: String,
    /// The path in its repository, where it is in one.
    pub repository_path: Option<String>,
    /// The whole text.
    pub text: String,
    /// Its spans, as their owner writes them.
    pub spans_json: String,
    /// When it was taken.
    pub time: Timestamp,
}

impl std::fmt::Debug for Snapshot {
    /// Never prints the text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("path", &self.path).field("bytes", &self.text.len()).finish_non_exhaustive()
    }
}

impl Snapshot {
    pub(crate) fn size(&self) -> usize {
        self.path.len() + self.text.len() + self.spans_json.len() + 128
    }
}

impl Spool {
    /// Keeps a snapshot. One that equals the latest of its path in text and spans is left out.
    pub fn put_snapshot(&mut self, snapshot: &Snapshot) -> Result<(), SpoolError> {
        let db = self.layout.db.clone();
        let sql = |e| SpoolError::sqlite(&db, e);
        let latest = latest(&self.conn, &self.device, &snapshot.path).map_err(sql)?;
        if latest.is_some_and(|it| it.text == snapshot.text && it.spans_json == snapshot.spans_json) {
            return Ok(());
        }
        let mut plain = (snapshot.text.len() as u64).to_be_bytes().to_vec();
        plain.extend_from_slice(snapshot.text.as_bytes());
        plain.extend_from_slice(snapshot.spans_json.as_bytes());
        let boxed = SealedBox::seal(&plain, &bound_to(&snapshot.path), &self.device)?;
        let key = text_key(&self.device, &text_id(snapshot.text.as_bytes()));
        let tx = self.begin(false)?;
        tx.execute(
            "INSERT INTO snapshots (path, repository_path, text_key, time, wrapped_key, sealed) VALUES (?, ?, ?, ?, ?, ?)",
            (
                &snapshot.path,
                &snapshot.repository_path,
                key,
                snapshot.time.to_string(),
                &boxed.wrapped_key,
                &boxed.sealed,
            ),
        )
        .map_err(sql)?;
        tx.commit().map_err(sql)
    }
}

impl Reader {
    /// Returns the latest snapshot of a path that can be opened.
    pub fn latest_snapshot(&self, path: &str) -> Result<Option<Snapshot>, SpoolError> {
        latest(&self.conn, self.device()?, path).map_err(|e| self.sql(e))
    }

    /// Returns the latest snapshot of a text, by [`text_id`], whatever its path.
    pub fn snapshot_by_text(&self, text_id: &str) -> Result<Option<Snapshot>, SpoolError> {
        let device = self.device()?;
        select(&self.conn, device, "text_key = ?", text_key(device, text_id)).map_err(|e| self.sql(e))
    }
}

fn latest(conn: &Connection, device: &Device, path: &str) -> rusqlite::Result<Option<Snapshot>> {
    select(conn, device, "path = ?", path)
}

fn select(
    conn: &Connection,
    device: &Device,
    condition: &str,
    value: impl rusqlite::ToSql,
) -> rusqlite::Result<Option<Snapshot>> {
    let found = conn
        .query_row(
            &format!(
                "SELECT path, repository_path, time, wrapped_key, sealed FROM snapshots
                 WHERE {condition} ORDER BY rowid DESC LIMIT 1"
            ),
            [value],
            |row| {
                let boxed = SealedBox { wrapped_key: row.get(3)?, sealed: row.get(4)? };
                Ok((row.get::<_, String>(0)?, row.get(1)?, row.get::<_, String>(2)?, boxed))
            },
        )
        .optional()?;
    Ok(found.and_then(|(path, repository_path, time, boxed)| {
        let plain = boxed.open(&bound_to(&path), device)?;
        let (length, rest) = plain.split_first_chunk::<8>()?;
        let (text, spans) = rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)?;
        Some(Snapshot {
            text: String::from_utf8(text.to_vec()).ok()?,
            spans_json: String::from_utf8(spans.to_vec()).ok()?,
            time: time.parse().ok()?,
            path,
            repository_path,
        })
    }))
}

/// A text's place in the index: nobody without the device's key can ask for a text they have.
fn text_key(device: &Device, text_id: &str) -> [u8; 32] {
    keyed(device.digest_key(), &[b"countersign.snapshot.v1", text_id.as_bytes()].concat())
}

fn bound_to(path: &str) -> Vec<u8> {
    [b"countersign.snapshot.v1", path.as_bytes()].concat()
}
