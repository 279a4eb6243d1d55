//! What no recording has, said as Claude Code says it.

use serde_json::{Value, json};

use super::agent::{Agent, edits, ends, files, result, used};
use crate::support::of_type;

fn edit(call: &str, path: &str, before: Option<&str>, after: Option<&str>) -> (String, String, Value, Value) {
    (call.to_owned(), path.to_owned(), json!(before), json!(after))
}

fn end(call: &str, outcome: &str) -> (String, String, Value) {
    (call.to_owned(), outcome.to_owned(), Value::Null)
}

#[test]
fn a_sub_agents_edit_is_its_own_call_with_its_own_model() {
    let agent = Agent::new();
    let (task, input) = (json!({"prompt": "write it"}), json!({"file_path": agent.file("a.py"), "content": "x = 1\n"}));
    agent.transcript(None, &[used("t1", "Agent", &task, "claude-opus")]);
    agent.transcript(Some("a7"), &[used("t2", "Write", &input, "claude-haiku")]);
    agent.before("t1", "Agent", &task);
    let inside = |event: &str| {
        agent.says(
            event,
            json!({"agent_id": "a7", "agent_type": "general", "tool_use_id": "t2", "tool_name": "Write",
                "tool_input": input, "tool_response": {"type": "create", "filePath": agent.file("a.py"),
                "content": "x = 1\n", "originalFile": null}}),
        );
    };
    inside("PreToolUse");
    agent.write("a.py", "x = 1\n");
    inside("PostToolUse");
    agent.says("SubagentStop", json!({"agent_id": "a7"}));
    agent.after("t1", "Agent", &task);
    agent.says("Stop", json!({}));
    let events = agent.log();
    assert_eq!(ends(&events), [end("t2", "applied"), end("t1", "ran")]);
    assert_eq!(edits(&events), [edit("t2", "a.py", None, Some("x = 1\n"))]);
    let of_edit = of_type(&events, "edit.applied")[0];
    assert_eq!(of_edit["data"]["model"]["responded"], "claude-haiku");
    assert_eq!(of_edit["data"]["path"]["request_id"], "req_t2");
}

#[test]
fn a_shell_command_that_deletes_renames_creates_and_only_touches() {
    let agent = Agent::new();
    agent.write("gone.txt", "gone\n");
    agent.write("old.txt", "moved\n");
    agent.write("touched.txt", "same\n");
    agent.write("data.bin", [0, 1, 2]);
    crate::support::git(&agent.root, &["add", "old.txt", "touched.txt"]);
    agent.calls("t1", "Bash", &json!({"command": "./make"}), || {
        std::fs::remove_file(agent.file("gone.txt")).unwrap();
        std::fs::rename(agent.file("old.txt"), agent.file("new.txt")).unwrap();
        agent.write("touched.txt", "same\n");
        agent.write("data.bin", [0, 255]);
    });
    let events = agent.log();
    assert_eq!(ends(&events), [end("t1", "applied")]);
    assert_eq!(
        edits(&events),
        [
            edit("t1", "data.bin", None, None),
            edit("t1", "gone.txt", Some("gone\n"), None),
            edit("t1", "new.txt", None, Some("moved\n")),
            edit("t1", "old.txt", Some("moved\n"), None),
        ]
    );
    let binary = of_type(&events, "edit.applied")
        .into_iter()
        .find(|event| event["data"]["place"]["path"] == "data.bin")
        .unwrap();
    assert_eq!(binary["data"]["content"]["after"], json!({"absent": "policy"}));
    assert!(binary["data"]["before_blob"].is_string() && binary["data"]["after_blob"].is_string());
}

#[test]
fn a_shell_command_that_commits_what_it_changed_is_seen() {
    let agent = Agent::new();
    agent.write("a.txt", "one\n");
    crate::support::git(&agent.root, &["add", "."]);
    agent.calls("t1", "Bash", &json!({"command": "commit"}), || {
        agent.write("a.txt", "two\n");
        crate::support::git(&agent.root, &["commit", "-qam", "second"]);
    });
    assert_eq!(edits(&agent.log()), [edit("t1", "a.txt", Some("one\n"), Some("two\n"))]);
}

