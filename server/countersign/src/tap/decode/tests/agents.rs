//! What the recordings do not show: other answers, older and newer forms.

use serde_json::{Value, json};

use super::super::{Act, Called, Decoder, Direction, Ending, Seen};

/// Feeds messages and returns the calls they end.
fn calls(messages: &[(Direction, Value)]) -> Vec<Called> {
    let mut decoder = Decoder::new();
    let mut seen = Vec::new();
    for (direction, message) in messages {
        seen.extend(decoder.message(*direction, message.to_string().as_bytes()));
    }
    seen.extend(decoder.end());
    let called = |seen| if let Seen::Agent(Act::Called(called)) = seen { Some(*called) } else { None };
    seen.into_iter().filter_map(called).collect()
}

fn to(message: Value) -> (Direction, Value) {
    (Direction::ToServer, message)
}

fn from(message: Value) -> (Direction, Value) {
    (Direction::ToEditor, message)
}

fn item(method: &str, item: Value) -> (Direction, Value) {
    from(json!({ "method": format!("item/{method}"), "params": { "threadId": "t", "item": item } }))
}

fn shown(calls: &[Called]) -> Vec<String> {
    let show = |call: &Called| format!("{} {:?} {}", call.tool_name, call.ending, json!(call.decision));
    calls.iter().map(show).collect()
}

#[test]
fn what_was_accepted_for_a_session_holds_for_the_calls_that_follow() {
    let change = |id: &str, status: &str| {
        json!({ "type": "fileChange", "id": id, "status": status,
            "changes": [{ "path": "/a", "kind": { "type": "add" }, "diff": "x\n" }] })
    };
    let calls = calls(&[
        item("started", change("1", "inProgress")),
        from(
            json!({ "method": "item/fileChange/requestApproval", "id": 0, "params": { "threadId": "t", "itemId": "1" } }),
        ),
        to(json!({ "id": 0, "result": { "decision": "acceptForSession" } })),
        item("completed", change("1", "completed")),
        item("started", change("2", "inProgress")),
        item("completed", change("2", "completed")),
        item("completed", json!({ "type": "commandExecution", "id": "3", "command": "ls", "status": "declined" })),
    ]);
    assert_eq!(
        shown(&calls),
        [
            r#"apply_patch Done {"by":"person","scope":"session"}"#,
            r#"apply_patch Done {"by":"grant","scope":"session"}"#,
            "shell Denied null",
        ]
    );
}

#[test]
fn an_older_question_names_the_call_itself() {
    let calls = calls(&[
        from(json!({ "method": "applyPatchApproval", "id": 4, "params": { "conversationId": "c", "callId": "p",
            "fileChanges": { "/b": { "type": "update", "unified_diff": "@@ -1 +1 @@\n-x\n+y\n", "move_path": "/c" } } } })),
        to(json!({ "id": 4, "result": { "decision": "denied" } })),
    ]);
    assert_eq!(shown(&calls), [r#"apply_patch Rejected {"by":"person","scope":"once"}"#]);
    assert_eq!(calls[0].changes[0].moved_to.as_deref(), Some("/c"));
    assert_eq!(calls[0].changes[0].pieces[0].new, "y\n");
}

fn update(update: Value) -> (Direction, Value) {
    from(json!({ "jsonrpc": "2.0", "method": "session/update", "params": { "sessionId": "s", "update": update } }))
}

#[test]
fn a_cancelled_turn_ends_its_calls_and_an_answered_one_does_not_know_their_end() {
    let begun = |id: &str| {
        update(
            json!({ "sessionUpdate": "tool_call", "toolCallId": id, "title": "bash", "kind": "execute", "status": "pending" }),
        )
    };
    let prompt = |id: u64| {
        to(
            json!({ "id": id, "method": "session/prompt", "params": { "sessionId": "s", "prompt": [{ "type": "text", "text": "go" }] } }),
        )
    };
    let end = |id: u64, reason: &str| from(json!({ "id": id, "result": { "stopReason": reason } }));
    let calls = calls(&[prompt(1), begun("a"), end(1, "cancelled"), prompt(2), begun("b"), end(2, "end_turn")]);
    assert_eq!(shown(&calls), ["bash Rejected null", "bash Unknown null"]);
    assert_eq!(calls[1].prompt.as_ref().map(|prompt| prompt.turn), Some(2));
}

#[test]
fn a_patch_of_the_second_version_is_read_file_by_file() {
    let patch = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-1\n+2\ndiff --git a/n b/n\n--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+n\n";
    let calls = calls(&[update(
        json!({ "sessionUpdate": "tool_call_update", "toolCallId": "a", "kind": "edit", "status": "completed",
        "content": [{ "type": "diff", "changes": [], "patch": { "format": "git_patch", "text": patch } }] }),
    )]);
    assert_eq!(calls.len(), 1);
    let paths: Vec<&str> = calls[0].changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(paths, ["x", "n"]);
    assert_eq!(calls[0].changes[1].before, Some(None));
}

#[test]
fn what_is_replayed_when_a_session_is_loaded_happened_before() {
    let calls = calls(&[
        to(json!({ "id": 1, "method": "session/load", "params": { "sessionId": "s", "cwd": "/w" } })),
        update(json!({ "sessionUpdate": "tool_call", "toolCallId": "old", "kind": "edit", "status": "completed" })),
        from(json!({ "id": 1, "result": {} })),
        update(json!({ "sessionUpdate": "tool_call", "toolCallId": "new", "kind": "edit", "status": "completed" })),
    ]);
    let ids: Vec<Option<&str>> = calls.iter().map(|call| call.id.as_deref()).collect();
    assert_eq!(ids, [Some("new")]);
}

#[test]
fn a_resource_is_what_the_model_was_given_and_a_failed_call_has_failed() {
    let calls = calls(&[
        to(json!({ "id": 1, "method": "resources/read", "params": { "uri": "file:///w/a.md" } })),
        from(json!({ "id": 1, "result": { "contents": [{ "uri": "file:///w/a.md", "text": "A" }] } })),
        to(json!({ "id": 2, "method": "tools/call", "params": { "name": "t", "arguments": {} } })),
        from(json!({ "id": 2, "error": { "code": -1, "message": "no" } })),
        to(json!({ "id": 3, "method": "tools/call", "params": { "name": "t", "arguments": {} } })),
    ]);
    assert_eq!(shown(&calls), ["resources/read Done null", "t Failed null", "t Unknown null"]);
    assert_eq!(calls[0].given[0].text.as_deref(), Some("A"));
    assert_eq!(calls[2].ending, Ending::Unknown);
}
