//! One tapped session: from chunks to records.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use countersign_event::Timestamp;
use countersign_event::content::{ContentName, ContentSlot};
use countersign_event::facts::{
    self, Absent, Fact, How, IntegrationPath, Model, Output, PathKind, Place, Range, Transport,
};
use countersign_event::payload::capture::{Degraded, Started, Stopped};
use countersign_event::payload::contribution::Evidenced;
use countersign_event::payload::prompt::Submitted;
use countersign_event::payload::suggestion::{self, Dwell, Entered, Shown};
use countersign_event::payload::tool::Discovered;
use countersign_event::payload::trail::Gap;
use countersign_event::payload::{Circumstances, Payload};
use countersign_provenance::distance::distance;
use countersign_provenance::join::{Accepted, Joiner, NamedModel, Observation, Offered, Outcome, Rejected};
use countersign_spool::{Append, Device, append_once};

use super::FLUSH;
use super::agent::{Agent, Teller};
use super::decode::{Decoder, Direction, Names, Prompt, Seen, Turn};
use super::frame::{self, Frame};
use super::pump::Chunk;
use crate::recorder::{Complete, Record, Recorder};
use crate::shell::{Shell, now};

/// Dwell is recorded for suggestions of at least so many lines.
const DWELL_LINES: u64 = 10;
/// How long the record of a gap waits for the spool; then the inbox takes it.
const LOCK_WAIT: Duration = Duration::from_millis(500);
/// A server that has not named itself by then is recorded without its name.
const NAME_WAIT_MS: i64 = 5_000;

/// A session before its recorder is there.
pub(super) struct Session {
    tool: Option<String>,
    program: String,
    /// What names the program best: for an interpreter, what it runs.
    script: String,
}

impl Session {
    /// Prepares a session of a command; `tool` is what the caller says it is.
    pub(super) fn new(tool: Option<String>, command: &[OsString]) -> Self {
        let program = command.first().map(OsString::as_os_str).map(stem).unwrap_or_default();
        let script = if RUNNERS.contains(&program.as_str()) { script(&command[1..]) } else { None };
        let script = script.unwrap_or_else(|| program.clone());
        Session { tool, program, script }
    }

    /// Begins to record.
    pub(super) fn begin(self, shell: &Shell) -> Running {
        let recorder = Recorder::start(shell, "tap");
        Running {
            session: recorder.mint().to_string(),
            decoder: Decoder::new().knowing(self.tool.as_deref(), &self.script),
            agent: Agent::new(recorder.clone(), shell.paths.state.clone()),
            recorder,
            tool: self.tool,
            program: self.program,
            names: Names::default(),
            began: now(),
            is_started: false,
            is_named: false,
            frames: [frame::Decoder::new(), frame::Decoder::new()],
            heard: 0,
            is_unknown_told: false,
            joiner: Joiner::new(),
            suggestions: HashMap::new(),
            prompted: HashMap::new(),
            taking: None,
            degraded: Vec::new(),
        }
    }
}

/// Programs that run another, named by their arguments.
const RUNNERS: [&str; 8] = ["node", "bun", "bunx", "deno", "npx", "npm", "pnpm", "python3"];

/// Returns the first argument that may name what a runner runs.
fn script(arguments: &[OsString]) -> Option<String> {
    arguments
        .iter()
        .map(|argument| argument.to_string_lossy())
        .find(|argument| !argument.starts_with('-') && !matches!(argument.as_ref(), "run" | "exec" | "x" | "dlx"))
        .map(String::from)
}

fn stem(program: &OsStr) -> String {
    Path::new(program).file_stem().unwrap_or(program).to_string_lossy().into_owned()
}

