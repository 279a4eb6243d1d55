//! The file that holds the device token: written whole or not at all, for its owner alone.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A place for a token that is still to come. Made first, so that no token is asked for that could not be kept.
pub(crate) struct TokenFile {
    aside: NamedTempFile,
    path: PathBuf,
}

impl TokenFile {
    /// Makes the place, directories included.
    pub(crate) fn prepare(path: &Path) -> io::Result<TokenFile> {
        // A link stays one; what it points to is replaced.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        // Its permissions are the owner's alone from the first moment on.
        let aside = tempfile::Builder::new().prefix(".token").tempfile_in(folder)?;
        Ok(TokenFile { aside, path })
    }

    /// Keeps the token. Whoever reads the file sees the old one or the new one.
    pub(crate) fn keep(mut self, token: &str) -> io::Result<()> {
        self.aside.write_all(token.as_bytes())?;
        self.aside.write_all(b"\n")?;
        self.aside.as_file().sync_all()?;
        self.aside.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }
}
