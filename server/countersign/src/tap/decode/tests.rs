use countersign_event::facts::{How, Position, Range};
use countersign_event::payload::suggestion::RejectReason;
use countersign_provenance::join::{Item, NamedModel};
use serde_json::json;

use super::*;

fn client(decoder: &mut Decoder, message: serde_json::Value) -> Vec<Seen> {
    decoder.message(Direction::ToServer, message.to_string().as_bytes())
}

fn server(decoder: &mut Decoder, message: serde_json::Value) -> Vec<Seen> {
    decoder.message(Direction::ToEditor, message.to_string().as_bytes())
}

fn ask(decoder: &mut Decoder, id: serde_json::Value) {
    let asked = client(
        decoder,
        json!({"id": id, "method": "textDocument/inlineCompletion", "params": {
            "textDocument": {"uri": "file:///a"}, "position": {"line": 1, "character": 2}, "context": {"triggerKind": 2}}}),
    );
    assert!(matches!(asked.as_slice(), [Seen::Observed(Observation::Asked { .. })]), "{asked:?}");
}

fn answered(seen: Vec<Seen>) -> (Vec<Item>, Option<NamedModel>) {
    match seen.into_iter().next() {
        Some(Seen::Observed(Observation::Answered(Answer { items, model, .. }))) => (items, model),
        other => panic!("{other:?}"),
    }
}

fn log(decoder: &mut Decoder, request: &str) {
    let message = format!(
        "[fetchCompletions] Request {request} at <https://x.test/v1/engines/gpt-41-copilot/completions> finished with 200 status after 6ms"
    );
    server(decoder, json!({"method": "window/logMessage", "params": {"type": 3, "message": message}}));
}

#[test]
fn an_answer_may_be_a_list_a_bare_array_null_or_an_error() {
    let item =
        json!({"insertText": "x", "range": {"start": {"line": 1, "character": 0}, "end": {"line": 1, "character": 2}}});
    let range = Range { start: Position { line: 1, character: 0 }, end: Position { line: 1, character: 2 } };
    let expected = vec![Item { id: None, text: "x".into(), plain: None, range: Some(range) }];
    let mut decoder = Decoder::new();
    for result in [json!({"items": [item]}), json!([item])] {
        ask(&mut decoder, json!(1));
        assert_eq!(answered(server(&mut decoder, json!({"id": 1, "result": result}))).0, expected);
    }
    for (answer, n) in [
        (json!({"id": 1, "result": null}), 3),
        (json!({"id": 1, "error": {"code": 1000, "message": "NotSignedIn"}}), 4),
        (json!({"id": 1, "result": {"odd": true}}), 5),
    ] {
        ask(&mut decoder, json!(1));
        assert_eq!(server(&mut decoder, answer), [Seen::Observed(Observation::Unanswered { request: n })]);
    }
}

#[test]
fn a_snippet_is_kept_as_offered_and_as_it_would_enter() {
    let mut decoder = Decoder::new();
    ask(&mut decoder, json!("a"));
    let answer = json!({"id": "a", "result": {"items": [{"insertText": {"kind": "snippet", "value": "f(${1:x})"}}]}});
    let (items, _) = answered(server(&mut decoder, answer));
    assert_eq!(items[0].text, "f(${1:x})");
    assert_eq!(items[0].plain.as_deref(), Some("f(x)"));
}

#[test]
fn ids_of_the_two_directions_and_of_two_kinds_are_kept_apart() {
    let mut decoder = Decoder::new();
    ask(&mut decoder, json!(7));
    // The server asks with the same number, the client answers that; then a string that looks alike.
    assert_eq!(server(&mut decoder, json!({"id": 7, "method": "workspace/configuration", "params": {}})), []);
    assert_eq!(client(&mut decoder, json!({"id": 7, "result": [{}]})), []);
    assert_eq!(server(&mut decoder, json!({"id": "7", "result": {"items": []}})), []);
    assert_eq!(answered(server(&mut decoder, json!({"id": 7, "result": {"items": []}}))).0, []);
}

