//! Windsurf (Cascade), as documented: hooks by kind of action, without tool call ids. It has no end of a
//! session: what did not end when it has answered never will.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::decode::{Call, Client, Edit, End, Input, Returned, Said, Step, Touches, absolute_paths, text};
use super::planned::Swap;

pub(super) const CLIENT: Client = Client::new("windsurf", decode);

fn decode(input: &Input<'_>) -> Option<Said> {
    let info = &input.json["tool_info"];
    let action = input.text("agent_action_name").or(input.event)?;
    let mut said = Said {
        session: input.text("trajectory_id")?.to_owned(),
        cwd: text(info, "cwd").map(PathBuf::from),
        // It says so itself where it does not know.
        model: input.text("model_name").filter(|name| *name != "Unknown").map(str::to_owned),
        forgets_model: input.text("model_name").is_none_or(|name| name == "Unknown"),
        ..Said::default()
    };
    let step = match action.split_once('_')? {
        ("pre", "user_prompt") => {
            let turn = input.text("execution_id").map(str::to_owned);
            Step::Prompted { turn, text: text(info, "user_prompt")?.to_owned(), opens: false, given: Vec::new() }
        }
        ("pre", kind @ ("write_code" | "run_command" | "mcp_tool_use" | "read_code")) => {
            Step::Calling(call(kind, info))
        }
        ("post", kind @ ("write_code" | "run_command" | "mcp_tool_use" | "read_code")) => {
            let call = call(kind, info);
            // It says so after it wrote; what was there before only a hook before it has seen.
            let edits = if kind == "write_code" { call.plan.clone() } else { Vec::new() };
            // Of a command it tells neither output nor exit status.
            let returned = Returned::of(&info["mcp_result"]);
            Step::Ended { call, end: End::Done, edits, decision: None, returned }
        }
        ("post", "cascade_response" | "cascade_response_with_transcript") => Step::Idle,
        _ => return Some(said),
    };
    said.steps.push(step);
    Some(said)
}

fn call(kind: &str, info: &Value) -> Call {
    let mut plan = Vec::new();
    let files = || text(info, "file_path").map(PathBuf::from).into_iter().collect::<Vec<_>>();
    let (touches, output, input) = match kind {
        "write_code" => {
            let edits = info["edits"].as_array().into_iter().flatten();
            let written = edits.clone().filter_map(|edit| edit["new_string"].as_str()).collect::<Vec<_>>().join("\n");
            let swap = |edit: &Value| Some(Swap::once(edit["old_string"].as_str()?, edit["new_string"].as_str()?));
            let swaps: Option<Vec<Swap>> = edits.map(swap).collect();
            let path = text(info, "file_path");
            plan.extend(path.map(|path| Edit::swaps(path, swaps.unwrap_or_default())));
            (Touches::Writes(files()), Some(written), info.clone())
        }
        "run_command" => {
            let command = text(info, "command_line").map(str::to_owned);
            (Touches::Anything(Vec::new()), command.clone(), json!({ "command_line": command }))
        }
        "read_code" => (Touches::Reads(files()), None, json!({ "file_path": info["file_path"] })),
        _ => {
            // What comes back with the answer is not part of the call.
            let named = ["mcp_server_name", "mcp_tool_name", "mcp_tool_arguments"];
            let input: Value = named.iter().map(|name| ((*name).to_owned(), info[*name].clone())).collect();
            (Touches::Anything(absolute_paths(&input)), None, input)
        }
    };
    let command = output.clone().filter(|_| kind == "run_command");
    Call { tool: kind.to_owned(), input, touches, output, command, plan, ..Call::default() }
}
