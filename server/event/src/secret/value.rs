//! Is it a secret, or does it only stand where one would: entropy, placeholders, look-ups.
//!
//! It must never refuse for the length of what it reads: everything here is bounded by the shape.

use std::ops::Range;

/// A candidate and its surroundings.
#[derive(Debug)]
pub(super) struct Context<'a> {
    /// The whole text.
    pub(super) text: &'a str,
    /// The keyword that was found.
    pub(super) keyword: Range<usize>,
    /// From the keyword to the value.
    pub(super) between: &'a str,
    /// The value itself.
    pub(super) value: &'a str,
    /// From the value to the end of the text.
    pub(super) after: &'a str,
}

/// Accepts whatever the pattern accepted.
pub(super) fn any(_: &Context<'_>) -> bool {
    true
}

/// Accepts a token of a well-known shape, unless it is an obvious example.
pub(super) fn token(context: &Context<'_>) -> bool {
    let value = context.value;
    let more = context.after.bytes().next();
    // Fixed-length shapes: a longer run is something else.
    let ends = more.is_none_or(|b| !b.is_ascii_alphanumeric() && b != b'_');
    ends && !example(value) && entropy(value) >= 2.8
}

/// Accepts a password that stands where only passwords stand.
pub(super) fn password(context: &Context<'_>) -> bool {
    const SAMPLES: &[&str] = &["password", "passwd", "pass", "postgres", "root", "secret", "pwd", "tiger"];
    let value = context.value;
    !SAMPLES.contains(&value) && !placeholder(value) && !looks_computed(value)
}

/// Accepts the value of an `Authorization` header.
pub(super) fn header(context: &Context<'_>) -> bool {
    let value = context.value;
    !placeholder(value) && mixed(value) && entropy(value) >= 3.2 && !identifier(value)
}

/// Accepts the argument of an option such as `--password`.
pub(super) fn flag(context: &Context<'_>) -> bool {
    let before = &context.text.as_bytes()[..context.keyword.start];
    let name = before.iter().rev().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')).count();
    let option = before[before.len() - name..].starts_with(b"--");
    let value = context.value;
    option && mixed(value) && !placeholder(value) && !looks_computed(value)
}

/// Accepts a literal or bare value assigned to a name of the password class.
pub(super) fn assigned_password(context: &Context<'_>) -> bool {
    let value = context.value;
    if !assigned(context) || placeholder(value) || looks_computed(value) {
        return false;
    }
    match quoted(context) {
        true => mixed(value) && (!separated(value) || !identifier(value)) && entropy(value) >= 2.2,
        false => bare(context) && value.len() >= 7 && !names_itself(value),
    }
}

/// Accepts a literal or bare value assigned to a name of the token, key or secret class.
pub(super) fn assigned_secret(context: &Context<'_>) -> bool {
    let value = context.value;
    if !assigned(context) || placeholder(value) || looks_computed(value) {
        return false;
    }
    let random = match value.len() {
        0..8 => false,
        8..16 => entropy(value) >= 2.7,
        _ => entropy(value) >= 3.0,
    };
    random && mixed(value) && !identifier(value) && (quoted(context) || bare(context) && !names_itself(value))
}

/// Tells whether `text` has a run of at least `len` base64 characters.
pub(super) fn has_base64_run(text: &str, len: usize) -> bool {
    let mut run = 0;
    text.bytes().any(|b| {
        run = match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' | b'=' => run + 1,
            _ => 0,
        };
        run >= len
    })
}

/// Bits per byte (Shannon) of the value's own bytes.
pub(super) fn entropy(value: &str) -> f64 {
    let mut counts = [0u32; 256];
    for byte in value.bytes() {
        counts[usize::from(byte)] += 1;
    }
    let total = value.len() as f64;
    counts.iter().filter(|n| **n > 0).map(|n| f64::from(*n) / total).map(|p| -p * p.log2()).sum()
}

/// Words after which a name no longer names a secret but something about one.
const ABOUT: &[&str] = &[
    "name",
    "names",
    "id",
    "ids",
    "count",
    "counts",
    "type",
    "types",
    "url",
    "uri",
    "path",
    "file",
    "filename",
    "hash",
    "hashed",
    "digest",
    "length",
    "len",
    "label",
    "field",
    "policy",
    "regex",
    "pattern",
    "env",
    "var",
    "placeholder",
    "hint",
    "title",
    "text",
    "message",
    "error",
    "expires",
    "expiry",
    "ttl",
    "header",
    "prefix",
    "suffix",
    "algorithm",
    "alg",
    "provider",
    "endpoint",
    "class",
    "style",
    "selector",
    "kind",
    "limit",
    "usage",
    "version",
    "format",
    "scope",
    "issuer",
    "arn",
    "ref",
    "column",
    "input",
    "param",
    "parameter",
    "attribute",
    "audience",
    "status",
    "state",
    "min",
    "max",
    "date",
    "time",
    "at",
    "in",
    "by",
    "region",
    "model",
    "store",
    "source",
    "mode",
    "rotation",
];

