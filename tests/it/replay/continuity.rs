//! Two histories, a lost archive, a damaged spool: what arrives, and what both sides say afterwards.

use std::path::Path;

use serde_json::{Value, json};

use super::{Collector, Device, light, path};
use crate::support::{World, json_lines};

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        if entry.path().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
        }
    }
}

/// Ids of every archived event, sorted; an event archived twice stands there twice.
fn archived_ids(world: &World) -> Vec<String> {
    let mut ids: Vec<String> = json_lines(world.archived().as_bytes())
        .iter()
        .filter_map(|line| line["event"]["id"].as_str().map(str::to_owned))
        .collect();
    ids.sort();
    ids
}

fn spooled_ids(world: &World) -> Vec<String> {
    let mut ids: Vec<String> =
        world.log().iter().map(|event| event["id"].as_str().expect("an id").to_owned()).collect();
    ids.sort();
    ids
}

fn against(world: &World) -> Value {
    let data = world.path().join("archive");
    let args = ["verify", "--json", "--archive", path(&data), "--against-spool"];
    json_lines(&world.countersign(args).output().expect("verify runs").stdout).remove(0)
}

#[test]
fn a_home_put_back_from_a_backup_is_a_fork_and_both_histories_are_kept() {
    let world = World::new();
    let collector = Collector::start(&world);
    let (to, token) = (collector.url(), world.token("device"));
    world.append((0..10).map(light));
    assert!(world.replay_once(&to, &token).status.success());
    let backup = world.path().join("backup");
    copy(&world.state(), &backup);
    world.append((10..20).map(light));
    assert!(world.replay_once(&to, &token).status.success());
    // All of it is put back, heads and keys too: nothing on the device can tell.
    std::fs::remove_dir_all(world.state()).expect("the home is lost");
    copy(&backup, &world.state());
    world.append((20..30).map(light));
    let output = world.replay_once(&to, &token);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let ids = archived_ids(&world);
    let mut once = ids.clone();
    once.dedup();
    assert_eq!(ids, once, "nothing twice");
    assert!((0..30).all(|n| ids.contains(&super::id(n))), "of both histories, everything");
    assert_eq!(world.pending(&to), 0);
    let status = world.json(["status", "--json"]).remove(0);
    let fork =
        status["gaps"].as_array().expect("gaps").iter().find(|it| it["type"] == "dev.countersign.trail.forked.v1");
    assert!(fork.is_some(), "{}", status["gaps"]);
    assert_eq!(world.verified()["ok"], true);
    let report = against(&world);
    assert_eq!((&report["ok"], &report["against_spool"]["archive_only"]), (&json!(true), &json!(10)), "{report}");
}

#[test]
fn a_collector_that_lost_its_archive_gets_every_epoch_again() {
    let world = World::new();
    let mut collector = Collector::start(&world);
    let (to, token) = (collector.url(), world.token("device"));
    world.append((0..10).map(light));
    assert!(world.replay_once(&to, &token).status.success());
    // Another machine, as far as the spool can tell: another epoch.
    std::fs::write(world.state().join("machine"), "elsewhere").expect("a file");
    world.append((10..20).map(light));
    assert!(world.replay_once(&to, &token).status.success());
    let before = archived_ids(&world);
    assert_eq!(before, spooled_ids(&world));
    collector.kill();
    std::fs::remove_dir_all(world.path().join("archive")).expect("the archive is lost");
    collector.restart(&world);
    let token = world.token("device");
    world.append((20..21).map(light));
    let report = against(&world);
    assert_eq!((&report["ok"], &report["seq"]), (&json!(false), &json!(1)), "{report}");
    let output = world.replay_once(&to, &token);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(archived_ids(&world), spooled_ids(&world));
    let report = against(&world);
    assert_eq!(report["against_spool"], json!({ "common": 22, "spool_only": 0, "archive_only": 0 }), "{report}");
}
