//! Stand-in server.
use std::process::ExitCode;
pub(crate) fn run(_: &crate::cli::DemoServerArgs) -> Result<ExitCode, crate::error::Failure> { Ok(ExitCode::SUCCESS) }
