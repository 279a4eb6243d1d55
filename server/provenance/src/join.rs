//! From what passes between an editor and an AI to what a person did with each suggestion.
//!
//! Two witnesses are joined. The edits of the stream (`didChange`) say *what text entered*. Explicit
//! messages say *that a person meant it*; they come before the edit, after it, or never, and some
//! overstate. So an edit that gives the offered text waits two seconds for its message, a message
//! waits two seconds for its edit, and either alone is still an act, known in a weaker way. Each act
//! is told exactly once. Text typed key by key is no acceptance.
//!
//! Nothing here knows a protocol, mints an id or reads a clock: offers have local numbers, times come
//! in with the observations. Every offer reaches an end, at the latest when the session does.

mod answers;
mod ends;
mod follow;
mod gestures;
mod history;
mod observation;
mod outcome;
mod suggestion;
mod undo;

use std::collections::{BTreeMap, HashMap, VecDeque};

use countersign_event::Timestamp;
use countersign_event::facts::{How, Range};
use countersign_event::payload::suggestion::{Gesture, RejectReason};

use crate::offer::{Entry, Region, unify};
use crate::text::{Change, Encoding, Text};
use answers::Asked;
use gestures::Recent;
use history::State;
pub use observation::{Answer, Channel, Insertion, Item, NamedModel, Observation};
pub use outcome::{Accepted, Offered, Outcome, Rejected};
use suggestion::{Kind, Pending, Suggestion};
use undo::{Done, Whole};

/// How long an edit waits for its message, and a message for its edit.
const WAIT_MS: i64 = 2_000;
/// Edits this close together may be one acceptance that an editor sends line by line.
const BURST_MS: i64 = 150;
/// Joins the observations of one stream.
#[derive(Debug)]
pub struct Joiner {
    encoding: Encoding,
    documents: HashMap<String, Document>,
    suggestions: BTreeMap<u64, Suggestion>,
    by_id: HashMap<String, u64>,
    asked: VecDeque<Asked>,
    last_key: u64,
    last_edit: u64,
    /// The client has said of some suggestion that it showed it.
    says_shown: bool,
    /// The client has said of some suggestion that it was taken.
    says_accepted: bool,
    outcomes: Vec<Outcome>,
}

#[derive(Debug)]
struct Document {
    text: Text,
    language: String,
    /// False after an edit that could not be followed, until its whole text comes again.
    in_step: bool,
    undoable: VecDeque<Done>,
    states: VecDeque<State>,
    /// What was put in lately by more than a key.
    recent: VecDeque<Recent>,
}

impl Document {
    fn new(text: &str, language: String) -> Document {
        let (undoable, states, recent) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
        Document { text: Text::new(text), language, in_step: true, undoable, states, recent }
    }
}

impl Default for Joiner {
    fn default() -> Self {
        Joiner::new()
    }
}

impl Joiner {
    /// Makes a joiner at the start of a session. Positions are UTF-16 until it is told otherwise.
    pub fn new() -> Self {
        Joiner {
            encoding: Encoding::Utf16,
            documents: HashMap::new(),
            suggestions: BTreeMap::new(),
            by_id: HashMap::new(),
            asked: VecDeque::new(),
            last_key: 0,
            last_edit: 0,
            says_shown: false,
            says_accepted: false,
            outcomes: Vec::new(),
        }
    }

