//! Collectors that do what none does: nothing is lost, the device stays small, and says it once.

use countersign_event::batch::{Batch, Item};
use countersign_event::chain::{Hash, next, next_digest};
use serde_json::json;

use super::wire::{Reply, Request, answer, serve};
use super::{Device, light};
use crate::support::World;
#[cfg(target_os = "linux")]
use crate::support::wait_for;

/// The hash after the last item.
fn end_of(batch: &Batch) -> Hash {
    batch.events.iter().fold(batch.previous, |hash, item| match item {
        Item::Event(event) => next(hash, event.get().as_bytes()),
        Item::Hole(hole) => next_digest(hash, &hole.sha256.expect("a digest").0),
    })
}

fn takes(batch: &Batch, verdicts: &serde_json::Value) -> Reply {
    let through = batch.first_seq - 1 + batch.events.len() as u64;
    let body = json!({ "acked_through": through, "head_hash": end_of(batch), "verdicts": verdicts });
    answer("200 OK", "application/json", &body.to_string())
}

/// A world with events, a token that nobody checks, and the events as they were.
fn world(events: u32) -> (World, std::path::PathBuf, String) {
    let world = World::new();
    world.append((0..events).map(light));
    let token = world.path().join("token");
    std::fs::write(&token, "cst_x\n").expect("a token file");
    let before = world.spooled();
    (world, token, before)
}

#[test]
fn a_collector_that_refuses_every_event_and_every_record_of_a_refusal_is_stopped_there() {
    let (world, token, before) = world(3);
    let (to, requests) = serve(|request| {
        let batch = request.batch();
        let verdicts: Vec<_> =
            (batch.first_seq..).zip(&batch.events).map(|(seq, _)| json!({ "seq": seq, "reason": "no" })).collect();
        takes(&batch, &json!(verdicts))
    });
    let output = world.replay_once(&to, &token);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(requests.load(std::sync::atomic::Ordering::SeqCst), 3, "announced, events, the records of their loss");
    let after = world.spooled();
    assert!(after.starts_with(&before), "every event is still here");
    assert_eq!(after.lines().count(), 6, "and one record of each refusal");
    assert_eq!(world.json(["log", "--quarantined", "--json"]).len(), 3);
    let status = world.status();
    assert_eq!(status["state"], "paused");
    assert!(status["last_error"].as_str().unwrap().contains("refused a record of the trail"), "{status}");
    assert!(status["hint"].as_str().unwrap().contains("whoever runs the collector"), "{status}");
    assert_eq!(world.pending(&to), 3, "what it refused is not taken for acknowledged");
}

#[test]
fn a_collector_that_goes_back_again_and_again_is_not_followed_for_ever() {
    let (world, token, before) = world(700);
    // Takes the first batch, as large as one may be, then claims to have lost it, whenever more comes.
    let (to, requests) = serve(|request: &Request| {
        if !request.line().contains("/v1/batches") {
            return answer("404 Not Found", "text/html", "<html>");
        }
        let batch = request.batch();
        let genesis = batch.previous;
        static GENESIS: std::sync::OnceLock<Hash> = std::sync::OnceLock::new();
        if batch.first_seq == 1 {
            GENESIS.get_or_init(|| genesis);
            return takes(&batch, &json!([]));
        }
        let genesis = GENESIS.get().expect("the first one came first");
        answer("200 OK", "application/json", &json!({ "acked_through": 0, "head_hash": genesis }).to_string())
    });
    let output = world.replay_once(&to, &token);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    let status = world.status();
    assert!(status["last_error"].as_str().unwrap().contains("keeps going back to event 0"), "{status}");
    assert!(requests.load(std::sync::atomic::Ordering::SeqCst) < 40);
    assert_eq!(world.spooled(), before);
}

#[test]
fn an_answer_that_never_comes_or_never_ends_is_broken_off() {
    let (world, token, before) = world(3);
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    for (what, to) in [
        ("nothing", serve(|_| Reply::Hang).0),
        ("half a head", serve(move |_| Reply::Trickle(head.as_bytes().to_vec())).0),
        (
            "half a body",
            serve(move |_| Reply::Trickle(format!("{head}content-length: 999999\r\n\r\n{{").into_bytes())).0,
        ),
        ("a body without a length", serve(move |_| Reply::Trickle(format!("{head}\r\n{{").into_bytes())).0),
    ] {
        let mut command = world.countersign(["replay", "--once", "--to", &to, "--token-file", super::path(&token)]);
        let output = command.env("COUNTERSIGN_TEST_EXCHANGE_MS", "500").output().expect("replay runs");
        assert_eq!(output.status.code(), Some(3), "{what}");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("did not answer in time"), "{what}: {told}");
        assert_eq!((world.pending(&to), world.spooled()), (3, before.clone()), "{what}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_gigabyte_of_answer_costs_no_memory() {
    let (world, token, before) = world(3);
    for head in [
        "HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 500 Oops\r\ncontent-length: 1073741824\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: ",
    ] {
        let (to, _) = serve(move |_| Reply::Flood(head.as_bytes().to_vec()));
        let mut replayer = world.replay(&to, &token).spawn().expect("replay starts");
        let status = wait_for("it to give up", || {
            Some(world.status()).filter(|it| it["to"] == to.as_str() && it["last_error"].is_string())
        });
        let proc = std::fs::read_to_string(format!("/proc/{}/status", replayer.id())).expect("it lives");
        let peak = proc.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        let peak: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
        assert!(peak < 128 << 10, "{head:?}: {peak} kB at most ({status})");
        assert_eq!(status["state"], "offline", "{head:?}: {status}");
        replayer.kill().expect("it can be killed");
        replayer.wait().expect("it is gone");
        assert_eq!((world.pending(&to), world.spooled()), (3, before.clone()), "{head:?}");
    }
}

#[test]
fn a_spool_of_a_later_version_is_left_alone_and_says_what_to_do() {
    let (world, token, before) = world(3);
    let (to, requests) = serve(|_| Reply::Close);
    let db = rusqlite::Connection::open(world.state().join("spool.db")).expect("the spool");
    let version: i64 = db.query_row("pragma user_version", [], |row| row.get(0)).expect("a version");
    db.pragma_update(None, "user_version", 999).expect("a later version");
    let output = world.replay_once(&to, &token);
    assert_eq!(output.status.code(), Some(3));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("install the newest countersign"), "{told}");
    assert_eq!(requests.load(std::sync::atomic::Ordering::SeqCst), 0);
    db.pragma_update(None, "user_version", version).expect("this version");
    assert_eq!(world.status()["state"], "paused");
    assert_eq!(world.spooled(), before);
}
