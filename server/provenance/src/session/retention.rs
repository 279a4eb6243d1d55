//! How much of each contribution is still there, at the moments of its life.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use countersign_event::Timestamp;
use countersign_event::payload::contribution::Moment;

use super::{Acceptance, Effect, Measurement, Past, Retained, follow};
use crate::spans::{ContributionId, Spans};
use crate::text::{Edit, Text};

/// So many contributions of one document are measured; the oldest leave first.
const MAX_LIVE: usize = 1_000;

/// When a contribution is measured after it entered.
const MOMENTS: [(i64, Moment); 4] =
    [(30_000, Moment::After30s), (120_000, Moment::After2m), (300_000, Moment::After5m), (600_000, Moment::After10m)];

/// The contributions of one document.
#[derive(Default)]
pub(super) struct Retention {
    live: VecDeque<Live>,
}

/// A document as it is measured.
#[derive(Clone, Copy)]
pub(super) struct Now<'a> {
    pub(super) uri: &'a str,
    pub(super) text: &'a Text,
    pub(super) origins: &'a Spans,
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
    is_first_seen: bool,
    regions: Vec<Range<usize>>,
    /// The last figures: surviving bytes, and what stood there.
    last: Option<(u64, String)>,
    /// The last figures of a commit.
    committed: Option<(u64, String)>,
}

impl Live {
    fn new(contribution: ContributionId, since: Timestamp) -> Live {
        Live {
            contribution,
            acts: Vec::new(),
            since,
            moments: 0,
            accepted: "".into(),
            accepted_bytes: 0,
            is_first_seen: false,
            committed: None,
            regions: Vec::new(),
            last: None,
        }
    }

    fn measurement(
        &self,
        moment: Moment,
        now: Now<'_>,
        regions: Vec<Range<usize>>,
        (surviving_bytes, standing): (u64, String),
    ) -> Effect {
        let start = regions.iter().map(|region| region.start).min();
        let end = regions.iter().map(|region| region.end).max();
        Effect::Measure(Measurement {
            contribution: self.contribution.clone(),
            moment,
            uri: now.uri.to_owned(),
            accepted_bytes: self.accepted_bytes,
            surviving_bytes,
            range: start.zip(end).map(|(start, end)| now.text.range(start..end)),
            accepted: self.accepted.clone(),
            is_first_seen: self.is_first_seen,
            now: standing,
        })
    }
}

/// What became of an act.
pub(super) struct Found {
    pub(super) accepted: String,
    pub(super) accepted_bytes: u64,
    pub(super) region: Range<usize>,
}

impl Retention {
    pub(super) fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    pub(super) fn has_act(&self, acceptance: &Acceptance) -> bool {
        let is_it = |live: &Live| live.contribution == acceptance.contribution && live.acts.contains(&acceptance.act);
        self.live.iter().any(is_it)
    }

    /// Follows an edit.
    pub(super) fn edit(&mut self, edit: Edit) {
        self.live.iter_mut().flat_map(|live| &mut live.regions).for_each(|region| follow::region(region, edit));
    }

