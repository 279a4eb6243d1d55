//! The built-in rule files: the folder beside this file is the list.
//!
//! `<grammar>/<id>.yml` is a rule in ast-grep's own format for one grammar (`typescript` also runs on
//! TSX and JavaScript); `flow/<id>.yml` is a rule over flows, for every language it has a table for.
//! Beside each lie its cases, `<id>.test.yml`: `valid` must be silent, `invalid` found exactly once.
//!
//! It must never hold what a file can say.

/// Name (`<folder>/<id>`) and text of every built-in rule file.
pub(crate) const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/rules.rs"));

#[cfg(test)]
mod tests;
