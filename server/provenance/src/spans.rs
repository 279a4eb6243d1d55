//! Who wrote each byte of one text.
//!
//! Spans cover their text exactly, without gaps or overlaps, and neighbours differ. They know
//! lengths and nothing of the text: whoever edits the text tells them, in the same order.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use countersign_event::facts::How;
use serde::{Deserialize, Serialize};

use crate::text::Edit;

/// A contribution's id, cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContributionId(Arc<str>);

impl ContributionId {
    /// Takes an id as events carry it.
    pub fn new(id: &str) -> Self {
        ContributionId(id.into())
    }

    /// Returns the id as events carry it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContributionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who wrote a byte.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// A person wrote it: observed where an editor saw the keys, reported where a tool says so.
    Human(How),
    /// Nobody saw it entering, or nothing explains it.
    Unknown,
    /// It entered as this contribution.
    Ai(ContributionId),
}

impl Origin {
    /// A person was seen typing it.
    pub const TYPED: Origin = Origin::Human(How::Observed);

    /// Says whether it is a person's, however that is known.
    pub fn is_human(&self) -> bool {
        matches!(self, Origin::Human(_))
    }

    /// Says whether it is an AI's.
    pub fn is_ai(&self) -> bool {
        matches!(self, Origin::Ai(_))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Human(How::Observed) => f.write_str("human"),
            Origin::Human(How::Reported) => f.write_str("human reported"),
            Origin::Human(How::Attested) => f.write_str("human attested"),
            Origin::Human(How::Inferred) => f.write_str("human inferred"),
            Origin::Unknown => f.write_str("unknown"),
            Origin::Ai(contribution) => write!(f, "ai {contribution}"),
        }
    }
}

/// The writers of one text.
#[derive(Clone, Default)]
pub struct Spans {
    /// Where each span ends; from `settled` on still without `shift`. Typing moves every later end,
    /// and mostly where the last edit was: so the move is remembered and paid when the place changes.
    ends: Vec<usize>,
    origins: Vec<Origin>,
    settled: usize,
    shift: isize,
}

impl Spans {
    /// One writer for a whole text of this many bytes.
    pub fn new(len: usize, origin: Origin) -> Self {
        let mut spans = Spans::default();
        spans.push(len, origin);
        spans
    }

    /// Returns the length of the text in bytes.
    pub fn len_bytes(&self) -> usize {
        self.start(self.ends.len())
    }

    /// Adds bytes at the end.
    pub fn push(&mut self, len: usize, origin: Origin) {
        if len == 0 {
            return;
        }
        self.settle(self.ends.len());
        let end = self.len_bytes() + len;
        if self.origins.last() == Some(&origin) {
            *self.ends.last_mut().expect("there is a last origin") = end;
        } else {
            self.ends.push(end);
            self.origins.push(origin);
        }
        self.settled = self.ends.len();
    }

    /// Returns the spans in order.
    pub fn iter(&self) -> impl Iterator<Item = (Range<usize>, &Origin)> {
        self.origins.iter().enumerate().map(|(i, origin)| (self.start(i)..self.end(i), origin))
    }

    /// Returns the spans in a range, cut at its borders.
    pub fn within(&self, range: Range<usize>) -> impl Iterator<Item = (Range<usize>, &Origin)> {
        let first = self.index_of(range.start);
        let all = (first..self.ends.len()).map(|i| (self.start(i)..self.end(i), &self.origins[i]));
        all.take_while(move |(span, _)| span.start < range.end)
            .map(move |(span, origin)| (span.start.max(range.start)..span.end.min(range.end), origin))
            .filter(|(span, _)| !span.is_empty())
    }

    /// Returns the writer of a byte; nothing past the end.
    pub fn at(&self, byte: usize) -> Option<&Origin> {
        self.origins.get(self.index_of(byte))
    }

    /// Counts the bytes of a contribution that are still there.
    pub fn bytes_of(&self, contribution: &ContributionId) -> usize {
        self.ranges_of(contribution).map(|range| range.len()).sum()
    }

    /// Returns where a contribution's bytes are, in order.
    pub fn ranges_of(&self, contribution: &ContributionId) -> impl Iterator<Item = Range<usize>> {
        self.iter()
            .filter(move |(_, origin)| matches!(origin, Origin::Ai(id) if id == contribution))
            .map(|(range, _)| range)
    }

