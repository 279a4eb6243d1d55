//! The open custom messages, exactly as `editors/PROTOCOL.md` describes them.
//!
//! A type here is a promise to strangers: fields are added, never changed or removed. That page
//! carries a digest of this file, and a test fails when one changes without the other.

use countersign_event::facts::{Model, Range};
use serde::{Deserialize, Serialize};

/// `countersign/suggestion`, editor to server, notification.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Suggestion {
    /// What happened to it.
    pub(crate) event: SuggestionEvent,
    /// The extension's own name for this suggestion: the same in all its messages, never used again.
    pub(crate) id: String,
    /// The AI tool, by its short name (`copilot`).
    pub(crate) tool: String,
    /// Its version, verbatim.
    #[serde(default)]
    pub(crate) tool_version: Option<String>,
    /// The document.
    pub(crate) text_document: TextDocument,
    /// What it would replace, or for `accepted` and `partial` what it did replace, in the document
    /// before that; in the position encoding of the connection.
    #[serde(default)]
    pub(crate) range: Option<Range>,
    /// For `shown`, the whole suggestion; for `accepted` and `partial`, what this act inserted, if it
    /// is not the whole suggestion.
    #[serde(default)]
    pub(crate) text: Option<String>,
    /// The model, where the tool says it.
    #[serde(default)]
    pub(crate) model: Option<Model>,
    /// For `rejected`: `dismissed` (the default), `ignored`, `superseded`, `typed_over`.
    #[serde(default)]
    pub(crate) reason: Option<String>,
}

/// What happened to a suggestion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SuggestionEvent {
    /// It appeared on the screen.
    Shown,
    /// A person took it, all or all that was left of it.
    Accepted,
    /// A person took a word or a line of it.
    Partial,
    /// It went away without being taken.
    Rejected,
}

/// A document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TextDocument {
    /// The URI, exactly as in `textDocument/didOpen`.
    pub(crate) uri: String,
}

/// `countersign/attribution`, editor to server, request: who wrote which part of a document.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AttributionParams {
    /// The document.
    pub(crate) text_document: TextDocument,
    /// Which part of it, in the position encoding of the connection; all of it without.
    #[serde(default)]
    pub(crate) range: Option<Range>,
}

/// Answer of `countersign/attribution`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Attribution {
    /// The document's version that the spans belong to.
    pub(crate) version: Option<i64>,
    /// False when a change was lost: then `spans` is empty until the next full text.
    pub(crate) synchronised: bool,
    /// True while it is looked up whose a text is that was not seen entering.
    pub(crate) pending: bool,
    /// Every byte of the text (or of the range), in order, neighbours of one origin merged.
    pub(crate) spans: Vec<Span>,
    /// Every line of the text (or that the range touches), in order.
    pub(crate) lines: Vec<Line>,
    /// How many of these lines are whose.
    pub(crate) summary: Summary,
}

/// A line and its writers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line {
    /// Its number, from 0.
    pub(crate) line: u32,
    /// `ai`, `human`, `unknown`, or `mixed` of two or more of them.
    pub(crate) author: String,
    /// Whoever last changed its non-blank text.
    pub(crate) last_writer: Writer,
    /// Everybody who wrote some of it, the largest share of its non-blank bytes first.
    pub(crate) shares: Vec<Share>,
}

/// Who wrote something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Writer {
    /// `ai`, `human` or `unknown`.
    pub(crate) origin: String,
    /// The contribution, for `ai`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) contribution: Option<String>,
    /// How that is known; nothing for `unknown`, and for a contribution that is not on this device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) how: Option<countersign_event::How>,
}

/// A writer's part of a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Share {
    /// The writer.
    #[serde(flatten)]
    pub(crate) writer: Writer,
    /// From 0 to 1.
    pub(crate) share: f64,
}

/// Lines by author.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    /// An AI's.
    pub(crate) ai: u32,
    /// A person's.
    pub(crate) human: u32,
    /// Of several.
    pub(crate) mixed: u32,
    /// Nobody knows whose.
    pub(crate) unknown: u32,
}

/// `countersign/attributionChanged`, server to editor, notification: the writers of a document changed
/// by something else than an edit of this editor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AttributionChanged {
    /// The document.
    pub(crate) text_document: TextDocument,
    /// The version that it is at.
    pub(crate) version: Option<i64>,
}

/// A stretch of text of one origin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Span {
    /// Where, in the position encoding of the connection.
    pub(crate) range: Range,
    /// Who wrote it.
    #[serde(flatten)]
    pub(crate) writer: Writer,
}

/// `countersign/contribution`, editor to server, request: what is known about a contribution.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct ContributionParams {
    /// Its id.
    pub(crate) id: String,
}

/// Answer of `countersign/contribution`; `null` when the id is not known on this device. The facts have
/// the shape they have in events: a value with its `how`, or `absent` and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Contribution {
    /// Its id.
    pub(crate) id: String,
    /// The five facts.
    #[serde(flatten)]
    pub(crate) facts: Facts,
    /// How much is still there, if it is in an open document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retention: Option<Retention>,
}

/// The five facts, and how the act itself is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// How we know that it was accepted.
    pub(crate) how: countersign_event::How,
    /// When.
    pub(crate) time: countersign_event::Timestamp,
    /// Which model.
    pub(crate) model: countersign_event::Fact<Model>,
    /// What it was asked.
    pub(crate) prompt: countersign_event::Fact<countersign_event::facts::Prompt>,
    /// What it offered.
    pub(crate) output: countersign_event::Fact<countersign_event::facts::Output>,
    /// Who took it.
    pub(crate) person: countersign_event::Fact<countersign_event::facts::Person>,
    /// By which way.
    pub(crate) path: countersign_event::Fact<countersign_event::facts::IntegrationPath>,
}

/// How much of a contribution is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Retention {
    /// Bytes that entered.
    pub(crate) accepted_bytes: u64,
    /// Of these, bytes that are still there.
    pub(crate) surviving_bytes: u64,
}

/// Parameters of `countersign/status` and `countersign/resume`: none, or an empty object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Nothing {}

/// `countersign/pause`, editor to server, request. Answered with a [`Status`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct PauseParams {
    /// For how long; without it until `countersign/resume`.
    #[serde(default)]
    pub(crate) minutes: Option<u32>,
}

/// Answer of `countersign/status`, `countersign/pause` and `countersign/resume`, and the parameters of
/// `countersign/statusChanged` (server to editor, notification).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    /// `recording`, `paused` or `degraded`.
    pub(crate) state: String,
    /// One word for a status bar: `recording`, `paused`, `offline`, or `attention` where a person has to do
    /// something; the first of `paused`, `attention`, `offline` that is true.
    #[serde(default)]
    pub(crate) summary: String,
    /// When a pause ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<countersign_event::Timestamp>,
    /// Why nothing, or not everything, can be recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
    /// Open documents that lost a change and wait for a full text.
    pub(crate) unsynchronised: Vec<String>,
    /// Open documents.
    pub(crate) documents: u32,
    /// How the trail gets to the collector; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replay: Option<Replay>,
}

/// How the trail gets to the collector, in a [`Status`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Replay {
    /// `online`, `offline` (tried again by itself), `paused` or `unauthorised` (a person has to do something).
    pub(crate) state: String,
    /// Events that wait; 0 while `online`.
    pub(crate) waiting: u64,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
    /// What a person can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
}
