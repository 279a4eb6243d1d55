//! Why a collector gave no answer, in words, and what can be done about it.
//!
//! Only a 200 with the body we know is an answer; everything else is sorted here. The words say what
//! happened, the hint what a person can do; neither ever holds a token.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use countersign_event::batch::Cursor;
use rustls::CertificateError;
use rustls::pki_types::UnixTime;
use serde::Deserialize;

/// So much of a foreign answer is shown.
const EXCERPT_CHARS: usize = 120;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The token is missing or not accepted.
    Unauthorised(Why),
    /// What was sent is too large.
    TooLarge,
    /// It can never be accepted as it is.
    Never(Why),
    /// The collector does not have the event of this text, so far.
    Unannounced,
    /// The batch does not continue where the archive stands.
    Gap(Cursor),
    /// The archive holds another history.
    Fork {
        /// In words.
        why: String,
        /// The first event that differs, as far as it says so.
        seq: Option<u64>,
    },
    /// Something stands in the way that a person has to take away: a certificate, a proxy.
    Blocked(Why),
    /// Anything else: down, slow, broken, somebody else.
    Unavailable {
        /// In words.
        why: Why,
        /// It asked for this much time.
        retry_after: Option<Duration>,
    },
    /// We were asked to stop.
    Stopped,
}

/// What happened, and what to do about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Why {
    /// In words.
    pub(crate) text: String,
    /// What a person can do, where there is something.
    pub(crate) hint: Option<String>,
}

impl Why {
    pub(crate) fn new(text: impl Into<String>) -> Why {
        Why { text: text.into(), hint: None }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Why {
        Why { hint: Some(hint.into()), ..self }
    }
}

impl Refused {
    /// Returns what a person can do about it, where there is something.
    pub(crate) fn hint(&self) -> Option<&str> {
        match self {
            Refused::Unauthorised(why) | Refused::Never(why) | Refused::Blocked(why) => why.hint.as_deref(),
            Refused::Unavailable { why, .. } => why.hint.as_deref(),
            _ => None,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Unauthorised(why) | Refused::Never(why) | Refused::Blocked(why) => f.write_str(&why.text),
            Refused::Unavailable { why, .. } => f.write_str(&why.text),
            Refused::Fork { why, .. } => f.write_str(why),
            Refused::TooLarge => f.write_str("too large for the collector"),
            Refused::Unannounced => f.write_str("the collector does not know the event of this text"),
            Refused::Gap(cursor) => write!(f, "the collector stands at event {}", cursor.acked_through),
            Refused::Stopped => f.write_str("broken off"),
        }
    }
}

pub(super) fn unavailable(why: impl Into<String>) -> Refused {
    Refused::Unavailable { why: Why::new(why), retry_after: None }
}

/// Somebody answered who is no collector.
pub(super) fn foreign(status: u16, text: &str) -> Refused {
    let why = Why::new(format!("answered {status} and not as a collector does: {}", excerpt(text)));
    Refused::Unavailable {
        why: why.hint("check collector.url; a proxy or sign-in page may stand in between"),
        retry_after: None,
    }
}

/// An error as a collector writes it.
#[derive(Deserialize)]
struct Problem {
    error: String,
    hint: Option<String>,
    kind: Option<String>,
    seq: Option<u64>,
    cursor: Option<Cursor>,
}

/// Sorts an answer that is not a success.
pub(super) fn sort(code: u16, text: &str, retry_after: Option<Duration>) -> Refused {
    let Ok(problem) = serde_json::from_str::<Problem>(text) else {
        return match (code, foreign(code, text)) {
            (401 | 403, Refused::Unavailable { why, .. }) => Refused::Unauthorised(why),
            (407, Refused::Unavailable { why, .. }) => Refused::Blocked(why),
            (413, _) => Refused::TooLarge,
            (409, Refused::Unavailable { why, .. }) => Refused::Fork { why: why.text, seq: None },
            (_, Refused::Unavailable { why, .. }) => Refused::Unavailable { why, retry_after },
            (_, refused) => refused,
        };
    };
    let why = Why { text: format!("answered {code}: {}", excerpt_of_ours(&problem.error)), hint: problem.hint };
    match (code, problem.kind.as_deref(), problem.cursor) {
        (401 | 403, ..) => Refused::Unauthorised(why),
        (413, ..) => Refused::TooLarge,
        (404, ..) => Refused::Unannounced,
        (400, ..) => Refused::Never(why),
        (409, Some("gap"), Some(cursor)) => Refused::Gap(cursor),
        (409, kind, _) => Refused::Fork { why: why.text, seq: problem.seq.filter(|_| kind == Some("fork")) },
        _ => Refused::Unavailable { why, retry_after },
    }
}

/// Says in words why no answer came.
pub(super) fn no_answer(error: &reqwest::Error) -> Refused {
    if error.is_timeout() {
        return unavailable("did not answer in time");
    }
    if let Some(tls) = find_tls(error) {
        return of_tls(tls);
    }
    // The innermost cause is what a person can act on; the URL is shown beside it anyway.
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let cause = cause.to_string();
    if let Some(tunnel) = cause.strip_prefix("tunnel error: ") {
        let why = Why::new(format!("the proxy does not let us through: {tunnel}"));
        return Refused::Blocked(why.hint(
            "HTTPS_PROXY names the proxy, with user and password where it wants them; NO_PROXY names hosts to reach without it",
        ));
    }
    let why = match error.is_connect() {
        true => Why::new(format!("cannot be reached: {cause}"))
            .hint("nothing to do if you are offline; else check collector.url, and HTTPS_PROXY where there is a proxy"),
        false => Why::new(cause),
    };
    Refused::Unavailable { why, retry_after: None }
}

/// An error of TLS is wrapped in errors of input and output, which do not count as causes.
fn find_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls);
        }
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(tls) = inner.and_then(|inner| find_tls(inner)) {
            return Some(tls);
        }
        at = error.source();
    }
    None
}

