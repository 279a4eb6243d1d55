use super::*;
use crate::spans::ContributionId;
use proptest::prelude::*;

fn ai() -> Origin {
    Origin::Ai(ContributionId::new("a"))
}

fn sign(origin: &Origin) -> char {
    match origin {
        Origin::Human(_) => 'h',
        Origin::Unknown => '?',
        Origin::Ai(_) => 'a',
    }
}

/// Applies one replacement by a person to a text whose lines are all the AI's, and shows the last
/// writer before each line, and the origins behind it.
fn after_a_persons_edit(text: &str, gone: Range<usize>, come: &str) -> String {
    let before = Text::new(text);
    let mut attribution = Attribution::new(text.len(), ai());
    let mut after = before.clone();
    let mut then = before.clone();
    for edit in after.replace(gone, come) {
        let prior = then.clone();
        let part = after.slice(edit.start..edit.start + edit.inserted);
        then.replace(edit.start..edit.start + edit.deleted, &part);
        attribution.edit(&prior, &then, edit, &Origin::TYPED);
    }
    shown(&after.to_string(), &attribution)
}

fn shown(text: &str, attribution: &Attribution) -> String {
    let show = |line: Range<usize>| {
        let writers: Vec<char> = attribution.writers.within(line.clone()).map(|(_, writer)| sign(writer)).collect();
        let writers: String = writers.into_iter().collect();
        let content = text[line.clone()].trim_end_matches(['\n', '\r']);
        let origins: String =
            (line.start..line.start + content.len()).map(|at| sign(attribution.origins.at(at).unwrap())).collect();
        format!("{writers}|{content}|{origins}")
    };
    lines_of(text).into_iter().map(show).collect::<Vec<_>>().join("\n")
}

fn check(text: &str, gone: Range<usize>, come: &str, expected: &str) {
    assert_eq!(after_a_persons_edit(text, gone.clone(), come), expected, "{text:?} {gone:?} {come:?}");
}

#[test]
fn whoever_changes_a_lines_signs_is_its_last_writer() {
    check("call(a)\nnext\n", 6..6, "b", "h|call(ab)|aaaaaaha\na|next|aaaa");
    // Taking out a word too, though no letter of theirs stands there.
    check("call(a, b)\nnext\n", 6..9, "", "h|call(a)|aaaaaaa\na|next|aaaa");
    check("call(a)\nnext\n", 0..4, "", "h|(a)|aaa\na|next|aaaa");
    check("one\ntwo\nthree\n", 2..9, "", "h|onhree|aaaaaa");
    check("one\ntwo\n", 1..2, "\n", "h|o|a\nh|e|a\na|two|aaa");
    check("only", 0..4, "", "");
    check("only\n", 0..4, "", "h||");
}

#[test]
fn white_space_changes_no_lines_writer() {
    check("call(a)\n", 0..0, "    ", "a|    call(a)|hhhhaaaaaaa");
    check("\tcall(a)\n", 0..1, "  ", "a|  call(a)|hhaaaaaaa");
    check("call(a)\n", 7..7, "  ", "a|call(a)  |aaaaaaahh");
    check("call(a)\n", 5..5, " ", "a|call( a)|aaaaahaa");
    check("call(a)\n", 7..8, "\r\n", "a|call(a)|aaaaaaa");
    check("call(a)\r\nnext", 7..9, "\n", "a|call(a)|aaaaaaa\na|next|aaaa");
}

#[test]
fn wrapping_and_joining_lines_changes_no_writer() {
    check("call(a, b)\nnext\n", 7..8, "\n    ", "a|call(a,|aaaaaaa\na|    b)|hhhaaa\na|next|aaaa");
    check("call(a,\n    b)\nnext\n", 7..12, " ", "a|call(a, b)|aaaaaaaaaa\na|next|aaaa");
    // The whole statement in one replacement.
    check(
        "call(alpha, beta)\n",
        5..17,
        "\n alpha,\n beta\n)",
        "a|call(|aaaaa\na| alpha,|haaaaaa\na| beta|aaaaa\na|)|a",
    );
}

#[test]
fn a_comma_or_semicolon_where_a_line_ends_changes_no_writer() {
    check("call(a)\nnext\n", 7..7, ";", "a|call(a);|aaaaaaah\na|next|aaaa");
    check("call(a)\nnext\n", 7..7, ",\nmore", "a|call(a),|aaaaaaah\nh|more|hhhh\na|next|aaaa");
    check("a,\nb\n", 1..2, "", "a|a|a\na|b|a");
    check("a;", 1..2, "", "a|a|a");
    check("a, b\n", 1..2, "", "h|a b|aaa");
    check("a b\n", 1..1, ";", "h|a; b|ahaa");
    check("\n", 0..0, ";", "h|;|h");
}

