//! What is known of the changes of a project: fourteen measures, four ratios of them, and whether a fault followed.
//!
//! It must never hold a change whose measures it could not read: those are counted.

use std::ops::Index;

macro_rules! measures {
    ($($(#[doc = $doc:literal])* $name:ident $column:literal $sign:literal;)*) => {
        /// What is measured of a change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Measure {
            $($(#[doc = $doc])* $name,)*
        }

        impl Measure {
            /// Every measure, in the order they are printed.
            pub const ALL: [Measure; 18] = [$(Self::$name),*];

            /// Returns the measure's name in published data.
            pub fn column(self) -> &'static str {
                match self { $(Self::$name => $column),* }
            }

            /// Returns `1` where more may only raise the risk, `-1` where more may only lower it.
            pub fn sign(self) -> i8 {
                match self { $(Self::$name => $sign),* }
            }
        }
    };
}

// The sign is what a person would say without data. Experience changes sign from project to project
// when it is left free, because its three measures follow each other.
measures! {
    /// Subsystems touched.
    Subsystems "ns" 1;
    /// Directories touched.
    Directories "nd" 1;
    /// Files touched.
    Files "nf" 1;
    /// How evenly the change is spread over its files.
    Spread "entropy" 1;
    /// Lines added.
    Added "la" 1;
    /// Lines deleted.
    Deleted "ld" 1;
    /// Lines in the files before: of more of them the same change is a smaller part.
    Size "lt" -1;
    /// Repairs a fault.
    Repair "fix" 1;
    /// People who changed these files before.
    Developers "ndev" 1;
    /// Days since the files changed last.
    Age "age" -1;
    /// Earlier changes of these files.
    Churn "nuc" 1;
    /// Changes the author made before.
    Experience "exp" -1;
    /// The same, with recent ones counting more.
    RecentExperience "rexp" -1;
    /// Changes the author made in this subsystem before.
    SubsystemExperience "sexp" -1;
    /// Lines added for each line that was there.
    AddedShare "la/lt" 1;
    /// Lines added to each file.
    AddedPerFile "la/nf" 1;
    /// People for each file: for as many people on the whole, more eyes on each.
    DevelopersPerFile "ndev/nf" -1;
    /// Earlier changes of each file: for as much churn on the whole, files that are better known.
    ChurnPerFile "nuc/nf" -1;
}

/// How many measures are read; the others are ratios of those.
const READ: usize = 14;

/// One change of the past.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Seconds since 1970.
    pub at: i64,
    /// A fault was traced back to it.
    pub faulty: bool,
    /// In the order of [`Measure::ALL`].
    pub(super) measures: [f64; Measure::ALL.len()],
}

impl Change {
    /// Makes a change of the first fourteen of [`Measure::ALL`]; the ratios follow from them.
    pub fn new(at: i64, faulty: bool, read: [f64; READ]) -> Self {
        let of = |measure: Measure| read[measure as usize];
        let files = of(Measure::Files).max(1.0);
        let ratios = [
            of(Measure::Added) / (of(Measure::Size) + 1.0),
            of(Measure::Added) / files,
            of(Measure::Developers) / files,
            of(Measure::Churn) / files,
        ];
        let mut measures = [0.0; Measure::ALL.len()];
        measures[..READ].copy_from_slice(&read);
        measures[READ..].copy_from_slice(&ratios);
        Self { at, faulty, measures }
    }
}

impl Index<Measure> for Change {
    type Output = f64;

    fn index(&self, measure: Measure) -> &f64 {
        &self.measures[measure as usize]
    }
}

/// The changes of one project, oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    changes: Vec<Change>,
    /// Rows that could not be read.
    pub set_aside: usize,
}

/// Why a table is no history.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the table has no column {column:?}")]
pub struct MissingColumn {
    /// The name that its first row should hold.
    pub column: String,
}

impl History {
    /// Puts changes in order.
    pub fn new(mut changes: Vec<Change>) -> Self {
        changes.sort_by_key(|change| change.at);
        Self { changes, set_aside: 0 }
    }

    /// Reads comma-separated rows under a row of names: `date` in seconds, `bug` 0 or more, and the
    /// first fourteen of [`Measure::ALL`]; other columns are passed over.
    pub fn from_csv(text: &str) -> Result<Self, MissingColumn> {
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default().trim_start_matches('\u{feff}');
        let names: Vec<&str> = first.split(',').map(str::trim).collect();
        let find = |column: &str| {
            // The best known tables spell it so.
            let is_it = |name: &&str| *name == column || (column == "entropy" && *name == "entrophy");
            names.iter().position(is_it).ok_or_else(|| MissingColumn { column: column.to_owned() })
        };
        let (date, bug) = (find("date")?, find("bug")?);
        let mut columns = [0; READ];
        for measure in &Measure::ALL[..READ] {
            columns[*measure as usize] = find(measure.column())?;
        }
        let mut changes = Vec::new();
        let mut set_aside = 0;
        for line in lines.filter(|line| !line.trim().is_empty()) {
            let cells: Vec<&str> = line.split(',').collect();
            match read(&cells, date, bug, &columns) {
                Some(change) => changes.push(change),
                None => set_aside += 1,
            }
        }
        Ok(Self { set_aside, ..Self::new(changes) })
    }

    /// Returns the changes, oldest first.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }
}

fn read(cells: &[&str], date: usize, bug: usize, columns: &[usize; READ]) -> Option<Change> {
    let number = |column: usize| -> Option<f64> {
        let cell = cells.get(column)?.trim();
        let value = match cell {
            "True" | "true" => 1.0,
            "False" | "false" => 0.0,
            _ => cell.parse::<f64>().ok()?,
        };
        value.is_finite().then_some(value)
    };
    let mut measures = [0.0; READ];
    for (measure, column) in measures.iter_mut().zip(columns) {
        *measure = number(*column)?;
    }
    Some(Change::new(number(date)? as i64, number(bug)? > 0.0, measures))
}
