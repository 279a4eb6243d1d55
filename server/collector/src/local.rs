//! An archive's files, read by our own commands: `log --archive DIR`, `verify --archive DIR`.
//!
//! Whoever can read the files needs no token, but the read is written down like any other.

use std::path::Path;

use countersign_event::batch::Cursor;
use countersign_event::chain::Hash;
use serde_json::json;

use crate::access::{self, Read};
use crate::archive::sqlite::{self, Sqlite};
use crate::archive::{Archive, ArchiveError, Scope};
use crate::auth::Caller;
use crate::keys::Keys;
use crate::roles::Action;
use crate::router::line;
use crate::verify::{self, Report};

/// Rows that are read at once.
const PAGE: usize = 1_000;

/// An archive opened by a command on the machine where it lies.
pub struct Local {
    archive: Sqlite,
    keys: Keys,
    who: String,
}

impl Local {
    /// Opens the archive in `data`. `who` is named in the access log.
    ///
    /// Errors: `File` where there is no archive; it is never made here.
    pub fn open(data: &Path, who: &str) -> Result<Local, ArchiveError> {
        let path = data.join(sqlite::FILE);
        std::fs::metadata(&path)
            .map_err(|error| ArchiveError::File { path: path.display().to_string(), source: error.into() })?;
        Ok(Local { archive: Sqlite::open(data)?, keys: Keys::load_or_create(data)?, who: who.to_owned() })
    }

    /// Hands out the events of every device stream in order of arrival, a line each with its end;
    /// with `chain` wrapped with address and hash, holes included. Stops where `out` fails.
    pub fn events<E: From<ArchiveError>>(
        &mut self,
        chain: bool,
        mut out: impl FnMut(&str) -> Result<(), E>,
    ) -> Result<(), E> {
        self.record("events")?;
        let mut after = 0;
        loop {
            let rows = self.archive.rows_after(&Scope::All, after, PAGE)?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = last.id;
            for text in rows.iter().filter_map(|row| line(row, chain)) {
                out(&text)?;
            }
        }
    }

    /// Walks the whole archive.
    pub fn verify(&mut self) -> Result<Report, ArchiveError> {
        self.record("verify")?;
        verify::archive(&mut self.archive, self.keys.genesis(), &self.keys.sealing)
    }

    /// Returns where the archive stands in every epoch of a stream.
    pub fn cursors(&mut self, stream: &str) -> Result<Vec<Cursor>, ArchiveError> {
        self.record("cursors")?;
        self.archive.cursors(stream)
    }

    /// Returns the hash after an archived place.
    pub fn hash_at(&mut self, stream: &str, epoch: &str, seq: u64) -> Result<Option<Hash>, ArchiveError> {
        self.archive.hash_at(stream, epoch, seq)
    }

    fn record(&mut self, what: &str) -> Result<(), ArchiveError> {
        // Files open to whoever may read them; the role says how far that reaches.
        let caller = Caller::local(&self.who);
        let question = json!({ "route": "files", "what": what });
        let read = Read { action: Action::Facts, question, purpose: None, ticket: None };
        self.archive.begin()?;
        let now_ms = jiff::Timestamp::now().as_millisecond();
        if let Err(error) = access::record(&mut self.archive, &self.keys, &caller, &read, now_ms) {
            self.archive.rollback();
            return Err(error);
        }
        self.archive.commit()
    }
}
