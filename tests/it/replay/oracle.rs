//! The oracle: whatever is cut, lost, doubled, delayed or killed, what was acknowledged arrives once.
//!
//! Producers write numbered events and say each number once it is acknowledged; replayers send through
//! a go-between that breaks things; producers, replayers and collectors are killed; disks fill up and
//! clocks jump by a year while they run. Then everything is left in peace once, and the archive is held
//! against what was said.
//!
//! A run is what its seed makes it, as far as real processes allow. `COUNTERSIGN_SEED=7,8` runs these,
//! `COUNTERSIGN_ORACLE_RUNS=100` so many, `COUNTERSIGN_LONG=1` a thousand.

mod between;
mod machine;
mod producer;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use countersign_event::digest::{hex, sha256};
use countersign_spool::{Reader, Spool};
use serde_json::Value;

use super::wire::Certificate;
use super::{Collector, Device, path};
use crate::support::{World, is_long, json_lines, of_type};
use between::{Between, Counts};
use machine::Machine;
use producer::{EVENTS, Kind, Producer, Said, numbered};

/// How many events this process writes at once.
const HERE: u32 = 20;
const YEAR_S: i64 = 365 * 86_400;

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

/// Waits until something is so, but never long: then what was waited for just comes later.
fn until(mut ready: impl FnMut() -> bool, most: Duration) {
    let start = Instant::now();
    while !ready() && start.elapsed() < most {
        std::thread::park_timeout(Duration::from_millis(3));
    }
}

/// One device and one collector, each on a machine of its own, and what is between them.
struct Run {
    dice: Dice,
    world: World,
    device: Machine,
    server: Machine,
    collector: Arc<Mutex<Collector>>,
    token: PathBuf,
    between: Between,
    said: Vec<Said>,
    counts: Counts,
}

impl Run {
    fn new(seed: u64) -> Run {
        let world = World::new();
        let device = Machine::new(world.path().join("device"));
        let server = Machine::new(world.path().join("server"));
        let collector = Arc::new(Mutex::new(launch(&world, &server, "127.0.0.1:0")));
        let token = world.token("device");
        let certificate = seed.is_multiple_of(2).then(Certificate::new);
        if let Some(certificate) = &certificate {
            let (authority, config) = (world.path().join("ca.pem"), world.home().join("config"));
            std::fs::write(&authority, &certificate.authority).expect("a file");
            std::fs::create_dir_all(&config).expect("a directory");
            let text = format!("[collector]\nca_file = {:?}\n", path(&authority));
            std::fs::write(config.join("config.toml"), text).expect("a configuration");
        }
        let between = Between::start(seed, &collector, certificate.as_ref());
        Run {
            dice: Dice(seed),
            world,
            device,
            server,
            collector,
            token,
            between,
            said: Vec::new(),
            counts: Counts::new(),
        }
    }

    fn count(&mut self, what: &str) {
        *self.counts.entry(what.to_owned()).or_default() += 1;
    }

    /// A clock jumps by a year, or none does.
    fn a_clock_may_jump(&mut self) {
        let (what, years) = [("ClockForward", 1), ("ClockBack", -1)][self.dice.below(2) as usize];
        match self.dice.below(6) {
            0 | 1 => self.device.clock_jumps(years * YEAR_S),
            2 => self.server.clock_jumps(years * YEAR_S),
            _ => return,
        }
        self.count(what);
    }

    /// Somebody may have killed it.
    fn revive_collector(&mut self) {
        let mut collector = self.collector.lock().unwrap();
        if collector.child.try_wait().expect("its status").is_some() {
            // One that does not come up on a full disk says so and tells nothing here.
            self.server.set_room(None);
            *collector = launch(&self.world, &self.server, &collector.address.to_string());
        }
    }

