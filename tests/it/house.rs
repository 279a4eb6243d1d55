//! The rules of the house, held by machine: what stands where, what may depend on what, what every
//! file owes its reader.
//!
//! These tests read the sources and ask cargo; they must never change a file.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The crates that decide and never act.
const PURE: [&str; 3] = ["event", "provenance", "risk"];

#[test]
fn the_visible_top_level_is_the_one_the_design_draws() {
    let visible: BTreeSet<String> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.') && name != "target")
        .collect();
    expect_test::expect![[r#"
        Cargo.lock
        Cargo.toml
        LICENSE-APACHE
        LICENSE-MIT
        README.md
        editors
        server
        tests"#]]
    .assert_eq(&Vec::from_iter(visible).join("\n"));
}

#[test]
fn arrows_between_our_crates_point_one_way() {
    let manifests = ["event", "provenance", "risk", "spool", "collector", "countersign"].map(|krate| {
        let depends: BTreeSet<String> = section(&read(format!("server/{krate}/Cargo.toml")), "[dependencies]")
            .iter()
            .filter_map(|line| line.split(['.', ' ']).next().unwrap().strip_prefix("countersign-").map(str::to_owned))
            .collect();
        format!("{krate} -> {}", Vec::from_iter(depends).join(", "))
    });
    expect_test::expect![[r#"
        event -> 
        provenance -> event
        risk -> event
        spool -> event
        collector -> event
        countersign -> collector, event, provenance, risk, spool"#]]
    .assert_eq(&manifests.join("\n"));
}

#[test]
fn pure_crates_depend_on_no_runtime_no_store_and_no_network() {
    for krate in PURE {
        let tree =
            cargo(&["tree", "--package", &format!("countersign-{krate}"), "--edges", "normal", "--prefix", "none"]);
        assert!(tree.starts_with("countersign-"), "cargo tree says: {tree}");
        for banned in
            ["tokio", "rusqlite", "libsqlite3-sys", "reqwest", "hyper", "axum", "tower", "rustix", "getrandom"]
        {
            let holder = tree.lines().find(|line| line.split(' ').next() == Some(banned));
            assert_eq!(holder, None, "{krate} must stay free of {banned}");
        }
    }
}

#[test]
fn pure_crates_call_no_file_system_environment_clock_thread_or_network() {
    const BANNED: [&str; 11] = [
        "std::fs",
        "std::env",
        "std::net",
        "std::thread",
        "std::process",
        "std::os",
        "SystemTime",
        "Instant::now",
        "now_v7",
        "new_v4",
        "Timestamp::now",
    ];
    for krate in PURE {
        for path in sources(&format!("server/{krate}/src")) {
            if is_tests_of_the_module_above(&path) {
                continue;
            }
            for (number, line) in without_tests(&read(&path)) {
                let code = line.split("//").next().unwrap();
                let found = BANNED.iter().find(|banned| code.contains(**banned));
                assert_eq!(found, None, "{}:{number}: {line}", path.display());
            }
        }
    }
}

#[test]
fn every_pure_crate_has_the_same_list_of_disallowed_calls() {
    let lists = PURE.map(|krate| read(format!("server/{krate}/clippy.toml")));
    assert!(lists.iter().all(|list| *list == lists[0]), "server/*/clippy.toml differ");
    let rules: Vec<&str> = lists[0].lines().filter(|line| line.contains("path =")).collect();
    assert!(rules.len() > 20, "{} rules", rules.len());
    assert_eq!(rules.iter().find(|rule| !rule.contains("reason = \"")), None);
}

#[test]
fn every_module_opens_with_what_it_is_for() {
    let mut silent = Vec::new();
    for path in sources("server").into_iter().chain(sources("tests")) {
        if !is_tests_of_the_module_above(&path) && !read(&path).starts_with("//!") {
            silent.push(path);
        }
    }
    assert_eq!(silent, Vec::<PathBuf>::new(), "these open without //!");
}

#[test]
fn every_dependency_has_a_reason_and_one_place_for_its_version() {
    let manifest = read("Cargo.toml");
    for line in section(&manifest, "[workspace.dependencies]") {
        let ours = line.contains("path = \"server/");
        assert!(ours || line.split_once(" # ").is_some_and(|(_, reason)| reason.len() > 8), "no reason: {line}");
    }
    for krate in ["event", "provenance", "risk", "spool", "collector", "countersign"] {
        let manifest = read(format!("server/{krate}/Cargo.toml"));
        for table in ["[dependencies]", "[dev-dependencies]", "[build-dependencies]"] {
            for line in section(&manifest, table) {
                assert!(line.contains("workspace = true"), "server/{krate}/Cargo.toml has its own version: {line}");
            }
        }
    }
}

#[test]
fn the_changelog_lists_the_current_version() {
    let version = env!("CARGO_PKG_VERSION");
    let changelog = read("server/CHANGELOG.md");
    assert!(changelog.contains(&format!("\n## [{version}]")), "server/CHANGELOG.md has no section [{version}]");
    for section in ["### Event schema", "### Custom LSP messages"] {
        assert!(changelog.contains(section), "server/CHANGELOG.md has no \"{section}\"");
    }
}

#[test]
fn the_architecture_page_prints_the_trust_table_of_the_code() {
    use countersign_event::facts::{PathKind, Trust};
    let page = read("server/ARCHITECTURE.md");
    let name = |value: serde_json::Value| value.as_str().unwrap().to_owned();
    for kind in PathKind::ALL {
        let kind_name = name(serde_json::to_value(kind).unwrap());
        let trust = name(serde_json::to_value(Trust::of(kind)).unwrap());
        let row = format!("| `{kind_name}` | `{trust}` |");
        assert!(page.contains(&row), "server/ARCHITECTURE.md lacks the row {row}");
    }
}

#[test]
fn decisions_are_numbered_without_a_hole() {
    let mut names: Vec<String> = fs::read_dir(root().join("server/decisions"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    for (index, name) in names.iter().enumerate() {
        assert!(name.starts_with(&format!("{:04}-", index + 1)) && name.ends_with(".md"), "{name} is out of order");
    }
}

#[test]
fn links_between_our_pages_lead_somewhere() {
    for page in tracked().into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "md")) {
        let text = read(&page);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap();
            if file.is_empty() || file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            let path = root().join(&page).parent().unwrap().join(file);
            assert!(path.exists(), "{}: nothing at {target}", page.display());
        }
    }
}

#[test]
fn no_file_names_a_place_on_the_machine_it_was_written_on() {
    let checkout = root().canonicalize().unwrap();
    let beside = checkout.parent().unwrap().join("shared");
    let mut places = vec![checkout.display().to_string(), beside.display().to_string()];
    if let Some(home) = std::env::var_os("HOME") {
        places.push(Path::new(&home).join(".cargo").display().to_string());
    }
    for path in tracked() {
        let Ok(text) = fs::read_to_string(root().join(&path)) else { continue };
        for place in &places {
            assert!(!text.contains(place.as_str()), "{} names {place}", path.display());
        }
    }
}

#[test]
fn the_helix_example_is_valid_and_calls_commands_that_exist() {
    let example: toml::Table = read("editors/helix/languages.toml").parse().unwrap();
    let servers = example["language-server"].as_table().unwrap();
    let subcommands: BTreeSet<&str> = servers
        .values()
        .map(|server| {
            assert_eq!(server["command"].as_str(), Some("countersign"));
            server["args"][0].as_str().unwrap()
        })
        .collect();
    assert_eq!(Vec::from_iter(subcommands), ["lsp", "tap"]);
    for language in example["language"].as_array().unwrap() {
        let last = language["language-servers"].as_array().unwrap().last().unwrap();
        assert_eq!(last["name"].as_str(), Some("countersign"), "{}", language["name"]);
    }
}

#[cfg(unix)]
#[test]
fn scripts_stop_at_the_first_error_and_can_be_run() {
    use std::os::unix::fs::PermissionsExt;
    let scripts: Vec<PathBuf> =
        tracked().into_iter().filter(|path| read_lossy(path).starts_with("#!/usr/bin/env bash")).collect();
    assert!(scripts.contains(&PathBuf::from("tests/run")), "{scripts:?}");
    for script in scripts {
        assert!(read(&script).contains("\nset -euo pipefail\n"), "{} goes on after an error", script.display());
        let mode = fs::metadata(root().join(&script)).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{} is not executable", script.display());
    }
}

// --- how these tests look at the house ------------------------------------------------------

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn read_lossy(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(root().join(path)).unwrap_or_default()).into_owned()
}

/// The lines of one table of a manifest, without blank lines and comments.
fn section<'a>(manifest: &'a str, header: &str) -> Vec<&'a str> {
    manifest
        .lines()
        .skip_while(|line| *line != header)
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .collect()
}

