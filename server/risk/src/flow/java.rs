//! The shapes of Java.

use std::borrow::Cow;

use tree_sitter::Node;

use super::shape::*;

pub(crate) fn shape<'t>(node: Node<'t>, text: &'t str) -> Shape<'t> {
    let src = |node: Node<'t>| source(node, text);
    match node.kind() {
        "ERROR" => broken(node),
        "identifier" | "type_identifier" | "this" | "super" => Shape::Name(src(node)),
        "string_literal" => Shape::Text(Cow::Borrowed(unquoted(src(node)))),
        "decimal_integer_literal"
        | "hex_integer_literal"
        | "octal_integer_literal"
        | "binary_integer_literal"
        | "decimal_floating_point_literal"
        | "true"
        | "false"
        | "null_literal"
        | "character_literal" => Shape::Const(src(node)),
        "binary_expression" => match (field(node, "left"), field(node, "operator"), field(node, "right")) {
            (Some(left), Some(op), Some(right)) => Shape::Binary { op: src(op), left, right },
            _ => Shape::Several(children(node)),
        },
        "unary_expression" => match (field(node, "operator").map(src), field(node, "operand")) {
            (Some("!"), Some(value)) => Shape::Not(value),
            (_, Some(value)) => Shape::Same(value),
            _ => Shape::Several(children(node)),
        },
        "field_access" => match (field(node, "object"), field(node, "field")) {
            (Some(base), Some(name)) => Shape::Member { base, name: src(name) },
            _ => Shape::Several(children(node)),
        },
        "array_access" => match field(node, "array") {
            Some(base) => Shape::Index { base, key: field(node, "index") },
            None => Shape::Several(children(node)),
        },
        "method_invocation" => match field(node, "name") {
            Some(name) => Shape::Call {
                callee: Callee::Method(field(node, "object"), src(name)),
                args: field(node, "arguments").map(arguments).unwrap_or_default(),
            },
            None => Shape::Several(children(node)),
        },
        "object_creation_expression" => {
            let typed = field(node, "type").map_or("", |typed| simple(src(typed)));
            let mut args = field(node, "arguments").map(arguments).unwrap_or_default();
            args.extend(child(node, "class_body").map(|value| Arg { name: Some("class_body"), value, more: vec![] }));
            Shape::Call { callee: Callee::Named(Cow::Borrowed(typed)), args }
        }
        "array_creation_expression" => match field(node, "value") {
            Some(value) => Shape::Same(value),
            None => {
                let sizes = children(node).into_iter().filter(|child| child.kind() == "dimensions_expr");
                let args = sizes.map(|value| Arg { name: None, value, more: vec![] }).collect();
                let typed = field(node, "type").map_or("", src);
                Shape::Call { callee: Callee::Named(Cow::Owned(format!("{typed}[]"))), args }
            }
        },
        "array_initializer" | "element_value_array_initializer" => Shape::Items(children(node)),
        "local_variable_declaration" | "field_declaration" => {
            let typed = field(node, "type").map(|typed| simple(src(typed)));
            let declarators = fields(node, "declarator");
            match declarators[..] {
                [one] => Shape::Assign {
                    targets: field(one, "name").into_iter().collect(),
                    values: field(one, "value").into_iter().collect(),
                    op: "=",
                    typed,
                    declares: true,
                },
                _ => Shape::Several(declarators),
            }
        }
        "variable_declarator" | "resource" => Shape::Assign {
            targets: field(node, "name").into_iter().collect(),
            values: field(node, "value").into_iter().collect(),
            op: "=",
            typed: field(node, "type").map(|typed| simple(src(typed))),
            declares: true,
        },
        "assignment_expression" => Shape::Assign {
            targets: field(node, "left").into_iter().collect(),
            values: field(node, "right").into_iter().collect(),
            op: field(node, "operator").map_or("=", |op| src(op)),
            typed: None,
            declares: false,
        },
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
            first: fields(node, "init"),
            binding: None,
            condition: field(node, "condition"),
            body: field(node, "body"),
            last: field(node, "update"),
        },
        "enhanced_for_statement" => Shape::Loop {
            first: vec![],
            binding: both(field(node, "name"), field(node, "value")),
            condition: None,
            body: field(node, "body"),
            last: None,
        },
        "try_statement" | "try_with_resources_statement" => attempt(node, text),
        "method_declaration" | "constructor_declaration" | "lambda_expression" | "compact_constructor_declaration" => {
            Shape::Function(function(node, text))
        }
        "class_declaration" | "interface_declaration" | "enum_declaration" | "record_declaration" => {
            Shape::Class { name: field(node, "name").map_or("", src), marks: marks(node), body: field(node, "body") }
        }
        "cast_expression" => field(node, "value").map_or(Shape::Skip, Shape::Same),
        "parenthesized_expression" | "expression_statement" | "dimensions_expr" if !children(node).is_empty() => {
            Shape::Same(children(node)[0])
        }
        "return_statement" | "yield_statement" => Shape::Return(children(node).into_iter().next()),
        "throw_statement" | "break_statement" | "continue_statement" => Shape::Leave(children(node)),
        "import_declaration"
        | "package_declaration"
        | "line_comment"
        | "block_comment"
        | "modifiers"
        | "generic_type"
        | "array_type"
        | "void_type"
        | "integral_type" => Shape::Skip,
        "annotation" | "marker_annotation" => {
            let name = field(node, "name").map_or("", src);
            let args = field(node, "arguments").map(children).unwrap_or_default().into_iter().map(|value| {
                match (value.kind(), field(value, "key"), field(value, "value")) {
                    ("element_value_pair", Some(key), Some(value)) => {
                        Arg { name: Some(source(key, text)), value, more: vec![] }
                    }
                    _ => Arg { name: None, value, more: vec![] },
                }
            });
            Shape::Call { callee: Callee::Named(Cow::Owned(format!("@{name}"))), args: args.collect() }
        }
        "class_literal" => Shape::Const("class"),
        "switch_expression" | "switch_statement" => Shape::Try { first: children(node), handlers: vec![], last: None },
        _ => Shape::Several(children(node)),
    }
}

