//! Being asked to end: Ctrl-C, or the system's own signal.

use std::io;

/// Catches the signals from this moment on; the future is done with the exit code that the first of
/// them calls for (130 for Ctrl-C, 143 for the system's).
///
/// Errors: the system does not let us. Panics outside of a tokio runtime.
#[cfg(unix)]
pub(crate) fn caught() -> io::Result<impl Future<Output = i32> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => 130,
            _ = terminate.recv() => 143,
        }
    })
}

/// Catches Ctrl-C from this moment on; the future is done with the exit code that it calls for.
#[cfg(not(unix))]
pub(crate) fn caught() -> io::Result<impl Future<Output = i32> + Send + 'static> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        interrupt.recv().await;
        130
    })
}
