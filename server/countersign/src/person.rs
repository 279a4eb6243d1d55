//! Who is accountable: whoever signed in to the tool, then git's identity, then the system's account.
//!
//! A bot, an agent or a pipeline is never a person, whatever identity it runs under.

use countersign_event::facts::{Person, PersonVia};
use countersign_event::{Absent, Fact};
use countersign_spool::Device;

/// Environment variables that only build servers set.
const PIPELINES: &[&str] = &[
    "APPVEYOR",
    "BITBUCKET_BUILD_NUMBER",
    "BUILDKITE",
    "CIRCLECI",
    "CODEBUILD_BUILD_ID",
    "DRONE",
    "GITHUB_ACTIONS",
    "GITLAB_CI",
    "JENKINS_URL",
    "TEAMCITY_VERSION",
    "TF_BUILD",
    "TRAVIS",
];

/// Addresses under which agents commit; a `*` stands for anything.
const AGENTS: &[&str] = &[
    "*[bot]@users.noreply.github.com",
    "*-bot@*",
    "bot@*",
    "*@bots.gitlab.com",
    "action@github.com",
    "copilot@github.com",
    "*+copilot@users.noreply.github.com",
    "noreply@anthropic.com",
    "*@openai.com",
    "cursoragent@cursor.com",
    "gemini-code-assist@google.com",
    "aider@aider.chat",
    "noreply@aider.chat",
    "openhands@all-hands.dev",
    "noreply@opencode.ai",
    "amp@ampcode.com",
    "droid@factory.ai",
    "devin-ai-integration@*",
    "project_*_bot*@noreply.*",
];

/// What this process knows of the person in front of it.
#[derive(Debug, Default)]
pub(crate) struct Persons {
    /// The operating system's account.
    account: Option<String>,
    /// Whoever is signed in to the tool that is watched, as it says.
    signed_in: Option<String>,
    is_pipeline: bool,
}

impl Persons {
    /// Reads the environment.
    pub(crate) fn from_env() -> Persons {
        let is_pipeline = PIPELINES.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
        Persons { account: account(), signed_in: None, is_pipeline }
    }

    /// Takes the account by which somebody signed in to the tool.
    pub(crate) fn signed_in(&mut self, account: String) {
        self.signed_in = Some(account).filter(|account| !account.trim().is_empty());
    }

    /// Returns the pseudonyms under which this device records whoever sits before it, git's identity first.
    pub(crate) fn pseudonyms(&self, device: &Device, email: Option<&str>) -> Vec<String> {
        let names = email.into_iter().chain(self.account.as_deref()).filter(|name| !is_agent(name));
        if self.is_pipeline { Vec::new() } else { names.map(|name| device.pseudonym(name)).collect() }
    }

    /// Returns whose act it is, in a repository with this `user.email`.
    pub(crate) fn fact(&self, device: &Device, email: Option<&str>) -> Fact<Person> {
        let person = |who: &str, via| Person { id: device.pseudonym(who), via: Some(via) };
        if self.is_pipeline {
            return Fact::absent(Absent::Headless);
        }
        match (&self.signed_in, email, &self.account) {
            (Some(account), ..) if !is_agent(account) => Fact::reported(person(account, PersonVia::Sso)),
            (_, Some(email), _) if is_agent(email) => Fact::absent(Absent::Headless),
            (_, Some(email), _) => Fact::reported(person(email, PersonVia::Git)),
            (_, None, Some(account)) => Fact::observed(person(account, PersonVia::Os)),
            (_, None, None) => Fact::absent(Absent::NotSignedIn),
        }
    }
}

/// Says whether an identity is one of a bot or an agent.
fn is_agent(identity: &str) -> bool {
    let identity = identity.trim().to_ascii_lowercase();
    identity.ends_with("[bot]") || AGENTS.iter().any(|pattern| matches(pattern, &identity))
}

/// Says whether a text has the shape of a pattern in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|tail| {
            let mut places = tail.char_indices().map(|(at, _)| at).chain([tail.len()]);
            places.any(|at| matches(rest, &tail[at..]))
        }),
    }
}

/// The operating system's account: its name, or its number where the environment has no name.
pub(crate) fn account() -> Option<String> {
    let name = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
    ["USER", "LOGNAME", "USERNAME"].iter().find_map(name).or_else(user_number)
}

#[cfg(unix)]
fn user_number() -> Option<String> {
    Some(format!("uid:{}", rustix::process::getuid().as_raw()))
}

#[cfg(not(unix))]
fn user_number() -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How a person is known, or why there is none.
    fn known(signed_in: Option<&str>, email: Option<&str>, account: Option<&str>, is_pipeline: bool) -> String {
        let home = tempfile::tempdir().unwrap();
        let device = Device::load_or_create(home.path()).unwrap();
        let mut persons = Persons { account: account.map(str::to_owned), signed_in: None, is_pipeline };
        if let Some(account) = signed_in {
            persons.signed_in(account.to_owned());
        }
        let fact = serde_json::to_value(persons.fact(&device, email)).unwrap();
        let word = |name: &str| fact[name].as_str().map(str::to_owned);
        match word("absent") {
            Some(absent) => absent,
            None => format!("{} {}", word("via").unwrap(), word("how").unwrap()),
        }
    }

    #[test]
    fn whoever_signed_in_comes_first_then_git_then_the_account() {
        let (dev, ann) = (Some("ann@example.com"), Some("ann"));
        assert_eq!(known(Some("ann-at-work"), dev, ann, false), "sso reported");
        assert_eq!(known(None, dev, ann, false), "git reported");
        assert_eq!(known(Some(" "), dev, ann, false), "git reported");
        assert_eq!(known(None, None, ann, false), "os observed");
        assert_eq!(known(None, None, None, false), "not_signed_in");
    }

    #[test]
    fn bots_agents_and_pipelines_are_never_a_person() {
        let ann = Some("ann");
        for email in [
            "49699333+dependabot[bot]@users.noreply.github.com",
            "noreply@anthropic.com",
            "cursoragent@cursor.com",
            "ci-bot@example.com",
            "bot@example.com",
            "198982749+Copilot@users.noreply.github.com",
            "project_17_bot_ab12@noreply.gitlab.example.com",
        ] {
            assert_eq!(known(None, Some(email), ann, false), "headless", "{email}");
        }
        for email in ["abbot@example.com", "robot.wieser@example.com", "12+ann@users.noreply.github.com"] {
            assert_eq!(known(None, Some(email), ann, false), "git reported", "{email}");
        }
        assert_eq!(known(Some("renovate[bot]"), None, ann, false), "os observed");
        assert_eq!(known(Some("ann"), Some("ann@example.com"), ann, true), "headless");
    }
}
