//! `countersign hook TOOL [EVENT]`: one call of an agent's hook.
//!
//! An agent waits for this process, so it reads what it is told, looks at the files, appends once and
//! leaves. It prints nothing, ends with 0 whatever happens, and gives up what it has no time for: every
//! wait has a limit. What goes wrong stands in `hook.log` in the state directory, in `status`, and, where
//! the trail can be had, in the trail.

mod agent_v1;
mod amp;
mod claude_code;
mod cline;
mod codex;
mod compare;
mod copilot;
mod cursor;
mod decode;
mod droid;
mod gemini_cli;
mod kiro;
mod observe;
mod opencode;
mod patch;
mod planned;
mod session;
mod store;
mod text;
mod transcript;
mod tree;
mod trouble;
mod vscode;
mod windsurf;

use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_event::facts::{IntegrationPath, PathKind, Transport};
use countersign_event::payload::capture;
use countersign_event::payload::tool::TreeState;
use countersign_event::{Absent, Fact, How, Payload};
use countersign_spool::{Append, Device, Placed, Reader, Snapshot, append_once_with};
use serde_json::{Value, json};

use crate::bounded::{self, Deadline};
use crate::cli::HookArgs;
use crate::git;
use crate::recorder::{Complete, Record};
use crate::replay;
use crate::shell::{Shell, now};
use decode::{Client, Input};
use session::{Note, Session, Work};
use store::Store;

pub(crate) use trouble::{start_logging, troubles};

/// How long the whole call may wait for others: the agent, git, locks.
const TIME: Duration = Duration::from_millis(80);
/// Of that, how long for the spool's lock; then the inbox takes the events.
const LOCK_WAIT: Duration = Duration::from_millis(25);
/// How long the agent may take to say what it has to say.
const STDIN_TIME: Duration = Duration::from_secs(2);
/// The most it may say.
const STDIN_BYTES_MAX: usize = 32 << 20;

/// Thoughts between two calls are kept up to here.
const THOUGHT_BYTES_MAX: usize = 1 << 20;

const CLIENTS: &[Client] = &[
    agent_v1::CLIENT,
    amp::CLIENT,
    claude_code::CLIENT,
    cline::CLIENT,
    codex::CLIENT,
    copilot::CLIENT,
    cursor::CLIENT,
    droid::CLIENT,
    gemini_cli::CLIENT,
    kiro::CLIENT,
    opencode::CLIENT,
    vscode::CLIENT,
    windsurf::CLIENT,
];

/// The most that a client's settings may hold to be looked into.
const SETTINGS_BYTES_MAX: u64 = 256 << 10;

/// Returns how long this call may wait for others.
fn time() -> Duration {
    // Tests run beside many others: what git says there must not hang on how busy the machine is.
    #[cfg(debug_assertions)]
    if let Some(given) = std::env::var("COUNTERSIGN_TEST_HOOK_MS").ok().and_then(|ms| ms.parse().ok()) {
        return Duration::from_millis(given);
    }
    TIME
}

/// Runs `countersign hook`. What it can't do is logged and never fails the agent.
pub(crate) fn run(args: &HookArgs) {
    answer(args.tool().as_deref());
    let outcome = std::panic::catch_unwind(|| hook(args));
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(trouble)) => tracing::error!(tool = args.tool().as_deref().unwrap_or("?"), "{trouble}"),
        // The panic's own message went to stderr, which no agent takes for an answer.
        Err(_) => tracing::error!("a hook call ended unexpectedly"),
    }
}

