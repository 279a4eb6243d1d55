//! A text whose writers are known because everything that is done to it is done here.

use countersign_provenance::spans::Origin;

/// A word or sign, and who wrote it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    /// Its own for life, wherever it goes.
    pub(crate) id: u32,
    pub(crate) text: String,
    pub(crate) origin: Origin,
    pub(crate) spaced: bool,
}

/// A line, and who changed it last.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    /// Tells it from others that look the same; parts of a wrapped call share it.
    pub(crate) id: u32,
    pub(crate) indent: usize,
    pub(crate) tokens: Vec<Token>,
    pub(crate) writer: Origin,
    /// Who else can have written of it by all that the texts say: equal lines that changed places.
    pub(crate) either: Vec<Origin>,
}

/// A text as it stands, and its truth.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) lines: Vec<Line>,
    pub(crate) tabs: bool,
    pub(crate) crlf: bool,
    pub(crate) final_end: bool,
    /// Whether a wrapped call ends with a line of its own, which looks like all others of its kind.
    pub(crate) closes_apart: bool,
}

/// So many different words there are, so that lines differ and their words recur.
const WORDS: u32 = 160;

fn word(seed: u32) -> String {
    const PARTS: [&str; 16] = [
        "load", "index", "größe", "cache", "total", "user", "path", "row", "名前", "sum", "token", "wert", "x", "id",
        "handler", "count",
    ];
    let seed = seed % WORDS;
    format!("{}_{}", PARTS[(seed % 16) as usize], PARTS[(seed / 16) as usize])
}

impl Line {
    /// Makes a line of one writer; equal seeds make equal lines. Arguments are told apart by a number,
    /// if there is one: wrapped, each is a line of its own.
    pub(crate) fn of(seed: u32, number: Option<u32>, origin: &Origin) -> Line {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            word(state >> 9)
        };
        let shown: Vec<String> = match seed % 7 {
            0 => vec!["//".into(), next(), next(), next(), next()],
            1 => vec!["return".into(), next(), "+".into(), next(), "*".into(), format!("{}", seed % 991), ";".into()],
            2 => vec!["if".into(), next(), "==".into(), next(), "&&".into(), next(), "{".into()],
            3 => {
                vec![next(), ".".into(), next(), "=".into(), "\"".into(), next(), "😀".into(), "\"".into(), ";".into()]
            }
            _ => {
                let mut parts = vec!["let".into(), next(), "=".into(), next(), "(".into()];
                for i in 0..2 + seed % 3 {
                    if i > 0 {
                        parts.push(",".into());
                    }
                    parts.push(next() + &number.map(|number| format!("_{number}_{i}")).unwrap_or_default());
                }
                parts.extend([")".into(), ";".into()]);
                parts
            }
        };
        let tight = |text: &str| matches!(text, "(" | ")" | "," | ";" | "." | "😀");
        let mut tokens: Vec<Token> = Vec::new();
        for text in shown {
            let after_open = tokens.last().is_some_and(|token| matches!(&token.text[..], "(" | "." | "\""));
            let spaced = !tokens.is_empty() && !tight(&text) && !after_open;
            tokens.push(Token { id: 0, text, origin: origin.clone(), spaced });
        }
        Line { id: 0, indent: (seed % 4) as usize, tokens, writer: origin.clone(), either: Vec::new() }
    }

    /// Makes a line that many texts have many times.
    pub(crate) fn common(seed: u32, origin: &Origin) -> Line {
        let text = ["", "}", "", "else", ")", "{", "break"][(seed % 7) as usize];
        let tokens = if text.is_empty() {
            Vec::new()
        } else {
            vec![Token { id: 0, text: text.into(), origin: origin.clone(), spaced: false }]
        };
        Line { id: 0, indent: 0, tokens, writer: origin.clone(), either: Vec::new() }
    }

    pub(crate) fn is_blank(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Returns everybody who can have written of it.
    pub(crate) fn writers(&self) -> Vec<Origin> {
        let origins = self.tokens.iter().map(|token| &token.origin);
        origins.chain([&self.writer]).chain(&self.either).cloned().collect()
    }

    pub(crate) fn has_word(&self) -> bool {
        self.tokens.iter().any(|token| token.text.starts_with(char::is_alphanumeric))
    }

    /// Returns the line's signs, by which lines are told apart.
    pub(crate) fn signs(&self) -> String {
        self.tokens.iter().map(|token| &token.text[..]).collect()
    }

    pub(crate) fn content(&self, tabs: bool) -> String {
        let mut out = String::new();
        if !self.is_blank() {
            out.push_str(&if tabs { "\t" } else { "    " }.repeat(self.indent));
        }
        for token in &self.tokens {
            if token.spaced {
                out.push(' ');
            }
            out.push_str(&token.text);
        }
        out
    }
}

