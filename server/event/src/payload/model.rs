//! The model side's own record.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Circumstances;
use crate::content::Contents;
use crate::facts::{Fact, How, IntegrationPath, Model, Output, Person, Prompt};

/// `model.responded`: a provider, gateway or agent says what a model answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Responded {
    /// How we know.
    pub how: How,
    /// Which model.
    pub model: Fact<Model>,
    /// What it was asked.
    pub prompt: Fact<Prompt>,
    /// What it answered.
    pub output: Fact<Output>,
    /// On whose behalf.
    pub person: Fact<Person>,
    /// By which way; its `request_id` joins it to what clients saw.
    pub path: Fact<IntegrationPath>,
    /// Why it stopped, in the provider's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish: Option<String>,
    /// The texts.
    #[serde(default)]
    pub content: Contents,
    /// What else is known.
    #[serde(flatten)]
    pub circumstances: Circumstances,
}
