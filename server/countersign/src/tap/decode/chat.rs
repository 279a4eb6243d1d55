//! Conversations: each prompt with its turn and reply, and the code that is taken from a reply.
//!
//! The shapes are the Copilot language server's and Amazon Q's. A reply comes in pieces by `$/progress`,
//! so a turn is told when it has ended, at the latest with the session. Code that is put into a document
//! is named by turn and number of the block; copying it is no acceptance.

use std::collections::{BTreeMap, HashMap, VecDeque};

use countersign_event::facts::How;
use countersign_provenance::join::NamedModel;
use serde::Deserialize;
use serde_json::value::RawValue;

/// So many turns are remembered for code that is taken from them later.
const MAX_ENDED: usize = 32;
/// So many turns are open at a time.
const MAX_OPEN: usize = 32;
/// So much of a reply is kept.
const MAX_REPLY: usize = 1 << 20;
/// So many conversations are counted.
const MAX_CONVERSATIONS: usize = 256;

/// A prompt as it stands on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Prompt {
    /// In clear.
    Text(String),
    /// For the server's eyes only.
    Encrypted,
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    /// Its number in this stream.
    pub(crate) number: u64,
    /// The tool's name of the conversation.
    pub(crate) conversation: Option<String>,
    /// The tool's name of the turn.
    pub(crate) id: Option<String>,
    /// What was asked.
    pub(crate) prompt: Prompt,
    /// Which turn of the conversation this is, from 1.
    pub(crate) turns: Option<u32>,
    /// What was answered so far.
    pub(crate) reply: String,
    /// The model that was asked for.
    pub(crate) requested: Option<String>,
    /// The model that the answer names.
    pub(crate) responded: Option<String>,
    /// The provider's id of the request.
    pub(crate) request_id: Option<String>,
    /// The document it was about.
    pub(crate) uri: Option<String>,
}

/// The conversations of one stream.
#[derive(Debug, Default)]
pub(super) struct Chats {
    last: u64,
    open: BTreeMap<u64, Turn>,
    ended: VecDeque<Turn>,
    turns: HashMap<String, u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    #[serde(default)]
    turns: Vec<Request>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    conversation_id: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    model_info: Option<ModelInfo>,
    #[serde(default)]
    text_document: Option<DocumentId>,
}

#[derive(Deserialize)]
struct Request {
    request: String,
}

#[derive(Deserialize)]
struct ModelInfo {
    #[serde(default)]
    id: Option<String>,
}

#[derive(Deserialize)]
struct DocumentId {
    uri: String,
}

/// What `$/progress` and the final answer say; both say some of it.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Said {
    conversation_id: Option<String>,
    turn_id: Option<String>,
    reply: Option<String>,
    edit_agent_rounds: Vec<Round>,
    model_info: Option<ModelInfo>,
    model_name: Option<String>,
    message_id: Option<String>,
    body: Option<String>,
}

#[derive(Deserialize)]
struct Round {
    #[serde(default)]
    reply: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inserted {
    turn_id: String,
    code_block_index: usize,
    #[serde(default)]
    accepted_length: Option<u64>,
    #[serde(default)]
    total_characters: Option<u64>,
    #[serde(default)]
    text_document: Option<DocumentId>,
}

/// Code that was put into a document.
pub(super) struct Taken {
    pub(super) turn: Turn,
    pub(super) id: String,
    pub(super) uri: String,
    pub(super) text: String,
    pub(super) whole: bool,
}

impl Chats {
    /// Reads a `conversation/create` or `conversation/turn`. Returns the turn's number.
    pub(super) fn asked(&mut self, params: &RawValue) -> Option<u64> {
        let mut asked: Asked = serde_json::from_str(params.get()).ok()?;
        let before = u32::try_from(asked.turns.len()).unwrap_or(u32::MAX);
        // The last one is the new one; the others were said before.
        let prompt = asked.turns.pop().map(|turn| turn.request).or(asked.message)?;
        let turns = match &asked.conversation_id {
            Some(id) => self.turns.get(id).map(|turns| turns + 1),
            None => Some(before),
        };
        let requested = asked.model_info.and_then(|info| info.id).or(asked.model);
        let uri = asked.text_document.map(|document| document.uri);
        Some(self.open(Prompt::Text(prompt), asked.conversation_id, turns, requested, uri))
    }

    /// Opens a turn, and returns its number.
    pub(super) fn open(
        &mut self,
        prompt: Prompt,
        conversation: Option<String>,
        turns: Option<u32>,
        requested: Option<String>,
        uri: Option<String>,
    ) -> u64 {
        self.last += 1;
        let turn = Turn {
            number: self.last,
            conversation,
            id: None,
            prompt,
            turns,
            reply: String::new(),
            requested,
            responded: None,
            request_id: None,
            uri,
        };
        self.open.insert(self.last, turn);
        self.last
    }

    /// Returns how many turns a conversation has had.
    pub(super) fn turns_of(&self, conversation: &str) -> u32 {
        self.turns.get(conversation).copied().unwrap_or(0)
    }

    /// Takes a piece of a reply.
    pub(super) fn progress(&mut self, number: u64, value: &RawValue) {
        let Some(turn) = self.open.get_mut(&number) else { return };
        let mut said: Said = serde_json::from_str(value.get()).unwrap_or_default();
        // A body is all of the reply so far.
        if let Some(body) = said.body.take().filter(|body| body.len() <= MAX_REPLY) {
            turn.reply = body;
        }
        turn.hear(said);
    }

