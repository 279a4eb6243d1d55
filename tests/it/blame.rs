//! `blame` and `settle` on real repositories: whatever git and the file are like, a clear answer and never a
//! wrong author.

mod odd;
mod retention;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{World, git, of_type};

/// A repository, and an agent and a person who work in it.
struct Desk {
    world: World,
    root: PathBuf,
}

impl Desk {
    fn new() -> Desk {
        let world = World::new();
        let root = world.path().join("desk");
        std::fs::create_dir(&root).unwrap();
        let desk = Desk { world, root };
        desk.init(&desk.root);
        desk
    }

    fn init(&self, root: &Path) {
        git(root, &["init", "-q", "-b", "main"]);
        git(root, &["config", "user.name", "Dev"]);
        git(root, &["config", "user.email", "dev@example.org"]);
    }

    fn hook(&self, said: &Value) {
        let mut command = self.world.countersign(["hook", "agent-v1"]);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(said.to_string().as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }

    /// An AI writes a file; both sides are seen. `change` may do anything else besides.
    fn ai_does(&self, root: &Path, paths: &[&str], change: impl FnOnce()) {
        self.hook(&json!({ "type": "human", "repo_working_dir": root, "will_edit_filepaths": paths }));
        change();
        self.hook(&json!({
            "type": "ai_agent", "repo_working_dir": root, "edited_filepaths": paths,
            "agent_name": "agent", "model": "model-1", "conversation_id": "s1",
        }));
    }

    fn ai_at(&self, root: &Path, path: &str, text: &str) {
        self.ai_does(root, &[path], || std::fs::write(root.join(path), text).unwrap());
    }

    fn ai(&self, path: &str, text: &str) {
        self.ai_at(&self.root, path, text);
    }

    fn human(&self, path: &str, text: &str) {
        std::fs::write(self.root.join(path), text).unwrap();
        self.hook(&json!({ "type": "known_human", "cwd": self.root, "edited_filepaths": [path] }));
    }

    fn unseen(&self, path: &str, text: &str) {
        std::fs::write(self.root.join(path), text).unwrap();
    }

    fn commit(&self, message: &str) {
        git(&self.root, &["add", "-A"]);
        git(&self.root, &["commit", "-qm", message]);
    }

    fn blame_at(&self, dir: &Path, args: &[&str]) -> Value {
        let mut command = self.world.countersign(["blame", "--json"].iter().chain(args));
        let output = command.current_dir(dir).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn blame(&self, args: &[&str]) -> Value {
        self.blame_at(&self.root, args)
    }

    fn refused(&self, args: &[&str]) -> (i32, String) {
        let mut command = self.world.countersign(["blame", "--json"].iter().chain(args));
        let output = command.current_dir(&self.root).output().unwrap();
        assert!(output.stdout.is_empty());
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    fn check(&self, args: &[&str], authors: &str) {
        assert_eq!(authors_of(&self.blame(args)), authors, "{args:?}");
    }
}

/// A letter a line: ai, human, mixed, `-` for unknown.
fn authors_of(blame: &Value) -> String {
    let lines = blame["lines"].as_array().unwrap().iter();
    let letter = |line: &Value| match line["author"].as_str().unwrap() {
        "unknown" => '-',
        author => author.chars().next().unwrap(),
    };
    lines.map(letter).collect()
}

const ONE: &str = "def one(first):\n    return first + 1\n";
const TWO: &str = "def one(first):\n    return first + 1\n\ndef two(second):\n    return second * 2\n";

#[test]
fn a_line_says_who_wrote_it_with_which_model_and_how_that_is_known() {
    let desk = Desk::new();
    desk.unseen("a.py", "import base\n");
    desk.commit("base");
    desk.ai("a.py", &format!("import base\n{ONE}"));
    desk.human("a.py", &format!("import base\n{ONE}print(one(41))  # by hand\n"));
    let blame = desk.blame(&["a.py"]);
    assert_eq!(authors_of(&blame), "-aah");
    let ai = &blame["lines"][1];
    let told = (&ai["how"], &ai["model"], &ai["tool"], &ai["session"], &ai["last_writer"], &ai["share"]);
    assert_eq!(told, (&json!("observed"), &json!("model-1"), &json!("agent"), &json!("s1"), &json!("ai"), &json!(1.0)));
    assert_eq!(ai["contributions"][0]["share"], 1.0);
    assert!(ai["person"].is_string());
    assert_eq!(ai.get("commit"), None, "it is not committed");
    assert_eq!(blame["lines"][3]["how"], "reported");
    assert_eq!(blame["lines"][0]["commit"], git(&desk.root, &["rev-parse", "HEAD"]).trim());
    assert_eq!((&blame["complete"], &blame["missing"]), (&json!(false), &json!(["nobody saw who wrote line 1"])));
    desk.check(&["a.py:2-3"], "aa");
}

#[test]
fn an_edit_without_a_look_before_it_is_inferred_to_be_the_agents() {
    let desk = Desk::new();
    desk.unseen("a.py", ONE);
    desk.commit("base");
    desk.unseen("a.py", TWO);
    desk.hook(&json!({
        "type": "ai_agent", "repo_working_dir": desk.root, "edited_filepaths": ["a.py"],
        "agent_name": "agent", "model": "m", "conversation_id": "s1",
    }));
    let blame = desk.blame(&["a.py"]);
    assert_eq!(authors_of(&blame), "--aaa");
    assert_eq!(blame["lines"][4]["how"], "inferred");
    desk.commit("two");
    let blame = desk.blame(&["--rev", "HEAD", "a.py"]);
    assert_eq!((authors_of(&blame).as_str(), &blame["lines"][4]["how"]), ("--aaa", &json!("inferred")));
}

#[test]
fn authors_stay_through_amend_squash_renames_staging_in_parts_stash_merge_and_rebase() {
    let desk = Desk::new();
    desk.ai("a.py", ONE);
    desk.commit("one");
    let by_hand = format!("{ONE}hand = one(41)  # by hand\n");
    desk.human("a.py", &by_hand);
    git(&desk.root, &["commit", "-q", "--amend", "-am", "one, amended"]);
    desk.check(&["--rev", "HEAD", "a.py"], "aah");
    git(&desk.root, &["mv", "a.py", "b.py"]);
    desk.check(&["b.py"], "aah");
    desk.commit("git mv");
    std::fs::rename(desk.root.join("b.py"), desk.root.join("c.py")).unwrap();
    desk.check(&["c.py"], "aah");
    desk.commit("plain mv");
    desk.check(&["--rev", "HEAD", "c.py"], "aah");
    desk.check(&["--rev", "HEAD~2", "a.py"], "aah");
    // Two lines of an AI's three are staged.
    let all = format!("{by_hand}third = ai(3)\nfourth = ai(4)\nfifth = ai(5)\n");
    desk.ai("c.py", &all);
    desk.unseen("c.py", &format!("{by_hand}third = ai(3)\nfifth = ai(5)\n"));
    git(&desk.root, &["add", "c.py"]);
    desk.unseen("c.py", &all);
    git(&desk.root, &["commit", "-qm", "in part"]);
    desk.check(&["--rev", "HEAD", "c.py"], "aahaa");
    desk.check(&["c.py"], "aahaaa");
    git(&desk.root, &["stash", "-q"]);
    desk.check(&["c.py"], "aahaa");
    git(&desk.root, &["stash", "pop", "-q"]);
    desk.check(&["c.py"], "aahaaa");
    desk.commit("rest");
    // Another line of history, and both together.
    git(&desk.root, &["checkout", "-q", "-b", "side", "HEAD~1"]);
    desk.human("other.py", "side = other(1)  # by hand\n");
    desk.commit("side");
    git(&desk.root, &["checkout", "-q", "main"]);
    git(&desk.root, &["merge", "-q", "--no-edit", "side"]);
    desk.check(&["--rev", "HEAD", "c.py"], "aahaaa");
    desk.check(&["--rev", "HEAD", "other.py"], "h");
    git(&desk.root, &["reset", "-q", "--hard", "HEAD~1"]);
    git(&desk.root, &["rebase", "-q", "side"]);
    desk.check(&["--rev", "HEAD", "c.py"], "aahaaa");
    // One commit of all of it, after everything else is gone.
    let root = git(&desk.root, &["rev-list", "--max-parents=0", "HEAD"]);
    git(&desk.root, &["reset", "-q", "--soft", root.trim()]);
    git(&desk.root, &["commit", "-qm", "squashed"]);
    desk.check(&["--rev", "HEAD", "c.py"], "aahaaa");
}

#[test]
fn an_edit_that_nobody_saw_is_nobodys_and_what_a_person_types_is_never_an_ais() {
    let desk = Desk::new();
    desk.ai("a.py", TWO);
    // A person takes it out, and writes the same again.
    desk.human("a.py", ONE);
    desk.hook(&json!({ "type": "human", "repo_working_dir": desk.root, "will_edit_filepaths": ["a.py"] }));
    desk.unseen("a.py", &format!("{ONE}\nunseen = nobody(1)\n"));
    desk.check(&["a.py"], "aa--");
    desk.commit("unseen");
    desk.check(&["--rev", "HEAD", "a.py"], "aa--");
}

#[test]
fn what_git_brings_while_an_agent_runs_it_is_not_the_agents() {
    let desk = Desk::new();
    desk.unseen("a.py", "import base\n");
    desk.commit("base");
    git(&desk.root, &["checkout", "-q", "-b", "other"]);
    desk.human("a.py", "import base\nhand = typed(1)  # by hand\nmore = typed(2)  # by hand\n");
    // Commits are dated to the second, and this one must be older than the call.
    let dated = |args: &[&str]| {
        let mut command = std::process::Command::new("git");
        command.arg("-C").arg(&desk.root).args(args).env("GIT_COMMITTER_DATE", "2026-01-02T03:04:05Z");
        assert!(command.status().unwrap().success());
    };
    dated(&["commit", "-qam", "by hand"]);
    git(&desk.root, &["checkout", "-q", "main"]);
    desk.ai_does(&desk.root, &["a.py"], || {
        git(&desk.root, &["checkout", "-q", "other"]);
        desk.unseen("a.py", "import base\nhand = typed(1)  # by hand\nmore = typed(2)  # by hand\nai = wrote(3)\n");
        git(&desk.root, &["commit", "-qam", "by the agent"]);
    });
    desk.check(&["a.py"], "-hha");
    desk.check(&["--rev", "HEAD", "a.py"], "-hha");
}

#[test]
fn odd_repositories_answer_linked_bare_detached_unborn_and_within_another() {
    let desk = Desk::new();
    desk.ai("a.py", ONE);
    desk.check(&["a.py"], "aa");
    assert_eq!(desk.refused(&["--rev", "HEAD", "a.py"]), (2, "countersign: \"HEAD\" is not a revision\n".to_owned()));
    desk.commit("one");
    git(&desk.root, &["checkout", "-q", "--detach"]);
    desk.ai("a.py", TWO);
    desk.commit("detached");
    desk.check(&["--rev", "HEAD", "a.py"], "aaaaa");
    git(&desk.root, &["checkout", "-q", "main"]);
    desk.check(&["a.py"], "aa");

    let linked = desk.world.path().join("linked");
    git(&desk.root, &["worktree", "add", "-q", linked.to_str().unwrap(), "-b", "linked"]);
    desk.ai_at(&linked, "a.py", TWO);
    assert_eq!(authors_of(&desk.blame_at(&linked, &["a.py"])), "aaaaa");
    git(&linked, &["commit", "-qam", "linked"]);
    desk.check(&["--rev", "linked", "a.py"], "aaaaa");

    let bare = desk.world.path().join("bare.git");
    git(desk.world.path(), &["clone", "-q", "--bare", "desk", "bare.git"]);
    let bare = bare.to_str().unwrap();
    desk.check(&["--git-dir", bare, "--rev", "linked", "a.py"], "aaaaa");
    let (code, said) = desk.refused(&["--git-dir", bare, "a.py"]);
    assert_eq!((code, said.contains("--rev")), (2, true));

    let inner = desk.root.join("inner");
    std::fs::create_dir(&inner).unwrap();
    desk.init(&inner);
    desk.ai_at(&inner, "b.py", ONE);
    assert_eq!(authors_of(&desk.blame_at(&inner, &["b.py"])), "aa");
    assert_eq!(desk.blame_at(&inner, &["b.py"])["path"], "b.py");

    let outside = desk.world.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    desk.ai_at(&outside, "o.py", ONE);
    assert_eq!(authors_of(&desk.blame_at(&outside, &["o.py"])), "aa");
}

#[test]
fn odd_files_answer_and_nobody_is_named_for_what_was_not_understood() {
    let desk = Desk::new();
    let odd = "we\"ird\n na\tme é:1-2.py";
    desk.ai(odd, ONE);
    desk.check(&[odd], "aa");
    desk.commit("odd");
    assert_eq!(desk.blame(&["--rev", "HEAD", odd])["path"], odd);
    desk.check(&["--rev", "HEAD", odd], "aa");

    std::fs::write(desk.root.join("latin.py"), b"caf\xe9 = 1\n").unwrap();
    std::fs::write(desk.root.join("binary"), b"\0\x01\x02\n").unwrap();
    let large = std::fs::File::create(desk.root.join("large")).unwrap();
    large.set_len(1 << 30).unwrap();
    let answers = [("latin.py", "-", "not UTF-8"), ("binary", "", "not text"), ("large", "", "larger than")];
    for (file, authors, words) in answers {
        let blame = desk.blame(&[file]);
        assert_eq!((authors_of(&blame).as_str(), &blame["complete"]), (authors, &json!(false)), "{file}");
        assert!(blame["missing"][0].as_str().unwrap().contains(words), "{blame}");
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("latin.py", desk.root.join("link")).unwrap();
        assert_eq!(desk.blame(&["link"])["lines"][0]["text"], "latin.py");
    }
    assert_eq!(desk.refused(&["."]).0, 2);
    assert_eq!(desk.refused(&["none.py"]).0, 2);
    assert_eq!(desk.refused(&["latin.py:7"]).0, 2);
    assert_eq!(desk.refused(&["latin.py:0"]).0, 2);
}

#[test]
fn a_damaged_snapshot_is_told_and_its_lines_are_nobodys() {
    let desk = Desk::new();
    desk.ai("a.py", ONE);
    desk.ai("b.py", ONE);
    let spool = desk.world.home().join("state/spool.db");
    let spool = rusqlite::Connection::open(spool).unwrap();
    spool.execute_batch("UPDATE texts SET sealed = zeroblob(60)").unwrap();
    std::fs::write(desk.root.join("a.py"), TWO).unwrap();
    let blame = desk.blame(&["a.py"]);
    assert_eq!(authors_of(&blame), "-----");
    assert!(blame["missing"].to_string().contains("damaged"), "{blame}");
}

#[test]
fn what_was_settled_is_attested_once_and_outlasts_the_texts_it_came_from() {
    let desk = Desk::new();
    desk.ai("a.py", ONE);
    desk.commit("one");
    desk.human("a.py", &format!("{ONE}hand = one(41)  # by hand\n"));
    desk.commit("two");
    let settle = || {
        let mut command = desk.world.countersign(["settle"]);
        command.current_dir(&desk.root).spawn().unwrap()
    };
    for mut child in [settle(), settle(), settle()] {
        assert!(child.wait().unwrap().success());
    }
    let events = desk.world.log();
    let attested = of_type(&events, "commit.attested");
    assert_eq!(attested.len(), 2);
    let second = &attested[1]["data"];
    assert_eq!(second["commit"], git(&desk.root, &["rev-parse", "HEAD"]).trim());
    assert_eq!(second["parents"], json!([git(&desk.root, &["rev-parse", "HEAD~"]).trim()]));
    let file = &second["files"][0];
    assert_eq!(file["blob"], git(&desk.root, &["rev-parse", "HEAD:a.py"]).trim());
    let end = file["spans"].as_array().unwrap().last().unwrap()["end"].as_u64().unwrap();
    assert_eq!(end, std::fs::metadata(desk.root.join("a.py")).unwrap().len(), "the whole blob is told");
    let spool = rusqlite::Connection::open(desk.world.home().join("state/spool.db")).unwrap();
    spool.execute_batch("DELETE FROM snapshots; DELETE FROM texts").unwrap();
    desk.check(&["--rev", "HEAD", "a.py"], "aah");
    desk.check(&["a.py"], "aah");
    assert_eq!(of_type(&desk.world.log(), "commit.attested").len(), 2);
}

#[test]
fn nothing_is_kept_where_capture_is_off() {
    let desk = Desk::new();
    std::fs::write(desk.world.policy_file(), "[capture]\noff = true\n").unwrap();
    desk.ai("a.py", ONE);
    desk.human("a.py", TWO);
    let count = || {
        let spool = rusqlite::Connection::open(desk.world.home().join("state/spool.db")).ok()?;
        spool.query_row("SELECT count(*) FROM snapshots", [], |row| row.get::<_, i64>(0)).ok()
    };
    assert_eq!(count().unwrap_or(0), 0);
    std::fs::write(desk.world.policy_file(), "").unwrap();
    desk.ai("a.py", ONE);
    assert!(count().unwrap() > 0);
}
