//! The oracle: whatever is cut, lost, doubled, delayed or killed, what was acknowledged arrives once.
//!
//! Producers write numbered events and say each number once it is acknowledged; replayers send through
//! a go-between that breaks things; producers, replayers and collectors are killed; some run with a
//! full disk. Then everything is left in peace once, and the archive is held against what was said.
//!
//! A run is what its seed makes it, as far as real processes allow. `COUNTERSIGN_SEED=7,8` runs these,
//! `COUNTERSIGN_LONG=1` a thousand. Clocks jump in the events alone: no process is given another clock.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use countersign_event::EventBytes;
use countersign_event::digest::{hex, sha256};
use countersign_spool::{Append, Class, Spool, append_once};
use serde_json::{Value, json};

use super::wire::{Reply, Request, answer, pass_on, serve};
use super::{Collector, Device, full, light, path};
use crate::support::{World, json_lines};

const STATE: &str = "ORACLE_STATE";
const FIRST: &str = "ORACLE_FIRST";

/// Numbers that are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }
}

/// Makes the `n`th event: always the same bytes.
fn numbered(n: u32) -> Append {
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
    let mut spool = Spool::open(state).ok();
    for n in first..first + 60 {
        let append = [numbered(n)];
        let done = match &mut spool {
            Some(spool) if n % 4 > 0 => spool.append(&append).is_ok(),
            _ => append_once(state, &append, Duration::from_millis(20)).is_ok(),
        };
        if done {
            use std::io::Write;
            let mut out = std::io::stdout().lock();
            writeln!(out, "acknowledged {n}").and_then(|()| out.flush()).expect("the test listens");
        }
    }
}

/// A producer that runs, and what it has said so far.
struct Producer {
    child: Child,
    said: JoinHandle<Vec<u32>>,
    count: Arc<AtomicUsize>,
}

impl Producer {
    fn start(world: &World, first: u32, blocks: Option<u64>) -> Producer {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command
            .args(["replay::oracle::producer", "--exact", "--nocapture", "--test-threads=1"])
            .env(STATE, world.state())
            .env(FIRST, first.to_string());
        let mut command = match blocks {
            Some(blocks) => limited(&command, blocks),
            None => command,
        };
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a producer starts");
        let out = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        let said = std::thread::spawn(move || {
            let numbers = out.lines().map_while(Result::ok);
            numbers
                .filter_map(|line| line.rsplit_once("acknowledged ").and_then(|(_, n)| n.parse().ok()))
                .inspect(|_| {
                    counter.fetch_add(1, Ordering::SeqCst);
                })
                .collect()
        });
        Producer { child, said, count }
    }

    /// SIGKILL. Returns every number it said.
    fn kill(mut self) -> Vec<u32> {
        // It may have ended already.
        let _ = self.child.kill();
        self.child.wait().expect("it is gone");
        self.said.join().expect("it was listened to")
    }
}

