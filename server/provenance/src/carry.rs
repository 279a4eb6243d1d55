//! Finds the writers of a text in texts whose writers are known.
//!
//! Lines are aligned first, by their tokens, so that re-indented code keeps its writer; then tokens
//! inside what differs. What nothing explains is `unknown`: carry never gives text to an AI that
//! did not write it before. It knows nothing of history: whoever calls it passes only texts that
//! existed before, the likeliest first.

mod align;

use std::ops::Range;

use countersign_event::payload::edit::Hunk;

use crate::attribution::Attribution;
use crate::spans::{Origin, Spans};
use crate::tokens;
use align::{Keys, Lines, Pair};

/// How much a known text can explain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// The text came from it: any aligned line counts, and the tokens of changed lines.
    Strong,
    /// It was there, and may have been brought back: a stash, an earlier version.
    Stored,
    /// Lines of it may have come from there: what vanished from other paths in the same step.
    Weak,
}

/// A text whose writers are known.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The text.
    pub text: &'a str,
    /// Who wrote it.
    pub attribution: &'a Attribution,
    /// How much it can explain.
    pub tier: Tier,
}

/// A changed line keeps the writers of its tokens from this share on; below, it is new.
const MIN_SHARED: f64 = 0.4;

/// Above this many bytes a changed region is new as a whole.
const MAX_HUNK: usize = 256 * 1024;

