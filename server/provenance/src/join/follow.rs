//! Edits against suggestions: what text that entered in an offer's place means.

use countersign_event::Timestamp;
use countersign_event::facts::How;
use countersign_event::payload::suggestion::{Gesture, RejectReason};

use super::suggestion::{Kind, Pending, Touched};
use super::{BURST_MS, Channel, Joiner, Step};
use crate::offer::{self, Fit, unify};
use crate::text::Text;

impl Joiner {
    pub(super) fn follow_regions(&mut self, uri: &str, steps: &[Step]) {
        for suggestion in self.suggestions.values_mut().filter(|s| s.uri == uri) {
            suggestion.follow(steps);
        }
    }

    pub(super) fn follow(&mut self, now: Timestamp, uri: &str, before: &Text, steps: &[Step]) {
        for key in self.keys_of(uri) {
            let Some(suggestion) = self.suggestions.get_mut(&key) else { continue };
            if suggestion.channel == Channel::Chat && suggestion.explicit.is_some() {
                self.look_for_insertion(now, key);
                continue;
            }
            let Some(touched) = suggestion.follow(steps) else { continue };
            if suggestion.over && touched.damaged {
                suggestion.region = None;
            }
            if touched.is_empty() {
                suggestion.is_left |= suggestion.pending.is_none() && suggestion.explicit.is_none();
            }
            if suggestion.over || touched.is_empty() {
                continue;
            }
            let text = &self.documents[uri].text;
            self.touched(now, key, before, text.clone(), touched);
        }
    }

    /// Decides what an edit inside a suggestion's place means.
    fn touched(&mut self, now: Timestamp, key: u64, before: &Text, text: Text, touched: Touched) {
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
        let keystroke = touched.is_keystroke(suggestion.channel);
        if fit != Fit::Complete && !keystroke {
            let behind = text.slice(region.end..text.len_bytes().min(region.end + offer::CLOSERS_MAX));
            if offer::equal_but_for_blanks(&content, &suggestion.wanted)
                || offer::equal_but_for_closers(&unify(&content), &suggestion.wanted, &behind)
            {
                fit = Fit::Complete;
            }
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
                // A change of existing text has no words to take one by one.
                let at_border = !suggestion.channel.replaces() && offer::ends_at_border(taken, rest);
                Kind::Part { at_border }
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
                pending.extend(now, edit, kind, content, touched.into_entered());
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
            entered: touched.into_entered(),
        });
        if suggestion.explicit.is_some() {
            self.accept(now, key, Gesture::Both);
        } else if !suggestion.has_messages && !matches!(kind, Kind::Part { .. }) {
            self.settle(now, key);
        }
    }

    pub(super) fn typed_over(&mut self, now: Timestamp, key: u64) {
        let Some(suggestion) = self.suggestions.get(&key) else { return };
        if self.says_shown && suggestion.shown.is_none() && suggestion.acts == 0 {
            self.reject(now, key, RejectReason::NeverShown, How::Inferred, Some("client_did_not_say_shown"));
        } else {
            self.reject(now, key, RejectReason::TypedOver, How::Inferred, Some("other_text_entered"));
        }
    }
}
