//! After a long outage: the backlog drains in flat memory, and recording goes on beside it.

use std::process::Stdio;
use std::time::{Duration, Instant};

use countersign_spool::{Append, Class, Spool, Writer};

use super::{Collector, Device, light};
use crate::support::{World, is_long, memory_kib, wait_for};

/// The longest of so many enqueues, as the editor's side sees them.
fn longest_enqueue(writer: &Writer, numbers: std::ops::Range<u32>) -> Duration {
    let events: Vec<Append> = numbers.map(|n| Append { class: Class::Normal, ..light(n) }).collect();
    let mut longest = Duration::ZERO;
    for event in events {
        let start = Instant::now();
        writer.enqueue(event);
        longest = longest.max(start.elapsed());
    }
    longest
}

#[test]
fn a_long_backlog_drains_in_flat_memory_while_recording_goes_on() {
    let backlog: u32 = if is_long() { 10_000_000 } else { 20_000 };
    let world = World::new();
    let mut spool = Spool::open(&world.state()).expect("a spool");
    for first in (0..backlog).step_by(5_000) {
        spool.append(&(first..first + 5_000).map(light).collect::<Vec<_>>()).expect("a group");
    }
    drop(spool);
    let writer = Writer::start(&world.state());
    let before = longest_enqueue(&writer, backlog..backlog + 500);
    writer.flush(Duration::from_secs(20)).expect("it is written");

    let collector = Collector::start(&world);
    let token = world.token("device");
    let to = collector.url();
    let mut replayer = world.replay(&to, &token).stdout(Stdio::null()).spawn().expect("replay starts");
    let started = Instant::now();
    let reached = |share: u64| {
        wait_for_long("the drain", || world.pending(&to) <= u64::from(backlog) * share / 100);
        (memory_kib(replayer.id()), memory_kib(collector.child.id()))
    };
    let early = reached(80);
    let during = longest_enqueue(&writer, backlog + 500..backlog + 1_000);
    writer.flush(Duration::from_secs(20)).expect("it is written");
    let late = reached(5);
    wait_for_long("the end", || world.pending(&to) == 0);
    let took = started.elapsed();
    replayer.kill().expect("it can be killed");
    replayer.wait().expect("it is gone");
    eprintln!(
        "outage: {backlog} events in {took:?}; replayer {} kB, then {} kB; collector {} kB, then {} kB; \
         longest enqueue {before:?}, while it drained {during:?}",
        early.0, late.0, early.1, late.1
    );
    // What a drain holds is a batch; a backlog kept in memory would be tens of megabytes.
    assert!(late.0 < early.0 + 8 * 1024, "the replayer grew from {} to {} kB", early.0, late.0);
    if !is_long() {
        assert_eq!(world.archived(), world.spooled());
    }
}

/// As [`wait_for`], again and again while it goes on.
fn wait_for_long(what: &str, mut ready: impl FnMut() -> bool) {
    let hours = if is_long() { 600 } else { 4 };
    for _ in 0..hours {
        let start = Instant::now();
        let done = wait_for(what, || match ready() {
            true => Some(true),
            false => (start.elapsed() > Duration::from_secs(20)).then_some(false),
        });
        if done {
            return;
        }
    }
    panic!("waited too long for {what}");
}
