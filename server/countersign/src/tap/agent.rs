//! What an agent did, as records: what its stream says, and what the disk shows around each call.
//!
//! The stream says who asked, who decided and which call it was; the disk says what became of the
//! files. Nothing here touches the stream, and nothing waits for it.

mod file;
mod tree;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use countersign_event::content::{ContentName, ContentSlot, Contents};
use countersign_event::facts::{Absent, Fact, How, IntegrationPath, Model, Output, PathKind, Place, Prompt, Transport};
use countersign_event::payload::tool::{self, Decision, Discovered, Outcome, TreeState};
use countersign_event::payload::{Circumstances, ContextItem, Payload, edit, prompt};
use countersign_event::{Timestamp, digest, identity};
use countersign_provenance::hunks::hunks;
use countersign_spool::{GitState, Kind, Reader, Snapshot};
use serde_json::Value;
use tower_lsp::ls_types::Uri;

use super::decode::{self, Act, Asked, Called, Change, Ending, Given, Requested};
use crate::git::{self, Repositories};
use crate::recorder::{Record, Recorder, file_of_uri};
use crate::work_class::classify;
use file::{File, Seen};
use tree::{CutShort, Tree};

/// An event is small: more runs of lines than this are told as one.
const MAX_HUNKS: usize = 32;
/// So many files a call are told; a call that changes more is a checkout or a generator.
const MAX_FILES: usize = 500;
/// Calls that are remembered to tell none twice.
const MAX_KNOWN: usize = 65_536;

/// The records of one agent's stream.
pub(super) struct Agent {
    recorder: Recorder,
    state: PathBuf,
    directory: Option<PathBuf>,
    repositories: Repositories,
    calls: HashMap<u64, Look>,
    trees: HashMap<PathBuf, Tree>,
    others: Others,
}

/// What was seen as a call began.
struct Look {
    began: Timestamp,
    files: HashMap<PathBuf, File>,
    /// What git's small files said then, by the root of the work tree.
    git: HashMap<PathBuf, GitState>,
}

impl Look {
    fn new(began: Timestamp) -> Look {
        Look { began, files: HashMap::new(), git: HashMap::new() }
    }
}

/// When a call began, and what git said then.
type Began<'a> = (Timestamp, &'a HashMap<PathBuf, GitState>);

/// Who tells: the agent's path without call and session, and our own session.
pub(super) struct Teller {
    /// The path.
    pub(super) path: IntegrationPath,
}

/// A change of one file, both sides as far as they are known.
struct Edit {
    file: PathBuf,
    before: Option<File>,
    after: Option<File>,
    /// What the model wrote of it, where the stream says it.
    output: Option<String>,
    how: How,
}

impl Agent {
    /// Makes the records of a stream; `state` is where the spool is.
    pub(super) fn new(recorder: Recorder, state: PathBuf) -> Self {
        Agent {
            others: Others::new(&state),
            recorder,
            state,
            directory: std::env::current_dir().ok(),
            repositories: Repositories::default(),
            calls: HashMap::new(),
            trees: HashMap::new(),
        }
    }