/// A session that is being recorded.
pub(super) struct Running {
    recorder: Recorder,
    /// Ours around the server's run: the wire has none.
    session: String,
    tool: Option<String>,
    program: String,
    names: Names,
    began: Timestamp,
    is_started: bool,
    /// And under the name that the server gave itself.
    is_named: bool,
    frames: [frame::Decoder; 2],
    decoder: Decoder,
    agent: Agent,
    /// Frames of any kind.
    heard: u64,
    is_unknown_told: bool,
    joiner: Joiner,
    suggestions: HashMap<u64, Suggestion>,
    /// When the prompts of open turns were sent.
    prompted: HashMap<u64, Timestamp>,
    /// The turn whose text is being put into a document.
    taking: Option<Rc<Turn>>,
    /// What could not be seen, by reason and detail: how often since the last event about it.
    degraded: Vec<Trouble>,
}

struct Suggestion {
    contribution: String,
    offered: Offered,
    /// The turn it was taken from, for text of a conversation.
    turn: Option<Rc<Turn>>,
}

struct Trouble {
    reason: &'static str,
    detail: Option<String>,
    count: u64,
}

/// The end of a session; one record is still to be made.
pub(super) struct Ending {
    recorder: Recorder,
    path: IntegrationPath,
}

impl Running {
    /// Takes the next chunk.
    pub(super) fn chunk(&mut self, chunk: &Chunk) {
        let i = usize::from(chunk.direction == Direction::ToEditor);
        if chunk.missed > 0 {
            self.frames[i] = frame::Decoder::new();
            self.unseen(chunk.at, chunk.direction, "overflow", chunk.missed);
        }
        self.frames[i].push(&chunk.bytes);
        while let Some(frame) = self.frames[i].next_frame() {
            self.frame(chunk.at, chunk.direction, frame);
        }
    }

    /// Notices that time has passed.
    pub(super) fn tick(&mut self) {
        let now = now();
        self.observe(now, Observation::Tick);
        if now.millis_since(self.began) >= NAME_WAIT_MS {
            self.start();
        }
    }

    /// Returns how long nothing needs to be noticed.
    pub(super) fn patience(&self) -> Duration {
        let naming = (!self.is_started).then(|| Timestamp::from_millis(self.began.as_millis() + NAME_WAIT_MS));
        let next = naming.into_iter().chain(self.joiner.deadline()).min();
        next.map_or(Duration::MAX, |next| Duration::from_millis(next.millis_since(now()) as u64))
    }

    /// Ends the session: every offer has its end now.
    pub(super) fn end(mut self, missed: u64) -> Ending {
        let at = now();
        for (i, direction) in [Direction::ToServer, Direction::ToEditor].into_iter().enumerate() {
            if let Some(frame) = std::mem::take(&mut self.frames[i]).finish() {
                self.frame(at, direction, frame);
            }
        }
        if missed > 0 {
            self.degraded(at, "overflow", None, None, missed);
        }
        let last = self.decoder.end();
        self.seen(at, last);
        self.observe(at, Observation::Ended);
        self.start();
        if self.heard > 0 && !self.is_unknown_told && !self.decoder.is_known() {
            self.unknown(at, 1);
        }
        for trouble in std::mem::take(&mut self.degraded) {
            self.tell_degraded(at, trouble.reason, trouble.detail, None, trouble.count);
        }
        Ending { path: self.path(None), recorder: self.recorder }
    }

    fn frame(&mut self, at: Timestamp, direction: Direction, frame: Frame) {
        self.heard += 1;
        let body = match frame {
            Frame::Message(body) => body,
            Frame::Malformed { .. } => return self.unseen(at, direction, "malformed_frame", 1),
            Frame::Oversized { .. } => return self.unseen(at, direction, "oversized_message", 1),
        };
        let seen = self.decoder.message(direction, &body);
        self.seen(at, seen);
    }

