//! Text an AI offered, and what a person did with it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Circumstances;
use crate::content::Contents;
use crate::facts::{Fact, How, IntegrationPath, Model, Output, Person, Place, Prompt, Range};
use crate::time::Timestamp;

/// `suggestion.offered`: an AI offered text. It mints the contribution's id, for life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Offered {
    /// How we know that the offer was made.
    pub how: How,
    /// The contribution's id.
    pub contribution: String,
    /// Which alternative of one answer this is, from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub alternative: u32,
    /// Which model.
    pub model: Fact<Model>,
    /// What it was asked.
    pub prompt: Fact<Prompt>,
    /// What it answered.
    pub output: Fact<Output>,
    /// Whom it was offered to.
    pub person: Fact<Person>,
    /// By which way.
    pub path: Fact<IntegrationPath>,
    /// Where: the range it would replace.
    pub place: Place,
    /// [`crate::digest::entered`] of its text, so that another observer can recognise it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The texts.
    #[serde(default)]
    pub content: Contents,
    /// What else is known.
    #[serde(flatten)]
    pub circumstances: Circumstances,
}

/// `suggestion.accepted`: one act by which text of a suggestion entered a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    /// How we know that it was accepted.
    pub how: How,
    /// The contribution.
    pub contribution: String,
    /// The act's number within the contribution, from 1.
    pub act: u32,
    /// How much of it.
    pub extent: Extent,
    /// By which sign a person meant it.
    pub gesture: Gesture,
    /// The rule, for an inferred act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// From 0 to 1, for an inferred act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// Which model.
    pub model: Fact<Model>,
    /// What it was asked.
    pub prompt: Fact<Prompt>,
    /// What it offered.
    pub output: Fact<Output>,
    /// Who accepted.
    pub person: Fact<Person>,
    /// By which way.
    pub path: Fact<IntegrationPath>,
    /// Where it entered: the range that was replaced.
    pub place: Place,
    /// What entered, so that another observer can recognise it.
    pub entered: Vec<Entered>,
    /// Offered against accepted.
    pub distance: Distance,
    /// When it was shown, where anybody can know.
    pub shown: Fact<Shown>,
    /// Shown to accepted, for 10 lines and more, in four classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dwell: Option<Dwell>,
    /// The texts.
    #[serde(default)]
    pub content: Contents,
    /// What else is known.
    #[serde(flatten)]
    pub circumstances: Circumstances,
}

/// `suggestion.rejected`: a suggestion ended without entering, or was taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rejected {
    /// How we know that it was rejected.
    pub how: How,
    /// The contribution.
    pub contribution: String,
    /// The act's number within the contribution, from 1.
    pub act: u32,
    /// Why it ended.
    pub reason: RejectReason,
    /// The act that was taken back, for `undone`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<u32>,
    /// The rule, for an inferred end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Which model.
    pub model: Fact<Model>,
    /// What it had offered.
    pub output: Fact<Output>,
    /// Who rejected it.
    pub person: Fact<Person>,
    /// By which way.
    pub path: Fact<IntegrationPath>,
    /// Where it had been offered.
    pub place: Place,
    /// The texts.
    #[serde(default)]
    pub content: Contents,
}

/// How much of a suggestion an act took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// All of it, or all that was left of it.
    Full,
    /// A word or a line of it.
    Partial,
    /// It was changed before it entered.
    Modified,
}

/// By which sign we know that a person meant it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gesture {
    /// A message said so, and no edit was seen.
    Explicit,
    /// Only the edit was seen.
    Edit,
    /// Both.
    Both,
}

/// Why a suggestion ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// A message said that it was dismissed.
    Dismissed,
    /// Something else was typed in its place.
    TypedOver,
    /// The person typed the same text by hand.
    TypedAsSuggested,
    /// A newer answer took its place.
    Superseded,
    /// A message said that it was ignored.
    Ignored,
    /// An accepted text was undone.
    Undone,
    /// The document was closed or the session ended.
    SessionEnded,
    /// An answer came that nobody was shown.
    NeverShown,
}

/// One insertion of an act, recognisable by another observer on the device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Entered {
    /// The range it replaced, in the document as it was then.
    pub range: Range,
    /// UTF-8 bytes of the inserted text.
    pub bytes: u64,
    /// Keyed digest of the inserted text: one device recognises its own, nobody else can guess it.
    pub digest: String,
}

/// When a suggestion was on the screen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Shown {
    /// When it appeared.
    pub at: Timestamp,
}

/// How long a suggestion of 10 lines or more was looked at. Finer times are never recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Dwell {
    /// Under a second.
    #[serde(rename = "lt_1s")]
    Under1s,
    /// One to five seconds.
    #[serde(rename = "1_5s")]
    From1To5s,
    /// Five to thirty seconds.
    #[serde(rename = "5_30s")]
    From5To30s,
    /// Over thirty seconds.
    #[serde(rename = "gt_30s")]
    Over30s,
}

impl Dwell {
    /// Sorts a time into its class.
    pub fn of_millis(ms: i64) -> Dwell {
        match ms {
            ..1_000 => Dwell::Under1s,
            1_000..5_000 => Dwell::From1To5s,
            5_000..30_000 => Dwell::From5To30s,
            _ => Dwell::Over30s,
        }
    }
}

/// How far two texts are apart, with everything needed to compute it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distance {
    /// What is counted: `tokens`.
    pub metric: String,
    /// The algorithm and its version: `similar 3.2.1 histogram`.
    pub algorithm: String,
    /// Units only in the later text.
    pub inserted: u64,
    /// Units only in the earlier text.
    pub deleted: u64,
    /// Units in both.
    pub kept: u64,
    /// `kept / (kept + deleted)`: the share of the earlier text that is still there; 1 for an empty one.
    pub ratio: f64,
    /// False where the size bound was reached and the figure is coarser.
    pub exact: bool,
    /// Exact Levenshtein distance in characters, for texts of up to 4 kB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub levenshtein: Option<u64>,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}
