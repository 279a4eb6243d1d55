//! One step of replay: the next thing to send, and what its answer means.
//!
//! Events before texts, always: before each text the trail is looked at again, so gigabytes of text
//! never delay it. A cursor moves forward only over events that were just sent, and only where the
//! collector's hash is ours.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_event::batch::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX, Batch, BatchAnswer, Item};
use countersign_spool::{PendingBatch, Reader, Spool, SpoolError};

use super::client::{Client, Refused};
use super::state::Standing;

/// Room for what stands around the events of a batch.
const AROUND_BYTES: usize = 4 << 10;
/// The collector may send us back this often without taking anything.
const RESYNCS_MAX: u32 = 3;
/// The collector may call this many of our epochs forks in one run; a liar could go on for ever.
const FORKS_MAX: u32 = 8;

/// A single event of more bytes is given up where the collector finds it too large.
const SURELY_LARGE_BYTES: usize = 256 << 10;

/// What a step did.
pub(super) enum Step {
    /// Something was sent or put right; there may be more.
    Moved {
        /// The collector asked for this much time.
        wait: Option<Duration>,
    },
    /// Nothing waits.
    Idle,
}

/// Why a step did nothing. Nothing was acknowledged.
#[derive(Debug)]
pub(super) struct Trouble {
    /// As `status` shows it.
    pub(super) standing: Standing,
    /// In words.
    pub(super) why: String,
    /// The collector asked for this much time.
    pub(super) retry_after: Option<Duration>,
    /// We were asked to stop.
    pub(super) stopped: bool,
}

impl Trouble {
    fn new(standing: Standing, why: String) -> Trouble {
        Trouble { standing, why, retry_after: None, stopped: false }
    }

    /// The token is not accepted.
    pub(super) fn unauthorised(why: String) -> Trouble {
        Trouble::new(Standing::Unauthorised, why)
    }

    /// Waiting alone does not mend it.
    pub(super) fn paused(why: String) -> Trouble {
        Trouble::new(Standing::Paused, why)
    }
}

impl From<Refused> for Trouble {
    fn from(refused: Refused) -> Trouble {
        let why = refused.to_string();
        match refused {
            Refused::Unauthorised(_) => Trouble::unauthorised(why),
            Refused::Unavailable { retry_after, .. } => Trouble { retry_after, ..Trouble::new(Standing::Offline, why) },
            Refused::Stopped => Trouble { stopped: true, ..Trouble::new(Standing::Offline, why) },
            _ => Trouble::paused(why),
        }
    }
}

impl From<SpoolError> for Trouble {
    fn from(error: SpoolError) -> Trouble {
        let mut why = format!("spool: {error}");
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            why.push_str(&format!(": {error}"));
            cause = error.source();
        }
        Trouble::new(if error.is_permanent() { Standing::Paused } else { Standing::Offline }, why)
    }
}

/// How large batches are made; smaller after the collector found one too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limits {
    events: usize,
    bytes: usize,
}

impl Limits {
    const LARGEST: Limits = Limits { events: BATCH_EVENTS_MAX, bytes: BATCH_BYTES_MAX - AROUND_BYTES };

    fn halve(self, sent: usize) -> Limits {
        Limits { events: (sent / 2).max(1), bytes: (self.bytes / 2).max(1) }
    }

    fn grow(self) -> Limits {
        Limits {
            events: (self.events * 2).min(Limits::LARGEST.events),
            bytes: self.bytes.saturating_mul(2).min(Limits::LARGEST.bytes),
        }
    }
}

fn json_bytes(batch: &Batch) -> usize {
    let bytes = batch.events.iter().map(|item| match item {
        Item::Event(event) => event.get().len(),
        Item::Hole(_) => 0,
    });
    bytes.sum()
}

/// The state of a drain between its steps.
pub(super) struct Drain<'a> {
    state: PathBuf,
    client: &'a Client,
    spool: Option<Spool>,
    watch: Option<(Reader, i64)>,
    limits: Limits,
    announced: bool,
    resyncs: u32,
    forks: u32,
    /// An announcement was refused as another history from this event on. Where it begins, a batch tells.
    fork_announced: Option<(String, u64)>,
    /// Texts the collector does not take now, and why the first one was not.
    put_off: HashSet<String>,
    put_off_why: Option<String>,
}

