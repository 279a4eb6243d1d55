//! The tap against recorded traffic of a real server: what it says happened is what truly happened.
//!
//! A client plays the editor's side of a recording and cuts it into chunks of any size; a stand-in
//! plays the server's. Each recording comes with its truth. What no message on the wire says (a
//! suggestion that a person saw, or dismissed with a key) is unknowable and scored as such: the tap
//! may end it, but not claim to have been told.

// The stand-ins are shell commands.
#![cfg(unix)]

mod pipe;
mod play;

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::support::{World, of_type};
use play::{Played, Recording};

#[test]
fn suggestions_accepted_in_full_are_told_with_text_place_and_model() {
    check("copilot-accept-full");
}

#[test]
fn a_client_that_says_nothing_but_the_acceptance_is_understood() {
    check("copilot-native-client");
}

#[test]
fn word_by_word_acceptance_is_one_act_a_word() {
    check("copilot-partial-accept");
}

#[test]
fn suggestions_that_were_not_taken_are_told_with_what_can_be_known() {
    check("copilot-reject");
}

#[test]
fn emoji_and_crlf_do_not_move_anything() {
    check("copilot-unicode-crlf");
}

#[test]
fn messages_before_the_edit_that_overstate_are_not_believed() {
    check("copilot-copilot-lua-client");
}

#[test]
fn telemetry_on_the_wire_changes_nothing() {
    check("copilot-redirected-telemetry");
}

#[test]
fn nothing_is_told_where_nothing_was_suggested() {
    let played = check("copilot-unauthenticated");
    for name in ["suggestion.offered", "suggestion.accepted", "suggestion.rejected"] {
        assert_eq!(of_type(&played.events, name).len(), 0, "{name}");
    }
}

#[test]
fn channels_that_are_not_followed_are_said_and_never_reported_as_something_else() {
    for (name, channel) in
        [("copilot-next-edit", "next_edit"), ("copilot-chat", "chat"), ("lsp-ai-completion-menu", "completion_menu")]
    {
        let played = play::play(&World::new(), &Recording::read(name), 1);
        for kind in ["suggestion.offered", "suggestion.accepted", "suggestion.rejected"] {
            assert_eq!(of_type(&played.events, kind).len(), 0, "{name}: {kind}");
        }
        let said: Vec<&Value> = of_type(&played.events, "capture.degraded")
            .into_iter()
            .filter(|event| event["data"]["reason"] == "not_followed" && event["data"]["detail"] == channel)
            .collect();
        assert!(!said.is_empty(), "{name}");
    }
}

/// Plays a recording with two ways of cutting it into chunks, and compares what the spool says with the truth.
fn check(name: &str) -> Played {
    let recording = Recording::read(name);
    let mut last = None;
    for seed in [1, 20] {
        let played = play::play(&World::new(), &recording, seed);
        compare(&recording, &played.events);
        last = Some(played);
    }
    last.expect("played")
}

fn compare(recording: &Recording, events: &[Value]) {
    let truth = Truth::new(recording);
    compare_session(recording, events);
    assert_eq!(of_type(events, "capture.degraded"), Vec::<&Value>::new());

    let offered = of_type(events, "suggestion.offered");
    let contributions = compare_offers(&truth, &offered);

    let accepted = of_type(events, "suggestion.accepted");
    compare_acts(&truth, &contributions, &accepted);
    compare_attribution(recording, &contributions, &accepted);

    let rejected = of_type(events, "suggestion.rejected");
    compare_ends(&truth, &contributions, &accepted, &rejected);
}

/// What truly happened, by type.
struct Truth<'a> {
    /// Items of answers, each with its uri.
    items: Vec<(&'a Value, &'a Value)>,
    accepted: Vec<&'a Value>,
    rejected: Vec<&'a Value>,
    /// Item ids of which a message said that they were shown.
    shown: Vec<&'a str>,
    model: Option<&'a str>,
}

