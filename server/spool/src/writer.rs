//! The one thread of a process that writes, and the handle everybody else holds.
//!
//! `enqueue` takes a short lock, pushes and returns: no disk, no waiting for the thread. The queue is
//! bounded by bytes; what does not fit is dropped, counted, and becomes one `trail.gap` as soon as
//! there is room. The thread waits a few milliseconds so that neighbours share a commit. Where the
//! spool can't be had, events go to the inbox; where that fails too they stay in the queue and are
//! tried again until somebody gives up waiting.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use countersign_event::payload::trail;
use countersign_event::{How, Timestamp};
use uuid::Uuid;

use crate::alive::{self, Alive, Dead};
use crate::append::Spool;
use crate::inbox;
use crate::open::{Layout, Patience};
use crate::prepare::{Append, Prepared};
use crate::snapshot::Snapshot;
use crate::{Device, SpoolError, sys};

/// What may wait in memory, unless somebody says otherwise.
const QUEUE_BYTES_MAX: usize = 64 << 20;
/// How long the first event of a group waits for others. At typing speed a commit costs more CPU
/// than the events in it, so a shared one halves the cost; nobody waits for it.
const LINGER: Duration = Duration::from_millis(5);
/// The time between an append and the barrier that makes it survive power loss. With a group's
/// lingering and committing it stays within the second that is promised.
const BARRIER_AFTER: Duration = Duration::from_millis(900);
/// How long a lock is waited for before events go to the inbox.
const LOCK_WAIT: Duration = Duration::from_secs(2);
/// How often the inbox is looked at while nothing happens.
const INBOX_EVERY: Duration = Duration::from_secs(10);
/// How long after a failure of both spool and inbox the next attempt comes, at first and at most.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MOST: Duration = Duration::from_secs(5);
/// Events in one transaction: others want the lock too.
const GROUP_EVENTS_MAX: usize = 1000;
/// Bytes in one transaction, at least one event.
const GROUP_BYTES_MAX: usize = 8 << 20;

/// The handle to a process's writer thread. Cheap to clone; the thread ends with the last handle.
#[derive(Clone)]
pub struct Writer {
    handle: Arc<Handle>,
}

/// Closes the queue when the last [`Writer`] goes.
struct Handle {
    shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.wake.notify_all();
    }
}

struct Shared {
    queue: Mutex<Queue>,
    /// The thread waits here.
    wake: Condvar,
    /// Whoever flushes waits here.
    settled: Condvar,
    /// The thread's patience with locks, shortened by whoever flushes.
    patience: Patience,
    bytes_max: usize,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // The queue is changed by single pushes and counters: a panic elsewhere leaves it whole.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Work>,
    bytes: usize,
    /// Events taken in since the start, the dropped ones not counted.
    accepted: u64,
    /// Of those, how many are in the spool or the inbox.
    settled: u64,
    /// Of `accepted`, up to which one a full barrier is asked for.
    barrier_wanted: u64,
    /// ... and up to which one it was made.
    barrier_made: u64,
    dropped: Option<Dropped>,
    /// The thread sleeps and must be woken; while it works it looks again by itself.
    idle: bool,
    closing: bool,
    ended: bool,
    last_error: Option<Arc<SpoolError>>,
}

enum Work {
    Append(Append),
    Snapshot(Box<Snapshot>),
}

impl Work {
    fn size(&self) -> usize {
        match self {
            Work::Append(append) => append.size(),
            Work::Snapshot(snapshot) => snapshot.size(),
        }
    }
}

/// Events that did not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Dropped {
    count: u64,
    from: Timestamp,
    to: Timestamp,
}

impl Writer {
    /// Starts the thread and returns at once; the spool is opened there.
    pub fn start(state: &Path) -> Writer {
        Writer::start_as(state, "writer", QUEUE_BYTES_MAX)
    }

