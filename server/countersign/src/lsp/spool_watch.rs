//! The thread that reads the spool for the actor: what other observers saw on the screen, and what they
//! saw entering.
//!
//! It polls `data_version` only while an insertion waits to be explained.

use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use countersign_event::{How, Payload};
use countersign_provenance::session::{Acceptance, Offer};
use countersign_provenance::spans::ContributionId;
use countersign_spool::{Reader, SpoolError, Stored};

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

/// What is known of a suggestion that nobody took yet.
#[derive(Debug, Clone)]
pub(crate) enum Offered {
    /// It is on the screen.
    Shown(Offer),
    /// It is not any more.
    Gone(ContributionId),
}

/// What other observers recorded.
#[derive(Default)]
struct News {
    acts: Vec<Act>,
    offers: Vec<Offered>,
}

/// A handle to the thread.
pub(crate) struct SpoolWatch {
    watch: Sender<bool>,
}

impl SpoolWatch {
    /// Starts the thread. What is in the spool before is not looked at as news.
    pub(crate) fn start(state: PathBuf, mailbox: Mailbox<Event>) -> SpoolWatch {
        let (watch, wanted) = mpsc::channel();
        let spawned = std::thread::Builder::new()
            .name("spool-watch".to_owned())
            .spawn(move || Watcher { state, mailbox, reader: None, seen: None, version: 0 }.run(&wanted));
        if let Err(error) = spawned {
            tracing::error!("other observers' acts can't be read: {error}");
        }
        SpoolWatch { watch }
    }

    /// Begins or stops to look for news of other observers.
    pub(crate) fn watch(&self, on: bool) {
        // Without the thread, what it would explain stays unknown.
        let _ = self.watch.send(on);
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
    fn run(mut self, wanted: &Receiver<bool>) {
        // The first look only finds where the news begin.
        self.news();
        let mut watching = false;
        loop {
            let change = if watching {
                wanted.recv_timeout(POLL)
            } else {
                wanted.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            match change {
                Ok(on) => watching = on,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if watching {
                let News { acts, offers } = self.news();
                if !offers.is_empty() {
                    self.mailbox.push_always(Event::Offers(offers));
                }
                if !acts.is_empty() {
                    self.mailbox.push_always(Event::Acts(acts));
                }
            }
        }
    }

    fn news(&mut self) -> News {
        self.open();
        let (seen, version) = (self.seen, self.version);
        let read = self.with_reader(|reader| {
            let now = reader.data_version()?;
            let Some(mut last) = seen else { return Ok((reader.last_rowid()?, now, News::default())) };
            let mut news = News::default();
            if now == version {
                return Ok((last, now, news));
            }
            loop {
                let page = reader.events_after(last, PAGE)?;
                let Some(end) = page.last() else { break };
                last = end.rowid;
                news.acts.extend(page.iter().filter_map(act));
                news.offers.extend(page.iter().filter_map(offered));
                if page.len() < PAGE {
                    break;
                }
            }
            Ok((last, now, news))
        });
        match read {
            Some((last, version, news)) => {
                self.seen = Some(last);
                self.version = version;
                news
            }
            None => {
                // No spool yet: whatever will be in it is news.
                self.seen.get_or_insert(0);
                self.version = -1;
                News::default()
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

fn offered(stored: &Stored) -> Option<Offered> {
    match stored.bytes.payload().ok()? {
        Payload::SuggestionOffered(it) => Some(Offered::Shown(Offer {
            contribution: ContributionId::new(&it.contribution),
            uri: it.place.uri?,
            digest: it.digest?,
            since: stored.bytes.header().ok()?.time,
        })),
        Payload::SuggestionRejected(it) => Some(Offered::Gone(ContributionId::new(&it.contribution))),
        _ => None,
    }
}
