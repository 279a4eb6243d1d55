//! Plays a recorded session: the same hook calls, in a work tree that goes through the same states.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::{World, git, json_lines};

/// How the agent's own session file stands there while its hooks run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SessionFile {
    /// As far as it was when the hook ran.
    AsRecorded,
    /// All of it, before the first hook.
    WholeFromTheStart,
}

/// How a recording is played.
pub struct Play<'a> {
    pub client: &'a str,
    pub session_file: SessionFile,
    /// The files at the start are in git's history, or only in the work tree.
    pub committed: bool,
}

/// A recorded session.
pub struct Recording {
    pub truth: Value,
    client: String,
    hooks: String,
    session_files: BTreeMap<String, String>,
}

/// What came of it.
pub struct Played {
    pub root: PathBuf,
    pub events: Vec<Value>,
    _world: World,
}

/// The session file of each client, by the name it has in a recording.
const SESSION_FILE_NAMES: [&str; 4] = ["transcript.jsonl", "rollout.jsonl", "chat.jsonl", "events.jsonl"];

impl Recording {
    pub fn read(name: &str) -> Recording {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/agents").join(name);
        let read = |file: &str| std::fs::read_to_string(dir.join(file));
        let session_files =
            SESSION_FILE_NAMES.iter().filter_map(|file| Some(((*file).to_owned(), read(file).ok()?))).collect();
        Recording {
            truth: serde_json::from_str(&read("ground_truth.json").unwrap()).unwrap(),
            client: name.split('/').next().unwrap().to_owned(),
            hooks: read("hooks.jsonl").or_else(|_| read("plugin_events.jsonl")).unwrap(),
            session_files,
        }
    }

    pub fn calls(&self) -> impl Iterator<Item = &Value> {
        self.truth["tool_calls"].as_array().unwrap().iter()
    }

    /// Every change of every turn.
    pub fn changes(&self) -> Vec<(String, Value)> {
        let turns = self.truth["workspace_change_after_each_model_turn"].as_array().unwrap().iter();
        let files = turns.flat_map(|turn| turn.as_object().unwrap());
        files.map(|(path, change)| (path.clone(), change.clone())).collect()
    }

    /// What the truth says of the model, as far as the client reveals it.
    pub fn expected_model(&self, which: &str) -> Value {
        let reveals = match which {
            "responded" => self.client.starts_with("claude"),
            _ => !self.client.starts_with("claude"),
        };
        let name = if which == "responded" { "model_served" } else { "model_requested" };
        if reveals { self.truth[name].clone() } else { Value::Null }
    }

    /// The files a call changed: those of its turn that its arguments name, or all if it was alone in it.
    fn changed_by(&self, call: &Value) -> Vec<(String, Value)> {
        let turn = call["model_turn"].as_u64().unwrap() as usize;
        let changes = self.truth["workspace_change_after_each_model_turn"][turn].as_object().unwrap();
        let alone = self.calls().filter(|other| other["model_turn"] == call["model_turn"]).count() == 1;
        let arguments = call["input_from_model"].to_string();
        let own = changes.iter().filter(|(path, _)| alone || arguments.contains(path.as_str()));
        own.map(|(path, change)| (path.clone(), change.clone())).collect()
    }
}

/// Plays a recording and returns the trail.
pub fn play(recording: &Recording, how: &Play<'_>) -> Played {
    let world = World::new();
    let mut stage = Stage::new(recording, how, &world, "demo");
    while stage.goes_on() {}
    let trouble = std::fs::read_to_string(world.home().join("state/hook.log")).unwrap_or_default();
    assert_eq!(trouble, "");
    Played { events: world.log(), root: stage.root, _world: world }
}

/// A recording while it is played.
pub struct Stage<'a> {
    pub root: PathBuf,
    recording: &'a Recording,
    how: &'a Play<'a>,
    world: &'a World,
    home: PathBuf,
    /// The hook calls, and which of them come when.
    hooks: Vec<Value>,
    order: Vec<usize>,
    at: usize,
    applied: BTreeSet<usize>,
    begun: Vec<usize>,
}

