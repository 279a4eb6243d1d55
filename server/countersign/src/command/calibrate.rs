//! `countersign calibrate`: fits the chance of a fault to tables of past changes, one a project.
//!
//! It only says what it found; nothing is set by it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use countersign_risk::calibrate::{Calibration, History, Quality, calibrate};
use serde_json::{Value, json};

use crate::cli::CalibrateArgs;
use crate::error::Failure;
use crate::paint::Paint;

/// What came of one table.
struct Fitted {
    project: String,
    set_aside: usize,
    ms: u128,
    calibration: Calibration,
}

/// Runs `countersign calibrate`.
pub(crate) fn run(args: &CalibrateArgs) -> Result<ExitCode, Failure> {
    let mut fitted = Vec::new();
    for table in tables(&args.tables)? {
        fitted.push(fit(&table)?);
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        for project in &fitted {
            writeln!(out, "{}", project.json())?;
        }
        writeln!(out, "{}", mean_json(&fitted))?;
        return Ok(ExitCode::SUCCESS);
    }
    let paint = Paint::for_stdout();
    writeln!(
        out,
        "{}",
        paint.bold("project          changes judged  lines alone AUC   AUC  Brier skill  ECE before after")
    )?;
    for Fitted { project, calibration, .. } in &fitted {
        let Calibration { fitted, judged, lines_alone, before, after, .. } = calibration;
        write!(out, "{project:16} {fitted:7} {judged:6}            {:.4} {:.4}       ", lines_alone.auc, after.auc)?;
        writeln!(out, "{:6.3}      {:.4} {:.4}", after.brier_skill, before.ece, after.ece)?;
    }
    let mean = Means::of(&fitted);
    write!(out, "{:16} {:7} {:6}            {:.4} {:.4}       ", "mean", "", "", mean.lines_alone.auc, mean.after.auc)?;
    writeln!(out, "{:6.3}      {:.4} {:.4}", mean.after.brier_skill, mean.before.ece, mean.after.ece)?;
    tell_set_aside(&fitted);
    Ok(ExitCode::SUCCESS)
}

/// Rows that could not be read are said beside the table.
#[expect(clippy::print_stderr, reason = "a remark for a person; the answer itself is on stdout")]
fn tell_set_aside(fitted: &[Fitted]) {
    for Fitted { project, set_aside, .. } in fitted.iter().filter(|project| project.set_aside > 0) {
        eprintln!("countersign: {project}: {set_aside} rows could not be read and were set aside");
    }
}

fn tables(given: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut tables = Vec::new();
    for path in given {
        if !path.is_dir() {
            tables.push(path.clone());
            continue;
        }
        let unreadable = |error| Failure::could_not(format!("{}: {error}", path.display()));
        let mut found = Vec::new();
        for entry in std::fs::read_dir(path).map_err(unreadable)? {
            let file = entry.map_err(unreadable)?.path();
            if file.extension().is_some_and(|extension| extension == "csv") {
                found.push(file);
            }
        }
        if found.is_empty() {
            return Err(Failure::usage(format!("{} holds no .csv", path.display())));
        }
        found.sort();
        tables.extend(found);
    }
    Ok(tables)
}

fn fit(table: &Path) -> Result<Fitted, Failure> {
    let bytes = std::fs::read(table).map_err(|error| Failure::could_not(format!("{}: {error}", table.display())))?;
    let wrong = |error: &dyn std::fmt::Display| Failure::usage(format!("{}: {error}", table.display()));
    let history = History::from_csv(&String::from_utf8_lossy(&bytes)).map_err(|error| wrong(&error))?;
    let start = Instant::now();
    let calibration = calibrate(&history).map_err(|error| wrong(&error))?;
    let ms = start.elapsed().as_millis();
    let project = table.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Fitted { project, set_aside: history.set_aside, ms, calibration })
}

impl Fitted {
    fn json(&self) -> Value {
        let Calibration { fitted, judged, lines_alone, before, after, trees } = &self.calibration;
        let weights: Vec<Value> = trees
            .weights()
            .iter()
            .map(|(measure, weight)| json!({ "measure": measure.column(), "sign": measure.sign(), "weight": weight }))
            .collect();
        json!({
            "project": self.project, "fitted": fitted, "judged": judged, "set_aside": self.set_aside,
            "lines_alone": { "auc": lines_alone.auc, "top_fifth": lines_alone.top_fifth },
            "before": quality(before), "after": quality(after),
            "auc": after.auc, "ece": after.ece, "fit_ms": self.ms, "measures": weights,
        })
    }
}

fn quality(quality: &Quality) -> Value {
    let Quality { auc, brier, brier_skill, ece, top_fifth } = quality;
    json!({ "auc": auc, "brier": brier, "brier_skill": brier_skill, "ece": ece, "top_fifth": top_fifth })
}

/// The plain mean over projects.
struct Means {
    lines_alone: Quality,
    before: Quality,
    after: Quality,
}

impl Means {
    fn of(fitted: &[Fitted]) -> Self {
        let mean = |of: fn(&Calibration) -> &Quality| {
            let over = |value: fn(&Quality) -> f64| {
                fitted.iter().map(|project| value(of(&project.calibration))).sum::<f64>() / fitted.len() as f64
            };
            Quality {
                auc: over(|quality| quality.auc),
                brier: over(|quality| quality.brier),
                brier_skill: over(|quality| quality.brier_skill),
                ece: over(|quality| quality.ece),
                top_fifth: over(|quality| quality.top_fifth),
            }
        };
        Self {
            lines_alone: mean(|calibration| &calibration.lines_alone),
            before: mean(|calibration| &calibration.before),
            after: mean(|calibration| &calibration.after),
        }
    }
}

fn mean_json(fitted: &[Fitted]) -> Value {
    let mean = Means::of(fitted);
    json!({
        "mean": true, "projects": fitted.len(),
        "lines_alone": { "auc": mean.lines_alone.auc, "top_fifth": mean.lines_alone.top_fifth },
        "before": quality(&mean.before), "after": quality(&mean.after),
        "auc": mean.after.auc, "ece": mean.after.ece,
    })
}
