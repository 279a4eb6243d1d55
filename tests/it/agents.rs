//! The tap around agents and tool servers, against recorded traffic of the real ones: what it says
//! happened is what truly happened.
//!
//! Both sides of a recording are played, cut into chunks of any size, while the files of a work tree
//! change as they changed then. Each recording comes with its truth, made without the agent's reports.

// The stand-ins are shell commands.
#![cfg(unix)]

mod context;
mod play;

use serde_json::{Value, json};

use crate::support::{World, git, of_type};
use play::{Played, Recording, play};

#[test]
fn claude_code_accepted_and_refused() {
    let played = check("claude-acp/acp-claude-accept-reject");
    assert_eq!(played.truth["model_requested"], requested(&played)[0]);
    assert_eq!(tools(&played), [("claude-code", "0.49.0")]);
}

#[test]
fn gemini_allowed_once_and_for_all() {
    let played = check("gemini-acp/acp-gemini-nofs-always");
    assert_eq!(played.truth["model_requested"], requested(&played)[0]);
    assert_eq!(tools(&played), [("gemini-cli", "0.61.0")]);
}

#[test]
fn copilot_accepted_and_refused_without_naming_a_model() {
    let played = check("copilot-acp/acp-copilot-accept-reject");
    assert_eq!(requested(&played), [Value::Null]);
    assert_eq!(tools(&played), [("copilot", "1.0.102")]);
    assert_eq!(of_type(&played.events, "edit.applied")[0]["data"]["model"]["absent"], "not_on_wire");
}

#[test]
fn opencode_writes_through_its_client() {
    let played = check("opencode-acp/acp-opencode-accept-reject");
    assert_eq!(played.truth["model_requested"], requested(&played)[0]);
    assert_eq!(of_type(&played.events, "edit.applied")[0]["data"]["model"]["provider"], "mock");
    assert_eq!(tools(&played), [("opencode", "1.18.33")]);
}

#[test]
fn the_app_server_of_codex_accepted_and_declined() {
    let played = check("codex-appserver/appserver-codex-accept-decline");
    assert_eq!(played.truth["model_requested"], requested(&played)[0]);
    assert_eq!(tools(&played), [("codex", "0.169.0")]);
}

#[test]
fn a_tool_server_that_claude_code_calls() {
    let played = check("claude/claude-mcp-tool");
    assert_eq!(tools(&played), [("claude-code", "2.1.197")]);
    offers_its_tool(&played);
}

#[test]
fn a_tool_server_that_codex_calls() {
    let played = check("codex/codex-mcp");
    assert_eq!(tools(&played), [("codex", "0.169.0")]);
    assert_eq!(played.truth["model_requested"], requested(&played)[0]);
    offers_its_tool(&played);
}

#[test]
fn clients_of_the_newest_protocol_never_shake_hands() {
    let mut recording = Recording::read("claude/claude-mcp-tool");
    recording.without_handshake();
    let played = play(&World::new(), &recording, 3);
    compare(&played);
    assert_eq!(tools(&played), [("claude-code", "2.1.197")]);
}

#[test]
fn an_edit_that_another_observer_recorded_is_evidence_and_no_second_edit() {
    let world = World::new();
    let recording = Recording::read("claude-acp/acp-claude-accept-reject");
    let first = play(&world, &recording, 1);
    let second = play(&world, &recording, 2);
    let edits = of_type(&second.events, "edit.applied");
    let evidence = of_type(&second.events, "contribution.evidenced");
    assert_eq!((edits.len(), evidence.len()), (1, 1));
    assert_eq!(edits[0]["data"]["contribution"], evidence[0]["data"]["contribution"]);
    assert_eq!(evidence[0]["data"]["model"]["requested"], first.truth["model_requested"]);
    assert_eq!(of_type(&second.events, "tool.called").len(), 6, "the second session was a session of its own");
}

#[test]
fn files_that_git_does_not_have_are_known_by_the_diff() {
    for name in [
        "claude-acp/acp-claude-accept-reject",
        "copilot-acp/acp-copilot-accept-reject",
        "opencode-acp/acp-opencode-accept-reject",
        "codex-appserver/appserver-codex-accept-decline",
    ] {
        let mut recording = Recording::read(name);
        recording.is_committed = false;
        compare(&play(&World::new(), &recording, 9));
    }
}

#[test]
fn what_a_tool_server_wrote_is_told_even_where_nobody_knows_what_stood_there() {
    let mut recording = Recording::read("claude/claude-mcp-tool");
    recording.is_committed = false;
    let played = play(&World::new(), &recording, 9);
    let edits = of_type(&played.events, "edit.applied");
    assert_eq!(edits.len(), 1);
    let truth = &played.truth["files_changed_overall"]["main.c"];
    assert_eq!(edits[0]["content"]["after"], truth["after"]);
    // The stand-in is faster than any look at the disk: either we saw it, or we say that we did not.
    let before = &edits[0]["content"]["before"];
    assert!(*before == truth["before"] || edits[0]["data"]["content"]["before"]["absent"] == "not_on_wire", "{before}");
    assert_eq!(of_type(&played.events, "tool.called")[0]["data"]["outcome"], "applied");
}

