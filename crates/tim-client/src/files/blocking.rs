//! File operations on threads for blocking work.

use std::io;

use tokio::runtime::Handle;

/// Runs `work`, which may block, on a thread for that. It runs to its end even if the future is dropped.
#[cfg(not(target_family = "wasm"))]
pub(crate) async fn blocking<T: Send + 'static>(
    runtime: &Handle,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match runtime.spawn_blocking(work).await {
        Ok(done) => done,
        // An `UploadSource` has panicked, or the runtime has ended.
        Err(error) => Err(io::Error::other(error)),
    }
}

/// There are no other threads.
#[cfg(target_family = "wasm")]
pub(crate) async fn blocking<T: Send + 'static>(
    _: &Handle,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    work()
}
