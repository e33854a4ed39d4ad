//! The signal that a hub is about to end.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Set once. Those that wait are woken in the order in which they came, so that a [stepped](crate::Steps) hub ends its
/// connections in the same order each time.
#[derive(Debug, Default)]
pub(crate) struct Stopping {
    is_set: AtomicBool,
    set: Notify,
}

impl Stopping {
    pub(crate) fn set(&self) {
        self.is_set.store(true, Ordering::Release);
        self.set.notify_waiters();
    }

    pub(crate) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Acquire)
    }

    /// Ready once it is set.
    pub(crate) async fn wait(&self) {
        let mut set = pin!(self.set.notified());
        // From here on it is heard, so it is not set unnoticed after the look.
        set.as_mut().enable();
        if !self.is_set() {
            set.await;
        }
    }
}
