//! Conditions of a policy, written in CEL over what is known of a finding.
//!
//! A condition must never take long: it has a length, no loops, and no depth to speak of.

use std::sync::Arc;

use cel::common::ast::{EntryExpr, Expr};
use cel::{Context, IdedExpr, Program, Value};
use countersign_risk::Finding;

use super::source::{Problem, RawRequire, Source};

/// Longest condition.
const BYTES_MAX: usize = 500;
/// Deepest nesting of one.
const DEPTH_MAX: usize = 24;
/// What a condition can ask about.
const NAMES: [&str; 5] = ["rule", "severity", "cwe", "path", "sensitive"];

/// What policy asks of the findings that meet a condition.
#[derive(Clone, Debug)]
pub(super) struct Require {
    when: Arc<Program>,
    pub(super) obligations: Vec<String>,
    pub(super) block: bool,
}

impl Require {
    /// Compiles what was written; what is wrong with it is told, and it asks for nothing.
    pub(super) fn of(raw: &RawRequire, source: &Source, problems: &mut Vec<Problem>) -> Option<Self> {
        match compile(raw.when.get_ref()) {
            Ok(when) => Some(Self { when: Arc::new(when), obligations: raw.obligations.clone(), block: raw.block }),
            Err(reason) => {
                problems.push(source.wrong(&raw.when, reason));
                None
            }
        }
    }

    /// Tells whether `finding` at `path` meets the condition. What can't be answered is not met.
    pub(super) fn is_met(&self, finding: &Finding, path: &str, sensitive: bool) -> bool {
        let mut context = Context::default();
        context.add_variable_from_value("rule", finding.rule.clone());
        context.add_variable_from_value("severity", finding.severity.as_str().to_owned());
        context.add_variable_from_value("cwe", finding.cwe.clone());
        context.add_variable_from_value("path", path.to_owned());
        context.add_variable_from_value("sensitive", sensitive);
        matches!(self.when.execute(&context), Ok(Value::Bool(true)))
    }
}

fn compile(text: &str) -> Result<Program, String> {
    if text.len() > BYTES_MAX {
        return Err(format!("a condition is at most {BYTES_MAX} bytes long"));
    }
    // The parser recurses, so depth is bounded before it sees the text.
    let nests = |depth: usize, byte: u8| if b"([{!-?".contains(&byte) { depth + 1 } else { depth };
    if text.bytes().fold(0, nests) > 2 * DEPTH_MAX {
        return Err("the condition nests too deep".to_owned());
    }
    let program = std::panic::catch_unwind(|| Program::compile(text))
        .map_err(|_| "this is no condition".to_owned())?
        .map_err(|errors| errors.to_string().lines().next().unwrap_or("this is no condition").to_owned())?;
    for name in program.references().variables() {
        if !NAMES.contains(&name) {
            return Err(format!("{name:?} is not known; a condition can ask about {}", NAMES.join(", ")));
        }
    }
    match is_plain(program.expression(), DEPTH_MAX) {
        true => Ok(program),
        false => Err("a condition has no loops and nests little; `'CWE-78' in cwe` asks about a list".to_owned()),
    }
}

fn is_plain(expression: &IdedExpr, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    match &expression.expr {
        Expr::Comprehension(_) | Expr::Struct(_) | Expr::Unspecified => false,
        Expr::Ident(_) | Expr::Literal(_) => true,
        Expr::Select(select) => is_plain(&select.operand, depth),
        Expr::List(list) => list.elements.iter().all(|element| is_plain(element, depth)),
        Expr::Map(map) => map.entries.iter().all(|entry| match &entry.expr {
            EntryExpr::MapEntry(entry) => is_plain(&entry.key, depth) && is_plain(&entry.value, depth),
            EntryExpr::StructField(_) => false,
        }),
        Expr::Call(call) => {
            call.target.as_ref().is_none_or(|target| is_plain(target, depth))
                && call.args.iter().all(|argument| is_plain(argument, depth))
        }
    }
}
