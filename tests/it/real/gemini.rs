//! Gemini's generateContent, as a stream: the side of the model.

use serde_json::{Value, json};

use super::Turn;
use super::endpoint::{Answer, Request};

/// Answers with the next turn of the script. What comes next stands in the request, so an agent may ask twice.
pub fn answer(request: &Request, turns: &[Turn], model: &str) -> Option<Answer> {
    let (_, method) = request.what.strip_prefix("POST /v1beta/models/")?.split_once(':')?;
    match method.split('?').next()? {
        "countTokens" => Some(Answer::json(&json!({"totalTokens": 100}))),
        "streamGenerateContent" => {
            let done = request.body["contents"].as_array()?.iter().filter(|said| said["role"] == "model").count();
            Some(Answer::events(&[content(turns.get(done)?, done, model)]))
        }
        _ => None,
    }
}

fn content(turn: &Turn, number: usize, model: &str) -> Value {
    let part = match turn {
        Turn::Calls { tool, input, .. } => json!({"functionCall": {"name": tool, "args": input}}),
        Turn::Says(text) => json!({"text": text}),
    };
    json!({"candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": 10, "totalTokenCount": 110},
        "modelVersion": model, "responseId": format!("scripted{number}")})
}