fn hook(args: &HookArgs) -> Result<(), String> {
    let shell = Shell::from_env().map_err(|failure| failure.message().to_owned())?;
    let said = match args.argument() {
        // Codex says it on the command line.
        Some(argument) => argument.into_bytes(),
        None => bounded::read_all(std::io::stdin(), STDIN_BYTES_MAX, Deadline::after(STDIN_TIME))
            .ok_or("the agent did not say in time what happened, or said too much")?,
    };
    let deadline = Deadline::after(time().saturating_sub(LOCK_WAIT)); // what git may take
    let state = &shell.paths.state;
    let device = |_: ()| Device::load_or_create(state).map_err(|error| error.to_string());
    let mut complete = Complete::new(shell.clone(), device(())?);
    if complete.is_paused(None) {
        return Ok(());
    }
    let tool = args.tool().unwrap_or_default();
    let json: Result<Value, _> = serde_json::from_slice(&said);
    let heard = [args.event().unwrap_or_default().as_bytes(), &said].concat();
    let Some(client) = CLIENTS.iter().find(|client| client.name == tool) else {
        return degraded(&mut complete, state, "unknown_tool", &tool);
    };
    let client = json.as_ref().map_or(client, |json| caller(client, json));
    let event = args.event();
    let env = |name: &str| std::env::var(name).ok();
    let said = json.as_ref().ok().and_then(|json| (client.decode)(&Input { event: event.as_deref(), json, env: &env }));
    let Some(mut said) = said else {
        return degraded(&mut complete, state, "malformed_input", client.name);
    };
    if said.session.is_empty() {
        return Ok(()); // it is about no session
    }
    if let Some(account) = said.account.take() {
        complete.signed_in(account);
    }
    said.cwd = said.cwd.or_else(|| std::env::current_dir().ok());
    let root = said.cwd.as_deref().and_then(git::root_of);
    if complete.is_paused(root.as_deref()) {
        return Ok(());
    }
    if complete.policy(root.as_deref()).off && !is_beginning(&said) {
        return Ok(()); // that this repository opted out is told when a session begins
    }
    let device = device(())?;
    let store = Store::new(state, &device, client.name, said.notes.as_deref().unwrap_or(&said.session));
    // Two hooks of one client, or one that was called twice: the client's own clock shows that it is the same.
    if let Ok(Value::String(_) | Value::Number(_)) = json.as_ref().map(|json| &json["timestamp"])
        && said.steps.iter().any(decode::Step::is_nameless)
        && store.was_heard(&heard)
    {
        return Ok(());
    }
    let mut memory = store.memory();
    let before = memory.clone();
    let model = said.model.take().or_else(|| said.settings.take().and_then(|path| model_in(&path)));
    memory.model = model.or(if said.forgets_model { None } else { memory.model });
    memory.first_mode = memory.first_mode.or_else(|| said.mode.clone());
    memory.version = said.version.take().or(memory.version);
    let heard_of = |path: &PathBuf| memory.transcripts.contains(path);
    let new: Vec<PathBuf> = said.transcripts.iter().filter(|path| !heard_of(path)).cloned().collect();
    memory.transcripts.extend(new);
    if let Some(thought) = said.thought.take().filter(|text| memory.thought.len() + text.len() <= THOUGHT_BYTES_MAX) {
        memory.thought.push_str(&thought);
    }
    let steps = std::mem::take(&mut said.steps);
    if steps.is_empty() && !client.ends_late {
        return if memory == before { Ok(()) } else { store.remember(&memory).map_err(|error| error.to_string()) };
    }
    let only_begins = matches!(steps.as_slice(), [decode::Step::Calling(_)]);
    let ends = !only_begins || (client.ends_late && !store.all_open().is_empty());
    let trail = if ends { Reader::open_within(state, LOCK_WAIT.min(deadline.left())).ok() } else { None };
    let mut session = Session {
        client,
        said,
        marks: store.marks(),
        store: &store,
        memory,
        trail: trail.as_ref(),
        sha256: root.as_deref().is_some_and(names_with_sha256),
        now: now(),
        deadline,
        done: Work::default(),
    };
    if client.ends_late {
        session.look_for_ends();
    }
    for step in steps {
        session.step(step).map_err(|error| format!("a call's files could not be kept: {error}"))?;
    }
    let Session { memory, mut done, .. } = session;
    if !done.records.is_empty() {
        let calls = done.records.iter().any(|record| matches!(record.payload, Payload::ToolCalled(_)));
        let tree = match &root {
            // It is too large to be looked at, or git too slow.
            Some(root) => meet(&mut complete, &store, root, calls, deadline).ok_or(Absent::Truncated),
            None => Err(Absent::NotOnWire),
        };
        let tree = tree.or_else(|absent| if done.is_dirty { Ok(TreeState { dirty: true }) } else { Err(absent) });
        state_tree(&mut done.records, &tree.map_or_else(Fact::absent, Fact::observed));
    }
    let mut appends = complete.ends_of_pauses();
    appends.extend(done.records.into_iter().filter_map(|record| complete.complete(record, root.as_deref())));
    let mut seen = done.seen;
    seen.retain(|it| complete.may_keep(Path::new(&it.path)));
    append(state, &appends, &seen)?;
    let noted = note(&store, done.notes, &memory, &before);
    replay::nudge(&shell);
    noted.map_err(|error| format!("what was recorded could not be noted: {error}"))
}

