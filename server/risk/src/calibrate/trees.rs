//! The model: a sum of small trees, each measure held to its sign, grown by boosting.
//!
//! Raising a measure must never move an answer against its sign: a split that would is not taken,
//! and what grows below a split stays on its side of the middle.

use super::history::{Change, Measure};

/// Trees, and how much of each is believed. Chosen on three public histories.
const TREES: usize = 300;
const RATE: f64 = 0.05;
/// Questions one after the other in a tree.
const DEPTH: usize = 3;
/// Places a measure can be split at.
const BINS: usize = 64;
/// Least weight of evidence on either side of a split (sum of chance times counter-chance).
const EVIDENCE_MIN: f64 = 10.0;
/// Pulls what little evidence says towards zero.
const SHRINK: f64 = 1.0;
/// Weight of a change halves over this part of the past: projects change.
const HALF_LIFE: f64 = 0.3;
const MEASURES: usize = Measure::ALL.len();

type Bins = [u8; MEASURES];

/// A fitted model.
#[derive(Debug, Clone, PartialEq)]
pub struct Trees {
    /// Log-odds before anything is known of a change.
    base: f64,
    /// Per measure, the values at which its bins begin.
    cuts: Vec<Vec<f64>>,
    trees: Vec<Tree>,
}

/// What one measure does to the log-odds of one change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// Which.
    pub measure: Measure,
    /// Above zero where it raises the chance.
    pub log_odds: f64,
}

/// A tree as a list: children come after their parent, the first node is the root.
type Tree = Vec<Node>;

#[derive(Debug, Clone, Copy, PartialEq)]
struct Node {
    /// What the tree says if it ends here.
    value: f64,
    split: Option<Split>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Split {
    measure: Measure,
    /// The last bin that goes left.
    last_left: u8,
    left: usize,
    right: usize,
}

impl Trees {
    /// Fits the trees to `changes`, oldest first; there is at least one of either kind.
    pub(crate) fn fit(changes: &[Change]) -> Self {
        let cuts: Vec<Vec<f64>> = Measure::ALL.iter().map(|measure| cuts(changes, *measure)).collect();
        let rows: Vec<Bins> = changes.iter().map(|change| bins(&cuts, change)).collect();
        let span = changes.len() as f64 * HALF_LIFE;
        let weights: Vec<f64> =
            (0..changes.len()).map(|i| 0.5f64.powf((changes.len() - 1 - i) as f64 / span)).collect();
        let all: f64 = weights.iter().sum();
        let faulty: f64 =
            weights.iter().zip(changes).filter(|(_, change)| change.faulty).map(|(weight, _)| weight).sum();
        let base = (faulty / (all - faulty)).ln();
        let mut log_odds = vec![base; changes.len()];
        let mut order: Vec<u32> = (0..changes.len() as u32).collect();
        let mut model = Self { base, cuts, trees: Vec::with_capacity(TREES) };
        for _ in 0..TREES {
            let slopes: Vec<Slope> = (0..changes.len())
                .map(|i| {
                    let chance = chance(log_odds[i]);
                    let seen = f64::from(u8::from(changes[i].faulty));
                    Slope { first: weights[i] * (chance - seen), second: weights[i] * chance * (1.0 - chance) }
                })
                .collect();
            let mut tree = Vec::new();
            let free = f64::NEG_INFINITY..=f64::INFINITY;
            Grower { rows: &rows, slopes: &slopes, tree: &mut tree }.grow(&mut order, DEPTH, free);
            for (log_odds, row) in log_odds.iter_mut().zip(&rows) {
                *log_odds += leaf(&tree, row).value;
            }
            // What a tree says before its first question is no measure's doing.
            let root = tree[0].value;
            tree.iter_mut().for_each(|node| node.value -= root);
            model.base += root;
            model.trees.push(tree);
        }
        model
    }

    /// Moves all answers by one step so that they are right on the whole of `recent`.
    pub(crate) fn set_level(&mut self, recent: &[Change]) {
        let log_odds: Vec<f64> = recent.iter().map(|change| self.log_odds(change)).collect();
        let faulty = recent.iter().filter(|change| change.faulty).count() as f64;
        let mut step = 0.0;
        for _ in 0..30 {
            let chances = log_odds.iter().map(|log_odds| chance(log_odds + step));
            let (sum, slope) = chances.fold((0.0, 1e-9), |(sum, slope), p| (sum + p, slope + p * (1.0 - p)));
            step -= ((sum - faulty) / slope).clamp(-1.0, 1.0);
        }
        self.base += step;
    }

    /// Returns the chance that a fault follows `change`.
    pub fn chance(&self, change: &Change) -> f64 {
        chance(self.log_odds(change))
    }

    /// Returns the chance before anything is known of a change.
    pub fn base_chance(&self) -> f64 {
        chance(self.base)
    }

    /// Says what each measure does to the answer, the strongest first; with the base they add up to
    /// the log-odds of [`Trees::chance`].
    pub fn explain(&self, change: &Change) -> Vec<Share> {
        let row = bins(&self.cuts, change);
        let mut shares = Measure::ALL.map(|measure| Share { measure, log_odds: 0.0 });
        for tree in &self.trees {
            let mut node = tree[0];
            while let Some(split) = node.split {
                let next = tree[if row[split.measure as usize] <= split.last_left { split.left } else { split.right }];
                shares[split.measure as usize].log_odds += next.value - node.value;
                node = next;
            }
        }
        let mut shares = Vec::from(shares);
        shares.sort_by(|a, b| b.log_odds.abs().total_cmp(&a.log_odds.abs()));
        shares
    }

