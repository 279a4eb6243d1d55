//! Tokens that stayed where lines did not.
//!
//! Between aligned lines stand the lines that a step changed. A line all of whose tokens were there,
//! with none gone, was only wrapped or joined and keeps its writer; one that kept enough of them keeps
//! the writers of those; the rest is new.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use super::Source;
use super::align::Pair;
use super::target::Target;
use crate::attribution::Attribution;
use crate::spans::Origin;
use crate::tokens::{self, Interner};

/// A changed line keeps the writers of its tokens from this share of its signs on; below, it is new.
const MIN_SHARED: f64 = 0.4;

/// Gaps of at most this many pairs of tokens are aligned by weight, and all of a text's together of
/// at most this many. Beyond, only long rows of tokens are found.
const MAX_CELLS: usize = 2_000_000;
const MAX_CELLS_OF_TEXT: usize = 100_000_000;

/// Lines that moved are looked for this far beside those they moved with.
const MAX_BESIDE: usize = 200;

/// A line that moved and changed in one step keeps this share of both its forms, and so many signs.
const MIN_SHARED_ELSEWHERE: f64 = 0.6;
const MIN_SIGNS_ELSEWHERE: u32 = 16;

/// A word that stands in more lines says nothing about where a line came from.
const MAX_LINES_OF_WORD: usize = 16;

/// A gap of more bytes is new as a whole.
const MAX_BYTES: usize = 512 * 1024;

/// Looks for the tokens of open lines in the lines of the source that have no pair.
pub(super) fn take(source: &Source<'_>, pairs: &[Pair], target: &mut Target<'_>) {
    let mut search = Search { source, cells: MAX_CELLS_OF_TEXT };
    let mut old_free = vec![true; source.old.len()];
    for pair in pairs {
        old_free[pair.old] = false;
    }
    let (mut old, mut new) = (0, 0);
    let end = Pair { old: source.old.len(), new: target.new.len(), moved: false };
    for pair in pairs.iter().filter(|pair| !pair.moved).chain([&end]) {
        let gone: Vec<usize> = (old..pair.old).filter(|line| old_free[*line]).collect();
        search.gap(&gone, new..pair.new, &mut old_free, target);
        (old, new) = (pair.old + 1, pair.new + 1);
    }
    // Lines that changed inside a block that moved stand beside lines that moved with it.
    for run in pairs.windows(2) {
        let (before, after) = (run[0], run[1]);
        if after.new > before.new + 1 && (before.moved || after.moved) {
            let behind = (before.old + 1..source.old.len()).take(MAX_BESIDE).take_while(|line| old_free[*line]);
            let ahead = (0..after.old).rev().take(MAX_BESIDE).take_while(|line| old_free[*line]);
            let mut gone: Vec<usize> = behind.chain(ahead).collect();
            gone.sort_unstable();
            gone.dedup();
            search.gap(&gone, before.new + 1..after.new, &mut old_free, target);
        }
    }
    search.elsewhere(&mut old_free, target);
}

struct Search<'a, 's> {
    source: &'s Source<'a>,
    cells: usize,
}

/// A token of a gap.
struct Token {
    /// Its bytes.
    range: Range<usize>,
    line: usize,
    key: u32,
    /// How many signs it has.
    signs: u32,
    is_word: bool,
    /// It is a comma or semicolon at its line's end.
    ends_line: bool,
}

impl Search<'_, '_> {
    fn gap(&mut self, gone: &[usize], come: Range<usize>, old_free: &mut [bool], target: &mut Target<'_>) {
        let come: Vec<usize> = come.filter(|line| target.is_open(*line)).collect();
        if gone.is_empty() || come.is_empty() {
            return;
        }
        let size = gone.iter().map(|&line| self.source.old.range(line).len()).sum::<usize>()
            + come.iter().map(|&line| target.new.range(line).len()).sum::<usize>();
        if size > MAX_BYTES {
            return;
        }
        let mut keys = Interner::default();
        let mut old = Vec::new();
        for &line in gone {
            cut(self.source.old.range(line), self.source.known.text, line, &mut keys, &mut old);
        }
        let mut new = Vec::new();
        for &line in &come {
            cut(target.new.range(line), target.text, line, &mut keys, &mut new);
        }
        let mut matched = self.matched(&old, &new);
        for (line, state) in judge(&old, &new, &mut matched) {
            self.take_line(&old, &new[line.clone()], &matched[line], state, target);
        }
        for token in matched.iter().flatten().map(|at| &old[*at]) {
            old_free[token.line] = false;
        }
    }

