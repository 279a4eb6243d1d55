//! What the files of open documents hold: whether a text that came by a change was on the disk before.
//!
//! Looks in the order of the editor's messages and at once, in a thread that waits for nobody: the editor's
//! next write hides what was there. Says nothing about who wrote it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::SystemTime;

use countersign_provenance::text::Text;

use super::event::Event;
use super::history::{Asked, Job};
use super::mailbox::Mailbox;
use super::sys;
use crate::recorder::file_of_uri;

/// Files larger than this are not read to compare them.
const COMPARED_BYTES_MAX: u64 = 16 << 20;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What changes whenever a file is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    number: u64,
}

/// A reason to look.
pub(super) enum Look {
    /// The editor read its document from the file, or wrote it there.
    Same { uri: String, text: Text, is_written: bool },
    /// A text came by a change.
    Changed(Asked),
    /// A document was closed.
    Closed(String),
}

/// A handle to the thread.
pub(super) struct Looks {
    looks: Sender<Look>,
}

impl Looks {
    /// Starts the thread. What may have come from the disk is asked on as a job.
    pub(super) fn start(jobs: Sender<Job>, mailbox: Mailbox<Event>) -> Looks {
        let (looks, waiting) = mpsc::channel();
        let thread = Thread { jobs, mailbox, same: HashMap::new() };
        if let Err(error) = std::thread::Builder::new().name("disk".to_owned()).spawn(move || thread.run(&waiting)) {
            tracing::error!("nobody looks whether a text came from the disk: {error}");
        }
        Looks { looks }
    }

    pub(super) fn look(&self, look: Look) {
        // Without the thread, what it would tell stays as it is.
        let _ = self.looks.send(look);
    }
}

struct Thread {
    jobs: Sender<Job>,
    mailbox: Mailbox<Event>,
    /// The stamp with which a document's file held what the editor showed, last time; `None`: there was no file.
    same: HashMap<String, Option<Stamp>>,
}

impl Thread {
    fn run(mut self, looks: &Receiver<Look>) {
        while let Ok(look) = looks.recv() {
            match look {
                Look::Same { uri, text, is_written } => {
                    let held = self.held(&uri, &text);
                    if is_written {
                        let _ = self.jobs.send(Job::Saved(uri, held));
                    }
                }
                Look::Changed(asked) => self.changed(asked),
                Look::Closed(uri) => drop(self.same.remove(&uri)),
            }
        }
    }

    fn changed(&mut self, asked: Asked) {
        let now = stamp_of(&asked.uri);
        // Nobody wrote there since: it can't be where the text comes from.
        let is_from_elsewhere = now.is_none() || self.same.get(&asked.uri) == Some(&now);
        if asked.is_typed && is_from_elsewhere {
            return self.mailbox.push_always(Event::LookedUp(asked.uri, asked.question, true));
        }
        let held = if is_from_elsewhere { None } else { self.held(&asked.uri, &asked.text) };
        let _ = self.jobs.send(Job::Ask(asked, held));
    }

    /// Returns the file's stamp if that holds this very text, and remembers it.
    fn held(&mut self, uri: &str, text: &Text) -> Option<Stamp> {
        let stamp = stamp_of(uri);
        if stamp.is_some() && !(is_on_disk(uri, text) && stamp == stamp_of(uri)) {
            self.same.remove(uri);
            return None;
        }
        self.same.insert(uri.to_owned(), stamp.clone());
        stamp
    }
}

/// Says whether a document's file holds this very text.
pub(super) fn is_on_disk(uri: &str, text: &Text) -> bool {
    file_of_uri(uri).is_some_and(|file| holds(&file, text).unwrap_or(false))
}

fn stamp_of(uri: &str) -> Option<Stamp> {
    let metadata = std::fs::metadata(file_of_uri(uri)?).ok().filter(std::fs::Metadata::is_file)?;
    let (modified, length) = (metadata.modified().ok(), metadata.len());
    Some(Stamp { modified, length, number: sys::file_number(&metadata) })
}

/// An editor may keep its lines with LF and write CRLF, and leave out a mark at the front. Reads the file
/// only if it has the length for it.
fn holds(file: &Path, text: &Text) -> std::io::Result<bool> {
    let metadata = std::fs::metadata(file)?;
    let length = metadata.len();
    let least = text.len_bytes() as u64;
    let most = least + text.line_count() as u64 + BYTE_ORDER_MARK.len() as u64;
    if !metadata.is_file() || length > COMPARED_BYTES_MAX || length < least || length > most {
        return Ok(false);
    }
    let bytes = std::fs::read(file)?;
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes);
    Ok(same_but_line_ends(bytes, text.to_string().as_bytes()))
}

fn same_but_line_ends(a: &[u8], b: &[u8]) -> bool {
    a.iter().filter(|byte| **byte != b'\r').eq(b.iter().filter(|byte| **byte != b'\r'))
}
