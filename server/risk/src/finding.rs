//! A finding: what a rule says about a place, recognisable after the place has moved.
//!
//! A fingerprint must never depend on a line number, and must never help to guess a secret.

use std::collections::HashMap;
use std::ops::Range;

use countersign_event::digest;

/// How bad it is if the rule is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Low,
    /// Worth changing.
    Medium,
    /// Worth stopping for.
    High,
}

impl Severity {
    /// Returns the word events use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// What a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule's name, for example `tls-off`; also the last part of its page's address.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// Weakness identifiers, `CWE-295`.
    pub cwe: Vec<String>,
    /// One line of at most 100 characters.
    pub message: String,
    /// Byte range in the text that was checked.
    pub range: Range<usize>,
    /// Where it comes from, when a flow has two ends: the byte range of the source.
    pub source: Option<Range<usize>>,
    /// What to do instead.
    pub fix_hint: String,
    /// The change that makes it right, where one is safe to offer.
    pub edit: Option<Edit>,
    /// Why models write this.
    pub why: String,
    /// Rule and normalised text, as 32 hexadecimal digits; white space and place do not count, and
    /// the second of two equal findings in a text differs from the first.
    pub fingerprint: String,
    /// Why the default view folds it away, if it does: the rule itself is not sure enough.
    pub folded: Option<&'static str>,
}

/// A change to the text that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Byte range that goes.
    pub range: Range<usize>,
    /// What comes in its place.
    pub text: String,
}

impl Finding {
    /// Tells whether the finding stands on any of `ranges`, such as the spans an AI wrote.
    pub fn touches(&self, ranges: &[Range<usize>]) -> bool {
        ranges.iter().any(|range| !range.is_empty() && range.start < self.range.end && self.range.start < range.end)
    }
}

/// Fills the fingerprints of the findings of one text, which are in order; `normal` is the text
/// that identifies each.
pub(crate) fn fingerprint(findings: &mut [Finding], normal: impl Fn(&Finding) -> String) {
    let mut seen: HashMap<[u8; 32], u64> = HashMap::new();
    for finding in findings {
        // A formatter's line breaks add and remove white space, so none of it counts.
        let text: String = normal(finding).split_whitespace().collect();
        let base = digest::sha256_parts(&[finding.rule.as_bytes(), b"\0", text.as_bytes()]);
        let nth = seen.entry(base).or_default();
        let hash = digest::sha256_parts(&[&base, &nth.to_be_bytes()]);
        *nth += 1;
        finding.fingerprint = digest::hex(&hash[..16]);
    }
}
