//! The one owner of all documents. It takes events one at a time, in the order in which they happened,
//! asks the pure session what follows, and runs what comes back: records, diagnostics, looks at the
//! spool.
//!
//! It must never wait for the disk, for git or for the editor's answer. What takes time runs in threads
//! that answer through the same mailbox.

mod answers;
mod hints;

use std::collections::{HashMap, HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use countersign_event::facts::{self as event_facts, IntegrationPath, PathKind, Place, Transport};
use countersign_event::payload::capture;
use countersign_event::{Fact, How, Payload};
use countersign_provenance::session::{self, Acceptance, Effect, Session, Snapshot};
use countersign_provenance::spans::Spans;
use countersign_provenance::text::{Change, Encoding, Text};
use countersign_risk::Language;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::client::Client;
use super::diagnostics::{Notice, Shown};
use super::effects;
use super::event::{Ending, Event, Known, Lost};
use super::hello::Hello;
use super::mailbox::{Inbox, Mailbox};
use super::protocol::{Facts, Status, Suggestion};
use super::rules::Rules;
use super::spool_watch::{Act, SpoolWatch};
use super::suggestions::{Setting, Suggestions};
use super::{sys, wire};
use crate::recorder::{Record, Recorder, SavedText, snapshot_path};
use crate::replay::{self, Background};
use crate::shell::{Shell, now};

/// How long an opened document waits for what the spool knows of it.
const REMEMBER: Duration = Duration::from_millis(250);
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
/// One trouble with one document is recorded at most this often; in between it is counted.
const AGAIN: Duration = Duration::from_secs(10);
/// So many contributions are remembered with their facts.
const KNOWN_MAX: usize = 10_000;
/// So many closed documents are remembered, and none longer than this: an editor that reads a file anew
/// closes and opens it.
const CLOSED_MAX: usize = 32;
const CLOSED_BYTES_MAX: usize = 4 << 20;

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
    closed: VecDeque<(String, Text, Spans)>,
    replay: Option<Background>,
    suggestions: Suggestions,
    known: HashMap<String, Known>,
    raised: HashSet<(String, String)>,
    troubles: HashMap<(String, Option<String>), Trouble>,
    rules: Rules,
    background: JoinSet<()>,
    polling: bool,
    look_again: Option<Instant>,
    last_status: Option<Status>,
    ending: Option<(Ending, Instant)>,
}

/// What is there once we may touch the disk: after the answer to `initialize`.
struct House {
    recorder: Recorder,
    session: Session,
    watch: SpoolWatch,
}

/// What an open document has beside its text.
struct Document {
    version: i64,
    language: Language,
    revision: u64,
    changed_ms: u64,
    /// The line a person is typing in.
    typed: Option<u32>,
    current: Vec<Notice>,
    shown: Shown,
}

/// A trouble that was recorded, and how often it came since.
struct Trouble {
    recorded: Instant,
    detail: Option<String>,
    count: u64,
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
            closed: VecDeque::new(),
            replay: None,
            suggestions: Suggestions::default(),
            known: HashMap::new(),
            raised: HashSet::new(),
            troubles: HashMap::new(),
            background: JoinSet::new(),
            polling: false,
            look_again: None,
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
                Event::Opened(document) => {
                    let known = self.remember(&document).await;
                    self.guard(|actor| tokio::task::block_in_place(|| actor.opened(document, known)));
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
                self.configure();
            }
            Event::Configure => self.configure(),
            Event::Configured(settings) => self.settings(&settings),
            Event::Changed(change) => self.changed(change),
            Event::Saved(uri) => self.session(session::Event::Saved { uri }),
            Event::Closed(uri) => self.closed(uri),
            Event::Lost(lost) => self.lost(lost),
            Event::Degraded(reason) => self.trouble(reason, None, None),
            Event::Suggestion(suggestion) => self.suggestion(*suggestion),
            Event::Ask(ask) => self.answer(ask),
            Event::Acts(acts) => self.acts(acts),
            Event::Findings(findings) => self.findings(*findings),
            Event::Tick => self.tick(),
            Event::Opened(_) | Event::End(_) => unreachable!("taken by run"),
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
            let recorder = tokio::task::block_in_place(|| Recorder::start(shell));
            let session = Session::new(recorder.digest_key());
            House { recorder, session, watch: SpoolWatch::start(shell.paths.state.clone(), mailbox.clone()) }
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

