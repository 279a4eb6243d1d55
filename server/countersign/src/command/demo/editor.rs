//! The editor's end of one language server: a real process, spoken to as an editor speaks to it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::error::Failure;

/// A language server, or a tap around one, as a child process.
pub(super) struct Server {
    name: &'static str,
    child: Child,
    stdin: Option<ChildStdin>,
    messages: Receiver<Value>,
    unread: Vec<Value>,
}

impl Server {
    /// Starts the process and a thread that reads what it says.
    pub(super) fn start(name: &'static str, command: &mut Command) -> Result<Server, Failure> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| Failure::from_error(&format!("cannot start {name}"), &error))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or_else(|| Failure::could_not(format!("{name} has no output")))?;
        let (sender, messages) = mpsc::channel();
        std::thread::spawn(move || {
            let mut stdout = BufReader::new(stdout);
            while let Some(message) = read_message(&mut stdout) {
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        Ok(Server { name, child, stdin, messages, unread: Vec::new() })
    }

    /// Sends one message.
    pub(super) fn send(&mut self, message: &Value) -> Result<(), Failure> {
        let body = message.to_string();
        let frame = format!("Content-Length: {}\r\n\r\n{body}", body.len());
        let stdin = self.stdin.as_mut().ok_or_else(|| Failure::could_not(format!("{} is closed", self.name)))?;
        stdin
            .write_all(frame.as_bytes())
            .and_then(|()| stdin.flush())
            .map_err(|error| Failure::from_error(&format!("cannot write to {}", self.name), &error))
    }

    /// Waits for a message that `wanted` recognises; others are kept for later.
    pub(super) fn wait(
        &mut self,
        what: &str,
        deadline: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value, Failure> {
        if let Some(at) = self.unread.iter().position(&wanted) {
            return Ok(self.unread.remove(at));
        }
        let start = Instant::now();
        loop {
            let left = deadline.saturating_sub(start.elapsed());
            match self.messages.recv_timeout(left) {
                Ok(message) if wanted(&message) => return Ok(message),
                Ok(message) => self.unread.push(message),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(Failure::could_not(format!("{} did not send {what} in {deadline:?}", self.name)));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Failure::could_not(format!("{} ended before it sent {what}", self.name)));
                }
            }
        }
    }

    /// Sends a request and waits for its answer.
    pub(super) fn ask(&mut self, message: &Value, deadline: Duration) -> Result<Value, Failure> {
        self.send(message)?;
        self.answer(message["method"].as_str().unwrap_or_default(), &message["id"], deadline)
    }

    /// Waits for the answer to a request.
    pub(super) fn answer(&mut self, method: &str, id: &Value, deadline: Duration) -> Result<Value, Failure> {
        let what = format!("an answer to {method}");
        self.wait(&what, deadline, |answer| answer.get("method").is_none() && answer["id"] == *id)
    }

    /// Says goodbye as an editor does and waits for the process to end.
    pub(super) fn quit(mut self, deadline: Duration) -> Result<(), Failure> {
        self.ask(&json!({"jsonrpc": "2.0", "id": "demo-shutdown", "method": "shutdown"}), deadline)?;
        self.end(deadline)
    }

    /// Sends `exit`, closes the input and waits for the process to end.
    pub(super) fn end(mut self, deadline: Duration) -> Result<(), Failure> {
        self.send(&json!({"jsonrpc": "2.0", "method": "exit"}))?;
        self.stdin = None;
        let start = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(_)) => return Ok(()),
                Ok(None) if start.elapsed() < deadline => std::thread::park_timeout(Duration::from_millis(5)),
                Ok(None) => return Err(Failure::could_not(format!("{} did not end in {deadline:?}", self.name))),
                Err(error) => return Err(Failure::from_error(self.name, &error)),
            }
        }
    }
}

impl Drop for Server {
    /// Whatever went wrong, the demonstration leaves no process behind.
    fn drop(&mut self) {
        self.stdin = None;
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

fn read_message(input: &mut impl BufRead) -> Option<Value> {
    let mut length = None;
    loop {
        let mut line = String::new();
        if input.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok();
        }
    }
    let mut body = vec![0; length?];
    input.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}
