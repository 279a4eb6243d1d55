//! Questions and answers: where an offer stands in a text that may have gone on, and whether it is new.

use countersign_event::Timestamp;
use countersign_event::facts::{How, Position, Range};
use countersign_event::payload::suggestion::RejectReason;

use super::suggestion::Suggestion;
use super::{Answer, Channel, Item, Joiner, NamedModel, Offered, Outcome, Step};
use crate::offer::{self, Entry, Fit, Region, unify};
use crate::text::{Encoding, Text};

/// So many suggestions are remembered; the oldest are ended and forgotten first.
pub(super) const MAX_SUGGESTIONS: usize = 512;
/// So many unanswered questions are remembered.
const MAX_ASKED: usize = 64;
/// Edits between question and answer; after more, the answer's place is not known.
const MAX_EDITS_BEFORE_ANSWER: usize = 256;

/// A question without an answer, and the text it was asked about.
#[derive(Debug)]
pub(super) struct Asked {
    request: u64,
    pub(super) uri: String,
    position: Position,
    text: Text,
    /// What was edited since; `None` once it was too much to remember.
    edits: Option<Vec<Entry>>,
}

/// Where an answer stands in the document as it is now.
#[derive(Clone, Copy, Debug)]
struct Place {
    region: Region,
    /// The place itself was edited between question and answer.
    edited: bool,
}

/// An offer before it is known whether it is new.
struct New<'a> {
    request: u64,
    uri: &'a str,
    channel: Channel,
    alternative: usize,
    item: Item,
    place: Option<Place>,
    model: Option<&'a NamedModel>,
}

impl Joiner {
    pub(super) fn asked(&mut self, request: u64, uri: String, position: Position) {
        let Some(document) = self.documents.get(&uri).filter(|document| document.in_step) else { return };
        self.asked.retain(|asked| asked.request != request);
        if self.asked.len() == MAX_ASKED {
            self.asked.pop_front();
        }
        self.asked.push_back(Asked { request, uri, position, text: document.text.clone(), edits: Some(Vec::new()) });
    }

    pub(super) fn answered(&mut self, now: Timestamp, answer: Answer) {
        let Answer { request, uri, channel, items, more, model } = answer;
        let at = self.asked.iter().position(|asked| asked.request == request);
        let asked = at.and_then(|at| self.asked.remove(at));
        let earlier = self.suggestions.values().filter(|s| s.request == request && s.uri == uri).count();
        let mut current = Vec::new();
        for (i, item) in items.into_iter().enumerate() {
            let is_in_step = self.documents.get(&uri).is_some_and(|document| document.in_step);
            let plain = item.plain.as_deref().unwrap_or(&item.text);
            let asked = asked.as_ref().filter(|_| is_in_step);
            let place = asked.and_then(|asked| asked.place(item.range, &unify(plain), channel, self.encoding));
            let model = model.as_ref();
            current.push(
                self.offer(now, New { request, uri: &uri, channel, alternative: earlier + i, item, place, model }),
            );
        }
        for key in self.keys_of(&uri) {
            let suggestion = &self.suggestions[&key];
            if suggestion.channel == channel && suggestion.request != request && !current.contains(&key) {
                self.supersede(now, key, "newer_answer");
            }
        }
        if more {
            self.asked.extend(asked);
        }
    }

    /// Edits that a command or code action would make of the documents as they are.
    pub(super) fn proposed(
        &mut self,
        now: Timestamp,
        request: u64,
        edits: Vec<(String, Item)>,
        model: Option<&NamedModel>,
    ) {
        for (i, (uri, item)) in edits.into_iter().enumerate() {
            let document = self.documents.get(&uri).filter(|document| document.in_step);
            let place = document.zip(item.range).and_then(|(document, range)| {
                let start = document.text.byte_at(range.start, self.encoding).ok()?;
                let end = document.text.byte_at(range.end, self.encoding).ok()?;
                (start <= end).then_some(Place { region: Region { start, end }, edited: false })
            });
            self.offer(now, New { request, uri: &uri, channel: Channel::Edit, alternative: i, item, place, model });
        }
    }

