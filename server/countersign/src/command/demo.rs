//! `countersign demo`: the whole story for real, in a temporary directory.
//!
//! A real collector, a real tap around a stand-in that plays a recorded Copilot session, the real
//! language server, and an editor's side that drives both. Half-way the collector is killed; the
//! editing goes on; the collector comes back; the spool drains. Nothing here is pretended: every
//! figure is read from the trail.

mod editor;
mod ground;
mod recording;
mod report;

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use countersign_event::facts;
use countersign_provenance::text::{Change, Encoding, Text};
use serde_json::{Value, json};
use tower_lsp::ls_types::Uri;

use crate::cli::DemoArgs;
use crate::error::Failure;
use crate::paint::Paint;
use editor::Server;
use ground::{FILE, Ground};
use recording::Said;

/// Nothing in the story takes this long.
const PATIENCE: Duration = Duration::from_secs(15);

/// Runs `countersign demo`.
pub(crate) fn run(args: &DemoArgs) -> Result<ExitCode, Failure> {
    let ground = Ground::prepare(args.keep)?;
    ground.clean_up_on_signals()?;
    let mut story = Story::begin(&ground)?;
    story.play()?;
    let story = story.end()?;
    report::print(&ground, &story)?;
    let mut out = std::io::stdout().lock();
    if args.serve {
        let token = ground.token("responder")?;
        writeln!(out, "\nThe collector stays at {}; a responder's token is in {}.", story.collector, token.display())?;
        writeln!(out, "Ctrl-C ends it.")?;
        drop(out);
        loop {
            std::thread::park();
        }
    }
    if args.keep {
        writeln!(out, "\nEverything is kept in {}", ground.path("").display())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is remembered of the story for its last page.
pub(super) struct Told {
    /// The collector's address.
    pub(super) collector: String,
    /// Events that waited when the collector came back.
    pub(super) waited: u64,
    /// How long it was away.
    pub(super) outage: Duration,
    /// How long the spool took to drain after it came back.
    pub(super) drain: Duration,
    /// Hints the editor showed, as `rule line`.
    pub(super) hints: Vec<String>,
}

struct Story<'a> {
    ground: &'a Ground,
    paint: Paint,
    uri: String,
    text: Text,
    server: Server,
    tap: Server,
    collector: std::net::SocketAddr,
    killed_at: Option<Instant>,
    accepted: u32,
    hints: Vec<String>,
}

impl<'a> Story<'a> {
    fn begin(ground: &'a Ground) -> Result<Story<'a>, Failure> {
        let paint = Paint::for_stdout();
        say(&paint.bold("Countersign: the audit trail for AI-written code"))?;
        say(&paint.dim("A real collector, a real tap around recorded Copilot traffic, the real language server."))?;
        say("")?;
        let collector = ground.start_collector(([127, 0, 0, 1], 0).into())?;
        ground.configure(collector, &ground.token("device")?)?;
        step(paint, "collector", &format!("listens on http://{collector}"))?;
        let uri = Uri::from_file_path(ground.file())
            .ok_or_else(|| Failure::could_not("the temporary directory has no file URI"))?
            .as_str()
            .to_owned();
        let recording = ground.path("session.jsonl");
        std::fs::write(&recording, recording::text(&uri))
            .map_err(|error| Failure::from_error("cannot write the recording", &error))?;
        let mut server = Server::start("the language server", &mut ground.countersign(&["lsp"]))?;
        server.ask(&initialize(&uri), PATIENCE)?;
        server.send(&json!({"jsonrpc": "2.0", "method": "initialized", "params": {}}))?;
        let mut tapped = ground.countersign(&["tap", "--"]);
        tapped.arg(std::env::current_exe().map_err(|error| Failure::from_error("this program", &error))?);
        tapped.arg("demo-server").arg(&recording);
        let tap = Server::start("the tap", &mut tapped)?;
        step(paint, "editor", "starts `countersign lsp`, and the AI server behind `countersign tap --`")?;
        Ok(Story {
            ground,
            paint,
            uri,
            text: Text::new(""),
            server,
            tap,
            collector,
            killed_at: None,
            accepted: 0,
            hints: Vec::new(),
        })
    }

    /// Says everything the recorded editor said, to the tap and to the language server.
    fn play(&mut self) -> Result<(), Failure> {
        let mut asked: Option<(String, Value)> = None;
        for said in recording::editor_side(&recording::text(&self.uri))? {
            // The server may ask back before it answers, so only a further step waits for the answer.
            if !matches!(said, Said::Answer(_))
                && let Some((method, id)) = asked.take()
            {
                self.answered(&method, &id)?;
            }
            match said {
                Said::Request(method, _) if method == "shutdown" => break,
                Said::Notification(method, message) => self.notify(&method, &message)?,
                Said::Request(method, message) => {
                    self.tap.send(&message)?;
                    asked = Some((method, message["id"].clone()));
                }
                Said::Answer(message) => {
                    let id = message["id"].clone();
                    self.tap.wait("a request of its own", PATIENCE, |m| m.get("method").is_some() && m["id"] == id)?;
                    self.tap.send(&message)?;
                }
            }
        }
        self.correct()
    }

    fn notify(&mut self, method: &str, message: &Value) -> Result<(), Failure> {
        self.tap.send(message)?;
        match method {
            "textDocument/didOpen" => {
                self.text = Text::new(message["params"]["textDocument"]["text"].as_str().unwrap_or_default());
                self.server.send(message)?;
            }
            "textDocument/didChange" => {
                self.server.send(message)?;
                for change in message["params"]["contentChanges"].as_array().into_iter().flatten() {
                    self.apply(change)?;
                }
            }
            "textDocument/didClose" => self.server.send(message)?,
            _ => {}
        }
        Ok(())
    }

    fn apply(&mut self, change: &Value) -> Result<(), Failure> {
        let range: Option<facts::Range> = serde_json::from_value(change["range"].clone()).ok();
        let change = Change { range, text: change["text"].as_str().unwrap_or_default().to_owned() };
        self.text
            .apply(&change, Encoding::Utf16)
            .map_err(|error| Failure::from_error("the recording has an impossible edit", &error))?;
        Ok(())
    }

    fn answered(&mut self, method: &str, id: &Value) -> Result<(), Failure> {
        let answer = self.tap.answer(method, id, PATIENCE)?;
        match method {
            "textDocument/inlineCompletion" => {
                let offered = answer.pointer("/result/items/0/insertText").and_then(Value::as_str).unwrap_or_default();
                let first = offered.lines().next().unwrap_or_default().trim();
                let more = offered.lines().count().saturating_sub(1);
                let more = if more == 0 {
                    String::new()
                } else {
                    format!(" (+{more} line{})", if more == 1 { "" } else { "s" })
                };
                step(self.paint, "copilot", &format!("offers {}{more}", self.paint.cyan(first)))?;
            }
            "workspace/executeCommand" => {
                self.accepted += 1;
                step(self.paint, "you", &self.paint.green("accept it"))?;
                self.after_acceptance()?;
            }
            _ => {}
        }
        Ok(())
    }

    /// What the story does between the recorded acts.
    fn after_acceptance(&mut self) -> Result<(), Failure> {
        match self.accepted {
            1 => {
                self.save()?;
                self.hint("shell-injection")?;
                self.ground.drained(PATIENCE)?;
                step(self.paint, "spool", "everything so far is at the collector")?;
                self.ground.kill_collector();
                self.killed_at = Some(Instant::now());
                step(self.paint, "collector", &self.paint.red("killed (SIGKILL); you notice nothing"))
            }
            2 => {
                step(self.paint, "you", "had typed your own code over the offer before that one")?;
                self.hint("tls-off")
            }
            _ => Ok(()),
        }
    }

    /// Waits for the hint the editor shows.
    fn hint(&mut self, rule: &str) -> Result<(), Failure> {
        let what = format!("a hint {rule}");
        let message = self.server.wait(&what, PATIENCE, |message| {
            message["method"] == "textDocument/publishDiagnostics"
                && diagnostics(message).iter().any(|diagnostic| diagnostic["code"] == rule)
        })?;
        let found = diagnostics(&message).into_iter().find(|diagnostic| diagnostic["code"] == rule);
        let found = found.unwrap_or_default();
        let line = found.pointer("/range/start/line").and_then(Value::as_u64).unwrap_or_default() + 1;
        self.hints.push(format!("{rule} {FILE}:{line}"));
        let text = found["message"].as_str().unwrap_or_default();
        step(self.paint, "hint", &format!("{} {FILE}:{line} {text}", self.paint.yellow(rule)))
    }

    /// The person changed `verify=False` to `verify=True`: the hint must go.
    fn correct(&mut self) -> Result<(), Failure> {
        self.server.wait("that the hint is gone", PATIENCE, |message| {
            message["method"] == "textDocument/publishDiagnostics"
                && diagnostics(message).iter().all(|diagnostic| diagnostic["code"] != "tls-off")
        })?;
        step(self.paint, "you", "change verify=False to verify=True inside the AI's line; its hint is gone")?;
        self.save()
    }

    fn save(&mut self) -> Result<(), Failure> {
        std::fs::write(self.ground.file(), self.text.to_string())
            .map_err(|error| Failure::from_error("cannot save", &error))?;
        self.server.send(&json!({"jsonrpc": "2.0", "method": "textDocument/didSave",
            "params": {"textDocument": {"uri": self.uri}}}))
    }

    /// Brings the collector back and waits until nothing waits any more.
    fn end(self) -> Result<Told, Failure> {
        let Story { ground, paint, mut server, tap, collector, killed_at, hints, uri, .. } = self;
        server.send(&json!({"jsonrpc": "2.0", "method": "textDocument/didClose",
            "params": {"textDocument": {"uri": uri}}}))?;
        tap.quit(PATIENCE)?;
        let waited = ground.pending()?;
        step(paint, "spool", &paint.yellow(&format!("{waited} events wait on your disk")))?;
        ground.start_collector(collector)?;
        let outage = killed_at.map_or(Duration::ZERO, |at| at.elapsed());
        step(paint, "collector", &paint.green(&format!("is back after {:.1} s", outage.as_secs_f64())))?;
        let start = Instant::now();
        server.quit(PATIENCE)?;
        ground.output(&["replay", "--once"])?;
        let drain = start.elapsed();
        step(paint, "spool", &format!("drained in {:.1} s; nothing was lost", drain.as_secs_f64()))?;
        Ok(Told { collector: format!("http://{collector}"), waited, outage, drain, hints })
    }
}

fn initialize(uri: &str) -> Value {
    let root = uri.rsplit_once('/').map_or(uri, |(root, _)| root);
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "processId": std::process::id(),
        "clientInfo": {"name": "countersign demo", "version": env!("CARGO_PKG_VERSION")},
        "workspaceFolders": [{"uri": root, "name": "project"}],
        "capabilities": {"general": {"positionEncodings": ["utf-16"]},
            "textDocument": {"publishDiagnostics": {"versionSupport": true}}},
    }})
}

fn diagnostics(message: &Value) -> Vec<Value> {
    message["params"]["diagnostics"].as_array().cloned().unwrap_or_default()
}

fn step(paint: Paint, who: &str, what: &str) -> Result<(), Failure> {
    say(&format!("  {} {what}", paint.dim(&format!("{who:10}"))))
}

fn say(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}
