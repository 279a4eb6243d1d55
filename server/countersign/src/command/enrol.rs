//! `countersign enrol`: a device gets its token for a one-time code, and later the next one.
//!
//! Whatever can go wrong on this device is found out before the code is used.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use countersign_spool::Device;

use crate::cli::EnrolArgs;
use crate::config::Config;
use crate::error::Failure;
use crate::git;
use crate::person::Persons;
use crate::replay::{self, Client, Stop, Target, TokenFile};
use crate::shell::Shell;

/// Where the token is kept, in the state directory, if config.toml does not say.
const FILE: &str = "device.token";
/// The longest code that is read from stdin.
const CODE_BYTES_MAX: u64 = 4 << 10;

/// Runs `countersign enrol`.
pub(crate) fn run(args: &EnrolArgs, shell: &Shell) -> Result<ExitCode, Failure> {
    match (&args.url, &args.code) {
        (Some(url), Some(code)) => enrol(url, &read_code(code)?, args.ca_file.as_deref(), shell),
        _ => rotate(shell),
    }
}

fn read_code(code: &str) -> Result<String, Failure> {
    use std::io::Read;
    if code != "-" {
        return Ok(code.trim().to_owned());
    }
    let mut text = String::new();
    std::io::stdin().take(CODE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
}

fn enrol(url: &str, code: &str, ca_file: Option<&Path>, shell: &Shell) -> Result<ExitCode, Failure> {
    let url = url.trim_end_matches('/');
    let configured = &shell.config.collector_url;
    if let Some(other) = configured.value.as_deref().filter(|other| other.trim_end_matches('/') != url) {
        return Err(Failure::usage(format!("this device sends to {other} ({})", configured.from))
            .hint("take collector.url and collector.token_file out of config.toml first; what is recorded stays"));
    }
    let ca_file = ca_file.map(std::path::absolute).transpose()?.or_else(|| shell.config.ca_file.value.clone());
    let token_file = shell.config.token_file.value.clone().unwrap_or_else(|| shell.paths.state.join(FILE));
    let target = Target { url: url.to_owned(), token_file: token_file.clone(), ca_file: ca_file.clone() };
    let client = Client::new(&target, Stop::never())?;
    let device = Device::load_or_create(&shell.paths.state)?;
    let unwritable =
        |error| Failure::from_error(&format!("the token cannot be kept in {}", token_file.display()), &error);
    let place = TokenFile::prepare(&token_file).map_err(unwritable)?;
    let config = ConfigFile::with(&shell.paths.config, url, &token_file, ca_file.as_deref())?;

    let email = std::env::current_dir().ok().and_then(|here| git::email(&here));
    let persons = Persons::from_env().pseudonyms(&device, email.as_deref());
    let enrolled =
        client.enrol(&device.enrolment(code, persons)).map_err(|refused| replay::told(client.to(), &refused))?;
    place.keep(&enrolled.token).map_err(unwritable)?;
    config.write()?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "this device is enrolled at {url} for {}", enrolled.subject)?;
    writeln!(out, "its token is in {}; editors send from their next start on", token_file.display())?;
    writeln!(out, "`countersign log --would-send` shows what goes there, `countersign status` how it stands")?;
    Ok(ExitCode::SUCCESS)
}

fn rotate(shell: &Shell) -> Result<ExitCode, Failure> {
    let (Some(url), Some(token_file)) = (&shell.config.collector_url.value, &shell.config.token_file.value) else {
        return Err(Failure::usage("this device is not enrolled").hint("`countersign enrol URL CODE` does that"));
    };
    let target =
        Target { url: url.clone(), token_file: token_file.clone(), ca_file: shell.config.ca_file.value.clone() };
    let client = Client::new(&target, Stop::never())?;
    client.rotate().map_err(|refused| replay::told(client.to(), &refused))?;
    writeln!(std::io::stdout(), "the next token is in {}; the one before ends when it is used", token_file.display())?;
    Ok(ExitCode::SUCCESS)
}

/// `config.toml` as it will be.
struct ConfigFile {
    path: PathBuf,
    /// Nothing where it says all of it already.
    text: Option<String>,
}

