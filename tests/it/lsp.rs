//! The language server as an editor has it: a process at the other end of two pipes.

pub mod client;
mod outside;

use std::process::{Command, Stdio};

use client::Client;
use serde_json::{Value, json};

use crate::support::{World, of_type, wait_for};

const URI: &str = "file:///home/dev/a.py";

fn utf16() -> Value {
    json!({})
}

fn encodings(offered: &[&str]) -> Value {
    json!({ "general": { "positionEncodings": offered } })
}

// Order

#[test]
fn a_request_sees_every_change_that_was_sent_before_it() {
    let world = World::new();
    let mut client = Client::initialized(&world, utf16());
    client.open(URI, "python", 0, "");
    for line in 0..2_000 {
        // Out of order, this line would not exist yet.
        client.change(URI, i64::from(line) + 1, &[(line, 0, line, 0, "x\n")]);
    }
    let attribution = client.attribution(URI);
    assert_eq!(attribution["version"], 2_000);
    assert_eq!(attribution["spans"][0]["range"]["end"], json!({ "line": 2_000, "character": 0 }));
    assert_eq!(attribution["spans"][0]["origin"], "human");
    client.finish();
}

#[test]
fn requests_between_changes_each_see_exactly_their_past() {
    let world = World::new();
    let mut client = Client::initialized(&world, utf16());
    client.open(URI, "python", 0, "");
    let asked: Vec<i64> = (0..200)
        .map(|line| {
            client.change(URI, i64::from(line) + 1, &[(line, 0, line, 0, "x\n")]);
            client.ask("countersign/attribution", json!({ "textDocument": { "uri": URI } }))
        })
        .collect();
    for (i, id) in asked.into_iter().enumerate() {
        assert_eq!(client.answer(id)["result"]["version"], i + 1);
    }
    client.finish();
}

// Flow

#[test]
fn an_editor_that_does_not_read_does_not_stop_our_reading() {
    let world = World::new();
    let mut client = Client::spawn_deaf(world.countersign(["lsp"]));
    let hello = client.ask("initialize", json!({ "capabilities": {} }));
    client.notify("initialized", json!({}));
    client.open(URI, "python", 0, "");
    // Far more answers, and then far more changes, than two pipes hold.
    let asked: Vec<i64> = (0..5_000).map(|_| client.ask("countersign/status", json!({}))).collect();
    for line in 0..5_000 {
        client.change(URI, i64::from(line) + 1, &[(line, 0, line, 0, "x\n")]);
    }
    client.listen();
    client.answer(hello);
    for id in asked {
        client.answer(id);
    }
    assert_eq!(client.attribution(URI)["version"], 5_000);
    client.finish();
}

#[test]
fn answers_nobody_waits_for_are_harmless() {
    let world = World::new();
    let mut client = Client::initialized(&world, json!({ "workspace": { "configuration": true } }));
    let asked = client.told("workspace/configuration");
    client.send(&json!({ "jsonrpc": "2.0", "id": 99, "result": null }));
    client.send(&json!({ "jsonrpc": "2.0", "id": "nobody", "error": { "code": 1, "message": "no" } }));
    for _ in 0..3 {
        client.send(&json!({ "jsonrpc": "2.0", "id": asked["id"], "result": [null] }));
    }
    client.send(&json!({ "jsonrpc": "2.0", "id": null, "result": 1 }));
    client.notify("$/cancelRequest", json!({ "id": 4711 }));
    assert_eq!(client.spans(URI), "null");
    client.finish();
}

#[test]
fn a_question_to_the_editor_that_is_never_answered_holds_up_nothing() {
    let world = World::new();
    let mut client = Client::initialized(&world, json!({ "workspace": { "configuration": true } }));
    for _ in 0..200 {
        client.notify("workspace/didChangeConfiguration", json!({ "settings": {} }));
    }
    client.open(URI, "python", 0, "x\n");
    for version in 1..=500 {
        client.change(URI, version, &[(0, 0, 0, 0, "y")]);
    }
    assert_eq!(client.attribution(URI)["version"], 500);
    client.finish();
}

