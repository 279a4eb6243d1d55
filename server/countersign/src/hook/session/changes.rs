//! What a call did to files: the disk before and after it, and what the client says where we came too late.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use countersign_event::How;

use super::Session;
use crate::hook::decode::{Call, Edit, Touches};
use crate::hook::store::Open;
use crate::hook::text::Content;
use crate::hook::tree::Tree;

/// What a call did to one file.
pub(super) struct Change {
    /// The file.
    pub(super) path: PathBuf,
    /// What it was.
    pub(super) before: Content,
    /// What it is now.
    pub(super) after: Content,
    /// How we know.
    pub(super) how: How,
}

impl Session<'_> {
    /// Compares files with what they were before the call.
    pub(super) fn changes(&mut self, call: &Call, open: Option<&Open>, told: &[Edit]) -> Vec<Change> {
        let mut changes: BTreeMap<PathBuf, Change> = BTreeMap::new();
        let mut add = |change: Change| {
            if change.before != change.after {
                changes.insert(change.path.clone(), change);
            }
        };
        let told: BTreeMap<PathBuf, &Edit> = told.iter().map(|edit| (self.absolute(&edit.path), edit)).collect();
        let mut was = open.map(|open| open.files.clone()).unwrap_or_default();
        let mut paths: Vec<PathBuf> = was.keys().chain(told.keys()).cloned().collect();
        if let Touches::Writes(files) = &call.touches {
            paths.extend(files.iter().map(|file| self.absolute(file)));
        }
        paths.sort();
        paths.dedup();
        if let Some(tree) = open.and_then(|open| open.tree.as_ref()) {
            // Named only afterwards, and looked at before.
            let named = paths.iter().filter(|path| !was.contains_key(*path));
            let inside = named.filter_map(|path| Some(path.strip_prefix(&tree.root).ok()?.to_str()?.to_owned()));
            let texts = tree.texts(&inside.collect::<Vec<_>>(), Tree::patience(&tree.root));
            was.extend(texts.into_iter().map(|(path, content)| (tree.root.join(path), content)));
        }
        for path in &paths {
            if let Some(change) = compare(path, was.get(path), told.get(path).copied()) {
                add(change);
            }
        }
        if let Some(before) = open.and_then(|open| open.tree.as_ref()) {
            let is_repository = before.root.join(".git").exists();
            let patience = Tree::patience(&before.root);
            let after = Tree::scan(&before.root, is_repository, false, patience);
            let cut = before.cut || after.cut;
            if cut {
                self.gap("work_tree_cut_short");
            }
            self.done.is_dirty |= is_repository && after.differs_from_index();
            // A listing that failed on one side says nothing about what is only on the other.
            let changed = if cut && (before.files.is_empty() || after.files.is_empty()) {
                Vec::new()
            } else {
                before.changed(&after)
            };
            let texts = before.texts(&changed, patience);
            let of_others = self.files_of_others(call);
            for (path, before_text) in texts {
                let path = before.root.join(path);
                if paths.contains(&path) || of_others.contains(&path) {
                    continue;
                }
                let after = Content::read(&path);
                let since = open.map_or(self.now, |open| open.at);
                // Another call of this session, at work meanwhile, left it so.
                if self.store.was_left_so(since, &path, after.blob(self.sha256).as_deref()) {
                    continue;
                }
                add(Change { path, before: before_text, after, how: How::Observed });
            }
        }
        changes.into_values().collect()
    }

    /// Returns the files that other calls under way have said they write: what changes in them is theirs.
    pub(super) fn files_of_others(&self, call: &Call) -> BTreeSet<PathBuf> {
        let own = [self.store.key(call), self.store.key_of_input(call)];
        let others = self.store.all_open().into_iter().filter(|key| !own.contains(key) && !self.closes(key));
        let open = others.filter_map(|key| self.store.open(&key)).filter(|open| open.tree.is_none());
        open.flat_map(|open| open.files.into_keys()).collect()
    }
}

/// What became of a file, from what we saw and what the client told.
fn compare(path: &Path, was: Option<&Content>, told: Option<&Edit>) -> Option<Change> {
    let disk = Content::read(path);
    let from_told = |text: &Option<String>| match text {
        Some(text) => Content::told(text, &disk),
        None => Content::Absent,
    };
    let said = |side: Option<&Option<String>>| side.map(from_told);
    let (told_before, told_after) =
        (said(told.and_then(|told| told.before.as_ref())), said(told.and_then(|told| told.after.as_ref())));
    let change = |before, after, how| Some(Change { path: path.to_owned(), before, after, how });
    if let (Some(told), Some(Some(text))) = (told, told.map(|told| told.after.as_ref().and_then(Option::as_ref)))
        && told.in_buffer
    {
        let before = was.cloned().or(told_before).unwrap_or(Content::Unread);
        return change(before, Content::Bytes(text.as_bytes().to_vec()), How::Reported);
    }
    match (was, told_before, told_after) {
        (Some(was), Some(before), _) if *was == disk && !same(was, &before) => {
            // Our look before came too late: the file was changed already.
            change(before, disk, How::Reported)
        }
        (Some(was), _, Some(after)) if *was == disk && !same(was, &after) => {
            // The client says that it wrote, and the disk does not have it (yet).
            change(was.clone(), after, How::Reported)
        }
        (Some(was), _, _) => change(was.clone(), disk, How::Observed),
        (None, Some(before), Some(after)) => change(before, after, How::Reported),
        (None, Some(before), None) => change(before, disk, How::Reported),
        (None, None, Some(after)) => change(Content::Unread, after, How::Reported),
        // Nobody saw what was there before; only the client can say that something changed.
        (None, None, None) if told.is_some() => change(Content::Unread, disk, How::Reported),
        (None, None, None) => None,
    }
}

fn same(a: &Content, b: &Content) -> bool {
    a == b || b.text().is_some_and(|text| a.says(text))
}