#[test]
fn the_model_is_the_last_call_between_question_and_answer() {
    let mut decoder = Decoder::new();
    log(&mut decoder, "before");
    ask(&mut decoder, json!(1));
    log(&mut decoder, "speculative");
    log(&mut decoder, "own");
    let (_, model) = answered(server(&mut decoder, json!({"id": 1, "result": {"items": []}})));
    let model = model.unwrap();
    assert_eq!(
        (model.requested.as_deref(), model.request_id.as_deref(), model.how),
        (Some("gpt-41-copilot"), Some("own"), How::Observed)
    );
}

#[test]
fn a_model_that_may_belong_to_another_question_is_inferred() {
    let mut decoder = Decoder::new();
    ask(&mut decoder, json!(1));
    ask(&mut decoder, json!(2));
    log(&mut decoder, "whose");
    let (_, model) = answered(server(&mut decoder, json!({"id": 1, "result": {"items": []}})));
    assert_eq!(model.as_ref().map(|m| (m.how, m.request_id.clone())), Some((How::Inferred, None)));
    ask(&mut decoder, json!(3));
    let (_, model) = answered(server(&mut decoder, json!({"id": 3, "result": {"items": []}})));
    assert_eq!(model.and_then(|m| m.rule), Some("latest_call_before_a_cached_answer"));
}

#[test]
fn a_log_line_that_only_looks_alike_names_no_model() {
    for message in [
        "[fetchCompletions] Request a at <https://x/v1/engines/m/completions> finished with 500 status",
        "[fetchCompletions] Request a at <https://x/v1/chat> finished with 200 status",
        "[fetchCompletions] Request  at <https://x/engines//y> finished with 200 status",
        "he said: [fetchCompletions] Request a at <https://x/engines/m/y> finished with 200 status",
    ] {
        let mut decoder = Decoder::new();
        ask(&mut decoder, json!(1));
        server(&mut decoder, json!({"method": "window/logMessage", "params": {"type": 3, "message": message}}));
        assert_eq!(answered(server(&mut decoder, json!({"id": 1, "result": {"items": []}}))).1, None, "{message}");
    }
}

#[test]
fn the_messages_of_both_sets_are_understood() {
    let item = json!({"item": {"command": {"title": "t", "command": "github.copilot.didAcceptCompletionItem", "arguments": ["u"]}}, "acceptedLength": 3});
    let id = || "u".to_owned();
    for (method, params, expected) in [
        ("textDocument/didShowCompletion", item.clone(), Observation::Shown { id: id() }),
        ("textDocument/didPartiallyAcceptCompletion", item, Observation::AcceptedExplicitly { id: id(), whole: false }),
        (
            "workspace/executeCommand",
            json!({"command": "github.copilot.didAcceptCompletionItem", "arguments": ["u"]}),
            Observation::AcceptedExplicitly { id: id(), whole: true },
        ),
        ("notifyShown", json!({"uuid": "u"}), Observation::Shown { id: id() }),
        (
            "notifyAccepted",
            json!({"uuid": "u", "acceptedLength": 9}),
            Observation::AcceptedExplicitly { id: id(), whole: true },
        ),
        (
            "notifyRejected",
            json!({"uuids": ["u"]}),
            Observation::RejectedExplicitly { id: id(), reason: RejectReason::Dismissed },
        ),
    ] {
        let seen = client(&mut Decoder::new(), json!({"id": 1, "method": method, "params": params}));
        assert_eq!(seen, [Seen::Observed(expected)], "{method}");
    }
    for other in ["github.copilot.finishDeviceFlow", "x.run"] {
        let message =
            json!({"id": 1, "method": "workspace/executeCommand", "params": {"command": other, "arguments": ["u"]}});
        assert_eq!(client(&mut Decoder::new(), message), [], "{other}");
    }
}