// The end

#[test]
fn exit_after_shutdown_ends_with_0_and_without_it_with_1() {
    let world = World::new();
    Client::initialized(&world, utf16()).finish();
    let mut rude = Client::initialized(&world, utf16());
    rude.notify("exit", Value::Null);
    assert_eq!(rude.ended().code(), Some(1));
}

#[test]
fn exit_ends_the_server_even_when_nobody_reads_and_before_it_was_introduced() {
    let world = World::new();
    let mut early = Client::start(&world);
    early.notify("exit", Value::Null);
    assert_eq!(early.ended().code(), Some(1));

    let mut deaf = Client::spawn_deaf(world.countersign(["lsp"]));
    deaf.ask("initialize", json!({ "capabilities": {} }));
    for _ in 0..5_000 {
        deaf.ask("countersign/status", json!({}));
    }
    deaf.ask("shutdown", Value::Null);
    deaf.notify("exit", Value::Null);
    assert_eq!(deaf.ended().code(), Some(0));
}

#[test]
fn the_end_of_its_input_ends_the_server_and_what_it_saw_is_recorded() {
    let world = World::new();
    let mut client = Client::initialized(&world, utf16());
    client.request("countersign/status", json!({}));
    client.hang_up();
    assert_eq!(client.ended().code(), Some(1));
    let events = world.log();
    let stopped = of_type(&events, "capture.stopped");
    assert_eq!(stopped.len(), 1, "{events:?}");
    assert_eq!(stopped[0]["data"]["reason"], "end_of_input");
}

#[test]
#[cfg(target_os = "linux")]
fn a_dead_parent_ends_the_server_though_its_input_stays_open() {
    let world = World::new();
    let mut parent = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut client = Client::start(&world);
    client.initialize(json!({ "processId": parent.id(), "capabilities": {} }));
    client.request("countersign/status", json!({}));
    parent.kill().unwrap();
    parent.wait().unwrap();
    assert_eq!(client.ended().code(), Some(1));
    let events = world.log();
    assert_eq!(of_type(&events, "capture.stopped")[0]["data"]["reason"], "parent_gone");
}

// Bad input

#[test]
fn malformed_messages_get_a_clear_error_and_cost_nothing_else() {
    let world = World::new();
    let mut client = Client::initialized(&world, utf16());
    client.open(URI, "python", 1, "x\n");
    let codes = [
        ("{\"jsonrpc\":\"2.0\",", -32700),
        ("\u{feff}{}", -32700),
        ("[]", -32600),
        ("7", -32600),
        ("{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"shutdown\"}", -32600),
        ("{\"jsonrpc\":\"2.0\",\"id\":[1],\"method\":\"shutdown\"}", -32600),
    ];
    for (body, code) in codes {
        client.send_raw(format!("Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
        let answer = client.wait(body, |message| message.get("error").is_some());
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&Value::Null, &json!(code)), "{body}");
    }
    client.send_raw(b"Content-Length: x\r\n\r\n{}");
    let answer = client.wait("bad header", |message| message.get("error").is_some());
    assert_eq!(answer["error"]["code"], -32700);

    let id = client.ask("textDocument/nonsense", json!({}));
    assert_eq!(client.answer(id)["error"]["code"], -32601);
    let id = client.ask("textDocument/hover", json!({ "position": "here" }));
    assert_eq!(client.answer(id)["error"]["code"], -32602);
    client.notify("textDocument/nonsense", json!({}));
    client.notify("$/nonsense", json!({}));
    client.notify("countersign/suggestion", json!({ "event": "dreamt" }));

    client.change(URI, 2, &[(0, 0, 0, 1, "y")]);
    assert_eq!(client.attribution(URI)["version"], 2);
    client.finish();
    let events = world.log();
    let reasons: Vec<&str> =
        of_type(&events, "capture.degraded").iter().filter_map(|e| e["data"]["reason"].as_str()).collect();
    for reason in ["malformed_message", "malformed_frame", "malformed_suggestion"] {
        assert!(reasons.contains(&reason), "{reason} is not in {reasons:?}");
    }
}

