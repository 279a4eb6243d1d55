//! Reads the YAML that settings are written in: maps and lists by indentation, flow style, texts
//! over several lines, several documents.
//!
//! It must never fail on text that somebody is still typing: a line that makes no sense is left out.

use std::ops::Range;

use super::hcl;
use super::tree::{DEPTH_MAX, Node, Pair, Value};

/// Reads every document of a text.
pub(super) fn read(text: &str) -> Vec<Node> {
    let lines = lines(text);
    lines
        .split(|line| line.is_mark)
        .filter(|lines| !lines.is_empty())
        .map(|lines| Reader { text, lines, at: 0, depth: 0 }.block(0))
        .collect()
}

/// A line with something on it.
struct Line {
    indent: usize,
    /// Without indentation, comment and white space at the end.
    range: Range<usize>,
    /// `---` or `...`.
    is_mark: bool,
    /// The line as a whole, for texts over several lines.
    whole_end: usize,
}

fn lines(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut start = 0;
    for whole in text.split_inclusive('\n') {
        let end = start + whole.len();
        let indent = whole.len() - whole.trim_start_matches(' ').len();
        let content = without_comment(whole[indent..].trim_end());
        if !content.is_empty() {
            let range = start + indent..start + indent + content.len();
            let is_mark = indent == 0 && (content == "---" || content.starts_with("--- ") || content == "...");
            lines.push(Line { indent, range, is_mark, whole_end: end });
        }
        start = end;
    }
    lines
}

/// A `#` begins a comment at the start or after white space, outside of quotes.
fn without_comment(line: &str) -> &str {
    let bytes = line.as_bytes();
    let mut quote = None;
    for (at, byte) in bytes.iter().enumerate() {
        match (quote, byte) {
            (None, b'#') if at == 0 || bytes[at - 1].is_ascii_whitespace() => return line[..at].trim_end(),
            (None, b'"' | b'\'') if at == 0 || b" [{,:".contains(&bytes[at - 1]) => quote = Some(*byte),
            (Some(open), byte) if open == *byte => quote = None,
            _ => {}
        }
    }
    line
}

