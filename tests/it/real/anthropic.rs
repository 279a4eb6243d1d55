//! Anthropic Messages, as a stream: the side of the model.

use serde_json::{Value, json};

use super::Turn;
use super::endpoint::{Answer, Request};

/// Answers with the next turn of the script. What comes next stands in the request, so an agent may ask twice.
pub fn answer(request: &Request, turns: &[Turn], model: &str) -> Option<Answer> {
    match request.what.split('?').next().unwrap_or_default() {
        "POST /v1/messages/count_tokens" => Some(Answer::json(&json!({"input_tokens": 100}))),
        "POST /v1/messages" => {
            let called = request.body["tools"].as_array().is_some_and(|tools| !tools.is_empty());
            let done = request.body["messages"].as_array()?.iter().filter(|said| said["role"] == "assistant").count();
            // Side questions, such as for a title, come without tools.
            let turn = if called { turns.get(done)?.clone() } else { Turn::Says("Demo") };
            Some(message(&turn, done, model, request.body["stream"] == true))
        }
        _ => None,
    }
}

fn message(turn: &Turn, number: usize, model: &str, stream: bool) -> Answer {
    let id = format!("msg_scripted{number}");
    let (whole, empty, delta, stop) = match turn {
        Turn::Calls { id, tool, input } => (
            json!({"type": "tool_use", "id": id, "name": tool, "input": input}),
            json!({"type": "tool_use", "id": id, "name": tool, "input": {}}),
            json!({"type": "input_json_delta", "partial_json": input.to_string()}),
            "tool_use",
        ),
        Turn::Says(text) => (
            json!({"type": "text", "text": text}),
            json!({"type": "text", "text": ""}),
            json!({"type": "text_delta", "text": text}),
            "end_turn",
        ),
    };
    let mut message = json!({"id": id, "type": "message", "role": "assistant", "model": model, "content": [whole],
        "stop_reason": stop, "stop_sequence": null, "usage": {"input_tokens": 100, "output_tokens": 10}});
    if !stream {
        return Answer::json(&message);
    }
    message["content"] = json!([]);
    message["stop_reason"] = Value::Null;
    let events = [
        json!({"type": "message_start", "message": message}),
        json!({"type": "content_block_start", "index": 0, "content_block": empty}),
        json!({"type": "content_block_delta", "index": 0, "delta": delta}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": null},
            "usage": {"output_tokens": 10}}),
        json!({"type": "message_stop"}),
    ];
    Answer::events(&events)
}
