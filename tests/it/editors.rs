//! Real editors, headless. Few tests, and each proves something nothing cheaper can.
//!
//! A missing editor fails the test: `tests/run` installs it, `cargo test -- --skip editors::` does
//! without.

mod neovim;
mod vscode;

/// What `tests/run` installed and names in this variable.
fn program(variable: &str) -> std::ffi::OsString {
    std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set: run the tests by tests/run"))
}
