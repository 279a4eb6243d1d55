//! Claude Code, with our hook in its settings.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::endpoint::Endpoint;
use super::{Turn, anthropic, program};
use crate::support::{World, of_type};

const EVENTS: &[&str] =
    &["SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "PostToolUseFailure", "Stop", "SessionEnd"];

#[test]
fn what_claude_code_did_and_was_refused_stands_in_the_trail() {
    let program = program::installed("COUNTERSIGN_CLAUDE_CODE", "claude-code");
    let world = World::new();
    let root = world.repository("demo").canonicalize().unwrap();
    let file = root.join("slug.py");
    let (first, second) = ("def slug(text):\n    return text\n", "def slug(text):\n    return text.lower()\n");
    let turns = vec![
        Turn::Calls { id: "toolu_write", tool: "Write", input: json!({"file_path": file, "content": first}) },
        Turn::Calls {
            id: "toolu_edit",
            tool: "Edit",
            input: json!({"file_path": file, "old_string": "return text", "new_string": "return text.lower()"}),
        },
        Turn::Calls {
            id: "toolu_shell",
            tool: "Bash",
            input: json!({"command": "rm slug.py", "description": "Remove"}),
        },
        Turn::Says("Done."),
    ];
    let endpoint =
        Endpoint::start(Box::new(move |request| anthropic::answer(request, &turns, "claude-sonnet-4-5-20250929")));
    let prompt = "Add a slug helper";
    settings(&world);
    let mut command = command(&program, &world, &endpoint, &root);
    command.args(["-p", prompt]);

    let said: Value = serde_json::from_str(&program::run(&mut command, &world)).unwrap();

    // What truly happened.
    assert_eq!(said["result"], "Done.", "{said:#}");
    assert_eq!(said["permission_denials"][0]["tool_use_id"], "toolu_shell", "{said:#}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), second);

    assert_eq!(endpoint.refused(), Vec::<String>::new(), "it asked for nothing else");

    let log = world.log();
    assert_eq!(program::troubles(&world), "");
    assert_eq!(of_type(&log, "capture.degraded"), Vec::<&Value>::new());
    let prompts = of_type(&log, "prompt.submitted");
    assert_eq!(prompts.len(), 1, "{prompts:#?}");
    assert_eq!(prompts[0]["content"]["prompt"], prompt);
    assert_eq!(
        super::calls(&log),
        [("toolu_write", "Write", "applied"), ("toolu_edit", "Edit", "applied"), ("toolu_shell", "Bash", "denied"),]
            .map(|(id, tool, outcome)| (id.to_owned(), tool.to_owned(), outcome.to_owned()))
    );
    assert_eq!(
        super::edits(&log),
        [("toolu_write", Value::Null, json!(first)), ("toolu_edit", json!(first), json!(second))]
            .map(|(id, before, after)| (id.to_owned(), "slug.py".to_owned(), before, after))
    );
    for edit in of_type(&log, "edit.applied") {
        assert_eq!(super::model(&log, edit)["responded"], "claude-sonnet-4-5-20250929", "{edit:#}");
        assert_eq!(edit["data"]["path"]["session"], said["session_id"], "{edit:#}");
    }
}

/// Prepares a run that answers in JSON.
pub fn command(program: &Path, world: &World, endpoint: &Endpoint, directory: &Path) -> Command {
    let mut command = program::agent(program, world, endpoint, directory);
    environment(&mut command, endpoint);
    command.args(["--model", "claude-sonnet-4-5", "--output-format", "json"]);
    command
}

/// What it needs to ask the scripted model and nobody else.
pub fn environment(command: &mut Command, endpoint: &Endpoint) {
    command
        .env("ANTHROPIC_BASE_URL", endpoint.url())
        .env("ANTHROPIC_API_KEY", "dummy")
        .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
        .env("DISABLE_AUTOUPDATER", "1");
}

/// Puts our hook into its settings.
pub fn settings(world: &World) {
    let hook = json!([{"hooks": [{"type": "command", "command": program::hook_line(world, "claude-code"),
        "timeout": 20}]}]);
    let hooks: serde_json::Map<String, Value> =
        EVENTS.iter().map(|event| ((*event).to_owned(), hook.clone())).collect();
    let settings = json!({"hooks": hooks, "permissions": {"allow": ["Edit", "Write"]}});
    let directory = program::home(world).join(".claude");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("settings.json"), settings.to_string()).unwrap();
}
