//! From a stream of bytes to messages, whatever the stream looks like.
//!
//! AI language servers frame their messages with `Content-Length`, as one JSON value a line, or with a
//! raw line before the first frame; some print a log line between frames. The decoder takes the bytes
//! as they come and finds its way back after anything it can't read. It never fails and never holds
//! more than one message of [`BODY_BYTES_MAX`]; what it could not read it says, so that it is counted.
//!
//! What it finds depends on the bytes alone, never on how they were cut into chunks.

use serde::de::IgnoredAny;

/// A larger body is passed over; only its length is reported.
pub(crate) const BODY_BYTES_MAX: usize = 8 << 20;

/// A header line, or a line that is no JSON, is given up after this many bytes.
const LINE_BYTES_MAX: usize = 8 << 10;

/// The one header that matters.
const LENGTH: &[u8] = b"content-length:";

/// One server puts this before each of its lines of JSON.
const LINE_PREFIX: &[u8] = b"SM-MESSAGE ";

/// What was found in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// One JSON value.
    Message(Vec<u8>),
    /// Bytes that are no message, passed over.
    Malformed {
        /// How many.
        bytes: usize,
    },
    /// A message that is too large to look at, passed over.
    Oversized {
        /// How many bytes its body had.
        bytes: u64,
    },
}

/// Reads one direction of one stream.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    buffer: Vec<u8>,
    /// Everything before this byte of the buffer is done with.
    at: usize,
    state: State,
    /// Where the search for a line end has come to, counted from `at`.
    searched: usize,
}

#[derive(Debug, Default)]
enum State {
    /// At the start of a header block or of a line.
    #[default]
    Start,
    /// Inside the header block that began at `at`: offset of the current line, length if seen.
    Headers { line: usize, length: Option<u64> },
    /// The body of so many bytes begins at `at`.
    Body { length: usize },
    /// Passing over the rest of an oversized body.
    SkipBody { length: u64, left: u64 },
    /// Passing over the rest of an oversized line.
    SkipLine { passed: u64 },
}

impl Decoder {
    /// Makes a decoder at the start of a stream.
    pub(crate) fn new() -> Self {
        Decoder::default()
    }

    /// Takes the next bytes of the stream. Read [`Decoder::next_frame`] until it returns nothing.
    pub(crate) fn push(&mut self, chunk: &[u8]) {
        if self.at > 0 && (self.at == self.buffer.len() || self.at >= self.buffer.len() / 2) {
            self.buffer.drain(..self.at);
            self.at = 0;
        }
        self.buffer.extend_from_slice(chunk);
    }

    /// Returns the next thing found, or nothing until more bytes come.
    pub(crate) fn next_frame(&mut self) -> Option<Frame> {
        loop {
            let step = match self.state {
                State::Start => self.start(),
                State::Headers { line, length } => self.header(line, length),
                State::Body { length } => self.body(length),
                State::SkipBody { length, left } => self.skip_body(length, left),
                State::SkipLine { passed } => self.skip_line(passed),
            };
            match step {
                Step::Found(frame) => return Some(frame),
                Step::Again => {}
                Step::Starved => return None,
            }
        }
    }

