//! The writing end.

use std::time::Duration;

use tim_store::{Commit, Epoch, MAX_BATCH, NotStored, Published, StoreError, StoreWriter, Write};
use tracing::{info, warn};

use super::batch::Batch;
use super::db::{CommitError, Connection, Error};
use super::errors::{commit_error, not_opened, plain_error};
use super::known::Known;
use super::purge::LastId;
use super::recent::Newest;
use super::rows::{sql, unsigned};
use super::session::{Holder, Place, take_lock};
use super::usage::Usage;
use super::value::params;
use super::{OpenError, epochs};

/// For how long a COMMIT is waited for. It waits for a standby that confirms it; without one, longer.
pub(super) const COMMIT_TIME: Duration = Duration::from_secs(15);

/// The writing end of a store.
pub struct PostgresWriter {
    place: Place,
    /// `None` while the connection is lost.
    session: Option<Connection>,
    /// The newest session.
    holder: Holder,
    /// The epoch of this opening, and whether it is in the database.
    epoch: Epoch,
    is_begun: bool,
    /// The newest epoch before it.
    epoch_before: Option<i64>,
    /// The newest change that is known to be stored.
    change: u64,
    /// Whether a batch may have been stored after it.
    is_unknown: bool,
    memory: Memory,
    /// Why nothing more is written.
    failed: Option<String>,
}

/// What is known without asking the database. On an error nothing is known any more.
#[derive(Debug, Default)]
struct Memory {
    newest: Newest,
    known: Known,
    usage: Usage,
    last_id: Option<LastId>,
}

impl PostgresWriter {
    pub(super) fn new(
        place: Place,
        session: Connection,
        holder: Holder,
        epoch: Epoch,
        epoch_before: Option<i64>,
    ) -> Self {
        Self {
            place,
            session: Some(session),
            holder,
            change: epoch.first,
            epoch,
            is_begun: false,
            epoch_before,
            is_unknown: false,
            memory: Memory::default(),
            failed: None,
        }
    }

    /// A session that has the lock.
    fn session(&mut self) -> Result<Connection, StoreError> {
        if let Some(session) = self.session.take().filter(|session| !session.is_lost()) {
            return Ok(session);
        }
        self.memory = Memory::default();
        let opened = self.place.session().and_then(|session| {
            let holder = take_lock(&session, &self.place, Some(&self.holder))?;
            Ok((session, holder))
        });
        match opened {
            Ok((session, holder)) => {
                info!(database = %self.place.name(), "the connection to the database is back");
                self.holder = holder;
                Ok(session)
            }
            Err(error @ OpenError::InUse { .. }) => Err(StoreError::Fatal(format!(
                "{error}; it took over when the connection to the database was lost"
            ))),
            Err(error) => Err(not_opened(error)),
        }
    }

    /// Begins a transaction, and waits for that of a lost connection to end. Returns the newest change.
    fn begin(&self, db: &Connection) -> Result<u64, StoreError> {
        db.send("BEGIN");
        let found = db
            .statement("SELECT change, epoch FROM meta WHERE id = 0 FOR UPDATE")
            .and_then(|statement| statement.query_row(params![], |row| Ok((unsigned(row, 0)?, row.get(1)?))));
        let (change, epoch): (u64, Option<i64>) = found.map_err(|error| plain_error(&error))?;
        let own = Some(sql(self.epoch.id));
        let is_own = epoch == own || (!self.is_begun && epoch == self.epoch_before);
        if !is_own && epoch > own {
            return Err(StoreError::Fatal(
                "another hub has written to this database; stop one of the two".to_owned(),
            ));
        }
        if !is_own || change < self.change {
            return Err(StoreError::Fatal(format!(
                "the database has lost acknowledged changes: it ends with {change}, and {} was stored; it was restored from an older copy, \
                 or failed over to a standby that is not synchronous",
                self.change
            )));
        }
        if change != self.change && !self.is_unknown {
            return Err(StoreError::Fatal(
                "another program has written to this database".to_owned(),
            ));
        }
        Ok(change)
    }

    fn write(&mut self, db: &Connection, now_ms: u64, batch: &[Write]) -> Result<Commit, StoreError> {
        let before = self.begin(db)?;
        let memory = std::mem::take(&mut self.memory);
        let mut work = Batch {
            db,
            now_ms,
            change: before,
            published: Vec::new(),
            roster: None,
            revoked: None,
            newest: memory.newest,
            known: memory.known,
            usage: memory.usage,
            last_id: memory.last_id,
        };
        let results = work
            .apply_all(batch, before)
            .map_err(|error| plain_error(&error))?;
        let is_changed = work.change != before;
        let begins = is_changed && !self.is_begun;
        let applied = (|| {
            work.usage.write(db)?;
            match begins {
                true => epochs::insert(db, &self.epoch),
                false => Ok(()),
            }
        })();
        applied.map_err(|error: Error| plain_error(&error))?;
        match db.commit(COMMIT_TIME) {
            Ok(()) => {}
            Err(CommitError::Before(error)) => return Err(plain_error(&error)),
            Err(CommitError::During(error)) => {
                let error = commit_error(&error);
                self.is_unknown |= matches!(error, StoreError::Unknown(_));
                return Err(error);
            }
        }
        (self.change, self.is_unknown) = (work.change, false);
        self.is_begun |= is_changed;
        let published: Vec<Published> = work.published;
        self.memory = Memory {
            newest: work.newest,
            known: work.known,
            usage: work.usage,
            last_id: work.last_id,
        };
        Ok(Commit { results, published })
    }
}

impl StoreWriter for PostgresWriter {
    fn commit(&mut self, now_ms: u64, batch: &[Write]) -> Result<Commit, StoreError> {
        if batch.len() > MAX_BATCH {
            return Err(StoreError::NotStored(NotStored::BatchTooLong));
        }
        if let Some(why) = &self.failed {
            return Err(StoreError::Fatal(why.clone()));
        }
        let session = self.session();
        let done = session.and_then(|db| {
            let done = self.write(&db, now_ms, batch);
            // Whatever was not stored is taken back. After an unknown end the server ends the session by itself.
            let is_usable = match &done {
                Ok(_) => !db.is_lost(),
                Err(StoreError::NotStored(_)) => !db.is_lost() && db.roll_back().is_ok(),
                Err(_) => false,
            };
            if is_usable {
                self.session = Some(db);
            }
            done
        });
        if let Err(error) = &done {
            self.memory = Memory::default();
            if let StoreError::Fatal(why) = error {
                self.failed = Some(why.clone());
            }
        }
        done
    }
}

/// Gives the lock back, so that the next hub need not wait until the server notices.
impl Drop for PostgresWriter {
    fn drop(&mut self) {
        let Some(session) = self.session.take().filter(|session| !session.is_lost()) else {
            return;
        };
        if let Err(error) = session.batch("SELECT pg_advisory_unlock_all()") {
            warn!(%error, "the lock of the store stays until the database notices that this hub has gone");
        }
    }
}

impl std::fmt::Debug for PostgresWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresWriter")
            .field("change", &self.change)
            .finish_non_exhaustive()
    }
}
