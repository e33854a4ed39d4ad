//! Wakeups of connections, made together.
//!
//! A commit has many messages for the same devices, and answers for the same senders. A connection that was woken for the first
//! of them would send it alone, and be woken again for the next. So whoever hands out several things does it in [`together`]:
//! each connection is woken once, behind all of them. Nothing else changes: what is in a mailbox stays there in its order, and
//! a connection that runs meanwhile takes what it finds. A mailbox that fills up is a reason to wake at once.

use std::cell::RefCell;
use std::task::Waker;

/// How many connections are left asleep at most: the first of a large group need not wait for the last.
const MAX_ASLEEP: usize = 256;
/// How many things are handed out at most before connections are woken.
const MAX_HANDED_OUT: usize = 4096;

thread_local! {
    static COLLECTED: RefCell<Option<Collected>> = const { RefCell::new(None) };
}

/// The connections that this thread is to wake.
struct Collected {
    wakers: Vec<Waker>,
    handed_out: usize,
}

/// Runs `work`, and wakes the connections behind it that it has handed something to; those of many, in parts.
pub(crate) fn together<T>(work: impl FnOnce() -> T) -> T {
    /// Also if `work` panics.
    struct WakeOnDrop;
    impl Drop for WakeOnDrop {
        fn drop(&mut self) {
            let collected = COLLECTED.with(|collected| collected.borrow_mut().take());
            collected
                .into_iter()
                .flat_map(|collected| collected.wakers)
                .for_each(Waker::wake);
        }
    }
    let is_within = COLLECTED.with(|collected| {
        let mut collected = collected.borrow_mut();
        let is_within = collected.is_some();
        collected.get_or_insert(Collected {
            wakers: Vec::new(),
            handed_out: 0,
        });
        is_within
    });
    // The outer one wakes.
    let _wake = (!is_within).then(|| WakeOnDrop);
    work()
}

/// Wakes the connections that were left asleep so far.
pub(crate) fn wake_now() {
    let due = COLLECTED.with(|collected| {
        let mut collected = collected.borrow_mut();
        collected
            .as_mut()
            .map(|collected| std::mem::take(&mut collected.wakers))
    });
    due.into_iter().flatten().for_each(Waker::wake);
}

/// Something was handed to a connection, which is to be woken if it sleeps.
pub(crate) fn wake(waker: Option<Waker>) {
    let due = COLLECTED.with(|collected| match &mut *collected.borrow_mut() {
        Some(collected) => {
            collected.handed_out += 1;
            collected.wakers.extend(waker);
            let is_enough = collected.wakers.len() >= MAX_ASLEEP || collected.handed_out >= MAX_HANDED_OUT;
            if !is_enough {
                return Vec::new();
            }
            collected.handed_out = 0;
            std::mem::take(&mut collected.wakers)
        }
        None => Vec::from_iter(waker),
    });
    due.into_iter().for_each(Waker::wake);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Woken {
        fn times(&self) -> usize {
            self.0.load(Ordering::SeqCst)
        }
    }

    fn connection() -> (Arc<Woken>, Waker) {
        let woken = Arc::<Woken>::default();
        (Arc::clone(&woken), Waker::from(woken))
    }

    #[test]
    fn connections_are_woken_at_once_or_together_behind_the_work() {
        let ((one, first), (other, second)) = (connection(), connection());
        wake(Some(first.clone()));
        assert_eq!(one.times(), 1);
        together(|| {
            together(|| wake(Some(first.clone())));
            wake(None);
            wake(Some(second));
            assert_eq!((one.times(), other.times()), (1, 0));
        });
        assert_eq!((one.times(), other.times()), (2, 1));
        wake(Some(first));
        assert_eq!(one.times(), 3);
    }

    #[test]
    fn nobody_sleeps_on_after_a_panic() {
        let (woken, waker) = connection();
        let panics = || {
            together(|| {
                wake(Some(waker));
                panic!("on purpose");
            })
        };
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
        assert_eq!(woken.times(), 1);
    }

    #[test]
    fn the_first_of_many_do_not_wait_for_the_last() {
        let (woken, waker) = connection();
        together(|| {
            for _ in 1..MAX_ASLEEP {
                wake(Some(waker.clone()));
            }
            assert_eq!(woken.times(), 0);
            wake(Some(waker.clone()));
            assert_eq!(woken.times(), MAX_ASLEEP);
            wake(Some(waker));
            for _ in 1..MAX_HANDED_OUT {
                wake(None);
            }
            assert_eq!(woken.times(), MAX_ASLEEP + 1);
        });
        assert_eq!(woken.times(), MAX_ASLEEP + 1);
    }
}