    fn seen(&mut self, at: Timestamp, seen: Vec<Seen>) {
        for seen in seen {
            match seen {
                Seen::Agent(act) => {
                    if act.is_telling() {
                        self.start();
                    }
                    let path = self.path(None);
                    let teller = Teller::new(path.tool, path.version, &self.session);
                    if let Some(trouble) = self.agent.act(at, act, &teller) {
                        self.degraded(at, trouble, None, None, 1);
                    }
                }
                Seen::Observed(observation) => self.observe(at, observation),
                Seen::Named(names) => {
                    self.names = names;
                    if self.names.is_complete {
                        self.named(at);
                    }
                }
                Seen::SignedIn(account) => self.recorder.signed_in(account),
                Seen::Prompted(turn) => drop(self.prompted.insert(turn, at)),
                Seen::Replied(turn) => {
                    let asked = self.prompted.remove(&turn.number).unwrap_or(at);
                    self.submitted(asked, *turn);
                }
                Seen::Taken(turn, observation) => {
                    self.taking = Some(Rc::from(turn));
                    self.observe(at, observation);
                    self.taking = None;
                }
                Seen::NotFollowed(what) => self.degraded(at, "not_followed", Some(what.to_owned()), None, 1),
                Seen::Unknown => self.unknown(at, 1),
            }
        }
    }

    /// Nobody knows this protocol, or whether what it carries is an AI's.
    fn unknown(&mut self, at: Timestamp, count: u64) {
        self.degraded(at, "unknown_protocol", None, None, count);
        if std::mem::replace(&mut self.is_unknown_told, true) {
            return;
        }
        let path = self.path(None);
        let tool = path.tool.clone().unwrap_or_default();
        let payload = Payload::ToolDiscovered(Discovered {
            how: How::Observed,
            tool: tool.clone(),
            version: path.version.clone(),
            path: Fact::observed(path),
            captured: false,
            note: Some(
                "it runs behind the tap, but nothing in its messages is known to be an AI's; `--tool NAME` says so"
                    .to_owned(),
            ),
        });
        self.recorder.record(Record::light(at, tool, payload));
    }

    /// Something in the stream was not seen. If it came from the editor, it may have been an edit.
    fn unseen(&mut self, at: Timestamp, direction: Direction, reason: &'static str, count: u64) {
        let from = match direction {
            Direction::ToServer => {
                self.observe(at, Observation::Lost);
                "editor"
            }
            Direction::ToEditor => "server",
        };
        self.degraded(at, reason, Some(format!("from the {from}")), None, count);
    }

    fn observe(&mut self, at: Timestamp, observation: Observation) {
        for outcome in self.joiner.handle(at, observation) {
            match outcome {
                Outcome::Offered(offered) => self.offered(at, offered),
                Outcome::Accepted(accepted) => self.accepted(accepted),
                Outcome::Rejected(rejected) => self.rejected(&rejected),
                Outcome::Evidenced { key, act, saw } => self.evidenced(at, key, act, saw),
                Outcome::Forgotten { key } => drop(self.suggestions.remove(&key)),
                Outcome::Degraded { reason, uri, detail } => self.degraded(at, reason, detail, uri, 1),
            }
        }
    }

    // Records

    fn offered(&mut self, at: Timestamp, offered: Offered) {
        self.start();
        let contribution = self.recorder.mint().to_string();
        let suggestion = Suggestion { contribution, turn: self.taking.clone(), offered };
        let offered = &suggestion.offered;
        let payload = Payload::SuggestionOffered(suggestion::Offered {
            how: How::Observed,
            contribution: suggestion.contribution.clone(),
            alternative: offered.alternative,
            model: model(offered.model.as_ref()),
            prompt: suggestion.prompt(),
            output: Fact::observed(Output::of(&offered.text)),
            person: Fact::absent(Absent::NotOnWire),
            path: Fact::observed(self.path(Some(&suggestion))),
            place: place(offered, offered.range),
            digest: Some(self.recorder.entered_digest(&offered.text)),
            content: Default::default(),
            circumstances: Circumstances::default(),
        });
        self.record(at, &suggestion, payload, None);
        self.suggestions.insert(suggestion.offered.key, suggestion);
    }

