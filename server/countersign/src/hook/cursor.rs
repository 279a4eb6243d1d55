//! Cursor, as documented: Claude-like hooks with its own names. A tool's call and `afterFileEdit` tell of
//! one edit, so only the call is followed. Its hooks want JSON for an answer.

use std::path::PathBuf;

use serde_json::Value;

use super::decode::{Call, Client, End, Heard, Input, Said, Step, Touches, absolute_paths, text};

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
            Step::Prompted { turn, text: input.text("prompt")?.to_owned() }
        }
        "preToolUse" => Step::Calling(call(json)?),
        "postToolUse" => Step::Ended { call: call(json)?, end: End::Done, edits: Vec::new(), decision: None },
        "postToolUseFailure" => {
            let end = match (json["failure_type"].as_str(), json["is_interrupt"] == true) {
                (_, true) => End::Refused,
                (Some("permission_denied"), _) => End::NotAllowed,
                _ => End::Failed,
            };
            Step::Ended { call: call(json)?, end, edits: Vec::new(), decision: None }
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
    Some(Call { id, tool: tool.to_owned(), input: input.clone(), touches, output, ..Call::default() })
}