    // Documents

    async fn remember(&mut self, document: &wire::OpenedDocument) -> Vec<Snapshot> {
        let house = self.house();
        let asked = house.watch.remember(snapshot_path(&document.uri), document.text.clone());
        let stored = tokio::time::timeout(REMEMBER, asked).await.ok().and_then(Result::ok).unwrap_or_default();
        let closed =
            self.closed.iter().position(|(uri, ..)| *uri == document.uri).and_then(|at| self.closed.remove(at));
        let closed = closed.map(|(_, text, spans)| Snapshot { text: text.to_string(), spans });
        closed.into_iter().chain(stored).collect()
    }

    fn opened(&mut self, document: wire::OpenedDocument, known: Vec<Snapshot>) {
        let wire::OpenedDocument { uri, language_id, version, text } = document;
        let language = match Language::from_id(&language_id) {
            Language::Other => Language::from_path(&uri),
            language => language,
        };
        let shown = self.documents.remove(&uri).map(|document| document.shown).unwrap_or_default();
        let changed_ms = self.clock_ms();
        self.documents.insert(
            uri.clone(),
            Document { version, language, revision: 0, changed_ms, typed: None, current: Vec::new(), shown },
        );
        let version = to_i32(version);
        self.session(session::Event::Opened { uri: uri.clone(), language: language_id, version, text, known });
        self.look(&uri);
    }

    fn changed(&mut self, change: wire::DidChange) {
        let uri = change.text_document.uri;
        let encoding = self.encoding();
        let changed_ms = self.clock_ms();
        let changes: Vec<Change> = change.content_changes.into_iter().map(Change::from).collect();
        let version = match self.documents.get_mut(&uri) {
            Some(document) => {
                document.version = change.text_document.version.unwrap_or(document.version + 1);
                document.revision += 1;
                document.changed_ms = changed_ms;
                document.typed = typed_line(&changes);
                document.version
            }
            None => 0,
        };
        self.session(session::Event::Changed { uri: uri.clone(), version: to_i32(version), changes, encoding });
        self.look(&uri);
    }

    fn closed(&mut self, uri: String) {
        if let Some(mut document) = self.documents.remove(&uri)
            && document.shown.clear()
        {
            self.client.notify("textDocument/publishDiagnostics", document.shown.publication(&uri, None, false));
        }
        let session = &self.house().session;
        if let (true, Some(text), Some(spans)) =
            (session.is_synchronised(&uri), session.text(&uri), session.spans(&uri))
            && text.len_bytes() <= CLOSED_BYTES_MAX
        {
            let closed = (uri.clone(), text.clone(), spans.clone());
            self.closed.push_back(closed);
            if self.closed.len() > CLOSED_MAX {
                self.closed.pop_front();
            }
        }
        self.session(session::Event::Closed { uri });
    }

    fn lost(&mut self, lost: Lost) {
        if let (Some(uri), true) = (&lost.uri, lost.opening) {
            // Its first text never came: it is open, and nothing is known of it until the next one.
            let (uri, text) = (uri.clone(), String::new());
            self.opened(
                wire::OpenedDocument { uri, language_id: String::new(), version: i64::from(i32::MIN), text },
                Vec::new(),
            );
        }
        let event = session::Event::Overflow { uri: lost.uri.clone() };
        let effects = self.house().session.handle(event, now());
        let mut is_told = false;
        for effect in effects {
            match effect {
                Effect::Degraded { detail, uri, .. } => {
                    is_told = true;
                    self.trouble(lost.reason, detail, uri);
                }
                effect => self.run_effect(effect),
            }
        }
        if !is_told {
            self.trouble(lost.reason, None, lost.uri);
        }
        self.tell_status();
    }

    /// Hands an event to the session and runs what follows.
    fn session(&mut self, event: session::Event) {
        let effects = self.house().session.handle(event, now());
        for effect in effects {
            self.run_effect(effect);
        }
    }

