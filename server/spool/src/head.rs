//! Signed heads: made after a barrier, kept in the side file and in the table, sent with batches.
//!
//! The side file comes first and is fsynced, so every head of the table stands in it: cutting the
//! end off the trail and off the table still leaves the signature beside the spool.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use countersign_event::chain::{Hash, Head};
use countersign_event::digest::unhex;
use ed25519_dalek::{Signature, VerifyingKey};
use rusqlite::{Connection, OptionalExtension};

use crate::append::Spool;
use crate::epoch::{self, Epoch};
use crate::{SpoolError, sys};

impl Spool {
    /// Makes everything so far durable and signs the head over it.
    ///
    /// A head of the same event that was signed before is returned as it is.
    /// Cost: up to three fsyncs.
    pub fn head(&mut self) -> Result<Head, SpoolError> {
        self.barrier()?;
        let epoch = epoch::current_whole(&self.conn, &self.layout.db)?;
        self.sign(&epoch)
    }

    /// Signs the last durable event of an epoch, or returns the head that covers it already.
    pub(crate) fn sign(&mut self, epoch: &Epoch) -> Result<Head, SpoolError> {
        let db = self.layout.db.clone();
        let sql = |e| SpoolError::sqlite(&db, e);
        let (seq, hash) = (epoch.barrier_seq, hash_at(&self.conn, epoch, epoch.barrier_seq).map_err(sql)?);
        let Some(hash) = hash else {
            return Err(SpoolError::Corrupt { path: db, source: rusqlite::Error::QueryReturnedNoRows });
        };
        if let Some(head) = newest(&self.conn, epoch).map_err(sql)?
            && head.seq == seq
            && head.hash == hash
        {
            return Ok(head);
        }
        let head = self.device.sign_head(&epoch.stream, &epoch.epoch, seq, hash, sys::now());
        let json = serde_json::to_string(&head).expect("a head is all strings and numbers");
        add_side_head(&self.layout.heads, &json)?;
        let tx = self.begin(true)?;
        tx.execute("INSERT INTO heads (epoch, seq, json) VALUES (?, ?, ?)", (&head.epoch, head.seq, &json))
            .map_err(sql)?;
        tx.commit().map_err(sql)?;
        Ok(head)
    }
}

/// Returns whether the signature of a head is its public key's.
pub fn is_signed(head: &Head) -> bool {
    let (Some(key), Some(signature)) = (unhex::<32>(&head.public_key), unhex::<64>(&head.signature)) else {
        return false;
    };
    VerifyingKey::from_bytes(&key)
        .is_ok_and(|key| key.verify_strict(&head.signed_message(), &Signature::from_bytes(&signature)).is_ok())
}

/// Returns the newest head of an epoch, of what is left of it where it was ended before its heads.
pub(crate) fn newest(conn: &Connection, epoch: &Epoch) -> rusqlite::Result<Option<Head>> {
    let json: Option<String> = conn
        .query_row(
            "SELECT json FROM heads WHERE epoch = ? AND seq <= ? ORDER BY seq DESC, rowid DESC LIMIT 1",
            (&epoch.epoch, epoch.barrier_seq),
            |row| row.get(0),
        )
        .optional()?;
    Ok(json.and_then(|json| serde_json::from_str(&json).ok()))
}

/// Returns the hash after an event, or after the hole in its place; the genesis for 0. `None` where there
/// is neither. A hole of unknown digest, which ends an epoch, leaves the hash as it was.
pub(crate) fn hash_at(conn: &Connection, epoch: &Epoch, seq: u64) -> rusqlite::Result<Option<Hash>> {
    if seq == 0 {
        return Ok(Some(epoch.genesis()));
    }
    let unknown = "SELECT 1 FROM holes WHERE epoch = ? AND seq = ? AND sha256 IS NULL";
    if conn.query_row(unknown, (&epoch.epoch, seq), |_| Ok(())).optional()?.is_some() {
        return hash_at(conn, epoch, seq - 1);
    }
    conn.query_row(
        "SELECT hash FROM events WHERE epoch = ?1 AND seq = ?2
         UNION ALL SELECT hash FROM holes WHERE epoch = ?1 AND seq = ?2 AND hash IS NOT NULL LIMIT 1",
        (&epoch.epoch, seq),
        |row| row.get(0),
    )
    .optional()
    .map(|hash| hash.map(Hash))
}

/// What the side file holds.
#[derive(Debug, Default)]
pub(crate) struct SideHeads {
    pub(crate) heads: Vec<Head>,
    /// Lines that are no heads: torn by a crash, or changed.
    pub(crate) unreadable: u64,
}

/// Reads the side file. A missing one is empty.
pub(crate) fn side_heads(path: &Path) -> Result<SideHeads, SpoolError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(SideHeads::default()),
        Err(e) => return Err(SpoolError::io("read", path, e)),
    };
    let mut side = SideHeads::default();
    for line in bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(head) => side.heads.push(head),
            Err(_) => side.unreadable += 1,
        }
    }
    Ok(side)
}

/// How much of the side file's end is read for its newest head; a head takes about 500 bytes.
const TAIL_BYTES: u64 = 4 << 10;

/// Returns the newest head of the side file. `None` where its end holds none.
pub(crate) fn newest_side_head(path: &Path) -> Result<Option<Head>, SpoolError> {
    let read = |mut file: std::fs::File| {
        let from = file.metadata()?.len().saturating_sub(TAIL_BYTES);
        file.seek(SeekFrom::Start(from))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        Ok(tail)
    };
    match std::fs::File::open(path).and_then(read) {
        Ok(tail) => Ok(tail.rsplit(|&byte| byte == b'\n').find_map(|line| serde_json::from_slice(line).ok())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(SpoolError::io("read", path, e)),
    }
}

fn add_side_head(path: &Path, json: &str) -> Result<(), SpoolError> {
    let is_new = !path.exists();
    let written = sys::private_options().read(true).append(true).create(true).open(path).and_then(|mut file| {
        // A crash may have left half a line; ours must not become its other half.
        let torn = file.seek(SeekFrom::End(-1)).is_ok() && {
            let mut last = [0];
            file.read_exact(&mut last)?;
            last != *b"\n"
        };
        let line = format!("{}{json}\n", if torn { "\n" } else { "" });
        file.write_all(line.as_bytes())?;
        file.sync_data()
    });
    written.map_err(|e| SpoolError::io("write", path, e))?;
    if is_new { sys::sync_dir(path.parent().expect("our files have a directory")) } else { Ok(()) }
}
