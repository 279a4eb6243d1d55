//! Which files are checked, and which policy holds for each.
//!
//! It must never follow a link out of what was asked for, nor open what is no file.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use countersign_event::Timestamp;
use countersign_risk::Finding;
use ignore::WalkBuilder;

use crate::error::Failure;
use crate::git;
use crate::policy::{Asked, Policy};
use crate::shell::{Shell, now};

/// A file to check.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct File {
    /// As it is shown.
    pub(super) name: String,
    /// Where it is read.
    pub(super) path: PathBuf,
}

impl File {
    /// Makes a file of a name alone, such as that of a text on stdin.
    pub(super) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), path: PathBuf::from(name) }
    }

    fn at(path: PathBuf) -> Self {
        let shown = path.strip_prefix(".").unwrap_or(&path);
        Self { name: shown.to_string_lossy().replace('\\', "/"), path }
    }
}

/// Lists the files below `paths`, in order and each once. A file that is named itself is taken
/// whatever the ignore files say; hidden ones are taken too, because workflows and settings are.
pub(super) fn find(paths: &[PathBuf]) -> Result<Vec<File>, Failure> {
    let mut files = BTreeSet::new();
    for path in paths {
        let about = std::fs::metadata(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
        if !about.is_dir() {
            files.insert(File::at(path.clone()));
            continue;
        }
        let walk = WalkBuilder::new(path)
            .hidden(false)
            .require_git(false)
            .filter_entry(|entry| entry.file_name() != ".git")
            .build();
        for entry in walk {
            match entry {
                Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_file()) => {
                    files.insert(File::at(entry.into_path()));
                }
                Ok(_) => {}
                Err(error) => tracing::warn!("{error}"),
            }
        }
    }
    Ok(files.into_iter().collect())
}

/// The policies of the repositories that are met.
pub(super) struct Policies<'s> {
    shell: &'s Shell,
    now: Timestamp,
    /// By directory, the repository it is in.
    roots: Mutex<HashMap<PathBuf, Option<PathBuf>>>,
    policies: Mutex<HashMap<Option<PathBuf>, Arc<Policy>>>,
}

impl<'s> Policies<'s> {
    pub(super) fn new(shell: &'s Shell) -> Self {
        Self { shell, now: now(), roots: Mutex::default(), policies: Mutex::default() }
    }

    /// Returns the repository `file` is in.
    pub(super) fn root_of(&self, file: &File) -> Option<PathBuf> {
        let whole = std::path::absolute(&file.path).unwrap_or_else(|_| file.path.clone());
        let dir = whole.parent().map(Path::to_owned).unwrap_or_default();
        let mut roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        roots.entry(dir).or_insert_with_key(|dir| git::root_of(dir)).clone()
    }

    /// Returns the policy for `file`.
    pub(super) fn of(&self, file: &File) -> InForce {
        let whole = std::path::absolute(&file.path).unwrap_or_else(|_| file.path.clone());
        let root = self.root_of(file);
        // Outside of a repository the words of the command line are all there is to go by.
        let path = match root.as_ref().and_then(|root| whole.strip_prefix(root).ok()) {
            Some(path) => path.to_string_lossy().replace('\\', "/"),
            None => file.name.clone(),
        };
        let mut policies = self.policies.lock().unwrap_or_else(PoisonError::into_inner);
        let policy = policies.entry(root).or_insert_with_key(|root| Arc::new(self.shell.policy(root.as_deref())));
        InForce { policy: Arc::clone(policy), path, now: self.now }
    }

    /// Says what is wrong with the policies that were read.
    #[expect(clippy::print_stderr, reason = "a remark for a person; the answer itself is on stdout")]
    pub(super) fn tell(&self) {
        let policies = self.policies.lock().unwrap_or_else(PoisonError::into_inner);
        let mut told = BTreeSet::new();
        for policy in policies.values() {
            told.extend(policy.problems.iter().map(ToString::to_string));
            told.extend(policy.expired(self.now).map(ToString::to_string));
        }
        for line in told {
            eprintln!("countersign: {line}");
        }
    }
}

/// The policy for one file.
pub(super) struct InForce {
    policy: Arc<Policy>,
    path: String,
    now: Timestamp,
}

impl InForce {
    /// The file's path in its repository.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Says by whose word `finding` is allowed here, if it is.
    pub(super) fn allowed(&self, finding: &Finding) -> Option<String> {
        self.policy.allowed(&self.path, finding, self.now)
    }

    /// Says what policy asks of `finding`.
    pub(super) fn asks(&self, finding: &Finding) -> Asked {
        self.policy.asks(&self.path, finding)
    }
}
