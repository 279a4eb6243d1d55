//! How long what was seen of files is kept, and that nobody's lines change hands when it goes.

use rusqlite::Connection;
use serde_json::json;

use super::{Desk, ONE};
use crate::support::of_type;

const HAND: &str = "hand = one(41)  # by hand\nmore = one(42)  # by hand\n";

fn spool(desk: &Desk) -> Connection {
    Connection::open(desk.world.home().join("state/spool.db")).unwrap()
}

/// What is kept: how often each file was seen.
fn kept(desk: &Desk) -> Vec<(String, u32)> {
    let spool = spool(desk);
    let sql = "SELECT repository_path, count(*) FROM snapshots GROUP BY 1 ORDER BY 1";
    let mut paths = spool.prepare(sql).unwrap();
    paths.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
}

fn paths(desk: &Desk) -> Vec<String> {
    kept(desk).into_iter().map(|(path, _)| path).collect()
}

/// Settles as a hook does, some days after the last time.
fn settle(desk: &Desk) {
    let place = desk.world.home().join("state/settle");
    for file in std::fs::read_dir(place).into_iter().flatten().flatten() {
        if file.path().extension().is_some_and(|it| it == "json") {
            std::fs::remove_file(file.path()).unwrap();
        }
    }
    assert!(desk.world.countersign(["settle"]).current_dir(&desk.root).status().unwrap().success());
}

fn age(desk: &Desk) {
    spool(desk).execute("UPDATE snapshots SET time = '2026-01-02T03:04:05.000Z'", []).unwrap();
}

#[test]
fn what_attested_commits_hold_is_let_go_after_a_month_and_all_authors_stay() {
    let desk = Desk::new();
    desk.ai("a.py", ONE);
    desk.human("a.py", &format!("{ONE}{HAND}"));
    desk.commit("one");
    // Not committed, and seen last.
    desk.ai("b.py", ONE);
    desk.human("b.py", &format!("{HAND}{ONE}"));
    let all = kept(&desk);
    settle(&desk);
    assert_eq!(kept(&desk), all, "it is young");
    age(&desk);
    settle(&desk);
    assert_eq!(paths(&desk), ["b.py"]);
    let count = |all: &[(String, u32)]| all.iter().map(|it| it.1).sum::<u32>();
    let gone = count(&all) - count(&kept(&desk));
    let check = || {
        desk.check(&["--rev", "HEAD", "a.py"], "aahh");
        desk.check(&["a.py"], "aahh");
        desk.check(&["b.py"], "hhaa");
    };
    check();
    let events = desk.world.log();
    let trimmed = &of_type(&events, "trail.trimmed")[0]["data"];
    assert_eq!(
        (&trimmed["what"], &trimmed["count"], &trimmed["reason"]),
        (&json!("snapshots"), &json!(gone), &json!("age"))
    );
    assert!(desk.world.countersign(["verify"]).status().unwrap().success());
    assert_eq!(desk.world.json(["status", "--json"])[0]["gaps"], json!([]));
    // Work goes on.
    desk.ai("a.py", &format!("{ONE}{HAND}{ONE}"));
    desk.check(&["a.py"], "aahhaa");
    desk.commit("two");
    desk.check(&["--rev", "HEAD", "a.py"], "aahhaa");
    desk.check(&["--rev", "HEAD", "b.py"], "hhaa");
    desk.check(&["--rev", "HEAD~1", "a.py"], "aahh");
}

#[test]
fn what_was_never_committed_goes_when_git_has_forgotten_that_time_but_not_the_last_of_a_file() {
    let desk = Desk::new();
    desk.ai("a.py", ONE);
    desk.commit("one");
    desk.ai("b.py", ONE);
    desk.human("b.py", &format!("{HAND}{ONE}"));
    desk.ai("c.py", ONE);
    age(&desk);
    settle(&desk);
    let left = kept(&desk);
    assert_eq!(paths(&desk), ["b.py", "c.py"]);
    settle(&desk);
    assert_eq!(kept(&desk), left, "the reflog reaches back to it");
    std::fs::remove_dir_all(desk.root.join(".git/logs")).unwrap();
    settle(&desk);
    assert_eq!((kept(&desk)[0].clone(), paths(&desk).len()), (("b.py".to_owned(), 1), 2));
    desk.check(&["b.py"], "hhaa");
    desk.check(&["c.py"], "aa");
    // What the last of the file was explained by is noted, and a note that can't be read names nobody.
    spool(&desk).execute("UPDATE snapshots SET sealed = zeroblob(9) WHERE length(sealed) > 0", []).unwrap();
    desk.check(&["b.py"], "----");
}

#[test]
fn where_the_bound_took_what_an_edit_began_with_nobody_is_named_for_it() {
    let desk = Desk::new();
    desk.human("a.py", HAND);
    desk.ai("a.py", &format!("{HAND}{ONE}"));
    let mut spool = countersign_spool::Spool::open(&desk.world.home().join("state")).unwrap();
    // As the bound does: the oldest first, whatever comes after them.
    let before: i64 =
        self::spool(&desk).query_row("SELECT max(rowid) - 1 FROM snapshots", [], |row| row.get(0)).unwrap();
    spool.let_go(&(1..=before).collect::<Vec<_>>(), &[]).unwrap();
    drop(spool);
    desk.check(&["a.py"], "----");
}

#[test]
fn of_an_excluded_path_nothing_is_kept_and_nothing_is_attested() {
    let desk = Desk::new();
    std::fs::create_dir(desk.root.join("private")).unwrap();
    std::fs::write(desk.world.policy_file(), "[capture]\nexclude = [\"private/**\"]\n").unwrap();
    desk.ai("private/a.py", ONE);
    desk.human("private/a.py", &format!("{ONE}{HAND}"));
    desk.ai("b.py", ONE);
    assert_eq!(paths(&desk), ["b.py"]);
    desk.commit("one");
    settle(&desk);
    let events = desk.world.log();
    let files = of_type(&events, "commit.attested")[0]["data"]["files"].as_array().unwrap().clone();
    assert_eq!(files.iter().map(|file| &file["path"]).collect::<Vec<_>>(), [&json!("b.py")]);
    desk.check(&["private/a.py"], "----");
}
