//! From what hooks say to records: what a call found, what it left, what became of it.
//!
//! Every process sees one moment; what lies between two moments is in the [`Store`]. Nothing here is
//! believed of an agent that the disk can say: texts are read before and after a call.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use countersign_event::content::{ContentName, ContentSlot};
use countersign_event::facts::{IntegrationPath, Model, Output, PathKind, Place, Prompt, Transport};
use countersign_event::payload::tool::{Called, DecidedBy, Decision, DecisionScope, Outcome};
use countersign_event::payload::{Circumstances, ContextItem, capture, contribution, edit, prompt, trail};
use countersign_event::{Absent, Fact, How, Payload, Timestamp, digest, identity};
use countersign_spool::{Kind, Reader, Snapshot};
use serde_json::{Value, json};
use tower_lsp::ls_types::Uri;

use super::decode::{Answer, Call, Client, Edit, End, Heard, Said, Step, Touches};
use super::observe;
use super::store::{Mark, Marks, Memory, Open, Store};
use super::text::{Content, changed};
use super::transcript::{CALL_BYTES_MAX, TURN_BYTES_MAX, lines};
use super::tree::Tree;
use crate::git;
use crate::recorder::Record;

/// More changed places than this are told as one, from the first to the last.
const HUNKS_MAX: usize = 200;

/// So many events back another observer's record of the same call is looked for.
const OTHERS_LOOKED_AT: i64 = 500;

/// One hook call at work.
pub(super) struct Session<'a> {
    pub(super) client: &'a Client,
    pub(super) said: Said,
    pub(super) store: &'a Store<'a>,
    pub(super) memory: Memory,
    /// Tells what the trail has already; `None` before the first event.
    pub(super) trail: Option<&'a Reader>,
    /// Names of blobs are SHA-256 in this repository.
    pub(super) sha256: bool,
    pub(super) now: Timestamp,
    pub(super) marks: Marks,
    pub(super) done: Work,
}

/// What is to be written, and what is to be noted once it is.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) records: Vec<Record>,
    pub(super) seen: Vec<Snapshot>,
    pub(super) notes: Vec<Note>,
}

/// What the next process must know, once the trail has the records.
#[derive(Debug)]
pub(super) enum Note {
    /// A call is no longer under way.
    Close(String),
    /// What was done with a call.
    Mark(Mark, String),
    /// A call left a file so.
    Edit(PathBuf, Option<String>),
    /// Contributions whose model nobody could name yet.
    Unnamed(String, Value),
}

/// What a call did to one file.
struct Change {
    path: PathBuf,
    before: Content,
    after: Content,
    how: How,
}

