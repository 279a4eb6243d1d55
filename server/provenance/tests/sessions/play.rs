//! Plays a session on a text and, beside it, on its attribution as observers would keep it.

use std::collections::HashMap;
use std::fmt;

use countersign_event::facts::How;
use countersign_provenance::attribution::Attribution;
use countersign_provenance::carry::{Known, Tier, carry};
use countersign_provenance::hunks::hunks;
use countersign_provenance::lines::{Author, lines};
use countersign_provenance::spans::{ContributionId, Origin};
use countersign_provenance::text::{Edit, Text};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::world::{Line, Token, World};

/// Which lines are written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lines {
    /// Each once.
    Unique,
    /// One in five stands there several times, many are short.
    WithEqual,
}

/// One act.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    by: By,
    acts: Vec<Act>,
}

/// Who does it, and who sees that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum By {
    /// A person in an editor that is watched, key by key.
    Keys,
    /// A person, said a tool afterwards.
    Reported,
    /// An AI session between two snapshots, with the lines its tool names or without.
    Ai(u8, bool),
    /// Nobody saw who.
    Nobody,
}

/// What is done. Places and words are numbers, so that failures shrink.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Insert {
        at: u16,
        seeds: Vec<(bool, u32)>,
    },
    Delete {
        at: u16,
        count: u8,
    },
    Rewrite {
        at: u16,
        seed: u32,
    },
    ChangeWord {
        at: u16,
        token: u8,
        seed: u32,
    },
    TakeOutWord {
        at: u16,
        token: u8,
    },
    AddWord {
        at: u16,
        token: u8,
        seed: u32,
    },
    Move {
        at: u16,
        count: u8,
        to: u16,
    },
    Format(u32),
    /// Back to an earlier text.
    Undo {
        back: u8,
    },
    /// Lines deleted before come back where they were.
    BringBack,
}

fn act(lines: Lines) -> impl Strategy<Value = Act> {
    let seed = 0u32..1_000_000;
    let line = move || {
        let common = match lines {
            Lines::Unique => Just(false).boxed(),
            Lines::WithEqual => prop::bool::weighted(0.25).boxed(),
        };
        (common, 0u32..1_000_000)
    };
    let place = || any::<u16>();
    prop_oneof![
        6 => (place(), prop::collection::vec(line(), 1..6)).prop_map(|(at, seeds)| Act::Insert { at, seeds }),
        2 => (place(), 1u8..5).prop_map(|(at, count)| Act::Delete { at, count }),
        1 => (place(), seed.clone()).prop_map(|(at, seed)| Act::Rewrite { at, seed }),
        3 => (place(), any::<u8>(), seed.clone()).prop_map(|(at, token, seed)| Act::ChangeWord { at, token, seed }),
        2 => (place(), any::<u8>()).prop_map(|(at, token)| Act::TakeOutWord { at, token }),
        2 => (place(), any::<u8>(), seed.clone()).prop_map(|(at, token, seed)| Act::AddWord { at, token, seed }),
        2 => (place(), 1u8..8, place()).prop_map(|(at, count, to)| Act::Move { at, count, to }),
        2 => seed.prop_map(Act::Format),
        1 => (1u8..6).prop_map(|back| Act::Undo { back }),
        1 => Just(Act::BringBack),
    ]
}

/// Makes sessions.
pub(crate) fn steps(lines: Lines) -> impl Strategy<Value = Vec<Step>> {
    let by = prop_oneof![
        4 => Just(By::Keys),
        1 => Just(By::Reported),
        4 => (0u8..3, any::<bool>()).prop_map(|(session, hunks)| By::Ai(session, hunks)),
        1 => Just(By::Nobody),
    ];
    let step = (by, prop::collection::vec(act(lines), 1..4)).prop_map(|(by, acts)| Step { by, acts });
    prop::collection::vec(step, 1..40)
}

