//! The README's first command tells its story, is quick, and leaves nothing behind.

use std::path::Path;
use std::process::Stdio;

use crate::support::{World, json_lines, of_type};

#[test]
fn the_demo_tells_the_whole_story_and_leaves_nothing_behind() {
    let world = World::new();
    let temporary = world.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let output = world.countersign(["demo"]).env("TMPDIR", &temporary).stderr(Stdio::piped()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let trouble = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{trouble}");
    for part in [
        "killed (SIGKILL)",
        "shell-injection thumbs.py:7",
        "tls-off thumbs.py:17",
        "events wait on your disk",
        "nothing was lost",
        "offered            4 suggestions",
        "accepted           3",
        "rejected           1 (typed over)",
        "bytes of one suggestion are still the AI's",
        "device verifies    holds",
        "archive verifies   holds",
        "gpt-41-copilot",
        "Your own editor",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    assert!(!text.contains('\x1b'), "colour without a terminal");
    assert_eq!(entries(&temporary), Vec::<String>::new());
    assert!(!world.home().exists(), "the demo must not touch the device's own trail");
}

#[test]
fn the_demo_keeps_its_directory_when_asked() {
    let world = World::new();
    let output = world.countersign(["demo", "--keep"]).env("TMPDIR", world.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let kept = entries(world.path()).into_iter().find(|name| name.starts_with("countersign-demo-")).unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains(&kept));
    // What was accepted a moment before the file was saved and closed is placed all the same.
    let log =
        world.countersign(["log", "--json"]).env("COUNTERSIGN_HOME", world.path().join(kept).join("home")).output();
    let events = json_lines(&log.unwrap().stdout);
    assert_eq!(of_type(&events, "suggestion.accepted").len(), 3);
    assert_eq!(of_type(&events, "contribution.evidenced").len(), 3);
}

fn entries(dir: &Path) -> Vec<String> {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}
