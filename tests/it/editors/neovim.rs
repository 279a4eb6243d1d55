//! A real Neovim with both of our servers attached: from the ghost text to the answer of `trace`.
//!
//! `neovim.lua` is the person at the keyboard. The AI server is the stand-in, playing a recording
//! made by hand (`hand_made.jsonl`), behind the real tap.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::{World, of_type, wait_for};

#[test]
fn a_suggestion_accepted_in_neovim_is_flagged_there_and_traced_afterwards() {
    let world = World::new();
    let project = world.repository("project");
    let file = project.join("run.py");
    std::fs::write(&file, "import subprocess\n").unwrap();

    let report = drive(&world, &file);

    let offered = "    return subprocess.run(command, shell=True, check=True)";
    let line = |text: &Value| text.as_str().unwrap().lines().nth(2).unwrap().to_owned();
    assert_eq!(line(&report["accepted"]), offered);
    assert_eq!(line(&report["edited"]), offered.replace("check=True", "check=False"));
    assert_eq!(
        std::fs::read_to_string(&file).unwrap().lines().nth(2),
        report["edited"].as_str().unwrap().lines().nth(2)
    );

    // The diagnostic, as a person sees it: on the AI's line, never an error.
    let diagnostics = report["diagnostics"].as_array().unwrap();
    assert_eq!(diagnostics.len(), 1, "{diagnostics:?}");
    assert_eq!(diagnostics[0]["line"], 2);
    assert!(["WARN", "INFO"].contains(&diagnostics[0]["severity"].as_str().unwrap()), "{diagnostics:?}");
    assert!(report["hover"]["contents"].to_string().contains("stand-in"), "{}", report["hover"]);
    // Before anybody asked, and when nobody asks any more.
    assert_eq!(report["signs"], serde_json::json!(["---", "---", "----"]));

    // The trail. The servers go on for a moment after the editor.
    let contribution = wait_for("the acceptance in the trail", || {
        let log = world.log();
        let accepted = of_type(&log, "suggestion.accepted");
        accepted.first().map(|event| event["data"]["contribution"].clone())
    });
    let log = world.log();
    let about = |name| -> Vec<Value> {
        of_type(&log, name).into_iter().filter(|event| event["data"]["contribution"] == contribution).cloned().collect()
    };
    assert_eq!(about("suggestion.offered").len(), 1, "{log:#?}");
    let accepted = about("suggestion.accepted");
    assert_eq!(accepted.len(), 1, "{accepted:#?}");
    let data = &accepted[0]["data"];
    assert_eq!(data["place"]["path"], "run.py");
    assert_eq!(data["place"]["language"], "python");
    assert_eq!(data["path"]["transport"], "tap");
    assert_eq!(data["gesture"], "both", "the edit and the editor's command");
    assert_eq!(data["how"], "observed");
    // Neovim replaces the four blanks that were typed; only what is new entered.
    assert_eq!(accepted[0]["content"]["accepted"], offered.trim_start(), "{accepted:#?}");

    // The person's "False" is inside the AI's line, and stays the person's.
    let measured = about("contribution.measured");
    let last = &measured.last().unwrap()["data"];
    assert!(last["surviving_bytes"].as_u64() < last["accepted_bytes"].as_u64(), "{last:#}");
    let findings = of_type(&log, "finding.raised");
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(findings[0]["data"]["rule"], diagnostics[0]["code"]);

    let trace = world.json(["trace", "--json", &format!("{}:3", file.display())]);
    let answer = trace.iter().find(|line| line["contribution"] == contribution).expect("line 3 is traced");
    for fact in ["model", "prompt", "output", "person", "path"] {
        let fact = &answer[fact];
        assert!(fact["how"].is_string() || fact["absent"].is_string(), "{fact}");
    }
    assert_eq!(answer["path"]["tool"], "stand-in");
    assert_eq!(trace.last().unwrap()["complete"], true, "{trace:#?}");
    let human = world.json(["trace", "--json", &format!("{}:2", file.display())]);
    assert!(human.iter().all(|line| line.get("contribution").is_none()), "{human:#?}");
}

