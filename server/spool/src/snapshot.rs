//! What observers saw of files, sealed like contents; never replayed.
//!
//! Append-only: a row's number is its place in the order of what was seen. A text is kept once,
//! however often it was seen. The whole is bounded by bytes, and what is let go, oldest first, is
//! itself an event; so is what somebody else finds that nothing needs any more.

mod keep;
mod read;

use std::collections::BTreeMap;

use countersign_event::Timestamp;
use countersign_event::digest::{git_blob, keyed, text_id};
use serde::{Deserialize, Serialize};

use crate::Device;

pub(crate) use keep::{BYTES_MAX, PreparedSnapshot, insert, make_room};
pub use read::{BlobKey, Observed, TextRef};

/// A file as somebody saw it at a moment.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The absolute path or URI.
    pub path: String,
    /// Where it lies in a repository, if it does.
    pub repository: Option<InRepository>,
    /// Its bytes; `None` where there was no file.
    pub text: Option<Vec<u8>>,
    /// git's name of its bytes, as its repository names them; else SHA-1.
    pub blob: Option<String>,
    /// Who looked, and when.
    pub kind: Kind,
    /// What entered with it, after an AI's edit.
    pub contribution: Option<String>,
    /// One for all paths of a call, and for what was seen before and after it.
    pub call: Option<String>,
    /// The agent's or editor's session.
    pub session: Option<String>,
    /// Who wrote its parts, as their owner writes it; an editor's own knowledge.
    pub spans_json: Option<String>,
    /// What git's small files said then.
    pub git: Option<GitState>,
    /// Which lines an edit touched, in the tool's own words.
    pub hunks_json: Option<String>,
    /// When.
    pub time: Timestamp,
}

/// Where a file lies in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InRepository {
    /// The root of its work tree.
    pub worktree: String,
    /// The directory that all work trees of the repository share.
    pub common_dir: String,
    /// The path below the root, with `/`.
    pub path: String,
}

/// Who looked at a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Somebody who is about to edit it: what changed since the last look is nobody's.
    Before,
    /// After an AI's edit.
    Ai,
    /// After a person's edit, which somebody reported.
    Human,
    /// An editor that saved it, and knows who wrote what.
    Saved,
}

impl Kind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Kind::Before => "before",
            Kind::Ai => "ai",
            Kind::Human => "human",
            Kind::Saved => "saved",
        }
    }

    pub(crate) fn of(word: &str) -> Option<Kind> {
        [Kind::Before, Kind::Ai, Kind::Human, Kind::Saved].into_iter().find(|kind| kind.word() == word)
    }
}

/// What a repository's small files said at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitState {
    /// HEAD's commit; `None` before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// The commit that is being merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge_head: Option<String>,
    /// The commit that is being picked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cherry_pick_head: Option<String>,
    /// The commit that is being reverted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revert_head: Option<String>,
    /// The commit at which a rebase stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebase_head: Option<String>,
    /// The newest stash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stash: Option<String>,
    /// Bytes of HEAD's reflog.
    #[serde(default)]
    pub reflog_len: u64,
    /// What they said at the end of a call during which git ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Box<GitState>>,
    /// What a later version noted.
    #[serde(flatten)]
    pub more: BTreeMap<String, serde_json::Value>,
}

impl std::fmt::Debug for Snapshot {
    /// Never prints the text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("path", &self.path)
            .field("kind", &self.kind)
            .field("bytes", &self.text.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

impl Snapshot {
    /// A file at a moment, outside a repository and without anything else that is known.
    pub fn of(path: String, kind: Kind, text: Option<Vec<u8>>, time: Timestamp) -> Snapshot {
        Snapshot {
            path,
            repository: None,
            blob: text.as_deref().map(git_blob),
            text,
            kind,
            contribution: None,
            call: None,
            session: None,
            spans_json: None,
            git: None,
            hunks_json: None,
            time,
        }
    }

    pub(crate) fn size(&self) -> usize {
        let lengths = [self.text.as_ref().map(Vec::len), self.spans_json.as_ref().map(String::len)];
        self.path.len() + lengths.into_iter().flatten().sum::<usize>() + 1024
    }
}

/// A text's place in the index: nobody without the device's key can ask for a text they have.
fn text_key(device: &Device, text: &[u8]) -> [u8; 32] {
    text_key_of_id(device, &text_id(text))
}

fn text_key_of_id(device: &Device, text_id: &str) -> [u8; 32] {
    keyed(device.digest_key(), &[b"countersign.snapshot.v1", text_id.as_bytes()].concat())
}

fn blob_key(device: &Device, blob: &str) -> [u8; 32] {
    keyed(device.digest_key(), &[b"countersign.blob.v1", blob.as_bytes()].concat())
}

fn bound_to(path: &str) -> Vec<u8> {
    [b"countersign.snapshot.v1", path.as_bytes()].concat()
}

fn bound_to_text(text_key: &[u8]) -> Vec<u8> {
    [b"countersign.text.v1", text_key].concat()
}
