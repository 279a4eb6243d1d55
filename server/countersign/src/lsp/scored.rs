//! The score of a contribution as a person reads it: the sum, and every factor that moved it.
//!
//! It must never count what nobody observed; what is not known is left out.

use countersign_event::{Absent, Fact, How};
use countersign_risk::Severity;
use countersign_risk::score::{self, Factor, plain_share, score};

use super::event::Known;

/// What the rules and the text say of a contribution in one document.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Judged {
    /// Findings that stand on it.
    pub(crate) findings: Vec<Severity>,
    /// What is left of it there.
    pub(crate) text: String,
}

/// Writes the score on one line, with the factors that count.
pub(crate) fn line(known: &Known, judged: &Judged) -> Option<String> {
    let told = known.facts.as_ref()?;
    let count = |severity| judged.findings.iter().filter(|found| **found == severity).count() as f64;
    let flag = |is: bool| f64::from(u8::from(is));
    let lines = match &told.output {
        Fact::Known { value, .. } => Some(value.lines as f64),
        Fact::Absent { .. } => None,
    };
    let is_named = matches!(&told.model, Fact::Known { value, .. } if value.responded.is_some());
    let is_cut = match &told.prompt {
        Fact::Known { absent, .. } => *absent == Some(Absent::Truncated),
        Fact::Absent { absent } => *absent == Absent::Truncated,
    };
    let changed = known
        .retention()
        .filter(|retention| retention.accepted_bytes > 0)
        .map(|retention| 1.0 - (retention.surviving_bytes as f64 / retention.accepted_bytes as f64).min(1.0));
    let facts = score::Facts::default()
        .with("findings-high", count(Severity::High))
        .with("findings-medium", count(Severity::Medium))
        .with("findings-low", count(Severity::Low))
        .with("model-unknown", flag(!is_named))
        .with("inferred", flag(told.how == How::Inferred))
        .with("context-truncated", flag(is_cut))
        .with("plain-shape", plain_share(&judged.text))
        .with_known("lines", lines)
        .with_known("human-edits", changed);
    let score = score(&facts);
    let counted: Vec<String> = score.factors.iter().filter(|factor| factor.points != 0).map(factor).collect();
    let why = if counted.is_empty() { "nothing counts".to_owned() } else { counted.join(", ") };
    Some(format!("- score {} of 100: {why}", score.value))
}

fn factor(factor: &Factor) -> String {
    let Factor { says, value, points, .. } = factor;
    match *value {
        1.0 => format!("{says} ({points:+})"),
        value if value.fract() == 0.0 => format!("{says}: {value} ({points:+})"),
        value => format!("{says}: {value:.2} ({points:+})"),
    }
}