#[test]
fn line_ends_are_those_of_the_disk_though_the_agent_says_others() {
    let agent = Agent::new();
    agent.write("dos.txt", "one\r\ntwo\r\n");
    let input = json!({"file_path": agent.file("dos.txt"), "old_string": "two", "new_string": "2"});
    agent.before("t1", "Edit", &input);
    agent.write("dos.txt", "one\r\n2\r\n");
    agent.says(
        "PostToolUse",
        json!({"tool_use_id": "t1", "tool_name": "Edit", "tool_input": input, "tool_response": {
            "filePath": agent.file("dos.txt"), "oldString": "two", "newString": "2", "originalFile": "one\ntwo\n"}}),
    );
    let events = agent.log();
    assert_eq!(edits(&events), [edit("t1", "dos.txt", Some("one\r\ntwo\r\n"), Some("one\r\n2\r\n"))]);
    assert_eq!(of_type(&events, "edit.applied")[0]["data"]["how"], "observed");
}

#[test]
fn a_hook_that_was_installed_late_takes_the_text_before_from_the_agent() {
    let agent = Agent::new();
    agent.write("dos.txt", "one\r\n2\r\n");
    agent.says(
        "PostToolUse",
        json!({"tool_use_id": "t1", "tool_name": "Edit", "tool_input": {"file_path": agent.file("dos.txt")},
            "tool_response": {"filePath": agent.file("dos.txt"), "oldString": "two", "newString": "2",
            "originalFile": "one\ntwo\n"}}),
    );
    let events = agent.log();
    assert_eq!(edits(&events), [edit("t1", "dos.txt", Some("one\r\ntwo\r\n"), Some("one\r\n2\r\n"))]);
    assert_eq!(of_type(&events, "edit.applied")[0]["data"]["how"], "reported");
    assert_eq!(of_type(&events, "edit.applied")[0]["data"]["model"], json!({"absent": "not_on_wire"}));
}

#[test]
fn a_write_that_nobody_saw_the_file_before_is_not_said_to_have_changed_nothing() {
    let agent = Agent::new();
    agent.after("t1", "Write", &json!({"file_path": agent.file("a.txt"), "content": "x"}));
    assert_eq!(ends(&agent.log()), [end("t1", "unknown")]);
}

#[test]
fn a_file_outside_of_the_repository_has_a_uri_and_no_path() {
    let agent = Agent::new();
    let outside = agent.world.path().join("elsewhere.txt");
    agent.calls("t1", "Write", &json!({"file_path": outside, "content": "x\n"}), || {
        std::fs::write(&outside, "x\n").unwrap();
    });
    let events = agent.log();
    let place = &of_type(&events, "edit.applied")[0]["data"]["place"];
    assert!(place["uri"].as_str().unwrap().ends_with("/elsewhere.txt"));
    assert_eq!((&place["path"], &place["repository"]), (&Value::Null, &Value::Null));
}

#[test]
fn what_another_hook_made_of_the_arguments_is_what_happened_and_the_model_is_quoted_as_it_was() {
    let agent = Agent::new();
    let (wanted, got) = (
        json!({"file_path": agent.file("a.txt"), "content": "wanted\n"}),
        json!({"file_path": agent.file("a.txt"), "content": "got\n"}),
    );
    agent.transcript(None, &[used("t1", "Write", &wanted, "claude-opus")]);
    agent.before("t1", "Write", &wanted);
    agent.write("a.txt", "got\n");
    agent.after("t1", "Write", &got);
    let events = agent.log();
    assert_eq!(edits(&events), [edit("t1", "a.txt", None, Some("got\n"))]);
    assert_eq!(of_type(&events, "edit.applied")[0]["content"]["output"], "wanted\n");
}

