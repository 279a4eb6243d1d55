//! GitHub Copilot CLI: hooks without event names and tool call ids; both, the requested model and a person's
//! answers stand in its `events.jsonl`. The served model is nowhere.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use countersign_event::payload::tool::{DecidedBy, Decision, DecisionScope};
use serde_json::Value;

use super::decode::{
    Call, Client, Edit, End, Heard, Input, Reasoning, Returned, Said, Step, Touches, absolute_paths, number_after,
    text, words_of,
};
use super::patch;
use super::planned::Swap;
use super::vscode;

pub(super) const CLIENT: Client = Client { heard, ..Client::new("copilot", decode) };

/// Tools that change no file.
const HARMLESS: &[&str] = &[
    "ask_user",
    "fetch_copilot_cli_documentation",
    "glob",
    "grep",
    "list_bash",
    "list_powershell",
    "read_bash",
    "read_powershell",
    "report_intent",
    "rg",
    "search",
    "skill",
    "stop_bash",
    "stop_powershell",
    "task",
    "update_todo",
    "web_fetch",
    "web_search",
];

fn decode(input: &Input<'_>) -> Option<Said> {
    let json = input.json;
    // Its configuration may be written like VS Code's; then it speaks like that, too.
    if json["tool_name"].is_string() || json["hook_event_name"].is_string() || json["hookEventName"].is_string() {
        return vscode::decode(input);
    }
    let session = input.text("sessionId")?.to_owned();
    let home = || {
        (input.env)("COPILOT_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(Path::new(&(input.env)("HOME")?).join(".copilot")))
    };
    let events = input.text("transcriptPath").map(PathBuf::from);
    let events = events.or_else(|| Some(home()?.join("session-state").join(&session).join("events.jsonl")));
    let mut said = Said {
        cwd: input.text("cwd").map(PathBuf::from),
        transcripts: events.into_iter().collect(),
        session,
        ..Said::default()
    };
    let step = match input.event? {
        "sessionStart" => Step::Began,
        "userPromptSubmitted" => {
            Step::Prompted { turn: None, text: input.text("prompt")?.to_owned(), opens: false, given: Vec::new() }
        }
        "preToolUse" => Step::Calling(call(json)?),
        "postToolUse" => {
            let end = match json["toolResult"]["resultType"].as_str() {
                Some("failure") => End::Failed,
                Some("rejected") => End::Refused,
                Some("denied") => End::Denied,
                _ => End::Done,
            };
            let call = call(json)?;
            let returned = returned(&call, words_of(&json["toolResult"]["textResultForLlm"]));
            Step::Ended { call, end, edits: Vec::new(), decision: None, returned }
        }
        "postToolUseFailure" => {
            let call = call(json)?;
            let said = &json["error"];
            let returned = returned(&call, text(said, "message").map(str::to_owned).or_else(|| words_of(said)));
            Step::Ended { call, end: End::Failed, edits: Vec::new(), decision: None, returned }
        }
        "agentStop" | "subagentStop" => Step::Rested,
        "sessionEnd" => Step::Finished,
        _ => return Some(said),
    };
    said.steps.push(step);
    Some(said)
}

fn call(json: &Value) -> Option<Call> {
    Some(make(None, text(json, "toolName")?, &json["toolArgs"]))
}

pub(super) fn make(id: Option<&str>, tool: &str, input: &Value) -> Call {
    // Some versions send the arguments as JSON in a string; a patch is a string of its own.
    let parsed = input.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok()).filter(Value::is_object);
    let fields = parsed.as_ref().unwrap_or(input);
    let path = text(fields, "path");
    let file = || path.map(PathBuf::from).into_iter().collect::<Vec<_>>();
    let mut plan = Vec::new();
    let (touches, output) = match tool {
        "create" => {
            plan.extend(path.zip(fields["file_text"].as_str()).map(|(path, whole)| Edit::whole(path, whole)));
            (Touches::Writes(file()), text(fields, "file_text").map(str::to_owned))
        }
        "edit" | "str_replace" | "insert" => {
            let swap = fields["old_str"].as_str().zip(fields["new_str"].as_str());
            let edit = |(path, (old, new))| Edit::swaps(path, vec![Swap::once(old, new)]);
            plan.extend(path.zip(swap).map(edit));
            (Touches::Writes(file()), text(fields, "new_str").map(str::to_owned))
        }
        "apply_patch" => {
            let patch =
                ["input", "patch", "command"].into_iter().find_map(|name| text(fields, name)).or(input.as_str());
            plan = patch::edits(patch.unwrap_or_default());
            (Touches::Writes(patch::files(patch.unwrap_or_default())), patch.map(str::to_owned))
        }
        "view" => (Touches::Reads(file()), None),
        "bash" | "powershell" => (Touches::Anything(Vec::new()), text(fields, "command").map(str::to_owned)),
        _ if HARMLESS.contains(&tool) => (Touches::Nothing, None),
        _ => (Touches::Anything(absolute_paths(fields)), None),
    };
    let command = output.clone().filter(|_| matches!(tool, "bash" | "powershell"));
    let (id, tool, input) = (id.map(str::to_owned), tool.to_owned(), fields.clone());
    Call { id, tool, input, touches, output, command, plan, ..Call::default() }
}

