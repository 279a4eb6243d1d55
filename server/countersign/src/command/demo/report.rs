//! The last page of the story: what the trail holds, the trace of one line, and what to do next.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::Stdio;

use countersign_spool::Reader;
use serde_json::Value;

use super::Told;
use super::ground::{FILE, Ground};
use crate::error::Failure;
use crate::paint::Paint;

/// Prints it. Every figure is read from the spool or the collector, none from the story.
pub(super) fn print(ground: &Ground, told: &Told) -> Result<(), Failure> {
    let paint = Paint::for_stdout();
    let trail = Trail::read(ground)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{}", paint.bold("What the trail holds"))?;
    let mut row = |name: &str, text: String| writeln!(out, "  {} {text}", paint.dim(&format!("{name:18}")));
    row("offered", format!("{} suggestions, {} bytes", trail.count("suggestion.offered"), trail.offered_bytes))?;
    row("accepted", paint.green(&format!("{}", trail.count("suggestion.accepted"))))?;
    row("rejected", format!("{} ({})", trail.count("suggestion.rejected"), trail.reasons.join(", ")))?;
    row("changed by you", trail.changed.join(", "))?;
    row("flagged", paint.yellow(&told.hints.join(", ")))?;
    row(
        "while offline",
        format!(
            "{} events waited {:.1} s, sent in {:.1} s",
            told.waited,
            told.outage.as_secs_f64(),
            told.drain.as_secs_f64()
        ),
    )?;
    row("device verifies", ground.output(&["verify"])?.trim().to_owned())?;
    let archive = ground.archive().display().to_string();
    row("archive verifies", ground.output(&["verify", "--archive", &archive])?.trim().to_owned())?;

    let place = format!("{FILE}:{}", trail.line_to_trace);
    writeln!(out, "\n{} countersign trace {place} --from {}", paint.bold("Who wrote this line?"), told.collector)?;
    out.flush()?;
    drop(out);
    let token = ground.token("analyst")?;
    let status = ground
        .countersign(&["trace", &place, "--from", &told.collector, "--token-file", &token.display().to_string()])
        .stdin(Stdio::null())
        .status()
        .map_err(|error| Failure::from_error("cannot run countersign trace", &error))?;
    if !status.success() {
        return Err(Failure::could_not("the trace did not succeed"));
    }
    next_steps(paint)
}

/// What the local spool says, counted.
struct Trail {
    types: BTreeMap<String, u64>,
    offered_bytes: u64,
    reasons: Vec<String>,
    changed: Vec<String>,
    line_to_trace: u64,
}

impl Trail {
    fn read(ground: &Ground) -> Result<Trail, Failure> {
        let reader = Reader::open(&ground.shell.paths.state)?;
        let mut trail = Trail {
            types: BTreeMap::new(),
            offered_bytes: 0,
            reasons: Vec::new(),
            changed: Vec::new(),
            line_to_trace: 1,
        };
        let mut left: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for stored in reader.events_after(0, usize::MAX >> 1)? {
            let Ok(header) = stored.bytes.header() else { continue };
            let data: Value = serde_json::from_str(header.data).unwrap_or_default();
            let name = header.event_type.trim_start_matches("dev.countersign.").trim_end_matches(".v1").to_owned();
            let number = |pointer: &str| data.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
            match name.as_str() {
                "suggestion.offered" => trail.offered_bytes += number("/output/bytes"),
                "suggestion.rejected" => trail.reasons.extend(data["reason"].as_str().map(|r| r.replace('_', " "))),
                "contribution.measured" => {
                    let contribution = data["contribution"].as_str().unwrap_or_default().to_owned();
                    let (now, then) = (number("/surviving_bytes"), number("/accepted_bytes"));
                    if now != then {
                        trail.line_to_trace = number("/place/range/start/line") + 1;
                    }
                    left.insert(contribution, (now, then));
                }
                _ => {}
            }
            *trail.types.entry(name).or_default() += 1;
        }
        trail.changed = left
            .values()
            .filter(|(left, all)| left != all)
            .map(|(left, all)| format!("{left} of {all} bytes of one suggestion are still the AI's"))
            .collect();
        Ok(trail)
    }

    fn count(&self, name: &str) -> u64 {
        self.types.get(name).copied().unwrap_or_default()
    }
}

fn next_steps(paint: Paint) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{}", paint.bold("Your own editor"))?;
    writeln!(out, "  1. Put `countersign lsp` beside your language servers.")?;
    writeln!(out, "  2. Put `countersign tap --` before the command of your AI server.")?;
    writeln!(out, "  Neovim: editors/neovim   Helix: editors/helix   any other: editors/PROTOCOL.md")?;
    writeln!(
        out,
        "  Nothing leaves your device until config.toml names a collector; `countersign log` shows what is kept."
    )?;
    Ok(())
}
