//! Rules that a repository brings along, `.countersign/rules/*.yml`: each runs in a process of its
//! own with a bound on its time and memory.
//!
//! A rule that is wrong, or takes more than that, is switched off and said to be; it must never
//! stop the check, nor hide what the other rules find.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use countersign_risk::{Engine, Finding, Fold, Language, Severity};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::files::{File, Policies};
use super::read::read_text;
use super::{Checked, Places, printable};
use crate::error::Failure;

/// Where a repository keeps its rules.
const FOLDER: &str = ".countersign/rules";
/// Most rules of one repository that are run.
const RULES_MAX: usize = 200;
/// Longest rule.
const RULE_BYTES_MAX: u64 = 64 << 10;
/// What a rule may take for any number of files, and for each megabyte of them.
const CPU_S: u64 = 2;
const CPU_S_PER_MB: u64 = 2;
/// What it may hold.
const MEMORY_BYTES: u64 = 2 << 30;

/// The first line to the other process.
#[derive(Serialize, Deserialize)]
struct Rule {
    name: String,
    yaml: String,
    cpu_s: u64,
}

/// Every other line to it.
#[derive(Serialize, Deserialize)]
struct Text {
    index: usize,
    name: String,
    text: String,
}

/// A line from it.
#[derive(Serialize, Deserialize)]
enum Answer {
    Broken(String),
    Found(Found),
    Done,
}

#[derive(Serialize, Deserialize)]
struct Found {
    index: usize,
    start: usize,
    end: usize,
    rule: String,
    severity: String,
    cwe: Vec<String>,
    message: String,
    fix: String,
    why: String,
    fingerprint: String,
}

/// Runs the rules of every repository that has any over its own files.
pub(super) fn check(files: &[File], checked: &mut [Checked], policies: &Policies<'_>) {
    let mut by_root: BTreeMap<PathBuf, Vec<usize>> = BTreeMap::new();
    for (index, file) in files.iter().enumerate() {
        if let Some(root) = policies.root_of(file) {
            by_root.entry(root).or_default().push(index);
        }
    }
    for (root, indices) in by_root {
        let rules = rules(&root.join(FOLDER));
        if rules.is_empty() {
            continue;
        }
        let texts: Vec<Text> = indices
            .into_iter()
            .filter(|index| Language::CODE.contains(&Language::from_path(&files[*index].name)))
            .filter_map(|index| {
                let text = read_text(&files[index].path).ok()?;
                Some(Text { index, name: files[index].name.clone(), text })
            })
            .collect();
        for (file, yaml) in rules {
            match run_rule(&file, yaml, &texts) {
                Ok(found) => add(found, files, &texts, checked, policies),
                Err(reason) => tell_off(&file, &reason),
            }
        }
    }
    checked.iter_mut().for_each(Checked::sort);
}

#[expect(clippy::print_stderr, reason = "a remark for a person; the answer itself is on stdout")]
fn tell_off(file: &Path, reason: &str) {
    let reason = reason.lines().next().unwrap_or_default();
    eprintln!("countersign: {}: switched off: {}", printable(&file.display().to_string()), printable(reason));
}

/// Reads the rules in `folder`, in the order of their names.
fn rules(folder: &Path) -> Vec<(PathBuf, String)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    let is_rule = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        [".yml", ".yaml"].iter().any(|end| name.ends_with(end)) && !name.contains(".test.") && file.is_file()
    };
    files.retain(is_rule);
    files.sort();
    if files.len() > RULES_MAX {
        tell_off(&files[RULES_MAX], &format!("only {RULES_MAX} rules are run"));
    }
    let read = |file: PathBuf| {
        let mut yaml = String::new();
        let read = std::fs::File::open(&file).and_then(|text| text.take(RULE_BYTES_MAX + 1).read_to_string(&mut yaml));
        match read {
            Ok(bytes) if bytes as u64 <= RULE_BYTES_MAX => Some((file, yaml)),
            Ok(_) => {
                tell_off(&file, &format!("longer than {RULE_BYTES_MAX} bytes"));
                None
            }
            Err(error) => {
                tell_off(&file, &error.to_string());
                None
            }
        }
    };
    files.into_iter().take(RULES_MAX).filter_map(read).collect()
}