    /// Records an act. Returns what could not be seen, if anything.
    pub(super) fn act(&mut self, at: Timestamp, act: Act, teller: &Teller) -> Option<&'static str> {
        match act {
            Act::Works { directory } => return self.look(at, directory.as_deref()),
            Act::Asked(asked) => self.asked(at, asked, teller),
            Act::Touches { call, directory, paths } => self.touches(at, call, directory.as_deref(), &paths),
            Act::Called(called) => return self.called(at, *called, teller),
            Act::Offers { tools } => self.offers(at, &tools, teller),
        }
        None
    }

    /// Looks at the work tree of a directory, while nobody changes it.
    fn look(&mut self, at: Timestamp, directory: Option<&str>) -> Option<&'static str> {
        let root = git::root_of(&self.in_directory(directory, "."))?;
        let looked = match self.trees.get_mut(&root) {
            Some(tree) => tree.look(at),
            None => Tree::new(root.clone(), at).map(|tree| drop(self.trees.insert(root.clone(), tree))),
        };
        self.unless_cut(&root, looked).err()
    }

    fn unless_cut<T>(&mut self, root: &Path, looked: Result<T, CutShort>) -> Result<T, &'static str> {
        looked.map_err(|CutShort| {
            self.trees.remove(root);
            "work_tree_too_large"
        })
    }

    fn in_directory(&self, directory: Option<&str>, path: &str) -> PathBuf {
        let base = directory.map(PathBuf::from).or_else(|| self.directory.clone()).unwrap_or_default();
        let joined = base.join(path);
        // Two observers must name a file alike.
        let mut plain = PathBuf::new();
        for part in joined.components() {
            match part {
                std::path::Component::CurDir => {}
                std::path::Component::ParentDir => drop(plain.pop()),
                other => plain.push(other),
            }
        }
        plain
    }

    fn asked(&mut self, at: Timestamp, asked: Asked, teller: &Teller) {
        let directory = self.in_directory(asked.directory.as_deref(), ".");
        let payload = Payload::PromptSubmitted(prompt::Submitted {
            how: How::Observed,
            prompt: Fact::observed(Prompt { turns: Some(asked.prompt.turn), ..Prompt::default() }),
            model: model(&asked.model),
            person: Fact::absent(Absent::NotOnWire),
            path: Fact::observed(teller.path(Some(&asked.session), None, None)),
            place: self.place_of_directory(&directory),
            content: Contents::default(),
            circumstances: Circumstances {
                context: self.context(asked.directory.as_deref(), &asked.given),
                ..Circumstances::default()
            },
        });
        let output_bytes = asked.prompt.text.len() as u64;
        let texts = vec![(ContentName::Prompt, asked.prompt.text)];
        self.recorder.record(Record { at, subject: teller.path.tool.clone(), payload, texts, output_bytes });
    }

    fn place_of_directory(&mut self, directory: &Path) -> Place {
        let Some(root) = git::root_of(directory) else { return Place::default() };
        let repository = self.repositories.of_root(root);
        Place {
            repository: repository.and_then(|repository| repository.id.clone()),
            base: repository.and_then(|repository| repository.head.clone()),
            ..Place::default()
        }
    }

    fn touches(&mut self, at: Timestamp, call: u64, directory: Option<&str>, paths: &[String]) {
        let files: Vec<PathBuf> = paths.iter().take(MAX_FILES).map(|path| self.in_directory(directory, path)).collect();
        if self.calls.len() > 4 * MAX_FILES {
            self.calls.clear();
        }
        for file in files {
            let known = self.calls.get(&call).is_some_and(|look| look.files.contains_key(&file));
            let seen = if known { None } else { self.before(&file, at) };
            let look = self.calls.entry(call).or_insert_with(|| Look::new(at));
            if let Some(seen) = seen {
                look.files.insert(file, seen);
            }
        }
        let root = git::root_of(&self.in_directory(directory, "."));
        let look = self.calls.entry(call).or_insert_with(|| Look::new(at));
        if let Some(root) = root
            && let Some(layout) = git::state::Layout::of_root(&root)
        {
            look.git.entry(layout.worktree.clone()).or_insert_with(|| layout.state());
        }
    }

    /// Returns a file as it was at `at`: as it is, unless it was written since; then as it was when
    /// the tree was looked at.
    fn before(&mut self, file: &Path, at: Timestamp) -> Option<File> {
        let now = Seen::now(file)?;
        if !now.is_since(at) {
            return Some(now.file);
        }
        let root = file.parent().and_then(git::root_of);
        let known = root.and_then(|root| self.trees.get_mut(&root)?.file(&name_in(&root, file)?));
        match known {
            // Nobody saw it, or git ignores it.
            Some(File::Absent) => now.is_new_since(at).then_some(File::Absent),
            known => known,
        }
    }

    fn called(&mut self, at: Timestamp, called: Called, teller: &Teller) -> Option<&'static str> {
        let mut look = self.calls.remove(&called.call).unwrap_or_else(|| Look::new(at));
        let (began, git) = (look.began, std::mem::take(&mut look.git));
        let (edits, trouble) = match called.ending {
            Ending::Rejected | Ending::Denied => (Vec::new(), None),
            _ => self.edits(at, &called, look),
        };
        let outcome = match called.ending {
            _ if !edits.is_empty() => Outcome::Applied,
            Ending::Done => Outcome::Ran,
            Ending::Failed => Outcome::Failed,
            Ending::Rejected => Outcome::Rejected,
            Ending::Denied => Outcome::Denied,
            Ending::Unknown => Outcome::Unknown,
        };
        let seen = edits.into_iter().flat_map(|edit| self.edited(at, &called, edit, teller, (began, &git)));
        let mut seen: Vec<Snapshot> = seen.collect();
        // What stood in one file before the call may explain what stands in another after it.
        seen.sort_by_key(|it| it.kind != Kind::Before);
        seen.into_iter().for_each(|it| self.recorder.saw(it));
        self.tell_call(at, called, outcome, teller);
        trouble
    }

    /// Finds what a call changed: first the files it names, then, if it may have changed anything, all
    /// the others of its work tree.
    fn edits(&mut self, at: Timestamp, called: &Called, mut look: Look) -> (Vec<Edit>, Option<&'static str>) {
        let directory = called.directory.as_deref();
        let mut edits: Vec<Edit> = Vec::new();
        for change in called.changes.iter().take(MAX_FILES) {
            let file = self.in_directory(directory, &change.path);
            let moved = change.moved_to.as_ref().map(|to| self.in_directory(directory, to));
            let seen_at = moved.as_ref().unwrap_or(&file);
            let now = Seen::now(seen_at);
            let is_later = now.as_ref().is_some_and(|now| now.is_after(at));
            let is_touched = now.as_ref().is_some_and(|now| now.is_since(look.began));
            let after = now.map(|now| now.file);
            let before = look.files.remove(&file);
            // What a call that came to no good end says of its edits is a plan.
            let plan = called.ending != Ending::Done;
            let change = if plan { &Change::default() } else { change };
            let (before, after) = file::resolve(change, before, after, is_later);
            if before.is_none() && !is_touched && change.pieces.is_empty() && change.after.is_none() {
                continue;
            }
            let output = output(change, after.as_ref());
            let how = if plan || output.is_none() { How::Observed } else { How::Reported };
            match moved.filter(|_| !plan) {
                Some(to) => {
                    edits.push(Edit { file, before, after: Some(File::Absent), output: None, how });
                    let before = look.files.remove(&to).or(Some(File::Absent));
                    edits.push(Edit { file: to, before, after, output, how });
                }
                None => edits.push(Edit { file, before, after, output, how }),
            }
        }
        let is_changed = |edit: &Edit| match (&edit.before, &edit.after) {
            (Some(before), Some(after)) => before != after,
            // A diff is evidence enough, and so is a file written since the call began.
            _ => true,
        };
        edits.retain(is_changed);
        for edit in &edits {
            self.note(&edit.file, edit.after.as_ref());
        }
        let trouble = if called.reaches_all { self.rest(at, called, look.began, &mut edits) } else { None };
        (edits, trouble)
    }

    fn note(&mut self, file: &Path, after: Option<&File>) {
        if let (Some(root), Some(after)) = (file.parent().and_then(git::root_of), after)
            && let Some(name) = name_in(&root, file)
            && let Some(tree) = self.trees.get_mut(&root)
        {
            tree.note(&name, after.clone());
        }
    }

    /// Adds what else changed in the work tree of a call.
    fn rest(
        &mut self,
        at: Timestamp,
        called: &Called,
        began: Timestamp,
        edits: &mut Vec<Edit>,
    ) -> Option<&'static str> {
        let root = git::root_of(&self.in_directory(called.directory.as_deref(), "."))?;
        let Some(tree) = self.trees.get_mut(&root) else {
            return self.look(at, called.directory.as_deref()).or(Some("work_tree_not_seen_before"));
        };
        let changed = tree.changes(began);
        let mut changed = match self.unless_cut(&root, changed) {
            Ok(changed) => changed,
            Err(reason) => return Some(reason),
        };
        let is_cut = changed.len() > MAX_FILES;
        changed.truncate(MAX_FILES);
        for (name, before, after) in changed {
            let file = root.join(name);
            if !edits.iter().any(|edit| edit.file == file) {
                edits.push(Edit { file, before, after: Some(after), output: None, how: How::Observed });
            }
        }
        is_cut.then_some("too_many_files")
    }

    /// Records an edit. Returns what was seen of its file.
    fn edited(
        &mut self,
        at: Timestamp,
        called: &Called,
        edit: Edit,
        teller: &Teller,
        began: Began<'_>,
    ) -> Vec<Snapshot> {
        let path = teller.path(called.session.as_deref(), called.id.as_deref(), called.client.as_ref());
        let client = path.tool.clone().unwrap_or_default();
        let session = path.session.clone().unwrap_or_default();
        let name = edit.file.to_string_lossy();
        let contribution = match &called.id {
            Some(call) => identity::contribution_of_edit(&client, &session, call, &name),
            None => {
                let text = edit.after.as_ref().and_then(File::text).unwrap_or_default();
                identity::contribution_of_text(&client, &session, &name, &digest::text_id(text.as_bytes()))
            }
        };
        let id = contribution.to_string();
        let subject = Some(id.clone());
        let prompt = match &called.prompt {
            Some(prompt) => Fact::observed(Prompt { turns: Some(prompt.turn), ..Prompt::default() }),
            None => Fact::absent(Absent::NotOnWire),
        };
        let output = match &edit.output {
            Some(text) => Fact::known(Output::of(text), edit.how),
            None => Fact::absent(Absent::NotOnWire),
        };
        let place = Place { uri: uri_of(&edit.file), ..Place::default() };
        let seen = observed(at, &edit, &id, called, &session, began);
        let mut texts = Vec::new();
        let mut content = Contents::default();
        for (slot, side) in [(ContentName::Before, &edit.before), (ContentName::After, &edit.after)] {
            match side {
                Some(File::Text(text)) => texts.push((slot, text.clone())),
                Some(File::Absent) => {}
                // Bytes that are no text are not kept; a file that nobody read is not known.
                Some(File::Other(_)) => drop(content.insert(slot, ContentSlot::Absent { absent: Absent::Policy })),
                None => drop(content.insert(slot, ContentSlot::Absent { absent: Absent::NotOnWire })),
            }
        }
        let hunks = touched(&edit);
        let inserted: u64 = edit.output.as_ref().map_or_else(|| inserted(&edit, &hunks), |text| text.len() as u64);
        texts.extend(edit.output.map(|text| (ContentName::Output, text)));
        texts.extend(called.prompt.as_ref().map(|prompt| (ContentName::Prompt, prompt.text.clone())));
        reason(called.reasoning.clone(), &mut texts, &mut content);
        let payload = Payload::EditApplied(edit::Applied {
            how: edit.how,
            contribution: id,
            model: model(&called.model),
            prompt,
            output,
            person: Fact::absent(Absent::NotOnWire),
            path: Fact::observed(path),
            place,
            before_blob: edit.before.as_ref().and_then(File::blob),
            after_blob: edit.after.as_ref().and_then(File::blob),
            hunks,
            entered: Vec::new(),
            rule: None,
            confidence: None,
            content,
            circumstances: Circumstances::default(),
        });
        self.recorder.record(Record { at, subject, payload, texts, output_bytes: inserted });
        seen
    }

    fn tell_call(&mut self, at: Timestamp, called: Called, outcome: Outcome, teller: &Teller) {
        if let Some(id) = &called.id
            && self.others.have_told(id, outcome, called.decision.as_ref(), &self.state)
        {
            return;
        }
        let directory = called.directory.as_deref();
        let path = teller.path(called.session.as_deref(), called.id.as_deref(), called.client.as_ref());
        let file = called.changes.first().map(|change| &change.path).or(called.given.first().map(|given| &given.name));
        // A call that names no file works in its directory.
        let place = match file {
            Some(_) => Place::default(),
            None => self.place_of_directory(&self.in_directory(directory, ".")),
        };
        let uri = file.and_then(|file| {
            if file.contains("://") { Some(file.clone()) } else { uri_of(&self.in_directory(directory, file)) }
        });
        let mut texts = Vec::new();
        let mut content = Contents::default();
        match called.arguments {
            Some(arguments) => texts.push((ContentName::Arguments, arguments)),
            None => drop(content.insert(ContentName::Arguments, ContentSlot::Absent { absent: Absent::NotOnWire })),
        }
        match called.answer {
            Some(answer) => texts.push((ContentName::Output, answer)),
            None => drop(content.insert(ContentName::Output, ContentSlot::Absent { absent: Absent::NotOnWire })),
        }
        reason(called.reasoning, &mut texts, &mut content);
        let work = called.command.as_deref().map(classify);
        let (base, tree) = self.standing(directory);
        let output_bytes = texts.iter().map(|(_, text)| text.len() as u64).max().unwrap_or(0);
        let payload = Payload::ToolCalled(tool::Called {
            how: How::Observed,
            tool_name: called.tool_name,
            outcome,
            decision: called.decision,
            succeeded: match called.ending {
                Ending::Done => Some(true),
                Ending::Failed => Some(false),
                _ => None,
            },
            class: Some(work.as_ref().map_or(tool::Class::Other, |work| work.class)),
            classed_by: work.and_then(|work| work.by),
            exit_status: called.exit_status,
            tree: Some(tree),
            model: model(&called.model),
            person: Fact::absent(Absent::NotOnWire),
            path: Fact::observed(path),
            place: Place { uri, base: base.or(place.base), ..place },
            content,
            circumstances: Circumstances {
                context: self.context(directory, &called.given),
                ..Circumstances::default()
            },
        });
        self.recorder.record(Record { at, subject: teller.path.tool.clone(), payload, texts, output_bytes });
    }

    /// Says which commit the work tree of a directory stands on, and whether it differs from it, as of our last
    /// look and what calls did since.
    fn standing(&mut self, directory: Option<&str>) -> (Option<String>, Fact<TreeState>) {
        let root = git::root_of(&self.in_directory(directory, "."));
        let Some(root) = root else { return (None, Fact::absent(Absent::NotOnWire)) };
        match self.trees.get_mut(&root) {
            Some(tree) => (tree.base().map(str::to_owned), Fact::observed(TreeState { dirty: tree.is_dirty() })),
            None => (None, Fact::absent(Absent::Truncated)),
        }
    }

    /// Says what a model was given, each by its name in the repository and our address of its text.
    fn context(&self, directory: Option<&str>, given: &[Given]) -> Vec<ContextItem> {
        let of = |bytes: &[u8], how| ContextItem {
            digest: Some(digest::text_id(bytes)),
            bytes: Some(bytes.len() as u64),
            how: Some(how),
            ..ContextItem::default()
        };
        let item = |given: &Given| {
            let told = given.text.as_ref().map(|text| of(text.as_bytes(), How::Reported));
            let unknown = || ContextItem { absent: Some(Absent::NotOnWire), ..ContextItem::default() };
            let local = file_of_uri(&given.name);
            if local.is_none() && given.name.contains("://") {
                return ContextItem { path: given.name.clone(), ..told.unwrap_or_else(unknown) };
            }
            let file = local.unwrap_or_else(|| self.in_directory(directory, &given.name));
            let seen = match Seen::now(&file).map(|seen| seen.file) {
                Some(File::Text(text)) => Some(of(text.as_bytes(), How::Observed)),
                _ => None,
            };
            let root = file.parent().and_then(git::root_of);
            let inside = root.and_then(|root| name_in(&root, &file));
            ContextItem {
                path: inside.or_else(|| uri_of(&file)).unwrap_or_else(|| given.name.clone()),
                ..told.or(seen).unwrap_or_else(unknown)
            }
        };
        given.iter().take(MAX_HUNKS).map(item).collect()
    }

    fn offers(&mut self, at: Timestamp, tools: &[String], teller: &Teller) {
        let mut names = tools.join(", ");
        if let Some((cut, _)) = names.char_indices().nth(600) {
            names.truncate(cut);
            names.push_str(", ...");
        }
        let tool = teller.path.tool.clone().unwrap_or_default();
        let payload = Payload::ToolDiscovered(Discovered {
            how: How::Observed,
            tool: tool.clone(),
            version: teller.path.version.clone(),
            path: Fact::observed(teller.path.clone()),
            captured: true,
            note: Some(format!("offers {} tools: {names}", tools.len())),
        });
        self.recorder.record(Record::light(at, tool, payload));
    }
}

