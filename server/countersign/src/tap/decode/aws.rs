//! AWS language servers, Amazon Q among them. Before the first frame a client may send one raw line with
//! an encryption key: it is passed over, and with it every text that is encrypted for the server.

use countersign_event::payload::suggestion::RejectReason;
use countersign_provenance::join::Observation;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

use super::chat::{Chats, Prompt, Taken};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Results {
    completion_session_result: BTreeMap<String, State>,
}

#[derive(Deserialize)]
struct State {
    #[serde(default)]
    seen: bool,
    #[serde(default)]
    accepted: bool,
}

/// Reads an `aws/logInlineCompletionSessionResults`: what became of each item, told afterwards.
pub(super) fn results(params: &RawValue) -> Vec<Observation> {
    let Ok(results) = serde_json::from_str::<Results>(params.get()) else { return Vec::new() };
    // What was taken comes last: it ends the alternatives of which nothing was said.
    let mut items: Vec<_> = results.completion_session_result.into_iter().collect();
    items.sort_by_key(|(_, state)| state.accepted);
    items
        .into_iter()
        .map(|(id, state)| match state {
            State { accepted: true, .. } => Observation::AcceptedExplicitly { id, whole: true },
            State { seen: true, .. } => Observation::RejectedExplicitly { id, reason: RejectReason::Dismissed },
            State { .. } => Observation::RejectedExplicitly { id, reason: RejectReason::NeverShown },
        })
        .collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChatPrompt {
    #[serde(default)]
    tab_id: Option<String>,
    #[serde(default)]
    prompt: Option<Words>,
    /// The whole of it, encrypted.
    #[serde(default)]
    message: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    text_document: Option<DocumentId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Words {
    #[serde(default)]
    prompt: Option<String>,
    #[serde(default)]
    escaped_prompt: Option<String>,
}

#[derive(Deserialize)]
struct DocumentId {
    uri: String,
}

/// Reads an `aws/chat/sendChatPrompt`. Returns the turn's number.
pub(super) fn prompt(chats: &mut Chats, params: &RawValue) -> Option<u64> {
    let said: ChatPrompt = serde_json::from_str(params.get()).ok()?;
    let prompt = match said.prompt.and_then(|words| words.prompt.or(words.escaped_prompt)) {
        Some(text) => Prompt::Text(text),
        None if said.message.is_some() => Prompt::Encrypted,
        None => return None,
    };
    let turns = said.tab_id.as_deref().map(|tab| chats.turns_of(tab) + 1);
    Some(chats.open(prompt, said.tab_id, turns, None, said.text_document.map(|document| document.uri)))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InsertToCursor {
    message_id: String,
    code: String,
    #[serde(default)]
    code_block_index: u64,
    #[serde(default)]
    text_document: Option<DocumentId>,
}

/// Reads an `aws/chat/insertToCursorPosition`, which has the code itself.
pub(super) fn taken(chats: &Chats, params: &RawValue) -> Option<Taken> {
    let inserted: InsertToCursor = serde_json::from_str(params.get()).ok()?;
    let turn = chats.turn(&inserted.message_id)?.clone();
    let uri = inserted.text_document.map(|document| document.uri).or_else(|| turn.uri.clone())?;
    let id = format!("{}#{}", inserted.message_id, inserted.code_block_index);
    Some(Taken { turn, id, uri, text: inserted.code, whole: true })
}

#[derive(Deserialize)]
struct Preamble {
    #[serde(rename = "mode")]
    _mode: serde::de::IgnoredAny,
    #[serde(rename = "key")]
    _key: serde::de::IgnoredAny,
}

/// Says whether a message is the raw line with the key.
pub(super) fn is_preamble(body: &[u8]) -> bool {
    serde_json::from_slice::<Preamble>(body).is_ok()
}
