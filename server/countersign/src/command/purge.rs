//! `countersign purge`: destroys kept texts on this device, after showing what would go.

use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;

use countersign_event::Timestamp;
use countersign_spool::{Purge, PurgeRepository, Purged, Reader, Spool, SpoolError};
use serde_json::json;

use super::pause::parse_duration;
use crate::cli::PurgeArgs;
use crate::error::Failure;
use crate::git::{self, Repositories};
use crate::person::Persons;
use crate::replay;
use crate::shell::{Shell, now};

/// What a purge leaves, in every answer.
const STAYS: &str = "the events stay: they are the ledger and hold no text; what a collector has is not touched";

/// Runs `countersign purge`.
pub(crate) fn run(args: &PurgeArgs, shell: &Shell) -> Result<ExitCode, Failure> {
    let here = std::env::current_dir()?;
    let root = git::root_of(&here);
    let mut repositories = Repositories::default();
    let known = root.clone().and_then(|root| repositories.of_root(root));
    let repository = match (&root, args.repository) {
        (_, false) => None,
        (Some(root), true) => Some(PurgeRepository {
            id: known.and_then(|repository| repository.id.clone()),
            root: root.to_string_lossy().into_owned(),
        }),
        (None, true) => {
            return Err(Failure::usage(format!("{} is in no git repository", here.display()))
                .hint("go to the repository, or leave out --repository"));
        }
    };
    let both = !args.contents && !args.snapshots;
    let purge =
        Purge { before: before(args)?, repository, contents: args.contents || both, snapshots: args.snapshots || both };
    let would = match Reader::open(&shell.paths.state) {
        Ok(reader) => reader.would_purge(&purge)?,
        Err(SpoolError::Missing { .. }) => Purged::default(),
        Err(error) => return Err(error.into()),
    };
    let mut out = std::io::stdout().lock();
    let nothing = would.contents == 0 && would.snapshots == 0;
    if !args.json {
        writeln!(
            out,
            "{}",
            if nothing { "there is nothing to destroy".to_owned() } else { lines("would go", &would) }
        )?;
    }
    // A letter in the inbox is seen only when it is taken in, so a purge that was told to go on does.
    if args.dry_run || (nothing && !args.yes) {
        if args.json {
            writeln!(out, "{}", json!({ "dry_run": args.dry_run, "purged": would, "stays": STAYS }))?;
        } else {
            writeln!(out, "{STAYS}")?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if !args.yes && !agreed(args, &mut out)? {
        writeln!(out, "nothing was destroyed")?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut spool = Spool::open(&shell.paths.state)?;
    let email = known.and_then(|repository| repository.email.clone());
    let person = Persons::from_env().fact(spool.device(), email.as_deref());
    let purged = spool.purge(&purge, &person)?;
    spool.head()?;
    replay::nudge(shell);
    let aside = set_aside(shell);
    if args.json {
        writeln!(out, "{}", json!({ "dry_run": false, "purged": purged, "stays": STAYS, "set_aside": aside }))?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "{}", lines("gone", &purged))?;
    writeln!(out, "{STAYS}")?;
    if !purged.wal_emptied {
        writeln!(out, "another process still reads an older state; end it and say `countersign purge --yes` again")?;
    }
    for file in aside {
        writeln!(out, "{file} was damaged and set aside; it may hold texts, and only you can remove it")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks on the terminal.
///
/// Errors: there is none to ask.
fn agreed(args: &PurgeArgs, out: &mut impl Write) -> Result<bool, Failure> {
    if args.json || !std::io::stdin().is_terminal() {
        return Err(Failure::usage("there is nobody to ask").hint("say --yes to destroy, --dry-run to only look"));
    }
    writeln!(out, "{STAYS}")?;
    write!(out, "destroy the texts? They can't be brought back. [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn lines(title: &str, purged: &Purged) -> String {
    format!(
        "{title}: {} texts ({} bytes), of which no collector has {}; {} snapshots ({} bytes)",
        purged.contents, purged.content_bytes, purged.contents_unsent, purged.snapshots, purged.snapshot_bytes
    )
}

fn before(args: &PurgeArgs) -> Result<Option<Timestamp>, Failure> {
    if let Some(text) = &args.before {
        let wrong = |_| Failure::usage(format!("{text:?} is not a time")).hint("write it like 2026-01-31T00:00:00Z");
        return text.parse().map(Some).map_err(wrong);
    }
    let ago = args.older_than.as_deref().map(parse_duration).transpose()?;
    Ok(ago.map(|ms| Timestamp::from_millis(now().as_millis().saturating_sub(ms))))
}

/// Names the damaged spools that were set aside.
fn set_aside(shell: &Shell) -> Vec<String> {
    let entries = std::fs::read_dir(&shell.paths.state).into_iter().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("spool.db.broken-")))
        .map(|path| path.display().to_string())
        .collect();
    names.sort();
    names
}
