//! How long to wait before the next try. Pure.

use std::time::Duration;

/// No wait is longer, whatever a collector asks for.
pub(super) const LONGEST: Duration = Duration::from_secs(300);
/// The first wait is at most this long.
const FIRST: Duration = Duration::from_secs(1);

/// Returns the wait after failure number `attempt` (from 0): anything up to a bound that doubles
/// (full jitter, so that a thousand devices do not come back at once), but never less than what the
/// collector asked for. `random` is uniform over all of `u64`.
pub(super) fn wait(attempt: u32, retry_after: Option<Duration>, random: u64) -> Duration {
    let bound = FIRST.saturating_mul(1 << attempt.min(10)).min(LONGEST);
    let share = random as f64 / u64::MAX as f64;
    let jittered = bound.mul_f64(share);
    retry_after.unwrap_or_default().saturating_add(jittered).min(LONGEST)
}

/// Returns the wait that a collector asked for with an answer, within reason.
pub(super) fn asked(seconds: u64) -> Duration {
    Duration::from_secs(seconds).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_five_minutes_and_never_overflows() {
        let seconds: Vec<u64> = (0..10).chain([1_000, u32::MAX]).map(|n| wait(n, None, u64::MAX).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    }

    #[test]
    fn jitter_is_full() {
        assert_eq!(wait(3, None, 0), Duration::ZERO);
        assert_eq!(wait(3, None, u64::MAX / 2).as_secs(), 4);
    }

    #[test]
    fn a_collector_that_asks_for_time_gets_it_within_reason() {
        assert_eq!(wait(0, Some(Duration::from_secs(20)), 0).as_secs(), 20);
        assert_eq!(wait(0, Some(Duration::from_secs(86_400)), 0), LONGEST);
        assert_eq!((asked(20).as_secs(), asked(u64::MAX)), (20, LONGEST));
    }
}
