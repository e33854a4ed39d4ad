//! The order of a user's one-to-one conversations, and the sum of what is unread in them, so that a page of the list, the total and what
//! has changed cost the same however many conversations there are.
//!
//! The table `recent` has a row for each conversation that is in a user's list (`listed` 1). One that has entries which the first kind of
//! row does not tell of, because it is not in the list or its newest entry does not show there, has another row (`listed` 0), whose
//! `change` is that of its newest entry.
//!
//! A user who keeps writing in one conversation must not cost a move in this table for each message. So a row of the list moves only when
//! its conversation *becomes* the newest one:
//!
//! * The `change` of a listed row is at most the conversation's `last_change`, and greater than the `last_change` of the conversation
//!   below it: a conversation that was the newest stopped growing when another one became that. Rows are thus in the right order, and
//!   at most one row lies on both sides of a given change.
//! * The `unread` of a listed row is the conversation's, but for the newest row's, which is 0 until another conversation becomes the
//!   newest. A user's `unread` is the sum of these.
//!
//! The groups of a user are few, and found by an index of their own; the system conversation is one. Their messages touch nothing here.

use std::collections::HashSet;

use super::db::{self, Connection, Optional as _};
use super::value::params;
use tim_proto::{ReceiveOption, UserId};
use tim_store::{LogKey, Membership, Pair};

use super::batch::Batch;
use super::damage::Damage;
use super::rosters::membership_from_row;
use super::rows::{
    HEAD_COLUMNS, Head, Personal, head_columns, personal_columns, rows, sql, unsigned, user_id,
};

/// The most conversations that are known to be their users' newest ones.
const MAX_KNOWN: usize = 65_536;

/// Conversations of which it is known that nothing has to move when a message is appended: each is the newest in the list of both
/// users, and has no other row.
#[derive(Debug, Default)]
pub(super) struct Newest(HashSet<i64>);

impl Newest {
    fn insert(&mut self, log: i64) {
        if self.0.len() >= MAX_KNOWN {
            self.0.clear();
        }
        self.0.insert(log);
    }
}

/// A row of a conversation in a user's list.
#[derive(Debug, Clone, Copy)]
struct ListedRow {
    change: i64,
    log: i64,
    unread: i64,
}

