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

use crate::act::{Act, By, Lines, Step};
use crate::truth;
use crate::world::{Line, Token, World};

/// What came of comparing some lines.
#[derive(Clone, Debug, Default)]
pub(crate) struct Count {
    pub(crate) lines: usize,
    /// Author and last writer are right.
    pub(crate) right: usize,
    /// Whoever is named can have written it by all that the texts say.
    pub(crate) possible: usize,
    pub(crate) human_called_ai: usize,
    ai_called_human: usize,
    unknown_though_observed: usize,
}

/// What came of comparing a text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Score {
    /// Lines whose writers the texts tell.
    pub(crate) told: Count,
    /// Lines of which equal ones went or came, so that the texts do not tell.
    pub(crate) open: Count,
    /// Lines without a word and lines that stand several times.
    pub(crate) equal: Count,
    /// The first line that is not right.
    pub(crate) wrong: Option<String>,
    /// The first line of a person that was called an AI's.
    pub(crate) called_ai: Option<String>,
}

impl Count {
    fn add(&mut self, other: &Count) {
        self.lines += other.lines;
        self.right += other.right;
        self.possible += other.possible;
        self.human_called_ai += other.human_called_ai;
        self.ai_called_human += other.ai_called_human;
        self.unknown_though_observed += other.unknown_though_observed;
    }
}

impl Score {
    pub(crate) fn add(&mut self, other: &Score) {
        self.told.add(&other.told);
        self.open.add(&other.open);
        self.equal.add(&other.equal);
        self.wrong = self.wrong.take().or_else(|| other.wrong.clone());
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |part: usize| 100.0 * part as f64 / self.lines.max(1) as f64;
        write!(
            f,
            "{} lines, {} right ({:.3} %), possible {:.3} %, human called AI {}, AI called human {}, unknown although observed {}",
            self.lines,
            self.right,
            percent(self.right),
            percent(self.possible),
            self.human_called_ai,
            self.ai_called_human,
            self.unknown_though_observed
        )
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  open: {}\n  equal: {}", self.told, self.open, self.equal)?;
        match &self.wrong {
            Some(wrong) => write!(f, "\n  first wrong: {wrong}"),
            None => Ok(()),
        }
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
    next_token: u32,
}

/// Plays a session and compares at its end. Ends at once where a person's line is called an AI's.
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
    let mut play = Play {
        kind,
        world,
        text,
        attribution,
        earlier: Vec::new(),
        used: HashMap::new(),
        deleted: None,
        next: 0,
        next_token: 0,
    };
    let mut score = Score::default();
    for step in steps {
        play.step(step);
        score = play.compare()?;
        if score.called_ai.is_some() {
            break;
        }
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
            let is_seen = self.act(act, &origin, &mut stored);
            if step.by == By::Keys && !is_seen {
                // A formatter, a move or an undo reaches the editor as a new full text that somebody
                // else made of the old one: carried like any other.
                self.carry(&Origin::Unknown, false, &stored);
            } else if step.by == By::Keys {
                self.keys(matches!(act, Act::Rewrite { .. }));
            }
        }
        match step.by {
            By::Keys => {}
            By::Nobody => self.carry(&origin, false, &stored),
            // Whoever was seen writing a text wrote it, also where it stood there before.
            By::Reported => self.carry(&origin, false, &[]),
            By::Ai(_, hunks) => self.carry(&origin, hunks, &[]),
        }
    }

    /// Changes the text. Says whether a person does it by typing; then the writers are true too.
    fn act(&mut self, act: &Act, origin: &Origin, stored: &mut Vec<usize>) -> bool {
        let is_seen = self.change(act, origin, stored);
        self.world.number(&mut self.next_token);
        is_seen
    }

    fn change(&mut self, act: &Act, origin: &Origin, stored: &mut Vec<usize>) -> bool {
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
                    let changed = Token { id: 0, text: word, origin: origin.clone(), spaced: line.tokens[at].spaced };
                    line.tokens[at] = changed;
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
                    line.tokens.insert(at + 1, Token { id: 0, text, origin: origin.clone(), spaced: true });
                    line.writer = origin.clone();
                    if let Some(next) = line.tokens.get_mut(at + 2) {
                        next.spaced |= next.text.chars().all(char::is_alphanumeric);
                    }
                }
            }
            Act::Move { at, count: lines, to } => {
                let from = line_at(*at);
                let until = (from + usize::from(*lines)).min(count);
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
                let is_there =
                    |token: &Token| self.world.lines.iter().any(|line| line.tokens.iter().any(|t| t.id == token.id));
                if lines.iter().flat_map(|line| &line.tokens).any(is_there) {
                    return true; // an undo brought it back before
                }
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
        let before = &self.earlier.last().expect("a step begins with a look").0;
        let worlds: Vec<&World> = stored.iter().map(|at| &self.earlier[*at].0).collect();
        truth::settle(before, &worlds, &mut self.world, actor, with_hunks);
        // The tool knows which of two equal lines it wrote.
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
            let told = || found.shares.iter().map(|(origin, _)| origin).chain([&found.last_writer]);
            let human_called_ai = author == Author::Human && told().any(Origin::is_ai);
            let is_right = author == found.author && line.writer == found.last_writer;
            let can_be = line.writers();
            let is_possible = told().all(|origin| can_be.contains(origin));
            let is_equal = !line.has_word() || times[&line.signs()] > 1;
            let count = match (is_equal, line.either.is_empty()) {
                (true, _) => &mut score.equal,
                (false, false) => &mut score.open,
                (false, true) => &mut score.told,
            };
            count.lines += 1;
            count.right += usize::from(is_right);
            count.possible += usize::from(is_possible);
            count.human_called_ai += usize::from(human_called_ai);
            count.ai_called_human += usize::from(author == Author::Ai && found.author == Author::Human);
            count.unknown_though_observed += usize::from(author != Author::Unknown && found.author == Author::Unknown);
            if is_equal {
                continue;
            }
            let is_wrong = if line.either.is_empty() { human_called_ai } else { human_called_ai && !is_possible };
            let shown = || {
                let last = &line.writer;
                let tokens: Vec<String> =
                    line.tokens.iter().map(|token| format!("{}={}", token.text, token.origin)).collect();
                let tokens = tokens.join(" ");
                format!("line {} is {author:?}, last {last}: {tokens}; found {found:?} in\n{}", number + 1, self.text)
            };
            if is_wrong && found.author == Author::Ai && score.called_ai.is_none() {
                score.called_ai = Some(shown());
            }
            if !is_right && (line.either.is_empty() || !is_possible) && score.wrong.is_none() {
                score.wrong = Some(shown());
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
