//! What is not recorded because somebody said so, and that it says so.

use serde_json::{Value, json};

use super::agent::{Agent, edits};
use crate::support::{of_type, wait_for};

#[test]
fn a_pause_of_one_repository_is_told_and_leaves_the_others() {
    let agent = Agent::new();
    let other = agent.world.repository("other");
    let mut pause = agent.world.countersign(["pause", "--repository"]);
    assert!(pause.current_dir(&agent.root).output().unwrap().status.success());
    agent.calls("t1", "Write", &json!({"file_path": agent.file("a.txt"), "content": "x\n"}), || {
        agent.write("a.txt", "x\n");
    });
    let there = json!({"file_path": other.join("b.txt"), "content": "y\n"});
    let call = |more: Value| {
        let mut said =
            json!({"session_id": "s2", "cwd": other, "tool_use_id": "t2", "tool_name": "Write", "tool_input": there});
        said.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        said
    };
    agent.says("PreToolUse", call(json!({})));
    std::fs::write(other.join("b.txt"), "y\n").unwrap();
    agent.says("PostToolUse", call(json!({"tool_response": {}})));

    let events = agent.log();
    let told: Vec<String> = edits(&events).into_iter().map(|edit| edit.1).collect();
    assert_eq!(told, ["b.txt"]);
    let paused = of_type(&events, "capture.paused");
    assert_eq!(paused.len(), 1);
    let scope = paused[0]["data"]["scope"].as_str().unwrap();
    assert!(scope.len() >= 40, "the repository's ID: {scope}");
    let status = agent.world.json(["status", "--json"]);
    assert_eq!((&status[0]["paused"], &status[0]["pauses"][0]["scope"]), (&json!(false), &json!(scope)));

    let mut resume = agent.world.countersign(["resume", "--repository"]);
    assert!(resume.current_dir(&agent.root).output().unwrap().status.success());
    agent.calls("t3", "Write", &json!({"file_path": agent.file("c.txt"), "content": "z\n"}), || {
        agent.write("c.txt", "z\n");
    });
    let events = agent.log();
    let told: Vec<String> = edits(&events).into_iter().map(|edit| edit.1).collect();
    assert_eq!(told, ["b.txt", "c.txt"]);
    assert_eq!(of_type(&events, "capture.resumed")[0]["data"]["scope"], scope);
}

#[test]
fn a_pause_whose_time_ran_out_is_told_to_have_ended_once() {
    let agent = Agent::new();
    agent.world.run(["pause", "--for", "1s"]);
    let mut n = 0;
    let resumed = wait_for("the pause to end", || {
        n += 1;
        agent.says("UserPromptSubmit", json!({"prompt": format!("prompt {n}")}));
        let events = agent.log();
        (of_type(&events, "prompt.submitted").len() == 3).then_some(events)
    });
    let ends = of_type(&resumed, "capture.resumed");
    assert_eq!(ends.len(), 1);
    assert_eq!((&ends[0]["data"]["by"], &ends[0]["data"]["scope"]), (&json!("time"), &json!("all")));
    assert_eq!(ends[0]["time"], of_type(&resumed, "capture.paused")[0]["data"]["until"]);
}

#[test]
fn of_a_path_that_policy_leaves_out_nothing_is_kept_but_that_it_is_left_out() {
    let agent = Agent::new();
    std::fs::write(agent.world.policy_file(), "[capture]\nexclude = ['diary/**']\n[tiers]\nfull = 'always'\n").unwrap();
    std::fs::create_dir_all(agent.file("diary")).unwrap();
    for (id, path) in [("t1", "diary/monday.md"), ("t2", "a.txt"), ("t3", "diary/tuesday.md")] {
        let input = json!({"file_path": agent.file(path), "content": "dear diary\n"});
        agent.calls(id, "Write", &input, || agent.write(path, "dear diary\n"));
    }
    let events = agent.log();
    let told: Vec<String> = edits(&events).into_iter().map(|edit| edit.1).collect();
    assert_eq!(told, ["a.txt"]);
    let said: String = events.iter().map(Value::to_string).collect();
    assert!(!said.contains("monday") && !said.contains("tuesday"), "{said}");
    for paused in of_type(&events, "capture.paused") {
        assert_eq!((&paused["data"]["paths"], &paused["data"]["by"]), (&json!(["diary/**"]), &json!("policy")));
    }
    assert!(!of_type(&events, "capture.paused").is_empty());
}
