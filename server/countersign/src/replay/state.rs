//! Where replay stands, in a small file beside the spool.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_event::Timestamp;
use countersign_spool::Reader;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::drain::Trouble;
use super::refused::Why;
use crate::shell::now;

/// The file in the state directory.
const FILE: &str = "replay.json";
/// How long the spool may keep whoever only asks how much waits.
const PATIENCE: Duration = Duration::from_secs(1);

/// How it stands, in the words of `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Standing {
    /// The last exchange went well.
    Online,
    /// The collector can't be had; tried again by itself.
    Offline,
    /// Something is wrong that waiting alone does not mend.
    Paused,
    /// The token is not accepted.
    Unauthorised,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Stands {
    state: Standing,
    to: String,
    last_error: Option<String>,
    /// What a person can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    since: Timestamp,
}

/// Returns the state of replay for `status`: `{"state","to","last_error","hint"?}`.
/// `url` is the configured collector, `dir` the state directory.
pub(crate) fn state(dir: &Path, url: Option<&str>) -> Value {
    let stands = load(dir);
    match (stands, url) {
        (Some(stands), None) => json!(stands),
        (Some(stands), Some(url)) if same(&stands.to, url) => json!(stands),
        (_, Some(url)) => json!({ "state": "offline", "to": url, "last_error": "nothing was sent there yet" }),
        (None, None) => json!({ "state": "off", "to": null, "last_error": null }),
    }
}

/// Returns how many events wait for a collector; 0 where that can't be said.
pub(crate) fn waiting(dir: &Path, to: Option<&str>) -> u64 {
    let waiting = Reader::open_within(dir, PATIENCE).and_then(|reader| reader.waiting(to));
    waiting.unwrap_or_default()
}

fn same(a: &str, b: &str) -> bool {
    a.trim_end_matches('/') == b.trim_end_matches('/')
}

fn load(dir: &Path) -> Option<Stands> {
    serde_json::from_str(&fs::read_to_string(dir.join(FILE)).ok()?).ok()
}

/// Tells how replay stands, where it has changed.
pub(super) struct Told {
    dir: PathBuf,
    to: String,
}

impl Told {
    pub(super) fn new(dir: &Path, to: &str) -> Told {
        Told { dir: dir.to_owned(), to: to.to_owned() }
    }

    pub(super) fn online(&self) {
        if self.tell(Standing::Online, Why::default()) {
            tracing::info!("replay to {}: online", self.to);
        }
    }

    /// Tells and logs it, once for as long as it lasts.
    pub(super) fn trouble(&self, trouble: &Trouble) {
        let Why { text, hint } = &trouble.why;
        if self.tell(trouble.standing, trouble.why.clone()) {
            let hint = hint.as_deref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            tracing::warn!("replay to {}: {text}{hint}", self.to);
        }
    }

    /// Tells it without logging: whoever asked is told another way.
    pub(super) fn trouble_quietly(&self, trouble: &Trouble) {
        self.tell(trouble.standing, trouble.why.clone());
    }

    /// Writes down what is not known already. Returns whether it was news.
    fn tell(&self, state: Standing, why: Why) -> bool {
        let before = load(&self.dir);
        let (last_error, hint) = (Some(why.text).filter(|text| !text.is_empty()), why.hint);
        if before
            .as_ref()
            .is_some_and(|it| it.state == state && it.to == self.to && it.last_error == last_error && it.hint == hint)
        {
            return false;
        }
        let since = before.filter(|it| it.state == state && it.to == self.to).map_or_else(now, |it| it.since);
        let stands = Stands { state, to: self.to.clone(), last_error, hint, since };
        if let Err(error) = self.write(&json!(stands).to_string()) {
            tracing::warn!(%error, "the state of replay can't be written");
        }
        true
    }

    /// Writes a whole file aside, then gives it its name: a reader sees the old or the new one.
    fn write(&self, text: &str) -> std::io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        let aside = self.dir.join(format!(".{FILE}.{}", std::process::id()));
        private(&aside)?.write_all(text.as_bytes())?;
        fs::rename(&aside, self.dir.join(FILE))
    }
}

/// Makes a file for its owner alone, or empties it.
pub(super) fn private(path: &Path) -> std::io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_collector_replay_is_off() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(state(dir.path(), None)["state"], "off");
    }

    #[test]
    fn what_was_told_of_one_collector_says_nothing_of_another() {
        let dir = tempfile::tempdir().unwrap();
        Told::new(dir.path(), "http://a").online();
        assert_eq!(state(dir.path(), Some("http://a/"))["state"], "online");
        assert_eq!(state(dir.path(), Some("http://b"))["state"], "offline");
    }

    #[test]
    fn the_last_error_goes_when_it_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let told = Told::new(dir.path(), "http://a");
        told.trouble(&Trouble::paused(Why::new("it is on fire").hint("put it out")));
        let stands = state(dir.path(), None);
        assert_eq!((&stands["last_error"], &stands["hint"]), (&json!("it is on fire"), &json!("put it out")));
        told.online();
        assert_eq!(state(dir.path(), None)["last_error"], Value::Null);
    }

    #[cfg(unix)]
    #[test]
    fn the_same_trouble_for_a_quarter_is_told_once() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let told = Told::new(dir.path(), "http://a");
        told.trouble(&Trouble::paused(Why::new("it is on fire")));
        let file = || fs::metadata(dir.path().join(FILE)).unwrap().ino();
        // Keeps its number from being used again.
        let (first, held) = (file(), fs::File::open(dir.path().join(FILE)).unwrap());
        for _ in 0..90 * 24 * 12 {
            told.trouble(&Trouble::paused(Why::new("it is on fire")));
        }
        assert_eq!(file(), first);
        told.trouble(&Trouble::paused(Why::new("it is still on fire")));
        assert_ne!(file(), first);
        drop(held);
    }
}
