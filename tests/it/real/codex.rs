//! Codex, with our hook in its hooks.json.

use serde_json::{Value, json};

use super::endpoint::Endpoint;
use super::{Turn, openai, program};
use crate::support::{World, of_type};

const EVENTS: &[&str] = &["SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "Stop", "SessionEnd"];

#[test]
fn what_codex_patched_ran_and_failed_at_stands_in_the_trail() {
    let program = program::installed("COUNTERSIGN_CODEX", "codex");
    let world = World::new();
    let root = world.repository("demo").canonicalize().unwrap();
    std::fs::write(root.join("app.py"), "print(1)\n").unwrap();
    let patch = |from: &str, to: &str| {
        format!("*** Begin Patch\n*** Update File: app.py\n@@\n-print({from})\n+print({to})\n*** End Patch\n")
    };
    let turns = vec![
        Turn::Calls { id: "call_patch", tool: "apply_patch", input: json!(patch("1", "2")) },
        Turn::Calls { id: "call_bad", tool: "apply_patch", input: json!(patch("7", "8")) },
        Turn::Calls { id: "call_shell", tool: "exec_command", input: json!({"cmd": "cat app.py"}) },
        Turn::Says("Done."),
    ];
    let endpoint = Endpoint::start(Box::new(move |request| openai::answer(request, &turns, "gpt-5.5-2026-04-23")));
    let prompt = "Count on";
    configure(&world, &endpoint);
    let mut command = program::agent(&program, &world, &endpoint, &root);
    // Hooks run only when a person has looked at them; this stands for the person.
    command.args(["exec", "--json", "--dangerously-bypass-hook-trust", prompt]).env("SCRIPTED_KEY", "dummy");

    let said = program::run(&mut command, &world);

    // What truly happened.
    assert!(said.contains("Done."), "{said}");
    assert_eq!(std::fs::read_to_string(root.join("app.py")).unwrap(), "print(2)\n", "{said}");
    // It looks for news of itself, in vain.
    let mut refused = endpoint.refused();
    refused.retain(|what| !what.starts_with("CONNECT "));
    assert_eq!(refused, Vec::<String>::new());

    let log = world.log();
    assert_eq!(program::troubles(&world), "");
    assert_eq!(of_type(&log, "capture.degraded"), Vec::<&Value>::new());
    let prompts = of_type(&log, "prompt.submitted");
    assert_eq!(prompts.len(), 1, "{prompts:#?}");
    assert_eq!(prompts[0]["content"]["prompt"], prompt);
    let mut calls = super::calls(&log);
    calls.sort();
    assert_eq!(
        calls,
        [
            ("call_bad", "apply_patch", "failed"),
            ("call_patch", "apply_patch", "applied"),
            ("call_shell", "Bash", "ran"),
        ]
        .map(|(id, tool, outcome)| (id.to_owned(), tool.to_owned(), outcome.to_owned()))
    );
    assert_eq!(
        super::edits(&log),
        [("call_patch".to_owned(), "app.py".to_owned(), json!("print(1)\n"), json!("print(2)\n"))]
    );
    // Codex tells its hooks what it asked for, and nobody what answered.
    let edit = of_type(&log, "edit.applied")[0];
    assert_eq!(super::model(&log, edit)["requested"], "gpt-5.5", "{edit:#}");
    assert_eq!(super::model(&log, edit)["responded"], Value::Null, "{edit:#}");
}

fn configure(world: &World, endpoint: &Endpoint) {
    let hook = json!([{"hooks": [{"type": "command", "command": program::hook_line(world, "codex"), "timeout": 20}]}]);
    let hooks: serde_json::Map<String, Value> =
        EVENTS.iter().map(|event| ((*event).to_owned(), hook.clone())).collect();
    let directory = program::home(world).join(".codex");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("hooks.json"), json!({"hooks": hooks}).to_string()).unwrap();
    let config = format!(
        r#"model = "gpt-5.5"
model_provider = "scripted"
check_for_update_on_startup = false
approval_policy = "never"
sandbox_mode = "danger-full-access"

[analytics]
enabled = false

[feedback]
enabled = false

[model_providers.scripted]
name = "scripted"
base_url = "{}/v1"
env_key = "SCRIPTED_KEY"
wire_api = "responses"
requires_openai_auth = false
supports_websockets = false
"#,
        endpoint.url()
    );
    std::fs::write(directory.join("config.toml"), config).unwrap();
}
