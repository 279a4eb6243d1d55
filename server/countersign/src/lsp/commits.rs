//! Notices that HEAD moved where open documents are, and what the new commit holds of them.
//!
//! A look costs a few small files; git is asked only when they changed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::git;
use crate::recorder::file_of_uri;

/// The repositories of open documents, as they were last seen.
#[derive(Default)]
pub(super) struct Commits {
    seen: HashMap<PathBuf, Seen>,
}

struct Seen {
    /// When git's small files changed last.
    stamp: Vec<Option<SystemTime>>,
    head: Option<String>,
}

impl Commits {
    /// Returns the committed texts of those documents whose HEAD moved since the last look. The first
    /// look at a repository only notes where HEAD is.
    pub(super) fn look(&mut self, uris: Vec<String>) -> Vec<(String, String)> {
        let mut by_root: HashMap<PathBuf, Vec<(String, PathBuf)>> = HashMap::new();
        for uri in uris {
            if let Some(file) = file_of_uri(&uri)
                && let Some(root) = file.parent().and_then(git::root_of)
            {
                by_root.entry(root).or_default().push((uri, file));
            }
        }
        let mut committed = Vec::new();
        for (root, documents) in by_root {
            if !self.has_moved(&root) {
                continue;
            }
            for (uri, file) in documents {
                let Ok(path) = file.strip_prefix(&root) else { continue };
                committed.extend(git::committed_text(&root, path).map(|text| (uri, text)));
            }
        }
        committed
    }

    fn has_moved(&mut self, root: &Path) -> bool {
        let stamp = git::stamp(root);
        let seen = self.seen.get(root);
        if seen.is_some_and(|seen| seen.stamp == stamp) {
            return false;
        }
        let head = git::head_of(root);
        let has_moved = seen.is_some_and(|seen| seen.head != head) && head.is_some();
        self.seen.insert(root.to_owned(), Seen { stamp, head });
        has_moved
    }
}
