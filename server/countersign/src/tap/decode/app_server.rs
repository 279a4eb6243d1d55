//! `codex app-server`: JSON lines between an editor's extension and the agent, without the `jsonrpc`
//! member.
//!
//! Each call is an item that starts and completes, with its whole diff in both. What a person decided
//! is the answer to a question about the item; the older questions name the call itself.

use std::collections::HashMap;

use countersign_event::payload::tool::DecisionScope;
use serde_json::Value;

use super::agents::{
    Act, Change, Ending, Given, Kind, Message, Open, Requested, Session, by_person, list, name, names, program,
    prompt_of, session, status, text, words_of,
};
use super::{Direction, Program, Seen, Version, diff};

/// Reads both directions of one stream.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    client: Option<Program>,
    sessions: HashMap<String, Session>,
    open: Open<Request>,
    last: u64,
}

#[derive(Debug)]
enum Request {
    Initialize,
    Thread { directory: Option<String> },
    Approval { session: String, call: String },
}

impl Decoder {
    /// Takes a message; `None` where it is not of this protocol.
    pub(super) fn message(&mut self, message: &Message<'_>) -> Option<Vec<Seen>> {
        let Some(method) = message.method() else {
            let request = self.open.answer(message)?;
            return self.answer(request, message);
        };
        let acts = match (method, message.direction()) {
            ("initialize", Direction::ToServer) => {
                let params = message.params();
                // Language servers are told who started them.
                if params.get("processId").is_some() || params.get("rootUri").is_some() {
                    return None;
                }
                self.client = program(&params["clientInfo"]);
                self.open.ask(message, Request::Initialize);
                return None;
            }
            ("thread/start" | "thread/resume" | "thread/fork" | "newConversation", Direction::ToServer) => {
                let directory = text(&message.params(), "cwd").map(str::to_owned);
                self.open.ask(message, Request::Thread { directory: directory.clone() });
                vec![Act::Works { directory }]
            }
            ("turn/start" | "turn/steer", Direction::ToServer) => self.turn(&message.params()),
            ("sendUserMessage" | "sendUserTurn", Direction::ToServer) => self.turn(&message.params()),
            ("thread/started", Direction::ToEditor) => {
                self.thread(&message.params(), None);
                Vec::new()
            }
            ("item/started" | "item/updated" | "item/completed", Direction::ToEditor) => self.item(&message.params()),
            (
                "item/fileChange/requestApproval"
                | "item/commandExecution/requestApproval"
                | "item/mcpToolCall/requestApproval"
                | "applyPatchApproval"
                | "execCommandApproval",
                Direction::ToEditor,
            ) => self.approval(method, message),
            ("turn/completed", Direction::ToEditor) => self.turn_ended(&message.params()),
            ("model/rerouted", Direction::ToEditor) => {
                let params = message.params();
                if let Some(id) = text(&params, "threadId") {
                    session(&mut self.sessions, id).model.responded = name(&params, "toModel");
                }
                Vec::new()
            }
            _ if ["thread/", "turn/", "item/", "account/", "model/", "serverRequest/"]
                .iter()
                .any(|prefix| method.starts_with(prefix)) =>
            {
                Vec::new()
            }
            _ => return None,
        };
        Some(acts.into_iter().map(Seen::Agent).collect())
    }

    /// Ends every call that has not ended.
    pub(super) fn end(&mut self) -> Vec<Act> {
        self.sessions.iter_mut().flat_map(|(id, session)| session.end_all(id, Ending::Unknown)).collect()
    }

    fn answer(&mut self, request: Request, message: &Message<'_>) -> Option<Vec<Seen>> {
        match request {
            // `client/0.169.0 (system) terminal`: the version is the server's own.
            Request::Initialize => {
                let result = message.result();
                let version = text(&result, "userAgent")?.split_once('/')?.1.split(' ').next()?;
                Some(vec![Seen::Named(names(Some(codex(version)), self.client.clone()))])
            }
            Request::Thread { directory } => {
                let result = message.result();
                self.thread(&result, directory);
                let version = text(&result["thread"], "cliVersion").map(codex);
                let named = version.map(|server| Seen::Named(names(Some(server), self.client.clone())));
                Some(named.into_iter().collect())
            }
            Request::Approval { session, call } => {
                let acts = self.decided(&session, &call, &message.result());
                Some(acts.into_iter().map(Seen::Agent).collect())
            }
        }
    }

