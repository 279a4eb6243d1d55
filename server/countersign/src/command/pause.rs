//! `countersign pause` and `resume`.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use countersign_event::Timestamp;

use crate::cli::{PauseArgs, ResumeArgs};
use crate::error::Failure;
use crate::git;
use crate::pause::{self, Scope};
use crate::recorder::Recorder;
use crate::replay;
use crate::shell::{Shell, now};

/// How long the record of a pause may take to reach the spool.
const FLUSH: Duration = Duration::from_secs(5);

/// Runs `countersign pause`.
pub(crate) fn pause(args: &PauseArgs, shell: &Shell) -> Result<ExitCode, Failure> {
    let scope = scope(args.repository)?;
    let until = args.duration.as_deref().map(|text| parse_duration(text).map(|ms| after(now(), ms))).transpose()?;
    let recorder = Recorder::start(shell, "pause");
    pause::begin(&shell.paths.state, &recorder, &scope, until, "command")?;
    recorder.close(FLUSH)?;
    replay::nudge(shell);
    let (what, resume) = match scope {
        Scope::All => ("paused", "countersign resume"),
        Scope::Repository(_) => ("paused in this repository", "countersign resume --repository"),
    };
    let mut out = std::io::stdout().lock();
    match until {
        Some(until) => writeln!(out, "{what} until {until}; `{resume}` ends it sooner")?,
        None => writeln!(out, "{what} until `{resume}`")?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs `countersign resume`.
pub(crate) fn resume(args: &ResumeArgs, shell: &Shell) -> Result<ExitCode, Failure> {
    let scope = scope(args.repository)?;
    let recorder = Recorder::start(shell, "pause");
    let was_paused = pause::end(&shell.paths.state, &recorder, &scope, "command")?;
    recorder.close(FLUSH)?;
    replay::nudge(shell);
    let still = pause::all(&shell.paths.state, now());
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", if was_paused { "recording again" } else { "nothing was paused" })?;
    for pause in still {
        writeln!(out, "still paused: {}", pause.scope)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn scope(is_repository: bool) -> Result<Scope, Failure> {
    if !is_repository {
        return Ok(Scope::All);
    }
    let here = std::env::current_dir()?;
    let root = git::root_of(&here).ok_or_else(|| {
        Failure::usage(format!("{} is in no git repository", here.display()))
            .hint("go to the repository, or leave out --repository")
    })?;
    Ok(Scope::Repository(root))
}

fn after(since: Timestamp, ms: i64) -> Timestamp {
    Timestamp::from_millis(since.as_millis().saturating_add(ms))
}

/// Reads `90s`, `15m`, `2h` or `1d` as milliseconds.
pub(crate) fn parse_duration(text: &str) -> Result<i64, Failure> {
    let wrong = || Failure::usage(format!("{text:?} is not a time")).hint("write 90s, 15m, 2h or 1d");
    let unit = match text.chars().last() {
        Some('s') => 1_000,
        Some('m') => 60_000,
        Some('h') => 3_600_000,
        Some('d') => 86_400_000,
        _ => return Err(wrong()),
    };
    let number: u32 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    Ok(i64::from(number) * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_a_number_and_a_unit() {
        assert_eq!(parse_duration("15m").unwrap(), 900_000);
        for bad in ["", "m", "15", "-1m", "1.5h", "5ü"] {
            assert!(parse_duration(bad).is_err(), "{bad:?}");
        }
    }
}
