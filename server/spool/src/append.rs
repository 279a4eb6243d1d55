//! The one way into the trail: a transaction that gives events their address and their hash.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign_event::chain::{self, Hash};
use rusqlite::{Connection, DropBehavior, OptionalExtension, Transaction, TransactionBehavior};

use crate::alive::{self, Dead};
use crate::bounds::{self, Room, room_for};
use crate::clock;
use crate::epoch::{self, Epoch};
use crate::inbox::{self, Mail};
use crate::missed;
use crate::open::{self, Layout, Patience};
use crate::prepare::{Append, Class, Prepared};
use crate::snapshot::{self, PreparedSnapshot, Snapshot};
use crate::{Device, SpoolError, sys};

/// The spool, open for writing. One writer at a time among all processes; SQLite's lock sees to it.
pub struct Spool {
    pub(crate) conn: Connection,
    pub(crate) device: Arc<Device>,
    pub(crate) layout: Layout,
    pub(crate) patience: Patience,
    /// How long each operation waits for locks.
    lock_wait: Duration,
    file: Option<(u64, u64)>,
    /// No commit of this connection was FULL yet.
    pub(crate) first: bool,
    /// How large the database may grow.
    pub(crate) max_bytes: u64,
}

/// Where events were put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The stream.
    pub stream: String,
    /// The epoch.
    pub epoch: String,
    /// The last event of the epoch now.
    pub last_seq: u64,
    /// The hash after it.
    pub last_hash: Hash,
    /// How many events were inserted, those from the inbox included.
    pub inserted: u64,
    /// How many were there already (same id) and were left out.
    pub duplicates: u64,
    /// Whether the commit was FULL.
    pub full: bool,
}

/// What one transaction has appended so far.
#[derive(Default)]
struct Placing(Option<Appended>);

impl Placing {
    /// Counts what came after.
    fn and(&mut self, later: Appended) {
        let before = self.0.as_ref().map_or((0, 0), |before| (before.inserted, before.duplicates));
        let (inserted, duplicates) = (before.0 + later.inserted, before.1 + later.duplicates);
        self.0 = Some(Appended { inserted, duplicates, ..later });
    }
}

/// Splits events so that no part takes much more than so much room; one event is never split.
fn pieces(events: &[Prepared], bytes: u64) -> impl Iterator<Item = &[Prepared]> {
    let mut rest = events;
    std::iter::from_fn(move || {
        let mut taken = 0;
        let fits = rest.iter().take_while(|event| {
            let before = taken;
            taken += room_for(event);
            before == 0 || taken <= bytes
        });
        let (piece, later) = rest.split_at(fits.count());
        rest = later;
        (!piece.is_empty()).then_some(piece)
    })
}

impl Spool {
    /// Opens the spool of a state directory; makes it if there is none.
    ///
    /// A file that is no spool or broken is set aside as `spool.db.broken-<time>`, and a new one
    /// begins with a `trail.recovered` event in a new epoch.
    /// Cost: about 1 ms; waits up to 5 s for locks, then and in every later operation.
    pub fn open(state: &Path) -> Result<Spool, SpoolError> {
        Spool::open_within(state, Duration::from_secs(5))
    }

    /// Opens the spool and never waits longer than `lock_wait` for a lock, then and later.
    pub fn open_within(state: &Path, lock_wait: Duration) -> Result<Spool, SpoolError> {
        Spool::open_with(state, lock_wait, Patience::of(lock_wait))
    }

    pub(crate) fn open_with(state: &Path, lock_wait: Duration, patience: Patience) -> Result<Spool, SpoolError> {
        let layout = Layout::new(state);
        let opened = open::open(&layout, &patience)?;
        bounds::keep_reserve(&layout.reserve);
        Ok(Spool {
            conn: opened.conn,
            device: Arc::new(opened.device),
            layout,
            patience,
            lock_wait,
            file: opened.file,
            first: true,
            max_bytes: bounds::max_bytes(),
        })
    }