/// Returns who calls: some clients run the hooks that were written for another.
fn caller(called: &'static Client, json: &Value) -> &'static Client {
    let named = |name: &str| CLIENTS.iter().find(|client| client.name == name).unwrap_or(called);
    match called.name {
        "claude-code" if json["cursor_version"].is_string() => named(cursor::CLIENT.name),
        "claude-code" | "copilot" if vscode::is_from_it(json) => named(vscode::CLIENT.name),
        _ => called,
    }
}

/// Returns the model that a client's settings name.
fn model_in(settings: &Path) -> Option<String> {
    let metadata = settings.metadata().ok()?;
    if !metadata.is_file() || metadata.len() > SETTINGS_BYTES_MAX {
        return None;
    }
    let settings: Value = serde_json::from_slice(&std::fs::read(settings).ok()?).ok()?;
    decode::text(&settings, "model").map(str::to_owned)
}

/// Gives the client the answer its hooks want, before anything can go wrong.
fn answer(tool: Option<&str>) {
    use std::io::Write;
    let Some(client) = CLIENTS.iter().find(|client| Some(client.name) == tool) else { return };
    let mut out = std::io::stdout().lock();
    // An agent that does not listen gets no answer.
    let _ = out.write_all(client.answer.as_bytes()).and_then(|()| out.flush());
}

fn is_beginning(said: &decode::Said) -> bool {
    said.steps.contains(&decode::Step::Began)
}

/// Appends once. Never waits longer than it must for anybody else's lock.
fn append(state: &Path, appends: &[Append], seen: &[Snapshot]) -> Result<(), String> {
    if appends.is_empty() && seen.is_empty() {
        return Ok(());
    }
    match append_once_with(state, appends, seen, LOCK_WAIT) {
        Ok(Placed::Spool(_) | Placed::Inbox) => Ok(()),
        Err(error) => Err(format!("{} events are lost: {error}", appends.len())),
    }
}

/// Keeps what the next process must know. Only now: had the append failed, nothing of it would be true.
fn note(store: &Store<'_>, notes: Vec<Note>, memory: &store::Memory, before: &store::Memory) -> std::io::Result<()> {
    for note in notes {
        match note {
            Note::Close(key) => store.close(&key),
            Note::Mark(mark, key) => store.mark(mark, &key)?,
            Note::Edit(path, blob) => store.note_edit(now(), &path, blob.as_deref())?,
            Note::Unnamed(key, value) => store.put(&key, "unnamed", &value)?,
        }
    }
    if memory == before { Ok(()) } else { store.remember(memory) }
}

/// Records that a hook call could not be understood, without a word of what it said.
fn degraded(complete: &mut Complete, state: &Path, reason: &str, tool: &str) -> Result<(), String> {
    let mut path = IntegrationPath::new(PathKind::Agent, Transport::Hook);
    path.tool = Some(tool.to_owned());
    let payload = Payload::CaptureDegraded(capture::Degraded {
        how: How::Observed,
        path: Fact::observed(path),
        reason: reason.to_owned(),
        detail: None,
        count: 1,
        uri: None,
    });
    let record = Record::light(now(), tool, payload);
    let appends: Vec<Append> = complete.complete(record, None).into_iter().collect();
    append(state, &appends, &[])
}

/// Tells whether a repository names its objects by SHA-256. A linked work tree is taken for SHA-1.
fn names_with_sha256(root: &Path) -> bool {
    let config = std::fs::read_to_string(root.join(".git/config")).unwrap_or_default().to_lowercase();
    config.lines().any(|line| line.split_whitespace().collect::<String>() == "objectformat=sha256")
}

/// Says of every call how the work tree stood to its base when it ended.
fn state_tree(records: &mut [Record], tree: &Fact<TreeState>) {
    for record in records {
        if let Payload::ToolCalled(called) = &mut record.payload {
            called.tree = Some(tree.clone());
        }
    }
}

/// Finds out which repository this is, once a session: counting a long history back takes git longer than
/// an agent should wait. Returns how its work tree stands, where that is wanted and can be had in time.
fn meet(
    complete: &mut Complete,
    store: &Store<'_>,
    root: &Path,
    with_tree: bool,
    deadline: Deadline,
) -> Option<TreeState> {
    let answer = |args: &[&str]| {
        let out = bounded::git(root, args, b"", deadline)?;
        let out = String::from_utf8(out).ok()?.trim_end().to_owned();
        (!out.is_empty()).then_some(out)
    };
    // One question where it is cheap: HEAD, and whether anything differs from it.
    let standing = if with_tree { tree::Tree::standing(root, deadline) } else { None };
    let state = standing.as_ref().map(|standing| TreeState { dirty: !standing.changed.is_empty() });
    let head = match standing {
        Some(standing) => standing.head,
        None => answer(&["rev-parse", "--verify", "--quiet", "HEAD"]),
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let key = store.key(&decode::Call { id: Some(format!("repository {}", root.display())), ..Default::default() });
    if let Some(known) = store.get(&key, "repository") {
        complete.repositories().remember(root.to_owned(), text(&known["id"]), text(&known["email"]), head);
        return state;
    }
    let remote = || answer(&["config", "--get", "remote.origin.url"]);
    let id = answer(&["rev-list", "--max-parents=0", "HEAD"]).and_then(|roots| git::identity_of(&roots, remote()));
    let email = answer(&["config", "user.email"]);
    // A repository before its first commit gets its id later.
    if id.is_some()
        && let Err(error) = store.put(&key, "repository", &json!({ "id": id, "email": email }))
    {
        tracing::warn!(%error, "what repository this is could not be noted");
    }
    complete.repositories().remember(root.to_owned(), id, email, head);
    state
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Map;

    use super::*;

    /// Words that decoders look for, so that they are led deep into what is odd.
    const WORDS: &[&str] = &[
        "session_id",
        "sessionId",
        "taskId",
        "conversation_id",
        "trajectory_id",
        "thread",
        "id",
        "thread-id",
        "sessionID",
        "hook_event_name",
        "hookEventName",
        "hookName",
        "agent_action_name",
        "type",
        "event",
        "cwd",
        "repo_working_dir",
        "tool_name",
        "toolName",
        "tool",
        "tool_input",
        "toolArgs",
        "tool_info",
        "preToolUse",
        "postToolUse",
        "parameters",
        "input",
        "output",
        "args",
        "properties",
        "part",
        "state",
        "status",
        "error",
        "info",
        "edits",
        "old_string",
        "new_string",
        "range",
        "start_line_number",
        "end_line_number",
        "old_line",
        "new_line",
        "file_path",
        "path",
        "files",
        "content",
        "diff",
        "patch",
        "command",
        "message",
        "payload",
        "name",
        "arguments",
        "call_id",
        "item",
        "changes",
        "toolCalls",
        "data",
        "toolRequests",
        "tool_use",
        "tool_result",
        "tool_use_id",
        "response_item",
        "function_call",
        "PreToolUse",
        "PostToolUse",
        "preToolUse",
        "postToolUse",
        "post_write_code",
        "pre_run_command",
        "afterTabFileEdit",
        "afterFileEdit",
        "beforeShellExecution",
        "tool.call",
        "tool.result",
        "event.message.part.updated",
        "apply_patch",
        "replace_in_file",
        "fs_write",
        "MultiEdit",
        "Edit",
        "Shell",
        "multi_replace_string_in_file",
        "ai_agent",
        "TaskStart",
        "*** Begin Patch\n*** Update File: a\n@@\n-x\n+y\n*** End Patch",
        "------- SEARCH\nx\n=======\ny\n+++++++ REPLACE\n",
        "assistant.message",
        "tool.execution_complete",
        "permission.completed",
        "event_msg",
        "FileChange",
        "",
    ];

    fn word() -> impl Strategy<Value = String> {
        prop_oneof![4 => proptest::sample::select(WORDS).prop_map(str::to_owned), 1 => ".{0,6}"]
    }

    fn odd_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            word().prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 64, 8, |inner| {
            prop_oneof![
                1 => proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                4 => proptest::collection::vec((word(), inner), 0..8)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

        #[test]
        fn no_hook_call_and_no_line_of_a_session_file_is_too_odd(json in odd_json(), event in word()) {
            let line = json.to_string();
            for client in CLIENTS {
                let client = caller(client, &json);
                for event in [None, Some(event.as_str())] {
                    let said = (client.decode)(&Input { event, json: &json, env: &|_| None });
                    // What has no session is about none.
                    prop_assert!(said.is_none_or(|said| !said.session.is_empty() || said.steps.is_empty()));
                }
                let lines = format!("{line}\n{}\n{line}\n", line.get(..line.len() / 2).unwrap_or_default());
                let _ = (client.heard)(&lines);
            }
        }
    }
}
