//! The open form that agents already emit for git-ai: a snapshot before an edit, what was edited after it.
//!
//! It has no session of its own, so what one call leaves for the next belongs to the directory. It tells of
//! edits, not of tool calls, but for shell commands.

use std::path::PathBuf;

use serde_json::Value;

use super::decode::{Call, Client, Edit, End, Input, Returned, Said, Step, Touches, text};

pub(super) const CLIENT: Client = Client::new("agent-v1", decode);

fn decode(input: &Input<'_>) -> Option<Said> {
    let json = input.json;
    let directory = input.text("repo_working_dir").or(input.text("cwd"))?;
    let named = |name: &str| -> Option<Vec<PathBuf>> {
        Some(json[name].as_array()?.iter().filter_map(Value::as_str).map(PathBuf::from).collect())
    };
    let buffers: Vec<(PathBuf, String)> = json["dirty_files"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(path, text)| Some((PathBuf::from(path), text.as_str()?.to_owned())))
        .collect();
    let conversation = input.text("conversation_id").or(input.text("session_id")).unwrap_or("none");
    let mut said = Said {
        session: conversation.to_owned(),
        notes: Some(directory.to_owned()),
        cwd: Some(PathBuf::from(directory)),
        model: input.text("model").map(str::to_owned),
        tool: input.text("agent_name").or(input.text("tool")).map(str::to_owned),
        request_id: input.text("request_id").map(str::to_owned),
        ..Said::default()
    };
    let files = |names: &[&str]| match names.iter().find_map(|name| named(name)) {
        Some(files) => Touches::Writes(files),
        None => Touches::Anything(buffers.iter().map(|(path, _)| path.clone()).collect()),
    };
    let edit = |touches: Touches| Call {
        tool: "edit".to_owned(),
        touches,
        buffers: buffers.clone(),
        is_checkpoint: true,
        ..Call::default()
    };
    let shell = || Call {
        id: input.text("tool_use_id").or(input.text("tool_call_id")).map(str::to_owned),
        tool: "shell".to_owned(),
        input: json["command"].clone(),
        touches: Touches::Anything(Vec::new()),
        output: input.text("command").map(str::to_owned),
        command: input.text("command").map(str::to_owned),
        ..Call::default()
    };
    let ended = |call: Call| {
        let told = call.touches.named().iter().map(|path| Edit {
            path: path.clone(),
            after: call.buffers.iter().find(|(buffer, _)| buffer == path).map(|(_, text)| Some(text.clone())),
            in_buffer: call.buffers.iter().any(|(buffer, _)| buffer == path),
            ..Edit::default()
        });
        let edits = if call.is_checkpoint { told.collect() } else { Vec::new() };
        let code = json["exit_code"].as_i64().and_then(|code| i32::try_from(code).ok());
        let exit_status = code.filter(|_| call.command.is_some());
        let returned = Returned { exit_status, ..Returned::of(&json["output"]) };
        Step::Ended { call, end: End::Done, edits, decision: None, returned }
    };
    match input.text("type").or(input.event)? {
        // What changed since the last snapshot is nobody's; what is there now is what an agent finds.
        "human" => said.steps.push(Step::Calling(edit(files(&["will_edit_filepaths"])))),
        "ai_agent" => {
            said.steps.extend(prompt(input, conversation));
            // A call's id is not known before it, so the snapshot has none: only the record gets it.
            let id = input.text("tool_call_id").map(str::to_owned);
            let mut call = edit(files(&["edited_filepaths"]));
            call.named_late = id;
            said.steps.push(ended(call));
        }
        "ai_tab" => {
            said.is_ide = true;
            let call = edit(files(&["edited_filepaths", "will_edit_filepaths"]));
            said.steps.push(match input.text("hook_event_name")? {
                "before_edit" => Step::Calling(call),
                "after_edit" => ended(call),
                _ => return None,
            });
        }
        "pre_shell_command" => said.steps.push(Step::Calling(shell())),
        "post_shell_command" => said.steps.push(ended(shell())),
        "known_human" => {
            let files = named("edited_filepaths").unwrap_or_else(|| buffers.iter().map(|it| it.0.clone()).collect());
            said.steps.push(Step::Typed { files, buffers });
        }
        _ => return None,
    }
    Some(said)
}

/// The prompt, told with every edit that follows from it.
fn prompt(input: &Input<'_>, conversation: &str) -> Option<Step> {
    let messages = input.json["transcript"]["messages"].as_array().or(input.json["transcript"].as_array());
    let of_user = |message: &&Value| ["type", "role"].iter().any(|name| message[*name] == "user");
    let last = messages.and_then(|messages| messages.iter().rev().find(of_user));
    let said = input.text("prompt").or(last.and_then(|message| text(message, "text").or(text(message, "content"))))?;
    Some(Step::Prompted {
        turn: Some(format!("{conversation}\0{said}")),
        text: said.to_owned(),
        opens: false,
        given: Vec::new(),
    })
}
