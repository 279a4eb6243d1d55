//! The part of the capture policy that decides which texts are kept: tiers, sensitive paths, opt-out.
//!
//! The user's policy comes first; a repository's file may only record more, never less, but it may
//! opt out of capture, whole or by paths, unless the user's policy forbids that with `[capture] off = false`.
//! `COUNTERSIGN_POLICY` replaces both. A broken file is reported and changes nothing.

use std::path::{Path, PathBuf};

use countersign_event::content::{Full, THRESHOLD_BYTES_DEFAULT, Tiers};
use countersign_event::digest;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::Deserialize;

/// What is sensitive where nobody says otherwise: authentication and permissions, identity and access
/// management, network policy, credentials, pipelines, compliance. A user's or organisation's own list
/// takes its place.
const SENSITIVE_DEFAULT: [&str; 33] = [
    "**/{auth,authn,authz,oauth,oauth2,sso,login,session,sessions}/**",
    "**/{auth,authn,authz,oauth,oauth2,sso,login,session}.*",
    "**/*{_auth,-auth,auth_,auth-,authentication,authorization,authorisation}*",
    "**/{permission,permissions,rbac,acl,access_control,access-control}/**",
    "**/{permission,permissions,rbac,acl,access_control,access-control}.*",
    "**/iam/**",
    "**/*iam*.{tf,json,yml,yaml}",
    "**/{policy,policies}/**/*.{json,yml,yaml,rego}",
    "**/{network,networking,firewall,security_group,security-group}/**",
    "**/*{firewall,security_group,security-group,network_policy,networkpolicy,network-policy}*",
    "**/{nginx,haproxy,envoy}*.{conf,cfg,yml,yaml}",
    "**/*ingress*.{yml,yaml}",
    "**/.env",
    "**/.env.*",
    "**/{secret,secrets,credential,credentials,vault,keys}/**",
    "**/*{secret,credential,password,passwd}*",
    "**/*.{pem,key,p12,pfx,jks,keystore}",
    "**/{crypto,cryptography,encryption}/**",
    "**/*{crypto,encryption}*",
    "**/.github/workflows/**",
    "**/.github/actions/**",
    "**/.gitlab-ci.yml",
    "**/.gitlab/ci/**",
    "**/{Jenkinsfile,Jenkinsfile.*}",
    "**/.circleci/**",
    "**/.buildkite/**",
    "**/{azure-pipelines,bitbucket-pipelines,cloudbuild}.{yml,yaml}",
    "**/.drone.yml",
    "**/{compliance,audit,gdpr,hipaa,pci,sox}/**",
    "**/*{gdpr,hipaa,pci_dss,audit_log,auditlog}*",
    "**/.npmrc",
    "**/.netrc",
    "**/.countersign/**",
];

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
    excluded: GlobSet,
    /// The patterns of the paths of which nothing is recorded.
    pub(crate) exclude: Vec<String>,
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
    paths: Option<Vec<String>>,
}

#[derive(Deserialize, Default)]
struct RawCapture {
    off: Option<bool>,
    exclude: Option<Vec<String>>,
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
        let own_list = own.sensitive.paths.unwrap_or_default();
        let list = user.sensitive.paths.unwrap_or_else(|| SENSITIVE_DEFAULT.map(str::to_owned).to_vec());
        let sensitive = patterns("sensitive path", list.iter().chain(&own_list), problems);
        let mut exclude = user.capture.exclude.unwrap_or_default();
        if user.capture.off != Some(false) {
            exclude.extend(own.capture.exclude.unwrap_or_default());
        }
        Policy {
            tiers: Tiers { full, threshold_bytes, policy: "default".to_owned() },
            off,
            sensitive,
            excluded: patterns("excluded path", exclude.iter(), problems),
            exclude,
            problems: Vec::new(),
        }
    }

    /// Tells whether nothing of this path (relative to the repository's root, with `/`) is recorded.
    pub(crate) fn is_excluded(&self, path: &str) -> bool {
        self.excluded.is_match(path)
    }

    /// Tells whether policy names this path (relative to the repository's root, with `/`).
    pub(crate) fn is_sensitive(&self, path: &str) -> bool {
        self.sensitive.is_match(path)
    }
}

fn patterns<'a>(what: &str, list: impl Iterator<Item = &'a String>, problems: &mut Vec<String>) -> GlobSet {
    let mut builder = GlobSetBuilder::new();
    for pattern in list {
        match GlobBuilder::new(pattern).case_insensitive(true).build() {
            Ok(glob) => {
                builder.add(glob);
            }
            Err(error) => problems.push(format!("{what} {pattern:?}: {error}")),
        }
    }
    builder.build().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(user: &str, own: &str) -> Policy {
        let mut problems = Vec::new();
        let policy = Policy::merge(toml::from_str(user).unwrap(), toml::from_str(own).unwrap(), &mut problems);
        Policy { problems, ..policy }
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
    fn paths_may_be_left_out_by_the_user_and_where_they_allow_it_by_the_repository() {
        let both = policy("[capture]\nexclude = ['diary/**']", "[capture]\nexclude = ['*.secret']");
        assert!(both.is_excluded("diary/monday.md") && both.is_excluded("a.secret") && !both.is_excluded("a.py"));
        let forced = policy("[capture]\noff = false\nexclude = ['diary/**']", "[capture]\nexclude = ['*.secret']");
        assert!(forced.is_excluded("diary/monday.md") && !forced.is_excluded("a.secret"));
        assert_eq!(policy("[capture]\nexclude = ['{']", "").problems.len(), 1);
    }

    #[test]
    fn sensitive_paths_are_globs_over_the_path_in_the_repository() {
        let policy = policy("[sensitive]\npaths = ['**/auth/**', '*.tf']", "");
        assert!(policy.is_sensitive("src/auth/login.py"));
        assert!(policy.is_sensitive("main.tf"));
        assert!(!policy.is_sensitive("src/author.py"));
    }

    #[test]
    fn a_list_of_ones_own_takes_the_place_of_the_defaults_and_a_repository_only_adds() {
        let both = policy("[sensitive]\npaths = ['*.tf']", "[sensitive]\npaths = ['billing/**']");
        assert!(both.is_sensitive("main.tf") && both.is_sensitive("billing/a.py"));
        assert!(!both.is_sensitive("src/auth/login.py"));
        assert!(policy("", "[sensitive]\npaths = ['billing/**']").is_sensitive("src/auth/login.py"));
    }

    #[test]
    fn what_touches_access_networks_credentials_pipelines_and_compliance_is_sensitive_by_default() {
        let policy = policy("", "");
        for path in [
            "src/auth/login.py",
            "app/middleware/authentication.ts",
            "server/user_auth.go",
            "lib/rbac/roles.rb",
            "infra/iam/roles.tf",
            "infra/ci-iam.json",
            "k8s/NetworkPolicy.yaml",
            "deploy/nginx.conf",
            "infra/security_group.tf",
            ".env",
            "service/.env.production",
            "config/secrets/prod.yml",
            "src/password_reset.py",
            "certs/server.pem",
            "src/crypto/aes.rs",
            ".github/workflows/release.yml",
            ".gitlab-ci.yml",
            "Jenkinsfile",
            "src/compliance/report.py",
            "src/gdpr_export.py",
        ] {
            assert!(policy.is_sensitive(path), "{path}");
        }
        for path in
            ["src/author.py", "src/main.rs", "docs/readme.md", "src/keyboard.ts", "src/monkey.py", "src/diagram.py"]
        {
            assert!(!policy.is_sensitive(path), "{path}");
        }
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
