//! Splits what the editor sends into messages, whatever the chunks.
//!
//! Never fails and never waits: what is not a frame is reported as such and skipped up to the next
//! header, so that one bad message costs one message. (The transport of tower-lsp ends for good at the
//! first message it can't decode: its framed reader yields `None` after an error.)

/// A message of more than this many bytes is skipped, not buffered.
pub(crate) const FRAME_BYTES_MAX: usize = 64 << 20;
/// A header block longer than this is not one.
const HEADER_BYTES_MAX: usize = 4096;
const KEY: &[u8] = b"content-length";

/// What stands next in the input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// A message's body.
    Body(&'a [u8]),
    /// Bytes that are no frame; they were skipped.
    Garbage,
    /// A message that is too long to be kept; it is being skipped.
    Oversized,
}

/// The bytes that came and were not taken yet.
#[derive(Default)]
pub(crate) struct Frames {
    buffer: Vec<u8>,
    /// Everything before is taken.
    start: usize,
    /// Bytes of an oversized body that are still to come.
    skip: usize,
    /// In garbage that was reported already.
    lost: bool,
}

impl Frames {
    /// Returns room for the next read.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
            // A large document was pasted long ago: give its room back.
            if self.buffer.capacity() > 1 << 20 {
                self.buffer = Vec::new();
            }
        } else if self.start > self.buffer.len() / 2 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.reserve(64 << 10);
        &mut self.buffer
    }

    /// Takes the next frame; `None` until more bytes have come.
    pub(crate) fn next(&mut self) -> Option<Frame<'_>> {
        loop {
            if self.skip > 0 {
                let gone = self.skip.min(self.buffer.len() - self.start);
                self.start += gone;
                self.skip -= gone;
                if self.skip > 0 {
                    return None;
                }
            }
            let rest = &self.buffer[self.start..];
            if rest.is_empty() {
                return None;
            }
            match header(rest) {
                Header::Partial => return None,
                Header::Length { header, body } if body > FRAME_BYTES_MAX => {
                    self.start += header;
                    self.skip = body;
                    self.lost = false;
                    return Some(Frame::Oversized);
                }
                Header::Length { header, body } => {
                    if rest.len() < header + body {
                        return None;
                    }
                    let from = self.start + header;
                    self.start = from + body;
                    self.lost = false;
                    if body == 0 {
                        continue;
                    }
                    return Some(Frame::Body(&self.buffer[from..from + body]));
                }
                Header::Not { skip } => {
                    self.start += skip;
                    if !std::mem::replace(&mut self.lost, true) {
                        return Some(Frame::Garbage);
                    }
                }
            }
        }
    }
}

enum Header {
    Partial,
    Length { header: usize, body: usize },
    Not { skip: usize },
}

/// Reads a header block at the start of `bytes`.
fn header(bytes: &[u8]) -> Header {
    let mut length = None;
    let mut at = 0;
    loop {
        let Some(end) = bytes[at..].iter().take(HEADER_BYTES_MAX).position(|&b| b == b'\n') else {
            // A line that can't become a header any more is garbage at once.
            let line = &bytes[at..];
            if bytes.len() >= HEADER_BYTES_MAX || (at == 0 && !could_begin(line)) {
                return Header::Not { skip: resume(bytes) };
            }
            return Header::Partial;
        };
        let line = bytes[at..at + end].strip_suffix(b"\r").unwrap_or(&bytes[at..at + end]);
        at += end + 1;
        if line.is_empty() {
            return match length {
                Some(body) => Header::Length { header: at, body },
                None => Header::Not { skip: at.min(resume(bytes)) },
            };
        }
        let Some((key, value)) = split(line) else { return Header::Not { skip: resume(bytes) } };
        if key.eq_ignore_ascii_case(KEY) {
            match std::str::from_utf8(value).ok().and_then(|value| value.trim().parse().ok()) {
                Some(body) => length = Some(body),
                None => return Header::Not { skip: resume(bytes) },
            }
        }
    }
}

fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|&b| b == b':')?;
    let key = &line[..colon];
    let token = |b: &u8| b.is_ascii_alphanumeric() || *b == b'-';
    (!key.is_empty() && key.iter().all(token)).then(|| (key, &line[colon + 1..]))
}

/// Whether a header line may begin like this.
fn could_begin(line: &[u8]) -> bool {
    match line.iter().position(|&b| b == b':') {
        Some(_) => split(line).is_some(),
        None => line.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-'),
    }
}