    /// Looks for lines that moved and changed in one step, by their words.
    fn elsewhere(&mut self, old_free: &mut [bool], target: &mut Target<'_>) {
        let open: Vec<usize> = target.open().collect();
        let source = self.source;
        let free: Vec<usize> = (0..old_free.len()).filter(|line| old_free[*line]).collect();
        if open.is_empty() || free.is_empty() {
            return;
        }
        let old: HashMap<usize, HashMap<&str, u32>> =
            free.iter().map(|&line| (line, signs_of(source.known.text, source.old.range(line)))).collect();
        let mut lines_of: HashMap<&str, Vec<usize>> = HashMap::new();
        for &line in &free {
            for word in old[&line].keys().filter(|word| word.starts_with(is_word)) {
                let lines = lines_of.entry(word).or_default();
                if lines.len() <= MAX_LINES_OF_WORD {
                    lines.push(line);
                }
            }
        }
        for line in open {
            let new = signs_of(target.text, target.new.range(line));
            let signs = |words: &HashMap<&str, u32>| words.values().sum::<u32>();
            let mut candidates: Vec<usize> = new
                .keys()
                .filter_map(|word| lines_of.get(word).filter(|lines| lines.len() <= MAX_LINES_OF_WORD))
                .flatten()
                .copied()
                .filter(|line| old_free[*line])
                .collect();
            candidates.sort_unstable();
            candidates.dedup();
            let shared = |line: &usize| {
                new.iter().map(|(word, signs)| old[line].get(word).map_or(0, |there| *there.min(signs))).sum::<u32>()
            };
            let best = candidates
                .into_iter()
                .map(|line| (shared(&line), line))
                .max_by_key(|(shared, line)| (*shared, std::cmp::Reverse(*line)));
            if let Some((shared, place)) = best
                && shared >= MIN_SIGNS_ELSEWHERE
                && f64::from(shared) >= MIN_SHARED_ELSEWHERE * f64::from(signs(&new).max(signs(&old[&place])))
            {
                self.gap(&[place], line..line + 1, old_free, target);
            }
        }
    }

    /// Finds for each new token the old one that it was.
    fn matched(&mut self, old: &[Token], new: &[Token]) -> Vec<Option<usize>> {
        let cells = (old.len() + 1).saturating_mul(new.len() + 1);
        if cells <= MAX_CELLS.min(self.cells) {
            self.cells -= cells;
            return by_weight(old, new);
        }
        let mut matched = vec![None; new.len()];
        let keys = |tokens: &[Token]| tokens.iter().map(|token| token.key).collect::<Vec<u32>>();
        let (runs, _) = tokens::long_runs(&keys(old), &keys(new), |run| run.len >= tokens::MIN_RUN);
        for run in runs {
            (0..run.len).for_each(|i| matched[run.new + i] = Some(run.old + i));
        }
        matched
    }

