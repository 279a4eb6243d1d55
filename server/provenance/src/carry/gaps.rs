//! Tokens that stayed where lines did not.
//!
//! Between aligned lines stand the lines that a step changed. A line all of whose tokens were there,
//! with none gone, was only wrapped or joined and keeps its writer; one that kept enough of them keeps
//! the writers of those; the rest is new. First each gap is searched, then what surrounds a block that
//! moved, then what moved and changed in one step.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use super::Source;
use super::align::Pair;
use super::judge::{self, State};
use super::target::Target;
use super::words::{Side, Token, alike};
use crate::attribution::Attribution;
use crate::spans::Origin;
use crate::tokens::{self, Interner};

/// Gaps of at most this many pairs of tokens are aligned by weight, and all of a text's together of
/// at most this many. Beyond, only long rows of tokens are found.
const MAX_CELLS: usize = 2_000_000;
const MAX_CELLS_OF_TEXT: usize = 100_000_000;

/// Lines that moved are looked for this far beside those they moved with.
const MAX_BESIDE: usize = 200;

/// A line that moved and changed in one step keeps this share of both its forms, and so many signs.
const MIN_SHARED_ELSEWHERE: f64 = 0.6;
const MIN_SIGNS_ELSEWHERE: u32 = 16;

/// A row of tokens that moved has so many signs, or fewer if it is a whole line.
const MIN_SIGNS_OF_ROW: u32 = 30;

/// So many places are tried for a row that may have moved, and so many tokens compared in all.
const MAX_ROW_PLACES: usize = 8;
const MAX_ROW_STEPS: usize = 4_000_000;

/// A piece of a line that stands elsewhere as a line has so many tokens at most.
const MAX_TOKENS_OF_STRAY: usize = 16;

/// A wrapped line that moved is looked for in so many lines beside those that were found.
const MAX_LINES_BESIDE: usize = 8;

/// A gap of more bytes is new as a whole.
const MAX_BYTES: usize = 512 * 1024;

/// Looks for the tokens of open lines in the lines of the source that have no pair. Returns those of
/// which it found some.
pub(super) fn take(source: &Source<'_>, pairs: &[Pair], target: &mut Target<'_>) -> HashSet<usize> {
    let mut is_free = vec![true; source.old.len()];
    pairs.iter().for_each(|pair| is_free[pair.old] = false);
    let mut keys = Interner::default();
    let free = (0..source.old.len()).filter(|line| is_free[*line]).map(|line| (line, source.old.range(line)));
    let old = Side::of(source.known.text, source.old.len(), free, &mut keys);
    let open = target.open().map(|line| (line, target.new.range(line)));
    let new = Side::of(target.text, target.new.len(), open, &mut keys);
    if old.tokens.is_empty() || new.tokens.is_empty() {
        return HashSet::new();
    }
    let (taken, matched) = (vec![false; old.tokens.len()], vec![None; new.tokens.len()]);
    let mut search = Search { old, new, taken, matched, cells: MAX_CELLS_OF_TEXT };
    search.rows(true);
    let (mut o, mut n) = (0, 0);
    let end = Pair { old: source.old.len(), new: target.new.len(), moved: false };
    for pair in pairs.iter().filter(|pair| !pair.moved).chain([&end]) {
        search.lines(o..pair.old, n..pair.new);
        (o, n) = (pair.old + 1, pair.new + 1);
    }
    search.forget();
    // Lines that changed inside a block that moved stand beside lines that moved with it.
    for run in pairs.windows(2) {
        let (before, after) = (run[0], run[1]);
        if after.new > before.new + 1 && (before.moved || after.moved) {
            let behind = (before.old + 1..source.old.len()).take(MAX_BESIDE).take_while(|line| is_free[*line]);
            let ahead = (0..after.old).rev().take(MAX_BESIDE).take_while(|line| is_free[*line]);
            let mut lines: Vec<usize> = behind.chain(ahead).collect();
            lines.sort_unstable();
            lines.dedup();
            search.lines(lines.into_iter(), before.new + 1..after.new);
        }
    }
    search.forget();
    search.elsewhere();
    search.rows(false);
    search.rest_of_lines();
    search.strays();
    search.commas();
    let Search { old, new, mut taken, mut matched, .. } = search;
    for (line, state) in judge::states(&old, &new, &mut matched, &mut taken) {
        give(source.known.attribution, &old.tokens, &new.tokens[line.clone()], &matched[line], state, target);
    }
    matched.iter().flatten().map(|at| old.tokens[*at].line).collect()
}

