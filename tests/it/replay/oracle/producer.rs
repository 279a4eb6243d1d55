//! Producers: processes that write numbered events and say which are acknowledged.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use countersign_event::EventBytes;
use countersign_spool::{Append, Class, Writer, append_once};
use serde_json::json;

use super::machine::Machine;
use crate::replay::{Device, full, light};
use crate::support::World;

const KIND: &str = "ORACLE_KIND";
const STATE: &str = "ORACLE_STATE";
const FIRST: &str = "ORACLE_FIRST";
/// How many events each would write if nobody stopped it.
pub(super) const EVENTS: u32 = 60;

/// Makes the `n`th event: always the same bytes.
pub(super) fn numbered(n: u32) -> Append {
    let append = match n % 10 {
        0 => full(n, &format!("c{n}"), &json!({ "path": "a.rs" }), &format!("text {n}")),
        _ => light(n),
    };
    // Clocks of producers jump by a year, forward and back.
    let year = ["2025", "2026", "2027"][n as usize / 7 % 3];
    let bytes = append.event.as_str().replace("\"time\":\"2026", &format!("\"time\":\"{year}"));
    let class = if n.is_multiple_of(3) { Class::Normal } else { Class::Full };
    Append { event: EventBytes::parse(bytes.as_bytes()).expect("an event"), class, ..append }
}

/// The producer's process; does nothing unless the environment says what.
#[test]
fn producer() {
    let Ok(state) = std::env::var(STATE) else { return };
    let state = Path::new(&state);
    let first: u32 = std::env::var(FIRST).expect("a number").parse().expect("a number");
    let numbers = first..first + EVENTS;
    if std::env::var(KIND).is_ok_and(|kind| kind == "hooks") {
        for n in numbers {
            let done = append_once(state, &[numbered(n)], Duration::from_millis(20)).is_ok();
            say(if done { "acknowledged" } else { "refused" }, n);
        }
        return;
    }
    let (writer, mut said) = (Writer::start(state), first);
    for n in numbers {
        writer.enqueue(numbered(n));
        if n % 7 == 0 && writer.flush(Duration::from_secs(2)).is_ok() {
            (said..=n).for_each(|n| say("acknowledged", n));
            said = n + 1;
        }
    }
    if writer.close(Duration::from_secs(20)).is_ok() {
        (said..first + EVENTS).for_each(|n| say("acknowledged", n));
    }
}

fn say(what: &str, n: u32) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{what} {n}").and_then(|()| out.flush()).expect("the test listens");
}

/// What a producer is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One short-lived call after the other.
    Hooks,
    /// A long-lived process with a writer thread.
    Editor,
    /// This process, which waits for each.
    Here,
}

/// A producer that runs, and what it has said so far.
pub(super) struct Producer {
    kind: Kind,
    first: u32,
    pub(super) child: Child,
    said: JoinHandle<Vec<(bool, u32)>>,
    pub(super) count: Arc<AtomicUsize>,
}

/// What became of a producer's events, as far as it said.
pub(super) struct Said {
    pub(super) kind: Kind,
    pub(super) first: u32,
    pub(super) acknowledged: Vec<u32>,
    /// It was told that there is no room.
    pub(super) refused: Vec<u32>,
    pub(super) was_killed: bool,
}

impl Producer {
    pub(super) fn start(world: &World, machine: &Machine, kind: Kind, first: u32) -> Producer {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command
            .args(["replay::oracle::producer::producer", "--exact", "--nocapture", "--test-threads=1"])
            .env(STATE, world.state())
            .env(KIND, if kind == Kind::Hooks { "hooks" } else { "editor" })
            .env(FIRST, first.to_string());
        machine.host(&mut command);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a producer starts");
        let out = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        let said = std::thread::spawn(move || {
            let word = |line: String| {
                // The test harness may have begun the line.
                let (before, n) = line.rsplit_once(' ')?;
                let done = before.ends_with("acknowledged");
                (done || before.ends_with("refused")).then_some((done, n.parse().ok()?))
            };
            let told = out.lines().map_while(Result::ok).filter_map(word);
            told.inspect(|_| {
                counter.fetch_add(1, Ordering::SeqCst);
            })
            .collect()
        });
        Producer { kind, first, child, said, count }
    }

    /// SIGKILL, unless it has ended.
    pub(super) fn kill(mut self) -> Said {
        let was_killed = self.child.try_wait().expect("its status").is_none();
        // It may have ended already.
        let _ = self.child.kill();
        self.child.wait().expect("it is gone");
        let said = self.said.join().expect("it was listened to");
        let numbers = |which: bool| said.iter().filter(|(done, _)| *done == which).map(|(_, n)| *n).collect();
        let (acknowledged, refused) = (numbers(true), numbers(false));
        Said { kind: self.kind, first: self.first, acknowledged, refused, was_killed }
    }
}
