//! A file that an agent or tool changed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Circumstances;
use super::contribution::Evidenced;
use super::suggestion::Entered;
use crate::content::Contents;
use crate::facts::{Fact, How, IntegrationPath, Model, Output, Person, Place, Prompt};

/// `edit.applied`: one for each file that a call changed, or for a bulk insertion nobody explained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Applied {
    /// How we know that it happened.
    pub how: How,
    /// The contribution.
    pub contribution: String,
    /// Which model.
    pub model: Fact<Model>,
    /// What it was asked.
    pub prompt: Fact<Prompt>,
    /// What it wrote.
    pub output: Fact<Output>,
    /// On whose behalf.
    pub person: Fact<Person>,
    /// By which way.
    pub path: Fact<IntegrationPath>,
    /// Which file.
    pub place: Place,
    /// Blob id of the file before, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_blob: Option<String>,
    /// Blob id of the file after, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_blob: Option<String>,
    /// Which lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hunks: Vec<Hunk>,
    /// What entered an open buffer, where that is what was seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entered: Vec<Entered>,
    /// The rule and confidence, for an inferred edit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// From 0 to 1, for an inferred edit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// The texts.
    #[serde(default)]
    pub content: Contents,
    /// What else is known.
    #[serde(flatten)]
    pub circumstances: Circumstances,
}

impl Applied {
    /// Returns what this observation is worth where another observer has told of the same edit before:
    /// evidence, with the facts and without the texts.
    pub fn as_evidence(&self) -> Evidenced {
        Evidenced {
            how: self.how,
            contribution: self.contribution.clone(),
            act: None,
            saw: "edit_applied".to_owned(),
            model: Some(self.model.clone()),
            prompt: Some(self.prompt.clone()),
            output: Some(self.output.clone()),
            person: None,
            path: self.path.clone(),
            place: self.place.clone(),
            content: Contents::default(),
        }
    }
}

/// A changed run of lines, 1-based, as a unified diff writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hunk {
    /// First old line.
    pub old_start: u32,
    /// How many old lines.
    pub old_lines: u32,
    /// First new line.
    pub new_start: u32,
    /// How many new lines.
    pub new_lines: u32,
}
