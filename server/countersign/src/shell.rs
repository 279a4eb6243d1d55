//! What every command gets: where files are, what is configured, and where our own log goes.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use countersign_event::Timestamp;
use countersign_event::redact::Redactor;

use crate::config::Config;
use crate::error::Failure;
use crate::paths::Paths;
use crate::policy::Policy;

/// The world of one process.
#[derive(Clone, Debug)]
pub(crate) struct Shell {
    /// Our directories.
    pub(crate) paths: Paths,
    /// `config.toml`.
    pub(crate) config: Config,
    /// `COUNTERSIGN_POLICY`.
    policy_file: Option<PathBuf>,
}

impl Shell {
    /// Reads the environment and the configuration.
    pub(crate) fn from_env() -> Result<Shell, Failure> {
        let var = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let paths = Paths::find(var("COUNTERSIGN_HOME"))?;
        let config = Config::load(&paths.config);
        for problem in &config.problems {
            tracing::warn!("{problem}");
        }
        countersign_spool::set_max_bytes(config.max_bytes.value);
        Ok(Shell { paths, config, policy_file: var("COUNTERSIGN_POLICY") })
    }

    /// Makes a shell whose files are all below `home`, with defaults.
    pub(crate) fn below(home: &Path) -> Result<Shell, Failure> {
        let paths = Paths::find(Some(home.to_owned()))?;
        let config = Config::load(&paths.config);
        Ok(Shell { paths, config, policy_file: None })
    }

    /// Reads the capture policy for a repository.
    pub(crate) fn policy(&self, repository: Option<&Path>) -> Policy {
        Policy::load(&self.paths.config, self.policy_file.as_deref(), repository)
    }
}

/// Returns the time by this device's clock.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
}

/// Sends our own log to stderr: warnings, or what `COUNTERSIGN_LOG` asks for. Secrets are hidden in
/// it as in everything else; editors keep such logs for years.
pub(crate) fn start_logging() {
    use std::io::IsTerminal;
    let filter = tracing_subscriber::EnvFilter::try_from_env("COUNTERSIGN_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| WithoutSecrets)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}

/// Standard error behind the redactor. A line of the log is one write.
struct WithoutSecrets;

impl Write for WithoutSecrets {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        // Equal secrets can be matched within one run of a program and no further.
        static REDACTOR: LazyLock<Redactor> = LazyLock::new(|| {
            let mut key = [0; 32];
            // Without randomness a mark could be matched against guesses; the secret stays hidden.
            let _ = getrandom::fill(&mut key);
            Redactor::new(&key)
        });
        let text = String::from_utf8_lossy(line);
        std::io::stderr().write_all(REDACTOR.redact(&text).text.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}