struct Search {
    old: Side,
    new: Side,
    /// Which old tokens are found.
    taken: Vec<bool>,
    /// For each new token the old one that it was.
    matched: Vec<Option<usize>>,
    cells: usize,
}

impl Search {
    fn forget(&mut self) {
        judge::forget(&self.old, &self.new, &mut self.matched, &mut self.taken);
    }

    /// Aligns what is left of some lines with what is left of others.
    fn lines(&mut self, old: impl Iterator<Item = usize>, new: impl Iterator<Item = usize>) {
        let new: Vec<usize> =
            new.flat_map(|line| self.new.of_line(line)).filter(|at| self.matched[*at].is_none()).collect();
        if new.is_empty() {
            return;
        }
        let old: Vec<usize> = old.flat_map(|line| self.old.of_line(line)).filter(|at| !self.taken[*at]).collect();
        if old.is_empty() {
            return;
        }
        let bytes = |side: &Side, places: &[usize]| places.iter().map(|at| side.tokens[*at].range.len()).sum::<usize>();
        if bytes(&self.old, &old) + bytes(&self.new, &new) > MAX_BYTES {
            return;
        }
        for (at, found) in new.iter().zip(self.aligned(&old, &new)) {
            if let Some(found) = found {
                self.pair(old[found], *at);
            }
        }
    }

    fn pair(&mut self, old: usize, new: usize) {
        debug_assert!(!self.taken[old] && self.matched[new].is_none(), "a token is found once");
        self.taken[old] = true;
        self.matched[new] = Some(old);
    }

    /// Finds for each new token the old one that it was.
    fn aligned(&mut self, old: &[usize], new: &[usize]) -> Vec<Option<usize>> {
        let cells = (old.len() + 1).saturating_mul(new.len() + 1);
        if cells <= MAX_CELLS.min(self.cells) {
            self.cells -= cells;
            let like = self.likeliest(old, new);
            return by_weight(&self.old, old, &self.new, new, &like);
        }
        let mut matched = vec![None; new.len()];
        let keys = |side: &Side, places: &[usize]| places.iter().map(|at| side.tokens[*at].key).collect::<Vec<u32>>();
        let (old, new) = (keys(&self.old, old), keys(&self.new, new));
        let (runs, _) = tokens::long_runs(&old, &new, |run| run.len >= tokens::MIN_RUN);
        for run in runs {
            (0..run.len).for_each(|i| matched[run.new + i] = Some(run.old + i));
        }
        matched
    }

    /// Returns the pairs of lines of which one is the likeliest source or form of the other.
    fn likeliest(&self, old: &[usize], new: &[usize]) -> HashSet<(usize, usize)> {
        let mut of_new: HashMap<usize, (f64, usize)> = HashMap::new();
        let mut of_old: HashMap<usize, (f64, usize)> = HashMap::new();
        for pair in alike((&self.old, old), (&self.new, new)) {
            let all = self.old.signs(self.old.of_line(pair.old)).max(self.new.signs(self.new.of_line(pair.new)));
            let share = f64::from(pair.shared) / f64::from(all.max(1));
            let best = of_new.entry(pair.new).or_insert((0.0, 0));
            if share > best.0 {
                *best = (share, pair.old);
            }
            let best = of_old.entry(pair.old).or_insert((0.0, 0));
            if share > best.0 {
                *best = (share, pair.new);
            }
        }
        let of_new = of_new.into_iter().map(|(new, (_, old))| (old, new));
        of_new.chain(of_old.into_iter().map(|(old, (_, new))| (old, new))).collect()
    }

