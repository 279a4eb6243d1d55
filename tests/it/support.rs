//! What every scenario needs: a device of its own in a temporary directory, and waiting without sleeping.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Nothing that works takes this long, even on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// A device: its own home, its own policy, no environment but what a program needs.
pub struct World {
    dir: tempfile::TempDir,
}

impl World {
    /// Makes a device that keeps every text.
    pub fn new() -> World {
        let world = World { dir: tempfile::tempdir().expect("a temporary directory") };
        std::fs::write(world.policy_file(), "[tiers]\nfull = \"always\"\n").expect("a policy");
        world
    }

    /// The directory everything of this world is in.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// `COUNTERSIGN_HOME`.
    pub fn home(&self) -> PathBuf {
        self.path().join("home")
    }

    /// `COUNTERSIGN_POLICY`.
    pub fn policy_file(&self) -> PathBuf {
        self.path().join("policy.toml")
    }

    /// Prepares a run of the real binary on this device.
    pub fn countersign<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command
            .args(args)
            .env("COUNTERSIGN_HOME", self.home())
            .env("COUNTERSIGN_POLICY", self.policy_file())
            // What git says to a hook must not depend on how busy this machine is.
            .env("COUNTERSIGN_TEST_HOOK_MS", "20000")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env_remove("GIT_DIR")
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs the binary and insists that it succeeds.
    pub fn run<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Output {
        let output = self.countersign(args).output().expect("countersign runs");
        assert!(output.status.success(), "{:?}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
        output
    }

    /// Runs the binary and reads one JSON object from each line of its output.
    pub fn json<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Vec<Value> {
        json_lines(&self.run(args).stdout)
    }

    /// Every event of the spool, with texts.
    pub fn log(&self) -> Vec<Value> {
        self.json(["log", "--json", "--content"])
    }

    /// Makes a git repository with one commit in it, which no other repository has: by its root commit
    /// a repository is known.
    pub fn repository(&self, name: &str) -> PathBuf {
        let root = self.path().join(name);
        std::fs::create_dir_all(&root).expect("a directory");
        git(&root, &["init", "-q", "-b", "main"]);
        git(&root, &["config", "user.email", "dev@example.org"]);
        git(&root, &["config", "user.name", "Dev"]);
        git(&root, &["commit", "-q", "--allow-empty", "-m", &format!("first of {name}")]);
        root
    }
}

/// Runs git and insists that it succeeds.
pub fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .arg("-C")
        .arg(dir)
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .expect("git runs");
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Reads one JSON value from each line.
pub fn json_lines(bytes: &[u8]) -> Vec<Value> {
    std::str::from_utf8(bytes)
        .expect("output is UTF-8")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// Waits until `ready` answers, looking again every few milliseconds, and fails after [`DEADLINE`].
pub fn wait_for<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(start.elapsed() < DEADLINE, "waited {DEADLINE:?} for {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Events of a short type name (`suggestion.accepted`).
pub fn of_type<'a>(events: &'a [Value], name: &str) -> Vec<&'a Value> {
    let whole = format!("dev.countersign.{name}.v1");
    events.iter().filter(|event| event["type"] == whole.as_str()).collect()
}

/// Says whether the long run was asked for.
pub fn is_long() -> bool {
    std::env::var_os("COUNTERSIGN_LONG").is_some_and(|value| value == "1")
}

/// Resident memory of a process.
#[cfg(target_os = "linux")]
pub fn memory_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
