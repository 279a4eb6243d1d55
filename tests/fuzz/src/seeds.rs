//! The seeds: recordings of real traffic, brought into the form that a target reads.
//!
//! They are written when a target starts with `COUNTERSIGN_FUZZ_SEEDS` set to a directory.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Lines that go into one seed of a conversation.
const LINES: usize = 8;
/// Seeds larger than this teach a fuzzer nothing that it could vary.
const SEED_BYTES_MAX: usize = 48 << 10;
/// Long bodies teach a framing nothing.
const STREAM_BYTES_MAX: usize = 4 << 10;

/// Writes the seeds of a target.
pub fn write(target: &str) {
    let Some(into) = std::env::var_os("COUNTERSIGN_FUZZ_SEEDS").map(PathBuf::from) else { return };
    fs::create_dir_all(&into).expect("a directory for the seeds");
    let seeds = match target {
        "decoders" => conversations(),
        "hooks" => hook_calls(),
        "events" => events(),
        "secrets" => secrets(),
        "text" => texts(),
        _ => streams(),
    };
    assert!(!seeds.is_empty(), "{target} has no seeds");
    for (i, seed) in seeds.iter().filter(|seed| seed.len() <= SEED_BYTES_MAX).enumerate() {
        fs::write(into.join(format!("seed-{i:04}")), seed).expect("a seed");
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

/// Every file below a directory whose name ends like this.
fn files(below: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> =
        fs::read_dir(below).expect("fixtures").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            found.extend(files(&path, end));
        } else if path.to_string_lossy().ends_with(end) {
            found.push(path);
        }
    }
    found
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("a fixture");
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// One message of a recording.
struct Message {
    to_editor: bool,
    header: String,
    body: String,
}

fn message(line: &Value) -> Option<Message> {
    let to_editor = match line["dir"].as_str()? {
        "c2s" | "client->agent" | "client->server" => false,
        "s2c" | "agent->client" | "server->client" => true,
        _ => return None,
    };
    let body = match line["body"].as_str() {
        Some(body) => body.to_owned(),
        None => line.get("msg").filter(|message| message.is_object())?.to_string(),
    };
    Some(Message { to_editor, header: line["header"].as_str().unwrap_or_default().to_owned(), body })
}

/// Every recording: the tool's name, where the file's says it, and what passed.
fn recordings() -> Vec<(String, Vec<Message>)> {
    let mut paths = files(&fixtures().join("wire"), ".jsonl");
    for name in ["acp.jsonl", "appserver.jsonl", "mcp.jsonl"] {
        paths.extend(files(&fixtures().join("agents"), name));
    }
    let tool = |path: &Path| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        ["copilot", "helix-gpt", "lsp-ai", "tabby"]
            .iter()
            .find(|tool| name.starts_with(**tool))
            .map_or(String::new(), |tool| (*tool).to_owned())
    };
    paths.iter().map(|path| (tool(path), lines(path).iter().filter_map(message).collect())).collect()
}

fn conversations() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (tool, messages) in recordings() {
        for part in messages.chunks(LINES) {
            let mut seed = tool.clone();
            for message in part {
                seed.push_str(if message.to_editor { "\n<" } else { "\n>" });
                seed.push_str(message.body.trim_end());
            }
            seeds.push(seed.into_bytes());
        }
    }
    seeds
}

fn streams() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (_, messages) in recordings() {
        for part in messages.chunks(4).take(8) {
            let mut seed = vec![3, 0, 9, 200];
            seed.extend(part.iter().flat_map(|message| [message.header.as_bytes(), message.body.as_bytes()].concat()));
            if seed.len() <= STREAM_BYTES_MAX {
                seeds.push(seed);
            }
        }
    }
    seeds
}

fn hook_calls() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    let agents = fixtures().join("agents");
    let mut calls = files(&agents, "hooks.jsonl");
    calls.extend(files(&agents, "plugin_events.jsonl"));
    calls.extend(files(&agents.join("documented"), ".jsonl"));
    for path in calls {
        for line in lines(&path) {
            let call = serde_json::json!({ "event": line["event"], "env": line["env"], "stdin": line["stdin"] });
            seeds.push(call.to_string().into_bytes());
        }
    }
    for name in ["transcript.jsonl", "rollout.jsonl", "events.jsonl", "chat.jsonl"] {
        for path in files(&agents, name) {
            let text = fs::read_to_string(path).expect("a fixture");
            let lines: Vec<&str> = text.lines().collect();
            seeds.extend(lines.chunks(LINES).map(|lines| lines.join("\n").into_bytes()));
        }
    }
    seeds
}

fn events() -> Vec<Vec<u8>> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../server/event");
    let one_line = |path: &PathBuf| {
        let json: Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        Some(json.to_string().into_bytes())
    };
    files(&golden, ".json").iter().filter_map(one_line).collect()
}

/// Whatever stands in recordings, with something in it that must not stay.
fn secrets() -> Vec<Vec<u8>> {
    // In two halves: a scanner of this repository should find none.
    let shapes = [
        ("gh", "p_1A2b3C4d5E6f7G8h9I0j1K2l3M4n5O6p7Q8r"),
        ("github", "_pat_11ABCDEFG0123456789abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ0"),
        ("AK", "IAQ3EGRZ7PLM5WXK2B"),
        ("sk", "-ant-api03-aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789-_aBcDeFgHiJkLmNoPqRsTuVwXyZ"),
        ("-----BEGIN RSA PRIVATE", " KEY-----\nMIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn\n-----END RSA PRIVATE KEY-----"),
        ("ey", "JhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"),
        ("postgres:", "//user:s3cr3tP4ssw0rd@db.example.org/x"),
        ("password", " = \"correct-horse-battery-9\""),
        ("Authorization", ": Bearer abcdef0123456789ABCDEF"),
    ]
    .map(|(front, back)| [front, back].concat());
    let mut seeds: Vec<Vec<u8>> = shapes.iter().map(|shape| shape.as_bytes().to_vec()).collect();
    seeds.push(shapes.join(" ").into_bytes());
    seeds
        .push(serde_json::json!({ "token": shapes[0], "nested": {"apiKey": [shapes[1], 3]} }).to_string().into_bytes());
    seeds.extend(conversations().into_iter().step_by(5));
    seeds
}

fn texts() -> Vec<Vec<u8>> {
    let texts = ["", "a\r\nb\n", "fn é() {\r\n\t\"🎉\"\r}\n", "x = [1, 2]\ny = x\n"];
    let edits: [&[u8]; 4] = [
        b"\x01\x00\x00\x00\x00new\n",
        b"\x05\x00\x01\x01\x00",
        b"\x09\x01\x00\x01\x02\r\n\xf0\x9f\x8e\x89",
        b"\x04\0\0\0\0",
    ];
    let mut seeds = Vec::new();
    for text in texts {
        for edit in edits {
            seeds.push([text.as_bytes(), b"\0", edit, b"\0", edits[0]].concat());
        }
    }
    seeds
}
