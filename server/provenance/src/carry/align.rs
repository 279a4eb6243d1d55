//! Which line of one text is which line of another.
//!
//! Equal ends first, the start before the end: with blank and repeated lines that errs least. Large
//! gaps are cut at lines that are unique in both texts, small ones aligned by weight, so that one
//! real line counts for more than a dozen braces. Then blocks that moved.

use std::collections::HashMap;
use std::ops::Range;

use crate::text::lines_of;
use crate::tokens;

/// Gaps of at most this many pairs are aligned by weight.
const MAX_CELLS: usize = 250_000;

/// So many places are tried for a line that may have moved.
const MAX_MOVE_PLACES: usize = 16;

/// So many lines are compared to find moves: a text of one repeated line would need its square.
const MAX_MOVE_STEPS: usize = 4_000_000;

/// A text cut into lines.
pub(super) struct Lines<'a> {
    text: &'a str,
    ranges: Vec<Range<usize>>,
    facts: Vec<LineFacts>,
    keys: Vec<u32>,
}

/// Numbers lines so that those of equal tokens have equal numbers. Each different line is looked at
/// once, however many texts it stands in.
#[derive(Default)]
pub(super) struct Keys<'a> {
    lines: HashMap<&'a str, (u32, LineFacts)>,
    tokens: HashMap<String, u32>,
    tight: String,
}

impl<'a> Keys<'a> {
    fn of(&mut self, line: &'a str) -> (u32, LineFacts) {
        if let Some(known) = self.lines.get(line) {
            return *known;
        }
        let tokens = tokens::split(line);
        self.tight.clear();
        for token in &tokens {
            self.tight.push_str(&line[token.clone()]);
            self.tight.push(' ');
        }
        let key = match self.tokens.get(&self.tight) {
            Some(key) => *key,
            None => {
                let next = self.tokens.len() as u32;
                self.tokens.insert(self.tight.clone(), next);
                next
            }
        };
        let found = (key, LineFacts::of(line, &tokens));
        self.lines.insert(line, found);
        found
    }
}

/// What a line weighs.
#[derive(Clone, Copy)]
struct LineFacts {
    non_blank: usize,
    words: usize,
}

/// A line that stands in both texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) old: usize,
    pub(super) new: usize,
    /// It does not stand in the order of the others.
    pub(super) moved: bool,
}

impl<'a> Lines<'a> {
    pub(super) fn of(text: &'a str, keys: &mut Keys<'a>) -> Self {
        let ranges = lines_of(text);
        let (keys, facts) = ranges.iter().map(|range| keys.of(&text[range.clone()])).unzip();
        Lines { text, ranges, facts, keys }
    }

    pub(super) fn len(&self) -> usize {
        self.ranges.len()
    }

    pub(super) fn range(&self, line: usize) -> Range<usize> {
        self.ranges[line].clone()
    }

    /// Returns the line of a byte.
    pub(super) fn at(&self, byte: usize) -> usize {
        self.ranges.partition_point(|range| range.end <= byte)
    }

    fn str(&self, line: usize) -> &'a str {
        &self.text[self.range(line)]
    }
}

impl LineFacts {
    fn of(line: &str, tokens: &[Range<usize>]) -> Self {
        let is_word =
            |token: &&Range<usize>| line[token.start..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
        LineFacts {
            non_blank: tokens.iter().map(|token| line[token.clone()].chars().count()).sum(),
            words: tokens.iter().filter(is_word).count(),
        }
    }

    fn weight(self) -> u32 {
        match self {
            LineFacts { non_blank: 0, .. } => 4,
            LineFacts { words: 0, .. } => 16,
            LineFacts { non_blank, .. } => 4 * (16 + non_blank.min(48) as u32),
        }
    }
}

/// Aligns two texts whose lines were numbered together. The pairs are in the order of the new text, each line in one pair at most.
pub(super) fn align(old: &Lines<'_>, new: &Lines<'_>) -> Vec<Pair> {
    let mut aligner = Aligner { old, new, old_keys: &old.keys, new_keys: &new.keys, found: Vec::new() };
    let mut gaps = vec![(0..old.len(), 0..new.len())];
    while let Some((o, n)) = gaps.pop() {
        aligner.gap(o, n, &mut gaps);
    }
    aligner.moves();
    let mut found = aligner.found;
    found.sort_by_key(|pair| pair.new);
    found
}

struct Aligner<'a> {
    old: &'a Lines<'a>,
    new: &'a Lines<'a>,
    old_keys: &'a [u32],
    new_keys: &'a [u32],
    found: Vec<Pair>,
}

