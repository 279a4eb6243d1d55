//! What is true of a text after a step of which only its ends were seen.
//!
//! Every word has an identity here, so nothing is guessed: a line of the words of one line, with none
//! lost, keeps its writers, whatever a formatter did to it; a word that was not there before is the
//! actor's. What two equal lines leave open is open here too, and only that.

use std::collections::{HashMap, HashSet};

use countersign_provenance::spans::Origin;

use crate::world::{Line, Token, World};

/// A line that keeps less than this of its signs may as well be new, and one that shares more than
/// this with lines that went may as well be one of them.
const LIKE: f64 = 0.3;
/// A line that keeps more than this is surely an old one.
const SURELY: f64 = 0.5;

/// Says whose the lines of `after` are, which `actor` made of `before`. `stored` are earlier texts that
/// came back. `named` says that the actor's tool told which lines it wrote.
pub(crate) fn settle(before: &World, stored: &[&World], after: &mut World, actor: &Origin, named: bool) {
    let changed = equal_lines_that_changed(before, after, named);
    let old = Old::of(before, after);
    let same =
        |world: &World, line: &Line| world.lines.iter().find(|old| !line.is_blank() && is_same(old, line)).cloned();
    let settled: Vec<Line> = after
        .lines
        .iter()
        .enumerate()
        .map(|(at, line)| {
            let there = same(before, line).or_else(|| stored.iter().find_map(|world| same(world, line)));
            let mut settled = match there {
                _ if line.is_blank() => blank(line, before, stored, actor),
                Some(there) => {
                    Line { tokens: there.tokens, writer: there.writer, either: there.either, ..line.clone() }
                }
                None => old.changed(at, line, actor),
            };
            settled.tokens.iter_mut().zip(&line.tokens).for_each(|(token, shown)| token.spaced = shown.spaced);
            if changed.contains(&line.signs()) {
                let equal = before.lines.iter().filter(|old| old.signs() == line.signs());
                let others: Vec<Origin> = equal.flat_map(Line::writers).chain([actor.clone()]).collect();
                add(&mut settled.either, others);
            }
            settled
        })
        .collect();
    after.lines = settled;
}

/// Returns the signs of lines that stand in both texts, but not all of them are the same lines in the
/// same order: which is which, their text cannot say.
fn equal_lines_that_changed(before: &World, after: &World, named: bool) -> HashSet<String> {
    fn places(world: &World) -> HashMap<String, Vec<Vec<u32>>> {
        let mut places: HashMap<String, Vec<Vec<u32>>> = HashMap::new();
        for line in &world.lines {
            places.entry(line.signs()).or_default().push(ids(line));
        }
        places
    }
    let (old, new) = (places(before), places(after));
    let is_part = |part: &Vec<Vec<u32>>, whole: &Vec<Vec<u32>>| {
        let mut rest = whole.iter();
        part.iter().all(|line| rest.any(|other| other == line))
    };
    new.into_iter()
        .filter(|(signs, new)| {
            let Some(old) = old.get(signs) else { return false };
            old != new && !(named && (is_part(old, new) || is_part(new, old)))
        })
        .map(|(signs, _)| signs)
        .collect()
}

fn blank(line: &Line, before: &World, stored: &[&World], actor: &Origin) -> Line {
    let mut worlds = [before].into_iter().chain(stored.iter().copied());
    let there = worlds.find_map(|world| world.lines.iter().find(|old| old.is_blank() && old.id == line.id));
    Line { writer: there.map_or(actor, |there| &there.writer).clone(), ..line.clone() }
}

/// The text before, by its words.
struct Old<'a> {
    lines: &'a [Line],
    /// In which line each stands.
    places: HashMap<u32, usize>,
    /// Those that went, with their lines.
    gone: Vec<(usize, Vec<&'a Token>)>,
    /// The lines after from which some went.
    losing: HashSet<usize>,
}

