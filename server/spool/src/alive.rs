//! Which processes are at work: one file each below `running/`, locked as long as its process lives.
//!
//! A process that ends takes its file away, after everything it had is in the trail. A file that nobody holds
//! is of one that stopped without saying so: killed, crashed, or gone with the power. What that one saw after
//! its last sign of life, nobody knows; whoever finds the file makes one `trail.gap` of it. The file's name is
//! the id of that event, so a finder that is killed between commit and unlink tells nothing twice.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use countersign_event::payload::trail;
use countersign_event::{How, Timestamp};
use uuid::Uuid;

use crate::open::Layout;
use crate::prepare::Prepared;
use crate::{SpoolError, sys};

/// What a process calls itself is no longer than this.
const NAME_BYTES_MAX: u64 = 64;

/// This process's file.
#[derive(Debug)]
pub(crate) struct Alive {
    file: File,
    path: PathBuf,
}

impl Alive {
    /// Says that a process is at work.
    pub(crate) fn begin(layout: &Layout, name: &str) -> Result<Alive, SpoolError> {
        sys::private_dir(&layout.running)?;
        let id = Uuid::now_v7().to_string();
        // Locked before it has its name: nobody finds it and takes its process for dead.
        let (temporary, path) = (layout.running.join(format!(".{id}")), layout.running.join(&id));
        let begun =
            sys::private_options().read(true).write(true).create_new(true).open(&temporary).and_then(|mut file| {
                file.write_all(name.as_bytes())?;
                file.try_lock()?;
                fs::rename(&temporary, &path)?;
                Ok(file)
            });
        match begun {
            Ok(file) => Ok(Alive { file, path }),
            Err(error) => {
                let _ = fs::remove_file(&temporary); // the first error is the one that matters
                Err(SpoolError::io("write", &path, error))
            }
        }
    }

    /// Gives a sign of life: everything up to now is in the trail, or will be told as missing by us.
    pub(crate) fn sign(&self) {
        // Without it the gap that is told, should we be killed, begins earlier.
        let _ = self.file.set_modified(SystemTime::now());
    }

    /// Says that the process is not at work any more.
    pub(crate) fn end(self) {
        // Should it stay, it is told as a gap too many.
        let _ = fs::remove_file(&self.path);
    }
}

/// A process that stopped without saying so, held by us until it is told.
#[derive(Debug)]
pub(crate) struct Dead {
    id: Uuid,
    file: File,
    path: PathBuf,
    /// Its last sign of life.
    from: Option<Timestamp>,
    name: String,
}

impl Dead {
    /// Makes the event that tells it.
    pub(crate) fn gap(&self, source: &str) -> Prepared {
        let now = sys::now();
        let gap = trail::Gap {
            how: How::Observed,
            reason: "crash".to_owned(),
            count: None,
            // A clock that was put back meanwhile has a record of its own.
            from: self.from.map(|from| from.min(now)),
            to: Some(now),
            by: Some(self.name.clone()),
        };
        Prepared::gap(self.id, source, gap)
    }

    /// Forgets it, now that the trail has it.
    pub(crate) fn told(self) {
        let _ = fs::remove_file(&self.path); // found again, and left out as known
        drop(self.file);
    }
}

/// Looks for processes that stopped without saying so. Cost: one look at a directory, and one lock for each
/// process at work.
pub(crate) fn dead(layout: &Layout) -> Vec<Dead> {
    let entries = fs::read_dir(&layout.running).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            let path = entry.path();
            // Whatever can't be looked at now is looked at by the next process.
            let mut file = sys::private_options().read(true).write(true).open(&path).ok()?;
            file.try_lock().ok()?;
            // It may have ended between our look and our lock, as it should.
            if !path.exists() {
                return None;
            }
            let signed = file.metadata().and_then(|it| it.modified()).ok();
            let signed = signed.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map(|since| since.as_millis());
            let from = signed.and_then(|ms| i64::try_from(ms).ok()).map(Timestamp::from_millis);
            let mut name = String::new();
            let _ = (&mut file).take(NAME_BYTES_MAX).read_to_string(&mut name);
            Some(Dead { id, file, path, from, name })
        })
        .collect()
}
