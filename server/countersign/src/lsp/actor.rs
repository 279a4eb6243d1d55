//! The one owner of all documents. It takes events one at a time, in the order in which they happened,
//! asks the pure session what follows, and runs what comes back: records, diagnostics, looks at the
//! spool.
//!
//! It must never wait for the disk, for git or for the editor's answer. What takes time runs in threads
//! that answer through the same mailbox.

mod answers;
mod documents;
mod ending;
mod hints;
mod troubles;

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use countersign_event::facts::{self as event_facts, IntegrationPath, PathKind, Place, Transport};
use countersign_event::payload::capture;
use countersign_event::{Fact, How, Payload};
use countersign_provenance::session::{self, Acceptance, Session};
use countersign_provenance::text::{Change, Encoding, Text};
use countersign_risk::Language;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::client::Client;
use super::diagnostics::{Notice, Shown};
use super::event::{Ending, Event, Known, Lost};
use super::hello::Hello;
use super::history::History;
use super::mailbox::{Inbox, Mailbox};
use super::protocol::{Facts, Replay, Status, Suggestion};
use super::replay_watch::ReplayWatch;
use super::rules::Rules;
use super::spool_watch::{Act, Offered, SpoolWatch};
use super::suggestions::{Setting, Suggestions};
use super::{sys, wire};
use crate::recorder::{Record, Recorder};
use crate::replay::{self, Background};
use crate::shell::{Shell, now};
use troubles::Trouble;

/// How long the editor may take to answer a question of ours.
const PATIENCE: Duration = Duration::from_secs(5);
/// What was inserted a moment before the end may still be explained by another observer; so long the
/// end waits for that, and only then.
const LAST_WORDS: Duration = Duration::from_millis(300);
/// How long the end may take.
const FAREWELL: Duration = Duration::from_secs(2);
/// A change of more than this is handled aside from the reader.
const LONG_BYTES: usize = 16 << 10;
const LONG_CHANGES: usize = 100;
/// How often time passes while an insertion waits to be explained, and otherwise.
const TICK_BUSY: Duration = Duration::from_millis(250);
const TICK_IDLE: Duration = Duration::from_secs(5);
/// So many contributions are remembered with their facts.
const KNOWN_MAX: usize = 10_000;

/// The actor. [`Actor::run`] ends with the process.
pub(crate) struct Actor {
    shell: Shell,
    mailbox: Mailbox<Event>,
    client: Client,
    hello: Option<Hello>,
    initialized: bool,
    hints: bool,
    hint_delay_ms: u64,
    started: Instant,
    session_id: String,
    house: Option<House>,
    documents: HashMap<String, Document>,
    replay: Option<Background>,
    replay_watch: Option<ReplayWatch>,
    replay_stands: Option<Replay>,
    suggestions: Suggestions,
    known: HashMap<String, Known>,
    raised: HashSet<(String, String)>,
    troubles: HashMap<(String, Option<String>), Trouble>,
    rules: Rules,
    background: JoinSet<()>,
    polling: bool,
    look_again: Option<Instant>,
    heads_looked_at: Instant,
    last_status: Option<Status>,
    ending: Option<(Ending, Instant)>,
}

/// What is there once we may touch the disk: after the answer to `initialize`.
struct House {
    recorder: Recorder,
    session: Session,
    watch: SpoolWatch,
    history: History,
}

/// What an open document has beside its text.
struct Document {
    version: i64,
    language: Language,
    revision: u64,
    changed_ms: u64,
    /// The line a person is typing in.
    typed: Option<u32>,
    /// Somebody asked who wrote it, and wants to know when that changes.
    is_asked_about: bool,
    current: Vec<Notice>,
    shown: Shown,
}

