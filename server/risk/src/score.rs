//! The score: 0 to 100, a sum that a person can recompute from the factors printed beside it.
//!
//! It must never count what was not observed: a factor nobody knows is left out and said to be.

mod shape;

use std::sync::OnceLock;

use serde::Deserialize;

pub use shape::plain_share;

/// The weights, as a file that can be read and refitted.
const WEIGHTS: &str = include_str!("score/weights.toml");

/// What is known of a piece of code. Shares are from 0 to 1, flags 0 or 1, the rest counts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    known: Vec<(String, f64)>,
}

impl Facts {
    /// Adds what is known of the factor `id`. Below zero counts as zero; what is no number is unknown.
    #[must_use]
    pub fn with(mut self, id: &str, value: f64) -> Self {
        self.known.retain(|(known, _)| known != id);
        if value.is_finite() {
            self.known.push((id.to_owned(), value.max(0.0)));
        }
        self
    }

    /// Adds what is known of `id`, if anything is.
    #[must_use]
    pub fn with_known(self, id: &str, value: Option<f64>) -> Self {
        match value {
            Some(value) => self.with(id, value),
            None => self,
        }
    }

    fn get(&self, id: &str) -> Option<f64> {
        self.known.iter().find(|(known, _)| known == id).map(|(_, value)| *value)
    }
}

/// A score with everything it was made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// The sum of the points, held between 0 and 100.
    pub value: u8,
    /// What is known, in the order of the weights.
    pub factors: Vec<Factor>,
    /// What is not known and was not counted.
    pub unknown: Vec<&'static str>,
}

/// One line of a score.
#[derive(Debug, Clone, PartialEq)]
pub struct Factor {
    /// Its name in the weights.
    pub id: &'static str,
    /// What kind of factor it is: blast radius, novelty, uncertainty, findings, size, evidence.
    pub group: &'static str,
    /// What the value is.
    pub says: &'static str,
    /// What is known.
    pub value: f64,
    /// What it adds; below zero what it takes away; 0 for what is only shown.
    pub points: i32,
}

#[derive(Debug, Deserialize)]
struct Weights {
    factor: Vec<Weight>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Weight {
    id: String,
    group: String,
    says: String,
    points: i32,
    full: f64,
    curve: Curve,
    #[allow(dead_code, reason = "it is for whoever reads the file")]
    source: Source,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Curve {
    Linear,
    Log,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Source {
    Chosen,
    Fitted,
}

impl Weight {
    fn points(&self, value: f64) -> i32 {
        let part = match self.curve {
            Curve::Linear => value / self.full,
            Curve::Log => value.ln_1p() / self.full.ln_1p(),
        };
        (f64::from(self.points) * part.min(1.0)).round() as i32
    }
}

fn weights() -> &'static [Weight] {
    static WEIGHTS_READ: OnceLock<Weights> = OnceLock::new();
    &WEIGHTS_READ.get_or_init(|| toml::from_str(WEIGHTS).expect("a test reads the weights")).factor
}

/// Adds up what is known.
pub fn score(facts: &Facts) -> Score {
    let mut factors = Vec::new();
    let mut unknown = Vec::new();
    for weight in weights() {
        match facts.get(&weight.id) {
            Some(value) => factors.push(Factor {
                id: &weight.id,
                group: &weight.group,
                says: &weight.says,
                value,
                points: weight.points(value),
            }),
            None => unknown.push(weight.id.as_str()),
        }
    }
    let sum: i32 = factors.iter().map(|factor| factor.points).sum();
    let value = u8::try_from(sum.clamp(0, 100)).expect("it is at most 100");
    Score { value, factors, unknown }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_facts() -> impl Strategy<Value = Facts> {
        prop::collection::vec(prop::option::of(0.0..200.0), weights().len()).prop_map(|values| {
            weights()
                .iter()
                .zip(values)
                .fold(Facts::default(), |facts, (weight, value)| facts.with_known(&weight.id, value))
        })
    }

    #[test]
    fn every_weight_can_be_read_and_is_there_once() {
        let mut ids: Vec<&str> = weights().iter().map(|weight| weight.id.as_str()).collect();
        assert!(
            weights().iter().all(|weight| weight.full > 0.0 && !weight.says.is_empty() && !weight.group.is_empty())
        );
        assert!(weights().iter().all(|weight| (weight.group == "evidence") == (weight.points < 0)));
        assert!(weights().iter().all(|weight| (weight.group == "shown only") == (weight.points == 0)));
        ids.sort_unstable();
        let count = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }

    #[test]
    fn a_score_is_the_sum_of_what_is_printed() {
        let facts = Facts::default()
            .with("sensitive-path", 1.0)
            .with("findings-high", 1.0)
            .with("lines", 120.0)
            .with("ai-share", 0.9)
            .with("reviewed", 1.0);
        let score = score(&facts);
        let printed: Vec<String> =
            score.factors.iter().map(|factor| format!("{} {:+}", factor.id, factor.points)).collect();
        assert_eq!(printed, ["sensitive-path +15", "findings-high +28", "lines +15", "reviewed -9", "ai-share +0"]);
        assert_eq!(score.value, 49);
        assert!(score.unknown.contains(&"covered"));
    }

    #[test]
    fn what_is_known_to_be_harmless_scores_low_and_nothing_known_scores_nothing() {
        let dto = Facts::default().with("lines", 80.0).with("plain-shape", 1.0).with("ai-share", 1.0);
        assert!(score(&dto).value <= 5, "{:?}", score(&dto));
        assert_eq!(score(&Facts::default()).value, 0);
        assert_eq!(score(&Facts::default().with("lines", f64::NAN)).factors, []);
    }

    proptest! {
        #[test]
        fn more_risk_never_lowers_a_score_and_more_evidence_never_raises_it(
            facts in any_facts(), at in 0..20usize, more in 0.0..100.0,
        ) {
            let weight = &weights()[at % weights().len()];
            let before = facts.clone().with(&weight.id, facts.get(&weight.id).unwrap_or(0.0));
            let after = before.clone().with(&weight.id, before.get(&weight.id).unwrap() + more);
            let (before, after) = (score(&before), score(&after));
            match weight.points.signum() {
                1 => prop_assert!(after.value >= before.value),
                -1 => prop_assert!(after.value <= before.value),
                _ => prop_assert_eq!(after.value, before.value),
            }
            let sum: i32 = after.factors.iter().map(|factor| factor.points).sum();
            prop_assert_eq!(i32::from(after.value), sum.clamp(0, 100));
        }
    }
}
