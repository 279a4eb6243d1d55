//! The words and signs of the lines that no line of the other text explains.

use std::collections::HashMap;
use std::ops::Range;

use crate::tokens::{self, Interner};

/// A word that stands in more lines says nothing about where a line came from.
const MAX_LINES_OF_WORD: usize = 16;

/// A word or sign.
pub(super) struct Token {
    /// Its bytes.
    pub(super) range: Range<usize>,
    pub(super) line: usize,
    pub(super) key: u32,
    /// How many signs it has.
    pub(super) signs: u32,
    pub(super) is_word: bool,
    /// It is a comma or semicolon.
    pub(super) is_comma: bool,
    /// It is one at its line's end.
    pub(super) ends_line: bool,
}

/// The tokens of some lines of a text, in order.
pub(super) struct Side {
    pub(super) tokens: Vec<Token>,
    /// Where those of each line are; empty for the other lines.
    of_line: Vec<Range<usize>>,
}

impl Side {
    /// Cuts lines of a text of `count` lines. Both sides must share their keys.
    pub(super) fn of<'a>(
        text: &'a str,
        count: usize,
        lines: impl Iterator<Item = (usize, Range<usize>)>,
        keys: &mut Interner<'a>,
    ) -> Side {
        let mut side = Side { tokens: Vec::new(), of_line: vec![0..0; count] };
        for (line, range) in lines {
            let first = side.tokens.len();
            for token in tokens::split(&text[range.clone()]) {
                let range = range.start + token.start..range.start + token.end;
                let content = &text[range.clone()];
                side.tokens.push(Token {
                    line,
                    key: keys.key(content),
                    signs: content.chars().count() as u32,
                    is_word: content.starts_with(|char: char| char.is_alphanumeric() || char == '_'),
                    is_comma: matches!(content, "," | ";"),
                    ends_line: false,
                    range,
                });
            }
            side.of_line[line] = first..side.tokens.len();
            if let [.., _, last] = &mut side.tokens[first..] {
                last.ends_line = last.is_comma;
            }
        }
        side
    }

    /// Returns where the tokens of a line are.
    pub(super) fn of_line(&self, line: usize) -> Range<usize> {
        self.of_line.get(line).cloned().unwrap_or_default()
    }

    /// Returns the lines that have tokens, in order.
    pub(super) fn lines(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.of_line.iter().filter(|line| !line.is_empty()).cloned()
    }

    /// Counts the signs of some tokens.
    pub(super) fn signs(&self, tokens: Range<usize>) -> u32 {
        self.tokens[tokens].iter().map(|token| token.signs).sum()
    }
}

/// Two lines that may be one, and how many signs they share.
pub(super) struct Alike {
    pub(super) old: usize,
    pub(super) new: usize,
    pub(super) shared: u32,
}

/// How many signs of each word or sign a line has, and whether it is a word.
type Signs = HashMap<u32, (u32, bool)>;

/// Finds lines of two sides that share words. Places of tokens, each side in order.
pub(super) fn alike(old: (&Side, &[usize]), new: (&Side, &[usize])) -> Vec<Alike> {
    let counts = |(side, places): (&Side, &[usize])| -> Vec<(usize, Signs)> {
        let of_line = |tokens: &[usize]| {
            let mut counts = Signs::new();
            for token in tokens.iter().map(|at| &side.tokens[*at]) {
                let entry = counts.entry(token.key).or_insert((0, token.is_word));
                entry.0 += token.signs;
            }
            (side.tokens[tokens[0]].line, counts)
        };
        places.chunk_by(|a, b| side.tokens[*a].line == side.tokens[*b].line).map(of_line).collect()
    };
    let (old, new) = (counts(old), counts(new));
    let mut with: HashMap<u32, Vec<usize>> = HashMap::new();
    for (at, (_, counts)) in old.iter().enumerate() {
        for (key, _) in counts.iter().filter(|(_, (_, is_word))| *is_word) {
            let lines = with.entry(*key).or_default();
            if lines.len() <= MAX_LINES_OF_WORD {
                lines.push(at);
            }
        }
    }
    let mut found = Vec::new();
    for (line, counts) in &new {
        let lists = counts.keys().filter_map(|key| with.get(key)).filter(|lines| lines.len() <= MAX_LINES_OF_WORD);
        let mut candidates: Vec<usize> = lists.flatten().copied().collect();
        candidates.sort_unstable();
        candidates.dedup();
        for at in candidates {
            let there = &old[at].1;
            let shared =
                counts.iter().map(|(key, (signs, _))| there.get(key).map_or(0, |(other, _)| *other.min(signs))).sum();
            found.push(Alike { old: old[at].0, new: *line, shared });
        }
    }
    found
}
