//! How a device comes to a collector and leaves it: a code, a token, the next token, the end.

use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;

use super::{Collector, Device, light, path};
use crate::support::{World, wait_for};

fn code(world: &World, more: &[&str]) -> String {
    let data = world.path().join("archive");
    let args = [&["collect", "code", "--data", path(&data), "--subject", "ann"], more].concat();
    String::from_utf8(world.run(args).stdout).expect("UTF-8").trim().to_owned()
}

fn enrol(world: &World, args: &[&str]) -> Output {
    world.countersign([&["enrol"], args].concat()).output().expect("enrol runs")
}

fn enrolled(world: &World, url: &str, code: &str) {
    let output = enrol(world, &[url, code]);
    assert!(output.status.success(), "{}", stderr(&output));
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn once(world: &World) -> Output {
    world.countersign(["replay", "--once"]).output().expect("replay runs")
}

fn token_file(world: &World) -> std::path::PathBuf {
    world.state().join("device.token")
}

fn archive_db(collector: &Collector) -> rusqlite::Connection {
    rusqlite::Connection::open(collector.data.join("archive.db")).expect("the archive opens")
}

#[test]
fn a_device_enrols_with_a_code_and_sends_with_what_it_got() {
    let world = World::new();
    world.append((0..3).map(light));
    let collector = Collector::start(&world);
    let config = world.home().join("config/config.toml");
    std::fs::create_dir_all(config.parent().expect("a folder")).expect("a folder");
    std::fs::write(&config, "# mine\n[editor]\nhints = false\n").expect("a configuration");
    enrolled(&world, &collector.url(), &code(&world, &[]));
    let text = std::fs::read_to_string(&config).expect("a configuration");
    assert!(text.starts_with("# mine\n[editor]\nhints = false\n\n[collector]\nurl = "), "{text}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(token_file(&world)).expect("the token").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let output = once(&world);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(world.archived(), world.spooled());

    // The collector knows the device by its key before anything came, whose it is, and that it was let in.
    let db = archive_db(&collector);
    let row = |sql: &str| db.query_row(sql, [], |row| row.get::<_, String>(0)).expect("a row");
    let device: Value =
        serde_json::from_slice(&std::fs::read(world.state().join("device.key")).expect("the key")).expect("JSON");
    assert_eq!(row("select id || ' ' || subject from streams"), format!("{} ann", device["device"].as_str().unwrap()));
    assert_eq!(row("select distinct subject from persons"), "ann");
    assert!(row("select bytes from records").contains("archive.enrolled.v1"));
}

#[test]
fn a_code_that_is_wrong_used_or_expired_is_refused_in_words_that_say_what_to_do() {
    let world = World::new();
    let other = World::new();
    let collector = Collector::start(&world);
    let url = collector.url();
    let good = code(&world, &[]);
    enrolled(&world, &url, &good);
    // The answer may have been lost: the same device may say it again.
    let first = std::fs::read_to_string(token_file(&world)).expect("a token");
    enrolled(&world, &url, &good);
    assert_ne!(std::fs::read_to_string(token_file(&world)).expect("a token"), first);
    for (code, says, hint) in [
        (good.as_str(), "used for another device", "collect code"),
        ("cse_never", "no such code", "whole"),
        (&code(&world, &["--for", "0s"]), "has expired", "collect code"),
    ] {
        let output = enrol(&other, &[&url, code]);
        assert_eq!(output.status.code(), Some(3), "{code}");
        assert!(stderr(&output).contains(says) && stderr(&output).contains(hint), "{}", stderr(&output));
        assert!(!token_file(&other).exists() && !other.home().join("config/config.toml").exists(), "{code}");
    }
    // One device, one collector, unless somebody takes the first out.
    let output = enrol(&world, &["https://other.example", "cse_x"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains(&url), "{}", stderr(&output));
    // What this device can't do is found out before the code is used.
    let fresh = code(&world, &[]);
    std::fs::create_dir_all(other.home().join("config")).expect("a folder");
    std::fs::write(other.home().join("config/config.toml"), "collector = 1\n").expect("a configuration");
    assert_eq!(enrol(&other, &[&url, &fresh]).status.code(), Some(2));
    std::fs::remove_file(other.home().join("config/config.toml")).expect("gone");
    enrolled(&other, &url, &fresh);
}

#[test]
fn a_token_is_replaced_by_hand_and_by_age_and_the_old_one_is_good_until_the_new_one_is_seen() {
    let world = World::new();
    let collector = Collector::start(&world);
    enrolled(&world, &collector.url(), &code(&world, &[]));
    let keep = |name: &str| {
        let file = world.path().join(name);
        std::fs::copy(token_file(&world), &file).expect("a copy");
        file
    };
    let works = |file: &Path| world.replay_once(&collector.url(), file).status.success();
    let first = keep("first");
    world.append([light(0)]);
    assert!(enrol(&world, &["--rotate"]).status.success());
    let second = keep("second");
    assert!(works(&first), "nobody has seen the new one");
    assert!(works(&second));
    assert!(!works(&first), "it was replaced");
    let status = world.status();
    assert_eq!(status["state"], "unauthorised");
    assert!(status["last_error"].as_str().unwrap().contains("revoked or replaced"), "{status}");
    assert!(status["hint"].as_str().unwrap().contains("countersign enrol URL CODE"), "{status}");

    archive_db(&collector)
        .execute("update tokens set issued_at = issued_at - 40 * 86400000", [])
        .expect("it is old now");
    world.append([light(1)]);
    assert!(once(&world).status.success());
    let third = keep("third");
    assert_ne!(std::fs::read(&second).unwrap(), std::fs::read(&third).unwrap(), "it was replaced by itself");
    assert!(works(&second) && works(&third) && !works(&second));
    assert_eq!(world.archived(), world.spooled());
}

#[test]
fn a_revoked_token_pauses_replay_and_the_next_one_sets_it_going_without_a_restart() {
    let world = World::new();
    let collector = Collector::start(&world);
    let url = collector.url();
    enrolled(&world, &url, &code(&world, &[]));
    let log = world.path().join("replay.log");
    let mut replayer = world
        .countersign(["replay"])
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).expect("a log"))
        .spawn()
        .expect("replay starts");
    wait_for("it to be online", || (world.status()["state"] == "online").then_some(()));
    let data = world.path().join("archive");
    world.run(["collect", "revoke", "--data", path(&data), "--subject", "ann"]);
    world.append((0..5).map(light));
    wait_for("it to be refused", || (world.status()["state"] == "unauthorised").then_some(()));
    assert_eq!(world.pending(&url), 5);
    enrolled(&world, &url, &code(&world, &[]));
    wait_for("everything to arrive", || (world.pending(&url) == 0).then_some(()));
    replayer.kill().expect("it can be killed");
    replayer.wait().expect("it is gone");
    assert_eq!(world.archived(), world.spooled());
    let log = std::fs::read_to_string(&log).expect("a log");
    assert_eq!(log.matches("revoked or replaced").count(), 1, "said once: {log}");
}

#[test]
fn a_token_in_another_device_s_hands_sends_nothing() {
    let world = World::new();
    let thief = World::new();
    let collector = Collector::start(&world);
    enrolled(&world, &collector.url(), &code(&world, &[]));
    thief.append([light(0)]);
    let output = thief.replay_once(&collector.url(), &token_file(&world));
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("belongs to another device"), "{}", stderr(&output));
    assert_eq!(world.archived(), "");
}
