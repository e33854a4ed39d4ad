//! What the store counts, and how large its files are.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tim_store::StoreStats;
use tim_store::measure::Histogram;

use super::pool::Pool;
use super::rows::unsigned;
use super::{beside, log};

/// For how long a count of the files is good: it reads all of their rows.
const FILES_LIFE: Duration = Duration::from_secs(60);

/// What is counted from the opening on.
#[derive(Debug)]
pub(super) struct Counts {
    pub(super) syncs_us: Histogram,
    pub(super) generations: AtomicU64,
    files: Mutex<Option<(Instant, u64, u64)>>,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            syncs_us: Histogram::of_times(),
            generations: AtomicU64::new(0),
            files: Mutex::new(None),
        }
    }
}

impl Counts {
    /// With the sizes of the store whose database has this path.
    pub(super) fn stats(&self, path: &Path, pool: &Pool) -> StoreStats {
        let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        let mut stats = StoreStats::default();
        stats.database_bytes = bytes(path);
        stats.engine_log_bytes = bytes(&beside(path, "-wal"));
        stats.log_bytes = bytes(&path.with_file_name(log::LOG));
        stats.syncs_us = self.syncs_us.distribution();
        stats.generations = self.generations.load(Ordering::Relaxed);
        (stats.files, stats.file_bytes) = self.files(pool);
        stats
    }

    fn files(&self, pool: &Pool) -> (u64, u64) {
        // Two who ask at a time count once.
        let mut counted = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, files, bytes)) = *counted
            && at.elapsed() < FILES_LIFE
        {
            return (files, bytes);
        }
        let found = pool.read(|db| {
            db.prepare_cached("SELECT count(*), coalesce(sum(bytes), 0) FROM files")?
                .query_row([], |row| Ok((unsigned(row, 0)?, unsigned(row, 1)?)))
        });
        let (files, bytes) = found.unwrap_or_default();
        *counted = Some((Instant::now(), files, bytes));
        (files, bytes)
    }
}
