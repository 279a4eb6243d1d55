//! Agents and their tools, as three protocols show them: what they have in common.
//!
//! A decoder follows each call of a tool from its first sight to its end and tells it once, with what
//! the stream said about it. What became of the files is not always on the wire, and never asked for
//! here: whoever takes an [`Act`] may look at the disk.

use std::collections::{HashMap, HashSet, VecDeque};

use countersign_event::payload::tool::{DecidedBy, Decision, DecisionScope};
use serde_json::Value;
use serde_json::value::RawValue;

use super::diff::Piece;
use super::{Direction, Envelope, Names, Program, Seen, Version, acp, app_server, mcp};

/// So many calls, sessions and requests are followed at a time; a stream that leaves more of them
/// open is broken.
const MAX_OPEN: usize = 1024;
/// A client's or agent's name of something is no text.
const NAME_MAX: usize = 200;
/// Thoughts between two calls are kept up to here.
const THOUGHT_MAX: usize = 1 << 20;

/// Something an agent did, or was told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Act {
    /// It works in this directory, and nothing has changed there yet that it could have changed.
    Works {
        /// The directory.
        directory: Option<String>,
    },
    /// It was asked something.
    Asked(Asked),
    /// A call is under way, and may be about to touch files. Said again when more is known.
    Touches {
        /// Ours, until its end.
        call: u64,
        /// The directory it runs in.
        directory: Option<String>,
        /// The files.
        paths: Vec<String>,
    },
    /// A call has ended.
    Called(Box<Called>),
    /// A server offers tools.
    Offers {
        /// Their names.
        tools: Vec<String>,
    },
}

impl Act {
    /// Says whether it is worth a record by itself.
    pub(crate) fn is_telling(&self) -> bool {
        !matches!(self, Act::Works { .. } | Act::Touches { .. })
    }
}

/// What a person sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Asked {
    /// In which session.
    pub(crate) session: String,
    /// The text.
    pub(crate) prompt: Prompt,
    /// The model that is to answer.
    pub(crate) model: Requested,
    /// Files and resources that came with it.
    pub(crate) given: Vec<Given>,
    /// Where the session works.
    pub(crate) directory: Option<String>,
}

/// A prompt and its place in the conversation.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Prompt {
    /// The text.
    pub(crate) text: String,
    /// From 1.
    pub(crate) turn: u32,
}

/// What is known of a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Requested {
    /// The name asked for.
    pub(crate) name: Option<String>,
    /// Who is to serve it.
    pub(crate) provider: Option<String>,
    /// The name the provider's side gave.
    pub(crate) responded: Option<String>,
}

/// A file or resource that a model was given.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Given {
    /// Its path or URI.
    pub(crate) name: String,
    /// Its text, where the stream has it.
    pub(crate) text: Option<String>,
}

/// One call of a tool, at its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Called {
    /// Ours, as in [`Act::Touches`].
    pub(crate) call: u64,
    /// The client's session, where the wire says it.
    pub(crate) session: Option<String>,
    /// The client's id of the call, where it has one.
    pub(crate) id: Option<String>,
    /// The tool.
    pub(crate) tool_name: String,
    /// How it ended.
    pub(crate) ending: Ending,
    /// What was decided about it.
    pub(crate) decision: Option<Decision>,
    /// What the model passed to the tool, as JSON.
    pub(crate) arguments: Option<String>,
    /// What the tool answered.
    pub(crate) answer: Option<String>,
    /// What the model thought before it.
    pub(crate) reasoning: Option<String>,
    /// The command line it ran.
    pub(crate) command: Option<String>,
    /// The exit status of that.
    pub(crate) exit_status: Option<i32>,
    /// The files it says it changed.
    pub(crate) changes: Vec<Change>,
    /// It may have changed anything.
    pub(crate) reaches_all: bool,
    /// What it read.
    pub(crate) given: Vec<Given>,
    /// The model that called.
    pub(crate) model: Requested,
    /// What the person had asked.
    pub(crate) prompt: Option<Prompt>,
    /// Where it ran.
    pub(crate) directory: Option<String>,
    /// The program that shows the call, where it is not the agent at the end of the stream.
    pub(crate) client: Option<Program>,
}

/// How a call ended, as the stream says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It did what it was asked.
    Done,
    /// It failed.
    Failed,
    /// A person refused or cancelled it.
    Rejected,
    /// A rule refused it.
    Denied,
    /// The stream does not say.
    #[default]
    Unknown,
}

