//! Where a story happens: a device, a repository, an editor, agents, and a shell for git.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use super::editor::{Editor, Manner};
use super::story::{Step, words};
use super::verdict::{self, Score};
use crate::support::{World, wait_for};

/// One story's world.
pub(super) struct Desk {
    /// The first one's directory is where everything happens.
    people: Vec<Person>,
    /// Who is at the desk now.
    who: usize,
    /// The work tree we stand in.
    here: PathBuf,
    calls: usize,
    /// What an agent's call under way is to do, until the next step that is no `and`.
    under_way: Option<Call>,
}

/// A person with a device and an editor of their own.
struct Person {
    name: &'static str,
    world: World,
    editor: Option<Editor>,
}

/// An agent's call.
struct Call {
    agent: String,
    blindly: bool,
    id: String,
    files: Vec<(PathBuf, Option<Vec<u8>>)>,
}

impl Desk {
    /// Makes a repository without a commit; with git's hooks where that is wanted.
    pub(super) fn new(hooks: bool) -> Desk {
        let world = World::new();
        let here = world.path().join("app");
        std::fs::create_dir_all(&here).unwrap();
        let people = vec![Person { name: "me", world, editor: None }];
        let mut desk = Desk { people, who: 0, here, calls: 0, under_way: None };
        for args in [&["init", "-q", "-b", "main"][..], &["config", "commit.gpgsign", "false"]] {
            desk.git(args, "", true);
        }
        if hooks {
            let output = desk.countersign(&["setup", "git", "--yes"]);
            assert!(output.status.success(), "{output:?}");
        }
        desk
    }

    /// Plays a step; asks about authors where its block does.
    pub(super) fn play(&mut self, step: &Step, score: &mut Score) {
        let said = words(&step.words);
        let said: Vec<&str> = said.iter().map(String::as_str).collect();
        let is_more = said[0] == "and";
        if is_more {
            let call = self.under_way.as_mut().expect("`and` follows an agent's edit");
            call.files.push((self.here.join(said[1]), Some(step.text("\n", true).into_bytes())));
        } else {
            self.finish_call();
            self.act(step, &said);
        }
        if step.asks() {
            self.finish_call();
            let (file, rev) = match said.as_slice() {
                ["blame", file, "at", rev] => (*file, Some(*rev)),
                ["blame" | "and", file] => (*file, None),
                [_, _, file, ..] => (*file, None),
                other => panic!("line {}: which file? {other:?}", step.line),
            };
            self.blame(step, file, rev, score);
        }
    }

    fn act(&mut self, step: &Step, said: &[&str]) {
        match said {
            ["blame", ..] => {}
            ["in", dir] => self.here = self.people[0].world.path().join(dir),
            ["as", "me"] => self.who = 0,
            ["as", "you"] => {
                if self.people.len() == 1 {
                    self.people.push(Person { name: "you", world: World::new(), editor: None });
                }
                self.who = 1;
            }
            ["git", args @ ..] => self.run_git(args, true),
            ["git!", args @ ..] => self.run_git(args, false),
            ["me", "quits"] => self.quit(),
            ["me", "opens", file] => {
                let file = self.here.join(file);
                self.editor().open(&file);
            }
            ["me", "closes", file] => {
                let file = self.here.join(file);
                self.editor().close(&file);
            }
            ["me", "saves", file] => self.save(&self.here.join(file)),
            ["me", "undoes", file] => {
                let file = self.here.join(file);
                self.editor().undo(&file);
                self.save(&file);
            }
            ["me", "redoes", file] => {
                let file = self.here.join(file);
                self.editor().redo(&file);
                self.save(&file);
            }
            ["me", "types", file, how @ ..] => self.edit(step, file, how, Manner::Typing),
            ["me", "pastes", file, how @ ..] => self.edit(step, file, how, Manner::Pasting),
            ["me", "replaces", file, how @ ..] => self.edit(step, file, how, Manner::Whole),
            ["formatter", "rewrites", file, how @ ..] => self.edit(step, file, how, Manner::AtOnce),
            [tool, "completes", file, how @ ..] => {
                self.suggest(step, tool, file, how, true);
                self.save(&self.here.join(file));
            }
            [tool, "offers", file, how @ ..] => self.suggest(step, tool, file, how, false),
            ["someone", "writes", file, how @ ..] => {
                self.write(&self.here.join(file), &self.bytes(step, how));
                self.notice();
            }
            ["me" | "someone", "runs", command] => {
                self.shell(command);
                self.notice();
            }
            ["me", "edits", file, "elsewhere"] => {
                let file = self.here.join(file);
                self.write(&file, &self.bytes(step, &[]));
                let known = json!({ "type": "known_human", "cwd": self.here, "edited_filepaths": [file] });
                self.hook("agent-v1", &known);
                self.notice();
            }
            [agent, "edits", file, how @ ..] => {
                let text = self.bytes(step, how);
                self.begin_call(agent, how.contains(&"blindly"), vec![(self.here.join(file), Some(text))]);
            }
            [agent, "removes", file] => self.begin_call(agent, false, vec![(self.here.join(file), None)]),
            [agent, "runs", command] => self.agent_shell(agent, command),
            other => panic!("line {}: nobody knows how to do {other:?}", step.line),
        }
    }

