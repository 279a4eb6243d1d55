//! The shapes of JavaScript, TypeScript and their JSX.

use std::borrow::Cow;

use tree_sitter::Node;

use super::shape::*;

pub(crate) fn shape<'t>(node: Node<'t>, text: &'t str) -> Shape<'t> {
    let src = |node: Node<'t>| source(node, text);
    match node.kind() {
        "ERROR" => broken(node),
        "identifier"
        | "property_identifier"
        | "shorthand_property_identifier"
        | "shorthand_property_identifier_pattern"
        | "this"
        | "super"
        | "private_property_identifier" => Shape::Name(src(node)),
        "string" => Shape::Text(Cow::Borrowed(unquoted(src(node)))),
        "template_string" => template(node, text),
        "number" | "true" | "false" | "null" | "undefined" | "regex" => Shape::Const(src(node)),
        "binary_expression" => match (field(node, "left"), field(node, "operator"), field(node, "right")) {
            (Some(left), Some(op), Some(right)) => Shape::Binary { op: src(op), left, right },
            _ => Shape::Several(children(node)),
        },
        "unary_expression" => match (field(node, "operator").map(src), field(node, "argument")) {
            (Some("!"), Some(value)) => Shape::Not(value),
            (Some("+" | "-" | "~" | "typeof" | "void"), Some(value)) => Shape::Call {
                callee: Callee::Named(Cow::Borrowed("Number")),
                args: vec![Arg { name: None, value, more: vec![] }],
            },
            _ => Shape::Several(children(node)),
        },
        "member_expression" => match (field(node, "object"), field(node, "property")) {
            (Some(base), Some(name)) => Shape::Member { base, name: src(name) },
            _ => Shape::Several(children(node)),
        },
        "subscript_expression" => match field(node, "object") {
            Some(base) => Shape::Index { base, key: field(node, "index") },
            None => Shape::Several(children(node)),
        },
        "call_expression" => match (field(node, "function"), field(node, "arguments")) {
            (Some(callee), Some(args)) => Shape::Call { callee: Callee::Expr(callee), args: arguments(args) },
            _ => Shape::Several(children(node)),
        },
        "new_expression" => match field(node, "constructor") {
            Some(callee) => {
                let args = field(node, "arguments").map(arguments).unwrap_or_default();
                Shape::Call { callee: Callee::Expr(callee), args }
            }
            None => Shape::Several(children(node)),
        },
        "variable_declarator" => Shape::Assign {
            targets: field(node, "name").into_iter().collect(),
            values: field(node, "value").into_iter().collect(),
            op: "=",
            typed: None,
            declares: true,
        },
        "assignment_expression" | "augmented_assignment_expression" => Shape::Assign {
            targets: field(node, "left").into_iter().collect(),
            values: field(node, "right").into_iter().collect(),
            op: field(node, "operator").map_or("=", |op| src(op)),
            typed: None,
            declares: false,
        },
        "public_field_definition" => Shape::Assign {
            targets: field(node, "name").into_iter().collect(),
            values: field(node, "value").into_iter().collect(),
            op: "=",
            typed: None,
            declares: true,
        },
        "assignment_pattern" | "object_assignment_pattern" => field(node, "left").map_or(Shape::Skip, Shape::Same),
        "ternary_expression" => {
            match (field(node, "condition"), field(node, "consequence"), field(node, "alternative")) {
                (Some(condition), Some(then), Some(otherwise)) => Shape::Choice { condition, then, otherwise },
                _ => Shape::Several(children(node)),
            }
        }
        "if_statement" => Shape::If {
            condition: field(node, "condition").into_iter().collect(),
            then: field(node, "consequence"),
            otherwise: field(node, "alternative").into_iter().collect(),
        },
        "while_statement" | "do_statement" => Shape::Loop {
            first: vec![],
            binding: None,
            condition: field(node, "condition"),
            body: field(node, "body"),
            last: None,
        },
        "for_statement" => Shape::Loop {
            first: field(node, "initializer").into_iter().collect(),
            binding: None,
            condition: field(node, "condition"),
            body: field(node, "body"),
            last: field(node, "increment"),
        },
        "for_in_statement" => Shape::Loop {
            first: vec![],
            binding: both(field(node, "left"), field(node, "right")),
            condition: None,
            body: field(node, "body"),
            last: None,
        },
        "try_statement" => {
            let handlers = field(node, "handler").into_iter().map(|handler| Handler {
                node: handler,
                types: "",
                name: field(handler, "parameter"),
                body: field(handler, "body"),
            });
            Shape::Try {
                first: field(node, "body").into_iter().collect(),
                handlers: handlers.collect(),
                last: field(node, "finalizer"),
            }
        }
        "function_declaration"
        | "function_expression"
        | "arrow_function"
        | "method_definition"
        | "generator_function_declaration"
        | "generator_function" => Shape::Function(function(node, text)),
        "class_declaration" | "class" | "abstract_class_declaration" => Shape::Class {
            name: field(node, "name").map_or("", src),
            marks: fields(node, "decorator"),
            body: field(node, "body"),
        },
        "object" | "object_pattern" => object(node, text),
        "array" | "array_pattern" => Shape::Items(children(node)),
        "parenthesized_expression"
        | "await_expression"
        | "spread_element"
        | "as_expression"
        | "satisfies_expression"
        | "non_null_expression"
        | "type_assertion"
        | "expression_statement"
        | "rest_pattern"
        | "jsx_expression"
        | "template_substitution"
            if !children(node).is_empty() =>
        {
            let parts = children(node);
            let first = usize::from(node.kind() == "type_assertion" && parts.len() > 1);
            Shape::Same(parts[first])
        }
        "return_statement" | "yield_expression" => Shape::Return(children(node).into_iter().next()),
        "throw_statement" | "break_statement" | "continue_statement" => Shape::Leave(children(node)),
        "jsx_opening_element" | "jsx_self_closing_element" => attributes(node, text),
        "import_statement" => Shape::Import(imports(node, text)),
        "comment"
        | "type_annotation"
        | "type_arguments"
        | "type_parameters"
        | "interface_declaration"
        | "type_alias_declaration"
        | "statement_identifier"
        | "jsx_text"
        | "ambient_declaration" => Shape::Skip,
        "switch_statement" => Shape::Try { first: children(node), handlers: vec![], last: None },
        _ => Shape::Several(children(node)),
    }
}

