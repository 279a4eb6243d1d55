//! What a call gave the model, as streams of agents and tool servers tell it.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{World, git, of_type};

/// Plays a stream through the real tap: each message of the client, and what the agent says after it.
fn play(world: &World, stream: &[(Value, Vec<Value>)]) -> Vec<Value> {
    let script: String = stream
        .iter()
        .map(|(_, answers)| {
            let said: String = answers.iter().map(|answer| format!("cat <<'MESSAGE'\n{answer}\nMESSAGE\n")).collect();
            format!("read -r line\n{said}")
        })
        .collect();
    let file = world.path().join("agent.sh");
    std::fs::write(&file, script).unwrap();
    let mut command = world.countersign(["tap", "--", "sh", file.to_str().unwrap()]);
    command.current_dir(world.path().join("demo"));
    let mut tap = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = tap.stdin.take().unwrap();
    let mut stdout = BufReader::new(tap.stdout.take().unwrap());
    for (message, answers) in stream {
        writeln!(stdin, "{message}").unwrap();
        for answer in answers {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            assert_eq!(line.trim_end(), answer.to_string(), "the tap changes nothing");
        }
    }
    drop(stdin);
    assert!(tap.wait().unwrap().success());
    world.log()
}

fn ask(id: u64, method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

fn answer(id: u64, result: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": result})
}

fn sha256(text: &str) -> String {
    countersign_event::digest::text_id(text.as_bytes())
}

/// A repository with a first commit. Returns it.
fn committed(world: &World) -> String {
    let root = world.repository("demo");
    std::fs::write(root.join("a.txt"), "one\n").unwrap();
    git(&root, &["add", "."]);
    git(&root, &["commit", "-qm", "first"]);
    git(&root, &["rev-parse", "HEAD"]).trim().to_owned()
}

#[test]
fn an_agent_that_thinks_runs_tests_in_a_terminal_and_is_answered() {
    let world = World::new();
    let head = committed(&world);
    let update = |update: Value| json!({"jsonrpc": "2.0", "method": "session/update", "params": {"sessionId": "s", "update": update}});
    let block = |text: &str| json!({"type": "text", "text": text});
    let stream = [
        (ask(0, "initialize", &json!({"protocolVersion": 1})), vec![answer(0, &json!({"protocolVersion": 1}))]),
        (
            ask(1, "session/new", &json!({"cwd": world.path().join("demo"), "mcpServers": []})),
            vec![answer(1, &json!({"sessionId": "s"}))],
        ),
        (
            ask(2, "session/prompt", &json!({"sessionId": "s", "prompt": [block("test it")]})),
            vec![
                update(json!({"sessionUpdate": "agent_thought_chunk", "content": block("Tests ")})),
                update(json!({"sessionUpdate": "agent_thought_chunk", "content": block("first.")})),
                update(json!({"sessionUpdate": "tool_call", "toolCallId": "c1", "title": "run", "kind": "execute",
                    "rawInput": {"command": ["bash", "-lc", "go test ./..."]}, "status": "in_progress"})),
                ask(7, "terminal/create", &json!({"sessionId": "s", "command": "go", "args": ["test", "./..."]})),
            ],
        ),
        (
            answer(7, &json!({"terminalId": "t1"})),
            vec![
                update(json!({"sessionUpdate": "tool_call_update", "toolCallId": "c1",
                    "content": [{"type": "terminal", "terminalId": "t1"}]})),
                ask(8, "terminal/wait_for_exit", &json!({"sessionId": "s", "terminalId": "t1"})),
            ],
        ),
        (
            answer(8, &json!({"exitCode": 2})),
            vec![ask(9, "terminal/output", &json!({"sessionId": "s", "terminalId": "t1"}))],
        ),
        (
            answer(9, &json!({"output": "FAIL demo", "truncated": false})),
            vec![
                update(json!({"sessionUpdate": "tool_call_update", "toolCallId": "c1", "status": "failed"})),
                update(json!({"sessionUpdate": "tool_call", "toolCallId": "c2", "title": "list", "kind": "execute",
                    "rawInput": {"command": "ls"}, "rawOutput": {"output": "a.txt", "metadata": {"exit": 0}},
                    "status": "completed"})),
                answer(2, &json!({"stopReason": "end_turn"})),
            ],
        ),
    ];
    let events = play(&world, &stream);
    let called = of_type(&events, "tool.called");
    assert_eq!(called.len(), 2, "{events:#?}");
    let (test, list) = (&called[0]["data"], &called[1]["data"]);
    assert_eq!((&test["class"], &test["exit_status"], &test["succeeded"]), (&json!("test"), &json!(2), &json!(false)));
    assert_eq!(test["classed_by"], json!({"rule": "go test", "decides_exit": true}));
    assert_eq!((&list["class"], &list["exit_status"], &list["succeeded"]), (&json!("other"), &json!(0), &json!(true)));
    assert_eq!(called[0]["content"]["output"], "FAIL demo");
    assert_eq!(called[0]["content"]["reasoning"], "Tests first.");
    assert_eq!(list["content"]["reasoning"], json!({"absent": "not_on_wire"}));
    for data in [test, list] {
        assert_eq!(data["place"]["base"], head.as_str());
        assert_eq!(data["tree"], json!({"dirty": false, "how": "observed"}));
    }
}

#[test]
fn codex_says_what_a_command_read_what_it_ended_with_and_what_it_thought() {
    let world = World::new();
    committed(&world);
    let root = world.path().join("demo");
    let item = |method: &str, item: Value| json!({"method": method, "params": {"threadId": "th", "turnId": "tu", "item": item, "completedAtMs": 1}});
    let stream = [
        (
            json!({"id": 0, "method": "initialize", "params": {"clientInfo": {"name": "vscode", "version": "1"}}}),
            vec![json!({"id": 0, "result": {"userAgent": "vscode/0.169.0 (x) y"}})],
        ),
        (
            json!({"id": 1, "method": "thread/start", "params": {"cwd": root}}),
            vec![json!({"id": 1, "result": {"thread": {"id": "th"}, "model": "gpt-5.5", "cwd": root}})],
        ),
        (
            json!({"id": 2, "method": "turn/start", "params": {"threadId": "th", "input": [{"type": "text", "text": "go"}]}}),
            vec![
                item(
                    "item/completed",
                    json!({"type": "reasoning", "id": "r", "summary": ["Look first."], "content": []}),
                ),
                item(
                    "item/completed",
                    json!({"type": "commandExecution", "id": "c1", "command": "cat a.txt", "cwd": root,
                    "status": "completed", "exitCode": 0, "aggregatedOutput": "one\n",
                    "commandActions": [{"type": "read", "command": "cat a.txt", "name": "a.txt", "path": root.join("a.txt")}]}),
                ),
                item(
                    "item/completed",
                    json!({"type": "mcpToolCall", "id": "c2", "server": "codex",
                    "tool": "read_mcp_resource", "status": "completed", "arguments": {"server": "w", "uri": "wiki://a"},
                    "result": {"content": [{"type": "text",
                        "text": json!({"contents": [{"uri": "wiki://a", "text": "page"}]}).to_string()}]}}),
                ),
                json!({"method": "turn/completed", "params": {"threadId": "th", "turn": {"status": "completed"}}}),
            ],
        ),
    ];
    let events = play(&world, &stream);
    let called = of_type(&events, "tool.called");
    assert_eq!(called.len(), 2, "{events:#?}");
    assert_eq!(called[0]["data"]["exit_status"], 0);
    assert_eq!(called[0]["content"]["reasoning"], "Look first.");
    assert_eq!(
        called[0]["data"]["context"],
        json!([{"path": "a.txt", "digest": sha256("one\n"), "bytes": 4, "sensitivity": "ordinary", "how": "observed"}])
    );
    assert_eq!(
        called[1]["data"]["context"],
        json!([{"path": "wiki://a", "digest": sha256("page"), "bytes": 4, "sensitivity": "ordinary", "how": "reported"}])
    );
    assert_eq!(called[1]["data"].get("exit_status"), None);
}

#[test]
fn resources_of_a_tool_server_are_named_in_both_generations_of_the_protocol() {
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "claude-code", "version": "2.1.197"}});
    let info = json!({"name": "claude-code", "version": "2.1.197"});
    let handshake = (
        ask(0, "initialize", &json!({"protocolVersion": "2025-06-18", "clientInfo": info, "capabilities": {}})),
        vec![answer(0, &json!({"protocolVersion": "2025-06-18", "serverInfo": {"name": "wiki", "version": "1"}}))],
    );
    for shakes_hands in [true, false] {
        let world = World::new();
        committed(&world);
        let params = |params: Value| {
            let mut params = params;
            if !shakes_hands {
                params["_meta"] = meta.clone();
            }
            params
        };
        let mut stream = vec![
            (
                ask(1, "resources/read", &params(json!({"uri": "wiki://credentials/a.json"}))),
                vec![answer(1, &json!({"contents": [{"uri": "wiki://credentials/a.json", "text": "page"}]}))],
            ),
            (
                ask(2, "resources/read", &params(json!({"uri": "wiki://gone"}))),
                vec![json!({"jsonrpc": "2.0", "id": 2, "error": {"code": -32002, "message": "not found"}})],
            ),
            (
                ask(3, "tools/call", &params(json!({"name": "find", "arguments": {"q": "x"}}))),
                vec![answer(
                    3,
                    &json!({"content": [{"type": "text", "text": "found"},
                    {"type": "resource", "resource": {"uri": "wiki://b", "text": "other page"}}]}),
                )],
            ),
        ];
        if shakes_hands {
            stream.insert(0, handshake.clone());
        }
        let events = play(&world, &stream);
        let called = of_type(&events, "tool.called");
        assert_eq!(called.len(), 3, "{events:#?}");
        let context: Vec<&Value> = called.iter().map(|event| &event["data"]["context"]).collect();
        assert_eq!(
            json!(context),
            json!([
                [{"path": "wiki://credentials/a.json", "sensitivity": "sensitive", "absent": "policy"}],
                [{"path": "wiki://gone", "sensitivity": "ordinary", "absent": "not_on_wire"}],
                [{"path": "wiki://b", "digest": sha256("other page"), "bytes": 10, "sensitivity": "ordinary",
                    "how": "reported"}],
            ])
        );
        assert_eq!(called[0]["content"]["output"], "page");
        let ends: Vec<&Value> = called.iter().map(|event| &event["data"]["succeeded"]).collect();
        assert_eq!(ends, [&json!(true), &json!(false), &json!(true)]);
        assert!(called[2]["content"]["output"].as_str().unwrap().contains("other page"));
        assert_eq!(called[2]["data"]["content"]["reasoning"], json!({"absent": "not_on_wire"}));
    }
}

#[test]
fn an_answer_longer_than_one_content_may_be_is_cut_and_says_so() {
    let world = World::new();
    committed(&world);
    let long = "x".repeat((1 << 20) + 9);
    let stream = [
        (
            ask(
                0,
                "initialize",
                &json!({"protocolVersion": "2025-06-18", "clientInfo": {"name": "c", "version": "1"}}),
            ),
            vec![answer(0, &json!({"protocolVersion": "2025-06-18", "serverInfo": {"name": "wiki", "version": "1"}}))],
        ),
        (
            ask(3, "tools/call", &json!({"name": "find", "arguments": {}})),
            vec![answer(3, &json!({"content": [{"type": "text", "text": long}]}))],
        ),
    ];
    let events = play(&world, &stream);
    let output = &of_type(&events, "tool.called")[0]["data"]["content"]["output"];
    assert_eq!((&output["bytes"], &output["absent"]), (&json!(1 << 20), &json!("truncated")));
}
