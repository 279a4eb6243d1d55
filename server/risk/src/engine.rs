//! Runs the rules over a text.
//!
//! Whatever the text, the work is bounded: by its bytes, by the parser's steps, by how deep a
//! judged expression nests and by how many nodes the judged expressions hold together. What had to
//! be left out is said in the [`Report`], never silently missing.

use std::ops::{ControlFlow, Range};
use std::sync::OnceLock;

use ast_grep_core::matcher::MatcherExt;
use ast_grep_core::tree_sitter::{LanguageExt, StrDoc};
use ast_grep_core::{AstGrep, Matcher, NodeMatch};
use tree_sitter::{Node, ParseOptions, ParseState, Parser, Tree};

use crate::finding::{self, Finding};
use crate::flow::{self, Flow};
use crate::grammar::Grammar;
use crate::language::Language;
use crate::rule::Rule;
use crate::{infra, rules, secrets, semantic};

/// Longest text whose code is judged. Hand-written files are shorter; what is longer is generated.
pub(crate) const CODE_BYTES_MAX: usize = 1 << 20;
/// Deepest expression a rule is tried on: matching recurses, and the stack is finite.
const HEIGHT_MAX: usize = 200;
/// How often the nodes of a text may be looked at, all rules together. Ordinary code needs 1.
const VISITS_PER_NODE_MAX: usize = 64;
/// Longest list of code findings for one text.
const FINDINGS_MAX: usize = 1000;

/// The rules, compiled when the first text of their language comes.
#[derive(Default)]
pub struct Engine {
    /// The rules, if they are not the built-in ones.
    files: Option<Vec<(String, String)>>,
    sets: [OnceLock<RuleSet>; Grammar::COUNT],
}

/// The answer for one text.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Report {
    /// Sorted by start; findings of different rules may overlap.
    pub findings: Vec<Finding>,
    /// What was not judged, if anything. Secrets are always looked for.
    pub skipped: Option<Skipped>,
}

/// Why code was not judged, wholly or in part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skipped {
    /// The text is longer than code is judged: nothing of it was.
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The parser could not make sense of it in a reasonable number of steps: nothing was judged.
    Unparsable,
    /// Some expressions nest too deep, or there is too much to look at: the rest was judged.
    Partly,
}

/// A rule that is switched off because its file is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenRule {
    /// Language and name, as the file's path says.
    pub name: String,
    /// What is wrong.
    pub reason: String,
}

