//! The thread that reads the spool for the actor: what other observers saw entering, and whose writing
//! an opened text may be.
//!
//! It polls `data_version` only while an insertion waits to be explained.

use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use countersign_event::digest::text_id;
use countersign_event::{How, Payload};
use countersign_provenance::session::{Acceptance, Snapshot};
use countersign_provenance::spans::{ContributionId, Spans};
use countersign_spool::{Reader, SpoolError, Stored};
use tokio::sync::oneshot;

use super::event::Event;
use super::facts;
use super::mailbox::Mailbox;
use super::protocol::Facts;

/// How often the spool is asked while something waits.
const POLL: Duration = Duration::from_millis(15);
/// Rows read at once.
const PAGE: usize = 500;

/// What another observer saw entering a document.
#[derive(Debug, Clone)]
pub(crate) struct Act {
    /// What entered, and where.
    pub(crate) acceptance: Acceptance,
    /// What is known of it.
    pub(crate) facts: Facts,
}

enum Job {
    Watch(bool),
    Remember { path: String, text: String, reply: oneshot::Sender<Vec<Snapshot>> },
}

/// A handle to the thread.
pub(crate) struct SpoolWatch {
    jobs: Sender<Job>,
}

impl SpoolWatch {
    /// Starts the thread. What is in the spool before is not looked at as news.
    pub(crate) fn start(state: PathBuf, mailbox: Mailbox<Event>) -> SpoolWatch {
        let (jobs, waiting) = mpsc::channel();
        let spawned = std::thread::Builder::new()
            .name("spool-watch".to_owned())
            .spawn(move || Watcher { state, mailbox, reader: None, seen: None, version: 0 }.run(&waiting));
        if let Err(error) = spawned {
            tracing::error!("other observers' acts can't be read: {error}");
        }
        SpoolWatch { jobs }
    }

    /// Begins or stops to look for acts of other observers.
    pub(crate) fn watch(&self, on: bool) {
        // Without the thread, what it would explain stays unknown.
        let _ = self.jobs.send(Job::Watch(on));
    }

    /// Looks up texts whose writers are known and that may have become this one, the likeliest first.
    pub(crate) fn remember(&self, path: String, text: String) -> oneshot::Receiver<Vec<Snapshot>> {
        let (reply, receiver) = oneshot::channel();
        let _ = self.jobs.send(Job::Remember { path, text, reply });
        receiver
    }
}

struct Watcher {
    state: PathBuf,
    mailbox: Mailbox<Event>,
    reader: Option<Reader>,
    /// The last row that was looked at.
    seen: Option<i64>,
    version: i64,
}

impl Watcher {
    fn run(mut self, jobs: &Receiver<Job>) {
        // The first look only finds where the news begin.
        self.news();
        let mut watching = false;
        loop {
            let job = if watching {
                jobs.recv_timeout(POLL)
            } else {
                jobs.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            match job {
                Ok(Job::Watch(on)) => watching = on,
                Ok(Job::Remember { path, text, reply }) => {
                    // Whoever asked may have gone on without it.
                    let _ = reply.send(self.remember(&path, &text));
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if watching {
                let acts = self.news();
                if !acts.is_empty() {
                    self.mailbox.push_always(Event::Acts(acts));
                }
            }
        }
    }

    fn remember(&mut self, path: &str, text: &str) -> Vec<Snapshot> {
        let found = self.with_reader(|reader| {
            Ok([reader.latest_snapshot(path)?, reader.snapshot_by_text(&text_id(text.as_bytes()))?])
        });
        found
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|stored| {
                let text = String::from_utf8(stored.text?).ok()?;
                let spans = Spans::from_json(&stored.spans_json?, text.len()).ok()?;
                Some(Snapshot { text, spans })
            })
            .collect()
    }

    fn news(&mut self) -> Vec<Act> {
        self.open();
        let (seen, version) = (self.seen, self.version);
        let read = self.with_reader(|reader| {
            let now = reader.data_version()?;
            let Some(mut last) = seen else { return Ok((reader.last_rowid()?, now, Vec::new())) };
            let mut acts = Vec::new();
            if now == version {
                return Ok((last, now, acts));
            }
            loop {
                let page = reader.events_after(last, PAGE)?;
                let Some(end) = page.last() else { break };
                last = end.rowid;
                acts.extend(page.iter().filter_map(act));
                if page.len() < PAGE {
                    break;
                }
            }
            Ok((last, now, acts))
        });
        match read {
            Some((last, version, acts)) => {
                self.seen = Some(last);
                self.version = version;
                acts
            }
            None => {
                // No spool yet: whatever will be in it is news.
                self.seen.get_or_insert(0);
                self.version = -1;
                Vec::new()
            }
        }
    }

    fn open(&mut self) {
        if self.reader.is_some() {
            return;
        }
        match Reader::open(&self.state) {
            Ok(reader) => {
                self.reader = Some(reader);
                self.version = -1;
            }
            Err(error) => tracing::debug!("the spool can't be read yet: {error}"),
        }
    }

    fn with_reader<T>(&mut self, read: impl FnOnce(&Reader) -> Result<T, SpoolError>) -> Option<T> {
        self.open();
        match read(self.reader.as_ref()?) {
            Ok(value) => Some(value),
            Err(error) => {
                tracing::warn!("the spool can't be read: {error}");
                self.reader = None;
                None
            }
        }
    }
}

fn act(stored: &Stored) -> Option<Act> {
    let header = stored.bytes.header().ok()?;
    let payload = stored.bytes.payload().ok()?;
    let (contribution, act, place, entered) = match &payload {
        Payload::SuggestionAccepted(it) => (&it.contribution, it.act, &it.place, &it.entered),
        // What was only inferred claims nothing.
        Payload::EditApplied(it) if it.how != How::Inferred => (&it.contribution, 1, &it.place, &it.entered),
        _ => return None,
    };
    if entered.is_empty() {
        return None;
    }
    let acceptance = Acceptance {
        contribution: ContributionId::new(contribution),
        act,
        uri: place.uri.clone()?,
        entered: entered.clone(),
    };
    let mut known = None;
    facts::add(&mut known, header.time, &payload);
    Some(Act { acceptance, facts: known? })
}
