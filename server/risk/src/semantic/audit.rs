//! `no-audit-log`: something that somebody will ask about later happens, and nothing is written down.
//!
//! A hint only, and folded away: who logs may stand around the function.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::authorization::{CHANGES, ROUTE, pattern};
use super::{About, Code};
use crate::finding::Severity;

pub(super) const ABOUT: About = About {
    id: "no-audit-log",
    severity: Severity::Low,
    cwe: &["CWE-778"],
    message: "this changes rights, accounts or money and leaves no record of it",
    why: "an example shows what is done, not how it is traced",
    fix: "log who did what to whom, without the values that are secret",
    folded: Some("who logs may stand elsewhere"),
};

static MATTERS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)permission|role|grant|revoke|admin|password|payment|transfer|refund|withdraw|delete_?(user|account)|(user|account)\w*delete|/users?/[^'\x22]*['\x22][^)]*DELETE",
    )
});
static RECORDS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\blog\w*[.(]|logger|audit|record_|\bevents?\b|emit|publish|track\w*\(|print\(|console\.|tracing|info!|warn!|slog",
    )
});

pub(super) fn check(code: &Code<'_>) -> Vec<Range<usize>> {
    let silent = code.functions.iter().filter(|function| {
        ROUTE.is_match(function.marks)
            && CHANGES.is_match(function.marks)
            && (MATTERS.is_match(function.marks) || MATTERS.is_match(function.name))
            && !RECORDS.is_match(function.text)
            && !RECORDS.is_match(function.marks)
    });
    silent.map(|function| function.head.clone()).collect()
}
