//! What the name of a setting says about its value, whoever's resource it stands in.
//!
//! It must never read a value that a variable holds: that is its owner's business.

use super::Found;
use super::rules::*;
use super::tree::{Pair, is_false, is_true};

/// Judges one setting of a resource of `kind`.
pub(super) fn check(kind: &str, pair: &Pair, found: &mut Found<'_>) {
    let key = pair.key.as_str();
    let text = pair.node.text().unwrap_or_default();
    let (off, on) = (is_false(&pair.node), is_true(&pair.node));
    if off && is_encryption(key) {
        found.pair(&ENCRYPTION_OFF, pair);
    } else if off
        && (is_tls(key) || key.contains("https_only") || key == "enforce_https" || key == "ssl_enforcement_enabled")
    {
        found.pair(&PLAIN_HTTP, pair);
    } else if off && is_log(key) {
        found.pair(&LOG_OFF, pair);
    } else if (off && keeps_private(key)) || (on && opens(key)) {
        found.pair(&PUBLIC_ACCESS, pair);
    } else if on && ["is_http_allowed", "non_ssl_port_enabled", "enable_non_ssl_port"].contains(&key) {
        found.pair(&PLAIN_HTTP, pair);
    } else if on && ["privileged", "privileged_mode"].contains(&key) && !kind.starts_with("kubernetes_") {
        found.pair(&PRIVILEGED, pair);
    } else if off && guards(kind, key)
        || on && ["enable_legacy_abac", "issue_client_certificate", "serial-port-enable"].contains(&key)
    {
        found.pair(&GUARD_OFF, pair);
    } else if off && kind.ends_with("_policy") && (key.starts_with("require_") || key.ends_with("_required")) {
        found.pair(&PASSWORD_POLICY, pair);
    } else if off && key == "enable_key_rotation" || kind.contains("kms") && is_key_off(key, text) {
        found.pair(&KEY_ROTATION, pair);
    }
    check_text(kind, pair, text, found);
}

/// Switched off, these leave a way that was closed open again.
fn guards(kind: &str, key: &str) -> bool {
    let keeps_firewall = ["deletion_protection", "delete_protection"].contains(&key) && kind.contains("firewall");
    keeps_firewall
        || [
            "role_based_access_control_enabled",
            "enable_shielded_nodes",
            "enable_secure_boot",
            "enable-oslogin",
            "block-project-ssh-keys",
            "connection_throttling",
            "client_cert_enabled",
            "client_certificate_enabled",
        ]
        .contains(&key)
}

fn is_key_off(key: &str, text: &str) -> bool {
    let named = [("is_enabled", "false"), ("status", "disabled"), ("key_state", "disabled")];
    named.iter().any(|(name, off)| *name == key && text.eq_ignore_ascii_case(off))
}

fn check_text(kind: &str, pair: &Pair, text: &str, found: &mut Found<'_>) {
    let key = pair.key.as_str();
    let lower = text.to_ascii_lowercase();
    let texts = || pair.node.texts().map(str::to_ascii_lowercase);
    let names_version = [
        "tls_version",
        "ssl_policy",
        "security_policy",
        "protocol_version",
        "tls_security_policy",
        "tls_versions",
        "ssl_protocols",
    ]
    .iter()
    .any(|name| key.ends_with(name));
    let is_version = |text: &str| {
        text.contains("tls")
            || text.contains("ssl")
            || text.starts_with(|first: char| first.is_ascii_digit())
            || ["none", "elbsecuritypolicy-2016-08", "elbsecuritypolicy-2015-05"].contains(&text)
    };
    if names_version && texts().any(|text| is_version(&text) && is_old_tls(&text)) {
        found.pair(&OLD_TLS, pair);
    }
    let is_protocol =
        ["protocol", "lb_protocol", "listener_protocol", "viewer_protocol_policy", "ssl_policy_type"].contains(&key);
    let serves = [
        "listener",
        "target_group",
        "application_gateway",
        "endpoint",
        "_lb",
        "_elb",
        "_alb",
        "cloudfront",
        "api_gateway",
        "apigateway",
        "slb",
    ]
    .iter()
    .any(|part| kind.contains(part));
    if is_protocol && serves && ["http", "allow-all", "http,https"].contains(&lower.as_str()) {
        found.pair(&PLAIN_HTTP, pair);
    }
    if ["url", "backend_url", "service_url"].contains(&key) && kind.contains("backend") && lower.starts_with("http://")
    {
        found.pair(&PLAIN_HTTP, pair);
    }
    let is_acl =
        ["acl", "canned_acl", "access_type", "container_access_type", "public_access", "access_control"].contains(&key);
    let public = [
        "public-read",
        "public-read-write",
        "authenticated-read",
        "website",
        "objectread",
        "objectreadwithoutlist",
        "blob",
        "container",
    ];
    if is_acl && public.contains(&lower.as_str()) {
        found.pair(&PUBLIC_STORAGE, pair);
    }
    if [
        "encryption_type",
        "encryption",
        "sse_algorithm",
        "encryption_at_rest",
        "client_broker",
        "transit_encryption",
        "cloudwatch_encryption_mode",
        "s3_encryption_mode",
        "job_bookmarks_encryption_mode",
        "transit_encryption_mode",
    ]
    .contains(&key)
        && ["none", "disabled", "plaintext", "tls_plaintext"].contains(&lower.as_str())
    {
        found.pair(&ENCRYPTION_OFF, pair);
    }
    if ["ftps_state", "ssl_mode"].contains(&key)
        && ["allallowed", "allow_unencrypted_and_encrypted"].contains(&lower.as_str())
        || key == "insecure_ssl" && is_true(&pair.node)
    {
        found.pair(&PLAIN_HTTP, pair);
    }
    let is_open = match key {
        "authorization_type" => {
            lower == "none" && ["lambda_function_url", "_route"].iter().any(|part| kind.contains(part))
        }
        "authorization" => lower == "none" && kind == "aws_api_gateway_method",
        "default_action" => lower == "allow" && kind.starts_with("azurerm_"),
        "endpoint_type" => lower == "public",
        "direct_internet_access" => lower == "enabled",
        "visibility" => lower == "public" && kind.contains("repository"),
        _ => false,
    };
    if is_open {
        found.pair(&PUBLIC_ACCESS, pair);
    }
    if key.ends_with("logging_preference") && lower == "disabled"
        || ["logging_service", "monitoring_service"].contains(&key) && lower == "none"
    {
        found.pair(&LOG_OFF, pair);
    }
    let origins =
        ["allowed_origins", "allow_origins", "cors_allowed_origins", "allow_origin", "allowed_origin", "origins"];
    if origins.contains(&key) && texts().any(|text| text == "*") {
        found.pair(&CORS_STAR, pair);
    }
    let is_list =
        ["security_ips", "security_ip_list", "authorized_ip_ranges", "public_access_cidrs", "whitelist"].contains(&key);
    if is_list && texts().any(|text| super::network::is_everybody(&text)) {
        found.pair(&PUBLIC_ACCESS, pair);
    }
    let is_password = [
        "admin_pass",
        "admin_password",
        "administrator_login_password",
        "master_password",
        "password",
        "master_user_password",
    ]
    .contains(&key);
    let is_written =
        !text.is_empty() && !text.contains("${") && pair.node.pairs().is_empty() && is_quoted(pair, found.text);
    if is_password && is_written {
        found.pair(&PLAIN_SECRET, pair);
    }
}

