//! The device's durable queue and ledger: nothing acknowledged here is ever lost, doubled or changed
//! without a trace.
//!
//! # The promise
//!
//! - Whoever records never waits: [`Writer::enqueue`] pushes into memory and returns.
//! - What was acknowledged is durable as its [`Class`] says. What could not be kept is counted and
//!   becomes a record itself.
//! - Every event has one address (stream, epoch, seq), given in the transaction that inserts it, and
//!   a hash over itself and all before it. Change, delete, insert or reorder one byte up to the last
//!   signed head, and [`verify`] names the place.
//! - Texts never touch the disk in clear.
//! - A collector is handed every event once, in order, and nothing that power loss could still take
//!   back.
//!
//! # On disk
//!
//! ```text
//! state/                   0700, every file 0600
//!   device.key             the device's id; Ed25519 seed, wrapping key, digest keys. Made once, never replaced
//!   spool.db  -wal  -shm   SQLite in WAL mode
//!     epochs               unbroken chains in order; of each, the last event known to survive power loss
//!     events               rowid | stream epoch seq hash | id type time subject | bytes: the exact JSON
//!     holes                events that do not travel, or were let go: digest and reason in their place
//!     heads                signed heads
//!     contents             texts: compressed, sealed under a key each, that key wrapped by the device's
//!     snapshots, texts     what observers saw of files, each text once, sealed likewise; never replayed
//!     cursors, contents_sent, content_cursors   what each collector has
//!   spool.reserve          4 MiB of disk, given up when there is no more
//!   heads.jsonl            the side file: every signed head, one a line, fsynced before the table has it
//!   missed                 how many events of short-lived processes found no room at all
//!   inbox/*.letter         events that could not wait for the lock; taken in by the next writer
//!   spool.db.broken-*      a damaged spool, set aside unchanged
//!   spool.lock             held while keys or spool are made or mended
//!   replay.lock            held by the one process that replays
//!   machine                a keyed digest of this machine's id
//!   running/*              a locked file for each long-lived process at work
//! ```
//!
//! # What survives what
//!
//! | | kill -9 of any process | power loss | full disk |
//! |---|---|---|---|
//! | NORMAL append acknowledged | kept | kept after the next barrier, at most 1 s later | kept |
//! | FULL append acknowledged | kept | kept | kept |
//! | letter in the inbox | kept, taken in once | kept | kept |
//! | in the writer's queue | lost, and told (see below); `flush` first | lost, and told | waits, then counted in one `trail.gap` |
//! | handed to a collector | - | always kept: only events below the last barrier are | - |
//! | signed head returned | kept | kept, in side file and table | not signed: an error |
//!
//! A NORMAL commit has been written to the WAL and not synced. A FULL one syncs the WAL, and with it
//! every commit before, whoever made it; its transaction writes down how far that reaches
//! (`barrier_seq`). A process's first commit is FULL, because whoever wrote before may have been
//! killed between writing and syncing.
//!
//! # When there is no room
//!
//! The database has a bound. What goes, in this order: texts that a collector has, oldest first; other
//! texts, those of sensitive paths last; snapshots; events that a collector has; other events, which
//! become holes. Every transaction that lets go appends a `trail.trimmed` with count, bytes, reason and a
//! digest over what went, so [`verify`] accepts a missing text or event only where a record names it.
//! Records of the trail itself (`trail.*`) never go. On a full disk the reserve is given up, texts make
//! room inside the file, and events still enter; no event goes for that. A hole keeps about 120 bytes.
//!
//! [`Spool::purge`] destroys texts on request: with `secure_delete`, and the WAL cut off, their bytes are
//! in no file of ours any more.
//!
//! # Copies
//!
//! A copy made by SQLite (`VACUUM INTO`, `.backup`), or of database and WAL while nobody has them open, is
//! a spool that verifies, together with `device.key` and `heads.jsonl`. An older copy put back is found by
//! its signed heads.
//!
//! # Short-lived processes
//!
//! [`append_once`] opens, commits FULL and leaves. Where the lock is not had in time the events become
//! a letter: temporary name, fsync, rename. The next writer inserts its events in a FULL transaction
//! and unlinks it afterwards; killed in between, the same event ids are found and left out.
//!
//! # Processes that stop without saying so
//!
//! A long-lived process holds a file below `running/` and takes it away when everything it had is in the trail.
//! Whoever finds one that nobody holds makes one `trail.gap` of it (`crash`): from its last sign of life, at
//! most some seconds before its end, until it was found.
//!
//! # When the clock is set
//!
//! Order is the seq, never a time; no bound, lease or wait rests on a clock that can be set. A step against the
//! clock that nobody sets is one `trail.gap` (`clock_back`, `clock_forward`): from what it should have said to
//! what it says.
//!
//! # Where it must not lie
//!
//! On a network file system no database is opened: two machines would break it. Events wait in the inbox, whose
//! letters are whole files, until the directory lies on a disk of this machine.
//!
//! # When the file breaks
//!
//! A file that is no database, or a damaged one, is renamed and a new one begins: same stream, new
//! epoch, and `trail.recovered` as its first event. What can still be read is brought over: of each old
//! epoch, what its chain proves keeps its address; what is readable behind the damage follows in the new
//! epoch. The signed heads in the side file say what the old epochs had; a spool that vanished is noticed
//! by them too. A file of a later version is left alone: events go to the inbox until that version is back.
//!
//! # When there are two histories
//!
//! A backup that was put back, a home copied to another machine, and a collector that holds other events
//! in the same places close the epoch: `trail.forked`, and a new epoch. Events whose places are taken
//! elsewhere follow there, byte for byte. An event that was altered or taken out ends its epoch with a
//! hole of unknown digest when it is its turn to travel; what follows it goes on in a new epoch.
//!
//! This crate is the device's only SQL. It must never send anything, and never print.

mod alive;
mod append;
mod bounds;
mod clock;
mod content;
mod continuity;
mod cursor;
mod device;
mod epoch;
mod error;
mod head;
mod inbox;
mod lease;
mod migrate;
mod missed;
mod open;
mod prepare;
mod purge;
mod quarantine;
mod reader;
mod salvage;
mod shed;
mod snapshot;
mod sys;
mod verify;
mod writer;

pub use append::{Appended, Placed, Spool, append_once, append_once_with};
pub use bounds::{MAX_BYTES_DEFAULT, MAX_BYTES_LEAST, set_max_bytes};
pub use content::ContentState;
pub use cursor::{PendingBatch, PendingContent};
pub use device::Device;
pub use error::SpoolError;
pub use head::is_signed;
pub use lease::Lease;
pub use prepare::{Append, Class};
pub use purge::{Purge, PurgeRepository, Purged};
pub use quarantine::Quarantined;
pub use reader::{Reader, Shed, Span, SpoolStatus, Stored};
pub use snapshot::{BlobKey, GitState, InRepository, Kind, Observed, Snapshot, TextRef};
pub use verify::{Broken, Report, verify};
pub use writer::Writer;
