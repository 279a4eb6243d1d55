//! `countersign trace`: who wrote these lines, with everything that is known about each contribution.
//!
//! The device resolves lines: it alone has the text. The facts then come from its own spool, or by
//! contribution ids from a collector. Where there is no text to resolve, the archive answers by
//! repository and path, and says so. Every answer ends with how complete it is.

mod conversation;
mod dossier;
mod local;
pub(super) mod place;

use std::io::Write;
use std::process::ExitCode;

use countersign_collector::answer::ending;
use serde_json::{Value, json};

use crate::cli::TraceArgs;
use crate::error::Failure;
use crate::paint::Paint;
use crate::replay::{Client, asking, told};
use crate::shell::Shell;
use local::Resolved;
use place::Asked;

/// So many contributions are asked for at once.
const IDS_AT_ONCE: usize = 50;

/// What is told: contributions, what is missing, and whose the other lines are.
#[derive(Debug, Default)]
struct Answer {
    contributions: Vec<Value>,
    missing: Vec<String>,
    lines: Option<Value>,
}

/// Runs `countersign trace`.
pub(crate) fn run(args: &TraceArgs, shell: &Shell) -> Result<ExitCode, Failure> {
    let asked = Asked::read(args)?;
    let answer = answer(args, shell, &asked)?;
    let mut end = ending(&answer.missing);
    if let Some(lines) = answer.lines {
        end["lines"] = lines;
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        for contribution in &answer.contributions {
            writeln!(out, "{contribution}")?;
        }
        writeln!(out, "{end}")?;
    } else {
        write!(out, "{}", dossier::write(&asked, &answer.contributions, &end, Paint::for_stdout()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn answer(args: &TraceArgs, shell: &Shell, asked: &Asked) -> Result<Answer, Failure> {
    let resolved = match (asked.contribution(), &args.repository) {
        (Some(id), _) => Some(Resolved::one(id)),
        // About a repository that is not here.
        (None, Some(_)) => None,
        (None, None) => local::resolve(shell, asked)?,
    };
    match (&args.from, resolved) {
        (None, Some(resolved)) => local::tell(&shell.paths.state, &resolved),
        (None, None) => local::by_place(&shell.paths.state, asked),
        (Some(url), resolved) => {
            let archive = Archive { client: asking(shell, url, args.token_file.as_deref())?, url, texts: texts(args) };
            match resolved {
                Some(resolved) => archive.by_id(&resolved),
                None => archive.by_path(asked, args.repository.as_deref()),
            }
        }
    }
}

/// The part of a question that asks for texts.
fn texts(args: &TraceArgs) -> String {
    match (&args.purpose, &args.ticket) {
        (Some(purpose), Some(ticket)) => format!("&purpose={}&ticket={}", encode(purpose), encode(ticket)),
        _ => String::new(),
    }
}

/// A collector that is asked.
struct Archive<'a> {
    client: Client,
    url: &'a str,
    texts: String,
}

impl Archive<'_> {
    fn by_id(&self, resolved: &Resolved) -> Result<Answer, Failure> {
        let mut answer =
            Answer { lines: Some(resolved.others()), missing: resolved.missing.clone(), ..Answer::default() };
        for ids in resolved.contributions.chunks(IDS_AT_ONCE) {
            let ids: Vec<String> = ids.iter().map(|found| format!("id={}", encode(&found.id))).collect();
            self.ask(&format!("/v1/contributions?{}{}", ids.join("&"), self.texts), &mut answer)?;
        }
        for told in &mut answer.contributions {
            resolved.add_lines(told);
        }
        Ok(answer)
    }

    fn by_path(&self, asked: &Asked, repository: Option<&str>) -> Result<Answer, Failure> {
        let mut answer = Answer::default();
        let (own, path) = asked.in_repository();
        let repository = repository.map(str::to_owned).or(own).map(|id| format!("&repository={}", encode(&id)));
        let lines = asked.lines.as_ref().map(|lines| format!("&from={}&to={}", lines.start(), lines.end()));
        let question = format!(
            "/v1/trace?path={}{}{}{}",
            encode(&path),
            repository.unwrap_or_default(),
            lines.unwrap_or_default(),
            self.texts
        );
        self.ask(&question, &mut answer)?;
        Ok(answer)
    }

    /// Asks; the last object of what comes back says what is missing.
    fn ask(&self, question: &str, answer: &mut Answer) -> Result<(), Failure> {
        let page = self.client.get(question).map_err(|refused| told(self.url, &refused))?;
        let foreign = || Failure::could_not(format!("{}: answered, but not as a collector does", self.url));
        let values: Result<Vec<Value>, _> = page.text.lines().map(serde_json::from_str).collect();
        let mut values: Vec<Value> = values.map_err(|_| foreign())?;
        let end = values.pop().filter(|end| end["complete"].is_boolean()).ok_or_else(foreign)?;
        let missing = end["missing"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for what in missing {
            if !answer.missing.iter().any(|known| known == what) {
                answer.missing.push(what.to_owned());
            }
        }
        answer.contributions.append(&mut values);
        Ok(())
    }
}

/// Encodes a value for a query.
fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// Writes line numbers as ranges.
fn ranges(lines: &[usize]) -> Value {
    let mut out: Vec<(usize, usize)> = Vec::new();
    for &line in lines {
        match out.last_mut() {
            Some((_, end)) if *end + 1 == line => *end = line,
            _ => out.push((line, line)),
        }
    }
    json!(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_follow_each_other_are_one_range() {
        assert_eq!(ranges(&[1, 2, 3, 7, 9, 10]), json!([[1, 3], [7, 7], [9, 10]]));
        assert_eq!(ranges(&[]), json!([]));
    }

    #[test]
    fn what_means_something_in_a_query_is_encoded() {
        assert_eq!(encode("a b&c=d/é~"), "a%20b%26c%3Dd%2F%C3%A9~");
    }
}
