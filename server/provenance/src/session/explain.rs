//! Finds the insertion that an act of another process describes, and gives it to its contribution.

use std::ops::Range;

use countersign_event::payload::contribution::Moment;
use countersign_event::payload::suggestion::Entered;
use countersign_event::{Timestamp, digest};

use super::document::Document;
use super::retention::{Found, Now};
use super::{Acceptance, Effect, follow};
use crate::human;
use crate::spans::{ContributionId, Origin};
use crate::text::{Edit, Encoding};

/// An act may have reached the buffer in up to so many messages.
const MAX_MESSAGES_OF_ACT: usize = 8;

/// Where the insertion of an act came in.
struct Place {
    /// The first and the last of its messages.
    first: usize,
    last: usize,
    /// Where it stood when it had come, and what of that was new.
    region: Range<usize>,
    fresh: Vec<Range<usize>>,
    accepted: String,
    /// What was changed after it.
    later: Vec<Edit>,
}

impl Document {
    /// Looks for the insertion that an act describes, and gives it to the contribution.
    fn explain(&mut self, contribution: &ContributionId, entered: &Entered, key: &[u8]) -> Option<Found> {
        let place = self.find_insertion(entered).or_else(|| self.find_text(entered, key))?;
        let Place { first, last, region, fresh, accepted, later } = place;
        let accepted_bytes = follow::bytes(&fresh) as u64;
        for stroke in self.strokes.range_mut(first..=last) {
            stroke.is_explained = true;
        }
        let (mut now, mut region) = (fresh, region);
        for edit in later {
            follow::survivors(&mut now, edit);
            follow::region(&mut region, edit);
        }
        let origin = Origin::Ai(contribution.clone());
        // A redo has brought its writers along: these bytes entered before.
        let again: usize = now
            .iter()
            .flat_map(|range| self.attribution.origins.within(range.clone()))
            .filter(|(_, there)| **there == origin)
            .map(|(range, _)| range.len())
            .sum();
        let accepted_bytes = accepted_bytes.saturating_sub(again as u64);
        let free: Vec<(Range<usize>, Origin)> = now
            .iter()
            .flat_map(|range| self.attribution.origins.within(range.clone()))
            .filter(|(_, origin)| !origin.is_ai())
            .map(|(range, was)| (range, was.clone()))
            .collect();
        for (range, was) in free {
            self.attribution.give(&self.text, range, &was, &origin);
        }
        self.judge_rest(last);
        Some(Found { accepted, accepted_bytes, region })
    }

    /// Judges again what came in the message of an explained insertion beside it: an editor that
    /// gathers its messages sends typing and acceptances in one.
    fn judge_rest(&mut self, stroke: usize) {
        let rest = &self.strokes[stroke];
        let mut came = rest.rest();
        let texts: Vec<String> = came.iter().map(|range| rest.after.slice(range.clone())).collect();
        if rest.origin.is_human() || !human::origin_of(texts.iter().map(String::as_str), false).is_human() {
            return;
        }
        self.edits_after(stroke).into_iter().for_each(|edit| follow::survivors(&mut came, edit));
        let unknown: Vec<Range<usize>> = came
            .into_iter()
            .flat_map(|range| self.attribution.origins.within(range))
            .filter(|(_, origin)| **origin == Origin::Unknown)
            .map(|(range, _)| range)
            .collect();
        unknown
            .into_iter()
            .for_each(|range| self.attribution.give(&self.text, range, &Origin::Unknown, &Origin::TYPED));
    }

    /// Finds an insertion that the editor sent as the act describes it.
    fn find_insertion(&mut self, entered: &Entered) -> Option<Place> {
        let mut best: Option<(bool, usize, usize)> = None;
        for (s, stroke) in self.strokes.iter().enumerate() {
            for (i, insertion) in stroke.insertions.iter().enumerate() {
                let is_it = !insertion.is_explained && insertion.entered.digest == entered.digest;
                if is_it && !insertion.fresh.is_empty() {
                    let is_elsewhere = insertion.entered.range.start != entered.range.start;
                    if best.is_none_or(|(elsewhere, ..)| elsewhere && !is_elsewhere) {
                        best = Some((is_elsewhere, s, i));
                    }
                }
            }
        }
        let (_, s, i) = best?;
        let region = self.strokes[s].insertions[i].region.clone();
        self.slide(s, s, &region);
        self.strokes[s].insertions[i].is_explained = true;
        let stroke = &self.strokes[s];
        let insertion = &stroke.insertions[i];
        let (fresh, accepted) = (insertion.fresh.clone(), insertion.after.slice(region.clone()));
        let later = stroke.edits().skip(insertion.steps).chain(self.edits_after(s)).collect();
        Some(Place { first: s, last: s, region, fresh, accepted, later })
    }

    /// Finds the described text standing at the described place after one or several messages: an
    /// editor may have sent it in parts, or as a full text.
    fn find_text(&mut self, entered: &Entered, key: &[u8]) -> Option<Place> {
        let bytes = usize::try_from(entered.bytes).ok()?;
        // First where the described replacement is all that happened, then where more did.
        for is_all in [true, false] {
            for width in 0..MAX_MESSAGES_OF_ACT {
                for first in 0..self.strokes.len().saturating_sub(width) {
                    let last = first + width;
                    if let Some(region) = self.described(first, last, entered, bytes, is_all)
                        && digest::entered(key, &self.strokes[last].after.slice(region.clone())) == entered.digest
                    {
                        self.slide(first, last, &region);
                        let fresh = follow::cut(&self.fresh_between(first, last), &region);
                        let accepted = self.strokes[last].after.slice(region.clone());
                        let later = self.edits_after(last);
                        return Some(Place { first, last, region, fresh, accepted, later });
                    }
                }
            }
        }
        None
    }

