//! Whether a batch may enter the archive, and where it lands.
//!
//! [`decode`] and [`check`] judge what the batch says about itself: size, signature, chain, envelopes.
//! [`place`] compares it with what is archived and appends what is new. A batch enters whole or not
//! at all; single events that can never enter become holes with a verdict, so that one bad event
//! stops nobody. Neither half reads a clock or a network.

mod index;

use std::io::Read;

use countersign_event::EventBytes;
use countersign_event::batch::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX, Batch, BatchAnswer, Cursor, Hole, Item, Verdict};
use countersign_event::chain::{Hash, Head, genesis, next_digest};
use countersign_event::digest::{sha256, unhex};
use ed25519_dalek::{Signature, VerifyingKey};

use crate::archive::{Archive, ArchiveError, Fork, Place, Placed, Stream};

/// A batch of more bytes, unpacked, is refused. It leaves room for one event larger than a whole
/// batch may be, and for what stands around the events.
pub const UNPACKED_BYTES_MAX: usize = 4 * BATCH_BYTES_MAX;
/// A single event of more bytes becomes a hole.
pub const EVENT_BYTES_MAX: usize = BATCH_BYTES_MAX;
/// Names of streams and epochs are no longer than this.
const NAME_BYTES_MAX: usize = 128;
/// Seqs must fit the engines' integers, with room for a batch after them.
const SEQ_MAX: u64 = i64::MAX as u64 - BATCH_EVENTS_MAX as u64;

/// Why a batch does not enter. Nothing of it is acknowledged.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// It is larger than a batch may be.
    TooLarge(String),
    /// It contradicts itself.
    Invalid(String),
    /// It does not continue where the archive stands.
    Gap(Cursor),
    /// Its epoch was ended by a hole of unknown digest.
    Ended(u64),
    /// It is another history than the archived one; the evidence is kept.
    Fork {
        /// The first place that differs.
        seq: u64,
        /// In words.
        why: String,
        /// Where the archive stands.
        cursor: Cursor,
    },
}

/// Unpacks and reads the body of a batch.
///
/// Cost: never more than [`UNPACKED_BYTES_MAX`] of memory for the unpacked text, whatever the body says.
/// Errors: `TooLarge`, `Invalid`.
pub fn decode(body: &[u8], packed: bool) -> Result<Batch, Refusal> {
    let unpacked;
    let json = if packed {
        unpacked = unpack(body)?;
        &unpacked[..]
    } else {
        body
    };
    if json.len() > UNPACKED_BYTES_MAX {
        return Err(Refusal::TooLarge(format!("batch is larger than {UNPACKED_BYTES_MAX} bytes")));
    }
    serde_json::from_slice(json).map_err(|error| Refusal::Invalid(format!("not a batch: {error}")))
}

fn unpack(body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let invalid = |error: std::io::Error| Refusal::Invalid(format!("not zstd: {error}"));
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(invalid)?;
    decoder.window_log_max(23).map_err(invalid)?;
    let mut out = Vec::new();
    decoder.take(UNPACKED_BYTES_MAX as u64 + 1).read_to_end(&mut out).map_err(invalid)?;
    if out.len() > UNPACKED_BYTES_MAX {
        return Err(Refusal::TooLarge(format!("batch unpacks to more than {UNPACKED_BYTES_MAX} bytes")));
    }
    Ok(out)
}

/// A batch that does not contradict itself.
#[derive(Clone, Debug)]
pub struct Checked {
    stream: String,
    epoch: String,
    first_seq: u64,
    previous: Hash,
    public_key: [u8; 32],
    head: Head,
    places: Vec<Placed>,
    verdicts: Vec<Verdict>,
}

