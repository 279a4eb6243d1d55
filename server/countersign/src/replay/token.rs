//! The file that holds the device token: written whole or not at all, for its owner alone.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// No token is longer.
const TOKEN_BYTES_MAX: usize = 1 << 10;

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
    ///
    /// Errors: it can't be written; it is none that could be sent.
    pub(crate) fn keep(mut self, token: &str) -> io::Result<()> {
        if token.is_empty() || token.len() > TOKEN_BYTES_MAX || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "what the collector sent is no token"));
        }
        self.aside.write_all(token.as_bytes())?;
        self.aside.write_all(b"\n")?;
        self.aside.as_file().sync_all()?;
        self.aside.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_kept_whole_for_its_owner_alone_and_what_is_none_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/token");
        TokenFile::prepare(&path).unwrap().keep("cst_1").unwrap();
        for bad in ["", "a b", "a\nb", "ä", &"x".repeat(2 << 10)] {
            assert!(TokenFile::prepare(&path).unwrap().keep(bad).is_err(), "{bad:?}");
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "cst_1\n");
        assert_eq!(std::fs::read_dir(dir.path().join("new")).unwrap().count(), 1, "nothing is left beside it");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
