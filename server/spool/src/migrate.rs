//! The schema, in numbered steps that are only ever added to.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::SpoolError;

/// Every step, in order; step `n` leads from schema `n` to `n + 1`.
const STEPS: &[&str] = &[
    include_str!("../migrations/0001.sql"),
    include_str!("../migrations/0002.sql"),
    include_str!("../migrations/0003.sql"),
    include_str!("../migrations/0004.sql"),
];

/// The schema this version writes.
pub(crate) const LATEST: i64 = STEPS.len() as i64;

/// Returns the schema of a spool; 0 for an empty file.
///
/// Errors: `Newer` where a later version wrote it, `Corrupt` where it is no database.
pub(crate) fn version(conn: &Connection, path: &Path) -> Result<i64, SpoolError> {
    let found = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(|e| SpoolError::sqlite(path, e))?;
    if found > LATEST {
        return Err(SpoolError::Newer { path: path.to_owned(), found, known: LATEST });
    }
    Ok(found)
}

/// Brings a spool to the latest schema; each step is one transaction.
pub(crate) fn run(conn: &mut Connection, path: &Path) -> Result<(), SpoolError> {
    loop {
        let sql = |e| SpoolError::sqlite(path, e);
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql)?;
        let found = version(&tx, path)?;
        let Some(step) = usize::try_from(found).ok().and_then(|found| STEPS.get(found)) else { return Ok(()) };
        tx.execute_batch(step).map_err(sql)?;
        tx.pragma_update(None, "user_version", found + 1).map_err(sql)?;
        tx.commit().map_err(sql)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_older_schema_becomes_the_latest() {
        for from in 0..LATEST {
            let mut conn = Connection::open_in_memory().unwrap();
            for step in &STEPS[..usize::try_from(from).unwrap()] {
                conn.execute_batch(step).unwrap();
            }
            conn.pragma_update(None, "user_version", from).unwrap();
            run(&mut conn, Path::new("spool.db")).unwrap();
            assert_eq!(version(&conn, Path::new("spool.db")).unwrap(), LATEST);
        }
    }

    #[test]
    fn a_later_schema_is_refused_and_named() {
        let conn = Connection::open_in_memory().unwrap();
        conn.pragma_update(None, "user_version", LATEST + 1).unwrap();
        let error = version(&conn, Path::new("spool.db")).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("spool spool.db has schema {}, this version knows {LATEST}: update countersign", LATEST + 1)
        );
        assert!(error.is_permanent());
    }
}
