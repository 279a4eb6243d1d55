//! What is answered about contributions, in one shape on the device and at the collector.

pub mod contribution;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::archive::{Archive, ArchiveError, Row, Scope};
use crate::gaps::{self, Gap};
use crate::seal;

/// At most this many contributions in one answer.
pub const CONTRIBUTIONS_MAX: usize = 500;
/// At most this many gaps of a stream are told with a contribution.
const GAPS_MAX: usize = 100;
/// At most this many events of one contribution are looked at.
const EVENTS_MAX: usize = 2_000;

/// Answers about contributions, and what is missing from them.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) contributions: Vec<Value>,
    pub(crate) missing: Vec<String>,
}

impl Answer {
    /// One object a line, the last one saying how complete the others are.
    pub(crate) fn into_ndjson(self) -> String {
        let mut out: String = self.contributions.iter().map(|value| format!("{value}\n")).collect();
        out += &format!("{}\n", ending(&self.missing));
        out
    }
}

/// Returns the last object of an answer.
pub fn ending(missing: &[String]) -> Value {
    json!({ "complete": missing.is_empty(), "missing": missing })
}

/// Tells contributions by their ids. `texts` holds the key where texts may be opened.
pub(crate) fn by_id(
    archive: &mut dyn Archive,
    scope: &Scope,
    ids: &[String],
    texts: Option<&[u8; 32]>,
    now_ms: i64,
) -> Result<Answer, ArchiveError> {
    let mut answer = Answer::default();
    let mut streams = BTreeSet::new();
    for id in ids {
        let rows = archive.rows_about(scope, id, EVENTS_MAX + 1)?;
        if rows.len() > EVENTS_MAX {
            answer
                .missing
                .push(format!("contribution {id} has more than {EVENTS_MAX} events; later ones are left out"));
        }
        let rows = &rows[..rows.len().min(EVENTS_MAX)];
        streams.extend(rows.iter().map(|row: &Row| row.stream.clone()));
        let events: Vec<_> = rows.iter().filter_map(|row| row.what.as_ref().ok().cloned()).collect();
        match contribution::tell(id, &events) {
            None => answer.missing.push(format!("contribution {id} is not in the archive")),
            Some(mut told) => {
                fill_texts(archive, &mut told, texts)?;
                if texts.is_some() {
                    fill_person(archive, rows, &mut told)?;
                }
                answer.contributions.push(told);
            }
        }
    }
    for stream in streams {
        let gaps = gaps::of(archive, &stream, now_ms)?;
        if gaps.len() > GAPS_MAX {
            answer.missing.push(format!("stream {stream}: {} older gaps, see /v1/gaps", gaps.len() - GAPS_MAX));
        }
        answer.missing.extend(gaps[gaps.len().saturating_sub(GAPS_MAX)..].iter().map(Gap::to_words));
        for fork in archive.forks(&stream)? {
            answer.missing.push(format!("stream {stream}, epoch {}: two histories from seq {}", fork.epoch, fork.seq));
        }
    }
    Ok(answer)
}

/// Lines of a file, from 1, both ends included.
pub type Lines = std::ops::RangeInclusive<u32>;

/// Tells the contributions of a path. Lines are compared with where each act happened, in the file
/// as it was then: the archive has no text to carry them on. The answer says so.
pub(crate) fn by_path(
    archive: &mut dyn Archive,
    scope: &Scope,
    repository: Option<&str>,
    path: &str,
    lines: Option<&Lines>,
    texts: Option<&[u8; 32]>,
    now_ms: i64,
) -> Result<Answer, ArchiveError> {
    let mut ids = archive.contributions_at(scope, repository, path, CONTRIBUTIONS_MAX + 1)?;
    let cut = ids.len() > CONTRIBUTIONS_MAX;
    ids.truncate(CONTRIBUTIONS_MAX);
    let mut answer = by_id(archive, scope, &ids, texts, now_ms)?;
    if let Some(lines) = lines {
        answer.contributions.retain(|told| contribution::touches(told, lines));
    }
    if cut {
        answer.missing.push(format!("only the first {CONTRIBUTIONS_MAX} contributions are told"));
    }
    answer.missing.push("the text was not at hand: lines are those at the moment of each act".to_owned());
    Ok(answer)
}

/// Says whose pseudonym stands there, where a device said so when it enrolled. A name is text.
fn fill_person(archive: &mut dyn Archive, rows: &[Row], told: &mut Value) -> Result<(), ArchiveError> {
    let Some(person) = told["person"]["id"].as_str().map(str::to_owned) else { return Ok(()) };
    for stream in rows.iter().map(|row| &row.stream).collect::<BTreeSet<_>>() {
        if let Some(subject) = archive.subject_of(stream, &person)? {
            told["person"]["subject"] = subject.into();
        }
    }
    Ok(())
}

fn fill_texts(archive: &mut dyn Archive, told: &mut Value, texts: Option<&[u8; 32]>) -> Result<(), ArchiveError> {
    let Some(slots) = told.get_mut("content").and_then(Value::as_object_mut) else { return Ok(()) };
    for slot in slots.values_mut().filter_map(Value::as_object_mut) {
        fill_text(archive, slot, texts)?;
    }
    Ok(())
}

fn fill_text(
    archive: &mut dyn Archive,
    slot: &mut Map<String, Value>,
    texts: Option<&[u8; 32]>,
) -> Result<(), ArchiveError> {
    let Some(kept) = slot.get("kept").and_then(Value::as_str).map(str::to_owned) else { return Ok(()) };
    let Some(master) = texts else { return Ok(()) };
    let state = match seal::open(archive, master, &kept)? {
        seal::Opened::Text(text) => {
            slot.insert("text".to_owned(), text.into());
            "ok"
        }
        seal::Opened::Pending => "pending",
        seal::Opened::Erased => "erased",
    };
    slot.insert("state".to_owned(), state.into());
    Ok(())
}
