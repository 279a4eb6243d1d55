//! The Agent Client Protocol: an editor and an agent, JSON lines.
//!
//! Agents differ in what they tell and when. A call may be seen first in the question for permission;
//! a refused one may never be mentioned again; a diff may be the whole file or a fragment of it; what
//! an agent lets the client write names no call. So everything said about a call is laid together, and
//! its end is the first of: its status, the person's refusal, the end of the turn.

use std::collections::HashMap;

use countersign_event::payload::tool::DecisionScope;
use serde_json::Value;

use super::agents::{
    Act, Call, Change, Ending, Given, Kind, Message, Open, Requested, Session, by_person, list, name, names, program,
    prompt_of, resources_in, session, status, text,
};
use super::diff::{self, Piece};
use super::{Direction, Program, Seen};

/// Tools of agents that read a resource of an MCP server.
const RESOURCE_READERS: &[&str] = &["ReadMcpResourceTool", "read_mcp_resource"];
/// So much of a terminal's output is kept; more is no content.
const TERMINAL_MAX: usize = 1 << 20;

/// Reads both directions of one stream.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    client: Option<Program>,
    agent: Option<Program>,
    sessions: HashMap<String, Session>,
    open: Open<Request>,
    last: u64,
}

#[derive(Debug)]
enum Request {
    Initialize,
    New { directory: Option<String> },
    Load { session: String },
    Prompt { session: String },
    Model { session: String, model: String },
    Mode { session: String, mode: String },
    Permission { session: String, call: String, kinds: HashMap<String, String> },
    Write { session: String, path: String, content: String },
    Read { session: String, path: String },
    Terminal { session: String, command: String },
    TerminalState { session: String, terminal: String },
}

impl Decoder {
    /// Takes a message; `None` where it is not of this protocol.
    pub(super) fn message(&mut self, message: &Message<'_>) -> Option<Vec<Seen>> {
        let Some(method) = message.method() else {
            let request = self.open.answer(message)?;
            return Some(self.answer(request, message));
        };
        let acts = match (method, message.direction()) {
            ("initialize", Direction::ToServer) => return self.initialize(message),
            ("session/new", Direction::ToServer) => {
                let directory = text(&message.params(), "cwd").map(str::to_owned);
                self.open.ask(message, Request::New { directory: directory.clone() });
                vec![Act::Works { directory }]
            }
            ("session/load" | "session/resume" | "session/fork", Direction::ToServer) => self.load(method, message),
            ("session/prompt", Direction::ToServer) => self.prompt(message),
            ("session/set_model" | "session/set_config_option" | "session/set_mode", Direction::ToServer) => {
                self.set(method, message);
                Vec::new()
            }
            ("session/update", Direction::ToEditor) => self.update(&message.params()),
            ("session/request_permission", Direction::ToEditor) => self.permission(message),
            ("fs/write_text_file", Direction::ToEditor) => self.write(message),
            ("fs/read_text_file", Direction::ToEditor) => {
                let params = message.params();
                if let (Some(id), Some(path)) = (text(&params, "sessionId"), text(&params, "path")) {
                    self.open.ask(message, Request::Read { session: id.to_owned(), path: path.to_owned() });
                }
                Vec::new()
            }
            ("terminal/create" | "terminal/output" | "terminal/wait_for_exit", Direction::ToEditor) => {
                self.terminal(method, message);
                Vec::new()
            }
            _ if method.starts_with("nes/") => return Some(vec![Seen::NotFollowed("next_edit")]),
            _ if method.starts_with("session/") || method.starts_with("terminal/") => Vec::new(),
            _ => return None,
        };
        Some(acts.into_iter().map(Seen::Agent).collect())
    }

    /// Ends every call that has not ended.
    pub(super) fn end(&mut self) -> Vec<Act> {
        self.sessions.iter_mut().flat_map(|(id, session)| session.end_all(id, Ending::Unknown)).collect()
    }

