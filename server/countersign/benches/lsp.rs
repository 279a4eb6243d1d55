//! The language server beside a bare loop that only splits frames and answers, over the same pipes, in
//! the same run: `cargo bench -p countersign --bench lsp`.
//!
//! Prints: start to the answer of `initialize`; a request's round trip; a change and a request right
//! behind it; a burst of changes; a change in a text of many spans; resident memory. What is compared with nothing means nothing, so every
//! row has its floor.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark tells on stdout and may panic")]

use std::io::{BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

const URI: &str = "file:///bench/a.py";
const ROUNDS: usize = 5;
const REQUESTS: usize = 4_000;
const BURST: usize = 20_000;
const STARTS: usize = 30;

fn main() {
    if std::env::args().any(|arg| arg == "--bare") {
        return bare();
    }
    // `cargo test --benches` only wants to know that it runs.
    let quick = !std::env::args().any(|arg| arg == "--bench");
    let scale = if quick { 100 } else { 1 };
    let home = tempfile::tempdir().unwrap();
    let own = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.arg("lsp").env("COUNTERSIGN_HOME", home.path());
        command
    };
    let floor = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("--bare");
        command
    };

    println!("{:<46}{:>12}{:>12}{:>8}", "", "countersign", "bare loop", "ratio");
    let starts = (STARTS / scale).max(2);
    let (a, b) = interleave(starts, || start(own()), || start(floor()));
    row("start to answer of initialize, p50 us", us(percentile(&a, 50)), us(percentile(&b, 50)));

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let (mut ours_cpu, mut theirs_cpu) = (Vec::new(), Vec::new());
    let (mut ours_after, mut theirs_after) = (Vec::new(), Vec::new());
    let (mut ours_burst, mut theirs_burst) = (Vec::new(), Vec::new());
    let (mut ours_burst_cpu, mut theirs_burst_cpu) = (Vec::new(), Vec::new());
    for _ in 0..(ROUNDS / scale).max(1) {
        for (command, trips, cpu, after, burst, burst_cpu) in [
            (own(), &mut ours, &mut ours_cpu, &mut ours_after, &mut ours_burst, &mut ours_burst_cpu),
            (floor(), &mut theirs, &mut theirs_cpu, &mut theirs_after, &mut theirs_burst, &mut theirs_burst_cpu),
        ] {
            let mut peer = Peer::ready(command);
            let requests = REQUESTS / scale;
            let before = peer.cpu();
            for _ in 0..requests {
                trips.push(peer.hover());
            }
            cpu.push((peer.cpu() - before).div_f64(requests as f64));
            for _ in 0..requests / 4 {
                let start = Instant::now();
                peer.change();
                peer.hover();
                after.push(start.elapsed());
            }
            let changes = BURST / scale;
            let before = peer.cpu();
            let start = Instant::now();
            peer.changes(changes);
            peer.hover();
            burst.push(start.elapsed().div_f64(changes as f64));
            burst_cpu.push((peer.cpu() - before).div_f64(changes as f64));
        }
    }
    for p in [50, 99] {
        row(&format!("request, p{p} us"), us(percentile(&ours, p)), us(percentile(&theirs, p)));
    }
    row("request, CPU us", us(percentile(&ours_cpu, 50)), us(percentile(&theirs_cpu, 50)));
    for p in [50, 99] {
        row(
            &format!("change, then request, p{p} us"),
            us(percentile(&ours_after, p)),
            us(percentile(&theirs_after, p)),
        );
    }
    let per_second = |each: &[Duration]| 1.0 / percentile(each, 50).as_secs_f64() / 1_000.0;
    row(&format!("{BURST} changes at once, thousand/s"), per_second(&ours_burst), per_second(&theirs_burst));
    row("... CPU us each", us(percentile(&ours_burst_cpu, 50)), us(percentile(&theirs_burst_cpu, 50)));

    for spans in [10, 1_000, 10_000] {
        let mut peer = Peer::ready(own());
        peer.split(spans / scale);
        let mut floor = Peer::ready(floor());
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..REQUESTS / 4 / scale {
            for (peer, times) in [(&mut peer, &mut ours), (&mut floor, &mut theirs)] {
                let start = Instant::now();
                peer.change();
                peer.status();
                times.push(start.elapsed());
            }
        }
        for p in [50, 99] {
            let name = format!("change among {spans} spans, then request, p{p} us");
            row(&name, us(percentile(&ours, p)), us(percentile(&theirs, p)));
        }
        println!("resident, {spans} spans, MiB: {:.1}", peer.resident_mib());
    }

    let mut peer = Peer::ready(own());
    println!("resident, one file open, MiB: {:.1}", peer.resident_mib());
    for n in 0..19 {
        peer.open(&format!("file:///bench/{n}.py"));
    }
    peer.hover();
    println!("resident, 20 files of 1,000 lines open, MiB: {:.1}", peer.resident_mib());
}

fn row(name: &str, ours: f64, floor: f64) {
    println!("{name:<46}{ours:>12.1}{floor:>12.1}{:>8.2}", ours / floor);
}

fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn percentile(times: &[Duration], p: usize) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times[(times.len() - 1) * p / 100]
}

/// Runs both in turn, so that a busy machine is busy for both.
fn interleave(
    n: usize,
    mut a: impl FnMut() -> Duration,
    mut b: impl FnMut() -> Duration,
) -> (Vec<Duration>, Vec<Duration>) {
    (0..n).map(|_| (a(), b())).unzip()
}

