//! What a call gave the model, as each client tells it: what was read, what came back, what was thought, and
//! how the work tree stood.

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::{Value, json};

use super::agent::{Agent, result, used};
use super::replay;
use crate::support::{World, git, of_type};

/// A client in a repository.
struct Client {
    world: World,
    root: PathBuf,
    name: &'static str,
}

impl Client {
    fn new(name: &'static str) -> Client {
        let world = World::new();
        let root = world.repository("demo");
        Client { world, root, name }
    }

    fn says(&self, event: &str, stdin: &Value) {
        let mut command = self.world.countersign(["hook", self.name, event]);
        command.env("HOME", self.world.path()).current_dir(&self.root);
        let output = replay::run(command.stdin(Stdio::piped()), stdin.to_string().as_bytes());
        assert!(output.status.success());
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }

    /// Writes a session file, and returns where it is.
    fn session_file(&self, lines: &[Value]) -> PathBuf {
        let file = self.world.path().join("session.jsonl");
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(&file, text).unwrap();
        file
    }

    /// The one call that was recorded.
    fn called(&self) -> Value {
        let events = self.world.log();
        let called = of_type(&events, "tool.called");
        assert_eq!(called.len(), 1, "{events:#?}");
        called[0].clone()
    }
}

fn sha256(text: &str) -> String {
    countersign_event::digest::text_id(text.as_bytes())
}

fn after(id: &str, tool: &str, input: &Value, response: &Value) -> Value {
    json!({"tool_use_id": id, "tool_name": tool, "tool_input": input, "tool_response": response})
}

#[test]
fn what_a_call_read_is_named_with_digest_size_and_sensitivity() {
    let agent = Agent::new();
    agent.write("notes.txt", "one\r\ntwo\r\n");
    agent.write(".env", "MODE=dark\n");
    let read = |id: &str, path: &str, file: &Value| {
        let input = json!({"file_path": agent.file(path)});
        agent.before(id, "Read", &input);
        agent.says("PostToolUse", after(id, "Read", &input, &json!({"type": "text", "file": file})));
    };
    let part = json!({"filePath": agent.file("notes.txt"), "content": "one\n", "startLine": 1, "numLines": 1,
        "totalLines": 2});
    read("t1", "notes.txt", &part);
    // Somebody changed the file in the moment since: the model has what it was told.
    let whole = json!({"filePath": agent.file(".env"), "content": "MODE=light\n", "startLine": 1, "numLines": 2,
        "totalLines": 2});
    read("t2", ".env", &whole);
    let input = json!({"server": "wiki", "uri": "wiki://pages/credentials.json"});
    agent.before("t3", "ReadMcpResourceTool", &input);
    let pages = json!({"contents": [{"uri": "wiki://pages/credentials.json", "text": "keys"}]});
    agent.says("PostToolUse", after("t3", "ReadMcpResourceTool", &input, &pages));
    let events = agent.log();
    let context: Vec<&Value> =
        of_type(&events, "tool.called").into_iter().map(|event| &event["data"]["context"]).collect();
    assert_eq!(
        json!(context),
        json!([
            [{"path": "notes.txt", "digest": sha256("one\r\ntwo\r\n"), "bytes": 10, "sensitivity": "ordinary",
                "how": "observed"}],
            [{"path": ".env", "sensitivity": "sensitive", "absent": "policy"}],
            [{"path": "wiki://pages/credentials.json", "sensitivity": "sensitive", "absent": "policy"}],
        ])
    );
    assert_eq!(of_type(&events, "tool.called")[0]["content"]["output"], "one\n");
}

#[test]
fn a_file_that_nobody_can_read_any_more_says_so() {
    let agent = Agent::new();
    let input = json!({"file_path": agent.file("gone.txt")});
    agent.calls("t1", "Read", &input, || {});
    let events = agent.log();
    let context = &of_type(&events, "tool.called")[0]["data"]["context"];
    assert_eq!(*context, json!([{"path": "gone.txt", "sensitivity": "ordinary", "absent": "not_on_wire"}]));
}

