use super::*;

/// A machine in a temporary directory.
struct Fake {
    dir: tempfile::TempDir,
}

impl Fake {
    fn new() -> Fake {
        Fake { dir: tempfile::tempdir().unwrap() }
    }

    fn file(&self, path: &str, text: &str) -> &Self {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn dir(&self, path: &str) -> &Self {
        std::fs::create_dir_all(self.dir.path().join(path)).unwrap();
        self
    }

    fn program(&self, name: &str) -> &Self {
        let ending = if cfg!(windows) { ".exe" } else { "" };
        self.file(&format!("bin/{name}{ending}"), "");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let path = self.dir.path().join("bin").join(name);
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        self
    }

    fn machine(&self) -> Machine {
        let at = |name: &str| self.dir.path().join(name);
        Machine::new(at("home"), Some(at("bin").as_os_str()), at("system"), Some(at("project")))
    }

    fn found(&self) -> Vec<Found> {
        discover(&self.machine())
    }

    fn names(&self) -> Vec<&'static str> {
        self.found().iter().map(|found| found.tool.name).collect()
    }

    /// What we know of the hooks of the only tool there.
    fn hook(&self) -> Hook {
        let found = self.found();
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].hook.clone()
    }
}

const CLAUDE: &str = r#"{
  // mine
  "model": "opus",
  "hooks": {
    "PreToolUse": [{ "matcher": "Edit|Write", "hooks": [{ "type": "command", "command": "countersign hook claude-code" }] }],
    "PostToolUse": [
      { "matcher": "Bash", "hooks": [{ "type": "command", "command": "~/bin/lint.sh" }] },
      { "matcher": "*", "hooks": [{ "type": "command", "command": "/usr/local/bin/countersign hook claude-code", "timeout": 5 }] },
    ],
  },
}"#;

#[test]
fn an_empty_machine_has_no_tools() {
    assert!(Fake::new().found().is_empty());
    let nowhere = Machine::new(PathBuf::from("/nonexistent/home"), None, PathBuf::from("/nonexistent"), None);
    assert!(discover(&nowhere).is_empty());
}

#[test]
fn tools_are_found_as_programs_extensions_plugins_and_directories() {
    let fake = Fake::new();
    fake.program("codex").program("lsp-ai").file("bin/gemini.txt", "").dir("bin/amp");
    fake.dir("home/.claude").file("home/.gemini", "a file where a directory is expected");
    fake.dir("home/.vscode/extensions/github.copilot-1.388.0");
    fake.dir("home/.vscode/extensions/GitHub.copilot-chat-0.41.1");
    fake.dir("home/.vscode-server/extensions/continue.continue-1.3.9-linux-x64");
    fake.dir("home/.vscode/extensions/github.copilotish-1.0.0");
    fake.dir("home/.local/share/nvim/site/pack/mine/start/avante.nvim");
    fake.dir("home/.local/share/JetBrains/PyCharm2026.2/ml-llm");
    let mut names = fake.names();
    names.sort_unstable();
    assert_eq!(names, ["avante", "claude-code", "codex", "continue", "copilot-vscode", "jetbrains", "lsp-ai"],);
    let found = fake.found();
    let copilot = found.iter().find(|found| found.tool.name == "copilot-vscode").unwrap();
    assert_eq!(
        copilot.found,
        ["github.copilot in ~/.vscode/extensions", "github.copilot-chat in ~/.vscode/extensions"]
    );
    assert!(!copilot.extension);
}

#[cfg(unix)]
#[test]
fn a_file_that_nobody_may_run_is_no_program() {
    let fake = Fake::new();
    fake.file("bin/claude", "#!/bin/sh\n");
    assert!(fake.found().is_empty());
}

