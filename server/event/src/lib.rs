//! What is recorded: the contract between everything that observes and everything that reads.
//!
//! The life of an event, in words. A producer (language server, tap, hook, git) observes something
//! and builds a [`Payload`] from it, with [facts](facts) that say how each is known, or why it is
//! absent. [`Event`] wraps the payload in an envelope and is serialised **once**, to [`EventBytes`].
//! Those bytes are stored, hashed into the [chain], sent in a [batch] and archived; nobody
//! serialises them again, so fields and types this version has never heard of survive the whole way.
//! Text never stands in an event: it is redacted, and the event keeps a salted
//! [commitment](content::Commitment) to it.
//!
//! This crate must never call a file system, environment, clock, thread, network or source of
//! randomness: ids, times, keys and salts come in as arguments.

pub mod batch;
pub mod chain;
pub mod content;
pub mod digest;
pub mod enrol;
pub mod envelope;
pub mod facts;
pub mod identity;
pub mod payload;
pub mod redact;
pub mod secret;
pub mod time;

pub use envelope::{Event, EventBytes, Header, ParseError};
pub use facts::{Absent, Fact, How};
pub use payload::Payload;
pub use time::Timestamp;

/// The page that lists every field of every type, in Markdown; a test makes it from the types.
pub const FIELDS: &str = include_str!("../FIELDS.md");
