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
    check(&long, &changed, expect!["kept 23991 deleted 9 inserted 1 ratio 1.00 levenshtein none"]);
    let wrapped = long.replace("= ", "=\n    ");
    check(&long, &wrapped, expect!["kept 24000 deleted 0 inserted 0 ratio 1.00 levenshtein none"]);
    let (moved, stayed) = long.split_at(long.find("let v1000 ").unwrap());
    check(&long, &format!("{stayed}{moved}"), expect!["kept 24000 deleted 0 inserted 0 ratio 1.00 levenshtein none"]);
}

#[test]
fn a_large_text_without_anything_unique_is_coarse_and_says_so() {
    let braces = "{ } ".repeat(5_000);
    let commas = "( , ) ".repeat(5_000);
    check(
        &format!("start;{braces}end;"),
        &format!("start;{commas}end;"),
        expect!["kept 0 deleted 10004 inserted 15004 ratio 0.00 levenshtein none coarse"],
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
        prop_assert_eq!(d.kept + d.deleted, tokens::split(&earlier).len() as u64);
        prop_assert_eq!(d.kept + d.inserted, tokens::split(&later).len() as u64);
        prop_assert!((0.0..=1.0).contains(&d.ratio));
    }

    #[test]
    fn white_space_changes_no_figure(words in prop::collection::vec("[a-z]{1,4}|[(){};]", 0..40), blanks in prop::collection::vec("[ \t\n]{1,3}|\r\n", 40)) {
        let earlier = words.join(" ");
        let later: String = words.iter().zip(&blanks).flat_map(|(word, blank)| [&word[..], blank]).collect();
        let d = distance(&earlier, &later);
        prop_assert_eq!((d.deleted, d.inserted), (0, 0));
    }
}