impl Batch<'_> {
    /// An entry was appended to a log, which was `before` and is `after` now.
    pub(super) fn note_appended(
        &mut self,
        before: &Head,
        after: &Head,
        sender: (UserId, i64),
        counted: bool,
    ) -> db::Result<()> {
        let LogKey::C2c(pair) = after.key else {
            return Ok(());
        };
        let shows = after.last_change == after.change;
        if shows && self.newest.0.contains(&after.id) {
            return Ok(());
        }
        for user in self.users_of(after, pair, Some(sender))? {
            if shows {
                self.raise(user, before, after)?;
            } else {
                self.note_not_shown(user, before, after)?;
                if counted {
                    self.count_unread(user, after)?;
                }
            }
        }
        if shows {
            self.newest.insert(after.id);
        } else {
            self.newest.0.remove(&after.id);
        }
        Ok(())
    }

    /// What is unread in a conversation may have changed for both users.
    pub(super) fn count_unread_of_both(&self, head: &Head) -> db::Result<()> {
        let LogKey::C2c(pair) = head.key else {
            return Ok(());
        };
        for user in self.users_of(head, pair, None)? {
            self.count_unread(user, head)?;
        }
        Ok(())
    }

    /// Old entries of a log were removed, maybe the one that shows in the list.
    pub(super) fn note_purged(&mut self, after: &Head) -> db::Result<()> {
        let LogKey::C2c(pair) = after.key else {
            return Ok(());
        };
        if after.last_sequence >= after.first_kept {
            return self.count_unread_of_both(after);
        }
        for user in self.users_of(after, pair, None)? {
            self.remove_from_list(user, after)?;
        }
        Ok(())
    }

    /// What is unread in a conversation may have changed for this user.
    pub(super) fn count_unread(&self, user: i64, head: &Head) -> db::Result<()> {
        if !matches!(head.key, LogKey::C2c(_)) || self.newest.0.contains(&head.id) {
            return Ok(());
        }
        let Some(row) = listed_row(self.db, user, head)? else {
            return Ok(());
        };
        if newest_row(self.db, user)?.is_some_and(|newest| newest.log == head.id) {
            return Ok(());
        }
        let unread = unread_in(self.db, user, head.id)?;
        self.set_unread(user, row, unread)?;
        self.add_unread(user, unread - row.unread)
    }

    /// A conversation is no longer in the list of a user.
    pub(super) fn remove_from_list(&mut self, user: i64, head: &Head) -> db::Result<()> {
        if !matches!(head.key, LogKey::C2c(_)) {
            return Ok(());
        }
        self.newest.0.remove(&head.id);
        let Some(row) = listed_row(self.db, user, head)? else {
            return Ok(());
        };
        let was_newest = newest_row(self.db, user)?.is_some_and(|newest| newest.log == head.id);
        self.db
            .statement("DELETE FROM recent WHERE account = ?1 AND listed = 1 AND change = ?2")?
            .run([user, row.change])?;
        let mut less = row.unread;
        if was_newest && let Some(next) = newest_row(self.db, user)? {
            self.set_unread(user, next, 0)?;
            less += next.unread;
        }
        self.add_unread(user, -less)?;
        // It is there already if the newest entry does not show.
        self.db
            .statement(
                "INSERT INTO recent (account, listed, change, log) VALUES (?1, 0, ?2, ?3) ON CONFLICT DO NOTHING",
            )?
            .run([user, sql(head.change), head.id])?;
        Ok(())
    }

    /// The conversation is the newest one in the user's list.
    fn raise(&mut self, user: i64, before: &Head, after: &Head) -> db::Result<()> {
        let newest = newest_row(self.db, user)?;
        let is_newest = newest.is_some_and(|newest| newest.log == after.id);
        let mut was_listed = is_newest;
        if !is_newest {
            let own = listed_row(self.db, user, before)?;
            was_listed = own.is_some();
            let mut more = match own {
                Some(row) => self.move_up(user, row, after)?,
                None => self.enter(user, after)?,
            };
            if let Some(other) = newest {
                self.newest.0.remove(&other.log);
                let unread = unread_in(self.db, user, other.log)?;
                self.set_unread(user, other, unread)?;
                more += unread - other.unread;
            }
            self.add_unread(user, more)?;
        }
        if before.change != before.last_change || !was_listed {
            self.db
                .statement("DELETE FROM recent WHERE account = ?1 AND listed = 0 AND change = ?2")?
                .run([user, sql(before.change)])?;
        }
        Ok(())
    }

    /// Makes a row the newest. Returns by how much the sum of what is unread grows.
    fn move_up(&self, user: i64, row: ListedRow, after: &Head) -> db::Result<i64> {
        self.db
            .statement(
                "UPDATE recent SET change = ?3, unread = 0 WHERE account = ?1 AND listed = 1 AND change = ?2",
            )?
            .run([user, row.change, sql(after.last_change)])?;
        Ok(-row.unread)
    }

    /// Makes a new row, the newest. Returns by how much the sum of what is unread grows.
    fn enter(&self, user: i64, after: &Head) -> db::Result<i64> {
        self.db
            .statement("INSERT INTO recent (account, listed, change, log) VALUES (?1, 1, ?2, ?3)")?
            .run([user, sql(after.last_change), after.id])?;
        Ok(0)
    }

    /// The newest entry of a conversation does not show in the list.
    fn note_not_shown(&self, user: i64, before: &Head, after: &Head) -> db::Result<()> {
        let moved = self
            .db
            .statement("UPDATE recent SET change = ?3 WHERE account = ?1 AND listed = 0 AND change = ?2")?
            .execute([user, sql(before.change), sql(after.change)])?;
        if moved == 0 {
            self.db
                .statement("INSERT INTO recent (account, listed, change, log) VALUES (?1, 0, ?2, ?3)")?
                .run([user, sql(after.change), after.id])?;
        }
        Ok(())
    }

    fn set_unread(&self, user: i64, row: ListedRow, unread: i64) -> db::Result<()> {
        if unread != row.unread {
            self.db
                .statement("UPDATE recent SET unread = ?3 WHERE account = ?1 AND listed = 1 AND change = ?2")?
                .run([user, row.change, unread])?;
        }
        Ok(())
    }

    fn add_unread(&self, user: i64, more: i64) -> db::Result<()> {
        if more != 0 {
            self.db
                .statement("UPDATE users SET unread = unread + ?2 WHERE id = ?1")?
                .run([user, more])?;
        }
        Ok(())
    }

    /// The users of a pair: two, or one who makes notes to oneself.
    fn users_of(
        &self,
        head: &Head,
        pair: Pair,
        known: Option<(UserId, i64)>,
    ) -> db::Result<impl Iterator<Item = i64> + use<>> {
        let (low, high) = pair.users();
        let id = |user: UserId| match known {
            Some((name, id)) if name == user => Ok::<_, db::Error>(id),
            _ => user_id(self.db, &user)?.ok_or_else(|| Damage::of_log(head.id).into()),
        };
        let second = (low != high).then(|| id(high)).transpose()?;
        Ok(std::iter::once(id(low)?).chain(second))
    }
}

