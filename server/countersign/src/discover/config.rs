//! Whether a tool's own configuration has it call our hook.
//!
//! The files are other people's: comments, trailing commas and any shape are met here. A call that is
//! commented out, switched off or not trusted is no call: we would rather say blind than be it.

use std::io::Read;
use std::path::Path;

use serde_json::Value;

use super::Machine;
use super::table::Hooks;

/// A configuration larger than this is none that a person wrote.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Where Codex keeps which hooks its user has trusted.
const CODEX_TRUST: &str = "~/.codex/config.toml";

/// Whether a tool tells our hook. A later one says more than an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hook {
    /// Nothing calls it.
    None,
    /// This file is not to be read; it may or may not.
    Unreadable(String),
    /// This file calls it, but all hooks are switched off.
    Off(String),
    /// This file calls it, but nobody has trusted it, and the tool skips such hooks.
    Untrusted(String),
    /// This file calls it, but not after an edit.
    Partial(String),
    /// This file calls it.
    Calls(String),
}

/// Looks through the files in which a tool's hooks may stand.
pub(super) fn hook(hooks: &Hooks, machine: &Machine) -> Hook {
    let mut best = Hook::None;
    let mut is_off = false;
    for pattern in hooks.files {
        for path in machine.expand(pattern) {
            let shown = machine.show(&path);
            let state = match read(&path) {
                File::Missing => continue,
                File::Odd => Hook::Unreadable(shown),
                File::Script(text) if calls_in_script(&text) => Hook::Calls(shown),
                File::Script(_) => continue,
                File::Settings(settings) => {
                    is_off |= hooks.off.is_some_and(|key| settings[key] == true);
                    let events = calling_events(&settings["hooks"]);
                    let after: Vec<&&str> = hooks.after.iter().filter(|name| events.contains(*name)).collect();
                    let is_users = pattern.starts_with(['~', '.']);
                    if events.is_empty() {
                        continue;
                    } else if after.is_empty() {
                        Hook::Partial(shown)
                    } else if hooks.needs_trust && is_users && !is_trusted(machine, &path, &after) {
                        Hook::Untrusted(shown)
                    } else {
                        Hook::Calls(shown)
                    }
                }
            };
            best = best.max(state);
        }
    }
    match best {
        Hook::Calls(file) | Hook::Partial(file) | Hook::Untrusted(file) if is_off => Hook::Off(file),
        best => best,
    }
}

/// Returns the events under which a command calls us.
fn calling_events(hooks: &Value) -> Vec<&str> {
    let events = hooks.as_object().into_iter().flatten();
    events.filter(|(_, groups)| calls(groups)).map(|(name, _)| name.as_str()).collect()
}

fn calls(value: &Value) -> bool {
    match value {
        Value::String(command) => is_our_hook(command),
        Value::Array(items) => items.iter().any(calls) || is_our_hook(&words(items)),
        Value::Object(fields) => {
            let args = fields.get("args").and_then(Value::as_array);
            let whole = fields.get("command").and_then(Value::as_str).zip(args);
            let whole = whole.map(|(command, args)| format!("{command} {}", words(args)));
            whole.is_some_and(|whole| is_our_hook(&whole)) || fields.values().any(calls)
        }
        _ => false,
    }
}

fn words(items: &[Value]) -> String {
    items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
}

/// Says whether a command line has `countersign hook` in it, by whatever path.
fn is_our_hook(command: &str) -> bool {
    let is_quote = |c: char| matches!(c, '"' | '\'' | '`' | ';' | '&' | '(' | ')');
    let words: Vec<&str> = command.split_whitespace().map(|word| word.trim_matches(is_quote)).collect();
    words.windows(2).any(|pair| {
        let name = pair[0].rsplit(['/', '\\']).next().unwrap_or_default();
        name.strip_suffix(".exe").unwrap_or(name) == "countersign" && pair[1] == "hook"
    })
}

/// A plugin is a program; whether it names us outside of a comment is all that can be read off it.
fn calls_in_script(text: &str) -> bool {
    let is_comment = |line: &str| line.trim_start().starts_with("//") || line.trim_start().starts_with('#');
    text.lines().any(|line| !is_comment(line) && line.contains("countersign"))
}

