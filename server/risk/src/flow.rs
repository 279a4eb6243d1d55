//! Follows values through a function: from where they come, through what is made of them, to where
//! they do harm.
//!
//! One walk over the syntax tree, whatever the language: an adapter names the shape of each node
//! ([`shape`]), the walk keeps what is known of each name ([`value`]), and at every call,
//! assignment or pair the rules are asked ([`rule`]). What the languages call their sources,
//! sanitizers and builders stands in `rules/tables.yml`.
//!
//! The work is bounded by the nodes of the tree; nothing here recurses deeper than [`DEPTH_MAX`].
//! It must never demand that a text parses: half of a function is judged like a whole one.

mod call;
mod glob;
mod go;
mod java;
mod javascript;
mod matching;
mod names;
mod python;
mod rule;
mod rust;
mod shape;
mod tables;
mod value;
mod walk;

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use tree_sitter::Node;

use crate::engine::BrokenRule;
use crate::finding::{Finding, Severity};
use crate::grammar::Grammar;
use glob::Glob;
use rule::{About, Clause, On};
use shape::Shape;
use tables::Tables;

/// Deepest nesting that is followed; what lies deeper is left out.
pub(crate) const DEPTH_MAX: usize = 100;

/// The file of what a language and its libraries call things.
pub(crate) const TABLES: &str = "tables";

/// The rules over flows of one language.
pub(crate) struct Flow {
    language: &'static str,
    shape: for<'t> fn(Node<'t>, &'t str) -> Shape<'t>,
    tables: Tables,
    abouts: Vec<About>,
    clauses: Vec<Clause>,
    /// Clauses by the last part of a path they look at.
    calls: ByLast,
    assigns: ByLast,
    reads: ByLast,
    /// Clauses of the other kinds.
    pairs: HashMap<String, Vec<usize>>,
    binds: Vec<usize>,
    returns: Vec<usize>,
    compares: Vec<usize>,
    catches: Vec<usize>,
    literals: Vec<usize>,
}

/// Patterns of paths, found by their last part.
#[derive(Default)]
pub(crate) struct ByLast {
    plain: HashMap<String, Vec<(Glob, usize)>>,
    others: Vec<(Glob, usize)>,
}

impl ByLast {
    pub(crate) fn push(&mut self, glob: Glob, value: usize) {
        match glob.last() {
            Some(last) => self.plain.entry(last.to_owned()).or_default().push((glob, value)),
            None => self.others.push((glob, value)),
        }
    }

    /// Returns what was filed under the patterns that describe `path`.
    pub(crate) fn find<'a>(&'a self, path: &'a str) -> impl Iterator<Item = usize> + 'a {
        let last = path.rsplit('.').next().unwrap_or(path);
        let plain = self.plain.get(last).map_or(&[][..], Vec::as_slice);
        plain.iter().chain(&self.others).filter(|(glob, _)| glob.matches(path)).map(|(_, value)| *value)
    }
}

/// A place a clause found.
pub(crate) struct Hit {
    pub(crate) clause: usize,
    pub(crate) range: Range<usize>,
    /// All of the place, which identifies it.
    pub(crate) whole: Range<usize>,
    pub(crate) source: Option<Range<usize>>,
}