impl<'a> Drain<'a> {
    pub(super) fn new(state: &Path, client: &'a Client) -> Drain<'a> {
        Drain {
            state: state.to_owned(),
            client,
            spool: None,
            watch: None,
            limits: Limits::LARGEST,
            announced: false,
            resyncs: 0,
            forks: 0,
            fork_announced: None,
            put_off: HashSet::new(),
            put_off_why: None,
        }
    }

    /// Sends the next thing. After an outage that is an empty batch: where we stand, how much waits.
    pub(super) fn step(&mut self) -> Result<Step, Trouble> {
        let outcome = self.try_step();
        if outcome.is_err() {
            self.announced = false;
            self.put_off.clear();
            self.put_off_why = None;
            // A spool that was set aside or replaced is opened anew.
            self.spool = None;
        }
        outcome
    }

    fn try_step(&mut self) -> Result<Step, Trouble> {
        let client = self.client;
        let to = client.to();
        self.look();
        let spool = match &mut self.spool {
            Some(spool) => spool,
            None => self.spool.insert(Spool::open(&self.state)?),
        };
        if !self.announced {
            let batch = spool.announce(to)?;
            let answer = match client.send(&batch) {
                Err(Refused::Fork { seq: Some(seq), .. }) => {
                    self.announced = true;
                    self.fork_announced = Some((batch.epoch, seq));
                    return Ok(Step::Moved { wait: None });
                }
                answer => answer?,
            };
            // What an archive that was lost had of older epochs goes again, too.
            if spool.has_older_epochs(to)? {
                spool.resynchronise(to, &client.cursors(&batch.stream)?)?;
            }
            self.announced = true;
            return match answer.acked_through {
                seq if seq < batch.first_seq - 1 => self.go_back(&batch, seq, answer.head_hash),
                seq if seq > batch.first_seq - 1 => self.catch_up(&batch, seq, answer.head_hash),
                _ => Ok(Step::Moved { wait: None }),
            };
        }
        if let Some(pending) = spool.next_batch(to, self.limits.events, self.limits.bytes)? {
            return self.send(&pending);
        }
        if let Some((epoch, seq)) = self.fork_announced.take() {
            return self.fork(&epoch, seq, "holds another history of this device".to_owned());
        }
        self.put_text()
    }

    fn send(&mut self, pending: &PendingBatch) -> Result<Step, Trouble> {
        let batch = &pending.batch;
        match self.client.send(batch) {
            Ok(answer) => self.settle(pending, answer),
            Err(Refused::TooLarge) if batch.events.len() > 1 => {
                self.limits = self.limits.halve(batch.events.len());
                Ok(Step::Moved { wait: None })
            }
            Err(Refused::TooLarge) if json_bytes(batch) > SURELY_LARGE_BYTES => {
                let why = "the event alone is too large for the collector";
                self.spool().quarantine(&batch.epoch, batch.first_seq, why)?;
                Ok(Step::Moved { wait: None })
            }
            // Whatever stands in between is set up wrongly; no reason to give up an event.
            Err(Refused::TooLarge) => Err(Trouble::paused("finds even a single small event too large".to_owned())),
            Err(Refused::Gap(cursor)) if cursor.epoch == batch.epoch && cursor.acked_through < batch.first_seq - 1 => {
                self.go_back(batch, cursor.acked_through, cursor.head_hash)
            }
            Err(Refused::Fork { why, seq: Some(seq) }) => self.fork(&batch.epoch, seq, why),
            Err(refused) => Err(refused.into()),
        }
    }

    /// The collector holds another history of an epoch: ours goes on in a new one.
    fn fork(&mut self, epoch: &str, seq: u64, why: String) -> Result<Step, Trouble> {
        self.forks += 1;
        self.fork_announced = None;
        let to = self.client.to();
        if self.forks > FORKS_MAX || !self.spool().forked(to, epoch, seq)? {
            return Err(Trouble::paused(why));
        }
        Ok(Step::Moved { wait: None })
    }

    /// The collector says it has more than we know of. That acknowledges nothing; but where it has what we
    /// never had, our spool is an old one that was put back.
    fn catch_up(&mut self, batch: &Batch, seq: u64, hash: countersign_event::chain::Hash) -> Result<Step, Trouble> {
        if !self.spool().has_hash(&batch.epoch, seq, hash)? {
            // Where the histories part, the next batch tells; where there is none, this is all we know.
            self.fork_announced = Some((batch.epoch.clone(), seq));
        }
        Ok(Step::Moved { wait: None })
    }

    /// Takes an answer for what it proves.
    fn settle(&mut self, pending: &PendingBatch, answer: BatchAnswer) -> Result<Step, Trouble> {
        let (batch, last_seq) = (&pending.batch, pending.last_seq);
        let BatchAnswer { acked_through, head_hash, verdicts, retry_after, .. } = answer;
        if acked_through > last_seq {
            return Err(Trouble::paused(format!(
                "acknowledged event {acked_through} where {last_seq} was the last one sent; nothing was taken as acknowledged"
            )));
        }
        if acked_through < batch.first_seq - 1 {
            return self.go_back(batch, acked_through, head_hash);
        }
        let to = self.client.to();
        let spool = self.spool();
        match spool.acknowledge(to, &batch.epoch, acked_through, head_hash) {
            Err(SpoolError::Forked { .. }) => {
                return Err(Trouble::paused(format!(
                    "acknowledged event {acked_through} with a hash that is not ours; nothing was taken as acknowledged"
                )));
            }
            outcome => outcome?,
        }
        let mut moved = acked_through >= batch.first_seq;
        for verdict in verdicts.iter().filter(|it| (batch.first_seq..=last_seq).contains(&it.seq)) {
            spool.quarantine(&batch.epoch, verdict.seq, &verdict.reason)?;
            moved = true;
        }
        if !moved {
            return Err(Trouble::new(Standing::Offline, "took nothing of what was sent".to_owned()));
        }
        self.resyncs = 0;
        self.limits = self.limits.grow();
        Ok(Step::Moved { wait: retry_after.map(Duration::from_secs) })
    }

    /// The collector has less than we thought: it is sent again from there.
    fn go_back(&mut self, batch: &Batch, to_seq: u64, hash: countersign_event::chain::Hash) -> Result<Step, Trouble> {
        self.resyncs += 1;
        if self.resyncs > RESYNCS_MAX {
            return Err(Trouble::paused(format!("keeps going back to event {to_seq}")));
        }
        let (to, client) = (self.client.to(), self.client);
        // It may have lost more than this epoch; where it does not say, the rest follows with the next announcement.
        if let Ok(theirs) = client.cursors(&batch.stream) {
            self.spool().resynchronise(to, &theirs)?;
        }
        match self.spool().set_cursor(to, &batch.epoch, to_seq, hash) {
            Err(SpoolError::Forked { seq, .. }) => {
                Err(Trouble::paused(format!("holds another history of this device at event {seq}")))
            }
            outcome => {
                outcome?;
                Ok(Step::Moved { wait: None })
            }
        }
    }

    /// Sends the oldest text whose event the collector has.
    fn put_text(&mut self) -> Result<Step, Trouble> {
        let to = self.client.to();
        let pending = self.spool.as_mut().map(|spool| spool.pending_contents(to, self.put_off.len() + 1));
        let pending = pending.transpose()?.unwrap_or_default();
        let Some(content) = pending.into_iter().find(|it| !self.put_off.contains(&it.kept)) else {
            return match self.put_off_why.take() {
                None => Ok(Step::Idle),
                Some(why) => Err(Trouble::new(Standing::Offline, format!("{} texts wait: {why}", self.put_off.len()))),
            };
        };
        match self.client.put(&content) {
            Ok(()) => self.spool().content_sent(to, &content.kept)?,
            // This one waits; the others need not.
            Err(refused @ (Refused::Unannounced | Refused::TooLarge | Refused::Never(_))) => {
                self.put_off_why.get_or_insert_with(|| refused.to_string());
                self.put_off.insert(content.kept);
            }
            Err(refused) => return Err(refused.into()),
        }
        Ok(Step::Moved { wait: None })
    }

    fn spool(&mut self) -> &mut Spool {
        self.spool.as_mut().expect("a step opens the spool first")
    }

    /// Remembers what the spool looks like before a step reads it.
    fn look(&mut self) {
        if self.watch.is_none() {
            self.watch = Reader::open(&self.state).ok().map(|reader| (reader, -1));
        }
        if let Some((reader, rowid)) = &mut self.watch {
            *rowid = reader.last_rowid().unwrap_or(-1);
        }
    }

    /// Returns whether events were recorded since the last step.
    pub(super) fn something_new(&mut self) -> bool {
        match &self.watch {
            Some((reader, seen)) => reader.last_rowid().is_ok_and(|rowid| rowid != *seen),
            None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_shrink_to_a_single_event_and_grow_back() {
        let mut limits = Limits::LARGEST;
        for _ in 0..40 {
            limits = limits.halve(limits.events);
        }
        assert_eq!(limits, Limits { events: 1, bytes: 1 });
        for _ in 0..40 {
            limits = limits.grow();
        }
        assert_eq!(limits, Limits::LARGEST);
    }
}
