//! Tokens: made once, printed once, kept as hashes, compared in constant time.

use countersign_event::digest::{hex, sha256};

use crate::archive::tokens::TokenRow;
use crate::archive::{Archive, ArchiveError};
use crate::roles::Role;

/// Marks our tokens for people and for secret scanners.
const PREFIX: &str = "cst_";

/// A device's token that is older asks for its successor.
const TOKEN_AGE_MS: i64 = 30 * 24 * 3_600_000;

/// Who is asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name the token was made for.
    pub subject: String,
    /// What they may do.
    pub role: Role,
    /// The one stream the token is good for, where a device enrolled with it.
    pub stream: Option<String>,
    /// SHA-256 of the token.
    pub token: [u8; 32],
    /// The token is old and should be replaced.
    pub is_old: bool,
}

impl Caller {
    /// Whoever reads the archive's files themselves.
    pub(crate) fn local(who: &str) -> Caller {
        Caller { subject: who.to_owned(), role: Role::Responder, stream: None, token: [0; 32], is_old: false }
    }
}

/// What a token is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Somebody holds it.
    Caller(Caller),
    /// It was revoked, or another took its place.
    Ended,
    /// Nobody made it.
    Nobody,
}

/// Makes a token of a secret; returns it and its hash.
pub(crate) fn fresh(secret: [u8; 32]) -> (String, [u8; 32]) {
    let token = format!("{PREFIX}{}", hex(&secret));
    let digest = sha256(token.as_bytes());
    (token, digest)
}

/// Makes a token, stores its hash and returns the token. It cannot be read again.
///
/// Errors: the archive could not be written.
pub fn issue(
    archive: &mut dyn Archive,
    role: Role,
    subject: &str,
    secret: [u8; 32],
    now_ms: i64,
) -> Result<String, ArchiveError> {
    let (token, digest) = fresh(secret);
    let (subject, issued_ms) = (subject.to_owned(), now_ms);
    archive.put_token(&TokenRow { digest, role, subject, stream: None, replaces: None, issued_ms, ended_ms: None })?;
    Ok(token)
}

/// Returns who holds `token`. One that is seen for the first time ends the one it was made to replace.
pub fn who(archive: &mut dyn Archive, token: &str, now_ms: i64) -> Result<Who, ArchiveError> {
    let digest = sha256(token.as_bytes());
    let Some(row) = archive.token(&digest)?.filter(|row| same(&row.digest, &digest)) else { return Ok(Who::Nobody) };
    if row.ended_ms.is_some() {
        return Ok(Who::Ended);
    }
    if let Some(replaced) = &row.replaces {
        archive.token_seen(&digest, replaced, now_ms)?;
    }
    // Only a device that enrolled keeps its token in a file of its own.
    let is_old = row.stream.is_some() && now_ms.saturating_sub(row.issued_ms) > TOKEN_AGE_MS;
    Ok(Who::Caller(Caller { subject: row.subject, role: row.role, stream: row.stream, token: digest, is_old }))
}

/// Compares without ending early, so that time says nothing about where two digests differ.
fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    std::hint::black_box(a.iter().zip(b).fold(0_u8, |difference, (a, b)| difference | (a ^ b))) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_the_same_only_where_every_byte_is() {
        let a = [7; 32];
        assert!(same(&a, &[7; 32]));
        for i in 0..32 {
            let mut b = a;
            b[i] ^= 1;
            assert!(!same(&a, &b));
        }
    }
}
