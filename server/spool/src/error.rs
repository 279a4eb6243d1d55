//! What can go wrong with the spool, with what a person needs to put it right.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why the spool could not do something. Nothing that was acknowledged before is affected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolError {
    /// Another process holds a lock longer than we wait.
    #[error("spool {path} is locked by another process")]
    Locked {
        /// The file that is locked.
        path: PathBuf,
    },
    /// The disk is full.
    #[error("no space left for spool {path}")]
    DiskFull {
        /// The file that had no room.
        path: PathBuf,
    },
    /// The spool's files or file system can't be written.
    #[error("spool {path} is read-only")]
    ReadOnly {
        /// The file that can't be written.
        path: PathBuf,
    },
    /// The spool could not be had for very long.
    #[error("inbox {path} is full: {letters} letters wait for a spool that can't be had")]
    InboxFull {
        /// The inbox.
        path: PathBuf,
        /// How many letters wait.
        letters: usize,
    },
    /// The directory is another machine's disk, where SQLite's WAL breaks.
    #[error(
        "{path} is on a network file system ({kind}), where a spool breaks; events wait in its inbox: move it to \
         DIR/state on a disk of this machine and set COUNTERSIGN_HOME=DIR"
    )]
    Network {
        /// The state directory.
        path: PathBuf,
        /// The file system, as the system calls it.
        kind: String,
    },
    /// There is no spool here yet.
    #[error("there is no spool at {path}")]
    Missing {
        /// Where it was expected.
        path: PathBuf,
    },
    /// A later version of Countersign wrote this spool.
    #[error("spool {path} has schema {found}, this version knows {known}: update countersign")]
    Newer {
        /// The spool.
        path: PathBuf,
        /// The schema it has.
        found: i64,
        /// The newest schema this version knows.
        known: i64,
    },
    /// The linked SQLite has a known flaw in its WAL.
    #[error("SQLite {found} is too old for the spool, 3.51.3 is needed")]
    OldSqlite {
        /// Its version.
        found: String,
    },
    /// The file is not a database, or a broken one.
    #[error("spool {path} is damaged")]
    Corrupt {
        /// The spool.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// Another process set this file aside while we had it open; open it again.
    #[error("spool {path} was replaced while it was open")]
    Replaced {
        /// The spool.
        path: PathBuf,
    },
    /// `device.key` can't be used. It is never replaced: contents would become unreadable.
    #[error("device key {path} can't be used: {reason}")]
    Device {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A collector has another history of this stream.
    #[error("epoch {epoch} differs from the collector's at event {seq}")]
    Forked {
        /// The epoch.
        epoch: String,
        /// The event whose hash differs, or that we do not have.
        seq: u64,
    },
    /// The bytes to append are not an event.
    #[error("not an event")]
    NotAnEvent(#[source] countersign_event::ParseError),
    /// A sealed text can't be opened: damaged, or sealed under another key.
    #[error("{what} can't be opened with this device's key")]
    Sealed {
        /// Which text.
        what: String,
    },
    /// The writer could not make everything durable in time.
    #[error("{events} events are not durable yet")]
    Unwritten {
        /// How many.
        events: u64,
        /// What stopped the last attempt.
        source: Option<std::sync::Arc<SpoolError>>,
    },
    /// The operating system gave no random bytes.
    #[error("no random bytes from the operating system")]
    NoRandomness(#[source] getrandom::Error),
    /// Reading or writing a file beside the database failed.
    #[error("cannot {what} {path}")]
    Io {
        /// The operation, as a verb.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// SQLite refused for another reason.
    #[error("spool {path}: database error")]
    Sqlite {
        /// The spool.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
}

impl SpoolError {
    /// Returns whether trying again later can't help.
    pub fn is_permanent(&self) -> bool {
        matches!(
            self,
            SpoolError::Newer { .. }
                | SpoolError::Network { .. }
                | SpoolError::OldSqlite { .. }
                | SpoolError::Device { .. }
                | SpoolError::Forked { .. }
                | SpoolError::NotAnEvent(_)
                | SpoolError::Sealed { .. }
        )
    }

    pub(crate) fn io(what: &'static str, path: &Path, source: std::io::Error) -> SpoolError {
        use std::io::ErrorKind;
        let path = path.to_owned();
        match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => SpoolError::DiskFull { path },
            ErrorKind::ReadOnlyFilesystem => SpoolError::ReadOnly { path },
            _ => SpoolError::Io { what, path, source },
        }
    }

    pub(crate) fn sqlite(path: &Path, source: rusqlite::Error) -> SpoolError {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => SpoolError::Locked { path },
            Some(ErrorCode::DiskFull) => SpoolError::DiskFull { path },
            Some(ErrorCode::ReadOnly) => SpoolError::ReadOnly { path },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => SpoolError::Corrupt { path, source },
            _ => SpoolError::Sqlite { path, source },
        }
    }
}
