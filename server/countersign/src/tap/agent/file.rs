//! One file before and after a call: from the disk where we were in time, from the diff where not.
//!
//! The listener hears of a call a moment after the agent began it. What the disk showed "before" may
//! be the text after; what it shows "after" may be the text after the next call. A diff that fits
//! says which.

use std::path::Path;
use std::time::UNIX_EPOCH;

use countersign_event::Timestamp;
use countersign_event::digest::git_blob;

use crate::tap::decode::{Change, apply, unapply};

/// A larger file is known by its existence alone.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// A file at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum File {
    /// There was none.
    Absent,
    /// It was text.
    Text(String),
    /// It was something else, with this blob id.
    Other(String),
}

/// What is written at a moment may be dated so much earlier: file systems take the time of the last
/// tick, and on a busy machine ticks are late.
const SLACK_MS: i64 = 50;

/// A file as it is, and since when.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// The file.
    pub(super) file: File,
    written: Option<Timestamp>,
    born: Option<Timestamp>,
}

impl Seen {
    /// Reads a file; `None` where it can't be known.
    pub(super) fn now(path: &Path) -> Option<Seen> {
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_file() && metadata.len() <= FILE_BYTES_MAX => {
                let time = |time: std::io::Result<std::time::SystemTime>| {
                    let since = time.ok()?.duration_since(UNIX_EPOCH).ok()?;
                    Some(Timestamp::from_millis(since.as_millis() as i64))
                };
                let file = File::of(std::fs::read(path).ok()?);
                // The times of after the reading: a text must never seem older than it is.
                let metadata = std::fs::metadata(path).ok()?;
                Some(Seen { file, written: time(metadata.modified()), born: time(metadata.created()) })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Some(Seen { file: File::Absent, written: None, born: None })
            }
            _ => None,
        }
    }

    /// Says whether it may have been written at this time or later.
    pub(super) fn is_since(&self, at: Timestamp) -> bool {
        self.written.is_some_and(|written| written.as_millis() + SLACK_MS >= at.as_millis())
    }

    /// Says whether it was written after this time.
    pub(super) fn is_after(&self, at: Timestamp) -> bool {
        self.written.is_some_and(|written| written.as_millis() > at.as_millis())
    }

    /// Says whether there may have been no such file before this time.
    pub(super) fn is_new_since(&self, at: Timestamp) -> bool {
        self.born.is_some_and(|born| born.as_millis() + SLACK_MS >= at.as_millis())
    }
}

impl File {
    /// Makes a file of its bytes.
    pub(super) fn of(bytes: Vec<u8>) -> File {
        match String::from_utf8(bytes) {
            Ok(text) => File::Text(text),
            Err(error) => File::Other(git_blob(error.as_bytes())),
        }
    }

    fn said(text: Option<&String>, like: Option<&File>) -> File {
        let Some(text) = text else { return File::Absent };
        match like {
            Some(File::Text(like)) if like.contains("\r\n") && !text.contains('\r') => {
                File::Text(text.replace('\n', "\r\n"))
            }
            _ => File::Text(text.clone()),
        }
    }

    /// Returns its text.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            File::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns git's id of it; `None` where there is no file.
    pub(super) fn blob(&self) -> Option<String> {
        match self {
            File::Absent => None,
            File::Text(text) => Some(git_blob(text.as_bytes())),
            File::Other(blob) => Some(blob.clone()),
        }
    }
}

/// Both sides of a change, as far as they are known.
pub(super) type Sides = (Option<File>, Option<File>);

/// Says what a change made of a file, from what the stream said about it and what the disk showed.
/// `is_later` says that the file was written again after the call.
pub(super) fn resolve(change: &Change, before: Option<File>, after: Option<File>, is_later: bool) -> Sides {
    let says = change.before.is_some() || change.after.is_some() || !change.pieces.is_empty();
    if !says {
        return (before, after);
    }
    let like = before.as_ref().filter(|file| file.text().is_some()).or(after.as_ref()).cloned();
    let said = |text: &Option<Option<String>>| text.as_ref().map(|text| File::said(text.as_ref(), like.as_ref()));
    let (said_before, said_after) = (said(&change.before), said(&change.after));
    let start = said_before.clone().or_else(|| before.clone());
    let made = said_after.clone().or_else(|| match start.as_ref()? {
        File::Text(text) => apply(text, &change.pieces).map(File::Text),
        File::Absent => apply("", &change.pieces).map(File::Text),
        File::Other(_) => None,
    });
    match (start, made) {
        (Some(start), Some(made)) if start != made => {
            // The disk knows better what was written, unless it does not show the call's work at all.
            let end = match after {
                Some(after) if !is_later && after != start && Some(&after) != before.as_ref() => after,
                _ => made,
            };
            (Some(start), Some(end))
        }
        (start, made) => {
            let undone = after.as_ref().and_then(File::text).and_then(|text| unapply(text, &change.pieces));
            match undone {
                Some(text) if !change.pieces.is_empty() => (Some(File::Text(text)), after),
                _ => (start, made.or(after)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tap::decode::Piece;

    fn text(text: &str) -> Option<File> {
        Some(File::Text(text.to_owned()))
    }

    fn edit(old: &str, new: &str) -> Change {
        let piece = Piece { old: old.into(), new: new.into(), ..Piece::default() };
        Change { path: "a".into(), pieces: vec![piece], ..Change::default() }
    }

    #[test]
    fn a_look_in_time_is_believed() {
        let sides = resolve(&edit("b", "c"), text("a b\n"), text("a c\n"), false);
        assert_eq!(sides, (text("a b\n"), text("a c\n")));
        // A formatter ran.
        let sides = resolve(&edit("b", "c"), text("a b\n"), text("a  c\n"), false);
        assert_eq!(sides, (text("a b\n"), text("a  c\n")));
    }

    #[test]
    fn a_look_that_came_too_late_is_mended_by_the_diff() {
        let sides = resolve(&edit("b", "c"), text("a c\n"), text("a c\n"), false);
        assert_eq!(sides, (text("a b\n"), text("a c\n")));
        // The next call had written already.
        let sides = resolve(&edit("b", "c"), text("a b\n"), text("x c\n"), true);
        assert_eq!(sides, (text("a b\n"), text("a c\n")));
        let sides = resolve(&edit("b", "c"), None, text("a c\n"), false);
        assert_eq!(sides, (text("a b\n"), text("a c\n")));
    }

    #[test]
    fn what_was_written_to_an_open_buffer_only_is_what_was_said() {
        let sides = resolve(&edit("b", "c"), text("a b\n"), text("a b\n"), false);
        assert_eq!(sides, (text("a b\n"), text("a c\n")));
        let new = Change { path: "a".into(), after: Some(Some("n\n".into())), ..Change::default() };
        assert_eq!(resolve(&new, Some(File::Absent), Some(File::Absent), false), (Some(File::Absent), text("n\n")));
    }

    #[test]
    fn line_ends_are_those_of_the_disk() {
        let change = Change { before: Some(Some("a\nb\n".into())), ..edit("a\nb", "a\nc") };
        let sides = resolve(&change, text("a\r\nc\r\n"), text("a\r\nc\r\n"), false);
        assert_eq!(sides, (text("a\r\nb\r\n"), text("a\r\nc\r\n")));
    }

    #[test]
    fn what_nobody_can_know_stays_unknown() {
        assert_eq!(resolve(&edit("b", "c"), None, None, false), (None, None));
        assert_eq!(resolve(&Change::default(), None, text("x"), false), (None, text("x")));
    }
}