    /// Gives a changed line its writers, if enough of it was there.
    fn take_line(
        &self,
        old: &[Token],
        new: &[Token],
        matched: &[Option<usize>],
        state: State,
        target: &mut Target<'_>,
    ) {
        let Some(line) = new.first().map(|token| token.line) else { return };
        let attribution = self.source.known.attribution;
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
}

/// Returns who last changed most of what a line was made of.
fn majority(old: &[Token], matched: &[Option<usize>], attribution: &Attribution) -> Option<Origin> {
    let mut signs: BTreeMap<&Origin, u32> = BTreeMap::new();
    for token in matched.iter().flatten().map(|at| &old[*at]) {
        *signs.entry(attribution.writers.at(token.range.start)?).or_default() += token.signs;
    }
    signs.into_iter().max_by_key(|(_, signs)| *signs).map(|(origin, _)| origin.clone())
}

/// Counts the signs of each token of a line.
fn signs_of(text: &str, range: Range<usize>) -> HashMap<&str, u32> {
    let content = &text[range];
    let mut signs: HashMap<&str, u32> = HashMap::new();
    for token in tokens::split(content) {
        let token = &content[token];
        *signs.entry(token).or_default() += token.chars().count() as u32;
    }
    signs
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

fn cut<'a>(range: Range<usize>, text: &'a str, line: usize, keys: &mut Interner<'a>, into: &mut Vec<Token>) {
    let first = into.len();
    for token in tokens::split(&text[range.clone()]) {
        let range = range.start + token.start..range.start + token.end;
        let content = &text[range.clone()];
        into.push(Token {
            line,
            key: keys.key(content),
            signs: content.chars().count() as u32,
            is_word: content.starts_with(is_word),
            ends_line: false,
            range,
        });
    }
    let is_first = into.len() == first + 1;
    if let Some(last) = into.last_mut().filter(|_| !is_first) {
        last.ends_line = matches!(&text[last.range.clone()], "," | ";");
    }
}

/// Aligns the tokens of a gap so that those kept weigh most: words more than signs, rows more than
/// single ones.
fn by_weight(old: &[Token], new: &[Token]) -> Vec<Option<usize>> {
    let width = new.len() + 1;
    let mut best = vec![0u32; (old.len() + 1) * width];
    let score = |i: usize, j: usize, best: &[u32]| {
        if old[i].key != new[j].key {
            return None;
        }
        let goes_on = old.get(i + 1).zip(new.get(j + 1)).is_some_and(|(a, b)| a.key == b.key);
        let goes_back = i > 0 && j > 0 && old[i - 1].key == new[j - 1].key;
        let weight = if old[i].is_word { 4 + 4 * old[i].signs.min(16) } else { 4 };
        Some(weight + 3 * u32::from(goes_on) + 3 * u32::from(goes_back) + best[(i + 1) * width + j + 1])
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

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Too little of it was there.
    New,
    /// Something of it came or went.
    Changed,
    /// It was only wrapped.
    Kept,
}

/// Says of each new line (its tokens) what became of it, and forgets the pairs that say nothing.
fn judge(old: &[Token], new: &[Token], matched: &mut [Option<usize>]) -> Vec<(Range<usize>, State)> {
    let (told, kept) = in_rows_with_words(old, new, matched);
    let mut first = 0;
    let lines: Vec<Range<usize>> = new
        .chunk_by(|a, b| a.line == b.line)
        .map(|tokens| {
            first += tokens.len();
            first - tokens.len()..first
        })
        .collect();
    let is_new = |line: &Range<usize>| {
        let all: u32 = new[line.clone()].iter().map(|token| token.signs).sum();
        let shared: u32 = line.clone().filter(|&i| told[i]).map(|i| new[i].signs).sum();
        f64::from(shared) < MIN_SHARED * f64::from(all)
    };
    let are_new: Vec<bool> = lines.iter().map(is_new).collect();
    for (line, _) in lines.iter().zip(&are_new).filter(|(_, is_new)| **is_new) {
        matched[line.clone()].fill(None);
    }
    let loses = losing_lines(old, new, matched);
    let mut judged = Vec::with_capacity(lines.len());
    for (line, is_new) in lines.into_iter().zip(are_new) {
        let is_whole = line.clone().all(|i| matched[i].is_some() || new[i].ends_line);
        let state = match is_new {
            true => State::New,
            false if is_whole && !loses.contains(&new[line.start].line) => State::Kept,
            false => State::Changed,
        };
        if state == State::Changed {
            line.clone().filter(|&i| !kept[i]).for_each(|i| matched[i] = None);
        }
        judged.push((line, state));
    }
    judged
}

/// Marks the new tokens that stand in a row of kept ones with a word among them: single signs are in
/// any two lines. A comma at a line's end breaks no row. Marks second those that are no chance
/// either: signs with which both lines begin or end.
fn in_rows_with_words(old: &[Token], new: &[Token], matched: &[Option<usize>]) -> (Vec<bool>, Vec<bool>) {
    let (mut told, mut kept) = (vec![false; new.len()], vec![false; new.len()]);
    let pairs: Vec<(usize, usize)> = matched.iter().enumerate().filter_map(|(n, o)| Some((n, (*o)?))).collect();
    let goes_on = |a: &(usize, usize), b: &(usize, usize)| {
        new[a.0 + 1..b.0].iter().all(|token| token.ends_line) && old[a.1 + 1..b.1].iter().all(|token| token.ends_line)
    };
    let begins = |tokens: &[Token], at: usize| at == 0 || tokens[at - 1].line != tokens[at].line;
    let ends = |tokens: &[Token], at: usize| {
        let next = tokens[at + 1..].iter().find(|token| !token.ends_line);
        next.is_none_or(|next| next.line != tokens[at].line)
    };
    for row in pairs.chunk_by(goes_on) {
        let (first, last) = (row[0], row[row.len() - 1]);
        let tells = row.iter().any(|(n, _)| new[*n].is_word);
        let stays = tells || (begins(new, first.0) && begins(old, first.1)) || (ends(new, last.0) && ends(old, last.1));
        for (n, _) in row {
            told[*n] = tells;
            kept[*n] = stays;
        }
    }
    (told, kept)
}

/// Returns the new lines out of which tokens were taken: those that hold the neighbours, in the same
/// old line, of a token that went. A line that went as a whole was in none.
fn losing_lines(old: &[Token], new: &[Token], matched: &[Option<usize>]) -> HashSet<usize> {
    let mut place: Vec<Option<usize>> = vec![None; old.len()];
    for (n, o) in matched.iter().enumerate() {
        if let Some(o) = o {
            place[*o] = Some(n);
        }
    }
    let mut losing = HashSet::new();
    let mut first = 0;
    for tokens in old.chunk_by(|a, b| a.line == b.line) {
        let range = first..first + tokens.len();
        first = range.end;
        let mut before = None;
        for i in range.clone() {
            match place[i] {
                Some(n) => before = Some(n),
                None if old[i].ends_line => {}
                None => {
                    let beside = before.or_else(|| (i..range.end).find_map(|i| place[i]));
                    losing.extend(beside.map(|n| new[n].line));
                }
            }
        }
    }
    losing
}