fn is_trusted(machine: &Machine, file: &Path, events: &[&&str]) -> bool {
    let Some(File::Settings(settings)) = machine.expand(CODEX_TRUST).first().map(|path| read(path)) else {
        return false;
    };
    let whole = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let states = settings["hooks"]["state"].as_object().into_iter().flatten();
    let mut trusted = states.filter(|(_, state)| state["trusted_hash"].is_string()).map(|(key, _)| key);
    trusted.any(|key| {
        let of = |path: &Path| key.strip_prefix(&*path.to_string_lossy());
        let Some(rest) = of(file).or_else(|| of(&whole)) else { return false };
        events.iter().any(|event| rest.starts_with(&format!(":{}:", snake(event))))
    })
}

fn snake(name: &str) -> String {
    let mut out = String::new();
    for (i, letter) in name.chars().enumerate() {
        if letter.is_ascii_uppercase() && i > 0 {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

enum File {
    Missing,
    Odd,
    Settings(Value),
    Script(String),
}

fn read(path: &Path) -> File {
    // Asked first: opening a pipe would wait for its writer.
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_file() && meta.len() <= FILE_BYTES_MAX => {}
        Ok(meta) if meta.is_dir() => return File::Missing,
        Ok(_) => return File::Odd,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return File::Missing,
        // A parent that is a file is as good as no file.
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => return File::Missing,
        Err(_) => return File::Odd,
    }
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text));
    if read.is_err() {
        return File::Odd;
    }
    let settings = match path.extension().and_then(|ending| ending.to_str()) {
        Some("js" | "ts" | "mjs" | "cjs" | "sh" | "ps1") => return File::Script(text),
        None if text.starts_with("#!") => return File::Script(text),
        Some("toml") => toml::from_str::<toml::Table>(&text).ok().and_then(|table| serde_json::to_value(table).ok()),
        _ if text.trim().is_empty() => Some(Value::Null),
        _ => serde_json::from_str(&plain_json(&text)).ok(),
    };
    settings.map_or(File::Odd, File::Settings)
}

/// Reads a small JSON file, comments allowed.
pub(super) fn read_json(path: &Path) -> Option<Value> {
    match read(path) {
        File::Settings(settings) => Some(settings),
        _ => None,
    }
}

/// Takes out comments and trailing commas, outside of strings.
fn plain_json(text: &str) -> String {
    let text = text.trim_start_matches('\u{feff}');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let taken = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(body) = rest.strip_prefix("/*") {
            body.find("*/").map_or(rest.len(), |end| end + 4)
        } else if first == '"' {
            let end = string_end(rest);
            out.push_str(&rest[..end]);
            end
        } else {
            if matches!(first, '}' | ']') && out.trim_end().ends_with(',') {
                out.truncate(out.trim_end().len() - 1);
            }
            out.push(first);
            first.len_utf8()
        };
        rest = &rest[taken..];
    }
    out
}

/// Where the string that `text` begins with has its end.
fn string_end(text: &str) -> usize {
    let mut is_escaped = false;
    for (i, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return i + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_call_is_known_however_it_is_written() {
        for command in [
            "countersign hook claude-code",
            "/usr/local/bin/countersign hook codex",
            r#""C:\Program Files\Countersign\countersign.exe" hook codex"#,
            "sh -c 'countersign hook gemini-cli'",
            "RUST_LOG=off countersign hook copilot postToolUse",
        ] {
            assert!(is_our_hook(command), "{command}");
        }
        for command in ["countersign status", "echo countersign", "my-countersign hook x", "git-ai checkpoint", ""] {
            assert!(!is_our_hook(command), "{command}");
        }
    }

    #[test]
    fn comments_and_trailing_commas_are_read_as_people_write_them() {
        let text = "\u{feff}// top\n{\"a\": \"http://x/*y*/\", /* no */ \"b\": [1, 2,], // c\n \"q\": \"\\\"//\",\n}\n";
        let value: Value = serde_json::from_str(&plain_json(text)).unwrap();
        assert_eq!(value, serde_json::json!({ "a": "http://x/*y*/", "b": [1, 2], "q": "\"//" }));
    }

    proptest! {
        #[test]
        fn plain_json_is_left_as_it_means(text in ".{0,40}", number in any::<i32>()) {
            let value = serde_json::json!({ "t": text, "l": [number, null, { "k": text }] });
            let read: Value = serde_json::from_str(&plain_json(&value.to_string())).unwrap();
            prop_assert_eq!(read, value);
        }

        #[test]
        fn no_text_is_too_odd(text in "[\\PC\"/*,{}\\\\\n]{0,60}") {
            let _ = plain_json(&text);
        }
    }
}
