//! What a short-lived process does about a backlog: nothing but start somebody who sends it, and leave.

use std::fs;
use std::time::Duration;

use countersign_spool::Lease;

use super::state::private;
use crate::detached;
use crate::shell::Shell;

/// When somebody was last started; its age is what counts.
const FILE: &str = "replay.started";
/// No more often than this.
const EVERY: Duration = Duration::from_secs(60);

/// Starts `countersign replay --once` on its own where a collector is configured, nobody replays, and
/// nobody was started within the last minute. Waits for nothing. Cost: nothing without a collector.
pub(crate) fn nudge(shell: &Shell) {
    let config = &shell.config;
    if config.collector_url.value.is_none() || config.token_file.value.is_none() {
        return;
    }
    let stamp = shell.paths.state.join(FILE);
    // A clock that was set back must not silence it for longer than the step.
    let age = fs::metadata(&stamp).and_then(|it| it.modified()).ok().and_then(|it| it.elapsed().ok());
    if age.is_some_and(|age| age < EVERY) {
        return;
    }
    // Whoever has the lease sends it. While we hold it, no other short-lived process starts a second one.
    match Lease::try_take(&shell.paths.state) {
        Ok(Some(_lease)) => {
            if let Err(error) = private(&stamp) {
                // Without the stamp it would be started every time.
                return tracing::warn!(%error, "replay was not started: {} can't be written", stamp.display());
            }
        }
        Ok(None) => return,
        Err(error) => return tracing::warn!(%error, "replay was not started"),
    }
    detached::start(&["replay", "--once"]);
}
