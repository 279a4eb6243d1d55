//! Clients whose hooks are only documented, case by case: what each can say is told, and nothing else.

use serde_json::{Value, json};

use super::agent::{edits, ends};
use super::documented::{Desk, edit, outcomes, told};
use crate::support::of_type;

/// A client by what its hooks say.
struct Client {
    name: &'static str,
    /// What every call says.
    base: fn(&Desk) -> Value,
    /// The names of before and after.
    events: [&'static str; 2],
    /// Says a tool's name and arguments.
    call: fn(&mut Value, event: &str, tool: &str, input: &Value),
    /// The arguments that write a whole file, that replace a text, and that run a command.
    write: fn(&str, &str) -> (&'static str, Value),
    replace: fn(&str, &str, &str) -> (&'static str, Value),
    shell: (&'static str, &'static str),
    end: &'static str,
    answer: &'static str,
    has_ids: bool,
    asks_for: Option<&'static str>,
}

fn put(said: &mut Value, fields: Value) {
    for (name, value) in fields.as_object().unwrap() {
        said[name] = value.clone();
    }
}

const CLIENTS: &[Client] = &[
    Client {
        name: "cline",
        base: |desk| {
            json!({"clineVersion": "3.17.0", "taskId": "t1", "workspaceRoots": [desk.root], "userId": "u",
                "model": {"provider": "anthropic", "slug": "claude-sonnet-4-5"}})
        },
        events: ["PreToolUse", "PostToolUse"],
        call: |said, event, tool, input| {
            let name = if event == "PreToolUse" { "preToolUse" } else { "postToolUse" };
            let more = json!({"hookName": event, name: {"toolName": tool, "parameters": input, "success": true}});
            put(said, more);
        },
        write: |path, text| ("write_to_file", json!({"path": path, "content": text})),
        replace: |path, old, new| {
            let diff = format!("------- SEARCH\n{old}=======\n{new}+++++++ REPLACE\n");
            ("replace_in_file", json!({"path": path, "diff": diff}))
        },
        shell: ("execute_command", "command"),
        end: "TaskComplete",
        answer: "{\"cancel\":false}\n",
        has_ids: false,
        asks_for: Some("claude-sonnet-4-5"),
    },
    Client {
        name: "kiro",
        base: |desk| json!({"cwd": desk.root, "session_id": "k1"}),
        events: ["preToolUse", "postToolUse"],
        call: |said, event, tool, input| {
            put(said, json!({"hook_event_name": event, "tool_name": tool, "tool_input": input}));
        },
        write: |path, text| ("fs_write", json!({"command": "create", "path": path, "file_text": text})),
        replace: |path, old, new| {
            ("fs_write", json!({"command": "str_replace", "path": path, "old_str": old, "new_str": new}))
        },
        shell: ("execute_bash", "command"),
        end: "stop",
        answer: "",
        has_ids: false,
        asks_for: None,
    },
    Client {
        name: "droid",
        base: |desk| {
            json!({"cwd": desk.root, "session_id": "d1", "transcript_path": desk.world.path().join("d1.jsonl"),
                "permission_mode": "off"})
        },
        events: ["PreToolUse", "PostToolUse"],
        call: |said, event, tool, input| {
            put(said, json!({"hook_event_name": event, "tool_name": tool, "tool_input": input}));
        },
        write: |path, text| ("Create", json!({"file_path": path, "content": text})),
        replace: |path, old, new| ("Edit", json!({"file_path": path, "old_str": old, "new_str": new})),
        shell: ("Execute", "command"),
        end: "SessionEnd",
        answer: "",
        has_ids: false,
        asks_for: Some("claude-opus-4-1"),
    },
    Client {
        name: "amp",
        base: |desk| json!({"cwd": desk.root, "thread": {"id": "T-1"}}),
        events: ["tool.call", "tool.result"],
        call: |said, event, tool, input| {
            put(said, json!({"type": event, "tool": tool, "input": input, "status": "done"}));
        },
        write: |path, text| ("create_file", json!({"path": path, "content": text})),
        replace: |path, old, new| ("edit_file", json!({"path": path, "old_str": old, "new_str": new})),
        shell: ("Bash", "cmd"),
        end: "agent.end",
        answer: "",
        has_ids: true,
        asks_for: None,
    },
    Client {
        name: "vscode-copilot",
        base: |desk| json!({"cwd": desk.root, "sessionId": "v1"}),
        events: ["PreToolUse", "PostToolUse"],
        call: |said, event, tool, input| {
            put(said, json!({"hookEventName": event, "tool_name": tool, "tool_input": input, "tool_response": "ok"}));
        },
        write: |path, text| ("create_file", json!({"filePath": path, "content": text})),
        replace: |path, old, new| {
            ("replace_string_in_file", json!({"filePath": path, "oldString": old, "newString": new}))
        },
        shell: ("run_in_terminal", "command"),
        end: "Stop",
        answer: "",
        has_ids: true,
        asks_for: None,
    },
    Client {
        name: "cursor",
        base: |desk| json!({"conversation_id": "c1", "generation_id": "g1", "workspace_roots": [desk.root], "model": "gpt-5"}),
        events: ["preToolUse", "postToolUse"],
        call: |said, event, tool, input| {
            put(said, json!({"hook_event_name": event, "tool_name": tool, "tool_input": input}));
        },
        write: |path, text| ("Write", json!({"file_path": path, "content": text})),
        replace: |path, old, new| ("StrReplace", json!({"path": path, "old_string": old, "new_string": new})),
        shell: ("Shell", "command"),
        end: "stop",
        answer: "{}\n",
        has_ids: true,
        asks_for: Some("gpt-5"),
    },
];

/// A session of one of them.
struct Session<'a> {
    desk: Desk,
    client: &'a Client,
}

impl Session<'_> {
    fn new(client: &Client) -> Session<'_> {
        let desk = Desk::new();
        std::fs::write(desk.world.path().join("d1.settings.json"), r#"{"model":"claude-opus-4-1"}"#).unwrap();
        Session { desk, client }
    }

    fn says(&self, event: &str, id: &str, tool: &str, input: &Value) {
        let mut said = (self.client.base)(&self.desk);
        (self.client.call)(&mut said, event, tool, input);
        if self.client.has_ids {
            put(&mut said, json!({"tool_use_id": id}));
        }
        assert_eq!(self.desk.says(self.client.name, &said), self.client.answer);
    }

    fn before(&self, id: &str, (tool, input): &(&str, Value)) {
        self.says(self.client.events[0], id, tool, input);
    }

    fn after(&self, id: &str, (tool, input): &(&str, Value)) {
        self.says(self.client.events[1], id, tool, input);
    }

    fn calls(&self, id: &str, call: &(&str, Value), does: impl FnOnce()) {
        self.before(id, call);
        does();
        self.after(id, call);
    }

    fn ends(&self) {
        let mut said = (self.client.base)(&self.desk);
        let named = ["hookName", "hook_event_name", "type", "hookEventName"];
        let own = |name: &&&str| match self.client.name {
            "cline" => **name == "hookName",
            "amp" => **name == "type",
            "vscode-copilot" => **name == "hookEventName",
            _ => **name == "hook_event_name",
        };
        let name = named.iter().find(own).unwrap();
        put(&mut said, json!({*name: self.client.end}));
        self.desk.says(self.client.name, &said);
    }

    fn id<'b>(&self, id: &'b str) -> &'b str {
        if self.client.has_ids { id } else { "-" }
    }

    fn path(&self, name: &str) -> String {
        // Some say it relative to their directory.
        if self.client.name == "cline" {
            name.to_owned()
        } else {
            self.desk.root.join(name).to_str().unwrap().to_owned()
        }
    }
}

