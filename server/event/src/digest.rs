//! Hashes and keyed digests, always lower-case hexadecimal.
//!
//! A keyed digest lets two processes of one device say "the same text" to each other without
//! either of them writing the text down, and says nothing to anybody without the device's key.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Returns the SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Returns the SHA-256 of the parts, one after another, without separators.
pub fn sha256_parts(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// Returns HMAC-SHA-256 of `bytes` under `key`.
pub fn keyed(key: &[u8], bytes: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(bytes);
    mac.finalize().into_bytes().into()
}

/// Returns the digest by which two observers recognise the same inserted text: 16 bytes of
/// [`keyed`], in hexadecimal. Line ends are normalised, because an editor may send CRLF where the
/// server sent LF.
pub fn entered(key: &[u8], text: &str) -> String {
    let normal;
    let text = if text.contains('\r') {
        normal = text.replace("\r\n", "\n").replace('\r', "\n");
        &normal
    } else {
        text
    };
    hex(&keyed(key, text.as_bytes())[..16])
}

/// Returns our own address of a text: its SHA-256 in hexadecimal. It is not a git blob id.
pub fn text_id(bytes: &[u8]) -> String {
    hex(&sha256(bytes))
}

/// Returns the id git gives a blob of these bytes, in a repository of the usual object format (SHA-1).
pub fn git_blob(bytes: &[u8]) -> String {
    let mut hasher = Sha1::new();
    hasher.update(format!("blob {}\0", bytes.len()));
    hasher.update(bytes);
    hex(&hasher.finalize())
}

/// Writes bytes as lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)] as char);
        out.push(DIGITS[usize::from(byte & 15)] as char);
    }
    out
}

/// Reads hexadecimal of exactly `N` bytes, either case. `None` for anything else.
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let text = text.as_bytes();
    if text.len() != N * 2 {
        return None;
    }
    let mut out = [0; N];
    for (i, pair) in text.chunks_exact(2).enumerate() {
        let high = (pair[0] as char).to_digit(16)?;
        let low = (pair[1] as char).to_digit(16)?;
        out[i] = (high * 16 + low) as u8;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_round_trips_and_refuses_the_rest() {
        assert_eq!(unhex::<3>(&hex(&[0, 171, 255])), Some([0, 171, 255]));
        assert_eq!(unhex::<3>("00ab"), None);
        assert_eq!(unhex::<1>("zz"), None);
    }

    #[test]
    fn a_blob_has_the_id_that_git_gives_it() {
        assert_eq!(git_blob(b""), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
        assert_eq!(
            git_blob(b"def greet(name):\n    return 'Hi ' + name\n"),
            "2ae00449e6c07541ad9ef023d34bb831cbbbe679"
        );
    }

    #[test]
    fn the_entered_digest_ignores_line_end_style_and_depends_on_the_key() {
        assert_eq!(entered(b"k", "a\r\nb\rc\n"), entered(b"k", "a\nb\nc\n"));
        assert_ne!(entered(b"k", "a"), entered(b"other", "a"));
    }
}
