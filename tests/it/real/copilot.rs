//! GitHub's Copilot language server behind the tap, with nobody signed in.

use serde_json::{Value, json};

use super::endpoint::Endpoint;
use super::program;
use super::server::{Tapped, stands_nowhere};
use crate::support::{World, of_type};

/// What nobody signs in with, and is written nowhere.
const TOKEN: &str = "gho_16C7e42F292c6912E7710c838347Ae178B4a";

#[test]
fn copilot_without_a_person_signed_in_offers_nothing_and_nothing_is_made_up() {
    let program = program::installed("COUNTERSIGN_COPILOT", "copilot-language-server");
    let world = World::new();
    let root = world.repository("demo").canonicalize().unwrap();
    // It has no endpoint: whatever it tries to reach is refused here.
    let endpoint = Endpoint::start(Box::new(|_| None));
    let (tapped, mut client) = Tapped::client(&world, &endpoint, &program, &["--stdio"]);
    let id = client.ask(
        "initialize",
        json!({
            "processId": null,
            "clientInfo": {"name": "Neovim", "version": "0.12.0"},
            "rootUri": format!("file://{}", root.display()),
            "capabilities": {"workspace": {"workspaceFolders": true},
                "textDocument": {"inlineCompletion": {"dynamicRegistration": false}}},
            "initializationOptions": {"editorInfo": {"name": "Neovim", "version": "0.12.0"},
                "editorPluginInfo": {"name": "copilot.lua", "version": "2.0.0"}},
        }),
    );
    let answer = client.answer(id);
    assert_eq!(answer["result"]["serverInfo"]["version"], "1.539.0", "{answer:#}");
    client.notify("initialized", json!({}));
    // Settings go over the wire with whatever a person has written into them.
    let settings = json!({"telemetry": {"telemetryLevel": "off"}, "github.copilot": {"advanced": {"token": TOKEN}}});
    client.notify("workspace/didChangeConfiguration", json!({"settings": settings}));
    assert_eq!(client.request("checkStatus", json!({"options": {}})), json!({"status": "NotSignedIn"}));

    let uri = format!("file://{}/a.py", root.display());
    client.open(&uri, "python", 0, "def f(x):\n    ");
    client.change(&uri, 1, &[(1, 4, 1, 4, "y")]);
    let asked = client.ask(
        "textDocument/inlineCompletion",
        json!({"textDocument": {"uri": uri, "version": 1}, "position": {"line": 1, "character": 5},
            "context": {"triggerKind": 2}, "formattingOptions": {"tabSize": 4, "insertSpaces": true}}),
    );
    let answer = client.answer(asked);
    assert!(answer["error"]["message"].as_str().is_some_and(|why| why.starts_with("Not authenticated")), "{answer:#}");
    // What a person types now is nobody's suggestion.
    client.change(&uri, 2, &[(1, 5, 1, 5, " = x\n    return y\n")]);
    tapped.finish(client);
    tapped.ended_untouched(0);

    let log = world.log();
    assert_eq!(of_type(&log, "capture.degraded"), Vec::<&Value>::new());
    let types: Vec<&str> = log.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let (first, last) = ("dev.countersign.capture.started.v1", "dev.countersign.capture.stopped.v1");
    // On a busy machine it takes longer to start than we wait for its name; then its name comes apart.
    let named = match types.as_slice() {
        [began, ended] if (*began, *ended) == (first, last) => &log[0],
        [began, "dev.countersign.tool.discovered.v1", ended] if (*began, *ended) == (first, last) => &log[1],
        other => panic!("{other:?}"),
    };
    assert_eq!(log[0]["data"]["client"], "Neovim 0.12.0 (copilot.lua 2.0.0)");
    for event in [named, log.last().unwrap()] {
        let path = &event["data"]["path"];
        assert_eq!((&path["tool"], &path["version"]), (&json!("copilot"), &json!("1.539.0")), "{event:#}");
    }
    stands_nowhere(&world, TOKEN);
}
