use super::*;
use crate::spans::{ContributionId, Spans};
use expect_test::{Expect, expect};
use proptest::prelude::*;

fn origin(sign: char) -> Origin {
    match sign {
        'h' => Origin::TYPED,
        '?' => Origin::Unknown,
        id => Origin::Ai(ContributionId::new(&id.to_string())),
    }
}

/// Reads lines with their writer before a bar: `h|let a;`.
fn written(marked: &str) -> (String, Attribution) {
    let (mut text, mut spans) = (String::new(), Spans::default());
    for line in marked.trim_start_matches('\n').split_inclusive('\n') {
        let (sign, line) = line.split_once('|').unwrap();
        text.push_str(line);
        spans.push(line.len(), origin(sign.trim().chars().next().unwrap()));
    }
    let attribution = Attribution::of_origins(&text, spans);
    (text, attribution)
}

/// Shows each line with the writers of its parts.
fn shown(text: &str, spans: &Spans) -> String {
    let mut shown = String::new();
    for line in crate::text::lines_of(text) {
        let parts: Vec<String> =
            spans.within(line.clone()).map(|(span, origin)| format!("{origin} {:?}", &text[span])).collect();
        shown.push_str(&parts.join(" + "));
        shown.push('\n');
    }
    shown
}

fn check(known: &[&str], text: &str, expect: Expect) {
    let known: Vec<(String, Attribution)> = known.iter().map(|marked| written(marked)).collect();
    let tier = |at| if at == 0 { Tier::Strong } else { Tier::Weak };
    let known: Vec<Known<'_>> =
        known.iter().enumerate().map(|(at, (text, attribution))| Known { text, attribution, tier: tier(at) }).collect();
    let carried = carry(&known, text, &Origin::Unknown, None);
    assert!(carried.covers(text.len()));
    expect.assert_eq(&shown(text, &carried.origins));
}

const BEFORE: &str = "
h|def load(path):
a|    with open(path) as handle:
a|        return json.load(handle)
h|
h|def save(path, data):
b|    with open(path, 'w') as handle:
b|        json.dump(data, handle)
";

