//! One contribution, told from its events: five facts, acts, what is left of it, findings, commits.
//!
//! Pure: events in, JSON out. Facts stand as the events have them, each with how it is known. A later
//! observation fills what the first could not know, with a `how` of its own; where two observations
//! contradict each other both are shown. Nothing is made up: what no event says is absent with the
//! event's own reason.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use countersign_event::{EventBytes, Timestamp};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The five facts.
pub const FACTS: [&str; 5] = ["model", "prompt", "output", "person", "path"];

/// Members of an act that are worth telling, as they stand in its event.
const ACT: [&str; 14] = [
    "act",
    "how",
    "extent",
    "gesture",
    "reason",
    "undoes",
    "rule",
    "confidence",
    "entered",
    "distance",
    "shown",
    "dwell",
    "before_blob",
    "after_blob",
];

#[derive(Default)]
struct Story {
    facts: Map<String, Value>,
    place: Option<Value>,
    acts: Vec<Value>,
    retention: Option<Value>,
    findings: Vec<Value>,
    commits: Vec<Value>,
    evidence: Vec<Value>,
    content: Map<String, Value>,
    events: Vec<Uuid>,
    state: Option<&'static str>,
    sources: BTreeSet<String>,
}

/// Tells a contribution from its events, in the order in which they were stored.
///
/// The same event twice (salvaged into a new epoch) is one. Returns `None` where no event is about it.
pub fn tell(id: &str, events: &[EventBytes]) -> Option<Value> {
    let mut story = Story::default();
    let mut seen = BTreeSet::new();
    for bytes in events {
        let Ok(header) = bytes.header() else { continue };
        let Ok(data) = serde_json::from_str::<Map<String, Value>>(header.data) else { continue };
        if seen.insert(header.id) {
            story.events.push(header.id);
            story.sources.insert(header.source.clone());
            let noun = header.event_type.trim_start_matches("dev.countersign.").trim_end_matches(".v1");
            story.add(id, noun, header.time, &data);
        }
    }
    (!story.events.is_empty()).then(|| story.into_json(id))
}

impl Story {
    fn add(&mut self, id: &str, noun: &str, time: Timestamp, data: &Map<String, Value>) {
        match noun {
            "suggestion.offered" => self.state = self.state.or(Some("offered")),
            "suggestion.accepted" => self.act("accepted", time, data),
            "suggestion.rejected" => self.act("rejected", time, data),
            "edit.applied" => self.act("applied", time, data),
            "contribution.measured" => {
                self.retention =
                    Some(with_time(time, data, &["moment", "how", "accepted_bytes", "surviving_bytes", "distance"]));
            }
            "contribution.evidenced" => {
                let mut seen = with_time(time, data, &["how", "act", "saw"]);
                for fact in FACTS {
                    if let Some(value) = data.get(fact) {
                        seen[fact] = value.clone();
                    }
                }
                self.evidence.push(seen);
            }
            "finding.raised" | "finding.dismissed" | "finding.resolved" => {
                let mut finding =
                    with_time(time, data, &["how", "rule", "severity", "cwe", "fingerprint", "reason", "by"]);
                finding["state"] = noun.trim_start_matches("finding.").into();
                self.findings.push(finding);
                return;
            }
            "commit.attested" => {
                self.commits.extend(attested(id, time, data));
                return;
            }
            _ => {}
        }
        // By which way another observer saw it says nothing about the way it came.
        let is_second_hand = |fact: &str| noun == "contribution.evidenced" && fact == "path";
        for fact in FACTS.into_iter().filter(|fact| !is_second_hand(fact)) {
            if let Some(later) = data.get(fact) {
                merge(self.facts.entry(fact).or_insert(Value::Null), later);
            }
        }
        if let Some(slots) = data.get("content").and_then(Value::as_object) {
            self.content.extend(slots.iter().map(|(name, slot)| (name.clone(), slot.clone())));
        }
        // Where it entered says more than where it was offered; a measurement knows where it is now.
        if let Some(place) = data.get("place").filter(|place| place.as_object().is_some_and(|place| !place.is_empty()))
        {
            self.place = Some(place.clone());
        }
    }

    fn act(&mut self, kind: &'static str, time: Timestamp, data: &Map<String, Value>) {
        let undone = kind == "rejected" && data.get("reason").and_then(Value::as_str) == Some("undone");
        self.state = Some(if undone { "undone" } else { kind });
        let mut act = with_time(time, data, &ACT);
        act["kind"] = kind.into();
        if let Some(range) = data.get("place").and_then(|place| place.get("range")) {
            act["range"] = range.clone();
        }
        if let Some(hunks) = data.get("hunks") {
            act["hunks"] = hunks.clone();
        }
        self.acts.push(act);
    }

