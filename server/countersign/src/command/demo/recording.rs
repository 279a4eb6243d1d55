//! The recorded session the demonstration plays: what the editor said, in order.

use serde_json::Value;

use crate::error::Failure;

/// A real Copilot language server's session: four offers, three acceptances, one human correction.
const SESSION: &str = include_str!("../../../../../tests/fixtures/wire/copilot-demo.jsonl");
/// The document as the recording names it.
const RECORDED_URI: &str = "file:///home/dev/project/thumbs.py";

/// Returns the recording with the document moved to `uri`.
pub(super) fn text(uri: &str) -> String {
    SESSION.replace(RECORDED_URI, uri)
}

/// What the editor's side says at one moment.
pub(super) enum Said {
    /// A request and its method; the next thing waits for its answer.
    Request(String, Value),
    /// A notification and its method.
    Notification(String, Value),
    /// The answer to a request of the server's.
    Answer(Value),
}

/// Returns everything the editor says, in order.
pub(super) fn editor_side(recording: &str) -> Result<Vec<Said>, Failure> {
    let broken = |error| Failure::from_error("the embedded recording is broken", &error);
    let mut said = Vec::new();
    for line in recording.lines() {
        let frame: Value = serde_json::from_str(line).map_err(broken)?;
        if frame["dir"] != "c2s" {
            continue;
        }
        let body: Value = serde_json::from_str(frame["body"].as_str().unwrap_or_default()).map_err(broken)?;
        said.push(match (body["method"].as_str().map(str::to_owned), body.get("id").is_some()) {
            (Some(method), true) => Said::Request(method, body),
            (Some(method), false) => Said::Notification(method, body),
            (None, _) => Said::Answer(body),
        });
    }
    Ok(said)
}
