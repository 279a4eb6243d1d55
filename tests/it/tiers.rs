//! Which texts are kept: the threshold's two sides, sensitive paths, and a policy that changes under way.

// The day it shares is for Linux.
#![cfg(target_os = "linux")]

use std::io::{BufReader, Write};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::soak::{Day, framed, read_frame};
use crate::support::{World, of_type, wait_for};

/// A policy is read again after a second; an editor asks more often than that.
const QUESTIONS: usize = 3_000;

#[test]
fn a_text_is_kept_above_the_threshold_and_a_new_policy_counts_without_a_restart() {
    let world = World::new();
    std::fs::write(world.policy_file(), "[tiers]\nfull = 'threshold'\n").expect("a policy");
    let uri = "file:///nowhere/a.py";
    let mut day = Day::opened(uri);
    for i in 0..QUESTIONS {
        let length = if i == 1 { 1025 } else { 1024 };
        let text = format!("{:x>length$}", format!("# {i} "));
        let at = json!({"line": 0, "character": 0});
        let command = json!({"command": "github.copilot.didAcceptCompletionItem", "arguments": [format!("id-{i}")]});
        let item = json!({"insertText": text, "range": {"start": at, "end": at}, "command": command});
        let place = json!({"textDocument": {"uri": uri, "version": 0}, "position": at, "context": {"triggerKind": 2}});
        day.ask(&format!("q{i}"), "textDocument/inlineCompletion", place, json!({"items": [item]}));
    }
    let recording = world.path().join("day.jsonl");
    std::fs::write(&recording, day.recording()).expect("a recording");
    let mut tap = world
        .countersign(["tap", "--tool", "copilot", "--", env!("CARGO_BIN_EXE_countersign"), "demo-server"])
        .arg(&recording)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(world.path().join("stderr")).expect("a file"))
        .spawn()
        .expect("the tap starts");
    let mut stdin = tap.stdin.take().expect("piped");
    let mut stdout = BufReader::new(tap.stdout.take().expect("piped"));
    let mut steps = day.steps.iter();
    let mut go = || {
        let step = steps.next().expect("the policy counts before the day is over");
        stdin.write_all(framed(step.editor.as_ref().expect("the editor speaks")).as_bytes()).expect("the tap reads");
        if let Some(answer) = &step.server {
            assert_eq!(read_frame(&mut stdout), answer.to_string());
        }
    };
    let offered = |count: usize| {
        wait_for("the offers", || {
            let told = world.json(["log", "--json", "--type", "suggestion.offered"]);
            (told.len() >= count).then_some(told)
        })
    };
    for _ in 0..4 {
        go();
    }
    let told = offered(2);
    let slots: Vec<&Value> = told.iter().map(|event| &event["data"]["content"]["output"]).collect();
    assert_eq!(slots[0]["absent"], "below_threshold", "{}", slots[0]);
    assert_eq!(slots[1]["reason"], "threshold", "{}", slots[1]);
    let first = slots[0]["policy"].as_str().expect("it says which policy").to_owned();
    assert_eq!(slots[1]["policy"], first, "{}", slots[1]);

    std::fs::write(world.policy_file(), "[tiers]\nfull = 'always'\n").expect("a policy");
    let mut count = 2;
    let kept = wait_for("the new policy", || {
        go();
        count += 1;
        let last = offered(count).pop().expect("there are some");
        (last["data"]["content"]["output"]["reason"] == "always").then_some(last)
    });
    assert_ne!(kept["data"]["content"]["output"]["policy"], first, "the decision names the policy it was made under");

    // What can't be read changes nothing: the last good one holds, for as long as it takes to notice.
    std::fs::write(world.policy_file(), "[tiers\n").expect("a policy");
    wait_for("the broken policy to be told", || {
        go();
        count += 1;
        let last = offered(count).pop().expect("there are some");
        assert_eq!(last["data"]["content"]["output"]["reason"], "always", "{last}");
        let complaints = std::fs::read_to_string(world.path().join("stderr")).expect("it can be read");
        complaints.contains("policy.toml").then_some(())
    });
    drop(stdin);
    assert!(tap.wait().expect("it ends").success());
    let events = world.log();
    assert_eq!(of_type(&events, "trail.gap"), Vec::<&Value>::new());
}
