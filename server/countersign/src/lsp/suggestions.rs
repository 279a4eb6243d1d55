//! Suggestions that an editor's extension tells about: from its messages to events.
//!
//! The extension names a suggestion; we mint the contribution's id when we first hear of it. Nothing
//! here sees a document: whether the text really entered is found by its digest.

use std::collections::{HashMap, VecDeque};

use countersign_event::content::ContentName;
use countersign_event::facts::{IntegrationPath, Model, Output, PathKind, Place, Transport};
use countersign_event::payload::Circumstances;
use countersign_event::payload::suggestion::{
    Accepted, Dwell, Entered, Extent, Gesture, Offered, RejectReason, Rejected, Shown,
};
use countersign_event::{Absent, Fact, How, Payload, Timestamp};
use countersign_provenance::distance::distance;
use countersign_provenance::session::{Acceptance, Offer};
use countersign_provenance::spans::ContributionId;

use super::facts;
use super::protocol::{Facts, Suggestion, SuggestionEvent};
use crate::recorder::Record;

/// So many suggestions are remembered; of older ones only their events are left.
const LIVE_MAX: usize = 512;
/// A suggestion of so many lines takes time to read.
const DWELL_LINES: u64 = 10;

/// The suggestions that are known by an extension's name.
#[derive(Default)]
pub(crate) struct Suggestions {
    live: HashMap<(String, String), Live>,
    order: VecDeque<(String, String)>,
}

struct Live {
    contribution: String,
    /// As offered; nothing where a person dismissed what the extension could not read.
    text: Option<String>,
    shown: Option<Timestamp>,
    path: IntegrationPath,
    model: Fact<Model>,
    acts: u32,
}

/// What follows from a message.
pub(crate) struct Told {
    /// What is recorded.
    pub(crate) records: Vec<Record>,
    /// What entered a document, as which contribution.
    pub(crate) entered: Option<(Acceptance, Facts)>,
    /// What is on the screen since.
    pub(crate) offered: Option<Offer>,
    /// What is on the screen no longer.
    pub(crate) withdrawn: Option<ContributionId>,
}

/// What a message is read with.
pub(crate) struct Setting<'a> {
    /// The time.
    pub(crate) now: Timestamp,
    /// Where: the document, its language, and the message's range in UTF-16.
    pub(crate) place: Place,
    /// Mints a contribution's id.
    pub(crate) mint: &'a dyn Fn() -> String,
    /// Digests inserted text.
    pub(crate) digest: &'a dyn Fn(&str) -> String,
    /// The session of the connection.
    pub(crate) session: &'a str,
}

impl Suggestions {
    /// Takes a message.
    ///
    /// Errors: it can't be understood; the reason is for `capture.degraded`.
    pub(crate) fn tell(&mut self, message: Suggestion, setting: &Setting<'_>) -> Result<Told, &'static str> {
        let key = (message.tool.clone(), message.id.clone());
        let mut records = Vec::new();
        if !self.live.contains_key(&key) {
            if message.text.is_none() && message.event != SuggestionEvent::Rejected {
                return Err("unknown_suggestion");
            }
            let live = offer(&message, setting);
            records.push(offered(&live, setting));
            self.order.push_back(key.clone());
            self.live.insert(key.clone(), live);
            if self.order.len() > LIVE_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.live.remove(&oldest);
            }
        }
        let live = self.live.get_mut(&key).ok_or("unknown_suggestion")?;
        let id = ContributionId::new(&live.contribution);
        let (mut offered, mut withdrawn) = (None, None);
        let entered = match message.event {
            SuggestionEvent::Shown => {
                offered = live.text.as_deref().map(|text| Offer {
                    contribution: id,
                    uri: message.text_document.uri,
                    digest: (setting.digest)(text),
                    since: setting.now,
                });
                None
            }
            SuggestionEvent::Accepted | SuggestionEvent::Partial => {
                let Some(inserted) = message.text.or_else(|| live.text.clone()) else {
                    return Err("unknown_suggestion");
                };
                live.acts += 1;
                let extent = match message.event {
                    SuggestionEvent::Partial => Extent::Partial,
                    // What is left after parts were taken is still all of it.
                    _ if live.text().ends_with(&inserted) => Extent::Full,
                    _ => Extent::Modified,
                };
                let entered = Entered {
                    range: setting.place.range.unwrap_or_default(),
                    bytes: inserted.len() as u64,
                    digest: (setting.digest)(&inserted),
                };
                let record = accepted(live, extent, &entered, inserted, setting);
                let mut known = None;
                facts::add(&mut known, setting.now, &record.payload);
                records.push(record);
                let acceptance = Acceptance {
                    contribution: id,
                    act: live.acts,
                    uri: message.text_document.uri,
                    entered: vec![entered],
                };
                known.map(|facts| (acceptance, facts))
            }
            SuggestionEvent::Rejected => {
                live.acts += 1;
                let reason = match message.reason.as_deref() {
                    Some("ignored") => RejectReason::Ignored,
                    Some("superseded") => RejectReason::Superseded,
                    Some("typed_over") => RejectReason::TypedOver,
                    _ => RejectReason::Dismissed,
                };
                records.push(rejected(live, reason, setting));
                withdrawn = Some(id);
                None
            }
        };
        Ok(Told { records, entered, offered, withdrawn })
    }
}

