//! Opening the spool: where its files lie, who may read them, which SQLite and schema we accept,
//! and what happens to a file that is no spool any more.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::{Device, SpoolError, continuity, epoch, migrate, salvage, sys};

/// Versions before 3.51.3 can lose a committed page when two connections reset the WAL at once.
const SQLITE_OLDEST: i32 = 3_051_003;

/// How long a lock is waited for unless somebody says otherwise.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// Where everything lies.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) state: PathBuf,
    pub(crate) db: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) heads: PathBuf,
    pub(crate) inbox: PathBuf,
    pub(crate) lock: PathBuf,
    pub(crate) lease: PathBuf,
    pub(crate) reserve: PathBuf,
    pub(crate) machine: PathBuf,
    pub(crate) running: PathBuf,
}

/// The name of the database, and what names of files set aside begin with.
const DB_NAME: &str = "spool.db";
const BROKEN_PREFIX: &str = "spool.db.broken-";

impl Layout {
    pub(crate) fn new(state: &Path) -> Layout {
        Layout {
            state: state.to_owned(),
            db: state.join(DB_NAME),
            key: state.join("device.key"),
            heads: state.join("heads.jsonl"),
            inbox: state.join("inbox"),
            lock: state.join("spool.lock"),
            lease: state.join("replay.lock"),
            reserve: state.join("spool.reserve"),
            machine: state.join("machine"),
            running: state.join("running"),
        }
    }

    fn wal(&self) -> PathBuf {
        self.state.join("spool.db-wal")
    }

    fn shm(&self) -> PathBuf {
        self.state.join("spool.db-shm")
    }
}

/// Who waits less than this for a lock has no time to bring over what a damaged spool still holds.
const TIME_TO_MEND: Duration = Duration::from_secs(1);

/// Until when locks are waited for. Shared with the thread that may become less patient meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct Patience {
    started: Instant,
    until_ms: Arc<AtomicU64>,
    /// Somebody waits for us: before the second moment nobody waits beyond the first.
    hurry_ms: Arc<[AtomicU64; 2]>,
}

impl Default for Patience {
    fn default() -> Self {
        Patience::of(LOCK_WAIT)
    }
}

impl Patience {
    pub(crate) fn of(wait: Duration) -> Patience {
        let patience = Patience { started: Instant::now(), until_ms: Arc::default(), hurry_ms: Arc::default() };
        patience.renew(wait);
        patience
    }

    /// Starts to wait anew; while somebody waits for us, no longer than they leave time for.
    pub(crate) fn renew(&self, wait: Duration) {
        let now = self.started.elapsed();
        let [most, over] = self.hurry_ms.each_ref().map(|ms| ms.load(Ordering::Relaxed));
        let until = millis(now + wait);
        self.until_ms.store(if millis(now) < over { until.min(most) } else { until }, Ordering::Relaxed);
    }

    /// Waits no longer than this from now on, however often it is renewed, until twice that has passed.
    pub(crate) fn shorten(&self, wait: Duration) {
        let now = self.started.elapsed();
        let most = millis(now + wait);
        self.hurry_ms[0].store(most, Ordering::Relaxed);
        self.hurry_ms[1].store(millis(now + 2 * wait), Ordering::Relaxed);
        self.until_ms.fetch_min(most, Ordering::Relaxed);
    }

    /// Returns how much longer locks are waited for.
    fn left(&self) -> Duration {
        Duration::from_millis(self.until_ms.load(Ordering::Relaxed)).saturating_sub(self.started.elapsed())
    }

