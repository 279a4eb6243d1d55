//! `diy-crypto`: a function that says it encrypts, hashes or signs, and only shuffles bytes.
//!
//! It must never speak of a function that hands the work to a library.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::authorization::pattern;
use super::{About, Code};
use crate::finding::Severity;

pub(super) const ABOUT: About = About {
    id: "diy-crypto",
    severity: Severity::Low,
    cwe: &["CWE-1240", "CWE-327"],
    message: "this says it protects something, and only shuffles its bytes",
    why: "a self-made cipher is a short exercise, and many were published",
    fix: "use a library: AES-GCM or ChaCha20-Poly1305, SHA-256, HMAC, Ed25519",
    folded: None,
};

static CLAIMS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(^|_|[a-z])(encrypt|decrypt|encipher|decipher|cipher|hmac|hash_?password|password_?hash|sign_?(data|message|token|payload))",
    )
});
static SHUFFLES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"\bord\(|\bchr\(|charCodeAt|fromCharCode|\s\^=?\s|\bxor\b|% ?26|% ?256|% ?95|wrapping_add|<<\s*\d|as u8")
});
static LOOPS: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\bfor\b|\bwhile\b|\.map\(|forEach|\.iter\(\)|\breduce\b|\bloop\b"));
static LIBRARY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\baes|crypto\.|cipher\.|fernet|nacl|bcrypt|argon|scrypt|pbkdf|hashlib|hmac\.new|chacha|getInstance|subtle\.|openssl|sodium|sha_?(1|2|256|512)\b|\.encrypt\(|\.decrypt\(|\.update\(|NewGCM|rsa\b|ring::|Digest",
    )
});

pub(super) fn check(code: &Code<'_>) -> Vec<Range<usize>> {
    let own = code.functions.iter().filter(|function| {
        CLAIMS.is_match(function.name)
            && function.text.len() < 6000
            && LOOPS.is_match(function.text)
            && SHUFFLES.is_match(function.text)
            && !LIBRARY.is_match(function.text)
    });
    own.map(|function| function.head.clone()).collect()
}
