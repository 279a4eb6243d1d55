//! Whether the device's clock was set. Order in the trail never rests on a clock, but people read times:
//! where the clock jumped, a record says from when to when.
//!
//! Every FULL commit notes what the clock said beside one that nobody can set. The next one, of whatever
//! process, compares: within one run of the machine any step shows, forward or back; after a restart only
//! that a time was there before shows. A machine that slept did not jump.

use std::time::Duration;

use countersign_event::payload::trail;
use countersign_event::{How, Timestamp};
use rusqlite::{Connection, OptionalExtension};
use uuid::Uuid;

use crate::epoch::Epoch;
use crate::prepare::Prepared;
use crate::sys::{self, Steady};

/// A clock is put right by less than this without anybody noticing.
const BACK_MS: i64 = 10_000;
/// Times this much later are still where one would look for them.
const FORWARD_MS: i64 = 3 * 60_000;
/// Between two looks at the steady clock lies one at the other; a process that was stopped there looks again.
const BETWEEN: Duration = Duration::from_secs(1);

/// What both clocks said at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Reading {
    time: Timestamp,
    steady: Option<Steady>,
}

impl Reading {
    fn take() -> Reading {
        loop {
            let before = sys::steady();
            let time = sys::now();
            let steady = sys::steady();
            let lasted = |it: &Option<Steady>| it.as_ref().map_or(Duration::ZERO, |it| it.lasted);
            if lasted(&steady).saturating_sub(lasted(&before)) < BETWEEN {
                return Reading { time, steady };
            }
        }
    }

    /// As the table has it: the time, then the run and how long it had lasted, where that is known.
    fn to_text(&self) -> String {
        let time = self.time.as_millis();
        self.steady
            .as_ref()
            .map_or_else(|| time.to_string(), |it| format!("{time} {} {}", it.lasted.as_millis(), it.run))
    }

    fn read(text: &str) -> Option<Reading> {
        let mut parts = text.splitn(3, ' ');
        let time = Timestamp::from_millis(parts.next()?.parse().ok()?);
        let lasted = parts.next().and_then(|ms| ms.parse().ok()).map(Duration::from_millis);
        let steady = lasted.zip(parts.next()).map(|(lasted, run)| Steady { run: run.to_owned(), lasted });
        Some(Reading { time, steady })
    }

    /// Returns what time it should be by an earlier reading, where the clock says another.
    fn should_be(&self, earlier: &Reading) -> Option<Timestamp> {
        let now = self.time.as_millis();
        let same_run = earlier.steady.as_ref().zip(self.steady.as_ref()).filter(|(then, now)| then.run == now.run);
        let passed = same_run.map(|(then, now)| now.lasted.saturating_sub(then.lasted).as_millis());
        let expected =
            earlier.time.as_millis().saturating_add(i64::try_from(passed.unwrap_or_default()).unwrap_or(i64::MAX));
        let stepped =
            now.saturating_add(BACK_MS) < expected || passed.is_some() && expected.saturating_add(FORWARD_MS) < now;
        stepped.then(|| Timestamp::from_millis(expected))
    }
}

/// Notes what the clock says, in the FULL transaction around this. Returns the record of a step since the last
/// note, for the caller to insert.
pub(crate) fn note(tx: &Connection, epoch: &Epoch, source: &str) -> rusqlite::Result<Option<Prepared>> {
    let now = Reading::take();
    let last = tx
        .prepare_cached("SELECT clock FROM epochs WHERE clock IS NOT NULL ORDER BY ordinal DESC LIMIT 1")?
        .query_row([], |row| row.get::<_, String>(0))
        .optional()?;
    // The row of the epoch is written in this transaction anyway: the barrier stands in it.
    tx.prepare_cached("UPDATE epochs SET clock = ? WHERE epoch = ?")?.execute((now.to_text(), &epoch.epoch))?;
    let expected = last.and_then(|text| now.should_be(&Reading::read(&text)?));
    Ok(expected.map(|expected| step(source, expected, now.time)))
}

