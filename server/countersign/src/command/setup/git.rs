//! `countersign setup git`: our line in the three hooks of the repository we stand in.
//!
//! Hooks only make `settle` prompt, so whatever is not understood is left alone and told; nothing else of
//! the repository is touched, its configuration neither.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use super::change::{self, Change, Entry};
use super::hook_file::{self, ASIDE, Hook, Odd};
use crate::cli::SetupGitArgs;
use crate::error::Failure;
use crate::git::hooks;
use crate::shell::Shell;

const HOOKS: [&str; 3] = ["post-commit", "post-rewrite", "pre-push"];
/// Where managers of hooks put what they find in their place: pre-commit, which runs it, and lefthook.
const KEPT: [&str; 2] = [".legacy", ".old"];
/// What `.git/info/exclude` says about hooks of ours that would show up as new files.
const EXCLUDED: &str = "# countersign: hooks of this clone alone\n";

/// Where the hooks of a repository are.
struct Ground {
    /// The root of the work tree.
    root: PathBuf,
    /// What all its work trees share.
    common_dir: PathBuf,
    /// Where git looks for hooks.
    hooks: PathBuf,
    /// What there is to know about that place.
    notice: Option<String>,
}

/// How a hook is and how it would be.
struct Plan {
    name: &'static str,
    path: PathBuf,
    now: Hook,
    then: Result<Hook, Odd>,
    /// Ours, where a manager of hooks that came later has put it: it would tell everything twice.
    kept: Vec<Change>,
}

/// Runs `countersign setup git`.
pub(super) fn run(args: &SetupGitArgs) -> Result<ExitCode, Failure> {
    let ground = Ground::find()?;
    let program = std::env::current_exe().map_err(|error| Failure::from_error("cannot find myself", &error))?;
    let plans: Vec<Plan> =
        HOOKS.iter().map(|name| Plan::new(&ground, name, &program, args.undo)).collect::<Result<_, _>>()?;
    if args.check {
        return check(&ground, &plans);
    }
    let mut changes: Vec<Change> = plans.iter().flat_map(Plan::changes).collect();
    changes.extend(ground.exclude(&plans, args.undo)?);
    if !changes.is_empty() {
        if !args.undo
            && let Some(notice) = &ground.notice
        {
            writeln!(std::io::stdout(), "{notice}\n")?;
        }
        if !change::agreed(&changes, args.yes)? {
            writeln!(std::io::stdout(), "nothing was changed")?;
            return Ok(ExitCode::SUCCESS);
        }
        let backup = ground.backup();
        change::make(&changes, (!args.undo).then_some(&backup))?;
    }
    if args.undo {
        ground.forget_backup(&plans)?;
    }
    if !args.undo
        && let Ok(shell) = Shell::from_env()
    {
        // So that no hook has to: counting a long history back takes longer than git should wait.
        hooks::meet(&ground.root, &shell.paths.state);
    }
    tell(&ground, &plans, &changes, args.undo)
}

