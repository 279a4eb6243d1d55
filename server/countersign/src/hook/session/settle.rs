//! What only the session files tell: ends without a hook, refusals, and what was named late.

use std::collections::BTreeMap;

use countersign_event::facts::Place;
use countersign_event::payload::contribution;
use countersign_event::{How, Payload};
use serde_json::{Value, json};

use super::given::{most, reason};
use super::{Note, Session};
use crate::hook::decode::{Call, End, Heard, Reasoning, Touches};
use crate::hook::store::{Mark, Marks, Open};
use crate::hook::transcript::{TURN_BYTES_MAX, lines};

/// Which calls of a session file are taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settle {
    /// Those under way.
    Open,
    /// And those that no hook told of.
    Turn,
    /// And those whose end nobody will tell any more.
    Session,
}

impl Session<'_> {
    /// Settles calls whose end only the session file tells, if any are under way.
    pub(in crate::hook) fn look_for_ends(&mut self) {
        if !self.store.all_open().is_empty() {
            self.settle(Settle::Open);
        }
    }

    /// Takes in what only the session files tell: ends without a hook, refusals, models named late.
    pub(super) fn settle(&mut self, what: Settle) {
        for path in self.transcripts() {
            let name = path.to_string_lossy().into_owned();
            let from = self.memory.read.get(&name).copied().unwrap_or(0);
            let read = lines(&path, from, TURN_BYTES_MAX);
            let heard = (self.client.heard)(&read.text);
            if read.passed_over > 0 {
                self.gap("session_file_cut_short");
            }
            // A call whose result is still to come is read again.
            if what == Settle::Session || (what == Settle::Turn && heard.iter().all(|heard| heard.end.is_some())) {
                self.memory.read.insert(name, read.end);
            }
            for heard in heard.into_iter().filter(|heard| heard.end.is_some()) {
                self.settle_one(heard, what);
            }
        }
        if what == Settle::Session {
            self.leave(|session, key, open| {
                let answer = session.store.get(key, "answer");
                // Who was asked and never said yes has cancelled it.
                let asked = session.was_asked(key, open) && answer.is_none();
                match session.client.ends_in_silence && answer.is_none() && open.is_as_it_was() {
                    _ if asked || answer == Some(json!("no")) => (End::Refused, false),
                    true => match open.fits {
                        // It could be done, nobody was asked, and it was not.
                        Some(true) => (End::Denied, true),
                        Some(false) => (End::Failed, true),
                        None => (End::Unknown, false),
                    },
                    false => (End::Unknown, false),
                }
            });
        }
    }

    /// Ends all calls that are under way, each as `end` says, and whether that is inferred.
    pub(super) fn leave(&mut self, end: impl Fn(&Self, &str, &Open) -> (End, bool)) {
        for key in self.store.all_open() {
            let Some(open) = self.store.open(&key).filter(|_| !self.closes(&key)) else { continue };
            let (end, is_inferred) = end(self, &key, &open);
            let touches = Touches::Writes(open.files.into_keys().collect());
            let call = Call { id: open.id, tool: open.tool, input: open.input, touches, ..Call::default() };
            let begun = self.marks.count(Mark::Begun, &key);
            if call.id.is_none() && begun > 0 && self.marks.count(Mark::DoneNameless, &key) >= begun {
                self.done.notes.push(Note::Close(key)); // its end was told before its beginning
                continue;
            }
            self.finish(&key, &Heard { call, end: Some(end), is_inferred, ..Heard::default() }, true);
        }
    }

    pub(super) fn settle_one(&mut self, mut heard: Heard, what: Settle) {
        let key = self.store.key(&heard.call);
        self.name_late(&key, &heard);
        if self.marks.count(Mark::Done, &key) > 0 {
            return;
        }
        let by_input = self.store.key_of_input(&heard.call);
        let nameless = |marks: &Marks, mark| marks.count(mark, &by_input);
        if nameless(&self.marks, Mark::DoneNameless) > nameless(&self.marks, Mark::Matched) {
            self.name_late(&by_input, &heard);
            self.note_mark(Mark::Matched, by_input);
            self.note_mark(Mark::Done, key);
            return;
        }
        let open = [&key, &by_input].into_iter().find(|key| !self.closes(key) && self.store.open(key).is_some());
        match open.cloned() {
            Some(open) => {
                if heard.refused_unless_run {
                    let asked = self.store.open(&open).is_some_and(|call| self.was_asked(&open, &call));
                    heard.end = Some(if asked { End::Refused } else { End::Denied });
                }
                self.finish(&open, &heard, true);
            }
            // No hook told of it: it failed before any could run, or they don't run here.
            None if what != Settle::Open => self.finish(&key, &heard, true),
            None => {}
        }
    }

    /// Adds the model, and what it thought, to contributions that were recorded before the session file had them.
    pub(super) fn name_late(&mut self, key: &str, heard: &Heard) {
        if heard.responded.is_none() && heard.reasoning == Reasoning::Untold {
            return;
        }
        let Some(Value::Array(unnamed)) = self.store.take(key, "unnamed") else { return };
        for item in unnamed {
            let Some(contribution) = item["contribution"].as_str() else { continue };
            if heard.responded.is_none() && item["reasoned"] == true {
                continue; // it was told with the edit
            }
            let mut texts = Vec::new();
            let mut content = BTreeMap::new();
            reason(&heard.reasoning, &mut texts, &mut content);
            let bytes = heard.call.output.as_ref().map_or(0, String::len).max(most(&texts)) as u64;
            let payload = Payload::ContributionEvidenced(contribution::Evidenced {
                how: How::Reported,
                contribution: contribution.to_owned(),
                act: None,
                saw: if heard.responded.is_some() { "model_named" } else { "reasoning_told" }.to_owned(),
                model: Some(self.model(Some(heard))),
                prompt: None,
                output: None,
                person: None,
                path: self.path(heard.call.id.as_deref(), Some(heard)),
                place: Place { uri: item["uri"].as_str().map(str::to_owned), ..Place::default() },
                content,
            });
            self.record(payload, texts, bytes, Some(contribution.to_owned()));
        }
    }
}