struct RuleSet {
    rules: Vec<Rule>,
    flow: Option<Flow>,
    broken: Vec<BrokenRule>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Engine {
    /// Creates an engine with the built-in rules. Cheap: nothing is compiled yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates an engine with other rules than the built-in ones: pairs of name (`python/<id>`,
    /// `flow/<id>`) and text.
    pub fn with_rules(files: Vec<(String, String)>) -> Self {
        Self { files: Some(files), ..Self::default() }
    }

    /// Finds what the rules find in `text`.
    ///
    /// Cost: the text is searched once for secrets and for the words the rules need, and parsed
    /// only if one of those stands in it.
    pub fn check(&self, language: Language, text: &str) -> Report {
        let is_built_in = self.files.is_none();
        let mut report = match language.grammar() {
            Some(grammar) => judge(self.rules(grammar), grammar, text),
            None if is_built_in => match infra::check(language, text) {
                Some(findings) => Report { findings, skipped: None },
                None => Report { findings: Vec::new(), skipped: Some(too_long(text)) },
            },
            None => Report::default(),
        };
        if is_built_in {
            report.findings.extend(secrets::check(text));
        }
        report.findings.sort_by_key(|finding| (finding.range.start, finding.range.end));
        report
    }

    /// Like [`Engine::check`], with only the findings that stand on one of `ranges`.
    pub fn check_ranges(&self, language: Language, text: &str, ranges: &[Range<usize>]) -> Report {
        let mut report = self.check(language, text);
        report.findings.retain(|finding| finding.touches(ranges));
        report
    }

    /// Returns the rules for `language` that could not be loaded; a caller must show them.
    pub fn broken_rules(&self, language: Language) -> &[BrokenRule] {
        language.grammar().map_or(&[], |grammar| &self.rules(grammar).broken)
    }

    fn rules(&self, grammar: Grammar) -> &RuleSet {
        self.sets[grammar as usize].get_or_init(|| match &self.files {
            None => RuleSet::compile(rules::FILES, grammar),
            Some(files) => {
                let files: Vec<(&str, &str)> =
                    files.iter().map(|(name, yaml)| (name.as_str(), yaml.as_str())).collect();
                RuleSet::compile(&files, grammar)
            }
        })
    }
}

impl RuleSet {
    fn compile(files: &[(&str, &str)], grammar: Grammar) -> Self {
        let mut set = Self { rules: Vec::new(), flow: None, broken: Vec::new() };
        set.flow = Flow::compile(files, grammar, &mut set.broken);
        for (name, yaml) in files.iter().filter(|(name, _)| !name.starts_with("flow/") && *name != flow::TABLES) {
            match Rule::compile(yaml, grammar) {
                Some(Ok(rule)) => set.rules.push(rule),
                Some(Err(error)) => {
                    set.broken.push(BrokenRule { name: (*name).to_owned(), reason: error.to_string() });
                }
                None => {}
            }
        }
        set
    }
}

/// Judges the code of `text`.
fn judge(set: &RuleSet, grammar: Grammar, text: &str) -> Report {
    let rules: Vec<&Rule> = set.rules.iter().filter(|rule| rule.may_match(text)).collect();
    if rules.is_empty() && set.flow.is_none() || text.trim().is_empty() {
        return Report::default();
    }
    if text.len() > CODE_BYTES_MAX {
        return Report { findings: Vec::new(), skipped: Some(too_long(text)) };
    }
    let Some(tree) = parse(grammar, text) else {
        return Report { findings: Vec::new(), skipped: Some(Skipped::Unparsable) };
    };
    let root = AstGrep::doc(StrDoc { src: text.to_owned(), lang: grammar, tree });
    let mut report = Report::default();
    if let Some(flow) = &set.flow {
        let (findings, whole) = flow.check(root.root().get_inner_node(), text);
        report.findings = findings;
        report.findings.extend(semantic::check(grammar, root.root().get_inner_node(), text));
        report.skipped = (!whole).then_some(Skipped::Partly);
    }
    let by_kind = by_kind(&rules);
    let top = root.root();
    let candidates = candidates(top.get_inner_node(), &by_kind);
    let mut visits = top.get_inner_node().descendant_count().saturating_mul(VISITS_PER_NODE_MAX);
    let mut nodes = top.dfs().enumerate();
    for candidate in candidates {
        let Some((_, node)) = nodes.find(|(index, _)| *index == candidate.index) else { break };
        let size = node.get_inner_node().descendant_count();
        for rule in &by_kind[usize::from(node.kind_id())] {
            if candidate.height > HEIGHT_MAX || visits < size || report.findings.len() >= FINDINGS_MAX {
                report.skipped = Some(Skipped::Partly);
                continue;
            }
            visits -= size;
            if let Some(found) = rule.code.matcher.match_node(node.clone()) {
                report.findings.push(describe(rule, &found));
            }
        }
    }
    report.findings.sort_by_key(|finding| (finding.range.start, finding.range.end));
    report.findings.dedup_by(|a, b| a.rule == b.rule && a.range == b.range);
    finding::fingerprint(&mut report.findings, |finding| match finding.fingerprint.as_str() {
        "" => text[finding.range.clone()].to_owned(),
        whole => whole.to_owned(),
    });
    report
}

fn too_long(text: &str) -> Skipped {
    Skipped::TooLong { bytes: text.len(), bytes_max: CODE_BYTES_MAX }
}

/// Parses `text`; `None` when the parser takes far more steps than any code needs.
pub(crate) fn parse(grammar: Grammar, text: &str) -> Option<Tree> {
    let mut parser = Parser::new();
    parser.set_language(&grammar.get_ts_language()).expect("the grammars fit this version: see the lock file");
    let mut checks = 0;
    let checks_max = 1000 + text.len();
    let mut progress = |_: &ParseState| {
        checks += 1;
        if checks > checks_max { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let bytes = text.as_bytes();
    let options = ParseOptions::new().progress_callback(&mut progress);
    parser.parse_with_options(&mut |at, _| bytes.get(at..).unwrap_or_default(), None, Some(options))
}

/// Maps each node kind to the rules that can match it.
fn by_kind<'r>(rules: &[&'r Rule]) -> Vec<Vec<&'r Rule>> {
    let mut by_kind: Vec<Vec<&Rule>> = Vec::new();
    for rule in rules {
        let kinds = rule.code.matcher.potential_kinds().unwrap_or_default();
        for kind in kinds.iter() {
            if by_kind.len() <= kind {
                by_kind.resize_with(kind + 1, Vec::new);
            }
            by_kind[kind].push(rule);
        }
    }
    by_kind
}

/// A node some rule can match.
struct Candidate {
    /// Its place when nodes are counted from outside in, left to right.
    index: usize,
    /// Levels below it.
    height: usize,
}

/// Returns the candidates in order, without recursion.
fn candidates(root: Node<'_>, by_kind: &[Vec<&Rule>]) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    // Per open level: the candidate it is, if any, and the height seen below it so far.
    let mut open: Vec<(Option<usize>, usize)> = Vec::new();
    let mut cursor = root.walk();
    for index in 0.. {
        let kind = usize::from(cursor.node().kind_id());
        let wanted = by_kind.get(kind).is_some_and(|rules| !rules.is_empty());
        let candidate = wanted.then(|| {
            found.push(Candidate { index, height: 0 });
            found.len() - 1
        });
        open.push((candidate, 0));
        if cursor.goto_first_child() {
            continue;
        }
        loop {
            let (candidate, height) = open.pop().expect("a level was opened for every node");
            if let Some(candidate) = candidate {
                found[candidate].height = height;
            }
            if let Some((_, parent)) = open.last_mut() {
                *parent = (*parent).max(height + 1);
            }
            if cursor.goto_next_sibling() {
                break;
            }
            if !cursor.goto_parent() {
                return found;
            }
        }
    }
    found
}

/// A rule that captures `$AT` points there; others point at the whole match.
fn describe(rule: &Rule, found: &NodeMatch<'_, StrDoc<Grammar>>) -> Finding {
    let about = &rule.about;
    let range = found.get_env().get_match("AT").map_or_else(|| found.range(), |node| node.range());
    Finding {
        rule: about.id.clone(),
        severity: rule.severity,
        cwe: about.metadata.cwe.clone(),
        message: about.message.clone(),
        range,
        source: None,
        edit: None,
        fix_hint: about.metadata.fix.clone(),
        why: about.metadata.why.clone(),
        fingerprint: String::new(),
        folded: about.metadata.fold.then_some("not sure enough"),
    }
}

#[cfg(test)]
mod tests;
