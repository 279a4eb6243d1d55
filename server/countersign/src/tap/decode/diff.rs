//! Parts of a file that were replaced, and diffs made of them.

/// So many pieces of one file are followed; what is larger is read from the file itself.
const MAX_PIECES: usize = 4096;

/// A part of a text and what replaced it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Piece {
    /// What stood there.
    pub(crate) old: String,
    /// What stands there now.
    pub(crate) new: String,
    /// The first line of both, from 1, where it is known.
    pub(crate) lines: Option<(usize, usize)>,
    /// It was replaced wherever it stood.
    pub(crate) everywhere: bool,
}

/// One file of a diff.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FileDiff {
    /// The path before; `None` where there was no file.
    pub(crate) old: Option<String>,
    /// The path after; `None` where there is no file.
    pub(crate) new: Option<String>,
    /// Its hunks.
    pub(crate) pieces: Vec<Piece>,
}

/// Reads the hunks of one file, whatever stands before them.
pub(crate) fn hunks(diff: &str) -> Vec<Piece> {
    let mut reader = Reader::default();
    for line in diff.split_inclusive('\n') {
        reader.line(line);
    }
    reader.finish()
}

/// Reads a diff of several files, as git writes it.
pub(crate) fn files(diff: &str) -> Vec<FileDiff> {
    let mut files: Vec<FileDiff> = Vec::new();
    let mut reader = Reader::default();
    let mut is_headed = false;
    for line in diff.split_inclusive('\n') {
        let bare = line.trim_end();
        if !reader.is_inside() {
            if bare.starts_with("diff --git ") {
                close(&mut files, &mut reader);
                files.push(FileDiff::default());
                is_headed = true;
            } else if let Some(path) = bare.strip_prefix("--- ") {
                if !std::mem::take(&mut is_headed) {
                    close(&mut files, &mut reader);
                    files.push(FileDiff::default());
                }
                if let Some(file) = files.last_mut() {
                    file.old = path_of(path, "a/");
                }
            } else if let Some(path) = bare.strip_prefix("+++ ")
                && let Some(file) = files.last_mut()
            {
                file.new = path_of(path, "b/");
            } else if let Some(path) = bare.strip_prefix("rename from ")
                && let Some(file) = files.last_mut()
            {
                file.old = Some(path.to_owned());
            } else if let Some(path) = bare.strip_prefix("rename to ")
                && let Some(file) = files.last_mut()
            {
                file.new = Some(path.to_owned());
            }
        }
        reader.line(line);
    }
    close(&mut files, &mut reader);
    files
}

fn close(files: &mut [FileDiff], reader: &mut Reader) {
    let pieces = std::mem::take(reader).finish();
    if let Some(file) = files.last_mut() {
        file.pieces.extend(pieces);
    }
}

fn path_of(path: &str, prefix: &str) -> Option<String> {
    let path = path.split('\t').next().unwrap_or(path);
    (path != "/dev/null").then(|| path.strip_prefix(prefix).unwrap_or(path).to_owned())
}

#[derive(Default)]
struct Reader {
    pieces: Vec<Piece>,
    /// Lines of the hunk that are still to come.
    old_left: usize,
    new_left: usize,
    /// The sign of the line before.
    last: u8,
}

impl Reader {
    fn is_inside(&self) -> bool {
        self.old_left > 0 || self.new_left > 0
    }

    fn line(&mut self, line: &str) {
        if line.starts_with('\\') {
            // The line before has no end.
            if let Some(piece) = self.pieces.last_mut() {
                let sides = [(self.last != b'+', &mut piece.old), (self.last != b'-', &mut piece.new)];
                for (is_meant, side) in sides {
                    if is_meant && side.ends_with('\n') {
                        side.pop();
                    }
                }
            }
            return;
        }
        if !self.is_inside() {
            if let Some((old, new)) = header(line)
                && self.pieces.len() < MAX_PIECES
            {
                (self.old_left, self.new_left) = (old.1, new.1);
                self.pieces.push(Piece { lines: Some((old.0, new.0)), ..Piece::default() });
            }
            return;
        }
        let Some(piece) = self.pieces.last_mut() else { return };
        let (sign, rest) = match line.as_bytes().first() {
            Some(b' ' | b'-' | b'+') => line.split_at(1),
            _ => (" ", line),
        };
        let rest = if rest.ends_with('\n') { rest.to_owned() } else { format!("{rest}\n") };
        self.last = sign.as_bytes()[0];
        if sign != "+" {
            piece.old.push_str(&rest);
            self.old_left = self.old_left.saturating_sub(1);
        }
        if sign != "-" {
            piece.new.push_str(&rest);
            self.new_left = self.new_left.saturating_sub(1);
        }
    }

    fn finish(self) -> Vec<Piece> {
        self.pieces
    }
}

/// Reads `@@ -a,b +c,d @@`.
fn header(line: &str) -> Option<((usize, usize), (usize, usize))> {
    let rest = line.strip_prefix("@@ -")?;
    let (old, rest) = rest.split_once(" +")?;
    let (new, _) = rest.split_once(" @@")?;
    let pair = |text: &str| -> Option<(usize, usize)> {
        let (start, lines) = text.split_once(',').unwrap_or((text, "1"));
        let (start, lines) = (start.parse().ok()?, lines.parse().ok()?);
        // A side without lines names the line before it.
        Some((if lines == 0 { start + 1 } else { start }, lines))
    };
    Some((pair(old)?, pair(new)?))
}

