//! The Model Context Protocol: an agent and a server of tools, JSON lines.
//!
//! Newer clients never shake hands: who they are stands in each request. What a tool does to files is
//! its own affair, so every call may have changed anything; what the client calls it, in which session
//! and for which model stands beside the arguments where a client says it at all.

use serde_json::{Value, json};

use super::agents::{
    Act, Called, Ending, Given, Message, Open, Requested, catalogue, list, name, names, program, resources_in, text,
    words_of,
};
use super::{Direction, Program, Seen};

/// Reads both directions of one stream.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    client: Option<Program>,
    server: Option<Program>,
    open: Open<Request>,
    calls: u64,
    tools: Vec<String>,
    is_known: bool,
}

#[derive(Debug)]
enum Request {
    Initialize,
    Discover,
    Tools,
    Call(Box<Called>),
    Read { uri: String },
}

impl Decoder {
    /// Takes a message; `None` where it is not of this protocol.
    pub(super) fn message(&mut self, message: &Message<'_>) -> Option<Vec<Seen>> {
        let Some(method) = message.method() else {
            let request = self.open.answer(message)?;
            return Some(self.answer(request, message));
        };
        if message.direction() == Direction::ToEditor {
            let is_ours = ["sampling/", "roots/", "elicitation/", "notifications/"];
            return is_ours.iter().any(|prefix| self.is_known && method.starts_with(prefix)).then(Vec::new);
        }
        let mut seen = Vec::new();
        match method {
            "initialize" => {
                let params = message.params();
                // This protocol dates its versions.
                params["protocolVersion"].as_str()?;
                self.client = program(&params["clientInfo"]);
                self.open.ask(message, Request::Initialize);
                seen.push(Seen::Named(names(None, self.client.clone())));
                seen.push(Seen::Agent(Act::Works { directory: None }));
            }
            "server/discover" => {
                self.introduces(&message.params(), &mut seen);
                self.open.ask(message, Request::Discover);
            }
            "tools/list" => {
                let params = message.params();
                self.introduces(&params, &mut seen);
                if params["cursor"].is_null() {
                    self.tools.clear();
                }
                self.open.ask(message, Request::Tools);
            }
            "tools/call" => {
                let params = message.params();
                self.introduces(&params, &mut seen);
                let called = self.call(&params);
                seen.push(Seen::Agent(Act::Touches {
                    call: called.call,
                    directory: called.directory.clone(),
                    paths: called.changes.iter().map(|change| change.path.clone()).collect(),
                }));
                self.open.ask(message, Request::Call(Box::new(called)));
            }
            "resources/read" => {
                let params = message.params();
                self.introduces(&params, &mut seen);
                if let Some(uri) = text(&params, "uri") {
                    self.open.ask(message, Request::Read { uri: uri.to_owned() });
                }
            }
            "notifications/cancelled" => {}
            _ if method.starts_with("notifications/") || method.starts_with("prompts/") => {
                return self.is_known.then_some(seen);
            }
            _ if method.starts_with("resources/") || method == "ping" => return self.is_known.then_some(seen),
            _ => return None,
        }
        self.is_known = true;
        Some(seen)
    }

    /// Ends every call that has not been answered.
    pub(super) fn end(&mut self) -> Vec<Act> {
        let mut called: Vec<Box<Called>> = self
            .open
            .take()
            .into_iter()
            .filter_map(|request| if let Request::Call(called) = request { Some(called) } else { None })
            .collect();
        called.sort_by_key(|called| called.call);
        called.into_iter().map(Act::Called).collect()
    }

    /// Reads who asks, where each request says it.
    fn introduces(&mut self, params: &Value, seen: &mut Vec<Seen>) {
        let meta = &params["_meta"];
        if self.client.is_none()
            && let Some(client) = program(&meta["io.modelcontextprotocol/clientInfo"])
        {
            self.client = Some(client);
            seen.push(Seen::Named(names(self.server.clone(), self.client.clone())));
        }
        if !self.is_known {
            seen.push(Seen::Agent(Act::Works { directory: None }));
        }
    }

