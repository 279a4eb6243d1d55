//! Reading from a pipe and asking git, neither for longer than there is time.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use imp::Waitable;

/// Until when this process may work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// Starts the clock.
    pub(crate) fn after(time: Duration) -> Deadline {
        Deadline(Instant::now() + time)
    }

    /// Returns the time that is left.
    pub(crate) fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// Reads everything there is, at most `limit` bytes. `None` where the end did not come in time or lies
/// beyond the limit.
pub(crate) fn read_all(mut from: impl Read + Waitable, limit: usize, deadline: Deadline) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 64 << 10];
    loop {
        if !imp::wait_readable(&from, deadline.left()) {
            return None;
        }
        match from.read(&mut chunk) {
            Ok(0) => return Some(bytes),
            Ok(n) if bytes.len() + n > limit => return None,
            Ok(n) => bytes.extend_from_slice(&chunk[..n]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

/// Asks git and returns its whole output. `None` where it refuses, or is not done in time: then it is
/// ended, so that nothing of ours stays behind.
pub(crate) fn git(dir: &Path, args: &[&str], input: &[u8], deadline: Deadline) -> Option<Vec<u8>> {
    let mut child = Command::new("git")
        .arg("-C")
        .arg(dir)
        .args(args)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() })
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let out = ask(&mut child, input, deadline);
    if out.is_none() {
        let _ = child.kill(); // it may have ended by itself meanwhile
    }
    let status = child.wait().ok()?;
    out.filter(|_| status.success())
}

/// What git is told at once: less than a pipe holds, so that writing never waits.
pub(crate) const GIT_INPUT_MAX: usize = 32 << 10;

fn ask(child: &mut Child, input: &[u8], deadline: Deadline) -> Option<Vec<u8>> {
    if let Some(mut stdin) = child.stdin.take() {
        use std::io::Write;
        if input.len() > GIT_INPUT_MAX {
            return None;
        }
        stdin.write_all(input).ok()?;
    }
    read_all(child.stdout.take()?, 256 << 20, deadline)
}

#[cfg(unix)]
mod imp {
    use std::os::fd::AsFd;
    pub(super) use std::os::fd::AsFd as Waitable;
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    /// Waits until there is something to read, or the end. `false` when time is up.
    pub(super) fn wait_readable(from: &impl AsFd, time: Duration) -> bool {
        let time = Timespec { tv_sec: time.as_secs().cast_signed(), tv_nsec: time.subsec_nanos().into() };
        loop {
            match poll(&mut [PollFd::new(from, PollFlags::IN)], Some(&time)) {
                Ok(ready) => return ready > 0,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }
}

#[cfg(not(unix))]
mod imp {
    use std::time::Duration;

    pub(crate) trait Waitable {}
    impl<T> Waitable for T {}

    /// There is no wait with a limit here: reading itself waits.
    pub(super) fn wait_readable<T>(_from: &T, _time: Duration) -> bool {
        true
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_that_nobody_closes_is_given_up_when_time_is_up() {
        let (reader, _writer) = std::io::pipe().unwrap();
        assert_eq!(read_all(reader, 10, Deadline::after(Duration::from_millis(5))), None);
    }

    #[test]
    fn more_than_the_limit_is_refused() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        std::io::Write::write_all(&mut writer, b"12345").unwrap();
        drop(writer);
        assert_eq!(read_all(reader, 4, Deadline::after(Duration::from_secs(5))), None);
    }

    #[test]
    fn a_git_that_is_not_done_in_time_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        let args = ["-c", "alias.wait=!cat <&2", "--version"];
        assert!(git(dir.path(), &args, b"", Deadline::after(Duration::from_secs(20))).is_some());
        assert_eq!(git(dir.path(), &args, b"", Deadline::after(Duration::ZERO)), None);
    }
}
