//! A clock that nobody sets: how long this machine has run, asleep or awake.
//!
//! Two readings can be compared only where both name the same run.

use std::time::Duration;

/// A reading of that clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Steady {
    /// Which run of the machine; without spaces.
    pub(crate) run: String,
    /// How long it has lasted.
    pub(crate) lasted: Duration,
}

/// Reads it. `None` where this system has none.
pub(crate) fn steady() -> Option<Steady> {
    Some(Steady { run: imp::run()?, lasted: imp::lasted() })
}

#[cfg(target_os = "linux")]
mod imp {
    use std::sync::OnceLock;
    use std::time::Duration;

    use rustix::time::{ClockId, clock_gettime};

    /// Other processes of the same run read the same. A time namespace has an offset of its own.
    pub(super) fn run() -> Option<String> {
        static RUN: OnceLock<Option<String>> = OnceLock::new();
        let read = || {
            let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
            let namespace = std::fs::read_link("/proc/self/ns/time").unwrap_or_default();
            Some(format!("{}/{}", boot.trim(), namespace.display()))
        };
        RUN.get_or_init(read).clone()
    }

    pub(super) fn lasted() -> Duration {
        let now = clock_gettime(ClockId::Boottime);
        Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or_default())
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::sync::OnceLock;
    use std::time::Duration;

    /// Only this process can tell its own run from another one.
    pub(super) fn run() -> Option<String> {
        static RUN: OnceLock<Option<String>> = OnceLock::new();
        RUN.get_or_init(|| getrandom::u64().ok().map(|run| format!("process/{run:016x}"))).clone()
    }

    /// The system's own steady clock goes on while the machine sleeps.
    #[cfg(target_os = "macos")]
    pub(super) fn lasted() -> Duration {
        use rustix::time::{ClockId, clock_gettime};
        let now = clock_gettime(ClockId::Monotonic);
        Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or_default())
    }

    #[cfg(not(target_os = "macos"))]
    pub(super) fn lasted() -> Duration {
        use std::time::Instant;
        static BEGAN: OnceLock<Instant> = OnceLock::new();
        BEGAN.get_or_init(Instant::now).elapsed()
    }
}
