//! Gemini CLI: hooks without tool call ids; the requested model in its model hooks. Under ACP no hook tells
//! of tools, so the chat file does. The chat file is written over: the last line of an id counts.

use std::path::PathBuf;

use serde_json::Value;

use super::decode::{
    Call, Client, Edit, End, Heard, Input, Reasoning, Returned, Said, Step, Touches, absolute_paths, number_after,
    text, words_of,
};
use super::planned::Swap;

pub(super) const CLIENT: Client = Client { heard, ..Client::new("gemini-cli", decode) };

/// Tools that change no file.
const HARMLESS: &[&str] = &[
    "ask_user",
    "complete_task",
    "enter_plan_mode",
    "exit_plan_mode",
    "get_internal_docs",
    "glob",
    "google_web_search",
    "grep_search",
    "list_directory",
    "read_many_files",
    "search_file_content",
    "web_fetch",
    "write_todos",
];

fn decode(input: &Input<'_>) -> Option<Said> {
    let event = input.text("hook_event_name").or(input.event)?;
    let json = input.json;
    let mut said = Said {
        session: input.text("session_id")?.to_owned(),
        cwd: input.text("cwd").map(PathBuf::from),
        model: text(&json["llm_request"], "model").map(str::to_owned),
        transcripts: input.text("transcript_path").map(PathBuf::from).into_iter().collect(),
        ..Said::default()
    };
    let step = match event {
        "SessionStart" => Step::Began,
        "BeforeAgent" => {
            Step::Prompted { turn: None, text: input.text("prompt")?.to_owned(), opens: false, given: Vec::new() }
        }
        "BeforeTool" => Step::Calling(call(json)?),
        "AfterTool" => {
            let call = call(json)?;
            let response = &json["tool_response"];
            let edits = edits(&call, &response["returnDisplay"]);
            // A tool that failed says so in words for the model alone; one that edited shows a diff.
            let failed =
                !response["error"].is_null() || (matches!(call.touches, Touches::Writes(_)) && edits.is_empty());
            let end = if failed { End::Failed } else { End::Done };
            let returned = returned(&call, words_of(&response["llmContent"]));
            Step::Ended { call, end, edits, decision: None, returned }
        }
        "AfterAgent" => Step::Rested,
        "SessionEnd" => Step::Finished,
        _ => return Some(said),
    };
    said.steps.push(step);
    if event == "AfterAgent" {
        said.steps.extend(input.text("prompt_response").map(|text| Step::Replied(text.to_owned())));
    }
    Some(said)
}

fn call(json: &Value) -> Option<Call> {
    Some(make(None, text(json, "tool_name")?, &json["tool_input"]))
}

fn make(id: Option<&str>, tool: &str, input: &Value) -> Call {
    let file =
        || ["file_path", "absolute_path", "path"].into_iter().find_map(|name| text(input, name)).map(PathBuf::from);
    let (touches, output) = match tool {
        "write_file" => (Touches::Writes(file().into_iter().collect()), text(input, "content").map(str::to_owned)),
        "replace" => (Touches::Writes(file().into_iter().collect()), text(input, "new_string").map(str::to_owned)),
        "read_file" => (Touches::Reads(file().into_iter().collect()), None),
        _ if HARMLESS.contains(&tool) => (Touches::Nothing, None),
        "run_shell_command" => (Touches::Anything(Vec::new()), text(input, "command").map(str::to_owned)),
        _ => (Touches::Anything(absolute_paths(input)), None),
    };
    let plan = match (tool, file().as_deref().and_then(|path| path.to_str())) {
        ("write_file", Some(path)) => input["content"].as_str().map(|content| Edit::whole(path, content)),
        ("replace", Some(path)) => {
            let all = input["allow_multiple"] == true;
            let swap = |old, new| Swap { all, ..Swap::once(old, new) };
            let swap = input["old_string"].as_str().zip(input["new_string"].as_str()).map(|(old, new)| swap(old, new));
            swap.map(|swap| Edit::swaps(path, vec![swap]))
        }
        _ => None,
    };
    let command = output.clone().filter(|_| tool == "run_shell_command");
    let (id, tool, input, plan) = (id.map(str::to_owned), tool.to_owned(), input.clone(), plan.into_iter().collect());
    Call { id, tool, input, touches, output, command, plan, ..Call::default() }
}

/// A shell's answer has its exit status on a line of its own, after the output.
fn returned(call: &Call, words: Option<String>) -> Returned {
    let mut lines = words.as_deref().unwrap_or_default().lines().rev();
    let code = lines.find(|line| call.command.is_some() && line.starts_with("Exit Code: "));
    let exit_status = code.and_then(|line| number_after(line, &["Exit Code: "]));
    Returned { text: words, exit_status, given: Vec::new() }
}

/// What the chat file says a tool answered.
fn answer(told: &Value) -> Option<String> {
    let answers = told["result"].as_array().into_iter().flatten();
    let response = answers.map(|part| &part["functionResponse"]["response"]).next()?;
    ["output", "error"].iter().find_map(|name| words_of(&response[*name]))
}

/// The thoughts beside an answer, each with a subject.
fn thoughts(line: &Value) -> Reasoning {
    let mut reasoning = Reasoning::Untold;
    for thought in line["thoughts"].as_array().into_iter().flatten() {
        let words = ["subject", "description"].iter().filter_map(|name| text(thought, name)).collect::<Vec<_>>();
        reasoning.add(&words.join("\n"));
    }
    reasoning
}

fn edits(call: &Call, display: &Value) -> Vec<Edit> {
    let Some(new) = display["newContent"].as_str() else { return Vec::new() };
    let path = text(display, "filePath").map(PathBuf::from).or_else(|| call.touches.named().first().cloned());
    let before = match display["isNewFile"] == true {
        true => Some(None),
        false => display["originalContent"].as_str().map(|text| Some(text.to_owned())),
    };
    path.map(|path| Edit { path, before, after: Some(Some(new.to_owned())), ..Edit::default() }).into_iter().collect()
}

/// Reads chat lines.
fn heard(lines: &str) -> Vec<Heard> {
    let mut calls: Vec<Heard> = Vec::new();
    for line in lines.lines().filter(|line| line.contains("toolCalls")) {
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        for told in line["toolCalls"].as_array().into_iter().flatten() {
            let (Some(id), Some(tool)) = (text(told, "id"), text(told, "name")) else { continue };
            let call = make(Some(id), tool, &told["args"]);
            let end = match told["status"].as_str() {
                Some("success") => Some(End::Done),
                Some("error") => Some(End::Failed),
                Some("cancelled") => Some(End::Refused),
                _ => None,
            };
            let heard = Heard {
                returned: returned(&call, answer(told)),
                reasoning: thoughts(&line),
                edits: if end == Some(End::Done) { edits(&call, &told["resultDisplay"]) } else { Vec::new() },
                requested: text(&line, "model").map(str::to_owned),
                refused_unless_run: end == Some(End::Failed),
                end,
                call,
                ..Heard::default()
            };
            match calls.iter_mut().find(|other| other.call.id == heard.call.id) {
                Some(other) => *other = heard,
                None => calls.push(heard),
            }
        }
    }
    calls
}
