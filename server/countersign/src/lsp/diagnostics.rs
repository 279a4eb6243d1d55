//! When a finding is shown, and when it goes.
//!
//! Appear late, disappear at once: a new finding waits for a quiet moment and stays off the line that
//! is being typed, unless it is a live secret; one that is gone goes with the next look. What is shown
//! is published only when it changed, never as an error, and only on text an AI wrote.

use std::collections::HashSet;

use countersign_event::facts::Range;
use countersign_risk::Severity;
use serde::Serialize;
use serde_json::json;

/// For so long after the last keystroke a line counts as being typed, in milliseconds.
const LINE_LEFT_MS: u64 = 3_000;
/// More than this many in one file are counted, not listed.
const SHOWN_MAX: usize = 50;

/// What the rules found in one text.
pub(crate) struct Findings {
    /// The document.
    pub(crate) uri: String,
    /// Which of its texts.
    pub(crate) revision: u64,
    /// What was found, in the order of the text.
    pub(crate) findings: Vec<countersign_risk::Finding>,
}

/// A finding on AI-written text, placed for the editor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Notice {
    /// Stable over moves.
    pub(crate) fingerprint: String,
    /// The rule.
    pub(crate) rule: String,
    /// Weakness identifiers.
    pub(crate) cwe: Vec<String>,
    /// What is wrong, in one line.
    pub(crate) message: String,
    /// How bad it is if the rule is right.
    pub(crate) severity: Severity,
    /// Whether it is a live secret.
    pub(crate) secret: bool,
    /// Where, in the connection's encoding.
    pub(crate) range: Range,
    /// The contribution it stands in.
    pub(crate) contribution: String,
}

/// What is shown of one document.
#[derive(Default)]
pub(crate) struct Shown {
    notices: Vec<Notice>,
}

/// What to do now.
#[derive(Debug, PartialEq)]
pub(crate) struct Decision {
    /// Whether the list has to be published.
    pub(crate) publish: bool,
    /// When to look again, if nothing happens before; milliseconds of the caller's clock.
    pub(crate) look_again: Option<u64>,
}

impl Shown {
    /// Decides what is shown from here on. `changed` is when the text last changed, `typed` the line a
    /// person was typing in then, `delay` the quiet time. Times are milliseconds of the caller's clock.
    pub(crate) fn decide(
        &mut self,
        now: u64,
        changed: u64,
        typed: Option<u32>,
        delay: u64,
        current: Vec<Notice>,
    ) -> Decision {
        let quiet_at = changed.saturating_add(delay);
        let left_at = changed.saturating_add(LINE_LEFT_MS.max(delay));
        let was: HashSet<&str> = self.notices.iter().map(|notice| notice.fingerprint.as_str()).collect();
        let mut look_again: Option<u64> = None;
        let mut next = Vec::new();
        for notice in current {
            let in_typing = typed.is_some_and(|line| (notice.range.start.line..=notice.range.end.line).contains(&line));
            let due = if in_typing && !notice.secret { left_at } else { quiet_at };
            if was.contains(notice.fingerprint.as_str()) || now >= due {
                next.push(notice);
            } else {
                look_again = Some(look_again.map_or(due, |at| at.min(due)));
            }
        }
        // One message for a line and cause.
        next.dedup_by(|b, a| a.rule == b.rule && a.range.start.line == b.range.start.line);
        let is: HashSet<&str> = next.iter().map(|notice| notice.fingerprint.as_str()).collect();
        let moved = next != self.notices;
        // Editors move what is shown along with the text; its place is corrected when it is quiet.
        let publish = moved && (is != was || now >= quiet_at);
        if moved && !publish {
            look_again = Some(look_again.map_or(quiet_at, |at| at.min(quiet_at)));
        }
        if publish {
            self.notices = next;
        }
        Decision { publish, look_again }
    }

    /// Returns what is shown.
    pub(crate) fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Forgets everything; tells whether something was shown.
    pub(crate) fn clear(&mut self) -> bool {
        !std::mem::take(&mut self.notices).is_empty()
    }

    /// Writes the parameters of `textDocument/publishDiagnostics`.
    pub(crate) fn publication<'a>(&self, uri: &'a str, version: Option<i64>, code_links: bool) -> Publication<'a> {
        let more = self.notices.len().saturating_sub(SHOWN_MAX);
        let diagnostics = self.notices.iter().take(SHOWN_MAX).enumerate().map(|(i, notice)| {
            let mut message = notice.message.clone();
            if more > 0 && i + 1 == SHOWN_MAX {
                message += &format!(" (+ {more} more in this file)");
            }
            let mut diagnostic = json!({
                "range": notice.range,
                "severity": if notice.secret { 2 } else { 3 },
                "source": "countersign",
                "code": notice.rule,
                "message": message,
                "data": { "fingerprint": notice.fingerprint, "contribution": notice.contribution },
            });
            if code_links && let Some(href) = notice.cwe.first().and_then(|cwe| link(cwe)) {
                diagnostic["codeDescription"] = json!({ "href": href });
            }
            diagnostic
        });
        Publication { uri, version, diagnostics: diagnostics.collect() }
    }
}

