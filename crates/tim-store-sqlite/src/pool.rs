//! A few read-only connections, each lent to one caller at a time.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

use rusqlite::Connection;
use tim_store::StoreError;

use super::sums::damaged;
use super::{open_reader, plain_error};

/// The most connections. Further readers wait for one.
const MAX_READERS: usize = 16;

pub(super) struct Pool {
    path: PathBuf,
    state: Mutex<State>,
    returned: Condvar,
    callback: OnceLock<FatalCallback>,
}

/// The callback for fatal errors.
type FatalCallback = Box<dyn Fn(&StoreError) + Send + Sync>;

#[derive(Default)]
struct State {
    idle: Vec<Connection>,
    lent: usize,
}

impl Pool {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            state: Mutex::default(),
            returned: Condvar::new(),
            callback: OnceLock::new(),
        }
    }

    /// The path of the database.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` on one snapshot.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let lent = self.borrow().map_err(|error| self.failed(&error))?;
        let snapshot = lent.connection().and_then(|connection| {
            let snapshot = connection.unchecked_transaction()?;
            Ok(work(&snapshot).map_err(|error| damaged(&snapshot, &error).ok_or(error)))
        });
        match snapshot.map_err(|error| self.failed(&error))? {
            Ok(found) => Ok(found),
            Err(Ok(damaged)) => Err(damaged),
            Err(Err(error)) => Err(self.failed(&error)),
        }
    }

    /// As [`read`](Self::read), on the writing connection.
    pub(super) fn read_on<T>(
        &self,
        connection: &Connection,
        found: rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        found.map_err(|error| damaged(connection, &error).unwrap_or_else(|| self.failed(&error)))
    }

    /// Registers the callback for fatal errors. Only the first registration counts.
    pub(super) fn on_fatal(&self, callback: FatalCallback) {
        let _ = self.callback.set(callback);
    }

    fn failed(&self, error: &rusqlite::Error) -> StoreError {
        self.report(plain_error(error))
    }

    /// Calls the callback if the error is fatal.
    pub(super) fn report(&self, error: StoreError) -> StoreError {
        if let (StoreError::Fatal(_), Some(callback)) = (&error, self.callback.get()) {
            callback(&error);
        }
        error
    }

    fn borrow(&self) -> rusqlite::Result<Lent<'_>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.idle.is_empty() && state.lent >= MAX_READERS {
            state = self.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.lent += 1;
        let idle = state.idle.pop();
        drop(state);
        // From here on dropping `Lent` lets the next one borrow, even if opening fails.
        let mut lent = Lent {
            pool: self,
            connection: idle,
        };
        if lent.connection.is_none() {
            lent.connection = Some(open_reader(&self.path)?);
        }
        Ok(lent)
    }
}

struct Lent<'a> {
    pool: &'a Pool,
    connection: Option<Connection>,
}

impl Lent<'_> {
    fn connection(&self) -> rusqlite::Result<&Connection> {
        self.connection.as_ref().ok_or(rusqlite::Error::InvalidQuery)
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.lent = state.lent.saturating_sub(1);
        state.idle.extend(self.connection.take());
        drop(state);
        self.pool.returned.notify_one();
    }
}
