//! What catching-up devices keep between two readings of the log, under a ceiling for all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tim_store::Merge;

/// The most positions that are kept for all devices, 24 bytes each.
const MAX_POSITIONS: usize = 1_000_000;
/// How many a device keeps beyond that: enough for a few windows.
const FEW: usize = 256;

/// The most bytes of entries that wait for windows, of all devices. Beyond that they are read again.
const MAX_BYTES: usize = 32 << 20;

/// How much is kept.
#[derive(Debug, Default)]
pub(crate) struct Merges {
    positions: AtomicUsize,
    bytes: AtomicUsize,
}

impl Merges {
    /// Holds so many bytes; `None` if all devices hold too many.
    pub(crate) fn hold(self: &Arc<Self>, bytes: usize) -> Option<HeldBytes> {
        let held = HeldBytes {
            bytes,
            merges: Arc::clone(self),
        };
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        (before.saturating_add(bytes) <= MAX_BYTES).then_some(held)
    }
}

/// Bytes of entries that wait for a device's window.
#[derive(Debug)]
pub(crate) struct HeldBytes {
    bytes: usize,
    merges: Arc<Merges>,
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.merges.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A device's merge.
#[derive(Debug)]
pub(crate) struct HeldMerge {
    pub(crate) merge: Merge,
    counted: usize,
    merges: Arc<Merges>,
}

impl HeldMerge {
    pub(crate) fn new(merges: &Arc<Merges>) -> Self {
        Self {
            merge: Merge::default(),
            counted: 0,
            merges: Arc::clone(merges),
        }
    }

    /// A reading is over: counts what it has left, and forgets most of it if all devices keep too much.
    pub(crate) fn count(&mut self) {
        self.count_as(self.merge.len());
        if self.merges.positions.load(Ordering::Relaxed) > MAX_POSITIONS {
            self.merge.limit(FEW);
            self.count_as(self.merge.len());
        }
    }

    fn count_as(&mut self, positions: usize) {
        let total = &self.merges.positions;
        // Added before anything is subtracted, so that the number is never too small.
        total.fetch_add(positions, Ordering::Relaxed);
        total.fetch_sub(self.counted, Ordering::Relaxed);
        self.counted = positions;
    }
}

impl Drop for HeldMerge {
    fn drop(&mut self) {
        self.count_as(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tim_store::Position;

    fn fill(held: &mut HeldMerge, positions: usize) {
        held.merge = Merge::new(0, u64::MAX);
        for change in 1..=positions as u64 {
            held.merge.push(Position {
                change,
                log: change,
                sequence: 1,
            });
        }
        held.count();
    }

    #[test]
    fn what_all_devices_keep_has_a_ceiling_and_is_given_back() {
        let merges = Arc::new(Merges::default());
        let [mut first, mut second] = [(); 2].map(|()| HeldMerge::new(&merges));
        fill(&mut first, MAX_POSITIONS - 100);
        assert_eq!(first.merge.len(), MAX_POSITIONS - 100);
        fill(&mut second, 1_000);
        assert_eq!((second.merge.len(), second.merge.upto()), (FEW, FEW as u64));
        assert_eq!(
            merges.positions.load(Ordering::Relaxed),
            MAX_POSITIONS - 100 + FEW
        );
        drop(first);
        fill(&mut second, 1_000);
        assert_eq!(second.merge.len(), 1_000);
        drop(second);
        assert_eq!(merges.positions.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_waits_for_windows_has_a_ceiling_and_is_given_back() {
        let merges = Arc::new(Merges::default());
        let most = merges.hold(MAX_BYTES);
        assert!(most.is_some());
        assert!(merges.hold(1).is_none());
        drop(most);
        assert!(merges.hold(1).is_some());
        assert_eq!(merges.bytes.load(Ordering::Relaxed), 0);
    }
}
