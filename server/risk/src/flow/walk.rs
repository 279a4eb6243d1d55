//! The walk: what is known of each name, statement by statement.

use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use tree_sitter::Node;

use super::names::element;
use super::shape::{self, Broken, Callee, Function, Handler, Param, Piece, Shape, source};
use super::value::{Value, clean, from};
use super::{DEPTH_MAX, Flow, Hit};

/// Names and what is known of them, of one function or block of code.
#[derive(Default)]
pub(super) struct Scope {
    pub(super) vars: HashMap<Rc<str>, Value>,
    /// Names a name was made of: what is checked of one is checked of the others.
    pub(super) made_of: HashMap<Rc<str>, Vec<Rc<str>>>,
}

/// The function the walk is in.
pub(super) struct Frame {
    pub(super) range: Range<usize>,
    pub(super) name: String,
    pub(super) handler: bool,
    pub(super) loops: usize,
    /// Whether the statements that follow can be reached.
    left: bool,
}

pub(super) struct Walk<'t, 'f> {
    pub(super) flow: &'f Flow,
    pub(super) text: &'t str,
    pub(super) scopes: Vec<Scope>,
    pub(super) imports: HashMap<Rc<str>, Rc<str>>,
    pub(super) frames: Vec<Frame>,
    /// Functions whose bodies are walked when all that stands around them is known.
    later: Vec<(Function<'t>, Node<'t>)>,
    pub(super) hits: Vec<Hit>,
    steps: usize,
    /// How many more names branches may copy; after that they are walked one after the other.
    copies: usize,
    depth: usize,
    whole: bool,
    /// What a name means that nobody in sight defines.
    pub(super) free: u16,
}

/// Walks a tree; the second answer is whether all of it was followed.
pub(super) fn walk(flow: &Flow, root: Node<'_>, text: &str) -> (Vec<Hit>, bool) {
    let mut walk = Walk {
        flow,
        text,
        scopes: vec![Scope::default()],
        imports: HashMap::new(),
        frames: vec![Frame { range: root.byte_range(), name: String::new(), handler: false, loops: 0, left: false }],
        later: Vec::new(),
        hits: Vec::new(),
        steps: 1000 + root.descendant_count().saturating_mul(8),
        copies: 1000 + root.descendant_count().saturating_mul(4),
        depth: 0,
        whole: true,
        free: if root.has_error() { from::FREE } else { from::UNKNOWN },
    };
    walk.eval(root);
    walk.run_later(0);
    (walk.hits, walk.whole)
}

