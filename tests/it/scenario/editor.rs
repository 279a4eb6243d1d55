//! The person's editor: documents, a cursor that types, undo, and `countersign lsp` at the other end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use similar::{DiffOp, TextDiff};
use tower_lsp::ls_types::Uri;

use super::tapped::Tapped;
use crate::lsp::client::Client;
use crate::support::{World, wait_for};

/// Characters that arrive in one change while somebody types.
const STROKE: usize = 4;

/// An editor with its language servers.
pub(super) struct Editor {
    servers: Servers,
    open: BTreeMap<PathBuf, Document>,
    suggestions: usize,
}

/// Ours, and an AI's behind the tap where the story has one.
struct Servers {
    ours: Client,
    ai: Option<Tapped>,
}

struct Document {
    uri: String,
    text: String,
    version: i64,
    /// What is on the disk as far as the editor knows.
    saved: String,
    undo: Vec<Vec<Edit>>,
    redo: Vec<Vec<Edit>>,
}

/// Bytes that are replaced, in the text as it is then.
#[derive(Clone, Debug)]
struct Edit {
    start: usize,
    end: usize,
    text: String,
}

/// How a text comes to be another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Manner {
    /// Key by key.
    Typing,
    /// One change for each place.
    Pasting,
    /// All places in one change, as a formatter's edits are applied.
    AtOnce,
    /// The whole text anew.
    Whole,
}

impl Editor {
    /// Starts an editor.
    pub(super) fn start(world: &World) -> Editor {
        let servers = Servers { ours: Client::initialized(world, json!({})), ai: None };
        Editor { servers, open: BTreeMap::new(), suggestions: 0 }
    }

    /// Opens a file as it is on the disk; one that is not there is new.
    pub(super) fn open(&mut self, path: &Path) {
        if self.open.contains_key(path) {
            return;
        }
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let uri = Uri::from_file_path(path).expect("an absolute path").to_string();
        self.servers.open(&uri, 0, &text);
        let document = Document { uri, saved: text.clone(), text, version: 0, undo: Vec::new(), redo: Vec::new() };
        self.open.insert(path.to_owned(), document);
        self.look(path);
    }

    /// Looks at a document before going on, as a person does: until the server knows whose its text is.
    fn look(&mut self, path: &Path) {
        let uri = self.open[path].uri.clone();
        let ours = &mut self.servers.ours;
        wait_for("the writers of the text", || (ours.attribution(&uri)["pending"] == false).then_some(()));
    }

    /// Makes a document another, and remembers how to undo that.
    pub(super) fn change(&mut self, path: &Path, target: &str, manner: Manner) {
        self.open(path);
        let document = self.open.get_mut(path).expect("just opened");
        let mut undo = Vec::new();
        let edits = edits(&document.text, target, manner);
        match manner {
            Manner::Whole => {
                undo.push(Edit { start: 0, end: target.len(), text: document.text.clone() });
                document.whole(&mut self.servers, target);
            }
            Manner::AtOnce => {
                undo.push(Edit { start: 0, end: target.len(), text: document.text.clone() });
                document.apply(&mut self.servers, &edits);
            }
            Manner::Typing | Manner::Pasting => {
                for edit in &edits {
                    let inverse = Edit {
                        start: edit.start,
                        end: edit.start + edit.text.len(),
                        text: document.text[edit.start..edit.end].to_owned(),
                    };
                    undo.push(inverse);
                    document.apply(&mut self.servers, std::slice::from_ref(edit));
                }
            }
        }
        undo.reverse();
        document.undo.push(undo);
        document.redo.clear();
        assert_eq!(document.text, target);
    }

    /// Undoes what was done last to a document, change by change.
    pub(super) fn undo(&mut self, path: &Path) {
        let document = self.open.get_mut(path).expect("an open document");
        let edits = document.undo.pop().expect("something to undo");
        let back = document.play(&mut self.servers, edits);
        document.redo.push(back);
    }

    /// Does it again.
    pub(super) fn redo(&mut self, path: &Path) {
        let document = self.open.get_mut(path).expect("an open document");
        let edits = document.redo.pop().expect("something to redo");
        let back = document.play(&mut self.servers, edits);
        document.undo.push(back);
    }

    /// Shows a suggestion that would make a document another; takes it, or dismisses it.
    pub(super) fn suggest(&mut self, tool: &str, path: &Path, target: &str, take: bool) {
        self.open(path);
        self.suggestions += 1;
        let document = &self.open[path];
        let edit = one_edit(&document.text, target);
        let range = json!({ "start": position(&document.text, edit.start), "end": position(&document.text, edit.end) });
        let (uri, id) = (document.uri.clone(), format!("s-{}", self.suggestions));
        let message = |event: &str| {
            let mut message = json!({ "event": event, "id": id, "tool": tool, "textDocument": { "uri": uri } });
            if event != "rejected" {
                message["range"] = range.clone();
                message["text"] = Value::String(edit.text.clone());
                message["model"] = json!({ "responded": "exact-model-1" });
            }
            message
        };
        self.servers.ours.notify("countersign/suggestion", message("shown"));
        if !take {
            return self.servers.ours.notify("countersign/suggestion", message("rejected"));
        }
        self.take(path, &edit);
        self.servers.ours.notify("countersign/suggestion", message("accepted"));
    }

