//! A file's text, or why it has none.
//!
//! It must never wait for what is no file, nor hold more than its bound.

use std::fmt;
use std::io::Read;
use std::path::Path;

/// Longest file that is read. Code is shorter, and secrets stand in files that are.
pub(super) const BYTES_MAX: u64 = 32 << 20;
/// A text has no NUL this far.
const LOOK_BYTES: usize = 8192;

/// Why a file was not judged, or not wholly.
#[derive(Debug, PartialEq)]
pub(super) enum Left {
    /// No text.
    Binary,
    /// A device, a pipe, a socket.
    NoFile,
    /// Longer than what is read.
    TooLong,
    /// Reading failed.
    Unreadable(String),
    /// Longer than code is judged; secrets were looked for.
    CodeTooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The parser gave up.
    Unparsable,
    /// Nested too deep in places.
    Partly,
    /// A rule failed.
    Failed,
}

impl Left {
    /// Tells whether nothing of the file was judged.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self, Self::Binary | Self::NoFile | Self::TooLong | Self::Unreadable(_) | Self::Failed)
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Binary => f.write_str("not judged: no text"),
            Self::NoFile => f.write_str("not judged: no file"),
            Self::TooLong => write!(f, "not judged: longer than {BYTES_MAX} bytes"),
            Self::Unreadable(error) => write!(f, "not judged: {error}"),
            Self::CodeTooLong { bytes, bytes_max } => {
                write!(f, "judged for secrets only: {bytes} bytes, and code is judged up to {bytes_max}")
            }
            Self::Unparsable => f.write_str("judged for secrets only: the parser can make nothing of it"),
            Self::Partly => f.write_str("judged in part: some of it nests too deep or holds too much"),
            Self::Failed => f.write_str("not judged: a rule failed on it, please report that"),
        }
    }
}

/// Reads the file at `path`.
pub(super) fn read_text(path: &Path) -> Result<String, Left> {
    let unreadable = |error: std::io::Error| Left::Unreadable(error.to_string());
    // Opening a pipe waits for its other end.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(Left::NoFile);
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    text_of(bytes)
}

/// Makes text of bytes. What is not UTF-8 in it is replaced: places stay those a person sees.
pub(super) fn text_of(bytes: Vec<u8>) -> Result<String, Left> {
    if bytes.len() as u64 > BYTES_MAX {
        return Err(Left::TooLong);
    }
    let utf16 = |pair: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes[2..].chunks_exact(2).map(|unit| pair([unit[0], unit[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    match &bytes[..] {
        [0xff, 0xfe, ..] => return Ok(utf16(u16::from_le_bytes)),
        [0xfe, 0xff, ..] => return Ok(utf16(u16::from_be_bytes)),
        _ => {}
    }
    if bytes[..bytes.len().min(LOOK_BYTES)].contains(&0) {
        return Err(Left::Binary);
    }
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}