    /// This protocol counts its versions; others date them, or have none.
    fn initialize(&mut self, message: &Message<'_>) -> Option<Vec<Seen>> {
        let params = message.params();
        params["protocolVersion"].as_u64()?;
        self.client = program(&params["clientInfo"]);
        self.open.ask(message, Request::Initialize);
        Some(vec![Seen::Named(names(None, self.client.clone()))])
    }

    fn load(&mut self, method: &str, message: &Message<'_>) -> Vec<Act> {
        let params = message.params();
        let directory = text(&params, "cwd").map(str::to_owned);
        if method == "session/fork" {
            self.open.ask(message, Request::New { directory: directory.clone() });
        } else if let Some(id) = text(&params, "sessionId") {
            let session = session(&mut self.sessions, id);
            session.directory = directory.clone().or(session.directory.take());
            session.is_replaying = true;
            self.open.ask(message, Request::Load { session: id.to_owned() });
        }
        vec![Act::Works { directory }]
    }

    fn prompt(&mut self, message: &Message<'_>) -> Vec<Act> {
        let params = message.params();
        let Some(id) = text(&params, "sessionId") else { return Vec::new() };
        self.open.ask(message, Request::Prompt { session: id.to_owned() });
        let (text, given) = prompt_of(list(&params, "prompt"));
        let session = session(&mut self.sessions, id);
        session.is_replaying = false;
        let asked = session.asked(id, text, given);
        vec![Act::Asked(asked), Act::Works { directory: session.directory.clone() }]
    }

    fn set(&mut self, method: &str, message: &Message<'_>) {
        let params = message.params();
        let Some(session) = text(&params, "sessionId").map(str::to_owned) else { return };
        let value = |field| name(&params, field);
        let option = value("configId");
        let request = match (method, option.as_deref()) {
            ("session/set_model", _) => value("modelId").map(|model| Request::Model { session, model }),
            ("session/set_mode", _) => value("modeId").map(|mode| Request::Mode { session, mode }),
            (_, Some("model")) => value("value").map(|model| Request::Model { session, model }),
            (_, Some("mode")) => value("value").map(|mode| Request::Mode { session, mode }),
            _ => None,
        };
        if let Some(request) = request {
            self.open.ask(message, request);
        }
    }

    fn answer(&mut self, request: Request, message: &Message<'_>) -> Vec<Seen> {
        let acts = match request {
            Request::Initialize => {
                self.agent = program(&message.result()["agentInfo"]);
                return vec![Seen::Named(names(self.agent.clone(), self.client.clone()))];
            }
            Request::New { directory } => {
                let result = message.result();
                if let Some(id) = text(&result, "sessionId") {
                    let session = session(&mut self.sessions, id);
                    session.directory = directory;
                    session.read_settings(&result, self.agent.as_ref());
                }
                Vec::new()
            }
            Request::Load { session: id } => {
                let session = session(&mut self.sessions, &id);
                session.is_replaying = false;
                session.read_settings(&message.result(), self.agent.as_ref());
                Vec::new()
            }
            Request::Prompt { session: id } => {
                let result = message.result();
                let ending = match text(&result, "stopReason") {
                    Some("cancelled") => Ending::Rejected,
                    _ => Ending::Unknown,
                };
                match session(&mut self.sessions, &id) {
                    session if message.is_success() && result["stopReason"].is_string() => session.end_all(&id, ending),
                    // Where the answer does not end the turn, something else will.
                    session if message.is_success() => {
                        session.is_replaying = false;
                        Vec::new()
                    }
                    session => session.end_all(&id, Ending::Unknown),
                }
            }
            Request::Model { session: id, model } => {
                if message.is_success() {
                    session(&mut self.sessions, &id).model = requested(&model, self.agent.as_ref());
                }
                Vec::new()
            }
            Request::Mode { session: id, mode } => {
                if message.is_success() {
                    session(&mut self.sessions, &id).set_mode(&mode);
                }
                Vec::new()
            }
            Request::Permission { session, call, kinds } => self.decided(&session, &call, &kinds, &message.result()),
            Request::Write { session: id, path, content } => {
                if message.is_success() {
                    self.written(&id, path, content)
                } else {
                    Vec::new()
                }
            }
            Request::Terminal { session: id, command } => {
                if let Some(terminal) = text(&message.result(), "terminalId") {
                    session(&mut self.sessions, &id).terminal(terminal).command = Some(command);
                }
                Vec::new()
            }
            Request::TerminalState { session: id, terminal } => {
                let result = message.result();
                let terminal = session(&mut self.sessions, &id).terminal(&terminal);
                terminal.output = text(&result, "output").map(str::to_owned).or(terminal.output.take());
                let code = status(&result, "exitCode").or_else(|| status(&result["exitStatus"], "exitCode"));
                terminal.exit_status = code.or(terminal.exit_status);
                Vec::new()
            }
            Request::Read { session: id, path } => {
                let text = text(&message.result(), "content").map(str::to_owned);
                let session = session(&mut self.sessions, &id);
                // The one call that reads right now is the reader; of several nobody knows which.
                let mut readers = session.under_way().iter_mut().filter(|call| {
                    call.kind == Some(Kind::Read) && (call.places.is_empty() || call.places.contains(&path))
                });
                if let (Some(call), None) = (readers.next(), readers.next()) {
                    call.gives(Given { name: path, text });
                }
                Vec::new()
            }
        };
        acts.into_iter().map(Seen::Agent).collect()
    }