/// What a call says about one file. Any part may be missing, and its line ends may not be the file's.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Change {
    /// The file, absolute or from the call's directory.
    pub(crate) path: String,
    /// Where it was moved to.
    pub(crate) moved_to: Option<String>,
    /// All of it before; inside, `None` where there was no file.
    pub(crate) before: Option<Option<String>>,
    /// All of it after; inside, `None` where there is no file.
    pub(crate) after: Option<Option<String>>,
    /// The parts that were replaced.
    pub(crate) pieces: Vec<Piece>,
}

/// Reads the agent protocols of one stream.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    acp: acp::Decoder,
    app_server: app_server::Decoder,
    mcp: mcp::Decoder,
}

impl Decoder {
    /// Takes a message; `None` where it belongs to none of these protocols.
    pub(super) fn message(&mut self, direction: Direction, envelope: &Envelope<'_>) -> Option<Vec<Seen>> {
        let message = Message::new(direction, envelope);
        (self.acp.message(&message))
            .or_else(|| self.app_server.message(&message))
            .or_else(|| self.mcp.message(&message))
    }

    /// Ends every call that has not ended.
    pub(super) fn end(&mut self) -> Vec<Seen> {
        let acts = self.acp.end().into_iter().chain(self.app_server.end()).chain(self.mcp.end());
        acts.map(Seen::Agent).collect()
    }
}

/// A message with its inside unread.
pub(super) struct Message<'a> {
    direction: Direction,
    id: Option<&'a str>,
    method: Option<&'a str>,
    params: Option<&'a RawValue>,
    result: Option<&'a RawValue>,
}

impl<'a> Message<'a> {
    fn new(direction: Direction, envelope: &'a Envelope<'a>) -> Self {
        Message {
            direction,
            id: envelope.id.map(RawValue::get).filter(|id| *id != "null"),
            method: envelope.method.as_deref(),
            params: envelope.params,
            result: envelope.result,
        }
    }

    /// Which way it goes.
    pub(super) fn direction(&self) -> Direction {
        self.direction
    }

    /// Its method, unless it is an answer.
    pub(super) fn method(&self) -> Option<&'a str> {
        self.method
    }

    /// Reads its parameters; null where there are none.
    pub(super) fn params(&self) -> Value {
        read(self.params)
    }

    /// Reads its result; null for an error.
    pub(super) fn result(&self) -> Value {
        read(self.result)
    }

    /// Says whether an answer is no error.
    pub(super) fn is_success(&self) -> bool {
        self.result.is_some()
    }
}

fn read(raw: Option<&RawValue>) -> Value {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

/// Requests without an answer, by who asked and the id as it stands on the wire: the two sides use the
/// same numbers for different things.
#[derive(Debug)]
pub(super) struct Open<T>(HashMap<(Direction, String), T>);

impl<T> Default for Open<T> {
    fn default() -> Self {
        Open(HashMap::new())
    }
}

impl<T> Open<T> {
    /// Remembers a request.
    pub(super) fn ask(&mut self, message: &Message<'_>, what: T) {
        let Some(id) = message.id else { return };
        if self.0.len() >= MAX_OPEN {
            self.0.clear();
        }
        self.0.insert((message.direction, id.to_owned()), what);
    }

    /// Returns the request that a message answers.
    pub(super) fn answer(&mut self, message: &Message<'_>) -> Option<T> {
        let asker = match message.direction {
            Direction::ToServer => Direction::ToEditor,
            Direction::ToEditor => Direction::ToServer,
        };
        if self.0.is_empty() || message.method.is_some() {
            return None;
        }
        self.0.remove(&(asker, message.id?.to_owned()))
    }
}

impl<T> Open<T> {
    /// Returns every request that nobody has answered.
    pub(super) fn take(&mut self) -> Vec<T> {
        std::mem::take(&mut self.0).into_values().collect()
    }
}

/// One conversation with an agent.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// Where it works.
    pub(super) directory: Option<String>,
    /// The model that is set.
    pub(super) model: Requested,
    /// The latest prompt.
    pub(super) prompt: Prompt,
    /// What the person has allowed.
    pub(super) grants: Grants,
    /// What is replayed to the client has happened before and is nobody's act now.
    pub(super) is_replaying: bool,
    /// Commands that the client runs for the agent, by the client's name of them.
    pub(super) terminals: HashMap<String, Terminal>,
    thoughts: String,
    calls: Vec<Call>,
    /// Ids of calls that were told, oldest first.
    told: (HashSet<String>, VecDeque<String>),
}

