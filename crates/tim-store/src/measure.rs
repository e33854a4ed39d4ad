//! What a store and its writer count: numbers for whoever operates them. Counting takes no lock and no memory.

use std::sync::atomic::{AtomicU64, Ordering};

/// The most bounds of a [`Histogram`].
pub const MAX_BOUNDS: usize = 20;

/// Bounds for times, in microseconds: 100 µs to 10 s.
pub const TIMES_US: [u64; 16] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000,
];
/// Bounds for numbers of items in one batch.
pub const SIZES: [u64; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/// Counts values by the ranges that they fall into.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// One for each bound, of values up to it and above the one before; then one of those above all bounds.
    counts: [AtomicU64; MAX_BOUNDS + 1],
    sum: AtomicU64,
}

impl Histogram {
    /// With these bounds, which ascend. Those beyond [`MAX_BOUNDS`] are ignored.
    #[must_use]
    pub const fn new(bounds: &'static [u64]) -> Self {
        Self {
            bounds,
            counts: [const { AtomicU64::new(0) }; MAX_BOUNDS + 1],
            sum: AtomicU64::new(0),
        }
    }

    /// For [times](TIMES_US) in microseconds.
    #[must_use]
    pub const fn of_times() -> Self {
        Self::new(&TIMES_US)
    }

    /// Counts a value.
    pub fn observe(&self, value: u64) {
        let bounds = self.bounds.iter().take(MAX_BOUNDS);
        let range = bounds.take_while(|bound| value > **bound).count();
        if let Some(count) = self.counts.get(range) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// What has been counted.
    #[must_use]
    pub fn distribution(&self) -> Distribution {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let mut below = 0;
        let mut cumulative: Vec<u64> = counts
            .take(self.bounds.len().min(MAX_BOUNDS) + 1)
            .map(|count| {
                below += count;
                below
            })
            .collect();
        let count = cumulative.pop().unwrap_or_default();
        Distribution {
            buckets: self.bounds.iter().copied().zip(cumulative).collect(),
            count,
            sum: self.sum.load(Ordering::Relaxed),
        }
    }
}

/// What a [`Histogram`] has counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Distribution {
    /// The bounds, and how many values were not above each.
    pub buckets: Vec<(u64, u64)>,
    /// How many values there were.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
}

/// What a [`Writer`](super::Writer) has counted since it was started.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct WriterStats {
    /// How many writes wait now.
    pub waiting: usize,
    /// Writes that were applied, or changed nothing.
    pub written: u64,
    /// Writes that the store's rules refused.
    pub refused: u64,
    /// Writes for which the queue was full.
    pub overloaded: u64,
    /// Writes of batches that were not stored, or of which that is unknown.
    pub failed: u64,
    /// How many writes the batches had.
    pub batches: Distribution,
    /// How long their commits took, in microseconds.
    pub commits_us: Distribution,
    /// Why the last batch was not stored, unless one was stored since.
    pub failing: Option<String>,
}

/// What a store has counted since it was opened, and how large it is. A store that does not count says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct StoreStats {
    /// The bytes of the database.
    pub database_bytes: u64,
    /// The bytes that wait to be moved into the database, in the engine's own log.
    pub engine_log_bytes: u64,
    /// The bytes of the log in front of the database.
    pub log_bytes: u64,
    /// How long it took to make a batch durable in that log, in microseconds.
    pub syncs_us: Distribution,
    /// How often the database has committed what was in the log.
    pub generations: u64,
    /// How many files there are.
    pub files: u64,
    /// The bytes of these files, renditions of pictures included.
    pub file_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_at_below_and_above_each_bound() {
        let histogram = Histogram::new(&[10, 20]);
        for value in [0, 10, 11, 20, 21, 1000] {
            histogram.observe(value);
        }
        let found = histogram.distribution();
        assert_eq!(found.buckets, [(10, 2), (20, 4)]);
        assert_eq!((found.count, found.sum), (6, 1062));
        assert!(TIMES_US.is_sorted() && SIZES.is_sorted());
        assert!(TIMES_US.len() <= MAX_BOUNDS && SIZES.len() <= MAX_BOUNDS);
    }
}