    fn accepted(&mut self, accepted: Accepted) {
        let Some(suggestion) = self.suggestions.get(&accepted.key) else { return };
        let Suggestion { contribution, offered, .. } = suggestion;
        let output = Output::of(&offered.text);
        let dwell = accepted.shown.filter(|_| output.lines >= DWELL_LINES);
        let inserted = accepted.inserted.as_ref();
        // Where no edit was seen, the message is all we have: it says that the offer entered as it was.
        let mut distance = distance(&accepted.earlier, inserted.unwrap_or(&accepted.earlier));
        distance.exact &= inserted.is_some();
        let payload = Payload::SuggestionAccepted(suggestion::Accepted {
            how: accepted.how,
            contribution: contribution.clone(),
            act: accepted.act,
            extent: accepted.extent,
            gesture: accepted.gesture,
            rule: accepted.rule.map(str::to_owned),
            confidence: accepted.confidence,
            model: model(offered.model.as_ref()),
            prompt: suggestion.prompt(),
            output: Fact::observed(output),
            person: Fact::absent(Absent::NotOnWire),
            path: Fact::observed(self.path(Some(suggestion))),
            place: place(offered, accepted.range.or(offered.range)),
            entered: accepted
                .entered
                .iter()
                .map(|(range, text)| Entered {
                    range: *range,
                    bytes: text.len() as u64,
                    digest: self.recorder.entered_digest(text),
                })
                .collect(),
            distance,
            shown: match accepted.shown {
                Some(at) => Fact::reported(Shown { at }),
                None => Fact::absent(Absent::NotOnWire),
            },
            dwell: dwell.map(|shown| Dwell::of_millis(accepted.at.millis_since(shown))),
            content: Default::default(),
            circumstances: Circumstances::default(),
        });
        self.record(accepted.at, suggestion, payload, accepted.inserted);
    }

    fn rejected(&self, rejected: &Rejected) {
        let Some(suggestion) = self.suggestions.get(&rejected.key) else { return };
        let Suggestion { contribution, offered, .. } = suggestion;
        let payload = Payload::SuggestionRejected(suggestion::Rejected {
            how: rejected.how,
            contribution: contribution.clone(),
            act: rejected.act,
            reason: rejected.reason,
            undoes: rejected.undoes,
            rule: rejected.rule.map(str::to_owned),
            model: model(offered.model.as_ref()),
            output: Fact::observed(Output::of(&offered.text)),
            person: Fact::absent(Absent::NotOnWire),
            path: Fact::observed(self.path(Some(suggestion))),
            place: place(offered, offered.range),
            content: Default::default(),
        });
        self.record(rejected.at, suggestion, payload, None);
    }

    /// Records a sign of an act that came after the act was recorded.
    fn evidenced(&self, at: Timestamp, key: u64, act: u32, saw: &str) {
        let Some(suggestion) = self.suggestions.get(&key) else { return };
        let Suggestion { contribution, offered, .. } = suggestion;
        let payload = Payload::ContributionEvidenced(Evidenced {
            how: How::Reported,
            contribution: contribution.clone(),
            act: Some(act),
            saw: saw.to_owned(),
            model: None,
            prompt: None,
            output: None,
            person: None,
            path: Fact::observed(self.path(Some(suggestion))),
            place: place(offered, None),
            content: Default::default(),
        });
        self.recorder.record(Record::light(at, contribution.clone(), payload));
    }

    fn record(&self, at: Timestamp, suggestion: &Suggestion, payload: Payload, inserted: Option<String>) {
        let output = &suggestion.offered.text;
        let mut texts = vec![(ContentName::Output, output.clone())];
        if let Some(Prompt::Text(prompt)) = suggestion.turn.as_ref().map(|turn| &turn.prompt) {
            texts.push((ContentName::Prompt, prompt.clone()));
        }
        texts.extend(inserted.map(|inserted| (ContentName::Accepted, inserted)));
        let subject = Some(suggestion.contribution.clone());
        self.recorder.record(Record { at, subject, payload, texts, output_bytes: output.len() as u64 });
    }

