//! A rule file, read and compiled for one grammar.
//!
//! One bad rule must never stop the others, and must never be silent.

use ast_grep_config::{GlobalRules, RuleConfig, SerializableRuleConfig};
use serde::Deserialize;

use crate::finding::Severity;
use crate::grammar::Grammar;

/// A rule that is ready to run.
pub(crate) struct Rule {
    pub(crate) about: About,
    pub(crate) severity: Severity,
    pub(crate) code: RuleConfig<Grammar>,
}

/// What a rule file says about itself.
#[derive(Debug, Deserialize)]
pub(crate) struct About {
    pub(crate) id: String,
    pub(crate) message: String,
    pub(crate) metadata: Metadata,
}

/// Our part of a rule file.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    /// Weakness identifiers.
    pub(crate) cwe: Vec<String>,
    /// Why models write this.
    pub(crate) why: String,
    /// What to do instead.
    pub(crate) fix: String,
    /// The rule runs only on texts that contain one of these: most texts are never parsed.
    #[serde(default)]
    pub(crate) needs: Vec<String>,
    /// The default view folds its findings away.
    #[serde(default)]
    pub(crate) fold: bool,
}

/// Why a rule is switched off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RuleError {
    /// Not YAML, or without what every rule must say.
    #[error("unreadable: {0}")]
    Unreadable(String),
    /// Readable, but no rule.
    #[error("not a rule: {0}")]
    Invalid(String),
}

impl Rule {
    /// Compiles `yaml` for `grammar`; `None` when the rule is for another language.
    pub(crate) fn compile(yaml: &str, grammar: Grammar) -> Option<Result<Self, RuleError>> {
        let about: About = match ast_grep_config::from_str(yaml) {
            Ok(about) => about,
            Err(error) => return Some(Err(RuleError::Unreadable(error.to_string()))),
        };
        let mut code: SerializableRuleConfig<Grammar> = match ast_grep_config::from_str(yaml) {
            Ok(code) => code,
            Err(error) => return Some(Err(RuleError::Unreadable(error.to_string()))),
        };
        let runs = code.language == grammar || (code.language, grammar) == (Grammar::TypeScript, Grammar::Tsx);
        if !runs {
            return None;
        }
        code.language = grammar;
        let severity = match code.severity {
            ast_grep_config::Severity::Off => return None,
            ast_grep_config::Severity::Hint | ast_grep_config::Severity::Info => Severity::Low,
            ast_grep_config::Severity::Warning => Severity::Medium,
            ast_grep_config::Severity::Error => Severity::High,
        };
        let code = RuleConfig::try_from(code, &GlobalRules::default());
        Some(match code {
            Ok(code) => Ok(Self { about, severity, code }),
            Err(error) => Err(RuleError::Invalid(chain(&error))),
        })
    }

    /// Tells whether the rule can find anything in `text` at all.
    pub(crate) fn may_match(&self, text: &str) -> bool {
        let needs = &self.about.metadata.needs;
        needs.is_empty() || needs.iter().any(|word| text.contains(word.as_str()))
    }
}

/// An error with its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