/// The newest conversation in a user's list.
fn newest_row(db: &Connection, user: i64) -> db::Result<Option<ListedRow>> {
    row_up_to(db, user, i64::MAX)
}

/// The row of a conversation in a user's list.
fn listed_row(db: &Connection, user: i64, head: &Head) -> db::Result<Option<ListedRow>> {
    let found = row_up_to(db, user, sql(head.last_change))?;
    Ok(found.filter(|row| row.log == head.id))
}

/// The newest row in a user's list whose change is not greater than this one.
fn row_up_to(db: &Connection, user: i64, change: i64) -> db::Result<Option<ListedRow>> {
    db.statement(
        "SELECT change, log, unread FROM recent WHERE account = ?1 AND listed = 1 AND change <= ?2
         ORDER BY change DESC LIMIT 1",
    )?
    .query_row([user, change], |row| {
        Ok(ListedRow {
            change: row.get(0)?,
            log: row.get(1)?,
            unread: row.get(2)?,
        })
    })
    .optional()
}

/// A user's unread count of a log: [`Personal::unread`] in SQL. `p` is the user's row, `l` the log.
macro_rules! unread_of_row {
    () => {
        "greatest(0, greatest(0, l.countable - greatest(p.read_countable, l.purged_countable)) - greatest(0, p.own_total - p.own_at_read)
             - (SELECT count(*) FROM revoked r WHERE r.log = p.log
                AND r.sequence > greatest(p.read_sequence, l.first_kept - 1) AND r.counted AND r.sender <> p.account))"
    };
}

/// Whether a conversation is in a user's list. `p` is the user's row, `l` the log.
macro_rules! is_listed {
    () => {
        "(l.last_sequence >= l.first_kept AND l.last_sequence > p.hidden_through AND l.last_sequence > p.joined_at)"
    };
}

fn unread_in(db: &Connection, user: i64, log: i64) -> db::Result<i64> {
    let unread = db
        .statement(concat!(
            "SELECT ",
            unread_of_row!(),
            " FROM personal p JOIN logs l ON l.id = p.log WHERE p.account = ?1 AND p.log = ?2"
        ))?
        .query_row([user, log], |row| row.get(0))
        .optional()?;
    Ok(unread.unwrap_or_default())
}

/// The logs of the groups of user ?1, and that of what the system tells this user, whose name is ?2.
macro_rules! few_logs {
    () => {
        "SELECT log FROM personal WHERE account = ?1 AND role IS NOT NULL
         UNION ALL SELECT id FROM logs WHERE name = ?2 AND kind = 3"
    };
}
pub(super) use few_logs;

/// A conversation in a user's list.
pub(super) struct Listed {
    pub(super) head: Head,
    pub(super) personal: Personal,
    pub(super) membership: Option<Membership>,
}

