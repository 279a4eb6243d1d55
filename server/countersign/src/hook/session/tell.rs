//! A call and its edits as records.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use countersign_event::content::{ContentName, ContentSlot};
use countersign_event::facts::{Output, Place};
use countersign_event::payload::tool::{Called, Class, Decision, Outcome};
use countersign_event::payload::{Circumstances, ContextItem, edit};
use countersign_event::{Absent, Fact, How, Payload, digest, identity};
use serde_json::{Value, json};

use super::given::{most, reason, uri_of};
use super::{Note, Session};
use crate::hook::compare::Change;
use crate::hook::decode::{Call, End, Heard, Reasoning, Touches};
use crate::hook::observe;
use crate::hook::store::Open;
use crate::hook::text::{Content, changed};
use crate::work_class::classify;

/// More changed places than this are told as one, from the first to the last.
const HUNKS_MAX: usize = 200;

/// So often the same text may come back to the same file.
const AGAIN_MAX: usize = 100;

impl Session<'_> {
    /// Records what a call did to a file. Returns how to find the contribution again.
    pub(super) fn edited(&mut self, call: &Call, heard: &Heard, change: &Change, open: Option<&Open>) -> Value {
        let path = change.path.to_string_lossy();
        let session = &self.said.session;
        let id = match &call.id {
            Some(call) => identity::contribution_of_edit(self.client.name, session, call, &path).to_string(),
            None => {
                let text_id = digest::text_id(change.after.text().unwrap_or_default().as_bytes());
                let id = |text_id: &str| identity::contribution_of_text(self.client.name, session, &path, text_id);
                // The same text a second time, after another, is another edit.
                let again = (1..AGAIN_MAX).map(|times| id(&format!("{text_id} {times}")));
                let mut ids = std::iter::once(id(&text_id)).chain(again).map(|id| id.to_string());
                let first = ids.next().unwrap_or_default();
                match open.is_some() && self.recorded_by_hook(&first) {
                    true => ids.find(|id| !self.recorded_by_hook(id)).unwrap_or(first),
                    false => first,
                }
            }
        };
        let uri = uri_of(&change.path);
        let place = Place { uri: uri.clone(), ..Place::default() };
        let (before, after) = (&change.before, &change.after);
        self.done.notes.push(Note::Edit(change.path.clone(), after.blob(self.sha256)));
        let (mut runs, mut inserted) = (Vec::new(), 0);
        let as_text = |content: &Content| match content {
            Content::Absent => Some(String::new()),
            other => other.text().map(str::to_owned),
        };
        if let (Some(before), Some(after)) = (as_text(before), as_text(after)) {
            (runs, inserted) = changed(&before, &after);
        }
        if let (true, [first, .., last]) = (runs.len() > HUNKS_MAX, runs.as_slice()) {
            let (old_end, new_end) = (last.old_start + last.old_lines, last.new_start + last.new_lines);
            let (old_lines, new_lines) = (old_end - first.old_start, new_end - first.new_start);
            runs = vec![edit::Hunk { old_lines, new_lines, ..*first }];
        }
        self.done.seen.extend(observe::edit(&observe::Edit {
            path: &change.path,
            before,
            after,
            began: open.map(|open| (open.at, open.git.clone())),
            now: self.now,
            contribution: &id,
            call: format!("{} {} {}", self.client.name, session, self.store.key(call)),
            session,
            hunks: &runs,
        }));
        let mut texts = Vec::new();
        let mut content = BTreeMap::new();
        for (name, side) in [(ContentName::Before, before), (ContentName::After, after)] {
            match (side, side.text()) {
                (Content::Absent, _) => {}
                (_, Some(text)) => texts.push((name, text.to_owned())),
                // Bytes that are no text are not kept; a file that nobody read is not known.
                (Content::Bytes(_), None) => {
                    content.insert(name, ContentSlot::Absent { absent: Absent::Policy });
                }
                (Content::Unread, None) => {
                    content.insert(name, ContentSlot::Absent { absent: Absent::NotOnWire });
                }
            }
        }
        texts.extend(call.output.clone().map(|text| (ContentName::Output, text)));
        reason(&heard.reasoning, &mut texts, &mut content);
        if !self.memory.prompt.is_empty() && !self.said.is_ide {
            texts.push((ContentName::Prompt, self.memory.prompt.clone()));
        }
        let payload = Payload::EditApplied(edit::Applied {
            how: change.how,
            contribution: id.clone(),
            model: self.model(Some(heard)),
            prompt: self.prompt(),
            output: output_of(call),
            person: Fact::absent(Absent::NotOnWire),
            path: self.path(call.id.as_deref(), Some(heard)),
            place,
            before_blob: before.blob(self.sha256),
            after_blob: after.blob(self.sha256),
            hunks: runs,
            entered: Vec::new(),
            rule: None,
            confidence: None,
            content,
            circumstances: Circumstances::default(),
        });
        let bytes = inserted.max(call.output.as_ref().map_or(0, |text| text.len() as u64));
        self.record(payload, texts, bytes, Some(id.clone()));
        json!({ "contribution": id, "uri": uri, "reasoned": heard.reasoning != Reasoning::Untold })
    }

    pub(super) fn called(
        &mut self,
        call: &Call,
        heard: &Heard,
        outcome: Outcome,
        decision: Option<Decision>,
        how: How,
    ) {
        let named: Vec<PathBuf> = call.touches.named().iter().map(|file| self.absolute(file)).collect();
        let file = match &call.touches {
            Touches::Reads(_) | Touches::Writes(_) => named.first(),
            _ => None,
        };
        let returned = &heard.returned;
        let mut context: Vec<ContextItem> = Vec::new();
        if let (Touches::Reads(_), Outcome::Ran) = (&call.touches, outcome) {
            let told = |path: &Path| {
                returned.given.iter().find(|(name, _)| self.absolute(Path::new(name)) == path)?.1.as_deref()
            };
            context.extend(named.iter().map(|path| self.item(&path.to_string_lossy(), told(path))));
        } else {
            context.extend(returned.given.iter().map(|(name, text)| self.item(name, text.as_deref())));
        }
        let work = call.command.as_deref().map(classify);
        let mut texts = Vec::new();
        let mut content = BTreeMap::new();
        let arguments = (!call.input.is_null()).then(|| call.input.to_string());
        for (name, text) in [(ContentName::Arguments, arguments), (ContentName::Output, returned.text.clone())] {
            match text {
                Some(text) => texts.push((name, text)),
                None => drop(content.insert(name, ContentSlot::Absent { absent: Absent::NotOnWire })),
            }
        }
        reason(&heard.reasoning, &mut texts, &mut content);
        let bytes = most(&texts) as u64;
        let payload = Payload::ToolCalled(Called {
            how,
            tool_name: call.tool.clone(),
            outcome,
            decision,
            succeeded: match heard.end {
                Some(End::Done) => Some(true),
                Some(End::Failed) => Some(false),
                _ => None,
            },
            class: Some(work.as_ref().map_or(Class::Other, |work| work.class)),
            classed_by: work.and_then(|work| work.by),
            exit_status: returned.exit_status,
            // Whoever asks git next fills it in.
            tree: None,
            model: self.model(Some(heard)),
            person: Fact::absent(Absent::NotOnWire),
            path: self.path(call.id.as_deref(), Some(heard)),
            place: Place { uri: file.and_then(|path| uri_of(path)), ..Place::default() },
            content,
            circumstances: Circumstances { context, ..Circumstances::default() },
        });
        self.record(payload, texts, bytes, Some(call.tool.clone()));
    }
}

fn output_of(call: &Call) -> Fact<Output> {
    match &call.output {
        Some(text) => Fact::reported(Output::of(text)),
        None => Fact::absent(Absent::NotOnWire),
    }
}
