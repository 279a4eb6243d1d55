//! What differs by operating system: noticing that the editor is gone, and a file's number.

/// Calls `gone` once the process `pid` has ended, from a thread of its own.
///
/// A process that can't be seen from here to begin with (another container, a number of another
/// machine) is not watched: the end of our input tells too.
#[cfg(target_os = "linux")]
pub(crate) fn watch(pid: i32, gone: impl FnOnce() + Send + 'static) {
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    let Some(pid) = Pid::from_raw(pid) else { return };
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    spawn(move || {
        loop {
            match poll(&mut [PollFd::new(&process, PollFlags::IN)], None) {
                Ok(_) => return gone(),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return tracing::warn!("the editor's process can't be watched: {error}"),
            }
        }
    });
}

/// Calls `gone` once the process `pid` has ended, from a thread of its own, at most 2 s later.
#[cfg(all(unix, not(target_os = "linux")))]
pub(crate) fn watch(pid: i32, gone: impl FnOnce() + Send + 'static) {
    use rustix::process::{Pid, test_kill_process};

    let Some(pid) = Pid::from_raw(pid) else { return };
    let alive = move || test_kill_process(pid) != Err(rustix::io::Errno::SRCH);
    if !alive() {
        return;
    }
    spawn(move || {
        while alive() {
            std::thread::sleep(std::time::Duration::from_secs(2));
        }
        gone();
    });
}

/// Elsewhere the end of our input is the only sign.
#[cfg(not(unix))]
pub(crate) fn watch(_: i32, _: impl FnOnce() + Send + 'static) {}

#[cfg(unix)]
fn spawn(watch: impl FnOnce() + Send + 'static) {
    if let Err(error) = std::thread::Builder::new().name("parent".to_owned()).spawn(watch) {
        tracing::warn!("the editor's process can't be watched: {error}");
    }
}

/// Returns what tells a file from one that was put in its place.
#[cfg(unix)]
pub(crate) fn file_number(metadata: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

/// Elsewhere there is none without opening it.
#[cfg(not(unix))]
pub(crate) fn file_number(_: &std::fs::Metadata) -> u64 {
    0
}
