//! Moves bytes and lets somebody listen.
//!
//! A pump reads a chunk and writes the same chunk at once; a copy goes to the listener afterwards. It
//! never parses, re-frames, joins or holds anything back, and it never waits for the listener: what
//! doesn't fit into the listener's queue is counted and missing there, nowhere else.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use countersign_event::Timestamp;

use super::decode::Direction;
use super::sys::{self, Interest, Pipe};
use crate::shell::now;

/// One read. Larger than a pipe, so that a message written at once is read at once.
const CHUNK_BYTES: usize = 128 << 10;
/// Chunks that the listener has not looked at yet; beyond this it goes blind until it caught up.
const WAITING_BYTES_MAX: usize = 64 << 20;
/// What a chunk costs beside its bytes: many small ones fill the memory, too.
const CHUNK_COST: usize = 128;
/// How long the listener waits for an earlier chunk that is still being written.
const ORDER_WAIT: Duration = Duration::from_secs(1);

/// What a pump passed on.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// Which way it went.
    pub(crate) direction: Direction,
    /// When it was read.
    pub(crate) at: Timestamp,
    /// How many bytes of this direction are missing before it.
    pub(crate) missed: u64,
    /// The bytes.
    pub(crate) bytes: Vec<u8>,
    /// Its place among the chunks of both directions.
    order: u64,
}

/// Why a pump stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// There is nothing more to read.
    Source,
    /// Nobody reads any more what is written.
    Sink,
}

/// Copies everything from one side to the other until one of them ends.
pub(crate) fn pump(mut from: impl Read + Pipe, mut to: impl Write + Pipe, mouth: &Mouth) -> End {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) => return End::Source,
            Ok(n) => n,
            Err(error) if again(&error, &from, Interest::Read) => continue,
            Err(_) => return End::Source,
        };
        let heard = mouth.begin();
        let written = write_all(&mut to, &buffer[..n]);
        mouth.tell(heard, &buffer[..n]);
        if written.is_err() {
            return End::Sink;
        }
    }
}

