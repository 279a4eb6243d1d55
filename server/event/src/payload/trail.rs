//! What happened to the trail itself. Every loss is a record.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::{hex, sha256, sha256_parts};
use crate::facts::{Fact, How, Person};
use crate::time::Timestamp;

/// `trail.gap`: events that should be there are not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    /// How we know.
    pub how: How,
    /// Why: `overflow`, `no_room`, `crash` (a process stopped without saying so), `late`, `quarantined`,
    /// `unreadable`, `clock_back`, `clock_forward`.
    pub reason: String,
    /// How many events, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// From when; of a clock that was set, what it should have said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Until when; of a clock that was set, what it said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// Whose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// `trail.recovered`: a broken spool was set aside and salvaged into a new epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Recovered {
    /// How we know.
    pub how: How,
    /// What was wrong.
    pub reason: String,
    /// The file name the broken spool was kept under.
    pub set_aside: String,
    /// The epoch that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_epoch: Option<String>,
    /// Its last event that could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_seq: Option<u64>,
    /// Events that were brought over.
    pub salvaged: u64,
    /// Events that could not be, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<u64>,
}

/// `trail.forked`: two different histories of one stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Forked {
    /// How we know.
    pub how: How,
    /// The stream.
    pub stream: String,
    /// The epoch.
    pub epoch: String,
    /// The first event that differs.
    pub seq: u64,
    /// What made it: `restored`, `copied`, `unknown`.
    pub reason: String,
}

/// `trail.trimmed`: something was let go to make room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trimmed {
    /// How we know.
    pub how: How,
    /// `contents`, `events` or `snapshots`.
    pub what: String,
    /// How many.
    pub count: u64,
    /// How many bytes.
    pub bytes: u64,
    /// `bound`, `age`, `purge`, `disk_full`.
    pub reason: String,
    /// Which: SHA-256 over the sorted leaves of contents ([`content_leaf`]) or events ([`event_leaf`]), in
    /// hexadecimal. Whoever has the rest of the trail can tell whether just those are gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// How many of them a collector had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<u64>,
    /// Who asked for it, where somebody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<Fact<Person>>,
}

/// Returns what stands for a text in [`Trimmed::digest`]: its event, its name there and its commitment.
pub fn content_leaf(event: &str, name: &str, kept: &str) -> [u8; 32] {
    leaf(b"countersign.trimmed.content.v1", &[event.as_bytes(), name.as_bytes(), kept.as_bytes()])
}

/// Returns what stands for an event in [`Trimmed::digest`]: its place and the SHA-256 of its bytes.
pub fn event_leaf(epoch: &str, seq: u64, sha256_of_bytes: &[u8; 32]) -> [u8; 32] {
    leaf(b"countersign.trimmed.event.v1", &[epoch.as_bytes(), &seq.to_be_bytes(), sha256_of_bytes])
}

/// Returns [`Trimmed::digest`] of leaves in any order.
pub fn leaves_digest(mut leaves: Vec<[u8; 32]>) -> String {
    leaves.sort_unstable();
    hex(&sha256_parts(&leaves.iter().map(<[u8; 32]>::as_slice).collect::<Vec<_>>()))
}

/// Lengths first: no two lists of parts give the same bytes.
fn leaf(domain: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut bytes = domain.to_vec();
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    sha256(&bytes)
}
