//! Spans seen by line, as a person asks for them.
//!
//! The last writer of a line is approximated: it is whoever wrote most of its non-blank text.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::spans::{Origin, Spans};
use crate::text::Text;

/// Who wrote one line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The line, from 0.
    pub line: usize,
    /// Who wrote most of it; the first of equals. Nobody wrote an empty line of an empty text.
    pub last_writer: Origin,
    /// Everybody who wrote some of it, and their share of its non-blank bytes (of all bytes where
    /// it has no other), largest first. Shares sum to 1.
    pub shares: Vec<(Origin, f64)>,
    /// Two or more of human, AI and unknown wrote it.
    pub mixed: bool,
}

/// Returns the writers of the lines of a range that the text has. A line that only ends the text
/// (after a final line end) is none.
///
/// # Panics
/// If the spans are not this text's.
pub fn lines(text: &Text, spans: &Spans, range: Range<usize>) -> Vec<Line> {
    let count = match text.line_start(text.line_count() - 1) {
        Ok(start) if start == text.len_bytes() => text.line_count() - 1,
        _ => text.line_count(),
    };
    (range.start..range.end.min(count)).map(|line| of_line(text, spans, line)).collect()
}

/// Returns the writers of one line.
fn of_line(text: &Text, spans: &Spans, line: usize) -> Line {
    let start = text.line_start(line).expect("the line was counted");
    let end = text.line_start(line + 1).unwrap_or(text.len_bytes());
    let content = text.slice(start..end);
    let is_blank = content.trim().is_empty();

    let mut bytes: BTreeMap<&Origin, (usize, usize)> = BTreeMap::new();
    for (span, origin) in spans.within(start..end) {
        let part = &content.as_bytes()[span.start - start..span.end - start];
        let counted = part.iter().filter(|byte| is_blank || !byte.is_ascii_whitespace()).count();
        if counted > 0 {
            bytes.entry(origin).or_insert((0, span.start)).0 += counted;
        }
    }
    let total: usize = bytes.values().map(|(count, _)| count).sum();
    let mut order: Vec<(&Origin, (usize, usize))> = bytes.into_iter().collect();
    order.sort_by_key(|&(_, (count, first))| (std::cmp::Reverse(count), first));
    let kinds = [
        order.iter().any(|(origin, _)| matches!(origin, Origin::Human)),
        order.iter().any(|(origin, _)| matches!(origin, Origin::Ai(_))),
        order.iter().any(|(origin, _)| matches!(origin, Origin::Unknown)),
    ];
    Line {
        line,
        last_writer: order.first().map_or(Origin::Unknown, |(origin, _)| (*origin).clone()),
        shares: order.iter().map(|(o, (count, _))| ((*o).clone(), *count as f64 / total as f64)).collect(),
        mixed: kinds.into_iter().filter(|is| *is).count() > 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spans::ContributionId;

    #[test]
    fn lines_name_their_writers_by_share() {
        let text = Text::new("let a = 1;\n\n    b();\nno end");
        let ai = Origin::Ai(ContributionId::new("c1"));
        let mut spans = Spans::new(text.len_bytes(), Origin::Human);
        spans.set(8..9, &ai);
        spans.set(12..21, &ai);
        spans.set(19..20, &Origin::Unknown);
        spans.set(12..16, &Origin::Human);
        let shown: Vec<String> = lines(&text, &spans, 0..99)
            .iter()
            .map(|line| {
                let shares: Vec<String> = line.shares.iter().map(|(o, share)| format!("{o} {share:.2}")).collect();
                let mixed = if line.mixed { " mixed" } else { "" };
                format!("{} {}: {}{mixed}", line.line, line.last_writer, shares.join(", "))
            })
            .collect();
        expect_test::expect![[r#"
            0 human: human 0.86, ai c1 0.14 mixed
            1 human: human 1.00
            2 ai c1: ai c1 0.75, unknown 0.25 mixed
            3 human: human 1.00"#]]
        .assert_eq(&shown.join("\n"));
        assert_eq!(lines(&text, &spans, 3..99).len(), 1);
        assert_eq!(lines(&text, &spans, 9..99), vec![]);
    }

    #[test]
    fn a_final_line_end_makes_no_line() {
        for (text, count) in [("", 0), ("a", 1), ("a\n", 1), ("a\n\n", 2), ("a\r\n", 1)] {
            let spans = Spans::new(text.len(), Origin::Human);
            assert_eq!(lines(&Text::new(text), &spans, 0..9).len(), count, "{text:?}");
        }
    }
}
