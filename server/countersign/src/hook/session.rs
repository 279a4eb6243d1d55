//! From what hooks say to records: what a call found, what it left, what became of it.
//!
//! Every process sees one moment; what lies between two moments is in the [`Store`]. Nothing here is
//! believed of an agent that the disk can say: texts are read before and after a call.

mod calls;
mod changes;
mod decision;
mod given;
mod others;
mod settle;
mod tell;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use countersign_event::content::ContentName;
use countersign_event::facts::{IntegrationPath, Model, Output, PathKind, Place, Prompt, Transport};
use countersign_event::payload::{Circumstances, capture, model, prompt, trail};
use countersign_event::{Absent, Fact, How, Payload, Timestamp};
use countersign_spool::{Kind, Reader, Snapshot};
use serde_json::Value;

use super::decode::{Client, End, Heard, Said, Step};
use super::observe;
use super::store::{Mark, Marks, Memory, Store};
use super::text::Content;
use crate::bounded::Deadline;
use crate::git;
use crate::recorder::Record;
use settle::Settle;

/// So many links are followed from one to the next.
const LINKS_MAX: usize = 8;

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
    /// Until when git may work for this call.
    pub(super) deadline: Deadline,
    pub(super) marks: Marks,
    pub(super) done: Work,
}

/// What is to be written, and what is to be noted once it is.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) records: Vec<Record>,
    pub(super) seen: Vec<Snapshot>,
    pub(super) notes: Vec<Note>,
    /// A look at the work tree found that it differs from its base.
    pub(super) is_dirty: bool,
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
            Step::Prompted { turn, text, opens, given } => self.prompted(turn, &text, opens, &given),
            Step::Replied(text) => self.replied(text),
            Step::Calling(call) => self.calling(call)?,
            Step::Asked { call, question } => self.asked(&call, question.as_deref())?,
            Step::Answered { question, answer } => self.answered(&question, answer)?,
            Step::Ended { call, end, edits, decision, returned } => {
                self.ended(&call, Heard { end: Some(end), edits, decision, returned, ..Heard::default() });
            }
            Step::Typed { files, buffers } => self.typed(&files, &buffers),
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

    fn finished(&mut self) {
        let payload = Payload::CaptureStopped(capture::Stopped {
            how: How::Observed,
            path: self.path(None, None),
            reason: "exit".to_owned(),
            status: None,
        });
        self.record(payload, Vec::new(), 0, None);
    }

    fn prompted(&mut self, turn: Option<String>, text: &str, opens: bool, given: &[String]) {
        let is_opening = self.memory.opening.take().as_deref() == Some(text);
        if (turn.is_some() && turn == self.memory.turn) || is_opening {
            return; // another hook told of it
        }
        self.memory.opening = opens.then(|| text.to_owned());
        self.memory.turn = turn;
        self.memory.prompts += 1;
        self.memory.prompt = text.to_owned();
        self.memory.thought.clear();
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
            circumstances: Circumstances {
                context: given.iter().map(|name| self.item(name, None)).collect(),
                ..Circumstances::default()
            },
        });
        let texts = vec![(ContentName::Prompt, text.to_owned())];
        let subject = Some(self.client.name.to_owned());
        self.record(payload, texts, text.len() as u64, subject);
    }

    /// Records what a turn ended with. The model's words between its calls are in the session file alone.
    fn replied(&mut self, text: String) {
        let payload = Payload::ModelResponded(model::Responded {
            how: How::Reported,
            model: self.model(None),
            prompt: self.prompt(),
            output: Fact::reported(Output::of(&text)),
            person: Fact::absent(Absent::NotOnWire),
            path: self.path(None, None),
            finish: None,
            content: BTreeMap::new(),
            circumstances: Circumstances::default(),
        });
        let (bytes, subject) = (text.len() as u64, Some(self.client.name.to_owned()));
        self.record(payload, vec![(ContentName::Output, text)], bytes, subject);
    }

    fn transcripts(&self) -> Vec<PathBuf> {
        let mut all = self.said.transcripts.clone();
        all.extend(self.memory.transcripts.iter().cloned());
        let mut seen = BTreeSet::new();
        all.retain(|path| seen.insert(path.clone()));
        all
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

    /// Returns the file that a path names: who writes to a link to a file writes that file.
    fn absolute(&self, path: &Path) -> PathBuf {
        let named = self.named(path);
        let mut file = named.clone();
        for _ in 0..LINKS_MAX {
            let Ok(target) = std::fs::read_link(&file) else { break };
            file = plain(&file.parent().unwrap_or(Path::new("")).join(target));
        }
        if file == named || file.symlink_metadata().is_ok_and(|it| it.is_file()) { file } else { named }
    }

    /// As [`Session::absolute`], but a link is what it is itself: a call may put a file in its place.
    fn named(&self, path: &Path) -> PathBuf {
        match &self.said.cwd {
            Some(cwd) => plain(&cwd.join(path)),
            None => plain(path),
        }
    }

    /// Returns the repository's root, else the directory itself.
    fn root(&self) -> Option<(PathBuf, bool)> {
        let cwd = self.said.cwd.as_deref()?;
        Some(git::root_of(cwd).map_or_else(|| (cwd.to_owned(), false), |root| (root, true)))
    }
}

/// `a/./b` and `a/../b` name a file under another name; links to directories are left alone.
fn plain(path: &Path) -> PathBuf {
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
