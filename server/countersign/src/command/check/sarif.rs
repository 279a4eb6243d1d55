//! Findings as SARIF 2.1.0, for code hosts and dashboards.

use std::collections::BTreeMap;
use std::io::{self, Write};

use countersign_risk::{Finding, Severity};
use serde_json::{Value, json};

use super::{Checked, Hit};

/// Writes one run with every finding; what is folded away is suppressed, with its reason.
pub(super) fn write(out: &mut impl Write, checked: &[Checked]) -> io::Result<()> {
    let mut rules: BTreeMap<&str, &Finding> = BTreeMap::new();
    for hit in checked.iter().flat_map(|file| &file.hits) {
        rules.entry(&hit.finding.rule).or_insert(&hit.finding);
    }
    let index: BTreeMap<&str, usize> = rules.keys().enumerate().map(|(index, rule)| (*rule, index)).collect();
    let results: Vec<Value> = checked
        .iter()
        .flat_map(|file| file.hits.iter().map(|hit| result(&file.name, hit, index[hit.finding.rule.as_str()])))
        .collect();
    let notes: Vec<Value> = checked.iter().filter_map(note).collect();
    let sarif = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "countersign",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules.values().map(|finding| rule(finding)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "invocations": [{ "executionSuccessful": true, "toolExecutionNotifications": notes }],
            "results": results,
        }],
    });
    serde_json::to_writer(&mut *out, &sarif)?;
    out.write_all(b"\n")
}

fn rule(finding: &Finding) -> Value {
    let mut tags = vec!["security".to_owned()];
    for cwe in &finding.cwe {
        tags.push(cwe.clone());
        tags.push(format!("external/cwe/{}", cwe.to_ascii_lowercase()));
    }
    json!({
        "id": finding.rule,
        "shortDescription": { "text": finding.message },
        "fullDescription": { "text": finding.why },
        "help": { "text": finding.fix_hint },
        "defaultConfiguration": { "level": level(finding.severity) },
        "properties": { "tags": tags },
    })
}

fn result(name: &str, hit: &Hit, rule_index: usize) -> Value {
    let finding = &hit.finding;
    let mut result = json!({
        "ruleId": finding.rule,
        "ruleIndex": rule_index,
        "level": level(finding.severity),
        "message": { "text": finding.message },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": uri(name) },
            "region": {
                "startLine": hit.line,
                "startColumn": hit.column,
                "endLine": hit.end_line,
                "endColumn": hit.end_column,
            },
        }}],
        "partialFingerprints": { "countersign/v1": finding.fingerprint },
    });
    if let Some(reason) = &hit.folded {
        result["suppressions"] = json!([{ "kind": "external", "justification": reason }]);
    }
    result
}

fn note(file: &Checked) -> Option<Value> {
    let left = file.left.as_ref()?;
    Some(json!({
        "level": "note",
        "message": { "text": left.to_string() },
        "locations": [{ "physicalLocation": { "artifactLocation": { "uri": uri(&file.name) } } }],
    }))
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "note",
    }
}

/// A path as a relative URI reference.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => uri.push(byte.into()),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}
