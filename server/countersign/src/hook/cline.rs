//! Cline, as documented: one program for each hook, calls without ids, paths relative to the workspace. It
//! names the model that is asked for. Its hooks want JSON for an answer.

use std::path::PathBuf;

use serde_json::Value;

use super::decode::{Call, Client, Edit, End, Input, Returned, Said, Step, Touches, absolute_paths, text};
use super::patch;
use super::planned::Swap;

pub(super) const CLIENT: Client = Client { answer: "{\"cancel\":false}\n", ..Client::new("cline", decode) };

/// Tools that change no file.
const HARMLESS: &[&str] = &[
    "access_mcp_resource",
    "ask_followup_question",
    "attempt_completion",
    "browser_action",
    "condense",
    "focus_chain",
    "list_code_definition_names",
    "list_files",
    "load_mcp_documentation",
    "new_task",
    "plan_mode_respond",
    "report_bug",
    "search_files",
    "summarize_task",
    "use_skill",
    "use_subagents",
    "web_fetch",
    "web_search",
];

fn decode(input: &Input<'_>) -> Option<Said> {
    let json = input.json;
    // Lists may come as JSON in a string.
    let roots = &json["workspaceRoots"];
    let parsed = roots.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let root = parsed.as_ref().unwrap_or(roots)[0].as_str().or(roots.as_str()).filter(|root| !root.is_empty());
    let mut said = Said {
        session: input.text("taskId")?.to_owned(),
        cwd: root.map(PathBuf::from),
        model: text(&json["model"], "slug").or(input.text("model")).map(str::to_owned),
        version: input.text("clineVersion").map(str::to_owned),
        ..Said::default()
    };
    let event = input.text("hookName").or(input.event)?;
    match event {
        "TaskStart" => {
            said.steps.push(Step::Began);
            let start = &json["taskStart"];
            let task = [&start["taskMetadata"]["initialTask"], &start["task"], &start["initialTask"]];
            let task = task.into_iter().find_map(Value::as_str).map(bare).filter(|task| !task.is_empty());
            let prompted =
                |task: &str| Step::Prompted { turn: None, text: task.to_owned(), opens: true, given: Vec::new() };
            said.steps.extend(task.map(prompted));
        }
        "TaskResume" => said.steps.push(Step::Began),
        "UserPromptSubmit" => {
            let prompt = text(&json["userPromptSubmit"], "prompt").or(text(json, "prompt"))?;
            said.steps.push(Step::Prompted {
                turn: None,
                text: bare(prompt).to_owned(),
                opens: false,
                given: Vec::new(),
            });
        }
        "PreToolUse" => said.steps.push(Step::Calling(call(of(json, "preToolUse"))?)),
        "PostToolUse" => {
            let ended = of(json, "postToolUse");
            let call = call(ended)?;
            let words = ended["result"].as_str().unwrap_or_default();
            let end = match ended["success"] == false {
                _ if words.starts_with("The user denied") => End::Refused,
                true => End::Failed,
                false => End::Done,
            };
            let returned = Returned::of(&ended["result"]);
            said.steps.push(Step::Ended { call, end, edits: Vec::new(), decision: None, returned });
        }
        "TaskCancel" => said.steps.extend([Step::Stopped, Step::Finished]),
        "TaskComplete" => said.steps.push(Step::Finished),
        _ => {}
    }
    Some(said)
}

/// What a hook says of a tool: under its own name, or beside everything else.
fn of<'a>(json: &'a Value, name: &str) -> &'a Value {
    if json[name].is_object() { &json[name] } else { json }
}

/// A prompt without the marks that the client puts around it.
fn bare(prompt: &str) -> &str {
    let prompt = prompt.trim();
    ["task", "feedback", "user_message"]
        .into_iter()
        .find_map(|mark| prompt.strip_prefix(&format!("<{mark}>"))?.strip_suffix(&format!("</{mark}>")))
        .map_or(prompt, str::trim)
}

fn call(json: &Value) -> Option<Call> {
    let (tool, given) = (text(json, "toolName").or(text(json, "tool"))?, &json["parameters"]);
    let parsed = given.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok()).filter(Value::is_object);
    let input = parsed.as_ref().unwrap_or(given);
    let path = ["path", "absolutePath", "file_path"].into_iter().find_map(|name| text(input, name));
    let file = || path.map(PathBuf::from).into_iter().collect::<Vec<_>>();
    let mut plan = Vec::new();
    let (touches, output) = match tool {
        "write_to_file" | "new_rule" => {
            plan.extend(path.zip(input["content"].as_str()).map(|(path, whole)| Edit::whole(path, whole)));
            (Touches::Writes(file()), text(input, "content").map(str::to_owned))
        }
        "replace_in_file" => {
            let diff = input["diff"].as_str().unwrap_or_default();
            plan.extend(path.zip(blocks(diff)).map(|(path, swaps)| Edit::swaps(path, swaps)));
            (Touches::Writes(file()), Some(diff.to_owned()))
        }
        "apply_patch" => {
            let patch = ["input", "patch"].into_iter().find_map(|name| text(input, name)).unwrap_or_default();
            plan = patch::edits(patch);
            (Touches::Writes(patch::files(patch)), Some(patch.to_owned()))
        }
        "read_file" => (Touches::Reads(file()), None),
        "execute_command" => (Touches::Anything(Vec::new()), text(input, "command").map(str::to_owned)),
        _ if HARMLESS.contains(&tool) => (Touches::Nothing, None),
        _ => {
            // The arguments of an MCP tool are JSON in a string.
            let arguments = input["arguments"].as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
            (Touches::Anything(absolute_paths(arguments.as_ref().unwrap_or(input))), None)
        }
    };
    let command = output.clone().filter(|_| tool == "execute_command");
    Some(Call { tool: tool.to_owned(), input: input.clone(), touches, output, command, plan, ..Call::default() })
}

/// Reads blocks of what to search and what to put in its place.
fn blocks(diff: &str) -> Option<Vec<Swap>> {
    enum In {
        Nothing,
        Search,
        Replace,
    }
    let (mut at, mut swap, mut swaps) = (In::Nothing, Swap::default(), Vec::new());
    for line in diff.split_inclusive('\n') {
        let word = line.trim_end();
        match at {
            In::Nothing if word.ends_with(" SEARCH") => at = In::Search,
            In::Search if word == "=======" => at = In::Replace,
            In::Replace if word.ends_with(" REPLACE") => {
                swaps.push(std::mem::take(&mut swap));
                at = In::Nothing;
            }
            In::Nothing => {}
            In::Search => swap.old.push_str(line),
            In::Replace => swap.new.push_str(line),
        }
    }
    (matches!(at, In::Nothing) && !swaps.is_empty()).then_some(swaps)
}
