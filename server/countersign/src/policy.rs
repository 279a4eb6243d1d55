//! The part of the capture policy that decides which texts are kept: tiers, sensitive paths, opt-out.
//!
//! The user's policy comes first; a repository's file may only record more, never less, but it may
//! opt out of capture unless the user's policy forbids that with `[capture] off = false`.
//! `COUNTERSIGN_POLICY` replaces both. A broken file is reported and changes nothing.

use std::path::{Path, PathBuf};

use countersign_event::content::{Full, THRESHOLD_BYTES_DEFAULT, Tiers};
use countersign_event::digest;
use globset::{Glob, GlobSet, GlobSetBuilder};
use serde::Deserialize;

/// Where a repository keeps its policy.
const REPOSITORY_FILE: &str = ".countersign/policy.toml";

/// The policy in force for one repository.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    /// When texts are kept.
    pub(crate) tiers: Tiers,
    /// Nothing of this repository is recorded.
    pub(crate) off: bool,
    sensitive: GlobSet,
    /// What was wrong with the files, in words.
    pub(crate) problems: Vec<String>,
}

#[derive(Deserialize, Default)]
struct Raw {
    #[serde(default)]
    tiers: RawTiers,
    #[serde(default)]
    sensitive: RawSensitive,
    #[serde(default)]
    capture: RawCapture,
}

#[derive(Deserialize, Default)]
struct RawTiers {
    full: Option<Full>,
    threshold_bytes: Option<u64>,
}

#[derive(Deserialize, Default)]
struct RawSensitive {
    #[serde(default)]
    paths: Vec<String>,
}

#[derive(Deserialize, Default)]
struct RawCapture {
    off: Option<bool>,
}

impl Policy {
    /// Reads the policy for a repository (`None` for a file outside of any).
    pub(crate) fn load(config_dir: &Path, override_file: Option<&Path>, repository: Option<&Path>) -> Policy {
        let mut problems = Vec::new();
        let mut names = Vec::new();
        let mut read = |file: PathBuf| -> Option<Raw> {
            let text = match std::fs::read_to_string(&file) {
                Ok(text) => text,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
                Err(error) => {
                    problems.push(format!("{}: {error}", file.display()));
                    return None;
                }
            };
            match toml::from_str(&text) {
                Ok(raw) => {
                    names.push(digest::text_id(text.as_bytes())[..12].to_owned());
                    Some(raw)
                }
                Err(error) => {
                    problems.push(format!("{}: {error}", file.display()));
                    None
                }
            }
        };
        let (user, own) = match override_file {
            Some(file) => (read(file.to_owned()), None),
            None => {
                (read(config_dir.join("policy.toml")), repository.and_then(|root| read(root.join(REPOSITORY_FILE))))
            }
        };
        let mut policy = Policy::merge(user.unwrap_or_default(), own.unwrap_or_default(), &mut problems);
        if !names.is_empty() {
            policy.tiers.policy = names.join("+");
        }
        policy.problems = problems;
        policy
    }

    fn merge(user: Raw, own: Raw, problems: &mut Vec<String>) -> Policy {
        let rank = |full: Full| match full {
            Full::Never => 0,
            Full::Threshold => 1,
            Full::Always => 2,
        };
        let floor = user.tiers.full.unwrap_or(Full::Threshold);
        let full = own.tiers.full.filter(|&own| rank(own) > rank(floor)).unwrap_or(floor);
        let floor = user.tiers.threshold_bytes.unwrap_or(THRESHOLD_BYTES_DEFAULT);
        let threshold_bytes = own.tiers.threshold_bytes.map_or(floor, |own| own.min(floor));
        let off = match user.capture.off {
            Some(decided) => decided,
            None => own.capture.off.unwrap_or(false),
        };
        let mut builder = GlobSetBuilder::new();
        for pattern in user.sensitive.paths.iter().chain(&own.sensitive.paths) {
            match Glob::new(pattern) {
                Ok(glob) => {
                    builder.add(glob);
                }
                Err(error) => problems.push(format!("sensitive path {pattern:?}: {error}")),
            }
        }
        Policy {
            tiers: Tiers { full, threshold_bytes, policy: "default".to_owned() },
            off,
            sensitive: builder.build().unwrap_or_default(),
            problems: Vec::new(),
        }
    }

    /// Tells whether policy names this path (relative to the repository's root, with `/`).
    pub(crate) fn is_sensitive(&self, path: &str) -> bool {
        self.sensitive.is_match(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(user: &str, own: &str) -> Policy {
        Policy::merge(toml::from_str(user).unwrap(), toml::from_str(own).unwrap(), &mut Vec::new())
    }

    #[test]
    fn a_repository_may_only_record_more() {
        let more = policy("", "[tiers]\nfull = 'always'\nthreshold_bytes = 10");
        assert_eq!((more.tiers.full, more.tiers.threshold_bytes), (Full::Always, 10));
        let less = policy("[tiers]\nfull = 'always'", "[tiers]\nfull = 'never'\nthreshold_bytes = 99999");
        assert_eq!((less.tiers.full, less.tiers.threshold_bytes), (Full::Always, 1024));
    }

    #[test]
    fn a_repository_may_opt_out_unless_the_user_forbids_it() {
        assert!(policy("", "[capture]\noff = true").off);
        assert!(!policy("[capture]\noff = false", "[capture]\noff = true").off);
    }

    #[test]
    fn sensitive_paths_are_globs_over_the_path_in_the_repository() {
        let policy = policy("[sensitive]\npaths = ['**/auth/**', '*.tf']", "");
        assert!(policy.is_sensitive("src/auth/login.py"));
        assert!(policy.is_sensitive("main.tf"));
        assert!(!policy.is_sensitive("src/author.py"));
    }

    #[test]
    fn a_broken_file_is_reported_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("p.toml");
        std::fs::write(&file, "[tiers]\nfull = 'sometimes'").unwrap();
        let policy = Policy::load(dir.path(), Some(&file), None);
        assert_eq!(policy.tiers, Tiers::default());
        assert_eq!(policy.problems.len(), 1);
    }
}
