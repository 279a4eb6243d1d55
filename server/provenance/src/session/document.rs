//! One open document: its text, its writers, and what is still to be explained or measured.

use std::collections::VecDeque;
use std::ops::Range;

use countersign_event::Timestamp;
use countersign_event::payload::contribution::Moment;

use super::former::{self, Former};
use super::question::{Question, Questions};
use super::retention::{Now, Retention};
use super::stroke::{Step, Stroke, is_insertion};
use super::{Answer, BulkInsertion, Disk, EXPLAINED_WITHIN_MS, Effect, HELD_MS, follow};
use crate::attribution::Attribution;
use crate::carry::{Known, Tier, carry};
use crate::human;
use crate::spans::Origin;
use crate::text::{Change, ChangeError, Edit, Encoding, Text};

/// So many messages are remembered at most; nobody types more in five seconds.
const MAX_STROKES: usize = 256;

pub(super) struct Document {
    pub(super) language: String,
    pub(super) version: i32,
    pub(super) text: Text,
    pub(super) attribution: Attribution,
    /// What was known when a message did not fit; `None` while all do.
    lost: Option<(Text, Attribution)>,
    pub(super) strokes: VecDeque<Stroke>,
    former: Former,
    pub(super) retention: Retention,
    pub(super) questions: Questions,
    /// Nothing changed since the text was saved.
    pub(super) is_saved: bool,
    /// Nothing changed since the text was that of the file: only such a text does an editor read anew.
    is_clean: bool,
}

/// A text whose writers somebody else may know.
pub(super) struct Wanted {
    pub(super) text: Text,
    pub(super) open: Vec<Range<usize>>,
    /// Lines of which only something went: who changed them last is asked.
    pub(super) cut: Vec<Range<usize>>,
    pub(super) provisional: Origin,
    pub(super) is_change: bool,
}

impl Document {
    /// Opens a document. What stood there when it was open before is the likeliest source.
    pub(super) fn open(
        language: String,
        version: i32,
        text: &str,
        before: Option<Document>,
        now: Timestamp,
    ) -> (Document, Option<Wanted>) {
        let mut document = Document {
            language,
            version,
            text: Text::new(text),
            attribution: Attribution::new(text.len(), Origin::Unknown),
            lost: None,
            strokes: VecDeque::new(),
            former: Former::default(),
            retention: Retention::default(),
            questions: Questions::default(),
            is_saved: false,
            is_clean: true,
        };
        if let Some(before) = before {
            let (earlier, attribution) = before.lost.unwrap_or((before.text, before.attribution));
            document.attribution = carried(&earlier, &attribution, text, &Origin::Unknown);
            (document.former, document.retention) = (before.former, before.retention);
            document.retention.resume(&document.attribution.origins, now);
        }
        let wanted = document.wanted();
        (document, wanted)
    }

    /// Asks about what nobody here saw being written.
    fn wanted(&self) -> Option<Wanted> {
        let unknown = self.attribution.origins.iter().filter(|(_, origin)| **origin == Origin::Unknown);
        let open: Vec<Range<usize>> = unknown.map(|(range, _)| range).collect();
        let (text, provisional) = (self.text.clone(), Origin::Unknown);
        (!open.is_empty()).then_some(Wanted { text, open, cut: Vec::new(), provisional, is_change: false })
    }

    pub(super) fn is_synchronised(&self) -> bool {
        self.lost.is_none()
    }

    /// Says whether an insertion may still be explained.
    pub(super) fn is_pending(&self) -> bool {
        self.strokes.iter().any(|stroke| !stroke.is_explained && !stroke.insertions.is_empty())
    }

    /// Stops claiming anything until the next full text.
    pub(super) fn lose(&mut self, uri: &str, reason: &'static str, detail: Option<String>, effects: &mut Vec<Effect>) {
        effects.push(Effect::Degraded { reason, detail, uri: Some(uri.to_owned()) });
        if self.is_synchronised() {
            let unknown = Attribution::new(self.text.len_bytes(), Origin::Unknown);
            self.lost = Some((self.text.clone(), std::mem::replace(&mut self.attribution, unknown)));
            self.strokes.clear();
            self.former = Former::default();
            self.questions = Questions::default();
            effects.push(Effect::AttributionChanged { uri: uri.to_owned() });
        }
    }

