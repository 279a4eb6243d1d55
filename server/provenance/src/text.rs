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
        self.locate(position, encoding).map(|place| place.byte)
    }

    fn locate(&self, position: facts::Position, encoding: Encoding) -> Result<Place, ChangeError> {
        let lines = self.line_count();
        let line = position.line as usize;
        if line == lines && position.character == 0 {
            return Ok(Place { byte: self.len_bytes(), char: self.rope.len_chars() });
        }
        if line >= lines {
            return Err(ChangeError::LinePastEnd { line: line as u64, lines: lines as u64 });
        }
        let content = self.rope.line(line);
        let column = encoding
            .column_to_byte(content, position.character as usize)
            .ok_or(ChangeError::InsideCharacter { position })?;
        let char = if content.len_chars() == content.len_bytes() { column } else { content.byte_to_char(column) };
        Ok(Place { byte: self.rope.line_to_byte(line) + column, char: self.rope.line_to_char(line) + char })
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

    /// Says whether a part of the text is white space or empty; ends at the first sign.
    ///
    /// # Panics
    /// If the range is reversed or ends past the end.
    pub fn is_blank(&self, bytes: Range<usize>) -> bool {
        self.rope.byte_slice(bytes).chars().all(char::is_whitespace)
    }

    /// Returns the lines that a part of the text touches, whole and in order; an empty part touches none.
    ///
    /// # Panics
    /// If the range ends past the end.
    pub fn lines_in(&self, bytes: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let lines = match bytes.is_empty() {
            true => 0..0,
            false => self.line_of(bytes.start)..self.line_of(bytes.end - 1) + 1,
        };
        let start = |line: usize| self.line_start(line).unwrap_or(self.len_bytes());
        lines.map(move |line| start(line)..start(line + 1))
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
        let (start, end) = match change.range {
            Some(range) => {
                let start = self.locate(range.start, encoding)?;
                let end = if range.end == range.start { start } else { self.locate(range.end, encoding)? };
                if start.byte > end.byte {
                    return Err(ChangeError::Reversed { range });
                }
                (start, end)
            }
            None => (Place::default(), Place { byte: self.len_bytes(), char: self.rope.len_chars() }),
        };
        Ok(self.replace_between(start, end, &change.text))
    }

    /// Replaces bytes, as [`Text::apply`] does. A border inside a character moves to its start.
    ///
    /// # Panics
    /// If the range is reversed or ends past the end.
    pub fn replace(&mut self, replaced: Range<usize>, text: &str) -> Vec<Edit> {
        let [start, end] = [replaced.start, replaced.end].map(|byte| self.place(byte));
        self.replace_between(start, end, text)
    }

    fn replace_between(&mut self, start: Place, end: Place, text: &str) -> Vec<Edit> {
        if start.byte == end.byte {
            return self.splice(start, end, text).into_iter().collect();
        }
        let trimmed = change::trim(self.rope.slice(start.char..end.char), text);
        let old = start.byte + trimmed.prefix..end.byte - trimmed.suffix;
        let new = &text[trimmed.prefix..text.len() - trimmed.suffix];
        let hunks = if change::is_one_hunk(old.len(), new) {
            vec![(0..old.len(), 0..new.len())]
        } else {
            change::hunks(&self.slice(old.clone()), new)
        };
        let mut edits = Vec::with_capacity(hunks.len());
        let mut shift = old.start as isize;
        for (gone, come) in hunks {
            let [start, end] = [gone.start, gone.end].map(|byte| self.place(byte.wrapping_add_signed(shift)));
            shift += come.len() as isize - gone.len() as isize;
            edits.extend(self.splice(start, end, &new[come]));
        }
        edits
    }

    fn splice(&mut self, start: Place, end: Place, text: &str) -> Option<Edit> {
        let deleted = end.byte - start.byte;
        if deleted > 0 {
            self.rope.remove(start.char..end.char);
        }
        if !text.is_empty() {
            self.rope.insert(start.char, text);
        }
        let edit = Edit { start: start.byte, deleted, inserted: text.len() };
        (deleted > 0 || !text.is_empty()).then_some(edit)
    }

    /// Returns the start of the character a byte is in.
    fn place(&self, byte: usize) -> Place {
        let char = self.rope.byte_to_char(byte);
        Place { byte: self.rope.char_to_byte(char), char }
    }
}

/// The same place as the rope counts and as everybody else does.
#[derive(Clone, Copy, Default)]
struct Place {
    byte: usize,
    char: usize,
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
