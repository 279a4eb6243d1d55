//! From the spool to the archive and back, through outages, lies and lost answers.

mod continuity;
mod enrol;
mod liars;
#[cfg(target_os = "linux")]
mod oracle;
#[cfg(target_os = "linux")]
mod outage;
mod quarantine;
#[cfg(unix)]
mod replayers;
mod seen;
mod tls;
mod wire;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

use countersign_event::content::{ContentName, KeepReason, NewContent};
use countersign_event::{EventBytes, Timestamp};
use countersign_spool::{Append, Class, Kind, Placed, Reader, Snapshot, Spool, append_once};
use serde_json::{Value, json};

use crate::support::{World, git, json_lines, of_type, wait_for};
use wire::{Reply, answer, pass_on, serve};

/// A collector in a process of its own, killed when it is dropped.
struct Collector {
    child: Child,
    data: PathBuf,
    address: SocketAddr,
    scheme: String,
}

impl Collector {
    fn start(world: &World) -> Collector {
        Collector::listen(world, "127.0.0.1:0")
    }

    fn listen(world: &World, address: &str) -> Collector {
        let data = world.path().join("archive");
        Collector::launch(world.countersign(["collect", "--data", path(&data), "--listen", address]), data)
    }

    fn launch(mut command: Command, data: PathBuf) -> Collector {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the collector starts");
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().expect("stdout is piped"));
        out.read_line(&mut line).expect("it says where it listens");
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        let url = ready["listening"].as_str().expect("a URL");
        let (scheme, address) = url.split_once("://").expect("a scheme");
        Collector { child, data, address: address.parse().expect("an address"), scheme: scheme.to_owned() }
    }

    fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// SIGKILL.
    fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it is gone");
    }

    fn restart(&mut self, world: &World) {
        self.kill();
        *self = Collector::listen(world, &self.address.to_string());
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

/// What a test needs beside the world of every scenario.
trait Device {
    fn state(&self) -> PathBuf;
    fn token(&self, role: &str) -> PathBuf;
    fn replay_once(&self, to: &str, token: &Path) -> Output;
    fn replay(&self, to: &str, token: &Path) -> Command;
    fn append(&self, events: impl IntoIterator<Item = Append>);
    fn pending(&self, to: &str) -> u64;
    fn status(&self) -> Value;
    fn spooled(&self) -> String;
    fn archived(&self) -> String;
    fn verified(&self) -> Value;
}

impl Device for World {
    fn state(&self) -> PathBuf {
        self.home().join("state")
    }

    fn token(&self, role: &str) -> PathBuf {
        let data = self.path().join("archive");
        let output = self.run(["collect", "token", "--data", path(&data), "--role", role, "--subject", "laptop"]);
        let file = self.path().join(format!("{role}.token"));
        std::fs::write(&file, output.stdout).expect("a token file");
        file
    }

    fn replay(&self, to: &str, token: &Path) -> Command {
        let mut command = self.countersign(["replay", "--to", to, "--token-file", path(token)]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn replay_once(&self, to: &str, token: &Path) -> Output {
        self.countersign(["replay", "--once", "--to", to, "--token-file", path(token)]).output().expect("replay runs")
    }

    fn append(&self, events: impl IntoIterator<Item = Append>) {
        let events: Vec<Append> = events.into_iter().collect();
        let placed = append_once(&self.state(), &events, Duration::from_secs(20)).expect("the spool takes events");
        assert!(matches!(placed, Placed::Spool { .. }), "{placed:?}");
    }

    fn pending(&self, to: &str) -> u64 {
        Reader::open(&self.state()).expect("a spool").status(Some(to)).expect("a status").pending
    }

    fn status(&self) -> Value {
        self.json(["status", "--json"]).remove(0)["replay"].take()
    }

    fn spooled(&self) -> String {
        text(self.run(["log", "--json", "--chain"]))
    }

    fn archived(&self) -> String {
        let data = self.path().join("archive");
        text(self.run(["log", "--json", "--chain", "--archive", path(&data)]))
    }

    fn verified(&self) -> Value {
        let data = self.path().join("archive");
        let output = self.countersign(["verify", "--json", "--archive", path(&data)]).output().expect("verify runs");
        json_lines(&output.stdout).remove(0)
    }
}

fn text(output: Output) -> String {
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn id(n: u32) -> String {
    format!("019a0000-0000-7000-8000-{n:012x}")
}

fn event(n: u32, noun: &str, subject: &str, data: &Value) -> EventBytes {
    let json = json!({
        "specversion": "1.0", "id": id(n), "source": "urn:countersign:device:d",
        "type": format!("dev.countersign.{noun}.v1"), "time": "2026-01-02T03:04:05.678Z", "subject": subject, "data": data,
    });
    EventBytes::parse(json.to_string().as_bytes()).expect("an event")
}

/// An acceptance without texts.
fn light(n: u32) -> Append {
    let data = json!({ "how": "observed", "contribution": format!("c{n}"), "act": 1, "place": { "path": "a.rs" } });
    Append {
        event: event(n, "suggestion.accepted", &format!("c{n}"), &data),
        class: Class::Full,
        contents: Vec::new(),
        if_told: None,
    }
}

/// An acceptance with its output kept.
fn full(n: u32, contribution: &str, place: &Value, output: &str) -> Append {
    let content = NewContent::new(
        ContentName::Output,
        output.to_owned(),
        output,
        vec![n as u8; 16],
        KeepReason::Always,
        "default",
    );
    let data = json!({
        "how": "observed", "contribution": contribution, "act": 1, "extent": "full", "gesture": "both", "place": place,
        "model": { "requested": "gpt-x", "how": "observed", "absent": "not_on_wire" },
        "prompt": { "absent": "not_on_wire" },
        "output": { "bytes": output.len(), "lines": 1, "how": "observed" },
        "person": { "id": "9f3a", "via": "git", "how": "reported" },
        "path": { "tool": "copilot", "kind": "ide", "transport": "tap", "trust": "supervised", "how": "observed" },
        "content": { "output": content.commitment },
    });
    Append {
        event: event(n, "suggestion.accepted", contribution, &data),
        class: Class::Full,
        contents: vec![content],
        if_told: None,
    }
}

fn configure(world: &World, url: &str, token: &Path, more: &str) {
    let config = world.home().join("config");
    std::fs::create_dir_all(&config).expect("a folder");
    let text = format!("[collector]\nurl = '{url}'\ntoken_file = '{}'\n{more}", path(token));
    std::fs::write(config.join("config.toml"), text).expect("a configuration");
}

/// An address where nobody listens, for now.
fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").to_string()
}

#[test]
fn a_collector_killed_between_its_commit_and_its_answer_loses_and_doubles_nothing() {
    let world = World::new();
    world.append((0..2_300).map(light));
    let collector = Collector::start(&world);
    let token = world.token("device");
    let address = collector.address;
    let collector = std::sync::Arc::new(Mutex::new(collector));
    let killed = std::sync::Arc::downgrade(&collector);
    // Request 0 announces; 3 is committed and its answer lost; 5 never reaches anybody.
    let (to, requests) = serve(move |request| match request.number {
        3 => {
            let lost = pass_on(request, address);
            assert!(lost.is_some_and(|answer| answer.starts_with(b"HTTP/1.1 200")));
            killed.upgrade().expect("the test still runs").lock().unwrap().kill();
            Reply::Close
        }
        _ => pass_on(request, address).map_or(Reply::Close, Reply::Raw),
    });

    let output = world.replay_once(&to, &token);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(requests.load(Ordering::SeqCst), 4);
    let waiting = world.pending(&to);
    assert_eq!(waiting, 2_300 - 64 - 128, "two batches were acknowledged, the third was not");
    assert_eq!(world.status()["state"], "offline");

    let output = world.replay_once(&to, &token);
    assert_eq!(output.status.code(), Some(3), "the collector is down");
    assert_eq!(world.pending(&to), waiting);

    collector.lock().unwrap().restart(&world);
    let output = world.replay_once(&to, &token);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(world.archived(), world.spooled());
    assert_eq!((world.pending(&to), world.verified()["ok"].clone()), (0, json!(true)));
    assert_eq!(world.status()["state"], "online");
}

#[test]
fn a_collector_killed_at_any_moment_of_a_drain_ends_with_the_same_trail() {
    let world = World::new();
    let mut collector = Collector::start(&world);
    let token = world.token("device");
    let to = collector.url();
    let mut replayer = world.replay(&to, &token).spawn().expect("replay starts");
    let mut recorded = 0;
    for _ in 0..3 {
        world.append((recorded..recorded + 1_500).map(light));
        recorded += 1_500;
        // Something of it has arrived, whatever is under way now is cut off.
        wait_for("the drain to begin", || (world.pending(&to) < 1_500).then_some(()));
        collector.restart(&world);
    }
    wait_for("everything to arrive", || (world.pending(&to) == 0).then_some(()));
    replayer.kill().expect("it can be killed");
    replayer.wait().expect("it is gone");
    assert_eq!(world.archived(), world.spooled());
    assert_eq!(world.verified()["ok"], true);
}

#[test]
fn a_replayer_killed_at_any_moment_loses_and_doubles_nothing() {
    let world = World::new();
    let collector = Collector::start(&world);
    let token = world.token("device");
    let to = collector.url();
    world.append((0..4_000).map(light));
    for part in [3_900, 2_500] {
        let mut replayer = world.replay(&to, &token).spawn().expect("replay starts");
        wait_for("part of it to arrive", || (world.pending(&to) < part).then_some(()));
        replayer.kill().expect("it can be killed");
        replayer.wait().expect("it is gone");
    }
    assert!(world.replay_once(&to, &token).status.success());
    assert_eq!(world.archived(), world.spooled());
    assert_eq!(world.verified()["ok"], true);
}

/// Answers the announcement as a collector would, then as told.
fn after_announcement(reply: impl Fn(&wire::Request) -> Reply + Send + Sync + 'static) -> String {
    let honest = |request: &wire::Request| {
        let batch = request.batch();
        assert!(batch.events.is_empty(), "the first request after an outage is an empty batch");
        json!({ "acked_through": 0, "head_hash": batch.previous }).to_string()
    };
    serve(move |request| match request.number {
        0 => answer("200 OK", "application/json", &honest(request)),
        _ => reply(request),
    })
    .0
}

#[test]
fn nothing_but_a_collectors_own_answer_acknowledges_anything() {
    let html = "<html><body>It works!</body></html>";
    // True of the announced head, which says nothing about what was received.
    let announced = |request: &wire::Request| {
        let head = request.batch().head;
        json!({ "acked_through": head.seq, "head_hash": head.hash }).to_string()
    };
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        format!("http://{}", listener.local_addr().expect("an address"))
    };
    let cases: Vec<(&str, String, &str)> = vec![
        ("nobody there", closed, "offline"),
        ("500", serve(|_| answer("500 Oops", "text/plain", "oops")).0, "offline"),
        ("503", serve(|_| answer("503 Busy\r\nretry-after: 120", "application/json", r#"{"error":"x"}"#)).0, "offline"),
        ("a web page", serve(move |_| answer("200 OK", "text/html", html)).0, "offline"),
        ("a web page, later", after_announcement(move |_| answer("200 OK", "text/html", html)), "offline"),
        ("an empty object", after_announcement(|_| answer("200 OK", "application/json", "{}")), "offline"),
        ("another success", after_announcement(|_| answer("202 Accepted", "application/json", "{}")), "offline"),
        ("elsewhere", serve(|_| answer("302 Found\r\nlocation: http://127.0.0.1:1/", "text/plain", "")).0, "offline"),
        (
            "a cut answer",
            serve(|_| {
                Reply::Raw(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 999\r\n\r\n{\"acked_thr".to_vec())
            })
            .0,
            "offline",
        ),
        ("garbage", serve(|_| Reply::Raw(b"\0\x01\x02\r\n\r\n".to_vec())).0, "offline"),
        ("a hang-up", after_announcement(|_| Reply::Close), "offline"),
        ("413 for all", after_announcement(|_| answer("413 Large", "text/html", html)), "paused"),
        (
            "more than was sent",
            after_announcement(move |request| answer("200 OK", "application/json", &announced(request))),
            "paused",
        ),
        (
            "another hash",
            after_announcement(|request| {
                let acked = request.batch().events.len();
                answer(
                    "200 OK",
                    "application/json",
                    &json!({ "acked_through": acked, "head_hash": "00".repeat(32) }).to_string(),
                )
            }),
            "paused",
        ),
        (
            "the announced head, before anything was sent",
            serve(move |request| match request.number {
                0 => answer("200 OK", "application/json", &announced(request)),
                _ => answer("500 Oops", "text/plain", ""),
            })
            .0,
            "offline",
        ),
        ("401", serve(|_| answer("401 No", "application/json", r#"{"error":"no"}"#)).0, "unauthorised"),
        ("403", serve(|_| answer("403 No", "text/html", html)).0, "unauthorised"),
        (
            "a fork",
            after_announcement(|_| {
                answer("409 Conflict", "application/json", r#"{"error":"two histories","kind":"fork"}"#)
            }),
            "paused",
        ),
    ];
    let world = World::new();
    // More than one batch holds.
    world.append((0..620).map(light));
    let token = world.path().join("token");
    std::fs::write(&token, "cst_x\n").expect("a token file");
    let before = world.spooled();
    for (what, to, state) in cases {
        let output = world.replay_once(&to, &token);
        assert_eq!(output.status.code(), Some(3), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(world.pending(&to), 620, "{what}");
        let status = world.status();
        assert_eq!(status["state"], state, "{what}: {status}");
        assert!(status["last_error"].is_string(), "{what}: {status}");
    }
    assert_eq!(world.spooled(), before, "no event was given up or added");
}

#[test]
fn a_collector_that_never_answers_acknowledges_nothing_and_holds_nobody_up() {
    let world = World::new();
    world.append((0..3).map(light));
    let token = world.path().join("token");
    std::fs::write(&token, "cst_x\n").expect("a token file");
    let (to, requests) = serve(|_| Reply::Hang);
    let mut replayer = world.replay(&to, &token).spawn().expect("replay starts");
    wait_for("a request", || (requests.load(Ordering::SeqCst) > 0).then_some(()));
    world.append((3..6).map(light));
    assert_eq!(world.pending(&to), 6);
    assert_eq!(world.log().len(), 6);
    replayer.kill().expect("it can be killed");
    replayer.wait().expect("it is gone");
}

#[test]
fn a_batch_that_is_too_large_is_split_until_it_fits() {
    let world = World::new();
    world.append((0..60).map(light));
    let collector = Collector::start(&world);
    let token = world.token("device");
    let address = collector.address;
    let (to, _) =
        serve(move |request| match request.line().contains("/v1/batches") && request.batch().events.len() > 7 {
            true => answer("413 Large", "text/html", "<html>"),
            false => pass_on(request, address).map_or(Reply::Close, Reply::Raw),
        });
    let output = world.replay_once(&to, &token);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(world.archived(), world.spooled());
}

#[test]
fn an_event_that_the_collector_can_never_take_becomes_a_hole_and_the_rest_goes_on() {
    let world = World::new();
    let poison = EventBytes::parse(light(1).event.as_str().replace(",\"id\"", ",\n\"id\"").as_bytes());
    let poison =
        Append { event: poison.expect("still an event"), class: Class::Full, contents: Vec::new(), if_told: None };
    world.append([light(0), poison, light(2)]);
    let collector = Collector::start(&world);
    let token = world.token("device");
    let output = world.replay_once(&collector.url(), &token);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let archived = json_lines(world.archived().as_bytes());
    assert_eq!(archived.len(), 4, "the record of the loss came too");
    assert_eq!(archived[1]["hole"]["seq"], 2);
    assert!(
        archived[1]["hole"]["reason"].as_str().is_some_and(|reason| reason.contains("one line")),
        "{}",
        archived[1]
    );
    assert_eq!(archived[3]["event"]["type"], "dev.countersign.trail.gap.v1");
    assert_eq!(world.verified()["ok"], true, "the chain holds across the hole");
    let events: Vec<Value> = archived.iter().map(|line| line["event"].clone()).collect();
    assert_eq!(of_type(&events, "suggestion.accepted").len(), 2);
}

#[test]
fn a_wrong_token_pauses_replay_and_a_right_one_goes_on() {
    let world = World::new();
    world.append((0..3).map(light));
    let collector = Collector::start(&world);
    let token = world.token("analyst");
    let to = collector.url();
    for token in [&token, &world.path().join("no-such-file")] {
        assert_eq!(world.replay_once(&to, token).status.code(), Some(3));
        assert_eq!(world.status()["state"], "unauthorised");
        assert_eq!(world.pending(&to), 3);
    }
    assert!(world.replay_once(&to, &world.token("device")).status.success());
    assert_eq!(
        world.status(),
        json!({ "state": "online", "to": to, "last_error": null, "since": world.status()["since"] })
    );
}

#[test]
fn a_collector_that_lost_its_archive_gets_everything_again() {
    let world = World::new();
    world.append((0..5).map(light));
    let mut collector = Collector::start(&world);
    let token = world.token("device");
    let to = collector.url();
    assert!(world.replay_once(&to, &token).status.success());
    collector.kill();
    std::fs::remove_dir_all(&collector.data).expect("the archive is gone");
    collector.restart_elsewhere(&world);
    let token = world.token("device");
    assert!(world.replay_once(&to, &token).status.success());
    assert_eq!(world.archived(), world.spooled());
}

impl Collector {
    /// Starts again on the same address, after a kill.
    fn restart_elsewhere(&mut self, world: &World) {
        *self = Collector::listen(world, &self.address.to_string());
    }
}

#[test]
fn one_replayer_a_device_and_the_second_waits_for_what_the_first_sends() {
    let world = World::new();
    let collector = Collector::start(&world);
    let token = world.token("device");
    let to = collector.url();
    let mut first = world.replay(&to, &token).spawn().expect("replay starts");
    wait_for("the first to be online", || (world.status()["state"] == "online").then_some(()));
    world.append((0..700).map(light));
    assert!(world.replay_once(&to, &token).status.success());
    assert_eq!(world.pending(&to), 0);
    first.kill().expect("it can be killed");
    first.wait().expect("it is gone");
    assert_eq!(world.archived(), world.spooled());
}

#[test]
fn texts_follow_in_a_lane_of_their_own_and_lie_sealed_in_the_archive() {
    let world = World::new();
    let canary = "let canary = 7;";
    let place = json!({ "path": "a.rs" });
    world.append([full(1, "c1", &place, canary), light(2), full(3, "c3", &place, "short")]);
    let collector = Collector::start(&world);
    let token = world.token("device");
    let address = collector.address;
    let order = std::sync::Arc::new(Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&order);
    let (to, _) = serve(move |request| {
        let line = request.line();
        seen.lock()
            .unwrap()
            .push(line.split('/').nth(2).unwrap_or_default().split(' ').next().unwrap_or_default().to_owned());
        pass_on(request, address).map_or(Reply::Close, Reply::Raw)
    });
    assert!(world.replay_once(&to, &token).status.success());
    assert_eq!(*order.lock().unwrap(), ["batches", "batches", "contents", "contents"]);
    assert!(world.replay_once(&to, &token).status.success());
    assert_eq!(
        *order.lock().unwrap(),
        ["batches", "batches", "contents", "contents", "batches"],
        "texts are sent once"
    );
    assert_eq!(world.verified()["contents"]["ok"], 2);
    for entry in std::fs::read_dir(&collector.data).expect("the archive") {
        let bytes = std::fs::read(entry.expect("a file").path()).expect("readable");
        assert!(!bytes.windows(6).any(|window| window == b"canary"));
    }
}

#[test]
fn what_would_be_sent_is_what_is_sent_and_looking_sends_nothing() {
    let world = World::new();
    world.append((0..1_100).map(light));
    world.append([full(2_001, "c1", &json!({ "path": "a.rs" }), "fn one() {}"), full(2_002, "c2", &json!({}), "two")]);
    // What a request makes anew each time.
    let settled = |mut body: Value| {
        for name in ["head", "sent_at", "backlog"] {
            body.as_object_mut().expect("an object").remove(name);
        }
        body
    };
    let would: Vec<(String, Value)> = world
        .json(["log", "--would-send", "--json"])
        .into_iter()
        .map(|mut line| (line["path"].as_str().expect("a path").to_owned(), settled(line["body"].take())))
        .collect();

    let collector = Collector::start(&world);
    let token = world.token("device");
    let address = collector.address;
    let sent = std::sync::Arc::new(Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&sent);
    let (to, _) = serve(move |request| {
        let line = request.line();
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let body = match path.as_str() {
            "/v1/batches" => serde_json::to_value(request.batch()).expect("JSON"),
            _ => serde_json::from_slice(request.body()).expect("JSON"),
        };
        // The first request after an outage only announces.
        if !body["events"].as_array().is_some_and(Vec::is_empty) {
            seen.lock().unwrap().push((path, settled(body)));
        }
        pass_on(request, address).map_or(Reply::Close, Reply::Raw)
    });
    assert!(world.replay_once(&to, &token).status.success());
    let sent = sent.lock().unwrap();
    assert_eq!(would.len(), 7, "five batches, the first ones small, and two texts");
    assert!(would == *sent, "{would:#?}\n{sent:#?}");

    std::fs::create_dir_all(world.home().join("config")).expect("a directory");
    std::fs::write(world.home().join("config/config.toml"), format!("[collector]\nurl = '{to}'\n")).expect("a file");
    assert_eq!(world.json(["log", "--would-send", "--json"]), Vec::<Value>::new(), "it has everything");
}

#[test]
fn trace_answers_by_file_and_line_from_the_spool_and_from_the_archive() {
    let world = World::new();
    let root = world.repository("repo").canonicalize().expect("a path");
    git(&root, &["config", "remote.origin.url", "https://example.org/acme/app.git"]);
    let file = root.join("a.rs");
    let ai = "    launch(missiles);\n";
    let text = format!("fn main() {{\n{ai}}}\n");
    let repository = format!("{}@example.org/acme/app", git(&root, &["rev-parse", "HEAD"]).trim());
    let place = json!({
        "repository": repository, "path": "a.rs", "uri": format!("file://{}", path(&file)),
        "range": { "start": { "line": 1, "character": 0 }, "end": { "line": 1, "character": 0 } },
    });
    world.append([full(1, "c1", &place, ai), light(2)]);
    let spans = json!([
        { "start": 0, "end": 12, "origin": "human" },
        { "start": 12, "end": 12 + ai.len(), "origin": "ai", "contribution": "c1" },
        { "start": 12 + ai.len(), "end": text.len(), "origin": "human" },
    ]);
    let snapshot = Snapshot {
        spans_json: Some(spans.to_string()),
        ..Snapshot::of(
            path(&file).to_owned(),
            Kind::Saved,
            Some(text.clone().into_bytes()),
            "2026-01-02T03:04:06.000Z".parse::<Timestamp>().expect("a time"),
        )
    };
    Spool::open(&world.state()).expect("a spool").put_snapshot(&snapshot).expect("kept");
    // The text has moved since: a line before it, another indent.
    std::fs::write(&file, text.replace("fn main", "// entry\nfn main").replace("    launch", "\tlaunch"))
        .expect("saved");

    let collector = Collector::start(&world);
    assert!(world.replay_once(&collector.url(), &world.token("device")).status.success());
    let responder = world.token("responder");
    let lines = |at: &str| format!("{}{at}", path(&file));
    let url = collector.url();
    let from = |place: &str, more: &[&str]| {
        let base = ["trace", "--json", place, "--from", &url, "--token-file", path(&responder)];
        world.json(base.iter().chain(more).copied().collect::<Vec<_>>())
    };

    let local = world.json(["trace", "--json", &lines(":3")]);
    let archived = from(&lines(":3"), &[]);
    for told in [&local[0], &archived[0]] {
        assert_eq!((&told["contribution"], &told["lines"]), (&json!("c1"), &json!([[3, 3]])), "{told}");
        assert_eq!(told["model"], json!({ "requested": "gpt-x", "how": "observed", "absent": "not_on_wire" }));
        assert_eq!(told["prompt"], json!({ "absent": "not_on_wire" }));
        assert_eq!((&told["person"]["id"], &told["path"]["tool"]), (&json!("9f3a"), &json!("copilot")));
        assert_eq!((&told["acts"][0]["kind"], &told["output"]["bytes"]), (&json!("accepted"), &json!(ai.len())));
    }
    assert_eq!(local[0]["content"]["output"]["text"], ai);
    assert_eq!(archived[0]["content"]["output"]["text"], Value::Null, "facts need no purpose, texts do");
    assert_eq!(archived[1]["complete"], true, "{}", archived[1]);
    let texts = from(&lines(":3"), &["--purpose", "incident", "--ticket", "T-1"]);
    assert_eq!(texts[0]["content"]["output"]["text"], ai);

    let human = from(&lines(":2"), &[]);
    assert_eq!((human.len(), &human[0]["lines"]["human"]), (1, &json!([[2, 2]])), "{human:?}");
    // The line nobody saw entering.
    assert_eq!(from(&lines(":1"), &[])[0]["complete"], false);

    // Without the text: by repository and path, and it says so.
    let elsewhere = from("a.rs:2", &["--repository", &repository]);
    assert_eq!((&elsewhere[0]["contribution"], &elsewhere[1]["complete"]), (&json!("c1"), &json!(false)));
    assert_eq!(from("a.rs:9", &["--repository", &repository]).len(), 1);

    // A device may append and nothing else.
    let device = world.path().join("device.token");
    for args in [
        vec!["trace", "--json", "a.rs", "--repository", "x", "--from", &url, "--token-file", path(&device)],
        vec!["log", "--json", "--archive", &url, "--token-file", path(&device)],
    ] {
        let output = world.countersign(&args).output().expect("it runs");
        assert_eq!(output.status.code(), Some(3), "{args:?}");
        assert!(output.stdout.is_empty() && String::from_utf8_lossy(&output.stderr).contains("403"));
    }
    let analyst = world.token("analyst");
    let remote = text_of(&world, &["log", "--json", "--archive", &url, "--token-file", path(&analyst)]);
    assert_eq!(remote, text_of(&world, &["log", "--json"]), "the archive gives back the exact bytes");
}

fn text_of(world: &World, args: &[&str]) -> String {
    text(world.run(args))
}

#[test]
fn trace_without_a_snapshot_tells_what_happened_there_and_is_not_complete() {
    let world = World::new();
    let file = world.path().canonicalize().expect("a path").join("loose.rs");
    std::fs::write(&file, "a\nb\n").expect("saved");
    let place = json!({
        "uri": format!("file://{}", path(&file)),
        "range": { "start": { "line": 1, "character": 0 }, "end": { "line": 1, "character": 0 } },
    });
    world.append([full(1, "c1", &place, "b")]);
    let told = world.json(["trace", "--json", &format!("{}:2", path(&file))]);
    assert_eq!((&told[0]["contribution"], &told[1]["complete"]), (&json!("c1"), &json!(false)));
    assert_eq!(world.json(["trace", "--json", &format!("{}:1", path(&file))]).len(), 1);
    let human = text_of(&world, &["trace", path(&file)]);
    assert!(human.contains("gpt-x [observed]") && human.contains("incomplete"), "{human}");
    assert!(!human.contains('\u{1b}'), "no colour without a terminal");
}

#[test]
fn wrong_use_is_told_apart_from_what_could_not_be_done() {
    let world = World::new();
    for args in [
        vec!["replay", "--once"],
        vec!["replay", "--once", "--to", "http://203.0.113.1", "--token-file", "t"],
        vec!["trace", "--json", "a.rs:9-3"],
        vec!["trace", "--json", "a.rs", "--from", "http://127.0.0.1:1"],
        vec!["collect", "--data", "d", "--listen", "0.0.0.0:0"],
        vec!["collect", "token", "--data", "d", "--role", "root", "--subject", "x"],
        vec!["collect"],
    ] {
        let output = world.countersign(&args).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(!output.stderr.is_empty() && output.stdout.is_empty(), "{args:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_collector_that_is_asked_to_end_ends_well() {
    let world = World::new();
    let mut collector = Collector::start(&world);
    let pid = rustix::process::Pid::from_child(&collector.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a signal");
    let status = wait_for("the collector to end", || collector.child.try_wait().expect("its status"));
    assert_eq!(status.code(), Some(0));
}