    /// Returns where described text must stand after some messages, if something came there.
    fn described(
        &self,
        first: usize,
        last: usize,
        entered: &Entered,
        bytes: usize,
        is_all: bool,
    ) -> Option<Range<usize>> {
        let (before, after) = (&self.strokes[first].before, &self.strokes[last].after);
        let start = before.byte_at(entered.range.start, Encoding::Utf16).ok()?;
        let region = start..start.checked_add(bytes)?;
        if is_all {
            let end = before.byte_at(entered.range.end, Encoding::Utf16).ok().filter(|end| *end >= start)?;
            if before.len_bytes() - (end - start) + bytes != after.len_bytes() {
                return None;
            }
        }
        let is_there = region.end <= after.len_bytes()
            && after.is_border(region.start)
            && after.is_border(region.end)
            && !follow::cut(&self.fresh_between(first, last), &region).is_empty();
        is_there.then_some(region)
    }

    /// Moves an insertion to where an act says that it is, where the text is the same either way:
    /// `a\n` before or after another `a\n` cannot be told from a full text.
    fn slide(&mut self, first: usize, last: usize, region: &Range<usize>) {
        let stroke = &mut self.strokes[last];
        let [step] = &stroke.steps[..] else { return };
        let came = step.edit.start..step.edit.start + step.edit.inserted;
        let (low, high) = (came.start.min(region.start), came.start.max(region.start));
        let len = region.len();
        let is_free = first == last && step.edit.deleted == 0 && came.len() == len && low != high && high < low + len;
        if !is_free || stroke.after.slice(low..high) != stroke.after.slice(low + len..high + len) {
            return;
        }
        stroke.fresh = vec![region.clone()];
        stroke.insertions.iter_mut().for_each(|insertion| insertion.fresh = vec![region.clone()]);
        let later: Vec<Edit> = self.edits_after(last);
        if later.is_empty() {
            let (from, to) = if region.start < came.start { (low, low + len) } else { (low + len, low) };
            let typed = self.strokes[last].origin.clone();
            for spans in [&mut self.attribution.origins, &mut self.attribution.writers] {
                let there: Vec<(Range<usize>, Origin)> =
                    spans.within(from..from + (high - low)).map(|(range, origin)| (range, origin.clone())).collect();
                for (range, origin) in there {
                    let at = range.start - from + to;
                    spans.set(at..at + range.len(), &origin);
                }
                spans.set(from..from + (high - low), &typed);
            }
        }
    }

    /// Returns what came in these messages and stood after the last of them.
    fn fresh_between(&self, first: usize, last: usize) -> Vec<Range<usize>> {
        let mut fresh: Vec<Range<usize>> = Vec::new();
        for stroke in self.strokes.range(first..=last) {
            stroke.edits().for_each(|edit| follow::survivors(&mut fresh, edit));
            fresh.extend_from_slice(&stroke.fresh);
        }
        fresh
    }
}

/// An act whose edit is not seen yet, or not all of it.
pub(super) struct Waiting {
    pub(super) acceptance: Acceptance,
    pub(super) since: Timestamp,
    left: Vec<Entered>,
    is_found: bool,
}

impl Waiting {
    pub(super) fn new(acceptance: Acceptance, since: Timestamp) -> Self {
        let left = acceptance.entered.clone();
        Waiting { acceptance, since, left, is_found: false }
    }

    pub(super) fn is_done(&self) -> bool {
        self.left.is_empty()
    }

    /// Gives a document's insertions to the contribution as far as they are there.
    pub(super) fn look_in(&mut self, document: &mut Document, key: &[u8], effects: &mut Vec<Effect>) {
        let before = self.left.len();
        self.left.retain(|entered| {
            let found = document.explain(&self.acceptance.contribution, entered, key);
            let is_missing = found.is_none();
            if let Some(found) = found {
                document.retention.enter(&self.acceptance, self.since, found);
            }
            is_missing
        });
        if self.left.len() < before {
            self.is_found = true;
            effects.push(Effect::AttributionChanged { uri: self.acceptance.uri.clone() });
        }
    }

    /// Says what became of it, when all of it was found or nobody waits any longer.
    pub(super) fn end(&mut self, document: Option<&mut Document>, effects: &mut Vec<Effect>) {
        let Some(document) = document else { return };
        let uri = &self.acceptance.uri;
        if !self.left.is_empty() && document.is_synchronised() {
            let detail = Some(format!("{} of {} insertions", self.left.len(), self.acceptance.entered.len()));
            effects.push(Effect::Degraded { reason: "act_not_found", detail, uri: Some(uri.clone()) });
        }
        if !self.is_found {
            return;
        }
        let Some(hull) = document.retention.hull(&self.acceptance.contribution) else { return };
        let range = document.text.range(hull);
        let (contribution, act) = (self.acceptance.contribution.clone(), self.acceptance.act);
        effects.push(Effect::Evidence { contribution, act, uri: uri.clone(), range });
        if !document.is_synchronised() {
            return;
        }
        let Document { retention, text, attribution, is_saved, .. } = document;
        let now = Now { uri, text, origins: &attribution.origins };
        retention.measure_one(&self.acceptance.contribution, now, Moment::Acceptance, effects);
        // Whoever saves at once saves before the act is known here.
        if *is_saved {
            document.snapshot(uri, effects);
        }
    }
}
