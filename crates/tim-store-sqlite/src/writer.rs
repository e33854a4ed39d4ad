//! The writing end. A batch is one transaction.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, DropBehavior, ErrorCode, Transaction, TransactionBehavior};
use tim_proto::UserId;
use tim_proto::planted::{self, Fault};
use tim_store::{
    Commit, Entry, Epoch, Epochs, LogKey, MAX_BATCH, NotStored, Published, Refused, RosterChange, StoreError,
    StoreWriter, Write, Written,
};
use tracing::warn;

use super::lock::DirLock;
use super::recent::Newest;
use super::rows::{self, Head, number_of, sql, unsigned};
use super::sums::damaged;
use super::{BUSY_TIMEOUT, plain_error};
use super::{contents, epochs};

/// The one writing connection of a data directory.
pub struct SqliteWriter {
    connection: Connection,
    /// The newest change that is durable.
    change: u64,
    /// The id of the newest content.
    content: i64,
    /// The epoch of this opening, and the newest one in the database.
    epoch: Epoch,
    newest_epoch: Option<u64>,
    /// Whether contents were removed that may still be in the write-ahead log.
    wipe: bool,
    newest: Newest,
    _lock: Arc<DirLock>,
}

impl SqliteWriter {
    pub(super) fn new(connection: Connection, epochs: &Epochs, lock: Arc<DirLock>) -> rusqlite::Result<Self> {
        let change = connection.query_row("SELECT change FROM meta", [], |row| unsigned(row, 0))?;
        let newest_epoch = epochs::newest(&connection)?;
        let content = contents::newest(&connection)?;
        Ok(Self {
            connection,
            change,
            content,
            epoch: epochs.current().ok_or(rusqlite::Error::InvalidQuery)?,
            newest_epoch,
            // A hub that was killed may have left removed contents there.
            wipe: true,
            newest: Newest::default(),
            _lock: lock,
        })
    }

    /// Moves the write-ahead log into the database and truncates it, so that removed contents are not in it either. Returns whether
    /// that was done; it does not wait for readers.
    fn empty_the_log(&self) -> Result<bool, StoreError> {
        let cut = || {
            self.connection.busy_timeout(Duration::ZERO)?;
            let busy = self
                .connection
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
            // In any case: later writes wait for locks.
            self.connection.busy_timeout(BUSY_TIMEOUT)?;
            Ok(!busy?)
        };
        match cut().map_err(|error: rusqlite::Error| plain_error(&error)) {
            Err(StoreError::NotStored(reason)) => {
                // The batch is stored; the next purge tries again.
                warn!(%reason, "the write-ahead log cannot be emptied: removed contents stay in it");
                Ok(false)
            }
            cut => cut,
        }
    }

    #[cfg(test)]
    pub(super) const fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// Leaves everything in the database file, so that a copy of this file is complete.
impl Drop for SqliteWriter {
    fn drop(&mut self) {
        let checkpoint = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
        match checkpoint {
            Ok(false) => {}
            Ok(true) => warn!("the write-ahead log is still being read and stays beside the database"),
            Err(error) => warn!(%error, "the write-ahead log stays beside the database"),
        }
    }
}

impl std::fmt::Debug for SqliteWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteWriter")
            .field("change", &self.change)
            .finish_non_exhaustive()
    }
}

impl StoreWriter for SqliteWriter {
    fn commit(&mut self, now_ms: u64, batch: &[Write]) -> Result<Commit, StoreError> {
        if batch.len() > MAX_BATCH {
            return Err(StoreError::NotStored(NotStored::BatchTooLong));
        }
        if planted::is(Fault::AcknowledgeBeforeCommit) && !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("COMMIT");
        }
        let mut transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| plain_error(&error))?;
        // Two hubs on one database would assign the same change numbers to different entries.
        let newest_epoch = epochs::newest(&transaction).map_err(|error| plain_error(&error))?;
        if newest_epoch != self.newest_epoch {
            return Err(StoreError::Fatal(
                "another hub has written to this database; stop one of the two".to_owned(),
            ));
        }
        let mut work = Batch {
            db: &transaction,
            now_ms,
            change: self.change,
            content: self.content,
            published: Vec::new(),
            roster: None,
            revoked: None,
            wipe: false,
            // On an error nothing is known any more.
            newest: std::mem::take(&mut self.newest),
        };
        // On an error the transaction is dropped, which rolls it back.
        let results = work
            .apply_all(batch)
            .map_err(|error| damaged(&transaction, &error).unwrap_or_else(|| plain_error(&error)))?;
        let Batch {
            change,
            content,
            published,
            wipe,
            newest,
            ..
        } = work;
        let begins = change != self.change && newest_epoch != Some(self.epoch.id);
        if begins {
            epochs::insert(&transaction, &self.epoch).map_err(|error| plain_error(&error))?;
        }
        if planted::is(Fault::AcknowledgeBeforeCommit) {
            transaction.set_drop_behavior(DropBehavior::Ignore);
            drop(transaction);
        } else {
            transaction.commit().map_err(|error| commit_error(&error))?;
        }
        self.change = change;
        self.content = content;
        self.newest = newest;
        if begins {
            self.newest_epoch = Some(self.epoch.id);
        }
        self.wipe |= wipe;
        if self.wipe && batch.iter().any(|write| matches!(write, Write::Purge(_))) {
            self.wipe = !self.empty_the_log()?;
        }
        Ok(Commit { results, published })
    }
}

