//! One open document: its text, its writers, and what is still to be explained or measured.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use countersign_event::payload::contribution::Moment;
use countersign_event::payload::suggestion::Entered;
use countersign_event::{Timestamp, digest};

use super::stroke::{Stroke, is_insertion};
use super::{Acceptance, BulkInsertion, EXPLAINED_WITHIN_MS, Effect, HELD_MS, Measurement, Snapshot, follow};
use crate::attribution::Attribution;
use crate::carry::{Known, Tier, carry};
use crate::human;
use crate::spans::{ContributionId, Origin, Spans};
use crate::text::{Change, ChangeError, Edit, Encoding, Text};

/// So many messages are remembered at most; nobody types more in five seconds.
const MAX_STROKES: usize = 256;

/// An act may have reached the buffer in up to so many messages.
const MAX_MESSAGES_OF_ACT: usize = 8;

/// So many deletions can be undone with their writers, each up to [`MAX_REMOVED_BYTES`].
const MAX_REMOVED: usize = 32;
const MAX_REMOVED_BYTES: usize = 64 * 1024;

/// So many contributions of one document are measured; the oldest leave first.
const MAX_LIVE: usize = 1_000;

/// When a contribution is measured after it entered.
const MOMENTS: [(i64, Moment); 4] =
    [(30_000, Moment::After30s), (120_000, Moment::After2m), (300_000, Moment::After5m), (600_000, Moment::After10m)];

pub(super) struct Document {
    pub(super) language: String,
    pub(super) version: i32,
    pub(super) text: Text,
    pub(super) spans: Spans,
    /// What was known when a message did not fit; `None` while all do.
    lost: Option<(Text, Spans)>,
    strokes: VecDeque<Stroke>,
    removed: VecDeque<Removed>,
    live: VecDeque<Live>,
    /// Nothing changed since the text was saved.
    is_saved: bool,
}

/// Text that went, in case it is undone.
struct Removed {
    at: usize,
    text: String,
    spans: Spans,
}

/// A contribution that entered this document.
struct Live {
    contribution: ContributionId,
    acts: Vec<u32>,
    since: Timestamp,
    /// How many of [`MOMENTS`] have passed.
    moments: usize,
    accepted: Arc<str>,
    accepted_bytes: u64,
    regions: Vec<Range<usize>>,
    last: Option<(u64, String)>,
}

impl Document {
    /// Opens a document. What stood there when it was open already is the likeliest source.
    pub(super) fn open(
        language: String,
        version: i32,
        text: &str,
        before: Option<Document>,
        known: &[Snapshot],
    ) -> Document {
        let mut live = VecDeque::new();
        let earlier = before.map(|document| {
            live = document.live;
            let (text, spans) = document.lost.unwrap_or((document.text, document.spans));
            Snapshot { text: text.to_string(), spans }
        });
        let known: Vec<(&str, Attribution)> = earlier
            .iter()
            .chain(known)
            .map(|known| (&known.text[..], Attribution::of_origins(&known.text, known.spans.clone())))
            .collect();
        let mut document = Document {
            language,
            version,
            text: Text::new(text),
            spans: carried(&known, text),
            lost: None,
            strokes: VecDeque::new(),
            removed: VecDeque::new(),
            live,
            is_saved: false,
        };
        document.find_regions();
        document
    }

    pub(super) fn is_synchronised(&self) -> bool {
        self.lost.is_none()
    }

    /// Says whether an insertion may still be explained.
    pub(super) fn is_pending(&self) -> bool {
        self.strokes.iter().any(|stroke| !stroke.is_explained && !stroke.insertions.is_empty())
    }

    pub(super) fn has_act(&self, acceptance: &Acceptance) -> bool {
        let is_it = |live: &Live| live.contribution == acceptance.contribution && live.acts.contains(&acceptance.act);
        self.live.iter().any(is_it)
    }

    /// Stops claiming anything until the next full text.
    pub(super) fn lose(&mut self, uri: &str, reason: &'static str, detail: Option<String>, effects: &mut Vec<Effect>) {
        effects.push(Effect::Degraded { reason, detail, uri: Some(uri.to_owned()) });
        if self.is_synchronised() {
            let unknown = Spans::new(self.text.len_bytes(), Origin::Unknown);
            self.lost = Some((self.text.clone(), std::mem::replace(&mut self.spans, unknown)));
            self.strokes.clear();
            self.removed.clear();
            effects.push(Effect::AttributionChanged { uri: uri.to_owned() });
        }
    }