    /// Producers write, replayers send; three of them, one after the other.
    fn round(&mut self, round: u32, device_fills_up: bool, server_fills_up: bool) {
        if device_fills_up {
            self.device.set_room(Some(self.dice.below(200 << 10)));
        }
        let producers: Vec<Producer> = [Kind::Hooks, Kind::Editor]
            .into_iter()
            .zip(0..)
            .map(|(kind, i)| Producer::start(&self.world, &self.device, kind, round * 1_000 + i * 100))
            .collect();
        until(|| producers.iter().any(|it| it.count.load(Ordering::SeqCst) > 5), Duration::from_secs(5));
        for stage in 0..3 {
            self.a_clock_may_jump();
            if server_fills_up && stage == 1 {
                self.server.set_room(Some(self.dice.below(20 << 10)));
            }
            self.replayer();
        }
        self.room_again();
        let patient = self.dice.below(2) == 0;
        for mut producer in producers {
            if patient {
                until(|| producer.child.try_wait().expect("its status").is_some(), Duration::from_secs(5));
            }
            let said = producer.kill();
            if said.was_killed {
                self.count("ProducerKilled");
            }
            self.said.push(said);
        }
    }

    /// Both disks have room again.
    fn room_again(&mut self) {
        for (machine, what) in [(&self.device, "DeviceFull"), (&self.server, "CollectorFull")] {
            machine.set_room(None);
            *self.counts.entry(what.to_owned()).or_default() = machine.refused();
        }
    }

    /// Writes events in this process.
    fn acknowledged_here(&mut self, first: u32) {
        let acknowledged: Vec<u32> = (first..first + HERE).collect();
        self.world.append(acknowledged.iter().copied().map(numbered));
        self.said.push(Said { kind: Kind::Here, first, acknowledged, refused: Vec::new(), was_killed: false });
    }

    /// A replayer runs for a while; it ends by itself, or is killed in the middle of something.
    fn replayer(&mut self) {
        let (before, beyond) = (self.between.words(), self.dice.below(8));
        // One that leaves at the first trouble, or one that tries again until it is killed.
        let mut command = self.world.replay(&self.between.to, &self.token);
        if self.dice.below(2) == 0 {
            command.arg("--once");
        }
        self.device.host(&mut command);
        let mut replayer = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("replay starts");
        let is_killed = self.dice.below(2) == 0;
        let mut has_ended = || replayer.try_wait().expect("its status").is_some();
        // One without a word has nothing to send, or waits for a lock.
        until(|| self.between.words() > before || has_ended(), Duration::from_secs(5));
        let enough = || is_killed && self.between.words() > before + beyond;
        until(|| enough() || has_ended(), Duration::from_millis(300));
        if replayer.try_wait().expect("its status").is_none() {
            // It sends, waits for its next try, or hangs on a connection that says nothing.
            replayer.kill().expect("it can be killed");
            replayer.wait().expect("it is gone");
            self.count("ReplayerKilled");
        }
        self.count("Replayer");
        if self.dice.below(4) == 0 {
            self.collector.lock().unwrap().kill();
            self.count("CollectorKilledIdle");
        }
        self.revive_collector();
    }

