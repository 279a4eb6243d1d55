//! Who sends: one process a device, the next one when it dies, a detached one where nobody else is.

use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use countersign_event::EventBytes;
use countersign_spool::{Append, Class, Lease};
use serde_json::json;

use super::{Collector, Device, configure, free_address, light};
use crate::support::{World, wait_for};

#[test]
fn when_the_replayer_is_killed_another_process_takes_over() {
    let world = World::new();
    let collector = Collector::start(&world);
    let token = world.token("device");
    let to = collector.url();
    let mut first = world.replay(&to, &token).spawn().expect("replay starts");
    wait_for("the first to be online", || (world.status()["state"] == "online").then_some(()));
    let mut second = world.replay(&to, &token).spawn().expect("replay starts");
    world.append((0..500).map(light));
    wait_for("the first to send", || (world.pending(&to) == 0).then_some(()));
    assert!(Lease::try_take(&world.state()).expect("a lock").is_none(), "one has it");
    first.kill().expect("it can be killed");
    first.wait().expect("it is gone");
    world.append((500..1_000).map(light));
    wait_for("the second to send", || (world.pending(&to) == 0).then_some(()));
    second.kill().expect("it can be killed");
    second.wait().expect("it is gone");
    assert_eq!(world.archived(), world.spooled());
}

#[test]
fn a_short_lived_process_that_leaves_a_backlog_starts_a_replayer_once_a_minute() {
    let world = World::new();
    let collector = Collector::start(&world);
    configure(&world, &collector.url(), &world.token("device"), "");
    let to = collector.url();
    let stamp = world.state().join("replay.started");
    let stamped = || std::fs::metadata(&stamp).and_then(|it| it.modified()).ok();
    let settled = || {
        wait_for("everything to arrive", || {
            (world.pending(&to) == 0 && Lease::try_take(&world.state()).expect("a lock").is_some()).then_some(())
        });
    };

    world.append([light(0)]);
    let lease = Lease::try_take(&world.state()).expect("a lock").expect("nobody has it");
    world.run(["pause"]);
    assert_eq!(stamped(), None, "whoever has the lease sends it");
    drop(lease);
    world.run(["resume"]);
    settled();
    let first = stamped().expect("somebody was started");
    assert_eq!(world.status()["state"], "online");

    world.run(["pause"]);
    assert_eq!((stamped(), world.pending(&to)), (Some(first), 1), "no more often than that");
    let a_minute_ago = SystemTime::now() - Duration::from_secs(61);
    std::fs::File::options().write(true).open(&stamp).unwrap().set_modified(a_minute_ago).expect("older");
    world.run(["resume"]);
    settled();
    assert!(stamped().expect("a stamp") > first, "another one was started");
    assert_eq!(world.archived(), world.spooled());
}

#[test]
fn what_a_commit_leads_to_arrives_although_nothing_of_ours_runs() {
    let world = World::new();
    let root = world.repository("repo");
    let collector = Collector::start(&world);
    configure(&world, &collector.url(), &world.token("device"), "");
    world.append([light(0)]);
    // What git's hook runs after a commit.
    let mut hook = world.countersign(["git", "post-commit"]);
    assert!(hook.current_dir(&root).status().expect("it runs").success());
    wait_for("the move to arrive", || world.archived().contains("ref.moved").then_some(()));
}

#[test]
fn without_a_collector_no_process_starts_another() {
    let world = World::new();
    world.run(["pause"]);
    assert!(!world.state().join("replay.started").exists());
}

#[test]
fn a_device_that_was_offline_for_a_quarter_says_so_and_sends_everything() {
    let world = World::new();
    let address = free_address();
    let (to, token) = (format!("http://{address}"), world.token("device"));
    configure(&world, &to, &token, "");
    let day = |n: u32| {
        let old = light(n).event.as_str().replace("2026-01-02", &format!("2026-{:02}-{:02}", 1 + n / 30, 1 + n % 28));
        let event = EventBytes::parse(old.as_bytes()).expect("an event");
        Append { event, class: Class::Full, contents: Vec::new(), if_told: None }
    };
    world.append((0..90).map(day));
    let mut replayer = world.countersign(["replay"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("it to notice", || (world.status()["last_error"].as_str()?.contains("cannot be reached")).then_some(()));
    let status = world.json(["status", "--json"]).remove(0);
    assert_eq!(
        (&status["replay"]["state"], &status["spool"]["pending"], &status["spool"]["oldest_pending"]),
        (&json!("offline"), &json!(90), &json!("2026-01-01T03:04:05.678Z"))
    );
    let told = String::from_utf8(world.run(["status"]).stdout).expect("UTF-8");
    assert!(told.contains("offline, 90 events wait") && told.contains("nothing to do if you are offline"), "{told}");
    let _collector = Collector::listen(&world, &address);
    wait_for("everything to arrive", || (world.pending(&to) == 0).then_some(()));
    replayer.kill().expect("it can be killed");
    replayer.wait().expect("it is gone");
    assert_eq!(world.archived(), world.spooled());
}

#[test]
fn no_more_is_sent_in_a_second_than_was_allowed() {
    let world = World::new();
    let collector = Collector::start(&world);
    configure(&world, &collector.url(), &world.token("device"), "[replay]\nmax_kib_per_second = 1\n");
    world.append((0..200).map(light));
    let started = Instant::now();
    let output = world.countersign(["replay", "--once"]).env("COUNTERSIGN_LOG", "info").output().expect("replay runs");
    let took = started.elapsed();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Three batches of three KiB and more: faster would have broken the limit.
    assert!(took >= Duration::from_secs(4), "{took:?}");
    assert_eq!(world.archived(), world.spooled());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("200 events and 0 texts sent"), "{told}");
}
