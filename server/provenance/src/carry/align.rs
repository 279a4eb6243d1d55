//! Which line of one text is which line of another.
//!
//! Equal ends first, the start before the end: with blank and repeated lines that errs least. Large
//! gaps are cut at lines that are unique in both texts, small ones aligned by weight, so that one
//! real line counts for more than a dozen braces. Then blocks that moved.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::shortest;
use crate::text::lines_of;
use crate::tokens;

/// Gaps of at most this many pairs are aligned by weight.
const MAX_CELLS: usize = 250_000;

/// Lines are looked at so many times on average to find anchors.
const MAX_LOOKS: usize = 16;

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

/// Numbers lines so that those of equal signs, blanks aside, have equal numbers. Each different line is looked at
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

    /// Says whether a line of another text numbered together stands here.
    pub(super) fn shares_any(&self, other: &Lines<'_>, lines: impl Iterator<Item = usize>) -> bool {
        let here: HashSet<u32> = self.keys.iter().copied().collect();
        lines.into_iter().any(|line| here.contains(&other.keys[line]))
    }

    /// Says whether a line ends at a CR without LF.
    pub(super) fn has_lone_cr(&self) -> bool {
        let bytes = self.text.as_bytes();
        (0..bytes.len()).any(|at| bytes[at] == b'\r' && bytes.get(at + 1) != Some(&b'\n'))
    }

    pub(super) fn key(&self, line: usize) -> u32 {
        self.keys[line]
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

    /// Says whether the line can stand for itself.
    fn is_telling(self) -> bool {
        self.non_blank >= 12 && self.words >= 2
    }

    fn weight(self) -> u32 {
        match self {
            LineFacts { non_blank: 0, .. } => 4,
            LineFacts { words: 0, .. } => 16,
            LineFacts { non_blank, .. } => 4 * (16 + non_blank.min(48) as u32),
        }
    }
}

/// Aligns two texts whose lines were numbered together. `hints` are the only places where lines were
/// replaced, where somebody knows them. The pairs are in the order of the new text, each line in one
/// pair at most.
pub(super) fn align(old: &Lines<'_>, new: &Lines<'_>, hints: Option<&[Region]>) -> Vec<Pair> {
    let mut aligner = Aligner { old, new, old_keys: &old.keys, new_keys: &new.keys, found: Vec::new(), looked: 0 };
    let mut gaps = vec![(0..old.len(), 0..new.len())];
    if let Some(hints) = hints {
        aligner.outside(hints);
        gaps = hints.to_vec();
    }
    while let Some((o, n)) = gaps.pop() {
        aligner.gap(o, n, &mut gaps);
    }
    let mut found = aligner.found;
    let (mut old_free, mut new_free) = (vec![true; old.len()], vec![true; new.len()]);
    for pair in &found {
        old_free[pair.old] = false;
        new_free[pair.new] = false;
    }
    found.extend(moved(old, new, old_free, new_free, false));
    found.sort_by_key(|pair| pair.new);
    found
}

/// Separates the pairs that only the rest of a changed place can confirm: of lines without a word, or
/// with one that stands more than once, beside which nothing stayed.
pub(super) fn doubtful(old: &Lines<'_>, new: &Lines<'_>, pairs: Vec<Pair>) -> (Vec<Pair>, Vec<Pair>) {
    let (old_counts, new_counts) = (counts(&old.keys), counts(&new.keys));
    let goes_on = |a: &Pair, b: &Pair| a.old + 1 == b.old && a.new + 1 == b.new;
    let is_doubtful = |at: usize| {
        let (pair, key) = (&pairs[at], &new.keys[pairs[at].new]);
        let is_unique = old_counts.get(key) == Some(&1) && new_counts.get(key) == Some(&1);
        let facts = new.facts[pair.new];
        let is_weak = facts.non_blank > 0 && (facts.words == 0 || facts.words == 1 && !is_unique);
        let has_neighbour =
            (at > 0 && goes_on(&pairs[at - 1], pair)) || pairs.get(at + 1).is_some_and(|next| goes_on(pair, next));
        is_weak && !has_neighbour && !pair.moved
    };
    let doubtful: Vec<bool> = (0..pairs.len()).map(is_doubtful).collect();
    let mut is_doubtful = doubtful.into_iter();
    pairs.into_iter().partition(|_| !is_doubtful.next().unwrap_or(false))
}

fn counts(keys: &[u32]) -> HashMap<u32, usize> {
    let mut counts: HashMap<u32, usize> = HashMap::new();
    keys.iter().for_each(|key| *counts.entry(*key).or_default() += 1);
    counts
}

/// Pairs each line with itself.
pub(super) fn same(lines: usize) -> Vec<Pair> {
    (0..lines).map(|line| Pair { old: line, new: line, moved: false }).collect()
}

/// Finds blocks of another text among the lines that are still open, wherever they stand.
pub(super) fn scattered(old: &Lines<'_>, new: &Lines<'_>, open: &[bool]) -> Vec<Pair> {
    let mut found = moved(old, new, vec![true; old.len()], open.to_vec(), true);
    found.sort_by_key(|pair| pair.new);
    found
}

/// Lines of the old text and the lines of the new one that stand in their place.
pub(super) type Region = (Range<usize>, Range<usize>);

struct Aligner<'a> {
    old: &'a Lines<'a>,
    new: &'a Lines<'a>,
    old_keys: &'a [u32],
    new_keys: &'a [u32],
    found: Vec<Pair>,
    /// How many lines were looked at for anchors, each time.
    looked: usize,
}

