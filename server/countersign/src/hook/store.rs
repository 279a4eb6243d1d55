//! What one hook process leaves for the next of the same session: calls that are under way with the texts
//! of their files, calls that are done, what is known of the session. Sealed like everything that holds
//! text; a session nobody touched for a month is removed.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use countersign_event::Timestamp;
use countersign_event::digest::{hex, keyed};
use countersign_spool::{Device, GitState};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::decode::Call;
use super::text::Content;
use super::tree::{Seen, Tree};

/// How long a session is remembered after its last hook call.
const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 3600);
/// A session that was quiet for so long has nothing under way that matters to another.
const AT_WORK: Duration = Duration::from_secs(3600);
/// So many other sessions are looked at.
const NEIGHBOURS_MAX: usize = 8;
/// A call under way that holds more is not looked at by another session.
const NEIGHBOUR_BYTES_MAX: u64 = 1 << 20;

/// One session's directory.
pub(super) struct Store<'a> {
    dir: PathBuf,
    device: &'a Device,
}

/// What is known of a session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Memory {
    /// The model that is asked for.
    pub(super) model: Option<String>,
    /// The client's version.
    pub(super) version: Option<String>,
    /// How many prompts it had.
    pub(super) prompts: u32,
    /// The last of them.
    pub(super) prompt: String,
    /// The turn it began.
    pub(super) turn: Option<String>,
    /// The prompt that began the session, until another hook has told of it too.
    pub(super) opening: Option<String>,
    /// What the model thought since the last call.
    pub(super) thought: String,
    /// A person was asked and said yes.
    pub(super) allowed: bool,
    /// The permission mode that the session had first.
    pub(super) first_mode: Option<String>,
    /// How far each session file was read.
    pub(super) read: BTreeMap<String, u64>,
    /// Where the session files are.
    pub(super) transcripts: Vec<PathBuf>,
}

/// A call that is under way.
#[derive(Debug, PartialEq)]
pub(super) struct Open {
    /// When it began.
    pub(super) at: Timestamp,
    /// The permission mode then.
    pub(super) mode: Option<String>,
    /// The client's id of it.
    pub(super) id: Option<String>,
    /// The tool.
    pub(super) tool: String,
    /// The tool's arguments then.
    pub(super) input: Value,
    /// Files it names, as they were.
    pub(super) files: BTreeMap<PathBuf, Content>,
    /// The work tree as it was, for a call that may touch anything.
    pub(super) tree: Option<Tree>,
    /// Its arguments can be carried out on the files as they were; `None` where that can't be said.
    pub(super) fits: Option<bool>,
    /// What another hook says of the same call.
    pub(super) echo: Option<String>,
    /// What the small files of the repository at hand said.
    pub(super) git: Option<GitState>,
}

impl Open {
    /// Says whether all files it names are as they were.
    pub(super) fn is_as_it_was(&self) -> bool {
        self.files.iter().all(|(path, content)| Content::read(path) == *content)
    }
}

/// The part of an open call that is not bytes of files; those follow in this order.
#[derive(Serialize, Deserialize)]
struct OpenHead {
    at: Timestamp,
    mode: Option<String>,
    id: Option<String>,
    tool: String,
    input: Value,
    files: Vec<(PathBuf, Kind)>,
    tree: Option<TreeHead>,
    #[serde(default)]
    fits: Option<bool>,
    #[serde(default)]
    echo: Option<String>,
    #[serde(default)]
    git: Option<GitState>,
}

#[derive(Serialize, Deserialize)]
struct TreeHead {
    root: PathBuf,
    cut: bool,
    files: Vec<(String, SeenHead)>,
}

/// Stat, git's name of the text, and how many bytes of it follow.
type SeenHead = (Option<[i64; 4]>, Option<String>, Option<usize>);

#[derive(Serialize, Deserialize)]
enum Kind {
    Absent,
    Unread,
    Bytes(usize),
}

/// What is done with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// It is in the trail.
    Done,
    /// It is in the trail, and has no id of its own.
    DoneNameless,
    /// One such was found in the session file.
    Matched,
    /// One such, without an id of its own, began.
    Begun,
    /// It is in the trail, and another hook will say the same of it.
    Echoed,
}

impl Mark {
    fn letter(self) -> char {
        match self {
            Mark::Done => 'd',
            Mark::DoneNameless => 'n',
            Mark::Matched => 'm',
            Mark::Begun => 'b',
            Mark::Echoed => 'e',
        }
    }
}