#[test]
fn refusals_are_told_apart() {
    let agent = Agent::new();
    let input = |at: usize| json!({"file_path": agent.file(&format!("{at}.txt")), "content": "x"});
    let words = [
        "Claude requested permissions to write to x, but you haven't granted it yet.",
        "The user doesn't want to proceed with this tool use. The tool use was rejected.",
        "Permission to use Write has been denied.",
        "policy: not here",
        "<tool_use_error>File has not been read yet.</tool_use_error>",
    ];
    let mut lines = Vec::new();
    for (at, words) in words.iter().enumerate() {
        let id = format!("t{at}");
        lines.push(used(&id, "Write", &input(at), "claude-opus"));
        lines.push(result(&id, true, words));
        // What is not valid never reaches a hook.
        if !words.starts_with('<') {
            agent.before(&id, "Write", &input(at));
        }
    }
    agent.before("t9", "Write", &input(9));
    agent.transcript(None, &lines);
    agent.says("Stop", json!({}));
    assert_eq!(ends(&agent.log()).len(), words.len(), "a call whose end nobody told is still under way");
    agent.says("SessionEnd", json!({"reason": "other"}));
    let by = |by: &str| json!({"by": by, "scope": "once"});
    let told = ends(&agent.log());
    let of = |id: &str| told.iter().find(|end| end.0 == id).map(|end| (end.1.as_str(), end.2.clone())).unwrap();
    assert_eq!(of("t0"), ("denied", Value::Null));
    assert_eq!(of("t1"), ("rejected", by("person")));
    assert_eq!(of("t2"), ("denied", by("policy")));
    assert_eq!(of("t3"), ("denied", by("policy")));
    assert_eq!(of("t4"), ("failed", Value::Null));
    assert_eq!(of("t9"), ("unknown", Value::Null));
    assert_eq!(told.len(), 6);
    assert_eq!(edits(&agent.log()), []);
}

#[test]
fn a_permission_for_the_session_is_a_grant_for_what_follows() {
    let agent = Agent::new();
    let input = |name: &str| json!({"file_path": agent.file(name), "content": "x\n"});
    agent.before("t1", "Write", &input("a"));
    agent.says("PermissionRequest", json!({"tool_name": "Write", "tool_input": input("a")}));
    agent.write("a", "x\n");
    let open = |event: &str, id: &str, name: &str| {
        agent.says(
            event,
            json!({"permission_mode": "acceptEdits", "tool_use_id": id, "tool_name": "Write",
                "tool_input": input(name), "tool_response": {}}),
        );
    };
    open("PostToolUse", "t1", "a");
    open("PreToolUse", "t2", "b");
    agent.write("b", "x\n");
    open("PostToolUse", "t2", "b");
    let decisions: Vec<Value> = ends(&agent.log()).into_iter().map(|end| end.2).collect();
    assert_eq!(decisions, [json!({"by": "person", "scope": "session"}), json!({"by": "grant", "scope": "session"})]);
}

#[test]
fn two_calls_that_end_together_have_each_their_own_file() {
    let agent = Agent::new();
    let (shell, write) = (json!({"command": "x"}), json!({"file_path": agent.file("a.txt"), "content": "x\n"}));
    agent.before("t1", "Bash", &shell);
    agent.before("t2", "Write", &write);
    agent.write("a.txt", "x\n");
    agent.write("b.txt", "y\n");
    agent.after("t1", "Bash", &shell);
    agent.after("t2", "Write", &write);
    assert_eq!(edits(&agent.log()), [edit("t1", "b.txt", None, Some("y\n")), edit("t2", "a.txt", None, Some("x\n"))]);
}

#[test]
fn a_question_that_nobody_answered_is_a_refusal() {
    let agent = Agent::new();
    let input = json!({"file_path": agent.file("a.txt"), "content": "x\n"});
    agent.before("t1", "Write", &input);
    agent.says("PermissionRequest", json!({"tool_name": "Write", "tool_input": input}));
    agent.says("SessionEnd", json!({"reason": "other"}));
    assert_eq!(
        ends(&agent.log()),
        [("t1".to_owned(), "rejected".to_owned(), json!({"by": "person", "scope": "once"}))]
    );
}

#[test]
fn what_another_call_changed_meanwhile_is_not_the_shells() {
    let agent = Agent::new();
    agent.before("t1", "Bash", &json!({"command": "sleep"}));
    agent.calls("t2", "Write", &json!({"file_path": agent.file("a.txt"), "content": "x\n"}), || {
        agent.write("a.txt", "x\n");
    });
    agent.write("b.txt", "y\n");
    agent.after("t1", "Bash", &json!({"command": "sleep"}));
    assert_eq!(edits(&agent.log()), [edit("t1", "b.txt", None, Some("y\n")), edit("t2", "a.txt", None, Some("x\n"))]);
}