    /// Looks for lines that moved and changed in one step, by their words.
    fn elsewhere(&mut self) {
        let open: Vec<usize> =
            self.new.lines().filter(|line| self.matched[line.clone()].iter().all(Option::is_none)).flatten().collect();
        let free: Vec<usize> =
            self.old.lines().filter(|line| !self.taken[line.clone()].contains(&true)).flatten().collect();
        let mut found = alike((&self.old, &free), (&self.new, &open));
        found.retain(|pair| {
            let all = self.old.signs(self.old.of_line(pair.old)).max(self.new.signs(self.new.of_line(pair.new)));
            pair.shared >= MIN_SIGNS_ELSEWHERE && f64::from(pair.shared) >= MIN_SHARED_ELSEWHERE * f64::from(all)
        });
        found.sort_by_key(|pair| (std::cmp::Reverse(pair.shared), pair.new, pair.old));
        let (mut old_done, mut new_done) = (HashSet::new(), HashSet::new());
        for pair in found {
            if old_done.contains(&pair.old) || new_done.contains(&pair.new) {
                continue;
            }
            old_done.insert(pair.old);
            new_done.insert(pair.new);
            self.lines([pair.old].into_iter(), [pair.new].into_iter());
        }
        self.forget();
    }

    /// Looks for rows of tokens that moved and were wrapped or joined in one step, or first only for whole
    /// lines that are unique.
    fn rows(&mut self, are_lines: bool) {
        // Commas come and go where lines end.
        let left = |side: &Side, is_left: &dyn Fn(usize) -> bool| -> Vec<usize> {
            (0..side.tokens.len()).filter(|at| is_left(*at) && !side.tokens[*at].is_comma).collect()
        };
        let old = left(&self.old, &|at| !self.taken[at]);
        let new = left(&self.new, &|at| self.matched[at].is_none());
        let key = |side: &Side, at: usize| side.tokens[at].key;
        let mut places: HashMap<[u32; tokens::MIN_RUN], Vec<usize>> = HashMap::new();
        let window =
            |side: &Side, places: &[usize]| -> [u32; tokens::MIN_RUN] { std::array::from_fn(|i| key(side, places[i])) };
        for (at, row) in old.windows(tokens::MIN_RUN).enumerate() {
            let places = places.entry(window(&self.old, row)).or_default();
            if places.len() < MAX_ROW_PLACES {
                places.push(at);
            }
        }
        if are_lines {
            places.retain(|_, places| places.len() == 1);
            let mut came: HashMap<[u32; tokens::MIN_RUN], usize> = HashMap::new();
            new.windows(tokens::MIN_RUN).for_each(|row| *came.entry(window(&self.new, row)).or_default() += 1);
            places.retain(|row, _| came.get(row) == Some(&1));
        }
        let mut steps = 0;
        let mut at = 0;
        while at + tokens::MIN_RUN <= new.len() && steps < MAX_ROW_STEPS {
            let mut best: Option<(usize, usize)> = None;
            for &place in places.get(&window(&self.new, &new[at..])).into_iter().flatten() {
                let follows = |side: &Side, places: &[usize], i: usize| {
                    i == 0 || side.tokens[places[i]].line - side.tokens[places[i - 1]].line <= 1
                };
                let len = (0..)
                    .take_while(|&i| {
                        let (Some(o), Some(n)) = (old.get(place + i), new.get(at + i)) else { return false };
                        !self.taken[*o]
                            && key(&self.old, *o) == key(&self.new, *n)
                            && follows(&self.old, &old[place..], i)
                            && follows(&self.new, &new[at..], i)
                    })
                    .count();
                steps += len + 1;
                if best.is_none_or(|(longest, _)| len > longest) {
                    best = Some((len, place));
                }
            }
            match best {
                Some((len, place)) if self.is_telling(&old[place..place + len], &new[at..at + len], are_lines) => {
                    for i in 0..len {
                        self.pair(old[place + i], new[at + i]);
                    }
                    at += len;
                }
                _ => at += 1,
            }
        }
        self.commas();
    }

