//! What a decoder saw on the wire, in the words of no protocol.

use countersign_event::facts::{How, Position, Range};
use countersign_event::payload::suggestion::RejectReason;

use crate::text::{Change, Encoding};

/// What a decoder saw on the wire.
#[derive(Clone, Debug, PartialEq)]
pub enum Observation {
    /// How positions are counted from now on.
    Initialized {
        /// The negotiated encoding.
        encoding: Encoding,
    },
    /// A document was opened.
    Opened {
        /// Which.
        uri: String,
        /// Its language identifier.
        language: String,
        /// Its text.
        text: String,
    },
    /// A document was edited.
    Changed {
        /// Which.
        uri: String,
        /// The edits, each against the result of the one before.
        changes: Vec<Change>,
    },
    /// A document's whole text came with a question, where a protocol tells of no edits. What lies
    /// between two of these is not known.
    Snapshot {
        /// Which.
        uri: String,
        /// Its language identifier.
        language: String,
        /// Its text.
        text: String,
    },
    /// A document was closed.
    Closed {
        /// Which.
        uri: String,
    },
    /// An AI was asked for suggestions.
    Asked {
        /// The question's number.
        request: u64,
        /// The document.
        uri: String,
        /// The cursor.
        position: Position,
    },
    /// It answered.
    Answered(Answer),
    /// It proposed edits of the documents as they are now.
    Proposed {
        /// The number of what asked for them, from the same count as questions.
        request: u64,
        /// Each edit with its document.
        edits: Vec<(String, Item)>,
        /// Which model, where the wire says it.
        model: Option<NamedModel>,
    },
    /// A question was cancelled or refused.
    Unanswered {
        /// The question's number.
        request: u64,
    },
    /// The editor says that it shows a suggestion.
    Shown {
        /// The wire's id of it.
        id: String,
    },
    /// The editor says that a person took it.
    AcceptedExplicitly {
        /// The wire's id of it.
        id: String,
        /// All of it, as far as the message says.
        whole: bool,
    },
    /// The editor says that a person put text of a conversation into a document.
    Inserted(Insertion),
    /// The editor says how a suggestion ended.
    RejectedExplicitly {
        /// The wire's id of it.
        id: String,
        /// What it says.
        reason: RejectReason,
    },
    /// Part of the editor's messages could not be read: the texts can't be followed any more.
    Lost,
    /// Time passes.
    Tick,
    /// The session is over.
    Ended,
}

/// By which channel text is offered. An answer ends the older ones of its own channel only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Channel {
    /// Ghost text at the cursor.
    #[default]
    Inline,
    /// A menu of completions.
    Menu,
    /// A panel beside the text.
    Panel,
    /// A change of existing text, also elsewhere in the file.
    NextEdit,
    /// An edit that a command or code action made.
    Edit,
    /// A conversation.
    Chat,
}

impl Channel {
    /// Says whether an act puts new text in the place of old: it is told as a whole then, with what
    /// stayed the same.
    pub(crate) fn replaces(self) -> bool {
        matches!(self, Channel::NextEdit | Channel::Edit)
    }

    /// Says whether it is shown only while the cursor stays.
    pub(crate) fn is_at_cursor(self) -> bool {
        matches!(self, Channel::Inline | Channel::Menu)
    }

    /// Says whether the items of one answer exclude each other.
    pub(crate) fn has_alternatives(self) -> bool {
        matches!(self, Channel::Inline | Channel::Menu | Channel::Panel)
    }
}

/// An answer of an AI.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The question's number.
    pub request: u64,
    /// The document.
    pub uri: String,
    /// By which channel.
    pub channel: Channel,
    /// What it offers; may be empty.
    pub items: Vec<Item>,
    /// Another part of the same answer may follow.
    pub more: bool,
    /// Which model answered, where the wire says it.
    pub model: Option<NamedModel>,
}

/// One suggestion of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Item {
    /// The wire's id, by which later messages name it. Without one, no message will.
    pub id: Option<String>,
    /// The text as it stands on the wire.
    pub text: String,
    /// The text as it would enter, where that differs (snippets).
    pub plain: Option<String>,
    /// What it would replace; the cursor's place if it does not say.
    pub range: Option<Range>,
}

/// Text of a conversation that a person put into a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Insertion {
    /// The wire's id of the text. Taking the same text again is another act of the same contribution.
    pub id: String,
    /// The document.
    pub uri: String,
    /// The text as the conversation has it.
    pub text: String,
    /// All of it, as far as the message says.
    pub whole: bool,
    /// Which model wrote it.
    pub model: Option<NamedModel>,
}

/// A model that the wire named. What was asked for and what answered are never mixed.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedModel {
    /// The name that was asked for, verbatim.
    pub requested: Option<String>,
    /// The name that the answering side gave, verbatim.
    pub responded: Option<String>,
    /// The provider's id of the request, where it was named with it.
    pub request_id: Option<String>,
    /// `observed` where the name belongs to this very answer, `reported` where a setting says it.
    pub how: How,
    /// The rule, for `inferred`.
    pub rule: Option<&'static str>,
    /// From 0 to 1, for `inferred`.
    pub confidence: Option<f64>,
}

impl NamedModel {
    /// A model that was asked for, known in the given way.
    pub fn requested(name: impl Into<String>, how: How) -> Self {
        NamedModel {
            requested: Some(name.into()),
            responded: None,
            request_id: None,
            how,
            rule: None,
            confidence: None,
        }
    }
}