impl Aligner<'_> {
    fn pair(&mut self, old: usize, new: usize) {
        self.found.push(Pair { old, new, moved: false });
    }

    /// Pairs the lines between regions, which are equal.
    fn outside(&mut self, regions: &[Region]) {
        let (mut o, mut n) = (0, 0);
        let end = (self.old.len()..self.old.len(), self.new.len()..self.new.len());
        for (gone, come) in regions.iter().chain([&end]) {
            debug_assert_eq!(gone.start - o, come.start - n, "whoever made the regions has compared the rest");
            while o < gone.start {
                self.pair(o, n);
                (o, n) = (o + 1, n + 1);
            }
            (o, n) = (gone.end, come.end);
        }
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
        self.looked += o.len() + n.len();
        let may_look = self.looked <= MAX_LOOKS * (self.old.len() + self.new.len());
        let anchors = if may_look { self.anchors(o.clone(), n.clone()) } else { Vec::new() };
        if anchors.is_empty() {
            for (old, new) in shortest::common(&self.old_keys[o.clone()], &self.new_keys[n.clone()]) {
                self.pair(o.start + old, n.start + new);
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
}

/// Finds blocks that stand elsewhere, the longest first, each line once. Those of a stranger's text
/// need a line that tells something, those of the same text one that is unique.
fn moved(
    old: &Lines<'_>,
    new: &Lines<'_>,
    mut old_free: Vec<bool>,
    mut new_free: Vec<bool>,
    is_stranger: bool,
) -> Vec<Pair> {
    let (old_keys, new_keys) = (&old.keys, &new.keys);
    let mut found = Vec::new();
    let mut places: HashMap<u32, Vec<usize>> = HashMap::new();
    for line in (0..old.len()).filter(|&line| old_free[line]) {
        let places = places.entry(old_keys[line]).or_default();
        if places.len() < MAX_MOVE_PLACES {
            places.push(line);
        }
    }
    if places.is_empty() || !new_free.contains(&true) {
        return found;
    }
    let (old_counts, new_counts) = (counts(old_keys), counts(new_keys));
    let run_at = |old: usize, new: usize, old_free: &[bool], new_free: &[bool]| {
        (0..)
            .take_while(|&i| {
                old_free.get(old + i) == Some(&true)
                    && new_free.get(new + i) == Some(&true)
                    && old_keys[old + i] == new_keys[new + i]
            })
            .count()
    };
    let mut runs: Vec<(u32, usize, usize)> = Vec::new();
    let mut steps = 0;
    for line in (0..new.len()).filter(|&line| new_free[line]) {
        for &place in places.get(&new_keys[line]).into_iter().flatten() {
            let goes_back = line > 0
                && place > 0
                && new_free[line - 1]
                && old_free[place - 1]
                && old_keys[place - 1] == new_keys[line - 1];
            if !goes_back && steps < MAX_MOVE_STEPS {
                let len = run_at(place, line, &old_free, &new_free);
                steps += len;
                let weight = (line..line + len).map(|line| new.facts[line].weight()).sum();
                runs.push((weight, place, line));
            }
        }
    }
    runs.sort_by_key(|&(weight, old, new)| (std::cmp::Reverse(weight), new, old));
    for (_, place, line) in runs {
        if steps > 2 * MAX_MOVE_STEPS {
            break;
        }
        // An earlier run may have taken its start or its end.
        let Some(skip) = (0..).find(|&i| {
            let is_equal = old_keys.get(place + i).is_some() && old_keys.get(place + i) == new_keys.get(line + i);
            !is_equal || (old_free[place + i] && new_free[line + i])
        }) else {
            continue;
        };
        let (place, line) = (place + skip, line + skip);
        let len = run_at(place, line, &old_free, &new_free);
        steps += skip + len;
        let tells = |line: usize| {
            let key = &new_keys[line];
            let is_unique = old_counts.get(key) == Some(&1) && new_counts.get(key) == Some(&1);
            if is_stranger { new.facts[line].is_telling() } else { new.facts[line].words > 0 && is_unique }
        };
        if is_block(new.facts[line..line + len].iter().copied()) || (line..line + len).any(tells) {
            old_free[place..place + len].fill(false);
            new_free[line..line + len].fill(false);
            found.extend((0..len).map(|i| Pair { old: place + i, new: line + i, moved: true }));
        }
    }
    found
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

/// Keeps the pairs of lines that are still open and stand in runs that are no chance: long enough, or
/// with a line that has words and is unique in both texts.
pub(super) fn likely_runs(old: &Lines<'_>, new: &Lines<'_>, pairs: &[Pair], open: &[bool]) -> Vec<Pair> {
    let (old_counts, new_counts) = (counts(&old.keys), counts(&new.keys));
    let mut likely = Vec::new();
    let open: Vec<Pair> = pairs.iter().filter(|pair| open[pair.new]).copied().collect();
    for run in open.chunk_by(|a, b| a.new + 1 == b.new && a.old + 1 == b.old) {
        let is_unique = |pair: &Pair| {
            let key = &new.keys[pair.new];
            new.facts[pair.new].words > 0 && old_counts.get(key) == Some(&1) && new_counts.get(key) == Some(&1)
        };
        let facts = || run.iter().map(|pair| new.facts[pair.new]);
        if run.iter().any(is_unique) || is_block(facts()) || facts().any(LineFacts::is_telling) {
            likely.extend_from_slice(run);
        }
    }
    likely
}