impl Checked {
    /// Returns whose trail it is of.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    fn hash_before(&self, seq: u64) -> Option<Hash> {
        match seq.checked_sub(self.first_seq)? {
            0 => Some(self.previous),
            n => self.places.get(n as usize - 1).map(|place| place.hash),
        }
    }

    /// The hash after `seq`, as far as the batch says it. After a hole of unknown digest nobody can say.
    fn hash_after(&self, seq: u64) -> Option<Hash> {
        let place = seq.checked_sub(self.first_seq).and_then(|n| self.places.get(n as usize));
        if place.is_some_and(|place| place.what.ends_epoch()) { None } else { self.hash_before(seq + 1) }
    }
}

/// Checks a batch against itself: names, bounds, seqs, signature, chain, envelopes.
///
/// Errors: `TooLarge`, `Invalid`.
pub fn check(batch: Batch) -> Result<Checked, Refusal> {
    let invalid = |why: String| Err(Refusal::Invalid(why));
    for name in [&batch.stream, &batch.epoch] {
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return invalid(format!("stream and epoch are names of 1 to {NAME_BYTES_MAX} printable bytes"));
        }
    }
    if batch.events.len() > BATCH_EVENTS_MAX {
        return Err(Refusal::TooLarge(format!("batch has {} items, at most {BATCH_EVENTS_MAX}", batch.events.len())));
    }
    if batch.first_seq == 0 || batch.first_seq > SEQ_MAX || batch.head.seq > SEQ_MAX {
        return invalid("seqs begin at 1 and end where they no longer fit".to_owned());
    }
    if batch.head.stream != batch.stream || batch.head.epoch != batch.epoch {
        return invalid("the head is of another stream or epoch".to_owned());
    }
    let public_key =
        signed(&batch.head).ok_or_else(|| Refusal::Invalid("the head's signature does not hold".into()))?;

    let mut checked = Checked {
        first_seq: batch.first_seq,
        previous: batch.previous,
        public_key,
        places: Vec::with_capacity(batch.events.len()),
        verdicts: Vec::new(),
        stream: batch.stream,
        epoch: batch.epoch,
        head: batch.head,
    };
    let mut previous = batch.previous;
    let mut ended = false;
    for (seq, item) in (batch.first_seq..).zip(batch.events) {
        if ended {
            return invalid(format!("seq {seq} stands after a hole of unknown digest, which ends an epoch"));
        }
        let (hash, what) = match item {
            Item::Hole(hole) if hole.seq != seq => {
                return invalid(format!("a hole says seq {} where {seq} stands", hole.seq));
            }
            Item::Hole(hole) => match hole.sha256 {
                Some(digest) => (next_digest(previous, &digest.0), Place::Hole(hole)),
                None => {
                    ended = true;
                    (previous, Place::Hole(hole))
                }
            },
            Item::Event(raw) => {
                let digest = sha256(raw.get().as_bytes());
                let what = match read(raw.get()) {
                    Ok((bytes, index)) => Place::Event(bytes, Box::new(index)),
                    Err(reason) => {
                        checked.verdicts.push(Verdict { seq, reason: reason.clone() });
                        Place::Hole(Hole { seq, sha256: Some(Hash(digest)), reason: format!("quarantined: {reason}") })
                    }
                };
                (next_digest(previous, &digest), what)
            }
        };
        previous = hash;
        checked.places.push(Placed { seq, hash, what });
    }
    if checked.hash_after(checked.head.seq).is_some_and(|hash| hash != checked.head.hash) {
        return invalid("the signed head is not the hash of these items".to_owned());
    }
    Ok(checked)
}

fn read(text: &str) -> Result<(EventBytes, crate::archive::Index), String> {
    if text.len() > EVENT_BYTES_MAX {
        return Err(format!("event is larger than {EVENT_BYTES_MAX} bytes"));
    }
    if text.contains(['\n', '\r']) {
        return Err("event is more than one line".to_owned());
    }
    let bytes = EventBytes::parse(text.as_bytes()).map_err(|error| error.to_string())?;
    let index = index::of(&bytes).map_err(|error| error.to_string())?;
    Ok((bytes, index))
}