#[test]
fn a_call_that_two_hooks_tell_of_is_one_call() {
    let agent = Agent::new();
    let input = json!({"file_path": agent.file("a.txt"), "content": "x\n"});
    agent.before("t1", "Write", &input);
    agent.before("t1", "Write", &input);
    agent.write("a.txt", "x\n");
    agent.after("t1", "Write", &input);
    agent.after("t1", "Write", &input);
    let events = agent.log();
    assert_eq!(ends(&events), [end("t1", "applied")]);
    assert_eq!(edits(&events).len(), 1);
}

#[test]
fn a_damaged_transcript_costs_the_model_and_nothing_else() {
    let agent = Agent::new();
    agent
        .transcript(None, &[json!("no message"), json!({"message": {"content": [{"type": "tool_use"}]}}), json!(null)]);
    let input = json!({"file_path": agent.file("a.txt"), "content": "x\n"});
    agent.calls("t1", "Write", &input, || agent.write("a.txt", "x\n"));
    agent.says("Stop", json!({}));
    let events = agent.log();
    assert_eq!(ends(&events), [end("t1", "applied")]);
    assert_eq!(of_type(&events, "edit.applied")[0]["data"]["model"], json!({"absent": "not_on_wire"}));
}

#[test]
fn while_recording_is_paused_nothing_of_a_call_is_kept() {
    let agent = Agent::new();
    agent.world.run(["pause"]);
    let input = json!({"file_path": agent.file("a.txt"), "content": "x\n"});
    agent.says("UserPromptSubmit", json!({"prompt": "write"}));
    agent.calls("t1", "Write", &input, || agent.write("a.txt", "x\n"));
    let events = agent.log();
    assert_eq!((ends(&events), edits(&events)), (Vec::new(), Vec::new()));
    assert_eq!(of_type(&events, "prompt.submitted"), Vec::<&Value>::new());
    assert_eq!(files(&agent.state().join("hooks")), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_repository_that_opted_out_is_told_once_and_never_looked_at() {
    let agent = Agent::new();
    std::fs::write(agent.world.policy_file(), "[capture]\noff = true\n").unwrap();
    agent.says("SessionStart", json!({"source": "startup"}));
    agent.says("UserPromptSubmit", json!({"prompt": "write"}));
    let input = json!({"file_path": agent.file("a.txt"), "content": "x\n"});
    agent.calls("t1", "Write", &input, || agent.write("a.txt", "x\n"));
    let events = agent.log();
    let types: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    assert_eq!(types, ["dev.countersign.capture.paused.v1"]);
}

#[test]
fn a_secret_in_what_an_agent_says_reaches_no_file_of_ours() {
    let secret = format!("gh{}_{}", "p", "0123456789abcdefghijABCDEFGHIJ012345");
    let agent = Agent::new();
    agent.write("env.txt", format!("TOKEN={secret}\n"));
    let shell = json!({"command": format!("curl -H 'Authorization: Bearer {secret}' x")});
    agent.says("UserPromptSubmit", json!({"prompt": format!("use {secret}")}));
    agent.before("t1", "Bash", &shell);
    agent.before("t2", "Write", &json!({"file_path": agent.file("env.txt"), "content": secret}));
    let open = files(&agent.world.home());
    agent.write("new.txt", &secret);
    agent.after("t1", "Bash", &shell);
    agent.says(&secret, json!({"tool_name": secret}));
    for file in open.into_iter().chain(files(&agent.world.home())) {
        let bytes = std::fs::read(&file).unwrap_or_default();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{}", file.display());
    }
    let events = agent.log();
    assert_eq!(edits(&events).len(), 1);
    assert!(!format!("{events:?}").contains(&secret));
}

#[test]
fn writes_whose_ends_are_lost_have_each_their_own_text() {
    for told in [true, false] {
        let agent = Agent::new();
        let file = agent.file("a.txt");
        let write = |text: &str| json!({"file_path": file, "content": text});
        let replace = json!({"file_path": file, "old_string": "two", "new_string": "three"});
        let calls = [("t1", "Write", write("one\n")), ("t2", "Write", write("two\n")), ("t3", "Edit", replace)];
        let texts = ["one\n", "two\n", "three\n"];
        let mut lines: Vec<Value> = calls.iter().map(|(id, tool, input)| used(id, tool, input, "m")).collect();
        for (at, (id, tool, input)) in calls.iter().enumerate() {
            agent.before(id, tool, input);
            agent.write("a.txt", texts[at]);
            let mut line = result(id, false, "ok");
            let before = at.checked_sub(1).map(|at| texts[at]);
            line["toolUseResult"] = match (told, *tool) {
                (false, _) => Value::Null,
                (true, "Edit") => json!({"filePath": file, "oldString": "two", "newString": "three",
                    "originalFile": before, "replaceAll": false}),
                (true, _) => json!({"type": if before.is_some() { "update" } else { "create" }, "filePath": file,
                    "content": texts[at], "originalFile": before}),
            };
            lines.push(line);
        }
        agent.transcript(None, &lines);
        agent.says("Stop", json!({}));
        let mut found = edits(&agent.log());
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let expected = [
            edit("t1", "a.txt", None, Some("one\n")),
            edit("t2", "a.txt", Some("one\n"), Some("two\n")),
            edit("t3", "a.txt", Some("two\n"), Some("three\n")),
        ];
        assert_eq!(found, expected, "told: {told}");
    }
}

#[test]
fn a_text_that_nothing_determines_is_absent_and_not_a_later_one() {
    let agent = Agent::new();
    let cell = |text: &str| json!({"notebook_path": agent.file("a.ipynb"), "new_source": text});
    let mut lines = Vec::new();
    agent.write("a.ipynb", "0");
    for (id, text) in [("t1", "1"), ("t2", "2")] {
        // Both begin before either has written.
        agent.before(id, "NotebookEdit", &cell(text));
        lines.extend([used(id, "NotebookEdit", &cell(text), "m"), result(id, false, "ok")]);
    }
    agent.write("a.ipynb", "012");
    agent.transcript(None, &lines);
    agent.says("Stop", json!({}));
    let events = agent.log();
    let first = of_type(&events, "edit.applied")[0];
    assert_eq!(first["data"]["path"]["tool_call_id"], "t1");
    assert_eq!(first["data"]["content"]["after"], json!({"absent": "not_on_wire"}));
}

#[test]
fn what_a_person_typed_while_asked_is_not_the_agents() {
    let agent = Agent::new();
    agent.write("a.txt", "one\ntwo\n");
    let input = json!({"file_path": agent.file("a.txt"), "old_string": "two", "new_string": "2"});
    agent.before("t1", "Edit", &input);
    agent.write("a.txt", "typed\none\n2\n");
    agent.says(
        "PostToolUse",
        json!({"tool_use_id": "t1", "tool_name": "Edit", "tool_input": input, "tool_response": {
            "filePath": agent.file("a.txt"), "oldString": "two", "newString": "2",
            "originalFile": "typed\none\ntwo\n"}}),
    );
    assert_eq!(edits(&agent.log()), [edit("t1", "a.txt", Some("typed\none\ntwo\n"), Some("typed\none\n2\n"))]);
}

#[test]
fn a_command_that_a_person_stopped_and_that_had_changed_a_file_is_applied() {
    let agent = Agent::new();
    let shell = json!({"command": "make"});
    for (id, changes) in [("t1", true), ("t2", false)] {
        agent.before(id, "Bash", &shell);
        if changes {
            agent.write("half", "x\n");
        }
        agent.says(
            "PostToolUseFailure",
            json!({"tool_use_id": id, "tool_name": "Bash", "tool_input": shell, "error": "stopped", "is_interrupt": true}),
        );
    }
    let person = json!({"by": "person", "scope": "once"});
    let of = |id: &str, outcome: &str| (id.to_owned(), outcome.to_owned(), person.clone());
    assert_eq!(ends(&agent.log()), [of("t1", "applied"), of("t2", "rejected")]);
}

#[test]
fn two_sessions_in_one_work_tree_keep_their_edits_apart() {
    let agent = Agent::new();
    let other = |event: &str, more: Value| {
        let mut said = json!({"session_id": "s2"});
        more.as_object().unwrap().iter().for_each(|(name, value)| said[name] = value.clone());
        agent.says(event, said);
    };
    let write = json!({"tool_use_id": "w", "tool_name": "Write",
        "tool_input": {"file_path": agent.file("b.txt"), "content": "b\n"}});
    agent.before("t1", "Bash", &json!({"command": "sleep"}));
    other("PreToolUse", write.clone());
    agent.write("b.txt", "b\n");
    agent.write("a.txt", "a\n");
    other("PostToolUse", write);
    agent.after("t1", "Bash", &json!({"command": "sleep"}));
    assert_eq!(edits(&agent.log()), [edit("t1", "a.txt", None, Some("a\n")), edit("w", "b.txt", None, Some("b\n"))]);
}

#[test]
fn multi_edits_notebooks_empty_files_and_binary_files_are_edits_like_others() {
    let agent = Agent::new();
    agent.write("a.txt", "one two\n");
    agent.write("n.ipynb", "{}");
    agent.write("data.bin", [0, 1]);
    let of = |path: &str| agent.file(path);
    let several = json!({"file_path": of("a.txt"), "edits": [{"old_string": "one", "new_string": "1"},
        {"old_string": "two", "new_string": "2"}]});
    agent.calls("t1", "MultiEdit", &several, || agent.write("a.txt", "1 2\n"));
    let cell = json!({"notebook_path": of("n.ipynb"), "new_source": "x"});
    agent.calls("t2", "NotebookEdit", &cell, || agent.write("n.ipynb", "{x}"));
    agent.calls("t3", "Write", &json!({"file_path": of("e"), "content": ""}), || agent.write("e", ""));
    agent.calls("t4", "Write", &json!({"file_path": of("data.bin"), "content": "?"}), || {
        agent.write("data.bin", [0, 2])
    });
    let events = agent.log();
    assert_eq!(
        edits(&events),
        [
            edit("t1", "a.txt", Some("one two\n"), Some("1 2\n")),
            edit("t2", "n.ipynb", Some("{}"), Some("{x}")),
            edit("t3", "e", None, Some("")),
            edit("t4", "data.bin", None, None),
        ]
    );
    assert_eq!(ends(&events), ["t1", "t2", "t3", "t4"].map(|id| end(id, "applied")));
}

#[test]
fn a_plan_that_is_agreed_on_and_a_sub_agent_change_nothing_themselves() {
    let agent = Agent::new();
    agent.calls("t1", "ExitPlanMode", &json!({"plan": "write"}), || agent.write("by-hand.txt", "a person's\n"));
    agent.calls("t2", "Task", &json!({"prompt": "look"}), || agent.write("by-hand.txt", "a person's second\n"));
    let events = agent.log();
    assert_eq!(ends(&events), [end("t1", "ran"), end("t2", "ran")]);
    assert_eq!(edits(&events), []);
}

#[test]
fn a_compacted_transcript_tells_nothing_twice() {
    let agent = Agent::new();
    let input = json!({"file_path": agent.file("a.txt"), "content": "x\n"});
    let lines = [used("t1", "Write", &input, "m"), result("t1", false, "ok")];
    agent.calls("t1", "Write", &input, || agent.write("a.txt", "x\n"));
    agent.transcript(None, &lines);
    agent.says("Stop", json!({}));
    agent.says("PreCompact", json!({"trigger": "auto"}));
    // It is written anew, shorter, with what came before once more.
    agent.transcript(None, &[vec![json!({"type": "summary", "summary": "so far"})], lines.to_vec()].concat());
    agent.says("SessionStart", json!({"source": "compact"}));
    agent.says("Stop", json!({}));
    agent.says("SessionEnd", json!({"reason": "other"}));
    let events = agent.log();
    assert_eq!(ends(&events), [end("t1", "applied")]);
    assert_eq!(edits(&events).len(), 1);
}