fn write_all(to: &mut (impl Write + Pipe), mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match to.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(error) if again(&error, to, Interest::Write) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Says whether to try again; waits where the editor gave us an end that does not wait by itself.
fn again(error: &io::Error, pipe: &impl Pipe, interest: Interest) -> bool {
    match error.kind() {
        io::ErrorKind::Interrupted => true,
        io::ErrorKind::WouldBlock => sys::wait_until_ready(pipe, interest).is_ok(),
        _ => false,
    }
}

/// What both pumps and the listener share.
#[derive(Debug, Default)]
struct Shared {
    waiting_bytes: AtomicUsize,
    next_order: AtomicU64,
    /// For each direction the chunk between being read and being told, plus one; 0 for none.
    under_way: [AtomicU64; 2],
    /// For each direction the bytes that did not fit since the last chunk that did.
    missed: [AtomicU64; 2],
}

impl Shared {
    fn under_way(&self, direction: Direction) -> &AtomicU64 {
        &self.under_way[index(direction)]
    }
}

fn index(direction: Direction) -> usize {
    match direction {
        Direction::ToServer => 0,
        Direction::ToEditor => 1,
    }
}

/// The pump's end of the queue.
#[derive(Debug)]
pub(crate) struct Mouth {
    direction: Direction,
    queue: Sender<Told>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
enum Told {
    Chunk(Chunk),
    End,
}

/// A chunk that was read and is being written.
#[derive(Clone, Copy, Debug)]
struct Begun {
    order: u64,
    at: Timestamp,
}

impl Mouth {
    /// Takes the chunk's place in the order, before anybody can have answered it.
    fn begin(&self) -> Begun {
        let order = self.shared.next_order.fetch_add(1, Ordering::SeqCst);
        self.shared.under_way(self.direction).store(order + 1, Ordering::SeqCst);
        Begun { order, at: now() }
    }

    fn tell(&self, Begun { order, at }: Begun, bytes: &[u8]) {
        let cost = bytes.len() + CHUNK_COST;
        if self.shared.waiting_bytes.load(Ordering::Relaxed) + cost > WAITING_BYTES_MAX {
            self.shared.missed[index(self.direction)].fetch_add(bytes.len() as u64, Ordering::Relaxed);
        } else {
            self.shared.waiting_bytes.fetch_add(cost, Ordering::Relaxed);
            let missed = self.shared.missed[index(self.direction)].swap(0, Ordering::Relaxed);
            let chunk = Chunk { direction: self.direction, at, missed, bytes: bytes.to_vec(), order };
            // Without a listener the pump is all there is.
            let _ = self.queue.send(Told::Chunk(chunk));
        }
        self.shared.under_way(self.direction).store(0, Ordering::SeqCst);
    }
}

/// Says from outside what the pumps are doing, and ends the listening.
#[derive(Debug)]
pub(crate) struct Watch {
    queue: Sender<Told>,
    shared: Arc<Shared>,
}

impl Watch {
    /// Says whether a chunk of this direction is being written right now.
    pub(crate) fn is_writing(&self, direction: Direction) -> bool {
        self.shared.under_way(direction).load(Ordering::SeqCst) != 0
    }

    /// Returns how many chunks have passed in both directions.
    pub(crate) fn passed(&self) -> u64 {
        self.shared.next_order.load(Ordering::SeqCst)
    }

    /// Tells the listener that nothing more will come.
    pub(crate) fn end(&self) {
        let _ = self.queue.send(Told::End);
    }
}

/// The listener's end of the queue: the chunks of both directions in the order they were read.
///
/// The two pumps tell in the order they finish writing. A server may answer a chunk before the pump
/// that wrote it has told; so a chunk waits here while an earlier one of the other direction is still
/// under way.
#[derive(Debug)]
pub(crate) struct Ear {
    queue: Receiver<Told>,
    shared: Arc<Shared>,
    held: [VecDeque<Chunk>; 2],
    ended: bool,
}

/// What the listener heard.
#[derive(Debug)]
pub(crate) enum Heard {
    /// The next chunk.
    Chunk(Chunk),
    /// Nothing until the deadline.
    Silence,
    /// Nothing more will come; so many bytes at the end are missing.
    End {
        /// How many, of both directions.
        missed: u64,
    },
}

/// Makes the ends for the two pumps, the one to watch them, and the listener's.
pub(crate) fn listen() -> (Mouth, Mouth, Watch, Ear) {
    let (queue, told) = mpsc::channel();
    let shared = Arc::new(Shared::default());
    let mouth = |direction| Mouth { direction, queue: queue.clone(), shared: Arc::clone(&shared) };
    (
        mouth(Direction::ToServer),
        mouth(Direction::ToEditor),
        Watch { queue: queue.clone(), shared: Arc::clone(&shared) },
        Ear { queue: told, shared: Arc::clone(&shared), held: [VecDeque::new(), VecDeque::new()], ended: false },
    )
}

impl Ear {
    /// Waits for the next chunk, at most so long.
    pub(crate) fn next(&mut self, wait: Duration) -> Heard {
        let until = Instant::now() + wait;
        let mut held_since = None;
        loop {
            let under_way = [Direction::ToServer, Direction::ToEditor].map(|direction| {
                match self.shared.under_way(direction).load(Ordering::SeqCst) {
                    0 => u64::MAX,
                    order => order - 1,
                }
            });
            // What was under way a moment ago may have been told since.
            while let Ok(told) = self.queue.try_recv() {
                self.take(told);
            }
            let first = match (self.held[0].front(), self.held[1].front()) {
                (Some(a), Some(b)) => Some(usize::from(b.order < a.order)),
                (Some(_), None) => Some(0),
                (None, Some(_)) => Some(1),
                (None, None) => None,
            };
            let Some(first) = first else {
                if self.ended {
                    let missed = self.shared.missed.iter().map(|missed| missed.swap(0, Ordering::Relaxed)).sum();
                    return Heard::End { missed };
                }
                match self.queue.recv_timeout(until.saturating_duration_since(Instant::now())) {
                    Ok(told) => self.take(told),
                    Err(RecvTimeoutError::Timeout) => return Heard::Silence,
                    Err(RecvTimeoutError::Disconnected) => self.ended = true,
                }
                continue;
            };
            let order = self.held[first].front().map_or(0, |chunk| chunk.order);
            let waited = held_since.get_or_insert_with(Instant::now).elapsed();
            let earlier = under_way[1 - first] < order && self.held[1 - first].is_empty();
            if earlier && waited < ORDER_WAIT && !self.ended {
                if let Ok(told) = self.queue.recv_timeout(Duration::from_millis(1)) {
                    self.take(told);
                }
                continue;
            }
            let chunk = self.held[first].pop_front().expect("it has a front");
            self.shared.waiting_bytes.fetch_sub(chunk.bytes.len() + CHUNK_COST, Ordering::Relaxed);
            return Heard::Chunk(chunk);
        }
    }

    fn take(&mut self, told: Told) {
        match told {
            Told::Chunk(chunk) => self.held[index(chunk.direction)].push_back(chunk),
            Told::End => self.ended = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Duration = Duration::ZERO;

    fn bytes(heard: Heard) -> Vec<u8> {
        match heard {
            Heard::Chunk(chunk) => chunk.bytes,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_answer_told_before_its_question_is_heard_after_it() {
        let (question, answer, watch, mut ear) = listen();
        let asked = question.begin();
        let answered = answer.begin();
        answer.tell(answered, b"answer");
        let teller = std::thread::spawn(move || {
            question.tell(asked, b"question");
            question
        });
        assert_eq!(bytes(ear.next(Duration::from_secs(10))), b"question");
        assert_eq!(bytes(ear.next(Duration::from_secs(10))), b"answer");
        drop(teller.join());
        watch.end();
        assert!(matches!(ear.next(NOTHING), Heard::End { missed: 0 }));
    }

    #[test]
    fn a_chunk_that_waits_for_nobody_is_heard_at_once() {
        let (_question, answer, _watch, mut ear) = listen();
        let begun = answer.begin();
        answer.tell(begun, b"a");
        assert_eq!(bytes(ear.next(NOTHING)), b"a");
        assert!(matches!(ear.next(NOTHING), Heard::Silence));
    }

    #[test]
    fn a_listener_that_falls_behind_misses_bytes_and_is_told_how_many() {
        let (mouth, _other, watch, mut ear) = listen();
        let big = vec![0; WAITING_BYTES_MAX - CHUNK_COST];
        for chunk in [&big[..], b"lost", b"lost"] {
            let begun = mouth.begin();
            mouth.tell(begun, chunk);
        }
        assert_eq!(bytes(ear.next(NOTHING)).len(), big.len());
        let begun = mouth.begin();
        mouth.tell(begun, b"seen");
        let Heard::Chunk(chunk) = ear.next(NOTHING) else { panic!() };
        assert_eq!((chunk.missed, chunk.bytes.as_slice()), (8, b"seen".as_slice()));
        for chunk in [&big[..], b"the end"] {
            let begun = mouth.begin();
            mouth.tell(begun, chunk);
        }
        assert_eq!(bytes(ear.next(NOTHING)).len(), big.len());
        watch.end();
        assert!(matches!(ear.next(NOTHING), Heard::End { missed: 7 }));
    }
}