    /// Takes the changes from their last full text on; without one, or if they do not fit, all stays
    /// as it was.
    pub(super) fn find_again(
        &mut self,
        uri: &str,
        changes: &[Change],
        encoding: Encoding,
        effects: &mut Vec<Effect>,
    ) -> Option<Wanted> {
        let full = changes.iter().rposition(|change| change.range.is_none())?;
        let mut text = Text::new(&changes[full].text);
        for change in &changes[full + 1..] {
            if let Err(error) = text.apply(change, encoding) {
                let detail = Some(error.to_string());
                effects.push(Effect::Degraded { reason: "impossible_range", detail, uri: Some(uri.to_owned()) });
                return None;
            }
        }
        if let Some((known, attribution)) = self.lost.take() {
            self.attribution = carried(&known, &attribution, &text.to_string(), &Origin::Unknown);
        }
        self.text = text;
        self.is_saved = false;
        self.retention.find_regions(&self.attribution.origins);
        effects.push(Effect::AttributionChanged { uri: uri.to_owned() });
        self.wanted()
    }

    /// Applies a message of changes. On an error all is as it was.
    pub(super) fn change(
        &mut self,
        changes: &[Change],
        encoding: Encoding,
        key: &[u8],
        now: Timestamp,
    ) -> Result<Option<Wanted>, ChangeError> {
        let mut stroke = Stroke::apply(&mut self.text, changes, encoding, key, now)?;
        self.is_saved = false;
        let was_clean = std::mem::replace(&mut self.is_clean, false);
        let undone = self.former.undone(&stroke);
        let new = stroke.steps.iter().zip(&undone).filter(|(_, undone)| undone.is_none());
        stroke.origin = human::origin_of(new.map(|(step, _)| &step.come[..]), false);
        let before = former::is_large(&stroke).then(|| (stroke.before.clone(), self.attribution.clone()));
        // Keys insert one character at a time; what else comes may have been a reload, and so may one
        // character that comes into a text as the file has it.
        let wants = stroke.is_rewrite || was_clean || stroke.steps.iter().any(|step| is_insertion(&step.come));

        let mut removed = Vec::new();
        let mut cut = Vec::new();
        for (step, undone) in stroke.steps.iter_mut().zip(undone) {
            let Step { edit, come: _, gone, before, after } = std::mem::take(step);
            step.edit = edit;
            self.former.remember(&mut removed, edit, gone, &self.attribution);
            let only_goes = was_clean && edit.inserted == 0;
            let wrote = only_goes.then(|| self.writer_of_line_at(&before, edit.start));
            self.attribution.edit(&before, &after, edit, &stroke.origin);
            cut.iter_mut().for_each(|at| *at = follow::place(*at, edit));
            if wrote.is_some_and(|wrote| self.writer_of_line_at(&after, edit.start) != wrote) {
                cut.push(edit.start);
            }
            if let Some(undone) = undone {
                former::restore_part(&mut self.attribution, &after, edit.start, &undone.was);
            }
            self.retention.edit(edit);
            self.questions.edit(edit);
        }
        self.former.keep(removed);
        if let Some((before, was)) = before {
            self.find_former(&mut stroke, &before, &was);
            self.former.leave(before, was);
        }
        let cut: Vec<Range<usize>> = cut.into_iter().map(|at| line_at(&stroke.after, at)).collect();
        let wanted = (wants && !(stroke.fresh.is_empty() && cut.is_empty())).then(|| Wanted {
            text: stroke.after.clone(),
            open: stroke.fresh.clone(),
            cut,
            provisional: stroke.origin.clone(),
            is_change: true,
        });
        self.strokes.push_back(stroke);
        while self.strokes.len() > MAX_STROKES {
            self.strokes.pop_front();
        }
        Ok(wanted)
    }

