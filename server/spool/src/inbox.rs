//! Events that could not wait for the spool: one file a letter, whole or not there.
//!
//! A letter is written under a temporary name, fsynced and renamed. The next writer puts its events
//! into the trail in a FULL transaction and unlinks it afterwards; killed in between, it finds the
//! same event ids again and leaves them out. A letter that can't be read is kept under another name
//! and becomes a `trail.gap`. Texts are sealed in letters too.

use std::fs;
use std::path::PathBuf;

use countersign_event::payload::trail;
use countersign_event::{EventBytes, How};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::content::{Sealed, SealedBox};
use crate::open::Layout;
use crate::prepare::Prepared;
use crate::snapshot::PreparedSnapshot;
use crate::{Device, SpoolError, sys};

/// Letters taken in by one transaction; more wait for the next.
const LETTERS_MAX: usize = 64;
/// Bytes of letters taken in by one transaction, at least one letter.
const LETTER_BYTES_MAX: usize = 8 << 20;

/// Letters that may wait: one whose spool can't be had for months must not fill the disk. What comes after is
/// counted and told as missing.
const WAITING_MAX: usize = if cfg!(test) { 20 } else { 20_000 };

const EXTENSION: &str = "letter";

#[derive(Serialize, Deserialize)]
struct Letter {
    version: u32,
    events: Vec<Entry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    snapshots: Vec<PreparedSnapshot>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    event: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    if_told: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    contents: Vec<SealedEntry>,
}

#[derive(Serialize, Deserialize)]
struct SealedEntry {
    name: String,
    kept: String,
    bytes: u64,
    #[serde(flatten)]
    boxed: SealedBox,
}

/// Leaves events in the inbox. When this returns `Ok` they survive power loss.
pub(crate) fn post(layout: &Layout, events: &[Prepared]) -> Result<(), SpoolError> {
    post_with(layout, events, &[])
}

/// Leaves events and snapshots in the inbox.
pub(crate) fn post_with(
    layout: &Layout,
    events: &[Prepared],
    snapshots: &[PreparedSnapshot],
) -> Result<(), SpoolError> {
    sys::private_dir(&layout.state)?;
    sys::private_dir(&layout.inbox)?;
    if waiting(layout)?.len() >= WAITING_MAX {
        return Err(SpoolError::InboxFull { path: layout.inbox.clone(), letters: WAITING_MAX });
    }
    let entries = events.iter().map(|prepared| Entry {
        event: prepared.event.as_str().to_owned(),
        if_told: prepared.if_told.as_ref().map(|evidence| evidence.event.as_str().to_owned()),
        contents: prepared.contents.iter().map(SealedEntry::from).collect(),
    });
    let letter = Letter { version: 1, events: entries.collect(), snapshots: snapshots.to_vec() };
    let bytes = serde_json::to_vec(&letter).expect("a letter is all strings and numbers");
    let name = Uuid::now_v7(); // sorts by time: letters are taken in in the order they were left
    sys::write_whole(&layout.inbox.join(format!(".{name}")), &layout.inbox.join(format!("{name}.{EXTENSION}")), &bytes)
}

/// Letters read and not yet in the trail.
pub(crate) struct Mail {
    pub(crate) events: Vec<Prepared>,
    pub(crate) snapshots: Vec<PreparedSnapshot>,
    letters: Vec<PathBuf>,
}

impl Mail {
    pub(crate) fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }

    /// Unlinks the letters, now that the trail has them.
    pub(crate) fn remove(self) {
        for letter in self.letters {
            if let Err(error) = fs::remove_file(&letter)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                // It is taken in again, and left out as known, until somebody lets us unlink it.
                tracing::warn!(%error, letter = %letter.display(), "cannot remove a letter that is in the trail");
            }
        }
    }
}

/// Reads the oldest letters.
///
/// Errors: none from a single letter; one that can't be read is set aside and becomes a gap.
pub(crate) fn collect(layout: &Layout, device: &Device) -> Result<Mail, SpoolError> {
    let mut mail = Mail { events: Vec::new(), snapshots: Vec::new(), letters: Vec::new() };
    let mut bytes = 0;
    for path in waiting(layout)? {
        if mail.letters.len() == LETTERS_MAX || bytes > LETTER_BYTES_MAX {
            break;
        }
        let text = match fs::read(&path) {
            Ok(text) => text,
            // Another writer was faster.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(SpoolError::io("read", &path, e)),
        };
        bytes += text.len();
        match read(&text) {
            Some((events, snapshots)) => {
                mail.events.extend(events);
                mail.snapshots.extend(snapshots);
                mail.letters.push(path);
            }
            None => {
                let aside = path.with_extension("unreadable");
                fs::rename(&path, &aside).map_err(|e| SpoolError::io("set aside", &path, e))?;
                tracing::warn!(letter = %aside.display(), "a letter in the inbox can't be read");
                post(layout, &[unreadable(device)])?;
            }
        }
    }
    Ok(mail)
}