/// Puts the pieces into a text; `None` where one has no place or no single one.
pub(crate) fn apply(text: &str, pieces: &[Piece]) -> Option<String> {
    replace(text, pieces, |piece| (&piece.old, &piece.new, piece.lines.map(|lines| lines.0)))
}

/// Takes the pieces out of a text again; `None` where one has no place or no single one.
pub(crate) fn unapply(text: &str, pieces: &[Piece]) -> Option<String> {
    replace(text, pieces, |piece| (&piece.new, &piece.old, piece.lines.map(|lines| lines.1)))
}

fn replace<'a>(
    text: &str,
    pieces: &'a [Piece],
    sides: impl Fn(&'a Piece) -> (&'a str, &'a str, Option<usize>),
) -> Option<String> {
    let crlf = text.contains("\r\n");
    let fit = |side: &str| if crlf && !side.contains('\r') { side.replace('\n', "\r\n") } else { side.to_owned() };
    let mut text = text.to_owned();
    // From the end, so that the line numbers before stay true.
    for piece in pieces.iter().rev() {
        let (from, to, line) = sides(piece);
        let (from, to) = (fit(from), fit(to));
        if piece.everywhere && !from.is_empty() {
            if !text.contains(&from) {
                return None;
            }
            text = text.replace(&from, &to);
            continue;
        }
        let at = place(&text, &from, line)?;
        text.replace_range(at..at + from.len(), &to);
    }
    Some(text)
}

fn place(text: &str, part: &str, line: Option<usize>) -> Option<usize> {
    if let Some(line) = line {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
        if let Some(at) = starts.clone().nth(line.saturating_sub(1))
            && text[at..].starts_with(part)
        {
            return Some(at);
        }
    }
    if part.is_empty() {
        return text.is_empty().then_some(0);
    }
    let mut found = text.match_indices(part);
    let (at, _) = found.next()?;
    found.next().is_none().then_some(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn piece(old: &str, new: &str) -> Piece {
        Piece { old: old.into(), new: new.into(), ..Piece::default() }
    }

    #[test]
    fn hunks_are_read_with_their_lines_and_missing_line_ends() {
        let diff = "Index: a\n===\n--- a\n+++ a\n@@ -1,2 +1,2 @@\n-x\n+y\n z\n@@ -9 +9,2 @@ fn f\n-a\n\\ No newline at end of file\n+a\n+b\n\\ No newline at end of file\n";
        let read = hunks(diff);
        assert_eq!(read.len(), 2);
        assert_eq!((&*read[0].old, &*read[0].new, read[0].lines), ("x\nz\n", "y\nz\n", Some((1, 1))));
        assert_eq!((&*read[1].old, &*read[1].new, read[1].lines), ("a", "a\nb", Some((9, 9))));
    }

    #[test]
    fn a_diff_of_several_files_is_read_file_by_file() {
        let diff = "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n--- x\n+++ y\ndiff --git a/n b/n\nnew file mode 100644\n--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+n\ndiff --git a/o b/p\nrename from o\nrename to p\n";
        let read = files(diff);
        assert_eq!(read.len(), 3);
        assert_eq!((read[0].old.as_deref(), read[0].new.as_deref()), (Some("a"), Some("a")));
        assert_eq!((&*read[0].pieces[0].old, &*read[0].pieces[0].new), ("-- x\n", "++ y\n"));
        assert_eq!((read[1].old.as_deref(), read[1].new.as_deref()), (None, Some("n")));
        assert_eq!((read[2].old.as_deref(), read[2].new.as_deref()), (Some("o"), Some("p")));
    }

    #[test]
    fn a_piece_goes_where_its_line_says_or_where_it_stands_once() {
        assert_eq!(apply("a b\n", &[piece("b", "c")]).as_deref(), Some("a c\n"));
        assert_eq!(apply("b b\n", &[piece("b", "c")]), None);
        assert_eq!(apply("b\nb\n", &[Piece { lines: Some((2, 2)), ..piece("b\n", "c\n") }]).as_deref(), Some("b\nc\n"));
        assert_eq!(apply("b b\n", &[Piece { everywhere: true, ..piece("b", "c") }]).as_deref(), Some("c c\n"));
        assert_eq!(unapply("a c\n", &[piece("b", "c")]).as_deref(), Some("a b\n"));
    }

    #[test]
    fn a_text_keeps_its_own_line_ends() {
        assert_eq!(apply("a\r\nb\r\n", &[piece("a\nb", "a\nx\nb")]).as_deref(), Some("a\r\nx\r\nb\r\n"));
    }

    proptest! {
        #[test]
        fn what_was_put_in_can_be_taken_out(
            before in proptest::collection::vec("[a-c]{0,2}", 1..8),
            after in proptest::collection::vec("[a-c]{0,2}", 1..8),
        ) {
            let (before, after) = (before.join("\n") + "\n", after.join("\n") + "\n");
            let lines = |text: &str| text.lines().count();
            let mut diff = format!("@@ -1,{} +1,{} @@\n", lines(&before), lines(&after));
            diff.extend(before.lines().map(|line| format!("-{line}\n")));
            diff.extend(after.lines().map(|line| format!("+{line}\n")));
            let pieces = hunks(&diff);
            prop_assert_eq!(apply(&before, &pieces), Some(after.clone()));
            prop_assert_eq!(unapply(&after, &pieces), Some(before));
        }

        #[test]
        fn nothing_breaks_the_reader(diff in "(@@ -[0-9]{0,3}(,[0-9]{0,20})? [+][0-9](,[0-9])? @@|[-+ \\\\]?.{0,5}|\n){0,20}") {
            hunks(&diff);
            files(&diff);
        }
    }
}