#[test]
fn tests_that_failed_say_so_with_exit_status_output_and_base() {
    let agent = Agent::new();
    agent.write("a.txt", "one\n");
    git(&agent.root, &["add", "."]);
    git(&agent.root, &["commit", "-qm", "first"]);
    let input = json!({"command": "cd . && cargo test 2>&1 | tail -3"});
    agent.calls("t1", "Bash", &input, || {});
    let input = json!({"command": "cargo test"});
    agent.before("t2", "Bash", &input);
    agent.write("new.txt", "made by the tests\n");
    agent.says(
        "PostToolUseFailure",
        json!({"tool_use_id": "t2", "tool_name": "Bash", "tool_input": input,
            "error": "Exit code 101\ntest a ... FAILED"}),
    );
    let head = git(&agent.root, &["rev-parse", "HEAD"]);
    let events = agent.log();
    let called = of_type(&events, "tool.called");
    let (piped, failed) = (&called[0]["data"], &called[1]["data"]);
    assert_eq!(piped["class"], "test");
    assert_eq!(piped["classed_by"], json!({"rule": "cargo test", "decides_exit": false}));
    assert_eq!(piped.get("exit_status"), None, "nobody said it");
    assert_eq!(piped["tree"], json!({"dirty": false, "how": "observed"}));
    assert_eq!((&failed["class"], &failed["exit_status"]), (&json!("test"), &json!(101)));
    assert_eq!(failed["classed_by"]["decides_exit"], true);
    // A file changed, whatever the tests said.
    assert_eq!((&failed["outcome"], &failed["succeeded"]), (&json!("applied"), &json!(false)));
    assert_eq!(failed["tree"], json!({"dirty": true, "how": "observed"}));
    for data in [piped, failed] {
        assert_eq!(data["place"]["base"], head.trim());
    }
    assert_eq!(called[1]["content"]["output"], "Exit code 101\ntest a ... FAILED");
}

#[test]
fn outside_a_repository_there_is_no_base_to_differ_from() {
    let client = Client::new("windsurf");
    let outside = client.world.path().join("outside");
    std::fs::create_dir_all(&outside).unwrap();
    let info = json!({"command_line": "make check", "cwd": outside});
    client.says(
        "post_run_command",
        &json!({"trajectory_id": "s", "agent_action_name": "post_run_command",
        "tool_info": info}),
    );
    let called = client.called();
    assert_eq!(called["data"]["class"], "test");
    assert_eq!(called["data"]["tree"], json!({"absent": "not_on_wire"}));
    assert_eq!(called["data"].get("exit_status"), None);
    // This client tells neither what came back nor what was thought.
    for name in ["output", "reasoning"] {
        assert_eq!(called["data"]["content"][name], json!({"absent": "not_on_wire"}));
    }
}

