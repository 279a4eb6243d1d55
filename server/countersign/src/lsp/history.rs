//! The thread that finds out whose a text is that no editor of this session saw being written: a
//! document as it was opened, or what came with a reload. It asks what is on record, and whether the
//! text is what stands on the disk.
//!
//! It must never hold up the actor: a question comes with its text, and the answer goes into the
//! mailbox when it is there. An agent's own record may come after the editor's reload, so a question
//! is asked again while there is news.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use countersign_event::digest::git_blob;
use countersign_event::{Payload, Timestamp};
use countersign_provenance::attribution::Attribution;
use countersign_provenance::carry::{self, Known, Tier};
use countersign_provenance::session::{Answer, Disk, Past, Retained};
use countersign_provenance::spans::{ContributionId, Origin};
use countersign_provenance::text::Text;
use countersign_spool::{Reader, SpoolError};
use serde::Deserialize;

use super::commits::Commits;
use super::disk::{self, Look, Looks, Stamp};
use super::event::Event;
use super::mailbox::Mailbox;
use crate::git::state::{Layout, git_blob_sha256, written};
use crate::git::{attribute, settle};
use crate::recorder::{file_of_uri, snapshot_path};
use crate::shell::{Shell, now};

/// How long a question is asked again when there is news.
const NEWS_WITHIN: Duration = Duration::from_secs(5);
/// How often news are looked for while a question is open.
const POLL: Duration = Duration::from_millis(25);
/// An editor that writes its buffer says so. When it has not said so for this long and the disk holds
/// the same text, somebody else wrote it.
const OUTSIDE_AFTER: Duration = Duration::from_millis(500);
/// So many questions of one document are open at once; the oldest are given up.
const OPEN_MAX: usize = 8;
/// A contribution is new in this text while it is no older.
const NEW_MS: i64 = 60_000;

/// A text to find the writers of.
pub(crate) struct Asked {
    /// The document.
    pub(crate) uri: String,
    /// Which question it is.
    pub(crate) question: u64,
    /// The text.
    pub(crate) text: Text,
    /// Whether it came by a change, not by opening.
    pub(crate) is_change: bool,
    /// Whether a person typed it, unless it was a reload.
    pub(crate) is_typed: bool,
}

pub(super) enum Job {
    /// A question, and the file's stamp where that held the text when the question came.
    Ask(Asked, Option<Stamp>),
    /// The editor wrote a document; the stamp of what it wrote, unless somebody wrote over it at once.
    Saved(String, Option<Stamp>),
    Heads(Vec<String>),
}

/// A handle to the thread.
pub(crate) struct History {
    jobs: Sender<Job>,
    looks: Looks,
}

impl History {
    /// Starts the thread. Answers go into `mailbox`.
    pub(crate) fn start(shell: Shell, mailbox: Mailbox<Event>) -> History {
        let (jobs, waiting) = mpsc::channel();
        let looks = Looks::start(jobs.clone(), mailbox.clone());
        let thread =
            Thread { shell, mailbox, reader: None, version: -1, open: Vec::new(), commits: Commits::default() };
        let spawned = std::thread::Builder::new().name("history".to_owned()).spawn(move || thread.run(&waiting));
        if let Err(error) = spawned {
            tracing::error!("nobody knows who wrote the opened texts: {error}");
        }
        History { jobs, looks }
    }

    /// Asks whose a text is.
    pub(crate) fn ask(&self, asked: Asked) {
        if asked.is_change {
            return self.looks.look(Look::Changed(asked));
        }
        // Without the thread, what it would tell stays unknown.
        let _ = self.jobs.send(Job::Ask(asked, None));
    }

    /// Takes note that a document's text is its file's: it was just read, or written.
    pub(crate) fn is_file(&self, uri: &str, text: &Text, is_written: bool) {
        self.looks.look(Look::Same { uri: uri.to_owned(), text: text.clone(), is_written });
    }

    /// Takes note that a document was closed.
    pub(crate) fn closed(&self, uri: &str) {
        self.looks.look(Look::Closed(uri.to_owned()));
    }

    /// Looks whether HEAD moved where these documents are.
    pub(crate) fn look_at_heads(&self, uris: Vec<String>) {
        let _ = self.jobs.send(Job::Heads(uris));
    }
}

struct Thread {
    shell: Shell,
    mailbox: Mailbox<Event>,
    reader: Option<Reader>,
    version: i64,
    open: Vec<Open>,
    commits: Commits,
}

/// A question that may still be answered, or answered better.
struct Open {
    asked: Asked,
    /// Under which names it may have been seen.
    paths: Vec<String>,
    /// How git would name the text, in either format of its objects.
    blobs: [String; 2],
    since: Instant,
    is_answered: bool,
    /// Whether it was told that somebody looked.
    is_looked_up: bool,
    /// Whether this very text is on record.
    is_exact: bool,
    /// The file's stamp where that held the text when it came.
    held: Option<Stamp>,
    /// The stamp of what the editor wrote next, once it wrote.
    saved: Option<Option<Stamp>>,
    /// Whether the text came from the disk, once that is judged.
    disk: Option<Disk>,
}

