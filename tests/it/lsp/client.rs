//! A small editor: typed enough to read well, with a deadline on every wait.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::{DEADLINE, World, wait_for};

/// The server as a process of its own, and what it said.
pub struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
    incoming: Receiver<Value>,
    /// Messages that came while something else was awaited, in their order.
    unread: Vec<Value>,
    last_id: i64,
    /// Dropped to let the reader begin.
    deaf: Option<Sender<()>>,
}

impl Client {
    /// Starts the server and does not introduce itself yet.
    pub fn start(world: &World) -> Client {
        Client::spawn(world.countersign(["lsp"]))
    }

    /// As [`Client::start`] with a command of one's own.
    pub fn spawn(command: Command) -> Client {
        let mut client = Client::spawn_deaf(command);
        client.listen();
        client
    }

    /// As [`Client::spawn`], but nothing the server says is read before [`Client::listen`].
    pub fn spawn_deaf(mut command: Command) -> Client {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("countersign starts");
        let stdin = child.stdin.take();
        let mut stdout = child.stdout.take().expect("a pipe");
        let (sender, incoming) = channel();
        let (deaf, gate) = channel::<()>();
        std::thread::spawn(move || {
            // Ends with an error when the other side is dropped: that is the sign to begin.
            let _ = gate.recv();
            while let Some(message) = read(&mut stdout) {
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        Client { child, stdin, incoming, unread: Vec::new(), last_id: 0, deaf: Some(deaf) }
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends the server a signal.
    #[cfg(unix)]
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    /// Begins to read what the server says.
    pub fn listen(&mut self) {
        self.deaf = None;
    }

    /// Starts the server and introduces itself with these capabilities.
    pub fn initialized(world: &World, capabilities: Value) -> Client {
        let mut client = Client::start(world);
        client.initialize(json!({ "processId": null, "rootUri": null, "capabilities": capabilities }));
        client
    }

    /// Introduces itself; returns the answer.
    pub fn initialize(&mut self, params: Value) -> Value {
        let answer = self.request("initialize", params);
        self.notify("initialized", json!({}));
        answer
    }

    /// Sends bytes as they are.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        stdin.write_all(bytes).and_then(|()| stdin.flush()).expect("the server reads");
    }

    /// Sends one message.
    pub fn send(&mut self, message: &Value) {
        let body = message.to_string();
        self.send_raw(format!("Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
    }

    /// Tells something.
    pub fn notify(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    /// Asks something and does not wait; returns the id.
    pub fn ask(&mut self, method: &str, params: Value) -> i64 {
        self.last_id += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params }));
        self.last_id
    }

    /// Waits for the answer to an id: the whole message.
    pub fn answer(&mut self, id: i64) -> Value {
        self.wait(&format!("the answer to {id}"), |message| message["id"] == id && message.get("method").is_none())
    }

    /// Asks something and insists on a result.
    pub fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.ask(method, params);
        let answer = self.answer(id);
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// Waits for a notification or request of the server.
    pub fn told(&mut self, method: &str) -> Value {
        self.wait(method, |message| message["method"] == method)
    }

    /// Waits for the first message that fits, and takes it.
    pub fn wait(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.unread.iter().position(&fits) {
            return self.unread.remove(at);
        }
        let end = Instant::now() + DEADLINE;
        loop {
            match self.incoming.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(message) if fits(&message) => return message,
                Ok(message) => self.unread.push(message),
                Err(RecvTimeoutError::Timeout) => panic!("waited {DEADLINE:?} for {what}; came: {:?}", self.unread),
                Err(RecvTimeoutError::Disconnected) => panic!("the server ended before {what}"),
            }
        }
    }

    /// Opens a document.
    pub fn open(&mut self, uri: &str, language: &str, version: i64, text: &str) {
        self.notify(
            "textDocument/didOpen",
            json!({ "textDocument": { "uri": uri, "languageId": language, "version": version, "text": text } }),
        );
    }

    /// Changes a document: `(start line, start character, end line, end character, text)` each.
    pub fn change(&mut self, uri: &str, version: i64, edits: &[(u32, u32, u32, u32, &str)]) {
        let changes: Vec<Value> = edits
            .iter()
            .map(|(sl, sc, el, ec, text)| {
                json!({ "range": { "start": { "line": sl, "character": sc },
                                   "end": { "line": el, "character": ec } }, "text": text })
            })
            .collect();
        self.notify(
            "textDocument/didChange",
            json!({ "textDocument": { "uri": uri, "version": version }, "contentChanges": changes }),
        );
    }

    /// Replaces the whole document.
    pub fn replace(&mut self, uri: &str, version: i64, text: &str) {
        self.notify(
            "textDocument/didChange",
            json!({ "textDocument": { "uri": uri, "version": version }, "contentChanges": [{ "text": text }] }),
        );
    }

    /// Closes a document.
    pub fn close(&mut self, uri: &str) {
        self.notify("textDocument/didClose", json!({ "textDocument": { "uri": uri } }));
    }

    /// Who wrote what.
    pub fn attribution(&mut self, uri: &str) -> Value {
        self.request("countersign/attribution", json!({ "textDocument": { "uri": uri } }))
    }

    /// The spans in a line: `human 0:0-0:5 | ai 0:5-1:0`; `null` for a closed document.
    pub fn spans(&mut self, uri: &str) -> String {
        let attribution = self.attribution(uri);
        if attribution.is_null() {
            return "null".to_owned();
        }
        if attribution["synchronised"] == false {
            return "unsynchronised".to_owned();
        }
        let spans = attribution["spans"].as_array().expect("spans");
        let span = |span: &Value| {
            let at = |end: &str| format!("{}:{}", span["range"][end]["line"], span["range"][end]["character"]);
            format!("{} {}-{}", span["origin"].as_str().expect("an origin"), at("start"), at("end"))
        };
        spans.iter().map(span).collect::<Vec<_>>().join(" | ")
    }

    /// Closes our end of the server's input.
    pub fn hang_up(&mut self) {
        self.stdin = None;
    }

    /// Waits for the end of the process.
    pub fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        wait_for("the end of the server", || child.try_wait().expect("its status"))
    }

    /// Ends as an editor does; insists on success.
    pub fn finish(mut self) {
        self.request("shutdown", Value::Null);
        self.notify("exit", Value::Null);
        let status = self.ended();
        assert!(status.success(), "{status:?}");
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // A test that failed must not leave a server behind; one that ended is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads one message; `None` at the end.
fn read(stdout: &mut impl Read) -> Option<Value> {
    let mut header = Vec::new();
    while !header.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stdout.read_exact(&mut byte).ok()?;
        header.push(byte[0]);
    }
    let header = String::from_utf8(header).expect("a header");
    let length = header.strip_prefix("Content-Length: ").expect("a length first").trim().parse().expect("a number");
    let mut body = vec![0; length];
    stdout.read_exact(&mut body).ok()?;
    Some(serde_json::from_slice(&body).expect("JSON"))
}
