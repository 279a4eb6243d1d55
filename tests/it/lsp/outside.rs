//! Text that the session did not see being written: found again after a restart, on a reload, and
//! unknown where nobody of ours was there.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};

use super::client::Client;
use super::{accept_at, utf16};
use crate::support::{World, git, json_lines, of_type, wait_for};

/// A file that an editor has open.
struct File {
    path: PathBuf,
    uri: String,
    version: i64,
}

impl File {
    fn new(path: PathBuf, text: &str) -> File {
        std::fs::write(&path, text).unwrap();
        let uri = format!("file://{}", path.display());
        File { path, uri, version: 0 }
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.path).unwrap()
    }

    /// Opens it as it is on the disk.
    fn open(&mut self, client: &mut Client) {
        self.version = 0;
        client.open(&self.uri, "python", 0, &self.text());
    }

    fn change(&mut self, client: &mut Client, edits: &[(u32, u32, u32, u32, &str)]) {
        self.version += 1;
        client.change(&self.uri, self.version, edits);
    }

    /// What an editor does whose file changed on the disk.
    fn reload(&mut self, client: &mut Client) {
        self.version += 1;
        client.replace(&self.uri, self.version, &self.text());
    }

    /// Writes the editor's buffer to the disk, as the editor would.
    fn save(&self, client: &mut Client, buffer: &str) {
        std::fs::write(&self.path, buffer).unwrap();
        client.notify("textDocument/didSave", json!({ "textDocument": { "uri": self.uri } }));
    }

    fn becomes(&self, client: &mut Client, spans: &str) {
        let mut last = String::new();
        let end = std::time::Instant::now() + crate::support::DEADLINE;
        while last != spans {
            assert!(std::time::Instant::now() < end, "waited for\n{spans}\nand it stayed\n{last}");
            last = client.spans(&self.uri);
        }
    }
}

const LOAD: &str = "def load(path):\n    with open(path) as file:\n        return file.read()\n";

/// Accepts [`LOAD`] at a line of a file and saves.
fn with_ai_text(client: &mut Client, file: &mut File, line: u32) -> String {
    file.version += 1;
    accept_at(client, &file.uri, "s-1", file.version, line, LOAD);
    let mut lines: Vec<String> = file.text().split_inclusive('\n').map(str::to_owned).collect();
    lines.insert(line as usize, LOAD.to_owned());
    file.save(client, &lines.concat());
    let spans = client.attribution(&file.uri)["spans"].clone();
    let ai = spans.as_array().unwrap().iter().find(|span| span["origin"] == "ai").expect("an AI's span");
    ai["contribution"].as_str().unwrap().to_owned()
}

#[test]
fn after_a_restart_the_writers_are_found_though_the_file_was_reformatted_meanwhile() {
    let world = World::new();
    let mut file = File::new(world.path().join("a.py"), "import os\n");
    let mut client = Client::initialized(&world, utf16());
    file.open(&mut client);
    with_ai_text(&mut client, &mut file, 1);
    client.finish();

    std::fs::write(
        &file.path,
        "import os\n\n\ndef load( path ):\n  with open( path ) as file:\n    return file.read()\nprint(load)\n",
    )
    .unwrap();
    let mut next = Client::initialized(&world, utf16());
    file.open(&mut next);
    let authors = || "unknown unknown unknown ai ai ai unknown".to_owned();
    wait_for("the writers", || (lines(&mut next, &file.uri) == authors()).then_some(()));
    // What a person types before and after the answer stays theirs.
    file.change(&mut next, &[(6, 0, 6, 0, "#")]);
    assert_eq!(lines(&mut next, &file.uri), "unknown unknown unknown ai ai ai mixed");
    next.finish();
}