    /// Asks an AI's server behind the tap for what would make a document another, and takes it or not.
    pub(super) fn ask(&mut self, world: &World, tool: &str, path: &Path, target: &str, take: bool) {
        self.open(path);
        if self.servers.ai.is_none() {
            let mut ai = Tapped::start(world, tool);
            self.open.values().for_each(|it| ai.open(&it.uri, it.version, &it.text));
            self.servers.ai = Some(ai);
        }
        let document = &self.open[path];
        let edit = one_edit(&document.text, target);
        let range = json!({ "start": position(&document.text, edit.start), "end": position(&document.text, edit.end) });
        let uri = document.uri.clone();
        let command = self.servers.ai.as_mut().expect("just started").offer(&uri, &range, &edit.text);
        if take {
            self.take(path, &edit);
            self.servers.ai.as_mut().expect("just started").accept(world, &command);
        }
    }

    /// Applies what was offered, so that it can be undone.
    fn take(&mut self, path: &Path, edit: &Edit) {
        let document = self.open.get_mut(path).expect("open");
        let inverse = Edit {
            start: edit.start,
            end: edit.start + edit.text.len(),
            text: document.text[edit.start..edit.end].to_owned(),
        };
        document.apply(&mut self.servers, std::slice::from_ref(edit));
        document.undo.push(vec![inverse]);
        document.redo.clear();
    }

    /// Writes a document to the disk. Returns whether that changed anything there.
    pub(super) fn save(&mut self, path: &Path) -> bool {
        let document = self.open.get_mut(path).expect("an open document");
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).unwrap();
        }
        std::fs::write(path, &document.text).unwrap();
        self.servers.notify("textDocument/didSave", json!({ "textDocument": { "uri": document.uri } }));
        let is_new = document.saved != document.text;
        document.saved.clone_from(&document.text);
        is_new
    }

    /// Takes over what others did to the files of its documents, as editors do: a document that was saved
    /// is read again, one whose file is gone is closed.
    pub(super) fn notice(&mut self) {
        let (mut gone, mut read) = (Vec::new(), Vec::new());
        for (path, document) in &mut self.open {
            let Ok(bytes) = std::fs::read(path) else {
                gone.push(path.clone());
                continue;
            };
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if text != document.saved && document.saved == document.text {
                document.saved.clone_from(&text);
                document.whole(&mut self.servers, &text);
                read.push(path.clone());
            }
        }
        read.iter().for_each(|path| self.look(path));
        gone.retain(|path| !self.is_dirty(path));
        gone.iter().for_each(|path| self.close(path));
    }

    fn is_dirty(&self, path: &Path) -> bool {
        self.open.get(path).is_some_and(|document| document.text != document.saved)
    }

    /// Closes a document.
    pub(super) fn close(&mut self, path: &Path) {
        if let Some(document) = self.open.remove(path) {
            self.servers.notify("textDocument/didClose", json!({ "textDocument": { "uri": document.uri } }));
        }
    }

    /// Ends the editor, and the servers with it.
    pub(super) fn quit(self) {
        if let Some(ai) = self.servers.ai {
            ai.quit();
        }
        self.servers.ours.finish();
    }
}

impl Servers {
    fn open(&mut self, uri: &str, version: i64, text: &str) {
        self.ours.open(uri, "python", version, text);
        self.ai.iter_mut().for_each(|ai| ai.open(uri, version, text));
    }

    fn notify(&mut self, method: &str, params: Value) {
        self.ai.iter_mut().for_each(|ai| ai.notify(method, params.clone()));
        self.ours.notify(method, params);
    }
}

impl Document {
    fn apply(&mut self, servers: &mut Servers, edits: &[Edit]) {
        let mut changes = Vec::new();
        for edit in edits {
            let range = json!({ "start": position(&self.text, edit.start), "end": position(&self.text, edit.end) });
            changes.push(json!({ "range": range, "text": edit.text }));
            self.text.replace_range(edit.start..edit.end, &edit.text);
        }
        self.tell(servers, json!(changes));
    }

    fn whole(&mut self, servers: &mut Servers, text: &str) {
        self.text = text.to_owned();
        self.tell(servers, json!([{ "text": text }]));
    }

    fn tell(&mut self, servers: &mut Servers, changes: Value) {
        self.version += 1;
        let document = json!({ "uri": self.uri, "version": self.version });
        servers.notify("textDocument/didChange", json!({ "textDocument": document, "contentChanges": changes }));
    }

