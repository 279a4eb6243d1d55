//! tabby-agent behind the tap, at a scripted Tabby server; a language server of ours sees the same buffer.

use serde_json::{Value, json};

use super::endpoint::{Answer, Endpoint, Request};
use super::program;
use super::server::{Lines, Tapped, stands_nowhere};
use crate::lsp::client::Client;
use crate::support::{World, of_type, wait_for};

const TOKEN: &str = "auth_5d41402abc4b2a76b9719d911017c592";

/// What the model writes after a line.
const SCRIPT: [(&str, &str); 3] = [
    ("def bubble(a):\n    ", "for i in range(len(a)):\n        for j in range(len(a) - i - 1):\n            pass"),
    ("def last(a):\n    ", "return a[len(a) - 1]"),
    ("def first(a):\n    ", "return list(reversed(a))[0]"),
];

/// The Tabby server: its health, its settings, completions by what stands before the cursor.
fn tabby(request: &Request) -> Option<Answer> {
    let answer = match request.what.split('?').next().unwrap_or_default() {
        "GET /v1/health" | "POST /v1/health" => json!({"model": "scripted/StarCoder-1B", "chat_model": null,
            "device": "cpu", "arch": "x86_64", "cpu_info": "none", "cpu_count": 1, "cuda_devices": [],
            "version": {"build_date": "2024-10-01", "build_timestamp": "2024-10-01T00:00:00Z", "git_sha": "0",
                "git_describe": "v0.20.0"}}),
        "GET /v1beta/server_setting" => json!({"disable_client_side_telemetry": false}),
        "POST /v1/events" => json!({}),
        "POST /v1/completions" => {
            let before = request.body["segments"]["prefix"].as_str()?;
            let at = SCRIPT.iter().position(|(end, _)| before.ends_with(end));
            let text = at.map_or("", |at| SCRIPT[at].1);
            json!({"id": format!("cmpl-{}", at.unwrap_or(9)), "choices": [{"index": 0, "text": text}]})
        }
        _ => return None,
    };
    Some(Answer::json(&answer))
}

/// Two language servers on one buffer, as an editor has them.
struct Editor {
    ai: Client,
    ours: Client,
    uri: String,
    text: String,
    version: i64,
}

impl Editor {
    fn insert(&mut self, text: &str) {
        let line = self.text.matches('\n').count() as u32;
        let character = self.text.rsplit('\n').next().unwrap().len() as u32;
        self.text.push_str(text);
        self.version += 1;
        let edits = [(line, character, line, character, text)];
        self.ai.change(&self.uri, self.version, &edits);
        self.ours.change(&self.uri, self.version, &edits);
    }

    fn types(&mut self, text: &str) {
        text.chars().for_each(|c| self.insert(c.encode_utf8(&mut [0; 4])));
    }

    /// Asks at the end of the text; returns the one item.
    fn asks(&mut self) -> Value {
        let line = self.text.matches('\n').count();
        let character = self.text.rsplit('\n').next().unwrap().len();
        // As long as it has no connection to its server it says that there may be more.
        wait_for("a suggestion", || {
            let answer = self.ai.request(
                "textDocument/completion",
                json!({"textDocument": {"uri": self.uri}, "position": {"line": line, "character": character},
                    "context": {"triggerKind": 1}}),
            );
            assert_eq!(answer["isIncomplete"], true, "{answer:#}");
            answer["items"].as_array()?.first().cloned()
        })
    }
}

