//! `countersign blame`: who wrote each line of a file, now or in a revision.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use countersign_spool::{Reader, SpoolError};

use super::trace::place::split;
use crate::cli::BlameArgs;
use crate::error::Failure;
use crate::git::blame::{Asked, Blame, BlameError, blame};
use crate::git::settle::settle;
use crate::shell::Shell;

/// Runs `countersign blame`.
pub(crate) fn run(args: &BlameArgs, shell: &Shell) -> Result<ExitCode, Failure> {
    let found = find(args, shell)?;
    let mut json = serde_json::to_string(&found).expect("it has string keys only");
    json.push('\n');
    std::io::stdout().write_all(json.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Finds out who wrote the lines that were asked for.
pub(crate) fn find(args: &BlameArgs, shell: &Shell) -> Result<Blame, Failure> {
    // A file of this very name may end like a range.
    let (file, lines) = match Path::new(&args.place).exists() {
        true => (args.place.as_str(), None),
        false => split(&args.place),
    };
    if lines.as_ref().is_some_and(|lines| *lines.start() == 0 || lines.is_empty()) {
        return Err(Failure::usage(format!("{}: lines begin at 1, and A comes before B", args.place)));
    }
    let absolute = || std::path::absolute(file).map_err(|error| Failure::usage(format!("{file:?}: {error}")));
    let is_elsewhere = args.git_dir.is_some() && !Path::new(file).exists();
    let asked = Asked {
        file: if is_elsewhere { file.into() } else { absolute()? },
        lines,
        rev: args.rev.clone(),
        git_dir: args.git_dir.clone(),
    };
    // Correct without it: it makes the next answer quick.
    if let Some(layout) = asked.layout()
        && let Err(error) = settle(shell, &layout)
    {
        tracing::warn!(error = &error as &dyn std::error::Error, "git's part can't be settled now");
    }
    let reader = match Reader::open(&shell.paths.state) {
        Ok(reader) => Some(reader),
        Err(SpoolError::Missing { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    blame(reader.as_ref(), &asked).map_err(|error| match error {
        BlameError::Spool(error) => error.into(),
        BlameError::Read(..) => Failure::from_error("blame", &error),
        other => Failure::usage(other),
    })
}
