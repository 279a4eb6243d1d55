//! How risky it is: rules over code, and what they find.
//!
//! [`Engine::check`] takes a text and its language and answers with [`Finding`]s. Code rules are
//! data: one file each in ast-grep's own format, with its cases beside it ([`rules`](crate) holds
//! the list). Secrets are found in any text, by the same detector that redacts.
//!
//! Half-typed code is judged like any other, because that is what an editor holds most of the
//! time. Whatever the text, an answer comes in bounded time and says what it had to leave out.
//!
//! This crate must never call a file system, environment, clock, thread, network or source of
//! randomness.

pub mod calibrate;
mod engine;
mod finding;
mod flow;
mod fold;
mod grammar;
mod infra;
mod language;
mod packages;
mod rule;
mod rules;
pub mod score;
mod secrets;
mod semantic;

pub use engine::{BrokenRule, Engine, Report, Skipped};
pub use finding::{Edit, Finding, Severity};
pub use fold::{Fold, fold};
pub use language::Language;
pub use packages::{Declared, ghosts, manifests};

#[cfg(test)]
mod tests;
