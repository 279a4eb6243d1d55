//! The documents that are open in an editor, and who wrote what in them.
//!
//! One owner hands every message to [`Session::handle`], in the order in which the editor sent them,
//! and runs the effects that come back. An acceptance that another process saw
//! ([`Event::Entered`]) and the edit by which it entered meet here, in either order; what nobody
//! explains stays `unknown`. A document whose messages do not fit together claims nothing until its
//! next full text.

mod document;
mod explain;
mod follow;
mod former;
mod question;
mod retention;
mod stroke;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use countersign_event::payload::contribution::Moment;
use countersign_event::payload::suggestion::{Distance, Entered};
use countersign_event::{Timestamp, facts};

use crate::attribution::Attribution;
use crate::spans::{ContributionId, Origin};
use crate::text::{Change, Encoding, Text};
use document::{Document, Wanted};
use explain::Waiting;
use serde::{Deserialize, Serialize};

/// How long an insertion and its explanation wait for each other.
pub const EXPLAINED_WITHIN_MS: i64 = 5_000;

/// How long a bulk insertion waits for an explanation before it is reported.
pub const HELD_MS: i64 = 3_000;

/// How long a suggestion of which nothing more is heard is taken to be on the screen.
const OFFERED_MS: i64 = 60_000;

/// So many of them are remembered.
const MAX_OFFERS: usize = 256;

/// So many closed documents are remembered, and none longer than this: an editor that reads a file anew
/// closes and opens it.
const MAX_CLOSED: usize = 32;
const MAX_CLOSED_BYTES: usize = 4 << 20;

/// Everything that can wake a session.
#[derive(Clone, Debug)]
pub enum Event {
    /// An editor opened a document, or opened it anew.
    Opened {
        /// The document, as the editor names it.
        uri: String,
        /// Its language identifier.
        language: String,
        /// Its version, which begins a new count.
        version: i32,
        /// The whole text.
        text: String,
    },
    /// An editor changed a document.
    Changed {
        /// The document.
        uri: String,
        /// Its version, which must have grown.
        version: i32,
        /// The changes, each against the result of the one before.
        changes: Vec<Change>,
        /// What the editor counts columns in.
        encoding: Encoding,
    },
    /// An editor saved a document.
    Saved {
        /// The document.
        uri: String,
    },
    /// An editor closed a document.
    Closed {
        /// The document.
        uri: String,
    },
    /// Another process recorded that a contribution entered a document.
    Entered(Acceptance),
    /// A suggestion was on the screen.
    Offered(Offer),
    /// A suggestion is on the screen no longer.
    Withdrawn(ContributionId),
    /// Somebody knows whose a text is that was asked about.
    Known(Answer),
    /// Whoever was asked about a text has looked, whether or not there was an answer.
    LookedUp {
        /// The document.
        uri: String,
        /// Which question it was.
        question: u64,
        /// Whether there is nothing more to come.
        is_over: bool,
    },
    /// A commit holds a document.
    Committed {
        /// The document.
        uri: String,
        /// Its text in the commit.
        text: String,
    },
    /// Time has passed.
    Tick,
    /// Messages of the editor were lost.
    Overflow {
        /// About this document; about any where it is not known.
        uri: Option<String>,
    },
}

/// One act by which a contribution entered a document, as another process saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// The contribution.
    pub contribution: ContributionId,
    /// The act's number.
    pub act: u32,
    /// The document.
    pub uri: String,
    /// What entered.
    pub entered: Vec<Entered>,
}

/// A suggestion that a person could see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The contribution it would become.
    pub contribution: ContributionId,
    /// The document.
    pub uri: String,
    /// [`countersign_event::digest::entered`] of its text.
    pub digest: String,
    /// Since when.
    pub since: Timestamp,
}

/// What is known of a text from elsewhere: from the disk, and from texts that were recorded before.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The document.
    pub uri: String,
    /// The question.
    pub question: u64,
    /// Whose the whole text is.
    pub attribution: Attribution,
    /// Whether the text came from the file.
    pub disk: Disk,
    /// The contributions in it.
    pub past: Vec<Past>,
}

/// Whether a text that came by a change was on the disk before it was in the editor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// Nothing says so.
    Silent,
    /// The file holds it. That says nothing once the editor has written its own text there.
    Holds,
    /// The file held it before the editor wrote there.
    HeldBefore,
}

