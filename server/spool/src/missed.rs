//! What a short-lived process could leave nowhere: counted in a file that was made while there was room.
//!
//! A full disk takes neither an event nor a letter, but bytes that are there can be written over. The
//! next process that reaches the trail makes one `trail.gap` of the count. The file is one line of
//! fixed length: how many events, and from when to when.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::time::Duration;

use countersign_event::payload::trail;
use countersign_event::{How, Timestamp};
use uuid::Uuid;

use crate::open::{FileLock, Layout, Patience};
use crate::prepare::Prepared;
use crate::{SpoolError, sys};

/// How long the file's lock is waited for.
const LOCK_WAIT: Duration = Duration::from_millis(20);

/// How many events found no room, and when the first and the last of them were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Missed {
    count: u64,
    from: Timestamp,
    to: Timestamp,
}

impl Missed {
    fn nothing() -> Missed {
        let zero = Timestamp::from_millis(0);
        Missed { count: 0, from: zero, to: zero }
    }

    fn read(file: &mut File) -> Option<Missed> {
        let mut line = String::new();
        file.take(128).read_to_string(&mut line).ok()?;
        let mut numbers = line.split_whitespace();
        let count = numbers.next()?.parse().ok()?;
        let mut time = || numbers.next()?.parse().ok().map(Timestamp::from_millis);
        let missed = Missed { count, from: time()?, to: time()? };
        (count > 0).then_some(missed)
    }

    fn line(self) -> String {
        format!("{:020} {:020} {:020}\n", self.count, self.from.as_millis().max(0), self.to.as_millis().max(0))
    }

    /// Makes the event that tells it.
    pub(crate) fn gap(self, source: &str) -> Prepared {
        let gap = trail::Gap {
            how: How::Observed,
            reason: "no_room".to_owned(),
            count: Some(self.count),
            from: Some(self.from),
            to: Some(self.to),
            by: Some("hook".to_owned()),
        };
        Prepared::gap(Uuid::now_v7(), source, gap)
    }
}

fn file(layout: &Layout) -> PathBuf {
    layout.state.join("missed")
}

fn lock_of(layout: &Layout) -> PathBuf {
    layout.state.join("missed.lock")
}

/// Looks what was missed; makes the file where there is none. Errors are nothing: there is no record then,
/// as there would be without the file.
fn look(layout: &Layout) -> Option<Missed> {
    match File::open(file(layout)) {
        Ok(mut open) => Missed::read(&mut open),
        Err(_) => {
            let made = sys::private_options().write(true).create_new(true).open(file(layout));
            let _ = made.and_then(|mut made| made.write_all(Missed::nothing().line().as_bytes()));
            let _ = sys::lock_file(&lock_of(layout));
            None
        }
    }
}

/// Takes it upon this process to tell what was missed. `None` where another is at it.
pub(crate) fn claim(layout: &Layout) -> Option<(Missed, FileLock)> {
    look(layout)?;
    let lock = FileLock::try_take(&lock_of(layout)).ok()??;
    Some((look(layout)?, lock))
}

/// Forgets what is in the trail now.
pub(crate) fn told(layout: &Layout, _claimed: FileLock) {
    let _ = change(layout, |_| Missed::nothing());
}

/// Adds events that found no room.
pub(crate) fn note(layout: &Layout, count: usize) -> Result<(), SpoolError> {
    let at = sys::now();
    let _lock = FileLock::take(&lock_of(layout), &Patience::of(LOCK_WAIT))?;
    change(layout, |now| match now.count {
        0 => Missed { count: count as u64, from: at, to: at },
        before => Missed { count: before + count as u64, from: now.from, to: at },
    })
}

/// Writes over what is there. The caller holds the lock.
fn change(layout: &Layout, to: impl FnOnce(Missed) -> Missed) -> Result<(), SpoolError> {
    let path = file(layout);
    let written = OpenOptions::new().read(true).write(true).open(&path).and_then(|mut open| {
        let now = Missed::read(&mut open).unwrap_or_else(Missed::nothing);
        open.seek(SeekFrom::Start(0))?;
        open.write_all(to(now).line().as_bytes())?;
        open.sync_data()
    });
    written.map_err(|error| SpoolError::io("write", &path, error))
}