#[test]
fn each_tells_of_files_that_are_written_changed_and_changed_by_a_command() {
    for client in CLIENTS {
        let session = Session::new(client);
        session.desk.write("dos.txt", "one\r\ntwo\r\n");
        let create = (client.write)(&session.path("new.txt"), "x\n");
        session.calls("c1", &create, || session.desk.write("new.txt", "x\n"));
        let replace = (client.replace)(&session.path("dos.txt"), "two\n", "2\n");
        session.calls("c2", &replace, || session.desk.write("dos.txt", "one\r\n2\r\n"));
        let shell = (client.shell.0, json!({client.shell.1: "make"}));
        session.calls("c3", &shell, || session.desk.write("made.txt", "made\n"));
        session.ends();
        let events = session.desk.world.log();
        let expected = [
            edit(session.id("c1"), "new.txt", None, Some("x\n")),
            edit(session.id("c2"), "dos.txt", Some("one\r\ntwo\r\n"), Some("one\r\n2\r\n")),
            edit(session.id("c3"), "made.txt", None, Some("made\n")),
        ];
        let mut found = edits(&events);
        for edit in &expected {
            let at = found.iter().position(|found| found == edit);
            found.remove(at.unwrap_or_else(|| panic!("{}: {edit:?} in {found:?}", client.name)));
        }
        assert_eq!(found, [], "{}", client.name);
        let ids = ["c1", "c2", "c3"].map(|id| (session.id(id), "applied"));
        assert_eq!(outcomes(&events), told(&ids), "{}", client.name);
        for event in of_type(&events, "edit.applied") {
            let model = &event["data"]["model"];
            assert_eq!(model["requested"].as_str(), client.asks_for, "{}", client.name);
            assert_eq!((&model["responded"], &model["absent"]), (&Value::Null, &json!("not_on_wire")));
        }
        assert_eq!(of_type(&events, "capture.degraded"), Vec::<&Value>::new(), "{}", client.name);
    }
}

