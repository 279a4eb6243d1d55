//! Amp: a plugin hands over each of its events as it came, under the event's own name. Calls have ids; the
//! model is in no event.

use std::path::PathBuf;

use serde_json::Value;

use super::decode::{Call, Client, Edit, End, Input, Returned, Said, Step, Touches, absolute_paths, text};
use super::patch;
use super::planned::Swap;

pub(super) const CLIENT: Client = Client::new("amp", decode);

/// Tools that change no file.
const HARMLESS: &[&str] = &[
    "Glob",
    "Grep",
    "Task",
    "find_thread",
    "finder",
    "get_diagnostics",
    "glob",
    "librarian",
    "mermaid",
    "oracle",
    "read_mcp_resource",
    "read_thread",
    "read_web_page",
    "skill",
    "todo_read",
    "todo_write",
    "web_search",
];

fn decode(input: &Input<'_>) -> Option<Said> {
    let json = input.json;
    let event = input.event.or(input.text("type")).or(input.text("hook_event_name"))?;
    let mut said = Said {
        session: text(&json["thread"], "id").or(input.text("threadID")).or(input.text("thread_id"))?.to_owned(),
        cwd: input.text("cwd").map(PathBuf::from),
        ..Said::default()
    };
    match event {
        "session.start" => said.steps.push(Step::Began),
        "agent.start" => {
            let turn = input.text("id").map(str::to_owned);
            said.steps.push(Step::Prompted {
                turn,
                text: text(json, "message")?.to_owned(),
                opens: false,
                given: Vec::new(),
            });
        }
        "tool.call" => said.steps.push(Step::Calling(call(json)?)),
        "tool.result" => {
            let end = match json["status"].as_str() {
                Some("done") | None => End::Done,
                Some("cancelled") => End::Interrupted,
                // A plugin that rejects a call makes an error of it.
                Some(_) => End::FailedOrDenied,
            };
            let call = call(json)?;
            // An editing tool's answer shows what stands in the edit.
            let said_of = if matches!(call.touches, Touches::Writes(_)) { &Value::Null } else { &json["output"] };
            let returned = Returned::of(said_of);
            said.steps.push(Step::Ended { call, end, edits: Vec::new(), decision: None, returned });
        }
        "agent.end" => {
            if matches!(json["status"].as_str(), Some("cancelled" | "aborted" | "interrupted")) {
                said.steps.push(Step::Stopped);
            }
            said.steps.push(Step::Idle);
        }
        _ => {}
    }
    Some(said)
}

fn call(json: &Value) -> Option<Call> {
    let tool = text(json, "tool").or(text(json, "tool_name"))?;
    let input = json.get("input").or(json.get("tool_input")).unwrap_or(&Value::Null);
    let path = ["path", "file_path"].into_iter().find_map(|name| text(input, name));
    let file = || path.map(PathBuf::from).into_iter().collect::<Vec<_>>();
    let mut plan = Vec::new();
    let (touches, output) = match tool {
        "create_file" | "Write" => {
            plan.extend(path.zip(input["content"].as_str()).map(|(path, whole)| Edit::whole(path, whole)));
            (Touches::Writes(file()), text(input, "content").map(str::to_owned))
        }
        "edit_file" | "Edit" => {
            let swap = input["old_str"].as_str().zip(input["new_str"].as_str());
            let all = input["replace_all"] == true;
            let edit = |(path, (old, new))| Edit::swaps(path, vec![Swap { all, ..Swap::once(old, new) }]);
            plan.extend(path.zip(swap).map(edit));
            (Touches::Writes(file()), text(input, "new_str").map(str::to_owned))
        }
        "undo_edit" | "delete_file" => (Touches::Writes(file()), None),
        "apply_patch" => {
            let patch = ["input", "patch", "patchText"].into_iter().find_map(|name| text(input, name));
            plan = patch::edits(patch.unwrap_or_default());
            (Touches::Writes(patch::files(patch.unwrap_or_default())), patch.map(str::to_owned))
        }
        "Read" | "view_file" => (Touches::Reads(file()), None),
        "Bash" | "shell_command" => {
            let command = text(input, "cmd").or(text(input, "command"));
            (Touches::Anything(Vec::new()), command.map(str::to_owned))
        }
        _ if HARMLESS.contains(&tool) => (Touches::Nothing, None),
        _ => (Touches::Anything(absolute_paths(input)), None),
    };
    let id = text(json, "toolUseID").or(text(json, "tool_use_id")).map(str::to_owned);
    let command = output.clone().filter(|_| matches!(tool, "Bash" | "shell_command"));
    let (tool, input) = (tool.to_owned(), input.clone());
    Some(Call { id, tool, input, touches, output, command, plan, ..Call::default() })
}
