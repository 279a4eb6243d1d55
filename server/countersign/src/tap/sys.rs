//! Where the operating systems differ: waiting for a pipe, passing signals on, exit codes.

#[cfg(unix)]
pub(crate) use unix::*;
#[cfg(windows)]
pub(crate) use windows::*;

/// What a pipe is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Something to read.
    Read,
    /// Room to write.
    Write,
}

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::io;
    use std::os::fd::AsFd;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Child, ExitCode, ExitStatus};
    use std::sync::{Arc, Mutex};

    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
    use tokio::signal::unix::{SignalKind, signal};

    use super::Interest;

    /// One end of a pipe.
    pub(crate) trait Pipe: AsFd {}
    impl<T: AsFd> Pipe for T {}

    /// Our own stdin, without the buffer of the standard library.
    pub(crate) fn stdin() -> io::Result<File> {
        Ok(io::stdin().as_fd().try_clone_to_owned()?.into())
    }

    /// Our own stdout, without the buffer of the standard library.
    pub(crate) fn stdout() -> io::Result<File> {
        Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
    }

    /// Gives up our stdin, so that whoever writes to it learns that nobody reads.
    pub(crate) fn close_stdin() {
        if let Ok(nothing) = File::open("/dev/null") {
            // There is nobody to tell, and the pump has ended.
            let _ = rustix::stdio::dup2_stdin(&nothing);
        }
    }

    /// Gives up our stdout, so that whoever reads it learns that nothing more comes.
    pub(crate) fn close_stdout() {
        if let Ok(nothing) = File::options().write(true).open("/dev/null") {
            let _ = rustix::stdio::dup2_stdout(&nothing);
        }
    }

    /// Waits until a pipe that does not wait by itself is ready.
    pub(crate) fn wait_until_ready(pipe: &impl Pipe, interest: Interest) -> io::Result<()> {
        let flags = match interest {
            Interest::Read => PollFlags::IN,
            Interest::Write => PollFlags::OUT,
        };
        loop {
            match poll(&mut [PollFd::new(pipe, flags)], None) {
                Err(rustix::io::Errno::INTR) => {}
                other => return other.map(drop).map_err(io::Error::from),
            }
        }
    }

    /// Passes the signals that end a program on to a child.
    #[derive(Debug)]
    pub(crate) struct Signals {
        child: Arc<Mutex<Option<Pid>>>,
        start: std::sync::mpsc::Sender<()>,
    }

    impl Signals {
        /// Catches the signals from now on; they are passed on once there is a child.
        pub(crate) fn catch() -> io::Result<Signals> {
            let child = Arc::new(Mutex::new(None));
            let (start, started) = std::sync::mpsc::channel();
            let target = Arc::clone(&child);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
            let (mut term, mut int, mut hup) = {
                let _inside = runtime.enter();
                let kind = |kind| signal(kind);
                (kind(SignalKind::terminate())?, kind(SignalKind::interrupt())?, kind(SignalKind::hangup())?)
            };
            std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
                if started.recv().is_err() {
                    return;
                }
                runtime.block_on(async {
                    loop {
                        let signal = tokio::select! {
                            _ = term.recv() => Signal::TERM,
                            _ = int.recv() => Signal::INT,
                            _ = hup.recv() => Signal::HUP,
                        };
                        if let Ok(child) = target.lock()
                            && let Some(pid) = *child
                        {
                            // A child that has just ended needs no signal.
                            let _ = kill_process(pid, signal);
                        }
                    }
                });
            })?;
            Ok(Signals { child, start })
        }

        /// Names the child.
        pub(crate) fn pass_on_to(&self, child: &Child) {
            if let Ok(mut pid) = self.child.lock() {
                *pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            }
            let _ = self.start.send(());
        }

        /// Waits for the child's end. Its process id is not free for others before no signal goes there.
        pub(crate) fn wait(&self, child: &mut Child) -> io::Result<ExitStatus> {
            let pid = self.child.lock().ok().and_then(|pid| *pid);
            if let Some(pid) = pid {
                while let Err(rustix::io::Errno::INTR) =
                    waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
                {}
            }
            if let Ok(mut pid) = self.child.lock() {
                *pid = None;
            }
            child.wait()
        }
    }

    /// Returns the number that stands for the status in a shell: 128 + n for signal n.
    pub(crate) fn status_number(status: ExitStatus) -> i32 {
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
    }

    /// Makes the child's status ours.
    pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
        ExitCode::from(status_number(status) as u8)
    }
}

#[cfg(windows)]
mod windows {
    use std::fs::File;
    use std::io;
    use std::os::windows::io::AsHandle;
    use std::process::{Child, ExitCode, ExitStatus};

    use super::Interest;

    /// One end of a pipe.
    pub(crate) trait Pipe: AsHandle {}
    impl<T: AsHandle> Pipe for T {}

    /// Our own stdin, without the buffer of the standard library.
    pub(crate) fn stdin() -> io::Result<File> {
        Ok(io::stdin().as_handle().try_clone_to_owned()?.into())
    }

    /// Our own stdout, without the buffer of the standard library.
    pub(crate) fn stdout() -> io::Result<File> {
        Ok(io::stdout().as_handle().try_clone_to_owned()?.into())
    }

    /// Pipes end with the process here.
    pub(crate) fn close_stdin() {}

    /// Pipes end with the process here.
    pub(crate) fn close_stdout() {}

    /// Pipes always wait by themselves here.
    pub(crate) fn wait_until_ready(_: &impl Pipe, _: Interest) -> io::Result<()> {
        Ok(())
    }

    /// There is nothing to pass on: a console's signals reach the child by themselves.
    #[derive(Debug)]
    pub(crate) struct Signals;

    impl Signals {
        /// Does nothing.
        pub(crate) fn catch() -> io::Result<Signals> {
            Ok(Signals)
        }

        /// Does nothing.
        pub(crate) fn pass_on_to(&self, _: &Child) {}

        /// Waits for the child's end.
        pub(crate) fn wait(&self, child: &mut Child) -> io::Result<ExitStatus> {
            child.wait()
        }
    }

    /// Returns the exit code.
    pub(crate) fn status_number(status: ExitStatus) -> i32 {
        status.code().unwrap_or(1)
    }

    /// Makes the child's status ours; it may have more than eight bits here.
    pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
        match u8::try_from(status_number(status)) {
            Ok(code) => ExitCode::from(code),
            Err(_) => std::process::exit(status_number(status)),
        }
    }
}
