//! Expressions that make one value of several: operators, calls, conditions.

use std::rc::Rc;

use tree_sitter::Node;

use super::matching::Given;
use super::names::{element, joined};
use super::shape::{Arg, Callee, Shape};
use super::value::{Value, clean, from};
use super::walk::Walk;

/// Longest chain of operators whose operands are joined in one go.
const OPERANDS_MAX: usize = 500;

impl<'t> Walk<'t, '_> {
    pub(super) fn binary(&mut self, node: Node<'t>, op: &'t str, left: Node<'t>, right: Node<'t>) -> Value {
        match op {
            "+" => self.sum(left, right),
            "%" if self.flow.language == "python" => {
                let format = self.eval(left);
                let values = self.eval(right);
                if format.number.is_some() || format.clean == clean::ALL {
                    return Value { clean: clean::ALL, ..format.and(&values) };
                }
                self.formatted(&format, &[values])
            }
            "||" | "??" | "or" => {
                let left_value = self.eval(left);
                let right_value = self.eval(right);
                self.on_compare(node, op, (left, &left_value), (right, &right_value));
                left_value.or(&right_value)
            }
            "&&" | "and" => {
                let left = self.condition(left);
                let right = self.eval(right);
                let number = match (left.number, right.number) {
                    (Some(0), _) | (_, Some(0)) => Some(0),
                    (Some(_), Some(right)) => Some(right),
                    _ => None,
                };
                Value { number, ..right }
            }
            "-" | "*" | "/" | "//" | "**" | "<<" | ">>" | "&" | "|" | "^" | "%" | ">>>" => {
                let (left, right) = (self.eval(left), self.eval(right));
                let number = match (left.number, right.number) {
                    (Some(a), Some(b)) => arithmetic(op, a, b),
                    _ => None,
                };
                let whole = Value { clean: clean::ALL, ..left.and(&right) };
                if op == "/" && self.flow.language == "python" && left.path.is_some() {
                    // `folder / name` joins paths.
                    return Value { clean: left.and(&right).clean, built: true, path: left.path, ..whole };
                }
                Value { number, ..whole }
            }
            _ => {
                let (left_value, right_value) = (self.eval(left), self.eval(right));
                self.on_compare(node, op, (left, &left_value), (right, &right_value));
                let number = match (left_value.number, right_value.number) {
                    (Some(a), Some(b)) => comparison(op, a, b),
                    _ => None,
                };
                Value { clean: clean::ALL, number, ..left_value.and(&right_value) }
            }
        }
    }

    /// `a + b + c + ...`, which nests to the left as deep as it is long.
    fn sum(&mut self, left: Node<'t>, right: Node<'t>) -> Value {
        let mut operands = vec![right];
        let mut next = left;
        while operands.len() < OPERANDS_MAX {
            match self.shape(next) {
                Shape::Binary { op: "+", left, right } => {
                    operands.push(right);
                    next = left;
                }
                _ => break,
            }
        }
        operands.push(next);
        let parts: Vec<Value> = operands.into_iter().rev().map(|operand| self.eval(operand)).collect();
        if let Some(sum) = parts.iter().try_fold(0i64, |sum, part| sum.checked_add(part.number?)) {
            return Value::number(sum);
        }
        let value = Value::join(&parts);
        // Adding numbers makes a number.
        let numeric =
            parts.iter().all(|part| part.clean == clean::ALL && (part.text.is_none() || part.number.is_some()));
        let value = if numeric { Value { clean: clean::ALL, ..value } } else { value };
        if let (Some(prefix), true) = (value.prefix.clone(), value.is_dynamic()) {
            self.on_literal(right, &prefix);
        }
        value
    }

    /// Puts `values` into a format.
    fn formatted(&self, format: &Value, values: &[Value]) -> Value {
        let mut parts = vec![format.clone()];
        for value in values {
            match (&value.items, &value.pairs) {
                (Some(items), _) => parts.extend(items.iter().cloned()),
                (_, Some(pairs)) => parts.extend(pairs.iter().map(|pair| pair.value.clone())),
                _ => parts.push(value.clone()),
            }
        }
        let mut whole = Value::join(&parts);
        if let Some(text) = &format.text {
            // Only what stands before the first place to fill is known.
            let end = text.find(['%', '{']).unwrap_or(text.len());
            whole.prefix = Some(text[..end].into());
            if whole.is_dynamic() && text.contains("%d") && !text.contains("%s") && !text.contains("%v") {
                whole.clean = clean::ALL;
            }
        }
        whole.text = None;
        whole.built = whole.is_dynamic();
        whole
    }

    /// Evaluates a condition; what it compares with something known counts as checked from here on.
    pub(super) fn condition(&mut self, node: Node<'t>) -> Value {
        match self.shape(node) {
            Shape::Same(inner) => self.condition(inner),
            Shape::Not(inner) => {
                let value = self.condition(inner);
                Value { number: value.number.map(|n| i64::from(n == 0)), ..value }
            }
            Shape::Binary { op: "&&" | "||" | "and" | "or", left, right } => {
                let left = self.condition(left);
                let right = self.condition(right);
                let _ = (left, right);
                Value::default()
            }
            Shape::Binary { op, left, right } => {
                let value = self.eval(node);
                let known = |value: &Value| value.text.as_ref().is_some_and(|text| !text.is_empty());
                let (left_value, right_value) = (self.eval(left), self.eval(right));
                match op {
                    "in" | "not in" if !right_value.is_dynamic() || right_value.from & from::GIVEN == 0 => {
                        self.checked(left);
                    }
                    "in" | "not in" if known(&left_value) => self.checked(right),
                    "==" | "===" | "!=" | "!==" if known(&right_value) && right_value.number.is_none() => {
                        let kind = self.source(left).starts_with("typeof");
                        let harmless = matches!(right_value.text.as_deref(), Some("number" | "boolean" | "undefined"));
                        if kind && !harmless {
                            return value;
                        }
                        self.checked(left);
                    }
                    "==" | "===" | "!=" | "!==" | "<" | "<=" | ">" | ">="
                        if right_value.is_dynamic() || known(&right_value) =>
                    {
                        self.checked_inside(left);
                    }
                    _ => {}
                }
                value
            }
            Shape::Call { .. } => {
                let value = self.eval(node);
                self.checked_inside(node);
                value
            }
            Shape::Several(nodes) => nodes.into_iter().fold(Value::default(), |_, node| self.condition(node)),
            _ => self.eval(node),
        }
    }

    /// Marks what a check such as `allowed(name)` or `name.startswith(...)` looks at.
    fn checked_inside(&mut self, node: Node<'t>) {
        let Shape::Call { callee, args } = self.shape(node) else { return };
        let (base, name) = match &callee {
            Callee::Expr(function) => match self.shape(*function) {
                Shape::Member { base, name } => (Some(base), name.to_owned()),
                Shape::Name(name) => (None, name.to_owned()),
                _ => return,
            },
            Callee::Method(base, name) => (*base, (*name).to_owned()),
            Callee::Named(name) => (None, name.to_string()),
        };
        if !self.flow.tables.checks.as_ref().is_some_and(|checks| checks.is_match(&name)) {
            return;
        }
        if let Some(base) = base {
            self.checked(base);
        }
        for arg in args {
            self.checked(arg.value);
        }
    }

    /// Remembers that the value of `node` was compared with what is allowed.
    fn checked(&mut self, node: Node<'t>) {
        match self.shape(node) {
            Shape::Same(inner) => return self.checked(inner),
            Shape::Call { callee: Callee::Expr(function), .. } => {
                // `name.lower() in ...` says something about `name`.
                if let Shape::Member { base, .. } = self.shape(function) {
                    self.checked(base);
                }
            }
            Shape::Call { callee: Callee::Method(Some(base), _), .. } => self.checked(base),
            Shape::Call { callee: Callee::Named(_), args } => {
                for arg in args {
                    self.checked(arg.value);
                }
            }
            _ => {}
        }
        let value = self.eval(node);
        let key: Option<Rc<str>> = match self.shape(node) {
            Shape::Name(name) => Some(name.into()),
            Shape::Member { base, .. } => {
                self.checked_parents(base);
                value.path.clone()
            }
            _ => value.path.clone(),
        };
        self.checked_parents(node);
        if let Some(key) = key {
            self.mark_checked(key, value);
        }
    }

    /// What was checked of a name was checked of what it was made of.
    fn checked_parents(&mut self, node: Node<'t>) {
        let Shape::Name(name) = self.shape(node) else { return };
        let parents = self.scopes.iter().rev().find_map(|scope| scope.made_of.get(name)).cloned().unwrap_or_default();
        for parent in parents {
            if let Some(value) = self.lookup(&parent).cloned() {
                self.mark_checked(parent, value);
            }
        }
    }

    fn mark_checked(&mut self, key: Rc<str>, value: Value) {
        let value = Value { clean: value.clean | clean::CHECKED, ..value };
        let scope = self.scopes.last_mut().expect("the outermost scope is never left");
        scope.vars.insert(key, value);
    }

    pub(super) fn call(&mut self, node: Node<'t>, callee: Callee<'t>, args: Vec<Arg<'t>>) -> Value {
        let mut base_node = None;
        let mut base = None;
        let (path, name): (Rc<str>, String) = match callee {
            Callee::Named(name) => (self.written(&name), name.into_owned()),
            Callee::Method(None, name) => (name.into(), name.to_owned()),
            Callee::Method(Some(object), name) => {
                base_node = Some(object);
                let value = self.eval(object);
                let path = joined(value.path.as_deref().unwrap_or("_"), name);
                base = Some(value);
                (path, name.to_owned())
            }
            Callee::Expr(function) => match self.shape(function) {
                Shape::Member { base: object, name } => {
                    base_node = Some(object);
                    let value = self.eval(object);
                    let path = joined(value.path.as_deref().unwrap_or("_"), name);
                    base = Some(value);
                    (path, name.to_owned())
                }
                Shape::Name(name) => {
                    let value = self.eval(function);
                    (value.path.unwrap_or_else(|| name.into()), name.to_owned())
                }
                _ => {
                    let value = self.eval(function);
                    (value.path.unwrap_or_else(|| "_".into()), String::new())
                }
            },
        };
        let (given, lambdas) = self.arguments(args);
        let call_path = path.clone();
        let result = self.result(&path, &name, base.as_ref(), &given);
        // What a callback is given comes from what it is called on.
        let callers = self.flow.tables.handler.as_ref();
        let handler = callers.is_some_and(|table| table.callers.find(&path).next().is_some());
        for lambda in lambdas {
            if let Shape::Function(function) = self.shape(lambda) {
                let from = base.as_ref().map_or(from::UNKNOWN, |base| base.from | from::UNKNOWN);
                let clean = base.as_ref().map_or(0, |base| base.clean);
                let value = Value { clean, ..Value::of(from) };
                self.function(function, lambda, &value, handler);
            }
        }
        self.on_call(node, &call_path, base.as_ref(), &given);
        if let (Some(object), Some(_)) = (base_node, self.flow.tables.lists.find(&path).next()) {
            let builder = name == "append" && matches!(self.flow.language, "java");
            let values = given.iter().fold(Value::default(), |all, given| all.and(&given.value));
            let values = if builder { given.first().map_or(values, |first| first.value.clone()) } else { values };
            let extends = builder || matches!(name.as_str(), "WriteString" | "push_str");
            self.spill(object, &values, extends);
        }
        result
    }

    /// Evaluates arguments; lambdas wait until it is known what they are given.
    fn arguments(&mut self, args: Vec<Arg<'t>>) -> (Vec<Given<'t>>, Vec<Node<'t>>) {
        let mut lambdas = Vec::new();
        let mut given = Vec::new();
        for arg in args {
            let value = match self.shape(arg.value) {
                Shape::Function(function) if function.name.is_empty() => {
                    lambdas.push(arg.value);
                    Value { path: Some("lambda".into()), ..Value::default() }
                }
                _ if arg.more.is_empty() => self.eval(arg.value),
                _ => {
                    let parts: Vec<Value> =
                        std::iter::once(arg.value).chain(arg.more).map(|part| self.eval(part)).collect();
                    Value::join(&parts)
                }
            };
            given.push(Given { name: arg.name, value, node: arg.value });
        }
        (given, lambdas)
    }

    /// Returns what is known of a call's result.
    fn result(&mut self, path: &Rc<str>, name: &str, base: Option<&Value>, given: &[Given<'t>]) -> Value {
        let tables = &self.flow.tables;
        if let ("require" | "import", Some(text)) = (name, given.first().and_then(|given| given.value.text.clone())) {
            let module = text.strip_prefix("node:").unwrap_or(&text).replace('.', "_");
            return Value { path: Some(module.into()), ..Value::of(from::UNKNOWN) };
        }
        let result_path: Rc<str> = if path.len() < 200 { format!("{path}()").into() } else { path.clone() };
        let mut all = base.cloned().unwrap_or_default();
        all = all.and(&Value::default());
        for given in given {
            all = if all.from == 0 { given.value.and(&Value::default()) } else { all.and(&given.value) };
        }
        let built = base.is_some_and(|base| base.built) || given.iter().any(|given| given.value.built);
        let same = matches!(
            name,
            "getBytes" | "encode" | "toCharArray" | "from" | "trim" | "strip" | "bytes" | "as_bytes" | "String"
        );
        if same && all.from & from::DYNAMIC == 0 {
            let written = base.filter(|base| base.text.is_some()).or(given.first().map(|given| &given.value));
            if let Some(value) = written.filter(|value| value.text.is_some()) {
                return value.clone();
            }
        }
        let mut value = if tables.build.find(path).next().is_some() {
            self.built(name, base, given)
        } else {
            let from = if all.from & from::GIVEN == 0 { all.from | from::UNKNOWN } else { all.from };
            Value { from, clean: all.clean, at: all.at, built, ..Value::default() }
        };
        if value.path.is_none() {
            value.path = Some(result_path.clone());
        }
        for at in tables.clean.find(path) {
            value.clean |= tables.clean_bits[at];
        }
        if matches!(name, "replace" | "replaceAll" | "sub" | "ReplaceAllString" | "translate" | "replace_all") {
            value.clean |= given.first().map_or(0, |pattern| removed(self.source(pattern.node)));
        }
        if tables.cleaners.as_ref().is_some_and(|cleaners| cleaners.is_match(name)) {
            value.clean |= clean::ALL & !clean::CHECKED;
        }
        let mut sources = 0;
        for bits in tables.sources.find(&result_path) {
            sources |= bits as u16;
        }
        if sources != 0 && value.clean == all.clean {
            value.from |= sources;
            value.clean = 0;
            value.at = None;
        }
        value
    }

    /// Puts a text together as a call does.
    fn built(&self, name: &str, base: Option<&Value>, given: &[Given<'t>]) -> Value {
        let values: Vec<Value> = given.iter().map(|given| given.value.clone()).collect();
        match name {
            // `separator.join(list)` and `list.join(separator)`
            "join" => {
                let mut parts: Vec<Value> = Vec::new();
                for value in base.iter().copied().chain(&values) {
                    match &value.items {
                        Some(items) => parts.extend(items.iter().cloned()),
                        None => parts.push(element(value)),
                    }
                }
                let mut value = Value::join(&parts);
                value.text = None;
                value.path = None;
                value
            }
            "format" if base.is_some_and(|base| base.text.is_some() || base.built || base.prefix.is_some()) => {
                self.formatted(base.expect("it was just looked at"), &values)
            }
            "concat" => {
                let parts: Vec<Value> = base.iter().copied().cloned().chain(values).collect();
                Value { path: None, ..Value::join(&parts) }
            }
            "append" | "insert" | "toString" | "replace" | "String" => {
                let parts: Vec<Value> = base.iter().copied().cloned().chain(values).collect();
                let joined = Value::join(&parts);
                Value { path: base.and_then(|base| base.path.clone()), ..joined }
            }
            _ => match values.split_first() {
                Some((format, rest)) => Value { path: None, ..self.formatted(format, rest) },
                None => Value::default(),
            },
        }
    }

    /// Resolves a constructor's or macro's written name.
    fn written(&self, name: &str) -> Rc<str> {
        self.imports.get(name).cloned().unwrap_or_else(|| name.into())
    }
}

/// Returns what a text is harmless for when all that `pattern` matches is taken out of it.
fn removed(pattern: &str) -> u32 {
    let lines = pattern.contains("\\n") || pattern.contains("\\r") || pattern.contains("\\s");
    let mut bits = 0;
    if lines {
        bits |= clean::class("log").unwrap_or(0) | clean::class("header").unwrap_or(0);
    }
    let Some((_, class)) = pattern.split_once('[') else {
        let all = pattern.starts_with('/') && pattern.trim_end_matches(['i', 'm', 's', 'u']).ends_with('g');
        let dots = pattern.contains("\\.") || pattern.contains("\\/");
        return bits | if all && dots { clean::class("path").unwrap_or(0) } else { 0 };
    };
    if let Some(kept) = class.strip_prefix('^') {
        // Only what is listed stays: letters and the like.
        let kept = kept.split(']').next().unwrap_or(kept);
        return if kept.contains(['<', '\'', '"', ';', '&', '.']) && !kept.contains("\\w") { 0 } else { clean::ALL };
    }
    let class = class.rsplit_once(']').map_or(class, |(class, _)| class);
    for (name, letters) in [
        ("html", &['<'][..]),
        ("path", &['.', '/'][..]),
        ("shell", &[';', '|', '`'][..]),
        ("sql", &['\''][..]),
        ("ldap", &['*', '('][..]),
    ] {
        if class.contains(letters) {
            bits |= clean::class(name).unwrap_or(0);
        }
    }
    bits
}

fn arithmetic(op: &str, a: i64, b: i64) -> Option<i64> {
    match op {
        "-" => a.checked_sub(b),
        "*" => a.checked_mul(b),
        "/" | "//" => a.checked_div(b),
        "%" => a.checked_rem(b),
        _ => None,
    }
}

fn comparison(op: &str, a: i64, b: i64) -> Option<i64> {
    Some(i64::from(match op {
        "==" | "===" => a == b,
        "!=" | "!==" => a != b,
        "<" => a < b,
        "<=" => a <= b,
        ">" => a > b,
        ">=" => a >= b,
        _ => return None,
    }))
}