/// Returns the letters that wait, oldest first. A missing inbox is an empty one.
pub(crate) fn waiting(layout: &Layout) -> Result<Vec<PathBuf>, SpoolError> {
    let entries = match fs::read_dir(&layout.inbox) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(SpoolError::io("read", &layout.inbox, e)),
    };
    let mut letters: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == EXTENSION))
        .collect();
    letters.sort();
    Ok(letters)
}

fn unreadable(device: &Device) -> Prepared {
    let gap = trail::Gap {
        how: How::Observed,
        reason: "unreadable".to_owned(),
        count: None,
        from: None,
        to: None,
        by: Some("inbox".to_owned()),
    };
    Prepared::gap(Uuid::now_v7(), &device.urn(), gap)
}

fn read(text: &[u8]) -> Option<(Vec<Prepared>, Vec<PreparedSnapshot>)> {
    let letter: Letter = serde_json::from_slice(text).ok()?;
    (letter.version == 1).then_some(())?;
    let events: Option<Vec<Prepared>> = letter
        .events
        .into_iter()
        .map(|entry| {
            let bare = |event: &str| Prepared::bare(EventBytes::parse(event.as_bytes()).ok()?).ok();
            let mut prepared = bare(&entry.event)?;
            if let Some(evidence) = &entry.if_told {
                prepared.if_told = Some(Box::new(bare(evidence)?));
            }
            prepared.contents = entry.contents.into_iter().map(SealedEntry::into_sealed).collect();
            Some(prepared)
        })
        .collect();
    Some((events?, letter.snapshots))
}

impl From<&Sealed> for SealedEntry {
    fn from(content: &Sealed) -> Self {
        SealedEntry {
            name: content.name.clone(),
            kept: content.kept.clone(),
            bytes: content.bytes,
            boxed: content.boxed.clone(),
        }
    }
}

impl SealedEntry {
    fn into_sealed(self) -> Sealed {
        Sealed { name: self.name, kept: self.kept, bytes: self.bytes, boxed: self.boxed }
    }
}

/// Reads hexadecimal of any length.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| (byte as char).to_digit(16);
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some((digit(pair[0])? * 16 + digit(*pair.get(1)?)?) as u8)).collect()
}

/// Bytes as hexadecimal, for letters are JSON.
pub(crate) mod hexed {
    use countersign_event::digest::hex;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        super::unhex(&text).ok_or_else(|| D::Error::custom("not hexadecimal"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Append, Class, Reader, append_once};
    use std::time::Duration;

    #[test]
    fn letters_that_nobody_takes_in_stop_at_a_bound_and_what_comes_after_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let gap = trail::Gap { how: How::Observed, reason: "t".into(), count: None, from: None, to: None, by: None };
        let event = || Append {
            event: Prepared::gap(Uuid::now_v7(), "test", gap.clone()).event,
            class: Class::Full,
            contents: Vec::new(),
            if_told: None,
        };
        let hook = || append_once(dir.path(), &[event()], Duration::from_secs(5));
        hook().unwrap();
        let version = |n: i64| {
            let conn = rusqlite::Connection::open(&layout.db).unwrap();
            let was: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
            conn.pragma_update(None, "user_version", n).unwrap();
            was
        };
        let known = version(99);
        for _ in 0..WAITING_MAX {
            hook().unwrap();
        }
        for _ in 0..3 {
            assert!(matches!(hook(), Err(SpoolError::InboxFull { .. })));
        }
        version(known);
        hook().unwrap();
        assert_eq!(waiting(&layout).unwrap(), [] as [PathBuf; 0]);
        let all = Reader::open(dir.path()).unwrap().events_after(0, 100).unwrap();
        let told = all.iter().find(|it| it.bytes.as_str().contains("no_room")).expect("a record");
        assert!(told.bytes.as_str().contains(r#""count":3"#), "{}", told.bytes.as_str());
        assert_eq!(all.len(), 1 + WAITING_MAX + 1 + 1);
    }
}
