//! The queue in front of the actor: in arrival order, never waiting, bounded by bytes.
//!
//! When it is full, what does not fit is refused and the sender says what that means; nothing is
//! dropped silently here.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;

/// What may wait, in bytes.
pub(crate) const MAILBOX_BYTES_MAX: usize = 64 << 20;
/// What one message costs beside its text.
const OVERHEAD: usize = 256;

/// The sending side. Cheap to clone.
pub(crate) struct Mailbox<E> {
    queue: mpsc::UnboundedSender<(usize, E)>,
    waiting: Arc<AtomicUsize>,
    bytes_max: usize,
}

impl<E> Clone for Mailbox<E> {
    fn clone(&self) -> Self {
        Mailbox { queue: self.queue.clone(), waiting: self.waiting.clone(), bytes_max: self.bytes_max }
    }
}

/// The receiving side.
pub(crate) struct Inbox<E> {
    queue: mpsc::UnboundedReceiver<(usize, E)>,
    waiting: Arc<AtomicUsize>,
}

/// Makes a mailbox that holds at most `bytes_max`.
pub(crate) fn mailbox<E>(bytes_max: usize) -> (Mailbox<E>, Inbox<E>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    (Mailbox { queue: sender, waiting: waiting.clone(), bytes_max }, Inbox { queue: receiver, waiting })
}

impl<E> Mailbox<E> {
    /// Queues an event with `bytes` of text, or gives it back when there is no room.
    pub(crate) fn push(&self, bytes: usize, event: E) -> Result<(), E> {
        let cost = bytes + OVERHEAD;
        if self.waiting.load(Ordering::Relaxed) + cost > self.bytes_max {
            return Err(event);
        }
        self.waiting.fetch_add(cost, Ordering::Relaxed);
        self.queue.send((cost, event)).map_err(|mpsc::error::SendError((_, event))| event)
    }

    /// Queues an event that must not be lost: at most a few per document and process.
    pub(crate) fn push_always(&self, event: E) {
        self.waiting.fetch_add(OVERHEAD, Ordering::Relaxed);
        // The actor ends only with the process.
        let _ = self.queue.send((OVERHEAD, event));
    }
}

impl<E> Inbox<E> {
    /// Takes the next event; `None` when nobody can send any more.
    pub(crate) async fn next(&mut self) -> Option<E> {
        let (cost, event) = self.queue.recv().await?;
        self.waiting.fetch_sub(cost, Ordering::Relaxed);
        Some(event)
    }

    /// Takes the next event if there is one.
    #[cfg(test)]
    pub(crate) fn try_next(&mut self) -> Option<E> {
        let (cost, event) = self.queue.try_recv().ok()?;
        self.waiting.fetch_sub(cost, Ordering::Relaxed);
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_given_back_and_room_comes_back_with_taking() {
        let (mailbox, mut inbox) = mailbox(1024);
        assert_eq!(mailbox.push(600, "a"), Ok(()));
        assert_eq!(mailbox.push(600, "b"), Err("b"));
        mailbox.push_always("marker");
        assert_eq!(inbox.try_next(), Some("a"));
        assert_eq!(inbox.try_next(), Some("marker"));
        assert_eq!(mailbox.push(600, "b"), Ok(()));
        assert_eq!(inbox.try_next(), Some("b"));
    }
}
