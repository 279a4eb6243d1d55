//! Changes of files as a person gets to see them: a diff, a question, a backup, and then all of them.
//!
//! A file is replaced whole by a rename or not at all, and keeps its permissions. What was there before is
//! copied aside first.

use std::fs;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use similar::TextDiff;

use crate::error::Failure;
use crate::paint::Paint;

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// Nothing.
    Absent,
    /// A file.
    File {
        /// Its bytes.
        bytes: Vec<u8>,
        /// Its permissions, as the system counts them; where it has none, 0.
        mode: u32,
    },
    /// A symbolic link.
    Link(PathBuf),
}

/// One path, as it is and as it is to be.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) path: PathBuf,
    pub(super) before: Entry,
    pub(super) after: Entry,
}

impl Entry {
    /// Looks at a path.
    ///
    /// Errors: it can't be read, or it is neither a file nor a link.
    pub(super) fn read(path: &Path) -> Result<Entry, Failure> {
        let trouble = |error| Failure::from_error(&format!("cannot read {}", path.display()), &error);
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Entry::Absent),
            Err(error) => return Err(trouble(error)),
        };
        if metadata.is_symlink() {
            return Ok(Entry::Link(fs::read_link(path).map_err(trouble)?));
        }
        if !metadata.is_file() {
            return Err(Failure::could_not(format!("{} is no file", path.display())));
        }
        Ok(Entry::File { bytes: fs::read(path).map_err(trouble)?, mode: mode(&metadata) })
    }

    fn write(&self, path: &Path) -> std::io::Result<()> {
        match self {
            Entry::Absent => match fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
            Entry::File { bytes, mode } => {
                let dir = path.parent().unwrap_or(Path::new("."));
                fs::create_dir_all(dir)?;
                let mut file = tempfile::NamedTempFile::new_in(dir)?;
                file.write_all(bytes)?;
                set_mode(file.as_file(), *mode)?;
                file.as_file().sync_all()?;
                file.persist(path).map(|_| ()).map_err(Into::into)
            }
            Entry::Link(target) => {
                if fs::symlink_metadata(path).is_ok() {
                    fs::remove_file(path)?;
                }
                link(target, path)
            }
        }
    }

    fn text(&self) -> String {
        match self {
            Entry::Absent => String::new(),
            Entry::File { bytes, .. } => String::from_utf8_lossy(bytes).into_owned(),
            Entry::Link(target) => format!("-> {}\n", target.display()),
        }
    }
}

impl Change {
    /// Writes it as a diff.
    pub(super) fn show(&self, out: &mut impl Write, paint: Paint) -> std::io::Result<()> {
        let name = |entry: &Entry| match entry {
            Entry::Absent => "/dev/null".to_owned(),
            _ => self.path.display().to_string(),
        };
        let (before, after) = (self.before.text(), self.after.text());
        let diff = TextDiff::from_lines(&before, &after);
        let diff = diff.unified_diff().header(&name(&self.before), &name(&self.after)).to_string();
        for line in diff.lines() {
            let line = match line.as_bytes().first() {
                _ if line.starts_with("---") || line.starts_with("+++") => paint.bold(line),
                Some(b'+') => paint.green(line),
                Some(b'-') => paint.red(line),
                Some(b'@') => paint.cyan(line),
                _ => line.to_owned(),
            };
            writeln!(out, "{line}")?;
        }
        Ok(())
    }
}

/// Shows changes and asks whether to make them. `false` where the answer is no.
///
/// Errors: there is nobody to ask.
pub(super) fn agreed(changes: &[Change], yes: bool) -> Result<bool, Failure> {
    let mut out = std::io::stdout().lock();
    let paint = Paint::for_stdout();
    for change in changes {
        change.show(&mut out, paint)?;
    }
    if yes {
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage("nobody is here to be asked, nothing was changed").hint("--yes answers for you"));
    }
    write!(out, "\nMake these changes? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Makes changes, copying what was there into `backup` first. Should one fail, those before it are undone.
pub(super) fn make(changes: &[Change], backup: Option<&Path>) -> Result<(), Failure> {
    let failed = |path: &Path, error: &std::io::Error| {
        Failure::from_error(&format!("cannot write {}", path.display()), error).hint("nothing was changed")
    };
    if let Some(backup) = backup {
        for change in changes.iter().filter(|change| change.before != Entry::Absent) {
            let copy = backup.join(change.path.file_name().unwrap_or_default());
            // The oldest is the one from before us.
            if fs::symlink_metadata(&copy).is_err() {
                change.before.write(&copy).map_err(|error| failed(&copy, &error))?;
            }
        }
    }
    for (at, change) in changes.iter().enumerate() {
        if let Err(error) = change.after.write(&change.path) {
            for done in changes[..at].iter().rev() {
                done.before.write(&done.path).map_err(|error| failed(&done.path, &error))?;
            }
            return Err(failed(&change.path, &error));
        }
    }
    Ok(())
}

#[cfg(unix)]
fn mode(metadata: &fs::Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o7777
}

#[cfg(not(unix))]
fn mode(_: &fs::Metadata) -> u32 {
    0
}

#[cfg(unix)]
fn set_mode(file: &fs::File, mode: u32) -> std::io::Result<()> {
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_: &fs::File, _: u32) -> std::io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn link(target: &Path, path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(not(unix))]
fn link(_: &Path, path: &Path) -> std::io::Result<()> {
    Err(std::io::Error::other(format!("{} is a link", path.display())))
}
