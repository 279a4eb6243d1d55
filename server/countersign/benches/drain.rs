//! How fast a backlog drains, beside a plain HTTP POST of the same bytes to somebody who takes anything:
//! `cargo bench -p countersign --bench drain`, or `... -- 1000000` for so many events.
//!
//! The floor reads each body whole and answers; it checks nothing and keeps nothing. A second floor writes
//! each body to a file and syncs it before it answers, as whoever acknowledges anything must. Both post
//! bodies that were made before; the drain makes them. What a keystroke costs meanwhile tells
//! `COUNTERSIGN_OUTAGE_EVENTS=1000000 cargo test --release -p countersign --test it -- --nocapture outage`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark tells on stdout and may panic")]

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use countersign_event::EventBytes;
use countersign_event::batch::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX};
use countersign_spool::{Append, Class, Spool};
use serde_json::{Value, json};

fn main() {
    // `cargo test --benches` only wants to know that it runs.
    let quick = !std::env::args().any(|arg| arg == "--bench");
    let asked = std::env::args().find_map(|arg| arg.parse::<u32>().ok());
    let (events, rounds) = if quick { (asked.unwrap_or(1_000), 1) } else { (asked.unwrap_or(100_000), 3) };
    println!("{events} light events; events a second, and our part of the floor");
    println!(
        "{:>9}{:>12}{:>7}{:>20}{:>7}{:>10}{:>12}",
        "drained", "posted", "", "posted and synced", "", "B each", "B packed"
    );
    for _ in 0..rounds {
        let home = tempfile::tempdir().unwrap();
        let bytes = fill(&home.path().join("state"), events);
        let bodies = bodies(&home.path().join("state"));
        let packed: usize = bodies.iter().map(Vec::len).sum();
        let rate = |time: Duration| events as f64 / time.as_secs_f64();
        let (posted, synced) = (rate(post(&bodies, None)), rate(post(&bodies, Some(&home.path().join("floor")))));
        let drained = rate(drain(home.path()));
        let (each, each_packed) = (bytes as f64 / events as f64, packed as f64 / events as f64);
        let (of_posted, of_synced) = (drained / posted, drained / synced);
        println!(
            "{drained:>9.0}{posted:>12.0}{of_posted:>7.2}{synced:>20.0}{of_synced:>7.2}{each:>10.0}{each_packed:>12.0}"
        );
    }
}

/// Fills a spool with acceptances that carry five facts and no text; returns how many bytes they have.
fn fill(state: &Path, events: u32) -> usize {
    let mut spool = Spool::open(state).unwrap();
    let mut bytes = 0;
    for first in (0..events).step_by(1_000) {
        let group: Vec<Append> = (first..events.min(first + 1_000)).map(accepted).collect();
        bytes += group.iter().map(|it| it.event.as_str().len()).sum::<usize>();
        spool.append(&group).unwrap();
    }
    bytes
}