    // --- the person

    fn world(&self) -> &World {
        &self.people[self.who].world
    }

    fn editor(&mut self) -> &mut Editor {
        let Person { world, editor, .. } = &mut self.people[self.who];
        editor.get_or_insert_with(|| Editor::start(world))
    }

    fn suggest(&mut self, step: &Step, tool: &str, file: &str, how: &[&str], take: bool) {
        let (file, text) = (self.here.join(file), self.text(step, how));
        self.editor();
        let Person { world, editor: Some(editor), .. } = &mut self.people[self.who] else {
            unreachable!("just opened")
        };
        if how.contains(&"tapped") {
            editor.ask(world, tool, &file, &text, take);
        } else {
            editor.suggest(tool, &file, &text, take);
        }
    }

    fn edit(&mut self, step: &Step, file: &str, how: &[&str], manner: Manner) {
        let (file, text) = (self.here.join(file), self.text(step, how));
        self.editor().change(&file, &text, manner);
        if !how.contains(&"unsaved") {
            self.save(&file);
        }
    }

    /// Saves, and waits until the trail has that: what is asked next is another process.
    fn save(&mut self, file: &Path) {
        let before = self.last_snapshot(file);
        if self.editor().save(file) {
            wait_for("the saved text to be in the spool", || (self.last_snapshot(file) > before).then_some(()));
            self.notice();
        }
    }

    fn last_snapshot(&self, file: &Path) -> i64 {
        let spool = self.world().home().join("state/spool.db");
        let Ok(spool) = Connection::open_with_flags(spool, OpenFlags::SQLITE_OPEN_READ_ONLY) else { return 0 };
        let path = file.to_str().expect("a path of ours");
        let newest = "SELECT coalesce(max(rowid), 0) FROM snapshots WHERE path = ?";
        // A spool that is being made has no tables yet.
        spool.query_row(newest, [path], |row| row.get(0)).unwrap_or(0)
    }

    fn notice(&mut self) {
        self.people.iter_mut().filter_map(|person| person.editor.as_mut()).for_each(Editor::notice);
    }

    fn quit(&mut self) {
        if let Some(editor) = self.people[self.who].editor.take() {
            editor.quit();
        }
    }

    /// The end of the story.
    pub(super) fn leave(mut self) {
        self.finish_call();
        for person in &mut self.people {
            person.editor.take().into_iter().for_each(Editor::quit);
        }
    }

    // --- texts

    fn text(&self, step: &Step, how: &[&str]) -> String {
        let end = if how.contains(&"crlf") { "\r\n" } else { "\n" };
        step.text(end, !how.contains(&"unterminated"))
    }

    fn bytes(&self, step: &Step, how: &[&str]) -> Vec<u8> {
        let text = self.text(step, how);
        if how.contains(&"latin1") {
            // What UTF-8 can't show stands in the story as it will be shown.
            let byte = |char| if char == '\u{fffd}' { 0xe9 } else { u8::try_from(u32::from(char)).expect("Latin-1") };
            return text.chars().map(byte).collect();
        }
        text.into_bytes()
    }

    fn write(&self, file: &Path, bytes: &[u8]) {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
    }

    // --- agents

    fn begin_call(&mut self, agent: &str, blindly: bool, files: Vec<(PathBuf, Option<Vec<u8>>)>) {
        self.calls += 1;
        let id = format!("call-{}", self.calls);
        self.under_way = Some(Call { agent: agent.to_owned(), blindly, id, files });
    }