    /// Records a prompt with its reply.
    fn submitted(&mut self, at: Timestamp, turn: Turn) {
        self.start();
        let mut path = IntegrationPath { kind: PathKind::Chat, ..self.path(None) };
        path.trust = facts::Trust::of(path.kind);
        path.request_id = turn.request_id.clone();
        path.session = turn.conversation.clone().or(path.session);
        let named = Some(turn.model()).filter(|model| model.requested.is_some() || model.responded.is_some());
        let place = Place { uri: turn.uri.clone(), ..Place::default() };
        let subject = turn.uri.clone().or_else(|| path.tool.clone());
        let mut submitted = Submitted {
            how: How::Observed,
            prompt: prompt(&turn),
            model: model(named.as_ref()),
            person: Fact::absent(Absent::NotOnWire),
            path: Fact::observed(path),
            place,
            content: Default::default(),
            circumstances: Circumstances::default(),
        };
        let output_bytes = turn.reply.len() as u64;
        let mut texts = Vec::new();
        match turn.prompt {
            Prompt::Text(text) => texts.push((ContentName::Prompt, text)),
            Prompt::Encrypted => {
                let slot = ContentSlot::Absent { absent: Absent::EncryptedOnWire };
                submitted.content.insert(ContentName::Prompt, slot);
            }
        }
        if !turn.reply.is_empty() {
            texts.push((ContentName::Output, turn.reply));
        }
        let payload = Payload::PromptSubmitted(submitted);
        self.recorder.record(Record { at, subject, payload, texts, output_bytes });
    }

    /// Takes in that nobody will be named any more. A server that took longer than we waited was recorded
    /// by its program alone, so its name is told apart.
    fn named(&mut self, at: Timestamp) {
        if !self.is_started {
            return self.start();
        }
        let path = self.path(None);
        if std::mem::replace(&mut self.is_named, true) || path.tool.as_deref() == Some(&self.program) {
            return;
        }
        let tool = path.tool.clone().unwrap_or_default();
        let payload = Payload::ToolDiscovered(Discovered {
            how: How::Observed,
            tool: tool.clone(),
            version: path.version.clone(),
            path: Fact::observed(path),
            captured: true,
            note: Some("it named itself after recording had begun".to_owned()),
        });
        self.recorder.record(Record::light(at, tool, payload));
    }

    /// Records that we listen, once, as soon as we know to whom.
    fn start(&mut self) {
        if std::mem::replace(&mut self.is_started, true) {
            return;
        }
        self.is_named = self.names.is_complete;
        let client = match (&self.names.client, &self.names.plugin) {
            (Some(client), Some(plugin)) => Some(format!("{client} ({plugin})")),
            (Some(program), None) | (None, Some(program)) => Some(program.to_string()),
            (None, None) => None,
        };
        let path = self.path(None);
        let subject = path.tool.clone().unwrap_or_default();
        let payload = Payload::CaptureStarted(Started {
            how: How::Observed,
            path: Fact::observed(path),
            countersign: env!("CARGO_PKG_VERSION").to_owned(),
            client,
        });
        self.recorder.record(Record::light(self.began, subject, payload));
    }

    /// Records the first trouble of a kind at once, and counts the rest of it until the end.
    fn degraded(
        &mut self,
        at: Timestamp,
        reason: &'static str,
        detail: Option<String>,
        uri: Option<String>,
        count: u64,
    ) {
        // Kinds are few; a stream that makes them many is told by its reason alone.
        let detail = detail.filter(|_| self.degraded.len() < 64);
        match self.degraded.iter_mut().find(|trouble| trouble.reason == reason && trouble.detail == detail) {
            Some(trouble) => trouble.count += count,
            None => {
                self.degraded.push(Trouble { reason, detail: detail.clone(), count: 0 });
                self.tell_degraded(at, reason, detail, uri, count);
            }
        }
    }

    fn tell_degraded(&self, at: Timestamp, reason: &str, detail: Option<String>, uri: Option<String>, count: u64) {
        if count == 0 {
            return;
        }
        let path = self.path(None);
        let subject = uri.clone().or_else(|| path.tool.clone()).unwrap_or_default();
        let payload = Payload::CaptureDegraded(Degraded {
            how: How::Observed,
            path: Fact::observed(path),
            reason: reason.to_owned(),
            detail,
            count,
            uri,
        });
        self.recorder.record(Record::light(at, subject, payload));
    }

