//! The replayer of a long-lived process: a thread of its own, which follows the configuration.

use std::path::Path;
use std::thread::JoinHandle;

use countersign_spool::Lease;

use super::client::{Client, Stay, Stop, Target};
use super::drain::Trouble;
use super::refused::Why;
use super::state::Told;
use super::{How, LEASE_EVERY, replay};
use crate::config::Followed;
use crate::shell::Shell;

/// A replayer in the background; it ends when this is dropped.
pub(crate) struct Background {
    stop: Option<Stay>,
    thread: Option<JoinHandle<()>>,
}

/// Starts a replayer in a thread, where a collector is configured. It waits for the lease, so every
/// long-lived process may start one.
pub(crate) fn start_background(shell: &Shell) -> Background {
    let nobody = Background { stop: None, thread: None };
    if shell.config.collector_url.value.is_none() {
        return nobody;
    }
    let (stay, stop) = Stop::new();
    let (state, config) = (shell.paths.state.clone(), Followed::new(&shell.paths.config));
    let replayer = move || follow(&state, config, &stop);
    match std::thread::Builder::new().name("replay".to_owned()).spawn(replayer) {
        Ok(thread) => Background { stop: Some(stay), thread: Some(thread) },
        Err(error) => {
            tracing::warn!(%error, "replay could not be started");
            nobody
        }
    }
}

/// Replays as the configuration says, and anew when that is another one.
fn follow(state: &Path, mut config: Followed, stop: &Stop) {
    while !stop.now() {
        let Some(url) = config.now().collector_url.value.clone() else {
            stop.wait(LEASE_EVERY);
            config.look();
            continue;
        };
        let told = Told::new(state, &url);
        let trouble = match (config.now().token_file.value.clone(), config.now().ca_file.value.clone()) {
            (None, _) => Trouble::unauthorised(Why::new("no device token is configured")),
            (Some(token_file), ca_file) => match Client::new(&Target { url, token_file, ca_file }, stop.clone()) {
                Ok(client) => {
                    with(state, &client, &mut config);
                    continue;
                }
                Err(failure) => Trouble::paused(Why::new(failure.message())),
            },
        };
        told.trouble(&trouble);
        while !stop.now() && !config.look() {
            stop.wait(LEASE_EVERY);
        }
    }
}

/// Replays to one collector until there is another configuration.
fn with(state: &Path, client: &Client, config: &mut Followed) {
    let max_kib_per_second = config.now().max_kib_per_second.value;
    let mut is_other = false;
    while !client.stopped() && !is_other {
        match Lease::try_take(state) {
            Ok(Some(_lease)) => {
                let mut changed = || {
                    is_other = is_other || config.look();
                    is_other
                };
                replay(state, client, How { once: false, max_kib_per_second, changed: &mut changed });
            }
            held => {
                if let Err(error) = held {
                    tracing::warn!(%error, "replay could not take its lease");
                }
                client.wait(LEASE_EVERY);
                is_other = config.look();
            }
        }
    }
}

impl Drop for Background {
    /// Breaks off a running request; what it sent is acknowledged next time.
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Every wait of the thread ends with `stop`; what is left is one transaction of the spool.
            let _ = thread.join();
        }
    }
}