    fn thread(&mut self, value: &Value, directory: Option<String>) {
        let thread = &value["thread"];
        let Some(id) = text(thread, "id").or(text(value, "conversationId")) else { return };
        let session = session(&mut self.sessions, id);
        let field = |field| name(value, field).or_else(|| name(thread, field));
        session.directory =
            text(value, "cwd").or(text(thread, "cwd")).map(str::to_owned).or(directory).or(session.directory.take());
        if let Some(model) = field("model") {
            session.model = Requested { name: Some(model), provider: field("modelProvider"), responded: None };
        }
        let never_asks = ["never", "full-access"].contains(&text(value, "approvalPolicy").unwrap_or_default());
        session.grants.mode = never_asks.then_some(DecisionScope::Session);
    }

    fn turn(&mut self, params: &Value) -> Vec<Act> {
        let Some(id) = text(params, "threadId").or(text(params, "conversationId")) else { return Vec::new() };
        let mut blocks = list(params, "input").to_vec();
        // The older form has the text one level below.
        for item in list(params, "items") {
            let mut block = item["data"].clone();
            block["type"] = item["type"].clone();
            blocks.push(block);
        }
        let (text_sent, given) = prompt_of(&blocks);
        let session = session(&mut self.sessions, id);
        if let Some(model) = name(params, "model") {
            session.model = Requested { name: Some(model), responded: None, ..session.model.clone() };
        }
        if let Some(directory) = text(params, "cwd") {
            session.directory = Some(directory.to_owned());
        }
        let asked = session.asked(id, text_sent, given);
        vec![Act::Asked(asked), Act::Works { directory: session.directory.clone() }]
    }

    fn turn_ended(&mut self, params: &Value) -> Vec<Act> {
        let Some(id) = text(params, "threadId") else { return Vec::new() };
        let ending = match text(&params["turn"], "status") {
            Some("interrupted") => Ending::Rejected,
            _ => Ending::Unknown,
        };
        session(&mut self.sessions, id).end_all(id, ending)
    }

    fn item(&mut self, params: &Value) -> Vec<Act> {
        let item = &params["item"];
        let (Some(id), Some(call_id)) = (text(params, "threadId"), text(item, "id")) else { return Vec::new() };
        let session = session(&mut self.sessions, id);
        let kind = match text(item, "type") {
            Some("fileChange") => Kind::Edit,
            Some("commandExecution" | "mcpToolCall" | "dynamicToolCall") => Kind::Other,
            Some("webSearch" | "imageView") => Kind::Read,
            Some("reasoning") if params.get("completedAtMs").is_some() => {
                for part in list(item, "summary").iter().chain(list(item, "content")).filter_map(Value::as_str) {
                    session.thinks(part);
                }
                return Vec::new();
            }
            _ => return Vec::new(),
        };
        let Some(call) = session.call(call_id, &mut self.last) else { return Vec::new() };
        call.kind = Some(kind);
        match text(item, "type") {
            Some("fileChange") => {
                call.tool_name = Some("apply_patch".to_owned());
                call.arguments = Some(item["changes"].to_string());
                call.changes = list(item, "changes").iter().filter_map(change).collect();
            }
            Some("commandExecution") => {
                call.tool_name = Some("shell".to_owned());
                call.arguments = text(item, "command").map(str::to_owned);
                call.answer = text(item, "aggregatedOutput").map(str::to_owned);
                call.command.clone_from(&call.arguments);
                call.exit_status = status(item, "exitCode");
                let reads = list(item, "commandActions").iter().filter(|action| text(action, "type") == Some("read"));
                let given = reads.filter_map(|action| text(action, "path"));
                call.given = given.map(|path| Given { name: path.to_owned(), text: None }).collect();
            }
            Some("imageView") => {
                call.tool_name = Some("view_image".to_owned());
                call.given =
                    text(item, "path").map(|path| Given { name: path.to_owned(), text: None }).into_iter().collect();
            }
            Some("webSearch") => {
                call.tool_name = Some("web_search".to_owned());
                call.arguments = text(item, "query").map(str::to_owned);
            }
            _ => {
                call.tool_name = name(item, "tool");
                call.arguments = item.get("arguments").map(Value::to_string);
                let result = &item["result"];
                call.answer = (!result.is_null()).then(|| words_of(result));
                call.answer = call.answer.take().or_else(|| text(&item["error"], "message").map(str::to_owned));
                if call.tool_name.as_deref() == Some("read_mcp_resource") {
                    call.given = resource(&item["arguments"], call.answer.as_deref()).into_iter().collect();
                }
            }
        }
        let was_asked = call.decision.is_some();
        let touches = session.touches(call_id);
        let ending = match text(item, "status") {
            Some("completed") if item["success"] == false => Some(Ending::Failed),
            Some("completed") => Some(Ending::Done),
            Some("failed") => Some(Ending::Failed),
            Some("declined") if was_asked => Some(Ending::Rejected),
            Some("declined") => Some(Ending::Denied),
            // Some items have no status: they are done when they are said to be.
            None if params.get("completedAtMs").is_some() => Some(Ending::Done),
            _ => None,
        };
        let end = ending.and_then(|ending| session.end(id, call_id, ending));
        touches.into_iter().chain(end).collect()
    }