#[test]
fn each_tells_of_a_call_that_never_ended_and_of_one_that_changed_nothing() {
    for client in CLIENTS {
        let session = Session::new(client);
        session.desk.write("a.txt", "a\n");
        session.calls("c1", &(client.write)(&session.path("a.txt"), "a\n"), || {});
        session.before("c2", &(client.write)(&session.path("b.txt"), "b\n"));
        session.ends();
        let events = session.desk.world.log();
        assert_eq!(edits(&events), [], "{}", client.name);
        // A task that is complete with a call under way has not said what became of it.
        assert_eq!(
            outcomes(&events),
            told(&[(session.id("c1"), "ran"), (session.id("c2"), "unknown")]),
            "{}",
            client.name
        );
    }
}

#[test]
fn the_same_call_a_second_time_is_another_call_and_another_edit() {
    for client in CLIENTS {
        let session = Session::new(client);
        session.desk.write("a.txt", "a\n");
        let (to_b, to_a) =
            ((client.write)(&session.path("a.txt"), "b\n"), (client.write)(&session.path("a.txt"), "a\n"));
        session.calls("c1", &to_b, || session.desk.write("a.txt", "b\n"));
        session.calls("c2", &to_a, || session.desk.write("a.txt", "a\n"));
        session.calls("c3", &to_b, || session.desk.write("a.txt", "b\n"));
        let events = session.desk.world.log();
        assert_eq!(edits(&events).len(), 3, "{}", client.name);
        assert_eq!(ends(&events).len(), 3, "{}", client.name);
        let ids: std::collections::BTreeSet<String> =
            of_type(&events, "edit.applied").iter().map(|event| event["data"]["contribution"].to_string()).collect();
        assert_eq!(ids.len(), 3, "{}", client.name);
    }
}

#[test]
fn two_writes_to_one_file_whose_ends_come_together_have_each_their_own_text() {
    for client in CLIENTS {
        let session = Session::new(client);
        session.desk.write("a.txt", "a\n");
        let (to_b, to_c) =
            ((client.write)(&session.path("a.txt"), "b\n"), (client.write)(&session.path("a.txt"), "c\n"));
        session.before("c1", &to_b);
        session.desk.write("a.txt", "b\n");
        session.before("c2", &to_c);
        session.desk.write("a.txt", "c\n");
        session.after("c2", &to_c);
        session.after("c1", &to_b);
        let mut found = edits(&session.desk.world.log());
        found.sort_by_key(|edit| edit.3.to_string());
        let expected = [
            edit(session.id("c1"), "a.txt", Some("a\n"), Some("b\n")),
            edit(session.id("c2"), "a.txt", Some("b\n"), Some("c\n")),
        ];
        assert_eq!(found, expected, "{}", client.name);
    }
}

