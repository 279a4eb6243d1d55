//! The Copilot language server: ids and messages of suggestions, and the model named in its log.
//!
//! A suggestion's id is the argument of its command. Acceptance is that command, or a message of the
//! older set; lengths in these messages overstate with some clients, so only the fact that a person
//! took it is believed. The model and the provider's request id stand in a log line, one for each HTTP
//! call: the last one between question and answer belongs to the answer.

use countersign_event::facts::{How, Position, Range};
use countersign_provenance::join::{Item, NamedModel, Observation};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::lsp_inline::Command;

const ACCEPT: &str = "github.copilot.didAcceptCompletionItem";

/// So many questions are open at a time: an editor asks anew with each key and cancels the older.
const MAX_QUESTIONS: usize = 4;

/// Says which tool of our catalogue a server is.
pub(super) fn is_server(name: &str) -> Option<&'static str> {
    name.to_ascii_lowercase().contains("copilot").then_some("copilot")
}

/// Returns the id of the suggestion that a command accepts: its argument.
pub(super) fn suggestion(command: &Command) -> Option<String> {
    (command.command == ACCEPT).then(|| command.arguments.first()?.as_str().map(str::to_owned)).flatten()
}

#[derive(Deserialize)]
struct About {
    item: Named,
}

#[derive(Deserialize)]
struct Named {
    command: Command,
}

#[derive(Deserialize)]
struct Uuid {
    uuid: String,
}

#[derive(Deserialize)]
struct Uuids {
    uuids: Vec<String>,
}

/// What a message of the client says about suggestions.
pub(super) fn client_message(method: &str, params: &RawValue) -> Vec<Observation> {
    let params = params.get();
    let named = || suggestion(&serde_json::from_str::<About>(params).ok()?.item.command);
    let uuid = || serde_json::from_str::<Uuid>(params).ok().map(|named| named.uuid);
    let one = match method {
        "textDocument/didShowCompletion" => named().map(|id| Observation::Shown { id }),
        "notifyShown" => uuid().map(|id| Observation::Shown { id }),
        "textDocument/didPartiallyAcceptCompletion" => {
            named().map(|id| Observation::AcceptedExplicitly { id, whole: false })
        }
        "notifyAccepted" => uuid().map(|id| Observation::AcceptedExplicitly { id, whole: true }),
        "notifyRejected" => {
            let ids = serde_json::from_str::<Uuids>(params).map_or(Vec::new(), |named| named.uuids);
            return ids.into_iter().map(|id| Observation::RejectedExplicitly { id }).collect();
        }
        _ => None,
    };
    one.into_iter().collect()
}

#[derive(Deserialize)]
struct GetCompletions {
    doc: Doc,
}

#[derive(Deserialize)]
struct Doc {
    uri: String,
    position: Position,
}

/// Returns the document and cursor of a `getCompletions`.
pub(super) fn position_of(params: &RawValue) -> Option<(String, Position)> {
    let asked: GetCompletions = serde_json::from_str(params.get()).ok()?;
    Some((asked.doc.uri, asked.doc.position))
}

#[derive(Deserialize)]
struct Completions {
    completions: Vec<Completion>,
}

#[derive(Deserialize)]
struct Completion {
    uuid: String,
    text: String,
    #[serde(default)]
    range: Option<Range>,
}

/// Reads the items of the answer to a `getCompletions`.
pub(super) fn items(result: &RawValue) -> Option<Vec<Item>> {
    let answer: Completions = serde_json::from_str(result.get()).ok()?;
    let item = |c: Completion| Item { id: Some(c.uuid), text: c.text, plain: None, range: c.range };
    Some(answer.completions.into_iter().map(item).collect())
}

/// Which model the log has named for which open question.
#[derive(Debug, Default)]
pub(super) struct Models {
    /// Open questions with the last line since, and whether others were open when it came.
    open: Vec<(u64, Option<(Line, bool)>)>,
    latest: Option<Line>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    engine: String,
    request: String,
}

#[derive(Deserialize)]
struct LogMessage<'a> {
    #[serde(borrow)]
    message: std::borrow::Cow<'a, str>,
}

impl Models {
    /// Reads a line of the server's log.
    pub(super) fn log_line(&mut self, params: &RawValue) {
        let Ok(log) = serde_json::from_str::<LogMessage<'_>>(params.get()) else { return };
        let Some(line) = parse(&log.message) else { return };
        let alone = self.open.len() == 1;
        for (_, last) in &mut self.open {
            *last = Some((line.clone(), alone));
        }
        self.latest = Some(line);
    }

    /// A question was asked.
    pub(super) fn asked(&mut self, request: u64) {
        // A question that never gets its answer must not cast doubt on all later ones.
        if self.open.len() == MAX_QUESTIONS {
            self.open.remove(0);
        }
        self.open.push((request, None));
    }

    /// Its answer came. Returns the model, as far as the log tells it.
    pub(super) fn answered(&mut self, request: u64) -> Option<NamedModel> {
        let at = self.open.iter().position(|(open, _)| *open == request)?;
        let (_, last) = self.open.remove(at);
        match last {
            Some((line, true)) => Some(NamedModel {
                name: line.engine,
                request_id: Some(line.request),
                how: How::Observed,
                rule: None,
                confidence: None,
            }),
            Some((line, false)) => Some(inferred(line, "latest_call_of_several_questions", 0.7)),
            // Without a call of its own the answer came from the server's cache.
            None => self.latest.clone().map(|line| inferred(line, "latest_call_before_a_cached_answer", 0.7)),
        }
    }
}

fn inferred(line: Line, rule: &'static str, confidence: f64) -> NamedModel {
    NamedModel {
        name: line.engine,
        request_id: None,
        how: How::Inferred,
        rule: Some(rule),
        confidence: Some(confidence),
    }
}

/// Reads `[fetchCompletions] Request <uuid> at <https://…/v1/engines/<engine>/completions> finished with 200 …`.
fn parse(message: &str) -> Option<Line> {
    let rest = message.strip_prefix("[fetchCompletions] Request ")?;
    let (request, rest) = rest.split_once(" at <")?;
    let (url, rest) = rest.split_once('>')?;
    if !rest.starts_with(" finished with 200 ") {
        return None;
    }
    let (_, engine) = url.rsplit_once("/engines/")?;
    let (engine, _) = engine.split_once('/')?;
    let plain = |text: &str| !text.is_empty() && text.len() <= 200 && text.chars().all(|c| c.is_ascii_graphic());
    (plain(request) && plain(engine)).then(|| Line { engine: engine.to_owned(), request: request.to_owned() })
}