fn lines(client: &mut Client, uri: &str) -> String {
    let attribution = client.attribution(uri);
    let lines = attribution["lines"].as_array().unwrap();
    lines.iter().map(|line| line["author"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_was_written_while_nothing_of_ours_ran_is_unknown() {
    let world = World::new();
    let mut file = File::new(world.path().join("a.py"), "import os\n");
    let mut client = Client::initialized(&world, utf16());
    file.open(&mut client);
    file.change(&mut client, &[(1, 0, 1, 0, "x = 1\n")]);
    file.save(&mut client, "import os\nx = 1\n");
    client.finish();

    std::fs::write(&file.path, "import os\ny = 2\nx = 1\n").unwrap();
    let mut next = Client::initialized(&world, utf16());
    file.open(&mut next);
    file.becomes(&mut next, "unknown 0:0-2:0 | human 2:0-3:0");
    next.finish();
}

#[test]
fn two_sessions_on_one_file_know_each_others_typing() {
    let world = World::new();
    let mut left = File::new(world.path().join("a.py"), "import os\n");
    let mut right = File { path: left.path.clone(), uri: left.uri.clone(), version: 0 };
    let (mut one, mut other) = (Client::initialized(&world, utf16()), Client::initialized(&world, utf16()));
    left.open(&mut one);
    right.open(&mut other);

    left.change(&mut one, &[(1, 0, 1, 0, "first = 1\n")]);
    left.save(&mut one, "import os\nfirst = 1\n");
    right.reload(&mut other);
    right.becomes(&mut other, "unknown 0:0-1:0 | human 1:0-2:0");

    right.change(&mut other, &[(2, 0, 2, 0, "second = 2\n")]);
    right.save(&mut other, "import os\nfirst = 1\nsecond = 2\n");
    left.reload(&mut one);
    left.becomes(&mut one, "unknown 0:0-1:0 | human 1:0-3:0");

    // An AI's text that one of them took is an AI's for the other.
    let contribution = with_ai_text(&mut one, &mut left, 3);
    right.reload(&mut other);
    right.becomes(&mut other, "unknown 0:0-1:0 | human 1:0-3:0 | ai 3:0-6:0");
    assert_eq!(other.attribution(&right.uri)["spans"][2]["contribution"], contribution.as_str());
    one.finish();
    other.finish();
}

#[test]
fn another_persons_text_is_unknown_and_never_ours() {
    let (ours, theirs) = (World::new(), World::new());
    let mut mine = File::new(ours.path().join("a.py"), "import os\n");
    let mut yours = File { path: mine.path.clone(), uri: mine.uri.clone(), version: 0 };
    let (mut me, mut you) = (Client::initialized(&ours, utf16()), Client::initialized(&theirs, utf16()));
    mine.open(&mut me);
    yours.open(&mut you);
    mine.change(&mut me, &[(1, 0, 1, 0, "mine = 1\n")]);
    mine.save(&mut me, "import os\nmine = 1\n");
    yours.reload(&mut you);
    yours.becomes(&mut you, "unknown 0:0-2:0");
    // So little that it could have been typed; but it stood on the disk first.
    yours.change(&mut you, &[(2, 0, 2, 0, "yours = 2\n")]);
    yours.save(&mut you, "import os\nmine = 1\nyours = 2\n");
    mine.reload(&mut me);
    mine.becomes(&mut me, "unknown 0:0-1:0 | human 1:0-2:0 | unknown 2:0-3:0");
    me.finish();
    you.finish();
}

#[test]
fn a_line_that_is_saved_right_after_it_was_typed_stays_the_persons() {
    let world = World::new();
    let mut file = File::new(world.path().join("a.py"), "import os\n");
    let mut client = Client::initialized(&world, utf16());
    file.open(&mut client);
    // An editor that gathers its messages writes the file before it tells the change.
    std::fs::write(&file.path, "import os\nx = compute()\n").unwrap();
    file.change(&mut client, &[(1, 0, 1, 0, "x = compute()\n")]);
    client.notify("textDocument/didSave", json!({ "textDocument": { "uri": file.uri } }));
    // A second reload elsewhere is judged later, and by then the first one is too.
    let mut other = File::new(world.path().join("b.py"), "a\n");
    other.open(&mut client);
    std::fs::write(&other.path, "a\nb = 2\n").unwrap();
    other.reload(&mut client);
    other.becomes(&mut client, "unknown 0:0-2:0");
    file.becomes(&mut client, "unknown 0:0-1:0 | human 1:0-2:0");
    client.finish();
}

/// Waits until the server has looked at the disk for all it was told: it does that in order.
fn looked_at(client: &mut Client, beside: &mut File) {
    beside.change(client, &[(0, 0, 0, 0, "ab")]);
    wait_for("a look at the disk", || (client.attribution(&beside.uri)["pending"] == false).then_some(()));
}

/// Who wrote which line, as another process answers later.
fn blamed(world: &World, file: &File) -> String {
    let asked = ["blame", "--json", "--", file.path.to_str().unwrap()];
    let answer = world.json(asked).remove(0);
    let author = |line: &Value| line["author"].as_str().unwrap().to_owned();
    answer["lines"].as_array().unwrap().iter().map(author).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_small_reload_is_nobodys_typing_though_a_person_types_and_saves_at_once() {
    // Two characters and more, one character, and a second reload after the first.
    for (came, edits) in [
        ("x = compute()\n", vec![(1, 0, 1, 0, "x = compute()\n")]),
        ("8", vec![(1, 0, 1, 0, "8")]),
        ("ab\n9", vec![(1, 0, 1, 0, "ab\n"), (2, 0, 2, 0, "9")]),
    ] {
        let world = World::new();
        let mut file = File::new(world.path().join("a.py"), "import os\n");
        let mut beside = File::new(world.path().join("beside.py"), "");
        let mut client = Client::initialized(&world, utf16());
        file.open(&mut client);
        beside.open(&mut client);
        looked_at(&mut client, &mut beside);
        let mut there = file.text();
        for edit in edits {
            there.push_str(edit.4);
            std::fs::write(&file.path, &there).unwrap();
            file.change(&mut client, &[edit]);
            beside.save(&mut client, "ab");
            looked_at(&mut client, &mut beside);
            if edit.4 == "ab\n" {
                // That it was a reload has to be known: then the text is the file's again.
                file.becomes(&mut client, "unknown 0:0-2:0");
            }
        }
        file.change(&mut client, &[(0, 0, 0, 0, "mine = 1\n")]);
        file.save(&mut client, &format!("mine = 1\n{there}"));
        let expected = format!("human {}", vec!["unknown"; there.lines().count()].join(" "));
        wait_for("the writers", || (lines(&mut client, &file.uri) == expected).then_some(()));
        client.finish();
        assert_eq!(blamed(&world, &file), expected, "{came:?}");
    }
}

#[test]
fn what_a_person_types_after_a_save_and_saves_again_is_theirs() {
    let world = World::new();
    let mut file = File::new(world.path().join("a.py"), "import os\n");
    let mut client = Client::initialized(&world, utf16());
    file.open(&mut client);
    let mut text = file.text();
    for line in 1..20 {
        let typed = format!("x = {line}\n");
        text.push_str(&typed);
        file.change(&mut client, &[(line, 0, line, 0, &typed)]);
        file.save(&mut client, &text);
    }
    wait_for("all to be looked up", || (client.attribution(&file.uri)["pending"] == false).then_some(()));
    file.becomes(&mut client, "unknown 0:0-1:0 | human 1:0-20:0");
    client.finish();
    assert_eq!(blamed(&world, &file), format!("unknown {}", vec!["human"; 19].join(" ")));
}

#[test]
fn an_editor_that_asked_is_told_when_the_writers_are_known() {
    let world = World::new();
    let mut file = File::new(world.path().join("a.py"), "import os\n");
    let mut client = Client::initialized(&world, utf16());
    file.open(&mut client);
    with_ai_text(&mut client, &mut file, 1);
    client.finish();
    let mut next = Client::initialized(&world, utf16());
    file.open(&mut next);
    if next.spans(&file.uri) == "unknown 0:0-4:0" {
        let told = next.told("countersign/attributionChanged");
        assert_eq!(told["params"], json!({ "textDocument": { "uri": file.uri }, "version": 0 }));
    }
    assert_eq!(next.spans(&file.uri), "unknown 0:0-1:0 | ai 1:0-4:0");
    next.finish();
}

#[test]
fn a_contribution_is_still_measured_after_a_restart_and_at_the_commit() {
    let world = World::new();
    let root = world.repository("r");
    let mut file = File::new(root.join("a.py"), "import os\n");
    let mut client = Client::initialized(&world, utf16());
    file.open(&mut client);
    let contribution = with_ai_text(&mut client, &mut file, 1);
    client.finish();

    let mut next = Client::initialized(&world, utf16());
    file.open(&mut next);
    file.becomes(&mut next, "unknown 0:0-1:0 | ai 1:0-4:0");
    file.change(&mut next, &[(2, 14, 2, 18, "name")]);
    file.save(&mut next, &file.text().replace("open(path)", "open(name)"));
    git(&root, &["add", "a.py"]);
    git(&root, &["commit", "-q", "-m", "load"]);
    let measured = |moment: &str| -> Vec<Value> {
        let events = world.log();
        let all = of_type(&events, "contribution.measured").into_iter();
        all.filter(|e| e["data"]["moment"] == moment).map(|e| e["data"].clone()).collect()
    };
    wait_for("the figure of the commit", || (!measured("commit").is_empty()).then_some(()));
    next.finish();
    for moment in ["save", "commit"] {
        let data = measured(moment).pop().unwrap();
        assert_eq!(data["contribution"], contribution.as_str());
        assert_eq!((&data["accepted_bytes"], &data["surviving_bytes"]), (&json!(72), &json!(68)), "{moment}");
        assert_eq!(data["distance"]["metric"], "tokens");
        // Compared with what was accepted, which the earlier session knew.
        assert_eq!(data["distance"]["levenshtein"], 3, "{moment}");
        assert!(data.get("first_seen").is_none(), "{data}");
    }
}

#[test]
fn text_that_equals_a_suggestion_on_the_screen_is_not_called_human() {
    let world = World::new();
    let mut file = File::new(world.path().join("a.py"), "\n");
    let mut client = Client::initialized(&world, utf16());
    file.open(&mut client);
    let shown = |id: &str, text: &str| json!({ "event": "shown", "id": id, "tool": "copilot", "textDocument": { "uri": file.uri }, "text": text });
    client.notify("countersign/suggestion", shown("s-1", "total()"));
    client.notify("countersign/suggestion", shown("s-2", "count()"));
    let gone = json!({ "event": "rejected", "id": "s-2", "tool": "copilot", "textDocument": { "uri": file.uri } });
    client.notify("countersign/suggestion", gone);
    client.change(&file.uri, 1, &[(0, 0, 0, 0, "total()")]);
    assert_eq!(client.spans(&file.uri), "unknown 0:0-1:0");
    // One that is gone, and one that is typed key by key, are the person's.
    client.change(&file.uri, 2, &[(0, 7, 0, 7, "count()")]);
    for (at, key) in "total()".chars().enumerate() {
        let column = 14 + at as u32;
        client.change(&file.uri, 3 + at as i64, &[(0, column, 0, column, &key.to_string())]);
    }
    assert_eq!(client.spans(&file.uri), "unknown 0:0-0:7 | human 0:7-0:21 | unknown 0:21-1:0");
    client.finish();
}

// Agents

const AGENTS: &str = "\n\ndef save(path, text):\n    with open(path, 'w') as file:\n        file.write(text)\n";

/// Lets an agent write a file and tell so in git-ai's open form, before and after.
fn agent_writes(world: &World, dir: &Path, file: &Path, text: &str) {
    hook(world, &json!({ "type": "human", "repo_working_dir": dir, "will_edit_filepaths": [file] }));
    std::fs::write(file, text).unwrap();
    hook(
        world,
        &json!({ "type": "ai_agent", "repo_working_dir": dir, "edited_filepaths": [file],
                 "agent_name": "agent", "model": "m-1", "conversation_id": "c" }),
    );
}

fn hook(world: &World, told: &Value) {
    let mut command = world.countersign(["hook", "agent-v1"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(told.to_string().as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn an_agents_edit_is_its_own_when_the_editor_reloads_the_file() {
    let world = World::new();
    let root = world.repository("r");
    let mut file = File::new(root.join("a.py"), "import os\n");
    let mut client = Client::initialized(&world, utf16());
    file.open(&mut client);
    file.change(&mut client, &[(1, 0, 1, 0, "x = 1\n")]);
    file.save(&mut client, "import os\nx = 1\n");
    agent_writes(&world, &root, &file.path, &format!("import os\nx = 1\n{AGENTS}"));
    file.reload(&mut client);
    file.becomes(&mut client, "unknown 0:0-1:0 | human 1:0-2:0 | ai 2:0-7:0");
    let hover = json!({ "textDocument": { "uri": file.uri }, "position": { "line": 5, "character": 9 } });
    let shown = client.request("textDocument/hover", hover);
    let text = shown["contents"]["value"].as_str().unwrap();
    assert!(text.contains("`m-1`") && text.contains("agent"), "{text}");

    // So little that it could have been typed.
    let edited = file.text().replace("x = 1", "x = 10 + os.getpid()");
    agent_writes(&world, &root, &file.path, &edited);
    file.change(&mut client, &[(1, 5, 1, 5, "0 + os.getpid()")]);
    file.becomes(&mut client, "unknown 0:0-1:0 | human 1:0-1:5 | ai 1:5-1:20 | human 1:20-2:0 | ai 2:0-7:0");
    client.finish();
}

#[test]
fn what_an_agent_did_while_no_editor_ran_is_known_when_the_file_is_opened() {
    let world = World::new();
    let root = world.repository("r");
    let mut file = File::new(root.join("a.py"), "import os\n");
    let mut client = Client::initialized(&world, utf16());
    file.open(&mut client);
    file.change(&mut client, &[(1, 0, 1, 0, "x = 1\n")]);
    file.save(&mut client, "import os\nx = 1\n");
    client.finish();
    agent_writes(&world, &root, &file.path, &format!("import os\nx = 1\n{AGENTS}"));
    // And somebody that nobody saw.
    std::fs::write(&file.path, format!("# nobody\n{}", file.text())).unwrap();

    let mut next = Client::initialized(&world, utf16());
    file.open(&mut next);
    file.becomes(&mut next, "unknown 0:0-2:0 | human 2:0-3:0 | ai 3:0-8:0");
    next.finish();
}

#[test]
fn a_commit_is_attested_while_an_editor_runs_though_no_hook_is_there() {
    let world = World::new();
    let root = world.repository("r");
    let mut file = File::new(root.join("a.py"), "import os\n");
    let mut client = Client::initialized(&world, utf16());
    file.open(&mut client);
    let contribution = with_ai_text(&mut client, &mut file, 1);
    // What is told after the save is recorded after it: git must not be quicker than that.
    let shown =
        json!({ "event": "shown", "id": "s-2", "tool": "copilot", "textDocument": { "uri": file.uri }, "text": "x" });
    client.notify("countersign/suggestion", shown);
    wait_for("what was told after the save", || {
        let output = world.countersign(["log", "--json"]).output().unwrap();
        let events = if output.status.success() { json_lines(&output.stdout) } else { Vec::new() };
        (of_type(&events, "suggestion.offered").len() == 2).then_some(())
    });
    git(&root, &["add", "a.py"]);
    git(&root, &["commit", "-q", "-m", "load"]);
    let head = git(&root, &["rev-parse", "HEAD"]);
    let attested = wait_for("the attestation", || {
        let events = world.log();
        of_type(&events, "commit.attested").into_iter().find(|e| e["data"]["commit"] == head.trim()).cloned()
    });
    assert!(attested.to_string().contains(&contribution), "{attested}");
    client.finish();
}
