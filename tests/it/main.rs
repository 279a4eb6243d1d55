//! Whole processes against each other, as a user has them. The `mod` list is the table of contents.

mod editors;
mod house;
mod lsp;
mod replay;
mod support;
mod wire;
