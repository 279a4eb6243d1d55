//! A file's bytes before and after a call: what git calls them, whether they are text, which lines differ.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use countersign_event::digest::{git_blob, hex, sha256_parts};
use countersign_event::payload::edit::Hunk;
use countersign_provenance::hunks::hunks;

/// Files larger than this are not read on an agent's path.
pub(super) const FILE_BYTES_MAX: u64 = 8 << 20;

/// A file at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// There is none.
    Absent,
    /// These are its bytes.
    Bytes(Vec<u8>),
    /// There is one, and nobody read it.
    Unread,
}

impl Content {
    /// Reads a file; a symbolic link's text is where it points, as git has it.
    pub(super) fn read(path: &Path) -> Content {
        let Ok(metadata) = path.symlink_metadata() else { return Content::Absent };
        if metadata.is_symlink() {
            let target = std::fs::read_link(path).map(|target| target.to_string_lossy().into_owned().into_bytes());
            return target.map_or(Content::Unread, Content::Bytes);
        }
        if !metadata.is_file() {
            // A directory, or something that would wait for a writer.
            return if metadata.is_dir() { Content::Absent } else { Content::Unread };
        }
        let mut bytes = Vec::new();
        match File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)) {
            Ok(_) if bytes.len() as u64 <= FILE_BYTES_MAX => Content::Bytes(bytes),
            Ok(_) => Content::Unread,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Content::Absent,
            Err(_) => Content::Unread,
        }
    }

    /// Returns the text where it is one: UTF-8 without NUL.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Content::Bytes(bytes) if !bytes.contains(&0) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// Returns git's name of it. `None` where there is no file or nobody read it.
    pub(super) fn blob(&self, sha256: bool) -> Option<String> {
        let Content::Bytes(bytes) = self else { return None };
        Some(match sha256 {
            true => hex(&sha256_parts(&[format!("blob {}\0", bytes.len()).as_bytes(), bytes])),
            false => git_blob(bytes),
        })
    }

    /// A text that somebody told, with the line ends that the file on disk has: agents tell LF whatever
    /// the file has.
    pub(super) fn told(text: &str, on_disk: &Content) -> Content {
        let crlf = on_disk.text().is_some_and(|disk| disk.contains("\r\n") && !lone_lf(disk));
        if crlf && !text.contains('\r') {
            return Content::Bytes(text.replace('\n', "\r\n").into_bytes());
        }
        Content::Bytes(text.as_bytes().to_vec())
    }

    /// Tells whether it is this text, whatever its line ends.
    pub(super) fn says(&self, text: &str) -> bool {
        self.text().is_some_and(|own| own == text || own.replace("\r\n", "\n") == text.replace("\r\n", "\n"))
    }
}

fn lone_lf(text: &str) -> bool {
    let bytes = text.as_bytes();
    (0..bytes.len()).any(|i| bytes[i] == b'\n' && (i == 0 || bytes[i - 1] != b'\r'))
}

/// Returns the changed runs of lines, and how many bytes of the new text are in them.
pub(super) fn changed(before: &str, after: &str) -> (Vec<Hunk>, u64) {
    let hunks = hunks(before, after);
    let lines: Vec<usize> = after.split_inclusive('\n').map(str::len).collect();
    let of = |hunk: &Hunk| -> usize {
        let first = (hunk.new_start as usize).saturating_sub(usize::from(hunk.new_lines > 0));
        lines.iter().skip(first).take(hunk.new_lines as usize).sum()
    };
    let inserted = hunks.iter().map(of).sum::<usize>() as u64;
    (hunks, inserted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_has_the_name_that_git_gives_it() {
        let hello = Content::Bytes(b"hello\n".to_vec());
        assert_eq!(hello.blob(false).unwrap(), "ce013625030ba8dba906f756967f9e9ca394464a");
        assert_eq!(hello.blob(true).unwrap(), "2cf8d83d9ee29543b34a87727421fdecb7e3f3a183d337639025de576db9ebb4");
        assert_eq!(Content::Absent.blob(false), None);
    }

    #[test]
    fn the_bytes_of_changed_lines_are_counted() {
        for (before, after, bytes) in
            [("", "a\nb\n", 4), ("a\n", "", 0), ("a\nb\nc\n", "a\nXY\nc\n", 3), ("a\n", "a\nb", 1), ("a\n", "a\n", 0)]
        {
            assert_eq!(changed(before, after).1, bytes, "{before:?} {after:?}");
        }
    }

    #[test]
    fn a_told_text_gets_the_line_ends_of_the_disk() {
        let disk = Content::Bytes(b"x\r\ny\r\n".to_vec());
        assert_eq!(Content::told("a\nb\n", &disk).text(), Some("a\r\nb\r\n"));
        assert!(disk.says("x\ny\n"));
        assert_eq!(Content::told("a\n", &Content::Bytes(b"x\r\ny\n".to_vec())).text(), Some("a\n"));
    }

    #[test]
    fn what_is_no_text_has_a_name_and_no_text() {
        let binary = Content::Bytes(vec![0, 159]);
        assert_eq!(binary.text(), None);
        assert!(binary.blob(false).is_some());
    }
}