fn start(command: Command) -> Duration {
    let start = Instant::now();
    let mut peer = Peer::new(command);
    peer.ask("initialize", json!({ "capabilities": {} }));
    peer.read();
    start.elapsed()
}

struct Peer {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    uri: &'static str,
    version: i64,
    id: i64,
}

impl Peer {
    fn new(mut command: Command) -> Peer {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Peer { child, stdin, stdout, uri: URI, version: 0, id: 0 }
    }

    fn ready(command: Command) -> Peer {
        let mut peer = Peer::new(command);
        peer.ask("initialize", json!({ "capabilities": {} }));
        peer.read();
        peer.tell("initialized", json!({}));
        peer.open(URI);
        // Warm: the first request waits for the spool to be opened.
        for _ in 0..20 {
            peer.hover();
        }
        peer
    }

    fn open(&mut self, uri: &str) {
        let text = "    value = compute(argument, other)  # a line of code\n".repeat(1_000);
        let document = json!({ "uri": uri, "languageId": "python", "version": 0, "text": text });
        self.tell("textDocument/didOpen", json!({ "textDocument": document }));
    }

    /// Makes a text of about `spans` spans, human and unknown in turn, and goes on there.
    fn split(&mut self, spans: usize) {
        let (lines, uri) = (spans.max(2_000), "file:///bench/spans.py");
        let text = "    value = compute(argument, other)  # a line of code\n".repeat(lines);
        let document = json!({ "uri": uri, "languageId": "python", "version": 0, "text": text });
        self.tell("textDocument/didOpen", json!({ "textDocument": document }));
        self.uri = uri;
        let typed: Vec<Value> = (0..spans / 2)
            .map(|line| {
                let at = json!({ "line": line, "character": 12 });
                json!({ "range": { "start": at, "end": at }, "text": "x" })
            })
            .collect();
        for (changes, version) in typed.chunks(50).zip(1..) {
            let document = json!({ "uri": uri, "version": version });
            self.tell("textDocument/didChange", json!({ "textDocument": document, "contentChanges": changes }));
        }
        self.version = 1_000_000;
        self.status();
    }

    fn status(&mut self) {
        self.ask("countersign/status", json!({}));
        self.read();
    }

    fn send(&mut self, message: &Value) {
        let body = message.to_string();
        write!(self.stdin, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    }

    fn tell(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    fn ask(&mut self, method: &str, params: Value) {
        self.id += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": self.id, "method": method, "params": params }));
    }

    fn hover(&mut self) -> Duration {
        let position = json!({ "line": 500, "character": 8 });
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "textDocument/hover",
                           "params": { "textDocument": { "uri": URI }, "position": position } })
        .to_string();
        let message = format!("Content-Length: {}\r\n\r\n{body}", body.len());
        let start = Instant::now();
        self.stdin.write_all(message.as_bytes()).unwrap();
        self.read();
        start.elapsed()
    }

    fn change_message(&mut self) -> String {
        self.version += 1;
        let at = json!({ "line": 500, "character": 4 + self.version % 40 });
        let body = json!({ "jsonrpc": "2.0", "method": "textDocument/didChange",
            "params": { "textDocument": { "uri": self.uri, "version": self.version },
                        "contentChanges": [{ "range": { "start": at, "end": at }, "text": "x" }] } })
        .to_string();
        format!("Content-Length: {}\r\n\r\n{body}", body.len())
    }

    fn change(&mut self) {
        let message = self.change_message();
        self.stdin.write_all(message.as_bytes()).unwrap();
    }

    fn changes(&mut self, n: usize) {
        let all: String = (0..n).map(|_| self.change_message()).collect();
        self.stdin.write_all(all.as_bytes()).unwrap();
    }

    fn read(&mut self) {
        read_frame(&mut self.stdout).unwrap();
    }

    /// CPU time so far, of all its threads.
    fn cpu(&self) -> Duration {
        let ns = |task: std::fs::DirEntry| {
            let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        };
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id()));
        Duration::from_nanos(tasks.into_iter().flatten().flatten().filter_map(ns).sum())
    }

    fn resident_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn read_frame(input: &mut impl Read) -> Option<Vec<u8>> {
    let mut header = Vec::new();
    while !header.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        input.read_exact(&mut byte).ok()?;
        header.push(byte[0]);
    }
    let length = String::from_utf8(header).unwrap();
    let length = length.strip_prefix("Content-Length: ").unwrap().trim().parse().unwrap();
    let mut body = vec![0; length];
    input.read_exact(&mut body).ok()?;
    Some(body)
}

/// The floor: one thread that reads, splits, looks for an id and answers. It knows no document.
fn bare() {
    #[derive(Deserialize)]
    struct Message {
        #[serde(default)]
        id: Option<i64>,
        #[serde(default)]
        #[expect(dead_code, reason = "read like everything else of it")]
        params: Option<IgnoredAny>,
    }
    let mut input = BufReader::with_capacity(1 << 16, std::io::stdin().lock());
    let mut output = std::io::stdout().lock();
    while let Some(body) = read_frame(&mut input) {
        let message: Message = serde_json::from_slice(&body).unwrap();
        if let Some(id) = message.id {
            let answer = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":null}}");
            let frame = format!("Content-Length: {}\r\n\r\n{answer}", answer.len());
            output.write_all(frame.as_bytes()).unwrap();
            output.flush().unwrap();
        }
    }
}
