//! A real agent as a child process: nothing of this machine's environment, a home of its own, an end.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::World;

use super::endpoint::Endpoint;

/// No scripted session takes this long, even on a busy machine.
const DEADLINE: Duration = Duration::from_secs(55);

/// Where `tests/run` put a program.
pub fn installed(variable: &str, agent: &str) -> PathBuf {
    let Some(path) = std::env::var_os(variable) else {
        panic!("{variable} is not set: `export {variable}=$(tests/agents/npm.sh {agent})`")
    };
    PathBuf::from(path)
}

/// The line an agent's configuration has for each of its hooks.
pub fn hook_line(world: &World, tool: &str) -> String {
    format!(
        "COUNTERSIGN_HOME='{}' COUNTERSIGN_POLICY='{}' '{}' hook {tool}",
        world.home().display(),
        world.policy_file().display(),
        env!("CARGO_BIN_EXE_countersign")
    )
}

/// The agent's home.
pub fn home(world: &World) -> PathBuf {
    let home = world.path().join("agent");
    std::fs::create_dir_all(&home).unwrap();
    home
}

/// Prepares a run in which loopback is all there is.
pub fn agent(program: &Path, world: &World, endpoint: &Endpoint, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", path())
        .env("HOME", home(world))
        .env("TMPDIR", world.path())
        .env("TERM", "dumb")
        .env("LANG", "C.UTF-8")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("NO_PROXY", "127.0.0.1")
        .env("HTTP_PROXY", endpoint.url())
        .env("HTTPS_PROXY", endpoint.url())
        .current_dir(directory);
    command
}

/// The system's programs, and Node.js wherever it is.
fn path() -> String {
    let system = "/usr/local/bin:/usr/bin:/bin";
    let all = std::env::var_os("PATH").unwrap_or_default();
    match std::env::split_paths(&all).find(|directory| directory.join("node").is_file()) {
        Some(node) => format!("{}:{system}", node.display()),
        None => system.to_owned(),
    }
}

/// Runs it to its end and insists on success; past the deadline it is ended, with all it started.
pub fn run(command: &mut Command, world: &World) -> String {
    let file = |name: &str| world.path().join(name);
    let said = || {
        let read = |name: &str| String::from_utf8_lossy(&std::fs::read(file(name)).unwrap()).into_owned();
        (read("agent.out"), read("agent.err"))
    };
    command.stdin(Stdio::null());
    command.stdout(File::create(file("agent.out")).unwrap()).stderr(File::create(file("agent.err")).unwrap());
    std::os::unix::process::CommandExt::process_group(command, 0);
    let mut child = command.spawn().unwrap();
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > DEADLINE {
            let group = format!("-{}", child.id());
            Command::new("kill").args(["-KILL", "--", &group]).status().unwrap();
            child.wait().unwrap();
            panic!("no end after {DEADLINE:?}: {:#?}", said());
        }
        std::thread::park_timeout(Duration::from_millis(10));
    };
    assert!(status.success(), "{status}: {:#?}", said());
    said().0
}

/// What our hooks could not do.
pub fn troubles(world: &World) -> String {
    std::fs::read_to_string(world.home().join("state/hook.log")).unwrap_or_default()
}
