//! `clones`: a function that stands in the same text already, but for its names.
//!
//! It must never speak of short functions: those look alike because there is one way to write them.

use std::collections::HashMap;
use std::ops::Range;

use countersign_event::digest;
use tree_sitter::Node;

use super::{About, Code, each};
use crate::finding::Severity;

pub(super) const ABOUT: About = About {
    id: "clones",
    severity: Severity::Low,
    cwe: &["CWE-1041"],
    message: "this function stands in this file already, with other names",
    why: "a model writes a new one instead of calling the one that is there",
    fix: "call the other one; pass in what differs",
    folded: Some("it works; it costs later"),
};

/// Fewest leaves of the tree: about ten lines.
const LEAVES_MIN: usize = 80;

pub(super) fn check(code: &Code<'_>) -> Vec<Range<usize>> {
    let mut seen: HashMap<[u8; 32], Range<usize>> = HashMap::new();
    let mut found = Vec::new();
    for function in &code.functions {
        let Some(print) = print(function.node, code.text) else { continue };
        match seen.get(&print) {
            // A function inside its own twin is not another one.
            Some(first) if first.end <= function.node.start_byte() => found.push(function.head.clone()),
            Some(_) => {}
            None => {
                seen.insert(print, function.node.byte_range());
            }
        }
    }
    found
}

/// Returns what is left of a function without its names and values; `None` for a short one.
fn print(node: Node<'_>, text: &str) -> Option<[u8; 32]> {
    let mut leaves: Vec<&[u8]> = Vec::new();
    each(node, |leaf| {
        if leaf.child_count() > 0 || leaf.is_extra() {
            return;
        }
        let kind = leaf.kind();
        let named = kind.ends_with("identifier") || kind.contains("string") || kind.contains("literal");
        let part = if named || kind == "integer" { kind } else { text.get(leaf.byte_range()).unwrap_or_default() };
        leaves.push(part.as_bytes());
        leaves.push(b"\0");
    });
    (leaves.len() / 2 >= LEAVES_MIN).then(|| digest::sha256_parts(&leaves))
}
