//! What a person can have typed, and what nobody explains.
//!
//! A rule, not a guess at style: it looks at how much came at once and never at what it says.

use crate::spans::Origin;

/// The most non-blank characters that typing, ordinary completion and auto-brackets insert at once.
pub const MAX_NON_BLANK: usize = 40;

/// The most line breaks they insert at once.
pub const MAX_LINE_BREAKS: usize = 1;

/// Returns the writer of text that came at once, in one or several places, where no act explains
/// it. `offered` says that it equals a suggestion that was on the screen.
///
/// Several cursors insert the same text many times: it counts once.
pub fn origin_of<'a>(inserted: impl IntoIterator<Item = &'a str>, offered: bool) -> Origin {
    let mut kinds: Vec<&str> = inserted.into_iter().collect();
    kinds.sort_unstable();
    kinds.dedup();
    let non_blank: usize = kinds.iter().map(|text| text.chars().filter(|c| !c.is_whitespace()).count()).sum();
    let breaks: usize = kinds.iter().map(|text| line_breaks(text)).sum();
    if offered || non_blank > MAX_NON_BLANK || breaks > MAX_LINE_BREAKS { Origin::Unknown } else { Origin::TYPED }
}

fn line_breaks(text: &str) -> usize {
    let bytes = text.as_bytes();
    let ends = |&at: &usize| bytes[at] == b'\n' || (bytes[at] == b'\r' && bytes.get(at + 1) != Some(&b'\n'));
    (0..bytes.len()).filter(ends).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forty_characters_and_one_line_break_are_a_persons() {
        let forty = "x".repeat(40);
        let spread = format!("{}  {}\r\n", &forty[..20], &forty[..20]);
        let too_much = format!("{forty}x");
        for (inserted, offered, human) in [
            (vec!["a"], false, true),
            (vec![], false, true),
            (vec![&forty[..]], false, true),
            (vec![&spread[..]], false, true),
            (vec![&too_much[..]], false, false),
            (vec!["a\nb\n"], false, false),
            (vec!["a\rb\r"], false, false),
            (vec!["a"], true, false),
            (vec![&forty[..]; 30], false, true),
            (vec![&forty[..30], &forty[..11]], false, false),
        ] {
            let expected = if human { Origin::TYPED } else { Origin::Unknown };
            assert_eq!(origin_of(inserted.iter().copied(), offered), expected, "{inserted:?} offered: {offered}");
        }
    }
}
