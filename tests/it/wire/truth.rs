//! A recording's truth against what the spool says.
//!
//! What no message on the wire says (a suggestion that a person saw, or dismissed with a key) is
//! unknowable and scored as such: the tap may end it, but not claim to have been told.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::play::Recording;
use crate::support::of_type;

/// What is on the wire of each server beside suggestions.
struct Wire {
    client: &'static str,
    /// The server tells its version.
    version: Option<&'static str>,
    /// How the model is known.
    model: Model,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Model {
    /// A log line names it with the provider's request id.
    Logged,
    /// The client's settings name it.
    Configured,
    /// The reply of a conversation names it.
    Answered,
    /// Nothing does.
    Absent,
}

fn wire(recording: &Recording) -> Wire {
    let vim = |client, version| Wire { client, version, model: Model::Absent };
    match (recording.truth["server"].as_str(), recording.truth["scenario"].as_str()) {
        (Some("copilot"), scenario) => Wire {
            client: "Neovim 0.12.0 (copilot.lua 2.0.0)",
            version: Some("1.539.0"),
            model: match scenario {
                Some("next-edit") => Model::Absent,
                Some("chat") => Model::Answered,
                _ => Model::Logged,
            },
        },
        (Some("tabby-agent"), Some("jsonlines")) => vim("nvim 0.12.0 (TabbyML/vim-tabby 1.4.0)", None),
        (Some("tabby-agent"), _) => vim("Neovim 0.12.0 (TabbyML/vim-tabby 2.0.0)", Some("1.5.0")),
        (Some("helix-gpt"), _) => vim("helix 25.07.1", None),
        (Some("lsp-ai"), _) => Wire { client: "helix 25.07.1", version: None, model: Model::Configured },
        other => panic!("{other:?}"),
    }
}

/// Compares everything a recording has.
pub(super) fn compare(recording: &Recording, events: &[Value]) {
    let truth = Truth::new(recording);
    compare_session(recording, &truth, events);
    assert_eq!(of_type(events, "capture.degraded"), Vec::<&Value>::new());
    assert_eq!(of_type(events, "tool.discovered"), Vec::<&Value>::new());

    compare_turns(&truth, &of_type(events, "prompt.submitted"));
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
    /// Items of answers, each with its event.
    items: Vec<(&'a Value, &'a Value)>,
    accepted: Vec<&'a Value>,
    rejected: Vec<&'a Value>,
    turns: Vec<&'a Value>,
    /// Item ids of which a message said that they were shown.
    shown: Vec<&'a str>,
    model: Option<&'a str>,
    wire: Wire,
}

impl<'a> Truth<'a> {
    fn new(recording: &'a Recording) -> Truth<'a> {
        let all = recording.truth["events"].as_array().expect("events");
        let of = |kinds: &[&str]| -> Vec<&Value> {
            all.iter().filter(|event| kinds.contains(&event["type"].as_str().expect("a type"))).collect()
        };
        // What is taken from a conversation is an offer from then on.
        let offers = all.iter().filter(|event| event["type"] == "suggested" || event["kind"] == "chat-insert");
        let items = offers.flat_map(|event| match event["items"].as_array() {
            Some(items) => items.iter().map(|item| (item, event)).collect(),
            None => vec![(event, event)],
        });
        let said_shown = of(&["shown"]).into_iter().filter(|event| !event["evidence"].is_null());
        Truth {
            items: items.collect(),
            accepted: of(&["accepted", "partially_accepted"]),
            rejected: of(&["rejected"]),
            turns: of(&["chat_turn"]),
            shown: said_shown.map(id).collect(),
            model: recording.truth["models_called"][0].as_str(),
            wire: wire(recording),
        }
    }
}

/// Returns what the truth calls a suggestion: its id, the turn it was taken from, or its text.
fn id(value: &Value) -> &str {
    [&value["id"], &value["turn"], &value["text"]].into_iter().find_map(Value::as_str).expect("a name")
}

/// Compares who was recorded, and that the recording of it began and ended.
fn compare_session(recording: &Recording, truth: &Truth<'_>, events: &[Value]) {
    let started = of_type(events, "capture.started");
    assert_eq!(started.len(), 1);
    assert_eq!(started[0]["data"]["client"], truth.wire.client);
    let stopped = of_type(events, "capture.stopped");
    assert_eq!(stopped.len(), 1);
    assert_eq!(stopped[0]["data"]["status"], 0);
    let session = &started[0]["data"]["path"]["session"];
    assert!(session.is_string());
    let conversation = truth.turns.first().map(|turn| &turn["result"]["conversationId"]);
    for event in events {
        let path = &event["data"]["path"];
        assert_eq!(path["tool"], recording.truth["server"]);
        assert_eq!(path["version"].as_str(), truth.wire.version);
        assert_eq!(path["transport"], "tap");
        if path["kind"] == "chat" {
            assert_eq!(Some(&path["session"]), conversation);
        } else {
            assert_eq!((&path["kind"], &path["session"]), (&json!("ide"), session));
        }
    }
}

/// Compares the prompts, each with its reply.
fn compare_turns(truth: &Truth<'_>, prompts: &[&Value]) {
    assert_eq!(prompts.len(), truth.turns.len());
    for (i, (event, turn)) in prompts.iter().zip(&truth.turns).enumerate() {
        let data = &event["data"];
        assert_eq!(event["content"]["prompt"], turn["prompt"]);
        assert_eq!(event["content"]["output"], turn["reply"]);
        assert_eq!(data["prompt"]["turns"], i + 1);
        assert_eq!(data["model"]["responded"], turn["result"]["modelInfo"]["id"]);
        assert_eq!(data["model"]["requested"].as_str(), truth.model);
        assert!(data["path"]["request_id"].is_string());
        assert_eq!(data["path"]["kind"], "chat");
        assert_eq!(data["place"]["uri"], turn["uri"]);
    }
}

/// Compares the offers, and returns the contribution of each suggestion.
fn compare_offers<'a>(truth: &Truth<'a>, offered: &[&'a Value]) -> HashMap<&'a str, &'a str> {
    assert_eq!(offered.len(), truth.items.len());
    let mut contributions = HashMap::new();
    for (event, (item, answer)) in offered.iter().zip(&truth.items) {
        let data = &event["data"];
        assert_eq!(event["content"]["output"], item["text"]);
        assert_eq!(data["output"]["bytes"].as_u64(), item["text"].as_str().map(|text| text.len() as u64));
        assert_eq!(data["place"]["uri"], answer["uri"]);
        if answer["kind"] == "chat-insert" {
            assert_eq!(data["prompt"]["turns"], 1);
        } else {
            let cursor = json!({ "start": answer["position"], "end": answer["position"] });
            assert_eq!(&data["place"]["range"], item.get("range").unwrap_or(&cursor));
            assert_eq!(data["prompt"]["absent"], "not_on_wire");
        }
        assert_eq!(data["how"], "observed");
        assert_eq!(event["subject"], data["contribution"]);
        compare_model(truth, data);
        contributions.insert(id(item), string(&data["contribution"]));
    }
    contributions
}

fn compare_model(truth: &Truth<'_>, data: &Value) {
    let model = &data["model"];
    let has_request_id = data["path"]["request_id"].is_string();
    match truth.wire.model {
        Model::Logged => {
            assert_eq!((model["requested"].as_str(), &model["how"]), (truth.model, &json!("observed")));
            assert!(has_request_id);
        }
        Model::Configured => {
            assert_eq!((model["requested"].as_str(), &model["how"]), (truth.model, &json!("reported")));
            assert!(!has_request_id);
        }
        Model::Answered => {
            assert_eq!((model["requested"].as_str(), model["responded"].as_str()), (truth.model, truth.model));
            assert!(has_request_id);
            return;
        }
        Model::Absent => {
            assert!(model.get("requested").is_none());
            assert!(!has_request_id);
        }
    }
    assert_eq!(model["absent"], "not_on_wire");
    assert!(model.get("responded").is_none());
}

fn compare_acts(truth: &Truth<'_>, contributions: &HashMap<&str, &str>, accepted: &[&Value]) {
    let mut so_far: HashMap<&str, (u64, u64)> = HashMap::new();
    assert_eq!(accepted.len(), truth.accepted.len());
    for (event, true_event) in accepted.iter().zip(&truth.accepted) {
        let data = &event["data"];
        let id = id(true_event);
        // Where there is no document synchronisation, the text itself stands for what entered.
        let text = string(true_event.get("accepted_text").unwrap_or(&true_event["text"]));
        assert_eq!(event["content"]["accepted"], text);
        let (acts, units) = so_far.entry(id).or_default();
        *acts += 1;
        assert_eq!(data["contribution"], contributions[id]);
        assert_eq!(data["act"], *acts);
        assert_eq!(data["extent"], if true_event["type"] == "accepted" { "full" } else { "partial" });
        let (gesture, how) = if true_event["evidence"].is_null() { ("edit", "inferred") } else { ("both", "observed") };
        assert_eq!((&data["gesture"], &data["how"]), (&json!(gesture), &json!(how)), "{}", true_event["evidence"]);
        assert_eq!(data["place"]["uri"], true_event["uri"]);
        if true_event.get("replaced").is_some() {
            assert_eq!(data["place"]["range"], true_event["range"]);
        } else {
            // The cursor stood where the first act of a suggestion entered; the others follow on the same line.
            let mut start = true_event["position"].clone();
            start["character"] = json!(start["character"].as_u64().expect("a column") + *units);
            assert_eq!(data["place"]["range"], json!({ "start": start, "end": start }));
            assert_eq!(data["entered"][0]["bytes"], text.len());
        }
        *units += text.encode_utf16().count() as u64;
        assert_eq!(data["entered"].as_array().map(Vec::len), Some(1));
        assert_eq!(data["shown"]["at"].is_string(), truth.shown.contains(&id));
        assert_eq!(event["content"]["output"], true_event["text"]);
        if data["extent"] == "full" {
            assert_eq!(data["distance"]["ratio"], 1.0, "{}", data["distance"]);
        }
        compare_model(truth, data);
    }
}

/// The text that a suggestion has in the final documents is what its acts put there, and no more.
fn compare_attribution(recording: &Recording, contributions: &HashMap<&str, &str>, accepted: &[&Value]) {
    let documents = recording.truth["documents"].as_array().expect("documents");
    for (id, contribution) in contributions.iter().filter(|_| !documents.is_empty()) {
        let origin = format!("ai:{id}");
        let spans = documents.iter().flat_map(|document| document["attribution"].as_array().expect("spans"));
        let stands: usize =
            spans.filter(|span| span["origin"] == *origin).map(|span| string(&span["text"]).len()).sum();
        let entered: u64 = accepted
            .iter()
            .filter(|event| event["data"]["contribution"] == **contribution)
            .flat_map(|event| event["data"]["entered"].as_array().expect("insertions"))
            .map(|entered| entered["bytes"].as_u64().expect("a length"))
            .sum();
        assert_eq!(entered, stands as u64);
    }
}

fn compare_ends(truth: &Truth<'_>, contributions: &HashMap<&str, &str>, accepted: &[&Value], rejected: &[&Value]) {
    assert_eq!(rejected.len(), truth.rejected.len());
    for true_event in &truth.rejected {
        let contribution = contributions[id(true_event)];
        let end = rejected
            .iter()
            .find(|event| event["data"]["contribution"] == contribution)
            .unwrap_or_else(|| panic!("no end of {true_event}"));
        let data = &end["data"];
        assert_eq!(end["content"]["output"], true_event["text"]);
        let reason = string(&data["reason"]);
        match (true_event["evidence"].is_null(), string(&true_event["reason"])) {
            (false, "ignored") => assert_eq!((reason, &data["how"]), ("ignored", &json!("reported"))),
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
