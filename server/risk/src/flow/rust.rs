//! The shapes of Rust.

use std::borrow::Cow;

use tree_sitter::Node;

use super::shape::*;

pub(crate) fn shape<'t>(node: Node<'t>, text: &'t str) -> Shape<'t> {
    let src = |node: Node<'t>| source(node, text);
    match node.kind() {
        "ERROR" => broken(node),
        "identifier"
        | "field_identifier"
        | "type_identifier"
        | "self"
        | "shorthand_field_identifier"
        | "crate"
        | "super" => Shape::Name(src(node)),
        "string_literal" | "raw_string_literal" => Shape::Text(Cow::Borrowed(unquoted(src(node)))),
        "integer_literal" | "float_literal" | "boolean_literal" | "char_literal" => Shape::Const(src(node)),
        "binary_expression" => match (field(node, "left"), field(node, "operator"), field(node, "right")) {
            (Some(left), Some(op), Some(right)) => Shape::Binary { op: src(op), left, right },
            _ => Shape::Several(children(node)),
        },
        "unary_expression" => match children(node)[..] {
            [value] if src(node).starts_with('!') => Shape::Not(value),
            [value] => Shape::Same(value),
            _ => Shape::Several(children(node)),
        },
        "field_expression" => match (field(node, "value"), field(node, "field")) {
            (Some(base), Some(name)) => Shape::Member { base, name: src(name) },
            _ => Shape::Several(children(node)),
        },
        "scoped_identifier" | "scoped_type_identifier" => match (field(node, "path"), field(node, "name")) {
            (Some(base), Some(name)) => Shape::Member { base, name: src(name) },
            _ => Shape::Several(children(node)),
        },
        "generic_type" | "generic_function" => {
            let inner = field(node, "type").or_else(|| field(node, "function"));
            inner.map_or(Shape::Skip, Shape::Same)
        }
        "index_expression" => match children(node)[..] {
            [base, key] => Shape::Index { base, key: Some(key) },
            _ => Shape::Several(children(node)),
        },
        "call_expression" => match (field(node, "function"), field(node, "arguments")) {
            (Some(callee), Some(args)) => Shape::Call { callee: Callee::Expr(callee), args: arguments(args) },
            _ => Shape::Several(children(node)),
        },
        "macro_invocation" => {
            let name = field(node, "macro").map_or("", src);
            let name = name.rsplit("::").next().unwrap_or(name);
            let tokens = child(node, "token_tree").map(children).unwrap_or_default();
            let args = tokens.into_iter().map(|value| Arg { name: None, value, more: vec![] }).collect();
            Shape::Call { callee: Callee::Named(Cow::Owned(format!("{name}!"))), args }
        }
        "let_declaration" | "const_item" | "static_item" => Shape::Assign {
            targets: field(node, "pattern").or_else(|| field(node, "name")).into_iter().collect(),
            values: field(node, "value").into_iter().collect(),
            op: "=",
            typed: field(node, "type").map(src),
            declares: true,
        },
        "let_condition" => Shape::Assign {
            targets: field(node, "pattern").into_iter().collect(),
            values: field(node, "value").into_iter().collect(),
            op: "=",
            typed: None,
            declares: true,
        },
        "assignment_expression" | "compound_assignment_expr" => Shape::Assign {
            targets: field(node, "left").into_iter().collect(),
            values: field(node, "right").into_iter().collect(),
            op: field(node, "operator").map_or("=", |op| src(op)),
            typed: None,
            declares: false,
        },
        "if_expression" => Shape::If {
            condition: field(node, "condition").into_iter().collect(),
            then: field(node, "consequence"),
            otherwise: field(node, "alternative").into_iter().collect(),
        },
        "while_expression" | "loop_expression" => Shape::Loop {
            first: vec![],
            binding: None,
            condition: field(node, "condition"),
            body: field(node, "body"),
            last: None,
        },
        "for_expression" => Shape::Loop {
            first: vec![],
            binding: both(field(node, "pattern"), field(node, "value")),
            condition: None,
            body: field(node, "body"),
            last: None,
        },
        "function_item" | "closure_expression" => Shape::Function(function(node, text)),
        "impl_item" | "trait_item" | "mod_item" => Shape::Class {
            name: field(node, "type").or_else(|| field(node, "name")).map_or("", src),
            marks: vec![],
            body: field(node, "body"),
        },
        "struct_expression" => {
            let body = field(node, "body").map(children).unwrap_or_default();
            let pairs = body.into_iter().filter_map(|pair| match pair.kind() {
                "field_initializer" => Some((Cow::Borrowed(src(field(pair, "field")?)), field(pair, "value")?)),
                "shorthand_field_initializer" => Some((Cow::Borrowed(src(pair)), pair)),
                _ => None,
            });
            Shape::Pairs { typed: field(node, "name").map(src), pairs: pairs.collect(), rest: vec![] }
        }
        "array_expression" | "tuple_expression" | "tuple_pattern" => Shape::Items(children(node)),
        "reference_expression"
        | "try_expression"
        | "await_expression"
        | "parenthesized_expression"
        | "expression_statement"
        | "type_cast_expression"
        | "mut_pattern"
        | "ref_pattern"
        | "reference_pattern"
        | "captured_pattern"
            if !children(node).is_empty() =>
        {
            let parts = children(node);
            Shape::Same(*parts.iter().find(|part| part.kind() != "mutable_specifier").unwrap_or(&parts[0]))
        }
        "tuple_struct_pattern" => match children(node)[..] {
            [_, inner] => Shape::Same(inner),
            _ => Shape::Several(children(node)),
        },
        "return_expression" => Shape::Return(children(node).into_iter().next()),
        "break_expression" | "continue_expression" => Shape::Leave(children(node)),
        "use_declaration" => {
            let mut bound = Vec::new();
            if let Some(tree) = field(node, "argument") {
                imports(tree, "", text, &mut bound);
            }
            Shape::Import(bound)
        }
        "line_comment"
        | "block_comment"
        | "attribute_item"
        | "struct_item"
        | "enum_item"
        | "type_arguments"
        | "visibility_modifier" => Shape::Skip,
        "match_expression" => Shape::Try { first: children(node), handlers: vec![], last: None },
        _ => Shape::Several(children(node)),
    }
}