#[test]
fn what_tabby_agent_suggested_and_what_was_taken_stands_in_the_trail() {
    let program = program::installed("COUNTERSIGN_TABBY_AGENT", "tabby-agent");
    let world = World::new();
    let root = world.repository("demo").canonicalize().unwrap();
    let endpoint = Endpoint::start(Box::new(tabby));
    let settings = program::home(&world).join(".tabby-client/agent");
    std::fs::create_dir_all(&settings).unwrap();
    let server = format!("[server]\nendpoint = \"{}\"\ntoken = \"{TOKEN}\"\n", endpoint.url());
    std::fs::write(settings.join("config.toml"), server).unwrap();
    let (tapped, mut ai) = Tapped::client(&world, &endpoint, &program, &["--lsp", "--stdio"]);
    let started = ai.initialize(json!({
        "processId": null,
        "clientInfo": {"name": "Neovim", "version": "0.12.0"},
        "rootUri": format!("file://{}", root.display()),
        "initializationOptions": {
            "clientInfo": {"name": "nvim", "version": "0.12.0",
                "tabbyPlugin": {"name": "TabbyML/vim-tabby", "version": "2.0.0"}},
            "config": {"server": {"endpoint": endpoint.url(), "token": TOKEN}},
            "clientCapabilities": {"textDocument": {"inlineCompletion": false, "completion": true},
                "tabby": {"agent": true}},
        },
        "capabilities": {"textDocument": {"synchronization": {},
            "completion": {"completionItem": {"insertReplaceSupport": true}}}},
    }));
    assert_eq!(started["serverInfo"], json!({"name": "tabby-agent", "version": "1.5.0"}));
    let ours = Client::initialized(&world, json!({}));
    let uri = format!("file://{}/sort.py", root.display());
    let mut editor = Editor { ai, ours, uri: uri.clone(), text: "import sys\n\n".to_owned(), version: 0 };
    for client in [&mut editor.ai, &mut editor.ours] {
        client.open(&uri, "python", 0, "import sys\n\n");
    }

    // Taken as a whole.
    editor.types(SCRIPT[0].0);
    let item = editor.asks();
    assert_eq!(item["textEdit"]["newText"], SCRIPT[0].1);
    editor.insert(SCRIPT[0].1);
    editor.types("\n\n");
    // Of this one the first word only, then something else.
    editor.types(SCRIPT[1].0);
    editor.asks();
    editor.insert("return ");
    editor.types("a[-1]\n\n");
    // This one is not taken.
    editor.types(SCRIPT[2].0);
    editor.asks();
    editor.types("pass\n");

    // Our own server found both insertions in its buffer.
    let spans = wait_for("the attribution", || {
        let spans = editor.ours.spans(&uri);
        (spans.matches("ai ").count() == 2).then_some(spans)
    });
    assert!(spans.contains("ai 3:4-5:16 ") && spans.contains("ai 8:4-8:11 "), "{spans}");
    tapped.finish(editor.ai);
    editor.ours.finish();
    tapped.ended_untouched(0);
    assert_eq!(endpoint.refused(), Vec::<String>::new(), "it asked for nothing else");

    let log = world.log();
    assert_eq!(of_type(&log, "capture.degraded"), Vec::<&Value>::new());
    assert_eq!(of_type(&log, "edit.applied"), Vec::<&Value>::new(), "everything is explained");
    let offered = of_type(&log, "suggestion.offered");
    let told: Vec<(&Value, &Value)> =
        offered.iter().map(|event| (&event["content"]["output"], &event["data"]["place"]["range"]["start"])).collect();
    let at = |line: u32| json!({"line": line, "character": 4});
    let (first, second, third) = (json!(SCRIPT[0].1), json!(SCRIPT[1].1), json!(SCRIPT[2].1));
    assert_eq!(told, [(&first, &at(3)), (&second, &at(8)), (&third, &at(11))]);
    let id = |event: &Value| event["data"]["contribution"].clone();
    let ids: Vec<Value> = offered.iter().map(|event| id(event)).collect();

    let accepted = of_type(&log, "suggestion.accepted");
    let told: Vec<(Value, &Value, &Value)> =
        accepted.iter().map(|event| (id(event), &event["data"]["extent"], &event["content"]["accepted"])).collect();
    assert_eq!(
        told,
        [(ids[0].clone(), &json!("full"), &first), (ids[1].clone(), &json!("partial"), &json!("return ")),]
    );
    let rejected: Vec<Value> = of_type(&log, "suggestion.rejected").into_iter().map(id).collect();
    assert_eq!(rejected.iter().filter(|id| **id == ids[2]).count(), 1, "{rejected:#?}");
    assert!(!rejected.contains(&ids[0]), "what was taken as a whole is not rejected");
    for event in offered.iter().chain(&accepted) {
        let data = &event["data"];
        assert_eq!((&data["path"]["tool"], &data["path"]["version"]), (&json!("tabby-agent"), &json!("1.5.0")));
        assert_eq!((&data["path"]["kind"], &data["path"]["transport"]), (&json!("ide"), &json!("tap")));
        assert_eq!(data["place"]["path"], "sort.py");
        // Nothing on this wire names a model.
        assert_eq!(data["model"], json!({"absent": "not_on_wire"}));
    }
    stands_nowhere(&world, TOKEN);
}

