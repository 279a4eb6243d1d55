//! A policy file as it was written: its keys, and where in it something is wrong.
//!
//! It must never refuse a file for a key that only a later version knows; that is told, not fatal.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use countersign_event::content::Full;
use countersign_event::digest;
use serde::Deserialize;
use toml::Spanned;

/// A longer policy is no policy.
const BYTES_MAX: u64 = 256 << 10;

/// Something wrong with a policy file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Problem {
    file: PathBuf,
    /// Where in the text, in bytes.
    at: Option<usize>,
    /// Line and column from 1, where there is a place.
    place: Option<(usize, usize)>,
    message: String,
}

impl Problem {
    /// Returns where in the text it is, in bytes; what has no place is about the whole.
    pub(crate) fn at(&self) -> usize {
        self.at.unwrap_or_default()
    }

    /// Returns what is wrong.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// A policy file that could be read.
#[derive(Default)]
pub(super) struct Source {
    file: PathBuf,
    text: String,
    pub(super) raw: Raw,
}

#[derive(Deserialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Raw {
    #[serde(default)]
    pub(super) tiers: RawTiers,
    #[serde(default)]
    pub(super) sensitive: RawSensitive,
    #[serde(default)]
    pub(super) capture: RawCapture,
    #[serde(default)]
    pub(super) rules: RawRules,
    /// What is known and accepted.
    #[serde(default)]
    pub(super) allow: Vec<RawAllow>,
    /// What follows where findings meet a condition.
    #[serde(default)]
    pub(super) require: Vec<RawRequire>,
}

/// Which texts are kept.
#[derive(Deserialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct RawTiers {
    /// Texts are kept above the threshold, always, or never.
    pub(super) full: Option<Full>,
    /// The threshold.
    pub(super) threshold_bytes: Option<u64>,
}

/// Paths whose texts are kept whatever their length.
#[derive(Deserialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct RawSensitive {
    /// Globs, relative to the repository.
    #[cfg_attr(test, schemars(with = "Option<Vec<String>>"))]
    pub(super) paths: Option<Vec<Text>>,
}

/// What is recorded at all.
#[derive(Deserialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct RawCapture {
    /// Nothing is.
    pub(super) off: Option<bool>,
    /// Globs of paths of which nothing is.
    #[cfg_attr(test, schemars(with = "Option<Vec<String>>"))]
    pub(super) exclude: Option<Vec<Text>>,
}

/// Which findings are shown.
#[derive(Deserialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct RawRules {
    /// Rules whose findings a repository's own file can't allow.
    pub(super) required: Option<Vec<String>>,
}

/// Findings that somebody has looked at and answers for, until a day.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct RawAllow {
    /// The rule.
    #[cfg_attr(test, schemars(with = "String"))]
    pub(super) rule: Text,
    /// Globs, relative to the repository; without them, everywhere.
    #[cfg_attr(test, schemars(with = "Option<Vec<String>>"))]
    pub(super) paths: Option<Vec<Text>>,
    /// This finding alone.
    pub(super) fingerprint: Option<String>,
    /// Who answers for it.
    #[cfg_attr(test, schemars(with = "String"))]
    pub(super) owner: Text,
    /// Why it is right.
    #[cfg_attr(test, schemars(with = "String"))]
    pub(super) reason: Text,
    /// The last day it holds, `2027-01-31`.
    #[cfg_attr(test, schemars(with = "String"))]
    pub(super) expires: Text,
}

/// What policy asks of findings.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct RawRequire {
    /// A CEL condition over `rule`, `severity`, `cwe`, `path`, `sensitive`.
    #[cfg_attr(test, schemars(with = "String"))]
    pub(super) when: Text,
    /// What it asks for, such as `review:security`.
    #[serde(default)]
    pub(super) obligations: Vec<String>,
    /// The check fails.
    #[serde(default)]
    pub(super) block: bool,
}