#[test]
fn cline_tells_of_the_task_of_refusals_and_of_a_task_that_was_cancelled() {
    let desk = Desk::new();
    let says = |more: Value| {
        let mut said = json!({"taskId": "t1", "workspaceRoots": [desk.root]});
        put(&mut said, more);
        desk.says("cline", &said)
    };
    says(json!({"hookName": "TaskStart", "taskStart": {"taskMetadata": {"taskId": "t1", "initialTask": "go on"}}}));
    says(json!({"hookName": "UserPromptSubmit", "userPromptSubmit": {"prompt": "<task>\ngo on\n</task>"}}));
    says(json!({"hookName": "UserPromptSubmit", "userPromptSubmit": {"prompt": "go on"}}));
    let call = json!({"toolName": "write_to_file", "parameters": {"path": "a", "content": "x"}});
    says(json!({"hookName": "PreToolUse", "preToolUse": call}));
    let mut denied = call.clone();
    put(&mut denied, json!({"success": false, "result": "The user denied this operation."}));
    says(json!({"hookName": "PostToolUse", "postToolUse": denied}));
    let shell = json!({"toolName": "execute_command", "parameters": {"command": "make"}});
    says(json!({"hookName": "PreToolUse", "preToolUse": shell}));
    desk.write("made", "half\n");
    says(json!({"hookName": "TaskCancel", "taskCancel": {}}));
    let events = desk.world.log();
    let prompts: Vec<&Value> =
        of_type(&events, "prompt.submitted").iter().map(|event| &event["content"]["prompt"]).collect();
    assert_eq!(prompts, ["go on", "go on"]);
    let ended: Vec<(String, Value)> = ends(&events).into_iter().map(|end| (end.1, end.2)).collect();
    let person = json!({"by": "person", "scope": "once"});
    // A file changed, whatever the call's own end.
    assert_eq!(ended, [("rejected".to_owned(), person.clone()), ("applied".to_owned(), person)]);
}

#[test]
fn kiro_without_a_session_names_none() {
    let desk = Desk::new();
    let call = json!({"tool_name": "write", "tool_input": {"path": "a.txt", "content": "x\n"}});
    let says = |event: &str| {
        let mut said = json!({"cwd": desk.root, "hook_event_name": event});
        put(&mut said, call.clone());
        desk.says("kiro", &said);
    };
    says("preToolUse");
    desk.write("a.txt", "x\n");
    says("postToolUse");
    let events = desk.world.log();
    assert_eq!(edits(&events), [edit("-", "a.txt", None, Some("x\n"))]);
    assert_eq!(of_type(&events, "edit.applied")[0]["data"]["path"]["session"], Value::Null);
}

#[test]
fn droid_takes_the_ids_and_refusals_of_its_session_file() {
    let desk = Desk::new();
    let transcript = desk.world.path().join("d1.jsonl");
    let input = json!({"file_path": desk.root.join("a.txt"), "content": "x\n"});
    let other = json!({"file_path": desk.root.join("b.txt"), "content": "x\n"});
    let used = |id: &str, input: &Value| {
        json!({"type": "message", "message": {"role": "assistant",
            "content": [{"type": "tool_use", "id": id, "name": "Create", "input": input}]}})
    };
    let refused = json!({"type": "message", "message": {"role": "user", "content": [{"type": "tool_result",
        "tool_use_id": "call_2", "is_error": true, "content": "User rejected this tool call"}]}});
    let lines = [used("call_1", &input), used("call_2", &other), refused];
    std::fs::write(&transcript, lines.map(|line| format!("{line}\n")).concat()).unwrap();
    let says = |event: &str, input: &Value| {
        desk.says(
            "droid",
            &json!({"sessionId": "d1", "cwd": desk.root, "hookEventName": event, "transcriptPath": transcript,
                "toolName": "Create", "toolInput": input}),
        );
    };
    says("PreToolUse", &input);
    desk.write("a.txt", "x\n");
    says("PostToolUse", &input);
    says("PreToolUse", &other);
    says("Stop", &Value::Null);
    says("SessionEnd", &Value::Null);
    let events = desk.world.log();
    assert_eq!(edits(&events), [edit("call_1", "a.txt", None, Some("x\n"))]);
    assert_eq!(outcomes(&events), told(&[("call_1", "applied"), ("call_2", "rejected")]));
}

