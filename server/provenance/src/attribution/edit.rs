//! An edit that was seen, key by key.
//!
//! Costs as much as the edit and the lines it touches, whatever the length of the text.

use std::ops::Range;

use super::{Attribution, most};
use crate::spans::{Origin, Spans};
use crate::text::{Edit, Text, lines_of};

impl Attribution {
    /// Follows an edit from the text directly before it to the text directly after it: what came is
    /// `origin`'s, and so are the lines whose non-blank text it changed.
    ///
    /// # Panics
    /// If the edit does not lead from one text to the other, or the attribution is of another text.
    pub fn edit(&mut self, before: &Text, after: &Text, edit: Edit, origin: &Origin) {
        let seen = Seen::of(before, after, edit);
        let (gone, come) = (seen.gone.clone(), seen.come.clone());
        let old = self.cut(gone);
        self.origins.edit(edit, origin);
        self.writers.edit(edit, origin);
        for (now, then) in [(&mut self.origins, &old.origins), (&mut self.writers, &old.writers)] {
            for run in seen.kept.chunk_by(|a, b| then.at(a.1) == then.at(b.1)) {
                let whole = come.start + run[0].0.start..come.start + run[run.len() - 1].0.end;
                now.set(whole, then.at(run[0].1).unwrap_or(origin));
            }
        }
        let lines: Vec<(Range<usize>, Origin)> =
            seen.lines(after).map(|line| (line.clone(), seen.writer(after, line, self, origin))).collect();
        for (line, writer) in lines {
            self.writers.set(line, &writer);
        }
    }

    /// Gives bytes that are there to another writer, and the lines they stand in, as far as they
    /// were `was`'s: whoever changed them since stays their last writer.
    ///
    /// # Panics
    /// If the range ends past the end.
    pub fn give(&mut self, text: &Text, range: Range<usize>, was: &Origin, origin: &Origin) {
        self.origins.set(range.clone(), origin);
        let lines = line_start(text, range.start)..line_end(text, range.end);
        let content = text.slice(lines.clone());
        for line in lines_of(&content) {
            let line = lines.start + line.start..lines.start + line.end;
            let part = line.start.max(range.start)..line.end.min(range.end);
            let touches = !part.is_empty() && (!text.is_blank(part) || text.is_blank(line.clone()));
            if touches && self.writers.at(line.start) == Some(was) {
                self.writers.set(line, origin);
            }
        }
    }

    /// Copies the writers of a part of the text.
    ///
    /// # Panics
    /// If the range ends past the end.
    pub fn cut(&self, range: Range<usize>) -> Attribution {
        let cut = |spans: &Spans| {
            let mut part = Spans::default();
            spans.within(range.clone()).for_each(|(span, origin)| part.push(span.len(), origin.clone()));
            part
        };
        Attribution { origins: cut(&self.origins), writers: cut(&self.writers) }
    }

    /// Gives a part of the text the writers it had when it was [`cut`](Attribution::cut): an undo
    /// brings them back. Whole lines, or the last writers of a line will differ.
    ///
    /// # Panics
    /// If it ends past the end.
    pub fn put(&mut self, at: usize, part: &Attribution) {
        part.origins.iter().for_each(|(span, origin)| self.origins.set(at + span.start..at + span.end, origin));
        part.writers.iter().for_each(|(span, origin)| self.writers.set(at + span.start..at + span.end, origin));
    }
}

/// An edit and the lines around it.
struct Seen {
    /// What went, in the text before.
    gone: Range<usize>,
    /// What came, in the text after.
    come: Range<usize>,
    /// The touched lines, in the text after.
    lines: Range<usize>,
    /// The line that the edit begins in, and the one that it ends in, lost more than blanks.
    lost_before: bool,
    lost_after: bool,
    /// What came is a comma or semicolon where the first line ends.
    adds_comma: bool,
    /// The same signs went and came, if any.
    blanks_only: bool,
    /// Then each sign that came, and where it was in what went.
    kept: Vec<(Range<usize>, usize)>,
}

