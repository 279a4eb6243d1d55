//! Starting ourselves as a process of its own, which nobody waits for.

use std::process::{Command, Stdio};

/// Its console never shows on a screen.
#[cfg(windows)]
const NO_WINDOW: u32 = 0x0800_0000;

/// Starts `countersign ARGS` and does not wait for it: it lives on when its starter and the terminal end.
pub(crate) fn start(args: &[&str]) {
    let started = std::env::current_exe().and_then(|program| {
        let mut command = Command::new(program);
        // What git says to its hooks is not for the git that we run.
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
            command.env_remove(name);
        }
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        #[cfg(windows)]
        std::os::windows::process::CommandExt::creation_flags(&mut command, NO_WINDOW);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
    });
    if let Err(error) = started {
        tracing::warn!(%error, "countersign {} could not be started", args.join(" "));
    }
}
