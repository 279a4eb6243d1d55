//! What every rule over settings says about itself.
//!
//! It must never hold a condition: those stand where the tree is read.

use std::ops::Range;

use crate::finding::{Finding, Severity};

/// A rule over settings.
#[derive(Debug)]
pub(super) struct Rule {
    id: &'static str,
    severity: Severity,
    /// Numbers, with spaces between; the first is the closest.
    cwe: &'static str,
    message: &'static str,
    why: &'static str,
    fix: &'static str,
    /// Why the default view folds it away, if it does.
    folded: Option<&'static str>,
}

impl Rule {
    pub(super) fn finding(&self, range: Range<usize>) -> Finding {
        Finding {
            rule: self.id.to_owned(),
            severity: self.severity,
            cwe: self.cwe.split(' ').map(|number| format!("CWE-{number}")).collect(),
            message: self.message.to_owned(),
            range,
            fix_hint: self.fix.to_owned(),
            why: self.why.to_owned(),
            fingerprint: String::new(),
            source: None,
            edit: None,
            folded: self.folded,
        }
    }
}

macro_rules! rules {
    ($($name:ident $id:literal $severity:ident $cwe:literal $message:literal $why:literal $fix:literal $($folded:literal)?;)*) => {
        $(pub(super) const $name: Rule = Rule {
            id: $id,
            severity: Severity::$severity,
            cwe: $cwe,
            message: $message,
            why: $why,
            fix: $fix,
            folded: rules!(@folded $($folded)?),
        };)*

        /// Every rule.
        #[cfg(test)]
        pub(super) const ALL: &[&Rule] = &[$(&$name),*];
    };
    (@folded) => { None };
    (@folded $why:literal) => { Some($why) };
}

#[cfg(test)]
impl Rule {
    pub(super) fn id(&self) -> &'static str {
        self.id
    }
}

