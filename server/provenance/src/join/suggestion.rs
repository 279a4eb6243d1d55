//! One suggestion and what waits on it.

use countersign_event::Timestamp;
use countersign_event::facts::Range;

use super::undo::Done;
use super::{BURST_MS, Channel, Step, WAIT_MS};
use crate::offer::{self, Entry, Fit, Region, Touch, unify};
use crate::text::Text;

/// A suggestion, alive or over. Ended ones are kept for a while: the same text may be offered again.
#[derive(Debug)]
pub(super) struct Suggestion {
    /// The question of which it is an alternative; the latest one.
    pub(super) request: u64,
    pub(super) uri: String,
    pub(super) channel: Channel,
    /// What the place would hold after a full acceptance, with unified line ends.
    pub(super) wanted: String,
    pub(super) ids: Vec<String>,
    /// Messages can name it.
    pub(super) has_messages: bool,
    /// Its place was edited before it came: the editor may have dropped it.
    pub(super) is_late: bool,
    /// The person went on elsewhere: no editor shows it any more.
    pub(super) is_left: bool,
    /// `None` where the document can't be followed.
    pub(super) region: Option<Region>,
    /// The text in the region.
    pub(super) content: String,
    pub(super) shown: Option<Timestamp>,
    pub(super) acts: u32,
    /// An edit that waits for its message.
    pub(super) pending: Option<Pending>,
    /// A message that waits for its edit, and whether it said "all of it".
    pub(super) explicit: Option<(Timestamp, bool)>,
    /// It ends once nothing waits any more: when, by which rule.
    pub(super) ending: Option<(Timestamp, &'static str)>,
    pub(super) over: bool,
    pub(super) taken_whole: bool,
    /// Its last act, told without its message; should that still come, it is evidence and no second act.
    pub(super) unsaid: Option<u32>,
}

/// What an edit in a suggestion's place looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It gave the whole text.
    Whole,
    /// One key completed the text: typed, unless a message says otherwise.
    TypedWhole,
    /// It gave a part.
    Part {
        /// The part ends where an editor's word or line ends.
        at_border: bool,
    },
    /// It gave something else: an acceptance only if a message says so.
    Changed,
}

/// An edit that waits for its message.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    /// Which edit of the session; several suggestions may wait on the same.
    pub(super) edit: u64,
    pub(super) kind: Kind,
    /// The document before the edit.
    pub(super) document: Text,
    /// The place in it.
    pub(super) region: Region,
    pub(super) before: String,
    pub(super) after: String,
    pub(super) entered: Vec<(Range, String)>,
}

/// What of an edit fell into a suggestion's place.
#[derive(Debug)]
pub(super) struct Touched {
    /// The place before the edit.
    pub(super) before: Region,
    pub(super) damaged: bool,
    inside: usize,
    /// Bytes that went.
    deleted: usize,
    entered: Vec<(Range, String)>,
    /// The same text at other cursors.
    elsewhere: Vec<(Range, String)>,
}

impl Touched {
    pub(super) fn is_empty(&self) -> bool {
        self.inside == 0 && !self.damaged
    }

    /// Says whether one key can have done it. A deletion is one, too: no text at the cursor enters by it.
    pub(super) fn is_keystroke(&self, channel: Channel) -> bool {
        match self.entered.as_slice() {
            [] => !channel.replaces() || self.deleted <= 4,
            [(_, text)] => offer::is_keystroke(text),
            _ => false,
        }
    }

    /// Returns every single insertion.
    pub(super) fn into_entered(mut self) -> Vec<(Range, String)> {
        self.entered.append(&mut self.elsewhere);
        self.entered
    }
}

impl Suggestion {
    pub(super) fn new(request: u64, uri: &str, channel: Channel, wanted: String) -> Self {
        Suggestion {
            request,
            uri: uri.to_owned(),
            channel,
            wanted,
            ids: Vec::new(),
            has_messages: false,
            is_late: false,
            is_left: false,
            region: None,
            content: String::new(),
            shown: None,
            acts: 0,
            pending: None,
            explicit: None,
            ending: None,
            over: false,
            taken_whole: false,
            unsaid: None,
        }
    }

    /// The same text came again in answer to another question.
    pub(super) fn offered_again(&mut self, request: u64, region: Option<Region>, content: String) {
        self.request = request;
        self.ending = None;
        self.over = false;
        self.is_left = false;
        self.taken_whole = false;
        // The place may begin later now; what was wanted there stays the whole text.
        if let (Some(new), Some(old)) = (region, &mut self.region) {
            if new.start == old.start {
                *old = new;
                self.content = content;
            } else {
                old.end = old.end.max(new.end);
            }
        }
    }