impl World {
    pub(crate) fn text(&self) -> String {
        let end = if self.crlf { "\r\n" } else { "\n" };
        let mut text = self.lines.iter().map(|line| line.content(self.tabs)).collect::<Vec<_>>().join(end);
        // A last line that is blank is there only by its end.
        let has_end = !self.lines.is_empty() && self.final_end;
        if has_end || self.lines.last().is_some_and(Line::is_blank) {
            text.push_str(end);
        }
        text
    }

    /// Returns a text in which no two lines are equal, to compare line by line what the truth is.
    pub(crate) fn told_apart(&self) -> String {
        self.lines.iter().map(|line| format!("{} {}\n", line.id, line.signs())).collect()
    }

    /// Gives new words an identity.
    pub(crate) fn number(&mut self, next: &mut u32) {
        for token in self.lines.iter_mut().flat_map(|line| &mut line.tokens).filter(|token| token.id == 0) {
            *next += 1;
            token.id = *next;
        }
    }

    /// Wraps or joins calls and plays with blanks, as formatters do. Whose the lines are is said afterwards.
    pub(crate) fn format(&mut self, seed: u32) {
        match seed % 6 {
            0 => self.tabs = !self.tabs,
            1 => self.crlf = !self.crlf,
            2 => self.final_end = !self.final_end,
            3 => self.lines.iter_mut().for_each(|line| line.indent = (line.indent + 1) % 4),
            4 => self.wrap(self.closes_apart && (seed / 6).is_multiple_of(2)),
            _ => self.join(),
        }
    }

    /// Gives every argument of long calls a line of its own.
    fn wrap(&mut self, trailing_comma: bool) {
        let mut wrapped = Vec::new();
        for line in self.lines.drain(..) {
            let open = line.tokens.iter().position(|token| token.text == "(");
            let close = line.tokens.iter().rposition(|token| token.text == ")");
            let (Some(open), Some(close)) = (open, close) else {
                wrapped.push(line);
                continue;
            };
            if line.tokens.len() < 11 || line.tokens.last().is_some_and(|token| token.text != ";") || close < open + 2 {
                wrapped.push(line);
                continue;
            }
            let part = |tokens: &[Token], indent: usize| {
                let mut tokens = tokens.to_vec();
                tokens[0].spaced = false;
                Line { indent, tokens, ..line.clone() }
            };
            wrapped.push(part(&line.tokens[..=open], line.indent));
            let arguments: Vec<&[Token]> =
                line.tokens[open + 1..close].split_inclusive(|token| token.text == ",").collect();
            for (i, argument) in arguments.iter().enumerate() {
                let mut argument = part(argument, line.indent + 1);
                if i + 1 == arguments.len() && trailing_comma && argument.tokens.last().is_some_and(|t| t.text != ",") {
                    let last = argument.tokens.last().expect("it has a token").clone();
                    argument.tokens.push(Token { id: 0, text: ",".into(), spaced: false, ..last });
                }
                wrapped.push(argument);
            }
            if self.closes_apart {
                wrapped.push(part(&line.tokens[close..], line.indent));
            } else {
                let last = wrapped.last_mut().expect("there is an argument");
                last.tokens.extend_from_slice(&line.tokens[close..]);
            }
        }
        self.lines = wrapped;
    }

    /// Takes wrapped calls back into one line.
    fn join(&mut self) {
        let mut at = 0;
        while at < self.lines.len() {
            let opens = self.lines[at].tokens.last().is_some_and(|token| token.text == "(");
            let closing = self.lines[at + 1..]
                .iter()
                .take(8)
                .position(|line| line.tokens.iter().any(|token| token.text == ")"))
                .map(|i| at + 1 + i);
            let Some(closing) = closing.filter(|_| opens) else {
                at += 1;
                continue;
            };
            let is_argument = |line: &Line| {
                line.tokens.iter().all(|token| token.text == "," || token.text.starts_with(char::is_alphabetic))
            };
            let is_one = |line: &Line| is_argument(line) && line.tokens.len() <= 2;
            let is_last =
                |line: &Line| line.tokens.len() <= 4 && line.tokens.last().is_some_and(|token| token.text == ";");
            if !self.lines[at + 1..closing].iter().all(is_one) || !is_last(&self.lines[closing]) {
                at += 1;
                continue;
            }
            let parts: Vec<Line> = self.lines.splice(at..=closing, []).collect();
            let mut tokens: Vec<Token> = Vec::new();
            for part in &parts {
                // The comma after the last argument goes.
                if part.tokens.first().is_some_and(|token| token.text == ")") {
                    let last = tokens.last().is_some_and(|token| token.text == ",");
                    tokens.truncate(tokens.len() - usize::from(last));
                }
                for (j, token) in part.tokens.iter().enumerate() {
                    let mut token = token.clone();
                    token.spaced |= j == 0 && tokens.last().is_some_and(|token| token.text == ",");
                    tokens.push(token);
                }
            }
            self.lines.insert(at, Line { tokens, ..parts[0].clone() });
            at += 1;
        }
    }
}
