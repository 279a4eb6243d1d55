//! The standard: document synchronisation and `textDocument/inlineCompletion` of LSP 3.18.

use countersign_event::facts::{Position, Range};
use countersign_provenance::join::{Item, Observation};
use countersign_provenance::text::Change;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{copilot, snippet, tabby};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DidOpen {
    text_document: OpenedDocument,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OpenedDocument {
    uri: String,
    #[serde(default)]
    language_id: String,
    text: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DidChange {
    text_document: DocumentId,
    content_changes: Vec<ContentChange>,
}

#[derive(Deserialize)]
struct ContentChange {
    #[serde(default)]
    range: Option<Range>,
    text: String,
}

#[derive(Deserialize)]
struct DocumentId {
    uri: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DocumentOnly {
    text_document: DocumentId,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DocumentPosition {
    text_document: DocumentId,
    position: Position,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    List { items: Vec<InlineItem> },
    Bare(Vec<InlineItem>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InlineItem {
    insert_text: InsertText,
    #[serde(default)]
    range: Option<Range>,
    #[serde(default)]
    command: Option<Command>,
    /// Servers may put their own name of it here.
    #[serde(default)]
    data: Value,
    #[serde(default)]
    item_id: Option<String>,
    /// The text is a description of an edit, not the text that enters.
    #[serde(default)]
    is_inline_edit: bool,
}

/// What an editor sends after it has inserted an item that carries it.
#[derive(Deserialize)]
pub(super) struct Command {
    pub(super) command: String,
    #[serde(default)]
    pub(super) arguments: Vec<Value>,
}

impl Command {
    /// Returns the name of the suggestion that carries this command: the server's own id where we know
    /// how to find it, else the command as it is.
    pub(super) fn suggestion(&self) -> String {
        copilot::suggestion(self)
            .unwrap_or_else(|| format!("{} {}", self.command, Value::from(self.arguments.as_slice())))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum InsertText {
    Plain(String),
    Snippet { value: String },
}

/// A document was opened. A message we can't read means that its texts can't be followed.
pub(super) fn did_open(params: &RawValue) -> Option<Observation> {
    Some(match serde_json::from_str::<DidOpen>(params.get()) {
        Ok(DidOpen { text_document: OpenedDocument { uri, language_id, text } }) => {
            Observation::Opened { uri, language: language_id, text }
        }
        Err(_) => Observation::Lost,
    })
}

pub(super) fn did_change(params: &RawValue) -> Option<Observation> {
    Some(match serde_json::from_str::<DidChange>(params.get()) {
        Ok(change) => Observation::Changed {
            uri: change.text_document.uri,
            changes: change
                .content_changes
                .into_iter()
                .map(|change| Change { range: change.range, text: change.text })
                .collect(),
        },
        Err(_) => Observation::Lost,
    })
}

pub(super) fn did_close(params: &RawValue) -> Option<Observation> {
    let closed: DocumentOnly = serde_json::from_str(params.get()).ok()?;
    Some(Observation::Closed { uri: closed.text_document.uri })
}

/// Returns the document and cursor of a request.
pub(super) fn position_of(params: &RawValue) -> Option<(String, Position)> {
    let at: DocumentPosition = serde_json::from_str(params.get()).ok()?;
    Some((at.text_document.uri, at.position))
}

/// Reads a command that a client runs.
pub(super) fn command(params: &RawValue) -> Option<Command> {
    serde_json::from_str(params.get()).ok()
}

/// What an answer offers.
pub(super) struct Items {
    pub(super) items: Vec<Item>,
    /// Some of it is descriptions of edits, which are not followed.
    pub(super) has_edits: bool,
}

/// Reads an answer; `None` for what is none.
pub(super) fn items(result: &RawValue) -> Option<Items> {
    let items = match serde_json::from_str::<Answer>(result.get()).ok()? {
        Answer::List { items } | Answer::Bare(items) => items,
    };
    let has_edits = items.iter().any(|item| item.is_inline_edit);
    Some(Items { items: items.into_iter().filter(|item| !item.is_inline_edit).map(item).collect(), has_edits })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Generated {
    generated_text: String,
}

/// Reads the answer to a `textDocument/generation`: one text at the cursor.
pub(super) fn generated(result: &RawValue) -> Option<Vec<Item>> {
    let generated: Generated = serde_json::from_str(result.get()).ok()?;
    Some(vec![Item { text: generated.generated_text, ..Item::default() }])
}

fn item(item: InlineItem) -> Item {
    let (text, plain) = match item.insert_text {
        InsertText::Plain(text) => (text, None),
        InsertText::Snippet { value } => {
            let plain = snippet::expand(&value);
            (value, Some(plain))
        }
    };
    let id = item.item_id.or_else(|| tabby::event_id(&item.data)).or(item.command.as_ref().map(Command::suggestion));
    Item { id, text, plain, range: item.range }
}
