//! Is this still the spool that was left here? A home copied to another machine and a backup that was
//! put back both look whole, and going on in them would write a second history of the same epoch.
//!
//! `machine` holds a keyed digest of the machine's id: another machine finds another one. The side file
//! holds every signed head: a spool that is older than its own heads was put back. Either closes the
//! epoch with a `trail.forked`. What neither can tell (a whole machine put back), the collector tells.

use std::fs;

use countersign_event::How;
use countersign_event::chain::Head;
use countersign_event::digest::{hex, keyed};
use rusqlite::{Connection, TransactionBehavior};

use crate::epoch::{self, Epoch};
use crate::head::{self, hash_at, newest_side_head};
use crate::open::Layout;
use crate::{Device, SpoolError, sys};

/// Looks whether the current epoch can't be gone on in here. Cost: two small files.
pub(crate) fn broken(conn: &Connection, layout: &Layout, device: &Device) -> Result<bool, SpoolError> {
    let epoch = epoch::current_whole(conn, &layout.db)?;
    Ok(machine(layout, device)? != Machine::Same || restored(conn, layout, &epoch)?.is_some())
}

/// Closes the current epoch where it can't be gone on in here. The caller holds the lock.
pub(crate) fn restore(conn: &mut Connection, layout: &Layout, device: &Device) -> Result<(), SpoolError> {
    let sql = |e| SpoolError::sqlite(&layout.db, e);
    let machine = machine(layout, device)?;
    conn.execute_batch("PRAGMA synchronous = FULL").map_err(sql)?;
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql)?;
    let epoch = epoch::current_whole(&tx, &layout.db)?;
    let (last, _) = epoch.last(&tx).map_err(sql)?;
    let restored = restored(&tx, layout, &epoch)?;
    if restored.is_some() {
        // Epochs of the spool that was replaced; their heads stay, and say what is not here.
        let known = epoch::all(&tx).map_err(sql)?;
        for head in head::side_heads(&layout.heads)?.heads {
            if known.iter().all(|it| it.epoch != head.epoch) && ours(&head, &epoch) {
                let add = "INSERT OR IGNORE INTO epochs (epoch, stream, public_key, opened_at, reason, set_aside)
                           VALUES (?, ?, ?, ?, 'lost', '')";
                tx.execute(add, (&head.epoch, &head.stream, &head.public_key, head.time.to_string())).map_err(sql)?;
            }
        }
    }
    let fork = |seq, reason| epoch::fork(&tx, device, &epoch, last, seq, How::Observed, reason);
    match (&machine, &restored) {
        (Machine::Other(_), _) => fork(last + 1, "copied").map_err(sql)?,
        (_, Some(seq)) => fork(*seq, "restored").map_err(sql)?,
        _ => {}
    }
    tx.commit().map_err(sql)?;
    // Afterwards: killed in between, the next one closes an epoch once more, which loses nothing.
    match machine {
        Machine::Same => Ok(()),
        Machine::New(digest) | Machine::Other(digest) => {
            let temporary = layout.state.join(format!(".machine.{}", std::process::id()));
            let _ = fs::remove_file(&temporary); // a leftover of a process that was killed here
            sys::write_whole(&temporary, &layout.machine, digest.as_bytes())
        }
    }
}

/// What the file `machine` says.
#[derive(PartialEq, Eq)]
enum Machine {
    /// We are where we were, or this system has no machine id.
    Same,
    /// Nobody wrote it down yet.
    New(String),
    /// We were somewhere else.
    Other(String),
}

fn machine(layout: &Layout, device: &Device) -> Result<Machine, SpoolError> {
    let Some(id) = sys::machine_id() else { return Ok(Machine::Same) };
    // The id itself is nobody's business, and stays off the disk.
    let digest = hex(&keyed(device.digest_key(), format!("machine {id}").as_bytes())[..16]);
    match fs::read_to_string(&layout.machine) {
        Ok(known) if known == digest => Ok(Machine::Same),
        Ok(_) => Ok(Machine::Other(digest)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Machine::New(digest)),
        Err(e) => Err(SpoolError::io("read", &layout.machine, e)),
    }
}

/// Returns the first event that a newer spool of this epoch had otherwise, as far as the side file's
/// newest head tells.
fn restored(conn: &Connection, layout: &Layout, epoch: &Epoch) -> Result<Option<u64>, SpoolError> {
    let sql = |e| SpoolError::sqlite(&layout.db, e);
    let Some(head) = newest_side_head(&layout.heads)? else { return Ok(None) };
    let known = epoch::all(conn).map_err(sql)?;
    if head.epoch != epoch.epoch && known.iter().all(|it| it.epoch != head.epoch) {
        // Of an epoch that this spool never had; it begins after ours.
        let (last, _) = epoch.last(conn).map_err(sql)?;
        return Ok(ours(&head, epoch).then_some(last + 1));
    }
    if head.epoch != epoch.epoch
        || !ours(&head, epoch)
        || hash_at(conn, epoch, head.seq).map_err(sql)? == Some(head.hash)
    {
        return Ok(None);
    }
    let (last, _) = epoch.last(conn).map_err(sql)?;
    Ok(Some(head.seq.min(last + 1)))
}

fn ours(head: &Head, epoch: &Epoch) -> bool {
    head.stream == epoch.stream && head.public_key == hex(&epoch.public_key) && head::is_signed(head)
}
