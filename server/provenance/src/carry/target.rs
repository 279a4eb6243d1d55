//! The text whose writers are looked for, line by line until all are known.

use std::ops::Range;

use super::Source;
use super::align::{Lines, Pair};
use crate::attribution::Attribution;
use crate::spans::{Origin, Spans};

/// A text on its way to its attribution.
pub(super) struct Target<'a> {
    pub(super) text: &'a str,
    pub(super) new: &'a Lines<'a>,
    pub(super) actor: &'a Origin,
    /// Who last changed each line, where that is known.
    writers: Vec<Option<Origin>>,
    pieces: Vec<(Range<usize>, Origin)>,
    left: usize,
}

impl<'a> Target<'a> {
    pub(super) fn new(text: &'a str, new: &'a Lines<'a>, actor: &'a Origin) -> Self {
        Target { text, new, actor, writers: vec![None; new.len()], pieces: Vec::new(), left: new.len() }
    }

    pub(super) fn is_open(&self, line: usize) -> bool {
        self.writers[line].is_none()
    }

    pub(super) fn is_done(&self) -> bool {
        self.left == 0
    }

    pub(super) fn open(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.writers.len()).filter(|line| self.is_open(*line))
    }

    /// Gives an open line to the writers of a line of the same signs.
    pub(super) fn take_line(&mut self, source: &Source<'_>, pair: Pair) {
        if !self.is_open(pair.new) {
            return;
        }
        let (from, to) = (source.old.range(pair.old), self.new.range(pair.new));
        let (known, origins) = (source.known, &source.known.attribution.origins);
        if known.text[from.clone()] == self.text[to.clone()] {
            for (span, origin) in origins.within(from.clone()) {
                let at = to.start + (span.start - from.start);
                self.pieces.push((at..at + span.len(), origin.clone()));
            }
        } else if let Some((_, origin)) = origins.within(from.clone()).next().filter(|(span, _)| *span == from) {
            self.pieces.push((to, origin.clone()));
        } else {
            // Equal signs with other blanks: the blanks go with the sign that follows, those at the
            // line's end with the one before.
            let signs = |text: &'_ str| -> Vec<Range<usize>> {
                let signs = text.char_indices().filter(|(_, char)| !char.is_whitespace());
                signs.map(|(at, char)| at..at + char.len_utf8()).collect()
            };
            let (old, new) = (signs(&known.text[from.clone()]), signs(&self.text[to.clone()]));
            let origin =
                |sign: Option<&Range<usize>>| origins.at(from.start + sign.map_or(0, |sign| sign.start)).cloned();
            let found: Vec<Option<Origin>> = (0..new.len().max(1)).map(|i| origin(old.get(i))).collect();
            self.give(to, &new, &found);
        }
        let writer = source.known.attribution.writers.at(from.start).cloned();
        self.close(pair.new, writer.unwrap_or_else(|| self.actor.clone()));
    }

    /// Gives parts of an open line to their writers and closes it.
    pub(super) fn take_parts(
        &mut self,
        line: usize,
        parts: &[Range<usize>],
        origins: &[Option<Origin>],
        writer: Origin,
    ) {
        self.give(self.new.range(line), parts, origins);
        self.close(line, writer);
    }

    /// Gives parts of a line (from its start) to their writers, and the blanks to the writer of the
    /// part that follows, or at the line's end of the one before.
    fn give(&mut self, line: Range<usize>, parts: &[Range<usize>], origins: &[Option<Origin>]) {
        let mut at = line.start;
        for (i, origin) in origins.iter().enumerate() {
            let end = parts.get(i).filter(|_| i + 1 < origins.len()).map_or(line.end, |part| line.start + part.end);
            self.pieces.push((at..end, origin.clone().unwrap_or_else(|| self.actor.clone())));
            at = end;
        }
    }

    fn close(&mut self, line: usize, writer: Origin) {
        self.writers[line] = Some(writer);
        self.left -= 1;
    }

    /// Returns what was found; the rest is the actor's.
    pub(super) fn finish(mut self) -> Attribution {
        self.pieces.sort_by_key(|(range, _)| range.start);
        let mut origins = Spans::default();
        for (range, origin) in self.pieces {
            let at = origins.len_bytes();
            debug_assert!(range.start >= at, "a byte is given once");
            origins.push(range.start.saturating_sub(at), self.actor.clone());
            origins.push(range.end - range.start, origin);
        }
        origins.push(self.text.len() - origins.len_bytes(), self.actor.clone());
        let mut writers = Spans::default();
        for (line, writer) in self.writers.into_iter().enumerate() {
            writers.push(self.new.range(line).len(), writer.unwrap_or_else(|| self.actor.clone()));
        }
        Attribution { origins, writers }
    }
}