    /// Returns the device whose spool this is.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Appends events in one transaction, after what waits in the inbox.
    ///
    /// When this returns `Ok` they are durable as the highest of their classes says; the first
    /// commit of a process and one that takes in the inbox are always FULL. An event whose id is in
    /// the trail already is left out and counted, so doing it again after an error is safe. One whose
    /// type and subject are in the trail already is inserted as its `if_told`, where it has one.
    /// Errors: nothing of it was appended (or, after an error of the commit itself, all of it).
    pub fn append(&mut self, appends: &[Append]) -> Result<Appended, SpoolError> {
        self.append_with(appends, &[])
    }

    /// Appends events, and keeps snapshots in the same transaction.
    pub fn append_with(&mut self, appends: &[Append], snapshots: &[Snapshot]) -> Result<Appended, SpoolError> {
        let prepared = prepare(appends, &self.device)?;
        self.append_all(&prepared, &self.seal(snapshots)?)
    }

    fn seal(&self, snapshots: &[Snapshot]) -> Result<Vec<PreparedSnapshot>, SpoolError> {
        snapshots.iter().map(|it| PreparedSnapshot::new(it, &self.device, Some(&self.conn))).collect()
    }

    pub(crate) fn append_prepared(&mut self, own: &[Prepared]) -> Result<Appended, SpoolError> {
        self.append_all(own, &[])
    }

    fn append_all(&mut self, own: &[Prepared], seen: &[PreparedSnapshot]) -> Result<Appended, SpoolError> {
        let mail = inbox::collect(&self.layout, &self.device)?;
        let appended = match self.append_bounded(own, seen, &mail, None) {
            Err(SpoolError::DiskFull { .. }) => {
                let bytes = self.stop_growing()?;
                let appended = self.append_bounded(own, seen, &mail, Some(bytes))?;
                // The WAL's room is the next transaction's.
                let _ = self.checkpoint();
                appended
            }
            other => other?,
        };
        // Only now, and only because the commit was FULL: until then the letter is the durable copy.
        mail.remove();
        Ok(appended)
    }

    /// Appends in one transaction, with room made for it: below the bound, or inside what a database
    /// that can't grow has.
    fn append_bounded(
        &mut self,
        own: &[Prepared],
        seen: &[PreparedSnapshot],
        mail: &Mail,
        without_growing: Option<u64>,
    ) -> Result<Appended, SpoolError> {
        let full = self.first || !mail.is_empty() || own.iter().any(|prepared| prepared.class == Class::Full);
        let (db, source, max_bytes) = (self.layout.db.clone(), self.device.urn(), self.max_bytes);
        let sql = |e| SpoolError::sqlite(&db, e);
        let tx = self.begin(full)?;
        let epoch = epoch::current_whole(&tx, &db)?;
        let mut room = match without_growing {
            Some(bytes) => Room::without_growing(&tx, bytes),
            None => Room::within(&tx, max_bytes),
        };
        let mut appended = Placing::default();
        let step = if full { clock::note(&tx, &epoch, &source).map_err(sql)? } else { None };
        if let Some(step) = step {
            room.make(room_for(&step)).map_err(sql)?;
            let placed = insert(&tx, &epoch, &[step], false).map_err(sql)?;
            appended.and(Appended { inserted: 0, ..placed });
        }
        for piece in pieces(&mail.events, room.piece()).chain(pieces(own, room.piece())) {
            room.make(piece.iter().map(room_for).sum()).map_err(sql)?;
            appended.and(insert(&tx, &epoch, piece, false).map_err(sql)?);
        }
        room.make(mail.snapshots.iter().chain(seen).map(PreparedSnapshot::room).sum()).map_err(sql)?;
        snapshot::insert(&tx, &mail.snapshots).and_then(|()| snapshot::insert(&tx, seen)).map_err(sql)?;
        let mut records = room.records(&source)?;
        let new = mail.snapshots.len() + seen.len();
        if new > 0 {
            records.extend(snapshot::make_room(&tx, &db, &source, new, snapshot::BYTES_MAX)?);
        }
        for record in records {
            let placed = insert(&tx, &epoch, &[record], false).map_err(sql)?;
            appended.and(Appended { inserted: 0, ..placed });
        }
        let appended = match appended.0 {
            Some(appended) => Appended { full, ..appended },
            None => insert(&tx, &epoch, &[], full).map_err(sql)?,
        };
        if full {
            set_barrier(&tx, &epoch, appended.last_seq).map_err(sql)?;
        }
        tx.commit().map_err(sql)?;
        self.first &= !full;
        Ok(appended)
    }