    /// Says whether a row that stands elsewhere is more than chance.
    fn is_telling(&self, old: &[usize], new: &[usize], is_line: bool) -> bool {
        let signs: u32 = new.iter().map(|at| self.new.tokens[*at].signs).sum();
        let words = new.iter().filter(|at| self.new.tokens[**at].is_word).count();
        let is_whole = |side: &Side, row: &[usize]| {
            let (first, last) = (row[0], row[row.len() - 1]);
            let (begins, ends) = (side.of_line(side.tokens[first].line), side.of_line(side.tokens[last].line));
            begins.start == first && (last + 1..ends.end).all(|at| side.tokens[at].is_comma)
        };
        if new.len() < tokens::MIN_RUN || words < 2 {
            return false;
        }
        let is_line_now = is_whole(&self.old, old) || is_whole(&self.new, new);
        if is_line_now { signs >= MIN_SIGNS_ELSEWHERE } else { !is_line && signs >= MIN_SIGNS_OF_ROW }
    }

    /// Looks for pieces of a line that was found for the most part: each a line of its own now, by a word
    /// that is missed once and came once.
    fn strays(&mut self) {
        let (mut missed, mut came): (HashMap<u32, Vec<usize>>, HashMap<u32, usize>) = Default::default();
        for line in self.old.lines() {
            let found: u32 = line.clone().filter(|at| self.taken[*at]).map(|at| self.old.tokens[at].signs).sum();
            let is_there = 2 * found >= self.old.signs(line.clone());
            for at in line.filter(|at| is_there && !self.taken[*at] && self.old.tokens[*at].is_word) {
                missed.entry(self.old.tokens[at].key).or_default().push(at);
            }
        }
        let left = |at: &usize| self.matched[*at].is_none() && self.new.tokens[*at].is_word;
        (0..self.matched.len()).filter(left).for_each(|at| *came.entry(self.new.tokens[at].key).or_default() += 1);
        let lines: Vec<Range<usize>> = self.new.lines().collect();
        for line in lines.into_iter().filter(|line| !missed.is_empty() && line.len() <= MAX_TOKENS_OF_STRAY) {
            let at: Vec<usize> = line.clone().filter(|at| !self.new.tokens[*at].ends_line).collect();
            let Some(first) = at.iter().position(|at| self.new.tokens[*at].is_word) else { continue };
            let key = self.new.tokens[at[first]].key;
            let (Some([place]), Some(1)) = (missed.get(&key).map(Vec::as_slice), came.get(&key)) else { continue };
            let Some(start) = place.checked_sub(first) else { continue };
            let is_it = |i: usize| {
                let (old, new) = (self.old.tokens.get(start + i), &self.new.tokens[at[i]]);
                let is_there = |old: &Token| old.key == new.key && old.line == self.old.tokens[*place].line;
                old.is_some_and(is_there) && !self.taken[start + i] && self.matched[at[i]].is_none()
            };
            if (0..at.len()).all(is_it) {
                (0..at.len()).for_each(|i| self.pair(start + i, at[i]));
            }
        }
    }

    /// Pairs the commas after tokens that were found.
    fn commas(&mut self) {
        let comma =
            |side: &Side, at: usize| side.tokens.get(at + 1).filter(|token| token.is_comma).map(|token| token.key);
        for new in 0..self.matched.len().saturating_sub(1) {
            if let Some(old) = self.matched[new]
                && comma(&self.old, old).is_some_and(|key| comma(&self.new, new) == Some(key))
                && !self.taken[old + 1]
                && self.matched[new + 1].is_none()
            {
                self.pair(old + 1, new + 1);
            }
        }
    }

    /// Looks for the rest of a line beside the parts of it that were found.
    fn rest_of_lines(&mut self) {
        let mut found: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
        for (at, old) in self.matched.iter().enumerate() {
            if let Some(old) = old {
                let line = self.new.tokens[at].line;
                let hull = found.entry(self.old.tokens[*old].line).or_insert((line, line));
                *hull = (hull.0.min(line), hull.1.max(line));
            }
        }
        for (line, (first, last)) in found {
            let has_rest = self.old.of_line(line).any(|at| !self.taken[at] && !self.old.tokens[at].ends_line);
            if !has_rest || last - first > MAX_LINES_BESIDE {
                continue;
            }
            let is_open = |line: &usize| !self.new.of_line(*line).is_empty();
            let behind = (last + 1..last + 1 + MAX_LINES_BESIDE).take_while(is_open).last().unwrap_or(last);
            let ahead =
                (first.saturating_sub(MAX_LINES_BESIDE)..first).rev().take_while(is_open).last().unwrap_or(first);
            self.lines([line].into_iter(), ahead..behind + 1);
        }
    }
}

