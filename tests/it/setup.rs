//! `countersign setup git` and the hooks it sets up, in real repositories with real git.

#![cfg(unix)]

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use countersign_spool::Spool;
use serde_json::{Value, json};

use crate::support::{World, git, json_lines, of_type, wait_for};

const HOOKS: [&str; 3] = ["post-commit", "post-rewrite", "pre-push"];

/// Writes down how it was called, and ends with 3.
const CURIOUS: &str = "#!/bin/sh\n{ echo \"$0\"; for a in \"$@\"; do echo \"[$a]\"; done; cat; } > \"$OUT\"\nexit 3\n";

struct Desk {
    world: World,
    root: PathBuf,
}

impl Desk {
    fn new() -> Desk {
        let world = World::new();
        let root = world.repository("app");
        Desk { world, root }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    fn write(&self, path: &str, text: &str, mode: u32) {
        let file = self.at(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn setup(&self, args: &[&str]) -> Output {
        self.world.countersign([&["setup", "git"], args].concat()).current_dir(&self.root).output().unwrap()
    }

    fn set_up(&self) {
        let output = self.setup(&["--yes"]);
        assert!(output.status.success(), "{output:?}");
        assert!(self.setup(&["--check"]).status.success());
    }

    fn undo(&self) {
        let output = self.setup(&["--undo", "--yes"]);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(self.setup(&["--check"]).status.code(), Some(1));
    }

    fn git(&self, args: &[&str]) -> Output {
        self.git_in(&self.root, args)
    }

    fn git_in(&self, dir: &Path, args: &[&str]) -> Output {
        Command::new("git")
            .args(args)
            .current_dir(dir)
            .env("COUNTERSIGN_HOME", self.world.home())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GIT_EDITOR", "true")
            .env("OUT", self.world.path().join("out"))
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn commit(&self) -> Output {
        let output = self.git(&["commit", "-q", "--allow-empty", "-m", "x"]);
        assert!(output.status.success(), "{output:?}");
        output
    }

    fn head(&self) -> String {
        git(&self.root, &["rev-parse", "HEAD"]).trim().to_owned()
    }

    /// What is told of moves, once it is this many: on a busy machine git goes on before a hook is done.
    fn moved(&self, count: usize) -> Vec<Value> {
        wait_for("the hooks to be done", || {
            let moved = self.told();
            assert!(moved.len() <= count, "{moved:?}");
            (moved.len() == count).then_some(moved)
        })
    }

    fn told(&self) -> Vec<Value> {
        // Hooks that met on one device left letters: whoever writes next takes them in.
        let state = self.world.home().join("state");
        if std::fs::read_dir(state.join("inbox")).is_ok_and(|mut letters| letters.next().is_some()) {
            Spool::open(&state).and_then(|mut spool| spool.append(&[])).unwrap();
        }
        // Before the first event there is no spool to read.
        let output = self.world.countersign(["log", "--json"]).output().unwrap();
        let events = json_lines(&output.stdout);
        of_type(&events, "ref.moved").iter().map(|event| event["data"].clone()).collect()
    }

    /// Lets our hook after a commit begin with this, and write down when it has ended: on a busy machine git
    /// goes on before that. Returns what waits for so many ends.
    fn ends_of_hooks(&self, begin: &str) -> impl Fn(usize) + use<> {
        let (real, ended) = (env!("CARGO_BIN_EXE_countersign"), self.world.path().join("ended"));
        let program = self.world.path().join("program");
        let text = format!("#!/bin/sh\n({begin}\nexec '{real}' \"$@\")\necho >>'{}'\n", ended.display());
        std::fs::write(&program, text).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let hook = self.at(".git/hooks/post-commit");
        let text = std::fs::read_to_string(&hook).unwrap();
        assert!(text.contains(real), "{text}");
        std::fs::write(&hook, text.replace(real, program.to_str().unwrap())).unwrap();
        move |count| {
            wait_for("the hook's end", || (std::fs::read(&ended).is_ok_and(|it| it.len() >= count)).then_some(()))
        }
    }

    fn out(&self) -> String {
        std::fs::read_to_string(self.world.path().join("out")).unwrap_or_default()
    }

    /// Everything below a directory: path, permissions, bytes or target.
    fn tree(&self, dir: &str) -> Vec<(PathBuf, u32, Vec<u8>)> {
        let mut found = Vec::new();
        let mut dirs = vec![self.at(dir)];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).into_iter().flatten() {
                let path = entry.unwrap().path();
                let metadata = path.symlink_metadata().unwrap();
                let bytes = if metadata.is_symlink() {
                    path.read_link().unwrap().into_os_string().into_encoded_bytes()
                } else if metadata.is_dir() {
                    dirs.push(path.clone());
                    Vec::new()
                } else {
                    std::fs::read(&path).unwrap()
                };
                found.push((path, metadata.permissions().mode(), bytes));
            }
        }
        found.sort();
        found
    }
}

// What the hooks tell

#[test]
fn a_commit_an_amended_one_and_a_rebase_are_in_the_trail_with_where_they_moved_from() {
    let desk = Desk::new();
    desk.set_up();
    let first = desk.head();
    desk.commit();
    let second = desk.head();
    assert!(desk.git(&["commit", "-q", "--allow-empty", "--amend", "-m", "y"]).status.success());
    let third = desk.head();
    let mut moved = desk.moved(3);
    // Hooks that git did not wait for are told in any order.
    moved.sort_by_key(|it| (it["by"].to_string(), it["after"] == third.as_str()));
    let told: Vec<_> = moved.iter().map(|it| (&it["by"], &it["before"], &it["after"])).collect();
    assert_eq!(
        told,
        [
            (&json!("post-commit"), &json!(first), &json!(second)),
            (&json!("post-commit"), &json!(second), &json!(third)),
            (&json!("post-rewrite"), &json!(second), &json!(third)),
        ]
    );
    for it in &moved {
        assert_eq!((&it["reference"], &it["how"]), (&json!("refs/heads/main"), &json!("observed")));
        assert_eq!(it["repository"], first.as_str());
    }
    assert_eq!(moved[2]["rewritten"], json!([[second, third]]));

    desk.git(&["switch", "-q", "-c", "other", &first]);
    desk.commit();
    let base = desk.head();
    desk.git(&["switch", "-q", "main"]);
    assert!(desk.git(&["rebase", "-q", "--keep-empty", "other"]).status.success());
    assert_eq!(git(&desk.root, &["rev-parse", "HEAD~"]).trim(), base);
    wait_for("the rebase to be told", || {
        let head = desk.head();
        let told = desk.told();
        let rebased = told.iter().find(|it| it["by"] == "post-rewrite" && it["after"] == head.as_str())?;
        // On a busy machine git has gone on, and its list of them with it: then nothing is guessed.
        let pairs = &rebased["rewritten"];
        assert!(pairs.is_null() || *pairs == json!([[third, head]]), "{rebased}");
        Some(())
    });
}

#[test]
fn a_push_tells_what_is_about_to_leave() {
    let desk = Desk::new();
    desk.set_up();
    git(desk.world.path(), &["init", "-q", "--bare", "remote"]);
    assert!(desk.git(&["push", "-q", "../remote", "main"]).status.success());
    let moved = desk.moved(1);
    assert_eq!((&moved[0]["by"], &moved[0]["after"]), (&json!("pre-push"), &json!(desk.head())));
    assert!(moved[0].get("before").is_none());
}

#[test]
fn a_repository_that_opted_out_and_a_pause_leave_no_word_of_commits() {
    let desk = Desk::new();
    desk.set_up();
    let ended = desk.ends_of_hooks("");
    desk.write(".countersign/policy.toml", "[capture]\noff = true\n", 0o644);
    std::fs::remove_file(desk.world.policy_file()).unwrap();
    desk.commit();
    ended(1);
    std::fs::remove_dir_all(desk.at(".countersign")).unwrap();
    desk.world.run(["pause"]);
    desk.commit();
    ended(2);
    desk.world.run(["resume"]);
    desk.commit();
    ended(3);
    assert_eq!(desk.moved(1)[0]["after"], desk.head());
}

// Setting up and undoing

#[test]
fn nothing_is_changed_before_somebody_says_yes() {
    let desk = Desk::new();
    let before = desk.tree(".git");
    let output = desk.setup(&[]);
    assert_eq!(output.status.code(), Some(2));
    let shown = String::from_utf8(output.stdout).unwrap();
    for hook in HOOKS {
        assert!(shown.contains(&format!("+++ {}\n", desk.at(".git/hooks").join(hook).display())), "{shown}");
    }
    assert!(shown.contains("\n+#!/bin/sh\n"), "{shown}");
    assert_eq!(desk.tree(".git"), before);
    assert_eq!(desk.setup(&["--check"]).status.code(), Some(1));
}

#[test]
fn what_is_set_up_twice_is_set_up_once_and_undone_to_the_byte() {
    let desk = Desk::new();
    desk.write(".git/hooks/post-commit", "#!/bin/sh -e\necho mine\n", 0o750);
    desk.write(".git/hooks/post-rewrite", "#!/usr/bin/env python3\nprint('mine')\n", 0o755);
    desk.write(".git/hooks/elsewhere", "#!/bin/sh\n", 0o755);
    symlink("elsewhere", desk.at(".git/hooks/pre-push")).unwrap();
    let before = desk.tree(".git");
    desk.set_up();
    let with = desk.tree(".git");
    assert!(desk.at(".git/countersign/before/post-commit").exists());
    desk.set_up();
    assert_eq!(desk.tree(".git"), with);
    desk.undo();
    assert_eq!(desk.tree(".git"), before);
    desk.undo();
    assert_eq!(desk.tree(".git"), before);
}

#[test]
fn a_hook_that_is_there_gets_its_name_arguments_and_stdin_and_its_status_counts() {
    for (name, script) in [
        ("in place", CURIOUS.to_owned()),
        // Not for a shell: it is set aside.
        ("aside", CURIOUS.replace("#!/bin/sh", "#!/usr/bin/env -S perl -e exec('sh',@ARGV)")),
    ] {
        let desk = Desk::new();
        git(desk.world.path(), &["init", "-q", "--bare", "remote"]);
        desk.write(".git/hooks/pre-push", &script, 0o755);
        let push = ["push", "-q", "../remote", "main"];
        let without = (desk.git(&push).status.code(), desk.out());
        assert!(without.1.contains("[../remote]\n") && without.1.contains(&desk.head()), "{without:?}");
        desk.set_up();
        std::fs::remove_file(desk.world.path().join("out")).unwrap();
        let with = (desk.git(&push).status.code(), desk.out().replace(".before-countersign", ""));
        assert_eq!(with, without, "{name}");
        desk.moved(1);
    }
}

#[test]
fn a_hook_that_was_switched_off_stays_off() {
    let desk = Desk::new();
    desk.write(".git/hooks/post-commit", CURIOUS, 0o644);
    desk.set_up();
    desk.commit();
    assert_eq!(desk.out(), "");
    desk.moved(1);
    desk.undo();
    assert_eq!(desk.at(".git/hooks/post-commit").metadata().unwrap().permissions().mode() & 0o777, 0o644);
}

#[test]
fn hooks_of_a_directory_in_the_work_tree_are_chained_and_do_not_show_as_new_files() {
    let desk = Desk::new();
    desk.write(".githooks/pre-push", CURIOUS, 0o755);
    desk.write(".githooks/pre-commit", "#!/bin/sh\nexit 0\n", 0o755);
    git(&desk.root, &["add", "-A"]);
    git(&desk.root, &["commit", "-qm", "hooks"]);
    git(&desk.root, &["config", "core.hooksPath", ".githooks"]);
    let (hooks, own) = (desk.tree(".githooks"), desk.tree(".git/info"));
    std::fs::create_dir(desk.at("below")).unwrap();
    let below = desk.world.countersign(["setup", "git", "--yes"]).current_dir(desk.at("below")).output().unwrap();
    assert!(below.status.success(), "{below:?}");
    assert_eq!(git(&desk.root, &["status", "--porcelain"]), " M .githooks/pre-push\n");
    desk.commit();
    desk.moved(1);
    desk.undo();
    assert_eq!((desk.tree(".githooks"), desk.tree(".git/info")), (hooks, own));
}

/// As husky leaves a repository: stubs that git ignores, which look for the person's hook by their own name.
#[test]
fn hooks_that_find_others_by_their_own_name_still_do() {
    let desk = Desk::new();
    desk.write(".husky/_/.gitignore", "*", 0o644);
    let finder = "#!/usr/bin/env sh\ns=$(dirname \"$(dirname \"$0\")\")/$(basename \"$0\")\n[ ! -f \"$s\" ] && exit 0\nsh -e \"$s\" \"$@\"\nexit $?\n";
    desk.write(".husky/_/h", finder, 0o644);
    for hook in HOOKS {
        desk.write(&format!(".husky/_/{hook}"), "#!/usr/bin/env sh\n. \"$(dirname \"$0\")/h\"", 0o755);
    }
    desk.write(".husky/post-commit", "echo mine > \"$OUT\"\n", 0o644);
    git(&desk.root, &["config", "core.hooksPath", ".husky/_"]);
    let before = desk.tree(".husky");
    desk.set_up();
    desk.commit();
    assert_eq!(desk.out(), "mine\n");
    desk.moved(1);
    desk.undo();
    assert_eq!(desk.tree(".husky"), before);
}

/// As pre-commit and lefthook do when they are installed after us: what they find they set aside, and the first
/// of them goes on running it.
#[test]
fn a_manager_of_hooks_that_comes_after_us_makes_nothing_be_told_twice_and_gets_its_own_back() {
    let mine = CURIOUS.replace("exit 3", "exit 0");
    let scripts =
        [Some(mine.clone()), Some(mine.replace("#!/bin/sh", "#!/usr/bin/env -S perl -e exec('sh',@ARGV)")), None];
    for (ending, runs) in [(".legacy", true), (".old", false)] {
        for mine in &scripts {
            let desk = Desk::new();
            if let Some(mine) = mine {
                desk.write(".git/hooks/post-commit", mine, 0o755);
            }
            desk.set_up();
            let (hook, kept) = (desk.at(".git/hooks/post-commit"), desk.at(&format!(".git/hooks/post-commit{ending}")));
            std::fs::rename(&hook, &kept).unwrap();
            let run = format!("[ ! -x \"$0{ending}\" ] || \"$0{ending}\" \"$@\"");
            let manager = format!("#!/usr/bin/env bash\n{}\n", if runs { &run } else { ":" });
            desk.write(".git/hooks/post-commit", &manager, 0o755);
            let check = desk.setup(&["--check"]);
            assert_eq!(check.status.code(), Some(1));
            assert!(String::from_utf8_lossy(&check.stdout).contains("set aside by another"), "{check:?}");
            desk.set_up();
            desk.commit();
            desk.moved(1);
            let ours =
                |path: &&Path| std::fs::read_to_string(path).is_ok_and(|text| text.contains("countersign begin"));
            assert_eq!([hook.as_path(), &kept].iter().filter(|path| ours(path)).count(), 1, "{ending}");
            assert_eq!(!desk.out().is_empty(), runs && mine.is_some(), "{ending}: what was there first still runs");
            desk.undo();
            let there = |path: &Path| std::fs::read_to_string(path).ok();
            assert_eq!((there(&hook), there(&kept)), (Some(manager), mine.clone()), "{ending}");
            assert_eq!(desk.tree(".git/countersign"), [], "{ending}");
        }
    }
}

#[test]
fn a_linked_work_tree_shares_the_hooks_and_tells_of_its_own_branch() {
    let desk = Desk::new();
    git(&desk.root, &["worktree", "add", "-q", "-b", "side", "../linked"]);
    let linked = desk.world.path().join("linked");
    let output = desk.world.countersign(["setup", "git", "--yes"]).current_dir(&linked).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(desk.setup(&["--check"]).status.success());
    assert!(desk.git_in(&linked, &["commit", "-q", "--allow-empty", "-m", "x"]).status.success());
    let moved = desk.moved(1);
    assert_eq!((&moved[0]["reference"], &moved[0]["before"]), (&json!("refs/heads/side"), &json!(desk.head())));
}

#[test]
fn where_nothing_can_be_set_up_that_is_said_and_nothing_is_touched() {
    let world = World::new();
    let in_dir = |dir: &Path| world.countersign(["setup", "git", "--yes"]).current_dir(dir).output().unwrap();
    assert_eq!(in_dir(world.path()).status.code(), Some(2));
    git(world.path(), &["init", "-q", "--bare", "bare"]);
    assert_eq!(in_dir(&world.path().join("bare")).status.code(), Some(2));
    let root = world.repository("app");
    for path in ["/dev/null", "not-there"] {
        git(&root, &["config", "core.hooksPath", path]);
        let output = in_dir(&root);
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("core.hooksPath"));
    }
}

#[test]
fn what_somebody_changed_inside_our_lines_is_left_alone() {
    let desk = Desk::new();
    desk.set_up();
    let file = desk.at(".git/hooks/post-commit");
    let text = std::fs::read_to_string(&file).unwrap().replace("# countersign end\n", "");
    std::fs::write(&file, &text).unwrap();
    for args in [&["--yes"][..], &["--undo", "--yes"]] {
        let output = desk.setup(args);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("left alone"));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    }
}