fn step(source: &str, from: Timestamp, to: Timestamp) -> Prepared {
    let reason = if to < from { "clock_back" } else { "clock_forward" };
    tracing::warn!(%from, %to, "the clock of this device was set");
    let gap = trail::Gap {
        how: How::Observed,
        reason: reason.to_owned(),
        count: None,
        from: Some(from),
        to: Some(to),
        by: Some("clock".to_owned()),
    };
    Prepared::gap(Uuid::now_v7(), source, gap)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::step_of_clock;
    use crate::{Append, Class, Lease, Reader, Spool, verify};

    use countersign_event::payload::Payload;

    const HOUR_MS: i64 = 3_600_000;
    const YEAR_MS: i64 = 365 * 24 * HOUR_MS;

    fn reading(time_ms: i64, run: Option<(&str, i64)>) -> Reading {
        let steady = run.map(|(run, ms)| Steady { run: run.to_owned(), lasted: Duration::from_millis(ms as u64) });
        Reading { time: Timestamp::from_millis(time_ms), steady }
    }

    #[test]
    fn a_step_is_what_the_steady_clock_does_not_explain() {
        let before = reading(YEAR_MS, Some(("a", HOUR_MS)));
        let expected = |time_ms, run| reading(time_ms, run).should_be(&before).map(Timestamp::as_millis);
        // It passed, awake or asleep.
        assert_eq!(expected(YEAR_MS + 8 * HOUR_MS, Some(("a", 9 * HOUR_MS))), None);
        // It was put right a little.
        assert_eq!(expected(YEAR_MS - 9_000, Some(("a", HOUR_MS))), None);
        assert_eq!(expected(YEAR_MS + 170_000, Some(("a", HOUR_MS))), None);
        // It was set.
        assert_eq!(expected(YEAR_MS + 9 * HOUR_MS, Some(("a", 2 * HOUR_MS))), Some(YEAR_MS + HOUR_MS));
        assert_eq!(expected(YEAR_MS - 11_000, Some(("a", HOUR_MS))), Some(YEAR_MS));
        assert_eq!(expected(YEAR_MS + HOUR_MS, Some(("a", 3 * HOUR_MS))), Some(YEAR_MS + 2 * HOUR_MS));
        // Of another run only that it goes back shows.
        for run in [Some(("b", 1)), None] {
            assert_eq!(expected(2 * YEAR_MS, run), None);
            assert_eq!(expected(YEAR_MS - HOUR_MS, run), Some(YEAR_MS));
        }
    }

    #[test]
    fn a_note_is_read_as_it_was_written_and_nonsense_is_none() {
        for reading in [reading(5, None), reading(YEAR_MS, Some(("boot/time:[1]", 7))), Reading::take()] {
            let read = Reading::read(&reading.to_text()).unwrap();
            // Milliseconds are enough.
            assert_eq!(read.to_text(), reading.to_text());
        }
        assert_eq!(Reading::read(""), None);
        assert_eq!(Reading::read("x 1 a"), None);
        assert_eq!(Reading::read("7 x a"), Some(reading(7, None)));
    }

    fn event(n: u64) -> Append {
        let gap = trail::Gap {
            how: How::Observed,
            reason: "test".to_owned(),
            count: Some(n),
            from: None,
            to: None,
            by: None,
        };
        let prepared = Prepared::gap(Uuid::now_v7(), "test", gap);
        Append { event: prepared.event, class: Class::Full, contents: Vec::new(), if_told: None }
    }

    /// Makes an event that may be let go.
    fn light(text: &str) -> Append {
        let json = event(0).event.as_str().replace("trail.gap", "test.light").replace("\"test\"", &format!("{text:?}"));
        Append { event: countersign_event::EventBytes::parse(json.as_bytes()).unwrap(), ..event(0) }
    }

    #[test]
    fn a_clock_that_jumps_a_year_and_back_is_told_with_its_period_and_breaks_no_order() {
        let dir = tempfile::tempdir().unwrap();
        let now = sys::now();
        let steps = [0, YEAR_MS, YEAR_MS, 0, -YEAR_MS, 0];
        for (n, step_ms) in (1..).zip(steps) {
            step_of_clock::set(step_ms);
            // A process each: none of them saw the step happen.
            let mut spool = Spool::open(dir.path()).unwrap();
            spool.append(&[event(n)]).unwrap();
            spool.head().unwrap();
            assert!(Lease::try_take(dir.path()).unwrap().is_some());
        }
        let reader = Reader::open(dir.path()).unwrap();
        let mut told = Vec::new();
        let (mut last, mut order) = (0, Vec::new());
        for stored in reader.events_after(0, 100).unwrap() {
            assert_eq!(stored.seq, last + 1);
            last = stored.seq;
            let Ok(Payload::TrailGap(gap)) = stored.bytes.payload() else { panic!("a gap") };
            match gap.count {
                Some(n) => order.push(n),
                None => told.push((gap.reason, gap.from.unwrap().as_millis(), gap.to.unwrap().as_millis())),
            }
        }
        assert_eq!(order, [1, 2, 3, 4, 5, 6]);
        let years = |ms: i64| (ms - now.as_millis() + YEAR_MS / 2).div_euclid(YEAR_MS);
        let told: Vec<_> = told.iter().map(|(why, from, to)| (why.as_str(), years(*from), years(*to))).collect();
        assert_eq!(
            told,
            [("clock_forward", 0, 1), ("clock_back", 1, 0), ("clock_back", 0, -1), ("clock_forward", -1, 0)]
        );
        let report = verify(dir.path()).unwrap();
        assert_eq!((report.is_ok(), report.epochs, report.heads), (true, 1, 12), "{report:?}");
    }

    #[test]
    fn what_goes_first_when_there_is_no_room_does_not_depend_on_the_clock() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path()).unwrap();
        spool.set_max_bytes(1 << 20);
        for n in 0..10 {
            step_of_clock::set([YEAR_MS, 0, -YEAR_MS][n % 3]);
            let events: Vec<Append> = (0..300).map(|_| light(&"x".repeat(700))).collect();
            spool.append(&events).unwrap();
        }
        let left = "SELECT min(seq), max(seq), count(*) FROM events WHERE type LIKE '%light%'";
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, u64>(0)?, row.get::<_, u64>(1)?, row.get::<_, u64>(2)?));
        let (first, _, light) = spool.conn.query_row(left, [], row).unwrap();
        let gone: u64 =
            spool.conn.query_row("SELECT count(*) FROM holes WHERE seq < ?", [first], |it| it.get(0)).unwrap();
        assert_eq!(gone + light, 3_000, "the oldest went, and no other");
        assert!(gone > 0 && verify(dir.path()).unwrap().is_ok());
    }
}