/// A COMMIT that failed before it wrote anything (busy, full) leaves the transaction open; dropping it rolls back. After any
/// other error the state of the disk is unknown, and repeating an fsync would hide that.
pub(super) fn commit_error(error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy) => plain_error(error),
        _ => StoreError::Fatal(error.to_string()),
    }
}

/// Why a write is not applied: refused by the rules, or failed in the engine.
pub(super) enum Stop {
    Refused(Refused),
    Engine(rusqlite::Error),
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Engine(error)
    }
}

/// A batch in progress. **Every write checks everything before it changes anything.** A refused write therefore leaves no trace,
/// without a savepoint.
pub(super) struct Batch<'a> {
    pub(super) db: &'a Transaction<'a>,
    pub(super) now_ms: u64,
    pub(super) change: u64,
    /// The id of the newest content.
    pub(super) content: i64,
    pub(super) published: Vec<Published>,
    /// The roster change to publish with the next entry.
    pub(super) roster: Option<Box<RosterChange>>,
    /// The message that the next entry revokes.
    pub(super) revoked: Option<Box<Entry>>,
    /// Whether content was removed.
    pub(super) wipe: bool,
    /// Conversations in whose appends no order changes.
    pub(super) newest: Newest,
}

impl Batch<'_> {
    fn apply_all(&mut self, batch: &[Write]) -> rusqlite::Result<Vec<Result<Written, Refused>>> {
        let before = self.change;
        let mut results = Vec::with_capacity(batch.len());
        for write in batch {
            let rows = self.db.total_changes();
            results.push(match self.apply(write) {
                Ok(written) => Ok(written),
                Err(Stop::Refused(refused)) => Err(refused),
                // The other writes have nothing to do with it.
                Err(Stop::Engine(error))
                    if self.db.total_changes() == rows && damaged(self.db, &error).is_some() =>
                {
                    if let Some(error) = damaged(self.db, &error) {
                        warn!(%error, "a write is refused");
                    }
                    Err(Refused::Damaged)
                }
                Err(Stop::Engine(error)) => return Err(error),
            });
        }
        if self.change != before {
            self.db
                .prepare_cached("UPDATE meta SET change = ?1, time_ms = ?2")?
                .execute([sql(self.change), sql(self.now_ms)])?;
        }
        Ok(results)
    }

    fn apply(&mut self, write: &Write) -> Result<Written, Stop> {
        match write {
            Write::EnsureAccount(user) => self.ensure_account(user),
            Write::EnsureAccounts(users) => self.ensure_accounts(users),
            Write::WithAccounts { users, write } => {
                self.ensure_accounts(users)?;
                self.apply(write)
            }
            Write::Append(append) => self.append(append),
            Write::AppendSystem { log, entry } => self.append_system(log, entry),
            Write::Revoke(revoke) => self.revoke(revoke),
            Write::MarkRead { user, log, upto } => self.mark_read(user, log, *upto),
            Write::DeleteConversation { user, log } => self.delete_conversation(user, log),
            Write::CreateGroup(group) => self.create_group(group),
            Write::ChangeGroup(command) => self.change_group(command),
            Write::Purge(purge) => self.purge(purge),
            Write::SetUserProfile { user, nick, avatar } => {
                self.set_user_profile(user, nick.as_deref(), avatar.as_deref())
            }
        }
    }

    fn ensure_account(&self, user: &UserId) -> Result<Written, Stop> {
        if *user == UserId::SYSTEM {
            return Err(Refused::ReservedUser(*user).into());
        }
        let id = match rows::user_id(self.db, user)? {
            Some(id) => id,
            None => self
                .db
                .prepare_cached("INSERT INTO users (name) VALUES (?1)")?
                .insert([user.as_str()])?,
        };
        Ok(Written::Account {
            number: number_of(id),
        })
    }

    fn ensure_accounts(&self, users: &[UserId]) -> Result<Written, Stop> {
        if users.contains(&UserId::SYSTEM) {
            return Err(Refused::ReservedUser(UserId::SYSTEM).into());
        }
        for user in users {
            self.ensure_account(user)?;
        }
        Ok(Written::Done)
    }

    fn set_user_profile(
        &self,
        user: &UserId,
        nick: Option<&str>,
        avatar: Option<&str>,
    ) -> Result<Written, Stop> {
        let id = self.user(user)?;
        self.db
            .prepare_cached(
                "UPDATE users SET nick = coalesce(?2, nick), avatar = coalesce(?3, avatar) WHERE id = ?1",
            )?
            .execute((id, nick, avatar))?;
        Ok(Written::Done)
    }

    /// An existing user other than the system.
    pub(super) fn user(&self, user: &UserId) -> Result<i64, Stop> {
        if *user == UserId::SYSTEM {
            return Err(Refused::ReservedUser(*user).into());
        }
        self.sender(user)
    }

    /// An existing user, or the system.
    pub(super) fn sender(&self, user: &UserId) -> Result<i64, Stop> {
        rows::user_id(self.db, user)?.ok_or_else(|| Refused::NoSuchUser(*user).into())
    }

    /// An existing log.
    pub(super) fn head(&self, log: &LogKey) -> Result<Head, Stop> {
        Head::find(self.db, log)?.ok_or_else(|| match log {
            LogKey::Group(group) => Refused::NoSuchGroup(*group).into(),
            LogKey::C2c(_) | LogKey::System(_) => Refused::NoSuchConversation.into(),
        })
    }
}
