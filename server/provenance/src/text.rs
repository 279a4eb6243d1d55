//! The text of one document, and the only place where positions of an editor become bytes.
//!
//! Lines end at LF, CRLF and CR and nowhere else. A change that does not fit the text is an error
//! and leaves the text as it was: guessing would put words into somebody's mouth.

mod change;
mod encoding;

use std::fmt;
use std::ops::Range;

use countersign_event::facts;
use ropey::Rope;

pub(crate) use change::lines as lines_of;
pub use change::{Change, ChangeError, Edit};
pub use encoding::Encoding;

/// A text that is cheap to clone (O(1)) and to edit (O(log n)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    rope: Rope,
}

impl Text {
    /// Copies a text.
    pub fn new(text: &str) -> Self {
        Text { rope: Rope::from_str(text) }
    }

    /// Returns the length in UTF-8 bytes.
    pub fn len_bytes(&self) -> usize {
        self.rope.len_bytes()
    }

    /// Returns the number of lines: line ends + 1, so an empty text has one.
    pub fn line_count(&self) -> usize {
        self.rope.len_lines()
    }

    /// Returns the byte at which a line begins; the end of the text for the line after the last.
    ///
    /// # Errors
    /// [`ChangeError::LinePastEnd`].
    pub fn line_start(&self, line: usize) -> Result<usize, ChangeError> {
        self.rope
            .try_line_to_byte(line)
            .map_err(|_| ChangeError::LinePastEnd { line: line as u64, lines: self.line_count() as u64 })
    }

    /// Returns the line a byte stands in.
    ///
    /// # Panics
    /// If `byte` lies past the end.
    pub fn line_of(&self, byte: usize) -> usize {
        self.rope.byte_to_line(byte)
    }

    /// Returns the byte at a position. A character past the line's end means the line's end, and the
    /// start of the line after the last means the text's end, as editors use both.
    ///
    /// # Errors
    /// A line past the end, or a position inside a character.
    pub fn byte_at(&self, position: facts::Position, encoding: Encoding) -> Result<usize, ChangeError> {
        let lines = self.line_count();
        let line = position.line as usize;
        if line == lines && position.character == 0 {
            return Ok(self.len_bytes());
        }
        if line >= lines {
            return Err(ChangeError::LinePastEnd { line: line as u64, lines: lines as u64 });
        }
        let column = encoding.column_to_byte(self.rope.line(line), position.character as usize);
        match column {
            Some(column) => Ok(self.rope.line_to_byte(line) + column),
            None => Err(ChangeError::InsideCharacter { position }),
        }
    }

    /// Returns the position of a byte; of its character's first byte if it stands inside one.
    ///
    /// # Panics
    /// If `byte` lies past the end.
    pub fn position(&self, byte: usize, encoding: Encoding) -> facts::Position {
        let line = self.rope.byte_to_line(byte);
        let column = byte - self.rope.line_to_byte(line);
        facts::Position {
            line: clamp_u32(line),
            character: clamp_u32(encoding.byte_to_column(self.rope.line(line), column)),
        }
    }

    /// Returns the range of two bytes, in UTF-16, as events record it.
    ///
    /// # Panics
    /// If the range ends past the end.
    pub fn range(&self, bytes: Range<usize>) -> facts::Range {
        facts::Range {
            start: self.position(bytes.start, Encoding::Utf16),
            end: self.position(bytes.end, Encoding::Utf16),
        }
    }

    /// Copies a part of the text. A border inside a character moves to the character's start.
    ///
    /// # Panics
    /// If the range is reversed or ends past the end.
    pub fn slice(&self, bytes: Range<usize>) -> String {
        let chars = self.rope.byte_to_char(bytes.start)..self.rope.byte_to_char(bytes.end);
        self.rope.slice(chars).into()
    }

    /// Says whether a byte begins a character or is the end of the text.
    pub fn is_border(&self, byte: usize) -> bool {
        byte <= self.len_bytes() && self.rope.char_to_byte(self.rope.byte_to_char(byte)) == byte
    }

    /// Applies a change, and says what it really changed: parts of the replacement that were there
    /// before are no edit. The edits are in the order in which they apply, each against the result
    /// of the one before.
    ///
    /// # Errors
    /// A range that does not fit the text; then nothing has changed.
    pub fn apply(&mut self, change: &Change, encoding: Encoding) -> Result<Vec<Edit>, ChangeError> {
        let replaced = match change.range {
            Some(range) => {
                let start = self.byte_at(range.start, encoding)?;
                let end = self.byte_at(range.end, encoding)?;
                if start > end {
                    return Err(ChangeError::Reversed { range });
                }
                start..end
            }
            None => 0..self.len_bytes(),
        };
        Ok(self.replace(replaced, &change.text))
    }

    /// Replaces bytes, as [`Text::apply`] does. A border inside a character moves to its start.
    ///
    /// # Panics
    /// If the range is reversed or ends past the end.
    pub fn replace(&mut self, replaced: Range<usize>, text: &str) -> Vec<Edit> {
        let chars = self.rope.byte_to_char(replaced.start)..self.rope.byte_to_char(replaced.end);
        if chars.is_empty() {
            return self.splice(replaced.start, chars, text).into_iter().collect();
        }
        let trimmed = change::trim(self.rope.slice(chars.clone()), text);
        let old = replaced.start + trimmed.prefix..replaced.end - trimmed.suffix;
        let new = &text[trimmed.prefix..text.len() - trimmed.suffix];
        let hunks = if change::is_one_hunk(old.len(), new) {
            vec![(0..old.len(), 0..new.len())]
        } else {
            change::hunks(&self.slice(old.clone()), new)
        };
        let mut edits = Vec::with_capacity(hunks.len());
        let mut shift = old.start as isize;
        for (gone, come) in hunks {
            let start = gone.start.wrapping_add_signed(shift);
            let end = gone.end.wrapping_add_signed(shift);
            let chars = self.rope.byte_to_char(start)..self.rope.byte_to_char(end);
            shift += come.len() as isize - gone.len() as isize;
            edits.extend(self.splice(start, chars, &new[come]));
        }
        edits
    }

    fn splice(&mut self, start: usize, chars: Range<usize>, text: &str) -> Option<Edit> {
        let before = self.rope.len_bytes();
        if !chars.is_empty() {
            self.rope.remove(chars.clone());
        }
        let deleted = before - self.rope.len_bytes();
        if !text.is_empty() {
            self.rope.insert(chars.start, text);
        }
        (deleted > 0 || !text.is_empty()).then_some(Edit { start, deleted, inserted: text.len() })
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rope.chunks().try_for_each(|chunk| f.write_str(chunk))
    }
}

fn clamp_u32(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
