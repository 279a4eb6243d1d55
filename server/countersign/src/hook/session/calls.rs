//! A call from its beginning to its end: what it found is kept, questions about it are noted, and its end
//! becomes records.

use std::collections::BTreeMap;

use countersign_event::How;
use countersign_event::payload::tool::Outcome;
use countersign_spool::Kind;
use serde_json::{Value, json};

use super::{Note, Session};
use crate::hook::decode::{Answer, Call, Edit, End, Heard, Reasoning, Returned, Touches};
use crate::hook::observe;
use crate::hook::planned::{forward, is_nowhere};
use crate::hook::store::{Mark, Open};
use crate::hook::text::Content;
use crate::hook::transcript::{CALL_BYTES_MAX, lines};
use crate::hook::tree::Tree;

/// Lines of session files with one of these may hold what the model thought before a call.
const THOUGHTS: &[&str] = &["\"thinking\"", "\"redacted_thinking\"", "\"reasoning\""];

impl Session<'_> {
    /// Keeps the files of a call as they are before it.
    pub(super) fn calling(&mut self, call: Call) -> std::io::Result<()> {
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
                let named = self.named(file);
                if named != path {
                    open.files.insert(named.clone(), Content::read(&named));
                }
                open.files.insert(path, content);
            }
        }
        if call.is_checkpoint {
            // Nobody need ever tell how it went on: what is there now is seen now.
            let looks = open.files.iter().filter_map(|(path, it)| observe::look(path, Kind::Before, it, self.now));
            self.done.seen.extend(looks);
        }
        if let (Touches::Anything(_), Some((root, is_repository))) = (&call.touches, self.root()) {
            open.tree = Some(Tree::scan(&root, is_repository, true, self.deadline));
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

    pub(super) fn asked(&mut self, call: &Call, question: Option<&str>) -> std::io::Result<()> {
        let key = self.store.key(call);
        self.store.put(&key, "asked", &json!({ "mode": self.said.mode }))?;
        match question {
            Some(question) => self.store.put(&self.question(question), "question", &json!(key)),
            None => Ok(()),
        }
    }

    /// Says whether a person was asked about a call: by its id, or as some clients do by its arguments.
    pub(super) fn was_asked(&self, key: &str, open: &Open) -> bool {
        let call = Call { tool: open.tool.clone(), input: open.input.clone(), ..Call::default() };
        [key, &self.store.key_of_input(&call)].into_iter().any(|key| self.store.get(key, "asked").is_some())
    }

    pub(super) fn answered(&mut self, question: &str, answer: Answer) -> std::io::Result<()> {
        let Some(Value::String(key)) = self.store.take(&self.question(question), "question") else { return Ok(()) };
        let word = match answer {
            Answer::Once => "once",
            Answer::Always => "always",
            Answer::No => "no",
        };
        self.store.put(&key, "answer", &json!(word))
    }

    pub(super) fn question(&self, question: &str) -> String {
        self.store.key(&Call { id: Some(format!("question {question}")), ..Call::default() })
    }

    /// Takes what a hook told of a call's end, and what the session file has of it besides.
    pub(super) fn ended(&mut self, call: &Call, told: Heard) {
        if self.is_told_again(call) {
            return;
        }
        let heard = self.look_up(call).unwrap_or_else(|| Heard { call: call.clone(), ..Heard::default() });
        let mut heard = Heard {
            end: told.end,
            edits: told.edits,
            decision: told.decision.or(heard.decision),
            returned: Returned {
                text: told.returned.text.or(heard.returned.text),
                exit_status: told.returned.exit_status.or(heard.returned.exit_status),
                given: if told.returned.given.is_empty() { heard.returned.given } else { told.returned.given },
            },
            ..heard
        };
        if heard.reasoning == Reasoning::Untold {
            heard.reasoning.add(&std::mem::take(&mut self.memory.thought));
        }
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
    pub(super) fn look_up(&self, call: &Call) -> Option<Heard> {
        self.transcripts().iter().find_map(|path| {
            let mut text = lines(path, 0, CALL_BYTES_MAX).text;
            if let Some(id) = &call.id {
                text = text
                    .lines()
                    .filter(|line| line.contains(id.as_str()) || THOUGHTS.iter().any(|word| line.contains(word)))
                    .fold(String::new(), |text, line| text + line + "\n");
            }
            (self.client.heard)(&text).into_iter().rev().find(|heard| match (&heard.call.id, &call.id) {
                (Some(own), Some(id)) => own == id,
                // Without an id the latest call with these arguments is meant.
                _ => heard.call.tool == call.tool && heard.call.input == call.input,
            })
        })
    }

    /// Records a call that ended, with what it did. `is_late`: it ended some time ago.
    pub(super) fn finish(&mut self, key: &str, heard: &Heard, is_late: bool) {
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
        let first = self.done.seen.len();
        for change in &changes {
            unnamed.push(self.edited(call, heard, change, open.as_ref()));
        }
        // What stood in one file before the call may explain what stands in another after it.
        self.done.seen[first..].sort_by_key(|it| it.kind != Kind::Before);
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

    pub(super) fn note_mark(&mut self, mark: Mark, key: String) {
        self.marks.add(mark, &key);
        self.done.notes.push(Note::Mark(mark, key));
    }

    pub(super) fn closes(&self, key: &str) -> bool {
        self.done.notes.iter().any(|note| matches!(note, Note::Close(closed) if closed == key))
    }
}
