//! Text that nobody here saw being written, until somebody tells whose it is: a document as it was
//! opened, or what came with a reload.
//!
//! The answer comes late and from texts that lie elsewhere. It may only say who wrote what was asked
//! about; it never changes what was seen entering since.

use std::ops::Range;

use countersign_event::Timestamp;

use super::follow;
use crate::attribution::Attribution;
use crate::spans::{Origin, Spans};
use crate::text::{Edit, Text};

/// After so many edits an answer is no longer worth its price.
const MAX_EDITS: usize = 4_096;

/// So many questions of one document are open at once; the oldest are given up.
const MAX_QUESTIONS: usize = 8;

/// How long an answer is waited for: attributing a long history takes its time.
const ANSWERED_WITHIN_MS: i64 = 60_000;

/// A text as it was asked about.
pub(super) struct Question {
    id: u64,
    at: Timestamp,
    pub(super) text: Text,
    /// What it is about, in that text.
    open: Vec<Range<usize>>,
    /// Lines of which it is only about who changed them last.
    cut: Vec<Range<usize>>,
    /// By whom that is as long as nobody answers.
    pub(super) provisional: Origin,
    /// When the text came by a message of the editor: that message.
    pub(super) stroke: Option<Timestamp>,
    /// The editor wrote its text to the disk since.
    pub(super) is_saved: bool,
    /// Whoever was asked has looked; a better answer may still come.
    is_looked_up: bool,
    edits: Vec<Edit>,
}

impl Question {
    pub(super) fn new(
        id: u64,
        at: Timestamp,
        text: Text,
        (open, cut): (Vec<Range<usize>>, Vec<Range<usize>>),
        provisional: Origin,
        stroke: Option<Timestamp>,
    ) -> Self {
        let (is_saved, is_looked_up, edits) = (false, false, Vec::new());
        Question { id, at, text, open, cut, provisional, stroke, is_saved, is_looked_up, edits }
    }

    /// Takes back that a person typed it.
    pub(super) fn nobody_typed(&mut self, now: &mut Attribution) {
        let nobody = Attribution::new(self.text.len_bytes(), Origin::Unknown);
        self.settle(&nobody, now);
        self.provisional = Origin::Unknown;
    }

    /// Gives what is left of the text in question its writers, as far as nobody else is known by now.
    pub(super) fn settle(&self, answer: &Attribution, now: &mut Attribution) {
        let mut done = 0;
        for open in &self.open {
            for (range, origin) in answer.origins.within(open.clone()) {
                self.give(range, origin, &mut now.origins);
            }
            for line in self.text.lines_in(open.clone()) {
                if line.start >= done {
                    done = line.end;
                    self.settle_line(line, answer, now);
                }
            }
        }
        self.cut.iter().for_each(|line| self.settle_line(line.clone(), answer, now));
    }

    /// A line that was edited since belongs to whoever edited it; a line begun at its end is another.
    fn settle_line(&self, line: Range<usize>, answer: &Attribution, now: &mut Attribution) {
        let body = line.start..line.start + self.body_len(line.clone());
        if let Some(writer) = answer.writers.at(line.start)
            && self.left_of(body.clone()).iter().map(Range::len).eq([body.len()])
        {
            self.give(line, writer, &mut now.writers);
        }
    }

    /// The length of a line without its end.
    fn body_len(&self, line: Range<usize>) -> usize {
        self.text.slice(line).trim_end_matches(['\n', '\r']).len()
    }

    fn give(&self, range: Range<usize>, origin: &Origin, now: &mut Spans) {
        for left in self.left_of(range) {
            let free: Vec<Range<usize>> =
                now.within(left).filter(|(_, at)| **at == self.provisional).map(|(range, _)| range).collect();
            free.into_iter().for_each(|range| now.set(range, origin));
        }
    }

    fn left_of(&self, range: Range<usize>) -> Vec<Range<usize>> {
        let mut left = vec![range];
        self.edits.iter().for_each(|edit| follow::survivors(&mut left, *edit));
        left
    }
}

/// The questions of one document.
#[derive(Default)]
pub(super) struct Questions {
    open: Vec<Question>,
}

impl Questions {
    pub(super) fn ask(&mut self, question: Question) {
        self.open.push(question);
        if self.open.len() > MAX_QUESTIONS {
            self.open.remove(0);
        }
    }

    /// Follows an edit.
    pub(super) fn edit(&mut self, edit: Edit) {
        if self.open.is_empty() {
            return;
        }
        self.open.iter_mut().for_each(|question| question.edits.push(edit));
        self.open.retain(|question| question.edits.len() <= MAX_EDITS);
    }

    /// Returns a question; it may be answered again, and better.
    pub(super) fn get(&mut self, id: u64) -> Option<&mut Question> {
        self.open.iter_mut().find(|question| question.id == id)
    }

    /// Tells whether somebody still looks up whose a text is.
    pub(super) fn is_pending(&self) -> bool {
        self.open.iter().any(|question| !question.is_looked_up)
    }

    /// Takes note that a question was looked up; one of which nothing more is to come is forgotten.
    pub(super) fn looked_up(&mut self, id: u64, is_over: bool) {
        if let Some(question) = self.get(id) {
            question.is_looked_up = true;
        }
        self.open.retain(|question| !is_over || question.id != id);
    }

    /// Takes note that the editor wrote its text to the disk.
    pub(super) fn saved(&mut self) {
        self.open.iter_mut().for_each(|question| question.is_saved = true);
    }

    pub(super) fn pass_time(&mut self, now: Timestamp) {
        self.open.retain(|question| now.millis_since(question.at) <= ANSWERED_WITHIN_MS);
    }
}
