//! What a gate decided about a change.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::facts::{How, Place};

/// `gate.decided`: policy was applied to a change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Decided {
    /// How we know.
    pub how: How,
    /// Which change.
    pub place: Place,
    /// `pass`, `peer`, `escalate` or `block`.
    pub verdict: String,
    /// From 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// The version of the policy.
    pub policy: String,
    /// Each reason, in words.
    pub reasons: Vec<String>,
    /// What is still owed before the change may pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub obligations: Vec<String>,
}
