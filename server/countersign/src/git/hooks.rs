//! `countersign git post-commit|post-rewrite|pre-push`: what git's hooks call.
//!
//! git waits for this process a tenth of a second at most, so it reads a few small files, appends once and
//! leaves with 0, whatever happens. It never reads stdin, which belongs to the hook that was there before us,
//! and starts no git where files say the same. Nothing rests on it having run: it only makes `settle` prompt.

mod place;

use std::path::Path;
use std::time::Duration;

use countersign_event::payload::commit::RefMoved;
use countersign_event::{How, Payload};
use countersign_spool::{Device, append_once};

use crate::bounded::Deadline;
use crate::cli::GitArgs;
use crate::detached;
use crate::git;
use crate::recorder::{Complete, Record};
use crate::shell::{Shell, now};
use place::Place;

/// When this process ends, done or not. git has gone on long before.
const TIME: Duration = Duration::from_secs(5);
/// How long for questions that only git can answer.
const GIT_TIME: Duration = Duration::from_secs(2);
/// How long for the spool's lock; then the inbox takes the event, which costs no more than waiting would.
const LOCK_WAIT: Duration = Duration::from_millis(1);

/// Runs `countersign git`. What it can't do is logged and never fails git.
pub(crate) fn run(args: &GitArgs) {
    end_in_time();
    match std::panic::catch_unwind(|| hook(args)) {
        Ok(Ok(())) => {}
        Ok(Err(trouble)) => tracing::error!(hook = args.hook().unwrap_or("?"), "{trouble}"),
        Err(_) => tracing::error!("a git hook ended unexpectedly"),
    }
}

/// Finds out what a repository is, for the hooks that come: they have no time for it. Cost: a walk through
/// its history.
pub(crate) fn meet(root: &Path, state: &Path) {
    if let Some(place) = Place::find(root, None) {
        place.repository(state, Deadline::after(Duration::from_secs(60)));
    }
}

/// Ends this process when its time is up, wherever it hangs.
fn end_in_time() {
    let watch = || {
        std::thread::sleep(TIME);
        tracing::error!("a git hook was not done in time");
        std::process::exit(0);
    };
    // Without the thread the waits inside still have limits of their own.
    let _ = std::thread::Builder::new().name("watch".to_owned()).spawn(watch);
}

fn hook(args: &GitArgs) -> Result<(), String> {
    let by = args.hook().ok_or("no hook was named")?;
    let deadline = Deadline::after(GIT_TIME);
    let shell = Shell::from_env().map_err(|failure| failure.message().to_owned())?;
    let here = std::env::current_dir().map_err(|error| error.to_string())?;
    let place = Place::find(&here, std::env::var_os("GIT_DIR")).ok_or("this is no git repository")?;
    let root = git::root_of(&here);
    let state = shell.paths.state.clone();
    let device = Device::load_or_create(&state).map_err(|error| error.to_string())?;
    let mut complete = Complete::new(shell, device);
    if complete.is_paused(root.as_deref()) || complete.policy(root.as_deref()).off {
        return Ok(()); // both are told elsewhere, once
    }
    let Some(stands) = place.stands(deadline) else { return Ok(()) }; // no commit yet: nothing has moved
    // First: whether the move can be noted is nothing to wait for.
    detached::start(&["settle"]);
    let moved = RefMoved {
        how: How::Observed,
        repository: place.repository(&state, deadline),
        reference: stands.reference,
        before: if by == "pre-push" { None } else { stands.before },
        after: Some(stands.after),
        by: by.to_owned(),
        rewritten: if by == "post-rewrite" { place.rewritten(args.word(1)) } else { Vec::new() },
    };
    let record = Record::light(now(), moved.reference.clone(), Payload::RefMoved(moved));
    append(&state, &mut complete, record, root.as_deref())
}

fn append(state: &Path, complete: &mut Complete, record: Record, root: Option<&Path>) -> Result<(), String> {
    let mut appends = complete.ends_of_pauses();
    appends.extend(complete.complete(record, root));
    if appends.is_empty() {
        return Ok(());
    }
    match append_once(state, &appends, LOCK_WAIT) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("that a reference moved is not recorded: {error}")),
    }
}
