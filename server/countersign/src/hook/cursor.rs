//! Cursor, as documented: Claude-like hooks with its own names. Several hooks tell of one call: the tool's
//! own, with an id, and those of shells, MCP servers and files, without; the latter count where the tool's
//! own do not run. An accepted Tab completion is an edit without a call. Its hooks want JSON for an answer.
//! Its transcript names neither calls nor models.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::decode::{Call, Client, Edit, End, Input, Returned, Said, Step, Touches, absolute_paths, text, words_of};
use super::planned::Swap;

pub(super) const CLIENT: Client = Client { answer: "{}\n", ..Client::new("cursor", decode) };

/// Tools that change no file.
const HARMLESS: &[&str] =
    &["Glob", "Grep", "LS", "ListDir", "ReadLints", "SemanticSearch", "Task", "TodoWrite", "WebFetch", "WebSearch"];

fn decode(input: &Input<'_>) -> Option<Said> {
    let json = input.json;
    let event = input.text("hook_event_name").or(input.event)?;
    let root = json["workspace_roots"][0].as_str().filter(|root| !root.is_empty());
    let mut said = Said {
        session: input.text("conversation_id").or(input.text("session_id"))?.to_owned(),
        cwd: input.text("cwd").or(root).map(|path| PathBuf::from(plain(path))),
        model: input.text("model").map(str::to_owned),
        version: input.text("cursor_version").map(str::to_owned),
        account: input.text("user_email").map(str::to_owned),
        ..Said::default()
    };
    let ended = |call, end, edits, returned| Step::Ended { call, end, edits, decision: None, returned };
    let step = match event {
        "sessionStart" => Step::Began,
        "beforeSubmitPrompt" => {
            let turn = input.text("generation_id").map(str::to_owned);
            let attached = json["attachments"].as_array().into_iter().flatten();
            let given = attached.filter_map(|file| text(file, "filePath").or(text(file, "file_path")));
            let given = given.map(str::to_owned).collect();
            Step::Prompted { turn, text: input.text("prompt")?.to_owned(), opens: false, given }
        }
        "preToolUse" => Step::Calling(call(json)?),
        "postToolUse" => {
            let call = call(json)?;
            let returned = returned(&call, &json["tool_output"]);
            ended(call, End::Done, Vec::new(), returned)
        }
        "postToolUseFailure" => ended(call(json)?, failure(json), Vec::new(), Returned::of(&json["error_message"])),
        "beforeShellExecution" => Step::Calling(shell(json)?),
        "afterShellExecution" => ended(shell(json)?, End::Done, Vec::new(), Returned::of(&json["output"])),
        "beforeMCPExecution" => Step::Calling(mcp(json)?),
        "afterMCPExecution" => ended(mcp(json)?, End::Done, Vec::new(), Returned::of(&json["result_json"])),
        "afterFileEdit" => {
            let (call, edit) = edited(json, false)?;
            ended(call, End::Done, vec![edit], Returned::default())
        }
        "afterTabFileEdit" => {
            // What it says of a model is what the composer uses; who completes is not told.
            said.model = None;
            said.forgets_model = true;
            said.is_ide = true;
            let (call, edit) = edited(json, true)?;
            ended(call, End::Done, vec![edit], Returned::default())
        }
        "afterAgentThought" => {
            said.thought = input.text("text").map(str::to_owned);
            return Some(said);
        }
        "stop" => {
            if json["status"] == "aborted" {
                said.steps.push(Step::Stopped);
            }
            Step::Idle
        }
        "sessionEnd" => Step::Finished,
        _ => return Some(said),
    };
    said.steps.push(step);
    Some(said)
}

/// Takes the slash off that some versions put before a drive: `/c:/x`.
fn plain(path: &str) -> &str {
    match path.as_bytes() {
        [b'/', drive, b':', b'/', ..] if drive.is_ascii_alphabetic() => &path[1..],
        _ => path,
    }
}

fn failure(json: &Value) -> End {
    if json["is_interrupt"] == true {
        return End::Interrupted;
    }
    let words = json["error_message"].as_str().unwrap_or_default().to_lowercase();
    let by_person = ["user rejected", "rejected by user", "rejected by the user", "user denied", "user refused"];
    match json["failure_type"].as_str() {
        Some("permission_denied") if by_person.iter().any(|phrase| words.contains(phrase)) => End::Refused,
        Some("permission_denied") => End::NotAllowed,
        _ => End::Failed,
    }
}

