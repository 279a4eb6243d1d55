//! What is recorded, by what, and what is not: the trail joined with what is on the machine.

use std::collections::BTreeMap;
use std::path::PathBuf;

use countersign_event::Timestamp;
use countersign_event::facts::PersonVia;
use countersign_spool::{Reader, SpoolError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::discover::{Found, Hook, Machine, Tool, discover};
use crate::git;
use crate::paint::Paint;

/// The newest events that are read for who was named and when each tool was last seen.
const EVENTS_MAX: i64 = 50_000;
/// Rows read at a time.
const EVENTS_AT_ONCE: usize = 2_000;

/// What the trail says about capture.
#[derive(Debug, Default)]
pub(super) struct Trail {
    /// By tool and transport.
    seen: BTreeMap<(String, String), Seen>,
    pub(super) persons: Persons,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    /// The newest of started, degraded, stopped.
    state: &'static str,
    state_at: Timestamp,
    last: Timestamp,
}

/// By what the newest events name their person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Persons {
    sso: u64,
    git: u64,
    os: u64,
    /// Named by the account of the system alone, or not at all.
    unresolved: u64,
    /// Of so many events that have a place for a person.
    of: u64,
}

impl Persons {
    fn count(&mut self, person: &Named) {
        self.of += 1;
        let via = person.id.as_ref().and(person.via);
        match via {
            Some(PersonVia::Sso) => self.sso += 1,
            Some(PersonVia::Git) => self.git += 1,
            Some(PersonVia::Os) => self.os += 1,
            None => {}
        }
        self.unresolved += u64::from(matches!(via, Some(PersonVia::Os) | None));
    }
}

#[derive(Default, Deserialize)]
struct Data {
    person: Option<Named>,
    path: Option<Path>,
}

#[derive(Deserialize)]
struct Named {
    id: Option<String>,
    via: Option<PersonVia>,
}

#[derive(Deserialize)]
struct Path {
    tool: Option<String>,
    transport: Option<String>,
}

impl Path {
    fn key(self) -> (String, String) {
        let or_unknown = |text: Option<String>| text.unwrap_or_else(|| "unknown".to_owned());
        (or_unknown(self.tool), or_unknown(self.transport))
    }
}

impl Trail {
    /// Reads it. Cost: a few microseconds an event, for at most the newest 50,000.
    ///
    /// Errors: the spool can't be read.
    pub(super) fn read(reader: &Reader) -> Result<Trail, SpoolError> {
        let mut trail = Trail::default();
        for (verb, state) in [("started", "recording"), ("degraded", "degraded"), ("stopped", "stopped")] {
            for stored in reader.by_type(&format!("dev.countersign.capture.{verb}.v1"), 0)? {
                let Ok(header) = stored.bytes.header() else { continue };
                let data: Data = serde_json::from_str(header.data).unwrap_or_default();
                let path = data.path.unwrap_or(Path { tool: None, transport: None });
                let time = header.time;
                let seen = trail.seen.entry(path.key()).or_insert(Seen { state, state_at: time, last: time });
                if time >= seen.state_at {
                    (seen.state, seen.state_at) = (state, time);
                }
                seen.last = seen.last.max(time);
            }
        }
        let mut after = (reader.last_rowid()? - EVENTS_MAX).max(0);
        loop {
            let events = reader.events_after(after, EVENTS_AT_ONCE)?;
            let Some(newest) = events.last() else { return Ok(trail) };
            after = newest.rowid;
            for stored in &events {
                let Ok(header) = stored.bytes.header() else { continue };
                let data: Data = serde_json::from_str(header.data).unwrap_or_default();
                if let Some(person) = &data.person {
                    trail.persons.count(person);
                }
                if let Some(seen) = data.path.and_then(|path| trail.seen.get_mut(&path.key())) {
                    seen.last = seen.last.max(header.time);
                }
            }
        }
    }

    fn has(&self, tool: &Tool, transport: &str) -> bool {
        self.seen.keys().any(|(name, by)| by == transport && is_of(tool, name, by))
    }
}

