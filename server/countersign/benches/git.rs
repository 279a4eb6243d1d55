//! What our hooks cost a commit: the same commit without hooks, with an empty one, and with ours; also with
//! the spool locked and our long-lived processes stopped. And the hook's process alone.
//!
//! Budget: 10 ms more at the median, 7 ms for the process.
//! `cargo bench -p countersign --bench git`.

#![allow(missing_docs, reason = "a benchmark has no interface")]
#![allow(clippy::unwrap_used, reason = "a benchmark that can't run has no result")]

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use divan::Bencher;

fn main() {
    divan::main();
}

/// A repository and a device.
struct Desk {
    home: tempfile::TempDir,
    root: tempfile::TempDir,
}

impl Desk {
    fn new() -> Desk {
        let desk = Desk { home: tempfile::tempdir().unwrap(), root: tempfile::tempdir().unwrap() };
        for args in [
            &["init", "-q"][..],
            &["config", "user.email", "dev@example.org"],
            &["config", "user.name", "Dev"],
            &["config", "gc.auto", "0"],
        ] {
            desk.git(args);
        }
        for at in 0..100 {
            std::fs::write(desk.root.path().join(format!("f{at}.py")), format!("x = {at}\n")).unwrap();
        }
        desk.git(&["add", "."]);
        desk.git(&["commit", "-qm", "files"]);
        desk
    }

    fn with_hooks() -> Desk {
        let desk = Desk::new();
        let status = desk.countersign().args(["setup", "git", "--yes"]).stdout(Stdio::null()).status().unwrap();
        assert!(status.success());
        desk.commit();
        while desk.events() == 0 {
            std::thread::yield_now(); // keys and spool are made
        }
        desk
    }

    fn git(&self, args: &[&str]) {
        let mut command = Command::new("git");
        command.args(args).current_dir(self.root.path()).env("COUNTERSIGN_HOME", self.home.path());
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        assert!(command.stdin(Stdio::null()).status().unwrap().success());
    }

    fn commit(&self) {
        self.git(&["commit", "-q", "--allow-empty", "-m", "x"]);
    }

    fn countersign(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.current_dir(self.root.path()).env("COUNTERSIGN_HOME", self.home.path()).stdin(Stdio::null());
        command
    }

    fn hook(&self) {
        assert!(self.countersign().args(["git", "post-commit"]).status().unwrap().success());
    }

    fn events(&self) -> i64 {
        let path = self.home.path().join("state/spool.db");
        let spool = rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY);
        let count = spool.and_then(|spool| spool.query_row("SELECT count(*) FROM events", [], |row| row.get(0)));
        count.unwrap_or(0) // it is being made
    }

    fn locked(&self) -> rusqlite::Connection {
        let spool = rusqlite::Connection::open(self.home.path().join("state/spool.db")).unwrap();
        spool.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
        spool.execute_batch("BEGIN EXCLUSIVE").unwrap();
        spool
    }
}

/// An editor's server that was stopped where it stood, with its spool open and something recorded there.
struct Stopped(Child);

impl Stopped {
    fn start(desk: &Desk) -> Stopped {
        let child = desk.countersign().arg("lsp").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut stopped = Stopped(child);
        let before = desk.events();
        let stdin = stopped.0.stdin.as_mut().unwrap();
        for body in [
            r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"capabilities":{}}}"#,
            r#"{"jsonrpc":"2.0","method":"initialized","params":{}}"#,
        ] {
            write!(stdin, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        }
        while desk.events() == before {
            std::thread::yield_now();
        }
        stopped.signal("STOP");
        stopped
    }

    fn signal(&self, name: &str) {
        Command::new("kill").args([&format!("-{name}"), &self.0.id().to_string()]).status().unwrap();
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn write_hook(root: &Path, text: &str) {
    let hook = root.join(".git/hooks/post-commit");
    std::fs::write(&hook, text).unwrap();
    Command::new("chmod").args(["+x", hook.to_str().unwrap()]).status().unwrap();
}

/// The baseline.
#[divan::bench]
fn commit_without_hooks(bencher: Bencher<'_, '_>) {
    let desk = Desk::new();
    bencher.bench_local(|| desk.commit());
}

/// What any hook costs: a shell that does nothing.
#[divan::bench]
fn commit_with_an_empty_hook(bencher: Bencher<'_, '_>) {
    let desk = Desk::new();
    write_hook(desk.root.path(), "#!/bin/sh\n");
    bencher.bench_local(|| desk.commit());
}

#[divan::bench]
fn commit_with_our_hooks(bencher: Bencher<'_, '_>) {
    let desk = Desk::with_hooks();
    bencher.bench_local(|| desk.commit());
}

#[divan::bench]
fn commit_with_our_hooks_and_a_locked_spool(bencher: Bencher<'_, '_>) {
    let desk = Desk::with_hooks();
    let _locked = desk.locked();
    bencher.bench_local(|| desk.commit());
}

#[divan::bench]
fn commit_with_our_hooks_and_a_stopped_server(bencher: Bencher<'_, '_>) {
    let desk = Desk::with_hooks();
    let _stopped = Stopped::start(&desk);
    bencher.bench_local(|| desk.commit());
}

#[divan::bench]
fn hook_alone(bencher: Bencher<'_, '_>) {
    let desk = Desk::with_hooks();
    bencher.bench_local(|| desk.hook());
}

#[divan::bench]
fn hook_alone_with_a_locked_spool(bencher: Bencher<'_, '_>) {
    let desk = Desk::with_hooks();
    let _locked = desk.locked();
    bencher.bench_local(|| desk.hook());
}

#[divan::bench]
fn hook_alone_with_a_stopped_server(bencher: Bencher<'_, '_>) {
    let desk = Desk::with_hooks();
    let _stopped = Stopped::start(&desk);
    bencher.bench_local(|| desk.hook());
}
