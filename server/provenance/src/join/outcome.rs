//! What became certain: offers, acts and ends.

use countersign_event::Timestamp;
use countersign_event::facts::{How, Range};
use countersign_event::payload::suggestion::{Extent, Gesture, RejectReason};

use super::{Channel, NamedModel};

/// What happened to a suggestion. Suggestions have local numbers, from 1.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A new suggestion.
    Offered(Offered),
    /// One act by which text of it entered.
    Accepted(Accepted),
    /// Its end, or an act taken back.
    Rejected(Rejected),
    /// A sign of an act that came after the act was told.
    Evidenced {
        /// The suggestion's number.
        key: u64,
        /// The act's number within it.
        act: u32,
        /// What was seen.
        saw: &'static str,
    },
    /// Nothing more will be said about a suggestion.
    Forgotten {
        /// Its number.
        key: u64,
    },
    /// Something that could not be followed.
    Degraded {
        /// Why, in a few fixed words.
        reason: &'static str,
        /// The document, where it is about one.
        uri: Option<String>,
        /// More, without text of the user's.
        detail: Option<String>,
    },
}

/// A new suggestion.
#[derive(Clone, Debug, PartialEq)]
pub struct Offered {
    /// Its number.
    pub key: u64,
    /// By which channel.
    pub channel: Channel,
    /// Which alternative of its answer, from 0.
    pub alternative: u32,
    /// The document.
    pub uri: String,
    /// The document's language.
    pub language: Option<String>,
    /// What it would replace, in UTF-16; unknown for a document that can't be followed.
    pub range: Option<Range>,
    /// The text as offered.
    pub text: String,
    /// Which model.
    pub model: Option<NamedModel>,
}

/// One act by which text of a suggestion entered.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// The suggestion's number.
    pub key: u64,
    /// The act's number within it, from 1.
    pub act: u32,
    /// When the text entered; when the message came, if no edit was seen.
    pub at: Timestamp,
    /// How much.
    pub extent: Extent,
    /// By which sign.
    pub gesture: Gesture,
    /// How we know.
    pub how: How,
    /// The rule, for `inferred`.
    pub rule: Option<&'static str>,
    /// From 0 to 1, for `inferred`.
    pub confidence: Option<f64>,
    /// What it replaced, in UTF-16, in the document as it was then.
    pub range: Option<Range>,
    /// What was left of the offer before this act: what it would have added.
    pub earlier: String,
    /// What this act inserted; nothing where no edit was seen. Where it put new text in the place of
    /// old, all of the new.
    pub inserted: Option<String>,
    /// The single insertions, at every cursor: range replaced, text.
    pub entered: Vec<(Range, String)>,
    /// When it was shown, where the editor said so.
    pub shown: Option<Timestamp>,
}

/// The end of a suggestion, or an act taken back.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejected {
    /// The suggestion's number.
    pub key: u64,
    /// The act's number within it, from 1.
    pub act: u32,
    /// When.
    pub at: Timestamp,
    /// Why it ended.
    pub reason: RejectReason,
    /// The act that was taken back.
    pub undoes: Option<u32>,
    /// How we know.
    pub how: How,
    /// The rule, for `inferred`.
    pub rule: Option<&'static str>,
}
