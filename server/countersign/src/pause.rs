//! Pausing: a file in the state directory that every process of ours looks at.
//!
//! A pause is itself recorded, so it never looks like a gap.

use std::path::{Path, PathBuf};

use countersign_event::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::Failure;

/// A pause in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pause {
    /// When it began.
    pub(crate) since: Timestamp,
    /// When it ends by itself.
    pub(crate) until: Option<Timestamp>,
}

fn file(state: &Path) -> PathBuf {
    state.join("paused.json")
}

/// Returns the pause in force at `now`. A file that can't be read as one is no pause: recording is the
/// safe side for a trail, and `resume` removes the file.
pub(crate) fn current(state: &Path, now: Timestamp) -> Option<Pause> {
    let text = std::fs::read_to_string(file(state)).ok()?;
    let pause: Pause = serde_json::from_str(&text).ok()?;
    pause.until.is_none_or(|until| now < until).then_some(pause)
}

/// Starts a pause.
pub(crate) fn begin(state: &Path, pause: &Pause) -> Result<(), Failure> {
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(state)?;
        let json = serde_json::to_string(pause).map_err(std::io::Error::other)?;
        let temporary = state.join(format!("paused.json.{}", std::process::id()));
        std::fs::write(&temporary, json)?;
        std::fs::rename(&temporary, file(state))
    };
    write().map_err(|error| Failure::from_error("cannot pause", &error))
}

/// Ends a pause. Returns whether there was one.
pub(crate) fn end(state: &Path) -> Result<bool, Failure> {
    match std::fs::remove_file(file(state)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Failure::from_error("cannot resume", &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_by_itself_or_by_hand() {
        let dir = tempfile::tempdir().unwrap();
        let at = Timestamp::from_millis;
        assert_eq!(current(dir.path(), at(0)), None);
        begin(dir.path(), &Pause { since: at(0), until: Some(at(1000)) }).unwrap();
        assert!(current(dir.path(), at(999)).is_some());
        assert_eq!(current(dir.path(), at(1000)), None);
        assert!(end(dir.path()).unwrap());
        assert!(!end(dir.path()).unwrap());
    }
}