#[test]
fn amp_tells_whether_a_plugin_stopped_a_call_only_by_what_it_did_not_do() {
    let desk = Desk::new();
    desk.write("a.txt", "a\n");
    let says = |event: &str, more: Value| {
        let mut said = json!({"thread": {"id": "T-1"}, "cwd": desk.root});
        put(&mut said, more);
        desk.says_of("amp", Some(event), &said);
    };
    let edit = |id: &str, old: &str, status: &str| {
        json!({"toolUseID": id, "tool": "edit_file", "status": status,
            "input": {"path": desk.root.join("a.txt"), "old_str": old, "new_str": "b"}})
    };
    says("agent.start", json!({"id": "m1", "message": "go"}));
    for (id, old, status) in [("fits", "a", "error"), ("not", "z", "error"), ("stopped", "a", "cancelled")] {
        says("tool.call", edit(id, old, status));
        says("tool.result", edit(id, old, status));
    }
    says("tool.call", edit("open", "a", "done"));
    says("agent.end", json!({"status": "cancelled"}));
    let events = desk.world.log();
    let expected = [("fits", "denied"), ("not", "failed"), ("stopped", "rejected"), ("open", "rejected")];
    assert_eq!(outcomes(&events), told(&expected));
    assert_eq!(of_type(&events, "tool.called")[0]["data"]["how"], "inferred");
    assert_eq!(of_type(&events, "prompt.submitted")[0]["content"]["prompt"], "go");
}

#[test]
fn cursor_tells_of_a_command_by_two_hooks_and_it_is_one_call() {
    for order in [["preToolUse", "beforeShellExecution"], ["beforeShellExecution", "preToolUse"]] {
        for end in [["postToolUse", "afterShellExecution"], ["afterShellExecution", "postToolUse"]] {
            let desk = Desk::new();
            let says = |event: &str| {
                let of_tool = event.ends_with("ToolUse");
                let own = if of_tool {
                    json!({"tool_name": "Shell", "tool_input": {"command": "make", "timeout": 5}, "tool_use_id": "s1"})
                } else {
                    json!({"command": "make"})
                };
                let mut said =
                    json!({"conversation_id": "c1", "workspace_roots": [desk.root], "hook_event_name": event});
                put(&mut said, own);
                desk.says("cursor", &said);
            };
            order.iter().for_each(|event| says(event));
            desk.write("made", "x\n");
            end.iter().for_each(|event| says(event));
            says("stop");
            let events = desk.world.log();
            assert_eq!(edits(&events), [edit("s1", "made", None, Some("x\n"))], "{order:?} {end:?}");
            assert_eq!(outcomes(&events), told(&[("s1", "applied")]), "{order:?} {end:?}");
        }
    }
}

#[test]
fn cursor_with_a_hook_after_edits_alone_still_tells_of_them() {
    let desk = Desk::new();
    desk.write("a.ts", "let b;\n");
    let said = json!({"conversation_id": "c1", "workspace_roots": [desk.root], "hook_event_name": "afterFileEdit",
        "file_path": desk.root.join("a.ts"), "edits": [{"old_string": "a", "new_string": "b"}]});
    desk.says("cursor", &said);
    let events = desk.world.log();
    assert_eq!(edits(&events), [edit("-", "a.ts", Some("let a;\n"), Some("let b;\n"))]);
}

#[test]
fn claude_codes_hooks_that_cursor_runs_are_cursors() {
    let desk = Desk::new();
    let said = json!({"conversation_id": "c1", "cursor_version": "2.4.0", "workspace_roots": [desk.root],
        "hook_event_name": "beforeSubmitPrompt", "prompt": "hi"});
    desk.says("claude-code", &said);
    assert_eq!(of_type(&desk.world.log(), "prompt.submitted")[0]["data"]["path"]["tool"], "cursor");
}
