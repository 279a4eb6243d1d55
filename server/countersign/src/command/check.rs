//! `countersign check`: what the rules find in files, directories or one text from stdin.
//!
//! Whatever a file holds, it is judged or said to be left out; it must never stop the others.

mod declared;
mod files;
mod human;
mod json;
mod read;
mod sarif;
pub(crate) mod user;

use std::io::{BufWriter, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use countersign_risk::{Engine, Finding, Fold, Language, Skipped, fold};

use crate::cli::CheckArgs;
use crate::error::Failure;
use crate::paint::Paint;
use crate::policy::Asked;
use crate::shell::Shell;

use declared::Manifests;
use files::{File, Policies};
use read::{Left, read_text, text_of};

/// Matching recurses; the engine's bounds fit into this many times over.
const STACK_BYTES: usize = 16 << 20;

/// What was found in one file.
#[derive(Debug)]
struct Checked {
    /// As it is shown: relative to where the command runs, where that is possible.
    name: String,
    /// Sorted by place.
    hits: Vec<Hit>,
    /// Why it was not judged, or not wholly.
    left: Option<Left>,
}

/// A finding with its place in lines.
#[derive(Debug)]
struct Hit {
    finding: Finding,
    /// From 1; columns count characters.
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    /// The first line it stands on.
    code: String,
    /// Why the default view does not show it.
    folded: Option<String>,
    /// What policy asks of it.
    asked: Asked,
}

/// Runs `countersign check`.
pub(crate) fn run(args: &CheckArgs, shell: &Shell) -> Result<ExitCode, Failure> {
    let fail_on = args.fail_on.map(crate::cli::FailOn::severity);
    let policies = Policies::new(shell);
    let checked = if args.stdin || args.paths.iter().any(|path| path.as_os_str() == "-") {
        if args.paths.iter().any(|path| path.as_os_str() != "-") {
            return Err(Failure::usage("either the text on stdin or paths, not both"));
        }
        vec![check_stdin(args.path.as_deref(), &policies)?]
    } else {
        if args.path.is_some() {
            return Err(Failure::usage("--path names the text on stdin").hint("add --stdin, or leave out --path"));
        }
        let here = [PathBuf::from(".")];
        let paths = if args.paths.is_empty() { &here[..] } else { &args.paths };
        let files = files::find(paths)?;
        let mut checked = check_all(&files, &policies);
        user::check(&files, &mut checked, &policies);
        checked
    };
    let mut out = BufWriter::new(std::io::stdout().lock());
    if args.json {
        json::write(&mut out, &checked)?;
    } else if args.sarif {
        sarif::write(&mut out, &checked)?;
    } else {
        human::write(&mut out, &checked, args.all, Paint::for_stdout())?;
    }
    out.flush()?;
    policies.tell();
    tell_left(&checked);
    let bad = |hit: &Hit| {
        hit.folded.is_none() && (hit.asked.block || fail_on.is_some_and(|least| hit.finding.severity >= least))
    };
    if checked.iter().any(|file| file.hits.iter().any(bad)) {
        return Ok(ExitCode::from(1));
    }
    match checked.iter().any(|file| matches!(file.left, Some(Left::Unreadable(_)))) {
        true => Ok(ExitCode::from(3)),
        false => Ok(ExitCode::SUCCESS),
    }
}

/// What was not judged stands beside the findings, not among them.
#[expect(clippy::print_stderr, reason = "a remark for a person; the answer itself is on stdout")]
fn tell_left(checked: &[Checked]) {
    let mut binary = 0;
    for file in checked {
        match &file.left {
            Some(Left::Binary) => binary += 1,
            Some(left) => eprintln!("countersign: {}: {left}", printable(&file.name)),
            None => {}
        }
    }
    if binary > 0 {
        let files = if binary == 1 { "file is" } else { "files are" };
        eprintln!("countersign: {binary} {files} no text and not judged");
    }
}

/// Foreign text without what would steer a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

fn check_stdin(name: Option<&str>, policies: &Policies<'_>) -> Result<Checked, Failure> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(read::BYTES_MAX + 1).read_to_end(&mut bytes)?;
    let file = File::named(name.unwrap_or("<stdin>"));
    Ok(check_text(&Engine::new(), &Manifests::default(), &file, text_of(bytes), policies))
}

/// Checks files side by side; the answer is in their order.
fn check_all(files: &[File], policies: &Policies<'_>) -> Vec<Checked> {
    let engine = Engine::new();
    let manifests = Manifests::default();
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(files.len()));
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(file) = files.get(index) else { break };
            let checked = check_text(&engine, &manifests, file, read_text(&file.path), policies);
            done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((index, checked));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(files.len());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let thread = std::thread::Builder::new().name("check".to_owned()).stack_size(STACK_BYTES);
            if let Err(error) = thread.spawn_scoped(scope, work) {
                tracing::warn!("one thread less: {error}");
            }
        }
    });
    // Where no thread could be had, the work is still there.
    work();
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, checked)| checked).collect()
}