/// Returns the key a head is signed with, `None` where the signature does not hold.
pub(crate) fn signed(head: &Head) -> Option<[u8; 32]> {
    let public_key = unhex::<32>(&head.public_key)?;
    let signature = Signature::from_bytes(&unhex::<64>(&head.signature)?);
    let key = VerifyingKey::from_bytes(&public_key).ok()?;
    key.verify_strict(&head.signed_message(), &signature).ok().map(|()| public_key)
}

/// Compares a batch with what is archived and appends what is new.
///
/// What is already there with the same hash is skipped; with another hash it is a fork. A stream's
/// first batch binds it to the key of its head. The evidence of a fork is kept even though the batch
/// is refused, so the transaction must be committed in both cases.
/// Errors: the archive's. The inner error is the answer to the sender.
pub fn place(
    archive: &mut dyn Archive,
    batch: &Checked,
    subject: &str,
    now_ms: i64,
) -> Result<Result<BatchAnswer, Refusal>, ArchiveError> {
    let (stream, epoch) = (batch.stream.as_str(), batch.epoch.as_str());
    let bound = archive.stream(stream)?;
    let key = bound.as_ref().map_or(batch.public_key, |stream| stream.public_key);
    let cursor = archive.cursor(stream, epoch)?.unwrap_or_else(|| Cursor {
        epoch: epoch.to_owned(),
        acked_through: 0,
        head_hash: genesis(stream, epoch, &key),
    });

    if key != batch.public_key {
        let fork = evidence(batch, batch.head.seq, None, batch.head.hash);
        archive.put_fork(&fork, now_ms)?;
        let why = "the stream is bound to another device key".to_owned();
        return Ok(Err(Refusal::Fork { seq: fork.seq, why, cursor }));
    }
    if batch.first_seq == 1 && batch.previous != genesis(stream, epoch, &key) {
        return Ok(Err(Refusal::Invalid("the epoch does not begin with its device key".to_owned())));
    }
    if batch.first_seq > cursor.acked_through + 1 && !batch.places.is_empty() {
        return Ok(Err(Refusal::Gap(cursor)));
    }
    let new_from = cursor.acked_through + 1;
    let ended = has_ended(archive, batch, &cursor)?;
    if ended && batch.first_seq + batch.places.len() as u64 > new_from {
        return Ok(Err(Refusal::Ended(cursor.acked_through)));
    }
    if let Some(fork) = first_difference(archive, batch, &cursor, ended)? {
        let (seq, ours) = (fork.seq, fork.ours.is_some());
        archive.put_fork(&fork, now_ms)?;
        let why = if ours { "another event is archived in this place" } else { "a signed head said otherwise" };
        return Ok(Err(Refusal::Fork { seq, why: why.to_owned(), cursor }));
    }

    if bound.is_none() {
        let stream = Stream { id: stream.to_owned(), public_key: key, subject: subject.to_owned() };
        archive.put_stream(&stream, now_ms)?;
    }
    archive.put_head(&batch.head, now_ms)?;
    archive.heard(stream, now_ms)?;
    let known = new_from.saturating_sub(batch.first_seq) as usize;
    let mut new = batch.places.get(known..).unwrap_or_default().to_vec();
    for place in &mut new {
        once(archive, stream, place)?;
    }
    archive.append(stream, epoch, &new, now_ms)?;
    // Everything of the batch is archived now. No more than what was sent is acknowledged, so that a
    // device can refuse whoever claims more; an empty batch is told where the archive stands.
    let (acked_through, head_hash) =
        batch.places.last().map_or((cursor.acked_through, cursor.head_hash), |last| (last.seq, last.hash));
    let gaps = archive.gaps(stream)?.into_iter().filter(|gap| gap.epoch != epoch).collect();
    Ok(Ok(BatchAnswer {
        acked_through,
        head_hash,
        verdicts: batch.verdicts.clone(),
        gaps,
        retry_after: None,
        rotate: false,
    }))
}

