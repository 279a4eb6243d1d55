//! The five facts about an AI contribution, each with how it is known or why it is absent.
//!
//! model · prompt · output · person · path, and the place it happened at. A fact is never a bare
//! `null`: a reader can always tell "we saw that there was none" from "nobody could see it".

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How we know something. Printed to auditors, so the wording matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// We saw it happen.
    Observed,
    /// The tool or agent said so.
    Reported,
    /// A person said so.
    Attested,
    /// A named rule concluded it, with a confidence.
    Inferred,
}

/// Why a fact or a text is missing. A closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Absent {
    /// The protocol we watched does not carry it.
    NotOnWire,
    /// The tool had no signed-in user or session.
    NotSignedIn,
    /// It was there, but encrypted for somebody else.
    EncryptedOnWire,
    /// Nobody sat in front of it.
    Headless,
    /// The text was smaller than the tier's threshold.
    BelowThreshold,
    /// Policy says that it is not kept.
    Policy,
    /// It was nothing but a secret, and was taken out.
    Redacted,
    /// The spool had to make room.
    Shed,
    /// Its keys were destroyed on request.
    Erased,
    /// It was larger than one content may be.
    Truncated,
}

/// A fact with how it is known, or the reason why there is none.
///
/// In JSON: `{"requested":"gpt-4.1","how":"observed"}` or `{"absent":"not_on_wire"}`. A known fact
/// may carry `absent` too: then it says why its other fields are missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Fact<T> {
    /// It is known.
    Known {
        /// What is known.
        #[serde(flatten)]
        value: T,
        /// How.
        how: How,
        /// The rule that concluded it, for `inferred`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule: Option<String>,
        /// From 0 to 1, for `inferred`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        confidence: Option<f64>,
        /// Why the rest of this fact is missing, where some of it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        absent: Option<Absent>,
    },
    /// It is not known, and this is why.
    Absent {
        /// Why.
        absent: Absent,
    },
}

impl<T> Fact<T> {
    /// A fact we saw ourselves.
    pub fn observed(value: T) -> Self {
        Fact::known(value, How::Observed)
    }

    /// A fact the tool told us.
    pub fn reported(value: T) -> Self {
        Fact::known(value, How::Reported)
    }

    /// A fact known in the given way.
    pub fn known(value: T, how: How) -> Self {
        Fact::Known { value, how, rule: None, confidence: None, absent: None }
    }

    /// A fact a rule concluded.
    pub fn inferred(value: T, rule: &str, confidence: f64) -> Self {
        Fact::Known {
            value,
            how: How::Inferred,
            rule: Some(rule.to_owned()),
            confidence: Some(confidence),
            absent: None,
        }
    }

    /// No fact, and why.
    pub fn absent(absent: Absent) -> Self {
        Fact::Absent { absent }
    }

    /// Says why the other fields of a known fact are missing. Changes nothing on an absent fact.
    pub fn without(mut self, why: Absent) -> Self {
        if let Fact::Known { absent, .. } = &mut self {
            *absent = Some(why);
        }
        self
    }

    /// Returns the value where there is one.
    pub fn value(&self) -> Option<&T> {
        match self {
            Fact::Known { value, .. } => Some(value),
            Fact::Absent { .. } => None,
        }
    }
}

/// Which model wrote it. An alias stands in `requested` and is never promoted to `responded`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Model {
    /// The name that was asked for, verbatim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<String>,
    /// The name the provider's side gave for this answer, verbatim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub responded: Option<String>,
    /// The family, where a table knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// Who served it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
}

/// What it was asked. The text is content; here stand its shape and kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Prompt {
    /// How many turns the conversation had, this one included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<u32>,
    /// The kind of request, from the organisation's own list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The prompt template it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
}

/// What it answered, before a person changed it. The text is content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// UTF-8 bytes of the text as offered, before redaction.
    pub bytes: u64,
    /// Lines of the text as offered: line breaks + 1, 0 for an empty text.
    pub lines: u64,
}

impl Output {
    /// Measures a text.
    pub fn of(text: &str) -> Self {
        Output { bytes: text.len() as u64, lines: count_lines(text) }
    }
}

/// Counts lines as editors do: LF, CRLF and CR end one; an empty text has none.
fn count_lines(text: &str) -> u64 {
    if text.is_empty() {
        return 0;
    }
    let bytes = text.as_bytes();
    let breaks = (0..bytes.len())
        .filter(|&i| bytes[i] == b'\n' || (bytes[i] == b'\r' && bytes.get(i + 1) != Some(&b'\n')))
        .count();
    breaks as u64 + 1
}

/// The human who is accountable. A pseudonym made with a device key; the name is content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Person {
    /// The pseudonym.
    pub id: String,
    /// What told us who it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<PersonVia>,
}

/// What identified a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PersonVia {
    /// The account by which they signed in to the tool.
    Sso,
    /// git's `user.email`.
    Git,
    /// The operating system's account.
    Os,
}

