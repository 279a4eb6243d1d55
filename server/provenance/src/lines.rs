//! Writers seen by line, as a person asks for them.

use std::ops::Range;

use crate::attribution::{Attribution, most, shares};
use crate::spans::Origin;
use crate::text::Text;

/// Whose a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Author {
    /// A person's.
    Human,
    /// An AI's.
    Ai,
    /// Two or more of human, AI and unknown wrote it or changed it last.
    Mixed,
    /// Nobody knows.
    Unknown,
}

/// Who wrote one line.
#[derive(Clone, Debug, PartialEq)]
pub struct LineAuthor {
    /// Whose it is.
    pub author: Author,
    /// Whoever last changed its non-blank text.
    pub last_writer: Origin,
    /// Everybody who wrote some of it, and their share of its non-blank bytes, largest first. A blank
    /// line is its last writer's. Shares sum to 1.
    pub shares: Vec<(Origin, f64)>,
}

/// Returns who wrote a line: `content` is its text, `range` its bytes.
pub fn line(content: &str, attribution: &Attribution, range: Range<usize>) -> LineAuthor {
    let last_writer = most(content, range.start, &attribution.writers).unwrap_or(Origin::Unknown);
    if content.trim().is_empty() {
        let shares = vec![(last_writer.clone(), 1.0)];
        return LineAuthor { author: author([&last_writer]), last_writer, shares };
    }
    let order = shares(content, range.start, &attribution.origins);
    let total: usize = order.iter().map(|(_, count)| count).sum();
    LineAuthor {
        author: author(order.iter().map(|(origin, _)| *origin).chain([&last_writer])),
        shares: order.into_iter().map(|(origin, count)| (origin.clone(), count as f64 / total as f64)).collect(),
        last_writer,
    }
}

/// Returns the authors of the lines of a range that the text has, with their numbers from 0. A line
/// that only ends the text (after a final line end) is none.
///
/// # Panics
/// If the attribution is not this text's.
pub fn lines(text: &Text, attribution: &Attribution, range: Range<usize>) -> Vec<(usize, LineAuthor)> {
    let count = match text.line_start(text.line_count() - 1) {
        Ok(start) if start == text.len_bytes() => text.line_count() - 1,
        _ => text.line_count(),
    };
    let of_line = |number: usize| {
        let start = text.line_start(number).expect("the line was counted");
        let end = text.line_start(number + 1).unwrap_or(text.len_bytes());
        (number, line(&text.slice(start..end), attribution, start..end))
    };
    (range.start..range.end.min(count)).map(of_line).collect()
}

fn author<'a>(writers: impl IntoIterator<Item = &'a Origin>) -> Author {
    let kinds = writers.into_iter().map(|origin| match origin {
        Origin::Human(_) => Author::Human,
        Origin::Ai(_) => Author::Ai,
        Origin::Unknown => Author::Unknown,
    });
    kinds.reduce(|a, b| if a == b { a } else { Author::Mixed }).unwrap_or(Author::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spans::{ContributionId, Spans};

    fn shown(lines: &[(usize, LineAuthor)]) -> String {
        let show = |(number, line): &(usize, LineAuthor)| {
            let shares: Vec<String> = line.shares.iter().map(|(o, share)| format!("{o} {share:.2}")).collect();
            format!("{number} {:?}, last {}: {}", line.author, line.last_writer, shares.join(", "))
        };
        lines.iter().map(show).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn lines_name_their_writers_by_share() {
        let text = Text::new("let a = 1;\n\n    b();\nno end");
        let ai = Origin::Ai(ContributionId::new("c1"));
        let mut spans = Spans::new(text.len_bytes(), Origin::TYPED);
        spans.set(8..9, &ai);
        spans.set(12..21, &ai);
        spans.set(19..20, &Origin::Unknown);
        spans.set(12..16, &Origin::TYPED);
        let attribution = Attribution::of_origins(&text.to_string(), spans);
        expect_test::expect![[r#"
            0 Mixed, last human: human 0.86, ai c1 0.14
            1 Human, last human: human 1.00
            2 Mixed, last ai c1: ai c1 0.75, unknown 0.25
            3 Human, last human: human 1.00"#]]
        .assert_eq(&shown(&lines(&text, &attribution, 0..99)));
        assert_eq!(lines(&text, &attribution, 3..99).len(), 1);
        assert_eq!(lines(&text, &attribution, 9..99), vec![]);
    }

    #[test]
    fn a_line_of_an_ai_that_a_person_changed_last_is_mixed_though_no_letter_of_it_is_theirs() {
        let text = Text::new("call(a)\n\n");
        let mut attribution = Attribution::new(text.len_bytes(), Origin::Ai(ContributionId::new("c1")));
        attribution.writers.set(0..8, &Origin::TYPED);
        assert_eq!(shown(&lines(&text, &attribution, 0..1)), "0 Mixed, last human: ai c1 1.00");
        // A blank line has no letters: it is its last writer's.
        attribution.writers.set(8..9, &Origin::TYPED);
        assert_eq!(shown(&lines(&text, &attribution, 1..2)), "1 Human, last human: human 1.00");
    }

    #[test]
    fn a_final_line_end_makes_no_line() {
        for (text, count) in [("", 0), ("a", 1), ("a\n", 1), ("a\n\n", 2), ("a\r\n", 1)] {
            let attribution = Attribution::new(text.len(), Origin::TYPED);
            assert_eq!(lines(&Text::new(text), &attribution, 0..9).len(), count, "{text:?}");
        }
    }
}
