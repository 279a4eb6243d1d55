//! `countersign purge`: what it shows, that it asks, and what is left.

use crate::support::{World, json_lines, of_type};

/// A device on which one agent's edit was recorded, with its texts.
fn world_with_texts() -> World {
    use std::io::Write;
    let world = World::new();
    let root = world.repository("app");
    std::fs::write(root.join("a.py"), "before = 1\n").expect("a file");
    let call = |message: serde_json::Value| {
        let mut hook = world
            .countersign(["hook", "agent-v1"])
            .current_dir(&root)
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("the hook starts");
        hook.stdin.take().expect("piped").write_all(message.to_string().as_bytes()).expect("the hook reads");
        assert!(hook.wait().expect("the hook ends").success());
    };
    let dir = root.to_str().expect("a path");
    call(serde_json::json!({"type": "human", "repo_working_dir": dir, "will_edit_filepaths": ["a.py"]}));
    std::fs::write(root.join("a.py"), "before = 1\nafter = 'a text nobody else has'\n").expect("a file");
    call(serde_json::json!({"type": "ai_agent", "repo_working_dir": dir, "edited_filepaths": ["a.py"],
        "agent_name": "an-agent", "model": "a-model", "conversation_id": "c-1"}));
    world
}

#[test]
fn a_purge_shows_what_would_go_asks_and_leaves_a_trail_that_holds() {
    let world = world_with_texts();
    let said = |args: &[&str]| {
        let output = world.countersign(args).output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let before = world.json(["purge", "--dry-run", "--json"]).remove(0);
    let texts = before["purged"]["contents"].as_u64().expect("a number");
    assert!(texts > 0, "{before}");
    assert_eq!(before["purged"]["contents_unsent"], texts);
    // Nobody to ask: nothing happens.
    let (code, text) = said(&["purge"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("nobody to ask") && text.contains("--yes"), "{text}");
    assert_eq!(world.json(["purge", "--dry-run", "--json"]).remove(0)["purged"], before["purged"]);
    // Too new for it.
    let old = world.json(["purge", "--older-than", "1d", "--dry-run", "--json"]).remove(0);
    assert_eq!(old["purged"]["contents"], 0);
    let (code, text) = said(&["purge", "--older-than", "soon"]);
    assert_eq!(code, Some(2), "{text}");

    let (code, text) = said(&["purge", "--yes"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains(&format!("gone: {texts} texts")) && text.contains("the events stay"), "{text}");
    let verified = json_lines(&world.run(["verify", "--json"]).stdout).remove(0);
    assert_eq!((&verified["ok"], &verified["contents"]["erased"]), (&true.into(), &texts.into()), "{verified}");
    let log = world.log();
    let trimmed = of_type(&log, "trail.trimmed");
    let contents = trimmed.iter().find(|event| event["data"]["what"] == "contents").expect("a record");
    assert_eq!(contents["data"]["reason"], "purge");
    assert!(contents["data"]["person"]["id"].is_string() || contents["data"]["person"]["absent"].is_string());
    assert_eq!(of_type(&log, "edit.applied").len(), 1, "the events stay");
    assert_eq!(world.json(["purge", "--dry-run", "--json"]).remove(0)["purged"]["contents"], 0);
    let status = world.json(["status", "--json"]).remove(0);
    assert_eq!(status["spool"]["shed"]["contents"], 0, "a purge is no lack of room");
    assert_eq!(status["spool"]["max_bytes"], 4_u64 << 30);
}

#[test]
fn a_purge_of_a_repository_leaves_the_others() {
    let world = world_with_texts();
    let other = world.repository("other");
    let count = |dir: &std::path::Path| {
        let output = world.countersign(["purge", "--repository", "--dry-run", "--json"]).current_dir(dir).output();
        let purged = json_lines(&output.expect("it runs").stdout).remove(0);
        (purged["purged"]["contents"].as_u64(), purged["purged"]["snapshots"].as_u64())
    };
    assert_eq!(count(&other), (Some(0), Some(0)));
    let (contents, snapshots) = count(&world.path().join("app"));
    assert!(contents > Some(0) && snapshots > Some(0), "{contents:?} {snapshots:?}");
    let outside = world.countersign(["purge", "--repository"]).output().expect("it runs");
    assert_eq!(outside.status.code(), Some(2));
}
