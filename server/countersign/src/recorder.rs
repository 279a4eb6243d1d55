//! The one way from a payload to the spool: completes it, redacts, decides the tier, hands it over.
//!
//! [`Recorder::record`] puts the payload in a queue and returns; a thread of our own does the rest
//! (asking git, hashing, redacting), and the spool's writer thread does the disk. Nothing on an
//! editor's path ever waits for either. What does not fit in the queue is counted and becomes one
//! `trail.gap`. A device whose state directory can't be used still runs: what could not be recorded
//! is counted and told.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use countersign_event::content::{ContentName, ContentSlot, NewContent};
use countersign_event::facts::Sensitivity;
use countersign_event::payload::suggestion::Entered;
use countersign_event::payload::{ContextItem, capture, trail};
use countersign_event::redact::Redactor;
use countersign_event::secret::Detector;
use countersign_event::{Absent, Event, EventBytes, Fact, How, Payload, Timestamp, digest};
use countersign_provenance::attribution::Attribution;
use countersign_provenance::session::Retained;
use countersign_provenance::text::Text;
use countersign_spool::{Append, Class, Device, Kind, Snapshot, Writer};
use tower_lsp::ls_types::Uri;
use uuid::Uuid;

use crate::git::{self, Repositories};
use crate::person::Persons;
use crate::policy::Policy;
use crate::shell::{Shell, now};
use crate::{error::Failure, pause};

/// Texts waiting in the queue; beyond this, records are dropped and counted.
const QUEUE_BYTES_MAX: usize = 64 << 20;
/// How long a policy file or a pause is believed before it is read again.
const FRESH: Duration = Duration::from_secs(1);
/// How long a device whose keys could not be made is left in peace.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// Something that happened, before it is completed.
#[derive(Debug)]
pub(crate) struct Record {
    /// When it happened.
    pub(crate) at: Timestamp,
    /// What it is about: the contribution, or the document or tool.
    pub(crate) subject: Option<String>,
    /// What happened. `place.uri` is enough of a place; a person left absent as `not_on_wire` is
    /// filled in from git or the account.
    pub(crate) payload: Payload,
    /// The texts it has, unredacted. They go no further than this process unless policy keeps them.
    pub(crate) texts: Vec<(ContentName, String)>,
    /// Bytes of the AI's output, which decide the tier.
    pub(crate) output_bytes: u64,
}

impl Record {
    /// A record without texts.
    pub(crate) fn light(at: Timestamp, subject: impl Into<String>, payload: Payload) -> Self {
        Record { at, subject: Some(subject.into()), payload, texts: Vec::new(), output_bytes: 0 }
    }

    fn size(&self) -> usize {
        1024 + self.texts.iter().map(|(_, text)| text.len()).sum::<usize>()
    }
}

/// A document as it was saved, and who wrote its parts.
#[derive(Debug)]
pub(crate) struct SavedText {
    /// When.
    pub(crate) at: Timestamp,
    /// The document.
    pub(crate) uri: String,
    /// Its text.
    pub(crate) text: Text,
    /// Who wrote its parts.
    pub(crate) attribution: Attribution,
    /// What a later session needs to measure its contributions.
    pub(crate) retained: Vec<Retained>,
}

