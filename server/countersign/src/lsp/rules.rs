//! The thread that runs the rules, so that nobody waits for them. It starts with the first text an AI
//! wrote, and of each document it looks at the newest text only.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use countersign_provenance::text::Text;
use countersign_risk::{Engine, Finding, Language, Severity};

use super::diagnostics::Findings;
use super::event::Event;
use super::mailbox::Mailbox;
use crate::policy::Policy;
use crate::shell::now;

/// What is wrong with a policy is shown under this name, whoever wrote it.
pub(crate) const POLICY_RULE: &str = "policy-file";

/// A text to look at.
pub(crate) struct Job {
    /// Which of the document's texts.
    pub(crate) revision: u64,
    /// Its language.
    pub(crate) language: Language,
    /// The text.
    pub(crate) text: Text,
    /// What an AI wrote of it, in bytes.
    pub(crate) written: Vec<std::ops::Range<usize>>,
    /// Whether it is a repository's policy, which is read as one too.
    pub(crate) is_policy: bool,
}

/// A handle to the thread.
pub(crate) struct Rules {
    mailbox: Mailbox<Event>,
    jobs: Option<Arc<Jobs>>,
}

#[derive(Default)]
struct Jobs {
    waiting: Mutex<BTreeMap<String, Job>>,
    more: Condvar,
}

impl Rules {
    /// Answers into `mailbox`. Starts nothing yet.
    pub(crate) fn new(mailbox: Mailbox<Event>) -> Rules {
        Rules { mailbox, jobs: None }
    }

    /// Looks at a document's text, in the place of any older one that waits.
    pub(crate) fn look(&mut self, uri: &str, job: Job) {
        let jobs = self.jobs.get_or_insert_with(|| start(self.mailbox.clone()));
        jobs.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(uri.to_owned(), job);
        jobs.more.notify_one();
    }
}

fn start(mailbox: Mailbox<Event>) -> Arc<Jobs> {
    let jobs = Arc::new(Jobs::default());
    let mine = Arc::clone(&jobs);
    let spawned = std::thread::Builder::new().name("rules".to_owned()).spawn(move || run(&mine, &mailbox));
    if let Err(error) = spawned {
        tracing::error!("no hints will be shown: {error}");
    }
    jobs
}

fn run(jobs: &Jobs, mailbox: &Mailbox<Event>) {
    let engine = Engine::new();
    loop {
        let mut waiting = jobs.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (uri, job) = loop {
            match waiting.pop_first() {
                Some(next) => break next,
                None => waiting = jobs.more.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            }
        };
        drop(waiting);
        let look = || {
            let mut findings = engine.check_ranges(job.language, &job.text.to_string(), &job.written).findings;
            // What a rule itself is not sure of is for `check`, not for somebody who is typing.
            findings.retain(|finding| finding.folded.is_none());
            findings
        };
        // A rule that panics on one text must not end all hints.
        let findings = std::panic::catch_unwind(std::panic::AssertUnwindSafe(look)).unwrap_or_default();
        let findings = if job.is_policy { with_problems(findings, &job.text.to_string()) } else { findings };
        mailbox.push_always(Event::Findings(Box::new(Findings { uri, revision: job.revision, findings })));
    }
}

/// Adds what is wrong with a policy, each to the end of its line.
fn with_problems(mut findings: Vec<Finding>, text: &str) -> Vec<Finding> {
    for problem in Policy::problems_of(text, now()) {
        let start = problem.at().min(text.len());
        let end = text[start..].find(['\r', '\n']).map_or(text.len(), |end| start + end);
        findings.push(Finding {
            rule: POLICY_RULE.to_owned(),
            severity: Severity::Medium,
            cwe: Vec::new(),
            message: problem.message().to_owned(),
            range: start..end,
            fix_hint: String::new(),
            why: String::new(),
            fingerprint: format!("{POLICY_RULE}:{start}:{}", problem.message()),
            source: None,
            edit: None,
            folded: None,
        });
    }
    findings
}
