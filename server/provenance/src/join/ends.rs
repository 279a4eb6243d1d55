//! Acts and ends: what waited becomes certain, and every suggestion comes to its end.

use countersign_event::Timestamp;
use countersign_event::facts::How;
use countersign_event::payload::suggestion::{Extent, Gesture, RejectReason};

use super::suggestion::Kind;
use super::{Accepted, Joiner, Outcome, Rejected};

impl Joiner {
    /// Lets waiting edits and messages go that have waited long enough.
    pub(super) fn expire(&mut self, now: Timestamp) {
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

    pub(super) fn end(&mut self, now: Timestamp) {
        let keys: Vec<u64> = self.suggestions.keys().copied().collect();
        for key in keys {
            self.settle(now, key);
            self.reject(now, key, RejectReason::SessionEnded, How::Observed, None);
        }
    }

    /// Decides what waits for a message or an edit as if none will come.
    pub(super) fn settle(&mut self, now: Timestamp, key: u64) {
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

    pub(super) fn supersede(&mut self, now: Timestamp, key: u64, rule: &'static str) {
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

    pub(super) fn reject(
        &mut self,
        at: Timestamp,
        key: u64,
        reason: RejectReason,
        how: How,
        rule: Option<&'static str>,
    ) {
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

    pub(super) fn accept(&mut self, now: Timestamp, key: u64, gesture: Gesture) {
        let Some(suggestion) = self.suggestions.get_mut(&key) else { return };
        let explicit = suggestion.explicit.take();
        let pending = suggestion.pending.take();
        suggestion.acts += 1;
        let act = suggestion.acts;
        suggestion.unsaid = (gesture == Gesture::Edit && suggestion.has_messages).then_some(act);
        let (how, rule, confidence) = match gesture {
            Gesture::Both => (How::Observed, None, None),
            Gesture::Explicit => (How::Reported, None, None),
            Gesture::Edit if self.says_shown && suggestion.shown.is_none() => {
                (How::Inferred, Some("edit_equals_unshown_suggestion"), Some(0.3))
            }
            Gesture::Edit if self.says_accepted && suggestion.has_messages => {
                (How::Inferred, Some("edit_without_its_message"), Some(0.5))
            }
            Gesture::Edit if suggestion.is_left && suggestion.channel.is_at_cursor() => {
                (How::Inferred, Some("edit_equals_left_suggestion"), Some(0.3))
            }
            Gesture::Edit if suggestion.is_late => (How::Inferred, Some("edit_equals_late_suggestion"), Some(0.4)),
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
        let group = suggestion.channel.has_alternatives().then_some(suggestion.request);
        let uri = suggestion.uri.clone();
        let mut edit = None;
        match pending {
            Some(pending) => {
                let (mut done, told) = pending.conclude(suggestion, key, act);
                accepted.at = pending.first;
                accepted.range = Some(told.range);
                accepted.earlier = told.earlier;
                accepted.inserted = Some(told.inserted);
                accepted.extent = match pending.kind {
                    Kind::Whole | Kind::TypedWhole => Extent::Full,
                    Kind::Part { .. } => Extent::Partial,
                    Kind::Changed => Extent::Modified,
                };
                suggestion.taken_whole = !matches!(pending.kind, Kind::Part { .. });
                suggestion.over = suggestion.taken_whole;
                edit = Some(pending.edit);
                accepted.entered = pending.entered;
                match suggestion.region {
                    // Other edits may have moved the place since.
                    Some(region) => done.start = done.start + region.start - pending.region.start,
                    None => done.touched = true,
                }
                self.can_be_taken_back(&uri, done);
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
        if let Some(group) = group {
            self.end_alternatives(now, key, group, edit);
        }
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
