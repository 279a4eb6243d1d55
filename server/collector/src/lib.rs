//! Receives the trail, keeps it, answers questions about it.
//!
//! What comes in is checked ([`ingest`]): the token, the signed head, the hash chain. It is placed in
//! an append-only [`archive`] and acknowledged after the commit, never before. What goes out is asked
//! through [`roles`], and every read is written into the collector's own stream ([`access`]) before
//! the bytes leave; where that cannot be written, the read is refused.
//!
//! This crate must never re-serialise an event, acknowledge what is not durable, or print a token twice.

pub mod access;
pub mod answer;
pub mod archive;
pub mod auth;
pub mod enrol;
mod error;
pub mod gaps;
pub mod ingest;
mod keys;
pub mod local;
mod request;
pub mod roles;
mod router;
mod seal;
pub mod serve;
mod store;
mod sys;
pub mod verify;

pub use archive::{Archive, ArchiveError};
pub use roles::Role;