/// Every file git knows or would take, relative to the root; without files deleted meanwhile.
fn tracked() -> Vec<PathBuf> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git runs");
    assert!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let files: BTreeSet<PathBuf> = String::from_utf8(output.stdout)
        .unwrap()
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(PathBuf::from)
        .filter(|path| root().join(path).is_file())
        .collect();
    files.into_iter().collect()
}

/// The Rust files below a folder.
fn sources(folder: &str) -> Vec<PathBuf> {
    let files: Vec<PathBuf> = tracked()
        .into_iter()
        .filter(|path| path.starts_with(folder) && path.extension().is_some_and(|ending| ending == "rs"))
        .collect();
    assert!(!files.is_empty(), "no Rust file below {folder}");
    files
}

/// The numbered lines of a source file that are not below `#[cfg(test)]`.
fn without_tests(source: &str) -> Vec<(usize, &str)> {
    let mut inside = false;
    let mut kept = Vec::new();
    for (index, line) in source.lines().enumerate() {
        inside |= line == "#[cfg(test)]";
        if !inside {
            kept.push((index + 1, line));
        }
        if line == "}" || line.starts_with("mod ") && line.ends_with(';') {
            inside = false;
        }
    }
    kept
}

/// `mod tests` in a file of its own.
fn is_tests_of_the_module_above(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "tests.rs")
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(arguments)
        .args(["--offline", "--locked"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
