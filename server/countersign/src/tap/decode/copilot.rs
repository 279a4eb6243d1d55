//! The Copilot language server: ids and messages of suggestions, and the model named in its log.
//!
//! A suggestion's id is the argument of its command. Acceptance is that command, or a message of the
//! older set; lengths in these messages overstate with some clients, so only the fact that a person
//! took it is believed. The model and the provider's request id stand in a log line, one for each HTTP
//! call: the last one between question and answer belongs to the answer.

use countersign_event::facts::{How, Position, Range};
use countersign_event::payload::suggestion::RejectReason;
use countersign_provenance::join::{Item, NamedModel, Observation};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::lsp_inline::Command;

/// The commands by which a person takes a suggestion; the argument is its id.
const ACCEPT: [&str; 3] = [
    "github.copilot.didAcceptCompletionItem",
    "github.copilot.didAcceptNextEditSuggestionItem",
    "github.copilot.didAcceptPanelCompletionItem",
];

/// So many questions are open at a time: an editor asks anew with each key and cancels the older.
const MAX_QUESTIONS: usize = 4;

/// Returns the id of the suggestion that a command accepts: its argument.
pub(super) fn suggestion(command: &Command) -> Option<String> {
    ACCEPT.contains(&command.command.as_str()).then(|| argument(command)).flatten()
}

fn argument(command: &Command) -> Option<String> {
    command.arguments.first()?.as_str().map(str::to_owned)
}

/// Reads a command that ends a next edit suggestion without taking it.
pub(super) fn ended(command: &Command) -> Option<Observation> {
    let reason = match command.command.as_str() {
        "github.copilot.didRejectNextEditSuggestionItem" => RejectReason::Dismissed,
        "github.copilot.didIgnoreNextEditSuggestionItem" => RejectReason::Ignored,
        _ => return None,
    };
    Some(Observation::RejectedExplicitly { id: argument(command)?, reason })
}

#[derive(Deserialize)]
struct About {
    item: Named,
}

#[derive(Deserialize)]
struct Named {
    command: Arguments,
}

/// Only the id is required of the item in these messages, not the command's name.
#[derive(Deserialize)]
struct Arguments {
    arguments: Vec<String>,
}

