//! Claude Code: hooks with tool call ids; model, refusals and failed edits stand in its transcript.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use countersign_event::payload::tool::{DecidedBy, Decision, DecisionScope};
use serde_json::Value;

use super::decode::{
    Call, Client, Edit, End, Heard, Input, Reasoning, Returned, Said, Step, Touches, absolute_paths, number_after,
    text, words_of,
};
use super::planned::{Swap, forward};

pub(super) const CLIENT: Client = Client { heard, ..Client::new("claude-code", decode) };

/// Tools that change no file themselves. A sub-agent's own calls have hooks of their own.
const HARMLESS: &[&str] = &[
    "Agent",
    "AskUserQuestion",
    "BashOutput",
    "EnterPlanMode",
    "ExitPlanMode",
    "Glob",
    "Grep",
    "KillBash",
    "KillShell",
    "LS",
    "ListMcpResourcesTool",
    "NotebookRead",
    "ReadMcpResourceTool",
    "Skill",
    "SlashCommand",
    "Task",
    "TaskCreate",
    "TaskGet",
    "TaskList",
    "TaskOutput",
    "TaskStop",
    "TaskUpdate",
    "TodoRead",
    "TodoWrite",
    "ToolSearch",
    "WebFetch",
    "WebSearch",
];

fn decode(input: &Input<'_>) -> Option<Said> {
    let event = input.text("hook_event_name").or(input.event)?;
    let json = input.json;
    let mut said = Said {
        session: input.text("session_id")?.to_owned(),
        cwd: input.text("cwd").map(PathBuf::from),
        // Later versions say at the start which model is asked for.
        model: input.text("model").map(str::to_owned),
        version: (input.env)("AI_AGENT").as_deref().and_then(version),
        mode: input.text("permission_mode").map(str::to_owned),
        transcripts: transcripts(json),
        ..Said::default()
    };
    let step = match event {
        "SessionStart" => Step::Began,
        "UserPromptSubmit" => {
            let turn = input.text("prompt_id").map(str::to_owned);
            Step::Prompted { turn, text: text(json, "prompt")?.to_owned(), opens: false, given: Vec::new() }
        }
        "PreToolUse" => Step::Calling(call(json)?),
        "PermissionRequest" => Step::Asked { call: call(json)?, question: None },
        "PostToolUse" => {
            let call = call(json)?;
            let response = &json["tool_response"];
            let edits = edits(&call, response);
            // A person changed the text in the editor's diff before taking it.
            let decision = (response["userModified"] == true)
                .then_some(Decision { by: DecidedBy::Person, scope: DecisionScope::Once });
            let returned = returned(&call, response);
            Step::Ended { call, end: End::Done, edits, decision, returned }
        }
        "PostToolUseFailure" => {
            let end = if json["is_interrupt"] == true { End::Interrupted } else { End::Failed };
            Step::Ended { call: call(json)?, end, edits: Vec::new(), decision: None, returned: failed(&json["error"]) }
        }
        "PermissionDenied" => Step::Ended {
            call: call(json)?,
            end: End::Denied,
            edits: Vec::new(),
            decision: None,
            returned: Returned::default(),
        },
        "Stop" | "StopFailure" | "SubagentStop" => Step::Rested,
        "SessionEnd" => Step::Finished,
        _ => return Some(said),
    };
    said.steps.push(step);
    if event == "Stop" {
        said.steps.extend(input.text("last_assistant_message").map(|text| Step::Replied(text.to_owned())));
    }
    Some(said)
}

/// Where the call is told of: a sub-agent's calls in a file of its own, below its session's.
fn transcripts(json: &Value) -> Vec<PathBuf> {
    let mut files = Vec::new();
    files.extend(text(json, "agent_transcript_path").map(PathBuf::from));
    if let Some(main) = text(json, "transcript_path").map(Path::new) {
        if let Some(agent) = text(json, "agent_id") {
            files.push(main.with_extension("").join("subagents").join(format!("agent-{agent}.jsonl")));
        }
        files.push(main.to_owned());
    }
    files.dedup();
    files
}

fn call(json: &Value) -> Option<Call> {
    Some(make(text(json, "tool_use_id"), text(json, "tool_name")?, &json["tool_input"]))
}