impl SavedText {
    /// Writes the writers, and beside them, where only an editor of ours looks, the contributions.
    fn spans_json(&self) -> String {
        let mut json = self.attribution.to_json();
        if let (false, Ok(retained)) = (self.retained.is_empty(), serde_json::to_string(&self.retained)) {
            json.truncate(json.len() - 1);
            json.push_str(&format!(r#","retained":{retained}}}"#));
        }
        json
    }
}

/// A handle to this process's recorder. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Recorder {
    queue: Sender<Message>,
    shared: Arc<Shared>,
}

struct Shared {
    digest_key: [u8; 32],
    waiting_bytes: AtomicUsize,
    dropped: AtomicUsize,
    problem: Mutex<Option<String>>,
}

enum Message {
    Record(Box<Record>),
    Snapshot(Box<SavedText>),
    Seen(Box<Snapshot>),
    SignedIn(String),
    Close(Duration, SyncSender<Result<(), Failure>>),
}

impl Recorder {
    /// Starts the recorder of this process, under the name by which it is told should it stop without saying
    /// so. Reads the device's key file, nothing else; the spool is opened by its own thread.
    pub(crate) fn start(shell: &Shell, name: &'static str) -> Recorder {
        let (queue, messages) = mpsc::channel();
        let mut shared = Shared {
            digest_key: [0; 32],
            waiting_bytes: AtomicUsize::new(0),
            dropped: AtomicUsize::new(0),
            problem: Mutex::new(None),
        };
        let device = shared.find_device(shell);
        if let Some(device) = &device {
            shared.digest_key = *device.digest_key();
        }
        let shared = Arc::new(shared);
        let (thread_shell, thread_shared) = (shell.clone(), Arc::clone(&shared));
        let spawned = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || run(&thread_shell, name, device, &messages, &thread_shared));
        if let Err(error) = spawned {
            tracing::error!("nothing can be recorded: {error}");
        }
        Recorder { queue, shared }
    }