    /// Follows an edit of the text: what came is `origin`'s.
    ///
    /// # Panics
    /// If the edit ends past the end.
    pub fn edit(&mut self, edit: Edit, origin: &Origin) {
        self.replace(edit.start..edit.start + edit.deleted, edit.inserted, origin);
    }

    /// Gives bytes that are there to another writer.
    ///
    /// # Panics
    /// If the range is reversed or ends past the end.
    pub fn set(&mut self, range: Range<usize>, origin: &Origin) {
        self.replace(range.clone(), range.len(), origin);
    }

    fn replace(&mut self, gone: Range<usize>, come: usize, origin: &Origin) {
        assert!(gone.start <= gone.end && gone.end <= self.len_bytes(), "an edit lies inside its text");
        let delta = come as isize - gone.len() as isize;
        // The first span that reaches past `gone.start`, or touches it and may grow.
        let mut first = self.index_of(gone.start);
        if first > 0 && self.start(first) == gone.start && self.origins[first - 1] == *origin {
            first -= 1;
        }
        let mut last = self.index_of(gone.end);
        if last > first && self.start(last) == gone.end && self.origins.get(last) != Some(origin) {
            last -= 1; // it is touched, not changed
        }
        self.settle(first);
        let grows = |at: &Origin| come == 0 || at == origin;
        if first == last && self.origins.get(first).is_some_and(grows) {
            self.shift += delta;
            if self.start(first) == self.end(first) {
                self.remove_empty(first);
            }
            return;
        }

        let start = self.start(first);
        let end = if last < self.ends.len() { self.end(last) } else { self.len_bytes() };
        let until = (last + 1).min(self.ends.len());
        let mut pieces: Vec<(usize, Origin)> = Vec::with_capacity(3);
        let mut piece = |to: usize, origin: &Origin| match pieces.last_mut() {
            Some((end, last)) if last == origin => *end = to,
            _ => pieces.push((to, origin.clone())),
        };
        if gone.start > start {
            piece(gone.start, &self.origins[first]);
        }
        if come > 0 {
            piece(gone.start + come, origin);
        }
        if end > gone.end {
            piece(end.wrapping_add_signed(delta), &self.origins[last.min(self.origins.len() - 1)]);
        }
        // Neighbours of one writer are one span.
        let mut from = first;
        if let (Some((_, piece)), true) = (pieces.first(), first > 0)
            && self.origins[first - 1] == *piece
        {
            from -= 1;
        }
        let mut to = until;
        let next = self.origins.get(until);
        let before = pieces.last().map(|(_, origin)| origin).or_else(|| self.origins.get(first.wrapping_sub(1)));
        if let (Some(next), Some(before)) = (next, before)
            && next == before
        {
            let end = self.end(until).wrapping_add_signed(delta);
            to += 1;
            match pieces.last_mut() {
                Some(last) => last.0 = end,
                None => {
                    from -= 1;
                    pieces.push((end, self.origins[from].clone()));
                }
            }
        }
        self.settle(to);
        let count = pieces.len();
        let (ends, origins): (Vec<usize>, Vec<Origin>) = pieces.into_iter().unzip();
        self.ends.splice(from..to, ends);
        self.origins.splice(from..to, origins);
        self.settled = from + count;
        self.shift += delta;
    }

    /// Takes out a span that has shrunk to nothing.
    fn remove_empty(&mut self, at: usize) {
        let until = if at > 0 && self.origins.get(at + 1) == Some(&self.origins[at - 1]) { at + 2 } else { at + 1 };
        // The neighbour before takes over the end of the one after.
        self.settle(until);
        if until == at + 2 {
            self.ends[at - 1] = self.ends[at + 1];
        }
        self.ends.drain(at..until);
        self.origins.drain(at..until);
        self.settled = at;
    }

    /// Returns the span a byte is in: the number of spans that end at it or before.
    fn index_of(&self, byte: usize) -> usize {
        let (settled, rest) = self.ends.split_at(self.settled);
        match settled.last() {
            Some(&end) if end > byte => settled.partition_point(|&end| end <= byte),
            _ => self.settled + rest.partition_point(|&end| end.wrapping_add_signed(self.shift) <= byte),
        }
    }

    fn start(&self, span: usize) -> usize {
        span.checked_sub(1).map_or(0, |before| self.end(before))
    }

    fn end(&self, span: usize) -> usize {
        let end = self.ends[span];
        if span < self.settled { end } else { end.wrapping_add_signed(self.shift) }
    }