impl ConfigFile {
    /// Works out what it must say, and makes sure that it would be read so.
    fn with(dir: &Path, url: &str, token_file: &Path, ca_file: Option<&Path>) -> Result<ConfigFile, Failure> {
        let path = dir.join("config.toml");
        let before = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Failure::from_error(&path.display().to_string(), &error)),
        };
        let as_text = |file: &Path| file.to_string_lossy().into_owned();
        let mut settings = vec![("url", url.to_owned()), ("token_file", as_text(token_file))];
        settings.extend(ca_file.map(|file| ("ca_file", as_text(file))));
        let text = with_collector(&before, &settings);
        let read = Config::of_text(&text, &path);
        if read.collector_url.value.as_deref().map(|it| it.trim_end_matches('/')) != Some(url)
            || read.token_file.value.as_deref() != Some(token_file)
            || ca_file.is_some_and(|file| read.ca_file.value.as_deref() != Some(file))
        {
            let lines: Vec<String> = settings.iter().map(|(key, value)| line(key, value)).collect();
            return Err(Failure::usage(format!("{} cannot be added to", path.display()))
                .hint(format!("write there, under [collector]: {}", lines.join("; "))));
        }
        Ok(ConfigFile { path, text: (text != before).then_some(text) })
    }

    fn write(self) -> Result<(), Failure> {
        let Some(text) = self.text else { return Ok(()) };
        let failed =
            |error: std::io::Error| Failure::from_error(&format!("cannot write {}", self.path.display()), &error);
        let folder = self.path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(failed)?;
        let mut aside = tempfile::Builder::new().prefix(".config").tempfile_in(folder).map_err(failed)?;
        aside.write_all(text.as_bytes()).map_err(failed)?;
        aside.persist(&self.path).map_err(|error| failed(error.error))?;
        Ok(())
    }
}

/// Adds settings to the `[collector]` table of a configuration, or the table with them. What stands there
/// stays as it was written.
fn with_collector(before: &str, settings: &[(&str, String)]) -> String {
    let known: toml::Table = toml::from_str(before).unwrap_or_default();
    let known = known.get("collector").and_then(toml::Value::as_table);
    let missing: String = settings
        .iter()
        .filter(|(key, _)| known.is_none_or(|table| !table.contains_key(*key)))
        .map(|(key, value)| line(key, value) + "\n")
        .collect();
    let is_header = |text: &str| text.split('#').next().unwrap_or_default().trim() == "[collector]";
    match before.split_inclusive('\n').position(is_header) {
        _ if missing.is_empty() => before.to_owned(),
        None => {
            let gap = if before.is_empty() || before.ends_with("\n\n") {
                ""
            } else if before.ends_with('\n') {
                "\n"
            } else {
                "\n\n"
            };
            format!("{before}{gap}[collector]\n{missing}")
        }
        Some(at) => {
            let mut lines: Vec<&str> = before.split_inclusive('\n').collect();
            if !lines[at].ends_with('\n') {
                lines.insert(at + 1, "\n");
                lines.insert(at + 2, &missing);
            } else {
                lines.insert(at + 1, &missing);
            }
            lines.concat()
        }
    }
}

fn line(key: &str, value: &str) -> String {
    format!("{key} = {}", toml::Value::String(value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_added_and_nothing_that_stands_there_is_touched() {
        let settings = [("url", "https://c".to_owned()), ("token_file", "/t".to_owned())];
        let table: Vec<(&str, &str)> = vec![
            ("", "[collector]\nurl = \"https://c\"\ntoken_file = \"/t\"\n"),
            ("[editor]", "[editor]\n\n[collector]\nurl = \"https://c\"\ntoken_file = \"/t\"\n"),
            (
                "# mine\n[collector] # here\nca_file = 'x'\n[editor]\n",
                "# mine\n[collector] # here\nurl = \"https://c\"\ntoken_file = \"/t\"\nca_file = 'x'\n[editor]\n",
            ),
            ("[collector]\nurl = 'https://c'", "[collector]\ntoken_file = \"/t\"\nurl = 'https://c'"),
            ("[collector]", "[collector]\nurl = \"https://c\"\ntoken_file = \"/t\"\n"),
        ];
        for (before, after) in table {
            assert_eq!(with_collector(before, &settings), after, "{before:?}");
        }
        let whole = with_collector("", &settings);
        assert_eq!(with_collector(&whole, &settings), whole);
    }

    #[test]
    fn a_configuration_that_would_not_be_read_so_is_refused_before_the_code_is_used() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["collector = 1\n", "[collector\n", "[[collector]]\n"] {
            std::fs::write(dir.path().join("config.toml"), text).unwrap();
            assert!(ConfigFile::with(dir.path(), "https://c", Path::new("/t"), None).is_err(), "{text:?}");
        }
    }
}
