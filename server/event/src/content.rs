//! Texts that belong to an event: which are kept, and the salted commitments the event holds.
//!
//! An event never holds text. For each text it could have had, it holds a [`ContentSlot`] under the
//! text's name in `data.content`: a commitment to what was kept, or the reason why nothing was.
//! Whoever has the original can prove it against the commitment; once key and salt are destroyed the
//! commitment says nothing.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::{hex, sha256_parts};
use crate::facts::Absent;
use crate::redact::Redaction;

/// One content is at most this many bytes; the rest is cut off and said so.
pub const CONTENT_BYTES_MAX: usize = 1 << 20;

/// An event stays light: of a text with more secrets than this only the first are listed.
pub const REDACTIONS_MAX: usize = 8;

/// Outputs of more than this many bytes are kept, unless policy says otherwise (design, section 4).
pub const THRESHOLD_BYTES_DEFAULT: u64 = 1024;

/// The texts an event may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContentName {
    /// What the model was asked.
    Prompt,
    /// What the model offered.
    Output,
    /// What one act inserted.
    Accepted,
    /// A file before an edit.
    Before,
    /// A file after an edit.
    After,
    /// What the model said it was thinking.
    Reasoning,
    /// Name and e-mail of the person.
    Person,
    /// The arguments of a tool call.
    Arguments,
}

impl ContentName {
    /// Returns the name as it stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            ContentName::Prompt => "prompt",
            ContentName::Output => "output",
            ContentName::Accepted => "accepted",
            ContentName::Before => "before",
            ContentName::After => "after",
            ContentName::Reasoning => "reasoning",
            ContentName::Person => "person",
            ContentName::Arguments => "arguments",
        }
    }
}

/// The texts of one event, by name. Empty where the event's type has none.
pub type Contents = BTreeMap<ContentName, ContentSlot>;

/// A kept text's commitment, or the reason why it was not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ContentSlot {
    /// It was kept.
    Kept(Commitment),
    /// Policy decided not to keep it.
    NotKept {
        /// Why.
        absent: Absent,
        /// The version of the policy that decided.
        policy: String,
    },
    /// There was nothing to decide about.
    Absent {
        /// Why.
        absent: Absent,
    },
}

/// What an event holds of a kept text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Commitment {
    /// `sha256(salt ‖ redacted bytes)`, hexadecimal; also the content's address.
    pub kept: String,
    /// `sha256(salt ‖ bytes on the wire)`, hexadecimal, where they differ from what was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// Bytes of the redacted text.
    pub bytes: u64,
    /// Why it was kept.
    pub reason: KeepReason,
    /// The version of the policy that decided.
    pub policy: String,
    /// `truncated` where the text was longer than one content may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<Absent>,
    /// What was taken out of it, each with kind, length and keyed hash; at most [`REDACTIONS_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redacted: Vec<Redaction>,
}

/// Why a text was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeepReason {
    /// The output was larger than the threshold.
    Threshold,
    /// The path is sensitive.
    Sensitive,
    /// Policy says always.
    Always,
}

/// Returns `sha256(salt ‖ text)` in hexadecimal.
pub fn commit(salt: &[u8], text: &[u8]) -> String {
    hex(&sha256_parts(&[salt, text]))
}

/// The tier settings in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiers {
    /// When texts are kept.
    pub full: Full,
    /// The threshold in bytes; an output of exactly this size is not kept.
    pub threshold_bytes: u64,
    /// Names these settings in every decision; `default` without a policy file.
    pub policy: String,
}

/// When texts are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Full {
    /// When the output exceeds the threshold or the path is sensitive.
    Threshold,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Default for Tiers {
    fn default() -> Self {
        Tiers { full: Full::Threshold, threshold_bytes: THRESHOLD_BYTES_DEFAULT, policy: "default".to_owned() }
    }
}

impl Tiers {
    /// Decides whether the texts around an output of `output_bytes` are kept.
    ///
    /// Errors: the reason why they are not.
    pub fn decide(&self, output_bytes: u64, sensitive: bool) -> Result<KeepReason, Absent> {
        match self.full {
            Full::Always => Ok(KeepReason::Always),
            Full::Never => Err(Absent::Policy),
            Full::Threshold if sensitive => Ok(KeepReason::Sensitive),
            Full::Threshold if output_bytes > self.threshold_bytes => Ok(KeepReason::Threshold),
            Full::Threshold => Err(Absent::BelowThreshold),
        }
    }
}