/// The same command, with a disk that has room for files of so many blocks of 512 bytes and no more.
fn limited(command: &Command, blocks: u64) -> Command {
    let mut limited = Command::new("sh");
    // Without the signal, a write beyond it is an error like that of a full disk.
    limited.args(["-c", "trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"", "sh", &blocks.to_string()]);
    limited.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        limited.current_dir(dir);
    }
    limited.stdin(Stdio::null());
    limited
}

/// So many blocks and a few more than a file has now.
fn blocks_beyond(file: &Path, more: u64) -> u64 {
    std::fs::metadata(file).map_or(0, |it| it.len()).max(40 << 10) / 512 + more
}

/// What the go-between does to one request.
fn fault(dice: &mut Dice, request: &Request, to: std::net::SocketAddr, late: &Mutex<Vec<Request>>) -> Reply {
    let passed = || pass_on(request, to);
    let really = |passed: Option<Vec<u8>>| passed.map_or(Reply::Close, Reply::Raw);
    let html = "<html>It works!</html>";
    let kind = "application/json";
    match dice.below(56) {
        0 | 1 => Reply::Close,
        2 | 3 => {
            passed();
            Reply::Close
        }
        4 => Reply::Reset,
        5 => {
            passed();
            Reply::Reset
        }
        // Twice, and only the second answer is told.
        6 | 7 => {
            passed();
            really(passed())
        }
        // An older request comes again, after newer ones.
        8 | 9 => {
            let answer = passed();
            let older = late.lock().unwrap().pop();
            if let Some(older) = older {
                pass_on(&older, to);
            }
            really(answer)
        }
        10 => Reply::Hang,
        11 => {
            passed();
            Reply::Hang
        }
        12 => answer("500 Oops", "text/plain", "oops"),
        13 => answer("503 Busy\r\nretry-after: 7", kind, r#"{"error":"busy"}"#),
        14 => answer("429 Slowly\r\nretry-after: 1", kind, r#"{"error":"slowly"}"#),
        15 => answer("429 Slowly\r\nretry-after: soon", "text/html", html),
        16 => answer("413 Large", "text/html", html),
        17 => answer("400 Bad", "text/html", html),
        18 => answer("401 No", kind, r#"{"error":"no"}"#),
        19 => answer("404 Nothing", "text/html", html),
        20 => answer("200 OK", "text/html", html),
        21 => answer("200 OK", kind, "[]"),
        22 => answer("200 OK", kind, r#"{"acked_through":"all","head_hash":7}"#),
        23 => answer("200 OK", kind, r#"{"acked_through":18446744073709551616,"head_hash":""}"#),
        24 => {
            let mut whole = passed().unwrap_or_default();
            whole.truncate(whole.len() * 2 / 3);
            Reply::Raw(whole)
        }
        // It was taken, and the answer says too much, or something else.
        25 | 26 if request.line().contains("/v1/batches") => {
            passed();
            let (batch, more) = (request.batch(), dice.below(2));
            let through = batch.first_seq - 1 + batch.events.len() as u64 + more * 100;
            answer("200 OK", kind, &json!({ "acked_through": through, "head_hash": "00".repeat(32) }).to_string())
        }
        // It goes back in time: true, and not what it has.
        27 if request.line().contains("/v1/batches") => {
            let batch = request.batch();
            let told = json!({ "acked_through": batch.first_seq - 1, "head_hash": batch.previous });
            answer("200 OK", kind, &told.to_string())
        }
        // It can never take the first of these.
        28 if request.line().contains("/v1/batches") && !request.batch().events.is_empty() => {
            let batch = request.batch();
            let told = json!({
                "acked_through": batch.first_seq - 1, "head_hash": batch.previous,
                "verdicts": [{ "seq": batch.first_seq, "reason": "never" }],
            });
            answer("200 OK", kind, &told.to_string())
        }
        _ => {
            let answer = passed();
            let again = Request::clone(request);
            late.lock().unwrap().push(again);
            really(answer)
        }
    }
}

/// Waits until something is so, but never long: then the kill just comes later.
fn until(mut ready: impl FnMut() -> bool, most: Duration) {
    let start = Instant::now();
    while !ready() && start.elapsed() < most {
        std::thread::park_timeout(Duration::from_millis(3));
    }
}

fn one_run(seed: u64) -> String {
    let mut dice = Dice(seed);
    let world = World::new();
    let mut collector = Collector::start(&world);
    let token = world.token("device");
    let address = collector.address;
    let (peace, faults) = (Arc::new(AtomicBool::new(false)), Mutex::new(Dice(seed ^ 0xfa17)));
    let (late, calm) = (Mutex::new(Vec::new()), Arc::clone(&peace));
    let (to, requests) = serve(move |request| {
        if calm.load(Ordering::SeqCst) {
            return pass_on(request, address).map_or(Reply::Close, Reply::Raw);
        }
        let mut dice = Dice(faults.lock().unwrap().below(u64::MAX));
        fault(&mut dice, request, address, &late)
    });

    let mut acknowledged = BTreeSet::new();
    let (mut replays, mut kills) = (0, 0);
    for round in 0..3_u32 {
        let producers: Vec<Producer> = (0..2)
            .map(|i| {
                let full =
                    (dice.below(3) == 0).then(|| blocks_beyond(&world.state().join("spool.db-wal"), dice.below(40)));
                Producer::start(&world, round * 1_000 + i * 100, full)
            })
            .collect();
        until(|| producers.iter().any(|it| it.count.load(Ordering::SeqCst) > 5), Duration::from_secs(5));
        for _ in 0..3 {
            let seen = requests.load(Ordering::SeqCst) as u64 + dice.below(8);
            // One that leaves at the first trouble, or one that tries again until it is killed.
            let mut command = world.replay(&to, &token);
            if dice.below(2) == 0 {
                command.arg("--once");
            }
            let mut replayer = match dice.below(6) {
                0 => limited(&command, blocks_beyond(&world.state().join("spool.db-wal"), dice.below(20))),
                _ => command,
            }
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("replay starts");
            replays += 1;
            let is_killed = dice.below(2) == 0;
            until(
                || {
                    let enough = is_killed && requests.load(Ordering::SeqCst) as u64 > seen;
                    enough || replayer.try_wait().expect("its status").is_some()
                },
                Duration::from_millis(500),
            );
            if dice.below(4) == 0 {
                kills += 1;
                collector.kill();
                let command =
                    world.countersign(["collect", "--data", path(&collector.data), "--listen", &address.to_string()]);
                let command = match dice.below(3) {
                    0 => {
                        limited(&command, blocks_beyond(&collector.data.join("archive.db-wal"), 200 + dice.below(200)))
                    }
                    _ => command,
                };
                let mut command = command;
                command.stderr(Stdio::null());
                collector = Collector::launch(command, collector.data.clone());
            }
            // It may have ended, or hang on a connection that says nothing.
            let _ = replayer.kill();
            replayer.wait().expect("it is gone");
        }
        let patient = dice.below(2) == 0;
        for mut producer in producers {
            if patient {
                until(|| producer.child.try_wait().expect("its status").is_some(), Duration::from_secs(5));
            }
            acknowledged.extend(producer.kill());
        }
    }

    peace.store(true, Ordering::SeqCst);
    collector.restart(&world);
    // What waits in the inbox is taken in by whoever writes next.
    let mut spool = Spool::open(&world.state()).expect("the spool opens");
    for _ in 0..10 {
        spool.append(&[]).expect("letters are taken in");
    }
    spool.barrier().expect("a barrier");
    drop(spool);
    let output = world.replay_once(&to, &token);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let requests = requests.load(Ordering::SeqCst);
    judge(&world, &acknowledged, &to)
        + &format!(", {requests} requests of {replays} replayers, {kills} collectors killed")
}

/// Every acknowledged event is in the archive once and byte-equal, or a hole with its digest and a gap.
fn judge(world: &World, acknowledged: &BTreeSet<u32>, to: &str) -> String {
    let (spooled, archived) = (world.spooled(), world.archived());
    let events: Vec<&str> = spooled.lines().collect();
    assert_eq!(events.len(), archived.lines().count(), "as many events here as there");
    let (mut holes, mut kept) = (0, 0);
    for (here, there) in events.iter().zip(archived.lines()) {
        if here == &there {
            kept += usize::from(here.contains("\"kept\":"));
            continue;
        }
        let told: Value = json_lines(there.as_bytes()).remove(0);
        let place = format!("\"subject\":\"{}/{}\"", told["epoch"].as_str().expect("an epoch"), told["hole"]["seq"]);
        assert!(told["hole"]["reason"].as_str().is_some_and(|it| it.starts_with("quarantined")), "{here}\n{there}");
        let whole = here.split_once("\"event\":").expect("an event").1.strip_suffix('}').expect("an object");
        assert_eq!(told["hole"]["sha256"], hex(&sha256(whole.as_bytes())), "{here}\n{there}");
        let gaps = archived.lines().filter(|line| line.contains("trail.gap") && line.contains(&place)).count();
        assert_eq!(gaps, 1, "the hole is named in a gap: {there}");
        holes += 1;
    }
    for n in acknowledged {
        let bytes = numbered(*n).event;
        let times = spooled.matches(bytes.as_str()).count();
        assert_eq!(times, 1, "event {n} was acknowledged and is in the spool {times} times");
    }
    assert_eq!(world.pending(to), 0);
    let verified = world.verified();
    assert_eq!(verified["ok"], true, "{verified}");
    assert_eq!(world.json(["verify", "--json"])[0]["ok"], true);
    assert_eq!(verified["contents"]["ok"], kept, "every text came: {verified}");
    format!("{} acknowledged, {} archived, {holes} holes, {kept} texts", acknowledged.len(), events.len())
}

#[test]
fn whatever_breaks_what_was_acknowledged_arrives_once_or_is_named() {
    let seeds = match std::env::var("COUNTERSIGN_SEED") {
        Ok(seeds) => seeds.split(',').map(|seed| seed.parse().expect("a number")).collect::<Vec<u64>>(),
        Err(_) if std::env::var_os("COUNTERSIGN_LONG").is_some_and(|it| it == "1") => (1..=1_000).collect(),
        Err(_) => (1..=10).collect(),
    };
    // A run mostly waits: for answers that never come, and for others to get somewhere.
    let (seeds, failed) = (Mutex::new(seeds.into_iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(seed) = { seeds.lock().unwrap().next() } {
                    match std::panic::catch_unwind(|| one_run(seed)) {
                        Ok(told) => eprintln!("oracle: seed {seed}: {told}"),
                        Err(_) => failed.lock().unwrap().push(seed),
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "failed with COUNTERSIGN_SEED={failed:?}");
}
