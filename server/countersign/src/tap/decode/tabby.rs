//! tabby-agent: its telemetry events, and its older protocol of JSON lines.
//!
//! The older protocol is no LSP: `[id,{"func","args"}]` from the editor, `[id,result]` and `[0,event]`
//! back. It has no document synchronisation; each question carries the whole text, and the position
//! as a number of UTF-16 units. Its configuration, which it also echoes, holds a token: it is never read.

use std::collections::VecDeque;

use countersign_event::facts::{Position, Range};
use countersign_event::payload::suggestion::RejectReason;
use countersign_provenance::join::{Answer, Item, Observation};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Direction, Names, Program, Seen, seen};

/// So many questions are open at a time; the older ones were cancelled.
const MAX_QUESTIONS: usize = 4;

/// Returns the name of a suggestion that telemetry will use: `completionId` and `choiceIndex`.
pub(super) fn event_id(data: &Value) -> Option<String> {
    let id = data.get("eventId")?;
    Some(named(id.get("completionId")?.as_str()?, id.get("choiceIndex")?.as_u64()?))
}

fn named(completion: &str, choice: u64) -> String {
    format!("{completion}#{choice}")
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Telemetry {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    select_kind: Option<String>,
    event_id: EventId,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventId {
    completion_id: String,
    #[serde(default)]
    choice_index: u64,
}

/// Reads a `tabby/telemetry/event`.
pub(super) fn telemetry(params: &RawValue) -> Option<Observation> {
    let event: Telemetry = serde_json::from_str(params.get()).ok()?;
    happened(
        &event.kind,
        event.select_kind.is_none(),
        named(&event.event_id.completion_id, event.event_id.choice_index),
    )
}

/// A kind of selection is named only for a word or a line.
fn happened(kind: &str, whole: bool, id: String) -> Option<Observation> {
    match kind {
        "view" => Some(Observation::Shown { id }),
        "select" => Some(Observation::AcceptedExplicitly { id, whole }),
        "dismiss" => Some(Observation::RejectedExplicitly { id, reason: RejectReason::Dismissed }),
        _ => None,
    }
}

#[derive(Deserialize)]
struct Call<'a> {
    func: String,
    #[serde(borrow, default)]
    args: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Initialize {
    #[serde(default)]
    client_properties: ClientProperties,
}

#[derive(Default, Deserialize)]
struct ClientProperties {
    #[serde(default)]
    session: Session,
}

#[derive(Default, Deserialize)]
struct Session {
    #[serde(default)]
    ide: Option<Program>,
    #[serde(default)]
    tabby_plugin: Option<Program>,
}

#[derive(Deserialize)]
struct Question {
    filepath: String,
    #[serde(default)]
    language: String,
    text: String,
    position: usize,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    completion_id: String,
    #[serde(default)]
    choice_index: u64,
    #[serde(default)]
    select_kind: Option<String>,
}

#[derive(Deserialize)]
struct Completion {
    id: String,
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Choice {
    #[serde(default)]
    index: u64,
    text: String,
    #[serde(default)]
    replace_range: Option<Offsets>,
}

#[derive(Deserialize)]
struct Offsets {
    start: usize,
    end: usize,
}

/// The older protocol.
#[derive(Debug, Default)]
pub(super) struct Lines {
    open: VecDeque<Open>,
}

#[derive(Debug)]
struct Open {
    id: u64,
    request: u64,
    uri: String,
    text: String,
}

impl Lines {
    /// Takes one line; `None` for what is none of this protocol.
    pub(super) fn message(
        &mut self,
        direction: Direction,
        body: &[u8],
        last_request: &mut u64,
        names: &mut Names,
    ) -> Option<Vec<Seen>> {
        let (id, value) = serde_json::from_slice::<(u64, &RawValue)>(body).ok()?;
        if direction == Direction::ToEditor {
            return Some(self.answer(id, value));
        }
        let call: Call<'_> = serde_json::from_str(value.get()).ok()?;
        names.tool = Some("tabby-agent");
        let argument = call.args.first().map_or("null", |argument| argument.get());
        Some(match call.func.as_str() {
            "initialize" => {
                if let Ok(said) = serde_json::from_str::<Initialize>(argument) {
                    names.client = said.client_properties.session.ide;
                    names.plugin = said.client_properties.session.tabby_plugin;
                }
                names.is_complete = true;
                vec![Seen::Named(names.clone())]
            }
            "provideCompletions" => match serde_json::from_str::<Question>(argument) {
                Ok(question) => self.ask(id, question, last_request),
                Err(_) => vec![Seen::NotFollowed("malformed_request")],
            },
            "postEvent" => {
                let event = serde_json::from_str::<Event>(argument).ok();
                seen(event.and_then(|event| {
                    happened(&event.kind, event.select_kind.is_none(), named(&event.completion_id, event.choice_index))
                }))
            }
            _ => Vec::new(),
        })
    }

    fn ask(&mut self, id: u64, question: Question, last_request: &mut u64) -> Vec<Seen> {
        *last_request += 1;
        let request = *last_request;
        let uri = file_uri(&question.filepath);
        let position = position(&question.text, question.position);
        if self.open.len() == MAX_QUESTIONS {
            self.open.pop_front();
        }
        self.open.push_back(Open { id, request, uri: uri.clone(), text: question.text.clone() });
        seen([
            Observation::Snapshot { uri: uri.clone(), language: question.language, text: question.text },
            Observation::Asked { request, uri, position },
        ])
    }

    fn answer(&mut self, id: u64, result: &RawValue) -> Vec<Seen> {
        let Some(at) = self.open.iter().position(|open| open.id == id) else { return Vec::new() };
        let Some(Open { request, uri, text, .. }) = self.open.remove(at) else { return Vec::new() };
        let Ok(completion) = serde_json::from_str::<Completion>(result.get()) else {
            return seen([Observation::Unanswered { request }]);
        };
        let items = completion.choices.into_iter().map(|choice| Item {
            id: Some(named(&completion.id, choice.index)),
            text: choice.text,
            plain: None,
            range: choice
                .replace_range
                .map(|at| Range { start: position(&text, at.start), end: position(&text, at.end) }),
        });
        let items = items.collect();
        seen([Observation::Answered(Answer { request, uri, items, ..Answer::default() })])
    }
}

/// Returns the position after so many UTF-16 units.
fn position(text: &str, units: usize) -> Position {
    let mut at = Position::default();
    let mut passed = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if passed >= units {
            break;
        }
        passed += c.len_utf16();
        if c == '\n' || (c == '\r' && chars.peek() != Some(&'\n')) {
            at = Position { line: at.line + 1, character: 0 };
        } else if c != '\r' {
            at.character += c.len_utf16() as u32;
        }
    }
    at
}

/// Returns the URI of a path, as an editor would write it.
pub(super) fn file_uri(path: &str) -> String {
    if path.contains("://") {
        return path.to_owned();
    }
    let path = path.replace('\\', "/");
    let mut uri = String::from(if path.starts_with('/') { "file://" } else { "file:///" });
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~:@!$&'()*+,;=".contains(&byte) {
            uri.push(byte as char);
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_counts_utf16_units_and_lines_end_as_editors_end_them() {
        for (units, line, character) in [(0, 0, 0), (2, 0, 2), (3, 0, 3), (5, 1, 0), (6, 1, 1), (7, 2, 0), (99, 2, 1)] {
            assert_eq!(position("😀a\r\nb\nc", units), Position { line, character }, "{units}");
        }
    }

    #[test]
    fn a_path_becomes_the_uri_an_editor_writes() {
        assert_eq!(file_uri("/a b/é.py"), "file:///a%20b/%C3%A9.py");
        assert_eq!(file_uri("C:\\x.py"), "file:///C:/x.py");
        assert_eq!(file_uri("file:///x"), "file:///x");
    }
}
