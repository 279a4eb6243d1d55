//! `countersign blame`: who wrote each line of a file, now or in a revision.

mod human;
mod porcelain;
mod told;

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use countersign_event::facts::How;
use countersign_spool::{Reader, SpoolError};

use super::trace::place::split;
use crate::cli::BlameArgs;
use crate::error::Failure;
use crate::git::blame::{Asked, Blame, BlameError, Question};
use crate::git::settle::settle;
use crate::paint::Paint;
use crate::shell::{Shell, now};

/// Runs `countersign blame`.
pub(crate) fn run(args: &BlameArgs, shell: &Shell) -> Result<ExitCode, Failure> {
    let found = find(args, shell)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    if args.json {
        let json = serde_json::to_string(&found).expect("it has string keys only");
        writeln!(out, "{json}")?;
    } else if args.porcelain {
        out.write_all(&porcelain::write(&found, &found.told, now()))?;
    } else {
        human::write(&mut out, &found, &found.told, Paint::for_stdout())?;
    }
    out.flush()?;
    if !args.json {
        say_missing(&found);
    }
    Ok(ExitCode::SUCCESS)
}

/// What is not known stands beside the lines, not among them.
#[expect(clippy::print_stderr, reason = "a remark for a person; the answer itself is on stdout")]
fn say_missing(found: &Blame) {
    for missing in &found.missing {
        eprintln!("countersign: {}", printable(missing));
    }
}

/// Foreign names without what would steer a terminal or end a line.
fn printable(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

fn how(how: How) -> &'static str {
    match how {
        How::Observed => "observed",
        How::Reported => "reported",
        How::Attested => "attested",
        How::Inferred => "inferred",
    }
}

/// Finds out who wrote the lines that were asked for.
pub(crate) fn find(args: &BlameArgs, shell: &Shell) -> Result<Blame, Failure> {
    // A file of this very name may end like a range.
    let (file, lines) = match Path::new(&args.place).exists() {
        true => (args.place.as_str(), None),
        false => split(&args.place),
    };
    if lines.as_ref().is_some_and(|lines| *lines.start() == 0 || lines.is_empty()) {
        return Err(Failure::usage(format!("{}: lines begin at 1, and A comes before B", args.place)));
    }
    let asked = Asked {
        file: std::path::absolute(file).map_err(|error| Failure::usage(format!("{file:?}: {error}")))?,
        given: file.into(),
        lines,
        rev: args.rev.clone(),
        git_dir: args.git_dir.clone(),
    };
    answer(&asked, shell).map_err(failure)
}

/// Finds out who wrote the lines of a file, for this command and for `trace`.
pub(super) fn answer(asked: &Asked, shell: &Shell) -> Result<Blame, BlameError> {
    let question = Question::ask(asked)?;
    // Correct without it: it makes the next answer quick.
    if let Some(layout) = question.layout()
        && let Err(error) = settle(shell, layout)
    {
        tracing::warn!(error = &error as &dyn std::error::Error, "git's part can't be settled now");
    }
    let reader = match Reader::open(&shell.paths.state) {
        Ok(reader) => Some(reader),
        Err(SpoolError::Missing { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    question.answer(reader.as_ref())
}

/// Tells why there is no answer.
pub(super) fn failure(error: BlameError) -> Failure {
    match error {
        BlameError::Spool(error) => error.into(),
        BlameError::Read(..) => Failure::from_error("blame", &error),
        other => Failure::usage(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::blame::{BlameLine, Facts, Part};

    const COMMIT: &str = "e84218c72660d98ec9ecf92680356a43d7f800ce";

    /// What git says of a file with two committed lines around one that is not.
    pub(super) fn git_said() -> Vec<u8> {
        let who = |role: &str, name: &str, mail: &str, time: &str| {
            format!("{role} {name}\n{role}-mail <{mail}>\n{role}-time {time}\n{role}-tz +0200\n")
        };
        let of =
            |name: &str, mail: &str, time: &str| who("author", name, mail, time) + &who("committer", name, mail, time);
        let dev = of("Dev", "dev@example.org", "1795217882");
        let nobody = of("Not Committed Yet", "not.committed.yet", "1795217999");
        let none = "0".repeat(40);
        format!(
            "{COMMIT} 1 1 2\n{dev}summary first\nboundary\nfilename f.py\n\tdef area(w, h):\n\
             {COMMIT} 2 2\n\t    return 2 * w * h\n\
             {none} 3 3 1\n{nobody}summary Version of f.py from f.py\nprevious {COMMIT} f.py\nfilename f.py\n\tx = 1\n"
        )
        .into_bytes()
    }

    /// Our answer for some of its lines.
    pub(super) fn blame(lines: &[usize]) -> Blame {
        let mut ai = Facts::default();
        ai.tool = Some("claude-code".to_owned());
        ai.model = Some("exact-model-1\u{1b}".to_owned());
        ai.session = Some("s1".to_owned());
        let part = |share| Part { id: "c1".to_owned(), share, how: How::Observed };
        let line = |number: usize| {
            let commit = (number < 3).then(|| COMMIT.to_owned());
            let mut line = BlameLine {
                line: number,
                text: String::new(),
                author: "human",
                last_writer: "human",
                share: 1.0,
                contributions: Vec::new(),
                facts: Facts::default(),
                how: How::Observed,
                commit,
            };
            match number {
                1 => {
                    (line.author, line.last_writer, line.facts) = ("ai", "ai", ai.clone());
                    (line.text, line.contributions) = ("def area(w, h):".to_owned(), vec![part(1.0)]);
                }
                2 => {
                    (line.author, line.share, line.facts) = ("mixed", 0.8, ai.clone());
                    (line.text, line.contributions) = ("    return 2 * w * h".to_owned(), vec![part(0.8)]);
                }
                3 => line.text = "x = 1".to_owned(),
                _ => (line.author, line.last_writer, line.text) = ("unknown", "unknown", "y = 2".to_owned()),
            }
            line
        };
        let lines = lines.iter().map(|number| line(*number)).collect();
        Blame { path: "f.py".to_owned(), lines, ..Blame::default() }
    }
}
