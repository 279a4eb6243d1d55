//! `countersign log --would-send`: what a collector would get next, before anything is sent.
//!
//! The bodies are those that replay would send now, made by the same code; only the head's time and
//! signature and `sent_at` are made anew when they go. Nothing is sent and no cursor moves.

use std::io::Write;

use countersign_event::EventBytes;
use countersign_event::batch::Item;
use countersign_spool::Spool;
use serde_json::json;

use super::summary;
use crate::cli::LogArgs;
use crate::error::Failure;
use crate::paint::Paint;
use crate::replay::Limits;
use crate::shell::Shell;

/// Texts read at once.
const PAGE: usize = 64;

/// Prints every request that replay would make now, in order.
pub(super) fn run(args: &LogArgs, shell: &Shell, out: &mut impl Write) -> Result<(), Failure> {
    let to = shell.config.collector_url.value.clone().unwrap_or_default();
    let mut spool = Spool::open(&shell.paths.state)?;
    let paint = Paint::for_stdout();
    if to.is_empty() && !args.json {
        writeln!(out, "nothing is sent: no collector is configured; this is what one would get")?;
    }
    let mut at: Option<(String, u64)> = None;
    let (mut events, mut texts, mut bytes) = (0, 0, 0);
    let mut limits = Limits::FIRST;
    loop {
        let beyond = at.as_ref().map(|(epoch, seq)| (epoch.as_str(), *seq));
        let Some(pending) = spool.batch_beyond(&to, beyond, limits.events, limits.bytes)? else { break };
        limits = limits.grow();
        let batch = &pending.batch;
        let body = serde_json::to_string(batch).map_err(|error| Failure::from_error("a batch", &error))?;
        events += batch.events.len();
        bytes += body.len();
        if args.json {
            writeln!(out, r#"{{"method":"POST","path":"/v1/batches","body":{body}}}"#)?;
        } else {
            for (seq, item) in (batch.first_seq..).zip(&batch.events) {
                match item {
                    Item::Event(event) => match EventBytes::parse(event.get().as_bytes()) {
                        Ok(event) => writeln!(out, "{}", summary::line(seq, &event, paint))?,
                        Err(_) => writeln!(out, "{seq:>7}  an event that cannot be read")?,
                    },
                    Item::Hole(hole) => writeln!(out, "{seq:>7}  hole: {}", hole.reason)?,
                }
            }
        }
        at = Some((batch.epoch.clone(), pending.last_seq));
    }
    let mut beyond = 0;
    loop {
        let page = spool.would_upload(&to, beyond, PAGE)?;
        let Some((last, _)) = page.last() else { break };
        beyond = *last;
        for (_, content) in &page {
            let body = serde_json::to_string(&content.upload).map_err(|error| Failure::from_error("a text", &error))?;
            texts += 1;
            bytes += body.len();
            let path = format!("/v1/contents/{}", content.kept);
            if args.json {
                writeln!(out, r#"{{"method":"PUT","path":{},"body":{body}}}"#, json!(path))?;
            } else {
                let first = content.upload.text.lines().next().unwrap_or_default();
                let of = &content.upload.event;
                writeln!(out, "   text  {} bytes of event {of}: {first:.60}", content.upload.text.len())?;
            }
        }
    }
    if !args.json {
        writeln!(out, "{events} events and {texts} texts, {bytes} bytes; --json prints them whole")?;
    }
    Ok(())
}
