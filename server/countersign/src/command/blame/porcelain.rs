//! `blame --porcelain`: what `git blame --porcelain` prints, with what we know in headers of our own, which
//! its readers pass over.

use std::ops::Range;

use countersign_event::Timestamp;

use super::told::{Entry, Told};
use crate::git::blame::{Blame, BlameLine};

/// The commit of lines that are in none.
const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

/// Writes it. `told` is git's own answer for the whole file; empty where git has none, and then every line
/// is one that is not committed yet, as of `now`.
pub(super) fn write(blame: &Blame, told: &[u8], now: Timestamp) -> Vec<u8> {
    let own = if told.is_empty() { not_committed(blame, now) } else { Vec::new() };
    let told = Told::read(if told.is_empty() { &own } else { told });
    let mut out = Vec::new();
    let mut mentioned = std::collections::HashSet::new();
    let placed = placed(&told, blame);
    for (at, (entry, ours)) in placed.iter().enumerate() {
        let is_first_of_group = at == 0 || entry.begins;
        let mut head = format!("{} {} {}", String::from_utf8_lossy(entry.commit), entry.there, entry.here);
        if is_first_of_group {
            let more = placed[at + 1..].iter().take_while(|(entry, _)| !entry.begins).count();
            head.push_str(&format!(" {}", more + 1));
        }
        push(&mut out, head.as_bytes());
        let headers = match told.commits.get(entry.commit) {
            Some(all) if mentioned.insert(entry.commit) => all,
            _ => &entry.headers,
        };
        headers.iter().for_each(|header| push(&mut out, header));
        for header in ours_as_headers(&blame.lines[ours.clone()]) {
            push(&mut out, header.as_bytes());
        }
        out.push(b'\t');
        push(&mut out, entry.text);
    }
    out
}

fn push(out: &mut Vec<u8>, line: &[u8]) {
    out.extend_from_slice(line);
    out.push(b'\n');
}

/// Puts our lines to git's, which end at LF alone: one of git's may be several of ours. Lines that were not
/// asked for are left out.
fn placed<'a, 'b>(told: &'b Told<'a>, blame: &Blame) -> Vec<(&'b Entry<'a>, Range<usize>)> {
    let mut placed = Vec::new();
    let (mut more_of_ours, mut at) = (0, 0);
    for entry in &told.entries {
        let text = entry.text.strip_suffix(b"\r").unwrap_or(entry.text);
        let count = 1 + text.iter().filter(|byte| **byte == b'\r').count();
        let (start, end) = (at, entry.here + more_of_ours + count);
        while blame.lines.get(at).is_some_and(|line| line.line < end) {
            at += 1;
        }
        more_of_ours += count - 1;
        if at > start {
            placed.push((entry, start..at));
        }
    }
    placed
}

fn ours_as_headers(lines: &[BlameLine]) -> Vec<String> {
    let [first, .., last] = lines else {
        return lines.first().map(headers).unwrap_or_default();
    };
    let mut headers = headers(last);
    if first.author != last.author || lines.iter().any(|line| line.author != first.author) {
        headers[0] = "countersign-author mixed".to_owned();
    }
    headers
}

fn headers(line: &BlameLine) -> Vec<String> {
    let mut headers = vec![
        format!("countersign-author {}", line.author),
        format!("countersign-last-writer {}", line.last_writer),
        format!("countersign-share {:.3}", line.share),
        format!("countersign-how {}", super::how(line.how)),
    ];
    let facts = [
        ("tool", &line.facts.tool),
        ("model", &line.facts.model),
        ("session", &line.facts.session),
        ("person", &line.facts.person),
    ];
    for (name, value) in facts {
        if let Some(value) = value {
            headers.push(format!("countersign-{name} {}", super::printable(value)));
        }
    }
    for part in &line.contributions {
        headers.push(format!("countersign-contribution {} {:.3}", super::printable(&part.id), part.share));
    }
    headers
}

