//! Messages of every server, dropped, repeated and in any order: nothing panics, every act is numbered
//! once, and every offer comes to an end.

use std::collections::HashMap;
use std::sync::LazyLock;

use countersign_event::Timestamp;
use countersign_event::payload::suggestion::Extent;
use countersign_provenance::join::{Joiner, Outcome};
use proptest::prelude::*;

use super::*;

static MESSAGES: LazyLock<Vec<(Direction, String)>> = LazyLock::new(|| {
    let mut messages = Vec::new();
    for entry in std::fs::read_dir(format!("{}/../../tests/fixtures/wire", env!("CARGO_MANIFEST_DIR"))).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let direction = match line["dir"].as_str() {
                Some("c2s") => Direction::ToServer,
                Some("s2c") => Direction::ToEditor,
                _ => continue,
            };
            let body = line["body"].as_str().unwrap().to_owned();
            if !body.contains("window/logMessage") || body.contains("[fetch") {
                messages.push((direction, body));
            }
        }
    }
    messages
});

/// Runs of messages as they were, from anywhere.
fn order() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec((any::<prop::sample::Index>(), 1usize..40), 1..12).prop_map(|runs| {
        let total = MESSAGES.len();
        runs.into_iter().flat_map(|(start, len)| (0..len).map(move |i| (start.index(total) + i) % total)).collect()
    })
}

proptest! {
    #[test]
    fn messages_in_disorder_break_nothing(order in order(), ms in 0i64..1500) {
        let (mut decoder, mut joiner) = (Decoder::new(), Joiner::new());
        let mut acts: HashMap<u64, (u32, bool)> = HashMap::new();
        let mut seen = Vec::new();
        for (i, at) in order.into_iter().enumerate() {
            let (direction, body) = &MESSAGES[at];
            seen.extend(decoder.message(*direction, body.as_bytes()).into_iter().map(|seen| (i as i64 * ms, seen)));
        }
        seen.push((i64::MAX / 2, Seen::Observed(Observation::Ended)));
        for (now, seen) in seen {
            let (Seen::Observed(observation) | Seen::Taken(_, observation)) = seen else { continue };
            for outcome in joiner.handle(Timestamp::from_millis(now), observation) {
                match outcome {
                    Outcome::Offered(o) => prop_assert!(acts.insert(o.key, (0, false)).is_none()),
                    Outcome::Accepted(a) => {
                        let (act, over) = acts.get_mut(&a.key).expect("offered first");
                        prop_assert_eq!(a.act, *act + 1);
                        (*act, *over) = (a.act, a.extent != Extent::Partial);
                    }
                    Outcome::Rejected(r) => {
                        let (act, over) = acts.get_mut(&r.key).expect("offered first");
                        prop_assert_eq!(r.act, *act + 1);
                        (*act, *over) = (r.act, true);
                    }
                    Outcome::Evidenced { key, act, .. } => prop_assert!(act <= acts[&key].0, "told before"),
                    Outcome::Forgotten { .. } | Outcome::Degraded { .. } => {}
                }
            }
        }
        prop_assert!(acts.values().all(|(_, over)| *over));
    }
}
