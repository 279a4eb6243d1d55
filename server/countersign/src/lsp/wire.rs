//! What a message says, read from its bytes without building a tree of it.
//!
//! Parameters stay bytes until somebody wants them: a keystroke is read once, into its own type.
//! URIs stay the strings that the editor sent, because other observers know documents by them.

use std::borrow::Cow;

use countersign_event::facts;
use countersign_provenance::text::Change;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use tower_lsp::jsonrpc::{Error, Id, Response};

/// A message of the editor.
#[derive(Debug)]
pub(crate) enum Message<'a> {
    /// It wants an answer.
    Request { id: Id, method: Cow<'a, str>, params: Option<&'a RawValue> },
    /// It tells something.
    Notification { method: Cow<'a, str>, params: Option<&'a RawValue> },
    /// It answers a request of ours; `None` for an error.
    Response { id: Id, result: Option<&'a RawValue> },
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    jsonrpc: Cow<'a, str>,
    #[serde(default, deserialize_with = "present")]
    id: Option<Id>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present_raw")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// Tells `"id": null` from no id.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Id>, D::Error> {
    Id::deserialize(deserializer).map(Some)
}

/// Tells `"result": null` from no result.
fn present_raw<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Reads one message.
///
/// Errors: the answer to send; JSON-RPC says that its id is `null`.
pub(crate) fn read(body: &[u8]) -> Result<Message<'_>, Response> {
    let refuse = |error| Response::from_error(Id::Null, error);
    let envelope: Envelope<'_> = serde_json::from_slice(body)
        .map_err(|error| refuse(if error.is_data() { Error::invalid_request() } else { Error::parse_error() }))?;
    if envelope.jsonrpc != "2.0" {
        return Err(refuse(Error::invalid_request()));
    }
    match (envelope.method, envelope.id) {
        (Some(method), Some(id)) => Ok(Message::Request { id, method, params: envelope.params }),
        (Some(method), None) => Ok(Message::Notification { method, params: envelope.params }),
        (None, Some(id)) if envelope.result.is_some() || envelope.error.is_some() => {
            Ok(Message::Response { id, result: envelope.result })
        }
        (None, _) => Err(refuse(Error::invalid_request())),
    }
}

/// Reads parameters into their own type; absent ones as `null`.
pub(crate) fn params<'a, T: Deserialize<'a>>(params: Option<&'a RawValue>) -> Result<T, serde_json::Error> {
    serde_json::from_str(params.map_or("null", RawValue::get))
}

/// `textDocument/didOpen`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DidOpen {
    pub(crate) text_document: OpenedDocument,
}

/// The document of a `didOpen`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OpenedDocument {
    pub(crate) uri: String,
    #[serde(default)]
    pub(crate) language_id: String,
    #[serde(default)]
    pub(crate) version: i64,
    pub(crate) text: String,
}

/// `textDocument/didChange`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DidChange {
    pub(crate) text_document: VersionedDocument,
    pub(crate) content_changes: Vec<ContentChange>,
}

/// A document and its version; `null` and absent are the same.
#[derive(Deserialize)]
pub(crate) struct VersionedDocument {
    pub(crate) uri: String,
    #[serde(default)]
    pub(crate) version: Option<i64>,
}

/// One change of a `didChange`.
#[derive(Deserialize)]
pub(crate) struct ContentChange {
    #[serde(default)]
    pub(crate) range: Option<facts::Range>,
    pub(crate) text: String,
}

impl From<ContentChange> for Change {
    fn from(change: ContentChange) -> Change {
        Change { range: change.range, text: change.text }
    }
}

/// `textDocument/didSave` and `didClose`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OneDocument {
    pub(crate) text_document: VersionedDocument,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str) -> String {
        match read(body.as_bytes()) {
            Ok(Message::Request { id, method, params }) => format!("request {id} {method} {params:?}"),
            Ok(Message::Notification { method, params }) => format!("notification {method} {params:?}"),
            Ok(Message::Response { id, result }) => format!("response {id} {result:?}"),
            Err(answer) => format!("{} {}", answer.id(), answer.error().unwrap().code.code()),
        }
    }

    #[test]
    fn a_message_is_a_request_a_notification_or_a_response_or_gets_a_clear_error() {
        for (body, expected) in [
            (r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#, "request 1 m None"),
            (r#"{"id":"a","params":[1],"method":"m","jsonrpc":"2.0"}"#, "request \"a\" m Some(RawValue([1]))"),
            (r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#, "request null m None"),
            (r#"{"jsonrpc":"2.0","method":"m","params":{}}"#, "notification m Some(RawValue({}))"),
            (r#"{"jsonrpc":"2.0","method":"\u006d","more":1}"#, "notification m None"),
            (r#"{"jsonrpc":"2.0","id":2,"result":null}"#, "response 2 Some(RawValue(null))"),
            (r#"{"jsonrpc":"2.0","id":2,"error":{"code":1,"message":"x"}}"#, "response 2 None"),
            (r#"{"jsonrpc":"1.0","id":2,"method":"m"}"#, "null -32600"),
            (r#"{"jsonrpc":"2.0","id":{},"method":"m"}"#, "null -32600"),
            (r#"{"jsonrpc":"2.0","id":3}"#, "null -32600"),
            (r#"{"jsonrpc":"2.0"}"#, "null -32600"),
            (r#"[{"jsonrpc":"2.0","method":"m"}]"#, "null -32600"),
            (r#""text""#, "null -32600"),
            (r#"{"jsonrpc":"2.0","#, "null -32700"),
            ("\u{0}", "null -32700"),
        ] {
            assert_eq!(check(body), expected, "{body}");
        }
        assert_eq!(read(b"{\"jsonrpc\":\"2.0\",\"method\":\"\xff\"}").unwrap_err().id(), &Id::Null);
    }
}
