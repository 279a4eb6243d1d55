//! What became of a contribution, and who else saw it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::suggestion::Distance;
use crate::content::Contents;
use crate::facts::{Fact, How, IntegrationPath, Model, Output, Person, Place, Prompt};

/// `contribution.measured`: how much of it is still there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measured {
    /// How we know.
    pub how: How,
    /// The contribution.
    pub contribution: String,
    /// At which moment of its life.
    pub moment: Moment,
    /// Bytes that entered.
    pub accepted_bytes: u64,
    /// Of these, bytes that are still there. The primary figure.
    pub surviving_bytes: u64,
    /// Accepted against what stands there now.
    pub distance: Distance,
    /// The accepted text is not on this device any more: `distance` is from what stood there when a
    /// session first saw it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub first_seen: bool,
    /// Where it stands now.
    pub place: Place,
}

/// When a contribution is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Moment {
    /// As it entered.
    #[serde(rename = "acceptance")]
    Acceptance,
    /// After 30 seconds.
    #[serde(rename = "30s")]
    After30s,
    /// After 2 minutes.
    #[serde(rename = "2m")]
    After2m,
    /// After 5 minutes.
    #[serde(rename = "5m")]
    After5m,
    /// After 10 minutes.
    #[serde(rename = "10m")]
    After10m,
    /// When the file was saved.
    #[serde(rename = "save")]
    Save,
    /// When the document was closed.
    #[serde(rename = "close")]
    Close,
    /// When it was committed.
    #[serde(rename = "commit")]
    Commit,
}

/// `contribution.evidenced`: a later or second observation, with whatever facts it adds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidenced {
    /// How we know.
    pub how: How,
    /// The contribution.
    pub contribution: String,
    /// The act it bears on, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<u32>,
    /// What was seen: `entered_buffer`, `explicit_message`, `model_named`, ...
    pub saw: String,
    /// A model it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Fact<Model>>,
    /// A prompt it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Fact<Prompt>>,
    /// An output it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Fact<Output>>,
    /// A person it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<Fact<Person>>,
    /// By which way it was seen.
    pub path: Fact<IntegrationPath>,
    /// Where.
    pub place: Place,
    /// The texts.
    #[serde(default)]
    pub content: Contents,
}
