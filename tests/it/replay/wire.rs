//! HTTP by hand, with and without TLS: collectors that lie, break or stay silent, and a go-between that
//! loses answers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use countersign_event::batch::Batch;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

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
    /// Send these bytes; after a success that does not say otherwise, go on.
    Raw(Vec<u8>),
    /// Send these bytes, then more of them than anybody wants.
    Flood(Vec<u8>),
    /// Send these bytes, then one at a time, and never end.
    Trickle(Vec<u8>),
    /// Send these bytes, then close.
    Last(Vec<u8>),
    /// Never answer.
    Hang,
    /// Close at once.
    Close,
    /// Close so that the other side is told that its connection is gone (RST).
    Reset,
    /// Send half of these bytes, then as `Reset`; under TLS in the middle of a record.
    Torn(Vec<u8>),
}

/// What to do with a connection before anything is read.
#[derive(Clone, Copy, Debug)]
pub enum Greeting {
    /// Read requests.
    Welcome,
    /// RST at the first word.
    Reset,
    /// Send something that is neither HTTP nor TLS, then close.
    Garbage,
    /// Never say anything.
    Silence,
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
    serve_greeting(None, || Greeting::Welcome, reply)
}

/// As [`serve`], under TLS where there is a certificate, with a word on each new connection.
pub fn serve_greeting(
    tls: Option<&Certificate>,
    greet: impl Fn() -> Greeting + Send + Sync + 'static,
    reply: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let scheme = if tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}", listener.local_addr().expect("an address"));
    let count = Arc::new(AtomicUsize::new(0));
    let tls = tls.map(|it| Arc::clone(&it.server));
    let counter = Arc::clone(&count);
    let (greet, reply) = (Arc::new(greet), Arc::new(reply));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (counter, greet, reply, tls) =
                (Arc::clone(&counter), Arc::clone(&greet), Arc::clone(&reply), tls.clone());
            std::thread::spawn(move || match greet() {
                Greeting::Welcome => {
                    let tls = tls.map(|tls| ServerConnection::new(tls).expect("a connection"));
                    let mut peer = match tls {
                        Some(tls) => Peer::Tls(Box::new(StreamOwned::new(tls, stream))),
                        None => Peer::Plain(stream),
                    };
                    talk(&mut peer, &counter, reply.as_ref());
                }
                Greeting::Reset => {
                    let _ = (&stream).read(&mut [0; 64]);
                    reset(&stream);
                }
                // It may be gone before it hears it.
                Greeting::Garbage => drop((&stream).write_all(b"\x16\x03SSH-2.0-wrong_door\r\n")),
                Greeting::Silence => listen(stream),
            });
        }
    });
    (url, count)
}

/// A server's certificate for loopback.
pub struct Certificate {
    server: Arc<ServerConfig>,
    /// Who vouches for it, PEM.
    pub authority: String,
}

impl Certificate {
    pub fn new() -> Certificate {
        let mut authority = rcgen::CertificateParams::default();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().expect("a key");
        let issuer = rcgen::CertifiedIssuer::self_signed(authority, key).expect("an authority");
        let key = rcgen::KeyPair::generate().expect("a key");
        let named = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).expect("a name");
        let certificate = named.signed_by(&key, &issuer).expect("a certificate");
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let server = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .expect("a certificate with its key");
        Certificate { server: Arc::new(server), authority: issuer.pem() }
    }
}

/// Whoever is at the other end.
enum Peer {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Peer {
    fn socket(&self) -> &TcpStream {
        match self {
            Peer::Plain(stream) => stream,
            Peer::Tls(stream) => &stream.sock,
        }
    }

    /// What would travel if these bytes were sent.
    fn on_the_wire(&mut self, bytes: &[u8]) -> Vec<u8> {
        let Peer::Tls(stream) = self else { return bytes.to_vec() };
        let mut wire = Vec::new();
        let _ = stream.conn.writer().write_all(bytes);
        while stream.conn.wants_write() {
            stream.conn.write_tls(&mut wire).expect("memory takes everything");
        }
        wire
    }
}

impl Read for Peer {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Peer::Plain(stream) => stream.read(into),
            Peer::Tls(stream) => stream.read(into),
        }
    }
}

impl Write for Peer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Peer::Plain(stream) => stream.write(bytes),
            Peer::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Peer::Plain(stream) => stream.flush(),
            Peer::Tls(stream) => stream.flush(),
        }
    }
}

fn talk(peer: &mut Peer, counter: &AtomicUsize, reply: &(dyn Fn(&Request) -> Reply + Send + Sync)) {
    while let Some((whole, body_at)) = read_message(peer) {
        let request = Request { number: counter.fetch_add(1, Ordering::SeqCst), whole, body_at };
        match reply(&request) {
            Reply::Raw(bytes) => {
                let goes_on =
                    bytes.starts_with(b"HTTP/1.1 2") && !bytes.windows(17).any(|it| it == b"connection: close");
                // The other side may have gone away; that is its affair.
                if peer.write_all(&bytes).and_then(|()| peer.flush()).is_err() || !goes_on {
                    return;
                }
            }
            Reply::Flood(head) => {
                let mut going = peer.write_all(&head).is_ok();
                while going {
                    going = peer.write_all(&[b' '; 64 << 10]).is_ok();
                }
                return;
            }
            Reply::Trickle(head) => {
                let mut going = peer.write_all(&head).is_ok();
                while going {
                    std::thread::park_timeout(std::time::Duration::from_millis(10));
                    going = peer.write_all(b" ").is_ok();
                }
                return;
            }
            Reply::Last(bytes) => {
                let _ = peer.write_all(&bytes).and_then(|()| peer.flush());
                return;
            }
            Reply::Close => return,
            Reply::Reset => return reset(peer.socket()),
            Reply::Torn(bytes) => {
                let mut wire = peer.on_the_wire(&bytes);
                wire.truncate(wire.len() / 2);
                // The other side may have gone away; that is its affair.
                let _ = peer.socket().write_all(&wire);
                return reset(peer.socket());
            }
            Reply::Hang => return listen(peer),
        }
    }
}

/// Reads what comes until the other side has had enough.
fn listen(mut from: impl Read) {
    while matches!(from.read(&mut [0; 64]), Ok(n) if n > 0) {}
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
fn read_message(stream: &mut impl Read) -> Option<(Vec<u8>, usize)> {
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
