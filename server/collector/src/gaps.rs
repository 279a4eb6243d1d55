//! What is missing from a stream: why, how much, and of which time.
//!
//! Four things tell it: a signed head that announced events which never came; a hole in the place of an event;
//! the device's own records (`trail.*`), which came with the trail; and silence. A device is silent where an
//! editor or a tap was being recorded, never said that it stopped, and nothing was heard of the device for a
//! day: whoever is online says where it stands every hour. Once it is heard again, its own trail tells.
//!
//! Nothing here reads a clock.

use std::collections::BTreeSet;

use countersign_event::Timestamp;
use countersign_event::payload::Payload;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::archive::{Archive, ArchiveError, Row};

/// So long nothing may be heard of a device on which something is recorded.
const SILENT_AFTER_MS: i64 = 24 * 3_600_000;
/// The newest rows that are looked at.
const ROWS_MAX: usize = 10_000;
/// Runs of holes and records that are listed; the newest.
const LISTED_MAX: usize = 1_000;

/// Something that is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gap {
    /// The stream.
    pub stream: String,
    /// The epoch and the places in it, both ends included, where they are known.
    pub places: Option<(String, u64, u64)>,
    /// Why.
    pub reason: String,
    /// How many events, where that is known.
    pub count: Option<u64>,
    /// Since when.
    pub from: Option<Timestamp>,
    /// Until when.
    pub to: Option<Timestamp>,
}

impl Gap {
    /// Returns it as the list of gaps shows it.
    pub(crate) fn to_json(&self) -> Value {
        let (epoch, from_seq, to_seq) = match &self.places {
            Some((epoch, from, to)) => (json!(epoch), json!(from), json!(to)),
            None => (Value::Null, Value::Null, Value::Null),
        };
        json!({ "stream": self.stream, "epoch": epoch, "from_seq": from_seq, "to_seq": to_seq, "reason": self.reason,
            "count": self.count, "from": self.from, "to": self.to })
    }

    /// Returns it as an answer says that it is not complete.
    pub(crate) fn to_words(&self) -> String {
        let mut words = format!("stream {}", self.stream);
        match &self.places {
            Some((epoch, from, to)) => words += &format!(", epoch {epoch}: events {from} to {to} are {}", self.reason),
            None => words += &format!(": {}", self.reason),
        }
        match (self.from, self.to) {
            (Some(from), Some(to)) => words += &format!(" (from {from} to {to})"),
            (None, Some(at)) | (Some(at), None) => words += &format!(" (at {at})"),
            (None, None) => {}
        }
        words
    }
}

/// Lists what is missing from a stream, the newest records last.
pub fn of(archive: &mut dyn Archive, stream: &str, now_ms: i64) -> Result<Vec<Gap>, ArchiveError> {
    let mut gaps = announced(archive, stream)?;
    let mut rows = archive.told(stream, ROWS_MAX)?;
    rows.reverse();
    let mut known: Vec<Gap> = Vec::new();
    for row in &rows {
        match hole(row).or_else(|| record(row)) {
            Some(gap) if known.last_mut().is_some_and(|last| last.takes_in(&gap)) => {}
            Some(gap) => known.push(gap),
            None => {}
        }
    }
    gaps.extend(known.split_off(known.len().saturating_sub(LISTED_MAX)));
    gaps.extend(silence(archive, stream, &rows, now_ms)?);
    Ok(gaps)
}

/// What signed heads announced and nobody delivered, from the last event before it to the head.
fn announced(archive: &mut dyn Archive, stream: &str) -> Result<Vec<Gap>, ArchiveError> {
    let mut gaps = Vec::new();
    for note in archive.gaps(stream)? {
        let before = match note.from_seq.checked_sub(2) {
            Some(after) => archive.rows_of(stream, &note.epoch, after, 1)?,
            None => Vec::new(),
        };
        let before = before.first().and_then(|row| row.what.as_ref().ok()?.header().ok());
        let head =
            archive.heads(stream, &note.epoch, note.to_seq, note.to_seq)?.into_iter().map(|head| head.time).max();
        gaps.push(Gap {
            stream: stream.to_owned(),
            count: Some(note.to_seq + 1 - note.from_seq),
            places: Some((note.epoch, note.from_seq, note.to_seq)),
            reason: note.reason,
            from: before.map(|header| header.time),
            to: head,
        });
    }
    Ok(gaps)
}

