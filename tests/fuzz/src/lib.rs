//! What is fuzzed: one module a target, with what must hold for any input.
//!
//! The binary has no library, so its pure modules are read here by their path, as they are.

#![allow(unreachable_pub, reason = "everything here is for the targets")]

pub mod decoders;
pub mod events;
pub mod frames_content_length;
pub mod frames_editor;
pub mod frames_json_lines;
pub mod frames_preamble;
pub mod hooks;
pub mod mutate;
pub mod secrets;
pub mod seeds;
pub mod text;

mod frames;

/// Stands for the binary's: reading a URI is its library's matter.
mod recorder {
    use std::path::PathBuf;

    pub(crate) fn file_of_uri(uri: &str) -> Option<PathBuf> {
        uri.strip_prefix("file://").map(PathBuf::from)
    }
}

#[allow(dead_code, unused_imports, missing_docs, reason = "only a part of the binary is here")]
#[path = "../../../server/countersign/src/tap"]
mod tap {
    pub(crate) mod decode;
    pub(crate) mod frame;
}

#[allow(dead_code, unused_imports, missing_docs, reason = "only a part of the binary is here")]
#[path = "../../../server/countersign/src/lsp"]
mod lsp {
    pub(crate) mod frame;
}

#[allow(dead_code, unused_imports, missing_docs, reason = "only a part of the binary is here")]
#[path = "../../../server/countersign/src/hook"]
mod hook {
    use serde_json::Value;

    mod agent_v1;
    mod amp;
    mod claude_code;
    mod cline;
    mod codex;
    mod copilot;
    mod cursor;
    mod decode;
    mod droid;
    mod gemini_cli;
    mod kiro;
    mod opencode;
    mod patch;
    mod planned;
    mod vscode;
    mod windsurf;

    const CLIENTS: &[decode::Client] = &[
        agent_v1::CLIENT,
        amp::CLIENT,
        claude_code::CLIENT,
        cline::CLIENT,
        codex::CLIENT,
        copilot::CLIENT,
        cursor::CLIENT,
        droid::CLIENT,
        gemini_cli::CLIENT,
        kiro::CLIENT,
        opencode::CLIENT,
        vscode::CLIENT,
        windsurf::CLIENT,
    ];

    /// Lets every client read a hook call.
    pub(crate) fn decode(event: Option<&str>, json: &Value, env: &dyn Fn(&str) -> Option<String>) {
        for client in CLIENTS {
            let read = || (client.decode)(&decode::Input { event, json, env });
            assert_eq!(read(), read(), "{} reads the same twice", client.name);
        }
    }

    /// Lets every client read lines of its session file.
    pub(crate) fn hear(lines: &str) {
        for client in CLIENTS {
            (client.heard)(lines);
        }
    }
}
