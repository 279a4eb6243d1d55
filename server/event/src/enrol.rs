//! How a device gets its token: a one-time code, exchanged under the device's own signature.
//!
//! The code says whose device it is, the signature which one. A code that was used once is good for
//! nothing but the same device's second try, whose first answer may have been lost.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// At most this many pseudonyms are linked at once.
pub const PERSONS_MAX: usize = 64;

/// The body of `POST /v1/enrol`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Enrolment {
    /// The one-time code.
    pub code: String,
    /// The device's stream.
    pub stream: String,
    /// The device's Ed25519 key, hexadecimal.
    pub public_key: String,
    /// The pseudonyms under which this device records the person who enrols it.
    pub persons: Vec<String>,
    /// Over [`Enrolment::signed_message`], hexadecimal.
    pub signature: String,
}

impl Enrolment {
    /// Returns what the device signs.
    pub fn signed_message(&self) -> Vec<u8> {
        let mut message = b"countersign.enrol.v1".to_vec();
        let parts = [&self.code, &self.stream, &self.public_key].into_iter().chain(&self.persons);
        // Lengths first: no two enrolments give the same bytes.
        for part in parts {
            message.extend_from_slice(&(part.len() as u64).to_be_bytes());
            message.extend_from_slice(part.as_bytes());
        }
        message
    }
}

/// The body of a 200 answer to `POST /v1/enrol` and `POST /v1/token`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Enrolled {
    /// The device token. It cannot be read again.
    pub token: String,
    /// Whose device this is.
    pub subject: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_differs_wherever_the_enrolment_does() {
        let enrolment = |code: &str, stream: &str, persons: &[&str]| Enrolment {
            code: code.to_owned(),
            stream: stream.to_owned(),
            public_key: String::new(),
            persons: persons.iter().map(|&person| person.to_owned()).collect(),
            signature: String::new(),
        };
        let messages = [
            enrolment("a", "b", &[]),
            enrolment("ab", "", &[]),
            enrolment("a", "b", &["c"]),
            enrolment("a", "b", &["c", ""]),
            enrolment("a", "bc", &[]),
        ]
        .map(|it| it.signed_message());
        let distinct: std::collections::BTreeSet<_> = messages.iter().collect();
        assert_eq!(distinct.len(), messages.len());
    }
}
