//! What a hook call saw of files, for the attribution of what git makes of them later.
//!
//! Nothing is compared here: the texts before and after an edit are kept with what git's small files said
//! when the call began, and where git ran meanwhile also what they said at its end. Files outside a
//! repository, in a repository that opted out, or that nobody read are left alone.

use std::path::Path;

use countersign_event::Timestamp;
use countersign_event::payload::edit::Hunk;
use countersign_spool::{GitState, Kind, Snapshot};

use super::text::Content;
use crate::git::state;

/// An edit of one file, as a hook saw it.
pub(super) struct Edit<'a> {
    pub(super) path: &'a Path,
    pub(super) before: &'a Content,
    pub(super) after: &'a Content,
    /// When the call began, and what git's small files said then.
    pub(super) began: Option<(Timestamp, Option<GitState>)>,
    pub(super) now: Timestamp,
    pub(super) contribution: &'a str,
    pub(super) call: String,
    pub(super) session: &'a str,
    pub(super) hunks: &'a [Hunk],
}

/// Returns what git's small files say about the repository of a directory.
pub(super) fn state_of(root: &Path) -> Option<GitState> {
    Some(state::Layout::of_root(root)?.state())
}

/// Returns the snapshots of an edit: before, where somebody looked then, and after.
pub(super) fn edit(edit: &Edit<'_>) -> Vec<Snapshot> {
    let (began, git) = edit.began.clone().unwrap_or((edit.now, None));
    let of = |kind, content: &Content, at| {
        let mut it = look(edit.path, kind, content, at)?;
        it.call = Some(edit.call.clone());
        it.session = Some(edit.session.to_owned());
        if let (Some(git), Some(end)) = (&git, it.git.take()) {
            let moved = *git != end;
            it.git = Some(GitState { until: (kind == Kind::Ai && moved).then(|| Box::new(end)), ..git.clone() });
        } else {
            // Nobody looked when it began.
            it.git = it.repository.as_ref().and_then(|place| state_of(Path::new(&place.worktree)));
        }
        Some(it)
    };
    let after = of(Kind::Ai, edit.after, edit.now).map(|it| Snapshot {
        contribution: Some(edit.contribution.to_owned()),
        hunks_json: serde_json::to_string(edit.hunks).ok().filter(|_| !edit.hunks.is_empty()),
        ..it
    });
    let before = of(Kind::Before, edit.before, began);
    before.into_iter().chain(after).collect()
}

/// Returns a snapshot of a file as it is now, or as an editor has it. `None` where nobody read it.
pub(super) fn look(path: &Path, kind: Kind, content: &Content, at: Timestamp) -> Option<Snapshot> {
    let text = match content {
        Content::Absent => None,
        Content::Bytes(bytes) => Some(bytes.clone()),
        Content::Unread => return None,
    };
    let it = Snapshot::of(path.to_string_lossy().into_owned(), kind, text, at);
    Some(state::placed(it, path))
}
