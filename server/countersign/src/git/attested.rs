//! Attributions in `commit.attested`: written by settle, read by whoever asks about the same blob.

use std::collections::HashSet;

use countersign_event::facts::How;
use countersign_event::payload::Payload;
use countersign_event::payload::commit::{Attested, AttestedFile, AttestedSpan};
use countersign_provenance::attribution::Attribution;
use countersign_provenance::carry::{Known, Tier, carry};
use countersign_provenance::spans::{ContributionId, Origin, Spans};
use countersign_spool::{Reader, SpoolError};

use super::objects::Objects;

/// Makes the attested form of a file. `is_inferred` says of which contributions only one side was seen.
pub(crate) fn file(
    path: &str,
    blob: &str,
    text: &str,
    attribution: &Attribution,
    is_inferred: &mut dyn FnMut(&str) -> bool,
) -> AttestedFile {
    let mut spans = |spans: &Spans| -> Vec<AttestedSpan> {
        spans.iter().map(|(range, origin)| span(range.start as u64, range.end as u64, origin, is_inferred)).collect()
    };
    let is_plain = Attribution::of_origins(text, attribution.origins.clone()).writers == attribution.writers;
    AttestedFile {
        path: path.to_owned(),
        blob: blob.to_owned(),
        spans: spans(&attribution.origins),
        writers: if is_plain { Vec::new() } else { spans(&attribution.writers) },
    }
}

fn span(start: u64, end: u64, origin: &Origin, is_inferred: &mut dyn FnMut(&str) -> bool) -> AttestedSpan {
    let (word, contribution, how) = match origin {
        Origin::Human(how) => ("human", None, *how),
        Origin::Unknown => ("unknown", None, How::Observed),
        Origin::Ai(id) => {
            let how = if is_inferred(id.as_str()) { How::Inferred } else { How::Observed };
            ("ai", Some(id.as_str().to_owned()), how)
        }
    };
    AttestedSpan { start, end, origin: word.to_owned(), contribution, how }
}

/// Reads an attested file back. `None` where it does not cover the text.
pub(crate) fn attribution(file: &AttestedFile, text: &str) -> Option<Attribution> {
    let read = |all: &[AttestedSpan]| {
        let mut spans = Spans::default();
        for it in all {
            let (start, end) = (usize::try_from(it.start).ok()?, usize::try_from(it.end).ok()?);
            if start != spans.len_bytes() || end <= start || !text.is_char_boundary(end.min(text.len())) {
                return None;
            }
            let origin = match (it.origin.as_str(), &it.contribution) {
                ("human", _) => Origin::Human(it.how),
                ("ai", Some(id)) => Origin::Ai(ContributionId::new(id)),
                _ => Origin::Unknown,
            };
            spans.push(end - start, origin);
        }
        (spans.len_bytes() == text.len()).then_some(spans)
    };
    let origins = read(&file.spans)?;
    if file.writers.is_empty() {
        return Some(Attribution::of_origins(text, origins));
    }
    Some(Attribution { origins, writers: read(&file.writers)? })
}

/// Says whether a commit was attested on this device.
pub(crate) fn is_there(reader: &Reader, commit: &str) -> Result<bool, SpoolError> {
    let is_it = |stored: &countersign_spool::Stored| {
        stored.bytes.header().is_ok_and(|header| header.event_type == "dev.countersign.commit.attested.v1")
    };
    Ok(reader.by_subject(commit)?.iter().any(is_it))
}

/// Returns what was attested of a path in a commit, if its blob is this text.
pub(crate) fn of(reader: &Reader, commit: &str, path: &str, text: &str) -> Option<Attribution> {
    found(reader, commit, path, text).map(|(_, attribution)| attribution)
}

fn found(reader: &Reader, commit: &str, path: &str, text: &str) -> Option<(AttestedFile, Attribution)> {
    for stored in reader.by_subject(commit).ok()? {
        let Ok(Payload::CommitAttested(Attested { commit: named, files, .. })) = stored.bytes.payload() else {
            continue;
        };
        if named != commit {
            continue;
        }
        let blob = super::state::git_blob_like(text.as_bytes(), Some(commit));
        let file = files.into_iter().find(|file| file.path == path && file.blob == blob);
        if let Some((file, attribution)) = file.and_then(|file| attribution(&file, text).map(|it| (file, it))) {
            return Some((file, attribution));
        }
    }
    None
}

/// What was attested of a text, and of which of its contributions only one side was seen.
pub(crate) struct Nearest {
    pub(crate) attribution: Attribution,
    pub(crate) inferred: HashSet<String>,
    /// It is the very text that was attested.
    pub(crate) is_exact: bool,
}

/// Carries a text from what was attested of its path in `made`, the commit that changed it last. `None` where
/// nothing was.
pub(crate) fn nearest(reader: &Reader, objects: &mut Objects, made: &str, path: &str, text: &str) -> Option<Nearest> {
    let known = at(objects, made, path)?;
    let (file, attribution) = found(reader, made, path, &known)?;
    let inferred =
        file.spans.iter().filter(|span| span.how == How::Inferred).filter_map(|span| span.contribution.clone());
    let inferred = inferred.collect();
    if known == text {
        return Some(Nearest { attribution, inferred, is_exact: true });
    }
    let known = [Known { text: &known, attribution: &attribution, tier: Tier::Strong }];
    let attribution = carry(&known, text, &Origin::Unknown, None);
    Some(Nearest { attribution, inferred, is_exact: false })
}

fn at(objects: &mut Objects, commit: &str, path: &str) -> Option<String> {
    let blob = objects.name(&format!("{commit}:{path}")).filter(|found| found.is_blob)?;
    String::from_utf8(objects.blob(&blob.oid)?).ok()
}
