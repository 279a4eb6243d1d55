//! What `git blame --porcelain` printed, taken apart: entries in the order of the lines, and what it said of
//! each commit.
//!
//! Bytes all the way: names and texts are whatever the repository holds.

use std::collections::HashMap;

/// git's answer.
#[derive(Debug, Default)]
pub(super) struct Told<'a> {
    /// One a line, in order.
    pub(super) entries: Vec<Entry<'a>>,
    /// Of each commit, the lines that git printed at its first mention.
    pub(super) commits: HashMap<&'a [u8], Vec<&'a [u8]>>,
}

/// A line as git tells it.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    /// The commit it came with; all zeros where it is not committed.
    pub(super) commit: &'a [u8],
    /// Its number there.
    pub(super) there: usize,
    /// Its number here.
    pub(super) here: usize,
    /// Whether a group of lines begins with it.
    pub(super) begins: bool,
    /// What git printed of it besides.
    pub(super) headers: Vec<&'a [u8]>,
    /// Without the line end.
    pub(super) text: &'a [u8],
}

impl<'a> Told<'a> {
    /// Reads it. What is no entry is left out.
    pub(super) fn read(bytes: &'a [u8]) -> Told<'a> {
        let mut told = Told::default();
        let mut open: Option<Entry<'a>> = None;
        for line in bytes.split(|byte| *byte == b'\n') {
            match open.take() {
                None => open = entry(line),
                Some(mut entry) => match line.strip_prefix(b"\t") {
                    Some(text) => {
                        entry.text = text;
                        if entry.headers.iter().any(|header| header.starts_with(b"author ")) {
                            told.commits.entry(entry.commit).or_insert_with(|| entry.headers.clone());
                        }
                        told.entries.push(entry);
                    }
                    None => {
                        entry.headers.push(line);
                        open = Some(entry);
                    }
                },
            }
        }
        told
    }

    /// Returns a field of a commit: `author`, `author-time`.
    pub(super) fn of_commit(&self, commit: &str, field: &str) -> Option<String> {
        let field = format!("{field} ");
        let headers = self.commits.get(commit.as_bytes())?;
        let value = headers.iter().find_map(|header| header.strip_prefix(field.as_bytes()))?;
        Some(String::from_utf8_lossy(value).into_owned())
    }
}

fn entry(line: &[u8]) -> Option<Entry<'_>> {
    let mut words = line.split(|byte| *byte == b' ');
    let commit = words.next().filter(|word| matches!(word.len(), 40 | 64))?;
    let mut number = || std::str::from_utf8(words.next()?).ok()?.parse().ok();
    let (there, here) = (number()?, number()?);
    Some(Entry { commit, there, here, begins: number().is_some(), headers: Vec::new(), text: b"" })
}
