//! Droid (Factory), as documented: Claude-like hooks under either spelling of the names; calls may have no
//! id there, and have one in its session file. The model that is asked for stands in a file beside that.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::claude_code;
use super::decode::{Call, Client, Edit, End, Heard, Input, Returned, Said, Step, Touches, absolute_paths, text};
use super::patch;
use super::planned::Swap;

pub(super) const CLIENT: Client = Client { heard, ..Client::new("droid", decode) };

/// Tools that change no file.
const HARMLESS: &[&str] = &[
    "AskUser",
    "ExitSpecMode",
    "FetchUrl",
    "Glob",
    "Grep",
    "LS",
    "Skill",
    "Task",
    "TodoWrite",
    "WebFetch",
    "WebSearch",
];

fn decode(input: &Input<'_>) -> Option<Said> {
    let json = input.json;
    let either = |snake: &str, camel: &str| text(json, snake).or(text(json, camel));
    let transcript = either("transcript_path", "transcriptPath").map(PathBuf::from);
    let mut said = Said {
        session: either("session_id", "sessionId")?.to_owned(),
        cwd: input.text("cwd").map(PathBuf::from),
        model: input.text("model").map(str::to_owned),
        mode: either("permission_mode", "permissionMode").map(str::to_owned),
        settings: transcript.as_deref().map(|path: &Path| path.with_extension("settings.json")),
        transcripts: transcript.into_iter().collect(),
        ..Said::default()
    };
    let step = match either("hook_event_name", "hookEventName").or(input.event)? {
        "SessionStart" => Step::Began,
        "UserPromptSubmit" => {
            Step::Prompted { turn: None, text: text(json, "prompt")?.to_owned(), opens: false, given: Vec::new() }
        }
        "PreToolUse" => Step::Calling(call(json)?),
        "PostToolUse" => {
            let response = json.get("tool_response").or(json.get("toolResponse")).unwrap_or(&Value::Null);
            let failed = ["is_error", "isError"].iter().any(|name| response[*name] == true)
                || response["success"] == false
                || response["error"].is_string();
            let end = if failed { End::Failed } else { End::Done };
            Step::Ended { call: call(json)?, end, edits: Vec::new(), decision: None, returned: Returned::of(response) }
        }
        "Stop" | "SubagentStop" => Step::Rested,
        "SessionEnd" => Step::Finished,
        _ => return Some(said),
    };
    said.steps.push(step);
    Some(said)
}

fn heard(lines: &str) -> Vec<Heard> {
    claude_code::blocks(lines, make)
}

fn call(json: &Value) -> Option<Call> {
    let tool = text(json, "tool_name").or(text(json, "toolName"))?;
    let id = ["tool_use_id", "toolUseId", "tool_call_id"].into_iter().find_map(|name| text(json, name));
    let input = json.get("tool_input").or(json.get("toolInput")).unwrap_or(&Value::Null);
    Some(make(id, tool, input))
}

fn make(id: Option<&str>, tool: &str, input: &Value) -> Call {
    let path = ["file_path", "filePath", "path", "notebook_path"].into_iter().find_map(|name| text(input, name));
    let file = || path.map(PathBuf::from).into_iter().collect::<Vec<_>>();
    let of = |edit: &Value, names: [&str; 2]| names.into_iter().find_map(|name| edit[name].as_str()).map(str::to_owned);
    let swap = |edit: &Value| {
        let all = edit["change_all"] == true || edit["replace_all"] == true;
        Some(Swap {
            old: of(edit, ["old_str", "old_string"])?,
            new: of(edit, ["new_str", "new_string"])?,
            all,
            line: None,
        })
    };
    let mut plan = Vec::new();
    let (touches, output) = match tool {
        "Create" | "Write" => {
            plan.extend(path.zip(input["content"].as_str()).map(|(path, whole)| Edit::whole(path, whole)));
            (Touches::Writes(file()), text(input, "content").map(str::to_owned))
        }
        "Edit" => {
            plan.extend(path.zip(swap(input)).map(|(path, swap)| Edit::swaps(path, vec![swap])));
            (Touches::Writes(file()), of(input, ["new_str", "new_string"]))
        }
        "MultiEdit" => {
            let edits = input["changes"].as_array().or(input["edits"].as_array());
            let swaps = edits.and_then(|edits| edits.iter().map(swap).collect::<Option<Vec<_>>>());
            let written = swaps.iter().flatten().map(|swap| swap.new.as_str()).collect::<Vec<_>>().join("\n");
            plan.extend(path.zip(swaps).map(|(path, swaps)| Edit::swaps(path, swaps)));
            (Touches::Writes(file()), Some(written))
        }
        "NotebookEdit" => (Touches::Writes(file()), text(input, "new_source").map(str::to_owned)),
        "ApplyPatch" => {
            let patch = ["input", "patch"].into_iter().find_map(|name| text(input, name)).or(input.as_str());
            plan = patch::edits(patch.unwrap_or_default());
            (Touches::Writes(patch::files(patch.unwrap_or_default())), patch.map(str::to_owned))
        }
        "Read" => (Touches::Reads(file()), None),
        "Execute" | "Bash" => (Touches::Anything(Vec::new()), text(input, "command").map(str::to_owned)),
        _ if HARMLESS.contains(&tool) => (Touches::Nothing, None),
        _ => (Touches::Anything(absolute_paths(input)), None),
    };
    let command = output.clone().filter(|_| matches!(tool, "Execute" | "Bash"));
    let (id, tool, input) = (id.map(str::to_owned), tool.to_owned(), input.clone());
    Call { id, tool, input, touches, output, command, plan, ..Call::default() }
}