impl Listed {
    /// Whether its messages are in the total unread count.
    pub(super) fn counts(&self) -> bool {
        let option = self
            .membership
            .as_ref()
            .map(|membership| membership.receive_option);
        match self.head.key {
            LogKey::C2c(_) => true,
            LogKey::Group(_) => option == Some(ReceiveOption::ACCEPT_AND_NOTIFY),
            LogKey::System(_) => false,
        }
    }
}

/// The user's one-to-one conversations in the list whose last message is older than the change `below`, newest first.
pub(super) fn page(db: &Connection, user: i64, below: i64, most: usize) -> db::Result<Vec<Listed>> {
    // What is missing beside a row is damage, not a shorter list.
    let statement = db.statement(concat!(
        "SELECT ",
        head_columns!(),
        ", ",
        personal_columns!(),
        ", r.change FROM recent r LEFT JOIN logs l ON l.id = r.log LEFT JOIN personal p ON p.account = r.account AND p.log = r.log
         WHERE r.account = ?1 AND r.listed = 1 AND r.change < ?2 ORDER BY r.change DESC LIMIT ?3"
    ))?;
    // One row may be of a conversation whose last message is newer.
    let limit = rows(most.saturating_add(1));
    let mut rows = statement.query([user, below, limit])?;
    let mut page = Vec::with_capacity(most.min(128));
    while let Some(row) = rows.next()? {
        let head = Head::from_row(row)?;
        let personal = Personal::from_row(row, HEAD_COLUMNS)?;
        let change = unsigned(row, HEAD_COLUMNS + Personal::COLUMNS)?;
        if change > head.last_change || !personal.lists(&head) {
            return Err(Damage::of_log(head.id).into());
        }
        if sql(head.last_change) < below && page.len() < most {
            page.push(Listed {
                head,
                personal,
                membership: None,
            });
        }
    }
    Ok(page)
}

/// The user's groups and system conversation, as far as they are in the list and their last message is older than the change `below`;
/// newest first.
pub(super) fn groups_and_notices(
    db: &Connection,
    name: &UserId,
    user: i64,
    below: i64,
) -> db::Result<Vec<Listed>> {
    let statement = db.statement(concat!(
        "SELECT ",
        head_columns!(),
        ", ",
        personal_columns!(),
        " FROM (",
        few_logs!(),
        ") few JOIN personal p ON p.account = ?1 AND p.log = few.log JOIN logs l ON l.id = few.log
         WHERE ",
        is_listed!(),
        " AND l.last_change < ?3 ORDER BY l.last_change DESC"
    ))?;
    let rows = statement.query_map(params![user, name.as_str(), below], |row| {
        Ok(Listed {
            head: Head::from_row(row)?,
            personal: Personal::from_row(row, HEAD_COLUMNS)?,
            membership: membership_from_row(row, HEAD_COLUMNS)?,
        })
    })?;
    rows.collect()
}

/// What is unread in the user's one-to-one conversations in the list whose last message is older than the change `below`.
pub(super) fn unread_below(db: &Connection, user: i64, below: i64) -> db::Result<u64> {
    let all: i64 = db
        .statement("SELECT unread FROM users WHERE id = ?1")?
        .query_row([user], |row| row.get(0))?;
    let Some(newest) = newest_row(db, user)? else {
        return Ok(all.cast_unsigned());
    };
    let above: i64 = db
        .statement(
            "SELECT coalesce(sum(unread), 0)::bigint FROM recent WHERE account = ?1 AND listed = 1 AND change >= ?2",
        )?
        .query_row([user, below], |row| row.get(0))?;
    let mut unread = all - above;
    // The first row below the change may be of a conversation whose last message is not.
    let mut is_newest_below = newest.change < below;
    if let Some(first) = row_up_to(db, user, below.saturating_sub(1))?
        && last_change(db, first.log)?.is_none_or(|last| last >= below)
    {
        unread -= first.unread;
        is_newest_below &= first.log != newest.log;
    }
    if is_newest_below {
        unread += unread_in(db, user, newest.log)?;
    }
    Ok(unread.max(0).cast_unsigned())
}

fn last_change(db: &Connection, log: i64) -> db::Result<Option<i64>> {
    db.statement("SELECT last_change FROM logs WHERE id = ?1")?
        .query_row([log], |row| row.get(0))
        .optional()
}
