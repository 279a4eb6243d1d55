//! One offer while it is alive: where it stands in the document, and how the text there fits it.
//!
//! An offer says "these bytes would become that text". Every edit of the document moves the bytes; a
//! person who types what was offered brings the text closer, anything else makes it apart. Nothing
//! here decides what a person meant: that is [`crate::join`].

use std::borrow::Cow;

/// One replacement of a document, with the text that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) start: usize,
    pub(crate) deleted: usize,
    pub(crate) inserted: String,
}

/// The bytes an offer would replace, moved along with the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Where an edit fell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touch {
    Outside,
    Inside,
    /// Across a border: what was offered has no place any more.
    Damaged,
}

impl Region {
    /// Moves with an edit. `wanted` decides whether text put in front of the region belongs to it.
    pub(crate) fn follow(&mut self, edit: &Entry, wanted: &str) -> Touch {
        let (from, to) = (edit.start, edit.start + edit.deleted);
        let inserted = edit.inserted.len();
        let in_front = from == self.start
            && edit.deleted == 0
            && !self.is_empty()
            && !wanted.starts_with(unify(&edit.inserted).as_ref());
        if from > self.end {
            Touch::Outside
        } else if to < self.start || (to == self.start && edit.deleted > 0) || in_front {
            self.start = self.start + inserted - edit.deleted;
            self.end = self.end + inserted - edit.deleted;
            Touch::Outside
        } else if from == self.end {
            // What was deleted behind the region was never part of it.
            self.end += inserted;
            Touch::Inside
        } else if from >= self.start && to <= self.end {
            self.end = self.end + inserted - edit.deleted;
            Touch::Inside
        } else {
            self.end = if self.end > to { self.end + inserted - edit.deleted } else { from + inserted };
            self.start = self.start.min(from);
            Touch::Damaged
        }
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }
}

/// How the text in a region fits what was offered for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It is what was offered.
    Complete,
    /// A beginning and an end of it are there, something between is missing.
    Between,
    /// It is something else.
    Apart,
}

/// Compares a region's text with the offer's; both with unified line ends.
pub(crate) fn fit(content: &str, wanted: &str) -> Fit {
    if content == wanted {
        return Fit::Complete;
    }
    if content.len() > wanted.len() {
        return Fit::Apart;
    }
    let prefix = common_prefix(content, wanted);
    if content[prefix..].is_empty() || wanted[prefix..].ends_with(&content[prefix..]) {
        return Fit::Between;
    }
    Fit::Apart
}

/// Says whether two texts differ in nothing but white space.
pub(crate) fn equal_but_for_blanks(a: &str, b: &str) -> bool {
    let words = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let a = words(a);
    !a.is_empty() && a == words(b)
}

/// So many closing brackets and quotes are looked at.
pub(crate) const CLOSERS_MAX: usize = 4;

/// Says whether a text differs from the offer in closing brackets and quotes at its end alone: the
/// editor had put them `behind` already, or put them there by itself.
pub(crate) fn equal_but_for_closers(content: &str, wanted: &str, behind: &str) -> bool {
    let are_closers = |text: &str| !text.is_empty() && text.len() <= CLOSERS_MAX && text.chars().all(is_closer);
    if content.trim().is_empty() {
        return false;
    }
    match (wanted.strip_prefix(content), content.strip_prefix(wanted)) {
        (Some(rest), _) => are_closers(rest) && behind.starts_with(rest),
        (_, Some(more)) => are_closers(more),
        _ => false,
    }
}

fn is_closer(c: char) -> bool {
    matches!(c, ')' | ']' | '}' | '>' | '"' | '\'' | '`')
}

/// Says whether one key can have put this text: a character, a line break with its indentation, or a
/// pair that the editor closed by itself.
pub(crate) fn is_keystroke(text: &str) -> bool {
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return true };
    let rest = chars.as_str();
    match first {
        '\r' => rest.strip_prefix('\n').unwrap_or(rest).chars().all(is_indent),
        '\n' => rest.chars().all(is_indent),
        ' ' if rest.chars().all(|c| c == ' ') => true,
        '(' => matches!(rest, "" | ")"),
        '[' => matches!(rest, "" | "]"),
        '{' => matches!(rest, "" | "}"),
        '"' | '\'' | '`' => rest.is_empty() || rest.chars().eq([first]),
        _ => rest.is_empty(),
    }
}

fn is_indent(c: char) -> bool {
    c == ' ' || c == '\t'
}