#[test]
fn any_command_of_an_item_accepts_it_and_no_other_command_does() {
    let mut decoder = Decoder::new();
    ask(&mut decoder, json!(1));
    let command = json!({"title": "t", "command": "other.accepted", "arguments": [{"id": 3}]});
    let answer = json!({"id": 1, "result": {"items": [{"insertText": "x", "command": command}]}});
    let (items, _) = answered(server(&mut decoder, answer));
    let id = items[0].id.clone().unwrap();
    let run = |decoder: &mut Decoder, arguments| {
        let params = json!({"command": "other.accepted", "arguments": arguments});
        client(decoder, json!({"id": 2, "method": "workspace/executeCommand", "params": params}))
    };
    assert_eq!(run(&mut decoder, json!([{"id": 4}])), []);
    assert_eq!(
        run(&mut decoder, json!([{"id": 3}])),
        [Seen::Observed(Observation::AcceptedExplicitly { id, whole: true })]
    );
}

#[test]
fn both_sides_are_named_and_the_encoding_is_the_servers() {
    let mut decoder = Decoder::new();
    client(
        &mut decoder,
        json!({"id": 1, "method": "initialize", "params": {"clientInfo": {"name": "Neovim", "version": "0.12.0"},
            "initializationOptions": {"editorPluginInfo": {"name": "copilot.lua", "version": "2"}, "token": "hush"}}}),
    );
    let seen = server(
        &mut decoder,
        json!({"id": 1, "result": {"capabilities": {"positionEncoding": "utf-8"},
            "serverInfo": {"name": "GitHub Copilot Language Server", "version": "1.5"}}}),
    );
    let [Seen::Named(names), Seen::Observed(Observation::Initialized { encoding })] = seen.as_slice() else {
        panic!("{seen:?}")
    };
    assert_eq!(*encoding, Encoding::Utf8);
    assert_eq!(names.tool, Some("copilot"));
    assert_eq!(names.client.as_ref().unwrap().to_string(), "Neovim 0.12.0");
    assert_eq!(names.plugin.as_ref().unwrap().name, "copilot.lua");
    assert!(!format!("{decoder:?}").contains("hush"));
}

#[test]
fn whoever_signed_in_is_told_by_answers_and_by_status_messages() {
    let mut decoder = Decoder::default();
    let ann = |seen: Vec<Seen>| assert_eq!(seen, [Seen::SignedIn("ann".to_owned())]);
    client(&mut decoder, json!({"id": 7, "method": "checkStatus", "params": {"options": {}}}));
    ann(server(&mut decoder, json!({"id": 7, "result": {"status": "OK", "user": "ann"}})));
    let status = json!({"statuses": [{"category": "quota"}, {"result": {"status": "OK", "user": "ann"}}]});
    ann(server(&mut decoder, json!({"method": "didChangeStatus/v2", "params": status})));
    client(&mut decoder, json!({"id": 8, "method": "checkStatus", "params": {}}));
    assert_eq!(server(&mut decoder, json!({"id": 8, "result": {"status": "NotSignedIn"}})), []);
    assert_eq!(server(&mut decoder, json!({"method": "didChangeStatus", "params": {"user": 3}})), []);
}

#[test]
fn an_edit_that_cannot_be_read_means_that_texts_are_lost() {
    let mut decoder = Decoder::new();
    let seen =
        client(&mut decoder, json!({"method": "textDocument/didChange", "params": {"textDocument": {"uri": 3}}}));
    assert_eq!(seen, [Seen::Observed(Observation::Lost)]);
}

#[test]
fn requests_that_are_never_answered_do_not_pile_up() {
    let mut decoder = Decoder::new();
    for id in 0..5000 {
        ask(&mut decoder, json!(id));
    }
    assert!(decoder.open.len() <= MAX_OPEN);
}

#[test]
fn what_is_no_json_rpc_is_said_to_be_unknown() {
    for body in ["3", "{\"method\":3}", "{\"id\":1,\"id\":2}", "{}", "\"x\""] {
        let seen = Decoder::new().message(Direction::ToServer, body.as_bytes());
        assert_eq!(seen, [Seen::Unknown], "{body}");
    }
}

