//! One finding a line, folded ones with the reason.

use std::io::{self, Write};

use serde::Serialize;

use super::Checked;

#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    line: usize,
    end_line: usize,
    column: usize,
    end_column: usize,
    rule: &'a str,
    cwe: &'a [String],
    severity: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    fix: &'a str,
    fingerprint: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    folded: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    obligations: &'a [String],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    block: bool,
}

/// Writes every finding.
pub(super) fn write(out: &mut impl Write, checked: &[Checked]) -> io::Result<()> {
    for file in checked {
        for hit in &file.hits {
            let finding = &hit.finding;
            let line = Line {
                file: &file.name,
                line: hit.line,
                end_line: hit.end_line,
                column: hit.column,
                end_column: hit.end_column,
                rule: &finding.rule,
                cwe: &finding.cwe,
                severity: finding.severity.as_str(),
                message: &finding.message,
                fix: &finding.fix_hint,
                fingerprint: &finding.fingerprint,
                folded: hit.folded.as_deref(),
                obligations: &hit.asked.obligations,
                block: hit.asked.block,
            };
            serde_json::to_writer(&mut *out, &line)?;
            out.write_all(b"\n")?;
        }
    }
    Ok(())
}
