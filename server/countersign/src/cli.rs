//! The command line: what can be said to `countersign`, and who does it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::error::Failure;
use crate::shell::Shell;
use crate::{command, git, hook, lsp, replay, tap};

/// The audit trail for AI-written code: which lines an AI wrote, which model, from what, who took it.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 done · 1 does not hold · 2 wrong use · 3 could not.\n\
    COUNTERSIGN_HOME moves every file, COUNTERSIGN_POLICY replaces the policy, COUNTERSIGN_LOG sets our own log.")]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Language server over stdin and stdout, beside any others
    Lsp(LspArgs),
    /// Run an AI server or agent and record what passes, byte for byte untouched
    Tap(TapArgs),
    /// One call of an agent's hook: JSON on stdin, nothing printed, always ends with 0
    Hook(HookArgs),
    /// What git's own hooks call: nothing printed, always ends with 0
    #[command(hide = true)]
    Git(GitArgs),
    /// Print the events of the local spool
    Log(LogArgs),
    /// Say whether we are recording, what waits, and what is missing
    Status(JsonArgs),
    /// Check chain, signed heads and contents
    Verify(VerifyArgs),
    /// Who wrote these lines: every contribution with its five facts
    Trace(TraceArgs),
    /// Who wrote each line of a file: a person, an AI, both, or nobody knows
    Blame(BlameArgs),
    /// Say what is risky in files, directories or a text
    Check(CheckArgs),
    /// Run one rule of a repository over texts, within bounds
    #[command(hide = true)]
    CheckRule,
    /// Fit the chance of a fault to a project's own past, and say how good it is
    Calibrate(CalibrateArgs),
    /// Bring a repository's attributions up to date with what git did
    #[command(hide = true)]
    Settle(SettleArgs),
    /// Make this device known to a collector with a one-time code, or replace its token
    Enrol(EnrolArgs),
    /// Send what waits in the spool to the collector
    Replay(ReplayArgs),
    /// Receive trails, keep them, answer questions
    Collect(CollectArgs),
    /// Stop recording for a while; the pause itself is recorded
    Pause(PauseArgs),
    /// Destroy kept texts on this device; the events stay
    Purge(PurgeArgs),
    /// Go on recording
    Resume(ResumeArgs),
    /// Put us where things happen, or take us out again
    Setup(SetupArgs),
    /// Print every setting with where it came from
    Config(JsonArgs),
    /// Run the whole story in a temporary directory
    Demo(DemoArgs),
    /// Play the server's side of a recording (for the demonstration and the tests)
    #[command(hide = true)]
    DemoServer(DemoServerArgs),
}

/// Arguments of `lsp`.
#[derive(Debug, Args)]
pub(crate) struct LspArgs {
    /// Accepted and ignored: some editors add it, and it is what we do
    #[arg(long, hide = true)]
    pub(crate) stdio: bool,
}

/// Arguments of `tap`.
#[derive(Debug, Args)]
pub(crate) struct TapArgs {
    /// Name of the tool, where its stream does not say it
    #[arg(long)]
    pub(crate) tool: Option<String>,
    /// The command to run, after `--`
    #[arg(required = true, last = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

/// Arguments of `hook`. Nothing an agent puts there is a mistake: it would take our exit code for a refusal.
#[derive(Debug, Args)]
pub(crate) struct HookArgs {
    /// The agent, the event where its stdin does not say it, and what else it adds
    #[arg(value_name = "TOOL [EVENT]", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

impl HookArgs {
    /// The agent.
    pub(crate) fn tool(&self) -> Option<String> {
        self.word(0)
    }

    /// The client's own name of the event.
    pub(crate) fn event(&self) -> Option<String> {
        self.word(1)
    }

    /// What a client says on the command line instead of on stdin.
    pub(crate) fn argument(&self) -> Option<String> {
        self.word(2)
    }

    fn word(&self, at: usize) -> Option<String> {
        self.words.get(at).map(|word| word.to_string_lossy().into_owned())
    }
}

/// Arguments of `git`. Nothing there is a mistake: git would take our exit code for a refusal.
#[derive(Debug, Args)]
pub(crate) struct GitArgs {
    /// The hook, and what git tells it
    #[arg(value_name = "HOOK", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

impl GitArgs {
    /// The hook.
    pub(crate) fn hook(&self) -> Option<&str> {
        self.word(0)
    }

