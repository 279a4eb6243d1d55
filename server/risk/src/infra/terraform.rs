//! Terraform: what a resource says, and what it leaves out although the default does harm.
//!
//! Names mean the same across providers, so most rules go by the name of a setting; what a resource
//! has to say is a table, `terraform/required.txt`.

use super::access::{check_grant, check_policies, check_statement};
use super::network::check_ingress;
use super::rules::*;
use super::tree::{Node, Pair, is_true};
use super::{Found, kubernetes, settings};

/// `type | settings, any of which will do | rule`. A setting may name the value it needs.
const REQUIRED: &str = include_str!("terraform/required.txt");

/// Judges every block of a file.
pub(super) fn check(root: &Node, found: &mut Found<'_>) {
    for block in root.pairs() {
        match (block.key.as_str(), block.labels.first()) {
            ("resource", Some(kind)) => check_resource(kind, block, found),
            ("data", Some(kind)) if kind == "aws_iam_policy_document" => {
                for statement in block.node.pairs().iter().filter(|pair| pair.key == "statement") {
                    check_statement(&statement.node, statement, found);
                }
            }
            _ => {}
        }
    }
}

fn check_resource(kind: &str, block: &Pair, found: &mut Found<'_>) {
    let before = found.findings.len();
    check_policies(&block.node, found);
    check_access(kind, block, found);
    check_network(kind, block, found);
    check_settings(kind, &block.node, found);
    check_named_value(kind, block, found);
    if kind.starts_with("kubernetes_") {
        check_kubernetes(kind, block, found);
    }
    // What is written wrong says more than what is missing.
    if found.findings.len() == before {
        check_required(kind, block, found);
    }
}

fn check_settings(kind: &str, node: &Node, found: &mut Found<'_>) {
    for pair in node.items().iter().flat_map(Node::pairs) {
        // How a service is looked after says nothing about how it is reached.
        if ["health_check", "health_probe"].contains(&pair.key.as_str()) {
            continue;
        }
        settings::check(kind, pair, found);
        check_named_value(kind, pair, found);
        check_settings(kind, &pair.node, found);
    }
}

/// `parameter { name = "require_ssl" value = "false" }`
fn check_named_value(kind: &str, pair: &Pair, found: &mut Found<'_>) {
    if let (Some(name), Some(value)) = (pair.node.get("name").and_then(Node::text), pair.node.get("value")) {
        let said = Pair { key: name.to_owned(), labels: Vec::new(), node: value.clone(), ..pair.clone() };
        settings::check(kind, &said, found);
    }
}

fn check_required(kind: &str, block: &Pair, found: &mut Found<'_>) {
    let rows = REQUIRED.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut parts = line.split('|').map(str::trim);
        let (kinds, settings, rule) = (parts.next()?, parts.next()?, parts.next()?);
        kinds.split(' ').any(|name| is_kind(name, kind)).then_some((settings, rule))
    });
    let mut missing = Vec::new();
    for (settings, rule) in rows {
        // Where somebody has thought of one of these, the others are left to them.
        if settings.split(' ').any(|setting| has(&block.node, setting)) {
            return;
        }
        missing.push(rule);
    }
    for rule in missing {
        let rule = match rule {
            "encryption" => &ENCRYPTION_DEFAULT,
            "rotation" => &KEY_ROTATION,
            "tls" => &TLS_DEFAULT,
            "log" => &LOG_DEFAULT,
            "public" => &PUBLIC_DEFAULT,
            "password" => &PASSWORD_POLICY,
            _ => &GUARD_OFF,
        };
        found.add(rule, &block.head);
    }
}

/// A `*` at either end stands for anything.
fn is_kind(name: &str, kind: &str) -> bool {
    match (name.strip_prefix('*'), name.strip_suffix('*')) {
        (Some(end), _) => kind.ends_with(end),
        (_, Some(start)) => kind.starts_with(start),
        _ => name == kind,
    }
}

/// Tells whether a setting stands anywhere in a block: `name`, or `name=value`.
fn has(block: &Node, setting: &str) -> bool {
    let (name, value) = setting.split_once('=').map_or((setting, None), |(name, value)| (name, Some(value)));
    let mut is_there = false;
    block.each_pair(&mut |pair| {
        let is_name = pair.key == name || (pair.key == "dynamic" && pair.labels.iter().any(|label| label == name));
        let is_value = value.is_none_or(|value| {
            let text = pair.node.text().unwrap_or_default();
            // What a variable says is its owner's business.
            text.eq_ignore_ascii_case(value) || text.starts_with("var.") || text.starts_with("local.")
        });
        is_there |= is_name && is_value && pair.node.text().is_none_or(|text| !text.is_empty() && text != "null");
    });
    is_there
}