/// Checks the name's rest and the sign between name and value.
fn assigned(context: &Context<'_>) -> bool {
    let between = context.between;
    let end =
        between.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.' | '-')).unwrap_or(between.len());
    let (rest, sign) = between.split_at(end);
    let sign = sign.trim_start_matches(['\\', '"', '\'', '`', ']', ' ', '\t']);
    // `("password", "hunter2")` is a pair; `password, "text"` and `f(token, x)` are not.
    if sign.starts_with(',') && !(quoted(context) && name_is_quoted(context)) {
        return false;
    }
    let rest = ["ord", "ORD", "Ord", "d", "D"].iter().find_map(|end| rest.strip_prefix(end)).unwrap_or(rest);
    // `tokenizer`, `secretary` and the like are other words.
    let goes_on = ["key", "access", "value", "secret", "s"];
    if rest.starts_with(|c: char| c.is_ascii_lowercase()) && !goes_on.iter().any(|word| rest.starts_with(word)) {
        return false;
    }
    let last = last_word(rest);
    !ABOUT.contains(&last.as_str())
}

fn name_is_quoted(context: &Context<'_>) -> bool {
    let end = context.between.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.' | '-'));
    end.is_some_and(|end| context.between[end..].trim_start_matches('\\').starts_with(['"', '\'', '`']))
}

/// Returns the last word of a snake_case, kebab-case or camelCase name's rest, in lower case.
fn last_word(rest: &str) -> String {
    let rest = rest.trim_end_matches(['_', '-', '.']);
    let start = rest
        .char_indices()
        .rev()
        .find(|(_, c)| c.is_ascii_uppercase() || matches!(c, '_' | '-' | '.'))
        .map_or(0, |(i, _)| i);
    let word = rest[start..].trim_start_matches(['_', '-', '.']);
    if rest.bytes().all(|b| !b.is_ascii_lowercase()) {
        let upper = rest.rsplit(['_', '-', '.']).next().unwrap_or_default();
        return upper.to_ascii_lowercase();
    }
    word.to_ascii_lowercase()
}

/// Tells whether the value is a whole literal: opened by a quote, and closed by one or by the end
/// of a line that is still being typed.
fn quoted(context: &Context<'_>) -> bool {
    context.between.ends_with(['"', '\'', '`']) && !context.after.starts_with([' ', '\t'])
}

/// A bare value is one only where code would not stand: `NAME=value` or `name: value` to the end
/// of the word, with digits, and no call behind it.
fn bare(context: &Context<'_>) -> bool {
    let value = context.value;
    let code = value.contains(['(', ')', '{', '}', ';', '<', '>', '*', '|', '$', '?', '[', ']'])
        || value.ends_with([',', ':', '.'])
        || value.contains("::")
        || value.contains("->");
    let ends = context.after.chars().next().is_none_or(|c| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '\\'));
    // `token = value2` is code; `TOKEN=value2` and `token: value2` are configuration.
    let tight = !context.between.contains(" =") || value.len() >= 20;
    !code && ends && tight && mixed(value) && !identifier(value) && entropy(value) >= 2.5
}

/// `password=password1`: the value is the name again, so it is a variable or a sample.
fn names_itself(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    ["password", "passwd", "token", "secret", "apikey", "api_key", "credential"].iter().any(|word| lower.contains(word))
}

/// Letters together with digits or symbols.
fn mixed(value: &str) -> bool {
    let letter = value.bytes().any(|b| b.is_ascii_alphabetic());
    let other =
        value.bytes().any(|b| !b.is_ascii_alphabetic() && !matches!(b, b'_' | b'-' | b'.' | b':' | b'/' | b','));
    letter && other
}

fn separated(value: &str) -> bool {
    value.contains(['-', '_', '.', '/', ':'])
}

/// Words of letters with at most two digits behind them, joined by separators: an identifier, a
/// path, a label.
fn identifier(value: &str) -> bool {
    value.split(['-', '_', '.', '/', ':', ',']).all(|word| {
        let letters = word.trim_end_matches(|c: char| c.is_ascii_digit());
        let digits = word.len() - letters.len();
        let one_case =
            letters.chars().skip(1).all(|c| c.is_ascii_lowercase()) || letters.chars().all(|c| c.is_ascii_uppercase());
        let short = letters.len() <= 16;
        letters.chars().all(|c| c.is_ascii_alphabetic())
            && one_case
            && short
            && (digits <= 2 || letters.is_empty() && digits <= 4)
    })
}

/// Words of documentation in a token of known shape.
fn example(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    lower.contains("example")
        || lower.contains("placeholder")
        || lower.contains("your_")
        || lower.contains("your-")
        || one_letter_run(value)
}

/// What people write where a secret will stand.
fn placeholder(value: &str) -> bool {
    const WORDS: &[&str] = &[
        "example",
        "placeholder",
        "changeme",
        "change_me",
        "change-me",
        "change_this",
        "your",
        "dummy",
        "insert",
        "replace",
        "fixme",
        "todo",
        "sample",
        "undefined",
        "null",
        "none",
        "process.env",
        "os.environ",
        "getenv",
        "env.",
        "secrets.",
        "vault:",
        "op://",
        "arn:",
        "http://",
        "https://",
    ];
    let lower = value.to_ascii_lowercase();
    WORDS.iter().any(|word| lower.contains(word)) || one_letter_run(value)
}

/// `xxxxxx`, `******`, `000000`, `......`
fn one_letter_run(value: &str) -> bool {
    let mut run = 1;
    value.as_bytes().windows(2).any(|pair| {
        run = if pair[0] == pair[1] { run + 1 } else { 1 };
        run >= 5
    })
}

/// Templates, format strings, shell variables, calls.
fn looks_computed(value: &str) -> bool {
    value.contains("${")
        || value.contains("{{")
        || value.contains("%(")
        || value.contains("%s")
        || value.contains("#{")
        || value.contains("()")
        || value.starts_with(['$', '<', '{', '@', '('])
        || value.starts_with("%{")
        || value.contains('{') && value.contains('}')
}
