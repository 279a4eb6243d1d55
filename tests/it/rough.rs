//! Rough treatment of the tap: garbage, dying and deaf commands, a spool that can't be had. The bytes
//! pass, the command's status is ours, and the trail says what it missed.
//!
//! `COUNTERSIGN_LONG=1` makes the flood four times as long.

// The stand-ins are shell commands; memory is read from /proc.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::{Value, json};

use crate::support::{World, is_long, memory_kib, of_type, wait_for};

const MIB: usize = 1 << 20;

#[test]
fn a_flood_of_garbage_passes_untouched_in_bounded_memory() {
    let world = World::new();
    let rounds = if is_long() { 1024 } else { 256 };
    let (bare, _) = flood(Command::new("cat"), rounds);
    let (tapped, resident) = flood(world.countersign(["tap", "--", "cat"]), rounds);
    let most = resident.iter().copied().max().expect("it was looked at");
    let after_a_fifth = resident[rounds / 5..rounds * 2 / 5].iter().copied().max().expect("it was looked at");
    let at_the_end = resident[rounds * 4 / 5..].iter().copied().max().expect("it was looked at");
    eprintln!(
        "{rounds} MiB of garbage in {tapped:.2?}, {bare:.2?} through `cat` alone: resident {after_a_fifth} KiB in the second fifth, {at_the_end} KiB in the last"
    );
    // 64 MiB may wait for the listener; the rest is the program and what is being looked at.
    assert!(most < 160 * 1024, "{most} KiB");
    assert!(!missed(&world.log()).is_empty());
}

#[test]
fn json_as_deep_as_it_likes_passes_and_ends_nothing() {
    let world = World::new();
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let objects = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    let params = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"textDocument/completion","params":{deep}}}"#);
    let change = format!(r#"{{"jsonrpc":"2.0","method":"textDocument/didChange","params":{objects}}}"#);
    let answer = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{objects}}}"#);
    let bytes: Vec<u8> = [&deep, &objects, &params, &change, &answer]
        .into_iter()
        .flat_map(|body| format!("Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes())
        .chain(format!("{deep}\n{params}\n").into_bytes())
        .collect();
    let marker = framed(&json!({ "jsonrpc": "2.0", "id": 9, "method": "session/prompt", "params": {} }));
    let bytes = [bytes, marker].concat();
    let mut child = start(world.countersign(["tap", "--tool", "copilot", "--", "cat"]));
    let mut stdin = child.stdin.take().expect("piped");
    let sent = bytes.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&sent).map(|()| stdin));
    let mut back = vec![0; bytes.len()];
    child.stdout.as_mut().expect("piped").read_exact(&mut back).expect("it comes back");
    assert!(back == bytes, "the bytes pass");
    // What stands behind it is seen: the listener lives.
    wait_for_record(&world, "not_followed");
    drop(writer.join().expect("no panic").expect("all was taken"));
    assert!(end(&mut child).success());
    assert_eq!(of_type(&world.log(), "trail.gap"), Vec::<&Value>::new());
}

#[test]
fn text_that_is_no_utf8_passes_and_what_follows_is_still_read() {
    let world = World::new();
    let mut bytes = b"Content-Length: 8\r\n\r\n{\"\xff\xfe\":1}".to_vec();
    bytes.extend_from_slice(b"\xf0\x9f\r\n\x80\x80\n");
    bytes.extend_from_slice(&framed(&initialize()));
    assert!(echo(world.countersign(["tap", "--", "cat"]), &bytes).success());
    let events = world.log();
    assert!(missed(&events).contains(&"malformed_frame"), "{events:?}");
    assert_eq!(of_type(&events, "capture.started")[0]["data"]["client"], "a rough editor", "{events:?}");
}

