//! What appends change in rows that the next append to the same log changes again: the head of the log, and how many of its entries are
//! the sender's own.
//!
//! Both are counted in memory. They are written into their tables before anything but an append looks at these, and when the generation
//! ends. After a crash the blocks of the log are appended again, and count them again.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::rows::{Head, sql};

/// Heads and counts that the tables do not have yet. A transaction that is rolled back takes them along.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    /// By the id of the log.
    heads: BTreeMap<i64, Head>,
    /// By user and log: how many more entries are the user's own.
    own: BTreeMap<(i64, i64), i64>,
}

impl Unwritten {
    /// A log has this head.
    pub(super) fn head(&mut self, head: &Head) {
        self.heads.insert(head.id, *head);
    }

    /// One more entry of the log is the user's own.
    pub(super) fn own(&mut self, user: i64, log: i64) {
        *self.own.entry((user, log)).or_default() += 1;
    }

    /// Writes everything. What could not be written is written the next time.
    pub(super) fn write(&mut self, db: &Connection) -> rusqlite::Result<()> {
        while let Some(entry) = self.heads.first_entry() {
            write_head(db, entry.get())?;
            entry.remove();
        }
        while let Some(entry) = self.own.first_entry() {
            let (user, log) = *entry.key();
            db.prepare_cached("UPDATE personal SET own_total = own_total + ?3 WHERE user = ?1 AND log = ?2")?
                .execute([user, log, *entry.get()])?;
            entry.remove();
        }
        Ok(())
    }
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