impl<'a> Stage<'a> {
    pub fn new(recording: &'a Recording, how: &'a Play<'a>, world: &'a World, name: &str) -> Stage<'a> {
        let root = world.repository(name);
        let home = world.path().join(format!("dev-{name}"));
        set_up(recording, &root, how.committed);
        let hooks = json_lines(moved(&recording.hooks, &root, &home).as_bytes());
        let order = (0..hooks.len()).collect();
        let (applied, begun) = Default::default();
        Stage { root, recording, how, world, home, hooks, order, at: 0, applied, begun }
    }

    /// Has the hook calls come in another order, some never, some twice.
    pub fn in_order(mut self, change: impl FnOnce(&[Value], &mut Vec<usize>)) -> Stage<'a> {
        change(&self.hooks, &mut self.order);
        self
    }

    /// Says what the next hook says. `false` at the end.
    pub fn goes_on(&mut self) -> bool {
        let Some(&at) = self.order.get(self.at) else { return false };
        self.at += 1;
        let hook = &self.hooks[at];
        let calls: Vec<&Value> = self.recording.calls().collect();
        let event = hook["event"].as_str().unwrap();
        let call = call_of(hook, &calls, &self.begun, &self.applied);
        // What a call without an end of its own did, it did before the next thing happened.
        for &earlier in self.begun.iter().filter(|earlier| Some(**earlier) != call) {
            apply(self.recording, calls[earlier], earlier, &self.root, &mut self.applied);
        }
        self.begun.retain(|earlier| Some(*earlier) == call);
        match call {
            Some(call) if is_before(event) && !self.applied.contains(&call) => self.begun.push(call),
            Some(call) if is_after(event) => {
                apply(self.recording, calls[call], call, &self.root, &mut self.applied);
                self.begun.retain(|begun| *begun != call);
            }
            _ => {}
        }
        let text = |text: &str| moved(text, &self.root, &self.home);
        place_session_files(self.recording, self.how.session_file, &self.hooks, at, &text, &self.home);
        let mut command = self.world.countersign(["hook", self.how.client, event]);
        command.current_dir(&self.root).stdin(Stdio::piped());
        if event == "notify" {
            command.arg(hook["stdin"].to_string());
        }
        for (name, value) in hook["env"].as_object().into_iter().flatten() {
            command.env(name, value.as_str().unwrap());
        }
        let output =
            run(command.env("HOME", &self.home).env_remove("CODEX_HOME"), hook["stdin"].to_string().as_bytes());
        assert!(output.status.success());
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "nothing is said to the agent");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        true
    }
}

fn moved(text: &str, root: &Path, home: &Path) -> String {
    text.replace("/workspace/demo", root.to_str().unwrap()).replace("/home/dev", home.to_str().unwrap())
}

/// Runs a program with this input.
pub fn run(command: &mut Command, stdin: &[u8]) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A program that does not want all of it may have ended.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    child.wait_with_output().unwrap()
}

pub fn is_before(event: &str) -> bool {
    matches!(event, "PreToolUse" | "BeforeTool" | "preToolUse" | "tool.execute.before")
}

pub fn is_after(event: &str) -> bool {
    matches!(
        event,
        "PostToolUse"
            | "PostToolUseFailure"
            | "AfterTool"
            | "postToolUse"
            | "postToolUseFailure"
            | "tool.execute.after"
    )
}

/// Which of the true calls a hook is about: by its id, else the first of that tool that is not over.
fn call_of(hook: &Value, calls: &[&Value], begun: &[usize], applied: &BTreeSet<usize>) -> Option<usize> {
    let event = hook["event"].as_str().unwrap();
    if !is_before(event) && !is_after(event) {
        return None;
    }
    let text = hook["stdin"].to_string();
    let by_id = |call: &&Value| call["tool_call_id"].as_str().is_some_and(|id| text.contains(id));
    if let Some(found) = calls.iter().position(by_id) {
        return Some(found);
    }
    let tool = ["tool_name", "toolName"].iter().find_map(|name| hook["stdin"][*name].as_str())?;
    let of_tool = |at: &usize| calls[*at]["tool"] == tool;
    if is_after(event) {
        return begun.iter().copied().find(of_tool);
    }
    (0..calls.len()).filter(|at| !applied.contains(at) && !begun.contains(at)).find(of_tool)
}

