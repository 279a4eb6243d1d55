//! The tools we know, one row a tool: how each is recognised, how it can be recorded, and what stays
//! unseen until somebody does something.
//!
//! A row claims only what was read in the tool or recorded from it. Paths begin with `~/` (the home),
//! `./` (the repository) or `/`; `*` is any one name.

/// One tool.
#[derive(Debug)]
pub(crate) struct Tool {
    /// Its short name.
    pub(crate) name: &'static str,
    /// What a tap calls it in the trail, besides its name and its programs.
    pub(crate) tap_names: &'static [&'static str],
    /// Programs on PATH.
    pub(crate) programs: &'static [&'static str],
    /// Extensions of VS Code and its relatives, lower case.
    pub(crate) extensions: &'static [&'static str],
    /// Plugins of Neovim and Vim.
    pub(crate) plugins: &'static [&'static str],
    /// Directories that the tool makes.
    pub(crate) marks: &'static [&'static str],
    /// Where its hooks are set, if `countersign hook` reads them.
    pub(crate) hooks: Option<Hooks>,
    /// What nobody sees while nothing of ours is set up, and why.
    pub(crate) blind: &'static str,
    /// What stays unseen when it is.
    pub(crate) even_so: Option<&'static str>,
    /// What to do about it, in one sentence.
    pub(crate) to_do: &'static str,
}

/// How a tool's hooks are set.
#[derive(Debug)]
pub(crate) struct Hooks {
    /// The name `countersign hook` knows the tool by.
    pub(crate) tool: &'static str,
    /// The files they may stand in.
    pub(crate) files: &'static [&'static str],
    /// The events that tell of an edit once it is made; one of them must call us.
    pub(crate) after: &'static [&'static str],
    /// The setting that switches all of them off.
    pub(crate) off: Option<&'static str>,
    /// The tool skips hooks of the user's that nobody has trusted.
    pub(crate) needs_trust: bool,
}

/// A tool nothing is known of; rows say what differs.
const NOTHING: Tool = Tool {
    name: "",
    tap_names: &[],
    programs: &[],
    extensions: &[],
    plugins: &[],
    marks: &[],
    hooks: None,
    blind: "",
    even_so: None,
    to_do: "",
};

const NO_HOOK: &str = "it edits files itself, and no hook of it calls countersign";
const NO_TAP: &str = "an editor that starts it directly tells nobody what it offers";
const IN_EDITOR: &str = "it works inside the editor; no process carries its suggestions past us";
const IN_LUA: &str = "it works inside the editor, in Lua; no server carries its suggestions past us";
const BESIDE: &str =
    "run `countersign lsp` in that editor: what it inserts in one piece is then recorded, as of unknown origin";
const TELL: &str = "run `countersign lsp` in that editor and send it `countersign/suggestion` when one is accepted";

