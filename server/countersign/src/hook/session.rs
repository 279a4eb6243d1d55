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
use countersign_spool::Reader;
use serde_json::{Value, json};
use tower_lsp::ls_types::Uri;

use super::compare::{Change, Sight};
use super::decode::{Answer, Call, Client, Edit, End, Heard, Said, Step, Touches};
use super::planned::{forward, is_nowhere};
use super::store::{Mark, Marks, Memory, Open, Store};
use super::text::{Content, changed};
use super::transcript::{CALL_BYTES_MAX, TURN_BYTES_MAX, lines};
use super::tree::Tree;
use crate::git;
use crate::recorder::Record;

/// More changed places than this are told as one, from the first to the last.
const HUNKS_MAX: usize = 200;

/// So often the same text may come back to the same file.
const AGAIN_MAX: usize = 100;

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

impl Session<'_> {
    /// Does what follows from one step.
    pub(super) fn step(&mut self, step: Step) -> std::io::Result<()> {
        match step {
            Step::Began => self.began(),
            Step::Prompted { turn, text, opens } => self.prompted(turn, &text, opens),
            Step::Calling(call) => self.calling(call)?,
            Step::Asked { call, question } => self.asked(&call, question.as_deref())?,
            Step::Answered { question, answer } => self.answered(&question, answer)?,
            Step::Ended { call, end, edits, decision } => self.ended(&call, end, edits, decision),
            Step::NotFollowed(what) => self.not_followed(what),
            Step::Stopped => self.leave(|_, _, _| (End::Interrupted, false)),
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

    fn prompted(&mut self, turn: Option<String>, text: &str, opens: bool) {
        let is_opening = self.memory.opening.take().as_deref() == Some(text);
        if (turn.is_some() && turn == self.memory.turn) || is_opening {
            return; // another hook told of it
        }
        self.memory.opening = opens.then(|| text.to_owned());
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
        let key = self.store.key(&call);
        let twin = self.twin(&call);
        if call.id.is_some() {
            // Told again, or told after its end: the files are no longer what they were.
            if self.marks.count(Mark::Done, &key) > 0 || self.store.open(&key).is_some() {
                return Ok(());
            }
            if let Some((other, _)) = twin.filter(|(_, open)| open.id.is_none()) {
                self.store.close(&other);
            }
        } else if call.is_echo && twin.is_some() {
            return Ok(());
        } else if !call.is_checkpoint {
            self.store.mark(Mark::Begun, &key)?;
        }
        let mut open = Open {
            at: self.now,
            mode: self.said.mode.clone(),
            id: call.id.clone(),
            tool: call.tool.clone(),
            input: call.input.clone(),
            files: BTreeMap::new(),
            tree: None,
            fits: None,
            echo: call.echo.clone(),
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
        if let (Touches::Anything(_), Some((root, is_repository))) = (&call.touches, self.root()) {
            open.tree = Some(Tree::scan(&root, is_repository, true, Tree::patience(&root)));
        }
        open.fits = self.fits(&call, &open);
        self.store.put_open(&key, open)
    }

    /// Says whether a call can do what its arguments say, as far as they determine it.
    fn fits(&self, call: &Call, open: &Open) -> Option<bool> {
        let fits = |edit: &Edit| {
            let path = self.absolute(edit.moved_from.as_ref().unwrap_or(&edit.path));
            match (&edit.after, open.files.get(&path)?) {
                (Some(_), _) => Some(true),
                (None, Content::Absent) => None,
                (None, content) => {
                    let text = content.text().filter(|_| !edit.swaps.is_empty())?;
                    let lost = || edit.swaps.first().is_some_and(|swap| is_nowhere(text, &swap.old));
                    forward(text, &edit.swaps).map(|after| after != text).or_else(|| lost().then_some(false))
                }
            }
        };
        let all: Vec<Option<bool>> = call.plan.iter().map(fits).collect();
        match all.as_slice() {
            [] => None,
            all if all.contains(&Some(false)) => Some(false),
            all => all.iter().all(Option::is_some).then_some(true),
        }
    }

    /// Finds the call under way that another hook of the client tells of too.
    fn twin(&self, call: &Call) -> Option<(String, Open)> {
        let echo = call.echo.as_ref()?;
        let open = self.store.all_open().into_iter().filter_map(|key| Some((key.clone(), self.store.open(&key)?)));
        open.into_iter().find(|(_, open)| open.echo.as_ref() == Some(echo) && open.id.is_some() == call.is_echo)
    }

    /// Names what the hooks of one call have in common.
    fn key_of_echo(&self, echo: &str) -> String {
        self.store.key(&Call { id: Some(format!("echo {echo}")), ..Call::default() })
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
        if self.is_told_again(call) {
            return;
        }
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
        self.finish(&key, &heard, false);
        if let (Some(_), Some(echo), false) = (&call.id, &call.echo, call.is_echo) {
            self.note_mark(Mark::Echoed, self.key_of_echo(echo));
        }
    }

    /// Says whether the end of a call without an id was told before, by the same hook or by another.
    fn is_told_again(&self, call: &Call) -> bool {
        let key = self.store.key(call);
        if call.id.is_some() || call.is_checkpoint || self.store.open(&key).is_some() {
            return false;
        }
        if call.is_echo {
            let echoed = |echo: &String| self.marks.count(Mark::Echoed, &self.key_of_echo(echo)) > 0;
            return self.twin(call).is_some() || call.echo.as_ref().is_some_and(echoed);
        }
        let begun = self.marks.count(Mark::Begun, &key);
        begun > 0 && self.marks.count(Mark::DoneNameless, &key) >= begun
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
    fn leave(&mut self, end: impl Fn(&Self, &str, &Open) -> (End, bool)) {
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
                self.finish(&open, &heard, true);
            }
            // No hook told of it: it failed before any could run, or they don't run here.
            None if what != Settle::Open => self.finish(&key, &heard, true),
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

    /// Records a call that ended, with what it did. `is_late`: it ended some time ago.
    fn finish(&mut self, key: &str, heard: &Heard, is_late: bool) {
        let call = &heard.call;
        let mark = if call.id.is_some() { Mark::Done } else { Mark::DoneNameless };
        let name = self.store.key(call);
        if mark == Mark::Done && self.marks.count(Mark::Done, &name) > 0 {
            self.done.notes.push(Note::Close(key.to_owned()));
            return;
        }
        let open = self.store.open(key);
        let (end, is_inferred) = match heard.end.unwrap_or(End::Unknown) {
            // What could be done and was not, something stopped.
            End::FailedOrDenied => {
                match open.as_ref().is_some_and(|open| open.fits == Some(true) && open.is_as_it_was()) {
                    true => (End::Denied, true),
                    false => (End::Failed, heard.is_inferred),
                }
            }
            end => (end, heard.is_inferred),
        };
        let ran = matches!(end, End::Done | End::Failed | End::Interrupted) && !is_inferred;
        let changes = if ran { self.changes(call, open.as_ref(), &heard.edits, is_late) } else { Vec::new() };
        let may_write = matches!(call.touches, Touches::Writes(_) | Touches::Anything(_));
        let mark_it = !call.is_checkpoint; // of checkpoints any number look alike
        let blind = may_write && open.is_none() && heard.edits.is_empty();
        let mut unnamed = Vec::new();
        for change in &changes {
            unnamed.push(self.edited(call, heard, change, open.is_some()));
        }
        let outcome = match end {
            _ if !changes.is_empty() => Outcome::Applied,
            // It may have changed a file, and nobody saw what was there before.
            End::Done if blind => Outcome::Unknown,
            End::Done => Outcome::Ran,
            End::Failed | End::FailedOrDenied => Outcome::Failed,
            End::Refused | End::Interrupted => Outcome::Rejected,
            End::Denied | End::NotAllowed => Outcome::Denied,
            End::Unknown => Outcome::Unknown,
        };
        let decided = |this: &mut Self| this.decision(key, call, end, open.as_ref(), !changes.is_empty());
        // Who stopped it is not known where that it was stopped is only concluded.
        let decision = heard.decision.clone().or_else(|| if is_inferred { None } else { decided(self) });
        if !call.is_checkpoint && !self.others_told(call) {
            let how = if is_inferred { How::Inferred } else { How::Reported };
            self.called(call, heard, outcome, decision, how);
        }
        self.done.notes.push(Note::Close(key.to_owned()));
        if mark_it {
            self.note_mark(mark, name.clone());
        }
        // Its hooks know it by its arguments alone, its session file by an id.
        if mark == Mark::Done && key == self.store.key_of_input(call) {
            self.note_mark(Mark::DoneNameless, key.to_owned());
            self.note_mark(Mark::Matched, key.to_owned());
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
            (End::Refused | End::Interrupted, _) | (_, Some("no")) => {
                return decided(DecidedBy::Person, DecisionScope::Once);
            }
            (_, Some("always")) => return decided(DecidedBy::Person, DecisionScope::Always),
            (_, Some(_)) => return decided(DecidedBy::Person, DecisionScope::Once),
            (End::Denied, _) => return decided(DecidedBy::Policy, DecisionScope::Once),
            (End::NotAllowed | End::Unknown, _) => return None,
            (End::Done | End::Failed | End::FailedOrDenied, None) => {}
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
    fn changes(&mut self, call: &Call, open: Option<&Open>, told: &[Edit], is_late: bool) -> Vec<Change> {
        let mut changes: BTreeMap<PathBuf, Change> = BTreeMap::new();
        let mut add = |change: Change| {
            let is_unread = change.before == Content::Unread && change.how == How::Reported;
            if change.before != change.after || is_unread {
                changes.insert(change.path.clone(), change);
            }
        };
        let others = self.others_under_way(call);
        let neighbours = self.store.neighbours();
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
        let since = open.map_or(self.now, |open| open.at);
        let own = self.store;
        let stores = || std::iter::once(own).chain(&neighbours);
        for path in &paths {
            let planned = call.plan.iter().find(|edit| self.absolute(&edit.path) == *path);
            let edit = told.get(path).copied().or(planned);
            let moved = edit.and_then(|edit| edit.moved_from.as_ref()).and_then(|from| was.get(&self.absolute(from)));
            let naming = others.iter().filter(|other| other.at >= since && other.files.contains_key(path));
            let next = naming.min_by_key(|other| other.at).and_then(|other| other.files.get(path).cloned());
            let left_since = match open {
                Some(_) => stores().flat_map(|store| store.edits_since(since, path)).collect(),
                None => Vec::new(),
            };
            let (was, told) = (was.get(path), told.get(path).copied());
            let sight = Sight { was, told, planned, moved, is_late, left_since, next, sha256: self.sha256 };
            if let Some(change) = sight.change(path) {
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
            let of_others: BTreeSet<&PathBuf> =
                others.iter().filter(|other| other.tree.is_none()).flat_map(|other| other.files.keys()).collect();
            for (path, before_text) in texts {
                let path = before.root.join(path);
                if paths.contains(&path) || of_others.contains(&path) {
                    continue;
                }
                let after = Content::read(&path);
                // Another call, at work meanwhile, left it so.
                let blob = after.blob(self.sha256);
                if stores().any(|store| store.was_left_so(since, &path, blob.as_deref())) {
                    continue;
                }
                add(Change { path, before: before_text, after, how: How::Observed });
            }
        }
        changes.into_values().collect()
    }

    /// Returns the other calls that are under way, of this session and of others.
    fn others_under_way(&self, call: &Call) -> Vec<Open> {
        let own = [self.store.key(call), self.store.key_of_input(call)];
        let others = self.store.all_open().into_iter().filter(|key| !own.contains(key) && !self.closes(key));
        let mut all: Vec<Open> = others.filter_map(|key| self.store.open(&key)).collect();
        all.extend(self.store.neighbours().iter().flat_map(Store::calls_under_way));
        all
    }

    /// Records what a call did to a file. Returns how to find the contribution again.
    fn edited(&mut self, call: &Call, heard: &Heard, change: &Change, saw_before: bool) -> Value {
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
                match saw_before && self.recorded_by(&first, Transport::Hook) {
                    true => ids.find(|id| !self.recorded_by(id, Transport::Hook)).unwrap_or(first),
                    false => first,
                }
            }
        };
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
        json!({ "contribution": id, "uri": uri })
    }

    fn called(&mut self, call: &Call, heard: &Heard, outcome: Outcome, decision: Option<Decision>, how: How) {
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
            how,
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

    fn recorded_by(&self, contribution: &str, transport: Transport) -> bool {
        let known = self.trail.and_then(|trail| trail.by_subject(contribution).ok()).unwrap_or_default();
        known.iter().any(|stored| {
            let Ok(header) = stored.bytes.header() else { return false };
            let data: Value = serde_json::from_str(header.data).unwrap_or_default();
            header.event_type == "dev.countersign.edit.applied.v1"
                && serde_json::to_value(transport).is_ok_and(|name| data["path"]["transport"] == name)
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
        path.session = Some(self.said.session.clone()).filter(|_| !self.said.is_unnamed);
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
            // What a person takes in the editor follows from no prompt.
            _ if self.said.is_ide => Fact::absent(Absent::NotOnWire),
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

fn output_of(call: &Call) -> Fact<Output> {
    match &call.output {
        Some(text) => Fact::reported(Output::of(text)),
        None => Fact::absent(Absent::NotOnWire),
    }
}

fn uri_of(path: &Path) -> Option<String> {
    Uri::from_file_path(path).map(|uri| uri.to_string())
}
