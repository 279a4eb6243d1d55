//! Whether we are watching, and what we could not see.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::facts::{Fact, How, IntegrationPath, Person};
use crate::time::Timestamp;

/// `capture.started`: a path is being watched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Started {
    /// How we know.
    pub how: How,
    /// What is watched.
    pub path: Fact<IntegrationPath>,
    /// Our own version.
    pub countersign: String,
    /// The editor or client, as it names itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
}

/// `capture.paused`: a person or policy paused capture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Paused {
    /// How we know.
    pub how: How,
    /// `all`, or the repository's ID.
    pub scope: String,
    /// Who.
    pub person: Fact<Person>,
    /// Until when, where a time was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// `command`, `editor`, `policy`.
    pub by: String,
    /// The patterns of the paths it covers, where it does not cover the whole scope.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
}

/// `capture.resumed`: capture goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resumed {
    /// How we know.
    pub how: How,
    /// `all`, or the repository's ID.
    pub scope: String,
    /// Who; absent where the time ran out.
    pub person: Fact<Person>,
    /// `command`, `editor`, `time`.
    pub by: String,
}

/// `capture.degraded`: something could not be seen. Counted, never silent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Degraded {
    /// How we know.
    pub how: How,
    /// Which path.
    pub path: Fact<IntegrationPath>,
    /// What went wrong, in a few fixed words: `malformed_frame`, `impossible_range`, ...
    pub reason: String,
    /// More of it, without text of the user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// How often since the last such event.
    pub count: u64,
    /// The document, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
}

/// `capture.stopped`: a path is no longer watched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stopped {
    /// How we know.
    pub how: How,
    /// Which path.
    pub path: Fact<IntegrationPath>,
    /// `exit`, `end_of_input`, `parent_gone`, `child_exited`, `signal`.
    pub reason: String,
    /// The exit status of what was watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
}