/// A string that knows its place.
pub(super) type Text = Spanned<String>;

/// The keys of each table.
const KEYS: [(&str, &[&str]); 6] = [
    ("tiers", &["full", "threshold_bytes"]),
    ("sensitive", &["paths"]),
    ("capture", &["off", "exclude"]),
    ("rules", &["required"]),
    ("allow", &["rule", "paths", "fingerprint", "owner", "reason", "expires"]),
    ("require", &["when", "obligations", "block"]),
];

impl Source {
    /// Reads `file`; `None` where there is none, or none that can be used.
    pub(super) fn read(file: PathBuf, problems: &mut Vec<Problem>) -> Option<Self> {
        let nothing = Self { file, ..Self::default() };
        let text = read_bounded(&nothing.file)
            .and_then(|bytes| String::from_utf8(bytes).map_err(|error| std::io::Error::other(error.to_string())));
        match text {
            Ok(text) => Self::of_text(nothing.file, text, problems),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                problems.push(nothing.problem(None, error));
                None
            }
        }
    }

    /// Takes `text` for what stands in `file`; `None` where it can't be used.
    pub(super) fn of_text(file: PathBuf, text: String, problems: &mut Vec<Problem>) -> Option<Self> {
        let mut source = Self { file, text, ..Self::default() };
        match toml::from_str(&source.text) {
            Ok(raw) => source.raw = raw,
            Err(error) => {
                problems.push(source.problem(error.span().map(|span| span.start), error.message()));
                return None;
            }
        }
        source.tell_unknown_keys(problems);
        Some(source)
    }

    #[cfg(test)]
    pub(super) fn of(text: &str) -> Self {
        let raw = toml::from_str(text).unwrap_or_else(|error| panic!("{error}"));
        Self { file: PathBuf::from("policy.toml"), text: text.to_owned(), raw }
    }

    /// Returns twelve digits that name this very text; `None` where there was no file.
    pub(super) fn name(&self) -> Option<String> {
        (!self.text.is_empty()).then(|| digest::text_id(self.text.as_bytes())[..12].to_owned())
    }

    /// Says what is wrong at the byte `at`.
    pub(super) fn problem(&self, at: Option<usize>, message: impl fmt::Display) -> Problem {
        let place = at.and_then(|at| self.text.get(..at)).map(|before| {
            let line = before.matches('\n').count() + 1;
            (line, before.rsplit('\n').next().unwrap_or_default().chars().count() + 1)
        });
        Problem { file: self.file.clone(), at, place, message: message.to_string() }
    }

    /// Says what is wrong with a value.
    pub(super) fn wrong(&self, value: &Text, message: impl fmt::Display) -> Problem {
        self.problem(Some(value.span().start), message)
    }

    fn tell_unknown_keys(&self, problems: &mut Vec<Problem>) {
        let Ok(whole) = toml::de::DeTable::parse(&self.text) else { return };
        for (name, value) in whole.get_ref() {
            let Some((_, keys)) = KEYS.iter().find(|(table, _)| *table == name.get_ref().as_ref()) else {
                problems
                    .push(self.problem(Some(name.span().start), format!("{:?} means nothing here", name.get_ref())));
                continue;
            };
            let value = value.get_ref();
            let one = value.as_table().into_iter();
            let many = value.as_array().into_iter().flat_map(|array| array.iter());
            for (key, _) in one.chain(many.filter_map(|item| item.get_ref().as_table())).flat_map(|table| table.iter())
            {
                if !keys.contains(&key.get_ref().as_ref()) {
                    let message = format!("{:?} means nothing in {name:?}", key.get_ref(), name = name.get_ref());
                    problems.push(self.problem(Some(key.span().start), message));
                }
            }
        }
    }
}

fn read_bounded(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(file)?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > BYTES_MAX {
        true => Err(std::io::Error::other(format!("longer than {BYTES_MAX} bytes"))),
        false => Ok(bytes),
    }
}