impl Session<'_> {
    /// Does what follows from one step.
    pub(super) fn step(&mut self, step: Step) -> std::io::Result<()> {
        match step {
            Step::Began => self.began(),
            Step::Prompted { turn, text } => self.prompted(turn, &text),
            Step::Calling(call) => self.calling(call)?,
            Step::Asked { call, question } => self.asked(&call, question.as_deref())?,
            Step::Answered { question, answer } => self.answered(&question, answer)?,
            Step::Ended { call, end, edits, decision } => self.ended(&call, end, edits, decision),
            Step::Typed { files, buffers } => self.typed(&files, &buffers),
            Step::NotFollowed(what) => self.not_followed(what),
            Step::Rested => self.settle(Settle::Turn),
            Step::Idle => self.settle(Settle::Session),
            Step::Finished => {
                self.settle(Settle::Session);
                self.finished();
            }
        }
        Ok(())
    }

    /// Settles calls whose end only the session file tells, if any are under way.
    pub(super) fn look_for_ends(&mut self) {
        if !self.store.all_open().is_empty() {
            self.settle(Settle::Open);
        }
    }

    fn began(&mut self) {
        let payload = Payload::CaptureStarted(capture::Started {
            how: How::Observed,
            path: self.path(None, None),
            countersign: env!("CARGO_PKG_VERSION").to_owned(),
            client: None,
        });
        self.record(payload, Vec::new(), 0, None);
        self.store.forget_old();
    }

    /// Keeps files as a person left them: an editor's word for what is new in them.
    fn typed(&mut self, files: &[PathBuf], buffers: &[(PathBuf, String)]) {
        for file in files {
            let path = self.absolute(file);
            let buffer = buffers.iter().find(|(buffer, _)| self.absolute(buffer) == path);
            let content = match buffer {
                Some((_, text)) => Content::told(text, &Content::read(&path)),
                None => Content::read(&path),
            };
            self.done.seen.extend(observe::look(&path, Kind::Human, &content, self.now));
        }
    }

    fn not_followed(&mut self, what: &str) {
        let payload = Payload::CaptureDegraded(capture::Degraded {
            how: How::Observed,
            path: self.path(None, None),
            reason: "not_followed".to_owned(),
            detail: Some(what.to_owned()),
            count: 1,
            uri: None,
        });
        self.record(payload, Vec::new(), 0, None);
    }

    fn finished(&mut self) {
        let payload = Payload::CaptureStopped(capture::Stopped {
            how: How::Observed,
            path: self.path(None, None),
            reason: "exit".to_owned(),
            status: None,
        });
        self.record(payload, Vec::new(), 0, None);
    }

    fn prompted(&mut self, turn: Option<String>, text: &str) {
        if turn.is_some() && turn == self.memory.turn {
            return; // another hook told of it
        }
        self.memory.turn = turn;
        self.memory.prompts += 1;
        self.memory.prompt = text.to_owned();
        if self.tap_told("prompt.submitted", |path| path["session"] == self.said.session.as_str())
            >= self.memory.prompts as usize
        {
            return;
        }
        let payload = Payload::PromptSubmitted(prompt::Submitted {
            how: How::Reported,
            prompt: self.prompt(),
            model: self.model(None),
            person: Fact::absent(Absent::NotOnWire),
            path: self.path(None, None),
            place: Place::default(),
            content: BTreeMap::new(),
            circumstances: Circumstances::default(),
        });
        let texts = vec![(ContentName::Prompt, text.to_owned())];
        let subject = Some(self.client.name.to_owned());
        self.record(payload, texts, text.len() as u64, subject);
    }

    /// Keeps the files of a call as they are before it.
    fn calling(&mut self, call: Call) -> std::io::Result<()> {
        let mut open = Open {
            at: self.now,
            mode: self.said.mode.clone(),
            id: call.id.clone(),
            tool: call.tool.clone(),
            input: call.input.clone(),
            files: BTreeMap::new(),
            tree: None,
            git: self.root().and_then(|(root, _)| observe::state_of(&root)),
        };
        if let Touches::Writes(files) | Touches::Anything(files) = &call.touches {
            for file in files {
                let buffer = call.buffers.iter().find(|(path, _)| path == file);
                let path = self.absolute(file);
                let content = match buffer {
                    Some((_, text)) => Content::Bytes(text.as_bytes().to_vec()),
                    None => Content::read(&path),
                };
                open.files.insert(path, content);
            }
        }
        if call.is_checkpoint {
            // Nobody need ever tell how it went on: what is there now is seen now.
            let looks = open.files.iter().filter_map(|(path, it)| observe::look(path, Kind::Before, it, self.now));
            self.done.seen.extend(looks);
        }
        if let (Touches::Anything(_), Some((root, is_repository))) = (&call.touches, self.root()) {
            open.tree = Some(Tree::scan(&root, is_repository, true, Tree::patience(&root)));
        }
        self.store.put_open(&self.store.key(&call), open)
    }

    fn asked(&mut self, call: &Call, question: Option<&str>) -> std::io::Result<()> {
        let key = self.store.key(call);
        self.store.put(&key, "asked", &json!({ "mode": self.said.mode }))?;
        match question {
            Some(question) => self.store.put(&self.question(question), "question", &json!(key)),
            None => Ok(()),
        }
    }

    /// Says whether a person was asked about a call: by its id, or as some clients do by its arguments.
    fn was_asked(&self, key: &str, open: &Open) -> bool {
        let call = Call { tool: open.tool.clone(), input: open.input.clone(), ..Call::default() };
        [key, &self.store.key_of_input(&call)].into_iter().any(|key| self.store.get(key, "asked").is_some())
    }

    fn answered(&mut self, question: &str, answer: Answer) -> std::io::Result<()> {
        let Some(Value::String(key)) = self.store.take(&self.question(question), "question") else { return Ok(()) };
        let word = match answer {
            Answer::Once => "once",
            Answer::Always => "always",
            Answer::No => "no",
        };
        self.store.put(&key, "answer", &json!(word))
    }

    fn question(&self, question: &str) -> String {
        self.store.key(&Call { id: Some(format!("question {question}")), ..Call::default() })
    }

    fn ended(&mut self, call: &Call, end: End, edits: Vec<Edit>, decision: Option<Decision>) {
        let heard = self.look_up(call);
        let mut heard = heard.unwrap_or_else(|| Heard { call: call.clone(), ..Heard::default() });
        heard.end = Some(end);
        heard.edits = edits;
        heard.decision = decision.or(heard.decision);
        // The session file has the call as the model made it; what ran may be another hook's version.
        let output = heard.call.output.take().or_else(|| call.output.clone());
        let id = heard.call.id.take().or_else(|| call.id.clone());
        let key = self.store.key(call);
        heard.request_id = heard.request_id.or_else(|| self.said.request_id.clone());
        let id = id.or_else(|| call.named_late.clone());
        heard.call = Call { id, output, ..call.clone() };
        self.finish(&key, &heard);
    }

    /// Finds a call near the end of the session files.
    fn look_up(&self, call: &Call) -> Option<Heard> {
        self.transcripts().iter().find_map(|path| {
            let mut text = lines(path, 0, CALL_BYTES_MAX).text;
            if let Some(id) = &call.id {
                text = text
                    .lines()
                    .filter(|line| line.contains(id.as_str()))
                    .fold(String::new(), |text, line| text + line + "\n");
            }
            (self.client.heard)(&text).into_iter().rev().find(|heard| match (&heard.call.id, &call.id) {
                (Some(own), Some(id)) => own == id,
                // Without an id the latest call with these arguments is meant.
                _ => heard.call.tool == call.tool && heard.call.input == call.input,
            })
        })
    }

    fn transcripts(&self) -> Vec<PathBuf> {
        let mut all = self.said.transcripts.clone();
        all.extend(self.memory.transcripts.iter().cloned());
        let mut seen = BTreeSet::new();
        all.retain(|path| seen.insert(path.clone()));
        all
    }

    /// Takes in what only the session files tell: ends without a hook, refusals, models named late.
    fn settle(&mut self, what: Settle) {
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
            for key in self.store.all_open() {
                if !self.closes(&key)
                    && let Some(open) = self.store.open(&key)
                {
                    let answer = self.store.get(&key, "answer");
                    // Who was asked and never said yes has cancelled it.
                    let asked = self.was_asked(&key, &open) && answer.is_none();
                    let refused = asked || answer == Some(json!("no"));
                    let end = if refused { End::Refused } else { End::Unknown };
                    let named = open.files.into_keys().collect();
                    let touches = Touches::Writes(named);
                    let call = Call { id: open.id, tool: open.tool, input: open.input, touches, ..Call::default() };
                    self.finish(&key, &Heard { call, end: Some(end), ..Heard::default() });
                }
            }
        }
    }

    fn settle_one(&mut self, mut heard: Heard, what: Settle) {
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
                self.finish(&open, &heard);
            }
            // No hook told of it: it failed before any could run, or they don't run here.
            None if what != Settle::Open => self.finish(&key, &heard),
            None => {}
        }
    }

    /// Adds the model to contributions that were recorded before anybody named it.
    fn name_late(&mut self, key: &str, heard: &Heard) {
        if heard.responded.is_none() {
            return;
        }
        let Some(Value::Array(unnamed)) = self.store.take(key, "unnamed") else { return };
        for item in unnamed {
            let Some(contribution) = item["contribution"].as_str() else { continue };
            let payload = Payload::ContributionEvidenced(contribution::Evidenced {
                how: How::Reported,
                contribution: contribution.to_owned(),
                act: None,
                saw: "model_named".to_owned(),
                model: Some(self.model(Some(heard))),
                prompt: None,
                output: None,
                person: None,
                path: self.path(heard.call.id.as_deref(), Some(heard)),
                place: Place { uri: item["uri"].as_str().map(str::to_owned), ..Place::default() },
                content: BTreeMap::new(),
            });
            self.record(payload, Vec::new(), 0, Some(contribution.to_owned()));
        }
    }

    /// Records a call that ended, with what it did.
    fn finish(&mut self, key: &str, heard: &Heard) {
        let call = &heard.call;
        let end = heard.end.unwrap_or(End::Unknown);
        let mark = if call.id.is_some() { Mark::Done } else { Mark::DoneNameless };
        let name = self.store.key(call);
        if mark == Mark::Done && self.marks.count(Mark::Done, &name) > 0 {
            self.done.notes.push(Note::Close(key.to_owned()));
            return;
        }
        let open = self.store.open(key);
        let ran = matches!(end, End::Done | End::Failed);
        let changes = if ran { self.changes(call, open.as_ref(), &heard.edits) } else { Vec::new() };
        let may_write = matches!(call.touches, Touches::Writes(_) | Touches::Anything(_));
        let mark_it = !call.is_checkpoint; // of checkpoints any number look alike
        let blind = may_write && open.is_none() && heard.edits.is_empty();
        let mut unnamed = Vec::new();
        for change in &changes {
            unnamed.push(self.edited(call, heard, change, open.as_ref()));
        }
        let outcome = match end {
            _ if !changes.is_empty() => Outcome::Applied,
            // It may have changed a file, and nobody saw what was there before.
            End::Done if blind => Outcome::Unknown,
            End::Done => Outcome::Ran,
            End::Failed => Outcome::Failed,
            End::Refused => Outcome::Rejected,
            End::Denied | End::NotAllowed => Outcome::Denied,
            End::Unknown => Outcome::Unknown,
        };
        let decision =
            heard.decision.clone().or_else(|| self.decision(key, call, end, open.as_ref(), !changes.is_empty()));
        if !call.is_checkpoint && !self.others_told(call) {
            self.called(call, heard, outcome, decision);
        }
        self.done.notes.push(Note::Close(key.to_owned()));
        if mark_it {
            self.note_mark(mark, name.clone());
        }
        if heard.responded.is_none() && !unnamed.is_empty() {
            self.done.notes.push(Note::Unnamed(name, Value::Array(unnamed)));
        }
    }

    fn note_mark(&mut self, mark: Mark, key: String) {
        self.marks.add(mark, &key);
        self.done.notes.push(Note::Mark(mark, key));
    }

    fn closes(&self, key: &str) -> bool {
        self.done.notes.iter().any(|note| matches!(note, Note::Close(closed) if closed == key))
    }

    /// Says what somebody decided, where a question or a standing permission was seen.
    fn decision(&mut self, key: &str, call: &Call, end: End, open: Option<&Open>, changed: bool) -> Option<Decision> {
        let by_input = self.store.key_of_input(call);
        let take = |kind| self.store.take(key, kind).or_else(|| self.store.take(&by_input, kind));
        let (asked, answer) = (take("asked"), take("answer"));
        let decided = |by, scope| Some(Decision { by, scope });
        match (end, answer.as_ref().and_then(Value::as_str)) {
            (End::Refused, _) | (_, Some("no")) => return decided(DecidedBy::Person, DecisionScope::Once),
            (_, Some("always")) => return decided(DecidedBy::Person, DecisionScope::Always),
            (_, Some(_)) => return decided(DecidedBy::Person, DecisionScope::Once),
            (End::Denied, _) => return decided(DecidedBy::Policy, DecisionScope::Once),
            (End::NotAllowed | End::Unknown, _) => return None,
            (End::Done | End::Failed, None) => {}
        }
        let is_open = |mode: Option<&str>| mode == Some("acceptEdits");
        let now_open = is_open(self.said.mode.as_deref());
        if asked.is_some() {
            self.memory.allowed = true;
            let session = now_open && !is_open(open.and_then(|open| open.mode.as_deref()));
            return decided(DecidedBy::Person, if session { DecisionScope::Session } else { DecisionScope::Once });
        }
        // Nobody was asked, because a person said so earlier: the session did not begin like this.
        let granted = self.memory.allowed && now_open && !is_open(self.memory.first_mode.as_deref());
        let needs_it = matches!(call.touches, Touches::Writes(_)) || changed;
        (granted && needs_it).then_some(Decision { by: DecidedBy::Grant, scope: DecisionScope::Session })
    }

    /// Compares files with what they were before the call.
    fn changes(&mut self, call: &Call, open: Option<&Open>, told: &[Edit]) -> Vec<Change> {
        let mut changes: BTreeMap<PathBuf, Change> = BTreeMap::new();
        let mut add = |change: Change| {
            if change.before != change.after {
                changes.insert(change.path.clone(), change);
            }
        };
        let told: BTreeMap<PathBuf, &Edit> = told.iter().map(|edit| (self.absolute(&edit.path), edit)).collect();
        let mut was = open.map(|open| open.files.clone()).unwrap_or_default();
        let mut paths: Vec<PathBuf> = was.keys().chain(told.keys()).cloned().collect();
        if let Touches::Writes(files) = &call.touches {
            paths.extend(files.iter().map(|file| self.absolute(file)));
        }
        paths.sort();
        paths.dedup();
        if let Some(tree) = open.and_then(|open| open.tree.as_ref()) {
            // Named only afterwards, and looked at before.
            let named = paths.iter().filter(|path| !was.contains_key(*path));
            let inside = named.filter_map(|path| Some(path.strip_prefix(&tree.root).ok()?.to_str()?.to_owned()));
            let texts = tree.texts(&inside.collect::<Vec<_>>(), Tree::patience(&tree.root));
            was.extend(texts.into_iter().map(|(path, content)| (tree.root.join(path), content)));
        }
        for path in &paths {
            if let Some(change) = compare(path, was.get(path), told.get(path).copied()) {
                add(change);
            }
        }
        if let Some(before) = open.and_then(|open| open.tree.as_ref()) {
            let is_repository = before.root.join(".git").exists();
            let patience = Tree::patience(&before.root);
            let after = Tree::scan(&before.root, is_repository, false, patience);
            let cut = before.cut || after.cut;
            if cut {
                self.gap("work_tree_cut_short");
            }
            // A listing that failed on one side says nothing about what is only on the other.
            let changed = if cut && (before.files.is_empty() || after.files.is_empty()) {
                Vec::new()
            } else {
                before.changed(&after)
            };
            let texts = before.texts(&changed, patience);
            let of_others = self.files_of_others(call);
            for (path, before_text) in texts {
                let path = before.root.join(path);
                if paths.contains(&path) || of_others.contains(&path) {
                    continue;
                }
                let after = Content::read(&path);
                let since = open.map_or(self.now, |open| open.at);
                // Another call of this session, at work meanwhile, left it so.
                if self.store.was_left_so(since, &path, after.blob(self.sha256).as_deref()) {
                    continue;
                }
                add(Change { path, before: before_text, after, how: How::Observed });
            }
        }
        changes.into_values().collect()
    }

    /// Returns the files that other calls under way have said they write: what changes in them is theirs.
    fn files_of_others(&self, call: &Call) -> BTreeSet<PathBuf> {
        let own = [self.store.key(call), self.store.key_of_input(call)];
        let others = self.store.all_open().into_iter().filter(|key| !own.contains(key) && !self.closes(key));
        let open = others.filter_map(|key| self.store.open(&key)).filter(|open| open.tree.is_none());
        open.flat_map(|open| open.files.into_keys()).collect()
    }

    /// Records what a call did to a file. Returns how to find the contribution again.
    fn edited(&mut self, call: &Call, heard: &Heard, change: &Change, open: Option<&Open>) -> Value {
        let path = change.path.to_string_lossy();
        let session = &self.said.session;
        let id = match &call.id {
            Some(call) => identity::contribution_of_edit(self.client.name, session, call, &path),
            None => {
                let text = change.after.text().unwrap_or_default();
                identity::contribution_of_text(self.client.name, session, &path, &digest::text_id(text.as_bytes()))
            }
        }
        .to_string();
        let uri = uri_of(&change.path);
        let place = Place { uri: uri.clone(), ..Place::default() };
        let (before, after) = (&change.before, &change.after);
        self.done.notes.push(Note::Edit(change.path.clone(), after.blob(self.sha256)));
        if self.is_in_trail(&id) {
            let payload = Payload::ContributionEvidenced(contribution::Evidenced {
                how: change.how,
                contribution: id.clone(),
                act: None,
                saw: "edit_applied".to_owned(),
                model: Some(self.model(Some(heard))),
                prompt: Some(self.prompt()),
                output: Some(output_of(call)),
                person: None,
                path: self.path(call.id.as_deref(), Some(heard)),
                place,
                content: BTreeMap::new(),
            });
            self.record(payload, Vec::new(), 0, Some(id.clone()));
            return json!({ "contribution": id, "uri": uri });
        }
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
        if !self.memory.prompt.is_empty() {
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
        json!({ "contribution": id, "uri": uri })
    }

    fn called(&mut self, call: &Call, heard: &Heard, outcome: Outcome, decision: Option<Decision>) {
        let named: Vec<PathBuf> = call.touches.named().iter().map(|file| self.absolute(file)).collect();
        let file = match &call.touches {
            Touches::Reads(_) | Touches::Writes(_) => named.first(),
            _ => None,
        };
        let mut circumstances = Circumstances::default();
        if let (Touches::Reads(_), Outcome::Ran) = (&call.touches, outcome) {
            let root = self.root();
            circumstances.context = named
                .iter()
                .filter_map(|path| {
                    let Content::Bytes(bytes) = Content::read(path) else { return None };
                    let inside = root.as_ref().and_then(|(root, _)| path.strip_prefix(root).ok());
                    let path =
                        inside.map_or_else(|| uri_of(path), |inside| Some(inside.to_string_lossy().into_owned()));
                    Some(ContextItem { path: path?, digest: Some(digest::text_id(&bytes)), sensitivity: None })
                })
                .collect();
        }
        let payload = Payload::ToolCalled(Called {
            how: How::Reported,
            tool_name: call.tool.clone(),
            outcome,
            decision,
            model: self.model(Some(heard)),
            person: Fact::absent(Absent::NotOnWire),
            path: self.path(call.id.as_deref(), Some(heard)),
            place: Place { uri: file.and_then(|path| uri_of(path)), ..Place::default() },
            content: BTreeMap::new(),
            circumstances,
        });
        let arguments = call.input.to_string();
        let bytes = arguments.len() as u64;
        let texts = if call.input.is_null() { Vec::new() } else { vec![(ContentName::Arguments, arguments)] };
        self.record(payload, texts, bytes, Some(call.tool.clone()));
    }

    fn is_in_trail(&self, contribution: &str) -> bool {
        let known = self.trail.and_then(|trail| trail.by_subject(contribution).ok()).unwrap_or_default();
        known.iter().any(|stored| {
            stored.bytes.header().is_ok_and(|header| header.event_type == "dev.countersign.edit.applied.v1")
        })
    }

    /// Says whether a tap around the same agent, which sees its answers too, has recorded the call.
    fn others_told(&self, call: &Call) -> bool {
        let Some(id) = &call.id else { return false };
        self.tap_told("tool.called", |path| path["tool_call_id"] == id.as_str()) > 0
    }

    /// Counts what a tap has recorded lately, by type and path.
    fn tap_told(&self, name: &str, is_it: impl Fn(&Value) -> bool) -> usize {
        let Some(trail) = self.trail else { return 0 };
        let after = trail.last_rowid().map_or(0, |last| last - OTHERS_LOOKED_AT);
        let told = trail.by_type(&format!("dev.countersign.{name}.v1"), after).unwrap_or_default();
        let by_tap = told.iter().filter(|stored| {
            let data = stored.bytes.header().ok().and_then(|header| serde_json::from_str::<Value>(header.data).ok());
            data.is_some_and(|data| data["path"]["transport"] == "tap" && is_it(&data["path"]))
        });
        by_tap.count()
    }

    fn gap(&mut self, reason: &str) {
        let gap = trail::Gap {
            how: How::Observed,
            reason: reason.to_owned(),
            count: None,
            from: None,
            to: Some(self.now),
            by: Some(format!("hook:{}", self.client.name)),
        };
        self.record(Payload::TrailGap(gap), Vec::new(), 0, None);
    }

    fn record(
        &mut self,
        payload: Payload,
        texts: Vec<(ContentName, String)>,
        output_bytes: u64,
        subject: Option<String>,
    ) {
        self.done.records.push(Record { at: self.now, subject, payload, texts, output_bytes });
    }

    fn path(&self, call: Option<&str>, heard: Option<&Heard>) -> Fact<IntegrationPath> {
        let kind = if self.said.is_ide { PathKind::Ide } else { PathKind::Agent };
        let mut path = IntegrationPath::new(kind, Transport::Hook);
        path.tool = Some(self.said.tool.clone().unwrap_or_else(|| self.client.name.to_owned()));
        path.version = heard.and_then(|heard| heard.version.clone()).or_else(|| self.memory.version.clone());
        path.session = Some(self.said.session.clone());
        path.tool_call_id = call.map(str::to_owned);
        path.request_id = heard.and_then(|heard| heard.request_id.clone());
        Fact::reported(path)
    }

    fn model(&self, heard: Option<&Heard>) -> Fact<Model> {
        let model = Model {
            requested: heard.and_then(|heard| heard.requested.clone()).or_else(|| self.memory.model.clone()),
            responded: heard.and_then(|heard| heard.responded.clone()),
            ..Model::default()
        };
        match (&model.requested, &model.responded) {
            (None, None) => Fact::absent(Absent::NotOnWire),
            (Some(_), Some(_)) => Fact::reported(model),
            _ => Fact::reported(model).without(Absent::NotOnWire),
        }
    }

    fn prompt(&self) -> Fact<Prompt> {
        match self.memory.prompts {
            0 => Fact::absent(Absent::NotOnWire),
            turns => Fact::reported(Prompt { turns: Some(turns), ..Prompt::default() }),
        }
    }

    fn absolute(&self, path: &Path) -> PathBuf {
        let path = match &self.said.cwd {
            Some(cwd) => cwd.join(path),
            None => path.to_owned(),
        };
        // `a/./b` and `a/../b` name a file under another name; links are left alone.
        let mut plain = PathBuf::new();
        for part in path.components() {
            match part {
                std::path::Component::CurDir => {}
                std::path::Component::ParentDir => {
                    plain.pop();
                }
                part => plain.push(part),
            }
        }
        plain
    }

    /// Returns the repository's root, else the directory itself.
    fn root(&self) -> Option<(PathBuf, bool)> {
        let cwd = self.said.cwd.as_deref()?;
        Some(git::root_of(cwd).map_or_else(|| (cwd.to_owned(), false), |root| (root, true)))
    }
}

