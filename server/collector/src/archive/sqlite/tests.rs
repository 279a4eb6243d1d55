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

#[test]
fn what_was_announced_and_never_came_is_found_without_looking_at_every_head() {
    let dir = tempfile::tempdir().unwrap();
    let mut archive = Sqlite::open(dir.path()).unwrap();
    let key = Stream { id: "s".to_owned(), public_key: [0; 32], subject: "x".to_owned() };
    archive.put_stream(&key, 0).unwrap();
    archive.put_stream(&Stream { id: "other".to_owned(), ..key }, 0).unwrap();
    let head = |stream: &str, epoch: &str, seq| Head {
        stream: stream.to_owned(),
        epoch: epoch.to_owned(),
        seq,
        hash: Hash([seq as u8; 32]),
        time: countersign_event::Timestamp::from_millis(0),
        public_key: String::new(),
        signature: String::new(),
    };
    for seq in 1..200 {
        for (stream, epoch) in [("s", "a"), ("s", "b"), ("s", "c"), ("other", "d")] {
            archive.put_head(&head(stream, epoch, seq), 0).unwrap();
        }
    }
    for (epoch, through) in [("a", 199), ("b", 150)] {
        let sql = "insert into cursors (stream, epoch, acked_through, hash) values ('s', ?1, ?2, zeroblob(32))";
        archive.db.execute(sql, params![epoch, through]).unwrap();
    }
    let told: Vec<(String, u64, u64)> =
        archive.gaps("s").unwrap().into_iter().map(|gap| (gap.epoch, gap.from_seq, gap.to_seq)).collect();
    assert_eq!(told, [("b".to_owned(), 151, 199), ("c".to_owned(), 1, 199)]);
    assert_eq!(archive.gaps("nobody").unwrap(), []);
    let statement = archive.db.prepare_cached(GAPS).unwrap();
    let steps = statement.get_status(StatementStatus::VmStep);
    // Two questions; every head looked at once would be more than this alone.
    assert!(steps > 0 && steps < 400, "{steps} steps");
}
