//! What the actor shows: it has a document judged when its text or its writers change, and publishes
//! what is due, late to appear and at once to go. Nothing is shown on text that an AI did not write,
//! but what is wrong with a policy.

use std::time::Duration;

use countersign_event::facts::Place;
use countersign_event::payload::finding;
use countersign_event::{How, Payload};
use countersign_provenance::spans::Origin;

use super::{Actor, positions};
use crate::lsp::diagnostics::{Findings, Notice};
use crate::lsp::rules::{Job, POLICY_RULE};
use crate::policy::Policy;
use crate::recorder::Record;
use crate::shell::now;

impl Actor {
    /// Has the rules look at a document's text, if an AI wrote some of it.
    pub(super) fn look(&mut self, uri: &str) {
        let Some(house) = &self.house else { return };
        let (Some(document), Some(text), Some(attribution)) =
            (self.documents.get_mut(uri), house.session.text(uri), house.session.attribution(uri))
        else {
            return;
        };
        let written: Vec<_> = match house.session.is_synchronised(uri) {
            true => attribution.origins.iter().filter(|(_, origin)| origin.is_ai()).map(|(range, _)| range).collect(),
            false => Vec::new(),
        };
        let is_policy = Policy::is_of_repository(uri);
        if written.is_empty() && !is_policy {
            document.current.clear();
            if !document.shown.notices().is_empty() {
                self.show(uri);
            }
            return;
        }
        let job =
            Job { revision: document.revision, language: document.language, text: text.clone(), written, is_policy };
        self.rules.look(uri, job);
    }

    pub(super) fn findings(&mut self, findings: Findings) {
        let encoding = self.encoding();
        let Some(house) = &self.house else { return };
        let (Some(document), Some(text), Some(attribution)) = (
            self.documents.get_mut(&findings.uri),
            house.session.text(&findings.uri),
            house.session.attribution(&findings.uri),
        ) else {
            return;
        };
        // A newer text is being looked at already.
        if findings.revision != document.revision {
            return;
        }
        let mut raised = Vec::new();
        document.current.clear();
        for finding in findings.findings {
            let most = attribution
                .origins
                .within(finding.range.clone())
                .filter_map(|(range, origin)| match origin {
                    Origin::Ai(contribution) => Some((range.len(), contribution)),
                    _ => None,
                })
                .max_by_key(|(bytes, _)| *bytes);
            let is_policy = finding.rule == POLICY_RULE;
            let contribution = match most {
                Some((_, contribution)) => contribution.as_str().to_owned(),
                None if is_policy => String::new(),
                None => continue,
            };
            // A mistake in a policy is between its author and the editor.
            if !is_policy && self.raised.insert((findings.uri.clone(), finding.fingerprint.clone())) {
                raised.push(finding::Raised {
                    how: How::Observed,
                    rule: finding.rule.clone(),
                    severity: finding.severity.as_str().to_owned(),
                    cwe: finding.cwe.clone(),
                    fingerprint: finding.fingerprint.clone(),
                    contribution: Some(contribution.clone()),
                    place: Place {
                        uri: Some(findings.uri.clone()),
                        range: Some(text.range(finding.range.clone())),
                        language: house.session.language(&findings.uri).map(str::to_owned),
                        ..Place::default()
                    },
                });
            }
            document.current.push(Notice {
                secret: finding.rule == "secret",
                fingerprint: finding.fingerprint,
                rule: finding.rule,
                cwe: finding.cwe,
                message: finding.message,
                range: positions(text, finding.range, encoding),
                contribution,
            });
        }
        for raised in raised {
            let record = Record::light(now(), findings.uri.clone(), Payload::FindingRaised(raised));
            self.record(record);
        }
        self.show(&findings.uri);
    }

    /// Publishes what is due for a document.
    pub(super) fn show(&mut self, uri: &str) {
        let clock_ms = self.clock_ms();
        let code_links = self.hello.as_ref().is_some_and(|hello| hello.code_links);
        let Some(document) = self.documents.get_mut(uri) else { return };
        let current = if self.hints { document.current.clone() } else { Vec::new() };
        let decision =
            document.shown.decide(clock_ms, document.changed_ms, document.typed, self.hint_delay_ms, current);
        if decision.publish {
            let publication = document.shown.publication(uri, Some(document.version), code_links);
            self.client.notify("textDocument/publishDiagnostics", publication);
        }
        if let Some(at) = decision.look_again {
            let at = self.started + Duration::from_millis(at);
            self.look_again = Some(self.look_again.map_or(at, |before| before.min(at)));
        }
    }
}
