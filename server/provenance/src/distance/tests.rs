use super::*;
use expect_test::{Expect, expect};
use proptest::prelude::*;

const RETRY: &str = r#"
def fetch_with_retry(url, attempts=3, delay=0.5):
    last_error = None
    for attempt in range(attempts):
        try:
            response = session.get(url, timeout=10)
            response.raise_for_status()
            return response.json()
        except RequestException as error:
            last_error = error
            time.sleep(delay * (2 ** attempt))
    raise FetchError(f"{url} failed after {attempts} attempts") from last_error
"#;

const TREE: &str = r#"
def build_index(paths, encoding="utf-8"):
    index = defaultdict(list)
    for path in paths:
        with open(path, encoding=encoding) as handle:
            for number, line in enumerate(handle, start=1):
                for word in tokenize(line):
                    index[word].append((path, number))
    if not index:
        raise EmptyIndex("nothing to index")
    return {word: sorted(places) for word, places in index.items()}
"#;

fn check(earlier: &str, later: &str, expect: Expect) {
    let d = distance(earlier, later);
    let levenshtein = d.levenshtein.map_or("none".to_owned(), |n| n.to_string());
    let exact = if d.exact { "" } else { " coarse" };
    expect.assert_eq(&format!(
        "kept {} deleted {} inserted {} ratio {:.2} levenshtein {levenshtein}{exact}",
        d.kept, d.deleted, d.inserted, d.ratio
    ));
}

#[test]
fn the_same_text_is_kept_and_an_empty_one_has_nothing_to_lose() {
    check(RETRY, RETRY, expect!["kept 91 deleted 0 inserted 0 ratio 1.00 levenshtein 0"]);
    check("", "", expect!["kept 0 deleted 0 inserted 0 ratio 1.00 levenshtein 0"]);
    check("", "x = 1", expect!["kept 0 deleted 0 inserted 3 ratio 1.00 levenshtein 5"]);
    check("x = 1", "", expect!["kept 0 deleted 3 inserted 0 ratio 0.00 levenshtein 5"]);
    check("ok()", "ok()", expect!["kept 3 deleted 0 inserted 0 ratio 1.00 levenshtein 0"]);
}

#[test]
fn a_formatter_changes_no_figure() {
    let wrapped = RETRY.replace("(url, attempts=3, delay=0.5)", "(\n    url,\n    attempts = 3,\n    delay = 0.5\n)");
    let tabs = wrapped.replace("    ", "\t").replace('\n', "\r\n");
    check(RETRY, &tabs, expect!["kept 91 deleted 0 inserted 0 ratio 1.00 levenshtein 99"]);
}

#[test]
fn commas_and_semicolons_that_formatters_add_change_no_figure() {
    for (earlier, later) in [
        ("result = compute(first, second, third)\n", "result = compute(\n    first,\n    second,\n    third,\n)\n"),
        ("const a = b.map((c) => c.d)\nrun(a)", "const a = b\n  .map((c) => c.d);\nrun(a);"),
        ("let v = vec![one, two, three];", "let v = vec![\n    one,\n    two,\n    three,\n];\n"),
    ] {
        for (earlier, later) in [(earlier, later), (later, earlier)] {
            let d = distance(earlier, later);
            assert_eq!((d.inserted, d.deleted, d.ratio), (0, 0, 1.0), "{earlier:?} {later:?}");
        }
    }
    // A semicolon inside a line and a comma between two are code.
    assert_eq!(counted("for (;;) { run(a, b) }").len(), 13);
}

#[test]
fn blocks_that_moved_to_several_places_are_not_lost() {
    let block = |name: &str| {
        format!("fn {name}(value: u32) -> u32 {{\n    let {name}_sum = value + 1;\n    {name}_sum * 2\n}}\n")
    };
    let text = |names: &[&str]| names.iter().map(|name| block(name)).collect::<String>();
    let d = distance(&text(&["one", "two", "three", "four"]), &text(&["four", "two", "one", "three"]));
    // Where two blocks meet, a token may be counted with the other one.
    assert!(d.deleted <= 1 && d.inserted <= 1, "{d:?}");
}

/// Few different tokens in no order.
fn noise(bytes: usize, seed: u64) -> String {
    let mut state = seed;
    let mut text = String::with_capacity(bytes);
    while text.len() < bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(["a ", "b ", "( ", ") "][(state >> 60) as usize % 4]);
    }
    text
}

