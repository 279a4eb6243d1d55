//! `blame` for people: a line each, as `git blame` has it, with the kind of author first.

use std::io::Write;

use super::printable;
use super::told::Told;
use crate::git::blame::{Blame, BlameLine};
use crate::paint::Paint;

/// The widest a name is shown.
const NAME_MAX: usize = 44;
/// Hexadecimal digits of a commit.
const COMMIT: usize = 8;

/// Writes it. `told` is git's own answer, where it has one.
pub(super) fn write(out: &mut impl Write, blame: &Blame, told: &[u8], paint: Paint) -> std::io::Result<()> {
    let told = Told::read(told);
    let names: Vec<String> = blame.lines.iter().map(|line| name(line, &told)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let digits = blame.lines.last().map_or(1, |line| line.line.to_string().len());
    for (line, name) in blame.lines.iter().zip(&names) {
        let commit = line.commit.as_deref().map_or("-", |commit| &commit[..COMMIT.min(commit.len())]);
        let date = line.commit.as_deref().and_then(|commit| date(&told, commit)).unwrap_or_default();
        let kind = format!("{:7}", line.author);
        let kind = match line.author {
            "ai" => paint.cyan(&kind),
            "mixed" => paint.yellow(&kind),
            "human" => paint.green(&kind),
            _ => paint.dim(&kind),
        };
        let place = paint.dim(&format!("{date:10} {:>digits$})", line.line));
        writeln!(out, "{} ({kind} {name:width$} {place} {}", paint.dim(&format!("{commit:COMMIT$}")), line.text)?;
    }
    Ok(())
}

/// Whose line it is: tool and model, or the name git has for whoever committed it.
fn name(line: &BlameLine, told: &Told<'_>) -> String {
    let known: Vec<String> =
        [&line.facts.tool, &line.facts.model].into_iter().flatten().map(|it| printable(it)).collect();
    let person = || told.of_commit(line.commit.as_deref()?, "author").map(|name| printable(&name));
    let name = match line.author {
        "human" => person().unwrap_or_default(),
        "unknown" => String::new(),
        _ => known.join(" "),
    };
    if name.chars().count() <= NAME_MAX {
        return name;
    }
    name.chars().take(NAME_MAX - 1).chain(['…']).collect()
}

/// The day a commit was written, where it was written.
fn date(told: &Told<'_>, commit: &str) -> Option<String> {
    let seconds: i64 = told.of_commit(commit, "author-time")?.parse().ok()?;
    let zone: i64 = told.of_commit(commit, "author-tz")?.parse().ok()?;
    let local = seconds.checked_add((zone / 100 * 60 + zone % 100) * 60)?;
    jiff::Timestamp::from_second(local).ok().map(|time| time.strftime("%Y-%m-%d").to_string())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{blame, git_said};
    use super::*;

    fn written(lines: &[usize], told: &[u8], paint: Paint) -> String {
        let mut out = Vec::new();
        write(&mut out, &blame(lines), told, paint).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_each_with_commit_author_day_number_and_text() {
        expect_test::expect![[r#"
            e84218c7 (ai      claude-code exact-model-1� 2026-11-21 1) def area(w, h):
            e84218c7 (mixed   claude-code exact-model-1� 2026-11-21 2)     return 2 * w * h
            -        (human                                         3) x = 1
            -        (unknown                                       4) y = 2
        "#]]
        .assert_eq(&written(&[1, 2, 3, 4], &git_said(), Paint::plain()));
    }

    #[test]
    fn without_git_there_are_authors_all_the_same() {
        expect_test::expect![[r#"
            e84218c7 (mixed   claude-code exact-model-1�            2)     return 2 * w * h
            -        (human                                         3) x = 1
        "#]]
        .assert_eq(&written(&[2, 3], b"", Paint::plain()));
    }

    #[test]
    fn colour_changes_no_letter() {
        let coloured = written(&[1, 2, 3, 4], &git_said(), Paint::colours());
        let mut plain = coloured.clone();
        for code in ["\x1b[0m", "\x1b[2m", "\x1b[32m", "\x1b[33m", "\x1b[36m"] {
            assert!(plain.contains(code), "{code:?}");
            plain = plain.replace(code, "");
        }
        assert_eq!(plain, written(&[1, 2, 3, 4], &git_said(), Paint::plain()));
    }
}