    /// An agent's call, whole: the hook before it, the files, the hook after it.
    fn finish_call(&mut self) {
        let Some(call) = self.under_way.take() else { return };
        let names: Vec<&str> = call.files.iter().map(|(file, _)| file.to_str().unwrap()).collect();
        // A tool of Claude Code's changes one file; what changes several is a command.
        let is_claude = call.agent.starts_with("claude");
        let (tool, input) = match (names.as_slice(), &call.files[0].1) {
            ([file], Some(text)) => ("Write", json!({ "file_path": file, "content": String::from_utf8_lossy(text) })),
            _ => ("Bash", json!({ "command": "apply the change" })),
        };
        if !call.blindly && is_claude {
            self.claude(&call.agent, "PreToolUse", tool, &call.id, &input);
        } else if !call.blindly {
            self.open_form(&json!({ "type": "human", "will_edit_filepaths": names }), &call.agent);
        }
        for (file, text) in &call.files {
            match text {
                Some(text) => self.write(file, text),
                None => std::fs::remove_file(file).unwrap(),
            }
        }
        if is_claude {
            self.claude(&call.agent, "PostToolUse", tool, &call.id, &input);
        } else {
            self.open_form(&json!({ "type": "ai_agent", "edited_filepaths": names }), &call.agent);
        }
        self.notice();
    }

    fn agent_shell(&mut self, agent: &str, command: &str) {
        self.calls += 1;
        let (id, input) = (format!("call-{}", self.calls), json!({ "command": command }));
        self.claude(agent, "PreToolUse", "Bash", &id, &input);
        self.shell(command);
        self.claude(agent, "PostToolUse", "Bash", &id, &input);
        self.notice();
    }

    fn claude(&self, agent: &str, event: &str, tool: &str, id: &str, input: &Value) {
        let said = json!({
            "session_id": agent, "cwd": self.here, "hook_event_name": event, "tool_name": tool,
            "tool_use_id": id, "tool_input": input, "tool_response": {},
        });
        self.hook("claude-code", &said);
    }

    fn open_form(&self, what: &Value, agent: &str) {
        let mut said = what.clone();
        said["repo_working_dir"] = json!(self.here);
        said["agent_name"] = json!(agent);
        said["conversation_id"] = json!(agent);
        said["model"] = json!("exact-model-1");
        self.hook("agent-v1", &said);
    }

    fn hook(&self, client: &str, said: &Value) {
        let mut command = self.world().countersign(["hook", client]);
        let mut child = command.current_dir(&self.here).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(said.to_string().as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }

    // --- the shell

    fn run_git(&mut self, args: &[&str], succeeds: bool) {
        let (args, answers) = match args.iter().position(|arg| arg.starts_with("<<")) {
            Some(at) => (&args[..at], args[at..].join("\n").replacen("<<", "", 1) + "\n"),
            None => (args, String::new()),
        };
        self.git(args, &answers, succeeds);
        self.notice();
    }

    fn git(&mut self, args: &[&str], answers: &str, succeeds: bool) {
        let mut command = Command::new("git");
        command.args(args);
        let output = self.run(command, answers);
        assert_eq!(output.status.success(), succeeds, "git {args:?}: {output:?}");
    }

    fn shell(&self, line: &str) {
        let mut command = Command::new("sh");
        command.args(["-ec", line]);
        let output = self.run(command, "");
        assert!(output.status.success(), "{line}: {output:?}");
    }

    /// Runs a program as this person's shell would.
    fn run(&self, mut command: Command, input: &str) -> Output {
        let Person { name, world, .. } = &self.people[self.who];
        command
            .current_dir(&self.here)
            .env("COUNTERSIGN_HOME", world.home())
            .env("COUNTERSIGN_POLICY", world.policy_file())
            .env("GIT_AUTHOR_NAME", name)
            .env("GIT_AUTHOR_EMAIL", format!("{name}@example.org"))
            .env("GIT_COMMITTER_NAME", name)
            .env("GIT_COMMITTER_EMAIL", format!("{name}@example.org"))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GIT_EDITOR", "true")
            .env_remove("GIT_DIR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A program that does not listen has ended already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn countersign(&self, args: &[&str]) -> Output {
        self.world().countersign(args).current_dir(&self.here).output().unwrap()
    }

    fn blame(&self, step: &Step, file: &str, rev: Option<&str>, score: &mut Score) {
        let mut args = vec!["blame", "--json"];
        args.extend(rev.iter().flat_map(|rev| ["--rev", rev]));
        args.extend(["--", file]);
        let output = self.countersign(&args);
        let asked = format!("line {}: {}", step.line, step.words);
        match serde_json::from_slice::<Value>(&output.stdout) {
            Ok(answer) if output.status.success() => verdict::compare(&asked, &step.block, &answer, score),
            _ => score.trouble.push(format!("{asked}\n  {output:?}")),
        }
    }
}
