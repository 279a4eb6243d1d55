//! Rough treatment of a hook: a spool that can't be had, a disk that is full. The agent never notices, and
//! what was said is in the trail as soon as it can be.

// A limit on the size of files stands for the disk.
#![cfg(target_os = "linux")]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::agent::Agent;
use super::replay;
use crate::support::of_type;

fn prompts(events: &[Value]) -> Vec<&str> {
    of_type(events, "prompt.submitted").iter().filter_map(|event| event["content"]["prompt"].as_str()).collect()
}

#[test]
fn a_spool_that_another_holds_delays_no_agent_and_gets_everything_later() {
    let agent = Agent::new();
    agent.says("UserPromptSubmit", json!({ "prompt": "first" }));
    let holder = rusqlite::Connection::open(agent.state().join("spool.db")).expect("the spool");
    holder.execute_batch("BEGIN IMMEDIATE").expect("the write lock");
    agent.says("UserPromptSubmit", json!({ "prompt": "second" }));
    drop(holder);
    agent.says("UserPromptSubmit", json!({ "prompt": "third" }));
    let mut all = agent.world.log();
    all.sort_by(|a, b| a["time"].as_str().cmp(&b["time"].as_str()));
    assert_eq!(prompts(&all), ["first", "second", "third"]);
    agent.world.run(["verify"]);
}

#[test]
fn a_full_disk_fails_no_agent_and_what_was_missed_is_told_as_soon_as_there_is_room() {
    let agent = Agent::new();
    agent.says("UserPromptSubmit", json!({ "prompt": "first" }));
    let said =
        json!({ "session_id": "s1", "cwd": agent.root, "hook_event_name": "UserPromptSubmit", "prompt": "lost" });
    let ours = agent.world.countersign(["hook", "claude-code"]);
    let mut full = Command::new("sh");
    // What is there can still be written over, as on a disk without a free block.
    full.args(["-c", r#"trap "" XFSZ; ulimit -f 1; exec "$0" "$@""#]).arg(ours.get_program()).args(ours.get_args());
    full.envs(ours.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(agent.world.path());
    for _ in 0..2 {
        let output = replay::run(full.stdin(Stdio::piped()), said.to_string().as_bytes());
        assert!(output.status.success(), "{:?}", output.status);
        assert_eq!((output.stdout, output.stderr), (Vec::new(), Vec::new()));
    }
    agent.says("UserPromptSubmit", json!({ "prompt": "later" }));
    let events = agent.world.log();
    assert_eq!(prompts(&events), ["first", "later"]);
    let gaps = of_type(&events, "trail.gap");
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!((&gaps[0]["data"]["reason"], &gaps[0]["data"]["count"]), (&json!("no_room"), &json!(2)));
    agent.says("UserPromptSubmit", json!({ "prompt": "last" }));
    assert_eq!(of_type(&agent.world.log(), "trail.gap").len(), 1, "it is told once");
    agent.world.run(["verify"]);
}

#[test]
fn a_git_that_hangs_holds_up_no_agent_and_what_was_not_looked_at_is_a_gap() {
    use std::os::unix::fs::PermissionsExt;
    let agent = Agent::new();
    let bin = agent.world.path().join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::write(bin.join("git"), "#!/bin/sh\nexec sleep 30\n").unwrap();
    std::fs::set_permissions(bin.join("git"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let start = Instant::now();
    for event in ["PreToolUse", "PostToolUse"] {
        let said = json!({ "session_id": "s1", "cwd": agent.root, "hook_event_name": event, "tool_name": "Bash",
            "tool_use_id": "t1", "tool_input": { "command": "make" }, "tool_response": { "stdout": "made" } });
        let mut hook = agent.world.countersign(["hook", "claude-code"]);
        hook.env("PATH", &path).env_remove("COUNTERSIGN_TEST_HOOK_MS").stdin(Stdio::piped());
        assert!(replay::run(&mut hook, said.to_string().as_bytes()).status.success());
    }
    // One git that is waited for takes 30 s.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    let events = agent.world.log();
    let called = of_type(&events, "tool.called");
    assert_eq!(called.len(), 1);
    assert_eq!(called[0]["data"]["tree"], json!({ "absent": "truncated" }));
    assert_eq!(of_type(&events, "trail.gap")[0]["data"]["reason"], "work_tree_cut_short");
}
