//! What a document was a moment ago, in case somebody goes back to it: undo and redo bring a text
//! back with the writers it had.

use std::collections::VecDeque;
use std::ops::Range;

use super::follow;
use super::stroke::{Stroke, is_insertion};
use crate::attribution::Attribution;
use crate::text::{Edit, Text};

/// So many deletions can be undone with their writers, each up to [`MAX_REMOVED_BYTES`].
const MAX_REMOVED: usize = 32;
const MAX_REMOVED_BYTES: usize = 64 * 1024;

/// So many whole texts are remembered.
const MAX_TEXTS: usize = 16;

/// A message is large from this many changed bytes or steps on, or when it rewrites text: smaller ones
/// are found by their deletions, and to remember the writers of a whole text costs time for each span.
const LARGE_BYTES: usize = 64;
const LARGE_STEPS: usize = 4;

/// What went, and what stood there before large changes.
#[derive(Default)]
pub(super) struct Former {
    removed: VecDeque<Removed>,
    texts: VecDeque<(Text, Attribution)>,
}

/// Text that went.
pub(super) struct Removed {
    at: usize,
    text: String,
    pub(super) was: Attribution,
}

impl Former {
    /// Finds for each step the deletion that it takes back, and follows the others.
    pub(super) fn undone(&mut self, stroke: &Stroke) -> Vec<Option<Removed>> {
        let mut undone = Vec::with_capacity(stroke.steps.len());
        for step in &stroke.steps {
            let is_it = |removed: &Removed| removed.at == step.edit.start && removed.text == step.come;
            let found = self.removed.iter().rposition(is_it);
            undone.push(found.and_then(|at| self.removed.remove(at)));
            self.removed.iter_mut().for_each(|removed| removed.at = follow::place(removed.at, step.edit));
        }
        undone
    }

    /// Remembers what a step is about to take away. The steps of one message come in order.
    pub(super) fn remember(&mut self, of_message: &mut Vec<Removed>, edit: Edit, gone: String, now: &Attribution) {
        of_message.iter_mut().for_each(|removed| removed.at = follow::place(removed.at, edit));
        if is_insertion(&gone) && edit.deleted <= MAX_REMOVED_BYTES {
            let was = now.cut(edit.start..edit.start + edit.deleted);
            of_message.push(Removed { at: edit.start, text: gone, was });
        }
    }

    /// Takes what a whole message took away.
    pub(super) fn keep(&mut self, of_message: Vec<Removed>) {
        self.removed.extend(of_message);
        while self.removed.len() > MAX_REMOVED {
            self.removed.pop_front();
        }
    }

    /// Returns the writers a text had when it stood here before.
    pub(super) fn writers_of(&self, text: &Text) -> Option<&Attribution> {
        self.texts.iter().rev().find(|(former, _)| former == text).map(|(_, attribution)| attribution)
    }

    /// Remembers a text as it was before a large change.
    pub(super) fn leave(&mut self, text: Text, attribution: Attribution) {
        self.texts.retain(|(former, _)| *former != text);
        self.texts.push_back((text, attribution));
        if self.texts.len() > MAX_TEXTS {
            self.texts.pop_front();
        }
    }
}

/// Says whether a message changed so much that the text before it is worth remembering.
pub(super) fn is_large(stroke: &Stroke) -> bool {
    let bytes: usize = stroke.edits().map(|edit| edit.deleted + edit.inserted).sum();
    bytes >= LARGE_BYTES || stroke.steps.len() >= LARGE_STEPS || stroke.is_rewrite
}

/// Gives a part of a text that came back the writers it had; its lines too, also where only a piece of
/// them went and came.
pub(super) fn restore_part(now: &mut Attribution, text: &Text, at: usize, was: &Attribution) {
    was.origins.iter().for_each(|(range, origin)| now.origins.set(at + range.start..at + range.end, origin));
    for line in text.lines_in(at..at + was.len_bytes()) {
        if let Some(writer) = was.writers.at(line.start.max(at) - at) {
            now.writers.set(line, writer);
        }
    }
}

/// Gives ranges of a text the writers they had in the same text before; their lines too.
pub(super) fn restore(now: &mut Attribution, text: &Text, ranges: &[Range<usize>], was: &Attribution) {
    for range in ranges {
        was.origins.within(range.clone()).for_each(|(range, origin)| now.origins.set(range, origin));
        for line in text.lines_in(range.clone()) {
            was.writers.within(line).for_each(|(range, writer)| now.writers.set(range, writer));
        }
    }
}
