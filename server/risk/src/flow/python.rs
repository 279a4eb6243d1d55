//! The shapes of Python.

use std::borrow::Cow;

use tree_sitter::Node;

use super::shape::*;

pub(crate) fn shape<'t>(node: Node<'t>, text: &'t str) -> Shape<'t> {
    let src = |node: Node<'t>| source(node, text);
    match node.kind() {
        "ERROR" => broken(node),
        "identifier" | "type" | "keyword_identifier" => Shape::Name(src(node)),
        "string" => string(node, text),
        "concatenated_string" => Shape::Template(children(node).into_iter().map(Piece::Value).collect()),
        "integer" | "float" | "true" | "false" | "none" | "ellipsis" => Shape::Const(src(node)),
        "binary_operator" | "boolean_operator" => binary(node, text),
        "comparison_operator" => comparison(node, text),
        "not_operator" => field(node, "argument").map_or(Shape::Skip, Shape::Not),
        "attribute" => match (field(node, "object"), field(node, "attribute")) {
            (Some(base), Some(name)) => Shape::Member { base, name: src(name) },
            _ => Shape::Several(children(node)),
        },
        "subscript" => match field(node, "value") {
            Some(base) => Shape::Index { base, key: field(node, "subscript") },
            None => Shape::Several(children(node)),
        },
        "call" => match (field(node, "function"), field(node, "arguments")) {
            (Some(callee), Some(args)) => Shape::Call { callee: Callee::Expr(callee), args: arguments(args, text) },
            _ => Shape::Several(children(node)),
        },
        "assignment" | "augmented_assignment" | "named_expression" => {
            let left = field(node, "left").or_else(|| field(node, "name"));
            let right = field(node, "right").or_else(|| field(node, "value"));
            Shape::Assign {
                targets: left.into_iter().collect(),
                values: right.into_iter().collect(),
                op: field(node, "operator").map_or("=", |op| src(op)),
                typed: field(node, "type").map(src),
                declares: true,
            }
        }
        "as_pattern" => {
            let value = children(node).into_iter().next();
            let targets = field(node, "alias").into_iter().flat_map(children).collect();
            Shape::Assign { targets, values: value.into_iter().collect(), op: "=", typed: None, declares: true }
        }
        "for_in_clause" => Shape::Assign {
            targets: field(node, "left").into_iter().collect(),
            values: field(node, "right").into_iter().collect(),
            op: "in",
            typed: None,
            declares: true,
        },
        "list_comprehension" | "set_comprehension" | "generator_expression" | "dictionary_comprehension" => {
            let (mut clauses, body): (Vec<_>, Vec<_>) =
                children(node).into_iter().partition(|child| child.kind() == "for_in_clause");
            clauses.extend(body.into_iter().rev());
            Shape::Several(clauses)
        }
        "conditional_expression" => match children(node)[..] {
            [then, condition, otherwise] => Shape::Choice { condition, then, otherwise },
            _ => Shape::Several(children(node)),
        },
        "if_statement" | "elif_clause" => Shape::If {
            condition: field(node, "condition").into_iter().collect(),
            then: field(node, "consequence"),
            otherwise: fields(node, "alternative"),
        },
        "while_statement" => Shape::Loop {
            first: vec![],
            binding: None,
            condition: field(node, "condition"),
            body: field(node, "body"),
            last: field(node, "alternative"),
        },
        "for_statement" => Shape::Loop {
            first: vec![],
            binding: both(field(node, "left"), field(node, "right")),
            condition: None,
            body: field(node, "body"),
            last: field(node, "alternative"),
        },
        "assert_statement" => Shape::If { condition: children(node), then: None, otherwise: vec![] },
        "try_statement" => attempt(node, text),
        "function_definition" => Shape::Function(function(node, text, vec![])),
        "lambda" => Shape::Function(function(node, text, vec![])),
        "decorated_definition" => {
            let marks: Vec<_> = children(node).into_iter().filter(|child| child.kind() == "decorator").collect();
            match field(node, "definition") {
                Some(inner) if inner.kind() == "function_definition" => Shape::Function(function(inner, text, marks)),
                Some(inner) => class(inner, text, marks),
                None => Shape::Several(children(node)),
            }
        }
        "class_definition" => class(node, text, vec![]),
        "dictionary" => {
            let (pairs, rest): (Vec<_>, Vec<_>) = children(node).into_iter().partition(|child| child.kind() == "pair");
            let pairs = pairs.into_iter().filter_map(|pair| {
                let (key, value) = (field(pair, "key")?, field(pair, "value")?);
                Some((Cow::Borrowed(unquoted(src(key))), value))
            });
            Shape::Pairs { typed: None, pairs: pairs.collect(), rest }
        }
        "list" | "tuple" | "set" | "expression_list" | "pattern_list" | "tuple_pattern" | "list_pattern" => {
            Shape::Items(children(node))
        }
        "parenthesized_expression"
        | "await"
        | "list_splat"
        | "interpolation"
        | "expression_statement"
        | "decorator"
            if children(node).len() == 1 =>
        {
            Shape::Same(children(node)[0])
        }
        "interpolation" => field(node, "expression").map_or(Shape::Skip, Shape::Same),
        "return_statement" | "yield" => Shape::Return(children(node).into_iter().next()),
        "raise_statement" | "break_statement" | "continue_statement" => Shape::Leave(children(node)),
        "import_statement" => Shape::Import(imports(node, "", text)),
        "import_from_statement" => {
            let module = field(node, "module_name").map_or("", src);
            Shape::Import(imports(node, module, text))
        }
        "comment" | "pass_statement" | "global_statement" | "nonlocal_statement" => Shape::Skip,
        "match_statement" => Shape::Try { first: children(node), handlers: vec![], last: None },
        _ => Shape::Several(children(node)),
    }
}

