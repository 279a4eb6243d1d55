//! Where our files are. `COUNTERSIGN_HOME` moves every one of them.

use std::path::PathBuf;

use crate::error::Failure;

/// The directories of this program. None of them need exist yet.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    /// `config.toml`, `policy.toml`.
    pub(crate) config: PathBuf,
    /// Spool, keys, heads.
    pub(crate) state: PathBuf,
}

impl Paths {
    /// Finds them: below `home` if given, else where the system keeps such files.
    ///
    /// Errors: the system names no home directory.
    pub(crate) fn find(home: Option<PathBuf>) -> Result<Paths, Failure> {
        if let Some(home) = home {
            return Ok(Paths { config: home.join("config"), state: home.join("state") });
        }
        let dirs = directories::ProjectDirs::from("dev", "countersign", "countersign").ok_or_else(|| {
            Failure::could_not("this account has no home directory")
                .hint("set COUNTERSIGN_HOME to a directory of your own")
        })?;
        Ok(Paths {
            config: dirs.config_dir().to_owned(),
            state: dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).to_owned(),
        })
    }
}