/// Says whether the trail means this tool by a name. A name is a tool's own only together with the
/// way it came: the Copilot that a tap sees is another program than the one whose hooks call.
fn is_of(tool: &Tool, name: &str, transport: &str) -> bool {
    let is = |other: &&str| name.eq_ignore_ascii_case(other);
    match transport {
        "tap" => {
            // An agent's program may have the short name of another tool of the same maker.
            let programs = if tool.hooks.is_none() { tool.programs } else { &[] };
            [&[tool.name], tool.tap_names, programs].concat().iter().any(is)
        }
        "hook" => tool.hooks.as_ref().map_or(is(&tool.name), |hooks| is(&hooks.tool)),
        _ => false,
    }
}

/// Looks at this machine: HOME, PATH and the repository we stand in.
pub(super) fn this_machine() -> Vec<Found> {
    let Some(dirs) = directories::BaseDirs::new() else { return Vec::new() };
    let project = std::env::current_dir().ok().and_then(|dir| git::root_of(&dir));
    let path = std::env::var_os("PATH");
    discover(&Machine::new(dirs.home_dir().to_owned(), path.as_deref(), PathBuf::from("/"), project))
}

/// Makes the rows of `capture`: what the trail has, then what is set up, then what is blind.
pub(super) fn rows(trail: &Trail, found: &[Found]) -> Vec<Value> {
    let mut rows: Vec<Value> = trail.seen.iter().map(|(key, seen)| seen_row(key, seen, found)).collect();
    let unseen = found.iter().filter_map(|found| unseen_row(trail, found));
    let (set_up, blind): (Vec<Value>, Vec<Value>) = unseen.partition(|row| row["state"] == "configured");
    rows.extend(set_up);
    rows.extend(blind);
    rows
}

fn seen_row((tool, transport): &(String, String), seen: &Seen, found: &[Found]) -> Value {
    let mut row = json!({ "tool": tool, "path": transport, "state": seen.state, "last_event": seen.last });
    let Some(found) = found.iter().find(|found| is_of(found.tool, tool, transport)) else { return row };
    row["found"] = json!(found.found);
    match &found.hook {
        Hook::Calls(file) if transport == "hook" => {
            row["captured_by"] = json!([format!("hook in {file}")]);
            row["blind"] = json!(found.tool.even_so);
        }
        // It called once; whether it still does, only its files say.
        hook if transport == "hook" && found.tool.hooks.is_some() => {
            row["captured_by"] = json!([]);
            blind(&mut row, found, hook);
        }
        _ => {
            row["captured_by"] = json!([format!("{transport}, seen in the trail")]);
            row["blind"] = json!(found.tool.even_so);
        }
    }
    row
}

/// The row of a tool that the trail has nothing of, or nothing by the way that is set up for it.
fn unseen_row(trail: &Trail, found: &Found) -> Option<Value> {
    let row = |path: Option<&str>, state: &str, by: Vec<String>| {
        json!({ "tool": found.tool.name, "path": path, "state": state, "last_event": null,
            "found": found.found, "captured_by": by, "blind": found.tool.even_so })
    };
    if trail.has(found.tool, "hook") {
        return None;
    }
    if let Hook::Calls(file) = &found.hook {
        return Some(row(Some("hook"), "configured", vec![format!("hook in {file}")]));
    }
    if found.extension {
        return Some(row(Some("extension"), "configured", vec!["extension of ours beside it".to_owned()]));
    }
    if trail.has(found.tool, "tap") {
        return None;
    }
    let mut row = row(None, "blind", Vec::new());
    blind(&mut row, found, &found.hook);
    Some(row)
}