    /// Returns what is left when the stream has ended: an unfinished frame is malformed.
    pub(crate) fn finish(mut self) -> Option<Frame> {
        let rest = self.rest().len();
        match self.state {
            State::SkipBody { length, .. } => Some(Frame::Oversized { bytes: length }),
            State::SkipLine { passed } => Some(Frame::Oversized { bytes: passed }),
            // A last line of JSON may lack its line end.
            State::Start if is_json(self.rest()) => Some(Frame::Message(self.take(rest))),
            _ if self.rest().iter().all(u8::is_ascii_whitespace) => None,
            _ => Some(Frame::Malformed { bytes: rest }),
        }
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    fn take(&mut self, n: usize) -> Vec<u8> {
        let taken = self.rest()[..n].to_vec();
        self.advance(n);
        taken
    }

    fn advance(&mut self, n: usize) {
        self.at += n;
        self.searched = 0;
        self.state = State::Start;
    }

    /// Finds the line end at or after `from`, counted from `at`; looks at every byte once.
    fn line_end(&mut self, from: usize, most: usize) -> Option<usize> {
        let begin = self.searched.max(from);
        let rest = &self.buffer[self.at..];
        let end = rest.len().min(from + most);
        let found = rest.get(begin..end)?.iter().position(|&b| b == b'\n').map(|i| begin + i);
        self.searched = found.unwrap_or(end);
        found
    }

    fn start(&mut self) -> Step {
        let Some(&first) = self.rest().first() else { return Step::Starved };
        if matches!(first, b'\r' | b'\n') {
            self.advance(1);
            return Step::Again;
        }
        if self.rest().starts_with(LINE_PREFIX) {
            self.advance(LINE_PREFIX.len());
            return Step::Again;
        }
        if LINE_PREFIX.starts_with(self.rest()) {
            return Step::Starved;
        }
        let json = matches!(first, b'{' | b'[');
        let most = if json { BODY_BYTES_MAX } else { LINE_BYTES_MAX };
        let Some(end) = self.line_end(0, most) else {
            if self.rest().len() < most {
                return Step::Starved;
            }
            return self.give_up_line(most, json);
        };
        let line = &self.rest()[..end];
        if json && is_json(line) {
            let message = self.take(end);
            return Step::Found(Frame::Message(message));
        }
        if !json && is_header(line) {
            self.searched = 0;
            self.state = State::Headers { line: 0, length: None };
            return Step::Again;
        }
        self.resynchronise(end + 1)
    }

    fn header(&mut self, line: usize, length: Option<u64>) -> Step {
        let Some(end) = self.line_end(line, LINE_BYTES_MAX) else {
            if self.rest().len() < line + LINE_BYTES_MAX {
                return Step::Starved;
            }
            return self.resynchronise(line + LINE_BYTES_MAX);
        };
        let text = self.rest()[line..end].trim_ascii();
        if text.is_empty() {
            let Some(length) = length else { return self.malformed(end + 1) };
            self.advance(end + 1);
            self.state = match usize::try_from(length) {
                Ok(length) if length <= BODY_BYTES_MAX => State::Body { length },
                _ => State::SkipBody { length, left: length },
            };
            return Step::Again;
        }
        // What is no header ends the block; a block this long is none.
        if !is_header(text) || end > LINE_BYTES_MAX {
            return self.malformed(line.max(1));
        }
        let length = match strip_name(text) {
            None => length,
            Some(value) => match std::str::from_utf8(value).ok().and_then(|value| value.trim().parse().ok()) {
                Some(value) => Some(value),
                None => return self.malformed(end + 1),
            },
        };
        self.state = State::Headers { line: end + 1, length };
        Step::Again
    }

    fn body(&mut self, length: usize) -> Step {
        if self.rest().len() < length {
            return Step::Starved;
        }
        if is_json(&self.rest()[..length]) {
            let message = self.take(length);
            return Step::Found(Frame::Message(message));
        }
        // A wrong length swallows the frames behind it: look for the next header inside.
        let next = find_length(&self.rest()[..length]).unwrap_or(length);
        self.malformed(next)
    }

    fn skip_body(&mut self, length: u64, left: u64) -> Step {
        let have = self.rest().len();
        let now = usize::try_from(left).map_or(have, |left| left.min(have));
        self.advance(now);
        let left = left - now as u64;
        if left == 0 {
            return Step::Found(Frame::Oversized { bytes: length });
        }
        self.state = State::SkipBody { length, left };
        Step::Starved
    }

    fn skip_line(&mut self, passed: u64) -> Step {
        let end = self.rest().iter().position(|&b| b == b'\n');
        let now = end.map_or(self.rest().len(), |end| end + 1);
        self.advance(now);
        let passed = passed + now as u64;
        if end.is_some() {
            return Step::Found(Frame::Oversized { bytes: passed });
        }
        self.state = State::SkipLine { passed };
        Step::Starved
    }

    /// Gives up a line that has no end within `most` bytes.
    fn give_up_line(&mut self, most: usize, json: bool) -> Step {
        if json && find_length(&self.rest()[..most]).is_none() {
            self.advance(most);
            self.state = State::SkipLine { passed: most as u64 };
            return Step::Again;
        }
        // The header may begin at the very end of what was looked at.
        self.resynchronise(most - (LENGTH.len() - 1))
    }

    /// Passes over bytes up to the next header among the first `n`, or over all of them.
    fn resynchronise(&mut self, n: usize) -> Step {
        let n = n.min(self.rest().len());
        let next = find_length(&self.rest()[..n]).filter(|&next| next > 0).unwrap_or(n);
        self.malformed(next)
    }

    fn malformed(&mut self, bytes: usize) -> Step {
        self.advance(bytes);
        Step::Found(Frame::Malformed { bytes })
    }
}

enum Step {
    Found(Frame),
    Again,
    Starved,
}

fn is_json(bytes: &[u8]) -> bool {
    !bytes.is_empty() && serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

/// Says whether a line is `Name: value` with a name that HTTP would allow.
fn is_header(line: &[u8]) -> bool {
    line.iter().position(|&b| b == b':').is_some_and(|colon| {
        colon > 0 && line[..colon].iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    })
}

fn strip_name(line: &[u8]) -> Option<&[u8]> {
    let (name, value) = line.split_at_checked(LENGTH.len())?;
    name.eq_ignore_ascii_case(LENGTH).then_some(value)
}

fn find_length(bytes: &[u8]) -> Option<usize> {
    bytes.windows(LENGTH.len()).position(|window| window.eq_ignore_ascii_case(LENGTH))
}

#[cfg(test)]
mod tests;
