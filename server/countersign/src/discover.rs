//! Which AI tools are on this machine, and what of ours is set up to see them.
//!
//! Reads file names and small configuration files, and nothing else: it never runs a program, never
//! follows what a file says, and takes anything odd for "not there". What it can't know (a tap in some
//! editor's configuration, say) the trail tells, and `status` joins the two.

mod config;
mod table;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

pub(crate) use config::Hook;
use table::TOOLS;
pub(crate) use table::Tool;

/// Directories of PATH that are looked at, and names in a directory: a machine may have any number.
const DIRS_MAX: usize = 256;
const NAMES_MAX: usize = 4096;

/// Where VS Code and its relatives keep their extensions.
const EXTENSION_DIRS: &[&str] = &[
    "~/.vscode/extensions",
    "~/.vscode-insiders/extensions",
    "~/.vscode-oss/extensions",
    "~/.vscode-server/extensions",
    "~/.cursor/extensions",
    "~/.cursor-server/extensions",
    "~/.windsurf/extensions",
];

/// Where Neovim and Vim keep their plugins; `*` is any one name.
const PLUGIN_DIRS: &[&str] = &[
    "~/.local/share/nvim/lazy",
    "~/.local/share/nvim/plugged",
    "~/.local/share/nvim/site/pack/*/start",
    "~/.local/share/nvim/site/pack/*/opt",
    "~/.config/nvim/pack/*/start",
    "~/.config/nvim/pack/*/opt",
    "~/.vim/plugged",
    "~/.vim/pack/*/start",
    "~/.vim/pack/*/opt",
];

/// Where to look.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// `~`.
    pub(crate) home: PathBuf,
    /// The directories of PATH.
    pub(crate) path: Vec<PathBuf>,
    /// `/`, for what an administrator has set.
    pub(crate) system: PathBuf,
    /// `.`: the root of the repository we stand in.
    pub(crate) project: Option<PathBuf>,
}

impl Machine {
    /// Describes a machine by its HOME and PATH.
    pub(crate) fn new(home: PathBuf, path: Option<&OsStr>, system: PathBuf, project: Option<PathBuf>) -> Machine {
        let dirs = path.into_iter().flat_map(std::env::split_paths);
        // An empty entry means the current directory, which says nothing about what is installed.
        let path = dirs.filter(|dir| dir.is_absolute()).take(DIRS_MAX).collect();
        Machine { home, path, system, project }
    }

    /// Returns every path a pattern of the table means: `~/`, `./` or `/` in front, `*` for any one
    /// name or the rest of one.
    fn expand(&self, pattern: &str) -> Vec<PathBuf> {
        let (base, rest) = match pattern.split_at_checked(2) {
            Some(("~/", rest)) => (self.home.clone(), rest),
            Some(("./", rest)) => match &self.project {
                Some(project) => (project.clone(), rest),
                None => return Vec::new(),
            },
            _ => (self.system.clone(), pattern.trim_start_matches('/')),
        };
        let mut paths = vec![base];
        for part in rest.split('/') {
            let Some((before, after)) = part.split_once('*') else {
                paths.iter_mut().for_each(|path| path.push(part));
                continue;
            };
            let fits = |name: &String| {
                name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
            };
            paths = paths
                .iter()
                .flat_map(|dir| names(dir).into_iter().filter(fits).map(|name| dir.join(name)))
                .take(NAMES_MAX)
                .collect();
        }
        paths
    }

    /// Writes a path as a person does: `~` for the home, relative to the repository.
    fn show(&self, path: &Path) -> String {
        let below = |base: &Path, sign: &str| {
            let rest = path.strip_prefix(base).ok()?;
            Some(format!("{sign}{}", rest.display()))
        };
        let project = self.project.as_deref().and_then(|project| below(project, ""));
        project.or_else(|| below(&self.home, "~/")).unwrap_or_else(|| path.display().to_string())
    }
}

