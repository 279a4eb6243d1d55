//! OpenAI Codex: hooks with tool call ids and the requested model; calls that fail, are refused or go
//! through the shell's `apply_patch` have their end in the rollout alone. The served model is nowhere.

use std::collections::HashMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::decode::{
    Call, Client, End, Heard, Input, Reasoning, Returned, Said, Step, Touches, absolute_paths, number_after, text,
    words_of,
};
use super::patch;

pub(super) const CLIENT: Client = Client { name: "codex", decode, heard, ends_late: true, answer: "" };

/// Tools that change no file.
const HARMLESS: &[&str] = &[
    "close_agent",
    "list_mcp_resources",
    "read_mcp_resource",
    "request_user_input",
    "resume_agent",
    "send_input",
    "spawn_agent",
    "tool_search",
    "update_plan",
    "view_image",
    "wait_agent",
    "web_search",
];

fn decode(input: &Input<'_>) -> Option<Said> {
    if input.json["type"] == "agent-turn-complete" {
        return notified(input);
    }
    let event = input.text("hook_event_name").or(input.event)?;
    let json = input.json;
    let mut said = Said {
        session: input.text("session_id")?.to_owned(),
        cwd: input.text("cwd").map(PathBuf::from),
        model: input.text("model").map(str::to_owned),
        mode: input.text("permission_mode").map(str::to_owned),
        transcripts: input.text("transcript_path").map(PathBuf::from).into_iter().collect(),
        ..Said::default()
    };
    let step = match event {
        "SessionStart" => Step::Began,
        "UserPromptSubmit" => {
            let turn = input.text("turn_id").map(str::to_owned);
            Step::Prompted { turn, text: input.text("prompt")?.to_owned(), given: Vec::new() }
        }
        "PreToolUse" => Step::Calling(call(json)?),
        "PermissionRequest" => Step::Asked { call: call(json)?, question: None },
        "PostToolUse" => {
            let end = if json["tool_response"]["isError"] == true { End::Failed } else { End::Done };
            let call = call(json)?;
            let returned = returned(&call, &json["tool_response"]);
            Step::Ended { call, end, edits: Vec::new(), decision: None, returned }
        }
        "Stop" | "SubagentStop" | "Interrupt" => Step::Rested,
        "SessionEnd" => Step::Finished,
        _ => return Some(said),
    };
    said.steps.push(step);
    if event == "Stop" {
        said.steps.extend(input.text("last_assistant_message").map(|text| Step::Replied(text.to_owned())));
    }
    Some(said)
}

/// `notify` runs where hooks are not trusted, too: it tells of the prompt and nothing else.
fn notified(input: &Input<'_>) -> Option<Said> {
    let messages = input.json["input-messages"].as_array()?.iter().filter_map(Value::as_str);
    let prompt = messages.collect::<Vec<_>>().join("\n");
    let turn = input.text("turn-id").map(str::to_owned);
    Some(Said {
        session: input.text("thread-id")?.to_owned(),
        cwd: input.text("cwd").map(PathBuf::from),
        steps: vec![Step::Prompted { turn, text: prompt, given: Vec::new() }],
        ..Said::default()
    })
}

fn call(json: &Value) -> Option<Call> {
    Some(make(text(json, "tool_use_id"), text(json, "tool_name")?, &json["tool_input"]))
}

fn make(id: Option<&str>, tool: &str, input: &Value) -> Call {
    let command = text(input, "command").map(str::to_owned);
    let (touches, output) = match tool {
        "apply_patch" => (Touches::Writes(patch::files(command.as_deref().unwrap_or_default())), command.clone()),
        "Bash" => (Touches::Anything(Vec::new()), command.clone()),
        _ if HARMLESS.contains(&tool) => (Touches::Nothing, None),
        _ => (Touches::Anything(absolute_paths(input)), None),
    };
    let command = command.filter(|_| tool == "Bash");
    let (id, tool, input) = (id.map(str::to_owned), tool.to_owned(), input.clone());
    Call { id, tool, input, touches, output, command, ..Call::default() }
}

