//! How good guessed chances are, against what happened.
//!
//! It must never see which model made them.

use super::history::Change;

/// Bins of equal size that the calibration error is taken over.
const BINS: usize = 10;

/// Measures of a list of chances.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// The chance that a faulty change is put before a sound one; ties count half.
    pub auc: f64,
    /// Mean squared error.
    pub brier: f64,
    /// What of the error of always saying the mean is saved.
    pub brier_skill: f64,
    /// Mean distance between said and seen, over ten bins of equal size.
    pub ece: f64,
    /// The part of all faulty changes among the fifth that is said to be the riskiest.
    pub top_fifth: f64,
}

impl Quality {
    /// Judges `chance` on `changes`. What is no chance, such as a number of lines, still has an `auc`
    /// and a `top_fifth`.
    pub(crate) fn of(changes: &[Change], chance: impl Fn(&Change) -> f64) -> Self {
        let mut said: Vec<(f64, bool)> = changes.iter().map(|change| (chance(change), change.faulty)).collect();
        said.sort_by(|a, b| a.0.total_cmp(&b.0));
        let n = said.len() as f64;
        let faulty = said.iter().filter(|(_, faulty)| *faulty).count() as f64;
        let rate = faulty / n;
        let brier =
            said.iter().map(|(chance, faulty)| (chance - f64::from(u8::from(*faulty))).powi(2)).sum::<f64>() / n;
        let riskiest = said.len() - said.len() / 5;
        Self {
            auc: auc(&said, faulty),
            brier,
            brier_skill: 1.0 - brier / (rate * (1.0 - rate)).max(f64::MIN_POSITIVE),
            ece: ece(&said),
            top_fifth: said[riskiest..].iter().filter(|(_, faulty)| *faulty).count() as f64 / faulty.max(1.0),
        }
    }
}

/// Mann-Whitney over ranks; equal chances share theirs. `said` is sorted.
fn auc(said: &[(f64, bool)], faulty: f64) -> f64 {
    let sound = said.len() as f64 - faulty;
    if faulty == 0.0 || sound == 0.0 {
        return 0.5;
    }
    let mut ranks = 0.0;
    let mut start = 0;
    for equal in said.chunk_by(|a, b| a.0 == b.0) {
        let rank = start as f64 + (equal.len() as f64 + 1.0) / 2.0;
        ranks += rank * equal.iter().filter(|(_, faulty)| *faulty).count() as f64;
        start += equal.len();
    }
    (ranks - faulty * (faulty + 1.0) / 2.0) / (faulty * sound)
}

fn ece(said: &[(f64, bool)]) -> f64 {
    let mut off = 0.0;
    for bin in 0..BINS {
        let part = &said[said.len() * bin / BINS..said.len() * (bin + 1) / BINS];
        let chance: f64 = part.iter().map(|(chance, _)| chance).sum();
        let faulty = part.iter().filter(|(_, faulty)| *faulty).count() as f64;
        off += (chance - faulty).abs();
    }
    off / said.len() as f64
}
