//! Continue's core: JSON lines `{messageType, messageId, data}`. It tells of no edits, so an acceptance
//! is what its message says and no more; the model stands in its configuration.

use std::borrow::Cow;
use std::collections::VecDeque;

use countersign_event::facts::{Position, Range};
use countersign_provenance::join::{Answer, Item, Observation};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::tabby::file_uri;
use super::{Direction, Names, Seen, seen};

/// So many questions are open at a time; the older ones were cancelled.
const MAX_QUESTIONS: usize = 16;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    #[serde(borrow)]
    message_type: Cow<'a, str>,
    #[serde(borrow)]
    message_id: Cow<'a, str>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Complete {
    completion_id: String,
    filepath: String,
    pos: Position,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Accept {
    completion_id: String,
}

/// An answer, bare or wrapped with a status.
#[derive(Deserialize)]
#[serde(untagged)]
enum Texts {
    Bare(Vec<String>),
    Wrapped { content: Vec<String> },
}

/// The questions of one stream.
#[derive(Debug, Default)]
pub(super) struct Core {
    open: VecDeque<Open>,
}

#[derive(Debug)]
struct Open {
    message: String,
    request: u64,
    uri: String,
    position: Position,
    completion: String,
}

impl Core {
    /// Takes one line; `None` for what is none of this protocol.
    pub(super) fn message(
        &mut self,
        direction: Direction,
        body: &[u8],
        last_request: &mut u64,
        names: &mut Names,
    ) -> Option<Vec<Seen>> {
        let message: Message<'_> = serde_json::from_slice(body).ok()?;
        names.tool = Some("continue");
        let data = message.data.map_or("null", |data| data.get());
        let is_answer = direction == Direction::ToEditor;
        Some(match message.message_type.as_ref() {
            "autocomplete/complete" if is_answer => self.answer(&message.message_id, data),
            "autocomplete/complete" => match serde_json::from_str::<Complete>(data) {
                Ok(asked) => {
                    *last_request += 1;
                    self.ask(*last_request, message.message_id.into_owned(), asked)
                }
                Err(_) => vec![Seen::NotFollowed("malformed_request")],
            },
            "autocomplete/accept" if !is_answer => {
                let accept = serde_json::from_str::<Accept>(data).ok();
                seen(accept.map(|accept| Observation::AcceptedExplicitly { id: accept.completion_id, whole: true }))
            }
            "nextEdit/predict" if !is_answer => vec![Seen::NotFollowed("next_edit")],
            "llm/streamChat" if !is_answer => vec![Seen::NotFollowed("chat")],
            _ => Vec::new(),
        })
    }

    fn ask(&mut self, request: u64, message: String, asked: Complete) -> Vec<Seen> {
        let uri = file_uri(&asked.filepath);
        if self.open.len() == MAX_QUESTIONS {
            self.open.pop_front();
        }
        let (position, completion) = (asked.pos, asked.completion_id);
        self.open.push_back(Open { message, request, uri: uri.clone(), position, completion });
        seen([Observation::Asked { request, uri, position }])
    }

    fn answer(&mut self, message: &str, data: &str) -> Vec<Seen> {
        let Some(at) = self.open.iter().position(|open| open.message == message) else { return Vec::new() };
        let Some(Open { request, uri, position, completion, .. }) = self.open.remove(at) else { return Vec::new() };
        let Ok(Texts::Bare(texts) | Texts::Wrapped { content: texts }) = serde_json::from_str(data) else {
            return seen([Observation::Unanswered { request }]);
        };
        let range = Some(Range { start: position, end: position });
        let item = |(i, text)| {
            // The message of acceptance has room for one name.
            let id = (i == 0).then(|| completion.clone());
            Item { id, text, plain: None, range }
        };
        let items = texts.into_iter().enumerate().map(item).collect();
        seen([Observation::Answered(Answer { request, uri, items, ..Answer::default() })])
    }
}
