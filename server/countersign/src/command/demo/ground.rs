//! The ground the demonstration stands on: a temporary directory with a device, a project and a collector.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::error::Failure;
use crate::shell::Shell;
use crate::signals;

/// The document that is edited.
pub(super) const FILE: &str = "thumbs.py";

/// Everything the demonstration made, in one directory.
pub(super) struct Ground {
    dir: PathBuf,
    binary: PathBuf,
    /// The device's view of it.
    pub(super) shell: Shell,
    collector: Arc<Mutex<Option<Child>>>,
    keep: bool,
}

impl Ground {
    /// Makes the directory, the project and the device.
    pub(super) fn prepare(keep: bool) -> Result<Ground, Failure> {
        let failed = |error| Failure::from_error("cannot prepare a temporary directory", &error);
        let binary = std::env::current_exe().map_err(failed)?;
        let dir = tempfile::Builder::new().prefix("countersign-demo-").tempdir().map_err(failed)?.keep();
        let shell = Shell::below(&dir.join("home"))?;
        let ground = Ground { dir, binary, shell, collector: Arc::new(Mutex::new(None)), keep };
        std::fs::create_dir_all(ground.project()).map_err(failed)?;
        std::fs::create_dir_all(&ground.shell.paths.config).map_err(failed)?;
        std::fs::write(ground.file(), "import subprocess\n\nimport requests\n\n").map_err(failed)?;
        ground.git(&["init", "--quiet", "--initial-branch=main"])?;
        ground.git(&["config", "user.email", "you@example.org"])?;
        ground.git(&["config", "user.name", "You"])?;
        ground.git(&["add", FILE])?;
        ground.git(&["commit", "--quiet", "--message=first"])?;
        Ok(ground)
    }

    /// The project's directory.
    pub(super) fn project(&self) -> PathBuf {
        self.dir.join("project")
    }

    /// The file that is edited.
    pub(super) fn file(&self) -> PathBuf {
        self.project().join(FILE)
    }

    /// The collector's data directory.
    pub(super) fn archive(&self) -> PathBuf {
        self.dir.join("collector")
    }

    /// A path below the directory.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Prepares a run of this very program on the demonstration's device.
    pub(super) fn countersign(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(args)
            .current_dir(self.project())
            .env("COUNTERSIGN_HOME", self.path("home"))
            .env_remove("COUNTERSIGN_POLICY")
            .env("COUNTERSIGN_LOG", "off");
        command
    }

    /// Runs this very program and returns its output.
    pub(super) fn output(&self, args: &[&str]) -> Result<String, Failure> {
        let output = self
            .countersign(args)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| Failure::from_error("cannot run countersign", &error))?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(Failure::could_not(format!("countersign {} failed: {text}", args.join(" "))));
        }
        String::from_utf8(output.stdout).map_err(|error| Failure::from_error("output", &error))
    }

    /// Starts the collector and waits until it listens. Port 0 picks one.
    pub(super) fn start_collector(&self, listen: SocketAddr) -> Result<SocketAddr, Failure> {
        let failed = |error| Failure::from_error("cannot start the collector", &error);
        let data = self.archive().display().to_string();
        let mut child = self
            .countersign(&["collect", "--data", &data, "--listen", &listen.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).map_err(failed)?;
        }
        *self.collector.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        let ready: Value = serde_json::from_str(&line)
            .map_err(|error| Failure::from_error("the collector did not say where it listens", &error))?;
        let url = ready["listening"].as_str().unwrap_or_default();
        url.trim_start_matches("http://")
            .parse()
            .map_err(|_| Failure::could_not(format!("the collector listens at {url:?}")))
    }

    /// Kills the collector, as a crash would (SIGKILL).
    pub(super) fn kill_collector(&self) {
        kill(&self.collector);
    }

    /// Makes a token and keeps it in a file.
    pub(super) fn token(&self, role: &str) -> Result<PathBuf, Failure> {
        let data = self.archive().display().to_string();
        let token = self.output(&["collect", "token", "--data", &data, "--role", role, "--subject", "demo"])?;
        let file = self.path(&format!("{role}.token"));
        std::fs::write(&file, token).map_err(|error| Failure::from_error("cannot write a token", &error))?;
        Ok(file)
    }

    /// Tells the device where to send its trail.
    pub(super) fn configure(&self, collector: SocketAddr, token_file: &Path) -> Result<(), Failure> {
        let text =
            format!("[collector]\nurl = \"http://{collector}\"\ntoken_file = {:?}\n", token_file.display().to_string());
        std::fs::write(self.shell.paths.config.join("config.toml"), text)
            .map_err(|error| Failure::from_error("cannot write config.toml", &error))
    }

    /// Returns how many events the collector has not acknowledged.
    pub(super) fn pending(&self) -> Result<u64, Failure> {
        let status: Value = serde_json::from_str(&self.output(&["status", "--json"])?)
            .map_err(|error| Failure::from_error("status", &error))?;
        Ok(status["spool"]["pending"].as_u64().unwrap_or_default())
    }

    /// Waits until the collector has acknowledged everything.
    pub(super) fn drained(&self, deadline: Duration) -> Result<(), Failure> {
        let start = Instant::now();
        while self.pending()? > 0 {
            if start.elapsed() > deadline {
                return Err(Failure::could_not(format!("the spool did not drain in {deadline:?}")));
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Cleans up when the person presses Ctrl-C or the system asks us to end: the collector ends, the
    /// directory goes.
    pub(super) fn clean_up_on_signals(&self) -> Result<(), Failure> {
        let failed = |error| Failure::from_error("cannot wait for Ctrl-C", &error);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let asked_to_end = runtime.block_on(async { signals::caught() }).map_err(failed)?;
        let (collector, dir, keep) = (Arc::clone(&self.collector), self.dir.clone(), self.keep);
        std::thread::spawn(move || {
            let code = runtime.block_on(asked_to_end);
            kill(&collector);
            if !keep {
                let _ = std::fs::remove_dir_all(&dir);
            }
            std::process::exit(code);
        });
        Ok(())
    }

    fn git(&self, args: &[&str]) -> Result<(), Failure> {
        let status = Command::new("git")
            .arg("-C")
            .arg(self.project())
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .map_err(|error| Failure::from_error("cannot run git", &error).hint("install git"))?;
        if status.success() { Ok(()) } else { Err(Failure::could_not(format!("git {} failed", args.join(" ")))) }
    }
}

impl Drop for Ground {
    /// Leaves nothing behind: no process, and no file unless it was asked for.
    fn drop(&mut self) {
        self.kill_collector();
        if !self.keep {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

fn kill(collector: &Mutex<Option<Child>>) {
    if let Some(mut child) = collector.lock().unwrap_or_else(PoisonError::into_inner).take() {
        let _ = child.kill();
        let _ = child.wait();
    }
}