/// What came of comparing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Score {
    /// Lines compared, those that stand once in their text.
    pub(crate) lines: usize,
    /// Author and last writer are right.
    pub(crate) right: usize,
    pub(crate) human_called_ai: usize,
    ai_called_human: usize,
    unknown_though_observed: usize,
    /// Of the lines that stand several times.
    equal: usize,
    equal_right: usize,
    equal_human_called_ai: usize,
    /// The first line that is not right.
    pub(crate) wrong: Option<String>,
}

impl Score {
    pub(crate) fn add(&mut self, other: &Score) {
        self.lines += other.lines;
        self.right += other.right;
        self.human_called_ai += other.human_called_ai;
        self.ai_called_human += other.ai_called_human;
        self.unknown_though_observed += other.unknown_though_observed;
        self.equal += other.equal;
        self.equal_right += other.equal_right;
        self.equal_human_called_ai += other.equal_human_called_ai;
        self.wrong = self.wrong.take().or_else(|| other.wrong.clone());
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |part: usize, of: usize| 100.0 * part as f64 / of.max(1) as f64;
        write!(
            f,
            "{} lines, {} right ({:.3} %), human called AI {}, AI called human {}, unknown although observed {}",
            self.lines,
            self.right,
            percent(self.right, self.lines),
            self.human_called_ai,
            self.ai_called_human,
            self.unknown_though_observed
        )?;
        if self.equal > 0 {
            let (equal, right) = (self.equal, percent(self.equal_right, self.equal));
            write!(f, "; {equal} equal lines, {right:.3} % right, human called AI {}", self.equal_human_called_ai)?;
        }
        Ok(())
    }
}

struct Play {
    kind: Lines,
    world: World,
    text: Text,
    attribution: Attribution,
    /// Texts as they were before each step.
    earlier: Vec<(World, Text, Attribution)>,
    used: HashMap<String, ()>,
    /// Where lines were deleted, and the last earlier text that has them.
    deleted: Option<(usize, Vec<Line>, usize)>,
    next: u32,
}

/// Plays a session and compares at its end. Fails at once where a person's line is called an AI's.
pub(crate) fn play(kind: Lines, steps: &[Step]) -> Result<Score, TestCaseError> {
    let world = World {
        lines: Vec::new(),
        tabs: false,
        crlf: false,
        final_end: true,
        closes_apart: matches!(kind, Lines::WithEqual),
    };
    let text = Text::new(&world.text());
    let attribution = Attribution::new(text.len_bytes(), Origin::TYPED);
    let mut play =
        Play { kind, world, text, attribution, earlier: Vec::new(), used: HashMap::new(), deleted: None, next: 0 };
    let mut score = Score::default();
    for step in steps {
        play.step(step);
        score = play.compare()?;
    }
    Ok(score)
}

impl Play {
    fn step(&mut self, step: &Step) {
        let origin = match step.by {
            By::Keys => Origin::TYPED,
            By::Reported => Origin::Human(How::Reported),
            By::Ai(session, _) => Origin::Ai(ContributionId::new(&format!("s{session}-{}", self.earlier.len()))),
            By::Nobody => Origin::Unknown,
        };
        let mut stored: Vec<usize> = Vec::new();
        for (at, act) in step.acts.iter().enumerate() {
            if at == 0 || step.by == By::Keys {
                self.earlier.push((self.world.clone(), self.text.clone(), self.attribution.clone()));
                stored.clear();
            }
            // Who brings back an earlier text does nothing else in that step, or is a person at an editor.
            let is_alone = step.by == By::Keys || (step.by == By::Nobody && step.acts.len() == 1);
            if matches!(act, Act::Undo { .. } | Act::BringBack) && !is_alone {
                continue;
            }
            // Which of the lines of a wrapped call a changed word was in, or whether a line went or a
            // word of one, cannot be told where both came in one step.
            let formats = step.by != By::Keys && step.acts.iter().any(|act| matches!(act, Act::Format(_)));
            if formats && !matches!(act, Act::Format(_) | Act::Insert { .. } | Act::Move { .. }) {
                continue;
            }
            let is_seen = self.act(act, &origin, &mut stored);
            if step.by == By::Keys && !is_seen {
                // A formatter, a move or an undo reaches the editor as a new full text that somebody
                // else made of the old one: carried like any other.
                self.carry(&Origin::Unknown, false, &stored);
            } else if step.by == By::Keys {
                self.keys(matches!(act, Act::Rewrite { .. }));
            }
        }
        if let By::Ai(_, hunks) = step.by {
            self.carry(&origin, hunks, &stored);
        } else if step.by != By::Keys {
            self.carry(&origin, false, &stored);
        }
    }

