//! Our two ends of the editor's pipes, non-blocking where the system can.
//!
//! Tokio's own standard streams pass every byte through a helper thread: three times the latency.
//! `fstat` says what an end is: editors give pipes or sockets; files and terminals keep the slow way.
//! Reading never waits for writing: what goes out is queued, and a task of its own writes it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};

/// What a client that does not read may keep waiting. Beyond it, messages are dropped and counted.
const OUTPUT_BYTES_MAX: usize = 64 << 20;

/// Where messages come from.
pub(crate) type Input = Pin<Box<dyn AsyncRead + Send>>;
/// Where messages go to.
pub(crate) type Output = Pin<Box<dyn AsyncWrite + Send>>;

/// Returns standard input and output. Must be called inside the runtime.
#[cfg(unix)]
pub(crate) fn ends() -> (Input, Output) {
    use std::io;
    use std::os::fd::{AsFd, OwnedFd};

    use rustix::fs::FileType;
    use tokio::net::UnixStream;
    use tokio::net::unix::pipe;

    fn kind(fd: &OwnedFd) -> Option<FileType> {
        rustix::fs::fstat(fd).ok().map(|stat| FileType::from_raw_mode(stat.st_mode))
    }
    fn socket(fd: OwnedFd) -> io::Result<UnixStream> {
        let stream = std::os::unix::net::UnixStream::from(fd);
        stream.set_nonblocking(true)?;
        UnixStream::from_std(stream)
    }
    fn input() -> io::Result<Input> {
        let fd = io::stdin().as_fd().try_clone_to_owned()?;
        match kind(&fd) {
            Some(FileType::Fifo) => Ok(Box::pin(pipe::Receiver::from_owned_fd(fd)?)),
            Some(FileType::Socket) => Ok(Box::pin(socket(fd)?)),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
    fn output() -> io::Result<Output> {
        let fd = io::stdout().as_fd().try_clone_to_owned()?;
        match kind(&fd) {
            Some(FileType::Fifo) => Ok(Box::pin(pipe::Sender::from_owned_fd(fd)?)),
            Some(FileType::Socket) => Ok(Box::pin(socket(fd)?)),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
    (
        input().unwrap_or_else(|_| Box::pin(tokio::io::stdin())),
        output().unwrap_or_else(|_| Box::pin(tokio::io::stdout())),
    )
}

/// Returns standard input and output. Must be called inside the runtime.
#[cfg(not(unix))]
pub(crate) fn ends() -> (Input, Output) {
    (Box::pin(tokio::io::stdin()), Box::pin(tokio::io::stdout()))
}

enum Outgoing {
    Body(Vec<u8>),
    /// Answers when everything before is written.
    Flush(oneshot::Sender<()>),
}

/// The way out. Cheap to clone; sending never waits.
#[derive(Clone)]
pub(crate) struct Outbox {
    queue: mpsc::UnboundedSender<Outgoing>,
    waiting: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
}

impl Outbox {
    /// Starts the task that writes to `output`. It ends with the last `Outbox`, or when nobody reads any more.
    pub(crate) fn start(mut output: Output) -> Outbox {
        let (queue, mut messages) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let outbox = Outbox { queue, waiting: waiting.clone(), dropped: Arc::default() };
        tokio::spawn(async move {
            let mut batch = Vec::new();
            let mut chunk = Vec::new();
            while messages.recv_many(&mut batch, 64).await > 0 {
                let mut flushed = Vec::new();
                for message in batch.drain(..) {
                    match message {
                        Outgoing::Body(body) => {
                            chunk.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
                            chunk.extend_from_slice(&body);
                            waiting.fetch_sub(body.len(), Ordering::Relaxed);
                        }
                        Outgoing::Flush(done) => flushed.push(done),
                    }
                }
                if output.write_all(&chunk).await.is_err() || output.flush().await.is_err() {
                    return;
                }
                chunk.clear();
                chunk.shrink_to(1 << 20);
                for done in flushed {
                    // Whoever waited may have given up.
                    let _ = done.send(());
                }
            }
        });
        outbox
    }

    /// Queues a message's body.
    pub(crate) fn send(&self, body: Vec<u8>) {
        if self.waiting.load(Ordering::Relaxed) + body.len() > OUTPUT_BYTES_MAX {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.waiting.fetch_add(body.len(), Ordering::Relaxed);
        // The writer has ended: nobody reads. The end of the input will tell.
        let _ = self.queue.send(Outgoing::Body(body));
    }

    /// Returns how many messages were dropped since the last call because nobody read.
    pub(crate) fn take_dropped(&self) -> usize {
        self.dropped.swap(0, Ordering::Relaxed)
    }

    /// Waits until everything sent so far is written, or nobody reads any more.
    pub(crate) async fn flushed(&self) {
        let (done, wait) = oneshot::channel();
        if self.queue.send(Outgoing::Flush(done)).is_ok() {
            let _ = wait.await;
        }
    }
}