    /// Starts under the name by which it is told that this process stopped without saying so, and with a bound
    /// for what may wait in memory.
    pub fn start_as(state: &Path, name: &str, bytes_max: usize) -> Writer {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            wake: Condvar::new(),
            settled: Condvar::new(),
            patience: Patience::of(LOCK_WAIT),
            bytes_max,
        });
        let (state, name) = (state.to_owned(), name.to_owned());
        let for_thread = Arc::clone(&shared);
        let spawned = std::thread::Builder::new()
            .name("spool-writer".to_owned())
            .spawn(move || Thread::new(state, name, for_thread).run());
        if let Err(e) = spawned {
            let mut queue = shared.lock();
            queue.ended = true;
            queue.last_error = Some(Arc::new(SpoolError::io("start the writer thread of", Path::new("spool"), e)));
        }
        Writer { handle: Arc::new(Handle { shared }) }
    }

    /// Takes an event in. Never blocks on the disk or on the thread.
    ///
    /// Beyond the bound, and after `close`, the event is dropped and counted.
    /// Cost: below a microsecond while the thread is busy; one wake-up call when it sleeps.
    pub fn enqueue(&self, append: Append) {
        self.push(Work::Append(append));
    }

    /// Takes a snapshot in, like an event. One that does not fit is dropped without a record:
    /// it is a help for later, not evidence.
    pub fn enqueue_snapshot(&self, snapshot: Snapshot) {
        self.push(Work::Snapshot(Box::new(snapshot)));
    }

    fn push(&self, work: Work) {
        let shared = &self.handle.shared;
        let size = work.size();
        let mut queue = shared.lock();
        if queue.ended || queue.bytes + size > shared.bytes_max {
            if matches!(work, Work::Append(_)) {
                let now = sys::now();
                let dropped = queue.dropped.get_or_insert(Dropped { count: 0, from: now, to: now });
                dropped.count += 1;
                dropped.to = now;
            }
            return;
        }
        queue.bytes += size;
        queue.accepted += 1;
        queue.waiting.push_back(work);
        let wake = std::mem::take(&mut queue.idle);
        drop(queue);
        if wake {
            shared.wake.notify_all();
        }
    }

    /// Returns what a person must do before events can enter the spool again; meanwhile they go to the inbox.
    pub fn trouble(&self) -> Option<String> {
        let error = self.handle.shared.lock().last_error.clone();
        error.filter(|error| error.is_permanent()).map(|error| error.to_string())
    }

    /// Waits until everything taken in so far survives power loss, in the spool or in the inbox.
    ///
    /// Errors: `Unwritten` when the deadline passes first, or where events can never be written.
    /// Nothing is given up: the thread goes on trying.
    pub fn flush(&self, deadline: Duration) -> Result<(), SpoolError> {
        let shared = &self.handle.shared;
        let until = Instant::now() + deadline;
        let mut queue = shared.lock();
        let target = queue.accepted;
        queue.barrier_wanted = target;
        queue.idle = false;
        // What waits for a lock must leave time for the inbox.
        shared.patience.shorten(deadline / 2);
        shared.wake.notify_all();
        while (queue.settled < target || queue.barrier_made < target) && !queue.ended {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            queue = shared.settled.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let unsafe_still = target.saturating_sub(queue.settled.min(queue.barrier_made));
        let events = unsafe_still + if queue.ended { queue.dropped_count() } else { 0 };
        if events > 0 {
            return Err(SpoolError::Unwritten { events, source: queue.last_error.clone() });
        }
        Ok(())
    }

    /// Takes nothing more in, writes what waits, makes the barrier and the signed head.
    ///
    /// Errors: as [`Writer::flush`]; the thread goes on as long as the process lives.
    pub fn close(&self, deadline: Duration) -> Result<(), SpoolError> {
        let shared = &self.handle.shared;
        let until = Instant::now() + deadline;
        let mut queue = shared.lock();
        queue.closing = true;
        shared.patience.shorten(deadline / 2);
        shared.wake.notify_all();
        while !queue.ended {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            queue = shared.settled.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let events = (queue.accepted - queue.settled) + queue.dropped_count();
        if events > 0 || !queue.ended {
            return Err(SpoolError::Unwritten { events, source: queue.last_error.clone() });
        }
        Ok(())
    }
}

impl Queue {
    fn dropped_count(&self) -> u64 {
        self.dropped.as_ref().map_or(0, |dropped| dropped.count)
    }
}

/// The writer thread's own state.
struct Thread {
    state: PathBuf,
    layout: Layout,
    shared: Arc<Shared>,
    spool: Option<Spool>,
    /// Kept apart from the spool: the inbox needs it when the spool can't be had.
    device: Option<Device>,
    /// What this process calls itself, and that it is at work.
    name: String,
    alive: Option<Alive>,
    /// When the first append that no barrier covers was made.
    unsafe_since: Option<Instant>,
    retry: Duration,
}

/// What the thread found to do.
enum Turn {
    Write(Vec<Work>, Option<Dropped>),
    Barrier,
    LookAtInbox,
    End,
}

/// Where a group of events went.
enum Landed {
    /// Into the spool; everything there survives power loss now.
    Full,
    /// Into the spool; a barrier must follow.
    Normal,
    /// Into the inbox, fsynced.
    Inbox,
    /// There were none.
    Nothing,
}

impl Thread {
    fn new(state: PathBuf, name: String, shared: Arc<Shared>) -> Thread {
        let layout = Layout::new(&state);
        let (spool, device, alive, unsafe_since) = (None, None, None, None);
        Thread { state, layout, shared, spool, device, name, alive, unsafe_since, retry: RETRY_FIRST }
    }

    fn run(mut self) {
        // Opened before the first event comes: it is not the first event that should wait for it.
        if let Err(error) = self.with_spool(|_| Ok(())) {
            self.report(error);
        }
        self.look_at_inbox();
        loop {
            match self.next() {
                Turn::Write(work, dropped) => self.write(work, dropped),
                Turn::Barrier => self.barrier(),
                Turn::LookAtInbox => self.look_at_inbox(),
                Turn::End => break,
            }
        }
        if let Err(error) = self.with_spool(|spool| spool.head().map(|_| ())) {
            self.report(error);
        }
        self.spool = None; // whoever waits for the end may want the files
        if let Some(alive) = self.alive.take() {
            alive.end();
        }
        let mut queue = self.shared.lock();
        queue.ended = true;
        queue.barrier_made = queue.settled;
        drop(queue);
        self.shared.settled.notify_all();
    }

    /// Waits for something to do.
    fn next(&self) -> Turn {
        let mut queue = self.shared.lock();
        let mut lingered = false;
        loop {
            let due = self.unsafe_since.map(|since| BARRIER_AFTER.saturating_sub(since.elapsed()));
            if due == Some(Duration::ZERO) {
                return Turn::Barrier; // before the next group: a flood must not put it off
            }
            let hurried = queue.closing || queue.barrier_wanted > queue.barrier_made;
            if !queue.waiting.is_empty() || queue.dropped.is_some() {
                if lingered || hurried || queue.bytes >= GROUP_BYTES_MAX {
                    return take_group(&mut queue);
                }
                // Not idle: whoever comes now only pushes.
                drop(queue);
                std::thread::sleep(LINGER);
                lingered = true;
                queue = self.shared.lock();
                continue;
            }
            if queue.barrier_wanted > queue.barrier_made {
                return Turn::Barrier;
            }
            if queue.closing {
                return Turn::End;
            }
            queue.idle = true;
            let wait = due.unwrap_or(INBOX_EVERY);
            let (guard, waited) = self.shared.wake.wait_timeout(queue, wait).unwrap_or_else(PoisonError::into_inner);
            queue = guard;
            queue.idle = false;
            if waited.timed_out() && self.unsafe_since.is_none() && queue.waiting.is_empty() {
                return Turn::LookAtInbox;
            }
        }
    }

    fn write(&mut self, work: Vec<Work>, dropped: Option<Dropped>) {
        let count = work.len() as u64;
        let bytes: usize = work.iter().map(Work::size).sum();
        let (mut appends, mut snapshots) = (Vec::new(), Vec::new());
        for work in work {
            match work {
                Work::Append(append) => appends.push(append),
                Work::Snapshot(snapshot) => snapshots.push(snapshot),
            }
        }
        let prepared = self.prepare_until_done(appends, dropped);
        let placed = self.place_until_done(&prepared);
        if let Err(error) =
            snapshots.iter().try_for_each(|snapshot| self.with_spool(|spool| spool.put_snapshot(snapshot)))
        {
            // A help for later, not evidence: the rest of them is not worth holding up the trail.
            self.report(error);
        }
        let landed_in_spool = matches!(placed, Landed::Full | Landed::Normal);
        match placed {
            Landed::Full => self.unsafe_since = None,
            Landed::Normal => self.unsafe_since = self.unsafe_since.or_else(|| Some(Instant::now())),
            // Safe by itself, and says nothing about what is in the spool.
            Landed::Inbox | Landed::Nothing => {}
        }
        self.sign();
        let mut queue = self.shared.lock();
        if landed_in_spool {
            queue.last_error = None;
        }
        queue.bytes -= bytes;
        queue.settled += count;
        if self.unsafe_since.is_none() {
            queue.barrier_made = queue.settled;
        }
        drop(queue);
        self.shared.settled.notify_all();
    }

    /// Seals and digests. Only a device key that can't be had stands in the way, and it may come.
    fn prepare_until_done(&mut self, appends: Vec<Append>, dropped: Option<Dropped>) -> Vec<Prepared> {
        loop {
            match self.prepare(&appends, dropped.as_ref()) {
                Ok(prepared) => return prepared,
                Err(error) => self.report_and_wait(error),
            }
        }
    }

    fn prepare(&mut self, appends: &[Append], dropped: Option<&Dropped>) -> Result<Vec<Prepared>, SpoolError> {
        if self.device.is_none() {
            self.device = Some(Device::obtain(&self.layout, &self.shared.patience)?);
        }
        let device = self.device.as_ref().expect("set above");
        let mut prepared = appends.iter().map(|append| Prepared::new(append, device)).collect::<Result<Vec<_>, _>>()?;
        if let Some(dropped) = dropped {
            prepared.push(gap(device, dropped));
        }
        Ok(prepared)
    }

    /// Puts events into the spool, else into the inbox, else tries again.
    fn place_until_done(&mut self, prepared: &[Prepared]) -> Landed {
        if prepared.is_empty() {
            return Landed::Nothing;
        }
        loop {
            let error = match self.with_spool(|spool| spool.append_prepared(prepared)) {
                Ok(appended) => {
                    self.retry = RETRY_FIRST;
                    return if appended.full { Landed::Full } else { Landed::Normal };
                }
                Err(error) => error,
            };
            match inbox::post(&self.layout, prepared) {
                Ok(()) => {
                    self.report(error);
                    return Landed::Inbox;
                }
                Err(also) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the spool can't be had");
                    self.report_and_wait(also);
                }
            }
        }
    }

    fn barrier(&mut self) {
        match self.with_spool(|spool| spool.barrier()) {
            Ok(_) => {
                self.unsafe_since = None;
                let mut queue = self.shared.lock();
                queue.barrier_made = queue.settled;
                drop(queue);
                self.shared.settled.notify_all();
            }
            Err(error) => {
                // Due again in a while: meanwhile events must find their way into the inbox.
                self.unsafe_since = Some(Instant::now());
                self.report_and_wait(error);
            }
        }
    }

    /// Says that this process is at work.
    fn sign(&mut self) {
        match &self.alive {
            Some(alive) => alive.sign(),
            None => match Alive::begin(&self.layout, &self.name) {
                Ok(alive) => self.alive = Some(alive),
                Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "nobody is told when we stop"),
            },
        }
    }

    /// Tells what processes stopped without saying so.
    fn tell_dead(&mut self) {
        let dead = alive::dead(&self.layout);
        if dead.is_empty() {
            return;
        }
        let told = self.with_spool(|spool| {
            let source = spool.device().urn();
            spool.append_prepared(&dead.iter().map(|it| it.gap(&source)).collect::<Vec<_>>())
        });
        match told {
            Ok(_) => dead.into_iter().for_each(Dead::told),
            Err(error) => self.report(error),
        }
    }

    fn look_at_inbox(&mut self) {
        self.sign();
        self.tell_dead();
        match inbox::waiting(&self.layout) {
            Ok(letters) if letters.is_empty() => {}
            // An append of nothing takes the letters in.
            Ok(_) => {
                if let Err(error) = self.with_spool(|spool| spool.append_prepared(&[])) {
                    self.report(error);
                }
            }
            Err(error) => self.report(error),
        }
    }

    /// Runs an operation on the open spool; opens it first, and again where the file was replaced
    /// or found damaged.
    fn with_spool<T>(&mut self, mut run: impl FnMut(&mut Spool) -> Result<T, SpoolError>) -> Result<T, SpoolError> {
        for _ in 0..2 {
            let mut spool = match self.spool.take() {
                Some(spool) => spool,
                None => {
                    self.shared.patience.renew(LOCK_WAIT);
                    Spool::open_with(&self.state, LOCK_WAIT, self.shared.patience.clone())?
                }
            };
            match run(&mut spool) {
                Err(SpoolError::Replaced { .. }) => {}
                Err(SpoolError::Corrupt { .. }) => spool.set_aside()?,
                result => {
                    self.spool = Some(spool);
                    return result;
                }
            }
        }
        Err(SpoolError::Replaced { path: self.layout.db.clone() })
    }

    fn report(&self, error: SpoolError) {
        let mut queue = self.shared.lock();
        // Said once: what stays wrong is met with every group.
        if queue.last_error.as_ref().is_none_or(|last| last.to_string() != error.to_string()) {
            tracing::warn!(error = &error as &dyn std::error::Error, "the spool's writer has trouble");
        }
        queue.last_error = Some(Arc::new(error));
    }

    fn report_and_wait(&mut self, error: SpoolError) {
        self.report(error);
        std::thread::sleep(self.retry);
        self.retry = (self.retry * 2).min(RETRY_MOST);
    }
}

fn take_group(queue: &mut Queue) -> Turn {
    let (mut work, mut bytes) = (Vec::new(), 0);
    while let Some(next) = queue.waiting.front() {
        let size = next.size();
        if work.len() == GROUP_EVENTS_MAX || (!work.is_empty() && bytes + size > GROUP_BYTES_MAX) {
            break;
        }
        bytes += size;
        work.extend(queue.waiting.pop_front());
    }
    // The record of what was dropped comes after what was taken in before it.
    let dropped = if queue.waiting.is_empty() { queue.dropped.take() } else { None };
    Turn::Write(work, dropped)
}

fn gap(device: &Device, dropped: &Dropped) -> Prepared {
    let gap = trail::Gap {
        how: How::Observed,
        reason: "overflow".to_owned(),
        count: Some(dropped.count),
        from: Some(dropped.from),
        to: Some(dropped.to),
        by: None,
    };
    Prepared::gap(Uuid::now_v7(), &device.urn(), gap)
}
