//! The parts that several payloads share, reached without knowing which payload it is.
//!
//! The recorder completes what a producer can't know: where a document lies in its repository, who
//! sits in front of the device, and which texts were kept.

use super::{ContextItem, Payload};
use crate::content::Contents;
use crate::facts::{Fact, Person, Place};

impl Payload {
    /// Returns where it happened, for the types that have a place.
    pub fn place_mut(&mut self) -> Option<&mut Place> {
        match self {
            Payload::SuggestionOffered(data) => Some(&mut data.place),
            Payload::SuggestionAccepted(data) => Some(&mut data.place),
            Payload::SuggestionRejected(data) => Some(&mut data.place),
            Payload::EditApplied(data) => Some(&mut data.place),
            Payload::PromptSubmitted(data) => Some(&mut data.place),
            Payload::ToolCalled(data) => Some(&mut data.place),
            Payload::ContributionMeasured(data) => Some(&mut data.place),
            Payload::ContributionEvidenced(data) => Some(&mut data.place),
            Payload::FindingRaised(data) => Some(&mut data.place),
            Payload::FindingDismissed(data) => Some(&mut data.place),
            Payload::FindingResolved(data) => Some(&mut data.place),
            Payload::ReviewRecorded(data) => Some(&mut data.place),
            Payload::GateDecided(data) => Some(&mut data.place),
            _ => None,
        }
    }

    /// Returns the person, for the types that always state one.
    pub fn person_mut(&mut self) -> Option<&mut Fact<Person>> {
        match self {
            Payload::SuggestionOffered(data) => Some(&mut data.person),
            Payload::SuggestionAccepted(data) => Some(&mut data.person),
            Payload::SuggestionRejected(data) => Some(&mut data.person),
            Payload::EditApplied(data) => Some(&mut data.person),
            Payload::PromptSubmitted(data) => Some(&mut data.person),
            Payload::ToolCalled(data) => Some(&mut data.person),
            Payload::FindingDismissed(data) => Some(&mut data.person),
            Payload::CapturePaused(data) => Some(&mut data.person),
            Payload::CaptureResumed(data) => Some(&mut data.person),
            Payload::ReviewRecorded(data) => Some(&mut data.person),
            _ => None,
        }
    }

    /// Returns the texts' slots, for the types that can have texts.
    pub fn contents_mut(&mut self) -> Option<&mut Contents> {
        match self {
            Payload::SuggestionOffered(data) => Some(&mut data.content),
            Payload::SuggestionAccepted(data) => Some(&mut data.content),
            Payload::SuggestionRejected(data) => Some(&mut data.content),
            Payload::EditApplied(data) => Some(&mut data.content),
            Payload::PromptSubmitted(data) => Some(&mut data.content),
            Payload::ToolCalled(data) => Some(&mut data.content),
            Payload::ContributionEvidenced(data) => Some(&mut data.content),
            Payload::ModelResponded(data) => Some(&mut data.content),
            _ => None,
        }
    }

    /// Returns what the model was given, for the types that say it.
    pub fn context_mut(&mut self) -> Option<&mut Vec<ContextItem>> {
        match self {
            Payload::PromptSubmitted(data) => Some(&mut data.circumstances.context),
            Payload::ToolCalled(data) => Some(&mut data.circumstances.context),
            Payload::EditApplied(data) => Some(&mut data.circumstances.context),
            _ => None,
        }
    }
}
