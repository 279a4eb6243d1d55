//! `countersign setup`: puts us where things happen, shows beforehand what that changes, and takes it out
//! again to the byte.

mod change;
mod git;
mod hook_file;

use std::process::ExitCode;

use crate::cli::{SetupArgs, SetupCommand};
use crate::error::Failure;

/// Runs `countersign setup`. Needs no configuration, so that it works on a machine that has none yet.
pub(crate) fn run(args: &SetupArgs) -> Result<ExitCode, Failure> {
    match &args.command {
        SetupCommand::Git(args) => git::run(args),
    }
}
