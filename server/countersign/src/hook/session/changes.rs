//! What a call did to files: the disk before and after it, and what the client says where we came too late.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use countersign_event::How;

use super::Session;
use crate::hook::compare::{Change, Sight};
use crate::hook::decode::{Call, Edit, Touches};
use crate::hook::store::{Open, Store};
use crate::hook::text::Content;
use crate::hook::tree::Tree;

impl Session<'_> {
    /// Compares files with what they were before the call.
    pub(super) fn changes(&mut self, call: &Call, open: Option<&Open>, told: &[Edit], is_late: bool) -> Vec<Change> {
        let mut changes: BTreeMap<PathBuf, Change> = BTreeMap::new();
        let mut add = |change: Change| {
            let is_unread = change.before == Content::Unread && change.how == How::Reported;
            if change.before != change.after || is_unread {
                changes.insert(change.path.clone(), change);
            }
        };
        let others = self.others_under_way(call);
        let neighbours = self.store.neighbours();
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
            let texts = tree.texts(&inside.collect::<Vec<_>>(), self.deadline);
            was.extend(texts.into_iter().map(|(path, content)| (tree.root.join(path), content)));
        }
        let since = open.map_or(self.now, |open| open.at);
        let own = self.store;
        let stores = || std::iter::once(own).chain(&neighbours);
        for path in &paths {
            let planned = call.plan.iter().find(|edit| self.absolute(&edit.path) == *path);
            let edit = told.get(path).copied().or(planned);
            let moved = edit.and_then(|edit| edit.moved_from.as_ref()).and_then(|from| was.get(&self.absolute(from)));
            let naming = others.iter().filter(|other| other.at >= since && other.files.contains_key(path));
            let next = naming.min_by_key(|other| other.at).and_then(|other| other.files.get(path).cloned());
            let left_since = match open {
                Some(_) => stores().flat_map(|store| store.edits_since(since, path)).collect(),
                None => Vec::new(),
            };
            let (was, told) = (was.get(path), told.get(path).copied());
            let sight = Sight { was, told, planned, moved, is_late, left_since, next, sha256: self.sha256 };
            if let Some(change) = sight.change(path) {
                add(change);
            }
        }
        if let Some(before) = open.and_then(|open| open.tree.as_ref()) {
            let is_repository = before.root.join(".git").exists();
            let after = Tree::scan(&before.root, is_repository, false, self.deadline);
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
            let texts = before.texts(&changed, self.deadline);
            let of_others: BTreeSet<&PathBuf> =
                others.iter().filter(|other| other.tree.is_none()).flat_map(|other| other.files.keys()).collect();
            for (path, before_text) in texts {
                let path = before.root.join(path);
                if paths.contains(&path) || of_others.contains(&path) {
                    continue;
                }
                let after = Content::read(&path);
                // Another call, at work meanwhile, left it so.
                let blob = after.blob(self.sha256);
                if stores().any(|store| store.was_left_so(since, &path, blob.as_deref())) {
                    continue;
                }
                add(Change { path, before: before_text, after, how: How::Observed });
            }
        }
        changes.into_values().collect()
    }

    /// Returns the other calls that are under way, of this session and of others.
    fn others_under_way(&self, call: &Call) -> Vec<Open> {
        let own = [self.store.key(call), self.store.key_of_input(call)];
        let others = self.store.all_open().into_iter().filter(|key| !own.contains(key) && !self.closes(key));
        let mut all: Vec<Open> = others.filter_map(|key| self.store.open(&key)).collect();
        all.extend(self.store.neighbours().iter().flat_map(Store::calls_under_way));
        all
    }
}