    /// Changes the truth. Says whether a person does it by typing.
    fn act(&mut self, act: &Act, origin: &Origin, stored: &mut Vec<usize>) -> bool {
        let count = self.world.lines.len();
        let line_at = |at: u16| usize::from(at) % count.max(1);
        match act {
            Act::Insert { at, seeds } => {
                let at = usize::from(*at) % (count + 1);
                let new: Vec<Line> = seeds.iter().map(|(common, seed)| self.line(*common, *seed, origin)).collect();
                self.world.lines.splice(at..at, new);
            }
            _ if count == 0 => {}
            Act::Delete { at, count: lines } => {
                let from = line_at(*at);
                let to = (from + usize::from(*lines)).min(count);
                let gone: Vec<Line> = self.world.lines.splice(from..to, []).collect();
                // What came and went between two looks, nobody knows.
                let earlier = self.earlier.len() - 1;
                let was_seen = |line: &Line| self.earlier[earlier].0.lines.contains(line);
                self.deleted = gone.iter().all(was_seen).then_some((from, gone, earlier));
            }
            Act::Rewrite { at, seed } => {
                let new = self.line(false, *seed, origin);
                self.world.lines[line_at(*at)] = new;
            }
            Act::ChangeWord { at, token, seed } => {
                let word = self.word(*seed);
                let line = &mut self.world.lines[line_at(*at)];
                if let Some(at) = word_of(line, *token) {
                    line.tokens[at].text = word;
                    line.tokens[at].origin = origin.clone();
                    line.writer = origin.clone();
                }
            }
            Act::TakeOutWord { at, token } => {
                let line = &mut self.world.lines[line_at(*at)];
                if let Some(at) = word_of(line, *token) {
                    line.tokens.remove(at);
                    if at == 0 {
                        line.tokens[0].spaced = false;
                    }
                    line.writer = origin.clone();
                }
            }
            Act::AddWord { at, token, seed } => {
                let text = self.word(*seed);
                let line = &mut self.world.lines[line_at(*at)];
                if let Some(at) = word_of(line, *token) {
                    line.tokens.insert(at + 1, Token { text, origin: origin.clone(), spaced: true });
                    line.writer = origin.clone();
                    if let Some(next) = line.tokens.get_mut(at + 2) {
                        next.spaced |= next.text.chars().all(char::is_alphanumeric);
                    }
                }
            }
            Act::Move { at, count: lines, to } => {
                let from = line_at(*at);
                let until = (from + usize::from(*lines)).min(count);
                if self.world.lines[from..until].iter().any(|line| word_of(line, 0).is_none()) {
                    return true; // too short to be told from another of its kind
                }
                let block: Vec<Line> = self.world.lines.splice(from..until, []).collect();
                let to = usize::from(*to) % (self.world.lines.len() + 1);
                self.world.lines.splice(to..to, block);
                return false;
            }
            Act::Format(seed) => {
                self.world.format(*seed);
                return false;
            }
            Act::Undo { back } => {
                let Some(at) = self.earlier.len().checked_sub(usize::from(*back)) else { return true };
                self.world = self.earlier[at].0.clone();
                stored.push(at);
                return false;
            }
            Act::BringBack => {
                let Some((at, lines, earlier)) = self.deleted.take() else { return true };
                let at = at.min(count);
                self.world.lines.splice(at..at, lines);
                stored.push(earlier);
                return false;
            }
        }
        true
    }