/// A redacted text on its way into the store, with what proves it.
#[derive(Clone, PartialEq, Eq)]
pub struct NewContent {
    /// Its name in the event.
    pub name: ContentName,
    /// The redacted text, at most [`CONTENT_BYTES_MAX`] bytes.
    pub text: String,
    /// Random, at least 16 bytes.
    pub salt: Vec<u8>,
    /// The commitment that the event holds.
    pub commitment: Commitment,
}

impl std::fmt::Debug for NewContent {
    /// Never prints the text: a log line is not the place for it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewContent").field("name", &self.name).field("bytes", &self.text.len()).finish_non_exhaustive()
    }
}

impl NewContent {
    /// Prepares a text: cuts it at [`CONTENT_BYTES_MAX`] on a character border and commits to it.
    ///
    /// `redacted` is what will be kept; `raw` is what was on the wire.
    pub fn new(
        name: ContentName,
        redacted: String,
        raw: &str,
        salt: Vec<u8>,
        reason: KeepReason,
        policy: &str,
    ) -> Self {
        let mut text = redacted;
        let mut absent = None;
        let changed = text != raw;
        if text.len() > CONTENT_BYTES_MAX {
            let end = (0..=CONTENT_BYTES_MAX).rev().find(|&i| text.is_char_boundary(i)).expect("0 is a boundary");
            text.truncate(end);
            absent = Some(Absent::Truncated);
        }
        let commitment = Commitment {
            kept: commit(&salt, text.as_bytes()),
            raw: (changed || absent.is_some()).then(|| commit(&salt, raw.as_bytes())),
            bytes: text.len() as u64,
            reason,
            policy: policy.to_owned(),
            absent,
            redacted: Vec::new(),
        };
        NewContent { name, text, salt, commitment }
    }

    /// Says in the commitment what was taken out of the text.
    pub fn redacted(mut self, mut taken: Vec<Redaction>) -> Self {
        taken.truncate(REDACTIONS_MAX);
        self.commitment.redacted = taken;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_is_exclusive_and_sensitive_paths_ignore_it() {
        let tiers = Tiers::default();
        assert_eq!(tiers.decide(1023, false), Err(Absent::BelowThreshold));
        assert_eq!(tiers.decide(1024, false), Err(Absent::BelowThreshold));
        assert_eq!(tiers.decide(1025, false), Ok(KeepReason::Threshold));
        assert_eq!(tiers.decide(1, true), Ok(KeepReason::Sensitive));
        let never = Tiers { full: Full::Never, ..Tiers::default() };
        assert_eq!(never.decide(9999, true), Err(Absent::Policy));
    }

    #[test]
    fn the_raw_commitment_stands_only_where_something_was_taken_out() {
        let same = NewContent::new(ContentName::Output, "x".into(), "x", vec![1; 16], KeepReason::Always, "p");
        assert_eq!(same.commitment.raw, None);
        assert_eq!(same.commitment.kept, commit(&[1; 16], b"x"));
        let cut = NewContent::new(ContentName::Output, "x".into(), "xy", vec![1; 16], KeepReason::Always, "p");
        assert_eq!(cut.commitment.raw, Some(commit(&[1; 16], b"xy")));
    }

    #[test]
    fn a_text_of_more_than_a_mebibyte_is_cut_between_characters_and_says_so() {
        let raw = "é".repeat(CONTENT_BYTES_MAX / 2 + 1) + "a";
        let raw = format!("a{raw}");
        let content = NewContent::new(ContentName::Output, raw.clone(), &raw, vec![0; 16], KeepReason::Always, "p");
        assert_eq!(content.text.len(), CONTENT_BYTES_MAX - 1);
        assert_eq!(content.commitment.absent, Some(Absent::Truncated));
        assert_eq!(content.commitment.raw, Some(commit(&[0; 16], raw.as_bytes())));
    }

    #[test]
    fn a_content_never_prints_its_text() {
        let content = NewContent::new(ContentName::Prompt, "hush".into(), "hush", vec![9; 16], KeepReason::Always, "p");
        assert!(!format!("{content:?}").contains("hush"));
    }
}