    fn terminal(&mut self, method: &str, message: &Message<'_>) {
        let params = message.params();
        let Some(session) = text(&params, "sessionId").map(str::to_owned) else { return };
        let request = match (method, text(&params, "command"), text(&params, "terminalId")) {
            ("terminal/create", Some(command), _) => {
                let arguments = list(&params, "args").iter().filter_map(Value::as_str);
                let words: Vec<&str> = std::iter::once(command).chain(arguments).collect();
                Request::Terminal { session, command: command_line(&words) }
            }
            (_, _, Some(terminal)) => Request::TerminalState { session, terminal: terminal.to_owned() },
            _ => return,
        };
        self.open.ask(message, request);
    }

    fn update(&mut self, params: &Value) -> Vec<Act> {
        let Some(id) = text(params, "sessionId") else { return Vec::new() };
        let update = &params["update"];
        let session = session(&mut self.sessions, id);
        match text(update, "sessionUpdate") {
            Some("tool_call" | "tool_call_update") => self.tool_call(id, update),
            Some("agent_thought_chunk") => {
                session.thinks(text(&update["content"], "text").unwrap_or_default());
                Vec::new()
            }
            Some("current_mode_update") => {
                session.set_mode(text(update, "currentModeId").or(text(update, "modeId")).unwrap_or_default());
                Vec::new()
            }
            Some("config_option_update") => {
                session.read_settings(update, self.agent.as_ref());
                Vec::new()
            }
            // One agent says it in the chat alone.
            Some("agent_message_chunk") => {
                if let Some(mode) =
                    text(&update["content"], "text").and_then(|text| text.strip_prefix("[MODE_UPDATE] "))
                {
                    session.set_mode(mode.trim());
                }
                Vec::new()
            }
            // From the second version on, this ends a turn and not the answer to the prompt.
            Some("state_update") => match text(update, "stopReason").or(text(&update["state"], "stopReason")) {
                Some("cancelled") => session.end_all(id, Ending::Rejected),
                Some(_) => session.end_all(id, Ending::Unknown),
                None => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    fn tool_call(&mut self, id: &str, update: &Value) -> Vec<Act> {
        let Some(call_id) = text(update, "toolCallId") else { return Vec::new() };
        let session = session(&mut self.sessions, id);
        let Some(call) = session.call(call_id, &mut self.last) else { return Vec::new() };
        call.read(update, call_id, true);
        session.read_terminal(&update["_meta"]);
        let touches = session.touches(call_id);
        let ending = match text(update, "status") {
            Some("completed") => Some(Ending::Done),
            Some("failed" | "error") => Some(failure(update)),
            Some("cancelled" | "canceled") => Some(Ending::Rejected),
            Some("rejected" | "declined") => Some(Ending::Rejected),
            _ => None,
        };
        let end = ending.and_then(|ending| session.end(id, call_id, ending));
        touches.into_iter().chain(end).collect()
    }

    fn permission(&mut self, message: &Message<'_>) -> Vec<Act> {
        let params = message.params();
        let (Some(id), Some(call_id)) = (text(&params, "sessionId"), text(&params["toolCall"], "toolCallId")) else {
            return Vec::new();
        };
        let kinds = list(&params, "options")
            .iter()
            .filter_map(|option| Some((name(option, "optionId")?, name(option, "kind")?)))
            .collect();
        let request = Request::Permission { session: id.to_owned(), call: call_id.to_owned(), kinds };
        self.open.ask(message, request);
        let session = session(&mut self.sessions, id);
        session.is_replaying = false;
        let Some(call) = session.call(call_id, &mut self.last) else { return Vec::new() };
        call.read(&params["toolCall"], call_id, false);
        session.touches(call_id).into_iter().collect()
    }

    fn decided(&mut self, id: &str, call_id: &str, kinds: &HashMap<String, String>, result: &Value) -> Vec<Act> {
        let session = session(&mut self.sessions, id);
        let outcome = &result["outcome"];
        let kind = text(outcome, "optionId").and_then(|option| Some(kinds.get(option)?.as_str()));
        let scope = match kind {
            Some("allow_always" | "reject_always") => DecisionScope::Always,
            _ => DecisionScope::Once,
        };
        let is_allowed = match text(outcome, "outcome") {
            Some("selected") => match kind {
                Some(kind) => kind.starts_with("allow"),
                // An option nobody offered: what follows will tell.
                None => return Vec::new(),
            },
            Some("cancelled") => false,
            _ => return Vec::new(),
        };
        let mut kind = None;
        if let Some(call) = session.call(call_id, &mut self.last) {
            call.decision = by_person(scope);
            kind = call.kind;
        }
        if is_allowed {
            session.grants.give(kind, scope);
            return Vec::new();
        }
        session.end(id, call_id, Ending::Rejected).into_iter().collect()
    }

    fn write(&mut self, message: &Message<'_>) -> Vec<Act> {
        let params = message.params();
        let field = |name| text(&params, name).map(str::to_owned);
        let (Some(id), Some(path), Some(content)) = (field("sessionId"), field("path"), field("content")) else {
            return Vec::new();
        };
        let session = session(&mut self.sessions, &id);
        let call_id = writer(session, &path).map(|call| {
            if !call.places.contains(&path) {
                call.places.push(path.clone());
            }
            call.id().to_owned()
        });
        let touches = call_id.and_then(|id| session.touches(&id));
        self.open.ask(message, Request::Write { session: id, path, content });
        touches.into_iter().collect()
    }

    fn written(&mut self, id: &str, path: String, content: String) -> Vec<Act> {
        let session = session(&mut self.sessions, id);
        if let Some(call) = writer(session, &path) {
            call.kind.get_or_insert(Kind::Edit);
            call.written.insert(path, content);
            return Vec::new();
        }
        // Nobody announced it: the writing is all there is of the call.
        let own = format!("fs/write_text_file {}", self.last + 1);
        let Some(call) = session.call(&own, &mut self.last) else { return Vec::new() };
        call.kind = Some(Kind::Edit);
        call.tool_name = Some("fs/write_text_file".to_owned());
        call.written.insert(path, content);
        let end = session.end(id, &own, Ending::Done).map(|act| match act {
            Act::Called(mut called) => {
                called.id = None;
                Act::Called(called)
            }
            other => other,
        });
        end.into_iter().collect()
    }
}

/// Returns the call that a file is written for: the latest that named the file, else the only one that
/// may write.
fn writer<'a>(session: &'a mut Session, path: &str) -> Option<&'a mut Call> {
    let names = |call: &Call| {
        call.places.iter().any(|place| place == path) || call.changes.iter().any(|change| change.path == path)
    };
    let calls = session.under_way();
    let at = calls.iter().rposition(names).or_else(|| {
        let mut may = calls.iter().enumerate().filter(|(_, call)| call.kind != Some(Kind::Read));
        let (at, _) = may.next()?;
        may.next().is_none().then_some(at)
    })?;
    calls.get_mut(at)
}

/// A refusal nobody was asked about came from a rule.
fn failure(update: &Value) -> Ending {
    match text(&update["rawOutput"], "code") {
        Some("rejected" | "denied") => Ending::Denied,
        _ => Ending::Failed,
    }
}

/// Splits `provider/model` where an agent writes it so.
fn requested(model: &str, agent: Option<&Program>) -> Requested {
    let writes_provider = agent.is_some_and(|agent| agent.name.eq_ignore_ascii_case("opencode"));
    match model.split_once('/').filter(|_| writes_provider) {
        Some((provider, model)) => {
            Requested { name: Some(model.to_owned()), provider: Some(provider.to_owned()), responded: None }
        }
        None => Requested { name: Some(model.to_owned()), ..Requested::default() },
    }
}

/// Writes a command and its arguments as a shell would take them.
fn command_line(words: &[&str]) -> String {
    match words {
        // What a shell runs says more than that it is a shell.
        [_, flag, script] if flag.starts_with('-') && flag.ends_with('c') => (*script).to_owned(),
        [script] => (*script).to_owned(),
        words => {
            let quoted = words.iter().map(|word| {
                match word.chars().all(|c| !c.is_whitespace() && !"'\"\\|&;<>()$`#".contains(c)) {
                    true if !word.is_empty() => (*word).to_owned(),
                    _ => format!("'{}'", word.replace('\'', "'\\''")),
                }
            });
            quoted.collect::<Vec<_>>().join(" ")
        }
    }
}

impl Session {
    /// Some agents run commands themselves and show them as terminals all the same.
    fn read_terminal(&mut self, meta: &Value) {
        let (exit, output) = (&meta["terminal_exit"], &meta["terminal_output"]);
        if let Some(id) = text(exit, "terminal_id") {
            self.terminal(id).exit_status = status(exit, "exit_code");
        }
        if let Some(id) = text(output, "terminal_id") {
            let terminal = self.terminal(id);
            let all = terminal.output.get_or_insert_default();
            if all.len() < TERMINAL_MAX {
                all.push_str(text(output, "data").unwrap_or_default());
            }
        }
    }

