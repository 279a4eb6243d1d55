//! HTTP by hand: collectors that lie, break or stay silent, and a go-between that loses answers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use countersign_event::batch::Batch;

/// One request as it came.
#[derive(Clone)]
pub struct Request {
    /// Its number on this server, from 0.
    pub number: usize,
    /// Everything, byte for byte.
    pub whole: Vec<u8>,
    body_at: usize,
}

impl Request {
    pub fn line(&self) -> String {
        let head = String::from_utf8_lossy(&self.whole[..self.body_at]);
        head.lines().next().unwrap_or_default().to_owned()
    }

    /// What was sent, as it came.
    pub fn body(&self) -> &[u8] {
        &self.whole[self.body_at..]
    }

    /// The same request with another body.
    pub fn with_body(&self, body: &[u8]) -> Request {
        let head = String::from_utf8_lossy(&self.whole[..self.body_at]);
        let is_other = |line: &&str| !line.to_lowercase().starts_with("content-length:");
        let mut whole: Vec<u8> =
            head.trim_end().lines().filter(is_other).flat_map(|line| format!("{line}\r\n").into_bytes()).collect();
        whole.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        let body_at = whole.len();
        whole.extend_from_slice(body);
        Request { number: self.number, whole, body_at }
    }

    /// The batch that was sent.
    pub fn batch(&self) -> Batch {
        let json = zstd::decode_all(self.body()).expect("batches are packed");
        serde_json::from_slice(&json).expect("a batch")
    }
}

/// What to do with a request.
pub enum Reply {
    /// Send these bytes, then close.
    Raw(Vec<u8>),
    /// Send these bytes, then more of them than anybody wants.
    Flood(Vec<u8>),
    /// Send these bytes, then one at a time, and never end.
    Trickle(Vec<u8>),
    /// Never answer.
    Hang,
    /// Close at once.
    Close,
    /// Close so that the other side is told that its connection is gone (RST).
    Reset,
}

/// Writes an answer.
pub fn answer(status: &str, kind: &str, body: &str) -> Reply {
    Reply::Raw(
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
        .into_bytes(),
    )
}

/// Listens on loopback and answers as told until the test ends. Returns the URL and how many requests came.
pub fn serve(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let count = Arc::new(AtomicUsize::new(0));
    let (counter, reply) = (Arc::clone(&count), Arc::new(reply));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (counter, reply) = (Arc::clone(&counter), Arc::clone(&reply));
            std::thread::spawn(move || talk(stream, &counter, reply.as_ref()));
        }
    });
    (url, count)
}

fn talk(mut stream: TcpStream, counter: &AtomicUsize, reply: &(dyn Fn(&Request) -> Reply + Send + Sync)) {
    while let Some((whole, body_at)) = read_message(&mut stream) {
        let request = Request { number: counter.fetch_add(1, Ordering::SeqCst), whole, body_at };
        match reply(&request) {
            Reply::Raw(bytes) => {
                let goes_on =
                    bytes.starts_with(b"HTTP/1.1 2") && !bytes.windows(17).any(|it| it == b"connection: close");
                // The other side may have gone away; that is its affair.
                if stream.write_all(&bytes).is_err() || !goes_on {
                    return;
                }
            }
            Reply::Flood(head) => {
                let mut going = stream.write_all(&head).is_ok();
                while going {
                    going = stream.write_all(&[b' '; 64 << 10]).is_ok();
                }
                return;
            }
            Reply::Trickle(head) => {
                let mut going = stream.write_all(&head).is_ok();
                while going {
                    std::thread::park_timeout(std::time::Duration::from_millis(10));
                    going = stream.write_all(b" ").is_ok();
                }
                return;
            }
            Reply::Close => return,
            Reply::Reset => return reset(&stream),
            Reply::Hang => while matches!(stream.read(&mut [0; 64]), Ok(n) if n > 0) {},
        }
    }
}

#[cfg(unix)]
pub fn reset(stream: &TcpStream) {
    rustix::net::sockopt::set_socket_linger(stream, Some(std::time::Duration::ZERO)).expect("a socket");
}

#[cfg(not(unix))]
pub fn reset(_: &TcpStream) {}

/// Passes a request on and returns the answer; `None` where nobody answers.
pub fn pass_on(request: &Request, to: SocketAddr) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(to).ok()?;
    stream.write_all(&request.whole).ok()?;
    read_message(&mut stream).map(|(whole, _)| whole)
}

/// Reads one message with its body; returns where that begins.
fn read_message(stream: &mut TcpStream) -> Option<(Vec<u8>, usize)> {
    let mut whole = Vec::new();
    let mut chunk = [0; 16 << 10];
    loop {
        if let Some(end) = whole.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&whole[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.map_or(0, |text| text.trim().parse().expect("a length"));
            if whole.len() >= end + 4 + length {
                return Some((whole, end + 4));
            }
        }
        match stream.read(&mut chunk) {
            Ok(n) if n > 0 => whole.extend_from_slice(&chunk[..n]),
            _ => return None,
        }
    }
}