    /// Makes everything appended so far, by any process, survive power loss. Returns the last seq.
    pub fn barrier(&mut self) -> Result<u64, SpoolError> {
        let (db, source) = (self.layout.db.clone(), self.device.urn());
        let sql = |e| SpoolError::sqlite(&db, e);
        let first = self.first;
        let tx = self.begin(true)?;
        let epoch = epoch::current_whole(&tx, &db)?;
        let (mut seq, _) = epoch.last(&tx).map_err(sql)?;
        // Even where the number stays: the first FULL commit of a process vouches for what a killed
        // one wrote and perhaps never synced.
        if seq != epoch.barrier_seq || first {
            if let Some(step) = clock::note(&tx, &epoch, &source).map_err(sql)? {
                seq = insert(&tx, &epoch, &[step], false).map_err(sql)?.last_seq;
            }
            set_barrier(&tx, &epoch, seq).map_err(sql)?;
            tx.commit().map_err(sql)?;
            self.first = false;
        }
        Ok(seq)
    }

    /// Begins a writing transaction of a durability class.
    pub(crate) fn begin(&mut self, full: bool) -> Result<Transaction<'_>, SpoolError> {
        self.patience.renew(self.lock_wait);
        let sql = |e| SpoolError::sqlite(&self.layout.db, e);
        // It can't be changed inside a transaction.
        let mode = if full { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" };
        self.conn.execute_batch(mode).map_err(sql)?;
        let mut tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql)?;
        tx.set_drop_behavior(DropBehavior::Rollback);
        if self.file.is_some() && sys::file_id(&self.layout.db) != self.file {
            return Err(SpoolError::Replaced { path: self.layout.db.clone() });
        }
        Ok(tx)
    }

    /// Sets this file aside after SQLite found it damaged; open again afterwards.
    pub(crate) fn set_aside(self) -> Result<(), SpoolError> {
        let Spool { conn, layout, patience, file, lock_wait, .. } = self;
        drop(conn);
        patience.renew(lock_wait);
        open::set_aside_if(&layout, file, &patience)
    }
}

/// Where a short-lived process left its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placed {
    /// In the trail.
    Spool(Appended),
    /// In the inbox, durable; the next writer takes them in.
    Inbox,
}

/// Appends from a process that lives for one call: opens, commits FULL, leaves.
///
/// Where the spool can't be had within `lock_wait`, for whatever reason, the events go to the inbox.
/// Errors: neither could be written; the spool's error is logged, the inbox's returned.
pub fn append_once(state: &Path, appends: &[Append], lock_wait: Duration) -> Result<Placed, SpoolError> {
    append_once_with(state, appends, &[], lock_wait)
}

