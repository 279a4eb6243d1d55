//! Events that a collector refused for good: out of what travels, into what can be looked at, and back.
//!
//! The chain goes on across the digest that stands in the event's place. Sent again, an event keeps its
//! bytes and gets a new address at the end; its first place stays a hole that names it.

use countersign_event::chain;
use countersign_event::digest::sha256;
use countersign_event::payload::{Payload, trail};
use countersign_event::{Event, EventBytes, How};
use rusqlite::{Connection, OptionalExtension};
use uuid::Uuid;

use crate::append::{Spool, insert};
use crate::prepare::Prepared;
use crate::reader::Reader;
use crate::{SpoolError, epoch, sys};

/// How the reason of every hole of ours begins.
const REASON: &str = "quarantined: ";
/// ... and that of one whose event went again, before the event's id.
pub(crate) const AGAIN: &str = "quarantined: sent again as ";

/// An event that a collector refused for good.
#[derive(Clone, Debug)]
pub struct Quarantined {
    /// The epoch.
    pub epoch: String,
    /// The seq of its hole.
    pub seq: u64,
    /// The collector's words.
    pub reason: String,
    /// The event; it is still in the local trail.
    pub bytes: EventBytes,
}

impl Spool {
    /// Takes an event that a collector can never accept out of what travels: a hole with its digest
    /// stands in its place, and a `trail.gap` says so. The event itself stays in the local trail.
    pub fn quarantine(&mut self, epoch: &str, seq: u64, reason: &str) -> Result<(), SpoolError> {
        let (db, source) = (self.layout.db.clone(), self.device.urn());
        let sql = |e| SpoolError::sqlite(&db, e);
        let tx = self.begin(true)?;
        let bytes: Option<String> = tx
            .query_row("SELECT bytes FROM events WHERE epoch = ? AND seq = ?", (epoch, seq), |row| row.get(0))
            .optional()
            .map_err(sql)?;
        let digest = bytes.map(|bytes| sha256(bytes.as_bytes()));
        let new = tx
            .execute(
                "INSERT OR IGNORE INTO holes (epoch, seq, sha256, reason) VALUES (?, ?, ?, ?)",
                (epoch, seq, digest, format!("{REASON}{reason}")),
            )
            .map_err(sql)?;
        if new == 0 {
            return Ok(());
        }
        let event = Event {
            id: Uuid::now_v7(),
            source,
            time: sys::now(),
            subject: Some(format!("{epoch}/{seq}")),
            payload: Payload::TrailGap(trail::Gap {
                how: How::Reported,
                reason: "quarantined".to_owned(),
                count: Some(1),
                from: None,
                to: None,
                by: Some(format!("collector: {reason}")),
            }),
        };
        let current = epoch::current_whole(&tx, &db)?;
        insert(&tx, &current, &[Prepared::bare(event.to_bytes())?], true).map_err(sql)?;
        tx.commit().map_err(sql)?;
        self.first = false;
        Ok(())
    }

    /// Lets every quarantined event travel once more: byte for byte the same, at a new address at the end
    /// of the trail. Its first place stays a hole. Returns how many.
    ///
    /// The last event of an epoch that ended stays where it is: its place is how one knows where that was.
    pub fn retry_quarantined(&mut self) -> Result<u64, SpoolError> {
        let db = self.layout.db.clone();
        let sql = |e| SpoolError::sqlite(&db, e);
        let tx = self.begin(true)?;
        let now = epoch::current_whole(&tx, &db)?;
        let (mut seq, mut hash) = now.last(&tx).map_err(sql)?;
        let travellers = travellers(&tx).map_err(sql)?;
        for it in &travellers {
            seq += 1;
            hash = chain::next(hash, it.bytes.as_bytes());
            let renumber = "UPDATE events SET epoch = ?, seq = ?, hash = ? WHERE rowid = ?";
            tx.execute(renumber, (&now.epoch, seq, hash.0, it.rowid)).map_err(sql)?;
            let hollow = "UPDATE holes SET hash = ?, reason = ? WHERE epoch = ? AND seq = ?";
            tx.execute(hollow, (it.hash, format!("{AGAIN}{}", it.id), &it.epoch, it.seq)).map_err(sql)?;
        }
        if !travellers.is_empty() {
            tx.execute("UPDATE epochs SET barrier_seq = ? WHERE epoch = ?", (seq, &now.epoch)).map_err(sql)?;
        }
        let count = travellers.len() as u64;
        tx.commit().map_err(sql)?;
        self.first = false;
        Ok(count)
    }
}

/// An event that is about to get a new address.
struct Traveller {
    rowid: i64,
    epoch: String,
    seq: u64,
    hash: [u8; 32],
    bytes: String,
    id: String,
}

fn travellers(tx: &Connection) -> rusqlite::Result<Vec<Traveller>> {
    tx.prepare(
        "SELECT events.rowid, events.epoch, events.seq, events.hash, events.bytes, events.id FROM holes
         JOIN events ON events.epoch = holes.epoch AND events.seq = holes.seq
         WHERE holes.sha256 IS NOT NULL AND holes.reason LIKE 'quarantined: %'
           AND events.seq < (SELECT max(seq) FROM events AS last WHERE last.epoch = holes.epoch)
         ORDER BY events.rowid",
    )?
    .query_map([], |row| {
        Ok(Traveller {
            rowid: row.get(0)?,
            epoch: row.get(1)?,
            seq: row.get(2)?,
            hash: row.get(3)?,
            bytes: row.get(4)?,
            id: row.get(5)?,
        })
    })?
    .collect()
}