fn template<'t>(node: Node<'t>, text: &'t str) -> Shape<'t> {
    let mut pieces = Vec::new();
    let mut at = node.start_byte() + 1;
    for part in children(node) {
        if part.kind() == "template_substitution" {
            pieces.push(Piece::Text(text.get(at..part.start_byte()).unwrap_or_default()));
            pieces.push(Piece::Value(part));
            at = part.end_byte();
        }
    }
    let end = if source(node, text).ends_with('`') { node.end_byte() - 1 } else { node.end_byte() };
    let rest = text.get(at..end.max(at)).unwrap_or_default();
    if pieces.is_empty() {
        return Shape::Text(Cow::Borrowed(rest));
    }
    pieces.push(Piece::Text(rest));
    Shape::Template(pieces)
}

fn arguments(node: Node<'_>) -> Vec<Arg<'_>> {
    if node.kind() == "template_string" {
        return vec![Arg { name: None, value: node, more: vec![] }];
    }
    children(node).into_iter().map(|value| Arg { name: None, value, more: vec![] }).collect()
}

fn function<'t>(node: Node<'t>, text: &'t str) -> Function<'t> {
    let single = field(node, "parameter");
    let params = field(node, "parameters").map(children).unwrap_or_default();
    let params = single.into_iter().chain(params).filter_map(|param| match param.kind() {
        "required_parameter" | "optional_parameter" => {
            let typed = field(param, "type").and_then(|typed| children(typed).into_iter().next());
            let typed = typed.map(|typed| source(typed, text));
            Some(Param {
                target: field(param, "pattern")?,
                typed,
                default: field(param, "value"),
                written: source(param, text),
            })
        }
        "assignment_pattern" => Some(Param {
            target: field(param, "left")?,
            typed: None,
            default: field(param, "right"),
            written: source(param, text),
        }),
        _ => Some(Param { target: param, typed: None, default: None, written: source(param, text) }),
    });
    Function {
        name: field(node, "name").map_or("", |name| source(name, text)),
        params: params.collect(),
        body: field(node, "body"),
        marks: fields(node, "decorator"),
    }
}

fn object<'t>(node: Node<'t>, text: &'t str) -> Shape<'t> {
    let mut pairs = Vec::new();
    let mut rest = Vec::new();
    for child in children(node) {
        match child.kind() {
            "pair" | "pair_pattern" => {
                if let (Some(key), Some(value)) = (field(child, "key"), field(child, "value")) {
                    pairs.push((Cow::Borrowed(unquoted(source(key, text))), value));
                }
            }
            "shorthand_property_identifier" | "shorthand_property_identifier_pattern" => {
                pairs.push((Cow::Borrowed(source(child, text)), child));
            }
            "object_assignment_pattern" => {
                if let Some(left) = field(child, "left") {
                    pairs.push((Cow::Borrowed(source(left, text)), left));
                }
            }
            "method_definition" => {
                let name = field(child, "name").map_or("", |name| source(name, text));
                pairs.push((Cow::Borrowed(name), child));
            }
            _ => rest.push(child),
        }
    }
    Shape::Pairs { typed: None, pairs, rest }
}

fn attributes<'t>(node: Node<'t>, text: &'t str) -> Shape<'t> {
    let mut pairs = Vec::new();
    let mut rest = Vec::new();
    for child in fields(node, "attribute") {
        match children(child)[..] {
            [name, value] => pairs.push((Cow::Borrowed(source(name, text)), value)),
            _ => rest.push(child),
        }
    }
    Shape::Pairs { typed: field(node, "name").map(|name| source(name, text)), pairs, rest }
}

fn imports<'t>(node: Node<'t>, text: &'t str) -> Vec<(Cow<'t, str>, Cow<'t, str>)> {
    let module = field(node, "source").map_or("", |module| unquoted(source(module, text)));
    let module = module.strip_prefix("node:").unwrap_or(module);
    let mut bound = Vec::new();
    for clause in child(node, "import_clause").map(children).unwrap_or_default() {
        match clause.kind() {
            "identifier" => bound.push((Cow::Borrowed(source(clause, text)), Cow::Borrowed(module))),
            "namespace_import" => {
                let local = children(clause).into_iter().next().map_or("", |local| source(local, text));
                bound.push((Cow::Borrowed(local), Cow::Borrowed(module)));
            }
            _ => {
                for name in children(clause) {
                    let Some(original) = field(name, "name").map(|name| source(name, text)) else { continue };
                    let local = field(name, "alias").map_or(original, |alias| source(alias, text));
                    bound.push((Cow::Borrowed(local), Cow::Owned(format!("{module}.{original}"))));
                }
            }
        }
    }
    bound
}
