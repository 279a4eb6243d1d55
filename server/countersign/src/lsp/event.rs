//! Everything that can wake the actor, on one screen. The list is closed on purpose.

use countersign_provenance::session::Answer;
use serde_json::Value;
use tokio::sync::oneshot;

use super::diagnostics::Findings;
use super::hello::Hello;
use super::hover::Point;
use super::protocol;
use super::spool_watch::{Act, Offered};
use super::wire;

/// What reaches the actor, in the order in which it happened.
pub(crate) enum Event {
    /// The editor introduced itself.
    Hello(Hello),
    /// The editor has our answer; from here on we may talk to it.
    Initialized,
    /// The editor's settings may have changed.
    Configure,
    /// The editor answered with its settings.
    Configured(Value),
    /// A document was opened.
    Opened(wire::OpenedDocument),
    /// A document changed.
    Changed(wire::DidChange),
    /// A document was saved.
    Saved(String),
    /// A document was closed.
    Closed(String),
    /// A change was lost before it got here.
    Lost(Lost),
    /// Something else could not be read.
    Degraded(&'static str),
    /// An extension tells about a suggestion.
    Suggestion(Box<protocol::Suggestion>),
    /// Somebody asks.
    Ask(Ask),
    /// The spool has new acts of other observers.
    Acts(Vec<Act>),
    /// Suggestions that other observers know of, and those that are gone, in their order.
    Offers(Vec<Offered>),
    /// Somebody knows whose a text is.
    Known(Box<Answer>),
    /// It was looked up whose a text is: the document, the question, and whether that is all.
    LookedUp(String, u64, bool),
    /// A commit holds a document: its text there.
    Committed(String, String),
    /// The rules have looked at a text.
    Findings(Box<Findings>),
    /// Some time has passed.
    Tick,
    /// It is over.
    End(Ending),
    /// How replay stands has changed.
    Replay(protocol::Replay),
}

/// A question, and where its answer goes.
pub(crate) enum Ask {
    /// What stands at this position.
    Hover(protocol::TextDocument, countersign_event::facts::Position, oneshot::Sender<Option<Point>>),
    /// Who wrote what.
    Attribution(protocol::AttributionParams, oneshot::Sender<Option<protocol::Attribution>>),
    /// What is known of a contribution, as far as the open documents say.
    Contribution(String, oneshot::Sender<Known>),
    /// Are we recording?
    Status(oneshot::Sender<protocol::Status>),
    /// Stop for a while.
    Pause(protocol::PauseParams, oneshot::Sender<protocol::Status>),
    /// Go on.
    Resume(oneshot::Sender<protocol::Status>),
}

/// What the actor knows of a contribution.
#[derive(Default)]
pub(crate) struct Known {
    /// Its facts, where it was told in this session.
    pub(crate) facts: Option<protocol::Facts>,
    /// Bytes that entered, where they were seen entering.
    pub(crate) accepted_bytes: Option<u64>,
    /// Bytes that are in an open document.
    pub(crate) surviving_bytes: Option<u64>,
}

impl Known {
    /// How much is still there, where both ends are known.
    pub(crate) fn retention(&self) -> Option<protocol::Retention> {
        Some(protocol::Retention { accepted_bytes: self.accepted_bytes?, surviving_bytes: self.surviving_bytes? })
    }
}

/// A lost change.
pub(crate) struct Lost {
    /// The document; `None` when it may have been any.
    pub(crate) uri: Option<String>,
    /// Whether it was the opening itself that was lost.
    pub(crate) opening: bool,
    /// Why, in the fixed words of `capture.degraded`.
    pub(crate) reason: &'static str,
}

/// How it ends.
pub(crate) struct Ending {
    /// In the fixed words of `capture.stopped`.
    pub(crate) reason: &'static str,
    /// The exit code that the protocol wants.
    pub(crate) code: i32,
}
