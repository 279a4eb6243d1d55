//! Real coding agents at a scripted model: what the trail says is what the agent truly did.
//!
//! Every run is offline, in a home of its own. A missing agent fails the test: `tests/run` installs it,
//! `cargo test -- --skip real::` does without.

mod anthropic;
mod claude_code;
mod codex;
mod conversation;
mod copilot;
mod endpoint;
mod gemini;
mod gemini_cli;
mod observers;
mod openai;
mod program;
mod server;
mod tabby_agent;

use serde_json::Value;

use crate::support::of_type;

/// What the model does when it is asked.
#[derive(Clone, Debug)]
pub enum Turn {
    Calls { id: &'static str, tool: &'static str, input: Value },
    Says(&'static str),
}

/// Every call: its id, its tool, its end.
fn calls(log: &[Value]) -> Vec<(String, String, String)> {
    let called = of_type(log, "tool.called").into_iter().map(|event| {
        let data = &event["data"];
        (text(&data["path"]["tool_call_id"]), text(&data["tool_name"]), text(&data["outcome"]))
    });
    called.collect()
}

/// Every edit: its call, its file, its texts.
fn edits(log: &[Value]) -> Vec<(String, String, Value, Value)> {
    let edits = of_type(log, "edit.applied").into_iter().map(|event| {
        let (data, content) = (&event["data"], &event["content"]);
        let call = text(&data["path"]["tool_call_id"]);
        (call, text(&data["place"]["path"]), content["before"].clone(), content["after"].clone())
    });
    edits.collect()
}

/// The model of an edit: what was learnt later, else what was known at once.
fn model<'a>(log: &'a [Value], edit: &'a Value) -> &'a Value {
    let contribution = &edit["data"]["contribution"];
    let later = of_type(log, "contribution.evidenced")
        .into_iter()
        .find(|event| event["data"]["contribution"] == *contribution && event["data"]["saw"] == "model_named");
    &later.unwrap_or(edit)["data"]["model"]
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
