//! Every rule file is listed, loads, says what it must, and keeps its cases.

#![allow(clippy::disallowed_methods, reason = "a test: it compares the list with the folder on disk")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use super::FILES;
use crate::{Engine, Finding, Language, Skipped};

/// The cases of a rule for one language, in ast-grep's own test format.
#[derive(Deserialize, Clone, Default)]
struct Cases {
    /// Stands before every case, such as an import the rule looks for.
    #[serde(default)]
    before: String,
    #[serde(default)]
    valid: Vec<String>,
    #[serde(default)]
    invalid: Vec<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rules")
}

/// The rules that have cases.
fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name).filter(|name| name.contains('/'))
}

/// Returns the id of a rule and its cases for each language.
fn cases(name: &str) -> (String, Vec<(Language, Cases)>) {
    let text = fs::read_to_string(folder().join(format!("{name}.test.yml"))).unwrap_or_else(|e| panic!("{name}: {e}"));
    let (folder, _) = name.split_once('/').unwrap();
    if folder != "flow" {
        #[derive(Deserialize)]
        struct One {
            id: String,
            #[serde(flatten)]
            own: Cases,
        }
        let file: One = ast_grep_config::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        return (file.id, languages(folder).iter().map(|language| (*language, file.own.clone())).collect());
    }
    let mut file: BTreeMap<String, Value> = ast_grep_config::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
    let id = file.remove("id").and_then(|id| id.as_str().map(str::to_owned)).unwrap();
    let mut all = Vec::new();
    for (key, value) in file {
        let own: Cases = serde_json::from_value(value).unwrap_or_else(|e| panic!("{name} {key}: {e}"));
        assert!(!own.valid.is_empty() && !own.invalid.is_empty(), "{name} {key} has cases of one kind only");
        let key = if key == "javascript" { "typescript" } else { &key };
        all.extend(languages(key).iter().map(|language| (*language, own.clone())));
    }
    (id, all)
}

/// The languages whose texts the rules of a folder judge.
fn languages(folder: &str) -> &'static [Language] {
    match folder {
        "python" => &[Language::Python],
        "typescript" => &[Language::Tsx, Language::JavaScript],
        "go" => &[Language::Go],
        "java" => &[Language::Java],
        "rust" => &[Language::Rust],
        other => panic!("no language for {other}"),
    }
}

fn found(engine: &Engine, language: Language, text: &str, rule: &str) -> Vec<Finding> {
    let report = engine.check(language, text);
    report.findings.into_iter().filter(|finding| finding.rule == rule).collect()
}

#[test]
fn the_folder_holds_rules_and_their_cases_and_nothing_else() {
    let mut with_cases = BTreeSet::new();
    for language in fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()) {
        if !language.is_dir() {
            continue;
        }
        for file in fs::read_dir(&language).unwrap().map(|entry| entry.unwrap().path()) {
            let name = file.strip_prefix(folder()).unwrap().to_str().unwrap().replace('\\', "/");
            assert!(name.ends_with(".yml"), "{name} is no rule");
            with_cases.extend(name.strip_suffix(".test.yml").map(str::to_owned));
        }
    }
    let listed: BTreeSet<String> = names().map(str::to_owned).collect();
    assert_eq!(with_cases, listed);
}

#[test]
fn every_rule_loads_for_every_language() {
    let engine = &*ENGINE;
    for language in
        [Language::Python, Language::TypeScript, Language::Tsx, Language::Go, Language::Java, Language::Rust]
    {
        assert_eq!(engine.broken_rules(language), []);
    }
}

#[test]
fn invalid_cases_are_found_and_valid_ones_are_not() {
    let engine = &*ENGINE;
    let mut wrong = Vec::new();
    for name in names() {
        let (id, all) = cases(name);
        assert!(name.ends_with(&format!("/{id}")), "{name} holds cases of {id}");
        for (language, cases) in &all {
            for case in &cases.invalid {
                let text = format!("{}{case}\n", cases.before);
                let findings = found(engine, *language, &text, &id);
                if findings.len() != 1 {
                    wrong.push(format!("{name} {language:?}: {} findings in {case}", findings.len()));
                }
                for finding in findings {
                    assert!(finding.message.chars().count() <= 100, "{name}: {}", finding.message);
                    assert!(!finding.cwe.is_empty() && !finding.fix_hint.is_empty() && !finding.why.is_empty());
                }
            }
            for case in &cases.valid {
                let text = format!("{}{case}\n", cases.before);
                for finding in found(engine, *language, &text, &id) {
                    wrong.push(format!("{name} {language:?}: {} wrongly found in {case}", &text[finding.range]));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn half_typed_code_around_a_finding_does_not_hide_it() {
    let engine = &*ENGINE;
    let mut missed = Vec::new();
    let mut total = 0;
    for name in names() {
        let (id, all) = cases(name);
        for (language, cases) in &all {
            let (before, after) = match language {
                Language::Python => {
                    ("import os\n\ndef f(a, b):\n    x = [1,\n\ndef g():\n    pass\n\n", "\n\nif x ==\n")
                }
                Language::Tsx | Language::JavaScript => {
                    ("function f(a: string) {\n  return 1;\n}\n", "\nfunction g(a, {\n  const b = \n")
                }
                _ => continue,
            };
            for case in cases.invalid.iter().filter(|case| !case.trim_end().contains('\n')) {
                total += 1;
                let text = format!("{}{before}{case}{after}", cases.before);
                if found(engine, *language, &text, &id).is_empty() {
                    missed.push(format!("{name} {language:?}: {case}"));
                }
            }
        }
    }
    assert!(missed.len() * 20 <= total, "{} of {total}:\n{}", missed.len(), missed.join("\n"));
}

#[test]
fn every_beginning_of_every_case_is_answered() {
    let engine = &*ENGINE;
    for name in names() {
        for (language, cases) in cases(name).1.into_iter().filter(|(language, _)| *language != Language::JavaScript) {
            // Not each: neighbours differ by a letter.
            for case in cases.valid.iter().chain(&cases.invalid) {
                let text = format!("{}{case}", cases.before);
                for end in (cases.before.len()..text.len()).step_by(11).filter(|end| text.is_char_boundary(*end)) {
                    let report = engine.check(language, &text[..end]);
                    assert_ne!(report.skipped, Some(Skipped::Unparsable), "{}", &text[..end]);
                }
            }
        }
    }
}

static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::new);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pieces_of_code_in_any_order_never_panic_and_stay_inside_the_text(
        pieces in prop::collection::vec(prop_oneof![
            Just("child_process; exec(`${".to_owned()), Just("subprocess.run(f\"{".to_owned()),
            Just("shell=True, verify=False".to_owned()), Just("rejectUnauthorized: false".to_owned()),
            Just("os.system(".to_owned()), Just("{".to_owned()), Just("}".to_owned()), Just("(".to_owned()),
            Just(")".to_owned()), Just("\"\"\"".to_owned()), Just("`".to_owned()), Just("\n    ".to_owned()),
            Just("password = \"".to_owned()), "\\PC{0,8}", "[a-z]{1,6}",
        ], 0..40),
    ) {
        let engine = &*ENGINE;
        let text = pieces.concat();
        for language in [Language::Python, Language::TypeScript, Language::Tsx, Language::Other] {
            for finding in engine.check(language, &text).findings {
                prop_assert!(text.get(finding.range.clone()).is_some());
                prop_assert_eq!(finding.fingerprint.len(), 32);
            }
        }
    }
}
