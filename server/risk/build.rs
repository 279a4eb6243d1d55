//! Lists the rule files, so that a new rule is a file and nothing else.

#![allow(clippy::disallowed_methods, reason = "a build script: it reads the folder the crate is built from")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let folder = root.join("src/rules");
    let mut names = Vec::new();
    collect(&folder, &folder, &mut names);
    names.sort();
    let mut list = String::from("&[\n");
    for name in names {
        let path = folder.join(format!("{name}.yml"));
        writeln!(list, "    ({name:?}, include_str!({:?})),", path.display().to_string()).expect("a string grows");
    }
    list.push_str("]\n");
    let out = PathBuf::from(std::env::var("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("rules.rs"), list).expect("cargo's own folder takes a file");
}

/// Collects the rule files below `folder`, without extension, with `/` between their parts.
fn collect(top: &Path, folder: &Path, names: &mut Vec<String>) {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder).expect("the rules lie beside this script") {
        let path = entry.expect("a folder lists its files").path();
        if path.is_dir() {
            collect(top, &path, names);
            continue;
        }
        let name = path.strip_prefix(top).expect("it lies below").to_string_lossy().replace('\\', "/");
        if let Some(name) = name.strip_suffix(".yml").filter(|name| !name.ends_with(".test")) {
            names.push(name.to_owned());
        }
    }
}
