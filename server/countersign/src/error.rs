//! What a command says when it can't go on: a message, what to do, and the exit code.
//!
//! A check that does not hold (exit code 1) is an answer, not a failure: the command returns it itself.

use std::fmt::Display;
use std::process::ExitCode;

/// Why a command ended without doing its work. The kinds choose the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    message: String,
    hints: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Wrong use: exit code 2.
    Usage,
    /// Could not: exit code 3.
    Could,
    /// Whoever read our output has gone: nobody is left to tell.
    ReaderGone,
}

impl Failure {
    /// Wrong arguments or configuration (exit code 2).
    pub(crate) fn usage(message: impl Display) -> Self {
        Failure::new(Kind::Usage, message)
    }

    /// I/O, network, locks, permission (exit code 3).
    pub(crate) fn could_not(message: impl Display) -> Self {
        Failure::new(Kind::Could, message)
    }

    /// An error with its causes (exit code 3).
    pub(crate) fn from_error(doing: &str, error: &dyn std::error::Error) -> Self {
        let mut message = format!("{doing}: {error}");
        let mut cause = error.source();
        while let Some(error) = cause {
            message.push_str(&format!(": {error}"));
            cause = error.source();
        }
        Failure::new(Kind::Could, message)
    }

    fn new(kind: Kind, message: impl Display) -> Self {
        Failure { kind, message: message.to_string(), hints: Vec::new() }
    }

    /// Adds a line that says what to do.
    pub(crate) fn hint(mut self, hint: impl Display) -> Self {
        self.hints.push(hint.to_string());
        self
    }

    /// Returns the message alone.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Prints it and returns the exit code.
    #[expect(clippy::print_stderr, reason = "the one place where a command's failure is told")]
    pub(crate) fn report(&self) -> ExitCode {
        if self.kind != Kind::ReaderGone {
            eprintln!("countersign: {}", self.message);
            for hint in &self.hints {
                eprintln!("  hint: {hint}");
            }
        }
        match self.kind {
            Kind::Usage => ExitCode::from(2),
            Kind::Could => ExitCode::from(3),
            Kind::ReaderGone => ExitCode::SUCCESS,
        }
    }
}

impl From<std::io::Error> for Failure {
    /// Writing our output failed. A closed pipe (`countersign log | head`) is nobody's fault.
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Failure::new(Kind::ReaderGone, "");
        }
        Failure::from_error("input/output", &error)
    }
}

impl From<countersign_spool::SpoolError> for Failure {
    fn from(error: countersign_spool::SpoolError) -> Self {
        Failure::from_error("spool", &error)
    }
}
