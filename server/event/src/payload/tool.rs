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
    /// Whether the client says that it ended well; left out where it does not say. A file may have
    /// changed either way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succeeded: Option<bool>,
    /// What sort of work it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// What in its command line says so; left out for `other`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classed_by: Option<ClassedBy>,
    /// The exit status of its command; left out where the client does not tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_status: Option<i32>,
    /// How the work tree stood to `place.base` when it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<Fact<TreeState>>,
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

/// What sort of work a tool call was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// It ran tests.
    Test,
    /// It compiled, packaged or checked types.
    Build,
    /// Anything else, or nothing that we know.
    Other,
}

/// What made a command a test or a build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClassedBy {
    /// The program and subcommand that were recognised, such as `cargo test`.
    pub rule: String,
    /// Whether the whole command can only end with 0 if that program did: it stands neither before a
    /// `|`, `;` or `||`, nor after a `||`, nor in the background.
    pub decides_exit: bool,
}

/// How a work tree stands to its base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TreeState {
    /// A file that git does not ignore differs from the base, or is not in it.
    pub dirty: bool,
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
