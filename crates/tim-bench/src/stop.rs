//! Stopping before the end: a signal ends the measurement in order, so that nothing is left in the temporary directory.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::Result;

static IS_STOPPED: AtomicBool = AtomicBool::new(false);

/// Completes at SIGINT or SIGTERM, with the exit code. From the call on, these signals do not end the process by themselves.
pub(crate) fn signalled() -> Result<impl Future<Output = u8>> {
    #[cfg(unix)]
    let signalled = {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        async move {
            tokio::select! {
                _ = interrupt.recv() => 130,
                _ = terminate.recv() => 143,
            }
        }
    };
    #[cfg(not(unix))]
    let signalled = async { tokio::signal::ctrl_c().await.map_or(1, |()| 130) };
    Ok(async {
        let code = signalled.await;
        IS_STOPPED.store(true, Ordering::Relaxed);
        code
    })
}

/// An error once the measurement has been stopped, for long work off the executor, which nothing else ends.
pub(crate) fn check() -> Result<()> {
    match IS_STOPPED.load(Ordering::Relaxed) {
        true => Err("stopped".into()),
        false => Ok(()),
    }
}
