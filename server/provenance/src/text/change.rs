//! From what an editor sent to what really changed.
//!
//! An editor may replace a word, a line or the whole text to change one letter of it. Whoever wrote
//! the rest stays its writer, so every replacement is compared with what it replaces: equal ends
//! first, then lines, then the tokens inside lines that differ. Work is bounded by size.

use std::ops::Range;

use countersign_event::facts;
use ropey::RopeSlice;

use crate::tokens::{self, Interner};

/// One change of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What it replaces; the whole text if it has none.
    pub range: Option<facts::Range>,
    /// What stands there afterwards.
    pub text: String,
}

/// One replacement in bytes: `deleted` bytes at `start` made room for `inserted`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    /// Where it begins.
    pub start: usize,
    /// How many bytes went.
    pub deleted: usize,
    /// How many bytes came.
    pub inserted: usize,
}

/// Why a change does not fit a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeError {
    /// It names a line that is not there.
    LinePastEnd {
        /// The line, from 0.
        line: u64,
        /// How many there are.
        lines: u64,
    },
    /// It points between the parts of one character.
    InsideCharacter {
        /// The position.
        position: facts::Position,
    },
    /// It ends before it begins.
    Reversed {
        /// The range.
        range: facts::Range,
    },
}

impl std::error::Error for ChangeError {}

impl std::fmt::Display for ChangeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ChangeError::LinePastEnd { line, lines } => {
                write!(f, "line {line} (from 0) of a text of {lines} lines")
            }
            ChangeError::InsideCharacter { position } => {
                write!(f, "{}:{} is inside a character", position.line, position.character)
            }
            ChangeError::Reversed { range } => write!(
                f,
                "the range {}:{}-{}:{} ends before it begins",
                range.start.line, range.start.character, range.end.line, range.end.character
            ),
        }
    }
}

/// Above this many bytes a replacement inside differing lines is taken as it is.
const MAX_TOKEN_HUNK: usize = 256 * 1024;

pub(super) struct Trimmed {
    pub(super) prefix: usize,
    pub(super) suffix: usize,
}

/// Finds what two texts have in common at both ends, never cutting a character or a CRLF.
pub(super) fn trim(old: RopeSlice<'_>, new: &str) -> Trimmed {
    let bytes = new.as_bytes();
    let mut prefix = 0;
    for chunk in old.chunks() {
        let equal = common_prefix(chunk.as_bytes(), &bytes[prefix..]);
        prefix += equal;
        if equal < chunk.len() {
            break;
        }
    }
    while !new.is_char_boundary(prefix) {
        prefix -= 1;
    }
    let old_next = (prefix < old.len_bytes()).then(|| old.byte(prefix));
    let new_next = bytes.get(prefix).copied();
    if old_next.is_none() && new_next.is_none() {
        return Trimmed { prefix, suffix: 0 };
    }
    if prefix > 0 && bytes[prefix - 1] == b'\r' && (old_next == Some(b'\n') || new_next == Some(b'\n')) {
        prefix -= 1;
    }

    let most = (old.len_bytes() - prefix).min(bytes.len() - prefix);
    let mut suffix = 0;
    let (mut chunks, ..) = old.chunks_at_byte(old.len_bytes());
    // `chunks_at_byte` stands before the chunk that holds the byte, which at the end is the last one.
    while chunks.next().is_some() {}
    while let Some(chunk) = chunks.prev() {
        let equal = common_suffix(chunk.as_bytes(), &bytes[prefix..bytes.len() - suffix]);
        suffix += equal;
        if equal < chunk.len() {
            break;
        }
    }
    suffix = suffix.min(most);
    while !new.is_char_boundary(bytes.len() - suffix) {
        suffix -= 1;
    }
    if suffix > 0 && bytes[bytes.len() - suffix] == b'\n' {
        let old_before = old.len_bytes().checked_sub(suffix + 1).map(|at| old.byte(at));
        let new_before = bytes.len().checked_sub(suffix + 1).map(|at| bytes[at]);
        if old_before == Some(b'\r') || new_before == Some(b'\r') {
            suffix -= 1;
        }
    }
    Trimmed { prefix, suffix }
}

