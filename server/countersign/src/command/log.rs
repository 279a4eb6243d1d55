//! `countersign log`: the events of the local spool, or of an archive, in order.
//!
//! With `--json` each line is the exact stored bytes; nothing is parsed and written again.

mod quarantined;
mod summary;
mod would_send;

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use countersign_collector::local::Local;
use countersign_event::{EventBytes, Timestamp};
use countersign_spool::{ContentState, Reader, Stored};
use serde_json::{Map, Value, json};

use crate::cli::LogArgs;
use crate::error::Failure;
use crate::paint::Paint;
use crate::shell::Shell;

/// Events read at once.
const PAGE: usize = 1_000;

/// Runs `countersign log`.
pub(crate) fn run(args: &LogArgs, shell: &Shell) -> Result<ExitCode, Failure> {
    let filter = Filter::new(args)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    match &args.archive {
        _ if args.fields => write!(out, "{}", countersign_event::FIELDS)?,
        _ if args.would_send => would_send::run(args, shell, &mut out)?,
        _ if args.quarantined => quarantined::run(args, shell, &mut out)?,
        Some(place) => archive(place, args, shell, &filter, &mut out)?,
        None => spool(args, shell, &filter, &mut out)?,
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn spool(args: &LogArgs, shell: &Shell, filter: &Filter, out: &mut impl Write) -> Result<(), Failure> {
    let reader = match Reader::open(&shell.paths.state) {
        Ok(reader) => reader,
        Err(countersign_spool::SpoolError::Missing { path }) => {
            return Err(Failure::could_not(format!("nothing has been recorded yet: {} is not there", path.display()))
                .hint("start an editor with `countersign lsp`, or try `countersign demo`"));
        }
        Err(error) => return Err(error.into()),
    };
    let paint = Paint::for_stdout();
    let mut after = 0;
    loop {
        let page = reader.events_after(after, PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.rowid;
        for stored in page.iter().filter(|stored| filter.takes(&stored.stream, &stored.bytes)) {
            if !args.json {
                writeln!(out, "{}", summary::line(stored.seq, &stored.bytes, paint))?;
                continue;
            }
            let event = if args.content { with_content(&reader, stored)? } else { stored.bytes.as_str().to_owned() };
            if args.chain {
                let (stream, epoch) = (json!(stored.stream), json!(stored.epoch));
                let (seq, hash) = (stored.seq, json!(stored.hash));
                writeln!(out, r#"{{"stream":{stream},"epoch":{epoch},"seq":{seq},"hash":{hash},"event":{event}}}"#)?;
            } else {
                writeln!(out, "{event}")?;
            }
        }
    }
}

fn archive(place: &str, args: &LogArgs, shell: &Shell, filter: &Filter, out: &mut impl Write) -> Result<(), Failure> {
    if args.content {
        return Err(Failure::usage("an archive's texts are sealed; --content reads the local spool only")
            .hint("`countersign trace --from URL --purpose … --ticket …` shows texts to a responder"));
    }
    if place.starts_with("http://") || place.starts_with("https://") {
        return crate::replay::read_events(shell, place, args.token_file.as_deref(), args.chain, |line| {
            print_archived(line, args, filter, out)
        });
    }
    let who = format!("os:{}", crate::person::account().unwrap_or_else(|| "unknown".to_owned()));
    let mut archive =
        Local::open(Path::new(place), &who).map_err(|error| Failure::from_error("cannot read the archive", &error))?;
    archive.events(args.chain, |line| print_archived(line, args, filter, out).map_err(Stop::Ours)).map_err(|stop| {
        match stop {
            Stop::Ours(failure) => failure,
            Stop::Archive(error) => Failure::from_error("cannot read the archive", &error),
        }
    })
}

/// Why reading an archive ended early.
enum Stop {
    Ours(Failure),
    Archive(countersign_collector::ArchiveError),
}

impl From<countersign_collector::ArchiveError> for Stop {
    fn from(error: countersign_collector::ArchiveError) -> Self {
        Stop::Archive(error)
    }
}

fn print_archived(line: &str, args: &LogArgs, filter: &Filter, out: &mut impl Write) -> Result<(), Failure> {
    let line = line.trim_end();
    let wrapped: Option<Value> = if args.chain { serde_json::from_str(line).ok() } else { None };
    let stream = wrapped.as_ref().and_then(|value| value["stream"].as_str());
    let event = wrapped.as_ref().map_or_else(|| line.to_owned(), |value| value["event"].to_string());
    let Ok(event) = EventBytes::parse(event.as_bytes()) else {
        // A hole has no event; it is shown wherever addresses are.
        return if filter.is_open() { Ok(writeln!(out, "{line}")?) } else { Ok(()) };
    };
    if !filter.takes(stream.unwrap_or_default(), &event) {
        return Ok(());
    }
    match args.json {
        true => writeln!(out, "{line}")?,
        false => writeln!(out, "{}", summary::line(0, &event, Paint::for_stdout()))?,
    }
    Ok(())
}

/// Returns the event with its kept texts beside the data. No longer the stored bytes.
fn with_content(reader: &Reader, stored: &Stored) -> Result<String, Failure> {
    let mut event: Map<String, Value> = serde_json::from_str(stored.bytes.as_str())
        .map_err(|error| Failure::from_error("a stored event is not JSON", &error))?;
    let id = stored.bytes.header().map_err(|error| Failure::from_error("a stored event", &error))?.id;
    let mut content = Map::new();
    for (name, state) in reader.contents_of(id)? {
        if let ContentState::Ok { text, .. } = state {
            content.insert(name.as_str().to_owned(), Value::String(text));
        }
    }
    if event.get("type").is_some_and(|name| name == "dev.countersign.edit.applied.v1") {
        // Where there was no file there is no slot: that is known, and said.
        for name in ["before", "after"] {
            let known =
                event.get("data").is_some_and(|data| data["how"] != "inferred" && data["content"][name].is_null());
            if known {
                content.entry(name).or_insert(Value::Null);
            }
        }
    }
    event.insert("content".to_owned(), Value::Object(content));
    Ok(Value::Object(event).to_string())
}

/// Which events were asked for.
struct Filter {
    event_type: Option<String>,
    since: Option<Timestamp>,
    stream: Option<String>,
}

impl Filter {
    fn new(args: &LogArgs) -> Result<Filter, Failure> {
        let since = args.since.as_deref().map(|text| {
            text.parse().map_err(|_| {
                Failure::usage(format!("{text:?} is not a time")).hint("write RFC 3339, such as 2026-01-31T09:00:00Z")
            })
        });
        let event_type = args.event_type.as_ref().map(|name| match name.starts_with("dev.countersign.") {
            true => name.clone(),
            false => format!("dev.countersign.{name}.v1"),
        });
        Ok(Filter { event_type, since: since.transpose()?, stream: args.stream.clone() })
    }

    fn is_open(&self) -> bool {
        self.event_type.is_none() && self.since.is_none() && self.stream.is_none()
    }

    fn takes(&self, stream: &str, event: &EventBytes) -> bool {
        if self.stream.as_ref().is_some_and(|wanted| wanted != stream) {
            return false;
        }
        if self.event_type.is_none() && self.since.is_none() {
            return true;
        }
        event.header().is_ok_and(|header| {
            self.event_type.as_ref().is_none_or(|wanted| *wanted == header.event_type)
                && self.since.is_none_or(|since| header.time >= since)
        })
    }
}
