//! `countersign settle`: brings a repository's attributions up to date. Hooks start it and leave.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::SettleArgs;
use crate::error::Failure;
use crate::git::settle::{settle, tidy};
use crate::git::state::Layout;
use crate::replay;
use crate::shell::Shell;

/// Runs `countersign settle`.
pub(crate) fn run(args: &SettleArgs, shell: &Shell) -> Result<ExitCode, Failure> {
    let dir = args.directory.clone().unwrap_or_else(|| PathBuf::from("."));
    let absolute = dir.canonicalize().map_err(|error| Failure::usage(format!("{}: {error}", dir.display())))?;
    let layout = crate::git::root_of(&absolute).and_then(|root| Layout::of_root(&root));
    let layout = layout.or_else(|| Layout::of_bare(&absolute));
    let layout = layout.ok_or_else(|| Failure::usage(format!("{}: not in a git repository", dir.display())))?;
    settle(shell, &layout)?;
    tidy(shell, &layout)?;
    // What the hook that started us recorded goes with it.
    replay::nudge(shell);
    Ok(ExitCode::SUCCESS)
}
