//! Tools: what an agent called, and what could be captured on this machine.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Circumstances;
use crate::content::Contents;
use crate::facts::{Fact, How, IntegrationPath, Model, Person, Place};

/// `tool.called`: one for each tool call, written when its end is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Called {
    /// How we know that it was called.
    pub how: How,
    /// The tool's name, as the client shows it.
    pub tool_name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What somebody decided about it; left out where nobody did or nobody saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// Which model called it.
    pub model: Fact<Model>,
    /// On whose behalf.
    pub person: Fact<Person>,
    /// By which way.
    pub path: Fact<IntegrationPath>,
    /// Which file it was about.
    pub place: Place,
    /// The texts.
    #[serde(default)]
    pub content: Contents,
    /// What else is known.
    #[serde(flatten)]
    pub circumstances: Circumstances,
}

/// How a tool call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A file changed, whatever the call's own end.
    Applied,
    /// It ended and no file changed.
    Ran,
    /// A person refused or cancelled it.
    Rejected,
    /// A hook, a rule or a missing permission stopped it.
    Denied,
    /// It failed.
    Failed,
    /// Nobody saw its end.
    Unknown,
}

/// Who decided, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Decision {
    /// Who.
    pub by: DecidedBy,
    /// For how long.
    pub scope: DecisionScope,
}

/// Who decided about a tool call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DecidedBy {
    /// A person, this time.
    Person,
    /// A permission given earlier.
    Grant,
    /// A configured rule.
    Policy,
}

/// How long a decision holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DecisionScope {
    /// This call.
    Once,
    /// This session.
    Session,
    /// From now on.
    Always,
}

/// `tool.discovered`: a tool is here, and this is how well it can be captured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Discovered {
    /// How we know that it is here.
    pub how: How,
    /// Its name, or the command where nobody knows it.
    pub tool: String,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The path by which it is captured, or would be.
    pub path: Fact<IntegrationPath>,
    /// Whether its offers can be seen.
    pub captured: bool,
    /// What is blind, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}
