//! `countersign log --quarantined`: the events a collector refused for good, and why.

use std::io::Write;

use countersign_spool::{Reader, SpoolError};
use serde_json::json;

use super::summary;
use crate::cli::LogArgs;
use crate::error::Failure;
use crate::paint::Paint;
use crate::shell::Shell;

/// Prints every quarantined event, with `--json` as `{"epoch","seq","reason","event"}`, the exact bytes within.
pub(super) fn run(args: &LogArgs, shell: &Shell, out: &mut impl Write) -> Result<(), Failure> {
    let quarantined = match Reader::open(&shell.paths.state) {
        Ok(reader) => reader.quarantined()?,
        Err(SpoolError::Missing { .. }) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let paint = Paint::for_stdout();
    for it in &quarantined {
        if args.json {
            let (epoch, seq, reason) = (json!(it.epoch), it.seq, json!(it.reason));
            writeln!(out, r#"{{"epoch":{epoch},"seq":{seq},"reason":{reason},"event":{}}}"#, it.bytes.as_str())?;
        } else {
            writeln!(out, "{}\n         {}", summary::line(it.seq, &it.bytes, paint), paint.yellow(&it.reason))?;
        }
    }
    if !args.json {
        match quarantined.len() {
            0 => writeln!(out, "nothing was refused")?,
            n => writeln!(
                out,
                "{n} events were refused; `countersign replay --once --retry-quarantined` sends them again"
            )?,
        }
    }
    Ok(())
}
