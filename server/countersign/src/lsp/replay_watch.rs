//! The thread that tells the actor how replay stands: the actor itself asks no file and no database.
//!
//! Whoever replays may be another process; what it writes down is what counts.

use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use super::event::Event;
use super::mailbox::Mailbox;
use super::protocol::Replay;
use crate::config::Followed;
use crate::replay;
use crate::shell::Shell;

/// How often it looks; whoever reads a status bar has that much time.
const EVERY: Duration = Duration::from_secs(2);

/// A handle to the thread; it ends when this is dropped.
pub(crate) struct ReplayWatch(#[expect(dead_code, reason = "held, not read: dropping it is the signal")] Sender<()>);

impl ReplayWatch {
    /// Starts the thread. Without a collector there is nothing to tell.
    pub(crate) fn start(shell: &Shell, mailbox: Mailbox<Event>) -> Option<ReplayWatch> {
        shell.config.collector_url.value.as_ref()?;
        let (held, ended) = mpsc::channel();
        let state = shell.paths.state.clone();
        let mut config = Followed::new(&shell.paths.config);
        let watch = move || {
            let mut told = None;
            loop {
                let now = look(&state, config.now().collector_url.value.as_deref());
                if told.as_ref() != Some(&now) {
                    mailbox.push_always(Event::Replay(now.clone()));
                    told = Some(now);
                }
                match ended.recv_timeout(EVERY) {
                    Err(RecvTimeoutError::Timeout) => config.look(),
                    _ => return,
                };
            }
        };
        match std::thread::Builder::new().name("replay-watch".to_owned()).spawn(watch) {
            Ok(_) => Some(ReplayWatch(held)),
            Err(error) => {
                tracing::warn!(%error, "how replay stands can't be told");
                None
            }
        }
    }
}

fn look(dir: &Path, to: Option<&str>) -> Replay {
    let state = replay::state(dir, to);
    let text = |name: &str| state[name].as_str().map(str::to_owned);
    let name = text("state").unwrap_or_default();
    // What has just been recorded is on its way.
    let waiting = if name == "online" { 0 } else { replay::waiting(dir, to) };
    Replay { state: name, waiting, problem: text("last_error"), hint: text("hint") }
}
