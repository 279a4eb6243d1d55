//! How far a long drain is: a line on the terminal that changes, or lines in the log.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// What takes less time needs no progress.
const QUIET: Duration = Duration::from_secs(1);
/// How often the terminal's line changes.
const TERMINAL_EVERY: Duration = Duration::from_millis(200);
/// How often the log gets a line.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// The progress of one drain.
pub(super) struct Progress {
    started: Instant,
    told: Option<Instant>,
    on_terminal: bool,
    events: u64,
    texts: u64,
}

impl Progress {
    /// Begins to count. On a terminal only where somebody waits for the end (`once`).
    pub(super) fn new(once: bool) -> Progress {
        let on_terminal = once && std::io::stderr().is_terminal();
        Progress { started: Instant::now(), told: None, on_terminal, events: 0, texts: 0 }
    }

    /// Counts what arrived; `waiting` is asked only when something is told.
    pub(super) fn arrived(&mut self, events: u64, texts: u64, waiting: impl FnOnce() -> u64) {
        self.events += events;
        self.texts += texts;
        let every = if self.on_terminal { TERMINAL_EVERY } else { LOG_EVERY };
        let quiet = if self.on_terminal { QUIET } else { LOG_EVERY };
        let took = self.started.elapsed();
        if took < quiet || self.told.is_some_and(|told| told.elapsed() < every) {
            return;
        }
        self.told = Some(Instant::now());
        let line = line(self.events, self.texts, waiting(), took);
        if self.on_terminal {
            // Nobody need read it.
            let _ = write!(std::io::stderr(), "\r\u{1b}[K{line}").and_then(|()| std::io::stderr().flush());
        } else {
            tracing::info!("replay: {line}");
        }
    }

    /// Ends a drain, or begins the next one.
    pub(super) fn end(&mut self) {
        if self.events + self.texts > 0 {
            tracing::info!("replay: {} events and {} texts sent", self.events, self.texts);
        }
        if self.on_terminal && self.told.is_some() {
            let _ = writeln!(std::io::stderr(), "\r\u{1b}[K{} events and {} texts sent", self.events, self.texts);
        }
        *self = Progress { started: Instant::now(), told: None, events: 0, texts: 0, ..*self };
    }
}

fn line(events: u64, texts: u64, waiting: u64, took: Duration) -> String {
    let mut line = format!("{events} of {} events", events + waiting);
    if texts > 0 {
        line.push_str(&format!(", {texts} texts"));
    }
    if events > 0 && waiting > 0 {
        let left = took.as_secs_f64() * waiting as f64 / events as f64;
        let left = if left < 120.0 { format!("{left:.0} s") } else { format!("{:.0} min", left / 60.0) };
        line.push_str(&format!(", about {left} left"));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_says_how_far_and_how_long() {
        let seconds = Duration::from_secs;
        assert_eq!(line(100, 0, 300, seconds(10)), "100 of 400 events, about 30 s left");
        assert_eq!(line(1_000, 2, 99_000, seconds(10)), "1000 of 100000 events, 2 texts, about 16 min left");
        assert_eq!(line(100, 7, 0, seconds(10)), "100 of 100 events, 7 texts");
        assert_eq!(line(0, 0, 5, seconds(10)), "0 of 5 events");
    }
}