fn is_quoted(pair: &Pair, text: &str) -> bool {
    text.get(pair.node.range.clone()).is_some_and(|text| text.starts_with('"'))
}

fn is_encryption(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    (key.contains("encrypt") && !key.contains("unencrypt") && !key.contains("disable"))
        || ["sse_enabled", "sqs_managed_sse_enabled", "is_pv_encryption_in_transit_enabled"].contains(&key.as_str())
}

fn is_tls(key: &str) -> bool {
    [
        "tls_enabled",
        "require_ssl",
        "ssl_enabled",
        "require_tls",
        "https_enabled",
        "enable_https_traffic_only",
        "https_traffic_only_enabled",
        "is_https_allowed",
        "tls_required",
        "https_only_enabled",
    ]
    .contains(&key)
}

fn is_log(key: &str) -> bool {
    let on_off = ["enabled", "enable", "logging", "logs"];
    key.starts_with("log_")
        || (key.contains("log") && !key.contains("login") && on_off.iter().any(|word| key.contains(word)))
        || [
            "include_global_service_events",
            "is_multi_region_trail",
            "enable_integrity_monitoring",
            "enable_stackdriver_monitoring",
            "metrics_enabled",
            "audit",
            "point_in_time_recovery_monitoring",
        ]
        .contains(&key)
}

/// Switched off, these open a door.
fn keeps_private(key: &str) -> bool {
    [
        "block_public_acls",
        "block_public_policy",
        "ignore_public_acls",
        "restrict_public_buckets",
        "no_public_ip",
        "internal_ip_only",
        "private_instance",
        "private_cluster_enabled",
        "enable_private_nodes",
        "enable_private_endpoint",
        "block_public_security_group_rules",
        "private_endpoint_enabled",
    ]
    .contains(&key)
}

/// Switched on, these do.
fn opens(key: &str) -> bool {
    [
        "publicly_accessible",
        "public_network_access_enabled",
        "public_network_enabled",
        "assign_public_ip",
        "associate_public_ip_address",
        "allow_blob_public_access",
        "allow_nested_items_to_be_public",
        "endpoint_public_access",
        "is_public",
        "public_access_enabled",
        "enable_node_public_ip",
        "node_public_ip_enabled",
        "ipv4_enabled",
        "nat",
        "nat_ip_enabled",
        "public_ip",
        "assign_ipv6_address_on_creation",
        "map_public_ip_on_launch",
        "is_public_ip_enabled",
        "public_ip_enabled",
        "is_published",
        "anonymous_access_enabled",
        "public",
    ]
    .contains(&key)
}

/// Versions of SSL and TLS before 1.2, in the many ways they are written, and policies that take them.
fn is_old_tls(text: &str) -> bool {
    let digits: String =
        text.chars().filter(|char| char.is_ascii_digit() || *char == '.' || *char == '_' || *char == '-').collect();
    let plain = digits.trim_matches(['.', '_', '-']).replace(['_', '-'], ".");
    let versions = ["1", "1.0", "1.1", "10", "11", "1.0.2019.07"];
    let named = [
        "sslv3",
        "ssl3",
        "tlsv1",
        "tls1_0",
        "tls1_1",
        "tls10",
        "tls11",
        "tlsenforcementdisabled",
        "tlsv1_2016",
        "tlsv1.1_2016",
        "none",
    ];
    let old_policies = [
        "elbsecuritypolicy-2016-08",
        "elbsecuritypolicy-2015-05",
        "elbsecuritypolicy-tls-1-0-2015-04",
        "elbsecuritypolicy-tls-1-1-2017-01",
        "policy-min-tls-1-0-2019-07",
    ];
    named.contains(&text) || old_policies.contains(&text) || versions.contains(&plain.as_str())
}
