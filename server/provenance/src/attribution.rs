//! Who wrote a text, byte by byte, and who last changed each of its lines.
//!
//! Both are facts that were seen or carried; neither is guessed from the other where both are known.
//! A line's last writer is whoever last changed its non-blank text: white space, a comma or semicolon
//! at its end, and wrapping change nothing, taking out a word does.

mod edit;
mod stored;

use std::collections::BTreeMap;

use crate::spans::{Origin, Spans};
use crate::text::lines_of;

/// The writers of one text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attribution {
    /// Who wrote each byte.
    pub origins: Spans,
    /// Who last changed the non-blank text of the line that each byte stands in. Whole lines.
    pub writers: Spans,
}

impl Attribution {
    /// One writer for a whole text of this many bytes.
    pub fn new(len: usize, origin: Origin) -> Self {
        Attribution { origins: Spans::new(len, origin.clone()), writers: Spans::new(len, origin) }
    }

    /// Takes for each line's last writer whoever wrote most of it: the best there is where only the
    /// origins are known.
    pub fn of_origins(text: &str, origins: Spans) -> Self {
        let mut writers = Spans::default();
        for line in lines_of(text) {
            let writer = most(&text[line.clone()], line.start, &origins);
            writers.push(line.len(), writer.unwrap_or(Origin::Unknown));
        }
        Attribution { origins, writers }
    }

    /// Returns the length of the text in bytes.
    pub fn len_bytes(&self) -> usize {
        self.origins.len_bytes()
    }

    /// Says whether both parts cover a text of this many bytes.
    pub fn covers(&self, len: usize) -> bool {
        self.origins.len_bytes() == len && self.writers.len_bytes() == len
    }
}

/// Counts the non-blank bytes of each writer in a part of a text (all bytes where it has no other),
/// with the place of their first, most first. `content` is the part, which begins at `start`.
pub(crate) fn shares<'a>(content: &str, start: usize, spans: &'a Spans) -> Vec<(&'a Origin, usize)> {
    let is_blank = content.trim().is_empty();
    let mut bytes: BTreeMap<&Origin, (usize, usize)> = BTreeMap::new();
    for (span, origin) in spans.within(start..start + content.len()) {
        let part = &content.as_bytes()[span.start - start..span.end - start];
        let counted = part.iter().filter(|byte| is_blank || !byte.is_ascii_whitespace()).count();
        if counted > 0 {
            bytes.entry(origin).or_insert((0, span.start)).0 += counted;
        }
    }
    let mut order: Vec<(&Origin, (usize, usize))> = bytes.into_iter().collect();
    order.sort_by_key(|&(_, (count, first))| (std::cmp::Reverse(count), first));
    order.into_iter().map(|(origin, (count, _))| (origin, count)).collect()
}

/// Returns whoever wrote most of a part of a text.
pub(crate) fn most(content: &str, start: usize, spans: &Spans) -> Option<Origin> {
    shares(content, start, spans).first().map(|(origin, _)| (*origin).clone())
}
