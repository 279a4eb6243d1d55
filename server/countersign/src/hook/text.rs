//! A file's bytes before and after a call: what git calls them, whether they are text, which lines differ.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use countersign_event::digest::hex;
use countersign_event::payload::edit::Hunk;
use sha1::{Digest, Sha1};
use similar::{Algorithm, DiffOp, capture_diff_slices};

/// Files larger than this are not read on an agent's path.
pub(super) const FILE_BYTES_MAX: u64 = 8 << 20;

/// More lines than this on both sides of a change are one hunk: comparing them takes too long.
const DIFF_LINES_MAX: usize = 20_000;

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
        let head = format!("blob {}\0", bytes.len());
        Some(match sha256 {
            true => hex(&countersign_event::digest::sha256_parts(&[head.as_bytes(), bytes])),
            false => hex(&Sha1::new().chain_update(head).chain_update(bytes).finalize()),
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

/// Returns the changed runs of lines as a unified diff without context writes them, and how many bytes
/// are new.
pub(super) fn hunks(before: &str, after: &str) -> (Vec<Hunk>, u64) {
    let (old, new): (Vec<&str>, Vec<&str>) =
        (before.split_inclusive('\n').collect(), after.split_inclusive('\n').collect());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let (old_mid, new_mid) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
    let mut runs: Vec<(usize, usize, usize, usize)> = Vec::new();
    if old_mid.len() + new_mid.len() > DIFF_LINES_MAX {
        runs.push((0, old_mid.len(), 0, new_mid.len()));
    } else {
        for op in capture_diff_slices(Algorithm::Myers, old_mid, new_mid) {
            if let DiffOp::Equal { .. } = op {
                continue;
            }
            let (old, new) = (op.old_range(), op.new_range());
            match runs.last_mut() {
                Some(last) if last.0 + last.1 == old.start && last.2 + last.3 == new.start => {
                    last.1 += old.len();
                    last.3 += new.len();
                }
                _ => runs.push((old.start, old.len(), new.start, new.len())),
            }
        }
    }
    let inserted = runs.iter().flat_map(|run| &new_mid[run.2..run.2 + run.3]).map(|line| line.len() as u64).sum();
    // Of an empty run, a unified diff names the line before.
    let start = |at: usize, lines: usize| u32::try_from(at + head + usize::from(lines > 0)).unwrap_or(u32::MAX);
    let count = |lines: usize| u32::try_from(lines).unwrap_or(u32::MAX);
    let hunks = runs.iter().map(|&(old_at, old_lines, new_at, new_lines)| Hunk {
        old_start: start(old_at, old_lines),
        old_lines: count(old_lines),
        new_start: start(new_at, new_lines),
        new_lines: count(new_lines),
    });
    (hunks.collect(), inserted)
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
    fn hunks_are_numbered_as_a_unified_diff_without_context_numbers_them() {
        let check = |before: &str, after: &str| {
            let (hunks, inserted) = hunks(before, after);
            let text: Vec<String> = hunks
                .iter()
                .map(|h| format!("-{},{} +{},{}", h.old_start, h.old_lines, h.new_start, h.new_lines))
                .collect();
            (text.join(" "), inserted)
        };
        assert_eq!(check("", "a\nb\n"), ("-0,0 +1,2".to_owned(), 4));
        assert_eq!(check("a\n", ""), ("-1,1 +0,0".to_owned(), 0));
        assert_eq!(check("a\nb\nc\n", "a\nX\nc\n"), ("-2,1 +2,1".to_owned(), 2));
        assert_eq!(check("a\nb\n", "a\nb\nc\n"), ("-2,0 +3,1".to_owned(), 2));
        assert_eq!(check("a\nb\nc\nd\n", "A\nb\nc\nD\n"), ("-1,1 +1,1 -4,1 +4,1".to_owned(), 4));
        assert_eq!(check("same\n", "same\n"), (String::new(), 0));
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
