//! Accounts that nothing refers to.
//!
//! A new account has a mark (`is_new`). The first row that refers to the account clears it, for good. Only accounts with the mark are ever
//! removed.

use super::db::{self, Connection, Optional as _};
use super::value::params;
use tim_proto::UserId;
use tim_store::{Refused, Written};

use super::batch::{Batch, Stop};
use super::rows::{number_of, sql, unsigned};

/// When an account that nothing refers to was last in use.
pub(super) fn unused_since(db: &Connection, user: &UserId) -> db::Result<Option<u64>> {
    db.statement("SELECT used_ms FROM users WHERE name = ?1 AND is_new = 1")?
        .query_row([user.as_str()], |row| unsigned(row, 0))
        .optional()
}

impl Batch<'_> {
    pub(super) fn ensure_account(&self, user: &UserId) -> Result<Written, Stop> {
        if *user == UserId::SYSTEM {
            return Err(Refused::ReservedUser(*user).into());
        }
        let id = match self.known.user(self.db, user)? {
            Some(id) => self.use_account(id)?,
            None => self.make_account(user)?,
        };
        Ok(Written::Account {
            number: number_of(id),
        })
    }

    pub(super) fn ensure_accounts(&self, users: &[UserId]) -> Result<Written, Stop> {
        if users.contains(&UserId::SYSTEM) {
            return Err(Refused::ReservedUser(UserId::SYSTEM).into());
        }
        for user in users {
            self.ensure_account(user)?;
        }
        Ok(Written::Done)
    }

    fn use_account(&self, id: i64) -> db::Result<i64> {
        self.db
            .statement("UPDATE users SET used_ms = ?2 WHERE id = ?1 AND is_new = 1 AND used_ms < ?2")?
            .run([id, sql(self.now_ms)])?;
        self.db
            .statement("UPDATE users SET deleted = 0 WHERE id = ?1 AND deleted = 1")?
            .run([id])?;
        Ok(id)
    }

    /// The number of an account that was removed is not given out again.
    fn make_account(&self, user: &UserId) -> db::Result<i64> {
        self.db
            .statement(
                "INSERT INTO users (id, name, is_new, used_ms)
                 SELECT 1 + greatest(removed_user, (SELECT max(id) FROM users)), ?1::text, 1, ?2::bigint FROM meta WHERE id = 0
                 RETURNING id",
            )?
            .query_row(params![user.as_str(), sql(self.now_ms)], |row| row.get(0))
    }

    /// Something refers to an account from now on.
    pub(super) fn keep_account(&self, id: i64) -> db::Result<()> {
        self.db
            .statement("UPDATE users SET is_new = 0 WHERE id = ?1 AND is_new = 1")?
            .run([id])?;
        Ok(())
    }

    /// Removes up to `most` marked accounts that were last in use before this time. Returns how many, and whether these were all.
    pub(super) fn remove_unused(&mut self, before_ms: u64, most: u64) -> db::Result<(u64, bool)> {
        let found = {
            let statement = self.db.statement(
                "SELECT id, EXISTS (SELECT 1 FROM personal p WHERE p.account = u.id) OR nick <> '' OR avatar <> ''
                 FROM users u WHERE is_new = 1 AND used_ms < ?1 ORDER BY used_ms LIMIT ?2",
            )?;
            let rows =
                statement.query_map([sql(before_ms), sql(most)], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<db::Result<Vec<(i64, bool)>>>()?
        };
        let mut removed = Vec::new();
        for (id, is_used) in &found {
            // A damaged mark must not remove anything.
            if *is_used || self.takes_up_something(*id)? {
                self.keep_account(*id)?;
                continue;
            }
            self.db.statement("DELETE FROM users WHERE id = ?1")?.run([id])?;
            removed.push(*id);
        }
        if let Some(greatest) = removed.iter().max() {
            self.db
                .statement("UPDATE meta SET removed_user = greatest(removed_user, ?1)")?
                .run([greatest])?;
            self.known.forget_users();
        }
        Ok((removed.len() as u64, (found.len() as u64) < most))
    }
}
