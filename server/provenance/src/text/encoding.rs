//! Columns: what one step to the right is, by the encoding an editor negotiated.

use ropey::RopeSlice;

/// What an editor counts in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Bytes.
    Utf8,
    /// UTF-16 code units, the protocol's default.
    Utf16,
    /// Characters.
    Utf32,
}

impl Encoding {
    /// Returns the byte of a column, the line's end for a column past it, and nothing for a column
    /// inside a character.
    pub(super) fn column_to_byte(self, line: RopeSlice<'_>, column: usize) -> Option<usize> {
        let end = end_of(line);
        // Where every character is a byte, every encoding counts the same.
        if line.len_chars() == line.len_bytes() {
            return Some(column.min(end));
        }
        let byte = match self {
            Encoding::Utf8 if column >= end => end,
            Encoding::Utf8 => {
                let byte = line.char_to_byte(line.byte_to_char(column));
                (byte == column).then_some(byte)?
            }
            Encoding::Utf16 if column >= line.len_utf16_cu() => end,
            Encoding::Utf16 => {
                let char = line.utf16_cu_to_char(column);
                (line.char_to_utf16_cu(char) == column).then(|| line.char_to_byte(char))?
            }
            Encoding::Utf32 if column >= line.len_chars() => end,
            Encoding::Utf32 => line.char_to_byte(column),
        };
        Some(byte.min(end))
    }

    /// Returns the column of a byte of the line, of its character's start if it stands inside one.
    pub(super) fn byte_to_column(self, line: RopeSlice<'_>, byte: usize) -> usize {
        if line.len_chars() == line.len_bytes() {
            return byte;
        }
        let char = line.byte_to_char(byte);
        match self {
            Encoding::Utf8 => line.char_to_byte(char),
            Encoding::Utf16 => line.char_to_utf16_cu(char),
            Encoding::Utf32 => char,
        }
    }
}

/// Returns the length of a line without its line end.
fn end_of(line: RopeSlice<'_>) -> usize {
    let len = line.len_bytes();
    match len.checked_sub(1).map(|last| line.byte(last)) {
        Some(b'\n') if len >= 2 && line.byte(len - 2) == b'\r' => len - 2,
        Some(b'\n' | b'\r') => len - 1,
        _ => len,
    }
}