    fn into_json(self, id: &str) -> Value {
        let mut out = Map::new();
        out.insert("contribution".into(), id.into());
        out.insert("state".into(), self.state.into());
        for fact in FACTS {
            let value = self.facts.get(fact).filter(|value| !value.is_null()).cloned();
            out.insert(fact.into(), value.unwrap_or_else(|| json!({ "absent": "not_on_wire" })));
        }
        out.insert("place".into(), self.place.into());
        out.insert("acts".into(), self.acts.into());
        out.insert("retention".into(), self.retention.into());
        out.insert("findings".into(), self.findings.into());
        out.insert("commits".into(), self.commits.into());
        out.insert("evidence".into(), self.evidence.into());
        out.insert("content".into(), self.content.into());
        out.insert("devices".into(), self.sources.into_iter().collect());
        out.insert("events".into(), self.events.iter().map(Uuid::to_string).collect());
        Value::Object(out)
    }
}

fn with_time(time: Timestamp, data: &Map<String, Value>, members: &[&str]) -> Value {
    let mut out = Map::new();
    out.insert("time".into(), time.to_string().into());
    for member in members {
        if let Some(value) = data.get(*member) {
            out.insert((*member).into(), value.clone());
        }
    }
    Value::Object(out)
}

/// Lets a later observation of a fact add to the earlier one.
fn merge(known: &mut Value, later: &Value) {
    let absent = |fact: &Value| fact.get("how").is_none();
    if known.is_null() || (absent(known) && !absent(later)) {
        *known = later.clone();
        return;
    }
    if absent(later) {
        return;
    }
    let (Some(known), Some(later)) = (known.as_object_mut(), later.as_object()) else { return };
    let how = later.get("how").cloned().unwrap_or(Value::Null);
    let same_how = known.get("how") == Some(&how);
    for (name, value) in
        later.iter().filter(|(name, _)| !["how", "rule", "confidence", "absent"].contains(&name.as_str()))
    {
        match known.get(name) {
            None => {
                known.insert(name.clone(), value.clone());
                if !same_how {
                    known.insert(format!("{name}_how"), how.clone());
                }
                // It says why other members are missing; this one was the one that was.
                known.remove("absent");
            }
            Some(earlier) if earlier != value => {
                let entry = json!({ "how": how, name: value });
                let others = known.entry("contradicted").or_insert_with(|| json!([]));
                if let Some(others) = others.as_array_mut().filter(|others| !others.contains(&entry)) {
                    others.push(entry);
                }
            }
            Some(_) => {}
        }
    }
}

/// Returns the commits in which a contribution's bytes were attested.
fn attested(id: &str, time: Timestamp, data: &Map<String, Value>) -> Vec<Value> {
    let files = data.get("files").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let bytes_in = |file: &Value| -> u64 {
        let spans = file.get("spans").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        spans
            .iter()
            .filter(|span| span.get("contribution").and_then(Value::as_str) == Some(id))
            .map(|span| {
                let at = |end: &str| span.get(end).and_then(Value::as_u64).unwrap_or(0);
                at("end").saturating_sub(at("start"))
            })
            .sum()
    };
    files
        .iter()
        .map(|file| (file, bytes_in(file)))
        .filter(|(_, bytes)| *bytes > 0)
        .map(|(file, bytes)| {
            let member = |of: Option<&Value>| of.cloned().unwrap_or(Value::Null);
            json!({
                "time": time, "commit": member(data.get("commit")), "how": member(data.get("how")),
                "path": member(file.get("path")), "blob": member(file.get("blob")), "bytes": bytes,
            })
        })
        .collect()
}