    fn writer_of_line_at(&self, text: &Text, byte: usize) -> Option<Origin> {
        self.attribution.writers.at(line_at(text, byte).start).cloned()
    }

    /// Looks for what a large change brought in what stood here before: an undo, a formatter, a block
    /// that was moved.
    fn find_former(&mut self, stroke: &mut Stroke, before: &Text, was: &Attribution) {
        let text = &stroke.after;
        if let Some(known) = self.former.writers_of(text) {
            former::restore(&mut self.attribution, text, &stroke.fresh, known);
        } else if stroke.is_rewrite || stroke.edits().any(|edit| edit.deleted > 0) {
            let carried = carried(before, was, &text.to_string(), &stroke.origin);
            former::restore(&mut self.attribution, text, &stroke.fresh, &carried);
        }
        if stroke.origin == Origin::Unknown {
            // What has its writers is not new here, and nobody's act can claim it.
            let origins = &self.attribution.origins;
            let new = |ranges: &[Range<usize>]| -> Vec<Range<usize>> {
                let parts = ranges.iter().flat_map(|range| origins.within(range.clone()));
                parts.filter(|(_, origin)| **origin == Origin::Unknown).map(|(range, _)| range).collect()
            };
            stroke.fresh = new(&stroke.fresh);
            let steps = stroke.steps.len();
            for insertion in stroke.insertions.iter_mut().filter(|insertion| insertion.steps == steps) {
                insertion.fresh = new(&insertion.fresh);
            }
        }
    }

    /// Takes what somebody else knows of a text that was asked about.
    pub(super) fn answer(&mut self, answer: Answer, uri: &str, now: Timestamp, effects: &mut Vec<Effect>) {
        let Some(question) = self.questions.get(answer.question) else { return };
        if !answer.attribution.covers(question.text.len_bytes()) || self.lost.is_some() {
            return;
        }
        let is_outside = match answer.disk {
            Disk::Silent => false,
            Disk::Holds => !question.is_saved,
            Disk::HeldBefore => true,
        };
        if question.provisional.is_human() && !is_outside {
            return;
        }
        let before = self.attribution.clone();
        if is_outside {
            self.is_clean |= question.text == self.text;
            question.nobody_typed(&mut self.attribution);
            let is_it = |stroke: &&mut Stroke| Some(stroke.at) == question.stroke && stroke.after == question.text;
            for stroke in self.strokes.iter_mut().filter(is_it) {
                (stroke.is_explained, stroke.is_reported) = (true, true);
            }
        }
        question.settle(&answer.attribution, &mut self.attribution);
        if self.attribution != before {
            effects.push(Effect::AttributionChanged { uri: uri.to_owned() });
        }
        let Document { retention, text, attribution, .. } = self;
        retention.take_up(answer.past, Now { uri, text, origins: &attribution.origins }, now, effects);
        // Whoever saves at once saves before the answer is there.
        if self.is_saved && self.attribution != before {
            self.snapshot(uri, effects);
        }
    }

    /// Takes note that an insertion equals a suggestion that was on the screen: whether it was typed
    /// or taken is not known from here.
    pub(super) fn offered(&mut self, digest: &str, since: Timestamp) -> bool {
        let mut is_news = false;
        for at in 0..self.strokes.len() {
            let stroke = &self.strokes[at];
            if stroke.at < since {
                continue;
            }
            let is_it =
                |insertion: &&super::stroke::Insertion| !insertion.is_explained && insertion.entered.digest == digest;
            let places: Vec<(usize, Vec<Range<usize>>)> =
                stroke.insertions.iter().filter(is_it).map(|it| (it.steps, it.fresh.clone())).collect();
            for (steps, mut ranges) in places {
                let later: Vec<Edit> = self.strokes[at].edits().skip(steps).chain(self.edits_after(at)).collect();
                later.into_iter().for_each(|edit| follow::survivors(&mut ranges, edit));
                let typed: Vec<Range<usize>> = ranges
                    .into_iter()
                    .flat_map(|range| self.attribution.origins.within(range))
                    .filter(|(_, origin)| **origin == Origin::TYPED)
                    .map(|(range, _)| range)
                    .collect();
                is_news |= !typed.is_empty();
                typed
                    .into_iter()
                    .for_each(|range| self.attribution.give(&self.text, range, &Origin::TYPED, &Origin::Unknown));
            }
        }
        is_news
    }

