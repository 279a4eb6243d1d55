//! Rule files over flows, read and compiled for one language.
//!
//! ```yaml
//! id: sql-injection
//! severity: error            # error, warning, info; a clause may say its own
//! message: ...
//! metadata: { cwe: [CWE-89], why: ..., fix: ... }
//! clean: sql                 # values made harmless for this count as harmless
//! flow:
//!   python:                  # python, javascript (with TypeScript), go, java, rust
//!     - call: ["*.execute"]  # or assign:, pair:, return:, catch:, function:, compare:
//!       where:               # all must hold
//!         - { arg: [0, sql], is: built }
//! ```
//!
//! An unknown field is an error: a typo must never make a rule silent.

use regex::Regex;
use serde::Deserialize;

use super::glob::Glob;
use super::value::{clean, from};
use crate::finding::Severity;
use crate::rule::Metadata;

/// A rule file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    id: String,
    severity: Level,
    message: String,
    metadata: Metadata,
    clean: Option<String>,
    flow: Languages,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Languages {
    #[serde(default)]
    python: Vec<RawClause>,
    #[serde(default)]
    javascript: Vec<RawClause>,
    #[serde(default)]
    go: Vec<RawClause>,
    #[serde(default)]
    java: Vec<RawClause>,
    #[serde(default)]
    rust: Vec<RawClause>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Level {
    Error,
    Warning,
    Info,
}

impl From<Level> for Severity {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::High,
            Level::Warning => Self::Medium,
            Level::Info => Self::Low,
        }
    }
}

/// One or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Many<T> {
    One(T),
    Several(Vec<T>),
}

