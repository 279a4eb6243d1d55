//! Sends what waits in the spool to the collector, and asks a collector for what it keeps.
//!
//! One replayer a device: whoever holds the lease. It retries for ever, acknowledges only what a
//! collector proved to have, and shows where it stands in a small file that `status` reads. Nothing
//! here is on the path of an editor or a tap: the background replayer is a thread of its own.

mod backoff;
mod client;
mod drain;
mod state;

use std::path::Path;
use std::process::ExitCode;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use countersign_spool::{Lease, Reader};

use crate::cli::ReplayArgs;
use crate::error::Failure;
use crate::shell::Shell;
pub(crate) use client::{Client, Refused, Stop, Target};
use drain::{Drain, Step, Trouble};
use state::Told;
pub(crate) use state::state;

/// How often an idle replayer looks whether something new was recorded.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often somebody without the lease tries to take it.
const LEASE_EVERY: Duration = Duration::from_secs(15);
/// `--once` waits this long for another replayer of the device to finish.
const OTHER_REPLAYER_WAIT: Duration = Duration::from_secs(30);

/// Runs `countersign replay`.
pub(crate) fn run(args: &ReplayArgs, shell: &Shell) -> Result<ExitCode, Failure> {
    let Some(url) = args.to.clone().or_else(|| shell.config.collector_url.value.clone()) else {
        return Err(Failure::usage("no collector is configured, nothing leaves this device")
            .hint("give --to URL, or set collector.url in config.toml"));
    };
    let token_file = args.token_file.clone().or_else(|| shell.config.token_file.value.clone());
    let Some(token_file) = token_file else {
        return Err(Failure::usage("no device token is configured")
            .hint("give --token-file FILE, or set collector.token_file in config.toml")
            .hint("`countersign collect token --role device` makes one"));
    };
    let target = Target { url, token_file, ca_file: shell.config.ca_file.value.clone() };
    let client = Client::new(&target, Stop::never())?;
    let Some(_lease) = lease(shell, &client, args.once)? else { return Ok(ExitCode::SUCCESS) };
    match replay(&shell.paths.state, &client, args.once) {
        End::Empty => Ok(ExitCode::SUCCESS),
        End::Trouble(trouble) => Err(Failure::could_not(trouble.why)
            .hint("nothing is lost: the spool keeps what was not acknowledged; `countersign status` shows it")),
        End::Stopped => Ok(ExitCode::SUCCESS),
    }
}

/// Takes the lease. While another replayer of the device has it: waits, or with `once` until that
/// one has sent everything (`None`).
fn lease(shell: &Shell, client: &Client, once: bool) -> Result<Option<Lease>, Failure> {
    let started = Instant::now();
    loop {
        if let Some(lease) = Lease::try_take(&shell.paths.state)? {
            return Ok(Some(lease));
        }
        if once {
            let waiting = Reader::open(&shell.paths.state)?.status(Some(client.to()))?.pending;
            if waiting == 0 {
                return Ok(None);
            }
            if started.elapsed() > OTHER_REPLAYER_WAIT {
                return Err(Failure::could_not("another process of this device is replaying")
                    .hint("`countersign status` shows how far it is"));
            }
        }
        client.wait(if once { Duration::from_millis(100) } else { LEASE_EVERY });
    }
}

/// How a replay ended.
enum End {
    /// Nothing waits.
    Empty,
    /// The collector can't be had now.
    Trouble(Trouble),
    /// We were asked to stop.
    Stopped,
}

