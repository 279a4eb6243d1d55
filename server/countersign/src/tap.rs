//! Tap.
use std::process::ExitCode;
pub(crate) fn run(_: &crate::cli::TapArgs, _: &crate::shell::Shell) -> Result<ExitCode, crate::error::Failure> { Ok(ExitCode::SUCCESS) }
