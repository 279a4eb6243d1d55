//! What a risk rule found in AI-written code, and what a person did about it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::facts::{Fact, How, Person, Place};

/// `finding.raised`: a rule fired.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Raised {
    /// How we know.
    pub how: How,
    /// The rule.
    pub rule: String,
    /// `high`, `medium` or `low`.
    pub severity: String,
    /// Weakness identifiers, `CWE-78`.
    pub cwe: Vec<String>,
    /// Stable over moves: rule and normalised text, not line.
    pub fingerprint: String,
    /// The contribution it stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contribution: Option<String>,
    /// Where.
    pub place: Place,
}

/// `finding.dismissed`: a person set it aside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Dismissed {
    /// How we know.
    pub how: How,
    /// The rule.
    pub rule: String,
    /// The finding.
    pub fingerprint: String,
    /// In the person's words, redacted.
    pub reason: String,
    /// Who.
    pub person: Fact<Person>,
    /// Where.
    pub place: Place,
}

/// `finding.resolved`: its code is gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resolved {
    /// How we know.
    pub how: How,
    /// The rule.
    pub rule: String,
    /// The finding.
    pub fingerprint: String,
    /// `edited`, `fixed`, `deleted`.
    pub by: String,
    /// Where it was.
    pub place: Place,
}
