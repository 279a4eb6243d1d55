//! Edits that a server makes of the text: `codeAction/resolve` and `workspace/applyEdit`.

use std::collections::BTreeMap;

use countersign_event::facts::Range;
use countersign_provenance::join::Item;
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct HasEdit {
    edit: WorkspaceEdit,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WorkspaceEdit {
    #[serde(default)]
    changes: BTreeMap<String, Vec<TextEdit>>,
    #[serde(default)]
    document_changes: Vec<DocumentChange>,
}

/// A change of a document; creating, renaming and deleting files are other shapes, and no text.
#[derive(Deserialize)]
#[serde(untagged)]
enum DocumentChange {
    #[serde(rename_all = "camelCase")]
    Edits {
        text_document: DocumentId,
        edits: Vec<TextEdit>,
    },
    Other {},
}

#[derive(Deserialize)]
struct DocumentId {
    uri: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TextEdit {
    range: Range,
    new_text: String,
}

#[derive(Deserialize)]
struct Applied {
    applied: bool,
}

/// Reads the edits of a code action or of a request to apply them. `name` makes them known to a later
/// message.
pub(super) fn of(value: &RawValue, name: Option<&str>) -> Vec<(String, Item)> {
    let Ok(HasEdit { edit }) = serde_json::from_str::<HasEdit>(value.get()) else { return Vec::new() };
    let versioned = edit.document_changes.into_iter().filter_map(|change| match change {
        DocumentChange::Edits { text_document, edits } => Some((text_document.uri, edits)),
        DocumentChange::Other {} => None,
    });
    // A client that knows versions reads these and passes over the others.
    let versioned: Vec<_> = versioned.collect();
    let all = if versioned.is_empty() { edit.changes.into_iter().collect() } else { versioned };
    let flat = all.into_iter().flat_map(|(uri, edits)| edits.into_iter().map(move |edit| (uri.clone(), edit)));
    // What only deletes offers no text.
    flat.filter(|(_, edit)| !edit.new_text.is_empty())
        .enumerate()
        .map(|(i, (uri, edit))| {
            let id = name.map(|name| format!("{name}#{i}"));
            (uri, Item { id, text: edit.new_text, plain: None, range: Some(edit.range) })
        })
        .collect()
}

/// Says whether a client did what `workspace/applyEdit` asked for; `None` for an error.
pub(super) fn applied(result: Option<&RawValue>) -> Option<bool> {
    serde_json::from_str::<Applied>(result?.get()).ok().map(|answer| answer.applied)
}
