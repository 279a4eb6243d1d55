//! Rules that look at more than a flow: at a function as a whole, and at the functions around it.
//!
//! One file each; a rule is what it says about itself ([`About`]) and a function from the code to
//! the places it means. It must never judge what it cannot see: a check in another file is unknown.

mod audit;
mod authorization;
mod clones;
mod crypto;
mod retry;

use std::ops::Range;

use tree_sitter::Node;

use crate::finding::{Finding, Severity};
use crate::grammar::Grammar;

/// What a rule says about itself.
pub(crate) struct About {
    pub(crate) id: &'static str,
    pub(crate) severity: Severity,
    pub(crate) cwe: &'static [&'static str],
    pub(crate) message: &'static str,
    pub(crate) why: &'static str,
    pub(crate) fix: &'static str,
    /// Why the default view folds it away, if it does.
    pub(crate) folded: Option<&'static str>,
}

/// A text as these rules see it.
pub(crate) struct Code<'t> {
    pub(crate) grammar: Grammar,
    pub(crate) root: Node<'t>,
    pub(crate) text: &'t str,
    pub(crate) functions: Vec<Function<'t>>,
}

/// A function and what stands around it.
pub(crate) struct Function<'t> {
    pub(crate) node: Node<'t>,
    pub(crate) name: &'t str,
    /// Its decorators, annotations or attributes; for a callback, the call it is given to.
    pub(crate) marks: &'t str,
    pub(crate) text: &'t str,
    /// From its marks to the end of its first line: what a finding points at.
    pub(crate) head: Range<usize>,
}

type Rule = (&'static About, fn(&Code<'_>) -> Vec<Range<usize>>);

/// Every rule of this kind.
pub(crate) const RULES: &[Rule] = &[
    (&authorization::ABOUT, authorization::check),
    (&audit::ABOUT, audit::check),
    (&retry::ABOUT, retry::check),
    (&crypto::ABOUT, crypto::check),
    (&clones::ABOUT, clones::check),
];

/// Finds what the rules of this kind find.
pub(crate) fn check(grammar: Grammar, root: Node<'_>, text: &str) -> Vec<Finding> {
    let code = Code { grammar, root, text, functions: functions(root, text) };
    let mut findings = Vec::new();
    for (about, rule) in RULES {
        findings.extend(rule(&code).into_iter().map(|range| describe(about, range)));
    }
    findings
}

pub(crate) fn describe(about: &About, range: Range<usize>) -> Finding {
    Finding {
        rule: about.id.to_owned(),
        severity: about.severity,
        cwe: about.cwe.iter().map(|cwe| (*cwe).to_owned()).collect(),
        message: about.message.to_owned(),
        range,
        source: None,
        fix_hint: about.fix.to_owned(),
        edit: None,
        why: about.why.to_owned(),
        fingerprint: String::new(),
        folded: about.folded,
    }
}

/// Calls `visit` with every named node, from outside in, without recursion.
pub(crate) fn each<'t>(root: Node<'t>, mut visit: impl FnMut(Node<'t>)) {
    let mut cursor = root.walk();
    loop {
        visit(cursor.node());
        if cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return;
            }
        }
    }
}

fn functions<'t>(root: Node<'t>, text: &'t str) -> Vec<Function<'t>> {
    let mut functions = Vec::new();
    each(root, |node| {
        let source = |range: Range<usize>| text.get(range).unwrap_or_default();
        let callback = match node.kind() {
            "function_definition"
            | "function_declaration"
            | "method_definition"
            | "function_item"
            | "method_declaration" => false,
            "arrow_function" | "function_expression" | "func_literal" => true,
            _ => return,
        };
        let marked = match node.parent() {
            Some(parent) if parent.kind() == "decorated_definition" => parent,
            Some(parent) if callback && parent.kind() == "arguments" => parent.parent().unwrap_or(parent),
            Some(_) if callback => return,
            _ => node,
        };
        let mut start = marked.start_byte();
        let mut before = node.prev_named_sibling();
        while let Some(mark) = before.filter(|mark| mark.kind() == "attribute_item") {
            start = mark.start_byte();
            before = mark.prev_named_sibling();
        }
        let body = node.child_by_field_name("body").map_or(node.end_byte(), |body| body.start_byte());
        let name = node.child_by_field_name("name").map_or("", |name| source(name.byte_range()));
        let line_end = text[node.start_byte()..].find('\n').map_or(text.len(), |at| node.start_byte() + at);
        let head = node.start_byte()..line_end.min(node.end_byte()).max(node.start_byte() + 1);
        functions.push(Function { node, name, marks: source(start..body), text: source(node.byte_range()), head });
    });
    functions
}

#[cfg(test)]
mod tests;