    /// Sleeps a short random while, longer each time. `false` when patience is at its end.
    fn sleep(&self, attempt: i32) -> bool {
        let left = self.until_ms.load(Ordering::Relaxed).saturating_sub(millis(self.started.elapsed()));
        if left == 0 {
            return false;
        }
        // Without jitter, processes that were refused together come back together.
        let most_us = (200_u64 << attempt.clamp(0, 7)).min(left * 1000);
        let jitter = getrandom::u64().unwrap_or(most_us / 2) % most_us;
        std::thread::sleep(Duration::from_micros(most_us / 4 + jitter * 3 / 4));
        true
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A lock on a file that dies with its process.
#[derive(Debug)]
pub(crate) struct FileLock(#[expect(dead_code, reason = "held, not read: the lock is on the open file")] File);

impl FileLock {
    /// Waits for the lock. Errors: `Locked` when patience is at its end.
    pub(crate) fn take(path: &Path, patience: &Patience) -> Result<FileLock, SpoolError> {
        let mut attempt = 0;
        loop {
            match FileLock::try_take(path)? {
                Some(lock) => return Ok(lock),
                None if patience.sleep(attempt) => attempt += 1,
                None => return Err(SpoolError::Locked { path: path.to_owned() }),
            }
        }
    }

    /// Takes the lock if it is free.
    pub(crate) fn try_take(path: &Path) -> Result<Option<FileLock>, SpoolError> {
        let file = sys::lock_file(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(FileLock(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(SpoolError::io("lock", path, e)),
        }
    }
}

/// An open spool before anything was done with it.
pub(crate) struct Opened {
    pub(crate) conn: Connection,
    pub(crate) device: Device,
    pub(crate) file: Option<(u64, u64)>,
}

/// Opens the spool for writing; makes it, brings its schema up to date, or replaces a broken one.
pub(crate) fn open(layout: &Layout, patience: &Patience) -> Result<Opened, SpoolError> {
    check_sqlite(rusqlite::version_number())?;
    sys::private_dir(&layout.state)?;
    sys::private_dir(&layout.inbox)?;
    check_disk(layout)?;
    for file in [&layout.db, &layout.wal(), &layout.shm(), &layout.heads] {
        sys::private_file(file)?;
    }
    let device = Device::obtain(layout, patience)?;
    let may_mend = patience.left() >= TIME_TO_MEND;
    if layout.db.exists()
        && let Ok(Some(conn)) = open_ready(layout, patience)
        && epoch::current_whole(&conn, &layout.db).is_ok()
        && !continuity::broken(&conn, layout, &device)?
    {
        return Ok(Opened { conn, device, file: sys::file_id(&layout.db) });
    }
    // Something is to be made or mended: one process at a time.
    let _lock = FileLock::take(&layout.lock, patience)?;
    let mut conn = match make_ready(layout, &device, patience, None) {
        Err(SpoolError::Corrupt { source, .. }) if may_mend => {
            set_aside(layout)?;
            make_ready(layout, &device, patience, Some(reason_of(&source)))?
        }
        other => other?,
    };
    continuity::restore(&mut conn, layout, &device)?;
    Ok(Opened { conn, device, file: sys::file_id(&layout.db) })
}

/// Sets the spool aside if it still is the file that was found broken; the next `open` begins a new one.
pub(crate) fn set_aside_if(layout: &Layout, file: Option<(u64, u64)>, patience: &Patience) -> Result<(), SpoolError> {
    let _lock = FileLock::take(&layout.lock, patience)?;
    if sys::file_id(&layout.db) == file { set_aside(layout) } else { Ok(()) }
}

/// Opens a spool for reading alone.
///
/// Errors: `Missing`, `Newer`, `Corrupt`.
pub(crate) fn open_reader(layout: &Layout, patience: &Patience) -> Result<Connection, SpoolError> {
    check_sqlite(rusqlite::version_number())?;
    if !layout.db.exists() {
        return Err(SpoolError::Missing { path: layout.db.clone() });
    }
    check_disk(layout)?;
    let missing = || SpoolError::Missing { path: layout.db.clone() };
    let conn = match open_ready(layout, patience)? {
        Some(conn) => conn,
        None if is_older(layout, patience)? => {
            drop(open(layout, patience)?);
            open_ready(layout, patience)?.ok_or_else(missing)?
        }
        None => return Err(missing()),
    };
    conn.pragma_update(None, "query_only", true).map_err(|e| SpoolError::sqlite(&layout.db, e))?;
    Ok(conn)
}

fn check_sqlite(linked: i32) -> Result<(), SpoolError> {
    if linked < SQLITE_OLDEST {
        let (major, minor, patch) = (linked / 1_000_000, linked / 1000 % 1000, linked % 1000);
        return Err(SpoolError::OldSqlite { found: format!("{major}.{minor}.{patch}") });
    }
    Ok(())
}

fn check_disk(layout: &Layout) -> Result<(), SpoolError> {
    match sys::network(&layout.state) {
        Some(kind) => Err(SpoolError::Network { path: layout.state.clone(), kind }),
        None => Ok(()),
    }
}

/// Opens a spool that needs nothing done. `None` where it is not finished yet.
fn open_ready(layout: &Layout, patience: &Patience) -> Result<Option<Connection>, SpoolError> {
    let conn = connect(layout, patience)?;
    let sql = |e| SpoolError::sqlite(&layout.db, e);
    let mode: String = conn.query_row("PRAGMA journal_mode", [], |row| row.get(0)).map_err(sql)?;
    let ready = mode == "wal"
        && migrate::version(&conn, &layout.db)? == migrate::LATEST
        && epoch::current(&conn).map_err(sql)?.is_some();
    Ok(ready.then_some(conn))
}

/// Returns whether an earlier version of ours wrote a spool, and none of this version has opened it yet.
fn is_older(layout: &Layout, patience: &Patience) -> Result<bool, SpoolError> {
    Ok((1..migrate::LATEST).contains(&migrate::version(&connect(layout, patience)?, &layout.db)?))
}

fn make_ready(
    layout: &Layout,
    device: &Device,
    patience: &Patience,
    broken: Option<String>,
) -> Result<Connection, SpoolError> {
    if !layout.db.exists() {
        // Made beside and moved: SQLite must never find it with everybody's permissions, and no
        // file of the real name may be closed while a connection of ours has it open.
        let temporary = layout.state.join(format!(".spool.db.{}", std::process::id()));
        let _ = fs::remove_file(&temporary); // a leftover of a process that was killed here
        if layout.wal().exists() {
            // Without its database it would be played into the new one.
            set_aside(layout)?;
        }
        sys::write_whole(&temporary, &layout.db, b"")?;
    }
    let mut conn = connect(layout, patience)?;
    let sql = |e| SpoolError::sqlite(&layout.db, e);
    // Read first: a file that is no database must say so here, before anything is written to it.
    migrate::version(&conn, &layout.db)?;
    let mode: String = conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(sql)?;
    if mode != "wal" {
        return Err(SpoolError::ReadOnly { path: layout.db.clone() });
    }
    migrate::run(&mut conn, &layout.db)?;
    if epoch::current(&conn).map_err(sql)?.is_none() {
        match salvage::lost(layout, broken, newest_set_aside(layout)) {
            None => epoch::open_first(&mut conn, layout, device)?,
            Some(lost) => salvage::begin_anew(&mut conn, layout, device, &lost)?,
        }
    }
    epoch::current_whole(&conn, &layout.db)?;
    Ok(conn)
}

fn connect(layout: &Layout, patience: &Patience) -> Result<Connection, SpoolError> {
    let sql = |e| SpoolError::sqlite(&layout.db, e);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = Connection::open_with_flags(&layout.db, flags).map_err(sql)?;
    let waiting = patience.clone();
    conn.busy_handler(Some(move |attempt| waiting.sleep(attempt))).map_err(sql)?;
    // The last one out would move the WAL into the database: a short-lived process has no time for
    // that, and a damaged file must stay as it was found. SQLite still does it every 1,000 pages.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(sql)?;
    conn.execute_batch(
        "PRAGMA trusted_schema = OFF;
         PRAGMA cell_size_check = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA secure_delete = ON;
         PRAGMA fullfsync = ON;
         PRAGMA checkpoint_fullfsync = ON;
         PRAGMA journal_size_limit = 67108864;",
    )
    .map_err(sql)?;
    Ok(conn)
}

/// Renames the broken files. The WAL goes first: it must never be found beside a new database.
fn set_aside(layout: &Layout) -> Result<(), SpoolError> {
    let stamp = sys::now().to_string().replace([':', '-', '.'], "");
    let mut name = format!("{BROKEN_PREFIX}{stamp}");
    // The greatest name is the newest, whatever became of the clock: it is the one that is salvaged.
    if let Some(newest) = newest_set_aside(layout).filter(|newest| *newest >= name) {
        name = format!("{newest}+");
    }
    for (from, suffix) in [(layout.wal(), "-wal"), (layout.shm(), "-shm"), (layout.db.clone(), "")] {
        match fs::rename(&from, layout.state.join(format!("{name}{suffix}"))) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(SpoolError::io("set aside", &from, e)),
            _ => {}
        }
    }
    tracing::error!(set_aside = name, "the spool was damaged and has been set aside");
    sys::sync_dir(&layout.state)
}

fn newest_set_aside(layout: &Layout) -> Option<String> {
    fs::read_dir(&layout.state)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(BROKEN_PREFIX) && !name.ends_with("-wal") && !name.ends_with("-shm"))
        .max()
}

/// What is wrong, in SQLite's own words and nothing of the user's.
fn reason_of(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => "not_a_database".to_owned(),
        _ => "corrupt".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{pretend, step_of_clock};
    use crate::{Append, Class, Placed, Reader, Spool, Writer, append_once, verify};
    use countersign_event::payload::{Payload, trail};
    use countersign_event::{Event, How, Timestamp};

    fn event() -> Append {
        let gap =
            trail::Gap { how: How::Observed, reason: "test".to_owned(), count: None, from: None, to: None, by: None };
        let (id, time) = (uuid::Uuid::now_v7(), Timestamp::from_millis(0));
        let event = Event { id, source: "test".to_owned(), time, subject: None, payload: Payload::TrailGap(gap) };
        Append { event: event.to_bytes(), class: Class::Full, contents: Vec::new(), if_told: None }
    }

    #[test]
    fn on_a_network_file_system_no_spool_is_made_and_events_wait_in_the_inbox_until_it_lies_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let far = dir.path().join("far");
        pretend::mount(&far, "nfs4");
        let state = far.join("state");
        let error = Spool::open(&state).err().unwrap();
        assert!(
            matches!(&error, SpoolError::Network { kind, .. } if kind == "nfs4") && error.is_permanent(),
            "{error:?}"
        );
        assert!(error.to_string().contains("set COUNTERSIGN_HOME=DIR"), "{error}");
        assert_eq!(append_once(&state, &[event()], Duration::from_secs(5)).unwrap(), Placed::Inbox);
        let writer = Writer::start(&state);
        writer.enqueue(event());
        writer.close(Duration::from_secs(20)).unwrap();
        assert!(!state.join("spool.db").exists());
        let near = dir.path().join("near");
        fs::rename(&state, &near).unwrap();
        assert_eq!(Spool::open(&near).unwrap().append(&[]).unwrap().inserted, 2);
        // A spool that was made there before is not read there either, nor taken for a broken one.
        fs::rename(&near, &state).unwrap();
        assert!(matches!(Reader::open(&state), Err(SpoolError::Network { .. })));
        assert!(matches!(verify(&state), Err(SpoolError::Network { .. })));
        assert!(Spool::open(&state).is_err() && newest_set_aside(&Layout::new(&state)).is_none());
        pretend::unmount(&far);
        assert!(verify(&state).unwrap().is_ok());
    }

    #[test]
    fn an_sqlite_with_the_fault_in_its_wal_is_refused_by_name() {
        let error = check_sqlite(3_051_002).unwrap_err();
        assert_eq!(error.to_string(), "SQLite 3.51.2 is too old for the spool, 3.51.3 is needed");
        assert!(error.is_permanent() && check_sqlite(SQLITE_OLDEST).is_ok());
        check_sqlite(rusqlite::version_number()).expect("the one we bring is good");
    }

    #[test]
    fn the_file_that_was_set_aside_last_is_the_newest_whatever_became_of_the_clock() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let mut before: Option<String> = None;
        for (n, step_ms) in [0, -31_536_000_000, 31_536_000_000, 0, 0].into_iter().enumerate() {
            step_of_clock::set(step_ms);
            fs::write(&layout.db, n.to_string()).unwrap();
            set_aside(&layout).unwrap();
            let newest = newest_set_aside(&layout).unwrap();
            assert_eq!(fs::read_to_string(dir.path().join(&newest)).unwrap(), n.to_string());
            assert_ne!(before.replace(newest.clone()), Some(newest));
        }
    }
}