fn string<'t>(node: Node<'t>, text: &'t str) -> Shape<'t> {
    let parts = children(node);
    if !parts.iter().any(|part| part.kind() == "interpolation") {
        return Shape::Text(Cow::Borrowed(unquoted(source(node, text))));
    }
    let pieces = parts.into_iter().filter_map(|part| match part.kind() {
        "interpolation" => Some(Piece::Value(part)),
        "string_content" => Some(Piece::Text(source(part, text))),
        _ => None,
    });
    Shape::Template(pieces.collect())
}

fn binary<'t>(node: Node<'t>, text: &'t str) -> Shape<'t> {
    match (field(node, "left"), field(node, "operator"), field(node, "right")) {
        (Some(left), Some(op), Some(right)) => Shape::Binary { op: source(op, text), left, right },
        _ => Shape::Several(children(node)),
    }
}

fn comparison<'t>(node: Node<'t>, text: &'t str) -> Shape<'t> {
    let parts = children(node);
    match parts[..] {
        [left, right] => {
            let op = text.get(left.end_byte()..right.start_byte()).unwrap_or_default().trim();
            Shape::Binary { op, left, right }
        }
        _ => Shape::Several(parts),
    }
}

fn arguments<'t>(node: Node<'t>, text: &'t str) -> Vec<Arg<'t>> {
    if node.kind() != "argument_list" {
        return vec![Arg { name: None, value: node, more: vec![] }];
    }
    let argument = |child: Node<'t>| match child.kind() {
        "keyword_argument" => {
            let name = field(child, "name").map(|name| source(name, text));
            Arg { name, value: field(child, "value").unwrap_or(child), more: vec![] }
        }
        _ => Arg { name: None, value: child, more: vec![] },
    };
    children(node).into_iter().map(argument).collect()
}

fn attempt<'t>(node: Node<'t>, text: &'t str) -> Shape<'t> {
    let mut first = Vec::new();
    let mut handlers = Vec::new();
    let mut last = None;
    for child in children(node) {
        match child.kind() {
            "except_clause" | "except_group_clause" => {
                let parts = children(child);
                let caught = parts.iter().find(|part| part.kind() != "block").copied();
                let (types, name) = match caught {
                    Some(pattern) if pattern.kind() == "as_pattern" => (
                        children(pattern).first().map_or("", |types| source(*types, text)),
                        field(pattern, "alias").and_then(|alias| children(alias).into_iter().next()),
                    ),
                    Some(types) => (source(types, text), None),
                    None => ("", None),
                };
                let body = parts.into_iter().find(|part| part.kind() == "block");
                handlers.push(Handler { node: child, types, name, body });
            }
            "finally_clause" => last = Some(child),
            _ => first.push(child),
        }
    }
    Shape::Try { first, handlers, last }
}

fn function<'t>(node: Node<'t>, text: &'t str, marks: Vec<Node<'t>>) -> Function<'t> {
    let params = field(node, "parameters").map(children).unwrap_or_default();
    let params = params.into_iter().filter_map(|param| {
        let target = match param.kind() {
            "identifier" | "tuple_pattern" => param,
            "typed_parameter" => children(param).into_iter().next()?,
            "default_parameter" | "typed_default_parameter" => field(param, "name")?,
            "list_splat_pattern" | "dictionary_splat_pattern" => children(param).into_iter().next()?,
            _ => return None,
        };
        let typed = field(param, "type").map(|typed| source(typed, text));
        Some(Param { target, typed, default: field(param, "value"), written: source(param, text) })
    });
    Function {
        name: field(node, "name").map_or("", |name| source(name, text)),
        params: params.collect(),
        body: field(node, "body"),
        marks,
    }
}

fn class<'t>(node: Node<'t>, text: &'t str, marks: Vec<Node<'t>>) -> Shape<'t> {
    Shape::Class { name: field(node, "name").map_or("", |name| source(name, text)), marks, body: field(node, "body") }
}

fn imports<'t>(node: Node<'t>, module: &'t str, text: &'t str) -> Vec<(Cow<'t, str>, Cow<'t, str>)> {
    let mut bound = Vec::new();
    for name in fields(node, "name") {
        let (path, local) = match name.kind() {
            "aliased_import" => match (field(name, "name"), field(name, "alias")) {
                (Some(path), Some(local)) => (source(path, text), source(local, text)),
                _ => continue,
            },
            _ => (source(name, text), source(name, text)),
        };
        if module.is_empty() {
            let root = if path == local { path.split('.').next().unwrap_or(path) } else { path };
            let local = if path == local { root } else { local };
            bound.push((Cow::Borrowed(local), Cow::Borrowed(root)));
        } else {
            bound.push((Cow::Borrowed(local), Cow::Owned(format!("{module}.{path}"))));
        }
    }
    bound
}