impl Live {
    fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }

    fn output(&self) -> Fact<Output> {
        match &self.text {
            Some(text) => Fact::reported(Output::of(text)),
            None => Fact::absent(Absent::NotOnWire),
        }
    }
}

fn offer(message: &Suggestion, setting: &Setting<'_>) -> Live {
    let mut path = IntegrationPath::new(PathKind::Ide, Transport::Extension);
    path.tool = Some(message.tool.clone());
    path.version = message.tool_version.clone();
    path.session = Some(setting.session.to_owned());
    Live {
        contribution: (setting.mint)(),
        text: message.text.clone(),
        shown: (message.event == SuggestionEvent::Shown).then_some(setting.now),
        path,
        model: match &message.model {
            Some(model) => Fact::reported(model.clone()),
            None => Fact::absent(Absent::NotOnWire),
        },
        acts: 0,
    }
}

fn record(live: &Live, setting: &Setting<'_>, payload: Payload, texts: Vec<(ContentName, String)>) -> Record {
    Record {
        at: setting.now,
        subject: Some(live.contribution.clone()),
        payload,
        texts,
        output_bytes: live.text().len() as u64,
    }
}

fn offered(live: &Live, setting: &Setting<'_>) -> Record {
    let payload = Payload::SuggestionOffered(Offered {
        how: How::Reported,
        contribution: live.contribution.clone(),
        alternative: 0,
        model: live.model.clone(),
        prompt: Fact::absent(Absent::NotOnWire),
        output: live.output(),
        person: Fact::absent(Absent::NotOnWire),
        path: Fact::observed(live.path.clone()),
        place: setting.place.clone(),
        digest: live.text.as_deref().map(setting.digest),
        content: Default::default(),
        circumstances: Circumstances::default(),
    });
    record(live, setting, payload, live.text.iter().map(|text| (ContentName::Output, text.clone())).collect())
}

fn accepted(live: &Live, extent: Extent, entered: &Entered, inserted: String, setting: &Setting<'_>) -> Record {
    let output = Output::of(live.text());
    let dwell = match live.shown {
        Some(shown) if output.lines >= DWELL_LINES => Some(Dwell::of_millis(setting.now.millis_since(shown))),
        _ => None,
    };
    let payload = Payload::SuggestionAccepted(Accepted {
        how: How::Reported,
        contribution: live.contribution.clone(),
        act: live.acts,
        extent,
        gesture: Gesture::Explicit,
        rule: None,
        confidence: None,
        model: live.model.clone(),
        prompt: Fact::absent(Absent::NotOnWire),
        output: Fact::reported(output),
        person: Fact::absent(Absent::NotOnWire),
        path: Fact::observed(live.path.clone()),
        place: setting.place.clone(),
        entered: vec![entered.clone()],
        distance: distance(live.text(), &inserted),
        shown: match live.shown {
            Some(at) => Fact::reported(Shown { at }),
            None => Fact::absent(Absent::NotOnWire),
        },
        dwell,
        content: Default::default(),
        circumstances: Circumstances::default(),
    });
    let texts = vec![(ContentName::Output, live.text().to_owned()), (ContentName::Accepted, inserted)];
    record(live, setting, payload, texts)
}