fn apply(recording: &Recording, call: &Value, at: usize, root: &Path, applied: &mut BTreeSet<usize>) {
    if !applied.insert(at) {
        return;
    }
    for (path, change) in recording.changed_by(call) {
        write(&root.join(path), &change["after"]);
    }
}

fn write(file: &Path, text: &Value) {
    match text.as_str() {
        Some(text) => {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        None => std::fs::remove_file(file).unwrap(),
    }
}

/// The files as they were before the first turn.
fn set_up(recording: &Recording, root: &Path, committed: bool) {
    let mut seen = BTreeSet::new();
    for (path, change) in recording.changes() {
        if seen.insert(path.clone()) && change["before"].is_string() {
            write(&root.join(path), &change["before"]);
        }
    }
    // What an edit wanted to replace was there, though nothing came of it.
    for call in recording.calls() {
        let arguments = &call["input_from_model"];
        let (path, old) = (arguments["filePath"].as_str(), arguments["oldString"].as_str());
        let Some((path, old)) = path.and_then(|path| path.strip_prefix("/workspace/demo/")).zip(old) else { continue };
        if seen.insert(path.to_owned()) {
            write(&root.join(path), &Value::String(format!("{old}\n")));
        }
    }
    write(&root.join("unrelated.txt"), &Value::String("nobody touches this\n".to_owned()));
    if committed {
        git(root, &["add", "."]);
        git(root, &["commit", "-q", "-m", "files"]);
    }
}

/// Writes the session files as far as they were when the hook ran.
fn place_session_files(
    recording: &Recording,
    how: SessionFile,
    hooks: &[Value],
    at: usize,
    moved: &impl Fn(&str) -> String,
    home: &Path,
) {
    let place = hooks.iter().find_map(|hook| {
        let stdin = &hook["stdin"];
        let said = stdin["transcript_path"].as_str().map(str::to_owned);
        // Copilot says it late, and it is always the same place.
        let known =
            || Some(home.join(".copilot/session-state").join(stdin["sessionId"].as_str()?).join("events.jsonl"));
        said.or_else(|| known()?.to_str().map(str::to_owned))
    });
    let Some((text, place)) = recording.session_files.values().next().zip(place) else { return };
    let text = moved(text);
    let lines: Vec<&str> = text.lines().collect();
    let id_of = |hook: &Value| hook["stdin"]["tool_use_id"].as_str().map(str::to_owned);
    let first_with = |id: &str| lines.iter().position(|line| line.contains(id));
    let end = match (how, id_of(&hooks[at])) {
        (SessionFile::WholeFromTheStart, _) => lines.len(),
        (_, Some(id)) => match (first_with(&id), hooks[at]["transcript_at_hook_time"]["has_tool_use_id"] == true) {
            (Some(line), true) => line + 1,
            (Some(line), false) => line,
            (None, _) => lines.len(),
        },
        (_, None) => {
            let later = hooks[at + 1..]
                .iter()
                .filter_map(&id_of)
                .filter(|id| !hooks[..at].iter().any(|hook| id_of(hook).as_ref() == Some(id)));
            later.filter_map(|id| first_with(&id)).min().unwrap_or(lines.len())
        }
    };
    let file = PathBuf::from(&place);
    assert!(file.starts_with(home), "{place}");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let mut whole: String = lines[..end].iter().map(|line| format!("{line}\n")).collect();
    if end < lines.len() {
        // It is being written to.
        whole.push_str(&lines[end].chars().take(20).collect::<String>());
    }
    std::fs::write(file, whole).unwrap();
}