impl Open {
    fn judge(&self) -> Disk {
        match (&self.held, &self.saved) {
            // Written twice, and once before the editor wrote.
            (Some(held), Some(Some(saved))) if held != saved => Disk::HeldBefore,
            (_, Some(_)) => Disk::Silent,
            (Some(_), None) => Disk::Holds,
            (None, None) if disk::is_on_disk(&self.asked.uri, &self.asked.text) => Disk::Holds,
            (None, None) => Disk::Silent,
        }
    }
}

/// What is on record about a text.
struct Found {
    attribution: Attribution,
    retained: Vec<Retained>,
}

impl Thread {
    fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            let job = match self.open.is_empty() {
                true => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => jobs.recv_timeout(POLL),
            };
            match job {
                Ok(Job::Ask(asked, held)) => {
                    let mut paths = vec![snapshot_path(&asked.uri)];
                    paths.extend(file_of_uri(&asked.uri).map(|file| written(&file).to_string_lossy().into_owned()));
                    paths.dedup();
                    let text = asked.text.to_string();
                    let blobs = [git_blob(text.as_bytes()), git_blob_sha256(text.as_bytes())];
                    let open = Open {
                        paths,
                        blobs,
                        asked,
                        since: Instant::now(),
                        is_answered: false,
                        is_looked_up: false,
                        is_exact: false,
                        held,
                        saved: None,
                        disk: None,
                    };
                    let same = |other: &Open| other.asked.uri == open.asked.uri;
                    if self.open.iter().filter(|other| same(other)).count() == OPEN_MAX
                        && let Some(oldest) = self.open.iter().position(same)
                    {
                        let oldest = self.open.remove(oldest);
                        self.mailbox.push_always(Event::LookedUp(oldest.asked.uri, oldest.asked.question, true));
                    }
                    self.open.push(open);
                    self.look(true);
                }
                Ok(Job::Saved(uri, stamp)) => {
                    for open in self.open.iter_mut().filter(|open| open.asked.uri == uri && open.saved.is_none()) {
                        open.saved = Some(stamp.clone());
                        // What the file holds says less now than it did.
                        open.disk = open.disk.filter(|disk| *disk != Disk::Holds);
                    }
                    self.look(false);
                }
                Ok(Job::Heads(uris)) => {
                    for moved in self.commits.look(uris) {
                        for (uri, text) in moved.texts {
                            self.mailbox.push_always(Event::Committed(uri, text));
                        }
                        self.settle(moved.layout);
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.look(false),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Brings the attributions of a repository up to date, beside everything else.
    fn settle(&self, layout: Layout) {
        let shell = self.shell.clone();
        let settle = move || {
            if let Err(error) = settle::settle(&shell, &layout).and_then(|_| settle::tidy(&shell, &layout)) {
                tracing::warn!("the commits of {} are not settled: {error}", layout.worktree.display());
            }
        };
        if let Err(error) = std::thread::Builder::new().name("settle".to_owned()).spawn(settle) {
            tracing::warn!("commits are not settled: {error}");
        }
    }

    /// Looks at every open question again; at the record only where it may have changed.
    fn look(&mut self, is_new: bool) {
        let version = self.with_reader(Reader::data_version).unwrap_or(-1);
        let is_news = is_new || version != self.version;
        self.version = version;
        let mut open = std::mem::take(&mut self.open);
        open.retain_mut(|open| self.look_at(open, is_news));
        self.open.append(&mut open);
    }

    /// Says whether the question stays open.
    fn look_at(&mut self, open: &mut Open, is_news: bool) -> bool {
        let is_change = open.asked.is_change;
        let is_time = open.saved.is_some() || open.since.elapsed() >= OUTSIDE_AFTER;
        let is_due = is_change && open.disk.is_none() && is_time;
        if is_due {
            open.disk = Some(open.judge());
        }
        let turned_outside = is_due && open.disk != Some(Disk::Silent);
        if turned_outside || (is_news && !open.is_exact) {
            open.is_exact = open.is_exact || self.is_on_record(open);
            if open.is_exact || turned_outside || (!is_change && !open.is_answered) {
                let found = self.find(open);
                self.answer(open, found);
                open.is_answered = true;
            }
        }
        let is_looked_up = if is_change { open.disk.is_some() } else { open.is_answered };
        if is_looked_up && !open.is_looked_up {
            open.is_looked_up = true;
            self.mailbox.push_always(Event::LookedUp(open.asked.uri.clone(), open.asked.question, false));
        }
        // What is on record itself can't be found better, once it is known whether it was a reload.
        let is_settled = open.is_exact && (!is_change || open.disk.is_some());
        !is_settled && open.since.elapsed() < NEWS_WITHIN
    }

    fn answer(&mut self, open: &Open, found: Option<Found>) {
        let disk = open.disk.unwrap_or(Disk::Silent);
        let found = found.unwrap_or_else(|| Found {
            attribution: Attribution::new(open.asked.text.len_bytes(), Origin::Unknown),
            retained: Vec::new(),
        });
        let past = self.past(&found, open.is_exact && disk != Disk::Silent);
        self.mailbox.push_always(Event::Known(Box::new(Answer {
            uri: open.asked.uri.clone(),
            question: open.asked.question,
            attribution: found.attribution,
            disk,
            past,
        })));
    }

    /// Says whether the very text was seen at this path before.
    fn is_on_record(&mut self, open: &Open) -> bool {
        let seen = self.with_reader(|reader| {
            let names = [reader.blob_key(&open.blobs[0])?, reader.blob_key(&open.blobs[1])?];
            let mut seen = false;
            for path in &open.paths {
                seen |= reader.was_seen(path, &names)?;
            }
            Ok(seen)
        });
        seen.unwrap_or(false)
    }

    /// Finds out who wrote the text: by everything that was seen of the file and by git's history, else by
    /// what an editor saved.
    fn find(&mut self, open: &Open) -> Option<Found> {
        let text = open.asked.text.to_string();
        let mut found = match file_of_uri(&open.asked.uri) {
            Some(file) => {
                let attribution = self.with_reader(|reader| attribute::of_text(reader, &written(&file), &text))?;
                Found { attribution, retained: Vec::new() }
            }
            None => self.saved(open, &text)?,
        };
        for path in &open.paths {
            let latest = self.with_reader(|reader| reader.latest_snapshot(path)).flatten();
            found.retained.extend(latest.and_then(|it| it.spans_json).map(|json| retained(&json)).unwrap_or_default());
        }
        Some(found)
    }

    /// Carries from what an editor saved of a document that is no file.
    fn saved(&mut self, open: &Open, now: &str) -> Option<Found> {
        let latest = self.with_reader(|reader| reader.latest_snapshot(&open.paths[0]))??;
        let text = String::from_utf8(latest.text?).ok()?;
        let attribution = Attribution::from_json(&latest.spans_json?, &text).ok()?;
        let known = Known { text: &text, attribution: &attribution, tier: Tier::Strong };
        let attribution = carry::carry(&[known], now, &Origin::Unknown, None);
        Some(Found { attribution, retained: Vec::new() })
    }

    /// Tells what the trail knows of the contributions in a text.
    fn past(&mut self, found: &Found, may_be_new: bool) -> Vec<Past> {
        let mut past: Vec<Past> = Vec::new();
        for (_, origin) in found.attribution.origins.iter() {
            let Origin::Ai(id) = origin else { continue };
            if past.iter().all(|past| past.contribution != *id) {
                let retained = found.retained.iter().find(|it| it.contribution == id.as_str());
                past.extend(self.past_of(id, retained, may_be_new));
            }
        }
        past
    }

    fn past_of(&mut self, id: &ContributionId, retained: Option<&Retained>, may_be_new: bool) -> Option<Past> {
        let events = self.with_reader(|reader| reader.by_subject(id.as_str())).unwrap_or_default();
        let (mut since, mut accepted_bytes, mut measured_bytes) = (None, None, None);
        for event in &events {
            let (Ok(header), Ok(payload)) = (event.bytes.header(), event.bytes.payload()) else { continue };
            match payload {
                Payload::SuggestionAccepted(_) | Payload::EditApplied(_) => since = since.or(Some(header.time)),
                Payload::ContributionMeasured(measured) => {
                    accepted_bytes = Some(measured.accepted_bytes);
                    measured_bytes = Some(measured.surviving_bytes);
                }
                _ => {}
            }
        }
        let since: Timestamp = retained.map(|it| it.since).or(since)?;
        let is_new = may_be_new && measured_bytes.is_none() && now().millis_since(since) < NEW_MS;
        Some(Past {
            contribution: id.clone(),
            since,
            accepted: retained.filter(|it| !it.is_first_seen).map(|it| it.accepted.clone()),
            accepted_bytes: retained.map(|it| it.accepted_bytes).or(accepted_bytes),
            measured_bytes,
            is_new,
        })
    }

    fn with_reader<T>(&mut self, read: impl FnOnce(&Reader) -> Result<T, SpoolError>) -> Option<T> {
        if self.reader.is_none() {
            self.reader = Reader::open(&self.shell.paths.state)
                .inspect_err(|error| tracing::debug!("no spool yet: {error}"))
                .ok();
        }
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

/// What an editor stored beside the writers, so that a later session goes on measuring.
fn retained(spans_json: &str) -> Vec<Retained> {
    #[derive(Deserialize)]
    struct Beside {
        #[serde(default)]
        retained: Vec<Retained>,
    }
    serde_json::from_str::<Beside>(spans_json).map(|beside| beside.retained).unwrap_or_default()
}
