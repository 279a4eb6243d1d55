//! What messages say about suggestions: shown, taken, put in from a conversation, dismissed.

use std::collections::VecDeque;

use countersign_event::Timestamp;
use countersign_event::facts::{How, Range};
use countersign_event::payload::suggestion::{Gesture, RejectReason};

use super::suggestion::{Kind, Pending, Suggestion};
use super::{Channel, Insertion, Joiner, Offered, Outcome, Step, WAIT_MS};
use crate::offer::{self, Region, unify};
use crate::text::Text;

/// So many insertions of a document are remembered for a message that comes after them.
const MAX_RECENT: usize = 8;

/// An insertion that may turn out to be text of a conversation.
#[derive(Clone, Debug)]
pub(super) struct Recent {
    at: Timestamp,
    edit: u64,
    before: Text,
    start: usize,
    removed: String,
    inserted: String,
    entered: (Range, String),
}

impl Recent {
    /// Remembers what more than a key put in.
    pub(super) fn remember(recent: &mut VecDeque<Recent>, now: Timestamp, edit: u64, before: &Text, steps: &[Step]) {
        recent.retain(|recent| now.millis_since(recent.at) <= WAIT_MS);
        for step in steps.iter().filter(|step| !offer::is_keystroke(&step.entry.inserted)) {
            if recent.len() == MAX_RECENT {
                recent.pop_front();
            }
            recent.push_back(Recent {
                at: now,
                edit,
                before: before.clone(),
                start: step.entry.start,
                removed: step.removed.clone(),
                inserted: step.entry.inserted.clone(),
                entered: step.entered.clone(),
            });
        }
    }

    /// Says whether this is the text, or with `whole` unset a beginning of it.
    fn gives(&self, wanted: &str, whole: bool) -> bool {
        let inserted = unify(&self.inserted);
        offer::equal_but_for_blanks(&inserted, wanted) || (!whole && wanted.starts_with(inserted.as_ref()))
    }

    fn into_pending(self, wanted: &str) -> Pending {
        let is_whole = offer::equal_but_for_blanks(&self.inserted, wanted);
        Pending {
            first: self.at,
            last: self.at,
            edit: self.edit,
            kind: if is_whole { Kind::Whole } else { Kind::Part { at_border: true } },
            document: self.before,
            region: Region { start: self.start, end: self.start + self.removed.len() },
            before: self.removed,
            after: self.inserted,
            entered: vec![self.entered],
        }
    }
}

impl Joiner {
    fn find(&mut self, id: &str) -> Option<u64> {
        let key = self.by_id.get(id).copied();
        if key.is_none() {
            self.outcomes.push(Outcome::Degraded { reason: "unknown_suggestion", uri: None, detail: None });
        }
        key
    }

    pub(super) fn shown(&mut self, now: Timestamp, id: &str) {
        self.says_shown = true;
        if let Some(key) = self.find(id)
            && let Some(suggestion) = self.suggestions.get_mut(&key)
        {
            suggestion.shown.get_or_insert(now);
        }
    }

    pub(super) fn accepted_explicitly(&mut self, now: Timestamp, id: &str, whole: bool) {
        self.says_accepted = true;
        let Some(key) = self.find(id) else { return };
        let Some(suggestion) = self.suggestions.get_mut(&key) else { return };
        if suggestion.pending.is_some() {
            self.accept(now, key, Gesture::Both);
        } else if let Some(act) = suggestion.unsaid.take() {
            // The act it speaks of was told when nobody expected the message any more.
            self.outcomes.push(Outcome::Evidenced { key, act, saw: "explicit_message" });
        } else if !suggestion.taken_whole {
            // A message outweighs an end that was only concluded.
            suggestion.over = false;
            suggestion.explicit = Some((now, whole));
        }
    }

    pub(super) fn rejected_explicitly(&mut self, now: Timestamp, id: &str, reason: RejectReason) {
        let Some(key) = self.find(id) else { return };
        let Some(suggestion) = self.suggestions.get_mut(&key) else { return };
        // What is told outweighs the end that other text in its place would mean.
        suggestion.pending.take_if(|pending| pending.kind == Kind::Changed);
        self.settle(now, key);
        self.reject(now, key, reason, How::Reported, None);
    }

    /// Text of a conversation becomes an offer when a person puts it somewhere: before, it has no place.
    pub(super) fn inserted(&mut self, now: Timestamp, insertion: Insertion) {
        let Insertion { id, uri, text, whole, model } = insertion;
        let key = match self.by_id.get(&id).copied() {
            Some(key) => {
                self.settle(now, key);
                key
            }
            None => {
                let key = self.next_key(now);
                self.outcomes.push(Outcome::Offered(Offered {
                    key,
                    channel: Channel::Chat,
                    alternative: 0,
                    uri: uri.clone(),
                    language: self.documents.get(&uri).map(|document| document.language.clone()),
                    range: None,
                    text: text.clone(),
                    model,
                }));
                let mut suggestion = Suggestion::new(0, &uri, Channel::Chat, unify(&text).into_owned());
                suggestion.has_messages = true;
                self.suggestions.insert(key, suggestion);
                self.name(key, Some(id));
                key
            }
        };
        let Some(suggestion) = self.suggestions.get_mut(&key) else { return };
        suggestion.over = false;
        suggestion.taken_whole = false;
        suggestion.region = None;
        suggestion.content.clear();
        suggestion.explicit = Some((now, whole));
        self.look_for_insertion(now, key);
    }

    /// Looks whether an insertion of the last moments is what a message spoke of.
    pub(super) fn look_for_insertion(&mut self, now: Timestamp, key: u64) {
        let Some(suggestion) = self.suggestions.get_mut(&key) else { return };
        let Some((_, whole)) = suggestion.explicit else { return };
        let Some(document) = self.documents.get_mut(&suggestion.uri) else { return };
        let recent = &mut document.recent;
        let Some(at) = recent
            .iter()
            .rposition(|recent| now.millis_since(recent.at) <= WAIT_MS && recent.gives(&suggestion.wanted, whole))
        else {
            return;
        };
        let Some(found) = recent.remove(at) else { return };
        // Other edits since have moved it; then it can't be followed further.
        suggestion.region = (found.edit == self.last_edit)
            .then_some(Region { start: found.start, end: found.start + found.inserted.len() });
        suggestion.content = found.inserted.clone();
        suggestion.pending = Some(found.into_pending(&suggestion.wanted));
        self.accept(now, key, Gesture::Both);
    }
}