#[test]
fn the_plugin_needs_no_setup_and_puts_the_tap_before_a_servers_command() {
    let lua = r#"lua
        local countersign = require('countersign')
        vim.lsp.enable('countersign')
        io.stdout:write(vim.json.encode({
            server = vim.lsp.config.countersign.cmd,
            plain = countersign.tap({ 'ai', '--stdio' }),
            named = countersign.tap({ 'ai' }, { tool = 'mine', program = '/bin/cs' }),
            wrong = { pcall(countersign.tap, 'ai --stdio') },
        }))"#;
    let plugin = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../editors/neovim");
    let output = Command::new(program())
        .args(["--clean", "--headless", "--cmd"])
        .arg(format!("set noswapfile shada= runtimepath^={}", plugin.display()))
        .args(["-c", lua, "-c", "qall!"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["server"], serde_json::json!(["countersign", "lsp"]));
    assert_eq!(said["plain"], serde_json::json!(["countersign", "tap", "--", "ai", "--stdio"]));
    assert_eq!(said["named"], serde_json::json!(["/bin/cs", "tap", "--tool", "mine", "--", "ai"]));
    assert_eq!(said["wrong"][0], false);
    assert!(said["wrong"][1].as_str().unwrap().contains("a list of strings"), "{said}");
}

/// Lets the person work in a Neovim of their own, and returns their report.
fn drive(world: &World, file: &Path) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let here = root.join("tests/it/editors");
    let report = world.path().join("report.json");
    let scenario = [report.clone(), root.join("editors/neovim"), here.join("hand_made.jsonl"), file.to_owned()]
        .map(|path| path.into_os_string().into_string().unwrap());
    let programs = Path::new(env!("CARGO_BIN_EXE_countersign")).parent().unwrap().to_owned();
    let search = std::env::var_os("PATH").unwrap_or_default();
    let search = std::env::join_paths(std::iter::once(programs).chain(std::env::split_paths(&search))).unwrap();
    let child = Command::new(program())
        .args(["--clean", "--headless", "--cmd", "set noswapfile shada=", "-c"])
        .arg(format!("luafile {}", here.join("neovim.lua").display()))
        .env("COUNTERSIGN_SCENARIO", scenario.join("\n"))
        .env("COUNTERSIGN_HOME", world.home())
        .env("COUNTERSIGN_POLICY", world.policy_file())
        .env("PATH", search)
        .env("HOME", world.path())
        .env("XDG_STATE_HOME", world.path().join("xdg/state"))
        .env("XDG_CACHE_HOME", world.path().join("xdg/cache"))
        .env("XDG_CONFIG_HOME", world.path().join("xdg/config"))
        .env("XDG_DATA_HOME", world.path().join("xdg/data"))
        .current_dir(world.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("Neovim starts");
    let mut neovim = Neovim { child, report, log: world.path().join("xdg/state/nvim/lsp.log") };
    let status = wait_for("the person in Neovim to finish", || neovim.child.try_wait().unwrap());
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&neovim.report).unwrap()).unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(report.get("error"), None);
    report
}

/// Ends with the test, whatever the test does; after a failure it says how far the person came.
struct Neovim {
    child: Child,
    report: PathBuf,
    log: PathBuf,
}

impl Drop for Neovim {
    #[expect(clippy::print_stderr, reason = "part of a failing test's message")]
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            for file in [&self.report, &self.log] {
                eprintln!("{}:\n{}", file.display(), std::fs::read_to_string(file).unwrap_or_default());
            }
        }
    }
}

/// The Neovim that `tests/run` found, else the one its recipe finds or installs.
fn program() -> PathBuf {
    if let Some(program) = std::env::var_os("COUNTERSIGN_NVIM") {
        return program.into();
    }
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/editors/neovim.sh");
    let output = Command::new(recipe).output().expect("the recipe runs");
    assert!(
        output.status.success(),
        "no Neovim with inline completion (leave these tests out with `-- --skip editors::`):\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim_end().into()
}
