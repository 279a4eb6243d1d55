//! The page that lists every field we record is made from the types, so it cannot leave one out.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test: it reads the page, and a panic is its message"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use countersign_event::Payload;
use serde_json::Value;

/// What stands around every fact, and is explained once.
const AROUND_A_FACT: [&str; 4] = ["absent", "confidence", "how", "rule"];

const BEGINNING: &str = "\
# Every field that is recorded

One row a field, with the types of event that carry it. The page is made from the types themselves.

- An event holds no text: texts (prompts, outputs, files before and after, names of persons) are *content*,
  kept apart, redacted and sealed, above a threshold, on sensitive paths or where policy says so.
- A *fact* also says `how` it is known (`observed`, `reported`, `attested`, `inferred` with a `rule` and a
  `confidence`), or why it is `absent`.
- Around each event stand its `id`, its `time`, its `type`, what it is about (`subject`) and the device
  (`source`), under a random name.
- What waits to be sent: `countersign log --would-send`. What was recorded: `countersign log --json --content`.

| field | what it is | recorded in |
|---|---|---|
";

#[test]
fn the_page_of_fields_names_every_field_of_every_type() {
    let mut rows: BTreeMap<(String, String), BTreeSet<&str>> = BTreeMap::new();
    let schemas = Payload::schemas();
    for (event_type, schema) in &schemas {
        let schema = serde_json::to_value(schema).unwrap();
        let short = event_type.trim_start_matches("dev.countersign.").trim_end_matches(".v1");
        let mut walk = Walk { defs: schema["$defs"].clone(), found: Vec::new() };
        walk.object(&schema, "", 0);
        for (path, what) in walk.found {
            rows.entry((path, what)).or_default().insert(short);
        }
    }
    let mut page = BEGINNING.to_owned();
    for ((path, what), types) in rows {
        let types = types.into_iter().collect::<Vec<_>>().join(", ");
        let what = what.replace('\n', " ").replace('|', "\\|");
        page.push_str(&format!("| `{path}` | {what} | {types} |\n"));
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("FIELDS.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    let there = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(there == page, "FIELDS.md is not what the types say; UPDATE_GOLDEN=1 writes it anew");
}

/// Collects the leaves of a schema.
struct Walk {
    defs: Value,
    found: Vec<(String, String)>,
}

impl Walk {
    fn object(&mut self, schema: &Value, path: &str, depth: usize) {
        assert!(depth < 8, "{path} has no end");
        for (name, field) in schema["properties"].as_object().unwrap() {
            self.field(field, &format!("{path}{name}"), depth);
        }
    }

    fn field(&mut self, field: &Value, path: &str, depth: usize) {
        let what = field["description"].as_str().unwrap_or_default().to_owned();
        if path == "content" {
            return self
                .found
                .push(("content.*".to_owned(), format!("{what} Commitments to them, or why they were not kept")));
        }
        let (target, is_list) = match field["type"].as_str() {
            Some("array") => (&field["items"], true),
            _ => (field, false),
        };
        let target = self.resolved(target);
        let path = if is_list { format!("{path}[]") } else { path.to_owned() };
        let known = target["anyOf"].as_array().and_then(|kinds| kinds.first().cloned());
        match known.filter(|known| known["properties"]["how"].is_object()) {
            Some(fact) => {
                let mut fact = fact;
                for name in AROUND_A_FACT {
                    fact["properties"].as_object_mut().unwrap().remove(name);
                }
                self.object(&fact, &format!("{path}."), depth + 1);
            }
            None if target["properties"].is_object() => self.object(&target, &format!("{path}."), depth + 1),
            None => {
                let choices = choices(&target);
                self.found.push((path, if choices.is_empty() { what } else { format!("{what} One of {choices}") }));
            }
        }
    }

    /// Follows references, through what may be null.
    fn resolved(&self, schema: &Value) -> Value {
        let mut schema = schema.clone();
        for _ in 0..4 {
            let other = schema["anyOf"].as_array().filter(|kinds| kinds.iter().any(|kind| kind["type"] == "null"));
            if let Some(kinds) = other {
                schema = kinds.iter().find(|kind| kind["type"] != "null").unwrap().clone();
            }
            let Some(name) = schema["$ref"].as_str() else { return schema };
            schema = self.defs[name.trim_start_matches("#/$defs/")].clone();
        }
        schema
    }
}

fn choices(schema: &Value) -> String {
    let of = |name: &str| schema[name].as_array().cloned().unwrap_or_default();
    let words = of("oneOf").into_iter().map(|kind| kind["const"].clone()).chain(of("enum"));
    words.filter_map(|word| Some(format!("`{}`", word.as_str()?))).collect::<Vec<_>>().join(" ")
}