#[test]
fn a_command_that_is_killed_in_the_middle_of_a_message_is_told() {
    let world = World::new();
    let child = tap(&world, r#"printf 'Content-Length: 100\r\n\r\n{"half'; kill -KILL $$"#);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(137));
    assert_eq!(output.stdout, b"Content-Length: 100\r\n\r\n{\"half");
    let events = world.log();
    assert_eq!(missed(&events)[0], "malformed_frame");
    assert_eq!(of_type(&events, "capture.stopped")[0]["data"]["status"], 137);
}

#[test]
fn a_command_that_never_reads_holds_up_the_editor_as_without_us_and_nothing_else() {
    let world = World::new();
    let mut child = tap(&world, "echo up; exec sleep 600");
    let mut stdin = child.stdin.take().expect("piped");
    // More than the pipes and our own chunk hold: at the end this waits, as it would without a tap.
    let writer = std::thread::spawn(move || stdin.write_all(&vec![b'x'; 4 * MIB]));
    let mut up = [0; 3];
    child.stdout.as_mut().expect("piped").read_exact(&mut up).expect("it speaks");
    signal(&child, Signal::TERM);
    assert_eq!(end(&mut child).code(), Some(143), "the command's own end is ours");
    assert!(writer.join().expect("no panic").is_err(), "nobody took it");
    assert_eq!(of_type(&world.log(), "capture.stopped").len(), 1);
}

#[test]
fn what_a_burst_leaves_unrecorded_at_the_end_is_in_a_gap() {
    let world = World::new();
    let burst = if is_long() { 40_000 } else { 8_000 };
    let place = json!({ "textDocument": {"uri": "file:///nowhere/burst.py"}, "position": {"line": 0, "character": 0} });
    let said: Vec<u8> = (0..burst)
        .flat_map(|id| {
            let question = json!({ "id": id, "method": "textDocument/inlineCompletion", "params": place });
            let answer = json!({ "id": id, "result": {"items": [{"insertText": format!("burst_{id}()")}]} });
            [framed(&question), framed(&answer)].concat()
        })
        .collect();
    // Nobody waits for anybody: when `cat` has ended, most of it has still to be looked at.
    assert!(echo(world.countersign(["tap", "--tool", "copilot", "--", "cat"]), &said).success());
    let events = world.log();
    let offered = of_type(&events, "suggestion.offered").len();
    let gaps: Vec<&Value> = of_type(&events, "trail.gap");
    eprintln!("{offered} of {burst} suggestions were recorded before the end");
    assert_eq!(offered < burst, gaps.iter().any(|gap| gap["data"]["reason"] == "late"), "{offered} {gaps:?}");
    world.run(["verify"]);
}

#[test]
fn a_tap_that_is_killed_keeps_what_it_had_written() {
    let world = World::new();
    let mut child = start(world.countersign(["tap", "--", "cat"]));
    child.stdin.as_mut().expect("piped").write_all(&framed(&initialize())).expect("it reads");
    // It starts to record when it knows the client and the server; `cat` names itself as both.
    child.stdin.as_mut().expect("piped").write_all(&framed(&answer())).expect("it reads");
    wait_for_record(&world, "capture.started");
    child.kill().expect("it lives");
    end(&mut child);
    world.run(["verify"]);
    // The next one goes on where it was left.
    assert!(echo(world.countersign(["tap", "--", "cat"]), b"{}\n").success());
    let log = world.log();
    assert_eq!(of_type(&log, "capture.started").len(), 2);
    // It did not say that it stopped: that is a gap, told once, with its name and from when to when.
    assert!(echo(world.countersign(["tap", "--", "cat"]), b"{}\n").success());
    let gaps = world.json(["status", "--json"]).remove(0)["gaps"].clone();
    let gap = &gaps[0];
    assert_eq!(gaps.as_array().map(Vec::len), Some(1), "{gaps}");
    assert_eq!((&gap["reason"], &gap["by"]), (&"crash".into(), &"tap".into()));
    let started = of_type(&log, "capture.started")[0]["time"].as_str().expect("a time");
    let (from, to) = (gap["from"].as_str().expect("from"), gap["to"].as_str().expect("to"));
    assert!(started <= from && from <= to, "{started} {gap}");
    let told = String::from_utf8(world.run(["status"]).stdout).expect("text");
    assert!(told.contains(&format!("trail.gap: crash (tap) from {from} to {to}")), "{told}");
}

#[test]
fn a_spool_that_another_holds_delays_nobody_and_gets_everything_later() {
    let world = World::new();
    assert!(echo(world.countersign(["tap", "--", "cat"]), b"{}\n").success());
    let holder = rusqlite::Connection::open(world.home().join("state/spool.db")).expect("the spool");
    holder.execute_batch("BEGIN IMMEDIATE").expect("the write lock");
    let began = Instant::now();
    let command = world.countersign(["tap", "--", "sh", "-c", "cat; exit 6"]);
    assert_eq!(echo(command, &framed(&initialize())).code(), Some(6));
    // Twice the promised two seconds: the machine may be busy, and a lock that is waited for takes far more.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    drop(holder);
    // Whoever appends next takes the letters in.
    assert!(echo(world.countersign(["tap", "--", "cat"]), b"{}\n").success());
    let events = world.log();
    let stopped = of_type(&events, "capture.stopped");
    assert!(stopped.iter().any(|event| event["data"]["status"] == 6), "{events:?}");
    world.run(["verify"]);
}

#[test]
fn a_home_that_cannot_be_used_costs_the_record_and_says_so() {
    let world = World::new();
    std::fs::create_dir_all(world.home()).expect("a home");
    std::fs::write(world.home().join("state"), "a file where a directory should be").expect("a file");
    let child = tap(&world, "cat; exit 4");
    let output = give(child, b"still here");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(4), b"still here".as_slice()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("nothing can be recorded"), "{said}");
}

