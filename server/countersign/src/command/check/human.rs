//! Findings for a person: place, rule, the line itself, and a way out.

use std::collections::BTreeMap;
use std::io::{self, Write};

use countersign_risk::Severity;

use super::{Checked, Hit, printable};
use crate::paint::Paint;

/// Writes what the default view shows, or with `all` everything, and a last line that counts.
pub(super) fn write(out: &mut impl Write, checked: &[Checked], all: bool, paint: Paint) -> io::Result<()> {
    let mut shown: BTreeMap<Severity, usize> = BTreeMap::new();
    let mut folded: BTreeMap<&str, usize> = BTreeMap::new();
    for file in checked {
        for hit in &file.hits {
            match &hit.folded {
                Some(reason) => *folded.entry(reason).or_default() += 1,
                None => *shown.entry(hit.finding.severity).or_default() += 1,
            }
            if all || hit.folded.is_none() {
                write_hit(out, &file.name, hit, paint)?;
            }
        }
    }
    let judged = checked.iter().filter(|file| !file.left.as_ref().is_some_and(super::Left::is_whole)).count();
    let files = if judged == 1 { "1 file".to_owned() } else { format!("{judged} files") };
    let line = match shown.values().sum::<usize>() {
        0 => paint.green(&format!("nothing found in {files}")),
        1 => paint.bold(&format!("1 finding in {files}")),
        count => paint.bold(&format!("{count} findings in {files}")),
    };
    let by_severity: Vec<String> =
        shown.iter().rev().map(|(severity, count)| format!("{count} {}", severity.as_str())).collect();
    write!(out, "{line}")?;
    if !by_severity.is_empty() {
        write!(out, ": {}", by_severity.join(", "))?;
    }
    if !folded.is_empty() {
        let count: usize = folded.values().sum();
        let why: Vec<String> = folded.iter().map(|(reason, count)| format!("{count} {}", printable(reason))).collect();
        let folded = format!("; {count} folded away ({}), --all shows them", why.join(", "));
        write!(out, "{}", paint.dim(&folded))?;
    }
    writeln!(out)
}

fn write_hit(out: &mut impl Write, name: &str, hit: &Hit, paint: Paint) -> io::Result<()> {
    let finding = &hit.finding;
    let severity = match finding.severity {
        Severity::High => paint.red("high"),
        Severity::Medium => paint.yellow("medium"),
        Severity::Low => paint.dim("low"),
    };
    let place = paint.bold(&format!("{}:{}:{}", printable(name), hit.line, hit.column));
    let cwe = paint.dim(&finding.cwe.join(" "));
    writeln!(out, "{place} {severity} {}: {} {cwe}", finding.rule, printable(&finding.message))?;
    writeln!(out, "    {}", paint.cyan(&printable(&hit.code)))?;
    if let Some(reason) = &hit.folded {
        writeln!(out, "    {}", paint.dim(&format!("folded: {}", printable(reason))))?;
    }
    if hit.asked.block {
        writeln!(out, "    {}", paint.red("policy: must not stay"))?;
    }
    if !hit.asked.obligations.is_empty() {
        writeln!(
            out,
            "    {}",
            paint.yellow(&format!("policy asks for {}", printable(&hit.asked.obligations.join(", "))))
        )?;
    }
    writeln!(out, "    {}\n", paint.dim(&printable(&finding.fix_hint)))
}