/// Returns what was seen of a file before and after an edit.
fn observed(
    at: Timestamp,
    edit: &Edit,
    contribution: &str,
    called: &Called,
    session: &str,
    began: Began<'_>,
) -> Vec<Snapshot> {
    let Some(after) = &edit.after else { return Vec::new() };
    let call = called.id.as_ref().map_or_else(|| called.call.to_string(), Clone::clone);
    let look = |kind, file: &File| {
        let bytes = match file {
            File::Absent => None,
            File::Text(text) => Some(text.clone().into_bytes()),
            // Only its name is known.
            File::Other(_) => return None,
        };
        let path = edit.file.to_string_lossy().into_owned();
        let time = if kind == Kind::Before { began.0 } else { at };
        let mut it = git::state::placed(Snapshot::of(path, kind, bytes, time), &git::state::written(&edit.file));
        let then = it.repository.as_ref().and_then(|place| began.1.get(Path::new(&place.worktree)));
        if let (Some(then), Some(end)) = (then, it.git.take_if(|end| Some(&*end) != then)) {
            it.git = Some(GitState { until: (kind == Kind::Ai).then(|| Box::new(end)), ..then.clone() });
        }
        it.call = Some(format!("{session} {call}"));
        it.session = Some(session.to_owned());
        it.contribution = (kind == Kind::Ai).then(|| contribution.to_owned());
        Some(it)
    };
    let before = edit.before.as_ref().and_then(|before| look(Kind::Before, before));
    before.into_iter().chain(look(Kind::Ai, after)).collect()
}

