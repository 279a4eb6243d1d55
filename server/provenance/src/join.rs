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

mod suggestion;

use std::collections::{BTreeMap, HashMap, VecDeque};

use countersign_event::Timestamp;
use countersign_event::facts::{How, Position, Range};
use countersign_event::payload::suggestion::{Extent, Gesture, RejectReason};

use crate::offer::{self, Entry, Fit, Region, unify};
use crate::text::{Change, Encoding, Text};
use suggestion::{Kind, Pending, Suggestion};

/// How long an edit waits for its message, and a message for its edit.
const WAIT_MS: i64 = 2_000;
/// Edits this close together may be one acceptance that an editor sends line by line.
const BURST_MS: i64 = 150;
/// So many suggestions are remembered; the oldest are ended and forgotten first.
const MAX_SUGGESTIONS: usize = 512;
/// So many unanswered questions are remembered.
const MAX_ASKED: usize = 64;
/// Edits between question and answer; after more, the answer's place is not known.
const MAX_EDITS_BEFORE_ANSWER: usize = 256;
/// So many acts of a document can be taken back by an undo.
const MAX_UNDOABLE: usize = 32;

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
    Answered {
        /// The question's number.
        request: u64,
        /// The document.
        uri: String,
        /// What it offers; may be empty.
        items: Vec<Item>,
        /// Which model answered, where the wire says it.
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
    /// The editor says that a person dismissed it.
    RejectedExplicitly {
        /// The wire's id of it.
        id: String,
    },
    /// Part of the editor's messages could not be read: the texts can't be followed any more.
    Lost,
    /// Time passes.
    Tick,
    /// The session is over.
    Ended,
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
    /// What it would replace; the empty range at the cursor if it does not say.
    pub range: Option<Range>,
}

/// A model that the wire named.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedModel {
    /// Its name, verbatim.
    pub name: String,
    /// The provider's id of the request, where it was named with it.
    pub request_id: Option<String>,
    /// `observed` where the name belongs to this very answer, else `inferred`.
    pub how: How,
    /// The rule, for `inferred`.
    pub rule: Option<&'static str>,
    /// From 0 to 1, for `inferred`.
    pub confidence: Option<f64>,
}

/// What happened to a suggestion. Suggestions have local numbers, from 1.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A new suggestion.
    Offered(Offered),
    /// One act by which text of it entered.
    Accepted(Accepted),
    /// Its end, or an act taken back.
    Rejected(Rejected),
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
    /// What this act inserted; nothing where no edit was seen.
    pub inserted: Option<String>,
    /// The single insertions: range replaced, text.
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
}

/// An act whose text stands untouched in the document, or was just taken back.
#[derive(Clone, Debug)]
struct Done {
    key: u64,
    act: u32,
    start: usize,
    inserted: String,
    removed: String,
    undone: bool,
}

#[derive(Debug)]
struct Asked {
    request: u64,
    uri: String,
    position: Position,
    text: Text,
    /// What was edited since; `None` once it was too much to remember.
    edits: Option<Vec<Entry>>,
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
            Observation::Closed { uri } => self.closed(now, &uri),
            Observation::Asked { request, uri, position } => self.asked(request, uri, position),
            Observation::Answered { request, uri, items, model } => {
                self.answered(now, request, &uri, items, model.as_ref());
            }
            Observation::Unanswered { request } => self.asked.retain(|asked| asked.request != request),
            Observation::Shown { id } => self.shown(now, &id),
            Observation::AcceptedExplicitly { id, whole } => self.accepted_explicitly(now, &id, whole),
            Observation::RejectedExplicitly { id } => self.rejected_explicitly(now, &id),
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
        let document = Document { text: Text::new(text), language, in_step: true, undoable: VecDeque::new() };
        self.documents.insert(uri, document);
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

