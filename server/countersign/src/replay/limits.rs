//! How large batches are, and how fast they go. Pure.
//!
//! After every outage a device begins with small batches that double with each one taken: a thousand
//! devices that come back at once ask little of a collector that has just got up. `log --would-send`
//! cuts its batches by the same rule.

use std::time::Duration;

use countersign_event::batch::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX};

/// Room for what stands around the events of a batch.
const AROUND_BYTES: usize = 4 << 10;

/// How large the next batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// At most this many events.
    pub(crate) events: usize,
    /// At most this many bytes of JSON.
    pub(crate) bytes: usize,
}

impl Limits {
    /// The first batch after an outage.
    pub(crate) const FIRST: Limits = Limits { events: 64, bytes: 128 << 10 };
    const LARGEST: Limits = Limits { events: BATCH_EVENTS_MAX, bytes: BATCH_BYTES_MAX - AROUND_BYTES };

    /// After a batch of so many events was too large.
    pub(super) fn halve(self, sent: usize) -> Limits {
        Limits { events: (sent / 2).max(1), bytes: (self.bytes / 2).max(1) }
    }

    /// After a batch was taken.
    pub(crate) fn grow(self) -> Limits {
        Limits {
            events: (self.events * 2).min(Limits::LARGEST.events),
            bytes: self.bytes.saturating_mul(2).min(Limits::LARGEST.bytes),
        }
    }
}

/// Returns how long to wait after sending so many bytes in this time, so that on average no more than
/// `kib_per_second` go.
pub(super) fn pause(bytes: u64, took: Duration, kib_per_second: u64) -> Duration {
    let micros = bytes.saturating_mul(1_000_000) / kib_per_second.max(1).saturating_mul(1024);
    Duration::from_micros(micros).saturating_sub(took)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_begin_small_and_double_until_they_are_as_large_as_they_may_be() {
        let sizes: Vec<usize> =
            std::iter::successors(Some(Limits::FIRST), |it| Some(it.grow())).map(|it| it.events).take(6).collect();
        assert_eq!(sizes, [64, 128, 256, 500, 500, 500]);
    }

    #[test]
    fn batches_shrink_to_a_single_event_and_grow_back() {
        let mut limits = Limits::LARGEST;
        for _ in 0..40 {
            limits = limits.halve(limits.events);
        }
        assert_eq!(limits, Limits { events: 1, bytes: 1 });
        for _ in 0..40 {
            limits = limits.grow();
        }
        assert_eq!(limits, Limits::LARGEST);
    }

    #[test]
    fn a_limit_is_kept_on_average_and_what_took_long_waits_no_longer() {
        let seconds = |bytes, took, rate| pause(bytes, Duration::from_secs(took), rate).as_secs();
        assert_eq!(seconds(100 << 10, 0, 10), 10);
        assert_eq!(seconds(100 << 10, 4, 10), 6);
        assert_eq!(seconds(100 << 10, 40, 10), 0);
        assert_eq!(seconds(u64::MAX, 0, 0), u64::MAX / 1024 / 1_000_000);
    }
}