impl Actor {
    /// Makes the actor of this process. Touches nothing yet.
    pub(crate) fn new(shell: Shell, mailbox: Mailbox<Event>, client: Client) -> Actor {
        Actor {
            hints: shell.config.hints.value,
            hint_delay_ms: shell.config.hint_delay_ms.value,
            rules: Rules::new(mailbox.clone()),
            shell,
            mailbox,
            client,
            hello: None,
            initialized: false,
            started: Instant::now(),
            session_id: uuid::Uuid::now_v7().to_string(),
            house: None,
            documents: HashMap::new(),
            replay: None,
            replay_watch: None,
            replay_stands: None,
            suggestions: Suggestions::default(),
            known: HashMap::new(),
            raised: HashSet::new(),
            troubles: HashMap::new(),
            background: JoinSet::new(),
            polling: false,
            look_again: None,
            heads_looked_at: Instant::now(),
            last_status: None,
            ending: None,
        }
    }

    /// Handles events until the end.
    pub(crate) async fn run(mut self, mut inbox: Inbox<Event>) {
        loop {
            if let Some((_, until)) = self.ending
                && (!self.polling || Instant::now() >= until)
                && let Some((ending, _)) = self.ending.take()
            {
                return self.end(ending).await;
            }
            let wait = self.wait();
            let event = match tokio::time::timeout(wait, inbox.next()).await {
                Ok(Some(event)) => event,
                Ok(None) => Event::End(Ending { reason: "end_of_input", code: 1 }),
                Err(_) => Event::Tick,
            };
            let event = match event {
                Event::End(ending) => {
                    self.guard(Actor::close_all);
                    self.ending.get_or_insert((ending, Instant::now() + LAST_WORDS));
                    continue;
                }
                event => event,
            };
            if is_long(&event) {
                self.guard(|actor| tokio::task::block_in_place(|| actor.handle(event)));
            } else {
                self.guard(|actor| actor.handle(event));
            }
        }
    }