/// Returns the writers of `text`, which `actor` made of the known texts: what none of them explains
/// is the actor's. Known texts come the likeliest first; those whose attribution has another length
/// are passed over. `hunks` is a tool's own word on which lines it replaced in the first of them.
pub fn carry(known: &[Known<'_>], text: &str, actor: &Origin, hunks: Option<&[Hunk]>) -> Attribution {
    let _ = hunks;
    let known: Vec<Known<'_>> =
        known.iter().filter(|known| known.attribution.covers(known.text.len())).copied().collect();
    if let Some(same) = known.iter().find(|known| known.text == text) {
        return same.attribution.clone();
    }
    let mut keys = Keys::default();
    let new = Lines::of(text, &mut keys);
    let mut open = vec![true; new.len()];
    let mut pieces: Vec<(Range<usize>, Origin)> = Vec::new();
    for known in &known {
        if !open.contains(&true) {
            break;
        }
        let is_strong = known.tier == Tier::Strong;
        let old = Lines::of(known.text, &mut keys);
        let mut pairs = align::align(&old, &new);
        if !is_strong {
            pairs = align::strong_runs(&new, &pairs, &open);
        }
        let mut source = Source { known: *known, old: &old, new: &new, text, actor, pieces: &mut pieces };
        for pair in pairs.iter().filter(|pair| open[pair.new]) {
            source.take_line(*pair);
        }
        if is_strong && open.iter().all(|open| *open) {
            source.take_tokens(&pairs);
        }
        for pair in &pairs {
            open[pair.new] = false;
        }
        if is_strong {
            // Lines whose tokens were found need no weaker explanation.
            for (range, _) in &pieces {
                open[new.at(range.start)] = false;
            }
        }
    }
    Attribution::of_origins(text, assemble(pieces, text.len(), actor))
}

/// One known text on its way into the new one.
struct Source<'a, 'p> {
    known: Known<'a>,
    old: &'a Lines<'a>,
    new: &'a Lines<'a>,
    text: &'a str,
    actor: &'a Origin,
    pieces: &'p mut Vec<(Range<usize>, Origin)>,
}

impl Source<'_, '_> {
    fn take_line(&mut self, pair: Pair) {
        let (from, to) = (self.old.range(pair.old), self.new.range(pair.new));
        if self.known.text[from.clone()] == self.text[to.clone()] {
            for (span, origin) in self.known.attribution.origins.within(from.clone()) {
                let at = to.start + (span.start - from.start);
                self.pieces.push((at..at + span.len(), origin.clone()));
            }
            return;
        }
        let old = tokens::split(&self.known.text[from.clone()]);
        let new = tokens::split(&self.text[to.clone()]);
        let origins: Vec<Option<Origin>> = old.iter().map(|t| self.writer(from.start + t.start)).collect();
        if new.is_empty() {
            // A blank line with other blanks.
            let origin = self.writer(from.start).unwrap_or_else(|| self.actor.clone());
            self.pieces.push((to, origin));
        } else {
            self.give(to, &new, &origins);
        }
    }

    /// Looks into the regions between aligned lines for tokens that stayed.
    fn take_tokens(&mut self, pairs: &[Pair]) {
        let mut in_order: Vec<Pair> = Vec::with_capacity(pairs.len());
        for pair in pairs.iter().filter(|pair| !pair.moved) {
            in_order.push(*pair);
        }
        let mut taken_new = vec![false; self.new.len()];
        let mut taken_old = vec![false; self.old.len()];
        for pair in pairs {
            taken_new[pair.new] = true;
            taken_old[pair.old] = true;
        }
        let (mut old, mut new) = (0, 0);
        let end = Pair { old: self.old.len(), new: self.new.len(), moved: false };
        for pair in in_order.into_iter().chain([end]) {
            let gone: Vec<usize> = (old..pair.old).filter(|line| !taken_old[*line]).collect();
            let come: Vec<usize> = (new..pair.new).filter(|line| !taken_new[*line]).collect();
            if !gone.is_empty() && !come.is_empty() {
                self.take_hunk(&gone, &come);
            }
            (old, new) = (pair.old + 1, pair.new + 1);
        }
    }

    fn take_hunk(&mut self, gone: &[usize], come: &[usize]) {
        let size = |lines: &Lines<'_>, of: &[usize]| of.iter().map(|&line| lines.range(line).len()).sum::<usize>();
        if size(self.old, gone) + size(self.new, come) > MAX_HUNK {
            return;
        }
        let of_lines = |lines: &Lines<'_>, text: &str, of: &[usize]| {
            let mut all = Vec::new();
            for &line in of {
                let at = lines.range(line);
                all.extend(tokens::split(&text[at.clone()]).into_iter().map(|t| at.start + t.start..at.start + t.end));
            }
            all
        };
        let old = of_lines(self.old, self.known.text, gone);
        let new = of_lines(self.new, self.text, come);
        let mut origins: Vec<Option<Origin>> = vec![None; new.len()];
        for run in tokens::runs(self.known.text, &old, self.text, &new) {
            for i in 0..run.len {
                origins[run.new + i] = self.writer(old[run.old + i].start);
            }
        }
        let mut first = 0;
        for &line in come {
            let at = self.new.range(line);
            let count = new[first..].iter().take_while(|token| token.start < at.end).count();
            let mine = first..first + count;
            first += count;
            let shared = origins[mine.clone()].iter().flatten().count();
            if count > 0 && shared as f64 >= MIN_SHARED * count as f64 {
                let local: Vec<Range<usize>> =
                    new[mine.clone()].iter().map(|t| t.start - at.start..t.end - at.start).collect();
                self.give(at, &local, &origins[mine]);
            }
        }
    }

    /// Gives a line's tokens to their writers, and the blanks to the writer of the token that
    /// follows, or at the line's end of the one before.
    fn give(&mut self, line: Range<usize>, tokens: &[Range<usize>], origins: &[Option<Origin>]) {
        let mut at = line.start;
        for (i, token) in tokens.iter().enumerate() {
            let is_last = i + 1 == tokens.len();
            let end = if is_last { line.end } else { line.start + token.end };
            let origin = origins.get(i).cloned().flatten().unwrap_or_else(|| self.actor.clone());
            self.pieces.push((at..end, origin));
            at = end;
        }
    }

    fn writer(&self, byte: usize) -> Option<Origin> {
        self.known.attribution.origins.at(byte).cloned()
    }
}

fn assemble(mut pieces: Vec<(Range<usize>, Origin)>, len: usize, actor: &Origin) -> Spans {
    pieces.sort_by_key(|(range, _)| range.start);
    let mut spans = Spans::default();
    for (range, origin) in pieces {
        let at = spans.len_bytes();
        debug_assert!(range.start >= at, "a byte is given once");
        spans.push(range.start.saturating_sub(at), actor.clone());
        spans.push(range.end - range.start, origin);
    }
    spans.push(len - spans.len_bytes(), actor.clone());
    spans
}

#[cfg(test)]
mod tests;
