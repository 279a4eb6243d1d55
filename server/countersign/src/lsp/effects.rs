//! From what the session saw to what is recorded of it.

use countersign_event::content::ContentName;
use countersign_event::facts::{IntegrationPath, Output, PathKind, Place, Range, Transport};
use countersign_event::payload::Circumstances;
use countersign_event::payload::contribution::{Evidenced, Measured};
use countersign_event::payload::edit::Applied;
use countersign_event::{Absent, Fact, How, Payload, Timestamp};
use countersign_provenance::session::{BulkInsertion, Measurement};
use countersign_provenance::spans::ContributionId;

use crate::recorder::Record;

/// How sure we are that a bulk insertion nobody explained was generated: it may as well be a paste
/// from a person's own file. Chosen by us; it flags and never blocks.
const BULK_CONFIDENCE: f64 = 0.2;

/// How much of a contribution is there. Compares texts: it may take milliseconds.
pub(crate) fn measured(measurement: &Measurement, at: Timestamp) -> Record {
    let contribution = measurement.contribution.as_str().to_owned();
    let payload = Payload::ContributionMeasured(Measured {
        how: How::Observed,
        contribution: contribution.clone(),
        moment: measurement.moment,
        accepted_bytes: measurement.accepted_bytes,
        surviving_bytes: measurement.surviving_bytes,
        distance: measurement.distance(),
        first_seen: measurement.is_first_seen,
        place: place(measurement.uri.clone(), measurement.range),
    });
    Record::light(at, contribution, payload)
}

/// An act that another observer recorded was seen entering the buffer.
pub(crate) fn evidenced(
    contribution: &ContributionId,
    act: u32,
    uri: String,
    range: Range,
    path: IntegrationPath,
    at: Timestamp,
) -> Record {
    let contribution = contribution.as_str().to_owned();
    let payload = Payload::ContributionEvidenced(Evidenced {
        how: How::Observed,
        contribution: contribution.clone(),
        act: Some(act),
        saw: "entered_buffer".to_owned(),
        model: None,
        prompt: None,
        output: None,
        person: None,
        path: Fact::observed(path),
        place: place(uri, Some(range)),
        content: Default::default(),
    });
    Record::light(at, contribution, payload)
}

/// Text came that nobody explained and no person types.
pub(crate) fn bulk_insertion(bulk: BulkInsertion, id: String) -> Record {
    let output = Output::of(&bulk.text);
    let output_bytes = output.bytes;
    let mut place = place(bulk.uri, Some(bulk.range));
    place.language = Some(bulk.language);
    let payload = Payload::EditApplied(Applied {
        how: How::Inferred,
        contribution: id.clone(),
        model: Fact::absent(Absent::NotOnWire),
        prompt: Fact::absent(Absent::NotOnWire),
        output: Fact::observed(output),
        person: Fact::absent(Absent::NotOnWire),
        path: Fact::observed(IntegrationPath::new(PathKind::Unknown, Transport::Edits)),
        place,
        before_blob: None,
        after_blob: None,
        hunks: Vec::new(),
        entered: bulk.entered,
        rule: Some("bulk_insertion".to_owned()),
        confidence: Some(BULK_CONFIDENCE),
        content: Default::default(),
        circumstances: Circumstances::default(),
    });
    Record { at: bulk.at, subject: Some(id), payload, texts: vec![(ContentName::Output, bulk.text)], output_bytes }
}

fn place(uri: String, range: Option<Range>) -> Place {
    Place { uri: Some(uri), range, ..Place::default() }
}
