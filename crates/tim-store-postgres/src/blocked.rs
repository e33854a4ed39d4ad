//! Users who may not log in.

use super::db::{self, Connection, Optional as _};
use super::value::params;
use tim_proto::UserId;
use tim_store::Written;

use super::batch::{Batch, Stop};

/// Whether a user may not log in.
pub(super) fn is_blocked(db: &Connection, user: &UserId) -> db::Result<bool> {
    let found = db
        .statement("SELECT blocked FROM users WHERE name = ?1")?
        .query_row([user.as_str()], |row| row.get(0))
        .optional()?;
    Ok(found.unwrap_or(false))
}

impl Batch<'_> {
    pub(super) fn block(&self, user: &UserId, is_blocked: bool) -> Result<Written, Stop> {
        let id = self.user(user)?;
        // Who came back after a removal of the account would be let in.
        self.keep_account(id)?;
        self.db
            .statement("UPDATE users SET blocked = ?2 WHERE id = ?1")?
            .run(params![id, is_blocked])?;
        Ok(Written::Done)
    }
}