    /// Reads the model and the mode from wherever this agent says them.
    fn read_settings(&mut self, value: &Value, agent: Option<&Program>) {
        for option in list(value, "configOptions") {
            match (text(option, "id"), name(option, "currentValue")) {
                (Some("model"), Some(model)) => self.model = requested(&model, agent),
                (Some("mode"), Some(mode)) => self.set_mode(&mode),
                (Some("allow_all"), Some(value)) => {
                    self.grants.mode = (value == "on").then_some(DecisionScope::Session);
                }
                _ => {}
            }
        }
        if let Some(model) = name(&value["models"], "currentModelId") {
            self.model = requested(&model, agent);
        }
        if let Some(mode) = name(&value["modes"], "currentModeId") {
            self.set_mode(&mode);
        }
    }

    /// Some modes are a permission for everything that edits.
    fn set_mode(&mut self, mode: &str) {
        let mode = mode.rsplit('#').next().unwrap_or(mode).to_ascii_lowercase();
        let allows = ["acceptedits", "autoedit", "auto_edit", "yolo", "bypasspermissions", "autopilot", "full-access"];
        self.grants.mode = allows.contains(&mode.as_str()).then_some(DecisionScope::Session);
    }
}

impl Call {
    /// Lays what a message says about the call over what is known; the model's own words about its
    /// arguments outdo what a question shows of them.
    fn read(&mut self, update: &Value, id: &str, is_own_word: bool) {
        if let Some(kind) = text(update, "kind") {
            self.kind = Some(match kind {
                "read" | "search" | "think" | "fetch" => Kind::Read,
                "edit" => Kind::Edit,
                _ => Kind::Other,
            });
        }
        let meta = &update["_meta"]["claudeCode"];
        let arguments = &update["rawInput"];
        let has_arguments =
            !matches!(arguments, Value::Null) && arguments.as_object().is_none_or(|map| !map.is_empty());
        if has_arguments && (is_own_word || self.arguments.is_none()) {
            self.arguments = Some(arguments.to_string());
        }
        if text(update, "kind") == Some("execute") || self.command.is_some() {
            let words: Vec<&str> = list(arguments, "command").iter().filter_map(Value::as_str).collect();
            let words = if words.is_empty() { text(arguments, "command").into_iter().collect() } else { words };
            self.command = (!words.is_empty()).then(|| command_line(&words)).or(self.command.take());
        }
        for content in list(update, "content").iter().filter(|content| text(content, "type") == Some("terminal")) {
            if let Some(id) = text(content, "terminalId").filter(|id| !self.terminals.iter().any(|own| own == id)) {
                self.terminals.push(id.to_owned());
            }
        }
        let known = name(meta, "toolName")
            .or_else(|| name(&update["_meta"], "toolName"))
            .or_else(|| self.tool_name.take())
            .or_else(|| of_id(id))
            .or_else(|| of_arguments(arguments).filter(|_| is_own_word))
            .or_else(|| name(update, "title").filter(|title| is_name(title)));
        self.tool_name = known;
        let reads_resource = self.tool_name.as_deref().is_some_and(|tool| RESOURCE_READERS.contains(&tool));
        if let Some(uri) = text(arguments, "uri").filter(|_| reads_resource) {
            self.gives(Given { name: uri.to_owned(), text: None });
        }
        if let Some(places) = update["locations"].as_array() {
            for path in places.iter().filter_map(|place| text(place, "path")).map(super::agents::path_of) {
                if !self.places.contains(&path) {
                    self.places.push(path);
                }
            }
        }
        let diffs: Vec<&Value> =
            list(update, "content").iter().filter(|content| text(content, "type") == Some("diff")).collect();
        if !diffs.is_empty() {
            self.changes = diffs.into_iter().flat_map(changes).collect();
        }
        self.read_claude(&meta["toolResponse"]);
        self.read_answer(update);
    }