/// Appends as [`append_once`] does, and keeps snapshots in the same transaction or letter.
pub fn append_once_with(
    state: &Path,
    appends: &[Append],
    snapshots: &[Snapshot],
    lock_wait: Duration,
) -> Result<Placed, SpoolError> {
    let started = Instant::now();
    let placed = Spool::open_within(state, lock_wait).and_then(|mut spool| {
        spool.lock_wait = lock_wait.saturating_sub(started.elapsed());
        let source = spool.device.urn();
        let (missed, dead) = (missed::claim(&spool.layout), alive::dead(&spool.layout));
        let mut all = prepare(appends, &spool.device)?;
        all.extend(missed.iter().map(|(missed, _)| missed.gap(&source)));
        all.extend(dead.iter().map(|dead| dead.gap(&source)));
        let appended = spool.append_all(&all, &spool.seal(snapshots)?)?;
        if let Some((_, claim)) = missed {
            missed::told(&spool.layout, claim);
        }
        dead.into_iter().for_each(Dead::told);
        Ok(appended)
    });
    match placed {
        Ok(appended) => Ok(Placed::Spool(appended)),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "the spool can't be had, writing to the inbox");
            let layout = Layout::new(state);
            let posted = Device::obtain(&layout, &Patience::of(lock_wait)).and_then(|device| {
                let seen = snapshots.iter().map(|it| PreparedSnapshot::new(it, &device, None));
                inbox::post_with(&layout, &prepare(appends, &device)?, &seen.collect::<Result<Vec<_>, _>>()?)
            });
            if posted.is_err() {
                // What can't be counted either is in our own log alone.
                let _ = missed::note(&layout, appends.len());
            }
            posted.map(|()| Placed::Inbox)
        }
    }
}

fn prepare(appends: &[Append], device: &Device) -> Result<Vec<Prepared>, SpoolError> {
    appends.iter().map(|append| Prepared::new(append, device)).collect()
}