    fn path(&self, suggestion: Option<&Suggestion>) -> IntegrationPath {
        let server = self.names.server.as_ref();
        let tool = self
            .tool
            .clone()
            .or_else(|| self.decoder.tool().map(str::to_owned))
            .or_else(|| server.map(|server| server.name.clone()))
            .unwrap_or_else(|| self.program.clone());
        let model = suggestion.and_then(|suggestion| suggestion.offered.model.as_ref());
        let turn = suggestion.and_then(|suggestion| suggestion.turn.as_ref());
        let kind = match turn {
            Some(_) => PathKind::Chat,
            None if self.names.is_agent => PathKind::Agent,
            None => PathKind::Ide,
        };
        IntegrationPath {
            tool: Some(tool),
            version: server.and_then(|server| Some(server.version.as_ref()?.text.clone())),
            session: turn.and_then(|turn| turn.conversation.clone()).or_else(|| Some(self.session.clone())),
            request_id: model.and_then(|model| model.request_id.clone()),
            ..IntegrationPath::new(kind, Transport::Tap)
        }
    }
}

impl Suggestion {
    fn prompt(&self) -> Fact<facts::Prompt> {
        self.turn.as_ref().map_or(Fact::absent(Absent::NotOnWire), |turn| prompt(turn))
    }
}

fn prompt(turn: &Turn) -> Fact<facts::Prompt> {
    let fact = Fact::observed(facts::Prompt { turns: turn.turns, ..facts::Prompt::default() });
    match (&turn.prompt, turn.turns) {
        (Prompt::Encrypted, None) => Fact::absent(Absent::EncryptedOnWire),
        (Prompt::Encrypted, Some(_)) => fact.without(Absent::EncryptedOnWire),
        (Prompt::Text(_), _) => fact,
    }
}

/// What was asked for and what answered are two things; what the wire does not name is absent.
fn model(named: Option<&NamedModel>) -> Fact<Model> {
    let Some(named) = named else { return Fact::absent(Absent::NotOnWire) };
    let model = Model { requested: named.requested.clone(), responded: named.responded.clone(), ..Model::default() };
    let is_whole = model.requested.is_some() && model.responded.is_some();
    let fact = match (named.rule, named.confidence) {
        (Some(rule), Some(confidence)) => Fact::inferred(model, rule, confidence),
        _ => Fact::known(model, named.how),
    };
    if is_whole { fact } else { fact.without(Absent::NotOnWire) }
}

fn place(offered: &Offered, range: Option<Range>) -> Place {
    Place { uri: Some(offered.uri.clone()), range, language: offered.language.clone(), ..Place::default() }
}

/// Records that not everything was recorded before the end. It is written here and now, past the recorder,
/// which may be what is late.
pub(super) fn record_gap(shell: &Shell, reason: &str) {
    tracing::error!(reason, "not everything was recorded before the end; a gap is recorded");
    let gap = Gap {
        how: How::Observed,
        reason: reason.to_owned(),
        count: None,
        from: None,
        to: Some(now()),
        by: Some("tap".to_owned()),
    };
    let recorded = Device::load_or_create(&shell.paths.state).and_then(|device| {
        let gap = Record::light(now(), "tap", Payload::TrailGap(gap));
        let appends: Vec<Append> = Complete::new(shell.clone(), device).complete(gap, None).into_iter().collect();
        append_once(&shell.paths.state, &appends, LOCK_WAIT).map(drop)
    });
    if let Err(error) = recorded {
        tracing::error!("the gap was not recorded: {error}");
    }
}

impl Ending {
    /// Records the end and waits for the spool.
    pub(super) fn finish(self, shell: &Shell, status: i32) {
        let subject = self.path.tool.clone().unwrap_or_default();
        let payload = Payload::CaptureStopped(Stopped {
            how: How::Observed,
            path: Fact::observed(self.path),
            reason: "child_exited".to_owned(),
            status: Some(status),
        });
        self.recorder.record(Record::light(now(), subject, payload));
        if let Err(failure) = self.recorder.close(FLUSH) {
            tracing::error!("{}", failure.message());
            record_gap(shell, "late");
        }
    }
}
