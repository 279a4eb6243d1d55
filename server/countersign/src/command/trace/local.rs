//! The device's own answer: lines as `blame` finds them, facts from its spool.

use std::collections::BTreeMap;
use std::path::Path;

use countersign_collector::answer::contribution::{tell as tell_one, touches};
use countersign_event::EventBytes;
use countersign_spool::{ContentState, Observed, Reader, SpoolError};
use serde_json::{Value, json};

use super::place::Asked;
use super::{Answer, conversation, ranges};
use crate::command::blame;
use crate::error::Failure;
use crate::git::blame::{Blame, BlameError};
use crate::shell::Shell;

/// Types that speak of a contribution without having it as their subject.
const ABOUT: [&str; 4] = ["finding.raised", "finding.dismissed", "finding.resolved", "commit.attested"];

/// Lines of a text, with the contributions that wrote them.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    /// In the order of their first line.
    pub(super) contributions: Vec<Found>,
    human: Vec<usize>,
    unknown: Vec<usize>,
    /// What keeps this from being the whole answer.
    pub(super) missing: Vec<String>,
}

/// A contribution in the lines that were asked for.
#[derive(Debug)]
pub(super) struct Found {
    /// Its id.
    pub(super) id: String,
    /// Its lines, from 1.
    lines: Vec<usize>,
    /// Its largest share of one of them.
    share: f64,
}

impl Resolved {
    /// A contribution that was asked for by its id, wherever it stands.
    pub(super) fn one(id: String) -> Resolved {
        Resolved { contributions: vec![Found { id, lines: Vec::new(), share: 0.0 }], ..Resolved::default() }
    }

    /// Adds to a told contribution where it stands now.
    pub(super) fn add_lines(&self, told: &mut Value) {
        let found = self.contributions.iter().find(|found| told["contribution"] == found.id.as_str());
        if let Some(found) = found.filter(|found| !found.lines.is_empty()) {
            told["lines"] = ranges(&found.lines);
            told["share"] = json!(found.share);
        }
    }

    /// The lines that no contribution wrote any of.
    pub(super) fn others(&self) -> Value {
        json!({ "human": ranges(&self.human), "unknown": ranges(&self.unknown) })
    }
}