impl<T> Many<T> {
    fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::Several(several) => several,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawClause {
    call: Option<Many<String>>,
    assign: Option<Many<String>>,
    read: Option<Many<String>>,
    pair: Option<Many<String>>,
    /// A regular expression over the name that gets a value, by assignment, default or pair.
    bind: Option<String>,
    /// A returned value, in a function whose name or marks match.
    #[serde(rename = "return")]
    returned: Option<String>,
    /// An operator.
    compare: Option<Many<String>>,
    /// A handler whose type matches.
    catch: Option<String>,
    /// A string that matches.
    literal: Option<String>,
    #[serde(rename = "where", default)]
    conditions: Vec<RawCondition>,
    severity: Option<Level>,
    message: Option<String>,
    /// The rule is unsure here: the default view folds it away.
    #[serde(default)]
    fold: bool,
    /// The enclosing function must match.
    within: Option<String>,
    /// The enclosing function must not match.
    unless: Option<String>,
    /// The whole text must match, or must not.
    file: Option<String>,
    unless_file: Option<String>,
    /// Only in a function that answers requests.
    #[serde(default)]
    handler: bool,
    /// Only in a loop.
    #[serde(default)]
    looped: bool,
    /// The statement around it must not match.
    unless_statement: Option<String>,
    statement: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCondition {
    arg: Option<Many<Pick>>,
    is: Option<Many<String>>,
    text: Option<String>,
    prefix: Option<String>,
    source: Option<String>,
    path: Option<Many<String>>,
    missing: Option<bool>,
    number: Option<[i64; 2]>,
    not: Option<Box<RawCondition>>,
    any: Option<Vec<RawCondition>>,
}

/// Which argument.
#[derive(Deserialize, Clone, Debug, PartialEq)]
#[serde(untagged)]
pub(super) enum Pick {
    /// By position.
    At(usize),
    /// By name; also `base`, `value`, `left`, `right`, `any` and `last`.
    Named(String),
}

/// What a clause looks at.
#[derive(Debug)]
pub(super) enum On {
    Call(Vec<Glob>),
    Assign(Vec<Glob>),
    Read(Vec<Glob>),
    Pair(Vec<String>),
    Bind(Regex),
    Return(Regex),
    Compare(Vec<String>),
    Catch(Regex),
    Literal(Regex),
}

/// A place a rule finds, for one language.
#[derive(Debug)]
pub(super) struct Clause {
    pub(super) rule: usize,
    pub(super) on: On,
    pub(super) conditions: Vec<Condition>,
    pub(super) severity: Severity,
    pub(super) message: Option<String>,
    pub(super) fold: bool,
    pub(super) handler: bool,
    pub(super) looped: bool,
    pub(super) within: Option<Regex>,
    pub(super) unless: Option<Regex>,
    pub(super) file: Option<Regex>,
    pub(super) unless_file: Option<Regex>,
    pub(super) statement: Option<Regex>,
    pub(super) unless_statement: Option<Regex>,
}

/// What must hold of an argument.
#[derive(Debug)]
pub(super) struct Condition {
    pub(super) picks: Vec<Pick>,
    pub(super) tests: Vec<Test>,
}

/// One test of a value.
#[derive(Debug)]
pub(super) enum Test {
    /// It comes from one of these and was not made harmless.
    From(u16),
    Built,
    Constant,
    Literal,
    List,
    Absent,
    Present,
    Text(Regex),
    Prefix(Regex),
    Source(Regex),
    Path(Vec<Glob>),
    Number(i64, i64),
    Not(Vec<Test>),
    NotCondition(Box<Condition>),
    Any(Vec<Condition>),
}

/// What a rule says about itself.
#[derive(Debug)]
pub(super) struct About {
    pub(super) id: String,
    pub(super) message: String,
    pub(super) metadata: Metadata,
    /// The bits that make a value harmless for it.
    pub(super) clean: u32,
}

/// Reads a rule file; `language` is a key of its `flow`.
pub(super) fn compile(yaml: &str, language: &str, rule: usize) -> Result<(About, Vec<Clause>), String> {
    let file: File = ast_grep_config::from_str(yaml).map_err(|error| error.to_string())?;
    let raw = match language {
        "python" => file.flow.python,
        "javascript" => file.flow.javascript,
        "go" => file.flow.go,
        "java" => file.flow.java,
        _ => file.flow.rust,
    };
    let clean = match &file.clean {
        Some(class) => clean::class(class).ok_or_else(|| format!("no class {class}"))?,
        None => 0,
    };
    let level = file.severity;
    let clauses = raw.into_iter().map(|clause| clause.compile(rule, level)).collect::<Result<_, _>>()?;
    Ok((About { id: file.id, message: file.message, metadata: file.metadata, clean }, clauses))
}

impl RawClause {
    fn compile(self, rule: usize, level: Level) -> Result<Clause, String> {
        let on = if let Some(globs) = self.call {
            On::Call(compile_globs(globs))
        } else if let Some(globs) = self.assign {
            On::Assign(compile_globs(globs))
        } else if let Some(globs) = self.read {
            On::Read(compile_globs(globs))
        } else if let Some(keys) = self.pair {
            On::Pair(keys.into_vec())
        } else if let Some(name) = self.bind {
            On::Bind(compile_regex(&name)?)
        } else if let Some(name) = self.returned {
            On::Return(compile_regex(&name)?)
        } else if let Some(operators) = self.compare {
            On::Compare(operators.into_vec())
        } else if let Some(types) = self.catch {
            On::Catch(compile_regex(&types)?)
        } else if let Some(text) = self.literal {
            On::Literal(compile_regex(&text)?)
        } else {
            return Err("a clause looks at nothing".to_owned());
        };
        Ok(Clause {
            rule,
            on,
            conditions: self.conditions.into_iter().map(RawCondition::compile).collect::<Result<_, _>>()?,
            severity: self.severity.unwrap_or(level).into(),
            message: self.message,
            fold: self.fold,
            handler: self.handler,
            looped: self.looped,
            within: optional_regex(self.within)?,
            unless: optional_regex(self.unless)?,
            file: optional_regex(self.file)?,
            unless_file: optional_regex(self.unless_file)?,
            statement: optional_regex(self.statement)?,
            unless_statement: optional_regex(self.unless_statement)?,
        })
    }
}

impl RawCondition {
    fn compile(self) -> Result<Condition, String> {
        let mut tests = Vec::new();
        for kind in self.is.map(Many::into_vec).unwrap_or_default() {
            tests.push(match kind.as_str() {
                "built" => Test::Built,
                "constant" => Test::Constant,
                "literal" => Test::Literal,
                "list" => Test::List,
                other => Test::From(from::named(other).ok_or_else(|| format!("no kind {other}"))?),
            });
        }
        if let Some(text) = self.text {
            tests.push(Test::Text(compile_regex(&text)?));
        }
        if let Some(text) = self.prefix {
            tests.push(Test::Prefix(compile_regex(&text)?));
        }
        if let Some(text) = self.source {
            tests.push(Test::Source(compile_regex(&text)?));
        }
        if let Some(globs) = self.path {
            tests.push(Test::Path(compile_globs(globs)));
        }
        match self.missing {
            Some(true) => tests.push(Test::Absent),
            Some(false) => tests.push(Test::Present),
            None => {}
        }
        if let Some([least, most]) = self.number {
            tests.push(Test::Number(least, most));
        }
        if let Some(not) = self.not {
            let not = not.compile()?;
            tests.push(if not.picks.is_empty() { Test::Not(not.tests) } else { Test::NotCondition(Box::new(not)) });
        }
        if let Some(any) = self.any {
            tests.push(Test::Any(any.into_iter().map(Self::compile).collect::<Result<_, _>>()?));
        }
        Ok(Condition { picks: self.arg.map(Many::into_vec).unwrap_or_default(), tests })
    }
}

fn compile_globs(globs: Many<String>) -> Vec<Glob> {
    globs.into_vec().iter().flat_map(|glob| Glob::compile(glob)).collect()
}

fn compile_regex(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|error| error.to_string())
}

fn optional_regex(pattern: Option<String>) -> Result<Option<Regex>, String> {
    pattern.as_deref().map(compile_regex).transpose()
}
