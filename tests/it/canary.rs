//! Secrets planted in every field and channel are found nowhere: not in the spool, the logs, what our
//! server says, nor the archive.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{World, of_type};

/// Made up for this test; the shape of a real one.
const SECRET: &str = "ghp_Zk3vQ9xWn2LrT7yBc5MdF8hJsP4gUa6EoV1i";
/// Another kind, in another shape.
const KEY: &str = "AKIAZ7QWERTYU3KDLA5N";

#[test]
fn planted_secrets_are_found_nowhere() {
    let world = World::new();
    let project = world.repository("project");
    let uri = format!("file://{}/settings.py", project.display());
    let said = edit(&world, &uri) + &tap(&world, &uri) + &agents(&world, &project);
    let archive = replay(&world);

    let events = world.log();
    assert_eq!(of_type(&events, "suggestion.accepted").len(), 1, "the canary was recorded at all");
    let text = of_type(&events, "suggestion.offered")[0]["content"]["output"].as_str().unwrap().to_owned();
    assert!(text.contains("[redacted:"), "the text was kept, without its secret: {text}");

    let taken = of_type(&events, "suggestion.offered")[0]["data"]["content"]["output"]["redacted"].clone();
    assert_eq!(taken[0]["bytes"], SECRET.len(), "{taken}");

    for name in ["arguments", "output", "reasoning"] {
        let all = of_type(&events, "tool.called");
        let kept = all.iter().filter_map(|event| event["content"][name].as_str());
        assert!(kept.filter(|text| text.contains("[redacted:")).count() >= 2, "{name}, of a hook and of the tap");
    }
    let given: Vec<&Value> =
        of_type(&events, "tool.called").into_iter().map(|event| &event["data"]["context"]).collect();
    assert!(json!(given).to_string().contains("wiki://"), "{given:?}");

    for secret in [SECRET, KEY] {
        assert!(!said.contains(secret), "our programs said it:\n{said}");
        for place in [world.home(), archive.clone()] {
            let found: Vec<PathBuf> =
                files(&place).into_iter().filter(|file| contains(&std::fs::read(file).unwrap(), secret)).collect();
            assert_eq!(found, Vec::<PathBuf>::new(), "{secret}");
        }
    }
}

/// A suggestion full of secrets, told by an extension. Returns everything the server said.
fn edit(world: &World, uri: &str) -> String {
    let at = json!({ "line": 0, "character": 0 });
    let code = format!("TOKEN = \"{SECRET}\"\naws_access_key_id = \"{KEY}\"\n");
    let told = |event: &str| {
        json!({"jsonrpc": "2.0", "method": "countersign/suggestion", "params": {
            "event": event, "id": SECRET, "tool": format!("tool-{SECRET}"), "toolVersion": KEY,
            "textDocument": {"uri": uri}, "range": {"start": at, "end": at}, "text": code,
            "model": {"requested": format!("model {SECRET}")}}})
    };
    let notify = |method: &str, params: Value| json!({"jsonrpc": "2.0", "method": method, "params": params});
    let document = json!({ "uri": uri, "languageId": "python", "version": 1, "text": "" });
    let change = json!({ "textDocument": {"uri": uri, "version": 2},
        "contentChanges": [{"range": {"start": at, "end": at}, "text": code}] });
    let messages = [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"capabilities": {}, "processId": null,
            "clientInfo": {"name": format!("editor {SECRET}")}, "initializationOptions": {"token": KEY}}}),
        notify("initialized", json!({})),
        notify("textDocument/didOpen", json!({ "textDocument": document })),
        told("shown"),
        notify("textDocument/didChange", change),
        told("accepted"),
        notify("countersign/suggestion", json!({ "event": SECRET, "id": KEY })),
        notify("textDocument/didSave", json!({ "textDocument": {"uri": uri} })),
        json!({"jsonrpc": "2.0", "id": 2, "method": format!("unknown/{SECRET}"), "params": {"password": KEY}}),
        notify("textDocument/didClose", json!({ "textDocument": {"uri": uri} })),
        json!({"jsonrpc": "2.0", "id": 3, "method": "shutdown"}),
        notify("exit", Value::Null),
    ];
    // What the server says back to its own editor about an unknown method names the method.
    speak(world.countersign(["lsp"]), &messages).replace(&format!("unknown/{SECRET}"), "")
}

/// Secrets in a tapped server's start, in its messages and in its garbage. Returns what the tap itself said.
fn tap(world: &World, uri: &str) -> String {
    let messages = [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"capabilities": {},
            "clientInfo": {"name": KEY, "version": SECRET},
            "initializationOptions": {"auth_token": SECRET, "editorPluginInfo": {"name": KEY, "version": "1"}}}}),
        json!({"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": {"textDocument":
            {"uri": uri, "languageId": "python", "version": 1, "text": SECRET}}}),
        json!({"jsonrpc": "2.0", "method": "textDocument/didChange", "params": {"textDocument": {"uri": uri, "version": 2},
            "contentChanges": [{"range": {"start": {"line": 90, "character": 1}, "end": {"line": 99, "character": 1}},
            "text": KEY}]}}),
        json!({"jsonrpc": "2.0", "id": SECRET, "method": SECRET, "params": KEY}),
    ];
    let swallow = format!("# {SECRET}\ncat > /dev/null");
    speak(world.countersign(["tap", "--tool", SECRET, "--", "sh", "-c", &swallow]), &messages)
}

