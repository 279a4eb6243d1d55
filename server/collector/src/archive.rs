//! Where the trail is kept: one trait, an adapter for each engine.
//!
//! An archive only grows. Rows of the trail are never updated and never deleted (the engine itself
//! refuses it); cursors only move forward. Every call happens inside a transaction that the
//! [`store`](crate::store) opened, and nothing is answered before that transaction is durable.
//!
//! An adapter must never judge: whether a batch may enter is decided in [`ingest`](crate::ingest).

pub mod sqlite;
pub mod tokens;

use std::sync::Arc;

use countersign_event::EventBytes;
use countersign_event::batch::{Cursor, GapNote, Hole};
use countersign_event::chain::{Hash, Head};

pub use tokens::Tokens;

/// What can go wrong with an archive. Cheap to clone: one failed commit answers many callers.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Another process writes for longer than we wait.
    #[error("archive is locked by another process")]
    Locked,
    /// No space left. What was acknowledged is safe.
    #[error("no space left for the archive")]
    Full,
    /// The queue to the archive's thread is full.
    #[error("archive is busy")]
    Busy,
    /// The archive's thread has ended, or could not begin a transaction.
    #[error("archive cannot take requests now")]
    Closed,
    /// The engine is older than the one we know to be sound.
    #[error("SQLite {found} can corrupt a database written by several connections; 3.51.3 or newer is needed")]
    Engine {
        /// What is linked.
        found: String,
    },
    /// A file of the archive cannot be used.
    #[error("cannot use {path}")]
    File {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// What is stored is not what was written.
    #[error("archive is damaged: {0}")]
    Damaged(String),
    /// The engine refused.
    #[error("archive failed to {what}")]
    Engineering {
        /// The operation.
        what: &'static str,
        /// Why.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
}

/// A stream, bound to a device key on first use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Its id.
    pub id: String,
    /// The device's Ed25519 key.
    pub public_key: [u8; 32],
    /// The subject of the token that brought it first.
    pub subject: String,
}

/// One place of the chain, ready to be stored.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Its seq.
    pub seq: u64,
    /// The hash after it.
    pub hash: Hash,
    /// What stands there.
    pub what: Place,
}

/// What stands at one place of the chain.
#[derive(Clone, Debug)]
pub enum Place {
    /// An event, with what is looked up by.
    Event(EventBytes, Box<Index>),
    /// A known absence.
    Hole(Hole),
}

impl Place {
    /// Returns whether nothing may follow in this epoch: the chain can't be computed across it.
    pub fn ends_epoch(&self) -> bool {
        matches!(self, Place::Hole(hole) if hole.sha256.is_none())
    }
}

/// What an event is found by. Everything here is a copy of what stands in its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// The event's id.
    pub id: String,
    /// Its type.
    pub event_type: String,
    /// When it happened, milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// The repository.
    pub repository: Option<String>,
    /// The path in it.
    pub path: Option<String>,
    /// The person's pseudonym.
    pub person: Option<String>,
    /// Contributions it speaks of.
    pub contributions: Vec<String>,
    /// Commitments of the texts it has.
    pub kept: Vec<String>,
}

/// A stored row of a device's stream.
#[derive(Clone, Debug)]
pub struct Row {
    /// In order of arrival; never reused.
    pub id: i64,
    /// The stream.
    pub stream: String,
    /// The epoch.
    pub epoch: String,
    /// The seq.
    pub seq: u64,
    /// The hash after it.
    pub hash: Hash,
    /// The exact bytes, or what is known of their absence.
    pub what: Result<EventBytes, Hole>,
}

/// Two histories of one stream. Kept as evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fork {
    /// The stream.
    pub stream: String,
    /// The epoch.
    pub epoch: String,
    /// The first place that differs.
    pub seq: u64,
    /// The hash that is archived, where there is one.
    pub ours: Option<Hash>,
    /// The hash that came.
    pub theirs: Hash,
    /// The bytes that came, where they did.
    pub bytes: Option<String>,
    /// The signed head they came with, as JSON.
    pub head: String,
}

/// A sealed text as it lies in the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The id of the event that was named with it.
    pub event: String,
    /// The key it is sealed under.
    pub key: i64,
    /// Nonce and cipher text.
    pub sealed: Vec<u8>,
}

/// A wrapped key of one person in one repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    /// Its id.
    pub id: i64,
    /// The person's pseudonym, empty where nobody is known.
    pub person: String,
    /// The repository, empty where there is none.
    pub repository: String,
    /// The key, sealed under the collector's own.
    pub wrapped: Vec<u8>,
}

/// Whose streams a question reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    All,
    /// Streams begun by this subject.
    Own(String),
}

/// One entry of the collector's own stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// From 1.
    pub seq: u64,
    /// The hash after it.
    pub hash: Hash,
    /// The exact bytes.
    pub bytes: String,
}

type Outcome<T> = Result<T, ArchiveError>;

