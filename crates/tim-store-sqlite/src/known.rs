//! What the writer knows of users and logs without asking the database. Most appends are to logs that the last ones were to.

use std::cell::RefCell;
use std::collections::HashMap;

use rusqlite::Connection;
use tim_groups::rules::{Sender, TypeRules};
use tim_proto::UserId;
use tim_store::LogKey;

use super::rows::{self, Head};

/// The most that are kept of each.
const MOST: usize = 16_384;

/// The ids of users, which do not change while their accounts exist, and the heads of logs as the last append has left them. Both are
/// forgotten whenever a transaction is rolled back, and the heads also whenever something other than an append may have changed them.
/// Who writes in which group is known until something changes that may change groups.
#[derive(Debug, Default)]
pub(super) struct Known(RefCell<Tables>);

#[derive(Debug, Default)]
struct Tables {
    users: HashMap<UserId, i64>,
    heads: HashMap<LogKey, Head>,
    /// By group and sender.
    senders: HashMap<(i64, i64), GroupSender>,
}

/// The rules of a group, and one of its members as a sender.
#[derive(Debug, Clone, Copy)]
pub(super) struct GroupSender {
    pub(super) rules: &'static TypeRules,
    pub(super) sender: Sender,
}

impl Known {
    /// The id of a user who has an account.
    pub(super) fn user(&self, db: &Connection, user: &UserId) -> rusqlite::Result<Option<i64>> {
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
    pub(super) fn head(&self, db: &Connection, log: &LogKey) -> rusqlite::Result<Option<Head>> {
        if let Some(head) = self.0.borrow().heads.get(log) {
            return Ok(Some(*head));
        }
        Head::find(db, log)
    }

    /// Whether the head of a log is known, as it is when something was appended a while ago.
    pub(super) fn has_head(&self, log: &LogKey) -> bool {
        self.0.borrow().heads.contains_key(log)
    }

    /// An append has left this head. False if that is not kept: the next append reads the table.
    pub(super) fn appended(&self, head: &Head) -> bool {
        let heads = &mut self.0.borrow_mut().heads;
        let has_room = heads.len() < MOST || heads.contains_key(&head.key);
        if has_room {
            heads.insert(head.key, *head);
        }
        has_room
    }

    /// A member of a group who writes there.
    pub(super) fn sender(&self, group: i64, sender: i64) -> Option<GroupSender> {
        self.0.borrow().senders.get(&(group, sender)).copied()
    }

    /// This member of a group may write there.
    pub(super) fn writes(&self, group: i64, sender: i64, found: GroupSender) {
        insert(&mut self.0.borrow_mut().senders, (group, sender), found);
    }

    /// Groups or members may have changed.
    pub(super) fn forget_senders(&self) {
        self.0.borrow_mut().senders.clear();
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