    /// One agent sends what its tool answered, with the whole file as it was.
    fn read_claude(&mut self, response: &Value) {
        let Some(path) = text(response, "filePath") else { return };
        let before = response.get("originalFile").map(|original| original.as_str().map(str::to_owned));
        let after = text(response, "content").map(|content| Some(content.to_owned()));
        let mut pieces: Vec<Piece> = Vec::new();
        for hunk in list(response, "structuredPatch") {
            let number = |field: &str| hunk[field].as_u64().unwrap_or(0) as usize;
            let lines = list(hunk, "lines").iter().filter_map(Value::as_str);
            let mut piece = Piece { lines: Some((number("oldStart"), number("newStart"))), ..Piece::default() };
            for line in lines {
                let Some((sign, rest)) = line.split_at_checked(1) else { continue };
                if matches!(sign, " " | "-") {
                    piece.old.push_str(rest);
                    piece.old.push('\n');
                }
                if matches!(sign, " " | "+") {
                    piece.new.push_str(rest);
                    piece.new.push('\n');
                }
            }
            pieces.push(piece);
        }
        if before.is_none() && after.is_none() && pieces.is_empty() {
            return;
        }
        // Its diff of the whole file says more than the hunks with context that stand beside it.
        self.changes.retain(|change| change.path != path);
        self.changes.push(Change { path: path.to_owned(), moved_to: None, before, after, pieces });
    }