/// What an answer gave the model. A command's stands below lines about it, in the rollout at least.
fn returned(call: &Call, response: &Value) -> Returned {
    let words = words_of(response);
    let head = words.as_deref().map(|words| words.split("\nOutput:").next().unwrap_or(words)).unwrap_or_default();
    // A command's own output may look like such a head, so it must be one.
    let is_head = head.starts_with("Exit code: ") || head.starts_with("Chunk ID: ") || head.starts_with("Wall time: ");
    let exit_status = is_head.then(|| number_after(head, CODES)).flatten();
    let exit_status = exit_status.filter(|_| call.command.is_some());
    let given = match (call.tool.as_str(), text(&call.input, "uri")) {
        ("read_mcp_resource", Some(uri)) => vec![(uri.to_owned(), resource(response))],
        _ => Vec::new(),
    };
    Returned { text: words, exit_status, given }
}

/// The text of one resource, as the tool answers it: JSON, perhaps in a text.
fn resource(response: &Value) -> Option<String> {
    let parsed = response.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let response = parsed.as_ref().unwrap_or(response);
    response["contents"].as_array()?.iter().find_map(|item| item["text"].as_str()).map(str::to_owned)
}

/// Before the exit status of a command.
const CODES: &[&str] = &["Exit code: ", "exited with code "];

/// Reads rollout lines.
fn heard(lines: &str) -> Vec<Heard> {
    let mut calls: Vec<Heard> = Vec::new();
    let mut by_id: HashMap<String, usize> = HashMap::new();
    let mut model = None;
    let mut version = None;
    let mut unanswered = 0;
    let mut thought = Reasoning::Untold;
    for line in lines.lines() {
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        let payload = &line["payload"];
        match line["type"].as_str() {
            Some("session_meta") => version = text(payload, "cli_version").map(str::to_owned),
            // What was thought before a message led to that.
            Some("response_item") if payload["type"] == "message" => thought = Reasoning::Untold,
            Some("response_item") if payload["type"] == "reasoning" => {
                if !payload["encrypted_content"].is_null() {
                    thought.hide();
                }
                let parts =
                    [&payload["summary"], &payload["content"]].into_iter().filter_map(Value::as_array).flatten();
                parts.filter_map(|part| text(part, "text")).for_each(|words| thought.add(words));
            }
            Some("turn_context") => model = text(payload, "model").map(str::to_owned),
            Some("token_usage_record") => {
                let id = text(payload, "response_id").map(str::to_owned);
                calls[unanswered..].iter_mut().for_each(|heard| heard.request_id = id.clone());
                unanswered = calls.len();
            }
            Some("response_item") => {
                let Some(id) = text(payload, "call_id") else { continue };
                if let Some(output) = payload.get("output") {
                    if let Some(&at) = by_id.get(id) {
                        calls[at].end = Some(end_of(output));
                        calls[at].returned = returned(&calls[at].call, output);
                    }
                } else if let Some((tool, input)) = as_in_hooks(payload) {
                    by_id.insert(id.to_owned(), calls.len());
                    let call = make(Some(id), &tool, &input);
                    let (requested, version) = (model.clone(), version.clone());
                    let reasoning = thought.clone();
                    calls.push(Heard { call, requested, version, reasoning, ..Heard::default() });
                }
            }
            _ => {}
        }
    }
    calls
}

/// A call of the rollout under the names that hooks use.
fn as_in_hooks(payload: &Value) -> Option<(String, Value)> {
    let name = text(payload, "name")?;
    match payload["type"].as_str()? {
        "custom_tool_call" => Some((name.to_owned(), json!({ "command": payload["input"] }))),
        "function_call" => {
            let arguments: Value = serde_json::from_str(text(payload, "arguments")?).unwrap_or_default();
            let command = ["cmd", "command"].into_iter().find_map(|field| text(&arguments, field));
            match (name, command) {
                ("exec_command" | "shell" | "shell_command" | "local_shell", Some(command)) => {
                    Some(("Bash".to_owned(), json!({ "command": command })))
                }
                _ => {
                    let server = text(payload, "namespace").map(|server| format!("{server}__"));
                    Some((server.unwrap_or_default() + name, arguments))
                }
            }
        }
        _ => None,
    }
}

fn end_of(output: &Value) -> End {
    let words = output.as_str().or(output["content"].as_str()).unwrap_or_default();
    if words.contains("blocked by PreToolUse hook") {
        return End::Denied;
    }
    if words.contains("rejected by user") {
        return End::Refused;
    }
    let code = number_after(words, CODES);
    let failed = words.starts_with("apply_patch verification failed") || code.is_some_and(|code| code != 0);
    if failed { End::Failed } else { End::Done }
}
