//! Other editors send the same edits in other shapes: as whole texts, as the smallest difference of two
//! texts, which may lie elsewhere, with positions counted in another way, or with the message on the other
//! side of the edit. What a person did is the same.

use std::collections::HashMap;

use countersign_event::Timestamp;
use countersign_event::facts::Range;
use countersign_provenance::join::{Joiner, Outcome};
use countersign_provenance::text::{Change, Text};

use super::*;

type Observed = (Timestamp, Observation);

/// What the decoder sees in a recording.
fn observed(name: &str) -> Vec<Observed> {
    let path = format!("{}/../../tests/fixtures/wire/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let mut decoder = Decoder::new();
    let mut all = Vec::new();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let direction = match line["dir"].as_str() {
            Some("c2s") => Direction::ToServer,
            Some("s2c") => Direction::ToEditor,
            _ => continue,
        };
        let now = Timestamp::from_millis((line["t"].as_f64().unwrap() * 1000.0) as i64);
        for seen in decoder.message(direction, line["body"].as_str().unwrap().as_bytes()) {
            if let Seen::Observed(observation) | Seen::Taken(_, observation) = seen {
                all.push((now, observation));
            }
        }
    }
    all.push((Timestamp::from_millis(i64::MAX / 2), Observation::Ended));
    all
}

/// Returns every act and end.
fn acts(observed: Vec<Observed>) -> Vec<String> {
    let mut joiner = Joiner::new();
    let outcomes = observed.into_iter().flat_map(|(now, observation)| joiner.handle(now, observation));
    outcomes.collect::<Vec<_>>().iter().filter_map(act).collect()
}

/// Turns every edit into another shape.
fn reshaped(observed: &[Observed], mut shape: impl FnMut(&str, &str) -> Change) -> Vec<Observed> {
    let mut documents: HashMap<String, Text> = HashMap::new();
    let mut observed = observed.to_vec();
    for (_, observation) in &mut observed {
        match observation {
            Observation::Opened { uri, text, .. } => drop(documents.insert(uri.clone(), Text::new(text))),
            Observation::Changed { uri, changes } => {
                let text = documents.get_mut(uri).unwrap();
                let before = text.to_string();
                for change in changes.iter() {
                    text.apply(change, Encoding::Utf16).unwrap();
                }
                *changes = vec![shape(&before, &text.to_string())];
            }
            _ => {}
        }
    }
    observed
}

/// Counts every position in another way.
fn recounted(observed: &[Observed], encoding: Encoding) -> Vec<Observed> {
    let recount = |text: &Text, position: &mut Position| {
        *position = text.position(text.byte_at(*position, Encoding::Utf16).unwrap(), encoding);
    };
    let recount_range = |text: &Text, range: &mut Option<Range>| {
        if let Some(Range { start, end }) = range {
            recount(text, start);
            recount(text, end);
        }
    };
    let mut documents: HashMap<String, Text> = HashMap::new();
    let mut asked: HashMap<u64, Text> = HashMap::new();
    let mut recounted = vec![(observed[0].0, Observation::Initialized { encoding })];
    for (now, observation) in observed {
        let mut observation = observation.clone();
        match &mut observation {
            Observation::Initialized { encoding: said } => *said = encoding,
            Observation::Opened { uri, text, .. } => drop(documents.insert(uri.clone(), Text::new(text))),
            Observation::Changed { uri, changes } => {
                let text = documents.get_mut(uri).unwrap();
                for change in changes {
                    let said = change.clone();
                    recount_range(text, &mut change.range);
                    text.apply(&said, Encoding::Utf16).unwrap();
                }
            }
            Observation::Asked { request, uri, position } => {
                asked.insert(*request, documents[uri].clone());
                recount(&documents[uri], position);
            }
            Observation::Answered(answer) => {
                answer.items.iter_mut().for_each(|item| recount_range(&asked[&answer.request], &mut item.range));
            }
            Observation::Proposed { edits, .. } => {
                edits.iter_mut().for_each(|(uri, item)| recount_range(&documents[uri], &mut item.range));
            }
            _ => {}
        }
        recounted.push((*now, observation));
    }
    recounted
}

/// Puts each message on the other side of the edit that it speaks of.
fn turned(observed: &[Observed]) -> Vec<Observed> {
    let is_message = |observation: &Observation| {
        matches!(observation, Observation::AcceptedExplicitly { .. } | Observation::Inserted(_))
    };
    let is_edit = |observation: &Observation| matches!(observation, Observation::Changed { .. });
    let mut observed = observed.to_vec();
    let mut at = 1;
    while at < observed.len() {
        let (first, second) = observed.split_at_mut(at);
        let (first, second) = (&mut first[at - 1].1, &mut second[0].1);
        if (is_edit(first) && is_message(second)) || (is_message(first) && is_edit(second)) {
            std::mem::swap(first, second);
            at += 1;
        }
        at += 1;
    }
    observed
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

fn whole(_: &str, after: &str) -> Change {
    Change { range: None, text: after.to_owned() }
}

/// The smallest difference, from the front.
fn smallest(before: &str, after: &str) -> Change {
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
    Change { range: Some(range), text: after[prefix..after.len() - suffix].to_owned() }
}

const RECORDINGS: [&str; 14] = [
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
];

#[test]
fn other_shapes_of_the_same_edits_tell_the_same_acts() {
    for name in RECORDINGS {
        let observed = observed(name);
        let recorded = acts(observed.clone());
        assert!(!recorded.is_empty(), "{name}");
        assert_eq!(acts(reshaped(&observed, whole)), recorded, "{name}");
        assert_eq!(acts(reshaped(&observed, smallest)), recorded, "{name}");
        let mut count = 0;
        let mixed = |before: &str, after: &str| {
            count += 1;
            if count % 3 == 0 { whole(before, after) } else { smallest(before, after) }
        };
        assert_eq!(acts(reshaped(&observed, mixed)), recorded, "{name}");
    }
}

#[test]
fn positions_counted_in_another_way_tell_the_same_acts() {
    for name in RECORDINGS {
        let observed = observed(name);
        for encoding in [Encoding::Utf8, Encoding::Utf32] {
            assert_eq!(acts(recounted(&observed, encoding)), acts(observed.clone()), "{name} {encoding:?}");
        }
    }
}

#[test]
fn a_message_on_the_other_side_of_its_edit_tells_the_same_acts() {
    let mut turns = 0;
    for name in RECORDINGS {
        let observed = observed(name);
        let turned = turned(&observed);
        turns += usize::from(turned != observed);
        assert_eq!(acts(turned), acts(observed), "{name}");
    }
    assert!(turns >= 8, "{turns}");
}
