//! The shapes of Go.

use std::borrow::Cow;

use tree_sitter::Node;

use super::shape::*;

pub(crate) fn shape<'t>(node: Node<'t>, text: &'t str) -> Shape<'t> {
    let src = |node: Node<'t>| source(node, text);
    match node.kind() {
        "ERROR" => broken(node),
        "identifier" | "field_identifier" | "package_identifier" | "type_identifier" => Shape::Name(src(node)),
        "interpreted_string_literal" | "raw_string_literal" => Shape::Text(Cow::Borrowed(unquoted(src(node)))),
        "int_literal" | "float_literal" | "true" | "false" | "nil" | "rune_literal" | "iota" => Shape::Const(src(node)),
        "binary_expression" => match (field(node, "left"), field(node, "operator"), field(node, "right")) {
            (Some(left), Some(op), Some(right)) => Shape::Binary { op: src(op), left, right },
            _ => Shape::Several(children(node)),
        },
        "unary_expression" => match (field(node, "operator").map(src), field(node, "operand")) {
            (Some("!"), Some(value)) => Shape::Not(value),
            (_, Some(value)) => Shape::Same(value),
            _ => Shape::Several(children(node)),
        },
        "selector_expression" | "qualified_type" => {
            let base = field(node, "operand").or_else(|| field(node, "package"));
            match (base, field(node, "field").or_else(|| field(node, "name"))) {
                (Some(base), Some(name)) => Shape::Member { base, name: src(name) },
                _ => Shape::Several(children(node)),
            }
        }
        "index_expression" => match field(node, "operand") {
            Some(base) => Shape::Index { base, key: field(node, "index") },
            None => Shape::Several(children(node)),
        },
        "slice_expression" => field(node, "operand").map_or(Shape::Skip, Shape::Same),
        "call_expression" => match (field(node, "function"), field(node, "arguments")) {
            (Some(callee), Some(args)) => Shape::Call { callee: Callee::Expr(callee), args: arguments(args) },
            _ => Shape::Several(children(node)),
        },
        "type_conversion_expression" => field(node, "operand").map_or(Shape::Skip, Shape::Same),
        "short_var_declaration" | "assignment_statement" | "range_clause" => Shape::Assign {
            targets: field(node, "left").map(elements).unwrap_or_default(),
            values: field(node, "right").map(elements).unwrap_or_default(),
            op: match node.kind() {
                "range_clause" => "in",
                "short_var_declaration" => "=",
                _ => field(node, "operator").map_or("=", |op| src(op)),
            },
            typed: None,
            declares: node.kind() != "assignment_statement",
        },
        "var_spec" | "const_spec" => Shape::Assign {
            targets: fields(node, "name"),
            values: field(node, "value").map(elements).unwrap_or_default(),
            op: "=",
            typed: field(node, "type").map(src),
            declares: true,
        },
        "if_statement" => {
            let condition = field(node, "initializer").into_iter().chain(field(node, "condition"));
            Shape::If {
                condition: condition.collect(),
                then: field(node, "consequence"),
                otherwise: field(node, "alternative").into_iter().collect(),
            }
        }
        "for_statement" => {
            let body = field(node, "body");
            let head = children(node).into_iter().find(|child| Some(*child) != body);
            match head {
                Some(clause) if clause.kind() == "for_clause" => Shape::Loop {
                    first: field(clause, "initializer").into_iter().collect(),
                    binding: None,
                    condition: field(clause, "condition"),
                    body,
                    last: field(clause, "update"),
                },
                Some(clause) if clause.kind() == "range_clause" => {
                    Shape::Loop { first: vec![clause], binding: None, condition: Some(clause), body, last: None }
                }
                condition => Shape::Loop { first: vec![], binding: None, condition, body, last: None },
            }
        }
        "function_declaration" | "method_declaration" | "func_literal" => Shape::Function(function(node, text)),
        "composite_literal" => literal(node, text),
        "literal_value" => pairs(node, None, text),
        "keyed_element" => Shape::Several(children(node)),
        "parenthesized_expression"
        | "expression_statement"
        | "literal_element"
        | "type_assertion_expression"
        | "variadic_argument"
            if !children(node).is_empty() =>
        {
            Shape::Same(children(node)[0])
        }
        "expression_list" => Shape::Items(children(node)),
        "return_statement" => Shape::Return(children(node).into_iter().next()),
        "break_statement" | "continue_statement" | "goto_statement" => Shape::Leave(vec![]),
        "import_spec" => {
            let path = field(node, "path").map_or("", |path| unquoted(src(path)));
            let last = path.rsplit('/').next().unwrap_or(path);
            let version = last.strip_prefix('v').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
            let last = if version { path.rsplit('/').nth(1).unwrap_or(last) } else { last };
            let last = last.split('.').next().unwrap_or(last).trim_start_matches("go-");
            let local = field(node, "name").map_or(last, src);
            Shape::Import(vec![(Cow::Borrowed(local), Cow::Owned(path.replace('.', "_")))])
        }
        "comment" | "type_declaration" | "package_clause" => Shape::Skip,
        "expression_switch_statement" | "type_switch_statement" | "select_statement" => {
            Shape::Try { first: children(node), handlers: vec![], last: None }
        }
        _ => Shape::Several(children(node)),
    }
}

fn elements(node: Node<'_>) -> Vec<Node<'_>> {
    if node.kind() == "expression_list" { children(node) } else { vec![node] }
}

fn arguments(node: Node<'_>) -> Vec<Arg<'_>> {
    children(node).into_iter().map(|value| Arg { name: None, value, more: vec![] }).collect()
}

fn function<'t>(node: Node<'t>, text: &'t str) -> Function<'t> {
    let lists = field(node, "receiver").is_none().then(|| field(node, "parameters")).flatten();
    let lists = lists.or_else(|| field(node, "parameters"));
    let declared = lists.map(children).unwrap_or_default();
    let params = declared.into_iter().flat_map(|declaration| {
        let typed = field(declaration, "type").map(|typed| source(typed, text).trim_start_matches('*'));
        fields(declaration, "name").into_iter().map(move |target| Param {
            target,
            typed,
            default: None,
            written: source(declaration, text),
        })
    });
    Function {
        name: field(node, "name").map_or("", |name| source(name, text)),
        params: params.collect(),
        body: field(node, "body"),
        marks: vec![],
    }
}

fn literal<'t>(node: Node<'t>, text: &'t str) -> Shape<'t> {
    match field(node, "body") {
        Some(body) => pairs(body, field(node, "type").map(|typed| source(typed, text)), text),
        None => Shape::Several(children(node)),
    }
}

fn pairs<'t>(node: Node<'t>, typed: Option<&'t str>, text: &'t str) -> Shape<'t> {
    let mut keyed = Vec::new();
    let mut rest = Vec::new();
    for child in children(node) {
        let parts = children(child);
        match parts[..] {
            [key, value] if child.kind() == "keyed_element" => {
                keyed.push((Cow::Borrowed(unquoted(source(key, text))), value));
            }
            _ => rest.push(child),
        }
    }
    if keyed.is_empty() && typed.is_none_or(|typed| typed.starts_with('[')) {
        return Shape::Items(rest);
    }
    Shape::Pairs { typed, pairs: keyed, rest }
}
