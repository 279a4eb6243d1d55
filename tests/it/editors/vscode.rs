//! A real VS Code with our extension in it, beside another vendor's AI extension: from the ghost text to
//! the answer of `trace`, by a real keyboard in a real browser.
//!
//! The VS Code here gives every extension the proposed API. Ours uses it only where its manifest asks for
//! it, so both builds are played: as everybody has it, and as an organisation can install it.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::{World, of_type, wait_for};

/// What the stand-in offers after `def run(command):`.
const OFFERED: &str = "\n    return subprocess.run(command, shell=True)";

#[test]
fn suggestions_taken_and_dismissed_by_keys_are_recorded_without_a_guess_whose_they_were() {
    let world = World::new();
    let log = play(&world, "stock");
    let accepted = of_type(&log, "suggestion.accepted");
    assert_eq!(accepted.len(), 2, "{accepted:#?}");
    for event in &accepted {
        assert_eq!(event["data"]["how"], "reported");
        assert_eq!(event["data"]["gesture"], "explicit");
        assert_eq!(event["data"]["path"]["tool"], "vscode-inline-suggestion");
        assert_eq!(event["data"]["path"]["transport"], "extension");
        assert_eq!(event["data"]["model"]["absent"], "not_on_wire");
        assert_eq!(event["data"]["place"]["path"], "run.py");
    }
    assert_eq!(accepted[0]["content"]["accepted"], OFFERED);
    assert_eq!(accepted[1]["content"]["accepted"], "first");
    assert_eq!(accepted[1]["data"]["extent"], "partial");
    // The rest of the second one, and the third: nobody told us what they said.
    let rejected = of_type(&log, "suggestion.rejected");
    assert_eq!(rejected.len(), 2, "{rejected:#?}");
    for event in &rejected {
        assert_eq!(event["data"]["reason"], "dismissed");
        assert_eq!(event["data"]["output"]["absent"], "not_on_wire");
    }
    let file = world.path().join("project/run.py");
    let trace = world.json(["trace", "--json", &format!("{}:3", file.display())]);
    assert!(trace.iter().any(|line| line["contribution"] == accepted[0]["data"]["contribution"]), "{trace:#?}");
    let human = world.json(["trace", "--json", &format!("{}:2", file.display())]);
    assert!(human.iter().all(|line| line.get("contribution").is_none()), "{human:#?}");
}

#[test]
fn where_vs_code_names_the_source_of_a_change_the_tool_and_its_version_are_known() {
    let world = World::new();
    let log = play(&world, "proposed");
    let accepted = of_type(&log, "suggestion.accepted");
    assert_eq!(accepted.len(), 2, "{accepted:#?}");
    for event in &accepted {
        assert_eq!(event["data"]["path"]["tool"], "countersign-tests.stand-in");
        assert_eq!(event["data"]["path"]["version"], "1.2.3");
    }
}

/// Lets a person work through the story in a VS Code of their own, and returns the trail.
fn play(world: &World, build: &str) -> Vec<Value> {
    let project = world.repository("project");
    std::fs::write(project.join("run.py"), "import subprocess\n").unwrap();
    let code = Code::start(world, build);
    let report = code.person(&project);
    assert_eq!(report.get("error"), None, "{report:#}\n{}", code.log());
    for step in ["started", "accepted", "partial", "dismissed", "paused", "trail"] {
        assert_eq!(report[step], true, "{step}: {report:#}");
    }
    // One line of the AI's, one of the AI and the person, one that is blank or the person's: no mark.
    let marks = report["marks"].as_array().unwrap();
    assert!(marks.iter().any(|style| style == "solid"), "{report:#}");
    wait_for("both acceptances in the trail", || {
        let log = world.log();
        (of_type(&log, "suggestion.accepted").len() >= 2).then_some(log)
    })
}

/// A VS Code with the two extensions; it ends with the test.
struct Code {
    child: Child,
    dir: PathBuf,
    port: u16,
}