/// Says whether a trimmed replacement needs no further look: nothing went, nothing came, or it is
/// what a person replaces with one key.
pub(super) fn is_one_hunk(gone: usize, new: &str) -> bool {
    gone == 0 || new.is_empty() || (gone < 16 && new.len() < 16)
}

/// Returns the parts of `old` that were replaced and what came in their place, in order.
pub(super) fn hunks(old: &str, new: &str) -> Vec<(Range<usize>, Range<usize>)> {
    let (old_lines, new_lines) = (lines(old), lines(new));
    let mut interner = Interner::default();
    let old_keys: Vec<u32> = old_lines.iter().map(|line| interner.key(&old[line.clone()])).collect();
    let new_keys: Vec<u32> = new_lines.iter().map(|line| interner.key(&new[line.clone()])).collect();
    let start_of = |lines: &[Range<usize>], at: usize, text: &str| lines.get(at).map_or(text.len(), |l| l.start);

    let mut found = Vec::new();
    let (mut o, mut n) = (0, 0);
    let mut close = |gone: Range<usize>, come: Range<usize>| {
        within_lines(old, gone, new, come, &mut found);
    };
    for run in tokens::align(&old_keys, &new_keys, 1).0 {
        let (old_start, new_start) = (start_of(&old_lines, run.old, old), start_of(&new_lines, run.new, new));
        close(o..old_start, n..new_start);
        o = start_of(&old_lines, run.old + run.len, old);
        n = start_of(&new_lines, run.new + run.len, new);
    }
    close(o..old.len(), n..new.len());
    found
}

/// Splits a hunk of differing lines by the runs of tokens that both sides have.
fn within_lines(
    old: &str,
    gone: Range<usize>,
    new: &str,
    come: Range<usize>,
    found: &mut Vec<(Range<usize>, Range<usize>)>,
) {
    let mut push = |gone: Range<usize>, come: Range<usize>| {
        if old[gone.clone()] != new[come.clone()] {
            let same = trim(RopeSlice::from(&old[gone.clone()]), &new[come.clone()]);
            found.push((
                gone.start + same.prefix..gone.end - same.suffix,
                come.start + same.prefix..come.end - same.suffix,
            ));
        }
    };
    if gone.is_empty() || come.is_empty() || gone.len() + come.len() > MAX_TOKEN_HUNK {
        return push(gone, come);
    }
    let old_tokens = tokens::split(&old[gone.clone()]);
    let new_tokens = tokens::split(&new[come.clone()]);
    let (mut o, mut n) = (gone.start, come.start);
    for run in tokens::runs(&old[gone.clone()], &old_tokens, &new[come.clone()], &new_tokens) {
        for i in 0..run.len {
            let (a, b) = (&old_tokens[run.old + i], &new_tokens[run.new + i]);
            push(o..gone.start + a.start, n..come.start + b.start);
            o = gone.start + a.end;
            n = come.start + b.end;
        }
    }
    push(o..gone.end, n..come.end);
}

/// Splits a text into lines with their ends.
pub(crate) fn lines(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut lines = Vec::new();
    let mut start = 0;
    for at in 0..bytes.len() {
        if bytes[at] == b'\n' || (bytes[at] == b'\r' && bytes.get(at + 1) != Some(&b'\n')) {
            lines.push(start..at + 1);
            start = at + 1;
        }
    }
    if start < bytes.len() {
        lines.push(start..bytes.len());
    }
    lines
}

fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let n = a.len().min(b.len());
    if a[..n] == b[..n] { n } else { a.iter().zip(b).take_while(|(a, b)| a == b).count() }
}

fn common_suffix(a: &[u8], b: &[u8]) -> usize {
    let n = a.len().min(b.len());
    if a[a.len() - n..] == b[b.len() - n..] {
        n
    } else {
        a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count()
    }
}
