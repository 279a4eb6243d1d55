//! Real editors, headless. Few tests, and each proves something nothing cheaper can.
//!
//! A missing editor fails the test: `tests/run` installs it, `cargo test -- --skip editors::` does
//! without.

mod neovim;
mod vscode;

#[test]
fn every_setting_of_the_servers_is_one_of_vs_codes_with_the_same_type_and_default() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../editors");
    let manifest = std::fs::read_to_string(root.join("vscode/package.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let protocol = std::fs::read_to_string(root.join("PROTOCOL.md")).unwrap();
    let table = protocol.split("## Settings").nth(1).unwrap().split("## ").next().unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.split('|').map(|cell| cell.trim().trim_matches('`')).collect())
        .collect();
    assert!(rows.len() >= 2, "{table}");
    for row in rows {
        let setting = &manifest["contributes"]["configuration"]["properties"][format!("countersign.{}", row[1])];
        assert_eq!(setting["type"], row[2], "{row:?}");
        assert_eq!(setting["default"].to_string(), row[3], "{row:?}");
    }
}

/// What `tests/run` installed and names in this variable.
fn program(variable: &str) -> std::ffi::OsString {
    std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set: run the tests by tests/run"))
}
