//! The archive in one SQLite file.
//!
//! WAL, `synchronous=FULL`, `BEGIN IMMEDIATE` only. Several processes may open it (a command beside
//! the server); each waits for the other's transaction.

mod tokens;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use countersign_event::EventBytes;
use countersign_event::batch::{Cursor, GapNote};
use countersign_event::chain::{Hash, Head, next};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};

use super::{Archive, ArchiveError, Fork, Outcome, Place, Placed, Record, Row, Scope, Sealed, Stream, WrappedKey};
use crate::sys;

/// The file in the data directory.
pub const FILE: &str = "archive.db";

/// Numbered, add-only. `user_version` counts how many have run.
const MIGRATIONS: &[&str] = &[
    include_str!("sqlite/0001.sql"),
    include_str!("sqlite/0002.sql"),
    include_str!("sqlite/0003.sql"),
    include_str!("sqlite/0004.sql"),
];

/// The first version without the fault by which several writers could lose pages of a WAL.
const SOUND_SINCE: i32 = 3_051_003;

/// How long one process waits for another's transaction.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// An archive in one SQLite file.
pub struct Sqlite {
    db: Connection,
}

impl Sqlite {
    /// Opens the archive in `data`, makes it where there is none.
    ///
    /// Errors: `Engine`, `File`, `Locked`, and `Damaged` for a file of a newer version.
    pub fn open(data: &Path) -> Result<Sqlite, ArchiveError> {
        if rusqlite::version_number() < SOUND_SINCE {
            return Err(ArchiveError::Engine { found: rusqlite::version().to_owned() });
        }
        let file =
            |path: &Path, error| ArchiveError::File { path: path.display().to_string(), source: Arc::new(error) };
        sys::private_directory(data).map_err(|error| file(data, error))?;
        let path = data.join(FILE);
        sys::private_file(&path).map_err(|error| file(&path, error))?;
        let mut db = Connection::open(&path).map_err(during("open"))?;
        db.busy_timeout(BUSY_WAIT).map_err(during("set its busy timeout"))?;
        db.pragma_update(None, "journal_mode", "wal").map_err(during("turn on its write-ahead log"))?;
        db.pragma_update(None, "synchronous", "full").map_err(during("turn on durable commits"))?;
        db.pragma_update(None, "foreign_keys", true).map_err(during("turn on foreign keys"))?;
        db.pragma_update(None, "trusted_schema", false).map_err(during("distrust its schema"))?;
        // Without, a question that a partial index answers is compiled again for every value: for every event.
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(during("fix its query plans"))?;
        db.set_prepared_statement_cache_capacity(64);
        migrate(&mut db)?;
        Ok(Sqlite { db })
    }
}

fn migrate(db: &mut Connection) -> Outcome<()> {
    let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(during("begin"))?;
    let done: u32 = tx.query_row("pragma user_version", [], |row| row.get(0)).map_err(during("read its version"))?;
    let done = done as usize;
    if done > MIGRATIONS.len() {
        return Err(ArchiveError::Damaged(format!(
            "it was written by a newer version (schema {done}, this one knows {})",
            MIGRATIONS.len()
        )));
    }
    for sql in &MIGRATIONS[done..] {
        tx.execute_batch(sql).map_err(during("migrate"))?;
    }
    tx.pragma_update(None, "user_version", MIGRATIONS.len() as u32).map_err(during("note its version"))?;
    tx.commit().map_err(during("commit"))
}

/// Sorts an engine's error into our kinds.
fn during(what: &'static str) -> impl Fn(rusqlite::Error) -> ArchiveError {
    move |error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => ArchiveError::Locked,
        Some(rusqlite::ErrorCode::DiskFull) => ArchiveError::Full,
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
            ArchiveError::Damaged(error.to_string())
        }
        _ => ArchiveError::Engineering { what, source: Arc::new(error) },
    }
}

