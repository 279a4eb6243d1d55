//! Agent hooks against recorded sessions of real agents: what the trail says happened is what truly happened.
//!
//! Each recording is played through the real binary, one process a hook call, in a git work tree that goes
//! through the recorded states. Its truth was made without the agent's own reports.

mod agent;
mod cases;
mod clients;
mod codex;
mod context;
mod documented;
mod mutations;
mod quiet;
mod replay;
mod rough;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{World, git, of_type};
use replay::{Play, Played, Recording, SessionFile};

/// Every way in which a session file can stand there while its hooks run.
const SESSION_FILES: [SessionFile; 2] = [SessionFile::AsRecorded, SessionFile::WholeFromTheStart];

fn check(client: &str, name: &str) -> Played {
    let recording = Recording::read(name);
    let mut last = None;
    for session_file in SESSION_FILES {
        for committed in [true, false] {
            let played = replay::play(&recording, &Play { client, session_file, committed });
            compare(&recording, &played, client);
            last = Some(played);
        }
    }
    last.unwrap()
}

fn compare(recording: &Recording, played: &Played, client: &str) {
    let events = &played.events;
    assert_eq!(of_type(events, "capture.degraded"), Vec::<&Value>::new());
    assert_eq!(of_type(events, "trail.gap"), Vec::<&Value>::new());
    let prompts: Vec<String> = of_type(events, "prompt.submitted")
        .iter()
        // `opencode run` hands over its argument in quotes.
        .map(|event| text(&event["content"]["prompt"]).trim_matches('"').to_owned())
        .collect();
    assert_eq!(json!(prompts), recording.truth["prompts"]);
    compare_calls(recording, &of_type(events, "tool.called"));
    compare_context(recording, &of_type(events, "tool.called"));
    compare_edits(recording, played);
    for event in events.iter().filter(|event| event["data"]["path"].is_object()) {
        assert_eq!(event["data"]["path"]["tool"], client);
        assert_eq!(
            (&event["data"]["path"]["kind"], &event["data"]["path"]["transport"]),
            (&json!("agent"), &json!("hook"))
        );
        assert!(event["data"]["path"]["session"].is_string());
    }
}

fn outcome(status: &str) -> &str {
    match status {
        "ran" | "ran_subagent" => "ran",
        _ if status.starts_with("applied") || status.starts_with("accepted") => "applied",
        _ if status.starts_with("rejected") || status.starts_with("cancelled") => "rejected",
        _ if status.starts_with("denied") || status.starts_with("refused") => "denied",
        _ if status.starts_with("failed") => "failed",
        _ => panic!("{status}"),
    }
}

/// One record for each call, with its true end, and none that was not made.
fn compare_calls(recording: &Recording, called: &[&Value]) {
    let truth: BTreeMap<String, String> = recording
        .calls()
        .map(|call| (text(&call["tool_call_id"]), outcome(&text(&call["status"])).to_owned()))
        .collect();
    let told: BTreeMap<String, String> = called
        .iter()
        .map(|event| (text(&event["data"]["path"]["tool_call_id"]), text(&event["data"]["outcome"])))
        .collect();
    if !truth.contains_key("null") {
        assert_eq!(told, truth);
    }
    let sorted = |mut all: Vec<String>| {
        all.sort();
        all
    };
    assert_eq!(
        sorted(called.iter().map(|event| text(&event["data"]["outcome"])).collect()),
        sorted(recording.calls().map(|call| outcome(&text(&call["status"])).to_owned()).collect())
    );
}

/// What was read is known by the text it truly had, commands are no tests here, and of output and reasoning
/// there is a text or a reason.
fn compare_context(recording: &Recording, called: &[&Value]) {
    for event in called {
        let data = &event["data"];
        assert_eq!(data["class"], "other", "{data}");
        assert!(data["tree"]["dirty"].is_boolean(), "{data}");
        for name in ["output", "reasoning", "arguments"] {
            assert!(event["content"][name].is_string() || data["content"][name]["absent"].is_string(), "{name} {data}");
        }
        let id = &data["path"]["tool_call_id"];
        let Some(call) = recording.calls().find(|call| call["tool_call_id"] == *id && id.is_string()) else { continue };
        let status = text(&call["status"]);
        if status == "applied_then_exit_3" {
            assert_eq!((&data["exit_status"], &data["succeeded"]), (&json!(3), &json!(false)));
        }
        if status == "ran" && data["context"].is_array() {
            let path = text(&data["context"][0]["path"]);
            let input = call["input_from_model"].to_string();
            assert!(input.contains(&path), "{path} {input}");
            let digest = &data["context"][0]["digest"];
            // A file that was changed since is known by what the model was told of it.
            if data["context"][0]["how"] == "reported" {
                assert_eq!(*digest, countersign_event::digest::text_id(text(&event["content"]["output"]).as_bytes()));
            }
            assert!(digest.is_string());
        }
    }
}