    /// Everything works from now on; everything that waits arrives.
    fn peace(&mut self) {
        self.counts.extend(self.between.peace());
        self.collector.lock().unwrap().restart(&self.world);
        // What waits in the inbox is taken in by whoever writes next.
        let mut spool = Spool::open(&self.world.state()).expect("the spool opens");
        let waiting = || Reader::open(&self.world.state()).and_then(|it| it.status(None)).expect("a status").inbox;
        while waiting() > 0 {
            spool.append(&[]).expect("letters are taken in");
        }
        spool.barrier().expect("a barrier");
        drop(spool);
        let output = self.world.replay_once(&self.between.to, &self.token);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

fn launch(world: &World, machine: &Machine, address: &str) -> Collector {
    let data = world.path().join("archive");
    let mut command = world.countersign(["collect", "--data", path(&data), "--listen", address]);
    machine.host(&mut command);
    command.stderr(Stdio::null());
    Collector::launch(command, data)
}

fn one_run(seed: u64) -> (String, Counts) {
    let mut run = Run::new(seed);
    // A device that could never write anything can't count either.
    run.acknowledged_here(9_000);
    let (device, server) = (run.dice.below(3) as u32, run.dice.below(3) as u32);
    for round in 0..3 {
        run.round(round, round == device, round == server);
    }
    for more in 10.. {
        let is_full = run.server.refused() == 0;
        if run.between.is_through() && !is_full {
            break;
        }
        assert!(more < 200, "what this seed must try did not happen");
        // Something must be there to go wrong with.
        run.acknowledged_here(more * 1_000);
        run.server.set_room(is_full.then_some(0));
        run.replayer();
        run.room_again();
    }
    run.peace();
    let told = run.judge();
    (told, run.counts)
}

/// What stands at one address.
struct Line<'a> {
    whole: &'a str,
    /// The event's bytes, or what a hole says.
    event: Result<&'a str, Value>,
}

/// The lines of a log by epoch and seq.
fn lines(log: &str) -> BTreeMap<(String, u64), Line<'_>> {
    log.lines()
        .map(|whole| {
            let mut told: Value = json_lines(whole.as_bytes()).remove(0);
            let hole = told["hole"].take();
            let seq = if hole.is_null() { &told["seq"] } else { &hole["seq"] };
            let address = (told["epoch"].as_str().expect("an epoch").to_owned(), seq.as_u64().expect("a seq"));
            let event = whole.split_once("\"event\":").and_then(|(_, event)| event.strip_suffix('}'));
            (address, Line { whole, event: if hole.is_null() { Ok(event.expect("an event")) } else { Err(hole) } })
        })
        .collect()
}

impl Run {
    /// Every acknowledged event is in the archive once and byte-equal, or a hole with its digest and a
    /// gap; every other one is there at most once, and missing only where a gap counts it or the process
    /// that had it in memory was killed. Texts follow their events.
    fn judge(&self) -> String {
        let world = &self.world;
        let (spooled, archived) = (world.spooled(), world.archived());
        let (here, there) = (lines(&spooled), lines(&archived));
        assert_eq!(here.keys().collect::<Vec<_>>(), there.keys().collect::<Vec<_>>(), "the same addresses");
        let (mut holes, mut kept) = (0, 0_u64);
        // How often an event came, as itself or as the digest of a hole.
        let mut times: HashMap<String, u32> = HashMap::new();
        for ((epoch, seq), line) in &there {
            let ours = &here[&(epoch.clone(), *seq)];
            let event = ours.event.as_ref().expect("the spool has it");
            let place = format!("\"subject\":\"{epoch}/{seq}\"");
            *times.entry(hex(&sha256(event.as_bytes()))).or_default() += 1;
            if ours.whole == line.whole {
                // A lie can have it that the collector never takes what it has; then the text stays at home.
                kept += u64::from(event.contains("\"kept\":") && !spooled.contains(&place));
                continue;
            }
            let hole = line.event.as_ref().expect_err("an event is the same on both sides");
            assert!(hole["reason"].as_str().is_some_and(|it| it.starts_with("quarantined")), "{hole}");
            assert_eq!(hole["sha256"], hex(&sha256(event.as_bytes())), "{epoch} {seq}");
            let gaps = archived.lines().filter(|line| line.contains("trail.gap") && line.contains(&place)).count();
            assert_eq!(gaps, 1, "the hole is named in a gap: {epoch} {seq}");
            holes += 1;
        }
        let came = |n: u32| times.get(&hex(&sha256(numbered(n).event.as_bytes()))).copied().unwrap_or(0);
        let (mut acknowledged, mut refused, mut under_way) = (0, Vec::new(), 0);
        for said in &self.said {
            for &n in &said.acknowledged {
                assert_eq!(came(n), 1, "event {n} was acknowledged");
            }
            acknowledged += said.acknowledged.len();
            refused.extend(said.refused.iter().copied().filter(|&n| came(n) == 0));
            let all = || said.first..said.first + if said.kind == Kind::Here { HERE } else { EVENTS };
            let missing: Vec<u32> = all().filter(|&n| came(n) == 0).collect();
            assert!(all().map(came).max() <= Some(1), "an event of producer {} is doubled", said.first);
            match said.kind {
                // A call that was told so, and one that was under way.
                Kind::Hooks => {
                    assert!(said.was_killed || missing.iter().all(|n| said.refused.contains(n)), "{missing:?}")
                }
                // Each was acknowledged.
                Kind::Here => {}
                // In the order in which it took them in.
                Kind::Editor => {
                    let end = said.first + EVENTS;
                    let from = missing.first().copied().unwrap_or(end);
                    assert!(missing.iter().copied().eq(from..end), "a hole in the middle: {missing:?}");
                    assert!(said.was_killed || missing.is_empty(), "{missing:?} of a process that ended by itself");
                }
            }
            under_way += missing.len();
        }
        let log = world.log();
        let gaps = of_type(&log, "trail.gap").into_iter().filter(|it| it["data"]["reason"] == "no_room");
        let told: u64 = gaps.filter_map(|it| it["data"]["count"].as_u64()).sum();
        assert!(told >= refused.len() as u64, "{refused:?} found no room, gaps tell of {told}");
        assert_eq!(world.pending(&self.between.to), 0);
        let verified = world.verified();
        assert_eq!(verified["ok"], true, "{verified}");
        let local = world.json(["verify", "--json"]).remove(0);
        assert_eq!(local["ok"], true, "{local}");
        // On a full disk texts make room for events, and the record says so.
        let came = verified["contents"]["ok"].as_u64().expect("a number");
        assert!(
            came <= kept && kept <= came + local["contents"]["shed"].as_u64().unwrap_or(0),
            "{kept} texts: {verified} {local}"
        );
        let requests = self.between.requests.load(Ordering::SeqCst);
        format!(
            "{acknowledged} acknowledged, {} refused (gaps tell of {told}), {} more under way at a kill; {} archived, {holes} holes, \
             {came} of {kept} texts; {requests} requests",
            refused.len(),
            under_way - refused.len(),
            there.len()
        )
    }
}

