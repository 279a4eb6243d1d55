//! opencode: plugin hooks with tool call ids, handed over as `{"input", "output"}`, and bus events. A call
//! that a plugin stopped, or that failed, has no end anywhere; a turn is over when the session is idle.

use std::path::PathBuf;

use serde_json::Value;

use super::decode::{
    Answer, Call, Client, End, Heard, Input, Returned, Said, Step, Touches, absolute_paths, text, words_of,
};
use super::patch;

pub(super) const CLIENT: Client = Client { name: "opencode", decode, heard: nothing, ends_late: false, answer: "" };

/// Tools that change no file.
const HARMLESS: &[&str] = &[
    "codesearch",
    "glob",
    "grep",
    "list",
    "lsp",
    "plan_enter",
    "plan_exit",
    "question",
    "skill",
    "task",
    "todoread",
    "todowrite",
    "webfetch",
    "websearch",
];

/// Its session is in a database of its own.
fn nothing(_: &str) -> Vec<Heard> {
    Vec::new()
}

fn decode(input: &Input<'_>) -> Option<Said> {
    let event = input.event?;
    let (hook, json) = (&input.json["input"], input.json);
    let properties = &json["properties"];
    let session = text(hook, "sessionID").or(text(properties, "sessionID"));
    let Some(session) = session.or(text(&properties["part"], "sessionID")) else {
        // The plugin itself, files and projects: nothing about a session.
        return json.is_object().then(Said::default);
    };
    let info = &properties["info"];
    let mut said = Said {
        session: session.to_owned(),
        cwd: text(info, "directory").or(text(&info["path"], "cwd")).map(PathBuf::from),
        ..Said::default()
    };
    let step = match event {
        "chat.message" => {
            said.model = text(&hook["model"], "modelID").map(str::to_owned);
            let parts = json["output"]["parts"].as_array()?;
            let files = parts.iter().filter(|part| part["type"] == "file");
            let given = files.filter_map(|part| text(&part["source"], "path").or(text(part, "url")));
            let given = given.filter(|name| !name.starts_with("data:")).map(str::to_owned).collect();
            let written = parts.iter().filter(|part| part["type"] == "text" && part["synthetic"] != true);
            let prompt: Vec<&str> = written.filter_map(|part| part["text"].as_str()).collect();
            let turn = text(&json["output"]["message"], "id").map(str::to_owned);
            Step::Prompted { turn, text: prompt.join("\n"), given }
        }
        "tool.execute.before" => Step::Calling(call(hook, &json["output"]["args"])?),
        "tool.execute.after" => {
            let call = call(hook, &hook["args"])?;
            let returned = returned(&call, &json["output"]);
            Step::Ended { call, end: End::Done, edits: Vec::new(), decision: None, returned }
        }
        "event.permission.asked" => {
            let id = text(&properties["tool"], "callID")?.to_owned();
            let call = Call { id: Some(id), ..Call::default() };
            Step::Asked { call, question: text(properties, "id").map(str::to_owned) }
        }
        "event.permission.replied" => {
            let answer = match properties["reply"].as_str()? {
                "once" => Answer::Once,
                "always" => Answer::Always,
                _ => Answer::No,
            };
            Step::Answered { question: text(properties, "requestID")?.to_owned(), answer }
        }
        "event.session.created" => {
            said.version = text(info, "version").map(str::to_owned);
            Step::Began
        }
        // A part grows until it has an end.
        "event.message.part.updated" if properties["part"]["type"] == "reasoning" => {
            let part = &properties["part"];
            said.thought = text(part, "text").filter(|_| !part["time"]["end"].is_null()).map(str::to_owned);
            return Some(said);
        }
        "event.session.idle" => Step::Idle,
        "event.session.deleted" => Step::Finished,
        _ => return Some(Said { session: String::new(), ..said }),
    };
    said.steps.push(step);
    Some(said)
}

fn call(hook: &Value, input: &Value) -> Option<Call> {
    let tool = text(hook, "tool")?;
    let file = || text(input, "filePath").map(PathBuf::from).into_iter().collect::<Vec<_>>();
    let (touches, output) = match tool {
        "write" => (Touches::Writes(file()), text(input, "content").map(str::to_owned)),
        "edit" | "multiedit" => (Touches::Writes(file()), text(input, "newString").map(str::to_owned)),
        "patch" | "apply_patch" => {
            let patch = text(input, "patchText").unwrap_or_default();
            (Touches::Writes(patch::files(patch)), Some(patch.to_owned()))
        }
        "read" => (Touches::Reads(file()), None),
        "bash" => (Touches::Anything(Vec::new()), text(input, "command").map(str::to_owned)),
        _ if HARMLESS.contains(&tool) => (Touches::Nothing, None),
        _ => (Touches::Anything(absolute_paths(input)), None),
    };
    let id = text(hook, "callID").map(str::to_owned);
    let command = output.clone().filter(|_| tool == "bash");
    Some(Call { id, tool: tool.to_owned(), input: input.clone(), touches, output, command, ..Call::default() })
}

fn returned(call: &Call, output: &Value) -> Returned {
    let code = output["metadata"]["exit"].as_i64().and_then(|code| i32::try_from(code).ok());
    let exit_status = code.filter(|_| call.command.is_some());
    // Tools of MCP servers answer with blocks.
    let words = words_of(&output["output"]).or_else(|| words_of(&output["content"]));
    Returned { text: words, exit_status, given: Vec::new() }
}
