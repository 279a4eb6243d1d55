//! Acts that are taken back, and brought again.
//!
//! An editor's undo shows as the inverse of an edit, and a redo as the edit again, right after its undo,
//! before any other text at the place. What is undone together with typing, or in several steps, is the
//! inverse of nothing: there the whole text shows it, which is as it was once (see `history.rs`).

use countersign_event::Timestamp;
use countersign_event::facts::{How, Range};
use countersign_event::payload::suggestion::{Extent, Gesture, RejectReason};

use super::{Accepted, Joiner, Outcome, Rejected, Step};
use crate::offer::Entry;
use crate::text::Text;

/// So many acts of a document can be taken back by an undo.
const MAX_UNDOABLE: usize = 32;

/// An act whose text entered the document, or was taken back.
#[derive(Clone, Debug)]
pub(super) struct Done {
    pub(super) key: u64,
    pub(super) act: u32,
    /// The last edit of the session by which it entered.
    pub(super) edit: u64,
    pub(super) start: usize,
    /// What it replaced, in the document as it was then.
    pub(super) range: Range,
    pub(super) inserted: String,
    pub(super) removed: String,
    pub(super) undone: bool,
    /// Its text was edited since: its place is no longer known.
    pub(super) touched: bool,
}

/// The edits of one change seen as one replacement.
pub(super) struct Whole {
    entry: Entry,
    removed: String,
    range: Range,
}

impl Whole {
    /// Puts the steps of one change together. `None` for several changes: they have no common place.
    pub(super) fn of(steps: &[Step], is_one_change: bool, before: &Text, after: &Text) -> Option<Whole> {
        let (first, last) = (steps.first()?, steps.last()?);
        if steps.len() > 1 && !is_one_change {
            return None;
        }
        let start = first.entry.start;
        let was = first.was..last.was + last.entry.deleted;
        Some(Whole {
            removed: before.slice(was.clone()),
            range: before.range(was.clone()),
            entry: Entry {
                start,
                deleted: was.len(),
                inserted: after.slice(start..last.entry.start + last.entry.inserted.len()),
            },
        })
    }
}

impl Joiner {
    /// Recognises the inverse of an act, or the act again. Returns whether the edit was one of both.
    pub(super) fn taken_back(
        &mut self,
        now: Timestamp,
        uri: &str,
        before: &Text,
        steps: &[Step],
        whole: Option<Whole>,
    ) -> bool {
        if let Some(whole) = &whole {
            // An act still waiting for its message must stand before it can be taken back.
            let waiting: Vec<u64> = self
                .keys_of(uri)
                .into_iter()
                .filter(|key| self.suggestions[key].is_taken_back_by(&whole.entry, &whole.removed))
                .collect();
            for key in waiting {
                self.settle(now, key);
            }
        }
        let Some(document) = self.documents.get_mut(uri) else { return false };
        if let Some(whole) = whole
            && let Some(done) =
                document.undoable.iter_mut().rev().find(|done| done.is_inverse(before, &whole.entry, &whole.removed))
        {
            done.undone = !done.undone;
            let done = done.clone();
            let act = self.tell_taken_back(now, &done, whole.range, "inverse_edit");
            self.shift_undoable(uri, steps, Some((done.key, act)));
            self.follow_regions(uri, steps);
            return true;
        }
        self.shift_undoable(uri, steps, None);
        false
    }

    fn shift_undoable(&mut self, uri: &str, steps: &[Step], except: Option<(u64, u32)>) {
        let Some(document) = self.documents.get_mut(uri) else { return };
        for done in document.undoable.iter_mut().filter(|done| Some((done.key, done.act)) != except) {
            done.touched = done.touched || !steps.iter().all(|step| done.shift(&step.entry));
        }
    }

    /// Remembers an act that an undo could take back.
    pub(super) fn can_be_taken_back(&mut self, uri: &str, done: Done) {
        let Some(document) = self.documents.get_mut(uri) else { return };
        if document.undoable.len() == MAX_UNDOABLE {
            document.undoable.pop_front();
        }
        document.undoable.push_back(done);
    }

    /// Tells it, and returns the act that can be taken back or brought again from now on.
    pub(super) fn tell_taken_back(&mut self, now: Timestamp, done: &Done, range: Range, rule: &'static str) -> u32 {
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
                rule: Some(rule),
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
}

impl Done {
    /// Says whether an edit takes this act back; for one that was taken back, whether it brings it again.
    fn is_inverse(&self, before: &Text, entry: &Entry, removed: &str) -> bool {
        if self.touched {
            return false;
        }
        let (gone, come) = if self.undone { (&self.removed, &self.inserted) } else { (&self.inserted, &self.removed) };
        if entry.start == self.start {
            return removed == gone && entry.inserted == *come;
        }
        // Text that repeats what is around it can be described as put, or taken, a little later.
        match (gone.as_str(), come.as_str()) {
            (text, "") if entry.inserted.is_empty() => self.is_turned(before, entry.start, text, removed),
            ("", text) if removed.is_empty() => self.is_turned(before, entry.start, text, &entry.inserted),
            _ => false,
        }
    }

    /// Says whether `other` at `at` and `text` at this act's place are the same change.
    fn is_turned(&self, before: &Text, at: usize, text: &str, other: &str) -> bool {
        let Some(by) = at.checked_sub(self.start).filter(|by| *by <= text.len() && text.is_char_boundary(*by)) else {
            return false;
        };
        let (front, back) = text.split_at(by);
        other.strip_prefix(back) == Some(front) && before.slice(self.start..at) == front
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
