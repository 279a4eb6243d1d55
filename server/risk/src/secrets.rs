//! The `secret` rule: what redaction would hide is also what should not be in code.
//!
//! It must never put the secret, or anything it could be guessed from, into a finding.

use std::ops::Range;

use countersign_event::digest;
use countersign_event::secret::{Detector, Secret};

use crate::finding::{self, Finding, Severity};

/// Kinds that rest on the name beside the value, not on the value's own shape.
const BY_NAME: &[&str] = &["password", "secret", "secret-flag", "authorization"];

/// Finds the secrets of a text in any language.
pub(crate) fn check(text: &str) -> Vec<Finding> {
    let secrets = Detector::shared().find(text);
    let mut findings: Vec<Finding> = secrets.iter().map(describe).collect();
    finding::fingerprint(&mut findings, |finding| surroundings(text, &secrets, &finding.range));
    findings
}

fn describe(secret: &Secret) -> Finding {
    let by_name = BY_NAME.contains(&secret.kind);
    Finding {
        rule: "secret".to_owned(),
        severity: if by_name { Severity::Medium } else { Severity::High },
        cwe: vec!["CWE-798".to_owned()],
        message: format!("a secret stands in the text ({})", secret.kind),
        range: secret.range.clone(),
        source: None,
        fix_hint: "read it from the environment or a secret store, and replace the one that was exposed".to_owned(),
        edit: None,
        why: "models repeat values from the context they were given, and fill in working-looking ones".to_owned(),
        fingerprint: String::new(),
        folded: None,
    }
}

/// Returns what identifies the secret at `range`: its line, where one byte of hash stands for each
/// secret. That tells a changed secret from the old one and helps nobody to guess either.
fn surroundings(text: &str, secrets: &[Secret], range: &Range<usize>) -> String {
    const AROUND_BYTES: usize = 120;
    let line_start = text[..range.start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[range.end..].find('\n').map_or(text.len(), |at| range.end + at);
    let border = |at: &usize| text.is_char_boundary(*at);
    let start = line_start.max(range.start.saturating_sub(AROUND_BYTES));
    let start = (start..=range.start).find(border).unwrap_or(range.start);
    let end = line_end.min(range.end + AROUND_BYTES);
    let end = (range.end..=end).rev().find(border).unwrap_or(range.end);
    let mut masked = String::new();
    let mut at = start;
    let first = secrets.partition_point(|secret| secret.range.end <= start);
    for secret in secrets[first..].iter().take_while(|secret| secret.range.start < end) {
        let hint = digest::sha256(&text.as_bytes()[secret.range.clone()])[0];
        masked.push_str(&text[at..secret.range.start.max(at)]);
        masked.push_str(&format!("\0{}:{hint}\0", secret.kind));
        at = secret.range.end;
    }
    masked.push_str(&text[at.min(end)..end]);
    masked
}
