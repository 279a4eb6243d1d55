//! Notices that HEAD moved where open documents are, and what the new commit holds of them.
//!
//! A look costs a few small files; git is asked only when HEAD moved.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::git;
use crate::git::objects::Objects;
use crate::git::state::{Layout, written};
use crate::recorder::file_of_uri;

/// HEAD in the repositories of open documents, as it was last seen.
#[derive(Default)]
pub(super) struct Commits {
    heads: HashMap<PathBuf, Option<String>>,
}

/// A repository in which HEAD moved.
pub(super) struct Moved {
    /// The repository.
    pub(super) layout: Layout,
    /// The documents that the new commit holds, each with its text there.
    pub(super) texts: Vec<(String, String)>,
}

impl Commits {
    /// Returns the repositories of those documents in which HEAD moved since the last look. The first look
    /// at a repository only notes where HEAD is.
    pub(super) fn look(&mut self, uris: Vec<String>) -> Vec<Moved> {
        let mut by_root: HashMap<PathBuf, Vec<(String, PathBuf)>> = HashMap::new();
        for uri in uris {
            let file = file_of_uri(&uri).map(|file| written(&file));
            if let Some(file) = file
                && let Some(root) = file.parent().and_then(git::root_of)
            {
                by_root.entry(root).or_default().push((uri, file));
            }
        }
        let mut moved = Vec::new();
        for (root, documents) in by_root {
            let Some(layout) = self.moved(&root) else { continue };
            let mut objects = Objects::of(&layout.git_dir);
            let mut texts = Vec::new();
            for (uri, file) in documents {
                let text = layout.path_of(&file).and_then(|path| committed(&mut objects, &path));
                texts.extend(text.map(|text| (uri, text)));
            }
            moved.push(Moved { layout, texts });
        }
        moved
    }

    fn moved(&mut self, root: &Path) -> Option<Layout> {
        let layout = Layout::of_root(root)?;
        let head = layout.state().head;
        let before = self.heads.insert(root.to_owned(), head.clone())?;
        (head.is_some() && before != head).then_some(layout)
    }
}

/// Returns a file's text in HEAD's commit; `None` where it is not there, too large, or no UTF-8.
fn committed(objects: &mut Objects, path: &str) -> Option<String> {
    let blob = objects.name(&format!("HEAD:{path}"))?;
    String::from_utf8(objects.blob(&blob.oid)?).ok()
}