/// Returns the name of a type without package and parameters.
fn simple(typed: &str) -> &str {
    let typed = typed.split('<').next().unwrap_or(typed).trim();
    typed.rsplit('.').next().unwrap_or(typed)
}

fn arguments(node: Node<'_>) -> Vec<Arg<'_>> {
    children(node).into_iter().map(|value| Arg { name: None, value, more: vec![] }).collect()
}

fn marks(node: Node<'_>) -> Vec<Node<'_>> {
    let modifiers = child(node, "modifiers").map(children).unwrap_or_default();
    modifiers.into_iter().filter(|mark| mark.kind().ends_with("annotation")).collect()
}

fn function<'t>(node: Node<'t>, text: &'t str) -> Function<'t> {
    let params = match field(node, "parameters") {
        Some(list) if list.kind() == "identifier" => {
            vec![Param { target: list, typed: None, default: None, written: "" }]
        }
        Some(list) => {
            let one = |param: Node<'t>| {
                if param.kind() == "identifier" {
                    return Some(Param { target: param, typed: None, default: None, written: "" });
                }
                let typed = field(param, "type").map(|typed| simple(source(typed, text)));
                Some(Param { target: field(param, "name")?, typed, default: None, written: source(param, text) })
            };
            children(list).into_iter().filter_map(one).collect()
        }
        None => vec![],
    };
    Function {
        name: field(node, "name").map_or("", |name| source(name, text)),
        params,
        body: field(node, "body"),
        marks: marks(node),
    }
}

fn attempt<'t>(node: Node<'t>, text: &'t str) -> Shape<'t> {
    let mut first: Vec<_> = field(node, "resources").into_iter().collect();
    first.extend(field(node, "body"));
    let mut handlers = Vec::new();
    let mut last = None;
    for clause in children(node) {
        match clause.kind() {
            "catch_clause" => {
                let caught = child(clause, "catch_formal_parameter");
                handlers.push(Handler {
                    node: clause,
                    types: caught.and_then(|c| child(c, "catch_type")).map_or("", |types| source(types, text)),
                    name: caught.and_then(|c| field(c, "name")),
                    body: field(clause, "body"),
                });
            }
            "finally_clause" => last = Some(clause),
            _ => {}
        }
    }
    Shape::Try { first, handlers, last }
}