fn open(state: &Path) -> Result<Option<Reader>, Failure> {
    match Reader::open(state) {
        Ok(reader) => Ok(Some(reader)),
        Err(SpoolError::Missing { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Finds who wrote the lines, as `blame` does. `None` where there is no text, or nothing was ever seen of the file.
pub(super) fn resolve(shell: &Shell, asked: &Asked) -> Result<Option<Resolved>, Failure> {
    let found = match blame::answer(&asked.for_blame(), shell) {
        Ok(found) => found,
        Err(BlameError::NoFile(_)) if !asked.is_revision() => return Ok(None),
        Err(error) => return Err(blame::failure(error)),
    };
    let Some(reader) = open(&shell.paths.state)? else { return Ok(None) };
    let seen = reader.observed_at(&asked.file.to_string_lossy())?;
    if seen.is_empty() && !found.is_known {
        return Ok(None);
    }
    let mut resolved = by_line(&found);
    resolved.missing.extend(found.missing);
    resolved.missing.extend(newer_acts(&reader, asked, &seen)?);
    resolved.missing.extend(losses(&reader)?);
    Ok(Some(resolved))
}

fn by_line(found: &Blame) -> Resolved {
    let mut resolved = Resolved::default();
    let mut by_id: BTreeMap<&str, usize> = BTreeMap::new();
    for line in &found.lines {
        for part in &line.contributions {
            let place = *by_id.entry(&part.id).or_insert_with(|| {
                resolved.contributions.push(Found { id: part.id.clone(), lines: Vec::new(), share: 0.0 });
                resolved.contributions.len() - 1
            });
            let found = &mut resolved.contributions[place];
            found.lines.push(line.line);
            found.share = found.share.max(part.share);
        }
        match line.last_writer {
            _ if !line.contributions.is_empty() => {}
            "human" => resolved.human.push(line.line),
            _ => resolved.unknown.push(line.line),
        }
    }
    resolved
}

/// Acts in this file after the last time that anybody looked at it.
fn newer_acts(reader: &Reader, asked: &Asked, seen: &[Observed]) -> Result<Option<String>, Failure> {
    let Some(newest) = seen.iter().filter_map(|it| it.time).max() else { return Ok(None) };
    let mut count = 0;
    for act in acts(reader)? {
        let Ok(header) = act.header() else { continue };
        let is_seen = |id: &str| seen.iter().any(|it| it.contribution.as_deref() == Some(id));
        if header.time > newest && !header.subject.as_deref().is_some_and(is_seen) && happened_in(asked, header.data) {
            count += 1;
        }
    }
    Ok((count > 0).then(|| format!("{count} acts in this file came after its last snapshot: save it to place them")))
}

fn acts(reader: &Reader) -> Result<Vec<EventBytes>, Failure> {
    let mut out = Vec::new();
    for verb in ["suggestion.accepted", "edit.applied"] {
        let stored = reader.by_type(&format!("dev.countersign.{verb}.v1"), 0)?;
        out.extend(stored.into_iter().map(|stored| stored.bytes));
    }
    Ok(out)
}

fn happened_in(asked: &Asked, data: &str) -> bool {
    let Ok(data) = serde_json::from_str::<Value>(data) else { return false };
    let place = &data["place"];
    if let Some(uri) = place["uri"].as_str() {
        return asked.is_uri(uri);
    }
    let (repository, path) = asked.in_repository();
    place["path"] == path.as_str() && place["repository"].as_str() == repository.as_deref()
}

fn losses(reader: &Reader) -> Result<Vec<String>, Failure> {
    let losses = reader.status(None)?.losses;
    let told = losses.iter().filter_map(|stored| {
        let header = stored.bytes.header().ok()?;
        let data: Value = serde_json::from_str(header.data).ok()?;
        let what = header.event_type.trim_start_matches("dev.countersign.").trim_end_matches(".v1");
        let period = match (data["from"].as_str(), data["to"].as_str()) {
            (Some(from), Some(to)) => format!(" (from {from} to {to})"),
            _ => String::new(),
        };
        Some(format!("{what} at {}: {}{period}", header.time, data["reason"].as_str().unwrap_or("unknown")))
    });
    Ok(told.collect())
}

/// Tells the contributions of resolved lines from the spool.
pub(super) fn tell(state: &Path, resolved: &Resolved) -> Result<Answer, Failure> {
    let mut answer = Answer { lines: Some(resolved.others()), missing: resolved.missing.clone(), ..Answer::default() };
    let Some(reader) = open(state)? else { return Ok(answer) };
    let about = about(&reader)?;
    for found in &resolved.contributions {
        match tell_id(&reader, &about, &found.id)? {
            None => answer.missing.push(format!("contribution {} is not in this spool", found.id)),
            Some(mut told) => {
                resolved.add_lines(&mut told);
                answer.contributions.push(told);
            }
        }
    }
    Ok(answer)
}

/// Without a snapshot of the file: what happened in it, by where it happened then.
pub(super) fn by_place(state: &Path, asked: &Asked) -> Result<Answer, Failure> {
    let mut answer = Answer::default();
    let Some(reader) = open(state)? else {
        answer.missing.push("nothing has been recorded on this device".to_owned());
        return Ok(answer);
    };
    let about = about(&reader)?;
    let mut seen = Vec::new();
    for act in acts(&reader)? {
        let Ok(header) = act.header() else { continue };
        let data: Value = serde_json::from_str(header.data).unwrap_or_default();
        let Some(id) = data["contribution"].as_str().filter(|id| !seen.iter().any(|it| it == id)) else { continue };
        if !happened_in(asked, header.data) {
            continue;
        }
        seen.push(id.to_owned());
        let told = tell_id(&reader, &about, id)?;
        answer.contributions.extend(told.filter(|told| asked.lines.as_ref().is_none_or(|lines| touches(told, lines))));
    }
    answer.missing.push(
        "no snapshot of this file: lines are those at the moment of each act, and who wrote the others is not known"
            .to_owned(),
    );
    answer.missing.extend(losses(&reader)?);
    Ok(answer)
}

/// Events that speak of some contribution, whichever.
fn about(reader: &Reader) -> Result<Vec<EventBytes>, Failure> {
    let mut out = Vec::new();
    for noun in ABOUT {
        out.extend(reader.by_type(&format!("dev.countersign.{noun}.v1"), 0)?.into_iter().map(|stored| stored.bytes));
    }
    Ok(out)
}

fn tell_id(reader: &Reader, about: &[EventBytes], id: &str) -> Result<Option<Value>, Failure> {
    let mut events: Vec<EventBytes> = reader.by_subject(id)?.into_iter().map(|stored| stored.bytes).collect();
    let quoted = format!("\"{id}\"");
    events.extend(about.iter().filter(|bytes| bytes.as_str().contains(&quoted)).cloned());
    let Some(mut told) = tell_one(id, &events) else { return Ok(None) };
    for slot in told["content"].as_object_mut().into_iter().flat_map(|slots| slots.values_mut()) {
        open_text(reader, slot)?;
    }
    conversation::add(reader, &mut told)?;
    Ok(Some(told))
}

/// Adds to a slot of a kept text the text, or what became of it.
pub(super) fn open_text(reader: &Reader, slot: &mut Value) -> Result<(), Failure> {
    let Some(kept) = slot["kept"].as_str().map(str::to_owned) else { return Ok(()) };
    let state = match reader.content(&kept)? {
        ContentState::Ok { text, .. } => {
            slot["text"] = text.into();
            "ok"
        }
        ContentState::Shed => "shed",
        ContentState::Erased => "erased",
        ContentState::Missing => "missing",
    };
    slot["state"] = state.into();
    Ok(())
}