    /// A panic costs what was being handled; what the documents are is not known after it.
    fn guard(&mut self, handle: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| handle(self))).is_err() {
            let lost = Lost { uri: None, opening: false, reason: "internal_error" };
            if catch_unwind(AssertUnwindSafe(|| self.lost(lost))).is_err() {
                tracing::error!("the documents are beyond repair until they are opened again");
                self.house = None;
            }
        }
    }

    fn wait(&self) -> Duration {
        if let Some((_, until)) = self.ending {
            return until.saturating_duration_since(Instant::now());
        }
        let tick = match (self.polling, self.documents.is_empty()) {
            (true, _) => TICK_BUSY,
            (false, false) => TICK_IDLE,
            (false, true) => Duration::MAX,
        };
        self.look_again.map_or(tick, |at| tick.min(at.saturating_duration_since(Instant::now())))
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Hello(hello) => self.meet(hello),
            Event::Initialized => {
                self.initialized = true;
                self.house();
                self.replay.get_or_insert_with(|| replay::start_background(&self.shell));
                self.replay_watch = ReplayWatch::start(&self.shell, self.mailbox.clone());
                self.configure();
            }
            Event::Configure => self.configure(),
            Event::Configured(settings) => self.settings(&settings),
            Event::Opened(document) => self.opened(document),
            Event::Changed(change) => self.changed(change),
            Event::Saved(uri) => self.saved(uri),
            Event::Closed(uri) => self.closed(uri),
            Event::Lost(lost) => self.lost(lost),
            Event::Degraded(reason) => self.trouble(reason, None, None),
            Event::Suggestion(suggestion) => self.suggestion(*suggestion),
            Event::Ask(ask) => self.answer(ask),
            Event::Acts(acts) => self.acts(acts),
            Event::Offers(offers) => self.offers(offers),
            Event::Known(answer) => self.session(session::Event::Known(*answer)),
            Event::LookedUp(uri, question, is_over) => {
                self.session(session::Event::LookedUp { uri, question, is_over });
            }
            Event::Committed(uri, text) => self.session(session::Event::Committed { uri, text }),
            Event::Findings(findings) => self.findings(*findings),
            Event::Tick => self.tick(),
            Event::Replay(stands) => {
                self.replay_stands = Some(stands);
                self.tell_status();
            }
            Event::End(_) => unreachable!("taken by run"),
        }
    }

    // Beginning

    fn meet(&mut self, hello: Hello) {
        if let Some(pid) = hello.process_id {
            let mailbox = self.mailbox.clone();
            sys::watch(pid, move || {
                mailbox.push_always(Event::End(Ending { reason: "parent_gone", code: 1 }));
                super::exit_after(FAREWELL * 2, 1);
            });
        }
        let options = hello.options.clone();
        self.hello = Some(hello);
        self.settings(&options);
    }

    /// Opens the house: keys, recorder, spool. Never before the answer to `initialize` is on its way.
    fn house(&mut self) -> &mut House {
        let (shell, mailbox) = (&self.shell, &self.mailbox);
        let is_new = self.house.is_none();
        let house = self.house.get_or_insert_with(|| {
            let recorder = tokio::task::block_in_place(|| Recorder::start(shell, "lsp"));
            let session = Session::new(recorder.digest_key());
            let watch = SpoolWatch::start(shell.paths.state.clone(), mailbox.clone());
            House { recorder, session, watch, history: History::start(shell.clone(), mailbox.clone()) }
        });
        if is_new {
            let started = capture::Started {
                how: How::Observed,
                path: Fact::observed(path(&self.session_id)),
                countersign: env!("CARGO_PKG_VERSION").to_owned(),
                client: self.hello.as_ref().and_then(|hello| hello.client.clone()),
            };
            house.recorder.record(Record::light(now(), "countersign-lsp", Payload::CaptureStarted(started)));
        }
        house
    }

    fn configure(&self) {
        if !self.hello.as_ref().is_some_and(|hello| hello.configuration) {
            return;
        }
        let (client, mailbox) = (self.client.clone(), self.mailbox.clone());
        tokio::spawn(async move {
            let items = json!({ "items": [{ "section": "countersign" }] });
            let Some(answer) = client.ask("workspace/configuration", items, PATIENCE).await else { return };
            if let Ok(Value::Array(mut settings)) = serde_json::from_str(answer.get())
                && !settings.is_empty()
            {
                mailbox.push_always(Event::Configured(settings.swap_remove(0)));
            }
        });
    }

    /// Takes the editor's settings; a value of the wrong type is skipped.
    fn settings(&mut self, settings: &Value) {
        if let Some(hints) = settings.get("hints").and_then(Value::as_bool) {
            self.hints = hints;
        }
        if let Some(delay) = settings.get("hintDelayMs").and_then(Value::as_u64) {
            self.hint_delay_ms = delay;
        }
        for uri in self.documents.keys().cloned().collect::<Vec<_>>() {
            self.show(&uri);
        }
    }

    fn record(&mut self, record: Record) {
        self.house().recorder.record(record);
    }

    fn tick(&mut self) {
        if !self.documents.is_empty() {
            self.session(session::Event::Tick);
            let measured: Vec<String> = self.house().session.measured().map(str::to_owned).collect();
            if !measured.is_empty() && self.heads_looked_at.elapsed() >= TICK_IDLE {
                self.heads_looked_at = Instant::now();
                self.house().history.look_at_heads(measured);
            }
        }
        self.counted_troubles(false);
        let unread = self.client.take_dropped();
        if unread > 0 {
            self.trouble("editor_does_not_read", Some(format!("{unread} messages")), None);
        }
        while self.background.try_join_next().is_some() {}
        if self.look_again.is_some_and(|at| at <= Instant::now()) {
            self.look_again = None;
            for uri in self.documents.keys().cloned().collect::<Vec<_>>() {
                self.show(&uri);
            }
        }
        self.tell_status();
    }

    // Suggestions and acts

    fn suggestion(&mut self, message: Suggestion) {
        if self.paused().is_some() {
            return;
        }
        let uri = message.text_document.uri.clone();
        let encoding = self.encoding();
        let house = self.house();
        let range = message.range.map(|range| match house.session.text(&uri) {
            Some(text) => {
                let convert = |position| {
                    text.byte_at(position, encoding).map_or(position, |byte| text.position(byte, Encoding::Utf16))
                };
                event_facts::Range { start: convert(range.start), end: convert(range.end) }
            }
            None => range,
        });
        let language = house.session.language(&uri).map(str::to_owned);
        let recorder = house.recorder.clone();
        let setting = Setting {
            now: now(),
            place: Place { uri: Some(uri.clone()), range, language, ..Place::default() },
            mint: &|| recorder.mint().to_string(),
            digest: &|text| recorder.entered_digest(text),
            session: &self.session_id,
        };
        let told = match self.suggestions.tell(message, &setting) {
            Ok(told) => told,
            Err(reason) => return self.trouble(reason, None, Some(uri)),
        };
        for record in told.records {
            recorder.record(record);
        }
        let (offered, withdrawn) = (told.offered, told.withdrawn);
        if let Some(offer) = offered {
            self.session(session::Event::Offered(offer));
        }
        if let Some(contribution) = withdrawn {
            self.session(session::Event::Withdrawn(contribution));
        }
        if let Some((act, facts)) = told.entered {
            self.entered(act, facts);
        }
    }

    fn offers(&mut self, offers: Vec<Offered>) {
        for offered in offers {
            match offered {
                Offered::Shown(offer) if self.house().session.follows(&offer.uri) => {
                    self.session(session::Event::Offered(offer));
                }
                Offered::Shown(_) => {}
                Offered::Gone(contribution) => self.session(session::Event::Withdrawn(contribution)),
            }
        }
    }

    fn acts(&mut self, acts: Vec<Act>) {
        for Act { acceptance, facts } in acts {
            if self.house().session.follows(&acceptance.uri) {
                self.entered(acceptance, facts);
            }
        }
    }

    fn entered(&mut self, acceptance: Acceptance, facts: Facts) {
        if self.known.len() > KNOWN_MAX {
            // They are all in the spool.
            self.known.clear();
        }
        self.known.entry(acceptance.contribution.as_str().to_owned()).or_default().facts = Some(facts);
        self.session(session::Event::Entered(acceptance));
    }

    fn encoding(&self) -> Encoding {
        self.hello.as_ref().map_or(Encoding::Utf16, |hello| hello.encoding)
    }

    fn clock_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Whether handling may take so long that the reader should go on in another thread meanwhile.
