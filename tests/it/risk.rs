//! The rules against labelled code and ordinary code, counted by the corpus's own scorer.
//!
//! The corpus lies outside: without `COUNTERSIGN_CORPUS` there is nothing to measure.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use countersign_risk::{Engine, Language};
use serde_json::{Value, json};

use crate::support::{World, json_lines};

/// The folder of labelled code, if there is one.
fn corpus() -> Option<PathBuf> {
    let folder = Path::new(&std::env::var_os("COUNTERSIGN_CORPUS")?).join("risk");
    folder.join("cases.jsonl").exists().then_some(folder)
}

/// Judges every case of `name` and writes what is found as the scorer reads it; `shown` leaves out
/// what the default view folds away.
fn judge(folder: &Path, name: &str, shown: bool, to: &Path) {
    let engine = Engine::new();
    let mut lines = String::new();
    for case in fs::read_to_string(folder.join(name)).unwrap().lines() {
        let case: Value = serde_json::from_str(case).unwrap();
        let (text, path) = (case["code"].as_str().unwrap(), path_of(&case));
        for finding in engine.check(Language::from_path(&path), text).findings {
            if shown && finding.folded.is_some() {
                continue;
            }
            let line = |at: usize| 1 + text[..at].matches('\n').count();
            let cwe = finding.cwe.iter().map(|cwe| cwe[4..].parse::<u32>().unwrap()).collect::<Vec<_>>();
            let (start, end) = (line(finding.range.start), line(finding.range.end));
            let severity = finding.severity.as_str();
            let found = json!({ "file": path, "line": start, "end": end, "cwes": cwe, "rule": finding.rule, "severity": severity });
            lines.push_str(&format!("{found}\n"));
        }
    }
    fs::write(to, lines).unwrap();
}

/// The file name the scorer knows a case by.
fn path_of(case: &Value) -> String {
    let (id, extension) = (case["id"].as_str().unwrap(), case["ext"].as_str().unwrap());
    let kept = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '/' | '-');
    let path: String = id.chars().map(|c| if kept(c) { c } else { '_' }).collect();
    if extension == "Dockerfile" {
        format!("{path}/Dockerfile")
    } else if path.ends_with(&format!(".{extension}")) {
        path
    } else {
        format!("{path}.{extension}")
    }
}

/// Runs the scorer and returns its table.
#[expect(clippy::print_stdout, reason = "the table is what the test is run for")]
fn score(folder: &Path, arguments: &[&str], to: &Path) -> Value {
    let mut command = Command::new("python3");
    command
        .current_dir(folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg("score.py")
        .args(arguments)
        .arg("--json")
        .arg(to);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    println!("{}", String::from_utf8_lossy(&output.stdout));
    serde_json::from_str(&fs::read_to_string(to).unwrap()).unwrap()
}

#[test]
fn an_import_that_no_manifest_declares_is_found_where_a_manifest_lies() {
    let world = World::new();
    let write = |name: &str, text: &str| {
        let path = world.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let text = "import a from 'lodahs';\nimport b from 'lodash';\nimport c from './c';\n";
    write("with/package.json", r#"{"dependencies": {"lodash": "4"}}"#);
    write("with/src/a.js", text);
    write("without/a.js", text);
    write("broken/package.json", "{");
    write("broken/a.js", text);
    let output = world.countersign(["check", "--json", "with", "without", "broken"]).output().unwrap();
    let findings = json_lines(&output.stdout);
    let ghosts: Vec<_> = findings.iter().filter(|finding| finding["rule"] == "ghost-package").collect();
    assert_eq!(ghosts.len(), 1, "{findings:?}");
    assert_eq!((&ghosts[0]["file"], &ghosts[0]["line"]), (&"with/src/a.js".into(), &1.into()));
    assert!(ghosts[0]["message"].as_str().unwrap().contains("lodash"));
}

#[test]
fn labelled_code_is_told_apart_and_ordinary_code_is_left_alone() {
    let Some(folder) = corpus() else {
        eprintln!("no COUNTERSIGN_CORPUS: nothing to measure");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let (found, clean, table) = (dir.path().join("cases"), dir.path().join("clean"), dir.path().join("table"));
    let found_at = found.to_str().unwrap();
    judge(&folder, "cases.jsonl", false, &found);
    let all = score(&folder, &[found_at, "--cases", "cases.jsonl"], &table);
    judge(&folder, "clean.jsonl", true, &clean);
    let no_cases = dir.path().join("none");
    fs::write(&no_cases, "").unwrap();
    let quiet = score(
        &folder,
        &[clean.to_str().unwrap(), "--cases", no_cases.to_str().unwrap(), "--clean", "clean.jsonl"],
        &table,
    );
    // What was reached, a little below: a change that costs more than that is seen here.
    for (set, recall, alarms) in [
        ("dataset x lang sven python", 0.50, 0.05),
        ("dataset x lang codeql-tests javascript", 0.42, 0.14),
        ("dataset x lang gosec go", 0.48, 0.08),
        ("dataset x lang juliet-java java", 0.42, 0.08),
    ] {
        let measured = &all["labelled"][set];
        let (r, f) = (measured["recall"].as_f64().unwrap(), measured["fpr"].as_f64().unwrap());
        assert!(r >= recall && f <= alarms, "{set}: recall {r:.3}, false alarms {f:.3}");
    }
    let alerts = quiet["clean"]["all"]["per_kloc"].as_f64().unwrap();
    assert!(alerts <= 0.30, "{alerts} alerts in 1,000 ordinary lines");
}