    /// A word, from 0 on: the hook, then what git tells it.
    pub(crate) fn word(&self, at: usize) -> Option<&str> {
        self.words.get(at)?.to_str()
    }
}

/// Arguments of commands that can answer in JSON.
#[derive(Debug, Args)]
pub(crate) struct JsonArgs {
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `log`.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// The exact stored bytes, one event a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Only this type, whole (`dev.countersign.suggestion.accepted.v1`) or short (`suggestion.accepted`)
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) event_type: Option<String>,
    /// Only events at or after this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only this stream
    #[arg(long)]
    pub(crate) stream: Option<String>,
    /// With the address and hash of each event
    #[arg(long, requires = "json")]
    pub(crate) chain: bool,
    /// With the texts that were kept
    #[arg(long, requires = "json")]
    pub(crate) content: bool,
    /// The list of every field that can be recorded
    #[arg(long, exclusive = true)]
    pub(crate) fields: bool,
    /// What a collector would get next, before anything is sent; with --json the exact bodies
    #[arg(long, conflicts_with_all = ["event_type", "since", "stream", "chain", "content", "archive"])]
    pub(crate) would_send: bool,
    /// Only events that the collector refused for good, with its reason
    #[arg(long, conflicts_with_all = ["event_type", "since", "stream", "chain", "content", "archive", "would_send"])]
    pub(crate) quarantined: bool,
    /// Read a collector's archive instead: its data directory, or its URL
    #[arg(long, value_name = "DIR|URL")]
    pub(crate) archive: Option<String>,
    /// The file that holds the token for an archive's URL
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Check a collector's archive instead: its data directory
    #[arg(long, value_name = "DIR")]
    pub(crate) archive: Option<PathBuf>,
    /// Check this device's spool and the archive, and each against the other
    #[arg(long, requires = "archive")]
    pub(crate) against_spool: bool,
}

/// Arguments of `trace`.
#[derive(Debug, Args)]
pub(crate) struct TraceArgs {
    /// A file, with lines: `src/auth.py:10` or `src/auth.py:10-20`; or the ID of a contribution
    #[arg(value_name = "FILE[:A-B]|ID")]
    pub(crate) place: String,
    /// One JSON object a contribution, then one that says how complete the answer is
    #[arg(long)]
    pub(crate) json: bool,
    /// The file as it is in this revision
    #[arg(long)]
    pub(crate) rev: Option<String>,
    /// Ask about a repository that is not here, by its ID
    #[arg(long, value_name = "ID", requires = "from")]
    pub(crate) repository: Option<String>,
    /// Ask this collector for the facts
    #[arg(long, value_name = "URL")]
    pub(crate) from: Option<String>,
    /// The file that holds the token for it
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Show the texts too; the collector asks why (a responder's purpose)
    #[arg(long, requires = "ticket")]
    pub(crate) purpose: Option<String>,
    /// The ticket under which texts are read
    #[arg(long, requires = "purpose")]
    pub(crate) ticket: Option<String>,
}

/// Arguments of `blame`.
#[derive(Debug, Args)]
pub(crate) struct BlameArgs {
    /// A file, with lines: `src/auth.py:10` or `src/auth.py:10-20`
    #[arg(value_name = "FILE[:A-B]")]
    pub(crate) place: String,
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// What `git blame --porcelain` prints, with headers of our own
    #[arg(long, conflicts_with = "json")]
    pub(crate) porcelain: bool,
    /// The file as it is in this revision
    #[arg(long)]
    pub(crate) rev: Option<String>,
    /// The repository, where it is not the one around the file; a bare one needs --rev
    #[arg(long, value_name = "DIR")]
    pub(crate) git_dir: Option<PathBuf>,
}

/// Arguments of `settle`.
#[derive(Debug, Args)]
pub(crate) struct SettleArgs {
    /// A directory of the repository; else the current one
    #[arg(value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
}

/// Arguments of `enrol`.
#[derive(Debug, Args)]
pub(crate) struct EnrolArgs {
    /// The collector
    #[arg(required_unless_present = "rotate", value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The one-time code; `-` reads it from stdin, so that it stands in no shell's history
    #[arg(required_unless_present = "rotate", value_name = "CODE")]
    pub(crate) code: Option<String>,
    /// More certificate authorities for the collector, PEM; kept in config.toml
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Replace the token of a device that is enrolled; the present one ends when the new one is used
    #[arg(long, conflicts_with_all = ["url", "code", "ca_file"])]
    pub(crate) rotate: bool,
}

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The collector; else `collector.url` of config.toml
    #[arg(long, value_name = "URL")]
    pub(crate) to: Option<String>,
    /// The file that holds the device token; else `collector.token_file`
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// End when nothing waits any more (0) or the collector can't be had (3)
    #[arg(long)]
    pub(crate) once: bool,
    /// Before that, let events that were refused for good travel once more
    #[arg(long)]
    pub(crate) retry_quarantined: bool,
}

/// Arguments of `collect`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct CollectArgs {
    /// What else to do with an archive
    #[command(subcommand)]
    pub(crate) command: Option<CollectCommand>,
    /// Where the archive and its keys are kept
    #[arg(long, value_name = "DIR", required = true)]
    pub(crate) data: Option<PathBuf>,
    /// Address and port; port 0 picks one
    #[arg(long, default_value = "127.0.0.1:4319", value_name = "ADDRESS")]
    pub(crate) listen: std::net::SocketAddr,
    /// Certificate chain, PEM; needed for any address but loopback
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Private key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
}

/// What can be done with an archive besides serving it.
#[derive(Debug, Subcommand)]
pub(crate) enum CollectCommand {
    /// Make a token and print it once
    Token(TokenArgs),
    /// Make a one-time code for `countersign enrol` and print it once
    Code(CodeArgs),
    /// End every token of somebody; their devices are refused from now on
    Revoke(RevokeArgs),
}

/// Arguments of `collect code`.
#[derive(Debug, Args)]
pub(crate) struct CodeArgs {
    /// Where the archive is kept
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Whose device it is
    #[arg(long, value_name = "NAME")]
    pub(crate) subject: String,
    /// For how long: `15m`, `2h`, `7d`
    #[arg(long = "for", value_name = "TIME", default_value = "1d")]
    pub(crate) good_for: String,
}

/// Arguments of `collect revoke`.
#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// Where the archive is kept
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Whose tokens end
    #[arg(long, value_name = "NAME")]
    pub(crate) subject: String,
}