impl<'a> Store<'a> {
    /// Names the session's directory. It need not exist yet.
    pub(super) fn new(state: &Path, device: &'a Device, client: &str, session: &str) -> Store<'a> {
        let name = digest(device, &["session", client, session]);
        Store { dir: state.join("hooks").join(name), device }
    }

    /// Returns the name of a call: by its id, else by tool and arguments.
    pub(super) fn key(&self, call: &Call) -> String {
        match &call.id {
            Some(id) => digest(self.device, &["call", id]),
            None => self.key_of_input(call),
        }
    }

    /// Returns the name of a call by tool and arguments.
    pub(super) fn key_of_input(&self, call: &Call) -> String {
        digest(self.device, &["input", &call.tool, &call.input.to_string()])
    }

    /// Returns what is known of the session.
    pub(super) fn memory(&self) -> Memory {
        self.read("session").and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// Keeps what is known of the session.
    pub(super) fn remember(&self, memory: &Memory) -> std::io::Result<()> {
        self.write("session", &serde_json::to_vec(memory)?)
    }

    /// Keeps a call that is under way.
    pub(super) fn put_open(&self, key: &str, open: Open) -> std::io::Result<()> {
        let mut bodies: Vec<Vec<u8>> = Vec::new();
        let files = open.files.into_iter().map(|(path, content)| {
            let kind = match content {
                Content::Absent => Kind::Absent,
                Content::Unread => Kind::Unread,
                Content::Bytes(bytes) => {
                    bodies.push(bytes);
                    Kind::Bytes(bodies.last().map_or(0, Vec::len))
                }
            };
            (path, kind)
        });
        let files = files.collect();
        let tree_head = open.tree.map(|tree| TreeHead {
            root: tree.root,
            cut: tree.cut,
            files: tree
                .files
                .into_iter()
                .map(|(path, seen)| {
                    let kept = seen.kept.as_ref().map(Vec::len);
                    bodies.extend(seen.kept);
                    (path, (seen.stat, seen.oid, kept))
                })
                .collect(),
        });
        let (at, mode, id, tool, input) = (open.at, open.mode, open.id, open.tool, open.input);
        let (tree, fits, echo, git) = (tree_head, open.fits, open.echo, open.git);
        let head = serde_json::to_vec(&OpenHead { at, mode, id, tool, input, files, tree, fits, echo, git })?;
        let mut plain = (head.len() as u64).to_be_bytes().to_vec();
        plain.extend_from_slice(&head);
        plain.extend(bodies.into_iter().flatten());
        self.write(&format!("{key}.open"), &plain)
    }

    /// Returns a call that is under way.
    pub(super) fn open(&self, key: &str) -> Option<Open> {
        let plain = self.read(&format!("{key}.open"))?;
        let (length, rest) = plain.split_first_chunk::<8>()?;
        let (head, mut rest) = rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)?;
        let mut head: OpenHead = serde_json::from_slice(head).ok()?;
        let mut body = |length: usize| {
            let (body, after) = rest.split_at_checked(length)?;
            rest = after;
            Some(body.to_vec())
        };
        let mut files = BTreeMap::new();
        for (path, kind) in std::mem::take(&mut head.files) {
            let content = match kind {
                Kind::Absent => Content::Absent,
                Kind::Unread => Content::Unread,
                Kind::Bytes(length) => Content::Bytes(body(length)?),
            };
            files.insert(path, content);
        }
        let mut tree = None;
        if let Some(head) = head.tree.take() {
            let mut files = BTreeMap::new();
            for (path, (stat, oid, kept)) in head.files {
                let kept = match kept {
                    Some(length) => Some(body(length)?),
                    None => None,
                };
                files.insert(path, Seen { stat, oid, kept });
            }
            tree = Some(Tree { root: head.root, cut: head.cut, files });
        }
        let OpenHead { at, mode, id, tool, input, fits, echo, git, .. } = head;
        Some(Open { at, mode, id, tool, input, files, tree, fits, echo, git })
    }

    /// Returns the names of all calls that are under way.
    pub(super) fn all_open(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(&self.dir) else { return Vec::new() };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        names.filter_map(|name| name.strip_suffix(".open").map(str::to_owned)).collect()
    }

    /// Returns other sessions that are at work on this device.
    pub(super) fn neighbours(&self) -> Vec<Store<'a>> {
        let at_work = |path: &Path| {
            let modified = path.metadata().and_then(|metadata| metadata.modified()).ok();
            modified.and_then(|time| SystemTime::now().duration_since(time).ok()).is_some_and(|age| age < AT_WORK)
        };
        let entries = self.dir.parent().and_then(|all| std::fs::read_dir(all).ok()).into_iter().flatten().flatten();
        let others = entries.map(|entry| entry.path()).filter(|path| *path != self.dir && at_work(path));
        others.take(NEIGHBOURS_MAX).map(|dir| Store { dir, device: self.device }).collect()
    }