    /// Makes a line that does not stand in the text and never did, or a common one.
    fn line(&mut self, common: bool, seed: u32, origin: &Origin) -> Line {
        self.next += 1;
        if common {
            return Line { id: self.next, ..Line::common(seed, origin) };
        }
        loop {
            self.next += 1;
            let number = matches!(self.kind, Lines::Unique).then_some(self.next);
            let line = Line::of(seed.wrapping_add(self.next.wrapping_mul(7_919)), number, origin);
            if self.used.insert(line.signs(), ()).is_none() {
                return Line { id: self.next, ..line };
            }
        }
    }

    fn word(&mut self, seed: u32) -> String {
        self.next += 1;
        format!("word{}", seed % 100 + self.next * 100)
    }

    /// A person types what differs, and an editor sees each key: whole lines, or whole words of one.
    fn keys(&mut self, rewrites: bool) {
        let (old, new) = (self.text.to_string(), self.world.text());
        if old.starts_with(&new) {
            // The last lines went, and the end of the line before with them.
            return self.key(Edit { start: new.len(), deleted: old.len() - new.len(), inserted: 0 }, "");
        }
        if let Some(come) = new.strip_prefix(&old[..]) {
            return self.type_at(old.len(), come);
        }
        let (old_lines, new_lines): (Vec<&str>, Vec<&str>) =
            (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
        let head = old_lines.iter().zip(&new_lines).take_while(|(a, b)| a == b).count();
        let (old_rest, new_rest) = (&old_lines[head..], &new_lines[head..]);
        let tail = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(a, b)| a == b).count();
        let (gone, come) = (old_rest[..old_rest.len() - tail].concat(), new_rest[..new_rest.len() - tail].concat());
        let start: usize = old_lines[..head].iter().map(|line| line.len()).sum();
        let is_one = old_rest.len() - tail == 1 && new_rest.len() - tail == 1;
        let (prefix, suffix) = match (is_one, rewrites) {
            (true, false) => (common(gone.chars(), come.chars()), common(gone.chars().rev(), come.chars().rev())),
            (true, true) => (0, gone.len() - gone.trim_end_matches(['\r', '\n']).len()),
            _ => (0, 0),
        };
        let suffix = suffix.min(gone.len().min(come.len()) - prefix);
        let start = start + prefix;
        let (gone, come) = (&gone[prefix..gone.len() - suffix], &come[prefix..come.len() - suffix]);
        if !gone.is_empty() {
            self.key(Edit { start, deleted: gone.len(), inserted: 0 }, "");
        }
        // Whoever writes above a line makes room for it first.
        let end = &come[come.trim_end_matches(['\r', '\n']).len()..];
        let room = if end.ends_with('\n') && !old[start..].is_empty() {
            if end.ends_with("\r\n") { "\r\n" } else { "\n" }
        } else {
            ""
        };
        if !room.is_empty() {
            self.key(Edit { start, deleted: 0, inserted: room.len() }, room);
        }
        self.type_at(start, &come[..come.len() - room.len()]);
        assert_eq!(self.text.to_string(), new);
    }

    fn type_at(&mut self, mut at: usize, text: &str) {
        for char in text.chars() {
            let mut buffer = [0; 4];
            let char = char.encode_utf8(&mut buffer);
            self.key(Edit { start: at, deleted: 0, inserted: char.len() }, char);
            at += char.len();
        }
    }

    fn key(&mut self, edit: Edit, come: &str) {
        let before = self.text.clone();
        self.text.replace(edit.start..edit.start + edit.deleted, come);
        self.attribution.edit(&before, &self.text, edit, &Origin::TYPED);
    }

