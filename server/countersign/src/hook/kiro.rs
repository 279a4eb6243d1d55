//! Kiro CLI, as documented: hooks without tool call ids and without models; older versions name no session
//! either, then what belongs together is what happens in one directory. Its end is never told.

use std::path::PathBuf;

use serde_json::Value;

use super::decode::{Call, Client, Edit, End, Input, Returned, Said, Step, Touches, absolute_paths, text};
use super::planned::Swap;

pub(super) const CLIENT: Client = Client::new("kiro", decode);

/// Tools that change no file.
const HARMLESS: &[&str] = &[
    "code",
    "delegate",
    "dummy",
    "glob",
    "grep",
    "introspect",
    "knowledge",
    "session",
    "subagent",
    "thinking",
    "todo",
    "todo_list",
    "use_subagent",
    "web_fetch",
    "web_search",
];

fn decode(input: &Input<'_>) -> Option<Said> {
    let json = input.json;
    let event = input.text("hook_event_name").or(input.event)?;
    let session = input.text("session_id").or(input.text("conversation_id"));
    let cwd = input.text("cwd");
    let mut said = Said {
        session: session.or(cwd)?.to_owned(),
        is_unnamed: session.is_none(),
        cwd: cwd.map(PathBuf::from),
        model: input.text("model").map(str::to_owned),
        ..Said::default()
    };
    let step = match event {
        "agentSpawn" => Step::Began,
        "userPromptSubmit" => {
            Step::Prompted { turn: None, text: text(json, "prompt")?.to_owned(), opens: false, given: Vec::new() }
        }
        "preToolUse" => Step::Calling(call(json)?),
        "postToolUse" => {
            let response = &json["tool_response"];
            let failed = response["success"] == false || response["is_error"] == true || response["error"].is_string();
            let end = if failed { End::Failed } else { End::Done };
            Step::Ended { call: call(json)?, end, edits: Vec::new(), decision: None, returned: Returned::of(response) }
        }
        "stop" => Step::Idle,
        _ => return Some(said),
    };
    said.steps.push(step);
    Some(said)
}

fn call(json: &Value) -> Option<Call> {
    let (tool, input) = (text(json, "tool_name")?, &json["tool_input"]);
    let path = text(input, "path").or(text(input, "file_path"));
    let file = || path.map(PathBuf::from).into_iter().collect::<Vec<_>>();
    let mut plan = Vec::new();
    let (touches, output) = match tool {
        "fs_write" | "write" => {
            let whole = ["file_text", "content"].into_iter().find_map(|name| input[name].as_str());
            let new = input["new_str"].as_str();
            let edit = match (text(input, "command"), path) {
                (Some("create") | None, Some(path)) => whole.map(|whole| Edit::whole(path, whole)),
                (Some("str_replace"), Some(path)) => {
                    let swap = input["old_str"].as_str().zip(new);
                    swap.map(|(old, new)| Edit::swaps(path, vec![Swap::once(old, new)]))
                }
                _ => None,
            };
            plan.extend(edit);
            (Touches::Writes(file()), whole.or(new).filter(|text| !text.is_empty()).map(str::to_owned))
        }
        "fs_read" | "read" => {
            let several = input["operations"].as_array().into_iter().flatten();
            // A directory or a search is no file that was read.
            let lines = several.filter(|one| one["mode"].is_null() || one["mode"] == "Line");
            let files = lines.filter_map(|one| text(one, "path")).map(PathBuf::from).chain(file());
            (Touches::Reads(files.collect()), None)
        }
        "execute_bash" | "execute_cmd" | "shell" => {
            (Touches::Anything(Vec::new()), text(input, "command").map(str::to_owned))
        }
        _ if HARMLESS.contains(&tool) => (Touches::Nothing, None),
        _ => (Touches::Anything(absolute_paths(input)), None),
    };
    let command = output.clone().filter(|_| matches!(tool, "execute_bash" | "execute_cmd" | "shell"));
    let (id, tool, input) = (text(json, "tool_use_id").map(str::to_owned), tool.to_owned(), input.clone());
    Some(Call { id, tool, input, touches, output, command, plan, ..Call::default() })
}
