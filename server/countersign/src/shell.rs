//! What every command gets: where files are, what is configured, and where our own log goes.

use std::path::{Path, PathBuf};

use countersign_event::Timestamp;

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

/// Sends our own log to stderr: warnings, or what `COUNTERSIGN_LOG` asks for.
pub(crate) fn start_logging() {
    use std::io::IsTerminal;
    let filter = tracing_subscriber::EnvFilter::try_from_env("COUNTERSIGN_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}
