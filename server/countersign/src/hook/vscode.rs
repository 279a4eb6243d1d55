//! The agent inside VS Code, as documented: Claude-like hooks with tool call ids and names of its own. It
//! names no model, never says whether a person kept an edit, and its hook may run before the file is saved.
//!
//! It reads the hook files of Claude Code and of Copilot CLI too, so it may call under their names.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::copilot;
use super::decode::{Call, Client, Edit, End, Input, Returned, Said, Step, Touches, absolute_paths, text};
use super::patch;
use super::planned::Swap;

pub(super) const CLIENT: Client = Client::new("vscode-copilot", decode);

/// Tools that change no file.
const HARMLESS: &[&str] = &[
    "create_directory",
    "fetch_webpage",
    "file_search",
    "get_changed_files",
    "get_errors",
    "get_terminal_output",
    "github_repo",
    "grep_search",
    "list_code_usages",
    "list_dir",
    "manage_todo_list",
    "open_simple_browser",
    "runSubagent",
    "semantic_search",
    "terminal_last_command",
    "terminal_selection",
    "test_failure",
    "test_search",
    "think",
];

/// Says whether a call comes from VS Code, whoever was to be called.
pub(super) fn is_from_it(json: &Value) -> bool {
    let transcript = ["transcript_path", "transcriptPath"].into_iter().find_map(|name| text(json, name));
    let of_chat = |path: &str| path.to_ascii_lowercase().replace('\\', "/").contains("/github.copilot-chat/");
    transcript.is_some_and(of_chat) || (json["hookEventName"].is_string() && json["sessionId"].is_string())
}

pub(super) fn decode(input: &Input<'_>) -> Option<Said> {
    let json = input.json;
    let either = |snake: &str, camel: &str| text(json, snake).or(text(json, camel));
    let mut said = Said {
        session: either("session_id", "sessionId")?.to_owned(),
        cwd: input.text("cwd").map(PathBuf::from),
        model: input.text("model").map(str::to_owned),
        transcripts: either("transcript_path", "transcriptPath").map(PathBuf::from).into_iter().collect(),
        ..Said::default()
    };
    let step = match either("hook_event_name", "hookEventName").or(input.event)? {
        "SessionStart" => Step::Began,
        "UserPromptSubmit" => {
            Step::Prompted { turn: None, text: text(json, "prompt")?.to_owned(), opens: false, given: Vec::new() }
        }
        "PreToolUse" => Step::Calling(call(json)?),
        "PostToolUse" => {
            let call = call(json)?;
            let words = json["tool_response"].as_str().or(json["tool_response"]["text"].as_str()).unwrap_or_default();
            let failed = ["Error", "ERROR", "Failed"].iter().any(|word| words.starts_with(word));
            // The file may not be saved yet, so what the arguments make of it is taken for what it will be.
            let edits = if failed { Vec::new() } else { call.plan.clone() };
            let end = if failed { End::Failed } else { End::Done };
            Step::Ended { call, end, edits, decision: None, returned: Returned::of(&json["tool_response"]) }
        }
        "PostToolUseFailure" => {
            let returned = Returned::of(&json["error"]);
            Step::Ended { call: call(json)?, end: End::Failed, edits: Vec::new(), decision: None, returned }
        }
        "SubagentStop" => Step::Rested,
        // It has no end of a session.
        "Stop" => Step::Idle,
        "SessionEnd" => Step::Finished,
        _ => return Some(said),
    };
    said.steps.push(step);
    Some(said)
}

fn call(json: &Value) -> Option<Call> {
    let tool = text(json, "tool_name").or(text(json, "toolName"))?;
    let id = text(json, "tool_use_id").or(text(json, "toolUseId"));
    let given = json.get("tool_input").or(json.get("toolInput")).or(json.get("toolArgs")).unwrap_or(&Value::Null);
    let parsed = given.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok()).filter(Value::is_object);
    let input = parsed.as_ref().unwrap_or(given);
    let path = ["filePath", "file_path", "path"].into_iter().find_map(|name| text(input, name));
    let file = || path.map(PathBuf::from).into_iter().collect::<Vec<_>>();
    let swap = |edit: &Value| Some(Swap::once(edit["oldString"].as_str()?, edit["newString"].as_str()?));
    let mut plan = Vec::new();
    let (touches, output) = match tool {
        "create_file" => {
            plan.extend(path.zip(input["content"].as_str()).map(|(path, whole)| Edit::whole(path, whole)));
            (Touches::Writes(file()), text(input, "content").map(str::to_owned))
        }
        "replace_string_in_file" => {
            plan.extend(path.zip(swap(input)).map(|(path, swap)| Edit::swaps(path, vec![swap])));
            (Touches::Writes(file()), text(input, "newString").map(str::to_owned))
        }
        "multi_replace_string_in_file" => {
            let (files, written) = several(&input["replacements"], &swap, &mut plan);
            (Touches::Writes(files), Some(written))
        }
        "insert_edit_into_file" => (Touches::Writes(file()), text(input, "code").map(str::to_owned)),
        "edit_notebook_file" => (Touches::Writes(file()), text(input, "newCode").map(str::to_owned)),
        "apply_patch" => {
            let patch = ["input", "patch", "command"].into_iter().find_map(|name| text(input, name));
            let patch = patch.or(given.as_str()).unwrap_or_default();
            plan = patch::edits(patch);
            (Touches::Writes(patch::files(patch)), Some(patch.to_owned()))
        }
        "editFiles" | "edit_files" => {
            let files = input["files"].as_array().into_iter().flatten().filter_map(Value::as_str);
            (Touches::Writes(files.map(PathBuf::from).collect()), None)
        }
        "delete_file" => {
            plan.extend(path.map(|path| Edit { path: path.into(), after: Some(None), ..Edit::default() }));
            (Touches::Writes(file()), None)
        }
        "read_file" => (Touches::Reads(file()), None),
        "run_in_terminal" => (Touches::Anything(Vec::new()), text(input, "command").map(str::to_owned)),
        _ if HARMLESS.contains(&tool) => (Touches::Nothing, None),
        // Copilot CLI speaks like this too where its configuration is written like VS Code's.
        "create" | "edit" | "str_replace" | "insert" | "view" | "bash" | "powershell" => {
            return Some(copilot::make(id, tool, given));
        }
        _ => (Touches::Anything(absolute_paths(input)), None),
    };
    let command = output.clone().filter(|_| tool == "run_in_terminal");
    let (id, tool, input) = (id.map(str::to_owned), tool.to_owned(), input.clone());
    Some(Call { id, tool, input, touches, output, command, plan, ..Call::default() })
}

/// Replacements in several files, by file.
fn several(given: &Value, swap: &impl Fn(&Value) -> Option<Swap>, plan: &mut Vec<Edit>) -> (Vec<PathBuf>, String) {
    let mut files: Vec<PathBuf> = Vec::new();
    let mut written = Vec::new();
    for replacement in given.as_array().into_iter().flatten() {
        let Some(path) = text(replacement, "filePath") else { continue };
        written.extend(replacement["newString"].as_str());
        if !files.iter().any(|file| file == Path::new(path)) {
            files.push(PathBuf::from(path));
            plan.push(Edit::swaps(path, Vec::new()));
        }
        let edit = plan.iter_mut().find(|edit| edit.path == Path::new(path));
        if let (Some(edit), Some(swap)) = (edit, swap(replacement)) {
            edit.swaps.push(swap);
        }
    }
    (files, written.join("\n"))
}