/// As random as ids are, which is most of what travels; the same for the same number.
fn id(n: u32, salt: u64) -> String {
    // splitmix64
    let mut z = (u64::from(n) + (salt << 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z ^= z >> 27;
    format!("019a0000-{:04x}-7{:03x}-8{:03x}-{:012x}", n >> 8 & 0xffff, z & 0xfff, z >> 12 & 0xfff, z >> 16)
}

fn accepted(n: u32) -> Append {
    let contribution = id(n / 3, 1);
    let event = json!({
        "specversion": "1.0", "id": id(n, 0), "source": "urn:countersign:device:d",
        "type": "dev.countersign.suggestion.accepted.v1", "time": "2026-01-02T03:04:05.678Z", "subject": contribution,
        "data": {
            "how": "observed", "contribution": contribution, "act": 1, "extent": "full", "gesture": "both",
            "model": { "requested": "gpt-x", "how": "observed", "absent": "not_on_wire" },
            "prompt": { "turns": 1, "how": "observed" }, "output": { "bytes": 40 + n % 600, "lines": 3, "how": "observed" },
            "person": { "id": "9f3a1c7b", "via": "git", "how": "reported" },
            "path": { "tool": "copilot", "version": "1.2.3", "kind": "ide", "transport": "tap", "session": format!("s{}", n / 500),
                      "request_id": n, "trust": "supervised", "how": "observed" },
            "place": { "uri": format!("file:///home/dev/project/src/module_{}.rs", n % 90), "path": format!("src/module_{}.rs", n % 90),
                       "range": { "start": { "line": n % 900, "character": 4 }, "end": { "line": n % 900, "character": 4 } },
                       "language": "rust" },
        },
    });
    let event = EventBytes::parse(event.to_string().as_bytes()).unwrap();
    Append { event, class: Class::Normal, contents: Vec::new(), if_told: None }
}

/// What travels: every batch, packed.
fn bodies(state: &Path) -> Vec<Vec<u8>> {
    let mut spool = Spool::open(state).unwrap();
    spool.barrier().unwrap();
    let (mut bodies, mut through) = (Vec::new(), None::<(String, u64)>);
    loop {
        let beyond = through.as_ref().map(|(epoch, seq)| (epoch.as_str(), *seq));
        let next = spool.batch_beyond("http://floor", beyond, BATCH_EVENTS_MAX, BATCH_BYTES_MAX - 4096).unwrap();
        let Some(next) = next else { return bodies };
        let json = serde_json::to_vec(&next.batch).unwrap();
        bodies.push(zstd::encode_all(&json[..], 1).unwrap());
        through = Some((next.batch.epoch, next.last_seq));
    }
}

/// Posts each body over one connection, to a thread that takes anything; with a file it is there, and synced,
/// before the answer.
fn post(bodies: &[Vec<u8>], file: Option<&Path>) -> Duration {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut file = file.map(|path| File::create(path).unwrap());
    let taker = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        while let Some(body) = message(&mut stream) {
            if let Some(file) = &mut file {
                file.write_all(&body).unwrap();
                file.sync_data().unwrap();
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
        }
    });
    let start = Instant::now();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    for body in bodies {
        write!(stream, "POST /v1/batches HTTP/1.1\r\nhost: floor\r\ncontent-length: {}\r\n\r\n", body.len()).unwrap();
        stream.write_all(body).unwrap();
        message(&mut stream).unwrap();
    }
    let took = start.elapsed();
    drop(stream);
    taker.join().unwrap();
    took
}

/// Reads one message; `None` at the end.
fn message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let (mut whole, mut chunk) = (Vec::new(), [0; 64 << 10]);
    loop {
        if let Some(end) = whole.windows(4).take(4_096).position(|it| it == b"\r\n\r\n") {
            let head = std::str::from_utf8(&whole[..end]).unwrap();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if whole.len() >= end + 4 + length.parse::<usize>().unwrap() {
                return Some(whole.split_off(end + 4));
            }
        }
        match stream.read(&mut chunk).unwrap() {
            0 => return None,
            n => whole.extend_from_slice(&chunk[..n]),
        }
    }
}

/// A collector, ended when this is dropped.
struct Collector(Child);

impl Drop for Collector {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Sends everything to a real collector with the real command.
fn drain(home: &Path) -> Duration {
    let data = home.join("archive");
    let own = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(args).env("COUNTERSIGN_HOME", home).stdin(Stdio::null());
        command
    };
    let data = data.to_str().unwrap();
    let mut collector =
        Collector(own(&["collect", "--data", data, "--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(collector.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = serde_json::from_str::<Value>(&line).unwrap()["listening"].as_str().unwrap().to_owned();
    let token = own(&["collect", "token", "--data", data, "--role", "device", "--subject", "bench"]).output().unwrap();
    let file = home.join("token");
    std::fs::write(&file, token.stdout).unwrap();
    let start = Instant::now();
    let sent = own(&["replay", "--once", "--to", &url, "--token-file", file.to_str().unwrap()]).status().unwrap();
    assert!(sent.success());
    start.elapsed()
}
