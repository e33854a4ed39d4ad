//! A batch in progress.

use tim_proto::UserId;
use tim_store::{Entry, LogKey, Published, Refused, RosterChange, Write, Written};
use tracing::warn;

use super::damage::damaged;
use super::db::{self, Connection};
use super::known::Known;
use super::purge::LastId;
use super::recent::Newest;
use super::rows::{Head, sql};
use super::usage::Usage;
use super::value::params;

/// Why a write is not applied: refused by the rules, or failed in the engine.
pub(super) enum Stop {
    Refused(Refused),
    Engine(db::Error),
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<db::Error> for Stop {
    fn from(error: db::Error) -> Self {
        Self::Engine(error)
    }
}

/// A batch in progress. **Every write checks everything before it changes anything.** A refused write therefore leaves no trace,
/// without a savepoint.
pub(super) struct Batch<'a> {
    pub(super) db: &'a Connection,
    pub(super) now_ms: u64,
    pub(super) change: u64,
    pub(super) published: Vec<Published>,
    /// The roster change to publish with the next entry.
    pub(super) roster: Option<Box<RosterChange>>,
    /// The message that the next entry revokes.
    pub(super) revoked: Option<Box<Entry>>,
    /// Conversations in whose appends no order changes.
    pub(super) newest: Newest,
    pub(super) known: Known,
    pub(super) usage: Usage,
    /// Up to where retention has looked at message ids in this round.
    pub(super) last_id: Option<LastId>,
}

impl Batch<'_> {
    pub(super) fn apply_all(
        &mut self,
        batch: &[Write],
        before: u64,
    ) -> db::Result<Vec<Result<Written, Refused>>> {
        let mut results = Vec::with_capacity(batch.len());
        for write in batch {
            let changes = self.db.total_changes();
            results.push(match self.apply(write) {
                Ok(written) => Ok(written),
                Err(Stop::Refused(refused)) => Err(refused),
                // The other writes have nothing to do with it.
                Err(Stop::Engine(error)) if self.db.total_changes() == changes => {
                    let damaged = damaged(self.db, &error).ok_or(error)?;
                    warn!(error = %damaged, "a write is refused");
                    Err(Refused::Damaged)
                }
                Err(Stop::Engine(error)) => return Err(error),
            });
        }
        if self.change != before {
            self.db
                .statement("UPDATE meta SET change = ?1, time_ms = ?2 WHERE id = 0")?
                .run([sql(self.change), sql(self.now_ms)])?;
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
            .statement(
                "UPDATE users SET nick = coalesce(?2, nick), avatar = coalesce(?3, avatar), is_new = 0 WHERE id = ?1",
            )?
            .run(params![id, nick, avatar])?;
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
