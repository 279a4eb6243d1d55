//! `config.toml`: raw options as they were written, resolved to settings that say where each came from.
//!
//! A bad value is reported and skipped; it never stops capture.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use countersign_spool::{MAX_BYTES_DEFAULT, MAX_BYTES_LEAST};
use serde::Deserialize;

/// The settings in force.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Where replay sends to; nothing leaves the device without it.
    pub(crate) collector_url: Setting<Option<String>>,
    /// The file that holds the device token.
    pub(crate) token_file: Setting<Option<PathBuf>>,
    /// More certificate authorities for the collector, PEM.
    pub(crate) ca_file: Setting<Option<PathBuf>>,
    /// What replay may send, on average; nothing: as much as goes.
    pub(crate) max_kib_per_second: Setting<Option<u64>>,
    /// The master switch for everything shown in the editor.
    pub(crate) hints: Setting<bool>,
    /// Quiet time before a new hint appears, in milliseconds.
    pub(crate) hint_delay_ms: Setting<u64>,
    /// What the spool's database may take on disk.
    pub(crate) max_bytes: Setting<u64>,
    /// What was wrong with the file, in words.
    pub(crate) problems: Vec<String>,
}

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Setting<T> {
    /// The value.
    pub(crate) value: T,
    /// `default` or the file.
    pub(crate) from: String,
}

impl<T> Setting<T> {
    fn default(value: T) -> Self {
        Setting { value, from: "default".to_owned() }
    }
}

#[derive(Deserialize, Default)]
struct Raw {
    #[serde(default)]
    collector: toml::Table,
    #[serde(default)]
    replay: toml::Table,
    #[serde(default)]
    editor: toml::Table,
    #[serde(default)]
    spool: toml::Table,
}

impl Config {
    /// Reads `config.toml` in `dir`. A missing file is the defaults.
    pub(crate) fn load(dir: &Path) -> Config {
        let file = dir.join("config.toml");
        match std::fs::read_to_string(&file) {
            Ok(text) => Config::of_text(&text, &file),
            Err(error) => {
                let mut config = Config::of_text("", &file);
                if error.kind() != std::io::ErrorKind::NotFound {
                    config.problems.push(format!("{}: {error}", file.display()));
                }
                config
            }
        }
    }

    /// Reads the text of a file.
    pub(crate) fn of_text(text: &str, file: &Path) -> Config {
        let mut config = Config {
            collector_url: Setting::default(None),
            token_file: Setting::default(None),
            ca_file: Setting::default(None),
            max_kib_per_second: Setting::default(None),
            hints: Setting::default(true),
            hint_delay_ms: Setting::default(300),
            max_bytes: Setting::default(MAX_BYTES_DEFAULT),
            problems: Vec::new(),
        };
        config.read(text, file);
        config
    }

    fn read(&mut self, text: &str, file: &Path) {
        let raw: Raw = match toml::from_str(text) {
            Ok(raw) => raw,
            Err(error) => {
                self.problems.push(format!("{}: {error}", file.display()));
                return;
            }
        };
        let mut reader = Reader { file, problems: &mut self.problems };
        let base = file.parent().unwrap_or(Path::new("."));
        let path = |text: &str| base.join(text);
        let string = |value: &toml::Value| value.as_str().map(str::to_owned);
        reader.take(&raw.collector, "collector", "url", &mut self.collector_url, |v| string(v).map(Some));
        reader.take(&raw.collector, "collector", "token_file", &mut self.token_file, |v| {
            v.as_str().map(|text| Some(path(text)))
        });
        reader.take(&raw.collector, "collector", "ca_file", &mut self.ca_file, |v| {
            v.as_str().map(|text| Some(path(text)))
        });
        reader.take(&raw.editor, "editor", "hints", &mut self.hints, toml::Value::as_bool);
        let number = |v: &toml::Value| v.as_integer().and_then(|n| u64::try_from(n).ok());
        reader.take(&raw.editor, "editor", "hint_delay_ms", &mut self.hint_delay_ms, number);
        reader.take(&raw.spool, "spool", "max_bytes", &mut self.max_bytes, number);
        reader.take(&raw.replay, "replay", "max_kib_per_second", &mut self.max_kib_per_second, |v| {
            number(v).filter(|rate| *rate > 0).map(Some)
        });
        if self.max_bytes.value < MAX_BYTES_LEAST {
            let (file, found) = (file.display(), self.max_bytes.value);
            self.problems
                .push(format!("{file}: spool.max_bytes is {found}; the least is {MAX_BYTES_LEAST}, which is used"));
            self.max_bytes.value = MAX_BYTES_LEAST;
        }
    }
}