/// An event that is archived in another place, or comes in one, is not missing: how the reason begins.
const ELSEWHERE: [&str; 2] = ["archived already", "quarantined: sent again as "];

fn hole(row: &Row) -> Option<Gap> {
    let hole = row.what.as_ref().err().filter(|hole| !ELSEWHERE.iter().any(|it| hole.reason.starts_with(it)))?;
    Some(Gap {
        stream: row.stream.clone(),
        places: Some((row.epoch.clone(), row.seq, row.seq)),
        reason: hole.reason.clone(),
        count: Some(1),
        ..Gap::default()
    })
}

impl Gap {
    /// Makes one of two runs of holes that are neighbours.
    fn takes_in(&mut self, next: &Gap) -> bool {
        let (Some((epoch, _, to)), Some((next_epoch, from, next_to))) = (&mut self.places, &next.places) else {
            return false;
        };
        let joins = epoch == next_epoch && *to + 1 == *from && self.reason == next.reason && self.to.is_none();
        if joins {
            *to = *next_to;
            self.count = Some(self.count.unwrap_or_default() + 1);
        }
        joins
    }
}

/// What the device itself said of its trail.
fn record(row: &Row) -> Option<Gap> {
    let bytes = row.what.as_ref().ok()?;
    let header = bytes.header().ok().filter(|it| it.event_type.starts_with("dev.countersign.trail."))?;
    let gap = |reason: String, count| Gap {
        stream: row.stream.clone(),
        reason,
        count,
        to: Some(header.time),
        ..Gap::default()
    };
    Some(match bytes.payload().ok()? {
        Payload::TrailGap(it) => {
            let by = it.by.map(|by| format!(" ({by})")).unwrap_or_default();
            let to = it.to.or(Some(header.time));
            Gap { from: it.from, to, ..gap(format!("gap: {}{by}", it.reason), it.count) }
        }
        Payload::TrailRecovered(it) => gap(format!("recovered: {}", it.reason), it.lost),
        Payload::TrailForked(it) => gap(format!("forked: {}", it.reason), None),
        Payload::TrailTrimmed(it) => gap(format!("trimmed {}: {}", it.what, it.reason), Some(it.count)),
        _ => return None,
    })
}

#[derive(Deserialize)]
struct Capture {
    path: Option<Path>,
}

#[derive(Deserialize)]
struct Path {
    transport: Option<String>,
    session: Option<String>,
}

fn silence(archive: &mut dyn Archive, stream: &str, rows: &[Row], now_ms: i64) -> Result<Option<Gap>, ArchiveError> {
    let Some(heard_ms) = archive.last_heard(stream)? else { return Ok(None) };
    if now_ms.saturating_sub(heard_ms) < SILENT_AFTER_MS || recorded(rows).is_empty() {
        return Ok(None);
    }
    Ok(Some(Gap {
        stream: stream.to_owned(),
        reason: "silence: something was being recorded and never said that it stopped".to_owned(),
        from: Some(Timestamp::from_millis(heard_ms)),
        to: Some(Timestamp::from_millis(now_ms)),
        ..Gap::default()
    }))
}

/// Returns the sessions of long-lived processes that began and did not end. A hook's session need not end: nobody
/// watches between two of its calls.
fn recorded(rows: &[Row]) -> BTreeSet<(String, String)> {
    let mut open = BTreeSet::new();
    for bytes in rows.iter().filter_map(|row| row.what.as_ref().ok()) {
        let Ok(header) = bytes.header() else { continue };
        let session = || {
            let path = serde_json::from_str::<Capture>(header.data).ok()?.path?;
            Some((path.transport.filter(|it| it != "hook")?, path.session.unwrap_or_default()))
        };
        match header.event_type.as_str() {
            "dev.countersign.capture.started.v1" => open.extend(session()),
            "dev.countersign.capture.stopped.v1" => {
                session().map(|session| open.remove(&session));
            }
            // The device told that one died, and not which: whatever goes on says so when it begins next.
            "dev.countersign.trail.gap.v1" => {
                if let Ok(Payload::TrailGap(gap)) = bytes.payload()
                    && gap.reason == "crash"
                {
                    open.retain(|(transport, _)| (transport == "tap") != (gap.by.as_deref() == Some("tap")));
                }
            }
            _ => {}
        }
    }
    open
}
