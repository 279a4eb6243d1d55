//! The Cody agent: JSON-RPC with names of its own, also for documents.

use countersign_event::facts::{Position, Range};
use countersign_provenance::join::{Item, Observation};
use countersign_provenance::text::Change;
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    uri: String,
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    content_changes: Vec<ContentChange>,
}

#[derive(Deserialize)]
struct ContentChange {
    range: Range,
    text: String,
}

/// Reads a `textDocument/didOpen` that carries its text in `content`.
pub(super) fn did_open(params: &RawValue) -> Option<Observation> {
    let document: Document = serde_json::from_str(params.get()).ok()?;
    Some(Observation::Opened { uri: document.uri, language: String::new(), text: document.content? })
}

/// Reads a `textDocument/didChange` with a whole text or a list of changes; nothing for one that only
/// moves the selection.
pub(super) fn did_change(params: &RawValue) -> Option<Observation> {
    let document: Document = serde_json::from_str(params.get()).ok()?;
    let changes = if document.content_changes.is_empty() {
        vec![Change { range: None, text: document.content? }]
    } else {
        let change = |change: ContentChange| Change { range: Some(change.range), text: change.text };
        document.content_changes.into_iter().map(change).collect()
    };
    Some(Observation::Changed { uri: document.uri, changes })
}

#[derive(Deserialize)]
struct Execute {
    uri: String,
    position: Position,
}

/// Returns the document and cursor of an `autocomplete/execute`.
pub(super) fn position_of(params: &RawValue) -> Option<(String, Position)> {
    let asked: Execute = serde_json::from_str(params.get()).ok()?;
    Some((asked.uri, asked.position))
}

#[derive(Deserialize)]
struct Answer {
    items: Vec<AutocompleteItem>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AutocompleteItem {
    id: String,
    insert_text: String,
    #[serde(default)]
    range: Option<Range>,
}

/// Reads the items of an answer.
pub(super) fn items(result: &RawValue) -> Option<Vec<Item>> {
    let answer: Answer = serde_json::from_str(result.get()).ok()?;
    let item =
        |item: AutocompleteItem| Item { id: Some(item.id), text: item.insert_text, plain: None, range: item.range };
    Some(answer.items.into_iter().map(item).collect())
}

#[derive(Deserialize)]
struct Named {
    #[serde(rename = "completionID")]
    completion_id: String,
}

/// Reads the name in `completionSuggested` and `completionAccepted`.
pub(super) fn named(params: &RawValue) -> Option<String> {
    serde_json::from_str::<Named>(params.get()).ok().map(|named| named.completion_id)
}
