//! Random actions on the spool and on a plain list; a crash is one of the actions.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails here")]

mod support;

use std::time::Duration;

use countersign_event::EventBytes;
use countersign_spool::{Append, Class, Placed, Reader, Spool, append_once, verify};
use proptest::prelude::*;
use support::{event, with_class};

#[derive(Clone, Debug)]
enum Action {
    Append(u64, Class),
    /// The same events again, as after an error of a commit.
    Redo,
    Barrier,
    Head,
    /// The process goes without a word: no barrier, no head, no close.
    Crash,
    /// A hook comes by; with `locked`, while another process holds the lock.
    Hook {
        locked: bool,
    },
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => (1_u64..6, prop_oneof![Just(Class::Normal), Just(Class::Full)]).prop_map(|(n, class)| Action::Append(n, class)),
        1 => Just(Action::Redo),
        1 => Just(Action::Barrier),
        1 => Just(Action::Head),
        2 => Just(Action::Crash),
        2 => any::<bool>().prop_map(|locked| Action::Hook { locked }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn the_spool_is_the_list_of_what_was_appended(actions in prop::collection::vec(action(), 1..25)) {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path()).unwrap();
        // `inbox`: acknowledged, in order, to be taken in before the next append.
        let (mut model, mut inbox): (Vec<EventBytes>, Vec<EventBytes>) = (Vec::new(), Vec::new());
        let (mut n, mut last): (u64, Vec<Append>) = (0, Vec::new());
        for action in actions {
            match action {
                Action::Append(count, class) => {
                    last = (n..n + count).map(|n| with_class(event(n), class)).collect();
                    n += count;
                    let appended = spool.append(&last).unwrap();
                    model.append(&mut inbox);
                    model.extend(last.iter().map(|append| append.event.clone()));
                    prop_assert_eq!(appended.last_seq, model.len() as u64);
                }
                Action::Redo => {
                    let appended = spool.append(&last).unwrap();
                    prop_assert_eq!(appended.duplicates, last.len() as u64);
                    prop_assert_eq!(appended.inserted, inbox.len() as u64);
                    model.append(&mut inbox);
                }
                Action::Barrier => prop_assert_eq!(spool.barrier().unwrap(), model.len() as u64),
                Action::Head => prop_assert_eq!(spool.head().unwrap().seq, model.len() as u64),
                Action::Crash => {
                    drop(spool);
                    spool = Spool::open(dir.path()).unwrap();
                }
                Action::Hook { locked } => {
                    let append = event(n);
                    n += 1;
                    let blocker = locked.then(|| {
                        let conn = rusqlite::Connection::open(dir.path().join("spool.db")).unwrap();
                        conn.execute_batch("BEGIN IMMEDIATE").unwrap();
                        conn
                    });
                    let placed = append_once(dir.path(), std::slice::from_ref(&append), Duration::from_millis(5)).unwrap();
                    match placed {
                        Placed::Inbox => {
                            prop_assert!(blocker.is_some());
                            inbox.push(append.event);
                        }
                        Placed::Spool(_) => {
                            prop_assert!(blocker.is_none());
                            model.append(&mut inbox);
                            model.push(append.event);
                        }
                    }
                }
            }
            let stored = Reader::open(dir.path()).unwrap().events_after(0, 10_000).unwrap();
            prop_assert!(stored.iter().map(|it| &it.bytes).eq(model.iter()));
        }
        let report = verify(dir.path()).unwrap();
        prop_assert!(report.is_ok(), "{:?}", report);
    }
}
