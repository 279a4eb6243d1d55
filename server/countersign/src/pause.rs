//! Pausing: files in the state directory that every process of ours looks at, one a scope.
//!
//! A pause is itself recorded, its end too, so it never looks like a gap.

use std::path::{Path, PathBuf};

use countersign_event::payload::capture;
use countersign_event::{Absent, Fact, How, Payload, Timestamp, digest};
use serde::{Deserialize, Serialize};

use crate::error::Failure;
use crate::git::Repositories;
use crate::recorder::{Record, Recorder};
use crate::shell::now;

/// What a pause of everything is called.
const ALL: &str = "all";

/// What a pause covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everything on this device.
    All,
    /// The repository with this root.
    Repository(PathBuf),
}

impl Scope {
    /// Returns the name by which events know it: the repository's ID.
    fn name(&self) -> String {
        match self {
            Scope::All => ALL.to_owned(),
            Scope::Repository(root) => {
                let mut repositories = Repositories::default();
                let id = repositories.of_root(root.clone()).and_then(|repository| repository.id.clone());
                // Without a commit it has no ID yet; its path is nobody's business.
                id.unwrap_or_else(|| "a repository without commits".to_owned())
            }
        }
    }

    fn file(&self, state: &Path) -> PathBuf {
        match self {
            Scope::All => folder(state).join("all.json"),
            Scope::Repository(root) => {
                folder(state).join(format!("{}.json", digest::text_id(root.as_os_str().as_encoded_bytes())))
            }
        }
    }
}

/// A pause in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pause {
    /// `all`, or the repository's ID.
    #[serde(default)]
    pub(crate) scope: String,
    /// When it began.
    pub(crate) since: Timestamp,
    /// When it ends by itself.
    pub(crate) until: Option<Timestamp>,
}

impl Pause {
    fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

fn folder(state: &Path) -> PathBuf {
    state.join("paused")
}

/// Returns the pause that covers a repository (`None`: what is in none), the general one first. A file
/// that can't be read as one is no pause: recording is the safe side for a trail, and `resume` removes
/// the file.
pub(crate) fn current(state: &Path, now: Timestamp, root: Option<&Path>) -> Option<Pause> {
    let repository = root.map(|root| Scope::Repository(root.to_owned()));
    [Some(Scope::All), repository].into_iter().flatten().find_map(|scope| {
        let pause = read(&scope.file(state))?;
        (!pause.is_over(now)).then_some(pause)
    })
}

/// Returns every pause in force.
pub(crate) fn all(state: &Path, now: Timestamp) -> Vec<Pause> {
    let files = std::fs::read_dir(folder(state)).into_iter().flatten().flatten();
    let mut pauses: Vec<Pause> =
        files.filter_map(|file| read(&file.path())).filter(|pause| !pause.is_over(now)).collect();
    pauses.sort_by_key(|pause| (pause.scope != ALL, pause.since));
    pauses
}

fn read(file: &Path) -> Option<Pause> {
    serde_json::from_str(&std::fs::read_to_string(file).ok()?).ok()
}

/// Starts a pause and records it. `by` is `command` or `editor`.
pub(crate) fn begin(
    state: &Path,
    recorder: &Recorder,
    scope: &Scope,
    until: Option<Timestamp>,
    by: &str,
) -> Result<(), Failure> {
    let pause = Pause { scope: scope.name(), since: now(), until };
    write(&scope.file(state), &pause).map_err(|error| Failure::from_error("cannot pause", &error))?;
    let payload = Payload::CapturePaused(capture::Paused {
        how: How::Attested,
        scope: pause.scope.clone(),
        person: Fact::absent(Absent::NotOnWire),
        until,
        by: by.to_owned(),
        paths: Vec::new(),
    });
    recorder.record(Record::light(pause.since, pause.scope, payload));
    Ok(())
}

/// Ends a pause and records it. Returns whether there was one.
pub(crate) fn end(state: &Path, recorder: &Recorder, scope: &Scope, by: &str) -> Result<bool, Failure> {
    let file = scope.file(state);
    let name = read(&file).map_or_else(|| scope.name(), |pause| pause.scope);
    match std::fs::remove_file(&file) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Failure::from_error("cannot resume", &error)),
    }
    recorder.record(resumed(name, Fact::absent(Absent::NotOnWire), How::Attested, now(), by));
    Ok(true)
}

/// Takes away the pauses whose time has run out and returns the records of their ends. Each is
/// returned to one process: whoever removes the file.
pub(crate) fn expired(state: &Path, now: Timestamp) -> Vec<Record> {
    let Ok(files) = std::fs::read_dir(folder(state)) else { return Vec::new() };
    let mut ends = Vec::new();
    for file in files.flatten() {
        let Some(pause) = read(&file.path()).filter(|pause| pause.is_over(now)) else { continue };
        if std::fs::remove_file(file.path()).is_ok() {
            let at = pause.until.unwrap_or(now);
            ends.push(resumed(pause.scope, Fact::absent(Absent::Headless), How::Observed, at, "time"));
        }
    }
    ends
}

fn resumed(scope: String, person: Fact<countersign_event::facts::Person>, how: How, at: Timestamp, by: &str) -> Record {
    let payload = Payload::CaptureResumed(capture::Resumed { how, scope: scope.clone(), person, by: by.to_owned() });
    Record::light(at, scope, payload)
}

/// Writes the file in one step, so that no process ever reads half of it.
fn write(file: &Path, pause: &Pause) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let json = serde_json::to_string(pause).map_err(std::io::Error::other)?;
    let temporary = file.with_extension(format!("{}", std::process::id()));
    std::fs::write(&temporary, json)?;
    std::fs::rename(&temporary, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_by_itself_and_its_end_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let at = Timestamp::from_millis;
        assert_eq!(current(dir.path(), at(0), None), None);
        let pause = Pause { scope: ALL.to_owned(), since: at(0), until: Some(at(1000)) };
        write(&Scope::All.file(dir.path()), &pause).unwrap();
        assert!(current(dir.path(), at(999), None).is_some());
        assert_eq!(expired(dir.path(), at(999)).len(), 0);
        assert_eq!(current(dir.path(), at(1000), None), None);
        assert_eq!(expired(dir.path(), at(1000)).len(), 1);
        assert_eq!(expired(dir.path(), at(1000)).len(), 0);
    }

    #[test]
    fn a_pause_of_one_repository_leaves_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let at = Timestamp::from_millis;
        let (mine, other) = (Path::new("/src/mine"), Path::new("/src/other"));
        let pause = Pause { scope: "abc@example.com/mine".to_owned(), since: at(0), until: None };
        write(&Scope::Repository(mine.to_owned()).file(dir.path()), &pause).unwrap();
        assert!(current(dir.path(), at(1), Some(mine)).is_some());
        assert_eq!(current(dir.path(), at(1), Some(other)), None);
        assert_eq!(current(dir.path(), at(1), None), None);
        assert_eq!(all(dir.path(), at(1)), [pause]);
    }
}
