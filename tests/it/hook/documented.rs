//! Clients whose hooks are documented and were not recorded, and the open form.

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::{Value, json};

use super::agent::{edits, ends};
use super::replay;
use crate::support::{World, json_lines, of_type};

pub struct Desk {
    pub world: World,
    pub root: PathBuf,
}

impl Desk {
    pub fn new() -> Desk {
        let world = World::new();
        let root = world.repository("demo");
        Desk { world, root }
    }

    pub fn says(&self, client: &str, stdin: &Value) -> String {
        self.says_of(client, None, stdin)
    }

    /// Says what the event is on the command line, as some clients do.
    pub fn says_of(&self, client: &str, event: Option<&str>, stdin: &Value) -> String {
        let mut command = self.world.countersign(["hook", client].into_iter().chain(event));
        command.current_dir(&self.root).stdin(Stdio::piped());
        let output = replay::run(&mut command, stdin.to_string().as_bytes());
        assert!(output.status.success());
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn write(&self, path: &str, text: &str) {
        std::fs::write(self.root.join(path), text).unwrap();
    }

    /// Says what documentation shows. Before each line that is the `at`-th of its event, a file changes.
    fn plays(&self, client: &str, name: &str, changes: &[(&str, usize, &str, &str)], answer: &str) {
        let text = fixture(&format!("{name}.jsonl")).replace("/workspace/demo", self.root.to_str().unwrap());
        let mut seen = std::collections::BTreeMap::<String, usize>::new();
        for line in json_lines(text.as_bytes()) {
            let event = line["event"].as_str().unwrap();
            let at = seen.entry(event.to_owned()).or_default();
            for (_, _, path, after) in changes.iter().filter(|change| (change.0, change.1) == (event, *at)) {
                self.write(path, after);
            }
            *at += 1;
            assert_eq!(self.says(client, &line["stdin"]), answer);
        }
    }

    /// Compares the trail with what documentation says happened: each edit once, and no other.
    fn compare(&self, name: &str, client: &str) -> Vec<Value> {
        let events = self.world.log();
        let truth: Value = serde_json::from_str(&fixture(&format!("{name}.ground_truth.json"))).unwrap();
        let told = of_type(&events, "edit.applied");
        let mut applied = truth["edits"].as_array().unwrap().iter().filter(|edit| edit["status"] == "applied");
        for event in &told {
            let edit = applied.next().unwrap_or_else(|| panic!("no such edit: {event}"));
            let (data, content) = (&event["data"], &event["content"]);
            let path = edit["file"].as_str().unwrap().strip_prefix("/workspace/demo/").unwrap();
            assert_eq!(data["place"]["path"], path);
            let word = |name: &str| edit[name].as_str().or(edit[format!("{name}_line")].as_str()).unwrap();
            let after = content["after"].as_str().unwrap();
            assert!(after.contains(word("new")), "{after}");
            if let Some(before) = content["before"].as_str() {
                assert_eq!(before.replacen(word("old"), word("new"), 1), after);
            }
            if let Some(id) = edit["tool_use_id"].as_str() {
                assert_eq!(data["path"]["tool_call_id"], id);
            }
            if edit.get("model").is_some() {
                assert_eq!(data["model"]["requested"], edit["model"]);
            }
            assert_eq!(data["model"]["responded"], Value::Null);
            assert_eq!(data["path"]["kind"], if edit["via"] == "tab" { "ide" } else { "agent" });
            assert_eq!(data["path"]["tool"], client);
        }
        assert_eq!(applied.next(), None);
        for edit in truth["edits"].as_array().unwrap().iter().filter(|edit| edit["status"] != "applied") {
            let end = ends(&events).into_iter().find(|end| edit["tool_use_id"] == end.0.as_str()).unwrap();
            assert_eq!(edit["status"], end.1.as_str());
        }
        assert_eq!(of_type(&events, "capture.degraded"), Vec::<&Value>::new());
        events
    }
}

fn fixture(name: &str) -> String {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/agents/documented");
    std::fs::read_to_string(format!("{dir}/{name}")).unwrap()
}

pub type Told = (String, String, Value, Value);

pub fn edit(call: &str, path: &str, before: Option<&str>, after: Option<&str>) -> Told {
    (call.to_owned(), path.to_owned(), json!(before), json!(after))
}

pub fn outcomes(events: &[Value]) -> Vec<(String, String)> {
    ends(events).into_iter().map(|end| (end.0, end.1)).collect()
}

pub fn told(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(id, end)| ((*id).to_owned(), (*end).to_owned())).collect()
}

