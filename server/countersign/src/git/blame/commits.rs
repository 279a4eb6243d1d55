//! What git itself says of a file, asked while we do our part.

use std::collections::HashMap;
use std::process::{Child, Command, Stdio};

use crate::git::objects::command;
use crate::git::state::Layout;

/// git on its way to an answer.
pub(super) struct Running(Option<Child>);

impl Running {
    fn start(command: &mut Command) -> Running {
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        Running(piped.spawn().ok())
    }

    /// Asks for the commit of each line, in a commit or in the work tree.
    pub(super) fn blame(layout: &Layout, commit: Option<&str>, path: &str) -> Running {
        let mut git = command(&layout.git_dir);
        if commit.is_none() {
            git.arg("--work-tree").arg(&layout.worktree).current_dir(&layout.worktree);
        }
        Running::start(git.args(["blame", "--porcelain"]).args(commit).arg("--").arg(path))
    }

    /// Asks for the newest commit that changed a path, at or before a commit (else HEAD).
    pub(super) fn last_change(layout: &Layout, commit: Option<&str>, path: &str) -> Running {
        let at = commit.unwrap_or("HEAD");
        let args = ["--literal-pathspecs", "rev-list", "--max-count=1", "--end-of-options", at, "--", path];
        Running::start(command(&layout.git_dir).args(args))
    }

    /// Waits for what it prints. `None` where git refuses.
    pub(super) fn answer(&mut self) -> Option<Vec<u8>> {
        let output = self.0.take()?.wait_with_output().ok()?;
        output.status.success().then_some(output.stdout)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // Nobody needs it any more.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Reads the commit of each line out of what `git blame --porcelain` printed. A line that is not committed
/// has none.
pub(super) fn by_line(told: &[u8]) -> HashMap<usize, String> {
    let mut commits = HashMap::new();
    for line in told.split(|&byte| byte == b'\n') {
        // `commit, line there, line here[, how many]`; texts begin with a tab.
        let Ok(line) = std::str::from_utf8(line) else { continue };
        let mut fields = line.split(' ');
        let (Some(id), Some(_), Some(number)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let is_id = matches!(id.len(), 40 | 64) && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if let (true, Ok(number)) = (is_id && !id.bytes().all(|byte| byte == b'0'), number.parse()) {
            commits.insert(number, id.to_owned());
        }
    }
    commits
}