/// Returns whether the epoch was ended by a hole of unknown digest.
fn has_ended(archive: &mut dyn Archive, batch: &Checked, cursor: &Cursor) -> Result<bool, ArchiveError> {
    let Some(before) = cursor.acked_through.checked_sub(1) else { return Ok(false) };
    let last = archive.rows_of(&batch.stream, &batch.epoch, before, 1)?;
    Ok(last.first().is_some_and(|row| row.what.as_ref().is_err_and(|hole| hole.sha256.is_none())))
}

/// Puts a hole in the place of an event that the stream has already, byte for byte, in another epoch: a
/// device that had to begin an epoch anew may not know what arrived in the one before.
fn once(archive: &mut dyn Archive, stream: &str, place: &mut Placed) -> Result<(), ArchiveError> {
    let Place::Event(bytes, index) = &place.what else { return Ok(()) };
    let Some(row) = archive.row_of_event(stream, &index.id)? else { return Ok(()) };
    if row.what.is_ok_and(|archived| archived == *bytes) {
        let reason = format!("archived already: epoch {}, seq {}", row.epoch, row.seq);
        let sha256 = Some(Hash(sha256(bytes.as_bytes())));
        place.what = Place::Hole(Hole { seq: place.seq, sha256, reason });
    }
    Ok(())
}

/// Returns the first place at which the batch and the archive tell different histories.
fn first_difference(
    archive: &mut dyn Archive,
    batch: &Checked,
    cursor: &Cursor,
    ended: bool,
) -> Result<Option<Fork>, ArchiveError> {
    let (stream, epoch) = (batch.stream.as_str(), batch.epoch.as_str());
    let mut archived = |seq: u64| match seq {
        0 => Ok(None),
        seq if seq == cursor.acked_through => Ok(Some(cursor.head_hash)),
        seq => archive.hash_at(stream, epoch, seq),
    };
    // The place before the batch, then its items, then what its head says of older places.
    let said = (batch.first_seq - 1..).zip(std::iter::once(batch.previous).chain(batch.places.iter().map(|p| p.hash)));
    for (seq, theirs) in said.take_while(|(seq, _)| *seq <= cursor.acked_through) {
        if let Some(ours) = archived(seq)?.filter(|ours| *ours != theirs) {
            return Ok(Some(evidence(batch, seq, Some(ours), theirs)));
        }
    }
    // What the device signed where its epoch ended can't be computed without the digest.
    let comparable = if ended { cursor.acked_through - 1 } else { cursor.acked_through };
    if batch.head.seq <= comparable
        && let Some(ours) = archived(batch.head.seq)?.filter(|ours| *ours != batch.head.hash)
    {
        return Ok(Some(evidence(batch, batch.head.seq, Some(ours), batch.head.hash)));
    }
    // Heads that were announced before their events came.
    let last = batch.places.last().map_or(cursor.acked_through, |place| place.seq);
    for announced in archive.heads(stream, epoch, cursor.acked_through + 1, last)? {
        if let Some(theirs) = batch.hash_after(announced.seq).filter(|hash| *hash != announced.hash) {
            return Ok(Some(evidence(batch, announced.seq, None, theirs)));
        }
    }
    Ok(None)
}

fn evidence(batch: &Checked, seq: u64, ours: Option<Hash>, theirs: Hash) -> Fork {
    let place = batch.places.iter().find(|place| place.seq == seq);
    Fork {
        stream: batch.stream.clone(),
        epoch: batch.epoch.clone(),
        seq,
        ours,
        theirs,
        bytes: place.and_then(|place| match &place.what {
            Place::Event(bytes, _) => Some(bytes.as_str().to_owned()),
            Place::Hole(_) => None,
        }),
        head: serde_json::to_string(&batch.head).expect("a head has string keys"),
    }
}
