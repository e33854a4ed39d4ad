//! The hub's threads, the locks of what they share, and which threads may wait for the disk.

use std::cell::Cell;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

thread_local! {
    static MAY_BLOCK: Cell<bool> = const { Cell::new(false) };
}

/// A thread that is joined when this is dropped, so that the data directory is free when the hub is gone.
#[derive(Debug)]
pub(crate) struct JoinOnDrop(Option<JoinHandle<()>>);

impl Drop for JoinOnDrop {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            // Its panic, if it had one, has been reported.
            let _ = thread.join();
        }
    }
}

/// Starts a thread of the hub's own, which may block.
pub(crate) fn thread(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinOnDrop> {
    let thread = thread::Builder::new()
        .name(name.to_owned())
        .spawn(|| blocking(run))?;
    Ok(JoinOnDrop(Some(thread)))
}

/// Runs `work` as on a thread that may block.
pub(crate) fn blocking<T>(work: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            MAY_BLOCK.set(self.0);
        }
    }
    let _restore = Restore(MAY_BLOCK.replace(true));
    work()
}

/// Whether this thread may wait for the disk. An executor's thread may not: other connections run on it too.
pub(crate) fn may_block() -> bool {
    MAY_BLOCK.get()
}

/// Locks a table. A panic elsewhere leaves the table as it was between two statements, which is consistent enough to continue.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
