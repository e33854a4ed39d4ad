//! What the writer knows of users and logs without asking the database. Most appends are to logs that the last ones were to.

use std::cell::RefCell;
use std::collections::HashMap;

use super::db::{self, Connection};
use tim_proto::UserId;
use tim_store::LogKey;

use super::rows::{self, Head};

/// The most that are kept of each.
const MOST: usize = 16_384;

/// The ids of users, which do not change while their accounts exist, and the heads of logs as the last append has left them. Both are
/// forgotten whenever a transaction is rolled back, and the heads also whenever something other than an append may have changed them.
#[derive(Debug, Default)]
pub(super) struct Known(RefCell<Tables>);

#[derive(Debug, Default)]
struct Tables {
    users: HashMap<UserId, i64>,
    heads: HashMap<LogKey, Head>,
}

impl Known {
    /// The id of a user who has an account.
    pub(super) fn user(&self, db: &Connection, user: &UserId) -> db::Result<Option<i64>> {
        if let Some(id) = self.0.borrow().users.get(user) {
            return Ok(Some(*id));
        }
        let found = rows::user_id(db, user)?;
        if let Some(id) = found {
            insert(&mut self.0.borrow_mut().users, *user, id);
        }
        Ok(found)
    }

    /// The head of a log.
    pub(super) fn head(&self, db: &Connection, log: &LogKey) -> db::Result<Option<Head>> {
        if let Some(head) = self.0.borrow().heads.get(log) {
            return Ok(Some(*head));
        }
        Head::find(db, log)
    }

    /// An append has left this head.
    pub(super) fn appended(&self, head: &Head) {
        insert(&mut self.0.borrow_mut().heads, head.key, *head);
    }

    /// Accounts were removed.
    pub(super) fn forget_users(&self) {
        self.0.borrow_mut().users.clear();
    }

    /// Something other than an append may have changed heads.
    pub(super) fn forget_heads(&self) {
        self.0.borrow_mut().heads.clear();
    }
}

fn insert<K: std::hash::Hash + Eq, V>(table: &mut HashMap<K, V>, key: K, value: V) {
    if table.len() >= MOST && !table.contains_key(&key) {
        table.clear();
    }
    table.insert(key, value);
}
