//! Dockerfiles, line by line: who the last stage runs as, and what is fetched without a check.

use std::ops::Range;

use super::Found;
use super::rules::{CHMOD_777, DOCKER_REMOTE, DOCKER_ROOT};

/// One instruction, continued lines included.
struct Instruction<'t> {
    word: String,
    rest: &'t str,
    range: Range<usize>,
}

/// Judges a Dockerfile.
pub(super) fn check(text: &str, found: &mut Found<'_>) {
    let instructions = instructions(text);
    let last_from = instructions.iter().rposition(|instruction| instruction.word == "FROM");
    let mut user: Option<&Instruction<'_>> = None;
    for (at, instruction) in instructions.iter().enumerate() {
        match instruction.word.as_str() {
            "USER" if last_from.is_some_and(|from| at > from) => user = Some(instruction),
            "ADD" => check_add(instruction, found),
            "RUN" => check_run(instruction, found),
            _ => {}
        }
    }
    let Some(from) = last_from.map(|at| &instructions[at]) else { return };
    let is_root = |user: &str| ["root", "0"].contains(&user.split(':').next().unwrap_or(user).trim());
    match user {
        Some(user) if is_root(user.rest) => found.add(&DOCKER_ROOT, &user.range),
        Some(_) => {}
        // Some images come with a user of their own; a stage of our own was judged above it.
        None if from.rest.contains("nonroot") || is_stage(&instructions, from) => {}
        None => found.add(&DOCKER_ROOT, &from.range),
    }
}

/// Tells whether a stage builds on another one of this file.
fn is_stage(instructions: &[Instruction<'_>], from: &Instruction<'_>) -> bool {
    let image = from.rest.split_whitespace().find(|word| !word.starts_with("--")).unwrap_or_default();
    let named = instructions.iter().filter(|other| other.word == "FROM" && other.range.start < from.range.start);
    named.filter_map(|other| other.rest.split_whitespace().last()).any(|name| name.eq_ignore_ascii_case(image))
}

fn check_add(add: &Instruction<'_>, found: &mut Found<'_>) {
    let is_remote = add.rest.split_whitespace().any(|word| word.starts_with("http://") || word.starts_with("https://"));
    if is_remote && !add.rest.contains("--checksum") {
        found.add(&DOCKER_REMOTE, &add.range);
    }
}

fn check_run(run: &Instruction<'_>, found: &mut Found<'_>) {
    let fetches = |command: &str| ["curl", "wget"].iter().any(|tool| words(command).any(|word| word == *tool));
    let runs = |command: &str| {
        let first = words(command).find(|word| !word.contains('=') && !["sudo", "-E", "env", "exec"].contains(word));
        first.is_some_and(|word| {
            let name = word.rsplit('/').next().unwrap_or(word);
            ["sh", "bash", "zsh", "ash", "dash", "python", "python3", "perl", "node", "ruby"].contains(&name)
        })
    };
    let pipes = run.rest.split("&&").flat_map(|part| part.split(';')).any(|part| {
        let commands: Vec<&str> = part.split('|').filter(|command| !command.trim().is_empty()).collect();
        commands.windows(2).any(|pair| fetches(pair[0]) && runs(pair[1]))
    });
    let substitutes = ["$(curl", "$(wget", "<(curl", "<(wget", "`curl"].iter().any(|start| run.rest.contains(start))
        && ["sh -c", "bash -c", "bash <(", "sh <(", "source <("].iter().any(|shell| run.rest.contains(shell));
    if pipes || substitutes {
        found.add(&DOCKER_REMOTE, &run.range);
    }
    let mut all = words(run.rest);
    while all.any(|word| word == "chmod") {
        let mode = all.clone().find(|word| !word.starts_with('-'));
        let opens = |mode: &str| {
            let is_octal = mode.len() >= 3 && mode.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
            let last = mode.as_bytes().last().copied().unwrap_or(b'0');
            // The sticky bit keeps others from removing what is not theirs.
            let is_sticky = mode.len() == 4 && mode.starts_with('1');
            (is_octal && !is_sticky && (last - b'0') & 2 != 0)
                || ["a+w", "o+w", "a+rwx", "ugo+rwx", "a=rwx", "+w,o"].contains(&mode)
        };
        if mode.is_some_and(opens) {
            found.add(&CHMOD_777, &run.range);
            return;
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> + Clone {
    text.split(|char: char| char.is_whitespace() || ";&|()'\"`\\".contains(char)).filter(|word| !word.is_empty())
}

fn instructions(text: &str) -> Vec<Instruction<'_>> {
    let mut instructions: Vec<Instruction<'_>> = Vec::new();
    let mut start = 0;
    let mut open: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let end = start + line.trim_end().len();
        let content = line.trim();
        let is_comment = content.starts_with('#');
        if !is_comment && !content.is_empty() {
            let from = open.unwrap_or(start + (line.len() - line.trim_start().len()));
            if content.ends_with('\\') {
                open = Some(from);
            } else {
                open = None;
                instructions.extend(instruction(text, from..end));
            }
        }
        start += line.len();
    }
    if let Some(from) = open {
        instructions.extend(instruction(text, from..text.trim_end().len()));
    }
    instructions
}

fn instruction(text: &str, range: Range<usize>) -> Option<Instruction<'_>> {
    let whole = text.get(range.clone())?;
    let (word, rest) = whole.split_once(char::is_whitespace).unwrap_or((whole, ""));
    Some(Instruction { word: word.to_ascii_uppercase(), rest: rest.trim(), range })
}
