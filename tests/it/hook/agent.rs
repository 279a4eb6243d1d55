//! An agent made up for one question: says what Claude Code says, does what a scenario wants.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};

use super::replay;
use crate::support::{World, of_type};

pub struct Agent {
    pub world: World,
    pub root: PathBuf,
    transcript: PathBuf,
}

impl Agent {
    pub fn new() -> Agent {
        let world = World::new();
        let root = world.repository("demo");
        let transcript = world.path().join("projects/s1.jsonl");
        std::fs::create_dir_all(transcript.parent().unwrap()).unwrap();
        Agent { world, root, transcript }
    }

    /// One hook call. `more` is added to what every call says.
    pub fn says(&self, event: &str, more: Value) {
        let mut said = json!({"session_id": "s1", "transcript_path": self.transcript, "cwd": self.root,
            "hook_event_name": event, "permission_mode": "default"});
        for (name, value) in more.as_object().unwrap() {
            said[name] = value.clone();
        }
        let mut command = self.world.countersign(["hook", "claude-code"]);
        let output = replay::run(command.stdin(Stdio::piped()), said.to_string().as_bytes());
        assert!(output.status.success());
        assert_eq!((output.stdout, output.stderr), (Vec::new(), Vec::new()));
    }

    pub fn before(&self, id: &str, tool: &str, input: &Value) {
        self.says("PreToolUse", json!({"tool_use_id": id, "tool_name": tool, "tool_input": input}));
    }

    pub fn after(&self, id: &str, tool: &str, input: &Value) {
        self.says(
            "PostToolUse",
            json!({"tool_use_id": id, "tool_name": tool, "tool_input": input, "tool_response": {}}),
        );
    }

    /// A call from beginning to end.
    pub fn calls(&self, id: &str, tool: &str, input: &Value, does: impl FnOnce()) {
        self.before(id, tool, input);
        does();
        self.after(id, tool, input);
    }

    pub fn file(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    pub fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.file(path), bytes).unwrap();
    }

    /// Lines of the session file, or of a sub-agent's.
    pub fn transcript(&self, of: Option<&str>, lines: &[Value]) {
        let file = match of {
            Some(agent) => self.transcript.with_extension("").join(format!("subagents/agent-{agent}.jsonl")),
            None => self.transcript.clone(),
        };
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(file, text).unwrap();
    }

    pub fn log(&self) -> Vec<Value> {
        let trouble = std::fs::read_to_string(self.state().join("hook.log")).unwrap_or_default();
        assert_eq!(trouble, "");
        self.world.log()
    }

    pub fn state(&self) -> PathBuf {
        self.world.home().join("state")
    }
}

/// A line in which the model calls a tool.
pub fn used(id: &str, tool: &str, input: &Value, model: &str) -> Value {
    json!({"type": "assistant", "requestId": format!("req_{id}"), "version": "2.1.197", "message": {"model": model,
        "content": [{"type": "tool_use", "id": id, "name": tool, "input": input}]}})
}

/// A line in which a call ends.
pub fn result(id: &str, is_error: bool, content: &str) -> Value {
    json!({"type": "user", "toolUseResult": null, "message": {"content":
        [{"type": "tool_result", "tool_use_id": id, "is_error": is_error, "content": content}]}})
}

/// Every call: its id, its end, who decided.
pub fn ends(events: &[Value]) -> Vec<(String, String, Value)> {
    let called = of_type(events, "tool.called").into_iter().map(|event| {
        let data = &event["data"];
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        (text(&data["path"]["tool_call_id"]), text(&data["outcome"]), data["decision"].clone())
    });
    called.collect()
}

/// Every edit: its call, its path, its texts.
pub fn edits(events: &[Value]) -> Vec<(String, String, Value, Value)> {
    let mut edits: Vec<(String, String, Value, Value)> = of_type(events, "edit.applied")
        .into_iter()
        .map(|event| {
            let data = &event["data"];
            let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
            let content = &event["content"];
            let (before, after) = (content["before"].clone(), content["after"].clone());
            (text(&data["path"]["tool_call_id"]), text(&data["place"]["path"]), before, after)
        })
        .collect();
    edits.sort_by_key(|edit| format!("{edit:?}"));
    edits
}

/// Every file below a directory.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