impl Teller {
    /// Makes the teller of a stream: the program at its end, and our own session around it.
    pub(super) fn new(tool: Option<String>, version: Option<String>, session: &str) -> Self {
        let session = Some(session.to_owned());
        Teller {
            path: IntegrationPath { tool, version, session, ..IntegrationPath::new(PathKind::Agent, Transport::Tap) },
        }
    }

    fn path(&self, session: Option<&str>, call: Option<&str>, client: Option<&decode::Program>) -> IntegrationPath {
        let mut path = self.path.clone();
        path.session = session.map(str::to_owned).or(path.session);
        path.tool_call_id = call.map(str::to_owned);
        if let Some(client) = client {
            path.tool = Some(client.name.clone());
            path.version = client.version.as_ref().map(|version| version.text.clone());
        }
        path
    }
}

/// Calls that others have recorded: a hook of the same agent sees many of them, too.
struct Others {
    cursor: i64,
    calls: HashMap<String, (String, bool)>,
}

impl Others {
    fn new(state: &Path) -> Self {
        let cursor = Reader::open(state).ok().and_then(|reader| reader.last_rowid().ok()).unwrap_or(0);
        Others { cursor, calls: HashMap::new() }
    }

    /// Says whether a call was recorded already with all that we know of it.
    fn have_told(&mut self, id: &str, outcome: Outcome, decision: Option<&Decision>, state: &Path) -> bool {
        self.read(state);
        let word = serde_json::to_value(outcome).unwrap_or_default();
        let Some((told, is_decided)) = self.calls.get(id) else { return false };
        (Some(told.as_str()) == word.as_str() || outcome == Outcome::Unknown) && (*is_decided || decision.is_none())
    }