/// An append-only store. See the module for what holds for every method.
pub trait Archive: Tokens + Send {
    /// Opens a transaction.
    fn begin(&mut self) -> Outcome<()>;
    /// Makes it durable against power loss.
    fn commit(&mut self) -> Outcome<()>;
    /// Throws it away.
    fn rollback(&mut self);
    /// Marks a point to go back to.
    fn savepoint(&mut self) -> Outcome<()>;
    /// Keeps what was done since the mark.
    fn keep(&mut self) -> Outcome<()>;
    /// Throws away what was done since the mark.
    fn undo(&mut self) -> Outcome<()>;

    /// Returns a stream that is bound to a key.
    fn stream(&mut self, id: &str) -> Outcome<Option<Stream>>;
    /// Binds a stream to a key.
    fn put_stream(&mut self, stream: &Stream, now_ms: i64) -> Outcome<()>;
    /// Returns every stream in scope, by id.
    fn streams(&mut self) -> Outcome<Vec<Stream>>;
    /// Returns how far an epoch has come.
    fn cursor(&mut self, stream: &str, epoch: &str) -> Outcome<Option<Cursor>>;
    /// Returns every epoch's cursor, by epoch.
    fn cursors(&mut self, stream: &str) -> Outcome<Vec<Cursor>>;
    /// Appends places and moves the cursor to the last one.
    fn append(&mut self, stream: &str, epoch: &str, places: &[Placed], now_ms: i64) -> Outcome<()>;
    /// Returns the hash after a place.
    fn hash_at(&mut self, stream: &str, epoch: &str, seq: u64) -> Outcome<Option<Hash>>;
    /// Keeps a signed head. The same one twice is one.
    fn put_head(&mut self, head: &Head, now_ms: i64) -> Outcome<()>;
    /// Returns the heads whose seq lies in the range, both ends included, by seq.
    fn heads(&mut self, stream: &str, epoch: &str, from: u64, to: u64) -> Outcome<Vec<Head>>;
    /// Keeps the evidence of a fork. The same one twice is one.
    fn put_fork(&mut self, fork: &Fork, now_ms: i64) -> Outcome<()>;
    /// Returns the forks of a stream, oldest first.
    fn forks(&mut self, stream: &str) -> Outcome<Vec<Fork>>;
    /// Returns what signed heads announced and nobody delivered, by epoch.
    fn gaps(&mut self, stream: &str) -> Outcome<Vec<GapNote>>;

    /// Notes that a stream was heard of.
    fn heard(&mut self, stream: &str, now_ms: i64) -> Outcome<()>;
    /// Returns when it was last heard of. `None` where it never was.
    fn last_heard(&mut self, stream: &str) -> Outcome<Option<i64>>;
    /// Returns the newest holes of a stream and events by which it tells of itself (`trail.*`, `capture.*`), the
    /// newest first.
    fn told(&mut self, stream: &str, limit: usize) -> Outcome<Vec<Row>>;

    /// Returns rows in order of arrival, after a row's id.
    fn rows_after(&mut self, scope: &Scope, after: i64, limit: usize) -> Outcome<Vec<Row>>;
    /// Returns the rows of an epoch in order of seq, after a seq.
    fn rows_of(&mut self, stream: &str, epoch: &str, after_seq: u64, limit: usize) -> Outcome<Vec<Row>>;
    /// Returns the first row of a stream that holds an event of this id.
    fn row_of_event(&mut self, stream: &str, id: &str) -> Outcome<Option<Row>>;
    /// Returns the rows that speak of a contribution, in order of arrival.
    fn rows_about(&mut self, scope: &Scope, contribution: &str, limit: usize) -> Outcome<Vec<Row>>;
    /// Returns the contributions that events of this path speak of, oldest first.
    fn contributions_at(
        &mut self,
        scope: &Scope,
        repository: Option<&str>,
        path: &str,
        limit: usize,
    ) -> Outcome<Vec<String>>;

    /// Returns whose key a text belongs under: person and repository of the event that holds this
    /// commitment. `None` where no archived event holds it.
    fn owner_of(&mut self, kept: &str) -> Outcome<Option<(String, String)>>;
    /// Returns a key by whom it belongs to.
    fn key_for(&mut self, person: &str, repository: &str) -> Outcome<Option<WrappedKey>>;
    /// Returns a key by its id.
    fn key(&mut self, id: i64) -> Outcome<Option<WrappedKey>>;
    /// Keeps a key; returns its id.
    fn put_key(&mut self, person: &str, repository: &str, wrapped: &[u8]) -> Outcome<i64>;
    /// Returns a sealed text.
    fn content(&mut self, kept: &str) -> Outcome<Option<Sealed>>;
    /// Keeps a sealed text.
    fn put_content(&mut self, kept: &str, sealed: &Sealed, now_ms: i64) -> Outcome<()>;
    /// Returns commitments of kept texts, after one, in order.
    fn contents_after(&mut self, kept: &str, limit: usize) -> Outcome<Vec<String>>;

    /// Appends to the collector's own stream.
    fn put_record(&mut self, genesis: Hash, bytes: &str, now_ms: i64) -> Outcome<Record>;
    /// Returns the collector's own stream after a seq.
    fn records_after(&mut self, seq: u64, limit: usize) -> Outcome<Vec<Record>>;
}
