//! What the spool says about a contribution: the fold of its events into the five facts.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use countersign_event::{EventBytes, Fact, How, Payload, Timestamp};
use countersign_spool::Reader;

use super::protocol::Facts;

/// Where facts are looked up. Cheap to clone.
#[derive(Clone)]
pub(crate) struct FactBook {
    state: PathBuf,
}

impl FactBook {
    /// Looks up in the spool of this state directory.
    pub(crate) fn new(state: PathBuf) -> FactBook {
        FactBook { state }
    }

    /// Returns what is on record about a contribution: its facts, and how many bytes entered. Reads the
    /// disk, in a thread of its own.
    pub(crate) async fn look_up(&self, contribution: &str) -> (Option<Facts>, Option<u64>) {
        let (state, id) = (self.state.clone(), contribution.to_owned());
        let read = move || {
            let stored = Reader::open(&state)?.by_subject(&id)?;
            Ok::<_, countersign_spool::SpoolError>(fold(stored.iter().map(|stored| &stored.bytes)))
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(facts)) => facts,
            Ok(Err(error)) => {
                tracing::warn!("the facts of {contribution} can't be read: {error}");
                (None, None)
            }
            Err(_) => (None, None),
        }
    }
}

impl FactBook {
    /// Returns how contributions are known to have entered. Reads the disk, in a thread of its own.
    pub(crate) async fn hows(&self, contributions: HashSet<String>) -> HashMap<String, How> {
        let state = self.state.clone();
        let read = move || {
            let reader = Reader::open(&state)?;
            let mut hows = HashMap::new();
            for id in contributions {
                let stored = reader.by_subject(&id)?;
                if let (Some(facts), _) = fold(stored.iter().map(|stored| &stored.bytes)) {
                    hows.insert(id, facts.how);
                }
            }
            Ok::<_, countersign_spool::SpoolError>(hows)
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(hows)) => hows,
            Ok(Err(error)) => {
                tracing::warn!("how contributions are known can't be read: {error}");
                HashMap::new()
            }
            Err(_) => HashMap::new(),
        }
    }
}

/// Folds a contribution's events, oldest first.
fn fold<'a>(events: impl Iterator<Item = &'a EventBytes>) -> (Option<Facts>, Option<u64>) {
    let (mut facts, mut accepted_bytes) = (None, None);
    for event in events {
        let (Ok(header), Ok(payload)) = (event.header(), event.payload()) else { continue };
        if let Payload::ContributionMeasured(measured) = &payload {
            accepted_bytes = Some(measured.accepted_bytes);
        }
        add(&mut facts, header.time, &payload);
    }
    (facts, accepted_bytes)
}

/// Adds one event. A later one says more about the act, an evidence fills what is missing.
pub(crate) fn add(facts: &mut Option<Facts>, time: Timestamp, payload: &Payload) {
    match payload {
        Payload::SuggestionOffered(offered) => {
            facts.get_or_insert_with(|| Facts {
                how: offered.how,
                time,
                model: offered.model.clone(),
                prompt: offered.prompt.clone(),
                output: offered.output.clone(),
                person: offered.person.clone(),
                path: offered.path.clone(),
            });
        }
        Payload::SuggestionAccepted(accepted) => {
            *facts = Some(Facts {
                how: accepted.how,
                time,
                model: accepted.model.clone(),
                prompt: accepted.prompt.clone(),
                output: accepted.output.clone(),
                person: accepted.person.clone(),
                path: accepted.path.clone(),
            });
        }
        Payload::EditApplied(applied) => {
            *facts = Some(Facts {
                how: applied.how,
                time,
                model: applied.model.clone(),
                prompt: applied.prompt.clone(),
                output: applied.output.clone(),
                person: applied.person.clone(),
                path: applied.path.clone(),
            });
        }
        Payload::ContributionEvidenced(evidenced) => {
            let Some(facts) = facts else { return };
            fill(&mut facts.prompt, evidenced.prompt.as_ref());
            fill(&mut facts.output, evidenced.output.as_ref());
            fill(&mut facts.person, evidenced.person.as_ref());
            if let Some(model) = &evidenced.model {
                let names_it = |fact: &Fact<countersign_event::facts::Model>| {
                    fact.value().is_some_and(|model| model.responded.is_some())
                };
                if facts.model.value().is_none() || (names_it(model) && !names_it(&facts.model)) {
                    facts.model = model.clone();
                }
            }
        }
        _ => {}
    }
}

fn fill<T: Clone>(fact: &mut Fact<T>, evidence: Option<&Fact<T>>) {
    if let (None, Some(evidence)) = (fact.value(), evidence) {
        *fact = evidence.clone();
    }
}
