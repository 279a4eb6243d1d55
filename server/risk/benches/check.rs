//! What judging a file costs, beside only parsing it.

#![allow(missing_docs, reason = "a benchmark has no callers")]

use countersign_risk::{Engine, Language};
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

/// About 1,500 lines of ordinary Python; `shell` adds a command in every tenth function.
fn python(shell: bool) -> String {
    let mut text = String::from("import json\nimport subprocess\n\n");
    for i in 0..107 {
        text.push_str(&format!(
            "def load_{i}(path, limit={i}, *, strict=True):\n    \"\"\"Reads and checks one file.\"\"\"\n    with open(path, encoding=\"utf-8\") as file:\n        data = json.load(file)\n    result = []\n    for key, value in sorted(data.items()):\n        if strict and not isinstance(value, (int, float)):\n            raise ValueError(f\"{{key}} in {{path}} is no number: {{value!r}}\")\n        result.append({{\"key\": key.strip().lower(), \"value\": value * 2 + limit}})\n    total = sum(item[\"value\"] for item in result)\n    print(f\"{{path}}: {{total}} of {{len(result)}}\")\n"
        ));
        if shell && i % 10 == 0 {
            text.push_str("    subprocess.run(\"wc -l \" + path, shell=True, check=True)\n");
        }
        text.push_str("    return result\n\n\n");
    }
    text
}

#[divan::bench(args = [false, true])]
fn check_a_python_file(bencher: Bencher<'_, '_>, shell: bool) {
    let (engine, text) = (Engine::new(), python(shell));
    assert!((1400..1700).contains(&text.lines().count()));
    let report = engine.check(Language::Python, &text);
    let shown = report.findings.iter().filter(|finding| finding.folded.is_none()).count();
    assert_eq!(shown, if shell { 11 } else { 0 });
    bencher.bench(|| engine.check(Language::Python, black_box(&text)));
}

#[divan::bench(args = [false, true])]
fn only_parse_it(bencher: Bencher<'_, '_>, shell: bool) {
    let text = python(shell);
    let mut parser = tree_sitter::Parser::new();
    parser.set_language(&tree_sitter_python::LANGUAGE.into()).expect("the grammar fits");
    bencher.bench_local(|| parser.parse(black_box(&text), None));
}

#[divan::bench]
fn load_the_rules_and_check_one_line(bencher: Bencher<'_, '_>) {
    bencher.bench(|| Engine::new().check(Language::Python, black_box("import os\nos.system(command)\n")));
}