    fn read(&mut self, state: &Path) {
        let stored = Reader::open(state)
            .and_then(|reader| reader.by_type("dev.countersign.tool.called.v1", self.cursor))
            .unwrap_or_default();
        for stored in stored {
            self.cursor = stored.rowid;
            let Ok(event) = serde_json::from_str::<Value>(stored.bytes.as_str()) else { continue };
            let data = &event["data"];
            if let (Some(id), Some(outcome)) = (data["path"]["tool_call_id"].as_str(), data["outcome"].as_str()) {
                if self.calls.len() >= MAX_KNOWN {
                    self.calls.clear();
                }
                self.calls.insert(id.to_owned(), (outcome.to_owned(), !data["decision"].is_null()));
            }
        }
    }
}

/// Adds what the model thought, or says that these protocols did not tell it.
fn reason(told: Option<String>, texts: &mut Vec<(ContentName, String)>, content: &mut Contents) {
    match told {
        Some(text) => texts.push((ContentName::Reasoning, text)),
        None => drop(content.insert(ContentName::Reasoning, ContentSlot::Absent { absent: Absent::NotOnWire })),
    }
}

/// Returns what the model wrote of a file, as far as the stream says it.
fn output(change: &Change, after: Option<&File>) -> Option<String> {
    match &change.after {
        Some(Some(text)) => Some(text.clone()),
        Some(None) => Some(String::new()),
        None if !change.pieces.is_empty() => Some(change.pieces.iter().map(|piece| piece.new.as_str()).collect()),
        // A file that was only moved.
        None if change.moved_to.is_some() => after.map(|_| String::new()),
        None => None,
    }
}