#[test]
fn every_client_tells_the_exit_status_in_its_own_place_or_not_at_all() {
    let command = "npm test";
    let printed = "1 failing";
    let cwd = |client: &Client| json!(client.root);
    type Says = fn(&Client, Value, &str, &str);
    let clients: &[(&str, Says, Value)] = &[
        (
            "codex",
            |client, cwd, command, printed| {
                let code = json!({"cmd": command});
                let output =
                    format!("Chunk ID: 1\nWall time: 0.1 seconds\nProcess exited with code 1\nOutput:\n{printed}");
                let file = client.session_file(&[
                    json!({"type": "response_item", "payload": {"type": "function_call", "name": "exec_command",
                    "call_id": "c1", "arguments": code.to_string()}}),
                    json!({"type": "response_item", "payload": {"type": "function_call_output", "call_id": "c1",
                    "output": output}}),
                ]);
                client.says(
                    "Stop",
                    &json!({"hook_event_name": "Stop", "session_id": "s", "cwd": cwd,
                "transcript_path": file}),
                );
            },
            json!(1),
        ),
        (
            "codex",
            |client, cwd, command, printed| {
                client.says(
                    "PostToolUse",
                    &json!({"hook_event_name": "PostToolUse", "session_id": "s", "cwd": cwd,
                "tool_use_id": "c1", "tool_name": "Bash", "tool_input": {"command": command},
                "tool_response": format!("{printed} after it exited with code 7")}),
                );
            },
            Value::Null,
        ),
        (
            "gemini-cli",
            |client, cwd, command, printed| {
                client.says(
                    "AfterTool",
                    &json!({"hook_event_name": "AfterTool", "session_id": "s", "cwd": cwd,
                "tool_name": "run_shell_command", "tool_input": {"command": command},
                "tool_response": {"llmContent": format!("Command: x\nOutput: {printed}\nExit Code: 1\n")}}),
                );
            },
            json!(1),
        ),
        (
            "copilot",
            |client, cwd, command, printed| {
                client.says(
                    "postToolUse",
                    &json!({"sessionId": "s", "cwd": cwd, "toolName": "bash",
                "toolArgs": {"command": command}, "toolResult": {"resultType": "success",
                "textResultForLlm": format!("{printed}\n<exited with exit code 1>")}}),
                );
            },
            json!(1),
        ),
        (
            "opencode",
            |client, _, command, printed| {
                client.says(
                    "tool.execute.after",
                    &json!({"input": {"tool": "bash", "sessionID": "s", "callID": "c",
                "args": {"command": command}}, "output": {"output": printed, "metadata": {"exit": 1}}}),
                );
            },
            json!(1),
        ),
        (
            "cursor",
            |client, cwd, command, printed| {
                let answer = json!({"output": printed, "exitCode": 1}).to_string();
                client.says(
                    "postToolUse",
                    &json!({"hook_event_name": "postToolUse", "conversation_id": "s", "cwd": cwd,
                "tool_name": "Shell", "tool_input": {"command": command}, "tool_output": answer, "tool_use_id": "c"}),
                );
            },
            json!(1),
        ),
        (
            "windsurf",
            |client, cwd, command, _| {
                client.says(
                    "post_run_command",
                    &json!({"agent_action_name": "post_run_command", "trajectory_id": "s",
                "tool_info": {"command_line": command, "cwd": cwd}}),
                );
            },
            Value::Null,
        ),
        (
            "agent-v1",
            |client, cwd, command, printed| {
                client.says(
                    "",
                    &json!({"type": "post_shell_command", "cwd": cwd, "command": command,
                "exit_code": 1, "output": printed}),
                );
            },
            json!(1),
        ),
    ];
    for (name, says, exit_status) in clients {
        let client = Client::new(name);
        says(&client, cwd(&client), command, printed);
        let called = client.called();
        let data = &called["data"];
        assert_eq!(data["classed_by"], json!({"rule": "npm test", "decides_exit": true}), "{name}");
        assert_eq!(data["exit_status"], *exit_status, "{name}");
        assert_eq!(data["tree"]["how"], "observed", "{name}: {data}");
        match called["content"]["output"].as_str() {
            Some(output) => assert!(output.contains(printed), "{name}: {output}"),
            None => assert_eq!((*name, &data["content"]["output"]["absent"]), ("windsurf", &json!("not_on_wire"))),
        }
    }
}

/// Lines of Claude Code's session file: a thought, and the call of the same answer.
fn thought(id: &str, block: &Value, input: &Value) -> [Value; 2] {
    let mut call = used(id, "Bash", input, "claude");
    call["message"]["id"] = json!(format!("msg_{id}"));
    let mut before = call.clone();
    before["message"]["content"] = json!([block]);
    [before, call]
}

