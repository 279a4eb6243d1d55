//! Pausing: a file in the state directory that every process of ours looks at.
//!
//! A pause is itself recorded, so it never looks like a gap.

use std::path::{Path, PathBuf};

use countersign_event::payload::capture;
use countersign_event::{Absent, Fact, How, Payload, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::Failure;
use crate::recorder::{Record, Recorder};
use crate::shell::now;

/// What a pause covers. One repository alone is paused by its own policy file.
const SCOPE: &str = "all";

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

/// Starts a pause and records it. `by` is `command` or `editor`.
pub(crate) fn begin(state: &Path, recorder: &Recorder, pause: &Pause, by: &str) -> Result<(), Failure> {
    write(state, pause).map_err(|error| Failure::from_error("cannot pause", &error))?;
    let payload = Payload::CapturePaused(capture::Paused {
        how: How::Attested,
        scope: SCOPE.to_owned(),
        person: Fact::absent(Absent::NotOnWire),
        until: pause.until,
        by: by.to_owned(),
    });
    recorder.record(Record::light(pause.since, SCOPE, payload));
    Ok(())
}

/// Ends a pause and records it. Returns whether there was one.
pub(crate) fn end(state: &Path, recorder: &Recorder, by: &str) -> Result<bool, Failure> {
    match std::fs::remove_file(file(state)) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Failure::from_error("cannot resume", &error)),
    }
    let payload = Payload::CaptureResumed(capture::Resumed {
        how: How::Attested,
        scope: SCOPE.to_owned(),
        person: Fact::absent(Absent::NotOnWire),
        by: by.to_owned(),
    });
    recorder.record(Record::light(now(), SCOPE, payload));
    Ok(true)
}

/// Writes the file in one step, so that no process ever reads half of it.
fn write(state: &Path, pause: &Pause) -> std::io::Result<()> {
    std::fs::create_dir_all(state)?;
    let json = serde_json::to_string(pause).map_err(std::io::Error::other)?;
    let temporary = state.join(format!("paused.json.{}", std::process::id()));
    std::fs::write(&temporary, json)?;
    std::fs::rename(&temporary, file(state))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let at = Timestamp::from_millis;
        assert_eq!(current(dir.path(), at(0)), None);
        write(dir.path(), &Pause { since: at(0), until: Some(at(1000)) }).unwrap();
        assert!(current(dir.path(), at(999)).is_some());
        assert_eq!(current(dir.path(), at(1000)), None);
    }
}