/// What a person has allowed until further notice.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Grants {
    /// By an answer to a question about edits.
    pub(super) edits: Option<DecisionScope>,
    /// By an answer to a question about anything else.
    pub(super) others: Option<DecisionScope>,
    /// By the mode the session is in, for edits.
    pub(super) mode: Option<DecisionScope>,
}

/// A command that runs beside its call.
#[derive(Debug, Default)]
pub(super) struct Terminal {
    /// The command line.
    pub(super) command: Option<String>,
    /// What it wrote.
    pub(super) output: Option<String>,
    /// Its exit status, once it has one.
    pub(super) exit_status: Option<i32>,
}

/// A call under way.
#[derive(Debug, Default)]
pub(super) struct Call {
    number: u64,
    id: String,
    /// The tool, where its name is known.
    pub(super) tool_name: Option<String>,
    /// What sort of tool.
    pub(super) kind: Option<Kind>,
    /// What the model passed.
    pub(super) arguments: Option<String>,
    /// What the tool answered.
    pub(super) answer: Option<String>,
    /// What it read.
    pub(super) given: Vec<Given>,
    /// The decision, once there is one.
    pub(super) decision: Option<Decision>,
    /// Files named without a change.
    pub(super) places: Vec<String>,
    /// Files and how they change.
    pub(super) changes: Vec<Change>,
    /// A file's text as it was handed to the client to write, which no later message outdoes.
    pub(super) written: HashMap<String, String>,
    /// The command line it runs.
    pub(super) command: Option<String>,
    /// The exit status of that.
    pub(super) exit_status: Option<i32>,
    /// Commands that the client runs for it.
    pub(super) terminals: Vec<String>,
    reasoning: Option<String>,
}

/// What sort of tool a call is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It reads or searches.
    Read,
    /// It changes the files it names.
    Edit,
    /// It may change anything.
    Other,
}

impl Session {
    /// Returns the call with this id, begun now if it is new; `None` where it was told already.
    pub(super) fn call(&mut self, id: &str, last: &mut u64) -> Option<&mut Call> {
        if self.is_replaying || self.told.0.contains(id) {
            return None;
        }
        if let Some(at) = self.calls.iter().position(|call| call.id == id) {
            return self.calls.get_mut(at);
        }
        if self.calls.len() >= MAX_OPEN {
            self.calls.remove(0);
        }
        *last += 1;
        let thoughts = std::mem::take(&mut self.thoughts);
        let reasoning = (!thoughts.is_empty()).then_some(thoughts);
        self.calls.push(Call { number: *last, id: id.to_owned(), reasoning, ..Call::default() });
        self.calls.last_mut()
    }

    /// Returns a command that the client runs, noted now if it is new.
    pub(super) fn terminal(&mut self, id: &str) -> &mut Terminal {
        if self.terminals.len() >= MAX_OPEN && !self.terminals.contains_key(id) {
            self.terminals.clear();
        }
        self.terminals.entry(id.to_owned()).or_default()
    }

    /// Keeps a thought for the call that follows.
    pub(super) fn thinks(&mut self, thought: &str) {
        if !self.is_replaying && self.thoughts.len() + thought.len() <= THOUGHT_MAX {
            self.thoughts.push_str(thought);
        }
    }

    /// Begins a turn.
    pub(super) fn asked(&mut self, session: &str, text: String, given: Vec<Given>) -> Asked {
        self.prompt = Prompt { text, turn: self.prompt.turn + 1 };
        self.thoughts.clear();
        Asked {
            session: session.to_owned(),
            prompt: self.prompt.clone(),
            model: self.model.clone(),
            given,
            directory: self.directory.clone(),
        }
    }

    /// Returns the files a call is about, to be looked at before they change.
    pub(super) fn touches(&self, id: &str) -> Option<Act> {
        let call = self.calls.iter().find(|call| call.id == id)?;
        let moved = call.changes.iter().filter_map(|change| change.moved_to.as_ref());
        let changed = call.changes.iter().map(|change| &change.path);
        let mut paths: Vec<String> = call.places.iter().chain(changed).chain(moved).cloned().collect();
        paths.sort();
        paths.dedup();
        if call.kind == Some(Kind::Read) {
            return None;
        }
        Some(Act::Touches { call: call.number, directory: self.directory.clone(), paths })
    }

