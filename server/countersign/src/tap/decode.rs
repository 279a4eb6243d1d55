//! What the messages of a stream mean.
//!
//! A decoder is a state machine without clock or I/O: it takes `(direction, message)` and returns
//! observations. The protocol is recognised from the stream itself. What a decoder does not know it
//! passes over; what it knows to be a suggestion, but can't follow, it says.

mod acp;
mod agents;
mod app_server;
mod aws;
mod chat;
mod cody;
mod continue_core;
mod copilot;
mod diff;
mod edits;
mod llm_ls;
mod lsp_inline;
mod mcp;
mod menu;
mod names;
mod snippet;
mod supermaven;
mod tabby;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use countersign_event::facts::Position;
use countersign_provenance::join::{Answer, Channel, Insertion, Item, NamedModel, Observation};
use countersign_provenance::text::Encoding;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

pub(crate) use agents::{Act, Asked, Called, Change, Ending, Given, Requested};
pub(crate) use chat::{Prompt, Turn};
#[cfg(test)]
pub(crate) use diff::Piece;
pub(crate) use diff::{apply, unapply};
use names::Version;
pub(crate) use names::{Names, Program};

/// So many requests without an answer are remembered; some servers never answer.
const MAX_OPEN: usize = 1024;

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Direction {
    /// From the editor.
    ToServer,
    /// From the AI server.
    ToEditor,
}

/// What a message told us.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seen {
    /// Something about documents or suggestions.
    Observed(Observation),
    /// Something an agent did, or was told.
    Agent(Act),
    /// The server or client named itself.
    Named(Names),
    /// Somebody signed in to the tool by this account.
    SignedIn(String),
    /// A person sent the prompt of this turn.
    Prompted(u64),
    /// A turn has ended: with its reply, or without one.
    Replied(Box<Turn>),
    /// Text of a turn was put into a document.
    Taken(Box<Turn>, Observation),
    /// An AI channel that this version does not follow.
    NotFollowed(&'static str),
    /// A message of a protocol nobody knows.
    Unknown,
}

/// The outside of a JSON-RPC message; the inside is read only where it matters.
#[derive(Debug, Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
}

/// Reads both directions of one stream.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// Requests without an answer, by who asked and the id as it stands on the wire: the two sides
    /// use the same numbers for different things.
    open: HashMap<(Direction, String), Open>,
    /// Which request a progress token belongs to.
    tokens: HashMap<String, (Direction, String)>,
    last_request: u64,
    /// Suggestions of the latest answers: any other command is none of ours.
    named: HashSet<String>,
    names: Names,
    /// The caller says that this is an AI's server.
    is_said: bool,
    /// Something of an AI's was asked or said, followed or not.
    is_known: bool,
    models: copilot::Models,
    agents: agents::Decoder,
    /// The model that is configured for completions.
    configured: Option<NamedModel>,
    chats: chat::Chats,
    tabby: tabby::Lines,
    core: continue_core::Core,
    supermaven: supermaven::States,
}

/// A request that waits for its answer.
#[derive(Debug)]
enum Open {
    Initialize,
    SignIn,
    Question(Question),
    Turn(u64),
    CodeAction,
    ApplyEdit(Vec<String>),
    /// The client answers with its settings; ours stand at this place.
    Settings(usize),
}

/// A question about suggestions at a place.
#[derive(Debug)]
struct Question {
    request: u64,
    uri: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Inline,
    GetCompletions,
    NextEdit,
    Panel,
    Menu,
    LlmLs(Option<NamedModel>),
    Cody,
    Generation,
}

impl Kind {
    fn channel(&self) -> Channel {
        match self {
            Kind::Inline | Kind::GetCompletions | Kind::LlmLs(_) | Kind::Cody | Kind::Generation => Channel::Inline,
            Kind::NextEdit => Channel::NextEdit,
            Kind::Panel => Channel::Panel,
            Kind::Menu => Channel::Menu,
        }
    }

    /// Says whether the server's log tells which model answered.
    fn is_logged(&self) -> bool {
        matches!(self, Kind::Inline | Kind::GetCompletions | Kind::Panel)
    }
}

impl Decoder {
    /// Makes a decoder at the start of a stream.
    pub(crate) fn new() -> Self {
        Decoder::default()
    }

    /// Tells the decoder what the caller knows: what they call the tool, and the program's name.
    pub(crate) fn knowing(mut self, tool: Option<&str>, program: &str) -> Self {
        self.names.tool = tool.and_then(names::tool_of).or_else(|| names::tool_of(program));
        self.is_said = tool.is_some();
        self
    }

