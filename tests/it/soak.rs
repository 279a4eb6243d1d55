//! A long day through the real tap, compressed in time: nothing is lost and memory stays flat.
//!
//! `COUNTERSIGN_LONG=1` makes the day ten times as long.

// Memory is read from /proc.
#![cfg(target_os = "linux")]

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{World, is_long, memory_kib, of_type, wait_for};

#[test]
fn every_suggestion_of_a_long_day_is_told_and_memory_stays_flat() {
    let suggestions = if is_long() { 10_000 } else { 1_000 };
    let world = World::new();
    let recording = world.path().join("day.jsonl");
    let day = Day::of(suggestions);
    std::fs::write(&recording, day.recording()).expect("a recording");

    let mut tap = world
        .countersign(["tap", "--tool", "copilot", "--", env!("CARGO_BIN_EXE_countersign"), "demo-server"])
        .arg(&recording)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the tap starts");
    let mut stdin = tap.stdin.take().expect("piped");
    let mut stdout = BufReader::new(tap.stdout.take().expect("piped"));
    let mut after_a_fifth = 0;
    for (i, step) in day.steps.iter().enumerate() {
        if let Some(said) = &step.editor {
            stdin.write_all(framed(said).as_bytes()).expect("the tap reads");
        }
        if let Some(answer) = &step.server {
            assert_eq!(read_frame(&mut stdout), answer.to_string());
        }
        // A day has pauses: whoever listens may catch up now and then.
        if i % 400 == 399 {
            let told = day.steps[..=i].iter().filter(|step| step.is_question).count();
            wait_for("the trail to catch up", || {
                let mut log = world.countersign(["log", "--json", "--type", "suggestion.offered"]);
                let log = log.output().expect("it runs").stdout;
                (log.iter().filter(|&&b| b == b'\n').count() >= told).then_some(())
            });
        }
        if i == day.steps.len() / 5 {
            after_a_fifth = memory_kib(tap.id());
        }
    }
    let at_the_end = memory_kib(tap.id());
    drop(stdin);
    assert!(tap.wait().expect("it ends").success());

    let events = world.log();
    let offered = of_type(&events, "suggestion.offered");
    let contributions: HashSet<&str> = offered.iter().filter_map(|event| event["subject"].as_str()).collect();
    assert_eq!((offered.len(), contributions.len()), (suggestions, suggestions));
    let ends = ["suggestion.accepted", "suggestion.rejected"].map(|name| of_type(&events, name)).concat();
    let ended: HashSet<&str> = ends.iter().filter_map(|event| event["subject"].as_str()).collect();
    assert_eq!(ended, contributions, "each has its end");
    assert_eq!(of_type(&events, "suggestion.accepted").len(), suggestions.div_ceil(2));
    for lost in ["trail.gap", "capture.degraded"] {
        assert_eq!(of_type(&events, lost), Vec::<&Value>::new());
    }
    world.run(["verify"]);
    eprintln!(
        "{suggestions} suggestions, {} events: resident {after_a_fifth} KiB after a fifth, {at_the_end} KiB at the end",
        events.len()
    );
    // What each suggestion leaves behind would show: a kibibyte each is ten mebibytes in the long day.
    assert!(at_the_end < after_a_fifth + 12 * 1024, "{after_a_fifth} KiB became {at_the_end} KiB");
}

/// What an editor and an AI server say to each other.
#[derive(Default)]
pub struct Day {
    pub steps: Vec<Step>,
}

/// What the editor says, and what comes back.
pub struct Step {
    pub editor: Option<Value>,
    pub server: Option<Value>,
    /// A suggestion comes back.
    is_question: bool,
}

impl Day {
    /// Every second suggestion is taken; then the document is emptied.
    fn of(suggestions: usize) -> Day {
        let uri = "file:///nowhere/day.py";
        let at = json!({ "line": 0, "character": 0 });
        let mut day = Day::opened(uri);
        for i in 0..suggestions {
            let text = format!("def of_the_day_{i}(thing):\n    return thing.part_{} + {i}\n", i * 7);
            let command =
                json!({ "command": "github.copilot.didAcceptCompletionItem", "arguments": [format!("id-{i}")] });
            let item = json!({ "insertText": text, "range": {"start": at, "end": at}, "command": command });
            let place = json!({ "textDocument": {"uri": uri, "version": 2 * i}, "position": at,
                "context": {"triggerKind": 2} });
            day.ask(&format!("q{i}"), "textDocument/inlineCompletion", place, json!({ "items": [item] }));
            if i % 2 == 1 {
                continue;
            }
            let change = |text: &str, range: Value| {
                json!({ "textDocument": {"uri": uri, "version": 2 * i + 1},
                    "contentChanges": [{"range": range, "text": text}] })
            };
            day.tell("textDocument/didChange", change(&text, json!({"start": at, "end": at})));
            day.ask(&format!("c{i}"), "workspace/executeCommand", command, Value::Null);
            let all = json!({ "start": at, "end": {"line": 2, "character": 0} });
            day.tell("textDocument/didChange", change("", all));
        }
        day
    }

    /// A Copilot was greeted and an empty document opened.
    pub fn opened(uri: &str) -> Day {
        let mut day = Day::default();
        let info =
            json!({ "capabilities": {}, "serverInfo": {"name": "GitHub Copilot Language Server", "version": "1"} });
        day.ask("1", "initialize", json!({"capabilities": {}, "clientInfo": {"name": "editor"}}), info);
        day.tell(
            "textDocument/didOpen",
            json!({"textDocument":
            {"uri": uri, "languageId": "python", "version": 0, "text": ""}}),
        );
        day
    }

    /// A request of the editor and its answer.
    pub fn ask(&mut self, id: &str, method: &str, params: Value, result: Value) {
        self.steps.push(Step {
            editor: Some(json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })),
            server: Some(json!({ "jsonrpc": "2.0", "id": id, "result": result })),
            is_question: method == "textDocument/inlineCompletion",
        });
    }

    /// A notification of the editor.
    pub fn tell(&mut self, method: &str, params: Value) {
        let editor = Some(json!({ "jsonrpc": "2.0", "method": method, "params": params }));
        self.steps.push(Step { editor, server: None, is_question: false });
    }

    /// The same as a recording, for the server's side.
    pub fn recording(&self) -> String {
        let line = |dir: &str, message: &Option<Value>| {
            let Some(message) = message else { return String::new() };
            let body = message.to_string();
            let header = format!("Content-Length: {}\r\n\r\n", body.len());
            json!({ "dir": dir, "header": header, "body": body }).to_string() + "\n"
        };
        self.steps.iter().map(|step| line("c2s", &step.editor) + &line("s2c", &step.server)).collect()
    }
}

/// Frames a message as the editor does.
pub fn framed(message: &Value) -> String {
    let body = message.to_string();
    format!("Content-Length: {}\r\n\r\n{body}", body.len())
}

/// Reads one message of the server.
pub fn read_frame(from: &mut impl BufRead) -> String {
    let mut header = String::new();
    from.read_line(&mut header).expect("a header");
    from.read_line(&mut String::new()).expect("an empty line");
    let length = header.trim().strip_prefix("Content-Length: ").and_then(|n| n.parse().ok()).expect(&header);
    let mut body = vec![0; length];
    from.read_exact(&mut body).expect("a body");
    String::from_utf8(body).expect("UTF-8")
}