struct Reader<'t> {
    text: &'t str,
    lines: &'t [Line],
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    /// Reads the map, list or text whose lines stand at `indent` or deeper.
    fn block(&mut self, indent: usize) -> Node {
        let Some(first) = self.lines.get(self.at) else { return Node::scalar(self.text.len()..self.text.len(), "") };
        let (own, start) = (first.indent.max(indent), first.range.start);
        if self.depth >= DEPTH_MAX {
            self.skip(indent);
            return Node::scalar(start..start, "");
        }
        self.depth += 1;
        let value = if is_item(&self.text[first.range.clone()]) { self.list(own) } else { self.map(own) };
        self.depth -= 1;
        let end = self.at.checked_sub(1).and_then(|at| self.lines.get(at)).map_or(start, |line| line.range.end);
        Node { range: start..end.max(start), value }
    }

    fn skip(&mut self, indent: usize) {
        while self.lines.get(self.at).is_some_and(|line| line.indent >= indent) {
            self.at += 1;
        }
    }

    fn list(&mut self, indent: usize) -> Value {
        let mut items = Vec::new();
        while let Some(line) = self.lines.get(self.at) {
            let content = &self.text[line.range.clone()];
            if line.indent != indent || !is_item(content) {
                if line.indent > indent {
                    self.at += 1;
                    continue;
                }
                break;
            }
            let inner = content[1..].trim_start();
            let inner_start = line.range.end - inner.len();
            let column = line.indent + (inner_start - line.range.start);
            items.push(self.inline(inner_start..line.range.end, indent, column));
        }
        Value::List(items)
    }

    /// Reads what stands behind `- `: a value, or the first line of a map that goes on below.
    fn inline(&mut self, range: Range<usize>, indent: usize, column: usize) -> Node {
        let content = &self.text[range.clone()];
        if content.is_empty() {
            self.at += 1;
            return match self.lines.get(self.at) {
                Some(line) if line.indent > indent => self.block(line.indent),
                _ => Node::scalar(range, ""),
            };
        }
        if self.depth < DEPTH_MAX && (key_of(content).is_some() || is_item(content)) {
            // The rest of the item stands at the column of its first name.
            self.depth += 1;
            let first = if is_item(content) {
                let inner = content[1..].trim_start();
                let start = range.end - inner.len();
                let item = self.inline(start..range.end, column, column + (start - range.start));
                let mut items = vec![item];
                if let Value::List(more) = self.list(column) {
                    items.extend(more);
                }
                Value::List(items)
            } else {
                let mut pairs: Vec<Pair> = self.pair(range.clone(), column).into_iter().collect();
                if let Value::Map(more) = self.map(column) {
                    pairs.extend(more);
                }
                Value::Map(pairs)
            };
            self.depth -= 1;
            let end = self.lines[self.at - 1].range.end.max(range.start);
            return Node { range: range.start..end, value: first };
        }
        self.scalar(range, indent)
    }

    fn map(&mut self, indent: usize) -> Value {
        let mut pairs = Vec::new();
        while let Some(line) = self.lines.get(self.at) {
            if line.indent < indent || (line.indent == indent && is_item(&self.text[line.range.clone()])) {
                break;
            }
            if line.indent > indent {
                self.at += 1;
                continue;
            }
            let before = self.at;
            pairs.extend(self.pair(line.range.clone(), indent));
            self.at = self.at.max(before + 1);
        }
        Value::Map(pairs)
    }

    /// Reads `key: value` at `range`, with what belongs to it below.
    fn pair(&mut self, range: Range<usize>, indent: usize) -> Option<Pair> {
        let Some((key, rest)) = key_of(&self.text[range.clone()]) else {
            self.at += 1;
            return None;
        };
        let key = key.to_owned();
        let value = range.end - rest.len()..range.end;
        let head = range.start..value.start.min(range.start + key.len() + 1);
        let plain = strip_tag(rest);
        let node = if plain.is_empty() {
            self.at += 1;
            match self.lines.get(self.at) {
                Some(line) if line.indent > indent => self.block(line.indent),
                // A list may stand at the indentation of its name.
                Some(line) if line.indent == indent && is_item(&self.text[line.range.clone()]) => self.block(indent),
                _ => Node::scalar(value.clone(), ""),
            }
        } else {
            self.scalar(range.end - plain.len()..range.end, indent)
        };
        let end = node.range.end.max(range.end);
        Some(Pair { key, labels: Vec::new(), range: range.start..end, head, node })
    }

    /// Reads a value that begins on this line.
    fn scalar(&mut self, range: Range<usize>, indent: usize) -> Node {
        let content = &self.text[range.clone()];
        let line_end = self.lines[self.at].whole_end;
        self.at += 1;
        if content.starts_with('|') || content.starts_with('>') {
            let mut end = line_end;
            while let Some(line) = self.lines.get(self.at).filter(|line| line.indent > indent) {
                end = line.whole_end;
                self.at += 1;
            }
            return Node::scalar(range.start..end, &self.text[line_end..end]);
        }
        if content.starts_with('{') || content.starts_with('[') {
            let mut end = range.end;
            while let Some(line) =
                self.lines.get(self.at).filter(|line| line.indent > indent && !is_closed(&self.text[range.start..end]))
            {
                end = line.range.end;
                self.at += 1;
            }
            return hcl::read_value(&self.text[range.start..end], range.start);
        }
        // Lines that go on deeper belong to a text that is not quoted, or not closed yet.
        let mut end = range.end;
        while let Some(line) = self.lines.get(self.at).filter(|line| line.indent > indent) {
            end = line.range.end;
            self.at += 1;
        }
        let text = self.text[range.start..end].trim();
        let unquoted = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
            .or_else(|| text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')));
        Node::scalar(range.start..end, unquoted.unwrap_or(text))
    }
}

fn is_item(content: &str) -> bool {
    content == "-" || content.starts_with("- ")
}

/// Splits `key: value`.
fn key_of(content: &str) -> Option<(&str, &str)> {
    if content.starts_with(['{', '[', '|', '>', '#', '&', '*', '%', '@', '`']) {
        return None;
    }
    if let Some(quote) = content.chars().next().filter(|first| "\"'".contains(*first)) {
        let (key, rest) = content[1..].split_once(quote)?;
        return Some((key, rest.trim_start().strip_prefix(':')?.trim_start()));
    }
    let at = content.find(": ").or_else(|| content.strip_suffix(':').map(str::len))?;
    Some((content[..at].trim_end(), content[at + 1..].trim_start()))
}

/// Takes `!Tag` and `&anchor` from the front of a value.
fn strip_tag(value: &str) -> &str {
    match value.strip_prefix(['!', '&']) {
        Some(rest) => rest.split_once(' ').map_or("", |(_, value)| value.trim_start()),
        None => value,
    }
}

fn is_closed(text: &str) -> bool {
    let count = |bracket: &[u8]| text.bytes().filter(|byte| bracket.contains(byte)).count();
    count(b"{[") <= count(b"}]")
}
