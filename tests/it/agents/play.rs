//! Plays both sides of a recording through the real tap, while its work tree changes.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;

use serde_json::{Value, json};

use crate::support::{DEADLINE, World, git};

/// Where the recordings' work tree was.
const DIRECTORY: &str = "/workspace/demo";

/// Recorded traffic with its truth.
pub(super) struct Recording {
    messages: Vec<(Side, Line)>,
    pub(super) truth: Value,
    /// The files of the work tree are in HEAD.
    pub(super) is_committed: bool,
    /// Nothing changes on the disk.
    pub(super) leaves_files_alone: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Agent,
}

enum Line {
    Message(Value),
    Noise(Vec<u8>),
}

/// What came of playing it.
pub(super) struct Played {
    /// Every event of the spool, with texts.
    pub(super) events: Vec<Value>,
    pub(super) truth: Value,
    /// HEAD of the work tree.
    pub(super) head: String,
    /// Prompts pass this stream.
    pub(super) has_prompts: bool,
}

impl Played {
    pub(super) fn true_calls(&self) -> Vec<&Value> {
        self.truth["tool_calls"].as_array().expect("calls").iter().collect()
    }
}

impl Recording {
    /// Reads a recording by its folder.
    pub(super) fn read(name: &str) -> Recording {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/agents").join(name);
        let text = ["acp.jsonl", "appserver.jsonl", "mcp.jsonl"]
            .iter()
            .find_map(|file| std::fs::read_to_string(folder.join(file)).ok())
            .expect("the recording");
        let line = |line: &str| {
            let line: Value = serde_json::from_str(line).expect("a line of JSON");
            let side =
                if line["dir"].as_str().expect("a side").starts_with("client") { Side::Client } else { Side::Agent };
            (side, Line::Message(line["msg"].clone()))
        };
        let truth = std::fs::read_to_string(folder.join("ground_truth.json")).expect("the truth");
        Recording {
            messages: text.lines().filter(|line| !line.is_empty()).map(line).collect(),
            truth: serde_json::from_str(&truth).expect("JSON"),
            is_committed: true,
            leaves_files_alone: false,
        }
    }

    /// Says in each request who asks, instead of once at the beginning.
    pub(super) fn without_handshake(&mut self) {
        let mut client = Value::Null;
        self.messages.retain(|(_, line)| {
            let Line::Message(message) = line else { return true };
            if message["method"] == "initialize" {
                client = message["params"]["clientInfo"].clone();
            }
            !(message["method"] == "initialize"
                || message["method"] == "notifications/initialized"
                || message["result"]["serverInfo"].is_object())
        });
        for (_, line) in &mut self.messages {
            let Line::Message(message) = line else { continue };
            if message["method"].is_string() {
                message["params"]["_meta"]["io.modelcontextprotocol/clientInfo"] = client.clone();
                message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
            }
        }
    }

    /// Ends after the first message of this method.
    pub(super) fn cut_after(&mut self, method: &str) {
        let is_it = |(_, line): &(Side, Line)| matches!(line, Line::Message(message) if message["method"] == method);
        let at = self.messages.iter().position(is_it).expect("it is there");
        self.messages.truncate(at + 1);
    }

    /// Puts lines between the messages that no reader can like.
    pub(super) fn add_noise(&mut self) {
        let deep = [b"[".repeat(50_000), b"]".repeat(50_000)].concat();
        let giant = [b"{\"a\":\"".to_vec(), vec![b'x'; 9 << 20], b"\"}".to_vec()].concat();
        let noise = [
            deep,
            b"\xff\xfe{\"jsonrpc\"".to_vec(),
            b"{\"jsonrpc\":\"2.0\",\"method\":\"session/update\",\"params\":[1,{\"update\":7}]}".to_vec(),
            b"{\"id\":{\"a\":1},\"result\":null}".to_vec(),
            b"{\"method\":\"session/request_permission\",\"id\":99,\"params\":{\"toolCall\":\"x\",\"options\":3}}"
                .to_vec(),
            b"a line of a log".to_vec(),
            giant,
        ];
        for (i, noise) in noise.into_iter().enumerate() {
            self.messages.insert(3 * i + 2, (Side::Agent, Line::Noise(noise)));
        }
    }
}

