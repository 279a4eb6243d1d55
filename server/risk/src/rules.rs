//! The list of built-in rule files. A new rule is a file, its cases beside it, and a line here.
//!
//! It must never miss a file: a test compares the list with the folder.

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("rules/", $name, ".yml")))),*]
    };
}

/// Name and text of every built-in rule file.
pub(crate) const FILES: &[(&str, &str)] =
    files!["python/shell-injection", "python/tls-off", "typescript/shell-injection", "typescript/tls-off",];

#[cfg(test)]
mod tests;
