//! What happened to the trail itself. Every loss is a record.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::facts::How;
use crate::time::Timestamp;

/// `trail.gap`: events that should be there are not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    /// How we know.
    pub how: How,
    /// Why: `overflow`, `crash`, `late`, `quarantined`, `unreadable`, `silence`, `spool_unavailable`.
    pub reason: String,
    /// How many events, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// From when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Until when.
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
    /// `bound`, `age`, `purge`.
    pub reason: String,
}