#[test]
fn the_older_protocol_of_tabby_agent_says_what_was_shown_taken_and_dismissed() {
    let program = program::installed("COUNTERSIGN_TABBY_AGENT", "tabby-agent");
    let world = World::new();
    let root = world.repository("demo").canonicalize().unwrap();
    let file = root.join("sort.py");
    let endpoint = Endpoint::start(Box::new(tabby));
    let (tapped, mut tabby) = Lines::client(&world, &endpoint, &program, &[]);
    let is_ready = tabby.call(
        "initialize",
        json!([{
            "config": {"server": {"endpoint": endpoint.url(), "token": TOKEN},
                "anonymousUsageTracking": {"disable": true}},
            "clientProperties": {"user": {}, "session": {"client": "nvim 0.12.0",
                "ide": {"name": "nvim", "version": "0.12.0"},
                "tabby_plugin": {"name": "TabbyML/vim-tabby", "version": "1.4.0"}}},
        }]),
    );
    assert_eq!(is_ready, true);
    let mut ask = |text: &str, acts: &[Value]| {
        let completion = tabby.call(
            "provideCompletions",
            json!([{"filepath": file, "language": "python", "text": text, "position": text.len(),
                "indentation": "    ", "manually": true}]),
        );
        let id = completion["id"].clone();
        for act in acts {
            let mut event = json!({"completion_id": id, "choice_index": 0, "view_id": "view"});
            event.as_object_mut().unwrap().extend(act.as_object().unwrap().clone());
            assert_eq!(tabby.call("postEvent", json!([event])), true);
        }
        completion["choices"][0]["text"].clone()
    };
    let taken = ask(SCRIPT[0].0, &[json!({"type": "view"}), json!({"type": "select", "elapsed": 300})]);
    let text = format!("{}{}\n\n{}", SCRIPT[0].0, SCRIPT[0].1, SCRIPT[1].0);
    let line = json!({"type": "select", "select_kind": "line", "elapsed": 300});
    let in_part = ask(&text, &[json!({"type": "view"}), line]);
    let text = format!("{text}{}\n\n{}", SCRIPT[1].1, SCRIPT[2].0);
    let dismissed = ask(&text, &[json!({"type": "view"}), json!({"type": "dismiss", "elapsed": 300})]);
    assert_eq!([&taken, &in_part, &dismissed], [SCRIPT[0].1, SCRIPT[1].1, SCRIPT[2].1]);
    tabby.call("finalize", json!([]));
    tabby.finish(&tapped);
    tapped.ended_untouched(0);
    assert_eq!(endpoint.refused(), Vec::<String>::new());

    let log = world.log();
    assert_eq!(of_type(&log, "capture.degraded"), Vec::<&Value>::new());
    let offered = of_type(&log, "suggestion.offered");
    let told: Vec<&Value> = offered.iter().map(|event| &event["content"]["output"]).collect();
    assert_eq!(told, [&taken, &in_part, &dismissed]);
    let accepted = of_type(&log, "suggestion.accepted");
    let told: Vec<(&Value, &Value, &Value)> = accepted
        .iter()
        .map(|event| (&event["data"]["contribution"], &event["data"]["extent"], &event["content"]["accepted"]))
        .collect();
    // How much a line is, the client knows alone.
    assert_eq!(
        told,
        [
            (&offered[0]["data"]["contribution"], &json!("full"), &taken),
            (&offered[1]["data"]["contribution"], &json!("partial"), &Value::Null)
        ]
    );
    let rejected = of_type(&log, "suggestion.rejected");
    let told: Vec<(&Value, &Value)> =
        rejected.iter().map(|event| (&event["data"]["contribution"], &event["data"]["reason"])).collect();
    // What was left of the second one went when the next was asked for.
    assert_eq!(
        told,
        [
            (&offered[1]["data"]["contribution"], &json!("superseded")),
            (&offered[2]["data"]["contribution"], &json!("dismissed"))
        ]
    );
    stands_nowhere(&world, TOKEN);
}
