//! `countersign pause` and `resume`.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use countersign_event::Timestamp;

use crate::cli::PauseArgs;
use crate::error::Failure;
use crate::pause::{self, Pause};
use crate::recorder::Recorder;
use crate::shell::{Shell, now};

/// How long the record of a pause may take to reach the spool.
const FLUSH: Duration = Duration::from_secs(5);

/// Runs `countersign pause`.
pub(crate) fn pause(args: &PauseArgs, shell: &Shell) -> Result<ExitCode, Failure> {
    let since = now();
    let until = args.duration.as_deref().map(|text| parse_duration(text).map(|ms| after(since, ms))).transpose()?;
    let recorder = Recorder::start(shell);
    pause::begin(&shell.paths.state, &recorder, &Pause { since, until }, "command")?;
    recorder.close(FLUSH)?;
    let mut out = std::io::stdout().lock();
    match until {
        Some(until) => writeln!(out, "paused until {until}; `countersign resume` ends it sooner")?,
        None => writeln!(out, "paused until `countersign resume`")?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs `countersign resume`.
pub(crate) fn resume(shell: &Shell) -> Result<ExitCode, Failure> {
    let recorder = Recorder::start(shell);
    let was_paused = pause::end(&shell.paths.state, &recorder, "command")?;
    recorder.close(FLUSH)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", if was_paused { "recording again" } else { "nothing was paused" })?;
    Ok(ExitCode::SUCCESS)
}

fn after(since: Timestamp, ms: i64) -> Timestamp {
    Timestamp::from_millis(since.as_millis().saturating_add(ms))
}

/// Reads `90s`, `15m`, `2h` or `1d` as milliseconds.
fn parse_duration(text: &str) -> Result<i64, Failure> {
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
