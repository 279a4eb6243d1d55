//! The patch that Codex and its kin write: which files it names.

use std::path::PathBuf;

/// Returns the files that a `*** Begin Patch` text adds, changes, moves and deletes, in its order.
pub(super) fn files(patch: &str) -> Vec<PathBuf> {
    const HEADS: &[&str] = &["*** Add File: ", "*** Update File: ", "*** Delete File: ", "*** Move to: "];
    let named = patch.lines().filter_map(|line| HEADS.iter().find_map(|head| line.strip_prefix(head)));
    let mut files: Vec<PathBuf> = Vec::new();
    for file in named.map(|name| PathBuf::from(name.trim())) {
        if !file.as_os_str().is_empty() && !files.contains(&file) {
            files.push(file);
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_a_patch_is_named_once() {
        let patch = "*** Begin Patch\n*** Update File: a.rb\n*** Move to: b.rb\n@@\n-*** Add File: no\n*** Add File: c\n+x\n\
             *** Delete File: d\n*** Update File: c\n*** End Patch\n";
        assert_eq!(files(patch), ["a.rb", "b.rb", "c", "d"].map(PathBuf::from));
        assert_eq!(files("no patch"), Vec::<PathBuf>::new());
    }
}