    /// Returns the calls that have not ended.
    pub(super) fn under_way(&mut self) -> &mut [Call] {
        &mut self.calls
    }

    /// Returns the ids of the calls that have not ended.
    pub(super) fn open_ids(&self) -> Vec<String> {
        self.calls.iter().map(|call| call.id.clone()).collect()
    }

    /// Ends a call and tells it.
    pub(super) fn end(&mut self, session: &str, id: &str, ending: Ending) -> Option<Act> {
        let at = self.calls.iter().position(|call| call.id == id)?;
        let mut call = self.calls.remove(at);
        self.told.0.insert(id.to_owned());
        self.told.1.push_back(id.to_owned());
        if self.told.1.len() > MAX_OPEN
            && let Some(oldest) = self.told.1.pop_front()
        {
            self.told.0.remove(&oldest);
        }
        let ran = call.terminals.iter().filter_map(|id| self.terminals.remove(id)).last();
        if let Some(ran) = ran {
            call.command = call.command.or(ran.command);
            call.answer = ran.output.or(call.answer);
            call.exit_status = call.exit_status.or(ran.exit_status);
        }
        let decision = call.decision.take().or_else(|| self.grants.covers(call.kind, ending));
        let kind = call.kind.unwrap_or(Kind::Other);
        for (path, text) in call.written {
            let after = Some(Some(text));
            match call.changes.iter_mut().find(|change| change.path == path) {
                Some(change) => change.after = after,
                None => call.changes.push(Change { path, after, ..Change::default() }),
            }
        }
        // A tool that edits but does not say how is looked after by its files.
        for path in call.places.iter().filter(|_| kind == Kind::Edit) {
            if !call.changes.iter().any(|change| change.path == *path || change.moved_to.as_ref() == Some(path)) {
                call.changes.push(Change { path: path.clone(), ..Change::default() });
            }
        }
        for path in call.places.iter().filter(|_| kind == Kind::Read && ending == Ending::Done) {
            if !call.given.iter().any(|given| given.name == *path) {
                call.given.push(Given { name: path.clone(), text: None });
            }
        }
        Some(Act::Called(Box::new(Called {
            call: call.number,
            session: Some(session.to_owned()),
            id: Some(call.id),
            tool_name: call.tool_name.unwrap_or_else(|| kind.name().to_owned()),
            ending,
            decision,
            arguments: call.arguments,
            answer: call.answer,
            reasoning: call.reasoning,
            command: call.command,
            exit_status: call.exit_status,
            reaches_all: kind == Kind::Other || (kind == Kind::Edit && call.changes.is_empty()),
            changes: if kind == Kind::Read { Vec::new() } else { call.changes },
            given: call.given,
            model: self.model.clone(),
            prompt: (self.prompt.turn > 0).then(|| self.prompt.clone()),
            directory: self.directory.clone(),
            client: None,
        })))
    }

    /// Ends every call that has not ended.
    pub(super) fn end_all(&mut self, session: &str, ending: Ending) -> Vec<Act> {
        self.open_ids().iter().filter_map(|id| self.end(session, id, ending)).collect()
    }
}

impl Call {
    /// Returns the client's id.
    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Read => "read",
            Kind::Edit => "edit",
            Kind::Other => "unknown",
        }
    }
}

impl Grants {
    /// Remembers what a person allowed beyond one call.
    pub(super) fn give(&mut self, kind: Option<Kind>, scope: DecisionScope) {
        if scope == DecisionScope::Once {
            return;
        }
        match kind {
            Some(Kind::Edit) => self.edits = Some(scope),
            _ => self.others = Some(scope),
        }
    }

    /// Returns the decision about a call that nobody was asked about.
    fn covers(&self, kind: Option<Kind>, ending: Ending) -> Option<Decision> {
        if !matches!(ending, Ending::Done | Ending::Failed) {
            return None;
        }
        let scope = match kind? {
            Kind::Read => return None,
            Kind::Edit => self.edits.or(self.mode),
            // Clients that were allowed to edit run simple file commands without a question, too.
            Kind::Other => self.others.or(self.mode).or(self.edits),
        };
        Some(Decision { by: DecidedBy::Grant, scope: scope? })
    }
}