/// Inserts events at the end of an epoch. The caller commits, FULL where `full`.
pub(crate) fn insert(tx: &Connection, epoch: &Epoch, events: &[Prepared], full: bool) -> rusqlite::Result<Appended> {
    let (mut seq, mut hash) = epoch.last(tx)?;
    let (mut inserted, mut duplicates) = (0, 0);
    let mut known = tx.prepare("SELECT 1 FROM events WHERE id = ?")?;
    let mut told = tx.prepare("SELECT 1 FROM events WHERE subject = ? AND type = ? LIMIT 1")?;
    let mut add_event = tx.prepare(
        "INSERT INTO events (stream, epoch, seq, hash, id, type, time, subject, bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    let mut add_content = tx.prepare(
        "INSERT OR IGNORE INTO contents (event, name, kept, bytes, wrapped_key, sealed, sensitive)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )?;
    for event in events {
        if known.query_row([&event.id], |_| Ok(())).optional()?.is_some() {
            duplicates += 1;
            continue;
        }
        // Two observers of one edit may both have looked and found nothing; here only one can be first.
        let event = match &event.if_told {
            Some(evidence) if told.query_row((&event.subject, &event.event_type), |_| Ok(())).optional()?.is_some() => {
                &**evidence
            }
            _ => event,
        };
        seq += 1;
        hash = chain::next(hash, event.event.as_bytes());
        add_event.execute((
            &epoch.stream,
            &epoch.epoch,
            seq,
            hash.0,
            &event.id,
            &event.event_type,
            &event.time,
            &event.subject,
            event.event.as_str(),
        ))?;
        // Of its place, of what it was given, or as the reason why a text was kept; words of ours, all of them.
        let sensitive = !event.contents.is_empty() && event.event.as_str().contains(r#":"sensitive""#);
        for content in &event.contents {
            let boxed = &content.boxed;
            let (key, sealed) = (&boxed.wrapped_key, &boxed.sealed);
            let row = (&event.id, &content.name, &content.kept, content.bytes, key, sealed, sensitive);
            add_content.execute(row)?;
        }
        inserted += 1;
    }
    if full {
        set_barrier(tx, epoch, seq)?;
    }
    Ok(Appended {
        stream: epoch.stream.clone(),
        epoch: epoch.epoch.clone(),
        last_seq: seq,
        last_hash: hash,
        inserted,
        duplicates,
        full,
    })
}

/// Remembers that everything up to `seq` is durable once the FULL transaction around this commits.
fn set_barrier(tx: &Connection, epoch: &Epoch, seq: u64) -> rusqlite::Result<()> {
    tx.execute("UPDATE epochs SET barrier_seq = ? WHERE epoch = ?", (seq, &epoch.epoch)).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_event::payload::{Payload, trail};
    use countersign_event::{Event, How, Timestamp};

    fn event(text: &str) -> Append {
        let payload = Payload::TrailForked(trail::Forked {
            how: How::Observed,
            stream: text.to_owned(),
            epoch: String::new(),
            seq: 1,
            reason: "test".to_owned(),
        });
        let (id, time) = (uuid::Uuid::now_v7(), Timestamp::from_millis(0));
        let event = Event { id, source: "test".to_owned(), time, subject: None, payload };
        Append { event: event.to_bytes(), class: Class::Normal, contents: Vec::new(), if_told: None }
    }

    #[test]
    fn on_a_full_disk_texts_make_room_for_events_and_the_record_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path()).unwrap();
        let mut texts = 0;
        for n in 0..8_u8 {
            let mut state = u32::from(n) + 1;
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                char::from(b'!' + (state >> 24) as u8 % 90)
            };
            let text: String = (0..9_000).map(|_| next()).collect();
            let name = countersign_event::content::ContentName::Output;
            let reason = countersign_event::content::KeepReason::Always;
            let content =
                countersign_event::content::NewContent::new(name, text.clone(), &text, vec![n; 16], reason, "default");
            let json = event("").event.as_str().replace("trail.forked", "test.texted").replace(
                "\"reason\":\"test\"",
                &format!("\"content\":{{\"output\":{}}}", serde_json::to_string(&content.commitment).unwrap()),
            );
            let event = countersign_event::EventBytes::parse(json.as_bytes()).unwrap();
            spool.append(&[Append { event, class: Class::Full, contents: vec![content], if_told: None }]).unwrap();
            texts += 1;
        }
        let pages: i64 = spool.conn.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        spool.conn.execute_batch(&format!("PRAGMA max_page_count = {pages}")).unwrap();
        for _ in 0..6 {
            spool.append(&[event(&"x".repeat(3_000))]).unwrap();
        }
        let report = crate::verify(dir.path()).unwrap();
        assert!(report.is_ok(), "{report:?}");
        assert!(report.contents_shed > 0, "{report:?}");
        assert_eq!((report.contents_shed + report.contents_ok, report.events_shed), (texts, 0));
        let why: String = spool
            .conn
            .query_row(
                "SELECT json_extract(bytes, '$.data.reason') FROM events WHERE type LIKE '%trail.trimmed%'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(why, "disk_full");
        assert_eq!(layout_reserve(&spool), 0, "the reserve was given up");
    }

    fn layout_reserve(spool: &Spool) -> u64 {
        spool.layout.reserve.metadata().unwrap().len()
    }

    #[test]
    fn a_full_disk_is_an_error_that_loses_nothing_and_passes_when_there_is_room() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path()).unwrap();
        spool.append(&[event("small")]).unwrap();
        let pages: i64 = spool.conn.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        spool.conn.execute_batch(&format!("PRAGMA max_page_count = {}", pages + 1)).unwrap();
        let large = event(&"x".repeat(100_000));
        for _ in 0..2 {
            let error = spool.append(std::slice::from_ref(&large)).unwrap_err();
            assert!(matches!(error, SpoolError::DiskFull { .. }), "{error:?}");
            assert!(!error.is_permanent());
        }
        assert_eq!(spool.barrier().unwrap(), 1);
        spool.conn.execute_batch("PRAGMA max_page_count = 1000000").unwrap();
        assert_eq!(spool.append(&[large]).unwrap().last_seq, 2);
        assert!(crate::verify(dir.path()).unwrap().is_ok());
    }

    #[test]
    fn a_file_that_cannot_be_written_is_an_error_that_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path()).unwrap();
        spool.conn.pragma_update(None, "query_only", true).unwrap();
        assert!(matches!(spool.append(&[event("x")]), Err(SpoolError::ReadOnly { .. })));
    }
}
