//! The writing end, and a batch in progress.

use std::sync::Arc;

use rusqlite::{Connection, ErrorCode};
use tim_proto::UserId;
use tim_store::{
    Commit, Entry, LogKey, MAX_BATCH, NotStored, Published, Refused, RosterChange, StoreError, StoreWriter,
    Write, Written,
};
use tracing::warn;

use super::known::Known;
use super::lock::DirLock;
use super::log::record::is_logged;
use super::maybe_sent::MaybeSent;
use super::plain_error;
use super::purge::LastId;
use super::recent::Newest;
use super::rows::{Head, sql};
use super::shared::Shared;
use super::statements::Statements;
use super::sums::damaged;
use super::unwritten::Unwritten;
use super::usage::Usage;

/// The writing end of a data directory.
pub struct SqliteWriter {
    shared: Arc<Shared>,
    lock: Arc<DirLock>,
}

impl SqliteWriter {
    pub(super) const fn new(shared: Arc<Shared>, lock: Arc<DirLock>) -> Self {
        Self { shared, lock }
    }

    #[cfg(test)]
    pub(super) fn connection(&self) -> super::database::tests::Writing<'_> {
        super::database::tests::Writing(self.shared.database())
    }

    #[cfg(test)]
    pub(super) fn turn(&self) -> super::shared::Turn<'_> {
        self.shared.database()
    }

    #[cfg(test)]
    pub(super) fn with_log(&self, change: impl FnOnce(&mut super::log::Log)) {
        change(self.shared.database().database.as_mut().unwrap().log());
    }

    /// Commits the generation in progress.
    #[cfg(test)]
    pub(super) fn end_generation(&self) {
        let mut turn = self.shared.database();
        turn.database.as_mut().unwrap().end(&self.shared).unwrap();
    }
}

/// Leaves everything in the database file, so that a copy of this file is complete.
impl Drop for SqliteWriter {
    fn drop(&mut self) {
        let mut turn = self.shared.database();
        if let Some(mut database) = turn.database.take() {
            database.close(&self.shared, &self.lock);
        }
    }
}

impl std::fmt::Debug for SqliteWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteWriter")
            .field("change", &self.shared.change())
            .finish_non_exhaustive()
    }
}

impl StoreWriter for SqliteWriter {
    fn commit(&mut self, now_ms: u64, batch: &[Write]) -> Result<Commit, StoreError> {
        if batch.len() > MAX_BATCH {
            return Err(StoreError::NotStored(NotStored::BatchTooLong));
        }
        let mut turn = self.shared.database();
        match turn.database.as_mut() {
            Some(database) => database.commit(&self.shared, now_ms, batch),
            None => Err(StoreError::Fatal("the store is closed".to_owned())),
        }
    }
}

/// Whether the write only appends an entry, maybe of a user who gets an account.
fn appends(write: &Write) -> bool {
    match write {
        Write::Append(_) | Write::AppendSystem { .. } => true,
        Write::WithAccounts { write, .. } => appends(write),
        _ => false,
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
    pub(super) db: &'a Connection,
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
    pub(super) known: Known,
    pub(super) unwritten: Unwritten,
    pub(super) usage: Usage,
    /// Up to where retention has looked at message ids in this round.
    pub(super) last_id: Option<LastId>,
    /// Which ids the table `sent` may have.
    pub(super) sent: MaybeSent,
    pub(super) statements: Statements<'a>,
    /// Which of the writes have changed something.
    pub(super) changed: Vec<bool>,
}

impl Batch<'_> {
    pub(super) fn apply_all(&mut self, batch: &[Write]) -> rusqlite::Result<Vec<Result<Written, Refused>>> {
        let before = self.change;
        let mut results = Vec::with_capacity(batch.len());
        for write in batch {
            if !appends(write) {
                self.unwritten.write(self.db)?;
            }
            let rows = self.db.total_changes();
            let applied = self.apply(write);
            self.changed.push(self.db.total_changes() != rows);
            #[cfg(test)]
            if super::unwritten_tests::AT_ONCE.get() {
                self.unwritten.write(self.db)?;
                (self.known, self.newest) = (Known::default(), Newest::default());
            }
            results.push(match applied {
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
        let written = self.apply_known(write);
        if matches!(
            write,
            Write::CreateGroup(_) | Write::ChangeGroup(_) | Write::ImportMessages(_) | Write::Purge(_)
        ) {
            // They change logs in other ways than by appending.
            self.known.forget_heads();
        }
        if !is_logged(write) {
            self.known.forget_senders();
        }
        written
    }

    fn apply_known(&mut self, write: &Write) -> Result<Written, Stop> {
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
            Write::ImportMessages(import) => self.import_messages(import),
            Write::SetUnread { user, group, unread } => self.set_group_unread(user, group, *unread),
            Write::Purge(purge) => self.purge(purge),
            Write::VoidUserSigs { user, before_s } => self.void_user_sigs(user, *before_s),
            Write::DeleteAccount { user, before_s } => self.delete_account(user, *before_s),
            Write::ChangeContacts(changes) => self.change_contacts(changes),
            Write::SetUserProfile { user, nick, avatar } => {
                self.set_user_profile(user, nick.as_deref(), avatar.as_deref())
            }
            Write::AddFile(add) => self.add_file(add),
            Write::ClaimFile { owner, file } => self.claim_file(owner, file),
            Write::RemoveFiles(step) => self.remove_files(step),
            Write::Block { user, is_blocked } => self.block(user, *is_blocked),
            Write::RegisterPush(register) => self.register_push(register),
            Write::UnregisterPush {
                user,
                platform,
                token,
                written,
                number,
            } => {
                let forms = [Some(token.as_str()), written.as_deref()];
                self.unregister_push(user, *platform, forms, *number)
            }
            Write::Pushed(users) => self.pushed(users),
        }
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
                "UPDATE users SET nick = coalesce(?2, nick), avatar = coalesce(?3, avatar), is_new = 0 WHERE id = ?1",
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
        self.known
            .user(self.db, user)?
            .ok_or_else(|| Refused::NoSuchUser(*user).into())
    }

    /// An existing log.
    pub(super) fn head(&self, log: &LogKey) -> Result<Head, Stop> {
        self.known.head(self.db, log)?.ok_or_else(|| match log {
            LogKey::Group(group) => Refused::NoSuchGroup(*group).into(),
            LogKey::C2c(_) | LogKey::System(_) => Refused::NoSuchConversation.into(),
        })
    }
}