    /// Takes the changes from their last full text on; without one, or if they do not fit, all stays
    /// as it was.
    pub(super) fn find_again(&mut self, uri: &str, changes: &[Change], encoding: Encoding, effects: &mut Vec<Effect>) {
        let Some(full) = changes.iter().rposition(|change| change.range.is_none()) else { return };
        let mut text = Text::new(&changes[full].text);
        for change in &changes[full + 1..] {
            if let Err(error) = text.apply(change, encoding) {
                let detail = Some(error.to_string());
                effects.push(Effect::Degraded { reason: "impossible_range", detail, uri: Some(uri.to_owned()) });
                return;
            }
        }
        if let Some((known, spans)) = self.lost.take() {
            let known = known.to_string();
            let attribution = Attribution::of_origins(&known, spans);
            self.spans = carried(&[(&known, attribution)], &text.to_string());
        }
        self.text = text;
        self.is_saved = false;
        self.find_regions();
        effects.push(Effect::AttributionChanged { uri: uri.to_owned() });
    }

    pub(super) fn change(
        &mut self,
        changes: &[Change],
        encoding: Encoding,
        key: &[u8],
        now: Timestamp,
    ) -> Result<(), ChangeError> {
        let mut stroke = Stroke::apply(&mut self.text, changes, encoding, key, now)?;
        self.is_saved = false;
        let undone = self.undone(&stroke);
        let new = stroke.steps.iter().zip(&undone).filter(|(_, undone)| undone.is_none());
        stroke.origin = human::origin_of(new.map(|(step, _)| &step.come[..]), false);

        let mut removed: Vec<Removed> = Vec::new();
        for (step, undone) in stroke.steps.iter_mut().zip(undone) {
            let edit = step.edit;
            removed.iter_mut().for_each(|removed| removed.at = follow::place(removed.at, edit));
            if is_insertion(&step.gone) && edit.deleted <= MAX_REMOVED_BYTES {
                let mut spans = Spans::default();
                for (range, origin) in self.spans.within(edit.start..edit.start + edit.deleted) {
                    spans.push(range.len(), origin.clone());
                }
                removed.push(Removed { at: edit.start, text: std::mem::take(&mut step.gone), spans });
            }
            self.spans.edit(edit, &stroke.origin);
            for (range, origin) in undone.iter().flat_map(|undone| undone.spans.iter()) {
                self.spans.set(edit.start + range.start..edit.start + range.end, origin);
            }
            for region in self.live.iter_mut().flat_map(|live| &mut live.regions) {
                follow::region(region, edit);
            }
            (step.come, step.gone) = (String::new(), String::new());
        }
        self.removed.extend(removed);
        while self.removed.len() > MAX_REMOVED {
            self.removed.pop_front();
        }
        self.strokes.push_back(stroke);
        while self.strokes.len() > MAX_STROKES {
            self.strokes.pop_front();
        }
        Ok(())
    }

