//! What the messages of a stream mean.
//!
//! A decoder is a state machine without clock or I/O: it takes `(direction, message)` and returns
//! observations. The protocol is recognised from the stream itself. What a decoder does not know it
//! passes over; what it knows to be a suggestion, but can't follow, it says.

mod acp;
mod agents;
mod app_server;
mod copilot;
mod diff;
mod lsp_inline;
mod mcp;
mod snippet;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use countersign_provenance::join::Observation;
use countersign_provenance::text::Encoding;
use serde::Deserialize;
use serde_json::value::RawValue;

pub(crate) use agents::{Act, Asked, Called, Change, Ending, Given, Requested};
#[cfg(test)]
pub(crate) use diff::Piece;
pub(crate) use diff::{apply, unapply};

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
    /// An AI channel that this version does not follow.
    NotFollowed(&'static str),
}

/// How the two sides name themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// The tool, by our catalogue's name, where we know it.
    pub(crate) tool: Option<&'static str>,
    /// The server and its version.
    pub(crate) server: Option<Program>,
    /// The editor and its version.
    pub(crate) client: Option<Program>,
    /// The editor's plugin and its version.
    pub(crate) plugin: Option<Program>,
    /// The server is an agent or a server of tools for one, not a language server.
    pub(crate) is_agent: bool,
}

/// A program as it names itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Program {
    /// Its name.
    #[serde(deserialize_with = "short")]
    pub(crate) name: String,
    /// Its version.
    #[serde(default)]
    pub(crate) version: Option<Version>,
}

/// A version, verbatim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Version {
    #[serde(deserialize_with = "short")]
    pub(crate) text: String,
}

/// Reads at most 100 characters: events are small, and a name is a stranger's text.
fn short<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = Cow::<str>::deserialize(deserializer)?;
    Ok(text.chars().take(100).collect())
}

impl std::fmt::Display for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{} {}", self.name, version.text),
            None => f.write_str(&self.name),
        }
    }
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
    last_request: u64,
    /// Suggestions of the latest answers: any other command is none of ours.
    named: HashSet<String>,
    names: Names,
    models: copilot::Models,
    agents: agents::Decoder,
}

/// A request that waits for its answer.
#[derive(Debug)]
enum Open {
    Initialize,
    Inline { request: u64, uri: String },
    GetCompletions { request: u64, uri: String },
}

impl Decoder {
    /// Makes a decoder at the start of a stream.
    pub(crate) fn new() -> Self {
        Decoder::default()
    }

