//! What a tool's arguments, or a client's answer, determine of a file's text: replacements in a text.
//!
//! Only what has one meaning is done: a place that is not there, or there twice, determines nothing.

/// A replacement in a text.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Swap {
    /// What stood there.
    pub(super) old: String,
    /// What stands there then.
    pub(super) new: String,
    /// Everywhere, not only in one place.
    pub(super) all: bool,
    /// The line (1-based) that both are the whole of.
    pub(super) line: Option<usize>,
}

impl Swap {
    /// A replacement in the one place where the old text stands.
    pub(super) fn once(old: &str, new: &str) -> Swap {
        Swap { old: old.to_owned(), new: new.to_owned(), ..Swap::default() }
    }
}

/// Returns the text after the replacements, one after the other.
pub(super) fn forward(text: &str, swaps: &[Swap]) -> Option<String> {
    swaps.iter().try_fold(text.to_owned(), |text, swap| one(&text, swap))
}

/// Returns the text before the replacements that led to this one.
pub(super) fn backward(text: &str, swaps: &[Swap]) -> Option<String> {
    swaps.iter().rev().try_fold(text.to_owned(), |text, swap| {
        // Where it was put everywhere, it may have stood in some place before.
        let back = Swap { old: swap.new.clone(), new: swap.old.clone(), ..swap.clone() };
        if swap.all { None } else { one(&text, &back) }
    })
}

/// Tells whether a text is nowhere in another, whatever the white space.
pub(super) fn is_nowhere(text: &str, old: &str) -> bool {
    let bare = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    !bare(text).contains(&bare(old))
}

fn one(text: &str, swap: &Swap) -> Option<String> {
    // Agents say LF whatever the file has.
    let as_here = |part: &str| match text.contains("\r\n") && !part.contains('\r') {
        true => part.replace('\n', "\r\n"),
        false => part.to_owned(),
    };
    let (old, new) = (as_here(&swap.old), as_here(&swap.new));
    if let Some(line) = swap.line {
        let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
        let place = lines.get_mut(line.checked_sub(1)?)?;
        let end = &place[place.trim_end_matches(['\r', '\n']).len()..];
        if place.len() - end.len() != old.len() || !place.starts_with(&old) {
            return None;
        }
        let with = format!("{new}{end}");
        *place = &with;
        return Some(lines.concat());
    }
    if old.is_empty() {
        return text.is_empty().then_some(new);
    }
    let mut places = text.match_indices(&old);
    let first = places.next()?.0;
    if swap.all {
        return Some(text.replace(&old, &new));
    }
    // Places may overlap: `aa` is twice in `aaa`.
    let step = text[first..].chars().next().map_or(1, char::len_utf8);
    if text[first + step..].contains(&old) {
        return None;
    }
    Some(format!("{}{new}{}", &text[..first], &text[first + old.len()..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_has_one_meaning_is_replaced() {
        let swapped = |text: &str, old: &str, new: &str| forward(text, &[Swap::once(old, new)]);
        assert_eq!(swapped("a b c", "b", "x").as_deref(), Some("a x c"));
        assert_eq!(swapped("a b b", "b", "x"), None);
        assert_eq!(swapped("aaa", "aa", "x"), None);
        assert_eq!(swapped("a", "b", "x"), None);
        assert_eq!(swapped("", "", "x").as_deref(), Some("x"));
        assert_eq!(swapped("a", "", "x"), None);
        assert_eq!(swapped("a\r\nb\r\n", "a\nb", "c\nd").as_deref(), Some("c\r\nd\r\n"));
    }

    #[test]
    fn a_whole_line_is_replaced_where_it_stands() {
        let swap = Swap { line: Some(2), ..Swap::once("b", "bc") };
        assert_eq!(forward("b\nb\r\nb", std::slice::from_ref(&swap)).as_deref(), Some("b\nbc\r\nb"));
        assert_eq!(backward("b\nbc\r\nb", std::slice::from_ref(&swap)).as_deref(), Some("b\nb\r\nb"));
        assert_eq!(forward("b\nx\n", &[swap]), None);
    }

    proptest! {
        #[test]
        fn what_was_done_can_be_undone_or_is_not_said(text in "[ab\n]{0,12}", old in "[ab\n]{0,3}", new in "[abc\n]{0,3}") {
            let swaps = [Swap::once(&old, &new)];
            if let Some(after) = forward(&text, &swaps)
                && let Some(before) = backward(&after, &swaps)
            {
                prop_assert_eq!(before, text);
            }
        }

        #[test]
        fn any_texts_are_taken(text in ".{0,40}", old in ".{0,4}", new in ".{0,4}", all: bool, line in proptest::option::of(0usize..4)) {
            let swaps = [Swap { old: old.clone(), new, all, line }];
            let _ = (forward(&text, &swaps), backward(&text, &swaps), is_nowhere(&text, &old));
        }
    }
}
