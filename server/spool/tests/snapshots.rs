//! What observers saw: kept with the events, once each, found again, never in clear.

mod support;

use std::time::Duration;

use countersign_event::Timestamp;
use countersign_event::digest::{git_blob, text_id};
use countersign_spool::{GitState, InRepository, Kind, Observed, Placed, Reader, Snapshot, Spool, append_once_with};
use support::{ask, event, tamper};

fn seen(path: &str, kind: Kind, text: &str) -> Snapshot {
    let place = InRepository { worktree: "/r".into(), common_dir: "/r/.git".into(), path: path.into() };
    let git = GitState { head: Some("ab".repeat(20)), reflog_len: 150, ..GitState::default() };
    let absolute = format!("/r/{path}");
    Snapshot {
        repository: Some(place),
        git: Some(git),
        contribution: (kind == Kind::Ai).then(|| "c1".to_owned()),
        call: Some("call".to_owned()),
        ..Snapshot::of(absolute, kind, Some(text.as_bytes().to_vec()), Timestamp::from_millis(5))
    }
}

fn kinds(all: &[Observed]) -> Vec<Kind> {
    all.iter().map(|it| it.kind).collect()
}

#[test]
fn what_was_seen_comes_back_in_order_with_the_moment_of_git() {
    let dir = tempfile::tempdir().unwrap();
    let both = [seen("a.rs", Kind::Before, "the canary\n"), seen("a.rs", Kind::Ai, "the canary sings\n")];
    let wait = Duration::from_secs(5);
    assert!(matches!(append_once_with(dir.path(), &[event(1)], &both, wait).unwrap(), Placed::Spool(_)));
    append_once_with(dir.path(), &[], &[seen("a.rs", Kind::Before, "the canary sings\n")], wait).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    let all = reader.observed_in("/r/.git", "/r").unwrap();
    assert_eq!(kinds(&all), [Kind::Before, Kind::Ai, Kind::Before]);
    assert_eq!(all[1].text, all[2].text, "one text is kept once");
    assert_eq!(all[1].git, both[1].git);
    assert_eq!(all[1].contribution.as_deref(), Some("c1"));
    assert_eq!(all[1].blob, Some(reader.blob_key(&git_blob(b"the canary sings\n")).unwrap()));
    assert_eq!(reader.snapshot_text(all[1].text.unwrap()).unwrap().unwrap(), b"the canary sings\n");
    assert_eq!(reader.observed_at("/r/a.rs").unwrap(), all);
    for name in ["spool.db", "spool.db-wal"] {
        let bytes = std::fs::read(dir.path().join(name)).unwrap_or_default();
        assert!(!bytes.windows(6).any(|window| window == b"canary"), "{name}");
    }
}

#[test]
fn what_was_seen_while_the_spool_was_locked_waits_in_the_inbox() {
    let dir = tempfile::tempdir().unwrap();
    Spool::open(dir.path()).unwrap().append(&[event(1)]).unwrap();
    let version = ask::<i64>(dir.path(), "PRAGMA user_version");
    tamper(dir.path(), "PRAGMA user_version = 99");
    let wait = Duration::from_millis(5);
    let one = seen("a.rs", Kind::Ai, &"a line of the canary\n".repeat(50));
    assert_eq!(append_once_with(dir.path(), &[event(2)], &[one], wait).unwrap(), Placed::Inbox);
    let letter = std::fs::read_dir(dir.path().join("inbox")).unwrap().next().unwrap().unwrap();
    assert!(!std::fs::read_to_string(letter.path()).unwrap().contains("canary"));
    tamper(dir.path(), &format!("PRAGMA user_version = {version}"));
    Spool::open(dir.path()).unwrap().append(&[]).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    let all = reader.observed_in("/r/.git", "/r").unwrap();
    assert_eq!(kinds(&all), [Kind::Ai]);
    assert_eq!(reader.snapshot_text(all[0].text.unwrap()).unwrap().unwrap().len(), 50 * 21);
}

#[test]
fn a_text_that_was_damaged_on_disk_is_no_text() {
    let dir = tempfile::tempdir().unwrap();
    let it = Snapshot { spans_json: Some("[]".to_owned()), ..seen("a.rs", Kind::Saved, "x\n") };
    Spool::open(dir.path()).unwrap().put_snapshot(&it).unwrap();
    let found = Reader::open(dir.path()).unwrap().latest_snapshot("/r/a.rs").unwrap();
    assert_eq!(found, Some(it));
    tamper(dir.path(), "UPDATE texts SET sealed = zeroblob(40)");
    let reader = Reader::open(dir.path()).unwrap();
    let all = reader.observed_in("/r/.git", "/r").unwrap();
    assert_eq!(reader.snapshot_text(all[0].text.unwrap()).unwrap(), None);
    assert_eq!(reader.latest_snapshot("/r/a.rs").unwrap(), None);
    assert_eq!(reader.snapshot_by_text(&text_id(b"x\n")).unwrap(), None);
}

#[test]
fn what_is_let_go_is_recorded_and_what_it_explained_is_noted_or_known_to_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let wait = Duration::from_secs(5);
    let all = [
        seen("a.rs", Kind::Before, "one\n"),
        seen("a.rs", Kind::Ai, "one\ntwo\n"),
        seen("a.rs", Kind::Human, "one\ntwo\nthree\n"),
        seen("b.rs", Kind::Before, "one\n"),
        seen("b.rs", Kind::Ai, "one\nfour\n"),
    ];
    append_once_with(dir.path(), &[event(1)], &all, wait).unwrap();
    let losses = |reader: &Reader| reader.status(None).unwrap().losses.len();
    let before = losses(&Reader::open(dir.path()).unwrap());
    let mut spool = Spool::open(dir.path()).unwrap();
    assert_eq!(spool.let_go(&[1, 2], &[(3, "noted: the canary".to_owned())]).unwrap(), 2);
    assert_eq!(spool.let_go(&[4, 77], &[(77, "nobody".to_owned())]).unwrap(), 1);
    let reader = Reader::open(dir.path()).unwrap();
    let left = reader.observed_in("/r/.git", "/r").unwrap();
    assert_eq!(left.iter().map(|it| (it.seq, it.has_spans)).collect::<Vec<_>>(), [(3, true), (5, true)]);
    assert_eq!(reader.snapshot_spans(3).unwrap().as_deref(), Some("noted: the canary"));
    assert_eq!(reader.snapshot_spans(5).unwrap(), None, "what the edit began with is gone");
    let texts: Vec<_> = left.iter().map(|it| reader.snapshot_text(it.text.unwrap()).unwrap().unwrap()).collect();
    assert_eq!(texts, [b"one\ntwo\nthree\n".to_vec(), b"one\nfour\n".to_vec()]);
    let records = reader.by_type("dev.countersign.trail.trimmed.v1", 0).unwrap();
    let told: Vec<bool> = records.iter().map(|it| it.bytes.as_str().contains(r#""reason":"age""#)).collect();
    assert_eq!(told, [true, true]);
    // It is no loss.
    assert_eq!((losses(&reader), reader.status(None).unwrap().shed.snapshots), (before, 0));
    for name in ["spool.db", "spool.db-wal"] {
        let bytes = std::fs::read(dir.path().join(name)).unwrap_or_default();
        assert!(!bytes.windows(6).any(|window| window == b"canary"), "{name}");
    }
}
