//! A real AI language server behind the tap, with a look at every byte before and after it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use super::endpoint::Endpoint;
use super::program;
use crate::lsp::client::Client;
use crate::support::{DEADLINE, World, wait_for};

/// What the editor sent, and what arrived; what the server said, and what was heard; how both ended.
const SCRIPT: &str = r#"
dir=$0 tap=$1; shift
tee "$dir/sent" | {
  "$tap" tap -- sh -c 'dir=$0; tee "$dir/arrived" | { sh -c '"'"'echo $$ >"$0"; exec "$@"'"'"' "$dir/server.pid" "$@"; echo $? >"$dir/server.status"; } | tee "$dir/said"' "$dir" "$@"
  echo $? >"$dir/tap.status"
} | tee "$dir/heard"
"#;

/// The ends of the pipes.
pub struct Tapped {
    directory: PathBuf,
    group: Option<u32>,
}

impl Tapped {
    /// Prepares a server behind the tap: nothing of this machine's environment, a home of its own, loopback.
    pub fn command(world: &World, endpoint: &Endpoint, program: &Path, arguments: &[&str]) -> (Tapped, Command) {
        let directory = world.path().join("tapped");
        std::fs::create_dir_all(&directory).unwrap();
        let mut command = program::agent(Path::new("/bin/sh"), world, endpoint, world.path());
        command
            .args(["-c", SCRIPT])
            .args([directory.as_os_str(), env!("CARGO_BIN_EXE_countersign").as_ref(), program.as_os_str()])
            .args(arguments)
            .env("COUNTERSIGN_HOME", world.home())
            .env("COUNTERSIGN_POLICY", world.policy_file());
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        (Tapped { directory, group: None }, command)
    }

    /// Starts one that speaks LSP.
    pub fn client(world: &World, endpoint: &Endpoint, program: &Path, arguments: &[&str]) -> (Tapped, Client) {
        let (mut tapped, command) = Tapped::command(world, endpoint, program, arguments);
        let client = Client::spawn(command);
        tapped.group = Some(client.id());
        (tapped, client)
    }

    /// Ends as an editor does, and waits for the end.
    pub fn finish(&self, mut client: Client) {
        client.request("shutdown", Value::Null);
        client.notify("exit", Value::Null);
        // Only then, so that it is the message that ends it.
        wait_for("the end of the server", || self.directory.join("server.status").exists().then_some(()));
        client.hang_up();
        client.ended();
    }

    /// Ends a server that stays when its editor has gone.
    pub fn terminate(&self) {
        let server = std::fs::read_to_string(self.directory.join("server.pid")).unwrap();
        assert!(Command::new("kill").args(["-TERM", server.trim()]).status().unwrap().success());
    }

    /// Insists that both ended, the server with this status, and that no byte was touched on its way, in
    /// either direction.
    pub fn ended_untouched(mut self, status_of_server: i32) {
        let read = |name: &str| std::fs::read(self.directory.join(name)).unwrap();
        let status = |name: &str| String::from_utf8(read(name)).unwrap().trim().to_owned();
        assert_eq!((status("server.status"), status("tap.status")), (status_of_server.to_string(), "0".to_owned()));
        assert!(!read("sent").is_empty() && !read("said").is_empty());
        assert!(read("sent") == read("arrived"), "bytes to the server changed");
        assert!(read("said") == read("heard"), "bytes to the editor changed");
        self.group = None;
    }
}

impl Drop for Tapped {
    fn drop(&mut self) {
        // A test that failed must leave nothing behind: neither the tap nor the server nor the pipes.
        if let Some(group) = self.group {
            let _ = Command::new("kill").args(["-KILL", "--", &format!("-{group}")]).status();
        }
    }
}

/// Insists that a text stands nowhere in what we wrote, and that a look for it would find it.
pub fn stands_nowhere(world: &World, text: &str) {
    let mut directories = vec![world.home()];
    let mut files = 0;
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                directories.push(entry.path());
                continue;
            }
            files += 1;
            let bytes = std::fs::read(entry.path()).unwrap();
            let is_there = bytes.windows(text.len()).any(|window| window == text.as_bytes());
            assert!(!is_there, "{text:?} stands in {}", entry.path().display());
        }
    }
    assert!(files >= 2, "there is a spool and a key");
    assert!(!world.log().iter().any(|event| event.to_string().contains(text)));
}

/// A client of the protocol of JSON lines: `[id,{"func","args"}]`, `[id,result]`.
pub struct Lines {
    child: Child,
    stdin: Option<ChildStdin>,
    incoming: Receiver<Value>,
    last: u64,
}

impl Lines {
    /// Starts one that speaks it.
    pub fn client(world: &World, endpoint: &Endpoint, program: &Path, arguments: &[&str]) -> (Tapped, Lines) {
        let (mut tapped, mut command) = Tapped::command(world, endpoint, program, arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        tapped.group = Some(child.id());
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().expect("piped"));
        let (sender, incoming) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok).filter(|line| !line.is_empty()) {
                if sender.send(serde_json::from_str(&line).expect("a line of JSON")).is_err() {
                    return;
                }
            }
        });
        (tapped, Lines { child, stdin, incoming, last: 0 })
    }

    /// Calls a function and returns what it answers.
    pub fn call(&mut self, function: &str, arguments: Value) -> Value {
        self.last += 1;
        let line = json!([self.last, {"func": function, "args": arguments}]);
        writeln!(self.stdin.as_mut().expect("open"), "{line}").expect("it reads");
        loop {
            let said = self.incoming.recv_timeout(DEADLINE).expect("an answer in time");
            if said[0] == self.last {
                return said[1].clone();
            }
        }
    }

    /// Hangs up, ends it and waits for the end.
    pub fn finish(mut self, tapped: &Tapped) {
        self.stdin = None;
        tapped.terminate();
        wait_for("the end of the server", || self.child.try_wait().expect("its status"));
    }
}