#[test]
fn a_change_that_cannot_be_applied_unsynchronises_until_the_next_whole_text() {
    let world = World::new();
    let mut client = Client::initialized(&world, utf16());
    let recover = |client: &mut Client, version| {
        assert_eq!(client.spans(URI), "unsynchronised");
        client.change(URI, version, &[(0, 0, 0, 0, "builds on what is lost")]);
        assert_eq!(client.spans(URI), "unsynchronised");
        client.replace(URI, version + 1, "x\n");
        assert_eq!(client.attribution(URI)["synchronised"], true);
    };
    client.open(URI, "python", 1, "x\n");
    client.change(URI, 2, &[(7, 0, 7, 1, "past the end")]);
    recover(&mut client, 3);
    client.change(URI, 5, &[(0, 1, 0, 0, "backwards")]);
    recover(&mut client, 6);
    client.notify(
        "textDocument/didChange",
        json!({ "textDocument": { "uri": URI, "version": 8 }, "contentChanges": [{ "text": "no range", "range": 7 }] }),
    );
    recover(&mut client, 9);
    client.finish();
    let events = world.log();
    let degraded = of_type(&events, "capture.degraded");
    assert!(
        degraded.iter().any(|e| e["data"]["reason"] == "impossible_range" && e["data"]["uri"] == URI),
        "{degraded:?}"
    );
    assert!(degraded.iter().any(|e| e["data"]["reason"] == "malformed_message"), "{degraded:?}");
}

#[test]
fn a_message_too_long_to_be_kept_unsynchronises_every_document_and_is_on_record() {
    let world = World::new();
    let mut client = Client::initialized(&world, utf16());
    client.open(URI, "python", 1, "x\n");
    let body = (64 << 20) + 1;
    client.send_raw(format!("Content-Length: {body}\r\n\r\n").as_bytes());
    client.send_raw(&vec![b' '; body]);
    assert_eq!(client.spans(URI), "unsynchronised");
    client.replace(URI, 2, "x\n");
    assert_eq!(client.attribution(URI)["synchronised"], true);
    client.finish();
    let events = world.log();
    assert!(of_type(&events, "capture.degraded").iter().any(|e| e["data"]["reason"] == "oversized_message"));
}

#[test]
fn changes_of_closed_documents_and_stale_versions_are_recorded_and_harm_nobody() {
    let world = World::new();
    let mut client = Client::initialized(&world, utf16());
    client.change("file:///never/opened.py", 1, &[(0, 0, 0, 0, "x")]);
    client.close("file:///never/opened.py");
    client.notify("textDocument/didSave", json!({ "textDocument": { "uri": "file:///never/opened.py" } }));
    client.open(URI, "python", 5, "x\n");
    client.change(URI, 4, &[(0, 0, 0, 0, "late")]);
    client.close(URI);
    client.change(URI, 6, &[(0, 0, 0, 0, "y")]);
    assert_eq!(client.spans(URI), "null");
    client.finish();
    let events = world.log();
    let reasons: Vec<&str> =
        of_type(&events, "capture.degraded").iter().filter_map(|e| e["data"]["reason"].as_str()).collect();
    assert!(reasons.contains(&"change_of_closed_document"), "{reasons:?}");
    assert!(reasons.contains(&"version_did_not_grow"), "{reasons:?}");
}

#[test]
fn a_broken_spool_file_does_not_stop_the_server() {
    let world = World::new();
    let state = world.home().join("state");
    std::fs::create_dir_all(&state).unwrap();
    std::fs::write(state.join("spool.db"), b"this is no database, and it is long enough to be looked at. ".repeat(100))
        .unwrap();
    let mut client = Client::initialized(&world, utf16());
    client.open(URI, "python", 1, "x\n");
    client.change(URI, 2, &[(0, 0, 0, 1, "y")]);
    assert_eq!(client.attribution(URI)["version"], 2);
    client.request("countersign/status", json!({}));
    client.finish();
}

