//! What differs by operating system, and what only the system knows: who may read a file, which
//! file is behind a path, on whose disk it is, the time, random bytes.

mod steady;
mod volume;

use std::fs::{self, File, OpenOptions};
use std::path::Path;

use countersign_event::Timestamp;

use crate::SpoolError;
pub(crate) use steady::{Steady, steady};
pub(crate) use volume::network;
#[cfg(test)]
pub(crate) use volume::pretend;

/// Returns the time by the system's clock.
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let now = Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    #[cfg(test)]
    let now = Timestamp::from_millis(now.as_millis() + step_of_clock::get());
    now
}

/// A clock that tests set, each its own thread's.
#[cfg(test)]
pub(crate) mod step_of_clock {
    use std::cell::Cell;

    thread_local!(static STEP_MS: Cell<i64> = const { Cell::new(0) });

    pub(crate) fn set(ms: i64) {
        STEP_MS.set(ms);
    }

    pub(super) fn get() -> i64 {
        STEP_MS.get()
    }
}

/// Returns `N` random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], SpoolError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(SpoolError::NoRandomness)?;
    Ok(bytes)
}

/// Makes a directory that only its owner can enter, and closes it if it stands open.
pub(crate) fn private_dir(path: &Path) -> Result<(), SpoolError> {
    imp::create_dir(path).map_err(|e| SpoolError::io("create", path, e))?;
    restrict(path, 0o700).map_err(|e| SpoolError::io("restrict", path, e))
}

fn restrict(path: &Path, mode: u32) -> std::io::Result<()> {
    if imp::restrict(path, mode)? {
        tracing::warn!(path = %path.display(), "it was open to others than its owner, and is closed again");
    }
    Ok(())
}

/// Takes a file's permissions from everybody but its owner. A missing file is no error.
pub(crate) fn private_file(path: &Path) -> Result<(), SpoolError> {
    match restrict(path, 0o600) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(SpoolError::io("restrict", path, e)),
        _ => Ok(()),
    }
}

/// Returns options that create files only their owner can read.
pub(crate) fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    imp::private(&mut options);
    options
}

/// Writes a file under a name nobody knows yet, fsyncs it, and gives it its real name: afterwards
/// either the whole file is there or nothing.
pub(crate) fn write_whole(temporary: &Path, path: &Path, bytes: &[u8]) -> Result<(), SpoolError> {
    use std::io::Write;
    let written = private_options().write(true).create_new(true).open(temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let placed = written.and_then(|()| fs::rename(temporary, path));
    if let Err(e) = placed {
        let _ = fs::remove_file(temporary); // the first error is the one that matters
        return Err(SpoolError::io("write", path, e));
    }
    sync_dir(path.parent().expect("our files have a directory"))
}

/// Makes the names in a directory survive power loss.
pub(crate) fn sync_dir(path: &Path) -> Result<(), SpoolError> {
    imp::sync_dir(path).map_err(|e| SpoolError::io("sync", path, e))
}

/// What tells a file from another one that later has the same path. `None` where nothing does.
pub(crate) fn file_id(path: &Path) -> Option<(u64, u64)> {
    imp::file_id(path)
}

/// Returns what tells this machine from another one, in the system's own words. `None` where there is
/// no such thing that can be had without a privilege or another process.
pub(crate) fn machine_id() -> Option<String> {
    imp::machine_id().map(|id| id.trim().to_owned()).filter(|id| !id.is_empty())
}

/// Opens (or makes) a file to lock.
pub(crate) fn lock_file(path: &Path) -> Result<File, SpoolError> {
    private_options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|e| SpoolError::io("open", path, e))
}

#[cfg(unix)]
mod imp {
    use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
    use std::io;
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
    use std::path::Path;

    pub(super) fn create_dir(path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)
    }

    /// Returns whether it had to be done.
    pub(super) fn restrict(path: &Path, mode: u32) -> io::Result<bool> {
        let stood_open = fs::metadata(path)?.mode() & 0o077 != 0;
        if stood_open {
            fs::set_permissions(path, Permissions::from_mode(mode))?;
        }
        Ok(stood_open)
    }

    pub(super) fn private(options: &mut OpenOptions) {
        options.mode(0o600);
    }

    pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    pub(super) fn machine_id() -> Option<String> {
        let known = ["/etc/machine-id", "/var/lib/dbus/machine-id", "/etc/hostid"];
        known.iter().find_map(|path| fs::read_to_string(path).ok().filter(|id| !id.trim().is_empty()))
    }

    pub(super) fn file_id(path: &Path) -> Option<(u64, u64)> {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    }
}

#[cfg(not(unix))]
mod imp {
    use std::fs::OpenOptions;
    use std::io;
    use std::path::Path;

    pub(super) fn create_dir(path: &Path) -> io::Result<()> {
        std::fs::create_dir_all(path)
    }

    /// A profile directory is its user's own already.
    pub(super) fn restrict(path: &Path, _mode: u32) -> io::Result<bool> {
        std::fs::metadata(path).map(|_| false)
    }

    pub(super) fn private(_options: &mut OpenOptions) {}

    pub(super) fn sync_dir(_path: &Path) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn machine_id() -> Option<String> {
        None
    }

    pub(super) fn file_id(_path: &Path) -> Option<(u64, u64)> {
        None
    }
}