#[test]
fn what_claude_code_thought_before_a_call_stands_with_it_and_with_what_it_changed() {
    let agent = Agent::new();
    let input = json!({"command": "make"});
    let blocks = [
        json!({"type": "thinking", "thinking": "A file will do.", "signature": "c2ln"}),
        json!({"type": "thinking", "thinking": "", "signature": "c2ln"}),
        json!({"type": "redacted_thinking", "data": "AAAA"}),
        json!({"type": "text", "text": "No thinking here."}),
    ];
    let lines: Vec<Value> =
        blocks.iter().enumerate().flat_map(|(at, block)| thought(&format!("t{at}"), block, &input)).collect();
    agent.transcript(None, &lines);
    for at in 0..blocks.len() {
        agent.calls(&format!("t{at}"), "Bash", &input, || agent.write("made", at.to_string()));
    }
    let events = agent.log();
    for kind in ["tool.called", "edit.applied"] {
        let told: Vec<Value> = of_type(&events, kind)
            .into_iter()
            .map(|event| match &event["content"]["reasoning"] {
                Value::String(text) => json!(text),
                _ => event["data"]["content"]["reasoning"]["absent"].clone(),
            })
            .collect();
        assert_eq!(told, ["A file will do.", "encrypted_on_wire", "encrypted_on_wire", "not_on_wire"], "{kind}");
    }
}

#[test]
fn a_thought_that_the_session_file_has_late_is_evidence() {
    let agent = Agent::new();
    let input = json!({"command": "make"});
    agent.calls("t1", "Bash", &input, || agent.write("made", "x"));
    let block = json!({"type": "thinking", "thinking": "It came late.", "signature": "c2ln"});
    let mut lines = thought("t1", &block, &input).to_vec();
    lines.push(result("t1", false, "ok"));
    agent.transcript(None, &lines);
    agent.says("Stop", json!({}));
    agent.says("Stop", json!({}));
    let events = agent.log();
    let evidence = of_type(&events, "contribution.evidenced");
    assert_eq!(evidence.len(), 1);
    assert_eq!(evidence[0]["content"]["reasoning"], "It came late.");
    assert_eq!(evidence[0]["data"]["contribution"], of_type(&events, "edit.applied")[0]["data"]["contribution"]);
}

