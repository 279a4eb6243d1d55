//! What the flow engine sees of a syntax tree: the few shapes all languages share.
//!
//! An adapter names the shape of one node and never looks further; whatever it does not know is
//! [`Shape::Several`] of its children, so that half-typed code is still walked.

use std::borrow::Cow;

use tree_sitter::Node;

/// The shape of one node.
pub(crate) enum Shape<'t> {
    /// An identifier.
    Name(&'t str),
    /// A string without interpolation: its content.
    Text(Cow<'t, str>),
    /// A string with values in it.
    Template(Vec<Piece<'t>>),
    /// A number, truth value or nothing: its source.
    Const(&'t str),
    /// `left op right`.
    Binary { op: &'t str, left: Node<'t>, right: Node<'t> },
    /// The opposite of a condition.
    Not(Node<'t>),
    /// `base.name`.
    Member { base: Node<'t>, name: &'t str },
    /// `base[key]`.
    Index { base: Node<'t>, key: Option<Node<'t>> },
    /// A call, also of a constructor or a macro.
    Call { callee: Callee<'t>, args: Vec<Arg<'t>> },
    /// `targets op values`; `in` takes the elements of the value.
    Assign { targets: Vec<Node<'t>>, values: Vec<Node<'t>>, op: &'t str, typed: Option<&'t str>, declares: bool },
    /// `condition ? then : otherwise`.
    Choice { condition: Node<'t>, then: Node<'t>, otherwise: Node<'t> },
    /// A conditional statement.
    If { condition: Vec<Node<'t>>, then: Option<Node<'t>>, otherwise: Vec<Node<'t>> },
    /// A loop: what runs once, what it binds, what ends it, what it repeats.
    Loop {
        first: Vec<Node<'t>>,
        binding: Option<(Node<'t>, Node<'t>)>,
        condition: Option<Node<'t>>,
        body: Option<Node<'t>>,
        last: Option<Node<'t>>,
    },
    /// A block with handlers.
    Try { first: Vec<Node<'t>>, handlers: Vec<Handler<'t>>, last: Option<Node<'t>> },
    /// A function, method or lambda.
    Function(Function<'t>),
    /// A class or a block of methods.
    Class { name: &'t str, marks: Vec<Node<'t>>, body: Option<Node<'t>> },
    /// An object, dictionary or structure literal; a component's attributes.
    Pairs { typed: Option<&'t str>, pairs: Vec<(Cow<'t, str>, Node<'t>)>, rest: Vec<Node<'t>> },
    /// A list literal.
    Items(Vec<Node<'t>>),
    /// Parentheses, await, casts, references.
    Same(Node<'t>),
    /// Anything else, in order.
    Several(Vec<Node<'t>>),
    /// Leaves the function with a value.
    Return(Option<Node<'t>>),
    /// Leaves the block: break, continue, throw.
    Leave(Vec<Node<'t>>),
    /// Names for what other modules hold: (local name, path).
    Import(Vec<(Cow<'t, str>, Cow<'t, str>)>),
    /// What the parser could not put together: statements, calls and assignments in order.
    Broken(Vec<Broken<'t>>),
    /// Nothing to see.
    Skip,
}

/// A part of what the parser could not put together.
pub(crate) enum Broken<'t> {
    Node(Node<'t>),
    /// Something, an opening parenthesis and what follows it.
    Call(Node<'t>, Vec<Arg<'t>>),
    /// A name, an equals sign and what follows it.
    Assign(Node<'t>, Node<'t>),
}

/// A part of a template.
pub(crate) enum Piece<'t> {
    /// Literal text.
    Text(&'t str),
    /// A value.
    Value(Node<'t>),
}

/// What is called.
pub(crate) enum Callee<'t> {
    /// Any expression.
    Expr(Node<'t>),
    /// A method, of an object if one is named.
    Method(Option<Node<'t>>, &'t str),
    /// A constructor or macro, by its written name.
    Named(Cow<'t, str>),
}

/// An argument.
pub(crate) struct Arg<'t> {
    pub(crate) name: Option<&'t str>,
    pub(crate) value: Node<'t>,
    /// What is added to it, where the parser did not see that.
    pub(crate) more: Vec<Node<'t>>,
}

/// A handler of errors.
pub(crate) struct Handler<'t> {
    pub(crate) node: Node<'t>,
    /// The written type, empty for everything.
    pub(crate) types: &'t str,
    pub(crate) name: Option<Node<'t>>,
    pub(crate) body: Option<Node<'t>>,
}

/// A function.
pub(crate) struct Function<'t> {
    /// Empty for a lambda.
    pub(crate) name: &'t str,
    pub(crate) params: Vec<Param<'t>>,
    pub(crate) body: Option<Node<'t>>,
    /// Decorators, annotations, attributes.
    pub(crate) marks: Vec<Node<'t>>,
}

/// A parameter.
pub(crate) struct Param<'t> {
    /// A name or a pattern.
    pub(crate) target: Node<'t>,
    pub(crate) typed: Option<&'t str>,
    pub(crate) default: Option<Node<'t>>,
    /// All of it as written, with its annotations.
    pub(crate) written: &'t str,
}

/// Returns both, if both are there.
pub(crate) fn both<'t>(left: Option<Node<'t>>, right: Option<Node<'t>>) -> Option<(Node<'t>, Node<'t>)> {
    Some((left?, right?))
}

/// Returns the source of `node`.
pub(crate) fn source<'t>(node: Node<'_>, text: &'t str) -> &'t str {
    text.get(node.byte_range()).unwrap_or_default()
}

/// Returns the named children, without comments.
pub(crate) fn children(node: Node<'_>) -> Vec<Node<'_>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor).filter(|child| !child.is_extra() || child.is_error()).collect()
}

/// Returns the child in `field`.
pub(crate) fn field<'t>(node: Node<'t>, name: &str) -> Option<Node<'t>> {
    node.child_by_field_name(name)
}

/// Returns the children in `field`.
pub(crate) fn fields<'t>(node: Node<'t>, name: &str) -> Vec<Node<'t>> {
    let mut cursor = node.walk();
    node.children_by_field_name(name, &mut cursor).filter(Node::is_named).collect()
}

/// Returns the first child of `kind`.
pub(crate) fn child<'t>(node: Node<'t>, kind: &str) -> Option<Node<'t>> {
    let mut cursor = node.walk();
    node.children(&mut cursor).find(|child| child.kind() == kind)
}

/// Puts together what the parser could not: it knows the words, not yet where they end.
pub(crate) fn broken<'t>(node: Node<'t>) -> Shape<'t> {
    let mut cursor = node.walk();
    let all: Vec<Node<'t>> = node.children(&mut cursor).filter(|child| !child.is_extra() || child.is_error()).collect();
    let mut parts = Vec::new();
    let mut at = 0;
    while let Some(&child) = all.get(at) {
        let next = all.get(at + 1).map_or("", |next| next.kind());
        let callable = child.is_named() && !child.is_error();
        match next {
            "(" if callable => {
                let mut args: Vec<Arg<'t>> = Vec::new();
                let mut fresh = true;
                at += 2;
                while let Some(&part) = all.get(at) {
                    match part.kind() {
                        ")" | ";" | "{" => break,
                        "," => fresh = true,
                        _ if !part.is_named() => {}
                        _ if fresh => {
                            args.push(Arg { name: None, value: part, more: vec![] });
                            fresh = false;
                        }
                        _ => args.last_mut().expect("the first is fresh").more.push(part),
                    }
                    at += 1;
                }
                parts.push(Broken::Call(child, args));
            }
            "=" | ":=" if callable && all.get(at + 2).is_some_and(Node::is_named) => {
                let called = all.get(at + 3).is_some_and(|after| after.kind() == "(");
                if called {
                    at += 2;
                } else {
                    parts.push(Broken::Assign(child, all[at + 2]));
                    at += 3;
                }
            }
            _ => {
                if child.is_named() {
                    parts.push(Broken::Node(child));
                }
                at += 1;
            }
        }
    }
    Shape::Broken(parts)
}

/// Returns what stands between the quotes of a literal.
pub(crate) fn unquoted(literal: &str) -> &str {
    let inner = literal.trim_start_matches(|c: char| c.is_ascii_alphabetic() || c == '#');
    for quote in ["\"\"\"", "'''", "\"", "'", "`"] {
        if let Some(rest) = inner.strip_prefix(quote) {
            return rest.trim_end_matches('#').strip_suffix(quote).unwrap_or(rest);
        }
    }
    literal
}
