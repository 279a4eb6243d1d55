//! What is known of a value without running anything.

use std::ops::Range;
use std::rc::Rc;

/// Where a value may come from: a set of these.
pub(crate) mod from {
    /// Sent by whoever makes the request.
    pub(crate) const REQUEST: u16 = 1;
    /// A parameter of the function.
    pub(crate) const PARAM: u16 = 1 << 1;
    /// The command line or the keyboard.
    pub(crate) const INPUT: u16 = 1 << 2;
    /// The environment.
    pub(crate) const ENV: u16 = 1 << 3;
    /// A file, a database, an answer of another server.
    pub(crate) const STORED: u16 = 1 << 4;
    /// A generator that is not for secrets.
    pub(crate) const RANDOM: u16 = 1 << 5;
    /// A name nobody in sight defines, as in a fragment.
    pub(crate) const FREE: u16 = 1 << 6;
    /// Something else that is not written here.
    pub(crate) const UNKNOWN: u16 = 1 << 7;
    /// A name by which constants go.
    pub(crate) const CONSTANT: u16 = 1 << 8;
    /// The error a handler caught.
    pub(crate) const ERROR: u16 = 1 << 9;
    /// What somebody else has a say in.
    pub(crate) const GIVEN: u16 = REQUEST | PARAM | INPUT | ENV | STORED | FREE;
    /// Everything that is not written here.
    pub(crate) const DYNAMIC: u16 = !CONSTANT;

    /// Reads the word rule files use.
    pub(crate) fn named(name: &str) -> Option<u16> {
        Some(match name {
            "request" => REQUEST,
            "param" => PARAM,
            "input" => INPUT,
            "env" => ENV,
            "stored" => STORED,
            "random" => RANDOM,
            "free" => FREE,
            "unknown" => UNKNOWN,
            "error" => ERROR,
            "given" => GIVEN,
            "dynamic" => DYNAMIC,
            _ => return None,
        })
    }
}

/// What a value was made harmless for: a set of these.
pub(crate) mod clean {
    /// Everything: a number, a truth value.
    pub(crate) const ALL: u32 = u32::MAX;
    /// Compared with what is allowed.
    pub(crate) const CHECKED: u32 = 1;
    /// The classes rules name, in the order of their bits after `CHECKED`.
    const CLASSES: &[&str] = &[
        "sql", "shell", "path", "html", "url", "redirect", "log", "code", "ldap", "regex", "header", "hash", "size",
        "nosql",
    ];

    /// Returns the bit of a class.
    pub(crate) fn class(name: &str) -> Option<u32> {
        CLASSES.iter().position(|class| *class == name).map(|at| 2 << at)
    }
}

/// What is known of a value.
#[derive(Debug, Clone, Default)]
pub(crate) struct Value {
    /// How it is reached: `flask.request.args.get()`; `None` when that says nothing.
    pub(crate) path: Option<Rc<str>>,
    /// Where it may come from; empty when it is written here.
    pub(crate) from: u16,
    /// What it was made harmless for.
    pub(crate) clean: u32,
    /// Its text, when all of it is written here.
    pub(crate) text: Option<Rc<str>>,
    /// The text it begins with, when it was put together.
    pub(crate) prefix: Option<Rc<str>>,
    /// Its value, if it is a known number or truth value.
    pub(crate) number: Option<i64>,
    /// Whether it was put together from text and something that is not written here.
    pub(crate) built: bool,
    /// The members of a literal.
    pub(crate) pairs: Option<Rc<Vec<Pair>>>,
    /// The elements of a literal.
    pub(crate) items: Option<Rc<Vec<Value>>>,
    /// Where what is not written here was first seen.
    pub(crate) at: Option<(u32, u32)>,
}

/// A member of a literal.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) key: Rc<str>,
    pub(crate) value: Value,
    /// Where the value stands.
    pub(crate) range: (u32, u32),
}

impl Value {
    /// A value of which only the source is known.
    pub(crate) fn of(from: u16) -> Self {
        Self { from, ..Self::default() }
    }

    /// A text that is written here.
    pub(crate) fn text(text: &str) -> Self {
        Self { text: Some(text.into()), ..Self::default() }
    }

    /// A number or truth value that is known.
    pub(crate) fn number(number: i64) -> Self {
        Self { number: Some(number), text: Some(number.to_string().into()), clean: clean::ALL, ..Self::default() }
    }

    /// Tells whether anything of it is not written here.
    pub(crate) fn is_dynamic(&self) -> bool {
        self.from & from::DYNAMIC != 0
    }

    /// Where it was first seen.
    pub(crate) fn source(&self) -> Option<Range<usize>> {
        self.at.map(|(start, end)| start as usize..end as usize)
    }

    /// Returns what is true of both: one of the two is the value.
    pub(crate) fn or(&self, other: &Self) -> Self {
        let mut both = self.and(other);
        both.built = self.built || other.built;
        both.text = if self.text == other.text { self.text.clone() } else { None };
        both.number = if self.number == other.number { self.number } else { None };
        both.prefix = if self.prefix == other.prefix { self.prefix.clone() } else { None };
        let same = |a: &Self, b: &Self| a.path.is_some() && (b.path.is_none() || a.path == b.path);
        both.path = if same(self, other) { self.path.clone() } else { other.path.clone().or(self.path.clone()) };
        both.pairs = self.pairs.clone().or_else(|| other.pairs.clone());
        both.items = self.items.clone().or_else(|| other.items.clone());
        both
    }

    /// Returns what a value made of both comes from.
    pub(crate) fn and(&self, other: &Self) -> Self {
        let clean = match (self.is_dynamic(), other.is_dynamic()) {
            (true, true) => self.clean & other.clean,
            (true, false) => self.clean,
            (false, true) => other.clean,
            (false, false) => self.clean & other.clean,
        };
        Self { from: self.from | other.from, clean, at: self.at.or(other.at), ..Self::default() }
    }

    /// Returns what `parts`, in order, make when they are joined to one text.
    pub(crate) fn join(parts: &[Self]) -> Self {
        let mut whole = Self::default();
        let mut text = Some(String::new());
        let mut prefix = String::new();
        let mut literal = false;
        for part in parts {
            whole = if whole.from == 0 && whole.at.is_none() { part.and(&Self::default()) } else { whole.and(part) };
            whole.built |= part.built;
            let start = part.text.as_ref().or(part.prefix.as_ref());
            literal |= start.is_some_and(|start| !start.is_empty());
            if let (Some(all), Some(start)) = (&mut text, start) {
                if all.len() < 4096 {
                    all.push_str(start);
                }
                prefix.clone_from(all);
            }
            if part.text.is_none() {
                text = None;
            }
        }
        whole.built |= whole.is_dynamic() && (literal || parts.len() > 1);
        whole.prefix = (text.is_none() && !prefix.is_empty()).then(|| prefix.into());
        whole.text = text.map(Into::into);
        whole
    }
}
