//! GitHub workflows and composite actions: what strangers can reach with a pull request.

use super::Found;
use super::rules::{WF_INJECT, WF_PERMS, WF_PRTARGET, WF_UNPINNED};
use super::tree::{Node, Pair};

/// Parts of the event that a stranger writes.
const STRANGERS: [&str; 17] = [
    "github.event.issue.title",
    "github.event.issue.body",
    "github.event.pull_request.title",
    "github.event.pull_request.body",
    "github.event.pull_request.head.ref",
    "github.event.pull_request.head.label",
    "github.event.pull_request.head.repo.default_branch",
    "github.event.comment.body",
    "github.event.review.body",
    "github.event.review_comment.body",
    "github.event.discussion.title",
    "github.event.discussion.body",
    "github.event.head_commit.message",
    "github.event.head_commit.author.",
    "github.event.workflow_run.head_branch",
    "github.event.workflow_run.head_commit.message",
    "github.head_ref",
];

/// Judges a workflow; anything else is passed over.
pub(super) fn check(document: &Node, found: &mut Found<'_>) {
    let runs = document.get("runs").filter(|runs| runs.get("steps").is_some());
    if let Some(runs) = runs {
        check_steps(runs, found);
        return;
    }
    // YAML 1.1 reads `on` as true, and so do some tools that write it back.
    let Some(on) = document.pair("on").or_else(|| document.pair("true")) else { return };
    let Some(jobs) = document.get("jobs") else { return };
    let has_permissions = document.get("permissions").is_some();
    let is_called = events(&on.node).iter().all(|event| *event == "workflow_call");
    let mut all_named = !jobs.pairs().is_empty();
    for job in jobs.pairs() {
        all_named &= job.node.get("permissions").is_some() || job.node.get("uses").is_some();
        check_steps(&job.node, found);
    }
    if !has_permissions && !all_named && !is_called {
        found.pair(&WF_PERMS, on);
    }
    document.each_pair(&mut |pair| {
        if pair.key == "permissions" && pair.node.text() == Some("write-all") {
            found.pair(&WF_PERMS, pair);
        }
    });
    let has_secrets = events(&on.node).iter().any(|event| ["pull_request_target", "workflow_run"].contains(event));
    if has_secrets {
        check_checkouts(jobs, found);
    }
}

fn events(on: &Node) -> Vec<&str> {
    match on.pairs() {
        [] => on.texts().collect(),
        pairs => pairs.iter().map(|pair| pair.key.as_str()).collect(),
    }
}

fn check_steps(job: &Node, found: &mut Found<'_>) {
    if let Some(uses) = job.pair("uses") {
        check_uses(uses, found);
    }
    for step in job.get("steps").into_iter().flat_map(Node::items) {
        if let Some(uses) = step.pair("uses") {
            check_uses(uses, found);
        }
        // The script of actions/github-script is code too.
        let scripts = [step.pair("run"), step.get("with").and_then(|with| with.pair("script"))];
        for script in scripts.into_iter().flatten() {
            if script.node.text().is_some_and(has_strangers_text) {
                found.pair(&WF_INJECT, script);
            }
        }
    }
}

fn has_strangers_text(script: &str) -> bool {
    script.split("${{").skip(1).any(|rest| {
        let expression = rest.split("}}").next().unwrap_or(rest);
        STRANGERS.iter().any(|name| expression.contains(name))
            || (expression.contains("github.event.commits") && expression.contains("message"))
    })
}

fn check_uses(uses: &Pair, found: &mut Found<'_>) {
    let Some(action) = uses.node.text() else { return };
    // Local ones change with the repository, images have their own digests, GitHub's own are its word.
    if ["./", "docker://", "actions/", "github/"].iter().any(|own| action.starts_with(own)) || !action.contains('/') {
        return;
    }
    let is_pinned = action
        .rsplit_once('@')
        .is_some_and(|(_, at)| at.len() == 40 && at.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if !is_pinned {
        found.pair(&WF_UNPINNED, uses);
    }
}

fn check_checkouts(jobs: &Node, found: &mut Found<'_>) {
    for job in jobs.pairs() {
        for step in job.node.get("steps").into_iter().flat_map(Node::items) {
            let is_checkout =
                step.get("uses").and_then(Node::text).is_some_and(|uses| uses.starts_with("actions/checkout"));
            let heads = ["pull_request.head", "github.head_ref", "workflow_run.head", "refs/pull/"];
            let of_stranger = |name: &str| {
                let value = step.get("with").and_then(|with| with.pair(name));
                value.filter(|pair| pair.node.text().is_some_and(|text| heads.iter().any(|head| text.contains(head))))
            };
            if let Some(pair) = of_stranger("ref").or_else(|| of_stranger("repository")).filter(|_| is_checkout) {
                found.pair(&WF_PRTARGET, pair);
            }
        }
    }
}
