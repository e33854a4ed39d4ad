//! What all clients together leave unread in the hub's memory, and its ceiling.
//!
//! Each connection reports what waits for its device whenever that has changed. Beyond the ceiling the largest debtors give up
//! theirs: what is in the log is read from it later.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// The shortest time between two searches for the largest debtors.
const SEARCH_INTERVAL_MS: u64 = 50;

/// The bytes that wait for all devices.
#[derive(Debug)]
pub(crate) struct Backlog {
    total: AtomicUsize,
    /// 0 is no limit.
    most: usize,
    searched_ms: AtomicU64,
}

impl Backlog {
    pub(crate) const fn new(most: usize) -> Self {
        Self {
            total: AtomicUsize::new(0),
            most,
            searched_ms: AtomicU64::new(0),
        }
    }

    /// So much waits for a device now, of which `noted` is what was reported last.
    pub(crate) fn report(&self, noted: &AtomicU32, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let before = noted.swap(bytes, Ordering::Relaxed);
        if before != bytes {
            // Wraps to the right sum whatever the order.
            let change = (bytes as usize).wrapping_sub(before as usize);
            self.total.fetch_add(change, Ordering::Relaxed);
        }
    }

    pub(crate) fn total(&self) -> usize {
        self.total.load(Ordering::Relaxed)
    }

    /// How many bytes have to be given up, if it is time to do something about it. Leaves an eighth free.
    pub(crate) fn excess(&self, now_ms: u64) -> Option<usize> {
        let total = self.total();
        if self.most == 0 || total <= self.most {
            return None;
        }
        let searched_ms = self.searched_ms.load(Ordering::Relaxed);
        let is_due = searched_ms == 0 || now_ms.abs_diff(searched_ms) >= SEARCH_INTERVAL_MS;
        let is_first = is_due
            && self
                .searched_ms
                .compare_exchange(searched_ms, now_ms.max(1), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        is_first.then(|| total - (self.most - self.most / 8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_waits_and_asks_for_what_is_too_much_once_in_a_while() {
        let backlog = Backlog::new(800);
        let (one, other) = (AtomicU32::new(0), AtomicU32::new(0));
        backlog.report(&one, 500);
        backlog.report(&other, 300);
        assert_eq!((backlog.total(), backlog.excess(10)), (800, None));
        backlog.report(&other, 400);
        assert_eq!((backlog.excess(10), backlog.excess(11)), (Some(200), None));
        assert_eq!(backlog.excess(60), Some(200));
        backlog.report(&one, 100);
        assert_eq!((backlog.total(), backlog.excess(200)), (500, None));
        backlog.report(&one, 0);
        backlog.report(&other, 0);
        assert_eq!(backlog.total(), 0);
        let unlimited = Backlog::new(0);
        unlimited.report(&one, usize::MAX / 2);
        assert_eq!(unlimited.excess(10), None);
    }
}