    /// Measures what a commit holds.
    pub(super) fn committed(&mut self, uri: &str, committed: &str, effects: &mut Vec<Effect>) {
        if self.is_synchronised() {
            let carried = carried(&self.text, &self.attribution, committed, &Origin::Unknown);
            let text = Text::new(committed);
            self.retention.measure_committed(Now { uri, text: &text, origins: &carried.origins }, effects);
        }
    }

    pub(super) fn edits_after(&self, stroke: usize) -> Vec<Edit> {
        self.strokes.range(stroke + 1..).flat_map(Stroke::edits).collect()
    }

    pub(super) fn save(&mut self, uri: &str, effects: &mut Vec<Effect>) {
        if self.is_synchronised() {
            self.questions.saved();
            self.is_clean = true;
            self.measure_all(uri, Moment::Save, effects);
            self.is_saved = true;
            self.snapshot(uri, effects);
        }
    }

    pub(super) fn snapshot(&self, uri: &str, effects: &mut Vec<Effect>) {
        effects.push(Effect::SaveSnapshot {
            uri: uri.to_owned(),
            text: self.text.clone(),
            attribution: self.attribution.clone(),
            retained: self.retention.retained(&self.attribution.origins),
        });
    }

    /// Measures every contribution that changed since it was measured last.
    pub(super) fn measure_all(&mut self, uri: &str, moment: Moment, effects: &mut Vec<Effect>) {
        if self.is_synchronised() {
            let Document { retention, text, attribution, .. } = self;
            retention.measure_all(Now { uri, text, origins: &attribution.origins }, moment, effects);
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
        self.questions.pass_time(now);
        if self.is_synchronised() {
            let Document { retention, text, attribution, .. } = self;
            retention.pass_time(Now { uri, text, origins: &attribution.origins }, now, effects);
        }
    }

    fn bulk_insertion(&self, at: usize, uri: &str) -> Option<BulkInsertion> {
        let stroke = &self.strokes[at];
        let mut left = stroke.fresh.clone();
        self.edits_after(at).into_iter().for_each(|edit| follow::survivors(&mut left, edit));
        left.sort_by_key(|range| range.start);
        let unknown: Vec<Range<usize>> = left
            .iter()
            .flat_map(|range| self.attribution.origins.within(range.clone()))
            .filter(|(_, origin)| **origin == Origin::Unknown)
            .map(|(range, _)| range)
            .collect();
        let texts: Vec<String> = unknown.iter().map(|range| self.text.slice(range.clone())).collect();
        let is_blank = texts.iter().all(|text| text.trim().is_empty());
        if is_blank || human::origin_of(texts.iter().map(String::as_str), false).is_human() {
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

/// The line at a place.
fn line_at(text: &Text, byte: usize) -> Range<usize> {
    let line = text.line_of(byte);
    text.line_start(line).unwrap_or(byte)..text.line_start(line + 1).unwrap_or(text.len_bytes())
}

/// Carries from one text that stood here to the next.
fn carried(text: &Text, attribution: &Attribution, to: &str, actor: &Origin) -> Attribution {
    let text = text.to_string();
    carry(&[Known { text: &text, attribution, tier: Tier::Strong }], to, actor, None)
}

/// Asks a question under its number.
impl Wanted {
    pub(super) fn question(self, id: u64, now: Timestamp) -> Question {
        let stroke = self.is_change.then_some(now);
        Question::new(id, now, self.text, (self.open, self.cut), self.provisional, stroke)
    }
}
