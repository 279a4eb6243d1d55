//! What a damaged record or an odd repository leaves of an answer: less, and never another author.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::json;

use super::{Desk, ONE, TWO, authors_of};
use crate::support::{git, of_type};

const HAND: &str = "hand = one(41)  # by hand\nmore = one(42)  # by hand\n";

/// Damages the sealed text that was seen with the `n`th look.
fn damage(desk: &Desk, n: usize) {
    let spool = Connection::open(desk.world.home().join("state/spool.db")).unwrap();
    let sql = "UPDATE texts SET sealed = zeroblob(60)
               WHERE rowid = (SELECT text FROM snapshots WHERE kind IS NOT NULL ORDER BY rowid LIMIT 1 OFFSET ?)";
    assert_eq!(spool.execute(sql, [n]).unwrap(), 1);
}

fn settle(desk: &Desk) {
    assert!(desk.world.countersign(["settle"]).current_dir(&desk.root).status().unwrap().success());
}

/// The loose file of an object.
fn object(desk: &Desk, name: &str) -> PathBuf {
    let oid = git(&desk.root, &["rev-parse", name]);
    let (dir, file) = oid.trim().split_at(2);
    desk.root.join(".git/objects").join(dir).join(file)
}

fn forget(desk: &Desk, name: &str) {
    std::fs::remove_file(object(desk, name)).unwrap();
}

fn kept(desk: &Desk, extension: &str) -> PathBuf {
    let mut files = std::fs::read_dir(desk.world.home().join("state/settle")).unwrap().map(|it| it.unwrap().path());
    files.find(|file| file.extension().is_some_and(|it| it == extension)).unwrap()
}

#[test]
fn where_the_text_before_an_edit_is_damaged_nobody_is_named_for_what_is_new() {
    let desk = Desk::new();
    // What a person wrote is only known from the look before the agent's edit.
    desk.human("a.py", HAND);
    desk.ai("a.py", &format!("{HAND}{ONE}"));
    desk.check(&["a.py"], "hhaa");
    damage(&desk, 0);
    let blame = desk.blame(&["a.py"]);
    assert_eq!(authors_of(&blame), "----");
    assert!(blame["missing"].to_string().contains("damaged"), "{blame}");
    // Nor where only the agent's word says that it edited.
    desk.hook(&json!({
        "type": "ai_agent", "repo_working_dir": desk.root, "edited_filepaths": ["a.py"],
        "agent_name": "agent", "model": "m", "conversation_id": "s2",
    }));
    desk.check(&["a.py"], "----");
}

#[test]
fn a_text_that_was_not_utf8_before_an_edit_gives_the_agent_nothing() {
    let desk = Desk::new();
    std::fs::write(desk.root.join("a.py"), b"caf\xe9 = 1  # by hand\n").unwrap();
    desk.commit("latin");
    desk.ai("a.py", "caf\u{e9} = 1  # by hand\n");
    desk.check(&["a.py"], "-");
    desk.commit("utf-8");
    desk.check(&["--rev", "HEAD", "a.py"], "-");
    desk.ai("a.py", &format!("caf\u{e9} = 1  # by hand\n{ONE}"));
    desk.check(&["a.py"], "-aa");
}

#[test]
fn what_git_forgot_is_said_and_the_rest_is_answered() {
    let desk = Desk::new();
    desk.ai("a.py", ONE);
    desk.commit("one");
    desk.unseen("b.py", "other = 1\n");
    desk.commit("other");
    desk.human("a.py", &format!("{ONE}{HAND}"));
    desk.commit("two");
    // The tree between, which nothing but a comparison needs.
    let tree = object(&desk, "HEAD~1^{tree}");
    let away = desk.world.path().join("tree");
    std::fs::rename(&tree, &away).unwrap();
    desk.check(&["a.py"], "aahh");
    desk.check(&["--rev", "HEAD~2", "a.py"], "aa");
    std::fs::rename(&away, &tree).unwrap();
    forget(&desk, "HEAD:a.py");
    let blame = desk.blame(&["--rev", "HEAD", "a.py"]);
    assert_eq!((authors_of(&blame).as_str(), &blame["complete"]), ("", &json!(false)));
    assert!(blame["missing"][0].as_str().unwrap().contains("git does not have"), "{blame}");
    desk.check(&["a.py"], "aahh");
}