fn call(json: &Value) -> Option<Call> {
    let (tool, input) = (text(json, "tool_name")?, &json["tool_input"]);
    let path = ["file_path", "path", "target_file", "notebook_path"].into_iter().find_map(|name| text(input, name));
    let path = path.map(plain);
    let file = || path.map(PathBuf::from).into_iter().collect::<Vec<_>>();
    let written =
        || ["content", "contents", "new_string"].into_iter().find_map(|name| text(input, name)).map(str::to_owned);
    let swap = |edit: &Value| {
        let all = edit["replace_all"] == true;
        Some(Swap { all, ..Swap::once(edit["old_string"].as_str()?, edit["new_string"].as_str()?) })
    };
    let whole = ["content", "contents"].into_iter().find_map(|name| input[name].as_str());
    let plan = match (tool, path) {
        ("Write", Some(path)) => whole.map(|whole| Edit::whole(path, whole)),
        ("StrReplace" | "Edit", Some(path)) => swap(input).map(|swap| Edit::swaps(path, vec![swap])),
        ("MultiEdit", Some(path)) => {
            let swaps = input["edits"].as_array().and_then(|edits| edits.iter().map(swap).collect());
            swaps.map(|swaps| Edit::swaps(path, swaps))
        }
        _ => None,
    };
    let (touches, output) = match tool {
        "Write" | "StrReplace" | "Edit" | "MultiEdit" | "EditNotebook" | "Delete" => {
            (Touches::Writes(file()), written())
        }
        "Read" => (Touches::Reads(file()), None),
        _ if HARMLESS.contains(&tool) => (Touches::Nothing, None),
        "Shell" => (Touches::Anything(Vec::new()), text(input, "command").map(str::to_owned)),
        _ => (Touches::Anything(absolute_paths(input)), None),
    };
    let echo = match (&touches, path) {
        (Touches::Writes(_), Some(path)) => Some(format!("edit {path}")),
        (Touches::Anything(_), _) if tool == "Shell" => text(input, "command").map(|line| format!("shell {line}")),
        (Touches::Anything(_), _) => Some(format!("mcp {}", tool.trim_start_matches("MCP:"))),
        _ => None,
    };
    let id = text(json, "tool_use_id").map(str::to_owned);
    let command = output.clone().filter(|_| tool == "Shell");
    let (tool, input, plan) = (tool.to_owned(), input.clone(), plan.into_iter().collect());
    Some(Call { id, tool, input, touches, output, command, plan, echo, ..Call::default() })
}

fn shell(json: &Value) -> Option<Call> {
    let command = text(json, "command")?.to_owned();
    Some(Call {
        tool: "Shell".to_owned(),
        input: json!({ "command": command }),
        touches: Touches::Anything(Vec::new()),
        echo: Some(format!("shell {command}")),
        is_echo: true,
        command: Some(command.clone()),
        output: Some(command),
        ..Call::default()
    })
}

fn mcp(json: &Value) -> Option<Call> {
    let tool = text(json, "tool_name")?;
    // The arguments are JSON in a string.
    let parsed = json["tool_input"].as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let input = parsed.unwrap_or_else(|| json["tool_input"].clone());
    let touches = Touches::Anything(absolute_paths(&input));
    let echo = Some(format!("mcp {tool}"));
    Some(Call { tool: tool.to_owned(), input, touches, echo, is_echo: true, ..Call::default() })
}

/// What a hook after an edit says: the replacements, and for a completion whole lines.
fn edited(json: &Value, is_tab: bool) -> Option<(Call, Edit)> {
    let path = plain(text(json, "file_path")?);
    let edits = json["edits"].as_array()?;
    let swap = |edit: &Value| {
        let (old, new) = (edit["old_string"].as_str()?, edit["new_string"].as_str()?);
        let range = &edit["range"];
        let in_line = range["start_line_number"] == range["end_line_number"] && !new.contains('\n');
        let lines = edit["old_line"].as_str().zip(edit["new_line"].as_str()).filter(|_| in_line);
        let line = range["start_line_number"].as_u64().and_then(|line| usize::try_from(line).ok());
        match (lines, line) {
            (Some((old, new)), Some(line)) => Some(Swap { line: Some(line), ..Swap::once(old, new) }),
            _ => Some(Swap::once(old, new)),
        }
    };
    let swaps: Option<Vec<Swap>> = edits.iter().map(swap).collect();
    let written = edits.iter().filter_map(|edit| edit["new_string"].as_str()).collect::<Vec<_>>().join("\n");
    let call = Call {
        tool: if is_tab { "tab" } else { "edit" }.to_owned(),
        input: json!({ "file_path": path, "edits": edits }),
        touches: Touches::Writes(vec![PathBuf::from(path)]),
        output: Some(written),
        echo: Some(format!("edit {path}")).filter(|_| !is_tab),
        is_echo: !is_tab,
        is_checkpoint: is_tab,
        ..Call::default()
    };
    Some((call, Edit::swaps(path, swaps.unwrap_or_default())))
}

/// An answer is JSON in a text, or a text; a shell's has its exit status and its output.
fn returned(call: &Call, answer: &Value) -> Returned {
    let parsed = answer.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok()).filter(Value::is_object);
    let fields = parsed.as_ref().unwrap_or(answer);
    let code = ["exitCode", "exit_code"].iter().find_map(|name| fields[*name].as_i64());
    let exit_status = code.and_then(|code| i32::try_from(code).ok()).filter(|_| call.command.is_some());
    Returned { text: words_of(answer), exit_status, given: Vec::new() }
}
