//! `countersign config`: each setting, its value and where it came from.

use std::io::Write;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::cli::JsonArgs;
use crate::config::Setting;
use crate::error::Failure;
use crate::shell::Shell;

/// Runs `countersign config`.
pub(crate) fn run(args: &JsonArgs, shell: &Shell) -> Result<ExitCode, Failure> {
    let config = &shell.config;
    let directory = std::env::current_dir().ok().and_then(|dir| crate::git::root_of(&dir));
    let policy = shell.policy(directory.as_deref());
    let from_policy = |value: Value| Setting { value, from: format!("policy {}", policy.tiers.policy) };
    let rows: Vec<(&str, Setting<Value>)> = vec![
        ("paths.config", here(shell.paths.config.display().to_string())),
        ("paths.state", here(shell.paths.state.display().to_string())),
        ("collector.url", as_json(&config.collector_url)),
        ("collector.token_file", as_json(&config.token_file)),
        ("collector.ca_file", as_json(&config.ca_file)),
        ("replay.max_kib_per_second", as_json(&config.max_kib_per_second)),
        ("editor.hints", as_json(&config.hints)),
        ("editor.hint_delay_ms", as_json(&config.hint_delay_ms)),
        ("spool.max_bytes", as_json(&config.max_bytes)),
        ("tiers.full", from_policy(json!(policy.tiers.full))),
        ("tiers.threshold_bytes", from_policy(json!(policy.tiers.threshold_bytes))),
        ("capture.off", from_policy(json!(policy.off))),
    ];
    let mut out = std::io::stdout().lock();
    for (name, setting) in rows {
        if args.json {
            writeln!(out, "{}", json!({ "name": name, "value": setting.value, "from": setting.from }))?;
        } else {
            let value = match &setting.value {
                Value::Null => "(not set)".to_owned(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            writeln!(out, "{name:24} {value:32} {}", setting.from)?;
        }
    }
    for problem in &config.problems {
        tracing::warn!("{problem}");
    }
    for problem in &policy.problems {
        tracing::warn!("{problem}");
    }
    Ok(ExitCode::SUCCESS)
}

fn here(value: String) -> Setting<Value> {
    let from = if std::env::var_os("COUNTERSIGN_HOME").is_some() { "COUNTERSIGN_HOME" } else { "default" };
    Setting { value: Value::String(value), from: from.to_owned() }
}

fn as_json<T: serde::Serialize>(setting: &Setting<T>) -> Setting<Value> {
    Setting { value: json!(setting.value), from: setting.from.clone() }
}