fn check_access(kind: &str, block: &Pair, found: &mut Found<'_>) {
    let node = &block.node;
    for name in ["policy_arn", "managed_policy_arn", "managed_policy_arns", "role", "role_definition_name"] {
        if let Some(pair) = node.pair(name) {
            check_grant(pair, found);
        }
    }
    for name in ["member", "members", "special_group", "user_id"] {
        let everybody = ["allUsers", "allAuthenticatedUsers", "system:allUsers", "system:allAuthenticatedUsers"];
        node.each_pair(&mut |pair| {
            if pair.key == name && pair.node.texts().any(|text| everybody.contains(&text)) {
                found.pair(&PUBLIC_STORAGE, pair);
            }
        });
    }
    let is_project = ["google_project_iam", "google_folder_iam", "google_organization_iam"];
    if is_project.iter().any(|start| kind.starts_with(start)) {
        let speaks_for_others =
            ["serviceAccountUser", "serviceAccountTokenCreator", "serviceAccountAdmin", "securityAdmin"];
        let role = node.pair("role").filter(|role| {
            role.node.text().is_some_and(|text| speaks_for_others.iter().any(|end| text == format!("roles/iam.{end}")))
        });
        if let Some(role) = role {
            found.pair(&ADMIN_GRANT, role);
        }
    }
    if kind == "azurerm_role_definition" {
        let actions = node.at(&["permissions"]).and_then(|permissions| permissions.pair("actions"));
        if let Some(actions) = actions.filter(|actions| actions.node.texts().any(|text| text == "*")) {
            found.pair(&ROLE_STAR, actions);
        }
    }
    if kind == "aws_iam_access_key" && node.get("user").and_then(Node::text) == Some("root") {
        found.add(&ADMIN_GRANT, &block.head);
    }
    if kind == "aws_lambda_permission"
        && node.get("principal").and_then(Node::text) == Some("*")
        && node.get("source_arn").is_none()
        && node.get("source_account").is_none()
    {
        found.add(&PRINCIPAL_STAR, &block.head);
    }
    let policy = ["aws_iam_account_password_policy", "alicloud_ram_account_password_policy"].contains(&kind);
    let number = |name: &str| node.get(name).and_then(Node::text).and_then(|text| text.parse::<u32>().ok());
    if policy {
        for (name, least) in [("minimum_password_length", 14), ("password_reuse_prevention", 24)] {
            if let Some(pair) = node.pair(name).filter(|_| number(name).is_some_and(|length| length < least)) {
                found.pair(&PASSWORD_POLICY, pair);
            }
        }
        for (name, most) in [("max_login_attempts", 5), ("max_password_age", 90)] {
            if let Some(pair) = node.pair(name).filter(|_| number(name).is_some_and(|count| count == 0 || count > most))
            {
                found.pair(&PASSWORD_POLICY, pair);
            }
        }
    }
    if kind.starts_with("google_") {
        let default = ["-compute@developer.gserviceaccount.com", "@appspot.gserviceaccount.com"];
        let is_default = |text: &str| default.iter().any(|end| text.ends_with(end));
        node.each_pair(&mut |pair| {
            if ["email", "member", "members", "service_account"].contains(&pair.key.as_str())
                && pair.node.texts().any(is_default)
            {
                found.pair(&SERVICE_DEFAULT, pair);
            }
            // An address that the whole internet can reach.
            if pair.key == "access_config" && kind.starts_with("google_compute_instance") {
                found.pair(&PUBLIC_ACCESS, pair);
            }
            let is_open = |network: &Node| {
                network
                    .get("value")
                    .or_else(|| network.get("cidr_block"))
                    .and_then(Node::text)
                    .is_some_and(super::network::is_everybody)
            };
            if ["authorized_networks", "cidr_blocks"].contains(&pair.key.as_str())
                && pair.node.items().iter().any(is_open)
            {
                found.pair(&PUBLIC_ACCESS, pair);
            }
        });
    }
}

