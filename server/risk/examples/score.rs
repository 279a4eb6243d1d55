//! Judges labelled code: `score CASES.jsonl [RULES]` prints findings a line each, as the corpus's
//! scorer reads them; with a folder of rules, those instead of the built-in ones.

#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a tool for whoever writes rules")]

use std::path::Path;

use countersign_risk::{Engine, Language, Severity};
use serde_json::{Value, json};

fn main() {
    let mut args = std::env::args().skip(1);
    let cases = args.next().expect("usage: score CASES.jsonl [RULES]");
    let engine = args.next().map_or_else(Engine::new, |folder| {
        let mut files = Vec::new();
        collect(Path::new(&folder), Path::new(&folder), &mut files);
        Engine::with_rules(files)
    });
    for language in [Language::Python, Language::TypeScript, Language::Go, Language::Java, Language::Rust] {
        for broken in engine.broken_rules(language) {
            println!("{{\"broken\": {:?}}}", format!("{}: {}", broken.name, broken.reason));
        }
    }
    for line in std::fs::read_to_string(cases).expect("the cases can be read").lines() {
        let case: Value = serde_json::from_str(line).expect("a case is JSON");
        let text = case["code"].as_str().expect("a case has code");
        let path = path_of(&case);
        let report = engine.check(Language::from_path(&path), text);
        for finding in report.findings {
            let line = |at: usize| 1 + text[..at].bytes().filter(|b| *b == b'\n').count();
            let cwe: Vec<u32> =
                finding.cwe.iter().filter_map(|cwe| cwe.trim_start_matches("CWE-").parse().ok()).collect();
            let severity = match finding.severity {
                Severity::High => "high",
                Severity::Medium => "medium",
                Severity::Low => "low",
            };
            println!(
                "{}",
                json!({
                    "file": path, "line": line(finding.range.start), "end": line(finding.range.end), "cwe": cwe.first(),
                    "cwes": cwe, "rule": finding.rule, "severity": severity, "folded": finding.folded,
                })
            );
        }
    }
}

/// The file a case is unpacked to.
fn path_of(case: &Value) -> String {
    let (id, extension) = (case["id"].as_str().unwrap_or_default(), case["ext"].as_str().unwrap_or_default());
    let kept = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '/' | '-');
    let path: String = id.chars().map(|c| if kept(c) { c } else { '_' }).collect();
    if extension == "Dockerfile" {
        return format!("{path}/Dockerfile");
    }
    if path.ends_with(&format!(".{extension}")) { path } else { format!("{path}.{extension}") }
}

fn collect(top: &Path, folder: &Path, files: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).expect("the rules can be listed") {
        let path = entry.expect("a folder lists its files").path();
        if path.is_dir() {
            collect(top, &path, files);
            continue;
        }
        let name = path.strip_prefix(top).expect("it lies below").to_string_lossy().into_owned();
        if let Some(name) = name.strip_suffix(".yml").filter(|name| !name.ends_with(".test")) {
            files.push((name.to_owned(), std::fs::read_to_string(&path).expect("a rule can be read")));
        }
    }
}