#[test]
fn odd_initialize_parameters_do_not_keep_the_server_from_starting() {
    let world = World::new();
    let mut client = Client::start(&world);
    let answer = client.initialize(json!({
        "processId": "none", "rootUri": "file:///a [b]|c", "clientInfo": 7, "capabilities": { "textDocument": 3 },
        "workspaceFolders": [{ "uri": "no uri at all", "name": 1 }],
    }));
    assert_eq!(answer["capabilities"]["positionEncoding"], "utf-16");
    let id = client.ask("initialize", json!({ "capabilities": {} }));
    assert_eq!(client.answer(id)["error"]["code"], -32600);
    client.finish();
}

// Documents

#[test]
fn positions_are_counted_as_the_editor_prefers() {
    for (offered, agreed, after_it) in [
        (&["utf-8", "utf-16"][..], "utf-8", 4),
        (&["utf-32", "utf-8"], "utf-32", 1),
        (&["utf-16"], "utf-16", 2),
        (&[], "utf-16", 2),
    ] {
        let world = World::new();
        let mut client = Client::start(&world);
        let answer = client.initialize(json!({ "capabilities": encodings(offered) }));
        assert_eq!(answer["capabilities"]["positionEncoding"], agreed);
        client.open(URI, "python", 1, "\u{1f600}\r\nb");
        // After the astral character, and at the end of a line that ends in CRLF.
        client.change(URI, 2, &[(0, after_it, 0, after_it, "x"), (1, 1, 1, 1, "y")]);
        assert_eq!(
            client.spans(URI),
            format!(
                "unknown 0:0-0:{after_it} | human 0:{after_it}-0:{} | unknown 0:{}-1:1 | human 1:1-1:2",
                after_it + 1,
                after_it + 1
            ),
            "{agreed}"
        );
        client.finish();
    }
}

#[test]
fn a_range_inside_a_character_is_impossible_and_one_past_the_line_ends_with_it() {
    let world = World::new();
    let mut client = Client::initialized(&world, utf16());
    client.open(URI, "python", 1, "\u{1f600}\nb\n");
    client.change(URI, 2, &[(0, 99, 0, 99, "x")]);
    assert_eq!(client.spans(URI), "unknown 0:0-0:2 | human 0:2-0:3 | unknown 0:3-2:0");
    client.change(URI, 3, &[(0, 1, 0, 1, "x")]);
    assert_eq!(client.spans(URI), "unsynchronised");
    client.finish();
}

#[test]
fn an_empty_document_can_be_opened_filled_emptied_and_asked_about() {
    let world = World::new();
    let mut client = Client::initialized(&world, utf16());
    client.open(URI, "python", 1, "");
    assert_eq!(client.spans(URI), "");
    client.change(URI, 2, &[(0, 0, 0, 0, "x")]);
    assert_eq!(client.spans(URI), "human 0:0-0:1");
    client.change(URI, 3, &[(0, 0, 0, 1, "")]);
    assert_eq!(client.spans(URI), "");
    client.replace(URI, 4, "");
    let hover = client.request(
        "textDocument/hover",
        json!({ "textDocument": { "uri": URI }, "position": { "line": 0, "character": 0 } }),
    );
    assert_eq!(hover, Value::Null);
    client.finish();
}

#[test]
fn lines_end_at_lf_crlf_and_cr_and_nowhere_else() {
    let world = World::new();
    let mut client = Client::initialized(&world, utf16());
    client.open(URI, "python", 1, "a\r\nb\rc\nd\u{2028}\u{b}\u{85}e");
    client.change(URI, 2, &[(3, 5, 3, 5, "x"), (1, 0, 1, 0, "y")]);
    assert_eq!(client.spans(URI), "unknown 0:0-1:0 | human 1:0-1:1 | unknown 1:1-3:5 | human 3:5-3:6");
    client.finish();
}

