//! `check` and `calibrate` as whole processes: what they print, what they leave out, how they end.

use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::support::{World, git, json_lines};

const TLS_OFF: &str = "import requests\n\nrequests.get(url, verify=False, timeout=5)\n";

fn write(path: &Path, text: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn check(world: &World, args: &[&str]) -> Output {
    world.countersign(["check"].iter().chain(args)).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn files(findings: &[Value]) -> Vec<&str> {
    findings.iter().map(|finding| finding["file"].as_str().unwrap()).collect()
}

#[test]
fn a_finding_says_where_what_and_how_to_get_out_of_it() {
    let world = World::new();
    write(&world.path().join("app.py"), TLS_OFF);
    let output = check(&world, &["--json", "app.py"]);
    assert_eq!(output.status.code(), Some(0));
    let findings = json_lines(&output.stdout);
    assert_eq!(findings.len(), 1, "{findings:?}");
    let finding = &findings[0];
    assert_eq!(
        (&finding["file"], &finding["rule"], &finding["severity"]),
        (&"app.py".into(), &"tls-off".into(), &"high".into())
    );
    assert_eq!((&finding["line"], &finding["end_line"]), (&3.into(), &3.into()));
    assert_eq!(finding["cwe"], serde_json::json!(["CWE-295"]));
    assert_eq!(finding["fingerprint"].as_str().unwrap().len(), 32);
    assert!(!finding["message"].as_str().unwrap().is_empty() && !finding["fix"].as_str().unwrap().is_empty());
    assert!(finding.get("folded").is_none());
    // The column points into the line, and moving the code does not change the fingerprint.
    assert!(
        TLS_OFF.lines().nth(2).unwrap()[finding["column"].as_u64().unwrap() as usize - 1..].contains("verify=False")
    );
    write(&world.path().join("app.py"), format!("x = 1\n\n{TLS_OFF}"));
    let moved = json_lines(&check(&world, &["--json", "app.py"]).stdout);
    assert_eq!((&moved[0]["line"], &moved[0]["fingerprint"]), (&5.into(), &finding["fingerprint"]));
}

#[test]
fn directories_respect_ignore_files_and_hidden_settings_are_checked() {
    let world = World::new();
    let root = world.repository("project");
    for path in ["a.py", "lib/b.py", "out/c.py", "tests/test_d.py", "vendor/e.py"] {
        write(&root.join(path), TLS_OFF);
    }
    write(&root.join(".gitignore"), "out/\n");
    write(&root.join(".github/workflows/ci.yml"), "on: push\njobs:\n  a:\n    steps:\n      - run: make\n");
    let output = world.countersign(["check", "--json"]).current_dir(&root).output().unwrap();
    let findings = json_lines(&output.stdout);
    assert_eq!(files(&findings), [".github/workflows/ci.yml", "a.py", "lib/b.py", "tests/test_d.py", "vendor/e.py"]);
    let folded: Vec<Option<&str>> = findings.iter().map(|finding| finding["folded"].as_str()).collect();
    assert_eq!(folded, [None, None, None, Some("test path"), Some("vendored")]);
    // A file that is named is checked, whatever the ignore files say.
    let named = world.countersign(["check", "--json", "out/c.py"]).current_dir(&root).output().unwrap();
    assert_eq!(json_lines(&named.stdout).len(), 1);
    let human = world.countersign(["check", "."]).current_dir(&root).output().unwrap();
    let human = text(&human.stdout).to_owned();
    assert!(human.contains("a.py:3:") && human.contains("requests.get(url, verify=False, timeout=5)"), "{human}");
    assert!(
        human.ends_with(
            "3 findings in 6 files: 2 high, 1 medium; 2 folded away (1 test path, 1 vendored), --all shows them\n"
        ),
        "{human}"
    );
    assert!(!human.contains("test_d.py"), "{human}");
    assert!(!human.contains('\u{1b}'), "colour without a terminal");
}

#[test]
fn the_exit_code_says_whether_something_is_shown_that_is_bad_enough() {
    let world = World::new();
    write(&world.path().join("tests/a.py"), TLS_OFF);
    write(&world.path().join("b.yml"), "on: push\njobs:\n  a:\n    steps: []\n");
    let code = |args: &[&str]| check(&world, args).status.code();
    assert_eq!(code(&["."]), Some(0));
    assert_eq!(code(&["--fail-on", "high", "."]), Some(0), "the only high one is folded away");
    assert_eq!(code(&["--fail-on", "medium", "."]), Some(1));
    assert_eq!(code(&["--fail-on", "medium", "--json", "."]), Some(1));
    assert_eq!(code(&["--fail-on", "terrible", "."]), Some(2));
    assert_eq!(code(&["nowhere"]), Some(2));
    assert_eq!(code(&["--stdin", "b.yml"]), Some(2));
    assert_eq!(code(&["--json", "--sarif", "."]), Some(2));
}

#[test]
fn a_text_on_stdin_is_checked_under_the_name_it_is_given() {
    let world = World::new();
    for (name, count) in [("src/app.py", 1), ("notes.txt", 0)] {
        let mut child = world
            .countersign(["check", "--json", "--stdin", "--path", name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(TLS_OFF.as_bytes()).unwrap();
        let findings = json_lines(&child.wait_with_output().unwrap().stdout);
        assert_eq!(findings.len(), count);
        assert!(findings.iter().all(|finding| finding["file"] == name));
    }
}

#[test]
fn sarif_is_read_by_a_strict_reader() {
    let world = World::new();
    write(&world.path().join("sub dir/é.py"), TLS_OFF);
    write(&world.path().join("tests/a.py"), TLS_OFF);
    write(&world.path().join("b.bin"), b"\0\0");
    let output = check(&world, &["--sarif", "."]);
    let sarif: serde_sarif::sarif::Sarif = serde_json::from_slice(&output.stdout).unwrap();
    let run = &sarif.runs[0];
    let results = run.results.as_ref().unwrap();
    assert_eq!(results.len(), 2);
    let location = results[0].locations.as_ref().unwrap()[0].physical_location.as_ref().unwrap();
    let uri = location.artifact_location.as_ref().unwrap().uri.as_deref();
    assert_eq!((uri, location.region.as_ref().unwrap().start_line), (Some("sub%20dir/%C3%A9.py"), Some(3)));
    assert_eq!(results[1].suppressions.as_ref().unwrap()[0].justification.as_deref(), Some("test path"));
    let rule = &run.tool.driver.rules.as_ref().unwrap()[usize::try_from(results[0].rule_index.unwrap()).unwrap()];
    assert_eq!(Some(&rule.id), results[0].rule_id.as_ref());
    assert_eq!(run.invocations.as_ref().unwrap()[0].tool_execution_notifications.as_ref().unwrap().len(), 1);
}

#[test]
fn whatever_a_file_holds_the_others_are_checked_and_what_was_left_out_is_said() {
    let world = World::new();
    let dir = world.path().join("project");
    write(&dir.join("a.py"), TLS_OFF);
    write(&dir.join("binary.py"), b"\x7fELF\0\0\0verify=False");
    write(&dir.join("latin.py"), b"# caf\xe9\nimport requests\nrequests.get(url, verify=False)\n");
    write(&dir.join("endless.js"), format!("child_process;exec(`${{x}}`);{}", "a(1);".repeat(100_000)));
    write(&dir.join("deep.py"), format!("verify=False\nx = {}{}\n", "(".repeat(50_000), ")".repeat(50_000)));
    write(&dir.join("open.py"), format!("verify=False\n{}", "f([{".repeat(50_000)));
    write(&dir.join("deep.tf"), "a {\n".repeat(50_000));
    write(&dir.join("deep.yml"), "- ".repeat(50_000));
    write(&dir.join("long.py"), "verify=False # much too long to be judged as code\n".repeat(30_000));
    write(&dir.join("empty.py"), "");
    std::os::unix::fs::symlink("..", dir.join("loop")).unwrap();
    std::os::unix::fs::symlink("nowhere", dir.join("dangling.py")).unwrap();
    let pipe = dir.join("pipe.py");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let output = check(&world, &["--json", "project"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let findings = json_lines(&output.stdout);
    let tls: Vec<&str> = findings
        .iter()
        .filter(|finding| finding["rule"] == "tls-off" && finding["folded"].is_null())
        .map(|finding| finding["file"].as_str().unwrap())
        .collect();
    assert!(tls.contains(&"project/a.py") && tls.contains(&"project/latin.py"), "{tls:?}");
    assert!(findings.iter().all(|finding| finding["file"] != "project/endless.js" || finding["folded"] == "generated"));
    let said = text(&output.stderr);
    assert!(said.contains("project/long.py: judged for secrets only"), "{said}");
    assert!(said.contains("1 file is no text"), "{said}");
    let named = check(&world, &["--json", "project/pipe.py"]);
    assert!(text(&named.stderr).contains("project/pipe.py: not judged: no file"), "{}", text(&named.stderr));
}

#[test]
fn a_file_that_cannot_be_read_is_said_and_the_check_did_not_succeed() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let file = world.path().join("a.py");
    write(&file, TLS_OFF);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::read(&file).is_ok() {
        // Whoever may read everything can't see this; a directory in place of the file can't be read by anybody.
        return;
    }
    let output = check(&world, &["."]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("a.py: not judged"), "{}", text(&output.stderr));
}

#[test]
fn names_and_code_cannot_steer_the_terminal() {
    let world = World::new();
    write(&world.path().join("a\u{1b}[2J.py"), "import requests\nrequests.get('\u{1b}]0;x\u{7}', verify=False)\n");
    let output = check(&world, &["."]);
    assert!(text(&output.stdout).contains("1 finding"), "{}", text(&output.stdout));
    assert!(!text(&output.stdout).contains('\u{1b}') && !text(&output.stdout).contains('\u{7}'));
}

#[test]
fn policy_allows_with_a_reason_and_asks_for_what_it_says() {
    let world = World::new();
    write(&world.path().join("lab/a.py"), TLS_OFF);
    write(&world.path().join("src/a.py"), TLS_OFF);
    let policy = |expires: &str| {
        format!(
            "[[allow]]\nrule = 'tls-off'\npaths = ['lab/**']\nowner = 'kim'\nreason = 'lab'\nexpires = '{expires}'\n\
             [[require]]\nwhen = \"severity == 'high' && path.startsWith('src/')\"\nobligations = ['review']\nblock = true\n"
        )
    };
    write(&world.policy_file(), policy("2999-01-01"));
    let output = check(&world, &["--json", "lab", "src"]);
    let findings = json_lines(&output.stdout);
    assert_eq!(findings[0]["folded"], "allowed by kim until 2999-01-01: lab");
    assert_eq!((&findings[1]["block"], &findings[1]["obligations"][0]), (&true.into(), &"review".into()));
    assert_eq!(output.status.code(), Some(1), "policy says block");
    assert_eq!(check(&world, &["--fail-on", "high", "lab"]).status.code(), Some(0));
    write(&world.policy_file(), policy("2020-01-01"));
    let output = check(&world, &["--fail-on", "high", "lab"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("what kim allowed for tls-off held until 2020-01-01"),
        "{}",
        text(&output.stderr)
    );
    write(&world.policy_file(), "[[allow]]\nrule = 'tls-off'\nowner = ");
    let output = check(&world, &["--json", "lab"]);
    assert!(text(&output.stderr).contains("policy.toml:3:"), "{}", text(&output.stderr));
    assert_eq!(json_lines(&output.stdout).len(), 1);
}

#[test]
fn a_repository_brings_its_own_policy() {
    let world = World::new();
    let root = world.repository("project");
    write(&root.join("a.py"), TLS_OFF);
    write(
        &root.join(".countersign/policy.toml"),
        "[[allow]]\nrule = 'tls-off'\nowner = 'kim'\nreason = 'r'\nexpires = '2999-01-01'\n",
    );
    let run = |required: &str| {
        write(&world.home().join("config/policy.toml"), required);
        let output = world
            .countersign(["check", "--json"])
            .env_remove("COUNTERSIGN_POLICY")
            .current_dir(&root)
            .output()
            .unwrap();
        json_lines(&output.stdout).into_iter().find(|finding| finding["rule"] == "tls-off").unwrap()
    };
    assert!(run("").get("folded").is_some());
    assert!(run("[rules]\nrequired = ['tls-off']\n").get("folded").is_none());
    assert_eq!(git(&root, &["status", "--porcelain", "--", "a.py"]), "?? a.py\n");
}

#[test]
fn rules_of_a_repository_run_within_bounds_and_a_bad_one_is_switched_off() {
    let world = World::new();
    let root = world.repository("project");
    write(&root.join("a.py"), format!("{TLS_OFF}forbidden(1)\n"));
    // Enough to keep a rule busy that looks at everything from everywhere.
    write(&root.join("b.py"), format!("x = {}1{}\n", "f(".repeat(150), ")".repeat(150)).repeat(60));
    let rule = |id: &str, rule: &str| {
        format!(
            "id: {id}\nlanguage: python\nseverity: warning\nmessage: not here\nmetadata: {{ cwe: [], why: ours, fix: leave it out }}\nrule: {rule}\n"
        )
    };
    write(&root.join(".countersign/rules/good.yml"), rule("forbidden-call", "{ pattern: forbidden($A) }"));
    write(&root.join(".countersign/rules/broken.yml"), "id: broken\nlanguage: python\nrule: {");
    write(&root.join(".countersign/rules/wrong.yml"), rule("wrong", "{ kind: no_such_kind }"));
    let slow = "{ kind: call, has: { kind: call, stopBy: end, has: { kind: call, stopBy: end, has: { kind: call, stopBy: end, regex: '^never$' } } } }";
    write(&root.join(".countersign/rules/slow.yml"), rule("slow", slow));
    let output = world.countersign(["check", "--json"]).current_dir(&root).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let findings = json_lines(&output.stdout);
    let ours: Vec<&Value> = findings.iter().filter(|finding| finding["rule"] == "forbidden-call").collect();
    assert_eq!(ours.len(), 1, "{findings:?}");
    assert_eq!(
        (&ours[0]["file"], &ours[0]["line"], &ours[0]["severity"]),
        (&"a.py".into(), &4.into(), &"medium".into())
    );
    assert!(findings.iter().any(|finding| finding["rule"] == "tls-off"));
    let said = text(&output.stderr);
    for (rule, reason) in [("broken", ""), ("wrong", ""), ("slow", "it takes too much time or memory")] {
        assert!(
            said.lines().any(|line| line.contains(&format!("{rule}.yml: switched off: {reason}"))),
            "{rule}: {said}"
        );
    }
    assert!(!said.contains("good.yml"), "{said}");
}

/// A project in which long changes bring faults.
fn past(rows: usize) -> String {
    let mut table = "_id,date,bug,__,ns,nd,nf,entrophy,la,ld,lt,fix,ndev,age,nuc,exp,rexp,sexp\n".to_owned();
    let mut state = 1u64;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for row in 0..rows {
        let added = next(1000);
        let faulty = u8::from(next(2000) < added);
        let rest: Vec<String> = (0..9).map(|_| next(40).to_string()).collect();
        table.push_str(&format!("x{row},{row},{faulty},0,1,1,{},0.5,{added},{}\n", 1 + next(5), rest.join(",")));
    }
    table
}

#[test]
fn calibrate_fits_a_past_and_says_how_good_it_is() {
    let world = World::new();
    write(&world.path().join("history/a.csv"), past(3000));
    write(&world.path().join("history/b.csv"), past(3000) + "broken,row\n");
    let lines = world.json(["calibrate", "--json", "history"]);
    assert_eq!(lines.len(), 3);
    assert_eq!(
        (&lines[0]["project"], &lines[1]["set_aside"], &lines[2]["projects"]),
        (&"a".into(), &1.into(), &2.into())
    );
    assert!(lines[2]["auc"].as_f64().unwrap() > 0.6, "{}", lines[2]);
    assert!(lines[0]["measures"].as_array().unwrap().iter().all(|measure| measure["sign"] != 0));
    let human = world.run(["calibrate", "history"]);
    assert!(text(&human.stdout).lines().last().unwrap().starts_with("mean"), "{}", text(&human.stdout));
    write(&world.path().join("short.csv"), past(20));
    let short = world.countersign(["calibrate", "short.csv"]).output().unwrap();
    assert_eq!(short.status.code(), Some(2));
    assert!(text(&short.stderr).contains("are too few"), "{}", text(&short.stderr));
}

#[test]
fn calibrate_beats_the_published_baseline_where_the_public_histories_are() {
    let Some(corpus) = std::env::var_os("COUNTERSIGN_CORPUS") else { return };
    let world = World::new();
    let lines = world.json(["calibrate".as_ref(), "--json".as_ref(), Path::new(&corpus).join("jit").as_os_str()]);
    let auc = |project: &str, model: &str| {
        let line = lines.iter().find(|line| line["project"] == project)?;
        line[model]["auc"].as_f64()
    };
    // As published, to four digits.
    for (project, published) in [("go", 0.6831), ("gerrit", 0.7495), ("platform", 0.7461)] {
        let lines_alone = auc(project, "lines_alone").unwrap();
        assert!((lines_alone - published).abs() < 0.0001, "{project}: {lines_alone}");
        assert!(auc(project, "after").unwrap() > lines_alone);
    }
    let mean = lines.last().unwrap();
    println!("{mean}");
    assert!(mean["auc"].as_f64().unwrap() >= 0.75 && mean["ece"].as_f64().unwrap() <= 0.03, "{mean}");
}