#[test]
fn a_session_without_its_files_is_told_as_far_as_the_stream_goes() {
    let mut recording = Recording::read("gemini-acp/acp-gemini-nofs-always");
    recording.leaves_files_alone = true;
    let played = play(&World::new(), &recording, 5);
    let edits = of_type(&played.events, "edit.applied");
    let texts: Vec<&Value> = edits.iter().map(|edit| &edit["content"]["after"]).collect();
    assert_eq!(texts, [&json!("b\n"), &json!("c\n")]);
}

#[test]
fn a_stream_that_breaks_off_ends_every_call_it_began() {
    let mut recording = Recording::read("claude-acp/acp-claude-accept-reject");
    // In the middle of the second call, when its permission has been asked for.
    recording.cut_after("session/request_permission");
    let played = play(&World::new(), &recording, 7);
    let ends: Vec<&Value> =
        of_type(&played.events, "tool.called").into_iter().map(|event| &event["data"]["outcome"]).collect();
    assert_eq!(ends, [&json!("ran"), &json!("unknown")]);
    assert_eq!(of_type(&played.events, "edit.applied").len(), 0);
}

#[test]
fn what_is_no_message_does_no_harm_between_messages() {
    let mut recording = Recording::read("opencode-acp/acp-opencode-accept-reject");
    recording.add_noise();
    let played = play(&World::new(), &recording, 11);
    let calls = of_type(&played.events, "tool.called");
    assert_eq!(calls.len(), 3);
    assert_eq!(of_type(&played.events, "edit.applied").len(), 1);
    let reasons: Vec<&Value> =
        of_type(&played.events, "capture.degraded").into_iter().map(|event| &event["data"]["reason"]).collect();
    assert!(reasons.contains(&&json!("malformed_frame")), "{reasons:?}");
    assert!(reasons.contains(&&json!("oversized_message")), "{reasons:?}");
}

#[test]
fn any_split_of_a_stream_gives_the_same_events() {
    let recording = Recording::read("codex-appserver/appserver-codex-accept-decline");
    let told = |seed| -> Vec<Value> {
        let played = play(&World::new(), &recording, seed);
        let mut events = played.events;
        for event in &mut events {
            let data = event["data"].take();
            let (kind, mut content) = (event["type"].take(), event["content"].take());
            // They hold the path of a work tree that is another one each time.
            content["arguments"].take();
            *event = json!({ "type": kind, "content": content, "outcome": data["outcome"], "decision": data["decision"],
                "hunks": data["hunks"], "call": data["path"]["tool_call_id"], "model": data["model"] });
        }
        events
    };
    let whole = told(1);
    for seed in [8, 31, 77] {
        assert_eq!(told(seed), whole);
    }
}

/// Plays a recording with several ways of cutting it into chunks, and compares what the spool says with
/// the truth.
fn check(name: &str) -> Played {
    let recording = Recording::read(name);
    compare(&play(&World::new(), &recording, 1));
    let played = play(&World::new(), &recording, 20);
    compare(&played);
    played
}

fn compare(played: &Played) {
    assert_eq!(of_type(&played.events, "capture.degraded"), Vec::<&Value>::new());
    assert_eq!(of_type(&played.events, "capture.started").len(), 1);
    assert_eq!(of_type(&played.events, "capture.stopped").len(), 1);
    compare_prompts(played);
    compare_calls(played);
    compare_edits(played);
    for name in ["prompt.submitted", "tool.called", "edit.applied"] {
        for event in of_type(&played.events, name) {
            let data = &event["data"];
            assert_eq!((&data["path"]["kind"], &data["path"]["transport"]), (&json!("agent"), &json!("tap")));
            assert!(data["path"]["session"].is_string());
            assert!(data["model"].get("responded").is_none(), "nothing on these wires names it: {data}");
        }
    }
}

fn compare_prompts(played: &Played) {
    let sent = of_type(&played.events, "prompt.submitted");
    let texts: Vec<&Value> = sent.iter().map(|event| &event["content"]["prompt"]).collect();
    let truth: Vec<&Value> = played.truth["prompts"].as_array().expect("prompts").iter().collect();
    if played.has_prompts {
        assert_eq!(texts, truth);
        assert_eq!(sent[0]["data"]["place"]["base"].as_str(), Some(played.head.as_str()));
    } else {
        assert_eq!(texts, Vec::<&Value>::new(), "no prompt passes a tool server");
    }
}