#[test]
fn noise_is_compared_with_bounded_work_and_says_so() {
    assert!(distance(&noise(1_000, 1), &noise(1_000, 2)).exact);
    let d = distance(&noise(200_000, 1), &noise(200_000, 2));
    assert!(!d.exact);
    assert_eq!(d.kept + d.deleted, 100_000);
}

#[test]
fn no_clock_decides_a_figure() {
    for source in [include_str!("../distance.rs"), include_str!("../tokens.rs")] {
        assert!(!source.contains("deadline") && !source.contains("Instant") && !source.contains("timeout"));
    }
}

#[test]
fn a_human_edit_is_what_it_is() {
    check(
        RETRY,
        &RETRY.replace("timeout=10", "timeout=30, stream=True"),
        expect!["kept 90 deleted 1 inserted 5 ratio 0.99 levenshtein 14"],
    );
}

#[test]
fn unrelated_code_of_the_same_style_does_not_survive() {
    check(RETRY, TREE, expect!["kept 0 deleted 91 inserted 104 ratio 0.00 levenshtein 340"]);
    assert!(distance(RETRY, TREE).ratio < 0.1);
    assert!(distance(TREE, RETRY).ratio < 0.1);
}

#[test]
fn a_moved_block_is_found_once() {
    let swapped = format!("{TREE}{RETRY}");
    let both = format!("{RETRY}{TREE}");
    check(&both, &swapped, expect!["kept 195 deleted 0 inserted 0 ratio 1.00 levenshtein 680"]);
    check(&both, &format!("{swapped}{RETRY}"), expect!["kept 195 deleted 0 inserted 91 ratio 1.00 levenshtein 780"]);
}

#[test]
fn a_large_text_is_cut_where_it_is_unique() {
    let long: String = (0..3_000).map(|i| format!("let v{i} = f({i});\n")).collect();
    let changed = long.replace("let v77 =", "var v77 =").replace("let v2000 = f(2000);", "");
    check(&long, &changed, expect!["kept 20992 deleted 8 inserted 1 ratio 1.00 levenshtein none"]);
    let wrapped = long.replace("= ", "=\n    ");
    check(&long, &wrapped, expect!["kept 21000 deleted 0 inserted 0 ratio 1.00 levenshtein none"]);
    let (moved, stayed) = long.split_at(long.find("let v1000 ").unwrap());
    check(&long, &format!("{stayed}{moved}"), expect!["kept 21000 deleted 0 inserted 0 ratio 1.00 levenshtein none"]);
}

#[test]
fn a_large_text_without_anything_unique_is_coarse_and_says_so() {
    let braces = "{ } ".repeat(5_000);
    let commas = "( , ) ".repeat(5_000);
    check(
        &format!("start;{braces}end;"),
        &format!("start;{commas}end;"),
        expect!["kept 0 deleted 10003 inserted 10003 ratio 0.00 levenshtein none coarse"],
    );
}

#[test]
fn the_algorithm_names_the_version_that_is_built_in() {
    let lock = include_str!("../../../../Cargo.lock");
    let name = ALGORITHM.split(' ').take(2).collect::<Vec<_>>();
    assert!(lock.contains(&format!("name = \"{}\"\nversion = \"{}\"", name[0], name[1])), "{name:?}");
}

proptest! {
    #[test]
    fn the_figures_add_up(earlier in "[ab(){};\n ]{0,80}", later in "[ab(){};\n ]{0,80}") {
        let d = distance(&earlier, &later);
        prop_assert_eq!(d.kept + d.deleted, counted(&earlier).len() as u64);
        prop_assert_eq!(d.kept + d.inserted, counted(&later).len() as u64);
        prop_assert!((0.0..=1.0).contains(&d.ratio));
    }

    #[test]
    fn white_space_changes_no_figure(words in prop::collection::vec("[a-z]{1,4}|[(){}]", 0..40), blanks in prop::collection::vec("[ \t\n]{1,3}|\r\n", 40)) {
        let earlier = words.join(" ");
        let later: String = words.iter().zip(&blanks).flat_map(|(word, blank)| [&word[..], blank]).collect();
        let d = distance(&earlier, &later);
        prop_assert_eq!((d.deleted, d.inserted), (0, 0));
    }
}
