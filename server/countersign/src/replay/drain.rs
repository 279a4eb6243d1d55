//! One step of replay: the next thing to send, and what its answer means.
//!
//! Events before texts, always: before each text the trail is looked at again, so gigabytes of text
//! never delay it. A cursor moves forward only over events that were just sent, and only where the
//! collector's hash is ours.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_event::EventBytes;
use countersign_event::batch::{Batch, BatchAnswer, Item, Verdict};
use countersign_spool::{PendingBatch, Reader, Spool, SpoolError};

use super::backoff;
use super::client::Client;
use super::limits::Limits;
use super::refused::{Refused, Why};
use super::state::Standing;

/// The collector may send us back this often without taking anything.
const RESYNCS_MAX: u32 = 3;
/// The collector may call this many of our epochs forks in one run; a liar could go on for ever.
const FORKS_MAX: u32 = 8;

/// A single event of more bytes is given up where the collector finds it too large.
const SURELY_LARGE_BYTES: usize = 256 << 10;

/// What a step did.
pub(super) enum Step {
    /// Something was sent or put right; there may be more.
    Moved(Moved),
    /// Nothing waits.
    Idle,
}

/// What moved.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moved {
    /// The collector asked for this much time.
    pub(super) wait: Option<Duration>,
    /// So many events arrived.
    pub(super) events: u64,
    /// So many texts arrived.
    pub(super) texts: u64,
    /// The collector wants the token replaced.
    pub(super) rotate: bool,
}

impl Step {
    /// Put right, without anything arriving.
    const ON: Step = Step::Moved(Moved { wait: None, events: 0, texts: 0, rotate: false });
}

/// Why a step did nothing. Nothing was acknowledged.
#[derive(Debug)]
pub(super) struct Trouble {
    /// As `status` shows it.
    pub(super) standing: Standing,
    /// In words, with what to do about it.
    pub(super) why: Why,
    /// The collector asked for this much time.
    pub(super) retry_after: Option<Duration>,
    /// We were asked to stop.
    pub(super) stopped: bool,
}

impl Trouble {
    fn new(standing: Standing, why: Why) -> Trouble {
        Trouble { standing, why, retry_after: None, stopped: false }
    }

    /// The token is not accepted.
    pub(super) fn unauthorised(why: Why) -> Trouble {
        // A collector speaks to whoever asks it; this is who reads it here.
        let hint = "ask whoever runs the collector for a code, then `countersign enrol URL CODE`";
        Trouble::new(Standing::Unauthorised, why.hint(hint))
    }

    /// Waiting alone does not mend it.
    pub(super) fn paused(why: Why) -> Trouble {
        Trouble::new(Standing::Paused, why)
    }

    /// The collector does what none does.
    fn absurd(why: impl Into<String>) -> Trouble {
        Trouble::paused(
            Why::new(why).hint("tell whoever runs the collector; nothing is lost here, and it is tried again"),
        )
    }
}

impl From<Refused> for Trouble {
    fn from(refused: Refused) -> Trouble {
        let why = Why { text: refused.to_string(), hint: refused.hint().map(str::to_owned) };
        match refused {
            Refused::Unauthorised(_) => Trouble::unauthorised(why),
            Refused::Blocked(_) => Trouble::paused(why),
            Refused::Unavailable { retry_after, .. } => Trouble { retry_after, ..Trouble::new(Standing::Offline, why) },
            Refused::Stopped => Trouble { stopped: true, ..Trouble::new(Standing::Offline, why) },
            _ => Trouble::absurd(why.text),
        }
    }
}

impl From<SpoolError> for Trouble {
    fn from(error: SpoolError) -> Trouble {
        let mut text = format!("spool: {error}");
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            text.push_str(&format!(": {error}"));
            cause = error.source();
        }
        let standing = if error.is_permanent() { Standing::Paused } else { Standing::Offline };
        let why = Why::new(text);
        let why = match &error {
            SpoolError::Newer { .. } => {
                why.hint("install the newest countersign; until then nothing is sent and nothing is lost")
            }
            _ if error.is_permanent() => why.hint("`countersign verify` says what is wrong with it"),
            _ => why,
        };
        Trouble::new(standing, why)
    }
}

fn json_bytes(batch: &Batch) -> usize {
    let bytes = batch.events.iter().map(|item| match item {
        Item::Event(event) => event.get().len(),
        Item::Hole(_) => 0,
    });
    bytes.sum()
}