    /// Moves the border between ends that hold the shift and ends that do not.
    fn settle(&mut self, to: usize) {
        if to > self.settled {
            for end in &mut self.ends[self.settled..to] {
                *end = end.wrapping_add_signed(self.shift);
            }
        } else {
            for end in &mut self.ends[to..self.settled] {
                *end = end.wrapping_add_signed(-self.shift);
            }
        }
        self.settled = to;
        if to == self.ends.len() {
            self.shift = 0;
        }
    }
}

impl PartialEq for Spans {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Spans {}

impl fmt::Display for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (range, origin)) in self.iter().enumerate() {
            let bar = if i > 0 { " | " } else { "" };
            write!(f, "{bar}{origin} {}..{}", range.start, range.end)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spans({self})")
    }
}

/// One span as a snapshot stores it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpanRecord {
    /// First byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
    /// Who wrote it.
    pub origin: OriginRecord,
    /// The contribution, for `ai` and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contribution: Option<String>,
    /// How a person is known, where they were not seen typing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub how: Option<How>,
}

/// An [`Origin`]'s kind as a snapshot stores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OriginRecord {
    /// [`Origin::Human`].
    Human,
    /// [`Origin::Unknown`].
    Unknown,
    /// [`Origin::Ai`].
    Ai,
}

/// Why stored spans cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum SpansError {
    /// They are not what [`Spans::to_json`] writes.
    Json(serde_json::Error),
    /// A span does not begin where the one before ended.
    Gap {
        /// Where it should begin.
        at: usize,
    },
    /// An `ai` span without its contribution, or another one with.
    Contribution {
        /// Where it begins.
        at: usize,
    },
    /// They cover another length than the text has.
    Length {
        /// What they cover.
        spans: usize,
        /// What the text has.
        text: usize,
    },
}

impl std::error::Error for SpansError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SpansError::Json(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for SpansError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpansError::Json(_) => f.write_str("stored spans are not readable"),
            SpansError::Gap { at } => write!(f, "stored spans have a gap or an overlap at byte {at}"),
            SpansError::Contribution { at } => {
                write!(f, "the stored span at byte {at} names no contribution, or one it may not")
            }
            SpansError::Length { spans, text } => {
                write!(f, "stored spans cover {spans} bytes of a text of {text}")
            }
        }
    }
}

impl Spans {
    /// Returns the spans as a snapshot stores them.
    pub fn records(&self) -> Vec<SpanRecord> {
        let record = |(range, origin): (Range<usize>, &Origin)| {
            let (origin, contribution, how) = match origin {
                Origin::Human(How::Observed) => (OriginRecord::Human, None, None),
                Origin::Human(how) => (OriginRecord::Human, None, Some(*how)),
                Origin::Unknown => (OriginRecord::Unknown, None, None),
                Origin::Ai(id) => (OriginRecord::Ai, Some(id.to_string()), None),
            };
            SpanRecord { start: range.start, end: range.end, origin, contribution, how }
        };
        self.iter().map(record).collect()
    }

    /// Reads stored spans of a text of `len` bytes.
    ///
    /// # Errors
    /// Anything that would not cover the text exactly.
    pub fn from_records(records: &[SpanRecord], len: usize) -> Result<Spans, SpansError> {
        let mut spans = Spans::default();
        for record in records {
            let at = spans.len_bytes();
            if record.start != at || record.end <= at {
                return Err(SpansError::Gap { at });
            }
            let origin = match (record.origin, &record.contribution) {
                (OriginRecord::Human, None) => Origin::Human(record.how.unwrap_or(How::Observed)),
                (OriginRecord::Unknown, None) => Origin::Unknown,
                (OriginRecord::Ai, Some(id)) if !id.is_empty() => Origin::Ai(ContributionId::new(id)),
                _ => return Err(SpansError::Contribution { at }),
            };
            spans.push(record.end - record.start, origin);
        }
        match spans.len_bytes() {
            covered if covered == len => Ok(spans),
            covered => Err(SpansError::Length { spans: covered, text: len }),
        }
    }

    /// Writes the spans for the snapshot store.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.records()).expect("records have string keys only")
    }

    /// Reads what [`Spans::to_json`] wrote for a text of `len` bytes.
    ///
    /// # Errors
    /// Anything that would not cover the text exactly.
    pub fn from_json(json: &str, len: usize) -> Result<Spans, SpansError> {
        let records: Vec<SpanRecord> = serde_json::from_str(json).map_err(SpansError::Json)?;
        Spans::from_records(&records, len)
    }
}

#[cfg(test)]
mod tests;