    fn play(&mut self, servers: &mut Servers, edits: Vec<Edit>) -> Vec<Edit> {
        let mut back = Vec::new();
        for edit in edits {
            let old = self.text[edit.start..edit.end].to_owned();
            back.push(Edit { start: edit.start, end: edit.start + edit.text.len(), text: old });
            self.apply(servers, &[edit]);
        }
        back.reverse();
        back
    }
}

/// A byte offset as LSP counts: lines, and UTF-16 in the line.
fn position(text: &str, offset: usize) -> Value {
    let before = text[..offset].replace("\r\n", "\n");
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.matches('\n').count();
    json!({ "line": line, "character": before[line_start..].encode_utf16().count() })
}

/// The edits that make one text another, each in the text that those before it left.
fn edits(before: &str, after: &str, manner: Manner) -> Vec<Edit> {
    let diff = TextDiff::from_lines(before, after);
    let (old, new): (Vec<&str>, Vec<&str>) = (diff.iter_old_slices().collect(), diff.iter_new_slices().collect());
    let starts: Vec<usize> = std::iter::once(0)
        .chain(old.iter().scan(0, |at, line| {
            *at += line.len();
            Some(*at)
        }))
        .collect();
    let mut edits: Vec<Edit> = Vec::new();
    // From the end: what comes before stays where it is.
    for op in diff.ops().iter().rev() {
        if matches!(op, DiffOp::Equal { .. }) {
            continue;
        }
        let (from, to) = (op.old_range(), op.new_range());
        let place = starts[from.start]..starts[from.end];
        let was = &before[place.clone()];
        let becomes: String = new[to.clone()].concat();
        if manner != Manner::Typing {
            edits.push(Edit { start: place.start, end: place.end, text: becomes });
        } else if from.len() == to.len() {
            for (at, (was, becomes)) in was
                .split_inclusive('\n')
                .zip(becomes.split_inclusive('\n'))
                .enumerate()
                .collect::<Vec<_>>()
                .into_iter()
                .rev()
            {
                typed(&mut edits, starts[from.start + at], was, becomes, before);
            }
        } else {
            typed(&mut edits, place.start, was, &becomes, before);
        }
    }
    edits
}

/// One place, key by key: what goes is deleted, what comes is typed.
fn typed(edits: &mut Vec<Edit>, start: usize, was: &str, becomes: &str, whole: &str) {
    let mut small = one_edit(was, becomes);
    if (small.end - small.start) * 2 > was.len() {
        // Another text in its place: nobody keeps single letters of the old one.
        let end = was.len() - usize::from(was.ends_with('\n') && becomes.ends_with('\n'));
        small = Edit { start: 0, end, text: becomes[..becomes.len() - (was.len() - end)].to_owned() };
    }
    let (mut start, mut end, mut text) = (start + small.start, start + small.end, small.text);
    if start == end && text.ends_with('\n') && start > 0 && whole[..start].ends_with('\n') {
        // A new line is begun at the end of the one above.
        let end_of_line = if whole[..start].ends_with("\r\n") { 2 } else { 1 };
        if text.ends_with(&whole[start - end_of_line..start]) {
            let cut = text.len() - end_of_line;
            text = format!("{}{}", &whole[start - end_of_line..start], &text[..cut]);
            start -= end_of_line;
            end -= end_of_line;
        }
    }
    if end > start {
        edits.push(Edit { start, end, text: String::new() });
    }
    let mut at = start;
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let line = rest.find(['\r', '\n']).unwrap_or(rest.len());
        let length = match line {
            0 if rest.starts_with("\r\n") => 2,
            0 => 1,
            line => rest[..line].char_indices().nth(STROKE).map_or(line, |(at, _)| at),
        };
        edits.push(Edit { start: at, end: at, text: rest[..length].to_owned() });
        at += length;
        rest = &rest[length..];
    }
}

/// The one edit between the common beginning and the common end.
fn one_edit(before: &str, after: &str) -> Edit {
    let start: usize = before.chars().zip(after.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
    let common_end: usize = before[start..]
        .chars()
        .rev()
        .zip(after[start..].chars().rev())
        .take_while(|(a, b)| a == b)
        .map(|(a, _)| a.len_utf8())
        .sum();
    Edit { start, end: before.len() - common_end, text: after[start..after.len() - common_end].to_owned() }
}

#[test]
fn typing_comes_to_the_text_it_is_meant_to() {
    for (before, after) in [
        ("", "a\nb\n"),
        ("a\nb\n", "a\nx\ny\nb\n"),
        ("a\r\nb\r\n", "a\r\nlong line here\r\nb\r\n"),
        ("a\nb\nc\n", "c\na\n"),
        ("é🦀x\n", "é🦀y🦀\n"),
        ("a", ""),
    ] {
        for manner in [Manner::Typing, Manner::Pasting, Manner::AtOnce] {
            let mut text = before.to_owned();
            for edit in edits(before, after, manner) {
                text.replace_range(edit.start..edit.end, &edit.text);
            }
            assert_eq!(text, after, "{before:?} {manner:?}");
        }
    }
}
