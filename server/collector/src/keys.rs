//! The collector's own keys, in one file that only its owner may read.
//!
//! `sealing` wraps the keys of texts; `signing` stands behind the collector's own stream. Whoever
//! holds the archive without this file holds no text.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use countersign_event::chain::{Hash, genesis};
use countersign_event::digest::{hex, unhex};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::archive::ArchiveError;
use crate::sys;

/// The file in the data directory.
const FILE: &str = "collector.key";

/// The collector's own keys.
pub(crate) struct Keys {
    /// The collector's own stream.
    pub(crate) stream: String,
    /// Its epoch.
    pub(crate) epoch: String,
    /// Wraps content keys.
    pub(crate) sealing: [u8; 32],
    signing: ed25519_dalek::SigningKey,
}

#[derive(Serialize, Deserialize)]
struct OnDisk {
    stream: String,
    epoch: String,
    signing: String,
    sealing: String,
}

impl Keys {
    /// Reads the key file in `data`, makes it where there is none.
    ///
    /// Errors: `File`; `Damaged` where it is not what we wrote.
    pub(crate) fn load_or_create(data: &Path) -> Result<Keys, ArchiveError> {
        let path = data.join(FILE);
        let failed = |error| ArchiveError::File { path: path.display().to_string(), source: Arc::new(error) };
        sys::private_directory(data).map_err(failed)?;
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create(data, &path).map_err(failed)?;
                fs::read_to_string(&path).map_err(failed)?
            }
            Err(error) => return Err(failed(error)),
        };
        let damaged = || ArchiveError::Damaged(format!("{} is not a key file", path.display()));
        let file: OnDisk = serde_json::from_str(&text).map_err(|_| damaged())?;
        Ok(Keys {
            signing: ed25519_dalek::SigningKey::from_bytes(&unhex(&file.signing).ok_or_else(damaged)?),
            sealing: unhex(&file.sealing).ok_or_else(damaged)?,
            stream: file.stream,
            epoch: file.epoch,
        })
    }

    /// Returns what stands before the first record of the collector's own stream.
    pub(crate) fn genesis(&self) -> Hash {
        genesis(&self.stream, &self.epoch, self.signing.verifying_key().as_bytes())
    }
}

/// Writes a whole file aside and gives it its name; where another process was first, its file stays.
fn create(data: &Path, path: &Path) -> io::Result<()> {
    let file = OnDisk {
        stream: Uuid::now_v7().to_string(),
        epoch: Uuid::now_v7().to_string(),
        signing: hex(&random::<32>()?),
        sealing: hex(&random::<32>()?),
    };
    let aside = data.join(format!("{FILE}.{}", Uuid::now_v7()));
    let mut out = sys::new_private_file(&aside)?;
    out.write_all(&serde_json::to_vec(&file)?)?;
    out.sync_all()?;
    let linked = fs::hard_link(&aside, path);
    fs::remove_file(&aside)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sys::sync_directory(data),
    }
}

/// Returns 32 bytes of the system's randomness.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes)
}
