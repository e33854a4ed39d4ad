//! Threads of the hub, and the tables that they share.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// A thread that is joined when this is dropped, so that the data directory is free when the hub is gone.
#[derive(Debug)]
pub(crate) struct JoinOnDrop(pub(crate) Option<JoinHandle<()>>);

impl Drop for JoinOnDrop {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            // Its panic, if it had one, has been reported.
            let _ = thread.join();
        }
    }
}

/// Starts a thread.
pub(crate) fn thread(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinOnDrop> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(run)?;
    Ok(JoinOnDrop(Some(thread)))
}

/// A panic elsewhere leaves these tables as they were between two statements, which is good enough to go on with.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
