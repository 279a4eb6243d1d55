//! Real editors, headless. Few tests, and each proves something nothing cheaper can.
//!
//! A missing editor fails the test: `tests/run` installs it, `cargo test -- --skip editors::` does
//! without.

mod neovim;
