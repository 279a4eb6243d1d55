//! Rules over settings: Terraform, Kubernetes, workflows, IAM policies, Dockerfiles.
//!
//! A text becomes a tree of names and values, whatever it is written in, so that one rule reads
//! `Action: "*"` in JSON, YAML and Terraform alike. The rules must never need the whole project: what
//! another file may set right is said in the message, or not found.

mod access;
mod dockerfile;
mod hcl;
mod kubernetes;
mod network;
mod rules;
mod settings;
mod terraform;
mod tree;
mod workflow;
mod yaml;

use std::ops::Range;

use crate::engine::CODE_BYTES_MAX;
use crate::finding::{self, Finding};
use crate::language::Language;
use rules::Rule;
use tree::{Node, Pair};

/// Longest list of findings for one text.
const FINDINGS_MAX: usize = 1000;

/// Finds what the rules find; `None` where the text is too long.
pub(crate) fn check(language: Language, text: &str) -> Option<Vec<Finding>> {
    if language == Language::Other {
        return Some(Vec::new());
    }
    if text.len() > CODE_BYTES_MAX {
        return None;
    }
    let mut found = Found { text, findings: Vec::new() };
    match language {
        Language::Terraform => terraform::check(&hcl::read(text), &mut found),
        Language::Json => access::check_policies(&hcl::read_value(text, 0), &mut found),
        Language::Yaml => {
            for document in yaml::read(text) {
                workflow::check(&document, &mut found);
                kubernetes::check_manifest(&document, &mut found);
                access::check_policies(&document, &mut found);
            }
        }
        Language::Dockerfile => dockerfile::check(text, &mut found),
        _ => {}
    }
    let mut findings = found.findings;
    findings.sort_by(|a, b| (a.range.start, a.range.end, &a.rule).cmp(&(b.range.start, b.range.end, &b.rule)));
    findings.dedup_by(|a, b| a.rule == b.rule && a.range.start == b.range.start);
    finding::fingerprint(&mut findings, |finding| text[finding.range.clone()].to_owned());
    Some(findings)
}

/// What the rules have found so far.
struct Found<'t> {
    text: &'t str,
    findings: Vec<Finding>,
}

impl Found<'_> {
    fn add(&mut self, rule: &Rule, range: &Range<usize>) {
        // A place that is read out of a text within the text may reach too far.
        let is_place = self.text.get(range.clone()).is_some_and(|text| !text.is_empty());
        if is_place && self.findings.len() < FINDINGS_MAX {
            self.findings.push(rule.finding(range.clone()));
        }
    }

    fn pair(&mut self, rule: &Rule, pair: &Pair) {
        // A whole block is named by its head.
        let range = if pair.node.pairs().is_empty() { &pair.range } else { &pair.head };
        self.add(rule, range);
    }

    fn node(&mut self, rule: &Rule, node: &Node) {
        self.add(rule, &node.range);
    }
}

/// What every rule says about itself.
#[cfg(test)]
pub(crate) fn every_rule() -> Vec<Finding> {
    rules::ALL.iter().map(|rule| rule.finding(0..0)).collect()
}

#[cfg(test)]
mod tests;