impl Code {
    fn start(world: &World, build: &str) -> Code {
        let dir = world.path().join("vscode");
        let (user, extensions) = (dir.join("user"), dir.join("extensions"));
        std::fs::create_dir_all(user.join("User")).unwrap();
        std::fs::write(
            user.join("User/settings.json"),
            r#"{ "workbench.startupEditor": "none", "chat.disableAIFeatures": true,
                 "workbench.secondarySideBar.defaultVisibility": "hidden", "editor.suggestOnTriggerCharacters": false,
                 "editor.quickSuggestions": { "other": "off" }, "editor.autoClosingBrackets": "never" }"#,
        )
        .unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let packages = packages(world, build);
        let program = |dir: &Path| {
            let mut command = Command::new(crate::editors::program("COUNTERSIGN_VSCODE"));
            command
                .env_clear()
                .env("PATH", "/usr/bin:/bin")
                .env("HOME", dir.join("home"))
                .env("COUNTERSIGN_HOME", world.home())
                .env("COUNTERSIGN_POLICY", world.policy_file())
                // It asks no gallery of the world.
                .env("EXTENSIONS_GALLERY", r#"{"serviceUrl":"http://127.0.0.1:9"}"#)
                .arg("--user-data-dir")
                .arg(&user)
                .arg("--extensions-dir")
                .arg(&extensions)
                .arg("--config")
                .arg(dir.join("config.yaml"))
                .stdin(Stdio::null());
            command
        };
        for package in packages {
            let output = program(&dir).arg("--install-extension").arg(package).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let log = std::fs::File::create(dir.join("log")).unwrap();
        let child = program(&dir)
            .args(["--auth", "none", "--disable-telemetry", "--disable-update-check", "--disable-workspace-trust"])
            .args(["--disable-getting-started-override", "--bind-addr"])
            .arg(format!("127.0.0.1:{port}"))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            // The extension host may outlive the server: all of it is ended as one group.
            .process_group(0)
            .spawn()
            .expect("VS Code starts");
        let code = Code { child, dir, port };
        wait_for("VS Code to listen", || std::net::TcpStream::connect(("127.0.0.1", code.port)).ok());
        code
    }

    fn person(&self, project: &Path) -> Value {
        let report = self.dir.join("report.json");
        let url = format!("http://127.0.0.1:{}/?folder={}", self.port, project.display());
        let mut command = Command::new("node");
        command
            .arg(here().join("page.js"))
            .arg(url)
            .arg(&report)
            .args(std::env::var_os("COUNTERSIGN_SCREENSHOTS"))
            .env("CHROMIUM", crate::editors::program("COUNTERSIGN_CHROMIUM"))
            .env("NODE_PATH", crate::editors::program("COUNTERSIGN_PLAYWRIGHT"));
        let output = command.stdin(Stdio::null()).output().expect("node runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let report = std::fs::read(report).unwrap_or_else(|_| panic!("no report: {said}"));
        serde_json::from_slice(&report).unwrap()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.child.wait();
    }
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/it/editors/vscode").canonicalize().unwrap()
}

/// Packages our extension with a server in it, and the stand-in.
fn packages(world: &World, build: &str) -> [PathBuf; 2] {
    // What is packaged as the server runs the one under test: packing that itself would take a minute.
    let server = world.path().join("countersign");
    std::fs::write(&server, format!("#!/bin/sh\nexec '{}' \"$@\"\n", env!("CARGO_BIN_EXE_countersign"))).unwrap();
    std::fs::set_permissions(&server, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let out = ["countersign.vsix", "stand-in.vsix"].map(|name| world.path().join(name));
    let extension = here().join("../../../../editors/vscode");
    let mut ours = Command::new("node");
    ours.arg("package.mjs").args((build == "proposed").then_some("--proposed"));
    ours.args(["linux-x64".as_ref(), server.as_os_str(), out[0].as_os_str()]).current_dir(&extension);
    let mut stand_in = Command::new(extension.join("node_modules/.bin/vsce"));
    stand_in.args(["package", "--no-dependencies", "--allow-missing-repository", "--skip-license", "--out"]);
    stand_in.arg(&out[1]).current_dir(here().join("stand-in"));
    for mut command in [ours, stand_in] {
        let output = command.stdin(Stdio::null()).output().expect("the packages of editors/vscode are installed");
        assert!(output.status.success(), "{output:?}");
    }
    out
}
