//! The hash chain over a device's trail, and the signed heads that leave the device.
//!
//! `hash(n) = sha256(hash(n-1) ‖ sha256(bytes(n)))`; an epoch's first `previous` is
//! `sha256(stream ‖ epoch ‖ device public key)`. Whoever holds one signed head can prove every byte
//! before it. This module only computes; who signs and who stores is elsewhere.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::{hex, sha256, sha256_parts, unhex};
use crate::time::Timestamp;

/// A SHA-256 in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Reads 64 hexadecimal digits. `None` for anything else.
    pub fn parse(text: &str) -> Option<Hash> {
        unhex(text).map(Hash)
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Hash::parse(&text).ok_or_else(|| serde::de::Error::custom("expected 64 hexadecimal digits"))
    }
}

impl JsonSchema for Hash {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Hash".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-9a-f]{64}$" })
    }
}

/// Returns what stands before the first event of an epoch.
pub fn genesis(stream: &str, epoch: &str, device_public_key: &[u8; 32]) -> Hash {
    Hash(sha256_parts(&[stream.as_bytes(), epoch.as_bytes(), device_public_key]))
}

/// Returns the hash after an event with these stored bytes.
pub fn next(previous: Hash, bytes: &[u8]) -> Hash {
    next_digest(previous, &sha256(bytes))
}

/// Returns the hash after an event of which only the digest of its bytes is known (a hole).
pub fn next_digest(previous: Hash, sha256_of_bytes: &[u8; 32]) -> Hash {
    Hash(sha256_parts(&[&previous.0, sha256_of_bytes]))
}

/// The last hash of an epoch at a moment, signed by the device (Ed25519).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Head {
    /// The stream: one spool on one device.
    pub stream: String,
    /// The epoch within it.
    pub epoch: String,
    /// The last event it covers; 0 for an epoch that has none yet.
    pub seq: u64,
    /// The hash after that event.
    pub hash: Hash,
    /// When it was signed.
    pub time: Timestamp,
    /// The device's public key, 32 bytes in hexadecimal.
    pub public_key: String,
    /// Ed25519 over [`Head::message`], 64 bytes in hexadecimal.
    pub signature: String,
}

impl Head {
    /// Returns the bytes that are signed: a domain, then each part with its length before it, so
    /// that no two heads share a message.
    pub fn message(stream: &str, epoch: &str, seq: u64, hash: Hash, time: Timestamp) -> Vec<u8> {
        let mut out = b"countersign.head.v1".to_vec();
        for part in [stream.as_bytes(), epoch.as_bytes()] {
            out.extend_from_slice(&(part.len() as u64).to_be_bytes());
            out.extend_from_slice(part);
        }
        out.extend_from_slice(&seq.to_be_bytes());
        out.extend_from_slice(&hash.0);
        out.extend_from_slice(&time.as_millis().to_be_bytes());
        out
    }

    /// Returns the bytes this head's signature is over.
    pub fn signed_message(&self) -> Vec<u8> {
        Head::message(&self.stream, &self.epoch, self.seq, self.hash, self.time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changing_dropping_or_swapping_an_event_changes_the_last_hash() {
        let start = genesis("s", "e", &[7; 32]);
        let chain = |events: &[&[u8]]| events.iter().fold(start, |hash, bytes| next(hash, bytes));
        let whole = chain(&[b"one", b"two", b"three"]);
        for other in [
            chain(&[b"one", b"twO", b"three"]),
            chain(&[b"one", b"three"]),
            chain(&[b"two", b"one", b"three"]),
            chain(&[b"one", b"two", b"three", b""]),
        ] {
            assert_ne!(whole, other);
        }
    }

    #[test]
    fn a_hole_with_a_known_digest_verifies_across() {
        let start = genesis("s", "e", &[7; 32]);
        assert_eq!(next(start, b"gone"), next_digest(start, &sha256(b"gone")));
    }

    #[test]
    fn stream_and_epoch_cannot_be_shifted_into_each_other() {
        let hash = Hash([1; 32]);
        let time = Timestamp::from_millis(0);
        assert_ne!(Head::message("ab", "c", 1, hash, time), Head::message("a", "bc", 1, hash, time));
    }
}
