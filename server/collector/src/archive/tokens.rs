//! Who may come near an archive: tokens, the codes devices get them for, and whose pseudonyms are whose.
//!
//! Only hashes of tokens and codes are kept.

use super::Outcome;
use crate::roles::Role;

/// A stored token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// SHA-256 of the token.
    pub digest: [u8; 32],
    /// What its holder may do.
    pub role: Role,
    /// Who holds it.
    pub subject: String,
    /// The one stream it is good for, where a device enrolled with it.
    pub stream: Option<String>,
    /// The token whose place it takes once it is seen.
    pub replaces: Option<[u8; 32]>,
    /// When it was made.
    pub issued_ms: i64,
    /// When it was revoked or replaced.
    pub ended_ms: Option<i64>,
}

/// A stored one-time code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeRow {
    /// Whose devices it enrols.
    pub subject: String,
    /// Until when.
    pub expires_ms: i64,
    /// The stream it was used for.
    pub stream: Option<String>,
}

/// The part of an archive that knows who may come near it.
pub trait Tokens {
    /// Returns the token with this hash.
    fn token(&mut self, digest: &[u8; 32]) -> Outcome<Option<TokenRow>>;
    /// Keeps the hash of a token.
    fn put_token(&mut self, token: &TokenRow) -> Outcome<()>;
    /// Ends the token that this one replaces, and others that were made in its place and never seen.
    fn token_seen(&mut self, digest: &[u8; 32], replaces: &[u8; 32], now_ms: i64) -> Outcome<()>;
    /// Ends every token and every code of a subject, or with `stream` the tokens that a device enrolled with.
    /// Returns how many tokens.
    fn end_tokens(&mut self, subject: &str, stream: Option<&str>, now_ms: i64) -> Outcome<usize>;

    /// Returns the one-time code with this hash.
    fn code(&mut self, digest: &[u8; 32]) -> Outcome<Option<CodeRow>>;
    /// Keeps the hash of a one-time code.
    fn put_code(&mut self, digest: &[u8; 32], code: &CodeRow, now_ms: i64) -> Outcome<()>;
    /// Notes for which stream a code was used.
    fn code_used(&mut self, digest: &[u8; 32], stream: &str, now_ms: i64) -> Outcome<()>;
    /// Links a pseudonym of a stream with whose it is. The same one twice is one.
    fn put_person(&mut self, stream: &str, person: &str, subject: &str, now_ms: i64) -> Outcome<()>;
    /// Returns whose pseudonym this is, where a device said so when it enrolled.
    fn subject_of(&mut self, stream: &str, person: &str) -> Outcome<Option<String>>;
}