    /// Returns the calls of another session that are under way, but for very large ones.
    pub(super) fn calls_under_way(&self) -> Vec<Open> {
        let small = |key: &String| {
            let metadata = self.dir.join(format!("{key}.open")).metadata();
            metadata.is_ok_and(|metadata| metadata.len() <= NEIGHBOUR_BYTES_MAX)
        };
        self.all_open().into_iter().filter(small).filter_map(|key| self.open(&key)).collect()
    }

    /// Lets go of a call that is no longer under way.
    pub(super) fn close(&self, key: &str) {
        let _ = std::fs::remove_file(self.dir.join(format!("{key}.open"))); // not there: nothing to let go of
    }

    /// Keeps a small thing about a call or a question under a name.
    pub(super) fn put(&self, key: &str, kind: &str, value: &Value) -> std::io::Result<()> {
        self.write(&format!("{key}.{kind}"), value.to_string().as_bytes())
    }

    /// Returns it.
    pub(super) fn get(&self, key: &str, kind: &str) -> Option<Value> {
        serde_json::from_slice(&self.read(&format!("{key}.{kind}"))?).ok()
    }

    /// Returns it, and it is gone.
    pub(super) fn take(&self, key: &str, kind: &str) -> Option<Value> {
        let value = self.get(key, kind)?;
        let _ = std::fs::remove_file(self.dir.join(format!("{key}.{kind}")));
        Some(value)
    }

    /// Notes what was done with a call.
    pub(super) fn mark(&self, mark: Mark, key: &str) -> std::io::Result<()> {
        self.append("done", &format!("{}{key}\n", mark.letter()))
    }

    /// Counts what was done, by mark and call.
    pub(super) fn marks(&self) -> Marks {
        let text = std::fs::read_to_string(self.dir.join("done")).unwrap_or_default();
        let mut marks = Marks::default();
        for line in text.lines() {
            *marks.0.entry(line.to_owned()).or_default() += 1;
        }
        marks
    }

    /// Says whether these words were said before, and notes that they were now.
    pub(super) fn was_heard(&self, words: &[u8]) -> bool {
        let name = hex(&keyed(self.device.digest_key(), words)[..16]);
        let heard = std::fs::read_to_string(self.dir.join("heard")).unwrap_or_default();
        if heard.lines().any(|line| line == name) {
            return true;
        }
        if let Err(error) = self.append("heard", &format!("{name}\n")) {
            tracing::warn!(%error, "what was heard could not be noted");
        }
        false
    }

    /// Notes that a call of this session left a file as it is now.
    pub(super) fn note_edit(&self, at: Timestamp, path: &Path, blob: Option<&str>) -> std::io::Result<()> {
        let path = digest(self.device, &["path", &path.to_string_lossy()]);
        self.append("edits", &format!("{} {path} {}\n", at.as_millis(), blob.unwrap_or("-")))
    }

    /// Tells whether a call of this session left a file as it is now, after a time.
    pub(super) fn was_left_so(&self, since: Timestamp, path: &Path, blob: Option<&str>) -> bool {
        self.edits_since(since, path).iter().any(|left| left.as_deref() == blob)
    }

    /// Returns what calls of this session left of a file after a time, the oldest first.
    pub(super) fn edits_since(&self, since: Timestamp, path: &Path) -> Vec<Option<String>> {
        let path = digest(self.device, &["path", &path.to_string_lossy()]);
        let text = std::fs::read_to_string(self.dir.join("edits")).unwrap_or_default();
        let of_line = |line: &str| {
            let mut fields = line.split(' ');
            let at = fields.next()?.parse::<i64>().ok()?;
            let is_it = at >= since.as_millis() && fields.next()? == path;
            let blob = fields.next()?;
            is_it.then(|| (blob != "-").then(|| blob.to_owned()))
        };
        text.lines().filter_map(of_line).collect()
    }