impl Reader {
    /// Returns the events that a collector refused for good, in order.
    pub fn quarantined(&self) -> Result<Vec<Quarantined>, SpoolError> {
        let sql = |e| self.sql(e);
        let mut statement = self
            .conn
            .prepare(
                "SELECT holes.epoch, holes.seq, holes.reason, events.bytes FROM holes
                 JOIN events ON events.epoch = holes.epoch AND events.seq = holes.seq
                 WHERE holes.reason LIKE 'quarantined: %' ORDER BY events.rowid",
            )
            .map_err(sql)?;
        let rows = statement
            .query_map([], |row| {
                Ok((
                    row.get::<_, String>(0)?,
                    row.get::<_, u64>(1)?,
                    row.get::<_, String>(2)?,
                    row.get::<_, String>(3)?,
                ))
            })
            .map_err(sql)?;
        let mut quarantined = Vec::new();
        for row in rows {
            let (epoch, seq, reason, bytes) = row.map_err(sql)?;
            let Ok(bytes) = EventBytes::parse(bytes.as_bytes()) else { continue };
            let reason = reason.strip_prefix(REASON).unwrap_or(&reason).to_owned();
            quarantined.push(Quarantined { epoch, seq, reason, bytes });
        }
        Ok(quarantined)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use countersign_event::batch::Item;

    use super::*;
    use crate::{Append, Class, verify};

    fn append(spool: &mut Spool, n: u8) {
        let json = format!(
            r#"{{"specversion":"1.0","id":"019a0000-0000-7000-8000-0000000000{n:02x}","source":"urn:x","type":"t.v1","time":"2026-01-02T03:04:05.678Z","data":{{"n":{n}}}}}"#
        );
        let event = EventBytes::parse(json.as_bytes()).unwrap();
        spool.append(&[Append { event, class: Class::Full, contents: Vec::new(), if_told: None }]).unwrap();
    }

    /// Five events, the second and the fourth refused.
    fn spool(dir: &Path) -> (Spool, String) {
        let mut spool = Spool::open(dir).unwrap();
        (0..5).for_each(|n| append(&mut spool, n));
        let epoch = spool.announce("c").unwrap().epoch;
        for seq in [2, 4] {
            spool.quarantine(&epoch, seq, "no").unwrap();
        }
        (spool, epoch)
    }

    /// What travels: the number of an event, `-` for a hole.
    fn travels(spool: &mut Spool) -> String {
        let batch = spool.next_batch("c", 500, 1 << 20).unwrap().unwrap().batch;
        let item = |item: &Item| match item {
            Item::Event(event) => event.get().split_once(r#"{"n":"#).map_or('g', |(_, n)| n.chars().next().unwrap()),
            Item::Hole(_) => '-',
        };
        batch.events.iter().map(item).collect()
    }

    #[test]
    fn an_event_that_goes_again_has_a_new_address_and_its_first_place_stays_a_hole() {
        let dir = tempfile::tempdir().unwrap();
        let (mut spool, epoch) = spool(dir.path());
        assert_eq!(travels(&mut spool), "0-2-4gg");
        let listed = Reader::open(dir.path()).unwrap().quarantined().unwrap();
        assert_eq!(listed.iter().map(|it| (it.seq, it.reason.as_str())).collect::<Vec<_>>(), [(2, "no"), (4, "no")]);
        assert_eq!(spool.retry_quarantined().unwrap(), 2);
        assert_eq!(travels(&mut spool), "0-2-4gg13");
        assert_eq!(spool.retry_quarantined().unwrap(), 0);
        // Refused once more, in its new place.
        spool.quarantine(&epoch, 8, "still no").unwrap();
        assert_eq!(travels(&mut spool), "0-2-4gg-3g");
        assert_eq!(spool.retry_quarantined().unwrap(), 1);
        assert_eq!(travels(&mut spool), "0-2-4gg-3g1");
        let report = verify(dir.path()).unwrap();
        assert_eq!((&report.broken, report.events), (&None, 8));
    }

    #[test]
    fn verify_names_the_hole_of_an_event_that_went_again_and_is_gone_or_another() {
        for sql in [
            "DELETE FROM events WHERE seq = 8",
            "UPDATE holes SET reason = 'quarantined: sent again as 019a0000-0000-7000-8000-000000000000' WHERE seq = 2",
            "UPDATE holes SET sha256 = zeroblob(32) WHERE seq = 2",
            "DELETE FROM holes WHERE seq = 2",
        ] {
            let dir = tempfile::tempdir().unwrap();
            let (mut spool, _) = spool(dir.path());
            spool.retry_quarantined().unwrap();
            assert_eq!(verify(dir.path()).unwrap().broken, None);
            assert_eq!(spool.conn.execute(sql, []).unwrap(), 1, "{sql}");
            let broken = verify(dir.path()).unwrap().broken.unwrap();
            assert_eq!(broken.seq, 2, "{sql}: {}", broken.what);
        }
    }
}