impl Aligner<'_> {
    fn pair(&mut self, old: usize, new: usize) {
        self.found.push(Pair { old, new, moved: false });
    }

    /// Aligns one gap, or cuts it into smaller ones.
    fn gap(&mut self, mut o: Range<usize>, mut n: Range<usize>, gaps: &mut Vec<(Range<usize>, Range<usize>)>) {
        while !o.is_empty() && !n.is_empty() && self.old_keys[o.start] == self.new_keys[n.start] {
            self.pair(o.start, n.start);
            (o.start, n.start) = (o.start + 1, n.start + 1);
        }
        while !o.is_empty() && !n.is_empty() && self.old_keys[o.end - 1] == self.new_keys[n.end - 1] {
            (o.end, n.end) = (o.end - 1, n.end - 1);
            self.pair(o.end, n.end);
        }
        if o.is_empty() || n.is_empty() {
            return;
        }
        if o.len().saturating_mul(n.len()) <= MAX_CELLS {
            return self.by_weight(o, n);
        }
        let anchors = self.anchors(o.clone(), n.clone());
        if anchors.is_empty() {
            for run in tokens::align(&self.old_keys[o.clone()], &self.new_keys[n.clone()], 4).0 {
                for i in 0..run.len {
                    self.pair(o.start + run.old + i, n.start + run.new + i);
                }
            }
            return;
        }
        for (old, new) in anchors {
            self.pair(old, new);
            gaps.push((o.start..old, n.start..new));
            (o.start, n.start) = (old + 1, new + 1);
        }
        gaps.push((o, n));
    }

    /// Finds lines with a word that are unique in both sides of a gap, and the longest row of them
    /// that has one order.
    fn anchors(&self, o: Range<usize>, n: Range<usize>) -> Vec<(usize, usize)> {
        let mut seen: HashMap<u32, (usize, usize, usize, usize)> = HashMap::new();
        for line in o.filter(|&line| self.old.facts[line].words > 0) {
            let entry = seen.entry(self.old_keys[line]).or_default();
            (entry.0, entry.1) = (entry.0 + 1, line);
        }
        for line in n.clone() {
            if let Some(entry) = seen.get_mut(&self.new_keys[line]) {
                (entry.2, entry.3) = (entry.2 + 1, line);
            }
        }
        let unique: Vec<(usize, usize)> = n
            .filter_map(|line| match seen.get(&self.new_keys[line]) {
                Some(&(1, old, 1, _)) => Some((old, line)),
                _ => None,
            })
            .collect();
        tokens::longest_row(&unique)
    }

    /// Aligns a small gap so that the lines kept weigh most.
    fn by_weight(&mut self, o: Range<usize>, n: Range<usize>) {
        let width = n.len() + 1;
        let mut best = vec![0u32; (o.len() + 1) * width];
        let score = |i: usize, j: usize, best: &[u32]| {
            let (old, new) = (o.start + i, n.start + j);
            if self.old_keys[old] != self.new_keys[new] {
                return None;
            }
            let identical = self.old.str(old) == self.new.str(new);
            let goes_on = i + 1 < o.len() && j + 1 < n.len() && self.old_keys[old + 1] == self.new_keys[new + 1];
            let weight = self.old.facts[old].weight() + u32::from(identical) + u32::from(goes_on);
            Some(weight + best[(i + 1) * width + j + 1])
        };
        for i in (0..o.len()).rev() {
            for j in (0..n.len()).rev() {
                let without = best[(i + 1) * width + j].max(best[i * width + j + 1]);
                best[i * width + j] = score(i, j, &best).map_or(without, |with| with.max(without));
            }
        }
        let (mut i, mut j) = (0, 0);
        let mut pairs = Vec::new();
        while i < o.len() && j < n.len() {
            let here = best[i * width + j];
            if score(i, j, &best) == Some(here) {
                pairs.push((o.start + i, n.start + j));
                (i, j) = (i + 1, j + 1);
            } else if best[(i + 1) * width + j] == here {
                i += 1;
            } else {
                j += 1;
            }
        }
        for (old, new) in pairs {
            self.pair(old, new);
        }
    }

    /// Finds blocks whose source vanished, the longest first, each source once.
    fn moves(&mut self) {
        let mut old_free = vec![true; self.old.len()];
        let mut new_free = vec![true; self.new.len()];
        for pair in &self.found {
            old_free[pair.old] = false;
            new_free[pair.new] = false;
        }
        let mut places: HashMap<u32, Vec<usize>> = HashMap::new();
        for line in (0..self.old.len()).filter(|&line| old_free[line]) {
            let places = places.entry(self.old_keys[line]).or_default();
            if places.len() < MAX_MOVE_PLACES {
                places.push(line);
            }
        }
        if places.is_empty() {
            return;
        }
        let count = |keys: &[u32]| {
            let mut counts: HashMap<u32, usize> = HashMap::new();
            keys.iter().for_each(|key| *counts.entry(*key).or_default() += 1);
            counts
        };
        let (old_counts, new_counts) = (count(self.old_keys), count(self.new_keys));
        let run_at = |old: usize, new: usize, old_free: &[bool], new_free: &[bool]| {
            (0..)
                .take_while(|&i| {
                    old_free.get(old + i) == Some(&true)
                        && new_free.get(new + i) == Some(&true)
                        && self.old_keys[old + i] == self.new_keys[new + i]
                })
                .count()
        };
        let mut runs: Vec<(u32, usize, usize)> = Vec::new();
        let mut steps = 0;
        for new in (0..self.new.len()).filter(|&line| new_free[line]) {
            for &old in places.get(&self.new_keys[new]).into_iter().flatten() {
                let goes_back = new > 0
                    && old > 0
                    && new_free[new - 1]
                    && old_free[old - 1]
                    && self.old_keys[old - 1] == self.new_keys[new - 1];
                if !goes_back && steps < MAX_MOVE_STEPS {
                    let len = run_at(old, new, &old_free, &new_free);
                    steps += len;
                    let weight = (new..new + len).map(|line| self.new.facts[line].weight()).sum();
                    runs.push((weight, old, new));
                }
            }
        }
        runs.sort_by_key(|&(weight, old, new)| (std::cmp::Reverse(weight), new, old));
        for (_, old, new) in runs {
            if steps > 2 * MAX_MOVE_STEPS {
                break;
            }
            // An earlier run may have taken its start or its end.
            let Some(skip) = (0..).find(|&i| {
                let is_equal =
                    self.old_keys.get(old + i).is_some() && self.old_keys.get(old + i) == self.new_keys.get(new + i);
                !is_equal || (old_free[old + i] && new_free[new + i])
            }) else {
                continue;
            };
            let (old, new) = (old + skip, new + skip);
            let len = run_at(old, new, &old_free, &new_free);
            steps += skip + len;
            let is_unique = |line: usize| {
                let key = &self.new_keys[line];
                self.new.facts[line].words >= 2 && old_counts.get(key) == Some(&1) && new_counts.get(key) == Some(&1)
            };
            if is_block(self.new.facts[new..new + len].iter().copied()) || (new..new + len).any(is_unique) {
                old_free[old..old + len].fill(false);
                new_free[new..new + len].fill(false);
                self.found.extend((0..len).map(|i| Pair { old: old + i, new: new + i, moved: true }));
            }
        }
    }
}

/// Says whether lines one after another are more than chance: three with two real ones among them,
/// or enough characters.
fn is_block(lines: impl Iterator<Item = LineFacts>) -> bool {
    let (mut count, mut with_words, mut non_blank) = (0, 0, 0);
    for line in lines {
        count += 1;
        with_words += usize::from(line.words > 0);
        non_blank += line.non_blank;
    }
    (count >= 3 && with_words >= 2) || non_blank >= 30
}

/// Keeps the pairs of lines that are still open and stand in runs long enough to be no chance.
pub(super) fn strong_runs(new: &Lines<'_>, pairs: &[Pair], open: &[bool]) -> Vec<Pair> {
    let mut strong = Vec::new();
    let open: Vec<Pair> = pairs.iter().filter(|pair| open[pair.new]).copied().collect();
    for run in open.chunk_by(|a, b| a.new + 1 == b.new && a.old + 1 == b.old) {
        let facts = || run.iter().map(|pair| new.facts[pair.new]);
        let is_telling = |line: LineFacts| line.non_blank >= 12 && line.words >= 2;
        if is_block(facts()) || facts().any(is_telling) {
            strong.extend_from_slice(run);
        }
    }
    strong
}
