//! `countersign verify`: does the trail hold? Names the first place where it does not.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use countersign_collector::local::Local;
use serde_json::{Value, json};

use crate::cli::VerifyArgs;
use crate::error::Failure;
use crate::shell::Shell;

/// Runs `countersign verify`.
pub(crate) fn run(args: &VerifyArgs, shell: &Shell) -> Result<ExitCode, Failure> {
    let report = match &args.archive {
        Some(data) => archive(data)?,
        None => spool(shell)?,
    };
    let holds = report["ok"] == true;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{report}")?;
    } else if holds {
        let contents: Vec<String> = report["contents"]
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, count)| **count != 0)
            .map(|(state, count)| format!(", {count} texts {state}"))
            .collect();
        writeln!(out, "holds: {} events, {} signed heads{}", report["events"], report["heads"], contents.concat())?;
    } else {
        writeln!(
            out,
            "does not hold: {} (stream {}, epoch {}, seq {})",
            report["what"].as_str().unwrap_or("?"),
            report["stream"].as_str().unwrap_or("?"),
            report["epoch"].as_str().unwrap_or("?"),
            report["seq"]
        )?;
    }
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn archive(data: &Path) -> Result<Value, Failure> {
    let failed = |error| Failure::from_error("cannot verify the archive", &error);
    let who = format!("os:{}", crate::person::account().unwrap_or_else(|| "unknown".to_owned()));
    let report = Local::open(data, &who).and_then(|mut archive| archive.verify()).map_err(failed)?;
    Ok(match report.broken {
        Some(broken) => json!({ "ok": false, "stream": broken.stream, "epoch": broken.epoch, "seq": broken.seq,
            "what": broken.what }),
        None => json!({ "ok": report.ok, "events": report.items, "heads": report.heads, "contents": report.contents }),
    })
}

fn spool(shell: &Shell) -> Result<Value, Failure> {
    let report = countersign_spool::verify(&shell.paths.state)?;
    Ok(match report.broken {
        Some(broken) => json!({ "ok": false, "stream": broken.stream, "epoch": broken.epoch, "seq": broken.seq,
            "what": broken.what }),
        None => json!({
            "ok": true, "stream": report.stream, "events": report.events, "epochs": report.epochs,
            "heads": report.heads, "signed_through": report.signed_through, "last_seq": report.last_seq,
            "contents": { "ok": report.contents_ok, "shed": report.contents_shed, "erased": report.contents_erased },
            "set_aside": report.set_aside,
        }),
    })
}