    fn read_answer(&mut self, update: &Value) {
        let answer = match &update["rawOutput"] {
            Value::Null => {
                let texts: Vec<&str> =
                    list(update, "content").iter().filter_map(|content| text(&content["content"], "text")).collect();
                (!texts.is_empty()).then(|| texts.join("\n"))
            }
            Value::String(answer) => Some(answer.clone()),
            other => {
                Some(text(other, "output").or(text(other, "content")).map_or_else(|| other.to_string(), str::to_owned))
            }
        };
        self.answer = answer.or(self.answer.take());
        // What a command ended with stands in one of these places, or nowhere.
        let output = &update["rawOutput"];
        let told = status(output, "exit_code").or_else(|| status(output, "exitCode"));
        let told = told.or_else(|| status(&output["metadata"], "exit"));
        let told = told.or_else(|| {
            let last = self.answer.as_deref()?.trim_end().lines().last()?;
            last.strip_prefix("<exited with exit code ")?.strip_suffix('>')?.parse().ok()
        });
        let failed = || {
            let code = self.answer.as_deref()?.strip_prefix("Exit code ")?;
            code.lines().next()?.trim().parse().ok()
        };
        let told = told.or_else(|| failed().filter(|_| text(update, "status") == Some("failed")));
        if self.command.is_some() {
            self.exit_status = told.or(self.exit_status);
        }
        for given in resources_in(&inner(update)) {
            self.gives(given);
        }
    }