    /// Finds for each step the deletion that it takes back, and follows the others.
    fn undone(&mut self, stroke: &Stroke) -> Vec<Option<Removed>> {
        let mut undone = Vec::with_capacity(stroke.steps.len());
        for step in &stroke.steps {
            let is_it = |removed: &Removed| removed.at == step.edit.start && removed.text == step.come;
            let found = self.removed.iter().rposition(is_it);
            undone.push(found.and_then(|at| self.removed.remove(at)));
            self.removed.iter_mut().for_each(|removed| removed.at = follow::place(removed.at, step.edit));
        }
        undone
    }

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
            .flat_map(|range| self.spans.within(range.clone()))
            .filter(|(_, there)| **there == origin)
            .map(|(range, _)| range.len())
            .sum();
        let accepted_bytes = accepted_bytes.saturating_sub(again as u64);
        let free: Vec<Range<usize>> = now
            .iter()
            .flat_map(|range| self.spans.within(range.clone()))
            .filter(|(_, origin)| !matches!(origin, Origin::Ai(_)))
            .map(|(range, _)| range)
            .collect();
        for range in free {
            self.spans.set(range, &origin);
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
        if rest.origin == Origin::TYPED || human::origin_of(texts.iter().map(String::as_str), false) != Origin::TYPED {
            return;
        }
        self.edits_after(stroke).into_iter().for_each(|edit| follow::survivors(&mut came, edit));
        let unknown: Vec<Range<usize>> = came
            .into_iter()
            .flat_map(|range| self.spans.within(range))
            .filter(|(_, origin)| **origin == Origin::Unknown)
            .map(|(range, _)| range)
            .collect();
        unknown.into_iter().for_each(|range| self.spans.set(range, &Origin::TYPED));
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
            let origins: Vec<(Range<usize>, Origin)> =
                self.spans.within(from..from + (high - low)).map(|(range, origin)| (range, origin.clone())).collect();
            let typed = self.strokes[last].origin.clone();
            for (range, origin) in origins {
                let at = range.start - from + to;
                self.spans.set(at..at + range.len(), &origin);
            }
            self.spans.set(from..from + (high - low), &typed);
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

    fn edits_after(&self, stroke: usize) -> Vec<Edit> {
        self.strokes.range(stroke + 1..).flat_map(Stroke::edits).collect()
    }

    fn enter(&mut self, acceptance: &Acceptance, since: Timestamp, found: Found) {
        let at = self.live.iter().position(|live| live.contribution == acceptance.contribution);
        let at = at.unwrap_or_else(|| {
            self.live.push_back(Live {
                contribution: acceptance.contribution.clone(),
                acts: Vec::new(),
                since,
                moments: 0,
                accepted: "".into(),
                accepted_bytes: 0,
                regions: Vec::new(),
                last: None,
            });
            if self.live.len() > MAX_LIVE {
                self.live.pop_front();
            }
            self.live.len() - 1
        });
        let live = &mut self.live[at];
        if !live.acts.contains(&acceptance.act) {
            live.acts.push(acceptance.act);
        }
        if found.accepted_bytes > 0 {
            live.accepted = format!("{}{}", live.accepted, found.accepted).into();
            live.accepted_bytes += found.accepted_bytes;
        } else {
            live.regions.retain(|region| !region.is_empty());
        }
        live.regions.push(found.region);
    }

    pub(super) fn save(&mut self, uri: &str, effects: &mut Vec<Effect>) {
        if self.is_synchronised() {
            self.measure_all(uri, Moment::Save, effects);
            self.is_saved = true;
            self.snapshot(uri, effects);
        }
    }

    fn snapshot(&self, uri: &str, effects: &mut Vec<Effect>) {
        let (text, spans) = (self.text.clone(), self.spans.clone());
        effects.push(Effect::SaveSnapshot { uri: uri.to_owned(), text, spans });
    }

    /// Measures every contribution that changed since it was measured last.
    pub(super) fn measure_all(&mut self, uri: &str, moment: Moment, effects: &mut Vec<Effect>) {
        for at in 0..self.live.len() {
            self.measure(at, uri, moment, effects);
        }
    }

    fn measure(&mut self, at: usize, uri: &str, moment: Moment, effects: &mut Vec<Effect>) {
        if !self.is_synchronised() {
            return;
        }
        let live = &mut self.live[at];
        let surviving: Vec<Range<usize>> = self.spans.ranges_of(&live.contribution).collect();
        let surviving_bytes = follow::bytes(&surviving) as u64;
        let mut regions: Vec<Range<usize>> = live.regions.iter().filter(|region| !region.is_empty()).cloned().collect();
        // An undone and redone text is there again, and its region was empty in between.
        if regions.is_empty() {
            regions = surviving;
        }
        let now: String = regions.iter().map(|region| self.text.slice(region.clone())).collect();
        if live.last.as_ref().is_some_and(|(bytes, text)| *bytes == surviving_bytes && *text == now) {
            return;
        }
        live.last = Some((surviving_bytes, now.clone()));
        let start = regions.iter().map(|region| region.start).min();
        let end = regions.iter().map(|region| region.end).max();
        effects.push(Effect::Measure(Measurement {
            contribution: live.contribution.clone(),
            moment,
            uri: uri.to_owned(),
            accepted_bytes: live.accepted_bytes,
            surviving_bytes,
            range: start.zip(end).map(|(start, end)| self.text.range(start..end)),
            accepted: live.accepted.clone(),
            now,
        }));
    }

    /// Takes the regions from the spans, where the edits in between were not seen.
    fn find_regions(&mut self) {
        for live in &mut self.live {
            let hull = self.spans.ranges_of(&live.contribution).reduce(|a, b| a.start..b.end);
            live.regions = hull.into_iter().collect();
        }
    }

    pub(super) fn pass_time(&mut self, uri: &str, now: Timestamp, effects: &mut Vec<Effect>) {
        for at in 0..self.strokes.len() {
            let stroke = &mut self.strokes[at];
            let is_due = now.millis_since(stroke.at) >= HELD_MS;
            if is_due && !stroke.is_reported {
                stroke.is_reported = true;
                if stroke.origin == Origin::Unknown && !stroke.is_explained {
                    effects.extend(self.bulk_insertion(at, uri).map(Effect::BulkInsertion));
                }
            }
        }
        while self.strokes.front().is_some_and(|first| now.millis_since(first.at) > EXPLAINED_WITHIN_MS) {
            self.strokes.pop_front();
        }
        for at in 0..self.live.len() {
            let live = &mut self.live[at];
            let age = now.millis_since(live.since);
            let passed = MOMENTS.iter().take_while(|(after, _)| *after <= age).count();
            if passed > live.moments {
                live.moments = passed;
                self.measure(at, uri, MOMENTS[passed - 1].1, effects);
            }
        }
    }

    fn bulk_insertion(&self, at: usize, uri: &str) -> Option<BulkInsertion> {
        let stroke = &self.strokes[at];
        let mut left = stroke.fresh.clone();
        self.edits_after(at).into_iter().for_each(|edit| follow::survivors(&mut left, edit));
        left.sort_by_key(|range| range.start);
        let unknown: Vec<Range<usize>> = left
            .iter()
            .flat_map(|range| self.spans.within(range.clone()))
            .filter(|(_, origin)| **origin == Origin::Unknown)
            .map(|(range, _)| range)
            .collect();
        let texts: Vec<String> = unknown.iter().map(|range| self.text.slice(range.clone())).collect();
        let is_blank = texts.iter().all(|text| text.trim().is_empty());
        if is_blank || human::origin_of(texts.iter().map(String::as_str), false) == Origin::TYPED {
            return None;
        }
        Some(BulkInsertion {
            uri: uri.to_owned(),
            language: self.language.clone(),
            at: stroke.at,
            range: self.text.range(unknown.first()?.start..unknown.last()?.end),
            text: texts.concat(),
            entered: stroke.insertions.iter().map(|insertion| insertion.entered.clone()).collect(),
        })
    }
}

/// Carries the origins of a text that changed unobserved.
fn carried(known: &[(&str, Attribution)], text: &str) -> Spans {
    let known: Vec<Known<'_>> = known
        .iter()
        .enumerate()
        .map(|(at, (text, attribution))| {
            let tier = if at == 0 { Tier::Strong } else { Tier::Stored };
            Known { text, attribution, tier }
        })
        .collect();
    carry(&known, text, &Origin::Unknown, None).origins
}

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

/// What became of it.
struct Found {
    accepted: String,
    accepted_bytes: u64,
    region: Range<usize>,
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
                document.enter(&self.acceptance, self.since, found);
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
        let Some(at) = document.live.iter().position(|live| live.contribution == self.acceptance.contribution) else {
            return;
        };
        if !self.is_found {
            return;
        }
        let hull = document.live[at].regions.iter().cloned().reduce(|a, b| a.start.min(b.start)..a.end.max(b.end));
        let range = document.text.range(hull.unwrap_or(0..0));
        let (contribution, act) = (self.acceptance.contribution.clone(), self.acceptance.act);
        effects.push(Effect::Evidence { contribution, act, uri: uri.clone(), range });
        document.measure(at, uri, Moment::Acceptance, effects);
        // Whoever saves at once saves before the act is known here.
        if document.is_saved && document.is_synchronised() {
            document.snapshot(uri, effects);
        }
    }
}