impl Flow {
    /// Compiles the rules of `files` that lie in the folder `flow`; a broken one is named, not used.
    pub(crate) fn compile(files: &[(&str, &str)], grammar: Grammar, broken: &mut Vec<BrokenRule>) -> Option<Self> {
        let (language, shape): (_, for<'t> fn(Node<'t>, &'t str) -> Shape<'t>) = match grammar {
            Grammar::Python => ("python", python::shape),
            Grammar::TypeScript | Grammar::Tsx => ("javascript", javascript::shape),
            Grammar::Go => ("go", go::shape),
            Grammar::Java => ("java", java::shape),
            Grammar::Rust => ("rust", rust::shape),
        };
        let yaml = files.iter().find(|(name, _)| *name == TABLES).map_or("{}", |(_, yaml)| yaml);
        let tables = match Tables::compile(yaml, language) {
            Ok(tables) => tables,
            Err(reason) => {
                if files.iter().any(|(name, _)| name.starts_with("flow/")) {
                    broken.push(BrokenRule { name: TABLES.to_owned(), reason });
                }
                return None;
            }
        };
        let mut flow = Self {
            language,
            shape,
            tables,
            abouts: Vec::new(),
            clauses: Vec::new(),
            calls: ByLast::default(),
            assigns: ByLast::default(),
            reads: ByLast::default(),
            pairs: HashMap::new(),
            binds: Vec::new(),
            returns: Vec::new(),
            compares: Vec::new(),
            catches: Vec::new(),
            literals: Vec::new(),
        };
        for (name, yaml) in files.iter().filter(|(name, _)| name.starts_with("flow/")) {
            match rule::compile(yaml, language, flow.abouts.len()) {
                Ok((_, clauses)) if clauses.is_empty() => {}
                Ok((about, clauses)) => {
                    flow.abouts.push(about);
                    clauses.into_iter().for_each(|clause| flow.file(clause));
                }
                Err(reason) => broken.push(BrokenRule { name: (*name).to_owned(), reason }),
            }
        }
        Some(flow)
    }

    /// Files a clause under what it looks at.
    fn file(&mut self, clause: Clause) {
        let at = self.clauses.len();
        match &clause.on {
            On::Call(globs) => globs.iter().for_each(|glob| self.calls.push(glob.clone(), at)),
            On::Assign(globs) => globs.iter().for_each(|glob| self.assigns.push(glob.clone(), at)),
            On::Read(globs) => globs.iter().for_each(|glob| self.reads.push(glob.clone(), at)),
            On::Pair(keys) => keys.iter().for_each(|key| self.pairs.entry(key.clone()).or_default().push(at)),
            On::Bind(_) => self.binds.push(at),
            On::Return(_) => self.returns.push(at),
            On::Compare(_) => self.compares.push(at),
            On::Catch(_) => self.catches.push(at),
            On::Literal(_) => self.literals.push(at),
        }
        self.clauses.push(clause);
    }

    /// Finds what the rules find below `root`; the second answer is whether all of it was followed.
    pub(crate) fn check(&self, root: Node<'_>, text: &str) -> (Vec<Finding>, bool) {
        let (mut hits, whole) = walk::walk(self, root, text);
        // The worst and surest of what one rule says about one line is said.
        let mut findings: Vec<Finding> = Vec::new();
        let mut said = HashSet::new();
        // The worst and surest of what one rule says about one line is said.
        let line_of = |at: usize| text[..at].rfind('\n').map_or(0, |at| at + 1);
        hits.sort_by_key(|hit| {
            let clause = &self.clauses[hit.clause];
            (line_of(hit.range.start), clause.rule, clause.fold, std::cmp::Reverse(clause.severity), hit.range.start)
        });
        for hit in hits {
            let clause = &self.clauses[hit.clause];
            if said.insert((clause.rule, line_of(hit.range.start))) {
                findings.push(self.describe(clause, hit, text));
            }
        }
        (findings, whole)
    }

    fn describe(&self, clause: &Clause, hit: Hit, text: &str) -> Finding {
        let about = &self.abouts[clause.rule];
        let severity: Severity = clause.severity;
        Finding {
            rule: about.id.clone(),
            severity,
            cwe: about.metadata.cwe.clone(),
            message: clause.message.clone().unwrap_or_else(|| about.message.clone()),
            range: hit.range,
            source: hit.source,
            fix_hint: about.metadata.fix.clone(),
            edit: None,
            why: about.metadata.why.clone(),
            fingerprint: text.get(hit.whole).unwrap_or_default().to_owned(),
            folded: clause.fold.then_some("not sure enough"),
        }
    }
}

#[cfg(test)]
mod tests;
