//! After a long outage: the backlog drains in flat memory, from the language server itself, and typing
//! costs what it costs otherwise.
//!
//! `COUNTERSIGN_OUTAGE_EVENTS=4000000` makes the backlog so large, `COUNTERSIGN_LONG=1` ten million
//! events, which take about 16 GB of disk.

use std::fs;
use std::time::{Duration, Instant};

use countersign_spool::Spool;
use serde_json::json;

use super::{Collector, Device, light, path};
use crate::lsp::client::Client;
use crate::support::{DEADLINE, World, is_long, memory_kib};

const URI: &str = "file:///home/dev/outage.py";

/// An editor with one document, and how many changes it made.
struct Editor {
    client: Client,
    version: i64,
}

impl Editor {
    fn start(world: &World) -> Editor {
        let mut client = Client::initialized(world, json!({}));
        client.open(URI, "python", 0, &"    value = compute(argument, other)\n".repeat(1_000));
        let mut editor = Editor { client, version: 0 };
        // The first ones wait for the spool to be opened.
        editor.keystrokes(50);
        editor
    }

    /// How long so many keystrokes take, each with a question right behind it.
    fn keystrokes(&mut self, count: u32) -> Vec<Duration> {
        let key = |_| {
            let start = Instant::now();
            self.version += 1;
            self.client.change(URI, self.version, &[(500, 4, 500, 4, "x")]);
            self.client.request("countersign/status", json!({}));
            start.elapsed()
        };
        (0..count).map(key).collect()
    }
}

fn percentiles(times: &mut [Duration]) -> String {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    format!("p50 {:.0?}, p99 {:.0?}, longest {:.0?}", at(50), at(99), at(100))
}

#[test]
fn a_long_backlog_drains_in_flat_memory_while_somebody_types() {
    let asked = std::env::var("COUNTERSIGN_OUTAGE_EVENTS").ok().map(|it| it.parse().expect("a number"));
    let backlog: u32 = asked.unwrap_or(if is_long() { 10_000_000 } else { 20_000 });
    let world = World::new();
    let mut spool = Spool::open(&world.state()).expect("a spool");
    spool.set_max_bytes(u64::MAX);
    for first in (0..backlog).step_by(5_000) {
        spool.append(&(first..backlog.min(first + 5_000)).map(light).collect::<Vec<_>>()).expect("a group");
    }
    drop(spool);
    let config = world.home().join("config/config.toml");
    fs::create_dir_all(config.parent().expect("a directory")).expect("it can be made");
    let bound = format!("[spool]\nmax_bytes = {}\n", i64::MAX);
    fs::write(&config, &bound).expect("a configuration");
    let mut editor = Editor::start(&world);
    let mut alone = editor.keystrokes(1_000);
    editor.client.finish();

    let collector = Collector::start(&world);
    let (to, token) = (collector.url(), world.token("device"));
    let online = format!("{bound}[collector]\nurl = {to:?}\ntoken_file = {:?}\n", path(&token));
    fs::write(&config, online).expect("a configuration");
    let started = Instant::now();
    let mut editor = Editor::start(&world);
    let (mut beside, mut memory) = (Vec::new(), Vec::new());
    let mut last = (u64::MAX, Instant::now());
    loop {
        let waiting = world.pending(&to);
        // Its own few events come and go.
        if waiting < 50 {
            break;
        }
        if waiting < last.0 {
            last = (waiting, Instant::now());
        }
        assert!(last.1.elapsed() < DEADLINE, "{waiting} events wait and nothing moves");
        beside.extend(editor.keystrokes(20));
        let done = 100 - (waiting * 100 / u64::from(backlog)).min(100);
        memory.push((done, memory_kib(editor.client.id()), memory_kib(collector.child.id())));
    }
    let took = started.elapsed();
    let of = |is_late: bool| {
        let part = memory.iter().filter(|it| (it.0 > 50) == is_late);
        part.map(|it| (it.1, it.2)).reduce(|a, b| (a.0.max(b.0), a.1.max(b.1))).expect("it was looked at")
    };
    let (early, late) = (of(false), of(true));
    eprintln!(
        "outage: {backlog} events in {took:.1?}, {:.0} a second; resident at most in the first half and in the second: \
         server {} kB, {} kB; collector {} kB, {} kB; a keystroke without: {}; while it drains ({}): {}",
        f64::from(backlog) / took.as_secs_f64(),
        early.0,
        late.0,
        early.1,
        late.1,
        percentiles(&mut alone),
        beside.len(),
        percentiles(&mut beside)
    );
    // What a drain holds is a batch; a backlog kept in memory would be tens of megabytes.
    assert!(late.0 < early.0 + 8 * 1024, "the server grew from {} to {} kB", early.0, late.0);
    assert!(late.1 < early.1 + 8 * 1024, "the collector grew from {} to {} kB", early.1, late.1);
    editor.client.finish();
    assert!(world.replay_once(&to, &token).status.success());
    assert_eq!(world.verified()["ok"], true);
    if asked.is_none() && !is_long() {
        assert_eq!(world.archived(), world.spooled());
    }
}