/// Says whether any act of a told contribution happened in these lines (from 1), as they were then.
pub fn touches(told: &Value, lines: &RangeInclusive<u32>) -> bool {
    let acts = told["acts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let (first, last) = (u64::from(*lines.start()), u64::from(*lines.end()));
    let output_lines = told["output"]["lines"].as_u64().unwrap_or(1).max(1);
    acts.iter().any(|act| {
        let number = |value: &Value| value.as_u64();
        let by_range = number(&act["range"]["start"]["line"]).is_some_and(|line| {
            let start = line + 1;
            start <= last && start + output_lines > first
        });
        let hunks = act["hunks"].as_array().map(Vec::as_slice).unwrap_or_default();
        let by_hunk = hunks.iter().any(|hunk| match (number(&hunk["new_start"]), number(&hunk["new_lines"])) {
            (Some(start), Some(count)) => start <= last && start + count.max(1) > first,
            _ => false,
        });
        by_range || by_hunk
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(n: u32, noun: &str, data: Value) -> EventBytes {
        let event = json!({
            "specversion": "1.0", "id": format!("019a0000-0000-7000-8000-0000000000{n:02}"), "source": "urn:d",
            "type": format!("dev.countersign.{noun}.v1"), "time": "2026-01-02T03:04:05.678Z", "data": data,
        });
        EventBytes::parse(event.to_string().as_bytes()).unwrap()
    }

    fn offered() -> EventBytes {
        event(
            1,
            "suggestion.offered",
            json!({
                "how": "observed", "contribution": "c",
                "model": {"requested": "gpt-x", "how": "observed", "absent": "not_on_wire"},
                "prompt": {"absent": "not_on_wire"}, "output": {"bytes": 3, "lines": 2, "how": "observed"},
                "person": {"id": "p", "how": "inferred", "rule": "git", "confidence": 0.5},
                "path": {"kind": "ide", "trust": "supervised", "how": "observed"},
                "place": {"path": "a.rs", "range": {"start": {"line": 4, "character": 0}, "end": {"line": 4, "character": 0}}},
            }),
        )
    }

    fn accepted(n: u32) -> EventBytes {
        event(
            n,
            "suggestion.accepted",
            json!({
                "how": "observed", "contribution": "c", "act": 1, "extent": "full", "gesture": "edit",
                "place": {"path": "a.rs", "range": {"start": {"line": 4, "character": 0}, "end": {"line": 4, "character": 0}}},
            }),
        )
    }

    #[test]
    fn nothing_is_told_of_a_contribution_without_events() {
        assert_eq!(tell("c", &[]), None);
    }

    #[test]
    fn a_model_that_only_a_later_event_names_is_filled_in_with_its_own_how() {
        let later = json!({
            "how": "reported", "contribution": "c", "saw": "model_named", "place": {},
            "model": {"responded": "gpt-x-2026-01-01", "how": "reported"},
        });
        let told = tell("c", &[offered(), event(2, "contribution.evidenced", later)]).unwrap();
        assert_eq!(
            told["model"],
            json!({"requested": "gpt-x", "how": "observed", "responded": "gpt-x-2026-01-01", "responded_how": "reported"})
        );
        assert_eq!(told["prompt"], json!({"absent": "not_on_wire"}));
        assert_eq!(told["evidence"][0]["saw"], "model_named");
    }

    #[test]
    fn the_way_of_a_second_observer_is_evidence_and_no_contradiction() {
        let seen = json!({"how": "observed", "contribution": "c", "saw": "entered_buffer", "place": {},
            "path": {"tool": "countersign-lsp", "kind": "ide", "transport": "edits", "how": "observed"}});
        let told = tell("c", &[offered(), event(2, "contribution.evidenced", seen)]).unwrap();
        assert_eq!(told["path"], tell("c", &[offered()]).unwrap()["path"]);
        assert_eq!(told["evidence"][0]["path"]["tool"], "countersign-lsp");
    }

    #[test]
    fn observations_that_contradict_each_other_are_both_shown() {
        let later = json!({"how": "reported", "contribution": "c", "saw": "x", "place": {},
            "model": {"requested": "other", "how": "reported"}});
        let told = tell("c", &[offered(), event(2, "contribution.evidenced", later)]).unwrap();
        assert_eq!(told["model"]["requested"], "gpt-x");
        assert_eq!(told["model"]["contradicted"], json!([{"requested": "other", "how": "reported"}]));
    }

    #[test]
    fn an_event_that_was_salvaged_into_another_epoch_is_told_once() {
        let told = tell("c", &[offered(), accepted(2), accepted(2)]).unwrap();
        assert_eq!(told["acts"].as_array().unwrap().len(), 1);
        assert_eq!(told["state"], "accepted");
    }

    #[test]
    fn an_undone_acceptance_is_told_as_undone() {
        let undone = json!({"how": "observed", "contribution": "c", "act": 2, "reason": "undone", "undoes": 1});
        let told = tell("c", &[offered(), accepted(2), event(3, "suggestion.rejected", undone)]).unwrap();
        assert_eq!(told["state"], "undone");
        assert_eq!(told["acts"][1]["undoes"], 1);
    }

    #[test]
    fn a_commit_is_told_with_how_many_bytes_of_the_contribution_it_holds() {
        let attested = json!({"how": "observed", "commit": "abc", "files": [
            {"path": "a.rs", "blob": "b1", "spans": [
                {"start": 0, "end": 5, "origin": "human"}, {"start": 5, "end": 9, "origin": "ai", "contribution": "c"}]},
            {"path": "b.rs", "blob": "b2", "spans": [{"start": 0, "end": 5, "origin": "ai", "contribution": "other"}]}]});
        let told = tell("c", &[offered(), event(2, "commit.attested", attested)]).unwrap();
        let commits = told["commits"].as_array().unwrap();
        assert_eq!(commits.len(), 1);
        assert_eq!((&commits[0]["commit"], &commits[0]["bytes"]), (&json!("abc"), &json!(4)));
    }

    #[test]
    fn lines_are_compared_with_where_the_act_happened() {
        let told = tell("c", &[offered(), accepted(2)]).unwrap();
        for (lines, touched) in [(1..=4, false), (5..=5, true), (6..=6, true), (7..=9, false)] {
            assert_eq!(touches(&told, &lines), touched, "{lines:?}");
        }
    }
}