/// Secrets in what agents read, thought, ran and were answered, told by a hook and on a tapped stream.
/// Returns what our programs said.
fn agents(world: &World, project: &Path) -> String {
    let secrets = format!("token {SECRET} key {KEY}");
    std::fs::write(project.join("notes.txt"), &secrets).unwrap();
    let transcript = world.path().join("transcript.jsonl");
    let input = json!({"command": format!("TOKEN={SECRET} npm test")});
    let block = |content: Value| {
        json!({"type": "assistant", "message": {"id": "m", "model": "claude", "content": [content]}}).to_string() + "\n"
    };
    let lines = block(json!({"type": "thinking", "thinking": secrets}))
        + &block(json!({"type": "tool_use", "id": "t1", "name": "Bash", "input": input}));
    std::fs::write(&transcript, lines).unwrap();
    let hook = |event: &str, id: &str, tool: &str, input: &Value, response: Value| {
        let stdin = json!({"session_id": "s", "cwd": project, "transcript_path": transcript, "hook_event_name": event,
            "tool_use_id": id, "tool_name": tool, "tool_input": input, "tool_response": response, "error": secrets});
        plain(world.countersign(["hook", "claude-code"]), &[stdin])
    };
    let read = json!({"file_path": project.join("notes.txt")});
    let resource = json!({"server": "wiki", "uri": format!("wiki://a?token={SECRET}")});
    let page = json!({"contents": [{"uri": format!("wiki://a?token={SECRET}"), "text": secrets}]});
    let mut said = hook("PreToolUse", "t1", "Bash", &input, Value::Null);
    said += &hook("PostToolUse", "t1", "Bash", &input, json!({"stdout": secrets, "stderr": KEY}));
    said += &hook("PostToolUse", "t2", "Read", &read, json!({"file": {"content": secrets}}));
    said += &hook("PostToolUse", "t3", "ReadMcpResourceTool", &resource, page);
    said += &hook("PostToolUseFailure", "t4", "Bash", &input, Value::Null);

    let update = |update: Value| json!({"jsonrpc": "2.0", "method": "session/update", "params": {"sessionId": "s", "update": update}});
    let script = [
        json!({"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": 1}}),
        update(json!({"sessionUpdate": "agent_thought_chunk", "content": {"type": "text", "text": secrets}})),
        update(json!({"sessionUpdate": "tool_call", "toolCallId": "c1", "kind": "execute", "title": secrets,
            "rawInput": {"command": format!("TOKEN={SECRET} npm test")}, "rawOutput": secrets, "status": "completed",
            "content": [{"type": "content", "content": {"type": "resource", "resource":
                {"uri": format!("wiki://b?token={SECRET}"), "text": secrets}}}]})),
    ];
    let file = world.path().join("agent.sh");
    let printed: String = script.iter().map(|line| format!("cat <<'MESSAGE'\n{line}\nMESSAGE\n")).collect();
    std::fs::write(&file, format!("read -r line\n{printed}cat > /dev/null")).unwrap();
    let start = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": 1}});
    let mut tap = world.countersign(["tap", "--", "sh", file.to_str().unwrap()]);
    tap.current_dir(project);
    // What passes the tap is the agent's own.
    let passed = script.iter().fold(plain(tap, &[start]), |said, line| said.replace(&line.to_string(), ""));
    said + &passed
}

/// Sends messages a line each, and returns all output of a program.
fn plain(mut command: Command, messages: &[Value]) -> String {
    command.env("COUNTERSIGN_LOG", "trace").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for message in messages {
        writeln!(stdin, "{message}").unwrap();
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Sends messages and a line of garbage, closes the input, and returns all output of a program.
fn speak(mut command: Command, messages: &[Value]) -> String {
    command.env("COUNTERSIGN_LOG", "trace").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for message in messages {
        let body = message.to_string();
        write!(stdin, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    }
    // The other side may have ended on `exit` already.
    let _ = writeln!(stdin, "garbage {SECRET}\r\n\r\n");
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Sends the trail to a collector. Returns the collector's directory.
fn replay(world: &World) -> PathBuf {
    let archive = world.path().join("archive");
    let data = archive.to_str().unwrap();
    let mut collector = world
        .countersign(["collect", "--data", data, "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(collector.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    let token = world.path().join("token");
    let made = world.run(["collect", "token", "--data", data, "--role", "device", "--subject", "canary"]);
    std::fs::write(&token, made.stdout).unwrap();
    let sent = world
        .countersign(["replay", "--once", "--to", ready["listening"].as_str().unwrap()])
        .arg("--token-file")
        .arg(&token)
        .output()
        .unwrap();
    collector.kill().unwrap();
    collector.wait().unwrap();
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    archive
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