#[test]
fn a_full_disk_costs_nothing_but_time_once_there_is_room_again() {
    let world = World::new();
    assert!(echo(world.countersign(["tap", "--", "cat"]), b"{}\n").success());
    // A limit on the size of files stands for the disk: it can be lifted from outside.
    let mut command = Command::new("sh");
    let ours = world.countersign(["tap", "--", "cat"]);
    command.args(["-c", r#"trap "" XFSZ; ulimit -S -f 0; exec "$0" "$@""#]).arg(ours.get_program());
    command.args(ours.get_args()).current_dir(world.path());
    command.envs(ours.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("COUNTERSIGN_LOG", "warn");
    let mut child = start(command);
    let message = [framed(&initialize()), framed(&answer())].concat();
    child.stdin.as_mut().expect("piped").write_all(&message).expect("it reads");
    let mut back = vec![0; message.len()];
    child.stdout.as_mut().expect("piped").read_exact(&mut back).expect("it comes back");
    assert!(back == message, "the bytes pass");
    let mut said = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    while !line.contains("the spool") {
        line.clear();
        assert!(said.read_line(&mut line).expect("text") > 0, "it never met the full disk");
    }
    let pid = Pid::from_raw(child.id() as i32);
    prlimit(pid, Resource::Fsize, Rlimit { current: None, maximum: None }).expect("room again");
    wait_for_record(&world, "a rough editor");
    drop(child.stdin.take());
    // Whatever else it says must not hold it up.
    std::io::copy(&mut said, &mut std::io::sink()).expect("text");
    assert!(end(&mut child).success());
    assert_eq!(of_type(&world.log(), "capture.stopped").len(), 2);
    world.run(["verify"]);
}

fn wait_for_record(world: &World, of: &str) {
    wait_for(of, || {
        let log = world.countersign(["log", "--json"]).output().expect("it runs").stdout;
        String::from_utf8_lossy(&log).contains(of).then_some(())
    });
}

fn initialize() -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"capabilities": {},
        "clientInfo": {"name": "a rough editor"}} })
}

fn answer() -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "result": {"capabilities": {}, "serverInfo": {"name": "cat", "version": "1"}} })
}

fn framed(message: &Value) -> Vec<u8> {
    let body = message.to_string();
    format!("Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Sends mebibytes of noise through a command, insists that they come back, and returns how long that took and
/// what it held in memory after each.
fn flood(command: Command, rounds: usize) -> (Duration, Vec<u64>) {
    let block = noise(MIB);
    let began = Instant::now();
    let mut child = start(command);
    let mut stdin = child.stdin.take().expect("piped");
    let mut stdout = child.stdout.take().expect("piped");
    let sent = block.clone();
    // Its end comes after the last look.
    let writer = std::thread::spawn(move || (0..rounds).try_for_each(|_| stdin.write_all(&sent)).map(|()| stdin));
    let mut back = vec![0; MIB];
    let mut resident = Vec::with_capacity(rounds);
    for round in 0..rounds {
        stdout.read_exact(&mut back).expect("it comes back");
        assert!(back == block, "mebibyte {round} was changed");
        resident.push(memory_kib(child.id()));
    }
    drop(writer.join().expect("no panic").expect("all was taken"));
    let took = began.elapsed();
    assert!(end(&mut child).success());
    (took, resident)
}

/// What the trail says was not seen: reasons of `capture.degraded` and of gaps.
fn missed(events: &[Value]) -> Vec<&str> {
    let mut all = of_type(events, "capture.degraded");
    all.extend(of_type(events, "trail.gap"));
    all.iter().filter_map(|event| event["data"]["reason"].as_str()).collect()
}

/// Bytes without a pattern, the same in every run.
fn noise(n: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..n / 8).flat_map(|_| next().to_le_bytes()).collect()
}

fn start(mut command: Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the tap starts")
}

fn tap(world: &World, script: &str) -> Child {
    start(world.countersign(["tap", "--", "sh", "-c", script]))
}

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(child.id() as i32).expect("a process id");
    kill_process(pid, signal).expect("it lives");
}

fn end(child: &mut Child) -> ExitStatus {
    wait_for("the tap's end", || child.try_wait().expect("a status"))
}

/// Gives a tap all its input, and returns what came of it.
fn give(mut child: Child, bytes: &[u8]) -> std::process::Output {
    let mut stdin = child.stdin.take().expect("piped");
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("no panic").expect("all was taken");
    output
}

/// Insists that what goes in comes out, and returns how it ended.
fn echo(command: Command, bytes: &[u8]) -> ExitStatus {
    let output = give(start(command), bytes);
    assert!(output.stdout == bytes, "{} bytes came back as {}", bytes.len(), output.stdout.len());
    output.status
}
