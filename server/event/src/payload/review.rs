//! A person's review of a change.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::facts::{Fact, How, Person, Place};

/// `review.recorded`: a person looked at a change and said so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Recorded {
    /// How we know.
    pub how: How,
    /// Who.
    pub person: Fact<Person>,
    /// What was reviewed; `place.change` names the review.
    pub place: Place,
    /// The contributions it covered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contributions: Vec<String>,
    /// `reviewed`, `approved`, `changes_requested`.
    pub verdict: String,
}
