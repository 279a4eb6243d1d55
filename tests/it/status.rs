//! What `countersign status` says of a machine: who is recorded, who is not, and what to do.

use std::path::Path;

use serde_json::Value;

use crate::support::World;

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// A world whose HOME and PATH are its own.
fn status(world: &World, args: &[&str]) -> String {
    let mut command = world.countersign(["status"].iter().chain(args));
    let output = command.env("HOME", world.path().join("user")).env("PATH", world.path().join("bin")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn row<'a>(status: &'a Value, tool: &str, path: &Value) -> &'a Value {
    let rows = status["capture"].as_array().unwrap();
    rows.iter().find(|row| row["tool"] == tool && row["path"] == *path).unwrap_or_else(|| panic!("{tool} in {rows:#?}"))
}

#[cfg(unix)]
#[test]
fn status_tells_what_is_recorded_what_is_set_up_what_is_blind_and_who_is_unresolved() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let user = world.path().join("user");
    let ran = world.path().join("ran");
    for name in ["claude", "codex", "lsp-ai"] {
        let program = world.path().join("bin").join(name);
        write(&program, &format!("#!/bin/sh\n/usr/bin/touch {}\n", ran.display()));
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let hooks =
        r#"{"hooks":{"PostToolUse":[{"hooks":[{"type":"command","command":"countersign hook claude-code"}]}]}}"#;
    write(&user.join(".claude/settings.json"), hooks);
    write(&user.join(".codex/hooks.json"), &hooks.replace("claude-code", "codex"));
    std::fs::create_dir_all(user.join(".vscode/extensions/github.copilot-1.388.0")).unwrap();

    // Before anything was recorded.
    let before: Value = serde_json::from_str(&status(&world, &["--json"])).unwrap();
    assert_eq!(row(&before, "claude-code", &"hook".into())["state"], "configured");
    assert_eq!(row(&before, "codex", &Value::Null)["state"], "blind");
    assert_eq!(before["persons"]["unresolved"], 0);

    world.run(["tap", "--tool", "lsp-ai", "--", "true"]);
    world.run(["pause"]);
    world.run(["resume"]);
    let after: Value = serde_json::from_str(&status(&world, &["--json"])).unwrap();
    let tapped = row(&after, "lsp-ai", &"tap".into());
    assert_eq!(tapped["state"], "stopped");
    assert!(tapped["last_event"].is_string());
    assert_eq!(tapped["found"][0].as_str().unwrap().rsplit('/').next(), Some("lsp-ai"));
    assert!(tapped["do"].is_null());
    assert!(row(&after, "codex", &Value::Null)["blind"].as_str().unwrap().contains("trusted"));
    assert!(row(&after, "copilot-vscode", &Value::Null)["do"].as_str().unwrap().contains("countersign lsp"));
    // Without a repository, a person who paused is known by the account alone.
    let named = world.log().iter().filter(|event| !event["data"]["person"].is_null()).count();
    assert!(named > 0);
    assert_eq!(after["persons"]["of"], named);
    assert_eq!(after["persons"]["unresolved"], named);

    let text = status(&world, &[]);
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what} in\n{text}"));
    assert!(at("lsp-ai by tap") < at("claude-code by hook: set up"));
    assert!(at("claude-code by hook: set up") < at("codex: ~/.codex/hooks.json"), "captured first\n{text}");
    assert!(at("copilot-vscode: ") < at("persons"));
    assert!(!ran.exists(), "status ran a foreign program");
}
