//! What we ask git: which repository a file is in, its identity, HEAD, and whose e-mail it has.
//!
//! Only the `git` binary answers, with optional locks off, so that no command of the user's ever
//! waits for ours. Nothing here runs on the path of a keystroke.

pub(crate) mod attested;
pub(crate) mod attribute;
pub(crate) mod blame;
pub(crate) mod graph;
pub(crate) mod hooks;
pub(crate) mod objects;
pub(crate) mod settle;
pub(crate) mod state;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long an answer about HEAD is believed.
const HEAD_FRESH: Duration = Duration::from_secs(2);

/// A repository we have met.
#[derive(Clone, Debug)]
pub(crate) struct Repository {
    /// The root of its work tree.
    pub(crate) root: PathBuf,
    /// Root commit and normalised remote; `None` before the first commit.
    pub(crate) id: Option<String>,
    /// HEAD's commit.
    pub(crate) head: Option<String>,
    /// git's `user.email` there.
    pub(crate) email: Option<String>,
    head_read: Instant,
}

/// Every repository this process has met, by directory.
#[derive(Default)]
pub(crate) struct Repositories {
    by_root: HashMap<PathBuf, Repository>,
}

impl Repositories {
    /// Returns the repository that holds `file`. Cost: a walk up the directories; the first time a few
    /// milliseconds of git, later one `git rev-parse` every two seconds.
    pub(crate) fn of_file(&mut self, file: &Path) -> Option<&Repository> {
        let root = root_of(file.parent()?)?;
        self.of_root(root)
    }

    /// Takes over what somebody found out about a repository, its HEAD just now.
    pub(crate) fn remember(&mut self, root: PathBuf, id: Option<String>, email: Option<String>, head: Option<String>) {
        self.by_root.insert(root.clone(), Repository { root, id, head, email, head_read: Instant::now() });
    }

    /// Returns the repository with this root.
    pub(crate) fn of_root(&mut self, root: PathBuf) -> Option<&Repository> {
        let repository = self.by_root.entry(root.clone()).or_insert_with(|| Repository {
            id: identity(&root),
            head: ask(&root, &["rev-parse", "--verify", "--quiet", "HEAD"]),
            email: ask(&root, &["config", "user.email"]),
            root,
            head_read: Instant::now(),
        });
        if repository.head_read.elapsed() > HEAD_FRESH {
            repository.head = ask(&repository.root, &["rev-parse", "--verify", "--quiet", "HEAD"]);
            if repository.id.is_none() {
                repository.id = identity(&repository.root);
            }
            repository.head_read = Instant::now();
        }
        Some(repository)
    }
}

/// Returns git's `user.email` as it stands in a directory, in a repository or not.
pub(crate) fn email(dir: &Path) -> Option<String> {
    ask(dir, &["config", "user.email"])
}

/// Returns the nearest directory at or above `dir` that holds `.git` (a directory, or a file in a
/// linked work tree).
pub(crate) fn root_of(dir: &Path) -> Option<PathBuf> {
    dir.ancestors().find(|dir| dir.join(".git").exists()).map(Path::to_owned)
}

/// A repository's ID: its root commit and its normalised remote, so that two clones have the same.
fn identity(root: &Path) -> Option<String> {
    let roots = ask(root, &["rev-list", "--max-parents=0", "HEAD"])?;
    identity_of(&roots, ask(root, &["config", "--get", "remote.origin.url"]))
}

/// Makes the ID of what git answered: root commits, one a line, and the remote's URL.
pub(crate) fn identity_of(roots: &str, remote: Option<String>) -> Option<String> {
    let first = roots.lines().min()?;
    Some(match remote {
        Some(remote) => format!("{first}@{}", normalise_remote(&remote)),
        None => first.to_owned(),
    })
}

/// Writes a remote the same way however it was cloned: host and path, no scheme, user, port or `.git`.
fn normalise_remote(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let has_scheme = rest.len() != url.len();
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let (host, path) = if has_scheme {
        rest.split_once('/').unwrap_or((rest, ""))
    } else {
        rest.split_once(':').unwrap_or(("", rest))
    };
    let host = host.split(':').next().unwrap_or(host).to_lowercase();
    let path = path.trim_matches('/').trim_end_matches(".git");
    if host.is_empty() { path.to_owned() } else { format!("{host}/{path}") }
}

fn ask(dir: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(dir)
        .args(args)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    if !output.status.success() {
        return None;
    }
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim_end();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_remote_has_one_name_however_it_was_cloned() {
        for url in [
            "https://github.com/acme/app.git",
            "https://token@github.com/acme/app",
            "git@github.com:acme/app.git",
            "ssh://git@GitHub.com:22/acme/app.git/",
        ] {
            assert_eq!(normalise_remote(url), "github.com/acme/app", "{url}");
        }
        assert_eq!(normalise_remote("/srv/git/app.git"), "srv/git/app");
    }

    #[test]
    fn a_repository_is_found_from_a_file_below_it_and_knows_its_head() {
        let dir = tempfile::tempdir().unwrap();
        let git = |args: &[&str]| assert!(ask(dir.path(), args).is_some() || args[0] != "rev-parse");
        git(&["init", "-q"]);
        git(&["config", "user.email", "dev@example.org"]);
        git(&["-c", "user.name=Dev", "commit", "-q", "--allow-empty", "-m", "first"]);
        let below = dir.path().join("a/b");
        std::fs::create_dir_all(&below).unwrap();
        let mut repositories = Repositories::default();
        let repository = repositories.of_file(&below.join("c.py")).unwrap();
        assert_eq!(repository.root, dir.path());
        assert_eq!(repository.email.as_deref(), Some("dev@example.org"));
        assert_eq!(repository.id, repository.head);
        assert_eq!(repository.id.as_ref().unwrap().len(), 40);
    }
}