    fn call(&mut self, params: &Value) -> Called {
        self.calls += 1;
        let meta = &params["_meta"];
        let turn = &meta["x-codex-turn-metadata"];
        let session = name(turn, "session_id").or_else(|| name(meta, "sessionId")).or_else(|| name(meta, "threadId"));
        let directory = turn["workspaces"].as_object().and_then(|map| map.keys().next().cloned());
        let arguments = &params["arguments"];
        Called {
            call: self.calls,
            session,
            id: name(meta, "claudecode/toolUseId")
                .or_else(|| name(meta, "callId"))
                .or_else(|| name(meta, "toolCallId")),
            tool_name: name(params, "name").unwrap_or_else(|| "unknown".to_owned()),
            arguments: (!arguments.is_null()).then(|| arguments.to_string()),
            reaches_all: true,
            changes: named_files(arguments),
            model: Requested { name: name(turn, "model"), ..Requested::default() },
            directory,
            client: self.shown_by(),
            ..Called::default()
        }
    }

    /// Returns the program that shows the calls, by our catalogue's name where we know it.
    fn shown_by(&self) -> Option<Program> {
        let client = self.client.as_ref()?;
        let name = catalogue(&client.name).map_or_else(|| client.name.clone(), str::to_owned);
        Some(Program { name, version: client.version.clone() })
    }

    fn answer(&mut self, request: Request, message: &Message<'_>) -> Vec<Seen> {
        match request {
            Request::Initialize | Request::Discover => {
                let result = message.result();
                self.server = program(&result["serverInfo"]).or(self.server.take());
                vec![Seen::Named(names(self.server.clone(), self.client.clone()))]
            }
            Request::Tools => {
                let result = message.result();
                self.tools.extend(list(&result, "tools").iter().filter_map(|tool| name(tool, "name")));
                if !result["nextCursor"].is_null() || self.tools.is_empty() {
                    return Vec::new();
                }
                vec![Seen::Agent(Act::Offers { tools: std::mem::take(&mut self.tools) })]
            }
            Request::Call(mut called) => {
                let result = message.result();
                called.ending = match message.is_success() {
                    true if result["isError"] == true => Ending::Failed,
                    // Work that goes on, or a question back: its end is not this answer.
                    true if text(&result, "resultType").is_some_and(|kind| kind != "complete") => Ending::Unknown,
                    true => Ending::Done,
                    false => Ending::Failed,
                };
                called.answer = (!result.is_null()).then(|| words_of(&result));
                called.given = resources_in(list(&result, "content"));
                vec![Seen::Agent(Act::Called(called))]
            }
            Request::Read { uri } => {
                let result = message.result();
                let read = list(&result, "contents").iter();
                let given = read.map(|content| Given {
                    name: text(content, "uri").unwrap_or(&uri).to_owned(),
                    text: text(content, "text").map(str::to_owned),
                });
                let mut given: Vec<Given> = given.collect();
                let texts: Vec<&str> = given.iter().filter_map(|given| given.text.as_deref()).collect();
                let answer = (!texts.is_empty()).then(|| texts.join("\n"));
                if given.is_empty() {
                    given.push(Given { name: uri.clone(), text: None });
                }
                self.calls += 1;
                let called = Called {
                    call: self.calls,
                    tool_name: "resources/read".to_owned(),
                    ending: if message.is_success() { Ending::Done } else { Ending::Failed },
                    arguments: Some(json!({ "uri": uri }).to_string()),
                    answer,
                    given,
                    client: self.shown_by(),
                    ..Called::default()
                };
                vec![Seen::Agent(Act::Called(Box::new(called)))]
            }
        }
    }
}

/// Files that the arguments name: they are looked at before and after, whatever the tool does.
fn named_files(arguments: &Value) -> Vec<super::agents::Change> {
    let mut found = Vec::new();
    for (key, value) in arguments.as_object().into_iter().flatten() {
        let key = key.to_ascii_lowercase();
        let names_a_file = ["path", "file", "uri", "target"].iter().any(|part| key.contains(part));
        let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        let paths = values.iter().filter_map(Value::as_str).filter(|path| names_a_file && path.len() < 4096);
        found.extend(paths.map(|path| super::agents::Change {
            path: super::agents::path_of(path),
            ..super::agents::Change::default()
        }));
        if found.len() > 64 {
            break;
        }
    }
    found
}
