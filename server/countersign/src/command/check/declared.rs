//! The manifest that holds for a file: the nearest one above it, with those above that.
//!
//! It must never guess: where no manifest lies, or one cannot be read, nothing is declared and
//! nothing is said.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use countersign_risk::{Declared, Finding, Language, ghosts, manifests};

use super::read::read_text;

/// How far up manifests are looked for.
const LEVELS_MAX: usize = 12;

/// What is declared, by folder and manifest.
#[derive(Default)]
pub(super) struct Manifests {
    known: Mutex<HashMap<(PathBuf, &'static str), Option<Arc<Declared>>>>,
}

impl Manifests {
    /// Finds what `text` imports and no manifest above `path` declares.
    pub(super) fn ghosts(&self, path: &Path, language: Language, text: &str) -> Vec<Finding> {
        let Some(folder) = path.parent().filter(|_| !manifests(language).is_empty()) else { return Vec::new() };
        let Ok(folder) = std::path::absolute(folder) else { return Vec::new() };
        let found = manifests(language).iter().find_map(|name| self.declared(&folder, name));
        found.map_or_else(Vec::new, |declared| ghosts(language, text, &declared))
    }

    fn declared(&self, folder: &Path, name: &'static str) -> Option<Arc<Declared>> {
        let key = (folder.to_owned(), name);
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return known.clone();
        }
        let mut declared = Declared::default();
        let mut any = false;
        for folder in folder.ancestors().take(LEVELS_MAX) {
            let path = folder.join(name);
            if path.is_file() {
                any = read_text(&path).is_ok_and(|text| declared.add(name, &text));
                // Half of what is declared is worse than nothing.
                if !any {
                    break;
                }
            }
            if folder.join(".git").exists() {
                break;
            }
        }
        let found = any.then(|| Arc::new(declared));
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, found.clone());
        found
    }
}