/// Which calls of a session file are taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settle {
    /// Those under way.
    Open,
    /// And those that no hook told of.
    Turn,
    /// And those whose end nobody will tell any more.
    Session,
}

/// What became of a file, from what we saw and what the client told.
fn compare(path: &Path, was: Option<&Content>, told: Option<&Edit>) -> Option<Change> {
    let disk = Content::read(path);
    let from_told = |text: &Option<String>| match text {
        Some(text) => Content::told(text, &disk),
        None => Content::Absent,
    };
    let said = |side: Option<&Option<String>>| side.map(from_told);
    let (told_before, told_after) =
        (said(told.and_then(|told| told.before.as_ref())), said(told.and_then(|told| told.after.as_ref())));
    let change = |before, after, how| Some(Change { path: path.to_owned(), before, after, how });
    if let (Some(told), Some(Some(text))) = (told, told.map(|told| told.after.as_ref().and_then(Option::as_ref)))
        && told.in_buffer
    {
        let before = was.cloned().or(told_before).unwrap_or(Content::Unread);
        return change(before, Content::Bytes(text.as_bytes().to_vec()), How::Reported);
    }
    match (was, told_before, told_after) {
        (Some(was), Some(before), _) if *was == disk && !same(was, &before) => {
            // Our look before came too late: the file was changed already.
            change(before, disk, How::Reported)
        }
        (Some(was), _, Some(after)) if *was == disk && !same(was, &after) => {
            // The client says that it wrote, and the disk does not have it (yet).
            change(was.clone(), after, How::Reported)
        }
        (Some(was), _, _) => change(was.clone(), disk, How::Observed),
        (None, Some(before), Some(after)) => change(before, after, How::Reported),
        (None, Some(before), None) => change(before, disk, How::Reported),
        (None, None, Some(after)) => change(Content::Unread, after, How::Reported),
        // Nobody saw what was there before; only the client can say that something changed.
        (None, None, None) if told.is_some() => change(Content::Unread, disk, How::Reported),
        (None, None, None) => None,
    }
}

fn same(a: &Content, b: &Content) -> bool {
    a == b || b.text().is_some_and(|text| a.says(text))
}

fn output_of(call: &Call) -> Fact<Output> {
    match &call.output {
        Some(text) => Fact::reported(Output::of(text)),
        None => Fact::absent(Absent::NotOnWire),
    }
}

fn uri_of(path: &Path) -> Option<String> {
    Uri::from_file_path(path).map(|uri| uri.to_string())
}