// Never in git's way

/// Sets up with a program of our name that can be replaced.
fn with_program() -> (Desk, PathBuf) {
    let desk = Desk::new();
    desk.write(".git/hooks/post-commit", "#!/bin/sh\necho mine > \"$OUT\"\n", 0o755);
    let program = desk.world.path().join("it's countersign");
    let real = Path::new(env!("CARGO_BIN_EXE_countersign"));
    std::fs::hard_link(real, &program).or_else(|_| std::fs::copy(real, &program).map(|_| ())).unwrap();
    let mut command = Command::new(&program);
    let command = command.args(["setup", "git", "--yes"]).current_dir(&desk.root).stdin(Stdio::null());
    assert!(command.output().unwrap().status.success());
    desk.commit();
    desk.moved(1);
    std::fs::remove_file(desk.world.path().join("out")).unwrap();
    std::fs::remove_file(&program).unwrap();
    (desk, program)
}

/// Ends a program that hangs by design, however the test ends.
struct Hanging(PathBuf);

impl Drop for Hanging {
    fn drop(&mut self) {
        let Ok(number) = std::fs::read_to_string(&self.0) else { return };
        let _ = Command::new("kill").args(["-9", number.trim()]).stderr(Stdio::null()).status();
    }
}

#[test]
fn git_goes_on_when_our_program_is_missing_is_killed_hangs_or_talks() {
    let (desk, program) = with_program();
    for script in ["", "kill -9 $$", "exec sleep 1000", "kill -STOP $$", "exec yes", "echo bad; echo bad >&2; exit 1"] {
        let hanging = Hanging(desk.world.path().join("number"));
        if !script.is_empty() {
            std::fs::write(&program, format!("#!/bin/sh\necho $$ >'{}'\n{script}\n", hanging.0.display())).unwrap();
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        // Returns when git has ended and nobody holds its output any more.
        let output = desk.commit();
        assert_eq!((output.stdout, output.stderr), (Vec::new(), Vec::new()), "{script}");
        assert_eq!(desk.out(), "mine\n", "{script}");
        std::fs::remove_file(desk.world.path().join("out")).unwrap();
        if !script.is_empty() {
            wait_for("the program to have begun", || std::fs::metadata(&hanging.0).ok().filter(|it| it.len() > 1));
        }
    }
}

#[test]
fn a_locked_spool_holds_up_no_commit_and_what_moved_is_told_later() {
    let desk = Desk::new();
    desk.set_up();
    desk.commit();
    desk.moved(1);
    let spool = rusqlite::Connection::open(desk.world.home().join("state/spool.db")).unwrap();
    spool.execute_batch("BEGIN EXCLUSIVE").unwrap();
    desk.commit();
    let letters = || std::fs::read_dir(desk.world.home().join("state/inbox")).into_iter().flatten().count();
    wait_for("the letter", || (letters() == 1).then_some(()));
    spool.execute_batch("ROLLBACK").unwrap();
    desk.commit();
    desk.moved(3);
}

#[test]
fn a_full_disk_of_ours_holds_up_no_commit_and_what_was_missed_is_a_gap() {
    let desk = Desk::new();
    desk.set_up();
    desk.commit();
    desk.moved(1);
    let hook = std::fs::read(desk.at(".git/hooks/post-commit")).unwrap();
    let ended = desk.ends_of_hooks(r#"trap "" XFSZ; ulimit -f 1"#);
    let output = desk.commit();
    assert_eq!((output.stdout, output.stderr), (Vec::new(), Vec::new()));
    ended(1);
    std::fs::write(desk.at(".git/hooks/post-commit"), hook).unwrap();
    desk.commit();
    assert_eq!(desk.moved(2)[1]["after"], desk.head());
    // It is told by the next hook that has the spool, and not by one that left a letter.
    let gap = wait_for("the gap", || {
        let mut hook = desk.world.countersign(["git", "post-commit"]);
        assert!(hook.current_dir(&desk.root).status().unwrap().success());
        let events = json_lines(&desk.world.run(["log", "--json"]).stdout);
        of_type(&events, "trail.gap").first().map(|gap| gap["data"].clone())
    });
    assert_eq!((&gap["reason"], &gap["count"]), (&json!("no_room"), &json!(1)));
}

#[test]
fn a_home_that_can_not_be_had_holds_up_no_commit() {
    let desk = Desk::new();
    desk.set_up();
    std::fs::remove_dir_all(desk.world.home()).unwrap();
    std::fs::write(desk.world.home(), "no directory").unwrap();
    desk.commit();
    let mut command = Command::new("git");
    command.args(["commit", "-q", "--allow-empty", "-m", "x"]).current_dir(&desk.root);
    command.env_remove("COUNTERSIGN_HOME").env("HOME", "/nowhere/at all").env("XDG_STATE_HOME", "/dev/null/x");
    assert!(command.output().unwrap().status.success());
}

#[test]
fn a_hook_called_in_any_way_ends_with_0_and_prints_nothing() {
    let world = World::new();
    for args in [&["git"][..], &["git", "--what"], &["git", "post-commit"], &["git", "post-rewrite", "amend", "x"]] {
        let output = world.run(args);
        assert_eq!((output.stdout, output.stderr), (Vec::new(), Vec::new()), "{args:?}");
    }
}

#[test]
fn a_stopped_editor_server_holds_up_no_commit() {
    use crate::lsp::client::Client;
    let desk = Desk::new();
    desk.set_up();
    let client = Client::initialized(&desk.world, json!({}));
    wait_for("the server's spool", || desk.world.home().join("state/spool.db").exists().then_some(()));
    client.signal("STOP");
    desk.commit();
    client.signal("CONT");
    client.finish();
    desk.moved(1);
}