/// Arguments of `collect token`.
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// Where the archive is kept
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// device, developer, analyst, responder, auditor or admin
    #[arg(long)]
    pub(crate) role: String,
    /// Whose it is
    #[arg(long, value_name = "NAME")]
    pub(crate) subject: String,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Files and directories; `.` without any. In directories, ignore files are respected
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Check one text from stdin
    #[arg(long)]
    pub(crate) stdin: bool,
    /// What the text on stdin is called; says its language
    #[arg(long, value_name = "NAME")]
    pub(crate) path: Option<String>,
    /// One JSON object a finding, folded ones too
    #[arg(long, conflicts_with = "sarif")]
    pub(crate) json: bool,
    /// SARIF 2.1.0
    #[arg(long)]
    pub(crate) sarif: bool,
    /// Show what is folded away
    #[arg(long)]
    pub(crate) all: bool,
    /// End with 1 where something of this severity or a higher one is shown
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) fail_on: Option<FailOn>,
}

/// The least severity that fails a check.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum FailOn {
    /// Worth stopping for
    High,
    /// Worth changing
    Medium,
    /// Worth knowing
    Low,
}

impl FailOn {
    /// Returns the severity.
    pub(crate) fn severity(self) -> countersign_risk::Severity {
        match self {
            Self::High => countersign_risk::Severity::High,
            Self::Medium => countersign_risk::Severity::Medium,
            Self::Low => countersign_risk::Severity::Low,
        }
    }
}

/// Arguments of `calibrate`.
#[derive(Debug, Args)]
pub(crate) struct CalibrateArgs {
    /// Tables of changes, one a project, or directories of them
    #[arg(required = true, value_name = "CSV")]
    pub(crate) tables: Vec<PathBuf>,
    /// One JSON object a project, and one for the mean
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `pause`.
#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    /// Until when: `15m`, `2h`; without it until `resume`
    #[arg(long = "for", value_name = "TIME")]
    pub(crate) duration: Option<String>,
    /// Only the repository of this directory
    #[arg(long)]
    pub(crate) repository: bool,
}

/// Arguments of `purge`.
#[derive(Debug, Args)]
pub(crate) struct PurgeArgs {
    /// Only what is older than this time (RFC 3339)
    #[arg(long, value_name = "TIME", conflicts_with = "older_than")]
    pub(crate) before: Option<String>,
    /// Only what is older than this: `12h`, `30d`
    #[arg(long, value_name = "TIME")]
    pub(crate) older_than: Option<String>,
    /// Texts of events: prompts, outputs, files before and after an edit
    #[arg(long)]
    pub(crate) contents: bool,
    /// Texts of files as they were seen; without either, both
    #[arg(long)]
    pub(crate) snapshots: bool,
    /// Only what belongs to the repository of this directory
    #[arg(long)]
    pub(crate) repository: bool,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// Only show what would go
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `resume`.
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// Only the repository of this directory
    #[arg(long)]
    pub(crate) repository: bool,
}