/// The parameters of `textDocument/publishDiagnostics`.
#[derive(Serialize)]
pub(crate) struct Publication<'a> {
    uri: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i64>,
    diagnostics: Vec<serde_json::Value>,
}

/// The public description of a weakness.
fn link(cwe: &str) -> Option<String> {
    let number: u32 = cwe.strip_prefix("CWE-")?.parse().ok()?;
    Some(format!("https://cwe.mitre.org/data/definitions/{number}.html"))
}

#[cfg(test)]
mod tests {
    use countersign_event::facts::Position;

    use super::*;

    fn notice(name: &str, line: u32) -> Notice {
        let position = Position { line, character: 0 };
        Notice {
            severity: Severity::Medium,
            fingerprint: name.to_owned(),
            rule: name.to_owned(),
            cwe: vec!["CWE-78".to_owned()],
            message: format!("{name} is bad"),
            secret: name.starts_with("secret"),
            range: Range { start: position, end: position },
            contribution: "c".to_owned(),
        }
    }

    fn names(shown: &Shown) -> Vec<&str> {
        shown.notices().iter().map(|notice| notice.rule.as_str()).collect()
    }

    #[test]
    fn a_new_finding_waits_for_quiet_and_a_gone_one_goes_at_once() {
        let mut shown = Shown::default();
        let wait = shown.decide(1_100, 1_000, None, 300, vec![notice("shell", 3)]);
        assert_eq!(wait, Decision { publish: false, look_again: Some(1_300) });
        let show = shown.decide(1_300, 1_000, None, 300, vec![notice("shell", 3)]);
        assert_eq!(show, Decision { publish: true, look_again: None });
        assert_eq!(names(&shown), ["shell"]);
        let same = shown.decide(2_000, 1_000, None, 300, vec![notice("shell", 3)]);
        assert_eq!(same, Decision { publish: false, look_again: None });
        let gone = shown.decide(2_001, 2_001, Some(3), 300, vec![]);
        assert_eq!(gone, Decision { publish: true, look_again: None });
        assert!(shown.notices().is_empty());
    }

    #[test]
    fn the_line_being_typed_stays_clean_unless_it_holds_a_secret() {
        let mut shown = Shown::default();
        let current = || vec![notice("shell", 3), notice("secret", 3), notice("tls", 4)];
        let first = shown.decide(1_300, 1_000, Some(3), 300, current());
        assert_eq!(first, Decision { publish: true, look_again: Some(4_000) });
        assert_eq!(names(&shown), ["secret", "tls"]);
        let elsewhere = shown.decide(1_600, 1_300, Some(9), 300, current());
        assert_eq!(elsewhere, Decision { publish: true, look_again: None });
        assert_eq!(names(&shown), ["shell", "secret", "tls"]);
    }

    #[test]
    fn a_finding_that_only_moved_is_corrected_when_it_is_quiet() {
        let mut shown = Shown::default();
        shown.decide(1_000, 0, None, 300, vec![notice("tls", 4)]);
        let moving = shown.decide(2_000, 1_990, Some(0), 300, vec![notice("tls", 5)]);
        assert_eq!(moving, Decision { publish: false, look_again: Some(2_290) });
        let quiet = shown.decide(2_290, 1_990, Some(0), 300, vec![notice("tls", 5)]);
        assert_eq!(quiet, Decision { publish: true, look_again: None });
        assert_eq!(shown.notices()[0].range.start.line, 5);
    }

    #[test]
    fn it_is_information_with_a_link_a_secret_is_a_warning_and_many_are_counted() {
        let mut shown = Shown::default();
        let many = (0..60).map(|line| notice(if line == 0 { "secret" } else { "shell" }, line));
        shown.decide(
            1_000,
            0,
            None,
            0,
            many.enumerate().map(|(i, n)| Notice { fingerprint: i.to_string(), ..n }).collect(),
        );
        let json = serde_json::to_value(shown.publication("file:///a b", Some(7), true)).unwrap();
        assert_eq!((&json["uri"], &json["version"]), (&json!("file:///a b"), &json!(7)));
        let diagnostics = json["diagnostics"].as_array().unwrap();
        assert_eq!(diagnostics.len(), 50);
        assert_eq!(diagnostics[0]["severity"], 2);
        assert_eq!(diagnostics[1]["severity"], 3);
        assert_eq!(diagnostics[1]["codeDescription"]["href"], "https://cwe.mitre.org/data/definitions/78.html");
        assert_eq!(diagnostics[49]["message"], "shell is bad (+ 10 more in this file)");
    }
}