fn check_text(
    engine: &Engine,
    manifests: &Manifests,
    file: &File,
    text: Result<String, Left>,
    policies: &Policies<'_>,
) -> Checked {
    let name = file.name.clone();
    let text = match text {
        Ok(text) => text,
        Err(left) => return Checked { name, hits: Vec::new(), left: Some(left) },
    };
    // A rule that fails on one file must not take the others with it.
    let language = Language::from_path(&file.name);
    let judge = || {
        let mut report = engine.check(language, &text);
        report.findings.extend(manifests.ghosts(&file.path, language, &text));
        report
    };
    let report = std::panic::catch_unwind(std::panic::AssertUnwindSafe(judge));
    let Ok(report) = report else { return Checked { name, hits: Vec::new(), left: Some(Left::Failed) } };
    let left = report.skipped.map(|skipped| match skipped {
        Skipped::TooLong { bytes, bytes_max } => Left::CodeTooLong { bytes, bytes_max },
        Skipped::Unparsable => Left::Unparsable,
        Skipped::Partly => Left::Partly,
    });
    let policy = policies.of(file);
    let folds = fold(&report.findings, Fold::of_file(policy.path(), &text));
    let places = Places::new(&text);
    let hits = report.findings.into_iter().zip(folds).map(|(finding, fold)| {
        let folded = policy.allowed(&finding).or_else(|| fold.map(str::to_owned));
        let asked = policy.asks(&finding);
        places.hit(finding, folded, asked)
    });
    let mut checked = Checked { name, hits: hits.collect(), left };
    checked.sort();
    checked
}

impl Checked {
    fn sort(&mut self) {
        self.hits.sort_by(|a, b| (a.line, a.column, &a.finding.rule).cmp(&(b.line, b.column, &b.finding.rule)));
    }
}

/// Turns byte offsets into lines and columns. Lines end as everywhere else: LF, CRLF, CR.
struct Places<'t> {
    text: &'t str,
    /// Where each line begins.
    starts: Vec<usize>,
}

impl<'t> Places<'t> {
    /// Longest piece of a line that is kept for showing.
    const CODE_BYTES_MAX: usize = 200;

    fn new(text: &'t str) -> Self {
        let bytes = text.as_bytes();
        let ends = (0..bytes.len())
            .filter(|at| bytes[*at] == b'\n' || (bytes[*at] == b'\r' && bytes.get(at + 1) != Some(&b'\n')));
        Self { text, starts: std::iter::once(0).chain(ends.map(|at| at + 1)).collect() }
    }

    fn hit(&self, finding: Finding, folded: Option<String>, asked: Asked) -> Hit {
        let (line, column) = self.place(finding.range.start);
        let (end_line, end_column) = self.place(finding.range.end);
        let code = self.code(line, finding.range.start);
        Hit { finding, line, column, end_line, end_column, code, folded, asked }
    }

    fn place(&self, at: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= at);
        let column = self.text[self.starts[line - 1]..at].chars().count() + 1;
        (line, column)
    }

    /// The line, or of an endless one the part around `at`.
    fn code(&self, line: usize, at: usize) -> String {
        let start = self.starts[line - 1];
        let end = self.starts.get(line).copied().unwrap_or(self.text.len());
        let from = start.max(at.saturating_sub(Self::CODE_BYTES_MAX / 4));
        let to = end.min(from + Self::CODE_BYTES_MAX);
        let border = |at: usize| (at..=end).find(|at| self.text.is_char_boundary(*at)).unwrap_or(end);
        let from = if start + Self::CODE_BYTES_MAX > end { start } else { border(from) };
        let mut code = self.text[from..border(to.max(from))].trim().to_owned();
        if from > start {
            code.insert(0, '…');
        }
        if to < end {
            code.push('…');
        }
        code
    }
}

#[cfg(test)]
mod tests;
