use super::*;
use crate::spans::{ContributionId, Spans};
use countersign_event::payload::edit::Hunk;
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
fn shown(text: &str, attribution: &Attribution) -> String {
    let mut shown = String::new();
    for line in crate::text::lines_of(text) {
        let parts: Vec<String> = attribution
            .origins
            .within(line.clone())
            .map(|(span, origin)| format!("{origin} {:?}", &text[span]))
            .collect();
        shown.push_str(&parts.join(" + "));
        let writers: Vec<String> =
            attribution.writers.within(line.clone()).map(|(_, writer)| writer.to_string()).collect();
        let written = writers.join(", ");
        if parts.len() > 1 || attribution.origins.at(line.start).map(Origin::to_string).as_ref() != Some(&written) {
            shown.push_str(&format!(", last {written}"));
        }
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
    expect.assert_eq(&shown(text, &carried));
}

/// Carries one text to another that an AI made of it.
fn after_ai(before: &str, text: &str, hunks: Option<&[Hunk]>, expect: Expect) {
    let (known, attribution) = written(before);
    let known = [Known { text: &known, attribution: &attribution, tier: Tier::Strong }];
    expect.assert_eq(&shown(text, &carry(&known, text, &origin('z'), hunks)));
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
            ai a "    with open(path" + unknown ", encoding='utf-8'" + ai a ") as handle:\n", last unknown
            ai a "        return" + unknown " yaml.safe_load" + ai a "(handle)\n", last unknown
            human "\n"
            human "def save(path, data):\n"
            ai b "    with open(path, 'w') as handle:\n"
            ai b "        json.dump(data, handle" + unknown ", indent=2" + ai b ")\n", last unknown
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
            ai b "    with open(path, 'w'" + unknown ", newline=''" + ai b ") as handle:\n", last unknown
            ai b "        json.dump(data, handle)\n"
            unknown "\n"
            human "def load(path):\n"
            ai a "    with open(path) as handle:\n"
            ai a "        return json.load(handle" + unknown ", strict" + ai a ")\n", last unknown
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

#[test]
fn what_nothing_explains_is_the_actors() {
    after_ai(
        "h|fn one() {}\n",
        "fn one() {}\nfn two() { three(4) }\n",
        None,
        expect![[r#"
        human "fn one() {}\n"
        ai z "fn two() { three(4) }\n"
    "#]],
    );
}

#[test]
fn human_text_that_equals_discarded_ai_text_stays_human() {
    check(
        &["h|let total = price * count;\n", "a|let total = price * count;\na|print(total)\n"],
        "let total = price * count;\nprint(total)\n",
        expect![[r#"
            human "let total = price * count;\n"
            ai a "print(total)\n"
        "#]],
    );
}

#[test]
fn taking_out_a_word_makes_the_actor_its_last_writer() {
    after_ai(
        "h|call(alpha, beta, gamma)\nh|other(delta)\n",
        "call(alpha, gamma)\nother(delta)\n",
        None,
        expect![[r#"
        human "call(alpha, gamma)\n", last ai z
        human "other(delta)\n"
    "#]],
    );
}

#[test]
fn a_line_of_which_too_little_stayed_is_new() {
    after_ai(
        "h|let total = price * count;\n",
        "if total.is_empty() { return None; }\n",
        None,
        expect![[r#"
        ai z "if total.is_empty() { return None; }\n"
    "#]],
    );
}

#[test]
fn signs_alone_are_no_trace_of_a_line() {
    after_ai(
        "h|foo(a, b);\n",
        "bar(c, d);\n",
        None,
        expect![[r#"
        ai z "bar(c, d);\n"
    "#]],
    );
}

#[test]
fn a_formatter_like_black_changes_nobodys_lines() {
    check(
        &["a|result = compute_total(first_argument, second_argument, third_argument)\nh|x = {'key': 1}\n"],
        "result = compute_total(\n    first_argument,\n    second_argument,\n    third_argument,\n)\nx = {'key': 1}\n",
        expect![[r#"
            ai a "result = compute_total(\n"
            ai a "    first_argument,\n"
            ai a "    second_argument,\n"
            ai a "    third_argument,\n"
            ai a ")\n"
            human "x = {'key': 1}\n"
        "#]],
    );
}

#[test]
fn a_formatter_like_prettier_adds_a_semicolon_and_changes_nobodys_lines() {
    check(
        &["a|const value = items.filter((item) => item.active).map((item) => item.name)\nh|run(value)\n"],
        "const value = items\n  .filter((item) => item.active)\n  .map((item) => item.name);\nrun(value);\n",
        expect![[r#"
            ai a "const value = items\n"
            ai a "  .filter((item) => item.active)\n"
            ai a "  .map((item) => item.name);\n"
            human "run(value);\n"
        "#]],
    );
}

#[test]
fn a_formatter_like_rustfmt_joins_lines_by_whoever_wrote_most() {
    check(
        &["a|    let value = builder\na|        .with_name(name)\nh|        .build();\nh|    drop(value);\n"],
        "    let value = builder.with_name(name).build();\n    drop(value);\n",
        expect![[r#"
            ai a "    let value = builder.with_name(name)" + human ".build();\n", last ai a
            human "    drop(value);\n"
        "#]],
    );
}

#[test]
fn tabs_for_blanks_line_ends_and_a_missing_last_one_change_nothing() {
    check(
        &["a|if ready {\nh|    start(now);\na|}\n"],
        "if ready {\r\n\tstart( now );\r\n}",
        expect![[r#"
        ai a "if ready {\r\n"
        human "\tstart( now );\r\n"
        ai a "}"
    "#]],
    );
}

#[test]
fn a_line_that_moved_and_changed_in_one_step_keeps_what_stayed() {
    after_ai(
        "h|let first = load_settings(path, default_value);\na|open();\na|close();\n",
        "open();\nclose();\nlet first = load_settings(path, other_value);\n",
        None,
        expect![[r#"
            ai a "open();\n"
            ai a "close();\n"
            human "let first = load_settings(path," + ai z " other_value" + human ");\n", last ai z
        "#]],
    );
}

#[test]
fn unicode_words_are_words() {
    after_ai(
        "h|größe = länge * 名前  # 😀\nh|x\n",
        "größe = länge * 名前 + é  # 😀\nx\n",
        None,
        expect![[r#"
        human "größe = länge * 名前" + ai z " + é" + human "  # 😀\n", last ai z
        human "x\n"
    "#]],
    );
}

#[test]
fn a_tools_hunks_decide_which_of_two_equal_lines_is_new() {
    let before = "h|    }\nh|    }\n";
    let text = "    }\n    }\n    }\n";
    let hunk = |new_start| Hunk { old_start: new_start - 1, old_lines: 0, new_start, new_lines: 1 };
    after_ai(
        before,
        text,
        Some(&[hunk(1)]),
        expect![[r#"
        ai z "    }\n"
        human "    }\n"
        human "    }\n"
    "#]],
    );
    after_ai(
        before,
        text,
        Some(&[hunk(2)]),
        expect![[r#"
        human "    }\n"
        ai z "    }\n"
        human "    }\n"
    "#]],
    );
    after_ai(
        before,
        text,
        None,
        expect![[r#"
        human "    }\n"
        human "    }\n"
        ai z "    }\n"
    "#]],
    );
}

#[test]
fn hunks_that_do_not_fit_the_texts_are_not_believed() {
    let text = "one(1);\nthree(3);\n";
    for hunk in [
        Hunk { old_start: 1, old_lines: 1, new_start: 1, new_lines: 1 },
        Hunk { old_start: 9, old_lines: 9, new_start: 9, new_lines: 9 },
        Hunk { old_start: 0, old_lines: 3, new_start: 0, new_lines: 1 },
        Hunk { old_start: u32::MAX, old_lines: u32::MAX, new_start: 1, new_lines: 0 },
    ] {
        after_ai(
            "h|one(1);\nh|two(2);\n",
            text,
            Some(&[hunk]),
            expect![[r#"
            human "one(1);\n"
            ai z "three(3);\n"
        "#]],
        );
    }
}

#[test]
fn a_stored_text_gives_back_what_was_deleted() {
    let strong = written("h|start();\n");
    let stored = written("a|start();\na|let unique_word = 1;\na|}\n");
    let text = "start();\nlet unique_word = 1;\n}\n";
    let known = [
        Known { text: &strong.0, attribution: &strong.1, tier: Tier::Strong },
        Known {
            text: &format!("{}more\n", stored.0),
            attribution: &Attribution::new(stored.0.len() + 5, origin('a')),
            tier: Tier::Stored,
        },
    ];
    expect![[r#"
        human "start();\n"
        ai a "let unique_word = 1;\n"
        ai a "}\n"
    "#]]
    .assert_eq(&shown(text, &carry(&known, text, &Origin::Unknown, None)));
}

#[test]
fn what_vanished_elsewhere_is_found_only_where_it_is_more_than_a_short_line() {
    let strong = written("h|keep_this_line();\n");
    let vanished = written("a|return Err(message);\na|}\na|done\n");
    let text = "keep_this_line();\n}\nreturn Err(message);\ndone\n";
    let known = [
        Known { text: &strong.0, attribution: &strong.1, tier: Tier::Strong },
        Known { text: &vanished.0, attribution: &vanished.1, tier: Tier::Weak },
    ];
    expect![[r#"
        human "keep_this_line();\n"
        ai z "}\n"
        ai a "return Err(message);\n"
        ai z "done\n"
    "#]]
    .assert_eq(&shown(text, &carry(&known, text, &origin('z'), None)));
}

#[test]
fn a_merge_takes_each_line_from_the_side_that_has_it() {
    let (ours, theirs) =
        (written("h|one(1);\na|two(2, ours);\nh|three(3);\n"), written("h|one(1);\nh|two(2);\nb|three(3, theirs);\n"));
    let text = "one(1);\ntwo(2, ours);\nthree(3, theirs);\n";
    let known = [&ours, &theirs].map(|(text, attribution)| Known { text, attribution, tier: Tier::Strong });
    expect![[r#"
        human "one(1);\n"
        ai a "two(2, ours);\n"
        ai b "three(3, theirs);\n"
    "#]]
    .assert_eq(&shown(text, &carry(&known, text, &Origin::Unknown, None)));
}

/// Lines of few kinds in no order: nothing is unique, so nothing is an anchor.
fn noise(lines: usize, seed: u64) -> String {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ["}\n", "x;\n", "\n", "else {\n"][(state >> 60) as usize % 4]
    };
    (0..lines).map(|_| next()).collect()
}

#[test]
fn a_hundred_thousand_lines_are_carried_line_by_line() {
    let before: String = (0..100_000).map(|i| format!("statement_{i}(value_{}, {i});\n", i % 97)).collect();
    let attribution = Attribution::new(before.len(), Origin::TYPED);
    let after = before.replace("7(value_", "7 ( value_").replace("statement_50000(", "changed_50000(");
    let known = [Known { text: &before, attribution: &attribution, tier: Tier::Strong }];
    let carried = carry(&known, &after, &origin('z'), None);
    assert_eq!(carried.origins.bytes_of(&ContributionId::new("z")), "changed_50000".len());
    assert_eq!(carried.writers.bytes_of(&ContributionId::new("z")), "changed_50000(value_45, 50000);\n".len());
}

#[test]
fn a_hundred_thousand_lines_without_anything_unique_end_in_bounded_work() {
    let (before, after) = (noise(100_000, 1), noise(100_000, 2));
    let attribution = Attribution::new(before.len(), Origin::TYPED);
    let known = [Known { text: &before, attribution: &attribution, tier: Tier::Strong }];
    let carried = carry(&known, &after, &Origin::Unknown, None);
    assert!(carried.covers(after.len()));
    // A few changes are found all the same.
    let edited = format!("x;\n{}y;\n{}", &before[..before.len() / 2], &before[before.len() / 2..]);
    let edited = edited.replacen("else {\n", "", 1);
    let carried = carry(&known, &edited, &Origin::Unknown, None);
    let lost: usize =
        carried.origins.iter().filter(|(_, origin)| **origin == Origin::Unknown).map(|(range, _)| range.len()).sum();
    assert!(lost <= 20, "{lost} bytes");
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

#[test]
fn the_comma_that_a_formatter_adds_goes_with_its_line() {
    check(
        &["
a|result = frobnicate(first_argument, second_argument, third_argument)
h|print(result)
"],
        "result = frobnicate(\n    first_argument,\n    second_argument,\n    third_argument,\n)\nprint(result)\n",
        expect![[r#"
            ai a "result = frobnicate(\n"
            ai a "    first_argument,\n"
            ai a "    second_argument,\n"
            ai a "    third_argument,\n"
            ai a ")\n"
            human "print(result)\n"
        "#]],
    );
}

/// Says which lines an AI's step leaves to their writers, by the first letters of these.
fn left_by_ai(before: &str, text: &str) -> String {
    let (known, attribution) = written(before);
    let known = [Known { text: &known, attribution: &attribution, tier: Tier::Strong }];
    let carried = carry(&known, text, &origin('z'), None);
    let line = |(_, line): (usize, crate::lines::LineAuthor)| match &line.last_writer {
        Origin::Ai(id) => id.as_str().chars().next().unwrap(),
        origin => {
            if origin.is_human() {
                'h'
            } else {
                '?'
            }
        }
    };
    crate::lines::lines(&crate::text::Text::new(text), &carried, 0..usize::MAX).into_iter().map(line).collect()
}

#[test]
fn a_call_that_moved_and_was_wrapped_in_one_step_keeps_its_writer() {
    let before = "h|let total = compute(first, second, third);\na|open(door);\na|close(window, door);\n";
    let text = "open(door);\nclose(window, door);\nlet total = compute(\n    first,\n    second,\n    third\n);\n";
    assert_eq!(left_by_ai(before, text), "aahhhhh");
}

#[test]
fn a_line_put_into_a_call_that_was_wrapped_with_it_leaves_the_rest_alone() {
    let before = "h|let total = compute(first, second, third);\n";
    let text = "let total = compute(\n    first,\n    // why the next one is there\n    second,\n    third\n);\n";
    assert_eq!(left_by_ai(before, text), "hhzhhh");
}

#[test]
fn a_short_line_that_stands_once_is_found_where_it_moved() {
    assert_eq!(
        left_by_ai("h|else\nh|let total = price(count, tax);\n", "let total = price(count, tax);\nelse\n"),
        "hh"
    );
}

#[test]
fn a_bracket_of_a_call_that_went_is_not_taken_for_that_of_a_call_that_was_wrapped() {
    let before = "a|open(\na|    door,\na|);\nh|let total = compute(first, second);\n";
    let text = "let total = compute(\n    first,\n    second,\n);\n";
    assert_eq!(left_by_ai(before, text), "hhhh");
}

#[test]
fn a_sign_beside_what_went_stays_with_its_writer() {
    let (known, attribution) = written("h|let total = compute(first, second);\n");
    let known = [Known { text: &known, attribution: &attribution, tier: Tier::Strong }];
    let text = "let =(first, second);\n";
    let carried = carry(&known, text, &origin('z'), None);
    assert_eq!(carried.origins, Spans::new(text.len(), Origin::TYPED));
}
