//! Walks an archived trail and names the first place that is not what was written.

use std::collections::BTreeMap;

use countersign_event::chain::{Hash, Head, genesis, next, next_digest};
use serde::Serialize;

use crate::archive::{Archive, ArchiveError, Row};
use crate::ingest::signed;
use crate::seal::{self, Opened};

/// Rows that are read at once.
const PAGE: usize = 1_000;

/// What a walk found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether everything holds.
    pub ok: bool,
    /// Events and holes that were walked.
    pub items: u64,
    /// Signed heads that were compared.
    pub heads: u64,
    /// Contents, by state.
    pub contents: BTreeMap<&'static str, u64>,
    /// The first place that does not hold.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub broken: Option<Broken>,
}

/// A place that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// The stream.
    pub stream: String,
    /// The epoch.
    pub epoch: String,
    /// The seq.
    pub seq: u64,
    /// What is wrong.
    pub what: String,
}

/// Walks every stream, then the collector's own, then the contents.
///
/// Cost: reads everything once. Errors: the archive cannot be read at all.
pub(crate) fn archive(archive: &mut dyn Archive, own: Hash, master: &[u8; 32]) -> Result<Report, ArchiveError> {
    let mut report = Report { ok: true, items: 0, heads: 0, contents: BTreeMap::new(), broken: None };
    for stream in archive.streams()? {
        for cursor in archive.cursors(&stream.id)? {
            let start = genesis(&stream.id, &cursor.epoch, &stream.public_key);
            report.broken = walk(archive, &stream.id, &cursor.epoch, start, cursor.acked_through, &mut report)?;
            if report.broken.is_some() {
                report.ok = false;
                return Ok(report);
            }
        }
    }
    report.broken = match records(archive, own)? {
        Some(broken) => Some(broken),
        None => contents(archive, master, &mut report)?,
    };
    report.ok = report.broken.is_none();
    Ok(report)
}

fn walk(
    archive: &mut dyn Archive,
    stream: &str,
    epoch: &str,
    start: Hash,
    acked_through: u64,
    report: &mut Report,
) -> Result<Option<Broken>, ArchiveError> {
    let broken = |seq, what: &str| {
        Ok(Some(Broken { stream: stream.to_owned(), epoch: epoch.to_owned(), seq, what: what.to_owned() }))
    };
    let mut heads = archive.heads(stream, epoch, 0, u64::MAX)?.into_iter().peekable();
    let mut compare = |seq: u64, hash: Option<Hash>| -> Result<u64, &'static str> {
        let mut n = 0;
        while let Some(head) = heads.next_if(|head: &Head| head.seq == seq) {
            if hash.is_some_and(|hash| head.hash != hash) {
                return Err("the signed head is of another history");
            }
            signed(&head).ok_or("the head's signature does not hold")?;
            n += 1;
        }
        Ok(n)
    };
    let (mut seq, mut hash) = (0, start);
    loop {
        match compare(seq, Some(hash)) {
            Ok(n) => report.heads += n,
            Err(what) => return broken(seq, what),
        }
        let rows = match archive.rows_of(stream, epoch, seq, PAGE) {
            Err(ArchiveError::Damaged(what)) => return broken(seq + 1, &what),
            rows => rows?,
        };
        if rows.is_empty() {
            break;
        }
        for row in rows {
            if row.seq != seq + 1 {
                return broken(seq + 1, "an event is missing");
            }
            let expected = after(hash, &row);
            if expected != row.hash {
                return broken(row.seq, "the event is not the one that was hashed");
            }
            (seq, hash) = (row.seq, row.hash);
            report.items += 1;
            // After a hole of unknown digest nobody can compute what the device signed.
            let ends = row.what.is_err_and(|hole| hole.sha256.is_none());
            match compare(seq, (!ends).then_some(hash)) {
                Ok(n) => report.heads += n,
                Err(what) => return broken(seq, what),
            }
        }
    }
    if seq < acked_through {
        return broken(seq + 1, "an acknowledged event is missing");
    }
    Ok(None)
}

fn after(previous: Hash, row: &Row) -> Hash {
    match &row.what {
        Ok(bytes) => next(previous, bytes.as_bytes()),
        Err(hole) => hole.sha256.map_or(previous, |digest| next_digest(previous, &digest.0)),
    }
}

fn records(archive: &mut dyn Archive, own: Hash) -> Result<Option<Broken>, ArchiveError> {
    let (mut seq, mut hash) = (0, own);
    loop {
        let records = archive.records_after(seq, PAGE)?;
        if records.is_empty() {
            return Ok(None);
        }
        for record in records {
            if record.seq != seq + 1 || record.hash != next(hash, record.bytes.as_bytes()) {
                let what = "the record is not the one that was hashed".to_owned();
                return Ok(Some(Broken { stream: "collector".to_owned(), epoch: String::new(), seq: seq + 1, what }));
            }
            (seq, hash) = (record.seq, record.hash);
        }
    }
}

fn contents(archive: &mut dyn Archive, master: &[u8; 32], report: &mut Report) -> Result<Option<Broken>, ArchiveError> {
    let mut after = String::new();
    loop {
        let page = archive.contents_after(&after, PAGE)?;
        let Some(last) = page.last() else { return Ok(None) };
        after.clone_from(last);
        for kept in page {
            let state = match seal::open(archive, master, &kept) {
                Ok(Opened::Text(_)) => "ok",
                Ok(Opened::Pending) => "pending",
                Ok(Opened::Erased) => "erased",
                Err(ArchiveError::Damaged(what)) => {
                    return Ok(Some(Broken { stream: String::new(), epoch: String::new(), seq: 0, what }));
                }
                Err(error) => return Err(error),
            };
            *report.contents.entry(state).or_default() += 1;
        }
    }
}
