//! `countersign`: the audit trail for AI-written code.
//!
//! The shell around the pure crates: the only crate that knows LSP, processes, clocks and the
//! environment. What decides lives elsewhere; here it is fetched, run and written down.

mod bounded;
mod cli;
mod command;
mod config;
mod demo_server;
mod detached;
mod discover;
mod error;
mod git;
mod hook;
mod lsp;
mod paint;
mod paths;
mod pause;
mod person;
mod policy;
mod recorder;
mod replay;
mod shell;
mod signals;
mod tap;
mod work_class;
mod worktree;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args = match cli::parse() {
        Ok(args) => args,
        Err(code) => return code,
    };
    args.start_logging();
    match cli::run(&args) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}