#[test]
fn what_git_said_of_commits_is_kept_and_anything_else_in_its_place_is_read_anew() {
    let desk = Desk::new();
    desk.ai("a.py", ONE);
    desk.commit("one");
    desk.human("a.py", &format!("{ONE}{HAND}"));
    desk.commit("two");
    settle(&desk);
    let graph = kept(&desk, "graph");
    let commits = || {
        let graph: serde_json::Value = serde_json::from_slice(&std::fs::read(&graph).unwrap()).unwrap();
        graph["commits"].as_array().unwrap().len()
    };
    assert_eq!(commits(), 2);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&graph).unwrap().permissions().mode() & 0o77, 0);
    }
    // git can't compare the first commit again, and is not asked to.
    forget(&desk, "HEAD~1^{tree}");
    desk.ai("a.py", &format!("{ONE}{HAND}{ONE}"));
    desk.commit("three");
    desk.check(&["--rev", "HEAD", "a.py"], "aahhaa");
    assert_eq!(commits(), 3);
    for nonsense in ["", "{}", "nonsense", r#"{"format":99,"commits":[]}"#] {
        std::fs::write(&graph, nonsense).unwrap();
        desk.unseen("a.py", &format!("{ONE}{HAND}{ONE}unseen = 1\n"));
        desk.check(&["a.py"], "aahhaa-");
    }
}

#[test]
fn what_was_seen_before_there_was_a_repository_is_known_in_it() {
    let desk = Desk::new();
    let fresh = desk.world.path().join("fresh");
    std::fs::create_dir(&fresh).unwrap();
    desk.ai_at(&fresh, "a.py", ONE);
    desk.init(&fresh);
    assert_eq!(authors_of(&desk.blame_at(&fresh, &["a.py"])), "aa");
    git(&fresh, &["add", "."]);
    git(&fresh, &["commit", "-qm", "first"]);
    assert_eq!(authors_of(&desk.blame_at(&fresh, &["--rev", "HEAD", "a.py"])), "aa");
}

#[test]
fn trace_names_the_authors_that_blame_names_and_a_commit_is_attested_with_a_signed_head() {
    let desk = Desk::new();
    desk.ai("a.py", ONE);
    desk.human("a.py", &format!("{ONE}{HAND}"));
    desk.commit("one");
    std::fs::rename(desk.root.join("a.py"), desk.root.join("b.py")).unwrap();
    // trace settles by itself: nobody asked anything before.
    let trace = |place: &str| desk.world.json(["trace", "--json", place]);
    let at = |lines: &str| format!("{}{lines}", desk.root.join("b.py").display());
    let told = trace(&at(":1-4"));
    assert_eq!(of_type(&desk.world.log(), "commit.attested").len(), 1);
    let blame = desk.blame(&["b.py"]);
    assert_eq!(authors_of(&blame), "aahh");
    assert_eq!(told[0]["contribution"], blame["lines"][0]["contributions"][0]["id"]);
    assert_eq!(told[0]["lines"], json!([[1, 2]]));
    assert_eq!((&told[1]["lines"]["human"], &told[1]["complete"]), (&json!([[3, 4]]), &json!(true)), "{}", told[1]);
    desk.unseen("b.py", &format!("{ONE}{HAND}unseen = 1\n"));
    let told = trace(&at(":5"));
    assert_eq!((&told[0]["lines"]["unknown"], &told[0]["complete"]), (&json!([[5, 5]]), &json!(false)));
    assert_eq!(desk.blame(&["b.py:5"])["lines"][0]["how"], "observed");

    let chained = desk.world.json(["log", "--json", "--chain"]);
    let attested = chained.iter().find(|it| it["event"]["type"] == "dev.countersign.commit.attested.v1").unwrap();
    let head: countersign_event::chain::Head =
        serde_json::from_value(attested["event"]["data"]["head"].clone()).unwrap();
    assert!(countersign_spool::is_signed(&head));
    assert_eq!(json!(head.seq), json!(attested["seq"].as_u64().unwrap() - 1));
    let before = chained.iter().find(|it| it["seq"] == json!(head.seq)).unwrap();
    assert_eq!(before["hash"], json!(head.hash));
}

