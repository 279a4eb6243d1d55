//! What is known of a repository's past, as data.

use std::sync::Arc;

use countersign_event::payload::edit::Hunk;

use crate::attribution::Attribution;

/// A text's number: equal numbers, equal bytes. Whoever asks gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TextId(pub u32);

/// Who looked at a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// Somebody who is about to edit it.
    Before,
    /// After an AI's edit: this contribution.
    Ai(Arc<str>),
    /// After a person's edit, which somebody reported.
    Human,
    /// An editor that saved it.
    Saved,
}

/// What git's small files said at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// HEAD's commit.
    pub head: Option<Arc<str>>,
    /// Commits that are being merged, picked, reverted, or at which a rebase stands.
    pub special: Vec<Arc<str>>,
    /// The newest stash.
    pub stash: Option<Arc<str>>,
    /// Bytes of HEAD's reflog.
    pub reflog_len: u64,
}

/// A file as somebody saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its place in the order of what was seen.
    pub seq: i64,
    /// Who looked.
    pub look: Look,
    /// The work tree.
    pub worktree: Arc<str>,
    /// The path in it.
    pub path: Arc<str>,
    /// The text; `None` where there was no file, or none that can be read as text.
    pub text: Option<TextId>,
    /// One for all that was seen of a call.
    pub call: Option<Arc<str>>,
    /// What git said, for an edit when its call began.
    pub moment: Moment,
    /// What it said when a call ended during which git ran.
    pub until: Option<Moment>,
    /// Which lines an edit touched, in the tool's own words.
    pub hunks: Vec<Hunk>,
    /// Milliseconds; to tell what else was seen during a call.
    pub time_ms: i64,
    /// Who wrote it was noted, for what explained it may be gone.
    pub is_noted: bool,
}

/// A commit that is not older than everything that was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// Its name.
    pub id: Arc<str>,
    /// Its parents.
    pub parents: Vec<Arc<str>>,
    /// Author's name and date: what a rewritten commit keeps.
    pub author: Arc<str>,
    /// Committer's date in seconds.
    pub time: i64,
    /// What it changed, against each parent; against nothing where it has none.
    pub changes: Vec<Change>,
    /// The number of what was seen first after it, where that was noted.
    pub born: Option<i64>,
}

/// A path that differs between a commit and one of its parents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which parent.
    pub parent: usize,
    /// The path there; another one after a rename.
    pub from: Arc<str>,
    /// The path.
    pub path: Arc<str>,
    /// The text there.
    pub old: Option<TextId>,
    /// The text.
    pub new: Option<TextId>,
}

/// An entry of the reflog of a work tree's HEAD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The work tree.
    pub worktree: Arc<str>,
    /// Bytes of the reflog up to its end.
    pub end: u64,
    /// Where HEAD stood.
    pub old: Option<Arc<str>>,
    /// Where it stands.
    pub new: Arc<str>,
    /// A `git commit` without more: not an amendment, no part of a rebase.
    pub is_plain_commit: bool,
    /// The commit was made here and then, not fetched, checked out or returned to.
    pub is_made: bool,
}

/// Where texts come from when they are asked for.
pub trait Source {
    /// Returns a text. `None` where it is gone, is no text, or is too large.
    fn text(&mut self, id: TextId) -> Option<Arc<str>>;
    /// Returns what a commit has at a path.
    fn at(&mut self, commit: &str, path: &str) -> Option<TextId>;
    /// Returns what an editor knew of a text it saved, or what was noted of one.
    fn saved(&mut self, seq: i64, text: &str) -> Option<Attribution>;
    /// Returns what was attested of a path in a commit.
    fn attested(&mut self, commit: &str, path: &str, text: &str) -> Option<Attribution>;
    /// Says whether git has a text: then somebody kept it on purpose.
    fn is_in_git(&mut self, id: TextId) -> bool;
}