/// A shell's answer ends with its exit status.
fn returned(call: &Call, words: Option<String>) -> Returned {
    let last = words.as_deref().and_then(|words| words.trim_end().lines().last()).unwrap_or_default();
    let exit_status = number_after(last, &["exited with exit code "]).filter(|_| call.command.is_some());
    Returned { text: words, exit_status, given: Vec::new() }
}

/// Reads event lines.
fn heard(lines: &str) -> Vec<Heard> {
    const KINDS: &[&str] = &["assistant.message", "tool.execution_complete", "permission.completed", "session.start"];
    let mut calls: Vec<Heard> = Vec::new();
    let mut by_id: HashMap<String, usize> = HashMap::new();
    let mut version = None;
    for line in lines.lines().filter(|line| KINDS.iter().any(|kind| line.contains(kind))) {
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        let data = &line["data"];
        let known = text(data, "toolCallId").and_then(|id| by_id.get(id).copied());
        match (line["type"].as_str(), known) {
            (Some("session.start"), _) => version = text(data, "copilotVersion").map(str::to_owned),
            (Some("assistant.message"), _) => {
                let mut reasoning = Reasoning::Untold;
                if !data["reasoningOpaque"].is_null() || !data["encryptedContent"].is_null() {
                    reasoning.hide();
                }
                reasoning.add(text(data, "reasoningText").unwrap_or_default());
                for request in data["toolRequests"].as_array().into_iter().flatten() {
                    let (Some(id), Some(tool)) = (text(request, "toolCallId"), text(request, "name")) else { continue };
                    by_id.insert(id.to_owned(), calls.len());
                    calls.push(Heard {
                        call: make(Some(id), tool, &request["arguments"]),
                        requested: text(data, "model").map(str::to_owned),
                        request_id: text(data, "apiCallId").map(str::to_owned),
                        version: version.clone(),
                        reasoning: reasoning.clone(),
                        ..Heard::default()
                    });
                }
            }
            (Some("permission.completed"), Some(at)) if data["decisionSource"] == "human_response" => {
                let kind = text(&data["result"], "kind").unwrap_or_default();
                let scope = match kind {
                    _ if kind.contains("session") => DecisionScope::Session,
                    _ if kind.contains("location") || kind.contains("always") => DecisionScope::Always,
                    _ => DecisionScope::Once,
                };
                calls[at].decision = Some(Decision { by: DecidedBy::Person, scope });
            }
            (Some("tool.execution_complete"), Some(at)) => {
                let code = text(&data["error"], "code").unwrap_or_default();
                let words = text(&data["result"], "content").or(text(&data["error"], "message"));
                calls[at].returned = returned(&calls[at].call, words.map(str::to_owned));
                calls[at].end = Some(match (data["success"] == true, code) {
                    (true, _) => End::Done,
                    (false, "rejected") => End::Refused,
                    (false, "denied") => End::Denied,
                    (false, _) => End::Failed,
                });
            }
            _ => {}
        }
    }
    calls
}