/// One record for each file that changed, with its exact texts and git's names for them.
fn compare_edits(recording: &Recording, played: &Played) {
    let mut told: Vec<(String, Value, Value)> = Vec::new();
    let mut contributions = std::collections::BTreeSet::new();
    for event in of_type(&played.events, "edit.applied") {
        let (data, content) = (&event["data"], &event["content"]);
        told.push((text(&data["place"]["path"]), content["before"].clone(), content["after"].clone()));
        for (blob, side) in [("before_blob", "before"), ("after_blob", "after")] {
            assert_eq!(data[blob].as_str().map(str::to_owned), blob_of(&played.root, &content[side]), "{blob}");
        }
        assert!(contributions.insert(text(&data["contribution"])), "a contribution is one edit");
        assert_eq!(event["subject"], data["contribution"]);
        let changes = data["hunks"].as_array().unwrap();
        assert!(!changes.is_empty());
        compare_model(recording, played, data);
    }
    let mut truth: Vec<(String, Value, Value)> = recording
        .changes()
        .into_iter()
        .map(|(path, change)| (path, change["before"].clone(), change["after"].clone()))
        .collect();
    let key = |edit: &(String, Value, Value)| format!("{edit:?}");
    told.sort_by_key(key);
    truth.sort_by_key(key);
    assert_eq!(told, truth);
}

/// The served model where the client reveals it, at once or later; else only what was asked for.
fn compare_model(recording: &Recording, played: &Played, data: &Value) {
    let late = of_type(&played.events, "contribution.evidenced")
        .into_iter()
        .find(|event| event["data"]["contribution"] == data["contribution"] && event["data"]["saw"] == "model_named");
    let model = match late {
        Some(event) => &event["data"]["model"],
        None => &data["model"],
    };
    assert_eq!(model["responded"], recording.expected_model("responded"), "{model}");
    assert_eq!(model["requested"], recording.expected_model("requested"), "{model}");
}