fn make(id: Option<&str>, tool: &str, input: &Value) -> Call {
    let file = || input["file_path"].as_str().or(input["notebook_path"].as_str()).map(PathBuf::from);
    let joined = |field: &str| {
        let edits = input["edits"].as_array()?;
        Some(edits.iter().filter_map(|edit| edit[field].as_str()).collect::<Vec<_>>().join("\n"))
    };
    let (touches, output) = match tool {
        "Write" => (Touches::Writes(file().into_iter().collect()), text(input, "content").map(str::to_owned)),
        "Edit" => (Touches::Writes(file().into_iter().collect()), text(input, "new_string").map(str::to_owned)),
        "MultiEdit" => (Touches::Writes(file().into_iter().collect()), joined("new_string")),
        "NotebookEdit" => (Touches::Writes(file().into_iter().collect()), text(input, "new_source").map(str::to_owned)),
        "Read" => (Touches::Reads(file().into_iter().collect()), None),
        _ if HARMLESS.contains(&tool) => (Touches::Nothing, None),
        "Bash" => (Touches::Anything(Vec::new()), text(input, "command").map(str::to_owned)),
        _ => (Touches::Anything(absolute_paths(input)), None),
    };
    let plan = plan(tool, input);
    let command = if tool == "Bash" { output.clone() } else { None };
    let (id, tool, input) = (id.map(str::to_owned), tool.to_owned(), input.clone());
    Call { id, tool, input, touches, output, command, plan, ..Call::default() }
}

/// What the arguments of an editing tool make of a file.
pub(super) fn plan(tool: &str, input: &Value) -> Vec<Edit> {
    let Some(path) = text(input, "file_path") else { return Vec::new() };
    let swap = |edit: &Value| {
        let all = edit["replace_all"] == true;
        Some(Swap { all, ..Swap::once(edit["old_string"].as_str()?, edit["new_string"].as_str()?) })
    };
    let swaps = match tool {
        "Write" => return input["content"].as_str().map(|content| Edit::whole(path, content)).into_iter().collect(),
        "Edit" => swap(input).map(|swap| vec![swap]),
        "MultiEdit" => input["edits"].as_array().and_then(|edits| edits.iter().map(swap).collect()),
        _ => None,
    };
    swaps.map(|swaps| Edit::swaps(path, swaps)).into_iter().collect()
}

/// What the answer of a tool gave the model. Its form is another for each tool.
fn returned(call: &Call, response: &Value) -> Returned {
    let given = match call.tool.as_str() {
        "ReadMcpResourceTool" => resources(&call.input, response),
        "Read" => whole_file(&response["file"]).into_iter().collect(),
        _ => Vec::new(),
    };
    let shell = ["stdout", "stderr"].iter().filter_map(|name| text(response, name)).collect::<Vec<_>>();
    let words = match call.tool.as_str() {
        "Bash" => Some(shell.join("\n")).filter(|text| !text.is_empty()),
        "Read" => text(&response["file"], "content").map(str::to_owned),
        // Its answer repeats both whole texts; they stand in the edit.
        _ if matches!(call.touches, Touches::Writes(_)) => None,
        _ => words_of(response),
    };
    Returned { text: words, exit_status: None, given }
}

/// A call that failed says why in words, its command's exit status first.
fn failed(error: &Value) -> Returned {
    let words = words(error);
    let exit_status = words.starts_with("Exit code ").then(|| number_after(&words, &["Exit code "])).flatten();
    Returned { text: Some(words).filter(|words| !words.is_empty()), exit_status, given: Vec::new() }
}

/// The text that was read, where it is the whole file.
fn whole_file(file: &Value) -> Option<(String, Option<String>)> {
    let is_whole = file["startLine"] == 1 && file["numLines"] == file["totalLines"] && !file["numLines"].is_null();
    is_whole.then(|| Some((text(file, "filePath")?.to_owned(), text(file, "content").map(str::to_owned))))?
}

fn resources(input: &Value, response: &Value) -> Vec<(String, Option<String>)> {
    let read = response["contents"].as_array().into_iter().flatten();
    let read: Vec<_> = read
        .filter_map(|item| Some((text(item, "uri")?.to_owned(), item["text"].as_str().map(str::to_owned))))
        .collect();
    match text(input, "uri") {
        Some(uri) if read.is_empty() => vec![(uri.to_owned(), None)],
        _ => read,
    }
}

/// What the answer of an editing tool says of the file: its text before, and what becomes of it.
fn edits(call: &Call, response: &Value) -> Vec<Edit> {
    let (Touches::Writes(_), Some(path)) = (&call.touches, text(response, "filePath")) else { return Vec::new() };
    let before = match &response["originalFile"] {
        Value::String(text) => Some(Some(text.clone())),
        Value::Null if response["type"] == "create" => Some(None),
        _ => None,
    };
    // What a person made of it before taking it stands on disk alone.
    let after = match (response["userModified"] == true, response["content"].as_str()) {
        (true, _) => None,
        (false, Some(content)) => Some(Some(content.to_owned())),
        (false, None) => replaced(response).map(Some),
    };
    vec![Edit { path: PathBuf::from(path), before, after, ..Edit::default() }]
}

