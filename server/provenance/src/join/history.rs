//! Texts as they were: an undo of several edits at once, or in several steps, is no inverse of any single
//! edit, but brings back a text that the document had before.

use std::collections::VecDeque;

use countersign_event::Timestamp;

use super::undo::Done;
use super::{Joiner, Step};
use crate::offer;
use crate::text::Text;

/// So many texts of a document are remembered; each costs what differs from its neighbour.
const MAX_STATES: usize = 256;

/// A document as it was.
#[derive(Debug)]
pub(super) struct State {
    /// The edit that came next.
    edit: u64,
    text: Text,
    /// Acts that were taken back then, by suggestion and edit.
    undone: Vec<(u64, u64)>,
}

impl State {
    /// Remembers the text that an edit meets.
    pub(super) fn remember(states: &mut VecDeque<State>, edit: u64, text: &Text, undoable: &VecDeque<Done>) {
        if states.len() == MAX_STATES {
            states.pop_front();
        }
        let undone = undoable.iter().filter(|done| done.undone).map(|done| (done.key, done.edit)).collect();
        states.push_back(State { edit, text: text.clone(), undone });
    }

    /// Says whether an act's text stood in it.
    fn has(&self, key: u64, edit: u64) -> bool {
        edit < self.edit && !self.undone.contains(&(key, edit))
    }
}

impl Joiner {
    /// Recognises an edit that brings a former text back, with acts taken back or brought again by it.
    /// Returns whether it did. One key at a time is no undo: a person may delete what they took.
    pub(super) fn brought_back(&mut self, now: Timestamp, uri: &str, steps: &[Step]) -> bool {
        if steps.iter().all(Step::is_keystroke) {
            return false;
        }
        let Some(document) = self.documents.get(uri) else { return false };
        let Some(state) = document.states.iter().rev().find(|state| state.text == document.text) else {
            return false;
        };
        let then = state.edit;
        // An act still waiting for its message must stand before it can be taken back.
        let is_gone = |key: &u64| self.suggestions[key].pending.as_ref().is_some_and(|pending| pending.edit >= then);
        let waiting: Vec<u64> = self.keys_of(uri).into_iter().filter(is_gone).collect();
        for key in waiting {
            self.settle(now, key);
        }
        let Some(document) = self.documents.get_mut(uri) else { return false };
        let Some(state) = document.states.iter().find(|state| state.edit == then) else { return false };
        let mut turned: Vec<Done> = Vec::new();
        for done in &mut document.undoable {
            if state.has(done.key, done.edit) == done.undone {
                done.undone = !done.undone;
                turned.push(done.clone());
            }
        }
        // The last act goes first, and comes back last.
        turned.sort_by_key(|done| if done.undone { (0, u64::MAX - done.edit) } else { (1, done.edit) });
        for done in &turned {
            self.tell_taken_back(now, done, done.range, "text_as_before");
        }
        if !turned.is_empty() {
            self.follow_regions(uri, steps);
        }
        !turned.is_empty()
    }
}

impl Step {
    /// Says whether one key can have done it.
    fn is_keystroke(&self) -> bool {
        offer::is_keystroke(&self.entry.inserted) && self.removed.chars().nth(1).is_none()
    }
}
