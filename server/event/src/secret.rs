//! The one secret detector: redaction hides what it finds, risk reports what it finds.
//!
//! Keywords of every shape are searched in one pass; only where one stands does the regular
//! expression of its shape run, anchored there. Entropy and context then sort out placeholders,
//! documentation examples and look-ups. What is found is a byte range of the text.
//!
//! It must never panic on any text, never take more than about linear time, and never say what the
//! secret was.

mod shape;
mod value;

use std::ops::Range;
use std::sync::{LazyLock, OnceLock};

use aho_corasick::{AhoCorasick, AhoCorasickBuilder};
use regex::Regex;

use shape::{Anchor, SHAPES, Shape};

/// How far past its keyword a secret may reach, in bytes, before its alphabet alone carries on.
const WINDOW_BYTES: usize = 2048;

/// A secret in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Byte range of the secret itself: no quotes, no name.
    pub range: Range<usize>,
    /// Which shape it has, for example `github-token`; stable, lower-case and hyphens.
    pub kind: &'static str,
}

/// Finds secrets. Costly to build, cheap to share: use [`Detector::shared`].
#[derive(Debug)]
pub struct Detector {
    keywords: AhoCorasick,
    /// The shape of each keyword.
    owners: Vec<usize>,
    /// Compiled when its keyword first appears: a short-lived process pays for what it meets.
    patterns: Vec<OnceLock<Regex>>,
}

static SHARED: LazyLock<Detector> = LazyLock::new(Detector::new);

impl Default for Detector {
    fn default() -> Self {
        Self::new()
    }
}

impl Detector {
    /// Builds the keyword automaton over every known shape.
    pub fn new() -> Self {
        let (owners, words): (Vec<usize>, Vec<&str>) =
            SHAPES.iter().enumerate().flat_map(|(i, shape)| shape.keywords.iter().map(move |word| (i, *word))).unzip();
        let keywords = AhoCorasickBuilder::new()
            .ascii_case_insensitive(true)
            .build(words)
            .expect("a fixed list of short keywords builds");
        let patterns = SHAPES.iter().map(|_| OnceLock::new()).collect();
        Self { keywords, owners, patterns }
    }

    /// Returns the detector of this process.
    pub fn shared() -> &'static Self {
        &SHARED
    }

    /// Returns the secrets of `text`.
    ///
    /// Shape: sorted, non-overlapping, on character borders. A mark of an earlier
    /// redaction alone is never a secret.
    pub fn find(&self, text: &str) -> Vec<Secret> {
        let mut found: Vec<(Range<usize>, usize)> = Vec::new();
        for hit in self.keywords.find_overlapping_iter(text) {
            let owner = self.owners[hit.pattern().as_usize()];
            if let Some(range) = self.judge(owner, text, hit.start(), hit.end()) {
                found.push((range, owner));
            }
        }
        if found.is_empty() {
            return Vec::new();
        }
        let marks = marks(text);
        found.retain_mut(|(range, _)| beyond(&marks, range));
        merge(found)
    }

    /// Decides whether a secret of shape `owner` stands at the keyword `start..end`.
    fn judge(&self, owner: usize, text: &str, start: usize, end: usize) -> Option<Range<usize>> {
        let shape = &SHAPES[owner];
        if shape.anchor == Anchor::Pem {
            return pem(text, start);
        }
        let from = match shape.anchor {
            Anchor::Token if inside_word(text, start) => return None,
            Anchor::Token | Anchor::Start | Anchor::Pem => start,
            Anchor::After => end,
        };
        let window = &text[from..floor_char_boundary(text, from + WINDOW_BYTES)];
        let pattern = self.patterns[owner].get_or_init(|| compile(shape));
        let captures = pattern.captures(window)?;
        let matched = captures.name("v").or_else(|| captures.get(0))?;
        let mut range = from + matched.start()..from + matched.end();
        range.end = run_on(text, range.end, from + window.len());
        let context = value::Context {
            text,
            keyword: start..end,
            between: &text[end..range.start.max(end)],
            value: &text[range.clone()],
            after: &text[range.end..],
        };
        (shape.accept)(&context).then_some(range)
    }
}

fn compile(shape: &Shape) -> Regex {
    Regex::new(shape.pattern).expect("every shape's pattern compiles: a test tries each")
}