    /// Returns the tool, by our catalogue's name, where we know it.
    pub(crate) fn tool(&self) -> Option<&'static str> {
        self.names.tool
    }

    /// Says whether anything in the stream was known to be an AI's.
    pub(crate) fn is_known(&self) -> bool {
        self.is_known || self.names.tool.is_some()
    }

    /// Takes one message.
    pub(crate) fn message(&mut self, direction: Direction, body: &[u8]) -> Vec<Seen> {
        let envelope = match serde_json::from_slice::<Envelope<'_>>(body) {
            Ok(envelope) if envelope.method.is_some() || envelope.id.is_some() => envelope,
            _ => return self.other_message(direction, body),
        };
        if let Some(mut seen) = self.agents.message(direction, &envelope) {
            self.is_known = true;
            for seen in &mut seen {
                if let Seen::Named(names) = seen {
                    names.tool = names.tool.or(self.names.tool);
                    self.names = names.clone();
                }
            }
            return seen;
        }
        match (&envelope.method, direction) {
            (Some(method), Direction::ToServer) => self.client_says(method, &envelope),
            (Some(method), Direction::ToEditor) => self.server_says(method, &envelope),
            (None, _) => self.answer(direction, &envelope),
        }
    }

    /// Takes the end of the stream: what is under way comes to no other end.
    pub(crate) fn end(&mut self) -> Vec<Seen> {
        let turns = self.chats.give_up(true).into_iter().map(|turn| Seen::Replied(Box::new(turn)));
        turns.chain(self.agents.end()).collect()
    }

    /// A message that is no JSON-RPC.
    fn other_message(&mut self, direction: Direction, body: &[u8]) -> Vec<Seen> {
        let (last, names) = (&mut self.last_request, &mut self.names);
        let known = self
            .tabby
            .message(direction, body, last, names)
            .or_else(|| self.core.message(direction, body, last, names))
            .or_else(|| self.supermaven.message(direction, body, last, names));
        match known {
            Some(seen) => seen,
            None if direction == Direction::ToServer && aws::is_preamble(body) => Vec::new(),
            None => vec![Seen::Unknown],
        }
    }

    fn client_says(&mut self, method: &str, envelope: &Envelope<'_>) -> Vec<Seen> {
        let Some(params) = envelope.params else { return Vec::new() };
        match method {
            "initialize" => {
                self.configured = self.names.client_says(params);
                self.remember(envelope, Open::Initialize);
                vec![Seen::Named(self.names.clone())]
            }
            "textDocument/didOpen" => seen(cody::did_open(params).or_else(|| lsp_inline::did_open(params))),
            "textDocument/didChange" => {
                let is_cody = self.names.tool == Some("cody");
                seen(if is_cody { cody::did_change(params) } else { lsp_inline::did_change(params) })
            }
            "textDocument/didClose" => seen(lsp_inline::did_close(params)),
            "textDocument/inlineCompletion"
            | "aws/textDocument/inlineCompletion"
            | "aws/textDocument/inlineCompletionWithReferences" => {
                if method.starts_with("aws/") {
                    self.names.tool = Some("amazon-q");
                }
                self.ask(envelope, lsp_inline::position_of(params), Kind::Inline)
            }
            "textDocument/completion" => self.ask(envelope, lsp_inline::position_of(params), Kind::Menu),
            "textDocument/copilotInlineEdit" => self.ask(envelope, lsp_inline::position_of(params), Kind::NextEdit),
            "textDocument/copilotPanelCompletion" => self.ask(envelope, lsp_inline::position_of(params), Kind::Panel),
            "getCompletions" | "getCompletionsCycling" => {
                self.ask(envelope, copilot::position_of(params), Kind::GetCompletions)
            }
            "llm-ls/getCompletions" => {
                self.names.tool = Some("llm-ls");
                self.ask(envelope, lsp_inline::position_of(params), Kind::LlmLs(llm_ls::model_of(params)))
            }
            "llm-ls/acceptCompletion" | "llm-ls/rejectCompletion" => seen(llm_ls::decided(params)),
            "autocomplete/execute" => {
                self.names.tool = Some("cody");
                self.ask(envelope, cody::position_of(params), Kind::Cody)
            }
            "autocomplete/completionSuggested" => seen(cody::named(params).map(|id| Observation::Shown { id })),
            "autocomplete/completionAccepted" => {
                seen(cody::named(params).map(|id| Observation::AcceptedExplicitly { id, whole: true }))
            }
            "aws/logInlineCompletionSessionResults" => seen(aws::results(params)),
            "tabby/telemetry/event" => seen(tabby::telemetry(params)),
            "checkStatus" | "signIn" | "signInConfirm" => {
                self.remember(envelope, Open::SignIn);
                Vec::new()
            }
            "workspace/executeCommand" => seen(lsp_inline::command(params).and_then(|command| self.executed(&command))),
            "codeAction/resolve" => {
                self.remember(envelope, Open::CodeAction);
                Vec::new()
            }
            "conversation/create" | "conversation/turn" => {
                let turn = self.chats.asked(params);
                self.prompted(envelope, turn)
            }
            "aws/chat/sendChatPrompt" => {
                let turn = aws::prompt(&mut self.chats, params);
                self.prompted(envelope, turn)
            }
            "conversation/insertCode" => self.taken(self.chats.taken(params)),
            "aws/chat/insertToCursorPosition" => self.taken(aws::taken(&self.chats, params)),
            "workspace/didChangeConfiguration" => {
                let settings = serde_json::from_str::<Value>(params.get()).unwrap_or_default();
                self.select_model(settings.get("settings"));
                Vec::new()
            }
            "textDocument/generation" if self.is_ai() => {
                self.ask(envelope, lsp_inline::position_of(params), Kind::Generation)
            }
            _ => match not_followed(method) {
                Some(channel) => {
                    self.is_known = true;
                    vec![Seen::NotFollowed(channel)]
                }
                None => seen(copilot::client_message(method, params)),
            },
        }
    }

    fn server_says(&mut self, method: &str, envelope: &Envelope<'_>) -> Vec<Seen> {
        let Some(params) = envelope.params else { return Vec::new() };
        match method {
            "window/logMessage" => {
                #[derive(Deserialize)]
                struct LogMessage<'a> {
                    #[serde(borrow)]
                    message: Cow<'a, str>,
                }
                if let Ok(log) = serde_json::from_str::<LogMessage<'_>>(params.get()) {
                    self.models.log_line(&log.message);
                    self.chats.log_line(&log.message);
                }
                Vec::new()
            }
            "$/progress" => self.progress(params),
            "didChangeStatus" | "didChangeStatus/v2" => {
                copilot::account(params).into_iter().map(Seen::SignedIn).collect()
            }
            "workspace/applyEdit" if self.is_ai() => {
                self.last_request += 1;
                let request = self.last_request;
                let edits = edits::of(params, Some(&format!("applyEdit {request}")));
                let ids = edits.iter().filter_map(|(_, item)| item.id.clone()).collect();
                self.remember_of(Direction::ToEditor, envelope, Open::ApplyEdit(ids));
                seen([Observation::Proposed { request, edits, model: None }])
            }
            "conversation/invokeClientTool" | "aws/openFileDiff" | "aws/didWriteFile" | "aws/didAppendFile" => {
                vec![Seen::NotFollowed("agent_edit")]
            }
            "workspace/configuration" => {
                let params = serde_json::from_str::<Value>(params.get()).unwrap_or_default();
                let ours = |item: &Value| item.get("section").and_then(Value::as_str) == Some("github.copilot");
                if let Some(at) = params["items"].as_array().and_then(|items| items.iter().position(ours)) {
                    self.remember_of(Direction::ToEditor, envelope, Open::Settings(at));
                }
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// A client runs a command: the one by which a suggestion is taken, or let go.
    fn executed(&self, command: &lsp_inline::Command) -> Option<Observation> {
        if let Some(ended) = copilot::ended(command) {
            return Some(ended);
        }
        let id = command.suggestion();
        let surely = copilot::suggestion(command).is_some();
        (surely || self.named.contains(&id)).then_some(Observation::AcceptedExplicitly { id, whole: true })
    }

    /// Opens a question about suggestions at a place.
    fn ask(&mut self, envelope: &Envelope<'_>, asked: Option<(String, Position)>, kind: Kind) -> Vec<Seen> {
        let Some((uri, position)) = asked else { return vec![Seen::NotFollowed("malformed_request")] };
        self.is_known |= self.is_said || !matches!(kind, Kind::Menu);
        self.last_request += 1;
        let request = self.last_request;
        if kind.is_logged() {
            self.models.asked(request);
        }
        self.remember(envelope, Open::Question(Question { request, uri: uri.clone(), kind }));
        vec![Seen::Observed(Observation::Asked { request, uri, position })]
    }

    fn remember(&mut self, envelope: &Envelope<'_>, open: Open) {
        self.remember_of(Direction::ToServer, envelope, open);
    }

    fn remember_of(&mut self, asker: Direction, envelope: &Envelope<'_>, open: Open) {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        struct Tokens<'a> {
            #[serde(borrow)]
            partial_result_token: Option<&'a RawValue>,
            #[serde(borrow)]
            work_done_token: Option<&'a RawValue>,
        }
        let Some(id) = envelope.id else { return };
        if self.open.len() >= MAX_OPEN {
            self.open.clear();
            self.tokens.clear();
        }
        let key = (asker, id.get().to_owned());
        let tokens: Tokens<'_> =
            envelope.params.and_then(|params| serde_json::from_str(params.get()).ok()).unwrap_or_default();
        // Work progress of a question about suggestions is no part of its answer.
        let work_done = tokens.work_done_token.filter(|_| matches!(open, Open::Turn(_)));
        for token in tokens.partial_result_token.into_iter().chain(work_done) {
            self.tokens.insert(token.get().to_owned(), key.clone());
        }
        self.open.insert(key, open);
    }

    fn progress(&mut self, params: &RawValue) -> Vec<Seen> {
        #[derive(Deserialize)]
        struct Progress<'a> {
            #[serde(borrow)]
            token: &'a RawValue,
            #[serde(borrow)]
            value: &'a RawValue,
        }
        let Ok(progress) = serde_json::from_str::<Progress<'_>>(params.get()) else { return Vec::new() };
        let Some(key) = self.tokens.get(progress.token.get()).cloned() else { return Vec::new() };
        match self.open.remove(&key) {
            Some(Open::Question(question)) => {
                let told = self.answered(&question, Some(progress.value), true);
                self.open.insert(key, Open::Question(question));
                told
            }
            Some(Open::Turn(number)) => {
                self.chats.progress(number, progress.value);
                self.open.insert(key, Open::Turn(number));
                Vec::new()
            }
            Some(other) => {
                self.open.insert(key, other);
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    fn answer(&mut self, direction: Direction, envelope: &Envelope<'_>) -> Vec<Seen> {
        let asker = match direction {
            Direction::ToServer => Direction::ToEditor,
            Direction::ToEditor => Direction::ToServer,
        };
        let Some(id) = envelope.id else { return vec![Seen::Unknown] };
        let key = (asker, id.get().to_owned());
        let Some(open) = self.open.remove(&key) else { return Vec::new() };
        self.tokens.retain(|_, of| *of != key);
        match open {
            Open::Initialize => {
                let encoding = self.names.server_says(envelope.result.unwrap_or(RawValue::NULL));
                let encoding = encoding.unwrap_or(Encoding::Utf16);
                vec![Seen::Named(self.names.clone()), Seen::Observed(Observation::Initialized { encoding })]
            }
            Open::Question(question) => self.answered(&question, envelope.result, false),
            Open::Turn(number) => {
                let turn = self.chats.ended(number, envelope.result);
                turn.into_iter().map(|turn| Seen::Replied(Box::new(turn))).collect()
            }
            Open::SignIn => envelope.result.and_then(copilot::account).into_iter().map(Seen::SignedIn).collect(),
            Open::CodeAction if self.is_ai() => {
                let edits = envelope.result.map_or(Vec::new(), |result| edits::of(result, None));
                self.last_request += 1;
                let request = self.last_request;
                let model = self.configured.clone();
                seen((!edits.is_empty()).then_some(Observation::Proposed { request, edits, model }))
            }
            Open::CodeAction => Vec::new(),
            Open::ApplyEdit(ids) => match edits::applied(envelope.result) {
                Some(true) => seen(ids.into_iter().map(|id| Observation::AcceptedExplicitly { id, whole: true })),
                Some(false) => seen(ids.into_iter().map(|id| Observation::RejectedExplicitly {
                    id,
                    reason: countersign_event::payload::suggestion::RejectReason::Dismissed,
                })),
                None => Vec::new(),
            },
            Open::Settings(at) => {
                let settings = envelope.result.and_then(|result| serde_json::from_str::<Value>(result.get()).ok());
                self.select_model(settings.as_ref().and_then(|settings| settings.get(at)));
                Vec::new()
            }
        }
    }

    /// Reads an answer to a question, or a part of one.
    fn answered(&mut self, question: &Question, result: Option<&RawValue>, more: bool) -> Vec<Seen> {
        let Question { request, uri, kind } = question;
        let request = *request;
        let logged = if kind.is_logged() { self.models.answered(request, more) } else { None };
        let mut told = Vec::new();
        let mut model = None;
        let items = match kind {
            Kind::Inline | Kind::Panel => result.and_then(lsp_inline::items).map(|answer| {
                if answer.has_edits {
                    told.push(Seen::NotFollowed("next_edit"));
                }
                answer.items
            }),
            Kind::GetCompletions => result.and_then(copilot::items),
            Kind::Cody => result.and_then(cody::items),
            Kind::Generation => result.and_then(lsp_inline::generated),
            Kind::LlmLs(requested) => result.and_then(llm_ls::items).map(|(items, request_id)| {
                model = requested.clone().map(|model| NamedModel { request_id: Some(request_id), ..model });
                items
            }),
            Kind::NextEdit => result.and_then(|result| copilot::next_edits(result, uri)).map(|edits| {
                self.name(edits.elsewhere.iter().map(|(_, item)| item));
                if !edits.elsewhere.is_empty() {
                    told.extend(seen([Observation::Proposed { request, edits: edits.elsewhere, model: None }]));
                }
                edits.here
            }),
            Kind::Menu => result.and_then(|result| menu::items(result, self.is_ai())).map(|menu| {
                self.names.tool = self.names.tool.or(menu.tool);
                if menu.others > 0 {
                    told.push(Seen::NotFollowed("completion_menu"));
                }
                menu.items
            }),
        };
        self.name(items.iter().flatten());
        let model = model.or(logged).or_else(|| self.configured.clone().filter(|_| !matches!(kind, Kind::NextEdit)));
        let (uri, channel) = (uri.clone(), kind.channel());
        // Progress may be about something else than the answer.
        if more && items.is_none() {
            return told;
        }
        told.push(Seen::Observed(match items {
            Some(items) => Observation::Answered(Answer { request, uri, channel, items, more, model }),
            None => Observation::Unanswered { request },
        }));
        told
    }

    /// Remembers the names of suggestions, so that a command that carries one is known.
    fn name<'a>(&mut self, items: impl Iterator<Item = &'a Item>) {
        for id in items.filter_map(|item| item.id.as_ref()) {
            if self.named.len() >= MAX_OPEN {
                self.named.clear();
            }
            self.named.insert(id.clone());
        }
    }

    fn prompted(&mut self, envelope: &Envelope<'_>, turn: Option<u64>) -> Vec<Seen> {
        self.is_known = true;
        let Some(turn) = turn else { return vec![Seen::NotFollowed("malformed_request")] };
        self.remember(envelope, Open::Turn(turn));
        let given_up = self.chats.give_up(false);
        let given_up = given_up.into_iter().map(|turn| Seen::Replied(Box::new(turn)));
        std::iter::once(Seen::Prompted(turn)).chain(given_up).collect()
    }

    fn taken(&self, taken: Option<chat::Taken>) -> Vec<Seen> {
        let Some(chat::Taken { turn, id, uri, text, whole }) = taken else {
            return vec![Seen::NotFollowed("code_of_an_unknown_turn")];
        };
        let model = Some(turn.model()).filter(|model| model.requested.is_some() || model.responded.is_some());
        let inserted = Observation::Inserted(Insertion { id, uri, text, whole, model });
        vec![Seen::Taken(Box::new(turn), inserted)]
    }

    fn select_model(&mut self, settings: Option<&Value>) {
        if let Some(model) = settings.and_then(copilot::selected_model) {
            self.models.select(model);
        }
    }

    /// Says whether whatever the server offers is an AI's.
    fn is_ai(&self) -> bool {
        self.is_said || self.names.tool.is_some()
    }
}

/// Names the channels of an AI that are known and not followed, by the client's method.
fn not_followed(method: &str) -> Option<&'static str> {
    Some(match method {
        "getPanelCompletions" => "panel",
        "aws/textDocument/editCompletion" => "next_edit",
        "textDocument/generationStream" => "generation_stream",
        "conversation/notifyCodeAcceptance" => "agent_edit",
        "aws/chat/sendInlineChatPrompt" | "aws/chat/inlineChatResult" => "inline_chat",
        "git/commitGenerate" | "tabby/chat/generateCommitMessage" => "commit_message",
        "chat/submitMessage" => "chat",
        _ if method.starts_with("tabby/chat/") => "chat",
        _ if method.starts_with("backgroundAgent/") || method.starts_with("cloudAgent/") => "agent",
        _ if method.starts_with("copilot/codeReview/") => "code_review",
        _ => return None,
    })
}

fn seen(observations: impl IntoIterator<Item = Observation>) -> Vec<Seen> {
    observations.into_iter().map(Seen::Observed).collect()
}

#[cfg(test)]
mod tests;
