//! What became of a line, once its words were found in another text or not.

use std::collections::HashSet;
use std::ops::Range;

use super::words::{Side, Token};

/// A changed line keeps the writers of its tokens from this share of its signs on; below, it is new.
const MIN_SHARED: f64 = 0.4;

/// A row of tokens goes on over so many lines that came or went in it.
const MAX_LINES_BETWEEN: usize = 8;

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Too little of it was there.
    New,
    /// Something of it came or went.
    Changed,
    /// It was only wrapped.
    Kept,
}

/// Forgets the pairs of lines of which too little was there, and of lines that gave too little.
pub(super) fn forget(old: &Side, new: &Side, matched: &mut [Option<usize>], taken: &mut [bool]) {
    for line in new.lines() {
        let mut sources: Vec<(usize, u32)> = Vec::new();
        for (token, at) in new.tokens[line.clone()].iter().zip(&matched[line.clone()]) {
            let Some(source) = at.map(|at| old.tokens[at].line) else { continue };
            match sources.iter_mut().find(|(there, _)| *there == source) {
                Some((_, signs)) => *signs += token.signs,
                None => sources.push((source, token.signs)),
            }
        }
        let all = new.signs(line.clone());
        for (source, signs) in sources {
            let least = all.min(old.signs(old.of_line(source)));
            if f64::from(signs) < MIN_SHARED * f64::from(least) {
                let is_its = |at: &&mut Option<usize>| at.is_some_and(|at| old.tokens[at].line == source);
                matched[line.clone()]
                    .iter_mut()
                    .filter(is_its)
                    .filter_map(Option::take)
                    .for_each(|at| taken[at] = false);
            }
        }
    }
    let told = in_rows_with_words(&old.tokens, &new.tokens, matched);
    for line in new.lines() {
        let shared: u32 = line.clone().filter(|&i| told[i]).map(|i| new.tokens[i].signs).sum();
        if f64::from(shared) < MIN_SHARED * f64::from(new.signs(line.clone())) {
            matched[line].iter_mut().filter_map(Option::take).for_each(|at| taken[at] = false);
        }
    }
}

/// Says of each new line (its tokens) what became of it, and forgets the pairs that say nothing.
pub(super) fn states(
    old: &Side,
    new: &Side,
    matched: &mut [Option<usize>],
    taken: &mut [bool],
) -> Vec<(Range<usize>, State)> {
    forget(old, new, matched, taken);
    let kept = beside_words(&old.tokens, &new.tokens, matched);
    let losing = losing_lines(&old.tokens, &new.tokens, matched);
    let mut states = Vec::new();
    for line in new.lines() {
        let is_whole = line.clone().all(|i| matched[i].is_some() || new.tokens[i].ends_line);
        let state = match matched[line.clone()].iter().any(Option::is_some) {
            false => State::New,
            true if is_whole && !losing.contains(&new.tokens[line.start].line) => State::Kept,
            true => State::Changed,
        };
        if state == State::Changed {
            line.clone().filter(|&i| !kept[i]).for_each(|i| matched[i] = None);
        }
        states.push((line, state));
    }
    states
}

/// Returns the pairs of tokens in rows that go on from one to the next.
fn rows(
    matched: &[Option<usize>],
    goes_on: impl Fn(&(usize, usize), &(usize, usize)) -> bool,
) -> Vec<Vec<(usize, usize)>> {
    let pairs: Vec<(usize, usize)> = matched.iter().enumerate().filter_map(|(n, o)| Some((n, (*o)?))).collect();
    pairs.chunk_by(goes_on).map(<[_]>::to_vec).collect()
}

/// Says whether nothing but commas at lines' ends stands between two tokens.
fn is_next(tokens: &[Token], a: usize, b: usize) -> bool {
    a < b && tokens[b].line - tokens[a].line <= 1 && tokens[a + 1..b].iter().all(|token| token.ends_line)
}

/// Says whether one token ends a line and the other begins a later one.
fn is_over_lines(tokens: &[Token], a: usize, b: usize) -> bool {
    let line = |at: usize| tokens.get(at).map(|token| token.line);
    let ends = tokens[a + 1..].iter().find(|token| !token.ends_line).map(|token| token.line) != line(a);
    a < b && ends && line(b - 1) != line(b) && tokens[b].line - tokens[a].line <= MAX_LINES_BETWEEN
}

/// Marks the new tokens that stand in a row of kept ones with a word among them: single signs are in
/// any two lines.
fn in_rows_with_words(old: &[Token], new: &[Token], matched: &[Option<usize>]) -> Vec<bool> {
    let mut told = vec![false; new.len()];
    let goes_on = |a: &(usize, usize), b: &(usize, usize)| match (is_next(new, a.0, b.0), is_next(old, a.1, b.1)) {
        (true, true) => true,
        (true, false) => is_over_lines(old, a.1, b.1),
        (false, true) => is_over_lines(new, a.0, b.0),
        (false, false) => false,
    };
    for row in rows(matched, goes_on) {
        let tells = row.iter().any(|(n, _)| new[*n].is_word);
        row.iter().for_each(|(n, _)| told[*n] = tells);
    }
    told
}

/// Marks the new tokens that are no chance in a line of which enough was kept: those beside a word
/// that was, with nothing between that came or with nothing between that went, and the signs with
/// which both lines begin or end.
fn beside_words(old: &[Token], new: &[Token], matched: &[Option<usize>]) -> Vec<bool> {
    let begins = |tokens: &[Token], at: usize| at == 0 || tokens[at - 1].line != tokens[at].line;
    let ends = |tokens: &[Token], at: usize| {
        let next = tokens[at + 1..].iter().find(|token| !token.ends_line);
        next.is_none_or(|next| next.line != tokens[at].line)
    };
    let mut kept = vec![false; new.len()];
    let goes_on = |a: &(usize, usize), b: &(usize, usize)| {
        a.1 < b.1 && (is_next(new, a.0, b.0) || (is_next(old, a.1, b.1) && new[b.0].line - new[a.0].line <= 1))
    };
    for row in rows(matched, goes_on) {
        let (first, last) = (row[0], row[row.len() - 1]);
        let stays = row.iter().any(|(n, _)| new[*n].is_word)
            || (begins(new, first.0) && begins(old, first.1))
            || (ends(new, last.0) && ends(old, last.1));
        row.iter().for_each(|(n, _)| kept[*n] = stays);
    }
    kept
}

/// Returns the new lines out of which tokens were taken: those that hold the neighbours, in the same
/// old line, of a token that went. A line that went as a whole was in none, nor was a piece of a line
/// that was wrapped.
fn losing_lines(old: &[Token], new: &[Token], matched: &[Option<usize>]) -> HashSet<usize> {
    let mut place: Vec<Option<usize>> = vec![None; old.len()];
    for (n, o) in matched.iter().enumerate() {
        if let Some(o) = o {
            place[*o] = Some(new[n].line);
        }
    }
    let mut losing = HashSet::new();
    let mut first = 0;
    for tokens in old.chunk_by(|a, b| a.line == b.line) {
        let places = &place[first..first + tokens.len()];
        first += tokens.len();
        let is_one = places.iter().flatten().all(|line| Some(line) == places.iter().flatten().next());
        for at in (0..tokens.len()).filter(|at| places[*at].is_none() && !tokens[*at].ends_line) {
            let before = places[..at].iter().rev().find_map(|place| *place);
            let after = places[at..].iter().find_map(|place| *place);
            losing.extend(before.or(after).filter(|_| is_one || before == after));
        }
    }
    losing
}