fn check_network(kind: &str, block: &Pair, found: &mut Found<'_>) {
    let node = &block.node;
    let is_group =
        ["security_group", "network_acl", "security_list", "access_control_group", "firewall", "nsg", "secgroup"]
            .iter()
            .any(|part| kind.contains(part));
    let lets_in = |node: &Node| {
        let direction = ["type", "direction", "traffic_direction"].iter().find_map(|name| node.get(name)?.text());
        let egress = node.get("egress").is_some_and(is_true);
        !egress
            && !direction
                .is_some_and(|direction| ["egress", "outbound"].contains(&direction.to_ascii_lowercase().as_str()))
    };
    if is_group || kind == "azurerm_network_security_rule" {
        if lets_in(node) && !kind.ends_with("_egress_rule") {
            check_ingress(node, block, found);
        }
        let inbound = node.pairs().iter().filter(|pair| pair.key == "ingress").flat_map(|pair| pair.node.items());
        let denies_first = super::network::denies_first(&inbound.collect::<Vec<_>>());
        for pair in node.pairs().iter().filter(|_| !denies_first) {
            let inner = [
                "ingress",
                "inbound",
                "security_rule",
                "ingress_security_rules",
                "rule",
                "ingress_rule",
                "inbound_rule",
            ];
            if !inner.contains(&pair.key.as_str()) {
                continue;
            }
            for rule in pair.node.items().iter().filter(|rule| lets_in(rule)) {
                check_ingress(rule, pair, found);
            }
        }
        // Google's firewall says who on the outside and which ports within.
        if kind == "google_compute_firewall" && lets_in(node) && node.get("allow").is_some() {
            let sources = node.pair("source_ranges").filter(|pair| pair.node.texts().any(super::network::is_everybody));
            let all = node.pairs().iter().filter(|pair| pair.key == "allow").any(|allow| {
                let ports = allow.node.get("ports");
                ports.is_none_or(|ports| ports.texts().any(super::network::is_sensitive))
            });
            if let Some(sources) = sources.filter(|_| all) {
                found.pair(&OPEN_INGRESS, sources);
            }
        }
    }
    // The whole internet, as first and last address.
    let address = |name: &str| node.get(name).and_then(Node::text);
    if address("start_ip_address") == Some("0.0.0.0") && address("end_ip_address") == Some("255.255.255.255") {
        found.add(&OPEN_INGRESS, &block.head);
    }
    if kind.starts_with("panos_") {
        check_palo_alto(kind, node, found);
    }
}

/// Palo Alto's rules name what they let through.
fn check_palo_alto(kind: &str, node: &Node, found: &mut Found<'_>) {
    if kind.contains("zone") {
        return;
    }
    for rule in node.pairs().iter().filter(|pair| pair.key == "rule") {
        if rule.node.get("action").and_then(Node::text).is_some_and(|action| action != "allow") {
            continue;
        }
        let any = |name: &str| rule.node.pair(name).filter(|pair| pair.node.texts().any(|text| text == "any"));
        let both_ends = any("source_addresses").and(any("destination_addresses"));
        if let Some(pair) = any("applications").or_else(|| any("services")).or(both_ends) {
            found.pair(&ANY_RULE, pair);
        }
        let unlogged = rule.node.pair("log_end").filter(|pair| super::tree::is_false(&pair.node));
        if let Some(pair) = unlogged {
            found.pair(&LOG_OFF, pair);
        } else if rule.node.get("log_setting").is_none_or(|node| node.text() == Some("")) {
            found.add(&LOG_DEFAULT, &rule.head);
        }
    }
}

fn check_kubernetes(kind: &str, block: &Pair, found: &mut Found<'_>) {
    kubernetes::check_pods(&block.node, found);
    if kind.contains("role_binding") {
        kubernetes::check_binding(&block.node, found);
    } else if kind.contains("role") {
        for rule in block.node.pairs().iter().filter(|pair| pair.key == "rule") {
            kubernetes::check_role_rule(&rule.node, found);
        }
    } else if kind.contains("service_account") {
        let name = block.node.at(&["metadata", "name"]).and_then(Node::text);
        if name == Some("default")
            && !block.node.get("automount_service_account_token").is_some_and(super::tree::is_false)
        {
            found.add(&SERVICE_DEFAULT, &block.head);
        }
    } else if !kind.contains("pod_security_policy") {
        kubernetes::check_defaults(&block.node, &block.head, found);
    } else if block.node.at(&["spec", "allow_privilege_escalation"]).is_none() {
        found.add(&ESCALATION, &block.head);
    }
}
