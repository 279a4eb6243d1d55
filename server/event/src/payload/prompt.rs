//! What a person asked.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Circumstances;
use crate::content::Contents;
use crate::facts::{Fact, How, IntegrationPath, Model, Person, Place, Prompt};

/// `prompt.submitted`: one for each prompt a person sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Submitted {
    /// How we know that it was sent.
    pub how: How,
    /// Its shape and kind.
    pub prompt: Fact<Prompt>,
    /// Which model it was meant for.
    pub model: Fact<Model>,
    /// Who sent it.
    pub person: Fact<Person>,
    /// By which way.
    pub path: Fact<IntegrationPath>,
    /// In which repository.
    pub place: Place,
    /// The texts.
    #[serde(default)]
    pub content: Contents,
    /// What else is known.
    #[serde(flatten)]
    pub circumstances: Circumstances,
}