impl<'a> Old<'a> {
    fn of(before: &'a World, after: &World) -> Old<'a> {
        let now: HashMap<u32, usize> = after
            .lines
            .iter()
            .enumerate()
            .flat_map(|(at, line)| line.tokens.iter().map(move |token| (token.id, at)))
            .collect();
        let mut old = Old { lines: &before.lines, places: HashMap::new(), gone: Vec::new(), losing: HashSet::new() };
        for (number, line) in before.lines.iter().enumerate() {
            old.places.extend(line.tokens.iter().map(|token| (token.id, number)));
            let is_gone = |token: &&Token| !now.contains_key(&token.id);
            let gone: Vec<&Token> = line.tokens.iter().filter(is_gone).collect();
            let pieces: HashSet<&usize> = line.tokens.iter().filter_map(|token| now.get(&token.id)).collect();
            for (at, _) in line.tokens.iter().enumerate().filter(|(at, token)| is_gone(token) && !ends_line(line, *at))
            {
                // A piece of a wrapped line that went as a whole was in no other.
                let before = line.tokens[..at].iter().rev().find_map(|token| now.get(&token.id));
                let after = line.tokens[at..].iter().find_map(|token| now.get(&token.id));
                old.losing.extend(before.or(after).filter(|_| pieces.len() == 1 || before == after));
            }
            if !gone.is_empty() {
                old.gone.push((number, gone));
            }
        }
        old
    }

    /// Says whose a line is that does not stand in the text before as it is.
    fn changed(&self, at: usize, line: &Line, actor: &Origin) -> Line {
        let mut settled = Line { either: Vec::new(), ..line.clone() };
        let mut sources: Vec<(usize, usize)> = Vec::new();
        let mut is_whole = true;
        for i in 0..line.tokens.len() {
            let token = &line.tokens[i];
            match self.places.get(&token.id) {
                Some(&source) => {
                    let there =
                        self.lines[source].tokens.iter().find(|there| there.id == token.id).expect("it is there");
                    settled.tokens[i].origin = there.origin.clone();
                    match sources.iter_mut().find(|(number, _)| *number == source) {
                        Some((_, count)) => *count += signs(token),
                        None => sources.push((source, signs(token))),
                    }
                }
                None if ends_line(line, i) => settled.tokens[i].origin = settled.tokens[i - 1].origin.clone(),
                None => {
                    settled.tokens[i].origin = actor.clone();
                    is_whole = false;
                }
            }
        }
        let all: usize = line.tokens.iter().map(signs).sum();
        let kept: usize = sources.iter().map(|(_, count)| count).sum();
        let share = |part: usize| part as f64 / all.max(1) as f64;
        for (source, _) in &sources {
            add(&mut settled.either, self.lines[*source].either.clone());
        }
        settled.writer = actor.clone();
        if share(kept) < LIKE {
            settled.tokens.iter_mut().for_each(|token| token.origin = actor.clone());
        } else if share(kept) < SURELY {
            add(&mut settled.either, vec![actor.clone()]);
        }
        if is_whole && !self.losing.contains(&at) {
            let (writer, is_clear) = self.majority(&sources);
            settled.writer = writer;
            if !is_clear {
                add(
                    &mut settled.either,
                    sources.iter().map(|(source, _)| self.lines[*source].writer.clone()).collect(),
                );
            }
        } else if !is_whole {
            for (source, gone) in &self.gone {
                let mut gone: Vec<&str> = gone.iter().map(|token| &token.text[..]).collect();
                let mut alike = 0;
                for token in line.tokens.iter().filter(|token| !self.places.contains_key(&token.id)) {
                    if let Some(same) = gone.iter().position(|gone| *gone == token.text) {
                        gone.swap_remove(same);
                        alike += signs(token);
                    }
                }
                if alike > 0 && share(alike + kept) >= LIKE {
                    add(
                        &mut settled.either,
                        self.lines[*source].writers().into_iter().chain([actor.clone()]).collect(),
                    );
                }
            }
        }
        settled
    }

    /// Returns whoever last changed most of some lines' signs, and whether that is beyond doubt.
    fn majority(&self, sources: &[(usize, usize)]) -> (Origin, bool) {
        let mut counts: Vec<(&Origin, usize)> = Vec::new();
        for (source, count) in sources {
            let writer = &self.lines[*source].writer;
            match counts.iter_mut().find(|(there, _)| *there == writer) {
                Some((_, sum)) => *sum += count,
                None => counts.push((writer, *count)),
            }
        }
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let is_clear = counts.get(1).is_none_or(|(_, second)| *second < counts[0].1);
        (counts[0].0.clone(), is_clear)
    }
}

fn signs(token: &Token) -> usize {
    token.text.chars().count()
}

fn ids(line: &Line) -> Vec<u32> {
    line.tokens.iter().map(|token| token.id).collect()
}

fn is_same(a: &Line, b: &Line) -> bool {
    a.tokens.iter().map(|token| token.id).eq(b.tokens.iter().map(|token| token.id))
}

/// Says whether a token is the comma or semicolon with which a line ends.
fn ends_line(line: &Line, at: usize) -> bool {
    at > 0 && at + 1 == line.tokens.len() && matches!(&line.tokens[at].text[..], "," | ";")
}

fn add(either: &mut Vec<Origin>, others: Vec<Origin>) {
    for other in others {
        if !either.contains(&other) {
            either.push(other);
        }
    }
}