/// Plays both sides with the tap between them, one message after another, and insists that no byte was
/// touched. `seed` decides how messages are cut into chunks.
pub(super) fn play(world: &World, recording: &Recording, seed: u64) -> Played {
    let root = world.path().join("demo");
    let head = prepare(world, recording, &root);
    let [down, up] = ["down", "up"].map(|name| world.path().join(name));
    for pipe in [&down, &up] {
        let _ = std::fs::remove_file(pipe);
        assert!(Command::new("mkfifo").arg(pipe).status().expect("mkfifo runs").success());
    }
    let mut tap = world
        .countersign(["tap", "--", "sh", "-c", r#"cat "$0" & exec cat > "$1""#])
        .args([&down, &up])
        .current_dir(&root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the tap starts");
    let mut to_client = File::options().write(true).open(&down).expect("a pipe");
    let at_agent = listen(File::open(&up).expect("a pipe"));
    let mut to_agent = tap.stdin.take().expect("piped");
    let at_client = listen(tap.stdout.take().expect("piped"));

    let mut chance = Chance(seed);
    let mut stage = Stage::default();
    for (side, line) in &recording.messages {
        let bytes = match line {
            Line::Message(message) => {
                if !recording.leaves_files_alone {
                    stage.change_files(&root, &recording.truth, *side, message);
                }
                format!("{}\n", message.to_string().replace(DIRECTORY, &root.to_string_lossy())).into_bytes()
            }
            Line::Noise(noise) => [noise.as_slice(), b"\n"].concat(),
        };
        let (writer, reader): (&mut dyn Write, _) = match side {
            Side::Client => (&mut to_agent, &at_agent),
            Side::Agent => (&mut to_client, &at_client),
        };
        let mut heard = Vec::new();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            // A giant is not cut into crumbs: it must only not fit into a pipe.
            let (now, later) = rest.split_at(if rest.len() > 100_000 { 60_000 } else { chance.up_to(rest.len()) });
            writer.write_all(now).expect("the tap reads");
            while let Ok(chunk) = reader.try_recv() {
                heard.extend(chunk);
            }
            rest = later;
        }
        while heard.len() < bytes.len() {
            heard.extend(reader.recv_timeout(DEADLINE).expect("what was written comes out"));
        }
        assert!(heard == bytes, "bytes changed");
    }
    drop((to_client, to_agent));
    let status = tap.wait().expect("the tap ends");
    assert!(status.success(), "{status}");
    let methods = recording.messages.iter().filter_map(|(_, line)| match line {
        Line::Message(message) => message["method"].as_str(),
        Line::Noise(_) => None,
    });
    let has_prompts = methods.into_iter().any(|method| matches!(method, "session/prompt" | "turn/start"));
    Played { events: world.log(), truth: recording.truth.clone(), head, has_prompts }
}

/// Makes the work tree as it was before the first call. Returns its HEAD.
fn prepare(world: &World, recording: &Recording, root: &Path) -> String {
    let _ = std::fs::remove_dir_all(root);
    world.repository("demo");
    for (name, texts) in recording.truth["files_changed_overall"].as_object().expect("files") {
        if let Some(before) = texts["before"].as_str() {
            std::fs::write(root.join(name), before).expect("a file");
        }
    }
    if recording.is_committed {
        git(root, &["add", "-A"]);
        git(root, &["commit", "-q", "--allow-empty", "-m", "second"]);
    }
    git(root, &["rev-parse", "HEAD"]).trim().to_owned()
}

fn listen(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (heard, chunks) = mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while let Ok(n @ 1..) = pipe.read(&mut buffer) {
            if heard.send(buffer[..n].to_vec()).is_err() {
                return;
            }
        }
    });
    chunks
}

/// What has happened so far.
#[derive(Default)]
struct Stage {
    /// Calls of the truth whose changes stand on the disk.
    done: HashSet<usize>,
    /// A file that the client was asked to write, and the request's id.
    writing: Option<(Value, String, String)>,
    /// The request of a call to a tool server.
    calling: Option<Value>,
}

impl Stage {
    /// Changes the files as they had been changed when this message was sent.
    fn change_files(&mut self, root: &Path, truth: &Value, side: Side, message: &Value) {
        let params = &message["params"];
        match (message["method"].as_str(), side) {
            (Some("fs/write_text_file"), Side::Agent) => {
                let path = params["path"].as_str().expect("a path").replace(DIRECTORY, &root.to_string_lossy());
                let content = params["content"].as_str().expect("a text").to_owned();
                self.writing = Some((message["id"].clone(), path, content));
            }
            (None, Side::Client) if self.writing.as_ref().is_some_and(|(id, ..)| *id == message["id"]) => {
                let (_, path, content) = self.writing.take().expect("it is there");
                std::fs::write(path, content).expect("a file");
            }
            (Some("tools/call"), Side::Client) => self.calling = Some(message["id"].clone()),
            (None, Side::Agent) if self.calling.as_ref() == Some(&message["id"]) => {
                self.finish(root, truth, &Value::Null)
            }
            (Some("session/update"), Side::Agent) if params["update"]["status"] == "completed" => {
                self.finish(root, truth, &params["update"]["toolCallId"]);
            }
            (Some("item/completed"), Side::Agent) if params["item"]["status"] == "completed" => {
                self.finish(root, truth, &params["item"]["id"]);
            }
            _ => {}
        }
    }

    /// Does to the files what this call did: the one with this id, or the next that has none.
    fn finish(&mut self, root: &Path, truth: &Value, id: &Value) {
        let calls = truth["tool_calls"].as_array().expect("calls");
        let is_it = |i: &usize| {
            !self.done.contains(i)
                && (calls[*i]["tool_call_id"] == *id || calls[*i]["tool_call_id"].is_null() || id.is_null())
        };
        let Some(call) = (0..calls.len()).find(is_it) else { return };
        self.done.insert(call);
        let turn = calls[call]["model_turn"].as_u64().expect("a turn") as usize;
        for (name, texts) in truth["workspace_change_after_each_model_turn"][turn].as_object().into_iter().flatten() {
            match texts["after"].as_str() {
                Some(after) => std::fs::write(root.join(name), after).expect("a file"),
                None => std::fs::remove_file(root.join(name)).expect("it was there"),
            }
        }
    }
}

/// Numbers that look random and are the same in every run.
struct Chance(u64);

impl Chance {
    /// Returns a number from 1 to `most`, small ones more often.
    fn up_to(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let most = if self.0 & 1 == 0 { most } else { most.min(7) };
        1 + (self.0 >> 8) as usize % most
    }
}