    /// Nobody saw the keys: the text is carried from what was known.
    fn carry(&mut self, actor: &Origin, with_hunks: bool, stored: &[usize]) {
        let (old, new) = (self.text.to_string(), self.world.text());
        // The tool knows which of two equal lines it wrote.
        let before = &self.earlier.last().expect("a step begins with a look").0;
        let named = with_hunks.then(|| hunks(&before.told_apart(), &self.world.told_apart()));
        let earlier: Vec<(String, &Attribution)> = stored
            .iter()
            .map(|at| &self.earlier[*at])
            .map(|(_, text, attribution)| (text.to_string(), attribution))
            .collect();
        let mut known = vec![Known { text: &old, attribution: &self.attribution, tier: Tier::Strong }];
        known.extend(earlier.iter().map(|(text, attribution)| Known { text, attribution, tier: Tier::Stored }));
        let carried = carry(&known, &new, actor, named.as_deref());
        self.text = Text::new(&new);
        self.attribution = carried;
    }

    fn compare(&self) -> Result<Score, TestCaseError> {
        let mut times: HashMap<String, usize> = HashMap::new();
        for line in &self.world.lines {
            *times.entry(line.signs()).or_default() += 1;
        }
        let mut score = Score::default();
        let found = lines(&self.text, &self.attribution, 0..usize::MAX);
        prop_assert_eq!(found.len(), self.world.lines.len());
        for (line, (number, found)) in self.world.lines.iter().zip(found) {
            let author = truth(line);
            let has_ai = found.shares.iter().any(|(origin, _)| origin.is_ai()) || found.last_writer.is_ai();
            let human_called_ai = author == Author::Human && has_ai;
            let is_right = author == found.author && line.writer == found.last_writer;
            if !line.has_word() || times[&line.signs()] > 1 {
                score.equal += 1;
                score.equal_right += usize::from(is_right);
                score.equal_human_called_ai += usize::from(human_called_ai);
                continue;
            }
            score.lines += 1;
            score.right += usize::from(is_right);
            score.human_called_ai += usize::from(human_called_ai);
            score.ai_called_human += usize::from(author == Author::Ai && found.author == Author::Human);
            score.unknown_though_observed += usize::from(author != Author::Unknown && found.author == Author::Unknown);
            prop_assert!(!human_called_ai, "line {} is a person's, found {:?}:\n{}", number + 1, found, self.text);
            if !is_right && score.wrong.is_none() {
                let last = &line.writer;
                score.wrong =
                    Some(format!("line {} is {author:?}, last {last}, found {found:?} in\n{}", number + 1, self.text));
            }
        }
        Ok(score)
    }
}

/// Counts the bytes of whole words that two texts have in common where they begin.
fn common(a: impl Iterator<Item = char>, b: impl Iterator<Item = char>) -> usize {
    let (mut bytes, mut at_word) = (0, 0);
    for (a, _) in a.zip(b).take_while(|(a, b)| a == b) {
        bytes += a.len_utf8();
        if !a.is_alphanumeric() && a != '_' {
            at_word = bytes;
        }
    }
    at_word
}

fn word_of(line: &Line, token: u8) -> Option<usize> {
    let words: Vec<usize> =
        (0..line.tokens.len()).filter(|at| line.tokens[*at].text.starts_with(char::is_alphabetic)).collect();
    (words.len() > 3).then(|| words[usize::from(token) % words.len()])
}

fn truth(line: &Line) -> Author {
    let kind = |origin: &Origin| match origin {
        Origin::Human(_) => Author::Human,
        Origin::Ai(_) => Author::Ai,
        Origin::Unknown => Author::Unknown,
    };
    let mut kinds: Vec<Author> =
        line.tokens.iter().map(|token| kind(&token.origin)).chain([kind(&line.writer)]).collect();
    kinds.dedup();
    if kinds.iter().all(|kind| *kind == kinds[0]) { kinds[0] } else { Author::Mixed }
}
