//! What settings have in common, whatever they are written in: names, values, lists, and where they
//! stand in the text.
//!
//! It must never fail: what makes no sense is left out, and the rest is read.

use std::ops::Range;

/// Deepest nesting that is read.
pub(super) const DEPTH_MAX: usize = 48;

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) range: Range<usize>,
    pub(super) value: Value,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// Names with values, in the order they are written; a name may come again.
    Map(Vec<Pair>),
    /// Values.
    List(Vec<Node>),
    /// A text without its quotes, a number, or an expression as it is written.
    Scalar(String),
}

/// A name with its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pair {
    pub(super) key: String,
    /// What stands between the name and a block: `resource "type" "name" {`.
    pub(super) labels: Vec<String>,
    /// From the name to the end of the value.
    pub(super) range: Range<usize>,
    /// From the name to the end of the labels.
    pub(super) head: Range<usize>,
    pub(super) node: Node,
}

impl Node {
    pub(super) fn scalar(range: Range<usize>, text: &str) -> Self {
        Self { range, value: Value::Scalar(text.to_owned()) }
    }

    /// Returns the text of a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the pairs of a map.
    pub(super) fn pairs(&self) -> &[Pair] {
        match &self.value {
            Value::Map(pairs) => pairs,
            _ => &[],
        }
    }

    /// Returns the items of a list, or the value itself where it is none.
    pub(super) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => std::slice::from_ref(self),
        }
    }

    /// Returns the scalars of a list, or the one value.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.items().iter().filter_map(Self::text)
    }

    /// Finds a name of a map; large and small letters and `_` are all the same, so that one rule
    /// reads `not_actions`, `NotAction` and `notactions`.
    pub(super) fn pair(&self, key: &str) -> Option<&Pair> {
        self.pairs().iter().find(|pair| is_same_name(&pair.key, key))
    }

    /// Finds the value of a name of a map.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.pair(key).map(|pair| &pair.node)
    }

    /// Finds the value at the end of a path of names.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| node.items().iter().find_map(|item| item.get(key)))
    }

    /// Calls `look` on every pair below, outermost first.
    pub(super) fn each_pair<'n>(&'n self, look: &mut impl FnMut(&'n Pair)) {
        match &self.value {
            Value::Map(pairs) => {
                for pair in pairs {
                    look(pair);
                    pair.node.each_pair(look);
                }
            }
            Value::List(items) => items.iter().for_each(|item| item.each_pair(look)),
            Value::Scalar(_) => {}
        }
    }
}

/// Tells whether a value switches something on.
pub(super) fn is_true(node: &Node) -> bool {
    node.text().is_some_and(|text| ["true", "yes", "on", "enabled", "1"].contains(&text.to_ascii_lowercase().as_str()))
}

/// Tells whether a value switches something off.
pub(super) fn is_false(node: &Node) -> bool {
    let off = ["false", "no", "off", "disabled", "0", "none", "disable"];
    node.text().is_some_and(|text| off.contains(&text.to_ascii_lowercase().as_str()))
}

fn is_same_name(a: &str, b: &str) -> bool {
    let plain = |text: &str| text.bytes().filter(|byte| *byte != b'_').map(|byte| byte.to_ascii_lowercase()).collect();
    let (a, b): (Vec<u8>, Vec<u8>) = (plain(a), plain(b));
    a == b
}
