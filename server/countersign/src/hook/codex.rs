//! OpenAI Codex: hooks with tool call ids and the requested model; calls that fail, are refused or go
//! through the shell's `apply_patch` have their end in the rollout alone. The served model is nowhere.

use std::collections::HashMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::decode::{
    Call, Client, Edit, End, Heard, Input, Reasoning, Returned, Said, Step, Touches, absolute_paths, number_after,
    text, words_of,
};
use super::patch;

pub(super) const CLIENT: Client = Client { heard, ends_late: true, ..Client::new("codex", decode) };

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
            Step::Prompted { turn, text: input.text("prompt")?.to_owned(), opens: false, given: Vec::new() }
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
        steps: vec![Step::Prompted { turn, text: prompt, opens: false, given: Vec::new() }],
        ..Said::default()
    })
}

fn call(json: &Value) -> Option<Call> {
    Some(make(text(json, "tool_use_id"), text(json, "tool_name")?, &json["tool_input"]))
}

fn make(id: Option<&str>, tool: &str, input: &Value) -> Call {
    let command = ["command", "input", "patch"].into_iter().find_map(|name| text(input, name)).map(str::to_owned);
    let patch = command.as_deref().filter(|command| command.contains("*** Begin Patch")).unwrap_or_default();
    let (touches, output, plan) = match tool {
        "apply_patch" => (Touches::Writes(patch::files(patch)), command.clone(), patch::edits(patch)),
        // A patch may go through the shell; what else the command does is not foretold.
        "Bash" => (Touches::Anything(patch::files(patch)), command.clone(), Vec::new()),
        _ if HARMLESS.contains(&tool) => (Touches::Nothing, None, Vec::new()),
        _ => (Touches::Anything(absolute_paths(input)), None, Vec::new()),
    };
    let command = command.filter(|_| tool == "Bash");
    let (id, tool, input) = (id.map(str::to_owned), tool.to_owned(), input.clone());
    Call { id, tool, input, touches, output, command, plan, ..Call::default() }
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
            Some("event_msg") => {
                let item = &payload["item"];
                if let (Some("FileChange"), Some(&at)) =
                    (item["type"].as_str(), text(item, "id").and_then(|id| by_id.get(id)))
                {
                    calls[at].edits = changes(item);
                }
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

/// What the rollout says a patch did: whole texts of what it added and deleted.
fn changes(item: &Value) -> Vec<Edit> {
    let changes = item["changes"].as_object().into_iter().flatten();
    let edit = |(path, change): (&String, &Value)| {
        let content = change["content"].as_str().map(str::to_owned);
        let edit = Edit { path: PathBuf::from(path), ..Edit::default() };
        match (change["type"].as_str(), content) {
            (Some("add"), Some(content)) => Some(Edit { after: Some(Some(content)), ..edit }),
            (Some("delete"), content) => Some(Edit { before: content.map(Some), after: Some(None), ..edit }),
            _ => None,
        }
    };
    if item["status"] == "completed" { changes.filter_map(edit).collect() } else { Vec::new() }
}

/// A call of the rollout under the names that hooks use.
fn as_in_hooks(payload: &Value) -> Option<(String, Value)> {
    match payload["type"].as_str()? {
        "custom_tool_call" => Some((text(payload, "name")?.to_owned(), json!({ "command": payload["input"] }))),
        "local_shell_call" => {
            let command = command_line(&payload["action"]["command"])?;
            Some(("Bash".to_owned(), json!({ "command": command })))
        }
        "function_call" => {
            let name = text(payload, "name")?;
            let arguments: Value = serde_json::from_str(text(payload, "arguments")?).unwrap_or_default();
            let command = ["cmd", "command"].into_iter().find_map(|field| command_line(&arguments[field]));
            match (name, command) {
                ("exec_command" | "shell" | "shell_command" | "local_shell" | "container.exec", Some(command)) => {
                    Some(("Bash".to_owned(), json!({ "command": command })))
                }
                ("apply_patch", command) => {
                    let patch = || ["input", "patch"].into_iter().find_map(|field| text(&arguments, field));
                    let patch = command.or_else(|| patch().map(str::to_owned));
                    Some(("apply_patch".to_owned(), patch.map_or(arguments, |patch| json!({ "command": patch }))))
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

/// A command line: as it is, or of an argument vector what a shell is told, else its words.
fn command_line(command: &Value) -> Option<String> {
    match command {
        Value::String(line) => Some(line.clone()).filter(|line| !line.is_empty()),
        Value::Array(words) => {
            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            match words.as_slice() {
                [] => None,
                [_, "-c" | "-lc" | "-Command" | "/c", line] => Some((*line).to_owned()),
                words => Some(words.join(" ")),
            }
        }
        _ => None,
    }
}

fn end_of(output: &Value) -> End {
    let parts = output.as_array().or(output["content"].as_array()).into_iter().flatten();
    let joined: String = parts.filter_map(|part| part["text"].as_str()).collect();
    let words = output.as_str().or(output["content"].as_str()).unwrap_or(&joined);
    if words.contains("blocked by PreToolUse hook") {
        return End::Denied;
    }
    if words.contains("rejected by user") {
        return End::Refused;
    }
    if words.starts_with("aborted by user") {
        return End::Interrupted;
    }
    // Older versions put the exit code beside the output, in JSON.
    let structured: Value = serde_json::from_str(words).unwrap_or_default();
    let code = structured["metadata"]["exit_code"].as_i64().or_else(|| number_after(words, CODES).map(i64::from));
    let failed = words.starts_with("apply_patch verification failed") || code.is_some_and(|code| code != 0);
    if failed { End::Failed } else { End::Done }
}
