//! Supermaven: JSON lines, its own with `SM-MESSAGE ` before them. No message tells of acceptance, no
//! model is named; the whole file comes with each edit.

use std::collections::VecDeque;

use countersign_event::facts::Position;
use countersign_provenance::join::{Answer, Item, Observation};
use countersign_provenance::text::{Change, Encoding, Text};
use serde::Deserialize;

use super::tabby::file_uri;
use super::{Direction, Names, Seen, seen};

/// So many states are open at a time; an answer to an older one is of no use to anybody.
const MAX_STATES: usize = 8;

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Message {
    Greeting,
    #[serde(rename_all = "camelCase")]
    StateUpdate {
        new_id: String,
        updates: Vec<Update>,
    },
    #[serde(rename_all = "camelCase")]
    Response {
        state_id: String,
        items: Vec<Piece>,
    },
    Metadata,
    ServiceTier,
    ActivationRequest,
    ActivationSuccess,
    Popup,
    Passthrough,
    TaskStatus,
    ActiveRepo,
    SetV2,
    InformFileChanged,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Update {
    #[serde(rename = "cursor_update")]
    Cursor { path: String, offset: usize },
    #[serde(rename = "file_update")]
    File { path: String, content: String },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Piece {
    kind: String,
    #[serde(default)]
    text: String,
}

/// The states of one stream.
#[derive(Debug, Default)]
pub(super) struct States {
    /// The file that was last updated, with its text.
    file: Option<(String, Text)>,
    open: VecDeque<Open>,
}

#[derive(Debug)]
struct Open {
    state: String,
    request: u64,
    uri: String,
    text: String,
}

impl States {
    /// Takes one line; `None` for what is none of this protocol.
    pub(super) fn message(
        &mut self,
        direction: Direction,
        body: &[u8],
        last_request: &mut u64,
        names: &mut Names,
    ) -> Option<Vec<Seen>> {
        let message: Message = serde_json::from_slice(body).ok()?;
        names.tool = Some("supermaven");
        Some(match (message, direction) {
            (Message::StateUpdate { new_id, updates }, Direction::ToServer) => {
                self.update(new_id, updates, last_request)
            }
            (Message::Response { state_id, items }, Direction::ToEditor) => self.response(&state_id, items),
            _ => Vec::new(),
        })
    }

    fn update(&mut self, state: String, updates: Vec<Update>, last_request: &mut u64) -> Vec<Seen> {
        let mut told = Vec::new();
        let mut cursor = None;
        for update in updates {
            match update {
                Update::File { path, content } => {
                    let uri = file_uri(&path);
                    let text = Text::new(&content);
                    let is_known = self.file.as_ref().is_some_and(|(known, _)| *known == uri);
                    self.file = Some((uri.clone(), text));
                    told.push(if is_known {
                        Observation::Changed { uri, changes: vec![Change { range: None, text: content }] }
                    } else {
                        Observation::Opened { uri, language: String::new(), text: content }
                    });
                }
                Update::Cursor { path, offset } => cursor = Some((file_uri(&path), offset)),
                Update::Other => {}
            }
        }
        if let (Some((uri, offset)), Some((known, text))) = (cursor, &self.file)
            && uri == *known
            && text.is_border(offset)
        {
            *last_request += 1;
            let request = *last_request;
            let position: Position = text.position(offset, Encoding::Utf16);
            if self.open.len() == MAX_STATES {
                self.open.pop_front();
            }
            self.open.push_back(Open { state, request, uri: uri.clone(), text: String::new() });
            told.push(Observation::Asked { request, uri, position });
        }
        seen(told)
    }

    /// An answer comes in pieces; it is an offer when its end is there. Pieces that are no plain text
    /// make it one that is not followed.
    fn response(&mut self, state: &str, items: Vec<Piece>) -> Vec<Seen> {
        let Some(at) = self.open.iter().position(|open| open.state == state) else { return Vec::new() };
        for piece in items {
            match piece.kind.as_str() {
                "text" => self.open[at].text.push_str(&piece.text),
                "barrier" => {}
                "end" | "finish_edit" => {
                    let Some(Open { request, uri, text, .. }) = self.open.remove(at) else { return Vec::new() };
                    let items =
                        if text.trim().is_empty() { Vec::new() } else { vec![Item { text, ..Item::default() }] };
                    return seen([Observation::Answered(Answer { request, uri, items, ..Answer::default() })]);
                }
                _ => {
                    self.open.remove(at);
                    return vec![Seen::NotFollowed("supermaven_edit")];
                }
            }
        }
        Vec::new()
    }
}