    /// Takes the answer that ends a turn; `None` for an error.
    pub(super) fn ended(&mut self, number: u64, result: Option<&RawValue>) -> Option<Turn> {
        let mut turn = self.open.remove(&number)?;
        let said: Option<Said> = result.and_then(|result| serde_json::from_str(result.get()).ok());
        if let Some(mut said) = said {
            if let Some(body) = said.body.take().filter(|body| body.len() <= MAX_REPLY) {
                turn.reply = body;
            }
            turn.hear(said);
        }
        self.remember(&turn);
        Some(turn)
    }

    /// Ends turns that have had no answer: all, or those too many.
    pub(super) fn give_up(&mut self, all: bool) -> Vec<Turn> {
        let keep = if all { 0 } else { MAX_OPEN };
        let mut given_up = Vec::new();
        while self.open.len() > keep {
            let Some((_, turn)) = self.open.pop_first() else { break };
            self.remember(&turn);
            given_up.push(turn);
        }
        given_up
    }

    fn remember(&mut self, turn: &Turn) {
        if let (Some(conversation), Some(turns)) = (&turn.conversation, turn.turns) {
            if self.turns.len() >= MAX_CONVERSATIONS {
                self.turns.clear();
            }
            self.turns.insert(conversation.clone(), turns);
        }
        if self.ended.len() == MAX_ENDED {
            self.ended.pop_front();
        }
        self.ended.push_back(turn.clone());
    }

    /// Reads a line of the server's log: which call answered, if one turn alone is open.
    pub(super) fn log_line(&mut self, message: &str) {
        let mut open = self.open.values_mut();
        let (Some(turn), None) = (open.next(), open.next()) else { return };
        let Some((id, rest)) = message.strip_prefix("[fetchChat] Request ").and_then(|rest| rest.split_once(" at <"))
        else {
            return;
        };
        let is_plain = !id.is_empty() && id.len() <= 200 && id.chars().all(|c| c.is_ascii_graphic());
        // Later calls of a turn are the server's own: summaries, follow-up questions.
        if is_plain && rest.contains("> finished with 200 ") && turn.request_id.is_none() {
            turn.request_id = Some(id.to_owned());
        }
    }

    /// Reads a `conversation/insertCode`. `None` where the turn or its block is not known.
    pub(super) fn taken(&self, params: &RawValue) -> Option<Taken> {
        let inserted: Inserted = serde_json::from_str(params.get()).ok()?;
        let turn = self.turn(&inserted.turn_id)?;
        let text = code_blocks(&turn.reply).into_iter().nth(inserted.code_block_index)?;
        let whole = match (inserted.accepted_length, inserted.total_characters) {
            (Some(accepted), Some(total)) => accepted >= total,
            _ => true,
        };
        let uri = inserted.text_document.map(|document| document.uri).or_else(|| turn.uri.clone())?;
        let id = format!("{}#{}", inserted.turn_id, inserted.code_block_index);
        Some(Taken { turn: turn.clone(), id, uri, text, whole })
    }

    /// Finds a turn by the tool's name of it.
    pub(super) fn turn(&self, id: &str) -> Option<&Turn> {
        self.ended.iter().rev().chain(self.open.values()).find(|turn| turn.id.as_deref() == Some(id))
    }
}

impl Turn {
    /// Returns the model of this turn.
    pub(crate) fn model(&self) -> NamedModel {
        NamedModel {
            requested: self.requested.clone(),
            responded: self.responded.clone(),
            request_id: self.request_id.clone(),
            how: How::Observed,
            rule: None,
            confidence: None,
        }
    }

    fn hear(&mut self, said: Said) {
        self.conversation = self.conversation.take().or(said.conversation_id);
        self.id = self.id.take().or(said.turn_id).or(said.message_id);
        let named = said.model_info.and_then(|info| info.id).or(said.model_name);
        self.responded = self.responded.take().or(named);
        let pieces = said.reply.into_iter().chain(said.edit_agent_rounds.into_iter().filter_map(|round| round.reply));
        for piece in pieces {
            if self.reply.len() + piece.len() <= MAX_REPLY {
                self.reply.push_str(&piece);
            }
        }
    }
}

/// Returns the fenced code blocks of a Markdown text, without the line end before the closing fence.
fn code_blocks(markdown: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<(&str, usize, String)> = None;
    for line in markdown.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches(' ').len();
        let text = line.trim();
        let fence = text.len() - text.trim_start_matches('`').len();
        let fence = if fence >= 3 { fence } else { text.len() - text.trim_start_matches('~').len() };
        match &mut open {
            Some((mark, _, block)) if text.starts_with(*mark) && text.chars().all(|c| mark.starts_with(c)) => {
                blocks.push(block.strip_suffix('\n').unwrap_or(block).to_owned());
                open = None;
            }
            Some((_, outer, block)) => block.push_str(&line[indent.min(*outer)..]),
            None if fence >= 3 => open = Some((&text[..fence], indent, String::new())),
            None => {}
        }
    }
    // A reply may be cut off inside a block.
    blocks.extend(open.map(|(.., block)| block.strip_suffix('\n').unwrap_or(&block).to_owned()));
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_blocks_are_found_by_their_fences() {
        for (markdown, blocks) in [
            ("Do:\n\n```python\na\nb\n```\nand\n~~~\nc\n~~~\n", vec!["a\nb", "c"]),
            ("````md\n```\nx\n```\n````\n", vec!["```\nx\n```"]),
            ("1. so\n   ```\n   a\n     b\n   ```\n", vec!["a\n  b"]),
            ("```\ncut off", vec!["cut off"]),
            ("no ```code``` here", vec![]),
            ("```\n\n```", vec![""]),
        ] {
            assert_eq!(code_blocks(markdown), blocks, "{markdown:?}");
        }
    }
}
