//! Every kind of thing that can be recorded, one file a noun.
//!
//! The list is the schema: adding a type means one variant here, one golden file, one line in the
//! JSON Schema. Types that nothing emits yet are defined all the same, so that their shape is fixed
//! before the first reader depends on it.

pub mod capture;
pub mod commit;
pub mod contribution;
pub mod edit;
pub mod finding;
pub mod gate;
pub mod model;
mod parts;
pub mod prompt;
pub mod review;
pub mod suggestion;
pub mod tool;
pub mod trail;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::facts::{Absent, How, Sensitivity};

/// Declares the closed list of payloads once: variant, type name, data type.
macro_rules! payloads {
    ($( $(#[doc = $doc:literal])+ $variant:ident($data:ty) = $name:literal, )+) => {
        /// What happened. In JSON only the data; the type stands in the envelope.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(untagged)]
        pub enum Payload {
            $( $(#[doc = $doc])+ $variant($data), )+
            /// A type of a later version, kept as it came.
            Unknown(Unknown),
        }

        impl Payload {
            /// Every type name this version knows, in the order of the design.
            pub const TYPES: &[&str] = &[$( concat!("dev.countersign.", $name, ".v1"), )+];

            /// Returns the whole type name, `dev.countersign.<noun>.<verb>.v1`.
            pub fn event_type(&self) -> &str {
                match self {
                    $( Payload::$variant(_) => concat!("dev.countersign.", $name, ".v1"), )+
                    Payload::Unknown(unknown) => &unknown.event_type,
                }
            }

            /// Reads the data of an event of this type.
            ///
            /// Errors: the data of a known type does not have its shape.
            pub fn parse(event_type: &str, data: &str) -> Result<Payload, serde_json::Error> {
                match event_type {
                    $( concat!("dev.countersign.", $name, ".v1") =>
                        serde_json::from_str(data).map(Payload::$variant), )+
                    _ => Ok(Payload::Unknown(Unknown {
                        event_type: event_type.to_owned(),
                        data: RawValue::from_string(data.to_owned())?,
                    })),
                }
            }

            /// Returns the JSON Schema of the data of each type, by whole type name.
            pub fn schemas() -> Vec<(&'static str, schemars::Schema)> {
                vec![$( (concat!("dev.countersign.", $name, ".v1"), schemars::schema_for!($data)), )+]
            }
        }
    };
}

payloads! {
    /// An AI offered text.
    SuggestionOffered(suggestion::Offered) = "suggestion.offered",
    /// A person took it, whole or in part.
    SuggestionAccepted(suggestion::Accepted) = "suggestion.accepted",
    /// It was not taken, or taken back.
    SuggestionRejected(suggestion::Rejected) = "suggestion.rejected",
    /// An agent or tool changed a file.
    EditApplied(edit::Applied) = "edit.applied",
    /// A person sent a prompt.
    PromptSubmitted(prompt::Submitted) = "prompt.submitted",
    /// An agent called a tool.
    ToolCalled(tool::Called) = "tool.called",
    /// How much of a contribution is left.
    ContributionMeasured(contribution::Measured) = "contribution.measured",
    /// Somebody else saw the same contribution.
    ContributionEvidenced(contribution::Evidenced) = "contribution.evidenced",
    /// git moved a reference.
    RefMoved(commit::RefMoved) = "ref.moved",
    /// The origin of every changed file of a commit.
    CommitAttested(commit::Attested) = "commit.attested",
    /// A rule fired.
    FindingRaised(finding::Raised) = "finding.raised",
    /// A person set a finding aside, with a reason.
    FindingDismissed(finding::Dismissed) = "finding.dismissed",
    /// The code of a finding is gone.
    FindingResolved(finding::Resolved) = "finding.resolved",
    /// The model side's own record of an answer.
    ModelResponded(model::Responded) = "model.responded",
    /// A tool was found that could be captured, or can't.
    ToolDiscovered(tool::Discovered) = "tool.discovered",
    /// Capture of a path began.
    CaptureStarted(capture::Started) = "capture.started",
    /// A person or policy paused capture.
    CapturePaused(capture::Paused) = "capture.paused",
    /// Capture goes on.
    CaptureResumed(capture::Resumed) = "capture.resumed",
    /// Something could not be seen.
    CaptureDegraded(capture::Degraded) = "capture.degraded",
    /// Capture of a path ended.
    CaptureStopped(capture::Stopped) = "capture.stopped",
    /// Events that should be there are not.
    TrailGap(trail::Gap) = "trail.gap",
    /// A broken spool was set aside and salvaged.
    TrailRecovered(trail::Recovered) = "trail.recovered",
    /// Two histories of one stream.
    TrailForked(trail::Forked) = "trail.forked",
    /// Something was let go to make room.
    TrailTrimmed(trail::Trimmed) = "trail.trimmed",
    /// A person reviewed a change.
    ReviewRecorded(review::Recorded) = "review.recorded",
    /// A gate decided about a change.
    GateDecided(gate::Decided) = "gate.decided",
}

/// An event of a type this version does not know: its data, byte for byte.
#[derive(Clone, Debug)]
pub struct Unknown {
    /// The whole type name.
    pub event_type: String,
    /// The data.
    pub data: Box<RawValue>,
}

impl PartialEq for Unknown {
    fn eq(&self, other: &Self) -> bool {
        self.event_type == other.event_type && self.data.get() == other.data.get()
    }
}

impl Serialize for Unknown {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.data.serialize(serializer)
    }
}

/// A file or resource the model was given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContextItem {
    /// The path in the repository, or the resource's URI.
    pub path: String,
    /// Our address of its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// How sensitive policy says it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensitivity: Option<Sensitivity>,
    /// Bytes of its text, all of it, whatever part the model was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// How the digest is known: `observed` from the file itself, `reported` from what the tool said it read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub how: Option<How>,
    /// Why there is no digest, where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<Absent>,
}

/// Whether secret files were within reach, or were read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretsAccess {
    /// Paths of secret files that were read.
    pub read: Vec<String>,
    /// Whether anything stood between the tool and the rest of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reachable: Option<bool>,
}

/// What a call used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    /// What it cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
}

/// Tokens of one call, as the provider counts them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tokens {
    /// Read by the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<u64>,
    /// Written by the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<u64>,
    /// Of the input, taken from a cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<u64>,
    /// Of the output, spent on reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<u64>,
}

/// An amount of money.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    /// How much, in units of the currency.
    pub amount: f64,
    /// ISO 4217.
    pub currency: String,
}

/// What may be known beyond the five facts. Every field is left out where nobody knows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Circumstances {
    /// What the model was given to read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<ContextItem>,
    /// Which secret files were within reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets_access: Option<SecretsAccess>,
    /// What sort of text it is: code, test, configuration, documentation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// What the call used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}