/// A contribution that entered a document earlier or elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// The contribution.
    pub contribution: ContributionId,
    /// When it entered.
    pub since: Timestamp,
    /// What entered, where that is known.
    pub accepted: Option<String>,
    /// How many bytes, where that is known.
    pub accepted_bytes: Option<u64>,
    /// How many were left when it was measured last.
    pub measured_bytes: Option<u64>,
    /// Whether the text that was asked about is the one with which it entered.
    pub is_new: bool,
}

/// What a later session needs to go on measuring a contribution. Stored beside the writers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retained {
    /// The contribution.
    pub contribution: String,
    /// When it entered.
    pub since: Timestamp,
    /// How many bytes entered.
    pub accepted_bytes: u64,
    /// What entered.
    pub accepted: String,
    /// Whether that is only what stood there when it was first seen.
    #[serde(default)]
    pub is_first_seen: bool,
}

/// What the owner of a session is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Record how much of a contribution is there.
    Measure(Measurement),
    /// Record that an act recorded elsewhere was seen entering the buffer.
    Evidence {
        /// The contribution.
        contribution: ContributionId,
        /// The act.
        act: u32,
        /// The document.
        uri: String,
        /// Where it stands now.
        range: facts::Range,
    },
    /// Record an insertion that nobody explained and no person types.
    BulkInsertion(BulkInsertion),
    /// Record that something could not be seen.
    Degraded {
        /// In fixed words.
        reason: &'static str,
        /// More of it, without text of the document.
        detail: Option<String>,
        /// The document, where it is about one.
        uri: Option<String>,
    },
    /// Begin or stop to look for acts of other processes.
    PollSpool(bool),
    /// Store what was saved.
    SaveSnapshot {
        /// The document.
        uri: String,
        /// Its text.
        text: Text,
        /// Who wrote it.
        attribution: Attribution,
        /// Its contributions.
        retained: Vec<Retained>,
    },
    /// Ask whose a text is: [`Event::Known`] answers, more than once where more is found.
    Ask {
        /// The document.
        uri: String,
        /// The question's number.
        question: u64,
        /// The text.
        text: Text,
        /// Whether it came by a change, which may have been a reload, and not by opening.
        is_change: bool,
        /// Whether a person typed it, unless it was a reload.
        is_typed: bool,
    },
    /// The writers of a text changed by something else than an edit.
    AttributionChanged {
        /// The document.
        uri: String,
    },
}

/// How much of a contribution is there, and the texts to compare.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// The contribution.
    pub contribution: ContributionId,
    /// At which moment of its life.
    pub moment: Moment,
    /// The document.
    pub uri: String,
    /// Bytes that entered and were not there before.
    pub accepted_bytes: u64,
    /// Of these, bytes that are still there.
    pub surviving_bytes: u64,
    /// Where it stands now; nothing if nothing is left.
    pub range: Option<facts::Range>,
    /// What entered.
    pub accepted: Arc<str>,
    /// Whether that is not known any more: then it is what stood there when a session first saw it.
    pub is_first_seen: bool,
    /// What stands in its place.
    pub now: String,
}

impl Measurement {
    /// Compares what entered with what stands there now. It may take milliseconds: not for the
    /// thread that handles messages.
    pub fn distance(&self) -> Distance {
        crate::distance::distance(&self.accepted, &self.now)
    }
}

/// An insertion of unknown origin.
#[derive(Clone, Debug, PartialEq)]
pub struct BulkInsertion {
    /// The document.
    pub uri: String,
    /// Its language identifier.
    pub language: String,
    /// When it came.
    pub at: Timestamp,
    /// Where it stands now, from its first byte to its last.
    pub range: facts::Range,
    /// What came and is still there, in order.
    pub text: String,
    /// What came, as other observers of the same edit would describe it.
    pub entered: Vec<Entered>,
}

/// All open documents of one editor.
pub struct Session {
    key: [u8; 32],
    documents: HashMap<String, Document>,
    /// Closed while an insertion was unexplained: the act may still come.
    closing: HashMap<String, Document>,
    /// Closed a while ago, in that order.
    closed: VecDeque<(String, Document)>,
    waiting: Vec<Waiting>,
    offers: VecDeque<Offer>,
    asked: u64,
    is_polling: bool,
}

impl Session {
    /// Begins without documents. The key is the device's for digests of entered text.
    pub fn new(key: [u8; 32]) -> Self {
        Session {
            key,
            documents: HashMap::new(),
            closing: HashMap::new(),
            closed: VecDeque::new(),
            waiting: Vec::new(),
            offers: VecDeque::new(),
            asked: 0,
            is_polling: false,
        }
    }