#[test]
fn whatever_breaks_what_was_acknowledged_arrives_once_or_is_named() {
    let runs = std::env::var("COUNTERSIGN_ORACLE_RUNS").map(|runs| runs.parse().expect("a number"));
    let runs: u64 = runs.unwrap_or(if is_long() { 1_000 } else { 10 });
    let (seeds, is_whole) = match std::env::var("COUNTERSIGN_SEED") {
        Ok(seeds) => (seeds.split(',').map(|seed| seed.parse().expect("a number")).collect::<Vec<u64>>(), false),
        Err(_) => ((1..=runs).collect(), runs >= 10),
    };
    // A run mostly waits: for answers that never come, and for others to get somewhere.
    let (seeds, failed, counts) = (Mutex::new(seeds.into_iter()), Mutex::new(Vec::new()), Mutex::new(Counts::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(seed) = { seeds.lock().unwrap().next() } {
                    match std::panic::catch_unwind(|| one_run(seed)) {
                        Ok((told, happened)) => {
                            eprintln!("oracle: seed {seed}: {told}");
                            let mut counts = counts.lock().unwrap();
                            happened.into_iter().for_each(|(what, n)| *counts.entry(what).or_default() += n);
                        }
                        Err(_) => {
                            eprintln!("oracle: seed {seed} FAILED");
                            failed.lock().unwrap().push(seed);
                        }
                    }
                }
            });
        }
    });
    let (failed, counts) = (failed.into_inner().unwrap(), counts.into_inner().unwrap());
    eprintln!("oracle: {counts:?}");
    assert!(failed.is_empty(), "failed with COUNTERSIGN_SEED={failed:?}");
    let machines = ["ClockForward", "ClockBack", "DeviceFull", "CollectorFull"];
    let killed = ["ProducerKilled", "ReplayerKilled", "CollectorKilledIdle"];
    let must = between::kinds().chain(machines.into_iter().chain(killed).map(str::to_owned));
    let never: Vec<String> = must.filter(|what| is_whole && counts.get(what).is_none_or(|&n| n == 0)).collect();
    assert!(never.is_empty(), "never happened: {never:?}");
}
