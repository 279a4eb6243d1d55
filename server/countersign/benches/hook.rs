//! What one hook call costs an agent: the whole process, against a process that does nothing and against
//! the same append without a process.
//!
//! Budget: 100 ms whatever happens; a few milliseconds when nothing is wrong.
//! `cargo bench -p countersign --bench hook`.

#![allow(missing_docs, reason = "a benchmark has no interface")]
#![allow(clippy::unwrap_used, reason = "a benchmark that can't run has no result")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use countersign_event::facts::{IntegrationPath, PathKind, Transport};
use countersign_event::payload::capture;
use countersign_event::{Event, Fact, How, Payload, Timestamp};
use countersign_spool::{Append, Class, append_once};

fn main() {
    divan::main();
}

/// A repository with some files, a device, and a hook.
struct Desk {
    home: tempfile::TempDir,
    root: tempfile::TempDir,
}

impl Desk {
    fn new(files: usize) -> Desk {
        let desk = Desk { home: tempfile::tempdir().unwrap(), root: tempfile::tempdir().unwrap() };
        for at in 0..files {
            let dir = desk.root.path().join(format!("d{}", at / 100));
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(dir.join(format!("f{at}.py")), format!("x = {at}\n")).unwrap();
        }
        std::fs::write(desk.file(), "before\n").unwrap();
        for args in [
            &["init", "-q"][..],
            &["config", "user.email", "dev@example.org"],
            &["config", "user.name", "Dev"],
            &["add", "."],
            &["commit", "-qm", "files"],
        ] {
            assert!(Command::new("git").arg("-C").arg(desk.root.path()).args(args).status().unwrap().success());
        }
        desk.hook("UserPromptSubmit", r#","prompt":"Warm up""#); // keys, spool and the repository's identity are made
        desk
    }

    fn file(&self) -> PathBuf {
        self.root.path().join("edited.py")
    }

    fn state(&self) -> PathBuf {
        self.home.path().join("state")
    }

    fn hook(&self, event: &str, more: &str) {
        let cwd = self.root.path().display();
        let said = format!(r#"{{"session_id":"s","cwd":"{cwd}","hook_event_name":"{event}"{more}}}"#);
        let mut child = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(["hook", "claude-code"])
            .env("COUNTERSIGN_HOME", self.home.path())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(said.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }

    fn call(&self, event: &str, tool: &str, id: usize) {
        let input = match tool {
            "Bash" => r#"{"command":"true"}"#.to_owned(),
            _ => format!(r#"{{"file_path":"{}","content":"after"}}"#, self.file().display()),
        };
        self.hook(event, &format!(r#","tool_name":"{tool}","tool_use_id":"t{id}","tool_input":{input}"#));
    }
}

fn append(state: &Path) {
    let payload = Payload::CaptureStarted(capture::Started {
        how: How::Observed,
        path: Fact::observed(IntegrationPath::new(PathKind::Agent, Transport::Hook)),
        countersign: String::new(),
        client: None,
    });
    let (id, time) = (uuid::Uuid::now_v7(), Timestamp::from_millis(0));
    let event = Event { id, source: "bench".to_owned(), time, subject: None, payload }.to_bytes();
    append_once(
        state,
        &[Append { event, class: Class::Full, contents: Vec::new(), if_told: None }],
        Duration::from_secs(5),
    )
    .unwrap();
}

/// The baseline: a process that does nothing.
#[divan::bench]
fn true_process(bencher: divan::Bencher<'_, '_>) {
    bencher.bench(|| Command::new("true").status().unwrap());
}

/// The other baseline: open the spool, append one event for good, close.
#[divan::bench]
fn append_alone(bencher: divan::Bencher<'_, '_>) {
    let desk = Desk::new(0);
    bencher.bench_local(|| append(&desk.state()));
}

/// A hook that records nothing: it starts, reads, and leaves.
#[divan::bench]
fn nothing_to_record(bencher: divan::Bencher<'_, '_>) {
    let desk = Desk::new(0);
    bencher.bench_local(|| desk.hook("Notification", ""));
}

#[divan::bench]
fn prompt(bencher: divan::Bencher<'_, '_>) {
    let desk = Desk::new(0);
    bencher.bench_local(|| desk.hook("UserPromptSubmit", r#","prompt":"Rename it""#));
}

#[divan::bench]
fn before_an_edit(bencher: divan::Bencher<'_, '_>) {
    let desk = Desk::new(0);
    let mut id = 0;
    bencher
        .with_inputs(|| {
            id += 1;
            id
        })
        .bench_local_values(|id| desk.call("PreToolUse", "Write", id));
}

#[divan::bench]
fn after_an_edit(bencher: divan::Bencher<'_, '_>) {
    let desk = Desk::new(0);
    let mut id = 0;
    bencher
        .with_inputs(|| {
            id += 1;
            desk.call("PreToolUse", "Write", id);
            std::fs::write(desk.file(), format!("after {id}\n")).unwrap();
            id
        })
        .bench_local_values(|id| desk.call("PostToolUse", "Write", id));
}

#[divan::bench(args = [100, 5_000])]
fn before_a_shell_command(bencher: divan::Bencher<'_, '_>, files: usize) {
    let desk = Desk::new(files);
    let mut id = 0;
    bencher
        .with_inputs(|| {
            id += 1; // a call that is open already is not looked at again
            id
        })
        .bench_local_values(|id| desk.call("PreToolUse", "Bash", id));
}

#[divan::bench(args = [100, 5_000])]
fn after_a_shell_command(bencher: divan::Bencher<'_, '_>, files: usize) {
    let desk = Desk::new(files);
    let mut id = 0;
    bencher
        .with_inputs(|| {
            id += 1;
            desk.call("PreToolUse", "Bash", id);
            std::fs::write(desk.file(), format!("after {id}\n")).unwrap();
            id
        })
        .bench_local_values(|id| desk.call("PostToolUse", "Bash", id));
}
