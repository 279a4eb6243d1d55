//! Whole processes against each other, as a user has them. The `mod` list is the table of contents.

#![allow(unreachable_pub, reason = "a test binary has no outside: `pub` means for the other modules")]
#![allow(clippy::unwrap_used, reason = "helpers are part of tests: a panic is their message")]

mod agents;
mod blame;
mod canary;
mod check;
mod demo;
mod editors;
mod hook;
mod house;
mod lsp;
mod purge;
mod real;
mod replay;
mod risk;
mod rough;
mod scenario;
mod setup;
mod soak;
mod status;
mod support;
mod tiers;
mod wire;