#[test]
fn a_large_binary_or_linked_file_is_attested_of_nobody() {
    let desk = Desk::new();
    desk.ai_does(&desk.root, &["large.txt", "binary", "link", "a.py"], || {
        std::fs::write(desk.root.join("large.txt"), "a line of many\n".repeat(700_000)).unwrap();
        std::fs::write(desk.root.join("binary"), b"\0\x01\x02\n").unwrap();
        std::fs::write(desk.root.join("a.py"), ONE).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("a.py", desk.root.join("link")).unwrap();
    });
    desk.commit("odd");
    settle(&desk);
    let events = desk.world.log();
    let attested = of_type(&events, "commit.attested");
    let files = attested[0]["data"]["files"].as_array().unwrap();
    let paths: Vec<&str> = files.iter().map(|file| file["path"].as_str().unwrap()).collect();
    assert!(!paths.contains(&"large.txt") && !paths.contains(&"binary") && paths.contains(&"a.py"), "{paths:?}");
    desk.check(&["--rev", "HEAD", "large.txt"], "");
    desk.check(&["--rev", "HEAD", "binary"], "");
    desk.check(&["--rev", "HEAD", "a.py"], "aa");
}

#[cfg(unix)]
#[test]
fn a_name_that_is_no_utf8_has_lines_that_nobody_wrote() {
    use std::os::unix::ffi::OsStrExt;
    let desk = Desk::new();
    desk.ai("a.py", TWO);
    let odd = Path::new(std::ffi::OsStr::from_bytes(b"caf\xe9.py"));
    std::fs::write(desk.root.join(odd), TWO).unwrap();
    git(&desk.root, &["add", "-A"]);
    git(&desk.root, &["commit", "-qm", "odd"]);
    let mut command = desk.world.countersign(["blame", "--json"]);
    let output = command.arg(odd).current_dir(&desk.root).output().unwrap();
    // Arguments are UTF-8: it is refused, or nobody is named.
    if output.status.success() {
        assert_eq!(authors_of(&serde_json::from_slice(&output.stdout).unwrap()), "-----");
    }
    desk.check(&["--rev", "HEAD", "a.py"], "aaaaa");
}

#[test]
fn in_a_partial_clone_what_was_not_fetched_is_not_given_to_an_agent() {
    let desk = Desk::new();
    desk.unseen("a.py", &format!("{HAND}old = 1\n"));
    desk.commit("one");
    git(&desk.root, &["config", "uploadpack.allowFilter", "true"]);
    let url = format!("file://{}", desk.root.display());
    git(desk.world.path(), &["clone", "-q", "--no-checkout", "--filter=blob:none", &url, "partial"]);
    let partial = desk.world.path().join("partial");
    git(&partial, &["remote", "set-url", "origin", "/nowhere"]);
    // An agent that sends nothing before its edit.
    std::fs::write(partial.join("a.py"), format!("{HAND}{ONE}")).unwrap();
    desk.hook(&json!({
        "type": "ai_agent", "repo_working_dir": partial, "edited_filepaths": ["a.py"],
        "agent_name": "agent", "model": "m", "conversation_id": "s1",
    }));
    assert_eq!(authors_of(&desk.blame_at(&partial, &["a.py"])), "----");
}
