//! OpenAI Responses, as a stream: the side of the model.

use serde_json::{Value, json};

use super::Turn;
use super::endpoint::{Answer, Request};

/// Answers with the next turn of the script. What comes next stands in the request, so an agent may ask twice.
pub fn answer(request: &Request, turns: &[Turn], model: &str) -> Option<Answer> {
    if request.what != "POST /v1/responses" {
        return None;
    }
    let said = |kind: &Value| kind.as_str().is_some_and(|kind| kind.ends_with("_call_output"));
    let done = request.body["input"].as_array()?.iter().filter(|item| said(&item["type"])).count();
    Some(response(turns.get(done)?, done, model))
}

fn response(turn: &Turn, number: usize, model: &str) -> Answer {
    let item = match turn {
        // A text is the whole input of a free-form tool; anything else are a function's arguments.
        Turn::Calls { id, tool, input: Value::String(input) } => json!({"type": "custom_tool_call",
            "id": format!("ctc_{id}"), "status": "completed", "call_id": id, "name": tool, "input": input}),
        Turn::Calls { id, tool, input } => json!({"type": "function_call", "id": format!("fc_{id}"),
            "status": "completed", "call_id": id, "name": tool, "arguments": input.to_string()}),
        Turn::Says(text) => json!({"type": "message", "id": format!("msg_scripted{number}"), "status": "completed",
            "role": "assistant", "content": [{"type": "output_text", "text": text, "annotations": []}]}),
    };
    let response = |status: &str, output: Value, usage: Value| {
        json!({"id": format!("resp_scripted{number}"), "object": "response", "created_at": 1_700_000_000,
            "status": status, "model": model, "output": output, "usage": usage})
    };
    let usage = json!({"input_tokens": 100, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 10,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 110});
    let events = [
        json!({"type": "response.created", "response": response("in_progress", json!([]), Value::Null)}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": item}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
        json!({"type": "response.completed", "response": response("completed", json!([item]), usage)}),
    ];
    Answer::events(&events)
}