    /// Removes sessions that nobody touched for a month.
    pub(super) fn forget_old(&self) {
        let Some(all) = self.dir.parent() else { return };
        let Ok(entries) = std::fs::read_dir(all) else { return };
        let old = |path: &Path| {
            let modified = path.metadata().and_then(|metadata| metadata.modified()).ok();
            modified.and_then(|time| SystemTime::now().duration_since(time).ok()).is_some_and(|age| age > REMEMBERED)
        };
        for entry in entries.flatten().filter(|entry| old(&entry.path())).take(16) {
            if let Err(error) = std::fs::remove_dir_all(entry.path()) {
                tracing::warn!(%error, "an old session's notes can't be removed");
            }
        }
    }

    fn append(&self, name: &str, line: &str) -> std::io::Result<()> {
        self.make_dir()?;
        private().append(true).create(true).open(self.dir.join(name))?.write_all(line.as_bytes())
    }

    fn write(&self, name: &str, plain: &[u8]) -> std::io::Result<()> {
        self.make_dir()?;
        let sealed = self.device.seal(plain, &self.bound_to(name)).map_err(std::io::Error::other)?;
        let temporary = self.dir.join(format!(".{name}.{}", std::process::id()));
        private().write(true).create(true).truncate(true).open(&temporary)?.write_all(&sealed)?;
        std::fs::rename(temporary, self.dir.join(name))
    }

    fn read(&self, name: &str) -> Option<Vec<u8>> {
        let sealed = std::fs::read(self.dir.join(name)).ok()?;
        self.device.unseal(&sealed, &self.bound_to(name))
    }

    fn bound_to(&self, name: &str) -> String {
        format!("{}/{name}", self.dir.file_name().unwrap_or_default().to_string_lossy())
    }

    fn make_dir(&self) -> std::io::Result<()> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.dir)
    }
}

/// What was done with calls.
#[derive(Debug, Default)]
pub(super) struct Marks(BTreeMap<String, usize>);

impl Marks {
    /// Returns how often.
    pub(super) fn count(&self, mark: Mark, key: &str) -> usize {
        self.0.get(&format!("{}{key}", mark.letter())).copied().unwrap_or(0)
    }

    /// Counts one more.
    pub(super) fn add(&mut self, mark: Mark, key: &str) {
        *self.0.entry(format!("{}{key}", mark.letter())).or_default() += 1;
    }
}

fn digest(device: &Device, parts: &[&str]) -> String {
    hex(&keyed(device.digest_key(), parts.join("\0").as_bytes())[..16])
}

fn private() -> std::fs::OpenOptions {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "a profile directory is its user's own already"))]
    let mut options = std::fs::OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_is_under_way_comes_back_and_nothing_of_it_is_in_clear() {
        let dir = tempfile::tempdir().unwrap();
        let device = Device::load_or_create(dir.path()).unwrap();
        let store = Store::new(dir.path(), &device, "claude-code", "s1");
        let seen = |kept: Option<&str>| Seen {
            stat: Some([1, 2, 3, 4]),
            oid: kept.is_none().then(|| "ab".to_owned()),
            kept: kept.map(|text| text.as_bytes().to_vec()),
        };
        let make = || Open {
            at: Timestamp::from_millis(5),
            mode: Some("default".to_owned()),
            fits: Some(true),
            echo: None,
            id: Some("call".to_owned()),
            tool: "Bash".to_owned(),
            input: serde_json::json!({"command": "visible?"}),
            files: BTreeMap::from([
                (PathBuf::from("/a"), Content::Bytes(b"visible?\xff".to_vec())),
                (PathBuf::from("/b"), Content::Absent),
            ]),
            tree: Some(Tree {
                root: PathBuf::from("/r"),
                cut: false,
                files: BTreeMap::from([("x".to_owned(), seen(Some("visible?"))), ("y".to_owned(), seen(None))]),
            }),
            git: Some(GitState { reflog_len: 7, ..GitState::default() }),
        };
        store.put_open("k", make()).unwrap();
        assert_eq!(store.open("k"), Some(make()));
        assert_eq!(store.all_open(), ["k"]);
        let bytes = std::fs::read(store.dir.join("k.open")).unwrap();
        assert!(!bytes.windows(8).any(|window| window == b"visible?"));
        store.close("k");
        assert_eq!(store.open("k"), None);
    }

    #[test]
    fn a_damaged_note_is_no_note() {
        let dir = tempfile::tempdir().unwrap();
        let device = Device::load_or_create(dir.path()).unwrap();
        let store = Store::new(dir.path(), &device, "codex", "s1");
        store.remember(&Memory { prompts: 3, ..Memory::default() }).unwrap();
        assert_eq!(store.memory().prompts, 3);
        std::fs::write(store.dir.join("session"), "garbage").unwrap();
        assert_eq!(store.memory(), Memory::default());
    }
}
