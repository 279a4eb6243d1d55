//! What goes wrong in a hook is told where somebody looks: in `hook.log`, and from there in `status`.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use countersign_event::redact::Redactor;

use crate::paths::Paths;

/// Beyond this the log starts anew.
const LOG_BYTES_MAX: u64 = 256 << 10;
/// How many troubles `status` tells.
const TOLD: usize = 5;

fn file(state: &Path) -> PathBuf {
    state.join("hook.log")
}

/// Sends our own log to `hook.log`: what an agent reads from stderr it may show, or take for a reason.
pub(crate) fn start_logging() {
    let home = std::env::var_os("COUNTERSIGN_HOME").filter(|value| !value.is_empty()).map(PathBuf::from);
    let Ok(paths) = Paths::find(home) else { return };
    let filter = tracing_subscriber::EnvFilter::try_from_env("COUNTERSIGN_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let writer = move || Log { file: file(&paths.state) };
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(false).with_target(false).init();
    // A panic's message would go to stderr, past the log and past the redactor.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!("a defect of ours at {place}");
    }));
}

/// Returns the last troubles of hooks, oldest first.
pub(crate) fn troubles(state: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file(state)).unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(TOLD)..].iter().map(|line| (*line).to_owned()).collect()
}

/// The log. A line is one write; a log that can't be written is no reason to fail an agent.
struct Log {
    file: PathBuf,
}

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        // A mark in a log need not match marks anywhere else.
        let mut key = [0; 32];
        let _ = getrandom::fill(&mut key);
        let text = Redactor::new(&key).redact(&String::from_utf8_lossy(line)).text;
        let too_large = self.file.metadata().is_ok_and(|metadata| metadata.len() > LOG_BYTES_MAX);
        let mut options = OpenOptions::new();
        options.create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        if too_large {
            options.write(true).truncate(true);
        } else {
            options.append(true);
        }
        let _ = options.open(&self.file).and_then(|mut file| file.write_all(text.as_bytes()));
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