/// Says what is not seen, and what to do.
fn blind(row: &mut Value, found: &Found, hook: &Hook) {
    let tool = found.tool;
    let (why, to_do) = match hook {
        Hook::Unreadable(file) => {
            (format!("{file} can't be read, so nobody knows whether it calls countersign"), format!("mend {file}"))
        }
        Hook::Off(file) => {
            (format!("{file} calls countersign, but all hooks are switched off"), "switch its hooks on".to_owned())
        }
        Hook::Untrusted(file) => (
            format!("{file} calls countersign, but nobody has trusted that, and it skips such hooks silently"),
            format!("start {} and trust the hooks with /hooks", tool.name),
        ),
        Hook::Partial(file) => (format!("{file} calls countersign, but not after an edit"), tool.to_do.to_owned()),
        Hook::None | Hook::Calls(_) => (tool.blind.to_owned(), tool.to_do.to_owned()),
    };
    let why = match tool.even_so {
        Some(more) => format!("{why}; {more}"),
        None => why,
    };
    row["blind"] = json!(why);
    row["do"] = json!(to_do);
}

/// Tells it: what is recorded first, then what is not, each with what to do.
pub(super) fn for_people(capture: &Value, paint: Paint, line: &mut impl FnMut(&str, String)) {
    let rows = || capture.as_array().into_iter().flatten();
    for row in rows() {
        let field = |name: &str| row[name].as_str().unwrap_or("?");
        match (row["path"].as_str(), row["last_event"].as_str()) {
            (Some(path), Some(at)) => line("", format!("{} by {path}: {} at {at}", field("tool"), field("state"))),
            (Some(path), None) => line("", format!("{} by {path}: set up, nothing seen yet", field("tool"))),
            (None, _) => {}
        }
    }
    for row in rows() {
        let (Some(why), Some(to_do)) = (row["blind"].as_str(), row["do"].as_str()) else { continue };
        let tool = row["tool"].as_str().unwrap_or("?");
        line("blind", format!("{}: {why}", paint.yellow(tool)));
        line("", format!("  {to_do}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trail(tool: &str, transport: &str) -> Trail {
        let at = Timestamp::from_millis(1_800_000_000_000);
        let seen = Seen { state: "recording", state_at: at, last: at };
        Trail { seen: [((tool.to_owned(), transport.to_owned()), seen)].into(), persons: Persons::default() }
    }

    /// A machine that has Claude Code's and the Copilot command line's directories.
    fn found(claude: &str) -> Vec<Found> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join(".claude")).unwrap();
        std::fs::create_dir_all(dir.path().join(".copilot")).unwrap();
        std::fs::write(dir.path().join(".claude/settings.json"), claude).unwrap();
        discover(&Machine::new(dir.path().to_owned(), None, dir.path().join("system"), None))
    }

    #[test]
    fn a_hook_that_called_once_and_is_no_longer_set_is_blind() {
        let set = r#"{"hooks":{"PostToolUse":[{"hooks":[{"command":"countersign hook claude-code"}]}]}}"#;
        let trail = trail("claude-code", "hook");
        let rows_of = |claude| rows(&trail, &found(claude));
        let now = &rows_of(set)[0];
        assert_eq!((&now["blind"], &now["captured_by"][0]), (&Value::Null, &json!("hook in ~/.claude/settings.json")));
        let later = &rows_of("{}")[0];
        assert!(later["blind"].is_string() && later["do"].is_string());
        assert_eq!(later["captured_by"], json!([]));
    }

    #[test]
    fn the_copilot_that_a_tap_saw_is_not_the_one_whose_hooks_are_missing() {
        let rows = rows(&trail("copilot", "tap"), &found("{}"));
        let cli = rows.iter().find(|row| row["tool"] == "copilot-cli").unwrap();
        assert_eq!(cli["state"], "blind");
        assert!(rows[0]["found"].is_null(), "the language server is not on this machine");
    }

    #[test]
    fn persons_known_by_an_account_alone_or_not_at_all_are_unresolved() {
        let mut persons = Persons::default();
        for person in [
            r#"{"id":"a","via":"sso","how":"reported"}"#,
            r#"{"id":"b","via":"git","how":"observed"}"#,
            r#"{"id":"c","via":"os","how":"observed"}"#,
            r#"{"absent":"headless"}"#,
        ] {
            persons.count(&serde_json::from_str(person).unwrap());
        }
        assert_eq!(persons, Persons { sso: 1, git: 1, os: 1, unresolved: 2, of: 4 });
    }
}