    /// Takes one message.
    pub(crate) fn message(&mut self, direction: Direction, body: &[u8]) -> Vec<Seen> {
        let Ok(envelope) = serde_json::from_slice::<Envelope<'_>>(body) else {
            return vec![Seen::NotFollowed("unknown_protocol")];
        };
        if let Some(seen) = self.agents.message(direction, &envelope) {
            return seen;
        }
        match (&envelope.method, direction) {
            (Some(method), Direction::ToServer) => self.client_says(method, &envelope),
            (Some(method), Direction::ToEditor) => {
                if method == "window/logMessage"
                    && let Some(params) = envelope.params
                {
                    self.models.log_line(params);
                }
                Vec::new()
            }
            (None, _) => self.answer(direction, &envelope),
        }
    }

    /// Takes the end of the stream: what is under way comes to no other end.
    pub(crate) fn end(&mut self) -> Vec<Seen> {
        self.agents.end()
    }

    fn client_says(&mut self, method: &str, envelope: &Envelope<'_>) -> Vec<Seen> {
        let Some(params) = envelope.params else { return Vec::new() };
        match method {
            "initialize" => {
                self.names.client_says(params);
                self.remember(envelope, Open::Initialize);
                vec![Seen::Named(self.names.clone())]
            }
            "textDocument/didOpen" => seen(lsp_inline::did_open(params)),
            "textDocument/didChange" => seen(lsp_inline::did_change(params)),
            "textDocument/didClose" => seen(lsp_inline::did_close(params)),
            "textDocument/inlineCompletion" => {
                let asked = lsp_inline::position_of(params);
                self.ask(envelope, asked, |request, uri| Open::Inline { request, uri })
            }
            "getCompletions" | "getCompletionsCycling" => {
                let asked = copilot::position_of(params);
                self.ask(envelope, asked, |request, uri| Open::GetCompletions { request, uri })
            }
            "workspace/executeCommand" => seen(
                lsp_inline::executed(params)
                    .filter(|(id, surely)| *surely || self.named.contains(id))
                    .map(|(id, _)| Observation::AcceptedExplicitly { id, whole: true }),
            ),
            "textDocument/copilotInlineEdit" => vec![Seen::NotFollowed("next_edit")],
            "textDocument/copilotPanelCompletion" | "getPanelCompletions" => vec![Seen::NotFollowed("panel")],
            "conversation/create" | "conversation/turn" => vec![Seen::NotFollowed("chat")],
            "textDocument/completion" => vec![Seen::NotFollowed("completion_menu")],
            _ => seen(copilot::client_message(method, params)),
        }
    }

    /// Opens a question about suggestions at a place.
    fn ask(
        &mut self,
        envelope: &Envelope<'_>,
        asked: Option<(String, countersign_event::facts::Position)>,
        open: fn(u64, String) -> Open,
    ) -> Vec<Seen> {
        let Some((uri, position)) = asked else { return vec![Seen::NotFollowed("malformed_request")] };
        self.last_request += 1;
        let request = self.last_request;
        self.models.asked(request);
        self.remember(envelope, open(request, uri.clone()));
        vec![Seen::Observed(Observation::Asked { request, uri, position })]
    }

    fn remember(&mut self, envelope: &Envelope<'_>, open: Open) {
        let Some(id) = envelope.id else { return };
        if self.open.len() >= MAX_OPEN {
            self.open.clear();
        }
        self.open.insert((Direction::ToServer, id.get().to_owned()), open);
    }

    fn answer(&mut self, direction: Direction, envelope: &Envelope<'_>) -> Vec<Seen> {
        let asker = match direction {
            Direction::ToServer => Direction::ToEditor,
            Direction::ToEditor => Direction::ToServer,
        };
        let Some(id) = envelope.id else { return vec![Seen::NotFollowed("unknown_protocol")] };
        let Some(open) = self.open.remove(&(asker, id.get().to_owned())) else { return Vec::new() };
        let null = RawValue::NULL;
        let result = envelope.result.unwrap_or(null);
        match open {
            Open::Initialize => {
                let encoding = self.names.server_says(result).unwrap_or(Encoding::Utf16);
                vec![Seen::Named(self.names.clone()), Seen::Observed(Observation::Initialized { encoding })]
            }
            Open::Inline { request, uri } => {
                let items = envelope.result.and_then(lsp_inline::items);
                self.answered(request, uri, items)
            }
            Open::GetCompletions { request, uri } => {
                let items = envelope.result.and_then(copilot::items);
                self.answered(request, uri, items)
            }
        }
    }

    /// An answer with suggestions; `None` for an error, a cancellation or a `null`.
    fn answered(
        &mut self,
        request: u64,
        uri: String,
        items: Option<Vec<countersign_provenance::join::Item>>,
    ) -> Vec<Seen> {
        let model = self.models.answered(request);
        for id in items.iter().flatten().filter_map(|item| item.id.as_ref()) {
            if self.named.len() >= MAX_OPEN {
                self.named.clear();
            }
            self.named.insert(id.clone());
        }
        vec![Seen::Observed(match items {
            Some(items) => Observation::Answered { request, uri, items, model },
            None => Observation::Unanswered { request },
        })]
    }
}

fn seen(observations: impl IntoIterator<Item = Observation>) -> Vec<Seen> {
    observations.into_iter().map(Seen::Observed).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InitializeParams {
    #[serde(default)]
    client_info: Option<Program>,
    #[serde(default)]
    initialization_options: Option<InitializationOptions>,
}

/// Only these two are ever read: the options may hold tokens.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InitializationOptions {
    #[serde(default)]
    editor_info: Option<Program>,
    #[serde(default)]
    editor_plugin_info: Option<Program>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InitializeResult {
    #[serde(default)]
    server_info: Option<Program>,
    #[serde(default)]
    capabilities: Capabilities,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Capabilities {
    #[serde(default)]
    position_encoding: Option<String>,
}

impl Names {
    fn client_says(&mut self, params: &RawValue) {
        let Ok(params) = serde_json::from_str::<InitializeParams>(params.get()) else { return };
        let options = params.initialization_options;
        let (editor, plugin) =
            options.map_or((None, None), |options| (options.editor_info, options.editor_plugin_info));
        self.client = params.client_info.or(editor);
        self.plugin = plugin;
    }

    fn server_says(&mut self, result: &RawValue) -> Option<Encoding> {
        let result = serde_json::from_str::<InitializeResult>(result.get()).ok()?;
        self.server = result.server_info;
        self.tool = self.server.as_ref().and_then(|server| copilot::is_server(&server.name));
        match result.capabilities.position_encoding.as_deref() {
            Some("utf-8") => Some(Encoding::Utf8),
            Some("utf-32") => Some(Encoding::Utf32),
            _ => Some(Encoding::Utf16),
        }
    }
}

#[cfg(test)]
mod tests;
