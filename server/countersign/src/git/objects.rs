//! Objects of a repository, by one long-lived `git cat-file` for names and one for contents.
//!
//! Reads objects alone: never the work tree, never the network (a partial clone's missing object is
//! missing), never a lock.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Larger texts are not attributed.
pub(crate) const TEXT_BYTES_MAX: u64 = 8 << 20;

/// An object as git names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) oid: String,
    pub(crate) is_blob: bool,
    pub(crate) bytes: u64,
}

/// The objects of one repository.
pub(crate) struct Objects {
    git_dir: PathBuf,
    names: Option<Cat>,
    contents: Option<Cat>,
}

struct Cat {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Drop for Cat {
    fn drop(&mut self) {
        // It has nothing to save, and would else be waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Objects {
    /// Names a repository. Nothing is started before something is asked.
    pub(crate) fn of(git_dir: &Path) -> Objects {
        Objects { git_dir: git_dir.to_owned(), names: None, contents: None }
    }

    /// Runs git on this repository and returns what it prints. `None` where it refuses.
    pub(crate) fn run(&self, args: &[&str], input: &[u8]) -> Option<Vec<u8>> {
        let mut child = command(&self.git_dir)
            .args(args)
            .stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() })
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let stdin = child.stdin.take();
        let input = input.to_vec();
        // Written beside: git may print before it has read everything.
        let writer = std::thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&input)));
        let mut out = Vec::new();
        child.stdout.take()?.read_to_end(&mut out).ok()?;
        let _ = writer.join(); // a git that did not read everything says so itself
        child.wait().ok()?.success().then_some(out)
    }

    /// Returns the name of an object that may be missing: of a path in a commit whose tree is there.
    pub(crate) fn oid(&self, name: &str) -> Option<String> {
        let oid = self.run(&["rev-parse", "--verify", "--quiet", "--end-of-options", name], b"")?;
        Some(std::str::from_utf8(&oid).ok()?.trim_end().to_owned())
    }

    /// Asks what a name stands for: `HEAD`, a commit, `commit:path`. `None` also where git lacks the object.
    pub(crate) fn name(&mut self, name: &str) -> Option<Object> {
        if name.contains('\n') {
            return self.name(&self.oid(name)?);
        }
        let git_dir = self.git_dir.clone();
        let cat = cat(&mut self.names, &git_dir, "--batch-check=%(objectname) %(objecttype) %(objectsize)")?;
        let found = ask(cat, name);
        if found.is_none() {
            self.names = None;
        }
        header(&found?)
    }

    /// Returns a blob's bytes. `None` where it is missing or larger than [`TEXT_BYTES_MAX`].
    pub(crate) fn blob(&mut self, oid: &str) -> Option<Vec<u8>> {
        let known = self.name(oid).filter(|object| object.is_blob && object.bytes <= TEXT_BYTES_MAX)?;
        let git_dir = self.git_dir.clone();
        let cat = cat(&mut self.contents, &git_dir, "--batch")?;
        let read = |cat: &mut Cat| {
            header(&ask(cat, &known.oid)?)?;
            let mut bytes = vec![0; usize::try_from(known.bytes).ok()? + 1];
            cat.output.read_exact(&mut bytes).ok()?;
            bytes.pop();
            Some(bytes)
        };
        let bytes = read(cat);
        if bytes.is_none() {
            self.contents = None;
        }
        bytes
    }
}

/// Starts git on a repository, as it is and without asking anybody.
pub(crate) fn command(git_dir: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .arg("--git-dir")
        .arg(git_dir)
        .args(["-c", "core.quotePath=false"])
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C");
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX"] {
        command.env_remove(name);
    }
    command
}

fn cat<'a>(slot: &'a mut Option<Cat>, git_dir: &Path, how: &str) -> Option<&'a mut Cat> {
    if slot.is_none() {
        let mut child = command(git_dir)
            .args(["cat-file", how])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let (input, output) = (child.stdin.take()?, BufReader::new(child.stdout.take()?));
        *slot = Some(Cat { child, input, output });
    }
    slot.as_mut()
}

fn ask(cat: &mut Cat, name: &str) -> Option<String> {
    cat.input.write_all(format!("{name}\n").as_bytes()).ok()?;
    cat.input.flush().ok()?;
    let mut line = Vec::new();
    cat.output.read_until(b'\n', &mut line).ok()?;
    (line.pop() == Some(b'\n')).then(|| String::from_utf8_lossy(&line).into_owned())
}

/// Reads `oid type size`; anything else, such as `… missing`, is no object.
fn header(line: &str) -> Option<Object> {
    let mut fields = line.split(' ');
    let (oid, kind, bytes, end) = (fields.next()?, fields.next()?, fields.next()?, fields.next());
    let is_oid = matches!(oid.len(), 40 | 64) && oid.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bytes = bytes.parse().ok().filter(|_| is_oid && end.is_none())?;
    Some(Object { oid: oid.to_owned(), is_blob: kind == "blob", bytes })
}