const PARSE: &str = "if (s) {\n  return go(s);\n}\nconst t = raw;\n";

#[test]
fn cursor_tells_of_an_edit_twice_of_a_refusal_and_of_a_completion() {
    for (completed, saved) in [("const t = raw.trim();", true), ("const t = raw;", false)] {
        let desk = Desk::new();
        desk.write("parse.ts", PARSE);
        let edited = "if (!s) return null;\nreturn go(s);\nconst t = raw;\n";
        let completed = edited.replace("const t = raw;", completed);
        let changes = [("afterFileEdit", 0, "parse.ts", edited), ("afterTabFileEdit", 0, "parse.ts", &completed)];
        desk.plays("cursor", "cursor-agent-and-tab", &changes, "{}\n");
        let events = desk.compare("cursor-agent-and-tab", "cursor");
        let after = edited.replace("raw;", "raw.trim();");
        assert_eq!(
            edits(&events),
            [
                edit("-", "parse.ts", Some(edited), Some(&after)),
                edit("tool_7a1", "parse.ts", Some(PARSE), Some(edited))
            ],
            "saved: {saved}"
        );
        let called = [("tool_7a1", "applied"), ("-", "ran"), ("tool_7a2", "rejected")];
        assert_eq!(outcomes(&events), told(&called));
        assert_eq!(ends(&events)[2].2, json!({"by": "person", "scope": "once"}));
        let [by_agent, by_tab] = of_type(&events, "edit.applied")[..] else { panic!() };
        assert_eq!(by_agent["data"]["model"]["requested"], "claude-4.5-sonnet");
        // Who completes is not told: the model it names is the composer's.
        assert_eq!(by_tab["data"]["model"], json!({"absent": "not_on_wire"}));
        assert_eq!(by_tab["data"]["prompt"], json!({"absent": "not_on_wire"}));
        assert_eq!(of_type(&events, "prompt.submitted").len(), 1);
    }
}

#[test]
fn windsurf_tells_of_writes_and_says_when_it_does_not_know_the_model() {
    let desk = Desk::new();
    desk.write("a.py", "import os\n");
    let changes =
        [("post_write_code", 0, "a.py", "import json\nimport os\n"), ("post_write_code", 1, "b.py", "X = 1\n")];
    desk.plays("windsurf", "windsurf-cascade", &changes, "");
    let events = desk.compare("windsurf-cascade", "windsurf");
    assert_eq!(edits(&events)[0], edit("-", "a.py", Some("import os\n"), Some("import json\nimport os\n")));
    // Nothing was said before it: what was there is not known, and not invented.
    let of_new = of_type(&events, "edit.applied")[1];
    assert_eq!(of_new["data"]["content"]["before"], json!({"absent": "not_on_wire"}));
    assert_eq!(of_new["data"]["model"], json!({"absent": "not_on_wire"}));
    let ends: Vec<String> = ends(&events).into_iter().map(|end| end.1).collect();
    // Of a command nobody saw the files before, so nobody can say that it changed none.
    assert_eq!(ends, ["applied", "unknown", "applied"]);
    assert_eq!(of_type(&events, "prompt.submitted")[0]["content"]["prompt"], "add json import");
}

