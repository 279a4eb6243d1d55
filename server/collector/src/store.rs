//! The one thread that owns the archive, and the handle everybody else holds.
//!
//! Jobs that wait together share one transaction and one sync (group commit); each runs under a
//! savepoint of its own, so one that fails takes nobody with it. A job's answer is handed out after
//! the commit and never before: that is where "acknowledged" means "durable".

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use tokio::sync::oneshot;

use crate::archive::{Archive, ArchiveError};

/// At most this many jobs wait; the next caller is told to come back.
const WAITING_MAX: usize = 256;
/// At most this many jobs share one commit.
const GROUP_MAX: usize = 64;

/// Tells a caller what became of its job, once it is known whether the commit held.
type Answer = Box<dyn FnOnce(Result<(), ArchiveError>) + Send>;
/// Runs; says whether to keep what it did.
type Job = Box<dyn FnOnce(&mut dyn Archive) -> (bool, Answer) + Send>;

/// A handle to the archive's thread. Cheap to clone; the thread ends with the last one.
#[derive(Clone)]
pub(crate) struct Store {
    jobs: SyncSender<Job>,
}

impl Store {
    /// Starts the thread.
    pub(crate) fn start(archive: Box<dyn Archive>) -> std::io::Result<Store> {
        let (jobs, waiting) = sync_channel(WAITING_MAX);
        std::thread::Builder::new().name("archive".to_owned()).spawn(move || work(archive, &waiting))?;
        Ok(Store { jobs })
    }

    /// Runs `job` in a transaction and returns its result once that is durable. An error undoes the
    /// job alone.
    ///
    /// Errors: the job's own; `Busy` where too many wait; whatever the commit failed with.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut dyn Archive) -> Result<T, ArchiveError> + Send + 'static,
    ) -> Result<T, ArchiveError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |archive| {
            let result = job(archive);
            let keep = result.is_ok();
            let done: Answer = Box::new(move |committed| {
                // A caller that has gone away needs no answer.
                let _ = answer.send(result.and_then(|value| committed.map(|()| value)));
            });
            (keep, done)
        });
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => ArchiveError::Busy,
            TrySendError::Disconnected(_) => ArchiveError::Closed,
        })?;
        answered.await.unwrap_or(Err(ArchiveError::Closed))
    }
}

fn work(mut archive: Box<dyn Archive>, waiting: &Receiver<Job>) {
    while let Ok(first) = waiting.recv() {
        let group = std::iter::once(first).chain(waiting.try_iter().take(GROUP_MAX - 1)).collect();
        run_group(archive.as_mut(), group);
    }
}

fn run_group(archive: &mut dyn Archive, group: Vec<Job>) {
    let mut answers = Vec::with_capacity(group.len());
    let mut outcome = archive.begin();
    for job in group {
        // Where the transaction itself has failed, a job is dropped: its caller reads `Closed`
        // from the broken channel, and nothing of it was done.
        if outcome.is_ok() {
            outcome = run_one(archive, job, &mut answers);
        }
    }
    let outcome = outcome.and_then(|()| archive.commit());
    if let Err(error) = &outcome {
        tracing::error!(error = error as &dyn std::error::Error, "archive transaction failed");
        archive.rollback();
    }
    for answer in answers {
        answer(outcome.clone());
    }
}

fn run_one(archive: &mut dyn Archive, job: Job, answers: &mut Vec<Answer>) -> Result<(), ArchiveError> {
    archive.savepoint()?;
    match catch_unwind(AssertUnwindSafe(|| job(archive))) {
        Ok((keep, answer)) => {
            answers.push(answer);
            if keep { archive.keep() } else { archive.undo() }
        }
        Err(_) => archive.undo(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::Stream;
    use crate::archive::sqlite::Sqlite;

    fn store(dir: &std::path::Path) -> Store {
        Store::start(Box::new(Sqlite::open(dir).unwrap())).unwrap()
    }

    fn bind(id: &'static str) -> impl FnOnce(&mut dyn Archive) -> Result<(), ArchiveError> + Send {
        move |archive| {
            archive.put_stream(&Stream { id: id.to_owned(), public_key: [0; 32], subject: "x".to_owned() }, 0)
        }
    }

    async fn streams(store: &Store) -> Vec<String> {
        let found = store.run(|archive| archive.streams()).await.unwrap();
        found.into_iter().map(|stream| stream.id).collect()
    }

    #[tokio::test]
    async fn a_job_that_fails_or_panics_is_undone_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let fails = store.run(|archive| {
            bind("fails")(archive)?;
            Err::<(), _>(ArchiveError::Full)
        });
        let panics = store.run(|archive| -> Result<(), ArchiveError> {
            bind("panics")(archive)?;
            panic!("a job may panic")
        });
        let (good, fails, panics, other) =
            tokio::join!(store.run(bind("good")), fails, panics, store.run(bind("other")));
        assert!(matches!((good, other), (Ok(()), Ok(()))));
        assert!(matches!(fails, Err(ArchiveError::Full)));
        assert!(matches!(panics, Err(ArchiveError::Closed)));
        assert_eq!(streams(&store).await, ["good", "other"]);
    }

    #[tokio::test]
    async fn nobody_is_answered_before_the_commit() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        store.run(bind("a")).await.unwrap();
        // Another connection sees only what is committed.
        let db = rusqlite::Connection::open(dir.path().join("archive.db")).unwrap();
        let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(count("select count(*) from streams"), 1);
        // A reader that stays in the way of nobody: a commit that can't be had is told to everybody.
        db.execute_batch("begin immediate").unwrap();
        let (first, second) = tokio::join!(store.run(bind("b")), store.run(bind("c")));
        assert!(first.is_err() && second.is_err());
        db.execute_batch("rollback").unwrap();
        assert_eq!(streams(&store).await, ["a"]);
    }
}