impl<'t> Walk<'t, '_> {
    pub(super) fn source(&self, node: Node<'_>) -> &'t str {
        source(node, self.text)
    }

    pub(super) fn shape(&self, node: Node<'t>) -> Shape<'t> {
        (self.flow.shape)(node, self.text)
    }

    /// Walks `node` and returns what is known of its value.
    pub(super) fn eval(&mut self, node: Node<'t>) -> Value {
        if self.depth >= DEPTH_MAX || self.steps == 0 {
            self.whole = false;
            return Value::of(from::UNKNOWN);
        }
        self.depth += 1;
        self.steps -= 1;
        let mut value = self.judge(node);
        self.depth -= 1;
        if value.at.is_none() && value.is_dynamic() {
            value.at = Some((node.start_byte() as u32, node.end_byte() as u32));
        }
        value
    }

    fn judge(&mut self, node: Node<'t>) -> Value {
        match self.shape(node) {
            Shape::Name(name) => {
                let value = self.name(name);
                self.on_read(node, &value);
                value
            }
            Shape::Text(text) => {
                self.on_literal(node, &text);
                Value::text(&text)
            }
            Shape::Const(text) => {
                if text.len() > 4 && text.starts_with('/') {
                    self.on_literal(node, text);
                }
                constant(text)
            }
            Shape::Template(pieces) => {
                let parts: Vec<Value> = pieces.into_iter().map(|piece| self.piece(piece)).collect();
                let value = Value::join(&parts);
                if let Some(prefix) = value.prefix.clone().or(value.text.clone()) {
                    self.on_literal(node, &prefix);
                }
                value
            }
            Shape::Binary { op, left, right } => self.binary(node, op, left, right),
            Shape::Not(inner) => {
                let value = self.eval(inner);
                Value { number: value.number.map(|n| i64::from(n == 0)), clean: clean::ALL, ..value }
            }
            Shape::Member { base, name } => {
                let base = self.eval(base);
                let value = self.member(&base, name);
                self.on_read(node, &value);
                value
            }
            Shape::Index { base, key } => self.index(base, key),
            Shape::Call { callee, args } => self.call(node, callee, args),
            Shape::Assign { targets, values, op, typed, declares } => {
                self.assign(node, &targets, &values, op, typed, declares)
            }
            Shape::Choice { condition, then, otherwise } => {
                let known = self.condition(condition).number;
                match known {
                    Some(0) => self.eval(otherwise),
                    Some(_) => self.eval(then),
                    None => {
                        let then = self.eval(then);
                        then.or(&self.eval(otherwise))
                    }
                }
            }
            Shape::If { condition, then, otherwise } => {
                self.branch(condition, then, otherwise);
                Value::default()
            }
            Shape::Loop { first, binding, condition, body, last } => {
                self.block(first);
                if let Some((target, from)) = binding {
                    let values = self.eval(from);
                    self.bind(target, element(&values), true);
                }
                if let Some(condition) = condition {
                    self.condition(condition);
                }
                self.frame().loops += 1;
                for node in body.into_iter().chain(last) {
                    self.eval(node);
                }
                self.frame().loops -= 1;
                self.frame().left = false;
                Value::default()
            }
            Shape::Try { first, handlers, last } => {
                self.block(first);
                self.frame().left = false;
                for handler in handlers {
                    self.handler(handler);
                }
                self.frame().left = false;
                last.map(|last| self.eval(last));
                Value::default()
            }
            Shape::Function(function) => {
                if !function.name.is_empty() {
                    self.marks(&function);
                    self.later.push((function, node));
                    return Value::default();
                }
                self.function(function, node, &Value::of(from::UNKNOWN), false);
                Value::of(from::UNKNOWN)
            }
            Shape::Class { name, marks, body } => {
                for mark in marks {
                    self.eval(mark);
                }
                let start = self.later.len();
                self.scopes.push(Scope::default());
                if let Some(body) = body {
                    self.block(shape::children(body));
                }
                self.run_later(start);
                self.scopes.pop();
                let _ = name;
                Value::default()
            }
            Shape::Pairs { typed, pairs, rest } => self.pairs(node, typed, pairs, rest),
            Shape::Items(nodes) => {
                let items: Vec<Value> = nodes.into_iter().map(|node| self.eval(node)).collect();
                let whole = items.iter().fold(Value::default(), |all, item| all.and(item));
                Value { items: Some(items.into()), ..whole }
            }
            Shape::Same(inner) => self.eval(inner),
            Shape::Several(nodes) => self.block(nodes),
            Shape::Return(value) => {
                if let Some(node) = value {
                    let value = self.eval(node);
                    self.on_return(node, &value);
                }
                self.frame().left = true;
                Value::default()
            }
            Shape::Leave(nodes) => {
                self.block(nodes);
                self.frame().left = true;
                Value::default()
            }
            Shape::Import(names) => {
                for (local, path) in names {
                    self.imports.insert(local.as_ref().into(), path.as_ref().into());
                }
                Value::default()
            }
            Shape::Broken(parts) => {
                for part in parts {
                    match part {
                        Broken::Node(node) => drop(self.eval(node)),
                        Broken::Call(callee, args) => drop(self.call(callee, Callee::Expr(callee), args)),
                        Broken::Assign(target, value) => {
                            drop(self.assign(target, &[target], &[value], "=", None, true));
                        }
                    }
                }
                Value::default()
            }
            Shape::Skip => Value::default(),
        }
    }

    pub(super) fn frame(&mut self) -> &mut Frame {
        self.frames.last_mut().expect("the outermost frame is never left")
    }

    /// Walks `nodes` in order; the value is what any of them gives.
    pub(super) fn block(&mut self, nodes: Vec<Node<'t>>) -> Value {
        nodes.into_iter().fold(Value::default(), |all, node| all.and(&self.eval(node)))
    }

    fn piece(&mut self, piece: Piece<'t>) -> Value {
        match piece {
            Piece::Text(text) => Value::text(text),
            Piece::Value(node) => self.eval(node),
        }
    }

    fn branch(&mut self, condition: Vec<Node<'t>>, then: Option<Node<'t>>, otherwise: Vec<Node<'t>>) {
        let mut known = None;
        for node in condition {
            known = self.condition(node).number;
        }
        let before = self.snapshot();
        if known != Some(0) {
            then.map(|then| self.eval(then));
        }
        if known.is_some_and(|known| known != 0) {
            return;
        }
        let after_then = (!std::mem::take(&mut self.frame().left)).then(|| self.snapshot()).flatten();
        let then_left = after_then.is_none() && before.is_some();
        if let Some(before) = before {
            *self.innermost() = before;
        }
        for node in otherwise {
            self.eval(node);
        }
        let other_left = std::mem::take(&mut self.frame().left);
        match after_then {
            Some(vars) if other_left || known == Some(1) => *self.innermost() = vars,
            Some(vars) if known != Some(0) => merge(self.innermost(), vars),
            _ => {}
        }
        self.frame().left = then_left && other_left;
    }

    fn innermost(&mut self) -> &mut HashMap<Rc<str>, Value> {
        &mut self.scopes.last_mut().expect("the outermost scope is never left").vars
    }

    /// Copies the names of the function, unless that costs too much.
    fn snapshot(&mut self) -> Option<HashMap<Rc<str>, Value>> {
        let vars = &self.scopes.last()?.vars;
        if self.copies < vars.len() {
            return None;
        }
        let copy = vars.clone();
        self.copies -= copy.len();
        Some(copy)
    }

    fn handler(&mut self, handler: Handler<'t>) {
        self.on_catch(&handler);
        if let Some(name) = handler.name {
            let value = Value { path: Some("error".into()), ..Value::of(from::ERROR | from::UNKNOWN) };
            self.bind(name, value, true);
        }
        handler.body.map(|body| self.eval(body));
    }

    /// Walks the functions that were put off since `start`.
    fn run_later(&mut self, start: usize) {
        let mut at = start;
        while at < self.later.len() {
            let (function, node) = self.later.remove(at);
            self.function(function, node, &Value::of(from::PARAM), false);
            at = start;
        }
    }

    fn marks(&mut self, function: &Function<'t>) {
        for mark in &function.marks {
            self.eval(*mark);
        }
    }

    /// Walks the body of a function whose parameters come from `given`.
    pub(super) fn function(&mut self, function: Function<'t>, node: Node<'t>, given: &Value, handler: bool) {
        let handler = handler || self.answers_requests(&function);
        let name = function.name.to_owned();
        self.scopes.push(Scope::default());
        self.frames.push(Frame { range: node.byte_range(), name, handler, loops: 0, left: false });
        for param in &function.params {
            let default = param.default.map(|default| (default, self.eval(default)));
            if let Some((default, value)) = default {
                self.on_assign(param.target, param.target, default, &value, "=");
            }
            let value = self.param(param, given, handler);
            self.bind(param.target, value, true);
        }
        let start = self.later.len();
        if let Some(body) = function.body {
            let value = self.eval(body);
            // The body of a lambda is its value.
            if function.name.is_empty() && value.is_dynamic() {
                self.on_return(body, &value);
            }
        }
        self.run_later(start);
        self.frames.pop();
        self.scopes.pop();
    }

    fn answers_requests(&self, function: &Function<'t>) -> bool {
        let Some(table) = &self.flow.tables.handler else { return false };
        function.marks.iter().any(|mark| table.marks.is_match(self.source(*mark)))
            || function.params.iter().any(|param| table.params.is_match(param.written))
    }

    fn param(&self, param: &Param<'t>, given: &Value, handler: bool) -> Value {
        let name = self.source(param.target);
        let harmless = param
            .typed
            .is_some_and(|typed| self.flow.tables.typed.as_ref().is_some_and(|harmless| harmless.is_match(typed)));
        let (data, tool) = match &self.flow.tables.handler {
            Some(table) => (table.data.is_match(param.written), table.tools.is_match(param.written)),
            None => (false, false),
        };
        let from = match (data, tool) {
            (true, _) => from::REQUEST,
            (false, true) => from::UNKNOWN,
            (false, false) if handler && given.from == from::PARAM => from::REQUEST,
            (false, false) => given.from,
        };
        let path = match param.typed {
            Some(typed) if matches!(self.flow.language, "java" | "go" | "rust") => self.type_path(typed),
            _ => name.into(),
        };
        let at = Some((param.target.start_byte() as u32, param.target.end_byte() as u32));
        let clean = if harmless { clean::ALL } else { given.clean };
        self.sourced(Value { path: Some(path), from, clean, at, ..Value::default() })
    }
}

fn merge(vars: &mut HashMap<Rc<str>, Value>, others: HashMap<Rc<str>, Value>) {
    for (name, other) in others {
        match vars.get_mut(&name) {
            Some(value) => *value = value.or(&other),
            None => {
                vars.insert(name, other);
            }
        }
    }
}

fn constant(text: &str) -> Value {
    let number = match text {
        "true" | "True" => Some(1),
        "false" | "False" => Some(0),
        _ => {
            let digits = text.replace('_', "").to_ascii_lowercase();
            let digits = digits.trim_end_matches(['l', 'n']);
            match (digits.strip_prefix("0x"), digits.strip_prefix("0o")) {
                (Some(hex), _) => i64::from_str_radix(hex, 16).ok(),
                (_, Some(octal)) => i64::from_str_radix(octal, 8).ok(),
                _ if digits.len() > 1 && digits.starts_with('0') => i64::from_str_radix(digits, 8).ok(),
                _ => digits.parse().ok(),
            }
        }
    };
    let mut value = Value { clean: clean::ALL, number, ..Value::default() };
    value.path = Some(text.into());
    value.text = number.map(|_| text.into());
    value
}