#[derive(Deserialize)]
struct Uuid {
    uuid: String,
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Uuids {
    uuids: Vec<String>,
}

/// What a message of the client says about suggestions.
pub(super) fn client_message(method: &str, params: &RawValue) -> Vec<Observation> {
    let params = params.get();
    let named = || serde_json::from_str::<About>(params).ok()?.item.command.arguments.into_iter().next();
    let uuid = || serde_json::from_str::<Uuid>(params).ok().map(|named| named.uuid);
    let one = match method {
        "textDocument/didShowCompletion" | "textDocument/didShowInlineEdit" => {
            named().map(|id| Observation::Shown { id })
        }
        "notifyShown" => uuid().map(|id| Observation::Shown { id }),
        "textDocument/didPartiallyAcceptCompletion" => {
            named().map(|id| Observation::AcceptedExplicitly { id, whole: false })
        }
        "notifyAccepted" => uuid().map(|id| Observation::AcceptedExplicitly { id, whole: true }),
        "notifyRejected" => {
            let ids = serde_json::from_str::<Uuids>(params).map_or(Vec::new(), |named| named.uuids);
            let reason = RejectReason::Dismissed;
            return ids.into_iter().map(|id| Observation::RejectedExplicitly { id, reason }).collect();
        }
        "notifyNextEditRejected" => serde_json::from_str::<Uuid>(params).ok().map(|named| {
            let ignored = named.reason.is_some_and(|reason| reason.to_ascii_lowercase().contains("ignore"));
            let reason = if ignored { RejectReason::Ignored } else { RejectReason::Dismissed };
            Observation::RejectedExplicitly { id: named.uuid, reason }
        }),
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

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    statuses: Vec<Category>,
}

#[derive(Deserialize)]
struct Category {
    #[serde(default)]
    result: Option<Box<Status>>,
}

/// Returns the account that a status names: an answer of the older set, or a notification.
pub(super) fn account(status: &RawValue) -> Option<String> {
    let status: Status = serde_json::from_str(status.get()).ok()?;
    let of_categories = || status.statuses.into_iter().find_map(|category| category.result?.user);
    status.user.or_else(of_categories)
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

#[derive(Deserialize)]
struct NextEdits {
    edits: Vec<NextEdit>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NextEdit {
    text: String,
    range: Range,
    #[serde(default)]
    text_document: Option<DocumentId>,
    #[serde(default)]
    command: Option<Command>,
}

#[derive(Deserialize)]
struct DocumentId {
    uri: String,
}

/// Next edits: of the document that was asked about, and of others.
#[derive(Default)]
pub(super) struct Edits {
    pub(super) here: Vec<Item>,
    pub(super) elsewhere: Vec<(String, Item)>,
}

/// Reads the answer to a `textDocument/copilotInlineEdit`.
pub(super) fn next_edits(result: &RawValue, asked: &str) -> Option<Edits> {
    let answer: NextEdits = serde_json::from_str(result.get()).ok()?;
    let mut edits = Edits::default();
    for edit in answer.edits {
        let id = edit.command.as_ref().map(Command::suggestion);
        let item = Item { id, text: edit.text, plain: None, range: Some(edit.range) };
        match edit.text_document.map(|document| document.uri).filter(|uri| uri != asked) {
            Some(uri) => edits.elsewhere.push((uri, item)),
            None => edits.here.push(item),
        }
    }
    Some(edits)
}

/// Reads the model that settings select: from the whole settings, or from their section alone.
pub(super) fn selected_model(settings: &Value) -> Option<NamedModel> {
    let section = settings.get("github.copilot").or_else(|| settings.get("github")?.get("copilot")).unwrap_or(settings);
    let name = section.get("selectedCompletionModel")?.as_str().filter(|name| !name.is_empty())?;
    Some(NamedModel::requested(name, How::Reported))
}

/// Which model the log has named for which open question.
#[derive(Debug, Default)]
pub(super) struct Models {
    /// Open questions with the last line since, and whether others were open when it came.
    open: Vec<(u64, Option<(Line, bool)>)>,
    latest: Option<Line>,
    /// What a setting selects since the latest line.
    selected: Option<NamedModel>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    engine: String,
    request: String,
}

impl Models {
    /// Reads a line of the server's log.
    pub(super) fn log_line(&mut self, message: &str) {
        let Some(line) = parse(message) else { return };
        let alone = self.open.len() == 1;
        for (_, last) in &mut self.open {
            *last = Some((line.clone(), alone));
        }
        self.latest = Some(line);
        self.selected = None;
    }

    /// A setting selects a model for what is asked from now on.
    pub(super) fn select(&mut self, model: NamedModel) {
        self.selected = Some(model);
    }

    /// A question was asked.
    pub(super) fn asked(&mut self, request: u64) {
        // A question that never gets its answer must not cast doubt on all later ones.
        if self.open.len() == MAX_QUESTIONS {
            self.open.remove(0);
        }
        self.open.push((request, None));
    }

    /// Its answer came, or with `more` a part of it. Returns the model, as far as the log tells it.
    pub(super) fn answered(&mut self, request: u64, more: bool) -> Option<NamedModel> {
        let at = self.open.iter().position(|(open, _)| *open == request)?;
        let last = if more { self.open[at].1.clone() } else { self.open.remove(at).1 };
        match last {
            Some((line, true)) => {
                let request_id = Some(line.request);
                Some(NamedModel { request_id, ..NamedModel::requested(line.engine, How::Observed) })
            }
            Some((line, false)) => Some(inferred(line, "latest_call_of_several_questions", 0.7)),
            // Without a call of its own the answer came from the server's cache.
            None => self.selected.clone().or_else(|| {
                let line = self.latest.clone()?;
                Some(inferred(line, "latest_call_before_a_cached_answer", 0.7))
            }),
        }
    }
}

fn inferred(line: Line, rule: &'static str, confidence: f64) -> NamedModel {
    NamedModel { rule: Some(rule), confidence: Some(confidence), ..NamedModel::requested(line.engine, How::Inferred) }
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