#[test]
fn nothing_known_explains_nothing() {
    check(
        &[],
        "a\n",
        expect![[r#"
        unknown "a\n"
    "#]],
    );
    check(&[BEFORE], "", expect![""]);
    check(
        &[""],
        "a",
        expect![[r#"
        unknown "a"
    "#]],
    );
}

#[test]
fn re_indented_and_re_wrapped_code_keeps_its_writer() {
    check(
        &[BEFORE],
        "class Store:
    def load(path):
      with open(path) as handle:\r
\t\treturn json.load(handle)

    def save(path, data):
        with open(
            path, 'w'
        ) as handle:
            json.dump(data, handle)",
        expect![[r#"
            unknown "class Store:\n"
            human "    def load(path):\n"
            ai a "      with open(path) as handle:\r\n"
            ai a "\t\treturn json.load(handle)\n"
            human "\n"
            human "    def save(path, data):\n"
            ai b "        with open(\n"
            ai b "            path, 'w'\n"
            ai b "        ) as handle:\n"
            ai b "            json.dump(data, handle)"
        "#]],
    );
}

#[test]
fn a_changed_line_keeps_the_writers_of_what_stayed() {
    check(
        &[BEFORE],
        "def load(path):
    with open(path, encoding='utf-8') as handle:
        return yaml.safe_load(handle)

def save(path, data):
    with open(path, 'w') as handle:
        json.dump(data, handle, indent=2)
",
        expect![[r#"
            human "def load(path):\n"
            ai a "    with open(path" + unknown ", encoding='utf-8'" + ai a ") as handle:\n"
            ai a "        return" + unknown " yaml.safe_load" + ai a "(handle)\n"
            human "\n"
            human "def save(path, data):\n"
            ai b "    with open(path, 'w') as handle:\n"
            ai b "        json.dump(data, handle" + unknown ", indent=2" + ai b ")\n"
        "#]],
    );
}

#[test]
fn a_moved_block_takes_its_writer_along_and_a_copy_does_not() {
    check(
        &[BEFORE],
        "def save(path, data):
    with open(path, 'w') as handle:
        json.dump(data, handle)

def load(path):
    with open(path) as handle:
        return json.load(handle)

def load(path):
    with open(path) as handle:
        return json.load(handle)
",
        expect![[r#"
            human "def save(path, data):\n"
            ai b "    with open(path, 'w') as handle:\n"
            ai b "        json.dump(data, handle)\n"
            unknown "\n"
            human "def load(path):\n"
            ai a "    with open(path) as handle:\n"
            ai a "        return json.load(handle)\n"
            human "\n"
            unknown "def load(path):\n"
            unknown "    with open(path) as handle:\n"
            unknown "        return json.load(handle)\n"
        "#]],
    );
}

#[test]
fn a_line_that_changed_beside_a_moved_block_keeps_the_writers_of_its_tokens() {
    check(
        &[BEFORE],
        "def save(path, data):
    with open(path, 'w', newline='') as handle:
        json.dump(data, handle)

def load(path):
    with open(path) as handle:
        return json.load(handle, strict)
",
        expect![[r#"
            human "def save(path, data):\n"
            ai b "    with open(path, 'w'" + unknown ", newline=''" + ai b ") as handle:\n"
            ai b "        json.dump(data, handle)\n"
            unknown "\n"
            human "def load(path):\n"
            ai a "    with open(path) as handle:\n"
            unknown "        return json.load(handle, strict)\n"
        "#]],
    );
}

#[test]
fn a_weaker_source_fills_only_what_is_left_and_needs_more_than_a_brace() {
    check(
        &["h|fn main() {\nh|}\n", "a|fn helper(value: u32) -> u32 {\na|    value * 2 + 1\na|}\na|fn main() {\na|{\n"],
        "fn main() {\n}\nfn helper(value: u32) -> u32 {\n    value * 2 + 1\n}\n{\n",
        expect![[r#"
            human "fn main() {\n"
            human "}\n"
            ai a "fn helper(value: u32) -> u32 {\n"
            ai a "    value * 2 + 1\n"
            ai a "}\n"
            unknown "{\n"
        "#]],
    );
}

#[test]
fn unknown_is_an_origin_like_any_other() {
    check(
        &["?|let secret_sauce = compute(1, 2);\nh|x\n", "a|let secret_sauce = compute(1, 2);\n"],
        "let secret_sauce = compute(1, 2);\ny\n",
        expect![[r#"
            unknown "let secret_sauce = compute(1, 2);\n"
            unknown "y\n"
        "#]],
    );
}

#[test]
fn a_known_text_with_foreign_spans_is_passed_over() {
    let foreign = Attribution::new(3, Origin::TYPED);
    let known = [Known { text: "abcd", attribution: &foreign, tier: Tier::Strong }];
    assert_eq!(carry(&known, "abcd", &Origin::Unknown, None), Attribution::new(4, Origin::Unknown));
}

fn any_program() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just("\n".to_owned()),
        Just("}\n".to_owned()),
        Just("\r\n".to_owned()),
        Just("  return value;\n".to_owned()),
        "[ \t]{0,3}(let|if|call) [a-f]{1,3}[(] ?[x-z]{1,2} ?[)];?(\n|\r\n|\r)",
        "[a-z😀é ]{0,4}",
    ];
    prop::collection::vec(line, 0..30).prop_map(|lines| lines.concat())
}

proptest! {
    #[test]
    fn carried_spans_cover_the_text_and_invent_no_writer(
        first in any_program(), second in any_program(), text in any_program(), cut in any::<prop::sample::Index>()
    ) {
        let mut spans = Spans::new(first.len(), origin('a'));
        let borders: Vec<usize> = (0..=first.len()).filter(|at| first.is_char_boundary(*at)).collect();
        spans.set(0..borders[cut.index(borders.len())], &Origin::TYPED);
        let strong = Attribution::of_origins(&first, spans);
        let weak = Attribution::new(second.len(), origin('b'));
        let known = [
            Known { text: &first, attribution: &strong, tier: Tier::Strong },
            Known { text: &second, attribution: &weak, tier: Tier::Weak },
        ];
        let carried = carry(&known, &text, &Origin::Unknown, None);
        prop_assert!(carried.covers(text.len()));
        for (range, found) in carried.origins.iter() {
            prop_assert!(text.is_char_boundary(range.start));
            prop_assert!([Origin::TYPED, Origin::Unknown, origin('a'), origin('b')].contains(found));
        }
        prop_assert_eq!(carry(&known, &first, &Origin::Unknown, None), strong);
    }

    #[test]
    fn inserted_lines_leave_the_others_with_their_writers(lines in prop::collection::vec(0u32..2, 1..40), at in any::<prop::sample::Index>(), extra in 1usize..5) {
        let texts: Vec<String> = (0..lines.len()).map(|i| format!("statement_{i}(argument);\n")).collect();
        let mut spans = Spans::default();
        for (text, writer) in texts.iter().zip(&lines) {
            spans.push(text.len(), if *writer == 0 { Origin::TYPED } else { origin('a') });
        }
        let at = at.index(lines.len() + 1);
        let added: String = (0..extra).map(|i| format!("totally + different * {i}\n")).collect();
        let text = format!("{}{added}{}", texts[..at].concat(), texts[at..].concat());
        let mut expected = spans.clone();
        expected.edit(crate::text::Edit { start: texts[..at].concat().len(), deleted: 0, inserted: added.len() }, &Origin::Unknown);
        let known = texts.concat();
        let before = Attribution::of_origins(&known, spans);
        let known = [Known { text: &known, attribution: &before, tier: Tier::Strong }];
        prop_assert_eq!(carry(&known, &text, &Origin::Unknown, None), Attribution::of_origins(&text, expected));
    }
}
