//! Clients whose hooks are documented and were not recorded, and the open form.

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::{Value, json};

use super::agent::{edits, ends};
use super::replay;
use crate::support::{World, json_lines, of_type};

struct Desk {
    world: World,
    root: PathBuf,
}

impl Desk {
    fn new() -> Desk {
        let world = World::new();
        let root = world.repository("demo");
        Desk { world, root }
    }

    fn says(&self, client: &str, stdin: &Value) -> String {
        let mut command = self.world.countersign(["hook", client]);
        command.current_dir(&self.root).stdin(Stdio::piped());
        let output = replay::run(&mut command, stdin.to_string().as_bytes());
        assert!(output.status.success());
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        String::from_utf8(output.stdout).unwrap()
    }

    fn write(&self, path: &str, text: &str) {
        std::fs::write(self.root.join(path), text).unwrap();
    }

    /// Says what documentation shows; before each line that names it, a file changes.
    fn plays(&self, client: &str, name: &str, changes: &[(&str, &str, &str)], answer: &str) {
        let file = format!("{}/../../tests/fixtures/agents/documented/{name}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(file).unwrap().replace("/workspace/demo", self.root.to_str().unwrap());
        for line in json_lines(text.as_bytes()) {
            for (event, path, after) in changes {
                if line["event"] == *event && line["stdin"].to_string().contains(path) {
                    self.write(path, after);
                }
            }
            assert_eq!(self.says(client, &line["stdin"]), answer);
        }
    }
}

type Told = (String, String, Value, Value);

fn edit(call: &str, path: &str, before: Option<&str>, after: Option<&str>) -> Told {
    (call.to_owned(), path.to_owned(), json!(before), json!(after))
}

#[test]
fn cursor_tells_of_one_edit_twice_and_it_is_one() {
    let desk = Desk::new();
    desk.write("parse.ts", "if (s) {\n  return go(s);\n}\n");
    let after = "if (!s) return null;\nreturn go(s);\n";
    desk.plays("cursor", "cursor-agent-and-tab.jsonl", &[("afterFileEdit", "parse.ts", after)], "{}\n");
    let events = desk.world.log();
    let before = "if (s) {\n  return go(s);\n}\n";
    assert_eq!(edits(&events), [edit("tool_7a1", "parse.ts", Some(before), Some(after))]);
    let told: Vec<(String, String)> = ends(&events).into_iter().map(|end| (end.0, end.1)).collect();
    assert_eq!(told, [("tool_7a1".into(), "applied".into()), ("tool_7a2".into(), "denied".into())]);
    let of_edit = of_type(&events, "edit.applied")[0];
    assert_eq!(of_edit["data"]["model"]["requested"], "claude-4.5-sonnet");
    assert_eq!(of_edit["data"]["model"]["responded"], Value::Null);
    let not_followed = of_type(&events, "capture.degraded");
    assert_eq!(not_followed[0]["data"]["detail"], "tab");
    assert_eq!(of_type(&events, "prompt.submitted").len(), 1);
}

#[test]
fn windsurf_tells_of_writes_and_says_when_it_does_not_know_the_model() {
    let desk = Desk::new();
    desk.write("a.py", "import os\n");
    let changes = [("post_write_code", "a.py", "import json\nimport os\n"), ("post_write_code", "b.py", "X = 1\n")];
    desk.plays("windsurf", "windsurf-cascade.jsonl", &changes, "");
    let events = desk.world.log();
    let told = edits(&events);
    assert_eq!(told[0], edit("-", "a.py", Some("import os\n"), Some("import json\nimport os\n")));
    // Nothing was said before it: what was there is not known, and not invented.
    assert_eq!((told[1].1.as_str(), told.len()), ("b.py", 2));
    assert_eq!(of_type(&events, "edit.applied")[0]["data"]["model"]["requested"], "SWE-1.5");
    assert_eq!(of_type(&events, "edit.applied")[1]["data"]["model"], json!({"absent": "not_on_wire"}));
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