#[test]
fn every_client_shows_its_thoughts_in_its_own_place_or_says_that_it_hides_them() {
    type Says = fn(&Client, Value);
    fn of_codex(client: &Client, item: Value) {
        let call = json!({"type": "function_call", "name": "exec_command", "call_id": "c1",
            "arguments": json!({"cmd": "ls"}).to_string()});
        let output = json!({"type": "function_call_output", "call_id": "c1", "output": "Exit code: 0\nOutput:\n"});
        let lines = [item, call, output].map(|payload| json!({"type": "response_item", "payload": payload}));
        let file = client.session_file(&lines);
        client.says(
            "Stop",
            &json!({"hook_event_name": "Stop", "session_id": "s", "cwd": client.root,
            "transcript_path": file}),
        );
    }
    let clients: &[(&str, Says, &str)] = &[
        (
            "codex",
            |client, _| {
                of_codex(
                    client,
                    json!({"type": "reasoning", "encrypted_content": "gAAA",
            "summary": [{"type": "summary_text", "text": "Look first."}]}),
                )
            },
            "Look first.",
        ),
        (
            "codex",
            |client, _| {
                of_codex(
                    client,
                    json!({"type": "reasoning", "encrypted_content": "gAAA",
            "summary": []}),
                )
            },
            "encrypted_on_wire",
        ),
        ("codex", |client, _| of_codex(client, json!({"type": "message", "content": []})), "not_on_wire"),
        (
            "gemini-cli",
            |client, cwd| {
                let file = client.session_file(&[json!({"type": "gemini", "model": "g", "thoughts":
                [{"subject": "Look", "description": "Look first."}], "toolCalls": [{"id": "c1",
                "name": "run_shell_command", "args": {"command": "ls"}, "status": "success"}]})]);
                client.says(
                    "AfterAgent",
                    &json!({"hook_event_name": "AfterAgent", "session_id": "s", "cwd": cwd,
                "transcript_path": file}),
                );
            },
            "Look\nLook first.",
        ),
        (
            "copilot",
            |client, cwd| {
                let file = client.session_file(&[
                    json!({"type": "assistant.message", "data": {"model": "g", "reasoningText": "Look first.",
                    "reasoningOpaque": "x", "toolRequests": [{"toolCallId": "c1", "name": "bash",
                    "arguments": {"command": "ls"}}]}}),
                    json!({"type": "tool.execution_complete", "data": {"toolCallId": "c1", "success": true,
                    "result": {"content": ""}}}),
                ]);
                client.says("agentStop", &json!({"sessionId": "s", "cwd": cwd, "transcriptPath": file}));
            },
            "Look first.",
        ),
        (
            "cursor",
            |client, cwd| {
                client.says(
                    "afterAgentThought",
                    &json!({"hook_event_name": "afterAgentThought", "conversation_id": "s",
                "cwd": cwd, "text": "Look first.", "duration_ms": 9}),
                );
                client.says(
                    "postToolUse",
                    &json!({"hook_event_name": "postToolUse", "conversation_id": "s", "cwd": cwd,
                "tool_name": "Shell", "tool_input": {"command": "ls"}, "tool_output": "", "tool_use_id": "c1"}),
                );
            },
            "Look first.",
        ),
        (
            "opencode",
            |client, _| {
                for end in [Value::Null, json!(5)] {
                    client.says(
                        "event.message.part.updated",
                        &json!({"type": "message.part.updated", "properties": {"part":
                    {"type": "reasoning", "sessionID": "s", "text": "Look first.", "time": {"start": 1, "end": end}}}}),
                    );
                }
                client.says(
                    "tool.execute.after",
                    &json!({"input": {"tool": "bash", "sessionID": "s", "callID": "c1",
                "args": {"command": "ls"}}, "output": {"output": "", "metadata": {"exit": 0}}}),
                );
            },
            "Look first.",
        ),
    ];
    for (name, says, expected) in clients {
        let client = Client::new(name);
        says(&client, json!(client.root));
        let called = client.called();
        let told = called["content"]["reasoning"].as_str();
        let absent = called["data"]["content"]["reasoning"]["absent"].as_str();
        assert_eq!(told.or(absent), Some(*expected), "{name}: {called}");
    }
}

#[test]
fn files_that_come_with_a_prompt_are_named() {
    let client = Client::new("cursor");
    std::fs::write(client.root.join("parse.ts"), "go\n").unwrap();
    client.says("beforeSubmitPrompt", &json!({"hook_event_name": "beforeSubmitPrompt", "conversation_id": "s",
        "cwd": client.root, "prompt": "x", "attachments": [{"type": "file", "filePath": client.root.join("parse.ts")}]}));
    let events = client.world.log();
    let context = &of_type(&events, "prompt.submitted")[0]["data"]["context"];
    assert_eq!(
        *context,
        json!([{"path": "parse.ts", "digest": sha256("go\n"), "bytes": 3, "sensitivity": "ordinary",
        "how": "observed"}])
    );
}

#[test]
fn what_policy_leaves_out_is_not_named_among_what_was_read() {
    let client = Client::new("cursor");
    std::fs::write(client.world.policy_file(), "[tiers]\nfull = \"always\"\n[capture]\nexclude = [\"private/**\"]\n")
        .unwrap();
    std::fs::create_dir_all(client.root.join("private")).unwrap();
    std::fs::write(client.root.join("private/diary.txt"), "dear\n").unwrap();
    client.says(
        "beforeSubmitPrompt",
        &json!({"hook_event_name": "beforeSubmitPrompt", "conversation_id": "s",
        "cwd": client.root, "prompt": "x", "attachments": [{"filePath": client.root.join("private/diary.txt")}]}),
    );
    let events = client.world.log();
    let prompts = of_type(&events, "prompt.submitted");
    assert_eq!(prompts[0]["data"].get("context"), None);
}