    fn lost(&mut self) {
        for document in self.documents.values_mut() {
            document.in_step = false;
            document.undoable.clear();
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
        self.last_edit += 1;
        for asked in self.asked.iter_mut().filter(|asked| asked.uri == uri) {
            asked.remember(&steps);
        }
        if self.taken_back(now, uri, &steps) {
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

    // Undo and redo

    /// Recognises the inverse of an act, or the act again. Returns whether the edit was one of both.
    fn taken_back(&mut self, now: Timestamp, uri: &str, steps: &[Step]) -> bool {
        if let [step] = steps {
            // An act still waiting for its message must stand before it can be taken back.
            let waiting: Vec<u64> = self
                .keys_of(uri)
                .into_iter()
                .filter(|key| self.suggestions[key].is_taken_back_by(&step.entry, &step.removed))
                .collect();
            for key in waiting {
                self.settle(now, key);
            }
        }
        let Some(document) = self.documents.get_mut(uri) else { return false };
        if let [step] = steps
            && let Some(done) =
                document.undoable.iter_mut().rev().find(|done| done.is_inverse(&step.entry, &step.removed))
        {
            done.undone = !done.undone;
            let (done, range) = (done.clone(), step.range);
            let act = self.tell_taken_back(now, &done, range);
            self.shift_undoable(uri, steps, Some((done.key, act)));
            self.follow_regions(uri, steps);
            return true;
        }
        self.shift_undoable(uri, steps, None);
        false
    }

    fn shift_undoable(&mut self, uri: &str, steps: &[Step], except: Option<(u64, u32)>) {
        let Some(document) = self.documents.get_mut(uri) else { return };
        document.undoable.retain_mut(|done| {
            Some((done.key, done.act)) == except || steps.iter().all(|step| done.shift(&step.entry))
        });
    }

    /// Tells it, and returns the act that can be taken back or brought again from now on.
    fn tell_taken_back(&mut self, now: Timestamp, done: &Done, range: Range) -> u32 {
        let Some(suggestion) = self.suggestions.get_mut(&done.key) else { return done.act };
        suggestion.acts += 1;
        suggestion.over = true;
        let act = suggestion.acts;
        if done.undone {
            self.outcomes.push(Outcome::Rejected(Rejected {
                key: done.key,
                act,
                at: now,
                reason: RejectReason::Undone,
                undoes: Some(done.act),
                how: How::Inferred,
                rule: Some("inverse_edit"),
            }));
            return done.act;
        }
        self.outcomes.push(Outcome::Accepted(Accepted {
            key: done.key,
            act,
            at: now,
            extent: Extent::Full,
            gesture: Gesture::Edit,
            how: How::Inferred,
            rule: Some("redone"),
            confidence: Some(0.8),
            range: Some(range),
            earlier: done.inserted.clone(),
            inserted: Some(done.inserted.clone()),
            entered: vec![(range, done.inserted.clone())],
            shown: suggestion.shown,
        }));
        if let Some(document) = self.documents.get_mut(&suggestion.uri)
            && let Some(kept) = document.undoable.iter_mut().find(|d| (d.key, d.act) == (done.key, done.act))
        {
            kept.act = act;
        }
        act
    }

    // Suggestions

    fn asked(&mut self, request: u64, uri: String, position: Position) {
        let Some(document) = self.documents.get(&uri).filter(|document| document.in_step) else { return };
        self.asked.retain(|asked| asked.request != request);
        if self.asked.len() == MAX_ASKED {
            self.asked.pop_front();
        }
        self.asked.push_back(Asked { request, uri, position, text: document.text.clone(), edits: Some(Vec::new()) });
    }

    fn answered(&mut self, now: Timestamp, request: u64, uri: &str, items: Vec<Item>, model: Option<&NamedModel>) {
        let asked = self.asked.iter().position(|asked| asked.request == request).and_then(|i| self.asked.remove(i));
        let mut current = Vec::new();
        for (i, item) in items.into_iter().enumerate() {
            current.push(self.offer(now, request, uri, i, item, asked.as_ref(), model));
        }
        for key in self.keys_of(uri) {
            if !current.contains(&key) {
                self.supersede(now, key, "newer_answer");
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "an answer and its place in it")]
    fn offer(
        &mut self,
        now: Timestamp,
        request: u64,
        uri: &str,
        alternative: usize,
        item: Item,
        asked: Option<&Asked>,
        model: Option<&NamedModel>,
    ) -> u64 {
        let document = self.documents.get(uri).filter(|document| document.in_step);
        let plain = item.plain.clone().unwrap_or_else(|| item.text.clone());
        let wanted = unify(&plain).into_owned();
        let place = asked.zip(document).and_then(|(asked, _)| asked.place(&item, &wanted, self.encoding));
        let content = match (document, place) {
            (Some(document), Some(place)) => document.text.slice(place.region.start..place.region.end),
            _ => String::new(),
        };
        if let Some(key) = self.known(uri, &wanted, place) {
            let suggestion = self.suggestions.get_mut(&key).expect("found among them");
            // What already stands there in full is offered to nobody.
            if unify(&content) != suggestion.wanted {
                suggestion.offered_again(request, place.map(|place| place.region), content);
            }
            self.name(key, item.id);
            return key;
        }
        let moved_on = place.is_some_and(|place| place.edited) && offer::fit(&unify(&content), &wanted) == Fit::Apart;
        let range = match (document, place) {
            (Some(document), Some(place)) if !moved_on => {
                Some(document.text.range(place.region.start..place.region.end))
            }
            _ => item.range.filter(|_| self.encoding == Encoding::Utf16),
        };
        self.make_room(now);
        self.last_key += 1;
        let key = self.last_key;
        self.outcomes.push(Outcome::Offered(Offered {
            key,
            alternative: alternative as u32,
            uri: uri.to_owned(),
            language: self.documents.get(uri).map(|document| document.language.clone()),
            range,
            text: item.text.clone(),
            model: model.cloned(),
        }));
        let suggestion = Suggestion::new(request, uri, wanted, item.id.is_some(), place.map(|p| p.region), content);
        self.suggestions.insert(key, suggestion);
        self.name(key, item.id);
        if moved_on {
            self.reject(now, key, RejectReason::NeverShown, How::Inferred, Some("text_moved_on"));
        }
        key
    }

    /// Finds the suggestion of which this is the same text again.
    fn known(&self, uri: &str, wanted: &str, place: Option<Place>) -> Option<u64> {
        let place = place?.region;
        let text = &self.documents.get(uri)?.text;
        self.suggestions
            .iter()
            .rev()
            .find(|(_, suggestion)| {
                let Some(region) = suggestion.region.filter(|_| suggestion.uri == uri) else { return false };
                if region.start > place.start || suggestion.wanted.len() < wanted.len() {
                    return false;
                }
                // A server may offer only what is left after what the person typed of it.
                let Some(typed) = suggestion.wanted.strip_suffix(wanted) else { return false };
                place.start - region.start <= typed.len() * 2 && unify(&text.slice(region.start..place.start)) == typed
            })
            .map(|(key, _)| *key)
    }

    fn name(&mut self, key: u64, id: Option<String>) {
        let Some(id) = id else { return };
        if let Some(suggestion) = self.suggestions.get_mut(&key) {
            suggestion.ids.push(id.clone());
        }
        self.by_id.insert(id, key);
    }

    fn make_room(&mut self, now: Timestamp) {
        while self.suggestions.len() >= MAX_SUGGESTIONS {
            let oldest = self.suggestions.iter().find(|(_, s)| s.over).or_else(|| self.suggestions.iter().next());
            let Some(key) = oldest.map(|(key, _)| *key) else { return };
            self.settle(now, key);
            self.reject(now, key, RejectReason::Superseded, How::Inferred, Some("too_many_suggestions"));
            if let Some(gone) = self.suggestions.remove(&key) {
                for id in gone.ids {
                    self.by_id.remove(&id);
                }
                self.outcomes.push(Outcome::Forgotten { key });
            }
        }
    }

    fn keys_of(&self, uri: &str) -> Vec<u64> {
        self.suggestions.iter().filter(|(_, s)| s.uri == uri).map(|(key, _)| *key).collect()
    }

    fn find(&mut self, id: &str) -> Option<u64> {
        let key = self.by_id.get(id).copied();
        if key.is_none() {
            self.outcomes.push(Outcome::Degraded { reason: "unknown_suggestion", uri: None, detail: None });
        }
        key
    }

    // Messages

    fn shown(&mut self, now: Timestamp, id: &str) {
        self.says_shown = true;
        if let Some(key) = self.find(id)
            && let Some(suggestion) = self.suggestions.get_mut(&key)
        {
            suggestion.shown.get_or_insert(now);
        }
    }

    fn accepted_explicitly(&mut self, now: Timestamp, id: &str, whole: bool) {
        self.says_accepted = true;
        let Some(key) = self.find(id) else { return };
        let Some(suggestion) = self.suggestions.get_mut(&key) else { return };
        if suggestion.pending.is_some() {
            self.accept(now, key, Gesture::Both);
        } else if std::mem::take(&mut suggestion.unsaid) {
            // The act it speaks of was told when nobody expected the message any more.
        } else if !suggestion.taken_whole {
            // A message outweighs an end that was only concluded.
            suggestion.over = false;
            suggestion.explicit = Some((now, whole));
        }
    }

    fn rejected_explicitly(&mut self, now: Timestamp, id: &str) {
        let Some(key) = self.find(id) else { return };
        self.settle(now, key);
        self.reject(now, key, RejectReason::Dismissed, How::Reported, None);
    }

    // Edits against suggestions

    fn follow_regions(&mut self, uri: &str, steps: &[Step]) {
        for suggestion in self.suggestions.values_mut().filter(|s| s.uri == uri) {
            suggestion.follow(steps);
        }
    }

    fn follow(&mut self, now: Timestamp, uri: &str, before: &Text, steps: &[Step]) {
        for key in self.keys_of(uri) {
            let Some(suggestion) = self.suggestions.get_mut(&key) else { continue };
            let Some(touched) = suggestion.follow(steps) else { continue };
            if suggestion.over && touched.damaged {
                suggestion.region = None;
            }
            if suggestion.over || touched.is_empty() {
                continue;
            }
            let text = &self.documents[uri].text;
            self.touched(now, key, before, text.clone(), touched);
        }
    }

    /// Decides what an edit inside a suggestion's place means.
    fn touched(&mut self, now: Timestamp, key: u64, before: &Text, text: Text, touched: suggestion::Touched) {
        let edit = self.last_edit;
        let suggestion = self.suggestions.get_mut(&key).expect("still there");
        let region = suggestion.region.expect("only followed ones are touched");
        let content = text.slice(region.start..region.end);
        let mut old = std::mem::replace(&mut suggestion.content, content.clone());
        if touched.damaged {
            old = before.slice(touched.before.start..touched.before.end);
        }
        let old_fit = offer::fit(&unify(&old), &suggestion.wanted);
        let mut fit = if touched.damaged { Fit::Apart } else { suggestion.fit() };
        let keystroke = touched.is_keystroke();
        if fit != Fit::Complete && !keystroke && offer::equal_but_for_blanks(&content, &suggestion.wanted) {
            fit = Fit::Complete;
        }
        let grown = content.len() > old.len() || fit == Fit::Complete;
        let kind = match fit {
            Fit::Complete if keystroke => Kind::TypedWhole,
            Fit::Complete => Kind::Whole,
            Fit::Between if !grown => return,
            Fit::Between if keystroke && suggestion.explicit.is_none() => return,
            Fit::Between => {
                let gain = offer::gain(&old, &content);
                let taken = &content[..content.len() - gain.suffix];
                let rest = suggestion.wanted.get(unify(taken).len()..).unwrap_or("");
                Kind::Part { at_border: offer::ends_at_border(taken, rest) }
            }
            // It never fitted, and still may be replaced as a whole.
            Fit::Apart if old_fit == Fit::Apart && keystroke && !touched.damaged => return,
            Fit::Apart if keystroke => {
                if touched.damaged {
                    suggestion.region = None;
                }
                if suggestion.explicit.is_none() {
                    self.settle(now, key);
                    self.typed_over(now, key);
                }
                return;
            }
            Fit::Apart => Kind::Changed,
        };

        // Line by line, as some editors send one acceptance.
        if let Some(pending) = &mut suggestion.pending {
            if matches!(pending.kind, Kind::Part { .. }) && now.millis_since(pending.last) <= BURST_MS {
                pending.extend(now, edit, kind, content, touched.entered);
                return;
            }
            self.settle(now, key);
            let suggestion = self.suggestions.get_mut(&key).expect("still there");
            if suggestion.over {
                return;
            }
            suggestion.content = content.clone();
        }
        let suggestion = self.suggestions.get_mut(&key).expect("still there");
        suggestion.pending = Some(Pending {
            first: now,
            last: now,
            edit,
            kind,
            document: before.clone(),
            region: touched.before,
            before: old,
            after: content,
            entered: touched.entered,
        });
        if suggestion.explicit.is_some() {
            self.accept(now, key, Gesture::Both);
        } else if !suggestion.has_messages && !matches!(kind, Kind::Part { .. }) {
            self.settle(now, key);
        }
    }

    fn typed_over(&mut self, now: Timestamp, key: u64) {
        let Some(suggestion) = self.suggestions.get(&key) else { return };
        if self.says_shown && suggestion.shown.is_none() && suggestion.acts == 0 {
            self.reject(now, key, RejectReason::NeverShown, How::Inferred, Some("client_did_not_say_shown"));
        } else {
            self.reject(now, key, RejectReason::TypedOver, How::Inferred, Some("other_text_entered"));
        }
    }

    // Ends

    /// Lets waiting edits and messages go that have waited long enough.
    fn expire(&mut self, now: Timestamp) {
        let due: Vec<u64> = self
            .suggestions
            .iter()
            .filter(|(_, s)| s.deadline().is_some_and(|deadline| deadline <= now))
            .map(|(key, _)| *key)
            .collect();
        for key in due {
            self.settle(now, key);
        }
    }

    fn end(&mut self, now: Timestamp) {
        let keys: Vec<u64> = self.suggestions.keys().copied().collect();
        for key in keys {
            self.settle(now, key);
            self.reject(now, key, RejectReason::SessionEnded, How::Observed, None);
        }
    }

    /// Decides what waits for a message or an edit as if none will come.
    fn settle(&mut self, now: Timestamp, key: u64) {
        let Some(suggestion) = self.suggestions.get_mut(&key) else { return };
        match &suggestion.pending {
            Some(pending) => match pending.kind {
                Kind::Whole | Kind::Part { at_border: true } => self.accept(now, key, Gesture::Edit),
                Kind::Part { at_border: false } => suggestion.pending = None,
                Kind::TypedWhole => {
                    suggestion.pending = None;
                    self.reject(now, key, RejectReason::TypedAsSuggested, How::Inferred, Some("typed_key_by_key"));
                }
                Kind::Changed => {
                    suggestion.pending = None;
                    self.typed_over(now, key);
                }
            },
            None if suggestion.explicit.is_some() => self.accept(now, key, Gesture::Explicit),
            None => {}
        }
        self.end_as_told(key);
    }

    /// Ends a suggestion whose successor came while something waited.
    fn end_as_told(&mut self, key: u64) {
        if let Some(suggestion) = self.suggestions.get_mut(&key)
            && let Some((at, rule)) = suggestion.ending.take()
        {
            self.reject(at, key, RejectReason::Superseded, How::Inferred, Some(rule));
        }
    }

    fn supersede(&mut self, now: Timestamp, key: u64, rule: &'static str) {
        let Some(suggestion) = self.suggestions.get_mut(&key) else { return };
        if suggestion.over {
            return;
        }
        if suggestion.pending.is_some() || suggestion.explicit.is_some() {
            suggestion.ending = Some((now, rule));
        } else {
            self.reject(now, key, RejectReason::Superseded, How::Inferred, Some(rule));
        }
    }

    fn reject(&mut self, at: Timestamp, key: u64, reason: RejectReason, how: How, rule: Option<&'static str>) {
        let Some(suggestion) = self.suggestions.get_mut(&key) else { return };
        if suggestion.over {
            return;
        }
        suggestion.over = true;
        suggestion.pending = None;
        suggestion.explicit = None;
        suggestion.ending = None;
        suggestion.acts += 1;
        let act = suggestion.acts;
        self.outcomes.push(Outcome::Rejected(Rejected { key, act, at, reason, undoes: None, how, rule }));
    }

    fn accept(&mut self, now: Timestamp, key: u64, gesture: Gesture) {
        let Some(suggestion) = self.suggestions.get_mut(&key) else { return };
        let explicit = suggestion.explicit.take();
        let pending = suggestion.pending.take();
        suggestion.unsaid = gesture == Gesture::Edit && suggestion.has_messages;
        suggestion.acts += 1;
        let act = suggestion.acts;
        let (how, rule, confidence) = match gesture {
            Gesture::Both => (How::Observed, None, None),
            Gesture::Explicit => (How::Reported, None, None),
            Gesture::Edit if self.says_shown && suggestion.shown.is_none() => {
                (How::Inferred, Some("edit_equals_unshown_suggestion"), Some(0.3))
            }
            Gesture::Edit if self.says_accepted && suggestion.has_messages => {
                (How::Inferred, Some("edit_without_its_message"), Some(0.5))
            }
            Gesture::Edit => (How::Inferred, Some("edit_equals_live_suggestion"), Some(0.8)),
        };
        let mut accepted = Accepted {
            key,
            act,
            at: now,
            extent: Extent::Full,
            gesture,
            how,
            rule,
            confidence,
            range: None,
            earlier: suggestion.missing(),
            inserted: None,
            entered: Vec::new(),
            shown: suggestion.shown,
        };
        let group = suggestion.request;
        let uri = suggestion.uri.clone();
        let mut edit = None;
        match pending {
            Some(pending) => {
                let (mut done, range, earlier) = pending.conclude(&suggestion.wanted, key, act);
                accepted.at = pending.first;
                accepted.range = Some(range);
                accepted.earlier = earlier;
                accepted.inserted = Some(done.inserted.clone());
                accepted.extent = match pending.kind {
                    Kind::Whole | Kind::TypedWhole => Extent::Full,
                    Kind::Part { .. } => Extent::Partial,
                    Kind::Changed => Extent::Modified,
                };
                suggestion.taken_whole = !matches!(pending.kind, Kind::Part { .. });
                suggestion.over = suggestion.taken_whole;
                edit = Some(pending.edit);
                accepted.entered = pending.entered;
                if let (Some(document), Some(region)) = (self.documents.get_mut(&uri), suggestion.region) {
                    // Other edits may have moved the place since.
                    done.start = done.start + region.start - pending.region.start;
                    if document.undoable.len() == MAX_UNDOABLE {
                        document.undoable.pop_front();
                    }
                    document.undoable.push_back(done);
                }
            }
            None => {
                let whole = explicit.is_none_or(|(_, whole)| whole);
                accepted.at = explicit.map_or(now, |(at, _)| at);
                accepted.extent = if whole { Extent::Full } else { Extent::Partial };
                suggestion.taken_whole = whole;
                suggestion.over = whole;
            }
        }
        self.outcomes.push(Outcome::Accepted(accepted));
        self.end_as_told(key);
        self.end_alternatives(now, key, group, edit);
    }

    /// The other alternatives of an answer end when one is taken.
    fn end_alternatives(&mut self, now: Timestamp, taken: u64, request: u64, edit: Option<u64>) {
        let others: Vec<u64> = self
            .suggestions
            .iter()
            .filter(|(key, s)| **key != taken && s.request == request)
            .map(|(key, _)| *key)
            .collect();
        for key in others {
            let Some(suggestion) = self.suggestions.get_mut(&key) else { continue };
            if suggestion.pending.as_ref().is_some_and(|pending| Some(pending.edit) == edit) {
                suggestion.pending = None;
            }
            self.supersede(now, key, "another_alternative_taken");
        }
    }
}

/// One replacement, with its place in the document that the whole change met.
#[derive(Clone, Debug)]
struct Step {
    entry: Entry,
    range: Range,
    removed: String,
}

/// Says what came and what went with each edit of one change. The edits are in ascending order.
fn entries(before: &Text, after: &Text, edits: &[crate::text::Edit]) -> Vec<Step> {
    let mut shift = 0isize;
    edits
        .iter()
        .map(|edit| {
            let was = edit.start.wrapping_add_signed(-shift);
            shift += edit.inserted as isize - edit.deleted as isize;
            Step {
                entry: Entry {
                    start: edit.start,
                    deleted: edit.deleted,
                    inserted: after.slice(edit.start..edit.start + edit.inserted),
                },
                range: before.range(was..was + edit.deleted),
                removed: before.slice(was..was + edit.deleted),
            }
        })
        .collect()
}

/// Where an answer stands in the document as it is now.
#[derive(Clone, Copy, Debug)]
struct Place {
    region: Region,
    /// The place itself was edited between question and answer.
    edited: bool,
}

impl Asked {
    fn remember(&mut self, steps: &[Step]) {
        let Some(edits) = &mut self.edits else { return };
        edits.extend(steps.iter().map(|step| step.entry.clone()));
        if edits.len() > MAX_EDITS_BEFORE_ANSWER {
            self.edits = None;
        }
    }

    fn place(&self, item: &Item, wanted: &str, encoding: Encoding) -> Option<Place> {
        let range = item.range.unwrap_or(Range { start: self.position, end: self.position });
        let start = self.text.byte_at(range.start, encoding).ok()?;
        let end = self.text.byte_at(range.end, encoding).ok()?;
        let mut region = (start <= end).then_some(Region { start, end })?;
        let mut edited = false;
        for edit in self.edits.as_ref()? {
            edited |= region.follow(edit, wanted) != offer::Touch::Outside;
        }
        Some(Place { region, edited })
    }
}

impl Done {
    /// Says whether an edit takes this act back; for one that was taken back, whether it brings it again.
    fn is_inverse(&self, entry: &Entry, removed: &str) -> bool {
        let (gone, come) = if self.undone { (&self.removed, &self.inserted) } else { (&self.inserted, &self.removed) };
        entry.start == self.start && removed == gone && entry.inserted == *come
    }

    /// Moves with an edit; false if the edit touched the act's text.
    fn shift(&mut self, edit: &Entry) -> bool {
        let standing = if self.undone { self.removed.len() } else { self.inserted.len() };
        if edit.start >= self.start + standing {
            // A redo comes right after its undo: any other text at the place ends that.
            return !(self.undone && edit.start == self.start);
        }
        if edit.start + edit.deleted > self.start || (edit.deleted == 0 && edit.start == self.start && self.undone) {
            return false;
        }
        self.start = self.start + edit.inserted.len() - edit.deleted;
        true
    }
}

#[cfg(test)]
mod tests;