/// Sends until nothing waits (`once`), or until it is stopped. Holds the lease while it runs.
fn replay(state: &Path, client: &Client, once: bool) -> End {
    let told = Told::new(state, client.to());
    let mut drain = Drain::new(state, client);
    let mut attempt = 0;
    while !client.stopped() {
        match drain.step() {
            Ok(Step::Moved { wait }) => {
                attempt = 0;
                told.online();
                if let Some(wait) = wait {
                    client.wait(wait);
                }
            }
            Ok(Step::Idle) => {
                attempt = 0;
                told.online();
                if once {
                    return End::Empty;
                }
                while !client.stopped() && !drain.something_new() {
                    client.wait(LOOK_EVERY);
                }
            }
            Err(Trouble { stopped: true, .. }) => return End::Stopped,
            Err(trouble) => {
                tracing::info!("replay: {}", trouble.why);
                told.trouble(&trouble);
                if once {
                    return End::Trouble(trouble);
                }
                client.wait(backoff::wait(attempt, trouble.retry_after, random()));
                attempt = attempt.saturating_add(1);
            }
        }
    }
    End::Stopped
}

fn random() -> u64 {
    // Without randomness every device waits the whole time, which is the polite side.
    getrandom::u64().unwrap_or(u64::MAX)
}

/// A replayer in the background; it ends when this is dropped.
pub(crate) struct Background {
    stop: Option<client::Stay>,
    thread: Option<JoinHandle<()>>,
}

/// Starts a replayer in a thread, where a collector is configured. It waits for the lease, so every
/// long-lived process may start one.
pub(crate) fn start_background(shell: &Shell) -> Background {
    let nobody = Background { stop: None, thread: None };
    let config = &shell.config;
    let Some(url) = config.collector_url.value.clone() else { return nobody };
    let told = Told::new(&shell.paths.state, &url);
    let Some(token_file) = config.token_file.value.clone() else {
        told.trouble(&Trouble::unauthorised("no device token is configured: set collector.token_file".to_owned()));
        return nobody;
    };
    let target = Target { url, token_file, ca_file: config.ca_file.value.clone() };
    let state = shell.paths.state.clone();
    let (stay, stop) = Stop::new();
    let thread = std::thread::Builder::new().name("replay".to_owned()).spawn(move || background(&state, &target, stop));
    match thread {
        Ok(thread) => Background { stop: Some(stay), thread: Some(thread) },
        Err(error) => {
            tracing::warn!(%error, "replay could not be started");
            nobody
        }
    }
}

fn background(state: &Path, target: &Target, stop: Stop) {
    let client = match Client::new(target, stop) {
        Ok(client) => client,
        Err(failure) => {
            Told::new(state, &target.url).trouble(&Trouble::paused(failure.message().to_owned()));
            return;
        }
    };
    while !client.stopped() {
        match Lease::try_take(state) {
            Ok(Some(_lease)) => {
                replay(state, &client, false);
            }
            Ok(None) => {
                client.wait(LEASE_EVERY);
            }
            Err(error) => {
                tracing::warn!(%error, "replay could not take its lease");
                client.wait(LEASE_EVERY);
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

/// Hands out the events of a collector's archive in order, a line each, with `chain` wrapped with
/// address and hash.
pub(crate) fn read_events(
    shell: &Shell,
    url: &str,
    token_file: Option<&Path>,
    chain: bool,
    mut out: impl FnMut(&str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let client = asking(shell, url, token_file)?;
    let mut after = 0;
    loop {
        let question = format!("/v1/events?after={after}&chain={}", u8::from(chain));
        let page = client.get(&question).map_err(|refused| told(url, &refused))?;
        for line in page.text.lines() {
            out(line)?;
        }
        match page.next {
            Some(next) => after = next,
            None => return Ok(()),
        }
    }
}

/// Makes a client that asks questions, not one that sends.
pub(crate) fn asking(shell: &Shell, url: &str, token_file: Option<&Path>) -> Result<Client, Failure> {
    let Some(token_file) = token_file else {
        return Err(Failure::usage("a collector answers nobody without a token")
            .hint("give --token-file FILE; `countersign collect token` makes one"));
    };
    let ca_file = shell.config.ca_file.value.clone();
    Client::new(&Target { url: url.to_owned(), token_file: token_file.to_owned(), ca_file }, Stop::never())
}

/// Says why a question was not answered.
pub(crate) fn told(url: &str, refused: &Refused) -> Failure {
    Failure::could_not(format!("{url}: {refused}"))
}
