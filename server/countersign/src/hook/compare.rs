//! What became of one file: from what we saw of it before and after a call, what the client told, what the
//! call's arguments determine, and whether anybody else was at the file meanwhile.

use std::path::{Path, PathBuf};

use countersign_event::How;

use super::decode::Edit;
use super::planned::{backward, forward};
use super::text::Content;

/// What a call did to one file.
pub(super) struct Change {
    pub(super) path: PathBuf,
    pub(super) before: Content,
    pub(super) after: Content,
    pub(super) how: How,
}

/// What is known of one file and one call.
#[derive(Default)]
pub(super) struct Sight<'a> {
    /// Its text before the call.
    pub(super) was: Option<&'a Content>,
    /// What the client says the call did.
    pub(super) told: Option<&'a Edit>,
    /// What the call's arguments make of it.
    pub(super) planned: Option<&'a Edit>,
    /// The text before the call of the file that was moved here.
    pub(super) moved: Option<&'a Content>,
    /// We learn of the call's end later than it was.
    pub(super) is_late: bool,
    /// What other calls left of it since this one began: git's names of the texts.
    pub(super) left_since: Vec<Option<String>>,
    /// Its text when the next call began that names it.
    pub(super) next: Option<Content>,
    /// Git's names are SHA-256 here.
    pub(super) sha256: bool,
}

impl Sight<'_> {
    /// Says what the call did to the file. `None`: nothing that anybody saw.
    pub(super) fn change(self, path: &Path) -> Option<Change> {
        let disk = Content::read(path);
        let change = |before, after, how| Some(Change { path: path.to_owned(), before, after, how });
        if let Some(edit) = self.told.filter(|edit| edit.in_buffer)
            && let Some(Some(text)) = &edit.after
        {
            let before = self.was.cloned().or(told(&edit.before, &disk)).unwrap_or(Content::Unread);
            return change(before, Content::Bytes(text.as_bytes().to_vec()), How::Reported);
        }
        let told_before = self.told.and_then(|edit| told(&edit.before, &disk));
        let base = told_before.as_ref().or(self.was);
        let told_after = self.told.and_then(|edit| self.after(edit, base, &disk));
        // Only another's edit makes the disk an unsure witness.
        if self.is_shared() || (self.is_late && told_after.as_ref().is_some_and(|after| !same(&disk, after))) {
            let (before, after) = self.among_others(told_before, told_after, &disk);
            // What is not known of either side may be no change at all.
            if before == Content::Unread && after == Content::Unread {
                return None;
            }
            let seen = after == disk && Some(&before) == self.was;
            return change(before, after, if seen { How::Observed } else { How::Reported });
        }
        match (self.was, told_before, told_after) {
            (Some(was), Some(before), Some(after)) if same(&disk, &after) && !same(was, &before) => {
                // Somebody else changed it after our look and before the call.
                change(before, disk, How::Reported)
            }
            (Some(was), Some(before), _) if *was == disk && !same(was, &before) => {
                // Our look before came too late: the file was changed already.
                change(before, disk, How::Reported)
            }
            (Some(was), _, Some(after)) if *was == disk && !same(was, &after) => {
                // The client says that it wrote, and the disk does not have it (yet).
                change(was.clone(), after, How::Reported)
            }
            (Some(was), _, _) => change(was.clone(), disk, How::Observed),
            (None, Some(before), Some(after)) => change(before, after, How::Reported),
            (None, Some(before), None) => change(before, disk, How::Reported),
            (None, None, Some(after)) => change(Content::Unread, after, How::Reported),
            // Nobody saw what was there before; only the client can say that something changed.
            (None, None, None) => self.told.and_then(|edit| {
                let swapped = |done: fn(&str, &[_]) -> Option<String>| {
                    let text = disk.text().filter(|_| !edit.swaps.is_empty())?;
                    done(text, &edit.swaps).map(|text| Content::Bytes(text.into_bytes()))
                };
                let is_there = |text: &str| edit.swaps.iter().all(|swap| text.contains(&swap.new));
                match (swapped(backward), swapped(forward)) {
                    // Whether there was an empty file or none is not told.
                    (Some(before), None) if before.text() != Some("") => change(before, disk, How::Reported),
                    // The editor has it and has not saved it.
                    (None, Some(after)) => change(disk, after, How::Reported),
                    _ if disk.text().is_none_or(is_there) => change(Content::Unread, disk, How::Reported),
                    _ => change(Content::Unread, Content::Unread, How::Reported),
                }
            }),
        }
    }

    /// Says whether another call was, or may have been, at the file meanwhile.
    fn is_shared(&self) -> bool {
        !self.left_since.is_empty() || (self.is_late && self.next.is_some())
    }

    fn after(&self, edit: &Edit, base: Option<&Content>, disk: &Content) -> Option<Content> {
        let base = if edit.moved_from.is_some() { self.moved } else { base };
        told(&edit.after, disk).or_else(|| {
            let text = base?.text().filter(|_| !edit.swaps.is_empty())?;
            forward(text, &edit.swaps).map(|text| Content::Bytes(text.into_bytes()))
        })
    }

    /// Says what the call found and left where another was at the file, too.
    fn among_others(
        &self,
        told_before: Option<Content>,
        told_after: Option<Content>,
        disk: &Content,
    ) -> (Content, Content) {
        let was = || self.was.cloned().unwrap_or(Content::Unread);
        let edit = self.told.or(self.planned);
        let swaps = edit.map(|edit| edit.swaps.as_slice()).unwrap_or_default();
        let others_came_last = self.is_late || self.left_since.contains(&disk.blob(self.sha256)) || {
            let whole = edit.and_then(|edit| told(&edit.after, disk));
            whole.is_some_and(|whole| !same(disk, &whole))
        };
        if !others_came_last {
            // What the others left is what it found; only undoing its own part shows that text.
            let text = disk.text().filter(|_| !swaps.is_empty());
            let undone = text.and_then(|text| Some(Content::Bytes(backward(text, swaps)?.into_bytes())));
            let known = undone.filter(|before| self.left_since.last() == Some(&before.blob(self.sha256)));
            let is_there = disk.text().is_none_or(|text| swaps.iter().all(|swap| text.contains(&swap.new)));
            let after = told_after.or_else(|| is_there.then(|| disk.clone()));
            return (told_before.or(known).unwrap_or(Content::Unread), after.unwrap_or(Content::Unread));
        }
        let planned = || self.after(self.planned?, self.was, disk);
        let next = || self.next.clone().filter(|next| Some(next) != self.was);
        let after = told_after.or_else(planned).or_else(next).unwrap_or(Content::Unread);
        (told_before.unwrap_or_else(was), after)
    }
}

fn told(text: &Option<Option<String>>, disk: &Content) -> Option<Content> {
    text.as_ref().map(|text| match text {
        Some(text) => Content::told(text, disk),
        None => Content::Absent,
    })
}

/// Tells whether two texts are the same but for what agents leave out: line ends and a byte order mark.
fn same(a: &Content, b: &Content) -> bool {
    let bare = |text: &str| text.trim_start_matches('\u{feff}').to_owned();
    a == b || b.text().zip(a.text()).is_some_and(|(b, a)| Content::Bytes(bare(a).into_bytes()).says(&bare(b)))
}
