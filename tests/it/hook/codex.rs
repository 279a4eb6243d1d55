//! Codex patches on every way by which they can come: as a tool of their own, as a function call, and as a
//! command of the shell; what no hook tells stands in the rollout.

use serde_json::{Value, json};

use super::agent::edits;
use super::documented::{Desk, edit, outcomes, told};
use crate::support::of_type;

const PATCH: &str = "*** Begin Patch\n*** Add File: new.txt\n+new\n*** Update File: a.txt\n@@\n-one\n+1\n\
     *** Delete File: gone.txt\n*** Update File: old.txt\n*** Move to: moved.txt\n@@\n-old\n+moved\n*** End Patch\n";

/// How a patch is called: by hooks under the name, by the rollout in this item.
struct Way {
    hook: (&'static str, fn() -> Value),
    item: fn() -> Value,
    output: fn() -> Value,
    /// Whether a hook runs after it.
    has_end: bool,
}

fn heredoc() -> String {
    format!("apply_patch <<'EOF'\n{PATCH}EOF\n")
}

const WAYS: &[Way] = &[
    Way {
        hook: ("apply_patch", || json!({"command": PATCH})),
        item: || json!({"type": "custom_tool_call", "name": "apply_patch", "input": PATCH}),
        output: || json!({"type": "custom_tool_call_output", "output": "Exit code: 0\nWall time: 0 seconds\nOutput:\nSuccess."}),
        has_end: true,
    },
    Way {
        hook: ("apply_patch", || json!({"command": PATCH})),
        item: || json!({"type": "function_call", "name": "apply_patch", "arguments": json!({"input": PATCH}).to_string()}),
        output: || json!({"type": "function_call_output", "output": "{\"output\":\"Success\",\"metadata\":{\"exit_code\":0}}"}),
        has_end: false,
    },
    Way {
        hook: ("Bash", || json!({"command": heredoc()})),
        item: || json!({"type": "function_call", "name": "exec_command", "arguments": json!({"cmd": heredoc()}).to_string()}),
        output: || json!({"type": "function_call_output", "output": "Process exited with code 0\nOutput:\nSuccess"}),
        has_end: false,
    },
    Way {
        hook: ("Bash", || json!({"command": heredoc()})),
        item: || {
            let command = json!({"command": ["bash", "-lc", heredoc()]});
            json!({"type": "function_call", "name": "shell", "arguments": command.to_string()})
        },
        output: || json!({"type": "function_call_output", "output": [{"type": "input_text", "text": "Exit code: 0"}]}),
        has_end: false,
    },
];

struct Codex {
    desk: Desk,
}

impl Codex {
    fn new() -> Codex {
        let desk = Desk::new();
        desk.write("a.txt", "zero\none\n");
        desk.write("gone.txt", "gone\n");
        desk.write("old.txt", "old\n");
        Codex { desk }
    }

    fn says(&self, event: &str, more: Value) {
        let rollout = self.desk.world.path().join("rollout.jsonl");
        let mut said = json!({"session_id": "s", "cwd": self.desk.root, "hook_event_name": event, "model": "gpt-5",
            "turn_id": "t", "permission_mode": "default", "transcript_path": rollout});
        more.as_object().unwrap().iter().for_each(|(name, value)| said[name] = value.clone());
        assert_eq!(self.desk.says("codex", &said), "");
    }

    fn rollout(&self, items: &[Value]) {
        let lines = items.iter().map(|item| {
            let mut item = item.clone();
            item["call_id"] = json!("call_1");
            format!("{}\n", json!({"type": "response_item", "payload": item}))
        });
        std::fs::write(self.desk.world.path().join("rollout.jsonl"), lines.collect::<String>()).unwrap();
    }

    fn call(&self, event: &str, way: &Way) {
        let (tool, input) = (way.hook.0, (way.hook.1)());
        self.says(event, json!({"tool_use_id": "call_1", "tool_name": tool, "tool_input": input}));
    }
}

#[test]
fn a_patch_that_adds_changes_deletes_and_moves_is_told_file_by_file() {
    for (at, way) in WAYS.iter().enumerate() {
        let codex = Codex::new();
        codex.call("PreToolUse", way);
        codex.desk.write("new.txt", "new\n");
        codex.desk.write("a.txt", "zero\n1\n");
        std::fs::remove_file(codex.desk.root.join("gone.txt")).unwrap();
        std::fs::remove_file(codex.desk.root.join("old.txt")).unwrap();
        codex.desk.write("moved.txt", "moved\n");
        codex.rollout(&[(way.item)(), (way.output)()]);
        if way.has_end {
            codex.call("PostToolUse", way);
        }
        codex.says("Stop", json!({}));
        let events = codex.desk.world.log();
        assert_eq!(
            edits(&events),
            [
                edit("call_1", "a.txt", Some("zero\none\n"), Some("zero\n1\n")),
                edit("call_1", "gone.txt", Some("gone\n"), None),
                edit("call_1", "moved.txt", None, Some("moved\n")),
                edit("call_1", "new.txt", None, Some("new\n")),
                edit("call_1", "old.txt", Some("old\n"), None),
            ],
            "{at}"
        );
        assert_eq!(outcomes(&events), told(&[("call_1", "applied")]), "{at}");
        assert_eq!(of_type(&events, "edit.applied")[0]["data"]["model"]["requested"], "gpt-5");
    }
}

#[test]
fn a_patch_that_failed_was_refused_or_was_stopped_changes_nothing() {
    for (output, outcome) in [
        ("apply_patch verification failed: Failed to find expected lines", "failed"),
        ("{\"output\":\"no\",\"metadata\":{\"exit_code\":1}}", "failed"),
        ("exec_command failed: rejected by user", "rejected"),
        ("aborted by user after 3.2s", "rejected"),
        ("Command blocked by PreToolUse hook: no", "denied"),
    ] {
        for way in WAYS {
            let codex = Codex::new();
            codex.call("PreToolUse", way);
            codex.rollout(&[(way.item)(), json!({"type": "function_call_output", "output": output})]);
            codex.says("Stop", json!({}));
            let events = codex.desk.world.log();
            assert_eq!(outcomes(&events), told(&[("call_1", outcome)]), "{output}");
            assert_eq!(edits(&events), []);
        }
    }
}
