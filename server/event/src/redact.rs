//! Redaction: what every text goes through before it is written anywhere.
//!
//! A secret becomes a visible mark with a keyed hash, so that two places that held the same secret
//! can be recognised and the secret cannot be guessed from the mark without the device's key.
//! It must never let a found secret through, never change a text without secrets, and never
//! change its own output again.

use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest;
use crate::secret::{Detector, KEYED};

/// Hides secrets under one key.
#[derive(Debug, Clone)]
pub struct Redactor {
    key: Vec<u8>,
}

/// A text without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redacted {
    /// The text with marks in place of secrets.
    pub text: String,
    /// How many marks were set.
    pub count: usize,
    /// What each mark stands for, in the order they were set.
    pub taken: Vec<Redaction>,
}

/// What is known of a secret that was taken out: enough to recognise it, nothing to guess it by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Redaction {
    /// The kind, as the detector names it.
    pub kind: String,
    /// Bytes that were taken out.
    pub bytes: u64,
    /// The keyed hash of the mark, 8 hexadecimal digits.
    pub hash: String,
}

/// Hiding one secret can uncover another that its neighbour covered; each pass removes text, so a
/// few passes settle. Measured on our tests: two.
const PASSES_MAX: usize = 16;

impl Redactor {
    /// Creates a redactor whose marks carry hashes under `key`.
    pub fn new(key: &[u8]) -> Self {
        Self { key: key.to_vec() }
    }

    /// Replaces every secret of `text` by `[redacted:<kind>:<8 hexadecimal digits>]`.
    ///
    /// Idempotent; a text without secrets comes back as it was.
    pub fn redact(&self, text: &str) -> Redacted {
        let mut redacted = Redacted { text: text.to_owned(), count: 0, taken: Vec::new() };
        for _ in 0..PASSES_MAX {
            let secrets = Detector::shared().find(&redacted.text);
            if secrets.is_empty() {
                break;
            }
            let mut out = String::with_capacity(redacted.text.len());
            let mut copied = 0;
            for secret in &secrets {
                out.push_str(&redacted.text[copied..secret.range.start]);
                let hidden = &redacted.text[secret.range.clone()];
                let (kind, bytes) = (secret.kind.to_owned(), hidden.len() as u64);
                redacted.taken.push(Redaction { kind, bytes, hash: self.hash(hidden) });
                out.push_str(&self.mark(secret.kind, hidden));
                copied = secret.range.end;
            }
            out.push_str(&redacted.text[copied..]);
            redacted.text = out;
            redacted.count += secrets.len();
        }
        redacted
    }

    /// Like [`Redactor::redact`] for a JSON text, where also every string under a name such as
    /// `token`, `apiKey` or `authorization` is hidden, whatever it looks like.
    ///
    /// A text in which nothing is hidden, or that is not JSON, keeps its bytes otherwise.
    pub fn redact_json(&self, text: &str) -> Redacted {
        let Ok(mut value) = serde_json::from_str::<Value>(text) else {
            let mut redacted = self.redact(text);
            // What kept it from being JSON may have stood in a secret.
            if redacted.count > 0 && serde_json::from_str::<IgnoredAny>(&redacted.text).is_ok() {
                let named = self.redact_json(&redacted.text);
                redacted.text = named.text;
                redacted.count += named.count;
                redacted.taken.extend(named.taken);
            }
            return redacted;
        };
        let count = self.redact_value(&mut value);
        let mut redacted = match count {
            0 => self.redact(text),
            _ => self.redact(&value.to_string()),
        };
        redacted.count += count;
        redacted
    }

    /// Hides the strings under secret-sounding names and the secrets in all other strings. Returns
    /// how many.
    pub fn redact_value(&self, value: &mut Value) -> usize {
        self.walk(value, false)
    }

    fn walk(&self, value: &mut Value, named: bool) -> usize {
        match value {
            Value::String(text) if named => {
                let known = self.redact(text);
                if text.is_empty() || is_mark(text) {
                    return 0;
                }
                *text = match is_mark(&known.text) {
                    true => known.text,
                    false => self.mark(KEYED, text),
                };
                1
            }
            Value::String(text) => {
                let redacted = self.redact(text);
                *text = redacted.text;
                redacted.count
            }
            Value::Array(items) => items.iter_mut().map(|item| self.walk(item, named)).sum(),
            Value::Object(fields) => {
                fields.iter_mut().map(|(name, item)| self.walk(item, named || names_a_secret(name))).sum()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
    }

    fn mark(&self, kind: &str, secret: &str) -> String {
        format!("[redacted:{kind}:{}]", self.hash(secret))
    }

    fn hash(&self, secret: &str) -> String {
        digest::hex(&digest::keyed(&self.key, secret.as_bytes())[..4])
    }
}

fn is_mark(text: &str) -> bool {
    matches!(crate::secret::marks(text).as_slice(), [mark] if mark.len() == text.len())
}

/// Tells whether one of the words of a field's name (`apiKey`, `AUTH_TOKEN`, `x-api-key`) names a
/// secret.
fn names_a_secret(name: &str) -> bool {
    const WORDS: &[&str] = &[
        "token",
        "tokens",
        "key",
        "keys",
        "apikey",
        "secret",
        "secrets",
        "auth",
        "authorization",
        "password",
        "passwords",
        "passwd",
        "pwd",
        "passphrase",
        "credential",
        "credentials",
        "cookie",
        "bearer",
    ];
    // What a mark says is ours, and no part of the name.
    let marks = crate::secret::marks(name);
    let said = name.char_indices().filter(|(at, _)| !marks.iter().any(|mark| mark.contains(at))).map(|(_, c)| c);
    let mut word = String::new();
    let mut upper_before = true;
    for c in said.chain(['_']) {
        let starts = c.is_ascii_uppercase() && !upper_before;
        if starts || !c.is_ascii_alphanumeric() {
            if WORDS.contains(&word.as_str()) {
                return true;
            }
            word.clear();
        }
        if c.is_ascii_alphanumeric() {
            word.push(c.to_ascii_lowercase());
        }
        upper_before = c.is_ascii_uppercase();
    }
    false
}

#[cfg(test)]
mod tests;
