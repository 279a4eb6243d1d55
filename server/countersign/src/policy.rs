//! The policy in force: which texts are kept, which paths are sensitive, what is opted out, which
//! findings are accepted and what the others ask for.
//!
//! The user's policy comes first; a repository's file may only record more, never less, but it may
//! opt out of capture, whole or by paths, unless the user's policy forbids that with `[capture] off = false`.
//! It may accept findings, unless the user's policy names their rule in `[rules] required`.
//! `COUNTERSIGN_POLICY` replaces both. A broken file is reported and changes nothing.

mod allow;
mod condition;
mod source;

use std::path::Path;

use countersign_event::Timestamp;
use countersign_event::content::{Full, THRESHOLD_BYTES_DEFAULT, Tiers};
use countersign_risk::Finding;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use allow::Allow;
use condition::Require;
use source::{Source, Text};

pub(crate) use source::Problem;

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
    allow: Vec<Allow>,
    require: Vec<Require>,
    /// What is wrong with the files, and where.
    pub(crate) problems: Vec<Problem>,
}

/// What policy asks of a finding.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Asked {
    /// In the order they are written, each once.
    pub(crate) obligations: Vec<String>,
    /// It must not stay.
    pub(crate) block: bool,
}

impl Policy {
    /// Reads the policy for a repository (`None` for a file outside of any).
    pub(crate) fn load(config_dir: &Path, override_file: Option<&Path>, repository: Option<&Path>) -> Policy {
        let mut problems = Vec::new();
        let mut read = |file| Source::read(file, &mut problems).unwrap_or_default();
        let (user, own) = match override_file {
            Some(file) => (read(file.to_owned()), Source::default()),
            None => (
                read(config_dir.join("policy.toml")),
                repository.map(|root| read(root.join(REPOSITORY_FILE))).unwrap_or_default(),
            ),
        };
        Policy::merge(&user, &own, problems)
    }

    /// Says what is wrong with a text that somebody writes as a policy, an entry that has run out included.
    pub(crate) fn problems_of(text: &str, now: Timestamp) -> Vec<Problem> {
        let mut problems = Vec::new();
        let Some(source) = Source::of_text(REPOSITORY_FILE.into(), text.to_owned(), &mut problems) else {
            return problems;
        };
        let policy = Policy::merge(&Source::default(), &source, problems);
        let expired: Vec<Problem> = policy.expired(now).cloned().collect();
        policy.problems.into_iter().chain(expired).collect()
    }

    /// Tells whether a document is a repository's policy.
    pub(crate) fn is_of_repository(uri: &str) -> bool {
        uri.strip_suffix(REPOSITORY_FILE).is_some_and(|before| before.ends_with('/'))
    }

    fn merge(user: &Source, own: &Source, mut problems: Vec<Problem>) -> Policy {
        let rank = |full: Full| match full {
            Full::Never => 0,
            Full::Threshold => 1,
            Full::Always => 2,
        };
        let floor = user.raw.tiers.full.unwrap_or(Full::Threshold);
        let full = own.raw.tiers.full.filter(|&own| rank(own) > rank(floor)).unwrap_or(floor);
        let floor = user.raw.tiers.threshold_bytes.unwrap_or(THRESHOLD_BYTES_DEFAULT);
        let threshold_bytes = own.raw.tiers.threshold_bytes.map_or(floor, |own| own.min(floor));
        let off = match user.raw.capture.off {
            Some(decided) => decided,
            None => own.raw.capture.off.unwrap_or(false),
        };
        let defaults: Vec<Text> = SENSITIVE_DEFAULT.iter().map(|path| Text::new(0..0, (*path).to_owned())).collect();
        let list = in_file(user, user.raw.sensitive.paths.as_ref().or(Some(&defaults)));
        let sensitive =
            patterns("sensitive path", list.chain(in_file(own, own.raw.sensitive.paths.as_ref())), &mut problems);
        let mut exclude: Vec<(&Source, &Text)> = in_file(user, user.raw.capture.exclude.as_ref()).collect();
        if user.raw.capture.off != Some(false) {
            exclude.extend(in_file(own, own.raw.capture.exclude.as_ref()));
        }
        let excluded = patterns("excluded path", exclude.iter().copied(), &mut problems);
        let required = user.raw.rules.required.as_deref().unwrap_or_default();
        let mut allow: Vec<Allow> =
            user.raw.allow.iter().filter_map(|raw| Allow::of(raw, user, &mut problems)).collect();
        for raw in &own.raw.allow {
            match Allow::of(raw, own, &mut problems) {
                Some(entry) if required.iter().any(|rule| entry.is_about(rule)) => {
                    problems
                        .push(own.wrong(&raw.rule, "the user's policy requires this rule: it can't be allowed here"));
                }
                entry => allow.extend(entry),
            }
        }
        let mut require = Vec::new();
        for source in [user, own] {
            require.extend(source.raw.require.iter().filter_map(|raw| Require::of(raw, source, &mut problems)));
        }
        let names: Vec<String> = [user, own].iter().filter_map(|source| source.name()).collect();
        let policy = if names.is_empty() { "default".to_owned() } else { names.join("+") };
        Policy {
            tiers: Tiers { full, threshold_bytes, policy },
            off,
            sensitive,
            excluded,
            exclude: exclude.into_iter().map(|(_, pattern)| pattern.get_ref().clone()).collect(),
            allow,
            require,
            problems,
        }
    }