fn arguments(node: Node<'_>) -> Vec<Arg<'_>> {
    children(node).into_iter().map(|value| Arg { name: None, value, more: vec![] }).collect()
}

fn function<'t>(node: Node<'t>, text: &'t str) -> Function<'t> {
    let params = field(node, "parameters").map(children).unwrap_or_default();
    let params = params.into_iter().filter_map(|param| match param.kind() {
        "parameter" => {
            let typed = field(param, "type").map(|typed| source(typed, text));
            Some(Param { target: field(param, "pattern")?, typed, default: None, written: source(param, text) })
        }
        "self_parameter" | "attribute_item" => None,
        _ => Some(Param { target: param, typed: None, default: None, written: source(param, text) }),
    });
    let mut marks = Vec::new();
    let mut before = node.prev_named_sibling();
    while let Some(mark) = before.filter(|mark| mark.kind() == "attribute_item") {
        marks.push(mark);
        before = mark.prev_named_sibling();
    }
    Function {
        name: field(node, "name").map_or("", |name| source(name, text)),
        params: params.collect(),
        body: field(node, "body"),
        marks,
    }
}

fn imports<'t>(node: Node<'t>, before: &str, text: &'t str, bound: &mut Vec<(Cow<'t, str>, Cow<'t, str>)>) {
    if bound.len() > 500 || before.len() > 500 {
        return;
    }
    let joined = |part: &str| {
        let part = part.replace("::", ".");
        if before.is_empty() { part } else { format!("{before}.{part}") }
    };
    match node.kind() {
        "use_as_clause" => {
            if let (Some(path), Some(alias)) = (field(node, "path"), field(node, "alias")) {
                bound.push((Cow::Borrowed(source(alias, text)), Cow::Owned(joined(source(path, text)))));
            }
        }
        "scoped_use_list" => {
            let path = field(node, "path").map_or("", |path| source(path, text));
            for part in field(node, "list").map(children).unwrap_or_default() {
                imports(part, &joined(path), text, bound);
            }
        }
        "use_list" => {
            for part in children(node) {
                imports(part, before, text, bound);
            }
        }
        "identifier" | "scoped_identifier" | "type_identifier" => {
            let path = source(node, text);
            let local = path.rsplit("::").next().unwrap_or(path);
            bound.push((Cow::Borrowed(local), Cow::Owned(joined(path))));
        }
        "self" => {
            let local = before.rsplit('.').next().unwrap_or(before).to_owned();
            bound.push((Cow::Owned(local), Cow::Owned(before.to_owned())));
        }
        _ => {}
    }
}
