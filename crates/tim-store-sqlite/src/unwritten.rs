//! What appends change in rows that the next append to the same log changes again: the head of the log, and how many of its entries are
//! the sender's own.
//!
//! Both are counted in memory. They are written into their tables before anything but an append looks at these, and when the generation
//! ends. After a crash the blocks of the log are appended again, and count them again.
//!
//! What is stored must not fail to be written afterwards:
//!
//! * A damaged row is found by the append. It has read the head of its log in this generation, and it writes the first count of a
//!   sender's own entries itself.
//! * A row may need another page when its numbers grow, and a database that has reached its limit gets [room](Room) for that.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, params};

use super::MAX_PAGES;
use super::rows::{Head, sql};

/// Heads and counts that the tables do not have yet. A transaction that is rolled back takes them along.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    /// By the id of the log.
    heads: BTreeMap<i64, Head>,
    /// By user and log, for those whose row was written in this generation: how many more entries are the user's own.
    own: HashMap<(i64, i64), i64>,
    /// Of which of them there are more.
    more: Vec<(i64, i64)>,
    room: Room,
}

impl Unwritten {
    pub(super) fn new(room: Room) -> Self {
        Self {
            room,
            ..Self::default()
        }
    }

    /// A log has this head, which was read from the table in this generation.
    pub(super) fn head(&mut self, head: &Head) {
        self.heads.insert(head.id, *head);
    }

    /// One more entry of the log is the user's own.
    pub(super) fn own(&mut self, db: &Connection, user: i64, log: i64) -> rusqlite::Result<()> {
        let key = (user, log);
        match self.own.get_mut(&key) {
            Some(more) => {
                if *more == 0 {
                    self.more.push(key);
                }
                *more += 1;
            }
            None => {
                write_own(db, key, 1)?;
                self.own.insert(key, 0);
            }
        }
        Ok(())
    }

    /// Writes everything. What could not be written is written the next time.
    pub(super) fn write(&mut self, db: &Connection) -> rusqlite::Result<()> {
        if self.heads.is_empty() && self.more.is_empty() {
            return Ok(());
        }
        self.room.give(db, || {
            while let Some(entry) = self.heads.first_entry() {
                write_head(db, entry.get())?;
                entry.remove();
            }
            while let Some(key) = self.more.last().copied() {
                let more = self.own.entry(key).or_default();
                write_own(db, key, *more)?;
                *more = 0;
                self.more.pop();
            }
            Ok(())
        })
    }

    /// The generation has ended. Rows are looked at again before they are counted in.
    pub(super) fn forget(&mut self) {
        *self = Self::new(self.room);
    }
}

/// Room for rows that grow in a database that has reached the limit of its size: what is stored must be counted, too.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Room {
    /// The most pages; 0 if there is no limit.
    pub(super) pages: i64,
}

impl Room {
    /// A generation is about a few thousand users and logs. Each of their rows needs another page at most.
    const MORE: i64 = 16_384;

    /// Does this with room. The limit holds again afterwards, or what the database has if that is more.
    pub(super) fn give(
        self,
        db: &Connection,
        work: impl FnOnce() -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        if self.pages == 0 {
            return work();
        }
        limit_pages(db, self.pages.saturating_add(Self::MORE).min(MAX_PAGES))?;
        let done = work();
        limit_pages(db, self.pages)?;
        done
    }
}

/// The limit is not stored in the file. It holds for this connection, the only one that writes.
pub(super) fn limit_pages(db: &Connection, pages: i64) -> rusqlite::Result<()> {
    db.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
}

fn write_own(db: &Connection, (user, log): (i64, i64), more: i64) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE personal SET own_total = own_total + ?3 WHERE user = ?1 AND log = ?2")?
        .execute([user, log, more])?;
    Ok(())
}

fn write_head(db: &Connection, head: &Head) -> rusqlite::Result<()> {
    db.prepare_cached(
        "UPDATE logs SET sequence = ?2, change = ?3, countable = ?4, last_sequence = ?5, last_change = ?6,
             sum = ?7 WHERE id = ?1",
    )?
    .execute(params![
        head.id,
        sql(head.sequence),
        sql(head.change),
        sql(head.countable),
        sql(head.last_sequence),
        sql(head.last_change),
        head.sum(),
    ])?;
    Ok(())
}