impl<'a> Truth<'a> {
    fn new(recording: &'a Recording) -> Truth<'a> {
        let all = recording.truth["events"].as_array().expect("events");
        let of = |kinds: &[&str]| -> Vec<&Value> {
            all.iter().filter(|event| kinds.contains(&event["type"].as_str().expect("a type"))).collect()
        };
        let items = of(&["suggested"])
            .into_iter()
            .flat_map(|event| event["items"].as_array().expect("items").iter().map(|item| (item, &event["uri"])))
            .collect();
        let said_shown = of(&["shown"]).into_iter().filter(|event| !event["evidence"].is_null());
        Truth {
            items,
            accepted: of(&["accepted", "partially_accepted"]),
            rejected: of(&["rejected"]),
            shown: said_shown.map(|event| event["id"].as_str().expect("an id")).collect(),
            model: recording.truth["models_called"][0].as_str(),
        }
    }
}

/// Compares who was recorded, and that the recording of it began and ended.
fn compare_session(recording: &Recording, events: &[Value]) {
    let started = of_type(events, "capture.started");
    assert_eq!(started.len(), 1);
    assert_eq!(started[0]["data"]["client"], "Neovim 0.12.0 (copilot.lua 2.0.0)");
    let stopped = of_type(events, "capture.stopped");
    assert_eq!(stopped.len(), 1);
    assert_eq!(stopped[0]["data"]["status"], 0);
    let session = &started[0]["data"]["path"]["session"];
    assert!(session.is_string());
    let version = recording.truth["server_version"].as_str().and_then(|text| text.split(' ').next_back());
    for event in events {
        let path = &event["data"]["path"];
        assert_eq!(path["tool"], "copilot");
        assert_eq!(path["version"].as_str(), version);
        assert_eq!((&path["kind"], &path["transport"]), (&json!("ide"), &json!("tap")));
        assert_eq!(&path["session"], session);
    }
}

/// Compares the offers, and returns the contribution of each item id.
fn compare_offers<'a>(truth: &Truth<'a>, offered: &[&'a Value]) -> HashMap<&'a str, &'a str> {
    assert_eq!(offered.len(), truth.items.len());
    let mut contributions = HashMap::new();
    for (event, (item, uri)) in offered.iter().zip(&truth.items) {
        let data = &event["data"];
        assert_eq!(event["content"]["output"], item["text"]);
        assert_eq!(data["output"]["bytes"].as_u64(), item["text"].as_str().map(|text| text.len() as u64));
        assert_eq!(&data["place"]["uri"], *uri);
        assert_eq!(data["place"]["range"], item["range"]);
        assert_eq!(data["how"], "observed");
        assert_eq!(data["prompt"]["absent"], "not_on_wire");
        assert_eq!(event["subject"], data["contribution"]);
        compare_model(truth, data);
        contributions.insert(string(&item["id"]), string(&data["contribution"]));
    }
    contributions
}

fn compare_model(truth: &Truth<'_>, data: &Value) {
    assert_eq!(data["model"]["requested"].as_str(), truth.model);
    assert_eq!(data["model"]["how"], "observed");
    assert_eq!(data["model"]["absent"], "not_on_wire");
    assert!(data["model"].get("responded").is_none());
    assert!(data["path"]["request_id"].is_string());
}

fn compare_acts(truth: &Truth<'_>, contributions: &HashMap<&str, &str>, accepted: &[&Value]) {
    let texts = |events: &[&Value], field: fn(&Value) -> &Value| -> Vec<String> {
        events.iter().map(|event| field(event).to_string()).collect()
    };
    assert_eq!(
        texts(accepted, |event| &event["content"]["accepted"]),
        texts(&truth.accepted, |event| &event["accepted_text"])
    );
    let mut so_far: HashMap<&str, (u64, u64)> = HashMap::new();
    for (event, true_event) in accepted.iter().zip(&truth.accepted) {
        let data = &event["data"];
        let id = string(&true_event["id"]);
        let text = string(&true_event["accepted_text"]);
        let (acts, units) = so_far.entry(id).or_default();
        *acts += 1;
        assert_eq!(data["contribution"], contributions[id]);
        assert_eq!(data["act"], *acts);
        assert_eq!(data["extent"], if true_event["type"] == "accepted" { "full" } else { "partial" });
        assert_eq!(data["gesture"], "both", "each of these has its message: {}", true_event["evidence"]);
        assert_eq!(data["how"], "observed");
        assert_eq!(data["place"]["uri"], true_event["uri"]);
        // The cursor stood where the first act of a suggestion entered; the others follow on the same line.
        let mut start = true_event["position"].clone();
        start["character"] = json!(start["character"].as_u64().expect("a column") + *units);
        assert_eq!(data["place"]["range"], json!({ "start": start, "end": start }));
        *units += text.encode_utf16().count() as u64;
        assert_eq!(data["entered"][0]["bytes"], text.len());
        assert_eq!(data["entered"].as_array().map(Vec::len), Some(1));
        assert_eq!(data["shown"]["at"].is_string(), truth.shown.contains(&id));
        assert_eq!(event["content"]["output"], true_event["text"]);
        if data["extent"] == "full" {
            assert_eq!(data["distance"]["ratio"], 1.0, "{}", data["distance"]);
        }
        compare_model(truth, data);
    }
}

/// The text that a suggestion has in the final documents is what its acts inserted, and no more.
fn compare_attribution(recording: &Recording, contributions: &HashMap<&str, &str>, accepted: &[&Value]) {
    for (id, contribution) in contributions {
        let origin = format!("ai:{id}");
        let mut stands = String::new();
        for document in recording.truth["documents"].as_array().expect("documents") {
            for span in
                document["attribution"].as_array().expect("spans").iter().filter(|span| span["origin"] == *origin)
            {
                stands.push_str(string(&span["text"]));
            }
        }
        let inserted: String = accepted
            .iter()
            .filter(|event| event["data"]["contribution"] == **contribution)
            .map(|event| string(&event["content"]["accepted"]))
            .collect();
        assert_eq!(inserted, stands);
    }
}

fn compare_ends(truth: &Truth<'_>, contributions: &HashMap<&str, &str>, accepted: &[&Value], rejected: &[&Value]) {
    assert_eq!(rejected.len(), truth.rejected.len());
    for true_event in &truth.rejected {
        let contribution = contributions[string(&true_event["id"])];
        let end = rejected
            .iter()
            .find(|event| event["data"]["contribution"] == contribution)
            .unwrap_or_else(|| panic!("no end of {true_event}"));
        let data = &end["data"];
        assert_eq!(end["content"]["output"], true_event["text"]);
        let reason = string(&data["reason"]);
        match (true_event["evidence"].is_null(), string(&true_event["reason"])) {
            (false, _) => assert_eq!((reason, &data["how"]), ("dismissed", &json!("reported"))),
            // Seen in the edits alone.
            (true, "typed over") => assert_eq!((reason, &data["how"]), ("typed_over", &json!("inferred"))),
            (true, "never shown") => assert_eq!((reason, &data["how"]), ("never_shown", &json!("inferred"))),
            // Unknowable: a key was pressed, or a mode left.
            (true, _) => assert!(reason != "dismissed" && data["how"] != "reported", "{data}"),
        }
    }
    for contribution in contributions.values() {
        let ends = accepted
            .iter()
            .filter(|event| event["data"]["extent"] == "full")
            .chain(rejected)
            .filter(|event| event["data"]["contribution"] == **contribution)
            .count();
        assert_eq!(ends, 1, "each suggestion has one end");
    }
}

fn string(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}
