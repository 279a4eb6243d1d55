//! The conversation that led to a contribution: each turn with its prompt and answer, or why one is not there.

use std::collections::BTreeMap;

use countersign_event::Absent;
use countersign_spool::Reader;
use serde_json::{Map, Value, json};

use super::local::open_text;
use crate::error::Failure;

/// Of a longer conversation only the latest turns are told.
const TURNS_MAX: u64 = 1_000;

/// One turn: what was asked, what was answered, which events say so.
#[derive(Debug, Default)]
struct Turn {
    prompt: Option<Value>,
    output: Option<Value>,
    events: Vec<String>,
}

/// Adds to a told contribution its conversation up to its own turn, in order. Nothing is added where no
/// event says which turn it was.
pub(super) fn add(reader: &Reader, told: &mut Value) -> Result<(), Failure> {
    let Some(last) = told["prompt"]["turns"].as_u64() else { return Ok(()) };
    let (tool, session) = (told["path"]["tool"].clone(), told["path"]["session"].clone());
    if session.is_null() {
        return Ok(());
    }
    let mut turns: BTreeMap<u64, Turn> = BTreeMap::new();
    for noun in ["prompt.submitted", "model.responded"] {
        for stored in reader.by_type(&format!("dev.countersign.{noun}.v1"), 0)? {
            let Ok(header) = stored.bytes.header() else { continue };
            let Ok(mut data) = serde_json::from_str::<Value>(header.data) else { continue };
            let number = data["prompt"]["turns"].as_u64().filter(|number| (1..=last).contains(number));
            let (Some(number), true) = (number, data["path"]["session"] == session && data["path"]["tool"] == tool)
            else {
                continue;
            };
            let turn = turns.entry(number).or_default();
            turn.events.push(header.id.to_string());
            for (name, side) in [("prompt", &mut turn.prompt), ("output", &mut turn.output)] {
                let mut slot = data["content"][name].take();
                if !slot.is_null() {
                    open_text(reader, &mut slot)?;
                    *side = Some(slot);
                }
            }
        }
    }
    let unheard = || json!({ "absent": Absent::NotOnWire });
    let first = last.saturating_sub(TURNS_MAX) + 1;
    let conversation = (first..=last).map(|number| {
        let turn = turns.remove(&number).unwrap_or_default();
        let mut out = Map::new();
        out.insert("turn".into(), number.into());
        out.insert("prompt".into(), turn.prompt.unwrap_or_else(unheard));
        out.insert("output".into(), turn.output.unwrap_or_else(unheard));
        out.insert("events".into(), turn.events.into());
        Value::Object(out)
    });
    told["prompt"]["conversation"] = conversation.collect();
    Ok(())
}
