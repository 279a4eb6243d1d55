//! What git did, and where the text of a commit came from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::chain::Head;
use crate::facts::How;

/// `ref.moved`: git moved a reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefMoved {
    /// How we know.
    pub how: How,
    /// The repository's ID; empty where a hook had no time to find it out.
    pub repository: String,
    /// The reference, whole: `refs/heads/main`, `HEAD`.
    pub reference: String,
    /// Where it stood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The hook or command that told us. At `pre-push` nothing moves: it is where the reference stands when
    /// it is about to leave the device.
    pub by: String,
    /// Commits that were rewritten, old to new.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rewritten: Vec<(String, String)>,
}

/// `commit.attested`: the origin of every byte of every path a commit changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attested {
    /// How we know.
    pub how: How,
    /// The repository's ID.
    pub repository: String,
    /// The commit.
    pub commit: String,
    /// Its parents.
    pub parents: Vec<String>,
    /// Every changed path.
    pub files: Vec<AttestedFile>,
    /// The trail's head when this was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Head>,
}

/// One path of an attested commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttestedFile {
    /// The path, with `/`.
    pub path: String,
    /// The blob.
    pub blob: String,
    /// The spans of the whole blob, sorted, covering it.
    pub spans: Vec<AttestedSpan>,
    /// Who last changed each line, as spans of whole lines; empty where that is whoever wrote most of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writers: Vec<AttestedSpan>,
}

/// One run of bytes with one origin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttestedSpan {
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
    /// `human`, `ai` or `unknown`.
    pub origin: String,
    /// The contribution, for `ai`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contribution: Option<String>,
    /// How the origin is known.
    pub how: How,
}