    /// Takes one event at the time it came, and says what is to be done. Never fails: what does not
    /// fit is an effect too.
    pub fn handle(&mut self, event: Event, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Opened { uri, language, version, text } => {
                self.open(uri, language, version, &text, now, &mut effects);
            }
            Event::Changed { uri, version, changes, encoding } => {
                self.change(&uri, version, &changes, encoding, now, &mut effects);
            }
            Event::Saved { uri } => {
                if let Some(document) = self.documents.get_mut(&uri) {
                    document.save(&uri, &mut effects);
                }
            }
            Event::Closed { uri } => {
                if let Some(mut document) = self.documents.remove(&uri) {
                    document.measure_all(&uri, Moment::Close, &mut effects);
                    if document.is_pending() {
                        self.closing.insert(uri, document);
                    } else {
                        self.put_away(uri, document);
                    }
                }
            }
            Event::Entered(acceptance) => self.enter(acceptance, now, &mut effects),
            Event::Offered(offer) => self.offer(offer, &mut effects),
            Event::Withdrawn(contribution) => self.offers.retain(|offer| offer.contribution != contribution),
            Event::Known(answer) => {
                let uri = answer.uri.clone();
                if let Some(document) = self.documents.get_mut(&uri) {
                    document.answer(answer, &uri, now, &mut effects);
                }
            }
            Event::LookedUp { uri, question, is_over } => {
                if let Some(document) = self.documents.get_mut(&uri) {
                    document.questions.looked_up(question, is_over);
                }
            }
            Event::Committed { uri, text } => {
                if let Some(document) = self.documents.get_mut(&uri) {
                    document.committed(&uri, &text, &mut effects);
                }
            }
            Event::Tick => {}
            Event::Overflow { uri } => {
                let lost = |at: &String| uri.as_ref().is_none_or(|uri| uri == at);
                for (uri, document) in self.documents.iter_mut().filter(|(at, _)| lost(at)) {
                    document.lose(uri, "overflow", None, &mut effects);
                }
            }
        }
        self.pass_time(now, &mut effects);
        effects
    }

    /// Returns a document's text, as far as it is known.
    pub fn text(&self, uri: &str) -> Option<&Text> {
        self.documents.get(uri).map(|document| &document.text)
    }

    /// Returns who wrote a document's text.
    pub fn attribution(&self, uri: &str) -> Option<&Attribution> {
        self.documents.get(uri).map(|document| &document.attribution)
    }

    /// Returns the open documents in which a contribution is measured.
    pub fn measured(&self) -> impl Iterator<Item = &str> {
        self.documents.iter().filter(|(_, document)| !document.retention.is_empty()).map(|(uri, _)| uri.as_str())
    }

    /// Tells whether somebody still looks up whose some of a document's text is.
    pub fn is_pending(&self, uri: &str) -> bool {
        self.documents.get(uri).is_some_and(|document| document.questions.is_pending())
    }

    /// Says whether a document's text is what the editor shows, as far as anybody can know.
    pub fn is_synchronised(&self, uri: &str) -> bool {
        self.documents.get(uri).is_some_and(|document| document.is_synchronised())
    }

    /// Says whether an act in this document can still be placed: it is open, or was closed a moment ago.
    pub fn follows(&self, uri: &str) -> bool {
        self.documents.contains_key(uri) || self.closing.contains_key(uri)
    }

    /// Returns a document's language identifier.
    pub fn language(&self, uri: &str) -> Option<&str> {
        self.documents.get(uri).map(|document| &document.language[..])
    }

    /// Returns the open documents, in no order.
    pub fn uris(&self) -> impl Iterator<Item = &str> {
        self.documents.keys().map(String::as_str)
    }

    fn open(
        &mut self,
        uri: String,
        language: String,
        version: i32,
        text: &str,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let closed = self.closed.iter().position(|(closed, _)| *closed == uri);
        let closed = closed.and_then(|at| self.closed.remove(at)).map(|(_, document)| document);
        let before = self.documents.remove(&uri).or(self.closing.remove(&uri)).or(closed);
        let (document, wanted) = Document::open(language, version, text, before, now);
        if document.attribution.origins.iter().any(|(_, origin)| *origin != Origin::Unknown) {
            effects.push(Effect::AttributionChanged { uri: uri.clone() });
        }
        self.documents.insert(uri.clone(), document);
        self.ask(&uri, wanted, now, effects);
    }

    /// Remembers a closed document for a while.
    fn put_away(&mut self, uri: String, document: Document) {
        if document.is_synchronised() && document.text.len_bytes() <= MAX_CLOSED_BYTES {
            self.closed.push_back((uri, document));
            if self.closed.len() > MAX_CLOSED {
                self.closed.pop_front();
            }
        }
    }

    fn ask(&mut self, uri: &str, wanted: Option<Wanted>, now: Timestamp, effects: &mut Vec<Effect>) {
        let (Some(wanted), Some(document)) = (wanted, self.documents.get_mut(uri)) else { return };
        self.asked += 1;
        let (text, is_change, is_typed) = (wanted.text.clone(), wanted.is_change, wanted.provisional.is_human());
        document.questions.ask(wanted.question(self.asked, now));
        effects.push(Effect::Ask { uri: uri.to_owned(), question: self.asked, text, is_change, is_typed });
    }

    fn offer(&mut self, offer: Offer, effects: &mut Vec<Effect>) {
        if let Some(document) = self.documents.get_mut(&offer.uri)
            && document.offered(&offer.digest, offer.since)
        {
            effects.push(Effect::AttributionChanged { uri: offer.uri.clone() });
        }
        self.offers.push_back(offer);
        if self.offers.len() > MAX_OFFERS {
            self.offers.pop_front();
        }
    }

    fn change(
        &mut self,
        uri: &str,
        version: i32,
        changes: &[Change],
        encoding: Encoding,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let Some(document) = self.documents.get_mut(uri) else {
            effects.push(Effect::Degraded {
                reason: "change_of_closed_document",
                detail: None,
                uri: Some(uri.to_owned()),
            });
            return;
        };
        if version <= document.version {
            let detail = format!("version {version} after {}", document.version);
            document.lose(uri, "version_did_not_grow", Some(detail), effects);
            return;
        }
        document.version = version;
        if !document.is_synchronised() {
            let wanted = document.find_again(uri, changes, encoding, effects);
            self.ask(uri, wanted, now, effects);
            return;
        }
        match document.change(changes, encoding, &self.key, now) {
            Ok(wanted) => {
                self.offers.retain(|offer| now.millis_since(offer.since) <= OFFERED_MS);
                for offer in self.offers.iter().filter(|offer| offer.uri == uri) {
                    document.offered(&offer.digest, now);
                }
                // An act may have been reported before its edit.
                for waiting in self.waiting.iter_mut().filter(|waiting| waiting.acceptance.uri == uri) {
                    waiting.look_in(document, &self.key, effects);
                }
                self.ask(uri, wanted, now, effects);
            }
            Err(error) => document.lose(uri, "impossible_range", Some(error.to_string()), effects),
        }
    }

    fn enter(&mut self, acceptance: Acceptance, now: Timestamp, effects: &mut Vec<Effect>) {
        let is_known = |waiting: &Waiting| {
            waiting.acceptance.contribution == acceptance.contribution && waiting.acceptance.act == acceptance.act
        };
        if self.waiting.iter().any(is_known) {
            return;
        }
        self.offers.retain(|offer| offer.contribution != acceptance.contribution);
        let mut waiting = Waiting::new(acceptance, now);
        let uri = &waiting.acceptance.uri;
        if let Some(document) = self.documents.get_mut(uri).or(self.closing.get_mut(uri))
            && document.is_synchronised()
        {
            if document.retention.has_act(&waiting.acceptance) {
                return;
            }
            waiting.look_in(document, &self.key, effects);
        }
        self.waiting.push(waiting);
    }

    fn pass_time(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let (documents, closing) = (&mut self.documents, &mut self.closing);
        self.waiting.retain_mut(|waiting| {
            let is_over = waiting.is_done() || now.millis_since(waiting.since) > EXPLAINED_WITHIN_MS;
            if is_over {
                let uri = &waiting.acceptance.uri;
                waiting.end(documents.get_mut(uri).or(closing.get_mut(uri)), effects);
            }
            !is_over
        });
        let mut is_pending = false;
        for (uri, document) in documents.iter_mut().chain(closing.iter_mut()) {
            document.pass_time(uri, now, effects);
            is_pending |= document.is_pending();
        }
        let over: Vec<String> =
            closing.iter().filter(|(_, document)| !document.is_pending()).map(|(uri, _)| uri.clone()).collect();
        for uri in over {
            if let Some(document) = self.closing.remove(&uri) {
                self.put_away(uri, document);
            }
        }
        if is_pending != self.is_polling {
            self.is_polling = is_pending;
            effects.push(Effect::PollSpool(is_pending));
        }
    }
}

#[cfg(test)]
mod tests;