#[test]
fn a_new_line_is_the_typists_and_its_neighbours_are_not() {
    check("one\ntwo\n", 4..4, "new\n", "a|one|aaa\nh|new|hhh\na|two|aaa");
    check("one\ntwo\n", 3..3, "\nnew", "a|one|aaa\nh|new|hhh\na|two|aaa");
    check("one\ntwo\n", 3..3, "\n", "a|one|aaa\nh||\na|two|aaa");
    check("one\ntwo\n", 4..4, "\n", "a|one|aaa\nh||\na|two|aaa");
    check("one", 3..3, "\n\nnew", "a|one|aaa\nh||\nh|new|hhh");
    check("", 0..0, "new\n", "h|new|hhh");
}

#[test]
fn a_deleted_line_leaves_its_neighbours_to_their_writers() {
    check("one\ntwo\nthree\n", 4..8, "", "a|one|aaa\na|three|aaaaa");
    check("one\ntwo\nthree\n", 3..7, "", "a|one|aaa\na|three|aaaaa");
    check("one\n\n\nthree\n", 4..5, "", "a|one|aaa\na||\na|three|aaaaa");
    check("one\ntwo\n", 0..8, "", "");
}

#[test]
fn a_joined_line_is_by_whoever_wrote_most_of_it() {
    let before = Text::new("long_statement(1)\n// x\n");
    let mut attribution = Attribution::new(before.len_bytes(), ai());
    attribution.origins.set(18..23, &Origin::TYPED);
    attribution.writers.set(18..23, &Origin::TYPED);
    let mut after = before.clone();
    let edits = after.replace(17..18, " ");
    assert_eq!(edits.len(), 1);
    attribution.edit(&before, &after, edits[0], &Origin::TYPED);
    assert_eq!(shown(&after.to_string(), &attribution), "a|long_statement(1) // x|aaaaaaaaaaaaaaaaahhhhh");
}

#[test]
fn what_an_act_explains_is_given_with_its_lines_unless_they_changed_since() {
    let text = Text::new("fn main() {\n    one();\n    two();\n}\n");
    let mut attribution = Attribution::new(text.len_bytes(), Origin::TYPED);
    let range = 11..34;
    attribution.origins.set(range.clone(), &Origin::Unknown);
    attribution.writers.set(12..23, &Origin::Unknown);
    attribution.give(&text, range, &Origin::Unknown, &ai());
    assert_eq!(shown(&text.to_string(), &attribution).lines().map(|line| &line[..1]).collect::<String>(), "hahh");
}

#[test]
fn an_undo_brings_the_writers_back() {
    let before = Text::new("call(a, b)\n");
    let mut attribution = Attribution::new(before.len_bytes(), ai());
    let whole = attribution.cut(0..before.len_bytes());
    let mut after = before.clone();
    let edits = after.replace(6..9, "");
    attribution.edit(&before, &after, edits[0], &Origin::TYPED);
    let edits = after.clone().replace(6..6, ", b");
    attribution.edit(&after, &before, edits[0], &Origin::TYPED);
    assert_ne!(attribution, whole);
    attribution.put(0, &whole);
    assert_eq!(attribution, whole);
}

#[test]
fn a_large_edit_costs_its_size_and_not_its_square() {
    let text: String = (0..20_000).map(|i| format!("line_{i}(value);\n")).collect();
    let (before, after) = (Text::new(""), Text::new(&text));
    let mut attribution = Attribution::default();
    attribution.edit(&before, &after, Edit { start: 0, deleted: 0, inserted: text.len() }, &ai());
    assert_eq!(attribution, Attribution::new(text.len(), ai()));
    // The same signs with other blanks, as one replacement.
    let spread = text.replace('(', " ( ");
    let edit = Edit { start: 0, deleted: text.len(), inserted: spread.len() };
    attribution.edit(&after, &Text::new(&spread), edit, &Origin::TYPED);
    assert_eq!(attribution.writers, Attribution::new(spread.len(), ai()).writers);
}

proptest! {
    #[test]
    fn both_parts_cover_the_text_and_writers_are_whole_lines(
        text in "([ab;, ]{0,3}(\n|\r\n|\r|é)){0,6}",
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), "[xy,; \r\né]{0,4}"), 1..8),
    ) {
        let mut now = Text::new(&text);
        let mut attribution = Attribution::new(text.len(), ai());
        for (from, to, come) in edits {
            let borders: Vec<usize> = (0..=now.len_bytes()).filter(|at| now.is_border(*at)).collect();
            let (from, to) = (borders[from.index(borders.len())], borders[to.index(borders.len())]);
            let edit = Edit { start: from.min(to), deleted: from.max(to) - from.min(to), inserted: come.len() };
            let written = now.to_string();
            let after = Text::new(&format!("{}{come}{}", &written[..from.min(to)], &written[from.max(to)..]));
            attribution.edit(&now, &after, edit, &Origin::TYPED);
            now = after;
            prop_assert!(attribution.covers(now.len_bytes()));
            let text = now.to_string();
            for line in lines_of(&text) {
                prop_assert_eq!(attribution.writers.within(line.clone()).count(), 1, "{:?} {:?}", &text, line);
            }
        }
    }
}
