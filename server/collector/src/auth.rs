//! Tokens: made once, printed once, kept as hashes, compared in constant time.

use countersign_event::digest::{hex, sha256};

use crate::archive::{Archive, ArchiveError};
use crate::roles::Role;

/// Marks our tokens for people and for secret scanners.
const PREFIX: &str = "cst_";

/// Who is asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name the token was made for.
    pub subject: String,
    /// What they may do.
    pub role: Role,
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
    let token = format!("{PREFIX}{}", hex(&secret));
    archive.put_token(&sha256(token.as_bytes()), role, subject, now_ms)?;
    Ok(token)
}

/// Returns who holds `token`, `None` where nobody does.
pub fn who(archive: &mut dyn Archive, token: &str) -> Result<Option<Caller>, ArchiveError> {
    let digest = sha256(token.as_bytes());
    let found = archive.token(&digest)?;
    Ok(found.filter(|row| same(&row.digest, &digest)).map(|row| Caller { subject: row.subject, role: row.role }))
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
