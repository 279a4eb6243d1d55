//! llm-ls: its own requests, with the model in each. Each also carries an API token, which is never read.

use countersign_event::facts::How;
use countersign_event::payload::suggestion::RejectReason;
use countersign_provenance::join::{Item, NamedModel, Observation};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    model: Option<String>,
}

/// The answer is in snake case, unlike everything else here.
#[derive(Deserialize)]
struct Completions {
    request_id: String,
    completions: Vec<Completion>,
}

#[derive(Deserialize)]
struct Completion {
    generated_text: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Decided {
    request_id: String,
    #[serde(default)]
    accepted_completion: Option<u32>,
    #[serde(default)]
    shown_completions: Vec<u32>,
}

fn named(request: &str, completion: u32) -> String {
    format!("{request}#{completion}")
}

/// Returns the model that a question asks for.
pub(super) fn model_of(params: &RawValue) -> Option<NamedModel> {
    let asked: Asked = serde_json::from_str(params.get()).ok()?;
    Some(NamedModel::requested(asked.model?, How::Observed))
}

/// Reads an answer: the items, and the server's id of the request.
pub(super) fn items(result: &RawValue) -> Option<(Vec<Item>, String)> {
    let answer: Completions = serde_json::from_str(result.get()).ok()?;
    let item = |(i, completion): (usize, Completion)| Item {
        id: Some(named(&answer.request_id, i as u32)),
        text: completion.generated_text,
        ..Item::default()
    };
    let items = answer.completions.into_iter().enumerate().map(item).collect();
    Some((items, answer.request_id))
}

/// Reads what a person decided. When the suggestions were shown is not said, only that they were.
pub(super) fn decided(params: &RawValue) -> Vec<Observation> {
    let Ok(decided) = serde_json::from_str::<Decided>(params.get()) else { return Vec::new() };
    let request = &decided.request_id;
    match decided.accepted_completion {
        Some(taken) => vec![Observation::AcceptedExplicitly { id: named(request, taken), whole: true }],
        None => decided
            .shown_completions
            .iter()
            .map(|&shown| Observation::RejectedExplicitly {
                id: named(request, shown),
                reason: RejectReason::Dismissed,
            })
            .collect(),
    }
}
