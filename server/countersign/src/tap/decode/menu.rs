//! `textDocument/completion`: suggestions of an AI in a menu of completions.
//!
//! The same request serves every language server, so an item counts as an AI's only where the server is
//! known to be one, or where the item has the shape that only an AI's items have.

use countersign_event::facts::Range;
use countersign_provenance::join::Item;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{snippet, tabby};

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    #[serde(rename_all = "camelCase")]
    List {
        items: Vec<MenuItem>,
        #[serde(default)]
        item_defaults: Defaults,
    },
    Bare(Vec<MenuItem>),
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Defaults {
    #[serde(default)]
    edit_range: Option<EditRange>,
    #[serde(default)]
    insert_text_format: Option<u8>,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum EditRange {
    Both { insert: Range },
    One(Range),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MenuItem {
    label: String,
    #[serde(default)]
    label_details: Option<LabelDetails>,
    #[serde(default)]
    detail: Option<String>,
    #[serde(default)]
    preselect: bool,
    #[serde(default)]
    insert_text: Option<String>,
    #[serde(default)]
    insert_text_format: Option<u8>,
    #[serde(default)]
    text_edit: Option<TextEdit>,
    #[serde(default)]
    text_edit_text: Option<String>,
    #[serde(default)]
    data: Value,
}

#[derive(Deserialize)]
struct LabelDetails {
    #[serde(default)]
    description: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TextEdit {
    new_text: String,
    #[serde(default)]
    range: Option<Range>,
    #[serde(default)]
    insert: Option<Range>,
}

/// What a menu holds.
pub(super) struct Menu {
    /// The items of an AI.
    pub(super) items: Vec<Item>,
    /// The tool, where the shape of an item tells it.
    pub(super) tool: Option<&'static str>,
    /// Items of which nobody knows whose they are.
    pub(super) others: usize,
}

/// Reads a menu; `None` for what is no answer. With `is_ai` set, every item is the AI's.
pub(super) fn items(result: &RawValue, is_ai: bool) -> Option<Menu> {
    let (items, defaults) = match serde_json::from_str::<Answer>(result.get()).ok()? {
        Answer::List { items, item_defaults } => (items, item_defaults),
        Answer::Bare(items) => (items, Defaults::default()),
    };
    let mut menu = Menu { items: Vec::new(), tool: None, others: 0 };
    for item in items {
        let tool = tool_of(&item);
        menu.tool = menu.tool.or(tool);
        if is_ai || tool.is_some() {
            menu.items.push(read(item, &defaults));
        } else {
            menu.others += 1;
        }
    }
    Some(menu)
}

/// Says whose items have this shape.
fn tool_of(item: &MenuItem) -> Option<&'static str> {
    let description = item.label_details.as_ref().and_then(|details| details.description.as_deref());
    if description == Some("Tabby") && item.data.is_object() || tabby::event_id(&item.data).is_some() {
        return Some("tabby-agent");
    }
    if item.label.starts_with("ai - ") && item.text_edit.is_some() {
        return Some("lsp-ai");
    }
    let whole = item.detail.as_ref().is_some_and(|detail| item.insert_text.as_ref() == Some(detail));
    (item.preselect && whole && item.text_edit.is_none()).then_some("helix-gpt")
}

fn read(item: MenuItem, defaults: &Defaults) -> Item {
    let default_range = defaults.edit_range.clone().map(|range| match range {
        EditRange::Both { insert } => insert,
        EditRange::One(range) => range,
    });
    let id = tabby::event_id(&item.data);
    let (text, range) = match item.text_edit {
        Some(edit) => (edit.new_text, edit.range.or(edit.insert)),
        None if default_range.is_some() => {
            (item.text_edit_text.or(item.insert_text).unwrap_or(item.label), default_range)
        }
        None => (item.insert_text.unwrap_or(item.label), None),
    };
    let is_snippet = item.insert_text_format.or(defaults.insert_text_format) == Some(2);
    let plain = is_snippet.then(|| snippet::expand(&text));
    Item { id, text, plain, range }
}