/// What git would say of a file that it does not know.
fn not_committed(blame: &Blame, now: Timestamp) -> Vec<u8> {
    let (path, seconds) = (super::printable(&blame.path), now.as_millis().div_euclid(1000));
    let count = blame.lines.len();
    let mut out = Vec::new();
    for (at, line) in blame.lines.iter().enumerate() {
        let number = line.line;
        if at == 0 {
            let who = |role: &str| {
                format!(
                    "{role} Not Committed Yet\n{role}-mail <not.committed.yet>\n{role}-time {seconds}\n{role}-tz +0000\n"
                )
            };
            out.extend(format!("{NO_COMMIT} {number} {number} {count}\n").into_bytes());
            out.extend(format!("{}{}", who("author"), who("committer")).into_bytes());
            out.extend(format!("summary Version of {path} from {path}\nfilename {path}\n").into_bytes());
        } else {
            out.extend(format!("{NO_COMMIT} {number} {number}\n").into_bytes());
        }
        out.push(b'\t');
        push(&mut out, line.text.as_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::{blame, git_said};
    use super::*;

    #[test]
    fn gits_own_lines_stay_and_ours_stand_between_them_and_the_text() {
        let printed = String::from_utf8(write(&blame(&[1, 2, 3]), &git_said(), Timestamp::from_millis(0))).unwrap();
        expect_test::expect![[r#"
            e84218c72660d98ec9ecf92680356a43d7f800ce 1 1 2
            author Dev
            author-mail <dev@example.org>
            author-time 1795217882
            author-tz +0200
            committer Dev
            committer-mail <dev@example.org>
            committer-time 1795217882
            committer-tz +0200
            summary first
            boundary
            filename f.py
            countersign-author ai
            countersign-last-writer ai
            countersign-share 1.000
            countersign-how observed
            countersign-tool claude-code
            countersign-model exact-model-1�
            countersign-session s1
            countersign-contribution c1 1.000
            	def area(w, h):
            e84218c72660d98ec9ecf92680356a43d7f800ce 2 2
            countersign-author mixed
            countersign-last-writer human
            countersign-share 0.800
            countersign-how observed
            countersign-tool claude-code
            countersign-model exact-model-1�
            countersign-session s1
            countersign-contribution c1 0.800
            	    return 2 * w * h
            0000000000000000000000000000000000000000 3 3 1
            author Not Committed Yet
            author-mail <not.committed.yet>
            author-time 1795217999
            author-tz +0200
            committer Not Committed Yet
            committer-mail <not.committed.yet>
            committer-time 1795217999
            committer-tz +0200
            summary Version of f.py from f.py
            previous e84218c72660d98ec9ecf92680356a43d7f800ce f.py
            filename f.py
            countersign-author human
            countersign-last-writer human
            countersign-share 1.000
            countersign-how observed
            	x = 1
        "#]]
        .assert_eq(&printed);
        let without: String =
            printed.lines().filter(|line| !line.starts_with("countersign-")).map(|line| format!("{line}\n")).collect();
        assert_eq!(without.as_bytes(), git_said());
    }

    #[test]
    fn some_lines_alone_have_the_headers_of_their_commits_and_groups_of_their_own_size() {
        let printed = String::from_utf8(write(&blame(&[3]), &git_said(), Timestamp::from_millis(0))).unwrap();
        expect_test::expect![[r#"
            0000000000000000000000000000000000000000 3 3 1
            author Not Committed Yet
            author-mail <not.committed.yet>
            author-time 1795217999
            author-tz +0200
            committer Not Committed Yet
            committer-mail <not.committed.yet>
            committer-time 1795217999
            committer-tz +0200
            summary Version of f.py from f.py
            previous e84218c72660d98ec9ecf92680356a43d7f800ce f.py
            filename f.py
            countersign-author human
            countersign-last-writer human
            countersign-share 1.000
            countersign-how observed
            	x = 1
        "#]]
        .assert_eq(&printed);
    }

    #[test]
    fn a_file_that_git_does_not_know_is_not_committed_yet() {
        let printed = String::from_utf8(write(&blame(&[2, 3]), b"", Timestamp::from_millis(86_400_000))).unwrap();
        expect_test::expect![[r#"
            0000000000000000000000000000000000000000 2 2 2
            author Not Committed Yet
            author-mail <not.committed.yet>
            author-time 86400
            author-tz +0000
            committer Not Committed Yet
            committer-mail <not.committed.yet>
            committer-time 86400
            committer-tz +0000
            summary Version of f.py from f.py
            filename f.py
            countersign-author mixed
            countersign-last-writer human
            countersign-share 0.800
            countersign-how observed
            countersign-tool claude-code
            countersign-model exact-model-1�
            countersign-session s1
            countersign-contribution c1 0.800
            	    return 2 * w * h
            0000000000000000000000000000000000000000 3 3
            countersign-author human
            countersign-last-writer human
            countersign-share 1.000
            countersign-how observed
            	x = 1
        "#]]
        .assert_eq(&printed);
    }

    #[test]
    fn a_line_of_gits_that_is_two_of_ours_is_of_both() {
        let told = git_said();
        let told = String::from_utf8(told).unwrap().replace("\tx = 1\n", "\tx = 1\ry = 2\n");
        let mut blame = blame(&[1, 2, 3, 4]);
        blame.lines[3].author = "unknown";
        let printed = String::from_utf8(write(&blame, told.as_bytes(), Timestamp::from_millis(0))).unwrap();
        assert_eq!(printed.matches("countersign-author").count(), 3);
        assert!(printed.ends_with("\tx = 1\ry = 2\n"));
        assert!(printed.rsplit("0 3 3").next().unwrap().contains("countersign-author mixed"), "{printed}");
    }
}
