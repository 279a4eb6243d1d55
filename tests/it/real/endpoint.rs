//! A model's endpoint on loopback: real HTTP, scripted answers.
//!
//! It is the only network an agent under test has. It is also set as the proxy, so that whatever the
//! agent tries to reach elsewhere arrives here and is refused.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

/// What an agent asked.
pub struct Request {
    /// Method and target.
    pub what: String,
    /// Null where there is no JSON.
    pub body: Value,
}

/// What the endpoint says to it, as JSON or as a stream of events.
pub struct Answer {
    pub content_type: &'static str,
    pub body: String,
}

impl Answer {
    pub fn json(body: &Value) -> Answer {
        Answer { content_type: "application/json", body: body.to_string() }
    }

    /// Server-sent events, each named by its `type` where it has one.
    pub fn events(events: &[Value]) -> Answer {
        let body = events.iter().map(|event| match event["type"].as_str() {
            Some(name) => format!("event: {name}\ndata: {event}\n\n"),
            None => format!("data: {event}\n\n"),
        });
        Answer { content_type: "text/event-stream", body: body.collect() }
    }
}

/// Answers, or has none: then the agent gets a 404.
pub type Script = Box<dyn Fn(&Request) -> Option<Answer> + Send + Sync>;

pub struct Endpoint {
    address: SocketAddr,
    ending: Arc<AtomicBool>,
    refused: Arc<Mutex<Vec<String>>>,
    accepting: Option<JoinHandle<()>>,
}

impl Endpoint {
    pub fn start(script: Script) -> Endpoint {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (ending, refused) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (end, refusals, script) = (Arc::clone(&ending), Arc::clone(&refused), Arc::new(script));
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let (refusals, script) = (Arc::clone(&refusals), Arc::clone(&script));
                // An agent that goes away in the middle is no failure of the endpoint.
                std::thread::spawn(move || stream.and_then(|stream| serve(&stream, &refusals, &script)));
            }
        });
        Endpoint { address, ending, refused, accepting: Some(accepting) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was asked for that is not here, such as another host.
    pub fn refused(&self) -> Vec<String> {
        self.refused.lock().unwrap().clone()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        if TcpStream::connect(self.address).is_ok() {
            let _ = self.accepting.take().map(JoinHandle::join);
        }
    }
}

/// One request, one answer, and the connection ends.
fn serve(stream: &TcpStream, refused: &Mutex<Vec<String>>, script: &Script) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    let request = read(&mut BufReader::new(stream))?;
    let answer = script(&request);
    if answer.is_none() {
        refused.lock().unwrap().push(request.what);
    }
    let (status, content_type, body) = match answer {
        Some(answer) => ("200 OK", answer.content_type, answer.body),
        None => ("404 Not Found", "application/json", "{}".to_owned()),
    };
    let mut out = stream;
    write!(
        out,
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\nrequest-id: req_scripted\r\nx-request-id: req_scripted\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )?;
    out.flush()
}

fn read(input: &mut impl BufRead) -> io::Result<Request> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    let what = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let (mut length, mut chunked) = (0, false);
    loop {
        let header = header_line(input)?;
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
        chunked |= header.starts_with("transfer-encoding:") && header.contains("chunked");
    }
    let mut body = Vec::new();
    if chunked {
        loop {
            let size = usize::from_str_radix(&header_line(input)?, 16).map_err(io::Error::other)?;
            input.take(size as u64).read_to_end(&mut body)?;
            header_line(input)?;
            if size == 0 {
                break;
            }
        }
    } else {
        input.take(length).read_to_end(&mut body)?;
    }
    Ok(Request { what, body: serde_json::from_slice(&body).unwrap_or(Value::Null) })
}

fn header_line(input: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    Ok(line.trim().to_ascii_lowercase())
}
