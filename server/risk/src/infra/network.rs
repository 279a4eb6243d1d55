//! Who can reach what: ranges of addresses, ports, firewall rules.

use super::Found;
use super::rules::{OPEN_INGRESS, WIDE_INGRESS};
use super::tree::{Node, Pair};

/// Ports that administrate machines or hold data.
const PORTS: [u32; 24] = [
    20, 21, 22, 23, 135, 137, 138, 139, 445, 1433, 1521, 2375, 2379, 3306, 3389, 5432, 5601, 5900, 6379, 8020, 9042,
    9200, 11211, 27017,
];

/// Tells whether a range of addresses is everybody.
pub(super) fn is_everybody(text: &str) -> bool {
    ["0.0.0.0/0", "::/0", "0.0.0.0", "*", "any", "internet", "0000:0000:0000:0000:0000:0000:0000:0000/0"]
        .contains(&text.to_ascii_lowercase().as_str())
        || text == "0.0.0.0/00"
}

/// Where a network rule says who may come in.
const SOURCES: [&str; 18] = [
    "cidr_blocks",
    "ipv6_cidr_blocks",
    "cidr_block",
    "ipv6_cidr_block",
    "cidr_ipv4",
    "cidr_ipv6",
    "source_address_prefix",
    "source_address_prefixes",
    "source_ranges",
    "ip_block",
    "source",
    "v4_cidr_blocks",
    "v6_cidr_blocks",
    "source_cidr_ip",
    "source_addresses",
    "remote_ip_prefix",
    "cidr",
    "cidr_ip",
];

/// Judges one rule that lets something in.
pub(super) fn check_ingress(rule: &Node, place: &Pair, found: &mut Found<'_>) {
    let open = SOURCES.iter().filter_map(|name| rule.pair(name)).find(|pair| pair.node.texts().any(is_everybody));
    let Some(open) = open else { return };
    if is_denied(rule) {
        return;
    }
    match ports(rule) {
        Some(ranges) => {
            if ranges.iter().any(hits) {
                found.add(&OPEN_INGRESS, &open.range);
            } else if !ranges.iter().all(|(from, to)| from == to && [80, 443].contains(from)) && is_udp(rule) {
                found.add(&WIDE_INGRESS, &open.range);
            }
        }
        // Without ports, every port; what a variable says is its owner's business.
        None if !names_ports(rule) && (all_protocols(rule) || rule.get("protocol").is_some()) => {
            found.add(&OPEN_INGRESS, if open.range.is_empty() { &place.head } else { &open.range });
        }
        None => {}
    }
}

fn names_ports(rule: &Node) -> bool {
    rule.pairs().iter().any(|pair| pair.key.contains("port") || pair.key.ends_with("_options"))
}

/// Tells whether a list of numbered rules turns people away before it lets them in.
pub(super) fn denies_first(rules: &[&Node]) -> bool {
    let number = |rule: &Node| {
        let name = ["rule_no", "rule_number", "priority"].iter().find_map(|name| rule.get(name)?.text());
        name.and_then(|text| text.parse::<u32>().ok())
    };
    let first =
        |denied: bool| rules.iter().filter(|rule| is_denied(rule) == denied).filter_map(|rule| number(rule)).min();
    matches!((first(true), first(false)), (Some(denied), Some(allowed)) if denied < allowed)
}

fn is_denied(rule: &Node) -> bool {
    ["rule_action", "access", "action", "policy"]
        .iter()
        .filter_map(|name| rule.get(name).and_then(Node::text))
        .any(|text| ["deny", "drop", "reject"].contains(&text.to_ascii_lowercase().as_str()))
}

fn is_udp(rule: &Node) -> bool {
    rule.get("protocol")
        .and_then(Node::text)
        .is_some_and(|text| ["udp", "*", "-1"].contains(&text.to_ascii_lowercase().as_str()))
}

fn all_protocols(rule: &Node) -> bool {
    ["protocol", "ip_protocol"]
        .iter()
        .filter_map(|name| rule.get(name).and_then(Node::text))
        .any(|text| ["-1", "all", "any", "*"].contains(&text.to_ascii_lowercase().as_str()))
}

/// Tells whether a text names a port that administrates or holds data, or every port.
pub(super) fn is_sensitive(text: &str) -> bool {
    range(text).is_some_and(|range| hits(&range))
}

fn hits((from, to): &(u32, u32)) -> bool {
    PORTS.iter().any(|port| from <= port && port <= to)
}

/// Reads the ports of a rule in its many spellings.
fn ports(rule: &Node) -> Option<Vec<(u32, u32)>> {
    if all_protocols(rule)
        && rule.get("protocol").and_then(Node::text).is_some_and(|text| text == "-1" || text == "all")
    {
        return Some(vec![(0, 65535)]);
    }
    let number =
        |name: &str| rule.get(name).and_then(Node::text).and_then(|text| text.trim_matches('"').parse::<i64>().ok());
    let clamp = |port: i64| u32::try_from(port.clamp(0, 65535)).unwrap_or(0);
    let either = |names: [&str; 2]| names.iter().find_map(|name| number(name));
    let (from, to) = (either(["from_port", "port_range_min"]), either(["to_port", "port_range_max"]));
    if let Some(from) = from {
        let to = to.unwrap_or(from);
        // -1 and 0 to 0 stand for every port.
        let is_all = from < 0 || (from == 0 && to == 0);
        return Some(vec![if is_all { (0, 65535) } else { (clamp(from), clamp(to)) }]);
    }
    let mut ranges = Vec::new();
    for name in ["destination_port_range", "destination_port_ranges", "ports", "port_range", "port"] {
        for text in rule.get(name).into_iter().flat_map(Node::texts) {
            ranges.extend(range(text));
        }
    }
    // `tcp_options { min = 22  max = 22 }`
    for options in ["tcp_options", "udp_options"] {
        for node in rule.get(options).into_iter().flat_map(Node::items) {
            let node = node.at(&["destination_port_range"]).unwrap_or(node);
            let bound = |name: &str| node.get(name).and_then(Node::text).and_then(|text| text.parse::<u32>().ok());
            if let (Some(min), Some(max)) = (bound("min"), bound("max")) {
                ranges.push((min, max));
            }
        }
    }
    (!ranges.is_empty()).then_some(ranges)
}

fn range(text: &str) -> Option<(u32, u32)> {
    if text == "*" || text == "-1" || text.eq_ignore_ascii_case("any") {
        return Some((0, 65535));
    }
    let (from, to) = text.split_once(['-', '/']).unwrap_or((text, text));
    Some((from.trim().parse().ok()?, to.trim().parse().ok()?))
}
