//! Sends what waits in the spool to the collector, and asks a collector for what it keeps.
//!
//! One replayer a device: whoever holds the lease. It retries for ever, acknowledges only what a
//! collector proved to have, and shows where it stands in a small file that `status` reads. Nothing
//! here is on the path of an editor or a tap: the background replayer is a thread of its own.

mod background;
mod backoff;
mod client;
mod drain;
mod idle;
mod limits;
mod nudge;
mod progress;
mod refused;
mod state;
mod token;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use countersign_spool::{Lease, Reader, Spool};

use crate::cli::ReplayArgs;
use crate::error::Failure;
use crate::shell::Shell;
pub(crate) use background::{Background, start_background};
pub(crate) use client::{Client, Stop, Target};
use drain::{Drain, Step, Trouble};
pub(crate) use limits::Limits;
pub(crate) use nudge::nudge;
use progress::Progress;
pub(crate) use refused::Refused;
use state::{Standing, Told};
pub(crate) use state::{state, waiting};
pub(crate) use token::TokenFile;

/// How often somebody without the lease tries to take it.
const LEASE_EVERY: Duration = Duration::from_secs(5);
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
            .hint("`countersign enrol URL CODE` gets one; whoever runs the collector makes the code"));
    };
    if args.retry_quarantined {
        let again = Spool::open(&shell.paths.state)?.retry_quarantined()?;
        writeln!(std::io::stdout(), "{again} quarantined events go again")?;
    }
    let target = Target { url, token_file, ca_file: shell.config.ca_file.value.clone() };
    let client = Client::new(&target, Stop::never())?;
    let Some(_lease) = lease(shell, &client, args.once)? else { return Ok(ExitCode::SUCCESS) };
    let how =
        How { once: args.once, max_kib_per_second: shell.config.max_kib_per_second.value, changed: &mut || false };
    match replay(&shell.paths.state, &client, how) {
        End::Empty | End::Stopped => Ok(ExitCode::SUCCESS),
        End::Trouble(trouble) => {
            let failure = trouble.why.hint.iter().fold(Failure::could_not(&trouble.why.text), Failure::hint);
            Err(failure
                .hint("nothing is lost: the spool keeps what was not acknowledged; `countersign status` shows it"))
        }
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

/// How to replay.
struct How<'a> {
    /// End when nothing waits, or at the first trouble.
    once: bool,
    /// What may be sent, on average.
    max_kib_per_second: Option<u64>,
    /// Says whether the configuration is another one now: then it ends, to begin with that.
    changed: &'a mut dyn FnMut() -> bool,
}

/// How a replay ended.
enum End {
    /// Nothing waits.
    Empty,
    /// The collector can't be had now.
    Trouble(Trouble),
    /// We were asked to stop, or there is another configuration.
    Stopped,
}

/// Sends until nothing waits (`once`), or until it is stopped. Holds the lease while it runs.
fn replay(state: &Path, client: &Client, how: How<'_>) -> End {
    let How { once, max_kib_per_second, changed } = how;
    let told = Told::new(state, client.to());
    let mut drain = Drain::new(state, client);
    let mut progress = Progress::new(once);
    let (mut attempt, mut rotated) = (0, false);
    while !client.stopped() {
        let started = Instant::now();
        match drain.step() {
            Ok(Step::Moved(moved)) => {
                attempt = 0;
                told.online();
                progress.arrived(moved.events, moved.texts, || drain.backlog());
                if moved.rotate && !std::mem::replace(&mut rotated, true) {
                    // The present one is good until then; the next run tries again.
                    match client.rotate() {
                        Ok(_) => tracing::info!("replay: the device token was replaced"),
                        Err(refused) => tracing::warn!("the device token could not be replaced: {refused}"),
                    }
                }
                let pace = max_kib_per_second.map(|rate| limits::pause(client.take_sent(), started.elapsed(), rate));
                if let Some(wait) = pace.max(moved.wait).filter(|wait| !wait.is_zero()) {
                    client.wait(wait);
                }
            }
            Ok(Step::Idle) => {
                attempt = 0;
                told.online();
                progress.end();
                if once {
                    return End::Empty;
                }
                idle::wait(client, &mut drain, idle::SIGN_EVERY, changed);
                if changed() {
                    return End::Stopped;
                }
            }
            Err(Trouble { stopped: true, .. }) => return End::Stopped,
            Err(trouble) => {
                progress.end();
                if once {
                    told.trouble_quietly(&trouble);
                    return End::Trouble(trouble);
                }
                told.trouble(&trouble);
                let wait = backoff::wait(attempt, trouble.retry_after, random());
                attempt = attempt.saturating_add(1);
                // What only another token mends is not asked for before there is one, or for a long time.
                let refused = trouble.standing == Standing::Unauthorised;
                let wait = if refused { backoff::LONGEST } else { wait };
                let asleep = Instant::now();
                while let Some(left) = wait.checked_sub(asleep.elapsed()).filter(|left| !left.is_zero()) {
                    if changed() || client.stopped() {
                        return End::Stopped;
                    }
                    if refused && client.has_other_token() {
                        break;
                    }
                    client.wait(left.min(idle::LOOK_EVERY));
                }
            }
        }
    }
    End::Stopped
}

fn random() -> u64 {
    // Without randomness every device waits the whole time, which is the polite side.
    getrandom::u64().unwrap_or(u64::MAX)
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
    refused.hint().into_iter().fold(Failure::could_not(format!("{url}: {refused}")), Failure::hint)
}