/// A tool that is there.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// What we know of it.
    pub(crate) tool: &'static Tool,
    /// By what we found it: programs, extensions, directories.
    pub(crate) found: Vec<String>,
    /// Whether it tells our hook.
    pub(crate) hook: Hook,
    /// Our own extension stands beside it in every editor it was found in.
    pub(crate) extension: bool,
}

/// Returns every tool of the table that is on this machine, in the table's order.
pub(crate) fn discover(machine: &Machine) -> Vec<Found> {
    let editors: Vec<Editor> = EXTENSION_DIRS.iter().filter_map(|pattern| Editor::read(machine, pattern)).collect();
    let plugins: Vec<PathBuf> = PLUGIN_DIRS.iter().flat_map(|pattern| machine.expand(pattern)).collect();
    TOOLS.iter().filter_map(|tool| look_for(tool, machine, &editors, &plugins)).collect()
}

fn look_for(tool: &'static Tool, machine: &Machine, editors: &[Editor], plugins: &[PathBuf]) -> Option<Found> {
    let mut found: Vec<String> = tool.programs.iter().filter_map(|name| program(machine, name)).collect();
    let mut homes = 0;
    let mut ours = 0;
    for editor in editors {
        let here: Vec<&&str> = tool.extensions.iter().filter(|id| editor.extensions.contains(**id)).collect();
        if !here.is_empty() {
            homes += 1;
            ours += usize::from(editor.has_ours);
        }
        found.extend(here.into_iter().map(|id| format!("{id} in {}", editor.dir)));
    }
    let plugin = |name: &&str| plugins.iter().map(|dir| dir.join(name)).find(|path| path.is_dir());
    found.extend(tool.plugins.iter().filter_map(plugin).map(|path| machine.show(&path)));
    let marks = tool.marks.iter().flat_map(|pattern| machine.expand(pattern));
    found.extend(marks.filter(|path| path.is_dir()).map(|path| machine.show(&path)));
    if found.is_empty() {
        return None;
    }
    let hook = tool.hooks.as_ref().map_or(Hook::None, |hooks| config::hook(hooks, machine));
    Some(Found { tool, found, hook, extension: homes > 0 && homes == ours })
}

/// Finds a program as a shell does.
fn program(machine: &Machine, name: &str) -> Option<String> {
    let endings: &[&str] = if cfg!(windows) { &[".exe", ".cmd", ".bat"] } else { &[""] };
    let mut candidates =
        machine.path.iter().flat_map(|dir| endings.iter().map(move |ending| dir.join(format!("{name}{ending}"))));
    candidates.find(|path| is_program(path)).map(|path| machine.show(&path))
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}

/// One editor's directory of extensions.
struct Editor {
    dir: String,
    /// `publisher.name`, lower case.
    extensions: BTreeSet<String>,
    has_ours: bool,
}

impl Editor {
    fn read(machine: &Machine, pattern: &str) -> Option<Editor> {
        let dir = machine.expand(pattern).pop()?;
        // The editor removes a directory at its next start; until then it stands in this list.
        let removed = config::read_json(&dir.join(".obsolete")).unwrap_or_default();
        let kept = names(&dir).into_iter().filter(|name| removed[name.as_str()] != true);
        let extensions: BTreeSet<String> = kept.filter_map(|name| extension_id(&name)).collect();
        let has_ours = extensions.iter().any(|id| id.ends_with(".countersign"));
        (!extensions.is_empty()).then(|| Editor { dir: machine.show(&dir), extensions, has_ours })
    }
}

/// Takes the version off a directory's name: `GitHub.copilot-chat-0.31.2-linux-x64` is
/// `github.copilot-chat`.
fn extension_id(name: &str) -> Option<String> {
    let end = name.match_indices('-').find(|(i, _)| name[i + 1..].starts_with(|c: char| c.is_ascii_digit()))?.0;
    let id = name[..end].to_ascii_lowercase();
    id.contains('.').then_some(id)
}

/// The names in a directory, sorted; none where there is no such directory.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().take(NAMES_MAX);
    let mut names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests;