    fn run_effect(&mut self, effect: Effect) {
        let at = now();
        match effect {
            Effect::Measure(measurement) => {
                let known = self.known.entry(measurement.contribution.as_str().to_owned()).or_default();
                known.accepted_bytes = Some(measurement.accepted_bytes);
                let recorder = self.house().recorder.clone();
                self.background.spawn_blocking(move || recorder.record(effects::measured(&measurement, at)));
            }
            Effect::Evidence { contribution, act, uri, range } => {
                let record = effects::evidenced(&contribution, act, uri, range, path(&self.session_id), at);
                self.record(record);
            }
            Effect::BulkInsertion(bulk) => {
                let recorder = &self.house().recorder;
                let id = recorder.mint().to_string();
                recorder.record(effects::bulk_insertion(bulk, id));
            }
            Effect::Degraded { reason, detail, uri } => {
                self.trouble(reason, detail, uri);
                self.tell_status();
            }
            Effect::PollSpool(on) => {
                self.polling = on;
                self.house().watch.watch(on);
            }
            Effect::SaveSnapshot { uri, text, spans } => {
                self.house().recorder.snapshot(SavedText { at, uri, text, spans });
            }
            Effect::AttributionChanged { uri } => {
                if let Some(document) = self.documents.get_mut(&uri) {
                    document.typed = None;
                }
                self.look(&uri);
            }
        }
    }

    fn record(&mut self, record: Record) {
        self.house().recorder.record(record);
    }

    /// Records a trouble, or counts it where it was recorded a moment ago.
    fn trouble(&mut self, reason: &str, detail: Option<String>, uri: Option<String>) {
        let key = (reason.to_owned(), uri);
        match self.troubles.get_mut(&key) {
            Some(trouble) if trouble.recorded.elapsed() < AGAIN => trouble.count += 1,
            _ => {
                let before = self
                    .troubles
                    .insert(key.clone(), Trouble { recorded: Instant::now(), detail: detail.clone(), count: 0 });
                self.degraded(key, detail, 1 + before.map_or(0, |trouble| trouble.count));
            }
        }
    }

    /// Records what was only counted, where that was long enough ago.
    fn counted_troubles(&mut self, all: bool) {
        let due = |trouble: &Trouble| all || trouble.recorded.elapsed() >= AGAIN;
        let mut past = Vec::new();
        self.troubles.retain(|key, trouble| {
            let is_due = due(trouble);
            if is_due && trouble.count > 0 {
                past.push((key.clone(), trouble.detail.take(), trouble.count));
            }
            !is_due
        });
        for (key, detail, count) in past {
            self.degraded(key, detail, count);
        }
    }

    fn degraded(&mut self, (reason, uri): (String, Option<String>), detail: Option<String>, count: u64) {
        let subject = uri.clone().unwrap_or_else(|| "countersign-lsp".to_owned());
        let path = Fact::observed(path(&self.session_id));
        let payload = capture::Degraded { how: How::Observed, path, reason, detail, count, uri };
        self.record(Record::light(now(), subject, Payload::CaptureDegraded(payload)));
    }

    fn tick(&mut self) {
        if !self.documents.is_empty() {
            self.session(session::Event::Tick);
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
        if let Some((act, facts)) = told.entered {
            self.entered(act, facts);
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

    // The end

    async fn end(mut self, ending: Ending) {
        super::exit_after(FAREWELL * 2, ending.code);
        self.guard(|actor| actor.say_farewell(&ending));
        let last = async { while self.background.join_next().await.is_some() {} };
        // Measurements that take longer than this are given up.
        let _ = tokio::time::timeout(FAREWELL / 2, last).await;
        if let Some(house) = &self.house
            && let Err(error) = tokio::task::block_in_place(|| house.recorder.close(FAREWELL))
        {
            tracing::error!("{}", error.message());
        }
        // An editor that does not read is not waited for.
        let _ = tokio::time::timeout(Duration::from_millis(200), self.client.flushed()).await;
        std::process::exit(ending.code);
    }

    fn close_all(&mut self) {
        for uri in self.documents.keys().cloned().collect::<Vec<_>>() {
            self.closed(uri);
        }
    }

    fn say_farewell(&mut self, ending: &Ending) {
        if self.house.is_none() {
            return;
        }
        self.counted_troubles(true);
        let stopped = capture::Stopped {
            how: How::Observed,
            path: Fact::observed(path(&self.session_id)),
            reason: ending.reason.to_owned(),
            status: None,
        };
        self.record(Record::light(now(), "countersign-lsp", Payload::CaptureStopped(stopped)));
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
        Event::Saved(_) | Event::Closed(_) | Event::Lost(_) => true,
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
