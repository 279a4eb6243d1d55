//! opencode: plugin hooks with tool call ids, handed over as `{"input", "output"}`, and bus events. A call
//! that a plugin stopped, or that failed, ends in the bus event of its part; where that is not handed over,
//! nowhere. A turn is over when the session is idle. Its session is in a database of its own.

use std::path::PathBuf;

use serde_json::Value;

use super::decode::{
    Answer, Call, Client, Edit, End, Input, Returned, Said, Step, Touches, absolute_paths, text, words_of,
};
use super::patch;
use super::planned::Swap;

pub(super) const CLIENT: Client = Client { ends_in_silence: true, ..Client::new("opencode", decode) };

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

fn decode(input: &Input<'_>) -> Option<Said> {
    let event = input.event?;
    let (hook, json) = (&input.json["input"], input.json);
    let properties = &json["properties"];
    let part = &properties["part"];
    let session = text(hook, "sessionID").or(text(properties, "sessionID")).or(text(part, "sessionID"));
    let Some(session) = session.or(text(&properties["info"], "sessionID")) else {
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
            Step::Prompted { turn, text: prompt.join("\n"), opens: false, given }
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
        "event.message.part.updated" if part["type"] == "tool" && part["state"]["status"] == "error" => {
            let words = text(&part["state"], "error").unwrap_or_default();
            let hook = serde_json::json!({ "tool": part["tool"], "callID": part["callID"] });
            Step::Ended {
                call: call(&hook, &part["state"]["input"])?,
                end: end_of(words),
                edits: Vec::new(),
                decision: None,
                returned: Returned::of(&part["state"]["error"]),
            }
        }
        "event.message.updated" if was_stopped(&info["error"]) => Step::Stopped,
        "event.session.error" if was_stopped(&properties["error"]) => Step::Stopped,
        // A part grows until it has an end.
        "event.message.part.updated" if part["type"] == "reasoning" => {
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

/// What its tools say of what they can't do.
const OWN_WORDS: &[&str] = &[
    "not found",
    "must read the file",
    "has been modified since",
    "multiple matches",
    "identical",
    "invalid arguments",
];

/// What its words for an error say. A plugin's refusal has words of its own, like a tool's own error.
fn end_of(words: &str) -> End {
    match words {
        _ if words.starts_with("The user rejected permission") => End::Refused,
        _ if words.starts_with("The user has specified a rule") => End::Denied,
        _ if words.starts_with("Tool execution aborted") => End::Interrupted,
        _ if OWN_WORDS.iter().any(|own| words.contains(own)) => End::Failed,
        _ => End::FailedOrDenied,
    }
}

fn was_stopped(error: &Value) -> bool {
    error["name"] == "MessageAbortedError"
}

fn call(hook: &Value, input: &Value) -> Option<Call> {
    let tool = text(hook, "tool")?;
    let path = text(input, "filePath");
    let file = || path.map(PathBuf::from).into_iter().collect::<Vec<_>>();
    let swap = |edit: &Value| {
        let all = edit["replaceAll"] == true;
        Some(Swap { all, ..Swap::once(edit["oldString"].as_str()?, edit["newString"].as_str()?) })
    };
    let mut plan = Vec::new();
    let (touches, output) = match tool {
        "write" => {
            plan.extend(path.zip(input["content"].as_str()).map(|(path, whole)| Edit::whole(path, whole)));
            (Touches::Writes(file()), text(input, "content").map(str::to_owned))
        }
        "edit" => {
            plan.extend(path.zip(swap(input)).map(|(path, swap)| Edit::swaps(path, vec![swap])));
            (Touches::Writes(file()), text(input, "newString").map(str::to_owned))
        }
        "multiedit" => {
            let edits = input["edits"].as_array();
            let swaps = edits.and_then(|edits| edits.iter().map(swap).collect::<Option<Vec<_>>>());
            let written: Option<Vec<&str>> =
                edits.map(|edits| edits.iter().filter_map(|edit| edit["newString"].as_str()).collect());
            plan.extend(path.zip(swaps).map(|(path, swaps)| Edit::swaps(path, swaps)));
            (Touches::Writes(file()), written.map(|written| written.join("\n")))
        }
        "patch" | "apply_patch" => {
            let patch = text(input, "patchText").unwrap_or_default();
            plan = patch::edits(patch);
            (Touches::Writes(patch::files(patch)), Some(patch.to_owned()))
        }
        "read" => (Touches::Reads(file()), None),
        "bash" => (Touches::Anything(Vec::new()), text(input, "command").map(str::to_owned)),
        _ if HARMLESS.contains(&tool) => (Touches::Nothing, None),
        _ => (Touches::Anything(absolute_paths(input)), None),
    };
    let id = text(hook, "callID").map(str::to_owned);
    let command = output.clone().filter(|_| tool == "bash");
    let (tool, input) = (tool.to_owned(), input.clone());
    Some(Call { id, tool, input, touches, output, command, plan, ..Call::default() })
}

fn returned(call: &Call, output: &Value) -> Returned {
    let code = output["metadata"]["exit"].as_i64().and_then(|code| i32::try_from(code).ok());
    let exit_status = code.filter(|_| call.command.is_some());
    // Tools of MCP servers answer with blocks.
    let words = words_of(&output["output"]).or_else(|| words_of(&output["content"]));
    Returned { text: words, exit_status, given: Vec::new() }
}