    fn offer(&mut self, now: Timestamp, new: New<'_>) -> u64 {
        let New { request, uri, channel, alternative, item, place, model } = new;
        let document = self.documents.get(uri);
        let wanted = unify(item.plain.as_deref().unwrap_or(&item.text)).into_owned();
        let content = match (document, place) {
            (Some(document), Some(place)) => document.text.slice(place.region.start..place.region.end),
            _ => String::new(),
        };
        if let Some(key) = self.known(uri, channel, &wanted, place) {
            let suggestion = self.suggestions.get_mut(&key).expect("found among them");
            // What already stands there in full is offered to nobody.
            if unify(&content) != suggestion.wanted {
                suggestion.offered_again(request, place.map(|place| place.region), content);
            }
            self.name(key, item.id);
            return key;
        }
        let edited = place.is_some_and(|place| place.edited);
        let moved_on = edited && offer::fit(&unify(&content), &wanted) == Fit::Apart;
        let range = match (document, place) {
            (Some(document), Some(place)) if !moved_on => {
                Some(document.text.range(place.region.start..place.region.end))
            }
            _ => item.range.filter(|_| self.encoding == Encoding::Utf16),
        };
        let language = document.map(|document| document.language.clone());
        let key = self.next_key(now);
        self.outcomes.push(Outcome::Offered(Offered {
            key,
            channel,
            alternative: alternative as u32,
            uri: uri.to_owned(),
            language,
            range,
            text: item.text,
            model: model.cloned(),
        }));
        let mut suggestion = Suggestion::new(request, uri, channel, wanted);
        suggestion.has_messages = item.id.is_some();
        suggestion.is_late = edited;
        suggestion.region = place.map(|place| place.region);
        suggestion.content = content;
        self.suggestions.insert(key, suggestion);
        self.name(key, item.id);
        if moved_on {
            self.reject(now, key, RejectReason::NeverShown, How::Inferred, Some("text_moved_on"));
        }
        key
    }

    /// Returns a number for a new suggestion, and makes room for it.
    pub(super) fn next_key(&mut self, now: Timestamp) -> u64 {
        self.make_room(now);
        self.last_key += 1;
        self.last_key
    }

    /// Finds the suggestion of which this is the same text again.
    fn known(&self, uri: &str, channel: Channel, wanted: &str, place: Option<Place>) -> Option<u64> {
        let place = place?.region;
        let text = &self.documents.get(uri)?.text;
        self.suggestions
            .iter()
            .rev()
            .find(|(_, suggestion)| {
                let Some(region) = suggestion.region.filter(|_| suggestion.uri == uri) else { return false };
                if suggestion.channel.replaces() || channel.replaces() {
                    // The same change of the same text.
                    return suggestion.channel == channel && region == place && suggestion.wanted == wanted;
                }
                if region.start > place.start || suggestion.wanted.len() < wanted.len() {
                    return false;
                }
                // A server may offer only what is left after what the person typed of it.
                let Some(typed) = suggestion.wanted.strip_suffix(wanted) else { return false };
                place.start - region.start <= typed.len() * 2 && unify(&text.slice(region.start..place.start)) == typed
            })
            .map(|(key, _)| *key)
    }

    pub(super) fn name(&mut self, key: u64, id: Option<String>) {
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
}

impl Asked {
    pub(super) fn remember(&mut self, steps: &[Step]) {
        let Some(edits) = &mut self.edits else { return };
        edits.extend(steps.iter().map(|step| step.entry.clone()));
        if edits.len() > MAX_EDITS_BEFORE_ANSWER {
            self.edits = None;
        }
    }

    pub(super) fn is(&self, request: u64) -> bool {
        self.request == request
    }

    fn place(&self, range: Option<Range>, wanted: &str, channel: Channel, encoding: Encoding) -> Option<Place> {
        let at_cursor = Range { start: self.position, end: self.position };
        let mut start = self.text.byte_at(range.unwrap_or(at_cursor).start, encoding).ok()?;
        let end = self.text.byte_at(range.unwrap_or(at_cursor).end, encoding).ok()?;
        if range.is_none() && channel == Channel::Menu {
            start -= self.begun_word(start, wanted);
        }
        let mut region = (start <= end).then_some(Region { start, end })?;
        let mut edited = false;
        for edit in self.edits.as_ref()? {
            edited |= region.follow(edit, wanted) != offer::Touch::Outside;
        }
        Some(Place { region, edited })
    }

    /// Returns how many bytes of the word before the cursor a menu's item repeats: without a range, an
    /// item stands for the whole word.
    fn begun_word(&self, cursor: usize, wanted: &str) -> usize {
        let line = self.text.line_start(self.text.line_of(cursor)).unwrap_or(cursor);
        let before = self.text.slice(line..cursor);
        let word = before.trim_end_matches(offer::is_word).len();
        if before.len() > word && wanted.starts_with(&before[word..]) { before.len() - word } else { 0 }
    }
}
