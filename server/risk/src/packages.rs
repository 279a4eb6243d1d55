//! `ghost-package`: an import of a package nobody declared.
//!
//! Models invent package names, and whoever registers one is run by everybody who believed it. What
//! is declared comes from the manifest; the caller says which modules lie beside the text. It must
//! never call a package unknown where no manifest was found: then nothing is known.

use std::collections::BTreeSet;
use std::ops::Range;

use tree_sitter::Node;

use crate::Severity;
use crate::engine;
use crate::finding::{self, Finding};
use crate::grammar::Grammar;
use crate::language::Language;
use crate::semantic::{About, describe, each};

pub(crate) const ABOUT: About = About {
    id: "ghost-package",
    severity: Severity::High,
    cwe: &["CWE-1104", "CWE-829"],
    message: "no manifest declares this package",
    why: "models invent packages that sound right, and somebody else may register the name",
    fix: "look the package up before you add it to the manifest, or use one that is there",
    folded: None,
};

/// The packages that manifests declare.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Declared {
    names: BTreeSet<String>,
}

/// Files that declare packages, by language.
pub fn manifests(language: Language) -> &'static [&'static str] {
    match language {
        Language::JavaScript | Language::TypeScript | Language::Tsx => &["package.json"],
        Language::Go => &["go.mod"],
        _ => &[],
    }
}

impl Declared {
    /// Adds what the manifest `name` declares in `text`; `false` if it says nothing one can read.
    pub fn add(&mut self, name: &str, text: &str) -> bool {
        match name {
            "package.json" => self.add_package_json(text),
            "go.mod" => self.add_go_mod(text),
            _ => false,
        }
    }

    fn add_package_json(&mut self, text: &str) -> bool {
        let Ok(manifest) = serde_json::from_str::<serde_json::Value>(text) else { return false };
        self.names.extend(manifest["name"].as_str().map(str::to_owned));
        for group in ["dependencies", "devDependencies", "peerDependencies", "optionalDependencies", "imports"] {
            self.names.extend(manifest[group].as_object().into_iter().flat_map(|group| group.keys().cloned()));
        }
        true
    }

    fn add_go_mod(&mut self, text: &str) -> bool {
        let paths =
            text.split_whitespace().filter(|word| word.contains('.') && word.contains('/') || *word == "module");
        let module = text.lines().find_map(|line| line.strip_prefix("module "));
        self.names.extend(paths.map(str::to_owned));
        self.names.extend(module.map(|module| module.trim().to_owned()));
        module.is_some()
    }

    /// Tells whether an import of `path` is declared.
    fn covers(&self, language: Language, path: &str) -> bool {
        if language == Language::Go {
            return self.names.iter().any(|name| {
                path.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            });
        }
        let types = format!("@types/{}", path.trim_start_matches('@').replace('/', "__"));
        self.names.contains(path) || self.names.contains(&types)
    }
}

/// Finds imports of packages that are neither declared nor part of the language.
pub fn ghosts(language: Language, text: &str, declared: &Declared) -> Vec<Finding> {
    let Some(grammar) = language.grammar().filter(|_| text.len() <= engine::CODE_BYTES_MAX) else { return Vec::new() };
    let Some(tree) = engine::parse(grammar, text) else { return Vec::new() };
    let mut findings = Vec::new();
    for (path, range) in imports(grammar, tree.root_node(), text) {
        let Some(package) = package(language, &path) else { continue };
        if declared.covers(language, &package) {
            continue;
        }
        let mut found = describe(&ABOUT, range);
        if let Some(near) = declared.names.iter().find(|name| is_near(name, &package)) {
            found.message = format!("no manifest declares this package, and {near} is one letter away");
        }
        findings.push(found);
    }
    finding::fingerprint(&mut findings, |finding| text[finding.range.clone()].to_owned());
    findings
}

/// Returns the paths a text imports, with where they stand.
fn imports(grammar: Grammar, root: Node<'_>, text: &str) -> Vec<(String, Range<usize>)> {
    let mut found = Vec::new();
    each(root, |node| {
        let path = match (grammar, node.kind()) {
            (Grammar::TypeScript | Grammar::Tsx, "import_statement") => node.child_by_field_name("source"),
            (Grammar::TypeScript | Grammar::Tsx, "call_expression") => {
                let callee = node.child_by_field_name("function").and_then(|callee| text.get(callee.byte_range()));
                let argument = node.child_by_field_name("arguments").and_then(|list| list.named_child(0));
                // What is tried may be missing.
                let tried = std::iter::successors(node.parent(), Node::parent).any(|up| up.kind() == "try_statement");
                argument.filter(|argument| callee == Some("require") && argument.kind() == "string" && !tried)
            }
            (Grammar::Go, "import_spec") => node.child_by_field_name("path"),
            _ => None,
        };
        if let Some(path) = path {
            let written = text.get(path.byte_range()).unwrap_or_default().trim_matches(['"', '\'', '`']);
            found.push((written.to_owned(), path.byte_range()));
        }
    });
    found
}

