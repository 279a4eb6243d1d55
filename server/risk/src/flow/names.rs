//! Names: what is known of them, and how that changes when they get a value.

use std::borrow::Cow;
use std::rc::Rc;

use tree_sitter::Node;

use super::shape::{self, Shape};
use super::value::{Pair, Value, clean, from};
use super::walk::Walk;

impl<'t> Walk<'t, '_> {
    /// Returns what is known of a name.
    pub(super) fn name(&mut self, name: &'t str) -> Value {
        if let Some(value) = self.lookup(name) {
            return value.clone();
        }
        let path: Rc<str> = self.imports.get(name).cloned().unwrap_or_else(|| name.into());
        let from = if constant_name(name) {
            from::CONSTANT
        } else if self.imports.contains_key(name) {
            from::UNKNOWN
        } else {
            self.free
        };
        self.sourced(Value { path: Some(path), ..Value::of(from) })
    }

    pub(super) fn lookup(&self, name: &str) -> Option<&Value> {
        self.scopes.iter().rev().find_map(|scope| scope.vars.get(name))
    }

    /// Adds what the tables say about the value's path.
    pub(super) fn sourced(&self, mut value: Value) -> Value {
        let Some(path) = value.path.clone() else { return value };
        if let Some(known) = self.scopes.iter().rev().find_map(|scope| scope.vars.get(&path)) {
            return known.clone();
        }
        for bits in self.flow.tables.sources.find(&path) {
            value.from |= bits as u16;
        }
        value
    }

    /// Returns what is known of `base.name`.
    pub(super) fn member(&mut self, base: &Value, name: &str) -> Value {
        if let Some(pair) = base.pairs.iter().flat_map(|pairs| pairs.iter()).find(|pair| &*pair.key == name) {
            return pair.value.clone();
        }
        let path = base.path.as_deref().map(|base| joined(base, name));
        let numeric = matches!(name, "length" | "size" | "Length");
        let mut value = Value { path, from: base.from, clean: base.clean, at: base.at, ..Value::default() };
        value.built = base.built;
        if base.from & from::GIVEN == 0 {
            value.from = if constant_name(name) { from::CONSTANT } else { base.from | from::UNKNOWN };
            value.at = None;
        }
        if numeric {
            value.clean = clean::ALL;
        }
        self.sourced(value)
    }

    pub(super) fn index(&mut self, base_node: Node<'t>, key: Option<Node<'t>>) -> Value {
        let base = self.eval(base_node);
        let key = key.map(|key| self.eval(key)).unwrap_or_default();
        let at = key.number.and_then(|at| usize::try_from(at).ok());
        if let Some(item) = base.items.as_ref().zip(at).and_then(|(items, at)| items.get(at)) {
            return item.clone();
        }
        // Looked up in a table that is written here: one of its values, whatever the key.
        if base.from & from::DYNAMIC == 0 && (base.items.is_some() || base.pairs.is_some()) {
            return Value { from: from::CONSTANT, clean: clean::ALL, ..Value::default() };
        }
        match &key.text {
            Some(text) => {
                let name: String = text.chars().take(60).map(|c| if c == '.' { '_' } else { c }).collect();
                self.member(&base, &name)
            }
            None => self.member(&base, "[]"),
        }
    }

    pub(super) fn pairs(
        &mut self,
        node: Node<'t>,
        typed: Option<&'t str>,
        pairs: Vec<(Cow<'t, str>, Node<'t>)>,
        rest: Vec<Node<'t>>,
    ) -> Value {
        let mut members: Vec<Pair> = Vec::new();
        let mut whole = Value::default();
        for (key, value_node) in pairs {
            let value = self.eval(value_node);
            self.on_pair(node, typed, &key, value_node, &value);
            whole = whole.and(&value);
            members.push(Pair {
                key: key.as_ref().into(),
                value,
                range: (value_node.start_byte() as u32, value_node.end_byte() as u32),
            });
        }
        for node in rest {
            let value = self.eval(node);
            members.extend(value.pairs.iter().flat_map(|pairs| pairs.iter().cloned()));
            whole = whole.and(&value);
        }
        whole.pairs = Some(members.into());
        if let Some(typed) = typed {
            let resolved = typed.trim_start_matches('&').replace("::", ".");
            let (head, tail) = resolved.split_once('.').unwrap_or((&resolved, ""));
            let head = self.imports.get(head).map_or(head, |path| path);
            let path = if tail.is_empty() { head.to_owned() } else { joined(head, tail).to_string() };
            self.on_literal_of(node, &path, &whole);
            whole.path = Some(path.into());
        }
        whole
    }

    pub(super) fn assign(
        &mut self,
        node: Node<'t>,
        targets: &[Node<'t>],
        values: &[Node<'t>],
        op: &str,
        typed: Option<&'t str>,
        declares: bool,
    ) -> Value {
        let evaluated: Vec<Value> = values.iter().map(|value| self.eval(*value)).collect();
        for (i, target) in targets.iter().enumerate() {
            let mut value = match (evaluated.get(i), evaluated.first()) {
                (Some(value), _) => value.clone(),
                // `value, err := call()`: what follows the first is its error or its rest.
                (None, Some(_)) => Value { path: Some("error".into()), ..Value::of(from::UNKNOWN | from::ERROR) },
                (None, None) => match typed {
                    Some(typed) => Value { path: Some(self.type_path(typed)), ..Value::default() },
                    None => continue,
                },
            };
            if op == "in" {
                value = element(&value);
            }
            if op.len() > 1 && op.ends_with('=') && op != ":=" {
                let before = self.eval(*target);
                value = match op {
                    "+=" if before.number.is_none() || value.number.is_none() => Value::join(&[before, value]),
                    "??=" | "||=" => before.or(&value),
                    _ => Value { clean: clean::ALL, ..before.and(&value) },
                };
            }
            if let Some(typed) = typed {
                if self.flow.tables.typed.as_ref().is_some_and(|harmless| harmless.is_match(typed)) {
                    value.clean = clean::ALL;
                }
                if self.flow.language == "java" && value.is_dynamic() && value.from & from::REQUEST == 0 {
                    value.path = Some(typed.into());
                }
            }
            if let Some(value_node) = values.get(i).or(values.first()) {
                self.on_assign(node, *target, *value_node, &value, op);
            }
            self.bind(*target, value, declares);
            if let (Shape::Name(name), Some(from)) = (self.shape(*target), values.first()) {
                let mut names = Vec::new();
                self.names(*from, 3, &mut names);
                names.retain(|made_of| &**made_of != name);
                let scope = self.scopes.last_mut().expect("the outermost scope is never left");
                scope.made_of.insert(name.into(), names);
            }
        }
        evaluated.into_iter().next().unwrap_or_default()
    }

    /// Collects the names an expression is made of, as deep as `depth`.
    pub(super) fn names(&self, node: Node<'t>, depth: usize, names: &mut Vec<Rc<str>>) {
        if depth == 0 || names.len() > 8 {
            return;
        }
        match self.shape(node) {
            Shape::Name(name) if self.lookup(name).is_some_and(Value::is_dynamic) => names.push(name.into()),
            Shape::Same(inner) | Shape::Member { base: inner, .. } => self.names(inner, depth - 1, names),
            Shape::Call { callee, args } => {
                match callee {
                    shape::Callee::Expr(function) => self.names(function, depth - 1, names),
                    shape::Callee::Method(Some(base), _) => self.names(base, depth - 1, names),
                    _ => {}
                }
                for arg in args {
                    self.names(arg.value, depth - 1, names);
                }
            }
            _ => {}
        }
    }

    /// Remembers what is known of what `target` names.
    pub(super) fn bind(&mut self, target: Node<'t>, value: Value, declares: bool) {
        match self.shape(target) {
            Shape::Name(name) => self.set(name.into(), value, declares),
            Shape::Items(parts) => {
                for (i, part) in parts.into_iter().enumerate() {
                    let item = value.items.as_ref().and_then(|items| items.get(i)).cloned();
                    self.bind(part, item.unwrap_or_else(|| element(&value)), declares);
                }
            }
            Shape::Pairs { pairs, rest, .. } => {
                for (key, part) in pairs {
                    let member = self.member(&value, &key);
                    self.bind(part, member, declares);
                }
                for part in rest {
                    self.bind(part, element(&value), declares);
                }
            }
            Shape::Same(inner) => self.bind(inner, value, declares),
            Shape::Member { base, name } => {
                let base_value = self.eval(base);
                if let Some(path) = base_value.path.as_deref() {
                    self.set(joined(path, name), value.clone(), true);
                }
                self.spill(base, &value, false);
            }
            Shape::Index { base, .. } => self.spill(base, &value, false),
            Shape::Several(parts) => {
                for part in parts {
                    self.bind(part, value.clone(), declares);
                }
            }
            _ => {}
        }
    }

    pub(super) fn set(&mut self, name: Rc<str>, value: Value, declares: bool) {
        let at = if declares { None } else { self.scopes.iter().rposition(|scope| scope.vars.contains_key(&name)) };
        let innermost = self.scopes.len() - 1;
        let at = at.unwrap_or(innermost);
        let vars = &mut self.scopes[at].vars;
        // From an inner function, whether it runs and when is not known.
        let value = match vars.get(&name) {
            Some(before) if at != innermost => before.or(&value),
            _ => value,
        };
        vars.insert(name, value);
    }

    /// `node` now holds, or is extended by, `value`.
    pub(super) fn spill(&mut self, node: Node<'t>, value: &Value, extends: bool) {
        let Shape::Name(name) = self.shape(node) else { return };
        let Some(before) = self.lookup(name).cloned() else { return };
        let after = if extends {
            let joined = Value::join(&[before.clone(), value.clone()]);
            Value { path: before.path, items: None, ..joined }
        } else {
            let merged = before.and(value);
            Value { path: before.path, built: before.built, items: None, pairs: None, ..merged }
        };
        self.set(name.into(), after, false);
    }

    /// Returns the path by which a type's members are known.
    pub(super) fn type_path(&self, typed: &str) -> Rc<str> {
        let bare = typed.trim_start_matches(['&', '*', ' ', '\'']);
        let bare = bare.trim_start_matches("mut ").split(['<', '[']).next().unwrap_or(bare).trim();
        let bare = bare.replace("::", ".");
        let (head, tail) = bare.split_once('.').unwrap_or((&bare, ""));
        match self.imports.get(head) {
            Some(path) if tail.is_empty() => path.clone(),
            Some(path) => joined(path, tail),
            None => bare.into(),
        }
    }
}

/// Returns what a member of a collection is known to be.
pub(super) fn element(values: &Value) -> Value {
    if let Some(items) = values.items.as_ref().filter(|items| !items.is_empty()) {
        let all = items.iter().skip(1).fold(items[0].clone(), |all, item| all.or(item));
        if !all.is_dynamic() {
            return Value { from: from::CONSTANT, clean: clean::ALL, text: None, ..all };
        }
        return all;
    }
    let path = values.path.as_deref().map(|path| joined(path, "[]"));
    Value { path, text: None, number: None, items: None, pairs: None, ..values.clone() }
}

/// Adds a part to a path; paths that grow without end stop growing.
pub(super) fn joined(base: &str, name: &str) -> Rc<str> {
    const PATH_BYTES_MAX: usize = 200;
    if base.len() + name.len() > PATH_BYTES_MAX {
        return base.into();
    }
    format!("{base}.{name}").into()
}

/// Tells whether constants go by such a name.
pub(super) fn constant_name(name: &str) -> bool {
    name.len() > 1
        && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        && name.bytes().any(|b| b.is_ascii_uppercase())
}