    /// Says by whose word `finding` is allowed at `path`, and why, if it is.
    pub(crate) fn allowed(&self, path: &str, finding: &Finding, now: Timestamp) -> Option<String> {
        self.allow.iter().find_map(|entry| entry.allows(path, finding, now))
    }

    /// Names the entries of the allowlist that have run out.
    pub(crate) fn expired(&self, now: Timestamp) -> impl Iterator<Item = &Problem> {
        self.allow.iter().filter_map(move |entry| entry.expired(now))
    }

    /// Says what is asked of `finding` at `path`.
    pub(crate) fn asks(&self, path: &str, finding: &Finding) -> Asked {
        let mut asked = Asked::default();
        let sensitive = self.is_sensitive(path);
        for require in self.require.iter().filter(|require| require.is_met(finding, path, sensitive)) {
            asked.block |= require.block;
            for obligation in &require.obligations {
                if !asked.obligations.contains(obligation) {
                    asked.obligations.push(obligation.clone());
                }
            }
        }
        asked
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

fn in_file<'s>(source: &'s Source, list: Option<&'s Vec<Text>>) -> impl Iterator<Item = (&'s Source, &'s Text)> {
    list.into_iter().flatten().map(move |text| (source, text))
}

fn patterns<'a>(
    what: &str,
    list: impl Iterator<Item = (&'a Source, &'a Text)>,
    problems: &mut Vec<Problem>,
) -> GlobSet {
    let mut builder = GlobSetBuilder::new();
    for (source, pattern) in list {
        match GlobBuilder::new(pattern.get_ref()).case_insensitive(true).build() {
            Ok(glob) => {
                builder.add(glob);
            }
            Err(error) => problems.push(source.wrong(pattern, format!("{what} {:?}: {error}", pattern.get_ref()))),
        }
    }
    builder.build().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(user: &str, own: &str) -> Policy {
        Policy::merge(&Source::of(user), &Source::of(own), Vec::new())
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
        let told: Vec<String> = policy.problems.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("p.toml:2:8: "), "{told:?}");
    }

    fn finding(rule: &str) -> Finding {
        let text = if rule == "tls-off" { "requests.get(url, verify=False)\n" } else { "os.system(cmd)\n" };
        let findings = countersign_risk::Engine::new().check(countersign_risk::Language::Python, text).findings;
        let found = findings.into_iter().find(|finding| rule == "tls-off" || finding.cwe == ["CWE-78"]);
        Finding { rule: rule.to_owned(), ..found.unwrap() }
    }

    fn at(day: &str) -> Timestamp {
        Timestamp::from_millis(format!("{day}T12:00:00Z").parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    const ALLOW: &str = "[[allow]]\nrule = 'tls-off'\npaths = ['lab/**']\nowner = 'kim'\nreason = 'lab only'\n\
                         expires = '2026-06-30'\n";

    #[test]
    fn an_allowed_finding_is_allowed_where_and_until_it_says_and_then_told() {
        let policy = policy("", ALLOW);
        let finding = finding("tls-off");
        let allowed = policy.allowed("lab/a.py", &finding, at("2026-06-30"));
        assert_eq!(allowed.as_deref(), Some("allowed by kim until 2026-06-30: lab only"));
        assert_eq!(policy.allowed("src/a.py", &finding, at("2026-06-30")), None);
        assert_eq!(policy.allowed("lab/a.py", &finding, at("2026-07-01")), None);
        assert_eq!(policy.expired(at("2026-06-30")).count(), 0);
        let told: Vec<String> = policy.expired(at("2026-07-01")).map(ToString::to_string).collect();
        assert_eq!(told, ["policy.toml:2:8: what kim allowed for tls-off held until 2026-06-30 and is reported again"]);
    }

    #[test]
    fn an_entry_without_owner_reason_or_day_does_not_hold_and_the_place_is_told() {
        for (from, to, place) in
            [("'kim'", "' '", ":4:9: "), ("'lab only'", "''", ":5:10: "), ("06-30", "6-31", ":6:11: ")]
        {
            let policy = policy("", &ALLOW.replace(from, to));
            assert_eq!(policy.allowed("lab/a.py", &finding("tls-off"), at("2026-01-01")), None);
            assert!(policy.problems[0].to_string().contains(place), "{:?}", policy.problems);
        }
    }

    #[test]
    fn a_repository_cannot_allow_what_the_user_requires() {
        let policy = policy("[rules]\nrequired = ['tls-off']", ALLOW);
        assert_eq!(policy.allowed("lab/a.py", &finding("tls-off"), at("2026-01-01")), None);
        assert_eq!(policy.problems.len(), 1);
    }

    #[test]
    fn conditions_ask_about_findings_and_both_files_count() {
        let user =
            "[[require]]\nwhen = \"severity == 'high' && sensitive\"\nobligations = ['review:security']\nblock = true";
        let own = "[[require]]\nwhen = \"'CWE-78' in cwe && path.startsWith('src/')\"\nobligations = ['test', 'review:security']";
        let policy = policy(user, own);
        assert_eq!(policy.problems, []);
        let asked = policy.asks("src/auth/login.py", &finding("shell"));
        assert_eq!((asked.obligations, asked.block), (vec!["review:security".to_owned(), "test".to_owned()], true));
        assert_eq!(policy.asks("lib/a.py", &finding("shell")), Asked::default());
    }

    #[test]
    fn a_condition_that_is_wrong_unknown_or_could_run_for_long_is_told_at_its_place() {
        let deep = format!("{}true{}", "(".repeat(200), ")".repeat(200));
        let long = format!("path == '{}'", "x".repeat(600));
        for when in ["severity ==", "author == 'x'", "[1, 2].all(a, [1, 2].all(b, a < b))", &deep, &long] {
            let policy = policy("", &format!("[[require]]\nwhen = \"{when}\"\nblock = true"));
            assert_eq!(policy.problems.len(), 1, "{when}");
            assert!(policy.problems[0].to_string().starts_with("policy.toml:2:8: "), "{:?}", policy.problems);
            assert!(!policy.asks("a.py", &finding("shell")).block);
        }
    }

    #[test]
    fn a_key_nobody_knows_is_told_and_the_rest_holds() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("p.toml");
        std::fs::write(&file, "[tiers]\nfull = 'always'\nful = 1\n[futur]\nx = 1\n").unwrap();
        let policy = Policy::load(dir.path(), Some(&file), None);
        assert_eq!(policy.tiers.full, Full::Always);
        let told: Vec<String> = policy.problems.iter().map(ToString::to_string).collect();
        assert!(told.iter().any(|line| line.ends_with("p.toml:3:1: \"ful\" means nothing in \"tiers\"")), "{told:?}");
        assert!(told.iter().any(|line| line.ends_with("p.toml:4:2: \"futur\" means nothing here")), "{told:?}");
    }

    #[test]
    fn the_schema_of_the_file_is_the_one_beside_the_sources() {
        let mut schema = serde_json::to_string_pretty(&schemars::schema_for!(source::Raw)).unwrap();
        schema.push('\n');
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("policy.schema.json");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&file, &schema).unwrap();
        }
        assert!(std::fs::read_to_string(&file).unwrap_or_default() == schema, "run again with UPDATE_EXPECT=1");
    }
}