rules! {
    IAM_STAR "iam-star" High "269"
        "every action on every resource is allowed"
        "a star makes the first try work, and models are asked for something that works"
        "name the actions and resources that are needed";
    IAM_WIDE "iam-wide" Low "269"
        "actions that can change permissions or data are allowed on every resource"
        "the resource is a star in most examples"
        "name the resources" "hardening";
    ADMIN_GRANT "admin-grant" High "269"
        "an administrator's or owner's role is given away whole"
        "the ready-made role makes the first try work"
        "give a role that holds what is needed";
    SERVICE_DEFAULT "default-identity" Low "269"
        "a default service account is used, which others share and which may do too much"
        "it is there without asking"
        "make an account of its own with the roles that are needed" "hardening";
    PASSWORD_POLICY "password-policy" Low "521 287"
        "a password policy leaves out what makes passwords hard to guess"
        "models write the fields they remember"
        "ask for length, digits, symbols, both cases, and a limit on tries";
    PRINCIPAL_STAR "principal-star" High "732"
        "everybody is allowed to, without a condition"
        "a star makes the first try work"
        "name the principals, or add a condition";
    PUBLIC_STORAGE "public-storage" High "732"
        "what is stored here can be read by everybody"
        "public access is the shortest way to share a file"
        "keep it private and give out signed addresses";
    PUBLIC_ACCESS "public-access" Medium "732"
        "it can be reached from the public network"
        "a public address makes the first try work"
        "keep it on a private network, or allow the addresses that are needed";
    PUBLIC_DEFAULT "public-default" Low "732"
        "nothing here keeps it from the public network, which is the default"
        "models leave out what works without"
        "switch public access off" "hardening";
    OPEN_INGRESS "open-ingress" High "284 668"
        "everybody can reach a port for administration or data"
        "0.0.0.0/0 makes the first try work"
        "allow the addresses that are needed";
    WIDE_INGRESS "wide-ingress" Medium "284 668"
        "everybody can reach this"
        "0.0.0.0/0 makes the first try work"
        "allow the addresses that are needed";
    ANY_RULE "any-rule" Medium "284"
        "a firewall rule lets anything through that it does not have to"
        "any makes the first try work"
        "name sources, destinations, services and applications";
    GUARD_OFF "guard-off" Low "284"
        "a protection that is offered here is not switched on"
        "models leave out what works without"
        "switch it on" "hardening";
    CORS_STAR "cors-star" Medium "942"
        "pages of every origin may call this"
        "a star makes the browser's error go away"
        "name the origins";
    ENCRYPTION_OFF "encryption-off" Medium "311"
        "what is stored or sent here is not encrypted"
        "examples leave it out or switch it off"
        "switch encryption on";
    ENCRYPTION_DEFAULT "encryption-default" Low "311"
        "nothing here asks for encryption, or for a key of one's own"
        "models leave out what works without"
        "switch encryption on and name a key" "hardening";
    KEY_ROTATION "key-rotation" Low "311"
        "a key is never replaced, or is switched off"
        "models leave out what works without"
        "rotate it at least every 90 days" "hardening";
    PLAIN_HTTP "plain-http" Medium "319"
        "it is served or called without encryption"
        "plain HTTP needs no certificate, so examples use it"
        "serve HTTPS and send plain HTTP there";
    OLD_TLS "old-tls" Medium "319"
        "versions of TLS that are broken are accepted"
        "old examples name old versions"
        "ask for TLS 1.2 or newer";
    TLS_DEFAULT "tls-default" Low "319"
        "nothing here asks for encrypted connections or a version of TLS that holds"
        "models leave out what works without"
        "ask for HTTPS and TLS 1.2 or newer" "hardening";
    LOG_OFF "log-off" Medium "778"
        "what happens here is not logged"
        "logging is switched off in examples to save money"
        "switch logging on";
    LOG_DEFAULT "log-default" Low "778"
        "nothing here asks for a log, and without it none is written"
        "models leave out what works without"
        "switch logging on" "hardening";
    PRIVILEGED "k8s-priv" High "250 269"
        "a container may do what only the host should"
        "privileged makes the permission error go away"
        "drop it, and add the one capability that is needed";
    ESCALATION "k8s-escalation" Low "250 269"
        "nothing keeps the process from gaining privileges"
        "models leave out what works without"
        "set allowPrivilegeEscalation: false" "hardening";
    HOST_PORT "host-port" Low "284"
        "a container takes a port of its host"
        "it makes the first try work"
        "put a service in front of it";
    ROLE_STAR "role-star" High "269"
        "a role holds every verb, resource or group"
        "a star makes the first try work"
        "name verbs and resources";
    WF_PERMS "wf-perms" Medium "269"
        "the workflow's token may do more than it has to"
        "workflows work without a permissions block, so models leave it out"
        "add permissions: contents: read, and more only to the job that needs it";
    WF_INJECT "wf-inject" High "94"
        "text that a stranger can choose becomes part of a script"
        "the expression reads like a variable"
        "pass it in env: and use the shell's variable in quotes";
    WF_PRTARGET "wf-prtarget" High "829"
        "a stranger's code is checked out where secrets and a writing token are"
        "it is the shortest way to build a pull request with secrets"
        "use pull_request, or do not run what was checked out";
    WF_UNPINNED "wf-unpinned" Low "829"
        "somebody else can change what this action does tomorrow"
        "examples name tags"
        "pin the whole commit and note the version beside it";
    DOCKER_ROOT "docker-root" Low "250"
        "the container runs as root"
        "images start as root, and examples leave it so"
        "make a user and switch to it with USER";
    DOCKER_REMOTE "docker-remote" Medium "494"
        "what is downloaded is run or kept without a check"
        "install pages say curl | sh"
        "download a fixed version and compare its checksum";
    CHMOD_777 "chmod-777" Medium "732"
        "everybody on the machine may write this"
        "777 makes the permission error go away"
        "give the owner what is needed, and the others less";
    PLAIN_SECRET "secret-setting" Medium "798"
        "a password stands in the settings"
        "models fill in working-looking values"
        "take it from a secret store or a variable";
}