/// Says whether a verdict is about an event that only speaks of the trail, such as a loss.
fn is_record_of_the_trail(batch: &Batch, verdict: &Verdict) -> bool {
    let at = verdict.seq.checked_sub(batch.first_seq).and_then(|at| batch.events.get(usize::try_from(at).ok()?));
    let Some(Item::Event(event)) = at else { return false };
    let event = EventBytes::parse(event.get().as_bytes());
    event.is_ok_and(|it| it.header().is_ok_and(|it| it.event_type.starts_with("dev.countersign.trail.")))
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
    /// How far each epoch ever came: only beyond that a collector has moved on.
    furthest: HashMap<String, u64>,
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
            limits: Limits::FIRST,
            announced: false,
            resyncs: 0,
            furthest: HashMap::new(),
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
            self.limits = Limits::FIRST;
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
                    return Ok(Step::ON);
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
                _ => Ok(Step::ON),
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
                Ok(Step::ON)
            }
            Err(Refused::TooLarge) if json_bytes(batch) > SURELY_LARGE_BYTES => {
                let why = "the event alone is too large for the collector";
                self.spool().quarantine(&batch.epoch, batch.first_seq, why)?;
                Ok(Step::ON)
            }
            // Whatever stands in between is set up wrongly; no reason to give up an event.
            Err(Refused::TooLarge) => Err(Trouble::absurd("finds even a single small event too large")),
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
            return Err(Trouble::absurd(why));
        }
        Ok(Step::ON)
    }

    /// The collector says it has more than we know of. That acknowledges nothing; but where it has what we
    /// never had, our spool is an old one that was put back.
    fn catch_up(&mut self, batch: &Batch, seq: u64, hash: countersign_event::chain::Hash) -> Result<Step, Trouble> {
        if !self.spool().has_hash(&batch.epoch, seq, hash)? {
            // Where the histories part, the next batch tells; where there is none, this is all we know.
            self.fork_announced = Some((batch.epoch.clone(), seq));
        }
        Ok(Step::ON)
    }

    /// Takes an answer for what it proves.
    fn settle(&mut self, pending: &PendingBatch, answer: BatchAnswer) -> Result<Step, Trouble> {
        let (batch, last_seq) = (&pending.batch, pending.last_seq);
        let BatchAnswer { acked_through, head_hash, verdicts, retry_after, rotate, .. } = answer;
        if acked_through > last_seq {
            return Err(Trouble::absurd(format!(
                "acknowledged event {acked_through} where {last_seq} was the last one sent; nothing was taken as acknowledged"
            )));
        }
        if acked_through < batch.first_seq - 1 {
            return self.go_back(batch, acked_through, head_hash);
        }
        if let Some(verdict) = verdicts.iter().find(|it| is_record_of_the_trail(batch, it)) {
            // The record of that loss would be refused as well, and its record, without end.
            return Err(Trouble::absurd(format!(
                "refused a record of the trail itself ({}); nothing was taken as acknowledged",
                verdict.reason
            )));
        }
        let to = self.client.to();
        let spool = self.spool();
        match spool.acknowledge(to, &batch.epoch, acked_through, head_hash) {
            Err(SpoolError::Forked { .. }) => {
                return Err(Trouble::absurd(format!(
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
            return Err(Trouble::new(Standing::Offline, Why::new("took nothing of what was sent")));
        }
        let furthest = self.furthest.entry(batch.epoch.clone()).or_default();
        if acked_through > *furthest {
            *furthest = acked_through;
            self.resyncs = 0;
        }
        self.limits = self.limits.grow();
        let events = (acked_through + 1).saturating_sub(batch.first_seq);
        Ok(Step::Moved(Moved { wait: retry_after.map(backoff::asked), events, texts: 0, rotate }))
    }

    /// The collector has less than we thought: it is sent again from there.
    fn go_back(&mut self, batch: &Batch, to_seq: u64, hash: countersign_event::chain::Hash) -> Result<Step, Trouble> {
        self.resyncs += 1;
        if self.resyncs > RESYNCS_MAX {
            return Err(Trouble::absurd(format!("keeps going back to event {to_seq}")));
        }
        let (to, client) = (self.client.to(), self.client);
        // It may have lost more than this epoch; where it does not say, the rest follows with the next announcement.
        if let Ok(theirs) = client.cursors(&batch.stream) {
            self.spool().resynchronise(to, &theirs)?;
        }
        match self.spool().set_cursor(to, &batch.epoch, to_seq, hash) {
            Err(SpoolError::Forked { seq, .. }) => {
                Err(Trouble::absurd(format!("holds another history of this device at event {seq}")))
            }
            outcome => {
                outcome?;
                Ok(Step::ON)
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
                Some(why) => {
                    let why = Why::new(format!("{} texts wait: {why}", self.put_off.len()));
                    Err(Trouble::new(Standing::Offline, why))
                }
            };
        };
        match self.client.put(&content) {
            Ok(()) => {
                self.spool().content_sent(to, &content.kept)?;
                return Ok(Step::Moved(Moved { texts: 1, ..Moved::default() }));
            }
            // This one waits; the others need not.
            Err(refused @ (Refused::Unannounced | Refused::TooLarge | Refused::Never(_))) => {
                self.put_off_why.get_or_insert_with(|| refused.to_string());
                self.put_off.insert(content.kept);
            }
            Err(refused) => return Err(refused.into()),
        }
        Ok(Step::ON)
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

    /// Returns how many events wait, as far as that can be said now.
    pub(super) fn backlog(&self) -> u64 {
        self.spool.as_ref().and_then(|spool| spool.backlog(self.client.to()).ok()).unwrap_or_default()
    }

    /// Has the next step say where we stand, as after an outage.
    pub(super) fn announce_again(&mut self) {
        self.announced = false;
    }

    /// Returns whether events were recorded since the last step.
    pub(super) fn something_new(&mut self) -> bool {
        match &self.watch {
            Some((reader, seen)) => reader.last_rowid().is_ok_and(|rowid| rowid != *seen),
            None => true,
        }
    }
}