    /// Takes note of what entered by an act.
    pub(super) fn enter(&mut self, acceptance: &Acceptance, since: Timestamp, found: Found) {
        let live = match self.live.iter().position(|live| live.contribution == acceptance.contribution) {
            Some(at) => &mut self.live[at],
            None => self.add(Live::new(acceptance.contribution.clone(), since)),
        };
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

    fn add(&mut self, live: Live) -> &mut Live {
        if self.live.len() == MAX_LIVE {
            self.live.pop_front();
        }
        self.live.push_back(live);
        self.live.back_mut().expect("it was added")
    }

    /// Takes up contributions that entered before this session, or beside it, where their text is found here.
    pub(super) fn take_up(&mut self, past: Vec<Past>, now: Now<'_>, at: Timestamp, effects: &mut Vec<Effect>) {
        for past in past {
            let surviving: Vec<Range<usize>> = now.origins.ranges_of(&past.contribution).collect();
            if surviving.is_empty() || self.live.iter().any(|live| live.contribution == past.contribution) {
                continue;
            }
            let bytes = follow::bytes(&surviving) as u64;
            let standing: String = surviving.iter().map(|range| now.text.slice(range.clone())).collect();
            let mut live = Live::new(past.contribution, past.since);
            // The ages that passed while nobody looked are not measured: their figures are not known.
            live.moments = passed(at.millis_since(past.since));
            live.is_first_seen = past.accepted.is_none() && !past.is_new;
            live.accepted_bytes = past.accepted_bytes.unwrap_or(0).max(bytes);
            live.accepted = past.accepted.unwrap_or(standing).into();
            live.regions = hull_of(&surviving);
            if past.measured_bytes == Some(bytes) {
                live.last = Some((bytes, standing_in(&live.regions, now.text)));
            }
            self.add(live);
            if past.is_new && past.measured_bytes.is_none() {
                self.measure(self.live.len() - 1, now, Moment::Acceptance, effects);
            }
        }
    }

    /// Measures every contribution that changed since it was measured last.
    pub(super) fn measure_all(&mut self, now: Now<'_>, moment: Moment, effects: &mut Vec<Effect>) {
        for at in 0..self.live.len() {
            self.measure(at, now, moment, effects);
        }
    }

    /// Measures one contribution.
    pub(super) fn measure_one(
        &mut self,
        contribution: &ContributionId,
        now: Now<'_>,
        moment: Moment,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(at) = self.live.iter().position(|live| live.contribution == *contribution) {
            self.measure(at, now, moment, effects);
        }
    }

    /// Returns where a contribution stands, from its first byte to its last.
    pub(super) fn hull(&self, contribution: &ContributionId) -> Option<Range<usize>> {
        let live = self.live.iter().find(|live| live.contribution == *contribution)?;
        let hull = live.regions.iter().cloned().reduce(|a, b| a.start.min(b.start)..a.end.max(b.end));
        Some(hull.unwrap_or(0..0))
    }

    /// Measures what a commit holds: when it is first committed, and when that changed.
    pub(super) fn measure_committed(&mut self, now: Now<'_>, effects: &mut Vec<Effect>) {
        for live in &mut self.live {
            let surviving: Vec<Range<usize>> = now.origins.ranges_of(&live.contribution).collect();
            if surviving.is_empty() && live.committed.is_none() {
                continue;
            }
            let hull = hull_of(&surviving);
            let figures = (follow::bytes(&surviving) as u64, standing_in(&hull, now.text));
            if live.committed.as_ref() != Some(&figures) {
                live.committed = Some(figures.clone());
                effects.push(live.measurement(Moment::Commit, now, hull, figures));
            }
        }
    }

    fn measure(&mut self, at: usize, now: Now<'_>, moment: Moment, effects: &mut Vec<Effect>) {
        let live = &mut self.live[at];
        let surviving: Vec<Range<usize>> = now.origins.ranges_of(&live.contribution).collect();
        let surviving_bytes = follow::bytes(&surviving) as u64;
        let mut regions: Vec<Range<usize>> = live.regions.iter().filter(|region| !region.is_empty()).cloned().collect();
        // An undone and redone text is there again, and its region was empty in between.
        if regions.is_empty() {
            regions = surviving;
        }
        let figures = (surviving_bytes, standing_in(&regions, now.text));
        if live.last.as_ref() != Some(&figures) {
            live.last = Some(figures.clone());
            effects.push(live.measurement(moment, now, regions, figures));
        }
    }

    /// Measures what has reached an age since it was asked last.
    pub(super) fn pass_time(&mut self, now: Now<'_>, at: Timestamp, effects: &mut Vec<Effect>) {
        for index in 0..self.live.len() {
            let live = &mut self.live[index];
            let passed = passed(at.millis_since(live.since));
            if passed > live.moments {
                live.moments = passed;
                self.measure(index, now, MOMENTS[passed - 1].1, effects);
            }
        }
    }

    /// Takes the regions from the spans, where the edits in between were not seen.
    pub(super) fn find_regions(&mut self, origins: &Spans) {
        for live in &mut self.live {
            live.regions = hull_of(&origins.ranges_of(&live.contribution).collect::<Vec<_>>());
        }
    }

    /// Goes on after the document was closed: what was due meanwhile was not seen.
    pub(super) fn resume(&mut self, origins: &Spans, at: Timestamp) {
        self.find_regions(origins);
        for live in &mut self.live {
            live.moments = live.moments.max(passed(at.millis_since(live.since)));
        }
    }

    /// What a later session needs to go on measuring what is still there.
    pub(super) fn retained(&self, origins: &Spans) -> Vec<Retained> {
        let is_there = |live: &&Live| origins.ranges_of(&live.contribution).next().is_some();
        let retained = |live: &Live| Retained {
            contribution: live.contribution.as_str().to_owned(),
            since: live.since,
            accepted_bytes: live.accepted_bytes,
            accepted: live.accepted.to_string(),
            is_first_seen: live.is_first_seen,
        };
        self.live.iter().filter(is_there).map(retained).collect()
    }
}

fn passed(age_ms: i64) -> usize {
    MOMENTS.iter().take_while(|(after, _)| *after <= age_ms).count()
}

fn hull_of(ranges: &[Range<usize>]) -> Vec<Range<usize>> {
    ranges.first().zip(ranges.last()).map(|(first, last)| first.start..last.end).into_iter().collect()
}

fn standing_in(regions: &[Range<usize>], text: &Text) -> String {
    regions.iter().map(|region| text.slice(region.clone())).collect()
}