#[test]
fn a_document_reopened_with_its_version_back_at_0_is_the_same_document() {
    let world = World::new();
    let mut client = Client::initialized(&world, utf16());
    client.open(URI, "python", 7, "");
    client.change(URI, 8, &[(0, 0, 0, 0, "a = 1\n")]);
    client.close(URI);
    client.open(URI, "python", 0, "a = 1\n");
    client.change(URI, 1, &[(1, 0, 1, 0, "b = 2\n")]);
    assert_eq!(client.attribution(URI)["version"], 1);
    assert_eq!(client.spans(URI), "human 0:0-2:0");
    client.finish();
}

#[test]
fn a_whole_text_that_changes_one_line_leaves_the_others_with_their_writers() {
    let world = World::new();
    let mut client = Client::initialized(&world, utf16());
    client.open(URI, "python", 1, "one\r\ntwo\r\n");
    client.change(URI, 2, &[(2, 0, 2, 0, "three\r\n")]);
    client.replace(URI, 3, "one\r\ntwo!\r\nthree\r\n");
    assert_eq!(client.spans(URI), "unknown 0:0-1:3 | human 1:3-1:4 | unknown 1:4-2:0 | human 2:0-3:0");
    client.finish();
}

// What it is for

/// Shows, accepts and inserts `text` at `line`, as an extension and its editor would.
fn accept(client: &mut Client, id: &str, version: i64, line: u32, text: &str) {
    accept_at(client, URI, id, version, line, text);
}

/// As [`accept`], in any document.
fn accept_at(client: &mut Client, uri: &str, id: &str, version: i64, line: u32, text: &str) {
    let at = json!({ "line": line, "character": 0 });
    let message = |event: &str| {
        json!({ "event": event, "id": id, "tool": "copilot", "toolVersion": "1.388.0",
                "textDocument": { "uri": uri }, "range": { "start": at, "end": at },
                "text": text, "model": { "requested": "gpt-41-copilot" } })
    };
    client.notify("countersign/suggestion", message("shown"));
    client.change(uri, version, &[(line, 0, line, 0, text)]);
    client.notify("countersign/suggestion", message("accepted"));
}

