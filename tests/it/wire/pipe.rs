//! The tap as a pipe: whatever passes and however it ends, it is as if the tap were not there.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::Value;

use super::play::Chance;
use crate::support::{World, of_type, wait_for};

fn start(mut command: Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the tap starts")
}

fn tap(world: &World, script: &str) -> Child {
    start(world.countersign(["tap", "--", "sh", "-c", script]))
}

/// Waits for the end without closing stdin.
fn end(child: &mut Child) -> ExitStatus {
    wait_for("the tap's end", || child.try_wait().expect("a status"))
}

/// Sends bytes through `cat` and insists that they come back as they were.
fn echo(command: Command, bytes: &[u8]) -> ExitStatus {
    let mut child = start(command);
    let mut stdin = child.stdin.take().expect("piped");
    let mut stdout = child.stdout.take().expect("piped");
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        stdout.read_to_end(&mut all).map(|_| all)
    });
    stdin.write_all(bytes).expect("the tap reads");
    drop(stdin);
    let back = reader.join().expect("no panic").expect("readable");
    assert!(back == bytes, "{} bytes came back as {}", bytes.len(), back.len());
    end(&mut child)
}

#[test]
fn bytes_that_are_no_protocol_pass_untouched_and_are_counted() {
    let world = World::new();
    let mut chance = Chance(7);
    let bytes: Vec<u8> = (0..3_000_000).map(|_| chance.next() as u8).collect();
    assert!(echo(world.countersign(["tap", "--", "cat"]), &bytes).success());
    let events = world.log();
    let counted: Vec<&Value> = of_type(&events, "capture.degraded")
        .into_iter()
        .filter(|event| event["data"]["reason"] == "malformed_frame")
        .collect();
    assert!(counted.len() >= 2, "first at once, the rest at the end: {counted:?}");
    assert_eq!(of_type(&events, "capture.started")[0]["data"]["path"]["tool"], "cat");
}

#[test]
fn a_server_nobody_knows_is_pumped_and_said_to_be_unknown() {
    let world = World::new();
    let hello = b"{\"hello\":1}\n{\"hello\":2}\n";
    assert!(echo(world.countersign(["tap", "--", "cat"]), hello).success());
    // A language server that no AI is known to be behind of.
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"capabilities":{}}}"#;
    let framed = format!("Content-Length: {}\r\n\r\n{body}", body.len());
    assert!(echo(world.countersign(["tap", "--", "cat"]), framed.as_bytes()).success());
    let events = world.log();
    let discovered = of_type(&events, "tool.discovered");
    assert_eq!(discovered.len(), 2, "once a session");
    for event in discovered {
        assert_eq!((&event["data"]["tool"], &event["data"]["captured"]), (&"cat".into(), &false.into()));
    }
    let degraded = of_type(&events, "capture.degraded");
    assert!(degraded.iter().all(|event| event["data"]["reason"] == "unknown_protocol"), "{degraded:?}");
    assert!(degraded.len() >= 2);
}

