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
}

/// One edit with its texts.
pub(super) struct Step {
    pub(super) edit: Edit,
    pub(super) come: String,
    pub(super) gone: String,
}

/// An insertion that an act of another process may describe.
pub(super) struct Insertion {
    pub(super) entered: Entered,
    /// Where it stands in the text after.
    pub(super) region: Range<usize>,
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
            origin: Origin::Human,
            is_explained: false,
            is_reported: false,
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
        let mut shift: isize = 0;
        let mut come = Vec::new();
        for edit in edits {
            let old = edit.start.wrapping_add_signed(-shift);
            let step = Step {
                edit,
                come: text.slice(edit.start..edit.start + edit.inserted),
                gone: prior.slice(old..old + edit.deleted),
            };
            shift += edit.inserted as isize - edit.deleted as isize;
            follow::survivors(&mut self.fresh, edit);
            self.insertions.iter_mut().for_each(|insertion| follow::region(&mut insertion.region, edit));
            if edit.inserted > 0 {
                self.fresh.push(edit.start..edit.start + edit.inserted);
            }
            if change.range.is_none() && is_insertion(&step.come) {
                let region = edit.start..edit.start + edit.inserted;
                come.push(insertion(prior.range(old..old + edit.deleted), &step.come, region, key));
            }
            self.steps.push(step);
        }
        if let Some(range) = change.range
            && is_insertion(&change.text)
        {
            let start = prior.byte_at(range.start, encoding)?;
            let end = prior.byte_at(range.end, encoding)?;
            let region = start..start + change.text.len();
            come.push(insertion(prior.range(start..end), &change.text, region, key));
        }
        self.insertions.extend(come);
        Ok(())
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

fn insertion(replaced: facts::Range, text: &str, region: Range<usize>, key: &[u8]) -> Insertion {
    let entered = Entered { range: replaced, bytes: text.len() as u64, digest: digest::entered(key, text) };
    Insertion { entered, region, is_explained: false }
}