fn hash(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<Hash> {
    row.get::<_, [u8; 32]>(column).map(Hash)
}

fn unsigned(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

/// Seqs are checked at the door to fit; a larger bound (a range's end) means "no bound".
fn signed(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

fn cursor(row: &SqlRow<'_>) -> rusqlite::Result<Cursor> {
    Ok(Cursor { epoch: row.get(0)?, acked_through: unsigned(row, 1)?, head_hash: hash(row, 2)? })
}

/// A row before its bytes are looked at, which can fail in our own way.
struct RawRow {
    id: i64,
    stream: String,
    epoch: String,
    seq: u64,
    hash: Hash,
    bytes: Option<String>,
    hole: Option<String>,
}

const ROW: &str = "i.id, i.stream, i.epoch, i.seq, i.hash, i.bytes, i.hole";

fn raw_row(row: &SqlRow<'_>) -> rusqlite::Result<RawRow> {
    Ok(RawRow {
        id: row.get(0)?,
        stream: row.get(1)?,
        epoch: row.get(2)?,
        seq: unsigned(row, 3)?,
        hash: hash(row, 4)?,
        bytes: row.get(5)?,
        hole: row.get(6)?,
    })
}

impl RawRow {
    fn read(self) -> Outcome<Row> {
        let damaged = |what: String| {
            ArchiveError::Damaged(format!("{what} at stream {}, epoch {}, seq {}", self.stream, self.epoch, self.seq))
        };
        let what = match (self.bytes, self.hole) {
            (Some(bytes), _) => Ok(EventBytes::parse(bytes.as_bytes()).map_err(|error| damaged(error.to_string()))?),
            (None, Some(hole)) => Err(serde_json::from_str(&hole).map_err(|error| damaged(error.to_string()))?),
            (None, None) => return Err(damaged("neither event nor hole".to_owned())),
        };
        Ok(Row { id: self.id, stream: self.stream, epoch: self.epoch, seq: self.seq, hash: self.hash, what })
    }
}

impl Sqlite {
    fn rows(&mut self, sql: &str, values: impl rusqlite::Params) -> Outcome<Vec<Row>> {
        let mut statement = self.db.prepare_cached(sql).map_err(during("prepare a question"))?;
        let rows = statement.query_map(values, raw_row).map_err(during("read the trail"))?;
        rows.map(|row| row.map_err(during("read the trail"))?.read()).collect()
    }

    fn list<T>(
        &mut self,
        sql: &str,
        values: impl rusqlite::Params,
        read: impl FnMut(&SqlRow<'_>) -> rusqlite::Result<T>,
    ) -> Outcome<Vec<T>> {
        let mut statement = self.db.prepare_cached(sql).map_err(during("prepare a question"))?;
        let rows = statement.query_map(values, read).map_err(during("read"))?;
        rows.map(|row| row.map_err(during("read"))).collect()
    }

    fn one<T>(
        &mut self,
        sql: &str,
        values: impl rusqlite::Params,
        read: impl FnOnce(&SqlRow<'_>) -> rusqlite::Result<T>,
    ) -> Outcome<Option<T>> {
        let mut statement = self.db.prepare_cached(sql).map_err(during("prepare a question"))?;
        statement.query_row(values, read).optional().map_err(during("read"))
    }

    fn write(&mut self, what: &'static str, sql: &str, values: impl rusqlite::Params) -> Outcome<()> {
        let mut statement = self.db.prepare_cached(sql).map_err(during(what))?;
        statement.execute(values).map(|_| ()).map_err(during(what))
    }
}

fn of_event() -> String {
    format!("select {ROW} from items i where i.event_id = ?2 and i.stream = ?1 order by i.id limit 1")
}

/// What was announced and did not come, of the stream `?1`. From epoch to epoch, and in each to its last
/// head: there is a head for every batch that ever came.
const GAPS: &str = "with recursive known (epoch) as (select min(epoch) from heads where stream = ?1 union all \
                   select (select min(epoch) from heads where stream = ?1 and epoch > known.epoch) from known \
                   where epoch is not null) \
                   select known.epoch, coalesce(c.acked_through, 0) + 1, \
                   (select max(seq) from heads where stream = ?1 and epoch = known.epoch) as announced \
                   from known left join cursors c on c.stream = ?1 and c.epoch = known.epoch \
                   where known.epoch is not null and announced > coalesce(c.acked_through, 0)";

/// `?1` is the subject, or null for every stream.
const IN_SCOPE: &str = "(?1 is null or i.stream in (select id from streams where subject = ?1))";

fn subject(scope: &Scope) -> Option<&str> {
    match scope {
        Scope::All => None,
        Scope::Own(subject) => Some(subject),
    }
}

impl Archive for Sqlite {
    fn begin(&mut self) -> Outcome<()> {
        self.db.execute_batch("begin immediate").map_err(during("begin"))
    }

    fn commit(&mut self) -> Outcome<()> {
        self.db.execute_batch("commit").map_err(during("commit"))
    }

    fn rollback(&mut self) {
        if !self.db.is_autocommit()
            && let Err(error) = self.db.execute_batch("rollback")
        {
            tracing::error!(%error, "rollback failed");
        }
    }

    fn savepoint(&mut self) -> Outcome<()> {
        self.db.execute_batch("savepoint job").map_err(during("mark a savepoint"))
    }

    fn keep(&mut self) -> Outcome<()> {
        self.db.execute_batch("release job").map_err(during("release a savepoint"))
    }

    fn undo(&mut self) -> Outcome<()> {
        self.db.execute_batch("rollback to job; release job").map_err(during("go back to a savepoint"))
    }

    fn stream(&mut self, id: &str) -> Outcome<Option<Stream>> {
        self.one("select id, public_key, subject from streams where id = ?1", [id], |row| {
            Ok(Stream { id: row.get(0)?, public_key: row.get(1)?, subject: row.get(2)? })
        })
    }

    fn put_stream(&mut self, stream: &Stream, now_ms: i64) -> Outcome<()> {
        self.write(
            "bind a stream",
            "insert into streams (id, public_key, subject, bound_at) values (?1, ?2, ?3, ?4)",
            params![stream.id, stream.public_key, stream.subject, now_ms],
        )
    }

    fn streams(&mut self) -> Outcome<Vec<Stream>> {
        self.list("select id, public_key, subject from streams order by id", [], |row| {
            Ok(Stream { id: row.get(0)?, public_key: row.get(1)?, subject: row.get(2)? })
        })
    }

    fn cursor(&mut self, stream: &str, epoch: &str) -> Outcome<Option<Cursor>> {
        let sql = "select epoch, acked_through, hash from cursors where stream = ?1 and epoch = ?2";
        self.one(sql, [stream, epoch], cursor)
    }

    fn cursors(&mut self, stream: &str) -> Outcome<Vec<Cursor>> {
        let sql = "select epoch, acked_through, hash from cursors where stream = ?1 order by epoch";
        self.list(sql, [stream], cursor)
    }

    fn append(&mut self, stream: &str, epoch: &str, places: &[Placed], now_ms: i64) -> Outcome<()> {
        let Some(last) = places.last() else { return Ok(()) };
        let what = "append to the trail";
        let mut insert = self
            .db
            .prepare_cached(
                "insert into items (stream, epoch, seq, hash, bytes, hole, event_id, type, time, repository, path, \
                 person, received_at) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )
            .map_err(during(what))?;
        let mut mention = self
            .db
            .prepare_cached("insert or ignore into mentions (contribution, item) values (?1, ?2)")
            .map_err(during(what))?;
        let mut commitment = self
            .db
            .prepare_cached("insert or ignore into commitments (kept, item) values (?1, ?2)")
            .map_err(during(what))?;
        for place in places {
            let seq = signed(place.seq);
            let hash = place.hash.0;
            match &place.what {
                Place::Hole(hole) => {
                    let hole = serde_json::to_string(hole).expect("a hole has string keys");
                    let nothing: Option<&str> = None;
                    insert
                        .insert(params![
                            stream,
                            epoch,
                            seq,
                            hash,
                            nothing,
                            hole,
                            nothing,
                            nothing,
                            None::<i64>,
                            nothing,
                            nothing,
                            nothing,
                            now_ms
                        ])
                        .map_err(during(what))?;
                }
                Place::Event(bytes, index) => {
                    let item = insert
                        .insert(params![
                            stream,
                            epoch,
                            seq,
                            hash,
                            bytes.as_str(),
                            None::<&str>,
                            index.id,
                            index.event_type,
                            index.time_ms,
                            index.repository,
                            index.path,
                            index.person,
                            now_ms
                        ])
                        .map_err(during(what))?;
                    for contribution in &index.contributions {
                        mention.execute(params![contribution, item]).map_err(during(what))?;
                    }
                    for kept in &index.kept {
                        commitment.execute(params![kept, item]).map_err(during(what))?;
                    }
                }
            }
        }
        drop((insert, mention, commitment));
        self.write(
            "move a cursor",
            "insert into cursors (stream, epoch, acked_through, hash) values (?1, ?2, ?3, ?4) \
             on conflict do update set acked_through = excluded.acked_through, hash = excluded.hash",
            params![stream, epoch, signed(last.seq), last.hash.0],
        )
    }

    fn hash_at(&mut self, stream: &str, epoch: &str, seq: u64) -> Outcome<Option<Hash>> {
        let sql = "select hash from items where stream = ?1 and epoch = ?2 and seq = ?3";
        self.one(sql, params![stream, epoch, signed(seq)], |row| hash(row, 0))
    }

    fn put_head(&mut self, head: &Head, now_ms: i64) -> Outcome<()> {
        let json = serde_json::to_string(head).expect("a head has string keys");
        self.write(
            "keep a head",
            "insert or ignore into heads (stream, epoch, seq, hash, json, received_at) values (?1, ?2, ?3, ?4, ?5, ?6)",
            params![head.stream, head.epoch, signed(head.seq), head.hash.0, json, now_ms],
        )
    }

    fn heads(&mut self, stream: &str, epoch: &str, from: u64, to: u64) -> Outcome<Vec<Head>> {
        let sql = "select json from heads where stream = ?1 and epoch = ?2 and seq between ?3 and ?4 order by seq";
        let texts = self.list(sql, params![stream, epoch, signed(from), signed(to)], |row| row.get::<_, String>(0))?;
        texts
            .iter()
            .map(|text| serde_json::from_str(text).map_err(|error| ArchiveError::Damaged(format!("a head: {error}"))))
            .collect()
    }

    fn put_fork(&mut self, fork: &Fork, now_ms: i64) -> Outcome<()> {
        self.write(
            "keep the evidence of a fork",
            "insert or ignore into forks (stream, epoch, seq, ours, theirs, bytes, head, received_at) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                fork.stream,
                fork.epoch,
                signed(fork.seq),
                fork.ours.map(|hash| hash.0),
                fork.theirs.0,
                fork.bytes,
                fork.head,
                now_ms
            ],
        )
    }

    fn forks(&mut self, stream: &str) -> Outcome<Vec<Fork>> {
        let sql = "select stream, epoch, seq, ours, theirs, bytes, head from forks where stream = ?1 order by id";
        self.list(sql, [stream], |row| {
            Ok(Fork {
                stream: row.get(0)?,
                epoch: row.get(1)?,
                seq: unsigned(row, 2)?,
                ours: row.get::<_, Option<[u8; 32]>>(3)?.map(Hash),
                theirs: hash(row, 4)?,
                bytes: row.get(5)?,
                head: row.get(6)?,
            })
        })
    }

    fn gaps(&mut self, stream: &str) -> Outcome<Vec<GapNote>> {
        self.list(GAPS, [stream], |row| {
            Ok(GapNote {
                epoch: row.get(0)?,
                from_seq: unsigned(row, 1)?,
                to_seq: unsigned(row, 2)?,
                reason: "announced by a signed head, not delivered".to_owned(),
            })
        })
    }

    fn heard(&mut self, stream: &str, now_ms: i64) -> Outcome<()> {
        self.write(
            "note that it heard of a stream",
            "insert into heard (stream, at) values (?1, ?2) on conflict do update set at = excluded.at",
            params![stream, now_ms],
        )
    }

    fn last_heard(&mut self, stream: &str) -> Outcome<Option<i64>> {
        self.one("select at from heard where stream = ?1", [stream], |row| row.get(0))
    }

    fn told(&mut self, stream: &str, limit: usize) -> Outcome<Vec<Row>> {
        let sql = format!(
            "select {ROW} from items i where i.stream = ?1 and (i.hole is not null \
             or i.type glob 'dev.countersign.trail.*' or i.type glob 'dev.countersign.capture.*') \
             order by i.id desc limit ?2"
        );
        self.rows(&sql, params![stream, limit as i64])
    }

    fn rows_after(&mut self, scope: &Scope, after: i64, limit: usize) -> Outcome<Vec<Row>> {
        let sql = format!("select {ROW} from items i where i.id > ?2 and {IN_SCOPE} order by i.id limit ?3");
        self.rows(&sql, params![subject(scope), after, limit as i64])
    }

    fn rows_of(&mut self, stream: &str, epoch: &str, after_seq: u64, limit: usize) -> Outcome<Vec<Row>> {
        let sql = format!(
            "select {ROW} from items i where i.stream = ?1 and i.epoch = ?2 and i.seq > ?3 order by i.seq limit ?4"
        );
        self.rows(&sql, params![stream, epoch, signed(after_seq), limit as i64])
    }

    fn row_of_event(&mut self, stream: &str, id: &str) -> Outcome<Option<Row>> {
        Ok(self.rows(&of_event(), params![stream, id])?.pop())
    }

    fn rows_about(&mut self, scope: &Scope, contribution: &str, limit: usize) -> Outcome<Vec<Row>> {
        let sql = format!(
            "select {ROW} from mentions m join items i on i.id = m.item \
             where m.contribution = ?2 and {IN_SCOPE} order by i.id limit ?3"
        );
        self.rows(&sql, params![subject(scope), contribution, limit as i64])
    }

    fn contributions_at(
        &mut self,
        scope: &Scope,
        repository: Option<&str>,
        path: &str,
        limit: usize,
    ) -> Outcome<Vec<String>> {
        let sql = format!(
            "select m.contribution from items i join mentions m on m.item = i.id \
             where i.path = ?2 and i.repository is ?3 and {IN_SCOPE} \
             group by m.contribution order by min(i.id) limit ?4"
        );
        self.list(&sql, params![subject(scope), path, repository, limit as i64], |row| row.get(0))
    }

    fn owner_of(&mut self, kept: &str) -> Outcome<Option<(String, String)>> {
        let sql = "select coalesce(i.person, ''), coalesce(i.repository, '') \
                   from commitments c join items i on i.id = c.item where c.kept = ?1";
        self.one(sql, [kept], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    fn key_for(&mut self, person: &str, repository: &str) -> Outcome<Option<WrappedKey>> {
        let sql = "select id, person, repository, wrapped from content_keys where person = ?1 and repository = ?2";
        self.one(sql, [person, repository], wrapped_key)
    }

    fn key(&mut self, id: i64) -> Outcome<Option<WrappedKey>> {
        self.one("select id, person, repository, wrapped from content_keys where id = ?1", [id], wrapped_key)
    }

    fn put_key(&mut self, person: &str, repository: &str, wrapped: &[u8]) -> Outcome<i64> {
        self.write(
            "keep a content key",
            "insert into content_keys (person, repository, wrapped) values (?1, ?2, ?3)",
            params![person, repository, wrapped],
        )?;
        Ok(self.db.last_insert_rowid())
    }

    fn content(&mut self, kept: &str) -> Outcome<Option<Sealed>> {
        self.one("select event, key, sealed from contents where kept = ?1", [kept], |row| {
            Ok(Sealed { event: row.get(0)?, key: row.get(1)?, sealed: row.get(2)? })
        })
    }

    fn put_content(&mut self, kept: &str, sealed: &Sealed, now_ms: i64) -> Outcome<()> {
        self.write(
            "keep a text",
            "insert into contents (kept, event, key, sealed, received_at) values (?1, ?2, ?3, ?4, ?5)",
            params![kept, sealed.event, sealed.key, sealed.sealed, now_ms],
        )
    }

    fn contents_after(&mut self, kept: &str, limit: usize) -> Outcome<Vec<String>> {
        let sql = "select kept from contents where kept > ?1 order by kept limit ?2";
        self.list(sql, params![kept, limit as i64], |row| row.get(0))
    }

    fn put_record(&mut self, genesis: Hash, bytes: &str, now_ms: i64) -> Outcome<Record> {
        let last = self.one("select seq, hash from records order by seq desc limit 1", [], |row| {
            Ok((unsigned(row, 0)?, hash(row, 1)?))
        })?;
        let (seq, previous) = last.unwrap_or((0, genesis));
        let record = Record { seq: seq + 1, hash: next(previous, bytes.as_bytes()), bytes: bytes.to_owned() };
        self.write(
            "write its own stream",
            "insert into records (seq, hash, bytes, recorded_at) values (?1, ?2, ?3, ?4)",
            params![signed(record.seq), record.hash.0, record.bytes, now_ms],
        )?;
        Ok(record)
    }

    fn records_after(&mut self, seq: u64, limit: usize) -> Outcome<Vec<Record>> {
        let sql = "select seq, hash, bytes from records where seq > ?1 order by seq limit ?2";
        self.list(sql, params![signed(seq), limit as i64], |row| {
            Ok(Record { seq: unsigned(row, 0)?, hash: hash(row, 1)?, bytes: row.get(2)? })
        })
    }
}

fn wrapped_key(row: &SqlRow<'_>) -> rusqlite::Result<WrappedKey> {
    Ok(WrappedKey { id: row.get(0)?, person: row.get(1)?, repository: row.get(2)?, wrapped: row.get(3)? })
}

#[cfg(test)]
mod tests;