#[test]
fn an_accepted_suggestion_becomes_an_ai_span_with_its_five_facts() {
    let world = World::new();
    let mut client = Client::initialized(&world, utf16());
    client.open(URI, "python", 1, "import os\n");
    let text = "def load(path):\n    with open(path) as file:\n        return file.read()\n";
    accept(&mut client, "s-1", 2, 1, text);
    assert_eq!(client.spans(URI), "unknown 0:0-1:0 | ai 1:0-4:0");
    client.change(URI, 3, &[(2, 14, 2, 18, "name")]);
    assert_eq!(client.spans(URI), "unknown 0:0-1:0 | ai 1:0-2:14 | human 2:14-2:18 | ai 2:18-4:0");

    let hover = |client: &mut Client, line| {
        client.request(
            "textDocument/hover",
            json!({ "textDocument": { "uri": URI }, "position": { "line": line, "character": 16 } }),
        )
    };
    let shown = hover(&mut client, 1)["contents"]["value"].as_str().unwrap().to_owned();
    for part in
        ["`gpt-41-copilot` requested · reported", "`copilot 1.388.0`", "- person: ", "- prompt: none", "68 of 72 bytes"]
    {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
    let mixed = hover(&mut client, 2)["contents"]["value"].as_str().unwrap().to_owned();
    assert!(mixed.starts_with("**Mixed** · 81 % AI, 19 % human · last changed by a person\n**AI-written**"), "{mixed}");
    let unknown = hover(&mut client, 0)["contents"]["value"].as_str().unwrap().to_owned();
    assert!(unknown.starts_with("**Origin unknown**"), "{unknown}");

    let contribution = client.attribution(URI)["spans"][1]["contribution"].as_str().unwrap().to_owned();
    let known = client.request("countersign/contribution", json!({ "id": contribution }));
    assert_eq!(known["retention"], json!({ "acceptedBytes": 72, "survivingBytes": 68 }));
    assert_eq!(known["model"], json!({ "requested": "gpt-41-copilot", "how": "reported" }));
    assert_eq!(client.request("countersign/contribution", json!({ "id": "nobody" })), Value::Null);

    client.notify("textDocument/didSave", json!({ "textDocument": { "uri": URI } }));
    client.close(URI);
    client.finish();
    let events = world.log();
    assert_eq!(of_type(&events, "suggestion.offered").len(), 1);
    let accepted = of_type(&events, "suggestion.accepted");
    assert_eq!(accepted.len(), 1);
    assert_eq!(accepted[0]["subject"], contribution.as_str());
    let moments: Vec<&str> =
        of_type(&events, "contribution.measured").iter().filter_map(|e| e["data"]["moment"].as_str()).collect();
    assert!(moments.contains(&"save"), "{moments:?}");
}

#[test]
fn attribution_names_every_lines_author_its_last_writer_and_the_shares() {
    let world = World::new();
    let mut client = Client::initialized(&world, utf16());
    client.open(URI, "python", 1, "import os\n");
    accept(&mut client, "s-1", 2, 1, "def load(path):\n    return open(path)\n");
    client.change(URI, 3, &[(2, 16, 2, 20, "name")]);
    client.change(URI, 4, &[(3, 0, 3, 0, "x = 1\n")]);
    let all = client.attribution(URI);
    assert_eq!(all["summary"], json!({ "ai": 1, "human": 1, "mixed": 1, "unknown": 1 }));
    let id = all["spans"][1]["contribution"].clone();
    let ai = json!({ "origin": "ai", "contribution": id, "how": "reported", "share": 1.0 });
    assert_eq!(all["lines"][1]["shares"], json!([ai]));
    assert_eq!(all["lines"][2]["author"], "mixed");
    assert_eq!(all["lines"][2]["lastWriter"], json!({ "origin": "human", "how": "observed" }));
    assert_eq!(all["lines"][0]["lastWriter"], json!({ "origin": "unknown" }));

    let range = json!({ "start": { "line": 2, "character": 16 }, "end": { "line": 2, "character": 20 } });
    let part = client.request("countersign/attribution", json!({ "textDocument": { "uri": URI }, "range": range }));
    assert_eq!(part["spans"], json!([{ "range": range, "origin": "human", "how": "observed" }]));
    assert_eq!(part["lines"].as_array().unwrap().len(), 1);
    assert_eq!(part["version"], 4);
    client.finish();
}

#[test]
fn spans_are_still_there_for_the_next_server() {
    let world = World::new();
    let mut client = Client::initialized(&world, utf16());
    client.open(URI, "python", 1, "import os\n");
    let text = "def load(path):\n    with open(path) as file:\n        return file.read()\n";
    accept(&mut client, "s-1", 2, 1, text);
    assert_eq!(client.spans(URI), "unknown 0:0-1:0 | ai 1:0-4:0");
    client.notify("textDocument/didSave", json!({ "textDocument": { "uri": URI } }));
    client.finish();

    let mut next = Client::initialized(&world, utf16());
    next.open(URI, "python", 0, &format!("import os\n{text}"));
    wait_for("the spans of the last session", || (next.spans(URI) == "unknown 0:0-1:0 | ai 1:0-4:0").then_some(()));
    next.finish();
}

#[test]
fn findings_are_shown_on_ai_text_only_and_go_with_their_cause() {
    let world = World::new();
    let mut client = Client::initialized(
        &world,
        json!({ "textDocument": { "publishDiagnostics": { "codeDescriptionSupport": true } } }),
    );
    let risky = "subprocess.run(command, shell=True, check=True)\n";
    client.open(URI, "python", 1, &format!("import subprocess\ncommand = input()\n{risky}"));
    accept(&mut client, "s-1", 2, 3, &format!("# list it\n{risky}print(command)\n"));
    let told = client.told("textDocument/publishDiagnostics")["params"].clone();
    assert_eq!((&told["uri"], &told["version"]), (&json!(URI), &json!(2)));
    let diagnostics = told["diagnostics"].as_array().unwrap();
    assert_eq!(diagnostics.len(), 1, "{told}");
    assert_eq!(diagnostics[0]["range"]["start"]["line"], 4);
    assert_eq!(diagnostics[0]["severity"], 3);
    assert_eq!(diagnostics[0]["source"], "countersign");
    assert!(diagnostics[0]["codeDescription"]["href"].as_str().unwrap().starts_with("https://"));

    client.change(URI, 3, &[(4, 0, 5, 0, "")]);
    let gone = client.told("textDocument/publishDiagnostics")["params"].clone();
    assert_eq!(gone["diagnostics"], json!([]));
    client.finish();
    let events = world.log();
    let raised = of_type(&events, "finding.raised");
    assert_eq!(raised.len(), 1);
    assert_eq!(raised[0]["data"]["rule"], diagnostics[0]["code"]);
    assert!(raised[0]["data"]["contribution"].is_string());
}

#[test]
fn what_is_wrong_with_a_policy_is_shown_at_its_place_whoever_wrote_it() {
    let world = World::new();
    let mut client = Client::initialized(&world, utf16());
    let uri = "file:///w/project/.countersign/policy.toml";
    client.open(uri, "toml", 1, "[tiers]\nfull = 'sometimes'\n");
    let told = client.told("textDocument/publishDiagnostics")["params"].clone();
    assert_eq!((&told["uri"], &told["diagnostics"][0]["code"]), (&json!(uri), &json!("policy-file")));
    assert_eq!(told["diagnostics"][0]["range"]["start"], json!({ "line": 1, "character": 7 }));
    client.replace(uri, 2, "[[require]]\nwhen = \"author == 'x'\"\n");
    let next = client.wait("the next problem", |message| {
        message["params"]["diagnostics"][0]["message"].as_str().is_some_and(|text| text.contains("author"))
    });
    assert_eq!(next["params"]["diagnostics"][0]["range"]["start"], json!({ "line": 1, "character": 7 }));
    client.replace(uri, 3, "[[require]]\nwhen = \"sensitive\"\n");
    client.wait("nothing wrong", |message| message["params"]["diagnostics"] == json!([]));
    client.finish();
    assert!(of_type(&world.log(), "finding.raised").is_empty());
}

#[test]
fn a_pause_is_told_recorded_and_ends() {
    let world = World::new();
    let mut client = Client::initialized(&world, utf16());
    let status = client.request("countersign/status", Value::Null);
    assert_eq!(status, json!({ "state": "recording", "summary": "recording", "unsynchronised": [], "documents": 0 }));
    let paused = client.request("countersign/pause", json!({ "minutes": 5 }));
    assert_eq!(paused["state"], "paused");
    assert!(paused["until"].is_string());
    assert_eq!(client.told("countersign/statusChanged")["params"]["state"], "paused");
    let resumed = client.request("countersign/resume", Value::Null);
    assert_eq!(resumed["state"], "recording");
    assert_eq!(client.told("countersign/statusChanged")["params"]["state"], "recording");
    let command = json!({ "command": "countersign.status", "arguments": [] });
    assert_eq!(client.request("workspace/executeCommand", command)["state"], "recording");
    let id = client.ask("workspace/executeCommand", json!({ "command": "countersign.dance" }));
    assert_eq!(client.answer(id)["error"]["code"], -32602);
    client.finish();
    let events = world.log();
    assert_eq!(of_type(&events, "capture.paused").len(), 1);
    assert_eq!(of_type(&events, "capture.resumed").len(), 1);
}

#[test]
fn the_protocol_page_and_the_protocol_change_together() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let source = std::fs::read(format!("{root}/server/countersign/src/lsp/protocol.rs")).unwrap();
    let page = std::fs::read_to_string(format!("{root}/editors/PROTOCOL.md")).unwrap();
    let digest = &countersign_event::digest::hex(&countersign_event::digest::sha256(&source))[..16];
    assert!(page.contains(digest), "read editors/PROTOCOL.md beside lsp/protocol.rs, then give it the digest {digest}");
}
