//! Findings that are known and accepted: by whom, why, until when.
//!
//! An entry that has run out must never hold, and is told.

use countersign_event::Timestamp;
use countersign_risk::Finding;
use globset::GlobSet;
use jiff::civil::Date;

use super::source::{Problem, RawAllow, Source};

/// An entry of the allowlist.
#[derive(Clone, Debug)]
pub(super) struct Allow {
    rule: String,
    paths: Option<GlobSet>,
    fingerprint: Option<String>,
    owner: String,
    reason: String,
    expires: Date,
    /// Where it stands, for the day it runs out.
    place: Problem,
}

impl Allow {
    /// Makes an entry of what was written; what is wrong with it is told, and it does not hold.
    pub(super) fn of(raw: &RawAllow, source: &Source, problems: &mut Vec<Problem>) -> Option<Self> {
        for (name, value) in [("rule", &raw.rule), ("owner", &raw.owner), ("reason", &raw.reason)] {
            if value.get_ref().trim().is_empty() {
                problems.push(source.wrong(value, format!("an allowed finding needs its {name}")));
                return None;
            }
        }
        let expires = match raw.expires.get_ref().parse::<Date>() {
            Ok(expires) => expires,
            Err(_) => {
                problems.push(source.wrong(&raw.expires, "this is no day; write it as 2027-01-31"));
                return None;
            }
        };
        let globs = raw.paths.as_ref().map(|paths| paths.iter().map(|path| (source, path)));
        let paths = globs.map(|globs| super::patterns("allowed path", globs, problems));
        let rule = raw.rule.get_ref().clone();
        let owner = raw.owner.get_ref().clone();
        let message = format!("what {owner} allowed for {rule} held until {expires} and is reported again");
        Some(Self {
            place: source.wrong(&raw.rule, message),
            rule,
            paths,
            fingerprint: raw.fingerprint.clone(),
            owner,
            reason: raw.reason.get_ref().clone(),
            expires,
        })
    }

    /// Tells whether it is about `rule`.
    pub(super) fn is_about(&self, rule: &str) -> bool {
        self.rule == rule
    }

    /// Says by whose word `finding` is allowed at `path`, if it is.
    pub(super) fn allows(&self, path: &str, finding: &Finding, now: Timestamp) -> Option<String> {
        let holds = self.is_about(&finding.rule)
            && !self.is_expired(now)
            && self.paths.as_ref().is_none_or(|paths| paths.is_match(path))
            && self.fingerprint.as_ref().is_none_or(|fingerprint| *fingerprint == finding.fingerprint);
        holds.then(|| format!("allowed by {} until {}: {}", self.owner, self.expires, self.reason))
    }

    /// Says that it has run out, if it has.
    pub(super) fn expired(&self, now: Timestamp) -> Option<&Problem> {
        self.is_expired(now).then_some(&self.place)
    }

    fn is_expired(&self, now: Timestamp) -> bool {
        let today = jiff::Timestamp::from_millisecond(now.as_millis()).map(|now| now.to_zoned(jiff::tz::TimeZone::UTC));
        today.is_ok_and(|today| today.date() > self.expires)
    }
}
