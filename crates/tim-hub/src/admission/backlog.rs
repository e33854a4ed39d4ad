//! What all clients together leave unread in the hub's memory, and its ceiling.
//!
//! Each connection reports what waits for its device whenever that has changed. Beyond the ceiling the largest debtors give up
//! theirs: what is in the log is read from it later. They are found among those for whom much waits, not among all.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::threads::lock;

/// The shortest time between two searches for the largest debtors.
const SEARCH_INTERVAL_MS: u64 = 50;
/// So many bytes make a debtor at the latest.
const MUCH: usize = 4 * 1024;

/// The bytes that wait for all devices `D`.
#[derive(Debug)]
pub(crate) struct Backlog<D> {
    total: AtomicUsize,
    /// 0 is no limit.
    most: usize,
    searched_ms: AtomicU64,
    /// Those for whom at least `much` waits, by address. What waits for all others is less than half of what may wait.
    debtors: Mutex<HashMap<usize, Arc<D>>>,
    much: u32,
}

impl<D> Backlog<D> {
    /// With a ceiling for so many devices.
    pub(crate) fn new(most: usize, devices: usize) -> Self {
        let share = most / devices.max(1).saturating_mul(2);
        Self {
            total: AtomicUsize::new(0),
            most,
            searched_ms: AtomicU64::new(0),
            debtors: Mutex::default(),
            much: share.clamp(1, MUCH) as u32,
        }
    }

    /// So much waits for a device now, of which `noted` is what was reported last. One caller at a time for each device, whose last
    /// report is 0.
    pub(crate) fn report(&self, device: &Arc<D>, noted: &AtomicU32, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let before = noted.swap(bytes, Ordering::Relaxed);
        if before == bytes {
            return;
        }
        // Wraps to the right sum whatever the order.
        let change = (bytes as usize).wrapping_sub(before as usize);
        self.total.fetch_add(change, Ordering::Relaxed);
        let is_much = |bytes| self.most > 0 && bytes >= self.much;
        match (is_much(before), is_much(bytes)) {
            (false, true) => _ = lock(&self.debtors).insert(address(device), Arc::clone(device)),
            (true, false) => _ = lock(&self.debtors).remove(&address(device)),
            _ => {}
        }
    }

    pub(crate) fn total(&self) -> usize {
        self.total.load(Ordering::Relaxed)
    }

    /// Those for whom much waits, in no particular order.
    pub(crate) fn debtors(&self) -> Vec<Arc<D>> {
        lock(&self.debtors).values().cloned().collect()
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

fn address<D>(device: &Arc<D>) -> usize {
    Arc::as_ptr(device).addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Device = Arc<AtomicU32>;

    fn report(backlog: &Backlog<AtomicU32>, device: &Device, bytes: usize) {
        backlog.report(device, device, bytes);
    }

    #[test]
    fn counts_what_waits_and_asks_for_what_is_too_much_once_in_a_while() {
        let backlog = Backlog::new(800, 2);
        let (one, other) = (Device::default(), Device::default());
        report(&backlog, &one, 500);
        report(&backlog, &other, 300);
        assert_eq!((backlog.total(), backlog.excess(10)), (800, None));
        report(&backlog, &other, 400);
        assert_eq!((backlog.excess(10), backlog.excess(11)), (Some(200), None));
        assert_eq!(backlog.excess(60), Some(200));
        report(&backlog, &one, 100);
        assert_eq!((backlog.total(), backlog.excess(200)), (500, None));
        report(&backlog, &one, 0);
        report(&backlog, &other, 0);
        assert_eq!(backlog.total(), 0);
        let unlimited = Backlog::new(0, 2);
        report(&unlimited, &one, usize::MAX / 2);
        assert_eq!((unlimited.excess(10), unlimited.debtors().len()), (None, 0));
    }

    #[test]
    fn only_those_for_whom_much_waits_are_looked_at_and_the_others_cannot_exceed_the_ceiling() {
        for (most, devices) in [
            (256 << 20, 20_000),
            (64 << 10, 20_000),
            (1 << 20, 100_000),
            (100, 1_000),
        ] {
            let backlog = Backlog::<()>::new(most, devices);
            assert!((backlog.much as usize - 1) * devices <= most / 2 || backlog.much == 1);
        }
        let backlog = Backlog::new(256 << 20, 20_000);
        let all: Vec<_> = (0..20_000).map(|_| Device::default()).collect();
        for device in &all {
            report(&backlog, device, MUCH - 1);
        }
        assert!(backlog.debtors().is_empty());
        report(&backlog, &all[7], MUCH);
        report(&backlog, &all[7], 2 * MUCH);
        report(&backlog, &all[9], 3 * MUCH);
        assert_eq!(backlog.debtors().len(), 2);
        report(&backlog, &all[9], MUCH - 1);
        assert!(Arc::ptr_eq(&backlog.debtors()[0], &all[7]));
        for device in &all {
            report(&backlog, device, 0);
        }
        assert_eq!((backlog.total(), backlog.debtors().len()), (0, 0));
        assert!(
            all.iter().all(|device| Arc::strong_count(device) == 1),
            "nobody is kept"
        );
    }
}