fn blob_of(root: &Path, text: &Value) -> Option<String> {
    let text = text.as_str()?;
    let file = root.join(".git/hashed");
    std::fs::write(&file, text).unwrap();
    Some(git(root, &["hash-object", "--no-filters", file.to_str().unwrap()]).trim().to_owned())
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn decisions(played: &Played) -> Vec<Value> {
    of_type(&played.events, "tool.called").iter().map(|event| event["data"]["decision"].clone()).collect()
}

#[test]
fn claude_code_writes_and_edits() {
    check("claude-code", "claude/claude-write-edit");
}

#[test]
fn claude_code_shell_commands_that_change_files_and_an_edit_that_failed() {
    check("claude-code", "claude/claude-bash-and-failure");
}

#[test]
fn claude_code_an_edit_that_another_hook_denied() {
    let played = check("claude-code", "claude/claude-hook-deny");
    let denied: Vec<Value> = decisions(&played).into_iter().filter(|decision| !decision.is_null()).collect();
    assert_eq!(denied, [json!({"by": "policy", "scope": "once"})]);
}

#[test]
fn claude_code_an_mcp_tool_that_changes_a_file() {
    check("claude-code", "claude/claude-mcp-tool");
}

#[test]
fn claude_code_a_model_that_the_transcript_names_late_and_a_session_that_is_taken_up_again() {
    let played = check("claude-code", "claude/claude-two-turns-thinking");
    let told: Vec<&Value> =
        played.events.iter().map(|event| &event["content"]["reasoning"]).filter(|text| text.is_string()).collect();
    assert!(told.iter().all(|text| **text == "A small class with a private field is enough."));
    // With the call and its edit, or where the transcript came late with the evidence.
    assert!(!told.is_empty());
}

#[test]
fn claude_code_what_a_person_accepted_and_refused() {
    let played = check("claude-code", "claude-acp/acp-claude-accept-reject");
    let person = json!({"by": "person", "scope": "once"});
    assert_eq!(decisions(&played), [Value::Null, person.clone(), person]);
}

#[test]
fn codex_patches_that_add_change_and_delete_files() {
    check("codex", "codex/codex-apply-patch");
}

#[test]
fn codex_a_patch_that_a_hook_denied_one_that_failed_and_a_rename() {
    check("codex", "codex/codex-hook-deny-and-bad-patch");
}

#[test]
fn codex_an_mcp_tool_that_changes_a_file() {
    check("codex", "codex/codex-mcp");
}

#[test]
fn gemini_cli_writes_and_replaces() {
    check("gemini-cli", "gemini/gemini-write-replace");
}

#[test]
fn gemini_cli_under_acp_where_no_hook_tells_of_tools() {
    check("gemini-cli", "gemini-acp/acp-gemini-nofs-always");
}

#[test]
fn copilot_creates_and_edits() {
    check("copilot", "copilot/copilot-create-edit");
}

#[test]
fn copilot_what_a_person_accepted_and_refused() {
    let played = check("copilot", "copilot-acp/acp-copilot-accept-reject");
    let person = json!({"by": "person", "scope": "once"});
    assert_eq!(decisions(&played), [Value::Null, person.clone(), person]);
}

#[test]
fn opencode_writes_edits_a_shell_command_and_an_edit_that_a_plugin_denied() {
    let played = check("opencode", "opencode/opencode-write-edit-deny");
    // It could be done, nobody was asked, and it was not: that is concluded, and by whom is not known.
    let denied = of_type(&played.events, "tool.called").into_iter().find(|event| event["data"]["outcome"] == "denied");
    let data = &denied.unwrap()["data"];
    assert_eq!((&data["how"], &data["decision"]), (&json!("inferred"), &Value::Null));
}

#[test]
fn opencode_what_a_person_accepted_and_refused() {
    let played = check("opencode", "opencode-acp/acp-opencode-accept-reject");
    let person = json!({"by": "person", "scope": "once"});
    assert_eq!(decisions(&played), [Value::Null, person.clone(), person]);
}

#[test]
fn a_hook_call_never_fails_the_agent() {
    let world = World::new();
    let says = |args: &[&str], stdin: &[u8]| {
        let mut command = world.countersign([&["hook"], args].concat());
        run(&mut command, stdin);
    };
    says(&[], b"");
    says(&["--nonsense", "-x"], b"");
    says(&["nobody-knows-it", "preToolUse"], b"{}");
    says(&["claude-code"], b"");
    says(&["claude-code"], b"{\"session_id\": 7}");
    says(&["claude-code"], "[".repeat(100_000).as_bytes());
    says(&["claude-code"], &[0xff, 0xfe, 0x00]);
    let degraded = world.log();
    let reasons: Vec<&str> =
        of_type(&degraded, "capture.degraded").iter().filter_map(|event| event["data"]["reason"].as_str()).collect();
    assert_eq!(
        reasons,
        [
            "unknown_tool",
            "unknown_tool",
            "unknown_tool",
            "malformed_input",
            "malformed_input",
            "malformed_input",
            "malformed_input"
        ]
    );
}

#[test]
fn whatever_a_client_says_its_answer_is_its_own_and_its_end_is_good() {
    let world = World::new();
    let answers = [("cursor", "{}\n"), ("cline", "{\"cancel\":false}\n")];
    let names =
        ["agent-v1", "amp", "claude-code", "cline", "codex", "copilot", "cursor", "droid", "gemini-cli", "kiro"];
    for name in names.into_iter().chain(["opencode", "vscode-copilot", "windsurf"]) {
        let answer = answers.iter().find(|(client, _)| *client == name).map_or("", |(_, answer)| answer);
        for stdin in ["", "null", "[[]]", "7", "{\"session_id\": {}, \"taskId\": [], \"tool_input\": 3}"] {
            let mut command = world.countersign(["hook", name, "preToolUse"]);
            let output = replay::run(command.stdin(Stdio::piped()), stdin.as_bytes());
            assert!(output.status.success(), "{name} {stdin}");
            assert_eq!(String::from_utf8_lossy(&output.stdout), answer, "{name} {stdin}");
            assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{name} {stdin}");
        }
    }
}

#[test]
fn a_home_that_can_not_be_written_does_not_fail_the_agent() {
    let world = World::new();
    std::fs::write(world.home(), "no directory").unwrap();
    let stdin = json!({"session_id": "s", "hook_event_name": "UserPromptSubmit", "prompt": "hi", "cwd": world.path()});
    run(&mut world.countersign(["hook", "claude-code"]), stdin.to_string().as_bytes());
}

fn run(command: &mut Command, stdin: &[u8]) {
    let output = replay::run(command.stdin(Stdio::piped()), stdin);
    assert!(output.status.success(), "{:?}", output.status);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