/// Every tool we look for.
pub(super) const TOOLS: &[Tool] = &[
    Tool {
        name: "claude-code",
        programs: &["claude"],
        marks: &["~/.claude"],
        hooks: Some(Hooks {
            tool: "claude-code",
            files: &[
                "~/.claude/settings.json",
                "./.claude/settings.json",
                "./.claude/settings.local.json",
                "/etc/claude-code/managed-settings.json",
                "/etc/claude-code/managed-settings.d/*.json",
                "/Library/Application Support/ClaudeCode/managed-settings.json",
            ],
            after: &["PostToolUse"],
            off: Some("disableAllHooks"),
            needs_trust: false,
        }),
        blind: NO_HOOK,
        to_do: "put `countersign hook claude-code` under SessionStart, UserPromptSubmit, PreToolUse, PostToolUse, \
                PostToolUseFailure, Stop and SessionEnd in ~/.claude/settings.json",
        ..NOTHING
    },
    Tool {
        name: "codex",
        programs: &["codex"],
        marks: &["~/.codex"],
        hooks: Some(Hooks {
            tool: "codex",
            files: &[
                "~/.codex/hooks.json",
                "~/.codex/config.toml",
                "./.codex/hooks.json",
                "./.codex/config.toml",
                "/etc/codex/managed_config.toml",
                "/etc/codex/requirements.toml",
            ],
            after: &["PostToolUse"],
            off: None,
            needs_trust: true,
        }),
        blind: NO_HOOK,
        even_so: Some("it names the model that was asked for, never the one that answered"),
        to_do: "put `countersign hook codex` under SessionStart, UserPromptSubmit, PreToolUse, PostToolUse and Stop \
                in ~/.codex/hooks.json, and trust it with /hooks in Codex",
        ..NOTHING
    },
    Tool {
        name: "gemini-cli",
        programs: &["gemini"],
        marks: &["~/.gemini"],
        hooks: Some(Hooks {
            tool: "gemini-cli",
            files: &["~/.gemini/settings.json", "./.gemini/settings.json", "/etc/gemini-cli/settings.json"],
            after: &["AfterTool"],
            off: None,
            needs_trust: false,
        }),
        blind: NO_HOOK,
        even_so: Some("its tool hooks do not run where an editor drives it over ACP"),
        to_do: "put `countersign hook gemini-cli` under SessionStart, BeforeAgent, BeforeTool, AfterTool, AfterAgent \
                and SessionEnd in ~/.gemini/settings.json",
        ..NOTHING
    },
    Tool {
        name: "copilot-cli",
        programs: &["copilot"],
        marks: &["~/.copilot"],
        hooks: Some(Hooks {
            tool: "copilot",
            files: &["~/.copilot/hooks/*.json", "./.github/hooks/*.json"],
            after: &["postToolUse", "PostToolUse"],
            off: None,
            needs_trust: false,
        }),
        blind: NO_HOOK,
        even_so: Some("it names the model that was asked for, never the one that answered"),
        to_do: "put `countersign hook copilot EVENT` under each event in ~/.copilot/hooks/countersign.json",
        ..NOTHING
    },
    Tool {
        name: "copilot-language-server",
        tap_names: &["copilot", "GitHub Copilot Language Server"],
        programs: &["copilot-language-server"],
        plugins: &["copilot.lua", "copilot.vim"],
        blind: NO_TAP,
        to_do: "let your editor start it as `countersign tap -- copilot-language-server --stdio`",
        ..NOTHING
    },
    Tool {
        name: "copilot-vscode",
        extensions: &["github.copilot", "github.copilot-chat"],
        hooks: Some(Hooks {
            tool: "vscode-copilot",
            // It may run the hooks of others, too; whether it does is a setting of its own.
            files: &["./.github/hooks/*.json"],
            after: &["PostToolUse"],
            off: None,
            needs_trust: false,
        }),
        blind: IN_EDITOR,
        even_so: Some(
            "its hooks tell of the agent's edits alone, without a model; completions, and whether an edit was kept, \
             are not told",
        ),
        to_do: "put `countersign hook vscode-copilot` under SessionStart, UserPromptSubmit, PreToolUse, PostToolUse \
                and Stop in .github/hooks/countersign.json, and run `countersign lsp` in that editor",
        ..NOTHING
    },
    Tool {
        name: "cursor",
        programs: &["cursor", "cursor-agent"],
        marks: &["~/.cursor"],
        hooks: Some(Hooks {
            tool: "cursor",
            files: &["~/.cursor/hooks.json", "./.cursor/hooks.json", "/etc/cursor/hooks.json"],
            after: &["afterFileEdit", "postToolUse"],
            off: None,
            needs_trust: false,
        }),
        blind: NO_HOOK,
        even_so: Some(
            "its Tab completions are seen only where afterTabFileEdit calls countersign, and which model completed is \
             not told",
        ),
        to_do: "put `countersign hook cursor` under beforeSubmitPrompt, preToolUse, postToolUse, postToolUseFailure, \
                afterFileEdit, afterTabFileEdit and stop in ~/.cursor/hooks.json",
        ..NOTHING
    },
    Tool {
        name: "windsurf",
        programs: &["windsurf"],
        extensions: &["codeium.codeium"],
        plugins: &["codeium.vim", "windsurf.vim", "codeium.nvim", "windsurf.nvim"],
        marks: &["~/.codeium"],
        hooks: Some(Hooks {
            tool: "windsurf",
            files: &[
                "~/.codeium/windsurf/hooks.json",
                "~/.codeium/hooks.json",
                "./.windsurf/hooks.json",
                "/etc/windsurf/hooks.json",
            ],
            after: &["post_write_code"],
            off: None,
            needs_trust: false,
        }),
        blind: NO_HOOK,
        even_so: Some("its completions go over HTTP to a port of its own, which no tap sees"),
        to_do: "put `countersign hook windsurf` under pre_user_prompt, pre_write_code, post_write_code, \
                pre_run_command, post_run_command and post_cascade_response in ~/.codeium/windsurf/hooks.json",
        ..NOTHING
    },
    Tool {
        name: "opencode",
        programs: &["opencode"],
        marks: &["~/.config/opencode", "~/.opencode"],
        hooks: Some(Hooks {
            tool: "opencode",
            files: &[
                "~/.config/opencode/plugin/*",
                "~/.config/opencode/plugins/*",
                "./.opencode/plugin/*",
                "./.opencode/plugins/*",
            ],
            after: &["tool.execute.after"],
            off: None,
            needs_trust: false,
        }),
        blind: NO_HOOK,
        even_so: Some("it names the model that was asked for, never the one that answered"),
        to_do: "put a plugin in ~/.config/opencode/plugin that gives each of its hooks to `countersign hook opencode`",
        ..NOTHING
    },
    Tool {
        name: "tabby-agent",
        tap_names: &["tabby"],
        programs: &["tabby-agent"],
        blind: NO_TAP,
        to_do: "let your editor start it as `countersign tap -- tabby-agent --stdio`",
        ..NOTHING
    },
    Tool {
        name: "lsp-ai",
        programs: &["lsp-ai"],
        blind: NO_TAP,
        even_so: Some("it never says that a suggestion was taken; that is concluded from the edits"),
        to_do: "let your editor start it as `countersign tap --tool lsp-ai -- lsp-ai --stdio`",
        ..NOTHING
    },
    Tool {
        name: "helix-gpt",
        programs: &["helix-gpt"],
        blind: NO_TAP,
        even_so: Some("it never says that a suggestion was taken; that is concluded from the edits"),
        to_do: "let your editor start it as `countersign tap --tool helix-gpt -- helix-gpt`",
        ..NOTHING
    },
    Tool {
        name: "llm-ls",
        programs: &["llm-ls"],
        blind: NO_TAP,
        to_do: "let your editor start it as `countersign tap -- llm-ls`",
        ..NOTHING
    },
    Tool {
        name: "amp",
        programs: &["amp"],
        marks: &["~/.config/amp"],
        hooks: Some(Hooks {
            tool: "amp",
            files: &["~/.config/amp/plugins/*", "./.amp/plugins/*"],
            after: &["tool.result"],
            off: None,
            needs_trust: false,
        }),
        blind: NO_HOOK,
        even_so: Some("no event of it names a model, and it does not say whether a plugin or an error ended a call"),
        to_do: "put a plugin in ~/.config/amp/plugins that gives each of its events to `countersign hook amp EVENT`",
        ..NOTHING
    },
    Tool {
        name: "droid",
        programs: &["droid"],
        marks: &["~/.factory"],
        hooks: Some(Hooks {
            tool: "droid",
            files: &[
                "~/.factory/hooks.json",
                "~/.factory/settings.json",
                "./.factory/hooks.json",
                "./.factory/settings.json",
                "./.factory/settings.local.json",
            ],
            after: &["PostToolUse"],
            off: None,
            needs_trust: false,
        }),
        blind: NO_HOOK,
        even_so: Some("it names the model that was asked for, never the one that answered"),
        to_do: "put `countersign hook droid` under SessionStart, UserPromptSubmit, PreToolUse, PostToolUse, Stop and \
                SessionEnd in ~/.factory/hooks.json",
        ..NOTHING
    },
    Tool {
        name: "kiro",
        programs: &["kiro", "kiro-cli"],
        marks: &["~/.kiro"],
        hooks: Some(Hooks {
            tool: "kiro",
            files: &["~/.kiro/agents/*.json", "./.kiro/agents/*.json"],
            after: &["postToolUse"],
            off: None,
            needs_trust: false,
        }),
        blind: NO_HOOK,
        even_so: Some("only its command line tells what a tool did, and no model; hooks of its IDE are told nothing"),
        to_do: "put `countersign hook kiro` under agentSpawn, userPromptSubmit, preToolUse, postToolUse and stop of \
                each agent in ~/.kiro/agents; in its IDE run `countersign lsp`",
        ..NOTHING
    },
    Tool {
        name: "cline",
        programs: &["cline"],
        extensions: &["saoudrizwan.claude-dev"],
        marks: &["~/.cline", "~/Documents/Cline"],
        hooks: Some(Hooks {
            tool: "cline",
            files: &["~/Documents/Cline/Hooks/PostToolUse", "./.clinerules/hooks/PostToolUse"],
            after: &["PostToolUse"],
            off: None,
            needs_trust: false,
        }),
        blind: NO_HOOK,
        even_so: Some("it names the model that was asked for, never the one that answered, and no call has an id"),
        to_do: "put a program that runs `countersign hook cline` under each of the names TaskStart, UserPromptSubmit, \
                PreToolUse, PostToolUse and TaskComplete in ~/Documents/Cline/Hooks",
        ..NOTHING
    },
    Tool {
        name: "aider",
        programs: &["aider"],
        blind: "it edits files itself, and has no hooks",
        to_do: "let it sign its commits with --attribute-co-authored-by; what it does between commits stays unseen",
        ..NOTHING
    },
    Tool {
        name: "continue",
        programs: &["cn"],
        extensions: &["continue.continue"],
        marks: &["~/.continue"],
        blind: IN_EDITOR,
        to_do: BESIDE,
        ..NOTHING
    },
    Tool { name: "cody", extensions: &["sourcegraph.cody-ai"], blind: IN_EDITOR, to_do: BESIDE, ..NOTHING },
    Tool {
        name: "amazon-q",
        programs: &["q"],
        extensions: &["amazonwebservices.amazon-q-vscode"],
        marks: &["~/.aws/amazonq"],
        blind: IN_EDITOR,
        to_do: BESIDE,
        ..NOTHING
    },
    Tool { name: "minuet", plugins: &["minuet-ai.nvim"], blind: IN_LUA, to_do: TELL, ..NOTHING },
    Tool { name: "codecompanion", plugins: &["codecompanion.nvim"], blind: IN_LUA, to_do: TELL, ..NOTHING },
    Tool { name: "avante", plugins: &["avante.nvim"], blind: IN_LUA, to_do: TELL, ..NOTHING },
    Tool {
        name: "jetbrains",
        marks: &[
            "~/.local/share/JetBrains/*/ml-llm",
            "~/.local/share/JetBrains/*/github-copilot-intellij",
            "~/Library/Application Support/JetBrains/*/plugins/ml-llm",
            "~/Library/Application Support/JetBrains/*/plugins/github-copilot-intellij",
        ],
        blind: "its AI plugins work inside the IDE, or start their server where no tap can be put before it",
        to_do: BESIDE,
        ..NOTHING
    },
];
