//! Other editors send the same edits in other shapes: as whole texts, or as the smallest difference of two
//! texts, which may lie elsewhere. What a person did is the same.

use std::collections::HashMap;

use countersign_event::Timestamp;
use countersign_event::facts::Range;
use countersign_provenance::join::{Joiner, Outcome};
use countersign_provenance::text::{Change, Text};

use super::*;

/// Plays a recording with its edits turned into another shape. Returns every act and end.
fn acts(name: &str, mut shape: impl FnMut(&str, &str) -> Option<Change>) -> Vec<String> {
    let path = format!("{}/../../tests/fixtures/wire/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let (mut decoder, mut joiner) = (Decoder::new(), Joiner::new());
    let mut documents: HashMap<String, Text> = HashMap::new();
    let mut told = Vec::new();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let direction = match line["dir"].as_str() {
            Some("c2s") => Direction::ToServer,
            Some("s2c") => Direction::ToEditor,
            _ => continue,
        };
        let now = Timestamp::from_millis((line["t"].as_f64().unwrap() * 1000.0) as i64);
        for seen in decoder.message(direction, line["body"].as_str().unwrap().as_bytes()) {
            let (Seen::Observed(observation) | Seen::Taken(_, observation)) = seen else { continue };
            let observation = match observation {
                Observation::Opened { uri, language, text } => {
                    documents.insert(uri.clone(), Text::new(&text));
                    Observation::Opened { uri, language, text }
                }
                Observation::Changed { uri, changes } => {
                    let text = documents.get_mut(&uri).unwrap();
                    let before = text.to_string();
                    for change in &changes {
                        text.apply(change, Encoding::Utf16).unwrap();
                    }
                    let shaped = shape(&before, &text.to_string());
                    Observation::Changed { uri, changes: shaped.map_or(changes, |change| vec![change]) }
                }
                other => other,
            };
            let outcomes = joiner.handle(now, observation);
            told.extend(outcomes.iter().filter_map(act));
        }
    }
    told.extend(joiner.handle(Timestamp::from_millis(i64::MAX / 2), Observation::Ended).iter().filter_map(act));
    told
}

fn act(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Accepted(a) => {
            Some(format!("{} {:?} {:?} {:?} {:?}", a.key, a.extent, a.gesture, a.range, a.inserted))
        }
        Outcome::Rejected(r) => Some(format!("{} {:?}", r.key, r.reason)),
        Outcome::Evidenced { key, act, saw } => Some(format!("{key} {act} {saw}")),
        Outcome::Offered(_) | Outcome::Forgotten { .. } => None,
        Outcome::Degraded { reason, .. } => Some((*reason).to_owned()),
    }
}

fn as_recorded(_: &str, _: &str) -> Option<Change> {
    None
}

fn whole(_: &str, after: &str) -> Option<Change> {
    Some(Change { range: None, text: after.to_owned() })
}

/// The smallest difference, from the front.
fn smallest(before: &str, after: &str) -> Option<Change> {
    let mut prefix = before.bytes().zip(after.bytes()).take_while(|(a, b)| a == b).count();
    while !before.is_char_boundary(prefix) || !after.is_char_boundary(prefix) {
        prefix -= 1;
    }
    let most = before.len().min(after.len()) - prefix;
    let mut suffix = before.bytes().rev().zip(after.bytes().rev()).take(most).take_while(|(a, b)| a == b).count();
    while !before.is_char_boundary(before.len() - suffix) || !after.is_char_boundary(after.len() - suffix) {
        suffix -= 1;
    }
    let range: Range = Text::new(before).range(prefix..before.len() - suffix);
    Some(Change { range: Some(range), text: after[prefix..after.len() - suffix].to_owned() })
}

#[test]
fn other_shapes_of_the_same_edits_tell_the_same_acts() {
    for name in [
        "copilot-accept-full",
        "copilot-chat",
        "copilot-copilot-lua-client",
        "copilot-demo",
        "copilot-native-client",
        "copilot-next-edit",
        "copilot-partial-accept",
        "copilot-redirected-telemetry",
        "copilot-reject",
        "copilot-unicode-crlf",
        "helix-gpt-completion-menu",
        "lsp-ai-completion-menu",
        "tabby-agent-accept-reject",
        "tabby-agent-completion-menu",
    ] {
        let recorded = acts(name, as_recorded);
        assert!(!recorded.is_empty(), "{name}");
        assert_eq!(acts(name, whole), recorded, "{name}");
        assert_eq!(acts(name, smallest), recorded, "{name}");
        let mut count = 0;
        let mixed = |before: &str, after: &str| {
            count += 1;
            if count % 3 == 0 { whole(before, after) } else { smallest(before, after) }
        };
        assert_eq!(acts(name, mixed), recorded, "{name}");
    }
}