    fn gives(&mut self, given: Given) {
        if !self.given.iter().any(|other| other.name == given.name) {
            self.given.push(given);
        }
    }
}

/// The content blocks of an update, without what is about the call itself.
fn inner(update: &Value) -> Vec<Value> {
    list(update, "content").iter().map(|content| content["content"].clone()).collect()
}

/// Reads one diff: two texts of one file, or from the second version on a patch of several.
fn changes(content: &Value) -> Vec<Change> {
    if let Some(patch) = text(&content["patch"], "text") {
        return diff::files(patch)
            .into_iter()
            .filter_map(|file| {
                let mut change = Change { pieces: file.pieces, ..Change::default() };
                match (file.old, file.new) {
                    (Some(old), Some(new)) => {
                        change.moved_to = (old != new).then_some(new);
                        change.path = old;
                    }
                    (None, Some(new)) => (change.path, change.before) = (new, Some(None)),
                    (Some(old), None) => (change.path, change.after) = (old, Some(None)),
                    (None, None) => return None,
                }
                Some(change)
            })
            .collect();
    }
    let Some(path) = text(content, "path") else { return Vec::new() };
    let new = text(content, "newText").unwrap_or_default().to_owned();
    let old = text(content, "oldText").unwrap_or_default().to_owned();
    let mut change = Change { path: super::agents::path_of(path), ..Change::default() };
    match text(&content["_meta"], "kind") {
        Some("add") => (change.before, change.after) = (Some(None), Some(Some(new))),
        Some("delete") => (change.before, change.after) = (Some(Some(old)), Some(None)),
        _ if old.is_empty() => change.after = Some(Some(new)),
        _ => change.pieces = vec![Piece { old, new, ..Piece::default() }],
    }
    vec![change]
}

/// One agent makes its call ids of the tool's name: `write_file__write_file_1795196163688_0`.
fn of_id(id: &str) -> Option<String> {
    let (tool, rest) = id.split_once("__")?;
    let rest = rest.strip_prefix(tool)?;
    (!tool.is_empty() && rest.starts_with('_')).then(|| tool.to_owned())
}

/// One agent shows its calls by sentences; the arguments still tell which of its tools it is.
fn of_arguments(arguments: &Value) -> Option<String> {
    let has = |field: &str| arguments.get(field).is_some();
    let tool = match () {
        () if has("path") && has("old_str") => "edit",
        () if has("path") && has("file_text") => "create",
        () if has("path")
            && arguments
                .as_object()
                .is_some_and(|map| map.keys().all(|key| key.starts_with("view_") || key == "path")) =>
        {
            "view"
        }
        () if has("changes") => "apply_patch",
        () => return None,
    };
    Some(tool.to_owned())
}

fn is_name(title: &str) -> bool {
    title.len() <= 64 && title.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}
