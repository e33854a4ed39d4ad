//! The signal that a hub is about to end.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use crate::threads::lock;

/// Set once. Those that wait are woken in the order in which they came, so that a [stepped](crate::Steps) hub ends its
/// connections in the same order each time.
#[derive(Debug, Default)]
pub(crate) struct Stopping {
    is_set: AtomicBool,
    listeners: Mutex<Listeners>,
}

#[derive(Debug, Default)]
struct Listeners {
    last: u64,
    /// By number, in the order in which they came.
    wakers: BTreeMap<u64, Waker>,
}

/// A task that hears when the hub is about to end. It costs a connection nothing to ask each time it runs.
#[derive(Debug)]
pub(crate) struct StopListener {
    stopping: Arc<Stopping>,
    /// 0 before the task has asked.
    number: u64,
}

impl Stopping {
    pub(crate) fn set(&self) {
        self.is_set.store(true, Ordering::Release);
        let wakers = std::mem::take(&mut lock(&self.listeners).wakers);
        wakers.into_values().for_each(Waker::wake);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Acquire)
    }

    pub(crate) const fn listener(self: Arc<Self>) -> StopListener {
        StopListener {
            stopping: self,
            number: 0,
        }
    }
}

impl StopListener {
    /// Whether the hub is about to end. If not, this task is woken then: it has to be the same one each time.
    pub(crate) fn hears(&mut self, context: &Context<'_>) -> bool {
        let Stopping { is_set, listeners } = &*self.stopping;
        if self.number == 0 && !is_set.load(Ordering::Acquire) {
            let mut listeners = lock(listeners);
            listeners.last += 1;
            self.number = listeners.last;
            listeners.wakers.insert(self.number, context.waker().clone());
        }
        // Whoever set it before the lock was taken is seen here; whoever does so later finds the waker.
        is_set.load(Ordering::Acquire)
    }

    /// Ready when the hub is about to end.
    pub(crate) async fn wait(mut self) {
        poll_fn(|context| match self.hears(context) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }
}

impl Drop for StopListener {
    fn drop(&mut self) {
        if self.number != 0 {
            lock(&self.stopping.listeners).wakers.remove(&self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Wake;

    use super::*;

    /// Writes down who is woken.
    struct Woken(u32, Arc<Mutex<Vec<u32>>>);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            lock(&self.1).push(self.0);
        }
    }

    #[test]
    fn those_that_still_listen_are_woken_once_in_the_order_in_which_they_came() {
        let (stopping, woken) = (Arc::<Stopping>::default(), Arc::<Mutex<Vec<u32>>>::default());
        let wakers: Vec<_> = (0..20)
            .map(|number| Waker::from(Arc::new(Woken(number, Arc::clone(&woken)))))
            .collect();
        let mut listeners: Vec<_> = wakers.iter().map(|_| Arc::clone(&stopping).listener()).collect();
        for (listener, waker) in listeners.iter_mut().zip(&wakers).rev() {
            for _ in 0..2 {
                assert!(!listener.hears(&Context::from_waker(waker)));
            }
        }
        listeners.remove(7);
        let late = Arc::clone(&stopping).listener();
        stopping.set();
        stopping.set();
        let order: Vec<_> = (0..20).rev().filter(|number| *number != 7).collect();
        assert_eq!(*lock(&woken), order);
        assert!(
            listeners
                .iter_mut()
                .all(|it| it.hears(&Context::from_waker(Waker::noop())))
        );
        drop((listeners, late));
        assert!(lock(&stopping.listeners).wakers.is_empty());
    }
}