/// Runs one rule in a process of its own.
fn run_rule(file: &Path, yaml: String, texts: &[Text]) -> Result<Vec<Found>, String> {
    let name = format!("user/{}", file.file_stem().unwrap_or_default().to_string_lossy());
    let bytes: usize = texts.iter().map(|text| text.text.len()).sum();
    let rule = Rule { name, yaml, cpu_s: CPU_S + CPU_S_PER_MB * (bytes as u64 >> 20) };
    let could_not = |error: std::io::Error| format!("no process can be started for it: {error}");
    let program = std::env::current_exe().map_err(could_not)?;
    let mut child = Command::new(program)
        .arg("check-rule")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(could_not)?;
    let mut to = child.stdin.take().expect("it was asked for");
    let from = child.stdout.take().expect("it was asked for");
    let answers = std::thread::scope(|scope| {
        // Both ways at once: neither waits for the other to read.
        scope.spawn(move || {
            let lines = std::iter::once(serde_json::to_vec(&rule)).chain(texts.iter().map(serde_json::to_vec));
            for line in lines.flatten() {
                // It may have ended; why is seen from its answers.
                if to.write_all(&line).and_then(|()| to.write_all(b"\n")).is_err() {
                    return;
                }
            }
        });
        BufReader::new(from)
            .lines()
            .map_while(Result::ok)
            .map_while(|line| serde_json::from_str(&line).ok())
            .collect::<Vec<Answer>>()
    });
    let _ = child.wait();
    let mut found = Vec::new();
    for answer in answers {
        match answer {
            Answer::Found(finding) => found.push(finding),
            Answer::Broken(reason) => return Err(reason),
            Answer::Done => return Ok(found),
        }
    }
    Err("it takes too much time or memory".to_owned())
}

fn add(found: Vec<Found>, files: &[File], texts: &[Text], checked: &mut [Checked], policies: &Policies<'_>) {
    for found in found {
        let Some(text) = texts.iter().find(|text| text.index == found.index) else { continue };
        if text.text.get(found.start..found.end).is_none() {
            continue;
        }
        let severity = [Severity::High, Severity::Medium, Severity::Low];
        let finding = Finding {
            rule: found.rule,
            severity: severity.into_iter().find(|it| it.as_str() == found.severity).unwrap_or(Severity::Low),
            cwe: found.cwe,
            message: found.message,
            range: found.start..found.end,
            fix_hint: found.fix,
            why: found.why,
            fingerprint: found.fingerprint,
            source: None,
            edit: None,
            folded: None,
        };
        let policy = policies.of(&files[found.index]);
        let fold = Fold::of_file(policy.path(), &text.text);
        let folded = policy.allowed(&finding).or_else(|| fold.map(|fold| fold.as_str().to_owned()));
        let asked = policy.asks(&finding);
        checked[found.index].hits.push(Places::new(&text.text).hit(finding, folded, asked));
    }
}

/// The other process: one rule over the texts on stdin.
pub(crate) fn run() -> Result<ExitCode, Failure> {
    let mut lines = std::io::stdin().lock().lines();
    let mut out = std::io::stdout().lock();
    let wrong = |error: serde_json::Error| Failure::usage(error);
    let Some(first) = lines.next() else { return Ok(ExitCode::SUCCESS) };
    let rule: Rule = serde_json::from_str(&first?).map_err(wrong)?;
    let limit = |most: u64| Rlimit { current: Some(most), maximum: Some(most) };
    for (resource, most) in [(Resource::Cpu, rule.cpu_s), (Resource::As, MEMORY_BYTES)] {
        setrlimit(resource, limit(most))
            .map_err(|error| Failure::could_not(format!("no bound can be set: {error}")))?;
    }
    let engine = Engine::with_rules(vec![(rule.name, rule.yaml)]);
    let mut answer = |answer: &Answer| -> Result<(), Failure> {
        serde_json::to_writer(&mut out, answer).map_err(wrong)?;
        Ok(out.write_all(b"\n")?)
    };
    for language in Language::CODE {
        if let Some(broken) = engine.broken_rules(language).first() {
            answer(&Answer::Broken(broken.reason.clone()))?;
            return Ok(ExitCode::SUCCESS);
        }
    }
    for line in lines {
        let Text { index, name, text } = serde_json::from_str(&line?).map_err(wrong)?;
        for finding in engine.check(Language::from_path(&name), &text).findings {
            answer(&Answer::Found(Found {
                index,
                start: finding.range.start,
                end: finding.range.end,
                rule: finding.rule,
                severity: finding.severity.as_str().to_owned(),
                cwe: finding.cwe,
                message: finding.message,
                fix: finding.fix_hint,
                why: finding.why,
                fingerprint: finding.fingerprint,
            }))?;
        }
    }
    answer(&Answer::Done)?;
    Ok(ExitCode::SUCCESS)
}