fn check(ground: &Ground, plans: &[Plan]) -> Result<ExitCode, Failure> {
    let mut out = std::io::stdout().lock();
    let mut is_whole = true;
    for plan in plans {
        let state = match &plan.then {
            Ok(then) if *then == plan.now && plan.kept.is_empty() => "set up",
            Ok(_) if hook_file::is_there(&plan.now) => "out of date",
            Ok(_) if !plan.kept.is_empty() => "set aside by another",
            Ok(_) => "missing",
            Err(_) => "changed by somebody",
        };
        is_whole &= state == "set up";
        writeln!(out, "{:13} {state:20} {}", plan.name, ground.short(&plan.path))?;
    }
    if !is_whole {
        writeln!(out, "`countersign setup git` sets them up; until then lines are settled when somebody asks")?;
    }
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn tell(ground: &Ground, plans: &[Plan], changes: &[Change], undo: bool) -> Result<ExitCode, Failure> {
    let mut out = std::io::stdout().lock();
    let odd: Vec<&Plan> = plans.iter().filter(|plan| plan.then.is_err()).collect();
    match (changes.is_empty(), undo) {
        (true, _) if !odd.is_empty() => {}
        (true, false) => writeln!(out, "git's hooks are set up already")?,
        (true, true) => writeln!(out, "nothing of ours is in git's hooks")?,
        (false, false) => {
            writeln!(out, "\ngit's hooks are set up; `countersign setup git --undo` takes them out again")?;
            if changes.iter().any(|change| change.before != Entry::Absent) {
                writeln!(out, "what was there before is kept in {}", ground.short(&ground.backup()))?;
            }
        }
        (false, true) => writeln!(out, "\ngit's hooks are as they were")?,
    }
    for plan in &odd {
        let why = match plan.then {
            Err(Odd::AsideTaken) => format!("{}{ASIDE} is there already", plan.name),
            _ => "what we wrote there was changed".to_owned(),
        };
        writeln!(out, "{} was left alone: {why}", ground.short(&plan.path))?;
    }
    Ok(if odd.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

impl Plan {
    fn new(ground: &Ground, name: &'static str, program: &Path, undo: bool) -> Result<Plan, Failure> {
        let path = ground.hooks.join(name);
        let now = Hook { file: Entry::read(&path)?, aside: Entry::read(&beside(&path, ASIDE))? };
        let (mut kept, mut free) = (Vec::new(), now.clone());
        for ending in KEPT {
            let path = beside(&path, ending);
            let Ok(file) = Entry::read(&path) else { continue };
            let was = Hook { file, aside: free.aside.clone() };
            if hook_file::is_there(&was)
                && let Ok(plain) = hook_file::without_us(name, &was)
            {
                free.aside = plain.aside;
                kept.push(Change { path, before: was.file, after: plain.file });
            }
        }
        let then = if undo {
            hook_file::without_us(name, &free)
        } else {
            hook_file::with_us(name, &program_bytes(program), &free)
        };
        Ok(Plan { name, path, now, then, kept })
    }

    /// What has to change, the file set aside first: at no moment is a hook gone.
    fn changes(&self) -> Vec<Change> {
        let Ok(then) = &self.then else { return Vec::new() };
        let aside =
            Change { path: beside(&self.path, ASIDE), before: self.now.aside.clone(), after: then.aside.clone() };
        let file = Change { path: self.path.clone(), before: self.now.file.clone(), after: then.file.clone() };
        let mut changes = vec![aside, file];
        if then.aside == Entry::Absent {
            changes.reverse();
        }
        changes.splice(0..0, self.kept.iter().cloned());
        changes.retain(|change| change.before != change.after);
        changes
    }
}

impl Ground {
    fn find() -> Result<Ground, Failure> {
        let no_repository = || {
            Failure::usage("this is no git repository with a work tree").hint("run it inside the repository to set up")
        };
        let here = Path::new(".");
        let path = |args: &[&str]| ask(here, args).map(|bytes| path_of(&bytes)).ok_or_else(no_repository);
        let root = path(&["rev-parse", "--show-toplevel"])?;
        let common_dir = root.join(path(&["-C", &lossless(&root)?, "rev-parse", "--git-common-dir"])?);
        let configured = ask(here, &["config", "--type=path", "--get", "core.hooksPath"]);
        let Some(configured) = configured else {
            let hooks = common_dir.join("hooks");
            return Ok(Ground { root, common_dir, hooks, notice: None });
        };
        let hooks = root.join(path_of(&configured)); // relative to where hooks run
        if !hooks.is_dir() {
            return Err(Failure::could_not(format!(
                "core.hooksPath names {}, which is no directory here: git runs no hooks",
                hooks.display()
            ))
            .hint("install the hooks that belong there first (husky: `npm install`), or unset core.hooksPath"));
        }
        let scope = ask(here, &["config", "--show-scope", "--get", "core.hooksPath"]).unwrap_or_default();
        let is_shared = scope.starts_with(b"global") || scope.starts_with(b"system");
        let notice = if is_shared {
            Some(format!("{} serves every repository of this account, and so will these hooks.", hooks.display()))
        } else if hooks.ends_with(".husky/_") {
            Some("husky writes its hooks anew when it is installed; run this again after that.".to_owned())
        } else {
            None
        };
        Ok(Ground { root, common_dir, hooks, notice })
    }

    fn backup(&self) -> PathBuf {
        self.common_dir.join("countersign/before")
    }

    /// Removes the backup of what is there again. What it alone still has is kept.
    fn forget_backup(&self, plans: &[Plan]) -> Result<(), Failure> {
        let backup = self.backup();
        for plan in plans {
            // A manager of hooks may have moved what was there.
            let places: Vec<PathBuf> = ["", KEPT[0], KEPT[1], ASIDE].map(|ending| beside(&plan.path, ending)).into();
            let there: Vec<Entry> = places.iter().map(|path| Entry::read(path).unwrap_or(Entry::Absent)).collect();
            for (path, now) in places.iter().zip(&there) {
                let copy = backup.join(path.file_name().unwrap_or_default());
                let hook = Hook { file: Entry::read(&copy)?, aside: now.clone() };
                let was = hook_file::without_us(plan.name, &hook).map_or(hook.file.clone(), |plain| plain.file);
                if hook.file != Entry::Absent && (was == Entry::Absent || there.contains(&was)) {
                    std::fs::remove_file(&copy)?;
                }
            }
        }
        let _ = std::fs::remove_file(backup.join("exclude")); // that file is the user's own to change
        // Not empty: there is something left to keep.
        let _ = std::fs::remove_dir(&backup).and_then(|()| std::fs::remove_dir(self.common_dir.join("countersign")));
        Ok(())
    }

    /// Keeps new files of ours in the work tree out of `git status`: they are this clone's alone.
    fn exclude(&self, plans: &[Plan], undo: bool) -> Result<Option<Change>, Failure> {
        let path = self.common_dir.join("info/exclude");
        let before = Entry::read(&path)?;
        let (bytes, mode) = match &before {
            Entry::File { bytes, mode } => (bytes.clone(), *mode),
            Entry::Absent => (Vec::new(), 0o644),
            Entry::Link(_) => return Ok(None),
        };
        let mut after = bytes.clone();
        if undo {
            remove_lines(&mut after);
        } else {
            let new = plans.iter().flat_map(Plan::changes).filter(|change| change.before == Entry::Absent);
            let lines: Vec<u8> = new.filter_map(|change| self.exclude_line(&change.path)).flatten().collect();
            if !lines.is_empty() {
                if !after.is_empty() && !after.ends_with(b"\n") {
                    return Ok(None); // `--undo` could not bring that back
                }
                after.extend([EXCLUDED.as_bytes(), &lines].concat());
            }
        }
        let is_ours_alone = after.is_empty() && undo && before != Entry::Absent;
        let after = if is_ours_alone { Entry::Absent } else { Entry::File { bytes: after, mode } };
        let is_same = bytes.is_empty() && matches!(&after, Entry::File { bytes, .. } if bytes.is_empty());
        Ok((after != before && !is_same).then_some(Change { path, before, after }))
    }

    /// The line that hides a file, if it is in the work tree and git would show it.
    fn exclude_line(&self, path: &Path) -> Option<Vec<u8>> {
        let inside = path.strip_prefix(&self.root).ok().filter(|inside| !inside.starts_with(".git"))?;
        let inside = inside.to_str().filter(|path| !path.contains(['*', '?', '[', '\\', '\n', ' ']))?;
        let is_ignored = ask(&self.root, &["check-ignore", inside]).is_some();
        (!is_ignored).then(|| format!("/{}\n", inside.replace(std::path::MAIN_SEPARATOR, "/")).into_bytes())
    }

    fn short(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}

/// Takes out our comment and the lines that follow it, up to the first that is not of our making.
fn remove_lines(bytes: &mut Vec<u8>) {
    let Some(start) = bytes.windows(EXCLUDED.len()).position(|window| window == EXCLUDED.as_bytes()) else { return };
    let mut end = start + EXCLUDED.len();
    while let Some(line) = bytes[end..].split_inclusive(|byte| *byte == b'\n').next() {
        let text = String::from_utf8_lossy(line);
        let is_ours = HOOKS.iter().any(|hook| {
            let name = text.trim_end().rsplit('/').next().unwrap_or_default();
            name == *hook || name == format!("{hook}{ASIDE}")
        });
        if !is_ours {
            break;
        }
        end += line.len();
    }
    bytes.drain(start..end);
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Asks git, in the user's own environment: `GIT_DIR` and the like mean what they mean to git.
fn ask(dir: &Path, args: &[&str]) -> Option<Vec<u8>> {
    let mut command = Command::new("git");
    let output = command.arg("-C").arg(dir).args(args).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let mut bytes = output.stdout;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    (output.status.success() && !bytes.is_empty()).then_some(bytes)
}

fn lossless(path: &Path) -> Result<String, Failure> {
    path.to_str().map(str::to_owned).ok_or_else(|| Failure::could_not(format!("{} is not UTF-8", path.display())))
}

#[cfg(unix)]
fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes))
}

#[cfg(not(unix))]
fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

/// Our own path as git's shell takes it.
fn program_bytes(program: &Path) -> Vec<u8> {
    let bytes = program.as_os_str().as_encoded_bytes().to_vec();
    if cfg!(windows) { bytes.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect() } else { bytes }
}
