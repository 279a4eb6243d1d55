//! Gemini CLI, with our hook in its settings.

use serde_json::{Value, json};

use super::endpoint::Endpoint;
use super::{Turn, gemini, program};
use crate::support::{World, of_type};

const EVENTS: &[&str] =
    &["SessionStart", "BeforeAgent", "BeforeModel", "BeforeTool", "AfterTool", "AfterAgent", "SessionEnd"];

#[test]
fn what_gemini_cli_did_and_could_not_do_stands_in_the_trail() {
    let program = program::installed("COUNTERSIGN_GEMINI_CLI", "gemini-cli");
    let world = World::new();
    let root = world.repository("demo").canonicalize().unwrap();
    let file = root.join("slug.py");
    let (first, second) = ("def slug(text):\n    return text\n", "def slug(text):\n    return text.lower()\n");
    let replace = |from: &str| {
        json!({"file_path": file, "instruction": "Lower the case", "old_string": from,
            "new_string": "    return text.lower()\n"})
    };
    let turns = vec![
        Turn::Calls { id: "", tool: "write_file", input: json!({"file_path": file, "content": first}) },
        Turn::Calls { id: "", tool: "replace", input: replace("    return text\n") },
        // Without a person to ask, it has no shell.
        Turn::Calls { id: "", tool: "run_shell_command", input: json!({"command": "rm slug.py"}) },
        Turn::Says("Done."),
    ];
    let endpoint = Endpoint::start(Box::new(move |request| gemini::answer(request, &turns, "gemini-2.5-pro")));
    let prompt = "Add a slug helper";
    settings(&world);
    let mut command = program::agent(&program, &world, &endpoint, &root);
    command
        .args(["-p", prompt, "--model", "gemini-2.5-pro", "--approval-mode", "auto_edit", "--output-format", "json"])
        .env("GOOGLE_GEMINI_BASE_URL", endpoint.url())
        .env("GEMINI_API_KEY", "dummy")
        .env("GEMINI_CLI_NO_RELAUNCH", "true");

    let said: Value = serde_json::from_str(&program::run(&mut command, &world)).unwrap();

    // What truly happened.
    assert_eq!(said["response"], "Done.", "{said:#}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), second, "{said:#}");
    let mut refused = endpoint.refused();
    refused.retain(|what| !what.starts_with("CONNECT "));
    assert_eq!(refused, Vec::<String>::new());

    let log = world.log();
    assert_eq!(program::troubles(&world), "");
    assert_eq!(of_type(&log, "capture.degraded"), Vec::<&Value>::new());
    let prompts = of_type(&log, "prompt.submitted");
    assert_eq!(prompts.len(), 1, "{prompts:#?}");
    assert_eq!(prompts[0]["content"]["prompt"], prompt);
    // Calls have ids made by Gemini CLI, and only in its session file.
    let calls: Vec<(String, String)> =
        super::calls(&log).into_iter().map(|(_, tool, outcome)| (tool, outcome)).collect();
    assert_eq!(
        calls,
        [("write_file", "applied"), ("replace", "applied"), ("run_shell_command", "failed")]
            .map(|(tool, outcome)| (tool.to_owned(), outcome.to_owned()))
    );
    let edits: Vec<(String, Value, Value)> =
        super::edits(&log).into_iter().map(|(_, path, before, after)| (path, before, after)).collect();
    assert_eq!(
        edits,
        [(Value::Null, json!(first)), (json!(first), json!(second))].map(|(before, after)| (
            "slug.py".to_owned(),
            before,
            after
        ))
    );
    for edit in of_type(&log, "edit.applied") {
        assert_eq!(super::model(&log, edit)["requested"], "gemini-2.5-pro", "{edit:#}");
        assert_eq!(super::model(&log, edit)["responded"], Value::Null, "{edit:#}");
    }
}

fn settings(world: &World) {
    let hook = json!([{"matcher": "*", "hooks": [{"name": "countersign", "type": "command",
        "command": program::hook_line(world, "gemini-cli"), "timeout": 20_000}]}]);
    let hooks: serde_json::Map<String, Value> =
        EVENTS.iter().map(|event| ((*event).to_owned(), hook.clone())).collect();
    let settings = json!({
        "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": false}},
        "general": {"enableAutoUpdate": false, "enableAutoUpdateNotification": false},
        "privacy": {"usageStatisticsEnabled": false},
        "hooksConfig": {"enabled": true},
        "hooks": hooks,
    });
    let directory = program::home(world).join(".gemini");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("settings.json"), settings.to_string()).unwrap();
}