    /// Takes a record. Never waits.
    pub(crate) fn record(&self, record: Record) {
        let size = record.size();
        let waiting = self.shared.waiting_bytes.fetch_add(size, Ordering::Relaxed);
        if waiting + size > QUEUE_BYTES_MAX || self.queue.send(Message::Record(Box::new(record))).is_err() {
            self.shared.waiting_bytes.fetch_sub(size, Ordering::Relaxed);
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Keeps a saved text with its writers. Never waits; one that does not fit is let go, for it is a
    /// help for later and not evidence.
    pub(crate) fn snapshot(&self, saved: SavedText) {
        let size = saved.text.len_bytes();
        let waiting = self.shared.waiting_bytes.fetch_add(size, Ordering::Relaxed);
        if waiting + size > QUEUE_BYTES_MAX || self.queue.send(Message::Snapshot(Box::new(saved))).is_err() {
            self.shared.waiting_bytes.fetch_sub(size, Ordering::Relaxed);
        }
    }

    /// Takes the account by which somebody signed in to the tool that is watched, for what is recorded
    /// from now on. Never waits.
    pub(crate) fn signed_in(&self, account: String) {
        // Without a recorder thread nothing is recorded either.
        let _ = self.queue.send(Message::SignedIn(account));
    }

    /// Keeps what was seen of a file. Never waits; one that does not fit is let go.
    pub(crate) fn saw(&self, seen: Snapshot) {
        let size = seen.text.as_ref().map_or(0, Vec::len);
        let waiting = self.shared.waiting_bytes.fetch_add(size, Ordering::Relaxed);
        if waiting + size > QUEUE_BYTES_MAX || self.queue.send(Message::Seen(Box::new(seen))).is_err() {
            self.shared.waiting_bytes.fetch_sub(size, Ordering::Relaxed);
        }
    }

    /// Returns the digest by which two processes of this device recognise the same inserted text.
    pub(crate) fn entered_digest(&self, text: &str) -> String {
        digest::entered(&self.shared.digest_key, text)
    }

    /// Returns the key of [`Recorder::entered_digest`].
    pub(crate) fn digest_key(&self) -> [u8; 32] {
        self.shared.digest_key
    }

    /// Returns a new id for a contribution or an event.
    pub(crate) fn mint(&self) -> Uuid {
        Uuid::now_v7()
    }

    /// Returns why nothing can be recorded, if so.
    pub(crate) fn problem(&self) -> Option<String> {
        self.shared.problem.lock().map_or_else(|_| Some("the recorder has died".to_owned()), |text| text.clone())
    }

    /// Ends a session: waits until everything recorded so far is in the spool (or its inbox), makes it
    /// durable and signs a head.
    ///
    /// Errors: it was not done within `deadline`.
    pub(crate) fn close(&self, deadline: Duration) -> Result<(), Failure> {
        let (done, answer) = mpsc::sync_channel(1);
        let late = || Failure::could_not("the spool did not take everything in time");
        self.queue.send(Message::Close(deadline, done)).map_err(|_| late())?;
        answer.recv_timeout(deadline).unwrap_or_else(|_| Err(late()))
    }
}

fn run(shell: &Shell, name: &str, device: Option<Device>, messages: &Receiver<Message>, shared: &Shared) {
    let mut worker = device.map(|device| Worker::new(shell.clone(), name, device));
    let mut tried = Instant::now();
    let mut signed_in: Option<String> = None;
    for message in messages {
        if worker.is_none() && tried.elapsed() > TRY_AGAIN {
            tried = Instant::now();
            worker = shared.find_device(shell).map(|device| Worker::new(shell.clone(), name, device));
            if let (Some(worker), Some(account)) = (&mut worker, &signed_in) {
                worker.complete.signed_in(account.clone());
            }
        }
        if let Some(worker) = &worker {
            shared.tell(worker.writer.trouble());
        }
        match message {
            Message::Record(record) => {
                shared.waiting_bytes.fetch_sub(record.size(), Ordering::Relaxed);
                match &mut worker {
                    Some(worker) => {
                        worker.own_up(shared);
                        worker.take(*record);
                    }
                    None => {
                        shared.dropped.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
            Message::Snapshot(saved) => {
                shared.waiting_bytes.fetch_sub(saved.text.len_bytes(), Ordering::Relaxed);
                if let Some(worker) = &mut worker {
                    worker.keep_snapshot(&saved);
                }
            }
            Message::SignedIn(account) => {
                signed_in = Some(account.clone());
                if let Some(worker) = &mut worker {
                    worker.complete.signed_in(account);
                }
            }
            Message::Seen(seen) => {
                shared.waiting_bytes.fetch_sub(seen.text.as_ref().map_or(0, Vec::len), Ordering::Relaxed);
                if let Some(worker) = &mut worker
                    && worker.complete.may_keep(Path::new(&seen.path))
                {
                    worker.writer.enqueue_snapshot(*seen);
                }
            }
            Message::Close(deadline, done) => {
                let closed = worker.as_mut().map_or(Ok(()), |worker| {
                    worker.own_up(shared);
                    worker.writer.close(deadline).map_err(Failure::from)
                });
                // A caller that no longer waits needs no answer.
                let _ = done.send(closed);
            }
        }
    }
}

impl Shared {
    /// Says why what is recorded does not reach the spool, or that it does.
    fn tell(&self, problem: Option<String>) {
        if let Ok(mut told) = self.problem.lock() {
            *told = problem;
        }
    }

    /// Finds or makes the device's keys. Until that is done nothing can be recorded.
    fn find_device(&self, shell: &Shell) -> Option<Device> {
        let found =
            Device::load_or_create(&shell.paths.state).map_err(|error| Failure::from(error).message().to_owned());
        self.tell(found.as_ref().err().cloned());
        found.inspect_err(|text| tracing::error!("nothing can be recorded: {text}")).ok()
    }
}

fn overflow(dropped: usize) -> Record {
    let gap = trail::Gap {
        how: How::Observed,
        reason: "overflow".to_owned(),
        count: Some(dropped as u64),
        from: None,
        to: Some(now()),
        by: Some("recorder".to_owned()),
    };
    Record { at: now(), subject: None, payload: Payload::TrailGap(gap), texts: Vec::new(), output_bytes: 0 }
}

/// The thread's own state: everything that takes time.
struct Worker {
    complete: Complete,
    writer: Writer,
}

/// What makes a record an event: place, person, policy, redaction, tier. It waits for git and files,
/// so it is for a thread of its own or for a process that ends with it.
pub(crate) struct Complete {
    shell: Shell,
    device: Device,
    redactor: Redactor,
    repositories: Repositories,
    policies: HashMap<Option<PathBuf>, (Policy, Instant)>,
    /// What policy leaves out and was told: repositories, with patterns where it is not the whole.
    opted_out: HashSet<(Option<PathBuf>, Vec<String>)>,
    paused: HashMap<Option<PathBuf>, (bool, Instant)>,
    ends_looked_for: Option<Instant>,
    persons: Persons,
}

impl Worker {
    fn new(shell: Shell, name: &str, device: Device) -> Worker {
        let writer = Writer::start_as(&shell.paths.state, name, QUEUE_BYTES_MAX);
        Worker { complete: Complete::new(shell, device), writer }
    }

    /// Records how many records were dropped since it was last said.
    fn own_up(&mut self, shared: &Shared) {
        let dropped = shared.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            self.append(overflow(dropped));
        }
    }

    fn take(&mut self, record: Record) {
        for end in self.complete.ends_of_pauses() {
            self.writer.enqueue(end);
        }
        if let Some(append) = self.complete.complete(record, None) {
            self.writer.enqueue(append);
        }
    }

    fn append(&self, record: Record) {
        self.writer.enqueue(self.complete.append(record, Vec::new()));
    }

    fn keep_snapshot(&mut self, saved: &SavedText) {
        let file = file_of_uri(&saved.uri).map(|file| (git::state::written(&file), file));
        let is_kept = match &file {
            Some((written, named)) => self.complete.may_keep(named) && self.complete.may_keep(written),
            None => !self.complete.is_paused(None) && !self.complete.policy(None).off,
        };
        if !is_kept {
            return;
        }
        let text = saved.text.to_string().into_bytes();
        let mut it = Snapshot::of(snapshot_path(&saved.uri), Kind::Saved, Some(text), saved.at);
        it.spans_json = Some(saved.spans_json());
        if let Some((written, _)) = &file {
            it = git::state::placed(it, written);
        }
        self.writer.enqueue_snapshot(it);
    }
}

impl Complete {
    pub(crate) fn new(shell: Shell, device: Device) -> Complete {
        Complete {
            redactor: Redactor::new(device.redaction_key()),
            device,
            repositories: Repositories::default(),
            policies: HashMap::new(),
            opted_out: HashSet::new(),
            paused: HashMap::new(),
            ends_looked_for: None,
            persons: Persons::from_env(),
            shell,
        }
    }

    /// Makes an event of a record. `root` is its repository where no file of the record says so.
    /// `None` where nothing may be recorded: paused, or opted out and told before.
    pub(crate) fn complete(&mut self, mut record: Record, root: Option<&Path>) -> Option<Append> {
        let is_pause = matches!(record.payload, Payload::CapturePaused(_) | Payload::CaptureResumed(_));
        let file = record.payload.place_mut().and_then(|place| file_of_uri(place.uri.as_deref()?));
        let root = match &file {
            Some(file) => file.parent().and_then(git::root_of),
            None => root.map(Path::to_owned),
        };
        if !is_pause && self.is_paused(root.as_deref()) {
            return None;
        }
        let policy = self.policy(root.as_deref());
        if policy.off {
            return self.opt_out(root);
        }
        if let Some(told) = self.leave_out(&policy, file.as_deref(), root.as_deref()) {
            return told;
        }
        let given = complete_context(&mut record, &policy);
        self.complete_entered(&mut record);
        let sensitive = self.complete_place(&mut record, file.as_deref(), root.as_deref(), &policy) || given;
        self.complete_person(&mut record, root.as_deref());
        let contents = self.keep(&mut record, &policy, sensitive);
        Some(self.append(record, contents))
    }

    /// The repositories this process has met.
    pub(crate) fn repositories(&mut self) -> &mut Repositories {
        &mut self.repositories
    }

    /// Tells whether recording is paused, in a repository or in general.
    pub(crate) fn is_paused(&mut self, root: Option<&Path>) -> bool {
        let key = root.map(Path::to_owned);
        if let Some((is_paused, read)) = self.paused.get(&key)
            && read.elapsed() < FRESH
        {
            return *is_paused;
        }
        let is_paused = pause::current(&self.shell.paths.state, now(), root).is_some();
        self.paused.insert(key, (is_paused, Instant::now()));
        is_paused
    }

    /// Returns the events of pauses whose time has run out, for whoever asks first.
    pub(crate) fn ends_of_pauses(&mut self) -> Vec<Append> {
        if self.ends_looked_for.is_some_and(|looked| looked.elapsed() < FRESH) {
            return Vec::new();
        }
        self.ends_looked_for = Some(Instant::now());
        let ends = pause::expired(&self.shell.paths.state, now());
        ends.into_iter().map(|end| self.append(end, Vec::new())).collect()
    }

    /// Returns the capture policy of a repository.
    pub(crate) fn policy(&mut self, root: Option<&Path>) -> Policy {
        let key = root.map(Path::to_owned);
        if let Some((policy, read)) = self.policies.get(&key)
            && read.elapsed() < FRESH
        {
            return policy.clone();
        }
        let mut policy = self.shell.policy(root);
        for problem in &policy.problems {
            tracing::warn!("{problem}");
        }
        if let Some((last_good, _)) = self.policies.get(&key).filter(|_| !policy.problems.is_empty()) {
            policy = last_good.clone();
        }
        self.policies.insert(key, (policy.clone(), Instant::now()));
        policy
    }

    /// Says whether the text of a file may be kept: it is not excluded, its repository has not opted out,
    /// nothing is paused.
    pub(crate) fn may_keep(&mut self, file: &Path) -> bool {
        let root = file.parent().and_then(git::root_of);
        let policy = self.policy(root.as_deref());
        let path = match &root {
            Some(root) => file.strip_prefix(root).map(with_slashes).unwrap_or_default(),
            None => with_slashes(file),
        };
        !policy.off && !policy.is_excluded(&path) && !self.is_paused(root.as_deref())
    }

    /// Says whether nothing of this file is recorded, with the record that tells so where it was not
    /// told before. It names the patterns, never the file.
    fn leave_out(&mut self, policy: &Policy, file: Option<&Path>, root: Option<&Path>) -> Option<Option<Append>> {
        let path = match root {
            Some(root) => with_slashes(file?.strip_prefix(root).ok()?),
            None => with_slashes(file?),
        };
        policy.is_excluded(&path).then(|| self.tell_off(root.map(Path::to_owned), policy.exclude.clone()))
    }

    /// Records, once a process and repository, that a repository opted out.
    fn opt_out(&mut self, root: Option<PathBuf>) -> Option<Append> {
        self.tell_off(root, Vec::new())
    }

    fn tell_off(&mut self, root: Option<PathBuf>, paths: Vec<String>) -> Option<Append> {
        if !self.opted_out.insert((root.clone(), paths.clone())) {
            return None;
        }
        let scope = root
            .and_then(|root| self.repositories.of_root(root).and_then(|repository| repository.id.clone()))
            .unwrap_or_else(|| "all".to_owned());
        let paused = capture::Paused {
            how: How::Observed,
            scope: scope.clone(),
            person: Fact::absent(Absent::Policy),
            until: None,
            by: "policy".to_owned(),
            paths,
        };
        Some(self.append(Record::light(now(), scope, Payload::CapturePaused(paused)), Vec::new()))
    }

    /// Describes what an agent's edit brought, so that whoever holds the file open recognises it when
    /// the editor reads it again. One insertion from the first to the last line that changed.
    fn complete_entered(&self, record: &mut Record) {
        let Payload::EditApplied(edit) = &mut record.payload else { return };
        if edit.how == How::Inferred || !edit.entered.is_empty() {
            return;
        }
        let side = |name| record.texts.iter().find(|(slot, _)| *slot == name).map(|(_, text)| text.as_str());
        // A slot without its text: there was a file, and nobody can say what stood in it.
        let before = match side(ContentName::Before) {
            None if edit.content.contains_key(&ContentName::Before) => return,
            before => before.unwrap_or_default(),
        };
        let Some(after) = side(ContentName::After) else { return };
        edit.entered = entered(before, after, self.device.digest_key()).into_iter().collect();
    }

    /// Fills in repository, base, path and sensitivity. Returns whether the path is sensitive.
    fn complete_place(
        &mut self,
        record: &mut Record,
        file: Option<&Path>,
        root: Option<&Path>,
        policy: &Policy,
    ) -> bool {
        let Some(place) = record.payload.place_mut() else { return false };
        let Some(root) = root else { return false };
        if let Some(repository) = self.repositories.of_root(root.to_owned()) {
            place.repository = place.repository.take().or_else(|| repository.id.clone());
            place.base = place.base.take().or_else(|| repository.head.clone());
        }
        if let Some(file) = file
            && place.path.is_none()
        {
            place.path = file.strip_prefix(root).ok().map(with_slashes);
        }
        let sensitive = place.path.as_deref().is_some_and(|path| policy.is_sensitive(path));
        if sensitive {
            place.sensitivity = Some(Sensitivity::Sensitive);
        }
        sensitive
    }

    fn complete_person(&mut self, record: &mut Record, root: Option<&Path>) {
        let Some(person) = record.payload.person_mut() else { return };
        if *person != Fact::absent(Absent::NotOnWire) {
            return;
        }
        let repository = root.and_then(|root| self.repositories.of_root(root.to_owned()));
        let email = repository.and_then(|repository| repository.email.clone());
        *person = self.persons.fact(&self.device, email.as_deref());
    }

    /// Takes the account by which somebody signed in to the tool that is watched.
    pub(crate) fn signed_in(&mut self, account: String) {
        self.persons.signed_in(account);
    }

    /// Redacts and commits to the texts that are kept, and states why the others are not.
    fn keep(&mut self, record: &mut Record, policy: &Policy, sensitive: bool) -> Vec<NewContent> {
        let texts = std::mem::take(&mut record.texts);
        let Some(slots) = record.payload.contents_mut() else { return Vec::new() };
        let mut contents = Vec::new();
        for (name, raw) in texts {
            let slot = match policy.tiers.decide(record.output_bytes, sensitive) {
                Ok(reason) => {
                    let mut salt = vec![0; 16];
                    if getrandom::fill(&mut salt).is_err() {
                        tracing::error!("no randomness: a text was not kept");
                        ContentSlot::Absent { absent: Absent::Shed }
                    } else {
                        let redacted = self.redactor.redact(&raw);
                        let content = NewContent::new(name, redacted.text, &raw, salt, reason, &policy.tiers.policy)
                            .redacted(redacted.taken);
                        let slot = ContentSlot::Kept(content.commitment.clone());
                        contents.push(content);
                        slot
                    }
                }
                Err(absent) => ContentSlot::NotKept { absent, policy: policy.tiers.policy.clone() },
            };
            slots.insert(name, slot);
        }
        contents
    }

    fn append(&self, record: Record, contents: Vec<NewContent>) -> Append {
        let class = match record.payload {
            Payload::SuggestionOffered(_) | Payload::ContributionMeasured(_) => Class::Normal,
            _ => Class::Full,
        };
        let evidence = match &record.payload {
            Payload::EditApplied(edit) if edit.how != How::Inferred => Some(edit.as_evidence()),
            _ => None,
        };
        let mut event = Event {
            id: Uuid::now_v7(),
            source: self.device.urn(),
            time: record.at,
            subject: record.subject,
            payload: record.payload,
        };
        let bytes = self.without_secrets(event.to_bytes());
        let if_told = evidence.map(|evidence| {
            event.payload = Payload::ContributionEvidenced(evidence);
            self.without_secrets(event.to_bytes())
        });
        Append { event: bytes, class, contents, if_told }
    }

    /// Hides secrets in the fields of an event. Names, ids and paths come from foreign programs, and
    /// any of them can hold one. Cost: one pass; an event without a secret is returned as it is.
    fn without_secrets(&self, event: EventBytes) -> EventBytes {
        if Detector::shared().find(event.as_str()).is_empty() {
            return event;
        }
        let Ok(mut value) = serde_json::from_str(event.as_str()) else { return event };
        self.redactor.redact_value(&mut value);
        EventBytes::parse(value.to_string().as_bytes()).unwrap_or(event)
    }
}

/// Fills in how sensitive each thing is that the model was given. Returns whether any is: its text may stand
/// in what the tool answered. What policy leaves out is not named, and an answer with it is not kept.
fn complete_context(record: &mut Record, policy: &Policy) -> bool {
    let Some(context) = record.payload.context_mut() else { return false };
    // Globs know paths, and a resource's path stands behind its scheme.
    let path_of = |item: &ContextItem| {
        let path = item.path.split_once("://").map_or(item.path.as_str(), |(_, path)| path);
        path.trim_start_matches('/').to_owned()
    };
    let told = context.len();
    context.retain(|item| !policy.is_excluded(&path_of(item)));
    let is_cut = context.len() < told;
    let mut any = false;
    for item in context {
        let sensitive = policy.is_sensitive(&path_of(item));
        item.sensitivity = Some(if sensitive { Sensitivity::Sensitive } else { Sensitivity::Ordinary });
        // What is short, as a password is, can be guessed by its digest and its size.
        if sensitive && (item.digest.is_some() || item.bytes.is_some()) {
            (item.digest, item.bytes, item.how, item.absent) = (None, None, None, Some(Absent::Policy));
        }
        any |= sensitive;
    }
    if is_cut {
        record.texts.retain(|(name, _)| *name != ContentName::Output);
        if let Some(slots) = record.payload.contents_mut() {
            slots.insert(ContentName::Output, ContentSlot::Absent { absent: Absent::Policy });
        }
    }
    any
}

/// Returns what stands between the lines that two texts begin and end with alike; `None` where nothing
/// came there.
fn entered(before: &str, after: &str, key: &[u8]) -> Option<Entered> {
    let (old, new): (Vec<&str>, Vec<&str>) =
        (before.split_inclusive('\n').collect(), after.split_inclusive('\n').collect());
    let first = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let rest = old[first..].iter().rev().zip(new[first..].iter().rev());
    let last = rest.take_while(|(old, new)| old == new).count();
    let text = new[first..new.len() - last].concat();
    let old = Text::new(before);
    let line = |line: usize| before.split_inclusive('\n').take(line).map(str::len).sum::<usize>();
    let range = old.range(line(first)..line(before.split_inclusive('\n').count() - last));
    (!text.is_empty()).then(|| Entered { range, bytes: text.len() as u64, digest: digest::entered(key, &text) })
}

/// Returns the file a `file:` URI names; `None` for anything else (untitled, remote, malformed).
pub(crate) fn file_of_uri(uri: &str) -> Option<PathBuf> {
    if !uri.starts_with("file:") {
        return None;
    }
    Uri::from_str(uri).ok()?.to_file_path().map(|path| path.into_owned())
}

/// Returns the name under which a document's snapshots are kept: its absolute path, or its URI where it
/// is no file.
pub(crate) fn snapshot_path(uri: &str) -> String {
    file_of_uri(uri).map_or_else(|| uri.to_owned(), |file| file.to_string_lossy().into_owned())
}

/// Writes a path with `/` between its parts.
pub(crate) fn with_slashes(path: &Path) -> String {
    path.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use countersign_spool::Reader;

    use super::*;

    #[test]
    fn what_an_edit_brought_is_told_from_its_first_changed_line_to_its_last() {
        let shown = |before, after| {
            let entered = entered(before, after, b"key")?;
            let at = |at: countersign_event::facts::Position| format!("{}:{}", at.line, at.character);
            Some(format!("{}-{} {}", at(entered.range.start), at(entered.range.end), entered.bytes))
        };
        let told = |text: &str| text.to_owned();
        assert_eq!(shown("", "a\nb\n"), Some(told("0:0-0:0 4")));
        assert_eq!(shown("a\nb\nc\nd\n", "a\nX\nc\nYY\nd\n"), Some(told("1:0-3:0 7")));
        assert_eq!(shown("a\n", "a\na\n"), Some(told("1:0-1:0 2")));
        assert_eq!(shown("a", "a\nb"), Some(told("0:0-0:1 3")));
        assert_eq!(shown("a\nb\n", "a\n"), None);
        assert_eq!(shown("a\n", "a\n"), None);
    }

    #[test]
    fn what_did_not_fit_before_the_end_is_a_gap_too() {
        let home = tempfile::tempdir().unwrap();
        let shell = Shell::below(home.path()).unwrap();
        let recorder = Recorder::start(&shell, "test");
        recorder.shared.dropped.store(3, Ordering::Relaxed);
        recorder.close(Duration::from_secs(10)).unwrap();
        let gaps = Reader::open(&shell.paths.state).unwrap().by_type("dev.countersign.trail.gap.v1", 0).unwrap();
        assert_eq!(gaps.len(), 1);
        assert!(gaps[0].bytes.as_str().contains(r#""count":3"#), "{}", gaps[0].bytes.as_str());
    }
}