#[test]
fn an_extension_that_was_removed_is_not_there_though_its_directory_is() {
    let fake = Fake::new();
    fake.dir("home/.vscode/extensions/github.copilot-1.388.0");
    assert_eq!(fake.names(), ["copilot-vscode"]);
    fake.file("home/.vscode/extensions/.obsolete", r#"{"github.copilot-1.388.0":true}"#);
    assert!(fake.found().is_empty());
}

#[test]
fn our_extension_counts_only_if_it_stands_in_every_editor_of_the_tool() {
    let fake = Fake::new();
    fake.dir("home/.vscode/extensions/github.copilot-1.388.0");
    fake.dir("home/.vscode/extensions/example.countersign-0.1.0");
    assert!(fake.found()[0].extension);
    fake.dir("home/.cursor/extensions/github.copilot-1.300.0");
    let found = fake.found();
    assert!(!found.iter().find(|found| found.tool.name == "copilot-vscode").unwrap().extension);
}

#[test]
fn hooks_that_call_us_are_found_where_each_tool_keeps_them() {
    let toml = "model = \"gpt-5.5\"\n[[hooks.PostToolUse]]\nmatcher = \"*\"\n[[hooks.PostToolUse.hooks]]\n\
        type = \"command\"\ncommand = \"countersign hook codex\"\n";
    let managed = r#"{"hooks":{"PostToolUse":[{"hooks":[{"type":"command","command":"countersign","args":["hook","claude-code"]}]}]}}"#;
    let gemini = r#"{"hooks":{"AfterTool":[{"matcher":"*","hooks":[{"type":"command","command":"countersign hook gemini-cli"}]}]}}"#;
    let copilot =
        r#"{"version":1,"hooks":{"postToolUse":[{"type":"command","bash":"countersign hook copilot postToolUse"}]}}"#;
    let cursor = r#"{"version":1,"hooks":{"afterFileEdit":[{"command":"countersign hook cursor"}]}}"#;
    let windsurf = r#"{"hooks":{"post_write_code":[{"command":"countersign hook windsurf","show_output":false}]}}"#;
    let plugin = "export const Countersign = async ({ $ }) => ({ 'tool.execute.after': async (i, o) => {\n\
        await $`countersign hook opencode tool.execute.after < ${JSON.stringify({ i, o })}`\n} })\n";
    for (program, file, text, shown) in [
        ("claude", "home/.claude/settings.json", CLAUDE, "~/.claude/settings.json"),
        ("claude", "project/.claude/settings.local.json", CLAUDE, ".claude/settings.local.json"),
        ("claude", "system/etc/claude-code/managed-settings.json", managed, "etc/claude-code/managed-settings.json"),
        ("codex", "system/etc/codex/managed_config.toml", toml, "etc/codex/managed_config.toml"),
        ("gemini", "home/.gemini/settings.json", gemini, "~/.gemini/settings.json"),
        ("copilot", "project/.github/hooks/audit.json", copilot, ".github/hooks/audit.json"),
        ("cursor", "home/.cursor/hooks.json", cursor, "~/.cursor/hooks.json"),
        ("windsurf", "home/.codeium/windsurf/hooks.json", windsurf, "~/.codeium/windsurf/hooks.json"),
        ("opencode", "home/.config/opencode/plugin/a.ts", plugin, "~/.config/opencode/plugin/a.ts"),
    ] {
        let fake = Fake::new();
        fake.program(program);
        assert_eq!(fake.hook(), Hook::None, "{file}");
        fake.file(file, text);
        match fake.hook() {
            Hook::Calls(at) => assert!(at.replace('\\', "/").ends_with(shown), "{at} for {file}"),
            other => panic!("{other:?} for {file}"),
        }
    }
}

#[test]
fn a_hook_that_will_not_run_is_not_taken_for_one_that_does() {
    let at = "~/.claude/settings.json".to_owned();
    let commented = CLAUDE.replace("\"PostToolUse\": [", "/* \"PostToolUse\": [").replace("    ],\n", "    ], */\n");
    for (text, state) in [
        (CLAUDE.replace("countersign", "git-ai"), Hook::None),
        (CLAUDE.replace("PostToolUse", "Notification"), Hook::Partial(at.clone())),
        (commented, Hook::Partial(at.clone())),
        (CLAUDE.replace("\"model\"", "\"disableAllHooks\": true, \"model\""), Hook::Off(at.clone())),
        (CLAUDE.replace("\"hooks\": {", "\"hooks\": {,{"), Hook::Unreadable(at.clone())),
        ("[]".to_owned(), Hook::None),
        (r#"{"hooks": 7}"#.to_owned(), Hook::None),
        (String::new(), Hook::None),
    ] {
        let fake = Fake::new();
        fake.program("claude").file("home/.claude/settings.json", &text);
        assert_eq!(fake.hook(), state, "{text}");
    }
}

#[test]
fn a_codex_hook_counts_only_once_its_user_has_trusted_it() {
    let fake = Fake::new();
    let hooks = r#"{"hooks":{"PostToolUse":[{"hooks":[{"type":"command","command":"countersign hook codex"}]}]}}"#;
    fake.program("codex").file("home/.codex/hooks.json", hooks);
    assert_eq!(fake.hook(), Hook::Untrusted("~/.codex/hooks.json".to_owned()));
    let file = fake.dir.path().join("home/.codex/hooks.json");
    let trust =
        |event: &str| format!("[hooks.state.'{}:{event}:0:0']\ntrusted_hash = \"sha256:00\"\n", file.to_str().unwrap());
    fake.file("home/.codex/config.toml", &trust("pre_tool_use"));
    assert_eq!(fake.hook(), Hook::Untrusted("~/.codex/hooks.json".to_owned()));
    fake.file("home/.codex/config.toml", &trust("post_tool_use"));
    assert_eq!(fake.hook(), Hook::Calls("~/.codex/hooks.json".to_owned()));
}

#[cfg(unix)]
#[test]
fn odd_files_are_not_waited_for_and_never_fail() {
    let fake = Fake::new();
    fake.program("claude").program("gemini").program("cursor").program("copilot");
    fake.file("home/.gemini/settings.json", &" ".repeat(2 << 20));
    fake.dir("home/.cursor/hooks.json");
    fake.dir("home/.claude").dir("home/.copilot");
    let pipe = fake.dir.path().join("home/.claude/settings.json");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::os::unix::fs::symlink("hooks", fake.dir.path().join("home/.copilot/hooks")).unwrap();
    let state = |name: &str| fake.found().into_iter().find(|found| found.tool.name == name).unwrap().hook;
    assert_eq!(state("claude-code"), Hook::Unreadable("~/.claude/settings.json".to_owned()));
    assert_eq!(state("gemini-cli"), Hook::Unreadable("~/.gemini/settings.json".to_owned()));
    assert_eq!(state("cursor"), Hook::None);
    assert_eq!(state("copilot-cli"), Hook::None);
}

#[test]
fn every_row_of_the_table_can_be_found_and_says_what_is_blind_and_what_to_do() {
    let mut names = BTreeSet::new();
    for tool in TOOLS {
        assert!(names.insert(tool.name), "{} is there twice", tool.name);
        let signs = [tool.programs, tool.extensions, tool.plugins, tool.marks];
        assert!(signs.iter().any(|signs| !signs.is_empty()), "{} can't be found", tool.name);
        assert!(!tool.blind.is_empty() && !tool.to_do.is_empty(), "{}", tool.name);
        assert!(!tool.to_do.contains(". "), "{} says more than one sentence", tool.name);
        let patterns = tool.marks.iter().chain(tool.hooks.iter().flat_map(|hooks| hooks.files));
        assert!(patterns.into_iter().all(|path| path.starts_with(['~', '.', '/'])), "{}", tool.name);
    }
}

#[test]
fn a_hook_that_is_a_program_of_its_own_is_looked_into() {
    let fake = Fake::new();
    fake.dir("home/Documents/Cline/Hooks");
    let hook = || fake.hook();
    assert_eq!(hook(), Hook::None);
    fake.file("home/Documents/Cline/Hooks/PostToolUse", "#!/bin/sh\n# countersign hook cline\ntrue\n");
    assert_eq!(hook(), Hook::None);
    fake.file("home/Documents/Cline/Hooks/PostToolUse", "#!/bin/sh\nexec countersign hook cline\n");
    assert_eq!(hook(), Hook::Calls("~/Documents/Cline/Hooks/PostToolUse".to_owned()));
}

#[test]
fn what_each_documented_agent_says_after_an_edit_is_what_must_call_us() {
    for (name, file, text) in [
        ("kiro", "home/.kiro/agents/a.json", r#"{"hooks":{"postToolUse":[{"command":"countersign hook kiro"}]}}"#),
        (
            "droid",
            "home/.factory/settings.json",
            r#"{"hooks":{"PostToolUse":[{"hooks":[{"command":"countersign hook droid"}]}]}}"#,
        ),
        ("amp", "home/.config/amp/plugins/c.ts", "spawn('countersign', ['hook', 'amp', name])"),
    ] {
        let fake = Fake::new();
        fake.file(file, text);
        assert!(matches!(fake.hook(), Hook::Calls(_)), "{name}");
    }
}
