//! Arbitrary messages in both directions through every decoder, and what they tell through joining.
//!
//! The input is lines: `>` or `<` for the direction, then the message. The first line names the tool.

use std::collections::HashMap;

use countersign_event::Timestamp;
use countersign_event::payload::suggestion::Extent;
use countersign_provenance::join::{Joiner, Observation, Outcome};

use crate::tap::decode::{Decoder, Direction, Seen};

/// Holds for any input: nothing panics, each act has the next number, each offer comes to an end. (One may be
/// alive again after its end: it is offered again, or a message says what only seemed otherwise.)
pub fn check(data: &[u8]) {
    let mut lines = data.split(|&b| b == b'\n');
    let tool = lines.next().and_then(|line| std::str::from_utf8(line).ok()).filter(|tool| !tool.is_empty());
    let mut decoder = Decoder::new().knowing(tool, "server");
    let mut joiner = Joiner::new();
    let mut acts = HashMap::new();
    let mut now = 0;
    let mut join = |now: i64, seen: Vec<Seen>, acts: &mut HashMap<u64, (u32, bool)>| {
        for seen in seen {
            if let Seen::Observed(observation) | Seen::Taken(_, observation) = seen {
                count(joiner.handle(Timestamp::from_millis(now), observation), acts);
            }
        }
    };
    for line in lines {
        let Some((&direction, body)) = line.split_first() else { continue };
        let direction = if direction == b'<' { Direction::ToEditor } else { Direction::ToServer };
        // Different pauses, the same in every run.
        now += [5, 60, 400, 2500][line.len() % 4];
        let seen = decoder.message(direction, body);
        join(now, seen, &mut acts);
    }
    let last = decoder.end();
    join(now, last, &mut acts);
    join(now, vec![Seen::Observed(Observation::Ended)], &mut acts);
    for (key, (_, over)) in acts {
        assert!(over, "suggestion {key} has no end");
    }
}

fn count(outcomes: Vec<Outcome>, acts: &mut HashMap<u64, (u32, bool)>) {
    for outcome in outcomes {
        match outcome {
            Outcome::Offered(offered) => assert!(acts.insert(offered.key, (0, false)).is_none(), "offered once"),
            Outcome::Accepted(accepted) => {
                let (act, over) = acts.get_mut(&accepted.key).expect("offered first");
                assert_eq!(accepted.act, *act + 1);
                (*act, *over) = (accepted.act, accepted.extent != Extent::Partial);
            }
            Outcome::Rejected(rejected) => {
                let (act, over) = acts.get_mut(&rejected.key).expect("offered first");
                assert_eq!(rejected.act, *act + 1);
                (*act, *over) = (rejected.act, true);
            }
            Outcome::Evidenced { key, act, .. } => assert!(act <= acts[&key].0, "told before"),
            Outcome::Forgotten { .. } | Outcome::Degraded { .. } => {}
        }
    }
}
