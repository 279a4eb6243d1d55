//! Language server.
use std::process::ExitCode;
pub(crate) fn run(_: &crate::cli::LspArgs, _: &crate::shell::Shell) -> Result<ExitCode, crate::error::Failure> { Ok(ExitCode::SUCCESS) }