    /// Takes one observation and returns what became certain by it.
    ///
    /// Cost: per edit, the number of suggestions of that document times the length of each.
    pub fn handle(&mut self, now: Timestamp, observation: Observation) -> Vec<Outcome> {
        self.expire(now);
        match observation {
            Observation::Initialized { encoding } => self.encoding = encoding,
            Observation::Opened { uri, language, text } => self.opened(now, uri, language, &text),
            Observation::Changed { uri, changes } => self.changed(now, &uri, &changes),
            Observation::Snapshot { uri, language, text } => self.snapshot(now, uri, language, &text),
            Observation::Closed { uri } => self.closed(now, &uri),
            Observation::Asked { request, uri, position } => self.asked(request, uri, position),
            Observation::Answered(answer) => self.answered(now, answer),
            Observation::Proposed { request, edits, model } => self.proposed(now, request, edits, model.as_ref()),
            Observation::Unanswered { request } => self.asked.retain(|asked| !asked.is(request)),
            Observation::Shown { id } => self.shown(now, &id),
            Observation::AcceptedExplicitly { id, whole } => self.accepted_explicitly(now, &id, whole),
            Observation::Inserted(insertion) => self.inserted(now, insertion),
            Observation::RejectedExplicitly { id, reason } => self.rejected_explicitly(now, &id, reason),
            Observation::Lost => self.lost(),
            Observation::Tick => {}
            Observation::Ended => self.end(now),
        }
        std::mem::take(&mut self.outcomes)
    }

    /// Returns when the next waiting edit or message has waited long enough; `Tick` then.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.suggestions.values().filter_map(Suggestion::deadline).min()
    }

    // Documents

    fn opened(&mut self, now: Timestamp, uri: String, language: String, text: &str) {
        self.end_document(now, &uri);
        self.asked.retain(|asked| asked.uri != uri);
        self.documents.insert(uri, Document::new(text, language));
    }

    fn closed(&mut self, now: Timestamp, uri: &str) {
        self.end_document(now, uri);
        self.asked.retain(|asked| asked.uri != uri);
        self.documents.remove(uri);
    }

    fn end_document(&mut self, now: Timestamp, uri: &str) {
        let keys: Vec<u64> = self.keys_of(uri);
        for key in keys {
            self.settle(now, key);
            self.reject(now, key, RejectReason::SessionEnded, How::Observed, None);
            if let Some(suggestion) = self.suggestions.get_mut(&key) {
                suggestion.region = None;
            }
        }
    }

    /// A text that came with a question. It proves what a message said; it says nothing about the rest.
    fn snapshot(&mut self, now: Timestamp, uri: String, language: String, text: &str) {
        let new = Document::new(text, language);
        for key in self.keys_of(&uri) {
            let Some(suggestion) = self.suggestions.get_mut(&key) else { continue };
            if let (Some(document), Some(region), Some((at, true))) =
                (self.documents.get(&uri), suggestion.region, suggestion.explicit)
                && stands_at(&document.text, &new.text, region, &suggestion.wanted)
            {
                self.last_edit += 1;
                let range = document.text.range(region.start..region.end);
                suggestion.pending = Some(Pending {
                    first: at,
                    last: at,
                    edit: self.last_edit,
                    kind: Kind::Whole,
                    document: document.text.clone(),
                    region,
                    before: suggestion.content.clone(),
                    after: suggestion.wanted.clone(),
                    entered: vec![(range, suggestion.wanted.clone())],
                });
                self.accept(now, key, Gesture::Both);
            } else {
                self.settle(now, key);
            }
            if let Some(suggestion) = self.suggestions.get_mut(&key) {
                suggestion.region = None;
            }
        }
        self.asked.retain(|asked| asked.uri != uri);
        self.documents.insert(uri, new);
    }

    fn lost(&mut self) {
        for document in self.documents.values_mut() {
            document.in_step = false;
            document.undoable.clear();
            document.states.clear();
            document.recent.clear();
        }
        for suggestion in self.suggestions.values_mut() {
            suggestion.region = None;
        }
        self.asked.clear();
    }

    fn changed(&mut self, now: Timestamp, uri: &str, changes: &[Change]) {
        let Some(document) = self.documents.get_mut(uri) else {
            self.degraded("unknown_document", uri, None);
            return;
        };
        let before = document.text.clone();
        let mut steps = Vec::new();
        for change in changes {
            if change.range.is_none() {
                document.in_step = true;
            } else if !document.in_step {
                continue;
            }
            let base = document.text.clone();
            match document.text.apply(change, self.encoding) {
                Ok(edits) => steps.extend(entries(&base, &document.text, &edits)),
                Err(error) => {
                    document.in_step = false;
                    let detail = error.to_string();
                    self.out_of_step(uri, detail);
                    return;
                }
            }
        }
        if steps.is_empty() {
            return;
        }
        realign(&mut steps, &before, self.suggestions.values().filter(|s| s.uri == uri));
        self.last_edit += 1;
        for asked in self.asked.iter_mut().filter(|asked| asked.uri == uri) {
            asked.remember(&steps);
        }
        let whole = Whole::of(&steps, changes.len() == 1, &before, &document.text);
        Recent::remember(&mut document.recent, now, self.last_edit, &before, &steps);
        State::remember(&mut document.states, self.last_edit, &before, &document.undoable);
        if self.taken_back(now, uri, &before, &steps, whole) || self.brought_back(now, uri, &steps) {
            return;
        }
        self.follow(now, uri, &before, &steps);
    }

    fn out_of_step(&mut self, uri: &str, detail: String) {
        for key in self.keys_of(uri) {
            if let Some(suggestion) = self.suggestions.get_mut(&key) {
                suggestion.region = None;
            }
        }
        self.asked.retain(|asked| asked.uri != uri);
        self.degraded("impossible_range", uri, Some(detail));
    }

    fn degraded(&mut self, reason: &'static str, uri: &str, detail: Option<String>) {
        self.outcomes.push(Outcome::Degraded { reason, uri: Some(uri.to_owned()), detail });
    }

    fn keys_of(&self, uri: &str) -> Vec<u64> {
        self.suggestions.iter().filter(|(_, s)| s.uri == uri).map(|(key, _)| *key).collect()
    }
}