fn is_long(event: &Event) -> bool {
    match event {
        Event::Changed(change) => {
            let is_long = |change: &wire::ContentChange| change.range.is_none() || change.text.len() > LONG_BYTES;
            change.content_changes.len() > LONG_CHANGES || change.content_changes.iter().any(is_long)
        }
        Event::Opened(_) | Event::Saved(_) | Event::Closed(_) | Event::Lost(_) => true,
        Event::Known(_) | Event::Committed(..) => true,
        _ => false,
    }
}

/// The path we watch ourselves: the buffers of an editor.
fn path(session: &str) -> IntegrationPath {
    let mut path = IntegrationPath::new(PathKind::Ide, Transport::Edits);
    path.tool = Some("countersign-lsp".to_owned());
    path.version = Some(env!("CARGO_PKG_VERSION").to_owned());
    path.session = Some(session.to_owned());
    path
}

/// Says in which line a person may be typing: one small change within a line.
fn typed_line(changes: &[Change]) -> Option<u32> {
    let [change] = changes else { return None };
    let range = change.range?;
    let small = change.text.len() <= 160 && !change.text.contains(['\n', '\r']);
    (small && range.start.line == range.end.line).then_some(range.start.line)
}

fn positions(text: &Text, bytes: std::ops::Range<usize>, encoding: Encoding) -> event_facts::Range {
    event_facts::Range { start: text.position(bytes.start, encoding), end: text.position(bytes.end, encoding) }
}

/// Versions are 32 bits on the wire.
fn to_i32(version: i64) -> i32 {
    i32::try_from(version).unwrap_or(if version > 0 { i32::MAX } else { i32::MIN })
}
