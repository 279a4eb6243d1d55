//! What a language and its libraries call their sources, sanitizers and builders.

use regex::Regex;
use serde::Deserialize;
use std::collections::BTreeMap;

use super::ByLast;
use super::glob::Glob;
use super::value::{clean, from};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    sources: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    clean: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    build: Vec<String>,
    #[serde(default)]
    lists: Vec<String>,
    handler: RawHandler,
    checks: String,
    cleaners: String,
    typed: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHandler {
    marks: String,
    params: String,
    data: String,
    tools: String,
    callers: Vec<String>,
}

/// The tables of one language, compiled.
#[derive(Default)]
pub(super) struct Tables {
    /// Paths and the `from` bits of what they give.
    pub(super) sources: ByLast,
    /// Calls and the index of what their result is harmless for.
    pub(super) clean: ByLast,
    pub(super) clean_bits: Vec<u32>,
    /// Calls that put a text together from their receiver and arguments.
    pub(super) build: ByLast,
    /// Calls that change their receiver by their arguments.
    pub(super) lists: ByLast,
    pub(super) handler: Option<Handler>,
    /// Names of calls by which a value is compared with what is allowed.
    pub(super) checks: Option<Regex>,
    /// Names of functions that make a value harmless.
    pub(super) cleaners: Option<Regex>,
    /// Types whose values are harmless.
    pub(super) typed: Option<Regex>,
}

/// How functions that answer requests are known.
pub(super) struct Handler {
    /// By a decorator, annotation or attribute.
    pub(super) marks: Regex,
    /// By a parameter, as written.
    pub(super) params: Regex,
    /// Parameters that hold what was sent, whatever the function.
    pub(super) data: Regex,
    /// Parameters of a handler that hold something else.
    pub(super) tools: Regex,
    /// Calls that take handlers.
    pub(super) callers: ByLast,
}

impl Tables {
    pub(super) fn compile(yaml: &str, language: &str) -> Result<Self, String> {
        let mut all: BTreeMap<String, Raw> = ast_grep_config::from_str(yaml).map_err(|error| error.to_string())?;
        let raw = all.remove(language).ok_or("no tables")?;
        let mut tables = Self {
            build: file(&raw.build, 0),
            lists: file(&raw.lists, 0),
            checks: Some(regex(&raw.checks)?),
            cleaners: Some(regex(&raw.cleaners)?),
            typed: Some(regex(&raw.typed)?),
            handler: Some(Handler {
                marks: regex(&raw.handler.marks)?,
                params: regex(&raw.handler.params)?,
                data: regex(&raw.handler.data)?,
                tools: regex(&raw.handler.tools)?,
                callers: file(&raw.handler.callers, 0),
            }),
            ..Self::default()
        };
        for (kind, globs) in &raw.sources {
            let bits = from::named(kind).ok_or_else(|| format!("no kind {kind}"))?;
            push(&mut tables.sources, globs, usize::from(bits));
        }
        for (class, globs) in &raw.clean {
            let bits = match class.as_str() {
                "all" => clean::ALL,
                class => clean::class(class).ok_or_else(|| format!("no class {class}"))?,
            };
            push(&mut tables.clean, globs, tables.clean_bits.len());
            tables.clean_bits.push(bits);
        }
        Ok(tables)
    }
}

fn push(files: &mut ByLast, globs: &[String], value: usize) {
    globs.iter().flat_map(|glob| Glob::compile(glob)).for_each(|glob| files.push(glob, value));
}

fn file(globs: &[String], value: usize) -> ByLast {
    let mut files = ByLast::default();
    push(&mut files, globs, value);
    files
}

fn regex(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|error| error.to_string())
}