/// The way by which the text came in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IntegrationPath {
    /// The tool, by the name in our catalogue (`copilot`, `claude-code`, ...).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// Its version, verbatim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What sort of path.
    pub kind: PathKind,
    /// How we watched it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
    /// The tool's session, or ours around it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The provider's request id, where the wire has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The tool call's id, as the client shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// From the table in [`Trust::of`].
    pub trust: Trust,
}

impl IntegrationPath {
    /// Starts a path of this kind, with the trust its table gives it.
    pub fn new(kind: PathKind, transport: Transport) -> Self {
        IntegrationPath {
            tool: None,
            version: None,
            kind,
            transport: Some(transport),
            session: None,
            request_id: None,
            tool_call_id: None,
            trust: Trust::of(kind),
        }
    }
}

/// What sort of path text took into a file. A closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PathKind {
    /// Offered inside an editor, taken by a gesture.
    Ide,
    /// A person at a command line.
    Cli,
    /// An agent that edits files itself.
    Agent,
    /// A pipeline.
    Ci,
    /// A program that calls a model.
    Api,
    /// A chat window whose code was inserted.
    Chat,
    /// The clipboard.
    Paste,
    /// Nobody saw.
    Unknown,
}

impl PathKind {
    /// Every kind, in the order of the printed table.
    pub const ALL: [PathKind; 8] = [
        PathKind::Ide,
        PathKind::Chat,
        PathKind::Cli,
        PathKind::Agent,
        PathKind::Ci,
        PathKind::Api,
        PathKind::Paste,
        PathKind::Unknown,
    ];
}

/// How much review the path itself gives a person before text is in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// A person saw each text before it entered.
    Supervised,
    /// A person started it and can watch, but did not see each text first.
    Delegated,
    /// Nobody was there.
    Unattended,
    /// The origin was not seen.
    Unverified,
}

impl Trust {
    /// The whole table: trust is a function of the path's kind and of nothing else.
    pub fn of(kind: PathKind) -> Trust {
        match kind {
            PathKind::Ide | PathKind::Chat => Trust::Supervised,
            PathKind::Cli | PathKind::Agent => Trust::Delegated,
            PathKind::Ci | PathKind::Api => Trust::Unattended,
            PathKind::Paste | PathKind::Unknown => Trust::Unverified,
        }
    }
}

/// How we watched a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Between the editor and the server or agent.
    Tap,
    /// The agent's own hook.
    Hook,
    /// An editor's extension.
    Extension,
    /// The model side's telemetry.
    Otlp,
    /// Only the edits themselves.
    Edits,
}

/// Where it happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// The repository's ID: root commit and normalised remote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// HEAD at that moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The review (pull request, change) it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
    /// The document, as the editor names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// The file, relative to the repository's root, with `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// LSP range, UTF-16, in the document as it was then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Range>,
    /// The language identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// How sensitive policy says the path is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensitivity: Option<Sensitivity>,
}

/// How sensitive a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sensitivity {
    /// No rule names it.
    Ordinary,
    /// Policy names it.
    Sensitive,
}

/// An LSP position: line and UTF-16 code unit, both from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Position {
    /// Line, from 0.
    pub line: u32,
    /// UTF-16 code unit in the line, from 0.
    pub character: u32,
}

/// An LSP range, end exclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Range {
    /// Where it begins.
    pub start: Position,
    /// Where it ends, exclusive.
    pub end: Position,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_a_value_with_its_how_or_a_stated_absence() {
        let known = Fact::observed(Model { requested: Some("gpt-41-copilot".into()), ..Model::default() })
            .without(Absent::NotOnWire);
        let json = serde_json::to_string(&known).unwrap();
        assert_eq!(json, r#"{"requested":"gpt-41-copilot","how":"observed","absent":"not_on_wire"}"#);
        assert_eq!(serde_json::from_str::<Fact<Model>>(&json).unwrap(), known);

        let absent = Fact::<Model>::absent(Absent::NotOnWire);
        let json = serde_json::to_string(&absent).unwrap();
        assert_eq!(json, r#"{"absent":"not_on_wire"}"#);
        assert_eq!(serde_json::from_str::<Fact<Model>>(&json).unwrap(), absent);
    }

    #[test]
    fn trust_follows_from_the_kind_of_path_alone() {
        let table: Vec<String> =
            PathKind::ALL.iter().map(|&kind| format!("{} {}", name(kind), name(Trust::of(kind)))).collect();
        expect_test::expect![[r#"
            ide supervised
            chat supervised
            cli delegated
            agent delegated
            ci unattended
            api unattended
            paste unverified
            unknown unverified"#]]
        .assert_eq(&table.join("\n"));
    }

    fn name(value: impl Serialize) -> String {
        serde_json::to_value(value).unwrap().as_str().unwrap().to_owned()
    }

    #[test]
    fn lines_end_at_lf_crlf_and_cr() {
        for (text, lines) in [("", 0), ("a", 1), ("a\n", 2), ("a\r\nb", 2), ("a\rb\r\n", 3), ("a\u{2028}b", 1)] {
            assert_eq!(Output::of(text).lines, lines, "{text:?}");
        }
    }
}
