//! What `blame` and `settle` cost in a file of 5,000 lines with 200 commits, against `git blame` of it.
//!
//! Each is a whole process. Cold: nothing was settled yet, every text is carried from what was seen.
//! Warm: every commit is attested. `cargo bench -p countersign --bench blame`.

#![allow(missing_docs, reason = "a benchmark has no interface")]
#![allow(clippy::unwrap_used, reason = "a benchmark that can't run has no result")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::rc::Rc;

fn main() {
    divan::main();
}

const LINES: usize = 5_000;
const COMMITS: usize = 200;

/// A repository in which an AI and a person took turns.
struct Desk {
    home: tempfile::TempDir,
    root: Rc<tempfile::TempDir>,
}

impl Desk {
    fn new() -> Desk {
        let desk = Desk { home: tempfile::tempdir().unwrap(), root: Rc::new(tempfile::tempdir().unwrap()) };
        for args in [
            &["init", "-q"][..],
            &["config", "user.email", "dev@example.org"],
            &["config", "user.name", "Dev"],
            &["config", "gc.auto", "0"],
        ] {
            desk.git(args);
        }
        let mut lines: Vec<String> =
            (0..LINES - 2 * COMMITS).map(|n| format!("    let value_{n} = f({n});\n")).collect();
        desk.write(&lines);
        desk.git(&["add", "."]);
        desk.git(&["commit", "-qm", "first"]);
        let cwd = desk.root.path().display().to_string();
        for n in 0..COMMITS {
            let at = n * 7919 % lines.len();
            let is_ai = n % 2 == 0;
            if is_ai {
                desk.hook(&format!(r#"{{"type":"human","repo_working_dir":"{cwd}","will_edit_filepaths":["a.rs"]}}"#));
            }
            lines.splice(at..at, [format!("    call_{n}();\n"), format!("    let more_{n} = g({n}, {at});\n")]);
            desk.write(&lines);
            desk.hook(&match is_ai {
                true => format!(
                    r#"{{"type":"ai_agent","repo_working_dir":"{cwd}","edited_filepaths":["a.rs"],"agent_name":"a","model":"m","conversation_id":"s"}}"#
                ),
                false => format!(r#"{{"type":"known_human","cwd":"{cwd}","edited_filepaths":["a.rs"]}}"#),
            });
            desk.git(&["commit", "-qam", "next"]);
        }
        desk
    }

    fn write(&self, lines: &[String]) {
        std::fs::write(self.root.path().join("a.rs"), lines.concat()).unwrap();
    }

    fn git(&self, args: &[&str]) {
        let run = Command::new("git").arg("-C").arg(self.root.path()).args(args).stdout(Stdio::null()).status();
        assert!(run.unwrap().success());
    }

    fn ours(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(args).current_dir(self.root.path()).env("COUNTERSIGN_HOME", self.home.path());
        command
    }

    fn hook(&self, said: &str) {
        let mut child = self.ours(&["hook", "agent-v1"]).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(said.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }

    fn run(&self, args: &[&str]) {
        assert!(self.ours(args).stdout(Stdio::null()).status().unwrap().success());
    }

    /// The same desk with a spool that was never settled.
    fn unsettled(&self) -> Desk {
        let home = tempfile::tempdir().unwrap();
        copy(self.home.path(), home.path());
        Desk { home, root: Rc::clone(&self.root) }
    }
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().unwrap().success());
}

/// The baseline.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn git_blame(bencher: divan::Bencher<'_, '_>) {
    let desk = Desk::new();
    bencher.bench_local(|| desk.git(&["blame", "--porcelain", "a.rs"]));
}

/// Everything is attested.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn blame_warm(bencher: divan::Bencher<'_, '_>) {
    let desk = Desk::new();
    desk.run(&["blame", "--json", "a.rs"]);
    bencher.bench_local(|| desk.run(&["blame", "--json", "a.rs"]));
}

/// 200 commits are settled first.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn blame_cold(bencher: divan::Bencher<'_, '_>) {
    let desk = Desk::new();
    bencher.with_inputs(|| desk.unsettled()).bench_local_values(|desk| {
        desk.run(&["blame", "--json", "a.rs"]);
        desk
    });
}
