//! Reads of the store, which block on the disk, and the [pool](crate::pool) that does them.
//!
//! Work that reads the store is handed to [`Reads::run`]; its result arrives through a channel. A connection has at most a few jobs
//! under way, which bounds the queue.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use tim_groups::tips::UserNames;
use tim_proto::UserId;
use tim_store::{StoreError, StoreReader};
use tokio::sync::oneshot;

use crate::pool::{Pool, PoolSize, SteppedJobs};
use crate::threads::may_block;
use crate::worker::Workplace;

/// As many jobs at a time as the SQLite engine lends readers.
const SIZE: PoolSize = PoolSize {
    workers: 16,
    of_user: 2,
};

/// The store's reader, and what runs the reads.
#[derive(Clone)]
pub(crate) struct Reads {
    store: Arc<dyn StoreReader>,
    pool: Pool,
}

impl Reads {
    pub(crate) fn new(store: Arc<dyn StoreReader>, workplace: &Workplace) -> Self {
        let pool = Pool::new(workplace, SIZE);
        Self { store, pool }
    }

    /// What waits in a stepped hub.
    pub(crate) fn stepped(&self) -> Option<Weak<SteppedJobs>> {
        self.pool.stepped()
    }

    /// The pool of the reads.
    pub(crate) const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The store, for work that [`Reads::run`] runs and for the hub's own threads.
    pub(crate) fn store(&self) -> &dyn StoreReader {
        debug_assert!(may_block(), "the store is read on an executor's thread");
        &*self.store
    }

    /// The names of these users, for tips.
    pub(crate) fn name_book(&self, users: &[UserId]) -> Result<BTreeMap<UserId, UserNames>, StoreError> {
        let accounts = self.store().accounts(users)?.into_iter();
        Ok(accounts.map(|account| (account.user, account.into())).collect())
    }

    /// Whether jobs are running or waiting.
    pub(crate) fn is_busy(&self) -> bool {
        self.pool.is_busy()
    }

    /// Runs `work` of this user on the pool: see [`Pool::run`].
    pub(crate) fn run<T: Send + 'static>(
        &self,
        user: UserId,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> oneshot::Receiver<T> {
        self.pool.run(user, work)
    }

    /// Runs `work`, which answers by itself, on the pool: for this user, or for the hub itself.
    pub(crate) fn run_detached(&self, user: Option<UserId>, work: impl FnOnce() + Send + 'static) {
        self.pool.run_detached(user, work);
    }
}
