//! `retry-forever`: a loop that tries again at once, and for ever.
//!
//! It must never speak of a loop that waits for work: those block, sleep or end.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::authorization::pattern;
use super::{About, Code, each};
use crate::finding::Severity;
use crate::grammar::Grammar;

pub(super) const ABOUT: About = About {
    id: "retry-forever",
    severity: Severity::Medium,
    cwe: &["CWE-835", "CWE-400"],
    message: "when this fails it is tried again at once and for ever",
    why: "a loop around a try is the shortest way to retry",
    fix: "wait longer after each failure and give up after some",
    folded: None,
};

static ENDLESS: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(while\s*\(?\s*(True|true|1)\s*\)?\s*[:{]|for\s*\(\s*;\s*;\s*\)|for\s*\{|loop\s*\{)"));
static FAILS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?s)except[^:\n]*:\s*(#[^\n]*\n\s*)?(pass|continue)\b|catch\s*(\([^)]*\))?\s*\{\s*(//[^\n]*\n\s*)?(continue;?)?\s*\}|if\s+err\s*!=\s*nil\s*\{\s*(log[^\n]*\n\s*)?continue\s*\}|Err\(_?\w*\)\s*=>\s*(\{\s*\}|continue)",
    )
});
static ENDS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)sleep|backoff|attempt|retr(y|ies)_?(count|left|max)|max_?(retr|tries)|tries|\bwait|delay|timeout|\.recv|\.accept|\.get\(\s*\)|\.poll|\.next\(|\.read|input\(|select\b|<-|queue|\bscan|\btick|\bawait\s+new\s+Promise",
    )
});

pub(super) fn check(code: &Code<'_>) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    each(code.root, |node| {
        let kind = node.kind();
        let looped = matches!(kind, "while_statement" | "for_statement" | "loop_expression" | "while_expression");
        if !looped {
            return;
        }
        let text = code.text.get(node.byte_range()).unwrap_or_default();
        if text.len() > 4000 || !ENDLESS.is_match(text) || !FAILS.is_match(text) || ENDS.is_match(text) {
            return;
        }
        // In Python a loop whose try ends it by itself is the usual way to ask until it is right.
        let leaves = text.contains("break") || text.contains("return");
        if leaves && code.grammar == Grammar::Python && !text.contains("requests") && !text.contains("connect") {
            return;
        }
        let line = text.find('\n').unwrap_or(text.len());
        found.push(node.start_byte()..node.start_byte() + line);
    });
    found
}