/// Returns a decision of a person.
pub(super) fn by_person(scope: DecisionScope) -> Option<Decision> {
    Some(Decision { by: DecidedBy::Person, scope })
}

/// Returns the session with this id, made now if it is new.
pub(super) fn session<'a>(sessions: &'a mut HashMap<String, Session>, id: &str) -> &'a mut Session {
    if sessions.len() >= MAX_OPEN && !sessions.contains_key(id) {
        sessions.clear();
    }
    sessions.entry(id.to_owned()).or_default()
}

/// Says which tool of our catalogue a program is that names itself.
pub(super) fn catalogue(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let known = [
        ("claude", "claude-code"),
        ("codex", "codex"),
        ("gemini", "gemini-cli"),
        ("copilot", "copilot"),
        ("opencode", "opencode"),
        ("cursor", "cursor"),
        ("windsurf", "windsurf"),
        ("qwen", "qwen-code"),
        ("kiro", "kiro"),
        ("goose", "goose"),
    ];
    known.into_iter().find(|(part, _)| name.contains(part)).map(|(_, tool)| tool)
}

/// Reads a program that names itself.
pub(super) fn program(value: &Value) -> Option<Program> {
    Some(Program {
        name: short(value["name"].as_str()?),
        version: value["version"].as_str().map(|version| Version { text: short(version) }),
    })
}

/// Returns the names of both sides of an agent's stream.
pub(super) fn names(server: Option<Program>, client: Option<Program>) -> Names {
    let tool = server.as_ref().and_then(|server| catalogue(&server.name));
    Names { tool, is_complete: server.is_some(), server, client, plugin: None, is_agent: true }
}

/// Returns the text in a field.
pub(super) fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value[field].as_str()
}

/// Returns the name in a field, cut where it is none.
pub(super) fn name(value: &Value, field: &str) -> Option<String> {
    text(value, field).map(short).filter(|name| !name.is_empty())
}

fn short(name: &str) -> String {
    name.chars().take(NAME_MAX).collect()
}

/// Returns the members of an array in a field.
pub(super) fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}

/// Returns the text of an answer made of content blocks, else its JSON.
pub(super) fn words_of(result: &Value) -> String {
    let blocks = list(result, "content");
    let texts: Vec<&str> = blocks.iter().filter_map(|block| text(block, "text")).collect();
    if blocks.is_empty() || texts.len() < blocks.len() { result.to_string() } else { texts.join("\n") }
}

/// Returns the files and resources that stand in an answer's content blocks.
pub(super) fn resources_in(blocks: &[Value]) -> Vec<Given> {
    let resource = |block: &Value| {
        let (name, text_read) = match text(block, "type") {
            Some("resource") => (text(&block["resource"], "uri")?, text(&block["resource"], "text")),
            _ => return None,
        };
        Some(Given { name: name.to_owned(), text: text_read.map(str::to_owned) })
    };
    blocks.iter().filter_map(resource).collect()
}

/// Returns the number in a field, as a process ends with it.
pub(super) fn status(value: &Value, field: &str) -> Option<i32> {
    value[field].as_i64().and_then(|code| i32::try_from(code).ok())
}

/// Returns the path that a `file:` URI or a path names.
pub(super) fn path_of(name: &str) -> String {
    crate::recorder::file_of_uri(name).map_or_else(|| name.to_owned(), |file| file.to_string_lossy().into_owned())
}

/// Reads a prompt made of blocks: its text, and the files and resources that came with it.
pub(super) fn prompt_of(blocks: &[Value]) -> (String, Vec<Given>) {
    let mut texts = Vec::new();
    let mut given = Vec::new();
    for block in blocks {
        let resource = &block["resource"];
        match text(block, "type") {
            Some("text") => texts.extend(text(block, "text")),
            Some("resource_link" | "resourceLink") => {
                given.extend(text(block, "uri").map(|uri| Given { name: path_of(uri), text: None }));
            }
            Some("resource") => given.extend(
                text(resource, "uri")
                    .map(|uri| Given { name: path_of(uri), text: text(resource, "text").map(str::to_owned) }),
            ),
            Some("mention" | "localImage" | "skill") => {
                given.extend(text(block, "path").map(|path| Given { name: path.to_owned(), text: None }));
            }
            _ => {}
        }
    }
    (texts.join("\n"), given)
}