/// The configuration of a process that lives long: as the file is now.
pub(crate) struct Followed {
    dir: PathBuf,
    config: Config,
    seen: Option<(SystemTime, u64)>,
}

impl Followed {
    /// Reads it.
    pub(crate) fn new(dir: &Path) -> Followed {
        // Looked at first: what is written while it is read is seen at the next look.
        Followed { dir: dir.to_owned(), seen: Followed::seen(dir), config: Config::load(dir) }
    }

    /// Returns it as it was when it was last looked at.
    pub(crate) fn now(&self) -> &Config {
        &self.config
    }

    /// Looks whether the file is another one, and reads that. Cost: one stat.
    pub(crate) fn look(&mut self) -> bool {
        let is_other = Followed::seen(&self.dir) != self.seen;
        if is_other {
            *self = Followed::new(&self.dir);
        }
        is_other
    }

    fn seen(dir: &Path) -> Option<(SystemTime, u64)> {
        let file = std::fs::metadata(dir.join("config.toml")).ok()?;
        Some((file.modified().ok()?, file.len()))
    }
}

struct Reader<'a> {
    file: &'a Path,
    problems: &'a mut Vec<String>,
}

impl Reader<'_> {
    fn take<T>(
        &mut self,
        table: &toml::Table,
        section: &str,
        key: &str,
        setting: &mut Setting<T>,
        convert: impl Fn(&toml::Value) -> Option<T>,
    ) {
        let Some(value) = table.get(key) else { return };
        match convert(value) {
            Some(value) => *setting = Setting { value, from: self.file.display().to_string() },
            None => self.problems.push(format!(
                "{}: {section}.{key} has the wrong type ({}); the default is used",
                self.file.display(),
                value.type_str()
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_value_is_reported_and_the_rest_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            dir.path().join("config.toml"),
            "[collector]\nurl = 'https://c.example'\ntoken_file = 'token'\n[editor]\nhints = 'yes'\nhint_delay_ms = 0\n",
        )
        .unwrap();
        let config = Config::load(dir.path());
        assert_eq!(config.collector_url.value.as_deref(), Some("https://c.example"));
        assert_eq!(config.token_file.value, Some(dir.path().join("token")));
        assert!(config.hints.value);
        assert_eq!(config.hint_delay_ms.value, 0);
        assert_eq!(config.problems.len(), 1);
        assert!(config.problems[0].contains("editor.hints has the wrong type (string)"));
    }

    #[test]
    fn a_bound_that_would_let_go_of_everything_is_raised_and_said() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.toml"), "[spool]\nmax_bytes = 1000\n").unwrap();
        let config = Config::load(dir.path());
        assert_eq!(config.max_bytes.value, MAX_BYTES_LEAST);
        assert!(config.problems[0].contains("spool.max_bytes is 1000; the least is 16777216"), "{:?}", config.problems);
        std::fs::write(dir.path().join("config.toml"), "[spool]\nmax_bytes = 1000000000\n").unwrap();
        assert_eq!(Config::load(dir.path()).max_bytes.value, 1_000_000_000);
    }

    #[test]
    fn a_file_that_is_not_toml_leaves_the_defaults_and_says_where() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.toml"), "[collector\n").unwrap();
        let config = Config::load(dir.path());
        assert_eq!(config.collector_url.value, None);
        assert_eq!(config.problems.len(), 1);
    }
}