#[test]
fn vscode_names_no_model_and_its_hook_may_run_before_the_file_is_saved() {
    // It runs the hooks that were written for Claude Code and Copilot CLI, too.
    for client in ["vscode-copilot", "copilot", "claude-code"] {
        for is_saved in [true, false] {
            let desk = Desk::new();
            desk.write("m.ts", "function add(a) {}\n");
            let after = "function sum(a) {}\n";
            let changes = [(if is_saved { "PostToolUse" } else { "Stop" }, 0, "m.ts", after)];
            desk.plays(client, "vscode-copilot-agent-hooks", &changes, "");
            let events = desk.compare("vscode-copilot-agent-hooks", "vscode-copilot");
            assert_eq!(edits(&events), [edit("tool-1", "m.ts", Some("function add(a) {}\n"), Some(after))]);
            assert_eq!(of_type(&events, "edit.applied")[0]["data"]["model"], json!({"absent": "not_on_wire"}));
            assert_eq!(outcomes(&events), told(&[("tool-1", "applied")]));
            assert_eq!(ends(&events)[0].2, Value::Null, "whether it was kept is not reported");
            assert_eq!(of_type(&events, "prompt.submitted")[0]["content"]["prompt"], "rename add to sum");
        }
    }
}

#[test]
fn the_open_form_tells_of_edits_between_two_moments() {
    let desk = Desk::new();
    desk.write("a.py", "one\n");
    desk.write("b.py", "one\n");
    let directory = desk.root.to_str().unwrap();
    desk.write("b.py", "a person's\n");
    desk.says("agent-v1", &json!({"type": "human", "repo_working_dir": directory}));
    desk.write("a.py", "two\n");
    desk.write("new.py", "x\n");
    let edited = json!({"type": "ai_agent", "repo_working_dir": directory, "edited_filepaths": ["a.py", "new.py"],
        "agent_name": "acme", "model": "m-1", "conversation_id": "c1", "prompt": "make it two", "request_id": "r1"});
    assert_eq!(desk.says("agent-v1", &edited), "");
    let events = desk.world.log();
    assert_eq!(
        edits(&events),
        [edit("-", "a.py", Some("one\n"), Some("two\n")), edit("-", "new.py", None, Some("x\n"))]
    );
    let data = &of_type(&events, "edit.applied")[0]["data"];
    assert_eq!(data["model"], json!({"requested": "m-1", "how": "reported", "absent": "not_on_wire"}));
    let path = &data["path"];
    assert_eq!((&path["tool"], &path["session"], &path["request_id"]), (&json!("acme"), &json!("c1"), &json!("r1")));
    assert_eq!(of_type(&events, "prompt.submitted")[0]["content"]["prompt"], "make it two");
    assert_eq!(ends(&events), []);
}

#[test]
fn the_open_form_tells_of_what_an_editor_has_not_saved() {
    let desk = Desk::new();
    desk.write("a.py", "saved\n");
    let file = desk.root.join("a.py");
    let file = file.to_str().unwrap();
    desk.says(
        "agent-v1",
        &json!({"type": "human", "repo_working_dir": desk.root, "will_edit_filepaths": [file],
            "dirty_files": {file: "saved\ntyped\n"}}),
    );
    desk.says(
        "agent-v1",
        &json!({"type": "ai_agent", "repo_working_dir": desk.root, "edited_filepaths": [file],
            "dirty_files": {file: "saved\ntyped\nwritten\n"}, "agent_name": "acme", "model": "m", "conversation_id": "c"}),
    );
    assert_eq!(edits(&desk.world.log()), [edit("-", "a.py", Some("saved\ntyped\n"), Some("saved\ntyped\nwritten\n"))]);
}

#[test]
fn the_open_form_tells_of_shell_commands() {
    let desk = Desk::new();
    let says = |what: &str| {
        desk.says(
            "agent-v1",
            &json!({"type": what, "repo_working_dir": desk.root, "tool_use_id": "s1", "command": "make",
                "agent_name": "acme", "model": "m", "conversation_id": "c"}),
        );
    };
    says("pre_shell_command");
    desk.write("made.txt", "made\n");
    says("post_shell_command");
    let events = desk.world.log();
    assert_eq!(edits(&events), [edit("s1", "made.txt", None, Some("made\n"))]);
    assert_eq!(ends(&events)[0].1, "applied");
}
