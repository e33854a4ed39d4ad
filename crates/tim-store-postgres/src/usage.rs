//! What each account takes up: the bytes of its kept entries, and the conversations that it has begun.
//!
//! Both are counted in memory as entries and conversations come and go, and written into the table `users` when the generation ends.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::db::{self, Connection, Optional as _};
use super::value::params;
use tim_proto::UserId;
use tim_store::{Quota, Refused};

use super::batch::{Batch, Stop};
use super::rows::{sql, unsigned};

/// The most accounts that are kept in memory beyond the end of a generation.
const MOST: usize = 16_384;

/// What accounts take up.
#[derive(Debug, Default)]
pub(super) struct Usage(HashMap<i64, Counted>);

/// What one account takes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counted {
    pub(super) bytes: u64,
    pub(super) conversations: u64,
    /// Whether the table has other numbers.
    is_changed: bool,
}

impl Usage {
    /// What a user's account takes up. Of a user who does not exist, whom a damaged entry names, nothing.
    fn of(&mut self, db: &Connection, user: i64) -> db::Result<&mut Counted> {
        match self.0.entry(user) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(unknown) => {
                let found = db
                    .statement("SELECT bytes, conversations FROM users WHERE id = ?1")?
                    .query_row([user], |row| {
                        Ok(Counted {
                            bytes: unsigned(row, 0)?,
                            conversations: unsigned(row, 1)?,
                            is_changed: false,
                        })
                    })
                    .optional()?;
                Ok(unknown.insert(found.unwrap_or_default()))
            }
        }
    }

    /// Writes what has changed.
    pub(super) fn write(&mut self, db: &Connection) -> db::Result<()> {
        for (user, counted) in self.0.iter_mut().filter(|(_, counted)| counted.is_changed) {
            db.statement("UPDATE users SET bytes = ?2, conversations = ?3 WHERE id = ?1")?
                .run(params![user, sql(counted.bytes), sql(counted.conversations)])?;
            counted.is_changed = false;
        }
        if self.0.len() > MOST {
            self.0.clear();
        }
        Ok(())
    }
}

impl Batch<'_> {
    /// An entry of a user has come.
    pub(super) fn add_bytes(&mut self, user: i64, cost: u64) -> db::Result<()> {
        if user != 0 {
            let counted = self.usage.of(self.db, user)?;
            counted.bytes = counted.bytes.saturating_add(cost);
            counted.is_changed = true;
        }
        Ok(())
    }

    /// An entry of a user, or its content, has gone.
    pub(super) fn give_back_bytes(&mut self, user: i64, cost: u64) -> db::Result<()> {
        if user != 0 {
            let counted = self.usage.of(self.db, user)?;
            counted.bytes = counted.bytes.saturating_sub(cost);
            counted.is_changed = true;
        }
        Ok(())
    }

    /// A user has begun a conversation.
    pub(super) fn add_conversation(&mut self, user: i64) -> db::Result<()> {
        let counted = self.usage.of(self.db, user)?;
        counted.conversations = counted.conversations.saturating_add(1);
        counted.is_changed = true;
        Ok(())
    }

    /// Whether anything counts for an account.
    pub(super) fn takes_up_something(&mut self, user: i64) -> db::Result<bool> {
        let counted = self.usage.of(self.db, user)?;
        Ok(counted.bytes > 0 || counted.conversations > 0)
    }

    /// Whether there is room for a message of a user, which may begin a conversation.
    pub(super) fn check_quota(
        &mut self,
        (user, id): (UserId, i64),
        quota: Quota,
        cost: u64,
        begins: bool,
    ) -> Result<(), Stop> {
        if quota == Quota::NONE {
            return Ok(());
        }
        let counted = *self.usage.of(self.db, id)?;
        if begins && counted.conversations >= quota.conversations {
            return Err(Refused::TooManyConversations {
                user,
                begun: counted.conversations,
                max: quota.conversations,
            }
            .into());
        }
        if counted.bytes.saturating_add(cost) > quota.bytes {
            return Err(Refused::TooMuchStored {
                user,
                stored: counted.bytes,
                max: quota.bytes,
            }
            .into());
        }
        Ok(())
    }
}