/// How far to skip to what may be the next header: the next `Content-Length`, or nearly everything.
fn resume(bytes: &[u8]) -> usize {
    let found = bytes[1..].windows(KEY.len()).position(|window| window.eq_ignore_ascii_case(KEY));
    match found {
        Some(at) => at + 1,
        // The word may have been cut by the end of the chunk.
        None => {
            let keep = (1..KEY.len().min(bytes.len()))
                .rev()
                .find(|&n| bytes[bytes.len() - n..].eq_ignore_ascii_case(&KEY[..n]))
                .unwrap_or(0);
            bytes.len() - keep
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(body: &str) -> Vec<u8> {
        format!("Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }

    /// Feeds `bytes` in chunks; bodies as text, the rest by name.
    fn read(bytes: &[u8], chunk: usize) -> Vec<String> {
        let mut frames = Frames::default();
        let mut out = Vec::new();
        for chunk in bytes.chunks(chunk.max(1)) {
            frames.buffer().extend_from_slice(chunk);
            while let Some(frame) = frames.next() {
                out.push(match frame {
                    Frame::Body(body) => String::from_utf8_lossy(body).into_owned(),
                    Frame::Garbage => "<garbage>".to_owned(),
                    Frame::Oversized => "<oversized>".to_owned(),
                });
            }
        }
        out
    }

    #[test]
    fn bad_headers_cost_themselves_and_not_the_next_message() {
        for (bad, expected) in [
            ("Content-Length: many\r\n\r\n{}", "<garbage>"),
            ("Content-Length: -1\r\n\r\n", "<garbage>"),
            ("Content-Type: x\r\n\r\n", "<garbage>"),
            ("no header at all\r\n\r\n", "<garbage>"),
            ("\u{1}\u{2}\u{ff}", "<garbage>"),
            ("{\"jsonrpc\":\"2.0\"}\n", "<garbage>"),
            ("\r\n\r\n", "<garbage>"),
        ] {
            let bytes = [frame("one"), bad.as_bytes().to_vec(), frame("two")].concat();
            for chunk in [1, 2, 7, 1000] {
                assert_eq!(read(&bytes, chunk), ["one", expected, "two"], "{bad:?} in chunks of {chunk}");
            }
        }
    }

    #[test]
    fn other_headers_order_and_case_do_not_matter() {
        let bytes = b"content-type: application/vscode-jsonrpc; charset=utf-8\r\nCONTENT-LENGTH:2\r\n\r\n{}Content-Length: 3\n\nabc";
        assert_eq!(read(bytes, 5), ["{}", "abc"]);
    }

    #[test]
    fn a_message_that_is_too_long_is_skipped_without_being_kept() {
        let mut frames = Frames::default();
        let body = FRAME_BYTES_MAX + 1;
        frames.buffer().extend_from_slice(format!("Content-Length: {body}\r\n\r\n").as_bytes());
        assert_eq!(frames.next(), Some(Frame::Oversized));
        let mut left = body;
        while left > 0 {
            let n = left.min(1 << 20);
            frames.buffer().extend(std::iter::repeat_n(b'x', n));
            assert_eq!(frames.next(), None);
            assert!(frames.buffer.capacity() < 8 << 20);
            left -= n;
        }
        frames.buffer().extend_from_slice(&frame("after"));
        assert_eq!(frames.next(), Some(Frame::Body(b"after")));
    }

    proptest! {
        #[test]
        fn any_chunks_give_the_same_messages(bodies in proptest::collection::vec("[ -~\u{e9}\u{1f600}\n]{1,40}", 0..8), chunk in 1usize..64) {
            let bytes: Vec<u8> = bodies.iter().flat_map(|body| frame(body)).collect();
            prop_assert_eq!(read(&bytes, chunk), bodies);
        }

        #[test]
        fn after_any_noise_a_message_is_found_again(noise in proptest::collection::vec(any::<u8>(), 0..200), chunk in 1usize..64) {
            // A noise that is itself a header would swallow what follows, as it says it does.
            prop_assume!(!noise.to_ascii_lowercase().windows(KEY.len()).any(|w| w == KEY));
            let bytes = [noise, b"\r\n\r\n".to_vec(), frame("found"), frame("again")].concat();
            let read = read(&bytes, chunk);
            prop_assert!(read.ends_with(&["found".to_owned(), "again".to_owned()]), "{:?}", read);
        }
    }
}