/// Arguments of `setup`.
#[derive(Debug, Args)]
pub(crate) struct SetupArgs {
    /// What to set up
    #[command(subcommand)]
    pub(crate) command: SetupCommand,
}

/// What can be set up.
#[derive(Debug, Subcommand)]
pub(crate) enum SetupCommand {
    /// The hooks of the git repository this is run in; hooks that are there go on as they are
    Git(SetupGitArgs),
}

/// Arguments of `setup git`.
#[derive(Debug, Args)]
pub(crate) struct SetupGitArgs {
    /// Only say what is set up; 1 if anything is missing
    #[arg(long, conflicts_with_all = ["undo", "yes"])]
    pub(crate) check: bool,
    /// Take out what was set up
    #[arg(long)]
    pub(crate) undo: bool,
    /// Don't ask
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Keep the temporary directory and say where it is
    #[arg(long)]
    pub(crate) keep: bool,
    /// Leave the collector running until Ctrl-C
    #[arg(long)]
    pub(crate) serve: bool,
}

/// Arguments of `demo-server`.
#[derive(Debug, Args)]
pub(crate) struct DemoServerArgs {
    /// A recording: one frame a line
    pub(crate) recording: PathBuf,
}

/// Reads the command line. `--help` and mistakes are answered here.
pub(crate) fn parse() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|error| {
        // A reader that has gone needs no usage text.
        let _ = error.print();
        let is_hook = std::env::args_os().nth(1).is_some_and(|word| word == "hook" || word == "git");
        if error.use_stderr() && !is_hook { ExitCode::from(2) } else { ExitCode::SUCCESS }
    })
}

impl Cli {
    /// Starts our own log where this command's belongs.
    pub(crate) fn start_logging(&self) {
        match self.command {
            Command::Hook(_) | Command::Git(_) => hook::start_logging(),
            _ => crate::shell::start_logging(),
        }
    }
}

/// Does what was asked.
pub(crate) fn run(cli: &Cli) -> Result<ExitCode, Failure> {
    if let Command::DemoServer(args) = &cli.command {
        return crate::demo_server::run(args);
    }
    if let Command::Demo(args) = &cli.command {
        return command::demo::run(args);
    }
    if let Command::Hook(args) = &cli.command {
        hook::run(args);
        return Ok(ExitCode::SUCCESS);
    }
    if let Command::Git(args) = &cli.command {
        git::hooks::run(args);
        return Ok(ExitCode::SUCCESS);
    }
    if let Command::CheckRule = &cli.command {
        return command::check::user::run();
    }
    if let Command::Calibrate(args) = &cli.command {
        return command::calibrate::run(args);
    }
    if let Command::Setup(args) = &cli.command {
        return command::setup::run(args);
    }
    let shell = Shell::from_env()?;
    match &cli.command {
        Command::Lsp(args) => lsp::run(args, &shell),
        Command::Tap(args) => tap::run(args, &shell),
        Command::Log(args) => command::log::run(args, &shell),
        Command::Status(args) => command::status::run(args, &shell),
        Command::Verify(args) => command::verify::run(args, &shell),
        Command::Trace(args) => command::trace::run(args, &shell),
        Command::Blame(args) => command::blame::run(args, &shell),
        Command::Check(args) => command::check::run(args, &shell),
        Command::Settle(args) => command::settle::run(args, &shell),
        Command::Enrol(args) => command::enrol::run(args, &shell),
        Command::Replay(args) => replay::run(args, &shell),
        Command::Collect(args) => command::collect::run(args),
        Command::Purge(args) => command::purge::run(args, &shell),
        Command::Pause(args) => command::pause::pause(args, &shell),
        Command::Resume(args) => command::pause::resume(args, &shell),
        Command::Config(args) => command::config::run(args, &shell),
        Command::Demo(_)
        | Command::DemoServer(_)
        | Command::Hook(_)
        | Command::Git(_)
        | Command::Setup(_)
        | Command::CheckRule
        | Command::Calibrate(_) => unreachable!("run before the configuration is read"),
    }
}