fn replaced(response: &Value) -> Option<String> {
    let original = response["originalFile"].as_str()?;
    let mut swaps = Vec::new();
    if let Some(edits) = response["edits"].as_array() {
        for edit in edits {
            let all = edit["replace_all"] == true;
            swaps.push(Swap { all, ..Swap::once(edit["old_string"].as_str()?, edit["new_string"].as_str()?) });
        }
    } else {
        let all = response["replaceAll"] == true;
        swaps.push(Swap { all, ..Swap::once(response["oldString"].as_str()?, response["newString"].as_str()?) });
    }
    forward(original, &swaps)
}

/// Reads transcript lines. One answer of the model is several lines, each with one block.
fn heard(lines: &str) -> Vec<Heard> {
    blocks(lines, make)
}

/// Reads lines of messages with blocks that call tools and blocks with their results.
pub(super) fn blocks(lines: &str, make: fn(Option<&str>, &str, &Value) -> Call) -> Vec<Heard> {
    let mut calls: Vec<Heard> = Vec::new();
    let mut by_id: HashMap<String, usize> = HashMap::new();
    let mut thought = (String::new(), Reasoning::Untold);
    let tells = |line: &&str| ["tool_use", "tool_result", "thinking"].iter().any(|word| line.contains(word));
    for line in lines.lines().filter(tells) {
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        let message = &line["message"];
        let answer = text(message, "id").unwrap_or_default();
        if answer != thought.0 && line["type"] == "assistant" {
            thought = (answer.to_owned(), Reasoning::Untold);
        }
        for block in message["content"].as_array().into_iter().flatten() {
            match block["type"].as_str() {
                // Without its text it is signed and encrypted for the provider.
                Some("thinking") => match text(block, "thinking") {
                    Some(words) => thought.1.add(words),
                    None => thought.1.hide(),
                },
                Some("redacted_thinking") => thought.1.hide(),
                Some("tool_use") => {
                    let (Some(id), Some(tool)) = (text(block, "id"), text(block, "name")) else { continue };
                    // Answers that the client made itself name no model.
                    let model = text(message, "model").filter(|model| !model.starts_with('<'));
                    by_id.insert(id.to_owned(), calls.len());
                    calls.push(Heard {
                        call: make(Some(id), tool, &block["input"]),
                        responded: model.map(str::to_owned),
                        request_id: text(&line, "requestId").map(str::to_owned),
                        version: text(&line, "version").map(str::to_owned),
                        reasoning: thought.1.clone(),
                        ..Heard::default()
                    });
                }
                Some("tool_result") => {
                    let Some(&at) = text(block, "tool_use_id").and_then(|id| by_id.get(id)) else { continue };
                    let heard = &mut calls[at];
                    if block["is_error"] != true {
                        heard.end = Some(End::Done);
                        heard.edits = edits(&heard.call, &line["toolUseResult"]);
                        heard.returned = returned(&heard.call, &line["toolUseResult"]);
                        continue;
                    }
                    let (end, certain) = refusal(&words(&block["content"]));
                    heard.end = Some(end);
                    let invalid = words(&block["content"]).starts_with("<tool_use_error>");
                    heard.returned = failed(&block["content"]);
                    heard.refused_unless_run = !certain && !invalid;
                }
                _ => {}
            }
        }
    }
    calls
}

/// What an error says of the end of a call, and whether it is certain.
fn refusal(words: &str) -> (End, bool) {
    const BY_PERSON: &[&str] =
        &["User refused", "The user doesn't want to", "[Request interrupted by user", "User rejected", "user rejected"];
    if BY_PERSON.iter().any(|phrase| words.starts_with(phrase)) {
        return (End::Refused, true);
    }
    if words.starts_with("Claude requested permissions") {
        return (End::NotAllowed, true);
    }
    if words.starts_with("Permission to use") && words.contains("denied") {
        return (End::Denied, true);
    }
    (End::Failed, false)
}

fn words(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}

/// Reads the version in `claude-code_2-1-197_harness`.
fn version(agent: &str) -> Option<String> {
    let mut parts = agent.split('_');
    (parts.next() == Some("claude-code")).then_some(())?;
    let version = parts.next()?.replace('-', ".");
    version.starts_with(|c: char| c.is_ascii_digit()).then_some(version)
}
