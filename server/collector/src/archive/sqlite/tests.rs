//! What the engine does with our questions.

use rusqlite::StatementStatus;

use super::*;

#[test]
fn the_question_that_is_asked_for_every_event_is_compiled_once_and_answered_by_its_index() {
    let dir = tempfile::tempdir().unwrap();
    let mut archive = Sqlite::open(dir.path()).unwrap();
    for n in 0..50 {
        assert!(archive.row_of_event("stream", &n.to_string()).unwrap().is_none());
    }
    let statement = archive.db.prepare_cached(&of_event()).unwrap();
    assert!(statement.get_status(StatementStatus::Run) >= 50, "it is the same statement");
    assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    assert_eq!(statement.get_status(StatementStatus::FullscanStep), 0);
    let plan = format!("explain query plan {}", of_event());
    let plan: String = archive.db.query_row(&plan, ["", ""], |row| row.get(3)).unwrap();
    assert!(plan.contains("items_by_event"), "{plan}");
}
