//! `countersign verify`: does the trail hold? Names the first place where it does not.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use countersign_collector::local::Local;
use countersign_spool::Reader;
use serde_json::{Value, json};

use crate::cli::VerifyArgs;
use crate::error::Failure;
use crate::shell::Shell;

/// Runs `countersign verify`.
pub(crate) fn run(args: &VerifyArgs, shell: &Shell) -> Result<ExitCode, Failure> {
    let report = match &args.archive {
        Some(data) if args.against_spool => both(data, shell)?,
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
        if let Some(against) = report["against_spool"].as_object() {
            let (common, here, there) = (&against["common"], &against["spool_only"], &against["archive_only"]);
            writeln!(
                out,
                "spool and archive agree on {common}; only in the spool: {here}, only in the archive: {there}"
            )?;
        }
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

fn open(data: &Path) -> Result<Local, Failure> {
    let who = format!("os:{}", crate::person::account().unwrap_or_else(|| "unknown".to_owned()));
    Local::open(data, &who).map_err(|error| Failure::from_error("cannot read the archive", &error))
}

fn archive(data: &Path) -> Result<Value, Failure> {
    let failed = |error| Failure::from_error("cannot verify the archive", &error);
    let report = open(data)?.verify().map_err(failed)?;
    Ok(match report.broken {
        Some(broken) => json!({ "ok": false, "stream": broken.stream, "epoch": broken.epoch, "seq": broken.seq,
            "what": broken.what }),
        None => json!({ "ok": report.ok, "events": report.items, "heads": report.heads, "contents": report.contents }),
    })
}

/// Each by itself, then each against the other: where both chains hold, one equal hash proves all before it.
fn both(data: &Path, shell: &Shell) -> Result<Value, Failure> {
    let (here, there) = (spool(shell)?, archive(data)?);
    if here["ok"] != true || there["ok"] != true {
        return Ok(if here["ok"] == true { there } else { here });
    }
    let reader = Reader::open(&shell.paths.state)?;
    let stream = reader.status(None)?.stream;
    let mut archive = open(data)?;
    let failed = |error| Failure::from_error("cannot read the archive", &error);
    let cursors = archive.cursors(&stream).map_err(failed)?;
    let spans = reader.epochs()?;
    let differs = |epoch: &str, seq: u64, what: String| json!({ "ok": false, "stream": stream, "epoch": epoch, "seq": seq, "what": what });
    let (mut common, mut waiting, mut archived_alone) = (0, 0, 0);
    for span in &spans {
        let archived = cursors.iter().find(|it| it.epoch == span.epoch).map_or(0, |it| it.acked_through);
        let shared = archived.min(span.last);
        let mut same = |seq| -> Result<bool, Failure> {
            let theirs = archive.hash_at(&stream, &span.epoch, seq).map_err(failed)?;
            Ok(reader.hash_at(&span.epoch, seq)? == theirs)
        };
        if shared > 0 && !same(shared)? {
            // Chains that part never meet again.
            let (mut equal, mut other) = (0, shared);
            while other - equal > 1 {
                let middle = equal + (other - equal) / 2;
                if same(middle)? { equal = middle } else { other = middle }
            }
            return Ok(differs(&span.epoch, other, "spool and archive hold different events".to_owned()));
        }
        if archived < span.acknowledged.min(span.last) {
            let what = format!("the archive ends at event {archived}, {} were acknowledged", span.acknowledged);
            return Ok(differs(&span.epoch, archived + 1, what));
        }
        common += shared;
        waiting += span.last - shared;
        archived_alone += archived - shared;
    }
    archived_alone += cursors
        .iter()
        .filter(|it| spans.iter().all(|span| span.epoch != it.epoch))
        .map(|it| it.acked_through)
        .sum::<u64>();
    Ok(json!({
        "ok": true, "stream": stream, "events": here["events"], "heads": here["heads"], "contents": here["contents"],
        "set_aside": here["set_aside"],
        "against_spool": { "common": common, "spool_only": waiting, "archive_only": archived_alone },
    }))
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