/// Says whether a later text has, at a place of an earlier one, what was wanted there.
fn stands_at(earlier: &Text, later: &Text, region: Region, wanted: &str) -> bool {
    let end = region.start + wanted.len();
    end <= later.len_bytes()
        && later.is_border(region.start)
        && later.is_border(end)
        && earlier.slice(0..region.start) == later.slice(0..region.start)
        && later.slice(region.start..end) == wanted
}

/// Puts an insertion where a suggestion stands, if it is the same one: text that repeats what is around
/// it can be described as inserted at several places, and editors that compute differences, as well as
/// we do, choose the last.
fn realign<'a>(steps: &mut [Step], before: &Text, suggestions: impl Iterator<Item = &'a Suggestion>) {
    let [step] = steps else { return };
    let Entry { start, deleted: 0, inserted } = &step.entry else { return };
    for suggestion in suggestions.filter(|suggestion| !suggestion.over) {
        let Some(at) = suggestion.region.map(|region| region.end) else { continue };
        if at >= *start || start - at > inserted.len() {
            continue;
        }
        let between = before.slice(at..*start);
        let Some(rest) = inserted.strip_suffix(&between) else { continue };
        let moved = between + rest;
        if unify(&(suggestion.content.clone() + &moved)) != suggestion.wanted {
            continue;
        }
        step.entry = Entry { start: at, deleted: 0, inserted: moved };
        step.was = at;
        return;
    }
}

/// One replacement, with its place in the document that the whole change met.
#[derive(Clone, Debug)]
struct Step {
    entry: Entry,
    /// Where it began before the change.
    was: usize,
    removed: String,
    /// The insertion as the change has it, by which other observers will know it.
    entered: (Range, String),
}

/// Says what came and what went with each edit of one change. The edits are in ascending order.
fn entries(before: &Text, after: &Text, edits: &[crate::text::Edit]) -> Vec<Step> {
    let mut shift = 0isize;
    edits
        .iter()
        .map(|edit| {
            let was = edit.start.wrapping_add_signed(-shift);
            shift += edit.inserted as isize - edit.deleted as isize;
            let inserted = after.slice(edit.start..edit.start + edit.inserted);
            let range = before.range(was..was + edit.deleted);
            Step {
                was,
                removed: before.slice(was..was + edit.deleted),
                entered: (range, inserted.clone()),
                entry: Entry { start: edit.start, deleted: edit.deleted, inserted },
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
