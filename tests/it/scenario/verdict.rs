//! What `blame` said against what a story says, line for line, and the table over all of them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::story::{Author, Hand, Row};

/// What came out of one story, or of many.
#[derive(Clone, Debug, Default)]
pub(super) struct Score {
    pub(super) plays: usize,
    right: usize,
    ai_called_human: usize,
    human_called_ai: usize,
    unknown_although_observed: usize,
    guessed: usize,
    otherwise_wrong: usize,
    /// What differs, ready to be read.
    pub(super) trouble: Vec<String>,
}

/// Compares an answer of `blame --json`; what differs is added to the score.
pub(super) fn compare(asked: &str, rows: &[Row], answer: &Value, score: &mut Score) {
    let lines = answer["lines"].as_array().cloned().unwrap_or_default();
    let mut page = Vec::new();
    let mut is_wrong = rows.len() != lines.len();
    for at in 0..rows.len().max(lines.len()) {
        let (row, line) = (rows.get(at), lines.get(at));
        let told = line.map_or_else(|| "nothing".to_owned(), tell);
        let is_same_text = row.map(|row| row.text.as_str()) == line.and_then(|line| line["text"].as_str());
        let expected = row.and_then(|row| row.author.as_ref());
        let is_right = is_same_text && expected.is_none_or(|author| line.is_some_and(|line| fits(author, line)));
        if let (Some(author), Some(line)) = (expected, line) {
            score.count(author, line, is_right);
        }
        is_wrong |= !is_right;
        let expected = expected.map(name).unwrap_or_default();
        let text = row.map_or("", |row| row.text.as_str());
        let mark = if is_right { ' ' } else { '!' };
        let said = if is_right { String::new() } else { format!("   <- {told}") };
        page.push(format!("{mark} {:>3} {expected:12}| {text}{said}", at + 1));
    }
    if is_wrong {
        page.insert(0, asked.to_owned());
        if answer["complete"] == false {
            page.push(format!("  missing: {}", answer["missing"]));
        }
        score.trouble.push(page.join("\n"));
    }
}

fn name(author: &Author) -> String {
    let hand = |hand: &Hand| match hand {
        Hand::Me => "me".to_owned(),
        Hand::Unknown => "?".to_owned(),
        Hand::Ai(name) => name.clone(),
    };
    match author {
        Author::One(one) => hand(one),
        Author::Mixed(first, last) => format!("{}>{}", hand(first), hand(last)),
    }
}

fn tell(line: &Value) -> String {
    let text = |key: &str| line[key].as_str().unwrap_or("-").to_owned();
    let mut told = format!("{}, last {}", text("author"), text("last_writer"));
    for key in ["tool", "session", "how"] {
        if line[key].is_string() {
            told.push_str(&format!(", {key} {}", text(key)));
        }
    }
    told.push_str(&format!(": {}", text("text")));
    told
}

fn fits(author: &Author, line: &Value) -> bool {
    match author {
        Author::One(hand) => line["author"] == class(hand) && line["last_writer"] == class(hand) && is_of(hand, line),
        Author::Mixed(first, last) => {
            line["author"] == "mixed" && line["last_writer"] == class(last) && is_of(first, line) && is_of(last, line)
        }
    }
}

fn class(hand: &Hand) -> &'static str {
    match hand {
        Hand::Me => "human",
        Hand::Unknown => "unknown",
        Hand::Ai(_) => "ai",
    }
}

/// Tells whether an agent is the one that the line names.
fn is_of(hand: &Hand, line: &Value) -> bool {
    let Hand::Ai(name) = hand else { return true };
    line["session"] == name.as_str() || line["tool"] == name.as_str()
}

impl Score {
    fn count(&mut self, author: &Author, line: &Value, is_right: bool) {
        let (first, last) = match author {
            Author::One(hand) => (hand, hand),
            Author::Mixed(first, last) => (first, last),
        };
        let expected = if first == last { class(first) } else { "mixed" };
        let place = match (expected, line["author"].as_str().unwrap_or("nothing")) {
            _ if is_right => &mut self.right,
            ("ai", "human") => &mut self.ai_called_human,
            ("human", "ai") => &mut self.human_called_ai,
            ("unknown", "ai" | "human") => &mut self.guessed,
            ("ai" | "human" | "mixed", "unknown") => &mut self.unknown_although_observed,
            _ => &mut self.otherwise_wrong,
        };
        *place += 1;
        let _ = last;
    }

    fn add(&mut self, other: &Score) {
        self.plays += other.plays;
        self.right += other.right;
        self.ai_called_human += other.ai_called_human;
        self.human_called_ai += other.human_called_ai;
        self.unknown_although_observed += other.unknown_although_observed;
        self.guessed += other.guessed;
        self.otherwise_wrong += other.otherwise_wrong;
    }

    fn row(&self, name: &str) -> String {
        let wrong = self.ai_called_human
            + self.human_called_ai
            + self.unknown_although_observed
            + self.guessed
            + self.otherwise_wrong;
        format!(
            "{name:18} {:>5} {:>7} {:>7} {:>10} {:>10} {:>12} {:>8} {:>6}",
            self.plays,
            self.right + wrong,
            self.right,
            self.ai_called_human,
            self.human_called_ai,
            self.unknown_although_observed,
            self.guessed,
            self.otherwise_wrong
        )
    }
}

/// The table: a row for each group and one for all.
pub(super) fn table<'a>(scores: impl Iterator<Item = (&'a str, &'a Score)>) -> String {
    let mut groups: BTreeMap<&str, Score> = BTreeMap::new();
    let mut all = Score::default();
    for (group, score) in scores {
        groups.entry(group).or_default().add(score);
        all.add(score);
    }
    let mut table = vec![format!(
        "{:18} {:>5} {:>7} {:>7} {:>10} {:>10} {:>12} {:>8} {:>6}",
        "", "plays", "lines", "right", "ai>human", "human>ai", "unknown(obs)", "guessed", "other"
    )];
    table.extend(groups.iter().map(|(name, score)| score.row(name)));
    table.push(all.row("all"));
    table.join("\n")
}
