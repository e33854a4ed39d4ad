//! A few connections that read, each lent to one caller at a time.

use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

use tim_store::StoreError;

use super::damage::damaged;
use super::db::{self, Connection, Error};
use super::errors::plain_error;
use super::session::Place;

/// The most connections. Further readers wait for one.
const MAX_READERS: usize = 12;
/// The beginning of a reading of one moment.
const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

pub(super) struct Pool {
    place: Place,
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

/// Why a reading has failed.
enum Failure {
    /// A part of the store is damaged.
    Damaged(StoreError),
    Other(StoreError),
    /// The connection was lost. Another one may do.
    Lost(StoreError),
}

impl Pool {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            state: Mutex::default(),
            returned: Condvar::new(),
            callback: OnceLock::new(),
        }
    }

    /// Runs `work` on one snapshot; once more on a new connection if one that has waited here is lost.
    pub(super) fn read<T>(
        &self,
        mut work: impl FnMut(&Connection) -> db::Result<T>,
    ) -> Result<T, StoreError> {
        self.try_twice(|db| {
            // What the reading before has left.
            db.settle()?;
            db.send(SNAPSHOT);
            let found = work(db);
            match &found {
                // The next reading finds its errors, which change nothing of what was read.
                Ok(_) => {
                    db.send("COMMIT");
                    db.flush();
                }
                Err(_) if db.is_lost() => {}
                // If that fails, the connection is lost.
                Err(_) => drop(db.roll_back()),
            }
            found
        })
    }

    /// The same for one statement, which needs no transaction.
    pub(super) fn read_one<T>(
        &self,
        work: impl FnMut(&Connection) -> db::Result<T>,
    ) -> Result<T, StoreError> {
        self.try_twice(work)
    }

    fn try_twice<T>(&self, mut work: impl FnMut(&Connection) -> db::Result<T>) -> Result<T, StoreError> {
        let first = self.lend(&mut work);
        let second = match first {
            Err(Failure::Lost(_)) => self.lend(&mut work),
            other => other,
        };
        second.map_err(|failure| match failure {
            Failure::Damaged(error) => error,
            Failure::Other(error) | Failure::Lost(error) => self.report(error),
        })
    }

    fn lend<T>(&self, work: &mut impl FnMut(&Connection) -> db::Result<T>) -> Result<T, Failure> {
        let lent = self.borrow();
        let lent = lent.map_err(Failure::Other)?;
        let Some(db) = &lent.connection else {
            return Err(Failure::Other(plain_error(&Error::NoRow)));
        };
        let found = work(db);
        found.map_err(|error| match damaged(db, &error) {
            _ if db.is_lost() => {
                // The others have waited as long.
                self.state().idle.clear();
                Failure::Lost(plain_error(&error))
            }
            Some(damaged) => Failure::Damaged(damaged),
            None => Failure::Other(plain_error(&error)),
        })
    }

    /// Registers the callback for fatal errors. Only the first registration counts.
    pub(super) fn on_fatal(&self, callback: FatalCallback) {
        let _ = self.callback.set(callback);
    }

    /// Calls the callback if the error is fatal.
    fn report(&self, error: StoreError) -> StoreError {
        if let (StoreError::Fatal(_), Some(callback)) = (&error, self.callback.get()) {
            callback(&error);
        }
        error
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn borrow(&self) -> Result<Lent<'_>, StoreError> {
        let mut state = self.state();
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
            lent.connection = Some(self.place.session().map_err(super::errors::not_opened)?);
        }
        Ok(lent)
    }
}

struct Lent<'a> {
    pool: &'a Pool,
    connection: Option<Connection>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let connection = self.connection.take().filter(|db| !db.is_lost());
        let mut state = self.pool.state();
        state.lent = state.lent.saturating_sub(1);
        state.idle.extend(connection);
        drop(state);
        self.pool.returned.notify_one();
    }
}
