//! Cursor, as documented: Claude-like hooks with its own names. A tool's call and `afterFileEdit` tell of
//! one edit, so only the call is followed. Its hooks want JSON for an answer.

use std::path::PathBuf;

use serde_json::Value;

use super::decode::{Call, Client, End, Heard, Input, Returned, Said, Step, Touches, absolute_paths, text, words_of};

pub(super) const CLIENT: Client = Client { name: "cursor", decode, heard: nothing, ends_late: false, answer: "{}\n" };

/// Tools that change no file.
const HARMLESS: &[&str] =
    &["Glob", "Grep", "LS", "ListDir", "ReadLints", "SemanticSearch", "Task", "TodoWrite", "WebFetch", "WebSearch"];

/// Its transcript names neither calls nor models.
fn nothing(_: &str) -> Vec<Heard> {
    Vec::new()
}

fn decode(input: &Input<'_>) -> Option<Said> {
    let json = input.json;
    let event = input.text("hook_event_name").or(input.event)?;
    let root = json["workspace_roots"][0].as_str().filter(|root| !root.is_empty());
    let mut said = Said {
        session: input.text("conversation_id")?.to_owned(),
        // On Windows a path may come as `/c:/...`.
        cwd: input.text("cwd").or(root).map(PathBuf::from),
        model: input.text("model").map(str::to_owned),
        version: input.text("cursor_version").map(str::to_owned),
        account: input.text("user_email").map(str::to_owned),
        ..Said::default()
    };
    let step = match event {
        "sessionStart" => Step::Began,
        "beforeSubmitPrompt" => {
            let turn = input.text("generation_id").map(str::to_owned);
            let attached = json["attachments"].as_array().into_iter().flatten();
            let given = attached.filter_map(|file| text(file, "filePath").or(text(file, "file_path")));
            Step::Prompted { turn, text: input.text("prompt")?.to_owned(), given: given.map(str::to_owned).collect() }
        }
        "preToolUse" => Step::Calling(call(json)?),
        "postToolUse" => {
            let call = call(json)?;
            let returned = returned(&call, &json["tool_output"]);
            Step::Ended { call, end: End::Done, edits: Vec::new(), decision: None, returned }
        }
        "postToolUseFailure" => {
            let end = match (json["failure_type"].as_str(), json["is_interrupt"] == true) {
                (_, true) => End::Refused,
                (Some("permission_denied"), _) => End::NotAllowed,
                _ => End::Failed,
            };
            let returned = Returned::of(&json["error_message"]);
            Step::Ended { call: call(json)?, end, edits: Vec::new(), decision: None, returned }
        }
        "afterAgentThought" => {
            said.thought = input.text("text").map(str::to_owned);
            return Some(said);
        }
        "stop" => Step::Rested,
        "sessionEnd" => Step::Finished,
        // A completion that was accepted: where it stood before is not told.
        "afterTabFileEdit" => Step::NotFollowed("tab"),
        _ => return Some(said),
    };
    said.steps.push(step);
    Some(said)
}

fn call(json: &Value) -> Option<Call> {
    let (tool, input) = (text(json, "tool_name")?, &json["tool_input"]);
    let file =
        || ["file_path", "path", "target_file"].into_iter().find_map(|name| text(input, name)).map(PathBuf::from);
    let written =
        || ["content", "contents", "new_string"].into_iter().find_map(|name| text(input, name)).map(str::to_owned);
    let (touches, output) = match tool {
        "Write" | "StrReplace" | "Edit" | "MultiEdit" | "Delete" => {
            (Touches::Writes(file().into_iter().collect()), written())
        }
        "Read" => (Touches::Reads(file().into_iter().collect()), None),
        _ if HARMLESS.contains(&tool) => (Touches::Nothing, None),
        "Shell" => (Touches::Anything(Vec::new()), text(input, "command").map(str::to_owned)),
        _ => (Touches::Anything(absolute_paths(input)), None),
    };
    let id = text(json, "tool_use_id").map(str::to_owned);
    let command = output.clone().filter(|_| tool == "Shell");
    Some(Call { id, tool: tool.to_owned(), input: input.clone(), touches, output, command, ..Call::default() })
}

/// An answer is JSON in a text, or a text; a shell's has its exit status and its output.
fn returned(call: &Call, answer: &Value) -> Returned {
    let parsed = answer.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok()).filter(Value::is_object);
    let fields = parsed.as_ref().unwrap_or(answer);
    let code = ["exitCode", "exit_code"].iter().find_map(|name| fields[*name].as_i64());
    let exit_status = code.and_then(|code| i32::try_from(code).ok()).filter(|_| call.command.is_some());
    Returned { text: words_of(answer), exit_status, given: Vec::new() }
}