mod agents;
mod disorder;
mod servers;
mod shapes;

mod splits {
    use std::path::PathBuf;

    use countersign_event::Timestamp;
    use countersign_provenance::join::{Joiner, Outcome};
    use proptest::prelude::*;

    use super::*;
    use crate::tap::frame::{self, Frame};

    type Run = (Direction, Vec<u8>);

    /// Every recorded stream.
    fn recordings() -> Vec<PathBuf> {
        let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
        let entries = |dir: PathBuf| std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        let mut found: Vec<PathBuf> =
            entries(fixtures.join("wire")).filter(|path| path.to_string_lossy().ends_with(".jsonl")).collect();
        let sessions = entries(fixtures.join("agents")).flat_map(entries).filter(|path| path.is_dir());
        for session in sessions {
            found.extend(["acp.jsonl", "appserver.jsonl", "mcp.jsonl"].map(|name| session.join(name)));
        }
        found.retain(|path| path.is_file());
        found.sort();
        found
    }

    /// The recording's bytes in order, one run for each change of the direction.
    fn runs(path: &PathBuf) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let direction = match line["dir"].as_str() {
                Some("c2s" | "client->agent" | "client->server") => Direction::ToServer,
                Some("s2c" | "agent->client" | "server->client") => Direction::ToEditor,
                _ => continue,
            };
            let bytes = match line["body"].as_str() {
                Some(body) => format!("{}{body}", line["header"].as_str().unwrap()),
                None => format!("{}\n", line["msg"]),
            };
            match runs.last_mut() {
                Some((last, run)) if *last == direction => run.extend(bytes.as_bytes()),
                _ => runs.push((direction, bytes.into_bytes())),
            }
        }
        runs
    }

    /// What a session would tell, were each chunk read at the time of its run.
    fn decode(runs: &[Run], mut cut: impl FnMut(usize) -> usize) -> (Vec<Seen>, Vec<Outcome>) {
        let (mut decoder, mut joiner) = (Decoder::new(), Joiner::new());
        let mut frames = [frame::Decoder::new(), frame::Decoder::new()];
        let (mut all, mut told) = (Vec::new(), Vec::new());
        let mut hear = |now: usize, seen: Vec<Seen>| {
            for seen in &seen {
                if let Seen::Observed(observation) | Seen::Taken(_, observation) = seen {
                    told.extend(joiner.handle(Timestamp::from_millis(now as i64 * 40), observation.clone()));
                }
            }
            all.extend(seen);
        };
        for (now, (direction, bytes)) in runs.iter().enumerate() {
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let (chunk, later) = rest.split_at(cut(rest.len()).clamp(1, rest.len()));
                let frames = &mut frames[usize::from(*direction == Direction::ToEditor)];
                frames.push(chunk);
                while let Some(frame) = frames.next_frame() {
                    let Frame::Message(body) = frame else { panic!("{frame:?}") };
                    hear(now, decoder.message(*direction, &body));
                }
                rest = later;
            }
        }
        hear(runs.len(), decoder.end());
        hear(runs.len(), vec![Seen::Observed(Observation::Ended)]);
        (all, told)
    }

    #[test]
    fn every_recorded_stream_is_among_them() {
        let recordings = recordings();
        assert!(recordings.len() >= 24, "{recordings:?}");
        for path in &recordings {
            assert!(decode(&runs(path), |rest| rest).0.len() > 2, "{path:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_split_of_the_bytes_tells_the_same(
            path in proptest::sample::select(recordings()),
            cuts in proptest::collection::vec(prop_oneof![1usize..12, 1usize..3000], 1..50),
        ) {
            let runs = runs(&path);
            let whole = decode(&runs, |rest| rest);
            let mut cuts = cuts.into_iter().cycle();
            prop_assert_eq!(decode(&runs, |_| cuts.next().unwrap()), whole);
        }
    }
}
