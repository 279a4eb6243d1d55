//! Kubernetes objects, as manifests or in Terraform's spelling, and compose files.

use super::Found;
use super::rules::{ESCALATION, HOST_PORT, PRIVILEGED, ROLE_STAR, SERVICE_DEFAULT};
use super::tree::{Node, is_false, is_true};

/// Capabilities that are as good as root on the host.
const CAPABILITIES: [&str; 7] = ["SYS_ADMIN", "CAP_SYS_ADMIN", "ALL", "SYS_PTRACE", "SYS_MODULE", "NET_ADMIN", "BPF"];

/// Judges a manifest or a compose file; anything else is passed over.
pub(super) fn check_manifest(document: &Node, found: &mut Found<'_>) {
    let is_object = document.get("apiVersion").is_some() && document.get("kind").is_some();
    if is_object {
        let kind = document.get("kind").and_then(Node::text).unwrap_or_default();
        if ["Role", "ClusterRole"].contains(&kind) {
            for rule in document.get("rules").into_iter().flat_map(Node::items) {
                check_role_rule(rule, found);
            }
        }
        check_pods(document, found);
    } else if let Some(services) = document.get("services").filter(|_| document.get("jobs").is_none()) {
        check_pods(services, found);
    }
}

/// Judges every container below `root`.
pub(super) fn check_pods(root: &Node, found: &mut Found<'_>) {
    root.each_pair(&mut |pair| {
        let key: String = pair.key.chars().filter(|char| *char != '_').collect::<String>().to_ascii_lowercase();
        match key.as_str() {
            "privileged" | "hostnetwork" | "hostpid" | "hostipc" | "allowprivilegeescalation"
                if is_true(&pair.node) =>
            {
                found.pair(&PRIVILEGED, pair);
            }
            "add" | "capadd" | "allowedcapabilities"
                if pair.node.texts().any(|text| CAPABILITIES.contains(&text.to_ascii_uppercase().as_str())) =>
            {
                found.pair(&PRIVILEGED, pair);
            }
            "runasnonroot" | "readonlyrootfilesystem" if is_false(&pair.node) => found.pair(&ESCALATION, pair),
            "runasuser" if pair.node.text() == Some("0") => found.pair(&ESCALATION, pair),
            "hostport" if pair.node.text().is_some_and(|text| text != "0") => found.pair(&HOST_PORT, pair),
            _ => {}
        }
    });
}

/// Terraform's pods: what is not said holds too.
pub(super) fn check_defaults(root: &Node, place: &std::ops::Range<usize>, found: &mut Found<'_>) {
    root.each_pair(&mut |pair| {
        if pair.key == "container" && !pair.node.pairs().is_empty() {
            // Where somebody has thought of it, the rest is left to them.
            if pair.node.get("security_context").is_none() {
                found.add(&ESCALATION, place);
            }
        }
    });
}

/// Judges one rule of a role.
pub(super) fn check_role_rule(rule: &Node, found: &mut Found<'_>) {
    for name in ["verbs", "resources", "api_groups"] {
        if let Some(pair) = rule.pair(name).filter(|pair| pair.node.texts().any(|text| text == "*")) {
            found.pair(&ROLE_STAR, pair);
            return;
        }
    }
}

/// Judges who is bound to a role.
pub(super) fn check_binding(binding: &Node, found: &mut Found<'_>) {
    for subject in binding.pairs().iter().filter(|pair| pair.key == "subject") {
        let is = |name: &str, value: &str| subject.node.get(name).and_then(Node::text) == Some(value);
        if is("kind", "ServiceAccount") && is("name", "default") {
            found.pair(&SERVICE_DEFAULT, subject);
        }
    }
}