impl Seen {
    fn of(before: &Text, after: &Text, edit: Edit) -> Seen {
        let gone = edit.start..edit.start + edit.deleted;
        let come = edit.start..edit.start + edit.inserted;
        let (gone_text, come_text) = (before.slice(gone.clone()), after.slice(come.clone()));
        // An edit between CR and LF moves the border of a line beside it.
        let start = line_start(before, gone.start).min(line_start(after, come.start));
        let tail = (before.len_bytes() - line_end(before, gone.end)).min(after.len_bytes() - line_end(after, come.end));
        let lines = start..after.len_bytes() - tail;
        let (before_is_blank, after_is_blank) =
            (after.is_blank(start..come.start), after.is_blank(come.end..lines.end));

        let (first, last) = ends(&gone_text);
        let one_line = !has_line_end(&gone_text);
        let kept = same_signs(&gone_text, &come_text);
        let was_comma = is_comma(first) && !before_is_blank && (!one_line || after_is_blank);
        Seen {
            lost_before: !is_blank(first) && !was_comma,
            lost_after: !(is_blank(last) || one_line && was_comma),
            adds_comma: is_comma(ends(&come_text).0)
                && !before_is_blank
                && (has_line_end(&come_text) || after_is_blank),
            blanks_only: kept.is_some(),
            kept: kept.unwrap_or_default(),
            gone,
            come,
            lines,
        }
    }

    /// The touched lines of the text after.
    fn lines<'a>(&'a self, after: &Text) -> impl Iterator<Item = Range<usize>> + 'a {
        let at = self.lines.start;
        lines_of(&after.slice(self.lines.clone())).into_iter().map(move |line| at + line.start..at + line.end)
    }

    /// Returns who last changed a touched line. `known` has the writers of what stayed, and for what
    /// came `origin`.
    fn writer(&self, after: &Text, line: Range<usize>, known: &Attribution, origin: &Origin) -> Origin {
        let before = line.start..line.end.min(self.come.start).max(line.start);
        let came = line.start.max(self.come.start)..line.end.min(self.come.end);
        let behind = line.start.max(self.come.end).min(line.end)..line.end;
        let has = |part: &Range<usize>| part.start < part.end && !after.is_blank(part.clone());
        let (has_before, has_behind) = (has(&before), has(&behind));
        let blanks_only = self.blanks_only;
        if !(has_before || has_behind || blanks_only && has(&came)) {
            // Nothing of a line that was there, or a blank one.
            let was_blank = !has(&came) && !behind.is_empty() && blanks_only && self.stays_blank(after);
            return if was_blank { known.writers.at(behind.start).unwrap_or(origin).clone() } else { origin.clone() };
        }
        let is_changed = !blanks_only
            && ((has(&came) && !(self.adds_comma && has_before))
                || (has_before && self.lost_before)
                || (has_behind && self.lost_after));
        if is_changed {
            return origin.clone();
        }
        let mut count = Spans::default();
        let mut content = String::new();
        let parts = if blanks_only { vec![line] } else { vec![before, behind] };
        for part in parts.into_iter().filter(|part| part.start < part.end) {
            content.push_str(&after.slice(part.clone()));
            known.writers.within(part).for_each(|(span, writer)| count.push(span.len(), writer.clone()));
        }
        most(&content, 0, &count).unwrap_or_else(|| origin.clone())
    }

    /// Says whether the line that the edit begins in has no sign before it.
    fn stays_blank(&self, after: &Text) -> bool {
        after.is_blank(self.lines.start..self.come.start)
    }
}

/// Pairs each sign of what came with the place of the same sign in what went, if only blanks differ.
fn same_signs(gone: &str, come: &str) -> Option<Vec<(Range<usize>, usize)>> {
    fn signs(text: &str) -> impl Iterator<Item = (usize, char)> {
        text.char_indices().filter(|(_, char)| !char.is_whitespace())
    }
    let mut old = signs(gone);
    let mut kept = Vec::new();
    for (to, char) in signs(come) {
        let (from, _) = old.next().filter(|(_, there)| *there == char)?;
        kept.push((to..to + char.len_utf8(), from));
    }
    old.next().is_none().then_some(kept)
}

fn line_start(text: &Text, byte: usize) -> usize {
    text.line_start(text.line_of(byte)).expect("a byte stands in a line")
}

fn line_end(text: &Text, byte: usize) -> usize {
    text.line_start(text.line_of(byte) + 1).unwrap_or(text.len_bytes())
}

fn has_line_end(text: &str) -> bool {
    text.contains(['\n', '\r'])
}

/// Returns what stands before the first line end and after the last.
fn ends(text: &str) -> (&str, &str) {
    let first = text.split(['\n', '\r']).next().unwrap_or(text);
    let last = text.rsplit(['\n', '\r']).next().unwrap_or(text);
    (first, last)
}

fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

fn is_comma(text: &str) -> bool {
    matches!(text.trim(), "," | ";")
}

#[cfg(test)]
mod tests;