fn compare_calls(played: &Played) {
    let calls = of_type(&played.events, "tool.called");
    let truth = played.true_calls();
    assert_eq!(calls.len(), truth.len(), "{calls:#?}");
    for (event, true_call) in calls.iter().zip(truth) {
        let data = &event["data"];
        let name = string(&true_call["tool"]);
        assert_eq!(data["tool_name"], name.rsplit("__").next().expect("a name"));
        match true_call["tool_call_id"].as_str() {
            Some(id) => assert_eq!(data["path"]["tool_call_id"], id),
            None => assert!(data["path"]["tool_call_id"].is_string(), "the client makes one"),
        }
        let decided = |by: &str, scope: &str| json!({ "by": by, "scope": scope });
        let (outcome, decision) = match string(&true_call["status"]) {
            "ran" => ("ran", Value::Null),
            "applied" => ("applied", Value::Null),
            "accepted_by_user_once" => ("applied", decided("person", "once")),
            "accepted_by_user_always" => ("applied", decided("person", "always")),
            "applied_auto_after_always" => ("applied", decided("grant", "always")),
            "rejected_by_user" | "rejected_by_user_turn_aborted" => ("rejected", decided("person", "once")),
            other => panic!("{other}"),
        };
        assert_eq!((&data["outcome"], &data["decision"]), (&json!(outcome), &decision), "{true_call}");
        compare_arguments(event, true_call);
        assert_eq!((&data["class"], data.get("exit_status")), (&json!("other"), None), "{data}");
        assert!(data["tree"]["dirty"].is_boolean(), "{data}");
        assert_eq!(data["place"]["base"].as_str(), Some(played.head.as_str()));
        for name in ["output", "reasoning"] {
            assert!(event["content"][name].is_string() || data["content"][name]["absent"] == "not_on_wire", "{data}");
        }
        let file = ["file_path", "path", "filePath"].iter().find_map(|key| true_call["input_from_model"][key].as_str());
        if let Some(file) = file {
            assert_eq!(data["place"]["path"].as_str(), file.rsplit('/').next());
        }
        if name.to_lowercase().starts_with("read") || name == "view" {
            assert_eq!(data["context"][0]["path"], "greet.py");
            assert!(data["context"][0]["digest"].is_string());
        }
    }
}

/// Agents add their own defaults, and one shows no arguments at all.
fn compare_arguments(event: &Value, true_call: &Value) {
    let Some(shown) = event["content"]["arguments"].as_str() else {
        assert_eq!(event["data"]["content"]["arguments"]["absent"], "not_on_wire");
        return;
    };
    let shown: Value = serde_json::from_str(shown).expect("JSON");
    if let Some(input) = true_call["input_from_model"].as_object() {
        for (key, value) in input {
            assert_eq!(&local(&shown[key]), value, "{key}");
        }
    }
}

/// Undoes the move of the work tree.
fn local(value: &Value) -> Value {
    match value.as_str().and_then(|text| text.rsplit_once("/demo/")) {
        Some((_, name)) => json!(format!("/workspace/demo/{name}")),
        None => value.clone(),
    }
}

fn compare_edits(played: &Played) {
    let mut expected = Vec::new();
    for (turn, changes) in
        played.truth["workspace_change_after_each_model_turn"].as_array().into_iter().flatten().enumerate()
    {
        for (path, texts) in changes.as_object().into_iter().flatten() {
            let call = played.true_calls().into_iter().find(|call| call["model_turn"] == turn).expect("a call");
            expected.push((path, texts, &call["tool_call_id"]));
        }
    }
    let edits = of_type(&played.events, "edit.applied");
    assert_eq!(edits.len(), expected.len(), "{edits:#?}");
    for (event, (path, texts, call)) in edits.iter().zip(expected) {
        let data = &event["data"];
        assert_eq!(data["place"]["path"], path.as_str());
        assert_eq!((&event["content"]["before"], &event["content"]["after"]), (&texts["before"], &texts["after"]));
        assert_eq!(data["before_blob"].as_str(), blob(&texts["before"]).as_deref());
        assert_eq!(data["after_blob"].as_str(), blob(&texts["after"]).as_deref());
        assert!(data["hunks"][0]["new_lines"].as_u64() > Some(0), "{data}");
        assert_eq!(event["subject"], data["contribution"]);
        if call.is_string() {
            assert_eq!(&data["path"]["tool_call_id"], call);
        }
        if played.has_prompts {
            assert_eq!(event["content"]["prompt"], played.truth["prompts"][0]);
        }
    }
}

fn blob(text: &Value) -> Option<String> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(dir.path().join("blob"), text.as_str()?).expect("a file");
    Some(git(dir.path(), &["hash-object", "--no-filters", "blob"]).trim().to_owned())
}

fn offers_its_tool(played: &Played) {
    let found = of_type(&played.events, "tool.discovered");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["data"]["tool"], "snippets");
    assert_eq!(found[0]["data"]["version"], "0.3.0");
    assert_eq!(found[0]["data"]["note"], "offers 1 tools: insert_snippet");
}

/// The model of each call, without repetition.
fn requested(played: &Played) -> Vec<Value> {
    let calls = of_type(&played.events, "tool.called");
    let mut models: Vec<Value> = calls.iter().map(|event| event["data"]["model"]["requested"].clone()).collect();
    models.dedup();
    models
}

/// The tool and version of each call, without repetition.
fn tools(played: &Played) -> Vec<(&str, &str)> {
    let calls = of_type(&played.events, "tool.called");
    let mut tools: Vec<(&str, &str)> = calls
        .iter()
        .map(|event| (string(&event["data"]["path"]["tool"]), string(&event["data"]["path"]["version"])))
        .collect();
    tools.dedup();
    tools
}

fn string(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}
