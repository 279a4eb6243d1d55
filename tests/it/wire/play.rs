//! Plays a recording through the real tap.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::support::{World, wait_for};

/// Recorded traffic with its truth.
pub(super) struct Recording {
    path: PathBuf,
    frames: Vec<(Side, Vec<u8>)>,
    pub(super) truth: Value,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Editor,
    Server,
}

/// What came of playing it.
pub(super) struct Played {
    /// Every event of the spool, with texts.
    pub(super) events: Vec<Value>,
}

impl Recording {
    /// Reads a recording by its base name.
    pub(super) fn read(name: &str) -> Recording {
        let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/wire");
        let path = dir.join(format!("{name}.jsonl"));
        let text = std::fs::read_to_string(&path).expect("the recording");
        let frames = text.lines().filter_map(|line| {
            let line: Value = serde_json::from_str(line).expect("a line of JSON");
            let side = match line["dir"].as_str() {
                Some("c2s") => Side::Editor,
                Some("s2c") => Side::Server,
                _ => return None,
            };
            let part = |name| line[name].as_str().expect("text");
            Some((side, format!("{}{}", part("header"), part("body")).into_bytes()))
        });
        let frames = frames.collect();
        let truth = std::fs::read_to_string(dir.join(format!("{name}.truth.json"))).expect("the truth");
        Recording { path, frames, truth: serde_json::from_str(&truth).expect("JSON") }
    }

    fn bytes(&self, side: Side) -> Vec<u8> {
        self.frames.iter().filter(|(from, _)| *from == side).flat_map(|(_, bytes)| bytes.clone()).collect()
    }
}

/// Plays both sides with the tap between them, insists that no byte was touched, and returns what the
/// spool says. `seed` decides how the editor's side is cut into chunks.
pub(super) fn play(world: &World, recording: &Recording, seed: u64) -> Played {
    let received = world.path().join("received");
    let mut tap = world
        .countersign(["tap", "--", "sh", "-c", r#"tee "$1" | exec "$0" demo-server "$2""#])
        .args([env!("CARGO_BIN_EXE_countersign").as_ref(), received.as_os_str(), recording.path.as_os_str()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the tap starts");
    let mut stdin = tap.stdin.take().expect("piped");
    let mut stdout = tap.stdout.take().expect("piped");
    let heard = Arc::new(Mutex::new(Vec::new()));
    let reader = std::thread::spawn({
        let heard = Arc::clone(&heard);
        move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = stdout.read(&mut buffer) {
                heard.lock().expect("no panic inside").extend_from_slice(&buffer[..n]);
            }
        }
    });

    let mut chance = Chance(seed);
    let mut due = 0;
    for (side, bytes) in &recording.frames {
        match side {
            Side::Server => due += bytes.len(),
            Side::Editor => {
                wait_for("the server's answers", || (heard.lock().ok()?.len() >= due).then_some(()));
                let mut rest = bytes.as_slice();
                while !rest.is_empty() {
                    let (now, later) = rest.split_at(chance.up_to(rest.len()));
                    stdin.write_all(now).expect("the tap reads");
                    rest = later;
                }
            }
        }
    }
    wait_for("the server's last words", || (heard.lock().ok()?.len() >= due).then_some(()));
    drop(stdin);
    let status = tap.wait().expect("the tap ends");
    reader.join().expect("the reader ends");
    assert!(status.success(), "{status}");
    assert!(*heard.lock().expect("no panic inside") == recording.bytes(Side::Server), "bytes to the editor changed");
    let received = std::fs::read(received).expect("what the server received");
    assert!(received == recording.bytes(Side::Editor), "bytes to the server changed");
    Played { events: world.log() }
}

/// Numbers that look random and are the same in every run.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    /// Returns a number from 1 to `most`, small ones more often.
    pub(super) fn up_to(&mut self, most: usize) -> usize {
        let n = self.next();
        let most = if n & 1 == 0 { most } else { most.min(7) };
        1 + (n >> 8) as usize % most
    }

    /// Returns the next number (xorshift).
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
