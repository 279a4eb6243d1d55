//! One message of changes, remembered for as long as somebody may explain it.

use std::ops::Range;

use countersign_event::payload::suggestion::Entered;
use countersign_event::{Timestamp, digest, facts};

use super::follow;
use crate::spans::Origin;
use crate::text::{Change, ChangeError, Edit, Encoding, Text};

/// What one message did to a document.
pub(super) struct Stroke {
    pub(super) at: Timestamp,
    /// The text before.
    pub(super) before: Text,
    /// The text after.
    pub(super) after: Text,
    /// What really changed, in order.
    pub(super) steps: Vec<Step>,
    /// What came, in the text after.
    pub(super) fresh: Vec<Range<usize>>,
    /// Insertions of two characters and more, as the editor sent them.
    pub(super) insertions: Vec<Insertion>,
    /// By whom it is as long as nobody explains it.
    pub(super) origin: Origin,
    pub(super) is_explained: bool,
    pub(super) is_reported: bool,
    /// One change of it replaced text by what is the same in parts.
    pub(super) is_rewrite: bool,
}

/// One edit. Its texts are let go once it has been followed.
#[derive(Default)]
pub(super) struct Step {
    pub(super) edit: Edit,
    pub(super) come: String,
    pub(super) gone: String,
    /// The whole text just before it and just after it.
    pub(super) before: Text,
    pub(super) after: Text,
}

/// An insertion that an act of another process may describe. One message may go on changing it, so
/// it is kept as it was when it came.
pub(super) struct Insertion {
    pub(super) entered: Entered,
    /// The text just after it.
    pub(super) after: Text,
    /// Where it stands in that text.
    pub(super) region: Range<usize>,
    /// What of it was new there.
    pub(super) fresh: Vec<Range<usize>>,
    /// How many steps of the message had been taken then.
    pub(super) steps: usize,
    pub(super) is_explained: bool,
}

impl Stroke {
    /// Applies changes to a text. On an error the text is as it was.
    pub(super) fn apply(
        text: &mut Text,
        changes: &[Change],
        encoding: Encoding,
        key: &[u8],
        at: Timestamp,
    ) -> Result<Stroke, ChangeError> {
        let before = text.clone();
        let mut stroke = Stroke {
            at,
            before: before.clone(),
            after: before,
            steps: Vec::new(),
            fresh: Vec::new(),
            insertions: Vec::new(),
            origin: Origin::TYPED,
            is_explained: false,
            is_reported: false,
            is_rewrite: false,
        };
        for change in changes {
            if let Err(error) = stroke.change(text, change, encoding, key) {
                *text = stroke.before;
                return Err(error);
            }
        }
        stroke.after = text.clone();
        Ok(stroke)
    }

    fn change(&mut self, text: &mut Text, change: &Change, encoding: Encoding, key: &[u8]) -> Result<(), ChangeError> {
        let prior = text.clone();
        let edits = text.apply(change, encoding)?;
        let is_one = edits.len() == 1;
        self.is_rewrite |= edits.len() > 1;
        let mut between = prior.clone();
        let mut shift: isize = 0;
        let mut told = Vec::new();
        let mut fresh = Vec::new();
        for edit in edits {
            let old = edit.start.wrapping_add_signed(-shift);
            let come = text.slice(edit.start..edit.start + edit.inserted);
            let before = between.clone();
            if is_one {
                between = text.clone();
            } else {
                between.replace(edit.start..edit.start + edit.deleted, &come);
            }
            let gone = prior.slice(old..old + edit.deleted);
            let step = Step { edit, come, gone, before, after: between.clone() };
            shift += edit.inserted as isize - edit.deleted as isize;
            follow::survivors(&mut self.fresh, edit);
            follow::survivors(&mut fresh, edit);
            if edit.inserted > 0 {
                self.fresh.push(edit.start..edit.start + edit.inserted);
                fresh.push(edit.start..edit.start + edit.inserted);
            }
            if change.range.is_none() && is_insertion(&step.come) {
                let region = edit.start..edit.start + edit.inserted;
                told.push((entered(prior.range(old..old + edit.deleted), &step.come, key), region));
            }
            self.steps.push(step);
        }
        if let Some(range) = change.range
            && is_insertion(&change.text)
        {
            let start = prior.byte_at(range.start, encoding)?;
            let end = prior.byte_at(range.end, encoding)?;
            let region = start..start + change.text.len();
            told.push((entered(prior.range(start..end), &change.text, key), region));
        }
        self.insertions.extend(told.into_iter().map(|(entered, region)| Insertion {
            entered,
            after: text.clone(),
            fresh: follow::cut(&fresh, &region),
            region,
            steps: self.steps.len(),
            is_explained: false,
        }));
        Ok(())
    }

    /// Returns what came in this message beside its explained insertions, in the text after.
    pub(super) fn rest(&self) -> Vec<Range<usize>> {
        let mut rest = self.fresh.clone();
        for insertion in self.insertions.iter().filter(|insertion| insertion.is_explained) {
            let mut its = insertion.fresh.clone();
            self.edits().skip(insertion.steps).for_each(|edit| follow::survivors(&mut its, edit));
            its.iter().for_each(|range| follow::take(&mut rest, range));
        }
        rest
    }

    /// Returns the edits in order.
    pub(super) fn edits(&self) -> impl Iterator<Item = Edit> {
        self.steps.iter().map(|step| step.edit)
    }
}

/// Says whether a text has two characters or more.
pub(super) fn is_insertion(text: &str) -> bool {
    text.chars().nth(1).is_some()
}

fn entered(replaced: facts::Range, text: &str, key: &[u8]) -> Entered {
    Entered { range: replaced, bytes: text.len() as u64, digest: digest::entered(key, text) }
}