/// Returns the lines an edit touched, as one run where they are many.
fn touched(edit: &Edit) -> Vec<edit::Hunk> {
    let text = |side: &Option<File>| match side {
        Some(File::Text(text)) => Some(text.clone()),
        Some(File::Absent) => Some(String::new()),
        _ => None,
    };
    let (Some(before), Some(after)) = (text(&edit.before), text(&edit.after)) else { return Vec::new() };
    let runs = hunks(&before, &after);
    match runs.as_slice() {
        [first, .., last] if runs.len() > MAX_HUNKS => vec![edit::Hunk {
            old_lines: last.old_start + last.old_lines - first.old_start,
            new_lines: last.new_start + last.new_lines - first.new_start,
            ..*first
        }],
        _ => runs,
    }
}

/// Returns how many bytes stand in the lines that are new.
fn inserted(edit: &Edit, hunks: &[edit::Hunk]) -> u64 {
    let Some(after) = edit.after.as_ref().and_then(File::text) else { return 0 };
    let lines: Vec<usize> = after.split_inclusive('\n').map(str::len).collect();
    let of = |hunk: &edit::Hunk| {
        let from = (hunk.new_start as usize).saturating_sub(1).min(lines.len());
        let to = (from + hunk.new_lines as usize).min(lines.len());
        lines[from..to].iter().sum::<usize>() as u64
    };
    hunks.iter().map(of).sum()
}

fn model(requested: &Requested) -> Fact<Model> {
    let model = Model {
        requested: requested.name.clone(),
        responded: requested.responded.clone(),
        provider: requested.provider.clone(),
        ..Model::default()
    };
    match (&model.requested, &model.responded) {
        (None, None) => Fact::absent(Absent::NotOnWire),
        (Some(_), Some(_)) => Fact::observed(model),
        _ => Fact::observed(model).without(Absent::NotOnWire),
    }
}

fn uri_of(file: &Path) -> Option<String> {
    Uri::from_file_path(file).map(|uri| uri.to_string()).filter(|uri| Uri::from_str(uri).is_ok())
}

fn name_in(root: &Path, file: &Path) -> Option<String> {
    let inside = file.strip_prefix(root).ok()?;
    Some(inside.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/"))
}