    pub(super) fn fit(&self) -> Fit {
        offer::fit(&unify(&self.content), &self.wanted)
    }

    /// Returns what is not there yet of the text.
    pub(super) fn missing(&self) -> String {
        missing(&self.content, &self.wanted)
    }

    /// Returns when it has waited long enough.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let after = |at: Timestamp, ms| Timestamp::from_millis(at.as_millis() + ms);
        let wait = if self.has_messages { WAIT_MS } else { BURST_MS + 1 };
        let pending = self.pending.as_ref().map(|pending| after(pending.last, wait));
        let explicit = self.explicit.map(|(at, _)| after(at, WAIT_MS));
        pending.into_iter().chain(explicit).min()
    }

    /// Moves the place with the edits and says what fell into it. `None` where it can't be followed.
    pub(super) fn follow(&mut self, steps: &[Step]) -> Option<Touched> {
        let region = self.region.as_mut()?;
        let mut touched = Touched {
            before: *region,
            damaged: false,
            inside: 0,
            deleted: 0,
            entered: Vec::new(),
            elsewhere: Vec::new(),
        };
        for step in steps {
            let insertion = || step.entered.clone();
            match region.follow(&step.entry, &self.wanted) {
                Touch::Outside => {
                    touched.elsewhere.push(insertion());
                    continue;
                }
                Touch::Inside => touched.inside += 1,
                Touch::Damaged => {
                    touched.damaged = true;
                    if let [only] = steps {
                        touched.before.start = touched.before.start.min(only.entry.start);
                        touched.before.end = touched.before.end.max(only.entry.start + only.entry.deleted);
                    }
                }
            }
            touched.deleted += step.entry.deleted;
            if !step.entry.inserted.is_empty() {
                touched.entered.push(insertion());
            }
        }
        let Touched { entered, elsewhere, .. } = &mut touched;
        elsewhere.retain(|(_, text)| matches!(entered.as_slice(), [(_, here)] if here == text));
        Some(touched)
    }

    /// Says whether an edit is the inverse of the one that waits here.
    pub(super) fn is_taken_back_by(&self, entry: &Entry, removed: &str) -> bool {
        self.pending.as_ref().is_some_and(|pending| {
            let gain = offer::gain(&pending.before, &pending.after);
            let come = &pending.after[gain.prefix..pending.after.len() - gain.suffix];
            let gone = &pending.before[gain.prefix..pending.before.len() - gain.suffix];
            !come.is_empty() && removed == come && entry.inserted == gone
        })
    }
}

impl Pending {
    /// Takes the next edit of the same acceptance.
    pub(super) fn extend(
        &mut self,
        now: Timestamp,
        edit: u64,
        kind: Kind,
        after: String,
        entered: Vec<(Range, String)>,
    ) {
        self.last = now;
        self.edit = edit;
        self.kind = if kind == Kind::TypedWhole { Kind::Whole } else { kind };
        self.after = after;
        self.entered.extend(entered);
    }

    /// Says what the act was, as an undo would find it and as it is told.
    pub(super) fn conclude(&self, suggestion: &Suggestion, key: u64, act: u32) -> (Done, Told) {
        let gain = offer::gain(&self.before, &self.after);
        let start = self.region.start + gain.prefix;
        let removed = self.before[gain.prefix..self.before.len() - gain.suffix].to_owned();
        let inserted = self.after[gain.prefix..self.after.len() - gain.suffix].to_owned();
        let told = if suggestion.channel.replaces() {
            let range = self.range(self.region.start, self.region.end);
            Told { range, inserted: self.after.clone(), earlier: suggestion.wanted.clone() }
        } else {
            let range = self.range(start, start + removed.len());
            Told { range, inserted: inserted.clone(), earlier: missing(&self.before, &suggestion.wanted) }
        };
        let (edit, range) = (self.edit, told.range);
        (Done { key, act, edit, start, range, inserted, removed, undone: false, touched: false }, told)
    }

    fn range(&self, start: usize, end: usize) -> Range {
        if end <= self.document.len_bytes() { self.document.range(start..end) } else { Range::default() }
    }
}

/// What an act is told as.
pub(super) struct Told {
    /// What it replaced.
    pub(super) range: Range,
    /// What it inserted.
    pub(super) inserted: String,
    /// What had been missing of the offer before.
    pub(super) earlier: String,
}

/// Returns what `wanted` has beyond `content`.
fn missing(content: &str, wanted: &str) -> String {
    let content = unify(content);
    let gain = offer::gain(&content, wanted);
    wanted[gain.prefix..wanted.len() - gain.suffix].to_owned()
}
