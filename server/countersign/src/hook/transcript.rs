//! A client's own session file, read beside it while it is being written: it may be missing, end in the
//! middle of a line, or be larger than there is time for.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Bytes read when a turn is over.
pub(super) const TURN_BYTES_MAX: u64 = 8 << 20;
/// Bytes read after each call: it stands near the end.
pub(super) const CALL_BYTES_MAX: u64 = 1 << 20;

/// Whole lines of a session file.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Lines {
    /// The lines.
    pub(super) text: String,
    /// Where in the file they end.
    pub(super) end: u64,
    /// How many bytes before them were passed over.
    pub(super) passed_over: u64,
}

/// Reads whole lines from `from` on; of more than `limit` bytes only the end.
pub(super) fn lines(path: &Path, from: u64, limit: u64) -> Lines {
    let nothing = Lines { text: String::new(), end: from, passed_over: 0 };
    let Ok(mut file) = File::open(path) else { return nothing };
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    // A file that is shorter than we had read was written anew.
    let from = if length < from { 0 } else { from };
    let mut start = from.max(length.saturating_sub(limit));
    let mut bytes = Vec::new();
    // One byte more, to see whether it starts with a line.
    let seek = start.saturating_sub(1);
    if file.seek(SeekFrom::Start(seek)).is_err() || file.take(limit + 1).read_to_end(&mut bytes).is_err() {
        return nothing;
    }
    let mut first = 0;
    if start > 0 {
        match bytes.iter().position(|&byte| byte == b'\n') {
            Some(end) => first = end + 1,
            None => return nothing,
        }
        start = seek + first as u64;
    }
    let last = bytes.iter().rposition(|&byte| byte == b'\n').map_or(first, |end| (end + 1).max(first));
    Lines {
        text: String::from_utf8_lossy(&bytes[first..last]).into_owned(),
        end: seek + last as u64,
        passed_over: start.saturating_sub(from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_are_read_and_reading_goes_on_where_it_ended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t");
        assert_eq!(lines(&path, 0, TURN_BYTES_MAX), Lines::default());
        std::fs::write(&path, "one\ntwo\nhal").unwrap();
        let first = lines(&path, 0, TURN_BYTES_MAX);
        assert_eq!((first.text.as_str(), first.end, first.passed_over), ("one\ntwo\n", 8, 0));
        std::fs::write(&path, "one\ntwo\nhalf\n").unwrap();
        let second = lines(&path, first.end, TURN_BYTES_MAX);
        assert_eq!((second.text.as_str(), second.end, second.passed_over), ("half\n", 13, 0));
        assert_eq!(lines(&path, 13, TURN_BYTES_MAX).text, "");
        std::fs::write(&path, "new\n").unwrap();
        assert_eq!(lines(&path, 13, TURN_BYTES_MAX).text, "new\n");
    }

    #[test]
    fn of_a_huge_file_the_end_is_read_and_the_rest_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t");
        let line = "x".repeat(999) + "\n";
        std::fs::write(&path, line.repeat(9_000)).unwrap();
        let read = lines(&path, 0, TURN_BYTES_MAX);
        assert_eq!(read.end, 9_000_000);
        assert_eq!(read.passed_over + read.text.len() as u64, 9_000_000);
        assert!(read.text.len() as u64 <= TURN_BYTES_MAX && read.text.starts_with('x'));
    }
}
