//! What is read out of settings, and what the rules say about it.

use proptest::prelude::*;

use super::tree::Value;
use super::*;

fn tree(node: &Node) -> String {
    match &node.value {
        Value::Scalar(text) => format!("{text:?}"),
        Value::List(items) => format!("[{}]", items.iter().map(tree).collect::<Vec<_>>().join(", ")),
        Value::Map(pairs) => {
            let pair = |pair: &Pair| {
                let labels: String = pair.labels.iter().map(|label| format!(" {label}")).collect();
                format!("{}{labels}: {}", pair.key, tree(&pair.node))
            };
            format!("{{{}}}", pairs.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
    }
}

#[test]
fn terraform_becomes_a_tree() {
    for (text, expected) in [
        ("a = 1\nb = \"x\"", "{a: \"1\", b: \"x\"}"),
        (
            "resource \"t\" \"n\" {\n  a = true # c\n  b { c = [1, \"d\"] }\n}",
            "{resource t n: {a: \"true\", b: {c: [\"1\", \"d\"]}}}",
        ),
        ("p = jsonencode({ A = [\"*\"], \"B\" : 2 })", "{p: {A: [\"*\"], B: \"2\"}}"),
        ("p = <<-EOF\n  {\"A\": \"*\"}\n  EOF\nq = 1", "{p: {A: \"*\"}, q: \"1\"}"),
        ("p = \"{\\\"A\\\": \\\"*\\\"}\"", "{p: {A: \"*\"}}"),
        ("a = var.x == \"y\" ? [1] : f({})\nb = 2", "{a: \"var.x == \\\"y\\\" ? [1] : f({})\", b: \"2\"}"),
        ("a = \"${f(\"b\")}-c\"\nd = 1", "{a: \"${f(\\\"b\\\")}-c\", d: \"1\"}"),
        ("/* x */ a = 1 // y\n", "{a: \"1\"}"),
        ("resource \"t\" \"n\" {\n  a = [\"b\",\n", "{resource t n: {a: [\"b\"]}}"),
        ("a = {\n  \"é\" = 1\n}\n", "{a: {é: \"1\"}}"),
    ] {
        assert_eq!(tree(&hcl::read(text)), expected, "{text}");
    }
    assert_eq!(
        tree(&hcl::read_value("{\"a\": {\"b\": [1, true]}, \"c\": null}", 0)),
        "{a: {b: [\"1\", \"true\"]}, c: \"null\"}"
    );
}

#[test]
fn yaml_becomes_a_tree() {
    for (text, expected) in [
        ("a: 1\nb:\n  c: x # y\n  d: 'z'\n", "{a: \"1\", b: {c: \"x\", d: \"z\"}}"),
        ("a:\n- b: 1\n  c: 2\n- d\n", "{a: [{b: \"1\", c: \"2\"}, \"d\"]}"),
        ("a:\n  - b:\n      c: 1\n    d: 2\n", "{a: [{b: {c: \"1\"}, d: \"2\"}]}"),
        ("run: |\n  # no comment\n  echo a: b\nnext: 1\n", "{run: \"  # no comment\\n  echo a: b\\n\", next: \"1\"}"),
        ("a: [b, \"c\"]\nd: {e: f}\n", "{a: [\"b\", \"c\"], d: {e: \"f\"}}"),
        ("on:\n  push:\n  pull_request:\n", "{on: {push: \"\", pull_request: \"\"}}"),
        ("a: !Sub b\nc: &d e\n", "{a: \"b\", c: \"e\"}"),
        ("a:\n  b: 1\n c\nd: 2\n", "{a: {b: \"1\"}, d: \"2\"}"),
    ] {
        let documents = yaml::read(text);
        assert_eq!(documents.len(), 1, "{text}");
        assert_eq!(tree(&documents[0]), expected, "{text}");
    }
    assert_eq!(yaml::read("a: 1\n---\nb: 2\n").len(), 2);
}

/// Reads a file of cases; its first line says what it holds.
fn cases(file: &str) -> Vec<(String, bool, String)> {
    let mut cases = Vec::new();
    for part in file.split("\n=== ").skip(1) {
        let (head, text) = part.split_once('\n').unwrap();
        let (sign, rule) = head.split_once(' ').unwrap();
        assert!(["invalid", "valid"].contains(&sign), "{head}");
        cases.push((rule.to_owned(), sign == "invalid", text.to_owned() + "\n"));
    }
    cases
}

const CASES: [(Language, &str); 4] = [
    (Language::Terraform, include_str!("cases/terraform.txt")),
    (Language::Yaml, include_str!("cases/yaml.txt")),
    (Language::Json, include_str!("cases/json.txt")),
    (Language::Dockerfile, include_str!("cases/dockerfile.txt")),
];

#[test]
fn invalid_cases_are_found_and_valid_ones_are_not() {
    let mut wrong = Vec::new();
    let mut invalid = std::collections::BTreeSet::new();
    for (language, file) in CASES {
        for (rule, is_invalid, text) in cases(file) {
            let findings = check(language, &text).unwrap();
            let is_found = findings.iter().any(|finding| finding.rule == rule);
            if is_found != is_invalid {
                let others: Vec<&str> = findings.iter().map(|finding| finding.rule.as_str()).collect();
                wrong.push(format!("{rule} {}: {text}{others:?}", if is_invalid { "missed" } else { "wrong" }));
            }
            if is_invalid {
                invalid.insert(rule);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let untested: Vec<&str> = rules::ALL.iter().map(|rule| rule.id()).filter(|id| !invalid.contains(*id)).collect();
    assert_eq!(untested, Vec::<&str>::new(), "rules without a case");
}

#[test]
fn every_rule_says_what_it_must() {
    let mut ids = std::collections::BTreeSet::new();
    for rule in rules::ALL {
        let finding = rule.finding(0..1);
        assert!(ids.insert(rule.id()), "{} twice", rule.id());
        assert!(finding.message.chars().count() <= 100, "{}", finding.message);
        assert!(!finding.why.is_empty() && !finding.fix_hint.is_empty() && finding.cwe[0].starts_with("CWE-"));
    }
}

#[test]
fn every_line_of_the_table_can_hold() {
    for line in include_str!("terraform/required.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let parts: Vec<&str> = line.split(" | ").collect();
        let rules = ["encryption", "rotation", "tls", "log", "public", "password", "guard"];
        assert!(parts.len() == 3 && rules.contains(&parts[2]), "{line}");
    }
}

#[test]
fn deep_nesting_and_open_brackets_are_read_to_a_bound() {
    for text in ["{".repeat(100_000), "[".repeat(100_000), "a {\n".repeat(100_000), "a = jsonencode(".repeat(20_000)] {
        check(Language::Terraform, &text).unwrap();
        check(Language::Json, &text).unwrap();
    }
    check(Language::Yaml, &"- ".repeat(100_000)).unwrap();
    check(Language::Yaml, &(0..1200).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect::<String>()).unwrap();
    assert_eq!(check(Language::Yaml, &" ".repeat(CODE_BYTES_MAX + 1)), None);
}

#[test]
fn every_beginning_of_every_case_is_answered() {
    for (language, file) in CASES {
        for (_, _, text) in cases(file) {
            for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
                check(language, &text[..end]).unwrap();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn pieces_of_settings_in_any_order_never_panic_and_stay_inside_the_text(
        pieces in prop::collection::vec(prop_oneof![
            Just("resource \"aws_x\" \"y\" {\n".to_owned()), Just("Statement = [{ Action = \"*\" }]".to_owned()),
            Just("<<EOF\n".to_owned()), Just("\nEOF\n".to_owned()), Just("jsonencode(".to_owned()), Just("\"${".to_owned()),
            Just("}".to_owned()), Just("{".to_owned()), Just("[".to_owned()), Just(")".to_owned()), Just("\\".to_owned()),
            Just("\n  - ".to_owned()), Just(": ".to_owned()), Just("|\n".to_owned()), Just("on:\njobs:\n".to_owned()),
            Just("RUN curl x | sh".to_owned()), Just("FROM a AS b\n".to_owned()), Just(" \\\n".to_owned()),
            Just("\"{\\\"Statement\\\": ".to_owned()), "\\PC{0,6}", "[a-z =\n]{1,6}",
        ], 0..30),
    ) {
        let text = pieces.concat();
        for language in [Language::Terraform, Language::Yaml, Language::Json, Language::Dockerfile] {
            for finding in check(language, &text).unwrap() {
                prop_assert!(text.get(finding.range.clone()).is_some_and(|text| !text.is_empty()));
            }
        }
    }
}
