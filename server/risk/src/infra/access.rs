//! Who may do what: policy statements in any spelling, roles, members.
//!
//! A denial is never a finding.

use super::Found;
use super::rules::{ADMIN_GRANT, IAM_STAR, IAM_WIDE, PRINCIPAL_STAR};
use super::tree::{Node, Pair};

/// Judges every statement below `root`, wherever policies are written as JSON or in its shape.
pub(super) fn check_policies(root: &Node, found: &mut Found<'_>) {
    root.each_pair(&mut |pair| {
        if pair.key.eq_ignore_ascii_case("statement") {
            for statement in pair.node.items() {
                check_statement(statement, pair, found);
            }
        }
    });
}

/// Judges one statement; `place` is where it stands when it has no place of its own.
pub(super) fn check_statement(statement: &Node, place: &Pair, found: &mut Found<'_>) {
    let allows = statement.get("effect").is_none_or(|effect| effect.text().is_none_or(|text| text != "Deny"));
    if !allows || statement.pairs().is_empty() {
        return;
    }
    let named = |names: [&str; 2]| names.iter().find_map(|name| statement.pair(name));
    let has_condition = named(["condition", "conditions"]).is_some();
    let principals = ["principal", "principals"].iter().filter_map(|name| statement.get(name));
    let everybody = principals.flat_map(Node::items).find(|principal| is_everybody(principal));
    if let Some(principal) = everybody.filter(|_| !has_condition) {
        found.node(&PRINCIPAL_STAR, if principal.range.is_empty() { &place.node } else { principal });
        return;
    }
    let Some(actions) = named(["action", "actions"]) else { return };
    let resource = named(["resource", "resources"]);
    let every_resource = resource.is_some_and(|resource| resource.node.texts().any(|text| text == "*"));
    let every = actions.node.texts().any(|action| action == "*" || action == "*:*");
    let in_key_policy = named(["principal", "principals"]).is_some();
    if every && (every_resource || resource.is_none()) && !in_key_policy {
        found.pair(&IAM_STAR, actions);
    } else if every_resource && !has_condition && !in_key_policy {
        let whole_service = actions.node.texts().any(|action| action.ends_with(":*"));
        if whole_service {
            found.pair(&IAM_STAR, actions);
        } else if actions.node.texts().any(changes) {
            found.pair(&IAM_WIDE, actions);
        }
    }
}

/// `"*"`, `{ AWS: "*" }` or Terraform's `principals { identifiers = ["*"] }`.
fn is_everybody(principal: &Node) -> bool {
    if principal.text() == Some("*") {
        return true;
    }
    principal.pairs().iter().any(|pair| {
        let names_people = ["aws", "identifiers", "*"].iter().any(|name| pair.key.eq_ignore_ascii_case(name));
        names_people && pair.node.texts().any(|text| text == "*")
    })
}

/// Actions that write, or that hand out what others may do.
fn changes(action: &str) -> bool {
    let verb = action.split_once(':').map_or("", |(_, verb)| verb);
    let verbs =
        ["Put", "Delete", "Create", "Update", "Attach", "Set", "Add", "Modify", "PassRole", "AssumeRole", "Write"];
    let reads_secrets = ["secretsmanager:GetSecretValue", "ssm:GetParameter", "ssm:GetParameters", "kms:Decrypt"];
    let hands_out = ["sts:GetFederationToken", "ecr:GetAuthorizationToken", "iam:Tag", "iam:Upload"];
    let starts = |list: &[&str]| list.iter().any(|piece| action.starts_with(piece));
    verbs.iter().any(|start| verb.starts_with(start)) || starts(&reads_secrets) || starts(&hands_out)
}

/// Judges a role that is given to somebody, by its name.
pub(super) fn check_grant(pair: &Pair, found: &mut Found<'_>) {
    let is_admin = |text: &str| {
        let whole = ["roles/owner", "roles/editor", "owner", "admin", "cluster-admin", "Owner", "AdministratorAccess"];
        whole.contains(&text) || text.ends_with("/AdministratorAccess") || text.ends_with("/IAMFullAccess")
    };
    if pair.node.texts().any(is_admin) {
        found.pair(&ADMIN_GRANT, pair);
    }
}
