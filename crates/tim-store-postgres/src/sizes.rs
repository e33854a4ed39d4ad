//! How large the store is.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tim_store::StoreStats;

use super::pool::Pool;
use super::rows::unsigned;
use super::value::params;

/// For how long the sizes are good: they take a look at all tables, and at all rows of files.
const LIFE: Duration = Duration::from_secs(60);

/// The bytes of all tables; how many files there are, and their bytes.
#[derive(Debug, Default)]
pub(super) struct Sizes(Mutex<Option<(Instant, [u64; 3])>>);

impl Sizes {
    pub(super) fn stats(&self, pool: &Pool) -> StoreStats {
        let mut stats = StoreStats::default();
        [stats.database_bytes, stats.files, stats.file_bytes] = self.look(pool);
        stats
    }

    fn look(&self, pool: &Pool) -> [u64; 3] {
        // Two who ask at a time look once.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, sizes)) = *known
            && at.elapsed() < LIFE
        {
            return sizes;
        }
        let found = pool.read_one(|db| {
            db.statement(
                "SELECT (SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c
                         WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace),
                     (SELECT count(*) FROM files), (SELECT coalesce(sum(bytes), 0)::bigint FROM files)",
            )?
            .query_row(params![], |row| {
                Ok([unsigned(row, 0)?, unsigned(row, 1)?, unsigned(row, 2)?])
            })
        });
        let sizes = found.unwrap_or_default();
        *known = Some((Instant::now(), sizes));
        sizes
    }
}
