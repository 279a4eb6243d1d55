//! Windsurf (Cascade), as documented: hooks by kind of action, without tool call ids.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::decode::{Call, Client, Edit, End, Heard, Input, Returned, Said, Step, Touches, absolute_paths, text};

pub(super) const CLIENT: Client = Client { name: "windsurf", decode, heard: nothing, ends_late: false, answer: "" };

fn nothing(_: &str) -> Vec<Heard> {
    Vec::new()
}

fn decode(input: &Input<'_>) -> Option<Said> {
    let info = &input.json["tool_info"];
    let action = input.text("agent_action_name").or(input.event)?;
    let mut said = Said {
        session: input.text("trajectory_id")?.to_owned(),
        cwd: text(info, "cwd").map(PathBuf::from),
        // It says so itself where it does not know.
        model: input.text("model_name").filter(|name| *name != "Unknown").map(str::to_owned),
        forgets_model: input.text("model_name") == Some("Unknown"),
        ..Said::default()
    };
    let step = match action.split_once('_')? {
        ("pre", "user_prompt") => {
            let turn = input.text("execution_id").map(str::to_owned);
            Step::Prompted { turn, text: text(info, "user_prompt")?.to_owned(), given: Vec::new() }
        }
        ("pre", kind @ ("write_code" | "run_command" | "mcp_tool_use")) => Step::Calling(call(kind, info)),
        ("post", kind @ ("write_code" | "run_command" | "mcp_tool_use" | "read_code")) => {
            let call = call(kind, info);
            // It says so after it wrote; what was there before only a hook before it has seen.
            let written = |path: &PathBuf| Edit { path: path.clone(), before: None, after: None, in_buffer: false };
            let edits =
                if kind == "write_code" { call.touches.named().iter().map(written).collect() } else { Vec::new() };
            // Of a command it tells neither output nor exit status.
            let returned = Returned::of(&info["mcp_result"]);
            Step::Ended { call, end: End::Done, edits, decision: None, returned }
        }
        ("post", "cascade_response" | "cascade_response_with_transcript") => Step::Rested,
        _ => return Some(said),
    };
    said.steps.push(step);
    Some(said)
}

fn call(kind: &str, info: &Value) -> Call {
    let (touches, output, input) = match kind {
        "write_code" => {
            let edits = info["edits"].as_array().into_iter().flatten();
            let written = edits.filter_map(|edit| edit["new_string"].as_str()).collect::<Vec<_>>().join("\n");
            let files = text(info, "file_path").map(PathBuf::from).into_iter().collect();
            (Touches::Writes(files), Some(written), info.clone())
        }
        "run_command" => {
            let command = text(info, "command_line").map(str::to_owned);
            (Touches::Anything(Vec::new()), command.clone(), json!({ "command_line": command }))
        }
        "read_code" => {
            let files = text(info, "file_path").map(PathBuf::from).into_iter().collect();
            (Touches::Reads(files), None, json!({ "file_path": info["file_path"] }))
        }
        _ => {
            // What comes back with the answer is not part of the call.
            let named = ["mcp_server_name", "mcp_tool_name", "mcp_tool_arguments"];
            let input: Value = named.iter().map(|name| ((*name).to_owned(), info[*name].clone())).collect();
            (Touches::Anything(absolute_paths(&input)), None, input)
        }
    };
    let command = output.clone().filter(|_| kind == "run_command");
    Call { tool: kind.to_owned(), input, touches, output, command, ..Call::default() }
}
