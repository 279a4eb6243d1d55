//! What an answer promises, whatever the text.

use super::*;
use crate::finding::Severity;

fn check(language: Language, text: &str) -> Report {
    Engine::new().check(language, text)
}

fn prints(text: &str) -> Vec<String> {
    check(Language::Python, text).findings.into_iter().map(|finding| finding.fingerprint).collect()
}

#[test]
fn a_bad_rule_never_stops_the_others_and_is_named() {
    let good = *rules::FILES.iter().find(|(name, _)| *name == "python/tls-off").unwrap();
    let files = [
        ("python/not-yaml", "id: [\n"),
        ("python/no-metadata", "id: a\nlanguage: python\nmessage: b\nrule: { kind: call }\n"),
        (
            "python/no-kind",
            "id: a\nlanguage: python\nmessage: b\nmetadata: {cwe: [], why: a, fix: b}\nrule: { kind: nonsense }\n",
        ),
        (
            "python/unknown-field",
            "id: a\nlanguage: python\nmessage: b\nmetadata: {cwe: [], why: a, fix: b}\nrule: { kind: call }\nextra: 1\n",
        ),
        good,
    ];
    let set = RuleSet::compile(&files, Grammar::Python);
    let names: Vec<&str> = set.broken.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names, ["python/not-yaml", "python/no-metadata", "python/no-kind", "python/unknown-field"]);
    assert!(set.broken.iter().all(|rule| !rule.reason.is_empty()));
    let report = judge(&set, Grammar::Python, "requests.get(url, verify=False)\n");
    assert_eq!(report.findings.len(), 1);
}

#[test]
fn a_fingerprint_survives_moves_and_white_space_but_not_a_change() {
    let one = prints("os.system(\"rm \" + path)\n");
    assert_eq!(one.len(), 1);
    for moved in [
        "import os\n\n\ndef f():\n    os.system(\n        \"rm \" + path\n    )\n",
        "if x:\n    os.system(\"rm \"  +\n              path)\n",
    ] {
        assert_eq!(prints(moved), one, "{moved}");
    }
    assert_ne!(prints("os.system(\"rm \" + other)\n"), one);
}

#[test]
fn repeats_are_told_apart_and_keep_their_fingerprints_when_others_come() {
    let one = prints("os.system(a)\n");
    let two = prints("os.system(a)\nos.system(a)\n");
    let mixed = prints("os.system(b)\nos.system(a)\nos.system(a)\n");
    assert_eq!(two[0], one[0]);
    assert_ne!(two[0], two[1]);
    assert_eq!(mixed[1..], two[..]);
}

#[test]
fn a_secrets_fingerprint_depends_on_the_secret_only_by_one_byte() {
    let engine = Engine::new();
    let mut seen = std::collections::BTreeSet::new();
    for i in 0..600 {
        let text = format!("password = \"kX9#mP2q{i:03}\"\nother = 1\n");
        let report = engine.check(Language::Other, &text);
        assert_eq!(report.findings.len(), 1, "{text}");
        seen.insert(report.findings[0].fingerprint.clone());
    }
    assert!((200..=256).contains(&seen.len()), "{}", seen.len());
}

#[test]
fn secrets_are_found_in_any_language_and_name_only_their_kind() {
    let token = format!("gh{}{}", "p_", "aB3dE5fG7hJ9kL2mN4pQ6rS8tU0vW1xYzC77");
    for language in [Language::Other, Language::Python, Language::Tsx] {
        let text = format!("x = \"{token}\"\n");
        let report = check(language, &text);
        assert_eq!(report.findings.len(), 1);
        let finding = &report.findings[0];
        assert_eq!((finding.rule.as_str(), finding.severity), ("secret", Severity::High));
        assert_eq!(&text[finding.range.clone()], token);
        assert!(!format!("{finding:?}").contains(&token));
    }
}

#[test]
fn only_findings_on_the_given_ranges_are_kept() {
    let text = "os.system(a)\nos.system(b)\n";
    let report = Engine::new().check_ranges(Language::Python, text, &[0..3, 100..200]);
    assert_eq!(report.findings.len(), 1);
    assert_eq!(report.findings[0].range, 0..12);
    let none = Engine::new().check_ranges(Language::Python, text, &[12..13, 20..20]);
    assert_eq!(none.findings, []);
}

#[test]
fn a_text_over_the_limit_says_so_and_still_gets_secrets() {
    let token = format!("gh{}{}", "p_", "aB3dE5fG7hJ9kL2mN4pQ6rS8tU0vW1xYzC77");
    let mut text = format!("os.system(command)\nx = '{token}'\n");
    text.push_str(&"y = 1\n".repeat(CODE_BYTES_MAX / 6));
    let report = check(Language::Python, &text);
    assert_eq!(report.skipped, Some(Skipped::TooLong { bytes: text.len(), bytes_max: CODE_BYTES_MAX }));
    assert_eq!(report.findings.len(), 1);
}

#[test]
fn nesting_without_end_is_answered_and_said() {
    let deep = |open: &str, close: &str| format!("child_process;{}a{}\n", open.repeat(5_000), close.repeat(5_000));
    for (language, text) in [
        (Language::Python, deep("os.system(", ")")),
        (Language::Python, deep("os.system(a + ", ")")),
        (Language::Tsx, deep("exec(`${", "}`)")),
        (Language::TypeScript, deep("exec(a + ", ")")),
    ] {
        let report = check(language, &text);
        assert_eq!(report.skipped, Some(Skipped::Partly), "{}", &text[..40]);
        assert!(report.findings.len() <= FINDINGS_MAX);
    }
    for (language, text) in [
        (Language::Python, deep("os.system(", "")),
        (Language::Python, deep("os.system(f\"{", "")),
        (Language::Tsx, deep("exec(`${", "")),
        (Language::Tsx, deep("<a b={exec(", "")),
        (Language::TypeScript, deep("exec(", "]")),
    ] {
        check(language, &text);
    }
    let sum = format!("os.system(command)\nx = {sum}1\nos.system({sum}b)\n", sum = "a + ".repeat(5_000));
    let report = check(Language::Python, &sum);
    assert_eq!(report.findings.len(), 2);
}

#[test]
fn a_finding_points_at_the_argument_a_rule_marks() {
    let text = "requests.get(\n    url,\n    verify=False,\n)\n";
    let report = check(Language::Python, text);
    let finding = report.findings.iter().find(|finding| finding.rule == "tls-off").unwrap();
    assert_eq!(&text[finding.range.clone()], "verify=False");
}