fn rejected(live: &Live, reason: RejectReason, setting: &Setting<'_>) -> Record {
    let payload = Payload::SuggestionRejected(Rejected {
        how: How::Reported,
        contribution: live.contribution.clone(),
        act: live.acts,
        reason,
        undoes: None,
        rule: None,
        model: live.model.clone(),
        output: live.output(),
        person: Fact::absent(Absent::NotOnWire),
        path: Fact::observed(live.path.clone()),
        place: setting.place.clone(),
        content: Default::default(),
    });
    record(live, setting, payload, Vec::new())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tell(suggestions: &mut Suggestions, message: serde_json::Value) -> Result<Vec<String>, &'static str> {
        let setting = Setting {
            now: Timestamp::from_millis(5_000),
            place: Place { uri: Some("file:///a".into()), ..Place::default() },
            mint: &|| "c-1".to_owned(),
            digest: &|text| format!("digest of {text}"),
            session: "session",
        };
        let mut whole = json!({ "tool": "t", "id": "s", "textDocument": { "uri": "file:///a" } });
        whole.as_object_mut().unwrap().extend(message.as_object().unwrap().clone());
        let told = suggestions.tell(serde_json::from_value(whole).unwrap(), &setting)?;
        let mut out: Vec<String> = told
            .records
            .iter()
            .map(|record| match &record.payload {
                Payload::SuggestionOffered(o) => format!("offered {}", o.contribution),
                Payload::SuggestionAccepted(a) => format!("accepted {} act {} {:?}", a.contribution, a.act, a.extent),
                Payload::SuggestionRejected(r) => format!("rejected {} act {} {:?}", r.contribution, r.act, r.reason),
                other => panic!("{other:?}"),
            })
            .collect();
        out.extend(told.entered.map(|(act, _)| {
            format!("{} entered {} {}", act.contribution.as_str(), act.entered[0].bytes, act.entered[0].digest)
        }));
        Ok(out)
    }

    #[test]
    fn one_contribution_lives_through_all_its_acts() {
        let mut all = Suggestions::default();
        assert_eq!(tell(&mut all, json!({ "event": "shown", "text": "ab cd" })).unwrap(), ["offered c-1"]);
        assert_eq!(
            tell(&mut all, json!({ "event": "partial", "text": "ab" })).unwrap(),
            ["accepted c-1 act 1 Partial", "c-1 entered 2 digest of ab"]
        );
        assert_eq!(
            tell(&mut all, json!({ "event": "accepted", "text": " cd" })).unwrap(),
            ["accepted c-1 act 2 Full", "c-1 entered 3 digest of  cd"]
        );
        assert_eq!(
            tell(&mut all, json!({ "event": "rejected", "reason": "superseded" })).unwrap(),
            ["rejected c-1 act 3 Superseded"]
        );
    }

    #[test]
    fn an_act_without_an_offer_makes_one_if_it_has_a_text() {
        let mut all = Suggestions::default();
        assert_eq!(tell(&mut all, json!({ "event": "accepted" })), Err("unknown_suggestion"));
        assert_eq!(
            tell(&mut all, json!({ "event": "accepted", "text": "x" })).unwrap(),
            ["offered c-1", "accepted c-1 act 1 Full", "c-1 entered 1 digest of x"]
        );
    }

    #[test]
    fn what_was_dismissed_unread_is_dismissed_all_the_same() {
        let mut all = Suggestions::default();
        assert_eq!(
            tell(&mut all, json!({ "event": "rejected" })).unwrap(),
            ["offered c-1", "rejected c-1 act 1 Dismissed"]
        );
        assert_eq!(tell(&mut all, json!({ "event": "accepted" })), Err("unknown_suggestion"));
    }
}
