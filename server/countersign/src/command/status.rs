//! `countersign status`: are we recording, what waits, what is missing.

mod capture;

use std::io::Write;
use std::process::ExitCode;

use countersign_spool::{Reader, SpoolError, SpoolStatus};
use serde_json::{Value, json};

use crate::cli::JsonArgs;
use crate::error::Failure;
use crate::paint::Paint;
use crate::shell::{Shell, now};
use crate::{hook, pause, replay};
use capture::Trail;

/// Runs `countersign status`.
pub(crate) fn run(args: &JsonArgs, shell: &Shell) -> Result<ExitCode, Failure> {
    let status = read(shell)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{status}")?;
    } else {
        write!(out, "{}", for_people(&status, Paint::for_stdout()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads everything `status` tells, in the shape of the contract.
///
/// Errors: there is a spool and it can't be read.
pub(crate) fn read(shell: &Shell) -> Result<Value, Failure> {
    let replay = replay::state(&shell.paths.state, shell.config.collector_url.value.as_deref());
    let to = replay["to"].as_str().map(str::to_owned);
    let (spool, trail) = match Reader::open(&shell.paths.state) {
        Ok(reader) => (Some(reader.status(to.as_deref())?), Trail::read(&reader)?),
        Err(SpoolError::Missing { .. }) => (None, Trail::default()),
        Err(error) => return Err(error.into()),
    };
    let pause = pause::current(&shell.paths.state, now(), None);
    let pauses = pause::all(&shell.paths.state, now());
    let mut status = json!({
        "spool": { "events": 0, "pending": 0, "bytes": 0, "oldest_pending": null },
        "stream": null,
        "replay": replay,
        "capture": capture::rows(&trail, &capture::this_machine()),
        "persons": trail.persons,
        "gaps": [],
        "paused": pause.is_some(),
    });
    let troubles = hook::troubles(&shell.paths.state);
    if !troubles.is_empty() {
        status["hook_troubles"] = json!(troubles);
    }
    if let Some(pause) = pause {
        status["pause"] = json!(pause);
    }
    if !pauses.is_empty() {
        status["pauses"] = json!(pauses);
    }
    if let Some(spool) = spool {
        status["gaps"] = gaps(&spool);
        status["spool"] = json!({
            "events": spool.events, "pending": spool.pending, "bytes": spool.bytes,
            "oldest_pending": spool.oldest_pending, "inbox": spool.inbox,
            "max_bytes": spool.max_bytes, "shed": spool.shed,
        });
        status["stream"] = json!({ "id": spool.stream, "epoch": spool.epoch, "seq": spool.seq, "hash": spool.hash });
    }
    Ok(status)
}

fn gaps(spool: &SpoolStatus) -> Value {
    let losses = spool.losses.iter().filter_map(|stored| {
        let header = stored.bytes.header().ok()?;
        let data: Value = serde_json::from_str(header.data).ok()?;
        Some(json!({ "type": header.event_type, "time": header.time, "seq": stored.seq, "reason": data["reason"],
            "count": data["count"], "from": data["from"], "to": data["to"], "by": data["by"] }))
    });
    Value::Array(losses.collect())
}

/// So many gaps, the newest, are shown to people.
const GAPS_SHOWN: usize = 5;

fn gap_in_words(gap: &Value) -> String {
    let kind = gap["type"].as_str().unwrap_or("?");
    let kind = kind.trim_start_matches("dev.countersign.").trim_end_matches(".v1");
    let reason = gap["reason"].as_str().unwrap_or("unknown");
    let by = gap["by"].as_str().map(|by| format!(" ({by})")).unwrap_or_default();
    let count = gap["count"].as_u64().map(|count| format!(", {count} of them")).unwrap_or_default();
    let period = match (gap["from"].as_str(), gap["to"].as_str(), gap["time"].as_str()) {
        (Some(from), Some(to), _) => format!(" from {from} to {to}"),
        (_, _, Some(at)) => format!(" at {at}"),
        _ => String::new(),
    };
    format!("{kind}: {reason}{by}{count}{period}")
}

fn for_people(status: &Value, paint: Paint) -> String {
    let mut out = String::new();
    let mut line = |name: &str, text: String| out.push_str(&format!("{} {text}\n", paint.dim(&format!("{name:10}"))));
    let recording = match &status["pause"] {
        Value::Null => paint.green("recording"),
        pause => match pause["until"].as_str() {
            Some(until) => paint.yellow(&format!("paused until {until}")),
            None => paint.yellow("paused; `countersign resume` ends it"),
        },
    };
    line("capture", recording);
    for pause in status["pauses"].as_array().into_iter().flatten().filter(|pause| pause["scope"] != "all") {
        let until = pause["until"].as_str().unwrap_or("`countersign resume --repository`");
        line("", paint.yellow(&format!("{} is paused until {until}", pause["scope"].as_str().unwrap_or("?"))));
    }
    capture::for_people(&status["capture"], paint, &mut line);
    for trouble in status["hook_troubles"].as_array().into_iter().flatten() {
        line("hooks", paint.yellow(trouble.as_str().unwrap_or("?")));
    }
    let spool = &status["spool"];
    let waiting = match spool["oldest_pending"].as_str() {
        Some(oldest) => format!("{} waiting, the oldest since {oldest}", spool["pending"]),
        None => "nothing waits".to_owned(),
    };
    line("spool", format!("{} events, {} bytes, {waiting}", spool["events"], spool["bytes"]));
    let shed = |what: &str| spool["shed"][what].as_u64().unwrap_or_default();
    if shed("bytes") > 0 {
        let what = format!("{} texts, {} events, {} snapshots", shed("contents"), shed("events"), shed("snapshots"));
        let lost = format!("{} texts and {} events", shed("contents_lost"), shed("events_lost"));
        let text = format!("no room: {what} were let go, of which no collector has {lost}; see spool.max_bytes");
        line("", paint.yellow(&text));
    }
    let replay = &status["replay"];
    let state = replay["state"].as_str().unwrap_or("off");
    let text = match (state, replay["to"].as_str()) {
        ("off", _) => "off: nothing leaves this device (no collector is configured)".to_owned(),
        ("online", Some(to)) => paint.green(&format!("online to {to}")),
        (state, to) => {
            let why = replay["last_error"].as_str().map(|text| format!(": {text}")).unwrap_or_default();
            let waiting = format!("{state}, {} events wait", spool["pending"]);
            paint.yellow(&format!("{waiting}; {}{why}", to.unwrap_or("?")))
        }
    };
    line("replay", text);
    if let Some(hint) = replay["hint"].as_str() {
        line("", hint.to_owned());
    }
    let gaps = status["gaps"].as_array().map_or(0, Vec::len);
    let text = if gaps == 0 { "none".to_owned() } else { paint.red(&format!("{gaps}; see `countersign log`")) };
    line("gaps", text);
    for gap in status["gaps"].as_array().into_iter().flatten().rev().take(GAPS_SHOWN) {
        line("", gap_in_words(gap));
    }
    let count = |name: &str| status["persons"][name].as_u64().unwrap_or_default();
    if count("unresolved") > 0 {
        let of = format!("{} of the last {} events", count("unresolved"), count("of"));
        line("persons", paint.yellow(&format!("{of} name nobody but an account; set git's user.email")));
    }
    out
}
