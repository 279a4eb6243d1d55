//! Who speaks: how the two sides name themselves, and by which signs a server is known to be an AI's.
//!
//! Of everything a client sends at the start, only the fields below are ever read: options may hold
//! tokens.

use std::borrow::Cow;
use std::collections::HashMap;

use countersign_event::facts::How;
use countersign_provenance::join::NamedModel;
use countersign_provenance::text::Encoding;
use serde::Deserialize;
use serde_json::value::RawValue;

/// How the two sides name themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// The tool, by our catalogue's name, where we know it.
    pub(super) tool: Option<&'static str>,
    /// The server and its version.
    pub(crate) server: Option<Program>,
    /// The editor and its version.
    pub(crate) client: Option<Program>,
    /// The editor's plugin and its version.
    pub(crate) plugin: Option<Program>,
    /// Both sides have spoken: no more names will come.
    pub(crate) is_complete: bool,
}

/// A program as it names itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Program {
    /// Its name.
    #[serde(deserialize_with = "short")]
    pub(crate) name: String,
    /// Its version.
    #[serde(default)]
    pub(crate) version: Option<Version>,
}

/// A version, verbatim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Version {
    #[serde(deserialize_with = "short")]
    pub(crate) text: String,
}

/// Reads at most 100 characters: events are small, and a name is a stranger's text.
fn short<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = Cow::<str>::deserialize(deserializer)?;
    Ok(text.chars().take(100).collect())
}

impl std::fmt::Display for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{} {}", self.name, version.text),
            None => f.write_str(&self.name),
        }
    }
}

/// What programs of our catalogue have in their names.
const PROGRAMS: [(&str, &str); 11] = [
    ("copilot", "copilot"),
    ("tabby", "tabby-agent"),
    ("lsp-ai", "lsp-ai"),
    ("helix-gpt", "helix-gpt"),
    ("llm-ls", "llm-ls"),
    ("codewhisperer", "amazon-q"),
    ("amazon q", "amazon-q"),
    ("amazon-q", "amazon-q"),
    ("aws-lsp", "amazon-q"),
    ("cody", "cody"),
    ("supermaven", "supermaven"),
];

/// Says which tool of our catalogue a program is.
pub(super) fn tool_of(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    PROGRAMS.iter().find(|(part, _)| name.contains(part)).map(|(_, tool)| *tool)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InitializeParams {
    #[serde(default)]
    client_info: Option<Program>,
    #[serde(default)]
    initialization_options: Option<InitializationOptions>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct InitializationOptions {
    #[serde(default)]
    editor_info: Option<Program>,
    #[serde(default)]
    editor_plugin_info: Option<Program>,
    #[serde(default)]
    client_info: Option<PluginInfo>,
    #[serde(default)]
    models: HashMap<String, Model>,
    #[serde(default)]
    completion: Option<Completion>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PluginInfo {
    #[serde(default)]
    tabby_plugin: Option<Program>,
}

#[derive(Deserialize)]
struct Model {
    #[serde(default)]
    model: Option<String>,
}

#[derive(Deserialize)]
struct Completion {
    model: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InitializeResult {
    #[serde(default)]
    server_info: Option<Program>,
    #[serde(default)]
    capabilities: Capabilities,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Capabilities {
    #[serde(default)]
    position_encoding: Option<String>,
    #[serde(default)]
    execute_command_provider: Option<Commands>,
}

#[derive(Deserialize)]
struct Commands {
    #[serde(default)]
    commands: Vec<String>,
}

impl Names {
    /// Reads what the client says at the start. Returns the model it configures for completions.
    pub(super) fn client_says(&mut self, params: &RawValue) -> Option<NamedModel> {
        // Options of other servers have other shapes under the same names; then they say nothing.
        let with_options = serde_json::from_str::<InitializeParams>(params.get());
        let params = match with_options {
            Ok(params) => params,
            Err(_) => {
                #[derive(Deserialize)]
                #[serde(rename_all = "camelCase")]
                struct ClientOnly {
                    #[serde(default)]
                    client_info: Option<Program>,
                }
                let client = serde_json::from_str::<ClientOnly>(params.get()).ok()?;
                InitializeParams { client_info: client.client_info, initialization_options: None }
            }
        };
        let options = params.initialization_options.unwrap_or_default();
        self.client = params.client_info.or(options.editor_info);
        self.plugin = options.editor_plugin_info.or(options.client_info.and_then(|info| info.tabby_plugin));
        // Models by name and a completion that refers to one: the way lsp-ai is configured.
        let model = options.models.get(&options.completion?.model)?;
        self.tool = self.tool.or(Some("lsp-ai"));
        Some(NamedModel::requested(model.model.clone()?, How::Reported))
    }

    /// Reads what the server says of itself.
    pub(super) fn server_says(&mut self, result: &RawValue) -> Option<Encoding> {
        self.is_complete = true;
        let result = serde_json::from_str::<InitializeResult>(result.get()).ok()?;
        self.server = result.server_info;
        let commands = result.capabilities.execute_command_provider.map_or(Vec::new(), |c| c.commands);
        let has = |command: &str| commands.iter().any(|has| has == command);
        self.tool = self
            .server
            .as_ref()
            .and_then(|server| tool_of(&server.name))
            .or((has("refactorFromComment") && has("generateDocs")).then_some("helix-gpt"))
            .or(self.tool);
        match result.capabilities.position_encoding.as_deref() {
            Some("utf-8") => Some(Encoding::Utf8),
            Some("utf-32") => Some(Encoding::Utf32),
            _ => Some(Encoding::Utf16),
        }
    }
}