#[test]
fn keys_and_tokens_of_the_wire_are_written_nowhere() {
    const HUSH: &str = "aHVzaC1odXNoLWh1c2gtaHVzaA==";
    let world = World::new();
    let mut child = tap(&world, "cat > /dev/null");
    let mut stdin = child.stdin.take().expect("piped");
    // The raw line stands before the first frame.
    writeln!(stdin, r#"{{"version":"1.0","mode":"JWT","key":"{HUSH}"}}"#).expect("the tap reads");
    for body in [
        format!(
            r#"{{"id":1,"method":"initialize","params":{{"initializationOptions":{{"token":"{HUSH}","models":{{"a":{{"model":"m","auth_token":"{HUSH}"}}}},"completion":{{"model":"a"}}}}}}}}"#
        ),
        format!(
            r#"{{"id":2,"method":"llm-ls/getCompletions","params":{{"textDocument":{{"uri":"file:///a"}},"position":{{"line":0,"character":0}},"apiToken":"{HUSH}","model":"m"}}}}"#
        ),
        format!(r#"{{"id":3,"method":"aws/chat/sendChatPrompt","params":{{"tabId":"t","message":"{HUSH}"}}}}"#),
        format!(r#"{{"id":4,"method":"unknown/thing","params":{{"key":"{HUSH}"}}}}"#),
    ] {
        write!(stdin, "Content-Length: {}\r\n\r\n{body}", body.len()).expect("the tap reads");
    }
    drop(stdin);
    assert!(end(&mut child).success());
    let events = world.log();
    assert_eq!(of_type(&events, "prompt.submitted")[0]["data"]["content"]["prompt"]["absent"], "encrypted_on_wire");
    assert_eq!(of_type(&events, "capture.degraded"), Vec::<&Value>::new());
    let files: Vec<_> = std::fs::read_dir(world.home().join("state")).expect("a directory").collect();
    assert!(files.len() >= 2, "{files:?}");
    for file in files.into_iter().map(|file| file.expect("an entry").path()).filter(|path| path.is_file()) {
        let bytes = std::fs::read(&file).expect("a file");
        assert!(!bytes.windows(HUSH.len()).any(|window| window == HUSH.as_bytes()));
    }
    assert!(!events.iter().any(|event| event.to_string().contains(HUSH)));
}

#[test]
fn a_message_that_is_too_large_to_look_at_passes_all_the_same() {
    let world = World::new();
    let length = 9 << 20;
    let mut bytes = format!("Content-Length: {length}\r\n\r\n").into_bytes();
    bytes.resize(bytes.len() + length, b' ');
    assert!(echo(world.countersign(["tap", "--", "cat"]), &bytes).success());
    let events = world.log();
    let reasons: Vec<&str> =
        of_type(&events, "capture.degraded").iter().filter_map(|event| event["data"]["reason"].as_str()).collect();
    assert_eq!(reasons, ["oversized_message", "oversized_message", "unknown_protocol"], "once in each direction");
}

#[test]
fn the_tap_passes_bytes_where_nothing_can_be_recorded() {
    let world = World::new();
    std::fs::write(world.home(), "a file where a directory should be").expect("a file");
    assert!(echo(world.countersign(["tap", "--", "cat"]), b"still here").success());
}

#[test]
fn the_commands_status_is_ours() {
    let world = World::new();
    assert_eq!(end(&mut tap(&world, "exit 7")).code(), Some(7));
    assert_eq!(end(&mut tap(&world, "kill -TERM $$")).code(), Some(143));
    let stopped = world.json(["log", "--json", "--type", "capture.stopped"]);
    assert_eq!(stopped[0]["data"]["status"], 7);
    assert_eq!(stopped[1]["data"]["status"], 143);
}

#[test]
fn a_command_that_ends_while_our_stdin_is_open_ends_us() {
    let world = World::new();
    let mut child = tap(&world, "exit 0");
    assert!(end(&mut child).success());
    drop(child.stdin.take());
}

#[test]
fn output_of_a_command_that_has_ended_arrives_however_late_it_is_read() {
    let world = World::new();
    // More than the last pipe holds, less than both pipes: the command can end before anybody reads.
    let child = tap(&world, "head -c 100000 /dev/zero; touch ended");
    let ended = world.path().join("ended");
    wait_for("the command's end", || ended.exists().then_some(()));
    // A tap that did not wait for its reader would be gone by the time these have run.
    for _ in 0..10 {
        world.countersign(["status"]).output().expect("it runs");
    }
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.stdout.len(), 100_000);
}

#[test]
fn stderr_passes() {
    let world = World::new();
    let output = tap(&world, "echo oops >&2").wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "oops\n");
}

#[test]
fn a_signal_to_the_tap_reaches_the_command() {
    let world = World::new();
    let mut child = tap(&world, "trap 'kill $!; exit 9' TERM; sleep 60 & echo ready; wait");
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut line).expect("a line");
    assert_eq!(line, "ready\n");
    let killed = Command::new("kill").arg(child.id().to_string()).status().expect("kill runs");
    assert!(killed.success());
    assert_eq!(end(&mut child).code(), Some(9));
}

#[test]
fn an_editor_that_closes_its_end_is_seen_by_the_command() {
    let world = World::new();
    let mut child = tap(&world, "read line; exit 5");
    drop(child.stdin.take());
    assert_eq!(end(&mut child).code(), Some(5));
    // And the other way: a reader that has gone ends a command that goes on writing.
    let mut child = tap(&world, "while echo more; do :; done");
    drop(child.stdout.take());
    end(&mut child);
}

#[test]
fn a_command_that_cannot_be_started_is_said() {
    let world = World::new();
    let output = world.countersign(["tap", "--", "no-such-command-anywhere"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no-such-command-anywhere"));
}