/// Says whether a taken part ends where an editor's "accept word" or "accept line" would end it.
pub(crate) fn ends_at_border(taken: &str, rest: &str) -> bool {
    let last = taken.chars().next_back();
    let next = rest.chars().next();
    match (last, next) {
        (Some(last), Some(next)) => !(is_word(last) && is_word(next)),
        _ => true,
    }
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// What a text gained against an earlier one: the middle, without the equal ends.
pub(crate) struct Gain {
    /// Bytes that both have in front.
    pub(crate) prefix: usize,
    /// Bytes that both have at the end.
    pub(crate) suffix: usize,
}

/// Finds what two texts have in common at both ends, on character borders.
pub(crate) fn gain(before: &str, after: &str) -> Gain {
    let prefix = common_prefix(before, after);
    let most = (before.len() - prefix).min(after.len() - prefix);
    let mut suffix = before.bytes().rev().zip(after.bytes().rev()).take(most).take_while(|(a, b)| a == b).count();
    while !before.is_char_boundary(before.len() - suffix) || !after.is_char_boundary(after.len() - suffix) {
        suffix -= 1;
    }
    Gain { prefix, suffix }
}

fn common_prefix(a: &str, b: &str) -> usize {
    let mut prefix = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    while !a.is_char_boundary(prefix) || !b.is_char_boundary(prefix) {
        prefix -= 1;
    }
    prefix
}

/// Returns the text with LF for every line end: an editor inserts what its document uses.
pub(crate) fn unify(text: &str) -> Cow<'_, str> {
    if text.contains('\r') { Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(start: usize, deleted: usize, inserted: &str) -> Entry {
        Entry { start, deleted, inserted: inserted.to_owned() }
    }

    #[test]
    fn a_region_follows_the_text_around_it() {
        let rows = [
            (entry(0, 0, "ab"), Touch::Outside, (12, 16)),
            (entry(20, 3, ""), Touch::Outside, (10, 14)),
            (entry(14, 0, "xy"), Touch::Inside, (10, 16)),
            (entry(12, 1, ""), Touch::Inside, (10, 13)),
            (entry(10, 4, "whole"), Touch::Inside, (10, 15)),
            (entry(8, 2, "q"), Touch::Outside, (9, 13)),
            (entry(9, 2, ""), Touch::Damaged, (9, 12)),
            (entry(13, 5, "new"), Touch::Damaged, (10, 16)),
            (entry(10, 0, "other"), Touch::Outside, (15, 19)),
            (entry(10, 0, "whole"), Touch::Inside, (10, 19)),
        ];
        for (edit, touch, (start, end)) in rows {
            let mut region = Region { start: 10, end: 14 };
            assert_eq!(region.follow(&edit, "whole text"), touch, "{edit:?}");
            assert_eq!(region, Region { start, end }, "{edit:?}");
        }
    }

    #[test]
    fn text_fits_an_offer_as_a_beginning_and_an_end_of_it() {
        assert_eq!(fit("foo(", "foo(bar)"), Fit::Between);
        assert_eq!(fit("foo()", "foo(bar)"), Fit::Between);
        assert_eq!(fit("", "foo"), Fit::Between);
        assert_eq!(fit("foo(bar)", "foo(bar)"), Fit::Complete);
        assert_eq!(fit("fob", "foo(bar)"), Fit::Apart);
        assert_eq!(fit("é", "è"), Fit::Apart);
    }

    #[test]
    fn closers_that_the_editor_added_or_had_make_no_difference() {
        for (content, wanted, behind, equal) in [
            ("foo(bar", "foo(bar)", ")\n", true),
            ("foo(bar", "foo(bar)", "\n)", false),
            ("foo()", "foo(", "", true),
            ("foo(x)", "foo(", "", false),
            ("", ")", ")", false),
            ("a", "a)]}>\"", ")]}>\"", false),
        ] {
            assert_eq!(equal_but_for_closers(content, wanted, behind), equal, "{content:?} {wanted:?} {behind:?}");
        }
    }

    #[test]
    fn a_key_is_a_character_a_line_break_or_a_closed_pair() {
        for key in ["", "a", "é", "🎉", "\n", "\r\n", "\n    ", "\r\n\t", "()", "{}", "\"\"", "    "] {
            assert!(is_keystroke(key), "{key:?}");
        }
        for more in ["ab", "\n  x", "(a", "(]", "\n\n", "\"'"] {
            assert!(!is_keystroke(more), "{more:?}");
        }
    }

    #[test]
    fn the_gain_never_cuts_a_character() {
        let g = gain("aéb", "aèb");
        assert_eq!((g.prefix, g.suffix), (1, 1));
        let g = gain("    ", "    x");
        assert_eq!((g.prefix, g.suffix), (4, 0));
        let g = gain("ab", "aab");
        assert_eq!((g.prefix, g.suffix), (1, 1));
    }
}