fn of_tls(error: &rustls::Error) -> Refused {
    use CertificateError as Bad;
    let day = |time: &UnixTime| {
        let second = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        jiff::Timestamp::from_second(second)
            .map_or_else(|_| "?".to_owned(), |it| it.to_string().chars().take(10).collect())
    };
    let clock = |time: &UnixTime| {
        format!("this device's clock says {}; if that is right, the collector needs a new certificate", day(time))
    };
    let renew = "the collector needs a new certificate, or this device's clock is wrong";
    let why = match error {
        rustls::Error::InvalidCertificate(bad) => match bad {
            Bad::ExpiredContext { time, not_after } => {
                Why::new(format!("its certificate expired on {}", day(not_after))).hint(clock(time))
            }
            Bad::Expired => Why::new("its certificate has expired").hint(renew),
            Bad::NotValidYetContext { time, not_before } => {
                Why::new(format!("its certificate is good only from {} on", day(not_before))).hint(clock(time))
            }
            Bad::NotValidYet => Why::new("its certificate is not good yet").hint(renew),
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
                Why::new("its certificate is for another host").hint("check the host in collector.url")
            }
            Bad::UnknownIssuer => Why::new("its certificate is from an authority this device does not know").hint(
                "if that is your company's own, set collector.ca_file in config.toml (or SSL_CERT_FILE) to its certificate",
            ),
            Bad::Revoked => Why::new("its certificate was revoked").hint("the collector needs a new certificate"),
            other => Why::new(format!("its certificate does not hold: {other}"))
                .hint("ask whoever runs the collector"),
        },
        rustls::Error::InvalidMessage(_) => {
            Why::new("does not speak TLS there").hint("check the port in collector.url, and whether https:// is right")
        }
        // Cut off in the middle, or a fault that another try may not meet.
        other => return unavailable(format!("TLS failed: {other}")),
    };
    Refused::Blocked(why)
}

/// Cuts what a stranger said and takes out what could move a cursor.
fn excerpt(text: &str) -> String {
    format!("{:?}", clean(text).take(EXCERPT_CHARS).collect::<String>())
}

/// A collector's own words: longer, and not in quotes.
fn excerpt_of_ours(text: &str) -> String {
    clean(text).take(4 * EXCERPT_CHARS).collect()
}

fn clean(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(|c| if c.is_control() { ' ' } else { c })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_sorted_by_what_can_be_done() {
        let table: Vec<String> = [
            (401, r#"{"error":"no"}"#),
            (403, "<html>"),
            (407, "<html>"),
            (413, ""),
            (400, r#"{"error":"bad"}"#),
            (400, "<html>"),
            (404, r#"{"error":"x"}"#),
            (404, "<html>"),
            (409, r#"{"error":"x","kind":"fork"}"#),
            (409, "<html>"),
            (500, r#"{"error":"x"}"#),
            (302, ""),
        ]
        .into_iter()
        .map(|(code, text)| {
            let refused = format!("{:?}", sort(code, text, None));
            format!("{code} {text} -> {}", refused.split(['(', ' ']).next().unwrap_or_default())
        })
        .collect();
        expect_test::expect![[r#"
            401 {"error":"no"} -> Unauthorised
            403 <html> -> Unauthorised
            407 <html> -> Blocked
            413  -> TooLarge
            400 {"error":"bad"} -> Never
            400 <html> -> Unavailable
            404 {"error":"x"} -> Unannounced
            404 <html> -> Unavailable
            409 {"error":"x","kind":"fork"} -> Fork
            409 <html> -> Fork
            500 {"error":"x"} -> Unavailable
            302  -> Unavailable"#]]
        .assert_eq(&table.join("\n"));
    }

    #[test]
    fn what_a_stranger_says_can_move_no_cursor_and_fills_no_screen() {
        let told = sort(500, &format!("\u{1b}[2J{}", "x".repeat(1 << 20)), None).to_string();
        assert!(told.len() < 400 && !told.contains('\u{1b}'), "{told}");
        let told = sort(500, &format!(r#"{{"error":"\u001b[2J{}"}}"#, "x".repeat(1 << 20)), None).to_string();
        assert!(told.len() < 700 && !told.contains('\u{1b}'), "{told}");
    }

    #[test]
    fn every_certificate_that_does_not_hold_is_told_with_what_to_do() {
        let time = UnixTime::since_unix_epoch(Duration::from_secs(1_900_000_000));
        for bad in [
            CertificateError::Expired,
            CertificateError::ExpiredContext { time, not_after: time },
            CertificateError::NotValidYet,
            CertificateError::NotValidYetContext { time, not_before: time },
            CertificateError::NotValidForName,
            CertificateError::UnknownIssuer,
            CertificateError::Revoked,
            CertificateError::BadSignature,
        ] {
            let wrapped = io::Error::other(rustls::Error::InvalidCertificate(bad));
            let refused = of_tls(find_tls(&wrapped).expect("it is found inside"));
            assert!(matches!(&refused, Refused::Blocked(why) if why.hint.is_some()), "{refused:?}");
        }
    }
}