/// Gives a changed line its writers, if enough of it was there.
fn give(
    attribution: &Attribution,
    old: &[Token],
    new: &[Token],
    matched: &[Option<usize>],
    state: State,
    target: &mut Target<'_>,
) {
    let Some(line) = new.first().map(|token| token.line) else { return };
    let start = target.new.range(line).start;
    let parts: Vec<Range<usize>> = new.iter().map(|t| t.range.start - start..t.range.end - start).collect();
    let origin = |at: &Option<usize>| at.and_then(|at| attribution.origins.at(old[at].range.start).cloned());
    let mut origins: Vec<Option<Origin>> = matched.iter().map(origin).collect();
    let writer = match state {
        State::New => return,
        State::Changed => target.actor.clone(),
        State::Kept => {
            // A comma that came where the line ends goes with the line.
            if let [.., before, last] = &mut origins[..]
                && last.is_none()
            {
                *last = before.clone();
            }
            majority(old, matched, attribution).unwrap_or_else(|| target.actor.clone())
        }
    };
    target.take_parts(line, &parts, &origins, writer);
}

/// Returns who last changed most of what a line was made of.
fn majority(old: &[Token], matched: &[Option<usize>], attribution: &Attribution) -> Option<Origin> {
    let mut signs: BTreeMap<&Origin, u32> = BTreeMap::new();
    for token in matched.iter().flatten().map(|at| &old[*at]) {
        *signs.entry(attribution.writers.at(token.range.start)?).or_default() += token.signs;
    }
    // Of equals a person: nobody's line becomes an AI's by a formatter.
    signs.into_iter().rev().max_by_key(|(_, signs)| *signs).map(|(origin, _)| origin.clone())
}

/// Aligns tokens so that those kept weigh most: words more than signs, rows more than single ones,
/// and of equal ones those of the likeliest line.
fn by_weight(
    old_side: &Side,
    old: &[usize],
    new_side: &Side,
    new: &[usize],
    like: &HashSet<(usize, usize)>,
) -> Vec<Option<usize>> {
    let (old, new): (Vec<&Token>, Vec<&Token>) =
        (old.iter().map(|at| &old_side.tokens[*at]).collect(), new.iter().map(|at| &new_side.tokens[*at]).collect());
    let width = new.len() + 1;
    let mut best = vec![0u32; (old.len() + 1) * width];
    let score = |i: usize, j: usize, best: &[u32]| {
        if old[i].key != new[j].key {
            return None;
        }
        let goes_on = old.get(i + 1).zip(new.get(j + 1)).is_some_and(|(a, b)| a.key == b.key);
        let goes_back = i > 0 && j > 0 && old[i - 1].key == new[j - 1].key;
        let weight = if old[i].is_word { 4 + 4 * old[i].signs.min(16) } else { 4 };
        let is_like = like.contains(&(old[i].line, new[j].line));
        let beside = 3 * u32::from(goes_on) + 3 * u32::from(goes_back) + 7 * u32::from(is_like);
        Some(weight + beside + best[(i + 1) * width + j + 1])
    };
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            let without = best[(i + 1) * width + j].max(best[i * width + j + 1]);
            best[i * width + j] = score(i, j, &best).map_or(without, |with| with.max(without));
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut matched = vec![None; new.len()];
    while i < old.len() && j < new.len() {
        let here = best[i * width + j];
        if score(i, j, &best) == Some(here) {
            matched[j] = Some(i);
            (i, j) = (i + 1, j + 1);
        } else if best[(i + 1) * width + j] == here {
            i += 1;
        } else {
            j += 1;
        }
    }
    matched
}
