//! What a person in front of an editor sees of replay: one word, how much waits, and what to do.

use serde_json::{Value, json};

use super::{Collector, Device, configure, free_address, light};
use crate::lsp::client::Client;
use crate::support::World;

/// Waits until the editor is told a status like this.
fn told(client: &mut Client, like: impl Fn(&Value) -> bool) -> Value {
    loop {
        let status = client.told("countersign/statusChanged")["params"].take();
        if like(&status) {
            return status;
        }
    }
}

#[test]
fn the_editor_is_told_whether_the_trail_arrives_how_much_waits_and_what_to_do() {
    let world = World::new();
    let address = free_address();
    // It may ask, but not send.
    let token = world.token("analyst");
    configure(&world, &format!("http://{address}"), &token, "");
    world.append((0..7).map(light));
    let mut client = Client::initialized(&world, json!({}));
    let status = told(&mut client, |it| it["replay"]["problem"].as_str().is_some_and(|it| it.contains("be reached")));
    assert_eq!((&status["state"], &status["summary"]), (&json!("recording"), &json!("offline")));
    assert!(status["replay"]["waiting"].as_u64() >= Some(7), "{status}");
    assert!(status["replay"]["hint"].as_str().is_some_and(|it| it.contains("if you are offline")), "{status}");

    let collector = Collector::listen(&world, &address);
    let status = told(&mut client, |it| it["summary"] == "attention");
    assert_eq!(status["replay"]["state"], "unauthorised");
    assert!(status["replay"]["hint"].as_str().is_some_and(|it| it.contains("countersign enrol")), "{status}");
    let paused = client.request("countersign/pause", json!({}));
    assert_eq!(paused["summary"], "paused", "what a person asked for comes first");
    client.request("countersign/resume", Value::Null);

    // Another configuration, which an editor that runs takes up.
    configure(&world, &format!("http://{address}"), &world.token("device"), "[editor]\nhints = false\n");
    let status = told(&mut client, |it| it["summary"] == "recording");
    assert_eq!(status["replay"], json!({ "state": "online", "waiting": 0 }));
    client.finish();
    drop(collector);
    assert!(world.archived().contains(&super::id(6)));
}

#[test]
fn status_and_log_say_what_is_recorded_of_the_person_s_own_switches() {
    let world = World::new();
    let root = world.repository("repo");
    let here = |args: &[&str]| {
        let mut command = world.countersign(args);
        assert!(command.current_dir(&root).status().expect("it runs").success(), "{args:?}");
    };
    here(&["pause", "--for", "5m"]);
    here(&["resume"]);
    here(&["pause", "--repository"]);
    here(&["resume", "--repository"]);
    here(&["purge", "--yes"]);
    let types: Vec<String> = world
        .log()
        .iter()
        .map(|event| {
            let data = &event["data"];
            let scope = data["scope"].as_str().map(|scope| if scope == "all" { "all" } else { "repository" });
            format!("{} {}", event["type"].as_str().expect("a type"), scope.unwrap_or_default())
        })
        .collect();
    assert_eq!(
        types,
        [
            "dev.countersign.capture.paused.v1 all",
            "dev.countersign.capture.resumed.v1 all",
            "dev.countersign.capture.paused.v1 repository",
            "dev.countersign.capture.resumed.v1 repository",
        ],
        "a purge that found nothing destroyed nothing"
    );
    assert!(String::from_utf8(world.run(["log", "--fields"]).stdout).expect("UTF-8").contains("suggestion.accepted"));
}