/// Returns the end of a token that fills its window and goes on behind it.
fn run_on(text: &str, end: usize, window_end: usize) -> usize {
    if end < window_end {
        return end;
    }
    let more = text.as_bytes()[end..]
        .iter()
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        .count();
    end + more
}

fn inside_word(text: &str, at: usize) -> bool {
    let before = text.as_bytes()[..at].last();
    // An escaped line end (`\nghp_…`) is not part of the token that follows it.
    let escaped = at >= 2 && text.as_bytes()[at - 2] == b'\\' && matches!(text.as_bytes()[at - 1], b'n' | b't' | b'r');
    !escaped && before.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
}

/// Returns the private key that begins at `start`: up to its end line, or as far as lines still
/// look like a key's when the end is missing.
fn pem(text: &str, start: usize) -> Option<Range<usize>> {
    let head = text.get(start + "-----BEGIN ".len()..)?;
    let label: usize =
        head.bytes().take(48).take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b' ').count();
    let (label, rest) = head.split_at(label);
    if !label.contains("PRIVATE KEY") || !rest.starts_with("-----") {
        return None;
    }
    let body_start = start + "-----BEGIN ".len() + label.len() + "-----".len();
    let body = &text[body_start..];
    let stop = body.find("-----").unwrap_or(body.len());
    let key = &body[..stop];
    let tail = &body[stop..];
    let end = match tail.strip_prefix("-----END ") {
        Some(label) => {
            let line = label.find("-----").filter(|length| *length <= 48);
            body_start + stop + "-----END ".len() + line.map_or(0, |length| length + "-----".len())
        }
        None => body_start + key_lines(key),
    };
    value::has_base64_run(&text[body_start..end], 20).then_some(start..end)
}

/// Returns how many bytes of `body` still look like a key: long base64 runs, headers, blank lines.
fn key_lines(body: &str) -> usize {
    let mut kept = 0;
    let mut at = 0;
    for (i, line) in body.split_inclusive('\n').enumerate() {
        at += line.len();
        let trimmed = line.trim();
        if value::has_base64_run(trimmed, 8) {
            kept = at - (line.len() - line.trim_end().len());
        } else if i > 0 && !trimmed.is_empty() && !trimmed.contains(": ") {
            break;
        }
    }
    kept
}

/// Returns the ranges of the marks that redaction left, strictly read: nothing else hides in one.
pub(crate) fn marks(text: &str) -> Vec<Range<usize>> {
    const OPEN: &str = "[redacted:";
    text.match_indices(OPEN)
        .filter_map(|(start, _)| {
            let rest = &text[start + OPEN.len()..];
            let kind = rest.bytes().take(40).take_while(|b| b.is_ascii_lowercase() || *b == b'-').count();
            let tail = rest[kind..].strip_prefix(':')?.as_bytes();
            let digits = tail.get(..8)?;
            let hex = digits.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            let known = rest[..kind] == *KEYED || SHAPES.iter().any(|s| s.kind == &rest[..kind]);
            (hex && known && tail.get(8) == Some(&b']')).then(|| start..start + OPEN.len() + kind + 1 + 9)
        })
        .collect()
}

/// The kind of a value that was hidden for the name it stood under.
pub(crate) const KEYED: &str = "named-value";

/// Tells whether `range` is more than a mark, and widens it over the marks it cuts: text beside a
/// mark must not hide behind it.
fn beyond(marks: &[Range<usize>], range: &mut Range<usize>) -> bool {
    let first = marks.partition_point(|mark| mark.end <= range.start);
    for mark in &marks[first..] {
        if mark.start >= range.end {
            break;
        }
        if mark.start <= range.start && range.end <= mark.end {
            return false;
        }
        *range = range.start.min(mark.start)..range.end.max(mark.end);
    }
    true
}

/// Merges overlapping ranges; the shape that comes first in the table names the result.
fn merge(mut found: Vec<(Range<usize>, usize)>) -> Vec<Secret> {
    found.sort_by_key(|(range, owner)| (range.start, *owner));
    let mut merged: Vec<(Range<usize>, usize)> = Vec::with_capacity(found.len());
    for (range, owner) in found {
        match merged.last_mut() {
            Some((last, first_owner)) if range.start < last.end => {
                last.end = last.end.max(range.end);
                *first_owner = (*first_owner).min(owner);
            }
            _ => merged.push((range, owner)),
        }
    }
    merged.into_iter().map(|(range, owner)| Secret { range, kind: SHAPES[owner].kind }).collect()
}

fn floor_char_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests;
