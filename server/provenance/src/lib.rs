//! Who wrote each byte.
//!
//! One mechanism: [`attribution`] is a property of text, carried by alignment from known texts. An open
//! document is a [`text::Text`] with [`spans::Spans`] over its bytes; the [`session`] keeps both in
//! step with an editor, and [`carry`] finds the writers of a text that changed unobserved.
//!
//! This crate must never call a file system, environment, clock, thread, network or source of
//! randomness: ids, times and keys come in as arguments.

pub mod attribution;
pub mod carry;
pub mod distance;
pub mod history;
pub mod human;
pub mod hunks;
pub mod join;
pub mod lines;
mod offer;
pub mod session;
pub mod spans;
pub mod text;
mod tokens;