/// Returns the package an import names; `None` for a file, an alias or a part of the language.
fn package(language: Language, path: &str) -> Option<String> {
    if language == Language::Go {
        // The standard library's paths have no dot before the first slash.
        return path.split('/').next().is_some_and(|host| host.contains('.')).then(|| path.to_owned());
    }
    let mut parts = path.split('/');
    let first = parts.next().unwrap_or_default();
    let scoped = first.starts_with('@');
    let plain = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.'))
    };
    let name = if scoped { format!("{first}/{}", parts.next()?) } else { first.to_owned() };
    // `@/x`, `~/x`, `#x`, `virtual:x` and names with capitals are aliases of a bundler.
    let known = if scoped {
        first.len() > 1 && name.split('/').all(|part| plain(part.trim_start_matches('@')))
    } else {
        plain(first)
    };
    let builtin = NODE.contains(&first);
    (known && !builtin && !path.starts_with('.') && !path.starts_with("node:")).then_some(name)
}

/// Modules that come with Node and its kin.
const NODE: &[&str] = &[
    "assert",
    "async_hooks",
    "buffer",
    "bun",
    "child_process",
    "cluster",
    "console",
    "constants",
    "crypto",
    "dgram",
    "diagnostics_channel",
    "dns",
    "domain",
    "electron",
    "events",
    "fs",
    "http",
    "http2",
    "https",
    "inspector",
    "module",
    "net",
    "os",
    "path",
    "perf_hooks",
    "process",
    "punycode",
    "querystring",
    "readline",
    "repl",
    "stream",
    "string_decoder",
    "sys",
    "timers",
    "tls",
    "trace_events",
    "tty",
    "url",
    "util",
    "v8",
    "vm",
    "vscode",
    "wasi",
    "worker_threads",
    "zlib",
];

/// Tells whether two names are one letter apart: changed, missing, added, or swapped with its neighbour.
fn is_near(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len() < 4 || a.len().abs_diff(b.len()) > 1 || a == b {
        return false;
    }
    let start = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let end = a[start..].iter().rev().zip(b[start..].iter().rev()).take_while(|(x, y)| x == y).count();
    let (left_a, left_b) = (&a[start..a.len() - end], &b[start..b.len() - end]);
    match (left_a, left_b) {
        ([x, y], [u, v]) => x == v && y == u,
        (x, y) => x.len() <= 1 && y.len() <= 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(language: Language, manifest: (&str, &str), text: &str) -> Vec<String> {
        let mut declared = Declared::default();
        assert!(declared.add(manifest.0, manifest.1));
        let findings = ghosts(language, text, &declared);
        findings.into_iter().map(|finding| format!("{} {}", &text[finding.range], finding.message)).collect()
    }

    const MANIFEST: (&str, &str) = (
        "package.json",
        r#"{"name": "me", "dependencies": {"lodash": "4", "@a/b": "1"}, "devDependencies": {"@types/left-pad": "1"}}"#,
    );

    #[test]
    fn what_no_manifest_declares_is_found_and_what_looks_like_a_declared_one_is_named() {
        let text = "import a from 'lodahs';\nconst b = require(\"made-up-package/sub\");\nimport c from '@a/c';\n";
        let found = found(Language::TypeScript, MANIFEST, text);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].contains("lodash is one letter away"), "{found:?}");
    }

    #[test]
    fn declared_ones_files_aliases_and_the_language_itself_are_left_alone() {
        let text = "import a from 'lodash/fp';\nimport b from '@a/b';\nimport c from './c';\nimport d from 'node:fs';\nimport e from 'fs/promises';\nimport f from '@/f';\nimport g from '~/g';\nimport h from 'left-pad';\nimport i from 'me';\nimport j from 'virtual:j';\nlet k; try { k = require('optional-thing'); } catch (e) {}\n// import x from 'made-up';\n";
        assert_eq!(found(Language::TypeScript, MANIFEST, text), [""; 0]);
    }

    #[test]
    fn go_modules_cover_what_lies_below_them() {
        let manifest = ("go.mod", "module a.test/me\n\nrequire (\n\tgithub.com/x/y v1.0.0\n)\n");
        let text = "package a\n\nimport (\n\t\"fmt\"\n\t\"net/http\"\n\t\"a.test/me/sub\"\n\t\"github.com/x/y/z\"\n\t\"github.com/x/yy\"\n)\n";
        assert_eq!(
            found(Language::Go, manifest, text),
            ["\"github.com/x/yy\" no manifest declares this package, and github.com/x/y is one letter away"]
        );
    }

    #[test]
    fn a_manifest_nobody_can_read_declares_nothing_and_says_so() {
        assert!(!Declared::default().add("package.json", "{"));
        assert!(!Declared::default().add("go.mod", "\n"));
    }
}
