//! Reads HCL and JSON: blocks, attributes, objects, lists, texts. Expressions stay as written.
//!
//! It must never fail on text that somebody is still typing: an open bracket ends with the text.

use std::ops::Range;

use super::tree::{DEPTH_MAX, Node, Pair, Value};

/// Reads a file of blocks and attributes.
pub(super) fn read(text: &str) -> Node {
    let mut reader = Reader { text, bytes: text.as_bytes(), at: 0, offset: 0, depth: 0 };
    let pairs = reader.body(false);
    Node { range: 0..text.len(), value: Value::Map(pairs) }
}

/// Reads one value, such as a JSON document, that begins `offset` bytes into the whole text.
pub(super) fn read_value(text: &str, offset: usize) -> Node {
    let mut reader = Reader { text, bytes: text.as_bytes(), at: 0, offset, depth: 0 };
    reader.space(true);
    reader.value()
}

struct Reader<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    offset: usize,
    depth: usize,
}

impl Reader<'_> {
    fn range(&self, start: usize) -> Range<usize> {
        self.offset + start..self.offset + self.at
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn starts_with(&self, piece: &str) -> bool {
        self.bytes[self.at..].starts_with(piece.as_bytes())
    }

    /// Passes over white space and comments, with `lines` over line ends too.
    fn space(&mut self, lines: bool) {
        while let Some(byte) = self.peek() {
            if byte == b'\n' && !lines {
                return;
            }
            if byte.is_ascii_whitespace() {
                self.at += 1;
            } else if byte == b'#' || self.starts_with("//") {
                self.skip_line();
            } else if self.starts_with("/*") {
                let end = self.text[self.at + 2..].find("*/").map(|end| self.at + 2 + end + 2);
                self.at = end.unwrap_or(self.bytes.len());
            } else {
                return;
            }
        }
    }

    fn skip_line(&mut self) {
        while self.peek().is_some_and(|byte| byte != b'\n') {
            self.at += 1;
        }
    }

    /// Reads blocks and attributes up to the bracket that closes them.
    fn body(&mut self, in_block: bool) -> Vec<Pair> {
        let mut pairs = Vec::new();
        loop {
            self.space(true);
            match self.peek() {
                None => return pairs,
                Some(b'}') if in_block => {
                    self.at += 1;
                    return pairs;
                }
                // In objects and in JSON, commas stand between.
                Some(b',' | b';') => self.at += 1,
                Some(_) => {
                    let start = self.at;
                    match self.pair() {
                        Some(pair) => pairs.push(pair),
                        // Whatever this is, it is no setting.
                        None => self.at = self.at.max(start + 1),
                    }
                }
            }
        }
    }

    fn pair(&mut self) -> Option<Pair> {
        let start = self.at;
        let key = self.name()?;
        let mut labels = Vec::new();
        loop {
            let end = self.at;
            self.space(false);
            match self.peek() {
                Some(b'=' | b':') => {
                    self.at += 1;
                    if self.peek() == Some(b'>') {
                        self.at += 1;
                    }
                    self.space(false);
                    // In JSON a value may stand on the next line.
                    if self.peek() == Some(b'\n') {
                        let line_end = self.at;
                        self.space(true);
                        if !matches!(self.peek(), Some(b'{' | b'[' | b'"')) {
                            self.at = line_end;
                        }
                    }
                    let node = self.value();
                    return Some(Pair {
                        key,
                        labels,
                        range: self.range(start),
                        head: self.offset + start..self.offset + end,
                        node,
                    });
                }
                Some(b'{') => {
                    let open = self.at;
                    let node = self.block(open);
                    return Some(Pair {
                        key,
                        labels,
                        range: self.range(start),
                        head: self.offset + start..self.offset + end,
                        node,
                    });
                }
                Some(byte) if byte == b'"' || is_name(byte) => labels.push(self.name()?),
                _ => return None,
            }
        }
    }

    /// A name or a text in quotes.
    fn name(&mut self) -> Option<String> {
        match self.peek()? {
            b'"' => Some(self.quoted()),
            b'(' => {
                // A computed name.
                let start = self.at;
                self.brackets();
                Some(self.text[start..self.at].to_owned())
            }
            byte if is_name(byte) => {
                let start = self.at;
                while self.peek().is_some_and(|byte| is_name(byte) || byte == b'.' || byte == b'-') {
                    self.at += 1;
                }
                Some(self.text[start..self.at].to_owned())
            }
            _ => None,
        }
    }

    fn block(&mut self, open: usize) -> Node {
        self.at = open + 1;
        if self.depth >= DEPTH_MAX {
            self.at = open;
            self.brackets();
            return Node::scalar(self.range(open), "");
        }
        self.depth += 1;
        let pairs = self.body(true);
        self.depth -= 1;
        Node { range: self.range(open), value: Value::Map(pairs) }
    }

    fn value(&mut self) -> Node {
        let start = self.at;
        match self.peek() {
            Some(b'{') => {
                let node = self.block(start);
                // `{ for ... }` has no pairs; what follows a bracket belongs to the expression.
                self.rest_of_expression();
                node
            }
            Some(b'[') if self.depth < DEPTH_MAX => {
                self.at += 1;
                self.depth += 1;
                let mut items = Vec::new();
                loop {
                    self.space(true);
                    match self.peek() {
                        None => break,
                        Some(b']') => {
                            self.at += 1;
                            break;
                        }
                        Some(b',') => self.at += 1,
                        Some(_) => {
                            let before = self.at;
                            items.push(self.value());
                            self.at = self.at.max(before + 1);
                        }
                    }
                }
                self.depth -= 1;
                Node { range: self.range(start), value: Value::List(items) }
            }
            Some(b'<') if self.starts_with("<<") => self.heredoc(),
            Some(b'"') => {
                let text = self.quoted();
                let end = self.at;
                self.space(false);
                if self.ends_expression() {
                    self.at = end;
                    // A policy may be written as a text that holds JSON.
                    if text.trim_start().starts_with('{') && self.depth < DEPTH_MAX {
                        let range = self.range(start);
                        let inner = read_inner(&text, range.clone(), self.depth + 1);
                        return Node { range, value: inner.value };
                    }
                    return Node::scalar(self.range(start), &text);
                }
                self.expression(start)
            }
            _ => {
                for wrapper in ["jsonencode(", "tolist(", "toset(", "yamlencode(", "sensitive("] {
                    if self.starts_with(wrapper) && self.depth < DEPTH_MAX {
                        self.at += wrapper.len();
                        self.depth += 1;
                        self.space(true);
                        let inner = self.value();
                        self.depth -= 1;
                        self.space(true);
                        if self.peek() == Some(b')') {
                            self.at += 1;
                        }
                        return Node { range: self.range(start), value: inner.value };
                    }
                }
                self.expression(start)
            }
        }
    }

    fn ends_expression(&self) -> bool {
        matches!(self.peek(), None | Some(b'\n' | b',' | b'}' | b']' | b')' | b'#'))
            || self.starts_with("//")
            || self.starts_with("/*")
    }

    fn rest_of_expression(&mut self) {
        let end = self.at;
        self.space(false);
        if self.ends_expression() {
            self.at = end;
        } else {
            self.expression(end);
        }
    }

    /// Reads to the end of an expression, brackets and texts in it included.
    fn expression(&mut self, start: usize) -> Node {
        while !self.ends_expression() {
            match self.peek() {
                Some(b'"') => drop(self.quoted()),
                Some(b'(' | b'[' | b'{') => self.brackets(),
                _ => self.at += 1,
            }
        }
        while self.at > start && !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
        Node::scalar(self.range(start), self.text.get(start..self.at).unwrap_or_default().trim())
    }

    /// Passes over brackets and what is in them.
    fn brackets(&mut self) {
        let mut open = 0usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    self.quoted();
                    continue;
                }
                b'(' | b'[' | b'{' => open += 1,
                b')' | b']' | b'}' => open -= 1,
                _ => {}
            }
            self.at += 1;
            if open == 0 {
                return;
            }
        }
    }

    /// Reads a text in quotes; `${...}` in it may hold quotes of its own. It ends with its line.
    fn quoted(&mut self) -> String {
        self.at += 1;
        let mut text = String::new();
        let mut start = self.at;
        let mut templates = 0usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'\\' => {
                    text.push_str(self.text.get(start..self.at).unwrap_or_default());
                    self.at += 1;
                    match self.peek() {
                        Some(b'n') => text.push('\n'),
                        Some(b't') => text.push('\t'),
                        Some(byte @ (b'"' | b'\\' | b'/')) => text.push(byte.into()),
                        _ => {}
                    }
                    self.at = (self.at + 1).min(self.bytes.len());
                    while !self.text.is_char_boundary(self.at) {
                        self.at += 1;
                    }
                    start = self.at;
                    continue;
                }
                b'$' | b'%' if self.bytes.get(self.at + 1) == Some(&b'{') => {
                    templates += 1;
                    self.at += 1;
                }
                b'}' => templates = templates.saturating_sub(1),
                b'"' if templates == 0 => break,
                b'\n' => break,
                _ => {}
            }
            self.at += 1;
        }
        text.push_str(self.text.get(start..self.at).unwrap_or_default());
        if self.peek() == Some(b'"') {
            self.at += 1;
        }
        text
    }

    /// `<<EOF` up to a line that holds `EOF` alone.
    fn heredoc(&mut self) -> Node {
        let start = self.at;
        self.at += 2;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let mark_start = self.at;
        while self.peek().is_some_and(is_name) {
            self.at += 1;
        }
        let mark = self.text[mark_start..self.at].to_owned();
        self.skip_line();
        let body_start = (self.at + 1).min(self.bytes.len());
        self.at = body_start;
        let mut body_end = self.bytes.len();
        while self.at < self.bytes.len() {
            let line_start = self.at;
            self.skip_line();
            if self.text[line_start..self.at].trim() == mark {
                body_end = line_start;
                break;
            }
            self.at = (self.at + 1).min(self.bytes.len());
        }
        let body = &self.text[body_start..body_end.max(body_start)];
        let range = self.range(start);
        if body.trim_start().starts_with('{') && self.depth < DEPTH_MAX {
            let mut inner = Reader {
                text: body,
                bytes: body.as_bytes(),
                at: 0,
                offset: self.offset + body_start,
                depth: self.depth + 1,
            };
            inner.space(true);
            return Node { range, value: inner.value().value };
        }
        Node::scalar(range, body)
    }
}

/// Reads JSON out of a text whose own places say nothing: everything in it stands where the text does.
fn read_inner(text: &str, range: Range<usize>, depth: usize) -> Node {
    let mut reader = Reader { text, bytes: text.as_bytes(), at: 0, offset: 0, depth };
    reader.space(true);
    let mut node = reader.value();
    place(&mut node, &range);
    node
}

fn place(node: &mut Node, range: &Range<usize>) {
    node.range = range.clone();
    match &mut node.value {
        Value::Map(pairs) => {
            for pair in pairs {
                pair.range = range.clone();
                pair.head = range.clone();
                place(&mut pair.node, range);
            }
        }
        Value::List(items) => items.iter_mut().for_each(|item| place(item, range)),
        Value::Scalar(_) => {}
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}