    /// Says how much each measure moves answers on the whole: the log-odds between the two sides of
    /// its splits, added up.
    pub fn weights(&self) -> Vec<(Measure, f64)> {
        let mut weights = Measure::ALL.map(|measure| (measure, 0.0));
        for tree in &self.trees {
            for split in tree.iter().filter_map(|node| node.split) {
                weights[split.measure as usize].1 += (tree[split.left].value - tree[split.right].value).abs();
            }
        }
        weights.into()
    }

    fn log_odds(&self, change: &Change) -> f64 {
        let row = bins(&self.cuts, change);
        self.base + self.trees.iter().map(|tree| leaf(tree, &row).value).sum::<f64>()
    }
}

/// First and second derivative of the loss of a change.
#[derive(Clone, Copy, Default)]
struct Slope {
    first: f64,
    second: f64,
}

impl std::ops::AddAssign for Slope {
    fn add_assign(&mut self, other: Self) {
        self.first += other.first;
        self.second += other.second;
    }
}

impl Slope {
    fn without(self, other: Self) -> Self {
        Self { first: self.first - other.first, second: self.second - other.second }
    }

    /// The best value for a leaf, within its side.
    fn value(self, side: &std::ops::RangeInclusive<f64>) -> f64 {
        (-self.first / (self.second + SHRINK)).clamp(*side.start(), *side.end())
    }

    /// What a leaf of `value` costs.
    fn cost(self, value: f64) -> f64 {
        self.first * value + 0.5 * (self.second + SHRINK) * value * value
    }
}

struct Grower<'a> {
    rows: &'a [Bins],
    slopes: &'a [Slope],
    tree: &'a mut Tree,
}

/// The best split found so far.
struct Best {
    gain: f64,
    measure: Measure,
    last_left: u8,
    left: f64,
    right: f64,
}

impl Grower<'_> {
    /// Grows a tree over the changes `order` names, and returns its place.
    fn grow(&mut self, order: &mut [u32], depth: usize, side: std::ops::RangeInclusive<f64>) -> usize {
        let mut sums = [[Slope::default(); BINS]; MEASURES];
        let mut all = Slope::default();
        for i in order.iter() {
            let slope = self.slopes[*i as usize];
            all += slope;
            if depth > 0 {
                for (sums, bin) in sums.iter_mut().zip(&self.rows[*i as usize]) {
                    sums[usize::from(*bin)] += slope;
                }
            }
        }
        let value = all.value(&side);
        let place = self.tree.len();
        self.tree.push(Node { value: value * RATE, split: None });
        let best = if depth > 0 { best_split(&sums, all, value, &side) } else { None };
        let Some(best) = best else { return place };
        let mut middle = 0;
        for i in 0..order.len() {
            if self.rows[order[i] as usize][best.measure as usize] <= best.last_left {
                order.swap(i, middle);
                middle += 1;
            }
        }
        let (left, right) = order.split_at_mut(middle);
        let half = (best.left + best.right) / 2.0;
        let (low, high) = (*side.start()..=half.min(*side.end()), half.max(*side.start())..=*side.end());
        let (left_side, right_side) = if best.measure.sign() > 0 { (low, high) } else { (high, low) };
        let left = self.grow(left, depth - 1, left_side);
        let right = self.grow(right, depth - 1, right_side);
        self.tree[place].split = Some(Split { measure: best.measure, last_left: best.last_left, left, right });
        place
    }
}

fn best_split(
    sums: &[[Slope; BINS]; MEASURES],
    all: Slope,
    value: f64,
    side: &std::ops::RangeInclusive<f64>,
) -> Option<Best> {
    let cost = all.cost(value);
    let mut best: Option<Best> = None;
    for measure in Measure::ALL {
        let mut below = Slope::default();
        for (bin, sum) in sums[measure as usize].iter().enumerate() {
            below += *sum;
            let above = all.without(below);
            if below.second < EVIDENCE_MIN || above.second < EVIDENCE_MIN {
                continue;
            }
            let (left, right) = (below.value(side), above.value(side));
            if f64::from(measure.sign()) * (right - left) <= 0.0 {
                continue;
            }
            let gain = cost - below.cost(left) - above.cost(right);
            if gain > best.as_ref().map_or(1e-6, |best| best.gain) {
                best = Some(Best { gain, measure, last_left: bin as u8, left, right });
            }
        }
    }
    best
}

fn cuts(changes: &[Change], measure: Measure) -> Vec<f64> {
    let mut values: Vec<f64> = changes.iter().map(|change| change[measure]).collect();
    values.sort_by(f64::total_cmp);
    let mut cuts: Vec<f64> = (1..BINS).map(|bin| values[values.len() * bin / BINS]).collect();
    cuts.dedup();
    cuts
}

fn bins(cuts: &[Vec<f64>], change: &Change) -> Bins {
    Measure::ALL.map(|measure| cuts[measure as usize].partition_point(|cut| *cut <= change[measure]) as u8)
}

fn leaf<'t>(tree: &'t Tree, row: &Bins) -> &'t Node {
    let mut node = &tree[0];
    while let Some(split) = node.split {
        node = &tree[if row[split.measure as usize] <= split.last_left { split.left } else { split.right }];
    }
    node
}

fn chance(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}
