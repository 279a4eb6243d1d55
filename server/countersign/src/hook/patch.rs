//! The patch that Codex and its kin write: which files it names, and what it makes of them.

use std::path::PathBuf;

use super::decode::Edit;
use super::planned::Swap;

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

/// Returns what it makes of each file. A file that it names twice is left out: only the end would count.
pub(super) fn edits(patch: &str) -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    let mut part = Part::default();
    for line in patch.lines().chain(["*** End Patch"]) {
        if let Some(path) = line.strip_prefix("*** Move to: ") {
            part.moved_to = Some(PathBuf::from(path.trim()));
        } else if line == "*** End of File" {
            part.hunk_ends();
        } else if line.starts_with("*** ") {
            edits.append(&mut std::mem::take(&mut part).edits());
            let begins = |head: &str| line.strip_prefix(head).map(|path| PathBuf::from(path.trim()));
            part.kind = begins("*** Add File: ")
                .map(Kind::Add)
                .or_else(|| begins("*** Update File: ").map(Kind::Update))
                .or_else(|| begins("*** Delete File: ").map(Kind::Delete));
        } else {
            part.takes(line);
        }
    }
    let named = |edit: &Edit| edits.iter().filter(|other| other.path == edit.path).count();
    edits.iter().filter(|edit| named(edit) == 1).cloned().collect()
}

enum Kind {
    Add(PathBuf),
    Update(PathBuf),
    Delete(PathBuf),
}

/// What stands between two heads.
#[derive(Default)]
struct Part {
    kind: Option<Kind>,
    moved_to: Option<PathBuf>,
    added: String,
    hunk: Swap,
    swaps: Vec<Swap>,
}

impl Part {
    fn takes(&mut self, line: &str) {
        let put = |text: &mut String, line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        match (&self.kind, line.split_at_checked(1)) {
            (Some(Kind::Add(_)), Some(("+", rest))) => put(&mut self.added, rest),
            (Some(Kind::Update(_)), Some(("@", _))) => self.hunk_ends(),
            (Some(Kind::Update(_)), Some(("+", rest))) => put(&mut self.hunk.new, rest),
            (Some(Kind::Update(_)), Some(("-", rest))) => put(&mut self.hunk.old, rest),
            (Some(Kind::Update(_)), Some((" ", rest))) => {
                put(&mut self.hunk.old, rest);
                put(&mut self.hunk.new, rest);
            }
            (Some(Kind::Update(_)), None) => {
                put(&mut self.hunk.old, "");
                put(&mut self.hunk.new, "");
            }
            _ => {}
        }
    }

    fn hunk_ends(&mut self) {
        let hunk = std::mem::take(&mut self.hunk);
        if hunk != Swap::default() {
            self.swaps.push(hunk);
        }
    }

    fn edits(mut self) -> Vec<Edit> {
        self.hunk_ends();
        match (self.kind, self.moved_to) {
            (Some(Kind::Add(path)), _) => {
                vec![Edit { path, after: Some(Some(self.added)), ..Edit::default() }]
            }
            (Some(Kind::Delete(path)), _) => vec![Edit { path, after: Some(None), ..Edit::default() }],
            (Some(Kind::Update(path)), None) => vec![Edit { path, swaps: self.swaps, ..Edit::default() }],
            (Some(Kind::Update(path)), Some(to)) => vec![
                Edit { path: to, swaps: self.swaps, moved_from: Some(path.clone()), ..Edit::default() },
                Edit { path, after: Some(None), ..Edit::default() },
            ],
            (None, _) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::planned::forward;
    use super::*;

    const PATCH: &str = "*** Begin Patch\n*** Update File: a.rb\n*** Move to: b.rb\n@@ def x\n one\n-two\n+2\n\
         *** Add File: c\n+x\n+\n*** Delete File: d\n*** Update File: e\n@@\n-1\n+one\n@@\n three\n+four\n\
         *** End of File\n*** End Patch\n";

    #[test]
    fn every_file_of_a_patch_is_named_once() {
        let patch = "*** Begin Patch\n*** Update File: a.rb\n*** Move to: b.rb\n@@\n-*** Add File: no\n*** Add File: c\n+x\n\
             *** Delete File: d\n*** Update File: c\n*** End Patch\n";
        assert_eq!(files(patch), ["a.rb", "b.rb", "c", "d"].map(PathBuf::from));
        assert_eq!(files("no patch"), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_patch_says_what_becomes_of_each_file() {
        let edits = edits(PATCH);
        let of = |path: &str| edits.iter().find(|edit| edit.path == std::path::Path::new(path)).unwrap();
        assert_eq!(of("a.rb").after, Some(None));
        assert_eq!(of("b.rb").moved_from, Some(PathBuf::from("a.rb")));
        assert_eq!(forward("zero\none\ntwo\n", &of("b.rb").swaps).as_deref(), Some("zero\none\n2\n"));
        assert_eq!(of("c").after, Some(Some("x\n\n".to_owned())));
        assert_eq!(of("d").after, Some(None));
        assert_eq!(forward("1\n2\nthree\n", &of("e").swaps).as_deref(), Some("one\n2\nthree\nfour\n"));
        assert_eq!(edits.len(), 5);
    }

    #[test]
    fn a_file_that_a_patch_names_twice_is_not_foretold() {
        assert_eq!(edits("*** Begin Patch\n*** Add File: c\n+x\n*** Delete File: c\n*** End Patch"), []);
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in "(\\*\\*\\* (Add File|Update File|Delete File|Move to): ?[ab]?|[-+@ ]?[ab]{0,2}|\\*\\*\\* End Patch|\n){0,12}") {
            let _ = (files(&text), edits(&text));
        }
    }
}