    fn approval(&mut self, method: &str, message: &Message<'_>) -> Vec<Act> {
        let params = message.params();
        let thread = text(&params, "threadId").or(text(&params, "conversationId"));
        let (Some(id), Some(call_id)) = (thread, text(&params, "itemId").or(text(&params, "callId"))) else {
            return Vec::new();
        };
        self.open.ask(message, Request::Approval { session: id.to_owned(), call: call_id.to_owned() });
        let session = session(&mut self.sessions, id);
        let Some(call) = session.call(call_id, &mut self.last) else { return Vec::new() };
        if method == "applyPatchApproval" {
            call.kind = Some(Kind::Edit);
            call.tool_name = Some("apply_patch".to_owned());
            if call.changes.is_empty() {
                call.arguments = Some(params["fileChanges"].to_string());
                call.changes = params["fileChanges"]
                    .as_object()
                    .into_iter()
                    .flatten()
                    .filter_map(|(path, change)| older_change(path, change))
                    .collect();
            }
        } else if method == "execCommandApproval" {
            call.kind = Some(Kind::Other);
            call.tool_name = Some("shell".to_owned());
            call.arguments.get_or_insert_with(|| params["command"].to_string());
        }
        session.touches(call_id).into_iter().collect()
    }

    fn decided(&mut self, id: &str, call_id: &str, result: &Value) -> Vec<Act> {
        let session = session(&mut self.sessions, id);
        let decision = &result["decision"];
        let word = decision.as_str().or_else(|| decision.as_object()?.keys().next().map(String::as_str));
        let (is_allowed, scope) = match word {
            Some("accept" | "approved") => (true, DecisionScope::Once),
            Some("acceptForSession" | "approved_for_session") => (true, DecisionScope::Session),
            // With a rule for the future beside it.
            Some(word) if word.starts_with("accept") || word.starts_with("approved") => (true, DecisionScope::Always),
            Some("decline" | "cancel" | "denied" | "abort") => (false, DecisionScope::Once),
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
}

/// The resource that a call reads, with its text where the answer has it as JSON.
fn resource(arguments: &Value, answer: Option<&str>) -> Option<Given> {
    let answer: Value = answer.and_then(|answer| serde_json::from_str(answer).ok()).unwrap_or_default();
    let content = list(&answer, "contents").iter().find_map(|content| text(content, "text"));
    Some(Given { name: text(arguments, "uri")?.to_owned(), text: content.map(str::to_owned) })
}

fn codex(version: &str) -> Program {
    Program { name: "codex".to_owned(), version: Some(Version { text: version.chars().take(100).collect() }) }
}

/// Reads one file of an item: a whole text for what is new or gone, hunks for the rest.
fn change(value: &Value) -> Option<Change> {
    let path = text(value, "path")?.to_owned();
    let diff = text(value, "diff").unwrap_or_default();
    let mut change = Change { path, ..Change::default() };
    match text(&value["kind"], "type").or(value["kind"].as_str()) {
        Some("add") => (change.before, change.after) = (Some(None), Some(Some(diff.to_owned()))),
        Some("delete") => (change.before, change.after) = (Some(Some(diff.to_owned())), Some(None)),
        _ => {
            change.moved_to = text(&value["kind"], "move_path").map(str::to_owned);
            change.pieces = diff::hunks(diff);
        }
    }
    Some(change)
}

fn older_change(path: &str, value: &Value) -> Option<Change> {
    let mut change = Change { path: path.to_owned(), ..Change::default() };
    let content = || text(value, "content").unwrap_or_default().to_owned();
    match text(value, "type").or_else(|| value.as_object()?.keys().next().map(String::as_str))? {
        "add" => (change.before, change.after) = (Some(None), Some(Some(content()))),
        "delete" => (change.before, change.after) = (Some(Some(content())), Some(None)),
        "update" => {
            let value = value.get("update").unwrap_or(value);
            change.moved_to = text(value, "move_path").map(str::to_owned);
            change.pieces = diff::hunks(text(value, "unified_diff").unwrap_or_default());
        }
        _ => return None,
    }
    Some(change)
}
